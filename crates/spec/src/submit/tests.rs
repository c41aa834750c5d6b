use super::*;
use proptest::prelude::*;
use tessera_model::limits::COMMAND_BYTES_MAX;
use tessera_model::{JobFlag, JobId};

fn draft(command: &[&str]) -> SubmissionDraft {
    let command = command.iter().map(|part| (*part).to_owned()).collect();
    SubmissionDraft {
        command,
        ..SubmissionDraft::default()
    }
}

fn spec(draft: &SubmissionDraft) -> JobSpec {
    draft
        .validate()
        .unwrap_or_else(|errors| panic!("{errors:?}"))
        .spec
}

/// Answers the fields with errors, sorted.
fn wrong(draft: &SubmissionDraft) -> Vec<String> {
    let errors = draft
        .validate()
        .map(|valid| valid.spec)
        .expect_err("a bad draft");
    let mut fields: Vec<String> = errors.into_iter().map(|error| error.field).collect();
    fields.sort_unstable();
    fields
}

#[test]
fn what_is_not_said_has_the_default() {
    let job = spec(&draft(&["/usr/bin/render", "-x"]));
    assert_eq!(job.name, "render");
    assert_eq!((job.priority, job.cpus, job.umask), (9_999, 1, 0o022));
    assert_eq!(
        (job.retrywork, job.retrysubjob, job.retrywork_delay),
        (0, 0, Duration::ZERO)
    );
    assert_eq!(
        (job.timelimit, job.agendatimelimit, job.silence_limit),
        (None, None, None)
    );
    assert_eq!(
        (job.grace, job.output_limit),
        (Duration::from_secs(30), 256 << 20)
    );
    assert_eq!(job.kind, JobKind::CmdLine);
    assert_eq!(
        (job.cwd, job.progress, job.notes.as_str()),
        (None, None, "")
    );
}

#[test]
fn all_that_is_said_arrives() {
    let text = |text: &str| Some(text.to_owned());
    let full = SubmissionDraft {
        command: vec!["render".into(), "QB_FRAME_NUMBER".into()],
        name: text("A shot"),
        range: text("1-10"),
        partitions: Some(3),
        padding: Some(4),
        order: text("binary"),
        priority: Some(1),
        cpus: Some(8),
        max_cpus: Some(-1),
        reservations: text("host.processors=2"),
        memory: text("8G"),
        hosts: Some(vec!["RND1, rnd2".into(), "rnd3".into()]),
        omithosts: Some(vec!["rnd2".into()]),
        cluster: text("/show/a, /b+"),
        restrictions: text("/show/* or /b"),
        requirements: text("host.os = linux and host.memory >= 8G"),
        host_order: text("host.memory,-host.cpus"),
        groups: Some(vec!["GPU, linux".into()]),
        omitgroups: Some(vec!["desktops".into()]),
        env: Some(vec![
            ("A".into(), "1".into()),
            ("_b".into(), String::new()),
            ("A".into(), "2".into()),
        ]),
        cwd: text("/tmp"),
        umask: text("0027"),
        flags: Some(vec!["convert_path, ".into()]),
        retrywork: Some(3),
        retryworkdelay: text("1m"),
        retrysubjob: Some(0),
        retry_oom: Some(0),
        pgrp_limit: Some(5),
        per_host: Some(-1),
        start_rate: text("10/60s"),
        timelimit: text("2h"),
        agendatimelimit: text("90"),
        silence_limit: text("5m"),
        grace: text("0"),
        output_limit: text("1G"),
        progress: text(r"(\d+)%"),
        waitfor: Some(vec!["3,1".into(), "3".into()]),
        after: text("7:frames || render"),
        label: text("comp"),
        pgrp: Some(12),
        mail: Some(vec!["done".into()]),
        mail_to: text("td@studio.example"),
        webhooks: Some(vec!["chat=done,failed".into()]),
        max_failures: Some(5),
        notes: text("two\nlines"),
        status: text("blocked"),
        user: text("mia"),
        key: text("k 1"),
        shell: None,
        chunk: None,
    };
    let valid = full
        .validate()
        .unwrap_or_else(|errors| panic!("{errors:?}"));
    assert!(valid.is_blocked);
    assert_eq!(
        (valid.owner.map(|o| o.to_string()), valid.key),
        (text("mia"), text("k 1"))
    );
    let job = valid.spec;
    let JobKind::CmdRange(agenda) = &job.kind else {
        panic!("no agenda")
    };
    assert_eq!(
        (agenda.items(), agenda.padding(), agenda.order()),
        (3, 4, Order::Binary)
    );
    assert_eq!(
        job.hosts.iter().map(String::as_str).collect::<Vec<_>>(),
        ["rnd1", "rnd2", "rnd3"]
    );
    let reserved = (job.reservation.slots, job.reservation.memory());
    assert_eq!((reserved, job.retry_oom), ((2, Some(8_192)), 0));
    assert_eq!((job.limits.pgrp, job.limits.per_host), (Some(5), None));
    let rate = job.limits.start_rate.map(|rate| rate.to_string());
    assert_eq!(rate, text("10/min"));
    assert_eq!(job.max_failures, 5);
    assert_eq!(job.max_cpus, Some(tessera_model::job::CPUS_ALL));
    assert_eq!(job.env.get("A").map(String::as_str), Some("2"));
    assert_eq!(
        (job.umask, job.retrysubjob, job.grace),
        (0o027, 0, Duration::ZERO)
    );
    let after = job.after.as_ref().map(ToString::to_string);
    assert_eq!(after.as_deref(), Some("1 && 3 && (7:frames || render)"));
    assert_eq!(job.label.as_ref().map(|it| it.as_str()), Some("comp"));
    assert_eq!(job.pgrp, Some(JobId(12)));
    assert_eq!(job.silence_limit, Some(Duration::from_secs(300)));
    assert_eq!(job.output_limit, 1 << 30);
    assert_eq!(job.flags, [JobFlag::ConvertPath].into());
    assert_eq!(job.cluster.to_string(), "/show/a,/b+");
    let restrictions = job.restrictions.as_ref().map(ToString::to_string);
    assert_eq!(restrictions, text("/show/* || /b"));
    assert_eq!(job.groups, ["gpu".to_owned(), "linux".to_owned()].into());
    let again = SubmissionDraft::of(&job);
    assert_eq!(again.flags, Some(vec!["convert_path".to_owned()]));
}

