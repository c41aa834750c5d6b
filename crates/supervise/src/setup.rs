//! What must be there before the daemons start: accounts without passwords, directories with their owners, a policy.

use std::ffi::CString;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use tessera_ticket::{AccountName, ProxyAccount, Refusal};

use tessera_identity::look_up::find_now;
use tessera_identity::paths::{open_trusted_dir, read_trusted};
use tessera_identity::policy::{DEFAULT_POLICY, POLICY_MAX, Policy};
use tessera_identity::user::spawn;
use tessera_sys::ids::Identity;
use tessera_sys::{Errno, Sys, file, process, say};

const NOLOGIN: [&str; 2] = ["/usr/sbin/nologin", "/sbin/nologin"];
const USERADD: [&str; 2] = ["/usr/sbin/useradd", "/sbin/useradd"];

/// The daemons' accounts.
#[derive(Debug)]
pub(crate) struct Accounts {
    pub(crate) supervisor: Identity,
    pub(crate) worker: Identity,
}

/// Makes the state directory if it is missing, and checks that only root can change it and everybody can enter it.
pub(crate) fn state_dir(path: &Path) -> Result<PathBuf, String> {
    if !path.exists() {
        let make = || -> Sys<()> {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                return Err(Errno(libc::EINVAL));
            };
            let parent = file::c_string(&parent.to_string_lossy())?;
            let parent = file::open(&parent, libc::O_RDONLY | libc::O_DIRECTORY)?;
            file::make_dir(
                parent.as_fd(),
                &file::c_string(&name.to_string_lossy())?,
                0o755,
            )
        };
        make().map_err(|e| format!("making {}: {e}", path.display()))?;
        say(&format!("created {}", path.display()));
    }
    let (real, dir) = open_trusted_dir(path)?;
    let mode = file::stat(&dir).map_err(|e| e.to_string())?.st_mode & 0o7777;
    if mode & 0o011 != 0o011 {
        file::chmod(&dir, mode | 0o011).map_err(|e| format!("{}: {e}", real.display()))?;
    }
    for part in real.ancestors() {
        let found = file::c_string(&part.to_string_lossy())
            .and_then(|it| file::stat(file::open(&it, libc::O_RDONLY | libc::O_DIRECTORY)?));
        if found.is_ok_and(|it| it.st_mode & 0o001 == 0) {
            return Err(format!(
                "{}: the daemons' accounts can't enter it; choose another --state, such as /var/lib/tessera",
                part.display()
            ));
        }
    }
    Ok(real)
}

/// Resolves the accounts that the policy names, and makes those that are missing.
pub(crate) fn accounts(state: &Path, slots: u32) -> Result<Accounts, String> {
    let policy = read_policy(state)?;
    let policy = policy.as_deref().unwrap_or(DEFAULT_POLICY);
    let policy = Policy::parse(policy).map_err(|e| format!("launcher/policy: {e}"))?;
    let mut found = Vec::new();
    let names = [
        &policy.supervisor_account,
        &policy.worker_account,
        &policy.shepherd_account,
    ];
    let proxies: Vec<AccountName> = match &policy.proxy_account {
        Some(it @ ProxyAccount::PerSlot { .. }) => {
            // Twice as many, so that nobody waits while the account of an instance that has ended is cleared up.
            let accounts = slots.saturating_mul(2);
            (1..=accounts).filter_map(|slot| it.of_slot(slot)).collect()
        }
        other => other.iter().filter_map(|it| it.of_slot(1)).collect(),
    };
    for name in names.into_iter().chain(&proxies) {
        let account = match find_now(name) {
            Err(Refusal::NoSuchAccount) => {
                add_account(name.as_str()).map_err(|e| format!("creating account {name}: {e}"))?;
                say(&format!(
                    "created account {name} (no password, no login); `tessera uninstall` removes it"
                ));
                find_now(name)
            }
            other => other,
        };
        let account = account.map_err(|e| format!("account {name}: {}", e.code()))?;
        let is_of_slots = matches!(&policy.proxy_account, Some(it) if it.is_of_slots(name));
        if is_of_slots && let Err(refusal) = account.check_for_slots() {
            return Err(format!("account {name}: {}", refusal.reason_and_hint()));
        }
        let identity = account.identity();
        if identity.uid == 0 || identity.gid == 0 {
            return Err(format!(
                "account {name} is root's; the daemons need accounts of their own"
            ));
        }
        found.push(identity);
    }
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(supervisor), Some(worker)) => Ok(Accounts { supervisor, worker }),
        _ => Err("the policy names no accounts".into()),
    }
}

