//! Tries [`tessera_fuzz::words::submission`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tessera_fuzz::words::submission(bytes));
