use super::*;
use crate::error::{ApiError, ErrorCode, FieldProblem};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// Checks that a value survives its JSON, and JSON with a field of a later version.
fn survives<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let mut json = serde_json::to_value(value).expect("JSON");
    assert_eq!(
        serde_json::from_value::<T>(json.clone()).ok().as_ref(),
        Some(value)
    );
    json["made_up_later"] = 7.into();
    assert_eq!(
        serde_json::from_value::<T>(json).ok().as_ref(),
        Some(value),
        "a later field is ignored"
    );
}

#[test]
fn answers_survive_and_tolerate_later_fields() {
    let event = Event {
        seq: Some(9),
        kind: "item.ended".into(),
        item: Some(0),
        ..Event::default()
    };
    survives(&event);
    survives(&Event {
        kind: "item.progress".into(),
        progress: Some(40),
        ..Event::default()
    });
    survives(&History {
        events: vec![event],
        next: Some(9),
    });
    let end = EndView {
        text: "exit 1".into(),
        outcome: "failed".into(),
        kind: "exit".into(),
        exit_status: Some(1),
        signal: None,
    };
    survives(&ItemRow {
        index: 3,
        name: "4".into(),
        end: Some(end),
        progress: Some(100),
        ..ItemRow::default()
    });
    survives(&JobDetail {
        instances: vec![InstanceRow::default()],
        ..JobDetail::default()
    });
    survives(&Jobs {
        jobs: vec![JobSummary::default()],
        next: Some("c".into()),
        notices: vec!["n".into()],
    });
    survives(&HostDetail {
        running: vec![RunningRow::default()],
        ..HostDetail::default()
    });
    survives(&FarmModes {
        modes: vec![FarmMode::default()],
    });
    survives(&Why {
        reasons: vec![Reason::default()],
        ..Why::default()
    });
    survives(&Attempts {
        attempts: vec![AttemptRow::default()],
    });
    survives(&CleanupReply {
        jobs: vec![CleanedJob::default()],
        ..CleanupReply::default()
    });
    survives(&JoinReply {
        dispatch_keys: vec!["00".repeat(32)],
        ..JoinReply::default()
    });
    survives(&Tokens {
        tokens: vec![Token::default()],
    });
    survives(&Info::default());
    survives(&Usage::default());
    let problem = FieldProblem {
        field: "range".into(),
        message: "no".into(),
        hint: None,
    };
    let error = ApiError {
        fields: vec![problem],
        ..ApiError::new(ErrorCode::Invalid, "m").hint("h")
    };
    let result = TargetResult {
        target: "1".into(),
        ok: None,
        error: Some(error),
    };
    survives(&ActionReply {
        results: vec![result],
    });
}

#[test]
fn requests_refuse_what_they_do_not_know() {
    assert!(serde_json::from_str::<ModifyRequest>(r#"{"prioritty": 1}"#).is_err());
    assert!(serde_json::from_str::<TokenRequest>(r#"{"admn": true}"#).is_err());
    assert!(serde_json::from_str::<CleanupRequest>(r#"{"dry-run": true}"#).is_err());
    assert_eq!(
        serde_json::from_str::<CleanupRequest>("{}").ok(),
        Some(CleanupRequest::default())
    );
}

#[test]
fn secrets_are_not_printed_for_debugging() {
    let token = NewToken {
        token: "hush".into(),
        ..NewToken::default()
    };
    let join = JoinToken {
        join_string: "hush".into(),
        expires_ms: 0,
    };
    let request = JoinRequest {
        token: "hush".into(),
        ..JoinRequest::default()
    };
    assert!(!format!("{token:?} {join:?} {request:?}").contains("hush"));
}

#[test]
fn amounts_are_numbers_or_texts() {
    let read = |json: &str| {
        serde_json::from_str::<Quantity>(json)
            .map(|quantity| quantity.0)
            .ok()
    };
    assert_eq!(read("90").as_deref(), Some("90"));
    assert_eq!(read("-1").as_deref(), Some("-1"));
    assert_eq!(read("\"5m\"").as_deref(), Some("5m"));
    assert_eq!(read("1.5").as_deref(), Some("1.5"));
    assert_eq!(read("true"), None);
    assert_eq!(read("null"), None);
}

proptest! {
    #[test]
    fn any_request_survives(
        command in proptest::collection::vec("\\PC{0,9}", 0..4), range in proptest::option::of("\\PC{0,9}"),
        priority in any::<Option<i64>>(), env in proptest::option::of(proptest::collection::btree_map("\\PC{0,5}", "\\PC{0,9}", 0..3)),
        grace in proptest::option::of("\\PC{0,9}"), waitfor in proptest::option::of(proptest::collection::vec(any::<u64>(), 0..4)),
    ) {
        let grace = grace.map(Quantity);
        let request = SubmitRequest { command, range, priority, env, grace, waitfor, ..SubmitRequest::default() };
        let json = serde_json::to_string(&request).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<SubmitRequest>(&json).ok(), Some(request));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = serde_json::from_slice::<SubmitRequest>(&bytes);
        let _ = serde_json::from_slice::<ApiError>(&bytes);
    }
}
