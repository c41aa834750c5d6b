//! Output of attempts: a piece of it, or all of it as it comes.

use super::auth::{Caller, check_read};
use super::error::Answer;
use super::extract::{Params, Segments};
use super::{App, Failure};
use crate::logs::RunKey;
use crate::logs::follow::{Ending, Follower};
use crate::logs::read::Wanted;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::Response;
use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use tessera_api::ErrorCode;
use tessera_api::client::{ATTEMPT_HEADER, COMPLETE_HEADER, OFFSET_HEADER, SIZE_HEADER};
use tessera_api::frames::{self, LogPiece};
use tessera_api::query::{LogQuery, LogStream};
use tessera_engine::supervisor::Denied;
use tessera_model::{Attempt, ItemIndex, JobId, Principal, Proof};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

/// Pieces that wait for a follower.
const PIECES_MAX: usize = 4;

/// `GET /jobs/{id}/items/{item}/log`
pub(crate) async fn log(
    State(app): State<App>,
    Extension(by): Caller,
    Segments((id, item)): Segments<(u64, u32)>,
    Params(query): Params<LogQuery>,
) -> Answer<Response> {
    let proof = by.proof.clone();
    let run = find(&app, by, id, item, query.attempt).await?;
    let wanted = match query.stream {
        LogStream::Out => Wanted::Out,
        LogStream::Err => Wanted::Err,
        LogStream::Both => Wanted::Both,
    };
    let ending = ending_of(&app, run).await;
    let logs = Arc::clone(&app.logs);
    let (follow, offset, most) = (query.follow, query.offset, query.bytes_max());
    let is_over = ending != Ending::Runs;
    let read = tokio::task::spawn_blocking(move || {
        let sizes = logs.sizes(run);
        let mut at = logs.position(run, wanted, offset);
        let begins_at = at.offset();
        let pieces = if follow {
            Vec::new()
        } else {
            logs.read(run, wanted, &mut at, most, is_over)?
        };
        Ok::<_, io::Error>((sizes, begins_at, pieces))
    });
    let unreadable =
        |error: &dyn std::fmt::Display| Failure::internal("the output can't be read", error);
    let (sizes, begins_at, pieces) = read
        .await
        .map_err(|error| unreadable(&error))?
        .map_err(|error| unreadable(&error))?;
    let size = match wanted {
        Wanted::Out => sizes.0,
        Wanted::Err => sizes.1,
        Wanted::Both => sizes.0 + sizes.1,
    };
    let is_complete = is_all(ending, sizes, wanted);
    let is_framed = query.is_framed();
    let body = if follow {
        follow_body(&app, proof, run, (wanted, offset), is_framed)
    } else {
        let end = is_framed.then(|| LogPiece::End.encode());
        let parts = pieces
            .into_iter()
            .map(|piece| printed(piece, is_framed))
            .chain(end);
        Body::from(parts.fold(Vec::new(), |mut all, part| {
            all.extend_from_slice(&part);
            all
        }))
    };
    Ok(answer(body, is_framed, run, begins_at, size, is_complete))
}

