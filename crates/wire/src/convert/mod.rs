//! `model` ↔ the bytes of the protocol, by hand: what is on the wire is a promise, what is in `model` is not.
//!
//! What a newer peer says that this program does not know is ignored and counted ([`Decoded::ignored`]); what is malformed
//! is an error that names the field. Nothing that comes from outside panics or is trusted in size.

mod credential;
mod error;
mod facts;
mod from_worker;
mod handshake;
mod logs;
mod parts;
mod settings;
mod to_worker;

pub use error::ConvertError;
pub use handshake::{AttachRefused, Hello, Welcome};
pub use logs::{LogAck, LogChunk, LogKey, LogStream};

pub(crate) use from_worker::{first_of_worker, hello_message, pack_from_worker, read_from_worker};
pub(crate) use handshake::common_version;
pub(crate) use logs::{pack_acks, pack_chunks, read_ack, read_chunk};
pub(crate) use to_worker::{
    first_of_supervisor, pack_to_worker, read_to_worker, refused_batch, welcome_message,
};

use crate::proto;
use prost::Message as _;
use tessera_model::msg::{FromWorker, ToWorker};

/// Largest message of the protocol, in bytes. The largest that is meant to be is a `Start` with a full environment.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// Above this many bytes the messages of one turn are sent as several.
pub const BATCH_BYTES_TARGET: usize = 256 * 1024;
/// Messages of one turn that are read.
pub const BATCH_MESSAGES_MAX: usize = 16 * 1024;
/// Launches in an inventory.
pub const INVENTORY_MAX: usize = tessera_model::limits::SLOTS_MAX as usize;
/// Properties, and as many resources, of a host.
pub const PROPERTIES_MAX: usize = 1_024;
/// Bytes of a name: of a host, account, property, code.
pub const NAME_BYTES_MAX: usize = 255;
/// Bytes of a text for people or of a property's value. A longer one is cut when it is sent.
pub const TEXT_BYTES_MAX: usize = tessera_model::limits::PROPERTY_BYTES_MAX;
/// Features that a peer may name.
pub const FEATURES_MAX: usize = 64;
/// Bytes of a ticket.
pub const TICKET_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a template.
pub const TEMPLATE_BYTES_MAX: usize = 768 * 1024;
/// Bytes of a log chunk's data.
pub const CHUNK_BYTES_MAX: usize = 256 * 1024;

/// What was read from a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded<T> {
    /// What this program knows, in order.
    pub messages: Vec<T>,
    /// How many more there were that it does not know.
    pub ignored: u64,
}

impl<T> Decoded<T> {
    /// Collects what was understood and counts the rest.
    fn collect(
        all: impl Iterator<Item = Result<Option<T>, ConvertError>>,
    ) -> Result<Self, ConvertError> {
        let mut decoded = Self {
            messages: Vec::new(),
            ignored: 0,
        };
        for one in all {
            match one? {
                Some(message) => decoded.messages.push(message),
                None => decoded.ignored += 1,
            }
        }
        Ok(decoded)
    }
}

/// Prints what a worker says in one turn. A `Hello` gets the versions of this program and no time.
#[must_use]
pub fn encode_from_worker(messages: &[FromWorker]) -> Vec<u8> {
    let messages = messages.iter().cloned().map(from_worker::write).collect();
    proto::FromWorkerBatch { messages }.encode_to_vec()
}

/// Reads what a worker says in one turn.
///
/// # Errors
/// When it is too large or malformed; the field is named.
pub fn decode_from_worker(bytes: &[u8]) -> Result<Decoded<FromWorker>, ConvertError> {
    read_from_worker(decode(bytes)?)
}

/// Prints what the supervisor says in one turn.
#[must_use]
pub fn encode_to_worker(messages: &[ToWorker]) -> Vec<u8> {
    let messages = messages.iter().cloned().map(to_worker::write).collect();
    proto::ToWorkerBatch { messages }.encode_to_vec()
}

/// Reads what the supervisor says in one turn.
///
/// # Errors
/// When it is too large or malformed; the field is named.
pub fn decode_to_worker(bytes: &[u8]) -> Result<Decoded<ToWorker>, ConvertError> {
    read_to_worker(decode(bytes)?)
}

/// Prints a log chunk.
#[must_use]
pub fn encode_chunk(chunk: LogChunk) -> Vec<u8> {
    logs::write_chunk(chunk).encode_to_vec()
}

/// Reads a log chunk.
///
/// # Errors
/// When it is too large or malformed; the field is named.
pub fn decode_chunk(bytes: &[u8]) -> Result<LogChunk, ConvertError> {
    read_chunk(decode(bytes)?)
}

/// Prints the acknowledgement of log bytes.
#[must_use]
pub fn encode_ack(ack: LogAck) -> Vec<u8> {
    logs::write_ack(ack).encode_to_vec()
}

/// Reads the acknowledgement of log bytes.
///
/// # Errors
/// When it is malformed; the field is named.
pub fn decode_ack(bytes: &[u8]) -> Result<LogAck, ConvertError> {
    read_ack(decode(bytes)?)
}

/// Decodes a message of the protocol if it is not too large.
fn decode<M: prost::Message + Default>(bytes: &[u8]) -> Result<M, ConvertError> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        let (got, max) = (bytes.len(), MESSAGE_BYTES_MAX);
        return Err(ConvertError::TooLong {
            field: "message",
            got,
            max,
        });
    }
    M::decode(bytes).map_err(ConvertError::Malformed)
}

/// Groups messages so that each group stays below [`BATCH_BYTES_TARGET`] (one larger message goes alone), in order.
fn pack<M: prost::Message, B>(messages: impl Iterator<Item = M>, batch: fn(Vec<M>) -> B) -> Vec<B> {
    let (mut batches, mut group, mut bytes) = (Vec::new(), Vec::new(), 0);
    for message in messages {
        let length = message.encoded_len();
        if !group.is_empty()
            && (bytes + length > BATCH_BYTES_TARGET || group.len() >= BATCH_MESSAGES_MAX)
        {
            batches.push(batch(std::mem::take(&mut group)));
            bytes = 0;
        }
        bytes += length;
        group.push(message);
    }
    if !group.is_empty() {
        batches.push(batch(group));
    }
    batches
}
