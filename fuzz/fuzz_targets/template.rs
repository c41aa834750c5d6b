//! Tries [`tessera_fuzz::codec::template`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tessera_fuzz::codec::template(bytes));
