//! Who of those that stand lower leaves a host: the fewest that make room enough, of those the lowest, of those the cheapest.

use super::Standing;
use std::cmp::Reverse;

/// Somebody who could leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate<T> {
    /// Who.
    pub(super) who: T,
    /// What it would give back of each thing that is wanted.
    pub(super) gives: Vec<u64>,
    /// Where it stands on that host.
    pub(super) standing: Standing,
    /// What it costs to let it go, in no unit.
    pub(super) cost: u64,
}

/// What a choice is judged by; the least is the best.
pub(super) type Price = (usize, Reverse<Standing>, u64);

/// Answers who leaves so that so much more of each thing is there, and the price; nothing when all together are not enough.
///
/// Each of them is needed for it. One that is enough alone is always found; among several, two orders are tried: the lowest
/// first, and who gives most first.
pub(super) fn pick<T: Clone>(
    short: &[u64],
    candidates: Vec<Candidate<T>>,
) -> Option<(Vec<Candidate<T>>, Price)> {
    let mut all = candidates;
    all.retain(|it| is_of_use(short, it));
    all.sort_by_key(|it| (Reverse(it.standing), it.cost));
    let lowest = least(short, &all)?;
    // Who gives most first; of those that give as much, the order from before.
    all.sort_by_key(|it| Reverse(part_of(short, &it.gives)));
    let largest = least(short, &all)?;
    let lowest = (price(&lowest), lowest);
    let largest = (price(&largest), largest);
    let (price, chosen) = if largest.0 < lowest.0 {
        largest
    } else {
        lowest
    };
    Some((chosen, price))
}

fn price<T>(chosen: &[Candidate<T>]) -> Price {
    // Who stands highest of them is who is wronged most.
    let highest = chosen.iter().map(|it| it.standing).min();
    let cost = chosen
        .iter()
        .fold(0_u64, |sum, it| sum.saturating_add(it.cost));
    (
        chosen.len(),
        Reverse(highest.unwrap_or(Standing::LOWEST)),
        cost,
    )
}

/// Takes of these in their order until it is enough, then leaves out who is not needed, the last first.
fn least<T: Clone>(short: &[u64], order: &[Candidate<T>]) -> Option<Vec<Candidate<T>>> {
    // Where nothing is short nobody is of use, and the order is empty.
    if let Some(one) = order.iter().find(|it| covers(short, &[*it])) {
        return Some(vec![one.clone()]);
    }
    let mut chosen: Vec<&Candidate<T>> = Vec::new();
    for candidate in order {
        if covers(short, &chosen.iter().copied()) {
            break;
        }
        chosen.push(candidate);
    }
    if !covers(short, &chosen.iter().copied()) {
        return None;
    }
    for place in (0..chosen.len()).rev() {
        let others = chosen.iter().enumerate().filter(|(at, _)| *at != place);
        if covers(short, &others.map(|(_, it)| *it)) {
            chosen.remove(place);
        }
    }
    Some(chosen.into_iter().cloned().collect())
}

