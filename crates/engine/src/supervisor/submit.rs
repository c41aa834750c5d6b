//! Submission and modification of jobs.

use super::deps::Waits;
use super::instances::Instances;
use super::io::{Answer, Change, Denied, JobPatch, Submission, kind};
use super::items::Items;
use super::job::{Instance, Job};
use super::pace::Paced;
use super::plan::Demands;
use super::share::{Stake, may_ask};
use super::{About, Engine, Turn};
use std::sync::Arc;
use tessera_model::limits::RESOURCES_MAX;
use tessera_model::{
    InstanceNo, InstanceStatus, ItemStatus, JobFlag, JobId, JobSpec, LaunchNo, Principal,
    Reservation, Timestamp, UserName, WorkStatus,
};

impl Engine {
    pub(super) fn submit(
        &mut self,
        t: &mut Turn<'_>,
        mut submission: Submission,
    ) -> Result<Answer, Denied> {
        let owner = self.owner_of(&submission)?;
        if let Some(answer) = self.known_key(&owner, &submission)? {
            return Ok(answer);
        }
        self.check_new(t.now.wall, &owner, &mut submission)?;
        let id = JobId(self.next_job);
        self.next_job += 1;
        let job = self.new_job(t, id, owner, submission);
        let (owner, name, items) = (job.owner.clone(), job.spec.name.clone(), job.items.len());
        if let Some(key) = &job.key {
            self.by_key.insert((owner.clone(), key.clone()), id);
        }
        let submitter = job.submitter.clone();
        self.jobs.insert(id, job);
        self.know_job(Some(t), id);
        self.join_group(id);
        t.change(Change::JobWhole(id));
        let text = match items {
            1 => format!("submitted \"{name}\" for {owner}"),
            n => format!("submitted \"{name}\" for {owner}, {n} items"),
        };
        t.event(kind::JOB_SUBMITTED, About::job(id).by(&submitter), text);
        self.bar_job(t, id);
        self.refresh_job(t, id);
        Ok(Answer::Submitted {
            job: id,
            existed: false,
        })
    }

    /// Says whether a submission would be taken now, by all that is checked when it is: for who wants to know and submit nothing. It
    /// answers the job that has its key already, if there is one.
    ///
    /// # Errors
    /// The refusal that the submission would meet.
    pub fn would_submit(
        &self,
        now: Timestamp,
        mut submission: Submission,
    ) -> Result<Option<JobId>, Denied> {
        let owner = self.owner_of(&submission)?;
        if let Some(Answer::Submitted { job, .. }) = self.known_key(&owner, &submission)? {
            return Ok(Some(job));
        }
        self.check_new(now, &owner, &mut submission)?;
        Ok(None)
    }

    /// Checks what only the farm can know of a new job, and puts the process group that it joins in its place.
    fn check_new(
        &self,
        now: Timestamp,
        owner: &UserName,
        submission: &mut Submission,
    ) -> Result<(), Denied> {
        self.check_mode()?;
        self.check_password(now, owner)?;
        check_flags(submission)?;
        self.check_waits(JobId(self.next_job), submission)?;
        self.share_out(&mut submission.spec)?;
        self.bound_resources(&submission.spec.reservation)
    }

    fn owner_of(&self, submission: &Submission) -> Result<UserName, Denied> {
        let by = &submission.by;
        match &submission.owner {
            Some(owner) if *owner != by.name && !by.is_admin => Err(Denied::Forbidden {
                by: by.name.clone(),
                what: format!("submit as {owner}"),
                why: "only the farm's administrators may submit for others".into(),
            }),
            Some(owner) => Ok(owner.clone()),
            None => Ok(by.name.clone()),
        }
    }

