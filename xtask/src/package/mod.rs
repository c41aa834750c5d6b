//! Packages for Debian and for systems with RPM, and their trial under a systemd of their own.
//!
//! Owns what is in a package and how it is put together; what its scripts do is in `contrib/package`. Leaves building to
//! cargo and the formats to `dpkg-deb` and `rpmbuild`.

mod contents;
mod deb;
mod mac;
mod rpm;
mod test;
mod version;

use crate::run::Run;
use crate::tree::{Tree, cargo};
use anyhow::{Context as _, Result, bail};
use contents::{Contents, System};
use std::path::{Path, PathBuf};
use std::process::Command;
use version::Version;

/// Minutes for a build with everything that it leans on, and for any other step.
const BUILD_MINUTES: u64 = 60;
const STEP_MINUTES: u64 = 10;
/// Who made a package, unless `TESSERA_MAINTAINER` says it.
const MAINTAINER: &str = "The Tessera authors <packages@tessera.invalid>";
/// Programs, and Debian's packages of them.
const NEEDED: &[(&str, &str)] = &[
    ("dpkg-deb", "dpkg"),
    ("dpkg-shlibdeps", "dpkg-dev"),
    ("strip", "binutils"),
    ("gzip", "gzip"),
    ("rpmbuild", "rpm"),
];

const USAGE: &str = "\
usage: cargo xtask package [--out DIR] [--programs DIR] [--version VERSION] [--test [--no-boot] | --macos]

  --out DIR          where the packages go (default: the folder packages of the target folder)
  --programs DIR     packs tessera and tessera-launch of this folder (default: builds them, release)
  --version VERSION  the packages' version (default: Cargo.toml's, marked with the commit unless that is tagged)
  --test             then installs, upgrades with jobs running, removes and purges them, in a container, as root
  --no-boot          as where no systemd can be booted there
  --macos            an archive for Macs instead, of tessera and tessera-maclaunch (default: builds them with zig)";

/// What the words ask for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wish {
    out: Option<PathBuf>,
    programs: Option<PathBuf>,
    version: Option<String>,
    is_test: bool,
    is_bootless: bool,
    is_for_mac: bool,
}

impl Wish {
    fn read(words: &[String]) -> Result<Self> {
        let mut wish = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                let next = words.next().cloned();
                next.with_context(|| format!("{word} needs a value\n\n{USAGE}"))
            };
            match word.as_str() {
                "--out" => wish.out = Some(value()?.into()),
                "--programs" => wish.programs = Some(value()?.into()),
                "--version" => wish.version = Some(value()?),
                "--test" => wish.is_test = true,
                "--no-boot" => wish.is_bootless = true,
                "--macos" => wish.is_for_mac = true,
                other => bail!("\"{other}\" is no option here\n\n{USAGE}"),
            }
        }
        if wish.is_for_mac && wish.is_test {
            bail!("no Mac is here to test it on\n\n{USAGE}");
        }
        if wish.is_bootless && !wish.is_test {
            bail!("--no-boot is a way to --test\n\n{USAGE}");
        }
        Ok(wish)
    }
}

/// Builds both packages, and tries them when that is asked for. Answers whether all is well.
pub(crate) fn main(tree: &Tree, words: &[String]) -> Result<bool> {
    let wish = Wish::read(words)?;
    if wish.is_for_mac {
        let version = match &wish.version {
            Some(text) => Version::parse(text)?,
            None => Version::of(tree)?,
        };
        return mac::main(
            tree,
            &wish,
            &version.to_string(),
            version::commit_time(tree)?,
        );
    }
    if let Some((program, package)) = NEEDED.iter().find(|(program, _)| !is_there(program)) {
        bail!(
            "{program} is missing; install {package} (dpkg, dpkg-dev, binutils and rpm are all that is needed)"
        );
    }
    let version = match &wish.version {
        Some(text) => Version::parse(text)?,
        None => Version::of(tree)?,
    };
    let out = wish.out.unwrap_or_else(|| tree.target().join("packages"));
    let out = std::path::absolute(out)?;
    let programs = match wish.programs {
        Some(folder) => std::path::absolute(folder)?,
        None => build(tree)?,
    };
    let workshop = Workshop {
        tree,
        programs,
        work: tree.target().join("packaging"),
        maintainer: std::env::var("TESSERA_MAINTAINER").unwrap_or_else(|_| MAINTAINER.to_owned()),
        epoch: version::commit_time(tree)?,
    };
    let made = workshop.make(&version, &out)?;
    for file in [&made.deb, &made.rpm] {
        println!("{}", file.display());
    }
    if !wish.is_test {
        return Ok(true);
    }
    test::main(&workshop, &made, &version, wish.is_bootless)
}

