#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| anjay_net_model::calls::check(data));
