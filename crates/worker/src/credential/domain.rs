//! The accounts of Windows: one logon, and what its outcome says of the password, of the account, or of neither.
//!
//! What is asked of the system is behind [`Logons`], so that all that is decided here is tested anywhere.
//!
//! **Invariant:** that the system says yes proves nothing. A logon counts when its token can be looked at and is that of the account
//! whose password it was.

use std::io;
use std::sync::Arc;

use tessera_model::credential::Verdict;
use tessera_windows::logon::{LogonError, Password};
use tessera_windows::{Found, Sid};

use super::{Account, Accounts, LoggedOn, LogonFailed, Secret};

/// A person's account (`SidTypeUser`); others are groups, domains, computers.
const USER: i32 = 1;

/// What is asked of the system.
pub(super) trait Logons: Send + Sync {
    /// What a logon gives.
    type Token: Send + Sync + 'static;

    /// Answers whose a name is that has its authority before it.
    fn look_up(&self, name: &str) -> Result<Found, LogonError>;
    /// Logs on once, as a batch job; the domain `.` is this host.
    fn log_on(
        &self,
        domain: &str,
        name: &str,
        password: &Password,
    ) -> Result<Self::Token, LogonError>;
    /// Answers whose a token is, as the token says.
    fn user(&self, token: &Self::Token) -> io::Result<Sid>;
}

/// The accounts that a host knows: its own, and those of the domains that it trusts.
#[derive(Debug)]
pub(super) struct Domain<L> {
    logons: L,
    /// What this host calls itself.
    host: String,
}

impl<L> Domain<L> {
    pub(super) fn new(logons: L, host: String) -> Self {
        Self { logons, host }
    }
}

impl<L: Logons> Domain<L> {
    /// Answers the SID of a person's account. The authority is always named, so that the system does not choose one.
    fn find(&self, account: Account<'_>) -> Result<Sid, LogonFailed> {
        let authority = match account.domain {
            "" | "." => self.host.as_str(),
            domain => domain,
        };
        let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ');
        if !authority.chars().all(is_plain) {
            let detail = "that can't be the name of a domain";
            return Err(LogonFailed::new(Verdict::NoAccount, detail));
        }
        let found = self
            .logons
            .look_up(&format!("{authority}\\{}", account.name));
        let Found { sid, kind } = found.map_err(of_look_up)?;
        if kind != USER {
            let detail = "the name is that of a group or a computer";
            return Err(LogonFailed::new(Verdict::NoAccount, detail));
        }
        Ok(sid)
    }
}

impl<L: Logons> Accounts for Domain<L> {
    fn sid_of(&self, account: Account<'_>) -> Result<String, LogonFailed> {
        Ok(self.find(account)?.to_string())
    }

    fn log_on(&self, account: Account<'_>, password: &Secret) -> Result<LoggedOn, LogonFailed> {
        let expected = self.find(account)?;
        let domain = match account.domain {
            "" => ".",
            domain => domain,
        };
        let password = password.with_text(Password::new).ok_or_else(|| {
            LogonFailed::new(Verdict::Unreadable, "there is a zero in the password")
        })?;
        let token = self.logons.log_on(domain, account.name, &password);
        let token = token.map_err(of_logon)?;
        let sid = self.logons.user(&token).map_err(|error| {
            let detail =
                format!("the system said yes, but whose the logon is can't be said: {error}");
            LogonFailed::new(Verdict::Unavailable, detail)
        })?;
        if sid == expected {
            let (sid, token) = (sid.to_string(), Arc::new(token));
            return Ok(LoggedOn { sid, token });
        }
        if sid.is_guest() {
            // As good as a no, and no reason to try again: each try counts against the account.
            let detail = "the system let the guest in instead";
            return Err(LogonFailed::new(Verdict::Wrong, detail));
        }
        let detail = format!("the logon gave {sid}, the name {expected}");
        Err(LogonFailed::new(Verdict::AccountChanged, detail))
    }
}