#[test]
fn what_each_host_runs_once_names_neither_instances_nor_frames() {
    let once = SubmissionDraft {
        command: vec!["uptime".into()],
        flags: Some(vec!["host_list".into()]),
        ..SubmissionDraft::default()
    };
    let job = once.validate().expect("good").spec;
    assert!(job.is_once_a_host());
    assert_eq!(SubmissionDraft::of(&job).cpus, None, "counted anew");
    let wrong = SubmissionDraft {
        cpus: Some(2),
        range: Some("1-3".into()),
        ..once
    };
    let errors = wrong.validate().expect_err("neither");
    let fields: Vec<&str> = errors.iter().map(|it| it.field.as_str()).collect();
    assert_eq!(fields, ["cpus", "range"]);
}

#[test]
fn a_job_that_starts_all_at_once_is_not_one_for_each_host() {
    let grid = |flags: &[&str]| SubmissionDraft {
        command: vec!["solve".into()],
        flags: Some(flags.iter().map(|it| (*it).to_owned()).collect()),
        ..SubmissionDraft::default()
    };
    assert!(grid(&["grid"]).validate().expect("good").spec.is_gang());
    let errors = grid(&["grid", "host_list"]).validate().expect_err("either");
    let fields: Vec<&str> = errors.iter().map(|it| it.field.as_str()).collect();
    assert_eq!(fields, ["flags"]);
}

#[test]
fn another_amount_of_memory_takes_the_place_of_what_is_reserved() {
    let old = SubmissionDraft {
        command: vec!["render".into()],
        reservations: Some("host.processors=2,host.memory=8G".into()),
        ..SubmissionDraft::default()
    };
    let more = |memory: &str| SubmissionDraft {
        memory: Some(memory.into()),
        ..SubmissionDraft::default()
    };
    let job = old.clone().overlaid(more("16G")).validate().expect("good");
    assert_eq!(job.spec.reservation.memory(), Some(16_384));
    assert_eq!((job.spec.reservation.slots, job.learns_memory), (2, false));
    let job = old.overlaid(more("learnt")).validate().expect("good");
    assert_eq!(job.spec.reservation.memory(), None);
    assert!(job.learns_memory);
}

