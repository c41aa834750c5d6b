//! Chance from a seed and from what it is for, whatever came before: the order of events changes no draw.

/// Answers a number that depends on the seed and on these alone.
pub(crate) fn draw(seed: u64, of: &[u64]) -> u64 {
    of.iter().fold(mix(seed), |sum, word| mix(sum ^ word))
}

/// Answers a number from `low` to `high`, both included.
pub(crate) fn between((low, high): (u64, u64), seed: u64, of: &[u64]) -> u64 {
    low + draw(seed, of) % (high.saturating_sub(low) + 1)
}

/// Says yes in `percent` of a hundred cases.
pub(crate) fn is(percent: u64, seed: u64, of: &[u64]) -> bool {
    draw(seed, of) % 100 < percent
}

/// One step of splitmix64.
fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_within_and_differ() {
        let drawn: Vec<u64> = (0..1_000).map(|n| between((5, 14), 1, &[n])).collect();
        assert!(drawn.iter().all(|it| (5..=14).contains(it)));
        assert!((5..=14).all(|it| drawn.contains(&it)));
        let yes = (0..1_000).filter(|n| is(30, 1, &[*n])).count();
        assert!((200..400).contains(&yes), "{yes}");
        assert_ne!(draw(1, &[2, 3]), draw(1, &[3, 2]));
    }
}
