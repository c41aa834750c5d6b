//! Items, their attempts, and what happened to a job.

use super::declared::{self, Declared};
use super::error::Answer;
use super::extract::{Params, Segments};
use super::jobs::{bad_cursor, states};
use super::{App, Failure, of_many, views};
use axum::extract::State;
use std::collections::{BTreeMap, BTreeSet};
use tessera_api::query::{HistoryQuery, ItemsQuery, page_size};
use tessera_api::types::{Attempts, History, ItemRow, ItemStates, Items};
use tessera_api::{ErrorCode, PAGE_MAX};
use tessera_engine::supervisor::{Denied, Job, Launch};
use tessera_model::msg::Run;
use tessera_model::{ItemIndex, ItemStatus, JobId};
use tessera_spec::{What, range};
use tessera_store::AttemptRow;

/// Items that one page looks through when a filter passes few of them.
const LOOKED_AT_MAX: usize = 200_000;
/// Failed items of an answer of which it is looked up who declared them so.
const DECLARED_MAX: usize = PAGE_MAX as usize;
/// A page whose items lie so much further apart is looked up item by item.
const SPREAD_MAX: u32 = 8;

/// `GET /jobs/{id}/items`
pub(crate) async fn list(
    State(app): State<App>,
    Segments(id): Segments<u64>,
    Params(query): Params<ItemsQuery>,
) -> Answer<axum::Json<Items>> {
    let from = match &query.cursor {
        None => query.first.unwrap_or(0),
        Some(cursor) => cursor.parse::<u32>().map_err(|_| bad_cursor())?,
    };
    let wanted = query.state.as_deref();
    let wanted = wanted
        .map(|words| {
            states(
                words,
                &ItemStatus::ALL,
                ItemStatus::word,
                ItemStatus::is_ended,
                &[],
            )
        })
        .transpose()?;
    let frames = query
        .frames
        .as_deref()
        .map(range::parse)
        .transpose()
        .map_err(|error| {
            let hint = error.hint();
            Failure::new(ErrorCode::BadRequest, format!("frames: {error}")).hint(hint)
        })?;
    let limit = page_size(query.limit);
    let found = app.core.read(move |view| {
        let job = view.engine.job(JobId(id))?;
        let only = match frames
            .map(|runs| What::Frames(runs).items(&job.spec))
            .transpose()
        {
            Ok(only) => only,
            Err(error) => return Some(Err(error)),
        };
        let running = launches_by_item(view.engine.launches_of(job.id));
        let (picked, next) = pick(job, from, limit, wanted.as_deref(), only.as_deref());
        let rows = picked.into_iter().map(|item| {
            let mut row = views::item_row(job, item);
            let run = Run {
                item,
                attempt: job.items().get(item).attempt,
            };
            if let Some(launch) = running.get(&run) {
                views::add_launch(view, &mut row, launch);
            }
            row
        });
        Some(Ok(Items {
            items: rows.collect(),
            next,
        }))
    });
    let page = found.await?.ok_or(Denied::NoJob(JobId(id)))?;
    let mut page = page.map_err(|error| Failure::new(ErrorCode::NotFound, error.to_string()))?;
    add_attempts(&app, id, &mut page.items).await?;
    Ok(axum::Json(page))
}

/// `GET /jobs/{id}/states`
pub(crate) async fn states_of(
    State(app): State<App>,
    Segments(id): Segments<u64>,
) -> Answer<axum::Json<ItemStates>> {
    // Read first: what is committed meanwhile is told again, not missed.
    let seq = app.hub.last_seq();
    let found = app.core.read(move |view| {
        let job = view.engine.job(JobId(id))?;
        let items = (0..job.items().len()).map(ItemIndex);
        Some(items.map(|item| letter(job.items().shown(item))).collect())
    });
    let states = found.await?.ok_or(Denied::NoJob(JobId(id)))?;
    Ok(axum::Json(ItemStates { seq, states }))
}

/// Answers the letter of a state; `docs/openapi.json` promises them.
fn letter(status: ItemStatus) -> char {
    match status {
        ItemStatus::Pending => 'p',
        ItemStatus::Blocked => 'b',
        ItemStatus::Waiting => 'w',
        ItemStatus::Running => 'r',
        ItemStatus::Suspended => 's',
        ItemStatus::Complete => 'c',
        ItemStatus::Failed => 'f',
        ItemStatus::Killed => 'k',
    }
}

fn launches_by_item<'a>(launches: impl Iterator<Item = &'a Launch>) -> BTreeMap<Run, &'a Launch> {
    launches
        .flat_map(|launch| launch.runs().map(move |run| (run, launch)))
        .collect()
}

/// Picks a page of items; answers also where the next one begins.
pub(crate) fn pick(
    job: &Job,
    from: u32,
    limit: usize,
    states: Option<&[ItemStatus]>,
    only: Option<&[ItemIndex]>,
) -> (Vec<ItemIndex>, Option<String>) {
    let all = (from..job.items().len()).map(ItemIndex);
    let candidates: Box<dyn Iterator<Item = ItemIndex>> = match only {
        None => Box::new(all),
        Some(only) => Box::new(only.iter().copied().filter(|item| item.0 >= from)),
    };
    let mut picked = Vec::new();
    for (looked_at, item) in candidates.enumerate() {
        if picked.len() == limit || looked_at == LOOKED_AT_MAX {
            return (picked, Some(item.to_string()));
        }
        if states.is_none_or(|states| states.contains(&job.items().shown(item))) {
            picked.push(item);
        }
    }
    (picked, None)
}

