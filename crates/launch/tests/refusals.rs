//! What is refused, each with its own reason, and that nothing runs then. Tests named after an attack carry it out.

mod common;

use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::time::{Duration, Instant};

use common::needs::needed;
use common::{DEADLINE, User, World, can_run, no_digest, now_ms, template};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{Backlog, UnixAddr, bind, listen};
use tessera_ticket::launcher::{Reply, Request};
use tessera_ticket::{Mode, Ticket};

#[test]
fn l01_root_is_refused_by_name_and_by_number() {
    if !can_run() {
        return;
    }
    let world = World::new("uid_min = 0");
    let what = template(&["true"]);
    let refusal = |name: &str| world.refusal(&world.ticket(name, Mode::User, &what), &what);
    assert_eq!(refusal("root"), "root_refused");
    let toor = User::new("tst", &["-o", "-u", "0"]);
    assert_eq!(refusal(&toor.name), "root_refused");
    drop(toor);
    let alice = User::new("tsa", &[]);
    let double = User::new("tsd", &["-o", "-u", &alice.uid.to_string()]);
    assert_eq!(
        refusal(&double.name),
        "name_ambiguous",
        "its uid leads back to {}",
        alice.name
    );
    assert!(world.audit().contains("root_refused"));
    world.assert_nothing_left();
}

#[test]
fn l02_what_is_no_name_never_reaches_the_directory() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let what = template(&["true"]);
    let long = "a".repeat(300);
    let names = [
        "",
        "0",
        "-1",
        "4294967295",
        "+0",
        " alice",
        "alice\0",
        "..",
        "a;b",
        &long,
    ];
    for name in names {
        let ticket = world.ticket(name, Mode::User, &what);
        assert_eq!(
            refusal_without_name(&world, &ticket, &what),
            "name_invalid",
            "{name:?}"
        );
    }
    // Not UTF-8: one byte of a valid name is changed before signing.
    let ticket = world.ticket("alice", Mode::User, &what);
    let mut bytes = ticket.encode();
    let at = bytes.windows(5).position(|it| it == b"alice").unwrap();
    bytes[at] = 0xff;
    let signature = Ticket::sign(&bytes, &world.key);
    let (code, _) = world
        .start_raw(ticket.key, bytes, signature, &what.encode(), 1)
        .err()
        .unwrap();
    assert_eq!(code, "name_invalid");
    world.assert_nothing_left();
}

#[test]
fn l04_an_account_that_is_not_there_has_no_stand_in() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let what = template(&["true"]);
    let ticket = world.ticket("tsnosuchuser", Mode::User, &what);
    let (code, text) = world.start_ticket(&ticket, &what).err().unwrap();
    assert_eq!(code, "no_such_account");
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert!(
        text.starts_with(host.trim()) && text.contains("tsnosuchuser"),
        "{text}"
    );
    for uid in [world.shepherd.uid, world.worker.uid, world.proxy.uid] {
        assert!(common::procs::processes_of(uid).is_empty());
    }
    assert!(!world.audit().contains("\"event\":\"launch\""));
    world.assert_nothing_left();
}

fn refusal_without_name(world: &World, ticket: &Ticket, what: &tessera_ticket::Template) -> String {
    world.start_ticket(ticket, what).err().expect("refused").0
}

#[test]
fn l08_accounts_in_a_bad_state_are_refused() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let what = template(&["true"]);
    let refusal = |name: &str| world.refusal(&world.ticket(name, Mode::User, &what), &what);
    let system = User::new("tsr", &["-r"]);
    assert_eq!(refusal(&system.name), "uid_below_min");
    assert_eq!(refusal("nobody"), "reserved_account");
    assert_eq!(refusal(&world.worker.name), "reserved_account");
    assert_eq!(refusal(&world.shepherd.name), "reserved_account");
    let locked = User::new("tsl", &["-p", "$6$salt$hash"]);
    locked.change(&["-L"]);
    assert_eq!(refusal(&locked.name), "account_locked");
    let expired = User::new("tse", &["-e", "2020-01-01"]);
    assert_eq!(refusal(&expired.name), "account_expired");
    let shell = User::new("tsn", &["-s", "/usr/sbin/nologin"]);
    assert_eq!(refusal(&shell.name), "nologin_shell");
}

