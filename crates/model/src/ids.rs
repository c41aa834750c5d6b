//! Ids, each its own type, printed and parsed alike.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

number_id!(
    /// A job; counts up from 1 over the life of a farm.
    JobId, u64);
number_id!(
    /// One of a job's parallel executors, from 0; `12345.0` with its job.
    InstanceNo, u32);
number_id!(
    /// The place of an item in its job's agenda, from 0; people say `12345#1` for the first.
    ItemIndex, u32);
number_id!(
    /// The number of a run of an item; the first is 1 and it only grows (0: never run).
    Attempt, u32);
number_id!(
    /// The number of a start of an instance on a host; grows per instance, 1 is the first.
    LaunchNo, u32);

/// A host of the farm: 128 random bits given at enrolment, printed as a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct HostId(pub [u8; 16]);

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// Why a text is no host id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a host id is 32 hexadecimal digits, with or without dashes")]
pub struct BadHostId;

impl FromStr for HostId {
    type Err = BadHostId;
    fn from_str(text: &str) -> Result<Self, BadHostId> {
        let digits: Vec<u8> = text
            .bytes()
            .filter(|b| *b != b'-')
            .map(|b| {
                char::from(b)
                    .to_digit(16)
                    .and_then(|d| u8::try_from(d).ok())
                    .ok_or(BadHostId)
            })
            .collect::<Result<_, _>>()?;
        let mut id = [0; 16];
        if digits.len() != 32 {
            return Err(BadHostId);
        }
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        Ok(Self(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_ids_parse_back() {
        let id = HostId([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 254, 255]);
        assert_eq!(id.to_string(), "00010203-0405-0607-0809-0a0b0c0dfeff");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("12x".parse::<HostId>(), Err(BadHostId));
        assert_eq!("12345".parse(), Ok(JobId(12345)));
        assert_eq!(JobId(12345).to_string(), "12345");
    }
}
