//! What can be told at submission about a job that no host would run, or that names hosts nobody knows: better then
//! than when somebody wonders.

use super::App;
use super::together::{self, Known};
use std::collections::BTreeSet;
use tessera_engine::supervisor::{Engine, Host, Traits};
use tessera_model::requirements::{Guess, nearest};
use tessera_model::{
    ClusterChoice, HostState, Identity, JobSpec, Reservation, Restriction, UserName,
};

/// The account that no host becomes.
const ROOT: &str = "root";

/// Names that a warning says at most.
const NAMES_SAID: usize = 5;

/// Answers what will keep a job from running as things stand, and names of hosts that nobody knows: nothing when a host
/// would take it, or when none is connected that could tell. It asks the core, and so only for a job of which there is
/// reason to doubt.
pub(super) async fn warnings(app: &App, owner: UserName, spec: &JobSpec) -> Vec<String> {
    let is_picky = !spec.hosts.is_empty() || !spec.omithosts.is_empty();
    let is_grouped = !spec.groups.is_empty() || !spec.omitgroups.is_empty();
    let is_root = owner.as_str() == ROOT;
    let reserves = spec.reservation != Reservation::default();
    let is_kept = spec.restrictions.is_some() || spec.cluster != ClusterChoice::default();
    let asks = spec.requirements.is_some() || spec.host_order.is_some();
    let waits = spec.after.is_some() || spec.max_cpus.is_some();
    let is_asked = reserves || asks || waits || spec.is_gang();
    if !is_picky && !is_grouped && !is_kept && !is_root && !is_asked {
        return Vec::new();
    }
    let spec = spec.clone();
    let found = app.core.read(move |view| {
        let mut said_all = Vec::new();
        if is_picky {
            let known = view.engine.hosts().map(|host| host.facts.name.as_str());
            said_all.extend(of_names(known, &spec.hosts, &spec.omithosts));
        }
        if is_grouped {
            let known: Vec<_> = view.engine.hosts().map(Host::groups).collect();
            said_all.extend(of_groups(&known, &spec.groups, &spec.omitgroups));
        }
        if is_kept {
            let known: Vec<_> = view.engine.hosts().map(Host::traits).collect();
            said_all.extend(of_clusters(
                &known,
                &spec.cluster,
                spec.restrictions.as_ref(),
            ));
        }
        let known = view.engine.hosts().map(|host| Known {
            name: host.facts.name.as_str(),
            traits: host.traits(),
        });
        said_all.extend(together::of_all(known, (&spec).into()));
        said_all.extend(view.engine.wait_warnings(&spec));
        said_all.extend(view.engine.share_warning(&spec));
        said_all.extend(of_requirements(view.engine, &owner, &spec));
        said_all.extend(of_order(view.engine, &spec));
        said_all.extend(of_reservation(view.engine, &spec.reservation));
        let large = reserves.then(|| view.engine.too_large(&spec, &owner));
        let large = large.flatten();
        said_all.extend(large.map(|large| format!("it will wait: {large}")));
        let gang = view.engine.gang_too_large(&spec, &owner);
        said_all.extend(gang.map(|gang| format!("it will wait: {gang}")));
        said_all.extend(of_globals(view.engine, &spec));
        let demands = view.engine.demands_of(&spec, &owner);
        let is_meant = |host: &&Host| host.suits(&demands);
        if is_root && nobody_takes(view.engine, is_meant, owner.as_str()) {
            said_all.push(said(&owner));
        }
        said_all
    });
    // Without an answer the submission itself will say what is wrong.
    found.await.unwrap_or_default()
}

