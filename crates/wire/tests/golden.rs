//! The bytes of every kind of message, as released. A changed line here is a broken promise to workers out there: add a
//! field, never change one. `TESSERA_UPDATE=1` adds what is new.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tessera_model::credential::{
    AccountKind, CredentialChecked, CredentialId, KeyId, PoolKey, PoolKeys, SealedCredential,
    Verdict,
};
use tessera_model::host::Refusal;
use tessera_model::msg::{
    AttemptEnd, FromWorker, GoneCause, LaunchInventory, LaunchKey, Report, Run, RunLimits, ToWorker,
};
use tessera_model::state::{End, Limit};
use tessera_model::{
    Attempt, Consent, HostFacts, Identity, InstanceNo, ItemIndex, JobId, LaunchNo, Lookup,
    Presence, Running, ServedSettings, SettingsHash, SettingsInUse, Timestamp, WhileActive,
};
use tessera_wire::convert::{
    LogAck, LogChunk, LogKey, LogStream, decode_ack, decode_chunk, decode_from_worker,
    decode_to_worker, encode_ack, encode_chunk, encode_from_worker, encode_to_worker,
};

const FILE: &str = "tests/golden/v1.txt";
const KEY: LaunchKey = LaunchKey {
    job: JobId(12_345),
    instance: InstanceNo(3),
    launch: LaunchNo(2),
};
const RUN: Run = Run {
    item: ItemIndex(41),
    attempt: Attempt(7),
};
const AT: Timestamp = Timestamp(1_795_000_000_123);

fn facts(identity: Identity) -> HostFacts {
    HostFacts {
        name: "rnd042".into(),
        slots: 16,
        properties: [("host.os".into(), "linux".into())].into(),
        resources: [("host.memory".into(), 64_000)].into(),
        identity,
        allows: Consent::default(),
        presence: None,
        panic: Some("clock".into()),
        version: "0.1.0".into(),
        settings: None,
    }
}

const RULE: WhileActive = WhileActive {
    idle_after: Duration::from_secs(600),
    running: Running::Suspend,
};

/// A desktop whose owner lets another in and works at it.
fn open_desktop() -> HostFacts {
    HostFacts {
        allows: Consent::of(["bob".to_owned()]),
        presence: Some(Presence {
            rule: RULE,
            is_closed: true,
            who: "mia".into(),
            unknown: Some("no loginctl".into()),
        }),
        ..facts(Identity::Desktop("mia".into()))
    }
}

const HASH: SettingsHash = SettingsHash([0x5e; 16]);

/// A host that took what the farm set for it, but for one key.
fn settled() -> HostFacts {
    HostFacts {
        settings: Some(SettingsInUse {
            lookup: Lookup::LocalWins,
            taken: Some(HASH),
            refused: [("proxy_account".into(), "it is the host's own".into())].into(),
            restart: ["proxy_nice_value".into()].into(),
        }),
        ..facts(Identity::User)
    }
}

fn ended(end: End) -> FromWorker {
    let end = AttemptEnd {
        end,
        started: AT,
        elapsed: Duration::from_nanos(1_500_000_001),
        cpu: Duration::from_nanos(1_400_000_002),
        peak_memory: 5_000_000_000,
        printed: [300, 301],
        kept: [200, 201],
        leftovers: 2,
    };
    FromWorker::Report {
        seq: 9,
        report: Report::ItemEnded {
            key: KEY,
            run: RUN,
            end,
        },
    }
}

fn gone(cause: GoneCause) -> FromWorker {
    FromWorker::Report {
        seq: 10,
        report: Report::Gone { key: KEY, cause },
    }
}

