//! The chain of systems without shepherds, with a launcher that is made up.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tessera_model::{InstanceNo, JobId, LaunchNo};
use tessera_ticket::launcher::Capabilities;
use tessera_ticket::pipe::{Answer, Ask};
use tessera_ticket::{
    EndKind, ItemRange, KernelLimits, Mode as TicketMode, Refusal, Template, Ticket,
};

use super::chain::{Chain, Desktop, Mode};
use super::here::{End, Here, Link, Taken};
use super::living::PROCESSES;
use super::tests::Groups;
use crate::chain::{
    ChainError, LaunchKey, Owner, RunItem, ShepherdEvent, StartError, StartRequest,
};
use crate::config::Config;
use crate::error::WorkerError;
use crate::options::{self, Options};
use crate::os;

const KEY: LaunchKey = LaunchKey {
    job: JobId(5),
    instance: InstanceNo(0),
    launch: LaunchNo(1),
};

/// Launchers by where they are, each with what it was asked.
static LAUNCHERS: Mutex<BTreeMap<PathBuf, Arc<Mutex<Vec<String>>>>> = Mutex::new(BTreeMap::new());

#[derive(Debug, Clone, PartialEq, Eq)]
struct Fake;

struct Wire {
    log: Arc<Mutex<Vec<String>>>,
    /// What it refuses with, by the name of its place.
    refuses: bool,
}

struct Ended;

impl End for Ended {
    const CAN_BE_ASKED: bool = true;

    fn wait(&self) -> io::Result<EndKind> {
        Ok(EndKind::Exited { code: 3 })
    }
}

impl Link for Wire {
    type With = &'static str;
    type End = Ended;

    fn open(launcher: &Path) -> io::Result<Self> {
        let all = LAUNCHERS.lock().unwrap_or_else(PoisonError::into_inner);
        let log = all.get(launcher).cloned().ok_or(io::ErrorKind::NotFound)?;
        let refuses = launcher.ends_with("refuses");
        Ok(Self { log, refuses })
    }

    fn ask_for(&self, ask: &Ask) -> io::Result<(Answer, &'static str)> {
        let (said, answer) = match ask {
            Ask::Capabilities => ("capabilities".into(), Answer::Capabilities(able())),
            Ask::Start { nice, token, .. } => (
                format!("start {nice} {token}"),
                Answer::Started {
                    account: "mia".to_owned(),
                },
            ),
            Ask::Gone { key } => (format!("gone {key}"), Answer::Done),
            Ask::Run { item, attempt } => (
                format!("run {item}.{attempt}"),
                Answer::Running {
                    pid: 41,
                    born: 7,
                    process: 1,
                    out: 2,
                    err: 3,
                },
            ),
            Ask::Look { .. } => (
                "look".to_owned(),
                Answer::State {
                    alive: 0,
                    user_us: 1,
                    system_us: 2,
                    memory_max: 3,
                    is_out_of_memory: true,
                },
            ),
            Ask::Forget { item, .. } => (format!("forget {item}"), Answer::Done),
            other => (format!("{other:?}"), Answer::Done),
        };
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(said);
        if self.refuses {
            let (code, text) = ("busy".to_owned(), "not now".to_owned());
            let hint = String::new();
            return Ok((Answer::Refused { code, text, hint }, ""));
        }
        Ok((answer, "with it"))
    }

    fn take(given: [u64; 3], with: &'static str) -> io::Result<Taken<Ended>> {
        assert_eq!((given, with), ([1, 2, 3], "with it"));
        let empty = || File::open("/dev/null");
        Ok(Taken {
            end: Ended,
            out: empty()?,
            err: empty()?,
        })
    }
}

fn able() -> Capabilities {
    Capabilities {
        containment: "fake".to_owned(),
        ..Capabilities::default()
    }
}

impl Here for Fake {
    type Own = Groups;
    type Link = Wire;

