//! Address lists with pointers that nobody should pass.

use core::ffi::c_int;
use core::ptr;

use anjay_net::abi::AddrInfo;
use anjay_net::symbols::{
    avs_net_addrinfo_delete, avs_net_addrinfo_next, avs_net_addrinfo_resolve_ex,
    avs_net_addrinfo_rewind,
};

const STREAM: c_int = 0;

#[test]
fn null_and_misaligned_lists_are_refused() {
    let mut endpoint = core::mem::MaybeUninit::uninit();
    for list in [ptr::null_mut(), ptr::without_provenance_mut(9)] {
        // SAFETY: what is refused is not read.
        unsafe {
            assert_eq!(avs_net_addrinfo_next(list, endpoint.as_mut_ptr()), -1);
            avs_net_addrinfo_rewind(list);
            let mut list = list;
            avs_net_addrinfo_delete(&mut list);
            assert!(list.is_null());
            avs_net_addrinfo_delete(ptr::null_mut());
        }
    }
}

#[test]
fn a_list_can_be_kept_anywhere() {
    // SAFETY: NUL-terminated texts, and NULL.
    let list = unsafe {
        avs_net_addrinfo_resolve_ex(
            STREAM,
            0,
            c"127.0.0.1".as_ptr(),
            c"1".as_ptr(),
            0,
            ptr::null(),
        )
    };
    assert!(!list.is_null());
    // A place that is not aligned for a pointer.
    let mut bytes = [0u8; 2 * size_of::<usize>()];
    let place = bytes[1..].as_mut_ptr().cast::<*mut AddrInfo>();
    // SAFETY: the bytes are writable and long enough.
    unsafe {
        place.write_unaligned(list);
        let mut endpoint = core::mem::MaybeUninit::uninit();
        assert_eq!(avs_net_addrinfo_next(list, endpoint.as_mut_ptr()), 0);
        assert_eq!(avs_net_addrinfo_next(list, endpoint.as_mut_ptr()), 1);
        avs_net_addrinfo_delete(place);
        assert!(place.read_unaligned().is_null());
    }
}
