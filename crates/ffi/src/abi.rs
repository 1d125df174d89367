//! The avs_commons socket ABI under our own names: layouts, enum values and
//! the v-table, as a compiled Anjay expects them.
//!
//! Everything here is data; the functions behind it are in `vtable`
//! and [`crate::symbols`]. Layouts are asserted against a checked-in table of
//! facts by the layout tests, from Rust and from C.

use core::ffi::{c_char, c_int, c_void};

/// Longest interface name with its NUL (`IF_NAMESIZE`), in bytes.
pub const IF_NAMESIZE: usize = 16;

/// Bytes an endpoint reserves for its `sockaddr`.
pub const SOCKADDR_CAPACITY: usize = 128;

/// An error: a category and a code within it. Success is `code == 0`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Error {
    /// The namespace of `code`; socket errors use [`ERRNO_CATEGORY`].
    pub category: u16,
    /// 0 on success, otherwise one of [`ErrorCode`](crate::errno::ErrorCode).
    pub code: u16,
}

/// Category of the socket error codes.
pub const ERRNO_CATEGORY: u16 = 37766;

impl Error {
    /// Success.
    ///
    /// cbindgen:ignore
    pub const OK: Error = Error {
        category: 0,
        code: 0,
    };
}

/// A duration; valid if `0 <= nanoseconds < 10^9`. An invalid receive timeout
/// means "wait forever", a negative one "do not wait".
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duration {
    /// Whole seconds, may be negative.
    pub seconds: i64,
    /// Nanoseconds of the started second.
    pub nanoseconds: i32,
}

/// What kind of transport a socket or a resolution is for.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketType {
    /// Stream, plain.
    Tcp = 0,
    /// Datagram, plain.
    Udp = 1,
    /// Stream under TLS.
    Ssl = 2,
    /// Datagram under DTLS.
    Dtls = 3,
}

/// An address family.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressFamily {
    /// No restriction, or not known.
    Unspec = 0,
    /// IPv4.
    Inet4 = 1,
    /// IPv6.
    Inet6 = 2,
}

/// The state of a socket, as option `State` reports it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketState {
    /// No descriptor.
    Closed = 0,
    /// Shut down, not closed yet.
    Shutdown = 1,
    /// Bound; a TCP socket listens.
    Bound = 2,
    /// Made by accept.
    Accepted = 3,
    /// Made by connect.
    Connected = 4,
}

/// Option keys of `get_opt` and `set_opt`. Those from 10 on came with
/// avs_commons 5.1.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketOptKey {
    /// Receive timeout; get and set `recv_timeout`.
    RecvTimeout = 0,
    /// State; get `state`.
    State = 1,
    /// Family of the descriptor; get `addr_family`.
    AddrFamily = 2,
    /// Path MTU in bytes; get `mtu`.
    Mtu = 3,
    /// Largest datagram payload in bytes; get `mtu`.
    InnerMtu = 4,
    /// (D)TLS sockets only.
    SessionResumed = 5,
    /// Payload bytes sent; get `bytes_sent`.
    BytesSent = 6,
    /// Payload bytes received; get `bytes_received`.
    BytesReceived = 7,
    /// (D)TLS sockets only.
    DaneTlsaArray = 8,
    /// Data buffered above the kernel; get `flag`.
    HasBufferedData = 9,
    /// (D)TLS sockets only.
    #[cfg(not(feature = "avs-commons-4"))]
    DtlsHandshakeTimeouts = 10,
    /// (D)TLS sockets only.
    #[cfg(not(feature = "avs-commons-4"))]
    ConnectionIdResumed = 11,
    /// Soft family preference; get and set `addr_family`.
    #[cfg(not(feature = "avs-commons-4"))]
    PreferredAddrFamily = 12,
    /// Hard family restriction; get and set `addr_family`.
    #[cfg(not(feature = "avs-commons-4"))]
    ForcedAddrFamily = 13,
}

