//! Whether jobs can become an account on this host: every check on the way, without running a job.

use super::policy::{self, Account, Policy, Shadow};
use super::{Finding, Level, Place, host, pam, trouble};
use crate::local::install::lock_holder;
use crate::local::is_root;
use nix::unistd::{Gid, Group, Uid, User, getgrouplist};
use std::ffi::CString;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use tessera_model::UserName;

const DAY_MS: i64 = 86_400_000;
const ABOVE: &str = "the checks above say how; if none is bad, the launcher and this program differ: use one release of both";

/// Looks at an account the way the launcher will, check by check.
pub(super) fn look(account: &str, place: &Place) -> Vec<Finding> {
    let name: UserName = match account.parse() {
        Ok(name) => name,
        Err(error) => {
            return vec![
                Finding::bad("name", format!("{error}"))
                    .mend("jobs can't run as an account of such a name: submit as another"),
            ];
        }
    };
    let mut findings = vec![Finding::good("name", format!("{name} can be an account"))];
    let (user, found) = match find(&name) {
        Ok(found) => found,
        Err(finding) => {
            findings.push(*finding);
            return findings;
        }
    };
    findings.push(Finding::good("account", "it exists on this host"));
    findings.extend(policy::judge_id(&found));
    if found.uid == 0 {
        // Nothing here is a mend for root, and some of it would harm the host.
        return findings;
    }
    let lines = is_root().then(|| host::check(place));
    let policy = judge_policy(&found, place, lines.as_ref(), &mut findings);
    let is_proxy = policy.is_proxy(&found.name);
    let today = u64::try_from(crate::out::now_ms() / DAY_MS).unwrap_or(0);
    findings.extend(policy::judge_state(&found, is_proxy, today));
    findings.extend(shell(&user, is_proxy, policy.asks_shell()));
    findings.push(home(&user, is_proxy));
    let lines = lines.and_then(Result::ok).unwrap_or_default();
    let service = lines.iter().find_map(|line| pam::said(line));
    findings.extend(service.map(pam::service).unwrap_or_default());
    findings.push(launcher(place));
    if is_root() {
        let service = service.and_then(|it| it.split(' ').next());
        findings.push(verdict(host::verdict(place, account), account, service));
    }
    findings
}

/// Tells what the launcher's own rules say, which have the last word: what is above explains them, and is written once more.
fn verdict(said: Result<String, String>, account: &str, service: Option<&str>) -> Finding {
    match said {
        Ok(said) => match said.strip_prefix("yes: ") {
            Some(who) => Finding::good("verdict", format!("the launcher takes it: {who}")),
            None => {
                let said = said.trim_start_matches("no: ");
                let mend = pam::mend(said, account, service);
                Finding::bad("verdict", said).mend(mend.unwrap_or_else(|| ABOVE.to_owned()))
            }
        },
        Err(said) => Finding::bad("verdict", format!("the launcher can't say: {said}"))
            .mend("mend what it names; nothing runs here until then"),
    }
}

/// Asks the directory of users; what stands against that is one finding.
fn find(name: &UserName) -> Result<(User, Account), Box<Finding>> {
    let unanswered = |error: nix::Error| {
        let said = format!("the directory does not answer for {name}: {error}");
        Finding::bad("account", said)
            .mend("jobs wait meanwhile; look at its service: systemctl status sssd nslcd")
    };
    let user = User::from_name(name.as_str()).map_err(|error| Box::new(unanswered(error)))?;
    let user = user.ok_or_else(|| {
        Box::new(
            Finding::bad("account", format!("there is no account {name} on this host")).mend(
                format!(
                    "sudo useradd -m -u UID {name} with the uid that it has elsewhere, or join the host to your directory"
                ),
            ),
        )
    })?;
    let back = User::from_uid(user.uid).map_err(|error| Box::new(unanswered(error)))?;
    // A directory that finds the account by another spelling has another name for it, which the launcher doesn't take.
    let other = Some(user.name.clone()).filter(|it| *it != name.as_str());
    let found = Account {
        name: name.as_str().to_owned(),
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
        shell: user.shell.to_string_lossy().into_owned(),
        name_of_uid: other.or(back.map(|it| it.name)).unwrap_or_default(),
        groups: groups(&user),
        shadow: if is_root() { shadow(name) } else { None },
        owns_home: user
            .dir
            .metadata()
            .is_ok_and(|it| it.uid() == user.uid.as_raw()),
    };
    Ok((user, found))
}

