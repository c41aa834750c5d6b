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
