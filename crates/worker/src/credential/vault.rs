//! The vault: sealed passwords for launches, opened for one logon at a time, and the tokens that logons gave.

use super::keys::Ring;
use super::memory::{Memory, Seen};
use super::{Account, Accounts, LoggedOn, LogonFailed, SecretStore, Settings, Token};
use crate::os;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tessera_model::credential::{
    AccountKind, CredentialChecked, CredentialId, KeyId, PoolKey, PoolKeys, SID_BYTES_MAX,
    SealedCredential, Verdict,
};
use tessera_model::msg::{FromWorker, ToWorker};
use tessera_model::{Timestamp, UserName};
use tessera_seal::{Bound, Kind, PublicKey, Secret, seal};
use tokio::time::Instant;

/// How long a token serves new launches; then the password is tried again. Revocation ends it at once.
pub const TOKEN_LIFE: Duration = Duration::from_secs(3_600);
/// Accounts whose sealed passwords are held, those that were used last.
pub(super) const HELD_MAX: usize = 4_096;

/// Why a vault can't be used.
#[derive(Debug, thiserror::Error)]
#[error("can't {what} for registered passwords in {path}")]
pub struct VaultError {
    pub(super) what: &'static str,
    pub(super) path: String,
    #[source]
    pub(super) source: io::Error,
}

/// What a worker knows and may do with registered passwords. Cheap to clone. All calls block.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

type Teller = Box<dyn Fn(CredentialChecked) + Send + Sync>;

struct Inner {
    settings: Settings,
    accounts: Box<dyn Accounts>,
    secrets: Box<dyn SecretStore>,
    state: Mutex<State>,
    /// Held over a logon: one at a time, so that a second launch finds what the first found.
    one_logon: Mutex<()>,
    teller: Mutex<Option<Teller>>,
}

struct State {
    ring: Option<Ring>,
    memory: Memory,
    held: BTreeMap<CredentialId, Held>,
    /// Of accounts that are held only: with what is let go of, its token is closed.
    tokens: BTreeMap<CredentialId, Kept>,
    /// How often anything that is held was used.
    uses: u64,
}

/// A sealed password.
struct Held {
    credential: SealedCredential,
    /// Which use its last one was.
    used: u64,
}

impl State {
    /// Holds a sealed password; when there are too many, the one that was not used for longest gives way.
    fn hold(&mut self, credential: SealedCredential) {
        if self.held.len() >= HELD_MAX && !self.held.contains_key(&credential.id) {
            let idle = self.held.iter().min_by_key(|(_, held)| held.used);
            if let Some(id) = idle.map(|(id, _)| id.clone()) {
                self.let_go(&id);
            }
        }
        self.uses += 1;
        let (id, used) = (credential.id.clone(), self.uses);
        self.held.insert(id, Held { credential, used });
    }

    /// Answers what is held of an account, which counts as a use of it.
    fn use_held(&mut self, id: &CredentialId) -> Option<&SealedCredential> {
        let held = self.held.get_mut(id)?;
        self.uses += 1;
        held.used = self.uses;
        Some(&held.credential)
    }

    fn let_go(&mut self, id: &CredentialId) {
        self.held.remove(id);
        self.tokens.remove(id);
    }
}

/// A token with what it came of.
struct Kept {
    sequence: u64,
    since: Instant,
    token: Token,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    /// Opens the vault in a directory of this worker's own.
    ///
    /// # Errors
    /// When what an earlier worker knew can't be read.
    pub fn open(
        dir: &Path,
        settings: Settings,
        secrets: Box<dyn SecretStore>,
        accounts: Box<dyn Accounts>,
    ) -> Result<Self, VaultError> {
        let failed = |what| {
            move |source| VaultError {
                what,
                path: dir.display().to_string(),
                source,
            }
        };
        os::dirs()
            .create(dir)
            .map_err(failed("make the directory"))?;
        let claimed = os::claim(dir).map_err(io::Error::other);
        claimed.map_err(failed("make the directory private"))?;
        let memory = Memory::open(dir).map_err(failed("read what is known"))?;
        let state = State {
            ring: None,
            memory,
            held: BTreeMap::new(),
            tokens: BTreeMap::new(),
            uses: 0,
        };
        Ok(Self(Arc::new(Inner {
            settings,
            accounts,
            secrets,
            state: Mutex::new(state),
            one_logon: Mutex::new(()),
            teller: Mutex::new(None),
        })))
    }

