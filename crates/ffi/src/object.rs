//! The heap object that C calls a socket.

use core::ptr;
use std::net::SocketAddr;

use anjay_net_resolve::same_endpoint;
use anjay_net_socket::{Kind, Socket, UnresponsivePeer};

use crate::abi::{self, Error, SocketConfiguration, SocketVTable};
use crate::calls::Calls;
use crate::convert::{self, EndpointSlot};
use crate::errno::ErrorCode;

/// What is behind a `Socket` pointer of C if we made it.
#[repr(C)]
pub(crate) struct Object {
    /// C calls the methods through it; also how our objects are told from those
    /// of other libraries.
    operations: *const SocketVTable,
    preferred_endpoint: Option<EndpointSlot>,
    calls: Calls,
    socket: Socket,
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
            calls: Calls::new(),
            socket: Socket::new(kind, config)?,
        };
        let object = convert::boxed(object).ok_or(ErrorCode::ENOMEM.error())?;
        Ok(Box::into_raw(object).cast())
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
        // A misaligned object does not hold our v-table, and the comparison
        // tells.
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
        // SAFETY: `create` made it from a box of this type, and nothing else
        // refers to it.
        drop(unsafe { Box::from_raw(socket.cast::<Object>()) });
    }

    /// The calls in flight.
    #[inline(always)]
    pub(crate) fn calls(&self) -> &Calls {
        &self.calls
    }

    #[inline(always)]
    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// The endpoint that the last connect reached, where the caller keeps it.
    pub(crate) fn preferred_endpoint(&self) -> Option<SocketAddr> {
        self.preferred_endpoint.as_ref()?.get()
    }

    /// Stores the endpoint that a connect reached, if the caller keeps it.
    pub(crate) fn remember_endpoint(&self, addr: &SocketAddr) {
        if let Some(endpoint) = &self.preferred_endpoint {
            endpoint.set(addr);
        }
    }

    /// Closes the socket. The endpoint of a peer that did not answer is no
    /// longer preferred.
    pub(crate) fn close(&self) {
        if let Some(peer) = self.socket.close() {
            self.forget_endpoint(&peer);
        }
    }

    #[cold]
    fn forget_endpoint(&self, peer: &UnresponsivePeer) {
        let Some(endpoint) = &self.preferred_endpoint else {
            return;
        };
        if !endpoint
            .get()
            .is_some_and(|stored| same_endpoint(&stored, &peer.addr))
        {
            return;
        }
        match peer.preferred {
            Some(addr) => endpoint.set(&addr),
            None => endpoint.clear(),
        }
    }
}
