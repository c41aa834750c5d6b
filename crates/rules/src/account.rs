//! What a user directory says of an account, and the rules that stand against it.
//!
//! The look-up runs in a child, since the name service may be slow or hostile; what it found comes back as bytes, is read here
//! and judged by the host's policy.

use std::ffi::CString;

use tessera_ticket::{AccountName, Identity, Mode, Refusal};

use crate::policy::{GroupPolicy, Policy};

/// The most bytes that a look-up may return.
pub const ANSWER_MAX: usize = 1 << 20;
const SECONDS_A_DAY: u64 = 86_400;
/// Linux's number for an answer that makes no sense, and for one whose own number does not.
const EPROTO: i32 = 71;
const EIO: i32 = 5;

/// What the user directory knows of an account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// Its primary group's number.
    pub gid: u32,
    /// Its home.
    pub home: String,
    /// Its login shell.
    pub shell: String,
    /// The name that the uid leads back to.
    pub name_of_uid: String,
    /// Gid and name of every group, the primary one included.
    pub groups: Vec<(u32, String)>,
    /// Whether its password is locked.
    pub is_locked: bool,
    /// Whether the home is there and this account's own.
    pub owns_home: bool,
    /// The day (since 1970) from which the account is not valid.
    pub expires: Option<u64>,
}

/// An account that may be used, with what the job and the audit need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// What the kernel is told.
    pub identity: Identity,
    /// Its home.
    pub home: String,
    /// Its login shell.
    pub shell: String,
    /// Denied groups that were taken away.
    pub stripped: Vec<String>,
}

/// Writes an answer, or the error number of trouble: lines, since names of the directory hold none. A broken name makes the
/// answer unreadable, no more.
pub fn encode(answer: Result<Option<Found>, i32>) -> Vec<u8> {
    let found = match answer {
        Err(errno) => return format!("error\n{errno}\n").into_bytes(),
        Ok(None) => return b"none\n".to_vec(),
        Ok(Some(found)) => found,
    };
    let expires = found.expires.map_or("-".to_owned(), |day| day.to_string());
    let mut out = format!(
        "found\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{expires}\n",
        found.name,
        found.uid,
        found.gid,
        found.home,
        found.shell,
        found.name_of_uid,
        found.is_locked,
        found.owns_home,
    );
    for (gid, name) in &found.groups {
        out.push_str(&format!("{gid}:{name}\n"));
    }
    out.push_str("end\n");
    out.into_bytes()
}

/// Reads an answer; half of one is a directory that did not answer.
///
/// # Errors
/// [`Refusal::NoSuchAccount`], or [`Refusal::DirectoryUnavailable`].
pub fn decode(bytes: &[u8]) -> Result<Found, Refusal> {
    let broken = Refusal::DirectoryUnavailable { errno: EPROTO };
    let text = std::str::from_utf8(bytes).map_err(|_| broken.clone())?;
    let mut lines = text.split('\n');
    match lines.next() {
        Some("none") => return Err(Refusal::NoSuchAccount),
        Some("error") => {
            let errno = lines.next().and_then(|it| it.parse().ok()).unwrap_or(EIO);
            return Err(Refusal::DirectoryUnavailable { errno });
        }
        Some("found") => {}
        _ => return Err(broken),
    }
    let read = |lines: &mut std::str::Split<'_, char>| {
        let mut found = Found {
            name: lines.next()?.to_owned(),
            uid: lines.next()?.parse().ok()?,
            gid: lines.next()?.parse().ok()?,
            home: lines.next()?.to_owned(),
            shell: lines.next()?.to_owned(),
            name_of_uid: lines.next()?.to_owned(),
            is_locked: lines.next()?.parse().ok()?,
            owns_home: lines.next()?.parse().ok()?,
            ..Found::default()
        };
        found.expires = lines.next()?.parse().ok();
        loop {
            match lines.next()? {
                "end" => return Some(found),
                line => {
                    let (gid, name) = line.split_once(':')?;
                    found.groups.push((gid.parse().ok()?, name.to_owned()));
                }
            }
        }
    };
    read(&mut lines).ok_or(broken)
}

