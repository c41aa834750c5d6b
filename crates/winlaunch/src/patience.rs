//! How a launcher goes on when connections can't be taken.

use std::time::Duration;

/// The pause after the first failure.
const PAUSE: Duration = Duration::from_millis(5);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Answers how long to wait after so many failures in a row: clients that come and go at once cost little, a system that refuses everything
/// is not asked all the time.
pub fn pause_after(failures: u32) -> Duration {
    PAUSE
        .saturating_mul(
            1_u32
                .checked_shl(failures.saturating_sub(1))
                .unwrap_or(u32::MAX),
        )
        .min(PAUSE_MAX)
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
        assert_eq!(pause_after(1), PAUSE);
        assert_eq!(pause_after(2), PAUSE * 2);
        assert_eq!(pause_after(5), PAUSE * 16);
        for many in [12, 31, 32, 33, u32::MAX] {
            assert_eq!(pause_after(many), PAUSE_MAX, "{many}");
        }
    }

    #[test]
    fn a_thousand_failures_are_few_lines() {
        let said = (1..=1_000).filter(|it| is_worth_saying(*it)).count();
        assert_eq!(said, 10);
    }
}
