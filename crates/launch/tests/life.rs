//! How instances live and end: output, exit status, limits, signals, leftovers, and the death of each part of the chain.
//! Tests named after an attack carry it out.

mod common;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use common::procs::{alive, processes_of};
use common::{User, World, can_run, shell, template, wait_until};
use tessera_ticket::shepherd::{Command, Event, ItemState};
use tessera_ticket::{
    EndCause, EndKind, ExitRecord, INDEX_RECORD_LEN, IndexRecord, ItemRange, Mode, Step, Stream,
    Ticket,
};

fn text_of(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn output_and_status_arrive_as_they_were() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let alice = User::new("tsa", &[]);
    let script = "printf 'a\\0\\377'; sleep 0.05; echo oops >&2; sleep 0.05; printf b; exit 7";
    let instance = world.start(&alice.name, &shell(script));
    let record = instance.run(0);
    assert_eq!(record.kind, EndKind::Exited { code: 7 });
    assert_eq!((record.kept, record.produced), ([4, 5], [4, 5]));
    assert_eq!(record.cause, EndCause::Itself);
    assert!(record.elapsed_ms >= 100 && record.ended_ms >= record.started_ms + 100);
    assert_eq!(instance.file(0, "out"), b"a\0\xffb");
    assert_eq!(instance.err(0), "oops\n");
    let index = instance.file(0, "idx");
    let index: Vec<_> = index
        .chunks(INDEX_RECORD_LEN)
        .map(|it| IndexRecord::decode(it).unwrap())
        .collect();
    let order: Vec<_> = index.iter().map(|it| (it.stream, it.len)).collect();
    assert_eq!(
        order,
        [(Stream::Out, 3), (Stream::Err, 5), (Stream::Out, 1)]
    );
    assert_eq!(ExitRecord::decode(&instance.file(0, "exit")), Ok(record));
    instance.close();
    let instance = world.start(&alice.name, &shell("kill -9 $$"));
    assert_eq!(instance.run(0).kind, EndKind::Signalled { signal: 9 });
    instance.close();
    world.assert_nothing_left();
}

#[test]
fn l43_output_beyond_the_limit_is_cut_with_a_mark_and_the_job_goes_on() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let alice = User::new("tsa", &[]);
    let script = "head -c 3000000 /dev/zero; echo small >&2; exit 3";
    let instance = world.start(&alice.name, &shell(script));
    instance.order_with(0, 1, 1_000_000, 0);
    instance.started();
    let record = instance.ended();
    assert_eq!(record.kind, EndKind::Exited { code: 3 });
    assert!(record.cut_by_limit && !record.cut_by_disk);
    assert_eq!(record.produced, [3_000_000, 6]);
    let out = instance.file(0, "out");
    assert_eq!(out.len() as u64, record.kept[0]);
    assert!(out[..1_000_000].iter().all(|it| *it == 0));
    let mark = String::from_utf8_lossy(&out[1_000_000..]).into_owned();
    assert!(mark.contains("output limit of 1000000 bytes") && mark.matches('\n').count() == 2);
    assert_eq!(instance.err(0), "small\n");
    instance.close();
}

#[test]
fn ending_is_polite_first_and_then_certain() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let alice = User::new("tsa", &[]);
    let instance = world.start(
        &alice.name,
        &shell("trap 'echo bye; exit 4' TERM; while :; do sleep 0.02; done"),
    );
    instance.order(0, 1);
    instance.started();
    std::thread::sleep(Duration::from_millis(100));
    instance.end(0, 2, 0);
    instance.end(0, 1, 10_000);
    let record = instance.ended();
    assert_eq!(
        (record.kind, record.cause),
        (EndKind::Exited { code: 4 }, EndCause::Kill)
    );
    assert_eq!(instance.out(0), "bye\n");
    instance.close();

    let stubborn = "trap '' TERM; (setsid sh -c 'trap \"\" TERM HUP; sleep 300' &) ; sleep 300 & wait; sleep 300";
    let instance = world.start(&alice.name, &shell(stubborn));
    instance.order(0, 1);
    instance.started();
    std::thread::sleep(Duration::from_millis(100));
    let before = Instant::now();
    instance.end(0, 1, 300);
    let record = instance.ended();
    assert_eq!(record.kind, EndKind::Signalled { signal: 9 });
    assert!(
        before.elapsed() >= Duration::from_millis(300) && before.elapsed() < Duration::from_secs(5)
    );
    assert!(
        processes_of(alice.uid).len() <= 1,
        "only the starter is left"
    );
    instance.close();
    world.assert_nothing_left();
    assert!(processes_of(alice.uid).is_empty());
}

