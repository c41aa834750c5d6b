//! `workers.toml` on disk: read whole or not at all, and the last good one kept beside the store.

use crate::statedir::write_whole;
use crate::tokens::hex;
use nix::unistd::{AccessFlags, Uid, access};
use sha2::{Digest as _, Sha256};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use tessera_hostconfig::limits::FILE_BYTES_MAX;
use tessera_hostconfig::{Finding, Workers};

/// The last good file, in the supervisor's own folder.
const KEPT: &str = "workers.toml";
/// Mistakes of a file that are told; the first ones.
const TOLD_MAX: usize = 100;
/// Who may read a file that is made new.
const MODE_DEFAULT: u32 = 0o644;
/// The version of a file that is not there.
const NO_FILE: &str = "none";

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

/// A file as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Draft {
    /// What stands in it; empty where there is none.
    pub(crate) text: String,
    /// Tells it from every other text.
    pub(crate) version: String,
}

/// Where a file can be replaced, and who may read what takes its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spot {
    target: PathBuf,
    mode: u32,
}

/// Why a text did not take the file's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotWritten {
    /// Another one stands there than the one that was read.
    Moved,
    /// The disk would not.
    Failed(String),
}

impl Place {
    /// Reads the file as it is, right or wrong.
    ///
    /// # Errors
    /// Why it can't be read.
    pub(crate) fn draft(&self) -> Result<Draft, String> {
        draft_of(&self.path).map_err(|error| format!("can't read {}: {error}", self.path.display()))
    }

