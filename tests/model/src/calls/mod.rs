//! Sequences of method calls with any arguments over several sockets, with a
//! model beside each that must agree on states, counters and results.
//!
//! The model is strict where the documents say what happens. Where they leave
//! it to the kernel and the kernel's answer is not obvious, it accepts any and
//! goes on from what can be seen.

mod call;
mod datagrams;
mod information;
mod lifecycle;
mod model;
mod streams;
mod world;

use std::fmt;
use std::sync::Once;

use anjay_net_support::process;
use call::Call;
pub use call::LENGTH;
use world::World;

/// Set to anything, it makes each call known on standard error before it is
/// made: to see what a crash of the fuzzer was.
const LOUD: &str = "ANJAY_NET_MODEL_TRACE";

/// Takes each [`LENGTH`] bytes for a call, makes them one after the other, and
/// closes what is left.
pub fn check(data: &[u8]) {
    static CONFIGURE: Once = Once::new();
    CONFIGURE.call_once(world::configure);
    // So that what it sends over loopback arrives in the order in which it was
    // sent.
    process::pin();
    let is_loud = std::env::var_os(LOUD).is_some();
    let descriptors = process::descriptors();
    let mut world = World::new();
    for call in calls(data) {
        if is_loud {
            eprintln!("{call:?}");
        }
        world.make(call);
    }
    world.finish();
    assert_eq!(process::descriptors(), descriptors, "none is left open");
}

fn calls(data: &[u8]) -> impl Iterator<Item = Call> {
    data.chunks_exact(LENGTH)
        .map(|bytes| Call::decode(bytes.try_into().expect("of this length")))
}

/// Bytes that show as the calls that they are.
#[derive(Clone)]
pub struct Calls(pub Vec<u8>);

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A line for each, as a report of a failure shows them all.
        calls(&self.0).try_for_each(|call| write!(f, "\n    {call:?}"))
    }
}
