//! What is seen of the farm after each thing that happened.

use super::{World, seconds};
use crate::chance;
use crate::measure::resident_bytes;
use crate::plan::HOSTS_AT_MS;
use crate::report::{Fill, Sample};

impl World {
    /// Notes that a frame was given to a host.
    pub(super) fn place(&mut self, host: u32, launch: &[u64], run: [u64; 2]) {
        self.placements += 1;
        let mut words = vec![self.stage.now_ms, host.into()];
        words.extend(launch);
        words.extend(run);
        self.hash = chance::draw(self.hash, &words);
        if let (Some(from), Some(restart)) = (self.dispatching_from, &mut self.restart) {
            let busy = self.spent.busy().saturating_sub(from);
            restart.dispatching_seconds = busy.as_secs_f64();
            self.dispatching_from = None;
        }
    }

    /// Looks at the farm after what happened.
    pub(super) fn observe(&mut self) {
        let [offered, taken, _] = self.stage.slots;
        let is_full = taken >= self.farm_slots || self.placements >= self.submitted_frames;
        let is_made = self.stage.plan.kept.is_none();
        if self.fill.is_none() && is_made && offered >= self.farm_slots && is_full {
            let busy = self.spent.since(&self.mark.spent).busy();
            self.fill = Some(Fill {
                slots: taken,
                virtual_seconds: seconds(self.stage.now_ms.saturating_sub(HOSTS_AT_MS)),
                busy_seconds: busy.as_secs_f64(),
            });
        }
        if self.stage.last_end_ms == self.stage.now_ms {
            self.played.slot_ms = self.slot_ms;
        }
        if self.half.is_none() && 2 * self.stage.ends() >= self.stage.plan.until.ends {
            self.half = Some(self.used().into_iter().collect());
        }
        if self.samples.is_due(self.stage.now_ms) {
            self.sample();
        }
    }

    pub(super) fn sample(&mut self) {
        let [offered, taken, working] = self.stage.slots;
        let (commits, commit_ms) = {
            let reading = self.meter.read();
            (reading.commits, reading.spent.as_secs_f64() * 1e3)
        };
        let sample = Sample {
            at_ms: self.stage.now_ms,
            offered,
            taken,
            working,
            open_frames: self.open_frames(),
            placements: self.placements,
            events: self.spent.events,
            busy_ms: self.spent.busy().as_secs_f64() * 1e3,
            commits,
            commit_ms,
            looked_at: self.looked_at(),
            memory: resident_bytes(),
        };
        self.samples.add(sample);
    }
}
