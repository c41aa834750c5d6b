//! Whether the worker can do its job: looked at when it starts, every [`EVERY`], and when something could not be started.
//!
//! A worker that can't says so to the supervisor (`panic` with the reason) and looks again every [`EVERY_WRONG`], so that
//! what somebody mends counts at once; what runs goes on.

use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use tessera_model::{Gpus, Identity};
use tessera_wire::pki::WorkerIdentity;

use crate::chain::Capabilities;
use crate::facts::service_identity;
use crate::options::Settings;
use crate::os;
use crate::processes::Processes;
use crate::state::Spool;

/// How often it is looked while all is well.
const EVERY: Duration = Duration::from_secs(30);
/// How often it is looked while something is wrong.
const EVERY_WRONG: Duration = Duration::from_millis(1_500);
/// With less free space, in bytes, no more work is taken.
const FREE_LEAST: u64 = 64 << 20;
/// With so much free space, in bytes, work is taken again: not the same, or jobs at the edge would make it change each
/// second.
const FREE_AGAIN: u64 = 96 << 20;
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
    /// The GPUs that there are.
    pub(crate) gpus: Gpus,
    /// What somebody should look after before it comes to that.
    pub(crate) warnings: Vec<String>,
}

impl Findings {
    /// Answers when to look again.
    pub(crate) fn look_again(&self) -> Duration {
        if self.panic.is_some() {
            EVERY_WRONG
        } else {
            EVERY
        }
    }

    /// Says whether the supervisor must be told what `new` found; warnings are for the log alone.
    pub(crate) fn is_told_anew(&self, new: &Self) -> bool {
        let told = |it: &Self| {
            let who = (it.identity.clone(), it.capabilities.clone());
            (who, it.panic.clone(), it.gpus.clone())
        };
        told(self) != told(new)
    }
}

/// What a single look at one thing finds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Problem {
    /// No work can be taken.
    Panic(String),
    /// It can, still.
    Warning(String),
}

/// Looks at everything. `was_wrong` says whether the last look found the worker unable to work.
pub(crate) async fn look<P: Processes>(
    settings: &Settings,
    processes: &P,
    spool: &Spool,
    identity_dir: &Path,
    clock_offset_ms: i64,
    was_wrong: bool,
) -> Findings {
    let free_least = if was_wrong { FREE_AGAIN } else { FREE_LEAST };
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    let all = [
        spool_problem(spool.root(), free_least).map(Problem::Panic),
        certificate_problem(identity_dir),
        clock_problem(clock_offset_ms),
    ];
    for problem in all.into_iter().flatten() {
        match problem {
            Problem::Panic(text) => problems.push(text),
            Problem::Warning(text) => warnings.push(text),
        }
    }
    let capabilities = match processes.capabilities().await {
        Ok(capabilities) => Some(capabilities),
        Err(e) => {
            problems.push(settings.chain_mode.no_answer(&causes(&e)));
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
        gpus: Gpus::default(),
        warnings,
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

/// Says what is wrong with the spool. The text is the same as long as the trouble is: it goes to the supervisor and the
/// log whenever it changes.
fn spool_problem(root: &Path, free_least: u64) -> Option<String> {
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
    let free = os::free_space(root).unwrap_or(u64::MAX);
    (free < free_least).then(|| too_little_space(root))
}

fn too_little_space(root: &Path) -> String {
    format!(
        "the disk of the spool {} is almost full; free some space ({} MiB must be free)",
        root.display(),
        FREE_AGAIN >> 20
    )
}

fn try_writing(root: &Path) -> io::Result<()> {
    let path = root.join(".probe");
    let mut options = os::to_write();
    let mut file = options.create(true).truncate(true).open(&path)?;
    let written = file.write_all(b"can I write?");
    std::fs::remove_file(&path)?;
    written
}

fn clock_problem(offset_ms: i64) -> Option<Problem> {
    let (seconds, side) = (
        offset_ms.saturating_abs() / 1000,
        if offset_ms > 0 { "behind" } else { "ahead of" },
    );
    let text = format!("clock: this host's is {seconds} s {side} the supervisor's; set it (NTP)");
    match offset_ms.saturating_abs() {
        off if off > CLOCK_PANIC_MS => Some(Problem::Panic(text)),
        off if off > CLOCK_WARN_MS => Some(Problem::Warning(text)),
        _ => None,
    }
}

fn certificate_problem(dir: &Path) -> Option<Problem> {
    let panic = match WorkerIdentity::load(dir) {
        Ok(None) => NOT_JOINED.to_owned(),
        Err(e) => format!(
            "this host's certificate can't be used ({}); join again",
            causes(&e)
        ),
        Ok(Some(identity)) => match identity.days_left() {
            Ok(days) if days < 0 => "this host's certificate has ended; join again".to_owned(),
            Ok(days) if days < CERTIFICATE_DAYS_LOW => {
                return Some(Problem::Warning(format!(
                    "this host's certificate ends in {days} days; join again"
                )));
            }
            Ok(_) => return None,
            Err(e) => format!("this host's certificate can't be read ({})", causes(&e)),
        },
    };
    Some(Problem::Panic(panic))
}

/// What a host must be told that has no certificate.
pub(crate) const NOT_JOINED: &str = "this host has not joined a farm; run `tessera join` with a string from \
     `tessera join-string`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spool_that_is_not_there_is_said() {
        let nowhere = Path::new("/nonexistent/spool");
        let problem = spool_problem(nowhere, FREE_LEAST).expect("is a problem");
        assert!(
            problem.contains("/nonexistent/spool can't be written"),
            "{problem}"
        );
        let dir = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(spool_problem(dir.path(), 0), None);
        assert_eq!(std::fs::read_dir(dir.path()).expect("reads").count(), 0);
    }

    #[test]
    fn a_spool_that_is_almost_full_is_said_in_the_same_words() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let problem = spool_problem(dir.path(), u64::MAX).expect("is a problem");
        assert!(problem.contains("96 MiB must be free"), "{problem}");
        std::fs::write(dir.path().join("more"), [0; 1 << 20]).expect("writes");
        assert_eq!(spool_problem(dir.path(), u64::MAX), Some(problem));
    }

    #[test]
    fn what_is_wrong_is_looked_at_often() {
        let well = Findings::default();
        let wrong = Findings {
            panic: Some("the spool is gone".to_owned()),
            ..Findings::default()
        };
        assert_eq!(well.look_again(), EVERY);
        assert!(wrong.look_again() <= Duration::from_secs(2));
        assert!(well.is_told_anew(&wrong) && wrong.is_told_anew(&well));
        let warned = Findings {
            warnings: vec!["the clock is off".to_owned()],
            ..Findings::default()
        };
        assert!(!well.is_told_anew(&warned));
    }

    #[test]
    fn clocks_may_differ_a_little() {
        assert_eq!(clock_problem(0), None);
        let warns = |offset| matches!(clock_problem(offset), Some(Problem::Warning(_)));
        assert!(warns(-CLOCK_PANIC_MS) && warns(CLOCK_WARN_MS + 1));
        let Some(Problem::Panic(problem)) = clock_problem(75_000) else {
            panic!("is a problem")
        };
        assert!(
            problem.starts_with("clock: this host's is 75 s behind"),
            "{problem}"
        );
    }

    #[test]
    fn a_host_that_has_not_joined_is_told_how() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let expected = Problem::Panic(NOT_JOINED.to_owned());
        assert_eq!(certificate_problem(dir.path()), Some(expected));
    }
}
