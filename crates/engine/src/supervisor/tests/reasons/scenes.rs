//! One scene for each kind of reason that no other test has.

use super::*;
use tessera_model::after::{Part, Term, Tree, When, Whom};
use tessera_model::reservation::MEMORY;
use tessera_model::state::Limit;
use tessera_model::{More, Reservation};

/// A farm of one host with so many slots.
fn farm(slots: u32) -> World {
    let mut w = World::new();
    w.connect(1, slots);
    w
}

pub(super) fn wanting(slots: u32, memory: u64) -> JobSpec {
    let memory = (memory > 0).then(|| (MEMORY.to_owned(), memory));
    JobSpec {
        reservation: Reservation {
            slots,
            amounts: memory.into_iter().collect(),
            ..Reservation::default()
        },
        ..spec(1)
    }
}

fn names(names: &[&str]) -> std::collections::BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

pub(super) fn ended() {
    let mut w = farm(1);
    let job = w.submit(spec(1));
    let order = w.order();
    w.finish(order, End::Exit(3));
    assert_eq!(w.reason(job, Kind::Ended).text, "the job is over: failed");
    let hint = w.hint(job, Kind::Ended);
    w.said.clear();
    w.follow(&hint, "retry");
    assert!(w.begins(job));
}

pub(super) fn instance_failed() {
    let mut w = farm(2);
    let job = w.submit(JobSpec {
        cpus: 2,
        timelimit: Some(Duration::from_secs(60)),
        ..spec(4)
    });
    for order in [w.order(), w.order()] {
        let (key, cause) = (order.1, GoneCause::Limit(Limit::InstanceTime));
        w.report(order.0, Report::Gone { key, cause });
    }
    assert_eq!(w.status(job), WorkStatus::Failed);
    let told = w.engine.why(job).expect("there").remove(0);
    assert_eq!((told.kind, told.count), (Kind::InstanceFailed, 2));
    let text = "2 of 2 instances failed: it was over its timelimit; for instance 1.0";
    assert_eq!(
        (told.text.as_str(), &told.hosts[..]),
        (text, &["rnd1".to_owned()][..])
    );
    let hint = w.hint(job, Kind::InstanceFailed);
    assert!(hint.starts_with("tessera modify 1 --timelimit"), "{hint}");
    w.said.clear();
    w.follow(&hint, "retry");
    assert!(w.begins(job));
    let instance = w.engine.job(job).expect("there").instances()[0].clone();
    assert_eq!(instance.failure, None, "forgotten with its retry");
}

pub(super) fn running() {
    let mut w = farm(2);
    let job = w.submit(spec(1));
    let told = w.engine.why(job).expect("there");
    let texts: Vec<&str> = told.iter().map(|it| it.text.as_str()).collect();
    assert_eq!(texts, ["1 items are running"]);
    assert!(w.begins(job));
}

pub(super) fn unreachable() {
    let mut w = farm(1);
    w.connect(2, 1);
    let job = w.submit(spec(1));
    let order = w.order();
    w.disconnect(order.0);
    w.wait(100);
    let told = w.engine.why(job).expect("there").remove(0);
    assert_eq!(told.kind, Kind::Unreachable);
    let name = format!("rnd{}", order.0);
    let text = format!(
        "1 items were begun on {name}, whose worker is not connected: what runs there goes on, and is put back in 200s unless it comes again"
    );
    assert_eq!((told.text, told.hosts), (text, vec![name]));
    let hint = told.hint;
    assert!(!w.begins(job));
    w.follow(&hint.expect("a way out"), "host remove");
    assert!(w.begins(job), "on the other one");
}

pub(super) fn blocked() {
    let mut w = farm(1);
    let submission = Submission {
        by: person("mia"),
        spec: spec(3),
        owner: None,
        key: None,
        is_blocked: true,
    };
    w.step(Input::Submit(Box::new(submission)));
    let job = JobId(1);
    assert_eq!(
        w.reason(job, Kind::Blocked).text,
        "3 of 3 items are blocked"
    );
    let hint = w.hint(job, Kind::Blocked);
    w.follow(&hint, "unblock");
    assert!(w.begins(job));
    // Its only instance is blocked, and none of its items.
    w.act(Action::Block, Target::Instance(job, InstanceNo(0)))
        .expect("allowed");
    let order = w.engine.launches().next().map(|it| it.key).expect("there");
    w.gone(1, order);
    let text = "1 of its 1 instances are blocked";
    assert_eq!(w.reason(job, Kind::Blocked).text, text);
    let hint = w.hint(job, Kind::Blocked);
    w.said.clear();
    w.follow(&hint, "unblock");
    assert!(w.begins(job));
}