#[test]
fn all_errors_come_at_once_each_with_its_field() {
    let text = |text: &str| Some(text.to_owned());
    let bad = SubmissionDraft {
        command: vec!["render\0".into()],
        name: text("a\nb"),
        range: text("1-x"),
        chunk: Some(0),
        padding: Some(99),
        order: text("sideways"),
        priority: Some(0),
        cpus: Some(-1),
        max_cpus: Some(-2),
        reservations: text("host.memory=8X"),
        memory: text("much"),
        hosts: Some(vec!["no host".into()]),
        omithosts: Some(vec!["-".into()]),
        cluster: text("show"),
        restrictions: text("/a && /b"),
        requirements: text("host.os ="),
        host_order: text("job.id"),
        groups: Some(vec!["a b".into()]),
        omitgroups: Some(vec!["a/b".into()]),
        env: Some(vec![("A=B".into(), "1".into()), ("C".into(), "\0".into())]),
        cwd: text("tmp"),
        umask: text("999"),
        flags: Some(vec!["convert_path,expand".into()]),
        retrywork: Some(-2),
        retryworkdelay: text("-1"),
        retrysubjob: Some(1_000_000),
        retry_oom: Some(1_000_000),
        pgrp_limit: Some(0),
        per_host: Some(-2),
        start_rate: text("fast"),
        timelimit: text("0"),
        agendatimelimit: text("5 parsecs"),
        silence_limit: text("500d"),
        grace: text(""),
        output_limit: text("0"),
        progress: text("("),
        waitfor: Some(vec!["0".into()]),
        after: text("7:finished"),
        label: text("1"),
        pgrp: Some(0),
        mail: Some(vec!["host_lost".into()]),
        mail_to: text("td"),
        webhooks: Some(vec!["Chat=done".into()]),
        max_failures: Some(-1),
        notes: text("\0"),
        status: text("running"),
        user: text("Root"),
        key: text(""),
        shell: text("/bin/sh -x"),
        partitions: None,
    };
    let expected = [
        "after",
        "agendatimelimit",
        "chunk",
        "cluster",
        "command[0]",
        "cpus",
        "cwd",
        "env",
        "env.C",
        "flags",
        "grace",
        "groups",
        "host_order",
        "hosts",
        "key",
        "label",
        "mail",
        "mail_to",
        "max_cpus",
        "max_failures",
        "memory",
        "name",
        "notes",
        "omitgroups",
        "omithosts",
        "order",
        "output_limit",
        "padding",
        "per_host",
        "pgrp",
        "pgrp_limit",
        "priority",
        "progress",
        "range",
        "requirements",
        "reservations",
        "restrictions",
        "retry_oom",
        "retrysubjob",
        "retrywork",
        "retryworkdelay",
        "shell",
        "silence_limit",
        "start_rate",
        "status",
        "timelimit",
        "umask",
        "user",
        "waitfor",
        "webhooks",
    ];
    assert_eq!(wrong(&bad), expected);
}

#[test]
fn another_job_like_it_leaves_it_its_label() {
    let labelled = |after: &str| SubmissionDraft {
        label: Some("comp".into()),
        pgrp: Some(12),
        after: Some(after.into()),
        ..draft(&["true"])
    };
    let like = |after: &str| spec(&SubmissionDraft::like(&spec(&labelled(after))));
    assert_eq!((like("7").label, like("7").pgrp), (None, None));
    assert_eq!(like("7 || render").pgrp, Some(JobId(12)));
}

#[test]
fn a_token_needs_a_range_and_a_range_no_token() {
    let errors = draft(&["render", "-f", "QB_FRAME_NUMBER"])
        .validate()
        .expect_err("no range");
    assert_eq!(
        errors[0].to_string(),
        "command[2]: QB_FRAME_NUMBER stands for a frame, and the job has no range (add a range such as 1-100)"
    );
    assert_eq!(
        wrong(&draft(&["sh", "-c", "echo $QB_FRAME_RANGE"])),
        ["command[2]"]
    );
    let ranged = SubmissionDraft {
        range: Some("1-3".into()),
        ..draft(&["render"])
    };
    assert_eq!(spec(&ranged).items(), 3);
}

