//! Checks of registered passwords: which worker tries one, what it found, when it is tried again.
//!
//! What was found bad is not tried again until its owner says so; nobody's fault is tried again by itself. **Invariant:** of
//! one account at most one check is under way, and of each at most one timer.

use super::credential::{Credential, CredentialRecord, Found, in_domain, refusal, wants};
use super::host::Host;
use super::io::{Change, kind};
use super::time::Timer;
use super::{About, Config, Engine, Turn};
use crate::Now;
use std::time::Duration;
use tessera_model::credential::{CredentialChecked, CredentialId, Verdict};
use tessera_model::msg::ToWorker;
use tessera_model::{HostId, HostState};

/// Workers that are asked one after another when each can't check for a reason of its own.
const HOSTS_TRIED_MAX: usize = 3;
/// How long a worker may take for a check.
const CHECK_PATIENCE: Duration = Duration::from_secs(60);
/// Passwords that may be registered for an account, one after another, when none of them is good.
const LOGONS_AT_ONCE: u32 = 3;
/// How often the pause before the next of them doubles.
const PAUSE_DOUBLES_MAX: u32 = 4;
/// The longest time until a timer looks again; wall clocks are set.
const LOOK_AGAIN: Duration = Duration::from_secs(24 * 3_600);

impl Engine {
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
            credential.logons = (credential.logons.0.saturating_add(1), t.now.elapsed);
            t.change(Change::Credential(id.clone()));
        }
        self.watch_credential(t.now, id);
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
        if is_asked && verdict.is_of_host() {
            // Nobody counted it as a try with a wrong password.
            credential.logons.0 = credential.logons.0.saturating_sub(1);
        }
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
        self.watch_credential(t.now, &id);
    }

    fn credential_valid(&mut self, t: &mut Turn<'_>, host: HostId, checked: CredentialChecked) {
        let id = checked.id.clone();
        if let Some(credential) = self.credentials.all.get_mut(&id) {
            credential.fresh_until = t.now.elapsed + Config::CREDENTIAL_FRESH;
            credential.tried.clear();
            credential.failures = 0;
            credential.retry_at = Duration::ZERO;
            credential.logons.0 = 0;
            if credential.record.sid_found.is_empty() {
                credential.record.sid_found.clone_from(&checked.sid);
            }
        }
        self.note_found(t, host, Verdict::Valid, checked.detail, &id);
        self.release_credential(t, &id);
    }

    fn check_unavailable(&mut self, t: &mut Turn<'_>, host: HostId, checked: CredentialChecked) {
        let id = checked.id.clone();
        let mut is_known = false;
        if let Some(credential) = self.credentials.all.get_mut(&id) {
            let pause = self.config.identity_recheck * (1 << credential.failures.min(8));
            credential.failures += 1;
            credential.retry_at = t.now.elapsed + pause.min(Config::RECHECK_MAX);
            credential.tried.insert(host);
            is_known = credential.record.found.is_some();
        }
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
            if let Some(credential) = self.credentials.all.get_mut(&id) {
                // It has as long as the first time.
                credential.checking = Some((host, t.now.elapsed));
            }
            self.watch_credential(t.now, &id);
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
            self.watch_credential(t.now, &id);
        }
    }

    /// A check took too long, may be tried again, or a registration is over.
    pub(super) fn credential_due(&mut self, t: &mut Turn<'_>, id: &CredentialId) {
        let Some(credential) = self.credentials.all.get_mut(id) else {
            return;
        };
        if credential.looks_at.is_none_or(|at| at > t.now.elapsed) {
            return;
        }
        credential.looks_at = None;
        self.look_at_credential(t, id);
        self.watch_credential(t.now, id);
    }

    fn look_at_credential(&mut self, t: &mut Turn<'_>, id: &CredentialId) {
        let Some(credential) = self.credentials.all.get(id) else {
            return;
        };
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
        if is_open {
            self.start_check(t, id);
        } else if may_try {
            // A check of one that was good came to nothing: who waits for another asks for it when it is looked at again.
            self.planner.touch_all();
        }
    }

    /// Sets the timer of a password to when something about it is due next; it has no other.
    pub(super) fn watch_credential(&mut self, now: Now, id: &CredentialId) {
        let Some(credential) = self.credentials.all.get_mut(id) else {
            return;
        };
        let next = credential.next_look(now);
        let before = std::mem::replace(&mut credential.looks_at, next);
        if let Some(at) = before {
            self.timers.cancel(at, Timer::Credential(id.clone()));
        }
        if let Some(at) = next {
            self.timers.set(at, Timer::Credential(id.clone()));
        }
    }
}

impl Credential {
    /// Answers when its check takes too long, it may be tried again, or it is over.
    fn next_look(&self, now: Now) -> Option<Duration> {
        if self.record.is_revoked || self.record.expires <= now.wall {
            return None;
        }
        let left = Duration::from_millis(self.record.expires.since_ms(now.wall));
        let over = now.elapsed + left.clamp(Duration::from_secs(1), LOOK_AGAIN);
        let late = self.checking.map(|(_, since)| since + CHECK_PATIENCE);
        let again = self.fault(now.wall).is_none().then_some(self.retry_at);
        let soon = late.into_iter().chain(again);
        soon.filter(|at| *at > now.elapsed).chain([over]).min()
    }

    /// Answers how long nothing new is tried for its account, after so many logons in a row that were not good.
    pub(super) fn pause_left(&self, now: Now) -> Option<Duration> {
        let (logons, last) = self.logons;
        let over = logons.checked_sub(LOGONS_AT_ONCE)?;
        let pause = Config::CREDENTIAL_FLOOR * (1 << over.min(PAUSE_DOUBLES_MAX));
        (last + pause)
            .checked_sub(now.elapsed)
            .filter(|left| !left.is_zero())
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
