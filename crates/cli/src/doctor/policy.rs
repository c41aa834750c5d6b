//! The host's policy on who may run, as root reads it, and what it says of an account: the launcher's rules in the
//! launcher's order, each with its mend. The launcher's own word, which root is told beside them, is the last.

use super::Finding;
use std::collections::BTreeMap;

/// What holds for keys that are not in the file; the launcher has the same.
const DEFAULTS: [(&str, &str); 9] = [
    ("modes", "proxy, user"),
    ("proxy_account", "tessera-job"),
    ("uid_min", "1000"),
    (
        "deny_groups",
        "root, sudo, wheel, admin, docker, lxd, disk, shadow, kmem, libvirt, systemd-journal",
    ),
    ("group_policy", "strip"),
    ("worker_account", "tessera"),
    ("shepherd_account", "tessera-shepherd"),
    ("supervisor_account", "tessera-supervisor"),
    ("allow_users", ""),
];
/// The greatest number of a slot, as the launcher has it.
const SLOT_MAX: u32 = 4_096;
/// Uids that are nobody's.
const NOBODIES: [u32; 3] = [65_534, 65_535, u32::MAX];

/// What the directory of users knows of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) shell: String,
    /// The name that the uid leads back to.
    pub(super) name_of_uid: String,
    /// Every group, the primary one included.
    pub(super) groups: Vec<(u32, String)>,
    /// `None` where it may not be seen, or there is none.
    pub(super) shadow: Option<Shadow>,
    /// Whether its home is there and its own.
    pub(super) owns_home: bool,
}

/// What only root sees of an account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Shadow {
    pub(super) is_locked: bool,
    /// The day (since 1970) from which the account is not valid.
    pub(super) expires: Option<u64>,
}

impl Shadow {
    /// Reads a line of the shadow file. `!` or `*` alone is an account without a password, not a locked one.
    pub(super) fn read(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.trim().split(':').collect();
        let password = fields.get(1)?;
        let behind = password.trim_start_matches('!');
        Some(Self {
            is_locked: password.starts_with('!') && !matches!(behind, "" | "*"),
            expires: fields.get(7)?.parse().ok(),
        })
    }
}

/// The policy's keys with their values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Policy(BTreeMap<String, String>);

impl Policy {
    /// Reads the file's text, which the launcher has found to be right.
    pub(super) fn read(text: &str) -> Self {
        let own = text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'))
            .filter_map(|line| line.split_once('='));
        let all = DEFAULTS.into_iter().chain(own);
        Self(
            all.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
                .collect(),
        )
    }