/// Adds what is recorded of the newest attempts of items that nothing runs, and who declared failed what no attempt failed of.
pub(crate) async fn add_attempts(app: &App, job: u64, rows: &mut [ItemRow]) -> Answer<()> {
    let found = recorded(app, job, rows).await?;
    let newest = |row: &ItemRow| found.get(&row.index).filter(|it| it.attempt == row.attempt);
    for row in rows.iter_mut().filter(|row| row.host.is_none()) {
        if let Some(attempt) = newest(row) {
            views::add_attempt(row, attempt);
        }
    }
    let failed = rows
        .iter_mut()
        .filter(|row| row.status == ItemStatus::Failed.word());
    let asked: Vec<&mut ItemRow> = failed
        .filter(|row| declared::may_be(newest(row)))
        .take(DECLARED_MAX)
        .collect();
    let items: Vec<u32> = asked.iter().map(|row| row.index).collect();
    if items.is_empty() {
        return Ok(());
    }
    let by = app.readers.read(move |reader| {
        let mut declared = Declared::new(reader);
        let all = items.into_iter();
        let all = all.map(|item| declared.by(job, item));
        all.collect::<Result<Vec<_>, _>>()
    });
    for (row, by) in asked.into_iter().zip(by.await?) {
        if let Some(who) = by {
            row.end = Some(declared::end(&who));
        }
    }
    Ok(())
}

/// Answers what is recorded of the newest attempts of items that nothing runs, by item.
async fn recorded(app: &App, job: u64, rows: &[ItemRow]) -> Answer<BTreeMap<u32, AttemptRow>> {
    let wanted: BTreeSet<(u32, u32)> = rows
        .iter()
        .filter(|row| row.host.is_none() && row.attempt > 0)
        .map(|row| (row.index, row.attempt))
        .collect();
    let (Some(first), Some(last)) = (wanted.first(), wanted.last()) else {
        return Ok(BTreeMap::new());
    };
    let (first, span) = (first.0, last.0 - first.0 + 1);
    let count = u32::try_from(wanted.len()).unwrap_or(u32::MAX);
    let found: Vec<AttemptRow> = app
        .readers
        .read(move |reader| {
            if span
                <= count
                    .saturating_mul(SPREAD_MAX)
                    .min(tessera_store::READ_LIMIT_MAX)
            {
                return reader.attempts_latest(job, first, span);
            }
            let mut found = Vec::with_capacity(wanted.len());
            for (item, attempt) in wanted {
                found.extend(reader.attempts(job, Some(item), Some((item, attempt - 1)), 1)?);
            }
            Ok(found)
        })
        .await?;
    Ok(found.into_iter().map(|row| (row.item, row)).collect())
}

/// `GET /jobs/{id}/items/{item}/attempts`
pub(crate) async fn attempts(
    State(app): State<App>,
    Segments((id, item)): Segments<(u64, u32)>,
) -> Answer<axum::Json<Attempts>> {
    let running = app.core.read(move |view| {
        let job = view.engine.job(JobId(id)).ok_or(Denied::NoJob(JobId(id)))?;
        if item >= job.items().len() {
            return Err(Denied::NoItem(JobId(id), ItemIndex(item)));
        }
        let of_item = |launch: &&Launch| launch.current.is_some_and(|run| run.item.0 == item);
        let launches = view.engine.launches_of(job.id).filter(of_item);
        Ok(launches
            .filter_map(|launch| views::running_attempt(view, launch))
            .collect::<Vec<_>>())
    });
    let running = running.await??;
    let over = app
        .readers
        .read(move |reader| reader.attempts(id, Some(item), None, tessera_store::READ_LIMIT_MAX));
    let mut attempts: Vec<_> = over.await?.iter().map(views::attempt_row).collect();
    let known: BTreeSet<u32> = attempts.iter().map(|row| row.attempt).collect();
    attempts.extend(
        running
            .into_iter()
            .filter(|row| !known.contains(&row.attempt)),
    );
    attempts.sort_by_key(|row| row.attempt);
    Ok(axum::Json(Attempts { attempts }))
}

/// `GET /jobs/{id}/history`
pub(crate) async fn history(
    State(app): State<App>,
    Segments(id): Segments<u64>,
    Params(query): Params<HistoryQuery>,
) -> Answer<axum::Json<History>> {
    let limit = u32::try_from(page_size(query.limit)).unwrap_or(1);
    let after = query.after.unwrap_or(0);
    let read = app.readers.read(move |reader| match query.item {
        None => reader.history(id, None, after, limit),
        Some(item) => of_many::history(reader, id, item, after, limit),
    });
    let rows = read.await?;
    if rows.is_empty() {
        let items = app.core.read(move |view| {
            let job = view.engine.job(JobId(id))?;
            Some(job.items().len())
        });
        let items = items.await?.ok_or(Denied::NoJob(JobId(id)))?;
        let is_there = query.item.is_none_or(|item| item < items);
        if let (Some(item), false) = (query.item, is_there) {
            return Err(Denied::NoItem(JobId(id), ItemIndex(item)).into());
        }
    }
    let next = rows
        .last()
        .map(|row| row.seq)
        .filter(|_| rows.len() == limit as usize);
    let events = rows
        .into_iter()
        .map(|row| app.hub.of_history(row))
        .collect();
    Ok(axum::Json(History { events, next }))
}
