//! Names of accounts as people and policies write them: `DOMAIN\mia`, `mia@studio.example`, `.\mia`, `mia`.

use std::fmt;

/// The most characters of a name, and of an authority.
const NAME_MAX: usize = 104;
const AUTHORITY_MAX: usize = 255;
/// What no name of an account has in it.
const FORBIDDEN: &str = "\"/\\[]:;|=,+*?<>@";

/// Who says what a name means. Exactly this one is asked: nothing else is tried when it does not know the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authority {
    /// This host.
    Local,
    /// A domain, by its short name.
    Domain(String),
    /// A domain, as it stands behind an `@`.
    Realm(String),
}

/// The name of an account and who says what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// Who says so.
    pub authority: Authority,
    /// The name alone.
    pub account: String,
}

impl Name {
    /// Reads a name; one without an authority is of `usual`.
    ///
    /// # Errors
    /// A sentence on why it is none.
    pub fn parse(text: &str, usual: &Authority) -> Result<Self, String> {
        let (authority, account) = match (text.split_once('\\'), text.rsplit_once('@')) {
            (Some((".", account)), _) => (Authority::Local, account),
            (Some((domain, account)), _) => (Authority::Domain(domain.to_owned()), account),
            (None, Some((account, realm))) => (Authority::Realm(realm.to_owned()), account),
            (None, None) => (usual.clone(), text),
        };
        let is_good = match &authority {
            Authority::Local => true,
            Authority::Domain(it) | Authority::Realm(it) => is_authority(it),
        };
        if !is_good || !is_account(account) {
            return Err(format!("`{text}` can't be the name of an account"));
        }
        let account = account.to_owned();
        Ok(Self { authority, account })
    }

    /// Answers how the system is asked for it; `host` is what this host calls itself. There is always an authority in it, so that
    /// the system does not choose one.
    pub fn asked(&self, host: &str) -> String {
        match &self.authority {
            Authority::Local => format!("{host}\\{}", self.account),
            Authority::Domain(domain) => format!("{domain}\\{}", self.account),
            Authority::Realm(realm) => format!("{}@{realm}", self.account),
        }
    }

    /// Answers what a logon is told as the domain: `.` is this host.
    pub fn domain(&self) -> &str {
        match &self.authority {
            Authority::Local => ".",
            Authority::Domain(domain) | Authority::Realm(domain) => domain,
        }
    }

    /// Says whether it is an account of this host.
    pub fn is_local(&self) -> bool {
        self.authority == Authority::Local
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.asked("."))
    }
}

fn is_account(text: &str) -> bool {
    let is_plain = |c: char| !c.is_control() && !FORBIDDEN.contains(c);
    let is_edge = |c: char| c == '.' || c.is_whitespace();
    !text.is_empty()
        && text.chars().count() <= NAME_MAX
        && text.chars().all(is_plain)
        && !text.starts_with(is_edge)
        && !text.ends_with(is_edge)
        && !text.bytes().all(|it| it.is_ascii_digit())
}

fn is_authority(text: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ');
    !text.is_empty()
        && text.chars().count() <= AUTHORITY_MAX
        && text.chars().all(is_plain)
        && text.starts_with(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> String {
        let usual = Authority::Domain("STUDIO".to_owned());
        Name::parse(text, &usual).expect("a name").asked("RND1")
    }

    #[test]
    fn what_is_on_record_names_the_one_authority_that_was_asked() {
        for authority in [
            Authority::Local,
            Authority::Domain("STUDIO".to_owned()),
            Authority::Realm("studio.example".to_owned()),
        ] {
            let account = "svc$".to_owned();
            let name = Name { authority, account };
            let read = Name::parse(&name.to_string(), &Authority::Domain("X".to_owned()));
            assert_eq!(read, Ok(name));
        }
    }

    #[test]
    fn w10_exactly_one_authority_is_asked() {
        assert_eq!(asked("mia"), r"STUDIO\mia");
        assert_eq!(asked(r".\mia"), r"RND1\mia");
        assert_eq!(asked(r"OTHER\mia"), r"OTHER\mia");
        assert_eq!(asked("mia@studio.example"), "mia@studio.example");
        assert_eq!(asked("svc-render$"), r"STUDIO\svc-render$");
        let local = Name::parse("mia", &Authority::Local).expect("a name");
        assert_eq!(
            (local.domain(), local.asked("RND1")),
            (".", r"RND1\mia".into())
        );
        assert!(
            local.is_local()
                && !Name::parse(r"A\mia", &Authority::Local)
                    .expect("a name")
                    .is_local()
        );
    }

    #[test]
    fn w09_the_same_name_elsewhere_is_another() {
        let at = |text: &str| Name::parse(text, &Authority::Local).expect("a name");
        assert_ne!(at(r"DOM1\sam"), at(r"DOM2\sam"));
        assert_ne!(at("sam"), at(r"DOM1\sam"));
        assert_ne!(at("sam@dom1"), at(r"DOM1\sam"));
    }

    #[test]
    fn what_can_be_no_name_is_refused() {
        for bad in [
            "", " mia", "mia ", "mia.", ".", "..", r"\mia", r"A\", r"A\B\mia", "a/b", "a:b", "a\0",
            "a\n", "@x", "mia@", "a@b@c", "500", r".\500", r"..\mia", r"-A\mia", "a;b", "a,b",
        ] {
            assert!(Name::parse(bad, &Authority::Local).is_err(), "{bad:?}");
        }
        assert!(Name::parse(&"x".repeat(105), &Authority::Local).is_err());
        assert!(Name::parse("Mia Müller", &Authority::Local).is_ok());
    }
}
