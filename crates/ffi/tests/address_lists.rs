//! Address lists with pointers that nobody should pass.

use core::ffi::c_int;
use core::ptr;

use anjay_net::abi::{AddrInfo, ResolvedEndpoint};
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
fn a_list_can_be_read_again_and_begins_with_the_preferred_endpoint() {
    // SAFETY: NUL-terminated texts, and NULL or an endpoint.
    let wildcards = |preferred| unsafe {
        let (host, port, passive) = (c"".as_ptr(), c"7".as_ptr(), 1);
        avs_net_addrinfo_resolve_ex(STREAM, 0, host, port, passive, preferred)
    };
    let read = |list| {
        let mut found = Vec::new();
        let mut endpoint = core::mem::MaybeUninit::<ResolvedEndpoint>::uninit();
        // SAFETY: a list of this thread, and a place for an endpoint, of which all bytes
        // are written.
        while unsafe { avs_net_addrinfo_next(list, endpoint.as_mut_ptr()) } == 0 {
            // SAFETY: written above.
            found.push(unsafe { endpoint.assume_init() });
        }
        found
    };
    let data = |endpoints: &[ResolvedEndpoint]| -> Vec<_> {
        // SAFETY: a union of bytes alone.
        let bytes = endpoints.iter().map(|it| unsafe { it.data.buf });
        bytes.collect()
    };
    let mut list = wildcards(ptr::null());
    let both = read(list);
    assert_eq!(both.len(), 2);
    assert!(read(list).is_empty());
    // SAFETY: a list of this thread.
    unsafe { avs_net_addrinfo_rewind(list) };
    assert_eq!(data(&read(list)), data(&both));
    for preferred in 0..2 {
        let mut other = wildcards(&both[preferred]);
        let expected = [both[preferred], both[1 - preferred]];
        assert_eq!(data(&read(other)), data(&expected));
        // SAFETY: a list that is not used any more.
        unsafe { avs_net_addrinfo_delete(&mut other) };
    }
    // SAFETY: a list that is not used any more.
    unsafe { avs_net_addrinfo_delete(&mut list) };
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
