//! What a job is: exactly its account, with nothing of anybody else's. Tests named after an attack carry it out.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use common::attack::{attack, attack_in, evil, example};
use common::limits::LIMITS;
use common::procs::{status_field, status_of};
use common::{User, World, can_run, shell, template};
use tessera_ticket::shepherd::Event;
use tessera_ticket::{Agenda, EndKind, FrameRun, Limit, Mode, Resource, Split, Step};

#[test]
fn l10_groups_are_exactly_the_accounts() {
    if !can_run() {
        return;
    }
    let mut world = World::prepare("");
    world.launcher_env = vec![
        ("SECRET".into(), "1".into()),
        ("SSH_AUTH_SOCK".into(), "/x".into()),
    ];
    world.start_launcher();
    let mut alice = User::new("tsa", &[]);
    let group = alice.add_group("tsg");
    let mut what = template(&["/bin/sh", "-c", "id; cat /proc/self/status; umask; pwd"]);
    what.cwd = "/usr".into();
    let instance = world.start(&alice.name, &what);
    assert_eq!(instance.run(0).kind, EndKind::Exited { code: 0 });
    let text = instance.out(0);

    let id = std::process::Command::new("id")
        .arg(&alice.name)
        .output()
        .unwrap();
    let groups_of = |line: &str| -> BTreeSet<String> {
        let (_, groups) = line.split_once("groups=").unwrap();
        groups.trim().split(',').map(str::to_owned).collect()
    };
    let id = String::from_utf8(id.stdout).unwrap();
    let own = text.lines().next().unwrap();
    assert_eq!(
        groups_of(own),
        groups_of(&id),
        "groups are exactly those of id"
    );
    assert!(own.contains(&group));
    for (field, number) in [("Uid", alice.uid), ("Gid", alice.gid)] {
        assert_eq!(
            status_field(&text, field).unwrap(),
            format!("{number} {number} {number} {number}")
        );
    }
    for field in [
        "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "SigBlk", "SigIgn", "SigCgt",
    ] {
        assert_eq!(
            status_field(&text, field).unwrap(),
            "0000000000000000",
            "{field}"
        );
    }
    assert_eq!(status_field(&text, "NoNewPrivs").unwrap(), "1");
    let tail: Vec<&str> = text.lines().rev().take(2).collect();
    assert_eq!(tail, ["/usr", "0027"]);
    instance.close();
    world.assert_nothing_left();
}

#[test]
fn l27_descriptors_and_environment_are_from_scratch() {
    if !can_run() {
        return;
    }
    let mut world = World::prepare("path = /usr/bin:/bin");
    world.launcher_env = vec![
        ("SECRET".into(), "1".into()),
        ("SSH_AUTH_SOCK".into(), "/x".into()),
    ];
    world.start_launcher();
    let alice = User::new("tsa", &[]);
    let mut what = shell("ls /proc/$$/fd; env; readlink /proc/self/fd/0");
    what.env = vec![
        ("MINE".into(), "x=y z".into()),
        ("QBJOBID".into(), "forged".into()),
    ];
    let instance = world.start(&alice.name, &what);
    instance.run(0);
    let text = instance.out(0);
    let fds: BTreeSet<&str> = text.lines().take_while(|it| it.len() == 1).collect();
    assert_eq!(fds, BTreeSet::from(["0", "1", "2"]), "{text}");
    assert!(text.lines().any(|it| it == "/dev/null"));
    let env: BTreeSet<&str> = text
        .lines()
        .filter_map(|it| it.split_once('='))
        .map(|it| it.0)
        .collect();
    let farm = [
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "PATH",
        "LANG",
        "TMPDIR",
        "TMP",
        "TEMP",
        "PWD",
        "MINE",
        "QBJOBID",
        "QBSUBID",
        "QB_JOBSLOTS",
        "TESSERA_FARM",
        "TESSERA_JOB",
        "TESSERA_INSTANCE",
        "TESSERA_LAUNCH",
        "TESSERA_ITEM",
        "TESSERA_ATTEMPT",
    ];
    let allowed: BTreeSet<&str> = farm.into_iter().chain(["_", "OLDPWD", "SHLVL"]).collect();
    assert!(env.is_subset(&allowed), "{:?}", env.difference(&allowed));
    for line in [
        format!("USER={}", alice.name),
        format!("LOGNAME={}", alice.name),
        "HOME=/tmp".into(),
        "SHELL=/bin/sh".into(),
        "PATH=/usr/bin:/bin".into(),
        "MINE=x=y z".into(),
        format!("QBJOBID={}", instance.key.job),
        format!(
            "TESSERA_INSTANCE={}.{}",
            instance.key.job, instance.key.instance
        ),
        "TESSERA_ATTEMPT=1".into(),
    ] {
        assert!(text.lines().any(|it| it == line), "{line} in {text}");
    }
    instance.close();
}