    /// Has whatever a logon for a launch finds told through this.
    pub fn tell_through(&self, teller: Teller) {
        *lock(&self.0.teller) = Some(teller);
    }

    /// Answers this worker's keys on a farm; makes the first, and a new one when the current one is old.
    ///
    /// # Errors
    /// When they can't be read or kept.
    pub fn keys(&self, farm: &str, now: Timestamp) -> io::Result<PoolKeys> {
        let mut state = lock(&self.0.state);
        let secrets = self.0.secrets.as_ref();
        let mut ring = match state.ring.take() {
            Some(ring) if ring.farm() == farm => ring,
            Some(_) | None => Ring::open(secrets, farm, &self.0.settings.pool, now)?,
        };
        ring.rotate(secrets, self.0.settings.key_days, now)?;
        let told = ring.told();
        state.ring = Some(ring);
        Ok(told)
    }

    /// Does what the supervisor asks and answers what is to be said. What is not the vault's is left alone.
    pub fn take(&self, message: ToWorker) -> Vec<FromWorker> {
        match message {
            ToWorker::Credential {
                credential,
                is_check,
            } => {
                let id = credential.id.clone();
                let held = self.hold(*credential);
                if is_check {
                    let checked = held.map_or_else(|failed| failed, |()| self.check(&id));
                    return vec![FromWorker::CredentialChecked(checked)];
                }
                Vec::new()
            }
            ToWorker::CredentialRevoked { id, sequence } => {
                self.revoke(&id, sequence);
                Vec::new()
            }
            ToWorker::Reseal { credential, to } => {
                let (id, sequence) = (credential.id.clone(), credential.sequence);
                let sealed = self.reseal(&credential, to);
                vec![FromWorker::Resealed {
                    id,
                    sequence,
                    to: to.id,
                    sealed,
                }]
            }
            ToWorker::RetireKey(id) => self.retire(id),
            ToWorker::Start { .. }
            | ToWorker::Run { .. }
            | ToWorker::EndItem { .. }
            | ToWorker::Close { .. }
            | ToWorker::Suspend(_)
            | ToWorker::Resume(_)
            | ToWorker::Ack(_)
            | ToWorker::LockWhileActive(_)
            | ToWorker::Settings(_) => Vec::new(),
        }
    }

    /// Says whether a message is for the vault, and whether it is over in no time.
    #[must_use]
    pub fn is_for(message: &ToWorker) -> Option<bool> {
        match message {
            ToWorker::Credential { is_check, .. } => Some(!is_check),
            ToWorker::CredentialRevoked { .. } => Some(true),
            ToWorker::Reseal { .. } | ToWorker::RetireKey(_) => Some(false),
            ToWorker::Start { .. }
            | ToWorker::Run { .. }
            | ToWorker::EndItem { .. }
            | ToWorker::Close { .. }
            | ToWorker::Suspend(_)
            | ToWorker::Resume(_)
            | ToWorker::Ack(_)
            | ToWorker::LockWhileActive(_)
            | ToWorker::Settings(_) => None,
        }
    }

    /// Holds a sealed password for launches; an older one than is known is not taken.
    fn hold(&self, credential: SealedCredential) -> Result<(), CredentialChecked> {
        let mut state = lock(&self.0.state);
        let (id, sequence) = (credential.id.clone(), credential.sequence);
        let seen = state.memory.get(&id);
        let failed = |verdict, detail: String| CredentialChecked {
            id: id.clone(),
            sequence,
            verdict,
            sid: String::new(),
            detail,
        };
        if sequence < seen.sequence {
            let detail = format!("number {sequence}, {} is known here", seen.sequence);
            return Err(failed(Verdict::Stale, detail));
        }
        if sequence > seen.sequence {
            let fresh = Seen {
                sequence,
                ..Seen::default()
            };
            let kept = state.memory.set(&id, fresh);
            kept.map_err(|error| failed(Verdict::Unavailable, error.to_string()))?;
            state.tokens.remove(&id);
        }
        state.hold(credential);
        Ok(())
    }

    /// Forgets what is older than the revocation and closes the token.
    fn revoke(&self, id: &CredentialId, sequence: u64) {
        let mut state = lock(&self.0.state);
        let seen = state.memory.get(id);
        if sequence < seen.sequence {
            return;
        }
        state.let_go(id);
        let tombstone = Seen {
            sequence,
            ..Seen::default()
        };
        if let Err(error) = state.memory.set(id, tombstone) {
            tracing::error!(%id, %error, "a revocation can't be kept over a restart of this worker; free space on its disk");
        }
    }

