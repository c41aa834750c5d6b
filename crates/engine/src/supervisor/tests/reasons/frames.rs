//! Why one frame does not run.

use super::*;

impl World {
    #[track_caller]
    fn why_frame(&self, job: JobId, item: u32) -> Reason {
        let all = self.engine.why_item(job, ItemIndex(item));
        all.expect("there").remove(0)
    }
}

#[test]
fn a_frame_says_how_it_stands_with_it_and_what_helps() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(JobSpec {
        retrywork_delay: Duration::from_secs(60),
        retrywork: 1,
        ..spec(6)
    });
    let order = w.order();
    let running = w.why_frame(job, 0);
    assert_eq!(
        (running.kind, running.text.as_str()),
        (Kind::Running, "it is running on rnd1")
    );
    // What is ready waits for what its job waits for, and not for its other frames.
    let ready = w.why_frame(job, 5);
    assert_eq!(ready.kind, Kind::AllItemsTaken);
    w.act(Action::Block, Target::Items(job, vec![ItemIndex(4)]))
        .expect("allowed");
    let blocked = w.why_frame(job, 4);
    assert_eq!(
        (blocked.kind, blocked.hint.as_deref()),
        (Kind::Blocked, Some("tessera unblock 1:5"))
    );
    w.end(order, End::Exit(3));
    let waiting = w.why_frame(job, 0);
    assert_eq!(waiting.kind, Kind::RetryDelay);
    assert_eq!(
        waiting.text,
        "it failed and waits 60s before its next try (retryworkdelay)"
    );
    let key = order.1;
    w.act(Action::Fail, Target::Items(job, vec![ItemIndex(5)]))
        .expect("allowed");
    let failed = w.why_frame(job, 5);
    assert_eq!(
        (failed.kind, failed.hint.as_deref()),
        (Kind::Ended, Some("tessera retry 1:6"))
    );
    w.act(Action::Interrupt, Target::Items(job, vec![ItemIndex(1)]))
        .expect("allowed");
    assert_eq!(w.why_frame(job, 1).kind, Kind::Ending);
    w.disconnect(1);
    let run = w.engine.launch(key).expect("there").current.expect("one");
    assert_eq!(run.item, ItemIndex(1), "until it is proven gone");
    assert_eq!(w.engine.why_item(job, ItemIndex(6)), None);
    assert_eq!(w.engine.why_item(JobId(9), ItemIndex(0)), None);
}

#[test]
fn a_frame_on_a_host_that_is_away_says_so() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(spec(1));
    w.order();
    w.act(Action::Suspend, Target::Job(job)).expect("allowed");
    assert_eq!(w.why_frame(job, 0).text, "it is suspended on rnd1");
    w.act(Action::Resume, Target::Job(job)).expect("allowed");
    w.disconnect(1);
    let told = w.why_frame(job, 0);
    assert_eq!(told.kind, Kind::Unreachable);
    assert_eq!(
        told.text,
        "it was begun on rnd1, whose worker is not connected"
    );
}

#[test]
fn a_frame_given_ahead_begins_after_the_one_before() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(spec(20));
    let (_, key, run) = w.order();
    let mut end = ended(End::Exit(0));
    end.elapsed = Duration::from_millis(5);
    w.report(1, Report::ItemEnded { key, run, end });
    assert_eq!(w.why_frame(job, 1).kind, Kind::Running);
    let text = "it begins right after the frame that runs on rnd1";
    assert_eq!(w.why_frame(job, 2).text, text);
}
