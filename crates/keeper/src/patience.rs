//! How a launcher goes on when something fails again and again.

use std::time::Duration;

/// Pauses that double from the first to the longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pauses {
    /// After the first failure.
    pub first: Duration,
    /// However many there were.
    pub longest: Duration,
}

/// When connections can't be taken: clients that come and go at once cost little, a system that refuses everything is not asked all the time.
pub const OF_A_LISTENER: Pauses = Pauses {
    first: Duration::from_millis(5),
    longest: Duration::from_secs(2),
};

impl Pauses {
    /// Answers how long to wait after so many failures in a row.
    pub fn after(self, failures: u32) -> Duration {
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1));
        let pause = self.first.saturating_mul(doubled.unwrap_or(u32::MAX));
        pause.min(self.longest)
    }
}

/// Says whether the log is told of so many failures in a row: of the first, and each time that they have doubled.
pub fn is_worth_saying(failures: u32) -> bool {
    failures.is_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        let it = OF_A_LISTENER;
        assert_eq!(it.after(1), it.first);
        assert_eq!(it.after(2), it.first * 2);
        assert_eq!(it.after(5), it.first * 16);
        for many in [12, 31, 32, 33, u32::MAX] {
            assert_eq!(it.after(many), it.longest, "{many}");
        }
    }

    #[test]
    fn a_thousand_failures_are_few_lines() {
        let said = (1..=1_000).filter(|it| is_worth_saying(*it)).count();
        assert_eq!(said, 10);
    }
}
