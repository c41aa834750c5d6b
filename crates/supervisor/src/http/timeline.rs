//! What hosts ran within a time: what has ended from the store, what runs from the engine.
//!
//! Everybody whom the farm knows may see it, as the list of jobs and what runs on a host; it tells names and times, and nothing
//! of commands or output.

use super::auth::Caller;
use super::error::Answer;
use super::extract::Params;
use super::hosts::{find, unknown};
use super::{App, Failure, views};
use axum::extract::{Extension, State};
use std::collections::{BTreeMap, BTreeSet};
use tessera_api::query::TimelineQuery;
use tessera_api::types::{Timeline, TimelineHost, TimelineJob, TimelineSpan};
use tessera_engine::supervisor::Launch;
use tessera_model::{HostId, JobId};
use tessera_spec::FieldError;
use tessera_store::AttemptRow;
use tokio::sync::Semaphore;

/// Hosts of an answer.
const HOSTS_MAX: usize = 50;
/// Longest time of an answer: a week.
const SHOWN_MS_MAX: i64 = 7 * 24 * 3_600 * 1_000;
/// How long before it is read a question for a week up to now may have been asked, in milliseconds.
const LATE_MS_MAX: i64 = 60_000;
/// Time of an answer unless it is said: an hour.
const SHOWN_MS_DEFAULT: i64 = 3_600 * 1_000;
/// Attempts that are read of a host.
const ATTEMPTS_MAX: u32 = 2_000;
/// What is shorter than this part of the time is not seen apart from what follows.
const PARTS: i64 = 1_000;
/// Answers that are made at once; others wait.
static ANSWERS: Semaphore = Semaphore::const_new(2);

/// A host with what runs there.
struct Found {
    id: HostId,
    host: TimelineHost,
}

/// `GET /timeline`
pub(crate) async fn timeline(
    State(app): State<App>,
    Extension(_): Caller,
    Params(query): Params<TimelineQuery>,
) -> Answer<axum::Json<Timeline>> {
    let (from_ms, to_ms) = window(&query, crate::clock::wall().0)?;
    let wanted = names(&query.hosts)?;
    let turn = ANSWERS.acquire().await;
    let found = app.core.read(move |view| {
        let host_of = |name: String| {
            let id = find(view, &name).ok_or_else(|| unknown(&name))?;
            let Some(host) = view.engine.host(id) else {
                // It has joined and was never connected: nothing ran there.
                let host = TimelineHost {
                    name,
                    ..TimelineHost::default()
                };
                return Ok(Found { id, host });
            };
            let launches = host.launches().keys();
            let launches = launches.filter_map(|key| view.engine.launch(*key));
            let spans = launches
                .filter_map(running)
                .filter(|span| span.from_ms < to_ms);
            let host = TimelineHost {
                name: host.facts.name.clone(),
                slots: host.facts.slots,
                spans: spans.collect(),
                until_ms: None,
            };
            Ok(Found { id, host })
        };
        wanted
            .into_iter()
            .map(host_of)
            .collect::<Result<Vec<_>, Failure>>()
    });
    let mut hosts = Vec::new();
    for Found { id, mut host } in found.await?? {
        // One host after another: what others ask is answered between.
        let rows = app
            .readers
            .read(move |reader| reader.attempts_on(id.0, from_ms, ATTEMPTS_MAX))
            .await?;
        host.until_ms = cut(&rows, to_ms);
        host.spans.extend(spans(&rows, from_ms, to_ms));
        host.spans
            .sort_by_key(|span| (span.from_ms, span.job, span.instance));
        hosts.push(host);
    }
    drop(turn);
    let ids: BTreeSet<u64> = hosts
        .iter()
        .flat_map(|host| host.spans.iter().map(|span| span.job))
        .collect();
    let jobs = app.core.read(move |view| {
        let known = ids.iter().filter_map(|id| view.engine.job(JobId(*id)));
        let named = known.map(|job| TimelineJob {
            id: job.id.0,
            name: job.spec.name.clone(),
            user: job.owner.to_string(),
        });
        named.collect()
    });
    Ok(axum::Json(Timeline {
        from_ms,
        to_ms,
        hosts,
        jobs: jobs.await?,
    }))
}