#[test]
fn l30_nothing_outlives_its_item() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let alice = User::new("tsa", &[]);
    let script =
        "(setsid sh -c 'trap \"\" TERM HUP; kill -STOP $$; sleep 300' &); (sleep 300 &); exit 0";
    let instance = world.start(&alice.name, &shell(script));
    for item in 0..20 {
        let record = instance.run(item);
        assert_eq!(record.kind, EndKind::Exited { code: 0 });
    }
    let left = instance.run(20).leftovers;
    assert!((1..=4).contains(&left), "{left} were left");
    wait_until("only the starter is left", || {
        processes_of(alice.uid).len() <= 1
    });
    instance.close();
    world.assert_nothing_left();
}

#[test]
fn leftovers_have_their_grace() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let alice = User::new("tsa", &[]);
    let instance = world.start(&alice.name, &shell("(sleep 0.3; echo late) & exit 0"));
    instance.order_with(0, 1, 1_000, 5_000);
    instance.started();
    let record = instance.ended();
    assert_eq!((record.leftovers, instance.out(0).as_str()), (0, "late\n"));
    instance.close();
}

/// The main process neither waits for its child nor works itself; the next item in the same group begins at nothing.
#[test]
fn cpu_time_of_what_nobody_waited_for_counts() {
    const WORKED_US: u64 = 100_000;
    if !can_run() {
        return;
    }
    let world = World::new("");
    let alice = User::new("tsa", &[]);
    let work = "i=0; while [ $i -lt 500000 ]; do i=$((i+1)); done; echo worked";
    let script = format!("test $TESSERA_ITEM = 1 || (setsid sh -c '{work}' &); exit 0");
    let instance = world.start(&alice.name, &shell(&script));
    let used = |item| {
        instance.order_with(item, 1, 1_000, 60_000);
        instance.started();
        let record = instance.ended();
        assert_eq!(record.leftovers, 0, "it had its time");
        record.user_us + record.system_us
    };
    let (worker, idler) = (used(0), used(1));
    assert_eq!(instance.out(0), "worked\n");
    assert!(worker > WORKED_US, "{worker} µs");
    assert!(idler < WORKED_US, "{idler} µs, of {worker} before");
    instance.close();
    world.assert_nothing_left();
}

#[test]
fn suspend_stops_everything_and_resume_lets_it_go_on() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let alice = User::new("tsa", &[]);
    let instance = world.start(
        &alice.name,
        &shell("i=0; while :; do echo $i; i=$((i+1)); sleep 0.01; done"),
    );
    instance.order(0, 1);
    instance.started();
    let size = || fs::metadata(instance.dir.join("0.1.out")).unwrap().len();
    wait_until("output grows", || size() > 20);
    instance.tell(&Command::Suspend);
    assert_eq!(instance.event(), Event::Suspended);
    std::thread::sleep(Duration::from_millis(100));
    let stopped = size();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(size(), stopped);
    instance.tell(&Command::Resume);
    assert_eq!(instance.event(), Event::Resumed);
    wait_until("output grows again", || size() > stopped + 20);
    instance.tell(&Command::Suspend);
    assert_eq!(instance.event(), Event::Suspended);
    instance.end(0, 1, 0);
    assert_eq!(instance.ended().kind, EndKind::Signalled { signal: 9 });
    instance.close();
    world.assert_nothing_left();
}

#[test]
fn l33_a_job_goes_on_without_worker_and_launcher_and_is_taken_up_again() {
    if !can_run() {
        return;
    }
    let mut world = World::new("");
    let alice = User::new("tsa", &[]);
    let mut instance = world.start(
        &alice.name,
        &shell("echo first; sleep 1; echo second; exit 5"),
    );
    instance.order(0, 1);
    let pid = instance.started();
    instance.link = world.connect(); // The worker's connection is gone.
    world.kill_launcher();
    assert!(alive(pid));
    instance.reconnect(world.worker.uid);
    instance.tell(&Command::State);
    let item = ItemState {
        item: 0,
        attempt: 1,
        pid,
        ended: false,
    };
    let state = |items| Event::State {
        suspended: false,
        starter_lost: false,
        items,
    };
    assert_eq!(instance.event(), state(vec![item]));
    instance.link = common::Link {
        fd: common::seqpacket(),
    };
    wait_until("the exit record is written", || {
        !instance.file(0, "exit").is_empty()
    });
    let record = ExitRecord::decode(&instance.file(0, "exit")).unwrap();
    assert_eq!(record.kind, EndKind::Exited { code: 5 });
    assert_eq!(instance.out(0), "first\nsecond\n");
    instance.reconnect(world.worker.uid);
    instance.tell(&Command::State);
    assert_eq!(
        instance.event(),
        state(vec![ItemState {
            pid: 0,
            ended: true,
            ..item
        }])
    );
    world.start_launcher();
    assert_eq!(
        instance.run(1).kind,
        EndKind::Exited { code: 5 },
        "the adopted shepherd works on"
    );
    assert!(alive(instance.shepherd), "the new launcher leaves it alone");
    world.gone(instance.key);
    assert!(!alive(instance.shepherd));
    world.assert_nothing_left();
}

