//! The packages on trial: what they are, then a life with them in a container: installed, a farm made, upgraded while
//! frames run, removed, purged, and nothing left.

mod container;
mod farm;
mod files;
mod life;

use super::version::Version;
use super::{Made, Workshop};
use crate::tally::Tally;
use anyhow::{Result, bail};
use container::{Container, Way};
use life::Kind;

/// Checks, each told as it is done.
#[derive(Debug, Default)]
struct Trial {
    tally: Tally,
}

impl Trial {
    /// Makes a check; answers whether what leans on it may go on.
    fn check(&mut self, what: &str, done: Result<()>) -> bool {
        let is_well = done.is_ok();
        match done {
            Ok(()) => println!("ok      {what}"),
            Err(error) => println!("FAILED  {what}: {error:#}"),
        }
        self.tally += Tally::one(is_well);
        is_well
    }

    fn skip(&mut self, what: &str, why: &str) {
        println!("skipped {what}: not verified here: {why}");
        self.tally.skipped += 1;
    }
}

/// Tries both packages. Answers whether all is well.
pub(super) fn main(
    workshop: &Workshop<'_>,
    made: &Made,
    version: &Version,
    is_bootless: bool,
) -> Result<bool> {
    if !is_root() {
        return unable("it needs root");
    }
    let folder = workshop.tree.target().join("package-trial");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    let packages = folder.join("packages");
    std::fs::create_dir_all(&packages)?;
    let mut trial = Trial::default();
    files::check(workshop, made, version, &folder, &mut trial)?;
    // In the order of their names: the first and the second of each kind.
    for (old, new) in [(&made.deb, "1.deb"), (&made.rpm, "1.rpm")] {
        std::fs::copy(old, packages.join(new))?;
    }
    let next = workshop.make(&version.next(), &folder.join("next"))?;
    for (old, new) in [(&next.deb, "2.deb"), (&next.rpm, "2.rpm")] {
        std::fs::copy(old, packages.join(new))?;
    }
    for kind in [Kind::Deb, Kind::Rpm] {
        let booted = if is_bootless {
            Err(anyhow::anyhow!("--no-boot"))
        } else {
            Container::start(&folder, &packages, Way::Boot)
        };
        match booted {
            Ok(container) => life::whole(kind, &container, &mut trial),
            Err(why) => {
                let what = format!("{}: under a booted systemd", kind.word());
                trial.skip(&what, &format!("{why:#}"));
                match Container::start(&folder, &packages, Way::Idle) {
                    Ok(container) => life::without_systemd(kind, &container, &mut trial),
                    Err(why) => trial.skip(kind.word(), &format!("{why:#}")),
                }
            }
        }
    }
    _ = std::fs::remove_dir_all(&folder);
    println!("{}", trial.tally);
    Ok(trial.tally.failed == 0)
}

/// Says that nothing can be tried; in CI that is a failure.
fn unable(why: &str) -> Result<bool> {
    if std::env::var_os("CI").is_some() {
        bail!("the packages could not be tried: {why}");
    }
    println!("skipped: {why}");
    println!("0 passed, 0 failed, 1 skipped");
    Ok(true)
}

fn is_root() -> bool {
    let said = std::process::Command::new("id").arg("-u").output();
    said.is_ok_and(|it| it.stdout == b"0\n")
}