fn from_worker() -> Vec<(&'static str, FromWorker)> {
    let inventory = LaunchInventory {
        key: KEY,
        current: Some(RUN),
        ahead: Vec::new(),
        is_closing: true,
        is_suspended: true,
    };
    let account = "tessera-job".to_owned();
    let started = Report::Started {
        key: KEY,
        account,
        uid: 998,
        containment: "cgroup2".to_owned(),
    };
    let refusal = Refusal {
        code: "no_such_account".into(),
        text: "no account mia".into(),
    };
    let refused = Report::Refused { key: KEY, refusal };
    vec![
        (
            "hello_proxy",
            FromWorker::Hello(facts(Identity::Proxy("tessera-job".into()))),
        ),
        ("hello_user", FromWorker::Hello(facts(Identity::User))),
        (
            "hello_desktop",
            FromWorker::Hello(facts(Identity::Desktop("mia".into()))),
        ),
        ("inventory", FromWorker::Inventory(vec![inventory])),
        (
            "report_started",
            FromWorker::Report {
                seq: 7,
                report: started,
            },
        ),
        (
            "report_refused",
            FromWorker::Report {
                seq: 8,
                report: refused,
            },
        ),
        ("report_exit", ended(End::Exit(-1))),
        ("report_signal", ended(End::Signal(9))),
        (
            "report_not_started",
            ended(End::NotStarted("exec: no such file".into())),
        ),
        ("report_item_time", ended(End::Limit(Limit::ItemTime))),
        (
            "report_instance_time",
            ended(End::Limit(Limit::InstanceTime)),
        ),
        ("report_silence", ended(End::Limit(Limit::Silence))),
        ("report_asked", ended(End::Asked)),
        ("report_lost", ended(End::Lost)),
        (
            "report_out_of_memory",
            ended(End::OutOfMemory {
                peak: 8 << 30,
                limit: 8 << 30,
            }),
        ),
        ("report_closed", gone(GoneCause::Closed)),
        (
            "report_gone_limit",
            gone(GoneCause::Limit(Limit::InstanceTime)),
        ),
        ("report_starter_lost", gone(GoneCause::StarterLost)),
        ("report_shepherd_lost", gone(GoneCause::ShepherdLost)),
        ("report_unknown", gone(GoneCause::Unknown)),
        (
            "item_started",
            FromWorker::ItemStarted {
                key: KEY,
                run: RUN,
                at: AT,
            },
        ),
        (
            "progress",
            FromWorker::Progress {
                key: KEY,
                run: RUN,
                percent: 77,
            },
        ),
        ("heartbeat", FromWorker::Heartbeat),
        ("pool_keys", FromWorker::PoolKeys(pool_keys())),
        (
            "credential_checked",
            FromWorker::CredentialChecked(CredentialChecked {
                id: credential(AccountKind::User),
                sequence: 3,
                verdict: Verdict::MustChange,
                sid: SID.into(),
                detail: "error 1907".into(),
            }),
        ),
        ("resealed", resealed(Ok(vec![1, 2, 3]))),
        ("resealed_refused", resealed(Err("not admitted".into()))),
        ("hello_open_desktop", FromWorker::Hello(open_desktop())),
        ("hello_settled", FromWorker::Hello(settled())),
        (
            "idle",
            FromWorker::Idle(Duration::from_nanos(12_000_000_001)),
        ),
    ]
}

const SID: &str = "S-1-5-21-1-2-3-1001";

fn credential(kind: AccountKind) -> CredentialId {
    CredentialId {
        kind,
        account: "mia".parse().unwrap(),
        pool: "night".parse().unwrap(),
    }
}

fn pool_keys() -> PoolKeys {
    let key = PoolKey {
        id: KeyId([7; 16]),
        public: [8; 32],
        created: AT,
    };
    PoolKeys {
        pool: "night".parse().unwrap(),
        keys: vec![key],
    }
}

fn sealed() -> Box<SealedCredential> {
    Box::new(SealedCredential {
        id: credential(AccountKind::User),
        domain: "STUDIO".into(),
        sid: String::new(),
        sid_found: SID.into(),
        sequence: 3,
        check: 2,
        created: AT,
        expires: Timestamp(AT.0 + 1),
        key: KeyId([7; 16]),
        sealed: vec![9; 40],
    })
}

fn resealed(sealed: Result<Vec<u8>, String>) -> FromWorker {
    FromWorker::Resealed {
        id: credential(AccountKind::Proxy),
        sequence: 3,
        to: KeyId([7; 16]),
        sealed,
    }
}

