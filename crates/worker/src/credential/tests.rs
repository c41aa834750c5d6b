//! The vault with a made-up domain.

mod held;
#[cfg(target_os = "linux")]
mod memory;

use super::{
    Account, Accounts, FileSecrets, LoggedOn, LogonFailed, SecretStore as _, Settings, TOKEN_LIFE,
    Vault,
};
use crate::os;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tessera_model::credential::{
    AccountKind, CredentialChecked, CredentialId, KeyId, PoolKey, PoolKeys, SealedCredential,
    Verdict,
};
use tessera_model::msg::{FromWorker, ToWorker};
use tessera_model::{Timestamp, UserName};
use tessera_seal::{Bound, Kind, PublicKey, Secret, seal};
use tessera_ticket::launcher::Capabilities;
use tessera_ticket::{Digest, KernelLimits, LaunchKey, Mode, Ticket};
use tokio::time::Instant;

const FARM: &str = "1b4e28ba-2fa1-11d2-883f-0016d3cca427";
const PASSWORD: &str = "correct horse";
const DAY_MS: i64 = 24 * 3_600 * 1_000;

/// A domain with one password, and how often it was asked.
struct Domain {
    password: String,
    sid: String,
    answer: Option<Verdict>,
    attempts: u32,
}

#[derive(Clone)]
struct Fake(Arc<Mutex<Domain>>);

impl Accounts for Fake {
    fn sid_of(&self, _: Account<'_>) -> Result<String, LogonFailed> {
        Ok(self.0.lock().unwrap().sid.clone())
    }

    fn log_on(&self, account: Account<'_>, password: &Secret) -> Result<LoggedOn, LogonFailed> {
        let mut domain = self.0.lock().unwrap();
        domain.attempts += 1;
        assert_eq!((account.name, account.domain), ("mia", "STUDIO"));
        if let Some(verdict) = domain.answer {
            return Err(LogonFailed::new(verdict, "as told"));
        }
        if password.with_text(|text| text != domain.password) {
            return Err(LogonFailed::new(Verdict::Wrong, "error 1326"));
        }
        Ok(LoggedOn {
            sid: domain.sid.clone(),
            token: Arc::new(domain.attempts),
        })
    }
}

struct World {
    dir: TempDir,
    domain: Fake,
    settings: Settings,
    vault: Vault,
}

impl World {
    fn new() -> Self {
        Self::of(Settings::default())
    }

    fn of(settings: Settings) -> Self {
        tessera_wire::install_crypto_provider();
        let dir = tempfile::tempdir().expect("a directory");
        let domain = Fake(Arc::new(Mutex::new(Domain {
            password: PASSWORD.into(),
            sid: "S-1-5-21-7".into(),
            answer: None,
            attempts: 0,
        })));
        let vault = open(&dir, &settings, &domain);
        Self {
            dir,
            domain,
            settings,
            vault,
        }
    }

    /// The worker ends and another begins on the same state.
    fn restart(&mut self) {
        self.vault = open(&self.dir, &self.settings, &self.domain);
        self.keys();
    }

    fn keys(&self) -> PoolKeys {
        self.vault.keys(FARM, os::wall()).expect("keys")
    }

    fn attempts(&self) -> u32 {
        self.domain.0.lock().unwrap().attempts
    }

    fn answer(&self, verdict: Option<Verdict>) {
        self.domain.0.lock().unwrap().answer = verdict;
    }

    fn sealed(&self, sequence: u64, check: u32) -> SealedCredential {
        seal_for(self.keys().keys[0], PASSWORD, sequence, check)
    }

    fn check(&self, credential: SealedCredential) -> CredentialChecked {
        let order = ToWorker::Credential {
            credential: Box::new(credential),
            is_check: true,
        };
        match self.vault.take(order).remove(0) {
            FromWorker::CredentialChecked(checked) => checked,
            other => panic!("{other:?}"),
        }
    }

    fn hold(&self, credential: SealedCredential) {
        let order = ToWorker::Credential {
            credential: Box::new(credential),
            is_check: false,
        };
        assert_eq!(self.vault.take(order), []);
    }

    fn token(&self) -> Result<u32, Verdict> {
        let token = self.vault.token(AccountKind::User, &mia());
        token
            .map(|token| *token.downcast_ref::<u32>().expect("ours"))
            .map_err(|failed| failed.verdict)
    }
}

fn open(dir: &TempDir, settings: &Settings, domain: &Fake) -> Vault {
    let path = dir.path().join("credentials");
    let secrets = FileSecrets::open(&path).expect("opens");
    let accounts = Box::new(domain.clone());
    Vault::open(&path, settings.clone(), Box::new(secrets), accounts).expect("opens")
}

