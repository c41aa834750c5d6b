//! A launcher of its own with users of its own, and a small blocking client that plays the worker.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "each test program uses a part of this"
)]

pub mod attack;
pub mod limits;
pub mod needs;
pub mod procs;
pub mod record;
pub mod session;

use std::fs::{self, File, OpenOptions};
use std::io::{IoSlice, IoSliceMut, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Program, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, bind, connect,
    listen, recvmsg, sendmsg, socket,
};
use procs::processes_of;
use tessera_ticket::launcher::{Reply, Request};
use tessera_ticket::shepherd::{Command, Event, FRAME_MAX};
use tessera_ticket::{
    Digest, EndCause, ExitRecord, ItemRange, LaunchKey, Mode, SigningKey, Template, Ticket,
};

pub const DEADLINE: Duration = Duration::from_secs(20);

/// Says whether tests that need root can run; without root they are skipped on a laptop and fail in CI.
pub fn can_run() -> bool {
    if nix::unistd::geteuid().is_root() {
        return true;
    }
    assert_ne!(
        std::env::var("CI").as_deref(),
        Ok("true"),
        "these tests need root in CI"
    );
    eprintln!("skipped: needs root");
    false
}

pub fn random() -> u64 {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")
        .unwrap()
        .read_exact(&mut bytes)
        .unwrap();
    u64::from_le_bytes(bytes)
}

pub fn now_ms() -> u64 {
    u64::try_from(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_millis(),
    )
    .unwrap()
}

/// Waits until `what` holds.
pub fn wait_until(name: &str, mut what: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !what() {
        assert!(Instant::now() < end, "waited in vain: {name}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn run(program: &str, args: &[&str]) {
    let out = Program::new(program).args(args).output().unwrap();
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{program} {args:?}: {text}");
}

/// Changes to the user database one after another, over all test processes.
pub fn with_user_lock<T>(then: impl FnOnce() -> T) -> T {
    let path = std::env::temp_dir().join("tessera-test-users.lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .unwrap();
    file.lock().unwrap();
    then()
}

/// A user that goes away with the test.
pub struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    group: Option<String>,
}

impl User {
    pub fn new(stem: &str, args: &[&str]) -> Self {
        Self::named(format!("{stem}{:05x}", random() & 0xf_ffff), args)
    }

    pub fn named(name: String, args: &[&str]) -> Self {
        with_user_lock(|| {
            let mut all = vec!["-M", "-d", "/tmp", "-s", "/bin/sh"];
            all.extend(args);
            all.push(&name);
            run("useradd", &all);
        });
        let found = nix::unistd::User::from_name(&name).unwrap().unwrap();
        Self {
            name,
            uid: found.uid.as_raw(),
            gid: found.gid.as_raw(),
            group: None,
        }
    }

    /// Adds the user to a new group and returns its name.
    pub fn add_group(&mut self, stem: &str) -> String {
        let group = format!("{stem}{:05x}", random() & 0xf_ffff);
        with_user_lock(|| {
            run("groupadd", &[&group]);
            run("usermod", &["-aG", &group, &self.name]);
        });
        self.group = Some(group.clone());
        group
    }

    pub fn change(&self, args: &[&str]) {
        let mut all = args.to_vec();
        all.push(&self.name);
        with_user_lock(|| run("usermod", &all));
    }

    /// Whatever a test that failed left would be the next user's with the same number.
    fn remove_what_is_left(&self) {
        for pid in processes_of(self.uid) {
            let _ =
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL);
        }
        for dir in ["/tmp", "/var/tmp", "/dev/shm"] {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                if entry.metadata().is_ok_and(|it| it.uid() == self.uid) {
                    let _ =
                        fs::remove_dir_all(entry.path()).or_else(|_| fs::remove_file(entry.path()));
                }
            }
        }
    }
}

impl Drop for User {
    fn drop(&mut self) {
        if self.uid != 0 {
            self.remove_what_is_left();
        }
        with_user_lock(|| {
            let _ = Program::new("userdel").args(["-f", &self.name]).output();
            if let Some(group) = &self.group {
                let _ = Program::new("groupdel").arg(group).output();
            }
        });
    }
}

