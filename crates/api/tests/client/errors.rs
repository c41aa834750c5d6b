//! What the client makes of refusals, silence and nonsense.

use crate::server::{Script, Server, nowhere, short};
use std::time::Duration;
use tessera_api::client::{ANSWER_BYTES_MAX, TimeLimits};
use tessera_api::types::SubmitRequest;
use tessera_api::{ApiError, Client, ClientError, ErrorCode, Exit};
use tessera_spec::FieldError;

#[tokio::test]
async fn a_refusal_arrives_whole() {
    let error = ApiError::invalid(vec![
        FieldError::new("priority", "0 is not from 1 to 9999").hint("1 is served first"),
        FieldError::new("range", "no range"),
    ]);
    let sent = error.clone().request_id("r-1");
    let body = serde_json::to_string(&sent).expect("JSON");
    let server = Server::http(move |_| (422, body.clone()));
    let found = server
        .client()
        .submit(&SubmitRequest::default(), false)
        .await
        .expect_err("a refusal");
    assert_eq!(found.exit_code(), Exit::Usage);
    let ClientError::Api(found) = found else {
        panic!("{found}")
    };
    assert_eq!(found, sent);
    assert_eq!(
        found.to_string(),
        "2 fields are wrong: priority: 0 is not from 1 to 9999; range: no range"
    );
}

#[tokio::test]
async fn each_code_has_its_status_and_exit_code() {
    for code in ErrorCode::ALL {
        let body = serde_json::to_string(&ApiError::new(code, "no").hint("so")).expect("JSON");
        let server = Server::http(move |_| (code.status(), body.clone()));
        let error = server.client().info().await.expect_err("a refusal");
        assert_eq!(error.exit_code(), code.exit_code());
        assert_eq!(error.hint(), Some("so"));
        assert!(matches!(error, ClientError::Api(error) if error.code == code));
    }
    let exits = [
        (ErrorCode::Forbidden, Exit::Denied, 4),
        (ErrorCode::Unauthenticated, Exit::Denied, 4),
        (ErrorCode::NotFound, Exit::NotFound, 5),
        (ErrorCode::WrongState, Exit::State, 6),
        (ErrorCode::Invalid, Exit::Usage, 2),
        (ErrorCode::Unavailable, Exit::Unreachable, 3),
        (ErrorCode::Internal, Exit::Failed, 1),
    ];
    for (code, exit, number) in exits {
        assert_eq!((code.exit_code(), exit.code()), (exit, number));
    }
}

#[tokio::test]
async fn a_refusal_in_foreign_words_is_understood_by_its_status() {
    let server = Server::http(|_| (502, "<html>\u{1b}[31mBad Gateway".to_owned()));
    let error = server.client().info().await.expect_err("a proxy's answer");
    assert_eq!(error.exit_code(), Exit::Unreachable);
    let text = error.to_string();
    assert!(
        text.contains("502") && text.contains("Bad Gateway") && !text.contains('\u{1b}'),
        "{text}"
    );
    let later = r#"{"code": "made_up_later", "message": "something new"}"#;
    let server = Server::http(move |_| (418, later.to_owned()));
    let error = server.client().info().await.expect_err("a refusal");
    assert!(
        matches!(error, ClientError::Api(error) if error.code == ErrorCode::Unknown && error.message == "something new")
    );
}

#[tokio::test]
async fn nobody_there_is_unreachable_and_says_where() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = nowhere(folder.path());
    let error = Client::unix(&path)
        .info()
        .await
        .expect_err("nobody is there");
    assert_eq!(error.exit_code(), Exit::Unreachable);
    assert!(
        error
            .to_string()
            .contains(&format!("unix:{}", path.display())),
        "{error}"
    );
    assert!(
        error.hint().is_some_and(|hint| hint.contains("tessera up")),
        "{:?}",
        error.hint()
    );
}

#[tokio::test]
async fn silence_ends_with_the_time_limit() {
    let server = Server::scripted([Script::silent("", &[b"{"])]);
    let limits = TimeLimits {
        answer: Duration::from_millis(100),
        ..short()
    };
    let error = server
        .client_with(limits)
        .info()
        .await
        .expect_err("no whole answer");
    assert!(
        matches!(&error, ClientError::Unreachable { cause, .. } if cause.kind() == std::io::ErrorKind::TimedOut)
    );
}

#[tokio::test]
async fn a_cut_answer_is_no_answer() {
    let server = Server::scripted([Script::cut("", &[b"{}"]), Script::fixed("", "")]);
    let client = server.client();
    for what in ["cut", "no status"] {
        let error = client.info().await.expect_err(what);
        assert_eq!(error.exit_code(), Exit::Unreachable, "{what}: {error}");
    }
}

#[tokio::test]
async fn nonsense_and_floods_are_refused() {
    let server = Server::http(|_| (200, "nonsense".to_owned()));
    let error = server.client().info().await.expect_err("no JSON");
    assert!(matches!(error, ClientError::Protocol { .. }), "{error}");
    let server = Server::http(|_| (200, " ".repeat(ANSWER_BYTES_MAX + 1)));
    let error = server.client().info().await.expect_err("too long");
    assert!(error.to_string().contains("longer than"), "{error}");
}
