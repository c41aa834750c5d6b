//! What a job may use, and that it can't take more.

mod common;

use std::fs;
use std::time::{Duration, Instant};

use common::attack::{Stranger, attack, attack_in, evil};
use common::needs::needed;
use common::procs::{may_raise_limits, processes_of};
use common::{User, World, can_run, shell, template, wait_until};
use tessera_ticket::shepherd::Event;
use tessera_ticket::{EndKind, Limit, Mode, Resource, Step};

fn limit(resource: Resource, value: u64) -> Limit {
    Limit {
        resource,
        soft: value,
        hard: value,
    }
}

#[test]
fn l38_what_was_lowered_stays_so() {
    if !can_run() {
        return;
    }
    let mut world = World::new("");
    world.nice = 5;
    let alice = User::new("tsa", &[]);
    let mut what = evil(&world, &["raise"]);
    what.limits = vec![limit(Resource::OpenFiles, 99)];
    let instance = world.start(&alice.name, &what);
    let said = attack_in(&instance);
    for name in ["core", "nofile", "nice", "rtprio", "fifo"] {
        assert_eq!(said[name], libc::EPERM, "{name}");
    }
    for name in ["niceness", "zero", "oom-1000"] {
        assert_eq!(said[name], libc::EACCES, "{name}");
    }
    // Whether a score sticks takes a capability that not every root has.
    let wanted = if may_raise_limits() { libc::EACCES } else { 0 };
    assert_eq!(said["oom0"], wanted);
    // Jobs end before daemons when memory is short, and have no more priority than these.
    let read = |pid: u32, name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap();
    let launcher = world.launcher.as_ref().unwrap().id();
    for pid in [launcher, instance.shepherd] {
        let score: i32 = read(pid, "oom_score_adj").trim().parse().unwrap();
        assert!(score < 300, "{score}");
        let stat = read(pid, "stat");
        let nice: i32 = stat
            .rsplit_once(") ")
            .unwrap()
            .1
            .split(' ')
            .nth(16)
            .unwrap()
            .parse()
            .unwrap();
        assert!(nice < 5);
    }
    instance.close();
}

#[test]
fn l37_a_job_that_crashes_leaves_no_memory_behind() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let alice = User::new("tsa", &[]);
    let script = "ulimit -c; ulimit -Hc; ulimit -c 1 2>/dev/null && echo raised; cd $TMPDIR; sh -c 'kill -SEGV $$'; ls -A; kill -SEGV $$";
    let instance = world.start(&alice.name, &shell(script));
    let record = instance.run(0);
    assert_eq!(record.kind, EndKind::Signalled { signal: 11 });
    assert_eq!(instance.out(0), "0\n0\n");
    instance.close();
    // Who wants one asks for it when submitting.
    let mut what = shell("ulimit -c");
    what.limits = vec![limit(Resource::Core, 2048)];
    let instance = world.start(&alice.name, &what);
    instance.run(0);
    assert_ne!(instance.out(0), "0\n");
    instance.close();
}

#[test]
fn l36_too_many_processes_are_told_as_what_they_are() {
    if !can_run() {
        return;
    }
    let mut world = World::prepare("");
    world.start_through("prlimit --nproc=4");
    let alice = User::new("tsa", &[]);
    let _others: Vec<Stranger> = (0..5).map(|_| Stranger::of(alice.uid)).collect();
    let what = template(&["true"]);
    let ticket = world.ticket(&alice.name, Mode::User, &what);
    let (code, text) = world.start_ticket(&ticket, &what).err().expect("refused");
    assert_eq!(code, "process_limit");
    assert!(text.contains("as many processes as its limit"), "{text}");
    world.gone(ticket.key);
    // Of a user with one process less the starter gets through, and its item doesn't.
    let bob = User::new("tsb", &[]);
    let others: Vec<Stranger> = (0..3).map(|_| Stranger::of(bob.uid)).collect();
    let instance = world.start(&bob.name, &what);
    instance.order(0, 1);
    let event = instance.event();
    let Event::ItemNotStarted { step, errno, .. } = event else {
        panic!("{event:?}");
    };
    assert_eq!((step, errno), (Step::ProcessLimit, libc::EAGAIN));
    drop(others);
    instance.run(1);
    instance.close();
    world.assert_nothing_left();
}

#[test]
fn l31_a_fork_bomb_keeps_nobody_else_from_starting_and_ends() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let (eve, bob) = (User::new("tse", &[]), User::new("tsb", &[]));
    let mut bomb = evil(&world, &["bomb"]);
    // The bound that stands in for a controller of processes, which this machine need not have.
    bomb.limits = vec![limit(Resource::Processes, 150)];
    let instance = world.start(&eve.name, &bomb);
    instance.order(0, 1);
    instance.started();
    wait_until("the bomb is at its bound", || {
        processes_of(eve.uid).len() >= 140
    });
    let before = Instant::now();
    let others = world.start(&bob.name, &template(&["true"]));
    others.run(0);
    others.close();
    assert!(
        before.elapsed() < Duration::from_secs(10),
        "others start meanwhile"
    );
    let before = Instant::now();
    instance.end(0, 1, 0);
    assert_eq!(instance.ended().kind, EndKind::Signalled { signal: 9 });
    assert!(before.elapsed() < Duration::from_secs(10));
    instance.close();
    world.gone(instance.key);
    // The last of them may be on their way out of the process table.
    wait_until("none is left", || processes_of(eve.uid).is_empty());
    world.assert_nothing_left();
}