/// Applies the rules: never root, nobody's or a daemon's; then the policy's lists; then the account's own state.
///
/// # Errors
/// The first rule that refuses.
pub fn judge(
    found: &Found,
    wanted: &AccountName,
    mode: Mode,
    policy: &Policy,
    daemons: &[u32],
    wall_ms: u64,
) -> Result<Account, Refusal> {
    if found.uid == 0 {
        return Err(Refusal::RootRefused);
    }
    let nobodies = [u32::MAX, u32::from(u16::MAX), u32::from(u16::MAX) - 1];
    if nobodies.contains(&found.uid) || daemons.contains(&found.uid) {
        return Err(Refusal::ReservedAccount { uid: found.uid });
    }
    if found.name != wanted.as_str() || found.name_of_uid != wanted.as_str() {
        return Err(Refusal::NameAmbiguous {
            other: found.name_of_uid.clone(),
        });
    }
    let proxy = policy.proxy_account.as_ref();
    let is_proxy = mode == Mode::Proxy && proxy.is_some_and(|it| it.is(wanted));
    if !is_proxy && proxy.is_some_and(|it| it.is_of_slots(wanted)) {
        return Err(Refusal::AccountDenied);
    }
    if found.uid < policy.uid_min && !is_proxy {
        return Err(Refusal::UidBelowMin {
            uid: found.uid,
            min: policy.uid_min,
        });
    }
    check_lists(found, policy, is_proxy)?;
    if is_proxy && proxy.is_some_and(|it| it.is_of_slots(wanted)) {
        found.check_for_slots()?;
    }
    let (groups, stripped) = check_groups(found, policy)?;
    check_state(found, is_proxy, wall_ms)?;
    Ok(Account {
        name: found.name.clone(),
        identity: Identity {
            uid: found.uid,
            gid: found.gid,
            groups,
        },
        home: absolute_or(&found.home, "/"),
        shell: absolute_or(&found.shell, "/bin/sh"),
        stripped,
    })
}

fn check_lists(found: &Found, policy: &Policy, is_proxy: bool) -> Result<(), Refusal> {
    if policy.deny_users.contains(&found.name) {
        return Err(Refusal::AccountDenied);
    }
    let has_list = !policy.allow_users.is_empty() || !policy.allow_groups.is_empty();
    let is_listed = policy.allow_users.contains(&found.name)
        || found
            .groups
            .iter()
            .any(|(_, name)| policy.allow_groups.contains(name));
    if has_list && !is_listed && !is_proxy {
        Err(Refusal::AccountNotAllowed)
    } else {
        Ok(())
    }
}

fn check_groups(found: &Found, policy: &Policy) -> Result<(Vec<u32>, Vec<String>), Refusal> {
    if found.gid == 0 {
        return Err(Refusal::PrimaryGroupRoot);
    }
    let (mut groups, mut stripped) = (Vec::new(), Vec::new());
    for (gid, name) in &found.groups {
        let is_denied = policy.deny_groups.contains(name);
        if *gid == 0
            || (is_denied && (policy.group_policy == GroupPolicy::Refuse || *gid == found.gid))
        {
            return Err(Refusal::GroupDenied {
                group: name.clone(),
            });
        }
        if is_denied {
            stripped.push(name.clone());
        } else {
            groups.push(*gid);
        }
    }
    Ok((groups, stripped))
}

/// Judges the groups that an account has after PAM gave it credentials, by the rules that its own were judged by: returns those
/// that stay, and the names of those that were taken away.
///
/// # Errors
/// [`Refusal::GroupDenied`] for a group that nobody may have.
pub fn judge_groups(
    account: &Account,
    policy: &Policy,
    now: &[(u32, String)],
) -> Result<(Vec<u32>, Vec<String>), Refusal> {
    let Identity { gid, groups, .. } = &account.identity;
    let is_own = |it: &u32| it == gid || groups.contains(it);
    let (own, others): (Vec<_>, Vec<_>) = now.iter().cloned().partition(|(it, _)| is_own(it));
    let found = Found {
        gid: *gid,
        groups: others,
        ..Found::default()
    };
    let (added, stripped) = check_groups(&found, policy)?;
    let mut groups: Vec<u32> = own.into_iter().map(|(it, _)| it).chain(added).collect();
    groups.push(*gid);
    groups.sort_unstable();
    groups.dedup();
    Ok((groups, stripped))
}

