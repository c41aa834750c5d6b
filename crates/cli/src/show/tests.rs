//! What people see, at 80 columns and piped, with names that would rather not be shown.

mod share;

use super::{
    actions, attempts, channels, cleanup, history, host, hosts, info, items, job, jobs,
    mail_wishes, notify_reloaded, notify_tested, reconfigured, resources, tokens, why,
};
use crate::out::{Look, text};
use std::collections::BTreeMap;
use tessera_api::types::{
    ActionReply, AttemptRow, Caller, Changed, ChannelRow, ChannelTried, Channels, CleanedJob,
    CleanupReply, EndView, Event, HostDetail, HostReserved, HostRow, HostSettings, Info,
    InstanceRow, ItemCounts, ItemRow, JobDetail, JobSummary, Jobs, MailWishes, NotifyReloaded,
    Reason, ReconfigureReply, ReconfiguredHost, ResourceHolder, ResourceRow, RunningRow, SpecView,
    TargetResult, Token, Why,
};
use tessera_api::{ApiError, ErrorCode};

pub(super) const NOW: i64 = 1_795_413_785_000;

pub(super) fn look(width: Option<usize>) -> Look {
    Look {
        width,
        colour: false,
        now_ms: NOW,
        zone: jiff::tz::TimeZone::UTC,
    }
}

pub(super) fn both(print: impl Fn(&Look) -> String) -> String {
    let terminal = print(&look(Some(80)));
    for line in terminal.lines() {
        assert!(text::width(line) <= 80, "too wide: {line}");
        assert!(
            !line.chars().any(char::is_control),
            "control characters: {line:?}"
        );
    }
    format!(
        "--- 80 columns\n{terminal}--- piped\n{}",
        print(&look(None))
    )
}

fn summary(id: u64, name: &str, status: &str) -> JobSummary {
    JobSummary {
        id,
        name: name.into(),
        user: "mia".into(),
        kind: "cmdrange".into(),
        status: status.into(),
        priority: 50,
        cpus: 4,
        running_instances: 2,
        items: ItemCounts {
            total: 100,
            complete: 57,
            running: 2,
            pending: 41,
            ..ItemCounts::default()
        },
        submitted_ms: NOW - 3_700_000,
        started_ms: Some(NOW - 3_600_000),
        ..JobSummary::default()
    }
}

fn page() -> Jobs {
    let failing = JobSummary {
        is_failing: true,
        items: ItemCounts {
            total: 10,
            complete: 5,
            failed: 1,
            pending: 4,
            ..ItemCounts::default()
        },
        ..summary(
            12_345,
            "shot_020 comp with a name that goes on and on and on",
            "running",
        )
    };
    let hostile = JobSummary {
        user: "eve".into(),
        ended_ms: Some(NOW - 5_000),
        ..summary(
            7,
            "\x1b[2J\x1b]0;pwn\x07\u{202e}gpj.exe\nerror: nice try",
            "complete",
        )
    };
    Jobs {
        jobs: vec![failing, summary(12, "漢字 shot", "running"), hostile],
        next: Some("x".into()),
        notices: Vec::new(),
    }
}

#[test]
fn jobs_are_listed() {
    insta::assert_snapshot!(both(|look| jobs(look, &page())));
    assert_eq!(jobs(&look(None), &Jobs::default()), "no jobs\n");
    let well = Jobs {
        jobs: vec![summary(12, "shot_010", "running")],
        next: None,
        notices: Vec::new(),
    };
    assert!(!jobs(&look(None), &well).contains("FAILED"));
}

#[test]
fn jobs_as_json_are_the_api_types() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&page().jobs[1]).expect("JSON"));
}

