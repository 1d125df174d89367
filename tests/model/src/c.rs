//! The library as C calls it. Arguments are what C could pass, NULL and buffers
//! that are too small too; results are the numbers that C gets.

use std::ffi::{CString, c_char, c_int, c_void};
use std::mem;
use std::ptr;

use anjay_net::abi::{
    self, Error, ResolvedEndpoint, SocketConfiguration, SocketOptValue, SocketVTable,
};
use anjay_net::{settings, symbols};

/// Text that C passes: NULL, or bytes up to their NUL.
pub type Text<'a> = Option<&'a [u8]>;

/// 0 or an error code.
pub type Code = u16;

/// What out buffers hold before a call.
const POISON: u8 = 0xa5;

/// So many bytes after an out buffer must stay as they were.
const GUARD: usize = 32;

/// `avs_net_socket_type_t`, of which two are sockets here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Tcp = 0,
    Udp = 1,
}

/// The code of an error, whose category must be that of sockets.
pub fn code(error: Error) -> Code {
    const CATEGORY: u16 = 37766;
    assert!(
        error.category == CATEGORY || (error.code == 0 && error.category == 0),
        "{error:?} is of a strange category"
    );
    error.code
}

fn result<T>(code: Code, value: impl FnOnce() -> T) -> Result<T, Code> {
    match code {
        0 => Ok(value()),
        code => Err(code),
    }
}

/// A text as C has it; what follows a NUL is not seen.
pub struct CText(Option<CString>);

impl CText {
    /// NULL for `None`.
    pub fn new(text: Text) -> CText {
        CText(text.map(|bytes| {
            let end = bytes.iter().position(|&byte| byte == 0);
            CString::new(&bytes[..end.unwrap_or(bytes.len())]).expect("cut at its NUL")
        }))
    }

    /// NULL or a NUL-terminated text that lives as long as `self`.
    pub fn as_ptr(&self) -> *const c_char {
        self.0.as_ref().map_or(ptr::null(), |text| text.as_ptr())
    }
}

/// An out buffer of exactly some bytes.
pub struct Buffer {
    bytes: Vec<u8>,
    size: usize,
}

impl Buffer {
    /// Poisoned, and guarded behind its end.
    pub fn new(size: usize) -> Buffer {
        Buffer {
            bytes: vec![POISON; size + GUARD],
            size,
        }
    }

    /// Where to write.
    pub fn as_mut_ptr<T>(&mut self) -> *mut T {
        self.bytes.as_mut_ptr().cast()
    }

    /// What was written, `len` bytes of it; the rest must be untouched.
    #[track_caller]
    pub fn written(&self, len: usize) -> &[u8] {
        assert!(len <= self.size, "{len} bytes in a buffer of {}", self.size);
        self.assert_untouched_from(len);
        &self.bytes[..len]
    }

    /// The first `len` bytes. What follows them may be of a datagram that was
    /// not for the caller and had to be dropped.
    #[track_caller]
    fn received(&self, len: usize) -> Vec<u8> {
        assert!(len <= self.size, "{len} bytes in a buffer of {}", self.size);
        self.assert_untouched_from(self.size);
        self.bytes[..len].to_vec()
    }

    /// That nothing was written at all.
    #[track_caller]
    pub fn assert_untouched(&self) {
        self.assert_untouched_from(0);
    }

    /// Whether anything was written.
    pub fn is_touched(&self) -> bool {
        self.bytes.iter().any(|&byte| byte != POISON)
    }

    #[track_caller]
    fn assert_untouched_from(&self, start: usize) {
        let touched = self.bytes[start..].iter().position(|&byte| byte != POISON);
        assert_eq!(touched, None, "written behind byte {start}");
    }

    /// The text up to its NUL, which must be within the buffer.
    #[track_caller]
    pub fn text(&self) -> String {
        let end = self.bytes[..self.size].iter().position(|&byte| byte == 0);
        let end = end.expect("the text is terminated within its buffer");
        self.assert_untouched_from(end + 1);
        String::from_utf8(self.bytes[..end].to_vec()).expect("plain text")
    }
}

