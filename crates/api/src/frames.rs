//! The headers of an answer with output, and how that is framed when two streams share an answer, or a follower must see that the server is still there.
//!
//! A frame is a kind (one byte), a length (four bytes, most significant first) and so many bytes:
//! 1 stdout, 2 stderr, 0 nothing new (empty; sent so that silence can be told from a cut line), 3 the end (empty): the
//! attempt has ended and everything was sent, or, without `follow`, the limit was reached. Offsets count the bytes inside frames
//! 1 and 2 only. A reader skips kinds that it does not know.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Header: the attempt that the output is of.
pub const ATTEMPT_HEADER: &str = "x-tessera-attempt";
/// Header: the place of the first byte that is sent.
pub const OFFSET_HEADER: &str = "x-tessera-offset";
/// Header: how many bytes there are now.
pub const SIZE_HEADER: &str = "x-tessera-size";
/// Header: `true` when the attempt has ended and no more will come.
pub const COMPLETE_HEADER: &str = "x-tessera-complete";

/// Bytes in front of each frame.
pub const HEADER_BYTES: usize = 5;
/// Longest frame, in bytes, without its header; a reader refuses longer ones.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;
/// The media type of a framed answer.
pub const MEDIA_TYPE: &str = "application/vnd.tessera.log-frames";

/// A piece of an attempt's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogPiece {
    /// Bytes of stdout.
    Out(Bytes),
    /// Bytes of stderr.
    Err(Bytes),
    /// Nothing new.
    Idle,
    /// Nothing more will come.
    End,
}

impl LogPiece {
    /// Answers how many bytes of output it has.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Out(bytes) | Self::Err(bytes) => bytes.len(),
            Self::Idle | Self::End => 0,
        }
    }

    /// Says whether it has no bytes of output.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Answers the frames for it: one, or several when it is long.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let (kind, bytes) = match self {
            Self::Idle => (0, &Bytes::new()),
            Self::Out(bytes) => (1, bytes),
            Self::Err(bytes) => (2, bytes),
            Self::End => (3, &Bytes::new()),
        };
        let mut framed = BytesMut::with_capacity(bytes.len() + HEADER_BYTES);
        if bytes.is_empty() && !matches!(self, Self::Out(_) | Self::Err(_)) {
            put(&mut framed, kind, &[]);
        }
        for chunk in bytes.chunks(FRAME_BYTES_MAX) {
            put(&mut framed, kind, chunk);
        }
        framed.freeze()
    }
}

fn put(framed: &mut BytesMut, kind: u8, chunk: &[u8]) {
    framed.put_u8(kind);
    framed.put_u32(u32::try_from(chunk.len()).unwrap_or(0));
    framed.put_slice(chunk);
}

/// The frame is longer than [`FRAME_BYTES_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a log frame of {0} bytes is longer than {FRAME_BYTES_MAX}")]
pub struct FrameTooLong(pub usize);

/// Takes frames out of bytes that arrive in any cut.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: BytesMut,
}

impl Decoder {
    /// Adds bytes that arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Answers the next complete piece, if there is one.
    ///
    /// # Errors
    /// When a frame is too long; nothing more can be read then.
    pub fn next_piece(&mut self) -> Result<Option<LogPiece>, FrameTooLong> {
        while self.buffer.len() >= HEADER_BYTES {
            let mut header = &self.buffer[..HEADER_BYTES];
            let (kind, length) = (header.get_u8(), header.get_u32() as usize);
            if length > FRAME_BYTES_MAX {
                return Err(FrameTooLong(length));
            }
            if self.buffer.len() < HEADER_BYTES + length {
                return Ok(None);
            }
            self.buffer.advance(HEADER_BYTES);
            let bytes = self.buffer.split_to(length).freeze();
            match kind {
                0 => return Ok(Some(LogPiece::Idle)),
                1 => return Ok(Some(LogPiece::Out(bytes))),
                2 => return Ok(Some(LogPiece::Err(bytes))),
                3 => return Ok(Some(LogPiece::End)),
                _ => {}
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_piece() -> impl Strategy<Value = LogPiece> {
        let bytes = || proptest::collection::vec(any::<u8>(), 1..50).prop_map(Bytes::from);
        prop_oneof![
            bytes().prop_map(LogPiece::Out),
            bytes().prop_map(LogPiece::Err),
            Just(LogPiece::Idle),
            Just(LogPiece::End)
        ]
    }

    proptest! {
        #[test]
        fn frames_are_read_back_whatever_the_cut(pieces in proptest::collection::vec(any_piece(), 0..20), cut in 1_usize..9) {
            let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.encode().to_vec()).collect();
            let (mut decoder, mut found) = (Decoder::default(), Vec::new());
            for part in bytes.chunks(cut) {
                decoder.push(part);
                while let Some(piece) = decoder.next_piece().expect("short frames") {
                    found.push(piece);
                }
            }
            prop_assert_eq!(found, pieces);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            let mut decoder = Decoder::default();
            decoder.push(&bytes);
            while let Ok(Some(piece)) = decoder.next_piece() {
                prop_assert!(piece.len() <= bytes.len());
            }
        }
    }

    #[test]
    fn long_output_becomes_several_frames() {
        let piece = LogPiece::Out(Bytes::from(vec![7; FRAME_BYTES_MAX + 1]));
        let mut decoder = Decoder::default();
        decoder.push(&piece.encode());
        let lengths: Vec<usize> = std::iter::from_fn(|| decoder.next_piece().ok().flatten())
            .map(|p| p.len())
            .collect();
        assert_eq!(lengths, [FRAME_BYTES_MAX, 1]);
        let mut decoder = Decoder::default();
        decoder.push(&[1, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(decoder.next_piece(), Err(FrameTooLong(0xffff_ffff)));
    }
}
