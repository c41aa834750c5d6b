//! Whole conversations, on a host that is made up.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use tessera_keeper::{Config, Failed, Note, Own, Tree, Used};
use tessera_rules::account::{Account, Found};
use tessera_ticket::pipe::{Answer, Ask};
use tessera_ticket::{
    AccountName, ItemRange, LaunchKey, Mode, Refusal, SigningKey, Step, Template, Ticket,
};

use crate::Launcher;
use crate::config::DEFAULT_POLICY;
use crate::host::Host;
use crate::order::Order;
use crate::os::Os;

const NOW: u64 = 1_800_000_000_000;

#[derive(Debug, Default)]
struct Fake {
    /// The call that fails.
    fails: &'static str,
    /// Groups of mia beside her own.
    groups: Vec<(u32, String)>,
    /// Processes that are alive, however often they are killed, for so many looks.
    stubborn: Arc<AtomicU32>,
    log: Arc<Mutex<Vec<String>>>,
    next_pid: AtomicU32,
}

fn say(log: &Mutex<Vec<String>>, text: impl Into<String>) {
    log.lock().expect("not poisoned").push(text.into());
}

struct Processes {
    pid: u32,
    stubborn: Arc<AtomicU32>,
    is_alive: AtomicU32,
    log: Arc<Mutex<Vec<String>>>,
}

impl Tree for Processes {
    fn main(&self) -> (u32, u64) {
        (self.pid, 77)
    }
    fn ask_to_end(&self) -> io::Result<()> {
        say(&self.log, format!("term {}", self.pid));
        Ok(())
    }
    fn kill(&self) -> io::Result<()> {
        say(&self.log, format!("kill {}", self.pid));
        let left = self.stubborn.load(Ordering::SeqCst);
        if left == 0 {
            self.is_alive.store(0, Ordering::SeqCst);
        } else {
            self.stubborn.store(left - 1, Ordering::SeqCst);
        }
        Ok(())
    }
    fn alive(&self) -> io::Result<u32> {
        Ok(self.is_alive.load(Ordering::SeqCst))
    }
    fn set_suspended(&self, is: bool) -> io::Result<()> {
        say(&self.log, format!("stop {} {is}", self.pid));
        Ok(())
    }
    fn used(&self) -> Used {
        Used {
            user_us: 1,
            system_us: 2,
            memory_max: 3,
        }
    }
}

impl Fake {
    fn step(&self, name: &str) -> io::Result<()> {
        say(&self.log, name);
        if self.fails == name {
            return Err(io::Error::from_raw_os_error(28));
        }
        Ok(())
    }
}

impl Os for Fake {
    type Tree = Processes;
    type Given = u32;

    fn wall_ms(&self) -> u64 {
        NOW
    }
    fn host(&self) -> String {
        "mac7".to_owned()
    }
    fn look_up(&self, name: &AccountName) -> Result<Found, Refusal> {
        say(&self.log, format!("look {name}"));
        if self.fails == name.as_str() {
            return Err(Refusal::DirectoryUnavailable { errno: 60 });
        }
        let (uid, gid) = match name.as_str() {
            "mia" => (501, 20),
            "_tessera" => (390, 390),
            "_tessera-job" => (391, 391),
            "root" => (0, 0),
            _ => return Err(Refusal::NoSuchAccount),
        };
        let mut groups = vec![(gid, "own".to_owned())];
        if name.as_str() == "mia" {
            groups.extend(self.groups.iter().cloned());
        }
        Ok(Found {
            name: name.to_string(),
            uid,
            gid,
            home: format!("/Users/{name}"),
            shell: "/bin/zsh".to_owned(),
            name_of_uid: name.to_string(),
            groups,
            ..Found::default()
        })
    }
    fn make_private(&self, path: &Path, account: &Account) -> io::Result<()> {
        assert!(path.ends_with("12.0.1") || path.ends_with("12.0.2"));
        say(&self.log, format!("for {}", account.name));
        self.step("private")
    }
    fn remove_private(&self, _path: &Path, account: &Account) -> io::Result<()> {
        assert_ne!(account.identity.uid, 0);
        self.step("remove private")
    }
    fn start(
        &self,
        order: &Order,
        _template: &Template,
        nice: u8,
        note: Note<'_>,
    ) -> Result<(Processes, u32), Failed> {
        let pid = self.next_pid.fetch_add(1, Ordering::SeqCst) + 1;
        note(pid, 77).map_err(|error| Failed::at(Step::Prepare, &error))?;
        self.step("start")
            .map_err(|error| Failed::at(Step::SetUid, &error))?;
        let Order {
            name,
            uid,
            gid,
            directory,
            argv,
            env,
        } = order;
        let argv = argv.join(" ");
        say(
            &self.log,
            format!("{name} {uid} {gid} {nice}: {argv} in {directory}"),
        );
        for (name, value) in env {
            say(&self.log, format!("{name}={value}"));
        }
        let tree = Processes {
            pid,
            stubborn: Arc::clone(&self.stubborn),
            is_alive: AtomicU32::new(2),
            log: Arc::clone(&self.log),
        };
        Ok((tree, pid))
    }
    fn end_left(&self, pid: u32, born: u64) -> bool {
        say(&self.log, format!("end left {pid} {born}"));
        self.fails != "end left"
    }
}