/// The text that a function writes into a buffer of `size` bytes; nothing is
/// written on error.
pub fn text_of(
    size: usize,
    call: impl FnOnce(*mut c_char, usize) -> Error,
) -> Result<String, Code> {
    let mut buffer = Buffer::new(size);
    let code = code(call(buffer.as_mut_ptr(), size));
    if code != 0 {
        buffer.assert_untouched();
    }
    result(code, || buffer.text())
}

/// Changes the settings of the process.
pub fn configure(change: impl FnOnce(&mut settings::Settings)) {
    // SAFETY: all zero bytes are valid numbers.
    let mut settings: settings::Settings = unsafe { mem::zeroed() };
    settings.size = size_of::<settings::Settings>();
    // SAFETY: a whole struct with its size.
    assert_eq!(
        unsafe { settings::anjay_net_get_settings(&mut settings) },
        0
    );
    change(&mut settings);
    // SAFETY: a whole struct with its size; nobody asks for the problem.
    let set = unsafe { settings::anjay_net_configure(&settings, ptr::null_mut()) };
    assert_eq!(set, 0, "settings within their limits");
}

/// An endpoint that stores nothing.
pub fn no_endpoint() -> ResolvedEndpoint {
    // SAFETY: all zero bytes are an endpoint that stores nothing.
    unsafe { mem::zeroed() }
}

/// The default configuration.
pub fn default_configuration() -> SocketConfiguration {
    // SAFETY: all zero bytes are the valid default.
    unsafe { mem::zeroed() }
}

/// `avs_net_resolved_endpoint_get_host_port` with buffers of those sizes.
pub fn host_port(
    endpoint: &ResolvedEndpoint,
    host_size: usize,
    port_size: usize,
) -> (Code, Buffer, Buffer) {
    let (mut host, mut port) = (Buffer::new(host_size), Buffer::new(port_size));
    // SAFETY: a whole endpoint; buffers of these sizes.
    let error = unsafe {
        symbols::avs_net_resolved_endpoint_get_host_port(
            endpoint,
            host.as_mut_ptr(),
            host_size,
            port.as_mut_ptr(),
            port_size,
        )
    };
    (code(error), host, port)
}

/// Arguments of `avs_net_addrinfo_resolve_ex`.
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Question<'a> {
    pub socket_type: c_int,
    pub family: c_int,
    pub host: Text<'a>,
    pub port: Text<'a>,
    pub flags: c_int,
    pub preferred: Option<&'a ResolvedEndpoint>,
}

/// The whole list; `None` for NULL. Rewinding it must give it again.
pub fn resolve(question: &Question<'_>) -> Option<Vec<ResolvedEndpoint>> {
    let (host, port) = (CText::new(question.host), CText::new(question.port));
    // SAFETY: NULL or texts; NULL or a whole endpoint.
    let mut list = unsafe {
        symbols::avs_net_addrinfo_resolve_ex(
            question.socket_type,
            question.family,
            host.as_ptr(),
            port.as_ptr(),
            question.flags,
            question.preferred.map_or(ptr::null(), ptr::from_ref),
        )
    };
    if list.is_null() {
        return None;
    }
    let all = || {
        let mut found = Vec::new();
        let mut next = no_endpoint();
        loop {
            // SAFETY: the list is not deleted yet; a whole endpoint.
            match unsafe { symbols::avs_net_addrinfo_next(list, &mut next) } {
                0 => found.push(next),
                1 => return found,
                other => panic!("avs_net_addrinfo_next: {other}"),
            }
        }
    };
    let found = all();
    // SAFETY: as above.
    unsafe { symbols::avs_net_addrinfo_rewind(list) };
    let again = all();
    assert!(
        found.iter().map(stored).eq(again.iter().map(stored)),
        "rewinding starts the same list over"
    );
    // SAFETY: deleted once.
    unsafe { symbols::avs_net_addrinfo_delete(&mut list) };
    assert!(list.is_null());
    Some(found)
}

/// The bytes of the sockaddr that count.
pub fn stored(endpoint: &ResolvedEndpoint) -> &[u8] {
    // SAFETY: any bytes are a buffer, and all of them are initialised.
    let data: &[u8; abi::SOCKADDR_CAPACITY] = unsafe { &endpoint.data.buf };
    &data[..usize::from(endpoint.size)]
}

/// A socket, and the endpoint that its configuration points at.
pub struct Socket {
    raw: *mut abi::Socket,
    preferred: *mut ResolvedEndpoint,
}