    fn known_key(
        &self,
        owner: &UserName,
        submission: &Submission,
    ) -> Result<Option<Answer>, Denied> {
        let Some(key) = &submission.key else {
            return Ok(None);
        };
        let Some(&id) = self.by_key.get(&(owner.clone(), key.clone())) else {
            return Ok(None);
        };
        let same = self
            .jobs
            .get(&id)
            .is_some_and(|job| job.submitter == submission.by.name);
        if same {
            Ok(Some(Answer::Submitted {
                job: id,
                existed: true,
            }))
        } else {
            Err(Denied::KeyReused {
                key: key.clone(),
                owner: owner.clone(),
                job: id,
            })
        }
    }

    /// Each resource that some job reserves and some host has costs a little for every host.
    fn bound_resources(&self, reservation: &Reservation) -> Result<(), Denied> {
        if self.planner.resources_with(&reservation.amounts) <= RESOURCES_MAX {
            return Ok(());
        }
        let why = format!(
            "the farm's jobs reserve {RESOURCES_MAX} different resources of its hosts already; use one of those"
        );
        Err(Denied::Invalid {
            field: "reservations",
            why,
        })
    }

    fn new_job(&mut self, t: &Turn<'_>, id: JobId, owner: UserName, submission: Submission) -> Job {
        let Submission { by, spec, key, .. } = submission;
        let (item, instance) = if submission.is_blocked {
            (ItemStatus::Blocked, InstanceStatus::Blocked)
        } else {
            (ItemStatus::Pending, InstanceStatus::Pending)
        };
        // Who may have none has none to end first.
        self.hold_at_limit(&owner);
        let class = self.take_class(Demands::of(&spec, id, &owner));
        let mut job = Job {
            id,
            owner,
            proof: by.proof.in_words(),
            submitter: by.name,
            key,
            submitted: t.now.wall,
            started: None,
            ended: None,
            order: i64::try_from(id.0).unwrap_or(i64::MAX),
            waits: Waits::default(),
            items: Items::new(&spec, item),
            instances: Instances::new(
                (0..spec.instances())
                    .map(|no| new_instance(InstanceNo(no), instance.clone()))
                    .collect(),
                spec.instances(),
            ),
            spec: Arc::new(spec),
            status: WorkStatus::Pending,
            bars: Vec::new(),
            visited: Default::default(),
            wrangle: Default::default(),
            losses: Default::default(),
            class,
            grown: None,
            took: Default::default(),
            stake: Stake::default(),
        };
        job.status = job.derive_status();
        job
    }

    pub(super) fn modify(
        &mut self,
        t: &mut Turn<'_>,
        by: &Principal,
        id: JobId,
        patch: &JobPatch,
    ) -> Result<Answer, Denied> {
        let job = self.jobs.get(&id).ok_or(Denied::NoJob(id))?;
        may_act(by, job, "modify")?;
        if patch.cpus.is_some() && job.is_cmdline() {
            let why =
                "each instance of a cmdline job is one run of its command; submit another job"
                    .into();
            return Err(Denied::Invalid { field: "cpus", why });
        }
        may_ask(&job.spec, patch.max_cpus)?;
        if let Some(reservation) = &patch.reservation {
            self.bound_resources(reservation)?;
        }
        if let Some(Some(after)) = &patch.after {
            self.check_new_waits(job, after)?;
        }
        let changed = patched_fields(patch, &job.spec);
        self.unready(id);
        if let Some(after) = &patch.after {
            self.wait_anew(id, after.clone());
        }
        let Some(job) = self.jobs.get_mut(&id) else {
            return Err(Denied::NoJob(id));
        };
        let before = job.spec.cluster.clone();
        let mut spec = (*job.spec).clone();
        apply_patch(&mut spec, patch);
        if let Some(most) = patch.max_cpus {
            spec.max_cpus = Some(self.config.smart_share.most(Some(most)));
        }
        job.spec = Arc::new(spec);
        job.instances.want(job.spec.instances());
        job.stake = job.stake();
        let demands = job.demands();
        let class = self.take_class(demands);
        if let Some(job) = self.jobs.get_mut(&id) {
            let before = std::mem::replace(&mut job.class, class);
            self.planner.drop_class(before);
        }
        self.move_share(id, &before);
        self.regrow(id, true);
        self.join_group(id);
        self.pace(&Paced::Job(id));
        if self.planner.asks_each() {
            // What is on duty there says something else of itself now.
            let hosts: Vec<_> = self.launches_of(id).map(|launch| launch.host).collect();
            hosts.into_iter().for_each(|host| self.refresh_host(host));
        }
        self.note_modified(id);
        self.resize(t, id);
        t.change(Change::JobWhole(id));
        t.event(
            kind::JOB_MODIFIED,
            About::job(id).by(&by.name),
            format!("changed {}", changed.join(", ")),
        );
        self.settle(t, id);
        if self.badlogins.contains(&id) {
            // Where it may run now, its account may be good.
            self.release_badlogin(t, id);
        }
        Ok(Answer::Done)
    }