/// A host of a farm: state directory, accounts, launcher.
pub struct World {
    pub dir: PathBuf,
    pub farm: [u8; 16],
    pub host: [u8; 16],
    pub key: SigningKey,
    pub worker: User,
    pub shepherd: User,
    pub proxy: User,
    pub launcher: Option<Child>,
    pub launcher_env: Vec<(String, String)>,
    pub program: PathBuf,
    next: AtomicU32,
    job: u64,
    /// Asked for with each start.
    pub nice: u8,
    /// The proxy account as the policy names it; the world's own user if empty.
    pub proxy_account: String,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}

impl World {
    /// A world with this policy (behind the accounts), its launcher running.
    pub fn new(policy: &str) -> Self {
        let mut world = Self::prepare(policy);
        world.start_launcher();
        world
    }

    /// The same without a launcher.
    pub fn prepare(policy: &str) -> Self {
        let number = random();
        let dir = PathBuf::from(format!("/tmp/tessera-launch-{number:016x}"));
        for (path, mode) in [
            ("", 0o755),
            ("launcher", 0o700),
            ("run", 0o755),
            ("spool", 0o755),
        ] {
            let path = dir.join(path);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let mut id = [0; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        let mut secret = [0; 32];
        secret
            .chunks_mut(8)
            .for_each(|it| it.copy_from_slice(&random().to_le_bytes()));
        let key = SigningKey::from_bytes(&secret);
        let world = Self {
            worker: User::new("tsw", &[]),
            shepherd: User::new("tss", &[]),
            proxy: User::new("tsp", &["-r", "-s", "/usr/sbin/nologin"]),
            dir,
            farm: id,
            host: [7; 16],
            key,
            launcher: None,
            launcher_env: Vec::new(),
            program: env!("CARGO_BIN_EXE_tessera-launch").into(),
            next: AtomicU32::new(1),
            job: random() & 0xffff_ffff,
            nice: 0,
            proxy_account: String::new(),
        };
        let keys = hex(world.key.verifying_key().as_bytes());
        world.write("launcher/dispatch.pub", &format!("{keys}\n"));
        world.write("launcher/farm_id", &hex(&world.farm));
        world.write("launcher/host_id", &hex(&world.host));
        world.set_policy(policy);
        world
    }

    pub fn set_policy(&self, policy: &str) {
        let text = format!(
            "worker_account = {}\nshepherd_account = {}\nproxy_account = {}\n{policy}\n",
            self.worker.name,
            self.shepherd.name,
            if self.proxy_account.is_empty() {
                &self.proxy.name
            } else {
                &self.proxy_account
            }
        );
        self.write("launcher/policy", &text);
    }

    /// Writes a file in one go, as an editor does.
    pub fn write(&self, name: &str, text: &str) {
        let new = self.dir.join("new");
        fs::write(&new, text).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(new, self.dir.join(name)).unwrap();
    }

    pub fn spawn_launcher(&self) -> Child {
        Program::new(&self.program)
            .args(["launcher", "--state"])
            .arg(&self.dir)
            .envs(self.launcher_env.iter().cloned())
            .stdin(Stdio::null())
            .stderr(File::create(self.dir.join("launcher.log")).unwrap())
            .spawn()
            .unwrap()
    }

    /// A world whose launcher sees no control groups of version 2.
    pub fn without_groups() -> Self {
        let mut world = Self::prepare("");
        let script = world.dir.join("launcher.sh");
        let hide =
            "for m in $(awk '/ - cgroup2 /{print $5}' /proc/self/mountinfo); do umount -l $m; done";
        let text = format!(
            "#!/bin/sh\nexec unshare -m sh -c \"{}; exec '{}' \\\"\\$@\\\"\" sh \"$@\"\n",
            hide.replace('$', "\\$"),
            world.program.display()
        );
        fs::write(&script, text).unwrap();
        run("chmod", &["755", script.to_str().unwrap()]);
        world.program = script;
        world.start_launcher();
        world
    }

    pub fn start_launcher(&mut self) {
        let mut child = self.spawn_launcher();
        let log = self.dir.join("launcher.log");
        wait_until("launcher is ready", || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!(
                    "launcher ended: {status}: {}",
                    fs::read_to_string(&log).unwrap()
                );
            }
            fs::read_to_string(&log).unwrap().contains("ready")
        });
        self.launcher = Some(child);
    }

