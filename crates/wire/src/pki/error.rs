//! What can go wrong with keys and certificates.

use std::io;
use std::path::PathBuf;

/// Why a key or certificate can't be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file or folder could not be read or written.
    #[error("can't {doing} {}", path.display())]
    File {
        /// What was tried: `read`, `write` …
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Something is there already; it is never overwritten.
    #[error("{} exists already; to keep it open it, to replace it move it away first", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Somebody else could have read the key.
    #[error(
        "{} is open to others (mode {mode:o}); a key that others may have read proves nothing: \
         check who could, then `chmod go-rwx` it, or make a new one", path.display()
    )]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A file does not hold what it should.
    #[error("{} holds no usable {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// A certificate, key or request is not what it must be.
    #[error("{what}: {why}")]
    Refused {
        /// What was looked at.
        what: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A name can't stand in a certificate.
    #[error("\"{}\" is neither a host name nor an IP address", name.escape_debug())]
    BadName {
        /// The name.
        name: String,
    },
    /// There is too much of something.
    #[error("{what}: {got}, at most {max}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How much there is.
        got: usize,
        /// How much there may be.
        max: usize,
    },
    /// The CA certificate is another one than the join string names.
    #[error(
        "the supervisor's CA has fingerprint {got}, the join string asks for {wanted}: this is another farm, or somebody in \
         between; ask for a new join string on the supervisor's host"
    )]
    WrongCa {
        /// The fingerprint that came.
        got: super::Fingerprint,
        /// The fingerprint that was asked for.
        wanted: super::Fingerprint,
    },
    /// A certificate could not be made.
    #[error("can't make a {what}")]
    Make {
        /// What was to be made.
        what: &'static str,
        /// Why not.
        #[source]
        source: rcgen::Error,
    },
    /// The system has no randomness to give.
    #[error("the system gives no random bytes")]
    Random(#[source] getrandom::Error),
}