/// Reads the time that is asked for.
fn window(query: &TimelineQuery, now_ms: i64) -> Answer<(i64, i64)> {
    let to = query.to_ms.unwrap_or(now_ms);
    let mut from = query.from_ms.unwrap_or(to.saturating_sub(SHOWN_MS_DEFAULT));
    if query.to_ms.is_none() && from.saturating_add(LATE_MS_MAX) > to.saturating_sub(SHOWN_MS_MAX) {
        // A week up to now began a moment before this was read.
        from = from.max(to.saturating_sub(SHOWN_MS_MAX));
    }
    match to.checked_sub(from) {
        Some(1..=SHOWN_MS_MAX) => Ok((from, to)),
        _ => {
            let message = "it is before to_ms, by a week at most";
            Err(Failure::fields(vec![FieldError::new("from_ms", message)]))
        }
    }
}

/// Reads the hosts that are asked for, each once.
fn names(list: &str) -> Answer<Vec<String>> {
    let mut seen = BTreeSet::new();
    let named = list
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    let named: Vec<String> = named
        .filter(|name| seen.insert(*name))
        .map(str::to_owned)
        .collect();
    if (1..=HOSTS_MAX).contains(&named.len()) {
        return Ok(named);
    }
    let message = format!("name 1 to {HOSTS_MAX} of them, with commas between");
    Err(Failure::fields(vec![FieldError::new("hosts", message)]))
}

/// Shows what a launch runs now.
fn running(launch: &Launch) -> Option<TimelineSpan> {
    let run = launch.current?;
    let began = launch.current_started.unwrap_or(launch.current_since);
    Some(TimelineSpan {
        job: launch.key.job.0,
        instance: launch.key.instance.0,
        item: run.item.0,
        attempt: run.attempt.0,
        // A host's clock may be behind.
        from_ms: began.0.max(launch.current_since.0),
        to_ms: None,
        state: "running".to_owned(),
        items: 1,
        failed: 0,
    })
}

/// Answers from when on something may be missing, when not all was read.
fn cut(rows: &[AttemptRow], to_ms: i64) -> Option<i64> {
    let last = rows.last().filter(|_| rows.len() >= ATTEMPTS_MAX as usize);
    last.map(|row| row.ended_ms).filter(|ended| *ended <= to_ms)
}

/// Shows what has ended, those together that can't be seen apart.
fn spans(rows: &[AttemptRow], from_ms: i64, to_ms: i64) -> Vec<TimelineSpan> {
    let least = (to_ms - from_ms) / PARTS;
    let mut by_instance: BTreeMap<(u64, u32), Vec<TimelineSpan>> = BTreeMap::new();
    for row in rows {
        let span = ended(row);
        if span.from_ms >= to_ms {
            continue;
        }
        let of_instance = by_instance.entry((span.job, span.instance)).or_default();
        match of_instance.last_mut() {
            Some(before) if is_one(before, &span, least) => merge(before, &span),
            _ => of_instance.push(span),
        }
    }
    by_instance.into_values().flatten().collect()
}

fn ended(row: &AttemptRow) -> TimelineSpan {
    let end = views::attempt_row(row).end.unwrap_or_default();
    let is_failed = matches!(end.outcome.as_str(), "failed" | "out_of_memory");
    let began = row.started_ms.unwrap_or(row.assigned_ms);
    TimelineSpan {
        job: row.job,
        instance: row.instance,
        item: row.item,
        attempt: row.attempt,
        // By the host's clock, which may be off: never outside what the supervisor itself saw.
        from_ms: began.min(row.ended_ms).max(row.assigned_ms),
        to_ms: Some(row.ended_ms),
        state: if end.kind == "lost" {
            end.kind
        } else {
            end.outcome
        },
        items: 1,
        failed: u32::from(is_failed),
    }
}

/// Says whether two that follow each other are seen as one: both are short, and so is what lies between.
fn is_one(before: &TimelineSpan, next: &TimelineSpan, least: i64) -> bool {
    let long = |span: &TimelineSpan| {
        span.items == 1 && span.to_ms.unwrap_or(i64::MAX).saturating_sub(span.from_ms) > 3 * least
    };
    let gap = next
        .from_ms
        .saturating_sub(before.to_ms.unwrap_or(i64::MAX));
    gap <= least && !long(before) && !long(next)
}

