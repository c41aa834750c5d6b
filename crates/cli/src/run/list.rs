//! Commands that show jobs.

use super::Context;
use crate::Exit;
use crate::args::{
    AuditArgs, DepsArgs, ErrorsArgs, FramesArgs, HistArgs, JobArgs, JobsArgs, WhyArgs,
};
use crate::error::CliError;
use crate::show;
use std::collections::VecDeque;
use tessera_api::query::{AuditQuery, ErrorsQuery, HistoryQuery, ItemsQuery, JobsQuery};
use tessera_api::types::{Audit, Event, History, ItemRow, Items, Jobs};
use tessera_api::{Client, PAGE_MAX};
use tessera_spec::{Selector, What, range};

/// Lists jobs.
pub(super) async fn jobs(args: JobsArgs, context: &Context) -> Result<Exit, CliError> {
    let client = context.client()?;
    let user = if args.mine {
        Some(client.info().await?.caller.name)
    } else {
        args.user
    };
    let wanted = if args.all {
        usize::MAX
    } else {
        args.limit as usize
    };
    let mut query = JobsQuery {
        user,
        state: args.state,
        name: args.name,
        ..JobsQuery::default()
    };
    let mut found = Jobs::default();
    loop {
        query.limit = page_limit(wanted - found.jobs.len());
        let page = client.jobs(&query).await?;
        found.jobs.extend(page.jobs);
        found.next = page.next;
        found.notices = page.notices;
        if found.next.is_none() || found.jobs.len() >= wanted {
            break;
        }
        query.cursor.clone_from(&found.next);
    }
    context.show(&found, show::jobs)?;
    for notice in found.notices.iter().filter(|_| !context.json) {
        context.note("farm", notice);
    }
    Ok(Exit::Done)
}

fn page_limit(left: usize) -> Option<u32> {
    Some(u32::try_from(left).unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX))
}

/// Shows a job.
pub(super) async fn job(args: JobArgs, context: &Context) -> Result<Exit, CliError> {
    let detail = context.client()?.job(args.id).await?;
    context.show(&detail, show::job)?;
    Ok(Exit::Done)
}

/// Lists the frames of a job, or the attempts of one.
pub(super) async fn frames(args: FramesArgs, context: &Context) -> Result<Exit, CliError> {
    let client = context.client()?;
    let job = args.target.job.0;
    if args.attempts {
        let item = one_item(&client, &args.target).await?;
        let attempts = client.attempts(job, item).await?;
        context.show(&attempts, |look, attempts| {
            show::attempts(look, &attempts.attempts)
        })?;
        return Ok(Exit::Done);
    }
    let wanted = if args.all {
        usize::MAX
    } else {
        args.limit as usize
    };
    let query = ItemsQuery {
        state: args.state,
        ..ItemsQuery::default()
    };
    let items = match &args.target.what {
        What::Job => items(&client, job, query, wanted).await?,
        What::Frames(runs) => {
            let frames = Some(range::print(runs));
            items(&client, job, ItemsQuery { frames, ..query }, wanted).await?
        }
        What::Items(_) | What::Instance(_) => Items {
            items: vec![item_row(&client, job, one_item(&client, &args.target).await?).await?],
            next: None,
        },
    };
    context.show(&items, |look, items| {
        show::items(look, &items.items, items.next.is_some())
    })?;
    Ok(Exit::Done)
}

/// Reads items page by page, at most so many.
pub(crate) async fn items(
    client: &Client,
    job: u64,
    mut query: ItemsQuery,
    wanted: usize,
) -> Result<Items, CliError> {
    let mut found = Items::default();
    loop {
        query.limit = page_limit(wanted - found.items.len());
        let page = client.items(job, &query).await?;
        found.items.extend(page.items);
        found.next = page.next;
        if found.next.is_none() || found.items.len() >= wanted {
            return Ok(found);
        }
        query.cursor.clone_from(&found.next);
    }
}

async fn item_row(client: &Client, job: u64, index: u32) -> Result<ItemRow, CliError> {
    let all = items(client, job, ItemsQuery::default(), index as usize + 1).await?;
    let row = all.items.into_iter().find(|row| row.index == index);
    row.ok_or_else(|| {
        CliError::new(
            Exit::NotFound,
            format!("job {job} has no item #{}", u64::from(index) + 1),
        )
    })
}

/// Answers the place of the one item that a selector means.
pub(super) async fn one_item(client: &Client, target: &Selector) -> Result<u32, CliError> {
    let job = target.job.0;
    match &target.what {
        What::Job => only_or_running(client, job).await,
        What::Instance(number) => instance_item(client, job, number.0).await,
        What::Frames(runs) => {
            let query = ItemsQuery {
                frames: Some(range::print(runs)),
                ..ItemsQuery::default()
            };
            exactly_one(target, &items(client, job, query, 2).await?.items)
        }
        What::Items(runs) => match runs.as_slice() {
            [run] if run.count == 1 => u32::try_from(run.start - 1)
                .map_err(|_| CliError::usage(format!("job {job} has no item #{}", run.start))),
            _ => Err(several(target)),
        },
    }
}