fn check_state(found: &Found, is_proxy: bool, wall_ms: u64) -> Result<(), Refusal> {
    if found.is_locked {
        return Err(Refusal::AccountLocked);
    }
    let today = wall_ms / 1_000 / SECONDS_A_DAY;
    if found.expires.is_some_and(|day| today >= day) {
        return Err(Refusal::AccountExpired);
    }
    if found.lets_nobody_in() && !is_proxy {
        return Err(Refusal::NologinShell {
            shell: found.shell.clone(),
        });
    }
    Ok(())
}

/// Returns a path of the user directory if it is absolute, else another.
pub fn absolute_or(path: &str, other: &str) -> String {
    if path.starts_with('/') {
        path.to_owned()
    } else {
        other.to_owned()
    }
}

impl Account {
    /// Says who it is, and which groups were taken away.
    pub fn in_words(&self) -> String {
        let Identity { uid, gid, groups } = &self.identity;
        let groups: Vec<String> = groups.iter().map(u32::to_string).collect();
        let mut said = format!("uid {uid}, gid {gid}, groups {}", groups.join(" "));
        if !self.stripped.is_empty() {
            said += &format!(", without {}", self.stripped.join(" "));
        }
        said
    }

    /// Says whether somebody can log in to the account, so that its shell can be asked for its environment.
    pub fn has_login_shell(&self) -> bool {
        !is_closed(&self.shell)
    }
}

/// Says whether a shell is one that lets nobody in.
fn is_closed(shell: &str) -> bool {
    matches!(shell.rsplit('/').next(), Some("nologin" | "false"))
}

impl Found {
    fn lets_nobody_in(&self) -> bool {
        is_closed(&self.shell)
    }

    /// Checks that the account can be a slot's: all that runs as such a one is killed, and its files are removed, so one that
    /// looks like a person's is none.
    ///
    /// # Errors
    /// What makes it look so.
    pub fn check_for_slots(&self) -> Result<(), Refusal> {
        let reason = if !self.lets_nobody_in() {
            format!("its shell {} lets somebody log in", self.shell)
        } else if self.owns_home {
            format!("its home {} is its own", self.home)
        } else {
            return Ok(());
        };
        Err(Refusal::AccountNotForSlots { reason })
    }

    /// Returns what the kernel needs to become a daemon's account; group root is never among it.
    pub fn identity(&self) -> Identity {
        let groups = self
            .groups
            .iter()
            .map(|(gid, _)| *gid)
            .filter(|gid| *gid != 0)
            .collect();
        Identity {
            uid: self.uid,
            gid: self.gid,
            groups,
        }
    }
}

