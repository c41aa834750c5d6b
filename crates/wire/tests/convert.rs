//! What is printed reads back; what others print is understood or refused, never more.

use bytes::Bytes;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use std::time::Duration;
use tessera_model::host::Refusal;
use tessera_model::limits::SETTINGS_MAX;
use tessera_model::msg::{
    AttemptEnd, FromWorker, GoneCause, LaunchInventory, LaunchKey, Report, Run, RunLimits, ToWorker,
};
use tessera_model::state::{End, Limit};
use tessera_model::{
    Attempt, Consent, HostFacts, Identity, InstanceNo, ItemIndex, JobId, LaunchNo, Lookup,
    Presence, Running, ServedSettings, SettingsHash, SettingsInUse, Timestamp, WhileActive,
};
use tessera_wire::convert::{
    CHUNK_BYTES_MAX, ConvertError, Decoded, LogAck, LogChunk, LogKey, LogStream, MESSAGE_BYTES_MAX,
    TEXT_BYTES_MAX, decode_ack, decode_chunk, decode_from_worker, decode_to_worker, encode_ack,
    encode_chunk, encode_from_worker, encode_to_worker,
};

fn key() -> impl Strategy<Value = LaunchKey> {
    any::<(u64, u32, u32)>().prop_map(|(job, instance, launch)| LaunchKey {
        job: JobId(job),
        instance: InstanceNo(instance),
        launch: LaunchNo(launch),
    })
}

fn run() -> impl Strategy<Value = Run> {
    any::<(u32, u32)>().prop_map(|(item, attempt)| Run {
        item: ItemIndex(item),
        attempt: Attempt(attempt),
    })
}

fn nanos() -> impl Strategy<Value = Duration> {
    any::<u64>().prop_map(Duration::from_nanos)
}

fn name() -> impl Strategy<Value = String> {
    ".{0,40}"
}

fn limit() -> impl Strategy<Value = Limit> {
    prop_oneof![
        Just(Limit::ItemTime),
        Just(Limit::InstanceTime),
        Just(Limit::Silence)
    ]
}

fn limits() -> impl Strategy<Value = RunLimits> {
    let durations = (
        option::of(nanos()),
        option::of(nanos()),
        option::of(nanos()),
        nanos(),
    );
    (durations, any::<u64>(), option::of(name())).prop_map(|(durations, output_limit, progress)| {
        let (timelimit, agendatimelimit, silence_limit, grace) = durations;
        RunLimits {
            timelimit,
            agendatimelimit,
            silence_limit,
            grace,
            output_limit,
            progress,
        }
    })
}

fn start() -> impl Strategy<Value = ToWorker> {
    let bytes = || vec(any::<u8>(), 0..300);
    (
        key(),
        bytes(),
        vec(any::<u8>(), 64),
        bytes(),
        limits(),
        run(),
    )
        .prop_map(
            |(key, ticket, signature, template, limits, run)| ToWorker::Start {
                key,
                ticket,
                signature,
                template,
                limits,
                run,
            },
        )
}

fn to_worker() -> impl Strategy<Value = ToWorker> {
    prop_oneof![
        start(),
        (key(), run()).prop_map(|(key, run)| ToWorker::Run { key, run }),
        (key(), run(), nanos()).prop_map(|(key, run, grace)| ToWorker::EndItem { key, run, grace }),
        (key(), nanos()).prop_map(|(key, grace)| ToWorker::Close { key, grace }),
        key().prop_map(ToWorker::Suspend),
        key().prop_map(ToWorker::Resume),
        any::<u64>().prop_map(ToWorker::Ack),
        option::of(rule()).prop_map(ToWorker::LockWhileActive),
        served_settings().prop_map(|it| ToWorker::Settings(Box::new(it))),
    ]
}

fn identity() -> impl Strategy<Value = Identity> {
    prop_oneof![
        name().prop_map(Identity::Proxy),
        Just(Identity::User),
        name().prop_map(Identity::Desktop),
    ]
}

fn rule() -> impl Strategy<Value = WhileActive> {
    let running = prop::sample::select(Running::ALL.to_vec());
    (nanos(), running).prop_map(|(idle_after, running)| WhileActive {
        idle_after,
        running,
    })
}

