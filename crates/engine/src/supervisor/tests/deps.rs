//! What waits for what.

mod cost;
mod labels;

use super::*;
use tessera_model::after::{After, Part, Term, Tree, When, Whom};

fn term(job: JobId, part: Part, when: When) -> After {
    let whom = Whom::Job(job);
    Tree::One(Term { whom, part, when })
}

fn on(job: JobId) -> After {
    term(job, Part::Whole, When::Complete)
}

fn frames_of(job: JobId) -> After {
    term(job, Part::EachFrame, When::Complete)
}

fn labelled(label: &str, part: Part) -> After {
    let whom = Whom::Label(label.parse().expect("a label"));
    let when = When::Complete;
    Tree::One(Term { whom, part, when })
}

fn after(after: After, spec: JobSpec) -> JobSpec {
    JobSpec {
        after: Some(after),
        ..spec
    }
}

fn range(start: i64, count: u32, chunk: u32) -> JobSpec {
    let run = FrameRun {
        start,
        step: 1,
        count,
    };
    let agenda = Agenda::new(vec![run], Split::Chunk(chunk), Order::Ascend, 0);
    JobSpec {
        kind: JobKind::CmdRange(agenda.expect("good")),
        ..spec(1)
    }
}

impl World {
    fn why(&self, job: JobId) -> (why::Kind, String) {
        let reasons = self.engine.why(job).expect("there");
        (reasons[0].kind, reasons[0].text.clone())
    }

    /// Answers the items that wait for others.
    fn shut(&self, job: JobId) -> Vec<u32> {
        let items = self.engine.job(job).expect("there").items();
        let shut = items.indices().filter(|item| items.is_shut(*item));
        shut.map(|item| item.0).collect()
    }

    /// Starts from the store.
    pub(super) fn restart(&mut self) {
        let now = Now {
            wall: Timestamp(i64::try_from(self.ms).expect("small")),
            elapsed: Duration::from_millis(self.ms),
        };
        let image = self.engine.image();
        self.engine = Engine::restore(Config::default(), now, image.clone()).expect("good");
        assert_eq!(self.engine.faults(), Vec::<String>::new());
        assert_eq!(self.engine.image(), image);
    }

    fn refused(&mut self, spec: JobSpec) -> String {
        let denied = self.try_submit("mia", spec, None).expect_err("refused");
        denied.to_string()
    }

    fn wait_for(&mut self, job: JobId, after: Option<After>) -> Result<Answer, Denied> {
        let patch = Box::new(JobPatch {
            after: Some(after),
            ..JobPatch::default()
        });
        let by = person("mia");
        self.step(Input::Modify { by, job, patch })
            .expect("an answer")
    }

    /// Declares items of a job over, as a person.
    fn declare(&mut self, action: Action, job: JobId, items: &[u32]) {
        let items = items.iter().copied().map(ItemIndex).collect();
        self.act_as("root", action, Target::Items(job, items))
            .expect("allowed");
    }
}

#[test]
fn a_job_waits_for_others_and_not_for_what_is_complete() {
    let mut w = World::new();
    w.connect(1, 1);
    let parent = w.submit(spec(1));
    let order = w.order();
    let child = w.submit(after(on(parent), spec(1)));
    assert_eq!(w.status(child), WorkStatus::Blocked);
    let said = (
        why::Kind::WaitsForJobs,
        "it waits for job 1 (running)".to_owned(),
    );
    assert_eq!(w.why(child), said);
    w.end(order, End::Exit(0));
    assert_eq!(w.status(child), WorkStatus::Pending);
    let late = w.submit(after(on(parent), spec(1)));
    assert_eq!(w.status(late), WorkStatus::Pending);
    let missing = w.refused(after(on(JobId(99)), spec(1)));
    assert_eq!(
        missing,
        "after: there is no job 99 to wait for (removed, or never submitted)"
    );
}

