//! What people ask for with registered passwords: to register one, to have it checked, to revoke it.

use super::credential::{Credential, CredentialRecord, needs_credential};
use super::io::{Answer, Change, CredentialWish, Denied, Registration, kind};
use super::{About, Config, Engine, Turn};
use std::collections::BTreeMap;
use tessera_model::credential::{
    AccountKind, CredentialId, DOMAIN_BYTES_MAX, KEYS_OF_POOL_MAX, KeyId, SEALED_BYTES_MAX,
    SID_BYTES_MAX,
};
use tessera_model::msg::ToWorker;
use tessera_model::{Identity, Principal, Timestamp, UserName};

/// Accounts that may have a registered password, revoked ones included.
const CREDENTIALS_MAX: usize = 10_000;
/// How far the client's word of when it sealed may be off, in milliseconds.
const SEALED_SINCE_MAX_MS: u64 = 3_600_000;
const DAY_MS: i64 = 24 * 3_600 * 1_000;

impl Engine {
    pub(super) fn credential_wish(
        &mut self,
        t: &mut Turn<'_>,
        by: &Principal,
        wish: CredentialWish,
    ) -> Result<Answer, Denied> {
        match wish {
            CredentialWish::Register(registration) => self.register(t, by, *registration),
            CredentialWish::Check(id) => self.check_again(t, by, &id),
            CredentialWish::Revoke(id) => self.revoke(t, by, &id),
        }
    }

    fn register(
        &mut self,
        t: &mut Turn<'_>,
        by: &Principal,
        new: Registration,
    ) -> Result<Answer, Denied> {
        may_register(by, &new.id, "register a password for")?;
        self.check_registration(t, &new)?;
        let id = new.id.clone();
        let before = self.credentials.all.remove(&id);
        let keys = before
            .iter()
            .flat_map(|it| it.sealed.keys())
            .chain(new.sealed.keys());
        for key in keys.copied().collect::<Vec<KeyId>>() {
            t.change(Change::CredentialSeal(id.clone(), key));
        }
        let record = CredentialRecord {
            id: id.clone(),
            domain: new.domain,
            sid: new.sid,
            sid_found: String::new(),
            sequence: new.sequence,
            check: before.as_ref().map_or(0, |it| it.record.check),
            created: new.created,
            expires: new.expires,
            by: by.name.clone(),
            is_revoked: false,
            found: None,
        };
        let text = format!(
            "a password for {id} is registered (number {}), sealed to {} keys",
            new.sequence,
            new.sealed.len()
        );
        let mut credential = Credential::new(record, new.sealed);
        if let Some(before) = before {
            credential.logons = before.logons;
            credential.looks_at = before.looks_at;
        }
        self.credentials.all.insert(id.clone(), credential);
        self.credentials.resealing.retain(|(of, _), _| *of != id);
        t.change(Change::Credential(id.clone()));
        t.event(
            kind::CREDENTIAL_REGISTERED,
            About::default().by(&by.name),
            text,
        );
        self.forget_refusals(&id);
        self.watch_credential(t.now, &id);
        self.start_check(t, &id);
        self.release_credential(t, &id);
        self.reconcile_keys(t);
        Ok(Answer::Done)
    }

