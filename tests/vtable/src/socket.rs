//! A socket and its 20 methods.

use std::ffi::c_int;
use std::ptr;
use std::time::Duration;

use anjay_net::abi::{
    self, ResolvedEndpoint, SocketConfiguration, SocketOptKey, SocketOptValue, SocketVTable,
};
use anjay_net::symbols;

use crate::{Buffer, Code, Text, code, no_endpoint};

/// `avs_net_socket_type_t`, of which two are sockets here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Tcp = 0,
    Udp = 1,
}

/// The texts that have a method each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Info {
    RemoteHost,
    RemoteHostname,
    RemotePort,
    LocalHost,
    LocalPort,
}

/// What a receive has given.
#[derive(Debug)]
pub struct Received {
    /// 0 or an error code; of the texts, too.
    pub code: Code,
    /// What is in the buffer.
    pub data: Vec<u8>,
    /// Of receive_from: the sender's host and port, as far as they fit.
    pub from: [Option<String>; 2],
}

/// The default configuration.
pub const fn default_configuration() -> SocketConfiguration {
    SocketConfiguration {
        dscp: 0,
        priority: 0,
        reuse_addr: 0,
        transparent: 0,
        interface_name: [0; abi::IF_NAMESIZE],
        preferred_endpoint: ptr::null_mut(),
        address_family: 0,
        forced_mtu: 0,
        preferred_family: 0,
    }
}

/// A socket of C, and the endpoint that its configuration points at.
pub struct Socket {
    raw: *mut abi::Socket,
    preferred: *mut ResolvedEndpoint,
}

// SAFETY: the methods of a socket may be called from any thread, several at
// once too. The endpoint is written by connect and close only, and who calls
// them on one thread does not read it on another meanwhile.
unsafe impl Send for Socket {}
// SAFETY: as for Send.
unsafe impl Sync for Socket {}

/// Calls a method through the object's table, as C does.
macro_rules! call {
    ($socket:expr, $method:ident $(, $argument:expr)*) => {{
        let socket: &Socket = $socket;
        // SAFETY: the object is alive; what the arguments point at outlives
        // the call and is as long as they say.
        unsafe { (socket.methods().$method)(socket.as_ptr() $(, $argument)*) }
    }};
}

impl Socket {
    /// `config.preferred_endpoint` is replaced by one of this object's own
    /// unless it is NULL.
    #[inline]
    pub fn create(kind: Kind, mut config: SocketConfiguration) -> Result<Socket, Code> {
        let mut preferred = ptr::null_mut();
        if !config.preferred_endpoint.is_null() {
            // SAFETY: a whole endpoint, which is what a configuration points at.
            preferred = Box::into_raw(Box::new(unsafe { config.preferred_endpoint.read() }));
            config.preferred_endpoint = preferred;
        }
        let mut socket = Socket {
            // To see that it is always written.
            raw: ptr::dangling_mut(),
            preferred,
        };
        let create = match kind {
            Kind::Tcp => symbols::_avs_net_create_tcp_socket,
            Kind::Udp => symbols::_avs_net_create_udp_socket,
        };
        // SAFETY: `raw` is writable, and the configuration is a whole struct
        // whose endpoint outlives the socket.
        let error = unsafe { create(&mut socket.raw, (&raw const config).cast()) };
        assert_eq!(socket.raw.is_null(), error.code != 0, "an object or NULL");
        Code::of(error).and(socket)
    }

    /// One with the default configuration that remembers its endpoint.
    pub fn new(kind: Kind) -> Socket {
        let mut endpoint = no_endpoint();
        let config = SocketConfiguration {
            preferred_endpoint: &mut endpoint,
            ..default_configuration()
        };
        Socket::create(kind, config).expect("a valid configuration")
    }

    /// What C passes as the socket.
    #[inline]
    pub fn as_ptr(&self) -> *mut abi::Socket {
        self.raw
    }

    /// The method table.
    #[inline]
    pub fn methods(&self) -> &SocketVTable {
        // SAFETY: the object lives as long as `self` and begins with the
        // pointer to its table, which lives as long as the program.
        unsafe { &*(*self.raw).operations }
    }

    /// The remembered endpoint; one that stores nothing where there is none.
    pub fn preferred(&self) -> ResolvedEndpoint {
        // SAFETY: NULL or a box that lives as long as `self`.
        unsafe { self.preferred.as_ref() }.map_or_else(no_endpoint, |endpoint| *endpoint)
    }

