//! What the packages are, before they are installed.

use super::Trial;
use crate::package::version::Version;
use crate::package::{Made, Workshop, is_there, word};
use anyhow::{Result, bail};
use std::path::Path;

/// Looks at both packages.
pub(super) fn check(
    workshop: &Workshop<'_>,
    made: &Made,
    version: &Version,
    folder: &Path,
    trial: &mut Trial,
) -> Result<()> {
    let again = workshop.make(version, &folder.join("again"))?;
    for (first, second) in [(&made.deb, &again.deb), (&made.rpm, &again.rpm)] {
        let name = first.file_name().unwrap_or_default().to_string_lossy();
        let is_same = std::fs::read(first)? == std::fs::read(second)?;
        let done = if is_same {
            Ok(())
        } else {
            Err(anyhow::anyhow!("it differs"))
        };
        trial.check(&format!("{name} is made the same, byte for byte"), done);
    }
    if is_there("lintian") {
        let done = lintian(workshop, &made.deb);
        trial.check("lintian has no objections", done);
    } else {
        trial.skip("lintian", "it is not installed");
    }
    Ok(())
}

fn lintian(workshop: &Workshop<'_>, deb: &Path) -> Result<()> {
    let words = [
        "--allow-root",
        "--fail-on",
        "error,warning",
        "--tag-display-limit",
        "0",
    ];
    let said = workshop.run("lintian", &[&words[..], &[word(deb)?]].concat());
    match said {
        Ok(said) if said.is_empty() => Ok(()),
        Ok(said) => bail!("{}", String::from_utf8_lossy(&said).trim()),
        Err(error) => Err(error),
    }
}
