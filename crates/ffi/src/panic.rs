//! Where panics end, and what a NULL argument turns into.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::abi::{self, Error};
use crate::errno::ErrorCode;
use crate::object::Object;

/// Checks pointers, or makes the function return its answer to bad ones.
macro_rules! some_or_return {
    ($value:expr, $otherwise:expr) => {
        match $value {
            Some(value) => value,
            None => return $otherwise,
        }
    };
}
pub(crate) use some_or_return;

/// Runs a method of a socket: `EINVAL` when `socket` is not one of ours; after
/// a panic the socket is closed and the error unknown.
///
/// # Safety
/// `socket` is NULL or a valid pointer to an object whose first field is a
/// pointer; if it is ours it has not been cleaned up.
#[inline(always)]
pub(crate) unsafe fn method(
    socket: *const abi::Socket,
    call: impl FnOnce(&Object) -> Error,
) -> Error {
    // SAFETY: the caller's promise.
    let object = some_or_return!(
        unsafe { Object::from_ptr(socket) },
        ErrorCode::EINVAL.into()
    );
    run(object, call)
}

/// Runs a method of a socket of ours, as [`method`] does.
#[inline(always)]
pub(crate) fn run(object: &Object, call: impl FnOnce(&Object) -> Error) -> Error {
    // UnwindSafe: the only thing done with the socket after a panic is closing
    // it, and that works from every state.
    match catch_unwind(AssertUnwindSafe(|| call(object))) {
        Ok(error) => error,
        Err(panic) => after_panic(object, panic),
    }
}

#[cold]
fn after_panic(object: &Object, panic: Box<dyn Any + Send>) -> Error {
    discard(panic);
    // Closing may panic as well, if that was what panicked.
    let _ = catch_unwind(AssertUnwindSafe(|| object.socket().close()));
    ErrorCode::UnknownError.into()
}

/// Runs a function that has no socket; `otherwise` after a panic.
#[inline]
pub(crate) fn function<R>(otherwise: R, call: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        discard(panic);
        otherwise
    })
}

/// Frees what a panic left, whose drop may panic as well.
#[cold]
fn discard(panic: Box<dyn Any + Send>) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        // One that leaves another each time is given up.
        std::mem::forget(another);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anjay_net_socket::{Kind, Status};
    use core::ptr;

    #[test]
    fn a_panic_inside_a_method_closes_the_socket() {
        let mut socket = ptr::null_mut();
        // SAFETY: writable; no configuration is the default one.
        let made = unsafe { Object::create(Kind::Udp, &mut socket, ptr::null()) };
        assert_eq!(made, Error::OK);
        let bind = |object: &Object| object.socket().bind(b"127.0.0.1", b"").into();
        // SAFETY: just made.
        assert_eq!(unsafe { method(socket, bind) }, Error::OK);
        // SAFETY: as above.
        let error = unsafe { method(socket, |_| panic!("on purpose")) };
        assert_eq!(error, ErrorCode::UnknownError.into());
        assert_eq!(error.code, 65535);
        let look = |object: &Object| {
            assert_eq!(object.socket().status(), Status::Closed);
            Error::OK
        };
        // SAFETY: as above.
        unsafe {
            assert_eq!(method(socket, look), Error::OK);
            // And can be used again.
            assert_eq!(method(socket, bind), Error::OK);
            assert_eq!(Object::cleanup(&mut socket), Error::OK);
        }
    }

    #[test]
    fn a_panic_over_what_a_panic_left_stops_as_well() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                std::panic::panic_any(());
            }
        }
        assert_eq!(function(7, || std::panic::panic_any(Bomb)), 7);
    }

    #[test]
    fn a_panic_becomes_the_fallback() {
        assert_eq!(function(7, || panic!("on purpose")), 7);
    }
}
