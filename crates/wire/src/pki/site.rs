//! The certificate of the site's own that people's browsers know, with its key: read whole, and judged before anybody is shown it.
//!
//! It proves nothing to workers and to who pins the farm's CA: those are shown the farm's own.

use super::cert::parse;
use super::{Fingerprint, PkiError, SERVER_NAMES_MAX, Validity, files, unix_now};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::path::Path;
use std::sync::Arc;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::X509Certificate;

/// Certificates of a chain.
const CHAIN_MAX: usize = 8;
/// What it is called in errors.
const WHAT: &str = "site certificate";
/// The end of names that are the farm's own.
const FARM_END: &str = ".tessera";

/// A certificate of the site's own that can be shown.
#[derive(Debug, Clone)]
pub struct SiteCertificate {
    pub(crate) key: Arc<CertifiedKey>,
    pub(crate) validity: Validity,
    names: Vec<String>,
    fingerprint: Fingerprint,
}

fn refused(why: &'static str) -> PkiError {
    PkiError::Refused { what: WHAT, why }
}

impl SiteCertificate {
    /// Reads a chain, the server's certificate first, and its key, both PEM.
    ///
    /// # Errors
    /// When a file can't be read, others could read the key, or they are no certificate for servers that counts now and its key.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, PkiError> {
        let chain = files::read_at(certificate, 0)?;
        let key = files::read_at(key, files::OF_OTHERS)?;
        Self::of_pem(&chain, &key, unix_now())
    }

    /// Reads PEM texts; `now` is in seconds since 1970.
    pub(crate) fn of_pem(chain: &[u8], key: &[u8], now: i64) -> Result<Self, PkiError> {
        let read: Result<Vec<CertificateDer<'static>>, _> =
            CertificateDer::pem_slice_iter(chain).collect();
        let chain = read.map_err(|_| refused("no certificate in PEM form"))?;
        let own = chain
            .first()
            .ok_or_else(|| refused("no certificate in PEM form"))?;
        if chain.len() > CHAIN_MAX {
            return Err(PkiError::TooMany {
                what: "certificates in the site's chain",
                got: chain.len(),
                max: CHAIN_MAX,
            });
        }
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| refused("its key file has no private key in PEM form"))?;
        let (names, validity) = judge(&parse(WHAT, own)?, now)?;
        let fingerprint = Fingerprint::of(own);
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let key = CertifiedKey::from_der(chain, key, &provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => refused("the key is that of another certificate"),
            _ => refused("TLS can't use it with this key"),
        })?;
        Ok(Self {
            key: Arc::new(key),
            validity,
            names,
            fingerprint,
        })
    }

    /// Answers the host names that it is good for, in lower case; `*.` at the beginning stands for one label.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Answers when it ends, in seconds since 1970.
    #[must_use]
    pub fn not_after(&self) -> i64 {
        self.validity.not_after
    }

    /// Answers the SHA-256 of the server's certificate itself.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Says whether it is good for a host name.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let covers = |it: &String| match it.strip_prefix("*.") {
            None => *it == name,
            Some(rest) => name
                .split_once('.')
                .is_some_and(|(label, end)| !label.is_empty() && end == rest),
        };
        !name.ends_with(FARM_END) && self.names.iter().any(covers)
    }
}

