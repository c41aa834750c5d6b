//! `workers.toml` on disk: read whole or not at all, and the last good one kept beside the store.

use crate::statedir::write_whole;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use tessera_hostconfig::limits::FILE_BYTES_MAX;
use tessera_hostconfig::{Finding, Workers};

/// The last good file, in the supervisor's own folder.
const KEPT: &str = "workers.toml";
/// Mistakes of a file that are told; the first ones.
const TOLD_MAX: usize = 100;

/// Where the file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The file.
    pub(crate) path: PathBuf,
    /// Whether the configuration names it, so that it must be there.
    pub(crate) is_named: bool,
    /// The supervisor's own folder.
    pub(crate) own: PathBuf,
}

/// A file that can be used.
#[derive(Debug)]
pub(crate) struct Good {
    /// What it says.
    pub(crate) workers: Workers,
    /// What in it has no effect, with file and line.
    pub(crate) warnings: Vec<String>,
    text: String,
}

/// Why a file can't be used, each with file and line.
pub(crate) type Mistakes = Vec<String>;

impl Place {
    /// Reads the file; where it needn't be there and isn't, nothing is set.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub(crate) fn read(&self) -> Result<Good, Mistakes> {
        match text_of(&self.path) {
            Ok(text) => understood(&self.path, text),
            Err(error) if error.kind() == ErrorKind::NotFound && !self.is_named => {
                understood(&self.path, String::new())
            }
            Err(error) => Err(vec![format!("can't read {}: {error}", self.path.display())]),
        }
    }

    /// Keeps a good one for a start at which the file is faulty.
    pub(crate) fn keep(&self, good: &Good) {
        if let Err(error) = write_whole(&self.own.join(KEPT), &good.text, 0o600) {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(
                error,
                "the configuration of workers is used, but can't be kept for the next start"
            );
        }
    }

    /// Reads the last good one, if there was one.
    pub(crate) fn last_good(&self) -> Option<Good> {
        let path = self.own.join(KEPT);
        let text = text_of(&path).ok()?;
        understood(&path, text).ok()
    }
}

fn text_of(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let file = File::open(path)?;
    // One more than may be: the reader tells that it is too long.
    file.take(FILE_BYTES_MAX as u64 + 1)
        .read_to_string(&mut text)?;
    Ok(text)
}

fn understood(path: &Path, text: String) -> Result<Good, Mistakes> {
    let (workers, findings) = Workers::read(&text);
    let (errors, warnings): (Vec<Finding>, Vec<Finding>) =
        findings.into_iter().partition(|it| it.is_error);
    let said = |all: Vec<Finding>| -> Vec<String> {
        all.iter().take(TOLD_MAX).map(|it| told(path, it)).collect()
    };
    if errors.is_empty() {
        let warnings = said(warnings);
        Ok(Good {
            workers,
            warnings,
            text,
        })
    } else {
        Err(said(errors))
    }
}

fn told(path: &Path, finding: &Finding) -> String {
    let hint = finding.hint.as_ref().map(|hint| format!("; {hint}"));
    format!("{}:{finding}{}", path.display(), hint.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(dir: &Path) -> Place {
        Place {
            path: dir.join("workers.toml"),
            is_named: false,
            own: dir.join("own"),
        }
    }

    #[test]
    fn a_faulty_file_is_refused_whole_and_the_last_good_one_is_there() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(dir.path().join("own")).expect("makes");
        let place = place(dir.path());
        let absent = place.read().expect("nothing is set");
        assert_eq!(absent.workers.sections().len(), 0);
        assert!(place.last_good().is_none());
        std::fs::write(&place.path, "[default]\nworker_cpus = 2\n").expect("writes");
        let good = place.read().expect("is right");
        place.keep(&good);
        std::fs::write(
            &place.path,
            "[default]\nworker_cpu = 2\nproxy_account = \"root\"\n",
        )
        .expect("writes");
        let mistakes = place.read().expect_err("is wrong");
        assert!(mistakes[0].ends_with(
            "workers.toml:2:1: there is no key `worker_cpu` in [default]; did you mean `worker_cpus`?"
        ), "{mistakes:?}");
        assert!(
            mistakes[1].contains("workers.toml:3:1: `proxy_account` can't be set from here"),
            "{mistakes:?}"
        );
        let kept = place.last_good().expect("is kept");
        assert_eq!(
            kept.workers.of_host("r1", None).values["worker_cpus"].value,
            "2"
        );
    }

    #[test]
    fn a_file_that_is_named_must_be_there() {
        let dir = tempfile::tempdir().expect("a folder");
        let place = Place {
            is_named: true,
            ..place(dir.path())
        };
        let mistakes = place.read().expect_err("is missing");
        assert!(mistakes[0].starts_with("can't read "), "{mistakes:?}");
    }
}
