//! What is written reads back as it was, and bytes of anybody never make a decoder panic.

use proptest::collection::vec;
use proptest::prelude::*;
use tessera_ticket::launcher::{Capabilities, Reply, Request};
use tessera_ticket::shepherd::{Chain, Command, Event, ItemState};
use tessera_ticket::*;

fn key() -> impl Strategy<Value = LaunchKey> {
    (any::<u64>(), any::<u32>(), any::<u32>()).prop_map(|(job, instance, launch)| LaunchKey {
        job,
        instance,
        launch,
    })
}

fn run() -> impl Strategy<Value = FrameRun> {
    (
        -1_000_000i64..1_000_000,
        prop_oneof![-50i64..0, 1i64..50],
        1u32..2_000,
    )
        .prop_map(|(start, step, count)| FrameRun { start, step, count })
}

fn agenda() -> impl Strategy<Value = Agenda> {
    let split = prop_oneof![
        (1u32..60).prop_map(Split::Chunk),
        Just(Split::Partitions(1)),
    ];
    (vec(run(), 1..6), split, 0u8..=20).prop_map(|(runs, split, padding)| Agenda {
        runs,
        split,
        padding,
    })
}

prop_compose! {
    fn template()(
        program in "[a-zA-Z/._]{1,20}",
        rest in vec("[^\\x00]{0,40}", 0..8),
        env in vec(("[A-Za-z_][A-Za-z0-9_]{0,10}", "[^\\x00]{0,20}"), 0..6),
        cwd in "(/[a-z]{0,8}){0,3}",
        umask in 0u16..=0o777,
        limit in (any::<u64>(), any::<u64>()),
        slots in any::<u32>(),
        agenda in proptest::option::of(agenda()),
        convert_path in any::<bool>(),
    ) -> Template {
        let mut argv = vec![program];
        argv.extend(rest);
        let limits = vec![Limit { resource: Resource::Core, soft: limit.0, hard: limit.1 }];
        Template { argv, env, cwd, umask, limits, slots, agenda, convert_path }
    }
}

prop_compose! {
    fn ticket()(
        farm in any::<[u8; 16]>(), host in any::<[u8; 16]>(), nonce in any::<[u8; 16]>(),
        key in key(),
        principal in "[^\\x00]{0,40}",
        account in "[a-z_][a-z0-9_.-]{0,30}",
        items in vec((any::<u32>(), any::<u32>()), 0..10),
        times in (any::<u64>(), any::<u64>()),
        digest in any::<[u8; 32]>(),
        limits in prop_oneof![Just((0, 0, 0)), (any::<u64>(), any::<u32>(), 0..=CPU_WEIGHT_MAX)],
        mode in prop_oneof![Just(Mode::Proxy), Just(Mode::User), Just(Mode::Desktop)],
    ) -> Ticket {
        let items = items.into_iter()
            .map(|(a, b)| ItemRange { first: a.min(b), last: a.max(b) }).collect();
        Ticket {
            farm, host, key, principal, proven: "local-socket".into(), mode, account, items,
            template: Digest(digest), not_before_ms: times.0, expires_ms: times.1, nonce,
            limits: KernelLimits { memory: limits.0, pids: limits.1, cpu_weight: limits.2 },
        }
    }
}

fn record() -> impl Strategy<Value = ExitRecord> {
    let kind = prop_oneof![
        any::<i32>().prop_map(|code| EndKind::Exited { code }),
        any::<u8>().prop_map(|signal| EndKind::Signalled { signal }),
        (any::<i32>(), 0..Step::ALL.len()).prop_map(|(errno, i)| EndKind::NotStarted {
            step: Step::ALL[i],
            errno
        }),
    ];
    (
        kind,
        any::<[u64; 10]>(),
        any::<[u32; 3]>(),
        any::<[bool; 2]>(),
        0u8..8,
        any::<Option<u64>>(),
    )
        .prop_map(|(kind, n, s, flags, cause, out_of_memory)| ExitRecord {
            item: s[0],
            attempt: s[1],
            kind,
            cause: EndCause::from_u8(cause).unwrap(),
            leftovers: s[2],
            started_ms: n[0],
            ended_ms: n[1],
            elapsed_ms: n[2],
            user_us: n[3],
            system_us: n[4],
            memory_max: n[5],
            kept: [n[6], n[7]],
            produced: [n[8], n[9]],
            cut_by_limit: flags[0],
            cut_by_disk: flags[1],
            out_of_memory,
        })
}

fn signer() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