#[test]
fn what_is_done_again_is_waited_for_again_and_what_runs_goes_on() {
    let mut w = World::new();
    let parent = w.submit(spec(2));
    let child = w.submit(after(on(parent), JobSpec { cpus: 1, ..spec(3) }));
    w.declare(Action::Complete, parent, &[0, 1]);
    w.connect(1, 1);
    let (_, _, run) = w.order();
    assert_eq!(
        (run.item, w.status(child)),
        (ItemIndex(0), WorkStatus::Running)
    );
    w.declare(Action::Retry, parent, &[1]);
    assert_eq!(
        (w.status(child), w.shut(child)),
        (WorkStatus::Running, vec![0, 1, 2])
    );
    assert_eq!(w.why(child).1, "2 items wait for job 1 (pending)");
    w.declare(Action::Complete, parent, &[1]);
    assert_eq!(w.shut(child), []);
}

#[test]
pub(super) fn what_cant_come_any_more_is_said_and_retrying_it_helps() {
    let mut w = World::new();
    let parent = w.submit(spec(1));
    let child = w.submit(after(on(parent), spec(1)));
    let cleaner = w.submit(after(term(parent, Part::Whole, When::Failed), spec(1)));
    let whatever = w.submit(after(term(parent, Part::Whole, When::Done), spec(1)));
    w.restart();
    assert!(w.status(child) == WorkStatus::Blocked && !w.engine.is_stranded(child));
    w.declare(Action::Fail, parent, &[0]);
    assert!(w.engine.is_stranded(child));
    let (kind, text) = w.why(child);
    assert_eq!(kind, why::Kind::WaitsInVain);
    assert_eq!(
        text,
        "it waits for what can't come any more: job 1 (failed)"
    );
    let hint = w.engine.why(child).expect("there")[0]
        .hint
        .clone()
        .expect("one");
    assert!(
        hint.starts_with("tessera retry 1, tessera modify 2"),
        "{hint}"
    );
    assert_eq!(w.status(cleaner), WorkStatus::Pending);
    assert_eq!(w.status(whatever), WorkStatus::Pending);
    w.restart();
    assert!(w.engine.is_stranded(child));
    w.act(Action::Retry, Target::Job(parent)).expect("allowed");
    assert!(!w.engine.is_stranded(child));
    assert_eq!(
        w.status(cleaner),
        WorkStatus::Blocked,
        "it must not clean up under a retry"
    );
    w.declare(Action::Complete, parent, &[0]);
    assert_eq!(w.status(child), WorkStatus::Pending);
    assert!(w.engine.is_stranded(cleaner));
}

impl World {
    /// Does something to a job, and answers how often it is told that something waits in vain.
    fn told(&mut self, action: Action, target: Target) -> usize {
        let (now, by) = (self.engine.now, person("mia"));
        let targets = vec![target];
        let input = Input::Act {
            by,
            action,
            targets,
        };
        let out = self.engine.handle(now, input);
        assert_eq!(self.engine.faults(), Vec::<String>::new());
        let of_it = |change: &&Change| matches!(change, Change::Event(event) if event.kind == kind::JOB_STRANDED);
        out.changes.iter().filter(of_it).count()
    }
}

#[test]
fn that_something_waits_in_vain_is_told_once() {
    let mut w = World::new();
    let parent = w.submit(spec(1));
    w.submit(after(on(parent), spec(1)));
    let actions = [Action::Kill, Action::Fail, Action::Retry, Action::Fail];
    let told = actions.map(|action| w.told(action, Target::Job(parent)));
    assert_eq!(told, [1, 0, 0, 1], "once, until it may come again");
}

#[test]
fn what_waits_in_vain_once_it_is_unblocked_is_told_then() {
    for frames in [2, 600] {
        let mut w = World::new();
        let parent = w.submit(spec(frames));
        let child = w.submit(after(frames_of(parent), spec(frames)));
        let steps = [
            (Action::Block, child, 0),
            (Action::Kill, parent, 0),
            (Action::Unblock, child, 1),
            // Held once more, it is the same that was told.
            (Action::Block, child, 0),
            (Action::Unblock, child, 0),
            // What changes in bulk is looked at anew and is the same, too.
            (Action::Fail, parent, 0),
            // Who retries it wants to know.
            (Action::Kill, child, 0),
            (Action::Retry, child, 1),
        ];
        for (step, (action, job, times)) in steps.into_iter().enumerate() {
            let told = w.told(action, Target::Job(job));
            assert_eq!(told, times, "step {step} of {frames} frames");
        }
    }
}