/// Builds the environment that every item starts from: nothing of this process's own.
pub fn base_env(account: &Account, path: &str, tmp: Option<&str>) -> Vec<CString> {
    let tmp = ["TMPDIR", "TMP", "TEMP"].map(|name| tmp.map(|it| (name, it)));
    let pairs = [
        ("HOME", account.home.as_str()),
        ("USER", &account.name),
        ("LOGNAME", &account.name),
        ("SHELL", &account.shell),
        ("PATH", path),
        ("LANG", "C.UTF-8"),
    ];
    pairs
        .into_iter()
        .chain(tmp.into_iter().flatten())
        .filter_map(|(name, value)| CString::new(format!("{name}={value}")).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mia() -> Found {
        Found {
            name: "mia".into(),
            uid: 1001,
            gid: 1001,
            home: "/home/mia".into(),
            shell: "/bin/bash".into(),
            name_of_uid: "mia".into(),
            groups: vec![(1001, "mia".into()), (1500, "proj".into())],
            ..Found::default()
        }
    }

    fn judge_in(found: &Found, mode: Mode, policy: &str) -> Result<Account, Refusal> {
        let policy = Policy::parse(policy).unwrap();
        judge(
            found,
            &"mia".parse().unwrap(),
            mode,
            &policy,
            &[997],
            20_000 * 86_400_000,
        )
    }

    #[test]
    fn an_answer_reads_back() {
        let found = Found {
            expires: Some(3),
            is_locked: true,
            owns_home: true,
            ..mia()
        };
        assert_eq!(decode(&encode(Ok(Some(found.clone())))), Ok(found));
        assert_eq!(decode(&encode(Ok(None))), Err(Refusal::NoSuchAccount));
        let error = Err(Refusal::DirectoryUnavailable { errno: 5 });
        assert_eq!(decode(&encode(Err(5))), error);
        let odd = Found {
            home: "/home/mia\r".into(),
            ..mia()
        };
        assert_eq!(decode(&encode(Ok(Some(odd.clone())))), Ok(odd));
        let whole = encode(Ok(Some(mia())));
        for len in 0..whole.len() - 1 {
            assert!(
                decode(&whole[..len]).is_err(),
                "half an answer counts for nothing"
            );
        }
    }

    #[test]
    fn an_ordinary_user_has_its_groups() {
        let account = judge_in(&mia(), Mode::User, "").unwrap();
        assert_eq!(
            account.identity,
            Identity {
                uid: 1001,
                gid: 1001,
                groups: vec![1001, 1500]
            }
        );
        assert!(account.stripped.is_empty());
    }

    #[test]
    fn groups_of_a_session_are_judged_as_the_accounts_own() {
        let policy = Policy::parse("").unwrap();
        let account = judge_in(&mia(), Mode::User, "").unwrap();
        let judge = |now: &[(u32, &str)], policy: &Policy| {
            let now: Vec<_> = now
                .iter()
                .map(|(gid, name)| (*gid, (*name).to_owned()))
                .collect();
            judge_groups(&account, policy, &now)
        };
        // One is taken away by a module, one comes, one is denied; the primary one stays in any case.
        let judged = judge(&[(44, "video"), (7, ""), (999, "docker")], &policy);
        assert_eq!(judged, Ok((vec![7, 44, 1001], vec!["docker".to_owned()])));
        assert_eq!(
            judge(&[(1500, "proj")], &policy),
            Ok((vec![1001, 1500], vec![]))
        );
        let denied = |group: &str| {
            Err(Refusal::GroupDenied {
                group: group.into(),
            })
        };
        assert_eq!(judge(&[(0, "root")], &policy), denied("root"));
        let strict = Policy::parse("group_policy = refuse").unwrap();
        assert_eq!(judge(&[(999, "docker")], &strict), denied("docker"));
    }

    #[test]
    fn each_rule_refuses() {
        let base = mia();
        let cases: Vec<(Found, &str, Refusal)> = vec![
            (
                Found {
                    uid: 0,
                    ..base.clone()
                },
                "",
                Refusal::RootRefused,
            ),
            (
                Found {
                    uid: 65534,
                    ..base.clone()
                },
                "",
                Refusal::ReservedAccount { uid: 65534 },
            ),
            (
                Found {
                    uid: u32::MAX,
                    ..base.clone()
                },
                "",
                Refusal::ReservedAccount { uid: u32::MAX },
            ),
            (
                Found {
                    uid: 997,
                    ..base.clone()
                },
                "",
                Refusal::ReservedAccount { uid: 997 },
            ),
            (
                Found {
                    name_of_uid: "zoe".into(),
                    ..base.clone()
                },
                "",
                Refusal::NameAmbiguous {
                    other: "zoe".into(),
                },
            ),
            (
                Found {
                    uid: 999,
                    ..base.clone()
                },
                "",
                Refusal::UidBelowMin {
                    uid: 999,
                    min: 1000,
                },
            ),
            (
                base.clone(),
                "deny_users = mia\nallow_users = mia",
                Refusal::AccountDenied,
            ),
            (
                base.clone(),
                "allow_users = zoe",
                Refusal::AccountNotAllowed,
            ),
            (
                Found {
                    gid: 0,
                    ..base.clone()
                },
                "",
                Refusal::PrimaryGroupRoot,
            ),
            (
                Found {
                    groups: vec![(0, "root".into()), (1001, "mia".into())],
                    ..base.clone()
                },
                "",
                Refusal::GroupDenied {
                    group: "root".into(),
                },
            ),
            (
                Found {
                    groups: vec![(27, "sudo".into()), (1001, "mia".into())],
                    ..base.clone()
                },
                "group_policy = refuse",
                Refusal::GroupDenied {
                    group: "sudo".into(),
                },
            ),
            (
                Found {
                    is_locked: true,
                    ..base.clone()
                },
                "",
                Refusal::AccountLocked,
            ),
            (
                Found {
                    expires: Some(20_000),
                    ..base.clone()
                },
                "",
                Refusal::AccountExpired,
            ),
            (
                Found {
                    shell: "/usr/sbin/nologin".into(),
                    ..base.clone()
                },
                "",
                Refusal::NologinShell {
                    shell: "/usr/sbin/nologin".into(),
                },
            ),
        ];
        for (found, policy, refusal) in cases {
            assert_eq!(judge_in(&found, Mode::User, policy), Err(refusal));
        }
        assert!(judge_in(&base, Mode::User, "allow_groups = proj").is_ok());
        assert!(
            judge_in(
                &Found {
                    expires: Some(20_001),
                    ..base
                },
                Mode::User,
                ""
            )
            .is_ok()
        );
    }

    #[test]
    fn denied_groups_are_stripped_and_told() {
        let found = Found {
            groups: vec![(27, "sudo".into()), (1001, "mia".into())],
            ..mia()
        };
        let account = judge_in(&found, Mode::User, "").unwrap();
        assert_eq!(account.identity.groups, [1001]);
        assert_eq!(account.stripped, ["sudo"]);
    }

    #[test]
    fn the_proxy_account_may_be_a_system_account_in_proxy_mode_only() {
        let found = Found {
            uid: 990,
            shell: "/usr/sbin/nologin".into(),
            ..mia()
        };
        assert!(judge_in(&found, Mode::Proxy, "proxy_account = mia").is_ok());
        assert!(judge_in(&found, Mode::User, "proxy_account = mia").is_err());
        assert!(judge_in(&found, Mode::Proxy, "proxy_account = zoe").is_err());
        let slots = "proxy_account = mi{slot}a\nuid_min = 1";
        let of_slot = Found {
            name: "mi7a".into(),
            name_of_uid: "mi7a".into(),
            ..found.clone()
        };
        let in_mode = |found: &Found, mode| {
            let policy = Policy::parse(slots).unwrap();
            judge(found, &"mi7a".parse().unwrap(), mode, &policy, &[997], 0)
        };
        assert!(in_mode(&of_slot, Mode::Proxy).is_ok());
        assert_eq!(in_mode(&of_slot, Mode::User), Err(Refusal::AccountDenied));
        // One that looks like a person's is none: all that it has would be removed.
        let with_shell = Found {
            shell: "/bin/sh".into(),
            ..of_slot.clone()
        };
        let with_home = Found {
            owns_home: true,
            ..of_slot
        };
        for (found, word) in [(with_shell, "shell /bin/sh"), (with_home, "home /home/mia")] {
            let refusal = in_mode(&found, Mode::Proxy).unwrap_err();
            assert_eq!(refusal.code(), "account_denied");
            let text = refusal.sentence("here", "1.0", "mi7a");
            assert!(text.contains(word), "{text}");
        }
        let root = Found { uid: 0, ..found };
        assert_eq!(
            judge_in(&root, Mode::Proxy, "proxy_account = mia"),
            Err(Refusal::RootRefused)
        );
    }
}
