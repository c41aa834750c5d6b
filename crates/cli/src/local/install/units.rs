//! The files that the system starts the daemons by: the ones in `contrib`, with this host's paths put in.

use crate::error::CliError;
use std::path::{Path, PathBuf};

/// The launcher's unit.
pub(super) const LAUNCH_UNIT: &str = "tessera-launch.service";
/// The worker's unit: of the system in service mode, of the person's own service manager in desktop mode.
pub(super) const WORKER_UNIT: &str = "tessera-worker.service";
/// The supervisor's unit.
pub(super) const SUPERVISOR_UNIT: &str = "tessera-supervisor.service";
/// The entry in a person's autostart folder.
pub(super) const AUTOSTART_ENTRY: &str = "tessera-worker.desktop";
/// Where an administrator's units are; those of packages are elsewhere and give way to them.
pub(super) const UNIT_FOLDER: &str = "/etc/systemd/system";
/// Where a package's units are.
pub(super) const PACKAGE_FOLDER: &str = "/usr/lib/systemd/system";

const LAUNCH: &str = include_str!("../../../../../contrib/systemd/system/tessera-launch.service");
const WORKER: &str = include_str!("../../../../../contrib/systemd/system/tessera-worker.service");
const SUPERVISOR: &str =
    include_str!("../../../../../contrib/systemd/system/tessera-supervisor.service");
const DESKTOP: &str = include_str!("../../../../../contrib/systemd/user/tessera-worker.service");
const AUTOSTART: &str = include_str!("../../../../../contrib/autostart/tessera-worker.desktop");

/// The paths that stand in the files of `contrib`.
const USUAL_TESSERA: &str = "/usr/bin/tessera";
const USUAL_LAUNCH: &str = "/usr/bin/tessera-launch";
const USUAL_STATE: &str = "/var/lib/tessera";

/// What the units name of this host. **Invariant:** every path is absolute, of plain characters only, so that nothing in
/// it means anything to a unit file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Paths {
    tessera: String,
    launch: String,
    state: String,
}

impl Paths {
    /// Takes the paths, if a unit can name them.
    pub(super) fn new(tessera: &Path, launch: &Path, state: &Path) -> Result<Self, CliError> {
        Ok(Self {
            tessera: plain(tessera)?,
            launch: plain(launch)?,
            state: plain(state)?,
        })
    }

    /// Answers the program `tessera`.
    pub(super) fn tessera(&self) -> &Path {
        Path::new(&self.tessera)
    }

    /// Answers the program `tessera-launch`.
    pub(super) fn launch(&self) -> &Path {
        Path::new(&self.launch)
    }

    /// Answers the farm's folder.
    pub(super) fn state(&self) -> &Path {
        Path::new(&self.state)
    }

    /// Answers something below the farm's folder.
    pub(super) fn below(&self, name: &str) -> PathBuf {
        self.state().join(name)
    }

    /// Answers the unit of the launcher.
    pub(super) fn launch_unit(&self) -> String {
        self.fill(LAUNCH)
    }

    /// Answers the unit of the worker in service mode.
    pub(super) fn worker_unit(&self) -> String {
        self.fill(WORKER)
    }

    /// Answers the unit of the supervisor.
    pub(super) fn supervisor_unit(&self) -> String {
        self.fill(SUPERVISOR)
    }

    /// Answers the unit of a desktop worker; the folder is named when it is not the person's usual one.
    pub(super) fn desktop_unit(&self, usual: &Path) -> String {
        self.fill_desktop(DESKTOP, usual)
    }

    /// Answers the autostart entry of a desktop worker.
    pub(super) fn autostart(&self, usual: &Path) -> String {
        self.fill_desktop(AUTOSTART, usual)
    }

    fn fill(&self, text: &str) -> String {
        // The longer name first: the shorter one is its beginning.
        text.replace(USUAL_LAUNCH, "\0launch")
            .replace(USUAL_TESSERA, &self.tessera)
            .replace("\0launch", &self.launch)
            .replace(USUAL_STATE, &self.state)
    }

    fn fill_desktop(&self, text: &str, usual: &Path) -> String {
        let mut words = format!("{} worker --desktop", self.tessera);
        if self.state() != usual {
            words += &format!(" --state {}", self.state);
        }
        text.replace(&format!("{USUAL_TESSERA} worker --desktop"), &words)
    }
}

