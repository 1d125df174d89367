//! The checks of single structs and texts, for a while; the corpora of the fuzz
//! targets, too.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

/// Makes a property test of a check, and a test of what its fuzz target knows.
macro_rules! properties {
    ($name:ident, $check:ident, $strategy:expr) => {
        mod $name {
            use anjay_net_model::$check;

            use super::*;

            proptest! {
                #![proptest_config(ProptestConfig::with_cases(10_000))]

                #[test]
                fn any_bytes(bytes in $strategy) {
                    $check::check(&bytes);
                }
            }

            #[test]
            fn what_the_fuzzer_found() {
                let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join("../../fuzz/corpus")
                    .join(stringify!($check));
                let mut count = 0;
                for entry in fs::read_dir(folder).expect("the corpus is checked in") {
                    let path = entry.expect("a file").path();
                    $check::check(&fs::read(path).expect("a file"));
                    count += 1;
                }
                assert!(count > 0, "an empty corpus");
            }
        }
    };
}

/// Flags and family, then text of what addresses are made of, or of anything.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        r"[0-9a-fx:.%\[\]]{0,40}",
        r"[0-9]{1,3}(\.[0-9]{1,3}){3}",
        r"(\[)?[0-9a-f:]{2,30}(%(25)?(lo|[0-9]{1,10}))?(\])?",
        r"\PC{0,20}",
    ];
    let port = prop_oneof![r"0{0,4}[0-9]{0,6}", r"\PC{0,6}"];
    let of_text = (any::<[u8; 2]>(), part, port).prop_map(|(choices, host, port)| {
        [&choices[..], host.as_bytes(), &[0], port.as_bytes()].concat()
    });
    prop_oneof![4 => of_text, 1 => prop::collection::vec(any::<u8>(), 0..300)]
}

/// Sizes, then a sockaddr of one family, or anything.
fn endpoint() -> impl Strategy<Value = Vec<u8>> {
    let anything = prop::collection::vec(any::<u8>(), 0..160);
    let size = prop_oneof![Just(16u8), Just(28), any::<u8>()];
    let family = prop_oneof![Just(libc::AF_INET), Just(libc::AF_INET6)];
    let address = prop_oneof![
        any::<[u8; 16]>(),
        any::<[u8; 4]>().prop_map(|v4| {
            let [a, b, c, d] = v4;
            std::net::Ipv4Addr::new(a, b, c, d)
                .to_ipv6_mapped()
                .octets()
        }),
        any::<[u8; 8]>().prop_map(|low| {
            let mut link_local = [0; 16];
            link_local[..2].copy_from_slice(&[0xfe, 0x80]);
            link_local[8..].copy_from_slice(&low);
            link_local
        }),
    ];
    let of_family = (
        any::<[u8; 2]>(),
        size,
        family,
        any::<[u8; 6]>(),
        address,
        0..4u32,
    )
        .prop_map(|(sizes, size, family, start, address, scope)| {
            let family = (family as u16).to_ne_bytes();
            let scope = scope.to_ne_bytes();
            [&sizes[..], &[size], &family, &start, &address, &scope].concat()
        });
    prop_oneof![3 => of_family, 1 => anything]
}

/// Each field small more often than not.
fn configuration() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![3 => Just(0u8), 3 => 0..8u8, 1 => any::<u8>()];
    let name = prop_oneof![
        Just(b"\0".to_vec()),
        Just(b"lo\0".to_vec()),
        prop::collection::vec(any::<u8>(), 16),
    ];
    let int = prop_oneof![3 => 0..3i32, 1 => any::<i32>()];
    (
        prop::array::uniform5(byte),
        name,
        any::<u64>(),
        prop::array::uniform3(int),
    )
        .prop_map(|(start, mut name, pointer, ints)| {
            name.resize(20, 0);
            let ints = ints.map(i32::to_ne_bytes).concat();
            [&start[..], &name, &pointer.to_ne_bytes(), &ints].concat()
        })
}

properties!(of_texts, texts, text());
properties!(of_endpoints, endpoints, endpoint());
properties!(of_configurations, configurations, configuration());
