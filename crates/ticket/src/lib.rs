//! Owns everything that the parts of a launch say to each other: the signed ticket, the template of what runs and the one
//! rule that turns it into the command of an item, the frames on the launcher's and the shepherd's sockets, the records in
//! the spool and what of an output is kept there, the memory of tickets that were seen, the lines of the audit, and the reasons of refusal.
//!
//! There is no IO here and no clock: callers hand in bytes and times. Every decoder is bounded by named constants, takes
//! bytes from anybody and never panics. The layouts are promises: a change moves the version byte first.
#![forbid(unsafe_code)]

mod audit;
mod codec;
mod frames;
pub mod launcher;
mod names;
mod nonces;
mod output;
mod paths;
pub mod pipe;
mod record;
mod refusal;
pub mod shepherd;
mod step;
mod template;
mod ticket;
mod tokens;
mod trusted;

pub use audit::{AUDIT_TAIL_MAX, AuditChain, sha256_of};
pub use codec::DecodeError;
pub use frames::{Chunk, FrameRun};
pub use names::{
    ACCOUNT_NAME_MAX, AccountName, Identity, LaunchKey, NameError, ProxyAccount, SLOT_MAX,
};
pub use nonces::{NONCE_RECORD_LEN, NONCES_BYTES_MAX, NONCES_PENDING_MAX, Nonces, NoncesDamaged};
pub use output::{Amounts, Arrivals, Kept};
pub use paths::{
    PATH_ENTRIES_MAX, PATH_ENTRY_BYTES_MAX, PATH_MAP_BYTES_MAX, PathMap, PathMapError,
};
pub use record::{
    EXIT_RECORD_LEN, EndCause, EndKind, ExitRecord, INDEX_RECORD_LEN, INDEX_RECORDS_MAX,
    IndexRecord, Stream,
};
pub use refusal::{Refusal, RefusalClass};
pub use step::Step;
pub use template::{
    ARGS_MAX, Agenda, CommandError, ENV_MAX, LIMITS_MAX, Limit, RUNS_MAX, Resource, Split,
    TEMPLATE_BYTES_MAX, Template, TemplateError,
};
pub use ticket::{
    CPU_WEIGHT_MAX, Digest, ITEM_RANGES_MAX, ItemRange, KernelLimits, Mode, SKEW_MAX_MS,
    TICKET_BYTES_MAX, TICKET_LIFETIME_MAX_MS, Ticket, TicketError,
};
pub use tokens::{ItemTokens, substitute};
pub use trusted::{parse_dispatch_keys, parse_id};

/// Re-exported so that signers and verifiers agree on one version of the signature crate.
pub use ed25519_dalek::{SigningKey, VerifyingKey};
