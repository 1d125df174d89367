//! The model of the socket calls, for a while. One test, so that nothing else
//! in this process opens descriptors.

use std::fs;
use std::path::Path;

use anjay_net_model::calls::{self, Calls, LENGTH};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Sequences of each of the two kinds.
const SEQUENCES: u32 = 4000;

/// Calls of a sequence, at most.
const CALLS: usize = 80;

fn sequences() -> impl Strategy<Value = Calls> {
    let calls = prop::collection::vec(any::<[u8; LENGTH]>(), 1..CALLS);
    calls.prop_map(|calls| Calls(calls.concat()))
}

fn run(runner: &mut TestRunner) {
    let outcome = runner.run(&sequences(), |Calls(bytes)| {
        calls::check(&bytes);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

/// What the fuzzer has found worth keeping.
fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/calls");
    let entries = fs::read_dir(folder).expect("the corpus is checked in");
    entries
        .map(|entry| fs::read(entry.expect("a file").path()).expect("a file"))
        .collect()
}

#[test]
fn sockets_do_what_their_model_does() {
    let corpus = corpus();
    assert!(!corpus.is_empty());
    corpus.iter().for_each(|bytes| calls::check(bytes));
    let config = Config {
        cases: SEQUENCES,
        // Of milliseconds: each step may wait for what does not happen.
        max_shrink_time: 30_000,
        ..Config::with_source_file(file!())
    };
    // The same sequences every time: what fails here fails everywhere.
    let fixed = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    run(&mut TestRunner::new_with_rng(config.clone(), fixed));
    // Other ones every time, and those that once failed.
    run(&mut TestRunner::new(config));
}