#[test]
fn a_removed_job_is_remembered_by_who_waits_for_it() {
    let mut w = World::new();
    let (good, bad) = (w.submit(range(1, 4, 1)), w.submit(range(1, 4, 1)));
    let waits =
        |w: &mut World, job, part| w.submit(after(term(job, part, When::Complete), range(3, 4, 1)));
    let (whole, each) = (
        waits(&mut w, good, Part::Whole),
        waits(&mut w, good, Part::EachFrame),
    );
    let (in_vain, half) = (
        waits(&mut w, bad, Part::Whole),
        waits(&mut w, bad, Part::EachFrame),
    );
    w.declare(Action::Complete, good, &[0, 1, 2, 3]);
    w.declare(Action::Complete, bad, &[0, 1, 2]);
    w.declare(Action::Fail, bad, &[3]);
    for job in [good, bad] {
        w.act(Action::Remove, Target::Job(job))
            .expect("it has ended");
    }
    for _ in 0..2 {
        assert_eq!((w.shut(whole), w.shut(each)), (vec![], vec![]));
        assert_eq!((w.shut(in_vain), w.shut(half)), (vec![0, 1, 2, 3], vec![1]));
        assert!(w.engine.is_stranded(in_vain));
        let said = "it waits for what can't come any more: job 2, which was removed before it was complete";
        assert_eq!(w.why(in_vain).1, said);
        w.restart();
    }
    w.act(Action::Unblock, Target::Job(in_vain))
        .expect("let go");
    assert_eq!(
        (w.status(in_vain), w.shut(in_vain)),
        (WorkStatus::Pending, vec![])
    );
    w.restart();
    assert_eq!(
        w.status(in_vain),
        WorkStatus::Pending,
        "what a person said is kept"
    );
}

#[test]
fn frames_wait_for_frames_by_their_numbers() {
    let mut w = World::new();
    // Frames 1–10 by fives; 4–13 one by one.
    let renders = w.submit(range(1, 10, 5));
    let comps = w.submit(after(frames_of(renders), range(4, 10, 1)));
    assert_eq!(
        w.shut(comps),
        [0, 1, 2, 3, 4, 5, 6],
        "frames 11 to 13 wait for nothing"
    );
    w.declare(Action::Complete, renders, &[0]);
    assert_eq!(w.shut(comps), [2, 3, 4, 5, 6]);
    w.declare(Action::Fail, renders, &[1]);
    assert_eq!(w.shut(comps), [2, 3, 4, 5, 6]);
    assert_eq!(w.status(comps), WorkStatus::Pending);
    assert!(w.engine.waits_in_vain(comps) && !w.engine.is_stranded(comps));
    w.restart();
    assert_eq!(w.shut(comps), [2, 3, 4, 5, 6]);
    w.declare(Action::Complete, renders, &[1]);
    assert_eq!(w.shut(comps), []);
    // One item of several frames waits for all of them.
    let movie = w.submit(after(frames_of(comps), range(4, 10, 4)));
    w.declare(Action::Complete, comps, &[0, 1, 2]);
    assert_eq!(w.shut(movie), [0, 1, 2]);
    w.declare(Action::Complete, comps, &[3]);
    assert_eq!(w.shut(movie), [1, 2]);
    w.declare(Action::Retry, comps, &[1]);
    assert_eq!(w.shut(movie), [0, 1, 2]);
    assert_eq!(
        w.refused(after(frames_of(renders), range(50, 5, 1))),
        "after: 1:frames: job 1 has none of the frames of this one"
    );
}

#[test]
fn what_people_may_not_expect_is_said_at_submission() {
    let mut w = World::new();
    let renders = w.submit(range(1, 10, 1));
    let said = |w: &World, after_: After| w.engine.wait_warnings(&after(after_, range(5, 10, 1)));
    let frames = said(&w, frames_of(renders));
    assert_eq!(
        frames,
        ["job 1 has no frame of 4 of its 10 items; those don't wait for it"]
    );
    assert_eq!(said(&w, on(renders)), [""; 0]);
    w.act(Action::Fail, Target::Job(renders)).expect("allowed");
    let failed = said(&w, on(renders));
    assert_eq!(
        failed,
        ["it waits for job 1 to be complete, which is failed: retry that first"]
    );
}

