//! Making a socket when memory runs out. One test, as its allocator is that of
//! the process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;

use anjay_net::abi::{Error, SocketConfiguration};
use anjay_net::errno::ErrorCode;
use anjay_net::symbols::{_avs_net_create_tcp_socket, _avs_net_create_udp_socket};

/// The system's allocator, until it has nothing left.
struct Scarce;

thread_local! {
    /// How many more allocations of this thread succeed.
    static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
    static REFUSED: Cell<usize> = const { Cell::new(0) };
}

fn is_refused() -> bool {
    let left = LEFT.get();
    if left == 0 {
        REFUSED.set(REFUSED.get() + 1);
        return true;
    }
    if left != usize::MAX {
        LEFT.set(left - 1);
    }
    false
}

// SAFETY: as the system's allocator, but for requests that are refused, which
// is always allowed.
unsafe impl GlobalAlloc for Scarce {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_refused() {
            return ptr::null_mut();
        }
        // SAFETY: the caller passes a layout that is not empty (GlobalAlloc).
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: every block comes from System, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if is_refused() {
            return ptr::null_mut();
        }
        // SAFETY: every block comes from System, with this layout; the caller
        // passes a size that is not 0 (GlobalAlloc).
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Scarce = Scarce;

#[test]
fn creating_a_socket_says_so_when_memory_runs_out_and_works_later() {
    let mut config = SocketConfiguration {
        dscp: 0,
        priority: 0,
        reuse_addr: 0,
        transparent: 0,
        interface_name: [0; 16],
        preferred_endpoint: ptr::null_mut(),
        address_family: 0,
        forced_mtu: 0,
        preferred_family: 0,
    };
    config.interface_name[0] = b'l' as _;
    config.interface_name[1] = b'o' as _;
    let config: *const SocketConfiguration = &config;

    let mut sockets = Vec::with_capacity(1000);
    let mut refusals = 0;
    // So many that everything that grows with their number grows.
    for round in 0..100 {
        for create in [_avs_net_create_tcp_socket, _avs_net_create_udp_socket] {
            // The first refusal comes later each time, until there is none.
            for allocations in 0.. {
                let mut out = ptr::without_provenance_mut(1);
                REFUSED.set(0);
                LEFT.set(allocations);
                // SAFETY: the place is writable, the configuration is one.
                let error = unsafe { create(&mut out, config.cast()) };
                LEFT.set(usize::MAX);
                if REFUSED.get() == 0 {
                    assert_eq!(error, Error::OK);
                    sockets.push(out);
                    break;
                }
                refusals += 1;
                assert_eq!(error, ErrorCode::ENOMEM.error(), "{round} {allocations}");
                assert!(out.is_null());
            }
        }
    }
    // The object, and at times the counters and the list of objects.
    assert!(refusals > 200, "{refusals}");
    for mut socket in sockets {
        // SAFETY: made above, and cleaned up once.
        unsafe {
            let operations = (*socket).operations;
            assert_eq!(((*operations).cleanup)(&mut socket), Error::OK);
        }
    }
}
