//! Names of hosts, groups and clusters judged together: each may leave some hosts, and all of them none. What is told is
//! the host that the least would have to be changed for.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use tessera_engine::supervisor::Traits;
use tessera_model::host::Takes;
use tessera_model::{ClusterChoice, JobSpec, Restriction};

/// A host, by what a job may say of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Its groups and clusters.
    pub(super) traits: &'a Traits,
}

/// What a job says of hosts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    hosts: &'a BTreeSet<String>,
    omithosts: &'a BTreeSet<String>,
    groups: &'a BTreeSet<String>,
    omitgroups: &'a BTreeSet<String>,
    cluster: &'a ClusterChoice,
    restrictions: Option<&'a Restriction>,
}

impl<'a> From<&'a JobSpec> for Asked<'a> {
    fn from(spec: &'a JobSpec) -> Self {
        Self {
            hosts: &spec.hosts,
            omithosts: &spec.omithosts,
            groups: &spec.groups,
            omitgroups: &spec.omitgroups,
            cluster: &spec.cluster,
            restrictions: spec.restrictions.as_ref(),
        }
    }
}

/// What of a job keeps it off a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Bar {
    Hosts,
    Omithosts,
    Groups,
    Omitgroups,
    Restrictions,
    Cluster,
}

/// What is said of hosts by one kind of name; what this alone leaves no host of is told elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Facet {
    Names,
    Groups,
    Clusters,
}

impl Bar {
    fn facet(self) -> Facet {
        match self {
            Self::Hosts | Self::Omithosts => Facet::Names,
            Self::Groups | Self::Omitgroups => Facet::Groups,
            Self::Restrictions | Self::Cluster => Facet::Clusters,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Hosts => "hosts",
            Self::Omithosts => "omithosts",
            Self::Groups => "groups",
            Self::Omitgroups => "omitgroups",
            Self::Restrictions => "restrictions",
            Self::Cluster => "cluster",
        }
    }

    /// Says what would have to be changed for a host.
    fn change(self, asked: Asked<'_>, host: Known<'_>) -> String {
        let (name, groups, cluster) = (host.name, &host.traits.groups, &host.traits.cluster);
        match self {
            Self::Hosts => format!("add {name} to hosts"),
            Self::Omithosts => format!("take {name} out of omithosts"),
            Self::Groups => match groups.first() {
                Some(group) => format!("add {group} to groups"),
                None => "leave groups out (it is in none)".to_owned(),
            },
            Self::Omitgroups => {
                let shared: Vec<&str> = asked
                    .omitgroups
                    .intersection(groups)
                    .map(String::as_str)
                    .collect();
                format!("take {} out of omitgroups", shared.join(" and "))
            }
            Self::Restrictions => format!("add || {cluster} to restrictions"),
            Self::Cluster => match &host.traits.takes {
                Takes::Those(takes) => {
                    format!(
                        "submit to a cluster that it takes: {takes} (now {})",
                        asked.cluster
                    )
                }
                Takes::All | Takes::Nothing => {
                    "mend its worker_restrictions, which can't be read".to_owned()
                }
            },
        }
    }
}

/// Answers what keeps a job off a host, of what is said of names, groups and clusters.
fn bars(asked: Asked<'_>, host: Known<'_>) -> Vec<Bar> {
    let (name, traits) = (host.name, host.traits);
    let restrictions = asked.restrictions;
    let all = [
        (
            Bar::Hosts,
            asked.hosts.is_empty() || asked.hosts.contains(name),
        ),
        (Bar::Omithosts, !asked.omithosts.contains(name)),
        (
            Bar::Groups,
            asked.groups.is_empty() || !asked.groups.is_disjoint(&traits.groups),
        ),
        (
            Bar::Omitgroups,
            asked.omitgroups.is_disjoint(&traits.groups),
        ),
        (
            Bar::Restrictions,
            restrictions.is_none_or(|it| it.admits(&traits.cluster)),
        ),
        (Bar::Cluster, traits.takes.admits(asked.cluster)),
    ];
    let closed = all.into_iter().filter(|(_, is_open)| !is_open);
    closed.map(|(bar, _)| bar).collect()
}

