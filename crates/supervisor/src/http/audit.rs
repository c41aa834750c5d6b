//! Who did what to the farm: the lines of its history that name somebody, the newest first.
//!
//! For administrators. Owns which lines those are and how far back one answer looks; the history itself is the store's.

use super::auth::Caller;
use super::error::Answer;
use super::extract::Params;
use super::{App, Failure};
use crate::persist::rows::kind as access;
use axum::extract::{Extension, State};
use tessera_api::ErrorCode;
use tessera_api::query::{AuditQuery, page_size};
use tessera_api::types::Audit;
use tessera_engine::supervisor::kind;
use tessera_store::{Events, HistoryRow, Reader, StoreError};
use tokio::sync::Semaphore;

/// Lines of history that are read at a time.
const ROWS: u32 = 1_000;
/// Lines that one answer looks at; the next one goes on from there.
const LOOKED_AT_MAX: u64 = 50_000;
/// Kinds that a request may name.
const KINDS_MAX: usize = 32;
/// Answers that are made at once; others wait.
static ANSWERS: Semaphore = Semaphore::const_new(2);

/// `GET /audit`
pub(crate) async fn list(
    State(app): State<App>,
    Extension(by): Caller,
    Params(query): Params<AuditQuery>,
) -> Answer<axum::Json<Audit>> {
    if !by.is_admin {
        return Err(Failure::admins_only(&by.name, "see who did what"));
    }
    let wanted = Wanted::of(&query)?;
    let newest = app.hub.last_seq();
    let before = query.before.unwrap_or(u64::MAX);
    let before = before.min(newest.saturating_add(1));
    let limit = page_size(query.limit);
    let _turn = ANSWERS.acquire().await;
    let found = app
        .readers
        .read(move |reader| look_back(reader, before, limit, &wanted));
    let (rows, next) = found.await?;
    let events = rows.into_iter().map(|row| app.hub.of_history(row));
    Ok(axum::Json(Audit {
        events: events.collect(),
        next,
    }))
}

/// Which lines are asked for.
#[derive(Debug, Default)]
struct Wanted {
    actor: Option<String>,
    kinds: Vec<String>,
}

impl Wanted {
    fn of(query: &AuditQuery) -> Answer<Self> {
        let kinds = query.kinds.as_deref().unwrap_or_default().split(',');
        let kinds = kinds.map(|it| it.trim().to_owned());
        let kinds: Vec<String> = kinds.filter(|it| !it.is_empty()).collect();
        if kinds.len() > KINDS_MAX {
            let text = format!("at most {KINDS_MAX} kinds can be named");
            return Err(Failure::new(ErrorCode::BadRequest, text));
        }
        Ok(Self {
            actor: query.actor.clone(),
            kinds,
        })
    }

