//! `worker.toml`, the configuration of one worker: its keys and their values, and the table that says what is known of each key.
//!
//! [`KEYS`] is the one place that knows the keys: the reader, the checks of `workers.toml`, `tessera config explain` and the table
//! in `docs/worker-configuration.md` are all made of it, so that they can't disagree.

mod config;
mod error;
mod own;
mod table;
#[cfg(test)]
mod tests;
mod values;

pub use config::{
    Config, Credentials, KEY_DAYS_DEFAULT, OfferedGpus, ProxyMode, SPOOL_MAX_DEFAULT, Unknown,
};
pub use error::ConfigError;
pub use own::{Own, Together};
pub use table::{KEYS, Key, Setter, When};
pub use values::SPOOL_MAX_LEAST;
