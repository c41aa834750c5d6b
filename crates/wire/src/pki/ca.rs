//! The farm's certificate authority: made once, kept in one private file, signs servers and workers.

use super::cert::{FARM_URI, HOST_URI};
use super::{
    BACKDATE_SECONDS, CA_DAYS, CSR_BYTES_MAX, FarmId, Fingerprint, PkiError, SERVER_DAYS,
    SERVER_NAMES_MAX, SERVER_RENEW_DAYS, WORKER_DAYS, cert, files, ids, unix_now,
};
use crate::base64;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _,
    SanType, SerialNumber, SigningKey as _,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tessera_model::{HostId, HostName};

/// The CA's key and certificate. One file, so that there are both or none.
const CA_FILE: &str = "farm-ca.pem";
/// The server's key and certificate, made anew when needed.
const SERVER_FILE: &str = "server.pem";
const DAY: u64 = 24 * 3600;

/// The certificate authority of a farm; only its supervisor has it.
pub struct FarmCa {
    dir: PathBuf,
    farm: FarmId,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// What a server proves itself with.
#[derive(Debug)]
pub struct ServerCertificate {
    /// Its certificate, then the CA's (so that who knows only the CA's fingerprint can check).
    pub chain: Vec<CertificateDer<'static>>,
    /// Its private key.
    pub key: PrivateKeyDer<'static>,
    /// When it ends, in seconds since 1970.
    pub not_after: i64,
    /// Whether it was made just now.
    pub is_new: bool,
}

impl std::fmt::Debug for FarmCa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FarmCa")
            .field("farm", &self.farm)
            .finish_non_exhaustive()
    }
}

impl FarmCa {
    /// Makes a farm: its id, its CA's key and certificate, in `dir` (made with mode 0700).
    ///
    /// # Errors
    /// `Exists` when the folder has a CA, which is then left alone; `File` when it can't be written.
    pub fn create(dir: &Path) -> Result<Self, PkiError> {
        files::make_private_dir(dir)?;
        let farm = FarmId(ids::random_uuid()?);
        let key = new_key()?;
        let made = ca_params(farm)?
            .self_signed(&key)
            .map_err(make("CA certificate"))?;
        let both = format!("{}{}", key.serialize_pem(), made.pem());
        files::create(dir, CA_FILE, both.as_bytes())?;
        Self::from_parts(dir, made.der().clone(), key)
    }

    /// Opens the farm's CA.
    ///
    /// # Errors
    /// `File` with kind not-found when there is none, `OpenToOthers` when others could read the key, `Damaged`.
    pub fn open(dir: &Path) -> Result<Self, PkiError> {
        let path = dir.join(CA_FILE);
        let Some(pem) = files::read(dir, CA_FILE)? else {
            let source = std::io::ErrorKind::NotFound.into();
            return Err(PkiError::File {
                doing: "read",
                path,
                source,
            });
        };
        let damaged = || PkiError::Damaged {
            path: path.clone(),
            what: "CA key and certificate",
        };
        let (certificate, key) = read_pair(&pem).ok_or_else(damaged)?;
        Self::from_parts(dir, certificate, key)
    }

    /// Opens the farm's CA, or makes it if there is none.
    ///
    /// # Errors
    /// As [`Self::open`] and [`Self::create`].
    pub fn open_or_create(dir: &Path) -> Result<Self, PkiError> {
        match Self::create(dir) {
            Err(PkiError::Exists { .. }) => Self::open(dir),
            made => made,
        }
    }

    /// Checks that the parts belong together.
    fn from_parts(
        dir: &Path,
        certificate: CertificateDer<'static>,
        key: KeyPair,
    ) -> Result<Self, PkiError> {
        cert::check_key("CA certificate", &certificate, key.der_bytes())?;
        let farm = cert::farm_of_ca(&certificate)?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(make("CA"))?;
        Ok(Self {
            dir: dir.to_owned(),
            farm,
            certificate,
            issuer,
        })
    }

    /// Answers the farm's id.
    #[must_use]
    pub fn farm_id(&self) -> FarmId {
        self.farm
    }

