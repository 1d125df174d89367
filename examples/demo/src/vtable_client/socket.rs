//! One socket object and its methods.

use std::cell::UnsafeCell;
use std::ffi::{c_char, c_int, c_void};
use std::io;
use std::ptr;
use std::time::Duration;

use anjay_net::abi::{
    Duration as AbiDuration, Error, IF_NAMESIZE, ResolvedEndpoint, Socket as RawSocket,
    SocketConfiguration, SocketOptValue, SocketVTable,
};

use super::{Endpoint, HOST_SIZE, PORT_SIZE, Stickiness, c_string, check, empty_endpoint, text};
use crate::net_error::NetError;

const OPT_RECV_TIMEOUT: c_int = 0;
const OPT_STATE: c_int = 1;
const OPT_INNER_MTU: c_int = 4;
const OPT_BYTES_SENT: c_int = 6;
const OPT_BYTES_RECEIVED: c_int = 7;

/// The state option of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No descriptor.
    Closed,
    /// Shut down, not closed yet.
    Shutdown,
    /// Bound to a local port.
    Bound,
    /// Made by accept.
    Accepted,
    /// Made by connect.
    Connected,
    /// A value that no state has.
    Unknown(c_int),
}

/// How a received datagram fitted its buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// All of it: this many bytes.
    Whole(usize),
    /// EMSGSIZE: the buffer was filled with this many bytes, the rest is lost.
    Truncated(usize),
}

type Create = unsafe extern "C" fn(*mut *mut RawSocket, *const c_void) -> Error;
type TextMethod = unsafe extern "C" fn(*mut RawSocket, *mut c_char, usize) -> Error;

/// A socket object behind its v-table; cleaned up when dropped.
pub struct Socket {
    raw: *mut RawSocket,
    /// Read and written by connect through the pointer in the configuration,
    /// so it is boxed and outlives `raw`.
    preferred: Box<UnsafeCell<ResolvedEndpoint>>,
}

// SAFETY: the library lets any thread use a socket, several at once too. The
// preferred endpoint is written by `connect` only, which takes `&mut self`.
unsafe impl Send for Socket {}
// SAFETY: as above.
unsafe impl Sync for Socket {}

impl Socket {
    pub(super) fn create(
        call: &'static str,
        create: Create,
        stickiness: Stickiness,
    ) -> Result<Self, NetError> {
        let preferred = Box::new(UnsafeCell::new(empty_endpoint()));
        // SAFETY: all zero bytes are the valid default of this C struct.
        let mut config: SocketConfiguration = unsafe { std::mem::zeroed() };
        if stickiness == Stickiness::Sticky {
            config.preferred_endpoint = preferred.get();
        }
        let mut raw = ptr::null_mut();
        // SAFETY: `raw` may be written, `config` is the struct that both
        // functions expect, and the endpoint in it outlives the socket.
        let error = unsafe { create(&mut raw, ptr::from_ref(&config).cast()) };
        check(call, error)?;
        if raw.is_null() {
            // Success without an object: no code describes that.
            return Err(NetError::new(call, u16::MAX));
        }
        Ok(Self { raw, preferred })
    }

    fn methods(&self) -> &SocketVTable {
        // SAFETY: the object starts with a pointer to its v-table, which
        // lives as long as the program; the object lives as long as `self`.
        unsafe { &*(*self.raw).operations }
    }

    /// Slot 0, connect.
    pub fn connect(&mut self, host: &str, port: &str) -> Result<(), NetError> {
        let (host, port) = (c_string(host), c_string(port));
        // SAFETY: the strings are terminated and outlive the call.
        check("connect", unsafe {
            (self.methods().connect)(self.raw, host.as_ptr(), port.as_ptr())
        })
    }

    /// Slot 2, send.
    pub fn send(&self, bytes: &[u8]) -> Result<(), NetError> {
        // SAFETY: the pointer and length are those of one slice.
        check("send", unsafe {
            (self.methods().send)(self.raw, bytes.as_ptr().cast(), bytes.len())
        })
    }

    /// Slot 3, send_to.
    pub fn send_to(&self, bytes: &[u8], host: &str, port: &str) -> Result<(), NetError> {
        let (host, port) = (c_string(host), c_string(port));
        // SAFETY: the pointer and length are those of one slice, the strings
        // are terminated, all outlive the call.
        check("send_to", unsafe {
            (self.methods().send_to)(
                self.raw,
                bytes.as_ptr().cast(),
                bytes.len(),
                host.as_ptr(),
                port.as_ptr(),
            )
        })
    }