#[test]
fn l07_root_and_denied_groups_are_refused_or_taken_away() {
    if !can_run() {
        return;
    }
    let world = World::new("group_policy = refuse");
    let what = template(&["id", "-Gn"]);
    let refusal = |name: &str| world.refusal(&world.ticket(name, Mode::User, &what), &what);
    let primary = User::new("tsz", &["-N", "-g", "0"]);
    assert_eq!(refusal(&primary.name), "primary_group_root");
    let alice = User::new("tsa", &["-G", "disk,shadow"]);
    let root = User::new("tsb", &["-G", "root"]);
    assert_eq!(refusal(&alice.name), "group_denied");
    assert_eq!(refusal(&root.name), "group_denied");
    world.set_policy("group_policy = strip");
    assert_eq!(
        refusal(&root.name),
        "group_denied",
        "root's is never just taken away"
    );
    let instance = world.start(&alice.name, &what);
    instance.run(0);
    assert_eq!(instance.out(0).trim(), alice.name);
    assert!(
        world.audit().contains("\"stripped\":\"disk shadow\""),
        "{}",
        world.audit()
    );
    instance.close();
}

#[test]
fn p19_a_supervisor_that_was_taken_over_does_not_loosen_the_policy() {
    if !can_run() {
        return;
    }
    let eve = User::new("tse", &[]);
    let world = World::new(&format!("modes = proxy\ndeny_users = {}", eve.name));
    let what = template(&["true"]);
    // All of these are signed with the farm's real dispatch key.
    for (account, mode, code) in [
        ("root", Mode::User, "mode_not_allowed"),
        (&eve.name, Mode::User, "mode_not_allowed"),
        ("root", Mode::Proxy, "proxy_mismatch"),
        (&eve.name, Mode::Proxy, "proxy_mismatch"),
        (&world.proxy.name, Mode::Desktop, "mode_not_allowed"),
    ] {
        let ticket = world.ticket(account, mode, &what);
        assert_eq!(world.refusal(&ticket, &what), code, "{account} {mode:?}");
    }
    world.set_policy(&format!("deny_users = {}\nproxy_account = root", eve.name));
    let ticket = world.ticket("root", Mode::User, &what);
    assert_eq!(
        world.refusal(&ticket, &what),
        "policy_invalid",
        "a key is there twice"
    );
    world.set_policy(&format!("deny_users = {}", eve.name));
    for (account, code) in [("root", "root_refused"), (&eve.name, "account_denied")] {
        assert_eq!(
            world.refusal(&world.ticket(account, Mode::User, &what), &what),
            code
        );
    }
    world.assert_nothing_left();
}

#[test]
fn l21_texts_of_a_ticket_are_neither_paths_nor_lines() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let alice = User::new("tsa", &[]);
    let what = template(&["true"]);
    let with = |principal: &str| Ticket {
        principal: principal.into(),
        proven: "x\ny".into(),
        ..world.ticket(&alice.name, Mode::User, &what)
    };
    for bad in ["x".repeat(4 << 10), "a\0b".to_owned()] {
        let refused = world.start_ticket(&with(&bad), &what);
        assert_eq!(refused.err().expect("no text").0, "ticket_malformed");
    }
    let forged =
        "../../etc/cron.d/x\n{\"time_ms\":1,\"event\":\"launch\",\"account\":\"root\"}\u{1b}[2J";
    let instance = world.start_ticket(&with(forged), &what).expect("starts");
    instance.run(0);
    instance.close();
    let audit = world.audit();
    assert!(
        audit
            .lines()
            .all(|it| it.starts_with("{\"time_ms\":") && it.ends_with("\"}"))
    );
    assert!(
        !audit.contains('\u{1b}') && !audit.contains("\"account\":\"root\""),
        "{audit}"
    );
}

