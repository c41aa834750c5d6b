//! Verbs on jobs, instances and frames.

use super::{Context, chosen};
use crate::Exit;
use crate::args::{ActionArgs, Command, ModifyArgs};
use crate::error::CliError;
use crate::show;
use tessera_api::TARGETS_MAX;
use tessera_api::types::{
    ActionReply, ActionRequest, Changed, ModifyRequest, Quantity, TargetResult,
};
use tessera_model::Action;

/// Carries out a verb.
pub(super) async fn act(command: Command, context: &Context) -> Result<Exit, CliError> {
    let Some((action, args)) = verb(command) else {
        return Err(CliError::failed(
            "this command asks nothing of the supervisor",
        ));
    };
    let client = context.client()?;
    let targets = chosen::targets(&client, action, args).await?;
    let mut all = ActionReply::default();
    for targets in targets.chunks(TARGETS_MAX) {
        let targets = targets.to_vec();
        let request = ActionRequest {
            action: action.word().to_owned(),
            targets,
        };
        all.results.extend(client.act(&request).await?.results);
    }
    finish(past(action), &all, context)
}

fn verb(command: Command) -> Option<(Action, ActionArgs)> {
    Some(match command {
        Command::Kill(args) => (Action::Kill, args),
        Command::Block(args) => (Action::Block, args),
        Command::Unblock(args) => (Action::Unblock, args),
        Command::Interrupt(args) => (Action::Interrupt, args),
        Command::Preempt(args) => (Action::Preempt, args),
        Command::Migrate(args) => (Action::Migrate, args),
        Command::Suspend(args) => (Action::Suspend, args),
        Command::Resume(args) => (Action::Resume, args),
        Command::Retry(args) => (Action::Retry, args),
        Command::Requeue(args) => (Action::Requeue, args),
        Command::Retire(args) => (Action::Retire, args),
        Command::Complete(args) => (Action::Complete, args),
        Command::Fail(args) => (Action::Fail, args),
        Command::Remove(args) => (Action::Remove, args),
        Command::Top(args) => (Action::Top, args),
        Command::Bottom(args) => (Action::Bottom, args),
        _ => return None,
    })
}

/// Answers what was done, in a word.
fn past(action: Action) -> &'static str {
    match action {
        Action::Kill => "killed",
        Action::Block => "blocked",
        Action::Unblock => "unblocked",
        Action::Interrupt => "interrupted",
        Action::Preempt => "preempted",
        Action::Migrate => "migrated",
        Action::Suspend => "suspended",
        Action::Resume => "resumed",
        Action::Retry => "retried",
        Action::Requeue => "requeued",
        Action::Retire => "retired",
        Action::Complete => "completed",
        Action::Fail => "failed",
        Action::Remove => "removed",
        Action::Modify => "modified",
        Action::Top => "to the top:",
        Action::Bottom => "to the bottom:",
    }
}

/// Prints what came of the targets; the first refusal gives the exit code.
fn finish(done: &str, reply: &ActionReply, context: &Context) -> Result<Exit, CliError> {
    context.show(reply, |look, reply| show::actions(look, done, reply))?;
    let mut exit = Exit::Done;
    for result in &reply.results {
        let Some(error) = &result.error else { continue };
        let mut error = CliError::from(error.clone());
        if exit == Exit::Done {
            exit = error.exit;
        }
        error.message = format!("{}: {}", result.target, error.message);
        context.complain(&error);
    }
    Ok(exit)
}

/// Changes jobs.
pub(super) async fn modify(args: ModifyArgs, context: &Context) -> Result<Exit, CliError> {
    let client = context.client()?;
    let jobs = args.jobs.clone();
    let change = change(args);
    if change == ModifyRequest::default() {
        return Err(
            CliError::usage("nothing to change was named").hint("for instance: --priority 50")
        );
    }
    let mut reply = ActionReply::default();
    for job in jobs {
        let (ok, error) = match client.modify(job, &change).await {
            Ok(()) => (Some(Changed::default()), None),
            Err(tessera_api::ClientError::Api(error)) => (None, Some(error)),
            Err(other) => return Err(other.into()),
        };
        reply.results.push(TargetResult {
            target: job.to_string(),
            ok,
            error,
        });
    }
    finish(past(Action::Modify), &reply, context)
}

fn change(args: ModifyArgs) -> ModifyRequest {
    ModifyRequest {
        name: args.name,
        priority: args.priority,
        cpus: args.cpus,
        max_cpus: args.max_cpus,
        reservations: args.reservations,
        hosts: args.hosts.map(|list| split(&list)),
        omithosts: args.omithosts.map(|list| split(&list)),
        cluster: args.cluster,
        restrictions: args.restrictions,
        requirements: args.requirements,
        host_order: args.host_order,
        groups: args.groups.map(|list| split(&list)),
        omitgroups: args.omitgroups.map(|list| split(&list)),
        retrywork: args.retrywork,
        retryworkdelay: args.retryworkdelay.map(Quantity),
        retrysubjob: args.retrysubjob,
        retry_oom: args.retry_oom,
        pgrp_limit: args.pgrp_limit,
        per_host: args.per_host,
        start_rate: args.start_rate,
        timelimit: args.timelimit.map(Quantity),
        agendatimelimit: args.agendatimelimit.map(Quantity),
        silence_limit: args.silence_limit.map(Quantity),
        after: args.after,
        mail: args.mail.map(|list| split(&list)),
        mail_to: args.mail_to,
        webhooks: Some(args.webhook).filter(|all| !all.is_empty()),
        max_failures: args.max_failures,
        notes: args.notes,
    }
}

/// Takes a comma list apart.
pub(super) fn split(list: &str) -> Vec<String> {
    list.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}