#[test]
fn some_frames_or_an_instance_are_enough() {
    let mut w = World::new();
    let renders = w.submit(range(1, 10, 1));
    let first = |count| {
        let run = FrameRun {
            start: 1,
            step: 1,
            count,
        };
        term(renders, Part::Frames(run), When::Complete)
    };
    let preview = w.submit(after(first(3), spec(2)));
    w.declare(Action::Complete, renders, &[0, 2]);
    assert_eq!(w.shut(preview), [0, 1]);
    w.declare(Action::Complete, renders, &[1]);
    assert_eq!(w.shut(preview), []);
    assert_eq!(
        w.refused(after(first(11), spec(1))),
        "after: 1:1-11: job 1 has no frame 11"
    );
    let line = JobSpec {
        kind: JobKind::CmdLine,
        cpus: 3,
        ..spec(1)
    };
    let parts = w.submit(line.clone());
    let each = w.submit(after(
        term(parts, Part::EachInstance, When::Complete),
        line.clone(),
    ));
    let second = w.submit(after(
        term(parts, Part::Instance(InstanceNo(1)), When::Done),
        spec(1),
    ));
    w.act(Action::Complete, Target::Instance(parts, InstanceNo(0)))
        .expect("allowed");
    assert_eq!((w.shut(each), w.shut(second)), (vec![1, 2], vec![0]));
    w.act(Action::Kill, Target::Instance(parts, InstanceNo(1)))
        .expect("allowed");
    assert_eq!((w.shut(each), w.shut(second)), (vec![1, 2], vec![]));
    assert!(w.engine.waits_in_vain(each));
    w.restart();
    assert_eq!((w.shut(each), w.shut(second)), (vec![1, 2], vec![]));
    let refused = w.refused(after(
        term(parts, Part::EachInstance, When::Complete),
        spec(3),
    ));
    assert!(refused.contains("share its frames"), "{refused}");
    let instances = |job| term(job, Part::EachInstance, When::Complete);
    let refused = w.refused(after(instances(renders), line.clone()));
    assert_eq!(
        refused,
        "after: 1:instances: the instances of job 1 share its frames; write :frames, or leave it out to wait for all of it"
    );
    let refused = w.wait_for(each, Some(instances(renders)));
    assert!(refused.is_err(), "{refused:?}");
    let refused = w.refused(after(frames_of(renders), line));
    assert!(refused.contains("this job has no frames"), "{refused}");
}

#[test]
fn what_was_killed_is_over_when_nothing_of_it_is_left() {
    let mut w = World::new();
    w.connect(1, 2);
    let parent = w.submit(spec(1));
    let order = w.order();
    let (whole, frame) = (Part::Whole, Part::EachFrame);
    let done = w.submit(after(term(parent, whole, When::Done), spec(1)));
    let killed = w.submit(after(term(parent, frame, When::Killed), spec(1)));
    w.act(Action::Kill, Target::Job(parent)).expect("allowed");
    assert_eq!(w.status(parent), WorkStatus::Killed);
    assert_eq!((w.shut(done), w.shut(killed)), (vec![0], vec![0]));
    w.said.clear();
    w.end(order, End::Signal(15));
    assert_eq!((w.shut(done), w.shut(killed)), (vec![], vec![]));
}

#[test]
fn a_frame_that_its_job_left_undone_is_waited_for_in_vain() {
    let mut w = World::new();
    let parent = w.submit(spec(2));
    let child = w.submit(after(frames_of(parent), spec(2)));
    w.act(Action::Kill, Target::Instance(parent, InstanceNo(0)))
        .expect("allowed");
    assert_eq!(
        (w.status(parent), w.item(parent, 0)),
        (WorkStatus::Killed, ItemStatus::Pending)
    );
    assert!(w.engine.is_stranded(child));
    w.restart();
    assert!(w.engine.is_stranded(child));
    w.act(Action::Retry, Target::Instance(parent, InstanceNo(0)))
        .expect("allowed");
    assert!(w.status(parent) == WorkStatus::Pending && !w.engine.is_stranded(child));
}

