//! cleanup while calls of other threads wait. That nothing is used after it was
//! freed shows under AddressSanitizer.

use core::cell::Cell;
use core::ffi::{CStr, c_char, c_int, c_void};
use std::ffi::CString;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use anjay_net::abi::{Error, Socket, SocketVTable};
use anjay_net::errno::ErrorCode;
use anjay_net::logging::{LogLevel, anjay_net_set_log_handler};
use anjay_net::symbols::{_avs_net_create_tcp_socket, _avs_net_create_udp_socket};

/// A socket as C holds it, for several threads.
#[derive(Clone, Copy)]
struct Handle(*mut Socket);

// SAFETY: the methods of a socket may be called from any thread.
unsafe impl Send for Handle {}
// SAFETY: several threads may call methods of one socket at the same time.
unsafe impl Sync for Handle {}

impl Handle {
    fn udp() -> Handle {
        Handle::made_by(_avs_net_create_udp_socket)
    }

    fn tcp() -> Handle {
        Handle::made_by(_avs_net_create_tcp_socket)
    }

    fn made_by(create: unsafe extern "C" fn(*mut *mut Socket, *const c_void) -> Error) -> Handle {
        let mut out = ptr::null_mut();
        // SAFETY: the place is writable; no configuration is the default one.
        let error = unsafe { create(&mut out, ptr::null()) };
        assert_eq!(error, Error::OK);
        Handle(out)
    }

    fn methods(&self) -> &'static SocketVTable {
        // SAFETY: not cleaned up yet; the v-table is a static.
        unsafe { &*(*self.0).operations }
    }

    fn bind(&self) -> Error {
        // SAFETY: NUL-terminated, and NULL.
        unsafe { (self.methods().bind)(self.0, c"127.0.0.1".as_ptr(), ptr::null()) }
    }

    fn connect(&self, to: SocketAddr) -> Error {
        let host = CString::new(to.ip().to_string()).unwrap();
        let port = CString::new(to.port().to_string()).unwrap();
        // SAFETY: NUL-terminated.
        unsafe { (self.methods().connect)(self.0, host.as_ptr(), port.as_ptr()) }
    }

    fn receive(&self) -> Error {
        let (mut len, mut buf) = (0, [0u8; 64]);
        let place: *mut c_void = buf.as_mut_ptr().cast();
        // SAFETY: the buffer is writable for its length.
        unsafe { (self.methods().receive)(self.0, &mut len, place, buf.len()) }
    }

    fn receive_from(&self) -> Error {
        let (mut len, mut buf) = (0, [0u8; 64]);
        let (mut host, mut port) = ([0 as c_char; 64], [0 as c_char; 8]);
        // SAFETY: the buffers are writable for their lengths.
        unsafe {
            (self.methods().receive_from)(
                self.0,
                &mut len,
                buf.as_mut_ptr().cast(),
                buf.len(),
                host.as_mut_ptr(),
                host.len(),
                port.as_mut_ptr(),
                port.len(),
            )
        }
    }

    fn send_for_ever(&self) -> Error {
        let data = vec![0u8; 64 << 20];
        // SAFETY: the buffer is readable for its length.
        unsafe { (self.methods().send)(self.0, data.as_ptr().cast(), data.len()) }
    }

    fn accept(&self, new: Handle) -> Error {
        // SAFETY: both are sockets.
        unsafe { (self.methods().accept)(self.0, new.0) }
    }

    fn close(&self) -> Error {
        // SAFETY: it is a socket.
        unsafe { (self.methods().close)(self.0) }
    }

    fn cleanup(mut self) {
        // SAFETY: nobody uses it any more but calls that wait.
        assert_eq!(unsafe { (self.methods().cleanup)(&mut self.0) }, Error::OK);
        assert!(self.0.is_null());
    }
}

/// Returns when the thread waits in poll(2).
fn await_poll(thread: &AtomicI32) {
    let start = Instant::now();
    loop {
        let path = format!("/proc/self/task/{}/wchan", thread.load(SeqCst));
        if std::fs::read_to_string(path).is_ok_and(|place| place.contains("poll")) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "it never waits");
        thread::yield_now();
    }
}

/// Cleans up while the call waits, and tells what the call says.
fn cleaned_up_during(call: impl FnOnce() -> Error + Send, clean_up: impl FnOnce()) -> Error {
    let caller = AtomicI32::new(0);
    thread::scope(|scope| {
        let call = scope.spawn(|| {
            // SAFETY: takes nothing.
            caller.store(unsafe { libc::gettid() }, SeqCst);
            call()
        });
        await_poll(&caller);
        clean_up();
        call.join().unwrap()
    })
}

const ROUNDS: usize = 50;

