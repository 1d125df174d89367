//! The heap object that C calls a socket.

use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering::{AcqRel, Acquire};
use std::alloc::{Layout, alloc, dealloc};
use std::net::SocketAddr;

use anjay_net_resolve::same_endpoint;
use anjay_net_socket::{Kind, Socket, Unanswered};
use anjay_net_watch::observer;

use crate::abi::{self, Error, ResolvedEndpoint, SocketConfiguration, SocketVTable};
use crate::errno::ErrorCode;
use crate::vtable::VTABLE;
use crate::{abi_check, convert, observed};

/// What is behind a `Socket` pointer of C if we made it.
#[repr(C)]
pub(crate) struct Object {
    /// C reads it through the pointer; also how we know our own again.
    operations: *const SocketVTable,
    /// Memory of the caller that outlives the object; NULL = nobody asked.
    preferred_endpoint: *mut ResolvedEndpoint,
    socket: Socket,
}

/// The memory of the object that was freed last, for the next one: a client
/// that reconnects for years with a new socket each time takes nothing from
/// the heap and leaves no holes in it. It also means that a pointer that
/// somebody kept is more likely to be told from a socket than to be trusted.
static SPARE: AtomicPtr<Object> = AtomicPtr::new(ptr::null_mut());

impl Object {
    /// Makes an object and stores it where C wants it.
    ///
    /// # Safety
    /// `out` is NULL or writable; `config` is NULL or a configuration.
    pub(crate) unsafe fn create(
        kind: Kind,
        out: *mut *mut abi::Socket,
        config: *const c_void,
    ) -> Error {
        if out.is_null() {
            return ErrorCode::EINVAL.into();
        }
        let checked = abi_check::check();
        let made = match checked.code {
            // SAFETY: the caller's promise.
            0 => unsafe { Object::allocate(kind, config.cast()) },
            _ => Err(checked),
        };
        match made {
            // SAFETY: not NULL, and the caller's promise.
            Ok(object) => unsafe { out.write_unaligned(object.cast()) },
            Err(error) => {
                // SAFETY: as above.
                unsafe { out.write_unaligned(ptr::null_mut()) };
                return error;
            }
        }
        Error::OK
    }

    /// # Safety
    /// `config` is NULL or a configuration.
    unsafe fn allocate(
        kind: Kind,
        config: *const SocketConfiguration,
    ) -> Result<*mut Object, Error> {
        // SAFETY: the caller's promise.
        let (config, preferred_endpoint) = unsafe { convert::configuration(config) }?;
        // Before the socket, so that this one is made in place.
        let object = Object::memory().ok_or(Error::from(ErrorCode::ENOMEM))?;
        let socket = match Socket::new(kind, config) {
            Ok(socket) => socket,
            Err(error) => {
                // SAFETY: just obtained.
                unsafe { Object::give_back(object) };
                return Err(error.into());
            }
        };
        // SAFETY: memory for one object.
        unsafe {
            object.write(Object {
                operations: &raw const VTABLE,
                preferred_endpoint,
                socket,
            });
        }
        Ok(object)
    }

    /// Memory for one object; `None` when there is no more.
    fn memory() -> Option<*mut Object> {
        // Acquire: whoever had it before is done with it.
        let spare = SPARE.swap(ptr::null_mut(), Acquire);
        if !spare.is_null() {
            return Some(spare);
        }
        // Not a Box: that one ends the program when memory runs out.
        // SAFETY: the layout is not empty.
        let object: *mut Object = unsafe { alloc(Layout::new::<Object>()) }.cast();
        (!object.is_null()).then_some(object)
    }

    /// # Safety
    /// The memory comes from [`Object::memory`] and nothing in it needs to be
    /// dropped any more.
    unsafe fn give_back(memory: *mut Object) {
        // Release: all use comes before the next one's; Acquire: see there.
        let before = SPARE.swap(memory, AcqRel);
        if !before.is_null() {
            // SAFETY: allocated with this layout, and nobody has it.
            unsafe { dealloc(before.cast(), Layout::new::<Object>()) };
        }
    }

