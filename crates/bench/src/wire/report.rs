//! What was measured, and how it is printed.

use crate::Quantiles;
use serde::Serialize;
use std::fmt::Write as _;

/// Memory of the supervisor at a moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct At {
    /// When: what had just happened.
    pub when: &'static str,
    /// What is its alone, in MiB (Private_Clean and Private_Dirty).
    pub private_mib: f64,
    /// What is in memory, shared pages too, in MiB.
    pub resident_mib: f64,
}

/// A farm that does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Idle {
    /// For how long it was watched, in seconds.
    pub seconds: f64,
    /// Share of one core that the supervisor took meanwhile.
    pub core: f64,
}

/// A farm that is filled.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Filled {
    /// Slots.
    pub slots: u64,
    /// From the first submission until the first host was told to start something, in milliseconds.
    pub first_ms: f64,
    /// Until the last was.
    pub all_ms: f64,
}

/// What ran was killed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Killed {
    /// Frames that ran.
    pub running: u64,
    /// From the request until the last host was told, in milliseconds.
    pub told_ms: f64,
    /// Until it was answered.
    pub answered_ms: f64,
}

/// Frames that end at once.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ran {
    /// How many.
    pub frames: u64,
    /// In how many launches.
    pub launches: u64,
    /// From the submission until all jobs were complete.
    pub seconds: f64,
    /// Seconds of the supervisor's processor time.
    pub supervisor_seconds: Option<f64>,
}

/// Jobs of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Submitted {
    /// How many.
    pub jobs: u32,
    /// Clients that submitted them, each one after the other.
    pub clients: usize,
    /// Until the last was accepted.
    pub seconds: f64,
    /// How long each took, in milliseconds.
    pub each_ms: Quantiles,
}

/// A run.
#[derive(Debug, Clone, Serialize)]
pub struct WireReport {
    /// The version of the program.
    pub version: &'static str,
    /// Whether the program was built without optimisation; its times say little then.
    pub is_debug_build: bool,
    /// Hosts.
    pub hosts: u32,
    /// Slots of each.
    pub slots: u32,
    /// Frames that waited behind those that filled the farm.
    pub queued: u32,
    /// Until all hosts had joined, in seconds.
    pub join_seconds: f64,
    /// Until all had connected then.
    pub connect_seconds: f64,
    /// Memory of the supervisor, where it is a process of its own.
    pub memory: Vec<At>,
    /// The idle farm, where the supervisor is a process of its own.
    pub idle: Option<Idle>,
    /// The farm as it was filled.
    pub filled: Filled,
    /// From a slot that becomes free to the start of the most urgent frame there, in milliseconds.
    pub urgent_ms: Quantiles,
    /// The farm as it was emptied.
    pub killed: Killed,
    /// Frames that end at once.
    pub ran: Ran,
    /// Jobs of one frame; none when none were asked for.
    pub submitted: Option<Submitted>,
}

impl WireReport {
    /// Prints it for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        let mut line = |name: &str, text: String| {
            let _never_fails = writeln!(out, "{name:<14} {text}");
        };
        let (hosts, slots) = (self.hosts, self.slots);
        line(
            "farm",
            format!("{hosts} hosts of {slots} slots, over TLS on this machine"),
        );
        if self.is_debug_build {
            let text = "a debug build: its times say little";
            line("note", text.to_owned());
        }
        let each = |seconds: f64| f64::from(hosts) / seconds.max(f64::MIN_POSITIVE);
        let (join, connect) = (self.join_seconds, self.connect_seconds);
        let text = format!(
            "{join:.1} s to join ({:.0} hosts/s), {connect:.1} s to connect ({:.0} hosts/s)",
            each(join),
            each(connect)
        );
        line("hosts", text);
        for at in &self.memory {
            let text = format!(
                "{:.0} MB private, {:.0} MB resident {}",
                at.private_mib, at.resident_mib, at.when
            );
            line("memory", text);
        }
        if let Some(idle) = self.idle {
            let percent = idle.core * 100.0;
            let text = format!("{percent:.1} % of a core over {:.0} s", idle.seconds);
            line("idle", text);
        }
        let it = &self.filled;
        let text = format!(
            "{} slots: the first after {:.1} ms, all after {:.2} s",
            it.slots,
            it.first_ms,
            it.all_ms / 1_000.0
        );
        line("filled", text);
        let it = &self.urgent_ms;
        let text = format!(
            "free slot to start, {} queued: p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms of {}",
            self.queued, it.p50, it.p99, it.most, it.samples
        );
        line("urgent", text);
        let it = &self.killed;
        let text = format!(
            "{} running frames: all hosts told after {:.0} ms, answered after {:.0} ms",
            it.running, it.told_ms, it.answered_ms
        );
        line("killed", text);
        let it = &self.ran;
        let cost = it.supervisor_seconds.map_or_else(String::new, |seconds| {
            let each = seconds * 1e6 / crate::measure::figure(it.frames);
            format!("; {each:.0} us of the supervisor's processor time each")
        });
        let text = format!(
            "{} frames that end at once in {} launches in {:.2} s, {:.0} frames/s{cost}",
            it.frames,
            it.launches,
            it.seconds,
            crate::measure::figure(it.frames) / it.seconds.max(f64::MIN_POSITIVE)
        );
        line("ran", text);
        if let Some(it) = &self.submitted {
            let text = format!(
                "{} jobs of one frame by {} clients in {:.2} s, {:.0} jobs/s; each p50 {:.1} ms, p99 {:.1} ms",
                it.jobs,
                it.clients,
                it.seconds,
                f64::from(it.jobs) / it.seconds.max(f64::MIN_POSITIVE),
                it.each_ms.p50,
                it.each_ms.p99
            );
            line("submitted", text);
        }
        out
    }
}
