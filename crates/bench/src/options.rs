//! What is asked for, and its bounds.

use crate::{BenchError, Scenario};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use tessera_engine::supervisor::wide::HOSTS_PERCENT_MAX;

/// Hosts of one farm.
pub const HOSTS_MAX: u32 = 100_000;
/// Frames of one run.
pub const FRAMES_MAX: u32 = 10_000_000;
/// Frames of one job.
pub const JOB_FRAMES_MAX: u32 = 1_000_000;
/// Slots of one host.
pub const SLOTS_MAX: u32 = 256;
/// Minutes of real time that a run may take.
pub const MINUTES_MAX: u32 = 24 * 60;

/// Where the supervisor keeps what it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// A file, each transaction flushed to the disk, as in service.
    Sqlite,
    /// The store of the tests, which copies its tables for each transaction: for small farms.
    Memory,
    /// Nothing is kept, to see what a store costs.
    Nothing,
}

impl StoreKind {
    /// Answers the word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Memory => "memory",
            Self::Nothing => "nothing",
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// What happens.
    pub scenario: Scenario,
    /// Hosts.
    pub hosts: u32,
    /// Slots of each.
    pub slots: u32,
    /// Frames.
    pub frames: u32,
    /// Frames of each job, where the scenario doesn't say.
    pub job_frames: u32,
    /// Ends of frames after which the run is over; as many as the scenario says when not said.
    pub ends: Option<u32>,
    /// The same seed gives the same decisions.
    pub seed: u64,
    /// The store.
    pub store: StoreKind,
    /// The folder in which the farm's own is made; removed afterwards.
    pub folder: PathBuf,
    /// Real minutes after which the run is cut short.
    pub minutes: u32,
    /// The file that the store is copied to at the end.
    pub keep: Option<PathBuf>,
    /// Of a hundred hosts so many may be emptied at once for wide jobs; 0: none.
    pub wide_hosts: u32,
}

impl Options {
    /// Checks the bounds.
    ///
    /// # Errors
    /// [`BenchError::Asked`], which names the first that is not kept.
    pub fn check(&self) -> Result<(), BenchError> {
        if self.scenario == Scenario::Restart && self.store == StoreKind::Nothing {
            let said = "scenario restart needs a store that keeps something: --store sqlite";
            return Err(BenchError::Asked(said.to_owned()));
        }
        if self.keep.is_some() && self.store != StoreKind::Sqlite {
            let said = "--keep needs a store that is a file: --store sqlite";
            return Err(BenchError::Asked(said.to_owned()));
        }
        if let Some(there) = self.keep.as_ref().filter(|it| it.exists()) {
            let said = format!("--keep {}: there is such a file already", there.display());
            return Err(BenchError::Asked(said));
        }
        within("--hosts", self.hosts, 1..=HOSTS_MAX)?;
        within("--slots", self.slots, 1..=SLOTS_MAX)?;
        within("--frames", self.frames, 1..=FRAMES_MAX)?;
        within("--job-frames", self.job_frames, 1..=JOB_FRAMES_MAX)?;
        within("--ends", self.ends.unwrap_or(1), 1..=FRAMES_MAX)?;
        within("--wide-hosts", self.wide_hosts, 0..=HOSTS_PERCENT_MAX)?;
        within("--minutes", self.minutes, 1..=MINUTES_MAX)
    }

    /// Counts the slots of the farm.
    #[must_use]
    pub fn farm_slots(&self) -> u64 {
        u64::from(self.hosts) * u64::from(self.slots)
    }
}

fn within(name: &str, value: u32, bounds: RangeInclusive<u32>) -> Result<(), BenchError> {
    if bounds.contains(&value) {
        return Ok(());
    }
    let (least, most) = bounds.into_inner();
    let said = format!("{name} {value} is out of bounds: it goes from {least} to {most}");
    Err(BenchError::Asked(said))
}