    /// The object behind a pointer of C; `None` for NULL and for objects of
    /// others, of which nothing but the v-table pointer is read.
    ///
    /// # Safety
    /// `socket` is NULL or points at an object whose first field is a pointer;
    /// if it is ours it has not been cleaned up.
    #[inline(always)]
    pub(crate) unsafe fn from_ptr<'a>(socket: *const abi::Socket) -> Option<&'a Object> {
        if socket.is_null() {
            return None;
        }
        // Of any alignment: what is misaligned does not hold our v-table, and
        // one comparison tells.
        // SAFETY: the caller's promise.
        let operations = unsafe { (&raw const (*socket).operations).read_unaligned() };
        if !ptr::eq(operations, &raw const VTABLE) {
            return None;
        }
        // SAFETY: our v-table is only in our objects, which are aligned.
        Some(unsafe { &*socket.cast() })
    }

    /// As [`Object::from_ptr`], but `None` as well while somebody observes the
    /// sockets.
    ///
    /// # Safety
    /// As [`Object::from_ptr`].
    #[inline(always)]
    pub(crate) unsafe fn from_ptr_unobserved<'a>(socket: *const abi::Socket) -> Option<&'a Object> {
        if observer::is_active() {
            return None;
        }
        // SAFETY: the caller's promise.
        unsafe { Object::from_ptr(socket) }
    }

    /// Closes and frees the object and sets C's pointer to NULL. Calls that
    /// wait on other threads are ended before that.
    ///
    /// # Safety
    /// `socket` is NULL or a pointer to NULL or to an object as for
    /// [`Object::from_ptr`] that no other thread uses any more, but in calls
    /// that wait.
    pub(crate) unsafe fn cleanup(socket: *mut *mut abi::Socket) -> Error {
        if socket.is_null() {
            return ErrorCode::EINVAL.into();
        }
        // SAFETY: not NULL, and the caller's promise.
        let pointer = unsafe { socket.read_unaligned() };
        if pointer.is_null() {
            return Error::OK;
        }
        // SAFETY: the caller's promise.
        let object = match unsafe { Object::from_ptr_unobserved(pointer) } {
            Some(object) => object,
            // SAFETY: as above.
            None => match unsafe { observed::closed(pointer) } {
                Some(object) => object,
                None => return ErrorCode::EINVAL.into(),
            },
        };
        if object.socket.has_descriptor() || object.socket.has_guests() {
            object.close();
        }
        object.socket.await_leavers();
        let object: *mut Object = pointer.cast();
        // SAFETY: ours, used by nobody else; after this nobody has it.
        unsafe {
            socket.write_unaligned(ptr::null_mut());
            // A pointer that somebody kept finds an object that is not ours.
            (&raw mut (*object).operations).write(ptr::null());
            object.drop_in_place();
            Object::give_back(object);
        }
        Error::OK
    }

    #[inline(always)]
    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// The endpoint that worked the last time.
    pub(crate) fn preferred_endpoint(&self) -> Option<SocketAddr> {
        // SAFETY: NULL or memory that the caller keeps while the socket lives.
        unsafe { convert::endpoint(self.preferred_endpoint) }
    }

    /// Closes the socket, and forgets the endpoint that did not answer.
    #[inline]
    pub(crate) fn close(&self) {
        if let Some(unanswered) = self.socket.close() {
            self.forget_endpoint(&unanswered);
        }
    }

    #[cold]
    fn forget_endpoint(&self, unanswered: &Unanswered) {
        let is_remembered = self
            .preferred_endpoint()
            .is_some_and(|remembered| same_endpoint(&remembered, &unanswered.addr));
        if is_remembered {
            match unanswered.preferred {
                Some(addr) => self.remember_endpoint(|| addr),
                // SAFETY: not NULL, as it holds an address; memory that the
                // caller keeps while the socket lives.
                None => unsafe { (&raw mut (*self.preferred_endpoint).size).write(0) },
            }
        }
    }

    /// Remembers the endpoint that worked, if the caller wants that.
    #[inline]
    pub(crate) fn remember_endpoint(&self, addr: impl FnOnce() -> SocketAddr) {
        if !self.preferred_endpoint.is_null() {
            // SAFETY: memory that the caller keeps while the socket lives.
            unsafe { convert::put_endpoint(self.preferred_endpoint, &addr()) };
        }
    }
}
