//! The library as a C program uses it: symbols, and methods through the
//! v-table.

use core::ffi::{CStr, c_char};
use core::hint::black_box;
use core::mem::MaybeUninit;
use core::ptr;
use std::ffi::CString;
use std::net::SocketAddr;

use anjay_net::abi::{
    self, AddressFamily, Duration, Error, ResolvedEndpoint, SocketConfiguration, SocketOptKey,
    SocketOptValue, SocketType,
};
use anjay_net::errno::ErrorCode;
use anjay_net::symbols;

use crate::operations::{Kind, Patience, Transport};

/// A socket of the library.
pub struct Layer(*mut abi::Socket);

// SAFETY: the library's methods may be called from any thread.
unsafe impl Send for Layer {}

/// The method of that name, loaded from the object's table as C does.
macro_rules! call {
    ($self:expr, $method:ident $(, $argument:expr)*) => {{
        // SAFETY: the object lives as long as `self`; what the arguments point
        // at outlives the call.
        unsafe { ((*(*$self.0).operations).$method)($self.0 $(, $argument)*) }
    }};
}

#[inline]
fn succeed(error: Error) {
    // As avs_is_ok() of avs_commons.
    if error.category != 0 {
        fail(error);
    }
}

#[cold]
#[inline(never)]
fn fail(error: Error) -> ! {
    panic!("the library said {error:?}");
}

/// A configuration as Anjay passes it: all zero bytes.
static DEFAULT: Configuration = Configuration(SocketConfiguration {
    dscp: 0,
    priority: 0,
    reuse_addr: 0,
    transparent: 0,
    interface_name: [0; abi::IF_NAMESIZE],
    preferred_endpoint: ptr::null_mut(),
    address_family: 0,
    forced_mtu: 0,
    preferred_family: 0,
});

struct Configuration(SocketConfiguration);

// SAFETY: its only pointer is NULL.
unsafe impl Sync for Configuration {}

impl Layer {
    /// A closed socket.
    #[inline]
    pub fn create(kind: Kind) -> Layer {
        let mut socket = ptr::null_mut();
        let config = (&raw const DEFAULT.0).cast();
        // SAFETY: both pointers are valid.
        succeed(unsafe {
            match kind {
                Kind::Udp => symbols::_avs_net_create_udp_socket(&mut socket, config),
                Kind::Tcp => symbols::_avs_net_create_tcp_socket(&mut socket, config),
            }
        });
        // From here on nobody knows whose v-table it has.
        Layer(black_box(socket))
    }

    /// connect, with host and port as text.
    #[inline]
    pub fn connect(&self, to: &HostPort) {
        succeed(call!(self, connect, to.host.as_ptr(), to.port.as_ptr()));
    }

    /// bind, with address and port as text.
    #[inline]
    pub fn bind(&self, address: &CStr, port: &CStr) {
        succeed(call!(self, bind, address.as_ptr(), port.as_ptr()));
    }

    /// close.
    #[inline]
    pub fn close(&self) {
        succeed(call!(self, close));
    }

    /// get_opt of an option by its key; the value is thrown away.
    #[inline]
    pub fn get_opt(&self, key: SocketOptKey) {
        let mut value = SocketOptValue { bytes_sent: 0 };
        succeed(call!(self, get_opt, key as i32, &mut value));
        black_box(value);
    }

    /// set_opt of the receive timeout.
    #[inline]
    pub fn set_timeout(&self, patience: Patience) {
        let value = SocketOptValue {
            recv_timeout: Duration {
                seconds: match patience {
                    Patience::None => 0,
                    Patience::Second => 1,
                },
                nanoseconds: 0,
            },
        };
        succeed(call!(
            self,
            set_opt,
            SocketOptKey::RecvTimeout as i32,
            value
        ));
    }

    /// set_opt of the preferred family.
    #[inline]
    pub fn set_preferred_family(&self, family: AddressFamily) {
        let value = SocketOptValue {
            addr_family: family as i32,
        };
        let key = SocketOptKey::PreferredAddrFamily as i32;
        succeed(call!(self, set_opt, key, value));
    }

    /// Calls the five methods that write a text about either end.
    pub fn get_texts(&self) {
        let mut text = [0 as c_char; 64];
        let (out, size) = (text.as_mut_ptr(), text.len());
        succeed(call!(self, get_remote_host, out, size));
        succeed(call!(self, get_remote_hostname, out, size));
        succeed(call!(self, get_remote_port, out, size));
        succeed(call!(self, get_local_host, out, size));
        succeed(call!(self, get_local_port, out, size));
        black_box(text);
    }

    /// get_interface_name.
    pub fn get_interface_name(&self) {
        let mut name = [0 as c_char; abi::IF_NAMESIZE];
        succeed(call!(self, get_interface_name, name.as_mut_ptr()));
        black_box(name);
    }

    /// get_system_socket.
    pub fn descriptor(&self) -> i32 {
        let slot = call!(self, get_system_socket).cast::<i32>();
        // SAFETY: NULL, or the descriptor's place.
        unsafe { slot.as_ref() }.map_or(-1, |fd| *fd)
    }

