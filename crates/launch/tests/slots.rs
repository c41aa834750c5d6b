//! Proxy accounts of slots: each running instance has one of its own, and the next one on it finds nothing of the last.

mod common;

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use common::attack::{Stranger, attack_in, evil};
use common::procs::{processes_of, status_of};
use common::{Instance, User, World, can_run, random, shell, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tessera_ticket::{Mode, Template};

/// A world whose proxy accounts are those of two slots; the accounts outlive it, so that none of their numbers is
/// anybody else's while something clears up behind them.
fn world_with_slots() -> ([User; 2], World) {
    let mut world = World::prepare("");
    let stem = format!("tsq{:05x}x", random() & 0xf_ffff);
    world.proxy_account = format!("{stem}{{slot}}");
    world.set_policy("");
    let users =
        [1, 2].map(|slot| User::named(format!("{stem}{slot}"), &["-s", "/usr/sbin/nologin"]));
    world.start_launcher();
    (users, world)
}

fn start(world: &World, what: &Template) -> Result<Instance, String> {
    let ticket = world.ticket(&world.proxy_account, Mode::Proxy, what);
    world.start_ticket(&ticket, what).map_err(|(code, _)| code)
}

/// Starts as soon as an account is free.
fn start_in_time(world: &World, what: &Template) -> Instance {
    let mut started = None;
    wait_until("an account is free", || {
        started = match start(world, what) {
            Ok(instance) => Some(instance),
            Err(code) => {
                assert_eq!(code, "busy");
                None
            }
        };
        started.is_some()
    });
    started.unwrap()
}

#[test]
fn l40_no_two_instances_share_the_account_of_a_slot() {
    if !can_run() {
        return;
    }
    let (users, mut world) = world_with_slots();
    let what = shell("id -un; echo $USER");
    let first = start(&world, &what).unwrap();
    let second = start(&world, &what).unwrap();
    for (instance, user) in [(&first, &users[0]), (&second, &users[1])] {
        assert_eq!(
            (instance.account.as_str(), instance.uid),
            (user.name.as_str(), user.uid)
        );
        instance.run(0);
        assert_eq!(instance.out(0), format!("{0}\n{0}\n", user.name));
    }
    assert_eq!(start(&world, &what).err().unwrap(), "busy");
    // Who has which is not forgotten with the launcher.
    world.kill_launcher();
    world.start_launcher();
    assert_eq!(start(&world, &what).err().unwrap(), "busy");
    second.close();
    world.gone(second.key);
    let third = start_in_time(&world, &what);
    assert_eq!(third.account, users[1].name);
    // Nor is what ended while there was no launcher.
    world.kill_launcher();
    first.close();
    third.close();
    world.start_launcher();
    let again = [start_in_time(&world, &what), start_in_time(&world, &what)];
    assert_ne!(again[0].account, again[1].account);
    again.iter().for_each(Instance::close);
    world.assert_nothing_left();
}

#[test]
fn l40_a_lurker_on_a_slot_leaves_nothing() {
    if !can_run() {
        return;
    }
    let (users, world) = world_with_slots();
    let eve = start(&world, &evil(&world, &["lurk"])).unwrap();
    assert_eq!(eve.account, users[0].name);
    let said = attack_in(&eve);
    for what in ["shm", "sem", "msg", "/tmp", "/var/tmp", "/dev/shm"] {
        assert_eq!(said[what], 0, "{what}");
    }
    // As if cron had started it: a process of the account that is in no group of the farm's.
    let mut other = Stranger::of(users[0].uid);
    let private = fs::read_dir(world.dir.join("tmp")).unwrap().count();
    assert_eq!(private, 1);
    eve.close();
    wait_until("what runs as the account is killed", || !other.is_alive());
    let words = ["reach", &users[0].name, &users[0].uid.to_string()];
    let reach = evil(&world, &words);
    let same = start_in_time(&world, &reach);
    let second = start_in_time(&world, &reach);
    let mut accounts = [same.account.clone(), second.account.clone()];
    accounts.sort();
    assert_eq!(accounts, [users[0].name.clone(), users[1].name.clone()]);
    for instance in [&same, &second] {
        let mut said = attack_in(instance);
        // Without keyrings in the kernel it is another errno.
        assert_ne!(said.remove("key"), Some(0));
        assert_eq!(said.len(), 9);
        assert!(
            said.values().all(|errno| *errno == libc::ENOENT),
            "{said:?}"
        );
        instance.close();
    }
    world.assert_nothing_left();
}

#[test]
fn accounts_of_slots_are_the_launchers_to_give() {
    if !can_run() {
        return;
    }
    let (users, world) = world_with_slots();
    let what = shell("true");
    // Not by name, and not to people.
    for (mode, code) in [
        (Mode::Proxy, "proxy_mismatch"),
        (Mode::User, "account_denied"),
    ] {
        let ticket = world.ticket(&users[1].name, mode, &what);
        assert_eq!(world.refusal(&ticket, &what), code);
    }
    let ticket = world.ticket(&world.proxy_account, Mode::User, &what);
    assert_eq!(
        world.start_ticket(&ticket, &what).err().unwrap().0,
        "name_invalid"
    );
    let ticket = world.ticket("other{slot}", Mode::Proxy, &what);
    assert_eq!(
        world.start_ticket(&ticket, &what).err().unwrap().0,
        "name_invalid"
    );
    // One that somebody else uses is passed over, and nothing of theirs is touched.
    let mut other = Stranger::of(users[0].uid);
    let instance = start_in_time(&world, &what);
    assert_eq!(instance.account, users[1].name);
    assert!(other.is_alive());
    // Of what the record says that it starts, the same record says that it didn't.
    let record = world.log("audit.log");
    let told = |event: &str| record.matches(&format!("\"event\":\"{event}\"")).count();
    assert_eq!((told("launch"), told("failed")), (2, 1), "{record}");
    drop(other);
    // A start that is refused gives its account back.
    let ticket = world.ticket(&world.proxy_account, Mode::Proxy, &what);
    world
        .start_raw(ticket.key, ticket.encode(), [0; 64], &what.encode(), 1)
        .err()
        .unwrap();
    instance.close();
    world.gone(instance.key);
    start_in_time(&world, &what).close();
    world.assert_nothing_left();
}

/// A job that leaves a mark for others, and so many files that removing them takes a while.
fn litter(mark: &str) -> Template {
    shell(&format!(
        "touch {mark}; cd $TMPDIR && seq 40000 | xargs touch"
    ))
}

/// The processes that clear up: the launcher's child, which is root, and its own, which removes as this user.
fn clearers(world: &World, uid: u32) -> (i32, i32) {
    let launcher = world.launcher.as_ref().unwrap().id().to_string();
    let parent_of = |pid: &str| status_of(pid, "PPid").unwrap_or_default();
    // A starter and its shepherd, which are about to end, stand to the launcher in the same way.
    let clears = |pid: &str| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == b"clear")
    };
    let mut found = None;
    wait_until("something removes", || {
        found = processes_of(uid).into_iter().find_map(|pid| {
            let parent = parent_of(&pid.to_string());
            let is_it = parent_of(&parent) == launcher && clears(&parent);
            is_it.then(|| (parent.parse().unwrap(), pid))
        });
        found.is_some()
    });
    found.unwrap()
}

fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

#[test]
fn l40_an_account_is_held_until_nothing_is_left_on_it() {
    if !can_run() {
        return;
    }
    let (users, world) = world_with_slots();
    let mark = format!("/tmp/tsq-{:016x}", random());
    let theirs = format!("{mark}-dir/theirs");
    let first = start(&world, &litter(&mark)).unwrap();
    let _second = start(&world, &shell("true")).unwrap();
    first.run(0);
    // What only root can remove, in a directory of the account's.
    fs::create_dir_all(&theirs).unwrap();
    fs::write(format!("{theirs}/file"), "x").unwrap();
    std::os::unix::fs::chown(format!("{mark}-dir"), Some(users[0].uid), None).unwrap();
    first.close();
    signal(clearers(&world, users[0].uid).1, Signal::SIGKILL);
    wait_until("it is told", || world.audit().contains("account_held"));
    wait_until("the second try", || !Path::new(&mark).exists());
    wait_until("all the rest is gone", || world.private_dirs().len() == 1);
    assert_eq!(start(&world, &shell("true")).err().unwrap(), "busy");
    fs::remove_dir_all(&theirs).unwrap();
    let again = start_in_time(&world, &shell("true"));
    assert_eq!(again.account, users[0].name);
    assert!(!Path::new(&format!("{mark}-dir")).exists());
    assert_eq!(world.audit().matches("account_held").count(), 1);
}