#[test]
fn l33_the_death_of_a_shepherd_is_the_death_of_everything_it_ran() {
    if !can_run() {
        return;
    }
    let mut world = World::new("");
    let alice = User::new("tsa", &[]);
    let script = "(setsid sh -c 'trap \"\" TERM HUP; sleep 300' &); exec sleep 300";
    for with_launcher in [true, false] {
        let instance = world.start(&alice.name, &shell(script));
        instance.order(0, 1);
        let pid = instance.started();
        wait_until("all are there", || processes_of(alice.uid).len() >= 4);
        if !with_launcher {
            world.kill_launcher();
        }
        run_kill(instance.shepherd);
        wait_until("the leader dies with its shepherd", || !alive(pid));
        if !with_launcher {
            assert!(
                !processes_of(alice.uid).is_empty(),
                "what left the session waits for the sweep"
            );
            world.start_launcher();
        }
        world.gone(instance.key);
        assert!(processes_of(alice.uid).is_empty());
        world.assert_nothing_left();
    }
    assert!(world.audit().contains("\"event\":\"gone\""));
}

fn run_kill(pid: u32) {
    common::run("kill", &["-9", &pid.to_string()]);
}

#[test]
fn l33_the_death_of_the_starter_ends_nothing_that_runs() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let alice = User::new("tsa", &[]);
    let instance = world.start(&alice.name, &shell("sleep 0.5; echo done"));
    instance.order(0, 1);
    let pid = instance.started();
    let others: Vec<i32> = processes_of(alice.uid)
        .into_iter()
        .filter(|it| *it != i32::try_from(pid).unwrap())
        .collect();
    for other in others {
        let name = text_of(Path::new(&format!("/proc/{other}/cmdline")));
        if name.contains("starter") {
            run_kill(u32::try_from(other).unwrap());
        }
    }
    assert_eq!(instance.event(), Event::StarterLost);
    instance.order(1, 1);
    let refused = Event::ItemNotStarted {
        item: 1,
        attempt: 1,
        step: Step::StarterLost,
        errno: 0,
    };
    assert_eq!(instance.event(), refused);
    assert_eq!(instance.ended().kind, EndKind::Exited { code: 0 });
    assert_eq!(instance.out(0), "done\n");
    instance.close();
    world.assert_nothing_left();
}

#[test]
fn a_job_that_stops_its_starter_is_ended_all_the_same() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let alice = User::new("tsa", &[]);
    // No other program of that name is the account's.
    let script = "sleep 0.2; for d in /proc/[0-9]*; do read -r n 2>/dev/null < $d/comm; \
        test \"$n\" = tessera-launch && kill -STOP ${d#/proc/} 2>/dev/null; done; true";
    let instance = world.start(&alice.name, &shell(script));
    instance.run(0);
    instance.order(1, 1);
    instance.end(1, 1, 0);
    assert_eq!(instance.event(), Event::StarterLost);
    match instance.event() {
        Event::ItemNotStarted { item: 1, step, .. } => assert_eq!(step, Step::StarterLost),
        other => panic!("{other:?}"),
    }
    instance.close();
    world.assert_nothing_left();
}

#[test]
fn a_shepherd_without_work_and_worker_closes_itself() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let alice = User::new("tsa", &[]);
    let what = template(&["true"]);
    let ticket = world.ticket(&alice.name, Mode::User, &what);
    let bytes = ticket.encode();
    let signature = Ticket::sign(&bytes, &world.key);
    let mut instance = world
        .start_raw(ticket.key, bytes, signature, &what.encode(), 1)
        .unwrap();
    instance.run(0);
    instance.link = common::Link {
        fd: common::seqpacket(),
    };
    world.assert_nothing_left();
}

