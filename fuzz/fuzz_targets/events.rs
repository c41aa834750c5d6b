//! Tries [`tessera_fuzz::output::events`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tessera_fuzz::output::events(bytes));
