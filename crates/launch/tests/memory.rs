//! What the kernel keeps an instance to, tried on a kernel: as it is here, in trees of version 1 or 2. A test whose
//! controller the system lacks says so and looks at what then has to hold: the promise is not made.

mod common;

use common::{User, World, can_run, shell};
use tessera_ticket::launcher::{Capabilities, Reply, Request};
use tessera_ticket::{
    Agenda, EndCause, EndKind, FrameRun, KernelLimits, Mode, Split, Template, Ticket,
};

const MEMORY: u64 = 64 << 20;

fn capabilities(world: &World) -> Capabilities {
    let link = world.connect();
    link.send(&Request::Capabilities { id: 9 }.encode(), &[]);
    match Reply::decode(&link.receive().expect("an answer")).unwrap() {
        Reply::Capabilities { what, .. } => what,
        other => panic!("{other:?}"),
    }
}

/// Starts nothing and says so where the system can't keep to it.
fn has(world: &World, limit: &str) -> bool {
    let has = capabilities(world).limits.iter().any(|it| it == limit);
    if !has {
        eprintln!("SKIPPED in part: this system has no controller `{limit}`");
    }
    has
}

fn limited(world: &World, user: &User, what: &Template, limits: KernelLimits) -> Ticket {
    Ticket {
        limits,
        ..world.ticket(&user.name, Mode::User, what)
    }
}

/// A shell that keeps so many MiB: what `tail` holds of a line without an end.
fn needs(mib: u64) -> String {
    format!(
        "head -c {} /dev/zero | tail -c {} | wc -c",
        mib << 20,
        mib << 20
    )
}

#[test]
fn an_attempt_over_its_memory_ends_for_want_of_it_and_the_others_live() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let user = User::new("tsm", &[]);
    let what = shell(&format!(
        "case QB_FRAME_NUMBER in 2) {};; *) {};; esac",
        needs(400),
        needs(8)
    ));
    let run = FrameRun {
        start: 1,
        step: 1,
        count: 3,
    };
    let what = Template {
        agenda: Some(Agenda {
            runs: vec![run],
            split: Split::Chunk(1),
            padding: 0,
        }),
        ..what
    };
    let memory = MEMORY;
    let limits = KernelLimits {
        memory,
        ..KernelLimits::default()
    };
    let ticket = limited(&world, &user, &what, limits);
    if !has(&world, "memory") {
        let refused = world
            .start_ticket(&ticket, &what)
            .err()
            .expect("no such controller");
        assert_eq!(
            refused.0, "containment_failed",
            "a limit that can't be kept was promised"
        );
        return;
    }
    let instance = world.start_ticket(&ticket, &what).unwrap();
    let first = instance.run(0);
    assert_eq!(
        (first.kind, first.out_of_memory),
        (EndKind::Exited { code: 0 }, None)
    );
    assert!(
        first.memory_max >= 8 << 20 && first.memory_max < MEMORY,
        "{}",
        first.memory_max
    );
    let second = instance.run(1);
    assert_eq!(second.out_of_memory, Some(MEMORY), "{second:?}");
    assert_eq!(second.cause, EndCause::Itself);
    assert!(second.memory_max >= MEMORY, "{}", second.memory_max);
    // The chain lives, and nothing of that end is said of the next.
    let third = instance.run(2);
    assert_eq!(
        (third.kind, third.out_of_memory),
        (EndKind::Exited { code: 0 }, None)
    );
    assert!(third.memory_max < MEMORY, "{}", third.memory_max);
    let free = world.start(&user.name, &shell(&needs(200)));
    assert_eq!(
        free.run(0).out_of_memory,
        None,
        "another instance was limited"
    );
    instance.close();
    free.close();
    world.assert_nothing_left();
}

#[test]
fn an_instance_has_so_many_processes_and_no_more() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let user = User::new("tsm", &[]);
    let script = "i=0; while [ $i -lt 200 ]; do sleep 60 & i=$((i+1)); done; echo all";
    let what = shell(script);
    let limits = KernelLimits {
        pids: 20,
        ..KernelLimits::default()
    };
    let ticket = limited(&world, &user, &what, limits);
    if !has(&world, "pids") {
        assert!(world.start_ticket(&ticket, &what).is_err());
        return;
    }
    let instance = world.start_ticket(&ticket, &what).unwrap();
    let record = instance.run(0);
    assert!(instance.err(0).contains("fork"), "{}", instance.err(0));
    assert_eq!(instance.out(0), "");
    // All but those of the chain and the shell itself.
    assert!((10..=28).contains(&record.leftovers), "{record:?}");
    instance.close();
    world.assert_nothing_left();
}

#[test]
fn nobody_but_root_can_raise_a_limit() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let user = User::new("tsm", &[]);
    let script = "for f in $(find /sys/fs/cgroup -path '*tessera-*' \\( -name memory.limit_in_bytes -o -name memory.max \
        -o -name pids.max \\) 2>/dev/null); do echo -1 > $f && echo raised $f; echo max > $f && echo raised $f; done; echo tried";
    let what = shell(script);
    let limits = KernelLimits {
        memory: MEMORY,
        ..KernelLimits::default()
    };
    if !has(&world, "memory") {
        return;
    }
    let instance = world
        .start_ticket(&limited(&world, &user, &what, limits), &what)
        .unwrap();
    let record = instance.run(0);
    assert_eq!(record.kind, EndKind::Exited { code: 0 });
    assert_eq!(instance.out(0), "tried\n", "{}", instance.err(0));
    instance.close();
    world.assert_nothing_left();
}
