//! Parsers that are private to a crate, built here from the same files.

#[allow(dead_code, reason = "only the parser of the file is tried")]
#[path = "../../crates/worker/src/launch_file.rs"]
pub(crate) mod launch_file;

#[allow(dead_code, reason = "only the parser of the file is tried")]
#[path = "../../crates/supervisor/src/config/mod.rs"]
#[allow(unreachable_pub, reason = "public in its own crate")]
pub(crate) mod supervisor_config;

#[allow(dead_code, reason = "only the filter is tried")]
#[path = "../../crates/cli/src/out/text.rs"]
#[allow(unreachable_pub, reason = "public in its own crate")]
pub(crate) mod cli_text;
