//! What the launcher of a Mac is judged by: its policy, and whose its files must be.

use std::path::{Path, PathBuf};

use tessera_rules::policy::Policy;

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

/// Reads a policy.
///
/// # Errors
/// A sentence that names the line, or what a Mac does not have.
pub fn policy(text: &str) -> Result<Policy, String> {
    let policy = Policy::parse(text)?;
    // What a host was told to do and can't is no wish to be passed over.
    if policy.login_environment || !policy.pam_service.is_empty() {
        return Err("there is neither login_environment nor pam_service on macOS".to_owned());
    }
    Ok(policy)
}

/// Answers where private directories are.
pub fn tmp(policy: &Policy) -> PathBuf {
    let named = policy.tmp_dir.as_ref();
    named.map_or_else(|| PathBuf::from(TMP), PathBuf::from)
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
    fn what_a_mac_does_not_have_is_no_wish() {
        assert!(super::policy("").is_ok());
        for more in ["login_environment = yes", "pam_service = tessera"] {
            let error = super::policy(more).expect_err("is not there");
            assert!(error.contains("neither login_environment"), "{error}");
        }
        let error = super::policy("uid_mn = 1").expect_err("unknown");
        assert!(error.contains("line 1"), "{error}");
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