/// Flag of `avs_net_addrinfo_resolve_ex`: results are for bind.
pub const ADDRINFO_RESOLVE_F_PASSIVE: c_int = 1;
/// Flag of `avs_net_addrinfo_resolve_ex`: IPv4 results as v4-mapped IPv6.
pub const ADDRINFO_RESOLVE_F_V4MAPPED: c_int = 2;
/// Flag of `avs_net_addrinfo_resolve_ex`: a family needs no configured
/// address.
pub const ADDRINFO_RESOLVE_F_NOADDRCONFIG: c_int = 4;
/// What `avs_net_addrinfo_next` returns after the last endpoint.
pub const ADDRINFO_END: c_int = 1;

/// The widest of what the reference's union is aligned for: pointer, function
/// pointer, `long double` and `intmax_t`. Rust has no `long double`, so its
/// alignment is spelled out per processor.
#[cfg_attr(
    any(
        target_arch = "x86_64",
        all(target_arch = "aarch64", not(target_vendor = "apple")),
        target_arch = "riscv32",
        target_arch = "riscv64",
        target_arch = "powerpc64",
        target_arch = "mips64",
        target_arch = "loongarch64"
    ),
    repr(C, align(16))
)]
#[cfg_attr(
    any(
        target_arch = "arm",
        all(target_arch = "aarch64", target_vendor = "apple"),
        target_arch = "s390x",
        target_arch = "mips"
    ),
    repr(C, align(8))
)]
#[cfg_attr(target_arch = "x86", repr(C, align(4)))]
#[derive(Clone, Copy)]
pub union EndpointData {
    /// The raw `sockaddr`; bytes past `size` are zero when written by us.
    pub buf: [u8; SOCKADDR_CAPACITY],
}

// A processor that is missing above would silently get the wrong layout; all that
// are listed align the union to more than one byte.
const _: () = assert!(
    align_of::<EndpointData>() > 1,
    "the alignment of EndpointData is not known for this processor"
);

/// A resolved endpoint: a `sockaddr` and how much of it is used.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ResolvedEndpoint {
    /// Used bytes of `data`; 0 = none stored.
    pub size: u8,
    /// The raw `sockaddr`.
    pub data: EndpointData,
}

/// Creation parameters of a socket. All zero bytes are the valid default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SocketConfiguration {
    /// Differentiated services code point, 0..=63; 0 leaves it alone.
    pub dscp: u8,
    /// `SO_PRIORITY`, 0..=7; 0 leaves it alone.
    pub priority: u8,
    /// `SO_REUSEADDR`, 0 or 1.
    pub reuse_addr: u8,
    /// `IP_TRANSPARENT` / `IPV6_TRANSPARENT`, 0 or 1.
    pub transparent: u8,
    /// `SO_BINDTODEVICE`; NUL-terminated, empty = any.
    pub interface_name: [c_char; IF_NAMESIZE],
    /// Read and written by connect; may be NULL; outlives the socket.
    pub preferred_endpoint: *mut ResolvedEndpoint,
    /// Hard restriction, an address family.
    pub address_family: c_int,
    /// Above 0 overrides the MTU options, in bytes.
    pub forced_mtu: c_int,
    /// Soft preference, ignored when `address_family` is set.
    pub preferred_family: c_int,
}

/// Value of the DANE TLSA array option, which TCP and UDP sockets refuse.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct DaneTlsaArray {
    /// First element.
    pub array_ptr: *const c_void,
    /// Number of elements.
    pub array_element_count: usize,
}

/// Value of the DTLS handshake timeouts option (avs_commons 5.1 and newer);
/// unused here, but it determines the size of the union.
#[cfg(not(feature = "avs-commons-4"))]
#[repr(C)]
#[derive(Clone, Copy)]
pub struct DtlsHandshakeTimeouts {
    /// First retransmission timeout.
    pub min: Duration,
    /// Largest retransmission timeout.
    pub max: Duration,
}

