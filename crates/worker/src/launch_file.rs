//! What a worker keeps of a launch beside its output, in the file `limits` of its directory: the limits to watch and when
//! it began. The file is there from before the launch starts until its end is acknowledged: a directory without it holds
//! nothing but output to deliver.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tessera_model::limits::{GRACE_SECONDS_DEFAULT, OUTPUT_BYTES_DEFAULT};
use tessera_model::msg::RunLimits;

use crate::os::{self, awake, boot_id};

const NAME: &str = "limits";
const BYTES_MAX: u64 = 64 * 1024;

/// The file's text: TOML, times in milliseconds.
#[derive(Debug, Serialize, Deserialize)]
struct Text {
    boot: String,
    began_ms: u64,
    timelimit_ms: Option<u64>,
    agendatimelimit_ms: Option<u64>,
    silence_limit_ms: Option<u64>,
    grace_ms: u64,
    output_limit: u64,
    progress: Option<String>,
    /// Whose job it is of; a worker of an earlier release did not write it.
    #[serde(default)]
    owner: Option<String>,
}

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) limits: RunLimits,
    /// For how long the launch has existed.
    pub(crate) elapsed: Duration,
    /// Whose job it is of, if that is known.
    pub(crate) owner: Option<String>,
}

/// Answers where the file of a launch's directory is.
pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

/// Writes the file of a launch that begins now.
pub(crate) fn write(dir: &Path, limits: &RunLimits, owner: Option<&str>) -> io::Result<()> {
    let text = Text {
        boot: boot_id(),
        began_ms: millis(awake()),
        timelimit_ms: limits.timelimit.map(millis),
        agendatimelimit_ms: limits.agendatimelimit.map(millis),
        silence_limit_ms: limits.silence_limit.map(millis),
        grace_ms: millis(limits.grace),
        output_limit: limits.output_limit.min(i64::MAX.unsigned_abs()),
        progress: limits.progress.clone(),
        owner: owner.map(str::to_owned),
    };
    let text = toml::to_string(&text).map_err(io::Error::other)?;
    let mut options = os::to_write();
    let opened = options.create(true).truncate(true).open(path(dir));
    opened?.write_all(text.as_bytes())
}

/// Reads the file. `None` when there is no such file. A file that
/// can't be understood (the host lost power while it was written) has no limits.
pub(crate) fn read(dir: &Path) -> io::Result<Option<Kept>> {
    let file = match os::to_read().open(path(dir)) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut bytes = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut bytes)?;
    let text = std::str::from_utf8(&bytes)
        .ok()
        .and_then(|it| toml::from_str::<Text>(it).ok());
    Ok(Some(text.map_or_else(fallback, understood)))
}

fn understood(text: Text) -> Kept {
    let began = Duration::from_millis(text.began_ms);
    let is_this_boot = text.boot == boot_id();
    let elapsed = if is_this_boot {
        awake().saturating_sub(began)
    } else {
        Duration::ZERO
    };
    let limits = RunLimits {
        timelimit: text.timelimit_ms.map(Duration::from_millis),
        agendatimelimit: text.agendatimelimit_ms.map(Duration::from_millis),
        silence_limit: text.silence_limit_ms.map(Duration::from_millis),
        grace: Duration::from_millis(text.grace_ms),
        output_limit: text.output_limit,
        progress: text.progress,
    };
    Kept {
        limits,
        elapsed,
        owner: text.owner,
    }
}

fn fallback() -> Kept {
    let limits = RunLimits {
        grace: Duration::from_secs(GRACE_SECONDS_DEFAULT),
        output_limit: OUTPUT_BYTES_DEFAULT,
        ..RunLimits::default()
    };
    Kept {
        limits,
        ..Kept::default()
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis())
        .unwrap_or(u64::MAX)
        .min(i64::MAX.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_come_back() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        assert!(read(dir.path()).expect("reads").is_none());
        let limits = RunLimits {
            timelimit: Some(Duration::from_secs(60)),
            agendatimelimit: None,
            silence_limit: Some(Duration::from_millis(1)),
            grace: Duration::from_secs(5),
            output_limit: 12,
            progress: Some("\"(\\d+)%\"\n".to_owned()),
        };
        write(dir.path(), &limits, Some("mia")).expect("writes");
        let kept = read(dir.path()).expect("reads").expect("is there");
        assert_eq!(kept.limits, limits);
        assert_eq!(kept.owner.as_deref(), Some("mia"));
        assert!(kept.elapsed < Duration::from_secs(60));
    }

    #[test]
    fn a_torn_file_has_no_limits() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(path(dir.path()), b"boot = \"x").expect("writes");
        let kept = read(dir.path()).expect("reads").expect("is there");
        assert_eq!(kept.limits.timelimit, None);
        assert_eq!(kept.limits.output_limit, OUTPUT_BYTES_DEFAULT);
    }

    #[test]
    fn a_file_of_an_earlier_release_says_of_nobody_whose_it_is() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let text = "boot = \"x\"\nbegan_ms = 1\ngrace_ms = 2\noutput_limit = 3\n";
        std::fs::write(path(dir.path()), text).expect("writes");
        let kept = read(dir.path()).expect("reads").expect("is there");
        assert_eq!((kept.limits.output_limit, kept.owner), (3, None));
    }
}