fn covers<'a, T: 'a>(
    short: &[u64],
    chosen: &(impl IntoIterator<Item = &'a Candidate<T>> + Clone),
) -> bool {
    let gives = |place: usize| {
        let given = chosen.clone().into_iter();
        given.fold(0_u64, |sum, it| {
            sum.saturating_add(it.gives.get(place).copied().unwrap_or(0))
        })
    };
    let mut all = short.iter().enumerate();
    all.all(|(place, amount)| gives(place) >= *amount)
}

fn is_of_use<T>(short: &[u64], candidate: &Candidate<T>) -> bool {
    let mut pairs = short.iter().zip(&candidate.gives);
    pairs.any(|(short, gives)| *short > 0 && *gives > 0)
}

/// Answers which part of what is short somebody gives, in thousandths of each thing.
fn part_of(short: &[u64], gives: &[u64]) -> u64 {
    let pairs = short.iter().zip(gives).filter(|(short, _)| **short > 0);
    let parts = pairs.map(|(short, gives)| (*gives.min(short)).saturating_mul(1000) / short);
    parts.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(
        who: usize,
        gives: &[u64],
        (distance, priority): (usize, u32),
        cost: u64,
    ) -> Candidate<usize> {
        Candidate {
            who,
            gives: gives.to_vec(),
            standing: Standing {
                distance,
                priority,
                share: 0,
            },
            cost,
        }
    }

    fn picked(short: &[u64], all: &[Candidate<usize>]) -> Option<Vec<usize>> {
        let (chosen, (count, ..)) = pick(short, all.to_vec())?;
        assert_eq!(count, chosen.len());
        let mut who: Vec<usize> = chosen.into_iter().map(|it| it.who).collect();
        who.sort_unstable();
        Some(who)
    }

    #[test]
    fn the_fewest_leave_then_the_lowest_then_the_cheapest() {
        let all = [
            candidate(0, &[1], (1, 9), 5),
            candidate(1, &[1], (1, 9), 3),
            candidate(2, &[2], (1, 5), 1),
            candidate(3, &[1], (2, 5), 9),
        ];
        assert_eq!(picked(&[1], &all), Some(vec![3]), "furthest is lowest");
        assert_eq!(
            picked(&[1], &all[..3]),
            Some(vec![1]),
            "of equals the cheapest"
        );
        assert_eq!(picked(&[2], &all), Some(vec![2]), "one is fewer than two");
        assert_eq!(picked(&[5], &all), Some(vec![0, 1, 2, 3]));
        assert_eq!(picked(&[6], &all), None, "all are not enough");
    }

    #[test]
    fn nobody_leaves_who_gives_nothing_that_is_wanted() {
        let all = [
            candidate(0, &[0, 4], (3, 9), 0),
            candidate(1, &[1, 0], (1, 9), 0),
            candidate(2, &[1, 8], (1, 6), 0),
        ];
        assert_eq!(picked(&[1, 0], &all), Some(vec![1]));
        assert_eq!(picked(&[0, 8], &all), Some(vec![2]));
        assert_eq!(picked(&[2, 4], &all), Some(vec![1, 2]));
        assert_eq!(picked(&[0, 0], &all), Some(vec![]), "there is enough");
        assert_eq!(picked(&[0, 13], &all), None);
    }

    /// Against every choice that there is.
    #[test]
    fn of_one_thing_no_choice_is_smaller_and_of_two_none_is_superfluous() {
        let mut state = 7_u64;
        let mut next = |most: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % (most + 1)
        };
        for round in 0..2_000 {
            let things = 1 + round % 2;
            let all: Vec<Candidate<usize>> = (0..usize::try_from(next(7)).unwrap_or(0))
                .map(|who| {
                    let gives: Vec<u64> = (0..things).map(|_| next(4)).collect();
                    let standing = (1, u32::try_from(next(5)).unwrap_or(0));
                    candidate(who, &gives, standing, next(9))
                })
                .collect();
            let short: Vec<u64> = (0..things).map(|_| next(9)).collect();
            let sizes = (0_u32..1 << all.len()).filter(|set| {
                let chosen = all.iter().filter(|it| set & (1 << it.who) != 0);
                covers(&short, &chosen)
            });
            let least = sizes.map(u32::count_ones).min();
            let found = picked(&short, &all);
            assert_eq!(found.is_some(), least.is_some(), "{short:?} of {all:?}");
            let (Some(found), Some(least)) = (found, least) else {
                continue;
            };
            if things == 1 {
                assert_eq!(found.len(), least as usize, "{short:?} of {all:?}");
            }
            for without in &found {
                let others = all
                    .iter()
                    .filter(|it| found.contains(&it.who) && it.who != *without);
                assert!(
                    !covers(&short, &others),
                    "{without} for {short:?} of {all:?}"
                );
            }
        }
    }
}