    /// Answers the CA's certificate.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Answers the CA's certificate in PEM form.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        base64::certificate_pem(&self.certificate)
    }

    /// Answers the fingerprint that join strings and clients pin.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate)
    }

    /// Answers the server's certificate for these host names and IP addresses beside the farm's own name: the one in the
    /// folder, or a new one if that has other names or under [`SERVER_RENEW_DAYS`] left.
    ///
    /// # Errors
    /// `BadName`, `TooMany`, and those of the file.
    pub fn server_certificate(&self, names: &[String]) -> Result<ServerCertificate, PkiError> {
        let params = self.server_params(names)?;
        if let Some(old) = self.kept_server(&params.subject_alt_names)? {
            return Ok(old);
        }
        let key = new_key()?;
        let made = params
            .signed_by(&key, &self.issuer)
            .map_err(make("server certificate"))?;
        let both = format!("{}{}", key.serialize_pem(), made.pem());
        files::replace(&self.dir, SERVER_FILE, both.as_bytes())?;
        self.server_of(made.der().clone(), &key, true)
    }

    /// Puts chain and key together.
    fn server_of(
        &self,
        der: CertificateDer<'static>,
        key: &KeyPair,
        is_new: bool,
    ) -> Result<ServerCertificate, PkiError> {
        Ok(ServerCertificate {
            not_after: cert::validity_of(&der)?.not_after,
            chain: vec![der, self.certificate.clone()],
            key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            is_new,
        })
    }

    /// Answers the server certificate of the folder if it still does. One that can't be read is simply replaced.
    fn kept_server(&self, names: &[SanType]) -> Result<Option<ServerCertificate>, PkiError> {
        let Some((der, key)) = files::read(&self.dir, SERVER_FILE)?
            .as_deref()
            .and_then(read_pair)
        else {
            return Ok(None);
        };
        let is_ours = cert::check_signed_by("server certificate", &der, &self.certificate).is_ok()
            && cert::check_key("server certificate", &der, key.der_bytes()).is_ok();
        if !is_ours || !has_names(&der, names) {
            return Ok(None);
        }
        let kept = self.server_of(der, &key, false)?;
        let renew_from = kept
            .not_after
            .saturating_sub_unsigned(SERVER_RENEW_DAYS * DAY);
        Ok((unix_now() < renew_from).then_some(kept))
    }

    /// Says what a server certificate is to say.
    fn server_params(&self, names: &[String]) -> Result<CertificateParams, PkiError> {
        if names.len() > SERVER_NAMES_MAX {
            let (got, max) = (names.len(), SERVER_NAMES_MAX);
            return Err(PkiError::TooMany {
                what: "names of the server",
                got,
                max,
            });
        }
        let mut params = base_params(&format!("Tessera supervisor of {}", self.farm), SERVER_DAYS)?;
        params
            .subject_alt_names
            .push(dns_name(&self.farm.server_name())?);
        for name in names {
            let name = alt_name(name)?;
            if !params.subject_alt_names.contains(&name) {
                params.subject_alt_names.push(name);
            }
        }
        params
            .extended_key_usages
            .push(ExtendedKeyUsagePurpose::ServerAuth);
        Ok(params)
    }

    /// Signs a statement with the CA's key (ECDSA P-256 over SHA-256, DER), for clients that have the CA's certificate.
    /// **Invariant:** what is signed begins with a word for its use, which no certificate does.
    ///
    /// # Errors
    /// When the key can't sign.
    pub fn sign_statement(&self, statement: &[u8]) -> Result<Vec<u8>, PkiError> {
        let signed = self.issuer.key().sign(statement);
        signed.map_err(make("signature"))
    }

    /// Signs a worker's request. Of the request only the public key counts, and only if its holder signed the request;
    /// whatever else it asks for is ignored. Answers the certificate in PEM form.
    ///
    /// # Errors
    /// `TooMany` for an oversize request, `Refused` for one that is malformed, not signed by its key, or has a key of
    /// another kind than ECDSA P-256 or Ed25519.
    pub fn sign_worker(
        &self,
        csr_pem: &str,
        host: HostId,
        name: &HostName,
    ) -> Result<String, PkiError> {
        const WHAT: &str = "certificate request";
        if csr_pem.len() > CSR_BYTES_MAX {
            let (got, max) = (csr_pem.len(), CSR_BYTES_MAX);
            return Err(PkiError::TooMany {
                what: "bytes of the certificate request",
                got,
                max,
            });
        }
        let request =
            CertificateSigningRequestParams::from_pem(csr_pem).map_err(|_| PkiError::Refused {
                what: WHAT,
                why: "malformed, or not signed by the key in it",
            })?;
        let kinds = [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ED25519];
        if !kinds.contains(&request.public_key.algorithm()) {
            let why = "its key is neither ECDSA P-256 nor Ed25519";
            return Err(PkiError::Refused { what: WHAT, why });
        }
        let made = worker_params(host, name)?
            .signed_by(&request.public_key, &self.issuer)
            .map_err(make("worker certificate"))?;
        Ok(made.pem())
    }
}