    fn check(&self, id: &CredentialId) -> CredentialChecked {
        let _one = lock(&self.0.one_logon);
        lock(&self.0.state).tokens.remove(id);
        self.try_logon(id).0
    }

    /// Says whether a password of an account was sent to this worker.
    pub(super) fn holds(&self, kind: AccountKind, account: &UserName) -> bool {
        lock(&self.0.state)
            .held
            .contains_key(&self.id_of(kind, account))
    }

    fn id_of(&self, kind: AccountKind, account: &UserName) -> CredentialId {
        CredentialId {
            kind,
            account: account.clone(),
            pool: self.0.settings.pool.clone(),
        }
    }

    /// Answers a token for a launch: the one of an earlier logon, or that of one logon with the password that is held.
    ///
    /// # Errors
    /// Why there is none; a password that was found bad is not tried again. The supervisor is told.
    pub fn token(&self, kind: AccountKind, account: &UserName) -> Result<Token, LogonFailed> {
        self.token_at(kind, account, Instant::now())
    }

    pub(super) fn token_at(
        &self,
        kind: AccountKind,
        account: &UserName,
        now: Instant,
    ) -> Result<Token, LogonFailed> {
        let id = self.id_of(kind, account);
        let _one = lock(&self.0.one_logon);
        if let Some(token) = self.kept(&id, now) {
            return Ok(token);
        }
        let (checked, logon) = self.try_logon(&id);
        if let Some(tell) = lock(&self.0.teller).as_ref() {
            tell(checked);
        }
        logon
    }

    fn kept(&self, id: &CredentialId, now: Instant) -> Option<Token> {
        let mut state = lock(&self.0.state);
        let held = state.use_held(id)?;
        let (sequence, expires) = (held.sequence, held.expires);
        let is_good = expires > os::wall()
            && state.tokens.get(id).is_some_and(|kept| {
                kept.sequence == sequence && now.duration_since(kept.since) < TOKEN_LIFE
            });
        if is_good {
            return state.tokens.get(id).map(|kept| Arc::clone(&kept.token));
        }
        state.tokens.remove(id);
        None
    }

    /// Makes at most one logon and remembers what it found.
    fn try_logon(&self, id: &CredentialId) -> (CredentialChecked, Result<Token, LogonFailed>) {
        let held = lock(&self.0.state).use_held(id).cloned();
        let mut checked = CredentialChecked {
            id: id.clone(),
            sequence: held.as_ref().map_or(0, |held| held.sequence),
            verdict: Verdict::Valid,
            sid: String::new(),
            detail: String::new(),
        };
        let outcome = match &held {
            Some(held) => self.log_on(held),
            None => Err(LogonFailed::new(
                Verdict::Unreadable,
                "none was sent to this worker",
            )),
        };
        match outcome {
            Ok(LoggedOn { sid, token }) => {
                checked.sid.clone_from(&sid);
                let mut state = lock(&self.0.state);
                let kept = Kept {
                    sequence: checked.sequence,
                    since: Instant::now(),
                    token: Arc::clone(&token),
                };
                // A revocation that came during the logon holds.
                if state.memory.get(id).sequence != checked.sequence {
                    checked.verdict = Verdict::Stale;
                    let failed = LogonFailed::new(Verdict::Stale, "revoked meanwhile");
                    return (checked, Err(failed));
                }
                // What was let go of during the logon gets no token that nobody would close.
                if state.held.contains_key(id) {
                    state.tokens.insert(id.clone(), kept);
                }
                (checked, Ok(token))
            }
            Err(failed) => {
                checked.verdict = failed.verdict;
                checked.detail.clone_from(&failed.detail);
                (checked, Err(failed))
            }
        }
    }

    fn log_on(&self, held: &SealedCredential) -> Result<LoggedOn, LogonFailed> {
        let seen = lock(&self.0.state).memory.get(&held.id);
        if held.sequence < seen.sequence {
            return Err(LogonFailed::new(
                Verdict::Stale,
                "a newer one is known here",
            ));
        }
        if let Some(verdict) = seen.failed.filter(|_| held.check <= seen.check) {
            return Err(LogonFailed::new(verdict, "found before, not tried again"));
        }
        let found = self.log_on_once(held, &seen);
        let failed = found.as_ref().err().map(|failed| failed.verdict);
        let is_kept = failed.is_none_or(|verdict| !verdict.is_of_host());
        let sid = found
            .as_ref()
            .map_or(seen.sid, |logged_on| logged_on.sid.clone());
        let now_seen = Seen {
            sequence: held.sequence,
            check: held.check,
            sid,
            failed,
        };
        if is_kept {
            let mut state = lock(&self.0.state);
            if state.memory.get(&held.id).sequence == held.sequence
                && let Err(error) = state.memory.set(&held.id, now_seen)
            {
                tracing::error!(id = %held.id, %error, "what a logon found can't be kept over a restart of this worker");
            }
        }
        found
    }