fn merge(into: &mut TimelineSpan, next: &TimelineSpan) {
    if next.failed > 0 && into.failed == 0 {
        (into.item, into.attempt) = (next.item, next.attempt);
        into.state.clone_from(&next.state);
    }
    into.to_ms = into.to_ms.max(next.to_ms);
    into.items += next.items;
    into.failed += next.failed;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(item: u32, began: i64, ended: i64, exit: i32) -> AttemptRow {
        AttemptRow {
            job: 1,
            item,
            attempt: 1,
            assigned_ms: began,
            started_ms: Some(began),
            ended_ms: ended,
            outcome: "exit".into(),
            exit_code: Some(exit),
            ..AttemptRow::default()
        }
    }

    fn shown(rows: &[AttemptRow], from_ms: i64, to_ms: i64) -> Vec<(u32, i64, i64, u32, u32)> {
        let spans = spans(rows, from_ms, to_ms).into_iter();
        spans
            .map(|span| {
                (
                    span.item,
                    span.from_ms,
                    span.to_ms.unwrap_or(0),
                    span.items,
                    span.failed,
                )
            })
            .collect()
    }

    #[test]
    fn a_week_up_to_now_is_a_week_however_long_the_question_took() {
        let now = 1_700_000_000_000;
        let of = |from_ms, to_ms| {
            let query = TimelineQuery {
                from_ms,
                to_ms,
                ..TimelineQuery::default()
            };
            window(&query, now).ok()
        };
        let week = now - SHOWN_MS_MAX;
        assert_eq!(of(Some(week), None), Some((week, now)));
        assert_eq!(of(Some(week - 50), None), Some((week, now)));
        assert_eq!(of(Some(week - 2 * LATE_MS_MAX), None), None);
        assert_eq!(of(Some(week - 50), Some(now)), None);
        assert_eq!(of(Some(now), None), None);
    }

    #[test]
    fn what_is_too_short_to_be_seen_is_one_and_what_failed_is_found() {
        let rows = [
            row(0, 0, 100, 0),
            row(1, 110, 200, 1),
            row(2, 210, 300, 0),
            row(3, 900_000, 990_000, 0),
            row(4, 990_010, 999_000, 0),
        ];
        // A second is the least that is seen of this time.
        assert_eq!(
            shown(&rows, 0, 1_000_000),
            [
                (1, 0, 300, 3, 1),
                (3, 900_000, 990_000, 1, 0),
                (4, 990_010, 999_000, 1, 0)
            ]
        );
        assert_eq!(shown(&rows[..3], 0, 1_000).len(), 3, "nearer all are seen");
        assert_eq!(
            shown(&rows, 0, 900_000).len(),
            1,
            "what began later is not in it"
        );
        let mut others = rows.clone();
        others[1].instance = 7;
        assert_eq!(
            shown(&others[..2], 0, 1_000_000).len(),
            2,
            "another instance's is apart"
        );
    }

    #[test]
    fn a_hosts_clock_moves_nothing_out_of_what_was_seen() {
        let mut early = row(0, 1_000, 2_000, 0);
        early.started_ms = Some(-5);
        let mut late = row(1, 1_000, 2_000, 0);
        late.started_ms = Some(9_999);
        assert_eq!(ended(&early).from_ms, 1_000);
        assert_eq!(ended(&late).from_ms, 2_000);
    }

    #[test]
    fn more_than_is_read_is_said() {
        let most = ATTEMPTS_MAX as usize;
        let rows: Vec<AttemptRow> = (0..most)
            .map(|n| row(0, 0, i64::try_from(n).expect("a time"), 0))
            .collect();
        let last = i64::from(ATTEMPTS_MAX) - 1;
        assert_eq!(cut(&rows, 9_999), Some(last));
        assert_eq!(cut(&rows, last - 1), None, "what is missing ended after it");
        assert_eq!(cut(&rows[1..], 9_999), None, "that was all");
    }

    #[test]
    fn times_and_hosts_are_bounded() {
        let of = |from_ms, to_ms| {
            let query = TimelineQuery {
                from_ms,
                to_ms,
                ..TimelineQuery::default()
            };
            window(&query, 5_000_000).ok()
        };
        assert_eq!(of(None, None), Some((1_400_000, 5_000_000)));
        assert_eq!(of(Some(1), Some(2)), Some((1, 2)));
        for (from, to) in [(2, 2), (3, 2), (0, SHOWN_MS_MAX + 1), (i64::MIN, i64::MAX)] {
            assert_eq!(of(Some(from), Some(to)), None, "{from} {to}");
        }
        assert_eq!(of(None, Some(i64::MIN)), None);
        assert_eq!(
            names(" a,b ,,a").ok(),
            Some(vec!["a".to_owned(), "b".to_owned()])
        );
        let many: Vec<String> = (0..51).map(|n| n.to_string()).collect();
        for bad in ["", ",", &many.join(",")] {
            assert!(names(bad).is_err(), "{bad}");
        }
    }
}