fn exactly_one(target: &Selector, rows: &[ItemRow]) -> Result<u32, CliError> {
    match rows {
        [row] => Ok(row.index),
        [] => Err(CliError::new(
            Exit::NotFound,
            format!("job {} has no frame {target}", target.job),
        )),
        _ => Err(several(target)),
    }
}

fn several(target: &Selector) -> CliError {
    CliError::usage(format!("{target} means several frames; name one"))
        .hint(format!("tessera frames {} lists them", target.job))
}

/// Answers the only item of a job, or the running one that started last.
async fn only_or_running(client: &Client, job: u64) -> Result<u32, CliError> {
    let detail = client.job(job).await?;
    if detail.job.items.total == 1 {
        return Ok(0);
    }
    let query = ItemsQuery {
        state: Some("running".to_owned()),
        ..ItemsQuery::default()
    };
    let running = items(client, job, query, PAGE_MAX as usize).await?.items;
    let newest = running.iter().max_by_key(|row| row.started_ms);
    newest.map(|row| row.index).ok_or_else(|| {
        CliError::usage(format!(
            "job {job} has {} frames and none runs; name one",
            detail.job.items.total
        ))
        .hint(format!(
            "tessera frames {job} lists them; then for instance: tessera log {job}#1"
        ))
    })
}

/// Answers the item that an instance has, or, of a `cmdline` job, is.
async fn instance_item(client: &Client, job: u64, number: u32) -> Result<u32, CliError> {
    let detail = client.job(job).await?;
    let instance = detail.instances.iter().find(|row| row.instance == number);
    let Some(instance) = instance else {
        return Err(CliError::new(
            Exit::NotFound,
            format!("there is no instance {job}.{number}"),
        ));
    };
    let is_item = detail.job.kind == "cmdline";
    instance
        .item
        .or_else(|| is_item.then_some(number))
        .ok_or_else(|| {
            CliError::new(
                Exit::State,
                format!("instance {job}.{number} has no frame now"),
            )
            .hint(format!("tessera frames {job} lists the job's frames"))
        })
}

/// Shows what happened to a job: the last entries, the oldest first.
pub(super) async fn hist(args: HistArgs, context: &Context) -> Result<Exit, CliError> {
    let client = context.client()?;
    let limit = args.limit as usize;
    let job = args.target.job.0;
    let item = match &args.target.what {
        What::Job => None,
        What::Frames(_) | What::Items(_) => Some(one_item(&client, &args.target).await?),
        What::Instance(number) => {
            let text = format!("the history of instance {job}.{number} alone is not to be had");
            return Err(CliError::usage(text).hint(format!("tessera hist {job} has it, too")));
        }
    };
    let mut last: VecDeque<Event> = VecDeque::new();
    let mut query = HistoryQuery {
        after: None,
        limit: Some(PAGE_MAX),
        item,
    };
    loop {
        let page = client.history(job, &query).await?;
        last.extend(page.events);
        last.drain(..last.len().saturating_sub(limit));
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    let history = History {
        events: last.into(),
        next: None,
    };
    context.show(&history, |look, history| {
        show::history(look, job, &history.events)
    })?;
    Ok(Exit::Done)
}

/// Shows what people did, the newest last.
pub(super) async fn audit(args: AuditArgs, context: &Context) -> Result<Exit, CliError> {
    let client = context.client()?;
    let limit = args.limit as usize;
    let mut query = AuditQuery {
        before: None,
        actor: args.user,
        kinds: args.kind,
        limit: Some(PAGE_MAX.min(args.limit)),
    };
    let mut events = Vec::new();
    loop {
        let page = client.audit(&query).await?;
        events.extend(page.events);
        if page.next.is_none() || events.len() >= limit {
            break;
        }
        query.before = page.next;
    }
    events.truncate(limit);
    events.reverse();
    let audit = Audit { events, next: None };
    context.show(&audit, |look, audit| show::audit(look, &audit.events))?;
    Ok(Exit::Done)
}

/// Draws what waits for what.
pub(super) async fn deps(args: DepsArgs, context: &Context) -> Result<Exit, CliError> {
    let graph = context.client()?.deps(args.id).await?;
    if args.dot && !context.json {
        context.print(&show::deps_dot(&graph))?;
    } else {
        context.show(&graph, show::deps)?;
    }
    Ok(Exit::Done)
}

/// Shows what failed, put together by the line that tells why.
pub(super) async fn errors(args: &ErrorsArgs, context: &Context) -> Result<Exit, CliError> {
    let of = ErrorsQuery { job: args.job };
    let found = context.client()?.errors(&of).await?;
    context.show(&found, show::errors)?;
    Ok(Exit::Done)
}

/// Says why a job or a host does not run, or not more.
pub(super) async fn why(args: WhyArgs, context: &Context) -> Result<Exit, CliError> {
    let client = context.client()?;
    match args.what.parse::<Selector>() {
        Ok(Selector {
            job,
            what: What::Job,
        }) => context.show(&client.why(job.0).await?, show::why)?,
        Ok(target) => {
            let item = one_item(&client, &target).await?;
            context.show(&client.item_why(target.job.0, item).await?, show::item_why)?;
        }
        Err(_) => context.show(&client.host_why(&args.what).await?, show::host_why)?,
    }
    Ok(Exit::Done)
}