/// Answers that names, groups and clusters leave no known host together, though each alone leaves some, and what the least
/// change is.
pub(super) fn of_all<'a>(
    known: impl Iterator<Item = Known<'a>>,
    asked: Asked<'_>,
) -> Option<String> {
    let judged: Vec<(Known<'_>, Vec<Bar>)> = known.map(|host| (host, bars(asked, host))).collect();
    let is_told = |facet: Facet| {
        let is_barred = |bars: &[Bar]| bars.iter().any(|bar| bar.facet() == facet);
        judged.iter().all(|(_, bars)| is_barred(bars))
    };
    if [Facet::Names, Facet::Groups, Facet::Clusters]
        .into_iter()
        .any(is_told)
    {
        return None;
    }
    // Who names a host means it: rather the rest is changed than that.
    let ease = |(host, bars): &&(Known<'_>, Vec<Bar>)| {
        (
            bars.len(),
            Reverse(bars.first().copied()),
            host.name.to_owned(),
        )
    };
    let (nearest, kept_off) = judged.iter().min_by_key(ease)?;
    if kept_off.is_empty() {
        return None;
    }
    let met: BTreeSet<Bar> = judged.iter().flat_map(|(_, bars)| bars).copied().collect();
    let words: Vec<&str> = met.into_iter().map(Bar::word).collect();
    let changes: Vec<String> = kept_off
        .iter()
        .map(|bar| bar.change(asked, *nearest))
        .collect();
    Some(format!(
        "it will wait: {} leave none of the known hosts together; nearest is {}: {}",
        words.join(", "),
        nearest.name,
        changes.join(", and ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traits(groups: &[&str], cluster: &str, takes: &str) -> Traits {
        Traits {
            groups: groups.iter().map(|name| (*name).to_owned()).collect(),
            cluster: cluster.parse().expect("a cluster"),
            takes: if takes.is_empty() {
                Takes::All
            } else {
                Takes::Those(takes.parse().expect("a restriction"))
            },
            ..Traits::default()
        }
    }

    /// What a job says.
    #[derive(Default)]
    struct Words {
        hosts: BTreeSet<String>,
        omithosts: BTreeSet<String>,
        groups: BTreeSet<String>,
        omitgroups: BTreeSet<String>,
        cluster: ClusterChoice,
        restrictions: Option<Restriction>,
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn said(hosts: &[(&str, Traits)], words: &Words) -> Option<String> {
        let known = hosts.iter().map(|(name, traits)| Known { name, traits });
        let asked = Asked {
            hosts: &words.hosts,
            omithosts: &words.omithosts,
            groups: &words.groups,
            omitgroups: &words.omitgroups,
            cluster: &words.cluster,
            restrictions: words.restrictions.as_ref(),
        };
        of_all(known, asked)
    }

    #[test]
    fn what_names_groups_and_clusters_leave_together_is_told_with_the_least_change() {
        let hosts = [
            ("rnd1", traits(&["linux"], "/a", "")),
            ("rnd2", traits(&["gpu", "linux"], "/b", "/b")),
            ("rnd3", traits(&[], "/b", "")),
        ];
        let spec = |hosts: &[&str], groups: &[&str], restrictions: &str| Words {
            hosts: set(hosts),
            groups: set(groups),
            restrictions: restrictions.parse().ok(),
            ..Words::default()
        };
        let cases = [
            (spec(&["rnd1"], &["linux"], "/a"), None),
            (
                spec(&["rnd1"], &["gpu"], ""),
                Some(
                    "hosts, groups, cluster leave none of the known hosts together; nearest is rnd1: add linux to groups",
                ),
            ),
            (
                spec(&["rnd3"], &["gpu"], ""),
                Some("nearest is rnd3: leave groups out (it is in none)"),
            ),
            // All would need two changes; who names a host means it.
            (
                spec(&["rnd1"], &["gpu"], "/b"),
                Some("nearest is rnd1: add linux to groups, and add || /a to restrictions"),
            ),
            (
                spec(&["rnd1"], &[], "/b"),
                Some("nearest is rnd1: add || /a to restrictions"),
            ),
            // One kind alone leaves none: told elsewhere.
            (spec(&["nohost"], &["gpu"], ""), None),
            (spec(&["rnd1"], &["fast"], ""), None),
        ];
        for (spec, expected) in cases {
            let said = said(&hosts, &spec);
            match expected {
                None => assert_eq!(said, None),
                Some(part) => {
                    let said = said.unwrap_or_default();
                    assert!(
                        said.starts_with("it will wait: ") && said.contains(part),
                        "{said}"
                    );
                }
            }
        }
        assert_eq!(said(&[], &spec(&["rnd1"], &["gpu"], "")), None, "no hosts");
    }

    #[test]
    fn what_is_left_out_is_judged_with_the_rest() {
        let hosts = [
            ("rnd1", traits(&["gpu"], "/", "")),
            ("rnd2", traits(&["gpu", "old"], "/", "")),
        ];
        let spec = Words {
            omithosts: set(&["rnd1"]),
            omitgroups: set(&["old"]),
            ..Words::default()
        };
        let said = said(&hosts, &spec).expect("none is left");
        assert!(said.contains("omithosts, omitgroups leave none"), "{said}");
        assert!(said.ends_with("rnd2: take old out of omitgroups"), "{said}");
    }
}
