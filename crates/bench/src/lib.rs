//! A whole farm in one process, to see it at scale: the real supervisor core, store and wire, and hosts that are made up.
//!
//! Real are the supervisor's turns (one transaction each, orders after the commit, tickets signed), its engine, the store with its
//! durability, the bytes of every message in both directions, and the logic of every worker. Made up are launchers,
//! processes and the network between; and time: a clock that jumps to what happens next, so that hours take seconds. What a turn
//! costs is measured by the machine's clock around it, and decides nothing: the same seed gives the same placements.
#![forbid(unsafe_code)]

mod chance;
mod host;
mod html;
mod measure;
mod metered;
mod nothing;
mod options;
mod plan;
mod replay;
mod report;
mod scenario;
mod text;
pub mod wire;
mod world;

pub use metered::Rows;
pub use options::{
    FRAMES_MAX, HOSTS_MAX, JOB_FRAMES_MAX, MINUTES_MAX, Options, SLOTS_MAX, StoreKind,
};
pub use replay::{
    ClassPair, HostsChange, Moved, REPLAY_DAYS_MAX, REPLAY_FRAMES_MAX, REPLAY_HOSTS_MAX,
    REPLAY_JOBS_MAX, REPLAY_WORDS_MAX, ReplayError, ReplayOptions, Replayed, Side, Waits, replay,
};
pub use report::{
    ClassWaits, Cost, Counted, Fairness, Fill, Frames, Memory, Quantiles, Report, Restart, Sample,
    Share, Utilisation,
};
pub use scenario::Scenario;
pub use tessera_engine::supervisor::{Algorithm, PreemptPolicy};

/// Why a benchmark has no figures.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// What was asked for is out of bounds.
    #[error("{0}")]
    Asked(String),
    /// The farm did what it must not.
    #[error("the farm went wrong at {at_ms} ms of its time: {what}")]
    Wrong {
        /// When.
        at_ms: u64,
        /// What.
        what: String,
    },
    /// The supervisor does not start.
    #[error(transparent)]
    Supervisor(#[from] tessera_supervisor::SupervisorError),
    /// The store can't be opened.
    #[error(transparent)]
    Store(#[from] tessera_store::StoreError),
    /// A file or folder can't be used.
    #[error("can't {doing} {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Which.
        path: std::path::PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// Runs a scenario to its end and answers what was measured.
///
/// # Errors
/// When what is asked for is out of bounds, or the farm can't be run.
pub fn run(options: &Options) -> Result<Report, BenchError> {
    options.check()?;
    let mut world = world::World::new(options)?;
    world.run()?;
    world.keep()?;
    Ok(world.report())
}

/// Prints a report for people.
#[must_use]
pub fn text(report: &Report) -> String {
    text::print(report)
}

/// Prints a report as one HTML file that needs nothing else.
#[must_use]
pub fn html(report: &Report) -> String {
    html::print(report)
}