#[test]
fn the_launcher_says_what_it_would_do_without_doing_it() {
    if !can_run() {
        return;
    }
    let world = World::prepare("modes = user, proxy");
    let (alice, eve) = (User::new("tsa", &[]), User::new("tse", &[]));
    world.set_policy(&format!("deny_users = {}", eve.name));
    let says = |name: &str| {
        let mut program = std::process::Command::new(&world.program);
        let output = program
            .args(["check", "--state"])
            .arg(&world.dir)
            .args(["--as", name]);
        let output = output.output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let wanted = format!(
        "yes: uid {}, gid {}, groups {}",
        alice.uid, alice.gid, alice.gid
    );
    assert_eq!(says(&alice.name).trim(), wanted);
    assert!(says(&world.proxy.name).starts_with("yes: uid "));
    for (name, code) in [
        ("root", "root_refused"),
        ("0", "name_invalid"),
        ("nobody", "reserved_account"),
        ("tsnobodyhere", "no_such_account"),
        (eve.name.as_str(), "account_denied"),
        (world.worker.name.as_str(), "reserved_account"),
    ] {
        assert!(
            says(name).starts_with(&format!("no: {code}: ")),
            "{}",
            says(name)
        );
    }
    world.set_policy("modes = proxy");
    assert!(says(&alice.name).starts_with("no: mode_not_allowed: "));
}

#[test]
fn l09_the_hosts_policy_has_the_last_word() {
    if !can_run() {
        return;
    }
    let (eve, alice) = (User::new("tse", &[]), User::new("tsa", &["-G", "disk"]));
    let what = template(&["id", "-Gn"]);
    let world = World::new(&format!(
        "deny_users = {}\nallow_users = {}",
        eve.name, eve.name
    ));
    let refusal = |name: &str| world.refusal(&world.ticket(name, Mode::User, &what), &what);
    assert_eq!(refusal(&eve.name), "account_denied");
    assert_eq!(refusal(&alice.name), "account_not_allowed");
    // A change of the policy holds from the next start on.
    world.set_policy("group_policy = refuse");
    assert_eq!(refusal(&alice.name), "group_denied");
    world.set_policy("group_policy = strip");
    let instance = world.start(&alice.name, &what);
    instance.run(0);
    assert_eq!(instance.out(0).trim(), alice.name, "group disk is stripped");
    assert!(world.audit().contains("\"stripped\":\"disk\""));
    instance.close();
    world.set_policy("nonsense");
    assert_eq!(refusal(&alice.name), "policy_invalid");
    world.set_policy("");
    let root = User::new("tsb", &["-G", "root"]);
    assert_eq!(refusal(&root.name), "group_denied");
}

#[test]
fn p03_a_ticket_counts_once_also_after_a_restart() {
    if !can_run() {
        return;
    }
    let mut world = World::new("");
    let alice = User::new("tsa", &[]);
    let what = template(&["true"]);
    let good = world.ticket(&alice.name, Mode::User, &what);
    let instance = world.start_ticket(&good, &what).unwrap();
    assert_eq!(instance.run(0).leftovers, 0);
    assert_eq!(world.refusal(&good, &what), "ticket_replayed");
    let again = Ticket {
        nonce: [1; 16],
        ..good.clone()
    };
    assert_eq!(world.refusal(&again, &what), "ticket_superseded");
    instance.close();
    world.kill_launcher();
    world.start_launcher();
    assert_eq!(
        world.refusal(&good, &what),
        "ticket_replayed",
        "also after a restart"
    );

    world.assert_nothing_left();
    check_chain(&world.log("audit.log"));
    check_chain(&world.log("audit-asked.log"));
}

#[test]
fn p05_a_ticket_is_for_one_host_of_one_farm_and_a_short_time() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let alice = User::new("tsa", &[]);
    let what = template(&["true"]);
    let fresh = || world.ticket(&alice.name, Mode::User, &what);
    let bad = |ticket: Ticket| world.refusal(&ticket, &what);
    assert_eq!(
        bad(Ticket {
            expires_ms: now_ms() - 10,
            ..fresh()
        }),
        "ticket_expired"
    );
    assert_eq!(
        bad(Ticket {
            expires_ms: now_ms() + 200_000,
            ..fresh()
        }),
        "ticket_times"
    );
    let early = Ticket {
        not_before_ms: now_ms() + 90_000,
        expires_ms: now_ms() + 100_000,
        ..fresh()
    };
    assert_eq!(bad(early), "ticket_times");
    assert_eq!(
        bad(Ticket {
            host: [9; 16],
            ..fresh()
        }),
        "ticket_not_for_this_host"
    );
    assert_eq!(
        bad(Ticket {
            farm: [9; 16],
            ..fresh()
        }),
        "ticket_not_for_this_farm"
    );
    assert_eq!(
        bad(Ticket {
            template: no_digest(),
            ..fresh()
        }),
        "digest_mismatch"
    );
    assert_eq!(
        bad(Ticket {
            mode: Mode::Desktop,
            ..fresh()
        }),
        "mode_not_allowed"
    );
    world.assert_nothing_left();
}

