//! The starter: already the user, trusted with nothing but starting the next process of its instance.
//!
//! For each item it clones a child whose parent is the shepherd. The child shares this process's memory until it executes
//! its program, and this process waits for that (as `vfork` does), so a start costs the same however large the farm is.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

use tessera_ticket::shepherd::{CHAIN_LEN, Chain};
use tessera_ticket::{
    CommandError, LaunchKey, Limit, PATH_MAP_BYTES_MAX, PathMap, Resource, Step,
    TEMPLATE_BYTES_MAX, Template,
};

use crate::login;
use tessera_sys::child::{self, Program, Stack};
use tessera_sys::{At as _, Errno, Failed, Sys, file, ids, process, socket};

/// Orders of the shepherd, and answers to it.
pub const ORDERS_FD: RawFd = 3;
/// The template in a memory file.
pub const TEMPLATE_FD: RawFd = 4;
/// Words between an item's child and the shepherd.
pub const SHAKE_FD: RawFd = 5;
/// The host's table of paths in a memory file.
pub const PATHS_FD: RawFd = 6;
/// Where the login shell's environment comes from: a pipe, or a memory file with what it said lately.
pub const LOGIN_FD: RawFd = 7;
/// The memory file that keeps what the login shell says.
pub const KEEP_FD: RawFd = 8;
/// The variables of the PAM session in a memory file.
pub const PAM_FD: RawFd = 9;

/// What does not change from item to item.
struct Starter {
    key: LaunchKey,
    template: Template,
    /// How paths of other systems are called here.
    paths: PathMap,
    /// The account's variables and the job's own.
    env: Vec<(String, String)>,
    shepherd: i32,
    stack: Stack,
}

/// All that the child needs; made before the clone, since the child must not allocate.
struct Item<'a> {
    item: u32,
    attempt: u32,
    shepherd: i32,
    out: RawFd,
    err: RawFd,
    directory: CString,
    limits: &'a [Limit],
    program: Program,
}

/// Serves the shepherd until it goes away. `key` is the launch; `more` are words for what else stands at its place: `pam`,
/// `keep`, `kept`, and `login` if the user's login shell is asked.
pub fn run(key: &str, more: &[&str]) -> i32 {
    let Ok(mut starter) = Starter::new(key) else {
        return 70;
    };
    let begun = starter.take_variables(more);
    if more.contains(&"login") || more.contains(&"kept") {
        let word = match begun {
            Ok(()) => Chain::Ready,
            Err(Errno(errno)) => Chain::Failed {
                item: 0,
                attempt: 0,
                step: Step::Login,
                errno,
            },
        };
        if send_waiting(&word.encode()).is_err() {
            return 0;
        }
    } else if begun.is_err() {
        return 73;
    }
    let mut buffer = [0; CHAIN_LEN];
    loop {
        let orders = file::standing(ORDERS_FD);
        let Ok(packet) = socket::receive(orders, &mut buffer, 0) else {
            return 71;
        };
        if packet.len == 0 {
            return 0;
        }
        let fds = packet.fds;
        let Ok(Chain::Start { item, attempt }) = Chain::decode(&buffer[..packet.len]) else {
            return 72;
        };
        let answer = match starter.start(item, attempt, fds) {
            Ok(()) => Chain::Running { item, attempt },
            Err(Failed { step, errno }) => Chain::Failed {
                item,
                attempt,
                step,
                errno,
            },
        };
        if send_waiting(&answer.encode()).is_err() {
            return 0;
        }
    }
}

fn send_waiting(bytes: &[u8]) -> Sys<()> {
    loop {
        match socket::send(ORDERS_FD, bytes, &[]) {
            Err(Errno(libc::EAGAIN)) => {
                tessera_sys::poll(&mut [tessera_sys::entry(ORDERS_FD, libc::POLLOUT)], None)?;
            }
            other => return other,
        }
    }
}

