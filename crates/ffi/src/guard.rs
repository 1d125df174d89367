//! Where panics end, and what a NULL argument turns into.

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
    // UnwindSafe: the only thing done with the socket after a panic is closing
    // it, and that works from every state.
    match catch_unwind(AssertUnwindSafe(|| call(object))) {
        Ok(error) => error,
        Err(panic) => after_panic(object, panic),
    }
}

#[cold]
fn after_panic(object: &Object, panic: Box<dyn std::any::Any + Send>) -> Error {
    // A payload whose drop panics would be one panic too many.
    std::mem::forget(panic);
    // Closing may panic as well, if that was what panicked.
    let _ = catch_unwind(AssertUnwindSafe(|| object.socket().close()));
    ErrorCode::UnknownError.into()
}

/// Runs a function that has no socket; `otherwise` after a panic.
#[inline]
pub(crate) fn function<R>(otherwise: R, call: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        std::mem::forget(panic);
        otherwise
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_the_fallback() {
        assert_eq!(function(7, || panic!("on purpose")), 7);
    }
}
