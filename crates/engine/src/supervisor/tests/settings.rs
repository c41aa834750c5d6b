//! Hosts whose configuration changes while they run something: nothing is ended, and what waits is judged anew.

use super::*;

type Order = (u8, LaunchKey, Run);

/// Has a worker say that its host is otherwise now, and what it runs.
fn changed(w: &mut World, number: u8, running: &[Order], change: impl FnOnce(&mut HostFacts)) {
    let mut facts = w.engine.host(host(number)).expect("there").facts.clone();
    change(&mut facts);
    w.say(number, FromWorker::Hello(facts));
    let has = |order: &Order| LaunchInventory {
        key: order.1,
        current: Some(order.2),
        is_closing: false,
        is_suspended: false,
        ahead: Vec::new(),
    };
    w.say(
        number,
        FromWorker::Inventory(running.iter().map(has).collect()),
    );
}

fn in_groups(groups: &str) -> impl FnOnce(&mut HostFacts) {
    let groups = groups.to_owned();
    move |facts| _ = facts.properties.insert("host.groups".to_owned(), groups)
}

#[test]
fn a_host_that_offers_less_ends_nothing_and_takes_no_more_until_it_fits() {
    let mut w = World::new();
    w.connect(1, 4);
    let job = w.submit(JobSpec {
        cpus: 4,
        ..spec(20)
    });
    let all: Vec<Order> = (0..4).map(|_| w.order()).collect();
    changed(&mut w, 1, &all, |facts| facts.slots = 2);
    assert!(w.said.is_empty(), "what runs goes on: {:?}", w.said);
    assert!((0..4).all(|item| w.item(job, item) == ItemStatus::Running));
    assert_eq!(
        w.engine.host(host(1)).map(|it| (it.used(), it.free())),
        Some((4, 0))
    );
    // The first two to end an item go, the others stay.
    for order in &all[..2] {
        w.end(*order, End::Exit(0));
        assert!(matches!(w.heard().1, ToWorker::Close { key, .. } if key == order.1));
    }
    w.end(all[2], End::Exit(0));
    let next = w.order();
    assert_eq!(next.1, all[2].1, "it fits: this one goes on");
    for order in &all[..2] {
        w.gone(1, order.1);
        assert!(
            w.said.is_empty(),
            "nothing comes in its place: {:?}",
            w.said
        );
    }
    assert_eq!(
        (0..3)
            .filter(|item| w.item(job, *item) == ItemStatus::Complete)
            .count(),
        3
    );
    // More again: what waits comes at once.
    changed(&mut w, 1, &[next, all[3]], |facts| facts.slots = 3);
    assert_eq!(w.order().0, 1);
    assert!(w.said.is_empty());
}

#[test]
fn a_host_that_offers_less_of_a_resource_lets_go_of_what_has_too_much_of_it() {
    let mut w = World::new();
    w.connect_with(1, 4, Identity::User, &[("host.gpus", 2)]);
    w.say(1, FromWorker::Inventory(Vec::new()));
    let mut wants = JobSpec {
        cpus: 2,
        ..spec(20)
    };
    wants.reservation.amounts.insert("host.gpus".into(), 1);
    w.submit(wants);
    let all: Vec<Order> = (0..2).map(|_| w.order()).collect();
    let other = w.submit(spec(9));
    let plain = w.order();
    changed(&mut w, 1, &[all[0], all[1], plain], |facts| {
        facts.resources.insert("host.gpus".into(), 1);
    });
    assert!(w.said.is_empty(), "what runs goes on: {:?}", w.said);
    w.end(plain, End::Exit(0));
    assert_eq!(w.order().1.job, other, "it has none of it, and goes on");
    w.end(all[0], End::Exit(0));
    assert!(matches!(w.heard().1, ToWorker::Close { key, .. } if key == all[0].1));
    w.end(all[1], End::Exit(0));
    assert_eq!(w.order().1, all[1].1, "it fits: this one goes on");
}

#[test]
fn what_was_given_ahead_does_not_begin_on_a_host_that_does_not_suit_it_any_more() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(JobSpec {
        omitgroups: ["gpu".to_owned()].into(),
        ..spec(9)
    });
    let (number, key, run) = w.order();
    let end = AttemptEnd {
        elapsed: Duration::from_millis(1),
        ..ended(End::Exit(0))
    };
    w.report(number, Report::ItemEnded { key, run, end });
    let given: Vec<Run> = (0..5).map(|_| w.order().2).collect();
    let facts = {
        let mut facts = w.engine.host(host(1)).expect("there").facts.clone();
        in_groups("gpu")(&mut facts);
        facts
    };
    w.say(1, FromWorker::Hello(facts));
    let has = LaunchInventory {
        key,
        current: Some(given[0]),
        is_closing: false,
        is_suspended: false,
        ahead: given[1..].to_vec(),
    };
    w.say(1, FromWorker::Inventory(vec![has]));
    let grace = Duration::ZERO;
    for &run in given[1..].iter().rev() {
        assert_eq!(w.heard().1, ToWorker::EndItem { key, run, grace });
        assert_eq!(w.item(job, run.item.0), ItemStatus::Pending);
    }
    assert!(w.said.is_empty(), "{:?}", w.said);
    assert_eq!(w.item(job, given[0].item.0), ItemStatus::Running);
}

#[test]
fn a_host_in_other_groups_is_given_what_waited_for_them_and_lets_go_of_what_does_not_suit_it() {
    let mut w = World::new();
    w.connect(1, 2);
    let anywhere = w.submit(JobSpec {
        omitgroups: ["gpu".to_owned()].into(),
        ..spec(3)
    });
    let running = w.order();
    let waits = w.submit(JobSpec {
        groups: ["gpu".to_owned()].into(),
        ..spec(1)
    });
    assert!(w.said.is_empty(), "no host is in that group");
    changed(&mut w, 1, &[running], in_groups("gpu"));
    let order = w.order();
    assert_eq!(
        (order.0, order.1.job),
        (1, waits),
        "it begins without anything else to happen"
    );
    assert_eq!(
        w.item(anywhere, 0),
        ItemStatus::Running,
        "what runs goes on"
    );
    w.end(running, End::Exit(0));
    assert!(matches!(w.heard().1, ToWorker::Close { key, .. } if key == running.1));
    w.gone(1, running.1);
    assert!(w.said.is_empty(), "the rest waits for another host");
    assert_eq!(w.item(anywhere, 0), ItemStatus::Complete);
    changed(&mut w, 1, &[order], in_groups(""));
    assert_eq!(w.order().1.job, anywhere);
}
