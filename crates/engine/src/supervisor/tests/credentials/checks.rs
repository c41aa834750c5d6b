//! Who is asked to try a registered password, and how often.

use super::*;

#[test]
fn c05_a_wrong_password_with_500_frames_on_50_workers_is_tried_once() {
    let mut w = World::new();
    let all: Vec<u8> = (1..=50).collect();
    for number in &all {
        w.connect_needy(*number, 10, Identity::User);
    }
    w.register(1, &all);
    let job = w.submit(wide(500));
    let (host, _) = w.check();
    assert_eq!((w.in_badlogin(), w.starts()), (0, 0), "all wait for one");
    w.found(host, 1, Verdict::Wrong);
    assert_eq!((w.in_badlogin(), w.starts()), (500, 0));
    assert_eq!(w.code(job), "credential_wrong");
    all.iter().for_each(|number| w.disconnect(*number));
    w.wait_in_silence(4 * 3_600);
    all.iter()
        .for_each(|number| w.connect_needy(*number, 10, Identity::User));
    assert!(w.checks().is_empty(), "nobody tries again by himself");
    w.register(2, &all);
    let (host, again) = w.check();
    assert_eq!((again.sequence, w.in_badlogin()), (2, 0));
    w.found(host, 1, Verdict::Valid);
    assert_eq!(w.starts(), 0, "a word about the older one counts nothing");
    w.found(host, 2, Verdict::Valid);
    assert_eq!(w.starts(), 500);
}

#[test]
fn a_password_that_was_changed_meanwhile_is_tried_once() {
    let mut w = good(20);
    w.wait(6 * 60);
    let job = w.submit(wide(20));
    let (host, _) = w.check();
    assert_eq!(
        w.starts(),
        0,
        "the last check is too old to start twenty with"
    );
    w.found(host, 1, Verdict::Wrong);
    assert_eq!((w.code(job).as_str(), w.starts()), ("credential_wrong", 0));
    assert!(w.checks().is_empty());
}

#[test]
fn bad_news_from_a_launch_stop_the_others() {
    let mut w = good(2);
    let job = w.submit(wide(3));
    assert_eq!(w.starts(), 2);
    w.said
        .retain(|(_, said)| matches!(said, ToWorker::Start { .. }));
    let order = w.order();
    w.found(order.0, 1, Verdict::Wrong);
    assert_eq!(w.in_badlogin(), 1, "what had not started");
    let refusal = Refusal {
        code: "credential_wrong".into(),
        text: "wrong".into(),
    };
    w.report(
        order.0,
        Report::Refused {
            key: order.1,
            refusal,
        },
    );
    assert_eq!(w.in_badlogin(), 2);
    assert_eq!(w.code(job), "credential_wrong");
    assert_eq!(
        w.engine
            .host(host_id(order.0))
            .expect("there")
            .refusals()
            .count(),
        0,
        "no fault of the host's"
    );
}

#[test]
fn c10_each_reason_shows_and_is_not_tried_again() {
    for (verdict, code) in [
        (Verdict::Expired, "credential_expired"),
        (Verdict::MustChange, "credential_must_change"),
        (Verdict::Locked, "credential_locked"),
        (Verdict::Restricted, "credential_restricted"),
        (Verdict::NoAccount, "credential_no_account"),
        (Verdict::AccountChanged, "credential_account_changed"),
        (Verdict::Stale, "credential_stale"),
    ] {
        let mut w = registered(1);
        w.check();
        let job = w.submit(spec(3));
        w.found(1, 1, verdict);
        assert_eq!(w.code(job), code);
        w.wait(3_600);
        assert!(w.checks().is_empty(), "{code} was tried again");
    }
    let mut w = good(1);
    w.ms += 31 * 24 * 3_600 * 1_000;
    w.say(1, FromWorker::Heartbeat);
    let job = w.submit(spec(3));
    assert_eq!(w.code(job), "credential_over");
    assert!(w.checks().is_empty());
}

