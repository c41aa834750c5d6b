//! Whether an account may run jobs here, by its SID and the groups of its token, never by a name.

use tessera_ticket::{Mode, Refusal};
use tessera_windows::Sid;
use tessera_windows::logon::LogonError;

use crate::name::Name;
use crate::policy::Policy;

/// Groups that may change a host or a domain, or that take such rights for themselves easily.
const POWERFUL: [(&[u32], &str); 6] = [
    (&[32, 544], "Administrators"),
    (&[32, 548], "Account Operators"),
    (&[32, 549], "Server Operators"),
    (&[32, 550], "Print Operators"),
    (&[32, 551], "Backup Operators"),
    (&[32, 578], "Hyper-V Administrators"),
];
/// The same of any domain, by the last number.
const POWERFUL_OF_DOMAINS: [(u32, &str); 5] = [
    (500, "the built-in administrator"),
    (512, "Domain Admins"),
    (518, "Schema Admins"),
    (519, "Enterprise Admins"),
    (520, "Group Policy Creator Owners"),
];
/// What accounts and groups of hosts and domains begin with.
const OF_DOMAINS: u32 = 21;

/// Who a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// Its account.
    pub user: Sid,
    /// All its groups, also those that only count where something is denied.
    pub groups: Vec<Sid>,
    /// Whether it is what a logon gives, and not what a server has of a client of its.
    pub is_primary: bool,
}

/// Objects to what no policy can allow: the system, services, this launcher, administrators.
///
/// # Errors
/// Why it never runs a job.
pub fn never(sid: &Sid, groups: &[Sid], own: &Sid) -> Result<(), Refusal> {
    let last_of_domain = |it: &Sid| match it.nt_parts() {
        Some([OF_DOMAINS, .., last]) => Some(*last),
        Some(_) | None => None,
    };
    // What is no account of a host or domain is something of the system.
    let last = last_of_domain(sid);
    if sid.is_service() || sid == own || last.is_none() || sid.is_guest() {
        return Err(Refusal::ServiceAccount);
    }
    for it in std::iter::once(sid).chain(groups) {
        let of_host = POWERFUL
            .iter()
            .find(|(parts, _)| it.nt_parts() == Some(parts));
        let of_domain = last_of_domain(it)
            .and_then(|last| POWERFUL_OF_DOMAINS.iter().find(|(rid, _)| *rid == last));
        let name = of_host
            .map(|(_, name)| *name)
            .or(of_domain.map(|(_, name)| *name));
        if let Some(name) = name {
            let group = name.to_owned();
            return Err(Refusal::AdministratorRefused { group });
        }
    }
    Ok(())
}

/// Judges a token that was had for an account. The first thing is whether it is that account's at all: that a logon has
/// succeeded proves nothing.
///
/// # Errors
/// Why the account may not run jobs here.
pub fn judge(
    who: &Who,
    expected: &Sid,
    own: &Sid,
    mode: Mode,
    policy: &Policy,
    look_up: &dyn Fn(&Name) -> Result<Sid, LogonError>,
) -> Result<(), Refusal> {
    if !who.is_primary {
        return Err(Refusal::IdentityMismatch);
    }
    if who.user != *expected {
        return Err(Refusal::IdentityMismatch);
    }
    never(&who.user, &who.groups, own)?;
    // The proxy account is the policy's own choice.
    if mode == Mode::Proxy {
        return Ok(());
    }
    let among = |names: &[Name], sids: &[Sid]| -> Result<Option<String>, Refusal> {
        for name in names {
            let sid = look_up(name).map_err(|error| unknown(name, error))?;
            if sids.contains(&sid) {
                return Ok(Some(name.to_string()));
            }
        }
        Ok(None)
    };
    let user = std::slice::from_ref(&who.user);
    if among(&policy.deny_users, user)?.is_some() {
        return Err(Refusal::AccountDenied);
    }
    if let Some(group) = among(&policy.deny_groups, &who.groups)? {
        return Err(Refusal::GroupDenied { group });
    }
    let is_listed = among(&policy.allow_users, user)?.is_some()
        || among(&policy.allow_groups, &who.groups)?.is_some();
    let has_lists = !policy.allow_users.is_empty() || !policy.allow_groups.is_empty();
    if has_lists && !is_listed {
        return Err(Refusal::AccountNotAllowed);
    }
    Ok(())
}

/// Says what it means that a name of the policy can't be looked up: a slip of the pen, unless nobody could be asked.
fn unknown(name: &Name, error: LogonError) -> Refusal {
    match error {
        LogonError::NoDirectory(code) | LogonError::Other(code) => Refusal::DirectoryUnavailable {
            errno: code.cast_signed(),
        },
        LogonError::NoSuchAccount
        | LogonError::WrongPassword
        | LogonError::PasswordExpired
        | LogonError::MustChange
        | LogonError::Locked
        | LogonError::Disabled
        | LogonError::Expired
        | LogonError::Restricted(_)
        | LogonError::NoRight => Refusal::PolicyInvalid {
            reason: format!("{name} is not known here"),
        },
    }
}