fn mia() -> UserName {
    "mia".parse().unwrap()
}

fn id() -> CredentialId {
    CredentialId {
        kind: AccountKind::User,
        account: mia(),
        pool: "default".parse().unwrap(),
    }
}

fn seal_for(key: PoolKey, password: &str, sequence: u64, check: u32) -> SealedCredential {
    let created = os::wall();
    let expires = created.plus_ms(DAY_MS);
    let bound = Bound {
        farm: FARM.into(),
        pool: "default".into(),
        key: tessera_seal::KeyId(key.id.0),
        kind: Kind::User,
        account: "mia".into(),
        domain: "STUDIO".into(),
        sid: String::new(),
        sequence,
        created_ms: created.0,
        expires_ms: expires.0,
    };
    let secret = Secret::password(password.to_owned()).expect("a password");
    SealedCredential {
        id: id(),
        domain: "STUDIO".into(),
        sid: String::new(),
        sid_found: String::new(),
        sequence,
        check,
        created,
        expires,
        key: key.id,
        sealed: seal(&secret, &PublicKey(key.public), &bound).expect("sealed"),
    }
}

#[test]
fn a_good_password_gives_one_token_for_many_launches() {
    let w = World::new();
    let checked = w.check(w.sealed(1, 1));
    assert_eq!(
        (checked.verdict, checked.sid.as_str()),
        (Verdict::Valid, "S-1-5-21-7")
    );
    assert_eq!((w.token(), w.token(), w.attempts()), (Ok(1), Ok(1), 1));
    let later = Instant::now() + TOKEN_LIFE;
    w.vault
        .token_at(AccountKind::User, &mia(), later)
        .expect("good");
    assert_eq!(w.attempts(), 2, "after an hour it is tried again");
}

fn ticket(mode: Mode, account: &str) -> Ticket {
    Ticket {
        farm: [0; 16],
        host: [0; 16],
        key: LaunchKey {
            job: 1,
            instance: 0,
            launch: 1,
        },
        principal: "mia".into(),
        proven: "test".into(),
        mode,
        account: account.into(),
        items: Vec::new(),
        template: Digest([0; 32]),
        not_before_ms: 0,
        expires_ms: 0,
        nonce: [0; 16],
        limits: KernelLimits::default(),
    }
}

fn launcher(logons: &[&str]) -> Capabilities {
    Capabilities {
        logons: logons.iter().map(|&it| it.to_owned()).collect(),
        ..Capabilities::default()
    }
}

#[test]
fn a_launch_is_logged_on_here_only_where_the_hosts_policy_says_password() {
    let w = World::new();
    w.hold(w.sealed(1, 1));
    let user = ticket(Mode::User, "mia");
    let has_token = |logons: &[&str], ticket: &Ticket| {
        let found = w.vault.token_for(&launcher(logons), ticket);
        found.map(|it| it.is_some()).map_err(|it| it.verdict)
    };
    for elsewhere in [
        &[][..],
        &["proxy=dynamic", "user=s4u"],
        &["proxy=password"],
        &["user=s4u,password"],
        &["user="],
        &["user"],
    ] {
        assert_eq!(has_token(elsewhere, &user), Ok(false), "{elsewhere:?}");
    }
    // Also when it runs for somebody at a desktop.
    let desktop = ticket(Mode::Desktop, "mia");
    assert_eq!(has_token(&["desktop=password"], &desktop), Ok(false));
    assert_eq!(w.attempts(), 0, "nobody asked for a logon");
    let both = ["proxy=dynamic", "user=password,s4u"];
    assert_eq!(has_token(&both, &user), Ok(true));
    assert_eq!(has_token(&["user=password"], &user), Ok(true));
    assert_eq!(w.attempts(), 1);
    // Nothing is registered for these: another way is taken where there is one.
    let other = ticket(Mode::User, "bob");
    assert_eq!(has_token(&both, &other), Ok(false));
    let refused = Err(Verdict::Unreadable);
    assert_eq!(has_token(&["user=password"], &other), refused);
    // That of a person is none for the proxy account, whatever that is called.
    let proxy = ticket(Mode::Proxy, "mia");
    assert_eq!(has_token(&["proxy=password"], &proxy), refused);
    let none = ticket(Mode::User, r"X\mia");
    assert_eq!(has_token(&both, &none), Err(Verdict::NoAccount));
    assert_eq!(w.attempts(), 1);
}