#[test]
fn either_of_two_is_enough() {
    let mut w = World::new();
    let (a, b) = (w.submit(spec(1)), w.submit(spec(1)));
    let child = w.submit(after(Tree::any([on(a), on(b)]), spec(1)));
    let both = w.submit(after(Tree::all([on(a), frames_of(b)]), spec(1)));
    assert_eq!(
        w.why(child).1,
        "it waits for 1 || 2: job 1 (pending), job 2 (pending)"
    );
    w.declare(Action::Fail, a, &[0]);
    assert!(!w.engine.waits_in_vain(child) && w.engine.waits_in_vain(both));
    w.declare(Action::Complete, b, &[0]);
    assert_eq!((w.shut(child), w.shut(both)), (vec![], vec![0]));
    w.declare(Action::Complete, a, &[0]);
    assert_eq!(w.shut(both), []);
}

fn with(label: &str, group: Option<JobId>, spec: JobSpec) -> JobSpec {
    JobSpec {
        label: Some(label.parse().expect("a label")),
        pgrp: group,
        ..spec
    }
}

#[test]
fn a_circle_is_refused_and_named() {
    let mut w = World::new();
    let first = w.submit(spec(1));
    let second = w.submit(after(on(first), spec(1)));
    let third = w.submit(after(on(second), spec(1)));
    let circle = w.wait_for(first, Some(on(third))).expect_err("a circle");
    let said =
        "after: it would wait for itself: job 1 waits for 3, which waits for 2, which waits for 1";
    assert_eq!(circle.to_string(), said);
    let own = w.wait_for(first, Some(on(first))).expect_err("itself");
    assert_eq!(own.to_string(), "after: 1: a job can't wait for itself");
    // By labels a job may wait for one that comes later.
    let early = JobSpec {
        pgrp: Some(first),
        ..after(labelled("late", Part::Whole), spec(1))
    };
    let early = w.submit(early);
    let late = with("late", Some(first), after(on(early), spec(1)));
    let said = "after: it would wait for itself: job 5 waits for 4, which waits for 5";
    assert_eq!(w.refused(late), said);
    let own = with(
        "own",
        Some(first),
        after(labelled("own", Part::Whole), spec(1)),
    );
    assert_eq!(w.refused(own), "after: own: a job can't wait for itself");
    w.wait_for(second, None).expect("it waits for nothing now");
    assert_eq!(w.status(second), WorkStatus::Pending);
    w.wait_for(first, Some(on(third)))
        .expect("no circle any more");
    assert_eq!(w.status(first), WorkStatus::Blocked);
}

#[test]
fn who_blocks_a_job_that_waits_unblocks_it_again() {
    let mut w = World::new();
    let parent = w.submit(spec(1));
    let child = w.submit(after(on(parent), spec(2)));
    w.act(Action::Block, Target::Job(child))
        .expect("it is not held by anybody yet");
    w.declare(Action::Complete, parent, &[0]);
    assert_eq!(
        (w.status(child), w.item(child, 0)),
        (WorkStatus::Blocked, ItemStatus::Blocked)
    );
    w.declare(Action::Retry, parent, &[0]);
    w.act(Action::Unblock, Target::Job(child)).expect("held");
    assert_eq!(
        (w.status(child), w.shut(child)),
        (WorkStatus::Blocked, vec![0, 1]),
        "it still waits"
    );
    let acted = w.act(Action::Unblock, Target::Job(child)).expect("waits");
    assert_eq!(
        acted,
        Acted {
            items: 2,
            instances: 0
        }
    );
    assert_eq!(w.status(child), WorkStatus::Pending);
    let denied = w
        .act(Action::Unblock, Target::Job(child))
        .expect_err("nothing holds it");
    assert!(matches!(denied, Denied::State { .. }), "{denied:?}");
    w.wait_for(child, Some(on(parent))).expect("waits anew");
    assert_eq!(w.status(child), WorkStatus::Blocked);
    w.declare(Action::Block, child, &[0]);
    let acted = w
        .act(Action::Unblock, Target::Job(child))
        .expect("one is held");
    assert_eq!(
        (acted.items, w.shut(child)),
        (1, vec![0, 1]),
        "it still waits"
    );
}