fn presence() -> impl Strategy<Value = Presence> {
    (rule(), any::<bool>(), name(), option::of(name())).prop_map(
        |(rule, is_closed, who, unknown)| Presence {
            rule,
            is_closed,
            who,
            unknown,
        },
    )
}

fn facts() -> impl Strategy<Value = HostFacts> {
    let maps = (
        btree_map(name(), name(), 0..6),
        btree_map(name(), any::<u64>(), 0..6),
    );
    (
        name(),
        0..4096u32,
        maps,
        identity(),
        option::of(name()),
        name(),
        (
            vec(name(), 0..4).prop_map(Consent::of),
            option::of(presence()),
            option::of(settings_in_use()),
        ),
    )
        .prop_map(
            |(
                name,
                slots,
                (properties, resources),
                identity,
                panic,
                version,
                (allows, presence, settings),
            )| HostFacts {
                settings,
                allows,
                presence,
                name,
                slots,
                properties,
                resources,
                identity,
                panic,
                version,
            },
        )
}

fn settings_in_use() -> impl Strategy<Value = SettingsInUse> {
    let lookup = prop_oneof![
        Just(Lookup::Local),
        Just(Lookup::Supervisor),
        Just(Lookup::LocalWins),
        Just(Lookup::SupervisorWins),
    ];
    let taken = option::of(any::<[u8; 16]>().prop_map(SettingsHash));
    let refused = btree_map(name(), name(), 0..4);
    (lookup, taken, refused, btree_set(name(), 0..4)).prop_map(
        |(lookup, taken, refused, restart)| SettingsInUse {
            lookup,
            taken,
            refused,
            restart,
        },
    )
}

fn served_settings() -> impl Strategy<Value = ServedSettings> {
    let values = btree_map(name(), name(), 0..4);
    (any::<[u8; 16]>(), values).prop_map(|(hash, values)| ServedSettings {
        hash: SettingsHash(hash),
        values,
    })
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        any::<i32>().prop_map(End::Exit),
        any::<i32>().prop_map(End::Signal),
        name().prop_map(End::NotStarted),
        limit().prop_map(End::Limit),
        any::<(u64, u64)>().prop_map(|(peak, limit)| End::OutOfMemory { peak, limit }),
        Just(End::Asked),
        Just(End::Lost),
    ]
}

fn attempt_end() -> impl Strategy<Value = AttemptEnd> {
    let sizes = (
        any::<[u64; 2]>(),
        any::<[u64; 2]>(),
        any::<u64>(),
        any::<u32>(),
    );
    (end(), any::<i64>(), nanos(), nanos(), sizes).prop_map(
        |(end, started, elapsed, cpu, (printed, kept, peak_memory, leftovers))| AttemptEnd {
            end,
            started: Timestamp(started),
            elapsed,
            cpu,
            peak_memory,
            printed,
            kept,
            leftovers,
        },
    )
}

fn report() -> impl Strategy<Value = Report> {
    let cause = prop_oneof![
        Just(GoneCause::Closed),
        limit().prop_map(GoneCause::Limit),
        Just(GoneCause::StarterLost),
        Just(GoneCause::ShepherdLost),
        Just(GoneCause::Unknown),
    ];
    prop_oneof![
        (key(), name(), any::<u32>(), name()).prop_map(|(key, account, uid, containment)| {
            Report::Started {
                key,
                account,
                uid,
                containment,
            }
        }),
        (key(), name(), name()).prop_map(|(key, code, text)| Report::Refused {
            key,
            refusal: Refusal { code, text },
        }),
        (key(), run(), attempt_end()).prop_map(|(key, run, end)| Report::ItemEnded {
            key,
            run,
            end
        }),
        (key(), cause).prop_map(|(key, cause)| Report::Gone { key, cause }),
    ]
}

fn inventory() -> impl Strategy<Value = LaunchInventory> {
    let runs = (option::of(run()), vec(run(), 0..4));
    (key(), runs, any::<bool>(), any::<bool>()).prop_map(
        |(key, (current, ahead), is_closing, is_suspended)| LaunchInventory {
            key,
            current,
            ahead,
            is_closing,
            is_suspended,
        },
    )
}

