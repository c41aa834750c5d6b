//! Instances with real processes, in a system whose trees are process groups.

use std::fs;
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tessera_ticket::{
    Agenda, Digest, EndCause, EndKind, ExitRecord, FrameRun, ItemRange, LaunchKey, Mode, PathMap,
    Split, Step, Template, Ticket,
};
use tokio::sync::watch;
use tokio::time::timeout;

use super::living::Living;
use super::{Begun, Failed, Handle, Instance, Order, Program, System, Tree, Used};
use crate::chain::{RunItem, ShepherdEvent, SpoolFile, read_exit, read_index, spool, spool_path};

/// How long anything may take.
const LONG: Duration = Duration::from_secs(20);

#[derive(Clone)]
pub(super) struct Groups;

pub(super) struct Group {
    pid: i32,
    child: Mutex<Option<Child>>,
    /// The limit that refused it memory: of commands with `malloc` in them.
    refused: Option<u64>,
}

impl System for Groups {
    type Tree = Group;

    fn start(&self, program: &Program) -> Result<Begun<Group>, Failed> {
        let [name, arguments @ ..] = program.argv.as_slice() else {
            panic!("an instance starts nothing without a name")
        };
        let mut command = Command::new(name);
        command.args(arguments).env_clear().process_group(0);
        command.envs(program.env.iter().map(|(name, value)| (name, value)));
        command.current_dir(&program.cwd).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error: io::Error| Failed {
            step: Step::Exec,
            errno: error.raw_os_error().unwrap_or(0),
        })?;
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let tree = Group {
            pid: i32::try_from(child.id()).unwrap(),
            child: Mutex::new(Some(child)),
            refused: program
                .argv
                .iter()
                .any(|it| it.contains("malloc"))
                .then_some(99),
        };
        Ok(Begun {
            tree,
            out: Box::new(out),
            err: Box::new(err),
        })
    }
}

impl Group {
    fn signal(&self, signal: Signal) {
        let _ = killpg(Pid::from_raw(self.pid), signal);
    }
}

impl Tree for Group {
    fn main(&self) -> (u32, u64) {
        (self.pid.unsigned_abs(), 7)
    }

    fn wait(&self) -> EndKind {
        let mut child = self.child.lock().unwrap().take().unwrap();
        let status = child.wait().unwrap();
        match status.signal() {
            Some(signal) => EndKind::Signalled {
                signal: u8::try_from(signal).unwrap(),
            },
            None => EndKind::Exited {
                code: status.code().unwrap(),
            },
        }
    }

    fn ask_to_end(&self) -> bool {
        self.signal(Signal::SIGTERM);
        true
    }

    fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    fn alive(&self) -> u32 {
        u32::from(is_alive(self.pid))
    }

    fn set_suspended(&self, is: bool) {
        self.signal(if is { Signal::SIGSTOP } else { Signal::SIGCONT });
    }

    fn used(&self) -> Used {
        Used {
            user_us: 11,
            system_us: 12,
            memory_max: 13,
        }
    }

    fn refused_memory(&self) -> Option<u64> {
        self.refused
    }
}

struct Bench {
    dir: tempfile::TempDir,
    handle: Handle,
}

/// An instance that runs a shell command for each of the frames 1 to 9, in chunks of one.
fn instance(dir: &Path, command: &str) -> Instance<Groups> {
    let template = Template {
        argv: ["/bin/sh", "-c", command].map(str::to_owned).to_vec(),
        env: vec![("SHOW".to_owned(), "abc".to_owned())],
        cwd: String::new(),
        umask: 0o022,
        limits: Vec::new(),
        slots: 1,
        agenda: Some(Agenda {
            runs: vec![FrameRun {
                start: 1,
                step: 1,
                count: 9,
            }],
            split: Split::Chunk(1),
            padding: 0,
        }),
        convert_path: true,
    };
    let ticket = Ticket {
        farm: [1; 16],
        host: [2; 16],
        key: LaunchKey {
            job: 5,
            instance: 0,
            launch: 1,
        },
        principal: "mia".to_owned(),
        proven: "test".to_owned(),
        mode: Mode::Desktop,
        account: String::new(),
        items: vec![ItemRange { first: 0, last: 7 }],
        template: Digest([0; 32]),
        not_before_ms: 0,
        expires_ms: 1,
        nonce: [0; 16],
        limits: tessera_ticket::KernelLimits::default(),
    };
    let tmp = dir.join("tmp");
    fs::create_dir_all(&tmp).unwrap();
    fs::write(tmp.join("left"), "x").unwrap();
    Instance {
        system: Groups,
        ticket,
        template,
        env: vec![
            ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
            ("SHOW".to_owned(), "no".to_owned()),
        ],
        home: dir.to_string_lossy().into_owned(),
        nice: 0,
        paths: PathMap::new([("P:".to_owned(), "/mnt/p".to_owned())]).unwrap(),
        tmp: Some(tmp),
        processes: dir.join("processes"),
    }
}

