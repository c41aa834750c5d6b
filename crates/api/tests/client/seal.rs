//! Keys of workers are believed when the farm's CA signed them, and only then.

use rcgen::{CertificateParams, KeyPair, SigningKey as _};
use tessera_api::client::{BadOffer, Fingerprint, key_statement};
use tessera_api::types::{SealKey, SealOffer};
use tessera_seal::{Bound, Kind, PrivateKey, PublicKey, Secret};

const FARM: &str = "1b4e28ba-2fa1-11d2-883f-0016d3cca427";
const POOL: &str = "default";

struct Ca {
    key: KeyPair,
    pem: String,
    print: Fingerprint,
}

impl Ca {
    fn new() -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
        let made = CertificateParams::default()
            .self_signed(&key)
            .expect("a certificate");
        let (pem, print) = (made.pem(), Fingerprint::of(made.der()));
        Self { key, pem, print }
    }

    fn sign(&self, pool: &str, key: &mut SealKey) {
        let statement = key_statement(FARM, pool, key);
        key.signature = hex(&self.key.sign(&statement).expect("signs"));
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn key(host: &str, public: PublicKey) -> SealKey {
    SealKey {
        host: host.into(),
        id: public.id(FARM, POOL).to_string(),
        public: hex(&public.0),
        created_ms: 7,
        signature: String::new(),
    }
}

fn offer(ca: &Ca, private: &PrivateKey) -> SealOffer {
    let mut key = key("win1", private.public());
    ca.sign(POOL, &mut key);
    SealOffer {
        farm_id: FARM.into(),
        kind: "user".into(),
        account: "mia".into(),
        pool: POOL.into(),
        sequence: 3,
        now_ms: 1_795_000_000_000,
        days_max: 90,
        ca_pem: ca.pem.clone(),
        keys: vec![key],
    }
}

#[test]
fn what_is_sealed_for_a_signed_key_opens_with_it() {
    let (ca, private) = (Ca::new(), PrivateKey::make().expect("random"));
    let offer = offer(&ca, &private);
    let keys = offer.signed_keys(Some(ca.print)).expect("signed");
    assert_eq!(
        offer.signed_keys(None),
        Ok(keys.clone()),
        "over the local socket there is no pin"
    );
    let secret = || Secret::password("correct horse".to_owned()).expect("a password");
    let sealed = offer.seal(&secret(), &keys, "STUDIO", 500).expect("sealed");
    assert_eq!(
        sealed.expires_ms - sealed.created_ms,
        90 * 24 * 3_600 * 1_000,
        "at most what the farm says"
    );
    let bound = Bound {
        farm: FARM.into(),
        pool: POOL.into(),
        key: keys[0].id,
        kind: Kind::User,
        account: "mia".into(),
        domain: "STUDIO".into(),
        sid: String::new(),
        sequence: 3,
        created_ms: sealed.created_ms,
        expires_ms: sealed.expires_ms,
    };
    let bytes = tessera_api::client::from_hex(&sealed.sealed[0].sealed).expect("digits");
    assert!(
        private
            .open(&bytes, &bound)
            .expect("opens")
            .is_same(&secret())
    );
    assert!(!format!("{sealed:?}").contains("correct horse"));
}

#[test]
fn c03_a_key_that_the_ca_did_not_sign_is_not_sealed_for() {
    let (ca, private) = (Ca::new(), PrivateKey::make().expect("random"));
    let good = offer(&ca, &private);
    let is_unsigned = |offer: &SealOffer| {
        matches!(
            offer.signed_keys(Some(ca.print)),
            Err(BadOffer::NotSigned { .. })
        )
    };
    let rogue = PrivateKey::make().expect("random");
    let with = |change: &dyn Fn(&mut SealOffer)| {
        let mut other = good.clone();
        change(&mut other);
        other
    };
    assert!(
        is_unsigned(&with(&|it| it.keys.push(key("win2", rogue.public())))),
        "no signature"
    );
    let swapped = with(&|it| {
        it.keys[0].public = hex(&rogue.public().0);
        it.keys[0].id = rogue.public().id(FARM, POOL).to_string();
    });
    assert!(is_unsigned(&swapped), "the signature of another key");
    let by_another = with(&|it| Ca::new().sign(POOL, &mut it.keys[0]));
    assert!(is_unsigned(&by_another), "another CA's signature");
    let other_farm = with(&|it| it.farm_id = "00000000-0000-0000-0000-000000000000".into());
    assert!(is_unsigned(&other_farm), "another farm's key");
    let other_pool = with(&|it| it.pool = "night".into());
    assert!(is_unsigned(&other_pool), "another pool's key");
    let other = Ca::new();
    let whole = offer(&other, &rogue);
    let refused = whole.signed_keys(Some(ca.print));
    assert_eq!(
        refused,
        Err(BadOffer::WrongCa { pinned: ca.print }),
        "all of it another farm's"
    );
}

#[test]
fn a_name_that_is_not_the_fingerprint_is_refused_though_it_is_signed() {
    let (ca, private) = (Ca::new(), PrivateKey::make().expect("random"));
    let mut offer = offer(&ca, &private);
    offer.keys[0].id = PrivateKey::make()
        .expect("random")
        .public()
        .id(FARM, POOL)
        .to_string();
    ca.sign(POOL, &mut offer.keys[0]);
    let refused = offer.signed_keys(Some(ca.print));
    assert!(
        matches!(refused, Err(BadOffer::WrongId { .. })),
        "{refused:?}"
    );
}