    fn get(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    fn list(&self, key: &str) -> Vec<&str> {
        let list = self.get(key).split(',').map(str::trim);
        list.filter(|name| !name.is_empty()).collect()
    }

    fn has(&self, key: &str, name: &str) -> bool {
        self.list(key).contains(&name)
    }

    /// Says whether an account is the one that jobs of mode proxy run as.
    pub(super) fn is_proxy(&self, name: &str) -> bool {
        self.get("proxy_account") == name || self.is_of_slot(name)
    }

    /// Says whether an account is that of a slot, by `proxy_account = name{slot}`.
    pub(super) fn is_of_slot(&self, name: &str) -> bool {
        let number = self.get("proxy_account").split_once("{slot}");
        let number = number
            .and_then(|(before, after)| name.strip_prefix(before)?.strip_suffix(after))
            .filter(|it| !it.starts_with(['0', '+']));
        number.is_some_and(|it| it.parse().is_ok_and(|it: u32| it <= SLOT_MAX))
    }

    /// Says whether jobs begin with what the account's login shell says.
    pub(super) fn asks_shell(&self) -> bool {
        self.get("login_environment") == "yes"
    }
}

/// Judges what needs no policy: whose the uid is, and the way back from it to the name.
pub(super) fn judge_id(account: &Account) -> Vec<Finding> {
    let name = &account.name;
    if account.uid == 0 {
        // All else would be advice to change root's account.
        let said = format!("{name} is uid 0: jobs never run as root");
        return vec![
            Finding::bad("uid", said).mend("submit as an ordinary account, or in mode proxy"),
        ];
    }
    let mut findings = vec![];
    if NOBODIES.contains(&account.uid) {
        findings.push(
            Finding::bad("uid", format!("uid {} is nobody's", account.uid))
                .mend("submit as an ordinary account, or in mode proxy"),
        );
    } else {
        findings.push(Finding::good(
            "uid",
            format!("{name} is uid {}", account.uid),
        ));
    }
    if account.name_of_uid == *name {
        findings.push(Finding::good(
            "round trip",
            format!("uid {} leads back to {name}", account.uid),
        ));
    } else {
        let said = format!(
            "uid {} leads back to \"{}\": two accounts have one uid",
            account.uid, account.name_of_uid
        );
        findings.push(Finding::bad("round trip", said).mend(format!(
            "give one of them a uid of its own: sudo usermod -u UID {name}"
        )));
    }
    if account.gid == 0 {
        findings.push(
            Finding::bad("groups", "its primary group is root's (gid 0)")
                .mend(format!("sudo usermod -g GROUP {name}")),
        );
    }
    findings
}

/// Judges by the policy.
pub(super) fn judge(account: &Account, policy: &Policy, path: &str) -> Vec<Finding> {
    let name = account.name.as_str();
    let is_proxy = policy.is_proxy(name);
    let mut findings = vec![mode(name, is_proxy, policy, path)];
    let daemons = ["worker_account", "shepherd_account", "supervisor_account"];
    if daemons.iter().any(|key| policy.get(key) == name) {
        findings.push(
            Finding::bad(
                "policy",
                format!("{name} is the account of a daemon of the farm"),
            )
            .mend("submit as an ordinary account, or in mode proxy"),
        );
    }
    findings.push(uid(account, is_proxy, policy, path));
    findings.push(lists(account, is_proxy, policy, path));
    findings.push(groups(account, policy, path));
    findings.extend(policy.is_of_slot(name).then(|| slot(account)));
    findings
}

/// Judges whether an account can be a slot's: all that runs as it is ended, and its files are removed.
fn slot(account: &Account) -> Finding {
    let name = &account.name;
    let looks = |said: String| {
        let said = format!("{said}: so it looks like a person's, and no slot gets it");
        Finding::bad("slot", said)
    };
    if !lets_nobody_in(&account.shell) {
        return looks(format!("its shell {} lets somebody log in", account.shell))
            .mend(format!("sudo usermod -s /usr/sbin/nologin {name}"));
    }
    if account.owns_home {
        return looks("its home is there and its own".to_owned())
            .mend(format!("sudo usermod -d /nonexistent {name}"));
    }
    Finding::good("slot", "nobody can log in to it, and it has no home")
}

fn lets_nobody_in(shell: &str) -> bool {
    matches!(shell.rsplit('/').next(), Some("nologin" | "false"))
}

fn mode(name: &str, is_proxy: bool, policy: &Policy, path: &str) -> Finding {
    let (wanted, what) = if is_proxy {
        (
            "proxy",
            format!("{name} is the proxy account, and mode proxy"),
        )
    } else {
        ("user", "mode user".to_owned())
    };
    if policy.has("modes", wanted) {
        return Finding::good("mode", format!("{what} is on"));
    }
    Finding::bad(
        "mode",
        format!("{what} is off here (modes = {})", policy.get("modes")),
    )
    .mend(format!("add {wanted} to modes: sudoedit {path}"))
}

fn uid(account: &Account, is_proxy: bool, policy: &Policy, path: &str) -> Finding {
    let least: u32 = policy.get("uid_min").parse().unwrap_or(1_000);
    match (account.uid >= least, is_proxy) {
        (true, _) => Finding::good(
            "uid policy",
            format!("{} is not below uid_min {least}", account.uid),
        ),
        (false, true) => Finding::good("uid policy", "the proxy account may be a system account"),
        (false, false) => Finding::bad(
            "uid policy",
            format!("uid {} is below uid_min {least}", account.uid),
        )
        .mend(format!(
            "submit as a person's account, or lower uid_min: sudoedit {path}"
        )),
    }
}

fn lists(account: &Account, is_proxy: bool, policy: &Policy, path: &str) -> Finding {
    let name = &account.name;
    if policy.has("deny_users", name) {
        return Finding::bad("lists", format!("{name} is in deny_users"))
            .mend(format!("take it out: sudoedit {path}"));
    }
    let has_list =
        !policy.list("allow_users").is_empty() || !policy.list("allow_groups").is_empty();
    let mut groups = account.groups.iter();
    let is_listed =
        policy.has("allow_users", name) || groups.any(|(_, it)| policy.has("allow_groups", it));
    if has_list && !is_listed && !is_proxy {
        return Finding::bad(
            "lists",
            format!("{name} is neither in allow_users nor in a group of allow_groups"),
        )
        .mend(format!("add it: sudoedit {path}"));
    }
    Finding::good("lists", "neither denied nor left out")
}

fn groups(account: &Account, policy: &Policy, path: &str) -> Finding {
    let refuses = policy.get("group_policy") == "refuse";
    let mut stripped = Vec::new();
    for (gid, group) in &account.groups {
        let is_denied = policy.has("deny_groups", group);
        let is_primary = *gid == account.gid;
        if *gid == 0 || (is_denied && (refuses || is_primary)) {
            let mend = if is_primary {
                format!("sudo usermod -g GROUP {}", account.name)
            } else {
                format!(
                    "sudo gpasswd -d {} {group}{}",
                    account.name,
                    if *gid == 0 {
                        String::new()
                    } else {
                        format!(", or group_policy = strip: sudoedit {path}")
                    }
                )
            };
            return Finding::bad("groups", format!("it is in group {group}, which is denied"))
                .mend(mend);
        }
        if is_denied {
            stripped.push(group.as_str());
        }
    }
    let names: Vec<&str> = account
        .groups
        .iter()
        .map(|(_, name)| name.as_str())
        .collect();
    let mut said = names.join(", ");
    if !stripped.is_empty() {
        said += &format!("; jobs run without {}", stripped.join(", "));
    }
    Finding::good("groups", said)
}

/// Judges whether the account is valid; `today` is in days since 1970.
pub(super) fn judge_state(account: &Account, is_proxy: bool, today: u64) -> Vec<Finding> {
    let name = &account.name;
    let mut findings = Vec::new();
    match account.shadow {
        None => findings.push(Finding::note(
            "state",
            "whether it is locked or expired is seen by root only, or kept elsewhere",
        )),
        Some(shadow) => {
            findings.push(if shadow.is_locked {
                Finding::bad("locked", format!("{name} is locked"))
                    .mend(format!("sudo usermod -U {name}"))
            } else {
                Finding::good("locked", "no")
            });
            findings.push(if shadow.expires.is_some_and(|day| today >= day) {
                Finding::bad("expired", format!("{name} has expired"))
                    .mend(format!("sudo usermod -e '' {name}"))
            } else {
                Finding::good("expired", "no")
            });
        }
    }
    findings.push(match (lets_nobody_in(&account.shell), is_proxy) {
        (true, false) => Finding::bad("shell", format!("{} lets nobody log in", account.shell))
            .mend(format!(
                "sudo usermod -s /bin/bash {name}, or use mode proxy"
            )),
        (true, true) => Finding::good("shell", "the proxy account needs none"),
        (false, _) => Finding::good("shell", account.shell.clone()),
    });
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    fn mia() -> Account {
        Account {
            name: "mia".into(),
            uid: 1_001,
            gid: 1_001,
            shell: "/bin/bash".into(),
            name_of_uid: "mia".into(),
            groups: vec![(1_001, "mia".into()), (44, "video".into())],
            shadow: Some(Shadow::default()),
            owns_home: true,
        }
    }

    fn all(account: &Account, policy: &str) -> Vec<Finding> {
        let policy = Policy::read(policy);
        let mut findings = judge_id(account);
        findings.extend(judge(account, &policy, "/p"));
        let is_proxy = policy.is_proxy(&account.name);
        findings.extend(judge_state(account, is_proxy, 20_000));
        findings
    }

    /// What is bad of an account, each with a mend.
    fn bad(account: &Account, policy: &str) -> Vec<&'static str> {
        let bad = all(account, policy);
        let bad = bad.iter().filter(|it| it.level == Level::Bad);
        bad.map(|it| {
            assert!(it.mend.is_some(), "{it:?}");
            it.what
        })
        .collect()
    }