#[test]
fn l23_the_name_of_a_private_directory_is_in_no_argument() {
    if !can_run() {
        return;
    }
    let (users, world) = world_with_slots();
    let mark = format!("/tmp/tsq-{:016x}", random());
    let first = start(&world, &litter(&mark)).unwrap();
    let _second = start(&world, &shell("true")).unwrap();
    first.run(0);
    first.close();
    let (root, remover) = clearers(&world, users[0].uid);
    // Whoever knows a name reaches what a user opened to others below it.
    let dirs = world.private_dirs();
    let names = dirs
        .iter()
        .map(|it| it.file_name().unwrap().to_str().unwrap());
    let names: Vec<&str> = names.collect();
    assert!(!names.is_empty());
    for pid in [root, remover] {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        let words = String::from_utf8_lossy(&words).into_owned();
        assert!(
            words.contains("clear") && words.contains("place"),
            "{words}"
        );
        let told = names.iter().find(|it| words.contains(**it));
        assert_eq!(told, None, "{words}");
    }
    let again = start_in_time(&world, &shell("true"));
    assert_eq!(again.account, users[0].name);
    assert_eq!(world.private_dirs().len(), 2, "and it is removed");
}

#[test]
fn l40_who_clears_up_may_die_half_way() {
    if !can_run() {
        return;
    }
    let (users, world) = world_with_slots();
    let mark = format!("/tmp/tsq-{:016x}", random());
    // All of it in /tmp: the private directory, which the launcher takes away itself, is empty.
    let what = shell(&format!(
        "mkdir {mark} && cd {mark} && seq 15000 | xargs touch"
    ));
    let first = start(&world, &what).unwrap();
    let _second = start(&world, &shell("true")).unwrap();
    first.run(0);
    first.close();
    let (root, remover) = clearers(&world, users[0].uid);
    signal(root, Signal::SIGKILL);
    wait_until("it is told", || world.audit().contains("account_held"));
    wait_until(
        "nothing removes without somebody who looks after it",
        || !processes_of(users[0].uid).contains(&remover),
    );
    let again = start_in_time(&world, &shell("true"));
    assert_eq!(again.account, users[0].name);
    assert!(!Path::new(&mark).exists());
    assert_eq!(world.audit().matches("account_held").count(), 1);
}

#[test]
fn l40_nobody_else_clears_up() {
    if !can_run() {
        return;
    }
    let world = World::prepare("");
    let eve = User::new("tsq", &[]);
    let mut person = Stranger::of(eve.uid);
    // Where everybody can reach it; the program itself may lie below a private home.
    let program = world.dir.join("tessera-launch");
    fs::copy(&world.program, &program).unwrap();
    let clear = |by: u32, words: &[&str]| {
        let mut command = Command::new(&program);
        let said = command
            .arg("clear")
            .args(words)
            .uid(by)
            .gid(by)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        (said.status.code(), text)
    };
    let (uid, gid) = (eve.uid.to_string(), eve.gid.to_string());
    let (code, text) = clear(eve.uid, &[&uid, &gid, "slot"]);
    assert!(code == Some(1) && text.contains("must be root"), "{text}");
    // Root's own hand is told as well, by a wrong order and by a good one that is not the launcher's.
    for words in [
        &["0", "0", "slot"][..],
        &[&uid, &gid, "user", "../launcher"],
        &[&uid, &gid, "user", "place"],
        &[&uid, &gid, "slot"],
    ] {
        let (code, text) = clear(0, words);
        assert!(
            code == Some(1) && text.contains("by the launcher only"),
            "{text}"
        );
    }
    assert!(person.is_alive());
}

