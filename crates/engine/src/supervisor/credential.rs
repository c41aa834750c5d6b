//! Registered passwords: who has one, whether it is good, which hosts can open it. The engine can't.
//!
//! Owns the gate that a start on a host which needs a password must pass ([`Credentials::gate`]), and the one check that
//! opens it: what was not tried within [`Config::CREDENTIAL_FRESH`] is tried by one worker while the others wait, and what
//! was found bad is not tried again until its owner says so. Sealing for other keys is in `reseal`, what people ask for in
//! `register`. **Invariant:** of one account at most one check is under way.

use super::host::Host;
use super::io::{Change, kind};
use super::time::Timer;
use super::{About, Config, Engine, Job, Turn};
use crate::Now;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tessera_model::credential::{
    AccountKind, CredentialChecked, CredentialId, KeyId, NEEDS_CREDENTIAL, PoolKey, PoolKeys,
    SealedCredential, Verdict,
};
use tessera_model::msg::{LaunchKey, ToWorker};
use tessera_model::{
    HostId, HostState, Identity, InstanceStatus, JobId, Refusal, Timestamp, UserName,
};

/// Workers that are asked one after another when each can't check for a reason of its own.
const HOSTS_TRIED_MAX: usize = 3;
/// How long a worker may take for a check.
const CHECK_PATIENCE: Duration = Duration::from_secs(60);
/// The longest time until a timer looks again; wall clocks are set.
const LOOK_AGAIN: Duration = Duration::from_secs(24 * 3_600);

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
    tried: BTreeSet<HostId>,
    /// Until when the last check counts.
    fresh_until: Duration,
    /// Before that it is not asked for again.
    pub(super) retry_at: Duration,
    /// Checks in a row that came to nothing good.
    pub(super) failures: u32,
}

/// All registered passwords and the keys that they may be sealed to.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    pub(super) all: BTreeMap<CredentialId, Credential>,
    pub(super) keys: BTreeMap<HostId, PoolKeys>,
    /// What workers were asked to seal for another key, and who.
    pub(super) resealing: BTreeMap<(CredentialId, KeyId), HostId>,
    /// Workers that would not seal for a key.
    pub(super) unwilling: BTreeSet<(HostId, KeyId)>,
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

fn refusal(word: &str, who: &str, what: &str, help: &str) -> Refusal {
    Refusal {
        code: format!("credential_{word}"),
        text: format!("{who}: {what}; {help}"),
    }
}

fn in_domain(account: &UserName, domain: &str) -> String {
    if domain.is_empty() {
        account.to_string()
    } else {
        format!("{domain}\\{account}")
    }
}

/// Says whether a host needs a registered password to become the account of a job.
#[must_use]
pub fn needs_credential(host: &Host) -> bool {
    let is_desktop = matches!(host.facts.identity, Identity::Desktop(_));
    let property = host.facts.properties.get(NEEDS_CREDENTIAL);
    !is_desktop && property.is_some_and(|value| value == "1")
}

