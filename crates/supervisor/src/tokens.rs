//! Tokens of clients: made once, shown once, kept as a hash.

use crate::clock::wall;
use crate::sessions::{is_session, parent_of};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use subtle::ConstantTimeEq as _;
use tessera_model::{Principal, Proof, Timestamp};
use tessera_store::{TokenRow, Write};
use tokio::sync::watch;

/// What every token begins with, so that one that leaked is recognized.
const MARK: &str = "tessera_";
/// What the id of a scraper's token begins with; ids of others are hexadecimal, of sessions begin with `w`.
const SCRAPER: char = 'm';
/// Longest text that is looked at as a token.
const TEXT_BYTES_MAX: usize = 256;
/// How old the record of the last use may be, in milliseconds.
const LAST_USED_MS: i64 = 5 * 60 * 1_000;
/// After so long an open stream looks again whether its token is over: the wall clock, by which tokens end, may be set.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// Tokens of one account.
pub(crate) const TOKENS_MAX: usize = 1_000;

/// The tokens that are good.
#[derive(Debug)]
pub(crate) struct Tokens {
    held: RwLock<Held>,
    /// Counts those that were revoked, for who waits for that.
    revoked: watch::Sender<u64>,
}

/// The tokens by their ids.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Those that are good.
    pub(crate) rows: BTreeMap<String, TokenRow>,
    /// Those whose rows are being written. They prove nothing yet, and have a place already: else any number that is made at
    /// the same time would find the same one free.
    pub(crate) coming: BTreeMap<String, TokenRow>,
}

/// The place of a token that is being written. When it is dropped undecided, because who asked has left meanwhile, the token
/// may be durable and is taken up.
#[must_use = "it decides about the token when it is dropped"]
pub(crate) struct Coming<'a> {
    tokens: &'a Tokens,
    id: String,
    is_given_up: bool,
}

impl Coming<'_> {
    /// Takes the token up, whose row is durable.
    pub(crate) fn arrive(self) {
        drop(self);
    }

    /// Gives the place back.
    pub(crate) fn give_up(mut self) {
        self.is_given_up = true;
    }
}

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        let mut held = self.tokens.write();
        let row = held.coming.remove(&self.id);
        if let Some(row) = row.filter(|_| !self.is_given_up) {
            held.rows.insert(row.id.clone(), row);
        }
    }
}

/// A token that was shown to be good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proven {
    /// Whom it stands for.
    pub(crate) principal: Principal,
    /// The use to keep, when the record of the last one is old.
    pub(crate) used: Option<Write>,
}

/// A secret that was made.
#[derive(Debug)]
pub(crate) struct Fresh {
    /// The token's public name.
    pub(crate) id: String,
    /// The token, to be shown once.
    pub(crate) text: String,
    /// What is kept of it.
    pub(crate) sha256: [u8; 32],
}

impl Fresh {
    /// Makes a token.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(crate) fn make() -> Result<Self, getrandom::Error> {
        let (mut id, mut secret) = ([0; 4], [0; 32]);
        getrandom::fill(&mut id)?;
        getrandom::fill(&mut secret)?;
        let (id, secret) = (hex(&id), hex(&secret));
        let text = format!("{MARK}{id}_{secret}");
        Ok(Self {
            id,
            sha256: hash(&secret),
            text,
        })
    }

    /// Makes it a token of a scraper. It is kept under another hash, so that a program that knows none of these (an older
    /// one, that somebody has gone back to) takes it for nothing, and not for its owner.
    pub(crate) fn for_scraper(self) -> Self {
        let id = format!("{SCRAPER}{}", self.id);
        let secret = split(&self.text).map_or("", |(_, secret)| secret);
        Self {
            sha256: scraper_hash(secret),
            text: self.text_for(&id),
            id,
        }
    }

    /// Answers the text with the same secret under another name.
    pub(crate) fn text_for(&self, id: &str) -> String {
        let secret = split(&self.text).map_or("", |(_, secret)| secret);
        format!("{MARK}{id}_{secret}")
    }
}

