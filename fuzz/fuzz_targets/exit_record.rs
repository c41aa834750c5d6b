//! Tries [`tessera_fuzz::codec::exit_record`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tessera_fuzz::codec::exit_record(bytes));
