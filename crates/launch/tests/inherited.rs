//! What the launcher inherited is not the job's: descriptors, signals, keys, the mode mask, what a job's own variables
//! would do to others.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use common::attack::{attack_in, evil, example};
use common::procs::processes_of;
use common::{User, World, can_run, shell, template};

#[test]
fn l17_open_files_of_the_launcher_are_not_the_jobs() {
    if !can_run() {
        return;
    }
    let mut world = World::prepare("");
    let launcher = world.program.clone();
    let script = "exec 5</etc/shadow 9<>/dev/null 1000</etc/shadow; exec \"$@\"";
    world.start_through(&format!("bash -c '{script}' bash"));
    assert_ne!(launcher, world.program);
    let pid = world.launcher.as_ref().unwrap().id();
    let kept = fs::read_link(format!("/proc/{pid}/fd/1000")).unwrap();
    assert!(kept.starts_with("/etc"), "{}", kept.display());
    let alice = User::new("tsa", &[]);
    let script = "ls /proc/$$/fd; cat <&5; cat /proc/self/fd/1000; ls /proc/$PPID/fd";
    let instance = world.start(&alice.name, &shell(script));
    instance.run(0);
    assert_eq!(instance.out(0), "0\n1\n2\n");
    assert!(!instance.err(0).contains("root:"), "{}", instance.err(0));
    let open = fs::read_dir(format!("/proc/{}/fd", instance.shepherd)).unwrap();
    let open = open
        .flatten()
        .filter_map(|it| fs::read_link(it.path()).ok());
    let foreign: Vec<_> = open.filter(|it| it.starts_with("/etc")).collect();
    assert!(foreign.is_empty(), "the shepherd has {foreign:?}");
    // The starter, which is alice's as well, has the same and its two sockets.
    let starter = processes_of(alice.uid);
    assert_eq!(starter.len(), 1);
    let open = fs::read_dir(format!("/proc/{}/fd", starter[0])).unwrap();
    assert_eq!(open.count(), 5);
    instance.close();
}

#[test]
fn l28_signals_that_the_launcher_ignores_or_blocks_work_in_jobs() {
    if !can_run() {
        return;
    }
    let mut world = World::prepare("");
    world.start_through("env --ignore-signal=PIPE,USR1,CHLD --block-signal=TERM,HUP");
    let alice = User::new("tsa", &[]);
    let instance = world.start(&alice.name, &template(&["cat", "/proc/self/status"]));
    instance.run(0);
    let text = instance.out(0);
    for field in ["SigBlk", "SigIgn", "SigCgt"] {
        assert!(
            text.contains(&format!("{field}:\t0000000000000000\n")),
            "{text}"
        );
    }
    instance.close();
}

#[test]
fn l39_the_launchers_keys_are_out_of_reach() {
    if !can_run() {
        return;
    }
    let mut world = World::prepare("");
    let with_key = example(&world, "evil");
    let probe = example(&world, "probe");
    let seen = std::process::Command::new(&with_key)
        .arg("with-key")
        .arg(&probe)
        .output()
        .unwrap();
    let seen = String::from_utf8(seen.stdout).unwrap();
    assert!(
        seen.contains("canary") && !seen.contains("canary -1"),
        "the key can be found: {seen}"
    );
    world.start_through(&format!("'{}' with-key", with_key.display()));
    let alice = User::new("tsa", &[]);
    let instance = world.start(&alice.name, &template(&[probe.to_str().unwrap()]));
    instance.run(0);
    let text = instance.out(0);
    assert!(text.contains("\"keyring\": \"empty\""), "{text}");
    instance.close();
}

#[test]
fn l49_the_mode_mask_is_the_jobs_own() {
    if !can_run() {
        return;
    }
    let mut world = World::prepare("");
    world.start_through("bash -c 'umask 000; exec \"$@\"' bash");
    let alice = User::new("tsa", &[]);
    let mut what = shell("umask; touch $TMPDIR/file; stat -c %a $TMPDIR/file");
    what.umask = 0o077;
    let instance = world.start(&alice.name, &what);
    instance.run(0);
    assert_eq!(instance.out(0), "0077\n600\n");
    for name in [
        "launcher",
        "launcher/run",
        "launcher/audit.log",
        "launcher/audit-asked.log",
        "launcher/nonces",
        "tmp",
    ] {
        let mode = fs::metadata(world.dir.join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o022, 0, "{name} {mode:o}");
    }
    instance.close();
}

