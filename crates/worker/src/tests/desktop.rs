//! A desktop worker with real processes: the real `tessera-launch`, shepherds, starters and shells.
//!
//! Desktop mode is not for root. Run as root, the test starts itself once more as an ordinary account.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use nix::unistd::{Uid, User, chown};
use tessera_model::msg::{GoneCause, Report, RunLimits, ToWorker};
use tessera_model::state::End;
use tessera_ticket::{Agenda, FrameRun, ItemRange, Mode, PathMap, Split, Template, Ticket};
use tessera_wire::convert::LogStream;
use tokio_util::sync::CancellationToken;

use super::{Bench, key, limits, run};
use crate::chain::{self, Chain};
use crate::daemon;
use crate::options::Settings;

/// Names the `tessera-launch` to use; made by cargo when it is not given.
const LAUNCH: &str = "TESSERA_TEST_LAUNCH";
/// Accounts that every Linux has and that nobody logs in as.
const ACCOUNTS: [&str; 3] = ["games", "daemon", "nobody"];

#[test]
fn a_desktop_worker_runs_real_processes_and_is_replaced_while_they_run() {
    let launch = std::env::var_os(LAUNCH).map_or_else(build_launch, PathBuf::from);
    if Uid::effective().is_root() {
        again_as_somebody(&launch);
    } else {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(life(&launch));
    }
}

/// Has cargo make the program where it makes ours.
fn build_launch() -> PathBuf {
    let here = std::env::current_exe().expect("this program's path");
    let profile = here.ancestors().nth(2).expect("is in target/PROFILE/deps");
    let target = profile.parent().expect("is in target");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "-p", "tessera-launch", "--target-dir"])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo runs");
    assert!(status.success(), "tessera-launch can't be built");
    target.join("debug/tessera-launch")
}

/// Copies a program; another cargo may be putting a new one in its place.
fn copy_program(from: &Path, to: &Path) {
    let mut result = std::fs::copy(from, to);
    for _ in 0..50 {
        if result.is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
        result = std::fs::copy(from, to);
    }
    result.expect("copies the program");
}

/// Runs this test as another account, from copies of the programs that it can reach.
fn again_as_somebody(launch: &Path) {
    let found = ACCOUNTS
        .iter()
        .find_map(|name| User::from_name(name).ok().flatten());
    let user = found.expect("an account of the system's");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let copy = |from: &Path, name: &str| {
        let to = dir.path().join(name);
        copy_program(from, &to);
        std::fs::set_permissions(&to, PermissionsExt::from_mode(0o755)).expect("sets the mode");
        to
    };
    let test = copy(
        &std::env::current_exe().expect("this program's path"),
        "test",
    );
    let launch = copy(launch, "tessera-launch");
    let home = dir.path().join("tmp");
    std::fs::create_dir(&home).expect("makes");
    chown(&home, Some(user.uid), Some(user.gid)).expect("gives away");
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).expect("sets the mode");
    let output = Command::new(test)
        .args(["--exact", "--nocapture"])
        .arg("tests::desktop::a_desktop_worker_runs_real_processes_and_is_replaced_while_they_run")
        .env(LAUNCH, launch)
        .env("TMPDIR", &home)
        .env("SSH_AUTH_SOCK", "/the/agent")
        .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/the/bus")
        .env("KRB5CCNAME", "/the/tickets")
        .current_dir(&home)
        .uid(user.uid.as_raw())
        .gid(user.gid.as_raw())
        .output()
        .expect("runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "as {}:\n{text}\n{errors}",
        user.name
    );
    assert!(text.contains("1 passed"), "{text}");
}

/// A template whose items do what `script` says.
fn template(script: &str, cwd: &Path) -> Vec<u8> {
    let agenda = Agenda {
        runs: vec![FrameRun {
            start: 11,
            step: 1,
            count: 3,
        }],
        split: Split::Chunk(1),
        padding: 0,
    };
    let template = Template {
        argv: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        env: Vec::new(),
        cwd: cwd.to_string_lossy().into_owned(),
        umask: 0o022,
        limits: Vec::new(),
        slots: 1,
        agenda: Some(agenda),
        convert_path: true,
    };
    template.check().expect("is a template");
    template.encode()
}

