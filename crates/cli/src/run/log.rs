//! What a frame prints: raw where it is piped, harmless where it is a terminal.

use super::{Context, list};
use crate::Exit;
use crate::args::{LogArgs, Stream};
use crate::error::CliError;
use crate::out::text::LogFilter;
use crate::out::time;
use crate::show;
use serde::Serialize;
use std::time::Duration;
use tessera_api::Client;
use tessera_api::frames::LogPiece;
use tessera_api::query::{LogQuery, LogStream};
use tessera_api::types::AttemptRow;
use tokio::time::{Instant, timeout_at};

/// Longest wait for the last output of a frame that has ended.
const REST_PATIENCE: Duration = Duration::from_secs(3);

/// Shows the output of a frame.
pub(super) async fn log(args: LogArgs, context: &Context) -> Result<Exit, CliError> {
    let client = context.client()?;
    let job = args.target.job.0;
    let item = list::one_item(&client, &args.target).await?;
    let stream = match args.stream {
        Stream::Out => LogStream::Out,
        Stream::Err => LogStream::Err,
        Stream::Both => LogStream::Both,
    };
    let mut query = LogQuery {
        attempt: args.attempt,
        stream,
        ..LogQuery::default()
    };
    if let Some(tail) = args.tail {
        query.offset = tail_offset(&client, job, item, &query, tail).await?;
    }
    let mut sink = Sink::new(context, context.look.is_terminal() && !args.raw);
    if args.follow {
        let mut follower = client.follow_log(job, item, query).await?;
        while let Some(piece) = follower.next().await? {
            sink.put(&piece)?;
        }
    } else {
        read(&client, job, item, query, &mut sink).await?;
    }
    sink.finish()?;
    if args.tail != Some(0) {
        let rows = client.attempts(job, item).await?.attempts;
        if !sink.has_output {
            if let Some(said) = silence(args.stream, args.attempt, &rows) {
                context.note("no_output", &said);
            }
        } else if let Some(said) = gap(args.attempt, &rows) {
            context.note("not_kept", &said);
        }
    }
    Ok(Exit::Done)
}

/// Finds the attempt that was asked for, or the newest.
fn wanted(attempt: Option<u32>, rows: &[AttemptRow]) -> Option<&AttemptRow> {
    match attempt {
        Some(attempt) => rows.iter().find(|row| row.attempt == attempt),
        None => rows.last(),
    }
}

/// Says what of the output is not there, whose end would say nothing of it where it broke off.
fn gap(attempt: Option<u32>, rows: &[AttemptRow]) -> Option<String> {
    let row = wanted(attempt, rows)?;
    let bytes = time::size(show::not_kept(row)?);
    Some(format!(
        "{bytes} of what try {} on {} printed was not kept: it was over the job's output limit, or its host's disk was full",
        row.attempt, row.host
    ))
}

/// Says why there is no output; nothing when there will be, which is said elsewhere.
fn silence(stream: Stream, attempt: Option<u32>, rows: &[AttemptRow]) -> Option<String> {
    let row = wanted(attempt, rows);
    let on = match stream {
        Stream::Out => " on stdout",
        Stream::Err => " on stderr",
        Stream::Both => "",
    };
    let Some(row) = row else {
        return Some("nothing was printed: it has been given to a host and has not begun".into());
    };
    let kept = match stream {
        Stream::Out => row.kept_out,
        Stream::Err => row.kept_err,
        Stream::Both => row.kept_out.saturating_add(row.kept_err),
    };
    let of = format!("try {} on {}", row.attempt, row.host);
    match (&row.end, row.started_ms) {
        (Some(_), _) if kept > 0 => None,
        (Some(end), _) => Some(format!("nothing was printed{on}: {of}: {}", end.text)),
        (None, Some(_)) => Some(format!("nothing was printed{on} yet: {of} is running")),
        (None, None) => Some(format!("nothing was printed yet: {of} is being started")),
    }
}

/// Reads as far as there is output now; of an attempt that has ended, what is still on its way too.
async fn read(
    client: &Client,
    job: u64,
    item: u32,
    mut query: LogQuery,
    sink: &mut Sink<'_>,
) -> Result<(), CliError> {
    query.limit = Some(tessera_api::LOG_BYTES_MAX);
    loop {
        let part = client.log(job, item, &query).await?;
        for piece in &part.pieces {
            sink.put(piece)?;
        }
        let next = part.next_offset();
        let is_all = next >= part.size || next == query.offset;
        query.offset = next;
        query.attempt = Some(part.attempt);
        if is_all {
            let rest = !part.is_complete && has_ended(client, job, item, part.attempt).await?;
            return if rest {
                read_rest(client, job, item, query, sink).await
            } else {
                Ok(())
            };
        }
    }
}

async fn has_ended(client: &Client, job: u64, item: u32, attempt: u32) -> Result<bool, CliError> {
    let attempts = client.attempts(job, item).await?.attempts;
    Ok(attempts
        .iter()
        .any(|row| row.attempt == attempt && row.end.is_some()))
}