#[test]
fn p04_no_byte_of_a_ticket_or_of_what_runs_can_be_changed() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let alice = User::new("tsa", &[]);
    let what = template(&["true"]);
    let fresh = || world.ticket(&alice.name, Mode::User, &what);
    let ticket = fresh();
    let bytes = ticket.encode();
    let other = tessera_ticket::SigningKey::from_bytes(&[99; 32]);
    let signature = Ticket::sign(&bytes, &other);
    let refused = world.start_raw(ticket.key, bytes.clone(), signature, &what.encode(), 1);
    assert_eq!(refused.err().unwrap().0, "ticket_signature");
    let mut changed = bytes;
    let last = changed.len() - 1;
    let signature = Ticket::sign(&changed, &world.key);
    changed[last] ^= 1;
    let refused = world.start_raw(ticket.key, changed, signature, &what.encode(), 1);
    assert_eq!(refused.err().unwrap().0, "ticket_signature");
    // Each byte of what runs, and of the ticket.
    let encoded = what.encode();
    let ticket = fresh();
    let bytes = ticket.encode();
    let signature = Ticket::sign(&bytes, &world.key);
    for at in (0..encoded.len()).step_by(3) {
        let mut changed = encoded.clone();
        changed[at] ^= 1;
        let refused = world.start_raw(ticket.key, bytes.clone(), signature, &changed, 1);
        assert_eq!(refused.err().unwrap().0, "digest_mismatch", "byte {at}");
    }
    for at in (0..bytes.len()).step_by(7) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let refused = world.start_raw(ticket.key, changed, signature, &encoded, 1);
        assert_eq!(refused.err().unwrap().0, "ticket_signature", "byte {at}");
    }
    world.assert_nothing_left();
}

/// Each line of the audit carries the digest of the one before.
fn check_chain(audit: &str) {
    let mut last = "-".to_owned();
    for line in audit.lines() {
        assert!(line.contains(&format!("\"prev\":\"{last}\"")), "{line}");
        let out = std::process::Command::new("sh")
            .args([
                "-c",
                "printf %s \"$1\" | sha256sum | cut -d' ' -f1",
                "sh",
                line,
            ])
            .output()
            .unwrap();
        last = String::from_utf8(out.stdout).unwrap().trim().to_owned();
    }
    assert!(audit.lines().count() > 1);
}

