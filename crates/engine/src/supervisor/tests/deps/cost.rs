//! What the end of something costs to those that wait for it, counted.

use super::*;

/// Counts what one end of many costs, of two jobs linked frame by frame.
fn cost_of_an_end(frames: u32) -> u64 {
    let mut w = World::new();
    let renders = w.submit(spec(frames));
    let comps = w.submit(after(frames_of(renders), spec(frames)));
    let whole = w.submit(after(on(renders), spec(frames)));
    let before = w.engine.waits_looked_at();
    w.declare(Action::Complete, renders, &[frames / 2]);
    let looked_at = w.engine.waits_looked_at() - before;
    assert_eq!(w.shut(comps).len(), frames as usize - 1);
    assert_eq!(w.shut(whole).len(), frames as usize);
    looked_at
}

#[test]
fn an_end_costs_what_waits_for_just_it() {
    let (few, many) = (cost_of_an_end(100), cost_of_an_end(10_000));
    assert_eq!(
        few, many,
        "links looked at for one end, with 100 and with 10,000 frames"
    );
    assert!(few <= 4, "{few}");
}

/// Counts what one end of a frame costs with so many jobs that wait for all of its job.
fn cost_of_an_end_before(waiters: u32) -> u64 {
    let mut w = World::new();
    let renders = w.submit(spec(10));
    let all: Vec<JobId> = (0..waiters)
        .map(|_| w.submit(after(on(renders), spec(1))))
        .collect();
    w.declare(Action::Complete, renders, &[0]);
    let before = w.engine.waits_looked_at();
    w.declare(Action::Complete, renders, &[1]);
    let looked_at = w.engine.waits_looked_at() - before;
    w.act(Action::Complete, Target::Job(renders))
        .expect("allowed");
    assert!(all.iter().all(|job| w.status(*job) == WorkStatus::Pending));
    looked_at
}

#[test]
fn an_end_within_a_job_costs_nothing_to_who_waits_for_all_of_it() {
    assert_eq!(cost_of_an_end_before(1), cost_of_an_end_before(300));
}

#[test]
fn a_job_that_waits_for_many_parts_of_another_is_judged_once() {
    let cost = |parts: i64| {
        let mut w = World::new();
        let parent = w.submit(spec(1_000));
        let part = |start| FrameRun {
            start,
            step: 1,
            count: 1,
        };
        let terms =
            (1..=parts).map(|start| term(parent, Part::Frames(part(start)), When::Complete));
        w.submit(after(Tree::All(terms.collect()), spec(1)));
        let before = w.engine.waits_looked_at();
        let many: Vec<u32> = (500..1_000).collect();
        w.declare(Action::Complete, parent, &many);
        w.engine.waits_looked_at() - before
    };
    assert_eq!(cost(2), cost(100));
}

/// Counts what one end costs with so many jobs each of which waits for a part of its own of another.
fn cost_of_an_end_of_parts(spec: JobSpec, part: impl Fn(u32) -> Part, waiters: u32) -> u64 {
    let mut w = World::new();
    let is_line = spec.kind == JobKind::CmdLine;
    let parent = w.submit(spec);
    let all: Vec<JobId> = (0..waiters)
        .map(|n| w.submit(after(term(parent, part(n), When::Complete), super::spec(1))))
        .collect();
    let before = w.engine.waits_looked_at();
    let first = match is_line {
        true => Target::Instance(parent, InstanceNo(0)),
        false => Target::Items(parent, vec![ItemIndex(0)]),
    };
    w.act(Action::Complete, first).expect("allowed");
    let looked_at = w.engine.waits_looked_at() - before;
    assert_eq!(w.status(all[0]), WorkStatus::Pending);
    assert!(
        all[1..]
            .iter()
            .all(|job| w.status(*job) == WorkStatus::Blocked)
    );
    looked_at
}

#[test]
fn an_end_costs_nothing_to_who_waits_for_other_frames() {
    let frames = |n: u32| {
        Part::Frames(FrameRun {
            start: i64::from(n) + 1,
            step: 1,
            count: 1,
        })
    };
    let cost = |waiters| cost_of_an_end_of_parts(spec(300), frames, waiters);
    assert_eq!(cost(2), cost(300));
}

#[test]
fn an_end_costs_nothing_to_who_waits_for_other_instances() {
    let line = JobSpec {
        kind: JobKind::CmdLine,
        cpus: 300,
        ..spec(1)
    };
    let instance = |n: u32| Part::Instance(InstanceNo(n));
    let cost = |waiters| cost_of_an_end_of_parts(line.clone(), instance, waiters);
    assert_eq!(cost(2), cost(300));
}

#[test]
fn frames_with_gaps_are_waited_for_wherever_they_lie() {
    let mut w = World::new();
    let parent = w.submit(range(1, 40, 3));
    for (start, step, count) in [(2, 1, 1), (5, 7, 4), (40, -13, 4), (1, 1, 40)] {
        let run = FrameRun { start, step, count };
        w.submit(after(
            term(parent, Part::Frames(run), When::Complete),
            spec(1),
        ));
    }
    // The consistency check compares each count with one made anew.
    for item in [13, 4, 0, 9, 2, 1, 3, 12, 11, 10, 5, 6, 7, 8] {
        w.declare(Action::Complete, parent, &[item]);
        w.declare(Action::Retry, parent, &[item]);
        w.declare(Action::Complete, parent, &[item]);
    }
    for child in 2..6 {
        assert_eq!(w.status(JobId(child)), WorkStatus::Pending);
    }
}