#[test]
fn only_allowed_items_run_and_two_instances_live_side_by_side() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let (alice, bob) = (User::new("tsa", &[]), User::new("tsb", &[]));
    let what = shell("id -un; sleep 0.2");
    let ticket = Ticket {
        items: vec![ItemRange { first: 3, last: 4 }],
        ..world.ticket(&alice.name, Mode::User, &what)
    };
    let first = world.start_ticket(&ticket, &what).unwrap();
    let second = world.start(&bob.name, &what);
    first.order(5, 1);
    assert!(matches!(
        first.event(),
        Event::ItemNotStarted {
            step: Step::NotAllowed,
            ..
        }
    ));
    let record = ExitRecord::decode(&first.file(5, "exit")).unwrap();
    assert_eq!(
        record.kind,
        EndKind::NotStarted {
            step: Step::NotAllowed,
            errno: 0
        }
    );
    first.order(3, 1);
    first.order(4, 1);
    second.order(0, 1);
    for _ in 0..4 {
        first.event();
    }
    second.started();
    second.ended();
    let kinds = [3, 4].map(|item| first.out(item).trim().to_owned());
    assert_eq!(kinds, [alice.name.clone(), alice.name.clone()]);
    assert_eq!(second.out(0).trim(), bob.name);
    first.close();
    second.close();
    world.assert_nothing_left();
}

#[test]
fn l17_many_launches_at_once_do_not_mix() {
    if !can_run() {
        return;
    }
    const LAUNCHES: usize = 64;
    let world = World::new("");
    let users = [User::new("tsa", &[]), User::new("tsb", &[])];
    let what = shell("id -un; ls /proc/$$/fd");
    let keys: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..LAUNCHES)
            .map(|i| {
                let (world, what, user) = (&world, &what, &users[i % 2]);
                scope.spawn(move || {
                    let instance = world.start(&user.name, what);
                    instance.run(0);
                    assert_eq!(instance.out(0), format!("{}\n0\n1\n2\n", user.name));
                    instance.close();
                    instance.key
                })
            })
            .collect();
        threads.into_iter().map(|it| it.join().unwrap()).collect()
    });
    keys.into_iter().for_each(|key| world.gone(key));
    world.assert_nothing_left();
    assert_eq!(
        world.audit().matches("\"event\":\"launch\"").count(),
        LAUNCHES
    );
}

#[test]
fn l30_two_hundred_escapes_end_with_their_items() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let alice = User::new("tsa", &[]);
    let script = "(setsid sh -c '(setsid sh -c \"trap : TERM HUP INT; kill -STOP \\$\\$; sleep 300\" &) &' &); exit 0";
    let instance = world.start(&alice.name, &shell(script));
    for item in 0..200 {
        assert_eq!(instance.run(item).kind, EndKind::Exited { code: 0 });
    }
    wait_until("only the starter is left", || {
        processes_of(alice.uid).len() == 1
    });
    instance.close();
    world.assert_nothing_left();
}

/// A launcher that sees no control groups of version 2: the lesser containment is said, and does what it can.
#[test]
fn l46_without_groups_sessions_are_kept_together_and_the_host_says_so() {
    if !can_run() {
        return;
    }
    let world = World::without_groups();
    let alice = User::new("tsa", &[]);
    let script = "(setsid sh -c 'trap \"\" TERM HUP; sleep 300' &); sleep 0.1; test $TESSERA_ITEM = 0 || sleep 300";
    let mut instance = world.start(&alice.name, &shell(script));
    assert_eq!(instance.containment, "session");
    let record = instance.run(0);
    assert!(record.leftovers >= 1, "what went off on its own was found");
    wait_until("only the starter is left", || {
        processes_of(alice.uid).len() == 1
    });
    instance.order(1, 1);
    let pid = instance.started();
    wait_until("all are there", || processes_of(alice.uid).len() >= 4);
    run_kill(instance.shepherd);
    wait_until("the leader dies with its shepherd", || !alive(pid));
    world.gone(instance.key);
    assert!(
        processes_of(alice.uid).is_empty(),
        "the rest is found by its mark"
    );
    instance = world.start(&alice.name, &shell("exit 3"));
    assert_eq!(instance.run(0).kind, EndKind::Exited { code: 3 });
    instance.close();
    world.gone(instance.key);
    world.assert_nothing_left();
}
