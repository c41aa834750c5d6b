//! Why something from a peer can't be read.

/// What is wrong with a message, and with which field of it.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The bytes are not of the protocol.
    #[error("the bytes are not of the protocol")]
    Malformed(#[source] prost::DecodeError),
    /// A field that must be there is not.
    #[error("{field} is missing")]
    Missing {
        /// Which.
        field: &'static str,
    },
    /// A number is out of its range.
    #[error("{field} is {got}, at most {max}")]
    Range {
        /// Which.
        field: &'static str,
        /// The number.
        got: u64,
        /// The largest there may be.
        max: u64,
    },
    /// A text, byte string or list is too long.
    #[error("{field} is {got} long, at most {max}")]
    TooLong {
        /// Which.
        field: &'static str,
        /// Its length.
        got: usize,
        /// The largest there may be.
        max: usize,
    },
    /// A byte string has not its fixed length.
    #[error("{field} is {got} bytes, not {wanted}")]
    Length {
        /// Which.
        field: &'static str,
        /// Its length.
        got: usize,
        /// What it must be.
        wanted: usize,
    },
    /// A choice has a value that this program does not know and can't do without.
    #[error("{field} is of an unknown kind")]
    Unknown {
        /// Which.
        field: &'static str,
    },
}