    fn check_registration(&self, t: &Turn<'_>, new: &Registration) -> Result<(), Denied> {
        let invalid = |field, why: String| Err(Denied::Invalid { field, why });
        let known = self.credentials.all.get(&new.id);
        let next = known.map_or(1, |it| it.record.sequence + 1);
        if new.sequence != next {
            return Err(Denied::CredentialMoved {
                id: new.id.clone(),
                next,
            });
        }
        if let Some(left) = known.and_then(|it| it.pause_left(t.now)) {
            let why = format!(
                "the last ones were not good; another can be registered in {}s, lest the account be locked out",
                left.as_secs() + 1
            );
            let id = new.id.clone();
            return Err(Denied::CredentialBusy { id, why });
        }
        if known.is_none() && self.credentials.all.len() >= CREDENTIALS_MAX {
            return invalid(
                "account",
                format!("{CREDENTIALS_MAX} accounts have registered passwords; no more are taken"),
            );
        }
        if new.domain.len() > DOMAIN_BYTES_MAX
            || new
                .domain
                .chars()
                .any(|c| c.is_control() || c.is_whitespace())
        {
            return invalid(
                "domain",
                format!("at most {DOMAIN_BYTES_MAX} bytes, without spaces"),
            );
        }
        if new.sid.len() > SID_BYTES_MAX
            || new.sid.chars().any(|c| c.is_control() || c.is_whitespace())
        {
            return invalid(
                "sid",
                format!("at most {SID_BYTES_MAX} bytes, without spaces"),
            );
        }
        if new.created.0.abs_diff(t.now.wall.0) > SEALED_SINCE_MAX_MS {
            return invalid(
                "created_ms",
                "more than an hour off the supervisor's clock; seal it again".into(),
            );
        }
        let days = self.config.credential_days;
        let life = new.expires.0.saturating_sub(new.created.0);
        if life <= 0 || life > i64::from(days) * DAY_MS {
            return invalid(
                "expires_ms",
                format!("from now up to {days} days (credential_days) later"),
            );
        }
        self.check_sealed(&new.id, &new.sealed)
    }

    fn check_sealed(
        &self,
        id: &CredentialId,
        sealed: &BTreeMap<KeyId, Vec<u8>>,
    ) -> Result<(), Denied> {
        let field = "sealed";
        let invalid = |why: String| Err(Denied::Invalid { field, why });
        if sealed.is_empty() {
            return invalid(format!(
                "sealed to no key; no worker of pool {} has said one yet",
                id.pool
            ));
        }
        if sealed.len() > KEYS_OF_POOL_MAX {
            return invalid(format!("at most {KEYS_OF_POOL_MAX} keys"));
        }
        if sealed.values().any(|bytes| bytes.len() > SEALED_BYTES_MAX) {
            return invalid(format!("each at most {SEALED_BYTES_MAX} bytes"));
        }
        match sealed.keys().find(|key| !self.is_key_of(id, **key)) {
            Some(key) => invalid(format!(
                "{key} is no key of pool {} (any more); seal it again",
                id.pool
            )),
            None => Ok(()),
        }
    }

    /// Says whether a worker of the password's pool has that key.
    pub(super) fn is_key_of(&self, id: &CredentialId, key: KeyId) -> bool {
        let of_pool = self
            .credentials
            .keys
            .values()
            .filter(|keys| keys.pool == id.pool);
        of_pool.flat_map(|keys| &keys.keys).any(|it| it.id == key)
    }

    fn check_again(
        &mut self,
        t: &mut Turn<'_>,
        by: &Principal,
        id: &CredentialId,
    ) -> Result<Answer, Denied> {
        may_register(by, id, "have a password checked of")?;
        let known = self
            .credentials
            .all
            .get_mut(id)
            .filter(|it| !it.record.is_revoked);
        let credential = known.ok_or_else(|| Denied::NoCredential(id.clone()))?;
        if credential.checking.is_some() {
            return Ok(Answer::Done);
        }
        let refused = |why: String| Denied::CredentialBusy {
            id: id.clone(),
            why,
        };
        if credential.retry_at > t.now.elapsed {
            let wait = (credential.retry_at - t.now.elapsed).as_secs() + 1;
            return Err(refused(format!(
                "it was tried just now; the next try is in {wait}s, lest the account be locked out"
            )));
        }
        if credential.record.expires <= t.now.wall {
            return Err(refused("it is over; register it again".into()));
        }
        // The pause grows until a check is good: who asks in a row does what a lock-out counts.
        if !self.ask_for_check(t, id) {
            return Err(refused(format!(
                "no worker of pool {} that can check it is connected",
                id.pool
            )));
        }
        Ok(Answer::Done)
    }