/// Builds both programs as they are shipped; answers the folder.
fn build(tree: &Tree) -> Result<PathBuf> {
    if !tree.top.join(crate::web::PAGE).exists() {
        println!(
            "the web page is not built and will not be in the packages: cargo xtask web builds it"
        );
    }
    let words = ["build", "--release", "--locked", "--package", "tessera"];
    let build = Run::new(&cargo(), &tree.top, BUILD_MINUTES).words(words);
    if !build.words(["--package", "tessera-launch"]).go()?.is_well {
        bail!("the programs were not built");
    }
    Ok(tree.target().join("release"))
}

/// Both packages of one version.
struct Made {
    deb: PathBuf,
    rpm: PathBuf,
}

/// Where packages are put together, and of what.
struct Workshop<'a> {
    tree: &'a Tree,
    /// The folder with both programs.
    programs: PathBuf,
    /// For what is under way; emptied each time.
    work: PathBuf,
    maintainer: String,
    /// Seconds since 1970: the time of every file in a package.
    epoch: u64,
}

impl Workshop<'_> {
    /// Makes both packages of a version. Same programs, same version, same commit: same bytes.
    fn make(&self, version: &Version, out: &Path) -> Result<Made> {
        if self.work.exists() {
            std::fs::remove_dir_all(&self.work).context("emptying the workshop")?;
        }
        for folder in [&self.work, out] {
            std::fs::create_dir_all(folder)?;
        }
        let contents = Contents::gather(self)?;
        Ok(Made {
            deb: deb::make(self, &contents.of(System::Debian, self)?, version, out)?,
            rpm: rpm::make(self, &contents.of(System::Rpm, self)?, version, out)?,
        })
    }

    /// Reads a file of `contrib/package`, with the functions that scripts share put in.
    fn template(&self, name: &str) -> Result<String> {
        let text = self.text(&format!("contrib/package/{name}"))?;
        let functions = self.text("contrib/package/functions.sh")?;
        Ok(text.replace("#FUNCTIONS#\n", &functions))
    }

    fn text(&self, name: &str) -> Result<String> {
        let text = self.tree.text(name)?;
        text.with_context(|| format!("{name} is no text"))
    }

    /// Runs a program to its end and answers what it printed.
    fn run(&self, program: &str, words: &[&str]) -> Result<Vec<u8>> {
        let output = Command::new(program)
            .args(words)
            .current_dir(&self.work)
            .env("SOURCE_DATE_EPOCH", self.epoch.to_string())
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .stdin(std::process::Stdio::null())
            .output()
            .with_context(|| format!("can't run {program}"))?;
        if !output.status.success() {
            let said = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy);
            let line = words.join(" ");
            bail!("{program} {line}: {}\n{}", output.status, said.concat());
        }
        Ok(output.stdout)
    }
}

/// Answers a path as text; ours are.
fn word(path: &Path) -> Result<&str> {
    path.to_str()
        .with_context(|| format!("{} is no text", path.display()))
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Wish> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Wish::read(&words)
    }

    #[test]
    fn words_are_read() {
        assert_eq!(read("").ok(), Some(Wish::default()));
        let wish = read("--out o --programs p --version 1 --test --no-boot").expect("a wish");
        assert_eq!(wish.out, Some("o".into()));
        assert!(wish.is_test && wish.is_bootless);
        for bad in ["--out", "--no-boot", "deb"] {
            let error = read(bad).expect_err(bad);
            assert!(error.to_string().contains("usage:"), "{error}");
        }
    }
}
