//! What requests and answers are made of.

mod action;
mod audit;
mod credential;
mod deps;
mod errors;
mod event;
mod farm;
mod host;
mod item;
mod job;
mod notify;
mod quantity;
mod resource;
mod session;
mod settings;
mod site;
mod submit;
mod timeline;
mod trends;
mod upkeep;
mod why;

pub use action::{ActionReply, ActionRequest, Changed, TargetResult};
pub use audit::Audit;
pub use credential::{
    Credential, CredentialRef, CredentialRequest, Credentials, SealKey, SealOffer, SealedPassword,
};
pub use deps::{Deps, DepsEdge, DepsJob};
pub use errors::{ErrorGroup, ErrorJob, Errors};
pub use event::{Event, HELLO_KIND, History, PASSING_KINDS, RESYNC_KIND, Resync};
pub use farm::{
    Caller, Health, Info, JoinReply, JoinRequest, JoinToken, JoinTokenRequest, NewToken, Token,
    TokenRequest, Tokens,
};
pub use farm::{FarmMode, FarmModes, ModeRequest};
pub use host::{CalendarRequest, HostLock, LockRequest, UnlockRequest};
pub use host::{
    FarmSetting, FarmSettings, HostDetail, HostReserved, HostRow, HostSettings, Hosts,
    OverriddenSetting, ReconfigureReply, ReconfigureRequest, ReconfiguredHost, RunningRow,
    WhileActive,
};
pub use item::{AttemptRow, Attempts, EndView, ItemRow, ItemStates, Items};
pub use job::{InstanceRow, ItemCounts, JobDetail, JobSummary, Jobs, SpecView};
pub use notify::{
    ChannelRow, ChannelTried, Channels, MailWishes, NotifyReloaded, NotifyTest, NotifyTested,
    SetMailWishes,
};
pub use quantity::Quantity;
pub use resource::{ResourceHolder, ResourceRequest, ResourceRow, Resources, ShareRow};
pub use session::{Session, SessionLink, SessionRequest};
pub use settings::{
    FileFinding, HostChange, SetWorkerFile, SettingChange, WorkerFile, WorkerFileCheck,
    WorkerFileChecked,
};
pub use site::SiteCertificate;
pub use submit::{LearntMemory, ModifyRequest, SubmitReply, SubmitRequest};
pub use timeline::{Timeline, TimelineHost, TimelineJob, TimelineSpan};
pub use trends::{TrendJob, TrendPoint, TrendUser, Trends};
pub use upkeep::{CleanedJob, CleanupReply, CleanupRequest, Usage};
pub use why::{HostWhy, ItemWhy, Reason, Why};

#[cfg(test)]
mod tests;
