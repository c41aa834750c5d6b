//! Join strings: where the farm is, how to know it, and a token that lets one host in.

use super::{Fingerprint, PkiError};
use crate::base64;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

/// What a join string starts with; the number moves when the form does.
const MARK: &str = "tessera-join:1:";
/// Longest `host:port` in a join string, in bytes.
const ADDRESS_BYTES_MAX: usize = 260;

/// 256 random bits that let one host in once. The server keeps only [`Self::sha256`].
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken([u8; 32]);

impl JoinToken {
    /// Makes a token.
    ///
    /// # Errors
    /// `Random` when the system gives no random bytes.
    pub fn generate() -> Result<Self, PkiError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(PkiError::Random)?;
        Ok(Self(bytes))
    }

    /// Answers what the server keeps of it and looks it up by.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }

    /// Prints the token, 43 characters; a secret.
    #[must_use]
    pub fn reveal(&self) -> String {
        base64::encode(&self.0)
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinToken(…)")
    }
}

impl FromStr for JoinToken {
    type Err = BadJoinString;
    fn from_str(text: &str) -> Result<Self, BadJoinString> {
        base64::decode(text).map(Self).ok_or(BadJoinString::Token)
    }
}

/// What `tessera join` is given.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinString {
    /// `host:port` of the supervisor; an IPv6 address in brackets.
    pub address: String,
    /// The fingerprint of the farm's CA.
    pub ca: Fingerprint,
    /// The token.
    pub token: JoinToken,
}

/// Why a text is no join string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadJoinString {
    /// It starts otherwise.
    #[error(
        "a join string starts with tessera-join:1: (copy it whole, as the supervisor printed it)"
    )]
    Mark,
    /// The supervisor's address is missing or malformed.
    #[error("the join string's address is not HOST:PORT")]
    Address,
    /// The fingerprint is cut or mistyped.
    #[error(
        "the join string's fingerprint is damaged (copy it whole, as the supervisor printed it)"
    )]
    Fingerprint,
    /// The token is cut or mistyped.
    #[error("the join string's token is damaged (copy it whole, as the supervisor printed it)")]
    Token,
}

impl fmt::Display for JoinString {
    /// Prints the join string with its token: a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{MARK}{}:{}:{}",
            self.address,
            self.ca,
            self.token.reveal()
        )
    }
}

impl fmt::Debug for JoinString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinString")
            .field("address", &self.address)
            .field("ca", &self.ca)
            .finish_non_exhaustive()
    }
}

impl FromStr for JoinString {
    type Err = BadJoinString;
    fn from_str(text: &str) -> Result<Self, BadJoinString> {
        let rest = text.trim().strip_prefix(MARK).ok_or(BadJoinString::Mark)?;
        let (rest, token) = rest.rsplit_once(':').ok_or(BadJoinString::Token)?;
        let (address, ca) = rest.rsplit_once(':').ok_or(BadJoinString::Fingerprint)?;
        check_address(address)?;
        Ok(Self {
            address: address.to_owned(),
            ca: ca.parse().map_err(|_| BadJoinString::Fingerprint)?,
            token: token.parse()?,
        })
    }
}

/// Checks that it looks like `HOST:PORT`; whether somebody is there shows later.
fn check_address(address: &str) -> Result<(), BadJoinString> {
    let (host, port) = address.rsplit_once(':').ok_or(BadJoinString::Address)?;
    let is_ip6 = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
    let is_good = address.len() <= ADDRESS_BYTES_MAX
        && port.parse::<u16>().is_ok_and(|port| port != 0)
        && (is_ip6 || host.parse::<tessera_model::HostName>().is_ok());
    if is_good {
        Ok(())
    } else {
        Err(BadJoinString::Address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(address: &str) -> JoinString {
        let token = JoinToken::generate().unwrap();
        JoinString {
            address: address.into(),
            ca: Fingerprint::of(b"ca"),
            token,
        }
    }

    #[test]
    fn printed_join_strings_parse_back() {
        for address in ["farm.example:7433", "10.0.0.1:7433", "[fe80::1]:7433"] {
            let join = sample(address);
            assert_eq!(join.to_string().parse(), Ok(join.clone()));
            assert_eq!(format!("  {join}\n").parse(), Ok(join));
        }
    }

    #[test]
    fn each_part_has_its_error() {
        let good = sample("farm:7433").to_string();
        let cases = [
            ("", BadJoinString::Mark),
            ("tessera-join:2:x", BadJoinString::Mark),
            ("tessera-join:1:", BadJoinString::Token),
            (&good[..good.len() - 1], BadJoinString::Token),
            (&good.replace("farm:7433", "farm"), BadJoinString::Address),
            (&good.replace("farm:7433", "farm:0"), BadJoinString::Address),
            (
                &good.replace("farm:7433", "a b:7433"),
                BadJoinString::Address,
            ),
            (&good.replace("7433:", "7433:x"), BadJoinString::Fingerprint),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<JoinString>(), Err(error), "{text}");
        }
    }

    #[test]
    fn the_token_is_not_in_debug_output() {
        let join = sample("farm:7433");
        assert!(!format!("{join:?} {:?}", join.token).contains(&join.token.reveal()));
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in ".{0,200}") {
            if let Ok(join) = text.parse::<JoinString>() {
                prop_assert_eq!(join.to_string(), text.trim());
            }
        }
    }
}
