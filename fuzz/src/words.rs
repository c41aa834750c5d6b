//! What people write: ranges, selectors, dependencies, amounts, names, submissions, join strings, certificate requests.

use std::sync::OnceLock;
use tempfile::TempDir;
use tessera_api::types::{ActionRequest, JoinRequest, ModifyRequest, SubmitRequest, TokenRequest};
use tessera_model::limits::{FRAMES_MAX, RUNS_MAX, WAITFOR_MAX};
use tessera_model::{GlobalName, HostId, HostName, JobId, StartRate, UserName};
use tessera_spec::{ChangeDraft, Selector, SubmissionDraft, after, quantity, range, reservation};
use tessera_ticket::{AccountName, LaunchKey, substitute};
use tessera_wire::pki::{FarmCa, Fingerprint, JoinString, JoinToken, new_host_id};

/// Runs of a range up to which every frame is looked at.
const RUNS: usize = 8;

/// A range that is read keeps its bounds, names nothing twice, and reads back as it is printed.
pub fn frames(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let runs = match range::parse(text) {
        Ok(runs) => runs,
        Err(error) => {
            assert!(error.text.is_char_boundary(error.offset), "{error:?}");
            let _said = (error.to_string(), error.hint());
            return;
        }
    };
    let frames: u64 = runs.iter().map(|run| u64::from(run.count)).sum();
    assert!((1..=FRAMES_MAX).contains(&frames) && runs.len() <= RUNS_MAX);
    if runs.len() <= RUNS {
        for (n, run) in runs.iter().enumerate() {
            let later = &runs[n + 1..];
            assert!(
                later
                    .iter()
                    .all(|other| range::intersection(run, other).is_none()),
                "{runs:?}"
            );
        }
    }
    assert_eq!(range::parse(&range::print(&runs)), Ok(runs));
}

/// Everything short that people type prints so that it reads back.
pub fn names(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    macro_rules! reads_back {
        ($($kind:ty)*) => { $(
            if let Ok(read) = text.parse::<$kind>() {
                assert_eq!(read.to_string().parse::<$kind>().ok(), Some(read));
            }
        )* };
    }
    reads_back!(AccountName LaunchKey UserName HostName HostId JobId GlobalName StartRate Selector Fingerprint JoinString);
    if let Ok(token) = text.parse::<JoinToken>() {
        assert_eq!(token.reveal().parse(), Ok(token));
    }
    if let Ok(time) = quantity::duration(text) {
        assert_eq!(
            quantity::duration(&quantity::print_duration(time)),
            Ok(time)
        );
    }
    if let Ok(size) = quantity::size(text) {
        assert_eq!(quantity::size(&quantity::print_size(size)), Ok(size));
    }
    let tokens = tessera_ticket::Chunk::take(
        &[tessera_ticket::FrameRun {
            start: -5,
            step: 3,
            count: 7,
        }],
        1,
        4,
    )
    .map(|chunk| tessera_ticket::ItemTokens::of(&chunk, 4));
    let _command = tokens.map(|tokens| substitute(text, &tokens));
}

/// A dependency that is read is printed so that it reads back; an error points into the text.
pub fn after(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match after::parse(text) {
        Ok(read) => {
            assert!((1..=WAITFOR_MAX).contains(&read.leaves().len()), "{read}");
            assert_eq!(after::parse(&read.to_string()), Ok(read));
        }
        Err(bad) => {
            assert!(bad.place <= text.chars().count(), "{bad}");
            let _said = (bad.to_string(), bad.hint());
        }
    }
}

/// Reservations that are read are printed so that they read back; an error points into the text.
pub fn reservations(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match reservation::parse(text) {
        Ok(claims) => assert_eq!(reservation::parse(&reservation::print(&claims)), Ok(claims)),
        Err(bad) => assert_eq!(text.chars().nth(bad.place), bad.found, "{bad}"),
    }
    if let Ok(read) = reservation::honoured(text) {
        let mut amounts = read.amounts.values().chain(read.global.values());
        assert!(read.slots > 0 && amounts.all(|amount| *amount > 0));
        assert_eq!(
            reservation::honoured(&reservation::print_reservation(&read)),
            Ok(read)
        );
    }
}

/// A submission that is taken gives the same job when it is taken from the job again.
pub fn submission(bytes: &[u8]) {
    if let Ok(request) = serde_json::from_slice::<SubmitRequest>(bytes) {
        let draft = SubmissionDraft::from(request);
        match draft.validate() {
            Ok(job) => {
                let again = SubmissionDraft::of(&job.spec).validate();
                assert_eq!(again.map(|it| it.spec), Ok(job.spec));
            }
            Err(errors) => {
                assert!(errors.iter().all(|it| !it.field.is_empty()) && !errors.is_empty())
            }
        }
    }
    if let Ok(request) = serde_json::from_slice::<ModifyRequest>(bytes) {
        let _either = ChangeDraft::from(request).validate();
    }
    let _bodies = (
        serde_json::from_slice::<ActionRequest>(bytes).is_ok(),
        serde_json::from_slice::<TokenRequest>(bytes).is_ok(),
        serde_json::from_slice::<JoinRequest>(bytes).is_ok(),
    );
}

/// A certificate request of anybody is signed or refused.
pub fn certificate_request(bytes: &[u8]) {
    static CA: OnceLock<(TempDir, FarmCa, HostId)> = OnceLock::new();
    let (_, ca, host) = CA.get_or_init(|| {
        tessera_wire::install_crypto_provider();
        let dir = tempfile::tempdir().expect("a temporary directory");
        let ca = FarmCa::create(&dir.path().join("ca")).expect("a CA");
        (dir, ca, new_host_id().expect("random bits"))
    });
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let name: HostName = "rnd042".parse().expect("a name");
    if let Ok(certificate) = ca.sign_worker(text, *host, &name) {
        assert!(certificate.contains("BEGIN CERTIFICATE"));
    }
}
