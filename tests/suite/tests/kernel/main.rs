//! Linux 3.2, the oldest that Rust's standard library runs on, is enough: the
//! C programs on a kernel that knows nothing newer. A filter of the kernel's
//! own (seccomp) makes newer system calls fail with ENOSYS and newer socket
//! options with ENOPROTOOPT.

use std::process::ExitCode;

use anjay_net_tests::{Selection, Series, Sources, c_files};

/// Cases that look at a socket by means that came later: `SO_COOKIE` (4.12),
/// getsockopt of `SO_BINDTODEVICE` (3.8).
const NEED_MORE: [&str; 2] = [
    "udp_accept_waits_under_the_receive_timeout",
    "udp_server_is_bound_anew_on_the_same_address",
];

/// The second as the C library asked the real kernel before the filter was
/// there, and believes that every thread has it.
const ENVIRONMENT: [(&str, &str); 2] = [
    ("ANJAY_NET_TEST_KERNEL", "3.2"),
    ("GLIBC_TUNABLES", "glibc.pthread.rseq=0"),
];

fn main() -> ExitCode {
    let mut all = Vec::new();
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        all.extend(c_files("").iter().map(|file| Series {
            environment: &ENVIRONMENT,
            except: &NEED_MORE,
            ..Series::new(Sources::c(file))
        }));
        // The simulation itself.
        all.push(Series::new(Sources::c("kernel/kernel.c")));
    }
    let selection = Selection::from_args();
    selection.run(selection.trials(&all))
}