#[test]
fn a_check_can_be_asked_for_but_not_in_a_row() {
    let mut w = registered(1);
    let (_, first) = w.check();
    w.found(1, 1, Verdict::Locked);
    let busy = w.wish("mia", CredentialWish::Check(mia()));
    assert!(
        matches!(busy, Err(Denied::CredentialBusy { .. })),
        "{busy:?}"
    );
    w.wait(301);
    assert_eq!(
        w.wish("mia", CredentialWish::Check(mia())),
        Ok(Answer::Done)
    );
    let (_, again) = w.check();
    assert!(again.check > first.check, "another attempt");
    w.found(1, 1, Verdict::Locked);
    w.wait(301);
    let busy = w.wish("mia", CredentialWish::Check(mia()));
    assert!(
        matches!(busy, Err(Denied::CredentialBusy { .. })),
        "the pause doubles: {busy:?}"
    );
    w.wait(300);
    assert_eq!(
        w.wish("mia", CredentialWish::Check(mia())),
        Ok(Answer::Done)
    );
    w.check();
    let job = w.submit(spec(1));
    assert_eq!(
        w.code(job),
        "credential_locked",
        "it stays so until it is good"
    );
    w.found(1, 1, Verdict::Valid);
    assert_eq!(w.starts(), 1);
}

#[test]
fn an_answer_that_is_lost_is_asked_of_the_same_worker() {
    let mut w = registered(2);
    let (asked, first) = w.check();
    w.disconnect(asked);
    assert!(
        w.checks().is_empty(),
        "the other must not try what the first may have tried"
    );
    w.connect_needy(asked, 1, Identity::User);
    let (again, second) = w.check();
    assert_eq!(
        (again, second.check),
        (asked, first.check),
        "the same question"
    );
    w.disconnect(asked);
    w.wait(301);
    let (other, _) = w.check();
    assert_ne!(other, asked, "it was given up for lost");
}

#[test]
fn trouble_of_one_host_is_another_hosts_chance() {
    let mut w = registered(2);
    let (first, _) = w.check();
    w.found(first, 1, Verdict::NoBatchRight);
    let (second, _) = w.check();
    assert_ne!(first, second);
    w.found(second, 1, Verdict::Valid);
    w.submit(wide(2));
    assert_eq!(w.starts(), 1, "the first is avoided for her");
    let mut w = registered(1);
    w.check();
    w.found(1, 1, Verdict::Unavailable);
    assert!(w.checks().is_empty());
    w.wait(61);
    assert_eq!(w.check().0, 1, "nobody's fault is tried again by itself");
    let mut w = registered(2);
    let (silent, _) = w.check();
    w.wait(61 + 61);
    let (other, _) = w.check();
    assert_ne!(
        silent, other,
        "who never answers keeps nobody from being asked"
    );
}

#[test]
fn a_check_again_that_comes_to_nothing_is_tried_again_by_itself() {
    let mut w = good(1);
    // Older than what a start may rely on.
    w.wait(301);
    let job = w.submit(spec(1));
    w.check();
    w.found(1, 1, Verdict::Unavailable);
    assert_eq!((w.checks().len(), w.starts()), (0, 0));
    w.wait(61);
    w.check();
    w.found(1, 1, Verdict::Valid);
    assert_eq!(w.starts(), 1, "{:?}", w.engine.why(job));
}

#[test]
fn good_news_count_from_whom_was_asked_only() {
    let mut w = registered(2);
    let (asked, _) = w.check();
    let other = 3 - asked;
    w.found(other, 1, Verdict::Valid);
    w.submit(spec(1));
    assert_eq!(w.starts(), 0);
    w.found(asked, 1, Verdict::Valid);
    assert_eq!(w.starts(), 1);
}

