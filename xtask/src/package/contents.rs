//! The files of a package: programs, units, manual pages, completions, texts.

use super::{STEP_MINUTES, Workshop, word};
use crate::run::Run;
use crate::tree::cargo;
use anyhow::{Context as _, Result, bail};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

const PROGRAMS: [&str; 2] = ["tessera", "tessera-launch"];
const UNITS: [&str; 3] = [
    "tessera-launch.service",
    "tessera-supervisor.service",
    "tessera-worker.service",
];
/// Where Debian's and Fedora's zsh look; bash and fish look in the same place everywhere.
const ZSH_DEBIAN: &str = "usr/share/zsh/vendor-completions/_tessera";
const ZSH_RPM: &str = "usr/share/zsh/site-functions/_tessera";
const DOC: &str = "usr/share/doc/tessera";
/// The service for PAM sessions, which the launcher's policy may name.
const PAM: &str = "etc/pam.d/tessera";

/// Which kind of system a package is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum System {
    Debian,
    Rpm,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) bytes: Vec<u8>,
    pub(super) mode: u32,
}

/// Files by their paths from the top, without a slash before them.
#[derive(Debug, Clone, Default)]
pub(super) struct Contents {
    pub(super) files: BTreeMap<String, Entry>,
}

impl Contents {
    /// Gathers what all packages have.
    pub(super) fn gather(workshop: &Workshop<'_>) -> Result<Self> {
        let mut contents = Self::default();
        for name in PROGRAMS {
            let bytes = stripped(workshop, name)?;
            contents.add(&format!("usr/bin/{name}"), bytes, 0o755);
        }
        for unit in UNITS {
            let text = workshop.text(&format!("contrib/systemd/system/{unit}"))?;
            contents.add_text(&format!("usr/lib/systemd/system/{unit}"), text);
        }
        let preset = workshop.text("contrib/package/tessera.preset")?;
        contents.add_text("usr/lib/systemd/system-preset/90-tessera.preset", preset);
        contents.add_text(
            &format!("{DOC}/install.md"),
            workshop.text("docs/install.md")?,
        );
        contents.add_pages(workshop)?;
        for (shell, path) in [
            ("bash", "usr/share/bash-completion/completions/tessera"),
            ("fish", "usr/share/fish/vendor_completions.d/tessera.fish"),
        ] {
            contents.add(path, completions(workshop, shell)?, 0o644);
        }
        Ok(contents)
    }

    /// Adds what only packages of one kind have.
    pub(super) fn of(&self, system: System, workshop: &Workshop<'_>) -> Result<Self> {
        let mut contents = self.clone();
        let zsh = match system {
            System::Debian => ZSH_DEBIAN,
            System::Rpm => ZSH_RPM,
        };
        contents.add(zsh, completions(workshop, "zsh")?, 0o644);
        let pam = match system {
            System::Debian => "debian",
            System::Rpm => "rpm",
        };
        let pam = workshop.text(&format!("contrib/pam.d/tessera.{pam}"))?;
        contents.add_text(PAM, pam);
        let changes = workshop.text("CHANGELOG.md")?;
        match system {
            System::Debian => {
                let changes = gzip(workshop, changes.as_bytes())?;
                contents.add(&format!("{DOC}/changelog.gz"), changes, 0o644);
            }
            System::Rpm => {
                contents.add_text(&format!("{DOC}/CHANGELOG.md"), changes);
                for name in ["LICENSE-APACHE", "LICENSE-MIT"] {
                    let text = workshop.text(name)?;
                    contents.add_text(&format!("usr/share/licenses/tessera/{name}"), text);
                }
            }
        }
        Ok(contents)
    }

    pub(super) fn add(&mut self, path: &str, bytes: Vec<u8>, mode: u32) {
        self.files.insert(path.to_owned(), Entry { bytes, mode });
    }

    pub(super) fn add_text(&mut self, path: &str, text: String) {
        self.add(path, text.into_bytes(), 0o644);
    }

