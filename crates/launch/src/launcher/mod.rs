//! The launcher: the only program of the farm that stays root. It checks tickets, resolves accounts, makes control groups,
//! starts shepherds, and vouches for instances being gone. One thread, one loop, no network.

mod begins;
mod config;
mod instances;
mod requests;
mod tidy;
mod unasked;

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tessera_audit::Audit;
use tessera_ticket::LaunchKey;
use tessera_ticket::launcher::{FRAME_MAX, Reply, Request};

use begins::Said;
pub(crate) use config::Config;
use instances::Instances;
pub(crate) use requests::capabilities_of;
use requests::{Start, Starting};

use tidy::{Done, Tidy};
use unasked::Unasked;

use crate::nonces::Nonces;
use tessera_identity::account::Account;
use tessera_identity::queue::LookUps;
use tessera_identity::slots::Slots;
use tessera_identity::tmpdir::Parent;
use tessera_shepherd::kept::Kept;
use tessera_sys::cgroup::Place;
use tessera_sys::limits::{Trees, remove_farm_dirs};
use tessera_sys::procs;
use tessera_sys::{
    Errno, Sys, entry, file, host_name, poll, process, readable, say, socket, wall_ms,
};

/// The most connections at once; further ones wait in the socket's queue.
const CONNECTIONS_MAX: usize = 128;
/// A connection that has nothing under way and says nothing for so long is closed.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// The most answers that wait for a worker that does not listen.
const UNSENT_MAX: usize = 256;
/// How often expired tickets are forgotten and groups without a shepherd are looked for.
const CHORES: Duration = Duration::from_secs(60);
/// How long a former launcher may still hold the lock.
const LOCK_TIME: Duration = Duration::from_secs(10);

/// The launcher's whole state.
pub(crate) struct Launcher {
    config: Config,
    host: String,
    /// Held as long as this process lives.
    _lock: OwnedFd,
    program: OwnedFd,
    boot: String,
    run_dir: OwnedFd,
    listener: OwnedFd,
    signals: OwnedFd,
    audit: Audit,
    nonces: Nonces,
    connections: Vec<Connection>,
    next_connection: u64,
    /// Starts that wait for the user directory, by the child that asks it.
    look_ups: LookUps<OwnedFd, Start>,
    /// Starts that can go on.
    ready: Vec<(Start, Account)>,
    starting: Vec<Starting>,
    instances: Instances,
    /// What login shells said.
    environments: Kept<Said>,
    slots: Slots,
    unasked: Unasked,
    /// The private directories of instances.
    places: BTreeMap<LaunchKey, (Rc<Parent>, String)>,
    tidy: Tidy,
    chores_at: Instant,
    is_over: bool,
}

/// One connection of the worker's.
struct Connection {
    number: u64,
    fd: OwnedFd,
    heard: Instant,
    /// Requests without an answer.
    open: usize,
    unsent: VecDeque<Vec<u8>>,
}

/// What an entry of the poll list stands for.
#[derive(Clone, Copy)]
enum Source {
    Signals,
    Listener,
    Connection(u64),
    LookUp(i32),
    Starting(i32),
    Shepherd(LaunchKey),
    Tidy(i32),
}

/// Runs the launcher until TERM or INT; returns when it may end.
///
/// # Errors
/// A sentence that says why it can't run.
pub(crate) fn run(state: &Path, socket_path: Option<&Path>) -> Result<(), String> {
    let mut launcher = Launcher::open(state, socket_path)?;
    launcher.audit_policy();
    launcher.chores();
    say(&format!("ready, containment {}", launcher.instances.word()));
    while !launcher.is_over {
        launcher.turn().map_err(|e| format!("waiting: {e}"))?;
    }
    let _ = launcher.audit.settle(wall_ms());
    // Stays where an instance lives in it.
    let (farm, host) = (&launcher.config.farm_text, &launcher.config.host_text);
    tessera_sys::cgroup::remove_farm_dir(farm, host);
    if let Ok(name) = tessera_sys::cgroup::farm_name(farm, host) {
        remove_farm_dirs(&name);
    }
    Ok(())
}