impl Tokens {
    /// Takes the rows of the store.
    pub(crate) fn new(rows: Vec<TokenRow>) -> Self {
        Self {
            held: RwLock::new(Held {
                rows: rows.into_iter().map(|row| (row.id.clone(), row)).collect(),
                coming: BTreeMap::new(),
            }),
            revoked: watch::Sender::default(),
        }
    }

    /// Answers whom a token stands for; nothing when it is none, was revoked or is over. A session's secret is no token.
    pub(crate) fn prove(&self, text: &str, now: Timestamp) -> Option<Proven> {
        let (id, secret) = split(text)?;
        let is_ours = !is_session(id) && !is_scraper(id);
        is_ours.then(|| self.prove_parts(id, hash(secret), now))?
    }

    /// Answers whom a token of a scraper stands for; it is good for `/metrics` only, so who asks for that asks this first.
    pub(crate) fn prove_scraper(&self, text: &str, now: Timestamp) -> Option<Proven> {
        let (id, secret) = split(text)?;
        is_scraper(id).then(|| self.prove_parts(id, scraper_hash(secret), now))?
    }

    /// Answers whom a session stands for, as [`Tokens::prove`] does for a token; nothing also when the token that it began
    /// with is gone.
    pub(crate) fn prove_session(&self, text: &str, now: Timestamp) -> Option<Proven> {
        let (id, secret) = split(text)?;
        let is_left = is_session(id) && parent_of(id).is_none_or(|of| self.is_good(of, now));
        is_left.then(|| self.prove_parts(id, hash(secret), now))?
    }

    fn prove_parts(&self, id: &str, shown: [u8; 32], now: Timestamp) -> Option<Proven> {
        let mut held = self.write();
        let row = held.rows.get_mut(id)?;
        let is_it: bool = row.sha256.ct_eq(&shown).into();
        if !is_it || row.expires_ms.is_some_and(|end| end <= now.0) {
            return None;
        }
        let name = row.user.parse().ok()?;
        let principal = Principal {
            name,
            proof: Proof::Token(id.to_owned()),
            is_admin: row.is_admin,
        };
        let is_old = row
            .last_used_ms
            .is_none_or(|last| now.0 - last > LAST_USED_MS);
        if is_old {
            row.last_used_ms = Some(now.0);
        }
        Some(Proven {
            principal,
            used: is_old.then(|| Write::TokenUsed {
                id: row.id.clone(),
                at_ms: now.0,
            }),
        })
    }

    /// Says whether a token is there and not over.
    pub(crate) fn is_good(&self, id: &str, now: Timestamp) -> bool {
        self.time_left(id, now).is_some()
    }

    /// Answers the sessions that began with a token.
    pub(crate) fn sessions_of(&self, id: &str) -> Vec<String> {
        let held = self.read();
        let began = held
            .rows
            .keys()
            .filter(|session| parent_of(session) == Some(id));
        began.cloned().collect()
    }

    /// Answers a token.
    pub(crate) fn get(&self, id: &str) -> Option<TokenRow> {
        self.read().rows.get(id).cloned()
    }

    /// Answers all tokens.
    pub(crate) fn all(&self) -> Vec<TokenRow> {
        self.read().rows.values().cloned().collect()
    }

    /// Keeps a place for a token that is about to be written, if `judge` finds room for it among those that there are.
    ///
    /// # Errors
    /// What `judge` says.
    pub(crate) fn reserve<T, E>(
        &self,
        row: TokenRow,
        judge: impl FnOnce(&Held) -> Result<T, E>,
    ) -> Result<(Coming<'_>, T), E> {
        let mut held = self.write();
        let found = judge(&held)?;
        let id = row.id.clone();
        held.coming.insert(id.clone(), row);
        drop(held);
        let place = Coming {
            tokens: self,
            id,
            is_given_up: false,
        };
        Ok((place, found))
    }

    fn read(&self) -> RwLockReadGuard<'_, Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Held> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up a token whose row is durable.
    pub(crate) fn add(&self, row: TokenRow) {
        self.write().rows.insert(row.id.clone(), row);
    }

