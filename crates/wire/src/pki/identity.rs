//! What a host proves itself with: its key, its certificate, and the CA it believes.

use super::ca::new_key;
use super::{FarmId, Fingerprint, PkiError, cert, files, unix_now};
use crate::base64;
use rcgen::{CertificateParams, KeyPair, PublicKeyData as _};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use tessera_model::HostId;

const KEY_FILE: &str = "key.pem";
const CERTIFICATE_FILE: &str = "cert.pem";
const CA_FILE: &str = "ca.pem";

/// A host that has asked for a certificate and not got it yet. The key never leaves it.
pub struct IdentityRequest {
    key: KeyPair,
    csr_pem: String,
}

/// A host's key and certificate, and its farm's CA certificate.
pub struct WorkerIdentity {
    key: KeyPair,
    certificate: CertificateDer<'static>,
    ca: CertificateDer<'static>,
    host: HostId,
    farm: FarmId,
}

impl std::fmt::Debug for IdentityRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdentityRequest")
    }
}

impl std::fmt::Debug for WorkerIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerIdentity")
            .field("host", &self.host)
            .field("farm", &self.farm)
            .finish_non_exhaustive()
    }
}

impl IdentityRequest {
    /// Answers the request to send with the join token.
    #[must_use]
    pub fn csr_pem(&self) -> &str {
        &self.csr_pem
    }

    /// Takes what the supervisor answered, if it is what the join string promised.
    ///
    /// # Errors
    /// `WrongCa` when the CA is not the pinned one, `Refused` when the certificate is not for this key or not signed by
    /// that CA.
    pub fn complete(
        self,
        certificate_pem: &str,
        ca_pem: &str,
        pinned: Fingerprint,
    ) -> Result<WorkerIdentity, PkiError> {
        let ca = cert::from_pem("CA certificate", ca_pem.as_bytes())?;
        let got = Fingerprint::of(&ca);
        if got != pinned {
            return Err(PkiError::WrongCa {
                got,
                wanted: pinned,
            });
        }
        let certificate = cert::from_pem("worker certificate", certificate_pem.as_bytes())?;
        WorkerIdentity::from_parts(self.key, certificate, ca)
    }
}

impl WorkerIdentity {
    /// Makes a key and a request for its certificate.
    ///
    /// # Errors
    /// `Make` when the system can't make a key.
    pub fn generate_csr() -> Result<IdentityRequest, PkiError> {
        let key = new_key()?;
        let make = |source| PkiError::Make {
            what: "certificate request",
            source,
        };
        let request = CertificateParams::default()
            .serialize_request(&key)
            .map_err(make)?;
        let csr_pem = request.pem().map_err(make)?;
        Ok(IdentityRequest { key, csr_pem })
    }

    /// Checks that the parts belong together.
    fn from_parts(
        key: KeyPair,
        certificate: CertificateDer<'static>,
        ca: CertificateDer<'static>,
    ) -> Result<Self, PkiError> {
        cert::check_signed_by("worker certificate", &certificate, &ca)?;
        cert::check_key("worker certificate", &certificate, key.der_bytes())?;
        let host = cert::host_of_worker(&certificate)?;
        let farm = cert::farm_of_ca(&ca)?;
        Ok(Self {
            key,
            certificate,
            ca,
            host,
            farm,
        })
    }

    /// Writes `key.pem`, `ca.pem` and `cert.pem` to `dir` (made with mode 0700), each 0600, in the place of those there.
    ///
    /// # Errors
    /// `File`, `OpenToOthers`.
    pub fn save(&self, dir: &Path) -> Result<(), PkiError> {
        files::make_private_dir(dir)?;
        files::replace(dir, KEY_FILE, self.key.serialize_pem().as_bytes())?;
        files::replace(dir, CA_FILE, base64::certificate_pem(&self.ca).as_bytes())?;
        files::replace(
            dir,
            CERTIFICATE_FILE,
            base64::certificate_pem(&self.certificate).as_bytes(),
        )
    }

    /// Reads what [`Self::save`] wrote; `None` when the host has not joined.
    ///
    /// # Errors
    /// `OpenToOthers` when others could read the key, `Damaged` or `Refused` when the files don't belong together: join
    /// again.
    pub fn load(dir: &Path) -> Result<Option<Self>, PkiError> {
        let (Some(key), Some(ca), Some(certificate)) = (
            files::read(dir, KEY_FILE)?,
            files::read(dir, CA_FILE)?,
            files::read(dir, CERTIFICATE_FILE)?,
        ) else {
            return Ok(None);
        };
        let damaged = || PkiError::Damaged {
            path: dir.join(KEY_FILE),
            what: "key",
        };
        let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| damaged())?;
        let key = KeyPair::try_from(&key).map_err(|_| damaged())?;
        let certificate = cert::from_pem("worker certificate", &certificate)?;
        let ca = cert::from_pem("CA certificate", &ca)?;
        Self::from_parts(key, certificate, ca).map(Some)
    }

    /// Answers the host's id.
    #[must_use]
    pub fn host_id(&self) -> HostId {
        self.host
    }

    /// Answers the farm's id.
    #[must_use]
    pub fn farm_id(&self) -> FarmId {
        self.farm
    }

    /// Answers the fingerprint of the farm's CA.
    #[must_use]
    pub fn ca_fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.ca)
    }

    /// Answers how many days the certificate still counts; negative when it has ended.
    ///
    /// # Errors
    /// `Refused` when the certificate can't be read.
    pub fn days_left(&self) -> Result<i64, PkiError> {
        let not_after = cert::validity_of(&self.certificate)?.not_after;
        Ok((not_after - unix_now()).div_euclid(24 * 3600))
    }

    /// Answers the CA's certificate.
    pub(crate) fn ca(&self) -> &CertificateDer<'static> {
        &self.ca
    }

    /// Answers the certificate.
    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Answers the private key.
    pub(crate) fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.key.serialize_der().into())
    }
}