#[test]
fn a_job_that_ended_and_is_retried_waits_again() {
    let mut w = World::new();
    let parent = w.submit(spec(2));
    let child = w.submit(after(frames_of(parent), spec(2)));
    w.act(Action::Kill, Target::Job(child)).expect("allowed");
    w.declare(Action::Complete, parent, &[0]);
    assert_eq!(w.status(child), WorkStatus::Killed);
    w.act(Action::Retry, Target::Job(child)).expect("allowed");
    assert_eq!(w.shut(child), [1]);
    w.act(Action::Complete, Target::Job(child))
        .expect("allowed");
    w.act(Action::Complete, Target::Job(parent))
        .expect("allowed");
    w.act(Action::Remove, Target::Job(parent)).expect("ended");
    w.act(Action::Retry, Target::Job(child)).expect("allowed");
    assert_eq!(w.shut(child), [], "it remembers though it had ended");
}

#[test]
fn many_items_at_once_are_counted_too() {
    let mut w = World::new();
    let parent = w.submit(spec(1_000));
    let child = w.submit(after(frames_of(parent), spec(1_000)));
    let all: Vec<u32> = (0..600).collect();
    w.declare(Action::Complete, parent, &all);
    assert_eq!(w.shut(child).len(), 400);
    w.declare(Action::Retry, parent, &all);
    assert_eq!(w.shut(child).len(), 1_000);
}

#[test]
fn a_dependency_that_is_too_much_to_look_at_is_refused() {
    let mut w = World::new();
    let parent = w.submit(range(1, 100_000, 1));
    let run = FrameRun {
        start: 1,
        step: 1,
        count: 100_000,
    };
    let some = |n: u32| {
        term(
            parent,
            Part::Frames(FrameRun { count: n, ..run }),
            When::Done,
        )
    };
    let many = |terms: u32| Tree::All((0..terms).map(|n| some(run.count - n)).collect());
    let said = w.refused(after(many(1_000), spec(1)));
    let start = "after: 199500500 frames would have to be looked at, more than 30000000";
    assert!(said.starts_with(start), "{said}");
    // One small item for each of many things, and many items for each of them.
    let each = Tree::All(vec![frames_of(parent); 1_000]);
    assert!(w.refused(after(each, spec(1))).contains("looked at"));
    let other = w.submit(spec(1));
    let mut mixed = vec![on(other); 999];
    mixed.push(frames_of(parent));
    let mixed = after(Tree::All(mixed), range(1, 100_000, 1));
    assert!(w.refused(mixed).contains("looked at"));
    w.submit(after(frames_of(parent), range(1, 100_000, 1)));
    // A label is of a job that comes later, and then it is that which is refused.
    let leader = w.submit(with("lead", None, spec(1)));
    let waits = Tree::All(vec![labelled("render", Part::EachFrame); 400]);
    w.submit(JobSpec {
        pgrp: Some(leader),
        ..after(waits, spec(1))
    });
    let said = w.refused(with("render", Some(leader), range(1, 100_000, 1)));
    let start = "label: frames of the job with the label render are waited for 400 times";
    assert!(said.starts_with(start), "{said}");
    w.submit(with("render", Some(leader), range(1, 100, 1)));
}

#[test]
fn what_was_met_stays_so_though_what_was_not_lies_in_many_pieces() {
    let mut w = World::new();
    let parent = w.submit(spec(4_000));
    let child = w.submit(after(frames_of(parent), spec(4_000)));
    let odd: Vec<u32> = (0..4_000).step_by(2).collect();
    w.declare(Action::Complete, parent, &odd);
    w.act(Action::Kill, Target::Job(parent)).expect("allowed");
    w.act(Action::Remove, Target::Job(parent)).expect("ended");
    assert_eq!(w.shut(child).len(), 2_000);
    w.restart();
    assert_eq!(w.shut(child).len(), 2_000);
}

#[test]
fn what_waits_in_vain_is_told_apart_from_what_only_waits() {
    let mut w = World::new();
    let parent = w.submit(range(1, 4, 1));
    let child = w.submit(after(frames_of(parent), range(1, 4, 1)));
    w.declare(Action::Fail, parent, &[1]);
    let reasons = w.engine.why(child).expect("there");
    let told: Vec<(why::Kind, u32, &str)> = reasons
        .iter()
        .map(|it| (it.kind, it.count, it.text.as_str()))
        .take(2)
        .collect();
    let of = "frames of job 1 (pending, 0 of 4 complete)";
    let vain = format!("1 item waits for what can't come any more: {of}");
    let open = format!("3 items wait for {of}");
    assert_eq!(
        told,
        [
            (why::Kind::WaitsInVain, 1, vain.as_str()),
            (why::Kind::WaitsForJobs, 3, open.as_str())
        ]
    );
}