impl Launcher {
    fn open(state: &Path, socket_path: Option<&Path>) -> Result<Self, String> {
        if tessera_sys::ids::uids() != Ok([0; 3]) {
            return Err("the launcher must run as root; desktop mode needs no launcher".into());
        }
        if procs::boot_id().is_empty() {
            return Err(
                "/proc is not mounted: without it nobody knows which processes are whose".into(),
            );
        }
        process::set_umask(0o077);
        let config = Config::load(state)?;
        let what = |what: &'static str| move |e: Errno| format!("{what}: {e}");
        let lock = lock(&config).map_err(what("another launcher has the directory"))?;
        let _ = file::make_dir(config.dir.as_fd(), c"run", 0o700);
        let run_dir = file::open_dir(config.dir.as_fd(), c"run").map_err(what("launcher/run"))?;
        let program = file::open(c"/proc/self/exe", libc::O_RDONLY)
            .and_then(file::for_everybody)
            .map_err(what("this program"))?;
        let audit =
            Audit::open(&config.dir_path()).map_err(|e| format!("launcher/audit.log: {e}"))?;
        let nonces = Nonces::open(config.dir.as_fd()).map_err(what("launcher/nonces"))?;
        let groups =
            tessera_sys::cgroup::farm_dir(Place::System, &config.farm_text, &config.host_text)
                .map_err(what("making the farm's control group"))?;
        let farm_name = tessera_sys::cgroup::farm_name(&config.farm_text, &config.host_text)
            .map_err(what("the name of the farm's control group"))?;
        let trees = Trees::find(groups.as_ref().map(OwnedFd::as_fd), &farm_name);
        let path =
            socket_path.map_or_else(|| config.state.join("run/launcher.sock"), Path::to_owned);
        let listener =
            listen(&path, config.worker_uid).map_err(|e| format!("{}: {e}", path.display()))?;
        process::ignore(libc::SIGPIPE);
        let signals = process::signal_fd(&[libc::SIGCHLD, libc::SIGTERM, libc::SIGINT])
            .map_err(what("signals"))?;
        let boot = procs::boot_id();
        let (instances, accounts) = Instances::find(groups, trees, &run_dir, &config.farm_text)
            .map_err(what("launcher/run"))?;
        let tidy = Tidy::new(program.try_clone().map_err(|e| e.to_string())?);
        let mut slots = Slots::default();
        for (key, account) in accounts {
            slots.take_up(account, key);
        }
        Ok(Self {
            host: host_name(),
            config,
            _lock: lock,
            program,
            boot,
            run_dir,
            listener,
            signals,
            audit,
            nonces,
            connections: Vec::new(),
            next_connection: 0,
            look_ups: LookUps::default(),
            ready: Vec::new(),
            starting: Vec::new(),
            instances,
            environments: Kept::default(),
            slots,
            unasked: Unasked::new(),
            places: BTreeMap::new(),
            tidy,
            chores_at: Instant::now() + CHORES,
            is_over: false,
        })
    }

    fn turn(&mut self) -> Sys<()> {
        let (mut fds, sources) = self.sources();
        poll(&mut fds, Some(self.next_deadline()))?;
        for (fd, source) in fds.iter().zip(sources) {
            if fd.revents != 0 {
                self.handle(source, fd.revents);
            }
        }
        self.start_ready();
        self.check_deadlines(Instant::now());
        Ok(())
    }

    fn sources(&self) -> (Vec<libc::pollfd>, Vec<Source>) {
        let mut fds = vec![
            readable(self.signals.as_fd()),
            readable(self.listener.as_fd()),
        ];
        let mut sources = vec![Source::Signals, Source::Listener];
        if self.connections.len() >= CONNECTIONS_MAX {
            fds[1].fd = -1;
        }
        for it in &self.connections {
            let out = if it.unsent.is_empty() {
                0
            } else {
                libc::POLLOUT
            };
            fds.push(entry(it.fd.as_raw_fd(), libc::POLLIN | out));
            sources.push(Source::Connection(it.number));
        }
        for (pid, answer, _) in self.look_ups.all() {
            fds.push(readable(answer.as_fd()));
            sources.push(Source::LookUp(pid));
        }
        for it in &self.starting {
            fds.push(readable(it.report.as_fd()));
            sources.push(Source::Starting(it.pid));
        }
        for (key, handle) in self.instances.handles() {
            fds.push(readable(handle));
            sources.push(Source::Shepherd(key));
        }
        for answer in self.tidy.answers() {
            fds.push(readable(answer));
            sources.push(Source::Tidy(answer.as_raw_fd()));
        }
        (fds, sources)
    }

    fn handle(&mut self, source: Source, events: libc::c_short) {
        match source {
            Source::Signals => self.hear_signals(),
            Source::Listener => self.accept(),
            Source::Connection(number) => {
                if events & libc::POLLOUT != 0 {
                    self.send_unsent(number);
                }
                if events & !libc::POLLOUT != 0 {
                    self.hear(number);
                }
            }
            Source::LookUp(pid) => self.hear_look_up(pid),
            Source::Starting(pid) => self.hear_shepherd(pid),
            Source::Shepherd(key) => self.on_shepherd_ended(key),
            Source::Tidy(number) => {
                let done = self.tidy.on_answer(number);
                done.into_iter().for_each(|it| self.on_tidied(it));
            }
        }
    }

    fn hear_signals(&mut self) {
        while let Some(signal) = process::next_signal(self.signals.as_fd()) {
            if signal != libc::SIGCHLD {
                self.is_over = true;
            }
        }
        // Pipes and handles tell what ended; this only takes the ended children away.
        while process::reap().is_some() {}
    }