/// Says what the CA's certificate is to say.
fn ca_params(farm: FarmId) -> Result<CertificateParams, PkiError> {
    let mut params = base_params(&format!("Tessera farm {farm}"), CA_DAYS)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
        .subject_alt_names
        .push(uri(&format!("{FARM_URI}{farm}"))?);
    Ok(params)
}

/// Says what a worker's certificate is to say.
fn worker_params(host: HostId, name: &HostName) -> Result<CertificateParams, PkiError> {
    let mut params = base_params(name.as_str(), WORKER_DAYS)?;
    params
        .subject_alt_names
        .push(uri(&format!("{HOST_URI}{host}"))?);
    params
        .extended_key_usages
        .push(ExtendedKeyUsagePurpose::ClientAuth);
    Ok(params)
}

/// Says what all certificates say: a name for people, a random serial number, from when to when, no CA.
fn base_params(common_name: &str, days: u64) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    // 64 characters is what X.509 allows there; the id that counts is in the alternative name.
    let shown: String = common_name.chars().take(64).collect();
    params.distinguished_name.push(DnType::CommonName, shown);
    params.serial_number = Some(SerialNumber::from_slice(&ids::random_uuid()?));
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let now = u64::try_from(unix_now()).unwrap_or(0);
    params.not_before = epoch + Duration::from_secs(now.saturating_sub(BACKDATE_SECONDS));
    params.not_after = epoch + Duration::from_secs(now.saturating_add(days * DAY));
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// Makes a key: ECDSA P-256, which browsers know too.
pub(super) fn new_key() -> Result<KeyPair, PkiError> {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(make("key"))
}

/// Names what could not be made.
pub(super) fn make(what: &'static str) -> impl FnOnce(rcgen::Error) -> PkiError {
    move |source| PkiError::Make { what, source }
}

/// Reads a key and a certificate from one PEM text.
pub(super) fn read_pair(pem: &[u8]) -> Option<(CertificateDer<'static>, KeyPair)> {
    let certificate = CertificateDer::from_pem_slice(pem).ok()?;
    let key = PrivateKeyDer::from_pem_slice(pem).ok()?;
    Some((certificate, KeyPair::try_from(&key).ok()?))
}

/// Answers a URI as a name in a certificate.
fn uri(text: &str) -> Result<SanType, PkiError> {
    Ok(SanType::URI(text.try_into().map_err(make("name"))?))
}

/// Answers a DNS name as a name in a certificate.
fn dns_name(text: &str) -> Result<SanType, PkiError> {
    Ok(SanType::DnsName(text.try_into().map_err(make("name"))?))
}

/// Reads a host name or IP address.
fn alt_name(text: &str) -> Result<SanType, PkiError> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let name: HostName = text.parse().map_err(|_| PkiError::BadName {
        name: text.chars().take(64).collect(),
    })?;
    dns_name(name.as_str())
}

/// Says whether a certificate has exactly these alternative names.
fn has_names(der: &CertificateDer<'_>, wanted: &[SanType]) -> bool {
    use x509_parser::extensions::GeneralName;
    let Ok(certificate) = cert::parse("server certificate", der) else {
        return false;
    };
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return false;
    };
    let names = &names.value.general_names;
    let is_wanted = |name: &GeneralName<'_>, wanted: &SanType| match (name, wanted) {
        (GeneralName::DNSName(name), SanType::DnsName(wanted)) => *name == wanted.as_str(),
        (GeneralName::IPAddress(bytes), SanType::IpAddress(IpAddr::V4(ip))) => {
            *bytes == ip.octets()
        }
        (GeneralName::IPAddress(bytes), SanType::IpAddress(IpAddr::V6(ip))) => {
            *bytes == ip.octets()
        }
        _ => false,
    };
    names.len() == wanted.len()
        && wanted
            .iter()
            .all(|wanted| names.iter().any(|name| is_wanted(name, wanted)))
}
