//! What a fresh process is told: whom to become, and what to be then. It comes from the launcher, over a pipe.

use std::io::{self, Read};

use tessera_keeper::Failed;
use tessera_ticket::Step;

/// The most bytes of an order: as long as the arguments and variables of a program may be, and more.
pub const ORDER_MAX: u64 = 4 << 20;
/// The most texts in one.
const TEXTS_MAX: usize = 65_536;
/// The bytes of what a process says that could not do as it was told.
pub const FAILED_LEN: usize = 5;

/// Whom to become, and what to be then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The account's name.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// That of its primary group.
    pub gid: u32,
    /// Where to be, entered as the account.
    pub directory: String,
    /// The program and its arguments; there is at least the program, which is looked for in the `PATH` of `env`.
    pub argv: Vec<String>,
    /// All variables that it sees.
    pub env: Vec<(String, String)>,
}

/// Writes a step that failed.
pub fn tell(Failed { step, errno }: Failed) -> [u8; FAILED_LEN] {
    let [a, b, c, d] = errno.to_le_bytes();
    [step as u8, a, b, c, d]
}

/// Reads it; what is no step is a process that was not what it should be.
pub fn told(bytes: &[u8]) -> Failed {
    let read = || {
        let [step, a, b, c, d] = <[u8; FAILED_LEN]>::try_from(bytes).ok()?;
        let step = Step::from_u8(step)?;
        let errno = i32::from_le_bytes([a, b, c, d]);
        Some(Failed { step, errno })
    };
    read().unwrap_or(Step::Prepare.into())
}

impl Order {
    /// Writes it: numbers, then texts, each behind its length.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut number = |it: usize| {
            let it = u32::try_from(it).unwrap_or(u32::MAX);
            out.extend(it.to_le_bytes());
        };
        number(self.uid as usize);
        number(self.gid as usize);
        number(self.argv.len());
        number(self.env.len());
        let pairs = self.env.iter().flat_map(|(name, value)| [name, value]);
        for text in [&self.name, &self.directory]
            .into_iter()
            .chain(&self.argv)
            .chain(pairs)
        {
            let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
            out.extend(len.to_le_bytes());
            out.extend(text.as_bytes());
        }
        out
    }

    /// Reads one up to the end.
    ///
    /// # Errors
    /// When it is none, or too long.
    pub fn read(from: impl Read) -> io::Result<Self> {
        let mut bytes = Vec::new();
        from.take(ORDER_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > ORDER_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Self::decode(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let (uid, gid) = (number(&mut rest)?, number(&mut rest)?);
        let args = usize::try_from(number(&mut rest)?).ok()?;
        let variables = usize::try_from(number(&mut rest)?).ok()?;
        if args == 0 || args > TEXTS_MAX || variables > TEXTS_MAX {
            return None;
        }
        let name = text(&mut rest)?;
        let directory = text(&mut rest)?;
        let argv = (0..args).map(|_| text(&mut rest)).collect::<Option<_>>()?;
        let env = (0..variables).map(|_| Some((text(&mut rest)?, text(&mut rest)?)));
        let env = env.collect::<Option<_>>()?;
        rest.is_empty().then_some(Self {
            name,
            uid,
            gid,
            directory,
            argv,
            env,
        })
    }
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    let (first, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(u32::from_le_bytes(*first))
}

/// Takes a text; one with a zero in it can be no argument.
fn text(rest: &mut &[u8]) -> Option<String> {
    let len = usize::try_from(number(rest)?).ok()?;
    let (text, behind) = rest.split_at_checked(len)?;
    *rest = behind;
    let text = std::str::from_utf8(text).ok()?;
    (!text.contains('\0')).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        Order {
            name: "mia".into(),
            uid: 501,
            gid: 20,
            directory: "/Users/mia".into(),
            argv: vec!["echo".into(), String::new(), "é b".into()],
            env: vec![("A".into(), "1=2".into())],
        }
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let bytes = order().encode();
        assert_eq!(Order::read(&bytes[..]).expect("reads"), order());
        for len in 0..bytes.len() {
            assert!(Order::read(&bytes[..len]).is_err(), "{len}");
        }
        assert!(Order::read(&[&bytes[..], b"x"].concat()[..]).is_err());
        let nothing = Order {
            argv: Vec::new(),
            ..order()
        };
        assert!(Order::read(&nothing.encode()[..]).is_err());
        let zero = Order {
            directory: "/a\0b".into(),
            ..order()
        };
        assert!(Order::read(&zero.encode()[..]).is_err());
        let endless = io::repeat(0);
        assert!(Order::read(endless).is_err());
    }

    #[test]
    fn failures_are_told_and_nonsense_is_one() {
        let failed = Failed {
            step: Step::NoWayBack,
            errno: -1,
        };
        assert_eq!(told(&tell(failed)), failed);
        for bytes in [&b""[..], b"x", &[0, 0, 0, 0, 0], &[1; 6]] {
            assert_eq!(told(bytes).errno, 0, "{bytes:?}");
        }
    }
}