impl Bench {
    fn new(command: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let handle = instance(dir.path(), command).begin(watch::channel(()).0);
        Self { dir, handle }
    }

    async fn run(&self, item: u32, change: impl FnOnce(&mut RunItem)) {
        let mut run = RunItem {
            item,
            attempt: 1,
            output_limit: 1 << 20,
            leftover_grace: Duration::ZERO,
            durable: true,
            next: false,
        };
        change(&mut run);
        let files = spool::make_files(self.dir.path(), item, 1).unwrap();
        self.tell(Order::Run(run, files)).await;
    }

    async fn tell(&self, order: Order) {
        self.handle.orders.send(order).await.unwrap();
    }

    async fn next(&mut self) -> ShepherdEvent {
        let next = timeout(LONG, self.handle.events.recv()).await;
        next.expect("in time").expect("an event")
    }

    async fn started(&mut self) -> (u32, i32) {
        match self.next().await {
            ShepherdEvent::ItemStarted { item, pid, .. } => (item, i32::try_from(pid).unwrap()),
            other => panic!("{other:?}"),
        }
    }

    async fn ended(&mut self) -> ExitRecord {
        match self.next().await {
            ShepherdEvent::ItemEnded(record) => {
                let kept = read_exit(self.dir.path(), record.item, 1).unwrap();
                assert_eq!(kept, Some(record), "what is told is recorded");
                record
            }
            other => panic!("{other:?}"),
        }
    }

    async fn not_started(&mut self) -> (u32, Step, i32) {
        match self.next().await {
            ShepherdEvent::ItemNotStarted {
                item, step, errno, ..
            } => (item, step, errno),
            other => panic!("{other:?}"),
        }
    }