/// Answers what is wrong with what a job reserves of the farm itself.
fn of_globals(engine: &Engine, spec: &JobSpec) -> Vec<String> {
    let unknown = engine.unknown_globals(spec).into_iter();
    let unknown = unknown.map(|(name, meant)| match meant {
        Some(meant) => format!("it will wait: the farm has no {name}; was {meant} meant?"),
        None => format!(
            "it will wait: the farm has no {name}; `tessera resource list` lists what it has"
        ),
    });
    let scarce = engine.scarce_global(spec);
    let scarce = scarce.map(|(name, total, asked)| {
        format!("it will wait: {name} is {total} in all; {asked} asked")
    });
    unknown.chain(scarce).collect()
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

/// Answers what is wrong with the names of groups, given those that each known host is in.
fn of_groups(
    known: &[&BTreeSet<String>],
    groups: &BTreeSet<String>,
    omitgroups: &BTreeSet<String>,
) -> Option<String> {
    let asked = groups.union(omitgroups).map(String::as_str);
    let unknown: BTreeSet<&str> = asked
        .filter(|name| !known.iter().any(|of_host| of_host.contains(*name)))
        .collect();
    let is_left = |of_host: &&BTreeSet<String>| {
        (groups.is_empty() || !groups.is_disjoint(of_host)) && omitgroups.is_disjoint(of_host)
    };
    let is_none_left = !known.iter().any(is_left);
    let waits = is_none_left && !(known.is_empty() && groups.is_empty());
    let what = match (unknown.is_empty(), waits) {
        (true, false) => return None,
        (true, true) => "groups and omitgroups leave none of the known hosts".to_owned(),
        (false, _) => format!("no known host is in a group {}", listed(&unknown)),
    };
    let start = if waits { "it will wait: " } else { "" };
    Some(format!("{start}{what} (worker_groups)"))
}

/// Answers that no known host is in the clusters that a job is restricted to, or takes jobs of its own.
fn of_clusters(
    known: &[&Traits],
    cluster: &ClusterChoice,
    restrictions: Option<&Restriction>,
) -> Option<String> {
    let is_inside = |host: &&&Traits| restrictions.is_none_or(|it| it.admits(&host.cluster));
    let inside: Vec<_> = known.iter().filter(is_inside).collect();
    if let (Some(restrictions), true) = (restrictions, inside.is_empty()) {
        return Some(format!(
            "it will wait: no known host is in a cluster of {restrictions} (worker_cluster)"
        ));
    }
    let is_taken = inside.iter().any(|host| host.takes.admits(cluster));
    (!is_taken && !inside.is_empty()).then(|| {
        format!("it will wait: no known host takes jobs of {cluster} (worker_restrictions)")
    })
}

/// Answers what no known host says that a job asks about, and that none meets it however idle.
fn of_requirements(engine: &Engine, owner: &UserName, spec: &JobSpec) -> Vec<String> {
    let Some(requirement) = &spec.requirements else {
        return Vec::new();
    };
    let unknown = requirement.unknown_operands(|name| is_said(engine, name));
    let mut said_all: Vec<String> = unknown.into_iter().take(NAMES_SAID).map(in_words).collect();
    let unmet = engine.unmet(spec, owner);
    said_all.extend(
        unmet.map(|why| format!("it will wait: no known host meets its requirements; {why}")),
    );
    said_all
}

/// Says whether a host of the farm has a property or resource.
fn is_said(engine: &Engine, name: &str) -> bool {
    engine.hosts().any(|host| {
        host.facts.properties.contains_key(name) || host.facts.resources.contains_key(name)
    })
}

fn in_words(guess: Guess) -> String {
    let meant = guess.nearest.map(|name| format!("; did you mean {name}?"));
    let meant = meant.unwrap_or_default();
    format!("no known host has {}{meant}", guess.operand)
}

/// Answers by what a job orders hosts that no known host has: it would order nothing.
fn of_order(engine: &Engine, spec: &JobSpec) -> Vec<String> {
    let Some(order) = spec
        .host_order
        .as_ref()
        .filter(|_| engine.hosts().next().is_some())
    else {
        return Vec::new();
    };
    let unknown = order.unknown_operands(|name| is_said(engine, name));
    let said = unknown.into_iter().take(NAMES_SAID);
    said.map(|guess| format!("the host order: {}", in_words(guess)))
        .collect()
}

/// Answers what a job reserves that no known host has, when a name that hosts have is near.
fn of_reservation(engine: &Engine, reservation: &Reservation) -> Vec<String> {
    let asked = reservation.amounts.keys();
    let had: BTreeSet<&str> = engine
        .hosts()
        .flat_map(|host| host.facts.resources.keys())
        .map(String::as_str)
        .collect();
    let unknown = asked.filter(|name| !had.contains(name.as_str()));
    let near = |name: &String| {
        let known = had
            .iter()
            .copied()
            .chain(["host.processors", "host.memory"]);
        let near = nearest(name, known.filter(|it| *it != name))?;
        Some(format!("no known host has {name}; did you mean {near}?"))
    };
    unknown.filter_map(near).take(NAMES_SAID).collect()
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
    use tessera_model::host::Takes;

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

    #[test]
    fn groups_that_nobody_is_in_are_told_and_whether_any_host_is_left() {
        let set = |names: &[&str]| -> BTreeSet<String> {
            names.iter().map(|name| (*name).to_owned()).collect()
        };
        let (gpu, both, none) = (set(&["gpu"]), set(&["gpu", "linux"]), set(&[]));
        let known = [&gpu, &both, &none];
        let said = |known: &[&BTreeSet<String>], groups: &[&str], omitgroups: &[&str]| {
            of_groups(known, &set(groups), &set(omitgroups))
        };
        assert_eq!(said(&known, &["gpu"], &["linux"]), None);
        assert_eq!(said(&known, &[], &["gpu"]), None);
        assert_eq!(
            said(&known, &["fast"], &[]).as_deref(),
            Some("it will wait: no known host is in a group fast (worker_groups)")
        );
        assert_eq!(
            said(&known, &["gpu", "fast"], &[]).as_deref(),
            Some("no known host is in a group fast (worker_groups)")
        );
        assert_eq!(
            said(&known, &["linux"], &["gpu"]).as_deref(),
            Some(
                "it will wait: groups and omitgroups leave none of the known hosts (worker_groups)"
            )
        );
        assert!(said(&[], &[], &["gpu"]).is_some_and(|said| said.starts_with("no known")));
    }

    #[test]
    fn clusters_that_no_host_is_in_or_takes_are_told() {
        let host = |cluster: &str, takes: &str| Traits {
            cluster: cluster.parse().expect("a cluster"),
            takes: if takes.is_empty() {
                Takes::All
            } else {
                Takes::Those(takes.parse().expect("a restriction"))
            },
            ..Traits::default()
        };
        let (a, b) = (host("/a", "/a"), host("/b", "/b/+"));
        let said = |cluster: &str, restrictions: &str| {
            let restrictions = restrictions.parse().ok();
            let cluster = cluster.parse().expect("clusters");
            of_clusters(&[&a, &b], &cluster, restrictions.as_ref())
        };
        assert_eq!(said("/a", ""), None);
        assert_eq!(said("/b/x", "/a || /b"), None);
        assert_eq!(
            said("/c", "").as_deref(),
            Some("it will wait: no known host takes jobs of /c (worker_restrictions)")
        );
        assert!(said("/a", "/b").is_some(), "that one takes others only");
        assert_eq!(
            said("/a", "/c/*").as_deref(),
            Some("it will wait: no known host is in a cluster of /c/* (worker_cluster)")
        );
        let any = "/c".parse().expect("clusters");
        assert_eq!(of_clusters(&[], &any, None), None, "a farm without hosts");
    }
}
