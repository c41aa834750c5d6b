//! The resources that shapes of hosts are made of: those that some class wants and some host has.
//!
//! What is wanted and nowhere to be had costs no host anything, so that no invented names use up those of others.

use std::collections::BTreeMap;
use tessera_model::limits::RESOURCES_MAX;

/// Amounts that a class wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wants {
    /// By the number of the resource.
    numbered: Vec<(usize, u64)>,
    /// By its name, where there was no number left: these are asked host by host.
    pub(super) each: Vec<(String, u64)>,
}

impl Wants {
    /// Says whether so much of those that have numbers is there.
    pub(super) fn are_in(&self, amounts: &[u64]) -> bool {
        let mut numbered = self.numbered.iter();
        numbered.all(|(number, wanted)| amounts.get(*number).is_some_and(|free| free >= wanted))
    }
}

/// Names of resources, how many classes want each, how many hosts have each, and the numbers of those that count.
#[derive(Debug, Clone, Default)]
pub(super) struct Resources {
    wanted: BTreeMap<String, u32>,
    reported: BTreeMap<String, u32>,
    numbers: BTreeMap<String, usize>,
    /// Numbers that nobody has any more.
    vacant: Vec<usize>,
}

impl Resources {
    /// A class wants it. Says whether it has a number from now on.
    pub(super) fn want(&mut self, name: &str) -> bool {
        *self.wanted.entry(name.to_owned()).or_insert(0) += 1;
        self.settle(name)
    }

    /// A class wants it no more.
    pub(super) fn unwant(&mut self, name: &str) {
        count_down(&mut self.wanted, name);
        self.settle(name);
    }

    /// A host has it. Says whether it has a number from now on, and whether somebody wants it that no host had before.
    pub(super) fn report(&mut self, name: &str) -> (bool, bool) {
        let hosts = self.reported.entry(name.to_owned()).or_insert(0);
        *hosts += 1;
        let is_first = *hosts == 1;
        (
            self.settle(name),
            is_first && self.wanted.contains_key(name),
        )
    }

    /// A host has it no more. Says whether somebody wants it that no host has now.
    pub(super) fn unreport(&mut self, name: &str) -> bool {
        count_down(&mut self.reported, name);
        self.settle(name);
        !self.reported.contains_key(name) && self.wanted.contains_key(name)
    }

    /// Gives it a number or takes that away; says whether it has one that it had not before.
    fn settle(&mut self, name: &str) -> bool {
        let counts = self.wanted.contains_key(name) && self.reported.contains_key(name);
        match (counts, self.numbers.get(name).copied()) {
            (true, None) if self.numbers.len() < RESOURCES_MAX => {
                let next = self.numbers.len();
                let number = self.vacant.pop().unwrap_or(next);
                self.numbers.insert(name.to_owned(), number);
                true
            }
            (false, Some(number)) => {
                self.numbers.remove(name);
                self.vacant.push(number);
                false
            }
            (true, None | Some(_)) | (false, None) => false,
        }
    }

    /// Answers amounts by number, nothing when one of them is not to be had anywhere.
    pub(super) fn by_number(&self, amounts: &BTreeMap<String, u64>) -> Option<Wants> {
        let mut wants = Wants::default();
        for (name, amount) in amounts {
            match self.numbers.get(name) {
                Some(number) => wants.numbered.push((*number, *amount)),
                None if self.reported.contains_key(name) => {
                    wants.each.push((name.clone(), *amount));
                }
                None => return None,
            }
        }
        Some(wants)
    }

    /// Answers how many numbers a shape has, those that nobody has any more among them.
    pub(super) fn places(&self) -> usize {
        self.numbers.len() + self.vacant.len()
    }

    /// Answers the names that count, with their numbers.
    pub(super) fn numbers(&self) -> impl Iterator<Item = (&str, usize)> {
        self.numbers
            .iter()
            .map(|(name, number)| (name.as_str(), *number))
    }

    /// Counts those that count, with those of `more` that would.
    pub(super) fn len_with(&self, more: &BTreeMap<String, u64>) -> usize {
        let would =
            |name: &&String| self.reported.contains_key(*name) && !self.numbers.contains_key(*name);
        self.numbers.len() + more.keys().filter(would).count()
    }
}

fn count_down(counts: &mut BTreeMap<String, u32>, name: &str) {
    if let Some(count) = counts.get_mut(name) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amounts(names: &[&str]) -> BTreeMap<String, u64> {
        names.iter().map(|name| ((*name).to_owned(), 1)).collect()
    }

    fn numbered(all: &[(usize, u64)]) -> Option<Wants> {
        Some(Wants {
            numbered: all.to_vec(),
            each: Vec::new(),
        })
    }

    #[test]
    fn what_is_wanted_and_to_be_had_has_a_number_and_gives_it_back() {
        let mut all = Resources::default();
        assert!(!all.want("host.a"));
        assert_eq!(all.by_number(&amounts(&["host.a"])), None);
        assert_eq!(all.report("host.a"), (true, true));
        assert_eq!(all.report("host.b"), (false, false));
        assert!(all.want("host.b"));
        assert_eq!(
            all.by_number(&amounts(&["host.a", "host.b"])),
            numbered(&[(0, 1), (1, 1)])
        );
        all.unwant("host.a");
        assert_eq!(all.places(), 2, "its number waits for another");
        assert!(all.report("host.c").0 | all.want("host.c"));
        assert_eq!(all.by_number(&amounts(&["host.c"])), numbered(&[(0, 1)]));
        assert!(all.unreport("host.c"));
        assert_eq!(all.by_number(&BTreeMap::new()), numbered(&[]));
    }

    #[test]
    fn there_are_no_more_numbers_than_the_bound() {
        let mut all = Resources::default();
        for n in 0..RESOURCES_MAX + 1 {
            let name = format!("host.r{n}");
            all.report(&name);
            assert_eq!(all.want(&name), n < RESOURCES_MAX);
        }
        assert_eq!(all.places(), RESOURCES_MAX);
        let last = format!("host.r{RESOURCES_MAX}");
        let wants = all.by_number(&amounts(&[&last])).expect("it is to be had");
        assert_eq!((wants.numbered.len(), wants.each.len()), (0, 1));
        assert_eq!(all.len_with(&amounts(&["host.r0"])), RESOURCES_MAX);
        assert_eq!(all.len_with(&amounts(&["host.nowhere"])), RESOURCES_MAX);
    }
}
