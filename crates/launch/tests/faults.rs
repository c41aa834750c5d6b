//! Calls that fail, lie or hang underneath the launcher: nothing runs, the reason is named, others go on.
//! Tests named after an attack carry it out.

mod common;

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::{User, World, can_run, template};
use tessera_ticket::Mode;

/// Builds the library that stands before the C library.
fn preload(world: &World) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/preload/faults.c");
    let library = world.dir.join("faults.so");
    let (library_text, source) = (library.to_str().unwrap(), source.to_str().unwrap());
    common::run(
        "cc",
        &["-shared", "-fPIC", "-o", library_text, source, "-ldl"],
    );
    library
}

fn world_with(fault: &str) -> World {
    let mut world = World::prepare("");
    let library = preload(&world).display().to_string();
    world.launcher_env = vec![
        ("LD_PRELOAD".into(), library),
        ("TS_FAULT".into(), fault.into()),
    ];
    world.start_launcher();
    world
}

/// Starts under each fault and expects that nothing runs, for the reason that this step has.
fn each_stops_everything(faults: &[(&str, &str)]) {
    let alice = User::new("tsa", &[]);
    let what = template(&["true"]);
    for (fault, step) in faults {
        let world = world_with(fault);
        let ticket = world.ticket(&alice.name, Mode::User, &what);
        let (code, text) = world.start_ticket(&ticket, &what).err().expect("refused");
        assert_eq!(code, "becoming_user_failed", "{fault}");
        assert!(
            text.contains(&format!("at step {step} ")),
            "{fault}: {text}"
        );
        common::wait_until("the child that failed is gone", || {
            common::procs::processes_of(alice.uid).is_empty()
        });
        world.gone(ticket.key);
        world.assert_nothing_left();
    }
}

#[test]
fn l11_each_step_of_becoming_the_user_that_fails_stops_everything() {
    if !can_run() {
        return;
    }
    each_stops_everything(&[
        ("setgroups_fails", "setgroups"),
        ("setresgid_fails", "setresgid"),
        ("setresuid_fails", "setresuid"),
        ("getresuid_fails", "read_back"),
        ("getresgid_fails", "read_back"),
        ("getgroups_fails", "read_back"),
    ]);
}

#[test]
fn l12_each_step_of_becoming_the_user_that_lies_is_found_out() {
    if !can_run() {
        return;
    }
    each_stops_everything(&[
        ("setgroups_lies", "read_back"),
        ("setresgid_lies", "read_back"),
        ("setresuid_lies", "read_back"),
    ]);
}

/// A world with one account of a slot, which was left by a launch of a launcher that is dead; what it left, and the launch.
fn world_with_a_left_slot() -> (World, User, PathBuf, tessera_ticket::LaunchKey) {
    let mut world = World::prepare("");
    let stem = format!("tsh{:05x}x", common::random() & 0xf_ffff);
    world.proxy_account = format!("{stem}{{slot}}");
    world.set_policy("");
    let user = User::named(format!("{stem}1"), &["-s", "/usr/sbin/nologin"]);
    world.start_launcher();
    let mark = PathBuf::from(format!("/tmp/tsh-{:016x}", common::random()));
    let what = common::shell(&format!("touch {}", mark.display()));
    let ticket = world.ticket(&world.proxy_account, Mode::Proxy, &what);
    let first = world.start_ticket(&ticket, &what).unwrap();
    first.run(0);
    world.kill_launcher();
    first.close();
    (world, user, mark, first.key)
}

/// The launcher is started with a directory that fails while a file is there; returns the file.
fn with_failing_directory(world: &mut World) -> PathBuf {
    let library = preload(world).display().to_string();
    let file = world.dir.join("directory-fails");
    std::fs::write(&file, "").unwrap();
    world.launcher_env = vec![
        ("LD_PRELOAD".into(), library),
        ("TS_FAULT".into(), "directory_fails".into()),
        ("TS_FAULT_WHILE".into(), file.display().to_string()),
    ];
    world.start_launcher();
    file
}

/// Starts as soon as the account of the only slot is free.
fn start_when_free(world: &World) -> common::Instance {
    let what = template(&["true"]);
    let mut started = None;
    common::wait_until("the account is free", || {
        let ticket = world.ticket(&world.proxy_account, Mode::Proxy, &what);
        started = world.start_ticket(&ticket, &what).ok();
        started.is_some()
    });
    started.unwrap()
}

#[test]
fn l40_an_account_that_could_not_be_asked_about_is_cleared_up_by_the_next_launcher_that_can() {
    if !can_run() {
        return;
    }
    let (mut world, user, mark, first) = world_with_a_left_slot();
    // Twice: what the first of them knew the second must know.
    for _ in 0..2 {
        with_failing_directory(&mut world);
        world.gone(first);
        assert!(mark.exists(), "whose it is nobody knows now");
        world.kill_launcher();
    }
    world.launcher_env.clear();
    world.start_launcher();
    common::wait_until("it is cleared up", || !mark.exists());
    let again = start_when_free(&world);
    assert_eq!(again.account, user.name);
    again.close();
    world.assert_nothing_left();
}

#[test]
fn l40_an_account_is_asked_about_again_until_the_directory_answers() {
    if !can_run() {
        return;
    }
    let (mut world, user, mark, first) = world_with_a_left_slot();
    let fails = with_failing_directory(&mut world);
    world.gone(first);
    let what = template(&["true"]);
    let ticket = world.ticket(&world.proxy_account, Mode::Proxy, &what);
    assert_eq!(world.refusal(&ticket, &what), "directory_unavailable");
    assert!(mark.exists(), "whose it is nobody knows now");
    std::fs::remove_file(fails).unwrap();
    common::wait_until("it is cleared up", || !mark.exists());
    let again = start_when_free(&world);
    assert_eq!(again.account, user.name);
    again.close();
    world.assert_nothing_left();
}

