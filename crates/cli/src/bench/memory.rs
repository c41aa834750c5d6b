//! Memory of the farm's processes.

use crate::local::processes::Process;
use serde::Serialize;
use std::collections::BTreeMap;

/// Memory of one process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct ProcessMemory {
    /// Its command: `tessera supervisor`.
    name: String,
    /// Its process id.
    pid: u32,
    /// What is its alone, in KiB (Private_Clean and Private_Dirty).
    private_kib: u64,
    /// What is in memory, shared pages too, in KiB.
    resident_kib: u64,
}

impl ProcessMemory {
    pub(super) fn print(&self) -> String {
        format!(
            "  {:28} {:>6.1} MB private, {:>6.1} MB resident\n",
            self.name,
            megabytes(self.private_kib),
            megabytes(self.resident_kib)
        )
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn megabytes(kib: u64) -> f64 {
    kib as f64 / 1_024.0
}

/// Looks at these processes and all that descend from them.
pub(super) fn of_farm(daemons: &[(&'static str, u32)]) -> Vec<ProcessMemory> {
    let mut wanted: Vec<u32> = daemons.iter().map(|(_, pid)| *pid).collect();
    wanted.extend(
        crate::local::processes::descendants(&wanted)
            .iter()
            .map(Process::pid),
    );
    wanted.into_iter().filter_map(of_process).collect()
}

fn of_process(pid: u32) -> Option<ProcessMemory> {
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<String> = command
        .split(|byte| *byte == 0)
        .take(2)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    let program = words.first()?.rsplit('/').next()?.to_owned();
    let name = format!("{program} {}", words.get(1).map_or("", String::as_str));
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let fields: BTreeMap<&str, u64> = rollup.lines().filter_map(field).collect();
    let kib = |name: &str| fields.get(name).copied().unwrap_or(0);
    Some(ProcessMemory {
        name: name.trim().to_owned(),
        pid,
        private_kib: kib("Private_Clean") + kib("Private_Dirty"),
        resident_kib: kib("Rss"),
    })
}

fn field(line: &str) -> Option<(&str, u64)> {
    let (name, rest) = line.split_once(':')?;
    Some((name, rest.trim().strip_suffix("kB")?.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory() {
        let found = of_process(std::process::id()).expect("looked at");
        assert!(
            found.resident_kib >= found.private_kib && found.private_kib > 0,
            "{found:?}"
        );
        assert_eq!(field("Rss:                1234 kB"), Some(("Rss", 1234)));
    }
}
