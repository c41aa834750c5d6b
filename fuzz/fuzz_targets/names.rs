//! Tries [`tessera_fuzz::words::names`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tessera_fuzz::words::names(bytes));