    /// Slot 4, receive.
    pub fn receive(&self, buffer: &mut [u8]) -> Result<Received, NetError> {
        let mut length = usize::MAX;
        // SAFETY: the buffer is as long as its length says, `length` may be
        // written.
        let error = unsafe {
            (self.methods().receive)(
                self.raw,
                &mut length,
                buffer.as_mut_ptr().cast(),
                buffer.len(),
            )
        };
        received("receive", error, length, buffer.len())
    }

    /// Slot 5, receive_from: what came, the sender's host and its port.
    pub fn receive_from(&self, buffer: &mut [u8]) -> Result<(Received, String, String), NetError> {
        let mut length = usize::MAX;
        let mut host = [0 as c_char; HOST_SIZE];
        let mut port = [0 as c_char; PORT_SIZE];
        // SAFETY: each buffer is as long as its size says, `length` may be
        // written.
        let error = unsafe {
            (self.methods().receive_from)(
                self.raw,
                &mut length,
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                host.as_mut_ptr(),
                host.len(),
                port.as_mut_ptr(),
                port.len(),
            )
        };
        let fitted = received("receive_from", error, length, buffer.len())?;
        Ok((fitted, text(&host), text(&port)))
    }

    /// Slot 6, bind; without an address to the wildcard.
    pub fn bind(&self, address: Option<&str>, port: &str) -> Result<(), NetError> {
        let (address, port) = (address.map(c_string), c_string(port));
        let address = address.as_ref().map_or(ptr::null(), |text| text.as_ptr());
        // SAFETY: the strings are terminated or NULL and outlive the call.
        check("bind", unsafe {
            (self.methods().bind)(self.raw, address, port.as_ptr())
        })
    }

    /// Slot 8, close.
    pub fn close(&mut self) -> Result<(), NetError> {
        // SAFETY: the object is alive.
        check("close", unsafe { (self.methods().close)(self.raw) })
    }

    /// Slot 9, shutdown.
    pub fn shutdown(&self) -> Result<(), NetError> {
        // SAFETY: the object is alive.
        check("shutdown", unsafe { (self.methods().shutdown)(self.raw) })
    }

    /// Slot 11, get_system_socket, then poll(), as Anjay's event loop does:
    /// waits until there is something to receive; whether there is.
    pub fn wait_readable(&self, wait: Duration) -> io::Result<bool> {
        let mut poll = libc::pollfd {
            fd: self.descriptor()?,
            events: libc::POLLIN,
            revents: 0,
        };
        let milliseconds = c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: one entry, which may be written.
        match unsafe { libc::poll(&mut poll, 1, milliseconds) } {
            -1 => Err(io::Error::last_os_error()),
            count => Ok(count > 0),
        }
    }