#[test]
fn l40_an_account_that_is_no_more_when_the_directory_answers_is_nobodys() {
    if !can_run() {
        return;
    }
    let (mut world, mut user, mark, first) = world_with_a_left_slot();
    let fails = with_failing_directory(&mut world);
    world.gone(first);
    let record = world.dir.join("launcher/run").join(first.to_string());
    assert!(record.exists());
    // The name is another's by now. Its number stays taken: another test's account would have it, and be cleared up with the mark.
    let renamed = format!("{}o", user.name);
    let name = std::mem::replace(&mut user.name, renamed);
    common::with_user_lock(|| {
        common::run("usermod", &["-l", &user.name, &name]);
        common::run("groupmod", &["-n", &user.name, &name]);
    });
    let uid = (user.uid + 1_000).to_string();
    let other = User::named(name, &["-u", &uid, "-s", "/usr/sbin/nologin"]);
    std::fs::remove_file(fails).unwrap();
    common::wait_until("it is forgotten", || !record.exists());
    assert!(mark.exists(), "it may be anybody's");
    let again = start_when_free(&world);
    assert_eq!(
        (again.uid, again.account.as_str()),
        (other.uid, other.name.as_str())
    );
    again.close();
    std::fs::remove_file(mark).unwrap();
    world.assert_nothing_left();
}

#[test]
fn l35_a_process_that_is_about_to_become_a_job_is_not_the_users_to_read() {
    if !can_run() {
        return;
    }
    let alice = User::new("tsa", &[]);
    let world = world_with("exec_hangs");
    let what = template(&["true"]);
    let ticket = world.ticket(&alice.name, Mode::User, &what);
    let open = |pid: i32, name: &str| {
        let program = common::attack::example(&world, "evil");
        let path = format!("/proc/{pid}/{name}");
        let mut evil = std::process::Command::new(program);
        evil.uid(alice.uid).gid(alice.gid).args(["open", &path]);
        let said = String::from_utf8(evil.output().unwrap().stdout).unwrap();
        said.trim()
            .rsplit_once(' ')
            .unwrap()
            .1
            .parse::<i32>()
            .unwrap()
    };
    std::thread::scope(|scope| {
        let starting = scope.spawn(|| world.start_ticket(&ticket, &what));
        common::wait_until("a process is the user already", || {
            !common::procs::processes_of(alice.uid).is_empty()
        });
        // It still has the launcher's memory.
        let pid = common::procs::processes_of(alice.uid)[0];
        for name in ["mem", "fd", "environ"] {
            assert_eq!(open(pid, name), libc::EACCES, "{name}");
        }
        assert_eq!(
            common::procs::processes_of(alice.uid),
            [pid],
            "it was there all the time"
        );
        let instance = starting.join().unwrap().expect("starts in the end");
        instance.run(0);
        instance.close();
    });
}

#[test]
fn l06_a_directory_that_hangs_or_fails_stops_its_own_jobs_only() {
    if !can_run() {
        return;
    }
    let what = template(&["true"]);
    let (slow, alice) = (User::new("tsh", &[]), User::new("tsa", &[]));
    let world = world_with("directory_hangs");
    let ticket = world.ticket(&slow.name, Mode::User, &what);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| world.refusal(&ticket, &what));
        std::thread::sleep(Duration::from_millis(300));
        let instance = world.start(&alice.name, &what);
        instance.run(0);
        instance.close();
        assert!(
            begin.elapsed() < Duration::from_secs(4),
            "others did not wait"
        );
        assert_eq!(waiting.join().unwrap(), "directory_unavailable");
    });
    assert!(begin.elapsed() >= Duration::from_secs(5));
    drop(world);
    let world = world_with("directory_fails");
    let ticket = world.ticket(&slow.name, Mode::User, &what);
    assert_eq!(world.refusal(&ticket, &what), "directory_unavailable");
    world.assert_nothing_left();
}

#[test]
fn a_shepherd_that_nobody_could_watch_is_ended_at_once() {
    if !can_run() {
        return;
    }
    let alice = User::new("tsa", &[]);
    let world = world_with("pidfd_fails");
    let what = template(&["true"]);
    let ticket = world.ticket(&alice.name, Mode::User, &what);
    assert_eq!(world.refusal(&ticket, &what), "becoming_user_failed");
    // Without being asked.
    world.assert_nothing_left();
    assert!(common::procs::processes_of(alice.uid).is_empty());
    world.gone(ticket.key);
}

#[test]
fn a_start_under_way_is_over_when_its_launch_is_vouched_for() {
    if !can_run() {
        return;
    }
    let slow = User::new("tsh", &[]);
    let what = template(&["true"]);
    let world = world_with("directory_hangs");
    let ticket = world.ticket(&slow.name, Mode::User, &what);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| world.refusal(&ticket, &what));
        std::thread::sleep(Duration::from_millis(300));
        world.gone(ticket.key);
        assert_eq!(waiting.join().unwrap(), "busy");
    });
    assert_eq!(world.refusal(&ticket, &what), "ticket_superseded");
    world.assert_nothing_left();
    // The look-up that hangs ends in time and is left to nobody.
    let launcher = world.launcher.as_ref().unwrap().id();
    common::wait_until("the look-up is given up", || {
        let path = format!("/proc/{launcher}/task/{launcher}/children");
        std::fs::read_to_string(path).is_ok_and(|it| it.trim().is_empty())
    });
}