    const CONTAINMENT: &'static str = "fake";

    fn launcher(state: &Path) -> PathBuf {
        state.join("launcher")
    }
    fn unfit() -> Option<WorkerError> {
        None
    }
    fn no_answer(launcher: &Path, cause: &str) -> String {
        format!("{}: {cause}", launcher.display())
    }
    fn own(_: &Template) -> Groups {
        Groups
    }
    fn environment(user: &str, _: &Path, _: &[u8; 16], _: &[String]) -> Vec<(String, String)> {
        vec![("USER".to_owned(), user.to_owned())]
    }
    fn home() -> String {
        "/".to_owned()
    }
    fn uid_of(_: &str) -> Option<u32> {
        Some(501)
    }
    fn end_left(pid: u32, _: u64) -> bool {
        pid != 13
    }
}

struct World {
    dir: tempfile::TempDir,
    log: Arc<Mutex<Vec<String>>>,
    chain: Chain<Fake>,
}

/// A service whose launcher has this name.
fn service(name: &str) -> World {
    let dir = tempfile::tempdir().expect("a folder");
    let launcher = dir.path().join(name);
    let log = Arc::new(Mutex::new(Vec::new()));
    LAUNCHERS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(launcher.clone(), Arc::clone(&log));
    let chain = Chain::new(Mode::Service { launcher, nice: 4 });
    World { dir, log, chain }
}

