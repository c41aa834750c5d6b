//! What people and programs are told: unknown keys, numbers from the future, what frames failed of, what will wait.

use crate::world::{DEADLINE, Farm, eventually, frames};
use tessera_api::types::{SubmitRequest, Why};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Sends a request as it is and reads the answer as far as this text.
async fn raw(farm: &Farm, request: &str, until: &str) -> String {
    let mut stream = tokio::net::UnixStream::connect(farm.running.socket())
        .await
        .expect("connects");
    let request = format!("{request}\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let (mut seen, mut buffer) = (Vec::new(), vec![0; 16 * 1024]);
    // In all: a stream that is silent otherwise says now and then that it is there.
    let end = tokio::time::Instant::now() + DEADLINE;
    loop {
        let text = String::from_utf8_lossy(&seen).into_owned();
        if text.contains(until) {
            return text;
        }
        let read = tokio::time::timeout_at(end, stream.read(&mut buffer)).await;
        let read = read.unwrap_or_else(|_| panic!("{request}: only {text}"));
        let read = read.expect("bytes");
        assert!(read > 0, "{request}: the answer ended: {text}");
        seen.extend_from_slice(&buffer[..read]);
    }
}

#[tokio::test]
async fn an_unknown_query_key_is_named_with_the_known_ones() {
    let farm = Farm::start().await;
    farm.submit(frames("1")).await;
    for (path, key, known) in [
        ("GET /api/v1/jobs?stat=x", "stat", "user, state, name"),
        ("GET /api/v1/jobs?limit=5&%73ort=x", "sort", "cursor, limit"),
        ("GET /api/v1/events?from=1", "from", "after, job"),
        (
            "GET /api/v1/jobs/1/items?page=2",
            "page",
            "frames, first, state",
        ),
        ("GET /api/v1/jobs/1/items/0/log?tail=2", "tail", "attempt"),
        ("GET /api/v1/hosts?state=up", "state", "takes no query"),
        ("DELETE /api/v1/hosts/a?hard=true", "hard", "force"),
        (
            "POST /api/v1/hosts/a/lock?force=1",
            "force",
            "takes no query",
        ),
    ] {
        let answer = raw(&farm, &format!("{path} HTTP/1.1"), "\"request_id\"").await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
        let named = format!("unknown query key \\\"{key}\\\"");
        assert!(
            answer.contains(&named) && answer.contains(known),
            "{path}: {answer}"
        );
    }
    let bad = raw(&farm, "GET /api/v1/jobs?limit=x HTTP/1.1", "\"request_id\"").await;
    assert!(
        bad.starts_with("HTTP/1.1 400 ") && bad.contains("limit: "),
        "{bad}"
    );
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_number_from_the_future_is_never_given_back() {
    let farm = Farm::start().await;
    for (newest, request) in (1_u64..).zip([
        "GET /api/v1/events?after=999999 HTTP/1.1",
        "GET /api/v1/events HTTP/1.1\r\nLast-Event-ID: 999999",
    ]) {
        farm.submit(frames("1")).await;
        let seen = raw(&farm, request, "event: resync\ndata: {\"after\":").await;
        let (_, told) = seen.split_once("\nid: ").expect("an id");
        let (id, rest) = told.split_once('\n').expect("a line");
        let id: u64 = id.parse().expect("a number");
        // The answer of a submission may be there a moment before its event is.
        assert!(id == newest || id + 1 == newest, "{request}: {seen}");
        let hello = format!("event: hello\ndata: {{\"after\":{id}}}");
        assert!(rest.starts_with(&hello), "{request}: {seen}");
        let resync = format!("id: {id}\nevent: resync\n");
        assert!(rest.contains(&resync), "{request}: {seen}");
        assert!(!seen.contains("999999"), "{request}: {seen}");
    }
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn why_of_a_failed_job_tells_what_its_frames_failed_of() {
    let farm = Farm::start().await;
    let mut worker = farm.worker("rnd001", 1).await;
    let id = farm.submit(frames("8")).await;
    let start = worker.started().await;
    worker.is_up(start.key).await;
    let seq = worker.ended(start.key, start.run, 3).await;
    worker.acknowledged(seq).await;
    let why: Why = eventually("the end", || async {
        let why = farm.client.why(id).await.expect("a reason");
        (why.status == "failed").then_some(why)
    })
    .await;
    assert_eq!(
        why.summary,
        format!("1 of 1 failed frames ended with: exit 3; for instance {id}:8")
    );
    let first = &why.reasons[0];
    assert_eq!((first.kind.as_str(), first.count), ("failed", 1));
    assert_eq!(first.hosts, ["rnd001"]);
    assert_eq!(
        first.hint.as_deref(),
        Some(&*format!("see tessera log {id}:8"))
    );
    assert_eq!(why.reasons[1].kind, "ended");
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_job_that_no_host_would_run_is_warned_of_at_once() {
    if !nix::unistd::geteuid().is_root() {
        return eprintln!("skipped: needs root");
    }
    let farm = Farm::start().await;
    let submit = async |request: SubmitRequest, is_dry| {
        let reply = farm.client.submit(&request, is_dry).await;
        reply.expect("submitted").warnings
    };
    assert_eq!(submit(frames("1"), false).await, Vec::<String>::new());
    let _worker = farm.worker("rnd001", 1).await;
    eventually("the host", || async {
        let hosts = farm.client.hosts().await.expect("hosts").hosts;
        hosts.iter().any(|host| host.status == "up").then_some(())
    })
    .await;
    for is_dry in [true, false] {
        let said = submit(frames("1"), is_dry).await;
        assert!(
            said.len() == 1 && said[0].contains("no connected host runs jobs as root"),
            "{said:?}"
        );
    }
    let elsewhere = SubmitRequest {
        hosts: Some(vec!["rnd002".into()]),
        ..frames("1")
    };
    let said = submit(elsewhere, false).await;
    assert!(
        said.len() == 1 && said[0].contains("no known host is named rnd002"),
        "whether it would take the job can't be known: {said:?}"
    );
    let mias = SubmitRequest {
        user: Some("mia".into()),
        ..frames("1")
    };
    assert!(submit(mias, false).await.is_empty());
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn names_of_hosts_that_nobody_knows_are_warned_of_at_once() {
    let farm = Farm::start().await;
    let _worker = farm.worker("rnd001", 1).await;
    let _other = farm.worker_in("rnd003", 1, "gpu").await;
    eventually("the hosts", || async {
        let hosts = farm.client.hosts().await.expect("hosts").hosts;
        (hosts.iter().filter(|host| host.status == "up").count() == 2).then_some(())
    })
    .await;
    let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    let request = |hosts, omithosts| SubmitRequest {
        // Not the account of the test, which may be one that no host runs.
        user: nix::unistd::geteuid().is_root().then(|| "mia".to_owned()),
        hosts,
        omithosts,
        ..frames("1")
    };
    let cases = [
        (request(None, None), None),
        (request(names(&["rnd001"]), None), None),
        (
            request(names(&["nohost"]), None),
            Some("it will wait: no known host is named nohost"),
        ),
        (
            request(None, names(&["rnd001", "rnd003"])),
            Some("it will wait: hosts and omithosts leave none"),
        ),
        (
            SubmitRequest {
                groups: names(&["gpu"]),
                ..request(names(&["rnd001"]), None)
            },
            Some(
                "it will wait: hosts, groups leave none of the known hosts together; nearest is rnd001: leave groups out",
            ),
        ),
    ];
    for (request, expected) in cases {
        let reply = farm.client.submit(&request, false).await.expect("taken");
        assert!(reply.job.is_some());
        assert_eq!(reply.warnings.len(), usize::from(expected.is_some()));
        for (said, expected) in reply.warnings.iter().zip(expected) {
            assert!(said.starts_with(expected), "{said}");
        }
    }
    farm.running.stop().await.expect("stops");
}
