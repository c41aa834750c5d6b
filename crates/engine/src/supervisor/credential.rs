//! Registered passwords: who has one, whether it is good, which hosts can open it. The engine can't.
//!
//! Owns the gate that a start on a host which needs a password must pass ([`Credentials::gate`]): what was not tried within
//! [`super::Config::CREDENTIAL_FRESH`] is tried by one worker while the others wait. The check that opens it is in `checking`,
//! sealing for other keys in `reseal`, what people ask for in `register`.

use super::host::Host;
use super::io::kind;
use super::{About, Engine, Job, Turn};
use crate::Now;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tessera_model::credential::{
    AccountKind, CREDENTIAL_ALWAYS, CREDENTIAL_OPTIONAL, CredentialId, KeyId, NEEDS_CREDENTIAL,
    PoolKey, PoolKeys, SealedCredential, Verdict,
};
use tessera_model::msg::{LaunchKey, ToWorker};
use tessera_model::{
    HostId, Identity, InstanceNo, InstanceStatus, JobId, Refusal, Timestamp, UserName,
};

/// What the store keeps of a registered password, but for what is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialRecord {
    /// Whose.
    pub id: CredentialId,
    /// The account's domain; empty for accounts of the hosts themselves.
    pub domain: String,
    /// The SID that it was sealed for; empty when the client did not know it.
    pub sid: String,
    /// The SID that the first check found; empty before.
    pub sid_found: String,
    /// Counts registrations and revocations.
    pub sequence: u64,
    /// Counts checks.
    pub check: u32,
    /// When it was sealed.
    pub created: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
    /// Who registered or revoked it.
    pub by: UserName,
    /// Whether it was revoked: a tombstone.
    pub is_revoked: bool,
    /// What the last check found.
    pub found: Option<Found>,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What.
    pub verdict: Verdict,
    /// When.
    pub at: Timestamp,
    /// On which host.
    pub host: String,
    /// What the system said.
    pub detail: String,
}

/// A registered password, sealed.
#[derive(Debug, Clone)]
pub struct Credential {
    /// What the store keeps of it.
    pub record: CredentialRecord,
    pub(super) sealed: BTreeMap<KeyId, Vec<u8>>,
    /// Who is asked now, and since when.
    pub(super) checking: Option<(HostId, Duration)>,
    /// Who was asked and could not say for a reason of its own.
    pub(super) tried: BTreeSet<HostId>,
    /// Until when the last check counts.
    pub(super) fresh_until: Duration,
    /// Before that it is not asked for again.
    pub(super) retry_at: Duration,
    /// Checks in a row that came to nothing good.
    pub(super) failures: u32,
    /// Logons in a row with what was registered for the account that were not good, and when the last began; registering
    /// again does not forget them.
    pub(super) logons: (u32, Duration),
    /// When its timer is due.
    pub(super) looks_at: Option<Duration>,
}

/// All registered passwords and the keys that they may be sealed to.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    pub(super) all: BTreeMap<CredentialId, Credential>,
    pub(super) keys: BTreeMap<HostId, PoolKeys>,
    /// What workers were asked to seal for another key, and who.
    pub(super) resealing: BTreeMap<(CredentialId, KeyId), HostId>,
    /// What workers would not seal for a key.
    pub(super) unwilling: BTreeMap<(HostId, KeyId), BTreeSet<CredentialId>>,
}

/// Whether a start may go to a host, as far as passwords are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// It may.
    Open,
    /// When this password was checked.
    Wait(CredentialId),
    /// No.
    Shut(Refusal),
}

impl Credential {
    pub(super) fn new(record: CredentialRecord, sealed: BTreeMap<KeyId, Vec<u8>>) -> Self {
        Self {
            record,
            sealed,
            checking: None,
            tried: BTreeSet::new(),
            fresh_until: Duration::ZERO,
            retry_at: Duration::ZERO,
            failures: 0,
            logons: (0, Duration::ZERO),
            looks_at: None,
        }
    }

    /// Says whether a worker is trying it now.
    #[must_use]
    pub fn is_being_checked(&self) -> bool {
        self.checking.is_some()
    }

    /// Answers how many keys it is sealed to.
    #[must_use]
    pub fn sealed_to(&self) -> usize {
        self.sealed.len()
    }

    /// Answers what is sealed to a key.
    #[must_use]
    pub fn sealed(&self, key: KeyId) -> Option<&[u8]> {
        self.sealed.get(&key).map(Vec::as_slice)
    }

    /// Answers why nobody can start with it, whatever the host; `None` when it is good or is still to be checked.
    #[must_use]
    pub fn fault(&self, now: Timestamp) -> Option<Refusal> {
        let record = &self.record;
        let who = in_domain(&record.id.account, &record.domain);
        if record.is_revoked {
            return Some(refusal(
                "revoked",
                &who,
                "its registered password was revoked",
                REGISTER,
            ));
        }
        if record.expires <= now {
            return Some(refusal(
                "over",
                &who,
                "its registered password is over",
                REGISTER,
            ));
        }
        let verdict = record.found.as_ref()?.verdict;
        let (what, help) = verdict.in_words();
        match verdict {
            Verdict::Valid | Verdict::Unavailable => None,
            _ => Some(refusal(verdict.word(), &who, what, help)),
        }
    }
}

