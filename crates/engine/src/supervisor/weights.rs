//! Shares: clusters that have parts of the farm by weight (`supervisor_cluster_weights`), where the site says so.
//!
//! A job's *share* is the deepest weighted cluster that is its first one or above it; the top cluster, `/`, is one with weight 1 where it is
//! not named: the rest. Shares are flat: what a cluster below another has is not the other's. Each has for its weight the slots of all launches of
//! its jobs ([`Part`]), elite and secondary ones among them: whoever has them, they are had. Of jobs that are equally near to a
//! host those come first whose share has least for its weight; nothing is held back for a share that wants nothing.

mod even;

use super::Engine;
use super::plan::{OUTSIDE, Part};
use std::collections::BTreeMap;
use tessera_model::{ClusterChoice, ClusterPath, JobFlag, JobId, JobSpec};

pub(super) use even::Leaving;

/// The largest weight of a cluster.
pub const CLUSTER_WEIGHT_MAX: u32 = 1_000;
/// Clusters that have a weight, at most.
pub const CLUSTER_WEIGHTS_MAX: usize = 256;

/// How far all jobs are from hosts in no cluster, where clusters have weights: as far as a host's own cluster is.
const AS_NEAR: usize = 1;

/// Which clusters have a weight; none: no shares.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClusterWeights {
    /// In order; the number of a share is its place here and one more: the first is [`OUTSIDE`].
    all: Vec<(ClusterPath, u32)>,
}

impl ClusterWeights {
    /// Makes those of these clusters, the rest among them. A weight is at least 1.
    #[must_use]
    pub fn new(named: BTreeMap<ClusterPath, u32>) -> Self {
        let mut named = named;
        if !named.is_empty() {
            named.entry(ClusterPath::default()).or_insert(1);
        }
        let bounded = |weight: u32| weight.clamp(1, CLUSTER_WEIGHT_MAX);
        let all = named.into_iter().map(|(path, it)| (path, bounded(it)));
        Self { all: all.collect() }
    }

    /// Says whether no cluster has a weight.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Answers the clusters with their weights, the rest among them.
    pub fn iter(&self) -> impl Iterator<Item = (&ClusterPath, u32)> {
        self.all.iter().map(|(path, weight)| (path, *weight))
    }

    /// Answers how far jobs in these clusters are from a host of that cluster. With shares a host in none is as near to all: it is nobody's
    /// own, and jobs without a cluster would come before all shares there else.
    #[must_use]
    pub fn distance(&self, jobs: &ClusterChoice, host: &ClusterPath) -> usize {
        match self.is_empty() || host.depth() > 0 {
            true => jobs.distance(host),
            false => AS_NEAR,
        }
    }

    /// Answers the number of the share of jobs in these clusters.
    #[must_use]
    pub fn share_of(&self, cluster: &ClusterChoice) -> usize {
        let first = cluster.first().filter(|_| !self.is_empty());
        let found = first.and_then(|first| {
            let mut paths = first.and_above();
            paths.find_map(|path| self.all.binary_search_by(|(it, _)| it.cmp(&path)).ok())
        });
        found.map_or(OUTSIDE, |place| place + 1)
    }

    /// Answers the number of the share by which a job stands among others: what is elite comes before all of them.
    #[must_use]
    pub fn standing_in(&self, spec: &JobSpec) -> usize {
        match spec.flags.contains(&JobFlag::Elite) {
            true => OUTSIDE,
            false => self.share_of(&spec.cluster),
        }
    }

    /// Answers the cluster of a share, and its weight.
    #[must_use]
    pub fn named(&self, share: usize) -> Option<(&ClusterPath, u32)> {
        let known = self.all.get(share.checked_sub(1)?)?;
        Some((&known.0, known.1))
    }
}

impl Engine {
    /// Answers the shares: cluster, weight, and how many slots its jobs have.
    #[must_use]
    pub fn shares(&self) -> Vec<(ClusterPath, u32, u64)> {
        let weights = self.config.cluster_weights.iter();
        let numbered = weights.enumerate().map(|(place, (path, weight))| {
            let used = self.planner.part(place + 1).used;
            (path.clone(), weight, used)
        });
        numbered.collect()
    }