/// An option's value: which field counts depends on the key.
///
/// `set_opt` takes it BY VALUE, so its size is part of the calling
/// convention: 32 bytes since avs_commons 5.1, 16 before.
#[repr(C)]
#[derive(Clone, Copy)]
pub union SocketOptValue {
    /// For RecvTimeout.
    pub recv_timeout: Duration,
    /// For State, a socket state.
    pub state: c_int,
    /// For the family keys, an address family.
    pub addr_family: c_int,
    /// For Mtu and InnerMtu, bytes.
    pub mtu: c_int,
    /// For the boolean keys.
    pub flag: bool,
    /// For BytesSent.
    pub bytes_sent: u64,
    /// For BytesReceived.
    pub bytes_received: u64,
    /// For DtlsHandshakeTimeouts.
    #[cfg(not(feature = "avs-commons-4"))]
    pub dtls_handshake_timeouts: DtlsHandshakeTimeouts,
    /// For DaneTlsaArray.
    pub dane_tlsa_array: DaneTlsaArray,
}

/// What C sees of a socket: its first field. The rest is private to the library
/// that created the object.
#[repr(C)]
pub struct Socket {
    /// The method table; never NULL.
    pub operations: *const SocketVTable,
}

/// An opaque address list.
pub struct AddrInfo;

/// The 20 methods of a socket, in ABI order.
///
/// What every method may assume, the `# Safety` of each slot: a pointer is NULL
/// or valid for what its type and size say, texts are NUL-terminated. During the
/// call nothing changes what it reads, and nothing else uses what it writes. A
/// socket points at an object whose first field is the v-table pointer; it is
/// used after its creation and before its cleanup, and cleanup runs concurrently only
/// with calls that wait.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)] // one line each would only repeat the name; see docs/methods.md
pub struct SocketVTable {
    pub connect: unsafe extern "C" fn(*mut Socket, *const c_char, *const c_char) -> Error,
    pub decorate: unsafe extern "C" fn(*mut Socket, *mut Socket) -> Error,
    pub send: unsafe extern "C" fn(*mut Socket, *const c_void, usize) -> Error,
    pub send_to: unsafe extern "C" fn(
        *mut Socket,
        *const c_void,
        usize,
        *const c_char,
        *const c_char,
    ) -> Error,
    pub receive: unsafe extern "C" fn(*mut Socket, *mut usize, *mut c_void, usize) -> Error,
    pub receive_from: unsafe extern "C" fn(
        *mut Socket,
        *mut usize,
        *mut c_void,
        usize,
        *mut c_char,
        usize,
        *mut c_char,
        usize,
    ) -> Error,
    pub bind: unsafe extern "C" fn(*mut Socket, *const c_char, *const c_char) -> Error,
    pub accept: unsafe extern "C" fn(*mut Socket, *mut Socket) -> Error,
    pub close: unsafe extern "C" fn(*mut Socket) -> Error,
    pub shutdown: unsafe extern "C" fn(*mut Socket) -> Error,
    pub cleanup: unsafe extern "C" fn(*mut *mut Socket) -> Error,
    pub get_system_socket: unsafe extern "C" fn(*mut Socket) -> *const c_void,
    pub get_interface_name: unsafe extern "C" fn(*mut Socket, *mut c_char) -> Error,
    pub get_remote_host: unsafe extern "C" fn(*mut Socket, *mut c_char, usize) -> Error,
    pub get_remote_hostname: unsafe extern "C" fn(*mut Socket, *mut c_char, usize) -> Error,
    pub get_remote_port: unsafe extern "C" fn(*mut Socket, *mut c_char, usize) -> Error,
    pub get_local_host: unsafe extern "C" fn(*mut Socket, *mut c_char, usize) -> Error,
    pub get_local_port: unsafe extern "C" fn(*mut Socket, *mut c_char, usize) -> Error,
    pub get_opt: unsafe extern "C" fn(*mut Socket, c_int, *mut SocketOptValue) -> Error,
    pub set_opt: unsafe extern "C" fn(*mut Socket, c_int, SocketOptValue) -> Error,
}
