//! The supervisor: keeps jobs safe, decides what runs where, and shows everybody what happens.
//!
//! Owns the daemon: its listeners, the core loop around the engine, the conversion between engine and store, job output,
//! tickets, who callers are. Leaves to others: what follows from what (`engine`), rows on the disk (`store`), what the API
//! promises (`api`), how workers are spoken to (`wire`).
//!
//! [`run()`] runs it until a signal; [`start`] runs it inside a program and gives a [`Running`].
//!
//! **Invariant:** nothing is said or done before the transaction that records it is durable. **Invariant:** there is no
//! listener without TLS but the Unix socket, whose peer the kernel names.
#![forbid(unsafe_code)]

mod accounts;
mod cleanup;
mod clock;
mod config;
mod core;
mod error;
mod events;
mod http;
#[doc(hidden)]
pub mod kept;
mod logs;
mod metrics;
mod notify;
mod options;
mod persist;
mod readers;
mod run;
mod sessions;
mod settings;
mod site;
mod statedir;
mod tickets;
mod tokens;
mod workers;

#[doc(hidden)]
pub use crate::core::driven;
pub use config::{Config, ConfigError, Problem};
pub use error::SupervisorError;
pub use notify::NotifyConfig;
pub use options::Options;
pub use run::{Running, run, start, start_with};
