//! What can be told at submission about a job that no host would run, or that names hosts nobody knows: better then
//! than when somebody wonders.

use super::App;
use std::collections::BTreeSet;
use tessera_engine::supervisor::{Engine, Host};
use tessera_model::{HostState, Identity, JobSpec, Reservation, UserName};

/// The account that no host becomes.
const ROOT: &str = "root";

/// Names that a warning says at most.
const NAMES_SAID: usize = 5;

/// Answers what will keep a job from running as things stand, and names of hosts that nobody knows: nothing when a host
/// would take it, or when none is connected that could tell. It asks the core, and so only for a job of which there is
/// reason to doubt.
pub(super) async fn warnings(app: &App, owner: UserName, spec: &JobSpec) -> Vec<String> {
    let (hosts, omithosts) = (spec.hosts.clone(), spec.omithosts.clone());
    let (is_picky, is_root) = (
        !hosts.is_empty() || !omithosts.is_empty(),
        owner.as_str() == ROOT,
    );
    let reserves = spec.reservation != Reservation::default();
    if !is_picky && !is_root && !reserves {
        return Vec::new();
    }
    let reserving = reserves.then(|| spec.clone());
    let found = app.core.read(move |view| {
        let mut said_all = Vec::new();
        if is_picky {
            let known = view.engine.hosts().map(|host| host.facts.name.as_str());
            said_all.extend(of_names(known, &hosts, &omithosts));
        }
        let large = reserving.and_then(|spec| view.engine.too_large(&spec));
        said_all.extend(large.map(|large| format!("it will wait: {large}")));
        let is_meant = |host: &&Host| is_left(&host.facts.name, &hosts, &omithosts);
        if is_root && nobody_takes(view.engine, is_meant, owner.as_str()) {
            said_all.push(said(&owner));
        }
        said_all
    });
    // Without an answer the submission itself will say what is wrong.
    found.await.unwrap_or_default()
}

fn is_left(name: &str, hosts: &BTreeSet<String>, omithosts: &BTreeSet<String>) -> bool {
    (hosts.is_empty() || hosts.contains(name)) && !omithosts.contains(name)
}

/// Answers what is wrong with the names of hosts, given those that the farm knows.
fn of_names<'a>(
    known: impl Iterator<Item = &'a str>,
    hosts: &BTreeSet<String>,
    omithosts: &BTreeSet<String>,
) -> Option<String> {
    let known: BTreeSet<&str> = known.collect();
    let unknown: BTreeSet<&str> = hosts
        .union(omithosts)
        .map(String::as_str)
        .filter(|name| !known.contains(name))
        .collect();
    let is_none_left = !known.iter().any(|name| is_left(name, hosts, omithosts));
    // A farm without hosts leaves none to any job: nothing to say of a list of those to leave out.
    let waits = is_none_left && !(known.is_empty() && hosts.is_empty());
    let what = match (unknown.is_empty(), waits) {
        (true, false) => return None,
        (true, true) => "hosts and omithosts leave none of the known hosts".to_owned(),
        (false, _) => format!("no known host is named {}", listed(&unknown)),
    };
    let start = if waits { "it will wait: " } else { "" };
    Some(format!("{start}{what}; `tessera hosts` lists them"))
}

/// Prints names, the first of them when there are many.
fn listed(names: &BTreeSet<&str>) -> String {
    let first: Vec<&str> = names.iter().copied().take(NAMES_SAID).collect();
    match names.len().saturating_sub(NAMES_SAID) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

fn said(owner: &UserName) -> String {
    format!(
        "it will wait: no connected host runs jobs as {owner}; submit as an ordinary user, or have a host in mode proxy"
    )
}

fn nobody_takes(engine: &Engine, is_meant: impl Fn(&&Host) -> bool, owner: &str) -> bool {
    let mut up = engine
        .hosts()
        .filter(|host| matches!(host.state, HostState::Up))
        .filter(is_meant)
        .peekable();
    up.peek().is_some() && up.all(|host| refuses(host, owner))
}

fn refuses(host: &Host, owner: &str) -> bool {
    let identity = &host.facts.identity;
    let account = identity.account_for(owner);
    let is_root = matches!(identity, Identity::User) && account == ROOT;
    is_root || !host.facts.admits(owner) || host.refusals().any(|(refused, _)| refused == account)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said_of(known: &[&str], hosts: &[&str], omithosts: &[&str]) -> Option<String> {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        of_names(known.iter().copied(), &set(hosts), &set(omithosts))
    }

    #[test]
    fn names_that_nobody_knows_are_told_and_whether_any_host_is_left() {
        let known = ["rnd1", "rnd2"];
        for (hosts, omithosts) in [(&["rnd1"][..], &[][..]), (&[], &["rnd1"])] {
            assert_eq!(said_of(&known, hosts, omithosts), None);
        }
        assert_eq!(said_of(&[], &[], &[]), None);
        let cases = [
            (
                said_of(&known, &["nohost"], &[]),
                "it will wait: no known host is named nohost; `tessera hosts` lists them",
            ),
            (
                said_of(&[], &["rnd1"], &[]),
                "it will wait: no known host is named rnd1; `tessera hosts` lists them",
            ),
            (
                said_of(&known, &["nohost", "rnd1"], &[]),
                "no known host is named nohost; `tessera hosts` lists them",
            ),
            (
                said_of(&[], &[], &["nohost"]),
                "no known host is named nohost; `tessera hosts` lists them",
            ),
            (
                said_of(&known, &["rnd1"], &["rnd1"]),
                "it will wait: hosts and omithosts leave none of the known hosts; `tessera hosts` lists them",
            ),
            (
                said_of(&known, &["a", "b", "c", "d", "e", "f", "g"], &[]),
                "it will wait: no known host is named a, b, c, d, e and 2 more; `tessera hosts` lists them",
            ),
        ];
        for (said, expected) in cases {
            assert_eq!(said.as_deref(), Some(expected));
        }
    }
}
