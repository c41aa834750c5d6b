//! A job for the tests of this crate: prints the whole of its credential state as JSON, a line for each part, so that a
//! test can compare all of it and notice what nobody thought of.

use std::fs;

#[path = "../tests/common/limits.rs"]
mod limits;

use limits::LIMITS;

fn main() {
    let status = fs::read_to_string("/proc/self/status").expect("reads its status");
    let field = |name: &str| {
        let line = status
            .lines()
            .find_map(|it| it.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_default()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    // SAFETY: these take numbers only, and none can fail for the process itself.
    let (pid, session, group) = unsafe { (libc::getpid(), libc::getsid(0), libc::getpgrp()) };
    // SAFETY: as above.
    let (dumpable, nice, policy) = unsafe {
        (
            libc::prctl(libc::PR_GET_DUMPABLE),
            libc::getpriority(libc::PRIO_PROCESS, 0),
            libc::sched_getscheduler(0),
        )
    };
    let mut death = 0;
    // SAFETY: the place lives for the call.
    unsafe { libc::prctl(libc::PR_GET_PDEATHSIG, &raw mut death) };
    let mut parts: Vec<(&str, String)> = Vec::new();
    for (name, of) in [("uids", "Uid"), ("gids", "Gid"), ("groups", "Groups")] {
        parts.push((name, format!("[{}]", field(of).replace(' ', ", "))));
    }
    for name in [
        "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "SigPnd", "SigBlk", "SigIgn", "SigCgt",
    ] {
        parts.push((name, quoted(&field(name))));
    }
    parts.push(("no_new_privs", field("NoNewPrivs")));
    parts.push(("seccomp", field("Seccomp")));
    parts.push(("umask", quoted(&field("Umask"))));
    parts.push(("dumpable", dumpable.to_string()));
    parts.push(("death_signal", death.to_string()));
    parts.push(("nice", nice.to_string()));
    parts.push(("scheduler", policy.to_string()));
    let oom = fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default();
    parts.push(("oom_score_adj", oom.trim().to_owned()));
    parts.push(("limits", limits()));
    parts.push(("descriptors", descriptors()));
    let cwd = std::env::current_dir().expect("is somewhere");
    parts.push(("cwd", quoted(&cwd.to_string_lossy())));
    let mut names: Vec<String> = std::env::vars_os()
        .map(|(name, _)| quoted(&name.to_string_lossy()))
        .collect();
    names.sort();
    parts.push(("environment", format!("[{}]", names.join(", "))));
    parts.push(("leads_its_session", (pid == session).to_string()));
    parts.push(("leads_its_group", (pid == group).to_string()));
    parts.push(("terminal", terminal().to_string()));
    parts.push(("cgroup", quoted(&cgroup())));
    parts.push(("keyring", quoted(&keyring())));
    let lines: Vec<String> = parts
        .iter()
        .map(|(name, value)| format!("  \"{name}\": {value}"))
        .collect();
    println!("{{\n{}\n}}", lines.join(",\n"));
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

fn limits() -> String {
    let one = |(name, resource): (&str, libc::__rlimit_resource_t)| {
        let mut limit = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: the place lives for the call.
        unsafe { libc::getrlimit(resource, &raw mut limit) };
        format!("\"{name}\": [{}, {}]", limit.rlim_cur, limit.rlim_max)
    };
    let all: Vec<String> = LIMITS.into_iter().map(one).collect();
    format!("{{{}}}", all.join(", "))
}

/// What is open, but for the list itself.
fn descriptors() -> String {
    let list = fs::read_dir("/proc/self/fd").expect("lists its descriptors");
    let names = list.flatten().map(|it| it.file_name());
    let mut open: Vec<(u32, String)> = names
        .filter_map(|name| {
            let number = name.to_str()?.parse().ok()?;
            let target = fs::read_link(format!("/proc/self/fd/{number}")).ok()?;
            let target = target.to_string_lossy().into_owned();
            let kind = target.split(':').next().unwrap_or_default();
            (!target.starts_with("/proc/")).then(|| (number, kind.to_owned()))
        })
        .collect();
    open.sort();
    let all: Vec<String> = open
        .iter()
        .map(|(number, kind)| format!("\"{number} {kind}\""))
        .collect();
    format!("[{}]", all.join(", "))
}

fn terminal() -> i64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let rest = stat.rsplit_once(") ").map_or("", |it| it.1);
    rest.split(' ')
        .nth(4)
        .and_then(|it| it.parse().ok())
        .unwrap_or(-1)
}

fn cgroup() -> String {
    let all = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = all.lines().find_map(|it| it.strip_prefix("0::"));
    own.unwrap_or_default().to_owned()
}

/// What is in the session's keyring, and whether the key is found that the tests plant in the launcher's.
fn keyring() -> String {
    const SESSION: libc::c_long = -3;
    const READ: libc::c_long = 11;
    const SEARCH: libc::c_long = 10;
    let mut keys = [0i32; 64];
    let size = size_of_val(&keys);
    // SAFETY: the place lives for the call and has the size that is told.
    let read = unsafe { libc::syscall(libc::SYS_keyctl, READ, SESSION, keys.as_mut_ptr(), size) };
    // SAFETY: both texts are C strings that live for the call.
    let found = unsafe {
        let (kind, name) = (c"user".as_ptr(), c"tessera-canary".as_ptr());
        libc::syscall(libc::SYS_keyctl, SEARCH, SESSION, kind, name, 0)
    };
    match (read, found) {
        (0, found) if found < 0 => "empty".to_owned(),
        (read, found) if read < 0 && found < 0 => "none".to_owned(),
        (read, found) => format!("{read} bytes of keys, canary {found}"),
    }
}
