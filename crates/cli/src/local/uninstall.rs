//! `tessera uninstall`: takes away what `tessera up` made as root.

use super::group::{self, ADMIN_GROUP, Fate};
use super::{is_root, processes};
use crate::Exit;
use crate::args::UninstallArgs;
use crate::error::CliError;
use crate::run::Context;
use serde::Serialize;
use std::path::Path;
use std::process::{Command, Stdio};

/// The accounts that are made without a password, and removed here.
const ACCOUNTS: [&str; 4] = [
    "tessera-supervisor",
    "tessera",
    "tessera-shepherd",
    "tessera-job",
];

/// What goes, or would.
#[derive(Debug, Serialize)]
struct Plan {
    /// Whether it is done, or only said.
    done: bool,
    accounts: Vec<&'static str>,
    group: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_stays: Option<String>,
    folder: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    folder_stays: Option<String>,
}

impl Plan {
    fn of(args: &UninstallArgs) -> Self {
        let folder = args
            .state
            .is_dir()
            .then(|| args.state.display().to_string());
        let (folder, folder_stays) = if args.purge {
            (folder, None)
        } else {
            (None, folder)
        };
        let (group, group_stays) = match group::fate(&args.state) {
            Fate::Nothing => (None, None),
            Fate::Goes => (Some(ADMIN_GROUP), None),
            Fate::Stays(why) => (None, Some(why)),
        };
        Self {
            done: args.yes,
            accounts: ACCOUNTS.into_iter().filter(|name| exists(name)).collect(),
            group,
            group_stays,
            folder,
            folder_stays,
        }
    }

    fn print(&self) -> String {
        let verb = if self.done {
            "removing"
        } else {
            "would remove"
        };
        let mut said = String::new();
        for account in &self.accounts {
            said += &format!("{verb} the account {account}\n");
        }
        if let Some(group) = self.group {
            said += &format!("{verb} the group {group}\n");
        }
        if let Some(why) = &self.group_stays {
            said += &format!("the group {ADMIN_GROUP} stays ({why})\n");
        }
        if let Some(folder) = &self.folder {
            said += &format!("{verb} {folder} with all jobs, logs and keys\n");
        }
        if let Some(folder) = &self.folder_stays {
            said += &format!("{folder} stays (--purge removes it)\n");
        }
        if said.is_empty() {
            said = "there is nothing to remove\n".to_owned();
        }
        said
    }

    fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.group.is_none() && self.folder.is_none()
    }
}

/// Removes the accounts and their group, and with `--purge` the farm's folder; without `--yes` it says what would go.
pub(crate) fn uninstall(args: &UninstallArgs, context: &Context) -> Result<Exit, CliError> {
    if args.yes {
        refuse_unless_idle(&args.state)?;
    }
    let plan = Plan::of(args);
    context.show(&plan, |_, plan| plan.print())?;
    if !args.yes {
        if !plan.is_empty() && !context.json {
            context.say("nothing was changed; do it with --yes\n");
        }
        return Ok(Exit::Done);
    }
    for account in &plan.accounts {
        remove_account(account)?;
    }
    if plan.group.is_some() {
        group::remove(&args.state)?;
    }
    if plan.folder.is_some() {
        purge(&args.state)?;
    }
    Ok(Exit::Done)
}

/// Answers the accounts of the farm that do not exist here.
pub(crate) fn missing_accounts() -> Vec<&'static str> {
    ACCOUNTS.into_iter().filter(|name| !exists(name)).collect()
}

fn exists(account: &str) -> bool {
    matches!(nix::unistd::User::from_name(account), Ok(Some(_)))
}

fn refuse_unless_idle(state: &Path) -> Result<(), CliError> {
    if !is_root() {
        return Err(
            CliError::new(Exit::Denied, "only root can remove accounts").hint("run it with sudo")
        );
    }
    let running = processes::naming(state);
    if running.is_empty() {
        return Ok(());
    }
    let pids: Vec<String> = running.iter().map(ToString::to_string).collect();
    Err(CliError::new(
        Exit::State,
        format!(
            "the farm at {} runs (processes {})",
            state.display(),
            pids.join(" ")
        ),
    )
    .hint("end it first: Ctrl-C where `tessera up` runs, or stop the services"))
}

/// Removes an account with the system's own tool; its home is none of ours.
fn remove_account(account: &str) -> Result<(), CliError> {
    let output = Command::new("userdel")
        .arg(account)
        .stdin(Stdio::null())
        .output();
    let output = output.map_err(|error| CliError::failed(format!("can't run userdel: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(CliError::failed(format!("userdel {account}: {said}")))
}

/// Removes the farm's folder, if it looks like one.
fn purge(state: &Path) -> Result<(), CliError> {
    let is_farm = state.join("supervisor").is_dir() || state.join("worker").is_dir();
    if !is_farm || state.parent().is_none() {
        return Err(CliError::usage(format!(
            "{} does not look like a farm's folder",
            state.display()
        )));
    }
    std::fs::remove_dir_all(state)
        .map_err(|error| CliError::failed(format!("can't remove {}: {error}", state.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_and_what_stays_is_said() {
        let plan = Plan {
            done: false,
            accounts: vec!["tessera", "tessera-job"],
            group: None,
            group_stays: Some("members: mia".into()),
            folder: None,
            folder_stays: Some("/var/lib/tessera".into()),
        };
        insta::assert_snapshot!(plan.print(), @r"
        would remove the account tessera
        would remove the account tessera-job
        the group tessera-admin stays (members: mia)
        /var/lib/tessera stays (--purge removes it)
        ");
        let plan = Plan {
            done: true,
            accounts: Vec::new(),
            group: Some(ADMIN_GROUP),
            group_stays: None,
            folder: Some("/f".into()),
            folder_stays: None,
        };
        insta::assert_snapshot!(plan.print(), @r"
        removing the group tessera-admin
        removing /f with all jobs, logs and keys
        ");
    }
}