    fn text(&self, item: u32, file: SpoolFile) -> String {
        fs::read_to_string(spool_path(self.dir.path(), item, 1, file)).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Waits until an item has printed a line.
    async fn printed(&self, item: u32, line: &str) {
        let seen = async {
            while !self.text(item, SpoolFile::Out).contains(line) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(LONG, seen).await.expect("prints in time");
    }
}

/// Says whether a process group has members that are more than an entry of the process table.
fn is_alive(group: i32) -> bool {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let stats = all.filter_map(|it| fs::read_to_string(it.path().join("stat")).ok());
    let mut fields = stats.filter_map(|it| Some(it.rsplit_once(") ")?.1.to_owned()));
    fields.any(|it| {
        let mut words = it.split(' ');
        let (state, _parent, of) = (words.next(), words.next(), words.next());
        !matches!(state, Some("Z" | "X")) && of == Some(group.to_string().as_str())
    })
}

#[tokio::test]
async fn an_item_runs_and_is_recorded() {
    let mut bench = Bench::new("echo $QB_FRAME_NUMBER $SHOW $PWD; echo oops >&2; exit 300");
    bench.run(2, |_| {}).await;
    let (item, pid) = bench.started().await;
    let record = bench.ended().await;
    assert_eq!((item, record.item), (2, 2));
    assert_eq!(record.kind, EndKind::Exited { code: 300 & 0xff });
    assert_eq!((record.cause, record.leftovers), (EndCause::Itself, 0));
    assert_eq!(
        (record.user_us, record.system_us, record.memory_max),
        (11, 12, 13)
    );
    let home = fs::canonicalize(bench.dir.path()).unwrap();
    let out = format!("3 abc {}\n", home.display());
    assert_eq!(bench.text(2, SpoolFile::Out), out);
    assert_eq!(bench.text(2, SpoolFile::Err), "oops\n");
    assert_eq!(record.kept, [out.len() as u64, 5]);
    assert_eq!(read_index(bench.dir.path(), 2, 1).unwrap().len(), 2);
    let noted = fs::read_to_string(bench.path("processes")).unwrap();
    assert_eq!(noted, format!("{pid} 7\n"));
}

#[tokio::test]
async fn an_end_for_want_of_memory_is_told_apart() {
    for (command, refused) in [
        ("echo malloc; exit 3", Some(99)),
        ("echo malloc; kill -9 $$", Some(99)),
        // It was refused some and came to a good end without.
        ("echo malloc; exit 0", None),
        ("exit 3", None),
    ] {
        let mut bench = Bench::new(command);
        bench.run(0, |_| {}).await;
        bench.started().await;
        let record = bench.ended().await;
        assert_eq!(record.out_of_memory, refused, "{command}");
        let kept = read_exit(bench.dir.path(), 0, 1).unwrap().unwrap();
        assert_eq!(kept.out_of_memory, refused, "{command}");
    }
    // Who asked for the end has the word.
    let mut bench = Bench::new("echo malloc; while :; do sleep 0.05; done");
    bench.run(0, |_| {}).await;
    bench.started().await;
    let (item, attempt, grace, cause) = (0, 1, Duration::ZERO, EndCause::Kill);
    bench
        .tell(Order::End {
            item,
            attempt,
            grace,
            cause,
        })
        .await;
    assert_eq!(bench.ended().await.out_of_memory, None);
}

#[tokio::test]
async fn paths_of_another_system_are_put_in() {
    // The template has the flag, and the host calls P: `/mnt/p`.
    let mut bench = Bench::new(r"echo 'P:\a b\f.QB_FRAME_NUMBER' D:/x; echo QB_CONVERT_PATH(p:/c)");
    bench.run(2, |_| {}).await;
    bench.started().await;
    bench.ended().await;
    assert_eq!(
        bench.text(2, SpoolFile::Out),
        "/mnt/p/a b/f.3 D:/x\n/mnt/p/c\n"
    );
}

#[tokio::test]
async fn what_can_not_start_says_why() {
    let mut bench = Bench::new("true");
    bench.run(8, |_| {}).await;
    assert_eq!(bench.not_started().await, (8, Step::NotAllowed, 0));
    let record = read_exit(bench.dir.path(), 8, 1).unwrap().unwrap();
    let kind = EndKind::NotStarted {
        step: Step::NotAllowed,
        errno: 0,
    };
    assert_eq!(record.kind, kind);
    // The home is not there.
    fs::remove_dir_all(bench.path("tmp")).unwrap();
    let files = spool::make_files(bench.dir.path(), 1, 1).unwrap();
    fs::remove_dir_all(bench.dir.path()).unwrap();
    let run = RunItem {
        item: 1,
        attempt: 1,
        output_limit: 1,
        leftover_grace: Duration::ZERO,
        durable: false,
        next: false,
    };
    bench.tell(Order::Run(run, files)).await;
    assert_eq!(
        bench.not_started().await,
        (1, Step::Exec, nix::libc::ENOENT)
    );
}

#[tokio::test]
async fn output_beyond_the_limit_is_cut_with_a_mark() {
    let mut bench = Bench::new("seq 100000");
    bench.run(0, |it| it.output_limit = 1_000).await;
    bench.started().await;
    let record = bench.ended().await;
    assert!(record.cut_by_limit && !record.cut_by_disk);
    assert_eq!(record.kind, EndKind::Exited { code: 0 });
    assert_eq!(record.produced[0], 588_895);
    let out = bench.text(0, SpoolFile::Out);
    assert_eq!(out.len() as u64, record.kept[0]);
    assert!(out.ends_with("passed its output limit of 1000 bytes; what follows is not kept]\n"));
}

#[tokio::test]
async fn who_does_not_end_when_asked_is_killed() {
    let mut bench = Bench::new("trap 'echo asked' TERM; echo up; while :; do sleep 0.05; done");
    bench.run(0, |_| {}).await;
    let (_, pid) = bench.started().await;
    bench.printed(0, "up").await;
    let order = |grace| Order::End {
        item: 0,
        attempt: 1,
        grace,
        cause: EndCause::TimeLimit,
    };
    bench.tell(order(LONG * 9)).await;
    bench.printed(0, "asked").await;
    assert!(is_alive(pid));
    // A shorter grace counts, a longer would not.
    bench.tell(order(Duration::from_millis(1))).await;
    let record = bench.ended().await;
    assert_eq!(record.kind, EndKind::Signalled { signal: 9 });
    assert_eq!(record.cause, EndCause::TimeLimit);
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn what_outlives_its_main_process_is_killed_and_counted() {
    let mut bench = Bench::new("sleep 600 & echo done");
    bench.run(0, |_| {}).await;
    let (_, pid) = bench.started().await;
    let record = bench.ended().await;
    assert_eq!(record.kind, EndKind::Exited { code: 0 });
    assert_eq!(record.leftovers, 1);
    assert!(!is_alive(pid));
    // It may end by itself in its time.
    bench
        .run(1, |it| {
            it.leftover_grace = LONG;
        })
        .await;
    let (_, pid) = bench.started().await;
    let main_ended = async {
        while PathBuf::from(format!("/proc/{pid}")).exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, main_ended).await.expect("ends");
    assert!(is_alive(pid));
    bench
        .tell(Order::End {
            item: 1,
            attempt: 1,
            grace: Duration::ZERO,
            cause: EndCause::Kill,
        })
        .await;
    assert_eq!(bench.ended().await.leftovers, 1);
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn the_next_item_waits_until_nothing_is_left_of_the_first() {
    let mut bench = Bench::new("while [ -e wait ]; do sleep 0.01; done");
    fs::write(bench.path("wait"), "").unwrap();
    bench.run(0, |_| {}).await;
    assert_eq!(bench.started().await.0, 0);
    bench.run(1, |it| it.next = true).await;
    bench.run(2, |it| it.next = true).await;
    // One that waits can be taken back.
    let order = Order::End {
        item: 1,
        attempt: 1,
        grace: LONG,
        cause: EndCause::Requeue,
    };
    bench.tell(order).await;
    assert_eq!(bench.not_started().await, (1, Step::Cancelled, 0));
    fs::remove_file(bench.path("wait")).unwrap();
    assert_eq!(bench.ended().await.item, 0);
    assert_eq!(bench.started().await.0, 2);
    assert_eq!(bench.ended().await.item, 2);
}

#[tokio::test]
async fn suspended_items_stand_still_and_none_begins() {
    let mut bench = Bench::new("echo up; while [ -e wait ]; do sleep 0.01; done");
    fs::write(bench.path("wait"), "").unwrap();
    bench.run(0, |_| {}).await;
    let (_, pid) = bench.started().await;
    bench.printed(0, "up").await;
    bench.tell(Order::SetSuspended(true)).await;
    assert_eq!(bench.next().await, ShepherdEvent::Suspended);
    let stands = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(") ").unwrap().1.starts_with('T')
    };
    let seen = async {
        while !stands() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, seen).await.expect("stands still");
    bench.run(1, |_| {}).await;
    fs::remove_file(bench.path("wait")).unwrap();
    bench.tell(Order::SetSuspended(false)).await;
    assert_eq!(bench.next().await, ShepherdEvent::Resumed);
    assert_eq!(bench.ended().await.item, 0);
    assert_eq!(bench.started().await.0, 1);
    assert_eq!(bench.ended().await.item, 1);
}

#[tokio::test]
async fn closing_ends_everything_and_clears_up() {
    let mut bench = Bench::new("sleep 600");
    bench.run(0, |_| {}).await;
    let (_, pid) = bench.started().await;
    bench.run(1, |it| it.next = true).await;
    bench.tell(Order::Close).await;
    assert_eq!(bench.not_started().await, (1, Step::Cancelled, 0));
    let record = bench.ended().await;
    assert_eq!((record.item, record.cause), (0, EndCause::Close));
    assert_eq!(bench.next().await, ShepherdEvent::Closing);
    assert!(!is_alive(pid) && !bench.path("tmp").exists());
    assert_eq!(bench.handle.events.recv().await, None);
}

#[tokio::test]
async fn a_worker_that_ends_takes_all_with_it_and_records_nothing() {
    let mut bench = Bench::new("sleep 600");
    bench.run(0, |_| {}).await;
    let (_, pid) = bench.started().await;
    let Bench { dir, handle } = bench;
    let Handle { orders, mut events } = handle;
    drop(orders);
    let none = timeout(LONG, events.recv()).await.expect("ends in time");
    assert_eq!(none, None);
    assert!(!is_alive(pid) && !dir.path().join("tmp").exists());
    assert_eq!(read_exit(dir.path(), 0, 1).unwrap(), None);
}

#[tokio::test]
async fn a_launch_lives_once_and_is_gone_when_it_was_ended() {
    let bench = Bench::new("while :; do sleep 0.05; done");
    let living = Living::default();
    let key = tessera_model::msg::LaunchKey {
        job: tessera_model::JobId(5),
        instance: tessera_model::InstanceNo(0),
        launch: tessera_model::LaunchNo(1),
    };
    let dir = bench.dir.path().to_owned();
    let mut shepherd = living
        .begin(key, dir.clone(), instance(bench.dir.path(), "sleep 60"))
        .expect("begins");
    let again = living.begin(key, dir.clone(), instance(bench.dir.path(), "true"));
    assert!(again.is_err(), "twice");
    let run = RunItem {
        item: 1,
        attempt: 7,
        output_limit: 1_024,
        leftover_grace: Duration::ZERO,
        durable: false,
        next: false,
    };
    shepherd.run_item(run, None).await.expect("runs");
    let started = shepherd.next_event().await;
    assert!(
        matches!(
            started,
            Some(ShepherdEvent::ItemStarted {
                item: 1,
                attempt: 7,
                ..
            })
        ),
        "{started:?}"
    );
    shepherd.set_suspended(true).await.expect("told");
    shepherd.set_suspended(false).await.expect("told");
    let grace = Duration::ZERO;
    shepherd
        .end_item(1, 7, grace, EndCause::Kill)
        .await
        .expect("told");
    shepherd.close().await.expect("told");
    living.end(key).await.expect("is gone");
    let mut last = None;
    while let Some(event) = shepherd.next_event().await {
        last = Some(event);
    }
    assert_eq!(last, Some(ShepherdEvent::Closing));
    living.forget(key, &dir);
    assert!(
        living
            .begin(key, dir.clone(), instance(&dir, "true"))
            .is_ok()
    );
}
