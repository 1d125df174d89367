//! What is left with the feature `without-observers`.
#![cfg(feature = "without-observers")]

use anjay_net_socket::Errno;
use anjay_net_watch::capture::{self, Limits};
use anjay_net_watch::{report, trace};

#[test]
fn captures_are_refused_and_leave_no_file() {
    let path = std::env::temp_dir().join(format!("anjay-net-none-{}", std::process::id()));
    let started = capture::start(&path, Limits::DEFAULT);
    assert_eq!(started, Err(Errno(libc::ENOTSUP)));
    assert!(!path.exists());
    assert_eq!(capture::stop(), Err(Errno(libc::ENOENT)));
}

#[test]
fn lines_of_transfers_can_be_asked_for_and_do_not_come() {
    assert_eq!(trace::set(true), Ok(()));
    assert!(report::reporter().is_none());
    assert_eq!(trace::set(false), Ok(()));
}
