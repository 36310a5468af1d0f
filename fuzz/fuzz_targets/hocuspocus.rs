#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| roundtable_fuzz::hocuspocus::run(input));