    /// Forgets a token.
    pub(crate) fn remove(&self, id: &str) {
        self.write().rows.remove(id);
        self.revoked.send_modify(|count| *count += 1);
    }

    /// Waits until what somebody has proven themselves with is no longer good: a token that was revoked or is over. Never ends
    /// for the word of the kernel. Safe to cancel.
    pub(crate) async fn until_over(&self, proof: &Proof) {
        let Proof::Token(id) = proof else {
            return std::future::pending().await;
        };
        let mut revoked = self.revoked.subscribe();
        while let Some(left) = self.time_left(id, wall()) {
            tokio::select! {
                _ = revoked.changed() => {}
                () = tokio::time::sleep(left.min(LOOK_AGAIN)) => {}
            }
        }
    }

    /// Answers how long a token is still good; nothing when it no longer is.
    fn time_left(&self, id: &str, now: Timestamp) -> Option<Duration> {
        let held = self.read();
        if is_session(id) && parent_of(id).is_some_and(|of| !held.rows.contains_key(of)) {
            return None;
        }
        let Some(end) = held.rows.get(id)?.expires_ms else {
            return Some(Duration::MAX);
        };
        let left = u64::try_from(end.saturating_sub(now.0)).ok()?;
        (left > 0).then(|| Duration::from_millis(left))
    }
}

fn split(text: &str) -> Option<(&str, &str)> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    text.strip_prefix(MARK)?.split_once('_')
}

/// Says whether this is the name of a token that is good for `/metrics` only.
pub(crate) fn is_scraper(id: &str) -> bool {
    id.starts_with(SCRAPER)
}

