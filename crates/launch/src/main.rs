//! `tessera-launch`: the one program of the farm that crosses from one user to another.
//!
//! `launcher` (root), the shepherds that it forks, and their starters; `supervise`, which keeps the daemons of a host
//! running under their accounts; the desktop mode's variants of the same, without any privilege. One thread each.

#![forbid(unsafe_code)]

mod launcher;
mod nonces;

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;

use tessera_identity::paths::open_trusted_dir;
use tessera_pam::holder;
use tessera_shepherd::{login, starter};
use tessera_sys as sys;
use tessera_sys::cgroup;
use {tessera_clear as clear, tessera_desktop as desktop, tessera_supervise as supervise};

const USAGE: &str = "\
tessera-launch: starts jobs as their users, for the worker of a Tessera farm

usage:
  tessera-launch launcher --state DIR [--socket PATH]
      serve the worker of this host (as root)
  tessera-launch supervise --state DIR [--tessera PATH] [--listen ADDR] [--slots N] [--ephemeral] [-- ARG...]
      run supervisor, launcher and worker under their accounts (as root)
  tessera-launch check --state DIR [--as ACCOUNT]
      say what this host can do and what stands against it, or whether jobs can run as an account (as root)
  tessera-launch audit --state DIR
      say whether the record of what was started and refused is whole (as root)
  tessera-launch --version | --help

Started by other parts of the farm, not by hand: starter, login, login-print, clear, pam-holder, pam-check, desktop-shepherd,
desktop-capabilities, desktop-gone.
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|it| it.to_string_lossy().into_owned())
        .collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["starter", key, more @ ..] => exit(starter::run(key, more)),
        ["login", more @ ..] => exit(login::run(more == ["pam"])),
        ["pam-holder", service, user, launch] => exit(holder::run(service, user, launch)),
        ["pam-check", service, user] => exit(holder::check(service, user)),
        ["login-print"] => exit(login::print()),
        ["clear", rest @ ..] => report(clear::Order::parse(rest).and_then(|it| clear::run(&it))),
        ["launcher", rest @ ..] => report(launcher_command(rest)),
        ["supervise", rest @ ..] => {
            report(supervise::Options::parse(rest).and_then(|it| supervise::run(&it)))
        }
        ["check", "--state", state] => report(check(state)),
        ["check", "--state", state, "--as", name] => report(check_as(state, name)),
        ["audit", "--state", state] => report(audit(state)),
        ["desktop-shepherd" | "desktop-capabilities"] => report(desktop::serve(None, "")),
        ["desktop-shepherd", "--tmp", tmp] => report(desktop::serve(Some(tmp), "")),
        ["desktop-shepherd", "--tmp", tmp, "--pass", names] => {
            report(desktop::serve(Some(tmp), names))
        }
        ["desktop-gone", key] => report(desktop::gone(key, None)),
        ["desktop-gone", key, "--tmp", tmp] => report(desktop::gone(key, Some(tmp))),
        ["--version" | "-V"] => print(&format!("tessera-launch {}\n", env!("CARGO_PKG_VERSION"))),
        ["--help" | "-h" | "help"] => print(USAGE),
        _ => {
            sys::say("unknown arguments; `tessera-launch --help` lists them");
            ExitCode::from(2)
        }
    }
}

fn launcher_command(args: &[&str]) -> Result<(), String> {
    let (mut state, mut socket) = (None, None);
    let mut rest = args.iter();
    while let Some(word) = rest.next() {
        match *word {
            "--state" => state = Some(value(word, rest.next())?),
            "--socket" => socket = Some(PathBuf::from(value(word, rest.next())?)),
            other => return Err(format!("unknown option `{other}`")),
        }
    }
    let state = state.ok_or("`--state DIR` is missing")?;
    launcher::run(state.as_ref(), socket.as_deref())
}

fn value(word: &str, next: Option<&&str>) -> Result<String, String> {
    next.map(|it| (*it).to_owned())
        .ok_or(format!("`{word}` needs a value"))
}

/// Prints what this host can do, a line for each.
fn check(state: &str) -> Result<(), String> {
    let config = launcher::Config::load(state.as_ref())?;
    let what = launcher::capabilities_of(&config.rules, sys::wall_ms());
    let groups = cgroup::farm_dir(cgroup::Place::System, &config.farm_text, &config.host_text);
    let groups = groups.ok().flatten();
    let limits = tessera_sys::limits::available(groups.as_ref().map(AsFd::as_fd)).join(", ");
    let containment = if groups.is_some() {
        "cgroup"
    } else {
        "session"
    };
    let limits = if limits.is_empty() {
        "none".to_owned()
    } else {
        limits
    };
    let proxy = match what.proxy_uid {
        Some(uid) => format!("{} (uid {uid})", what.proxy_account),
        None => format!(
            "{} can't be used: {}",
            what.proxy_account, what.proxy_problem
        ),
    };
    let service = config.rules.as_ref().map(|it| &it.policy.pam_service);
    let pam = service.map_or_else(|_| String::new(), |it| holder::in_words(it));
    let text = format!(
        "containment: {containment}\nlimits: {limits}\nmodes: {}\nproxy_account: {proxy}\nuid_min: {}\nno_new_privs: {}\npam_service: {pam}\n",
        what.modes.join(", "),
        what.uid_min,
        if what.no_new_privs { "yes" } else { "no" },
    );
    sys::file::write_all(1, text.as_bytes()).map_err(|e| e.to_string())
}

/// Prints what the record holds; a line that is missing or was changed is an error.
fn audit(state: &str) -> Result<(), String> {
    let (dir, _) = open_trusted_dir(&PathBuf::from(state).join("launcher"))?;
    let text = tessera_audit::verify(&dir)?;
    sys::file::write_all(1, text.as_bytes()).map_err(|e| e.to_string())
}

/// Prints what becomes of a job that is to run as an account, by the launcher's own rules; nothing is started.
fn check_as(state: &str, name: &str) -> Result<(), String> {
    let config = launcher::Config::load(state.as_ref())?;
    let rules = config
        .rules
        .as_ref()
        .map_err(tessera_ticket::Refusal::reason_and_hint)?;
    let text = match rules.verdict(name, sys::wall_ms()) {
        Ok(account) if !rules.policy.pam_service.is_empty() => {
            let service = &rules.policy.pam_service;
            format!(
                "yes: {}; PAM service {service} lets it in",
                account.in_words()
            )
        }
        Ok(account) => format!("yes: {}", account.in_words()),
        Err(refusal) => format!("no: {}: {}", refusal.code(), refusal.reason_and_hint()),
    };
    sys::file::write_all(1, format!("{text}\n").as_bytes()).map_err(|e| e.to_string())
}

fn report(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            sys::say(&text);
            ExitCode::FAILURE
        }
    }
}

fn print(text: &str) -> ExitCode {
    exit(i32::from(sys::file::write_all(1, text.as_bytes()).is_err()))
}

fn exit(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