impl Socket {
    /// `config.preferred_endpoint` is replaced by one of this object's own
    /// unless it is NULL.
    pub fn create(kind: Kind, mut config: SocketConfiguration) -> Result<Socket, Code> {
        let preferred = Box::into_raw(Box::new(no_endpoint()));
        if !config.preferred_endpoint.is_null() {
            // SAFETY: a whole endpoint, as C promises; ours is one as well.
            unsafe { preferred.write(config.preferred_endpoint.read()) };
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
        // SAFETY: writable; a whole configuration.
        let error = unsafe { create(&mut socket.raw, (&raw const config).cast()) };
        assert_eq!(socket.raw.is_null(), error.code != 0, "an object or NULL");
        result(code(error), || socket)
    }

    /// What C passes as the socket.
    pub fn as_ptr(&self) -> *mut abi::Socket {
        self.raw
    }

    /// The method table.
    pub fn methods(&self) -> &SocketVTable {
        // SAFETY: the object lives as long as `self` and begins with the
        // pointer to its table, which lives as long as the program.
        unsafe { &*(*self.raw).operations }
    }

    /// The remembered endpoint.
    pub fn preferred(&self) -> ResolvedEndpoint {
        // SAFETY: lives as long as `self`; written by calls on this thread.
        unsafe { *self.preferred }
    }
}

/// A method without arguments, or with two texts, and so on: what C writes.
macro_rules! call {
    ($socket:expr, $method:ident $(, $argument:expr)*) => {{
        let socket: &Socket = $socket;
        // SAFETY: the object is alive; what the arguments point at outlives
        // the call and is as long as they say.
        unsafe { (socket.methods().$method)(socket.as_ptr() $(, $argument)*) }
    }};
}

pub(crate) use call;

/// What a receive has given.
#[derive(Debug)]
pub struct Received {
    /// 0 or an error code; of the texts, too.
    pub code: Code,
    /// What is in the buffer.
    pub data: Vec<u8>,
    /// Of receive_from: whose it is, as far as the texts fit.
    pub from: [Option<String>; 2],
}

/// The texts that a method of its own gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Info {
    RemoteHost,
    RemoteHostname,
    RemotePort,
    LocalHost,
    LocalPort,
}

/// Every method, with the arguments that C could pass.
impl Socket {
    #[allow(missing_docs)]
    pub fn connect(&self, host: Text, port: Text) -> Code {
        let (host, port) = (CText::new(host), CText::new(port));
        code(call!(self, connect, host.as_ptr(), port.as_ptr()))
    }

    #[allow(missing_docs)]
    pub fn decorate(&self, backend: &Socket) -> Code {
        code(call!(self, decorate, backend.as_ptr()))
    }

    #[allow(missing_docs)]
    pub fn send(&self, data: &[u8]) -> Code {
        code(call!(self, send, data.as_ptr().cast(), data.len()))
    }

    #[allow(missing_docs)]
    pub fn send_to(&self, data: &[u8], host: Text, port: Text) -> Code {
        let (host, port) = (CText::new(host), CText::new(port));
        let (buf, len) = (data.as_ptr().cast::<c_void>(), data.len());
        code(call!(self, send_to, buf, len, host.as_ptr(), port.as_ptr()))
    }

    /// receive into a buffer of `size` bytes.
    pub fn receive(&self, size: usize) -> Received {
        let (mut buffer, mut len) = (Buffer::new(size), usize::MAX);
        let code = code(call!(self, receive, &mut len, buffer.as_mut_ptr(), size));
        Received {
            code,
            data: buffer.received(len),
            from: [None, None],
        }
    }

    /// receive_from into a buffer of `size` bytes and texts of these sizes.
    pub fn receive_from(&self, size: usize, host_size: usize, port_size: usize) -> Received {
        let (mut buffer, mut len) = (Buffer::new(size), usize::MAX);
        let (mut host, mut port) = (Buffer::new(host_size), Buffer::new(port_size));
        let code = code(call!(
            self,
            receive_from,
            &mut len,
            buffer.as_mut_ptr(),
            size,
            host.as_mut_ptr(),
            host_size,
            port.as_mut_ptr(),
            port_size
        ));
        Received {
            code,
            data: buffer.received(len),
            from: [host, port].map(|text| text.is_touched().then(|| text.text())),
        }
    }