/// A group of the older controller of processes, where the kernel has mounted one.
struct Pids(std::path::PathBuf);

impl Pids {
    fn new(world: &World, max: u32) -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let is_pids = |line: &&str| {
            let options = line
                .split(" - cgroup ")
                .nth(1)
                .and_then(|it| it.split(' ').nth(1));
            options.is_some_and(|it| it.split(',').any(|it| it == "pids"))
        };
        let mount = mounts.lines().find(is_pids)?.split(' ').nth(4)?;
        let name = world.dir.file_name().unwrap();
        let dir = std::path::Path::new(mount).join(name);
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("pids.max"), max.to_string()).unwrap();
        Some(Self(dir))
    }

    fn take(&self, pid: u32) {
        fs::write(self.0.join("cgroup.procs"), pid.to_string()).unwrap();
    }

    fn current(&self) -> u32 {
        let text = fs::read_to_string(self.0.join("pids.current")).unwrap();
        text.trim().parse().unwrap()
    }
}

impl Drop for Pids {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn l31_a_fork_bomb_under_a_controller_of_processes_ends() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let pids = Pids::new(&world, 150);
    let Some(pids) = needed("a version 1 hierarchy with the controller `pids`", pids) else {
        return;
    };
    let (eve, bob) = (User::new("tse", &[]), User::new("tsb", &[]));
    let instance = world.start(&eve.name, &evil(&world, &["bomb"]));
    // As an administrator's own limit would: the whole instance, its shepherd and starter included.
    pids.take(instance.shepherd);
    for pid in processes_of(eve.uid) {
        pids.take(u32::try_from(pid).unwrap());
    }
    instance.order(0, 1);
    instance.started();
    wait_until("the bomb is at its bound", || pids.current() >= 145);
    let before = Instant::now();
    let others = world.start(&bob.name, &template(&["true"]));
    others.run(0);
    others.close();
    assert!(
        before.elapsed() < Duration::from_secs(10),
        "others start meanwhile"
    );
    assert!(pids.current() <= 150);
    let before = Instant::now();
    instance.end(0, 1, 0);
    assert_eq!(instance.ended().kind, EndKind::Signalled { signal: 9 });
    assert!(before.elapsed() < Duration::from_secs(10));
    instance.close();
    world.gone(instance.key);
    wait_until("none is left", || processes_of(eve.uid).is_empty());
    wait_until("the group is empty", || pids.current() == 0);
    world.assert_nothing_left();
}

#[test]
fn l20_output_goes_into_regular_files_only() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let alice = User::new("tsa", &[]);
    let fifo = world.dir.join("fifo");
    common::run("mkfifo", &[fifo.to_str().unwrap()]);
    let instance = world.start(&alice.name, &template(&["true"]));
    let open = |path: &std::path::Path| {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(!path.is_dir()).open(path).unwrap()
    };
    for (item, path) in [
        (0, fifo.as_path()),
        (1, "/dev/null".as_ref()),
        (2, "/tmp".as_ref()),
    ] {
        let wrong = open(path);
        let before = Instant::now();
        instance.order_into(item, &wrong);
        let event = instance.event();
        let Event::ItemNotStarted { step, .. } = event else {
            panic!("{event:?}");
        };
        assert_eq!(step, Step::Descriptors, "{}", path.display());
        assert!(
            before.elapsed() < Duration::from_secs(1),
            "nobody waits for a reader"
        );
    }
    instance.run(3);
    instance.close();
}

#[test]
fn l43_output_that_looks_like_ours_is_only_output() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let alice = User::new("tsa", &[]);
    let forged = "{\"time_ms\":1,\"event\":\"launch\",\"account\":\"root\",\"prev\":\"-\"}";
    let script = format!(
        "printf '\\001\\002\\000\\000\\033[2J\\377\\n'; echo '{forged}'; echo '{forged}' >&2; head -c 2000000 /dev/zero | tr '\\0' x"
    );
    let instance = world.start(&alice.name, &shell(&script));
    let record = instance.run(0);
    assert_eq!(record.kind, EndKind::Exited { code: 0 });
    let out = instance.file(0, "out");
    assert!(
        out.starts_with(b"\x01\x02\0\0\x1b[2J\xff\n"),
        "every byte is kept as it was"
    );
    assert_eq!(out.len() as u64, record.kept[0]);
    assert!(!world.audit().contains("\"account\":\"root\""));
    assert!(
        attack(&world, &alice.name, &["open", "/nowhere"])["/nowhere"] != 0,
        "the launcher goes on"
    );
    instance.close();
}
