//! The group of the farm's administrators: made by `tessera up` as root like the accounts, removed with them.

use crate::error::CliError;
use nix::unistd::Group;
use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Its members may act on every job; the supervisor looks them up by this name unless it is told another.
pub(crate) const ADMIN_GROUP: &str = "tessera-admin";
/// In the launcher's folder, which only root can write: says that the group was made here, and may be removed.
const MARK: &str = "launcher/made-group";
/// The system's tools, as root may trust them.
const GROUPADD: [&str; 2] = ["/usr/sbin/groupadd", "/sbin/groupadd"];
const GROUPDEL: [&str; 2] = ["/usr/sbin/groupdel", "/sbin/groupdel"];

/// How the group stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AdminGroup {
    /// There is none.
    Missing,
    /// It is there, with these members.
    There(Vec<String>),
}

/// Looks it up.
pub(crate) fn look() -> AdminGroup {
    match Group::from_name(ADMIN_GROUP) {
        Ok(Some(group)) => AdminGroup::There(group.mem),
        Ok(None) | Err(_) => AdminGroup::Missing,
    }
}

/// Makes the group if it is missing; answers what to say about it. That it can't be made is no reason not to start.
pub(crate) fn make_if_missing(state: &Path) -> Option<String> {
    if look() != AdminGroup::Missing {
        return None;
    }
    if let Err(error) = run(&GROUPADD, &["--system", ADMIN_GROUP]) {
        let why = error.message;
        return Some(format!(
            "note: the group {ADMIN_GROUP} can't be made ({why}): only root administers the farm\n"
        ));
    }
    let kept = match mark(state) {
        Ok(()) => "`tessera uninstall` removes it while it is empty".to_owned(),
        Err(error) => format!("it stays until you remove it ({error})"),
    };
    Some(format!(
        "created group {ADMIN_GROUP}: its members may act on every job and host; {kept}\n\
         to add a person: usermod -aG {ADMIN_GROUP} NAME, who then logs in anew\n"
    ))
}

/// What is to become of the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// There is none.
    Nothing,
    /// It goes: it was made by us and nobody is in it.
    Goes,
    /// It stays, for this reason.
    Stays(String),
}

/// Answers what `uninstall` does with the group.
pub(crate) fn fate(state: &Path) -> Fate {
    judge(look(), state.join(MARK).is_file())
}

fn judge(group: AdminGroup, is_ours: bool) -> Fate {
    match group {
        AdminGroup::Missing => Fate::Nothing,
        AdminGroup::There(_) if !is_ours => Fate::Stays("tessera up did not make it".to_owned()),
        AdminGroup::There(members) if members.is_empty() => Fate::Goes,
        AdminGroup::There(members) => Fate::Stays(format!("members: {}", members.join(", "))),
    }
}

/// Removes it, and the mark.
pub(crate) fn remove(state: &Path) -> Result<(), CliError> {
    run(&GROUPDEL, &[ADMIN_GROUP])?;
    let _ = std::fs::remove_file(state.join(MARK));
    Ok(())
}

/// Writes down that the group is ours. The folders are made as the launcher makes them.
fn mark(state: &Path) -> Result<(), String> {
    let said = |error: std::io::Error| error.to_string();
    roots_folder(state, 0o755)?;
    roots_folder(&state.join("launcher"), 0o700)?;
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(state.join(MARK));
    match file {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(said(error)),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Makes a folder, or sees that only root can change the one that is there.
fn roots_folder(path: &Path, mode: u32) -> Result<(), String> {
    let show = || path.display();
    match DirBuilder::new().mode(mode).create(path) {
        Ok(()) => {
            // The mask of who started us may have taken away what others need to pass.
            let allow = std::os::unix::fs::PermissionsExt::from_mode(mode);
            return std::fs::set_permissions(path, allow)
                .map_err(|error| format!("{}: {error}", show()));
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(format!("{}: {error}", show())),
    }
    let found = std::fs::symlink_metadata(path).map_err(|error| error.to_string())?;
    if found.is_dir() && found.uid() == 0 && found.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(format!("{} is not root's alone", show()))
}

/// Runs a tool of the system.
fn run(program: &[&str], words: &[&str]) -> Result<(), CliError> {
    let found = program.iter().map(PathBuf::from).find(|it| it.exists());
    let name = program.first().copied().unwrap_or_default();
    let found = found.ok_or_else(|| CliError::failed(format!("there is no {name}")))?;
    let mut command = Command::new(found);
    command.args(words).env_clear().stdin(Stdio::null());
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let output = command
        .env("LANG", "C")
        .output()
        .map_err(|error| CliError::failed(format!("can't run {name}: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(CliError::failed(format!("{name}: {said}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_empty_group_of_our_own_goes() {
        let there = |members: &[&str]| {
            AdminGroup::There(members.iter().map(|it| (*it).to_owned()).collect())
        };
        assert_eq!(judge(AdminGroup::Missing, true), Fate::Nothing);
        assert_eq!(judge(there(&[]), true), Fate::Goes);
        assert!(matches!(judge(there(&[]), false), Fate::Stays(_)));
        assert_eq!(
            judge(there(&["mia", "ben"]), true),
            Fate::Stays("members: mia, ben".to_owned())
        );
    }

    #[test]
    fn the_mark_goes_where_only_root_writes() {
        let dir = tempfile::tempdir().expect("a folder");
        let state = dir.path().join("farm");
        if !crate::local::is_root() {
            return eprintln!("skipped: needs root");
        }
        assert_eq!(mark(&state), Ok(()));
        assert_eq!(mark(&state), Ok(()), "again");
        assert!(state.join(MARK).is_file());
        let mode = |path: &Path| std::fs::metadata(path).expect("there").mode() & 0o777;
        assert_eq!(
            (mode(&state), mode(&state.join("launcher"))),
            (0o755, 0o700)
        );
        let others = dir.path().join("others");
        std::fs::create_dir(&others).expect("made");
        std::os::unix::fs::chown(&others, Some(4_711), None).expect("given");
        assert!(mark(&others).is_err(), "another's folder");
        std::os::unix::fs::symlink(&state, dir.path().join("link")).expect("linked");
        assert!(mark(&dir.path().join("link")).is_err(), "a link");
    }
}
