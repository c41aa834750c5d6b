//! What people are told of it.

use super::*;
use crate::supervisor::why::{Kind, Reason};

fn why(farm: &Farm, job: JobId, kind: Kind) -> Option<Reason> {
    let reasons = farm.w.engine.why(job).expect("there");
    reasons.into_iter().find(|it| it.kind == kind)
}

/// A host with three slots in use by jobs that say how long they take, one free, and a job that needs all four.
fn kept() -> (Farm, JobId) {
    let mut farm = Farm::new(WideJobs::default());
    farm.w.connect(1, 4);
    for job in 1..=3 {
        farm.takes.insert(JobId(job), 3_000);
        farm.submit(JobSpec {
            agendatimelimit: Some(Duration::from_secs(3_000)),
            grace: Duration::ZERO,
            ..spec(1)
        });
    }
    let job = farm.wide(4);
    farm.until_emptied();
    (farm, job)
}

#[test]
pub(in super::super) fn why_says_which_host_is_emptied_and_until_when() {
    let (farm, job) = kept();
    let reason = why(&farm, job, Kind::Emptied).expect("said");
    assert_eq!(
        reason.text,
        "rnd1 is being emptied for it: 1 of 4 slots free, until about 00:50 UTC"
    );
    assert_eq!(reason.hosts, ["rnd1"]);
    let (kind, text) = farm.w.engine.why_host_idle(host(1)).expect("said");
    assert_eq!(kind, Kind::ReservedForJob);
    assert_eq!(
        text,
        "rnd1 is reserved for job 4 until about 00:50 UTC: 1 of 4 slots free"
    );
}

#[test]
pub(in super::super) fn why_says_for_whom_a_host_is_reserved_and_what_it_says_lets_the_job_run() {
    let (mut farm, wide) = kept();
    let job = farm.flood(1, 1, 1)[0];
    farm.seconds(30);
    assert!(!farm.started.contains_key(&job));
    let reason = why(&farm, job, Kind::ReservedForJob).expect("said");
    assert_eq!(
        reason.text,
        format!("rnd1 is reserved for job {wide} until about 00:50 UTC")
    );
    let hint = reason.hint.expect("one");
    assert!(
        hint.contains(&format!("tessera modify {job} --agendatimelimit")),
        "{hint}"
    );
    let patch = Box::new(JobPatch {
        agendatimelimit: Some(Some(Duration::from_secs(300))),
        ..JobPatch::default()
    });
    let by = person("mia");
    farm.w.step(Input::Modify { by, job, patch });
    farm.listen();
    assert!(farm.started.contains_key(&job));
}

#[test]
fn history_tells_that_a_host_was_reserved_and_let_go() {
    let (mut farm, job) = kept();
    let now = Now {
        wall: Timestamp(i64::try_from(farm.w.ms).expect("few")),
        elapsed: Duration::from_millis(farm.w.ms),
    };
    let input = Input::Act {
        by: person("mia"),
        action: Action::Kill,
        targets: vec![Target::Job(job)],
    };
    let out = farm.w.engine.handle(now, input);
    let told = out.changes.iter().find_map(|change| match change {
        Change::Event(event) if event.kind == kind::HOST_RELEASED => Some(event),
        _ => None,
    });
    let told = told.expect("told");
    assert_eq!((told.job, told.host), (Some(job), Some(host(1))));
    assert_eq!(
        told.text,
        "rnd1 is emptied for job 4 no more: it does not wait for a host now"
    );
}

#[test]
fn a_guess_is_said_to_be_one() {
    let (mut farm, job) = flooded(2, WideJobs::default());
    farm.until_emptied();
    let text = why(&farm, job, Kind::Emptied).expect("said").text;
    assert!(text.ends_with("UTC (a guess)"), "{text}");
    let frames = farm.running.values_mut();
    frames.for_each(|(_, ends)| *ends += 900_000);
    farm.seconds(600);
    let text = why(&farm, job, Kind::Emptied).expect("said").text;
    assert!(
        text.contains("as soon as what runs there is over (expected at"),
        "{text}"
    );
}