fn own_name() -> String {
    let found = User::from_uid(Uid::effective()).expect("looks");
    found.expect("an account").name
}

fn start(job: u64, template: Vec<u8>, limits: RunLimits) -> ToWorker {
    start_of(&own_name(), job, template, limits)
}

fn start_of(principal: &str, job: u64, template: Vec<u8>, limits: RunLimits) -> ToWorker {
    let key = key(job);
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970");
    let now = u64::try_from(now.as_millis()).expect("is not that late");
    let ticket = Ticket {
        farm: [1; 16],
        host: [2; 16],
        key: tessera_ticket::LaunchKey {
            job,
            instance: key.instance.0,
            launch: key.launch.0,
        },
        principal: principal.to_owned(),
        proven: "peer".to_owned(),
        mode: Mode::Desktop,
        account: String::new(),
        items: vec![ItemRange { first: 0, last: 2 }],
        template: Template::digest_of(&template),
        not_before_ms: now - 1_000,
        expires_ms: now + 60_000,
        nonce: [3; 16],
        limits: tessera_ticket::KernelLimits::default(),
    };
    let (ticket, signature) = (ticket.encode(), vec![0; 64]);
    ToWorker::Start {
        key,
        ticket,
        signature,
        template,
        limits,
        run: run(0),
    }
}

