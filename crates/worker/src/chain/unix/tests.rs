//! The chain against the real `tessera-launch`, as root with users of its own; skipped where either is missing, but not in
//! CI.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::unistd::{Uid, User, geteuid, seteuid};
use tessera_model::{InstanceNo, JobId, LaunchNo};
use tessera_ticket::{ItemRange, SigningKey, Template, Ticket};

use super::*;
use crate::chain::*;

const DEADLINE: Duration = Duration::from_secs(20);
const ID: &str = "5e5e5e5e00000000000000000000";

/// A launcher with accounts of its own; the test acts as the worker's account while it lives.
struct Host {
    dir: PathBuf,
    names: Vec<String>,
    uids: Vec<u32>,
    key: SigningKey,
    id: [u8; 16],
    launcher: Child,
}

fn program() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let path = own.parent()?.parent()?.join("tessera-launch");
    let can_run = path.exists() && geteuid().is_root();
    assert!(
        can_run || std::env::var("CI").as_deref() != Ok("true"),
        "needs root and {}",
        path.display()
    );
    can_run.then_some(path)
}

fn run(program: &str, args: &[&str]) {
    let out = Command::new(program).args(args).output().unwrap();
    assert!(
        out.status.success(),
        "{program} {args:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}

impl Host {
    fn new(program: &std::path::Path) -> Self {
        let unique = std::process::id();
        let dir = PathBuf::from(format!("/tmp/tessera-chain-{unique}"));
        let names: Vec<_> = ["w", "s", "a"]
            .iter()
            .map(|it| format!("tc{it}{unique}"))
            .collect();
        for name in &names {
            run("useradd", &["-M", "-d", "/tmp", "-s", "/bin/sh", name]);
        }
        let uid = |name: &String| User::from_name(name).unwrap().unwrap().uid.as_raw();
        let uids: Vec<u32> = names.iter().map(uid).collect();
        for name in ["", "launcher", "run", "spool"] {
            fs::create_dir(dir.join(name)).unwrap();
            fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        chown(dir.join("spool"), Some(uids[0]), None).unwrap();
        let key = SigningKey::from_bytes(&[3; 32]);
        let mut id = [0x5e; 16];
        id[12..].copy_from_slice(&unique.to_be_bytes());
        let policy = format!(
            "worker_account = {}\nshepherd_account = {}\n",
            names[0], names[1]
        );
        for (name, text) in [
            ("policy", policy),
            ("dispatch.pub", hex(key.verifying_key().as_bytes())),
            ("farm_id", hex(&id)),
            ("host_id", hex(&id)),
        ] {
            fs::write(dir.join("launcher").join(name), text).unwrap();
        }
        let launcher = Command::new(program)
            .args(["launcher", "--state"])
            .arg(&dir)
            .stderr(File::create(dir.join("log")).unwrap())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let end = Instant::now() + DEADLINE;
        while !fs::read_to_string(dir.join("log"))
            .unwrap()
            .contains("ready")
        {
            assert!(
                Instant::now() < end,
                "{}",
                fs::read_to_string(dir.join("log")).unwrap()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        seteuid(Uid::from_raw(uids[0])).unwrap();
        Self {
            dir,
            names,
            uids,
            key,
            id,
            launcher,
        }
    }

    fn chain(&self) -> Chain {
        Chain::new(Mode::Service {
            launcher_socket: self.dir.join("run/launcher.sock"),
            nice: NICE,
        })
    }

    fn request(&self, launch: u32, account: &str, script: &str) -> StartRequest {
        let key = LaunchKey {
            job: JobId(7),
            instance: InstanceNo(1),
            launch: LaunchNo(launch),
        };
        let template = Template {
            argv: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            env: Vec::new(),
            cwd: "/".into(),
            umask: 0o22,
            limits: Vec::new(),
            slots: 1,
            agenda: None,
            convert_path: false,
        };
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_millis();
        let now = u64::try_from(now).unwrap();
        let ticket = Ticket {
            farm: self.id,
            host: self.id,
            key: sockets::wire_key(key),
            principal: "mia".into(),
            proven: "test".into(),
            mode: tessera_ticket::Mode::User,
            account: account.into(),
            items: vec![ItemRange { first: 0, last: 9 }],
            template: template.digest(),
            not_before_ms: now,
            expires_ms: now + 60_000,
            nonce: [u8::try_from(launch).unwrap(); 16],
            limits: tessera_ticket::KernelLimits::default(),
        };
        let bytes = ticket.encode();
        StartRequest {
            key,
            signature: Ticket::sign(&bytes, &self.key),
            ticket: bytes,
            template: template.encode(),
            dir: self.dir.join("spool/7/1"),
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = seteuid(Uid::from_raw(0));
        let _ = self.launcher.kill();
        let _ = self.launcher.wait();
        for name in &self.names {
            let _ = Command::new("userdel").arg("-f").arg(name).output();
        }
        let _ = fs::remove_dir_all(&self.dir);
        let group = format!("tessera-{}-{}", &ID[..8], &ID[..8]);
        for base in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
            let _ = fs::remove_dir(PathBuf::from(base).join(&group));
        }
    }
}

fn item(item: u32) -> RunItem {
    RunItem {
        item,
        attempt: 1,
        output_limit: 1 << 20,
        leftover_grace: Duration::ZERO,
        durable: true,
        next: false,
    }
}

async fn next(shepherd: &mut Shepherd) -> ShepherdEvent {
    timeout(DEADLINE, shepherd.next_event())
        .await
        .expect("an event in time")
        .expect("a connection")
}

/// How much less priority jobs have here.
const NICE: u8 = 3;

fn own_niceness() -> i32 {
    let out = Command::new("nice").output().unwrap().stdout;
    String::from_utf8(out).unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn the_chain_starts_runs_adopts_ends_and_proves() {
    let Some(program) = program() else {
        return eprintln!("skipped: needs root and tessera-launch");
    };
    let host = Host::new(&program);
    let chain = host.chain();
    let what = chain.capabilities().await.unwrap();
    assert_eq!((what.uid_min, what.no_new_privs), (1000, true));

    let refused = chain
        .start(host.request(1, "tcnobodythere", "true"))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, StartError::Refused { ref code, .. } if code == "no_such_account"),
        "{refused:?}"
    );

    let script = "echo out; nice >&2; test $TESSERA_ITEM = 0 || sleep 300";
    let request = host.request(2, &host.names[2], script);
    let (key, dir) = (request.key, request.dir.clone());
    let (started, mut shepherd) = chain.start(request).await.unwrap();
    assert_eq!(
        (&started.account, started.uid),
        (&host.names[2], host.uids[2])
    );
    shepherd.run_item(item(0)).await.unwrap();
    assert!(matches!(
        next(&mut shepherd).await,
        ShepherdEvent::ItemStarted { item: 0, .. }
    ));
    let ShepherdEvent::ItemEnded(record) = next(&mut shepherd).await else {
        panic!("no end")
    };
    assert_eq!(record.kind, EndKind::Exited { code: 0 });
    assert_eq!(read_exit(&dir, 0, 1).unwrap(), Some(record));
    assert_eq!(read_exit(&dir, 5, 1).unwrap(), None);
    assert_eq!(
        fs::read(spool_path(&dir, 0, 1, SpoolFile::Out)).unwrap(),
        b"out\n"
    );
    assert_eq!(
        fs::read(spool_path(&dir, 0, 1, SpoolFile::Err)).unwrap(),
        format!("{}\n", own_niceness() + i32::from(NICE)).as_bytes()
    );
    assert_eq!(read_index(&dir, 0, 1).unwrap().len(), 2);
    let again = shepherd.run_item(item(0)).await.unwrap_err();
    assert!(
        matches!(
            again,
            ChainError::AlreadyRan {
                item: 0,
                attempt: 1
            }
        ),
        "{again:?}"
    );

    shepherd.run_item(item(1)).await.unwrap();
    let ShepherdEvent::ItemStarted { pid, .. } = next(&mut shepherd).await else {
        panic!("no start")
    };
    drop(shepherd);
    let (mut shepherd, state) = chain.adopt(key, &dir).await.unwrap();
    let running = ItemState {
        item: 1,
        attempt: 1,
        pid,
        ended: false,
    };
    assert_eq!(state.items.first(), Some(&running));
    let control = shepherd.control();
    control.suspend().await.unwrap();
    assert_eq!(next(&mut shepherd).await, ShepherdEvent::Suspended);
    control.resume().await.unwrap();
    assert_eq!(next(&mut shepherd).await, ShepherdEvent::Resumed);
    control
        .end_item(1, 1, Duration::from_secs(5), EndCause::TimeLimit)
        .await
        .unwrap();
    let ShepherdEvent::ItemEnded(record) = next(&mut shepherd).await else {
        panic!("no end")
    };
    assert_eq!(
        (record.kind, record.cause),
        (EndKind::Signalled { signal: 15 }, EndCause::TimeLimit)
    );
    control.close().await.unwrap();
    assert_eq!(next(&mut shepherd).await, ShepherdEvent::Closing);
    assert_eq!(
        timeout(DEADLINE, shepherd.next_event()).await.unwrap(),
        None
    );
    chain.prove_gone(key, &dir).await.unwrap();
    assert!(matches!(
        chain.adopt(key, &dir).await,
        Err(ChainError::NotThere { .. })
    ));
    assert_eq!(
        read_exit(&dir, 1, 1).unwrap(),
        Some(record),
        "output and records stay"
    );
}

/// Listens at a path in a new directory and answers both.
fn listening(key: LaunchKey) -> (tempfile::TempDir, std::os::fd::OwnedFd) {
    let dir = tempfile::tempdir().unwrap();
    let fd = sockets::listen(dir.path(), key, &mut sockets::Made::default()).unwrap();
    (dir, fd)
}

fn some_key() -> LaunchKey {
    LaunchKey {
        job: JobId(7),
        instance: InstanceNo(1),
        launch: LaunchNo(3),
    }
}

#[tokio::test]
async fn only_the_right_account_is_taken_for_the_launcher() {
    let (dir, _fd) = listening(some_key());
    let path = dir.path().join("ctl.3");
    let own = geteuid().as_raw();
    assert!(Link::connect_to(&path, own).is_ok());
    let error = Link::connect_to(&path, own + 1).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
}

#[tokio::test]
async fn a_start_that_fails_takes_nothing_from_a_shepherd_that_lives() {
    let key = some_key();
    let (dir, fd) = listening(key);
    let lock = sockets::lock_file(dir.path(), key).unwrap();
    let mut made = sockets::Made::default();
    assert!(sockets::listen(dir.path(), key, &mut made).is_err());
    sockets::new_lock_file(dir.path(), key, &mut made).unwrap();
    made.remove();
    assert!(sockets::with_socket_path(dir.path(), key, Link::connect).is_ok());
    assert!(dir.path().join("lock.3").exists());
    drop((fd, lock));
    // Once it is known to be gone there is room again, and what a start makes goes with it.
    sockets::forget(dir.path(), key);
    let mut made = sockets::Made::default();
    sockets::listen(dir.path(), key, &mut made).unwrap();
    sockets::new_lock_file(dir.path(), key, &mut made).unwrap();
    made.remove();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
