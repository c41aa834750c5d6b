//! Each format of a job's document is read for ever.

use super::*;
use tessera_spec::SubmissionDraft;

#[test]
fn flags_move_the_format_and_a_row_without_them_is_as_before() {
    let mut draft = SubmissionDraft {
        command: vec!["true".into()],
        ..SubmissionDraft::default()
    };
    let plain = draft.validate().expect("is right").spec;
    let text = serde_json::to_string(&Spec::of(&plain)).expect("is JSON");
    assert_eq!(
        (format(&plain), text.contains("flags")),
        (FORMAT_PLAIN, false)
    );
    draft.flags = Some(vec!["convert_path".into()]);
    let mut flagged = draft.validate().expect("is right").spec;
    // As the engine makes it when it is submitted.
    flagged.max_cpus = Some(0);
    let text = serde_json::to_string(&Spec::of(&flagged)).expect("is JSON");
    assert_eq!(format(&flagged), FORMAT_FLAGS);
    let read: Spec = serde_json::from_str(&text).expect("is a description");
    assert_eq!(read.into_model(), Ok(flagged));
    let later = text.replace("convert_path", "fly");
    let read: Spec = serde_json::from_str(&later).expect("is a description");
    assert_eq!(read.into_model(), Err("unknown flag \"fly\"".to_owned()));
    assert!(super::read("{}", FORMAT_RESERVES + 1).is_err());
}

/// What a program wrote whose jobs were blocked by those that they waited for.
const FORMAT_1_WAITS: &str = r#"{"submitter":"mia","proof":"peer uid 1000","waiting_for":[7],"spec":{"name":"render",
        "command":["true"],"umask":18,"priority":5,"cpus":2,"retrywork":1,"retrywork_delay_ms":0,"retrysubjob":0,"grace_ms":30000,
        "output_limit":1024,"waitfor":[5,7]}}"#;

#[test]
fn a_job_of_an_older_program_waits_on() {
    let read = read(FORMAT_1_WAITS, 1).expect("readable for ever");
    let after = read.spec.after.as_ref().map(ToString::to_string);
    assert_eq!(after.as_deref(), Some("5 && 7"));
    assert!(read.was_blocked && !read.waits.is_released);
    assert_eq!(
        read.waits.settled,
        [(Term::job(JobId(5)), Vec::new())].into()
    );
    assert_eq!(
        format(&read.spec),
        FORMAT_AFTER,
        "older programs would not wait"
    );
    let over = super::read(&FORMAT_1_WAITS.replace("\"waiting_for\":[7],", ""), 1);
    let over = over.expect("readable for ever");
    assert!(over.waits.is_released && !over.was_blocked);
}

#[test]
fn mail_moves_the_format_and_is_read_for_ever() {
    let asks = r#""mail":{"on":["done","frame_failed"],"to":"td@x.org"},"umask""#;
    let text = FORMAT_1_WAITS.replace("\"umask\"", asks);
    let read = read(&text, FORMAT_MAIL).expect("readable for ever");
    let mail = read.spec.mail.clone().expect("asked for");
    assert_eq!(mail.on, [MailWhen::Done, MailWhen::FrameFailed].into());
    assert_eq!(
        mail.to.map(|it| it.to_string()).as_deref(),
        Some("td@x.org")
    );
    assert_eq!(
        format(&read.spec),
        FORMAT_MAIL,
        "older programs would forget it"
    );
    let again = serde_json::to_string(&Spec::of(&read.spec)).expect("is JSON");
    let again: Spec = serde_json::from_str(&again).expect("is a description");
    assert_eq!(again.into_model().as_ref(), Ok(&*read.spec));
    // The rule is stricter by now; whether the farm writes there is asked again before each mail.
    let old = super::read(&text.replace("td@x.org", "td%y.org@x.org"), FORMAT_MAIL);
    let old = old.expect("readable for ever").spec;
    let to = old.mail.as_ref().and_then(|it| it.to.as_ref());
    assert_eq!(
        to.map(ToString::to_string).as_deref(),
        Some("td%y.org@x.org")
    );
    for (is, bad) in [("frame_failed", "host_lost"), ("td@x.org", "td")] {
        assert!(
            super::read(&text.replace(is, bad), FORMAT_MAIL).is_err(),
            "{bad}"
        );
    }
}