fn groups(user: &User) -> Vec<(u32, String)> {
    let found = CString::new(user.name.clone())
        .ok()
        .and_then(|name| getgrouplist(&name, user.gid).ok());
    let named = |gid: Gid| {
        let group = Group::from_gid(gid).ok().flatten();
        let name = group.map_or_else(|| gid.to_string(), |group| group.name);
        (gid.as_raw(), name)
    };
    found.unwrap_or_default().into_iter().map(named).collect()
}

/// Asks the shadow database, wherever it is kept. An account that is not in it is neither locked nor expired there.
fn shadow(name: &UserName) -> Option<Shadow> {
    let output = Command::new("getent")
        .args(["shadow", name.as_str()])
        .stdin(Stdio::null())
        .output();
    let output = output.ok().filter(|output| output.status.success())?;
    Shadow::read(&String::from_utf8_lossy(&output.stdout))
}

/// Compares the account with the launcher's policy, and returns that; `lines` is what the launcher says of the host, to root.
fn judge_policy(
    found: &Account,
    place: &Place,
    lines: Option<&Result<Vec<String>, String>>,
    findings: &mut Vec<Finding>,
) -> Policy {
    let path = place.state.join("launcher/policy");
    let shown = path.display().to_string();
    let Some(lines) = lines else {
        findings.push(
            Finding::note("policy", "the launcher's policy is seen by root only")
                .mend(format!("sudo tessera doctor identity --as {}", found.name)),
        );
        let policy = Policy::read("");
        let judged = policy::judge(found, &policy, &shown);
        findings.extend(judged.into_iter().map(as_default));
        return policy;
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            findings.push(
                Finding::bad("policy", format!("{shown}: {error}"))
                    .mend("sudo tessera worker install --mode service writes one"),
            );
            String::new()
        }
    };
    let policy = Policy::read(&text);
    findings.push(match lines {
        Ok(lines) => containment(lines, policy.is_of_slot(&found.name)),
        Err(said) => Finding::bad("launcher", said).mend(trouble::mend(said, &place.state)),
    });
    findings.extend(policy::judge(found, &policy, &shown));
    policy
}

/// Weakens what was judged by a policy that may be another.
fn as_default(mut finding: Finding) -> Finding {
    if finding.level == Level::Bad {
        finding.level = Level::Warning;
        finding.text += " (by the usual policy; this host's may be another)";
    }
    finding
}

fn containment(lines: &[String], is_of_slot: bool) -> Finding {
    if lines.iter().any(|line| line == "containment: cgroup") {
        return Finding::good(
            "cgroup",
            "each frame gets a control group that nothing of it leaves",
        );
    }
    let (level, said) = if is_of_slot {
        (Level::Bad, "no control groups: accounts of slots need them")
    } else {
        let said = "no control groups: what a frame leaves behind is found less surely";
        (Level::Warning, said)
    };
    Finding::new(level, "cgroup", said).mend(
        "sudo mkdir -p /sys/fs/cgroup/unified && sudo mount -t cgroup2 none /sys/fs/cgroup/unified",
    )
}

/// Looks whether the login shell is there, where something is wrong with it.
fn shell(user: &User, is_proxy: bool, is_asked: bool) -> Option<Finding> {
    let shown = user.shell.display();
    let is_there = |it: std::fs::Metadata| it.is_file() && it.mode() & 0o111 != 0;
    if is_proxy || user.shell.metadata().is_ok_and(is_there) {
        return None;
    }
    let (level, why) = if is_asked {
        (Level::Bad, "login_environment = yes asks it")
    } else {
        (Level::Warning, "jobs have it as SHELL")
    };
    let said = format!("{shown} is no program of this host, and {why}");
    let mend = format!("install it, or: sudo usermod -s /bin/bash {}", user.name);
    Some(Finding::new(level, "shell", said).mend(mend))
}

