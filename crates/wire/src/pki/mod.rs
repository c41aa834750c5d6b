//! The farm's certificate authority, the keys that prove things, and the files they live in.
//!
//! A supervisor owns a [`FarmCa`] and a [`DispatchKey`]; a host that joins makes an [`IdentityRequest`] and ends with a
//! [`WorkerIdentity`]. What a name in a certificate means is decided by one rule: the host id in the one subject
//! alternative name. Subject names are for people to read and prove nothing.

mod ca;
mod cert;
mod dispatch;
mod error;
mod files;
mod identity;
mod ids;
mod join;
mod site;

pub use ca::{FarmCa, ServerCertificate};
pub use cert::{farm_of_ca, host_of_worker};
pub use dispatch::DispatchKey;
pub use error::PkiError;
pub use identity::{IdentityRequest, WorkerIdentity};
pub use ids::{FarmId, Fingerprint, new_host_id};
pub use join::{BadJoinString, JoinString, JoinToken};
pub use site::SiteCertificate;

pub(crate) use cert::{Validity, validity_of};

/// How long a farm's CA lives, in days (20 years: replacing it means enrolling every host again).
pub const CA_DAYS: u64 = 7_300;
/// How long a server certificate lives, in days; browsers refuse more than 398.
pub const SERVER_DAYS: u64 = 397;
/// A server certificate with fewer days left is made anew.
pub const SERVER_RENEW_DAYS: u64 = 30;
/// How long a worker's certificate lives, in days. A host is shut out by removing it from the farm, not by waiting.
pub const WORKER_DAYS: u64 = 3_650;
/// How long before now a new certificate begins, in seconds, for hosts whose clock is late.
pub const BACKDATE_SECONDS: u64 = 24 * 3600;
/// Largest certificate request that is read, in bytes.
pub const CSR_BYTES_MAX: usize = 16 * 1024;
/// Names and addresses that a server certificate may have.
pub const SERVER_NAMES_MAX: usize = 64;

/// Answers the wall time in seconds since 1970.
pub(crate) fn unix_now() -> i64 {
    let elapsed = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
}
