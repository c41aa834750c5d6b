//! What the supervisor says.

use super::credential;
use super::parts::{at_most, key, nanos, read_key, read_run, run};
use super::{
    AttachRefused, BATCH_MESSAGES_MAX, ConvertError, Decoded, TEMPLATE_BYTES_MAX, TICKET_BYTES_MAX,
    Welcome, facts, handshake, pack, settings,
};
use crate::proto;
use crate::proto::to_worker::Kind;
use bytes::Bytes;
use std::time::Duration;
use tessera_model::limits::PATTERN_BYTES_MAX;
use tessera_model::msg::{RunLimits, ToWorker};

/// Bytes of a signature.
const SIGNATURE_BYTES: usize = 64;

/// Groups what the supervisor says into messages of the protocol.
pub(crate) fn pack_to_worker(turns: Vec<Vec<ToWorker>>) -> Vec<proto::ToWorkerBatch> {
    pack(turns.into_iter().flatten().map(write), |messages| {
        proto::ToWorkerBatch { messages }
    })
}

/// Prints a welcome, the first message of a stream.
pub(crate) fn welcome_message(welcome: Welcome) -> proto::ToWorkerBatch {
    alone(Kind::Welcome(handshake::write_welcome(welcome)))
}

/// Prints a refusal, the only message of a stream.
pub(crate) fn refused_batch(refused: AttachRefused) -> proto::ToWorkerBatch {
    alone(Kind::Refused(handshake::write_refused(refused)))
}

fn alone(kind: Kind) -> proto::ToWorkerBatch {
    proto::ToWorkerBatch {
        messages: vec![proto::ToWorker { kind: Some(kind) }],
    }
}

/// Reads the first message of a stream: welcome and what follows it, or a refusal.
pub(crate) fn first_of_supervisor(
    batch: proto::ToWorkerBatch,
) -> Result<Result<(Welcome, Decoded<ToWorker>), AttachRefused>, ConvertError> {
    let mut messages = batch.messages;
    if messages.is_empty() {
        return Err(ConvertError::Missing { field: "welcome" });
    }
    let rest = messages.split_off(1);
    match messages.pop().and_then(|first| first.kind) {
        Some(Kind::Welcome(welcome)) => Ok(Ok((
            handshake::read_welcome(welcome)?,
            read_to_worker(proto::ToWorkerBatch { messages: rest })?,
        ))),
        Some(Kind::Refused(refused)) => Ok(Err(handshake::read_refused(refused)?)),
        Some(_) | None => Err(ConvertError::Missing { field: "welcome" }),
    }
}

pub(crate) fn read_to_worker(
    batch: proto::ToWorkerBatch,
) -> Result<Decoded<ToWorker>, ConvertError> {
    at_most(batch.messages.len(), BATCH_MESSAGES_MAX, "messages")?;
    Decoded::collect(batch.messages.into_iter().map(read))
}

pub(super) fn write(message: ToWorker) -> proto::ToWorker {
    let kind = match message {
        ToWorker::Start {
            key: k,
            ticket,
            signature,
            template,
            limits,
            run: r,
        } => Kind::Start(Box::new(proto::Start {
            key: key(k),
            ticket: ticket.into(),
            signature: signature.into(),
            template: template.into(),
            limits: Some(write_limits(limits)),
            run: run(r),
        })),
        ToWorker::Run { key: k, run: r } => Kind::Run(proto::Run {
            key: key(k),
            run: run(r),
        }),
        ToWorker::EndItem {
            key: k,
            run: r,
            grace,
        } => Kind::EndItem(proto::EndItem {
            key: key(k),
            run: run(r),
            grace_ns: nanos(grace),
        }),
        ToWorker::Close { key: k, grace } => Kind::Close(proto::Close {
            key: key(k),
            grace_ns: nanos(grace),
        }),
        ToWorker::Suspend(k) => Kind::Suspend(key(k).unwrap_or_default()),
        ToWorker::Resume(k) => Kind::Resume(key(k).unwrap_or_default()),
        ToWorker::Ack(seq) => Kind::Ack(proto::Ack { seq }),
        ToWorker::Credential {
            credential,
            is_check,
        } => Kind::Credential(Box::new(proto::Credential {
            credential: Some(credential::write_sealed(*credential)),
            is_check,
        })),
        ToWorker::CredentialRevoked { id, sequence } => {
            Kind::CredentialRevoked(proto::CredentialRevoked {
                id: Some(credential::write_id(&id)),
                sequence,
            })
        }
        ToWorker::Reseal { credential, to } => Kind::Reseal(Box::new(proto::Reseal {
            credential: Some(credential::write_sealed(*credential)),
            to: Some(credential::write_key(&to)),
        })),
        ToWorker::RetireKey(key) => Kind::RetireKey(proto::RetireKey {
            key: credential::write_key_id(key),
        }),
        ToWorker::LockWhileActive(rule) => Kind::LockWhileActive(proto::LockWhileActive {
            rule: rule.map(facts::write_rule),
        }),
        ToWorker::Settings(served) => Kind::Settings(settings::write(*served)),
    };
    proto::ToWorker { kind: Some(kind) }
}