    /// Makes the number of instances what the description says: new ones are pending, surplus ones finish their item.
    fn resize(&mut self, t: &mut Turn<'_>, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let want = job.spec.instances();
        let have = u32::try_from(job.instances.len()).unwrap_or(u32::MAX);
        let all_blocked = job
            .instances
            .iter()
            .all(|i| i.status == InstanceStatus::Blocked);
        let status = match (all_blocked, job.status.is_ended()) {
            (true, _) => InstanceStatus::Blocked,
            (_, true) => InstanceStatus::Complete,
            _ => InstanceStatus::Pending,
        };
        for no in have..want {
            job.instances
                .push(new_instance(InstanceNo(no), status.clone()));
            t.change(Change::Instance(id, InstanceNo(no)));
        }
        (have..want).for_each(|no| self.instance_moved(id, InstanceNo(no)));
        // An instance that an earlier, smaller number had retired comes back when there is work: see `settle`.
        for no in want..have {
            self.retire_instance(t, id, InstanceNo(no));
        }
    }
}

/// Who is no administrator may not have jobs come before those of all others.
fn check_flags(submission: &Submission) -> Result<(), Denied> {
    let by = &submission.by;
    if by.is_admin || !submission.spec.flags.contains(&JobFlag::Elite) {
        return Ok(());
    }
    Err(Denied::Forbidden {
        by: by.name.clone(),
        what: "submit with the flag elite".into(),
        why: "only the farm's administrators may; priority 1 is the best of the others".into(),
    })
}

pub(super) fn new_instance(no: InstanceNo, status: InstanceStatus) -> Instance {
    Instance {
        no,
        status,
        launch_last: LaunchNo(0),
        retries_used: 0,
        losses: 0,
        last_host: None,
        failure: None,
    }
}

/// Says whether somebody may act on a job: its owner, who submitted it, and administrators.
pub(super) fn may_act(by: &Principal, job: &Job, what: &str) -> Result<(), Denied> {
    if by.is_admin || by.name == job.owner || by.name == job.submitter {
        return Ok(());
    }
    Err(Denied::Forbidden {
        by: by.name.clone(),
        what: format!("{what} job {}", job.id),
        why: format!(
            "it is {}'s; its owner and the farm's administrators may",
            job.owner
        ),
    })
}

