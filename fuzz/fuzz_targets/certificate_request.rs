//! Tries [`tessera_fuzz::words::certificate_request`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tessera_fuzz::words::certificate_request(bytes));