    #[test]
    fn an_ordinary_account_is_fine() {
        assert_eq!(bad(&mia(), ""), [""; 0]);
    }

    #[test]
    fn each_rule_has_its_finding() {
        let with = |change: &dyn Fn(&mut Account)| {
            let mut account = mia();
            change(&mut account);
            account
        };
        let group = |gid, name: &str| with(&|it| it.groups.push((gid, name.into())));
        let cases: [(Account, &str, &[&str]); 16] = [
            (with(&|it| it.uid = 0), "", &["uid", "uid policy"]),
            (with(&|it| it.uid = 65_534), "", &["uid"]),
            (
                with(&|it| it.name_of_uid = "bob".into()),
                "",
                &["round trip"],
            ),
            (with(&|it| it.gid = 0), "", &["groups"]),
            (mia(), "modes = proxy\n", &["mode"]),
            (mia(), "supervisor_account = mia", &["policy"]),
            (with(&|it| it.uid = 33), "", &["uid policy"]),
            (mia(), "deny_users = bob, mia", &["lists"]),
            (mia(), "allow_users = bob", &["lists"]),
            (mia(), "allow_groups = artists", &["lists"]),
            (group(0, "root"), "", &["groups"]),
            (group(999, "docker"), "group_policy = refuse", &["groups"]),
            (
                with(&|it| it.shell = "/usr/sbin/nologin".into()),
                "",
                &["shell"],
            ),
            (
                with(&|it| it.shadow = Shadow::read("mia:!$6$x:1:0:9:7:::")),
                "",
                &["locked"],
            ),
            (
                with(&|it| it.shadow = Shadow::read("mia:x:1:0:9:7::19999:")),
                "",
                &["expired"],
            ),
            (mia(), "# deny_users = mia\nallow_groups = video", &[]),
        ];
        for (account, policy, wanted) in cases {
            assert_eq!(bad(&account, policy), wanted, "{policy}: {account:?}");
        }
    }