    fn has(&self, it: &HistoryRow) -> bool {
        let row = &it.row;
        let actor = row.actor.as_deref();
        let is_kind = |wanted: &String| {
            let rest = row.kind.strip_prefix(wanted.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        is_of_somebody(&row.kind, actor)
            && (self.kinds.is_empty() || self.kinds.iter().any(is_kind))
            && (self.actor.is_none() || self.actor.as_deref() == actor)
    }
}

/// Says whether a line tells what somebody did or tried. What follows of it for each frame and instance is told by the line of the
/// action itself.
fn is_of_somebody(kind: &str, actor: Option<&str>) -> bool {
    let follows = [kind::JOB_STATUS, kind::JOB_ITEMS].contains(&kind)
        || kind.starts_with("item.")
        || kind.starts_with("instance.");
    (actor.is_some() && !follows) || [access::LOGIN_REFUSED, access::HOST_JOINED].contains(&kind)
}

/// Reads backwards from a number; answers what is wanted, the newest first, and where the next answer goes on.
fn look_back(
    reader: &mut dyn Reader,
    before: u64,
    limit: usize,
    wanted: &Wanted,
) -> Result<(Vec<HistoryRow>, Option<u64>), StoreError> {
    let (mut found, mut before) = (Vec::new(), before);
    let last = before.saturating_sub(LOOKED_AT_MAX);
    while before > 1 && before > last {
        let after = before.saturating_sub(u64::from(ROWS) + 1);
        let (rows, is_oldest) = window(reader, after)?;
        for row in rows.into_iter().rev().filter(|row| row.seq < before) {
            if found.len() == limit {
                return Ok((found, Some(row.seq + 1)));
            }
            if wanted.has(&row) {
                found.push(row);
            }
        }
        if is_oldest {
            return Ok((found, None));
        }
        before = after + 1;
    }
    Ok((found, (before > 1).then_some(before)))
}

/// Reads what follows a number, and says whether there is nothing before that any more.
fn window(reader: &mut dyn Reader, after: u64) -> Result<(Vec<HistoryRow>, bool), StoreError> {
    let oldest_seq = match reader.events_after(after, ROWS)? {
        Events::Rows(rows) => return Ok((rows, after == 0)),
        Events::Pruned { oldest_seq } => oldest_seq,
    };
    match reader.events_after(oldest_seq, ROWS)? {
        Events::Rows(rows) => Ok((rows, true)),
        Events::Pruned { .. } => Ok((Vec::new(), true)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_store::memory::MemoryDisk;
    use tessera_store::{Batch, JournalRow, Store as _, Write};

    fn row(n: u64) -> JournalRow {
        let (kind, actor) = match n % 10 {
            0 => ("token.created", Some("mia")),
            1 => ("item.changed", Some("mia")),
            2 => ("login.refused", None),
            3 => ("job.action", Some("tom")),
            4 => ("job.status", Some("tom")),
            _ => ("item.ended", None),
        };
        JournalRow {
            kind: kind.into(),
            actor: actor.map(Into::into),
            text: n.to_string(),
            ..JournalRow::default()
        }
    }

    /// Reads all pages; answers the texts.
    fn all(reader: &mut dyn Reader, limit: usize, wanted: &Wanted) -> Vec<String> {
        let mut texts = Vec::new();
        let mut before = reader.last_seq().expect("reads") + 1;
        loop {
            let (rows, next) = look_back(reader, before, limit, wanted).expect("reads");
            assert!(rows.len() <= limit);
            texts.extend(rows.into_iter().map(|it| it.row.text));
            let Some(next) = next else { return texts };
            assert!(next < before, "it goes on");
            before = next;
        }
    }

    #[test]
    fn what_people_did_is_read_backwards_in_pages_and_nothing_twice() {
        let mut store = MemoryDisk::default().open();
        let epoch = store.lease("test").expect("takes it");
        let writes = (1..=2_503).map(|n| Write::Journal(row(n)));
        let batch = Batch {
            epoch,
            at_ms: 1,
            writes: writes.collect(),
        };
        store.commit(&batch).expect("commits");
        let mut reader = store.reader().expect("opens");
        let expected = (1..=2_503_u64).rev();
        let expected = expected.filter(|n| [0, 2, 3].contains(&(n % 10)));
        let expected: Vec<String> = expected.map(|n| n.to_string()).collect();
        for limit in [7, 100, 1_000] {
            let found = all(reader.as_mut(), limit, &Wanted::default());
            assert_eq!(found, expected, "by {limit}");
        }
        let toms = Wanted {
            actor: Some("tom".into()),
            kinds: vec!["token".into(), "job".into()],
        };
        let found = all(reader.as_mut(), 50, &toms);
        assert_eq!((found.len(), found[0].as_str()), (251, "2503"));
        let half_a_word = Wanted {
            kinds: vec!["tok".into(), "login.refuse".into()],
            ..Wanted::default()
        };
        assert_eq!(all(reader.as_mut(), 50, &half_a_word), [""; 0]);
        // What was forgotten is the end.
        let prune = Batch {
            epoch,
            at_ms: 2,
            writes: vec![Write::PruneJournal { before_seq: 2_450 }],
        };
        store.commit(&prune).expect("commits");
        let left = all(reader.as_mut(), 7, &Wanted::default());
        assert!(left.len() < 20 && left[0] == "2503", "{left:?}");
    }
}
