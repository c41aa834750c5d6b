//! What the launcher is judged by: files that only root can write, in its own directory.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use tessera_rules::policy::{POLICY_MAX, Policy};
use tessera_ticket::{Refusal, VerifyingKey, parse_dispatch_keys, parse_id};

const SMALL: usize = 4_096;
/// What the file of the policy is called.
pub const POLICY: &str = "policy";
/// Where private directories are made, unless the policy says otherwise: a path without blanks.
const TMP: &str = "/private/var/tessera";
/// What is written when there is no policy yet: what is other on a Mac than the rules' own defaults.
pub const DEFAULT_POLICY: &str = "\
# Who jobs may run as on this Mac. Only root can change this file; the farm can't. Other keys: docs/macos.md.
# modes: proxy (the proxy account), user (the user the job belongs to), or both.
modes = proxy, user
proxy_account = _tessera-job
# The least uid of a user in mode user. People's accounts begin at 501.
uid_min = 500
# deny beats allow; an empty allow list allows everybody who is not denied.
allow_users =
deny_users =
allow_groups =
# Members of these are refused: macOS asks the user directory for the groups of a process, so none can be taken from it.
deny_groups = wheel, daemon, kmem, sys, operator, admin
group_policy = refuse
path = /usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin:/opt/homebrew/bin
# Where instances have their private TMPDIR; a directory that only root can write. Empty: /private/var/tessera.
tmp_dir =
worker_account = _tessera
";

/// The launcher's directory and what stands in it.
#[derive(Debug)]
pub struct Config {
    /// The launcher's directory.
    pub dir: PathBuf,
    /// The farm.
    pub farm: [u8; 16],
    /// This host.
    pub host: [u8; 16],
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
    /// Reads who this host and its farm are. `is_trusted` says what is wrong with a path that somebody else could change.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub fn load(
        state: &Path,
        is_trusted: impl Fn(&Path) -> Result<(), String>,
    ) -> Result<Self, String> {
        let dir = state.join("launcher");
        for name in ["farm_id", "host_id", "dispatch.pub", POLICY] {
            let path = dir.join(name);
            if path.symlink_metadata().is_ok() {
                is_trusted(&path)?;
            }
        }
        Ok(Self {
            farm: id(&dir, "farm_id")?,
            host: id(&dir, "host_id")?,
            dir,
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
            // What a host was told to do and can't is no wish to be passed over.
            if policy.login_environment || !policy.pam_service.is_empty() {
                let what = "policy: there is neither login_environment nor pam_service on macOS";
                return Err(what.to_owned());
            }
            let text = read(&self.dir, "dispatch.pub", SMALL)?;
            let text = text.ok_or("dispatch.pub: is not there; join this host to a farm first")?;
            let keys = parse_dispatch_keys(&text).ok_or(
                "dispatch.pub: holds no list of keys, each a line of 64 hexadecimal digits",
            )?;
            Ok(Rules { policy, keys })
        };
        read().map_err(|reason| Refusal::PolicyInvalid { reason })
    }
}

/// Answers where private directories are.
pub fn tmp(policy: &Policy) -> PathBuf {
    let named = policy.tmp_dir.as_ref();
    named.map_or_else(|| PathBuf::from(TMP), PathBuf::from)
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
    let id = parse_id(&text).map(|(_, id)| id);
    id.ok_or(format!("{name}: is not an id of 32 hexadecimal digits"))
}

/// Says what is wrong with a path that somebody else than root could change: each part of it must be root's, and nobody else may
/// write to it.
///
/// # Errors
/// A sentence that names the part.
#[cfg(unix)]
pub fn is_roots(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt as _;
    let real = path
        .canonicalize()
        .map_err(|error| format!("{}: {error}", path.display()))?;
    for part in real.ancestors() {
        let found = part
            .symlink_metadata()
            .map_err(|error| format!("{}: {error}", part.display()))?;
        if found.uid() != 0 {
            let uid = found.uid();
            return Err(format!(
                "{}: is owned by uid {uid}, not by root",
                part.display()
            ));
        }
        if found.mode() & 0o022 != 0 {
            return Err(format!(
                "{}: can be written by others than root",
                part.display()
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_policy_is_one_and_takes_no_group_away() {
        let policy = Policy::parse(DEFAULT_POLICY).expect("a policy");
        assert_eq!(policy.uid_min, 500);
        assert_eq!(
            policy.group_policy,
            tessera_rules::policy::GroupPolicy::Refuse
        );
        assert!(policy.deny_groups.contains(&"admin".to_owned()));
        assert_eq!(policy.worker_account.as_str(), "_tessera");
        assert_eq!(tmp(&policy), Path::new(TMP));
    }

    #[test]
    fn what_is_missing_wrong_or_anybodys_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let launcher = dir.path().join("launcher");
        std::fs::create_dir(&launcher).expect("made");
        let write =
            |name: &str, text: &str| std::fs::write(launcher.join(name), text).expect("written");
        let trust = |_: &Path| Ok(());
        let error = Config::load(dir.path(), trust).expect_err("no farm");
        assert!(error.contains("farm_id: is not there"), "{error}");
        write("farm_id", "01234567-0123-0123-0123-0123456789ab\n");
        write("host_id", "zz");
        let error = Config::load(dir.path(), trust).expect_err("no host");
        assert!(error.contains("host_id: is not an id"), "{error}");
        write("host_id", &"0".repeat(32));
        let error = Config::load(dir.path(), |path| Err(path.display().to_string()));
        assert!(error.expect_err("anybody's").ends_with("farm_id"));
        let config = Config::load(dir.path(), trust).expect("good");
        let reason = |what: Result<Rules, Refusal>| match what {
            Err(Refusal::PolicyInvalid { reason }) => reason,
            other => panic!("{other:?}"),
        };
        assert!(reason(config.rules()).contains("policy: is not there"));
        write(POLICY, "uid_mn = 1");
        assert!(reason(config.rules()).contains("policy: line 1"));
        for more in ["login_environment = yes", "pam_service = tessera"] {
            write(POLICY, more);
            assert!(reason(config.rules()).contains("neither login_environment"));
        }
        write(POLICY, DEFAULT_POLICY);
        assert!(reason(config.rules()).contains("dispatch.pub: is not there"));
        write("dispatch.pub", "01");
        assert!(reason(config.rules()).contains("dispatch.pub: holds no list"));
    }

    #[cfg(unix)]
    #[test]
    fn only_paths_of_root_are_believed() {
        assert_eq!(is_roots(Path::new("/etc/passwd")), Ok(()));
        // The folder for what is temporary can be written by everybody.
        let file = tempfile::NamedTempFile::new().expect("a file");
        assert!(is_roots(file.path()).is_err());
        assert!(is_roots(Path::new("/nonexistent")).is_err());
    }
}
