//! Tries [`tessera_fuzz::codec::log_frames`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tessera_fuzz::codec::log_frames(bytes));
