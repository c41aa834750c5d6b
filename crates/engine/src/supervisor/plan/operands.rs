//! What of hosts is part of their kind because some class reads it.

use std::collections::BTreeMap;
use tessera_model::limits::OPERANDS_MAX;
use tessera_model::requirements::Operand;

/// Operands with the number of classes that read each. One that none reads any more stays until another comes, so that all hosts
/// always say the same things.
#[derive(Debug, Clone, Default)]
pub(super) struct Operands {
    counts: BTreeMap<Operand, u32>,
}

impl Operands {
    /// A class reads these. Says whether one is new, so that every host must say it; nothing when there is no room for all of them.
    pub(super) fn want(&mut self, operands: &[&Operand]) -> Option<bool> {
        let is_new = operands.iter().any(|it| !self.counts.contains_key(it));
        if is_new {
            let used = self.counts.iter().filter(|(_, count)| **count > 0);
            let used = used.filter(|(operand, _)| !operands.contains(operand));
            if used.count() + operands.len() > OPERANDS_MAX {
                return None;
            }
            self.counts.retain(|_, count| *count > 0);
        }
        for operand in operands {
            *self.counts.entry((*operand).clone()).or_insert(0) += 1;
        }
        Some(is_new)
    }

    /// A class reads these no more.
    pub(super) fn unwant<'a>(&mut self, operands: impl Iterator<Item = &'a Operand>) {
        for operand in operands {
            if let Some(count) = self.counts.get_mut(operand) {
                *count = count.saturating_sub(1);
            }
        }
    }

    /// Answers those that hosts say.
    pub(super) fn all(&self) -> impl Iterator<Item = &Operand> {
        self.counts.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_reads_any_more_makes_room() {
        let operand = |n: usize| Operand::parse(&format!("host.p{n}")).expect("one");
        let mut all = Operands::default();
        for n in 0..OPERANDS_MAX {
            assert_eq!(all.want(&[&operand(n)]), Some(true));
        }
        assert_eq!(all.want(&[&operand(3)]), Some(false));
        assert_eq!(all.want(&[&operand(OPERANDS_MAX)]), None);
        all.unwant([&operand(3)].into_iter());
        assert_eq!(
            all.want(&[&operand(OPERANDS_MAX)]),
            None,
            "it is read twice"
        );
        all.unwant([&operand(3)].into_iter());
        assert_eq!(all.all().count(), OPERANDS_MAX, "it stays until then");
        assert_eq!(all.want(&[&operand(OPERANDS_MAX)]), Some(true));
        assert!(!all.all().any(|it| *it == operand(3)));
    }
}
