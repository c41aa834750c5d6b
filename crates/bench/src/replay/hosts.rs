//! The hosts of the farm: what they have, when they were there, and what if there were more of them.

use super::options::HostsChange;
use super::{KeptHost, ReplayError, Span};
use crate::plan::HOSTS_AT_MS;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tessera_engine::supervisor::{HostImage, kind};
use tessera_model::host::{CLUSTER_PROPERTY, GROUPS_PROPERTY, RESTRICTIONS_PROPERTY};
use tessera_model::reservation::MEMORY;
use tessera_model::{HostFacts, HostId, Lock, LockCalendar, Timestamp};
use tessera_store::HistoryRow;

/// A host that was there.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) id: HostId,
    facts: Arc<HostFacts>,
    moves: Vec<(u64, bool)>,
    pub(super) lock: Option<Lock>,
    pub(super) calendar: Option<LockCalendar>,
}

impl Seen {
    pub(super) fn name(&self) -> &str {
        &self.facts.name
    }

    pub(super) fn kept(self) -> KeptHost {
        KeptHost {
            facts: self.facts,
            moves: self.moves,
        }
    }

    /// Adds up how long it was there before `end_ms` of the replay, in milliseconds.
    fn up_ms(&self, end_ms: u64) -> u64 {
        let mut since = None;
        let mut sum = 0;
        for (at_ms, is_up) in &self.moves {
            let at_ms = (*at_ms).min(end_ms);
            match (is_up, since) {
                (true, None) => since = Some(at_ms),
                (false, Some(from)) => {
                    sum += at_ms - from;
                    since = None;
                }
                _ => {}
            }
        }
        sum + since.map_or(0, |from| end_ms.saturating_sub(from))
    }
}

/// Reads when each host was there. Who never came in the span is left out.
pub(super) fn read(
    hosts: Vec<HostImage>,
    joined: &BTreeMap<HostId, Timestamp>,
    lines: &[HistoryRow],
    span: Span,
) -> Vec<Seen> {
    let mut told: BTreeMap<HostId, Vec<(i64, bool)>> = BTreeMap::new();
    for line in lines {
        let is_up = match line.row.kind.as_str() {
            kind::HOST_UP => true,
            kind::HOST_AWAY | kind::HOST_DOWN | kind::HOST_PANIC => false,
            _ => continue,
        };
        if let Some(host) = line.row.host {
            let moves = told.entry(HostId(host)).or_default();
            moves.push((line.row.at_ms, is_up));
        }
    }
    let mut seen: Vec<Seen> = Vec::new();
    for host in hosts {
        let told = told.remove(&host.id).unwrap_or_default();
        let joined = joined.get(&host.id).map_or(i64::MIN, |at| at.0);
        let moves = moves(&told, joined, span);
        if moves.iter().any(|(_, is_up)| *is_up) {
            seen.push(Seen {
                id: host.id,
                facts: Arc::new(plain(host.facts)),
                moves,
                lock: host.lock,
                calendar: host.calendar,
            });
        }
    }
    seen.sort_by(|a, b| a.name().cmp(b.name()));
    seen
}

/// Leaves away what was of one moment, or between the worker and its supervisor.
fn plain(facts: HostFacts) -> HostFacts {
    HostFacts {
        presence: None,
        panic: None,
        settings: None,
        ..facts
    }
}

/// Answers when it came and went; what was before the span is how it begins.
fn moves(told: &[(i64, bool)], joined_ms: i64, span: Span) -> Vec<(u64, bool)> {
    let before = told
        .iter()
        .rev()
        .find(|(at_ms, _)| *at_ms <= span.from_ms)
        .map(|(_, is_up)| *is_up);
    // Nothing is told of before: old lines are forgotten. Who has joined and goes away later was there.
    let first_is_away = told.first().is_none_or(|(_, is_up)| !is_up);
    let is_up = before.unwrap_or(joined_ms <= span.from_ms && first_is_away);
    let mut is_up_now = false;
    let mut moves = Vec::new();
    let later = told.iter().filter(|(at_ms, _)| *at_ms > span.from_ms);
    for (at_ms, is_up) in [(span.from_ms, is_up)].iter().chain(later) {
        if *is_up != is_up_now {
            is_up_now = *is_up;
            moves.push((span.at(*at_ms), is_up_now));
        }
    }
    moves
}

/// Adds up the slot time that the hosts offered until `end_ms` (since 1970).
pub(super) fn offered_ms(hosts: &[Seen], span: Span, end_ms: i64) -> u64 {
    let end_ms = span.at(end_ms);
    let each = hosts
        .iter()
        .map(|host| host.up_ms(end_ms) * u64::from(host.facts.slots));
    each.sum()
}

/// What hosts are alike by: slots, memory in GiB, and where they belong.
type Kind = (u32, u64, Vec<Option<String>>);

fn kind_of(facts: &HostFacts) -> Kind {
    let memory = facts.resources.get(MEMORY).copied().unwrap_or(0);
    let belongs = [
        "host.os",
        CLUSTER_PROPERTY,
        RESTRICTIONS_PROPERTY,
        GROUPS_PROPERTY,
    ];
    let belongs = belongs.map(|it| facts.properties.get(it).cloned());
    (facts.slots, memory.div_ceil(1024), belongs.to_vec())
}