/// The limits of this process, which the launcher inherits, with those that jobs never have.
fn expected_limits() -> String {
    let one = |(name, resource)| {
        let mut limit = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: the place lives for the call.
        unsafe { libc::getrlimit(resource, &raw mut limit) };
        let own = (limit.rlim_cur, limit.rlim_max);
        let (soft, hard) = match name {
            "core" | "nice" | "rtprio" => (0, 0),
            "nofile" => (77, 99),
            _ => own,
        };
        format!("\"{name}\": [{soft}, {hard}]")
    };
    let all: Vec<String> = LIMITS.into_iter().map(one).collect();
    format!("{{{}}}", all.join(", "))
}

#[test]
fn l10_the_whole_state_of_a_job_is_the_golden_one() {
    if !can_run() {
        return;
    }
    let mut world = World::new("");
    world.nice = 7;
    let mut alice = User::new("tsa", &[]);
    let group = alice.add_group("tsg");
    let group = nix::unistd::Group::from_name(&group).unwrap().unwrap();
    let probe = example(&world, "probe");
    let mut what = template(&[probe.to_str().unwrap()]);
    what.cwd = "/usr".into();
    what.env = vec![("MINE".into(), "1".into())];
    what.limits = vec![Limit {
        resource: Resource::OpenFiles,
        soft: 77,
        hard: 99,
    }];
    let instance = world.start(&alice.name, &what);
    instance.run(0);
    let found = instance.out(0);
    let mut groups = [alice.gid, group.gid.as_raw()];
    groups.sort_unstable();
    let groups = groups.map(|it| it.to_string()).join(", ");
    let cgroup = match world.group() {
        Some(group) => {
            let name = group.file_name().unwrap().to_str().unwrap().to_owned();
            format!("/{name}/{}/item-0", instance.key)
        }
        None => "/".into(),
    };
    // A Rust program ignores SIGPIPE and catches two signals for its stack by itself.
    let caught = found
        .lines()
        .find_map(|it| it.trim().strip_prefix("\"SigCgt\": \""))
        .unwrap()
        .trim_end_matches("\",")
        .to_owned();
    assert_eq!(u64::from_str_radix(&caught, 16).unwrap() & !0x440, 0);
    let mut golden = include_str!("golden/probe.json").to_owned();
    for (name, value) in [
        ("uid", alice.uid.to_string()),
        ("gid", alice.gid.to_string()),
        ("groups", groups),
        ("caught", caught),
        ("nice", "7".into()),
        ("limits", expected_limits()),
        ("cgroup", cgroup),
    ] {
        golden = golden.replace(&format!("{{{name}}}"), &value);
    }
    assert_eq!(found, golden);
    instance.close();
    world.assert_nothing_left();
}

#[test]
fn l13_there_is_no_way_back() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let alice = User::new("tsa", &[]);
    let said = attack(&world, &alice.name, &["way-back"]);
    assert_eq!(said.len(), 8);
    for (name, errno) in &said {
        // The one call that has no error of its own stays where it was.
        assert!(
            *errno != 0 && (*errno == libc::EPERM || name == "setfsuid"),
            "{name} {errno}"
        );
    }
}

