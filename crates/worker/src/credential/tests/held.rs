//! What the vault lets go of when it holds as many passwords as it may.

use super::{FARM, World, id, mia, seal_for};
use crate::credential::vault::HELD_MAX;
use crate::credential::{Account, Accounts, FileSecrets, LoggedOn, LogonFailed, Settings, Vault};
use crate::os;
use std::sync::{Arc, Mutex};
use tessera_model::UserName;
use tessera_model::credential::{AccountKind, SealedCredential};
use tessera_model::msg::ToWorker;
use tessera_seal::Secret;

fn account(number: usize) -> UserName {
    // Behind `mia` by name.
    format!("z{number:05}").parse().expect("a name")
}

/// Has a vault hold passwords of so many other accounts; the worker knows of no registration of them.
fn fill(vault: &Vault, like: &SealedCredential, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let mut credential = like.clone();
        (credential.id.account, credential.sequence) = (account(number), 0);
        hold(vault, credential);
    }
}

fn hold(vault: &Vault, credential: SealedCredential) {
    let order = ToWorker::Credential {
        credential: Box::new(credential),
        is_check: false,
    };
    assert_eq!(vault.take(order), []);
}

#[test]
fn the_token_goes_with_the_password_that_gives_way() {
    let w = World::new();
    let own = w.sealed(1, 1);
    w.hold(own.clone());
    let token = Arc::downgrade(&w.vault.token(AccountKind::User, &mia()).expect("good"));
    fill(&w.vault, &own, 0..HELD_MAX - 1);
    assert!(token.upgrade().is_some(), "kept for more launches");
    fill(&w.vault, &own, HELD_MAX - 1..HELD_MAX);
    assert!(token.upgrade().is_none(), "closed: nobody has it any more");
}

#[test]
fn what_was_not_used_for_longest_gives_way() {
    let w = World::new();
    let own = w.sealed(1, 1);
    w.hold(own.clone());
    fill(&w.vault, &own, 0..HELD_MAX - 1);
    w.token().expect("good");
    fill(&w.vault, &own, HELD_MAX - 1..HELD_MAX);
    let holds = |name: &UserName| w.vault.holds(AccountKind::User, name);
    assert!(holds(&mia()), "it was used");
    assert!(!holds(&account(0)) && holds(&account(1)) && holds(&account(HELD_MAX - 1)));
}

type During = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

/// Takes any password, and has something happen meanwhile.
struct Slow(During);

impl Accounts for Slow {
    fn sid_of(&self, _: Account<'_>) -> Result<String, LogonFailed> {
        Ok("S-1-5-21-7".into())
    }

    fn log_on(&self, _: Account<'_>, _: &Secret) -> Result<LoggedOn, LogonFailed> {
        let during = self.0.lock().expect("nobody panicked").take();
        during.into_iter().for_each(|happen| happen());
        Ok(LoggedOn {
            sid: "S-1-5-21-7".into(),
            token: Arc::new(()),
        })
    }
}

#[test]
fn what_gave_way_during_its_logon_leaves_no_token() {
    tessera_wire::install_crypto_provider();
    let dir = tempfile::tempdir().expect("a folder");
    let secrets = Box::new(FileSecrets::open(dir.path()).expect("opens"));
    let during = During::default();
    let accounts = Box::new(Slow(Arc::clone(&during)));
    let vault = Vault::open(dir.path(), Settings::default(), secrets, accounts).expect("opens");
    let key = vault.keys(FARM, os::wall()).expect("keys").keys[0];
    let own = seal_for(key, "any", 1, 1);
    assert_eq!(own.id, id());
    hold(&vault, own.clone());
    let full = vault.clone();
    let happen = move || fill(&full, &own, 0..HELD_MAX);
    *during.lock().expect("nobody panicked") = Some(Box::new(happen));
    let token = Arc::downgrade(&vault.token(AccountKind::User, &mia()).expect("good"));
    assert!(
        token.upgrade().is_none(),
        "this launch had it, no other will"
    );
}
