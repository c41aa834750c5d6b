//! What a holder says of its session: one message with fixed bounds, read by root, so it holds numbers and names only.
//! Variables are not in it; they go to the user's own process as a memory file.

use std::os::fd::AsRawFd as _;

use tessera_sys::{Sys, file, process};

/// The most bytes of a message.
pub const FRAME_MAX: usize = 64 * 1024;
/// The most groups of a session.
pub(crate) const GROUPS_MAX: usize = 1_024;
/// The most bytes of a group's name, and of the words of a refusal.
const NAME_MAX: usize = 255;
const WORDS_MAX: usize = 480;
/// The most bytes of all groups' names together: what the rest of a message leaves.
const NAMES_MAX: usize = FRAME_MAX - 512 - GROUPS_MAX * 5;
/// As many kinds of limits as the kernel has.
pub(crate) const LIMITS: u8 = 16;
const MAX_NICE: u8 = 39;

/// A limit that modules changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Which, as the kernel numbers them.
    pub resource: u8,
    /// The soft limit.
    pub soft: u64,
    /// The hard limit.
    pub hard: u64,
}

/// What a session means for the processes that belong to it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Session {
    /// Every supplementary group after the credentials were given, with a name if the directory knows one.
    pub groups: Vec<(u32, String)>,
    /// The limits that modules changed.
    pub limits: Vec<Limit>,
    /// Added to the niceness.
    pub nice: u8,
    /// The number that the kernel's audit knows the session's user by.
    pub login_uid: Option<u32>,
}

impl Session {
    /// Checks that it can be handed over.
    ///
    /// # Errors
    /// In words what there is too much of.
    pub(crate) fn check(&self) -> Result<(), String> {
        let (groups, said) = (self.groups.len(), "can be handed over");
        if groups > GROUPS_MAX {
            return Err(format!(
                "the account has {groups} groups with it, {GROUPS_MAX} {said}"
            ));
        }
        match self.names() {
            names if names > NAMES_MAX => Err(format!(
                "the names of the account's {groups} groups take {names} bytes, {NAMES_MAX} {said}"
            )),
            _ => Ok(()),
        }
    }

    fn names(&self) -> usize {
        self.groups.iter().map(|(_, name)| name.len()).sum()
    }

    /// Applies the session to this process, a child that is about to become the user: limits are lowered only.
    ///
    /// # Errors
    /// A limit or a niceness that can't be set.
    pub fn enter(&self) -> Sys<()> {
        for it in &self.limits {
            process::limit(it.resource.into(), it.soft, it.hard)?;
        }
        process::lower_priority(self.nice)?;
        if let Some(uid) = self.login_uid {
            // It takes a capability that a unit may not have, and can be locked: the session is no other without it.
            let _ = file::open(c"/proc/self/loginuid", libc::O_WRONLY)
                .and_then(|it| file::write_all(it.as_raw_fd(), uid.to_string().as_bytes()));
        }
        Ok(())
    }
}

/// Why there is no session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum No {
    /// The account may not be used, by PAM's word.
    Account(String),
    /// The session could not be opened.
    Session(String),
}

const OPEN: u8 = 1;
const ACCOUNT: u8 = 2;
const SESSION: u8 = 3;

/// Writes a message.
pub fn encode(said: &Result<Session, No>) -> Vec<u8> {
    let words = |kind: u8, text: &str| {
        let end = (0..=WORDS_MAX.min(text.len())).rev();
        let end = end.into_iter().find(|at| text.is_char_boundary(*at));
        [&[kind], &text.as_bytes()[..end.unwrap_or(0)]].concat()
    };
    let session = match said {
        Ok(session) => session,
        Err(No::Account(text)) => return words(ACCOUNT, text),
        Err(No::Session(text)) => return words(SESSION, text),
    };
    let mut bytes = vec![OPEN, session.nice, u8::from(session.login_uid.is_some())];
    bytes.extend(session.login_uid.unwrap_or(0).to_le_bytes());
    bytes.push(u8::try_from(session.limits.len()).unwrap_or(0));
    for it in &session.limits {
        bytes.push(it.resource);
        bytes.extend(it.soft.to_le_bytes());
        bytes.extend(it.hard.to_le_bytes());
    }
    for (gid, name) in &session.groups {
        // A name that is too long for its place is a group that nobody can name.
        let name = name.as_bytes();
        let name = if name.len() > NAME_MAX { b"" } else { name };
        bytes.extend(gid.to_le_bytes());
        bytes.push(u8::try_from(name.len()).unwrap_or(0));
        bytes.extend(name);
    }
    bytes
}