#[test]
fn l14_a_job_types_into_no_terminal() {
    if !can_run() {
        return;
    }
    let (mut master, mut slave) = (0, 0);
    let none = std::ptr::null_mut();
    // SAFETY: the two places live for the call; nothing else is asked for.
    let made = unsafe {
        libc::openpty(
            &raw mut master,
            &raw mut slave,
            none,
            none.cast(),
            none.cast(),
        )
    };
    assert_eq!(made, 0);
    let path = fs::read_link(format!("/proc/self/fd/{slave}")).unwrap();
    let path = path.to_str().unwrap().to_owned();
    let mut world = World::prepare("");
    // The launcher leads the terminal's session, as in a shell.
    world.start_through(&format!(
        "setsid --ctty <{path} 2>>'{}/launcher.log'",
        world.dir.display()
    ));
    let launcher = world.launcher.as_ref().unwrap().id();
    let stat = fs::read_to_string(format!("/proc/{launcher}/stat")).unwrap();
    let terminal = stat.rsplit_once(") ").unwrap().1.split(' ').nth(4).unwrap();
    assert_ne!(terminal, "0", "the launcher has a terminal: {stat}");
    let alice = User::new("tsa", &[]);
    let said = attack(&world, &alice.name, &["terminal", &path]);
    assert_eq!(said["/dev/tty"], libc::ENXIO);
    assert_eq!(said[&path], libc::EACCES);
    for fd in ["0", "1", "2"] {
        assert!(
            [libc::ENOTTY, libc::EPERM, libc::EIO].contains(&said[fd]),
            "{said:?}"
        );
    }
    let mut typed = [0u8; 64];
    // SAFETY: the numbers are this test's; the place lives for the call.
    let read = unsafe {
        libc::fcntl(master, libc::F_SETFL, libc::O_NONBLOCK);
        libc::read(master, typed.as_mut_ptr().cast(), typed.len())
    };
    assert!(
        read <= 0,
        "the terminal got {:?}",
        &typed[..read.unsigned_abs()]
    );
}

#[test]
fn l15_set_user_id_programs_give_nothing() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let copy = world.dir.join("id-suid");
    fs::copy("/usr/bin/id", &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o4755)).unwrap();
    let alice = User::new("tsa", &[]);
    let what = template(&[copy.to_str().unwrap(), "-u"]);
    let said = || {
        let instance = world.start(&alice.name, &what);
        instance.run(0);
        instance.close();
        instance.out(0).trim().to_owned()
    };
    assert_eq!(said(), alice.uid.to_string());
    // A program that the file system gives all capabilities can't even be executed: they are out of bounds.
    let capable = example(&world, "evil");
    common::run("setcap", &["all+ep", capable.to_str().unwrap()]);
    let instance = world.start(&alice.name, &evil(&world, &["way-back"]));
    instance.order(0, 1);
    let event = instance.event();
    let Event::ItemNotStarted { step, errno, .. } = event else {
        panic!("{event:?}");
    };
    assert_eq!((step, errno), (Step::Exec, libc::EPERM));
    instance.close();
    // One that only may have them has none.
    common::run("setcap", &["all+p", capable.to_str().unwrap()]);
    let given = attack(&world, &alice.name, &["way-back"]);
    assert!(given.values().all(|errno| *errno != 0), "{given:?}");
    // The switch for software that needs such helpers; it is the host's to throw, and this is what it means.
    world.set_policy("no_new_privs = no");
    assert_eq!(said(), "0");
}

#[test]
fn l16_directories_and_programs_are_reached_as_the_user() {
    if !can_run() {
        return;
    }
    let mut world = World::prepare("");
    let private = world.dir.join("private");
    fs::create_dir(&private).unwrap();
    fs::write(private.join("secret"), "x").unwrap();
    fs::set_permissions(&private, fs::Permissions::from_mode(0o700)).unwrap();
    // The launcher stands where no job may look: what a job opens without a path is not there.
    world.start_through(&format!("env --chdir='{}'", private.display()));
    let alice = User::new("tsa", &[]);
    let mut anywhere = evil(
        &world,
        &["open", "secret", "./secret", "../launcher/policy"],
    );
    anywhere.cwd = String::new();
    let instance = world.start(&alice.name, &anywhere);
    let said = attack_in(&instance);
    assert!(
        said.values().all(|errno| *errno == libc::ENOENT),
        "{said:?}"
    );
    instance.close();
    let not_started = |cwd: &str, argv: &[&str]| {
        let mut what = template(argv);
        what.cwd = cwd.into();
        let instance = world.start(&alice.name, &what);
        instance.order(0, 1);
        let event = instance.event();
        let record = tessera_ticket::ExitRecord::decode(&instance.file(0, "exit")).unwrap();
        instance.close();
        match event {
            Event::ItemNotStarted {
                item: 0,
                attempt: 1,
                step,
                errno,
            } => {
                assert_eq!(record.kind, EndKind::NotStarted { step, errno });
                (step, errno)
            }
            other => panic!("{other:?}"),
        }
    };
    let private = private.to_str().unwrap();
    assert_eq!(
        not_started(private, &["true"]),
        (Step::Directory, libc::EACCES)
    );
    assert_eq!(
        not_started("/nowhere", &["true"]),
        (Step::Directory, libc::ENOENT)
    );
    // What is whole on another system only is not entered from wherever the starter is: there, `proc` exists.
    for elsewhere in [r"C:\shows", r"\\server\shows", "proc", "."] {
        assert_eq!(
            not_started(elsewhere, &["true"]),
            (Step::Directory, libc::ENOENT),
            "{elsewhere}"
        );
    }
    assert_eq!(
        not_started("/", &["no-such-program"]),
        (Step::Exec, libc::ENOENT)
    );
    assert_eq!(
        not_started("/", &["/etc/shadow"]),
        (Step::Exec, libc::EACCES)
    );
    world.assert_nothing_left();
}

