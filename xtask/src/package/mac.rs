//! An archive for Macs: both programs, the files of launchd, and scripts that put them in place. Nobody has run it on one.

use super::{BUILD_MINUTES, STEP_MINUTES, Wish, word};
use crate::run::Run;
use crate::target::{has_library, is_there, missing};
use crate::tree::Tree;
use anyhow::{Context as _, Result, bail};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

const TARGET: &str = "aarch64-apple-darwin";
/// The program that has cargo build with zig.
const ZIGBUILD: &str = "cargo-zigbuild";
const PROGRAMS: [&str; 2] = ["tessera", "tessera-maclaunch"];
/// What else is in it: a file of the tree, and where it goes.
const FILES: [(&str, &str); 8] = [
    ("contrib/package/macos/install.sh", "install.sh"),
    ("contrib/package/macos/uninstall.sh", "uninstall.sh"),
    (
        "contrib/launchd/tessera.launch.plist",
        "launchd/tessera.launch.plist",
    ),
    (
        "contrib/launchd/tessera.worker.daemon.plist",
        "launchd/tessera.worker.daemon.plist",
    ),
    (
        "contrib/launchd/tessera.worker.plist",
        "launchd/tessera.worker.plist",
    ),
    ("docs/macos.md", "macos.md"),
    ("LICENSE-APACHE", "LICENSE-APACHE"),
    ("LICENSE-MIT", "LICENSE-MIT"),
];
/// What begins a program of macOS (64 bits, little-endian).
const MACH_O: [u8; 4] = 0xfeed_facf_u32.to_le_bytes();

/// Makes the archive. Answers whether all is well.
pub(super) fn main(tree: &Tree, wish: &Wish, version: &str, epoch: u64) -> Result<bool> {
    let programs = match &wish.programs {
        Some(folder) => std::path::absolute(folder)?,
        None => {
            if !is_there(ZIGBUILD) {
                return missing(
                    "macOS",
                    "install cargo-zigbuild and ziglang, with pip for example",
                );
            }
            if !has_library(tree, TARGET)? {
                return missing("macOS", &format!("rustup can't add {TARGET}"));
            }
            build(tree)?
        }
    };
    for name in PROGRAMS {
        let path = programs.join(name);
        let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
        if !bytes.starts_with(&MACH_O) {
            bail!("{} is no program for macOS", path.display());
        }
    }
    let out = wish.out.clone();
    let out = std::path::absolute(out.unwrap_or_else(|| tree.target().join("packages")))?;
    let work = tree.target().join("packaging-macos");
    let made = archive(tree, &programs, &work, &out, version, epoch)?;
    println!("{}", made.display());
    Ok(true)
}

/// Builds both programs as they are shipped; answers the folder.
fn build(tree: &Tree) -> Result<PathBuf> {
    let target = tree.target().join("macos");
    let words = ["zigbuild", "--release", "--locked", "--target", TARGET];
    let build = Run::new(ZIGBUILD, &tree.top, BUILD_MINUTES)
        .words(words)
        .words([
            "--package",
            "tessera",
            "--package",
            "tessera-maclaunch",
            "--bins",
        ])
        .env("CARGO_TARGET_DIR", &target);
    if !build.go()?.is_well {
        bail!("the programs were not built");
    }
    Ok(target.join(TARGET).join("release"))
}