    /// A socket that `other` accepts, on the kernel's word that it is there.
    fn accepted_by(listener: &Layer) -> Layer {
        let socket = Layer::create(Kind::Tcp);
        succeed(call!(listener, accept, socket.0));
        socket
    }

    fn local(&self) -> SocketAddr {
        let (mut host, mut port) = ([0u8; 64], [0u8; 8]);
        succeed(call!(
            self,
            get_local_host,
            host.as_mut_ptr().cast(),
            host.len()
        ));
        succeed(call!(
            self,
            get_local_port,
            port.as_mut_ptr().cast(),
            port.len()
        ));
        let text = |bytes| {
            CStr::from_bytes_until_nul(bytes)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        };
        let ip = text(&host).parse().unwrap();
        SocketAddr::new(ip, text(&port).parse().unwrap())
    }
}

impl Drop for Layer {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the object is ours and nobody uses it any more.
        succeed(unsafe { ((*(*self.0).operations).cleanup)(&mut self.0) });
    }
}

/// An address as the methods want it.
pub struct HostPort {
    host: CString,
    port: CString,
}

impl Transport for Layer {
    type Address = HostPort;

    fn address(addr: SocketAddr) -> HostPort {
        HostPort {
            host: CString::new(addr.ip().to_string()).unwrap(),
            port: CString::new(addr.port().to_string()).unwrap(),
        }
    }

    fn udp_to(peer: SocketAddr, patience: Patience) -> Layer {
        let socket = Layer::create(Kind::Udp);
        socket.set_timeout(patience);
        socket.connect(&Layer::address(peer));
        socket
    }

    fn udp_bound(patience: Patience) -> (Layer, SocketAddr) {
        let socket = Layer::create(Kind::Udp);
        socket.set_timeout(patience);
        socket.bind(c"127.0.0.1", c"0");
        let local = socket.local();
        (socket, local)
    }

    fn connect_udp(&self, peer: SocketAddr) {
        self.connect(&Layer::address(peer));
    }

    fn local_addr(&self) -> SocketAddr {
        self.local()
    }

    fn tcp_to(peer: SocketAddr) -> Layer {
        let socket = Layer::create(Kind::Tcp);
        socket.connect(&Layer::address(peer));
        socket
    }

    fn tcp_pair() -> (Layer, Layer) {
        let listener = Layer::create(Kind::Tcp);
        listener.bind(c"127.0.0.1", c"0");
        let client = Layer::tcp_to(listener.local());
        let server = Layer::accepted_by(&listener);
        (client, server)
    }

    #[inline]
    fn send(&self, data: &[u8]) {
        succeed(call!(self, send, data.as_ptr().cast(), data.len()));
    }

    #[inline]
    fn send_to(&self, data: &[u8], to: &HostPort) {
        succeed(call!(
            self,
            send_to,
            data.as_ptr().cast(),
            data.len(),
            to.host.as_ptr(),
            to.port.as_ptr()
        ));
    }

    #[inline]
    fn receive(&self, buf: &mut [u8]) -> Option<usize> {
        let mut len = 0;
        let error = call!(self, receive, &mut len, buf.as_mut_ptr().cast(), buf.len());
        if error == Error::OK {
            return Some(len);
        }
        if error.code != ErrorCode::ETIMEDOUT as u16 {
            fail(error);
        }
        None
    }

    #[inline]
    fn receive_stream(&self, buf: &mut [u8]) -> usize {
        self.receive(buf).expect("nothing came in time")
    }

    #[inline]
    fn receive_from(&self, buf: &mut [u8]) {
        let (mut host, mut port) = ([0 as c_char; 46], [0 as c_char; 6]);
        let mut len = 0;
        succeed(call!(
            self,
            receive_from,
            &mut len,
            buf.as_mut_ptr().cast(),
            buf.len(),
            host.as_mut_ptr(),
            host.len(),
            port.as_mut_ptr(),
            port.len()
        ));
        black_box((&host, &port));
    }

    #[inline]
    fn connect_and_close(kind: Kind, to: &HostPort) {
        let socket = Layer::create(kind);
        socket.connect(to);
        socket.close();
    }

    #[inline]
    fn bind_connect_and_close(to: &HostPort) {
        let socket = Layer::create(Kind::Udp);
        socket.bind(c"127.0.0.1", c"0");
        socket.connect(to);
        socket.close();
    }

    #[inline]
    fn resolve(host: &CStr, port: &CStr) {
        let mut endpoint = MaybeUninit::<ResolvedEndpoint>::uninit();
        // SAFETY: all pointers are valid; the list is deleted once.
        unsafe {
            let mut list = symbols::avs_net_addrinfo_resolve_ex(
                SocketType::Udp as i32,
                AddressFamily::Unspec as i32,
                host.as_ptr(),
                port.as_ptr(),
                0,
                ptr::null(),
            );
            assert_eq!(
                symbols::avs_net_addrinfo_next(list, endpoint.as_mut_ptr()),
                0
            );
            symbols::avs_net_addrinfo_delete(&mut list);
        }
        black_box(&endpoint);
    }
}