    /// As if the caller had kept it from another day.
    pub fn set_preferred(&mut self, endpoint: ResolvedEndpoint) {
        assert!(!self.preferred.is_null(), "made with an endpoint");
        // SAFETY: a box that lives as long as `self`.
        unsafe { self.preferred.write(endpoint) };
    }

    /// Slot 0.
    #[inline]
    pub fn connect(&self, host: impl Text, port: impl Text) -> Code {
        host.pass(|host| port.pass(|port| Code::of(call!(self, connect, host, port))))
    }

    /// Slot 1.
    pub fn decorate(&self, backend: &Socket) -> Code {
        Code::of(call!(self, decorate, backend.as_ptr()))
    }

    /// Slot 2.
    #[inline]
    pub fn send(&self, data: &[u8]) -> Code {
        Code::of(call!(self, send, data.as_ptr().cast(), data.len()))
    }

    /// Slot 3.
    #[inline]
    pub fn send_to(&self, data: &[u8], host: impl Text, port: impl Text) -> Code {
        let (buf, len) = (data.as_ptr().cast(), data.len());
        host.pass(|host| port.pass(|port| Code::of(call!(self, send_to, buf, len, host, port))))
    }

    /// Slot 4; allocates nothing.
    #[inline]
    pub fn receive_into(&self, buf: &mut [u8]) -> (Code, usize) {
        // To see that it is always written.
        let mut len = usize::MAX;
        let error = call!(self, receive, &mut len, buf.as_mut_ptr().cast(), buf.len());
        (Code::of(error), len)
    }

    /// Slot 4, into a buffer of `size` bytes.
    pub fn receive(&self, size: usize) -> Received {
        let mut buffer = Buffer::new(size);
        let (code, len) = self.receive_into(buffer.space());
        Received {
            code,
            data: buffer.received(len),
            from: [None, None],
        }
    }

    /// Slot 5; allocates nothing.
    #[inline]
    pub fn receive_from_into(
        &self,
        buf: &mut [u8],
        host: &mut [u8],
        port: &mut [u8],
    ) -> (Code, usize) {
        let mut len = usize::MAX;
        let error = call!(
            self,
            receive_from,
            &mut len,
            buf.as_mut_ptr().cast(),
            buf.len(),
            host.as_mut_ptr().cast(),
            host.len(),
            port.as_mut_ptr().cast(),
            port.len()
        );
        (Code::of(error), len)
    }

    /// Slot 5, into a buffer of `size` bytes and texts of these sizes.
    pub fn receive_from(&self, size: usize, host_size: usize, port_size: usize) -> Received {
        let mut buffer = Buffer::new(size);
        let (mut host, mut port) = (Buffer::new(host_size), Buffer::new(port_size));
        let (code, len) = self.receive_from_into(buffer.space(), host.space(), port.space());
        Received {
            code,
            data: buffer.received(len),
            from: [host, port].map(|text| text.is_touched().then(|| text.text())),
        }
    }

    /// Slot 6.
    #[inline]
    pub fn bind(&self, host: impl Text, port: impl Text) -> Code {
        host.pass(|host| port.pass(|port| Code::of(call!(self, bind, host, port))))
    }

    /// Slot 7.
    pub fn accept(&self, new: &Socket) -> Code {
        Code::of(call!(self, accept, new.as_ptr()))
    }

    /// Slot 8.
    #[inline]
    pub fn close(&self) -> Code {
        Code::of(call!(self, close))
    }

    /// Slot 9.
    pub fn shutdown(&self) -> Code {
        Code::of(call!(self, shutdown))
    }

    /// Slot 11: where the descriptor's number is.
    pub fn system_socket(&self) -> *const c_int {
        call!(self, get_system_socket).cast()
    }

    /// The descriptor's number.
    pub fn descriptor(&self) -> Option<c_int> {
        let place = self.system_socket();
        // SAFETY: NULL, or where the number is until close.
        unsafe { place.as_ref() }.copied()
    }

    /// Slot 12.
    pub fn interface_name(&self) -> Result<String, Code> {
        text_of(abi::IF_NAMESIZE, |out| self.write_interface_name(out))
    }

    /// Slot 12; allocates nothing. `out` has room for any name.
    pub fn write_interface_name(&self, out: &mut [u8]) -> Code {
        assert!(out.len() >= abi::IF_NAMESIZE);
        Code::of(call!(self, get_interface_name, out.as_mut_ptr().cast()))
    }

    /// Slots 13 to 17, into a buffer of `size` bytes.
    pub fn info(&self, info: Info, size: usize) -> Result<String, Code> {
        text_of(size, |out| self.write_info(info, out))
    }