    /// Finds out whether the file is the supervisor's own to replace: whoever made it so has said that the farm's administrators
    /// may change it. A link is followed.
    ///
    /// # Errors
    /// Whose it is.
    pub(crate) fn spot(&self) -> Result<Spot, String> {
        let unknown =
            |error: std::io::Error| format!("can't look at {}: {error}", self.path.display());
        let (target, mode) = match self.path.canonicalize() {
            Ok(target) => {
                let meta = target.metadata().map_err(unknown)?;
                if !meta.is_file() {
                    return Err(format!("{} is no file", target.display()));
                }
                check_ours(&target, meta.uid())?;
                (target, meta.mode() & 0o777)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => (self.path.clone(), MODE_DEFAULT),
            Err(error) => return Err(unknown(error)),
        };
        let folder = target.parent().unwrap_or(Path::new("/"));
        let meta = folder.metadata().map_err(unknown)?;
        check_ours(folder, meta.uid())?;
        if meta.mode() & 0o200 == 0 {
            return Err(format!("{} can't be written", folder.display()));
        }
        // A service's unit has most of the disk read-only for it, whoever owns what.
        access(folder, AccessFlags::W_OK)
            .map_err(|errno| format!("{} can't be written: {errno}", folder.display()))?;
        Ok(Spot { target, mode })
    }
}

/// Checks that something is the supervisor's own.
fn check_ours(what: &Path, owner: u32) -> Result<(), String> {
    let us = Uid::effective().as_raw();
    if owner == us {
        return Ok(());
    }
    let whose = if owner == 0 {
        "root's".to_owned()
    } else {
        format!("that of uid {owner}")
    };
    let what = what.display();
    Err(format!(
        "{what} is {whose}, and the supervisor runs as uid {us}"
    ))
}

impl Spot {
    /// Puts another text in the place of the version that was read, whole or not at all, and has it on the disk.
    ///
    /// # Errors
    /// Somebody changed the file meanwhile, or why it can't be written; the one that is there stays.
    pub(crate) fn write(&self, text: &str, version: &str) -> Result<(), NotWritten> {
        let name = self.target.file_name().unwrap_or_default();
        let name = name.to_string_lossy();
        let temporary = self.target.with_file_name(format!(".{name}.tessera-new"));
        let write = || {
            let _left_over = std::fs::remove_file(&temporary);
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create_new(true).open(&temporary)?;
            file.set_permissions(Permissions::from_mode(self.mode))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            // As late as can be: an editor on this host knows nothing of us.
            if draft_of(&self.target)?.version != version {
                std::fs::remove_file(&temporary)?;
                return Ok(false);
            }
            std::fs::rename(&temporary, &self.target)?;
            File::open(self.target.parent().unwrap_or(Path::new("/")))?.sync_all()?;
            Ok(true)
        };
        match write() {
            Ok(true) => Ok(()),
            Ok(false) => Err(NotWritten::Moved),
            Err::<_, std::io::Error>(error) => {
                let why = format!("can't write {}: {error}", self.target.display());
                Err(NotWritten::Failed(why))
            }
        }
    }
}

/// Reads a file as it is; one that is not there is empty.
fn draft_of(path: &Path) -> std::io::Result<Draft> {
    match text_of(path) {
        Ok(text) => Ok(Draft {
            version: version_of(&text),
            text,
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Draft {
            text: String::new(),
            version: NO_FILE.to_owned(),
        }),
        Err(error) => Err(error),
    }
}

/// Answers what tells a text from every other.
fn version_of(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
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
    fn a_file_is_replaced_where_it_is_the_supervisors_own_and_nowhere_else() {
        let dir = tempfile::tempdir().expect("a folder");
        let place = place(dir.path());
        let none = place.draft().expect("there needn't be one");
        assert_eq!((none.text.as_str(), none.version.as_str()), ("", NO_FILE));
        let put = |text: &str, version: &str| place.spot().expect("ours").write(text, version);
        put("a", NO_FILE).expect("writes");
        let first = place.draft().expect("there");
        assert_eq!(first.text, "a");
        assert_ne!(first.version, none.version);
        // Through a link, with the mode that it has.
        let other = dir.path().join("other.toml");
        std::fs::rename(&place.path, &other).expect("moves");
        std::fs::set_permissions(&other, Permissions::from_mode(0o600)).expect("chmod");
        std::os::unix::fs::symlink(&other, &place.path).expect("links");
        put("b", &first.version).expect("writes");
        assert!(place.path.is_symlink(), "the link stays");
        assert_eq!(std::fs::read_to_string(&other).expect("there"), "b");
        let mode = other.metadata().expect("there").mode();
        assert_eq!(mode & 0o777, 0o600);
        let late = put("c", &first.version);
        assert_eq!(late, Err(NotWritten::Moved), "it says b by now");
        assert_eq!(std::fs::read_to_string(&other).expect("there"), "b");
        let names = std::fs::read_dir(dir.path()).expect("reads");
        assert_eq!(names.count(), 2, "nothing is left beside it");
        // A folder that we may not write, though the file is ours.
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o500)).expect("chmod");
        let refused = place.spot();
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).expect("chmod");
        assert!(refused.is_err(), "{refused:?}");
        std::fs::remove_file(&place.path).expect("removes");
        std::fs::create_dir(&place.path).expect("makes");
        assert!(place.spot().expect_err("a folder").ends_with("is no file"));
        let us = Uid::effective().as_raw();
        assert_eq!(check_ours(dir.path(), us), Ok(()));
        let strange = check_ours(dir.path(), us.wrapping_add(1)).expect_err("another's");
        assert!(strange.contains(&format!("runs as uid {us}")), "{strange}");
    }

    /// Names the folder to the second run of a test within namespaces where that is read-only.
    #[cfg(target_os = "linux")]
    const READ_ONLY: &str = "TESSERA_TEST_READ_ONLY";

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_that_is_read_only_for_us_is_not_offered() {
        if let Some(dir) = std::env::var_os(READ_ONLY) {
            let why = place(Path::new(&dir)).spot().expect_err("read-only");
            assert!(why.contains("can't be written"), "{why}");
            return;
        }
        let dir = tempfile::tempdir().expect("a folder");
        assert!(place(dir.path()).spot().is_ok());
        // As a service's unit has it: ours by owner and mode, and mounted read-only.
        let within = |script: &str| {
            let mut unshare = std::process::Command::new("unshare");
            unshare.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
            unshare.arg("sh").arg(dir.path());
            unshare
        };
        let mount = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\"";
        let can = within(mount).output();
        if !can.is_ok_and(|it| it.status.success()) {
            eprintln!("left out: this host lets nobody mount within namespaces of their own");
            return;
        }
        let name = "settings::file::tests::a_folder_that_is_read_only_for_us_is_not_offered";
        let mut again = within(&format!("{mount} && exec \"$2\" --exact \"$3\""));
        again.arg(std::env::current_exe().expect("runs")).arg(name);
        let said = again.env(READ_ONLY, dir.path()).output().expect("runs");
        let text = String::from_utf8_lossy(&said.stdout);
        assert!(text.contains("1 passed"), "{text}");
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
