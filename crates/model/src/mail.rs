//! Mail that a job asks for: when, and to whom; and webhooks.

use crate::limits::{CHANNEL_NAME_BYTES_MAX, MAIL_ADDRESS_BYTES_MAX};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// What is written about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MailWhen {
    /// The job is complete.
    Done,
    /// It failed.
    Failed,
    /// It was killed.
    Killed,
    /// It is held until somebody unblocks it.
    Blocked,
    /// Something of it waits for what can't come any more.
    Stranded,
    /// It waits for its user's identity to be put right.
    BadLogin,
    /// One of its frames failed, and no retry is left.
    FrameFailed,
}

impl MailWhen {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Done,
        Self::Failed,
        Self::Killed,
        Self::Blocked,
        Self::Stranded,
        Self::BadLogin,
        Self::FrameFailed,
    ];

    /// Answers the word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Killed => "killed",
            Self::Blocked => "blocked",
            Self::Stranded => "stranded",
            Self::BadLogin => "badlogin",
            Self::FrameFailed => "frame_failed",
        }
    }

    /// Answers what a word stands for.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.word() == word)
    }
}

/// The mail that a job asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobMail {
    /// When; never empty.
    pub on: BTreeSet<MailWhen>,
    /// To whom; to its owner when nobody is named.
    pub to: Option<MailAddress>,
}

/// The webhooks that a job asks for: channels of its farm, each with what is told over it; never nothing.
pub type JobWebhooks = BTreeMap<ChannelName, BTreeSet<MailWhen>>;

/// The name of a channel over which a farm tells people: small letters, digits and hyphens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelName(String);

/// That a text is no name of a channel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("1 to {CHANNEL_NAME_BYTES_MAX} small letters, digits and hyphens")]
pub struct BadChannelName;

impl ChannelName {
    /// Answers it as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ChannelName {
    type Err = BadChannelName;

    fn from_str(text: &str) -> Result<Self, BadChannelName> {
        let is_good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_short = (1..=CHANNEL_NAME_BYTES_MAX).contains(&text.len());
        if is_short && text.chars().all(is_good) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadChannelName)
        }
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Signs of a local part beside letters, digits and dots. None by which mail servers send on to somewhere else: `victim%x.org@…`,
/// `x.org!victim@…` and, of rewritten addresses (SRS, VERP), `victim=x.org@…`.
const LOCAL_MARKS: &str = "_+-";
/// Those that were allowed once, and are in stores.
const LOCAL_MARKS_KEPT: &str = "_+-=%";

/// A plain mail address, `LOCAL@DOMAIN` of ASCII letters, digits and few marks: nothing that another program could read as more
/// than one address, as a header, or as a way to somewhere else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailAddress {
    text: String,
    at: usize,
}

/// That a text is no plain mail address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no plain mail address such as mia@studio.example, of at most {MAIL_ADDRESS_BYTES_MAX} bytes"
)]
pub struct BadAddress;

impl MailAddress {
    /// Answers the part behind the `@`, in small letters.
    #[must_use]
    pub fn domain(&self) -> String {
        self.text[self.at + 1..].to_ascii_lowercase()
    }

    /// Reads one that is in a store, perhaps by an older rule. Before it is written to its text must be read by today's.
    ///
    /// # Errors
    /// When it was no plain address by that one either.
    pub fn kept(text: &str) -> Result<Self, BadAddress> {
        Self::read(text, LOCAL_MARKS_KEPT)
    }

    fn read(text: &str, marks: &str) -> Result<Self, BadAddress> {
        let at = text.find('@').ok_or(BadAddress)?;
        let (local, domain) = (&text[..at], &text[at + 1..]);
        let is_local = is_dotted(local, |c| c.is_ascii_alphanumeric() || marks.contains(c));
        let is_domain = is_dotted(domain, |c| c.is_ascii_alphanumeric() || c == '-')
            && domain
                .split('.')
                .all(|label| !label.starts_with('-') && !label.ends_with('-'));
        let is_short = text.len() <= MAIL_ADDRESS_BYTES_MAX && local.len() <= 64;
        if is_local && is_domain && is_short {
            let text = text.to_owned();
            Ok(Self { text, at })
        } else {
            Err(BadAddress)
        }
    }
}

fn is_dotted(text: &str, is_good: impl Fn(char) -> bool) -> bool {
    let is_part = |part: &str| !part.is_empty() && part.chars().all(&is_good);
    text.split('.').all(is_part)
}

impl FromStr for MailAddress {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        Self::read(text, LOCAL_MARKS)
    }
}

impl fmt::Display for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_addresses_are_good() {
        for good in [
            "mia@studio.example",
            "m.i_a+farm-1@a-b.studio.EXAMPLE",
            "mia@localhost",
            "1@2.3",
        ] {
            let address: MailAddress = good.parse().expect(good);
            assert_eq!(address.to_string(), good);
        }
        let long = format!("{}@studio.example", "x".repeat(65));
        let longer = format!("mia@{}", "x.".repeat(130) + "example");
        for bad in [
            "",
            "mia",
            "@studio.example",
            "mia@",
            "mia@@x",
            "mia@a@b",
            "mia@x..y",
            ".mia@x",
            "mia.@x",
            "mia@-x",
            "mia@x-.y",
            "mia@x,bob@y",
            "mia@x bob@y",
            "mia@x\r\nBcc:all@y",
            "<mia@x>",
            "Mia <mia@x>",
            "\"m\"@x",
            "mia@[127.0.0.1]",
            "m\u{ef}a@x",
            "mia@x\u{0}",
            "mia@\u{fc}.example",
            "-oX@x;y",
            "victim%gmail.com@x",
            "gmail.com!victim@x",
            "victim=gmail.com@x",
            "@x:victim@gmail.com",
            "victim#gmail.com@x",
            "/S=victim/O=gmail/@x",
            &long,
            &longer,
        ] {
            assert_eq!(bad.parse::<MailAddress>(), Err(BadAddress), "{bad:?}");
        }
    }

    #[test]
    fn what_was_good_once_is_read_and_nothing_else() {
        for kept in ["victim%gmail.com@x", "a=b@x", "mia@studio.example"] {
            let address = MailAddress::kept(kept).expect(kept);
            assert_eq!(address.to_string(), kept);
        }
        for bad in ["", "mia", "gmail.com!victim@x", "mia@x\r\nBcc:all@y"] {
            assert_eq!(MailAddress::kept(bad), Err(BadAddress), "{bad:?}");
        }
    }

    #[test]
    fn the_domain_is_what_stands_behind() {
        let address: MailAddress = "Mia@Studio.Example".parse().expect("good");
        assert_eq!(address.domain(), "studio.example");
    }

    #[test]
    fn words_stand_for_what_they_say() {
        for when in MailWhen::ALL {
            assert_eq!(MailWhen::of_word(when.word()), Some(when));
        }
        assert_eq!(MailWhen::of_word("host_lost"), None);
    }
}
