//! The link between a supervisor and its workers: messages, versions, size limits, certificates, TLS.
//!
//! Owns what travels and who may speak: the protocol (`proto/`), its conversion from and to `model` ([`convert`]), the
//! farm's certificate authority and keys ([`pki`]), the one TLS port ([`tls`]) and the streams over it ([`link`]). Leaves to
//! others: what the messages mean (`engine`), when to connect again (the worker), what to serve to people (the supervisor).
#![forbid(unsafe_code)]

mod base64;
pub mod convert;
pub mod link;
pub mod pki;
pub mod tls;

/// The generated protocol. For this crate, its tests and tools; others use [`convert`] and [`link`].
#[doc(hidden)]
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    reason = "generated"
)]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/tessera.worker.v1.rs"));
}

/// Oldest version of the protocol that this program speaks.
pub const PROTO_MIN: u32 = 1;
/// Newest version of the protocol that this program speaks.
pub const PROTO_MAX: u32 = 1;
/// The TCP port of a supervisor, unless it is configured.
pub const PORT_DEFAULT: u16 = 7433;

/// Makes aws-lc-rs this process' only provider of cryptography.
///
/// `main` calls it once before anything touches TLS; a second call changes nothing.
pub fn install_crypto_provider() {
    let _already_installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