    /// Kills the launcher as `kill -9` does.
    pub fn kill_launcher(&mut self) {
        let mut child = self.launcher.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub fn connect(&self) -> Link {
        Link::connect(&self.dir.join("run/launcher.sock"), self.worker.uid).unwrap()
    }

    pub fn next_key(&self) -> LaunchKey {
        let instance = self.next.fetch_add(1, Ordering::Relaxed);
        LaunchKey {
            job: self.job,
            instance,
            launch: 1,
        }
    }

    pub fn ticket(&self, account: &str, mode: Mode, template: &Template) -> Ticket {
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&random().to_le_bytes());
        Ticket {
            farm: self.farm,
            host: self.host,
            key: self.next_key(),
            principal: "mia".into(),
            proven: "test".into(),
            mode,
            account: account.into(),
            items: vec![ItemRange {
                first: 0,
                last: 99_999_999,
            }],
            template: template.digest(),
            not_before_ms: now_ms() - 1_000,
            expires_ms: now_ms() + 60_000,
            nonce,
            limits: tessera_ticket::KernelLimits::default(),
        }
    }

    /// Starts an instance of `template` as `account` in user mode.
    pub fn start(&self, account: &str, template: &Template) -> Instance {
        let ticket = self.ticket(account, Mode::User, template);
        self.start_ticket(&ticket, template)
            .unwrap_or_else(|e| panic!("refused: {e:?}"))
    }

    /// Starts with a ticket; a refusal is its code and text.
    pub fn start_ticket(
        &self,
        ticket: &Ticket,
        template: &Template,
    ) -> Result<Instance, (String, String)> {
        let bytes = ticket.encode();
        let signature = Ticket::sign(&bytes, &self.key);
        self.start_raw(ticket.key, bytes, signature, &template.encode(), 600)
    }

    pub fn start_raw(
        &self,
        key: LaunchKey,
        ticket: Vec<u8>,
        signature: [u8; 64],
        template: &[u8],
        orphan_seconds: u32,
    ) -> Result<Instance, (String, String)> {
        let dir = self.dir.join("spool").join(key.to_string());
        let _ = fs::create_dir(&dir);
        let path = dir.join("ctl");
        let _ = fs::remove_file(&path);
        let listener = seqpacket();
        bind(listener.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        listen(&listener, Backlog::new(8).unwrap()).unwrap();
        let memory = memory(template);
        let link = self.connect();
        let request = Request::Start {
            id: 5,
            ticket,
            signature,
            orphan_seconds,
            nice: self.nice,
        };
        link.send(&request.encode(), &[memory.as_fd(), listener.as_fd()]);
        match Reply::decode(&link.receive().expect("an answer of the launcher")).unwrap() {
            Reply::Started {
                id: 5,
                shepherd,
                account,
                uid,
                gid,
                containment,
            } => {
                let link = Link::connect(&path, self.worker.uid).unwrap();
                Ok(Instance {
                    key,
                    dir,
                    link,
                    shepherd,
                    account,
                    uid,
                    gid,
                    containment,
                })
            }
            Reply::Refused {
                id: 5, code, text, ..
            } => Err((code, text)),
            other => panic!("{other:?}"),
        }
    }

    /// The code of a refusal that must come.
    pub fn refusal(&self, ticket: &Ticket, template: &Template) -> String {
        match self.start_ticket(ticket, template) {
            Ok(_) => panic!("was started"),
            Err((code, text)) => {
                assert!(text.contains("can't start"), "{text}");
                code
            }
        }
    }

    /// Asks the launcher to vouch for a launch being gone.
    pub fn gone(&self, key: LaunchKey) {
        let link = self.connect();
        link.send(&Request::Gone { id: 9, key }.encode(), &[]);
        let reply = Reply::decode(&link.receive().expect("an answer of the launcher")).unwrap();
        assert_eq!(reply, Reply::Gone { id: 9 });
    }

    /// The group of this farm, where the host has version 2.
    pub fn group(&self) -> Option<PathBuf> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let line = mounts.lines().find(|it| it.contains(" - cgroup2 "))?;
        let mount = line.split(' ').nth(4)?;
        let name = format!(
            "tessera-{}-{}",
            &hex(&self.farm)[..8],
            &hex(&self.host)[..8]
        );
        Some(Path::new(mount).join(name))
    }

