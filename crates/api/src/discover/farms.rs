//! `farms.toml`: the farms that somebody logged in to, with fingerprints and tokens. Private (0600) because of the tokens.

use crate::client::Fingerprint;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// A farm that was logged in to.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Farm {
    /// Its name for people.
    #[serde(default)]
    pub name: String,
    /// `host:port`.
    pub address: String,
    /// The fingerprint of its CA.
    #[serde(rename = "ca_sha256", with = "as_text")]
    pub ca: Fingerprint,
    /// The token to enter with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

impl fmt::Debug for Farm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            address,
            ca,
            token: _,
        } = self;
        f.debug_struct("Farm")
            .field("name", name)
            .field("address", address)
            .field("ca", ca)
            .finish_non_exhaustive()
    }
}

/// The farms that were logged in to, by their ids.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Farms {
    /// The id of the farm to take when none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// The farms.
    pub farms: BTreeMap<String, Farm>,
}

/// Why `farms.toml` can't be used.
#[derive(Debug, thiserror::Error)]
pub enum BadFarms {
    /// It can't be read or written.
    #[error("{}: {cause}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// Others can read the tokens in it.
    #[error("{}: others can read it (mode {mode:03o}), and it holds tokens", path.display())]
    Readable {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is not what it should be.
    #[error("{}: {why}", path.display())]
    Text {
        /// Which file.
        path: PathBuf,
        /// What is wrong, with the place.
        why: String,
    },
}

impl BadFarms {
    /// Answers what can be done.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Io { .. } => "look at the file's and its directory's owner and mode",
            Self::Readable { .. } => {
                "chmod 600 it; if others may have read it, revoke the tokens and make new ones"
            }
            Self::Text { .. } => {
                "mend the line, or move the file away and use `tessera login` again"
            }
        }
    }
}

impl Farms {
    /// Reads the file; one that does not exist has no farms.
    ///
    /// # Errors
    /// When it can't be read, others can read it, or its text is wrong.
    pub fn load(path: &Path) -> Result<Self, BadFarms> {
        let bad = |cause| BadFarms::Io {
            path: path.to_owned(),
            cause,
        };
        let mut file = match fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(bad(error)),
        };
        let about = file.metadata().map_err(bad)?;
        check_mode(path, &about)?;
        if about.len() > FILE_BYTES_MAX {
            return Err(bad(io::Error::new(
                io::ErrorKind::InvalidData,
                "it is larger than 1 MiB",
            )));
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(bad)?;
        toml::from_str(&text).map_err(|error| BadFarms::Text {
            path: path.to_owned(),
            why: why_bad(&text, &error),
        })
    }

    /// Writes the file anew (0600, in a directory of mode 0700 that is made if it is missing), whole or not at all.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn save(&self, path: &Path) -> Result<(), BadFarms> {
        let text = toml::to_string(self).map_err(|error| BadFarms::Text {
            path: path.to_owned(),
            why: error.to_string(),
        })?;
        write_private(path, text.as_bytes()).map_err(|cause| BadFarms::Io {
            path: path.to_owned(),
            cause,
        })
    }

    /// Says whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.farms.is_empty()
    }

    /// Answers the farm with that id or name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<(&str, &Farm)> {
        let by_id = self.farms.get_key_value(name);
        let found = by_id.or_else(|| self.farms.iter().find(|(_, farm)| farm.name == name));
        found.map(|(id, farm)| (id.as_str(), farm))
    }

    /// Answers the farm at that address.
    #[must_use]
    pub fn by_address(&self, address: &str) -> Option<(&str, &Farm)> {
        let found = self.farms.iter().find(|(_, farm)| farm.address == address);
        found.map(|(id, farm)| (id.as_str(), farm))
    }

    /// Answers the default farm.
    #[must_use]
    pub fn default_one(&self) -> Option<(&str, &Farm)> {
        self.default.as_deref().and_then(|id| self.named(id))
    }

    /// Answers the default farm, or the only one.
    #[must_use]
    pub fn chosen(&self) -> Option<(&str, &Farm)> {
        match (&self.default, self.farms.len()) {
            (Some(id), _) => self.named(id),
            (None, 1) => self
                .farms
                .iter()
                .next()
                .map(|(id, farm)| (id.as_str(), farm)),
            (None, _) => None,
        }
    }
}

/// Says what is wrong and in which line, without quoting it: it may hold a token.
fn why_bad(text: &str, error: &toml::de::Error) -> String {
    let before = error
        .span()
        .and_then(|span| text.get(..span.start))
        .unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    format!("line {line}: {}", error.message())
}

#[cfg(unix)]
fn check_mode(path: &Path, about: &fs::Metadata) -> Result<(), BadFarms> {
    use std::os::unix::fs::MetadataExt;
    let mode = about.mode() & 0o777;
    if mode & 0o077 == 0 {
        Ok(())
    } else {
        Err(BadFarms::Readable {
            path: path.to_owned(),
            mode,
        })
    }
}

#[cfg(not(unix))]
fn check_mode(_path: &Path, _about: &fs::Metadata) -> Result<(), BadFarms> {
    Ok(())
}

fn write_private(path: &Path, text: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    private_folder(folder)?;
    let fresh = path.with_extension(format!("toml.{}", std::process::id()));
    let _ = fs::remove_file(&fresh);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&fresh).and_then(|mut file| {
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    });
    if written.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    written
}

fn private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Keeps fingerprints as text.
mod as_text {
    use crate::client::Fingerprint;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        print: &Fingerprint,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(print)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Fingerprint, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
