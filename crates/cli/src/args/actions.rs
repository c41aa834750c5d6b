//! Arguments of the verbs on jobs, instances and frames.

use clap::Args;
use tessera_spec::Selector;

/// Jobs that one run of numbers names, at most.
const RUN_MAX: u64 = 100_000;

/// What a verb is done to.
#[derive(Debug, Args)]
pub struct ActionArgs {
    /// Jobs 12 or 12-15, instances 12.0, frames 12:7 or 12:1-10,15, items by place 12#3
    #[arg(required_unless_present_any = ["user", "mine"], value_name = "TARGET", value_parser = meant)]
    pub targets: Vec<Meant>,
    /// All jobs of this owner that it can be done to
    #[arg(long, value_name = "ACCOUNT", conflicts_with_all = ["targets", "mine"])]
    pub user: Option<String>,
    /// All of mine
    #[arg(long, conflicts_with = "targets")]
    pub mine: bool,
    /// Of those jobs the ones in this state, or in one of several with commas
    #[arg(long, value_name = "STATE")]
    pub state: Option<String>,
}

/// What one target names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meant {
    /// Just that.
    One(Selector),
    /// Those of the jobs with these numbers that are there, the first and the last among them.
    Run(u64, u64),
}

/// Reads a target of a verb.
fn meant(text: &str) -> Result<Meant, String> {
    let run = text.split_once('-').and_then(|(first, last)| {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        (is_number(first) && is_number(last)).then_some((first, last))
    });
    let Some((first, last)) = run else {
        return super::target(text).map(Meant::One);
    };
    let number = |text: &str| {
        text.parse::<u64>()
            .map_err(|_| format!("{text} is no job's number"))
    };
    let (first, last) = (number(first)?, number(last)?);
    if first == 0 {
        return Err("jobs are numbered from 1".to_owned());
    }
    if last < first {
        return Err(format!(
            "the first of a run is not behind its last; write {last}-{first}"
        ));
    }
    if last - first >= RUN_MAX {
        return Err(format!("a run names at most {RUN_MAX} jobs"));
    }
    Ok(Meant::Run(first, last))
}

pub(super) const KILL: &str = "\
Examples:
  tessera kill 12             the whole job
  tessera kill 12:1-10,15     eleven of its frames
  tessera kill 12.0           one instance; its frame goes back to pending
  tessera kill 12 13 14-20    several jobs; of a run what has not ended
  tessera kill --user mia     all that mia has in the farm
  tessera kill --mine --state pending

Processes get the polite signal, then the job's grace time, then the kill.";
pub(super) const BLOCK: &str = "\
Examples:
  tessera block 12            start nothing more; what runs is put back
  tessera block 12:50-100     some of its frames";
pub(super) const UNBLOCK: &str = "\
Examples:
  tessera unblock 12
  tessera unblock 12:1-10";
pub(super) const INTERRUPT: &str = "\
Examples:
  tessera interrupt 12:7      frame 7 begins again when there is a free slot
  tessera interrupt 12        every running frame does

No retry is used up.";
pub(super) const PREEMPT: &str = "\
Examples:
  tessera preempt 12          give the hosts back after the current frames
  tessera preempt 12.0";
pub(super) const MIGRATE: &str = "\
Examples:
  tessera migrate 12.0        the instance goes to another host
  tessera migrate 12:7        so does frame 7

The job keeps off the hosts that it left for supervisor_migrate_timeout (20
minutes unless configured), or until the supervisor is restarted. For good:
tessera modify 12 --omithosts HOST";
pub(super) const SUSPEND: &str = "\
Examples:
  tessera suspend 12          the processes keep their memory and do nothing
  tessera suspend 12.0

Time limits do not run meanwhile.";
pub(super) const RESUME: &str = "\
Examples:
  tessera resume 12";
pub(super) const RETRY: &str = "\
Examples:
  tessera retry 12            its failed and killed frames, or all
  tessera retry 12:7          frame 7 does
  tessera retry 12.0          an instance that failed or waits in badlogin";
pub(super) const REQUEUE: &str = "\
Examples:
  tessera requeue 12          like retry, and held until it is unblocked";
pub(super) const RETIRE: &str = "\
Examples:
  tessera retire 12.1         one instance fewer, once its frame is done";
pub(super) const COMPLETE: &str = "\
Examples:
  tessera complete 12:7       go on without frame 7
  tessera complete 12";
pub(super) const FAIL: &str = "\
Examples:
  tessera fail 12:7
  tessera fail 12";
pub(super) const REMOVE: &str = "\
Examples:
  tessera remove 12           the images that it made stay where they are";
pub(super) const TOP: &str = "\
Examples:
  tessera top 12              the next of its priority";
pub(super) const BOTTOM: &str = "\
Examples:
  tessera bottom 12           the last of its priority";