    #[test]
    fn denied_groups_are_taken_away_and_said() {
        let mut account = mia();
        account.groups.push((999, "docker".into()));
        let findings = all(&account, "");
        let said = findings.iter().find(|it| it.what == "groups");
        assert!(said.is_some_and(|it| it.text.ends_with("jobs run without docker")));
    }

    #[test]
    fn the_proxy_account_may_be_a_system_account() {
        let account = Account {
            name: "tessera-job".into(),
            name_of_uid: "tessera-job".into(),
            uid: 990,
            shell: "/usr/sbin/nologin".into(),
            shadow: Shadow::read("tessera-job:!:1::::::"),
            ..mia()
        };
        assert_eq!(bad(&account, "allow_users = mia"), [""; 0]);
        assert_eq!(bad(&account, "modes = user"), ["mode"]);
    }

    #[test]
    fn accounts_of_slots_are_nobodys() {
        let account = Account {
            name: "job7".into(),
            name_of_uid: "job7".into(),
            uid: 990,
            shell: "/usr/sbin/nologin".into(),
            owns_home: false,
            ..mia()
        };
        let policy = "proxy_account = job{slot}";
        assert_eq!(bad(&account, policy), [""; 0]);
        let persons = Account {
            owns_home: true,
            ..account.clone()
        };
        assert_eq!(bad(&persons, policy), ["slot"]);
        let shell = Account {
            shell: "/bin/bash".into(),
            ..account
        };
        assert_eq!(bad(&shell, policy), ["slot"]);
        let policy = Policy::read(policy);
        for name in ["job", "job0", "job07", "job+7", "job4097", "xjob7", "job7x"] {
            assert!(!policy.is_of_slot(name), "{name}");
        }
    }

    #[test]
    fn accounts_without_a_password_are_not_locked() {
        for password in ["!", "*", "!*", "!!", "$6$x"] {
            let shadow = Shadow::read(&format!("mia:{password}:1:0:9:7:::"));
            assert_eq!(shadow, Some(Shadow::default()), "{password}");
        }
    }
}