pub(super) fn suspended() {
    let mut w = farm(1);
    let job = w.submit(spec(1));
    w.order();
    w.act(Action::Suspend, Target::Job(job)).expect("allowed");
    assert_eq!(w.reason(job, Kind::Suspended).text, "1 items are suspended");
    let hint = w.hint(job, Kind::Suspended);
    w.follow(&hint, "resume");
    assert_eq!(w.item(job, 0), ItemStatus::Running);
}

pub(super) fn waits_for_jobs() {
    let mut w = farm(2);
    let first = w.submit(spec(1));
    w.order();
    let term = Term {
        whom: Whom::Job(first),
        part: Part::Whole,
        when: When::Complete,
    };
    let job = w.submit(JobSpec {
        after: Some(Tree::One(term)),
        ..spec(1)
    });
    let text = "it waits for job 1 (running)";
    assert_eq!(w.reason(job, Kind::WaitsForJobs).text, text);
    let hint = w.hint(job, Kind::WaitsForJobs);
    w.follow(&hint, "unblock");
    assert!(w.begins(job));
}

pub(super) fn retry_delay() {
    let mut w = farm(1);
    let job = w.submit(JobSpec {
        retrywork: 1,
        retrywork_delay: Duration::from_secs(30),
        ..spec(1)
    });
    let order = w.order();
    w.finish(order, End::Exit(1));
    let text = "1 items failed and wait 30s before their next try (retryworkdelay)";
    assert_eq!(w.reason(job, Kind::RetryDelay).text, text);
    w.said.clear();
    w.wait(29);
    assert!(!w.begins(job));
    w.wait(1);
    assert!(w.begins(job));
}

pub(super) fn pause() {
    let mut w = farm(1);
    let job = w.submit(spec(1));
    for _ in 0..2 {
        let (number, key, _) = w.order();
        let cause = GoneCause::ShepherdLost;
        w.report(number, Report::Gone { key, cause });
    }
    let text = "instance 1.0 is started again shortly: its shepherd was lost";
    assert_eq!(w.reason(job, Kind::Pause).text, text);
    assert!(!w.begins(job));
    w.wait(1);
    assert!(w.begins(job));
}

pub(super) fn all_items_taken() {
    let mut w = farm(2);
    let job = w.submit(spec(4));
    w.order();
    let text = "3 items wait for its 1 instances, which are all busy, blocked or ended";
    assert_eq!(w.reason(job, Kind::AllItemsTaken).text, text);
    let hint = w.hint(job, Kind::AllItemsTaken);
    w.follow(&hint, "modify");
    assert!(w.begins(job));
}

pub(super) fn ending() {
    let mut w = farm(2);
    let job = w.submit(spec(1));
    let order = w.order();
    w.act(Action::Interrupt, Target::Job(job)).expect("allowed");
    let text = "1 items start again when their ended processes are gone from their hosts";
    assert_eq!(w.reason(job, Kind::Ending).text, text);
    w.said.clear();
    w.finish(order, End::Asked);
    assert!(w.begins(job));
}

pub(super) fn no_hosts() {
    let mut w = World::new();
    let job = w.submit(spec(1));
    assert_eq!(
        w.reason(job, Kind::NoHosts).text,
        "the farm has no host yet"
    );
    w.connect(1, 1);
    assert!(w.begins(job));
}

pub(super) fn not_among_hosts() {
    let mut w = farm(1);
    let job = w.submit(JobSpec {
        hosts: names(&["rnd9"]),
        omithosts: names(&["rnd1", "rnd8"]),
        ..spec(1)
    });
    let told = w.reason(job, Kind::NotAmongHosts);
    assert_eq!((told.count, told.hosts), (1, vec!["rnd1".to_owned()]));
    let hint = w.hint(job, Kind::NotAmongHosts);
    assert_eq!(hint, "tessera modify 1 --hosts rnd9,rnd1 --omithosts rnd8");
    w.follow(&hint, "modify");
    assert!(w.begins(job));
}

