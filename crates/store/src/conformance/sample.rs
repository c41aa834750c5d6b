//! Rows with something in every column.

use crate::{
    AttemptRow, CredentialRow, CredentialSealRow, HostRow, InstanceRow, JobRow, JoinTokenRow,
    JournalRow, LaunchRow, PoolKeyRow, StateCounts, TokenRow,
};

/// A job with every column filled; its key is `key-ID`.
#[must_use]
pub fn job(id: u64) -> JobRow {
    JobRow {
        id,
        name: format!("shot {id}"),
        kind: "cmdrange".into(),
        owner: "mia".into(),
        state: "running".into(),
        priority: 9999,
        order: -5,
        submitted_ms: 1_700_000_000_000,
        started_ms: Some(1_700_000_000_001),
        ended_ms: None,
        counts: StateCounts {
            pending: 1,
            blocked: 2,
            waiting: 3,
            running: 4,
            suspended: 5,
            complete: 6,
            failed: 7,
            killed: u32::MAX,
        },
        key: Some(format!("key-{id}")),
        spec: "{\"command\":[\"true\"]}".into(),
        spec_format: 1,
        cpus: 4,
        items: 10,
        notes: "first\nsecond".into(),
    }
}

/// An instance of a job.
#[must_use]
pub fn instance(job: u64, instance: u32) -> InstanceRow {
    InstanceRow {
        job,
        instance,
        state: "running".into(),
        detail: "{\"launch\":3}".into(),
        launch_last: 3,
        retries_used: 1,
    }
}

/// A launch of an instance of a job.
#[must_use]
pub fn launch(job: u64, instance: u32, launch: u32) -> LaunchRow {
    LaunchRow {
        job,
        instance,
        launch,
        host: [7; 16],
        phase: "up".into(),
        item: Some(2),
        attempt: Some(1),
        account: "mia".into(),
        mode: "user".into(),
        since_ms: 5,
        detail: "{}".into(),
    }
}

/// A host whose id is `n` sixteen times.
#[must_use]
pub fn host(n: u8) -> HostRow {
    HostRow {
        id: [n; 16],
        name: format!("rnd{n:03}"),
        state: "up".into(),
        is_locked: true,
        facts: "{\"slots\":2}".into(),
        enrolled_ms: 1,
        seen_ms: 2,
        fingerprint: Some([n; 32]),
    }
}

/// An attempt of an item of a job.
#[must_use]
pub fn attempt(job: u64, item: u32, attempt: u32) -> AttemptRow {
    AttemptRow {
        job,
        item,
        attempt,
        instance: 1,
        launch: 2,
        host: [7; 16],
        host_name: "rnd007".into(),
        account: "mia".into(),
        assigned_ms: 10,
        started_ms: Some(11),
        ended_ms: 12,
        outcome: "failed".into(),
        exit_code: Some(-1),
        signal: Some(9),
        reason: Some("killed: over its time limit".into()),
        elapsed_ms: 3,
        cpu_ms: 4,
        peak_memory: 5,
        out_printed: 6,
        out_kept: 7,
        err_printed: 8,
        err_kept: 9,
        leftovers: 10,
        counted: true,
        memory_limit: Some(11),
    }
}

/// A journal row of a job, with neither item nor cell.
#[must_use]
pub fn journal(job: u64, text: &str) -> JournalRow {
    JournalRow {
        at_ms: 20,
        kind: "job.status".into(),
        job: Some(job),
        instance: Some(1),
        item: None,
        attempt: Some(2),
        host: Some([7; 16]),
        actor: Some("mia".into()),
        cell: None,
        text: text.into(),
    }
}

/// A token whose hash is `n` many times.
#[must_use]
pub fn token(id: &str, n: u8) -> TokenRow {
    TokenRow {
        id: id.into(),
        sha256: [n; 32],
        user: "mia".into(),
        is_admin: true,
        note: "pipeline".into(),
        created_ms: 1,
        expires_ms: Some(2),
        last_used_ms: Some(3),
    }
}

/// A join token whose hash is `n` many times.
#[must_use]
pub fn join_token(n: u8) -> JoinTokenRow {
    JoinTokenRow {
        sha256: [n; 32],
        note: "rack 2".into(),
        created_ms: 1,
        expires_ms: 2,
        uses_left: 1,
    }
}

/// A registered password of `mia` in a pool.
#[must_use]
pub fn credential(pool: &str) -> CredentialRow {
    CredentialRow {
        kind: "user".into(),
        account: "mia".into(),
        pool: pool.into(),
        domain: "STUDIO".into(),
        sid: "S-1-1".into(),
        sid_found: "S-1-1".into(),
        sequence: 3,
        checks: 4,
        created_ms: 1,
        expires_ms: 2,
        by_user: "root".into(),
        is_revoked: false,
        verdict: Some("valid".into()),
        checked_ms: Some(5),
        checked_host: "rnd042".into(),
        checked_detail: "fine".into(),
    }
}

/// What is sealed to key `n` of it.
#[must_use]
pub fn credential_seal(pool: &str, n: u8) -> CredentialSealRow {
    CredentialSealRow {
        kind: "user".into(),
        account: "mia".into(),
        pool: pool.into(),
        key: [n; 16],
        sealed: vec![n; 40],
    }
}

/// A key of host `n`.
#[must_use]
pub fn pool_key(n: u8, place: u32) -> PoolKeyRow {
    PoolKeyRow {
        host: [n; 16],
        place,
        pool: "night".into(),
        key: [n + 1; 16],
        public: [n + 2; 32],
        created_ms: 6,
    }
}
