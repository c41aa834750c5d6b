//! What a job does to processes that are not its own, and to the groups that hold it.

mod common;

use std::fs;
use std::process::Command as Program;
use std::time::Duration;

use common::attack::{Stranger, attack, example};
use common::needs::needed;
use common::procs::{alive, processes_of};
use common::{User, World, can_run, shell, wait_until};

/// What nothing of a job can leave.
const GROUPS: &str = "control groups of version 2";

#[test]
fn l32_a_job_does_not_leave_its_group() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let alice = User::new("tsa", &[]);
    let Some(group) = needed(GROUPS, world.group()) else {
        return;
    };
    let place = group.display();
    let script = format!(
        "for g in '{place}' '{place}/..' '{place}/'* '{place}/'*/*; do\n\
           (echo $$ > \"$g/cgroup.procs\") 2>/dev/null && echo moved to $g\n\
           (echo 1 > \"$g/cgroup.kill\") 2>/dev/null && echo killed $g\n\
           (echo 1 > \"$g/cgroup.freeze\") 2>/dev/null && echo froze $g\n\
           mkdir \"$g/mine\" 2>/dev/null && echo made in $g\n\
         done\n\
         unshare -UrCm sh -c 'mount -t cgroup2 none /mnt && mkdir /mnt/mine && echo $$ >/mnt/mine/cgroup.procs && echo out' 2>/dev/null\n\
         unshare -Urpf sh -c 'setsid sleep 300 & sleep 300' 2>/dev/null &\n\
         sleep 0.2; echo ready; wait; sleep 300"
    );
    let instance = world.start(&alice.name, &shell(&script));
    instance.order(0, 1);
    let pid = instance.started();
    wait_until("all was tried", || instance.out(0).contains("ready"));
    assert_eq!(instance.out(0), "ready\n");
    // Seen from outside, whatever namespace they think they are in.
    let own = format!(
        "0::/{}/{}/item-0",
        group.file_name().unwrap().to_str().unwrap(),
        instance.key
    );
    let starter = |pid: &i32| {
        fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|it| it.contains("starter"))
    };
    let all: Vec<i32> = processes_of(alice.uid)
        .into_iter()
        .filter(|it| !starter(it))
        .collect();
    assert!(all.len() > 1 && all.contains(&i32::try_from(pid).unwrap()));
    for pid in all {
        let found = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        assert!(found.lines().any(|it| it == own), "{pid}: {found}");
    }
    instance.end(0, 1, 0);
    instance.ended();
    instance.close();
    world.assert_nothing_left();
}

#[test]
fn l35_a_job_touches_neither_the_farms_processes_nor_another_users() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let (alice, bob) = (User::new("tsa", &[]), User::new("tsb", &[]));
    let other = world.start(&bob.name, &shell("exec sleep 300"));
    other.order(0, 1);
    let victim = other.started();
    let own = world.start(&alice.name, &shell("exec sleep 300"));
    let launcher = world.launcher.as_ref().unwrap().id();
    for pid in [launcher, other.shepherd, own.shepherd, victim] {
        let said = attack(&world, &alice.name, &["touch", &pid.to_string()]);
        assert_eq!(said.len(), 13);
        for (what, errno) in &said {
            // A map of somebody else's can be opened, and read never.
            let is_refused = matches!(*errno, libc::EPERM | libc::EACCES);
            assert!(is_refused, "{what} of {pid}: {errno}");
        }
        assert!(alive(pid));
    }
    own.close();
    other.close();
    world.assert_nothing_left();
}

#[test]
fn l41_the_users_own_processes_are_not_the_farms() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let alice = User::new("tsa", &[]);
    let mut session = Stranger::of(alice.uid);
    let instance = world.start(&alice.name, &shell("(setsid sleep 300 &); exec sleep 300"));
    instance.order(0, 1);
    instance.started();
    instance.end(0, 1, 0);
    instance.ended();
    instance.close();
    world.gone(instance.key);
    world.assert_nothing_left();
    assert!(session.is_alive(), "the session survives");
}

#[test]
fn l34_a_number_that_passed_to_somebody_else_is_left_alone() {
    if !can_run() {
        return;
    }
    let mut world = World::new("");
    let evil = example(&world, "evil");
    let alice = User::new("tsa", &[]);
    let instance = world.start(&alice.name, &shell("exec sleep 300"));
    instance.order(0, 1);
    instance.started();
    let shepherd = instance.shepherd;
    world.kill_launcher();
    common::run("kill", &["-9", &shepherd.to_string()]);
    wait_until("the shepherd is gone for good", || {
        !std::path::Path::new(&format!("/proc/{shepherd}")).exists()
    });
    // Its number passes to a process that has nothing to do with the farm; the record of the old one is still there.
    let record = world.dir.join(format!("launcher/run/{}", instance.key));
    assert!(
        fs::read_to_string(&record)
            .unwrap()
            .starts_with(&format!("{shepherd} "))
    );
    let made = Program::new(&evil)
        .args(["newcomer", &shepherd.to_string()])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(made.stdout).unwrap(), "newcomer 0\n");
    assert!(alive(shepherd), "the newcomer has the number");
    world.start_launcher();
    world.gone(instance.key);
    world.assert_nothing_left();
    std::thread::sleep(Duration::from_millis(50));
    assert!(alive(shepherd), "the newcomer is untouched");
    common::run("kill", &["-9", &shepherd.to_string()]);
    assert!(processes_of(alice.uid).is_empty());
}

#[test]
fn l46_without_proc_the_launcher_says_so_and_does_not_start() {
    if !can_run() {
        return;
    }
    let mut world = World::prepare("");
    let script = world.dir.join("no-proc.sh");
    let text = format!(
        "#!/bin/sh\nexec unshare -m sh -c \"umount -l /proc; exec '{}' \\\"\\$@\\\"\" sh \"$@\"\n",
        world.program.display()
    );
    std::fs::write(&script, text).unwrap();
    common::run("chmod", &["755", script.to_str().unwrap()]);
    world.program = script;
    let status = world.spawn_launcher().wait().unwrap();
    let said = std::fs::read_to_string(world.dir.join("launcher.log")).unwrap();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("/proc is not mounted"), "{said}");
}

#[test]
fn l46_processes_that_are_hidden_from_others_change_nothing() {
    if !can_run() {
        return;
    }
    let mut world = World::prepare("");
    if needed(GROUPS, world.group()).is_none() {
        return;
    }
    world.start_through(
        "unshare -m bash -c 'mount -t proc -o hidepid=2 proc /proc && exec \"$@\"' bash",
    );
    let alice = User::new("tsa", &[]);
    let instance = world.start(
        &alice.name,
        &shell("(setsid sleep 300 &); ls -d /proc/1 2>/dev/null; exit 3"),
    );
    let record = instance.run(0);
    assert_eq!(instance.out(0), "");
    assert_eq!(record.kind, tessera_ticket::EndKind::Exited { code: 3 });
    assert_eq!(record.leftovers, 1);
    instance.close();
    world.gone(instance.key);
    world.assert_nothing_left();
}