/// A library that leaves a file named after the user whenever it is loaded.
fn canary(world: &World) -> String {
    let (source, library) = (world.dir.join("canary.c"), world.dir.join("canary.so"));
    let text = format!(
        "#include <fcntl.h>\n#include <stdio.h>\n#include <unistd.h>\n\
         __attribute__((constructor)) static void seen(void) {{\n\
         char name[200]; snprintf(name, sizeof name, \"{}/seen/%d\", (int)geteuid());\n\
         close(open(name, O_WRONLY | O_CREAT, 0666)); }}\n",
        world.dir.display()
    );
    fs::write(&source, text).unwrap();
    let seen = world.dir.join("seen");
    fs::create_dir(&seen).unwrap();
    fs::set_permissions(&seen, fs::Permissions::from_mode(0o1777)).unwrap();
    let (source, library) = (source.to_str().unwrap(), library.to_str().unwrap());
    common::run("cc", &["-shared", "-fPIC", "-o", library, source]);
    common::run("chmod", &["755", library]);
    library.to_owned()
}

#[test]
fn l25_a_jobs_variables_reach_nobody_else() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let alice = User::new("tsa", &[]);
    let library = canary(&world);
    let mut what = shell("(setsid sleep 300 &); true");
    what.env = [
        ("LD_PRELOAD", library.as_str()),
        ("GCONV_PATH", "/tmp/evil"),
        ("PATH", "/usr/bin:/bin"),
        ("BASH_ENV", "/tmp/evil"),
        ("ENV", "/tmp/evil"),
        ("PYTHONPATH", "/tmp/evil"),
        ("IFS", "/"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    let instance = world.start(&alice.name, &what);
    // Items start, leave something behind that is cleared away, and end: every part of the chain has had its turn.
    for item in 0..3 {
        instance.run(item);
    }
    let launcher = world.launcher.as_ref().unwrap().id();
    for pid in [launcher, instance.shepherd] {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap();
        let environ = String::from_utf8_lossy(&environ).into_owned();
        assert!(!environ.contains("/tmp/evil") && !environ.contains(&library));
    }
    instance.close();
    world.gone(instance.key);
    let list = fs::read_dir(world.dir.join("seen")).unwrap().flatten();
    let seen: Vec<String> = list
        .map(|it| it.file_name().into_string().unwrap())
        .collect();
    assert_eq!(
        seen,
        [alice.uid.to_string()],
        "only alice's own programs loaded it"
    );
    // No shell function comes through a name, either.
    let mut what = shell("true");
    what.env = vec![("BASH_FUNC_x%%".into(), "() { :; }".into())];
    assert!(what.check().is_err());
}

#[test]
fn l23_another_users_job_is_a_closed_book() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let (bob, eve) = (User::new("tsb", &[]), User::new("tse", &[]));
    let mut what = shell(
        "echo secret >$TMPDIR/secret; chmod 644 $TMPDIR/secret; echo $TMPDIR; exec sleep 300",
    );
    what.env = vec![("PASSWORD".into(), "x".into())];
    what.umask = 0;
    let instance = world.start(&bob.name, &what);
    instance.order(0, 1);
    let pid = instance.started();
    common::wait_until("the job has begun", || instance.out(0).ends_with('\n'));
    let place = instance.out(0).trim().to_owned();
    assert_eq!(
        fs::read_to_string(format!("{place}/secret")).unwrap(),
        "secret\n"
    );
    let mut paths = vec![
        format!("{place}/secret"),
        place.clone(),
        format!("{place}/.."),
    ];
    paths.extend(["environ", "mem", "fd", "cwd/x", "maps"].map(|it| format!("/proc/{pid}/{it}")));
    paths.extend(["0.1.out", "0.1.exit"].map(|it| instance.dir.join(it).display().to_string()));
    paths.extend(["audit.log", "audit-asked.log"].map(|it| {
        let path = world.dir.join("launcher").join(it);
        path.display().to_string()
    }));
    let mut words = vec!["open"];
    words.extend(paths.iter().map(String::as_str));
    let eves = world.start(&eve.name, &evil(&world, &words));
    let said = attack_in(&eves);
    assert_eq!(said.len(), paths.len());
    assert!(
        said.values().all(|errno| *errno == libc::EACCES),
        "{said:?}"
    );
    eves.close();
    instance.close();
    world.gone(instance.key);
    world.assert_nothing_left();
}
