//! What must hold of sealed passwords, whatever they are.

use proptest::prelude::*;
use tessera_seal::{
    Bound, Kind, PASSWORD_BYTES_MAX, PasswordProblem, PrivateKey, SEALED_BYTES_MAX, SealError,
    Secret, TEXT_BYTES_MAX, seal,
};

fn bound_to(key: &PrivateKey) -> Bound {
    Bound {
        farm: "1b4e28ba-2fa1-11d2-883f-0016d3cca427".into(),
        pool: "default".into(),
        key: key
            .public()
            .id("1b4e28ba-2fa1-11d2-883f-0016d3cca427", "default"),
        kind: Kind::User,
        account: "mia".into(),
        domain: "STUDIO".into(),
        sid: "S-1-5-21-1-2-3-1001".into(),
        sequence: 7,
        created_ms: 1_795_000_000_000,
        expires_ms: 1_802_000_000_000,
    }
}

fn secret(text: &str) -> Secret {
    Secret::password(text.to_owned()).expect("a password")
}

/// Every single thing that a password is bound to, changed.
fn changed(bound: &Bound) -> Vec<(&'static str, Bound)> {
    let with = |change: &dyn Fn(&mut Bound)| {
        let mut other = bound.clone();
        change(&mut other);
        other
    };
    vec![
        ("farm", with(&|b| b.farm.push('x'))),
        ("pool", with(&|b| b.pool = "night".into())),
        ("key", with(&|b| b.key.0[3] ^= 1)),
        ("kind", with(&|b| b.kind = Kind::Proxy)),
        ("account", with(&|b| b.account = "eve".into())),
        ("domain", with(&|b| b.domain.clear())),
        ("sid", with(&|b| b.sid.clear())),
        ("sequence", with(&|b| b.sequence -= 1)),
        ("created", with(&|b| b.created_ms += 1)),
        ("expires", with(&|b| b.expires_ms += 1)),
        (
            "the border between two texts",
            with(&|b| {
                b.account = "miaS".into();
                b.domain = "TUDIO".into();
            }),
        ),
    ]
}

#[test]
fn c01_what_is_bound_to_one_thing_opens_for_no_other() {
    let key = PrivateKey::make().expect("random");
    let bound = bound_to(&key);
    let sealed = seal(&secret("pa55 wörd"), &key.public(), &bound).expect("sealed");
    let opened = key.open(&sealed, &bound).expect("opens");
    assert!(opened.is_same(&secret("pa55 wörd")));
    for (what, other) in changed(&bound) {
        let opened = key.open(&sealed, &other).err();
        assert_eq!(
            opened,
            Some(SealError::NotForThis),
            "opened with another {what}"
        );
    }
}

#[test]
fn another_key_opens_nothing_and_is_not_sealed_to() {
    let (key, other) = (
        PrivateKey::make().expect("random"),
        PrivateKey::make().expect("random"),
    );
    let bound = bound_to(&key);
    let sealed = seal(&secret("x"), &key.public(), &bound).expect("sealed");
    assert_eq!(
        other.open(&sealed, &bound).err(),
        Some(SealError::NotForThis)
    );
    let wrong = seal(&secret("x"), &other.public(), &bound);
    assert_eq!(wrong, Err(SealError::BadKey), "the bounds name another key");
}

#[test]
fn a_kept_key_is_the_same_key() {
    let key = PrivateKey::make().expect("random");
    let bound = bound_to(&key);
    let sealed = seal(&secret("x"), &key.public(), &bound).expect("sealed");
    let again = PrivateKey::of_kept(&key.kept()).expect("a key");
    assert!(
        again
            .open(&sealed, &bound)
            .expect("opens")
            .is_same(&secret("x"))
    );
    let mut mixed = key.kept().to_vec();
    mixed[..32].copy_from_slice(&PrivateKey::make().expect("random").public().0);
    for bad in [&mixed[..], &mixed[..63], &[]] {
        assert_eq!(PrivateKey::of_kept(bad).err(), Some(SealError::BadKey));
    }
}

#[test]
fn bad_passwords_are_refused() {
    let refused = |text: &str| Secret::password(text.to_owned()).err();
    assert_eq!(refused(""), Some(PasswordProblem::Empty));
    assert_eq!(refused("a\nb"), Some(PasswordProblem::Control));
    assert_eq!(refused("a\0b"), Some(PasswordProblem::Control));
    assert_eq!(refused(&"a".repeat(PASSWORD_BYTES_MAX)), None);
    let long = "a".repeat(PASSWORD_BYTES_MAX + 1);
    assert_eq!(refused(&long), Some(PasswordProblem::TooLong));
}

#[test]
fn lengths_tell_little_and_have_a_bound() {
    let key = PrivateKey::make().expect("random");
    let mut bound = bound_to(&key);
    let length =
        |text: &str, bound: &Bound| seal(&secret(text), &key.public(), bound).map(|it| it.len());
    assert_eq!(length("a", &bound), length(&"a".repeat(126), &bound));
    let longest = length(&"a".repeat(PASSWORD_BYTES_MAX), &bound).expect("sealed");
    assert!(longest <= SEALED_BYTES_MAX, "{longest}");
    bound.domain = "d".repeat(TEXT_BYTES_MAX + 1);
    assert_eq!(length("a", &bound), Err(SealError::TooLong));
}

proptest! {
    #[test]
    fn any_password_comes_back_and_no_bit_may_change(
        text in "[^\\p{Cc}]{1,80}", place in any::<prop::sample::Index>(), bit in 0_u8..8,
    ) {
        let key = PrivateKey::make().expect("random");
        let bound = bound_to(&key);
        let mut sealed = seal(&secret(&text), &key.public(), &bound).expect("sealed");
        let back = key.open(&sealed, &bound).expect("opens").with_text(str::to_owned);
        prop_assert_eq!(&back, &text);
        let at = place.index(sealed.len());
        sealed[at] ^= 1 << bit;
        prop_assert!(key.open(&sealed, &bound).is_err(), "byte {} changed", at);
    }

    #[test]
    fn anything_is_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let key = PrivateKey::make().expect("random");
        prop_assert!(key.open(&bytes, &bound_to(&key)).is_err());
    }

    #[test]
    fn fingerprints_parse_back(id in any::<[u8; 16]>()) {
        let id = tessera_seal::KeyId(id);
        prop_assert_eq!(id.to_string().parse(), Ok(id));
        let shorter = &id.to_string()[1..];
        prop_assert!(shorter.parse::<tessera_seal::KeyId>().is_err());
    }
}