/// Answers the refusal of a logon that the system refused.
pub fn refusal_of(error: LogonError) -> Refusal {
    match error {
        LogonError::NoSuchAccount => Refusal::NoSuchAccount,
        LogonError::WrongPassword => Refusal::PasswordWrong,
        LogonError::PasswordExpired | LogonError::MustChange => Refusal::PasswordExpired,
        LogonError::Locked => Refusal::AccountLocked,
        LogonError::Disabled => Refusal::AccountDisabled,
        LogonError::Expired => Refusal::AccountExpired,
        LogonError::NoRight => Refusal::NoBatchRight,
        LogonError::NoDirectory(code) => Refusal::DirectoryUnavailable {
            errno: code.cast_signed(),
        },
        LogonError::Restricted(code) | LogonError::Other(code) => Refusal::LogonRefused { code },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sid(text: &str) -> Sid {
        text.parse().expect("a SID")
    }

    const MIA: &str = "S-1-5-21-1-2-3-1001";

    fn of_groups(user: &str, groups: &[&str]) -> Result<(), Refusal> {
        let groups: Vec<Sid> = groups.iter().map(|it| sid(it)).collect();
        never(&sid(user), &groups, &sid("S-1-5-21-9-9-9-1500"))
    }

    #[test]
    fn w08_administrators_services_and_the_system_never_run() {
        assert_eq!(
            of_groups(MIA, &["S-1-5-32-545", "S-1-1-0", "S-1-5-21-1-2-3-513"]),
            Ok(())
        );
        for service in [
            "S-1-5-18",
            "S-1-5-19",
            "S-1-5-20",
            "S-1-5-80-1-2-3-4-5",
            "S-1-1-0",
            "S-1-5-32-545",
            "S-1-5-21-1-2-3-501",
            "S-1-5-21-9-9-9-1500",
            "S-1-5-7",
        ] {
            assert_eq!(
                of_groups(service, &[]),
                Err(Refusal::ServiceAccount),
                "{service}"
            );
        }
        for group in [
            "S-1-5-32-544",
            "S-1-5-32-551",
            "S-1-5-21-7-7-7-512",
            "S-1-5-21-7-7-7-519",
        ] {
            let refused = of_groups(MIA, &["S-1-5-32-545", group]);
            assert!(
                matches!(refused, Err(Refusal::AdministratorRefused { .. })),
                "{group}"
            );
        }
        let built_in = of_groups("S-1-5-21-1-2-3-500", &[]);
        assert!(matches!(
            built_in,
            Err(Refusal::AdministratorRefused { .. })
        ));
    }

    fn judged(text: &str, user: &str, groups: &[&str]) -> Result<(), Refusal> {
        let policy = Policy::parse(text).expect("a policy");
        let who = Who {
            user: sid(user),
            groups: groups.iter().map(|it| sid(it)).collect(),
            is_primary: true,
        };
        let look_up = |name: &Name| match name.account.as_str() {
            "far" => Err(LogonError::of(1722)),
            "mia" => Ok(sid(MIA)),
            "bob" => Ok(sid("S-1-5-21-1-2-3-1002")),
            "artists" => Ok(sid("S-1-5-21-1-2-3-2000")),
            "interns" => Ok(sid("S-1-5-21-1-2-3-2001")),
            _ => Err(LogonError::NoSuchAccount),
        };
        judge(
            &who,
            &sid(MIA),
            &Sid::system(),
            Mode::User,
            &policy,
            &look_up,
        )
    }

    #[test]
    fn a_token_of_somebody_else_is_refused_before_all() {
        let other = judged(
            "deny_users = nobody-knows",
            "S-1-5-21-1-2-3-1002",
            &["S-1-5-32-544"],
        );
        assert_eq!(other, Err(Refusal::IdentityMismatch));
    }

    #[test]
    fn what_a_server_has_of_its_client_is_no_logon() {
        let who = Who {
            user: sid(MIA),
            groups: Vec::new(),
            is_primary: false,
        };
        let policy = Policy::parse("modes = user").expect("a policy");
        let look_up = |_: &Name| Ok(sid(MIA));
        let judged = judge(
            &who,
            &sid(MIA),
            &Sid::system(),
            Mode::User,
            &policy,
            &look_up,
        );
        assert_eq!(judged, Err(Refusal::IdentityMismatch));
    }

    #[test]
    fn lists_are_of_sids_and_deny_comes_first() {
        let artists = "S-1-5-21-1-2-3-2000";
        let interns = "S-1-5-21-1-2-3-2001";
        assert_eq!(judged("", MIA, &[]), Ok(()));
        assert_eq!(
            judged("deny_users = mia\nallow_users = mia", MIA, &[]),
            Err(Refusal::AccountDenied)
        );
        assert_eq!(
            judged("allow_users = bob", MIA, &[]),
            Err(Refusal::AccountNotAllowed)
        );
        assert_eq!(judged("allow_groups = artists", MIA, &[artists]), Ok(()));
        let denied = judged(
            "allow_groups = artists\ndeny_groups = interns",
            MIA,
            &[artists, interns],
        );
        assert!(matches!(denied, Err(Refusal::GroupDenied { .. })));
        // A name that nobody knows may be a slip of the pen that would let somebody in.
        let unknown = judged("deny_users = mai", MIA, &[]);
        assert!(matches!(unknown, Err(Refusal::PolicyInvalid { .. })));
        // Nobody could be asked: the policy may be right, and the work is tried again.
        for list in ["deny_users", "deny_groups", "allow_users", "allow_groups"] {
            let refused = judged(&format!("{list} = far"), MIA, &[]).expect_err("refused");
            assert_eq!(refused, Refusal::DirectoryUnavailable { errno: 1722 });
            let class = Refusal::class_of(refused.code());
            assert_eq!(class, tessera_ticket::RefusalClass::Passing);
        }
    }

    #[test]
    fn w12_each_reason_of_a_logon_is_its_own() {
        let codes = [1326, 1909, 1793, 1331, 1330, 1385, 1332, 1311, 6]
            .map(|code| refusal_of(LogonError::of(code)).code());
        assert_eq!(
            codes,
            [
                "password_wrong",
                "account_locked",
                "account_expired",
                "account_disabled",
                "password_expired",
                "no_batch_right",
                "no_such_account",
                "directory_unavailable",
                "logon_refused"
            ]
        );
    }
}
