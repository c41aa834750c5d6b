//! Tries [`tessera_fuzz::codec::nonces`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tessera_fuzz::codec::nonces(bytes));