#[test]
fn a_job_is_described() {
    let detail = JobDetail {
        job: summary(12, "shot_010", "running"),
        spec: SpecView {
            name: "shot_010".into(),
            kind: "cmdrange".into(),
            command: ["blender", "-b", "my shot.blend", "-f", "QB_FRAME_NUMBER"].map(String::from).to_vec(),
            range: Some("1-100".into()),
            chunk: Some(5),
            order: Some("binary".into()),
            padding: Some(4),
            env: BTreeMap::from([("OCIO".into(), "/x/\x1bconfig.ocio".into())]),
            cwd: Some("/shots/010".into()),
            umask: "022".into(),
            retrywork: 2,
            retryworkdelay_ms: 30_000,
            agendatimelimit_ms: Some(3_600_000),
            waitfor: vec![11],
            notes: "a note that is long enough to be wrapped beside its label when it is shown to a person".into(),
            ..SpecView::default()
        },
        instances: vec![
            InstanceRow {
                instance: 0,
                status: "running".into(),
                host: Some("rnd001".into()),
                account: Some("mia".into()),
                item: Some(57),
                since_ms: Some(NOW - 60_000),
                ..InstanceRow::default()
            },
            InstanceRow {
                instance: 1,
                status: "badlogin".into(),
                reason: Some("there is no account mia on rnd002".into()),
                ..InstanceRow::default()
            },
        ],
        hosts: vec!["rnd001".into()],
        proof: "peer uid 1000".into(),
    };
    insta::assert_snapshot!(both(|look| job(look, &detail)));
}

fn item(index: u32, status: &str) -> ItemRow {
    ItemRow {
        index,
        name: (index + 1).to_string(),
        status: status.into(),
        attempt: 1,
        host: Some("rnd001".into()),
        account: Some("mia".into()),
        elapsed_ms: Some(83_000),
        peak_memory: Some(1 << 30),
        ..ItemRow::default()
    }
}

#[test]
fn frames_are_listed() {
    let failed = EndView {
        text: "exit 1".into(),
        outcome: "failed".into(),
        kind: "exit".into(),
        ..EndView::default()
    };
    let rows = [
        item(0, "complete"),
        ItemRow {
            end: Some(failed),
            attempt: 3,
            ..item(1, "failed")
        },
        ItemRow {
            progress: Some(42),
            ..item(2, "running")
        },
        ItemRow {
            waits_until_ms: Some(NOW + 20_000),
            ..item(3, "waiting")
        },
        ItemRow {
            index: 4,
            name: "5-9".into(),
            status: "pending".into(),
            ..ItemRow::default()
        },
    ];
    insta::assert_snapshot!(both(|look| items(look, &rows, true)));
}

#[test]
fn attempts_are_listed() {
    let end = EndView {
        text: "signal 9 (KILL)".into(),
        outcome: "failed".into(),
        kind: "signal".into(),
        ..EndView::default()
    };
    let rows = [
        AttemptRow {
            attempt: 1,
            host: "rnd001".into(),
            account: "mia".into(),
            started_ms: Some(NOW - 90_000),
            elapsed_ms: Some(61_000),
            cpu_ms: Some(59_400),
            peak_memory: Some(3 << 30),
            printed_out: 10_000,
            kept_out: 10_000,
            leftovers: 2,
            end: Some(end),
            ..AttemptRow::default()
        },
        AttemptRow {
            attempt: 2,
            host: "rnd002".into(),
            account: "mia".into(),
            counted: true,
            ..AttemptRow::default()
        },
        AttemptRow {
            attempt: 3,
            host: "rnd003".into(),
            account: "mia".into(),
            counted: true,
            printed_out: 640 << 10,
            kept_out: 320 << 10,
            end: Some(EndView {
                text: "exit 0".into(),
                outcome: "done".into(),
                ..EndView::default()
            }),
            ..AttemptRow::default()
        },
    ];
    insta::assert_snapshot!(both(|look| attempts(look, &rows)));
}

#[test]
fn history_is_told_in_order() {
    let event = |kind: &str, text: &str| Event {
        at_ms: NOW - 60_000,
        kind: kind.into(),
        job: Some(12),
        text: text.into(),
        ..Event::default()
    };
    let events = [
        Event {
            actor: Some("mia".into()),
            ..event("job.submitted", "submitted: 100 frames")
        },
        Event {
            item: Some(6),
            attempt: Some(2),
            host: Some("rnd001".into()),
            ..event("item.assigned", "")
        },
        Event {
            item: Some(6),
            attempt: Some(2),
            status: Some("failed".into()),
            ..event("item.ended", "exit 1\x1b[31m")
        },
    ];
    insta::assert_snapshot!(both(|look| history(look, 12, &events)));
}

