//! A supervisor under load over its own sockets: hosts that are made up join, connect over TLS, and say what workers say.
//!
//! Real are the supervisor (its process, store, sockets, certificates) and every message. Made up is what hosts do: a frame runs until
//! it is told to end, or ends as soon as it has begun; nothing is executed and nothing printed. Hosts and supervisor share the machine, so
//! what the hosts cost lowers the figures.
//!
//! One run goes through all phases in order: hosts join and connect, are idle, are filled, have their slots asked for by urgent
//! frames, have all they run killed, run frames that end at once, and take small jobs of many clients.

mod crowd;
mod host;
mod phases;
mod report;
mod supervisor;

pub use report::{At, Filled, Idle, Killed, Ran, Submitted, WireReport};

use std::path::PathBuf;
use std::time::Duration;
use tessera_api::ClientError;
use tessera_wire::link::LinkError;
use tessera_wire::pki::PkiError;
use tessera_wire::tls::ConnectError;

/// Hosts that join, at most: each takes a descriptor here and one of the supervisor's.
pub const WIRE_HOSTS_MAX: u32 = 20_000;
/// Slots of all of them together, at most.
pub const WIRE_SLOTS_MAX: u64 = 100_000;
/// Single-frame jobs that are submitted one by one, at most.
pub const WIRE_JOBS_MAX: u32 = 100_000;
/// How long each phase may take.
const PHASE_TIME_LIMIT: Duration = Duration::from_secs(600);

/// What is asked for.
#[derive(Debug, Clone)]
pub struct WireOptions {
    /// Hosts.
    pub hosts: u32,
    /// Slots of each.
    pub slots: u32,
    /// Frames that end at once.
    pub frames: u32,
    /// Frames that wait behind what fills the farm.
    pub queued: u32,
    /// Single-frame jobs that sixteen clients submit one by one.
    pub jobs: u32,
    /// For how long the idle farm is watched.
    pub idle: Duration,
    /// The program that runs the supervisor as a process of its own; in this process when not said, where nothing can be said of its
    /// memory and its share of the processors.
    pub program: Option<PathBuf>,
    /// Where the farm's folder is made, and removed again.
    pub folder: PathBuf,
    /// Told what is done next: a large farm takes minutes.
    pub tell: fn(&str),
}

impl WireOptions {
    fn check(&self) -> Result<(), WireError> {
        let slots = u64::from(self.hosts) * u64::from(self.slots);
        let asked = |what: String| Err(WireError::Asked(what));
        if !(1..=WIRE_HOSTS_MAX).contains(&self.hosts) {
            return asked(format!("hosts must be 1 to {WIRE_HOSTS_MAX}"));
        }
        if !(1..=WIRE_SLOTS_MAX).contains(&slots) {
            return asked(format!(
                "{} hosts of {} slots have {slots}; 1 to {WIRE_SLOTS_MAX} are possible",
                self.hosts, self.slots
            ));
        }
        if !(1..=crate::FRAMES_MAX).contains(&self.frames) || self.queued > crate::FRAMES_MAX {
            return asked(format!("frames go up to {}", crate::FRAMES_MAX));
        }
        if self.jobs > WIRE_JOBS_MAX {
            return asked(format!("jobs go up to {WIRE_JOBS_MAX}"));
        }
        Ok(())
    }
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// What was asked for is out of bounds.
    #[error("{0}")]
    Asked(String),
    /// A file, folder or process can't be used.
    #[error("can't {doing}")]
    Io {
        /// What was tried.
        doing: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The supervisor does not start.
    #[error(transparent)]
    Supervisor(#[from] tessera_supervisor::SupervisorError),
    /// Its process ended.
    #[error("the supervisor ended: {0}")]
    Ended(String),
    /// It refused what a client asked.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A host can't prove itself.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// A host can't connect.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A host is not heard.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Something did not come to an end.
    #[error("{what} after {} s", PHASE_TIME_LIMIT.as_secs())]
    Late {
        /// What.
        what: String,
    },
    /// Hosts lost their connections, or something else happened that must not.
    #[error("{0}")]
    Wrong(String),
}

/// Runs it and answers what was measured.
///
/// # Errors
/// When what is asked for is out of bounds, the supervisor can't be run, or something went wrong on the way.
pub fn run(options: &WireOptions) -> Result<WireReport, WireError> {
    options.check()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| WireError::Io {
            doing: "start".to_owned(),
            source,
        })?;
    let report = runtime.block_on(phases::run(options));
    // Hosts whose connections end have nothing to say any more.
    runtime.shutdown_background();
    report
}