    /// The farm's directories in trees of version 1.
    fn old_groups(&self) -> Vec<PathBuf> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let name = self.group().unwrap_or_default();
        let name = name.file_name().unwrap_or_default();
        let old = mounts.lines().filter(|it| it.contains(" - cgroup "));
        let all = old.filter_map(|it| Some(Path::new(it.split(' ').nth(4)?).join(name)));
        all.filter(|it| it.is_dir()).collect()
    }

    /// Nothing of the farm is left: no group of an instance, no process of the shepherd's account.
    pub fn assert_nothing_left(&self) {
        if let Some(group) = self.group() {
            wait_until("groups are gone", || {
                let Ok(list) = fs::read_dir(&group) else {
                    return true;
                };
                !list.flatten().any(|it| it.file_type().unwrap().is_dir())
            });
        }
        for group in self.old_groups() {
            wait_until("groups of version 1 are gone", || {
                let list = fs::read_dir(&group).into_iter().flatten().flatten();
                !list.into_iter().any(|it| it.file_type().unwrap().is_dir())
            });
        }
        wait_until("shepherds are gone", || {
            processes_of(self.shepherd.uid).is_empty()
        });
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(mut child) = self.launcher.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        for pid in processes_of(self.shepherd.uid) {
            let _ =
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL);
        }
        if let Some(group) = self.group() {
            for _ in 0..100 {
                let mut left = false;
                for dir in fs::read_dir(&group).into_iter().flatten().flatten() {
                    left |= dir.file_type().unwrap().is_dir();
                    let _ = fs::write(dir.path().join("cgroup.kill"), "1");
                    for leaf in fs::read_dir(dir.path()).into_iter().flatten().flatten() {
                        let _ = fs::remove_dir(leaf.path());
                    }
                    let _ = fs::remove_dir(dir.path());
                }
                if !left {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            let old = self.old_groups();
            let _ = fs::remove_dir(group);
            for group in old {
                for dir in fs::read_dir(&group).into_iter().flatten().flatten() {
                    let _ = fs::remove_dir(dir.path());
                }
                let _ = fs::remove_dir(group);
            }
        }
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

pub fn seqpacket() -> OwnedFd {
    socket(
        AddressFamily::Unix,
        SockType::SeqPacket,
        SockFlag::SOCK_CLOEXEC,
        None,
    )
    .unwrap()
}

pub fn memory(bytes: &[u8]) -> OwnedFd {
    let fd = memfd_create(c"test", MFdFlags::MFD_CLOEXEC).unwrap();
    let mut file = File::from(fd);
    file.write_all(bytes).unwrap();
    file.into()
}

/// A connection as the worker has it.
pub struct Link {
    pub fd: OwnedFd,
}

impl Link {
    /// Connects with the effective uid of `uid`: the kernel notes it at this moment. Only this thread changes.
    pub fn connect(path: &Path, uid: u32) -> nix::Result<Self> {
        Self::connect_with(path, uid, seqpacket())
    }

    /// The same, but fails (`EAGAIN`) where it would have to wait for room in the queue.
    pub fn connect_now(path: &Path, uid: u32) -> nix::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).unwrap();
        Self::connect_with(path, uid, fd)
    }

    fn connect_with(path: &Path, uid: u32, fd: OwnedFd) -> nix::Result<Self> {
        let dir = File::open(path.parent().unwrap()).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let short = format!("/proc/self/fd/{}/{name}", dir.as_raw_fd());
        let address = UnixAddr::new(short.as_str()).unwrap();
        set_effective(uid);
        let result = connect(fd.as_raw_fd(), &address);
        set_effective(0);
        result.map(|()| Self { fd })
    }

    pub fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
        let raw: Vec<RawFd> = fds.iter().map(|it| it.as_raw_fd()).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let beside: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
        let part = [IoSlice::new(bytes)];
        sendmsg::<()>(
            self.fd.as_raw_fd(),
            &part,
            beside,
            MsgFlags::MSG_NOSIGNAL,
            None,
        )
        .unwrap();
    }

    /// One packet; `None` at the end of the connection.
    pub fn receive(&self) -> Option<Vec<u8>> {
        self.receive_within(DEADLINE)
            .expect("waited in vain for a packet")
    }

    /// The same, with `Err` when the time is over.
    pub fn receive_within(&self, time: Duration) -> Result<Option<Vec<u8>>, ()> {
        let mut fds = [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
        let millis = PollTimeout::try_from(time.as_millis()).unwrap();
        if poll(&mut fds, millis).unwrap() == 0 {
            return Err(());
        }
        let mut buffer = vec![0; FRAME_MAX];
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let got = recvmsg::<()>(self.fd.as_raw_fd(), &mut parts, None, MsgFlags::empty());
        let len = got.map_or(0, |it| it.bytes);
        buffer.truncate(len);
        Ok((len > 0).then_some(buffer))
    }
}

