//! What a worker says.

use super::credential;
use super::parts::{
    at_most, key, limit, nanos, read_key, read_limit, read_name, read_run, read_text, run, text,
};
use super::{BATCH_MESSAGES_MAX, ConvertError, Decoded, Hello, INVENTORY_MAX, handshake, pack};
use crate::proto::from_worker::Kind;
use crate::{PROTO_MAX, PROTO_MIN, proto};
use proto::{attempt_end, gone, report};
use std::time::Duration;
use tessera_model::Timestamp;
use tessera_model::host::Refusal;
use tessera_model::msg::{AttemptEnd, FromWorker, GoneCause, LaunchInventory, Report};
use tessera_model::state::End;

/// What an end for want of memory is for a reader that knows no such end.
const SIGKILL: i32 = 9;

/// Groups what a worker says into messages of the protocol.
pub(crate) fn pack_from_worker(turns: Vec<Vec<FromWorker>>) -> Vec<proto::FromWorkerBatch> {
    pack(turns.into_iter().flatten().map(write), |messages| {
        proto::FromWorkerBatch { messages }
    })
}

/// Prints a full hello, the first message of a stream.
pub(crate) fn hello_message(hello: Hello) -> proto::FromWorkerBatch {
    let kind = Some(Kind::Hello(Box::new(handshake::write_hello(hello))));
    proto::FromWorkerBatch {
        messages: vec![proto::FromWorker { kind }],
    }
}

/// Reads the first message of a stream: a hello and what follows it.
pub(crate) fn first_of_worker(
    batch: proto::FromWorkerBatch,
) -> Result<(Hello, Decoded<FromWorker>), ConvertError> {
    let mut messages = batch.messages;
    if messages.is_empty() {
        return Err(ConvertError::Missing { field: "hello" });
    }
    let rest = messages.split_off(1);
    match messages.pop().and_then(|first| first.kind) {
        Some(Kind::Hello(hello)) => Ok((
            handshake::read_hello(*hello)?,
            read_from_worker(proto::FromWorkerBatch { messages: rest })?,
        )),
        Some(_) | None => Err(ConvertError::Missing { field: "hello" }),
    }
}

pub(crate) fn read_from_worker(
    batch: proto::FromWorkerBatch,
) -> Result<Decoded<FromWorker>, ConvertError> {
    at_most(batch.messages.len(), BATCH_MESSAGES_MAX, "messages")?;
    Decoded::collect(batch.messages.into_iter().map(read))
}

pub(super) fn write(message: FromWorker) -> proto::FromWorker {
    let kind = match message {
        FromWorker::Hello(facts) => {
            let wall = Timestamp(0);
            let (proto_min, proto_max, features) = (PROTO_MIN, PROTO_MAX, Vec::new());
            let hello = Hello {
                proto_min,
                proto_max,
                features,
                wall,
                facts,
            };
            Kind::Hello(Box::new(handshake::write_hello(hello)))
        }
        FromWorker::Inventory(launches) => Kind::Inventory(proto::Inventory {
            launches: launches.iter().map(write_launch).collect(),
        }),
        FromWorker::Report { seq, report } => Kind::Report(Box::new(proto::Report {
            seq,
            kind: Some(write_report(report)),
        })),
        FromWorker::ItemStarted { key: k, run: r, at } => Kind::ItemStarted(proto::ItemStarted {
            key: key(k),
            run: run(r),
            at_ms: at.0,
        }),
        FromWorker::Progress {
            key: k,
            run: r,
            percent,
        } => Kind::Progress(proto::Progress {
            key: key(k),
            run: run(r),
            percent: percent.into(),
        }),
        FromWorker::Heartbeat => Kind::Heartbeat(proto::Empty {}),
        FromWorker::PoolKeys(keys) => Kind::PoolKeys(credential::write_keys(&keys)),
        FromWorker::CredentialChecked(checked) => {
            Kind::CredentialChecked(Box::new(credential::write_checked(checked)))
        }
        FromWorker::Resealed {
            id,
            sequence,
            to,
            sealed,
        } => Kind::Resealed(Box::new(credential::write_resealed(
            &id, sequence, to, sealed,
        ))),
        FromWorker::Idle(time) => Kind::Idle(proto::Idle {
            idle_ns: nanos(time),
        }),
    };
    proto::FromWorker { kind: Some(kind) }
}

