//! Windows, from Linux: lints and builds for it, and runs what was built under Wine.
//!
//! Where the compiler's library for Windows comes from: `rustup target add`; where that can't be reached, it is built from the
//! sources that Debian packages beside its own compiler (`TESSERA_WINDOWS_STD=debian` takes that way at once). In CI neither
//! may be missing; elsewhere it is said and skipped.

use crate::run::Run;
use crate::tally::Tally;
use crate::target::{has_library, is_there, missing};
use crate::tree::{Tree, cargo};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const TARGET: &str = "x86_64-pc-windows-gnu";
/// Minutes for a build, for one series of tests, for anything small.
const BUILD_MINUTES: u64 = 40;
const TEST_MINUTES: u64 = 10;
const STEP_MINUTES: u64 = 5;
/// Programs, and Debian's packages of them.
const NEEDED: &[(&str, &str)] = &[
    ("x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64-win32"),
    ("wine", "wine wine64"),
    ("wineserver", "wine wine64"),
];
/// What Debian has of the compiler and its library.
const DEBIAN: &[&str] = &["rustc-web", "cargo-web", "rust-web-src"];
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
/// What is linted and built: all that runs on Windows.
const PACKAGES: &[&str] = &[
    "--package",
    "tessera",
    "--package",
    "tessera-windows",
    "--package",
    "tessera-winlaunch",
];

/// Who compiles for Windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compiler {
    /// The compiler of every other build, with a library for the target.
    Rustup,
    /// Debian's, which builds the library as well.
    Debian,
}

/// Does all of it. Answers whether all is well.
pub(crate) fn main(tree: &Tree) -> Result<bool> {
    if let Some((_, package)) = NEEDED.iter().find(|(program, _)| !is_there(program)) {
        return missing("Windows", &format!("install {package}"));
    }
    let compiler = match std::env::var("TESSERA_WINDOWS_STD").as_deref() {
        Ok("debian") => Compiler::Debian,
        _ if has_library(tree, TARGET)? => Compiler::Rustup,
        _ => Compiler::Debian,
    };
    if compiler == Compiler::Debian && !Path::new(DEBIAN_CARGO).exists() {
        return missing(
            "Windows",
            &format!("rustup can't add {TARGET}; install {}", DEBIAN.join(" ")),
        );
    }
    let chore = Chore {
        tree,
        compiler,
        folder: tree.target().join("windows"),
    };
    let mut tally = Tally::default();
    if compiler == Compiler::Rustup {
        let lint = chore.cargo(BUILD_MINUTES, "clippy").words(PACKAGES);
        tally += lint.words(["--", "-D", "warnings"]).go()?.counted();
    }
    let build = chore.cargo(BUILD_MINUTES, "build").words(PACKAGES);
    let is_built = build.words(["--bins", "--examples"]).go()?.is_well;
    tally += Tally::one(is_built);
    if is_built {
        tally += chore.under_wine()?;
    }
    println!("{tally}");
    Ok(tally.failed == 0)
}

struct Chore<'a> {
    tree: &'a Tree,
    compiler: Compiler,
    /// Where all of this chore goes.
    folder: PathBuf,
}