    /// Adds a manual page for each command, and the launcher's.
    fn add_pages(&mut self, workshop: &Workshop<'_>) -> Result<()> {
        let folder = workshop.work.join("man");
        std::fs::create_dir_all(&folder)?;
        let words = ["run", "--quiet", "--locked", "--package", "tessera-cli"];
        let run = Run::new(&cargo(), &workshop.tree.top, STEP_MINUTES).words(words);
        let run = run.words(["--example", "man", "--", word(&folder)?]);
        if !run.go()?.is_well {
            bail!("the manual pages were not made");
        }
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let page = gzip(workshop, &std::fs::read(&path)?)?;
            self.add(&format!("usr/share/man/man1/{name}.gz"), page, 0o644);
        }
        let page = workshop.text("contrib/package/man/tessera-launch.8")?;
        let page = gzip(workshop, page.as_bytes())?;
        self.add("usr/share/man/man8/tessera-launch.8.gz", page, 0o644);
        Ok(())
    }

    /// Lists the files that are the administrator's to change, with a slash before them: an upgrade keeps what they made of them.
    pub(super) fn settings(&self) -> Vec<String> {
        let of_etc = self.files.keys().filter(|it| it.starts_with("etc/"));
        of_etc.map(|it| format!("/{it}")).collect()
    }

    /// Answers the bytes of all files together.
    pub(super) fn size(&self) -> u64 {
        self.files.values().map(|it| it.bytes.len() as u64).sum()
    }

    /// Writes everything below a folder, folders with mode 0755, all of it with one time.
    pub(super) fn write(&self, top: &Path, epoch: u64) -> Result<()> {
        std::fs::create_dir_all(top)?;
        let mut folders: Vec<PathBuf> = vec![top.to_owned()];
        for (path, entry) in &self.files {
            let path = top.join(path);
            let folder = path.parent().context("a file has a folder")?;
            std::fs::create_dir_all(folder)?;
            let between = folder.ancestors().take_while(|it| *it != top);
            folders.extend(between.map(Path::to_owned));
            std::fs::write(&path, &entry.bytes)?;
            set(&path, entry.mode, epoch)?;
        }
        folders.sort();
        folders.dedup();
        // The deepest first: what is written in a folder gives it a new time.
        folders
            .iter()
            .rev()
            .try_for_each(|folder| set(folder, 0o755, epoch))
    }
}

fn set(path: &Path, mode: u32, epoch: u64) -> Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    let time = UNIX_EPOCH + Duration::from_secs(epoch);
    File::open(path)?.set_modified(time)?;
    Ok(())
}

/// Answers a program without its symbols.
fn stripped(workshop: &Workshop<'_>, name: &str) -> Result<Vec<u8>> {
    let source = workshop.programs.join(name);
    if !source.is_file() {
        bail!("there is no program {}", source.display());
    }
    let target = workshop.work.join(name);
    let words = ["--strip-unneeded", "--remove-section=.comment", "-o"];
    let paths = [word(&target)?, word(&source)?];
    workshop.run("strip", &[&words[..], &paths].concat())?;
    Ok(std::fs::read(target)?)
}

/// Answers a shell's completions, as the packed program prints them.
fn completions(workshop: &Workshop<'_>, shell: &str) -> Result<Vec<u8>> {
    let program = workshop.programs.join(PROGRAMS[0]);
    workshop.run(word(&program)?, &["completions", shell])
}

/// Compresses without a name and a time.
pub(super) fn gzip(workshop: &Workshop<'_>, bytes: &[u8]) -> Result<Vec<u8>> {
    let file = workshop.work.join("to-compress");
    std::fs::write(&file, bytes)?;
    workshop.run("gzip", &["-9", "-n", "-c", word(&file)?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn what_is_written_has_the_modes_and_the_time_that_are_wanted() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut contents = Contents::default();
        contents.add("usr/bin/x", b"x".to_vec(), 0o755);
        contents.add_text("usr/share/y", "yy".into());
        contents
            .write(folder.path(), 1_000_000_000)
            .expect("written");
        for (path, mode) in [
            ("", 0o755),
            ("usr", 0o755),
            ("usr/bin", 0o755),
            ("usr/bin/x", 0o755),
            ("usr/share/y", 0o644),
        ] {
            let found = folder.path().join(path).metadata().expect(path);
            let seen = (found.mode() & 0o7777, found.mtime());
            assert_eq!(seen, (mode, 1_000_000_000), "{path}");
        }
        assert_eq!(contents.size(), 3);
        contents.add_text(PAM, String::new());
        assert_eq!(contents.settings(), ["/etc/pam.d/tessera"]);
    }
}