impl Starter {
    fn new(key: &str) -> Sys<Self> {
        for fd in [ORDERS_FD, TEMPLATE_FD, SHAKE_FD, PATHS_FD] {
            file::set_close_on_exec(fd, true)?;
        }
        process::default_signals()?;
        let template: OwnedFd = file::owned(TEMPLATE_FD);
        let bytes = file::read_all(&template, TEMPLATE_BYTES_MAX)?;
        let template = Template::decode(&bytes).map_err(|_| Errno(libc::EPROTO))?;
        let paths: OwnedFd = file::owned(PATHS_FD);
        let bytes = file::read_all(&paths, PATH_MAP_BYTES_MAX)?;
        let paths = PathMap::decode(&bytes).map_err(|_| Errno(libc::EPROTO))?;
        process::set_umask(u32::from(template.umask));
        // No core files unless the job asked for them when it was submitted.
        let wants_core = template
            .limits
            .iter()
            .any(|it| it.resource == Resource::Core);
        process::limit(libc::RLIMIT_CORE, 0, if wants_core { u64::MAX } else { 0 })?;
        let env = start_env(&template, Vec::new());
        let key = key.parse().map_err(|_| Errno(libc::EINVAL))?;
        let shepherd = process::parent_pid();
        Ok(Self {
            key,
            template,
            paths,
            env,
            shepherd,
            stack: Stack::default(),
        })
    }

    /// Takes the variables of the PAM session and of the login shell: between those of the account and the job's own.
    fn take_variables(&mut self, more: &[&str]) -> Sys<()> {
        let [login, keep, pam] = [LOGIN_FD, KEEP_FD, PAM_FD].map(file::owned);
        for fd in [&login, &keep, &pam] {
            file::set_close_on_exec(fd.as_raw_fd(), true)?;
        }
        let has = |word| more.contains(&word);
        let mut env = if has("pam") {
            login::of_session(&pam)?
        } else {
            Vec::new()
        };
        if has("kept") {
            env.extend(login::kept(&login)?);
        } else if has("login") {
            let bytes = login::read(&login)?;
            if has("keep") {
                login::keep(&keep, &bytes);
            }
            env.extend(login::decode(&bytes).ok_or(Errno(libc::EPROTO))?);
        }
        self.env = start_env(&self.template, env);
        Ok(())
    }

    /// Starts an item; returns when its program runs or has failed to.
    fn start(&mut self, item: u32, attempt: u32, fds: Vec<OwnedFd>) -> Result<(), Failed> {
        let wrong = Failed {
            step: Step::Command,
            errno: libc::EINVAL,
        };
        let [out, err]: [OwnedFd; 2] = fds.try_into().map_err(|_| wrong)?;
        let argv = self.template.argv_of(item, &self.paths);
        let argv = argv.map_err(|e| Failed {
            step: Step::Command,
            errno: match e {
                CommandError::NoItem => libc::EINVAL,
                CommandError::TooLong => libc::E2BIG,
            },
        })?;
        let env = self.item_env(item, attempt);
        let programs = programs(&argv[0], &env).at(Step::Command)?;
        let directory = self.directory(&env).at(Step::Directory)?;
        let argv = process::c_strings(argv.iter().map(String::as_str)).at(Step::Command)?;
        let env = env
            .iter()
            .map(|(name, value)| file::c_string(&format!("{name}={value}")));
        let env = env.collect::<Sys<Vec<CString>>>().at(Step::Command)?;
        let child = Item {
            item,
            attempt,
            shepherd: self.shepherd,
            out: out.as_raw_fd(),
            err: err.as_raw_fd(),
            directory,
            limits: &self.template.limits,
            program: Program::new(programs, argv, env),
        };
        // A program that is executed takes the child out of this process's memory; only a failure is said.
        let said = child::clone_sibling(&mut self.stack, &|| begin(&child));
        let failed = said.map_err(|Errno(errno)| {
            let step = if errno == libc::EAGAIN {
                Step::ProcessLimit
            } else {
                Step::Prepare
            };
            Failed { step, errno }
        })?;
        failed.map_or(Ok(()), Err)
    }

    fn item_env(&self, item: u32, attempt: u32) -> Vec<(String, String)> {
        let farm = self.template.farm_env(self.key, item, attempt);
        let names: BTreeSet<&str> = farm.iter().map(|(name, _)| name.as_str()).collect();
        let own = self
            .env
            .iter()
            .filter(|(name, _)| !names.contains(name.as_str()))
            .cloned();
        let mut env: Vec<_> = own.collect();
        env.extend(farm);
        env
    }

    fn directory(&self, env: &[(String, String)]) -> Sys<CString> {
        let named = self.template.cwd_here(&self.paths);
        let cwd = match named.as_str() {
            "" => value_of(env, "HOME").unwrap_or("/"),
            named => named,
        };
        if !cwd.starts_with('/') {
            // Never entered from wherever the starter is: of another system, perhaps.
            return Err(Errno(libc::ENOENT));
        }
        file::c_string(cwd)
    }
}