/// Refuses a path that would mean more than itself in a unit file: blanks, quotes, `%`, `$`.
fn plain(path: &Path) -> Result<String, CliError> {
    let text = path.to_str().unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:".contains(c);
    let has_dots = path.components().any(|part| part.as_os_str() == "..");
    if text.starts_with('/') && text.chars().all(is_plain) && !has_dots {
        return Ok(text.trim_end_matches('/').to_owned());
    }
    Err(
        CliError::usage(format!("{} can't be named in a unit file", path.display()))
            .hint("choose an absolute path of letters, digits and / . _ - + @ :"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    fn paths(tessera: &str, launch: &str, state: &str) -> Paths {
        Paths::new(Path::new(tessera), Path::new(launch), Path::new(state)).expect("plain")
    }

    #[test]
    fn usual_paths_give_the_files_of_contrib() {
        let usual = paths(USUAL_TESSERA, USUAL_LAUNCH, USUAL_STATE);
        assert_eq!(usual.launch_unit(), LAUNCH);
        assert_eq!(usual.worker_unit(), WORKER);
        assert_eq!(usual.supervisor_unit(), SUPERVISOR);
        assert_eq!(usual.desktop_unit(Path::new(USUAL_STATE)), DESKTOP);
        assert_eq!(usual.autostart(Path::new(USUAL_STATE)), AUTOSTART);
    }

    #[test]
    fn other_paths_are_put_in_everywhere() {
        let other = paths("/opt/t/tessera", "/opt/t/tessera-launch", "/srv/farm");
        for unit in [
            other.launch_unit(),
            other.worker_unit(),
            other.supervisor_unit(),
        ] {
            assert!(!unit.contains("/usr/bin/tessera"), "{unit}");
            assert!(!unit.contains(USUAL_STATE), "{unit}");
        }
        let unit = other.launch_unit();
        assert!(unit.contains("ExecStart=/opt/t/tessera-launch launcher --state /srv/farm\n"));
        let unit = other.desktop_unit(Path::new("/h/mia/.local/state/tessera"));
        assert!(unit.contains("ExecStart=/opt/t/tessera worker --desktop --state /srv/farm\n"));
    }

    #[test]
    fn what_a_restart_must_not_end_is_delegated() {
        for unit in [LAUNCH, DESKTOP] {
            for line in [
                "Delegate=yes",
                "KillMode=process",
                "OOMPolicy=continue",
                "TasksMax=infinity",
            ] {
                assert!(unit.lines().any(|it| it == line), "{line}");
            }
        }
        assert!(WORKER.lines().any(|it| it == "KillMode=process"));
    }

    #[test]
    fn nothing_is_shut_off_for_jobs() {
        let options = [
            "Protect",
            "Private",
            "Restrict",
            "SystemCall",
            "NoNewPriv",
            "MemoryDeny",
        ];
        for unit in [LAUNCH, DESKTOP] {
            let bad = unit
                .lines()
                .find(|line| options.iter().any(|it| line.starts_with(it)));
            assert_eq!(bad, None);
        }
    }

    #[test]
    fn paths_that_mean_more_are_refused() {
        for bad in ["/a b", "a", "/a%i", "/a\nUser=root", "/a$HOME", "/a/../b"] {
            assert!(plain(Path::new(bad)).is_err(), "{bad:?}");
        }
        assert_eq!(plain(Path::new("/a/")).expect("plain"), "/a");
    }

    #[test]
    fn systemd_finds_nothing_wrong() {
        if Command::new("systemd-analyze")
            .arg("--version")
            .output()
            .is_err()
        {
            assert!(
                std::env::var_os("CI").is_none(),
                "systemd-analyze is missing (Debian: systemd)"
            );
            return eprintln!(
                "skipped: systemd-analyze is missing (Debian has it in the package systemd)"
            );
        }
        let folder = tempfile::tempdir().expect("a folder");
        let program = |name: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, "#!/bin/sh\n").expect("written");
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("a mode");
            path
        };
        let paths = Paths::new(
            &program("tessera"),
            &program("tessera-launch"),
            &folder.path().join("farm"),
        );
        let paths = paths.expect("plain");
        let check = |kind: &str, units: &[(&str, String)]| {
            let here = folder.path().join(kind);
            std::fs::create_dir(&here).expect("a folder");
            let mut command = Command::new("systemd-analyze");
            command
                .args([kind, "--man=no", "verify"])
                .env("XDG_RUNTIME_DIR", &here);
            for (name, text) in units {
                std::fs::write(here.join(name), text).expect("written");
                command.arg(here.join(name));
            }
            let output = command.output().expect("it runs");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            // It warns of what it does not know and still ends with 0.
            assert!(output.status.success() && said.is_empty(), "{kind}: {said}");
        };
        check(
            "--system",
            &[
                (LAUNCH_UNIT, paths.launch_unit()),
                (WORKER_UNIT, paths.worker_unit()),
                (SUPERVISOR_UNIT, paths.supervisor_unit()),
            ],
        );
        check(
            "--user",
            &[(WORKER_UNIT, paths.desktop_unit(Path::new("/x")))],
        );
    }
}
