//! Trust by the farm's CA: who answers must show the pinned CA certificate and one that it signed for a farm.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use x509_parser::extensions::GeneralName;

/// The end of the DNS name in a supervisor's certificate; the farm's id stands before it.
const NAME_END: &str = ".tessera";

/// The ALPN word that says: the farm's own certificate, whatever name leads there.
const ALPN_PINNED: &[u8] = b"tessera-pinned/1";
/// Where systems keep the certificates that they trust.
const SYSTEM_CERTIFICATES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Characters of a fingerprint in base64url, as join strings have it.
const BASE64_CHARACTERS: usize = 43;

/// The SHA-256 of a farm's CA certificate (DER). Printed as 64 hexadecimal digits; read from those or from base64url.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Answers the fingerprint of a certificate.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// Why a text is no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a fingerprint is 64 hexadecimal digits, with or without colons, or 43 characters of base64url"
)]
pub struct BadFingerprint;

impl FromStr for Fingerprint {
    type Err = BadFingerprint;

    fn from_str(text: &str) -> Result<Self, BadFingerprint> {
        let text = text.strip_prefix("sha256:").unwrap_or(text);
        let bytes = if text.len() == BASE64_CHARACTERS {
            from_base64url(text)
        } else {
            from_hex(text)
        };
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or(BadFingerprint)
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text
        .chars()
        .filter(|c| *c != ':')
        .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()));
    let digits: Vec<u8> = digits.collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty()
        .then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

/// Reads base64url without padding; bits left over must be 0, so that one fingerprint has one spelling.
fn from_base64url(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0_u32);
    for character in text.bytes() {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    let left_over = bits & ((1 << count) - 1);
    (left_over == 0).then_some(bytes)
}

/// Makes the TLS configuration that trusts just that CA, and that farm if its id is known.
pub(super) fn config(ca: Fingerprint, farm_id: Option<String>) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Arc::new(FarmVerifier {
        ca,
        farm_id,
        provider: provider.clone(),
    });
    let suites = ClientConfig::builder_with_provider(provider);
    let versions = suites.with_protocol_versions(&[&rustls::version::TLS13]);
    let versions = versions.expect("the provider, chosen here, has suites of TLS 1.3");
    let mut config = versions
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    // The first word says that the farm's own certificate is wanted, whatever name leads there; the other is spoken.
    config.alpn_protocols = vec![ALPN_PINNED.to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

/// Makes the TLS configuration that trusts what those roots signed for the host's name: a certificate of the site's own.
pub(super) fn site_config(roots: RootCertStore) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let suites = ClientConfig::builder_with_provider(provider);
    let versions = suites.with_protocol_versions(&[&rustls::version::TLS13]);
    let versions = versions.expect("the provider, chosen here, has suites of TLS 1.3");
    let mut config = versions.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// Why there is nothing to trust a site's certificate by.
#[derive(Debug, thiserror::Error)]
pub enum BadRoots {
    /// The system keeps none in a file that is known here.
    #[error("this system has no file with certificates that it trusts, as far as is known here")]
    None,
    /// A file can't be read.
    #[error("can't read {}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
}

/// Reads the certificates of a file, or those that the system trusts where they are in a file (Linux).
///
/// # Errors
/// When there is none that can be used.
pub fn roots(file: Option<&Path>) -> Result<RootCertStore, BadRoots> {
    let known = || SYSTEM_CERTIFICATES.iter().map(Path::new);
    let found = file.or_else(|| known().find(|it| it.exists()));
    let path = found.ok_or(BadRoots::None)?;
    let bad = |why: String| BadRoots::File {
        path: path.to_owned(),
        why,
    };
    let read = CertificateDer::pem_file_iter(path).map_err(|error| bad(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    // Systems have some that are no use to us; one is enough.
    let (good, _) = roots.add_parsable_certificates(read.filter_map(Result::ok));
    if good == 0 {
        return Err(bad(
            "it has no certificate in PEM that can be used".to_owned()
        ));
    }
    Ok(roots)
}

/// Verifies a supervisor's certificate chain.
#[derive(Debug)]
struct FarmVerifier {
    ca: Fingerprint,
    farm_id: Option<String>,
    provider: Arc<CryptoProvider>,
}

impl FarmVerifier {
    /// Answers the certificate with the pinned fingerprint.
    fn ca<'a>(&self, chain: &[CertificateDer<'a>]) -> Result<CertificateDer<'a>, Error> {
        let found = chain
            .iter()
            .find(|certificate| Fingerprint::of(certificate) == self.ca);
        found.cloned().ok_or_else(|| {
            Error::General(format!(
                "it is another farm: no certificate there has the fingerprint {}",
                self.ca
            ))
        })
    }

    /// Answers the name that the certificate must be good for.
    fn name(&self, certificate: &CertificateDer<'_>) -> Result<ServerName<'static>, Error> {
        let name = match &self.farm_id {
            Some(id) => format!("{id}{NAME_END}"),
            None => farm_name(certificate).ok_or_else(|| {
                Error::General("its certificate is not that of a supervisor".to_owned())
            })?,
        };
        ServerName::try_from(name)
            .map_err(|_| Error::General("the farm's id is no name".to_owned()))
    }
}

/// Answers the name of a farm in a certificate.
fn farm_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let names = parsed.subject_alternative_name().ok().flatten()?;
    names
        .value
        .general_names
        .iter()
        .find_map(|name| match name {
            GeneralName::DNSName(dns) if dns.ends_with(NAME_END) => Some((*dns).to_owned()),
            _ => None,
        })
}

impl ServerCertVerifier for FarmVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca(intermediates)?.into_owned())?;
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
                .build();
        let verifier = verifier.map_err(|error| Error::General(error.to_string()))?;
        let name = self.name(end_entity)?;
        verifier.verify_server_cert(end_entity, intermediates, &name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_parse_back() {
        let print = Fingerprint::of(b"a certificate");
        assert_eq!(print.to_string().parse(), Ok(print));
        assert_eq!(
            format!("sha256:{}", print.to_string().to_uppercase()).parse(),
            Ok(print)
        );
        let zeros_and_ones = format!("{}__8", "A".repeat(40));
        let mut expected = [0; 32];
        expected[30..].copy_from_slice(&[0xff, 0xff]);
        assert_eq!(zeros_and_ones.parse(), Ok(Fingerprint(expected)));
        let digest = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
        assert_eq!(digest.parse(), Ok(Fingerprint::of(b"")));
        for bad in [
            &digest.replace('U', "V"),
            &digest.replace('-', "+"),
            "",
            "abc",
            "zz",
            &"0".repeat(63),
            &"ä".repeat(32),
        ] {
            assert_eq!(bad.parse::<Fingerprint>(), Err(BadFingerprint), "{bad}");
        }
    }
}