const REGISTER: &str = "register the present one: tessera credential register";

pub(super) fn refusal(word: &str, who: &str, what: &str, help: &str) -> Refusal {
    Refusal {
        code: format!("credential_{word}"),
        text: format!("{who}: {what}; {help}"),
    }
}

pub(super) fn in_domain(account: &UserName, domain: &str) -> String {
    if domain.is_empty() {
        account.to_string()
    } else {
        format!("{domain}\\{account}")
    }
}

/// Says whether a host needs a registered password to become the account of a job.
#[must_use]
pub fn needs_credential(host: &Host) -> bool {
    said(host) == Some(CREDENTIAL_ALWAYS)
}

/// Says whether a host uses a registered password where there is one.
pub(super) fn takes_credential(host: &Host) -> bool {
    matches!(said(host), Some(CREDENTIAL_ALWAYS | CREDENTIAL_OPTIONAL))
}

fn said(host: &Host) -> Option<&str> {
    let is_desktop = matches!(host.facts.identity, Identity::Desktop(_));
    let property = host.facts.properties.get(NEEDS_CREDENTIAL);
    property.map(String::as_str).filter(|_| !is_desktop)
}

/// Says whether a host starts work with this password.
pub(super) fn wants(host: &Host, id: &CredentialId) -> bool {
    takes_credential(host)
        && match (&host.facts.identity, id.kind) {
            (Identity::User, AccountKind::User) => true,
            (Identity::Proxy(account), AccountKind::Proxy) => account == id.account.as_str(),
            (Identity::User | Identity::Proxy(_) | Identity::Desktop(_), _) => false,
        }
}

impl Credentials {
    /// Answers a registered password or its tombstone.
    #[must_use]
    pub fn get(&self, id: &CredentialId) -> Option<&Credential> {
        self.all.get(id)
    }

    /// Answers all of them, in order.
    pub fn all(&self) -> impl Iterator<Item = &Credential> {
        self.all.values()
    }

    /// Answers the keys of each host that has said them.
    #[must_use]
    pub fn keys(&self) -> &BTreeMap<HostId, PoolKeys> {
        &self.keys
    }

    /// Answers whose password a host needs for a job of this owner.
    pub(super) fn id_for(&self, host: &Host, owner: &UserName) -> Option<CredentialId> {
        let pool = self.keys.get(&host.id)?.pool.clone();
        let (kind, account) = match &host.facts.identity {
            Identity::User => (AccountKind::User, owner.clone()),
            Identity::Proxy(account) => (AccountKind::Proxy, account.parse().ok()?),
            Identity::Desktop(_) => return None,
        };
        Some(CredentialId {
            kind,
            account,
            pool,
        })
    }

    /// Says whether a start of a job of this owner may go to the host now.
    #[must_use]
    pub fn gate(&self, host: &Host, owner: &UserName, now: Now) -> Gate {
        if !takes_credential(host) {
            return Gate::Open;
        }
        let has_any = || {
            let found = self.id_for(host, owner).and_then(|id| self.all.get(&id));
            found.is_some_and(|it| !it.record.is_revoked)
        };
        if !needs_credential(host) && !has_any() {
            // It has another way.
            return Gate::Open;
        }
        let account = host.facts.identity.account_for(owner.as_str());
        let Some(id) = self.id_for(host, owner) else {
            let name = &host.facts.name;
            let text = format!(
                "{account}: {name} has no key for registered passwords yet; look at its worker's log"
            );
            let code = "credential_no_key".to_owned();
            return Gate::Shut(Refusal { code, text });
        };
        let Some(credential) = self.all.get(&id) else {
            let what = format!("no password is registered in pool {}", id.pool);
            return Gate::Shut(refusal(
                "missing",
                account,
                &what,
                "register it: tessera credential register",
            ));
        };
        if let Some(fault) = credential.fault(now.wall) {
            return Gate::Shut(fault);
        }
        if self.key_on(credential, host.id).is_none() {
            let what = format!(
                "its registered password is not sealed for {}",
                host.facts.name
            );
            return Gate::Shut(refusal(
                "not_sealed",
                account,
                &what,
                "register it again: tessera credential register",
            ));
        }
        if credential.fresh_until > now.elapsed {
            Gate::Open
        } else {
            Gate::Wait(id)
        }
    }

    /// Answers the newest key of a host that the password is sealed to.
    pub(super) fn key_on(&self, credential: &Credential, host: HostId) -> Option<KeyId> {
        let keys = self.keys.get(&host)?;
        let found = keys
            .keys
            .iter()
            .find(|key| credential.sealed.contains_key(&key.id));
        found.map(|key| key.id)
    }

