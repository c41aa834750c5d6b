//! Security identifiers: what Windows knows an account or a group by, whatever its name is.

use std::fmt;
use std::str::FromStr;

/// The most sub-authorities (`SID_MAX_SUB_AUTHORITIES`).
const PARTS_MAX: usize = 15;
/// Bytes before the sub-authorities.
const HEAD: usize = 8;
/// NT's own authority.
const NT: u64 = 5;
/// What accounts and groups of hosts and domains begin with.
const OF_DOMAINS: u32 = 21;
/// What the guest's ends with.
const GUEST: u32 = 501;

/// A security identifier; prints as `S-1-5-21-…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid {
    authority: u64,
    parts: Vec<u32>,
}

impl Sid {
    /// Makes one of NT's own.
    pub fn nt(parts: &[u32]) -> Self {
        Self {
            authority: NT,
            parts: parts.to_vec(),
        }
    }

    /// The system itself (LocalSystem).
    pub fn system() -> Self {
        Self::nt(&[18])
    }

    /// The group of administrators of a host.
    pub fn administrators() -> Self {
        Self::nt(&[32, 544])
    }

    /// Reads the system's layout; exactly all bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let [1, count, a, b, c, d, e, f, rest @ ..] = bytes else {
            return None;
        };
        let count = usize::from(*count);
        if count > PARTS_MAX || rest.len() != count * 4 {
            return None;
        }
        let authority = u64::from_be_bytes([0, 0, *a, *b, *c, *d, *e, *f]);
        let (words, _) = rest.as_chunks::<4>();
        let parts = words.iter().map(|it| u32::from_le_bytes(*it)).collect();
        Some(Self { authority, parts })
    }

    /// Writes the system's layout.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + 4 * self.parts.len());
        bytes.push(1);
        bytes.push(u8::try_from(self.parts.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(&self.authority.to_be_bytes()[2..]);
        for part in &self.parts {
            bytes.extend_from_slice(&part.to_le_bytes());
        }
        bytes
    }

    /// Answers its parts when it is one of NT's own.
    pub fn nt_parts(&self) -> Option<&[u32]> {
        (self.authority == NT).then_some(self.parts.as_slice())
    }

    /// Says whether it is the guest of a host or domain.
    pub fn is_guest(&self) -> bool {
        matches!(self.nt_parts(), Some([OF_DOMAINS, .., GUEST]))
    }

    /// Says whether it is the system, one of its two little brothers, a service, or a virtual account of an application pool,
    /// a virtual machine or the like.
    pub fn is_service(&self) -> bool {
        match self.nt_parts() {
            Some([6 | 18 | 19 | 20]) => true,
            Some([first, _, ..]) => (80..=111).contains(first),
            Some(_) | None => false,
        }
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S-1-{}", self.authority)?;
        self.parts.iter().try_for_each(|it| write!(f, "-{it}"))
    }
}

/// A text is no security identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a security identifier is written S-1-5-…")]
pub struct SidError;

impl FromStr for Sid {
    type Err = SidError;

    fn from_str(text: &str) -> Result<Self, SidError> {
        let mut numbers = text.strip_prefix("S-1-").ok_or(SidError)?.split('-');
        let authority = numbers.next().and_then(|it| it.parse().ok());
        let authority: u64 = authority.ok_or(SidError)?;
        let parts: Result<Vec<u32>, _> = numbers.map(str::parse).collect();
        let parts = parts.map_err(|_| SidError)?;
        if authority >> 48 != 0 || parts.len() > PARTS_MAX {
            return Err(SidError);
        }
        let sid = Self { authority, parts };
        // Only the one way to write it, so that texts can be compared.
        if sid.to_string() == text {
            Ok(sid)
        } else {
            Err(SidError)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_and_written_in_one_way() {
        let sid: Sid = "S-1-5-21-1-2-4294967295-500".parse().expect("a SID");
        assert_eq!(Sid::from_bytes(&sid.to_bytes()), Some(sid.clone()));
        assert_eq!(sid.to_string(), "S-1-5-21-1-2-4294967295-500");
        assert_eq!(
            Sid::system().to_bytes(),
            [1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0]
        );
        for bad in [
            "",
            "S-1-",
            "S-2-5",
            "S-1-5-",
            "S-1-5-018",
            "S-1-5-+1",
            "S-1-5-4294967296",
            "s-1-5-18",
            "S-1-281474976710656",
        ] {
            assert_eq!(bad.parse::<Sid>(), Err(SidError), "{bad}");
        }
    }

    #[test]
    fn bytes_that_are_none_are_refused() {
        let good = Sid::administrators().to_bytes();
        for len in 0..good.len() {
            assert_eq!(Sid::from_bytes(&good[..len]), None);
        }
        assert_eq!(Sid::from_bytes(&[&good[..], &[0]].concat()), None);
        assert_eq!(Sid::from_bytes(&[2, 0, 0, 0, 0, 0, 0, 5]), None);
        let many = [&[1, 16, 0, 0, 0, 0, 0, 5][..], &[0; 64]].concat();
        assert_eq!(Sid::from_bytes(&many), None);
    }

    #[test]
    fn services_are_told_from_people() {
        for service in [
            "S-1-5-18",
            "S-1-5-19",
            "S-1-5-20",
            "S-1-5-6",
            "S-1-5-80-1-2-3-4-5",
            "S-1-5-82-1",
            "S-1-5-90-0-1",
            "S-1-5-96-0-1",
        ] {
            let sid: Sid = service.parse().expect("a SID");
            assert!(sid.is_service(), "{service}");
        }
        for other in ["S-1-5-21-1-2-3-1001", "S-1-5-32-544", "S-1-1-0", "S-1-5-11"] {
            let sid: Sid = other.parse().expect("a SID");
            assert!(!sid.is_service() && !sid.is_guest(), "{other}");
        }
        let guest: Sid = "S-1-5-21-1-2-3-501".parse().expect("a SID");
        assert!(guest.is_guest());
    }
}
