//! send and receive of streams.
//!
//! Each tries first and waits only when the kernel returns `EAGAIN`.

use core::mem::MaybeUninit;
use core::sync::atomic::Ordering::Relaxed;
use core::time::Duration;
use std::os::fd::AsFd;

use anjay_net_stats::Event;

use crate::error::{Errno, Result};
use crate::fd_lock::{FdGuard, Flags};
use crate::logging::log_peer_line;
use crate::settings::Settings;
use crate::socket::{Received, Socket};
use crate::state::State;
use crate::sys::{self, PollFd};
use crate::timeout::TimeLimit;

/// Sends all of `buf`, however little the kernel takes at a time.
#[inline]
pub(crate) fn send(socket: &Socket, buf: &[u8]) -> Result<()> {
    let guard = socket.fd()?;
    match sys::send(guard.as_fd(), buf) {
        Ok(sent) if sent == buf.len() => {
            socket.counters.sent(sent);
            Ok(())
        }
        outcome => send_rest(socket, guard, buf, outcome),
    }
}

/// Goes on with a send that the kernel did not take at once.
#[cold]
fn send_rest(
    socket: &Socket,
    mut guard: FdGuard<'_>,
    mut buf: &[u8],
    mut outcome: Result<usize>,
) -> Result<()> {
    let time = || TimeLimit::new(Some(Settings::current().send_timeout));
    let mut limit = time();
    loop {
        match outcome {
            Ok(sent) => {
                socket.counters.sent(sent);
                if sent == buf.len() {
                    return Ok(());
                }
                socket.counters.record(Event::ShortWrite);
                buf = &buf[sent..];
                // Progress: the time starts over.
                limit = time();
            }
            Err(error) => before_resend(socket, &mut guard, error, &mut limit)?,
        }
        outcome = sys::send(guard.as_fd(), buf);
    }
}

/// Waits until a failed send may be tried again, or returns why not.
fn before_resend(
    socket: &Socket,
    guard: &mut FdGuard<'_>,
    error: Errno,
    limit: &mut TimeLimit,
) -> Result<()> {
    let flags = guard.revalidate().ok_or(Errno(libc::EBADF))?;
    match error.0 {
        libc::EINTR => {
            socket.counters.record(Event::SyscallRetried);
            Ok(())
        }
        libc::EAGAIN => limit
            .wait(&mut [PollFd::new(guard.as_fd(), libc::POLLOUT)])
            .map_err(|error| socket.count_failure(error)),
        // The kernel does not tell a stream that ended from one that listens.
        libc::EPIPE if matches!(socket.inner.lock().state, State::Bound(_)) => {
            Err(Errno(libc::ENOTCONN))
        }
        // What ended the wait was shutdown, as for all calls that wait.
        libc::EPIPE if limit.has_begun() && flags.has(Flags::SHUTDOWN) => {
            Err(Errno(libc::ECONNABORTED))
        }
        libc::EPIPE => Err(error),
        _ => Err(stream_error(socket, guard, error)),
    }
}

/// Receives what there is, at most the length of `buf`; 0 bytes at the end of
/// the stream.
#[inline]
pub(crate) fn receive(socket: &Socket, buf: &mut [MaybeUninit<u8>]) -> Result<Received> {
    let mut guard = socket.fd()?;
    let mut limit = TimeLimit::new(socket.receive_timeout.get());
    let len = loop {
        match sys::receive_stream(guard.as_fd(), buf) {
            Ok(len) => break len,
            Err(error) => before_receive(socket, &mut guard, error, &mut limit)?,
        }
    };
    if len == 0 {
        end_of_stream(socket, guard)?;
    } else {
        socket.counters.received(len);
    }
    Ok(Received {
        len,
        truncated: false,
    })
}

/// Waits until a failed receive may be tried again, or returns why not.
#[cold]
fn before_receive(
    socket: &Socket,
    guard: &mut FdGuard<'_>,
    error: Errno,
    limit: &mut TimeLimit,
) -> Result<()> {
    match error.0 {
        libc::EINTR => socket.counters.record(Event::SyscallRetried),
        libc::EAGAIN => {
            limit
                .wait(&mut [PollFd::new(guard.as_fd(), libc::POLLIN)])
                .map_err(|error| socket.count_failure(error))?;
        }
        _ => return Err(stream_error(socket, guard, error)),
    }
    // What arrived on a descriptor that was closed is nobody's any more.
    guard.revalidate().ok_or(Errno(libc::EBADF))?;
    Ok(())
}

/// Tells a stream that the peer ended from one that broke or was closed here.
/// 0 bytes is also what an empty buffer receives.
#[cold]
fn end_of_stream(socket: &Socket, mut guard: FdGuard<'_>) -> Result<()> {
    for _ in 0..LOOKS {
        let flags = guard.revalidate().ok_or(Errno(libc::EBADF))?;
        let code = socket.stream_end.load(Relaxed);
        if code != 0 {
            return Err(Errno(code));
        }
        if !guard.is_shared() || flags.has(Flags::SHUTDOWN) || !sys::is_closed(guard.as_fd()) {
            break;
        }
        // A reset, which the kernel may have told another call that has not kept it yet.
        let _ = sys::poll(&mut [], Some(LOOK_AGAIN));
    }
    Ok(())
}

/// How often, and how far apart, to check whether that call has recorded the end.
const LOOKS: u32 = 100;
const LOOK_AGAIN: Duration = Duration::from_micros(100);

/// An error of a transfer, for the caller. The kernel reports the end of a
/// stream once and then pretends a clean one, so the end is kept.
#[cold]
fn stream_error(socket: &Socket, guard: &mut FdGuard<'_>, error: Errno) -> Errno {
    let mut told = error;
    if let Some(code) = end_code(error.0) {
        told = Errno(code);
        // Under the mutex, as the next connection must not inherit it. First of all:
        // another thread may receive, or the log handler.
        let _inner = socket.inner.lock();
        if guard.revalidate().is_some() {
            socket.stream_end.store(code, Relaxed);
        }
    }
    log_peer_line!(Warn, socket, "transfer failed: {error}");
    told
}

/// How callers are told that a stream ended otherwise than by the peer's FIN:
/// `ECONNRESET`, or `ECONNABORTED` when this machine ended it. `None` when
/// `code` does not end the stream.
///
/// `ETIMEDOUT` is among the ends (a peer that no longer acknowledges, see
/// `TCP_USER_TIMEOUT` in tcp(7)), but from a receive it means "nothing came",
/// so callers would wait for more. `EPIPE` is that of tcp_reset() in the
/// kernel's net/ipv4/tcp_input.c.
fn end_code(code: i32) -> Option<i32> {
    match code {
        libc::ECONNABORTED => Some(code),
        libc::ECONNRESET | libc::ETIMEDOUT | libc::EPIPE | libc::ENETDOWN | libc::EMSGSIZE => {
            Some(libc::ECONNRESET)
        }
        code if sys::ICMP_ERRORS.contains(&code) => Some(libc::ECONNRESET),
        _ => None,
    }
}