#[test]
fn a_registered_password_that_is_bad_is_not_passed_over_for_another_way() {
    let w = World::new();
    w.hold(seal_for(w.keys().keys[0], "guess", 1, 1));
    let launcher = launcher(&["user=password,s4u"]);
    for _ in 0..3 {
        let failed = w.vault.token_for(&launcher, &ticket(Mode::User, "mia"));
        assert_eq!(failed.expect_err("refused").verdict, Verdict::Wrong);
    }
    assert_eq!(w.attempts(), 1);
}

#[test]
fn c05_a_wrong_password_is_tried_once_also_over_a_restart() {
    let mut w = World::new();
    let wrong = seal_for(w.keys().keys[0], "guess", 1, 1);
    assert_eq!(w.check(wrong.clone()).verdict, Verdict::Wrong);
    for _ in 0..50 {
        assert_eq!(w.token(), Err(Verdict::Wrong));
    }
    w.restart();
    w.hold(wrong.clone());
    assert_eq!(w.token(), Err(Verdict::Wrong));
    assert_eq!(
        w.check(wrong).verdict,
        Verdict::Wrong,
        "the answer that was lost is said again"
    );
    assert_eq!(w.attempts(), 1);
    w.hold(w.sealed(2, 1));
    assert!(w.token().is_ok(), "a newer registration is another matter");
}

#[test]
fn a_check_that_is_asked_for_anew_is_another_attempt() {
    let w = World::new();
    w.answer(Some(Verdict::Locked));
    assert_eq!(w.check(w.sealed(1, 1)).verdict, Verdict::Locked);
    w.answer(None);
    assert_eq!(w.check(w.sealed(1, 1)).verdict, Verdict::Locked);
    assert_eq!(w.check(w.sealed(1, 2)).verdict, Verdict::Valid);
    assert_eq!(w.attempts(), 2);
}

#[test]
fn c10_each_reason_is_its_own_and_none_is_tried_again() {
    for verdict in [
        Verdict::Expired,
        Verdict::MustChange,
        Verdict::Restricted,
        Verdict::Locked,
        Verdict::NoAccount,
    ] {
        let w = World::new();
        w.answer(Some(verdict));
        assert_eq!(w.check(w.sealed(1, 1)).verdict, verdict);
        assert_eq!((w.token(), w.attempts()), (Err(verdict), 1));
    }
    let w = World::new();
    let mut over = w.sealed(1, 1);
    over.expires = os::wall();
    assert_eq!(w.check(over).verdict, Verdict::Expired);
    assert_eq!(
        w.attempts(),
        0,
        "a registration that is over is not tried at all"
    );
}

#[test]
fn trouble_of_the_host_is_tried_again() {
    let w = World::new();
    w.answer(Some(Verdict::Unavailable));
    assert_eq!(w.check(w.sealed(1, 1)).verdict, Verdict::Unavailable);
    w.answer(None);
    assert_eq!(w.token(), Ok(2));
}

#[test]
fn c01_nothing_else_than_what_was_sealed_is_opened_and_nothing_older() {
    let w = World::new();
    let good = w.sealed(2, 1);
    let with = |change: &dyn Fn(&mut SealedCredential)| {
        let mut other = good.clone();
        change(&mut other);
        w.check(other).verdict
    };
    assert_eq!(
        with(&|it| it.created = it.created.plus_ms(1)),
        Verdict::Unreadable
    );
    assert_eq!(
        with(&|it| it.expires = it.expires.plus_ms(DAY_MS)),
        Verdict::Unreadable
    );
    assert_eq!(
        with(&|it| it.sid = "S-1-5-21-7".into()),
        Verdict::Unreadable
    );
    assert_eq!(with(&|it| it.key = KeyId([9; 16])), Verdict::Unreadable);
    assert_eq!(with(&|it| it.sequence = 1), Verdict::Stale, "an older one");
    assert_eq!(w.attempts(), 0, "nothing of it was tried");
    assert_eq!(
        with(&|it| it.sequence = 3),
        Verdict::Unreadable,
        "a newer one"
    );
    assert_eq!(w.attempts(), 0);
}

#[test]
fn an_account_that_became_another_is_refused_before_it_is_tried() {
    let mut w = World::new();
    assert_eq!(w.check(w.sealed(1, 1)).verdict, Verdict::Valid);
    w.domain.0.lock().unwrap().sid = "S-1-5-21-8".into();
    w.restart();
    assert_eq!(w.check(w.sealed(1, 2)).verdict, Verdict::AccountChanged);
    assert_eq!(w.attempts(), 1);
    let mut other = World::new().sealed(1, 1);
    let w = World::new();
    other = SealedCredential {
        sid_found: "S-1-5-21-9".into(),
        ..w.sealed(other.sequence, 1)
    };
    assert_eq!(w.check(other).verdict, Verdict::AccountChanged);
}