#[test]
fn calls_that_wait_end_before_their_socket_is_freed() {
    let gone: Error = ErrorCode::EBADF.error();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for _ in 0..ROUNDS {
        let socket = Handle::udp();
        assert_eq!(socket.connect(peer.local_addr().unwrap()), Error::OK);
        assert_eq!(
            cleaned_up_during(|| socket.receive(), || socket.cleanup()),
            gone
        );

        let socket = Handle::udp();
        assert_eq!(socket.bind(), Error::OK);
        let clean_up = || {
            assert_eq!(socket.close(), Error::OK);
            socket.cleanup();
        };
        assert_eq!(cleaned_up_during(|| socket.receive_from(), clean_up), gone);

        let socket = Handle::tcp();
        assert_eq!(socket.connect(listener.local_addr().unwrap()), Error::OK);
        let (stream, _) = listener.accept().unwrap();
        assert_eq!(
            cleaned_up_during(|| socket.receive_from(), || socket.cleanup()),
            gone
        );
        drop(stream);

        let socket = Handle::tcp();
        assert_eq!(socket.bind(), Error::OK);
        let new = Handle::tcp();
        let call = || socket.accept(new);
        assert_eq!(cleaned_up_during(call, || socket.cleanup()), gone);
        new.cleanup();

        let socket = Handle::tcp();
        assert_eq!(socket.bind(), Error::OK);
        let new = Handle::tcp();
        let call = || socket.accept(new);
        assert_eq!(cleaned_up_during(call, || new.cleanup()), gone);
        socket.cleanup();
    }
}

#[test]
fn a_send_that_waits_ends_before_its_socket_is_freed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for _ in 0..5 {
        let socket = Handle::tcp();
        assert_eq!(socket.connect(listener.local_addr().unwrap()), Error::OK);
        let _stream = listener.accept().unwrap();
        let error = cleaned_up_during(|| socket.send_for_ever(), || socket.cleanup());
        assert_eq!(error, ErrorCode::EBADF.error());
    }
}

#[test]
fn a_connect_that_waits_ends_before_its_socket_is_freed() {
    // A listener whose queue is full does not answer.
    let listener = Handle::tcp();
    assert_eq!(listener.bind(), Error::OK);
    // SAFETY: the pointer is to the descriptor; no memory is passed to listen.
    let to = unsafe {
        let fd = *(listener.methods().get_system_socket)(listener.0).cast::<i32>();
        assert_eq!(libc::listen(fd, 0), 0);
        let mut port = [0 as c_char; 8];
        let told = (listener.methods().get_local_port)(listener.0, port.as_mut_ptr(), port.len());
        assert_eq!(told, Error::OK);
        let port = CStr::from_ptr(port.as_ptr()).to_str().unwrap();
        SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()))
    };
    let _queued = std::net::TcpStream::connect(to).unwrap();
    for _ in 0..ROUNDS {
        let socket = Handle::tcp();
        let error = cleaned_up_during(|| socket.connect(to), || socket.cleanup());
        assert_eq!(error, ErrorCode::EBADF.error());
    }
    listener.cleanup();
}

std::thread_local! {
    /// The lines of this thread's calls are waited for.
    static WATCHED: Cell<bool> = const { Cell::new(false) };
}

/// A line was written about a call whose socket was cleaned up.
static TOLD: AtomicBool = AtomicBool::new(false);
/// cleanup has returned.
static FREED: AtomicBool = AtomicBool::new(false);
/// It did before the line was written.
static FREED_EARLY: AtomicBool = AtomicBool::new(false);

unsafe extern "C" fn linger(_arg: *mut c_void, _level: c_int, line: *const c_char) {
    // SAFETY: NUL-terminated.
    let line = unsafe { CStr::from_ptr(line) }.to_str().unwrap();
    if !WATCHED.get() || !line.contains(" failed: Bad file descriptor") {
        return;
    }
    TOLD.store(true, SeqCst);
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(100) {
        if FREED.load(SeqCst) {
            FREED_EARLY.store(true, SeqCst);
            return;
        }
        thread::yield_now();
    }
}

#[test]
fn a_call_that_is_traced_uses_its_socket_before_it_is_freed() {
    // SAFETY: the handler can be called at any time.
    let set = unsafe {
        anjay_net_set_log_handler(Some(linger), ptr::null_mut(), LogLevel::Trace as c_int)
    };
    assert_eq!(set, 0);
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let calls: [fn(Handle) -> Error; 4] = [
        |udp| udp.receive(),
        |udp| udp.receive_from(),
        |tcp| tcp.receive(),
        |tcp| tcp.send_for_ever(),
    ];
    for (call, udp) in calls.into_iter().zip([true, true, false, false]) {
        TOLD.store(false, SeqCst);
        FREED.store(false, SeqCst);
        let (socket, to) = if udp {
            (Handle::udp(), peer.local_addr())
        } else {
            (Handle::tcp(), listener.local_addr())
        };
        assert_eq!(socket.connect(to.unwrap()), Error::OK);
        let call = || {
            WATCHED.set(true);
            call(socket)
        };
        let clean_up = || {
            socket.cleanup();
            FREED.store(true, SeqCst);
        };
        assert_eq!(cleaned_up_during(call, clean_up), ErrorCode::EBADF.error());
        assert!(TOLD.load(SeqCst));
        assert!(
            !FREED_EARLY.load(SeqCst),
            "the socket was freed under a call"
        );
    }
    // SAFETY: no handler.
    unsafe { anjay_net_set_log_handler(None, ptr::null_mut(), LogLevel::Quiet as c_int) };
}
