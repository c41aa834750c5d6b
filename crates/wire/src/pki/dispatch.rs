//! The key that signs launch tickets; launchers pin its public half.

use super::{PkiError, files};
use crate::base64;
use ed25519_dalek::{Signer as _, SigningKey};
use std::path::Path;

const FILE: &str = "dispatch.key";
/// What stands before the key in its file; the number moves when the form does.
const MARK: &str = "tessera-dispatch-key:1:";

/// The supervisor's dispatch key, Ed25519.
pub struct DispatchKey(SigningKey);

impl std::fmt::Debug for DispatchKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DispatchKey")
    }
}

impl DispatchKey {
    /// Makes the key in `dir` (made with mode 0700).
    ///
    /// # Errors
    /// `Exists` when there is one, which is then left alone; `File`.
    pub fn create(dir: &Path) -> Result<Self, PkiError> {
        files::make_private_dir(dir)?;
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(PkiError::Random)?;
        files::create(
            dir,
            FILE,
            format!("{MARK}{}\n", base64::encode(&seed)).as_bytes(),
        )?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// Opens the key of `dir`.
    ///
    /// # Errors
    /// `File` with kind not-found when there is none, `OpenToOthers` when others could read it, `Damaged`.
    pub fn open(dir: &Path) -> Result<Self, PkiError> {
        let path = dir.join(FILE);
        let Some(content) = files::read(dir, FILE)? else {
            let source = std::io::ErrorKind::NotFound.into();
            return Err(PkiError::File {
                doing: "read",
                path,
                source,
            });
        };
        let seed = std::str::from_utf8(&content)
            .ok()
            .and_then(|text| text.trim_end().strip_prefix(MARK))
            .and_then(base64::decode)
            .ok_or(PkiError::Damaged {
                path,
                what: "dispatch key",
            })?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// Opens the key of `dir`, or makes it if there is none.
    ///
    /// # Errors
    /// As [`Self::open`] and [`Self::create`].
    pub fn open_or_create(dir: &Path) -> Result<Self, PkiError> {
        match Self::create(dir) {
            Err(PkiError::Exists { .. }) => Self::open(dir),
            made => made,
        }
    }

    /// Signs these very bytes. Tickets are signed by `ticket` with [`Self::signing_key`], which marks what is signed.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.0.sign(bytes).to_bytes()
    }

    /// Lends the key to who knows what exactly is signed.
    #[must_use]
    pub fn signing_key(&self) -> &SigningKey {
        &self.0
    }

    /// Answers the public half, which launchers pin.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }
}