proptest! {
    #[test]
    fn ticket_reads_back_and_verifies(ticket in ticket(), flip in any::<prop::sample::Index>()) {
        let bytes = ticket.encode();
        prop_assert_eq!(Ticket::decode(&bytes), Ok(ticket.clone()));
        let signature = Ticket::sign(&bytes, &signer());
        let keys = [SigningKey::from_bytes(&[1; 32]).verifying_key(), signer().verifying_key()];
        prop_assert_eq!(Ticket::verify(&bytes, &signature, &keys), Ok(ticket));
        let mut changed = bytes.clone();
        let at = flip.index(changed.len());
        changed[at] ^= 1;
        prop_assert_eq!(Ticket::verify(&changed, &signature, &keys), Err(TicketError::Signature));
        prop_assert_eq!(Ticket::verify(&bytes, &signature, &keys[..1]), Err(TicketError::Signature));
    }

    #[test]
    fn template_reads_back(template in template()) {
        let bytes = template.encode();
        prop_assert_eq!(template.check(), Ok(()));
        prop_assert_eq!(Template::decode(&bytes), Ok(template.clone()));
        prop_assert_eq!(template.digest(), Template::digest_of(&bytes));
    }

    #[test]
    fn items_cover_each_frame_once(agenda in agenda()) {
        let frames: u64 = agenda.runs.iter().map(|run| u64::from(run.count)).sum();
        let template = Template {
            argv: vec!["x".into()], env: vec![], cwd: String::new(), umask: 0o22, limits: vec![],
            slots: 1, agenda: Some(agenda.clone()), convert_path: false,
        };
        let items = u32::try_from(agenda.items()).unwrap();
        prop_assert!(template.item(items).is_none());
        let last = template.item(items - 1).unwrap();
        let first = template.item(0).unwrap();
        prop_assert_eq!(first.number.parse::<i64>().unwrap(), agenda.runs[0].start);
        let end = agenda.runs.last().unwrap();
        let end = end.start + end.step * (i64::from(end.count) - 1);
        prop_assert_eq!(last.end.parse::<i64>().unwrap(), end);
        if let Split::Chunk(n) = agenda.split {
            prop_assert_eq!(u64::from(items), frames.div_ceil(u64::from(n)));
        }
    }

    #[test]
    fn records_read_back(record in record(), flip in any::<prop::sample::Index>(), bit in 0u8..8) {
        let bytes = record.encode();
        prop_assert_eq!(ExitRecord::decode(&bytes), Ok(record));
        let mut torn = bytes;
        torn[flip.index(bytes.len())] ^= 1 << bit;
        prop_assert!(ExitRecord::decode(&torn).is_err());
        prop_assert!(ExitRecord::decode(&bytes[..bytes.len() - 1]).is_err());
    }

    #[test]
    fn frames_read_back(
        key in key(), record in record(), numbers in any::<[u32; 4]>(), text in "[^\\x00]{0,60}",
        items in vec((any::<u32>(), any::<u32>(), any::<u32>(), any::<bool>()), 0..40),
    ) {
        let [a, b, c, d] = numbers;
        let requests = [
            Request::Start { id: a, ticket: text.clone().into_bytes(), signature: [3; 64], orphan_seconds: b, nice: 19 },
            Request::Gone { id: a, key },
            Request::Capabilities { id: a },
        ];
        for it in requests { prop_assert_eq!(Request::decode(&it.encode()), Ok(it.clone())); }
        let what = Capabilities {
            containment: text.clone(), modes: vec!["proxy".into(), "user".into()], proxy_account: text.clone(),
            proxy_uid: a.is_multiple_of(2).then_some(b), proxy_problem: text.clone(), uid_min: c, no_new_privs: true,
            version: "0".into(), limits: vec!["memory".into(); (a % 3) as usize],
            logons: vec!["user=password".into(); (b % 2) as usize],
        };
        let replies = [
            Reply::Started { id: a, shepherd: b, account: text.clone(), uid: c, gid: d, containment: text.clone() },
            Reply::Refused { id: a, code: text.clone(), text: text.clone(), hint: text.clone() },
            Reply::Gone { id: a },
            Reply::Capabilities { id: a, what },
        ];
        for it in replies {
            prop_assert_eq!(Reply::decode(&it.encode()), Ok(it.clone()));
            prop_assert_eq!(it.id(), a);
        }
        let (item, attempt) = (a, b);
        let commands = [
            Command::Run { item, attempt, output_limit: u64::from(c), leftover_grace_ms: d, durable: true, next: d % 2 == 1 },
            Command::End { item, attempt, grace_ms: c, cause: EndCause::TimeLimit },
            Command::Suspend, Command::Resume, Command::Close, Command::State,
        ];
        for it in commands { prop_assert_eq!(Command::decode(&it.encode()), Ok(it)); }
        let items = items.into_iter()
            .map(|(item, attempt, pid, ended)| ItemState { item, attempt, pid, ended }).collect();
        let events = [
            Event::ItemStarted { item, attempt, pid: c },
            Event::ItemNotStarted { item, attempt, step: Step::Exec, errno: 2 },
            Event::ItemEnded(record), Event::StarterLost, Event::Suspended, Event::Resumed,
            Event::State { suspended: true, starter_lost: false, items }, Event::Closing,
        ];
        for it in events { prop_assert_eq!(Event::decode(&it.encode()), Ok(it.clone())); }
        let chain = [
            Chain::Start { item, attempt }, Chain::Here { item, attempt }, Chain::Go { item, attempt }, Chain::Stop { item, attempt },
            Chain::Running { item, attempt }, Chain::Failed { item, attempt, step: Step::Limits, errno: -1 },
        ];
        for it in chain { prop_assert_eq!(Chain::decode(&it.encode()), Ok(it)); }
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in vec(any::<u8>(), 0..600), kind in 0u8..9) {
        let mut framed = vec![1, kind];
        framed.extend(&bytes);
        for input in [&bytes, &framed] {
            let _ = Ticket::decode(input);
            let _ = Template::decode(input);
            let _ = Request::decode(input);
            let _ = Reply::decode(input);
            let _ = Command::decode(input);
            let _ = Event::decode(input);
            let _ = Chain::decode(input);
            let _ = ExitRecord::decode(input);
            let _ = IndexRecord::decode(input);
        }
    }

    #[test]
    fn damaged_layouts_never_panic(
        ticket in ticket(), template in template(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        for mut bytes in [ticket.encode(), template.encode()] {
            let place = at.index(bytes.len());
            bytes[place] = byte;
            if let Ok(read) = Ticket::decode(&bytes) { prop_assert_eq!(read.encode(), bytes.clone()); }
            if let Ok(read) = Template::decode(&bytes) {
                prop_assert_eq!(read.encode(), bytes.clone());
                let _ = (read.item(0), read.item(u32::MAX), read.argv_of(3, &PathMap::default()));
            }
            let _ = Template::decode(&bytes[..place]);
        }
    }
}

/// A path of any system, or nearly one.
fn path() -> impl Strategy<Value = String> {
    let root = prop_oneof!["/", r"[A-Ca-c]:", r"\\\\srv", "//SRV"];
    (root, vec(r"[/\\][abAB. ]{1,3}", 0..4)).prop_map(|(root, names)| {
        let rest = names.concat();
        let rest = if root == "/" {
            rest.trim_start_matches(['/', '\\'])
        } else {
            &rest
        };
        format!("{root}{rest}")
    })
}

/// Whether one path is the other or lies below it, as entries of a table see it.
fn is_below(path: &str, top: &str) -> bool {
    let probe = PathMap::new([(top.to_owned(), "/somewhere/else".to_owned())]);
    // One that is refused matches nothing.
    probe.is_ok_and(|it| it.convert_path(path) != path)
}

proptest! {
    #[test]
    fn converting_paths_twice_is_converting_them_once(
        pairs in vec((path(), "[/][x-z]{1,2}[/][abAB]{1,3}|[Qq]:[/\\\\][abAB]{1,3}"), 0..6),
        argument in vec(prop_oneof![path(), "[a ;,='\"()]{0,3}", Just("QB_CONVERT_PATH(".to_owned()), ".{0,3}"], 0..8),
    ) {
        let is_apart = |(from, to): (&str, &str)| {
            !from.contains(' ') && pairs.iter().all(|(other, _)| !is_below(to, other) && !is_below(other, to))
        };
        let apart = pairs.iter().all(|(from, to)| is_apart((from, to)));
        let Ok(map) = PathMap::new(pairs.clone()) else { return Ok(()) };
        prop_assert_eq!(PathMap::decode(&map.encode()), Ok(map.clone()));
        let argument = argument.concat();
        let (some, once) = (map.convert_argument(&argument, false), map.convert_argument(&argument, true));
        prop_assert!(once.len() <= argument.len() * 12 && some.len() <= argument.len() * 12);
        if apart && !argument.contains("QB_CONVERT_PATH(") {
            prop_assert_eq!(some, argument);
            prop_assert_eq!(map.convert_argument(&once, true), once);
        }
    }

    #[test]
    fn lines_of_a_table_read_back(from in path(), to in path()) {
        let line = format!("{from} =>  {to}");
        if let Ok((a, b)) = PathMap::parse_line(&line) {
            prop_assert_eq!((a.as_str(), b.as_str()), (from.trim(), to.trim()));
            prop_assert_eq!(PathMap::parse_line(&format!("{a} => {b}")), Ok((a, b)));
        }
    }

    #[test]
    fn a_table_is_read_from_any_bytes_without_harm(bytes in vec(any::<u8>(), 0..200), text in ".{0,80}") {
        if let Ok(map) = PathMap::decode(&bytes) { prop_assert_eq!(map.encode(), bytes); }
        let _ = PathMap::parse_line(&text);
    }
}

#[test]
fn a_template_without_flags_is_written_as_before() {
    let mut template = Template {
        argv: vec![
            r"P:\x".into(),
            "-o".into(),
            r"QB_CONVERT_PATH(P:\QB_FRAME_NUMBER.exr)".into(),
        ],
        env: vec![],
        cwd: r"p:\show".into(),
        umask: 0o22,
        limits: vec![],
        slots: 1,
        agenda: Some(Agenda {
            runs: vec![FrameRun {
                start: 7,
                step: 1,
                count: 1,
            }],
            split: Split::Chunk(1),
            padding: 0,
        }),
        convert_path: false,
    };
    let paths = PathMap::new([(r"P:\".to_owned(), "/mnt/p".to_owned())]).unwrap();
    let plain = template.encode();
    assert_eq!(plain[0], 1);
    let argv = template.argv_of(0, &paths).unwrap();
    assert_eq!(argv, [r"P:\x", "-o", "/mnt/p/7.exr"]);
    assert_eq!(template.cwd_here(&paths), r"p:\show");
    template.convert_path = true;
    let flagged = template.encode();
    assert_eq!((flagged[0], flagged.len()), (2, plain.len() + 1));
    assert_eq!(Template::decode(&flagged).as_ref(), Ok(&template));
    let argv = template.argv_of(0, &paths).unwrap();
    assert_eq!(argv, ["/mnt/p/x", "-o", "/mnt/p/7.exr"]);
    assert_eq!(template.cwd_here(&paths), "/mnt/p/show");
    // Neither a second way to write one without flags, nor flags that nobody knows.
    for flags in [0, 2, 3] {
        let mut bytes = flagged.clone();
        *bytes.last_mut().unwrap() = flags;
        assert_eq!(
            Template::decode(&bytes),
            Err(DecodeError::Invalid { field: "flags" })
        );
    }
    assert_eq!(template.argv_of(1, &paths), Err(CommandError::NoItem));
}

#[test]
fn a_command_that_grows_without_end_is_refused() {
    let template = Template {
        argv: vec!["P:;".repeat(1_000); 100],
        env: vec![],
        cwd: String::new(),
        umask: 0,
        limits: vec![],
        slots: 1,
        agenda: None,
        convert_path: true,
    };
    let long = format!("/{}", "x".repeat(1_000));
    let paths = PathMap::new([("P:".to_owned(), long)]).unwrap();
    assert!(matches!(
        template.argv_of(0, &paths),
        Err(CommandError::TooLong)
    ));
    assert!(template.argv_of(0, &PathMap::default()).is_ok());
}

#[test]
fn accounts_that_are_no_names_do_not_decode() {
    for account in [
        "",
        "0",
        "-1",
        "4294967295",
        "+0",
        " alice",
        "..",
        "a;b",
        "a\0b",
    ] {
        let ticket = Ticket {
            farm: [1; 16],
            host: [2; 16],
            key: LaunchKey {
                job: 1,
                instance: 0,
                launch: 1,
            },
            principal: "eve".into(),
            proven: "local-socket".into(),
            mode: Mode::User,
            account: account.into(),
            items: vec![ItemRange { first: 0, last: 9 }],
            template: Digest([0; 32]),
            not_before_ms: 0,
            expires_ms: 1,
            nonce: [0; 16],
            limits: KernelLimits::default(),
        };
        let refused = DecodeError::Invalid { field: "account" };
        assert_eq!(
            Ticket::decode(&ticket.encode()),
            Err(refused),
            "{account:?}"
        );
    }
}

#[test]
fn partitions_differ_by_at_most_one_frame() {
    let agenda = Agenda {
        runs: vec![FrameRun {
            start: 1,
            step: 1,
            count: 10,
        }],
        split: Split::Partitions(3),
        padding: 0,
    };
    let template = Template {
        argv: vec!["r".into(), "QB_FRAME_RANGE".into()],
        env: vec![],
        cwd: String::new(),
        umask: 0,
        limits: vec![],
        slots: 1,
        agenda: Some(agenda),
        convert_path: false,
    };
    let ranges: Vec<_> = (0..4)
        .map(|i| template.argv_of(i, &PathMap::default()))
        .map(|argv| argv.ok().map(|it| it[1].clone()))
        .collect();
    assert_eq!(
        ranges,
        [
            Some("1-4".into()),
            Some("5-7".into()),
            Some("8-10".into()),
            None
        ]
    );
}
