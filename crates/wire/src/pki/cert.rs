//! Reads what a certificate says, by exact rules; everything unexpected is a refusal.

use super::{FarmId, PkiError};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tessera_model::HostId;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// What stands before a host's id in the one name of its certificate.
pub(super) const HOST_URI: &str = "tessera:host:";
/// What stands before a farm's id in the one name of its CA certificate.
pub(super) const FARM_URI: &str = "tessera:farm:";

/// From when to when a certificate counts, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) not_before: i64,
    pub(crate) not_after: i64,
}

impl Validity {
    /// Says whether the certificate counts at that time.
    pub(crate) fn includes(self, seconds: i64) -> bool {
        (self.not_before..=self.not_after).contains(&seconds)
    }
}

/// Answers the error that a certificate of that role has.
fn refused(what: &'static str, why: &'static str) -> PkiError {
    PkiError::Refused { what, why }
}

/// Parses a certificate and nothing after it.
pub(super) fn parse<'a>(
    what: &'static str,
    der: &'a CertificateDer<'_>,
) -> Result<X509Certificate<'a>, PkiError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) | Err(_) => Err(refused(what, "not a readable X.509 certificate")),
    }
}

/// Reads the first certificate of a PEM text.
pub(super) fn from_pem(
    what: &'static str,
    pem: &[u8],
) -> Result<CertificateDer<'static>, PkiError> {
    CertificateDer::from_pem_slice(pem).map_err(|_| refused(what, "no certificate in PEM form"))
}

/// Answers the only subject alternative name, if it is a URI that starts with `prefix`, without the prefix.
fn only_uri<'a>(
    what: &'static str,
    certificate: &'a X509Certificate<'_>,
    prefix: &str,
) -> Result<&'a str, PkiError> {
    let names = certificate
        .subject_alternative_name()
        .map_err(|_| refused(what, "its subject alternative names are malformed"))?
        .ok_or_else(|| refused(what, "it has no subject alternative name"))?;
    match names.value.general_names.as_slice() {
        [GeneralName::URI(uri)] => uri
            .strip_prefix(prefix)
            .ok_or_else(|| refused(what, "its name is of another kind")),
        _ => Err(refused(what, "it must have exactly one name, a URI")),
    }
}

/// Answers the host that a worker's certificate names: the id in its only name, printed exactly as the farm prints it.
///
/// Says nothing about who signed the certificate; TLS checks that before.
///
/// # Errors
/// `Refused` when it is not a certificate as [`super::FarmCa::sign_worker`] makes it.
pub fn host_of_worker(der: &CertificateDer<'_>) -> Result<HostId, PkiError> {
    const WHAT: &str = "worker certificate";
    let certificate = parse(WHAT, der)?;
    if certificate.is_ca() {
        return Err(refused(WHAT, "it is a CA's"));
    }
    let text = only_uri(WHAT, &certificate, HOST_URI)?;
    let host: HostId = text
        .parse()
        .map_err(|_| refused(WHAT, "its host id is malformed"))?;
    if host.to_string() == text {
        Ok(host)
    } else {
        Err(refused(
            WHAT,
            "its host id is not printed as the farm prints it",
        ))
    }
}

/// Answers the farm that a CA certificate names.
///
/// # Errors
/// `Refused` when it is no farm's CA certificate.
pub fn farm_of_ca(der: &CertificateDer<'_>) -> Result<FarmId, PkiError> {
    const WHAT: &str = "CA certificate";
    let certificate = parse(WHAT, der)?;
    if !certificate.is_ca() {
        return Err(refused(WHAT, "it is not a CA's"));
    }
    let text = only_uri(WHAT, &certificate, FARM_URI)?;
    text.parse()
        .map_err(|_| refused(WHAT, "its farm id is malformed"))
}

/// Answers from when to when a certificate counts.
pub(crate) fn validity_of(der: &CertificateDer<'_>) -> Result<Validity, PkiError> {
    let certificate = parse("certificate", der)?;
    let validity = certificate.validity();
    Ok(Validity {
        not_before: validity.not_before.timestamp(),
        not_after: validity.not_after.timestamp(),
    })
}

/// Checks that `ca` signed `der`.
pub(super) fn check_signed_by(
    what: &'static str,
    der: &CertificateDer<'_>,
    ca: &CertificateDer<'_>,
) -> Result<(), PkiError> {
    let (certificate, ca) = (parse(what, der)?, parse("CA certificate", ca)?);
    certificate
        .verify_signature(Some(ca.public_key()))
        .map_err(|_| refused(what, "the farm's CA did not sign it"))
}

/// Checks that the certificate is about this public key (the bits of its key field).
pub(super) fn check_key(
    what: &'static str,
    der: &CertificateDer<'_>,
    public_key: &[u8],
) -> Result<(), PkiError> {
    if &*parse(what, der)?.public_key().subject_public_key.data == public_key {
        Ok(())
    } else {
        Err(refused(what, "it belongs to another key"))
    }
}
