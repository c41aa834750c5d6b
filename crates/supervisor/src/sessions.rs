//! Links that log a browser in, once, and what a browser's session is among the tokens.
//!
//! A session is a token of its own kind: listed and revoked as tokens are, good for hours, and only in the cookie of a
//! browser; what proves it is never taken as a token, nor a token as a session. One that began with a token ends with it.
//! Links are only in memory: a supervisor that starts again knows none.

use crate::tokens::{Fresh, Held};
use sha2::{Digest as _, Sha256};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq as _;
use tessera_model::UserName;
use tessera_store::TokenRow;

/// How long a session is good.
pub(crate) const SESSION_LIFE: Duration = Duration::from_secs(12 * 3_600);
/// Sessions of one person; the oldest gives way.
pub(crate) const SESSIONS_EACH_MAX: usize = 16;
/// Sessions of all together.
pub(crate) const SESSIONS_MAX: usize = 4_096;
/// How long a link is good.
pub(crate) const LINK_LIFE: Duration = Duration::from_secs(10 * 60);
/// Links of one person that nobody has used; the oldest gives way.
const LINKS_EACH_MAX: usize = 8;
/// Links of all together that nobody has used.
const LINKS_MAX: usize = 1_024;
/// Longest text that is looked at as a link's secret.
const LINK_BYTES_MAX: usize = 128;
/// What the id of every session begins with; ids of tokens are hexadecimal.
const MARK: char = 'w';
/// Between a session's own name and the id of the token that it began with.
const OF: char = '.';

/// Who comes in by a link or a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guest {
    /// Whose session it will be.
    pub(crate) user: UserName,
    /// Whether it may act on everything.
    pub(crate) is_admin: bool,
    /// The token that it began with, if one did.
    pub(crate) parent: Option<String>,
}

/// Makes the name of a session.
pub(crate) fn session_id(fresh: &Fresh, parent: Option<&str>) -> String {
    let of = parent
        .map(|parent| format!("{OF}{parent}"))
        .unwrap_or_default();
    format!("{MARK}{}{of}", fresh.id)
}

/// Says whether this is the name of a session, and not of a token.
pub(crate) fn is_session(id: &str) -> bool {
    id.starts_with(MARK)
}

/// Answers the token that a session began with.
pub(crate) fn parent_of(id: &str) -> Option<&str> {
    id.strip_prefix(MARK)?
        .split_once(OF)
        .map(|(_, parent)| parent)
}

/// Why no session can begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoRoom {
    /// Of all together.
    #[error("there are {SESSIONS_MAX} sessions")]
    All,
    /// Of this person's; none of those that are just beginning can give way.
    #[error("{SESSIONS_EACH_MAX} sessions of the same person are just beginning")]
    Own,
}

/// Answers the sessions that go when one more of this person's begins: those that are over, and the oldest of too many.
///
/// # Errors
/// When there are too many all the same.
pub(crate) fn make_room(held: &Held, user: &str, now_ms: i64) -> Result<Vec<String>, NoRoom> {
    let is_over = |row: &TokenRow| {
        let has_ended = row.expires_ms.is_some_and(|end| end <= now_ms);
        has_ended || parent_of(&row.id).is_some_and(|of| !held.rows.contains_key(of))
    };
    let sessions = held.rows.values().filter(|row| is_session(&row.id));
    let (over, good): (Vec<&TokenRow>, Vec<&TokenRow>) = sessions.partition(|row| is_over(row));
    let coming = || held.coming.values().filter(|row| is_session(&row.id));
    let own_coming = coming().filter(|row| row.user == user).count();
    if own_coming >= SESSIONS_EACH_MAX {
        return Err(NoRoom::Own);
    }
    let mut own: Vec<&TokenRow> = good
        .iter()
        .copied()
        .filter(|row| row.user == user)
        .collect();
    own.sort_by_key(|row| row.created_ms);
    let too_many = (own.len() + own_coming + 1).saturating_sub(SESSIONS_EACH_MAX);
    own.truncate(too_many);
    if good.len() - own.len() + coming().count() >= SESSIONS_MAX {
        return Err(NoRoom::All);
    }
    let gone = over.into_iter().chain(own);
    Ok(gone.map(|row| row.id.clone()).collect())
}

/// The links that nobody has used yet.
#[derive(Debug, Default)]
pub(crate) struct Links(Mutex<Vec<Link>>);

#[derive(Debug)]
struct Link {
    sha256: [u8; 32],
    guest: Guest,
    until: Instant,
}

/// There are too many links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany;

impl Links {
    /// Keeps a link for somebody.
    ///
    /// # Errors
    /// When there are too many of all together.
    pub(crate) fn add(&self, secret: &str, guest: Guest, now: Instant) -> Result<(), TooMany> {
        let mut links = self.lock();
        links.retain(|link| link.until > now);
        let own = links.iter().filter(|link| link.guest.user == guest.user);
        if own.count() >= LINKS_EACH_MAX {
            let oldest = links.iter().position(|link| link.guest.user == guest.user);
            oldest.map(|at| links.remove(at));
        }
        if links.len() >= LINKS_MAX {
            return Err(TooMany);
        }
        links.push(Link {
            sha256: hash(secret),
            guest,
            until: now + LINK_LIFE,
        });
        Ok(())
    }

