//! Calls that wait for a name server which never answers. One test, as all of
//! it happens in a mount namespace with a resolv.conf of its own, and the
//! helper threads of lookups are shared by the process.

mod common;

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use anjay_net_socket::{Kind, Resolution, Settings, Status, resolve};
use common::*;

/// A name server that is there and says nothing.
struct Silent {
    _server: UdpSocket,
}

/// `None` where this program may not do that.
fn silence() -> Option<Silent> {
    // SAFETY: takes no memory.
    if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
        return None;
    }
    let [high, low] = (std::process::id() as u16).to_be_bytes();
    let host = format!("127.53.{high}.{low}");
    let server = UdpSocket::bind((host.as_str(), 53)).ok()?;
    let file = std::env::temp_dir().join(format!("anjay-net-resolv-{}", std::process::id()));
    std::fs::write(&file, format!("nameserver {host}\noptions timeout:30\n")).unwrap();
    let path = |text: &str| std::ffi::CString::new(text).unwrap();
    let (from, to) = (path(file.to_str().unwrap()), path("/etc/resolv.conf"));
    let (root, none) = (path("/"), std::ptr::null());
    // SAFETY: NUL-terminated paths; what is changed is this thread's own view.
    let mounted = unsafe {
        libc::mount(
            none,
            root.as_ptr(),
            none,
            libc::MS_REC | libc::MS_PRIVATE,
            none.cast(),
        ) == 0
            && libc::mount(from.as_ptr(), to.as_ptr(), none, libc::MS_BIND, none.cast()) == 0
    };
    std::fs::remove_file(&file).unwrap();
    mounted.then_some(Silent { _server: server })
}

const NAME: &[u8] = b"silent.example";

#[test]
fn calls_that_wait_for_a_name_can_be_ended() {
    let Some(_silent) = silence() else {
        eprintln!("skipped: this test needs the right to mount");
        return;
    };
    close_and_shutdown_wake_them();
    a_pending_error_does_not_make_a_send_to_spin();
    they_end_in_time();
}

fn close_and_shutdown_wake_them() {
    let (connecting, sending, binding) = (tcp(), bound_udp().0, udp());
    for _ in 0..3 {
        let connect = || connecting.connect(NAME, b"1", None);
        ends_with(libc::EBADF, connect, close(&connecting));
        ends_with(libc::ECONNABORTED, connect, shutdown(&connecting));
        assert_eq!(connecting.status(), Status::Closed);

        ends_with(libc::EBADF, || binding.bind(NAME, b"1"), close(&binding));

        let send = || sending.send_to(b"x", NAME, b"1");
        ends_with(libc::EBADF, send, close(&sending));
        sending.bind(b"127.0.0.1", b"").unwrap();
        ends_with(libc::ECONNABORTED, send, shutdown(&sending));
        sending.close();
        sending.bind(b"127.0.0.1", b"").unwrap();
    }
    // A bound UDP socket stays bound, or becomes shut down.
    let ended = interrupt(
        || sending.connect(NAME, b"1", None),
        || {
            assert_eq!(sending.status(), Status::Bound);
            sending.shutdown().unwrap();
        },
    );
    assert_eq!(errno(ended.result), libc::ECONNABORTED);
    assert_eq!(sending.status(), Status::Shutdown);
}

/// Processor time of this process so far.
fn processor_time() -> Duration {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: writable.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut now) };
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

fn a_pending_error_does_not_make_a_send_to_spin() {
    let socket = udp();
    connect(&socket, free_port("127.0.0.1")).unwrap();
    // What comes back is an ICMP error; on loopback before send returns.
    socket.send(b"x").unwrap();
    let before = processor_time();
    let ended = interrupt(
        || socket.send_to(b"x", NAME, b"1"),
        || socket.shutdown().unwrap(),
    );
    assert_eq!(errno(ended.result), libc::ECONNABORTED);
    assert!(processor_time() - before < AT_ONCE);
}

fn they_end_in_time() {
    let mut settings = Settings::current();
    settings.resolve_timeout = Duration::from_millis(100);
    settings.install().unwrap();
    let ends = |call: &dyn Fn() -> anjay_net_socket::Result<()>| {
        let start = Instant::now();
        assert_eq!(errno(call()), libc::ETIMEDOUT);
        let took = start.elapsed();
        assert!(took >= settings.resolve_timeout, "{took:?}");
        assert!(took < settings.resolve_timeout + AT_ONCE, "{took:?}");
    };
    ends(&|| tcp().connect(NAME, b"1", None).map(drop));
    ends(&|| udp().connect(NAME, b"1", None).map(drop));
    ends(&|| udp().bind(NAME, b"1"));
    ends(&|| bound_udp().0.send_to(b"x", NAME, b"1").map(drop));
    ends(&|| {
        let question = Resolution {
            kind: Kind::Udp,
            host: NAME,
            port: b"1",
            policy: Default::default(),
            preferred: None,
            passive: false,
        };
        resolve(&question).map(drop)
    });
    // Literals do not stand in the queue.
    let start = Instant::now();
    connect(&udp(), free_port("127.0.0.1")).unwrap();
    assert!(start.elapsed() < AT_ONCE);
}