#[test]
fn a_worker_that_came_back_has_as_long_as_the_first_time() {
    let mut w = registered(2);
    let (asked, _) = w.check();
    w.wait(30);
    w.disconnect(asked);
    // The time for the check is over while nobody could answer.
    w.wait(60);
    w.connect_needy(asked, 1, Identity::User);
    assert_eq!(w.check().0, asked);
    w.wait(59);
    assert!(w.checks().is_empty());
    // It does not answer: the other is asked after the pause for what is nobody's fault.
    w.wait(1 + 60);
    assert_ne!(w.check().0, asked);
}

#[test]
fn a_password_has_one_timer_however_often_it_is_checked() {
    let mut w = good(1);
    let timers = w.engine.timers.len();
    for _ in 0..20 {
        w.wait(301);
        let job = w.submit(spec(1));
        w.check();
        w.found(1, 1, Verdict::Valid);
        let order = w.said.drain(..).find_map(|(_, said)| match said {
            ToWorker::Start { key, run, .. } => Some((1, key, run)),
            _ => None,
        });
        let order = order.expect("started");
        w.end(order, End::Exit(0));
        w.gone(1, order.1);
        w.said.clear();
        assert_eq!(w.status(job), WorkStatus::Complete);
    }
    assert_eq!(w.engine.timers.len(), timers);
    // It still goes off when the password is over.
    let job = w.submit(spec(1));
    w.wait_in_silence(31 * 24 * 3_600);
    w.connect_needy(1, 1, Identity::User);
    assert_eq!(w.code(job), "credential_over");
}

#[test]
fn wrong_passwords_are_not_registered_one_after_another_without_end() {
    let mut w = registered(1);
    for sequence in 1..=3 {
        w.check();
        w.found(1, sequence, Verdict::Wrong);
        if sequence < 3 {
            w.register(sequence + 1, &[1]);
        }
    }
    let busy = |it: &Result<Answer, Denied>| matches!(it, Err(Denied::CredentialBusy { .. }));
    let refused = w.try_register("mia", mia(), 4, &[1]);
    assert!(busy(&refused), "{refused:?}");
    let refused = w.try_register("root", mia(), 4, &[1]);
    assert!(busy(&refused), "for nobody: {refused:?}");
    // Nor by the way of a revocation.
    w.wish("mia", CredentialWish::Revoke(mia())).expect("there");
    let refused = w.try_register("mia", mia(), 5, &[1]);
    assert!(busy(&refused), "{refused:?}");
    w.wait(300);
    w.register(5, &[1]);
    w.check();
    // Not even before the answer to the last is there, and twice as long.
    let refused = w.try_register("mia", mia(), 6, &[1]);
    assert!(busy(&refused), "{refused:?}");
    w.found(1, 5, Verdict::Wrong);
    w.wait(599);
    let refused = w.try_register("mia", mia(), 6, &[1]);
    assert!(busy(&refused), "{refused:?}");
    w.wait(1);
    w.register(6, &[1]);
    w.check();
    w.found(1, 6, Verdict::Valid);
    w.register(7, &[1]);
    assert_eq!(w.checks().len(), 1, "a good one begins anew");
}

#[test]
fn trouble_of_the_domain_is_no_wrong_password() {
    let mut w = registered(1);
    for sequence in 1..=6 {
        w.check();
        w.found(1, sequence, Verdict::Unavailable);
        w.register(sequence + 1, &[1]);
    }
    w.check();
}

#[test]
pub(in super::super) fn why_says_that_a_password_is_checked_and_then_it_runs() {
    let mut w = good(1);
    // Older than what a start may rely on.
    w.wait(301);
    let job = w.submit(spec(1));
    let told = w.engine.why(job).expect("there").remove(0);
    assert_eq!(told.kind, why::Kind::CredentialCheck);
    assert!(
        told.text.ends_with("is being checked first"),
        "{}",
        told.text
    );
    assert_eq!(told.hosts, ["win1"]);
    w.check();
    w.found(1, 1, Verdict::Valid);
    assert_eq!(w.starts(), 1);
}