#[test]
fn what_is_about_frames_needs_frames() {
    let bad = SubmissionDraft {
        chunk: Some(2),
        padding: Some(4),
        order: Some("reverse".into()),
        ..draft(&["true"])
    };
    assert_eq!(wrong(&bad), ["chunk", "order", "padding"]);
    let both = SubmissionDraft {
        range: Some("1-9".into()),
        chunk: Some(2),
        partitions: Some(2),
        ..draft(&["true"])
    };
    assert_eq!(wrong(&both), ["partitions"]);
    let large = SubmissionDraft {
        range: Some("1-20000000".into()),
        ..draft(&["true"])
    };
    assert_eq!(wrong(&large), ["range"]);
}

#[test]
fn what_a_shell_makes_of_a_command_is_checked_too() {
    let field = |shell: String, command: &str| {
        let draft = SubmissionDraft {
            shell: Some(shell),
            ..draft(&[command])
        };
        let errors = draft.validate().expect_err("is wrong");
        errors[0].field.clone()
    };
    // As the first argument of what runs it would stand for a frame.
    assert_eq!(field("/bin/QB_FRAME_END".into(), "true"), "shell");
    assert_eq!(field("s".repeat(COMMAND_BYTES_MAX), "true"), "command");
    let most = "x".repeat(COMMAND_BYTES_MAX - 1);
    assert!(draft(&[&most]).validate().is_ok());
    assert_eq!(field("sh".into(), &most), "command");
}

#[test]
fn a_shell_gets_the_command_as_one_text() {
    let job = spec(&SubmissionDraft {
        shell: Some("/bin/bash".into()),
        ..draft(&["echo", "a", "|", "wc"])
    });
    assert_eq!(job.command, ["/bin/bash", "-c", "echo a | wc"]);
    assert_eq!(job.name, "echo");
    let one = spec(&SubmissionDraft {
        shell: Some("sh".into()),
        ..draft(&["/opt/nuke -x | tee log"])
    });
    assert_eq!(one.name, "nuke");
}

#[test]
fn commands_are_bounded() {
    assert_eq!(wrong(&draft(&[])), ["command"]);
    assert_eq!(wrong(&draft(&["  ", "x"])), ["command"]);
    assert_eq!(wrong(&draft(&vec!["a"; 5_000])), ["command"]);
    assert_eq!(wrong(&draft(&["a", &"b".repeat(200_000)])), ["command"]);
    assert!(
        draft(&["render", ""]).validate().is_ok(),
        "an empty argument is an argument"
    );
}

#[test]
fn default_names_are_names() {
    for (program, name) in [("/a/b/", "b"), ("///", "job"), ("a\nb", "a?b"), ("x", "x")] {
        let job = draft(&[program]);
        assert_eq!(spec(&job).name, name, "{program:?}");
    }
    let long = "ä".repeat(400);
    assert!(spec(&draft(&[&long])).name.len() <= tessera_model::limits::NAME_BYTES_MAX);
}

#[test]
fn environments_are_bounded() {
    let many = (0..5_000)
        .map(|n| (format!("V{n}"), String::new()))
        .collect();
    assert_eq!(
        wrong(&SubmissionDraft {
            env: Some(many),
            ..draft(&["a"])
        }),
        ["env"]
    );
    let large = vec![("A".to_owned(), "x".repeat(300_000))];
    assert_eq!(
        wrong(&SubmissionDraft {
            env: Some(large),
            ..draft(&["a"])
        }),
        ["env"]
    );
    let wrong_names = (0..5_000)
        .map(|n| (format!("{n}"), String::new()))
        .collect();
    let errors = SubmissionDraft {
        env: Some(wrong_names),
        ..draft(&["a"])
    }
    .validate()
    .expect_err("bad names");
    assert_eq!(errors.len(), crate::field::ERRORS_MAX);
}

#[test]
fn hosts_that_are_all_ruled_out_are_an_error() {
    let none = SubmissionDraft {
        hosts: Some(vec!["a,b".into()]),
        omithosts: Some(vec!["B,a,c".into()]),
        ..draft(&["true"])
    };
    assert_eq!(wrong(&none), ["omithosts"]);
    let none = SubmissionDraft {
        groups: Some(vec!["gpu".into()]),
        omitgroups: Some(vec!["GPU,a b".into()]),
        ..draft(&["true"])
    };
    assert_eq!(wrong(&none), ["omitgroups", "omitgroups"]);
}