    fn revoke(
        &mut self,
        t: &mut Turn<'_>,
        by: &Principal,
        id: &CredentialId,
    ) -> Result<Answer, Denied> {
        may_register(by, id, "revoke the password of")?;
        let known = self
            .credentials
            .all
            .get_mut(id)
            .filter(|it| !it.record.is_revoked);
        let credential = known.ok_or_else(|| Denied::NoCredential(id.clone()))?;
        let sealed = std::mem::take(&mut credential.sealed);
        credential.record.sequence += 1;
        credential.record.is_revoked = true;
        credential.record.by = by.name.clone();
        credential.record.found = None;
        credential.checking = None;
        let sequence = credential.record.sequence;
        self.watch_credential(t.now, id);
        t.change(Change::Credential(id.clone()));
        for key in sealed.into_keys() {
            t.change(Change::CredentialSeal(id.clone(), key));
        }
        self.credentials.resealing.retain(|(of, _), _| of != id);
        let text = format!("the password for {id} is revoked (number {sequence})");
        t.event(
            kind::CREDENTIAL_REVOKED,
            About::default().by(&by.name),
            text,
        );
        let of_pool = self
            .credentials
            .keys
            .iter()
            .filter(|(_, keys)| keys.pool == id.pool);
        let hosts: Vec<_> = of_pool.map(|(host, _)| *host).collect();
        for host in hosts {
            let id = id.clone();
            self.send(t, host, ToWorker::CredentialRevoked { id, sequence });
        }
        self.bar_jobs(t, Some(&id.account));
        Ok(Answer::Done)
    }

    /// What hosts refused of an account for want of a good password counts no more.
    fn forget_refusals(&mut self, id: &CredentialId) {
        for host in self.hosts.values_mut() {
            if self
                .credentials
                .keys
                .get(&host.id)
                .is_some_and(|keys| keys.pool == id.pool)
            {
                let is_of_password =
                    |it: &super::RefusedAccount| it.refusal.code.starts_with("credential_");
                let account = id.account.as_str();
                if host.refused.get(account).is_some_and(is_of_password) {
                    host.refused.remove(account);
                }
            }
        }
    }

    /// Refuses a submission of somebody who has no good password on a farm that needs one (`enforce_password`).
    pub(super) fn check_password(&self, now: Timestamp, owner: &UserName) -> Result<(), Denied> {
        if !self.config.enforce_password {
            return Ok(());
        }
        let needy = self
            .hosts
            .values()
            .filter(|host| needs_credential(host) && host.facts.identity == Identity::User);
        let mut why = None;
        for host in needy {
            let id = self.credentials.id_for(host, owner);
            let credential = id.as_ref().and_then(|id| self.credentials.all.get(id));
            match credential.map(|it| it.fault(now)) {
                Some(None) => return Ok(()),
                Some(Some(fault)) => why = Some(fault.text),
                None => _ = why.get_or_insert_with(|| "none is registered".to_owned()),
            }
        }
        why.map_or(Ok(()), |why| {
            Err(Denied::NoPassword {
                owner: owner.clone(),
                why,
            })
        })
    }
}

impl Config {
    /// How long a check counts: a start later than that is preceded by another.
    pub const CREDENTIAL_FRESH: std::time::Duration = std::time::Duration::from_secs(5 * 60);
    /// The shortest pause between two tries of a password that was bad; doubles.
    pub const CREDENTIAL_FLOOR: std::time::Duration = std::time::Duration::from_secs(5 * 60);
}

/// People register their own passwords, administrators everybody's and those of proxy accounts.
fn may_register(by: &Principal, id: &CredentialId, what: &str) -> Result<(), Denied> {
    if by.is_admin || (id.kind == AccountKind::User && id.account == by.name) {
        return Ok(());
    }
    Err(Denied::Forbidden {
        by: by.name.clone(),
        what: format!("{what} {id}"),
        why: "only the account's own user and the farm's administrators may".into(),
    })
}