fn scraper_hash(secret: &str) -> [u8; 32] {
    hash(&format!("metrics:{secret}"))
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Prints bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _infallible = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(fresh: &Fresh, expires_ms: Option<i64>) -> TokenRow {
        TokenRow {
            id: fresh.id.clone(),
            sha256: fresh.sha256,
            user: "mia".into(),
            expires_ms,
            ..TokenRow::default()
        }
    }

    #[test]
    fn a_token_proves_its_owner_until_it_ends() {
        let fresh = Fresh::make().expect("random");
        let tokens = Tokens::new(vec![row(&fresh, Some(1_000))]);
        let proven = tokens.prove(&fresh.text, Timestamp(999)).expect("good");
        assert_eq!(proven.principal.name.as_str(), "mia");
        assert_eq!(proven.principal.proof, Proof::Token(fresh.id.clone()));
        let used = Write::TokenUsed {
            id: fresh.id.clone(),
            at_ms: 999,
        };
        assert_eq!(proven.used, Some(used));
        assert_eq!(
            tokens
                .prove(&fresh.text, Timestamp(999))
                .expect("good")
                .used,
            None
        );
        assert_eq!(
            tokens.prove(&fresh.text, Timestamp(1_000)),
            None,
            "it is over"
        );
    }

    #[test]
    fn a_token_that_is_being_written_has_a_place_and_proves_nothing() {
        let fresh = Fresh::make().expect("random");
        let tokens = Tokens::new(Vec::new());
        let room = |held: &Held| {
            let taken = held.rows.len() + held.coming.len();
            if taken == 0 { Ok(()) } else { Err(taken) }
        };
        let reserve =
            |tokens| Tokens::reserve(tokens, row(&fresh, None), room).map(|(place, ())| place);
        let place = reserve(&tokens).expect("room");
        assert_eq!(tokens.prove(&fresh.text, Timestamp(0)), None, "not yet");
        assert_eq!(reserve(&tokens).err(), Some(1), "the place is taken");
        place.give_up();
        assert_eq!(tokens.prove(&fresh.text, Timestamp(0)), None);
        reserve(&tokens).expect("it was given back").arrive();
        assert!(tokens.prove(&fresh.text, Timestamp(0)).is_some());
        tokens.remove(&fresh.id);
        drop(reserve(&tokens).expect("room"));
        assert_eq!(reserve(&tokens).err(), Some(1), "it may be durable");
    }

    #[test]
    fn the_time_left_ends_with_the_token() {
        let (lasting, short) = (
            Fresh::make().expect("random"),
            Fresh::make().expect("random"),
        );
        let tokens = Tokens::new(vec![row(&lasting, None), row(&short, Some(1_000))]);
        let left = |fresh: &Fresh, now| tokens.time_left(&fresh.id, Timestamp(now));
        assert_eq!(left(&lasting, i64::MAX), Some(Duration::MAX));
        assert_eq!(left(&short, 400), Some(Duration::from_millis(600)));
        assert_eq!((left(&short, 1_000), left(&short, i64::MAX)), (None, None));
        tokens.remove(&lasting.id);
        assert_eq!(left(&lasting, 0), None);
    }

    #[test]
    fn a_session_is_no_token_and_ends_with_the_one_it_began_with() {
        use crate::sessions::session_id;
        let (token, fresh) = (
            Fresh::make().expect("random"),
            Fresh::make().expect("random"),
        );
        let id = session_id(&fresh, Some(&token.id));
        let session = TokenRow {
            id: id.clone(),
            ..row(&fresh, Some(1_000))
        };
        let tokens = Tokens::new(vec![row(&token, Some(500)), session]);
        let (text, now) = (fresh.text_for(&id), Timestamp(0));
        assert_eq!(tokens.prove(&text, now), None, "only a cookie's");
        assert_eq!(
            tokens.prove_session(&token.text, now),
            None,
            "only a program's"
        );
        let proven = tokens.prove_session(&text, now).expect("good");
        assert_eq!(proven.principal.proof, Proof::Token(id.clone()));
        assert_eq!(
            tokens.prove_session(&text, Timestamp(600)),
            None,
            "its token is over"
        );
        assert_eq!(tokens.sessions_of(&token.id), std::slice::from_ref(&id));
        tokens.remove(&token.id);
        assert_eq!(tokens.prove_session(&text, now), None, "its token is gone");
        assert_eq!(tokens.time_left(&id, now), None, "so are its streams");
    }

    #[test]
    fn a_scrapers_token_is_nobodys_but_the_scrapers() {
        let fresh = Fresh::make().expect("random").for_scraper();
        let tokens = Tokens::new(vec![row(&fresh, None)]);
        let now = Timestamp(0);
        assert!(is_scraper(&fresh.id) && fresh.text.contains(&fresh.id));
        assert_eq!(tokens.prove(&fresh.text, now), None, "for the API");
        assert_eq!(
            tokens.prove_session(&fresh.text, now),
            None,
            "for a browser"
        );
        let proven = tokens.prove_scraper(&fresh.text, now).expect("good");
        assert_eq!(proven.principal.name.as_str(), "mia");
        // An older program looks at the hash of the secret, whatever the id begins with.
        let (_, secret) = split(&fresh.text).expect("parts");
        assert_ne!(hash(secret), fresh.sha256);
        let plain = Fresh::make().expect("random");
        tokens.add(row(&plain, None));
        assert_eq!(tokens.prove_scraper(&plain.text, now), None, "another's");
    }

    #[test]
    fn what_is_no_token_proves_nothing() {
        let fresh = Fresh::make().expect("random");
        let tokens = Tokens::new(vec![row(&fresh, None)]);
        let other = Fresh::make().expect("random");
        let mixed = format!("{MARK}{}_{}", fresh.id, &other.text[MARK.len() + 9..]);
        for bad in [
            "",
            "tessera_",
            "x",
            &other.text,
            &mixed,
            &fresh.text[..fresh.text.len() - 1],
            &"a".repeat(9_999),
        ] {
            assert_eq!(tokens.prove(bad, Timestamp(0)), None, "{bad}");
        }
        tokens.remove(&fresh.id);
        assert_eq!(tokens.prove(&fresh.text, Timestamp(0)), None, "revoked");
    }
}