impl World {
    fn said(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn request(dir: &Path, mode: TicketMode, account: &str) -> StartRequest {
    let template = Template {
        argv: vec!["/bin/true".to_owned()],
        env: Vec::new(),
        cwd: String::new(),
        umask: 0o022,
        slots: 1,
        agenda: None,
        limits: Vec::new(),
        convert_path: false,
    };
    let now = os::wall_ms();
    let ticket = Ticket {
        farm: [1; 16],
        host: [2; 16],
        key: tessera_ticket::LaunchKey {
            job: 5,
            instance: 0,
            launch: 1,
        },
        principal: "mia".to_owned(),
        proven: "test".to_owned(),
        mode,
        account: account.to_owned(),
        items: vec![ItemRange { first: 0, last: 7 }],
        template: template.digest(),
        not_before_ms: now,
        expires_ms: now + 60_000,
        nonce: [0; 16],
        limits: KernelLimits {
            memory: 99,
            ..KernelLimits::default()
        },
    };
    StartRequest {
        key: KEY,
        ticket: ticket.encode(),
        signature: [0; 64],
        template: template.encode(),
        dir: dir.to_owned(),
    }
}

#[tokio::test]
async fn what_a_launcher_runs_is_told_and_forgotten() {
    let world = service("launcher");
    let dir = world.dir.path();
    let req = request(dir, TicketMode::User, "mia");
    let (started, mut shepherd) = world.chain.start(req.clone()).await.expect("starts");
    assert_eq!((started.account.as_str(), started.uid), ("mia", 501));
    assert_eq!(world.said(), ["start 4 0"]);
    let run = RunItem {
        item: 2,
        attempt: 1,
        output_limit: 1 << 20,
        leftover_grace: Duration::ZERO,
        durable: false,
        next: false,
    };
    shepherd.run_item(run, None).await.expect("is told");
    let begun = shepherd.next_event().await;
    assert!(
        matches!(begun, Some(ShepherdEvent::ItemStarted { pid: 41, .. })),
        "{begun:?}"
    );
    let Some(ShepherdEvent::ItemEnded(record)) = shepherd.next_event().await else {
        panic!("it ends");
    };
    assert_eq!(record.kind, EndKind::Exited { code: 3 });
    assert_eq!((record.user_us, record.memory_max), (1, 3));
    // Memory was refused to it, as much as was signed.
    assert_eq!(record.out_of_memory, Some(99));
    // A launch is started once, and gone when the launcher says so.
    let again = world.chain.start(req).await;
    assert!(matches!(again, Err(StartError::Refused { .. })));
    world.chain.prove_gone(KEY, dir).await.expect("is gone");
    let said = world.said();
    assert_eq!(said[0], "run 2.1");
    assert!(said.contains(&"forget 2".to_owned()), "{said:?}");
    assert_eq!(said.last().map(String::as_str), Some("gone 5.0.1"));
    let able = world.chain.capabilities().await.expect("answers");
    assert_eq!(able.containment, "fake");
}

#[tokio::test]
async fn a_refusal_is_the_launchers_and_silence_is_none() {
    let world = service("refuses");
    let dir = world.dir.path();
    let req = request(dir, TicketMode::User, "mia");
    match world.chain.start(req.clone()).await {
        Err(StartError::Refused { code, text, .. }) => {
            assert_eq!((code.as_str(), text.as_str()), ("busy", "not now"));
        }
        other => panic!("{other:?}"),
    }
    let gone = world.chain.prove_gone(KEY, dir).await;
    assert!(matches!(gone, Err(ChainError::Refused { .. })), "{gone:?}");
    let launcher = dir.join("nobody");
    let mode = Mode::<Fake>::Service { launcher, nice: 0 };
    assert!(mode.no_answer("why").ends_with("nobody: why"));
    let chain = Chain::new(mode);
    let silent = chain.start(req).await;
    assert!(matches!(silent, Err(StartError::Unavailable(_))));
    assert!(chain.capabilities().await.is_err());
    assert!(chain.adopt(KEY, dir).await.is_err());
}

#[tokio::test]
async fn a_desktop_runs_its_persons_jobs_and_ends_what_was_left() {
    let dir = tempfile::tempdir().expect("a folder");
    let desktop = Desktop {
        owner: Owner {
            user: "mia".to_owned(),
            config: dir.path().join("worker.toml"),
        },
        variables: Vec::new(),
        tmp: dir.path().join("tmp"),
        nice: 0,
        paths: tessera_ticket::PathMap::default(),
    };
    let mode = Mode::<Fake>::Desktop(desktop, std::marker::PhantomData);
    assert!(mode.no_answer("why").contains("(why)"));
    let chain = Chain::new(mode);
    let other = request(dir.path(), TicketMode::User, "mia");
    match chain.start(other).await {
        Err(StartError::Refused { code, .. }) => {
            let mode = "user";
            assert_eq!(code, Refusal::ModeNotAllowed { mode }.code());
        }
        other => panic!("{other:?}"),
    }
    let own = request(dir.path(), TicketMode::Desktop, "");
    let (started, _shepherd) = chain.start(own).await.expect("starts");
    assert_eq!(started.account, "mia");
    assert!(dir.path().join("tmp/5.0.1").is_dir());
    let left = dir.path().join(PROCESSES);
    std::fs::write(&left, "13 1\n").expect("written");
    let gone = chain.prove_gone(KEY, dir.path()).await;
    assert!(matches!(gone, Err(ChainError::Refused { .. })), "{gone:?}");
    std::fs::write(&left, "14 1\n").expect("written");
    chain.prove_gone(KEY, dir.path()).await.expect("is gone");
    assert!(!left.exists());
}

#[test]
fn options_say_where_the_launcher_is() {
    let options = |named: Option<&str>| Options {
        state: PathBuf::from("/state"),
        mode: options::Mode::Service {
            launcher_socket: named.map(PathBuf::from),
        },
        supervisor: None,
        slots: None,
        name: None,
        launch_binary: None,
        config: None,
    };
    for (named, wanted) in [(None, "/state/launcher"), (Some("/x"), "/x")] {
        let mode = Mode::<Fake>::of(&options(named), &Config::default()).expect("a mode");
        let launcher = PathBuf::from(wanted);
        assert_eq!(mode, Mode::Service { launcher, nice: 0 });
    }
}
