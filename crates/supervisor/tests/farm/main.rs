//! A supervisor in this process, with clients over its socket and its port and with workers that are played.
//!
//! Tests wait for conditions with a deadline, never for a time.

mod attacks;
mod browser;
mod causes;
mod cleanup;
mod credentials;
mod deps;
mod errors;
mod events;
mod grid;
mod jobs;
mod kept;
mod learn;
mod limits;
mod logins;
mod logs;
mod mail;
mod metrics;
mod notify;
mod once;
mod reasons;
mod refused;
mod reserve;
mod resources;
mod settings;
mod share;
mod site;
mod strangers;
mod timeline;
mod told;
mod trouble;
mod worker_file;
mod workers;
mod world;
