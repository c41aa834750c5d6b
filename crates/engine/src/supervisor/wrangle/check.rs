//! What must always hold of what is counted; for the engine's own check.

use super::super::Engine;
use super::{FAILED_MAX, GOOD_MAX, HELD};
use tessera_model::HostId;

impl Engine {
    pub(in super::super) fn check_wrangling(&self, faults: &mut Vec<String>) {
        let now = self.now.elapsed;
        for job in self.jobs.values() {
            let (id, record) = (job.id, &job.wrangle);
            let most = self.config.wrangling.hosts as usize;
            for (item, hosts) in &record.put_back {
                let different: std::collections::BTreeSet<&HostId> = hosts.iter().collect();
                if hosts.len() > most || different.len() < hosts.len() {
                    faults.push(format!("item {id}#{item} was put back from {hosts:?}"));
                }
            }
            let is_barred = |host: &HostId| job.bars.iter().any(|(bar, _)| bar == host);
            for (host, row) in &record.rows {
                if row.failed.len() > FAILED_MAX {
                    faults.push(format!("job {id}: {} failed on {host}", row.failed.len()));
                }
                if row.until > now && !is_barred(host) {
                    faults.push(format!("job {id} keeps off {host} and is not barred there"));
                }
            }
            if record.good.len() > GOOD_MAX {
                faults.push(format!("job {id}: {:?} are good", record.good));
            }
        }
        for launch in self.launches.values().filter(|it| it.phase == HELD) {
            let job = self.jobs.get(&launch.key.job);
            let instance = job.and_then(|job| job.instance(launch.key.instance));
            if instance.is_some_and(|it| it.failure.is_none()) {
                faults.push(format!("{} is held and nobody says why", launch.key));
            }
        }
    }
}
