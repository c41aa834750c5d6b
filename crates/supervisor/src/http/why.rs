//! Why a job waits, or what its frames failed of.

use super::error::Answer;
use super::extract::Segments;
use super::items::{add_attempts, pick};
use super::{App, declared, views};
use axum::extract::State;
use std::collections::{BTreeMap, BTreeSet};
use tessera_api::types::{ItemRow, ItemWhy, Reason, Why};
use tessera_engine::supervisor::{Denied, Job};
use tessera_model::{ItemIndex, ItemStatus, JobId, JobKind};

/// Failed items that are looked at.
const FAILED_MAX: usize = 1_000;
/// Hosts that are named.
const HOSTS_MAX: usize = 8;
/// The word for what frames failed of.
const FAILED: &str = "failed";

/// What the core knows about it.
struct Known {
    status: &'static str,
    reasons: Vec<Reason>,
    /// Whether its items are frames, and have such names.
    has_frames: bool,
    /// The first of its failed items.
    failed: Vec<ItemRow>,
    failed_in_all: u32,
}

impl Known {
    fn of(job: &Job, reasons: Vec<Reason>) -> Self {
        let (picked, _) = pick(job, 0, FAILED_MAX, Some(&[ItemStatus::Failed]), None);
        Self {
            status: job.status().word(),
            reasons,
            has_frames: matches!(job.spec.kind, JobKind::CmdRange(_)),
            failed: picked
                .into_iter()
                .map(|item| views::item_row(job, item))
                .collect(),
            failed_in_all: job.items().count(ItemStatus::Failed),
        }
    }
}

/// `GET /jobs/{id}/why`
pub(crate) async fn job(
    State(app): State<App>,
    Segments(id): Segments<u64>,
) -> Answer<axum::Json<Why>> {
    let found = app.core.read(move |view| {
        let reasons = view.engine.why(JobId(id))?;
        let reasons = reasons.into_iter().map(views::reason).collect();
        Some(Known::of(view.engine.job(JobId(id))?, reasons))
    });
    let mut known = found.await?.ok_or(Denied::NoJob(JobId(id)))?;
    if !known.failed.is_empty() {
        add_attempts(&app, id, &mut known.failed).await?;
    }
    let mut reasons = known.reasons;
    let failure = commonest(id, known.has_frames, &known.failed, known.failed_in_all);
    // Of a job that has ended it is the answer, of another what else is to be said.
    let place = if known.status == FAILED {
        0
    } else {
        reasons.len()
    };
    reasons.splice(place..place, failure);
    let summary = reasons.first().map_or_else(
        || format!("job {id} is {}", known.status),
        |first| first.text.clone(),
    );
    Ok(axum::Json(Why {
        job: id,
        status: known.status.to_owned(),
        summary,
        reasons,
    }))
}

/// `GET /jobs/{id}/items/{item}/why`
pub(crate) async fn item(
    State(app): State<App>,
    Segments((id, item)): Segments<(u64, u32)>,
) -> Answer<axum::Json<ItemWhy>> {
    let found = app.core.read(move |view| {
        let job = view.engine.job(JobId(id)).ok_or(Denied::NoJob(JobId(id)))?;
        let place = ItemIndex(item);
        let reasons = view.engine.why_item(JobId(id), place);
        let reasons = reasons.ok_or(Denied::NoItem(JobId(id), place))?;
        let reasons: Vec<Reason> = reasons.into_iter().map(views::reason).collect();
        let has_frames = matches!(job.spec.kind, JobKind::CmdRange(_));
        Ok::<_, Denied>((views::item_row(job, place), reasons, has_frames))
    });
    let (row, mut reasons, has_frames) = found.await??;
    let mut rows = [row];
    if rows[0].status == FAILED {
        add_attempts(&app, id, &mut rows).await?;
        reasons.insert(0, failure_of(id, has_frames, &rows[0]));
    }
    let [row] = rows;
    let summary = reasons.first().map_or_else(
        || format!("it is {}", row.status),
        |first| first.text.clone(),
    );
    Ok(axum::Json(ItemWhy {
        job: id,
        item,
        name: row.name,
        status: row.status,
        summary,
        reasons,
    }))
}

/// Answers what one item failed of.
fn failure_of(job: u64, has_frames: bool, row: &ItemRow) -> Reason {
    let name = target(job, has_frames, row);
    let end = row.end.as_ref();
    let who = end.and_then(declared::who);
    let (text, hint) = match (who, end) {
        (Some(who), _) => (
            format!("{who} declared it failed"),
            format!("tessera retry {name}"),
        ),
        (None, Some(end)) => (
            format!("it ended with: {}", end.text),
            format!("see tessera log {name}"),
        ),
        (None, None) => (
            "it ended without a record".to_owned(),
            format!("tessera hist {job} says what happened"),
        ),
    };
    Reason {
        kind: FAILED.to_owned(),
        count: 1,
        hosts: row.host.clone().into_iter().collect(),
        text,
        hint: Some(hint),
    }
}