    fn accept(&mut self) {
        while self.connections.len() < CONNECTIONS_MAX {
            let Some(fd) = socket::accept(self.listener.as_fd()) else {
                return;
            };
            match socket::peer_uid(fd.as_fd()) {
                Ok(uid) if uid == self.config.worker_uid => {}
                Ok(uid) => {
                    let uid = uid.to_string();
                    self.say_asked("connection_refused", &[("uid", &uid)]);
                    continue;
                }
                Err(_) => continue,
            }
            self.next_connection += 1;
            self.connections.push(Connection {
                number: self.next_connection,
                fd,
                heard: Instant::now(),
                open: 0,
                unsent: VecDeque::new(),
            });
        }
    }

    fn hear(&mut self, number: u64) {
        let mut buffer = [0; FRAME_MAX];
        loop {
            let Some(it) = self.connections.iter_mut().find(|it| it.number == number) else {
                return;
            };
            let packet = match socket::receive(it.fd.as_fd(), &mut buffer, libc::MSG_DONTWAIT) {
                Err(Errno(libc::EAGAIN)) => return,
                Ok(packet) if packet.len > 0 && !packet.is_cut => packet,
                Ok(_) | Err(_) => return self.hang_up(number),
            };
            it.heard = Instant::now();
            it.open += 1;
            match Request::decode(&buffer[..packet.len]) {
                Ok(request) => self.answer(number, request, packet.fds),
                Err(_) => return self.hang_up(number),
            }
        }
    }

    fn hang_up(&mut self, number: u64) {
        self.connections.retain(|it| it.number != number);
    }

    /// Sends an answer; a worker that is gone asks again.
    fn reply(&mut self, number: u64, reply: &Reply) {
        let Some(it) = self.connections.iter_mut().find(|it| it.number == number) else {
            return;
        };
        it.open = it.open.saturating_sub(1);
        it.heard = Instant::now();
        if it.unsent.len() >= UNSENT_MAX {
            return self.hang_up(number);
        }
        it.unsent.push_back(reply.encode());
        self.send_unsent(number);
    }

    fn send_unsent(&mut self, number: u64) {
        let Some(it) = self.connections.iter_mut().find(|it| it.number == number) else {
            return;
        };
        while let Some(bytes) = it.unsent.front() {
            match socket::send(it.fd.as_raw_fd(), bytes, &[]) {
                Ok(()) => {
                    it.unsent.pop_front();
                }
                Err(Errno(libc::EAGAIN)) => return,
                Err(_) => return self.hang_up(number),
            }
        }
    }

    fn next_deadline(&self) -> Duration {
        let idle = self
            .connections
            .iter()
            .filter(|it| it.open == 0)
            .map(|it| it.heard + IDLE_MAX);
        let look_ups = self.look_ups.all().map(|(_, _, deadline)| deadline);
        let starting = self.starting.iter().map(|it| it.deadline);
        let own = [
            Some(self.chores_at),
            self.instances.next_look(),
            self.tidy.next_deadline(),
            self.next_asking(),
        ];
        let all = idle
            .chain(look_ups)
            .chain(starting)
            .chain(own.into_iter().flatten());
        let next = all.min().unwrap_or(self.chores_at);
        next.saturating_duration_since(Instant::now())
    }

    fn check_deadlines(&mut self, now: Instant) {
        self.connections
            .retain(|it| it.open > 0 || now < it.heard + IDLE_MAX);
        self.give_up_slow_look_ups(now);
        self.give_up_slow_shepherds(now);
        self.look_after_instances(now);
        self.tidy.look(now);
        self.ask_again(now);
        if now >= self.chores_at {
            self.chores();
        }
        // A full disk shows at the next start, which is refused for it.
        let _ = self.write_audit();
    }

    /// Puts on record what happens; on the disk with [`Launcher::flush_audit`].
    fn say_happens(&mut self, event: &str, fields: &[(&str, &str)]) {
        self.audit.add(wall_ms(), event, fields);
    }

    /// Puts on record what was asked for, which pushes nothing out that happened.
    fn say_asked(&mut self, event: &str, fields: &[(&str, &str)]) {
        self.audit.add_asked(wall_ms(), event, fields);
    }

    /// Makes durable what happens; earlier lines that only tell how something ended wait for this, or a minute.
    fn flush_audit(&mut self) -> Sys<()> {
        self.audit.flush(wall_ms()).map_err(|e| errno_of(&e))
    }

    /// Writes what is on record, without waiting for the disk.
    fn write_audit(&mut self) -> Sys<()> {
        self.audit.write(wall_ms()).map_err(|e| errno_of(&e))
    }