/// What to change about jobs.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tessera modify 12 --priority 50
  tessera modify 12 --hosts rnd001,rnd002 --cpus 8
  tessera modify 12 --agendatimelimit none      take the limit away
  tessera modify 12 --mail done,failed          write mail then; none: never")]
pub struct ModifyArgs {
    /// Whole jobs
    #[arg(required = true, value_name = "JOB", value_parser = super::job)]
    pub jobs: Vec<u64>,
    /// Name for people
    #[arg(long)]
    pub name: Option<String>,
    /// 1 (first) to 9999
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = super::priority)]
    pub priority: Option<i64>,
    /// Number of instances
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub cpus: Option<i64>,
    /// Number of instances where nobody else wants the room; '*': as many as the farm allows, 0: no more than --cpus
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = super::max_cpus)]
    pub max_cpus: Option<i64>,
    /// What each instance that starts from now on takes of its host, as in submit; an empty text: one slot
    #[arg(long, value_name = "LIST")]
    pub reservations: Option<String>,
    /// Only these hosts; an empty text: any
    #[arg(long, value_name = "LIST")]
    pub hosts: Option<String>,
    /// Never these hosts; an empty text: none are left out
    #[arg(long, value_name = "LIST")]
    pub omithosts: Option<String>,
    /// Clusters that the job is in; an empty text: /
    #[arg(long, value_name = "LIST")]
    pub cluster: Option<String>,
    /// Only in these clusters; an empty text: any
    #[arg(long, value_name = "LIST")]
    pub restrictions: Option<String>,
    /// Only where this holds; an empty text: anywhere
    #[arg(long, value_name = "EXPR")]
    pub requirements: Option<String>,
    /// Host to pick first; an empty text: any
    #[arg(
        long,
        alias = "hostorder",
        value_name = "LIST",
        allow_hyphen_values = true
    )]
    pub host_order: Option<String>,
    /// Only in one of these groups; an empty text: any
    #[arg(long, value_name = "LIST")]
    pub groups: Option<String>,
    /// Never in these groups; an empty text: none
    #[arg(long, value_name = "LIST")]
    pub omitgroups: Option<String>,
    /// Retries of a frame
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub retrywork: Option<i64>,
    /// Pause before a frame is retried: 30, 30s, 5m, 2h
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    pub retryworkdelay: Option<String>,
    /// Retries of an instance
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub retrysubjob: Option<i64>,
    /// Tries of a frame that ran out of memory, each with half as much again
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub retry_oom: Option<i64>,
    /// Instances that all jobs of its process group may have at once; -1: no limit
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub pgrp_limit: Option<i64>,
    /// Instances of it that one host may have at once; -1: no limit
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub per_host: Option<i64>,
    /// How quickly its instances may start: 5/s, 10/min; none: no limit
    #[arg(long, value_name = "RATE")]
    pub start_rate: Option<String>,
    /// Longest run of an instance; none: no limit
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    pub timelimit: Option<String>,
    /// Longest run of a frame; none: no limit
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    pub agendatimelimit: Option<String>,
    /// Longest time without output; none: no limit
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    pub silence_limit: Option<String>,
    /// What its frames start after, instead of what they waited for: 12, 12:frames, 12:done; none: nothing
    #[arg(long, value_name = "WHAT")]
    pub after: Option<String>,
    /// Write mail from now on when it is done, failed, killed, blocked, stranded, badlogin, or at frame_failed; none: never
    #[arg(long, value_name = "WHEN")]
    pub mail: Option<String>,
    /// Begin nothing more once so many frames failed; 0: go on whatever fails
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub max_failures: Option<i64>,
    /// To this address instead of its owner's
    #[arg(long, value_name = "ADDRESS", requires = "mail")]
    pub mail_to: Option<String>,
    /// Tell these webhooks of the farm's from now on: chat=done,failed; none: no one
    #[arg(long, value_name = "CHANNEL=WHEN")]
    pub webhook: Vec<String>,
    /// Free text
    #[arg(long)]
    pub notes: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_jobs_are_told_from_frames_and_bounded() {
        assert_eq!(meant("1-5"), Ok(Meant::Run(1, 5)));
        assert_eq!(meant("7-7"), Ok(Meant::Run(7, 7)));
        for one in ["12", "12:1-10,15", "12:-5", "12.0", "12#1-3"] {
            let selector: Selector = one.parse().expect(one);
            assert_eq!(meant(one), Ok(Meant::One(selector)), "{one}");
        }
        for (bad, why) in [
            ("0-3", "numbered from 1"),
            ("5-1", "write 1-5"),
            ("1-100001", "at most 100000"),
            ("1-99999999999999999999", "no job's number"),
            ("1-x", "does not begin with the number of a job"),
            ("-3", "does not begin with the number of a job"),
        ] {
            let said = meant(bad).expect_err(bad);
            assert!(said.contains(why), "{bad}: {said}");
        }
        assert_eq!(meant("1-100000"), Ok(Meant::Run(1, 100_000)));
    }
}
