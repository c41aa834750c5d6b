//! `tessera uninstall`: takes away what `tessera up` made as root.

use super::{is_root, processes};
use crate::args::UninstallArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::run::Context;
use std::path::Path;
use std::process::{Command, Stdio};

/// The accounts that are made without a password, and removed here.
const ACCOUNTS: [&str; 4] = [
    "tessera-supervisor",
    "tessera",
    "tessera-shepherd",
    "tessera-job",
];

/// Removes the accounts, and with `--purge` the farm's folder; without `--yes` it says what would go.
pub(crate) fn uninstall(args: &UninstallArgs, context: &Context) -> Result<Exit, CliError> {
    let accounts: Vec<&str> = ACCOUNTS.into_iter().filter(|name| exists(name)).collect();
    let has_state = args.state.is_dir();
    if args.yes {
        refuse_unless_idle(&args.state)?;
    }
    let verb = if args.yes { "removing" } else { "would remove" };
    let mut said = String::new();
    for account in &accounts {
        said += &format!("{verb} the account {account}\n");
    }
    if has_state && args.purge {
        said += &format!(
            "{verb} {} with all jobs, logs and keys\n",
            args.state.display()
        );
    } else if has_state {
        said += &format!("{} stays (--purge removes it)\n", args.state.display());
    }
    if said.is_empty() {
        said = "there is nothing to remove\n".to_owned();
    }
    context.print(&said)?;
    if !args.yes {
        if !accounts.is_empty() {
            context.say("nothing was changed; do it with --yes\n");
        }
        return Ok(Exit::Done);
    }
    for account in accounts {
        remove_account(account)?;
    }
    if has_state && args.purge {
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
