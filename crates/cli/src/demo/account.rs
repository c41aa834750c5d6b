//! Who the frames of the demo run as, and what is done as them.

use crate::Exit;
use crate::error::CliError;
use crate::local::farm::private_folder;
use crate::local::is_root;
use nix::unistd::{User, geteuid};
use std::fs::DirBuilder;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The account of jobs when there is no person to run them as.
const JOB_ACCOUNT: &str = "tessera-job";
/// Least uid of a person's account.
const UID_MIN: u32 = 1_000;

/// Who frames shall run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// As whoever runs the demo.
    Own,
    /// As the person behind sudo.
    Person(String),
    /// As the proxy account.
    Proxy,
}

/// Answers who frames shall run as: the caller; for root who is behind sudo, else the proxy account.
pub(crate) fn wanted() -> Wanted {
    if !is_root() {
        return Wanted::Own;
    }
    let person = std::env::var("SUDO_USER")
        .ok()
        .filter(|name| is_person(name));
    person.map_or(Wanted::Proxy, Wanted::Person)
}

fn is_person(name: &str) -> bool {
    matches!(User::from_name(name), Ok(Some(user)) if user.uid.as_raw() >= UID_MIN)
}

/// Writes the host's policy for the demo before the launcher does: one mode only.
pub(crate) fn write_policy(state: &Path, wanted: &Wanted) -> Result<(), CliError> {
    let modes = match wanted {
        Wanted::Own | Wanted::Proxy => "proxy",
        Wanted::Person(_) => "user",
    };
    let folder = state.join("launcher");
    private_folder(&folder)?;
    let path = folder.join("policy");
    let text =
        format!("# Written by tessera demo.\nmodes = {modes}\nproxy_account = {JOB_ACCOUNT}\n");
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(&path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| CliError::failed(format!("can't write {}: {error}", path.display())))
}

/// The account that frames run as.
#[derive(Debug, Clone)]
pub(crate) struct FrameAccount {
    user: User,
    program: PathBuf,
}

impl FrameAccount {
    /// Looks the account up; `program` is this program where that account can run it.
    pub(crate) fn find(wanted: &Wanted, program: PathBuf) -> Result<Self, CliError> {
        let found = match wanted {
            Wanted::Own => User::from_uid(geteuid()),
            Wanted::Person(name) => User::from_name(name),
            Wanted::Proxy => User::from_name(JOB_ACCOUNT),
        };
        match found {
            Ok(Some(user)) => Ok(Self { user, program }),
            Ok(None) => Err(
                CliError::failed(format!("there is no account for {wanted:?}")).hint(format!(
                    "useradd --system {JOB_ACCOUNT} makes the proxy account"
                )),
            ),
            Err(error) => Err(CliError::failed(format!(
                "can't look up the account of {wanted:?}: {error}"
            ))),
        }
    }

    /// Answers its name.
    pub(crate) fn name(&self) -> &str {
        &self.user.name
    }

    /// Answers its name when it is not the caller's own.
    pub(crate) fn other_than_own(&self) -> Option<String> {
        (self.user.uid != geteuid()).then(|| self.user.name.clone())
    }

    /// Makes the folder for the images as that account, and answers it.
    pub(crate) fn make_folder(&self, keep: Option<&Path>) -> Result<PathBuf, CliError> {
        let folder = match keep {
            Some(path) => std::path::absolute(path)
                .map_err(|error| CliError::usage(format!("--keep {}: {error}", path.display())))?,
            None => {
                let unique = uuid::Uuid::new_v4().simple().to_string();
                let short = unique.get(..6).unwrap_or_default();
                std::env::temp_dir().join(format!("tessera-demo-{short}"))
            }
        };
        if folder.to_str().is_none() {
            return Err(CliError::usage("--keep: the folder's name is no UTF-8"));
        }
        self.as_account("make", &folder).map_err(|said| {
            CliError::new(Exit::Failed, said).hint(format!(
                "{} must be able to make it: name another with --keep DIR",
                self.name()
            ))
        })?;
        Ok(folder)
    }

    /// Removes the folder with the images as that account.
    pub(crate) fn remove_folder(&self, folder: &Path) -> Result<(), CliError> {
        self.as_account("remove", folder).map_err(CliError::failed)
    }

    /// Runs this program's hidden command about the folder, as that account when root asks.
    fn as_account(&self, verb: &str, folder: &Path) -> Result<(), String> {
        let mut command = Command::new(&self.program);
        command.arg("demo-folder").arg(verb).arg(folder);
        command
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        if is_root() {
            // The standard library leaves root's supplementary groups behind when it changes the user.
            command
                .uid(self.user.uid.as_raw())
                .gid(self.user.gid.as_raw());
        }
        let output = command
            .output()
            .map_err(|error| format!("can't run {}: {error}", self.program.display()))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(said.trim().trim_start_matches("error: ").to_owned())
    }
}

/// Makes a folder that all may read; one that is there must be empty.
pub(crate) fn make(dir: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o755).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if std::fs::read_dir(dir)?.next().is_none() {
                // It must also be writable; a file that is removed at once shows it.
                return tempfile::tempfile_in(dir).map(|_| ());
            }
            Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "it is there and not empty",
            ))
        }
        made => made,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_must_be_new_or_empty() {
        let dir = tempfile::tempdir().expect("a folder");
        let new = dir.path().join("new");
        make(&new).expect("made");
        make(&new).expect("still empty");
        std::fs::write(new.join("x"), b"x").expect("written");
        assert_eq!(
            make(&new).map_err(|error| error.kind()),
            Err(io::ErrorKind::AlreadyExists)
        );
    }

    #[test]
    fn the_policy_allows_one_mode() {
        let dir = tempfile::tempdir().expect("a folder");
        write_policy(dir.path(), &Wanted::Person("mia".into())).expect("written");
        let text = std::fs::read_to_string(dir.path().join("launcher/policy")).expect("read");
        assert!(text.contains("\nmodes = user\n"));
    }
}
