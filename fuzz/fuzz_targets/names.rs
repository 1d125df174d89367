#![no_main]

#[path = "../../crates/resolve/tests/names/model.rs"]
mod model;

libfuzzer_sys::fuzz_target!(|data: &[u8]| model::check(data));