/// Prints an item as a target of a command.
fn target(job: u64, has_frames: bool, row: &ItemRow) -> String {
    match has_frames {
        true => format!("{job}:{}", row.name),
        false => format!("{job}#{}", u64::from(row.index) + 1),
    }
}

/// Answers how most of the failed items ended, with one of them to look at.
fn commonest(job: u64, has_frames: bool, rows: &[ItemRow], in_all: u32) -> Option<Reason> {
    let mut by_end: BTreeMap<&str, Vec<&ItemRow>> = BTreeMap::new();
    for row in rows {
        let end = row.end.as_ref().map_or("", |end| end.text.as_str());
        by_end.entry(end).or_default().push(row);
    }
    // The first of equals: the one whose text comes first.
    let (end, of) = by_end
        .into_iter()
        .rev()
        .max_by_key(|(_, rows)| rows.len())?;
    let first = of.first()?;
    let noun = if has_frames { "frame" } else { "item" };
    let example = target(job, has_frames, first);
    let among = match (rows.len(), in_all) {
        (looked_at, all) if looked_at < all as usize => format!("the first {looked_at} failed"),
        (_, all) => format!("{all} failed"),
    };
    let who = first.end.as_ref().and_then(declared::who);
    let how = match who {
        Some(who) => format!("were declared failed by {who}"),
        None if end.is_empty() => "ended without a record".to_owned(),
        None => format!("ended with: {end}"),
    };
    let tried = match first.attempt {
        0 | 1 => String::new(),
        n => format!(" (its try {n})"),
    };
    let hosts: BTreeSet<String> = of.iter().filter_map(|row| row.host.clone()).collect();
    Some(Reason {
        kind: FAILED.to_owned(),
        count: u32::try_from(of.len()).unwrap_or(u32::MAX),
        hosts: hosts.into_iter().take(HOSTS_MAX).collect(),
        text: format!(
            "{} of {among} {noun}s {how}; for instance {example}{tried}",
            of.len()
        ),
        hint: Some(match who {
            Some(_) => format!("tessera retry {job}"),
            None => format!("see tessera log {example}"),
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_api::types::EndView;

    fn row(index: u32, end: Option<&str>) -> ItemRow {
        ItemRow {
            index,
            name: (index + 10).to_string(),
            attempt: 1,
            host: end.map(|_| format!("rnd00{}", index % 2)),
            end: end.map(|text| EndView {
                text: text.to_owned(),
                ..EndView::default()
            }),
            ..ItemRow::default()
        }
    }

    #[test]
    fn the_commonest_end_is_told_with_its_first_frame() {
        let ends = ["signal 9 (KILL)", "exit 1", "exit 3", "exit 1"];
        let rows: Vec<ItemRow> = (0..).zip(ends).map(|(n, end)| row(n, Some(end))).collect();
        let told = commonest(7, true, &rows, 4).expect("there are some");
        assert_eq!(
            told.text,
            "2 of 4 failed frames ended with: exit 1; for instance 7:11"
        );
        assert_eq!(told.hint.as_deref(), Some("see tessera log 7:11"));
        assert_eq!((told.count, told.hosts), (2, vec!["rnd001".to_owned()]));
        let told = commonest(7, false, &rows, 4_000).expect("there are some");
        assert_eq!(
            told.text,
            "2 of the first 4 failed items ended with: exit 1; for instance 7#2"
        );
    }

    #[test]
    fn who_declared_frames_failed_is_named() {
        let mut rows = [row(0, Some("exit 1")), row(1, None), row(2, None)];
        for row in &mut rows[1..] {
            row.end = Some(declared::end("tom"));
        }
        let told = commonest(7, true, &rows, 3).expect("there are some");
        assert_eq!(
            told.text,
            "2 of 3 failed frames were declared failed by tom; for instance 7:11"
        );
        assert_eq!(told.hint.as_deref(), Some("tessera retry 7"));
    }

    #[test]
    fn items_without_a_record_are_told_too() {
        let told = commonest(7, true, &[row(0, None)], 1).expect("there is one");
        assert!(
            told.text
                .starts_with("1 of 1 failed frames ended without a record"),
            "{}",
            told.text
        );
        assert_eq!(commonest(7, true, &[], 0), None);
    }
}