    /// Answers what the share of jobs in these clusters has for its weight.
    #[must_use]
    pub fn part_of(&self, cluster: &ClusterChoice) -> Part {
        let share = self.config.cluster_weights.share_of(cluster);
        self.planner.part(share)
    }

    /// Tells what two shares have, of which the second comes first.
    pub(super) fn shares_told(&self, own: usize, other: usize) -> String {
        let told = |share: usize| {
            let named = self.config.cluster_weights.named(share);
            let path = named.map_or_else(String::new, |(path, _)| path.to_string());
            (path, self.planner.part(share))
        };
        let ((own, has), (other, others)) = (told(own), told(other));
        format!(
            "cluster {own} has {} slots for a weight of {}, {other} {} for {}",
            has.used, has.weight, others.used, others.weight
        )
    }

    fn counted_in(&self, id: JobId) -> usize {
        let weights = &self.config.cluster_weights;
        let job = self.jobs.get(&id).filter(|_| !weights.is_empty());
        job.map_or(OUTSIDE, |job| weights.share_of(&job.spec.cluster))
    }

    /// A launch of a job has so many slots now.
    pub(super) fn count_share_in(&mut self, id: JobId, slots: u32) {
        let share = self.counted_in(id);
        self.planner.count_used(share, OUTSIDE, slots.into());
    }

    /// Nothing is left of a launch of a job that had so many slots.
    pub(super) fn count_share_out(&mut self, id: JobId, slots: u32) {
        let share = self.counted_in(id);
        self.planner.count_used(OUTSIDE, share, slots.into());
    }

    /// A job that was in these clusters is in others, with all that it has.
    pub(super) fn move_share(&mut self, id: JobId, before: &ClusterChoice) {
        let (before, after) = (
            self.config.cluster_weights.share_of(before),
            self.counted_in(id),
        );
        if before != after {
            let taken = self.launches_of(id);
            let slots = taken.map(|launch| u64::from(launch.taken.slots)).sum();
            self.planner.count_used(after, before, slots);
        }
    }

    /// Each share has as many slots as are counted.
    pub(super) fn check_shares(&self, faults: &mut Vec<String>) {
        let mut used: BTreeMap<usize, u64> = BTreeMap::new();
        for launch in self.launches.values() {
            let share = self.counted_in(launch.key.job);
            *used.entry(share).or_default() += u64::from(launch.taken.slots);
        }
        for (place, (path, _)) in self.config.cluster_weights.iter().enumerate() {
            let has = used.get(&(place + 1)).copied().unwrap_or(0);
            let counted = self.planner.part(place + 1).used;
            if has != counted {
                faults.push(format!(
                    "jobs of {path} have {has} slots, counted are {counted}"
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_the_deepest_weighted_cluster_of_the_first_one() {
        let named = [("/a", 3), ("/a/b", 2), ("/c", 1)];
        let named = named.map(|(path, weight)| (path.parse().expect(path), weight));
        let weights = ClusterWeights::new(named.into());
        let share = |text: &str| {
            let share = weights.share_of(&text.parse().expect(text));
            let (path, weight) = weights.named(share).expect("a share");
            format!("{path}={weight}")
        };
        for (job, of) in [
            ("/a", "/a=3"),
            ("/a/x/y", "/a=3"),
            ("/a/b", "/a/b=2"),
            ("/a/b/c+", "/a/b=2"),
            ("/a/bc", "/a=3"),
            ("/ab", "/=1"),
            ("/", "/=1"),
            ("/d,/c", "/=1"),
            ("/c,/a", "/c=1"),
        ] {
            assert_eq!(share(job), of, "{job}");
        }
        assert_eq!(
            ClusterWeights::default().share_of(&ClusterChoice::default()),
            OUTSIDE
        );
    }
}
