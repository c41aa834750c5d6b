//! Keys of workers: which there are, what is sealed for new ones by whom, and when an old one may go.
//!
//! A reconciler: from what is there it follows what is missing, so that it goes on wherever it was interrupted.

use super::credential::{Credentials, wants};
use super::io::Change;
use super::{Engine, Turn};
use std::collections::BTreeSet;
use tessera_model::HostId;
use tessera_model::credential::{CredentialId, KeyId, PoolKey, PoolKeys};
use tessera_model::msg::ToWorker;

/// Passwords that workers may be sealing for other keys at a time.
const RESEALING_MAX: usize = 256;
/// Passwords that a worker refuses to seal for a key before it is asked about no other for that key.
const REFUSALS_MAX: usize = 16;

impl Engine {
    /// A worker said its keys.
    pub(super) fn pool_keys(&mut self, t: &mut Turn<'_>, host: HostId, keys: PoolKeys) {
        let before = self.credentials.keys.insert(host, keys);
        if before.as_ref() == self.credentials.keys.get(&host) {
            return;
        }
        t.change(Change::PoolKeys(host));
        let gone = before.map_or_else(Vec::new, |before| before.keys);
        self.drop_seals(t, &gone);
        if self.hosts.get(&host).is_some_and(|host| host.is_synced) {
            self.reconcile_keys(t);
            self.planner.touch_all();
        }
    }

    /// The keys of a host that was removed count no more.
    pub(super) fn forget_keys(&mut self, t: &mut Turn<'_>, host: HostId) {
        if let Some(keys) = self.credentials.keys.remove(&host) {
            t.change(Change::PoolKeys(host));
            self.drop_seals(t, &keys.keys);
        }
    }

    /// Drops what is sealed to keys that no worker has any more.
    fn drop_seals(&mut self, t: &mut Turn<'_>, perhaps_gone: &[PoolKey]) {
        let live: BTreeSet<KeyId> = self
            .credentials
            .keys
            .values()
            .flat_map(|keys| &keys.keys)
            .map(|key| key.id)
            .collect();
        for key in perhaps_gone.iter().filter(|key| !live.contains(&key.id)) {
            for credential in self.credentials.all.values_mut() {
                if credential.sealed.remove(&key.id).is_some() {
                    t.change(Change::CredentialSeal(credential.record.id.clone(), key.id));
                }
            }
        }
    }

    /// Asks for what is missing: passwords sealed for the current key of each worker, then the end of its older keys.
    pub(super) fn reconcile_keys(&mut self, t: &mut Turn<'_>) {
        let hosts: Vec<HostId> = self.credentials.keys.keys().copied().collect();
        for host in hosts {
            let Some(keys) = self.credentials.keys.get(&host).cloned() else {
                continue;
            };
            let Some(current) = keys.keys.first().copied() else {
                continue;
            };
            let missing = self.not_sealed_to(host, &keys, current.id);
            for id in &missing {
                self.ask_for_reseal(t, id, host, current);
            }
            for old in &keys.keys[1..] {
                // What its own worker would not seal anew it can't read with the old key either.
                let is_needed = missing.iter().any(|id| {
                    let refused = self.credentials.unwilling.get(&(host, current.id));
                    let is_lost = refused.is_some_and(|refused| refused.contains(id));
                    !is_lost
                        && self
                            .credentials
                            .all
                            .get(id)
                            .is_some_and(|it| it.sealed.contains_key(&old.id))
                });
                if !is_needed {
                    self.send(t, host, ToWorker::RetireKey(old.id));
                }
            }
        }
    }

    fn not_sealed_to(&self, host: HostId, keys: &PoolKeys, key: KeyId) -> Vec<CredentialId> {
        let Some(host) = self.hosts.get(&host) else {
            return Vec::new();
        };
        let all = self.credentials.all.values();
        let missing = all.filter(|it| {
            it.record.id.pool == keys.pool
                && wants(host, &it.record.id)
                && !it.record.is_revoked
                && !it.sealed.contains_key(&key)
        });
        missing.map(|it| it.record.id.clone()).collect()
    }

    /// Asks a worker that can open it: the key's own worker with an older key, else another that has not refused.
    fn ask_for_reseal(&mut self, t: &mut Turn<'_>, id: &CredentialId, owner: HostId, to: PoolKey) {
        let asked = (id.clone(), to.id);
        let resealing = &self.credentials.resealing;
        if resealing.len() >= RESEALING_MAX || resealing.contains_key(&asked) {
            return;
        }
        let Some(credential) = self.credentials.all.get(id) else {
            return;
        };
        let can = |host: &HostId| {
            let known = self.hosts.get(host);
            known.is_some_and(|host| host.is_connected() && host.is_synced)
                && self.credentials.key_on(credential, *host).is_some()
                && !self.credentials.would_not(*host, id, to.id)
        };
        let others = self.credentials.keys.keys().filter(|host| **host != owner);
        let Some(&host) = std::iter::once(&owner).chain(others).find(|host| can(host)) else {
            return;
        };
        let Some(credential) = self.credentials.parcel(id, host) else {
            return;
        };
        self.credentials.resealing.insert(asked, host);
        self.send(t, host, ToWorker::Reseal { credential, to });
    }

    /// A worker sealed a password for another key, or would not.
    pub(super) fn resealed(
        &mut self,
        t: &mut Turn<'_>,
        host: HostId,
        (id, sequence, to): (CredentialId, u64, KeyId),
        sealed: Result<Vec<u8>, String>,
    ) {
        let asked = (id.clone(), to);
        if self.credentials.resealing.get(&asked) != Some(&host) {
            return;
        }
        self.credentials.resealing.remove(&asked);
        let is_key = self.is_key_of(&id, to);
        let credential = self.credentials.all.get_mut(&id);
        let credential =
            credential.filter(|it| it.record.sequence == sequence && !it.record.is_revoked);
        match (sealed, credential) {
            (Ok(sealed), Some(credential)) if is_key => {
                credential.sealed.entry(to).or_insert(sealed);
                t.change(Change::CredentialSeal(id.clone(), to));
                self.release_credential(t, &id);
            }
            (Ok(_), _) => {}
            (Err(_), _) => {
                let refused = self.credentials.unwilling.entry((host, to)).or_default();
                refused.insert(id);
            }
        }
        self.reconcile_keys(t);
    }

    /// What a worker was asked to seal it will not answer any more; its mind may have changed when it comes again.
    pub(super) fn resealing_lost(&mut self, host: HostId) {
        self.credentials.resealing.retain(|_, asked| *asked != host);
        self.credentials
            .unwilling
            .retain(|(unwilling, _), _| *unwilling != host);
    }
}

impl Credentials {
    /// Says whether a worker would not seal a password for a key: it said so of this one, or of many others.
    fn would_not(&self, host: HostId, id: &CredentialId, to: KeyId) -> bool {
        let refused = self.unwilling.get(&(host, to));
        refused.is_some_and(|refused| refused.len() >= REFUSALS_MAX || refused.contains(id))
    }
}
