//! What the system's numbers mean when it refuses a logon, and passwords in memory.

use zeroize::{Zeroize as _, Zeroizing};

/// Why a logon was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogonError {
    /// No such account.
    NoSuchAccount,
    /// The password is another one.
    WrongPassword,
    /// The password has expired or must be changed first.
    PasswordExpired,
    /// The account is locked.
    Locked,
    /// The account is disabled.
    Disabled,
    /// The account has expired.
    Expired,
    /// The account may not log on in this way on this host.
    NoRight,
    /// No domain controller answers: it may pass.
    NoDirectory(u32),
    /// Something else.
    Other(u32),
}

impl LogonError {
    /// Answers what a number of the system means.
    pub fn of(code: u32) -> Self {
        match code {
            // ERROR_NO_SUCH_USER, ERROR_NONE_MAPPED.
            1317 | 1332 => Self::NoSuchAccount,
            // ERROR_WRONG_PASSWORD, ERROR_LOGON_FAILURE.
            1323 | 1326 => Self::WrongPassword,
            // ERROR_PASSWORD_EXPIRED, ERROR_PASSWORD_MUST_CHANGE.
            1330 | 1907 => Self::PasswordExpired,
            // ERROR_ACCOUNT_LOCKED_OUT.
            1909 => Self::Locked,
            // ERROR_ACCOUNT_DISABLED.
            1331 => Self::Disabled,
            // ERROR_ACCOUNT_EXPIRED.
            1793 => Self::Expired,
            // ERROR_LOGON_NOT_GRANTED, ERROR_LOGON_TYPE_NOT_GRANTED.
            1380 | 1385 => Self::NoRight,
            // ERROR_NO_LOGON_SERVERS, ERROR_NO_SUCH_DOMAIN, ERROR_DOMAIN_CONTROLLER_NOT_FOUND, RPC_S_SERVER_UNAVAILABLE,
            // ERROR_TRUSTED_RELATIONSHIP_FAILURE, ERROR_TIME_SKEW.
            1311 | 1355 | 1908 | 1722 | 1789 | 1398 => Self::NoDirectory(code),
            other => Self::Other(other),
        }
    }
}

/// A password as the system wants it, with its closing zero; overwritten when it goes.
pub struct Password(Zeroizing<Vec<u16>>);

impl Password {
    /// Takes a text; `None` when there is a zero in it.
    pub fn new(text: &str) -> Option<Self> {
        // With room for all at once: a vector that grows leaves copies behind.
        let mut units = Zeroizing::new(Vec::with_capacity(text.len() + 1));
        units.extend(text.encode_utf16());
        if units.contains(&0) {
            return None;
        }
        units.push(0);
        Some(Self(units))
    }

    /// Makes one of 32 characters out of 32 random bytes, which are overwritten. It has letters of both cases, digits and signs, as
    /// policies want it.
    pub fn of_chance(mut bytes: [u8; 32]) -> Self {
        const SIGNS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut units = Zeroizing::new(Vec::with_capacity(bytes.len() + 5));
        units.extend(
            bytes
                .iter()
                .map(|it| u16::from(SIGNS[usize::from(*it) % SIGNS.len()])),
        );
        units.extend("aA1-\0".encode_utf16());
        bytes.zeroize();
        Self(units)
    }

    /// Answers the characters with the closing zero.
    pub fn units(&self) -> &[u16] {
        &self.0
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_its_own() {
        for (code, reason) in [
            (1326, LogonError::WrongPassword),
            (1909, LogonError::Locked),
            (1331, LogonError::Disabled),
            (1793, LogonError::Expired),
            (1330, LogonError::PasswordExpired),
            (1907, LogonError::PasswordExpired),
            (1385, LogonError::NoRight),
            (1332, LogonError::NoSuchAccount),
            (1311, LogonError::NoDirectory(1311)),
            (6, LogonError::Other(6)),
        ] {
            assert_eq!(LogonError::of(code), reason);
        }
    }

    #[test]
    fn a_password_is_never_shown_and_has_no_zero_but_its_last() {
        let password = Password::new("secret").expect("a password");
        assert_eq!(format!("{password:?}"), "Password(…)");
        assert_eq!(password.units().len(), 7);
        assert!(Password::new("a\0b").is_none());
        let (one, other) = (Password::of_chance([0; 32]), Password::of_chance([1; 32]));
        assert_ne!(one.units(), other.units());
        let zeros = one.units().iter().filter(|it| **it == 0).count();
        assert_eq!((one.units().len(), zeros), (37, 1));
    }
}
