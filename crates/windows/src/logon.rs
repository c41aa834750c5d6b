//! What the system's numbers mean when it refuses a logon, and passwords in memory.

use zeroize::{Zeroize as _, Zeroizing};

/// Why a logon was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LogonError {
    /// No such account.
    #[error("no such account")]
    NoSuchAccount,
    /// The password is another one.
    #[error("name and password do not go together")]
    WrongPassword,
    /// The password has expired.
    #[error("the password has expired")]
    PasswordExpired,
    /// The password must be changed before a logon.
    #[error("the password must be changed first")]
    MustChange,
    /// The account is locked.
    #[error("the account is locked")]
    Locked,
    /// The account is disabled.
    #[error("the account is disabled")]
    Disabled,
    /// The account has expired.
    #[error("the account has expired")]
    Expired,
    /// Something about the account stands against it: the hour, the host, a rule of its domain.
    #[error("the account may not log on here and now (error {0})")]
    Restricted(u32),
    /// The account may not log on in this way on this host: it lacks the right, or is denied it, which the system does not tell apart.
    #[error("the account lacks the right to log on so, or is denied it")]
    NoRight,
    /// No domain controller answers, or does not trust this host: it may pass, and says nothing of a password.
    #[error("no domain controller can be asked (error {0})")]
    NoDirectory(u32),
    /// Something else.
    #[error("error {0}")]
    Other(u32),
}

/// What says that a directory can't be asked: ERROR_BAD_NETPATH, ERROR_NETNAME_DELETED, ERROR_SEM_TIMEOUT,
/// ERROR_NETWORK_UNREACHABLE, ERROR_HOST_UNREACHABLE, ERROR_NO_LOGON_SERVERS, ERROR_NO_SUCH_DOMAIN, ERROR_TIME_SKEW, ERROR_TIMEOUT,
/// RPC_S_SERVER_UNAVAILABLE, RPC_S_SERVER_TOO_BUSY, RPC_S_CALL_FAILED, RPC_S_CALL_FAILED_DNE, ERROR_NO_TRUST_LSA_SECRET,
/// ERROR_NO_TRUST_SAM_ACCOUNT, ERROR_TRUSTED_DOMAIN_FAILURE, ERROR_TRUSTED_RELATIONSHIP_FAILURE, ERROR_TRUST_FAILURE,
/// ERROR_NETLOGON_NOT_STARTED, ERROR_DOMAIN_CONTROLLER_NOT_FOUND.
const DIRECTORY: [u32; 20] = [
    53, 64, 121, 1231, 1232, 1311, 1355, 1398, 1460, 1722, 1723, 1726, 1727, 1786, 1787, 1788,
    1789, 1790, 1792, 1908,
];

impl LogonError {
    /// Answers what a number of the system means.
    pub fn of(code: u32) -> Self {
        match code {
            // ERROR_NO_SUCH_USER, ERROR_NONE_MAPPED.
            1317 | 1332 => Self::NoSuchAccount,
            // ERROR_WRONG_PASSWORD, ERROR_LOGON_FAILURE.
            1323 | 1326 => Self::WrongPassword,
            // ERROR_PASSWORD_EXPIRED, ERROR_PASSWORD_MUST_CHANGE.
            1330 => Self::PasswordExpired,
            1907 => Self::MustChange,
            // ERROR_ACCOUNT_LOCKED_OUT.
            1909 => Self::Locked,
            // ERROR_ACCOUNT_DISABLED.
            1331 => Self::Disabled,
            // ERROR_ACCOUNT_EXPIRED.
            1793 => Self::Expired,
            // ERROR_ACCOUNT_RESTRICTION, ERROR_INVALID_LOGON_HOURS, ERROR_INVALID_WORKSTATION.
            1327..=1329 => Self::Restricted(code),
            // ERROR_LOGON_NOT_GRANTED, ERROR_LOGON_TYPE_NOT_GRANTED.
            1380 | 1385 => Self::NoRight,
            code if DIRECTORY.contains(&code) => Self::NoDirectory(code),
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
            (1907, LogonError::MustChange),
            (1327, LogonError::Restricted(1327)),
            (1328, LogonError::Restricted(1328)),
            (1329, LogonError::Restricted(1329)),
            (1380, LogonError::NoRight),
            (1385, LogonError::NoRight),
            (1332, LogonError::NoSuchAccount),
            (1311, LogonError::NoDirectory(1311)),
            (1722, LogonError::NoDirectory(1722)),
            (1792, LogonError::NoDirectory(1792)),
            (1460, LogonError::NoDirectory(1460)),
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