#[test]
fn patterns_are_linear_and_have_a_group() {
    let progress = |text: &str| SubmissionDraft {
        progress: Some(text.into()),
        ..draft(&["true"])
    };
    assert!(progress(r"^Rendered +(\d{1,3}) ?%").validate().is_ok());
    for bad in [
        "",
        r"\d+%",
        "(",
        r"(a)\1",
        "(?=x)(y)",
        "((a{500}){500}){500}",
        &format!("{}a{}", "(".repeat(200), ")".repeat(200)),
    ] {
        assert_eq!(wrong(&progress(bad)), ["progress"], "{bad}");
    }
}

#[test]
fn an_overlay_replaces_what_it_says() {
    let old = SubmissionDraft {
        range: Some("1-10".into()),
        chunk: Some(2),
        name: Some("old".into()),
        timelimit: Some("1h".into()),
        ..draft(&["a", "b"])
    };
    let over = SubmissionDraft {
        partitions: Some(4),
        timelimit: Some("none".into()),
        ..SubmissionDraft::default()
    };
    let new = old.clone().overlaid(over);
    assert_eq!(
        (new.chunk, new.partitions, new.name.as_deref()),
        (None, Some(4), Some("old"))
    );
    assert_eq!(spec(&new).timelimit, None);
    let new = spec(&old.overlaid(draft(&["/bin/c"])));
    assert_eq!(
        (new.name.as_str(), new.command.as_slice()),
        ("c", &["/bin/c".to_owned()][..])
    );
}

fn any_good_draft() -> impl Strategy<Value = SubmissionDraft> {
    let agenda = proptest::option::of(("-?[0-9]{1,3}", 1_i64..9, 0_i64..5, any::<bool>()));
    let times = (
        proptest::option::of(1_u32..100_000),
        proptest::option::of(0_u32..100_000),
    );
    (
        proptest::collection::vec("[a-z /%é]{1,9}x", 1..5),
        agenda,
        times,
        1_i64..9_999,
        0_i64..9,
        0_u32..0o777,
    )
        .prop_map(
            |(command, agenda, (limit, grace), priority, retrywork, umask)| {
                let mut draft = SubmissionDraft {
                    command,
                    priority: Some(priority),
                    retrywork: Some(retrywork),
                    timelimit: limit.map(|seconds| seconds.to_string()),
                    grace: grace.map(|seconds| seconds.to_string()),
                    umask: Some(format!("{umask:o}")),
                    ..SubmissionDraft::default()
                };
                if let Some((start, split, padding, is_chunk)) = agenda {
                    draft.range = Some(format!("{start}-500x7,1000,1001"));
                    draft.padding = Some(padding);
                    *(if is_chunk {
                        &mut draft.chunk
                    } else {
                        &mut draft.partitions
                    }) = Some(split);
                }
                draft
            },
        )
}

proptest! {
    #[test]
    fn a_job_submitted_again_is_the_same(draft in any_good_draft()) {
        let job = spec(&draft);
        prop_assert_eq!(spec(&SubmissionDraft::of(&job)), job);
    }

    #[test]
    fn any_text_in_any_field_is_checked(
        texts in proptest::collection::vec(proptest::option::of(any::<String>()), 18),
        numbers in proptest::collection::vec(proptest::option::of(any::<i64>()), 7),
    ) {
        let text = |n: usize| texts[n].clone();
        let list = |n: usize| texts[n].clone().map(|text| vec![text]);
        let draft = SubmissionDraft {
            command: list(0).unwrap_or_default(),
            shell: text(1), name: text(2), range: text(3), order: text(4), hosts: list(5), omithosts: list(6),
            env: text(7).map(|text| vec![(text.clone(), text)]),
            cwd: text(8), umask: text(9), timelimit: text(10), output_limit: text(11), progress: text(12),
            waitfor: list(13), user: text(14), key: text(15), after: text(16), label: text(17),
            chunk: numbers[0], partitions: numbers[1], padding: numbers[2], priority: numbers[3], cpus: numbers[4],
            retrywork: numbers[5], retrysubjob: numbers[6],
            ..SubmissionDraft::default()
        };
        if let Err(errors) = draft.validate() {
            prop_assert!(!errors.is_empty());
        }
    }
}