fn host_row(name: &str, status: &str) -> HostRow {
    HostRow {
        id: "00010203-0405-0607-0809-0a0b0c0dfeff".into(),
        name: name.into(),
        status: status.into(),
        slots: 16,
        used_slots: 3,
        mode: "user".into(),
        properties: BTreeMap::from([
            ("host.os".into(), "linux".into()),
            ("host.architecture".into(), "x86_64".into()),
        ]),
        resources: BTreeMap::from([("host.memory".into(), 65_536)]),
        version: "0.1.0".into(),
        last_seen_ms: Some(NOW - 4_000),
        ..HostRow::default()
    }
}

#[test]
fn hosts_are_listed_and_described() {
    let rows = [
        HostRow {
            is_locked: true,
            ..host_row("rnd001", "up")
        },
        HostRow {
            mode: "proxy".into(),
            account: Some("tessera-job".into()),
            ..host_row("rnd002.studio.example", "away")
        },
        HostRow {
            reason: Some("its clock is 90 s ahead".into()),
            ..host_row("rnd003", "panic")
        },
        HostRow {
            reserved: Some(HostReserved {
                job: 431,
                until_ms: NOW + 1_200_000,
                is_known: true,
            }),
            ..host_row("rnd004", "up")
        },
        HostRow {
            mode: "desktop".into(),
            account: Some("anna".into()),
            allows: vec!["bob".into()],
            active: Some("locked: anna is active (idle 12 s of 600 s)".into()),
            ..host_row("ws17", "up")
        },
    ];
    insta::assert_snapshot!("hosts", both(|look| hosts(look, &rows)));
    let running = RunningRow {
        job: 12,
        name: "shot_010".into(),
        user: "mia".into(),
        account: Some("mia".into()),
        item_name: Some("7".into()),
        since_ms: Some(NOW - 60_000),
        ..RunningRow::default()
    };
    let detail = HostDetail {
        host: rows[0].clone(),
        running: vec![running],
    };
    insta::assert_snapshot!("host", both(|look| host(look, &detail)));
}

#[test]
fn a_reconfiguration_tells_what_each_host_took() {
    let took = |is_current: Option<bool>| HostSettings {
        lookup: "local,supervisor".into(),
        taken: Some("5e".repeat(16)),
        is_current,
        ..HostSettings::default()
    };
    let host = |name: &str, changed: &[&str], settings: Option<HostSettings>| ReconfiguredHost {
        name: name.into(),
        changed: changed.iter().map(|it| (*it).to_owned()).collect(),
        settings,
    };
    let late = HostSettings {
        restart: vec!["proxy_nice_value".into()],
        ..took(Some(true))
    };
    let strange = HostSettings {
        refused: [("worker_colour".into(), "this worker doesn't know it".into())].into(),
        ..took(Some(true))
    };
    let local = HostSettings {
        lookup: "local".into(),
        ..HostSettings::default()
    };
    let reply = ReconfigureReply {
        file: "/etc/tessera/workers.toml".into(),
        warnings: vec![
            "/etc/tessera/workers.toml:3:1: warning: nobody inherits [template.a]".into(),
        ],
        hosts: vec![
            host("rnd001", &["worker_groups"], Some(took(Some(true)))),
            host("rnd002", &["proxy_nice_value"], Some(late)),
            host("rnd003", &[], Some(strange)),
            host("rnd004", &["worker_cpus"], Some(took(Some(false)))),
            host("rnd005", &["worker_cpus"], Some(local)),
            host("rnd006", &["worker_cpus"], None),
        ],
        away: vec!["rnd007".into()],
    };
    insta::assert_snapshot!("reconfigured", both(|look| reconfigured(look, &reply)));
}

#[test]
fn reasons_are_told_with_what_would_help() {
    let reason = |kind: &str, count: u32, said: &str| Reason {
        kind: kind.into(),
        count,
        text: said.into(),
        ..Reason::default()
    };
    let answer = Why {
        job: 12,
        status: "pending".into(),
        summary: "no host can take an instance of it now; the next free slot of 2 hosts will"
            .into(),
        reasons: vec![
            Reason {
                hosts: (1..12).map(|n| format!("rnd{n:03}")).collect(),
                ..reason("no_free_slot", 11, "all slots are in use")
            },
            Reason {
                hint: Some("tessera unlock rnd042".into()),
                ..reason("host_locked", 1, "locked by somebody")
            },
            reason("waitfor", 0, "it waits for job 11"),
        ],
    };
    insta::assert_snapshot!(both(|look| why(look, &answer)));
}