/// Looks whether the home is there and the account's own: nothing is refused for it, much fails.
fn home(user: &User, is_proxy: bool) -> Finding {
    let shown = user.dir.display();
    let warn = |said: String| {
        Finding::new(Level::Warning, "home", said).mend(format!(
            "sudo install -d -o {0} -g {1} -m 700 {shown}",
            user.name, user.gid
        ))
    };
    match user.dir.metadata() {
        _ if is_proxy => Finding::good("home", "the proxy account needs none"),
        Ok(found) if !found.is_dir() => warn(format!("{shown} is no folder")),
        Ok(found) if Uid::from_raw(found.uid()) != user.uid => {
            warn(format!("{shown} belongs to uid {}", found.uid()))
        }
        Ok(_) => Finding::good("home", shown.to_string()),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Finding::note("home", format!("{shown} is not for you to see"))
        }
        Err(error) => warn(format!(
            "{shown}: {error}; jobs start in a folder that they name"
        )),
    }
}

/// Looks whether a launcher serves this host.
fn launcher(place: &Place) -> Finding {
    let start = "sudo systemctl start tessera-launch, or sudo tessera up; none yet: \
                 sudo tessera worker install --mode service";
    let socket = place.state.join("run/launcher.sock");
    if !exists(&socket) {
        let said = format!("no launcher serves at {}", socket.display());
        return Finding::bad("launcher", said).mend(start);
    }
    if !is_root() {
        return Finding::good("launcher", format!("its socket is {}", socket.display()));
    }
    match lock_holder(&place.state.join("launcher/lock")) {
        Some(pid) => Finding::good(
            "launcher",
            format!("process {pid} serves at {}", socket.display()),
        ),
        None => Finding::bad("launcher", "its socket is there, and it does not run").mend(start),
    }
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place {
            state: "/nonexistent".into(),
            launch: None,
        }
    }

    #[test]
    fn names_that_are_none_are_refused_before_anything_is_asked() {
        for name in ["0", "a;b", "..", "-x", "12345"] {
            let findings = look(name, &place());
            assert_eq!(
                (findings.len(), findings[0].level),
                (1, Level::Bad),
                "{name}"
            );
            assert!(findings[0].mend.is_some());
        }
    }

    #[test]
    fn the_launchers_word_is_the_last() {
        let good = verdict(
            Ok("yes: uid 1001, gid 1001, groups 1001".into()),
            "mia",
            None,
        );
        assert_eq!((good.level, good.what), (Level::Good, "verdict"));
        assert!(
            good.text
                .ends_with("takes it: uid 1001, gid 1001, groups 1001"),
            "{}",
            good.text
        );
        let bad = verdict(
            Ok("no: account_locked: the account is locked; unlock it".into()),
            "mia",
            None,
        );
        assert_eq!(bad.level, Level::Bad);
        assert!(
            bad.text.starts_with("account_locked: ") && bad.mend.is_some(),
            "{}",
            bad.text
        );
        let pam = verdict(
            Ok("no: pam_account_refused: User account has expired".into()),
            "mia",
            Some("show"),
        );
        assert_eq!(pam.mend.as_deref(), Some("sudo chage -E -1 mia"));
        assert_eq!(
            verdict(Err("policy: line 3".into()), "mia", None).level,
            Level::Bad
        );
    }

    #[test]
    fn an_account_that_is_not_there_ends_the_walk() {
        let findings = look("no-such-account-here", &place());
        let last = findings.last().expect("some");
        assert_eq!((last.what, last.level), ("account", Level::Bad));
        assert!(
            last.mend
                .as_ref()
                .is_some_and(|mend| mend.contains("useradd"))
        );
    }

    #[test]
    fn root_is_refused_and_nothing_is_advised_for_it() {
        let findings = look("root", &place());
        let is_bad = |what| {
            findings
                .iter()
                .any(|it| it.what == what && it.level == Level::Bad)
        };
        assert!(is_bad("uid") && !is_bad("groups") && !is_bad("launcher"));
        let said = format!("{findings:?}");
        assert!(
            !said.contains("usermod") && !said.contains("gpasswd"),
            "{said}"
        );
        let without = |it: &&Finding| it.level == Level::Bad && it.mend.is_none();
        assert_eq!(findings.iter().find(without), None);
    }
}
