//! Where panics end, and what each return type becomes for NULL and after a panic.
//! A cancellation of the thread waits until the body is over.

use core::ffi::c_int;
use core::ptr;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use anjay_net_socket::Errno;

use crate::abi::Error;
use crate::cancel::Uncancellable;
use crate::errno::ErrorCode;

/// What a function of C returns instead of a result of its own.
pub(crate) trait ReturnValue: Sized {
    /// A pointer is NULL that must not be, or points at no object of ours.
    const NULL: Self;
    /// The function panicked.
    const PANIC: Self = Self::NULL;
}

impl ReturnValue for Result<(), Error> {
    const NULL: Self = Err(ErrorCode::EINVAL.error());
    const PANIC: Self = Err(ErrorCode::UnknownError.error());
}

impl ReturnValue for c_int {
    const NULL: Self = -1;
}

impl ReturnValue for Errno {
    const NULL: Self = Errno(libc::EINVAL);
    const PANIC: Self = Errno(libc::EIO);
}

impl ReturnValue for usize {
    const NULL: Self = 0;
}

impl<T> ReturnValue for *const T {
    const NULL: Self = ptr::null();
}

impl<T> ReturnValue for *mut T {
    const NULL: Self = ptr::null_mut();
}

impl ReturnValue for () {
    const NULL: Self = ();
}

/// Unwraps what a pointer was converted to, or makes the function return
/// [`ReturnValue::NULL`].
macro_rules! not_null {
    ($pointer:expr) => {
        match $pointer {
            Some(value) => value,
            None => return $crate::panic::ReturnValue::NULL,
        }
    };
}
pub(crate) use not_null;

/// Runs the body of a function that C calls.
#[inline(always)]
pub(crate) fn catch<R: ReturnValue>(body: impl FnOnce() -> R) -> R {
    catch_with(body, || {})
}

/// As [`catch`]; after a panic `clean_up` runs, whose own panic is caught too.
#[inline(always)]
pub(crate) fn catch_with<R: ReturnValue>(body: impl FnOnce() -> R, clean_up: impl FnOnce()) -> R {
    let _uncancellable = Uncancellable::new();
    // UnwindSafe: nothing that the body borrowed is looked at after a panic,
    // but a socket, which can be closed from every state.
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => result,
        Err(panic) => after_panic(panic, clean_up),
    }
}

#[cold]
fn after_panic<R: ReturnValue>(panic: Box<dyn Any + Send>, clean_up: impl FnOnce()) -> R {
    discard(panic);
    if let Err(another) = catch_unwind(AssertUnwindSafe(clean_up)) {
        discard(another);
    }
    R::PANIC
}

/// Frees the payload of a panic, whose drop may panic as well.
fn discard(panic: Box<dyn Any + Send>) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        // Leaked: a payload may leave another one each time it is dropped.
        core::mem::forget(another);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_a_value_for_a_panic() {
        fn panicking<R: ReturnValue>() -> R {
            catch(|| panic!("on purpose"))
        }
        assert_eq!(panicking::<c_int>(), -1);
        assert_eq!(panicking::<Errno>(), Errno(libc::EIO));
        assert_eq!(panicking::<usize>(), 0);
        assert!(panicking::<*const u8>().is_null());
        assert!(panicking::<*mut u8>().is_null());
        let error = panicking::<Result<(), Error>>().unwrap_err();
        assert_eq!(error.code, 65535);
    }

    #[test]
    fn null_makes_the_function_return() {
        fn read(number: Option<c_int>) -> Result<(), Error> {
            assert_eq!(not_null!(number), 7);
            Ok(())
        }
        assert_eq!(read(Some(7)), Ok(()));
        assert_eq!(read(None), Err(ErrorCode::EINVAL.error()));
    }

    #[test]
    fn a_panic_while_a_panic_is_cleaned_up_stops_as_well() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                std::panic::panic_any(());
            }
        }
        let result: c_int = catch_with(
            || std::panic::panic_any(Bomb),
            || std::panic::panic_any(Bomb),
        );
        assert_eq!(result, -1);
    }
}