    /// The password is in memory within this function only.
    fn log_on_once(&self, held: &SealedCredential, seen: &Seen) -> Result<LoggedOn, LogonFailed> {
        if held.expires <= os::wall() {
            return Err(LogonFailed::new(
                Verdict::Expired,
                "the registration is over",
            ));
        }
        let account = Account {
            kind: held.id.kind,
            name: held.id.account.as_str(),
            domain: &held.domain,
        };
        let sid = self.0.accounts.sid_of(account)?;
        let known = [&held.sid, &seen.sid, &held.sid_found];
        if let Some(other) = known
            .into_iter()
            .find(|known| !known.is_empty() && **known != sid)
        {
            let detail = format!("it was {other}, it is {sid}");
            return Err(LogonFailed::new(Verdict::AccountChanged, detail));
        }
        let password = self.unseal(held)?;
        let logged_on = self.0.accounts.log_on(account, &password)?;
        if logged_on.sid != sid || sid.len() > SID_BYTES_MAX {
            let detail = format!("the logon gave {}, the name {sid}", logged_on.sid);
            return Err(LogonFailed::new(Verdict::AccountChanged, detail));
        }
        Ok(logged_on)
    }

    fn unseal(&self, held: &SealedCredential) -> Result<Secret, LogonFailed> {
        let state = lock(&self.0.state);
        let unreadable = |detail: String| LogonFailed::new(Verdict::Unreadable, detail);
        let ring = state
            .ring
            .as_ref()
            .ok_or_else(|| unreadable("no keys yet".to_owned()))?;
        let key = ring.get(held.key).ok_or_else(|| {
            unreadable(format!(
                "it is sealed to {}, which this worker has not",
                held.key
            ))
        })?;
        key.open(&held.sealed, &bound(ring.farm(), held, held.key))
            .map_err(|error| unreadable(error.to_string()))
    }

    /// Seals for another key what this worker can read: for a newer key of its own, or for one that its host admits.
    fn reseal(&self, held: &SealedCredential, to: PoolKey) -> Result<Vec<u8>, String> {
        let farm = {
            let state = lock(&self.0.state);
            let ring = state.ring.as_ref().ok_or("no keys yet")?;
            if held.sequence < state.memory.get(&held.id).sequence {
                return Err("a newer registration or a revocation is known here".to_owned());
            }
            let is_own = ring.get(to.id).is_some();
            if !is_own && !self.0.settings.admitted.contains(&to.id) {
                return Err(format!(
                    "{} is not admitted here: put it into worker_credential_admit of this host, or have people register again",
                    to.id
                ));
            }
            ring.farm().to_owned()
        };
        let password = self.unseal(held).map_err(|failed| failed.to_string())?;
        let bound = bound(&farm, held, to.id);
        seal(&password, &PublicKey(to.public), &bound).map_err(|error| error.to_string())
    }

    fn retire(&self, id: KeyId) -> Vec<FromWorker> {
        let mut state = lock(&self.0.state);
        let Some(ring) = &mut state.ring else {
            return Vec::new();
        };
        if let Err(error) = ring.retire(self.0.secrets.as_ref(), id) {
            tracing::error!(key = %id, %error, "an older key can't be destroyed");
        }
        vec![FromWorker::PoolKeys(ring.told())]
    }
}

fn bound(farm: &str, held: &SealedCredential, key: KeyId) -> Bound {
    Bound {
        farm: farm.to_owned(),
        pool: held.id.pool.to_string(),
        key: tessera_seal::KeyId(key.0),
        kind: match held.id.kind {
            AccountKind::User => Kind::User,
            AccountKind::Proxy => Kind::Proxy,
        },
        account: held.id.account.to_string(),
        domain: held.domain.clone(),
        sid: held.sid.clone(),
        sequence: held.sequence,
        created_ms: held.created.0,
        expires_ms: held.expires.0,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