fn from_worker() -> impl Strategy<Value = FromWorker> {
    prop_oneof![
        facts().prop_map(FromWorker::Hello),
        vec(inventory(), 0..5).prop_map(FromWorker::Inventory),
        (any::<u64>(), report()).prop_map(|(seq, report)| FromWorker::Report { seq, report }),
        (key(), run(), any::<i64>()).prop_map(|(key, run, at)| FromWorker::ItemStarted {
            key,
            run,
            at: Timestamp(at),
        }),
        (key(), run(), 0..=100u8).prop_map(|(key, run, percent)| FromWorker::Progress {
            key,
            run,
            percent
        }),
        Just(FromWorker::Heartbeat),
        nanos().prop_map(FromWorker::Idle),
    ]
}

fn log_key() -> impl Strategy<Value = LogKey> {
    let stream = prop_oneof![
        Just(LogStream::Out),
        Just(LogStream::Err),
        Just(LogStream::Index)
    ];
    (any::<(u64, u32, u32)>(), stream).prop_map(|((job, item, attempt), stream)| LogKey {
        job: JobId(job),
        item: ItemIndex(item),
        attempt: Attempt(attempt),
        stream,
    })
}

proptest! {
    #[test]
    fn what_a_worker_says_reads_back(messages in vec(from_worker(), 0..8)) {
        let read = decode_from_worker(&encode_from_worker(&messages)).unwrap();
        prop_assert_eq!(read, Decoded { messages, ignored: 0 });
    }

    #[test]
    fn what_the_supervisor_says_reads_back(messages in vec(to_worker(), 0..8)) {
        let read = decode_to_worker(&encode_to_worker(&messages)).unwrap();
        prop_assert_eq!(read, Decoded { messages, ignored: 0 });
    }

    #[test]
    fn log_chunks_read_back(
        key in log_key(),
        offset in 0..u64::MAX / 2,
        data in vec(any::<u8>(), 0..500),
        more in option::of(0..1000u64),
    ) {
        let final_size = more.map(|more| offset + data.len() as u64 + more);
        let chunk = LogChunk { key, offset, data: Bytes::from(data), final_size };
        prop_assert_eq!(decode_chunk(&encode_chunk(chunk.clone())).unwrap(), chunk);
    }

    #[test]
    fn log_acks_read_back(key in log_key(), durable_to: u64, is_complete: bool) {
        let ack = LogAck { key, durable_to, is_complete };
        prop_assert_eq!(decode_ack(&encode_ack(ack)).unwrap(), ack);
    }

    #[test]
    fn random_bytes_are_answered(bytes in vec(any::<u8>(), 0..400)) {
        answer_all(&bytes);
    }

    #[test]
    fn damaged_messages_are_answered(
        from in vec(from_worker(), 1..4),
        to in vec(to_worker(), 1..4),
        place: prop::sample::Index,
        value: u8,
    ) {
        for mut bytes in [encode_from_worker(&from), encode_to_worker(&to)] {
            let place = place.index(bytes.len());
            bytes[place] = value;
            answer_all(&bytes);
            answer_all(&bytes[..place]);
        }
    }
}

/// Reads the bytes as everything; whatever was understood must print and read back as itself.
fn answer_all(bytes: &[u8]) {
    if let Ok(read) = decode_from_worker(bytes) {
        let again = decode_from_worker(&encode_from_worker(&read.messages)).unwrap();
        assert_eq!(again.messages, read.messages);
    }
    if let Ok(read) = decode_to_worker(bytes) {
        let again = decode_to_worker(&encode_to_worker(&read.messages)).unwrap();
        assert_eq!(again.messages, read.messages);
    }
    if let Ok(read) = decode_chunk(bytes) {
        assert_eq!(decode_chunk(&encode_chunk(read.clone())).unwrap(), read);
    }
    if let Ok(read) = decode_ack(bytes) {
        assert_eq!(decode_ack(&encode_ack(read)).unwrap(), read);
    }
}

