//! Whether the worker can do its job: looked at when it starts, every [`EVERY`], and when something could not be started.
//!
//! A worker that can't says so to the supervisor (`panic` with the reason) and looks again; what runs goes on.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use tessera_model::Identity;
use tessera_wire::pki::WorkerIdentity;

use crate::chain::{Capabilities, ChainError};
use crate::facts::service_identity;
use crate::options::Settings;
use crate::processes::Processes;
use crate::state::Spool;

/// How often it is looked.
pub(crate) const EVERY: Duration = Duration::from_secs(30);
/// With less free space, in bytes, no more work is taken.
const FREE_LEAST: u64 = 64 << 20;
/// A clock that is off by more than this, in milliseconds, is said in the log.
const CLOCK_WARN_MS: i64 = 30_000;
/// With a clock that is off by more than this, in milliseconds, no work is taken: tickets would be too old or too young.
pub(crate) const CLOCK_PANIC_MS: i64 = 60_000;
/// A certificate that ends in fewer days is said in the log.
const CERTIFICATE_DAYS_LOW: i64 = 30;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Who jobs run as.
    pub(crate) identity: Identity,
    /// What the launcher says.
    pub(crate) capabilities: Option<Capabilities>,
    /// Why the worker can't do its job.
    pub(crate) panic: Option<String>,
}

/// Looks at everything.
pub(crate) async fn look<P: Processes>(
    settings: &Settings,
    processes: &P,
    spool: &Spool,
    identity_dir: &Path,
    clock_offset_ms: i64,
) -> Findings {
    let mut problems: Vec<String> = [
        spool_problem(spool.root()),
        certificate_problem(identity_dir),
        clock_problem(clock_offset_ms),
    ]
    .into_iter()
    .flatten()
    .collect();
    let capabilities = match processes.capabilities().await {
        Ok(capabilities) => Some(capabilities),
        Err(e) => {
            problems.push(no_answer(settings, &e));
            None
        }
    };
    let identity = match (settings.desktop_identity(), &capabilities) {
        (Some(desktop), _) => desktop,
        (None, None) => Identity::default(),
        (None, Some(launcher)) => {
            let account = settings.config.proxy_account.as_deref();
            service_identity(launcher, settings.wanted_mode(), account).unwrap_or_else(|problem| {
                problems.push(problem);
                Identity::default()
            })
        }
    };
    let panic = (!problems.is_empty()).then(|| problems.join("; "));
    Findings {
        identity,
        capabilities,
        panic,
    }
}

fn no_answer(settings: &Settings, error: &ChainError) -> String {
    let cause = causes(error);
    match settings.chain_mode {
        crate::chain::Mode::Service { .. } => {
            format!("the launcher does not answer ({cause}); see whether tessera-launch runs")
        }
        crate::chain::Mode::Desktop { .. } => {
            format!("tessera-launch does not answer ({cause}); see whether it is of this release")
        }
    }
}

/// Prints an error with what caused it.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

fn spool_problem(root: &Path) -> Option<String> {
    if let Err(e) = try_writing(root) {
        let hint = if e.kind() == io::ErrorKind::StorageFull {
            "free some space"
        } else {
            "mend it"
        };
        return Some(format!(
            "the spool {} can't be written ({e}); {hint}",
            root.display()
        ));
    }
    let free = statvfs(root).map_or(u64::MAX, |it| {
        it.blocks_available().saturating_mul(it.fragment_size())
    });
    (free < FREE_LEAST).then(|| {
        format!(
            "the spool {} has only {} MiB free; free some space (at least {} MiB)",
            root.display(),
            free >> 20,
            FREE_LEAST >> 20
        )
    })
}

fn try_writing(root: &Path) -> io::Result<()> {
    let path = root.join(".probe");
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)?;
    let written = file.write_all(b"can I write?");
    std::fs::remove_file(&path)?;
    written
}

fn clock_problem(offset_ms: i64) -> Option<String> {
    let (seconds, side) = (
        offset_ms.saturating_abs() / 1000,
        if offset_ms > 0 { "behind" } else { "ahead of" },
    );
    let text = format!("clock: this host's is {seconds} s {side} the supervisor's; set it (NTP)");
    if offset_ms.saturating_abs() > CLOCK_PANIC_MS {
        return Some(text);
    }
    if offset_ms.saturating_abs() > CLOCK_WARN_MS {
        tracing::warn!("{text}");
    }
    None
}

fn certificate_problem(dir: &Path) -> Option<String> {
    match WorkerIdentity::load(dir) {
        Ok(None) => Some(NOT_JOINED.to_owned()),
        Err(e) => Some(format!(
            "this host's certificate can't be used ({}); join again",
            causes(&e)
        )),
        Ok(Some(identity)) => match identity.days_left() {
            Ok(days) if days < 0 => {
                Some("this host's certificate has ended; join again".to_owned())
            }
            Ok(days) => {
                if days < CERTIFICATE_DAYS_LOW {
                    tracing::warn!(days, "this host's certificate ends soon; join again");
                }
                None
            }
            Err(e) => Some(format!(
                "this host's certificate can't be read ({})",
                causes(&e)
            )),
        },
    }
}

/// What a host must be told that has no certificate.
pub(crate) const NOT_JOINED: &str = "this host has not joined a farm; run `tessera join` with a string from \
     `tessera host invite`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spool_that_is_not_there_is_said() {
        let problem = spool_problem(Path::new("/nonexistent/spool")).expect("is a problem");
        assert!(
            problem.contains("/nonexistent/spool can't be written"),
            "{problem}"
        );
        let dir = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(spool_problem(dir.path()), None);
        assert_eq!(std::fs::read_dir(dir.path()).expect("reads").count(), 0);
    }

    #[test]
    fn clocks_may_differ_a_little() {
        assert_eq!(clock_problem(0), None);
        assert_eq!(clock_problem(-CLOCK_PANIC_MS), None);
        let problem = clock_problem(75_000).expect("is a problem");
        assert!(
            problem.starts_with("clock: this host's is 75 s behind"),
            "{problem}"
        );
    }

    #[test]
    fn a_host_that_has_not_joined_is_told_how() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(certificate_problem(dir.path()).as_deref(), Some(NOT_JOINED));
    }
}