    /// Tells by which policy and keys starts are judged from now on, or why none are let in.
    pub(super) fn audit_policy(&mut self) {
        let (files, problem) = match &self.config.rules {
            Ok(rules) => (rules.files.clone(), String::new()),
            Err(refusal) => (<[String; 2]>::default(), refusal.reason_and_hint()),
        };
        let [policy, keys] = &files;
        let fields = [("policy", &**policy), ("keys", keys), ("problem", &problem)];
        self.say_happens("policy", &fields);
    }

    /// Forgets expired tickets and sweeps groups that have no shepherd.
    fn chores(&mut self) {
        self.chores_at = Instant::now() + CHORES;
        self.nonces.prune(wall_ms());
        let _ = self.audit.settle(wall_ms());
        let starting: Vec<_> = self.starting.iter().map(|it| it.key).collect();
        self.instances.sweep_orphans(&starting);
        self.sweep_places(&starting);
    }

    /// Clears up behind a launch of which nothing is alive.
    fn tidy_up(&mut self, key: LaunchKey) {
        if self.tidy.has(key) {
            return;
        }
        let found = |tmp: &Rc<Parent>| {
            let mut all = tmp.all().into_iter();
            all.find(|(of, _)| *of == key)
                .map(|(_, name)| (Rc::clone(tmp), name))
        };
        let place = self.places.remove(&key);
        let rules = self.config.rules.as_ref().ok();
        // Of a launch that a former launcher started only the directory itself tells.
        let place = place.or_else(|| rules.and_then(|it| found(&it.tmp)));
        let of_slot = self.instances.slot_user(key);
        let done = self.tidy.begin(key, place, of_slot);
        done.into_iter().for_each(|it| self.on_tidied(it));
    }

    /// Removes private directories whose launch is not known any more.
    fn sweep_places(&mut self, starting: &[LaunchKey]) {
        let Ok(rules) = &self.config.rules else {
            return;
        };
        let tmp = Rc::clone(&rules.tmp);
        for (key, name) in tmp.all() {
            let is_alive = self.instances.has(key) || starting.contains(&key);
            if !is_alive {
                let done = self.tidy.begin(key, Some((Rc::clone(&tmp), name)), None);
                done.into_iter().for_each(|it| self.on_tidied(it));
            }
        }
    }

    fn on_tidied(&mut self, done: Done) {
        if done.is_slot_free {
            self.slots.give_back(done.key);
            self.instances.forget_slot(done.key);
        }
        if done.is_slot_held {
            let account = self.slots.of(done.key).map(ToString::to_string);
            let account = account.unwrap_or_default();
            say(&format!(
                "something is left of {} on account {account}: nobody gets it until that is removed; it is tried again",
                done.key
            ));
            let key = done.key.to_string();
            let fields = [("launch", key.as_str()), ("account", &account)];
            self.say_happens("account_held", &fields);
        }
        if let Some((name, errno)) = done.left {
            say(&format!(
                "the private directory {name} can't be removed yet ({errno}); it is tried again later"
            ));
            let key = done.key.to_string();
            let fields = [("launch", key.as_str()), ("directory", &name)];
            self.say_happens("directory_left", &fields);
        }
    }
}

fn errno_of(error: &std::io::Error) -> Errno {
    Errno(error.raw_os_error().unwrap_or(libc::ENOSPC))
}

/// Takes the lock that keeps a second launcher out.
fn lock(config: &Config) -> Sys<OwnedFd> {
    let flags = libc::O_RDWR | libc::O_CREAT;
    let fd = file::open_at(config.dir.as_fd(), c"lock", flags, 0o600)?;
    let give_up = Instant::now() + LOCK_TIME;
    loop {
        match file::lock(&fd) {
            Err(Errno(libc::EWOULDBLOCK)) if Instant::now() < give_up => {
                poll(&mut [], Some(Duration::from_millis(50)))?;
            }
            other => return other.map(|()| fd),
        }
    }
}

/// Listens at `path`, in a directory that root can trust, so that nobody swaps the socket; only the worker may connect.
fn listen(path: &Path, worker_uid: u32) -> Result<OwnedFd, String> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name().and_then(|it| it.to_str()))
    else {
        return Err("is not the path of a socket".into());
    };
    let (_, dir) = tessera_identity::paths::open_socket_dir(dir)?;
    let name = file::c_string(name).map_err(|e| e.to_string())?;
    let _ = file::remove_file(dir.as_fd(), &name);
    let short = format!(
        "/proc/self/fd/{}/{}",
        dir.as_raw_fd(),
        name.to_string_lossy()
    );
    let short = file::c_string(&short).map_err(|e| e.to_string())?;
    let fd = socket::listen(&short).map_err(|e| e.to_string())?;
    file::chown_at(dir.as_fd(), &name, worker_uid, 0).map_err(|e| e.to_string())?;
    Ok(fd)
}
