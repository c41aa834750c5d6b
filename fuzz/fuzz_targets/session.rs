//! Tries [`tessera_fuzz::codec::session`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tessera_fuzz::codec::session(bytes));