/// Bytes of a length-delimited field with a tag below 16.
fn field(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag << 3 | 2, u8::try_from(content.len()).unwrap()];
    bytes.extend_from_slice(content);
    bytes
}

/// Bytes of a number below 128 in a field with a tag below 16.
fn number(tag: u8, value: u8) -> Vec<u8> {
    vec![tag << 3, value]
}

#[test]
fn kinds_of_a_newer_peer_are_ignored_and_counted() {
    // Field 15 is no kind that this version knows; it stands between two heartbeats.
    let heartbeat = field(1, &field(6, &[]));
    let unknown = field(1, &field(15, &number(1, 7)));
    let read = decode_from_worker(&[heartbeat.clone(), unknown, heartbeat].concat()).unwrap();
    let messages = vec![FromWorker::Heartbeat, FromWorker::Heartbeat];
    assert_eq!(
        read,
        Decoded {
            messages,
            ignored: 1
        }
    );
    // A report of an unknown kind, likewise.
    let report = field(1, &field(3, &[number(1, 9), field(14, &[])].concat()));
    assert_eq!(
        decode_from_worker(&report).unwrap(),
        Decoded {
            messages: vec![],
            ignored: 1
        }
    );
    // Field 96, empty.
    let order = field(1, &[0x82, 0x06, 0]);
    let ack = field(1, &field(9, &number(1, 5)));
    let read = decode_to_worker(&[order, ack].concat()).unwrap();
    assert_eq!(
        read,
        Decoded {
            messages: vec![ToWorker::Ack(5)],
            ignored: 1
        }
    );
}

#[test]
fn fields_of_a_newer_peer_are_skipped_and_of_an_older_one_default() {
    let key = field(1, &[number(1, 5), number(2, 0), number(15, 9)].concat());
    let run = field(2, &[number(1, 3), field(12, b"new")].concat());
    let progress = field(5, &[key, run, number(3, 50), field(13, b"new")].concat());
    let read = decode_from_worker(&[field(1, &progress), field(9, b"new")].concat()).unwrap();
    let key = LaunchKey {
        job: JobId(5),
        instance: InstanceNo(0),
        launch: LaunchNo(0),
    };
    let run = Run {
        item: ItemIndex(3),
        attempt: Attempt(0),
    };
    let messages = vec![FromWorker::Progress {
        key,
        run,
        percent: 50,
    }];
    assert_eq!(
        read,
        Decoded {
            messages,
            ignored: 0
        }
    );
}

#[test]
fn an_end_of_an_unknown_kind_blames_nobody() {
    let (key, run) = (field(1, &[]), field(2, &[]));
    for kind in [vec![], number(4, 99), number(4, 0)] {
        let ended = field(4, &[key.clone(), run.clone(), field(3, &kind)].concat());
        let bytes = field(1, &field(3, &[number(1, 1), ended].concat()));
        let read = decode_from_worker(&bytes).unwrap();
        let [
            FromWorker::Report {
                seq: 1,
                report: Report::ItemEnded { end, .. },
            },
        ] = &*read.messages
        else {
            panic!("{read:?}")
        };
        assert_eq!(end.end, End::Lost);
    }
    for kind in [vec![], number(3, 99)] {
        let gone = field(5, &[key.clone(), kind].concat());
        let read = decode_from_worker(&field(1, &field(3, &gone))).unwrap();
        assert!(matches!(
            &*read.messages,
            [FromWorker::Report {
                report: Report::Gone {
                    cause: GoneCause::ShepherdLost,
                    ..
                },
                ..
            }]
        ));
    }
}

