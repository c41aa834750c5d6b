//! Tries [`tessera_fuzz::output::terminal`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tessera_fuzz::output::terminal(bytes));
