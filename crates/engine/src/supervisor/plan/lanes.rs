//! Process groups that have a limit: while one has all that it may, none of its jobs is asked, in whatever classes they are.
//!
//! **Invariant:** to hold a group back or let it go costs the classes in which it has ready jobs, however many jobs those are.

use super::Planner;
use tessera_model::JobId;

impl Planner {
    /// Puts a job into the lane of its process group, which has a limit, or takes it out. It must not be among the ready ones.
    pub fn set_lane(&mut self, job: JobId, group: Option<JobId>) {
        match group {
            Some(group) => self.lanes.insert(job, group),
            None => self.lanes.remove(&job),
        };
    }

    /// Holds back the jobs of a process group, or lets them go.
    pub fn set_shut(&mut self, group: JobId, is_shut: bool) {
        let is_other = if is_shut {
            self.shut.insert(group)
        } else {
            self.shut.remove(&group)
        };
        if !is_other {
            return;
        }
        let classes = self.by_group.get(&group).cloned().unwrap_or_default();
        self.asked = self.asked.saturating_add(classes.len() as u64);
        for class in classes {
            let before = self.head(class);
            self.classes[class].ready.set_shut(group, is_shut);
            self.set_head(class, before);
            if !is_shut {
                self.touch_class(class);
            }
        }
    }

    /// Notes whether a group has ready jobs in a class.
    pub(super) fn note_lane(&mut self, group: JobId, class: usize) {
        if self.classes[class].ready.has_lane(group) {
            self.by_group.entry(group).or_default().insert(class);
        } else if let Some(classes) = self.by_group.get_mut(&group) {
            classes.remove(&class);
            let left: Vec<usize> = classes.iter().copied().collect();
            if left.is_empty() {
                self.by_group.remove(&group);
            }
            // What is secondary may have waited for that.
            let second = left.into_iter().filter(|it| self.is_secondary(*it));
            for class in second.collect::<Vec<_>>() {
                self.touch_class(class);
            }
        }
    }

    /// Says whether a job stands in the lane of its process group; for the engine's own check.
    #[must_use]
    pub fn lane_of(&self, job: JobId) -> Option<JobId> {
        self.lanes.get(&job).copied()
    }

    /// Says whether the jobs of a process group are held back; for the engine's own check.
    #[must_use]
    pub fn is_shut(&self, group: JobId) -> bool {
        self.shut.contains(&group)
    }
}
