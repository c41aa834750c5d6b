//! What the launcher is judged by: files that only the system and administrators can write, in its own directory.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use tessera_ticket::{Refusal, VerifyingKey, parse_dispatch_keys, parse_id};

use crate::policy::{POLICY_MAX, Policy};

const SMALL: usize = 4_096;
/// What the files are called.
pub const POLICY: &str = "policy";
const KEYS: &str = "dispatch.pub";

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
pub struct Rules {
    /// The policy.
    pub policy: Policy,
    /// Who signs tickets.
    pub keys: Vec<VerifyingKey>,
}

impl Config {
    /// Reads who this host and its farm are.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn load(state: &Path) -> Result<Self, String> {
        let dir = state.join("launcher");
        Ok(Self {
            farm: id(&dir, "farm_id")?,
            host: id(&dir, "host_id")?,
            dir,
            state: state.to_owned(),
        })
    }

    /// Reads policy and keys.
    ///
    /// # Errors
    /// `PolicyInvalid` with a sentence that names the file and the line.
    pub fn rules(&self) -> Result<Rules, Refusal> {
        let read = || -> Result<Rules, String> {
            let text = read(&self.dir, POLICY, POLICY_MAX)?;
            let text =
                text.ok_or("policy: is not there; the launcher writes one when it starts")?;
            let policy = Policy::parse(&text).map_err(|what| format!("policy: {what}"))?;
            let keys = keys(&self.dir)?;
            Ok(Rules { policy, keys })
        };
        read().map_err(|reason| Refusal::PolicyInvalid { reason })
    }

    /// Answers where private directories are.
    pub fn tmp(&self, policy: &Policy) -> PathBuf {
        let usual = || self.state.join("tmp");
        policy.tmp_dir.as_ref().map_or_else(usual, PathBuf::from)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let launcher = dir.path().join("launcher");
        std::fs::create_dir(&launcher).expect("made");
        let write =
            |name: &str, text: &str| std::fs::write(launcher.join(name), text).expect("written");
        let error = Config::load(dir.path()).expect_err("no farm");
        assert!(error.contains("farm_id: is not there"), "{error}");
        write("farm_id", "01234567-0123-0123-0123-0123456789ab\n");
        write("host_id", "zz");
        let error = Config::load(dir.path()).expect_err("no host");
        assert!(error.contains("host_id: is not an id"), "{error}");
        write("host_id", &"0".repeat(32));
        let config = Config::load(dir.path()).expect("good");
        let reason = |what: Result<Rules, Refusal>| match what {
            Err(Refusal::PolicyInvalid { reason }) => reason,
            other => panic!("{other:?}"),
        };
        assert!(reason(config.rules()).contains("policy: is not there"));
        write(POLICY, "modes = user");
        assert!(reason(config.rules()).contains("dispatch.pub: is not there"));
        write("dispatch.pub", "01");
        assert!(reason(config.rules()).contains("dispatch.pub: holds no list"));
        let key = tessera_ticket::SigningKey::from_bytes(&[7; 32]).verifying_key();
        let key: String = key
            .as_bytes()
            .iter()
            .map(|it| format!("{it:02x}"))
            .collect();
        write("dispatch.pub", &format!("# keys\n{key}\n"));
        assert_eq!(config.rules().expect("good").keys.len(), 1);
        write(POLICY, "nonsense = 1");
        assert!(reason(config.rules()).contains("policy: line 1"));
        assert_eq!(
            config.tmp(&Policy::parse("").expect("reads")),
            dir.path().join("tmp")
        );
    }
}