pub(super) fn omitted() {
    let mut w = farm(1);
    let job = w.submit(JobSpec {
        omithosts: names(&["rnd1"]),
        ..spec(1)
    });
    assert_eq!(w.reason(job, Kind::Omitted).count, 1);
    let hint = w.hint(job, Kind::Omitted);
    assert_eq!(hint, "tessera modify 1 --omithosts \"\"");
    w.follow(&hint, "modify");
    assert!(w.begins(job));
}

/// What is said of a host that is not there.
const GONE: &str = "start its worker; if it is gone for good: tessera host remove rnd1";

pub(super) fn host_down() {
    let mut w = farm(1);
    w.disconnect(1);
    w.wait_in_silence(301);
    let job = w.submit(spec(1));
    assert_eq!(w.hint(job, Kind::HostDown), GONE);
    w.connect(1, 1);
    assert!(w.begins(job));
}

/// Has a host say that this is wrong with it, or nothing.
pub(super) fn panics(w: &mut World, number: u8, why: Option<&str>) {
    let mut facts = w.engine.host(host(number)).expect("there").facts.clone();
    facts.panic = why.map(str::to_owned);
    w.say(number, FromWorker::Hello(facts));
    w.say(number, FromWorker::Inventory(Vec::new()));
}

pub(super) fn host_panic() {
    let mut w = farm(1);
    panics(&mut w, 1, Some("clock: 70 s off"));
    let job = w.submit(spec(1));
    let told = w.reason(job, Kind::HostPanic);
    assert_eq!(told.text, "can't do its job: clock: 70 s off");
    assert_eq!(told.hint.as_deref(), Some("tessera doctor on that host"));
    panics(&mut w, 1, None);
    assert!(w.begins(job));
}

pub(super) fn host_locked() {
    let mut w = farm(1);
    w.lock(1, true);
    let job = w.submit(spec(1));
    assert_eq!(w.reason(job, Kind::HostLocked).text, "locked by root");
    let hint = w.hint(job, Kind::HostLocked);
    w.follow(&hint, "unlock");
    assert!(w.begins(job));
}

pub(super) fn host_away() {
    let mut w = farm(1);
    w.disconnect(1);
    let job = w.submit(spec(1));
    assert_eq!(w.hint(job, Kind::HostAway), GONE);
    w.connect(1, 1);
    assert!(w.begins(job));
}

pub(super) fn account_refused() {
    let mut w = farm(1);
    let job = w.submit(spec(1));
    let (number, key, _) = w.order();
    let refusal = Refusal {
        code: "no_such_account".into(),
        text: "no account mia on rnd1".into(),
    };
    w.report(number, Report::Refused { key, refusal });
    let told = w.reason(job, Kind::AccountRefused);
    assert_eq!(
        told.text,
        "no host would run it as mia: no account mia on rnd1"
    );
    // Another one could, but is not there: the first still says what is wrong with it.
    w.connect(2, 1);
    let elsewhere = w.order();
    let other = w.submit(spec(1));
    let told = w.reason(other, Kind::AccountRefused);
    assert_eq!(
        (told.text.as_str(), told.hosts),
        ("no account mia on rnd1", vec!["rnd1".to_owned()])
    );
    assert_eq!(w.reason(other, Kind::Full).hosts, ["rnd2"]);
    assert_eq!(told.hint.as_deref(), Some("it is tried again by itself"));
    w.said.clear();
    w.wait(60);
    assert!(w.begins(other));
    w.finish(elsewhere, End::Exit(0));
    assert_eq!(w.status(job), WorkStatus::Complete);
}

pub(super) fn migrated() {
    let mut w = farm(1);
    let job = w.submit(spec(1));
    let order = w.order();
    w.act(Action::Migrate, Target::Job(job)).expect("allowed");
    w.finish(order, End::Asked);
    w.wait(600);
    let hint = w.hint(job, Kind::Migrated);
    assert_eq!(
        hint,
        "it may go back there in 10 min (supervisor_migrate_timeout)"
    );
    assert!(!w.begins(job));
    w.wait(600);
    assert!(w.begins(job));
}

pub(super) fn full() {
    let mut w = farm(3);
    let holds = w.submit_as("tom", wanting(2, 0));
    w.order();
    let other = w.submit_as("eve", spec(1));
    let order = w.order();
    let job = w.submit(spec(1));
    let told = w.reason(job, Kind::Full);
    let text = format!("all 3 slots are in use: job {holds} of tom (2), job {other} of eve (1)");
    assert_eq!((told.text, told.count), (text, 1));
    assert_eq!(
        told.hint.as_deref(),
        Some("it starts when a slot is given back")
    );
    w.finish(order, End::Exit(0));
    assert!(w.begins(job));
}

