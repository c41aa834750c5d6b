//! What is told of the site's certificate.

use super::site;
use super::tests::{NOW, both, look};
use tessera_api::types::SiteCertificate;

#[test]
fn the_sites_certificate_is_told_with_what_is_wrong() {
    let none = site(&look(Some(80)), &SiteCertificate::default());
    assert!(none.contains("set site_certificate and site_key"), "{none}");
    let shown = SiteCertificate {
        certificate: Some("/etc/site.pem".into()),
        names: vec!["farm.lan".into(), "*.farm.lan".into()],
        is_shown: true,
        expires_ms: Some(NOW),
        address: "farm:7433".into(),
        problem: Some("/etc/site.pem: site certificate: it has ended".into()),
        ..SiteCertificate::default()
    };
    let said = both(|look| site(look, &shown));
    for part in [
        "farm.lan, *.farm.lan",
        "set supervisor_address",
        "it has ended",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let ended = SiteCertificate {
        is_shown: false,
        ..shown
    };
    let said = site(&look(Some(80)), &ended);
    assert!(said.contains("browsers are shown the farm's own"), "{said}");
}
