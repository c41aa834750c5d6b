//! What must hold for every parser of bytes from outside: it never panics, and what it takes is printed and read back the
//! same. Owns one function for each target in `fuzz_targets/`; `cargo xtask fuzz` runs them, docs/how-to/fuzz.md says how.
//!
//! Parsers that no crate makes public are built from their files once more (`borrowed`, `progress`, `sse`).
#![forbid(unsafe_code)]

mod borrowed;
pub mod codec;
pub mod files;
pub mod hostconfig;
mod os;
pub mod output;
mod progress;
pub mod requirements;
mod sse;
pub mod words;
