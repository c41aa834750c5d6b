//! What must always hold of the room that is made for others.

use super::claims::Claim;
use super::index::Place;
use super::search::{names_of, sum_of};
use crate::supervisor::Engine;
use crate::supervisor::job::Phase;

impl Engine {
    /// Says what is wrong with claims, what is kept for them, and who may leave.
    pub(in super::super) fn check_preempts(&self, faults: &mut Vec<String>) {
        for claim in self.preempts.claims.all() {
            self.check_claim(claim, faults);
        }
        for host in self.hosts.values() {
            let claims = self.preempts.claims.on(host.id);
            let (name, kept) = (
                &host.facts.name,
                sum_of(claims.map(|(_, claim)| &claim.need)),
            );
            if host.kept != kept {
                faults.push(format!("{name} keeps {:?}, claims are {kept:?}", host.kept));
            }
            let (usual, at_once) = self.places_on(host.id);
            let known = self.preempts.usual.places_of(host.id);
            let known_at_once = self.preempts.at_once.places_of(host.id);
            // What leaves by itself is noted when it is gone.
            let is_stale = |now: &[Place], known: &[Place]| {
                now.iter().any(|now| {
                    let mut of_share = known.iter().map(|it| it.lowest);
                    !of_share.any(|it| it.share == now.lowest.share && it >= now.lowest)
                })
            };
            if is_stale(&usual, known) || is_stale(&at_once, known_at_once) {
                faults.push(format!(
                    "{name} has {usual:?} that may leave, known is {known:?}"
                ));
            }
        }
        let known = self.preempts.usual.hosts();
        let known = known.chain(self.preempts.at_once.hosts());
        for host in known.filter(|host| !self.hosts.contains_key(host)) {
            faults.push(format!("something may leave {host}, which is not there"));
        }
    }

    fn check_claim(&self, claim: &Claim, faults: &mut Vec<String>) {
        let (id, at) = (claim.job, claim.host);
        let Some(host) = self.hosts.get(&at) else {
            faults.push(format!("job {id} has a claim on {at}, which is not there"));
            return;
        };
        let Some(job) = self.jobs.get(&id) else {
            faults.push(format!("a claim on {} is of no job", host.facts.name));
            return;
        };
        let claims = self.preempts.claims.of(id).count() as u64;
        if claims > job.instances.pending().len() {
            faults.push(format!(
                "job {id} has {claims} claims, and fewer instances wait"
            ));
        }
        for name in names_of(&claim.need) {
            let staying = self
                .staying_on(host)
                .map(|it| host.part_of(&it.taken, name));
            let stays = staying.fold(0, u64::saturating_add);
            let claimed = self.preempts.claims.wanted_on(host, name);
            if stays.saturating_add(claimed) > host.total_of_any(name) {
                let name_of_host = &host.facts.name;
                faults.push(format!(
                    "{claimed} of {name} of {name_of_host} are claimed, and {stays} stay with others"
                ));
            }
        }
        for key in &claim.leaving {
            let launch = self.launches.get(key);
            if launch.is_some_and(|launch| launch.phase == Phase::Open) {
                faults.push(format!("{key} is to leave for job {id} and stays"));
            }
        }
    }
}