fn answer(
    body: Body,
    is_framed: bool,
    run: RunKey,
    offset: u64,
    size: u64,
    is_complete: bool,
) -> Response {
    let mut response = Response::new(body);
    let kind = if is_framed {
        frames::MEDIA_TYPE
    } else {
        "application/octet-stream"
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(ATTEMPT_HEADER, HeaderValue::from(run.attempt.0));
    headers.insert(OFFSET_HEADER, HeaderValue::from(offset));
    headers.insert(SIZE_HEADER, HeaderValue::from(size));
    headers.insert(
        COMPLETE_HEADER,
        HeaderValue::from_static(if is_complete { "true" } else { "false" }),
    );
    response
}

/// Finds the attempt that is asked for, if the caller may read its output.
async fn find(
    app: &App,
    by: Principal,
    id: u64,
    item: u32,
    attempt: Option<u32>,
) -> Answer<RunKey> {
    let newest = app.core.read(move |view| {
        let job = view.engine.job(JobId(id)).ok_or(Denied::NoJob(JobId(id)))?;
        check_read(&by, job, "read the output of")?;
        if item >= job.items().len() {
            return Err(Denied::NoItem(JobId(id), ItemIndex(item)));
        }
        let core = job.items().get(ItemIndex(item));
        Ok((
            core.attempt.0,
            core.status.word(),
            job.spec.item_name(ItemIndex(item)),
        ))
    });
    let (newest, status, name) = newest.await??;
    if newest == 0 {
        let message = format!("item {name} of job {id} has not run yet: it is {status}");
        return Err(Failure::new(ErrorCode::WrongState, message)
            .hint(format!("`tessera why {id}` says what it waits for")));
    }
    let attempt = attempt.unwrap_or(newest);
    if attempt == 0 || attempt > newest {
        let message =
            format!("item {name} of job {id} has no attempt {attempt}; the newest is {newest}");
        return Err(Failure::new(ErrorCode::NotFound, message));
    }
    Ok(RunKey {
        job: JobId(id),
        item: ItemIndex(item),
        attempt: Attempt(attempt),
    })
}

/// Answers what is known about the end of a run. What can't be found out now counts as running.
async fn ending_of(app: &App, run: RunKey) -> Ending {
    let has_it = app.core.read(move |view| {
        view.engine.launches_of(run.job).any(|launch| {
            let mut runs = launch.runs();
            runs.any(|has| has.item == run.item && has.attempt == run.attempt)
        })
    });
    if has_it.await.unwrap_or(true) {
        return Ending::Runs;
    }
    let before = (run.item.0, run.attempt.0.saturating_sub(1));
    let row = app
        .readers
        .read(move |reader| reader.attempts(run.job.0, Some(run.item.0), Some(before), 1))
        .await;
    match row {
        Err(_) => Ending::Runs,
        Ok(rows) => {
            let row = rows.into_iter().find(|row| row.attempt == run.attempt.0);
            row.map_or(Ending::Over { out: 0, err: 0 }, |row| Ending::Over {
                out: row.out_kept,
                err: row.err_kept,
            })
        }
    }
}

/// Says whether the run is over and all of its output is here.
fn is_all(ending: Ending, sizes: (u64, u64), wanted: Wanted) -> bool {
    match (ending, wanted) {
        (Ending::Runs, _) => false,
        (Ending::Over { out, .. }, Wanted::Out) => sizes.0 >= out,
        (Ending::Over { err, .. }, Wanted::Err) => sizes.1 >= err,
        (Ending::Over { out, err }, Wanted::Both) => sizes.0 >= out && sizes.1 >= err,
    }
}

/// Answers what comes from a place on, until the run ends or what the caller is known by does.
fn follow_body(
    app: &App,
    proof: Proof,
    run: RunKey,
    (wanted, offset): (Wanted, u64),
    is_framed: bool,
) -> Body {
    let (to, pieces) = mpsc::channel(PIECES_MAX);
    let app = Arc::clone(app);
    tokio::spawn(async move {
        let logs = Arc::clone(&app.logs);
        let Ok(follower) =
            tokio::task::spawn_blocking(move || Follower::begin(logs, run, wanted, offset)).await
        else {
            return;
        };
        let asked = Arc::clone(&app);
        let ending = move || {
            let app = Arc::clone(&asked);
            async move { ending_of(&app, run).await }
        };
        tokio::select! {
            ended = follower.run(to, ending) => {
                if let Err(error) = ended {
                    tracing::error!(job = %run.job, item = %run.item, %error, "the output can't be read");
                }
            }
            () = app.ending.cancelled() => {}
            () = app.tokens.until_over(&proof) => {}
        }
    });
    let parts = ReceiverStream::new(pieces)
        .map(move |piece| Ok::<_, Infallible>(printed(piece, is_framed)));
    // An empty part would end a chunked answer.
    Body::from_stream(parts.filter(|part| part.as_ref().is_ok_and(|bytes| !bytes.is_empty())))
}

fn printed(piece: LogPiece, is_framed: bool) -> Bytes {
    if is_framed {
        return piece.encode();
    }
    match piece {
        LogPiece::Out(bytes) | LogPiece::Err(bytes) => bytes,
        LogPiece::Idle | LogPiece::End => Bytes::new(),
    }
}