/// Answers the names of a certificate for servers that counts now, and from when to when it does.
fn judge(certificate: &X509Certificate<'_>, now: i64) -> Result<(Vec<String>, Validity), PkiError> {
    let malformed = |_| refused("it is malformed");
    if certificate.is_ca() {
        return Err(refused(
            "the first certificate is a CA's; the server's own comes first",
        ));
    }
    let usage = certificate.extended_key_usage().map_err(malformed)?;
    if usage.is_some_and(|usage| !usage.value.server_auth && !usage.value.any) {
        return Err(refused("it is not for servers"));
    }
    let validity = Validity {
        not_before: certificate.validity().not_before.timestamp(),
        not_after: certificate.validity().not_after.timestamp(),
    };
    if now < validity.not_before {
        return Err(refused("it does not count yet"));
    }
    if !validity.includes(now) {
        return Err(refused("it has ended"));
    }
    let names = certificate.subject_alternative_name().map_err(malformed)?;
    let names = names.map_or(&[][..], |names| names.value.general_names.as_slice());
    let names = names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    let names: Vec<String> = names.collect();
    if names.is_empty() {
        return Err(refused("it names no host (subject alternative name)"));
    }
    if names.len() > SERVER_NAMES_MAX {
        return Err(PkiError::TooMany {
            what: "names of the site certificate",
            got: names.len(),
            max: SERVER_NAMES_MAX,
        });
    }
    Ok((names, validity))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};

    /// 2026-11-30, when certificates that are made here count.
    const NOW: i64 = 1_796_000_000;

    fn made(change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
        let names = vec!["Farm.studio.lan".to_owned(), "*.render.lan".to_owned()];
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name.push(DnType::CommonName, "farm");
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2027, 1, 1);
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("signs");
        (certificate.pem(), key.serialize_pem())
    }

    fn why(chain: &str, key: &str, now: i64) -> String {
        let read = SiteCertificate::of_pem(chain.as_bytes(), key.as_bytes(), now);
        read.expect_err("refused").to_string()
    }

    #[test]
    fn a_certificate_with_its_key_is_good_for_its_names() {
        let (chain, key) = made(|_| {});
        let site = SiteCertificate::of_pem(chain.as_bytes(), key.as_bytes(), NOW).expect("good");
        assert_eq!(site.names(), ["farm.studio.lan", "*.render.lan"]);
        for (name, is) in [
            ("farm.studio.lan", true),
            ("FARM.studio.lan.", true),
            ("a.render.lan", true),
            ("a.b.render.lan", false),
            ("render.lan", false),
            (".render.lan", false),
            ("studio.lan", false),
            ("xfarm.studio.lan", false),
            ("", false),
        ] {
            assert_eq!(site.covers(name), is, "{name}");
        }
    }

    #[test]
    fn the_farms_own_names_are_never_the_sites() {
        let (chain, key) = made(|params| {
            params.subject_alt_names = vec![rcgen::SanType::DnsName(
                "*.tessera".try_into().expect("a name"),
            )];
        });
        let site = SiteCertificate::of_pem(chain.as_bytes(), key.as_bytes(), NOW).expect("good");
        assert!(!site.covers("farm.tessera"));
    }

    #[test]
    fn what_can_not_be_shown_is_refused_with_the_reason() {
        let (chain, key) = made(|_| {});
        let (_, other) = made(|_| {});
        assert!(why(&chain, &other, NOW).ends_with("the key is that of another certificate"));
        assert!(why(&chain, &key, NOW + 40_000_000).ends_with("it has ended"));
        assert!(why(&chain, &key, NOW - 40_000_000).ends_with("it does not count yet"));
        assert!(why("", &key, NOW).ends_with("no certificate in PEM form"));
        assert!(why(&chain, "", NOW).ends_with("no private key in PEM form"));
        assert!(why(&key, &chain, NOW).ends_with("no certificate in PEM form"));
        let (ca, key) = made(|it| it.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained));
        assert!(why(&ca, &key, NOW).contains("is a CA's"));
        let (client, key) =
            made(|it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
        assert!(why(&client, &key, NOW).ends_with("it is not for servers"));
        let (nameless, key) = made(|it| it.subject_alt_names.clear());
        assert!(why(&nameless, &key, NOW).contains("it names no host"));
        let long = chain.repeat(CHAIN_MAX + 1);
        assert!(why(&long, &key, NOW).contains("at most 8"));
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("a folder");
        let (chain, key) = made(|it| it.not_after = rcgen::date_time_ymd(2100, 1, 1));
        let (at, key_at) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
        std::fs::write(&at, chain).expect("writes");
        std::fs::write(&key_at, key).expect("writes");
        let mode = |mode| {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&key_at, mode).expect("chmod");
            SiteCertificate::load(&at, &key_at)
        };
        let open = mode(0o644).expect_err("refused");
        assert!(matches!(open, PkiError::OpenToOthers { .. }), "{open}");
        mode(0o640).expect("of a group");
        let missing = SiteCertificate::load(&dir.path().join("none"), &key_at);
        let missing = missing.expect_err("not there").to_string();
        assert!(missing.starts_with("can't read "), "{missing}");
    }
}
