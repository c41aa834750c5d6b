//! What a host lets be done, by its policy: whom a ticket may name, and what the launcher says of the host.

use tessera_ticket::launcher::Capabilities;
use tessera_ticket::{AccountName, Mode, ProxyAccount, Refusal, Ticket};

use crate::account::{Found, judge};
use crate::policy::Policy;

/// Whom a ticket asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked<'a> {
    /// This account.
    Named(AccountName),
    /// Any account of a slot, of the launcher's choice.
    Slot(&'a ProxyAccount),
}

/// Says whom a ticket asks for, if its mode and its account go with the policy.
///
/// # Errors
/// [`Refusal::SlotsWithoutGroups`], [`Refusal::NameInvalid`], [`Refusal::ModeNotAllowed`], [`Refusal::ProxyMismatch`].
pub fn asked<'a>(
    ticket: &Ticket,
    policy: &'a Policy,
    has_groups: bool,
) -> Result<Asked<'a>, Refusal> {
    let is_proxy = ticket.mode == Mode::Proxy;
    let proxy = policy.proxy_account.as_ref();
    let slots = proxy.filter(|it| matches!(it, ProxyAccount::PerSlot { .. }));
    // The one text that is no name: an account of the launcher's choice.
    let slots = slots.filter(|it| is_proxy && it.to_string() == ticket.account);
    if slots.is_some() && !has_groups {
        return Err(Refusal::SlotsWithoutGroups);
    }
    let asked = match (slots, ticket.account.parse()) {
        (Some(slots), _) => Asked::Slot(slots),
        (None, Ok(name)) => Asked::Named(name),
        (None, Err(_)) => return Err(Refusal::NameInvalid),
    };
    if !policy.allows(ticket.mode) {
        let mode = ticket.mode.name();
        return Err(Refusal::ModeNotAllowed { mode });
    }
    let is_other = match (&asked, proxy) {
        (Asked::Named(name), Some(ProxyAccount::One(one))) => one != name,
        (Asked::Named(_), _) => true,
        (Asked::Slot(_), _) => false,
    };
    if is_proxy && is_other {
        let proxy = proxy.map_or_else(|| "not set".to_owned(), ToString::to_string);
        return Err(Refusal::ProxyMismatch { proxy });
    }
    Ok(asked)
}

/// Says what a host with this policy can do, but for its containment; `proxy` is what the user directory says of the proxy
/// account, or of the first one of slots.
pub fn capabilities(
    policy: &Policy,
    daemons: &[u32],
    proxy: Result<&Found, &Refusal>,
    wall_ms: u64,
) -> Capabilities {
    let name = policy.proxy_account.as_ref();
    let judged = name.map(|name| {
        let name = name.of_slot(1).ok_or(Refusal::NameInvalid)?;
        let found = proxy.map_err(Clone::clone)?;
        judge(found, &name, Mode::Proxy, policy, daemons, wall_ms)
    });
    let (proxy_uid, proxy_problem) = match judged {
        Some(Ok(account)) => (Some(account.identity.uid), String::new()),
        Some(Err(refusal)) => (None, refusal.code().to_owned()),
        None => (None, "not set".to_owned()),
    };
    Capabilities {
        modes: policy.modes.iter().map(|it| it.name().to_owned()).collect(),
        proxy_account: name.map(ToString::to_string).unwrap_or_default(),
        proxy_uid,
        proxy_problem,
        uid_min: policy.uid_min,
        no_new_privs: policy.no_new_privs,
        ..Capabilities::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_ticket::{Digest, KernelLimits, LaunchKey};

    fn asked_in(
        policy: &str,
        mode: Mode,
        account: &str,
        has_groups: bool,
    ) -> Result<String, Refusal> {
        let ticket = Ticket {
            farm: [0; 16],
            host: [0; 16],
            key: LaunchKey {
                job: 1,
                instance: 0,
                launch: 1,
            },
            principal: String::new(),
            proven: String::new(),
            mode,
            account: account.into(),
            items: Vec::new(),
            template: Digest([0; 32]),
            not_before_ms: 0,
            expires_ms: 0,
            nonce: [1; 16],
            limits: KernelLimits::default(),
        };
        let policy = Policy::parse(policy).expect("a policy");
        asked(&ticket, &policy, has_groups).map(|it| match it {
            Asked::Named(name) => name.to_string(),
            Asked::Slot(slots) => slots.to_string(),
        })
    }

    #[test]
    fn whom_a_ticket_may_ask_for() {
        let mismatch = |proxy: &str| {
            let proxy = proxy.to_owned();
            Err(Refusal::ProxyMismatch { proxy })
        };
        let not_allowed = |mode| Err(Refusal::ModeNotAllowed { mode });
        let slots = "proxy_account = job{slot}";
        for (policy, mode, account, expected) in [
            ("", Mode::User, "mia", Ok("mia".to_owned())),
            ("", Mode::User, "0", Err(Refusal::NameInvalid)),
            ("modes = proxy", Mode::User, "mia", not_allowed("user")),
            ("", Mode::Desktop, "mia", not_allowed("desktop")),
            (
                "proxy_account = job",
                Mode::Proxy,
                "job",
                Ok("job".to_owned()),
            ),
            ("proxy_account = job", Mode::Proxy, "mia", mismatch("job")),
            ("proxy_account =", Mode::Proxy, "mia", mismatch("not set")),
            (
                "modes = user",
                Mode::Proxy,
                "tessera-job",
                not_allowed("proxy"),
            ),
            (slots, Mode::Proxy, "job{slot}", Ok("job{slot}".to_owned())),
            (slots, Mode::Proxy, "job1", mismatch("job{slot}")),
            (slots, Mode::Proxy, "other{slot}", Err(Refusal::NameInvalid)),
            (slots, Mode::User, "job{slot}", Err(Refusal::NameInvalid)),
        ] {
            let found = asked_in(policy, mode, account, true);
            assert_eq!(found, expected, "{policy} {mode:?} {account}");
        }
        let found = asked_in(slots, Mode::Proxy, "job{slot}", false);
        assert_eq!(found, Err(Refusal::SlotsWithoutGroups));
    }

    #[test]
    fn what_a_host_says_of_its_proxy_account() {
        let job = Found {
            name: "job".into(),
            name_of_uid: "job".into(),
            uid: 990,
            gid: 990,
            shell: "/usr/sbin/nologin".into(),
            ..Found::default()
        };
        let said = |policy: &str, proxy: Result<&Found, &Refusal>| {
            let policy = Policy::parse(policy).expect("a policy");
            let what = capabilities(&policy, &[997], proxy, 0);
            (what.proxy_account, what.proxy_uid, what.proxy_problem)
        };
        let policy = "proxy_account = job";
        let is = |uid, problem: &str| ("job".to_owned(), uid, problem.to_owned());
        assert_eq!(said(policy, Ok(&job)), is(Some(990), ""));
        let of_daemon = Found {
            uid: 997,
            ..job.clone()
        };
        assert_eq!(said(policy, Ok(&of_daemon)), is(None, "reserved_account"));
        let none = said(policy, Err(&Refusal::NoSuchAccount));
        assert_eq!(none, is(None, "no_such_account"));
        assert_eq!(said("proxy_account =", Ok(&job)).2, "not set");
    }
}