impl Chore<'_> {
    /// Prepares cargo for the target.
    fn cargo(&self, minutes: u64, command: &str) -> Run {
        let words = [command, "--quiet", "--locked", "--target", TARGET];
        let run = match self.compiler {
            Compiler::Rustup => Run::new(&cargo(), &self.tree.top, minutes).words(words),
            Compiler::Debian => Run::new(DEBIAN_CARGO, &self.tree.top, minutes)
                .words(words)
                .words(["-Zbuild-std=std,panic_abort"])
                .env("RUSTC_BOOTSTRAP", "1")
                .env("RUSTC", "/usr/bin/rustc"),
        };
        self.with_prefix(run).env("CARGO_TARGET_DIR", &self.folder)
    }

    /// Tells a command where Wine has its Windows.
    fn with_prefix(&self, run: Run) -> Run {
        run.env("WINEPREFIX", self.prefix())
            .env("WINEDEBUG", "-all")
            .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", "wine")
    }

    fn prefix(&self) -> PathBuf {
        self.folder.join("wine")
    }

    /// Runs what was built.
    fn under_wine(&self) -> Result<Tally> {
        self.prepare_wine()?;
        let result = self.tests();
        // What Wine left running would hold the folder; it is ours alone by its prefix.
        let end = Run::new("wineserver", &self.tree.top, STEP_MINUTES).words(["--kill", "--wait"]);
        _ = self.with_prefix(end).go()?;
        result
    }

    fn tests(&self) -> Result<Tally> {
        let own = self
            .cargo(TEST_MINUTES, "test")
            .words(["--package", "tessera-windows"])
            .words(["--package", "tessera-audit"])
            .words(["--package", "tessera-keeper"])
            .words(["--package", "tessera-winlaunch"]);
        let mut tally = own.words(["--lib", "--tests"]).go()?.counted();
        if !is_root() {
            println!("skipped: a farm of two systems needs root");
            tally.skipped += 1;
            return Ok(tally);
        }
        let farm = [
            "build",
            "--quiet",
            "--locked",
            "--package",
            "tessera",
            "--package",
            "tessera-launch",
        ];
        let built = Run::new(&cargo(), &self.tree.top, BUILD_MINUTES)
            .words(farm)
            .go()?;
        if !built.is_well {
            return Ok(Tally::FAILED);
        }
        let mixed = [
            "test",
            "--quiet",
            "--locked",
            "--package",
            "tessera-testkit",
            "--test",
            "windows",
        ];
        let mixed = Run::new(&cargo(), &self.tree.top, TEST_MINUTES)
            .words(mixed)
            .words(["--", "--ignored"])
            .env("TESSERA_PROGRAMS", self.tree.target().join("debug"))
            .env(
                "TESSERA_WINDOWS_PROGRAMS",
                self.folder.join(TARGET).join("debug"),
            );
        tally += self.with_prefix(mixed).go()?.counted();
        Ok(tally)
    }

    /// Makes Wine's Windows, unless it is there: with a version that programs of today ask for, and with the one library that
    /// Debian 12's Wine lacks and every program of Rust needs.
    fn prepare_wine(&self) -> Result<()> {
        let done = self.prefix().join("tessera-prepared");
        if done.exists() {
            return Ok(());
        }
        std::fs::create_dir_all(&self.folder)?;
        let system = self.prefix().join("drive_c/windows/system32");
        self.step("wineboot", &["--init"])?;
        let library = system.join("bcryptprimitives.dll");
        if !library.exists() {
            let source = self
                .tree
                .top
                .join("crates/windows/tests/bcryptprimitives.c");
            let words = ["-shared", "-O1", "-o"];
            let run = Run::new("x86_64-w64-mingw32-gcc", &self.tree.top, STEP_MINUTES);
            let built = run
                .words(words)
                .words([&library, &source])
                .words(["-ladvapi32"])
                .go()?;
            if !built.is_well {
                bail!("{} was not built", library.display());
            }
        }
        let version = [
            "reg",
            "add",
            r"HKCU\Software\Wine",
            "/v",
            "Version",
            "/d",
            "win10",
            "/f",
        ];
        self.step("wine", &version)?;
        std::fs::write(done, "")?;
        Ok(())
    }

    fn step(&self, program: &str, words: &[&str]) -> Result<()> {
        let run = Run::new(program, &self.tree.top, STEP_MINUTES).words(words);
        if !self.with_prefix(run).go()?.is_well {
            bail!("{program} failed");
        }
        Ok(())
    }
}

fn is_root() -> bool {
    let said = Command::new("id").arg("-u").stderr(Stdio::null()).output();
    said.is_ok_and(|it| it.stdout == b"0\n")
}