struct World {
    dir: tempfile::TempDir,
    os: Arc<Fake>,
    launcher: Launcher<Fake>,
}

fn signer() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn world_in(dir: tempfile::TempDir, os: Fake, policy: &str) -> World {
    let own = dir.path().join("launcher");
    std::fs::create_dir_all(&own).expect("made");
    let write = |name: &str, text: &str| std::fs::write(own.join(name), text).expect("written");
    write("farm_id", &"01".repeat(16));
    write("host_id", &"02".repeat(16));
    let key = signer().verifying_key();
    let hex: String = key
        .as_bytes()
        .iter()
        .map(|it| format!("{it:02x}"))
        .collect();
    write("dispatch.pub", &hex);
    write("policy", policy);
    let os = Arc::new(os);
    let config = Config::load(dir.path(), |_| Ok(())).expect("a host");
    let launcher = Launcher::new(Arc::new(Host::new(Arc::clone(&os))), config).expect("a launcher");
    World { dir, os, launcher }
}

fn world(os: Fake, policy: &str) -> World {
    world_in(tempfile::tempdir().expect("a folder"), os, policy)
}

impl World {
    fn say(&self, ask: Ask, own: &mut Option<Own<Host<Fake>>>) -> (Answer, Option<u32>) {
        self.launcher.answer(ask, own, &())
    }

    fn log(&self) -> Vec<String> {
        std::mem::take(&mut *self.os.log.lock().expect("not poisoned"))
    }

    fn audit(&self) -> String {
        let read = |name| std::fs::read_to_string(self.dir.path().join("launcher").join(name));
        let all = ["audit.log", "audit-asked.log"].map(|name| read(name).expect("reads"));
        all.concat()
    }
}

fn key(launch: u32) -> LaunchKey {
    LaunchKey {
        job: 12,
        instance: 0,
        launch,
    }
}

fn template() -> Template {
    Template {
        argv: vec!["render".to_owned(), "a b".to_owned()],
        env: vec![("SHOT".to_owned(), "7".to_owned())],
        cwd: String::new(),
        umask: 0o022,
        slots: 1,
        agenda: None,
        limits: Vec::new(),
        convert_path: false,
    }
}

fn ticket(mode: Mode, account: &str) -> Ticket {
    Ticket {
        farm: [1; 16],
        host: [2; 16],
        key: key(1),
        principal: "mia".into(),
        proven: "peer".into(),
        mode,
        account: account.into(),
        items: vec![ItemRange { first: 0, last: 3 }],
        template: template().digest(),
        limits: tessera_ticket::KernelLimits::default(),
        not_before_ms: NOW - 1_000,
        expires_ms: NOW + 60_000,
        nonce: [3; 16],
    }
}

fn start_of(ticket: &Ticket, signer: &SigningKey, template: &Template) -> Ask {
    let bytes = ticket.encode();
    Ask::Start {
        signature: Ticket::sign(&bytes, signer),
        ticket: bytes,
        template: template.encode(),
        nice: 5,
        token: 0,
    }
}

fn start(ticket: &Ticket) -> Ask {
    start_of(ticket, &signer(), &template())
}

