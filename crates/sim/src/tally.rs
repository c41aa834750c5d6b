//! How often each kind of fault and each thing worth seeing happened.

use std::collections::BTreeMap;

/// Counts by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally(pub BTreeMap<&'static str, u64>);

/// Every fault and boundary that a series of seeds must have hit at least once.
pub const MUST_HAPPEN: &[&str] = &[
    "fault: connection cut",
    "fault: message doubled",
    "fault: message from an old connection",
    "fault: late message",
    "fault: said again on the same connection",
    "fault: partition",
    "fault: worker crash",
    "fault: worker crash while starting",
    "fault: worker crash while one waits",
    "fault: shepherd crash",
    "fault: starter lost",
    "fault: power cut",
    "fault: wall clock step",
    "fault: disk full",
    "fault: launcher refuses",
    "fault: launcher unavailable",
    "fault: launcher crash",
    "fault: spool full",
    "fault: worker crash with a full spool",
    "seen: nothing started because the spool is full",
    "seen: attempt refused because it was begun before",
    "seen: record lost with a full spool",
    "seen: launch while there is no launcher",
    "seen: waiting item given up",
    "crash: supervisor before commit",
    "crash: supervisor after commit, before effects",
    "crash: supervisor between effects",
    "crash: supervisor idle",
    "seen: host lost",
    "seen: stale report",
    "seen: retry",
    "seen: limit",
    "seen: out of memory",
    "seen: try with more memory",
    "seen: submission sent twice",
    "seen: adopted",
    "seen: started after what it waited for",
    "seen: waits in vain",
    "seen: let go without waiting",
    "seen: a user at the limit",
    "seen: a process group at its limit",
    "seen: a host with all that it may have of a job",
    "seen: as many starts as may be",
    "seen: a licence shared on a host",
    "seen: all of what is scoped is given",
    "seen: a job waits for a licence",
    "seen: more taken of a licence than there is",
    "seen: what others use counts no more",
    "seen: a lost host had a licence",
    "seen: preempted at the end of an item",
    "seen: preempted at once",
    "seen: preempted by an elite job",
    "seen: preempted work goes on",
    "seen: a secondary instance",
    "seen: a secondary instance left for a primary one",
    "seen: room went to whom it was made for",
    "seen: somebody need not leave after all",
    "seen: a host is emptied for a wide job",
    "seen: a wide job started under a flood",
    "seen: a job has a host to itself",
    "seen: more slots than the least of a range",
    "seen: a job keeps off a bad host",
    "seen: put back for another host",
    "seen: a job blocked by the farm",
    "seen: a host locked by the farm",
    "seen: a gang waits for room",
    "seen: a gang starts all at once",
    "seen: a gang starts all at once again",
    "seen: one of a gang starts again beside the others",
    "seen: placed beside slots kept for GPUs",
    "seen: slots kept for GPUs go to who has some",
    "seen: a share waits for its turn",
    "seen: a share comes before a better priority",
    "seen: somebody leaves for a share that has less",
];

impl Tally {
    /// Counts one.
    pub fn add(&mut self, what: &'static str) {
        *self.0.entry(what).or_insert(0) += 1;
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &Self) {
        for (what, n) in &other.0 {
            *self.0.entry(what).or_insert(0) += n;
        }
    }

    /// Answers what never happened and should have.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        MUST_HAPPEN
            .iter()
            .copied()
            .filter(|what| !self.0.contains_key(what))
            .collect()
    }
}
