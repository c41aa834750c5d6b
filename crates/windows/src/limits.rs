//! What the processes of an instance are kept to, in numbers that the system takes.

/// The middle of the weights that the system has, 1 to 9: what is in no job object counts as this.
pub const WEIGHT_USUAL: u32 = 5;
/// The greatest weight.
const WEIGHT_MAX: u32 = 9;
/// Hundredths of a slot.
const SLOT: u32 = 100;

/// What all processes of an instance together are kept to; 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Memory that they may have promised to them (committed), bytes.
    pub memory: u64,
    /// Processes.
    pub processes: u32,
    /// Hundredths of a slot: how much of the processors when they are wanted by more than there are.
    pub weight: u16,
}

impl Limits {
    /// Says whether nothing is limited.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Answers the system's weight, one for each slot: two instances share the processors as their slots are, up to nine; and what
    /// is no instance goes before one of less than five. `None` for what has none.
    pub fn system_weight(&self) -> Option<u32> {
        let slots = u32::from(self.weight).div_ceil(SLOT);
        (self.weight > 0).then_some(slots.min(WEIGHT_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_slots_within_what_the_system_has() {
        let weight = |weight| {
            let limits = Limits {
                weight,
                ..Limits::default()
            };
            limits.system_weight()
        };
        assert_eq!(weight(0), None);
        for (hundredths, slots) in [(1, 1), (100, 1), (101, 2), (400, 4), (900, 9), (10_000, 9)] {
            assert_eq!(weight(hundredths), Some(slots), "{hundredths}");
        }
        assert!(Limits::default().is_none());
        let memory = Limits {
            memory: 1,
            ..Limits::default()
        };
        assert!(!memory.is_none());
    }
}
