//! Whole conversations over a connection that is made up.

use std::io::{self, Cursor, Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tessera_keeper::{Config, Stream};
use tessera_ticket::pipe::{Answer, Ask, HEAD, head, length};
use tessera_ticket::{
    Digest, ItemRange, KernelLimits, LaunchKey, Mode, SigningKey, Step, Template, Ticket,
};

use super::fake::{Fake, NOW};
use crate::Launcher;
use crate::host::Host;

/// A connection whose questions are all there.
struct Talk {
    asks: Cursor<Vec<u8>>,
    said: Vec<u8>,
}

impl Read for Talk {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.asks.read(bytes)
    }
}

impl Write for Talk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.said.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn key(launch: u32) -> LaunchKey {
    LaunchKey {
        job: 12,
        instance: 0,
        launch,
    }
}

fn template() -> Template {
    template_of("render.exe")
}

fn template_of(program: &str) -> Template {
    Template {
        argv: vec![program.to_owned(), "a b".to_owned()],
        env: vec![("SHOT".to_owned(), "7".to_owned())],
        cwd: String::new(),
        umask: 0o022,
        slots: 1,
        agenda: None,
        limits: Vec::new(),
        convert_path: false,
    }
}

fn signer() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

pub(super) struct World {
    pub(super) dir: tempfile::TempDir,
    pub(super) os: Arc<Fake>,
    pub(super) launcher: Launcher<Fake>,
}