/// Says whether a host starts work with this password.
pub(super) fn wants(host: &Host, id: &CredentialId) -> bool {
    needs_credential(host)
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
        if !needs_credential(host) {
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
        let Some(known) = self.hosts.get(&host).filter(|host| needs_credential(host)) else {
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
        if self.credentials.keys.is_empty() && !self.hosts.values().any(needs_credential) {
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
        let pending = job
            .instances
            .iter()
            .filter(|i| i.status == InstanceStatus::Pending);
        let pending: Vec<_> = pending.map(|i| i.no).collect();
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

    /// Has one worker try a password, unless one is at it, or it is too early to try again.
    pub(super) fn start_check(&mut self, t: &mut Turn<'_>, id: &CredentialId) {
        let Some(credential) = self.credentials.all.get(id) else {
            return;
        };
        if credential.checking.is_some()
            || credential.retry_at > t.now.elapsed
            || credential.fault(t.now.wall).is_some()
        {
            return;
        }
        self.ask_for_check(t, id);
    }

    /// Asks a worker; answers whether there is one.
    pub(super) fn ask_for_check(&mut self, t: &mut Turn<'_>, id: &CredentialId) -> bool {
        let Some(host) = self.checker(id) else {
            return false;
        };
        if let Some(credential) = self.credentials.all.get_mut(id) {
            credential.record.check = credential.record.check.saturating_add(1);
            credential.checking = Some((host, t.now.elapsed));
            t.change(Change::Credential(id.clone()));
        }
        self.timers.set(
            t.now.elapsed + CHECK_PATIENCE,
            Timer::Credential(id.clone()),
        );
        self.send_check(t, id, host);
        true
    }

    pub(super) fn send_check(&mut self, t: &mut Turn<'_>, id: &CredentialId, host: HostId) {
        if let Some(credential) = self.credentials.parcel(id, host) {
            let is_check = true;
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

    /// Picks a worker that can open the password and has not failed to check it for a reason of its own.
    fn checker(&self, id: &CredentialId) -> Option<HostId> {
        let credential = self.credentials.all.get(id)?;
        let may = |host: &&Host| {
            let is_well = host.state == HostState::Up && host.is_synced;
            is_well
                && wants(host, id)
                && !credential.tried.contains(&host.id)
                && self.credentials.key_on(credential, host.id).is_some()
        };
        self.hosts.values().find(may).map(|host| host.id)
    }

    /// A worker found something with a password: because it was asked, or because a launch needed it.
    pub(super) fn credential_checked(
        &mut self,
        t: &mut Turn<'_>,
        host: HostId,
        checked: CredentialChecked,
    ) {
        let id = checked.id.clone();
        let is_of_pool = self
            .credentials
            .keys
            .get(&host)
            .is_some_and(|keys| keys.pool == id.pool);
        let Some(credential) = self.credentials.all.get_mut(&id).filter(|it| {
            is_of_pool && it.record.sequence == checked.sequence && !it.record.is_revoked
        }) else {
            return;
        };
        let is_asked = credential.checking.is_some_and(|(asked, _)| asked == host);
        let verdict = judge(&credential.record, &checked);
        // Good news and a host's own trouble count from whom was asked only; bad news from everybody.
        if !is_asked && (verdict == Verdict::Valid || verdict.is_of_host()) {
            return;
        }
        credential.checking = None;
        match verdict {
            Verdict::Valid => self.credential_valid(t, host, checked),
            Verdict::Unavailable => self.check_unavailable(t, host, checked),
            Verdict::NoBatchRight | Verdict::Unreadable => {
                self.check_elsewhere(t, host, verdict, checked);
            }
            Verdict::Wrong
            | Verdict::NoAccount
            | Verdict::Locked
            | Verdict::Restricted
            | Verdict::Expired
            | Verdict::MustChange
            | Verdict::AccountChanged
            | Verdict::Stale => self.credential_bad(t, host, verdict, checked),
        }
    }

    fn credential_valid(&mut self, t: &mut Turn<'_>, host: HostId, checked: CredentialChecked) {
        let id = checked.id.clone();
        if let Some(credential) = self.credentials.all.get_mut(&id) {
            credential.fresh_until = t.now.elapsed + Config::CREDENTIAL_FRESH;
            credential.tried.clear();
            credential.failures = 0;
            credential.retry_at = Duration::ZERO;
            if credential.record.sid_found.is_empty() {
                credential.record.sid_found.clone_from(&checked.sid);
            }
        }
        self.note_found(t, host, Verdict::Valid, checked.detail, &id);
        self.release_credential(t, &id);
    }

    fn check_unavailable(&mut self, t: &mut Turn<'_>, host: HostId, checked: CredentialChecked) {
        let id = checked.id.clone();
        let mut due = t.now.elapsed;
        let mut is_known = false;
        if let Some(credential) = self.credentials.all.get_mut(&id) {
            let pause = self.config.identity_recheck * (1 << credential.failures.min(8));
            due += pause.min(Config::RECHECK_MAX);
            credential.failures += 1;
            credential.retry_at = due;
            credential.tried.insert(host);
            is_known = credential.record.found.is_some();
        }
        self.timers.set(due, Timer::Credential(id.clone()));
        if self.checker(&id).is_none()
            && let Some(credential) = self.credentials.all.get_mut(&id)
        {
            // All have had their turn: from the first again.
            credential.tried.clear();
        }
        if !is_known {
            self.note_found(t, host, Verdict::Unavailable, checked.detail, &id);
        }
    }

    /// It says something of that host only: another is asked, up to a bound.
    fn check_elsewhere(
        &mut self,
        t: &mut Turn<'_>,
        host: HostId,
        verdict: Verdict,
        checked: CredentialChecked,
    ) {
        let id = checked.id.clone();
        let Some(credential) = self.credentials.all.get_mut(&id) else {
            return;
        };
        credential.tried.insert(host);
        let is_enough = credential.tried.len() >= HOSTS_TRIED_MAX;
        let (what, help) = verdict.in_words();
        let who = in_domain(&id.account, &credential.record.domain);
        self.avoid(
            t,
            host,
            id.account.as_str(),
            refusal(verdict.word(), &who, what, help),
        );
        if is_enough || !self.ask_for_check(t, &id) {
            self.credential_bad(t, host, verdict, checked);
        }
    }

    fn credential_bad(
        &mut self,
        t: &mut Turn<'_>,
        host: HostId,
        verdict: Verdict,
        checked: CredentialChecked,
    ) {
        let id = checked.id.clone();
        if let Some(credential) = self.credentials.all.get_mut(&id) {
            credential.fresh_until = Duration::ZERO;
            credential.tried.clear();
            let pause = Config::CREDENTIAL_FLOOR * (1 << credential.failures.min(8));
            credential.retry_at = t.now.elapsed + pause;
            credential.failures += 1;
        }
        self.note_found(t, host, verdict, checked.detail, &id);
        self.bar_jobs(t, Some(&id.account));
    }

    fn note_found(
        &mut self,
        t: &mut Turn<'_>,
        host: HostId,
        verdict: Verdict,
        detail: String,
        id: &CredentialId,
    ) {
        let name = self.hosts.get(&host).map(|host| host.facts.name.clone());
        let Some(credential) = self.credentials.all.get_mut(id) else {
            return;
        };
        let before = credential.record.found.replace(Found {
            verdict,
            at: t.now.wall,
            host: name.unwrap_or_default(),
            detail,
        });
        t.change(Change::Credential(id.clone()));
        if before.is_none_or(|before| before.verdict != verdict) {
            let text = format!("{id}: {}", verdict.in_words().0);
            t.event(kind::CREDENTIAL_CHECKED, About::host(host), text);
        }
    }

    /// Lets work go that waited for this password.
    pub(super) fn release_credential(&mut self, t: &mut Turn<'_>, id: &CredentialId) {
        let account = id.account.to_string();
        self.release_badlogins(t, |job_account| job_account == account);
    }

    /// A worker has said what it has: it hears what was revoked, and is asked what it can check.
    pub(super) fn credentials_synced(&mut self, t: &mut Turn<'_>, host: HostId) {
        let Some(pool) = self
            .credentials
            .keys
            .get(&host)
            .map(|keys| keys.pool.clone())
        else {
            return;
        };
        let of_pool = self
            .credentials
            .all
            .values()
            .filter(|it| it.record.id.pool == pool);
        let (mut gone, mut asked, mut open) = (Vec::new(), Vec::new(), Vec::new());
        for it in of_pool {
            let (id, sequence) = (it.record.id.clone(), it.record.sequence);
            if it.record.is_revoked {
                gone.push((id, sequence));
            } else if it.checking.is_some_and(|(asked, _)| asked == host) {
                asked.push(id);
            } else if it.record.found.is_none() {
                open.push(id);
            }
        }
        for (id, sequence) in gone {
            self.send(t, host, ToWorker::CredentialRevoked { id, sequence });
        }
        for id in asked {
            // With the same number: what it found already, it answers from memory.
            self.send_check(t, &id, host);
        }
        for id in open {
            self.start_check(t, &id);
        }
        self.reconcile_keys(t);
        self.bar_jobs(t, None);
    }

    /// Nobody will answer for this host any more.
    pub(super) fn credentials_lost(&mut self, t: &mut Turn<'_>, host: HostId) {
        let asked = self.credentials.all.values_mut().filter_map(|it| {
            let (asked, _) = it.checking?;
            (asked == host).then(|| {
                it.checking = None;
                it.record.id.clone()
            })
        });
        let asked: Vec<CredentialId> = asked.collect();
        for id in asked {
            self.start_check(t, &id);
        }
    }

    /// A check took too long, may be tried again, or a registration is over.
    pub(super) fn credential_due(&mut self, t: &mut Turn<'_>, id: &CredentialId) {
        let Some(credential) = self.credentials.all.get_mut(id) else {
            return;
        };
        if credential.record.is_revoked {
            return;
        }
        if let Some((host, since)) = credential.checking
            && since + CHECK_PATIENCE <= t.now.elapsed
            && self.hosts.get(&host).is_some_and(Host::is_connected)
        {
            let checked = CredentialChecked {
                id: id.clone(),
                sequence: credential.record.sequence,
                verdict: Verdict::Unavailable,
                sid: String::new(),
                detail: "its worker did not answer in time".to_owned(),
            };
            return self.credential_checked(t, host, checked);
        }
        if credential.record.expires <= t.now.wall {
            return self.bar_jobs(t, Some(&id.account.clone()));
        }
        let is_open = credential
            .record
            .found
            .as_ref()
            .is_none_or(|it| it.verdict == Verdict::Unavailable);
        let may_try = credential.checking.is_none() && credential.retry_at <= t.now.elapsed;
        self.watch_expiry(t.now, id);
        if is_open {
            self.start_check(t, id);
        } else if may_try {
            // A check of one that was good came to nothing: who waits for another asks for it when it is looked at again.
            self.planner.touch_all();
        }
    }

    pub(super) fn watch_expiry(&mut self, now: Now, id: &CredentialId) {
        if let Some(credential) = self.credentials.all.get(id) {
            let left = Duration::from_millis(credential.record.expires.since_ms(now.wall));
            let due = now.elapsed + left.clamp(Duration::from_secs(1), LOOK_AGAIN);
            self.timers.set(due, Timer::Credential(id.clone()));
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

/// A worker that found another SID than is known says *valid* of another account.
fn judge(record: &CredentialRecord, checked: &CredentialChecked) -> Verdict {
    let is_other = |known: &str| !known.is_empty() && known != checked.sid;
    if checked.verdict == Verdict::Valid && (is_other(&record.sid) || is_other(&record.sid_found)) {
        return Verdict::AccountChanged;
    }
    checked.verdict
}

/// Says whether the code of a refusal is about an account's password and not about the host.
pub(super) fn is_about_password(code: &str) -> bool {
    let word = code.strip_prefix("credential_");
    let verdict = word.and_then(Verdict::of_word);
    verdict.is_some_and(|verdict| !verdict.is_of_host() || verdict == Verdict::Unavailable)
}
