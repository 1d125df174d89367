//! The same without a layer: a descriptor and the C library's wrappers, as a
//! C program without any library would use them.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::hint::black_box;
use core::{mem, ptr};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use libc::{sockaddr_in, socklen_t};

use crate::operations::{Kind, Patience, Transport};

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
    panic!("the kernel said {}", io::Error::last_os_error());
}

fn flags(patience: Patience) -> c_int {
    match patience {
        Patience::None => libc::MSG_DONTWAIT,
        Patience::Second => 0,
    }
}

impl Raw {
    fn new(fd: impl Into<OwnedFd>, patience: Patience) -> Raw {
        Raw {
            fd: fd.into(),
            flags: flags(patience),
        }
    }

    #[inline]
    fn receive_message(&self, buf: &mut [u8], from: Option<&mut sockaddr_in>) -> isize {
        let mut iov = libc::iovec {
            iov_base: buf.as_mut_ptr().cast(),
            iov_len: buf.len(),
        };
        // SAFETY: all zero bytes are a valid msghdr.
        let mut message: libc::msghdr = unsafe { mem::zeroed() };
        message.msg_iov = &mut iov;
        message.msg_iovlen = 1;
        if let Some(from) = from {
            message.msg_name = ptr::from_mut(from).cast();
            message.msg_namelen = size_of::<sockaddr_in>() as socklen_t;
        }
        // SAFETY: everything the message points at is writable.
        let len = unsafe { libc::recvmsg(self.fd.as_raw_fd(), &mut message, self.flags) };
        // A datagram that was cut is an error in the layer; look here, too.
        assert!(message.msg_flags & libc::MSG_TRUNC == 0);
        len
    }
}

/// send(2), of all of it.
#[inline]
pub fn send(fd: RawFd, data: &[u8]) {
    // SAFETY: the data is readable.
    let sent = unsafe { libc::send(fd, data.as_ptr().cast(), data.len(), libc::MSG_NOSIGNAL) };
    assert!(check(sent) == data.len());
}

#[inline]
fn descriptor(kind: Kind) -> OwnedFd {
    let kind = match kind {
        Kind::Udp => libc::SOCK_DGRAM,
        Kind::Tcp => libc::SOCK_STREAM,
    };
    // SAFETY: no memory is passed; the descriptor is nobody else's.
    unsafe {
        let fd = check(libc::socket(libc::AF_INET, kind | libc::SOCK_CLOEXEC, 0) as isize);
        OwnedFd::from_raw_fd(fd as c_int)
    }
}

#[inline]
fn connect(fd: &OwnedFd, to: &sockaddr_in) {
    // SAFETY: pointer and length describe the address.
    check(unsafe {
        libc::connect(
            fd.as_raw_fd(),
            ptr::from_ref(to).cast(),
            size_of::<sockaddr_in>() as socklen_t,
        )
    } as isize);
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

    fn udp_to(peer: SocketAddr, patience: Patience) -> Raw {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(peer).unwrap();
        Raw::new(socket, patience)
    }

    fn udp_bound(patience: Patience) -> (Raw, SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let local = socket.local_addr().unwrap();
        (Raw::new(socket, patience), local)
    }

    fn connect_udp(&self, peer: SocketAddr) {
        connect(&self.fd, &Raw::address(peer));
    }

    fn local_addr(&self) -> SocketAddr {
        let socket = UdpSocket::from(self.fd.try_clone().unwrap());
        socket.local_addr().unwrap()
    }

    fn tcp_to(peer: SocketAddr) -> Raw {
        Raw::new(TcpStream::connect(peer).unwrap(), Patience::Second)
    }

    fn tcp_pair() -> (Raw, Raw) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = Raw::tcp_to(listener.local_addr().unwrap());
        let (server, _) = listener.accept().unwrap();
        (client, Raw::new(server, Patience::Second))
    }

    #[inline]
    fn send(&self, data: &[u8]) {
        send(self.fd.as_raw_fd(), data);
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
                size_of::<sockaddr_in>() as socklen_t,
            )
        });
    }

    #[inline]
    fn receive(&self, buf: &mut [u8]) -> Option<usize> {
        usize::try_from(self.receive_message(buf, None)).ok()
    }

    #[inline]
    fn receive_stream(&self, buf: &mut [u8]) -> usize {
        // SAFETY: the buffer is writable.
        check(unsafe {
            libc::recv(
                self.fd.as_raw_fd(),
                buf.as_mut_ptr().cast(),
                buf.len(),
                self.flags,
            )
        })
    }

    #[inline]
    fn receive_from(&self, buf: &mut [u8]) {
        // SAFETY: all zero bytes are a valid address.
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
    fn connect_and_close(kind: Kind, to: &sockaddr_in) {
        connect(&descriptor(kind), to);
    }

    #[inline]
    fn bind_connect_and_close(to: &sockaddr_in) {
        let fd = descriptor(Kind::Udp);
        let local = Raw::address(SocketAddr::from(([127, 0, 0, 1], 0)));
        // SAFETY: pointer and length describe the address.
        check(unsafe {
            libc::bind(
                fd.as_raw_fd(),
                ptr::from_ref(&local).cast(),
                size_of::<sockaddr_in>() as socklen_t,
            )
        } as isize);
        connect(&fd, to);
    }

    #[inline]
    fn resolve(host: &CStr, _port: &CStr) {
        let mut addr = 0u32;
        // SAFETY: the text is terminated, the address as long as IPv4's.
        let parsed = unsafe { inet_pton(libc::AF_INET, host.as_ptr(), (&raw mut addr).cast()) };
        assert_eq!(parsed, 1);
        black_box(&addr);
    }
}
