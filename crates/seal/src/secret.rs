//! A password in memory: overwritten when it is let go, never printed, never serialized.

use zeroize::Zeroizing;

/// Longest password in bytes (Windows takes 256 characters).
pub const PASSWORD_BYTES_MAX: usize = 1_022;

/// A password, or another short secret. Has no `Debug`, `Display`, `Clone` or serialization, and its memory is overwritten
/// when it is dropped.
pub struct Secret(Zeroizing<Vec<u8>>);

/// Why a text can't be a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordProblem {
    /// There is none.
    #[error("the password is empty")]
    Empty,
    /// It is too long.
    #[error("the password is longer than {PASSWORD_BYTES_MAX} bytes")]
    TooLong,
    /// It has a character that no keyboard gives.
    #[error("the password has a control character in it")]
    Control,
}

impl Secret {
    /// Takes a password; `text` is overwritten whether it is taken or not.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn password(text: String) -> Result<Self, PasswordProblem> {
        let text = Zeroizing::new(text);
        if text.is_empty() {
            return Err(PasswordProblem::Empty);
        }
        if text.len() > PASSWORD_BYTES_MAX {
            return Err(PasswordProblem::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(PasswordProblem::Control);
        }
        Ok(Self(Zeroizing::new(text.as_bytes().to_vec())))
    }

    /// Gives it to `use_it` as text; nothing else can read it.
    pub fn with_text<T>(&self, use_it: impl FnOnce(&str) -> T) -> T {
        use_it(std::str::from_utf8(&self.0).unwrap_or_default())
    }

    /// Says whether two are the same, in a time that does not depend on where they differ.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let differences = self.0.iter().zip(other.0.iter());
        let difference = differences.fold(0, |found, (a, b)| found | (a ^ b));
        self.0.len() == other.0.len() && difference == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn of_opened(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    /// Answers it with its length before it and zeros after it, `length` bytes in all.
    pub(crate) fn padded(&self, length: usize) -> Self {
        let mut bytes = Zeroizing::new(Vec::with_capacity(length));
        let own = u16::try_from(self.len()).unwrap_or(u16::MAX);
        bytes.extend_from_slice(&own.to_be_bytes());
        bytes.extend_from_slice(&self.0);
        bytes.resize(length, 0);
        Self(bytes)
    }

    /// Reads what [`Self::padded`] made; `None` when it is not of that form, or no text.
    pub(crate) fn unpadded(&self) -> Option<Self> {
        let (length, rest) = self.0.split_first_chunk::<2>()?;
        let own = rest.get(..usize::from(u16::from_be_bytes(*length)))?;
        std::str::from_utf8(own).ok()?;
        Some(Self(Zeroizing::new(own.to_vec())))
    }
}