/// Reads what a host has yet to deliver, for a short time: it may be away.
async fn read_rest(
    client: &Client,
    job: u64,
    item: u32,
    query: LogQuery,
    sink: &mut Sink<'_>,
) -> Result<(), CliError> {
    let deadline = Instant::now() + REST_PATIENCE;
    let mut follower = client.follow_log(job, item, query).await?;
    loop {
        match timeout_at(deadline, follower.next()).await {
            Ok(piece) => match piece? {
                Some(piece) => sink.put(&piece)?,
                None => return Ok(()),
            },
            Err(_) => {
                let said = "its host has not delivered all of the output yet";
                sink.context.note("not_delivered", said);
                return Ok(());
            }
        }
    }
}

/// Answers where the last so many bytes begin.
async fn tail_offset(
    client: &Client,
    job: u64,
    item: u32,
    query: &LogQuery,
    tail: u64,
) -> Result<u64, CliError> {
    let probe = LogQuery {
        limit: Some(1),
        ..query.clone()
    };
    Ok(client
        .log(job, item, &probe)
        .await?
        .size
        .saturating_sub(tail))
}

/// A piece of output as a line of JSON. Bytes that are no UTF-8 are replaced.
#[derive(Serialize)]
struct JsonPiece<'a> {
    stream: &'static str,
    text: std::borrow::Cow<'a, str>,
}

/// Where output goes: as it is, or through a filter for each stream.
struct Sink<'a> {
    context: &'a Context,
    filters: Option<[LogFilter; 2]>,
    is_line_open: bool,
    has_output: bool,
}

impl<'a> Sink<'a> {
    fn new(context: &'a Context, is_filtered: bool) -> Self {
        Self {
            context,
            filters: is_filtered.then(Default::default),
            is_line_open: false,
            has_output: false,
        }
    }

    fn put(&mut self, piece: &LogPiece) -> Result<(), CliError> {
        let (bytes, stream, place) = match piece {
            LogPiece::Out(bytes) => (bytes, "out", 0),
            LogPiece::Err(bytes) => (bytes, "err", 1),
            LogPiece::Idle | LogPiece::End => return Ok(()),
        };
        self.has_output |= !bytes.is_empty();
        if self.context.json {
            let line = JsonPiece {
                stream,
                text: String::from_utf8_lossy(bytes),
            };
            let line = serde_json::to_string(&line).unwrap_or_default();
            return self.context.print(&(line + "\n"));
        }
        match self
            .filters
            .as_mut()
            .and_then(|filters| filters.get_mut(place))
        {
            Some(filter) => {
                let shown = filter.push(bytes);
                self.show(&shown)
            }
            None => self.context.print_bytes(bytes),
        }
    }

    /// Shows a piece that was made harmless, and remembers whether its last line goes on.
    fn show(&mut self, shown: &str) -> Result<(), CliError> {
        if let Some(last) = shown.chars().last() {
            self.is_line_open = last != '\n';
        }
        self.context.print(shown)
    }

    /// Shows what is left; on a terminal the last line is ended.
    fn finish(&mut self) -> Result<(), CliError> {
        let rest: String = self
            .filters
            .iter_mut()
            .flatten()
            .map(LogFilter::finish)
            .collect();
        self.show(&rest)?;
        if self.filters.is_some() && self.is_line_open {
            self.context.print("\n")
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_api::types::EndView;

    fn row(started_ms: Option<i64>, end: Option<&str>) -> AttemptRow {
        AttemptRow {
            attempt: 2,
            host: "rnd001".into(),
            started_ms,
            end: end.map(|text| EndView {
                text: text.into(),
                ..EndView::default()
            }),
            ..AttemptRow::default()
        }
    }

    #[test]
    fn what_is_not_kept_is_said() {
        let lost = AttemptRow {
            printed_out: 3 << 20,
            kept_out: 1 << 20,
            ..row(Some(1), Some("exit 0"))
        };
        let all = AttemptRow {
            kept_out: 3 << 20,
            ..lost.clone()
        };
        let running = AttemptRow {
            end: None,
            ..lost.clone()
        };
        assert_eq!((gap(None, &[all]), gap(None, &[running])), (None, None));
        let said = gap(Some(2), &[lost]).unwrap_or_default();
        assert!(
            said.starts_with("2.0 MiB of what try 2 on rnd001 printed was not kept"),
            "{said}"
        );
    }

    #[test]
    fn silence_is_explained() {
        let said = |rows: &[AttemptRow]| silence(Stream::Both, None, rows).unwrap_or_default();
        let told = [
            said(&[]),
            said(&[row(None, None)]),
            said(&[row(Some(1), None)]),
            said(&[row(Some(1), Some("exit 3"))]),
            said(&[row(None, Some("not started: no such program"))]),
        ];
        insta::assert_snapshot!(told.join("\n"), @r"
        nothing was printed: it has been given to a host and has not begun
        nothing was printed yet: try 2 on rnd001 is being started
        nothing was printed yet: try 2 on rnd001 is running
        nothing was printed: try 2 on rnd001: exit 3
        nothing was printed: try 2 on rnd001: not started: no such program
        ");
        let kept = AttemptRow {
            kept_err: 5,
            ..row(Some(1), Some("exit 1"))
        };
        let rows = [kept];
        assert_eq!(silence(Stream::Both, None, &rows), None);
        assert_eq!(
            silence(Stream::Out, Some(2), &rows).as_deref(),
            Some("nothing was printed on stdout: try 2 on rnd001: exit 1")
        );
    }
}
