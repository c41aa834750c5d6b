//! Tries [`tessera_fuzz::requirements::requirements`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tessera_fuzz::requirements::requirements(bytes));