#[test]
fn what_was_done_is_said() {
    let reply = ActionReply {
        results: vec![
            TargetResult {
                target: "12:1-10".into(),
                ok: Some(Changed {
                    items: 10,
                    instances: 0,
                }),
                error: None,
            },
            TargetResult {
                target: "13".into(),
                ok: None,
                error: Some(ApiError::new(ErrorCode::NotFound, "there is no job 13")),
            },
            TargetResult {
                target: "14.0".into(),
                ok: Some(Changed {
                    items: 1,
                    instances: 1,
                }),
                error: None,
            },
        ],
    };
    insta::assert_snapshot!(actions(&look(None), "killed", &reply), @r"
    killed 12:1-10 (10 frames)
    killed 14.0 (1 frame, 1 instance)
    ");
}

#[test]
fn tokens_cleanup_and_who_you_are() {
    let token = |id: &str| Token {
        id: id.into(),
        user: "mia".into(),
        note: "laptop\x1b[2J".into(),
        created_ms: NOW - 86_400_000 * 3,
        expires_ms: Some(NOW - 1),
        ..Token::default()
    };
    insta::assert_snapshot!(
        "tokens",
        both(|look| tokens(
            look,
            &[
                token("3f2a"),
                Token {
                    admin: true,
                    ..token("77aa")
                }
            ]
        ))
    );
    let cleaned = CleanedJob {
        id: 3,
        name: "old".into(),
        user: "mia".into(),
        ended_ms: NOW - 86_400_000 * 40,
        log_bytes: 1 << 20,
    };
    let reply = CleanupReply {
        dry_run: true,
        jobs: vec![cleaned],
        jobs_removed: 25,
        log_bytes: 5 << 20,
        events_removed: 900,
    };
    insta::assert_snapshot!("cleanup", both(|look| cleanup(look, &reply)));
    let who = Info {
        farm_id: "00010203-0405-0607-0809-0a0b0c0dfeff".into(),
        farm_name: "tessera".into(),
        version: "0.1.0".into(),
        api: 1,
        caller: Caller {
            name: "mia".into(),
            proof: "peer uid 1000".into(),
            is_admin: false,
        },
        ca_sha256: "ab".repeat(32),
        ..Info::default()
    };
    insta::assert_snapshot!("info", both(|look| info(look, &who)));
    let caller = Caller {
        name: "root".into(),
        proof: "peer uid 0".into(),
        is_admin: true,
    };
    let shown = info(&look(None), &Info { caller, ..who });
    assert!(
        shown.contains("an administrator: you may do everything\n"),
        "{shown}"
    );
    assert!(!shown.contains("your own jobs"), "{shown}");
}

#[test]
fn a_host_that_was_never_there_says_so() {
    let row = HostRow {
        name: "rnd009".into(),
        status: "away".into(),
        reason: Some("its worker has never connected".into()),
        ..HostRow::default()
    };
    let list = hosts(&look(None), std::slice::from_ref(&row));
    let line = list.lines().nth(1).expect("a host");
    assert!(
        line.starts_with("rnd009") && line.ends_with("never"),
        "{list}"
    );
    let detail = HostDetail {
        host: row,
        running: Vec::new(),
    };
    assert!(host(&look(None), &detail).contains("last seen    never\n"));
}

#[test]
fn a_join_string_for_this_machine_alone_is_seen() {
    let of = super::loopback_of;
    assert_eq!(
        of("tessera-join:1:127.0.0.1:7433:secret:print"),
        Some("127.0.0.1:7433")
    );
    assert_eq!(of("tessera-join:1:[::1]:7433:s:p"), Some("[::1]:7433"));
    assert_eq!(of("tessera-join:1:localhost:1:s:p"), Some("localhost:1"));
    for others in [
        "tessera-join:1:10.0.0.1:7433:s:p",
        "tessera-join:1:farm:7433:s:p",
        "tessera-join:1",
        "",
    ] {
        assert_eq!(of(others), None, "{others}");
    }
}

#[test]
fn a_reason_is_not_said_twice() {
    let failed = Why {
        job: 12,
        status: "failed".into(),
        summary: "5 of 5 failed frames ended with: exit 3; for instance 12:1".into(),
        reasons: vec![Reason {
            kind: "failed".into(),
            count: 5,
            hosts: vec!["rnd001".into()],
            text: "5 of 5 failed frames ended with: exit 3; for instance 12:1".into(),
            hint: Some("see tessera log 12:1".into()),
        }],
    };
    insta::assert_snapshot!(why(&look(Some(80)), &failed), @r"
    job 12 is failed
            5 of 5 failed frames ended with: exit 3; for instance 12:1
            rnd001
            → see tessera log 12:1
    ");
}

#[test]
fn channels_and_tests_of_them() {
    let good = ChannelRow {
        name: "chat".into(),
        kind: "webhook".into(),
        target: "https://chat.example".into(),
        on: vec!["failed".into(), "host_lost".into()],
        told: 12,
        last_told_ms: Some(NOW - 60_000),
        ..ChannelRow::default()
    };
    let bad = ChannelRow {
        name: "bot".into(),
        waiting: 1,
        gathering: 2,
        told: 0,
        given_up: 1,
        last_told_ms: None,
        failing_since_ms: Some(NOW - 3_600_000),
        last_error: Some("answered 500 Internal Server Error: \u{1b}[2J".into()),
        ..good.clone()
    };
    let of = |rows: &[&ChannelRow]| Channels {
        channels: rows.iter().map(|&it| it.clone()).collect(),
        mistake: None,
    };
    let partly = ChannelRow {
        name: "artists".into(),
        aside: 2,
        last_refused: Some("a job of mia failed: mia@x.example: 550\u{1b} 5.7.1 no".into()),
        ..good.clone()
    };
    let shown = both(|look| channels(look, &of(&[&partly])));
    let why = "artists: refused (2 set aside, tried again every 10 min), the last: a job of mia failed: mia@x.example: 550";
    assert!(shown.contains(why) && !shown.contains("good"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "{shown}");
    let shown = both(|look| channels(look, &of(&[&good, &bad])));
    let why = "bot: failing, first 1h ago: answered";
    assert!(
        shown.contains(why) && shown.contains("500 Internal Server Error"),
        "{shown}"
    );
    assert!(
        !shown.contains("chat: failing,") && !shown.contains('\u{1b}'),
        "{shown}"
    );
    let piped: Vec<&str> = shown
        .lines()
        .skip_while(|line| *line != "--- piped")
        .collect();
    assert!(
        piped[2].contains("chat") && piped[2].contains("good"),
        "{shown}"
    );
    assert!(
        piped[3].contains("bot") && piped[3].contains("failing"),
        "{shown}"
    );
    assert!(both(|look| channels(look, &of(&[]))).contains("nobody is told"));
    let mistaken = Channels {
        mistake: Some("notify.toml:6: unknown field `colour`".into()),
        ..of(&[&good])
    };
    let shown = both(|look| channels(look, &mistaken));
    assert!(
        shown.contains("not taken up: notify.toml:6: unknown field `colour`\n"),
        "{shown}"
    );
    let done = NotifyReloaded {
        added: vec!["chat".into(), "bot".into()],
        unchanged: vec!["artists".into()],
        ..NotifyReloaded::default()
    };
    let shown = both(|look| notify_reloaded(look, &done));
    assert!(
        shown.contains("added: chat, bot\nunchanged: artists\n"),
        "{shown}"
    );
    let tried = |channel: &str, is_taken, said: &str| ChannelTried {
        channel: channel.into(),
        is_taken,
        said: said.into(),
    };
    let all = [
        tried("chat", true, "204 No Content"),
        tried("bot", false, "no connection: \u{1b}refused"),
    ];
    let shown = both(|look| notify_tested(look, &all));
    assert!(shown.contains("chat: taken: 204 No Content\n"), "{shown}");
    assert!(
        shown.contains("bot: not taken: no connection: ") && !shown.contains('\u{1b}'),
        "{shown}"
    );
}

#[test]
fn wishes_say_what_and_where_to() {
    let wishes = |on: &[&str], to: Option<&str>| MailWishes {
        user: "mia".into(),
        on: on.iter().map(|it| (*it).to_owned()).collect(),
        to: to.map(ToOwned::to_owned),
    };
    let shown = |it: MailWishes| mail_wishes(&look(None), &it);
    let to = Some("mia@studio.example");
    for (it, expected) in [
        (
            wishes(&["done", "failed"], to),
            "mia is mailed on done, failed to mia@studio.example\n",
        ),
        (
            wishes(&[], to),
            "mia wishes no mail; it would go to mia@studio.example\n",
        ),
        (
            wishes(&["done"], None),
            "mia wishes mail on done, but this farm writes none to people now\n",
        ),
        (
            wishes(&[], None),
            "mia wishes no mail; this farm writes none to people\n",
        ),
    ] {
        assert_eq!(shown(it), expected);
    }
}

#[test]
fn resources_and_who_has_them() {
    let holder = |job, held, instances| ResourceHolder {
        job,
        held,
        instances,
    };
    let nuke = ResourceRow {
        name: "license.nuke".into(),
        total: Some(10),
        configured: Some(10),
        held: 8,
        others: 2,
        free: 0,
        others_said_ms: Some(NOW - 30_000),
        others_until_ms: Some(NOW + 570_000),
        said_by: Some("poller".into()),
        holders: vec![holder(12, 6, 3), holder(15, 2, 2)],
        ..ResourceRow::default()
    };
    let rig = ResourceRow {
        name: "global.rig".into(),
        total: Some(3),
        set: Some(3),
        free: 3,
        others_said_ms: Some(NOW - 3_600_000),
        others_expired: Some(1),
        said_by: Some("mia\u{1b}".into()),
        ..ResourceRow::default()
    };
    let gone = ResourceRow {
        name: "license.old".into(),
        held: 20,
        holders: (1..=10).map(|job| holder(job, 2, 2)).collect(),
        more_holders: 3,
        ..ResourceRow::default()
    };
    let all = [rig, nuke, gone];
    let shown = both(|look| resources(look, &all));
    let piped = shown.lines().skip_while(|line| *line != "--- piped");
    let piped: Vec<&str> = piped.skip(1).collect();
    assert_eq!(
        piped,
        [
            "RESOURCE      HELD  TOTAL  OTHERS  FREE  HELD BY",
            "global.rig       0      3       0     3",
            "license.nuke     8     10       2     0  jobs 12 (6 in 3), 15 (2)",
            "license.old     20      ?       0     0  jobs 1 (2), 2 (2), 3 (2), 4 (2), 5 (2), 6 (2), 7 (2), 8 (2), 5 more",
            "global.rig: others used 1, mia\\x1b said 1h ago: that counts no more, since nobody said it anew in time",
            "license.nuke: others use 2, poller says: that counts until it is said anew, for 9m 30s at most",
            "license.old: nobody has said how many there are; no more is given away",
        ]
    );
    let none = both(|look| resources(look, &[]));
    assert!(
        none.contains("tessera resource set license.NAME --total N"),
        "{none}"
    );
}

#[test]
fn what_people_did_is_told_a_line_each() {
    let one = |kind: &str, actor: Option<&str>, text: &str| Event {
        at_ms: NOW,
        kind: kind.into(),
        actor: actor.map(Into::into),
        text: text.into(),
        ..Event::default()
    };
    let events = [
        one("token.created", Some("mia"), "made token 12 for mia"),
        Event {
            job: Some(12),
            ..one("job.action", Some("tom"), "kill \u{1b}[31m")
        },
        one("login.refused", None, "from 10.0.0.9"),
    ];
    let said = both(|look| super::audit(look, &events));
    let found = |who: &str, what: &str| {
        let is_it = |line: &&str| line.contains(who) && line.contains(what);
        said.lines().filter(is_it).count()
    };
    assert_eq!(found("mia", "made token 12 for mia"), 2, "{said}");
    assert_eq!(found("tom", "job.action"), 2, "{said}");
    assert_eq!(found("", "login.refused"), 2, "{said}");
}