/// Reads a message; `None` for what is none.
pub fn decode(bytes: &[u8]) -> Option<Result<Session, No>> {
    let (&kind, rest) = bytes.split_first()?;
    let words = || {
        let text = std::str::from_utf8(rest.get(..rest.len().min(WORDS_MAX))?).ok()?;
        Some(text.replace(char::is_control, " "))
    };
    match kind {
        OPEN => Reader(rest).session().map(Ok),
        ACCOUNT => Some(Err(No::Account(words()?))),
        SESSION => Some(Err(No::Session(words()?))),
        _ => None,
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn session(&mut self) -> Option<Session> {
        let [nice, has_uid] = self.take()?;
        let uid = u32::from_le_bytes(self.take()?);
        let [count] = self.take()?;
        let limits = (0..count).map(|_| self.limit());
        let limits: Vec<Limit> = limits.collect::<Option<_>>()?;
        let mut groups = Vec::new();
        while !self.0.is_empty() {
            let gid = u32::from_le_bytes(self.take()?);
            let [len] = self.take()?;
            let (name, rest) = self.0.split_at_checked(len.into())?;
            self.0 = rest;
            groups.push((gid, std::str::from_utf8(name).ok()?.to_owned()));
        }
        (nice <= MAX_NICE && count <= LIMITS && groups.len() <= GROUPS_MAX).then_some(Session {
            groups,
            limits,
            nice,
            login_uid: (has_uid == 1).then_some(uid),
        })
    }

    fn limit(&mut self) -> Option<Limit> {
        let [resource] = self.take()?;
        let soft = u64::from_le_bytes(self.take()?);
        let hard = u64::from_le_bytes(self.take()?);
        (resource < LIMITS && soft <= hard).then_some(Limit {
            resource,
            soft,
            hard,
        })
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        Session {
            groups: vec![(7, "proj".into()), (8, String::new())],
            limits: vec![Limit {
                resource: 7,
                soft: 5,
                hard: u64::MAX,
            }],
            nice: 5,
            login_uid: Some(1_001),
        }
    }

    #[test]
    fn messages_read_back() {
        for said in [
            Ok(session()),
            Ok(Session::default()),
            Err(No::Account("gone".into())),
            Err(No::Session(String::new())),
        ] {
            assert_eq!(decode(&encode(&said)), Some(said));
        }
        let long = "é".repeat(WORDS_MAX);
        let Some(Err(No::Session(said))) = decode(&encode(&Err(No::Session(long.clone())))) else {
            panic!("words");
        };
        assert!(long.starts_with(&said) && said.len() >= WORDS_MAX - 1);
    }

    #[test]
    fn what_is_too_much_for_a_message_is_said() {
        let with = |count, name: &str| Session {
            groups: vec![(1, name.to_owned()); count],
            ..session()
        };
        let most = with(GROUPS_MAX, &"x".repeat(NAMES_MAX / GROUPS_MAX));
        assert_eq!(most.check(), Ok(()));
        let bytes = encode(&Ok(most.clone()));
        assert!(bytes.len() <= FRAME_MAX && decode(&bytes) == Some(Ok(most)));
        let said = with(GROUPS_MAX + 1, "").check().expect_err("too many");
        assert!(said.contains("1025 groups"), "{said}");
        let said = with(GROUPS_MAX, &"x".repeat(60)).check();
        assert!(said.is_err_and(|it| it.contains("61440 bytes")));
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        for round in 0..20_000 {
            let mut bytes = encode(&Ok(session()));
            for _ in 0..=round % 4 {
                // Any sequence will do, as long as it is the same each time.
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let [value, at, len, ..] = state.to_le_bytes();
                let at = usize::from(at) % bytes.len();
                bytes[at] = value;
                bytes.truncate(bytes.len().min(usize::from(len) + 1));
            }
            let Some(said) = decode(&bytes) else {
                continue;
            };
            let again = encode(&said);
            assert!(again.len() <= bytes.len());
            assert_eq!(decode(&again).as_ref(), Some(&said));
            if let Ok(found) = said {
                assert!(found.groups.len() <= GROUPS_MAX && found.nice <= MAX_NICE);
            }
        }
    }

    #[test]
    fn what_is_no_message_is_none() {
        let whole = encode(&Ok(session()));
        let groups_at = whole.len() - (4 + 1) - (4 + 1 + 4);
        for len in (0..whole.len()).filter(|len| *len != groups_at && *len != whole.len() - 5) {
            assert_eq!(decode(&whole[..len]), None, "{len}");
        }
        // A resource that there is not, a soft limit above the hard one, a niceness that there is not, another kind.
        for (at, value) in [(8, LIMITS), (16, 255), (1, 40), (0, 9)] {
            let mut broken = whole.clone();
            broken[at] = value;
            if at == 16 {
                broken[17..25].fill(0);
            }
            assert_eq!(decode(&broken), None, "{at}");
        }
        let many = Session {
            groups: vec![(1, String::new()); GROUPS_MAX + 1],
            ..Session::default()
        };
        assert_eq!(decode(&encode(&Ok(many))), None);
        assert_eq!(decode(b"\x03a\nb"), Some(Err(No::Session("a b".into()))));
        assert_eq!(decode(b"\x02\xff"), None);
    }
}
