//! Connects to names under a virtual clock, of any bytes; a fuzz target, too.

mod model;

use std::fs;
use std::path::Path;

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        model::check(&bytes);
    }
}

#[test]
fn what_the_fuzzer_found() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/names");
    let files = fs::read_dir(folder).expect("the corpus is checked in");
    let files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    assert!(!files.is_empty());
    for file in files {
        model::check(&fs::read(file).expect("a file"));
    }
}
