//! What the behaviour tests share: sockets with short words, peers that are
//! not ours, and a way to wait until a thread waits.

// Each test program uses a part of this.
#![allow(dead_code)]

use std::fmt::Debug;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anjay_net_socket::{Kind, Socket, SocketConfig, Timeout};

/// How long something may take that takes no time, on a machine with more to
/// do than to run this test. What does not happen takes seconds.
pub const AT_ONCE: Duration = Duration::from_millis(500);

/// How long a wait takes that a test waits for.
pub const SHORT: Duration = Duration::from_millis(50);

/// After this a test gives up on what must happen.
pub const LONG: Duration = Duration::from_secs(10);

pub fn udp() -> Socket {
    socket(Kind::Udp)
}

pub fn tcp() -> Socket {
    socket(Kind::Tcp)
}

fn socket(kind: Kind) -> Socket {
    Socket::new(kind, SocketConfig::default()).unwrap()
}

/// A socket that may share its port.
pub fn sharing(kind: Kind) -> Socket {
    let config = SocketConfig {
        reuse_addr: true,
        ..SocketConfig::default()
    };
    Socket::new(kind, config).unwrap()
}

/// The errno of a failure.
#[track_caller]
pub fn errno<T: Debug>(result: anjay_net_socket::Result<T>) -> i32 {
    result.expect_err("this must fail").0
}

/// The peer's host as it was passed to connect.
pub fn remote_hostname(socket: &Socket) -> anjay_net_socket::Result<Vec<u8>> {
    let mut text = None;
    socket.with_remote_texts(&mut |host, _| text = host.map(<[u8]>::to_vec))?;
    text.ok_or(anjay_net_socket::Errno(libc::ENOBUFS))
}

/// The peer's port as it was passed to connect.
pub fn remote_port(socket: &Socket) -> anjay_net_socket::Result<Vec<u8>> {
    let mut text = Vec::new();
    socket.with_remote_texts(&mut |_, port| text = port.to_vec())?;
    Ok(text)
}

/// Sets the receive timeout.
pub fn patience(socket: &Socket, duration: Duration) {
    socket.set_receive_timeout(Timeout::from(duration));
}

pub const FOREVER: Timeout = Timeout {
    seconds: 0,
    nanoseconds: -1,
};

/// Connects to a numeric address.
pub fn connect(socket: &Socket, to: SocketAddr) -> anjay_net_socket::Result<SocketAddr> {
    socket.connect(to.ip().to_string().as_bytes(), &port_text(to), None)
}

/// Sends to a numeric address.
pub fn send_to(
    socket: &Socket,
    data: &[u8],
    to: SocketAddr,
) -> anjay_net_socket::Result<SocketAddr> {
    socket.send_to(data, to.ip().to_string().as_bytes(), &port_text(to))
}

/// What one receive delivers.
pub fn receive(socket: &Socket) -> anjay_net_socket::Result<Vec<u8>> {
    let mut buf = vec![0; 65_536];
    let received = socket.receive(&mut buf)?;
    assert!(!received.truncated);
    buf.truncate(received.len);
    Ok(buf)
}

/// What one receive of a peer delivers.
pub fn peer_receive(peer: &UdpSocket) -> Vec<u8> {
    peer.set_read_timeout(Some(LONG)).unwrap();
    let mut buf = vec![0; 65_536];
    let len = peer.recv(&mut buf).unwrap();
    buf.truncate(len);
    buf
}

/// A UDP socket of the standard library.
pub fn udp_peer(host: &str) -> UdpSocket {
    UdpSocket::bind((host, 0)).unwrap()
}

/// A UDP socket of ours and the peer it is connected to.
pub fn udp_pair() -> (Socket, UdpSocket) {
    let peer = udp_peer("127.0.0.1");
    let socket = udp();
    connect(&socket, peer.local_addr().unwrap()).unwrap();
    peer.connect(socket.local_addr().unwrap()).unwrap();
    (socket, peer)
}

/// Binds a socket to a port of its own on that host; where it is then.
#[track_caller]
pub fn bind(socket: Socket, host: impl AsRef<[u8]>) -> (Socket, SocketAddr) {
    socket.bind(host.as_ref(), b"").unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

/// A bound UDP socket on 127.0.0.1.
pub fn bound_udp() -> (Socket, SocketAddr) {
    bind(udp(), "127.0.0.1")
}

/// A listening TCP socket on 127.0.0.1.
pub fn listening() -> (Socket, SocketAddr) {
    bind(tcp(), "127.0.0.1")
}

/// The port as connect and bind take it.
pub fn port_text(addr: SocketAddr) -> Vec<u8> {
    addr.port().to_string().into_bytes()
}

/// A TCP socket of ours and the peer it is connected to.
pub fn tcp_pair() -> (Socket, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = tcp();
    connect(&socket, listener.local_addr().unwrap()).unwrap();
    let (stream, _) = listener.accept().unwrap();
    (socket, stream)
}

/// A port of `host` on which nobody is.
pub fn free_port(host: &str) -> SocketAddr {
    UdpSocket::bind((host, 0)).unwrap().local_addr().unwrap()
}

/// A TCP listener whose queue is full: further handshakes get no answer.
pub struct Blackhole {
    pub addr: SocketAddr,
    _listener: socket2::Socket,
    _queued: Vec<socket2::Socket>,
}

impl Blackhole {
    pub fn new() -> Blackhole {
        let listener =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        listener
            .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .unwrap();
        listener.listen(0).unwrap();
        let addr = listener.local_addr().unwrap();
        // Linux takes one more than the backlog says (sk_acceptq_is_full), the
        // others stay in the middle of their handshake.
        let queued = (0..4)
            .map(|_| {
                let client =
                    socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
                        .unwrap();
                client.set_nonblocking(true).unwrap();
                let _in_progress = client.connect(&addr);
                client
            })
            .collect();
        Blackhole {
            addr: addr.as_socket().unwrap(),
            _listener: listener,
            _queued: queued,
        }
    }
}

/// Spins until the condition holds; fails when it does not within 10 s.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LONG, "never happened: {what}");
        thread::yield_now();
    }
}