    /// Slots 13 to 17; allocates nothing.
    pub fn write_info(&self, info: Info, out: &mut [u8]) -> Code {
        let (out, size) = (out.as_mut_ptr().cast(), out.len());
        Code::of(match info {
            Info::RemoteHost => call!(self, get_remote_host, out, size),
            Info::RemoteHostname => call!(self, get_remote_hostname, out, size),
            Info::RemotePort => call!(self, get_remote_port, out, size),
            Info::LocalHost => call!(self, get_local_host, out, size),
            Info::LocalPort => call!(self, get_local_port, out, size),
        })
    }

    /// Slot 18, of an option that is `N` bytes long; nothing else is written.
    pub fn get_opt<const N: usize>(&self, key: c_int) -> Result<[u8; N], Code> {
        let mut value = Buffer::new(size_of::<SocketOptValue>());
        let code = Code::of(call!(self, get_opt, key, value.space().as_mut_ptr().cast()));
        if code != code::OK {
            value.assert_untouched();
            return Err(code);
        }
        Ok(value.written(N).try_into().expect("as many bytes"))
    }

    /// Slot 18 without a look at the value; allocates nothing.
    pub fn try_option(&self, key: SocketOptKey) -> Code {
        let mut value = SocketOptValue { bytes_sent: 0 };
        Code::of(call!(self, get_opt, key as c_int, &mut value))
    }

    /// get_opt of a C `int`.
    pub fn int_option(&self, key: c_int) -> Result<c_int, Code> {
        self.get_opt(key).map(c_int::from_ne_bytes)
    }

    fn counter(&self, key: SocketOptKey) -> u64 {
        let bytes = self.get_opt(key as c_int);
        u64::from_ne_bytes(bytes.expect("counters can always be read"))
    }

    /// get_opt of the bytes sent.
    pub fn bytes_sent(&self) -> u64 {
        self.counter(SocketOptKey::BytesSent)
    }

    /// get_opt of the bytes received.
    pub fn bytes_received(&self) -> u64 {
        self.counter(SocketOptKey::BytesReceived)
    }

    /// get_opt of the receive timeout, in seconds and nanoseconds.
    pub fn receive_timeout(&self) -> (i64, i32) {
        let bytes: [u8; size_of::<abi::Duration>()] = self
            .get_opt(SocketOptKey::RecvTimeout as c_int)
            .expect("the timeout can always be read");
        let (seconds, rest) = bytes.split_first_chunk().expect("an i64");
        let nanoseconds = rest.first_chunk().expect("an i32");
        (
            i64::from_ne_bytes(*seconds),
            i32::from_ne_bytes(*nanoseconds),
        )
    }

    /// Slot 19, with a family, or whatever else that number is.
    pub fn set_int_option(&self, key: c_int, value: c_int) -> Code {
        let value = SocketOptValue { addr_family: value };
        Code::of(call!(self, set_opt, key, value))
    }

    /// set_opt of the receive timeout, in seconds and nanoseconds.
    pub fn set_receive_timeout(&self, (seconds, nanoseconds): (i64, i32)) -> Code {
        let recv_timeout = abi::Duration {
            seconds,
            nanoseconds,
        };
        let value = SocketOptValue { recv_timeout };
        let key = SocketOptKey::RecvTimeout as c_int;
        Code::of(call!(self, set_opt, key, value))
    }

    /// set_opt of the receive timeout.
    pub fn set_timeout(&self, timeout: Duration) -> Code {
        let seconds = i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX);
        self.set_receive_timeout((seconds, timeout.subsec_nanos() as i32))
    }
}

impl Drop for Socket {
    #[inline]
    fn drop(&mut self) {
        if !self.raw.is_null() {
            let cleanup = self.methods().cleanup;
            // SAFETY: the object is alive, and nothing uses it after this.
            let error = unsafe { cleanup(&mut self.raw) };
            assert_eq!(Code::of(error), code::OK, "cleanup");
            assert!(self.raw.is_null(), "cleanup sets the pointer to NULL");
        }
        if !self.preferred.is_null() {
            // SAFETY: from a box, and the socket that used it is gone.
            drop(unsafe { Box::from_raw(self.preferred) });
        }
    }
}

/// The text that a method writes into a buffer of `size` bytes; nothing is
/// written on error.
fn text_of(size: usize, call: impl FnOnce(&mut [u8]) -> Code) -> Result<String, Code> {
    let mut buffer = Buffer::new(size);
    let code = call(buffer.space());
    if code != code::OK {
        buffer.assert_untouched();
        return Err(code);
    }
    Ok(buffer.text())
}