/// Reads one message; `None` when this program does not know its kind.
fn read(message: proto::FromWorker) -> Result<Option<FromWorker>, ConvertError> {
    let Some(kind) = message.kind else {
        return Ok(None);
    };
    Ok(Some(match kind {
        Kind::Hello(hello) => FromWorker::Hello(handshake::read_facts(hello.facts)?),
        Kind::Inventory(inventory) => {
            at_most(
                inventory.launches.len(),
                INVENTORY_MAX,
                "inventory.launches",
            )?;
            let launches = inventory.launches.into_iter().map(read_launch);
            FromWorker::Inventory(launches.collect::<Result<_, _>>()?)
        }
        Kind::Report(report) => match read_report(report.kind)? {
            Some(known) => FromWorker::Report {
                seq: report.seq,
                report: known,
            },
            None => return Ok(None),
        },
        Kind::ItemStarted(started) => FromWorker::ItemStarted {
            key: read_key(started.key, "item_started.key")?,
            run: read_run(started.run, "item_started.run")?,
            at: Timestamp(started.at_ms),
        },
        Kind::Progress(progress) => FromWorker::Progress {
            key: read_key(progress.key, "progress.key")?,
            run: read_run(progress.run, "progress.run")?,
            percent: read_percent(progress.percent)?,
        },
        Kind::Heartbeat(proto::Empty {}) => FromWorker::Heartbeat,
        Kind::PoolKeys(keys) => FromWorker::PoolKeys(credential::read_keys(keys)?),
        Kind::CredentialChecked(checked) => {
            FromWorker::CredentialChecked(credential::read_checked(*checked)?)
        }
        Kind::Resealed(resealed) => credential::read_resealed(*resealed)?,
        Kind::Idle(idle) => FromWorker::Idle(Duration::from_nanos(idle.idle_ns)),
    }))
}

fn read_percent(percent: u32) -> Result<u8, ConvertError> {
    match u8::try_from(percent) {
        Ok(percent @ 0..=100) => Ok(percent),
        Ok(_) | Err(_) => Err(ConvertError::Range {
            field: "progress.percent",
            got: percent.into(),
            max: 100,
        }),
    }
}

fn write_launch(launch: &LaunchInventory) -> proto::LaunchInventory {
    proto::LaunchInventory {
        key: key(launch.key),
        current: launch.current.and_then(run),
        ahead: launch.ahead.iter().copied().filter_map(run).collect(),
        is_closing: launch.is_closing,
        is_suspended: launch.is_suspended,
    }
}

fn read_launch(launch: proto::LaunchInventory) -> Result<LaunchInventory, ConvertError> {
    let current = launch
        .current
        .map(|run| read_run(Some(run), "inventory.current"))
        .transpose()?;
    let ahead = launch
        .ahead
        .into_iter()
        .map(|run| read_run(Some(run), "inventory.ahead"))
        .collect::<Result<_, _>>()?;
    Ok(LaunchInventory {
        key: read_key(launch.key, "inventory.key")?,
        current,
        ahead,
        is_closing: launch.is_closing,
        is_suspended: launch.is_suspended,
    })
}

fn write_report(message: Report) -> report::Kind {
    match message {
        Report::Started {
            key: k,
            account,
            uid,
            containment,
        } => report::Kind::Started(proto::Started {
            key: key(k),
            account,
            uid,
            containment,
        }),
        Report::Refused { key: k, refusal } => report::Kind::Refused(proto::LaunchRefused {
            key: key(k),
            code: refusal.code,
            text: text(refusal.text),
        }),
        Report::ItemEnded {
            key: k,
            run: r,
            end,
        } => report::Kind::ItemEnded(proto::ItemEnded {
            key: key(k),
            run: run(r),
            end: Some(write_end(end)),
        }),
        Report::Gone { key: k, cause } => report::Kind::Gone(proto::Gone {
            key: key(k),
            kind: Some(write_cause(cause)),
        }),
    }
}

/// Reads a report; `None` when this program does not know its kind.
fn read_report(kind: Option<report::Kind>) -> Result<Option<Report>, ConvertError> {
    let Some(kind) = kind else { return Ok(None) };
    Ok(Some(match kind {
        report::Kind::Started(started) => Report::Started {
            key: read_key(started.key, "started.key")?,
            account: read_name(started.account, "started.account")?,
            uid: started.uid,
            containment: read_name(started.containment, "started.containment")?,
        },
        report::Kind::Refused(refused) => Report::Refused {
            key: read_key(refused.key, "refused.key")?,
            refusal: Refusal {
                code: read_name(refused.code, "refused.code")?,
                text: read_text(refused.text, "refused.text")?,
            },
        },
        report::Kind::ItemEnded(ended) => Report::ItemEnded {
            key: read_key(ended.key, "item_ended.key")?,
            run: read_run(ended.run, "item_ended.run")?,
            end: read_end(ended.end.ok_or(ConvertError::Missing {
                field: "item_ended.end",
            })?)?,
        },
        report::Kind::Gone(gone) => Report::Gone {
            key: read_key(gone.key, "gone.key")?,
            cause: read_cause(gone.kind),
        },
    }))
}