/// Names what a patch changes; of numbers, what they were and what they become.
fn patched_fields(patch: &JobPatch, spec: &JobSpec) -> Vec<String> {
    let numbers = [
        (patch.priority, "priority", spec.priority),
        (patch.cpus, "cpus", spec.cpus),
        (
            patch.max_cpus,
            "max-cpus",
            spec.max_cpus.unwrap_or_default(),
        ),
        (patch.retrywork, "retrywork", spec.retrywork),
        (patch.retrysubjob, "retrysubjob", spec.retrysubjob),
        (patch.max_failures, "max-failures", spec.max_failures),
        (patch.retry_oom, "retry-oom", spec.retry_oom),
    ];
    let in_words = |name: &str| {
        let known = numbers.iter().find(|(_, of, _)| *of == name);
        match known {
            Some((Some(to), _, from)) => format!("{name} from {from} to {to}"),
            _ => name.to_owned(),
        }
    };
    let fields = [
        (patch.name.is_some(), "name"),
        (patch.priority.is_some(), "priority"),
        (patch.cpus.is_some(), "cpus"),
        (patch.max_cpus.is_some(), "max-cpus"),
        (patch.reservation.is_some(), "reservations"),
        (patch.hosts.is_some(), "hosts"),
        (patch.omithosts.is_some(), "omithosts"),
        (patch.cluster.is_some(), "cluster"),
        (patch.restrictions.is_some(), "restrictions"),
        (patch.requirements.is_some(), "requirements"),
        (patch.host_order.is_some(), "host-order"),
        (patch.groups.is_some(), "groups"),
        (patch.omitgroups.is_some(), "omitgroups"),
        (patch.retrywork.is_some(), "retrywork"),
        (patch.retrywork_delay.is_some(), "retryworkdelay"),
        (patch.retrysubjob.is_some(), "retrysubjob"),
        (patch.retry_oom.is_some(), "retry-oom"),
        (patch.pgrp_limit.is_some(), "pgrp-limit"),
        (patch.per_host.is_some(), "per-host"),
        (patch.start_rate.is_some(), "start-rate"),
        (patch.timelimit.is_some(), "timelimit"),
        (patch.agendatimelimit.is_some(), "agendatimelimit"),
        (patch.silence_limit.is_some(), "silence-limit"),
        (patch.after.is_some(), "after"),
        (patch.mail.is_some(), "mail"),
        (patch.webhooks.is_some(), "webhooks"),
        (patch.max_failures.is_some(), "max-failures"),
        (patch.notes.is_some(), "notes"),
    ];
    fields
        .into_iter()
        .filter(|(is_set, _)| *is_set)
        .map(|(_, name)| in_words(name))
        .collect()
}

fn apply_patch(spec: &mut JobSpec, patch: &JobPatch) {
    fn set<T: Clone>(field: &mut T, value: Option<&T>) {
        if let Some(value) = value {
            field.clone_from(value);
        }
    }
    set(&mut spec.name, patch.name.as_ref());
    set(&mut spec.priority, patch.priority.as_ref());
    set(&mut spec.cpus, patch.cpus.as_ref());
    set(&mut spec.reservation, patch.reservation.as_ref());
    set(&mut spec.hosts, patch.hosts.as_ref());
    set(&mut spec.omithosts, patch.omithosts.as_ref());
    set(&mut spec.cluster, patch.cluster.as_ref());
    set(&mut spec.restrictions, patch.restrictions.as_ref());
    set(&mut spec.requirements, patch.requirements.as_ref());
    set(&mut spec.host_order, patch.host_order.as_ref());
    set(&mut spec.groups, patch.groups.as_ref());
    set(&mut spec.omitgroups, patch.omitgroups.as_ref());
    set(&mut spec.retrywork, patch.retrywork.as_ref());
    set(&mut spec.retrywork_delay, patch.retrywork_delay.as_ref());
    set(&mut spec.retrysubjob, patch.retrysubjob.as_ref());
    set(&mut spec.retry_oom, patch.retry_oom.as_ref());
    set(&mut spec.limits.pgrp, patch.pgrp_limit.as_ref());
    set(&mut spec.limits.per_host, patch.per_host.as_ref());
    set(&mut spec.limits.start_rate, patch.start_rate.as_ref());
    set(&mut spec.mail, patch.mail.as_ref());
    set(&mut spec.webhooks, patch.webhooks.as_ref());
    set(&mut spec.max_failures, patch.max_failures.as_ref());
    set(&mut spec.timelimit, patch.timelimit.as_ref());
    set(&mut spec.agendatimelimit, patch.agendatimelimit.as_ref());
    set(&mut spec.silence_limit, patch.silence_limit.as_ref());
    set(&mut spec.notes, patch.notes.as_ref());
}
