//! Tries [`tessera_fuzz::files::launch`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tessera_fuzz::files::launch(bytes));