#[test]
fn errors_name_the_field() {
    let cases = [
        (field(1, &field(5, &[])), "progress.key is missing"),
        (
            field(1, &field(5, &field(1, &[]))),
            "progress.run is missing",
        ),
        (
            field(
                1,
                &field(5, &[field(1, &[]), field(2, &[]), number(3, 101)].concat()),
            ),
            "progress.percent is 101, at most 100",
        ),
        (field(1, &field(1, &[])), "hello.facts is missing"),
        (
            field(1, &field(1, &field(5, &[]))),
            "facts.identity is missing",
        ),
        (
            field(1, &field(1, &field(5, &field(5, &[])))),
            "facts.identity is of an unknown kind",
        ),
        (
            field(
                1,
                &field(3, &field(4, &[field(1, &[]), field(2, &[])].concat())),
            ),
            "item_ended.end is missing",
        ),
        (
            field(1, &field(2, &field(1, &[]))),
            "inventory.key is missing",
        ),
    ];
    for (bytes, text) in cases {
        assert_eq!(decode_from_worker(&bytes).unwrap_err().to_string(), text);
    }
    let hash = field(1, &[7; 16]);
    let value = |key: &str| field(2, &field(1, key.as_bytes()));
    let settings = |parts: &[Vec<u8>]| {
        let body = parts.concat();
        let length = [
            u8::try_from(body.len() & 127).unwrap() | 128,
            u8::try_from(body.len() >> 7).unwrap(),
        ];
        let message = [&[15 << 3 | 2][..], &length, &body].concat();
        let length = [
            u8::try_from(message.len() & 127).unwrap() | 128,
            u8::try_from(message.len() >> 7).unwrap(),
        ];
        decode_to_worker(&[&[1 << 3 | 2][..], &length, &message].concat())
    };
    let many: Vec<Vec<u8>> = (0..=SETTINGS_MAX).map(|n| value(&n.to_string())).collect();
    assert!(settings(&[&[hash.clone()][..], &many[1..]].concat()).is_ok());
    for (parts, text) in [
        (vec![value("a")], "settings.hash is 0 bytes, not 16"),
        (
            [&[hash][..], &many].concat(),
            "settings.values is 257 long, at most 256",
        ),
    ] {
        assert_eq!(settings(&parts).unwrap_err().to_string(), text);
    }
    let start = field(1, &field(3, &field(3, &[1; 63])));
    let text = decode_to_worker(&start).unwrap_err().to_string();
    assert_eq!(text, "start.signature is 63 bytes, not 64");
}

#[test]
fn sizes_are_bounded() {
    let large = vec![0; MESSAGE_BYTES_MAX + 1];
    let error = decode_from_worker(&large).unwrap_err();
    assert!(
        matches!(
            error,
            ConvertError::TooLong {
                field: "message",
                ..
            }
        ),
        "{error}"
    );
    // A mebibyte of empty messages is refused before it becomes many.
    let many: Vec<u8> = [0x0a, 0].repeat(100_000);
    let error = decode_from_worker(&many).unwrap_err();
    assert!(
        matches!(
            error,
            ConvertError::TooLong {
                field: "messages",
                ..
            }
        ),
        "{error}"
    );
    let key = LogKey {
        job: JobId(1),
        item: ItemIndex(0),
        attempt: Attempt(1),
        stream: LogStream::Out,
    };
    let chunk = |offset, length: usize, final_size| LogChunk {
        key,
        offset,
        data: vec![0; length].into(),
        final_size,
    };
    assert!(decode_chunk(&encode_chunk(chunk(0, CHUNK_BYTES_MAX, None))).is_ok());
    for bad in [
        chunk(0, CHUNK_BYTES_MAX + 1, None),
        chunk(u64::MAX, 1, None),
        chunk(10, 5, Some(14)),
    ] {
        assert!(decode_chunk(&encode_chunk(bad.clone())).is_err(), "{bad:?}");
    }
}

#[test]
fn long_texts_are_cut_where_they_are_sent() {
    let key = LaunchKey {
        job: JobId(1),
        instance: InstanceNo(0),
        launch: LaunchNo(1),
    };
    let refusal = Refusal {
        code: "x".into(),
        text: "ä".repeat(TEXT_BYTES_MAX),
    };
    let sent = FromWorker::Report {
        seq: 1,
        report: Report::Refused { key, refusal },
    };
    let read = decode_from_worker(&encode_from_worker(&[sent])).unwrap();
    let [
        FromWorker::Report {
            report: Report::Refused { refusal, .. },
            ..
        },
    ] = &*read.messages
    else {
        panic!("{read:?}")
    };
    assert!(refusal.text.len() <= TEXT_BYTES_MAX);
    assert!(refusal.text.starts_with("ää") && refusal.text.ends_with("ä …(cut)"));
}