fn read_policy(state: &Path) -> Result<Option<String>, String> {
    let path = state.join("launcher");
    if !path.exists() {
        return Ok(None);
    }
    let (_, dir) = open_trusted_dir(&path)?;
    read_trusted(dir.as_fd(), c"policy", POLICY_MAX)
}

/// Runs `useradd` for a system account that nobody can log in to.
fn add_account(name: &str) -> Sys<()> {
    let open = |paths: &[&str]| {
        let all = paths
            .iter()
            .map(|it| file::open(&file::c_string(it)?, libc::O_RDONLY));
        all.reduce(|first, next| first.or(next))
            .unwrap_or(Err(Errno(libc::ENOENT)))
    };
    let program = open(&USERADD)?;
    let shell = NOLOGIN
        .iter()
        .find(|it| Path::new(it).exists())
        .unwrap_or(&"/bin/false");
    let words = [
        "useradd",
        "--system",
        "--user-group",
        "--no-create-home",
        "--home-dir",
        "/nonexistent",
        "--shell",
        shell,
        name,
    ];
    run(&program, &words)
}

/// Runs a program of the system to its end; another status than 0 is `ECANCELED`.
fn run(program: &OwnedFd, words: &[&str]) -> Sys<()> {
    let argv = process::c_strings(words.iter().copied())?;
    let env: Vec<CString> = process::c_strings(["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C"])?;
    let null = file::open(c"/dev/null", libc::O_RDWR)?;
    let fds = [null.as_raw_fd(), 2, 2];
    let pid = spawn(program.as_fd(), &argv, &env, &fds, None)?;
    match process::wait_for(pid)? {
        0 => Ok(()),
        _ => Err(Errno(libc::ECANCELED)),
    }
}

/// Makes the directories of the farm with their owners: only the state directory itself and `run` can be entered by all.
pub(crate) fn directories(state: &Path, accounts: &Accounts) -> Result<(), String> {
    let (_, dir) = open_trusted_dir(state)?;
    let supervisor = (accounts.supervisor.uid, accounts.supervisor.gid);
    let worker = (accounts.worker.uid, accounts.worker.gid);
    // In `run` the supervisor and the launcher have their sockets; sticky, so that neither can replace the other's.
    let wanted = [
        (c"launcher", (0, 0), 0o700),
        (c"run", (0, supervisor.1), 0o1775),
        (c"supervisor", supervisor, 0o700),
        (c"worker", worker, 0o700),
    ];
    for (name, (uid, gid), mode) in wanted {
        let result = (|| {
            match file::make_dir(dir.as_fd(), name, 0o700) {
                Ok(()) | Err(Errno(libc::EEXIST)) => {}
                Err(errno) => return Err(errno),
            }
            let it = file::open_dir(dir.as_fd(), name)?;
            file::chown(&it, uid, gid)?;
            file::chmod(&it, mode)
        })();
        result.map_err(|e| format!("{}/{}: {e}", state.display(), name.to_string_lossy()))?;
    }
    Ok(())
}

/// Writes the default policy where there is none.
pub(crate) fn write_policy_if_missing(state: &Path) -> Result<(), String> {
    let (_, dir) = open_trusted_dir(&state.join("launcher"))?;
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL;
    match file::open_at(dir.as_fd(), c"policy", flags, 0o644) {
        Ok(fd) => {
            let path = state.join("launcher/policy");
            say(&format!(
                "wrote {}: who jobs may run as on this host",
                path.display()
            ));
            file::write_all(fd.as_raw_fd(), DEFAULT_POLICY.as_bytes()).map_err(|e| e.to_string())
        }
        Err(Errno(libc::EEXIST)) => Ok(()),
        Err(errno) => Err(format!("launcher/policy: {errno}")),
    }
}
