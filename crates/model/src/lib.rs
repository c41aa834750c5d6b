//! What the farm is made of: ids, jobs, agenda items, instances, hosts, their states and the messages that a
//! supervisor and its workers exchange.
//!
//! Owns the words and the rules that need nothing but a value: what a state may become, which action is allowed in
//! which state, which frames an item covers. Leaves to others: storage, sockets, clocks, JSON, scheduling.
#![forbid(unsafe_code)]

pub mod action;
pub mod after;
pub mod agenda;
pub mod credential;
pub mod desk;
pub mod frames;
pub mod gpu;
pub mod host;
pub mod ids;
pub mod job;
pub mod limits;
pub mod lock;
pub mod mail;
pub mod msg;
pub mod name;
pub mod path;
pub mod rate;
pub mod reservation;
pub mod resource;
pub mod settings;
pub mod state;
pub mod time;
pub mod week;

pub use action::{Action, Refused, Rule};
pub use after::{After, Label};
pub use agenda::{Agenda, FrameRun, Order, Split};
pub use desk::{Consent, Presence, Running, WhileActive};
pub use frames::FrameIndex;
pub use gpu::{Gpu, GpuVendor, Gpus};
pub use host::{HostFacts, HostState, Identity, Refusal};
pub use ids::{Attempt, HostId, InstanceNo, ItemIndex, JobId, LaunchNo};
pub use job::{JobFlag, JobKind, JobLimits, JobSpec, Principal, Proof};
pub use lock::{Lock, SlotSet};
pub use mail::{ChannelName, JobMail, JobWebhooks, MailAddress, MailWhen};
pub use name::{GroupName, HostName, UserName};
pub use rate::StartRate;
pub use reservation::{KernelLimits, More, Reservation, Taken};
pub use resource::GlobalName;
pub use settings::{Lookup, ServedSettings, SettingsHash, SettingsInUse};
pub use state::{End, InstanceStatus, ItemStatus, Outcome, WorkStatus};
pub use tessera_requirements as requirements;
pub use tessera_requirements::{
    ClusterChoice, ClusterError, ClusterPath, HostOrder, OrderError, Requirement, RequirementError,
    Restriction, RestrictionError,
};
pub use time::Timestamp;
pub use week::{LockCalendar, WeekTime};
