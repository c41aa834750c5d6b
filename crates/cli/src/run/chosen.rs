//! Which jobs a verb is done to when somebody means many: runs of numbers, and all of an owner.

use crate::Exit;
use crate::args::{ActionArgs, Meant};
use crate::error::CliError;
use std::collections::BTreeSet;
use tessera_api::query::JobsQuery;
use tessera_api::{Client, PAGE_MAX};
use tessera_model::Action;

/// Numbers that are asked about at once; the server takes no more.
const IDS_MAX: u64 = 1_000;

/// Answers the selectors of what is meant. Of jobs that are meant by the many, those are left out that the verb is not for.
///
/// # Errors
/// When the farm can't be asked, there is none of them, or the verb is not for many.
pub(super) async fn targets(
    client: &Client,
    action: Action,
    args: ActionArgs,
) -> Result<Vec<String>, CliError> {
    let user = match args.mine {
        true => Some(client.info().await?.caller.name),
        false => args.user,
    };
    let is_many = user.is_some() || args.targets.iter().any(|it| matches!(it, Meant::Run(..)));
    if !is_many {
        if args.state.is_some() {
            return Err(CliError::usage("--state chooses among many jobs")
                .hint("with --user, --mine, or a run of jobs such as 12-15"));
        }
        return Ok(args.targets.iter().filter_map(one).collect());
    }
    let state = match (args.state, usual(action)) {
        (Some(state), _) => state,
        (None, Some(usual)) => usual.to_owned(),
        (None, None) => {
            let said = format!("{action} of many jobs asks in which state they are");
            let hint = "for instance --state blocked; a job that only waits for others is shown blocked, too, and would start";
            return Err(CliError::usage(said).hint(hint));
        }
    };
    let mut found = Vec::new();
    for meant in &args.targets {
        match meant {
            Meant::One(_) => found.extend(one(meant)),
            Meant::Run(first, last) => {
                found.extend(jobs_of_run(client, (*first, *last), &state).await?);
            }
        }
    }
    if let Some(user) = &user {
        let query = JobsQuery {
            user: Some(user.clone()),
            state: Some(state.clone()),
            ..JobsQuery::default()
        };
        found.extend(jobs(client, query).await?);
    }
    let mut seen = BTreeSet::new();
    found.retain(|it| seen.insert(it.clone()));
    if found.is_empty() {
        let whose = user.map_or_else(String::new, |user| format!(" of {user}"));
        let said = format!("none of the jobs{whose} that are meant is there and {state}");
        return Err(CliError::new(Exit::NotFound, said).hint("tessera jobs shows what there is"));
    }
    Ok(found)
}

fn one(meant: &Meant) -> Option<String> {
    match meant {
        Meant::One(selector) => Some(selector.to_string()),
        Meant::Run(..) => None,
    }
}

/// Answers the states of jobs that a verb is for when nobody says which; nothing when that has to be said.
fn usual(action: Action) -> Option<&'static str> {
    match action {
        Action::Kill
        | Action::Block
        | Action::Interrupt
        | Action::Preempt
        | Action::Migrate
        | Action::Suspend
        | Action::Resume
        | Action::Retire
        | Action::Complete
        | Action::Fail
        | Action::Modify
        | Action::Top
        | Action::Bottom => Some("active"),
        Action::Retry | Action::Requeue => Some("failed,killed"),
        Action::Remove => Some("ended"),
        Action::Unblock => None,
    }
}

async fn jobs_of_run(
    client: &Client,
    (first, last): (u64, u64),
    state: &str,
) -> Result<Vec<String>, CliError> {
    let mut found = Vec::new();
    let mut next = first;
    while next <= last {
        let upto = last.min(next.saturating_add(IDS_MAX - 1));
        let ids: Vec<String> = (next..=upto).map(|id| id.to_string()).collect();
        let query = JobsQuery {
            ids: Some(ids.join(",")),
            state: Some(state.to_owned()),
            ..JobsQuery::default()
        };
        found.extend(jobs(client, query).await?);
        next = upto.saturating_add(1);
    }
    Ok(found)
}

/// Reads the numbers of all jobs of a list, the oldest first.
async fn jobs(client: &Client, mut query: JobsQuery) -> Result<Vec<String>, CliError> {
    query.limit = Some(PAGE_MAX);
    let mut ids: Vec<u64> = Vec::new();
    loop {
        let page = client.jobs(&query).await?;
        ids.extend(page.jobs.iter().map(|job| job.id));
        if page.next.is_none() {
            ids.sort_unstable();
            ids.dedup();
            return Ok(ids.iter().map(ToString::to_string).collect());
        }
        query.cursor = page.next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_start_jobs_that_only_wait_asks_for_a_state() {
        let asks = Action::ALL.into_iter().filter(|it| usual(*it).is_none());
        assert_eq!(asks.collect::<Vec<_>>(), [Action::Unblock]);
        assert_eq!(usual(Action::Kill), Some("active"));
        assert_eq!(usual(Action::Retry), Some("failed,killed"));
    }
}