/// Says what it means that a name can't be looked up. No password was tried.
fn of_look_up(error: LogonError) -> LogonFailed {
    let verdict = match error {
        LogonError::NoSuchAccount => Verdict::NoAccount,
        LogonError::WrongPassword
        | LogonError::PasswordExpired
        | LogonError::MustChange
        | LogonError::Locked
        | LogonError::Disabled
        | LogonError::Expired
        | LogonError::Restricted(_)
        | LogonError::NoRight
        | LogonError::NoDirectory(_)
        | LogonError::Other(_) => Verdict::Unavailable,
    };
    LogonFailed::new(verdict, error.to_string())
}

/// Says what a logon that was refused means. What is not known says nothing of the password.
fn of_logon(error: LogonError) -> LogonFailed {
    let verdict = match error {
        LogonError::NoSuchAccount => Verdict::NoAccount,
        LogonError::WrongPassword => Verdict::Wrong,
        LogonError::PasswordExpired => Verdict::Expired,
        LogonError::MustChange => Verdict::MustChange,
        LogonError::Locked => Verdict::Locked,
        LogonError::Disabled | LogonError::Expired | LogonError::Restricted(_) => {
            Verdict::Restricted
        }
        LogonError::NoRight => Verdict::NoBatchRight,
        LogonError::NoDirectory(_) | LogonError::Other(_) => Verdict::Unavailable,
    };
    LogonFailed::new(verdict, error.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tessera_model::credential::AccountKind;

    use super::*;

    const MIA: &str = "S-1-5-21-1-2-3-1001";

    /// A system that answers a logon as it is told, and tells what it was asked.
    struct Fake {
        /// What the system says to a logon: an error's number, or whose the token is (nobody's can't be looked at).
        answer: Result<Option<&'static str>, u32>,
        look_up: Result<i32, u32>,
        asked: Mutex<Vec<String>>,
    }

    impl Logons for &Fake {
        type Token = Option<&'static str>;

        fn look_up(&self, name: &str) -> Result<Found, LogonError> {
            self.asked.lock().unwrap().push(format!("who is {name}"));
            let kind = self.look_up.map_err(LogonError::of)?;
            let sid = MIA.parse().expect("a SID");
            Ok(Found { sid, kind })
        }
        fn log_on(
            &self,
            domain: &str,
            name: &str,
            password: &Password,
        ) -> Result<Self::Token, LogonError> {
            let password = String::from_utf16_lossy(password.units());
            let asked = format!("{domain} {name} {}", password.trim_end_matches('\0'));
            self.asked.lock().unwrap().push(asked);
            self.answer.map_err(LogonError::of)
        }
        fn user(&self, token: &Self::Token) -> io::Result<Sid> {
            let sid = token.ok_or_else(|| io::Error::from_raw_os_error(6))?;
            Ok(sid.parse().expect("a SID"))
        }
    }

    fn saying(answer: Result<Option<&'static str>, u32>) -> Fake {
        Fake {
            answer,
            look_up: Ok(USER),
            asked: Mutex::default(),
        }
    }

    fn mia(domain: &str) -> Account<'_> {
        Account {
            kind: AccountKind::User,
            name: "mia",
            domain,
        }
    }

    fn log_on(fake: &'static Fake, domain: &str) -> Result<LoggedOn, LogonFailed> {
        let password = Secret::password("tröt".to_owned()).expect("a password");
        Domain::new(fake, "RND1".to_owned()).log_on(mia(domain), &password)
    }

    /// The tests hand out references, which a token must outlive.
    fn kept(fake: Fake) -> &'static Fake {
        Box::leak(Box::new(fake))
    }

    #[test]
    fn w12_each_answer_of_the_system_has_its_verdict_after_exactly_one_try() {
        for (code, verdict) in [
            (1326, Verdict::Wrong),
            (1323, Verdict::Wrong),
            (1317, Verdict::NoAccount),
            (1330, Verdict::Expired),
            (1907, Verdict::MustChange),
            (1909, Verdict::Locked),
            (1331, Verdict::Restricted),
            (1793, Verdict::Restricted),
            (1327, Verdict::Restricted),
            (1328, Verdict::Restricted),
            (1329, Verdict::Restricted),
            (1385, Verdict::NoBatchRight),
            (1380, Verdict::NoBatchRight),
            (1311, Verdict::Unavailable),
            (1355, Verdict::Unavailable),
            (1722, Verdict::Unavailable),
            (1789, Verdict::Unavailable),
            (1398, Verdict::Unavailable),
            (1314, Verdict::Unavailable),
            (5, Verdict::Unavailable),
        ] {
            let fake = kept(saying(Err(code)));
            let failed = log_on(fake, "STUDIO").expect_err("refused");
            assert_eq!(failed.verdict, verdict, "{code}");
            assert!(!failed.detail.contains("tröt"), "{}", failed.detail);
            let asked = fake.asked.lock().unwrap().clone();
            assert_eq!(asked, [r"who is STUDIO\mia", "STUDIO mia tröt"], "{code}");
        }
    }

    #[test]
    fn a_good_logon_is_known_by_its_token_and_asks_one_authority() {
        let fake = kept(saying(Ok(Some(MIA))));
        let logged_on = log_on(fake, "").expect("good");
        assert_eq!(logged_on.sid, MIA);
        assert!(logged_on.token.downcast::<Option<&'static str>>().is_ok());
        let asked = fake.asked.lock().unwrap().clone();
        assert_eq!(asked, [r"who is RND1\mia", ". mia tröt"]);
        let sid = Domain::new(fake, "RND1".to_owned()).sid_of(mia("STUDIO"));
        assert_eq!(sid.expect("found"), MIA);
    }

    /// What Wine says to everybody, what a host with an open guest account says to strangers, and somebody else's logon.
    #[test]
    fn a_yes_that_is_not_the_accounts_is_none() {
        let failed = |whose| log_on(kept(saying(Ok(whose))), "STUDIO").expect_err("refused");
        // Nothing is said about the password.
        assert_eq!(failed(None).verdict, Verdict::Unavailable);
        let guest = failed(Some("S-1-5-21-1-2-3-501"));
        assert_eq!(guest.verdict, Verdict::Wrong);
        assert!(guest.detail.contains("guest"), "{}", guest.detail);
        let other = failed(Some("S-1-5-21-1-2-3-1002"));
        assert_eq!(other.verdict, Verdict::AccountChanged);
        assert_eq!(
            other.detail,
            "the logon gave S-1-5-21-1-2-3-1002, the name S-1-5-21-1-2-3-1001"
        );
    }

    #[test]
    fn without_a_persons_account_no_password_is_tried() {
        for (look_up, verdict) in [
            (Err(1332), Verdict::NoAccount),
            (Err(1722), Verdict::Unavailable),
            (Err(5), Verdict::Unavailable),
            (Ok(2), Verdict::NoAccount),
            (Ok(9), Verdict::NoAccount),
        ] {
            let fake = kept(Fake {
                look_up,
                ..saying(Ok(Some(MIA)))
            });
            let failed = log_on(fake, "STUDIO").expect_err("refused");
            assert_eq!(failed.verdict, verdict, "{look_up:?}");
            assert_eq!(fake.asked.lock().unwrap().len(), 1);
        }
        let fake = kept(saying(Ok(Some(MIA))));
        for domain in [r"STUDIO\x", "a@b", "a/b", "a\nb"] {
            let failed = log_on(fake, domain).expect_err("refused");
            assert_eq!(failed.verdict, Verdict::NoAccount);
        }
        assert!(fake.asked.lock().unwrap().is_empty());
    }
}
