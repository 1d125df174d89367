//! The same without a layer: a descriptor and the C library's wrappers, as a
//! C program without any library would use them.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::hint::black_box;
use core::{mem, ptr};
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use anjay_net_vtable::Kind;
use libc::{sockaddr_in, socklen_t};

use crate::{Transport, Wait};

unsafe extern "C" {
    fn inet_pton(family: c_int, text: *const c_char, out: *mut c_void) -> c_int;
    fn inet_ntop(
        family: c_int,
        addr: *const c_void,
        out: *mut c_char,
        size: socklen_t,
    ) -> *const c_char;
}

/// A blocking descriptor.
pub struct Raw {
    fd: OwnedFd,
    /// Of receives.
    flags: c_int,
}

const ADDRESS_SIZE: socklen_t = size_of::<sockaddr_in>() as socklen_t;

#[inline]
fn check(result: isize) -> usize {
    if result < 0 {
        fail();
    }
    result as usize
}

#[cold]
#[inline(never)]
fn fail() -> ! {
    panic!("the kernel returned {}", io::Error::last_os_error());
}

impl Raw {
    #[inline]
    fn receive_message(&self, buf: &mut [u8], from: Option<&mut sockaddr_in>) -> isize {
        let mut iov = libc::iovec {
            iov_base: buf.as_mut_ptr().cast(),
            iov_len: buf.len(),
        };
        // SAFETY: integers and pointers, for which zero bytes are valid.
        let mut message: libc::msghdr = unsafe { mem::zeroed() };
        message.msg_iov = &mut iov;
        message.msg_iovlen = 1;
        if let Some(from) = from {
            message.msg_name = ptr::from_mut(from).cast();
            message.msg_namelen = ADDRESS_SIZE;
        }
        // SAFETY: everything the message points at is writable.
        let len = unsafe { libc::recvmsg(self.fd.as_raw_fd(), &mut message, self.flags) };
        // A datagram that was cut is an error in the layer; look here, too.
        assert!(message.msg_flags & libc::MSG_TRUNC == 0);
        len
    }
}

impl Transport for Raw {
    type Address = sockaddr_in;

    fn address(addr: SocketAddr) -> sockaddr_in {
        let SocketAddr::V4(addr) = addr else {
            panic!("only IPv4 is measured");
        };
        sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t,
            sin_port: addr.port().to_be(),
            sin_addr: libc::in_addr {
                s_addr: u32::from_ne_bytes(addr.ip().octets()),
            },
            sin_zero: [0; 8],
        }
    }

    #[inline]
    fn open(kind: Kind, wait: Wait) -> Raw {
        let kind = match kind {
            Kind::Udp => libc::SOCK_DGRAM,
            Kind::Tcp => libc::SOCK_STREAM,
        };
        // SAFETY: no memory is passed, and the new descriptor has no owner yet.
        let fd = unsafe {
            let fd = check(libc::socket(libc::AF_INET, kind | libc::SOCK_CLOEXEC, 0) as isize);
            OwnedFd::from_raw_fd(fd as c_int)
        };
        let flags = match wait {
            Wait::No => libc::MSG_DONTWAIT,
            Wait::Second | Wait::Default => 0,
        };
        Raw { fd, flags }
    }

    #[inline]
    fn bind(&self) {
        let local = Raw::address(SocketAddr::from(([127, 0, 0, 1], 0)));
        let local = (&raw const local).cast();
        // SAFETY: pointer and length describe the address.
        check(unsafe { libc::bind(self.fd.as_raw_fd(), local, ADDRESS_SIZE) } as isize);
    }

    #[inline]
    fn connect(&self, to: &sockaddr_in) {
        let to = ptr::from_ref(to).cast();
        // SAFETY: pointer and length describe the address.
        check(unsafe { libc::connect(self.fd.as_raw_fd(), to, ADDRESS_SIZE) } as isize);
    }

    #[inline]
    fn close(self) {}

    fn tcp_pair() -> (Raw, Raw) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = Raw::to(Kind::Tcp, listener.local_addr().unwrap(), Wait::Second);
        let (server, _) = listener.accept().unwrap();
        let fd = server.into();
        (client, Raw { fd, flags: 0 })
    }

    fn local_addr(&self) -> SocketAddr {
        let socket = UdpSocket::from(self.fd.try_clone().unwrap());
        socket.local_addr().unwrap()
    }

    #[inline]
    fn send(&self, data: &[u8]) {
        let (fd, flags) = (self.fd.as_raw_fd(), libc::MSG_NOSIGNAL);
        // SAFETY: the data is readable.
        let sent = unsafe { libc::send(fd, data.as_ptr().cast(), data.len(), flags) };
        assert!(check(sent) == data.len());
    }

    #[inline]
    fn send_to(&self, data: &[u8], to: &sockaddr_in) {
        // SAFETY: the data is readable; pointer and length describe the address.
        check(unsafe {
            libc::sendto(
                self.fd.as_raw_fd(),
                data.as_ptr().cast(),
                data.len(),
                libc::MSG_NOSIGNAL,
                ptr::from_ref(to).cast(),
                ADDRESS_SIZE,
            )
        });
    }

    #[inline]
    fn receive(&self, buf: &mut [u8]) -> Option<usize> {
        usize::try_from(self.receive_message(buf, None)).ok()
    }

    #[inline]
    fn receive_from(&self, buf: &mut [u8]) {
        // SAFETY: integers, for which zero bytes are valid.
        let mut from: sockaddr_in = unsafe { mem::zeroed() };
        check(self.receive_message(buf, Some(&mut from)));
        let (mut host, mut port) = ([0 as c_char; 46], [0 as c_char; 6]);
        // SAFETY: the buffers are writable for their sizes.
        unsafe {
            inet_ntop(
                libc::AF_INET,
                (&raw const from.sin_addr).cast(),
                host.as_mut_ptr(),
                host.len() as socklen_t,
            );
            libc::snprintf(
                port.as_mut_ptr(),
                port.len(),
                c"%u".as_ptr(),
                libc::c_uint::from(u16::from_be(from.sin_port)),
            );
        }
        black_box((&host, &port));
    }

    #[inline]
    fn resolve(host: &'static CStr, _port: &'static CStr) {
        let mut addr = 0u32;
        // SAFETY: the text is terminated, the address as long as IPv4's.
        let parsed = unsafe { inet_pton(libc::AF_INET, host.as_ptr(), (&raw mut addr).cast()) };
        assert_eq!(parsed, 1);
        black_box(&addr);
    }
}
