//! The heap object that C calls a socket.

use core::ffi::c_int;
use core::ptr::{self, NonNull};
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::Relaxed;

use anjay_net_resolve::same_endpoint;
use anjay_net_socket::locks::Mutex;
use anjay_net_socket::{Errno, Kind, Socket, try_box};

use crate::abi::{self, Error, SocketConfiguration, SocketVTable};
use crate::convert::{self, EndpointSlot};
use crate::in_flight::Calls;

/// What is behind a `Socket` pointer of C if we made it.
#[repr(C)]
pub(crate) struct Object {
    /// C calls the methods through it; also how our objects are told from those
    /// of other libraries.
    operations: *const SocketVTable,
    /// Where the caller keeps the endpoint that the last connect reached.
    pub(crate) preferred_endpoint: EndpointSlot,
    /// The calls in flight.
    pub(crate) calls: Calls,
    socket: Socket,
    /// Where the object is in [`OBJECTS`]; used under its lock only.
    index: AtomicUsize,
}

/// All objects there are, so that one can be found by its descriptor.
static OBJECTS: Mutex<Vec<Listed>> = Mutex::new(Vec::new());

/// An object, which is not destroyed while it is listed.
struct Listed(NonNull<Object>);

// SAFETY: all that other threads do through it is to call methods of the
// socket, which any thread may call, under the lock of the list.
unsafe impl Send for Listed {}

impl Listed {
    fn object(&self) -> &Object {
        // SAFETY: `create` lists it when it is complete, and `destroy` takes it
        // off the list before it is freed.
        unsafe { self.0.as_ref() }
    }
}

impl Object {
    /// An object for C, which owns it.
    ///
    /// # Safety
    /// As [`convert::configuration`]; the preferred endpoint outlives the
    /// object.
    pub(crate) unsafe fn create(
        operations: &'static SocketVTable,
        kind: Kind,
        config: *const SocketConfiguration,
    ) -> Result<*mut abi::Socket, Error> {
        // SAFETY: a configuration or NULL, and the slot lives as long as the
        // object.
        let (config, preferred_endpoint) = unsafe { convert::configuration(config) }?;
        let object = Object {
            operations,
            preferred_endpoint,
            calls: Calls::default(),
            socket: Socket::new(kind, config)?,
            index: AtomicUsize::new(0),
        };
        let object = try_box(object)?;
        let mut objects = OBJECTS.lock();
        objects.try_reserve(1).map_err(Errno::from)?;
        object.index.store(objects.len(), Relaxed);
        let object = NonNull::from(Box::leak(object));
        objects.push(Listed(object));
        Ok(object.as_ptr().cast())
    }

    /// The object behind a pointer of C; `None` for NULL and for objects of
    /// others, of which nothing but the v-table pointer is read.
    ///
    /// # Safety
    /// A `socket` that is not NULL points at an object whose first field is a
    /// pointer. If that is `operations`, [`Object::create`] made the object, and
    /// it is not destroyed during `'a`.
    #[inline(always)]
    pub(crate) unsafe fn from_ptr<'a>(
        socket: *const abi::Socket,
        operations: &'static SocketVTable,
    ) -> Option<&'a Object> {
        if socket.is_null() {
            return None;
        }
        // The comparison also finds out a misaligned object: it does not hold our
        // v-table.
        // SAFETY: not NULL, so the first field is a readable pointer.
        let found = unsafe { (&raw const (*socket).operations).read_unaligned() };
        if !ptr::eq(found, operations) {
            return None;
        }
        // SAFETY: only `create` puts our v-table into an object, and makes an
        // aligned `Object` of it that is still there.
        Some(unsafe { &*socket.cast() })
    }

    /// Frees an object of [`Object::create`].
    ///
    /// # Safety
    /// [`Object::from_ptr`] knows `socket`, and nothing uses the object any
    /// more.
    pub(crate) unsafe fn destroy(socket: *mut abi::Socket) {
        let object: *mut Object = socket.cast();
        let mut objects = OBJECTS.lock();
        // SAFETY: one of our objects, which is there until it is freed below.
        let index = unsafe { (*object).index.load(Relaxed) };
        objects.swap_remove(index);
        if let Some(moved) = objects.get(index) {
            moved.object().index.store(index, Relaxed);
        }
        drop(objects);
        // SAFETY: `create` made it from a box of this type, and nothing refers
        // to it any more.
        drop(unsafe { Box::from_raw(object) });
    }

    /// Calls `visit` with every socket.
    pub(crate) fn for_each(visit: impl Fn(&Socket)) {
        for listed in OBJECTS.lock().iter() {
            visit(&listed.object().socket);
        }
    }

    /// Calls `look` with the socket that has this descriptor, if one has.
    pub(crate) fn with_descriptor<R>(
        descriptor: c_int,
        look: impl FnOnce(&Socket) -> R,
    ) -> Option<R> {
        let objects = OBJECTS.lock();
        let found = objects
            .iter()
            .map(|listed| &listed.object().socket)
            .find(|socket| {
                let slot = socket.descriptor();
                slot.is_some_and(|slot| slot.load(Relaxed) == descriptor)
            })?;
        Some(look(found))
    }

    #[inline(always)]
    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Closes the socket. The endpoint of a peer that did not answer is no
    /// longer preferred.
    pub(crate) fn close(&self) {
        let Some(peer) = self.socket.close() else {
            return;
        };
        let stored = self.preferred_endpoint.get();
        if stored.is_some_and(|stored| same_endpoint(&stored, &peer.addr)) {
            self.preferred_endpoint.set(peer.preferred.as_ref());
        }
    }
}
