//! From what was added up to the report.

use super::{World, seconds};
use crate::Scenario;
use crate::measure::{count, figure, micros_each, ratio, ratio_f, resident_bytes};
use crate::plan::HOSTS_AT_MS;
use crate::report::{
    ClassWaits, Cost, Counted, Fairness, Frames, Memory, Quantiles, Report, Share, Utilisation,
};
use std::collections::BTreeMap;
use tessera_engine::supervisor::{Engine, Job};
use tessera_model::ItemStatus;

impl World {
    /// Answers what was measured.
    pub(crate) fn report(&self) -> Report {
        let spent = self.spent.since(&self.mark.spent);
        let placements = self.placements - self.mark.placements;
        let per_second = |n: u64| ratio_f(figure(n), spent.busy().as_secs_f64());
        let options = &self.options;
        let ends = self.frames();
        let mut restart = self.restart;
        if let Some(restart) = &mut restart {
            restart.started_twice = self.stage.overlaps - restart.started_twice;
        }
        let reading = self.meter.read().clone();
        let early = usize::try_from(self.mark.spent.turns).unwrap_or(0);
        let mut report = Report {
            version: env!("CARGO_PKG_VERSION"),
            is_debug_build: cfg!(debug_assertions),
            scenario: options.scenario.word(),
            about: options.scenario.about(),
            hosts: options.hosts,
            slots: options.slots,
            frames: options.frames,
            job_frames: options.job_frames,
            seed: options.seed,
            store: options.store.word(),
            is_cut: self.is_cut,
            virtual_seconds: seconds(self.stage.now_ms),
            real_seconds: self.began.elapsed().as_secs_f64(),
            busy_seconds: self.spent.busy().as_secs_f64(),
            placements: self.placements,
            placements_hash: format!("{:016x}", self.hash),
            placements_per_second: per_second(placements),
            events_per_second: per_second(spent.events),
            cost: self.cost(),
            counted: self.counted(),
            commit_ms: Quantiles::of_micros(
                reading
                    .each_us
                    .get(self.mark.reading.each_us.len()..)
                    .unwrap_or_default(),
            ),
            turn_ms: Quantiles::of_micros(self.turn_us.get(early..).unwrap_or_default()),
            submit_us: self.submit_us(),
            fill: self.fill,
            utilisation: self.utilisation(),
            waits: self.waits(),
            fairness: self.fairness(),
            memory: self.memory(),
            ends,
            restart,
            faults: Vec::new(),
            samples: self.samples.all.clone(),
            replayed: None,
        };
        report.faults = self.faults(&report);
        report
    }

    fn engine(&self) -> Option<&Engine> {
        self.driven.as_ref().map(|driven| driven.engine())
    }

    fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.engine().into_iter().flat_map(Engine::jobs)
    }

    fn cost(&self) -> Cost {
        let spent = self.spent.since(&self.mark.spent);
        let commits = self.meter.read().spent;
        let commits = commits.saturating_sub(self.mark.reading.spent);
        let each = |part| micros_each(part, spent.events);
        Cost {
            all_us: each(spent.busy()),
            engine_us: each(spent.decided),
            commit_us: each(commits),
            rows_and_tickets_us: each(spent.carried_out.saturating_sub(commits)),
            wire_us: each(spent.wire),
        }
    }

    fn counted(&self) -> Counted {
        let spent = self.spent.since(&self.mark.spent);
        let rows = self.meter.read().rows.since(&self.mark.reading.rows);
        let looked_at = self.looked_at() - self.mark.looked_at;
        let placements = self.placements - self.mark.placements;
        Counted {
            events: spent.events,
            turns: spent.turns,
            looked_at_per_event: ratio(looked_at, spent.events),
            looked_at_per_placement: ratio(looked_at, placements),
            rows_per_event: ratio(rows.all(), spent.events),
            segments_per_event: ratio(rows.segments, spent.events),
            wire_bytes_per_event: ratio(spent.wire_bytes, spent.events),
            rows,
        }
    }

    /// Answers what a submission before the coming of the hosts took, turns with joining hosts left out.
    fn submit_us(&self) -> f64 {
        let early = self.stage.plan.jobs.iter();
        let early = early.filter(|job| job.at_ms < HOSTS_AT_MS).count();
        ratio_f(self.mark.spent.busy().as_secs_f64() * 1e6, count(early))
    }

    fn utilisation(&self) -> Utilisation {
        let [offered, taken, working] = self.slot_ms;
        Utilisation {
            taken: ratio(taken, offered),
            working: ratio(working, offered),
            working_while_waiting: ratio(self.waiting_ms[1], self.waiting_ms[0]),
        }
    }

    fn waits(&self) -> Vec<ClassWaits> {
        let end = self.stage.wall(self.stage.now_ms);
        let classes = self.stage.plan.classes.iter().enumerate();
        let waits = classes.map(|(number, class)| {
            let of_class = |job: &&Job| {
                let plan = self.stage.jobs.get(&job.id);
                let plan = plan.and_then(|plan| self.stage.plan.jobs.get(*plan));
                plan.is_some_and(|plan| plan.class == number)
            };
            let (mut first, mut done) = (Vec::new(), Vec::new());
            let (mut jobs, mut waiting) = (0, 0);
            for job in self.jobs().filter(of_class) {
                let since = |at: tessera_model::Timestamp| seconds(at.since_ms(job.submitted));
                jobs += 1;
                waiting += u64::from(job.started.is_none());
                first.push(since(job.started.unwrap_or(end)));
                done.extend(job.ended.map(since));
            }
            ClassWaits {
                class: class.clone(),
                jobs,
                waiting,
                ended: done.len() as u64,
                first_frame_seconds: Quantiles::of(first),
                done_seconds: Quantiles::of(done),
            }
        });
        waits.collect()
    }

    /// Answers the slot time of each user so far.
    pub(super) fn used(&self) -> BTreeMap<u64, u64> {
        let mut used = self.stage.used_ms.clone();
        for host in &self.hosts {
            for (job, slot_ms) in host.used(self.stage.now_ms) {
                let plan = self.stage.jobs.get(&job);
                let plan = plan.and_then(|plan| self.stage.plan.jobs.get(*plan));
                *used.entry(plan.map_or(0, |plan| plan.user)).or_default() += slot_ms;
            }
        }
        used
    }

    fn fairness(&self) -> Fairness {
        let mut wanted: BTreeMap<u64, u64> = BTreeMap::new();
        for job in &self.stage.plan.jobs {
            *wanted.entry(job.user).or_default() += u64::from(job.frames);
        }
        let used = self.used();
        let share = |(user, frames): (&u64, &u64)| Share {
            user: self.stage.plan.user_name(*user),
            wanted_frames: *frames,
            slot_hours: figure(used.get(user).copied().unwrap_or(0)) / 3_600_000.0,
        };
        let mut users: Vec<Share> = wanted.iter().map(share).collect();
        users.sort_by(|a, b| b.slot_hours.total_cmp(&a.slot_hours));
        let half: BTreeMap<u64, u64> = self.half.clone().unwrap_or_default().into_iter().collect();
        let of = |used: &BTreeMap<u64, u64>| {
            let got = wanted
                .keys()
                .map(|user| figure(used.get(user).copied().unwrap_or(0)));
            jain(&got.collect::<Vec<_>>())
        };
        Fairness {
            jain: of(&used),
            jain_first_half: of(&half),
            users,
        }
    }

    fn memory(&self) -> Memory {
        let million = figure(u64::from(self.options.frames)) / 1e6;
        Memory {
            queued_per_million: ratio_f(figure(self.memory.queued), million),
            end: resident_bytes(),
            ..self.memory
        }
    }

    fn frames(&self) -> Frames {
        let (mut items, mut counts) = (0, [0; 8]);
        for job in self.jobs() {
            items += u64::from(job.items().len());
            for (sum, count) in counts.iter_mut().zip(job.items().counts()) {
                *sum += u64::from(count);
            }
        }
        let of = |status: ItemStatus| counts[status as usize];
        let (complete, failed) = (of(ItemStatus::Complete), of(ItemStatus::Failed));
        let running = of(ItemStatus::Running);
        let waiting = of(ItemStatus::Pending) + of(ItemStatus::Waiting);
        let held = of(ItemStatus::Killed) + of(ItemStatus::Blocked) + of(ItemStatus::Suspended);
        let given_up = if self.stage.plan.kept.is_some() {
            held
        } else {
            0
        };
        let known = complete + failed + running + waiting + given_up;
        let missing = items.saturating_sub(known) + self.submitted_frames.saturating_sub(items);
        Frames {
            submitted: self.submitted_frames,
            complete,
            failed,
            running,
            waiting,
            given_up,
            missing,
            begun: self.stage.begun,
            ended_well: self.stage.ended_well,
            ended_badly: self.stage.ended_badly,
            ended_by_farm: self.stage.ended_by_farm,
            overlaps: self.stage.overlaps,
        }
    }

    /// Says whether hosts may be given up while their processes go on.
    fn loses_hosts(&self) -> bool {
        let kept = self.stage.plan.kept.as_ref();
        let mut moves = kept.iter().flat_map(|farm| &farm.hosts);
        let goes = |host: &crate::replay::KeptHost| host.moves.iter().any(|(_, is_up)| !is_up);
        match kept {
            Some(_) => moves.any(goes),
            None => self.options.scenario == Scenario::HalfLost,
        }
    }

    /// Says in words what must not be.
    fn faults(&self, report: &Report) -> Vec<String> {
        let ends = &report.ends;
        let mut faults = Vec::new();
        let mut must_not = |is: bool, what: String| faults.extend(is.then_some(what));
        must_not(
            ends.missing > 0,
            format!(
                "{} frames are in no state that they may be in",
                ends.missing
            ),
        );
        must_not(
            ends.complete > ends.ended_well,
            format!(
                "{} frames are complete, but only {} processes ended well",
                ends.complete, ends.ended_well
            ),
        );
        must_not(
            ends.overlaps > 0 && !self.loses_hosts(),
            format!("{} frames ran twice at a time", ends.overlaps),
        );
        if let Some(restart) = &report.restart {
            must_not(
                restart.lost > 0,
                format!("{} acknowledged frames were lost", restart.lost),
            );
            must_not(
                restart.started_twice > 0,
                format!(
                    "{} running frames were started twice",
                    restart.started_twice
                ),
            );
        }
        faults
    }
}

/// Answers Jain's index: 1 when all have the same, 1/n when one has all.
fn jain(got: &[f64]) -> f64 {
    let sum: f64 = got.iter().sum();
    let squares: f64 = got.iter().map(|it| it * it).sum();
    ratio_f(sum * sum, squares * count(got.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_even_is_one() {
        assert!((jain(&[2.0, 2.0, 2.0]) - 1.0).abs() < 1e-9);
        assert!((jain(&[1.0, 0.0, 0.0, 0.0]) - 0.25).abs() < 1e-9);
    }
}