impl Bench {
    fn start_desktop(&mut self, launch: &Path) {
        let user = own_name();
        let chain_mode = chain::Mode::Desktop {
            launch_binary: launch.to_owned(),
            owner: chain::Owner {
                user: user.clone(),
                config: self.config_path(),
            },
            variables: vec!["SSH_AUTH_SOCK".to_owned()],
            tmp: self.state.path().join("worker/tmp"),
            nice: 0,
            paths: PathMap::new([("P:".to_owned(), "/mnt/p".to_owned())]).expect("is a table"),
        };
        let chain = Chain::new(chain_mode.clone());
        let settings = Settings {
            chain_mode,
            desktop_user: Some(user),
            ..self.settings()
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(daemon::run(
            settings,
            chain,
            self.eyes.clone(),
            None,
            stop.clone(),
        ));
        self.worker = Some((stop, task));
    }

    async fn ended(&self, job: u64, item: u32) -> End {
        let is = |it: &Report| matches!(it, Report::ItemEnded { key: k, run: r, .. } if *k == key(job) && *r == run(item));
        match self.farm.report("the end of an item", is).await {
            Report::ItemEnded { end, .. } => end.end,
            Report::Started { .. } | Report::Refused { .. } | Report::Gone { .. } => End::Lost,
        }
    }

    async fn log(&self, job: u64, item: u32, stream: LogStream, expected: &[u8]) {
        self.farm
            .wait_for("a log", |state| {
                let mut logs = state
                    .logs
                    .iter()
                    .filter(|(it, _)| (it.job.0, it.item.0, it.stream) == (job, item, stream));
                logs.any(|(it, bytes)| bytes == expected && state.complete.contains(it))
                    .then_some(())
            })
            .await;
    }
}

const SCRIPT: &str = "echo frame QB_FRAME_NUMBER; echo oops >&2; \
     if [ QB_FRAME_NUMBER = 12 ]; then until [ -e go ]; do sleep 0.02; done; echo went; exit 4; fi";

async fn life(launch: &Path) {
    let mut bench = Bench::without_worker().await;
    bench.farm.enrol(&bench.state.path().join("worker"));
    bench.start_desktop(launch);
    let work = tempfile::tempdir().expect("a temporary directory");
    let facts = bench
        .farm
        .wait_for("a hello", |state| state.hellos.pop())
        .await;
    assert_eq!(facts.panic, None);
    assert_eq!(facts.properties["host.worker_mode"], "desktop");
    bench
        .farm
        .order(start(1, template(SCRIPT, work.path()), limits()))
        .await;
    let started = |it: &Report| !matches!(it, Report::ItemEnded { .. });
    match bench.farm.report("the start", started).await {
        Report::Started { uid, .. } => assert_eq!(uid, Uid::effective().as_raw()),
        other => panic!("not started: {other:?}"),
    }
    assert_eq!(bench.ended(1, 0).await, End::Exit(0));
    bench.log(1, 0, LogStream::Out, b"frame 11\n").await;
    bench.log(1, 0, LogStream::Err, b"oops\n").await;
    // The second item runs on while the worker is replaced.
    bench
        .farm
        .order(ToWorker::Run {
            key: key(1),
            run: run(1),
        })
        .await;
    let printed = || {
        let out = chain::spool_path(&bench.dir(key(1)), 1, 1, chain::SpoolFile::Out);
        std::fs::read(out).is_ok_and(|it| it == b"frame 12\n")
    };
    bench.until("the second item prints", printed).await;
    bench.stop().await;
    bench.farm.set(|state| state.inventories.clear());
    bench.start_desktop(launch);
    let inventory = bench
        .farm
        .wait_for("the inventory", |state| state.inventories.pop())
        .await;
    assert_eq!(inventory.first().and_then(|it| it.current), Some(run(1)));
    std::fs::write(work.path().join("go"), b"").expect("writes");
    assert_eq!(bench.ended(1, 1).await, End::Exit(4));
    bench.log(1, 1, LogStream::Out, b"frame 12\nwent\n").await;
    bench
        .farm
        .order(ToWorker::Run {
            key: key(1),
            run: run(2),
        })
        .await;
    assert_eq!(bench.ended(1, 2).await, End::Exit(0));
    close(&bench, 1, GoneCause::Closed).await;

    // One that ends while no worker is there, and one whose limit is over.
    let slow = "sleep 0.3; echo QB_FRAME_NUMBER";
    bench
        .farm
        .order(start(2, template(slow, work.path()), limits()))
        .await;
    bench
        .until("it runs", || {
            chain::spool_path(&bench.dir(key(2)), 0, 1, chain::SpoolFile::Exit).exists()
        })
        .await;
    bench.stop().await;
    bench
        .until("it ends", || {
            chain::read_exit(&bench.dir(key(2)), 0, 1).is_ok_and(|it| it.is_some())
        })
        .await;
    bench.start_desktop(launch);
    assert_eq!(bench.ended(2, 0).await, End::Exit(0));
    bench.log(2, 0, LogStream::Out, b"11\n").await;
    close(&bench, 2, GoneCause::Closed).await;
    let agendatimelimit = Some(Duration::from_millis(200));
    let limits = RunLimits {
        agendatimelimit,
        ..limits()
    };
    bench
        .farm
        .order(start(3, template("sleep 60", work.path()), limits))
        .await;
    let limit = tessera_model::state::Limit::ItemTime;
    assert_eq!(bench.ended(3, 0).await, End::Limit(limit));
    close(&bench, 3, GoneCause::Closed).await;
    // Short ones that print nothing, one after another.
    bench
        .farm
        .order(start(
            5,
            template("exit QB_FRAME_NUMBER", work.path()),
            super::limits(),
        ))
        .await;
    for item in 0..3 {
        let code = 11 + i32::try_from(item).expect("is small");
        assert_eq!(bench.ended(5, item).await, End::Exit(code));
        if item < 2 {
            tokio::time::sleep(Duration::from_millis(60)).await;
            bench
                .farm
                .order(ToWorker::Run {
                    key: key(5),
                    run: run(item + 1),
                })
                .await;
        }
    }
    close(&bench, 5, GoneCause::Closed).await;
    // Somebody else's job does not run as this person, whatever the farm says.
    let (script, somebody) = (template("true", work.path()), "somebodyelse");
    let order = start_of(somebody, 6, script, super::limits());
    bench.farm.order(order).await;
    let of_sixth = |it: &Report| matches!(it, Report::Refused { key: k, .. } | Report::Started { key: k, .. } if *k == key(6));
    let report = bench.farm.report("the refusal", of_sixth).await;
    assert!(
        format!("{report:?}").contains("submitter_not_allowed"),
        "{report:?}"
    );
    guests(&mut bench, launch, work.path()).await;
    // What can't start says why.
    let nowhere = template("true", Path::new("/nonexistent/place"));
    bench.farm.order(start(4, nowhere, super::limits())).await;
    let End::NotStarted(why) = bench.ended(4, 0).await else {
        panic!("can't start")
    };
    assert!(why.starts_with("chdir: "), "{why}");
    close(&bench, 4, GoneCause::Closed).await;
    bench.stop().await;
}

/// Somebody else's jobs run when the person lets them in, without the person's own keys, and go when that is taken back.
async fn guests(bench: &mut Bench, launch: &Path, work: &Path) {
    let config = bench.config_path();
    std::fs::write(&config, "desktop_allowed_submitters = [\"somebodyelse\"]\n").expect("writes");
    let script = "echo ${SSH_AUTH_SOCK-no} ${DBUS_SESSION_BUS_ADDRESS-no} ${KRB5CCNAME-no}; id -un";
    let order = start_of("somebodyelse", 7, template(script, work), limits());
    bench.farm.order(order).await;
    assert_eq!(bench.ended(7, 0).await, End::Exit(0));
    // Only what the configuration lists is handed on, and the account is the person's.
    let agent = std::env::var("SSH_AUTH_SOCK").unwrap_or_else(|_| "no".to_owned());
    let expected = format!("{agent} no no\n{}\n", own_name());
    bench.log(7, 0, LogStream::Out, expected.as_bytes()).await;
    close(bench, 7, GoneCause::Closed).await;
    let order = start_of(
        "somebodyelse",
        8,
        template("touch in; sleep 600", work),
        limits(),
    );
    bench.farm.order(order).await;
    bench
        .until("the guest's job runs", || work.join("in").exists())
        .await;
    bench
        .farm
        .order(start(9, template("sleep 600", work), limits()))
        .await;
    let started = |it: &Report| matches!(it, Report::Started { key: k, .. } if *k == key(9));
    bench
        .farm
        .report("the start of the person's own", started)
        .await;
    // Another worker knows whose they are.
    bench.stop().await;
    bench.start_desktop(launch);
    std::fs::write(&config, "desktop_allowed_submitters = []\n").expect("writes");
    assert_eq!(bench.ended(8, 0).await, End::Asked);
    let gone = |it: &Report| matches!(it, Report::Gone { key: k, .. } if *k == key(8));
    bench.farm.report("that nothing is left", gone).await;
    let order = start_of("somebodyelse", 10, template("true", work), limits());
    bench.farm.order(order).await;
    let of_tenth = |it: &Report| matches!(it, Report::Refused { key: k, .. } | Report::Started { key: k, .. } if *k == key(10));
    let report = bench.farm.report("the refusal", of_tenth).await;
    assert!(
        format!("{report:?}").contains("submitter_not_allowed"),
        "{report:?}"
    );
    // The person's own goes on.
    let inventory = bench
        .farm
        .wait_for("an inventory", |it| it.inventories.last().cloned())
        .await;
    assert!(inventory.iter().any(|it| it.key == key(9)), "{inventory:?}");
    close(bench, 9, GoneCause::Closed).await;
}

async fn close(bench: &Bench, job: u64, expected: GoneCause) {
    bench
        .farm
        .order(ToWorker::Close {
            key: key(job),
            grace: Duration::ZERO,
        })
        .await;
    let is = |it: &Report| matches!(it, Report::Gone { key: k, .. } if *k == key(job));
    match bench.farm.report("the end of a launch", is).await {
        Report::Gone { cause, .. } => assert_eq!(cause, expected),
        other => panic!("not gone: {other:?}"),
    }
    bench
        .until("its spool is empty", || !bench.dir(key(job)).exists())
        .await;
}