fn code(answer: &Answer) -> &str {
    match answer {
        Answer::Refused { code, .. } => code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_job_runs_as_its_account_and_all_is_taken_back() {
    let world = world(Fake::default(), DEFAULT_POLICY);
    let mut own = None;
    let (answer, _) = world.say(start(&ticket(Mode::User, "mia")), &mut own);
    let account = "mia".to_owned();
    assert_eq!(answer, Answer::Started { account });
    let (item, attempt) = (2, 1);
    let (answer, given) = world.say(Ask::Run { item, attempt }, &mut own);
    assert!(
        matches!(
            answer,
            Answer::Running {
                pid: 1,
                born: 77,
                ..
            }
        ),
        "{answer:?}"
    );
    assert_eq!(given, Some(1));
    let log = world.log();
    assert_eq!(
        log[..4],
        ["look mia", "look _tessera", "for mia", "private"]
    );
    assert!(
        log.contains(&"mia 501 20 5: render a b in /Users/mia".to_owned()),
        "{log:?}"
    );
    for variable in [
        "HOME=/Users/mia",
        "USER=mia",
        "SHELL=/bin/zsh",
        "LANG=en_US.UTF-8",
        "SHOT=7",
        "TMPDIR=/private/var/tessera/12.0.1",
        "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin:/opt/homebrew/bin",
    ] {
        assert!(log.iter().any(|it| it == variable), "{variable}: {log:?}");
    }
    // What is to happen is on record before it does, and where the process is is noted.
    assert!(
        world
            .audit()
            .contains("\"identity\":\"uid 501, gid 20, groups 20\"")
    );
    let notes = world.dir.path().join("launcher/launches/12.0.1");
    assert_eq!(std::fs::read_to_string(&notes).expect("noted"), "1 77\n");
    for ask in [
        Ask::End { item, attempt },
        Ask::Suspend {
            item,
            attempt,
            is: true,
        },
    ] {
        assert_eq!(world.say(ask, &mut own).0, Answer::Done);
    }
    let (state, _) = world.say(Ask::Look { item, attempt }, &mut own);
    assert!(
        matches!(
            state,
            Answer::State {
                alive: 2,
                memory_max: 3,
                ..
            }
        ),
        "{state:?}"
    );
    assert_eq!(world.log(), ["term 1", "stop 1 true"]);
    // What is alive is not forgotten, but ended with the connection.
    world.say(Ask::Forget { item, attempt }, &mut own);
    world.launcher.end(&own.expect("an instance"));
    assert_eq!(world.log(), ["kill 1", "remove private"]);
    assert!(!notes.exists());
}

#[test]
fn the_worker_can_not_say_what_runs() {
    let world = world(Fake::default(), DEFAULT_POLICY);
    let good = ticket(Mode::User, "mia");
    let other = Template {
        argv: vec!["rm".to_owned()],
        ..template()
    };
    let forger = SigningKey::from_bytes(&[8; 32]);
    for (ask, expected) in [
        (start_of(&good, &forger, &template()), "ticket_signature"),
        (start_of(&good, &signer(), &other), "digest_mismatch"),
        (
            start(&Ticket {
                farm: [9; 16],
                ..good.clone()
            }),
            "ticket_not_for_this_farm",
        ),
        (
            start(&Ticket {
                host: [9; 16],
                ..good.clone()
            }),
            "ticket_not_for_this_host",
        ),
        (
            start(&Ticket {
                expires_ms: NOW - 40_000,
                not_before_ms: NOW - 60_000,
                ..good.clone()
            }),
            "ticket_expired",
        ),
    ] {
        let mut own = None;
        let (answer, _) = world.say(ask, &mut own);
        assert_eq!(code(&answer), expected);
        assert!(own.is_none() && world.log().is_empty(), "{expected}");
    }
    // Before an instance there is nothing to run, and then only items of the ticket.
    let mut own = None;
    let run = |item| Ask::Run { item, attempt: 1 };
    assert_eq!(code(&world.say(run(0), &mut own).0), "busy");
    world.say(start(&good), &mut own);
    let (answer, given) = world.say(run(4), &mut own);
    assert!(
        matches!(
            answer,
            Answer::NotStarted {
                step: Step::NotAllowed,
                ..
            }
        ) && given.is_none(),
        "{answer:?}"
    );
    world.say(run(1), &mut own);
    let again = world.say(run(1), &mut own).0;
    assert!(
        matches!(
            again,
            Answer::NotStarted {
                step: Step::Busy,
                ..
            }
        ),
        "{again:?}"
    );
    // A ticket counts once, over restarts of the launcher, too.
    let mut other = None;
    assert_eq!(
        code(&world.say(start(&good), &mut other).0),
        "ticket_replayed"
    );
    world.launcher.end(&own.expect("an instance"));
    let World { dir, .. } = world;
    let world = world_in(dir, Fake::default(), DEFAULT_POLICY);
    assert_eq!(
        code(&world.say(start(&good), &mut other).0),
        "ticket_replayed"
    );
}

#[test]
fn accounts_that_may_not_run_are_refused() {
    let admin = vec![(80, "admin".to_owned())];
    let wheel = vec![(0, "wheel".to_owned())];
    let stripping = DEFAULT_POLICY.replace("group_policy = refuse", "group_policy = strip");
    let slots = DEFAULT_POLICY.replace("_tessera-job", "_tessera-job{slot}");
    let proxy_only = DEFAULT_POLICY.replace("modes = proxy, user", "modes = proxy");
    let denied = DEFAULT_POLICY.replace("deny_users =", "deny_users = mia");
    for (mode, account, groups, policy, expected) in [
        (Mode::User, "root", vec![], DEFAULT_POLICY, "root_refused"),
        (
            Mode::User,
            "nobody-here",
            vec![],
            DEFAULT_POLICY,
            "no_such_account",
        ),
        (
            Mode::User,
            "_tessera",
            vec![],
            DEFAULT_POLICY,
            "reserved_account",
        ),
        (
            Mode::User,
            "_tessera-job",
            vec![],
            DEFAULT_POLICY,
            "uid_below_min",
        ),
        (
            Mode::User,
            "mia",
            admin.clone(),
            DEFAULT_POLICY,
            "group_denied",
        ),
        (Mode::User, "mia", wheel, DEFAULT_POLICY, "group_denied"),
        // A group can't be taken away here, whatever the policy says.
        (Mode::User, "mia", admin, &stripping, "group_denied"),
        (Mode::User, "mia", vec![], &proxy_only, "mode_not_allowed"),
        (Mode::User, "mia", vec![], &denied, "account_denied"),
        (Mode::Proxy, "mia", vec![], DEFAULT_POLICY, "proxy_mismatch"),
        (
            Mode::Proxy,
            "_tessera-job{slot}",
            vec![],
            &slots,
            "containment_failed",
        ),
        (Mode::User, "mia", vec![], "nonsense = 1", "policy_invalid"),
    ] {
        let os = Fake {
            groups,
            ..Fake::default()
        };
        let world = world(os, policy);
        let mut own = None;
        let (answer, _) = world.say(start(&ticket(mode, account)), &mut own);
        assert_eq!(code(&answer), expected, "{account}");
        assert!(own.is_none() && !world.log().contains(&"private".to_owned()));
        assert!(world.audit().contains(expected));
    }
    let world = world(Fake::default(), DEFAULT_POLICY);
    let (answer, _) = world.say(start(&ticket(Mode::Proxy, "_tessera-job")), &mut None);
    assert!(matches!(answer, Answer::Started { .. }), "{answer:?}");
}

#[test]
fn what_fails_starts_nothing_and_is_no_second_identity() {
    for (fails, expected) in [
        ("mia", "directory_unavailable"),
        ("_tessera", "directory_unavailable"),
        ("private", "becoming_user_failed"),
    ] {
        let os = Fake {
            fails,
            ..Fake::default()
        };
        let world = world(os, DEFAULT_POLICY);
        let mut own = None;
        let (answer, _) = world.say(start(&ticket(Mode::User, "mia")), &mut own);
        assert_eq!(code(&answer), expected, "{fails}");
        assert!(own.is_none() && !world.log().iter().any(|it| it == "start"));
    }
    let os = Fake {
        fails: "start",
        ..Fake::default()
    };
    let world = world(os, DEFAULT_POLICY);
    let mut own = None;
    world.say(start(&ticket(Mode::User, "mia")), &mut own);
    let (item, attempt) = (0, 1);
    let (answer, given) = world.say(Ask::Run { item, attempt }, &mut own);
    let failed = Answer::NotStarted {
        step: Step::SetUid,
        errno: 28,
    };
    assert_eq!((answer, given), (failed, None));
    // A private directory that stays is told.
    let os = Fake {
        fails: "remove private",
        ..Fake::default()
    };
    let world = world_in(world.dir, os, DEFAULT_POLICY);
    let mut own = None;
    let next = Ticket {
        key: key(2),
        nonce: [4; 16],
        ..ticket(Mode::User, "mia")
    };
    world.say(start(&next), &mut own);
    world.launcher.end(&own.expect("an instance"));
    assert!(
        world
            .audit()
            .contains("private directory /private/var/tessera/12.0.2")
    );
}

#[test]
fn a_launch_is_vouched_for_only_when_nothing_of_it_is_left() {
    let os = Fake {
        stubborn: Arc::new(AtomicU32::new(3)),
        ..Fake::default()
    };
    let world = world(os, DEFAULT_POLICY);
    let mut own = None;
    world.say(start(&ticket(Mode::User, "mia")), &mut own);
    let run = Ask::Run {
        item: 0,
        attempt: 1,
    };
    world.say(run.clone(), &mut own);
    // Another connection asks; who does not end at once is killed again.
    let (answer, _) = world.say(Ask::Gone { key: key(1) }, &mut None);
    assert_eq!(answer, Answer::Done);
    let kills = world.log().iter().filter(|it| *it == "kill 1").count();
    assert_eq!(kills, 4);
    let (answer, _) = world.say(run, &mut own);
    assert!(matches!(
        answer,
        Answer::NotStarted {
            step: Step::StarterLost,
            ..
        }
    ));
    // It never starts again, with another ticket neither.
    let again = Ticket {
        nonce: [5; 16],
        ..ticket(Mode::User, "mia")
    };
    assert_eq!(
        code(&world.say(start(&again), &mut None).0),
        "ticket_superseded"
    );
}

#[test]
fn a_new_launcher_ends_what_the_old_one_left() {
    let world = world(Fake::default(), DEFAULT_POLICY);
    let mut own = None;
    world.say(start(&ticket(Mode::User, "mia")), &mut own);
    let run = Ask::Run {
        item: 0,
        attempt: 1,
    };
    world.say(run, &mut own);
    // It is gone without a word.
    drop(own);
    let World { dir, .. } = world;
    let os = Fake {
        fails: "end left",
        ..Fake::default()
    };
    let world = world_in(dir, os, DEFAULT_POLICY);
    assert_eq!(world.log(), ["end left 1 77"]);
    let gone = || world.say(Ask::Gone { key: key(1) }, &mut None).0;
    assert_eq!(code(&gone()), "busy");
    let World { dir, .. } = world;
    let world = world_in(dir, Fake::default(), DEFAULT_POLICY);
    let (answer, _) = world.say(Ask::Gone { key: key(1) }, &mut None);
    assert_eq!(answer, Answer::Done);
}

#[test]
fn what_a_launcher_left_is_removed_as_its_account_by_the_next() {
    let dir = tempfile::tempdir().expect("a folder");
    let tmp = dir.path().join("tmp");
    std::fs::create_dir_all(tmp.join("12.0.1")).expect("made");
    let policy = DEFAULT_POLICY.replace("tmp_dir =", &format!("tmp_dir = {}", tmp.display()));
    let world = world_in(dir, Fake::default(), &policy);
    world.say(start(&ticket(Mode::User, "mia")), &mut None);
    world.log();
    // It is gone without a word.
    let World { dir, .. } = world;
    let failing = Fake {
        fails: "remove private",
        ..Fake::default()
    };
    let world = world_in(dir, failing, &policy);
    assert_eq!(world.log(), ["look mia", "remove private"]);
    let record = world.dir.path().join("launcher/logons/12.0.1");
    assert!(record.exists() && world.audit().contains("\"event\":\"left\""));
    let World { dir, .. } = world;
    let world = world_in(dir, Fake::default(), &policy);
    assert_eq!(world.log(), ["look mia", "remove private"]);
    assert!(!record.exists());
    assert!(world.audit().contains("\"event\":\"cleared\""));
}

#[test]
fn it_says_what_the_host_can_do() {
    let ask = |os, policy| match world(os, policy).say(Ask::Capabilities, &mut None).0 {
        Answer::Capabilities(what) => what,
        other => panic!("{other:?}"),
    };
    let what = ask(Fake::default(), DEFAULT_POLICY);
    assert_eq!(what.containment, "session");
    assert_eq!(what.modes, ["proxy", "user"]);
    assert_eq!((what.proxy_uid, what.uid_min), (Some(391), 500));
    let os = Fake {
        fails: "_tessera-job",
        ..Fake::default()
    };
    assert_eq!(
        ask(os, DEFAULT_POLICY).proxy_problem,
        "directory_unavailable"
    );
    assert!(ask(Fake::default(), "x = 1").modes.is_empty());
}