fn write_end(end: AttemptEnd) -> proto::AttemptEnd {
    let out_of_memory = match end.end {
        End::OutOfMemory { peak, limit } => Some(proto::OutOfMemory { peak, limit }),
        _ => None,
    };
    let kind = match end.end {
        End::OutOfMemory { .. } => attempt_end::Kind::Signal(SIGKILL),
        End::Exit(status) => attempt_end::Kind::Exit(status),
        End::Signal(number) => attempt_end::Kind::Signal(number),
        End::NotStarted(why) => attempt_end::Kind::NotStarted(text(why)),
        End::Limit(reached) => attempt_end::Kind::Limit(limit(reached)),
        End::Asked => attempt_end::Kind::Asked(proto::Empty {}),
        // What a worker knows of it.
        End::Lost | End::ShepherdEnded { .. } => attempt_end::Kind::Lost(proto::Empty {}),
    };
    proto::AttemptEnd {
        kind: Some(kind),
        started_ms: end.started.0,
        elapsed_ns: nanos(end.elapsed),
        cpu_ns: nanos(end.cpu),
        peak_memory: end.peak_memory,
        printed_out: end.printed[0],
        printed_err: end.printed[1],
        kept_out: end.kept[0],
        kept_err: end.kept[1],
        leftovers: end.leftovers,
        out_of_memory,
    }
}

fn read_end(end: proto::AttemptEnd) -> Result<AttemptEnd, ConvertError> {
    Ok(AttemptEnd {
        end: match end.out_of_memory {
            Some(proto::OutOfMemory { peak, limit }) => End::OutOfMemory { peak, limit },
            None => read_end_kind(end.kind)?,
        },
        started: Timestamp(end.started_ms),
        elapsed: Duration::from_nanos(end.elapsed_ns),
        cpu: Duration::from_nanos(end.cpu_ns),
        peak_memory: end.peak_memory,
        printed: [end.printed_out, end.printed_err],
        kept: [end.kept_out, end.kept_err],
        leftovers: end.leftovers,
    })
}

/// Reads how an attempt ended. What this program does not know counts as not known: the item runs again, and no retry of
/// the user's is used up.
fn read_end_kind(kind: Option<attempt_end::Kind>) -> Result<End, ConvertError> {
    Ok(match kind {
        Some(attempt_end::Kind::Exit(status)) => End::Exit(status),
        Some(attempt_end::Kind::Signal(number)) => End::Signal(number),
        Some(attempt_end::Kind::NotStarted(why)) => {
            End::NotStarted(read_text(why, "item_ended.not_started")?)
        }
        Some(attempt_end::Kind::Limit(number)) => read_limit(number).map_or(End::Lost, End::Limit),
        Some(attempt_end::Kind::Asked(proto::Empty {})) => End::Asked,
        Some(attempt_end::Kind::Lost(proto::Empty {})) | None => End::Lost,
    })
}

fn write_cause(cause: GoneCause) -> gone::Kind {
    match cause {
        GoneCause::Closed => gone::Kind::Closed(proto::Empty {}),
        GoneCause::Limit(reached) => gone::Kind::Limit(limit(reached)),
        GoneCause::StarterLost => gone::Kind::StarterLost(proto::Empty {}),
        GoneCause::ShepherdLost => gone::Kind::ShepherdLost(proto::Empty {}),
        GoneCause::Unknown => gone::Kind::Unknown(proto::Empty {}),
    }
}

/// Reads why a launch is over. What this program does not know is no fault of the job's.
fn read_cause(kind: Option<gone::Kind>) -> GoneCause {
    match kind {
        Some(gone::Kind::Closed(proto::Empty {})) => GoneCause::Closed,
        Some(gone::Kind::Limit(number)) => {
            read_limit(number).map_or(GoneCause::ShepherdLost, GoneCause::Limit)
        }
        Some(gone::Kind::StarterLost(proto::Empty {})) => GoneCause::StarterLost,
        Some(gone::Kind::ShepherdLost(proto::Empty {})) | None => GoneCause::ShepherdLost,
        Some(gone::Kind::Unknown(proto::Empty {})) => GoneCause::Unknown,
    }
}
