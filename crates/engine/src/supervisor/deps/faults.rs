//! What must hold of all this, found again from the jobs alone; for tests and the simulator.

use super::super::Engine;
use super::watch::targets;
use super::{Found, Link, Plan};
use tessera_model::{ItemIndex, JobId};

impl Engine {
    /// Says everything that is wrong with what waits for what.
    pub(in super::super) fn check_waits_of_all(&self, faults: &mut Vec<String>) {
        let mut edges = 0;
        for job in self.jobs.values() {
            let id = job.id;
            let mut named = targets(job);
            named.sort_unstable();
            named.dedup();
            edges += named.len();
            let is_child = |parent: &JobId| {
                let children = self.deps.children.get(parent);
                children.is_some_and(|children| children.contains(&id))
            };
            if !named.iter().all(is_child) {
                faults.push(format!(
                    "job {id} waits for {named:?}, not all of which know"
                ));
            }
            let waits =
                job.spec.after.is_some() && !job.waits.is_released && !job.status.is_ended();
            match self.deps.plans.get(&id) {
                Some(plan) if waits => self.check_plan(id, plan, faults),
                None if !waits => {}
                _ => faults.push(format!("job {id} waits: {waits}, its plan says otherwise")),
            }
        }
        if edges != self.deps.edges {
            faults.push(format!("{edges} edges, {} counted", self.deps.edges));
        }
        if let Some(id) = self
            .deps
            .plans
            .keys()
            .find(|id| !self.jobs.contains_key(id))
        {
            faults.push(format!("a plan of job {id}, which is not there"));
        }
    }

    fn check_plan(&self, id: JobId, plan: &Plan, faults: &mut Vec<String>) {
        let Some(job) = self.jobs.get(&id) else {
            faults.push(format!("a plan of job {id}, which is not there"));
            return;
        };
        let anew = plan.links.iter().map(|link| self.link(job, &link.term));
        let anew: Vec<Link> = anew.collect();
        for (is, should) in plan
            .links
            .iter()
            .zip(&anew)
            .filter(|(is, should)| is != should)
        {
            faults.push(format!("job {id} counts {is:?}, should {should:?}"));
        }
        let worst = |link: &Link| {
            let found = (0..link.slots()).map(|slot| link.found(slot));
            found.fold(Found::Met, |worst, it| match (worst, it) {
                (Found::Vain, _) | (_, Found::Vain) => Found::Vain,
                (Found::Open, _) | (_, Found::Open) => Found::Open,
                (Found::Met, Found::Met) => Found::Met,
            })
        };
        for link in plan.links.iter().filter(|link| link.worst() != worst(link)) {
            faults.push(format!("job {id}: the worst of {link:?} is not that"));
        }
        let judge = |item: ItemIndex| plan.tree.judge(&|link| anew[*link].found(item.0));
        for item in job.items.indices() {
            let (found, is_shut) = (judge(item), job.items.is_shut(item));
            let is_vain = match plan.is_each {
                true => plan.vain.contains(item.0),
                false => plan.all == Found::Vain,
            };
            if is_shut == (found == Found::Met) || is_vain != (found == Found::Vain) {
                faults.push(format!(
                    "item {id}#{item} is {found:?}; it waits: {is_shut}, in vain: {is_vain}"
                ));
            }
        }
    }
}
