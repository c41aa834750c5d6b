//! What users' login shells said lately: bytes that nobody here reads, kept for the same user's next instances.
//!
//! The launcher holds this and gives the bytes from one process of a user's to another. What they hold for is its key: all that
//! they depend on and that it knows. Nothing here calls the system, but for the time.

use std::time::{Duration, Instant};

use crate::login::BYTES_MAX;

/// The most users, and the most bytes of all together.
const ENTRIES_MAX: usize = 256;
const ALL_BYTES_MAX: usize = 8 * 1024 * 1024;

/// All of them, the oldest first.
#[derive(Debug)]
pub struct Kept<K>(Vec<Entry<K>>);

#[derive(Debug)]
struct Entry<K> {
    key: K,
    since: Instant,
    bytes: Vec<u8>,
}

impl<K> Default for Kept<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: PartialEq> Kept<K> {
    /// Returns what was kept under this key within this time; what is older goes.
    pub fn get(&mut self, key: &K, time: Duration) -> Option<&[u8]> {
        self.0.retain(|it| it.since.elapsed() < time);
        let found = self.0.iter().find(|it| it.key == *key);
        found.map(|it| it.bytes.as_slice())
    }

    /// Keeps bytes in place of what was under the same key; nothing and too much are not kept, and the oldest go where there is
    /// no room.
    pub fn put(&mut self, key: K, bytes: Vec<u8>) {
        self.forget(|it| *it == key);
        if bytes.is_empty() || bytes.len() > BYTES_MAX {
            return;
        }
        let since = Instant::now();
        self.0.push(Entry { key, since, bytes });
        while self.0.len() > ENTRIES_MAX || self.size() > ALL_BYTES_MAX {
            self.0.remove(0);
        }
    }

    /// Forgets what is kept under these keys.
    pub fn forget(&mut self, which: impl Fn(&K) -> bool) {
        self.0.retain(|it| !which(&it.key));
    }

    fn size(&self) -> usize {
        self.0.iter().map(|it| it.bytes.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    #[test]
    fn only_what_has_the_same_key_is_found_and_only_for_its_time() {
        let mut all = Kept::default();
        all.put((5, "a"), b"x".to_vec());
        assert_eq!(all.get(&(5, "a"), LONG), Some(&b"x"[..]));
        assert_eq!(all.get(&(5, "b"), LONG), None);
        all.put((5, "a"), b"y".to_vec());
        assert_eq!(all.get(&(5, "a"), LONG), Some(&b"y"[..]));
        assert_eq!(all.0.len(), 1);
        all.forget(|(number, _)| *number == 5);
        assert_eq!(all.get(&(5, "a"), LONG), None);
        all.put((5, "a"), b"x".to_vec());
        assert_eq!(all.get(&(5, "a"), Duration::ZERO), None);
        assert_eq!(all.get(&(5, "a"), LONG), None, "gone for good");
    }

    #[test]
    fn there_are_bounds() {
        let mut all = Kept::default();
        for number in 0..2 * ENTRIES_MAX {
            all.put(number, b"x".to_vec());
        }
        assert_eq!(all.0.len(), ENTRIES_MAX);
        assert_eq!(all.get(&0, LONG), None);
        for number in 0..64 {
            all.put(number, vec![1; BYTES_MAX]);
        }
        assert!(all.size() <= ALL_BYTES_MAX);
        assert!(all.get(&63, LONG).is_some());
        for nothing in [Vec::new(), vec![1; BYTES_MAX + 1]] {
            all.put(63, nothing);
            assert_eq!(all.get(&63, LONG), None);
        }
    }
}