    #[allow(missing_docs)]
    pub fn bind(&self, host: Text, port: Text) -> Code {
        let (host, port) = (CText::new(host), CText::new(port));
        code(call!(self, bind, host.as_ptr(), port.as_ptr()))
    }

    #[allow(missing_docs)]
    pub fn accept(&self, new: &Socket) -> Code {
        code(call!(self, accept, new.as_ptr()))
    }

    #[allow(missing_docs)]
    pub fn close(&self) -> Code {
        code(call!(self, close))
    }

    #[allow(missing_docs)]
    pub fn shutdown(&self) -> Code {
        code(call!(self, shutdown))
    }

    /// Where the descriptor's number is.
    pub fn system_socket(&self) -> *const c_int {
        call!(self, get_system_socket).cast()
    }

    /// The descriptor's number.
    pub fn descriptor(&self) -> Option<c_int> {
        let place = self.system_socket();
        // SAFETY: NULL, or where the number is until close.
        unsafe { place.as_ref() }.copied()
    }

    #[allow(missing_docs)]
    pub fn interface_name(&self) -> Result<String, Code> {
        text_of(abi::IF_NAMESIZE, |out, _| {
            call!(self, get_interface_name, out)
        })
    }

    /// One of the five texts, into a buffer of `size` bytes.
    pub fn info(&self, info: Info, size: usize) -> Result<String, Code> {
        text_of(size, |out, size| match info {
            Info::RemoteHost => call!(self, get_remote_host, out, size),
            Info::RemoteHostname => call!(self, get_remote_hostname, out, size),
            Info::RemotePort => call!(self, get_remote_port, out, size),
            Info::LocalHost => call!(self, get_local_host, out, size),
            Info::LocalPort => call!(self, get_local_port, out, size),
        })
    }

    /// get_opt of an option that is `N` bytes long; nothing else is written.
    pub fn get_opt<const N: usize>(&self, key: c_int) -> Result<[u8; N], Code> {
        let mut value = Buffer::new(size_of::<SocketOptValue>());
        let code = code(call!(self, get_opt, key, value.as_mut_ptr()));
        if code != 0 {
            value.assert_untouched();
        }
        result(code, || {
            <[u8; N]>::try_from(value.written(N)).expect("as many bytes")
        })
    }

    /// get_opt of a C `int`.
    pub fn int_option(&self, key: c_int) -> Result<c_int, Code> {
        self.get_opt(key).map(c_int::from_ne_bytes)
    }

    /// get_opt of a counter.
    pub fn counter(&self, key: c_int) -> u64 {
        let bytes = self.get_opt(key).expect("counters can always be asked");
        u64::from_ne_bytes(bytes)
    }

    /// The receive timeout, in seconds and nanoseconds.
    pub fn receive_timeout(&self) -> (i64, i32) {
        let bytes: [u8; size_of::<abi::Duration>()] =
            self.get_opt(0).expect("the timeout can always be asked");
        let (seconds, rest) = bytes.split_at(8);
        let word = |bytes: &[u8]| i32::from_ne_bytes(bytes[..4].try_into().expect("four bytes"));
        let seconds = i64::from_ne_bytes(seconds.try_into().expect("eight bytes"));
        (seconds, word(rest))
    }

    /// set_opt with a family, or whatever else that number is.
    pub fn set_int_option(&self, key: c_int, value: c_int) -> Code {
        let value = SocketOptValue { addr_family: value };
        code(call!(self, set_opt, key, value))
    }

    /// set_opt of the receive timeout.
    pub fn set_receive_timeout(&self, (seconds, nanoseconds): (i64, i32)) -> Code {
        let recv_timeout = abi::Duration {
            seconds,
            nanoseconds,
        };
        code(call!(self, set_opt, 0, SocketOptValue { recv_timeout }))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if !self.raw.is_null() {
            let cleanup = self.methods().cleanup;
            // SAFETY: the object is alive, and nothing uses it after this.
            let error = unsafe { cleanup(&mut self.raw) };
            assert_eq!(code(error), 0, "cleanup");
            assert!(self.raw.is_null(), "cleanup sets the pointer to NULL");
        }
        // SAFETY: from a box; the socket that used it is gone.
        drop(unsafe { Box::from_raw(self.preferred) });
    }
}
