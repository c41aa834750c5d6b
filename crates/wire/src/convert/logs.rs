//! Output of items.

use super::{CHUNK_BYTES_MAX, ConvertError, parts::at_most};
use crate::proto;
use bytes::Bytes;
use tessera_model::{Attempt, ItemIndex, JobId};

/// Which bytes of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogStream {
    /// stdout.
    Out,
    /// stderr.
    Err,
    /// In which order the bytes of the two arrived.
    Index,
}

/// One stream of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogKey {
    /// The job.
    pub job: JobId,
    /// Its item.
    pub item: ItemIndex,
    /// Which run of it.
    pub attempt: Attempt,
    /// Which stream.
    pub stream: LogStream,
}

/// Bytes of a stream; sent twice they change nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogChunk {
    /// Of what.
    pub key: LogKey,
    /// Where `data` begins in the stream, in bytes.
    pub offset: u64,
    /// The bytes; what is longer than [`CHUNK_BYTES_MAX`] is sent as several chunks.
    pub data: Bytes,
    /// How long the stream is in bytes, once it is complete.
    pub final_size: Option<u64>,
}

/// What is durable of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogAck {
    /// Of what.
    pub key: LogKey,
    /// Everything below is durable, in bytes.
    pub durable_to: u64,
    /// And that is all there is; the worker may forget its copy.
    pub is_complete: bool,
}

/// Cuts chunks to the size that travels.
pub(crate) fn pack_chunks(chunks: Vec<LogChunk>) -> Vec<proto::LogChunk> {
    chunks.into_iter().flat_map(cut).map(write_chunk).collect()
}

pub(crate) fn pack_acks(acks: Vec<LogAck>) -> Vec<proto::LogAck> {
    acks.into_iter().map(write_ack).collect()
}

/// Cuts a chunk into pieces of at most [`CHUNK_BYTES_MAX`]; only the last knows that the stream is complete.
fn cut(mut chunk: LogChunk) -> Vec<LogChunk> {
    let mut pieces = Vec::new();
    while chunk.data.len() > CHUNK_BYTES_MAX {
        let data = chunk.data.split_to(CHUNK_BYTES_MAX);
        pieces.push(LogChunk {
            key: chunk.key,
            offset: chunk.offset,
            data,
            final_size: None,
        });
        chunk.offset = chunk.offset.saturating_add(CHUNK_BYTES_MAX as u64);
    }
    pieces.push(chunk);
    pieces
}

pub(super) fn write_chunk(chunk: LogChunk) -> proto::LogChunk {
    let LogKey {
        job: JobId(job),
        item: ItemIndex(item),
        attempt: Attempt(attempt),
        stream,
    } = chunk.key;
    let (offset, data, final_size) = (chunk.offset, chunk.data, chunk.final_size);
    proto::LogChunk {
        job,
        item,
        attempt,
        stream: write_stream(stream),
        offset,
        data,
        final_size,
    }
}

pub(crate) fn read_chunk(chunk: proto::LogChunk) -> Result<LogChunk, ConvertError> {
    at_most(chunk.data.len(), CHUNK_BYTES_MAX, "log_chunk.data")?;
    let key = LogKey {
        job: JobId(chunk.job),
        item: ItemIndex(chunk.item),
        attempt: Attempt(chunk.attempt),
        stream: read_stream(chunk.stream, "log_chunk.stream")?,
    };
    let end = chunk.offset.checked_add(chunk.data.len() as u64);
    let max = chunk.final_size.unwrap_or(u64::MAX);
    if end.is_none_or(|end| end > max) {
        return Err(ConvertError::Range {
            field: "log_chunk.offset",
            got: chunk.offset,
            max,
        });
    }
    let (offset, data, final_size) = (chunk.offset, chunk.data, chunk.final_size);
    Ok(LogChunk {
        key,
        offset,
        data,
        final_size,
    })
}

pub(super) fn write_ack(ack: LogAck) -> proto::LogAck {
    let LogKey {
        job: JobId(job),
        item: ItemIndex(item),
        attempt: Attempt(attempt),
        stream,
    } = ack.key;
    let (durable_to, is_complete) = (ack.durable_to, ack.is_complete);
    proto::LogAck {
        job,
        item,
        attempt,
        stream: write_stream(stream),
        durable_to,
        is_complete,
    }
}

pub(crate) fn read_ack(ack: proto::LogAck) -> Result<LogAck, ConvertError> {
    let key = LogKey {
        job: JobId(ack.job),
        item: ItemIndex(ack.item),
        attempt: Attempt(ack.attempt),
        stream: read_stream(ack.stream, "log_ack.stream")?,
    };
    Ok(LogAck {
        key,
        durable_to: ack.durable_to,
        is_complete: ack.is_complete,
    })
}

fn write_stream(stream: LogStream) -> i32 {
    let stream = match stream {
        LogStream::Out => proto::LogStream::Out,
        LogStream::Err => proto::LogStream::Err,
        LogStream::Index => proto::LogStream::Index,
    };
    stream.into()
}

fn read_stream(number: i32, field: &'static str) -> Result<LogStream, ConvertError> {
    match proto::LogStream::try_from(number) {
        Ok(proto::LogStream::Out) => Ok(LogStream::Out),
        Ok(proto::LogStream::Err) => Ok(LogStream::Err),
        Ok(proto::LogStream::Index) => Ok(LogStream::Index),
        Err(_) => Err(ConvertError::Unknown { field }),
    }
}
