//! Attempts: what is found by another key than its job.

use super::sample::{attempt, job};
use super::{Fixture, Session};
use crate::{AttemptRow, Write};

/// What ended on a host, by when.
///
/// # Panics
/// When one is missing, in another place, or of another host.
pub fn attempts_are_found_by_host_and_end(fixture: &dyn Fixture) {
    let mut session = Session::open(fixture);
    let (here, there) = ([1; 16], [2; 16]);
    let mut writes = vec![Write::Job(job(1)), Write::Job(job(2))];
    for (job, item, host, ended_ms) in [
        (2, 0, here, 30),
        (1, 4, here, 30),
        (1, 0, here, 20),
        (1, 1, there, 25),
        (1, 2, here, 10),
        (1, 3, here, 40),
    ] {
        writes.push(Write::Attempt(AttemptRow {
            host,
            ended_ms,
            ..attempt(job, item, 1)
        }));
    }
    session.commit(writes);
    let mut reader = session.reader();
    let mut keys = |host, from_ms, limit| {
        let rows = reader.attempts_on(host, from_ms, limit).unwrap();
        rows.iter()
            .map(|row| (row.job, row.item))
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(here, 20, 9), [(1, 0), (1, 4), (2, 0), (1, 3)]);
    assert_eq!(keys(here, 20, 2), [(1, 0), (1, 4)]);
    assert_eq!(keys(there, i64::MIN, 9), [(1, 1)]);
    assert_eq!(keys(there, 26, 9), []);
    assert_eq!(keys([3; 16], 0, 9), []);
}
