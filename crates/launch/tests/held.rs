//! Items that wait for those before them: all is done but the last step, and nothing of their program runs before its turn.

mod common;

use common::procs::alive;
use common::{Instance, User, World, can_run, shell, wait_until};
use tessera_ticket::shepherd::{Command, Event, ItemState};
use tessera_ticket::{EndKind, Step};

/// Says in which item it runs, waits for a file named after it, and ends.
const WAITS: &str =
    "echo in $TESSERA_ITEM; while ! [ -e /tmp/$TESSERA_LAUNCH.$TESSERA_ITEM ]; do sleep 0.01; done";

/// Both ways of keeping processes together.
fn with_both(what: impl Fn(&World, &User)) {
    if !can_run() {
        return;
    }
    for world in [World::new(""), World::without_groups()] {
        let alice = User::new("tsa", &[]);
        what(&world, &alice);
        world.assert_nothing_left();
    }
}

/// Lets the program of an item end.
fn let_end(instance: &Instance, item: u32) {
    std::fs::write(format!("/tmp/{}.{item}", instance.key), "").unwrap();
}

fn tidy(instance: &Instance) {
    for item in 0..3 {
        let _ = std::fs::remove_file(format!("/tmp/{}.{item}", instance.key));
    }
}

/// What the shepherd says of its items, after it has heard everything before.
fn state(instance: &Instance) -> Vec<ItemState> {
    instance.tell(&Command::State);
    loop {
        match instance.event() {
            Event::State { items, .. } => return items,
            // A new worker may hear of what it never asked for.
            Event::ItemNotStarted {
                step: Step::Cancelled,
                ..
            } => {}
            other => panic!("{other:?}"),
        }
    }
}

fn cancelled(instance: &Instance, expected: u32) {
    let event = instance.event();
    let Event::ItemNotStarted { item, step, .. } = event else {
        panic!("{event:?}");
    };
    assert_eq!((item, step), (expected, Step::Cancelled));
    assert_eq!(instance.out(item), "");
}

#[test]
fn a_held_item_begins_when_nothing_is_left_of_those_before_it() {
    with_both(|world, alice| {
        // A process that goes on for a while when its item's main process has ended.
        let script =
            "echo in $TESSERA_ITEM; (sleep 0.3; echo late $TESSERA_ITEM) & ".to_owned() + WAITS;
        let instance = world.start(&alice.name, &shell(&script));
        instance.order_with(0, 1, 1 << 40, 5_000);
        instance.started();
        instance.order_next(1);
        let_end(&instance, 1);
        state(&instance);
        assert_eq!(instance.out(1), "");
        let before = std::time::SystemTime::now();
        let_end(&instance, 0);
        assert_eq!(instance.ended().item, 0);
        assert_eq!(instance.out(0), "in 0\nin 0\nlate 0\n");
        instance.started();
        let record = instance.ended();
        assert_eq!((record.item, record.kind), (1, EndKind::Exited { code: 0 }));
        assert!(instance.out(1).starts_with("in 1\n"));
        let began = std::time::UNIX_EPOCH + std::time::Duration::from_millis(record.started_ms + 1);
        assert!(began >= before, "its time counts from its turn");
        // Where nothing is before it, its turn is now.
        let_end(&instance, 2);
        instance.order_next(2);
        instance.started();
        assert_eq!(instance.ended().item, 2);
        tidy(&instance);
        instance.close();
    });
}

#[test]
fn a_held_item_is_given_up_without_a_trace() {
    with_both(|world, alice| {
        let instance = world.start(&alice.name, &shell(WAITS));
        instance.order(0, 1);
        let pid = instance.started();
        instance.order_next(1);
        instance.end(1, 1, 30_000);
        cancelled(&instance, 1);
        // The same while the instance is stopped.
        instance.tell(&Command::Suspend);
        assert_eq!(instance.event(), Event::Suspended);
        instance.order_next(2);
        instance.end(2, 1, 30_000);
        cancelled(&instance, 2);
        instance.tell(&Command::Resume);
        assert_eq!(instance.event(), Event::Resumed);
        assert!(alive(pid));
        let_end(&instance, 0);
        assert_eq!(instance.ended().item, 0);
        tidy(&instance);
        instance.close();
    });
}

#[test]
fn a_new_worker_does_not_inherit_what_was_held() {
    with_both(|world, alice| {
        let mut instance = world.start(&alice.name, &shell(WAITS));
        instance.order(0, 1);
        let pid = instance.started();
        instance.order_next(1);
        state(&instance);
        instance.reconnect(world.worker.uid);
        let items = state(&instance);
        let running: Vec<_> = items
            .iter()
            .filter(|it| !it.ended)
            .map(|it| it.pid)
            .collect();
        assert_eq!(running, [pid]);
        wait_until("the held item is over", || {
            !instance.file(1, "exit").is_empty()
        });
        let_end(&instance, 0);
        while !matches!(instance.event(), Event::ItemEnded(record) if record.item == 0) {}
        assert_eq!(instance.out(1), "");
        tidy(&instance);
        instance.close();
    });
}

#[test]
fn closing_ends_what_is_held() {
    with_both(|world, alice| {
        let instance = world.start(&alice.name, &shell(WAITS));
        instance.order(0, 1);
        instance.started();
        instance.order_next(1);
        instance.close();
        assert_eq!(instance.out(1), "");
    });
}

#[test]
fn groups_are_used_again_but_never_by_two() {
    with_both(|world, alice| {
        let script = "sed -n 's/^0::.*item-/item-/p' /proc/self/cgroup; (setsid sleep 300 >/dev/null 2>&1 &)";
        let instance = world.start(&alice.name, &shell(script));
        let mut groups = Vec::new();
        for item in 0..3 {
            let record = instance.run(item);
            assert!(record.leftovers >= 1, "{record:?}");
            groups.push(instance.out(item));
        }
        if instance.containment == "cgroup" {
            assert_eq!(groups, ["item-0\n"; 3]);
        }
        instance.close();
    });
}

#[test]
fn a_group_that_a_service_manager_removed_is_made_again() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let alice = User::new("tsa", &[]);
    let instance = world.start(&alice.name, &shell("grep 0:: /proc/self/cgroup"));
    instance.run(0);
    if instance.containment == "cgroup" {
        let path = instance.out(0).trim().replace("0::", "");
        let mounts = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
        let removed = mounts
            .iter()
            .any(|it| std::fs::remove_dir(format!("{it}{path}")).is_ok());
        assert!(removed, "no {path}");
        instance.run(1);
        assert_eq!(instance.out(1), instance.out(0));
    }
    instance.close();
    world.assert_nothing_left();
}
