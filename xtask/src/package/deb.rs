//! The package for Debian: a control file, three scripts, sums, and `dpkg-deb`.

use super::contents::{Contents, gzip};
use super::{Version, Workshop, word};
use anyhow::{Context as _, Result};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Debian's number of a package of the same version.
const REVISION: &str = "1";
const DOC: &str = "usr/share/doc/tessera";

/// Makes it; answers its file.
pub(super) fn make(
    workshop: &Workshop<'_>,
    contents: &Contents,
    version: &Version,
    out: &Path,
) -> Result<PathBuf> {
    let version = format!("{version}-{REVISION}");
    let mut contents = contents.clone();
    contents.add_text(&format!("{DOC}/copyright"), copyright(workshop)?);
    let changes = gzip(workshop, changes(workshop, &version)?.as_bytes())?;
    contents.add(&format!("{DOC}/changelog.Debian.gz"), changes, 0o644);
    let overrides = workshop.template("deb/lintian-overrides")?;
    contents.add_text("usr/share/lintian/overrides/tessera", overrides);
    let architecture = text(workshop.run("dpkg", &["--print-architecture"])?)?;
    let depends = depends(workshop)?;
    let control = workshop
        .template("deb/control")?
        .replace("@VERSION@", &version)
        .replace("@ARCHITECTURE@", &architecture)
        .replace("@MAINTAINER@", &workshop.maintainer)
        .replace("@SIZE@", &contents.size().div_ceil(1_024).to_string())
        .replace("@DEPENDS@", &depends);
    contents.add_text("DEBIAN/md5sums", sums(workshop, &contents)?);
    contents.add_text("DEBIAN/control", control);
    let settings = contents.settings().join("\n");
    contents.add_text("DEBIAN/conffiles", settings + "\n");
    for script in ["postinst", "prerm", "postrm"] {
        let text = workshop.template(&format!("deb/{script}"))?;
        contents.add(&format!("DEBIAN/{script}"), text.into_bytes(), 0o755);
    }
    let stage = workshop.work.join("deb");
    contents.write(&stage, workshop.epoch)?;
    let file = out.join(format!("tessera_{version}_{architecture}.deb"));
    // One thread: how many there are would show in the bytes.
    let words = ["--root-owner-group", "-Zxz", "--threads-max=1", "--build"];
    let paths = [word(&stage)?, word(&file)?];
    workshop.run("dpkg-deb", &[&words[..], &paths].concat())?;
    Ok(file)
}

/// Answers which libraries the programs need, in which versions.
fn depends(workshop: &Workshop<'_>) -> Result<String> {
    let folder = workshop.work.join("shlibdeps/debian");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(
        folder.join("control"),
        "Source: tessera\n\nPackage: tessera\nArchitecture: any\n",
    )?;
    let programs = ["tessera", "tessera-launch"].map(|name| workshop.work.join(name));
    let script = r#"cd shlibdeps && exec dpkg-shlibdeps -O "$@""#;
    let words = ["-c", script, "sh", word(&programs[0])?, word(&programs[1])?];
    let said = text(workshop.run("sh", &words)?)?;
    let depends = said.strip_prefix("shlibs:Depends=");
    Ok(depends
        .context("dpkg-shlibdeps names no library")?
        .to_owned())
}

fn copyright(workshop: &Workshop<'_>) -> Result<String> {
    let indented: Vec<String> = workshop
        .text("LICENSE-MIT")?
        .trim()
        .lines()
        .map(|line| {
            if line.is_empty() {
                " .".to_owned()
            } else {
                format!(" {line}")
            }
        })
        .collect();
    let text = workshop.template("deb/copyright")?;
    Ok(text.replace("@EXPAT@", &indented.join("\n")))
}

/// Debian's own list of changes: that this version was packed.
fn changes(workshop: &Workshop<'_>, version: &str) -> Result<String> {
    let since = format!("--date=@{}", workshop.epoch);
    let date = text(workshop.run("date", &["--utc", "--rfc-email", &since])?)?;
    Ok(format!(
        "tessera ({version}) unstable; urgency=medium\n\n  * Packed from its own repository; what changed is in changelog.gz.\n\n \
         -- {}  {date}\n",
        workshop.maintainer
    ))
}

/// Answers the sums by which `dpkg --verify` tells what was changed.
fn sums(workshop: &Workshop<'_>, contents: &Contents) -> Result<String> {
    let file = workshop.work.join("to-sum");
    let mut sums = String::new();
    for (path, entry) in &contents.files {
        std::fs::write(&file, &entry.bytes)?;
        let said = text(workshop.run("md5sum", &["--binary", word(&file)?])?)?;
        let sum = said.split_whitespace().next().unwrap_or_default();
        writeln!(sums, "{sum}  {path}")?;
    }
    Ok(sums)
}

fn text(bytes: Vec<u8>) -> Result<String> {
    Ok(String::from_utf8(bytes)?.trim().to_owned())
}
