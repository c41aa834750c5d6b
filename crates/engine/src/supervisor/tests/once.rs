//! Jobs that each host runs once (`host_list`).

use super::*;
use tessera_model::JobFlag;

fn once(hosts: u32) -> JobSpec {
    JobSpec {
        kind: JobKind::CmdLine,
        cpus: hosts,
        flags: [JobFlag::HostList].into(),
        retrysubjob: 1,
        ..spec(1)
    }
}

/// Takes all that was said; answers what started, by host.
fn started(w: &mut World) -> Vec<(u8, LaunchKey, Run)> {
    let said = std::mem::take(&mut w.said).into_iter();
    let starts = said.filter_map(|(host, what)| match what {
        ToWorker::Start { key, run, .. } => Some((host.0[0], key, run)),
        _ => None,
    });
    let mut starts: Vec<_> = starts.collect();
    starts.sort_by_key(|(host, ..)| *host);
    starts
}

#[test]
fn each_host_runs_it_once_however_much_room_it_has() {
    let mut w = World::new();
    // The first has the most room, also when it runs some.
    for (number, slots) in [(1, 8), (2, 1), (3, 1)] {
        w.connect(number, slots);
    }
    let job = w.submit(once(3));
    let starts = started(&mut w);
    let hosts: Vec<u8> = starts.iter().map(|(host, ..)| *host).collect();
    assert_eq!(hosts, [1, 2, 3]);
    for order in starts {
        w.finish(order, End::Exit(0));
    }
    assert_eq!(w.status(job), WorkStatus::Complete);
}

#[test]
fn what_failed_is_tried_again_where_it_failed() {
    let mut w = World::new();
    w.connect(1, 4);
    w.connect(2, 4);
    w.submit(once(2));
    let starts = started(&mut w);
    w.finish(starts[1], End::Exit(1));
    w.wait(1);
    let again = started(&mut w);
    assert_eq!(again.len(), 1, "{again:?}");
    assert_eq!((again[0].0, again[0].1.instance), (2, starts[1].1.instance));
}

#[test]
fn a_host_that_had_its_run_gets_none_for_one_that_is_away() {
    let mut w = World::new();
    w.connect(1, 4);
    w.connect(2, 4);
    w.lock(2, true);
    let job = w.submit(once(2));
    let starts = started(&mut w);
    assert_eq!(starts.len(), 1);
    w.finish(starts[0], End::Exit(0));
    w.wait(1);
    assert_eq!(started(&mut w), [], "its own is done");
    // What is read from the store knows it as well.
    w.restart();
    w.connect(1, 4);
    w.wait(1);
    assert_eq!(started(&mut w), []);
    w.connect(2, 4);
    w.lock(2, false);
    let starts = started(&mut w);
    assert_eq!(starts.len(), 1);
    w.finish(starts[0], End::Exit(0));
    assert_eq!(w.status(job), WorkStatus::Complete);
}

#[test]
pub(super) fn why_says_that_a_host_has_had_its_run_and_what_lets_the_rest_run() {
    let mut w = World::new();
    w.connect(1, 4);
    w.connect(2, 4);
    w.lock(2, true);
    let job = w.submit(once(2));
    let starts = started(&mut w);
    let reasons = w.engine.why(job).expect("there");
    let there = reasons
        .into_iter()
        .find(|it| it.kind == why::Kind::RanThere);
    let there = there.expect("it is told");
    assert_eq!(
        there.text,
        format!("instance {job}.0 is its run there, and each host has one (host_list)")
    );
    let hint = there.hint.expect("a way out");
    assert_eq!(
        hint,
        format!("unlock, start or add other hosts, or do without: tessera kill {job}.0")
    );
    w.lock(2, false);
    let others = started(&mut w);
    assert_eq!(others.len(), 1);
    for order in starts.into_iter().chain(others) {
        w.finish(order, End::Exit(0));
    }
    assert_eq!(w.status(job), WorkStatus::Complete);
}
