//! This host: programs, certificate, folders, what the launcher can do.

use super::{Finding, Level, Place, pam, trouble};
use crate::local::group::{self, ADMIN_GROUP, AdminGroup};
use crate::local::{is_root, programs};
use std::process::{Command, Stdio};

/// Looks at this host.
pub(super) fn look(place: &Place) -> Vec<Finding> {
    let mut findings = vec![launch_program(place)];
    findings.extend(super::state::look(&place.state));
    findings.push(admins(&group::look()));
    findings.extend(launcher(place));
    findings
}

/// Asks `tessera-launch` for its version: both programs come from one build.
fn launch_program(place: &Place) -> Finding {
    let path = match programs::launch(place.launch.as_deref()) {
        Ok(path) => path,
        Err(error) => {
            let mut finding = Finding::bad("launcher", error.to_string());
            finding.mend = error.hints.first().cloned();
            return finding;
        }
    };
    let said = Command::new(&path)
        .arg("--version")
        .stdin(Stdio::null())
        .output();
    let version = said
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .unwrap_or_default();
    let own = env!("CARGO_PKG_VERSION");
    if version.trim().ends_with(own) {
        Finding::good("launcher", format!("{} {own}", path.display()))
    } else {
        Finding::bad(
            "launcher",
            format!(
                "{} says \"{}\", this program is {own}",
                path.display(),
                version.trim()
            ),
        )
        .mend("install both programs from one build")
    }
}

/// Says who beside root administers a farm whose supervisor runs here.
fn admins(group: &AdminGroup) -> Finding {
    let only_root = "of a farm that root runs here only root is an administrator";
    match group {
        AdminGroup::Missing => Finding::new(
            Level::Note,
            "admins",
            format!("there is no group {ADMIN_GROUP}: {only_root}"),
        )
        .mend(format!(
            "sudo tessera up makes it, or: sudo groupadd --system {ADMIN_GROUP}"
        )),
        AdminGroup::There(members) if members.is_empty() => Finding::new(
            Level::Note,
            "admins",
            format!("nobody is in the group {ADMIN_GROUP}: {only_root}"),
        )
        .mend(format!("sudo usermod -aG {ADMIN_GROUP} NAME adds a person")),
        AdminGroup::There(members) => Finding::good(
            "admins",
            format!(
                "of a farm that root runs here: root and the group {ADMIN_GROUP}: {}",
                members.join(", ")
            ),
        ),
    }
}

/// Repeats what `tessera-launch check` says; only root can ask.
fn launcher(place: &Place) -> Vec<Finding> {
    if !is_root() {
        return vec![
            Finding::new(
                Level::Note,
                "identity",
                "who jobs can become is seen by root only",
            )
            .mend("sudo tessera doctor"),
        ];
    }
    if !place.state.join("launcher").exists() {
        return Vec::new();
    }
    match check(place) {
        Ok(lines) => lines.into_iter().flat_map(judge).collect(),
        Err(said) => {
            let mend = trouble::mend(&said, &place.state);
            vec![Finding::bad("identity", said).mend(mend)]
        }
    }
}

/// Asks the launcher what it can do on this host: lines of `name: value`.
pub(super) fn check(place: &Place) -> Result<Vec<String>, String> {
    ask(place, &[])
}

/// Asks the launcher's own rules whether jobs can run as an account: `yes: …` or `no: CODE: …`.
pub(super) fn verdict(place: &Place, account: &str) -> Result<String, String> {
    ask(place, &["--as", account]).map(|lines| lines.join(" "))
}

fn ask(place: &Place, more: &[&str]) -> Result<Vec<String>, String> {
    let launch = programs::launch(place.launch.as_deref()).map_err(|error| error.to_string())?;
    let output = Command::new(launch)
        .args(["check", "--state"])
        .arg(&place.state)
        .args(more)
        .stdin(Stdio::null())
        .output();
    let output = output.map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if !output.status.success() {
        return Err(text(&output.stderr));
    }
    Ok(text(&output.stdout).lines().map(str::to_owned).collect())
}

fn judge(line: String) -> Vec<Finding> {
    match pam::said(&line) {
        Some(said) => pam::service(said),
        None => vec![judge_other(line)],
    }
}

fn judge_other(line: String) -> Finding {
    if line.contains("can't be used") {
        return Finding::bad("identity", line)
            .mend("make the account, or change the launcher's policy");
    }
    if line == "containment: session" {
        return Finding::new(Level::Warning, "identity", line)
            .mend("mount cgroup v2: without it what a frame leaves behind is found less surely");
    }
    if let Some(limits) = line.strip_prefix("limits: ") {
        return judge_limits(limits);
    }
    Finding::good("identity", line)
}

/// Says what the kernel keeps jobs to here and what it can't.
fn judge_limits(limits: &str) -> Finding {
    let has = |controller: &&str| limits.split(", ").any(|it| it == *controller);
    let missing: Vec<&str> = ["memory", "pids", "cpu"]
        .into_iter()
        .filter(|it| !has(it))
        .collect();
    if missing.is_empty() {
        let text = format!("jobs are kept to what they reserve of {limits}");
        return Finding::good("limits", text);
    }
    let text = format!(
        "jobs are not kept to what they reserve of {}: the system has no such controller for us",
        missing.join(", ")
    );
    Finding::new(Level::Warning, "limits", text).mend(
        "the launcher's unit needs Delegate=yes (tessera worker install writes it) and the kernel cgroup v2 with these controllers",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_can_not_be_kept_are_told() {
        let all = judge_other("limits: memory, pids, cpu".into());
        assert_eq!(all.level, Level::Good);
        let some = judge_other("limits: pids".into());
        assert_eq!(some.level, Level::Warning);
        assert!(some.text.contains("memory, cpu"), "{}", some.text);
        let none = judge_other("limits: none".into());
        assert!(none.text.contains("memory, pids, cpu"), "{}", none.text);
        assert!(none.mend.is_some_and(|mend| mend.contains("Delegate=yes")));
    }

    #[test]
    fn the_administrators_group_is_told() {
        let missing = admins(&AdminGroup::Missing);
        assert_eq!(missing.level, Level::Note);
        assert!(missing.mend.is_some_and(|mend| mend.contains("groupadd")));
        let empty = admins(&AdminGroup::There(Vec::new()));
        assert!(empty.mend.is_some_and(|mend| mend.contains("usermod")));
        let there = admins(&AdminGroup::There(vec!["mia".into()]));
        assert_eq!(there.level, Level::Good);
        assert!(there.text.ends_with("tessera-admin: mia"), "{}", there.text);
    }
}