/// Adds hosts of the commonest kind, or takes some away; says so.
pub(super) fn change(hosts: &mut Vec<Seen>, by: HostsChange) -> Result<String, ReplayError> {
    let were = hosts.len();
    let mut kinds: BTreeMap<Kind, Vec<usize>> = BTreeMap::new();
    for (place, host) in hosts.iter().enumerate() {
        let alike = kinds.entry(kind_of(&host.facts)).or_default();
        alike.push(place);
    }
    // Of two kinds of as many hosts it is the one whose first name comes first.
    let commonest = kinds
        .into_values()
        .max_by_key(|places| (places.len(), std::cmp::Reverse(places.first().copied())));
    let places = commonest.unwrap_or_default();
    let first = places.first().map(|place| Arc::clone(&hosts[*place].facts));
    let (Some(first), count) = (first, usize::try_from(by.0.unsigned_abs()).unwrap_or(0)) else {
        return Ok(format!("hosts: {were}"));
    };
    match by.0 {
        0 => return Ok(format!("hosts: the same {were}")),
        1.. => {
            let names: BTreeSet<String> = hosts.iter().map(|it| it.name().to_owned()).collect();
            let free = (1_u32..).map(|n| format!("replay{n:04}"));
            let free = free.filter(|name| !names.contains(name)).take(count);
            let more: Vec<Seen> = free.map(|name| like(&first, name)).collect();
            hosts.extend(more);
        }
        _ if count >= hosts.len() || count > places.len() => {
            let (name, alike) = (&first.name, places.len());
            return Err(ReplayError::Asked(format!(
                "--hosts {by}: the farm has {were} hosts, {alike} of them like {name}, and one must be left"
            )));
        }
        _ => {
            let go: BTreeSet<usize> = places.iter().rev().take(count).copied().collect();
            let mut place = 0;
            hosts.retain(|_| {
                place += 1;
                !go.contains(&(place - 1))
            });
        }
    }
    Ok(format!(
        "hosts: {} ({by} like {}: {} slots), were {were}",
        hosts.len(),
        first.name,
        first.slots
    ))
}

/// Makes a host like another, there from the beginning.
fn like(facts: &HostFacts, name: String) -> Seen {
    Seen {
        id: HostId([0; 16]),
        facts: Arc::new(HostFacts {
            name,
            ..facts.clone()
        }),
        moves: vec![(HOSTS_AT_MS, true)],
        lock: None,
        calendar: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Span = Span {
        from_ms: 1_000,
        to_ms: 9_000,
    };

    fn seen(name: &str, slots: u32) -> Seen {
        let facts = HostFacts {
            slots,
            ..HostFacts::default()
        };
        like(&facts, name.to_owned())
    }

    #[test]
    fn a_host_is_there_as_the_journal_tells() {
        let at = |ms| SPAN.at(ms);
        // Up before, away, back; a second up while it is there says nothing new.
        let told = [(500, true), (2_000, false), (3_000, true), (4_000, true)];
        let expected = [(at(1_000), true), (at(2_000), false), (at(3_000), true)];
        assert_eq!(moves(&told, 0, SPAN), expected);
        // It came later.
        assert_eq!(moves(&[(2_000, true)], 1_500, SPAN), [(at(2_000), true)]);
        // What was before is forgotten.
        assert_eq!(moves(&[], 0, SPAN), [(at(1_000), true)]);
        let gone = [(at(1_000), true), (at(2_000), false)];
        assert_eq!(moves(&[(2_000, false)], 0, SPAN), gone);
        // It had gone before, and stayed away.
        assert_eq!(moves(&[(100, true), (900, false)], 0, SPAN), []);
    }

    #[test]
    fn what_hosts_offered_is_the_time_that_they_were_there() {
        let mut host = seen("a", 4);
        host.moves = moves(&[(500, true), (2_000, false), (3_000, true)], 0, SPAN);
        assert_eq!(offered_ms(&[host], SPAN, 5_000), 4 * 3_000);
    }

    #[test]
    fn hosts_are_added_and_taken_of_the_commonest_kind() {
        let farm = || {
            vec![
                seen("a", 8),
                seen("b", 4),
                seen("c", 4),
                seen("replay0001", 2),
            ]
        };
        let names = |hosts: &[Seen]| -> Vec<String> {
            hosts.iter().map(|it| it.name().to_owned()).collect()
        };
        let mut hosts = farm();
        let said = change(&mut hosts, HostsChange(2)).expect("they are added");
        assert_eq!(said, "hosts: 6 (+2 like b: 4 slots), were 4");
        assert_eq!(names(&hosts)[4..], ["replay0002", "replay0003"]);
        assert!(hosts[4..].iter().all(|host| host.facts.slots == 4));
        let mut hosts = farm();
        change(&mut hosts, HostsChange(-1)).expect("one is taken");
        assert_eq!(names(&hosts), ["a", "b", "replay0001"]);
        let refused = change(&mut farm(), HostsChange(-3)).expect_err("there are two");
        let said = refused.to_string();
        assert!(said.contains("2 of them like b"), "{said}");
        let mut one = vec![seen("a", 8)];
        assert!(change(&mut one, HostsChange(-1)).is_err());
    }
}