    /// Answers what a host is sent.
    pub(super) fn parcel(&self, id: &CredentialId, host: HostId) -> Option<Box<SealedCredential>> {
        let credential = self.all.get(id)?;
        let key = self.key_on(credential, host)?;
        let record = &credential.record;
        Some(Box::new(SealedCredential {
            id: id.clone(),
            domain: record.domain.clone(),
            sid: record.sid.clone(),
            sid_found: record.sid_found.clone(),
            sequence: record.sequence,
            check: record.check,
            created: record.created,
            expires: record.expires,
            key,
            sealed: credential.sealed.get(&key)?.clone(),
        }))
    }
}

impl Engine {
    /// Answers the registered passwords.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Answers the hosts that start work with this password, each with its current key.
    #[must_use]
    pub fn keys_for(&self, id: &CredentialId) -> Vec<(&Host, PoolKey)> {
        let of_pool = self
            .credentials
            .keys
            .iter()
            .filter(|(_, keys)| keys.pool == id.pool);
        let found = of_pool.filter_map(|(host, keys)| {
            let host = self.hosts.get(host).filter(|host| wants(host, id))?;
            Some((host, *keys.keys.first()?))
        });
        found.collect()
    }

    /// Sends the password that a start on this host needs, before it.
    pub(super) fn send_credential(&mut self, t: &mut Turn<'_>, host: HostId, owner: &UserName) {
        let Some(known) = self.hosts.get(&host).filter(|host| takes_credential(host)) else {
            return;
        };
        let id = self.credentials.id_for(known, owner);
        if let Some(credential) = id.and_then(|id| self.credentials.parcel(&id, host)) {
            let is_check = false;
            self.send(
                t,
                host,
                ToWorker::Credential {
                    credential,
                    is_check,
                },
            );
        }
    }

    /// Answers why a job runs nowhere for want of a good password; `None` when some host may take it.
    pub(super) fn credential_bar(&self, job: &Job, now: Now) -> Option<Refusal> {
        let mut bar = None;
        for host in self.hosts.values().filter(|host| self.may_use(job, host)) {
            match self.credentials.gate(host, &job.owner, now) {
                Gate::Open | Gate::Wait(_) => return None,
                Gate::Shut(refusal) => _ = bar.get_or_insert(refusal),
            }
        }
        bar
    }

    /// Puts what a job would start into `badlogin` when no host may take it for want of a good password.
    pub(super) fn bar_job(&mut self, t: &mut Turn<'_>, id: JobId) {
        if self.credentials.keys.is_empty() && self.takers.is_empty() {
            return;
        }
        let Some(job) = self
            .jobs
            .get(&id)
            .filter(|job| job.next_instance().is_some())
        else {
            return;
        };
        let Some(refusal) = self.credential_bar(job, t.now) else {
            return;
        };
        let pending: Vec<_> = job.instances.pending().iter().map(InstanceNo).collect();
        t.event(kind::INSTANCE_REFUSED, About::job(id), refusal.to_string());
        for no in pending {
            self.set_instance(t, id, no, InstanceStatus::Badlogin(refusal.clone()));
        }
    }

    /// Looks at all work again that the account may keep from starting.
    pub(super) fn bar_jobs(&mut self, t: &mut Turn<'_>, account: Option<&UserName>) {
        let is_proxy = account.is_some_and(|account| {
            let identities = self.hosts.values().map(|host| &host.facts.identity);
            let mut proxies = identities.filter(|it| matches!(it, Identity::Proxy(_)));
            proxies.any(|it| it.account_for("") == account.as_str())
        });
        let concerned = self.jobs.values().filter(|job| {
            let is_theirs = account.is_none_or(|account| is_proxy || *account == job.owner);
            is_theirs && job.next_instance().is_some()
        });
        let concerned: Vec<JobId> = concerned.map(|job| job.id).collect();
        for id in concerned {
            self.bar_job(t, id);
            self.refresh_job(t, id);
        }
    }

    /// A host refused a launch for want of a good password: what it found was told apart.
    pub(super) fn credential_refused(
        &mut self,
        t: &mut Turn<'_>,
        key: LaunchKey,
        refusal: &Refusal,
        losses: u32,
    ) {
        let bar = self
            .jobs
            .get(&key.job)
            .and_then(|job| self.credential_bar(job, t.now));
        match bar {
            Some(bar) => self.leave_launch(t, key, InstanceStatus::Badlogin(bar)),
            None => {
                let pause = super::report::loss_pause(losses).max(Duration::from_secs(1));
                self.pause_instance(t, key, pause, &refusal.text);
            }
        }
    }
}

/// Says whether the code of a refusal is about an account's password and not about the host.
pub(super) fn is_about_password(code: &str) -> bool {
    let word = code.strip_prefix("credential_");
    let verdict = word.and_then(Verdict::of_word);
    verdict.is_some_and(|verdict| !verdict.is_of_host() || verdict == Verdict::Unavailable)
}