pub(super) fn not_idle() {
    let mut w = farm(4);
    w.connect(2, 2);
    let holds = w.submit_as("tom", wanting(1, 0));
    w.order();
    let mut asks = wanting(2, 0);
    asks.hosts = names(&["rnd2"]);
    let other = w.submit_as("eve", asks);
    let order = w.order();
    let mut asks = wanting(2, 0);
    asks.reservation.more = More::WholeHost;
    let job = w.submit(asks.clone());
    let told = w.reason(job, Kind::NotIdle);
    let by = format!("job {other} of eve (2), job {holds} of tom (1)");
    assert_eq!(told.text, format!("none of these 2 hosts is idle: {by}"));
    assert_eq!(told.hosts, ["rnd1", "rnd2"]);
    // The smallest change: beside what is there.
    let hint = w.hint(job, Kind::NotIdle);
    let beside = "it starts when nothing else is on one; tessera modify 3 --reservations host.processors=2+ starts it beside what is on rnd1";
    assert_eq!(hint, beside);
    w.follow(&hint, "modify");
    assert!(w.begins(job));
    // A host that is full of them.
    asks.hosts = names(&["rnd2"]);
    let job = w.submit(asks);
    let told = w.reason(job, Kind::NotIdle);
    let text = format!("rnd2 is not idle: job {other} of eve (2)");
    assert_eq!((told.text, told.count), (text, 1));
    let hint = told.hint.as_deref();
    assert_eq!(hint, Some("it starts when nothing else is on one"));
    w.finish(order, End::Exit(0));
    assert!(w.begins(job));
}

pub(super) fn reserved() {
    let mut w = World::new();
    w.connect_with(1, 4, Identity::User, &[(MEMORY, 64 << 10)]);
    w.say(1, FromWorker::Inventory(Vec::new()));
    let holds = w.submit_as("tom", wanting(1, 48 << 10));
    w.order();
    let job = w.submit(wanting(2, 24 << 10));
    let told = w.reason(job, Kind::Reserved);
    let text = format!(
        "16 GiB of 64 GiB of host.memory free on rnd1; 24 GiB asked; held by job {holds} of tom (48 GiB)"
    );
    assert_eq!(told.text, text);
    let hint = w.hint(job, Kind::Reserved);
    let fits = "tessera modify 2 --reservations host.processors=2,host.memory=16384 fits there now";
    assert!(hint.ends_with(fits), "{hint}");
    w.follow(&hint, "modify");
    assert!(w.begins(job));
    // Of slots, too.
    let job = w.submit(wanting(2, 0));
    let text = "1 of 4 of host.processors free on rnd1; 2 asked; held by job 2 of mia (2), job 1 of tom (1)";
    assert_eq!(w.reason(job, Kind::Reserved).text, text);
    let hint = w.hint(job, Kind::Reserved);
    w.follow(&hint, "modify");
    assert!(w.begins(job));
}

pub(super) fn too_small() {
    let mut w = World::new();
    w.connect_with(1, 4, Identity::User, &[(MEMORY, 64)]);
    w.say(1, FromWorker::Inventory(Vec::new()));
    let mut asks = wanting(8, 128);
    asks.reservation.amounts.insert("host.gpus".into(), 1);
    let job = w.submit(asks);
    let text = "host.processors of rnd1 is 4 in all; 8 asked";
    assert_eq!(w.reason(job, Kind::TooSmall).text, text);
    let hint = w.hint(job, Kind::TooSmall);
    let less = "tessera modify 1 --reservations host.processors=4,host.memory=64 is what rnd1 has; or a larger host";
    assert_eq!(hint, less);
    w.follow(&hint, "modify");
    assert!(w.begins(job));
}

pub(super) fn behind_jobs() {
    let mut w = farm(1);
    w.submit(spec(1));
    let running = w.order();
    let near = w.submit(spec(1));
    let job = w.submit(spec(1));
    let told = w.engine.why(job).expect("there").remove(0);
    assert_eq!(told.kind, Kind::BehindJobs);
    assert_eq!(told.text, format!("before it in the queue: job {near}"));
    w.follow(&told.hint.expect("a way out"), "top");
    w.finish(running, End::Exit(0));
    assert!(w.begins(job));
}
