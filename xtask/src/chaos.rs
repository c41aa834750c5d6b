//! Programs that try a farm of real daemons, as root: `tessera-chaos` kills them at random while frames run,
//! `tessera-flood` has a frame print without end. Builds the daemons first.

use crate::run::Run;
use crate::tree::{Tree, cargo};
use anyhow::Result;

/// Minutes for the build, and for the series.
const BUILD_MINUTES: u64 = 30;
const SERIES_MINUTES: u64 = 60;

/// Runs one of them; options go to it as they are. Answers whether every frame was there.
pub(crate) fn main(tree: &Tree, program: &str, words: &[String]) -> Result<bool> {
    let programs = [
        "--package",
        "tessera",
        "--package",
        "tessera-launch",
        "--package",
        "tessera-testkit",
    ];
    let build = Run::new(&cargo(), &tree.top, BUILD_MINUTES)
        .words(["build", "--release", "--quiet", "--locked"])
        .words(programs);
    if !build.go()?.is_well {
        return Ok(false);
    }
    let folder = tree.target().join("release");
    let series = Run::new(
        &folder.join(program).to_string_lossy(),
        &tree.top,
        SERIES_MINUTES,
    )
    .words(["--programs"])
    .words([&folder])
    .words(words);
    Ok(series.go()?.is_well)
}
