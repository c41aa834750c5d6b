//! Who the peer of the Unix socket is: the kernel says the uid, the system's accounts the name and the groups.

use nix::unistd::{Group, Uid, User, getgrouplist};
use std::collections::HashMap;
use std::ffi::CString;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tessera_model::{Principal, Proof, UserName};

/// How long an answer of the account database is believed.
const BELIEVE: Duration = Duration::from_secs(30);
/// Accounts that are remembered.
const KNOWN_MAX: usize = 1_024;
/// How long the account database (a directory, perhaps) may take.
const LOOKUP_TIME_LIMIT: Duration = Duration::from_secs(5);

/// Why a peer has no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoName {
    /// No account has the uid.
    #[error("no account on this host has uid {0}")]
    NoAccount(u32),
    /// Its name can't be one of the farm's.
    #[error("the account of uid {uid} can't be used: {why}")]
    BadName {
        /// The uid.
        uid: u32,
        /// What is wrong with its name.
        why: String,
    },
    /// The account database does not answer.
    #[error("the account of uid {uid} can't be looked up: {why}")]
    Silent {
        /// The uid.
        uid: u32,
        /// What it said.
        why: String,
    },
}

/// Names of uids.
#[derive(Debug)]
pub(crate) struct Accounts {
    admin_group: String,
    known: Mutex<HashMap<u32, (Principal, Instant)>>,
}

impl Accounts {
    /// Takes the group whose members are administrators.
    pub(crate) fn new(admin_group: String) -> Self {
        Self {
            admin_group,
            known: Mutex::default(),
        }
    }

    /// Answers who has this uid.
    ///
    /// # Errors
    /// When nobody has, or it can't be found out.
    pub(crate) async fn of_uid(&self, uid: u32) -> Result<Principal, NoName> {
        if let Some(known) = self.remembered(uid) {
            return Ok(known);
        }
        let group = self.admin_group.clone();
        let look = tokio::task::spawn_blocking(move || look_up(uid, &group));
        let silent = |why: String| NoName::Silent { uid, why };
        let found = tokio::time::timeout(LOOKUP_TIME_LIMIT, look)
            .await
            .map_err(|_| silent("no answer in time".into()))?
            .map_err(|error| silent(error.to_string()))??;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(uid, (found.clone(), Instant::now()));
        Ok(found)
    }

    fn remembered(&self, uid: u32) -> Option<Principal> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(&uid)
            .filter(|(_, at)| at.elapsed() < BELIEVE)
            .map(|(principal, _)| principal.clone())
    }
}

fn look_up(uid: u32, admin_group: &str) -> Result<Principal, NoName> {
    let silent = |error: nix::Error| NoName::Silent {
        uid,
        why: error.to_string(),
    };
    let user = User::from_uid(Uid::from_raw(uid))
        .map_err(silent)?
        .ok_or(NoName::NoAccount(uid))?;
    let name: UserName = user
        .name
        .parse()
        .map_err(|error: tessera_model::name::BadUserName| NoName::BadName {
            uid,
            why: error.to_string(),
        })?;
    let is_ours = uid == 0 || uid == Uid::effective().as_raw();
    let is_admin = is_ours || is_member(&user, admin_group).map_err(silent)?;
    Ok(Principal {
        name,
        proof: Proof::Peer { uid },
        is_admin,
    })
}

fn is_member(user: &User, group: &str) -> Result<bool, nix::Error> {
    let Some(group) = Group::from_name(group)? else {
        return Ok(false);
    };
    let name = CString::new(user.name.as_str()).map_err(|_| nix::Error::EINVAL)?;
    Ok(getgrouplist(&name, user.gid)?.contains(&group.gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn root_and_our_own_account_are_administrators() {
        let accounts = Accounts::new("no-such-group".into());
        let own = accounts
            .of_uid(Uid::effective().as_raw())
            .await
            .expect("has an account");
        assert!(own.is_admin);
        assert_eq!(
            own.proof,
            Proof::Peer {
                uid: Uid::effective().as_raw()
            }
        );
        let root = accounts.of_uid(0).await.expect("root");
        assert_eq!((root.name.as_str(), root.is_admin), ("root", true));
    }

    #[tokio::test]
    async fn a_uid_without_account_has_no_name() {
        let accounts = Accounts::new("no-such-group".into());
        assert_eq!(
            accounts.of_uid(3_999_999_999).await,
            Err(NoName::NoAccount(3_999_999_999))
        );
    }
}
