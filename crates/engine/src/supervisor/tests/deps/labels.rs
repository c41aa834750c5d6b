//! What waits for a label: for the job that has it, or will.

use super::*;

#[test]
fn a_label_means_a_job_of_the_process_group_that_may_come_later() {
    let mut w = World::new();
    let leader = w.submit(with("lead", None, spec(1)));
    let comp = JobSpec {
        pgrp: Some(leader),
        ..after(labelled("render", Part::EachFrame), spec(2))
    };
    let comp = w.submit(comp);
    let said = "it waits for frames of a job labelled render, which is not submitted yet";
    assert_eq!(w.why(comp).1, said);
    w.submit(with("render", None, spec(2)));
    assert_eq!(w.why(comp).1, said, "another group's");
    w.restart();
    let render = w.submit(with("render", Some(leader), spec(2)));
    assert_eq!(
        w.why(comp).1,
        "it waits for frames of job 4 (render) (pending, 0 of 2 complete)"
    );
    let twice = w.refused(with("render", Some(comp), spec(1)));
    assert_eq!(
        twice,
        "label: job 4 of process group 1 has the label render already"
    );
    w.declare(Action::Complete, render, &[1]);
    w.restart();
    assert_eq!(w.shut(comp), [0]);
    w.declare(Action::Complete, render, &[0]);
    w.act(Action::Remove, Target::Job(render)).expect("ended");
    assert_eq!(w.shut(comp), []);
    let other = w.try_submit("bob", with("x", Some(leader), spec(1)), None);
    assert!(matches!(other, Err(Denied::Forbidden { .. })), "{other:?}");
    let nobody = w.refused(with("x", Some(JobId(99)), spec(1)));
    assert_eq!(
        nobody,
        "pgrp: there is no job 99 whose process group it could join"
    );
}

#[test]
fn a_label_without_a_frame_in_common_is_waited_for_in_vain() {
    let mut w = World::new();
    let leader = w.submit(with("lead", None, spec(1)));
    let comp = w.submit(JobSpec {
        pgrp: Some(leader),
        ..after(labelled("render", Part::EachFrame), range(1, 3, 1))
    });
    w.submit(with("render", Some(leader), range(1_001, 3, 1)));
    for _ in 0..2 {
        assert_eq!(w.shut(comp), [0, 1, 2]);
        assert!(w.engine.is_stranded(comp));
        w.restart();
    }
}

#[test]
fn a_label_means_the_next_job_with_it_when_the_first_was_removed_too_early() {
    let mut w = World::new();
    let leader = w.submit(with("lead", None, spec(1)));
    let waiting = |w: &mut World, part| {
        w.submit(JobSpec {
            pgrp: Some(leader),
            ..after(labelled("render", part), spec(2))
        })
    };
    let whole = waiting(&mut w, Part::Whole);
    let each = waiting(&mut w, Part::EachFrame);
    let ended = waiting(&mut w, Part::Whole);
    let late = w.submit(JobSpec {
        pgrp: Some(leader),
        ..spec(1)
    });
    w.act(Action::Kill, Target::Job(ended)).expect("allowed");
    let render = |w: &mut World| w.submit(with("render", Some(leader), spec(2)));
    let first = render(&mut w);
    w.declare(Action::Complete, first, &[0]);
    w.declare(Action::Fail, first, &[1]);
    w.act(Action::Remove, Target::Job(first)).expect("ended");
    let said = "it waits for what can't come any more: job 6 (render), which was removed before it was complete";
    assert_eq!(w.why(whole).1, said);
    assert_eq!((w.shut(whole), w.shut(each)), (vec![0, 1], vec![1]));
    let second = render(&mut w);
    assert!(!w.engine.waits_in_vain(whole) && !w.engine.waits_in_vain(each));
    w.act(Action::Retry, Target::Job(ended))
        .expect("it had ended");
    w.wait_for(late, Some(labelled("render", Part::EachFrame)))
        .expect("it is there");
    w.restart();
    assert_eq!(w.why(whole).1, "it waits for job 7 (render) (pending)");
    assert_eq!(w.shut(each), [0, 1], "it renders all frames anew");
    assert_eq!((w.shut(ended), w.shut(late)), (vec![0, 1], vec![0]));
    w.declare(Action::Complete, second, &[0, 1]);
    // What had come stays so, whoever has the label next.
    w.act(Action::Remove, Target::Job(second)).expect("ended");
    let third = render(&mut w);
    for _ in 0..2 {
        for job in [whole, each, ended, late] {
            assert_eq!(w.shut(job), [], "job {job} waits for {third}");
        }
        w.restart();
    }
}

#[test]
fn a_circle_over_the_next_job_with_a_label_is_refused() {
    let mut w = World::new();
    let leader = w.submit(with("lead", None, spec(1)));
    let child = w.submit(JobSpec {
        pgrp: Some(leader),
        ..after(labelled("render", Part::Whole), spec(1))
    });
    let first = w.submit(with("render", Some(leader), spec(1)));
    w.act(Action::Kill, Target::Job(first)).expect("allowed");
    w.act(Action::Remove, Target::Job(first)).expect("ended");
    w.restart();
    let circle = with("render", Some(leader), after(on(child), spec(1)));
    let said = "after: it would wait for itself: job 4 waits for 2, which waits for 4";
    assert_eq!(w.refused(circle), said);
}

#[test]
fn a_label_of_a_job_with_frames_has_no_instances_to_wait_for() {
    let mut w = World::new();
    w.connect(1, 1);
    let leader = w.submit(with("lead", None, spec(1)));
    let line = JobSpec {
        kind: JobKind::CmdLine,
        cpus: 2,
        ..spec(1)
    };
    let child = w.submit(JobSpec {
        pgrp: Some(leader),
        ..after(labelled("render", Part::EachInstance), line)
    });
    assert!(!w.engine.waits_in_vain(child));
    let render = w.submit(with("render", Some(leader), spec(1)));
    while !w.status(render).is_ended() {
        assert!(w.engine.is_stranded(child));
        let order = w.order();
        w.end(order, End::Exit(0));
        w.said.clear();
        w.gone(1, order.1);
    }
    assert!(w.engine.is_stranded(child));
    w.restart();
    assert!(w.engine.is_stranded(child));
}
