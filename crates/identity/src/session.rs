//! The PAM session of an instance as the chain sees it: what the holder says is judged by the host's policy and applied to the
//! user's processes. No module runs here.

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};

use tessera_pam::{Launch, No, Order, Session};
use tessera_shepherd::Setup;
use tessera_sys::Failed;
use tessera_ticket::{Refusal, Step};

use crate::account::{Account, judge_groups};
use crate::chain::Stopped;
use crate::policy::Policy;

/// What session is wanted, and for whom.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// The account.
    pub account: &'a Account,
    /// The host's policy, which names the service.
    pub policy: &'a Policy,
}

impl Wanted<'_> {
    fn order<'a>(&'a self, program: RawFd, launch: Option<Launch<'a>>) -> Order<'a> {
        Order {
            service: &self.policy.pam_service,
            user: &self.account.name,
            groups: &self.account.identity.groups,
            program,
            launch,
        }
    }
}

/// Opens the session: afterwards the user has the groups that it gives. Answers what is to be applied to each process and, in
/// words, what the audit is to know.
pub(crate) fn open(setup: &mut Setup, wanted: &Wanted<'_>) -> Result<(Session, String), Stopped> {
    let (service, account) = (wanted.policy.pam_service.as_str(), wanted.account);
    let (Some(group), Some(run)) = (&setup.group, &setup.run_dir) else {
        let words = "it needs control groups of version 2, which tell when the instance is gone";
        return Err(stopped(Step::Pam, words.to_owned()));
    };
    let key = setup.key.to_string();
    let launch = (key.as_str(), group.as_fd(), run.as_fd());
    let order = wanted.order(setup.program, Some(launch));
    let asked = tessera_pam::ask(&order).map_err(|no| match no {
        No::Account(words) => stopped(Step::PamAccount, words),
        No::Session(words) => stopped(Step::Pam, words),
    })?;
    let judged = judge_groups(account, wanted.policy, &asked.session.groups);
    let (groups, stripped) = judged.map_err(|refusal| {
        let said = format!(
            "a module of service {service} gave a group: {}",
            refusal.reason_and_hint()
        );
        stopped(Step::Pam, said)
    })?;
    let taken = stripped.join(" ");
    let words = format!("service {service}, groups {groups:?}, without [{taken}]");
    if let Some(user) = &mut setup.user {
        user.groups = groups;
    }
    (setup.session, setup.variables) = (asked.held, Some(asked.variables));
    let mut session = asked.session;
    // Nobody else's number: only what the session says of its own user.
    session.login_uid = session.login_uid.filter(|uid| *uid == account.identity.uid);
    Ok((session, words))
}

/// Asks PAM whether an account may be used, and opens nothing.
///
/// # Errors
/// PAM's refusal, or why it can't be asked.
pub fn check(wanted: &Wanted<'_>, program: &OwnedFd) -> Result<(), Refusal> {
    let order = wanted.order(program.as_raw_fd(), None);
    tessera_pam::ask(&order).map(drop).map_err(|no| match no {
        No::Account(reason) => Refusal::PamAccount { reason },
        No::Session(reason) => Refusal::PamFailed { reason },
    })
}

fn stopped(step: Step, words: String) -> Stopped {
    let failed = Failed { step, errno: 0 };
    Stopped { failed, words }
}
