//! What the launcher is judged by: files that only the system's own can write, in its own directory.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use tessera_ticket::{Refusal, VerifyingKey, parse_dispatch_keys, parse_id};

use crate::system::System;

const SMALL: usize = 4_096;
/// What the file of the policy is called.
pub const POLICY: &str = "policy";
const KEYS: &str = "dispatch.pub";
const FARM: &str = "farm_id";
const HOST: &str = "host_id";

/// The launcher's directory and what stands in it.
#[derive(Debug)]
pub struct Config {
    /// The launcher's directory.
    pub dir: PathBuf,
    /// The farm.
    pub farm: [u8; 16],
    /// This host.
    pub host: [u8; 16],
    /// The state's directory.
    pub state: PathBuf,
}

/// The part that may change while the launcher runs; read at each start.
#[derive(Debug)]
pub struct Rules<P> {
    /// The policy.
    pub policy: P,
    /// Who signs tickets.
    pub keys: Vec<VerifyingKey>,
}

impl Config {
    /// Reads who this host and its farm are. `is_trusted` says what is wrong with a path that somebody else could change.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn load(
        state: &Path,
        is_trusted: impl Fn(&Path) -> Result<(), String>,
    ) -> Result<Self, String> {
        let dir = state.join("launcher");
        for name in [FARM, HOST, KEYS, POLICY] {
            let path = dir.join(name);
            if path.symlink_metadata().is_ok() {
                is_trusted(&path)?;
            }
        }
        Ok(Self {
            farm: id(&dir, FARM)?,
            host: id(&dir, HOST)?,
            dir,
            state: state.to_owned(),
        })
    }

    /// Reads policy and keys.
    ///
    /// # Errors
    /// `PolicyInvalid` with a sentence that names the file and the line.
    pub fn rules<S: System>(&self) -> Result<Rules<S::Policy>, Refusal> {
        let read = || -> Result<Rules<S::Policy>, String> {
            let text = read(&self.dir, POLICY, S::POLICY_MAX)?;
            let text =
                text.ok_or("policy: is not there; the launcher writes one when it starts")?;
            let policy = S::policy(&text).map_err(|what| format!("policy: {what}"))?;
            let keys = keys(&self.dir)?;
            Ok(Rules { policy, keys })
        };
        read().map_err(|reason| Refusal::PolicyInvalid { reason })
    }
}

fn read(dir: &Path, name: &str, max: usize) -> Result<Option<String>, String> {
    let read = || -> io::Result<Option<String>> {
        let file = match File::open(dir.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut text = String::new();
        file.take(max as u64 + 1).read_to_string(&mut text)?;
        if text.len() > max {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(Some(text))
    };
    read().map_err(|error| format!("{name}: {error}"))
}

fn id(dir: &Path, name: &str) -> Result<[u8; 16], String> {
    let text = read(dir, name, SMALL)?;
    let text = text.ok_or(format!(
        "{name}: is not there; join this host to a farm first"
    ))?;
    let id = parse_id(&text).ok_or(format!("{name}: is not an id of 32 hexadecimal digits"))?;
    Ok(id.1)
}

fn keys(dir: &Path) -> Result<Vec<VerifyingKey>, String> {
    let text = read(dir, KEYS, SMALL)?;
    let text = text.ok_or("dispatch.pub: is not there; join this host to a farm first")?;
    parse_dispatch_keys(&text).ok_or_else(|| {
        "dispatch.pub: holds no list of keys, each a line of 64 hexadecimal digits".into()
    })
}
