//! Whether jobs can become an account on this host.

use super::{Finding, Level, Place, host};
use crate::local::is_root;
use nix::unistd::{User, getgrouplist};
use std::ffi::CString;
use tessera_model::UserName;

/// Looks at an account the way the launcher will. Its own word at the start of a job is the last.
pub(super) fn look(account: &str, place: &Place) -> Vec<Finding> {
    let name: UserName = match account.parse() {
        Ok(name) => name,
        Err(error) => {
            return vec![
                Finding::bad("name", format!("{error}"))
                    .mend("jobs can't run as an account of such a name"),
            ];
        }
    };
    let user = match User::from_name(name.as_str()) {
        Ok(Some(user)) => user,
        Ok(None) => {
            return vec![
                Finding::bad(
                    "account",
                    format!("there is no account {name} on this host"),
                )
                .mend(
                    "create it with the same uid as elsewhere, or join the host to your directory",
                ),
            ];
        }
        Err(error) => {
            return vec![
                Finding::bad(
                    "account",
                    format!("the directory does not answer for {name}: {error}"),
                )
                .mend("jobs wait meanwhile; look at the directory service (sssd, nslcd)"),
            ];
        }
    };
    let mut findings = vec![
        Finding::good(
            "account",
            format!("{name} is uid {}, gid {}", user.uid, user.gid),
        ),
        groups(&user),
    ];
    if user.uid.is_root() {
        findings.push(
            Finding::bad("account", "it is uid 0: jobs never run as root")
                .mend("submit as an ordinary account"),
        );
    }
    findings.extend(policy(&user, place));
    findings
}

fn groups(user: &User) -> Finding {
    let found = CString::new(user.name.clone())
        .ok()
        .and_then(|name| getgrouplist(&name, user.gid).ok());
    let names = found.unwrap_or_default().into_iter().map(|gid| {
        let group = nix::unistd::Group::from_gid(gid).ok().flatten();
        group.map_or_else(|| gid.to_string(), |group| group.name)
    });
    Finding::good("groups", names.collect::<Vec<_>>().join(", "))
}

/// Compares the account with the launcher's policy.
fn policy(user: &User, place: &Place) -> Vec<Finding> {
    if !is_root() {
        return vec![
            Finding::new(
                Level::Note,
                "policy",
                "the launcher's policy is seen by root only",
            )
            .mend("run it with sudo"),
        ];
    }
    let lines = match host::check(place) {
        Ok(lines) => lines,
        Err(said) => {
            return vec![
                Finding::bad("policy", said)
                    .mend("mend what it names; nothing runs here until then"),
            ];
        }
    };
    judge(user.uid.as_raw(), &user.name, &lines)
}

fn judge(uid: u32, name: &str, lines: &[String]) -> Vec<Finding> {
    let value = |key: &str| {
        lines
            .iter()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
            .map_or("", str::trim)
    };
    let proxy = value("proxy_account")
        .split_whitespace()
        .next()
        .unwrap_or_default();
    if proxy == name {
        return vec![Finding::good(
            "policy",
            format!("{name} is the proxy account: jobs in mode proxy run as it"),
        )];
    }
    let modes = value("modes");
    if !modes.split([',', ' ']).any(|mode| mode == "user") {
        return vec![
            Finding::bad(
                "policy",
                format!("this host runs jobs in mode {modes} only, as {proxy}"),
            )
            .mend("add user to modes in the launcher's policy, if jobs shall run as their owners"),
        ];
    }
    let uid_min: u32 = value("uid_min").parse().unwrap_or(1_000);
    if uid < uid_min {
        return vec![
            Finding::bad("policy", format!("uid {uid} is below uid_min {uid_min}"))
                .mend("submit as a person's account, or lower uid_min in the launcher's policy"),
        ];
    }
    vec![
        Finding::good(
            "policy",
            format!("mode user is on, uid {uid} is not below uid_min {uid_min}"),
        ),
        Finding::new(
            Level::Note,
            "policy",
            "denied and allowed names and groups, expiry and shell are checked when a job starts",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(modes: &str) -> Vec<String> {
        [
            format!("modes: {modes}"),
            "proxy_account: tessera-job (uid 990)".into(),
            "uid_min: 1000".into(),
        ]
        .to_vec()
    }

    #[test]
    fn the_policy_is_compared() {
        assert_eq!(
            judge(1_001, "mia", &lines("proxy, user"))[0].level,
            Level::Good
        );
        assert_eq!(judge(1_001, "mia", &lines("proxy"))[0].level, Level::Bad);
        assert_eq!(
            judge(33, "www-data", &lines("proxy, user"))[0].level,
            Level::Bad
        );
        assert_eq!(
            judge(990, "tessera-job", &lines("proxy"))[0].level,
            Level::Good
        );
    }

    #[test]
    fn names_that_are_none_are_refused_before_anything_is_asked() {
        let place = Place {
            state: "/nonexistent".into(),
            launch: None,
        };
        assert_eq!(look("0", &place)[0].level, Level::Bad);
        assert_eq!(look("a;b", &place)[0].level, Level::Bad);
    }
}