#[test]
fn frames_and_limits_reach_the_job() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let alice = User::new("tsa", &[]);
    let mut what = shell(
        "echo arg QB_FRAME_RANGE env $QB_FRAME_START $QB_FRAME_PADDING; ulimit -n; ulimit -c",
    );
    what.limits = vec![Limit {
        resource: Resource::OpenFiles,
        soft: 77,
        hard: 77,
    }];
    what.agenda = Some(Agenda {
        runs: vec![FrameRun {
            start: -2,
            step: 1,
            count: 10,
        }],
        split: Split::Chunk(3),
        padding: 4,
    });
    let instance = world.start(&alice.name, &what);
    instance.run(0);
    instance.run(3);
    assert_eq!(instance.out(0), "arg -2-0 env -0002 4\n77\n0\n");
    assert_eq!(instance.out(3), "arg 7 env 0007 4\n77\n0\n");
    instance.order(4, 1);
    assert!(matches!(
        instance.event(),
        Event::ItemNotStarted {
            step: Step::Command,
            ..
        }
    ));
    instance.close();
}

#[test]
fn the_proxy_account_runs_jobs_without_a_shell() {
    if !can_run() {
        return;
    }
    let world = World::new("modes = proxy");
    let what = template(&["id", "-un"]);
    let ticket = world.ticket(&world.proxy.name, Mode::Proxy, &what);
    let instance = world.start_ticket(&ticket, &what).unwrap();
    instance.run(0);
    assert_eq!(instance.out(0).trim(), world.proxy.name);
    instance.close();
    let alice = User::new("tsa", &[]);
    assert_eq!(
        world.refusal(&world.ticket(&alice.name, Mode::User, &what), &what),
        "mode_not_allowed"
    );
    assert_eq!(
        world.refusal(&world.ticket(&alice.name, Mode::Proxy, &what), &what),
        "proxy_mismatch"
    );
}

#[test]
fn the_shepherd_keeps_only_the_right_to_kill() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let alice = User::new("tsa", &[]);
    let instance = world.start(&alice.name, &shell("exec sleep 60"));
    let field = |name: &str| status_of(instance.shepherd, name).unwrap();
    let uid = world.shepherd.uid;
    assert_eq!(field("Uid"), format!("{uid} {uid} {uid} {uid}"));
    assert_eq!(field("Groups"), world.shepherd.gid.to_string());
    for name in ["CapPrm", "CapEff"] {
        assert_eq!(field(name), "0000000000000020", "CAP_KILL is number 5");
    }
    for name in ["CapInh", "CapBnd", "CapAmb"] {
        assert_eq!(field(name), "0000000000000000");
    }
    assert_eq!(field("NoNewPrivs"), "1");
    instance.close();
}

#[test]
fn a_program_that_others_cannot_reach_still_starts_jobs() {
    if !can_run() {
        return;
    }
    let mut world = World::prepare("");
    let private = world.dir.join("private");
    fs::create_dir(&private).unwrap();
    let program = private.join("tessera-launch");
    fs::copy(env!("CARGO_BIN_EXE_tessera-launch"), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(&private, fs::Permissions::from_mode(0o700)).unwrap();
    world.program = program;
    world.start_launcher();
    let alice = User::new("tsa", &[]);
    let instance = world.start(&alice.name, &template(&["id", "-u"]));
    instance.run(0);
    assert_eq!(instance.out(0).trim(), alice.uid.to_string());
    instance.close();
}