#[test]
fn l40_asking_again_disturbs_no_removal() {
    if !can_run() {
        return;
    }
    let (users, world) = world_with_slots();
    let mark = format!("/tmp/tsq-{:016x}", random());
    let first = start(&world, &litter(&mark)).unwrap();
    let _second = start(&world, &shell("true")).unwrap();
    first.run(0);
    first.close();
    let (_, remover) = clearers(&world, users[0].uid);
    // Somebody stops it: it is told to go on.
    signal(remover, Signal::SIGSTOP);
    world.gone(first.key);
    world.gone(first.key);
    assert!(processes_of(users[0].uid) == [remover], "the same goes on");
    let again = start_in_time(&world, &shell("true"));
    assert_eq!(again.account, users[0].name);
    assert!(!Path::new(&mark).exists());
    assert!(!world.audit().contains("account_held"));
}

#[test]
fn l40_a_record_that_names_a_person_harms_nobody() {
    if !can_run() {
        return;
    }
    let mut world = World::prepare("");
    let person = User::new("tsp", &[]);
    let stranger = User::new("tsp", &[]);
    let mut process = Stranger::of(person.uid);
    let file = format!("/tmp/tsq-{:016x}", random());
    fs::write(&file, "").unwrap();
    std::os::unix::fs::chown(&file, Some(person.uid), Some(person.gid)).unwrap();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let other = "00000000-0000-0000-0000-000000000000";
    fs::create_dir_all(world.dir.join("launcher/run")).unwrap();
    let (uid, gid) = (person.uid, person.gid);
    // Of another boot; of a name that is another's by now; of a name that is nobody's.
    for (key, boot, name) in [
        ("7.0.1", other, person.name.as_str()),
        ("7.1.1", boot.trim(), &stranger.name),
        ("7.2.1", boot.trim(), "tsq-nobody"),
    ] {
        let record = format!("400000000 12345 {boot} {uid} {gid} {name}\n");
        world.write(&format!("launcher/run/{key}"), &record);
    }
    world.start_launcher();
    wait_until("the records are done with", || {
        let mut left = fs::read_dir(world.dir.join("launcher/run")).unwrap();
        left.next().is_none()
    });
    // Whoever asks later is told so, too.
    world.gone("7.0.1".parse().unwrap());
    assert!(process.is_alive() && Path::new(&file).exists());
    fs::remove_file(&file).unwrap();
}

#[test]
fn l40_an_account_that_looks_like_a_persons_is_no_slots() {
    if !can_run() {
        return;
    }
    let (users, world) = world_with_slots();
    let what = shell("true");
    let refused = || {
        let ticket = world.ticket(&world.proxy_account, Mode::Proxy, &what);
        world.start_ticket(&ticket, &what).err().unwrap()
    };
    users[0].change(&["-s", "/bin/sh"]);
    let (code, text) = refused();
    assert_eq!(code, "account_denied");
    assert!(text.contains("shell /bin/sh"), "{text}");
}

#[test]
fn l40_no_slots_without_groups() {
    if !can_run() {
        return;
    }
    let mut world = World::without_groups();
    world.proxy_account = "tsq-none{slot}".into();
    world.set_policy("");
    let what = shell("true");
    let ticket = world.ticket(&world.proxy_account, Mode::Proxy, &what);
    let (code, text) = world.start_ticket(&ticket, &what).err().unwrap();
    assert_eq!(code, "containment_failed");
    assert!(text.contains("need control groups"), "{text}");
}

#[test]
fn l40_no_list_of_queues_is_too_long() {
    if !can_run() {
        return;
    }
    let (users, world) = world_with_slots();
    let first = start(&world, &evil(&world, &["queues", "12000"])).unwrap();
    let _second = start(&world, &shell("true")).unwrap();
    first.run(0);
    let list = || fs::read_to_string("/proc/sysvipc/msg").unwrap();
    assert!(list().len() > 1 << 20, "{}", first.out(0));
    first.close();
    let again = start_in_time(&world, &shell("true"));
    assert_eq!(again.account, users[0].name);
    let uid = users[0].uid.to_string();
    let is_own = |line: &str| line.split_whitespace().any(|it| it == uid);
    assert!(!list().lines().any(is_own));
}