/// A thread that is about to wait.
#[derive(Default)]
pub struct Waiter(AtomicI32);

impl Waiter {
    /// The calling thread is the one.
    pub fn is_me(&self) {
        // SAFETY: takes nothing and always succeeds.
        self.0.store(unsafe { libc::gettid() }, Ordering::SeqCst);
    }

    /// Returns when the thread waits, wherever.
    #[track_caller]
    pub fn await_wait(&self) {
        until("a thread waits", || {
            self.waits_in(POLL) || self.waits_in(RECEIVE)
        });
    }

    /// Returns when the thread waits in poll(2).
    #[track_caller]
    pub fn await_poll(&self) {
        until("a thread waits in poll", || self.waits_in(POLL));
    }

    /// Returns when the thread waits inside of the kernel's receive.
    #[track_caller]
    pub fn await_dwell(&self) {
        until("a thread waits in a receive", || self.waits_in(RECEIVE));
    }

    /// Whether the kernel says that the thread sleeps in one of these places.
    fn waits_in(&self, places: &[&str]) -> bool {
        let thread = self.0.load(Ordering::SeqCst);
        std::fs::read_to_string(format!("/proc/self/task/{thread}/wchan"))
            .is_ok_and(|name| places.iter().any(|place| name.contains(place)))
    }
}

const POLL: &[&str] = &["poll"];
/// Of UDP and of TCP, in newer and older kernels.
const RECEIVE: &[&str] = &["skb_wait_for_more", "wait_woken", "sk_wait_data"];

/// What became of a call that something happened to while it waited.
pub struct Interrupted<T> {
    pub result: T,
    /// From the interruption to the end of the call.
    pub took: Duration,
}

/// Runs `call` on another thread, waits until it waits, runs `interruption`,
/// and waits for the end of the call.
#[track_caller]
pub fn interrupt<T: Send>(
    call: impl FnOnce() -> T + Send,
    interruption: impl FnOnce(),
) -> Interrupted<T> {
    interrupt_in(Waiter::await_wait, call, interruption)
}

/// [`interrupt`] of a call that must wait at that place.
#[track_caller]
pub fn interrupt_in<T: Send>(
    place: impl FnOnce(&Waiter),
    call: impl FnOnce() -> T + Send,
    interruption: impl FnOnce(),
) -> Interrupted<T> {
    let waiter = Waiter::default();
    thread::scope(|scope| {
        let caller = scope.spawn(|| {
            waiter.is_me();
            let result = call();
            (result, Instant::now())
        });
        place(&waiter);
        let start = Instant::now();
        interruption();
        let (result, end) = caller.join().unwrap();
        Interrupted {
            result,
            took: end.saturating_duration_since(start),
        }
    })
}

/// A call that waits, what ends it, and the error it ends with.
#[track_caller]
pub fn ends_with<T: Debug + Send>(
    code: i32,
    call: impl FnOnce() -> anjay_net_socket::Result<T> + Send,
    interruption: impl FnOnce(),
) {
    let ended = interrupt(call, interruption);
    assert_eq!(errno(ended.result), code);
    assert!(ended.took < AT_ONCE, "woken after {:?}", ended.took);
}

/// For [`ends_with`].
pub fn close(socket: &Socket) -> impl FnOnce() + '_ {
    || {
        socket.close();
    }
}

/// For [`ends_with`].
pub fn shutdown(socket: &Socket) -> impl FnOnce() + '_ {
    || socket.shutdown().unwrap()
}

/// Runs `call` on this thread while signals interrupt every one of its system
/// calls.
pub fn under_signals<T>(call: impl FnOnce() -> T) -> T {
    extern "C" fn nothing(_signal: i32) {}
    // Without SA_RESTART.
    // SAFETY: all zero bytes are a valid sigaction, the handler does nothing.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as extern "C" fn(i32) as usize;
        libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut());
    }
    // SAFETY: takes nothing and always succeeds.
    let thread = unsafe { libc::gettid() };
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                // SAFETY: takes no memory; the thread is ours.
                unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, libc::SIGUSR1) };
                thread::yield_now();
            }
        });
        let result = call();
        done.store(true, Ordering::SeqCst);
        result
    })
}

/// The descriptor's number.
#[track_caller]
pub fn number(socket: &Socket) -> i32 {
    socket
        .descriptor()
        .expect("there is a descriptor")
        .load(Ordering::Relaxed)
}

/// How many descriptors this process has open. Meaningful only in a test
/// program that runs one test at a time.
pub fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}