#[test]
fn limits_move_the_format_and_are_read_for_ever() {
    let plain = read(FORMAT_1_WAITS, 1).expect("readable for ever");
    assert_eq!(plain.spec.limits, JobLimits::default());
    let says = r#""limits":{"pgrp":20,"per_host":1,"start_rate":"10/min"},"umask""#;
    let text = FORMAT_1_WAITS.replace("\"umask\"", says);
    let read = read(&text, FORMAT_LIMITS).expect("readable for ever");
    let limits = &read.spec.limits;
    assert_eq!((limits.pgrp, limits.per_host), (Some(20), Some(1)));
    let rate = limits.start_rate.map(|rate| rate.to_string());
    assert_eq!(rate.as_deref(), Some("10/min"));
    assert_eq!(
        format(&read.spec),
        FORMAT_LIMITS,
        "older programs would start more"
    );
    let again = serde_json::to_string(&Spec::of(&read.spec)).expect("is JSON");
    let again: Spec = serde_json::from_str(&again).expect("is a description");
    assert_eq!(again.into_model().as_ref(), Ok(&*read.spec));
    assert!(super::read(&text.replace("10/min", "fast"), FORMAT_LIMITS).is_err());
    assert!(super::read(&text, FORMAT_NEWEST + 1).is_err());
}

#[test]
fn a_job_that_each_host_runs_once_moves_the_format_and_is_read_for_ever() {
    let text = FORMAT_1.replace("\"umask\"", "\"flags\":[\"host_list\"],\"umask\"");
    let read = read(&text, FORMAT_ONCE).expect("readable for ever");
    assert!(read.spec.is_once_a_host());
    assert_eq!(
        format(&read.spec),
        FORMAT_ONCE,
        "older programs would run it twice on one"
    );
}

#[test]
fn a_job_that_starts_all_at_once_moves_the_format_and_is_read_for_ever() {
    let text = FORMAT_1.replace("\"umask\"", "\"flags\":[\"grid\"],\"umask\"");
    let read = read(&text, FORMAT_GRID).expect("readable for ever");
    assert!(read.spec.is_gang());
    assert_eq!(
        format(&read.spec),
        FORMAT_GRID,
        "older programs would start them one by one"
    );
}

#[test]
fn what_preemption_may_do_moves_the_format_and_is_read_for_ever() {
    for (word, flag) in [
        ("uninterruptible", JobFlag::Uninterruptible),
        ("elite", JobFlag::Elite),
    ] {
        let flags = format!("\"flags\":[\"{word}\"],\"umask\"");
        let text = FORMAT_1.replace("\"umask\"", &flags);
        let read = read(&text, FORMAT_PREEMPT).expect("readable for ever");
        assert_eq!(read.spec.flags, [flag].into());
        assert_eq!(
            format(&read.spec),
            FORMAT_PREEMPT,
            "older programs would start it and know nothing of it"
        );
    }
}

#[test]
fn mail_about_what_waits_in_vain_moves_the_format() {
    let asks = r#""mail":{"on":["stranded"]},"umask""#;
    let text = FORMAT_1_WAITS.replace("\"umask\"", asks);
    let read = read(&text, FORMAT_STRANDED).expect("readable for ever");
    let on = read.spec.mail.as_ref().map(|mail| mail.on.clone());
    assert_eq!(on, Some([MailWhen::Stranded].into()));
    assert_eq!(format(&read.spec), FORMAT_STRANDED);
}

#[test]
fn webhooks_move_the_format_and_read_back() {
    let asks = "\"webhooks\":{\"chat\":[\"done\",\"stranded\"]},\"umask\"";
    let text = FORMAT_1_WAITS.replace("\"umask\"", asks);
    let read = read(&text, FORMAT_WEBHOOKS).expect("readable for ever");
    let chat = &read.spec.webhooks[&"chat".parse().expect("a name")];
    assert_eq!(*chat, [MailWhen::Done, MailWhen::Stranded].into());
    assert_eq!(format(&read.spec), FORMAT_WEBHOOKS);
    let again = serde_json::to_string(&Spec::of(&read.spec)).expect("is JSON");
    let again: Spec = serde_json::from_str(&again).expect("is a description");
    assert_eq!(again.into_model().as_ref(), Ok(&*read.spec));
    for (is, bad) in [("chat", "Chat"), ("stranded", "host_lost")] {
        assert!(
            super::read(&text.replace(is, bad), FORMAT_WEBHOOKS).is_err(),
            "{bad}"
        );
    }
}

#[test]
fn what_stops_after_so_many_failures_moves_the_format() {
    let text = FORMAT_1_WAITS.replace("\"umask\"", "\"max_failures\":3,\"umask\"");
    let read = read(&text, FORMAT_STOPS).expect("readable for ever");
    assert_eq!(read.spec.max_failures, 3);
    assert_eq!(format(&read.spec), FORMAT_STOPS);
    let again = serde_json::to_string(&Spec::of(&read.spec)).expect("is JSON");
    let again: Spec = serde_json::from_str(&again).expect("is a description");
    assert_eq!(again.into_model().as_ref(), Ok(&*read.spec));
}

