//! Tries [`tessera_fuzz::hostconfig::hostconfig`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tessera_fuzz::hostconfig::hostconfig(bytes));