    /// Slot 11, get_system_socket, then setsockopt(), as a program does for
    /// what no socket option of avs_commons covers: the kernel's send buffer.
    pub fn set_send_buffer(&self, bytes: c_int) -> io::Result<()> {
        let descriptor = self.descriptor()?;
        // SAFETY: the value is one C int and its size is said.
        let outcome = unsafe {
            libc::setsockopt(
                descriptor,
                libc::SOL_SOCKET,
                libc::SO_SNDBUF,
                ptr::from_ref(&bytes).cast(),
                size_of::<c_int>() as libc::socklen_t,
            )
        };
        if outcome == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    fn descriptor(&self) -> io::Result<c_int> {
        // SAFETY: the object is alive.
        let descriptor = unsafe { (self.methods().get_system_socket)(self.raw) };
        if descriptor.is_null() {
            return Err(io::ErrorKind::NotConnected.into());
        }
        // SAFETY: it points at the descriptor, a C int, until close; that
        // takes `&mut self`, so nothing closes it while this borrow lasts.
        Ok(unsafe { *descriptor.cast::<c_int>() })
    }

    /// Slot 12, get_interface_name.
    pub fn interface_name(&self) -> Result<String, NetError> {
        let mut name = [0 as c_char; IF_NAMESIZE];
        // SAFETY: the name is as long as the method expects.
        check("get_interface_name", unsafe {
            (self.methods().get_interface_name)(self.raw, name.as_mut_ptr())
        })?;
        Ok(text(&name))
    }

    /// Slot 13, get_remote_host.
    pub fn remote_host(&self) -> Result<String, NetError> {
        self.text("get_remote_host", self.methods().get_remote_host)
    }

    /// Slot 14, get_remote_hostname.
    pub fn remote_hostname(&self) -> Result<String, NetError> {
        self.text("get_remote_hostname", self.methods().get_remote_hostname)
    }

    /// Slot 15, get_remote_port.
    pub fn remote_port(&self) -> Result<String, NetError> {
        self.text("get_remote_port", self.methods().get_remote_port)
    }

    /// Slot 16, get_local_host.
    pub fn local_host(&self) -> Result<String, NetError> {
        self.text("get_local_host", self.methods().get_local_host)
    }

    /// Slot 17, get_local_port.
    pub fn local_port(&self) -> Result<String, NetError> {
        self.text("get_local_port", self.methods().get_local_port)
    }

    /// Slot 18, get_opt: the state.
    pub fn state(&self) -> Result<State, NetError> {
        let value = self.option(OPT_STATE)?;
        // SAFETY: the key's field is the state, and any bits are an integer.
        Ok(match unsafe { value.state } {
            0 => State::Closed,
            1 => State::Shutdown,
            2 => State::Bound,
            3 => State::Accepted,
            4 => State::Connected,
            other => State::Unknown(other),
        })
    }

    /// Slot 18, get_opt: the largest datagram payload.
    pub fn inner_mtu(&self) -> Result<c_int, NetError> {
        let value = self.option(OPT_INNER_MTU)?;
        // SAFETY: the key's field is the MTU, and any bits are an integer.
        Ok(unsafe { value.mtu })
    }

    /// Slot 18, get_opt: bytes sent over the life of the object.
    pub fn bytes_sent(&self) -> Result<u64, NetError> {
        let value = self.option(OPT_BYTES_SENT)?;
        // SAFETY: the key's field is the counter, and any bits are an integer.
        Ok(unsafe { value.bytes_sent })
    }

    /// Slot 18, get_opt: bytes received over the life of the object.
    pub fn bytes_received(&self) -> Result<u64, NetError> {
        let value = self.option(OPT_BYTES_RECEIVED)?;
        // SAFETY: the key's field is the counter, and any bits are an integer.
        Ok(unsafe { value.bytes_received })
    }

    /// Slot 19, set_opt: the receive timeout.
    pub fn set_receive_timeout(&self, timeout: Duration) -> Result<(), NetError> {
        let mut value = empty_option();
        value.recv_timeout = AbiDuration {
            seconds: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            // Below 10^9, so it fits.
            nanoseconds: timeout.subsec_nanos() as i32,
        };
        // SAFETY: the value is the union that the method takes by value.
        check("set_opt", unsafe {
            (self.methods().set_opt)(self.raw, OPT_RECV_TIMEOUT, value)
        })
    }

    /// What connect stored as the preferred endpoint.
    pub fn preferred(&self) -> Endpoint {
        // SAFETY: only `connect` writes it, and that borrows `self` alone.
        Endpoint(unsafe { *self.preferred.get() })
    }

    fn option(&self, key: c_int) -> Result<SocketOptValue, NetError> {
        let mut value = empty_option();
        // SAFETY: `value` may be written.
        check("get_opt", unsafe {
            (self.methods().get_opt)(self.raw, key, &mut value)
        })?;
        Ok(value)
    }

    fn text(&self, call: &'static str, method: TextMethod) -> Result<String, NetError> {
        let mut buffer = [0 as c_char; 256];
        // SAFETY: the method is one of this socket, the buffer is as long as
        // its size says.
        check(call, unsafe {
            method(self.raw, buffer.as_mut_ptr(), buffer.len())
        })?;
        Ok(text(&buffer))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // SAFETY: the object is alive, and nothing uses it after this.
        let _ = unsafe { (self.methods().cleanup)(&mut self.raw) };
    }
}

fn received(
    call: &'static str,
    error: Error,
    length: usize,
    capacity: usize,
) -> Result<Received, NetError> {
    // A length past the buffer would be a defect worse than any error.
    let length = length.min(capacity);
    match check(call, error) {
        Ok(()) => Ok(Received::Whole(length)),
        Err(error) if error.name() == "EMSGSIZE" => Ok(Received::Truncated(length)),
        Err(error) => Err(error),
    }
}

fn empty_option() -> SocketOptValue {
    // SAFETY: all zero bytes are valid for every field of the union.
    unsafe { std::mem::zeroed() }
}
