//! What a worker's configuration says about passwords, from the worker's own file.

#[allow(dead_code, unreachable_pub, reason = "public in its own crate")]
#[path = "../../crates/worker/src/credential/settings.rs"]
mod settings;

pub(crate) use settings::Settings;