/// Packs it: same programs, same version, same commit, same bytes.
fn archive(
    tree: &Tree,
    programs: &Path,
    work: &Path,
    out: &Path,
    version: &str,
    epoch: u64,
) -> Result<PathBuf> {
    if work.exists() {
        std::fs::remove_dir_all(work).context("emptying the workshop")?;
    }
    let name = format!("tessera-{version}-macos-arm64");
    let top = work.join(&name);
    for folder in ["bin", "launchd"] {
        std::fs::create_dir_all(top.join(folder))?;
    }
    std::fs::create_dir_all(out)?;
    let put = |from: &Path, to: &str, mode: u32| -> Result<()> {
        let path = top.join(to);
        std::fs::copy(from, &path).with_context(|| from.display().to_string())?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))?;
        Ok(())
    };
    for program in PROGRAMS {
        put(&programs.join(program), &format!("bin/{program}"), 0o755)?;
    }
    for (from, to) in FILES {
        let mode = if to.ends_with(".sh") { 0o755 } else { 0o644 };
        put(&tree.top.join(from), to, mode)?;
    }
    let made = out.join(format!("{name}.tar.gz"));
    let (time, folder) = (format!("--mtime=@{epoch}"), word(work)?);
    let tar = Run::new("tar", &tree.top, STEP_MINUTES)
        .words(["--create", "--sort=name", "--owner=0", "--group=0"])
        .words([
            "--numeric-owner",
            "--mode=go-w",
            &time,
            "--directory",
            folder,
        ])
        .words([
            "--use-compress-program=gzip -9 -n",
            "--file",
            word(&made)?,
            &name,
        ]);
    if !tar.go()?.is_well {
        bail!("{} was not packed", made.display());
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Output};

    fn packed(dir: &Path) -> PathBuf {
        let tree = Tree::find().expect("the tree");
        let programs = dir.join("programs");
        std::fs::create_dir_all(&programs).expect("made");
        for name in PROGRAMS {
            std::fs::write(programs.join(name), MACH_O).expect("written");
        }
        let (work, out) = (dir.join("work"), dir.join("out"));
        archive(&tree, &programs, &work, &out, "1.2.3", 1_700_000_000).expect("packed")
    }

    fn unpacked(dir: &Path) -> PathBuf {
        let made = packed(dir);
        let done = Command::new("tar")
            .arg("-xzf")
            .arg(made)
            .current_dir(dir)
            .status();
        assert!(done.expect("tar").success());
        dir.join("tessera-1.2.3-macos-arm64")
    }

    fn run(script: &Path, dest: &Path, words: &[&str]) -> Output {
        let mut command = Command::new("sh");
        command.arg(script).args(words).env("DESTDIR", dest);
        command.output().expect("sh")
    }

    #[test]
    fn everything_is_in_it_and_twice_the_same() {
        let dir = tempfile::tempdir().expect("a folder");
        let made = packed(dir.path());
        let listed = Command::new("tar")
            .arg("-tvzf")
            .arg(&made)
            .output()
            .expect("tar");
        let listed = String::from_utf8(listed.stdout).expect("text");
        for name in PROGRAMS.map(|it| format!("bin/{it}")) {
            let line = listed
                .lines()
                .find(|it| it.ends_with(&name))
                .expect("is in it");
            assert!(line.starts_with("-rwxr-xr-x 0/0"), "{line}");
        }
        for (_, to) in FILES {
            assert!(
                listed
                    .lines()
                    .any(|it| it.ends_with(&format!("arm64/{to}"))),
                "{to}"
            );
        }
        let first = std::fs::read(&made).expect("reads");
        assert_eq!(std::fs::read(packed(dir.path())).expect("reads"), first);
    }

    #[test]
    fn the_scripts_put_the_programs_in_place_and_take_them_away() {
        let dir = tempfile::tempdir().expect("a folder");
        let top = unpacked(dir.path());
        let dest = dir.path().join("dest");
        let install = run(&top.join("install.sh"), &dest, &["--prefix", "/opt/t"]);
        assert!(install.status.success(), "{install:?}");
        for name in PROGRAMS {
            let path = dest.join("opt/t/bin").join(name);
            let mode = path.metadata().expect("is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o755);
        }
        for bad in [&["--prefix"][..], &["--prefix", "x"], &["nonsense"]] {
            assert!(!run(&top.join("install.sh"), &dest, bad).status.success());
        }
        // While launchd starts it nothing is removed.
        let agents = dest.join("Users/mia/Library/LaunchAgents");
        std::fs::create_dir_all(&agents).expect("made");
        let plist = agents.join("tessera.worker.plist");
        std::fs::write(&plist, "").expect("written");
        let words = ["--prefix", "/opt/t"];
        let refused = run(&top.join("uninstall.sh"), &dest, &words);
        assert!(!refused.status.success());
        assert!(dest.join("opt/t/bin/tessera").exists());
        std::fs::remove_file(plist).expect("removed");
        let removed = run(&top.join("uninstall.sh"), &dest, &words);
        assert!(removed.status.success(), "{removed:?}");
        assert!(!dest.join("opt/t/bin/tessera").exists());
    }

    #[test]
    fn elsewhere_than_on_a_mac_it_installs_nothing() {
        let dir = tempfile::tempdir().expect("a folder");
        let top = unpacked(dir.path());
        let refused = run(&top.join("install.sh"), Path::new(""), &[]);
        assert!(!refused.status.success());
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("for macOS"), "{said}");
    }
}
