//! This worker's keys: the current one and those that are being replaced.

use super::SecretStore;
use std::io;
use tessera_model::Timestamp;
use tessera_model::credential::{KEYS_OF_WORKER_MAX, KeyId, PoolKey, PoolKeys, PoolName};
use tessera_seal::{KEY_BYTES, PrivateKey, PublicKey};
use zeroize::Zeroizing;

/// The entry that they are kept in.
const ENTRY: &str = "pool-keys";
/// The first byte of it: the format.
const FORMAT: u8 = 1;
/// Bytes of a key in it: when it was made, then the key.
const KEPT_BYTES: usize = 8 + 2 * KEY_BYTES;
const DAY_MS: i64 = 24 * 3_600 * 1_000;

/// The keys of this worker for one pool of one farm.
pub(super) struct Ring {
    farm: String,
    pool: PoolName,
    /// The newest first.
    keys: Vec<(PoolKey, PrivateKey)>,
}

impl Ring {
    /// Reads the keys, or makes the first. Those of another farm or pool are let go: nothing here can be sealed to them.
    pub(super) fn open(
        secrets: &dyn SecretStore,
        farm: &str,
        pool: &PoolName,
        now: Timestamp,
    ) -> io::Result<Self> {
        let kept = secrets.read(ENTRY)?;
        let mut ring = Self {
            farm: farm.to_owned(),
            pool: pool.clone(),
            keys: Vec::new(),
        };
        if let Some(kept) = kept {
            ring.keys = ring.parse(&kept)?;
        }
        if ring.keys.is_empty() {
            ring.add(secrets, now)?;
        }
        Ok(ring)
    }

    /// Replaces a current key that is older than so many days; the old one stays until it is retired.
    pub(super) fn rotate(
        &mut self,
        secrets: &dyn SecretStore,
        days: u32,
        now: Timestamp,
    ) -> io::Result<()> {
        let age = self
            .keys
            .first()
            .map_or(0, |(key, _)| now.0 - key.created.0);
        let is_old = days > 0 && age >= i64::from(days) * DAY_MS;
        if is_old && self.keys.len() < KEYS_OF_WORKER_MAX {
            self.add(secrets, now)?;
        }
        Ok(())
    }

    fn add(&mut self, secrets: &dyn SecretStore, now: Timestamp) -> io::Result<()> {
        let key = PrivateKey::make().map_err(io::Error::other)?;
        self.keys.insert(0, (self.describe(key.public(), now), key));
        self.save(secrets)
    }

    /// Destroys an older key. The current one is never destroyed on somebody's word.
    pub(super) fn retire(&mut self, secrets: &dyn SecretStore, id: KeyId) -> io::Result<()> {
        let mut place = 0;
        self.keys.retain(|(key, _)| {
            place += 1;
            place == 1 || key.id != id
        });
        self.save(secrets)
    }

    /// Answers what the supervisor is told.
    pub(super) fn told(&self) -> PoolKeys {
        PoolKeys {
            pool: self.pool.clone(),
            keys: self.keys.iter().map(|(key, _)| *key).collect(),
        }
    }

    pub(super) fn farm(&self) -> &str {
        &self.farm
    }

    pub(super) fn get(&self, id: KeyId) -> Option<&PrivateKey> {
        let found = self.keys.iter().find(|(key, _)| key.id == id);
        found.map(|(_, private)| private)
    }

    fn describe(&self, public: PublicKey, created: Timestamp) -> PoolKey {
        PoolKey {
            id: KeyId(public.id(&self.farm, self.pool.as_str()).0),
            public: public.0,
            created,
        }
    }

    fn save(&self, secrets: &dyn SecretStore) -> io::Result<()> {
        let room = 1 + 2 * (1 + 255) + self.keys.len() * KEPT_BYTES;
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        bytes.push(FORMAT);
        for text in [self.farm.as_str(), self.pool.as_str()] {
            bytes.push(u8::try_from(text.len()).map_err(io::Error::other)?);
            bytes.extend_from_slice(text.as_bytes());
        }
        for (key, private) in &self.keys {
            bytes.extend_from_slice(&key.created.0.to_be_bytes());
            bytes.extend_from_slice(&private.kept());
        }
        secrets.write(ENTRY, &bytes)
    }

    fn parse(&self, kept: &[u8]) -> io::Result<Vec<(PoolKey, PrivateKey)>> {
        let bad = || {
            let why = "the kept keys of this worker are damaged; remove them, and have people register again";
            io::Error::new(io::ErrorKind::InvalidData, why)
        };
        let rest = kept.strip_prefix(&[FORMAT]).ok_or_else(bad)?;
        let (farm, rest) = text(rest).ok_or_else(bad)?;
        let (pool, rest) = text(rest).ok_or_else(bad)?;
        if (farm, pool) != (self.farm.as_bytes(), self.pool.as_str().as_bytes()) {
            return Ok(Vec::new());
        }
        let (whole, left) = rest.as_chunks::<KEPT_BYTES>();
        if !left.is_empty() || whole.len() > KEYS_OF_WORKER_MAX {
            return Err(bad());
        }
        whole
            .iter()
            .map(|kept| {
                let (created, key) = kept.split_first_chunk::<8>().ok_or_else(bad)?;
                let key = PrivateKey::of_kept(key).map_err(|_| bad())?;
                let created = Timestamp(i64::from_be_bytes(*created));
                Ok((self.describe(key.public(), created), key))
            })
            .collect()
    }
}

fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}