#[test]
fn l45_the_launcher_does_not_start_from_files_that_others_can_write() {
    if !can_run() {
        return;
    }
    let world = World::prepare("");
    let eve = User::new("tse", &[]);
    let refusal = || {
        let mut child = world.spawn_launcher();
        let end = Instant::now() + DEADLINE;
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break status,
                None if Instant::now() < end => std::thread::sleep(Duration::from_millis(5)),
                None => {
                    child.kill().unwrap();
                    panic!("the launcher started");
                }
            }
        };
        assert!(!status.success());
        fs::read_to_string(world.dir.join("launcher.log")).unwrap()
    };
    let mode = |name: &str, mode| {
        fs::set_permissions(world.dir.join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    let policy = world.dir.join("launcher/policy");
    chown(&policy, Some(eve.uid), None).unwrap();
    assert!(refusal().contains("policy: is owned by uid"));
    chown(&policy, Some(0), None).unwrap();
    mode("launcher/policy", 0o660);
    assert!(refusal().contains("policy: can be written by others"));
    mode("launcher/policy", 0o600);
    mode("launcher/dispatch.pub", 0o606);
    assert!(refusal().contains("dispatch.pub: can be written by others"));
    mode("launcher/dispatch.pub", 0o600);
    let mut setfacl = std::process::Command::new("setfacl");
    setfacl.args(["-m", &format!("u:{}:rw", eve.name)]);
    if let Some(acl) = needed("`setfacl`", setfacl.arg(&policy).status().ok()) {
        assert!(acl.success());
        assert!(refusal().contains("policy: can be written by others"));
        common::run("setfacl", &["-b", policy.to_str().unwrap()]);
        mode("launcher/policy", 0o600);
    }
    mode("", 0o777);
    let said = refusal();
    assert!(
        said.contains(world.dir.to_str().unwrap()) && said.contains("mode 0777"),
        "{said}"
    );
    mode("", 0o755);
    chown(world.dir.join("launcher"), Some(eve.uid), None).unwrap();
    assert!(refusal().contains("launcher: is owned by uid"));
    chown(world.dir.join("launcher"), Some(0), None).unwrap();
    fs::rename(&policy, world.dir.join("elsewhere")).unwrap();
    symlink(world.dir.join("elsewhere"), &policy).unwrap();
    assert!(refusal().contains("policy: "));
}

#[test]
fn p03_what_is_gone_never_starts_again() {
    if !can_run() {
        return;
    }
    let alice = User::new("tsa", &[]);
    let mut world = World::new("");
    let what = template(&["true"]);
    // A valid ticket that comes late, also one of an older launch, also to another launcher.
    let mut ticket = world.ticket(&alice.name, Mode::User, &what);
    ticket.key.launch = 7;
    world.gone(ticket.key);
    assert_eq!(world.refusal(&ticket, &what), "ticket_superseded");
    ticket.key.launch = 6;
    assert_eq!(world.refusal(&ticket, &what), "ticket_superseded");
    world.kill_launcher();
    world.start_launcher();
    ticket.key.launch = 7;
    assert_eq!(world.refusal(&ticket, &what), "ticket_superseded");
    ticket.key.launch = 8;
    let instance = world.start_ticket(&ticket, &what).expect("starts");
    instance.run(0);
    world.gone(ticket.key);
    world.assert_nothing_left();
}

#[test]
fn a_start_that_is_asked_for_together_with_its_end_does_not_happen() {
    if !can_run() {
        return;
    }
    let alice = User::new("tsa", &[]);
    let world = World::new("");
    let what = template(&["true"]);
    // The account is known from now on, so that a start needs no look-up.
    world.start(&alice.name, &what).close();
    let ticket = world.ticket(&alice.name, Mode::User, &what);
    let bytes = ticket.encode();
    let start = Request::Start {
        id: 1,
        signature: Ticket::sign(&bytes, &world.key),
        ticket: bytes,
        orphan_seconds: 600,
        nice: 0,
    };
    let listener = common::seqpacket();
    let path = world.dir.join("spool/together");
    bind(listener.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
    listen(&listener, Backlog::new(8).unwrap()).unwrap();
    let memory = common::memory(&what.encode());
    let link = world.connect();
    // Stopped, so that both come in the same turn.
    let launcher = world.launcher.as_ref().unwrap().id();
    let launcher = nix::unistd::Pid::from_raw(i32::try_from(launcher).unwrap());
    kill(launcher, Signal::SIGSTOP).unwrap();
    link.send(&start.encode(), &[memory.as_fd(), listener.as_fd()]);
    let gone = Request::Gone {
        id: 2,
        key: ticket.key,
    };
    link.send(&gone.encode(), &[]);
    kill(launcher, Signal::SIGCONT).unwrap();
    let answer = || Reply::decode(&link.receive().expect("an answer")).unwrap();
    let first = answer();
    assert!(
        matches!(first, Reply::Refused { id: 1, ref code, .. } if code == "busy"),
        "{first:?}"
    );
    assert_eq!(answer(), Reply::Gone { id: 2 });
    world.assert_nothing_left();
}