fn to_worker() -> Vec<(&'static str, ToWorker)> {
    let grace = Duration::from_secs(30);
    let limits = RunLimits {
        timelimit: Some(Duration::from_secs(3600)),
        agendatimelimit: Some(Duration::from_secs(600)),
        silence_limit: Some(Duration::from_secs(60)),
        grace,
        output_limit: 1 << 28,
        progress: Some("([0-9]+)%".into()),
    };
    let (ticket, signature, template) = (vec![1, 2, 3], vec![4; 64], vec![5, 6]);
    let start = ToWorker::Start {
        key: KEY,
        ticket,
        signature,
        template,
        limits,
        run: RUN,
    };
    vec![
        ("start", start),
        ("run", ToWorker::Run { key: KEY, run: RUN }),
        (
            "end_item",
            ToWorker::EndItem {
                key: KEY,
                run: RUN,
                grace,
            },
        ),
        ("close", ToWorker::Close { key: KEY, grace }),
        ("suspend", ToWorker::Suspend(KEY)),
        ("resume", ToWorker::Resume(KEY)),
        ("ack", ToWorker::Ack(300)),
        (
            "credential",
            ToWorker::Credential {
                credential: sealed(),
                is_check: true,
            },
        ),
        (
            "credential_revoked",
            ToWorker::CredentialRevoked {
                id: credential(AccountKind::Proxy),
                sequence: 4,
            },
        ),
        (
            "reseal",
            ToWorker::Reseal {
                credential: sealed(),
                to: pool_keys().keys[0],
            },
        ),
        ("retire_key", ToWorker::RetireKey(KeyId([7; 16]))),
        ("lock_while_active", ToWorker::LockWhileActive(Some(RULE))),
        ("lock_no_more", ToWorker::LockWhileActive(None)),
        (
            "settings",
            ToWorker::Settings(Box::new(ServedSettings {
                hash: HASH,
                values: [("worker_groups".into(), "[\"gpu\"]".into())].into(),
            })),
        ),
    ]
}

fn log_key(stream: LogStream) -> LogKey {
    LogKey {
        job: KEY.job,
        item: RUN.item,
        attempt: RUN.attempt,
        stream,
    }
}

fn chunk() -> LogChunk {
    let data = b"frame 42\n"[..].into();
    LogChunk {
        key: log_key(LogStream::Err),
        offset: 1000,
        data,
        final_size: Some(1009),
    }
}

fn ack() -> LogAck {
    LogAck {
        key: log_key(LogStream::Index),
        durable_to: 1009,
        is_complete: true,
    }
}

/// Prints every message by its name.
fn print_all() -> String {
    let from = from_worker()
        .into_iter()
        .map(|(name, m)| (name, encode_from_worker(&[m])));
    let to = to_worker()
        .into_iter()
        .map(|(name, m)| (name, encode_to_worker(&[m])));
    let logs = [
        ("log_chunk", encode_chunk(chunk())),
        ("log_ack", encode_ack(ack())),
    ];
    let mut text = String::new();
    for (name, bytes) in from.chain(to).chain(logs) {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(text, "{name} {hex}").unwrap();
    }
    text
}

fn golden() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    if std::env::var_os("TESSERA_UPDATE").is_some() {
        let mut text = fs::read_to_string(&path).unwrap_or_default();
        for line in print_all().lines() {
            let name = line.split_inclusive(' ').next().unwrap();
            if !text.lines().any(|old| old.starts_with(name)) {
                writeln!(text, "{line}").unwrap();
            }
        }
        fs::write(&path, text).unwrap();
    }
    fs::read_to_string(path).unwrap()
}

/// Answers the released bytes of a message.
fn released(golden: &str, name: &str) -> Vec<u8> {
    let line = golden
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let hex = line
        .unwrap_or_else(|| panic!("{FILE} has no {name}"))
        .as_bytes();
    hex.chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn released_bytes_mean_what_they_meant() {
    let golden = golden();
    for (name, message) in from_worker() {
        let read = decode_from_worker(&released(&golden, name)).unwrap();
        assert_eq!(read.messages, [message], "{name}");
    }
    for (name, message) in to_worker() {
        let read = decode_to_worker(&released(&golden, name)).unwrap();
        assert_eq!(read.messages, [message], "{name}");
    }
    assert_eq!(
        decode_chunk(&released(&golden, "log_chunk")).unwrap(),
        chunk()
    );
    assert_eq!(decode_ack(&released(&golden, "log_ack")).unwrap(), ack());
}

#[test]
fn this_program_prints_the_released_bytes() {
    let (printed, golden) = (print_all(), golden());
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let changed = "the wire format has changed; see the head of this file";
    assert_eq!(lines(&printed), lines(&golden), "{changed}");
}