#[test]
fn secondary_instances_move_the_format() {
    let text = FORMAT_1_WAITS.replace("\"umask\"", "\"max_cpus\":20,\"umask\"");
    let read = read(&text, FORMAT_SHARE).expect("readable for ever");
    assert_eq!(read.spec.max_cpus, Some(20));
    assert_eq!(
        format(&read.spec),
        FORMAT_SHARE,
        "older programs would take its instances for surplus ones"
    );
    let again = serde_json::to_string(&Spec::of(&read.spec)).expect("is JSON");
    let again: Spec = serde_json::from_str(&again).expect("is a description");
    assert_eq!(again.into_model().as_ref(), Ok(&*read.spec));
}

#[test]
fn what_is_kept_of_waiting_reads_back() {
    let run = FrameRun {
        start: 0,
        step: 1,
        count: 3,
    };
    let term = after_of("render:frames:done").expect("good");
    let Tree::One(term) = term else {
        unreachable!("one thing")
    };
    let waits = Waits {
        is_released: true,
        labels: [("render".parse().expect("good"), JobId(7))].into(),
        settled: [(term, vec![run]), (Term::job(JobId(2)), Vec::new())].into(),
    };
    assert_eq!(WaitsDoc::of(&waits).into_engine(), Ok(waits));
}

/// What a program wrote that knew no reservations.
const FORMAT_1: &str = r#"{"submitter":"mia","proof":"peer uid 1000","spec":{"name":"render","command":["true"],"umask":18,
        "priority":5,"cpus":2,"retrywork":1,"retrywork_delay_ms":0,"retrysubjob":0,"grace_ms":30000,"output_limit":1024}}"#;

#[test]
fn a_job_of_an_older_program_takes_one_slot() {
    let spec = read(FORMAT_1, 1).expect("readable for ever").spec;
    assert_eq!(spec.reservation, Reservation::default());
    assert_eq!(spec.retry_oom, tessera_model::limits::RETRY_OOM_DEFAULT);
    assert_eq!(
        format(&spec),
        FORMAT_PLAIN,
        "older programs read it as well"
    );
    let mut reserving = (*spec).clone();
    reserving.reservation.slots = 2;
    assert_eq!(format(&reserving), FORMAT_RESERVES);
    let read = Spec::of(&reserving).into_model();
    assert_eq!(read, Ok(reserving.clone()));
    let name = "license.nuke".parse().expect("a good name");
    reserving.reservation.global.insert(name, 2);
    assert_eq!(format(&reserving), FORMAT_GLOBAL);
    let document = Spec::of(&reserving);
    let text = serde_json::to_string(&document).expect("JSON");
    assert!(text.contains(r#""global":{"license.nuke":2}"#), "{text}");
    assert_eq!(document.into_model(), Ok(reserving));
}

/// What a program wrote that knew neither ranges of slots nor hosts of one's own.
const FORMAT_3_FREE: &str = r#"{"submitter":"mia","proof":"peer uid 1000","spec":{"name":"render","command":["true"],"umask":18,
        "priority":5,"cpus":2,"reservation":{"slots":2,"takes_free":true},"retrywork":1,"retrywork_delay_ms":0,"retrysubjob":0,
        "grace_ms":30000,"output_limit":1024}}"#;

#[test]
fn forms_of_slots_move_the_format_and_are_read_for_ever() {
    let old = read(FORMAT_3_FREE, FORMAT_RESERVES).expect("readable for ever");
    let has = &old.spec.reservation;
    assert_eq!((has.slots, has.more), (2, More::Free));
    assert_eq!(
        format(&old.spec),
        FORMAT_RESERVES,
        "older programs read it as well"
    );
    for (says, more) in [
        (r#""up_to":4"#, More::UpTo(4)),
        (r#""whole_host":true"#, More::WholeHost),
    ] {
        let text = FORMAT_3_FREE.replace(r#""takes_free":true"#, says);
        let read = read(&text, FORMAT_SLOTS).expect("readable for ever");
        assert_eq!(read.spec.reservation.more, more, "{says}");
        assert_eq!(
            format(&read.spec),
            FORMAT_SLOTS,
            "older programs would start it beside others"
        );
        let again = serde_json::to_string(&Spec::of(&read.spec)).expect("is JSON");
        assert!(
            again.contains(&format!(r#""reservation":{{"slots":2,{says}}}"#)),
            "{again}"
        );
        let again: Spec = serde_json::from_str(&again).expect("is a description");
        assert_eq!(again.into_model().as_ref(), Ok(&*read.spec));
    }
    // More than the newest of the others, whatever else the job asks for.
    let mut all = (*old.spec).clone();
    all.reservation.more = More::WholeHost;
    all.max_failures = 3;
    assert_eq!(format(&all), FORMAT_SLOTS);
}