/// Joins the variables that this process was given with those of session and login shell and the job's own; the later ones win.
fn start_env(template: &Template, more: Vec<(String, String)>) -> Vec<(String, String)> {
    let given = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut env: Vec<(String, String)> = Vec::new();
    for (name, value) in given.chain(more).chain(template.env.iter().cloned()) {
        match env.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None => env.push((name, value)),
        }
    }
    env
}

fn value_of<'a>(env: &'a [(String, String)], name: &str) -> Option<&'a str> {
    env.iter()
        .find(|(it, _)| it == name)
        .map(|(_, value)| value.as_str())
}

/// Lists where a program may be: itself if it names a path, else along the PATH of the new environment.
fn programs(name: &str, env: &[(String, String)]) -> Sys<Vec<CString>> {
    if name.contains('/') {
        return Ok(vec![file::c_string(name)?]);
    }
    let path = value_of(env, "PATH").unwrap_or("/usr/bin:/bin");
    let absolute = path.split(':').filter(|dir| dir.starts_with('/'));
    absolute
        .map(|dir| file::c_string(&format!("{dir}/{name}")))
        .collect()
}

/// Goes through the steps up to the program; only ever returns a failure.
fn begin(item: &Item<'_>) -> Failed {
    match prepare(item) {
        Err(failed) => failed,
        Ok(()) => Failed {
            step: Step::Exec,
            errno: item.program.execute().0,
        },
    }
}

fn prepare(item: &Item<'_>) -> Result<(), Failed> {
    ids::death_signal(libc::SIGKILL).at(Step::DeathSignal)?;
    if process::parent_pid() != item.shepherd {
        return Err(Failed {
            step: Step::DeathSignal,
            errno: libc::ESRCH,
        });
    }
    process::new_session().at(Step::Session)?;
    file::duplicate_to(item.out, 1).at(Step::Descriptors)?;
    file::duplicate_to(item.err, 2).at(Step::Descriptors)?;
    wait_for_go(item)?;
    for limit in item.limits {
        process::limit(number_of(limit.resource), limit.soft, limit.hard).at(Step::Limits)?;
    }
    process::change_dir(&item.directory).at(Step::Directory)?;
    process::close_on_exec_from(3).at(Step::CloseOthers)
}

/// Tells the shepherd that this process is there and waits until it is contained. Words meant for a child before this one
/// are passed over.
fn wait_for_go(item: &Item<'_>) -> Result<(), Failed> {
    let (number, attempt) = (item.item, item.attempt);
    let here = Chain::Here {
        item: number,
        attempt,
    }
    .encode();
    socket::send(SHAKE_FD, &here, &[]).at(Step::Cgroup)?;
    let mut buffer = [0; CHAIN_LEN];
    loop {
        let len = receive_plain(SHAKE_FD, &mut buffer).at(Step::Cgroup)?;
        match Chain::decode(&buffer[..len]) {
            Ok(Chain::Go { item, attempt: a }) if (item, a) == (number, attempt) => return Ok(()),
            Ok(Chain::Stop { item, attempt: a }) if (item, a) == (number, attempt) => {
                return Err(Failed {
                    step: Step::Cancelled,
                    errno: 0,
                });
            }
            _ if len == 0 => {
                return Err(Failed {
                    step: Step::Cgroup,
                    errno: libc::EPIPE,
                });
            }
            _ => {}
        }
    }
}

/// Receives without descriptors, so without allocating.
fn receive_plain(fd: RawFd, buffer: &mut [u8]) -> Sys<usize> {
    file::read(file::standing(fd), buffer)
}

fn number_of(resource: Resource) -> libc::__rlimit_resource_t {
    match resource {
        Resource::Core => libc::RLIMIT_CORE,
        Resource::OpenFiles => libc::RLIMIT_NOFILE,
        Resource::AddressSpace => libc::RLIMIT_AS,
        Resource::Cpu => libc::RLIMIT_CPU,
        Resource::FileSize => libc::RLIMIT_FSIZE,
        Resource::Processes => libc::RLIMIT_NPROC,
        Resource::Stack => libc::RLIMIT_STACK,
        Resource::LockedMemory => libc::RLIMIT_MEMLOCK,
        Resource::Data => libc::RLIMIT_DATA,
    }
}
