//! What the launchers of Windows and of a Mac have in common: which tickets count, which launches are alive, what is on record of
//! them, what is left of them; what is asked on a connection, and what is answered.
//!
//! Whose account a job runs as, and how that is become, is the system's way, behind [`System`]. It has no network, no async runtime and no
//! parser but those of `ticket`, and calls nothing but files of the launcher's own directory. The launcher of Linux is another one.
#![forbid(unsafe_code)]

pub mod config;
pub mod doors;
pub mod frames;
pub mod held;
pub mod instance;
pub mod launcher;
pub mod nonces;
pub mod notes;
pub mod patience;
pub mod records;
pub mod system;

pub use config::{Config, POLICY};
pub use frames::{Port, Stream};
pub use launcher::{Launcher, Own, capabilities_of};
pub use records::Record;
pub use system::{
    Base, Chosen, Failed, Note, Program, Refused, System, Tree, Used, Wanted, is_there,
};
pub use tessera_audit::verify as verify_audit;