fn set_effective(uid: u32) {
    let keep = u32::MAX;
    // SAFETY: the raw call changes this thread only and takes numbers only.
    let result = unsafe { libc::syscall(libc::SYS_setresuid, keep, uid, keep) };
    assert_eq!(result, 0, "changing the effective uid");
}

/// A started instance.
pub struct Instance {
    pub key: LaunchKey,
    pub dir: PathBuf,
    pub link: Link,
    pub shepherd: u32,
    pub account: String,
    pub uid: u32,
    pub gid: u32,
    pub containment: String,
}

impl Instance {
    /// Gives the order to run item 0, attempt 1, of a limit that no test reaches.
    pub fn order(&self, item: u32, attempt: u32) {
        self.order_with(item, attempt, 1 << 40, 0);
    }

    pub fn order_with(&self, item: u32, attempt: u32, output_limit: u64, leftover_grace_ms: u32) {
        self.send_order(item, attempt, output_limit, leftover_grace_ms, false);
    }

    /// Gives the order to run the first attempt of an item when those before it are over.
    pub fn order_next(&self, item: u32) {
        self.send_order(item, 1, 1 << 40, 0, true);
    }

    fn send_order(
        &self,
        item: u32,
        attempt: u32,
        output_limit: u64,
        leftover_grace_ms: u32,
        next: bool,
    ) {
        let files = ["out", "err", "idx", "exit"].map(|ending| {
            let path = self.dir.join(format!("{item}.{attempt}.{ending}"));
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)
                .unwrap()
        });
        let fds = files.each_ref().map(|it| it.as_fd());
        let command = Command::Run {
            item,
            attempt,
            output_limit,
            leftover_grace_ms,
            durable: false,
            next,
        };
        self.link.send(&command.encode(), &fds);
    }

    pub fn tell(&self, command: &Command) {
        self.link.send(&command.encode(), &[]);
    }

    pub fn end(&self, item: u32, attempt: u32, grace_ms: u32) {
        self.tell(&Command::End {
            item,
            attempt,
            grace_ms,
            cause: EndCause::Kill,
        });
    }

    pub fn event(&self) -> Event {
        Event::decode(&self.link.receive().expect("an event")).unwrap()
    }

    /// Waits for the start of an item and returns its process.
    pub fn started(&self) -> u32 {
        match self.event() {
            Event::ItemStarted { pid, .. } => pid,
            other => panic!("{other:?}"),
        }
    }

    /// Waits for the end of an item.
    pub fn ended(&self) -> ExitRecord {
        match self.event() {
            Event::ItemEnded(record) => record,
            other => panic!("{other:?}"),
        }
    }

    /// Runs an item to its end.
    pub fn run(&self, item: u32) -> ExitRecord {
        self.order(item, 1);
        self.started();
        self.ended()
    }

    pub fn file(&self, item: u32, ending: &str) -> Vec<u8> {
        fs::read(self.dir.join(format!("{item}.1.{ending}"))).unwrap()
    }

    pub fn out(&self, item: u32) -> String {
        String::from_utf8_lossy(&self.file(item, "out")).into_owned()
    }

    pub fn err(&self, item: u32) -> String {
        String::from_utf8_lossy(&self.file(item, "err")).into_owned()
    }

    pub fn reconnect(&mut self, uid: u32) {
        self.link = Link::connect(&self.dir.join("ctl"), uid).unwrap();
    }

    /// Ends the instance and waits until its shepherd has said so.
    pub fn close(&self) {
        self.tell(&Command::Close);
        while let Some(bytes) = self.link.receive() {
            if Event::decode(&bytes).unwrap() == Event::Closing {
                return;
            }
        }
        panic!("closed without a word");
    }
}

/// A template of a plain command.
pub fn template(argv: &[&str]) -> Template {
    Template {
        argv: argv.iter().map(|it| (*it).to_owned()).collect(),
        env: Vec::new(),
        cwd: "/".into(),
        umask: 0o027,
        limits: Vec::new(),
        slots: 1,
        agenda: None,
        convert_path: false,
    }
}

pub fn shell(script: &str) -> Template {
    template(&["/bin/sh", "-c", script])
}

pub fn no_digest() -> Digest {
    Digest([0; 32])
}