    /// Uses a link up; answers whom it stands for, nothing when it is unknown, used or over.
    pub(crate) fn take(&self, secret: &str, now: Instant) -> Option<Guest> {
        if secret.len() > LINK_BYTES_MAX {
            return None;
        }
        let (mut links, sha256) = (self.lock(), hash(secret));
        let is_it = |link: &Link| bool::from(link.sha256.ct_eq(&sha256));
        let at = links.iter().position(is_it)?;
        let link = links.remove(at);
        (link.until > now).then_some(link.guest)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Link>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(name: &str) -> Guest {
        Guest {
            user: name.parse().expect("a name"),
            is_admin: false,
            parent: None,
        }
    }

    #[test]
    fn a_link_counts_once_and_for_a_while() {
        let (links, now) = (Links::default(), Instant::now());
        links.add("one", guest("mia"), now).expect("room");
        links.add("two", guest("tom"), now).expect("room");
        assert_eq!(links.take("three", now), None);
        assert_eq!(links.take("one", now), Some(guest("mia")));
        assert_eq!(links.take("one", now), None, "it was used");
        assert_eq!(links.take("two", now + LINK_LIFE), None, "it is over");
        assert_eq!(links.take(&"x".repeat(9_999), now), None);
    }

    #[test]
    fn links_are_bounded() {
        let (links, now) = (Links::default(), Instant::now());
        for number in 0..=LINKS_EACH_MAX {
            links
                .add(&format!("mia{number}"), guest("mia"), now)
                .expect("room");
        }
        assert_eq!(links.take("mia0", now), None, "the oldest gave way");
        assert_eq!(links.take("mia1", now), Some(guest("mia")));
        let mut added = 0;
        while links
            .add(&format!("x{added}"), guest(&format!("u{added}")), now)
            .is_ok()
        {
            added += 1;
            assert!(added <= LINKS_MAX);
        }
        let later = now + LINK_LIFE;
        links
            .add("late", guest("mia"), later)
            .expect("the others are over");
    }

    #[test]
    fn a_session_knows_the_token_that_it_began_with() {
        let fresh = Fresh::make().expect("random");
        let (alone, with) = (session_id(&fresh, None), session_id(&fresh, Some("3f2a")));
        assert!(is_session(&alone) && is_session(&with) && !is_session("3f2a"));
        assert_eq!((parent_of(&alone), parent_of(&with)), (None, Some("3f2a")));
    }

    #[test]
    fn the_oldest_of_too_many_sessions_and_what_is_over_go() {
        let row = |id: String, user: &str, created_ms, expires_ms| TokenRow {
            id,
            user: user.into(),
            created_ms,
            expires_ms: Some(expires_ms),
            ..TokenRow::default()
        };
        let mut rows: Vec<TokenRow> = (0..16)
            .map(|n| row(format!("w{n}"), "mia", n, 100))
            .collect();
        rows.push(row("wold".into(), "tom", 0, 10));
        rows.push(row("worphan.gone".into(), "tom", 0, 100));
        rows.push(row("wchild.3f2a".into(), "tom", 0, 100));
        rows.push(row("3f2a".into(), "tom", 0, 5));
        let held = held(rows, Vec::new());
        let gone = |user| make_room(&held, user, 50).expect("room");
        assert_eq!(gone("mia"), ["wold", "worphan.gone", "w0"]);
        assert_eq!(gone("tom"), ["wold", "worphan.gone"]);
    }

    fn held(rows: Vec<TokenRow>, coming: Vec<TokenRow>) -> Held {
        let by_id =
            |rows: Vec<TokenRow>| rows.into_iter().map(|row| (row.id.clone(), row)).collect();
        Held {
            rows: by_id(rows),
            coming: by_id(coming),
        }
    }

    #[test]
    fn sessions_that_are_just_beginning_count() {
        let row = |name: &str, number: usize, user: &str| TokenRow {
            id: format!("w{name}{number:04}"),
            user: user.into(),
            created_ms: i64::try_from(number).expect("small"),
            ..TokenRow::default()
        };
        let of = |name: &str, count: usize| -> Vec<TokenRow> {
            (0..count).map(|number| row(name, number, name)).collect()
        };
        let room = |rows: &[TokenRow], coming: &[TokenRow], user| {
            make_room(&held(rows.to_vec(), coming.to_vec()), user, 0)
        };
        let (mia, more) = (of("mia", SESSIONS_EACH_MAX), of("mia", SESSIONS_EACH_MAX));
        // As many give way as are beginning: the oldest have been told to go already.
        assert_eq!(room(&mia, &more[..2], "mia").map(|gone| gone.len()), Ok(3));
        assert_eq!(room(&mia[..3], &more[..2], "mia"), Ok(Vec::new()));
        assert_eq!(room(&[], &more, "mia"), Err(NoRoom::Own));
        assert_eq!(room(&[], &more, "tom"), Ok(Vec::new()));
        let all: Vec<TokenRow> = (0..SESSIONS_MAX - 2)
            .map(|number| row("a", number, &number.to_string()))
            .collect();
        assert_eq!(room(&all, &more[..1], "tom"), Ok(Vec::new()));
        assert_eq!(room(&all, &more[..2], "tom"), Err(NoRoom::All));
    }
}