pub(super) fn world_in(dir: tempfile::TempDir, os: Fake, policy: &str) -> World {
    let own = dir.path().join("launcher");
    std::fs::create_dir_all(&own).expect("made");
    let write = |name: &str, text: &str| std::fs::write(own.join(name), text).expect("written");
    write("farm_id", &"01".repeat(16));
    write("host_id", &"02".repeat(16));
    let verifying = signer().verifying_key();
    let hex: String = verifying
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

pub(super) fn world(os: Fake, policy: &str) -> World {
    world_in(tempfile::tempdir().expect("a folder"), os, policy)
}

impl World {
    /// Says all of it on one connection, which then closes.
    pub(super) fn say(&self, asks: &[Ask]) -> Vec<Answer> {
        let mut bytes = Vec::new();
        for ask in asks {
            let message = ask.encode();
            bytes.extend(head(&message).expect("fits"));
            bytes.extend(message);
        }
        let mut talk = Talk {
            asks: Cursor::new(bytes),
            said: Vec::new(),
        };
        self.launcher.converse(&mut Stream(&mut talk), &());
        let mut rest = talk.said.as_slice();
        let mut answers = Vec::new();
        while let Some((head, tail)) = rest.split_first_chunk::<HEAD>() {
            let (message, tail) = tail.split_at(length(*head).expect("fits"));
            answers.push(Answer::decode(message).expect("an answer"));
            rest = tail;
        }
        answers
    }

    pub(super) fn audit(&self) -> String {
        let read = |name| std::fs::read_to_string(self.dir.path().join("launcher").join(name));
        let all = ["audit.log", "audit-asked.log"].map(|name| read(name).expect("reads"));
        all.concat()
    }
}

pub(super) fn ticket(launch: u32, mode: Mode, account: &str) -> Ticket {
    Ticket {
        farm: [1; 16],
        host: [2; 16],
        key: key(launch),
        principal: "mia".to_owned(),
        proven: "test".to_owned(),
        mode,
        account: account.to_owned(),
        items: vec![ItemRange { first: 0, last: 4 }],
        template: template().digest(),
        not_before_ms: NOW,
        expires_ms: NOW + 60_000,
        nonce: [u8::try_from(launch).expect("small"); 16],
        limits: KernelLimits::default(),
    }
}

pub(super) fn start(ticket: &Ticket) -> Ask {
    let bytes = ticket.encode();
    Ask::Start {
        signature: Ticket::sign(&bytes, &signer()),
        ticket: bytes,
        template: template().encode(),
        nice: 0,
        token: 0,
    }
}

pub(super) const SLOTS: &str = "tessera-job{slot}";

fn code(answer: &Answer) -> &str {
    match answer {
        Answer::Refused { code, .. } => code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_instance_runs_what_was_signed_and_ends_with_its_connection() {
    let world = world(Fake::default(), "");
    let (item, attempt) = (3, 1);
    let look = Ask::Look { item, attempt };
    let answers = world.say(&[
        start(&ticket(1, Mode::Proxy, SLOTS)),
        Ask::Run { item, attempt },
        look.clone(),
        Ask::Suspend {
            item,
            attempt,
            is: true,
        },
        Ask::Run {
            item: 5,
            attempt: 1,
        },
        Ask::Kill { item, attempt },
        look,
        Ask::Run {
            item: 4,
            attempt: 2,
        },
    ]);
    let account = r"RND1\tessera-job1".to_owned();
    let running = |pid| Answer::Running {
        pid,
        born: 77,
        process: 1,
        out: 2,
        err: 3,
    };
    let state = |alive| Answer::State {
        alive,
        user_us: 5,
        system_us: 0,
        memory_max: 0,
        is_out_of_memory: false,
    };
    let not_allowed = Answer::NotStarted {
        step: Step::NotAllowed,
        errno: 0,
    };
    assert_eq!(
        answers,
        [
            Answer::Started { account },
            running(1),
            state(1),
            Answer::Done,
            not_allowed,
            Answer::Done,
            state(0),
            running(2)
        ]
    );
    let said = world.os.said();
    let private = world.dir.path().join("tmp").join("12.0.1");
    for line in [
        "render.exe a b in C:\\Users\\mia".to_owned(),
        format!("Temp={}", private.display()),
        "SHOT=7".to_owned(),
        "QBJOBID=12".to_owned(),
        "suspend true".to_owned(),
    ] {
        assert!(said.contains(&line), "{line}: {said:?}");
    }
    // The second attempt was alive when the connection closed.
    assert_eq!(said.iter().filter(|it| *it == "kill").count(), 2);
    assert!(
        said.ends_with(&["close token".into(), "disable".into()]),
        "{said:?}"
    );
    let launches = world.dir.path().join("launcher/launches");
    assert_eq!(std::fs::read_dir(launches).expect("reads").count(), 0);
    let audit = world.audit();
    let place = |word: &str| {
        audit
            .find(word)
            .unwrap_or_else(|| panic!("{word}: {audit}"))
    };
    assert!(place("\"event\":\"start\"") < place("\"event\":\"end\""));
}

#[test]
fn what_is_not_signed_for_this_host_now_and_once_is_refused() {
    let world = world(Fake::default(), "modes = proxy");
    let good = ticket(1, Mode::Proxy, SLOTS);
    let mut forged = start(&good);
    if let Ask::Start { signature, .. } = &mut forged {
        signature[5] ^= 1;
    }
    let mut other_template = start(&good);
    if let Ask::Start { template, .. } = &mut other_template {
        *template = template_of("evil.exe").encode();
    }
    let with = |change: &dyn Fn(&mut Ticket)| {
        let mut it = good.clone();
        change(&mut it);
        start(&it)
    };
    for (ask, wanted) in [
        (forged, "ticket_signature"),
        (other_template, "digest_mismatch"),
        (with(&|it| it.farm = [9; 16]), "ticket_not_for_this_farm"),
        (with(&|it| it.host = [9; 16]), "ticket_not_for_this_host"),
        (
            with(&|it| (it.not_before_ms, it.expires_ms) = (NOW - 9_000, NOW - 1)),
            "ticket_expired",
        ),
        (with(&|it| it.expires_ms = NOW + 500_000), "ticket_times"),
        (
            with(&|it| (it.mode, it.account) = (Mode::User, "mia".into())),
            "mode_not_allowed",
        ),
        (with(&|it| it.mode = Mode::Desktop), "ticket_malformed"),
        (with(&|it| it.account = "other".into()), "proxy_mismatch"),
        (with(&|it| it.template = Digest([0; 32])), "digest_mismatch"),
    ] {
        let answers = world.say(&[ask]);
        let code = code(&answers[0]);
        // A desktop's ticket can't name such an account at all.
        let is_it = code == wanted || (wanted == "ticket_malformed" && code == "name_invalid");
        assert!(is_it, "{code} is not {wanted}");
    }
    // Nothing was asked of the system, and the good one still counts: once.
    assert!(world.os.said().is_empty());
    assert!(matches!(
        world.say(&[start(&good)])[0],
        Answer::Started { .. }
    ));
    assert_eq!(code(&world.say(&[start(&good)])[0]), "ticket_replayed");
    let audit = world.audit();
    assert!(
        audit.contains("ticket_replayed") && audit.contains("ticket_signature"),
        "{audit}"
    );
}

#[test]
fn an_instance_is_kept_to_what_was_signed() {
    let limited = |fails, pids| {
        let world = world(
            Fake {
                fails,
                ..Fake::default()
            },
            "",
        );
        let mut it = ticket(1, Mode::Proxy, SLOTS);
        it.limits = KernelLimits {
            memory: 1 << 30,
            pids,
            cpu_weight: 200,
        };
        (world, start(&it))
    };
    let (world, ask) = limited("", 8_192);
    let refused = Arc::clone(&world.os.refused);
    // Memory that was refused to the item before is nothing of this one's.
    refused.store(3, Ordering::SeqCst);
    let (item, attempt) = (1, 1);
    let look = Ask::Look { item, attempt };
    let answers = world.say(&[ask, Ask::Run { item, attempt }, look]);
    let is_out_of_memory = |answer: &Answer| match answer {
        Answer::State {
            is_out_of_memory, ..
        } => *is_out_of_memory,
        other => panic!("{other:?}"),
    };
    assert!(!is_out_of_memory(&answers[2]));
    let said = world.os.said();
    let place = |word: &str| {
        let found = said.iter().position(|it| it.starts_with(word));
        found.unwrap_or_else(|| panic!("{word}: {said:?}"))
    };
    let limits = "Limits { memory: 1073741824, processes: 8192, weight: 200 }";
    assert!(place(limits) < place("logon"));
    assert!(place("start") < place("within bounds"));
    assert!(place("kill") < place("close bounds"));
    // A limit that can't be kept starts nothing, and nobody is logged on.
    let (world, ask) = limited("bound", 8_192);
    assert_eq!(code(&world.say(&[ask])[0]), "containment_failed");
    assert!(world.os.said().is_empty());
}

#[test]
fn memory_that_was_refused_while_an_item_ran_is_told() {
    let world = world(
        Fake {
            refuses_memory_at_start: true,
            ..Fake::default()
        },
        "",
    );
    let mut it = ticket(1, Mode::Proxy, SLOTS);
    it.limits.memory = 1 << 30;
    let answers = world.say(&[
        start(&it),
        Ask::Run {
            item: 1,
            attempt: 1,
        },
        Ask::Look {
            item: 1,
            attempt: 1,
        },
    ]);
    let is_told = matches!(
        answers[2],
        Answer::State {
            is_out_of_memory: true,
            ..
        }
    );
    assert!(is_told, "{answers:?}");
}

#[test]
fn a_refused_logon_uses_the_ticket_up_and_gives_the_account_back() {
    let world = world(
        Fake {
            is_swapped: true,
            ..Fake::default()
        },
        "",
    );
    for launch in 1..=2 {
        let answers = world.say(&[
            start(&ticket(launch, Mode::Proxy, SLOTS)),
            Ask::Run {
                item: 1,
                attempt: 1,
            },
        ]);
        assert_eq!(code(&answers[0]), "identity_mismatch");
        assert_eq!(code(&answers[1]), "busy");
        let said = world.os.said();
        assert!(!said.contains(&"start".to_owned()), "{said:?}");
    }
    assert_eq!(
        code(&world.say(&[start(&ticket(1, Mode::Proxy, SLOTS))])[0]),
        "ticket_replayed"
    );
}

#[test]
fn a_launch_that_is_gone_never_starts_and_a_new_launcher_ends_what_was_left() {
    let dir = tempfile::tempdir().expect("a folder");
    let launches = dir.path().join("launcher/launches");
    std::fs::create_dir_all(&launches).expect("made");
    std::fs::write(launches.join("12.0.1"), "41 7\n42 8\n").expect("written");
    let stubborn = Fake {
        fails: "end_process",
        ..Fake::default()
    };
    let first = world_in(dir, stubborn, "");
    let gone = Ask::Gone { key: key(1) };
    assert_eq!(code(&first.say(std::slice::from_ref(&gone))[0]), "busy");
    let World { dir, launcher, .. } = first;
    drop(launcher);
    let second = world_in(dir, Fake::default(), "");
    let ended = second.os.ended.lock().expect("no panic").clone();
    assert_eq!(ended, [(41, 7), (42, 8)]);
    assert_eq!(second.say(&[gone]), [Answer::Done]);
    let late = ticket(1, Mode::Proxy, SLOTS);
    assert_eq!(code(&second.say(&[start(&late)])[0]), "ticket_superseded");
}

#[test]
fn messages_that_are_none_close_the_connection() {
    let world = world(Fake::default(), "");
    for bytes in [
        vec![],
        vec![1, 0],
        vec![0xff; 9],
        vec![3, 0, 0, 0, 9, 9, 9],
        vec![9, 0, 0, 0, 1],
    ] {
        let mut talk = Talk {
            asks: Cursor::new(bytes),
            said: Vec::new(),
        };
        world.launcher.converse(&mut Stream(&mut talk), &());
        assert!(talk.said.is_empty());
    }
    assert!(world.os.said().is_empty());
}

#[test]
fn what_the_host_can_do_is_said() {
    let can = |policy: &str| match &world(Fake::default(), policy).say(&[Ask::Capabilities])[0] {
        Answer::Capabilities(what) => what.clone(),
        other => panic!("{other:?}"),
    };
    let usual = can("");
    assert_eq!(
        (usual.proxy_account.as_str(), usual.proxy_problem.as_str()),
        (SLOTS, "")
    );
    assert_eq!(usual.modes, ["proxy"]);
    assert_eq!(usual.logons, ["proxy=dynamic"]);
    assert_eq!(usual.limits, ["memory"]);
    let both = can("modes = proxy, user\nuser_logon = password, s4u");
    assert_eq!(both.logons, ["proxy=dynamic", "user=password,s4u"]);
    let admin = can("proxy_account = root\nproxy_logon = password");
    assert_eq!(admin.proxy_problem, "administrator_refused");
    assert_eq!(
        can("proxy_account = who$\nproxy_logon = gmsa").proxy_problem,
        "no_such_account"
    );
    let broken = can("nonsense = 1");
    assert!(
        broken.proxy_problem.contains("line 1: unknown key"),
        "{}",
        broken.proxy_problem
    );
    assert!(broken.modes.is_empty());
}
