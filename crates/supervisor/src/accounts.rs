//! Who the peer of the Unix socket is: the kernel says the uid, the system's accounts the name and the groups.

use nix::unistd::{Group, Uid, User, getgrouplist};
use std::collections::{BTreeSet, HashMap};
use std::ffi::CString;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tessera_model::{Principal, Proof, UserName};
use tessera_ticket::ProxyAccount;

/// How long an answer of the account database is believed.
const BELIEVE: Duration = Duration::from_secs(30);
/// Accounts that are remembered.
const KNOWN_MAX: usize = 1_024;
/// How long the account database (a directory, perhaps) may take.
const LOOKUP_TIME_LIMIT: Duration = Duration::from_secs(5);

/// Accounts of the daemons, and the one that jobs run as unless a host names another.
const NO_PEOPLE: [&str; 3] = ["tessera", "tessera-shepherd", "tessera-job"];

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
    /// The account is the farm's own, or what jobs run as: who speaks as it may be any job.
    #[error(
        "the account {0} may not act on the farm: daemons and jobs run as it, it is nobody's; use an account of your own"
    )]
    NoPerson(UserName),
    /// The account database does not answer.
    #[error("the account of uid {uid} can't be looked up: {why}")]
    Silent {
        /// The uid.
        uid: u32,
        /// What it said.
        why: String,
    },
}

/// What was found out about a uid, and when.
type Known = (Result<Principal, NoName>, Instant);

/// Names of uids.
#[derive(Debug)]
pub(crate) struct Accounts {
    admin_group: String,
    known: Mutex<HashMap<u32, Known>>,
}

impl Accounts {
    /// Takes the group whose members are administrators.
    pub(crate) fn new(admin_group: String) -> Self {
        Self {
            admin_group,
            known: Mutex::default(),
        }
    }

    /// Answers who has this uid. `proxies` are the accounts that hosts run jobs as; asked for only when the uid has to be
    /// looked up.
    ///
    /// # Errors
    /// When nobody has, it is no person's, or it can't be found out.
    pub(crate) async fn of_uid(
        &self,
        uid: u32,
        proxies: impl Future<Output = Option<BTreeSet<String>>>,
    ) -> Result<Principal, NoName> {
        if let Some(known) = self.remembered(uid) {
            return known;
        }
        let group = self.admin_group.clone();
        let look = tokio::task::spawn_blocking(move || look_up(uid, &group));
        let silent = |why: String| NoName::Silent { uid, why };
        let found = tokio::time::timeout(LOOKUP_TIME_LIMIT, look)
            .await
            .map_err(|_| silent("no answer in time".into()))?
            .map_err(|error| silent(error.to_string()))??;
        let proxies = proxies.await;
        let found = if is_no_person(&found, uid, proxies.as_ref()) {
            Err(NoName::NoPerson(found.name))
        } else {
            Ok(found)
        };
        if proxies.is_none() {
            // Not all is known now: look again the next time.
            return found;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(uid, (found.clone(), Instant::now()));
        found
    }

    fn remembered(&self, uid: u32) -> Option<Result<Principal, NoName>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(&uid)
            .filter(|(_, at)| at.elapsed() < BELIEVE)
            .map(|(found, _)| found.clone())
    }
}

/// Says whether an account is none of a person. A host's word does not lock out root nor the account that we run as,
/// which in a farm of one person is his own.
fn is_no_person(found: &Principal, uid: u32, proxies: Option<&BTreeSet<String>>) -> bool {
    let name = found.name.as_str();
    let is_ours = uid == 0 || uid == Uid::effective().as_raw();
    NO_PEOPLE.contains(&name) || (!is_ours && proxies.is_some_and(|named| is_proxy(name, named)))
}

/// Says whether hosts run jobs as this account. What they name may be a pattern of an account for each slot.
fn is_proxy(name: &str, named: &BTreeSet<String>) -> bool {
    let patterns = || {
        named
            .iter()
            .filter_map(|it| it.parse::<ProxyAccount>().ok())
    };
    let account = name.parse().ok();
    named.contains(name) || account.is_some_and(|it| patterns().any(|pattern| pattern.is(&it)))
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

    async fn none() -> Option<BTreeSet<String>> {
        Some(BTreeSet::new())
    }

    fn person(name: &str) -> Principal {
        Principal {
            name: name.parse().expect("a name"),
            proof: Proof::Peer { uid: 4_000_000 },
            is_admin: false,
        }
    }

    #[test]
    fn daemons_and_what_jobs_run_as_are_no_people() {
        let named = ["render", "root", "slot{slot}"].map(str::to_owned);
        let named = BTreeSet::from(named);
        let refused = |name, uid| is_no_person(&person(name), uid, Some(&named));
        for name in [
            "tessera",
            "tessera-shepherd",
            "tessera-job",
            "render",
            "slot12",
        ] {
            assert!(refused(name, 4_000_000), "{name}");
        }
        for name in ["mia", "slot", "slot012", "slots"] {
            assert!(!refused(name, 4_000_000), "{name}");
        }
        assert!(!refused("root", 0), "no host locks out root");
        assert!(
            is_no_person(&person("tessera-job"), 4_000_000, None),
            "even when the core can't be asked"
        );
    }

    #[tokio::test]
    async fn who_is_a_hosts_proxy_account_is_told_so() {
        let Ok(Some(nobody)) = User::from_name("nobody") else {
            return;
        };
        let uid = nobody.uid.as_raw();
        let accounts = Accounts::new("no-such-group".into());
        let proxies = async { Some(BTreeSet::from(["nobody".to_owned()])) };
        let refused = accounts.of_uid(uid, proxies).await.expect_err("refused");
        assert_eq!(refused, NoName::NoPerson("nobody".parse().expect("a name")));
        assert!(refused.to_string().contains("an account of your own"));
        let others = Accounts::new("no-such-group".into());
        assert!(others.of_uid(uid, none()).await.is_ok(), "no host says so");
    }

    #[tokio::test]
    async fn root_and_our_own_account_are_administrators() {
        let accounts = Accounts::new("no-such-group".into());
        let own = accounts
            .of_uid(Uid::effective().as_raw(), none())
            .await
            .expect("has an account");
        assert!(own.is_admin);
        assert_eq!(
            own.proof,
            Proof::Peer {
                uid: Uid::effective().as_raw()
            }
        );
        let root = accounts.of_uid(0, none()).await.expect("root");
        assert_eq!((root.name.as_str(), root.is_admin), ("root", true));
    }

    #[tokio::test]
    async fn a_uid_without_account_has_no_name() {
        let accounts = Accounts::new("no-such-group".into());
        assert_eq!(
            accounts.of_uid(3_999_999_999, none()).await,
            Err(NoName::NoAccount(3_999_999_999))
        );
    }
}
