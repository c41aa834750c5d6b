//! Whom desktops let in, and hosts at which somebody works.

use super::*;
use tessera_model::{Consent, Presence, WhileActive};

fn desktop(allows: &[&str], presence: Option<Presence>) -> HostFacts {
    HostFacts {
        name: "ws1".into(),
        slots: 2,
        identity: Identity::Desktop("anna".into()),
        allows: Consent::of(allows.iter().map(|it| (*it).to_owned())),
        presence,
        ..HostFacts::default()
    }
}

fn active(is_closed: bool) -> Presence {
    Presence {
        rule: WhileActive::default(),
        is_closed,
        who: "anna".into(),
        unknown: None,
    }
}

impl World {
    fn connect_desk(&mut self, number: u8, facts: HostFacts) {
        self.sessions += 1;
        self.step(Input::Connected {
            host: host(number),
            session: self.sessions,
            facts: Box::new(facts),
        });
        self.say(number, FromWorker::Inventory(Vec::new()));
    }

    fn reasons(&self, job: JobId) -> Vec<why::Reason> {
        self.engine.why(job).expect("there")
    }
}

#[test]
pub(super) fn a_desktop_gets_jobs_of_those_whom_its_person_lets_in() {
    let mut w = World::new();
    w.connect_desk(1, desktop(&[], None));
    let job = w.submit(spec(2));
    assert!(w.said.is_empty(), "mia was not let in");
    let told = w.reasons(job);
    let reason = told
        .iter()
        .find(|r| r.kind == why::Kind::OtherDesktop)
        .expect("told");
    assert_eq!(
        reason.text,
        "a desktop of anna, who allows nobody else there"
    );
    w.say(1, FromWorker::Hello(desktop(&["mia"], None)));
    w.say(1, FromWorker::Inventory(Vec::new()));
    let order = w.order();
    assert_eq!(order.0, 1);
    let launch = w.engine.launch(order.1).expect("there");
    assert_eq!(launch.account, "anna", "the record says who it ran as");
    // Taken back between dispatch and start: the host refuses, and nothing is held against anybody.
    w.say(1, FromWorker::Hello(desktop(&[], None)));
    let refusal = Refusal {
        code: "submitter_not_allowed".into(),
        text: "launch is of mia, and anna allows nobody else on this desktop".into(),
    };
    w.report(
        1,
        Report::Refused {
            key: order.1,
            refusal,
        },
    );
    w.say(1, FromWorker::Inventory(Vec::new()));
    assert_eq!(w.item(job, 0), ItemStatus::Pending);
    assert_eq!(w.engine.host(host(1)).expect("there").refusals().count(), 0);
    w.wait(30);
    assert!(w.said.is_empty(), "{:?}", w.said);
    // The person's own are not kept out by it.
    match w.try_submit("anna", spec(1), None) {
        Ok(Answer::Submitted { .. }) => assert_eq!(w.order().0, 1),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_instance_of_whom_a_desktop_no_longer_lets_in_gets_nothing_more() {
    let mut w = World::new();
    w.connect_desk(1, desktop(&["mia"], None));
    let job = w.submit(spec(3));
    let order = w.order();
    w.say(1, FromWorker::Hello(desktop(&[], None)));
    w.end(order, End::Asked);
    assert!(matches!(w.heard().1, ToWorker::Close { .. }));
    w.gone(1, order.1);
    assert!(w.said.is_empty());
    let core = w.engine.job(job).expect("there").items().get(ItemIndex(0));
    assert_eq!((core.status, core.retries_used), (ItemStatus::Pending, 0));
}

#[test]
fn a_host_at_which_somebody_works_is_given_nothing_and_says_so() {
    let mut w = World::new();
    w.connect_desk(1, desktop(&["mia"], Some(active(true))));
    assert_eq!(w.heard().1, ToWorker::LockWhileActive(None));
    let job = w.submit(spec(2));
    assert!(w.said.is_empty());
    w.say(1, FromWorker::Idle(Duration::from_secs(12)));
    let said = "locked: anna is active (idle 12 s of 600 s)";
    assert!(
        w.reasons(job)
            .iter()
            .any(|r| r.kind == why::Kind::HostLocked && r.text == said)
    );
    let idle = w.engine.why_host_idle(host(1)).expect("closed");
    assert_eq!(idle.1, said);
    w.say(1, FromWorker::Hello(desktop(&["mia"], Some(active(false)))));
    w.say(1, FromWorker::Inventory(Vec::new()));
    let order = w.order();
    // Back again: what runs goes on, and is the last.
    w.say(1, FromWorker::Hello(desktop(&["mia"], Some(active(true)))));
    let has = LaunchInventory {
        key: order.1,
        current: Some(order.2),
        ahead: Vec::new(),
        is_closing: false,
        is_suspended: false,
    };
    w.say(1, FromWorker::Inventory(vec![has]));
    assert!(w.said.is_empty(), "{:?}", w.said);
    w.end(order, End::Exit(0));
    assert!(matches!(w.heard().1, ToWorker::Close { .. }));
    w.gone(1, order.1);
    assert!(w.said.is_empty());
}

#[test]
fn a_host_that_is_to_look_gets_nothing_before_it_has_looked() {
    let mut w = World::new();
    w.connect(1, 1);
    let rule = WhileActive::default();
    let lock = |who| Input::LockWhileActive {
        by: person(who),
        host: host(1),
        rule,
    };
    let denied = w.step(lock("mia"));
    assert!(
        matches!(denied, Some(Err(Denied::Forbidden { .. }))),
        "{denied:?}"
    );
    w.step(lock("root"));
    assert_eq!(w.heard().1, ToWorker::LockWhileActive(Some(rule)));
    let job = w.submit(spec(1));
    assert!(w.said.is_empty());
    assert!(
        w.reasons(job)
            .iter()
            .any(|r| r.text.contains("older release"))
    );
    // On every new connection it is told again.
    w.disconnect(1);
    let facts = HostFacts {
        name: "rnd1".into(),
        slots: 1,
        ..HostFacts::default()
    };
    w.connect_desk(1, facts.clone());
    assert_eq!(w.heard().1, ToWorker::LockWhileActive(Some(rule)));
    assert!(w.said.is_empty());
    // Unlocking takes it back.
    w.step(Input::Lock {
        by: person("root"),
        host: host(1),
        is_locked: false,
    });
    assert_eq!(w.heard().1, ToWorker::LockWhileActive(None));
    assert_eq!(w.order().0, 1);
}

#[test]
fn an_unlock_that_the_host_missed_is_told_when_it_comes_back() {
    let mut w = World::new();
    let facts = desktop(&["mia"], Some(active(false)));
    w.connect_desk(1, facts.clone());
    w.said.clear();
    w.step(Input::LockWhileActive {
        by: person("root"),
        host: host(1),
        rule: WhileActive::default(),
    });
    w.heard();
    w.disconnect(1);
    w.step(Input::Lock {
        by: person("root"),
        host: host(1),
        is_locked: false,
    });
    assert!(w.said.is_empty());
    w.connect_desk(1, facts);
    assert_eq!(w.heard().1, ToWorker::LockWhileActive(None));
}
