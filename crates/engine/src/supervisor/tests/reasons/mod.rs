//! Each kind of reason: that the answer is right, and that following it lets the job run.

mod follow;
mod frames;
mod scenes;
mod told;

use super::*;
use why::{Kind, Reason};

impl World {
    /// Takes the reason of a kind that a job is told.
    #[track_caller]
    pub(super) fn reason(&self, job: JobId, kind: Kind) -> Reason {
        let all = self.engine.why(job).expect("there");
        let found = all.iter().find(|it| it.kind == kind).cloned();
        found.unwrap_or_else(|| panic!("nothing of {kind:?}: {all:?}"))
    }

    /// Takes the way out of a reason.
    #[track_caller]
    fn hint(&self, job: JobId, kind: Kind) -> String {
        self.reason(job, kind).hint.expect("a way out")
    }

    /// Says whether a frame of a job was begun since this was asked last.
    pub(super) fn begins(&mut self, job: JobId) -> bool {
        let said = std::mem::take(&mut self.said);
        let begins = |what: &ToWorker| match what {
            ToWorker::Start { key, .. } | ToWorker::Run { key, .. } => key.job == job,
            _ => false,
        };
        said.iter().any(|(_, what)| begins(what))
    }

    /// Ends a frame, and the launch that had it; of what was said meanwhile only what begins something is left.
    pub(super) fn finish(&mut self, order: (u8, LaunchKey, Run), end: End) {
        self.end(order, end);
        let begins =
            |what: &ToWorker| matches!(what, ToWorker::Start { .. } | ToWorker::Run { .. });
        self.said.retain(|(_, what)| begins(what));
        self.gone(order.0, order.1);
    }

    fn submit_as(&mut self, who: &str, spec: JobSpec) -> JobId {
        match self.try_submit(who, spec, None) {
            Ok(Answer::Submitted { job, .. }) => job,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn lock(&mut self, number: u8, is_locked: bool) {
        let (by, host) = (person("root"), host(number));
        let answer = self.step(Input::Lock {
            by,
            host,
            is_locked,
        });
        assert_eq!(answer, Some(Ok(Answer::Done)));
    }
}

/// Answers what shows that a reason of this kind is right and that following it lets the job run.
fn proof_of(kind: Kind) -> fn() {
    match kind {
        Kind::Ended => scenes::ended,
        Kind::InstanceFailed => scenes::instance_failed,
        Kind::Running => scenes::running,
        Kind::Secondary => share::why_says_what_is_secondary_and_what_keeps_it_from_more,
        Kind::Unreachable => scenes::unreachable,
        Kind::Blocked => scenes::blocked,
        Kind::Suspended => scenes::suspended,
        Kind::WaitsInVain => deps::what_cant_come_any_more_is_said_and_retrying_it_helps,
        Kind::WaitsForJobs => scenes::waits_for_jobs,
        Kind::RetryDelay => scenes::retry_delay,
        Kind::OutOfMemory => {
            reserve::a_grown_item_waits_for_a_host_that_is_large_enough_and_says_so
        }
        Kind::Pause => scenes::pause,
        Kind::AllItemsTaken => scenes::all_items_taken,
        Kind::Stopped => locks::a_farm_that_is_stopped_starts_nothing_and_goes_on_at_once,
        Kind::UserLimit => limits::why_says_the_limit_and_what_it_says_lets_the_job_run,
        Kind::GroupLimit => pgrp::why_says_who_has_the_instances_and_what_it_says_lets_the_job_run,
        Kind::HostLimit => per_host::why_says_how_many_are_there_and_what_it_says_lets_the_job_run,
        Kind::StartRate => pace::the_farm_starts_no_quicker_than_it_may_the_best_first,
        Kind::Ending => scenes::ending,
        Kind::NoHosts => scenes::no_hosts,
        Kind::NotAmongHosts => scenes::not_among_hosts,
        Kind::Omitted => scenes::omitted,
        Kind::NotInGroups | Kind::OmittedGroup => {
            groups::why_names_the_groups_and_what_it_says_lets_the_job_run
        }
        Kind::NotInCluster | Kind::HostRestricted => {
            clusters::why_names_restrictions_and_what_it_says_lets_the_job_run
        }
        Kind::Requirements => asking::why_tells_the_smallest_part_and_what_it_says_lets_the_job_run,
        Kind::HostDown => scenes::host_down,
        Kind::HostPanic => scenes::host_panic,
        Kind::HostLocked => scenes::host_locked,
        Kind::HostAway => scenes::host_away,
        Kind::OtherDesktop => desks::a_desktop_gets_jobs_of_those_whom_its_person_lets_in,
        Kind::AccountRefused => scenes::account_refused,
        Kind::CredentialCheck => {
            credentials::checks::why_says_that_a_password_is_checked_and_then_it_runs
        }
        Kind::Migrated => scenes::migrated,
        Kind::RanThere => once::why_says_that_a_host_has_had_its_run_and_what_lets_the_rest_run,
        Kind::Wrangled => wrangle::why_says_which_hosts_a_job_keeps_off_and_what_it_says_helps,
        Kind::Full => scenes::full,
        Kind::NotIdle => scenes::not_idle,
        Kind::Reserved => scenes::reserved,
        Kind::GpuSlots => gpu_slots::why_says_what_is_kept_and_what_it_says_lets_the_job_run,
        Kind::TooSmall => scenes::too_small,
        Kind::BehindJobs => scenes::behind_jobs,
        Kind::Share => weights::why_says_what_the_shares_have_and_what_it_says_lets_the_job_run,
        Kind::Preempting => preempt::a_passive_policy_lets_the_lower_go_at_the_end_of_its_frame,
        Kind::CouldPreempt => preempt::where_it_is_disabled_why_says_whom_a_person_could_preempt,
        Kind::Grid => gang::why_says_for_how_many_there_is_room_and_what_it_says_lets_the_job_run,
        Kind::Emptied => wide::words::why_says_which_host_is_emptied_and_until_when,
        Kind::ReservedForJob => {
            wide::words::why_says_for_whom_a_host_is_reserved_and_what_it_says_lets_the_job_run
        }
        Kind::ResourceUnknown | Kind::ResourceTooSmall => {
            globals::what_the_farm_does_not_have_waits_and_why_says_what_was_meant
        }
        Kind::ResourceInUse => {
            globals::no_more_is_given_than_there_is_and_what_comes_back_goes_to_who_waits
        }
    }
}

#[test]
fn each_reason_is_right_and_following_it_lets_the_job_run() {
    let mut words = std::collections::BTreeSet::new();
    for kind in Kind::ALL {
        assert!(words.insert(kind.word()), "{kind:?}");
        proof_of(kind)();
    }
}