#[test]
fn a_frame_that_only_waits_is_unblocked_with_its_job_and_that_is_said() {
    let mut w = World::new();
    let parent = w.submit(spec(2));
    let frames = w.submit(after(frames_of(parent), spec(2)));
    let line = JobSpec {
        kind: JobKind::CmdLine,
        ..spec(1)
    };
    let line = w.submit(after(on(parent), line));
    for target in [
        Target::Items(frames, vec![ItemIndex(1)]),
        Target::Instance(frames, InstanceNo(0)),
        Target::Instance(line, InstanceNo(0)),
        Target::Items(line, vec![ItemIndex(0)]),
    ] {
        let id = target.job();
        let denied = w.act(Action::Unblock, target).expect_err("nobody holds it");
        let said = format!(
            "nobody blocked it: job {id} waits for others (tessera why {id}); tessera unblock {id} lets all of it start"
        );
        assert!(denied.to_string().ends_with(&said), "{denied}");
        w.act(Action::Unblock, Target::Job(id)).expect("as it says");
        assert_eq!(w.status(id), WorkStatus::Pending);
        w.wait_for(id, Some(on(parent))).expect("waits anew");
    }
}

#[test]
fn what_was_given_ahead_and_waits_again_is_taken_back_before_it_begins() {
    for is_each in [true, false] {
        let mut w = World::new();
        let parent = w.submit(spec(9));
        let after_ = if is_each {
            frames_of(parent)
        } else {
            on(parent)
        };
        let child = w.submit(after(after_, spec(9)));
        w.act(Action::Complete, Target::Job(parent))
            .expect("allowed");
        w.connect(1, 1);
        let (number, key, run) = w.order();
        let end = AttemptEnd {
            elapsed: Duration::from_millis(1),
            ..ended(End::Exit(0))
        };
        w.report(number, Report::ItemEnded { key, run, end });
        let given: Vec<Run> = (0..5).map(|_| w.order().2).collect();
        assert_eq!(given[2].item, ItemIndex(3));
        w.declare(Action::Retry, parent, &[1, 3]);
        let taken_back = if is_each { &given[2..3] } else { &given[1..] };
        let grace = Duration::ZERO;
        for &run in taken_back.iter().rev() {
            assert_eq!(w.heard().1, ToWorker::EndItem { key, run, grace });
            assert_eq!(w.item(child, run.item.0), ItemStatus::Pending);
        }
        assert!(w.said.is_empty(), "what runs goes on: {:?}", w.said);
        for &run in taken_back {
            let end = ended(End::Asked);
            w.report(number, Report::ItemEnded { key, run, end });
        }
        let starts = |w: &World| {
            let of = |(_, what): &(HostId, ToWorker)| match what {
                ToWorker::Run { run, .. } | ToWorker::Start { run, .. } => Some(*run),
                _ => None,
            };
            w.said.iter().filter_map(of).collect::<Vec<Run>>()
        };
        let is_third = |run: &Run| run.item == ItemIndex(3);
        assert!(!starts(&w).iter().any(is_third), "its frame is not done");
        w.end((number, key, given[0]), End::Exit(0));
        assert!(!starts(&w).iter().any(is_third), "its frame is not done");
        w.declare(Action::Complete, parent, &[1, 3]);
        // What is given out now ends at once, until it is its turn.
        for run in given.iter().filter(|run| !taken_back.contains(run)) {
            w.end((number, key, *run), End::Exit(0));
        }
        w.gone(number, key);
        while !starts(&w).iter().any(is_third) {
            let order = w.heard();
            if let (host, ToWorker::Run { key, run } | ToWorker::Start { key, run, .. }) = order {
                w.end((host.0[0], key, run), End::Exit(0));
            }
        }
        let third = starts(&w).into_iter().find(is_third);
        assert_eq!(third.map(|run| run.attempt), Some(Attempt(2)));
    }
}