/// Reads one message; `None` when this program does not know its kind, or it has no place after the first.
fn read(message: proto::ToWorker) -> Result<Option<ToWorker>, ConvertError> {
    let Some(kind) = message.kind else {
        return Ok(None);
    };
    Ok(Some(match kind {
        Kind::Welcome(_) | Kind::Refused(_) => return Ok(None),
        Kind::Start(start) => read_start(*start)?,
        Kind::Run(order) => ToWorker::Run {
            key: read_key(order.key, "run.key")?,
            run: read_run(order.run, "run.run")?,
        },
        Kind::EndItem(order) => ToWorker::EndItem {
            key: read_key(order.key, "end_item.key")?,
            run: read_run(order.run, "end_item.run")?,
            grace: Duration::from_nanos(order.grace_ns),
        },
        Kind::Close(order) => ToWorker::Close {
            key: read_key(order.key, "close.key")?,
            grace: Duration::from_nanos(order.grace_ns),
        },
        Kind::Suspend(key) => ToWorker::Suspend(read_key(Some(key), "suspend")?),
        Kind::Resume(key) => ToWorker::Resume(read_key(Some(key), "resume")?),
        Kind::Ack(ack) => ToWorker::Ack(ack.seq),
        Kind::Credential(order) => ToWorker::Credential {
            credential: Box::new(credential::read_sealed(order.credential)?),
            is_check: order.is_check,
        },
        Kind::CredentialRevoked(order) => ToWorker::CredentialRevoked {
            id: credential::read_id(order.id)?,
            sequence: order.sequence,
        },
        Kind::Reseal(order) => ToWorker::Reseal {
            credential: Box::new(credential::read_sealed(order.credential)?),
            to: credential::read_key(order.to)?,
        },
        Kind::RetireKey(order) => ToWorker::RetireKey(credential::read_key_id(&order.key)?),
        Kind::LockWhileActive(order) => ToWorker::LockWhileActive(
            order
                .rule
                .map(|rule| facts::read_rule(Some(rule), "lock_while_active.rule"))
                .transpose()?,
        ),
        Kind::Settings(served) => ToWorker::Settings(Box::new(settings::read(served)?)),
    }))
}

fn read_start(start: proto::Start) -> Result<ToWorker, ConvertError> {
    let (got, wanted) = (start.signature.len(), SIGNATURE_BYTES);
    if got != wanted {
        return Err(ConvertError::Length {
            field: "start.signature",
            got,
            wanted,
        });
    }
    Ok(ToWorker::Start {
        key: read_key(start.key, "start.key")?,
        ticket: read_bytes(start.ticket, TICKET_BYTES_MAX, "start.ticket")?,
        signature: start.signature.into(),
        template: read_bytes(start.template, TEMPLATE_BYTES_MAX, "start.template")?,
        limits: read_limits(start.limits.ok_or(ConvertError::Missing {
            field: "start.limits",
        })?)?,
        run: read_run(start.run, "start.run")?,
    })
}

fn read_bytes(bytes: Bytes, max: usize, field: &'static str) -> Result<Vec<u8>, ConvertError> {
    at_most(bytes.len(), max, field)?;
    Ok(bytes.into())
}

fn write_limits(limits: RunLimits) -> proto::RunLimits {
    proto::RunLimits {
        timelimit_ns: limits.timelimit.map(nanos),
        agendatimelimit_ns: limits.agendatimelimit.map(nanos),
        silence_limit_ns: limits.silence_limit.map(nanos),
        grace_ns: nanos(limits.grace),
        output_limit: limits.output_limit,
        progress: limits.progress,
    }
}

fn read_limits(limits: proto::RunLimits) -> Result<RunLimits, ConvertError> {
    if let Some(pattern) = &limits.progress {
        at_most(pattern.len(), PATTERN_BYTES_MAX, "start.limits.progress")?;
    }
    Ok(RunLimits {
        timelimit: limits.timelimit_ns.map(Duration::from_nanos),
        agendatimelimit: limits.agendatimelimit_ns.map(Duration::from_nanos),
        silence_limit: limits.silence_limit_ns.map(Duration::from_nanos),
        grace: Duration::from_nanos(limits.grace_ns),
        output_limit: limits.output_limit,
        progress: limits.progress,
    })
}