#[test]
fn a_revocation_closes_the_token_and_holds_over_a_restart() {
    let mut w = World::new();
    let credential = w.sealed(1, 1);
    w.hold(credential.clone());
    let token = w.vault.token(AccountKind::User, &mia()).expect("good");
    let watch = Arc::downgrade(&token);
    drop(token);
    assert!(watch.upgrade().is_some(), "kept for the next launch");
    w.vault.take(ToWorker::CredentialRevoked {
        id: id(),
        sequence: 2,
    });
    assert!(watch.upgrade().is_none(), "closed");
    assert_eq!(w.token(), Err(Verdict::Unreadable));
    w.restart();
    assert_eq!(w.check(credential).verdict, Verdict::Stale);
    assert_eq!(w.attempts(), 1);
}

#[test]
fn what_a_launch_finds_is_told() {
    let w = World::new();
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    w.vault.tell_through(Box::new(move |checked| {
        heard.lock().unwrap().push(checked.verdict);
    }));
    w.hold(seal_for(w.keys().keys[0], "guess", 1, 1));
    assert_eq!(w.token(), Err(Verdict::Wrong));
    assert_eq!(*told.lock().unwrap(), [Verdict::Wrong]);
}

#[test]
fn c04_an_old_key_opens_until_it_is_retired_and_reseals_for_the_new_one() {
    let mut w = World::new();
    let old = w.sealed(1, 1);
    let later = Timestamp(os::wall().0 + 91 * DAY_MS);
    let keys = w.vault.keys(FARM, later).expect("keys");
    assert_eq!(keys.keys.len(), 2);
    assert_eq!(keys.keys[1].id, old.key);
    w.restart();
    assert_eq!(
        w.check(old.clone()).verdict,
        Verdict::Valid,
        "it is not lost by rotation"
    );
    let order = ToWorker::Reseal {
        credential: Box::new(old.clone()),
        to: keys.keys[0],
    };
    let FromWorker::Resealed { sealed, .. } = w.vault.take(order).remove(0) else {
        panic!("no answer")
    };
    let resealed = SealedCredential {
        key: keys.keys[0].id,
        sealed: sealed.expect("it may"),
        check: 2,
        ..old.clone()
    };
    let said = w.vault.take(ToWorker::RetireKey(old.key));
    assert!(
        matches!(&said[..], [FromWorker::PoolKeys(keys)] if keys.keys.len() == 1),
        "{said:?}"
    );
    w.restart();
    assert_eq!(w.check(resealed).verdict, Verdict::Valid);
    assert_eq!(
        w.check(SealedCredential { check: 3, ..old }).verdict,
        Verdict::Unreadable
    );
    let current = w.keys();
    w.vault.take(ToWorker::RetireKey(current.keys[0].id));
    assert_eq!(w.keys(), current, "the current key is nobody's to destroy");
}

#[test]
fn c03_nobody_is_sealed_for_whom_the_host_does_not_admit() {
    let rogue = World::new().keys().keys[0];
    let w = World::new();
    let order = |w: &World| ToWorker::Reseal {
        credential: Box::new(w.sealed(1, 1)),
        to: rogue,
    };
    let refused = w.vault.take(order(&w));
    let FromWorker::Resealed {
        sealed: Err(why), ..
    } = &refused[0]
    else {
        panic!("{refused:?}")
    };
    assert!(why.contains("worker_credential_admit"), "{why}");
    let w = World::of(Settings {
        admitted: vec![rogue.id],
        ..Settings::default()
    });
    let sealed = w.vault.take(order(&w));
    assert!(
        matches!(&sealed[0], FromWorker::Resealed { sealed: Ok(_), .. }),
        "{sealed:?}"
    );
    // The name of an admitted key with another key under it.
    let mut forged = rogue;
    forged.public = World::new().keys().keys[0].public;
    let forged = w.vault.take(ToWorker::Reseal {
        credential: Box::new(w.sealed(1, 1)),
        to: forged,
    });
    assert!(
        matches!(&forged[0], FromWorker::Resealed { sealed: Err(_), .. }),
        "{forged:?}"
    );
}

#[test]
fn keys_are_private_and_a_damaged_file_is_said() {
    let mut w = World::new();
    let keys = w.keys();
    let path = w.dir.path().join("credentials");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = path
            .join("pool-keys")
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    w.restart();
    assert_eq!(w.keys(), keys, "the same after a restart");
    let secrets = FileSecrets::open(&path).expect("opens");
    secrets.write("pool-keys", b"\x01x").expect("writes");
    w.vault = open(&w.dir, &w.settings, &w.domain);
    let error = w.vault.keys(FARM, os::wall()).expect_err("damaged");
    assert!(error.to_string().contains("damaged"), "{error}");
}