#[test]
fn mail_is_asked_for_by_words_and_one_address() {
    let draft = |mail: &[&str], to: Option<&str>| SubmissionDraft {
        command: vec!["true".into()],
        mail: Some(mail.iter().map(|it| (*it).to_owned()).collect()),
        mail_to: to.map(ToOwned::to_owned),
        ..SubmissionDraft::default()
    };
    let good = draft(&["done,failed", "frame_failed"], Some("td@studio.example"));
    let spec = good.validate().expect("good").spec;
    let mail = spec.mail.clone().expect("asked for");
    assert_eq!(mail.on.len(), 3);
    assert_eq!(
        mail.to.map(|it| it.to_string()).as_deref(),
        Some("td@studio.example")
    );
    let again = SubmissionDraft::like(&spec).validate().expect("good").spec;
    assert_eq!(
        again.mail, spec.mail,
        "another job like it asks for it, too"
    );
    let none = SubmissionDraft {
        mail: Some(vec!["none".into()]),
        ..SubmissionDraft::default()
    };
    let without = SubmissionDraft::like(&spec).overlaid(none);
    assert_eq!(without.validate().expect("good").spec.mail, None);
    assert_eq!(
        draft(&["none"], None).validate().expect("good").spec.mail,
        None
    );
    for (draft, field, said) in [
        (draft(&["host_lost"], None), "mail", "no mail is written on"),
        (
            draft(&["done"], Some("td")),
            "mail_to",
            "no plain mail address",
        ),
        (
            draft(&["done"], Some("a@x,b@y")),
            "mail_to",
            "no plain mail address",
        ),
        (
            draft(&[], Some("td@x")),
            "mail_to",
            "nothing is to be mailed",
        ),
    ] {
        let errors = draft.validate().expect_err(said);
        assert_eq!(errors[0].field, field);
        assert!(errors[0].message.contains(said), "{errors:?}");
    }
}

#[test]
fn retries_below_none_are_refused() {
    let draft = SubmissionDraft {
        command: vec!["true".into()],
        retrywork: Some(-1),
        retrysubjob: Some(-1),
        retry_oom: Some(-1),
        ..SubmissionDraft::default()
    };
    let errors = draft.validate().expect_err("refused");
    let said: Vec<String> = errors.iter().map(|bad| bad.to_string()).collect();
    assert_eq!(
        said,
        [
            "retrywork: -1 is not from 0 to 1000 (write 0 for none)",
            "retrysubjob: -1 is not from 0 to 1000 (write 0 for none)",
            "retry_oom: \"-1\" is out of range (write a number from 0 to 15)"
        ]
    );
}

#[test]
fn webhooks_are_asked_for_by_channel_and_words() {
    let draft = |list: &[&str]| SubmissionDraft {
        command: vec!["true".into()],
        webhooks: Some(list.iter().map(|it| (*it).to_owned()).collect()),
        ..SubmissionDraft::default()
    };
    let spec = draft(&["chat=done,failed", "wall=stranded", "chat=killed"]);
    let spec = spec.validate().expect("good").spec;
    let asked: Vec<(&str, usize)> = spec
        .webhooks
        .iter()
        .map(|(name, on)| (name.as_str(), on.len()))
        .collect();
    assert_eq!(asked, [("chat", 3), ("wall", 1)]);
    let like = SubmissionDraft::like(&spec);
    assert_eq!(
        like.webhooks.as_deref(),
        Some(
            &[
                "chat=done,failed,killed".to_owned(),
                "wall=stranded".to_owned()
            ][..]
        )
    );
    let none = like
        .overlaid(draft(&["none"]))
        .validate()
        .expect("good")
        .spec;
    assert!(none.webhooks.is_empty());
    let many: Vec<String> = (0..9).map(|n| format!("c{n}=done")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (list, said) in [
        (&["chat"][..], "says not when"),
        (&["chat=none"], "says not when"),
        (&["chat=host_lost"], "on \"host_lost\""),
        (&["https://x.example/=done"], "no channel's name"),
        (&["=done"], "no channel's name"),
        (&many, "at most 8"),
    ] {
        let errors = draft(list).validate().expect_err(list[0]);
        let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert!(errors.iter().all(|it| it.field == "webhooks"), "{all:?}");
        assert!(all.iter().any(|it| it.contains(said)), "{said}: {all:?}");
    }
}
