//! Commands about hosts, tokens and the farm.

use super::replace::{self, Over};
use super::{Context, lock};
use crate::Exit;
use crate::args::{
    CleanupArgs, HostArgs, HostCommand, HostsArgs, JoinStringArgs, NotifyCommand, ReconfigureArgs,
    SiteCommand, TokenCommand,
};
use crate::error::CliError;
use crate::out::{Tone, text};
use crate::show;
use serde::Serialize;
use tessera_api::Client;
use tessera_api::query::RemoveHostQuery;
use tessera_api::types::{
    CalendarRequest, CleanupRequest, JoinTokenRequest, LockRequest, NotifyTest, ReconfigureRequest,
    SetMailWishes, TokenRequest, UnlockRequest, WhileActive,
};
use tessera_spec::quantity;

/// Lists hosts.
pub(super) async fn hosts(args: HostsArgs, context: &Context) -> Result<Exit, CliError> {
    let mut hosts = context.client()?.hosts().await?;
    let are_there = !hosts.hosts.is_empty();
    if let Some(state) = &args.state {
        hosts
            .hosts
            .retain(|host| host.status == *state || show::host_state(host) == state);
    }
    if let (Some(state), true, true, false) =
        (&args.state, are_there, hosts.hosts.is_empty(), context.json)
    {
        context.print(&format!("no host is {state}\n"))?;
        return Ok(Exit::Done);
    }
    context.show(&hosts, |look, hosts| show::hosts(look, &hosts.hosts))?;
    Ok(Exit::Done)
}

/// Shows a host, or changes hosts.
pub(super) async fn host(args: HostArgs, context: &Context) -> Result<Exit, CliError> {
    let name = match (args.command, args.host) {
        (Some(HostCommand::Lock(args)), _) => return lock::lock(args, context).await,
        (Some(HostCommand::Unlock(args)), _) => return lock::unlock(args, context).await,
        (Some(HostCommand::Remove(args)), _) => {
            let how = HostChange::Remove(RemoveHostQuery { force: args.force });
            return change_hosts(how, args.names.hosts, context).await;
        }
        (Some(HostCommand::Show { host }), _) | (None, Some(host)) => host,
        (None, None) => {
            return Err(CliError::usage("no host was named").hint("tessera hosts lists them"));
        }
    };
    let detail = context.client()?.host(&name).await?;
    context.show(&detail, show::host)?;
    Ok(Exit::Done)
}

/// What can be done to a host.
#[derive(Debug, Clone)]
pub(super) enum HostChange {
    Lock(LockRequest),
    Calendar(CalendarRequest),
    LockWhileActive(WhileActive),
    Unlock(UnlockRequest),
    Remove(RemoveHostQuery),
}

/// What came of a host, as JSON.
#[derive(Serialize)]
struct Changed<'a> {
    host: &'a str,
    done: &'static str,
}

impl HostChange {
    fn past(&self) -> &'static str {
        match self {
            Self::Lock(how) if how.drain => "to be emptied:",
            Self::Lock(how) if how.slots.is_some() => "slots locked:",
            Self::Lock(_) => "locked",
            Self::Calendar(when) if when.calendar.trim().is_empty() => "without a calendar:",
            Self::Calendar(_) => "locked each week:",
            Self::LockWhileActive(_) => "locked while somebody is active:",
            Self::Unlock(which) if which.slots.is_some() => "slots unlocked:",
            Self::Unlock(_) => "unlocked",
            Self::Remove(_) => "removed",
        }
    }

    async fn apply(&self, client: &Client, host: &str) -> Result<(), tessera_api::ClientError> {
        match self {
            Self::Lock(how) => client.lock_host_so(host, how).await,
            Self::Calendar(when) => client.lock_host_calendar(host, when).await,
            Self::LockWhileActive(rule) => client.lock_host_while_active(host, rule).await,
            Self::Unlock(which) => client.unlock_host_slots(host, which).await,
            Self::Remove(how) => client.remove_host(host, how).await,
        }
    }
}

/// Does something to hosts, one after another; the first refusal gives the exit code.
pub(super) async fn change_hosts(
    change: HostChange,
    hosts: Vec<String>,
    context: &Context,
) -> Result<Exit, CliError> {
    let client = context.client()?;
    let mut exit = Exit::Done;
    let mut changed = Vec::new();
    for host in &hosts {
        match change.apply(&client, host).await {
            Ok(()) => changed.push(Changed {
                host,
                done: change.past(),
            }),
            Err(error) => {
                let mut error = CliError::from(error);
                exit = if exit == Exit::Done { error.exit } else { exit };
                error.message = format!("{host}: {}", error.message);
                context.complain(&error);
            }
        }
    }
    context.show(&changed, |look, changed| {
        let line = |one: &Changed| {
            format!(
                "{} {}\n",
                look.paint(Tone::Good, one.done),
                text::safe(one.host)
            )
        };
        changed.iter().map(line).collect()
    })?;
    Ok(exit)
}

/// Has the configuration of workers read anew. Hosts that say nothing in time make it fail: they may still take it.
pub(super) async fn reconfigure(
    args: ReconfigureArgs,
    context: &Context,
) -> Result<Exit, CliError> {
    let client = context.client()?;
    if args.show {
        return show_worker_file(&client, context).await;
    }
    let reply = match &args.from {
        Some(path) => {
            let over = match args.version {
                Some(version) => Over::Version(version),
                None if args.force => Over::Anything,
                None => Over::Nothing,
            };
            replace::replace(&client, path, over).await?
        }
        None => {
            let request = ReconfigureRequest { hosts: args.hosts };
            client.reconfigure(&request).await?
        }
    };
    context.show(&reply, show::reconfigured)?;
    let is_late = |it: &tessera_api::types::ReconfiguredHost| {
        let settings = it.settings.as_ref();
        settings.is_some_and(|it| it.is_current == Some(false))
    };
    let is_done = !reply.hosts.iter().any(is_late);
    Ok(if is_done { Exit::Done } else { Exit::Failed })
}

/// Prints the file of all workers as it stands; what is said of it goes to stderr, so that the text alone can be kept in a file.
async fn show_worker_file(client: &Client, context: &Context) -> Result<Exit, CliError> {
    let file = client.worker_file().await?;
    if let Some(why) = &file.unreadable {
        return Err(CliError::failed(why.clone()));
    }
    if context.json {
        context.print_json(&file)?;
        return Ok(Exit::Done);
    }
    context.print(file.text.as_deref().unwrap_or_default())?;
    let version = file.version.unwrap_or_default();
    context.note("version", &format!("version {version} of {}", file.file));
    if let Some(why) = &file.closed {
        context.note("closed", &format!("it can't be changed from here: {why}"));
    }
    Ok(Exit::Done)
}

/// Says which certificate of the site's own is shown, or has it read anew.
pub(super) async fn site(command: SiteCommand, context: &Context) -> Result<Exit, CliError> {
    let client = context.client()?;
    let told = match command {
        SiteCommand::Status => client.site_certificate().await?,
        SiteCommand::Reload => client.site_reload().await?,
    };
    context.show(&told, show::site)?;
    let is_good = told.problem.is_none();
    Ok(if is_good { Exit::Done } else { Exit::Failed })
}

/// Makes a join string.
pub(super) async fn join_string(args: JoinStringArgs, context: &Context) -> Result<Exit, CliError> {
    let request = JoinTokenRequest {
        note: args.note,
        minutes: Some(args.minutes),
    };
    let token = context.client()?.create_join_token(&request).await?;
    if let Some(address) = show::loopback_of(&token.join_string) {
        context.note("loopback", &unreachable_for_others(address));
    }
    context.show(&token, show::join_token)?;
    Ok(Exit::Done)
}

/// Makes a link that logs a browser in.
pub(super) async fn open(context: &Context) -> Result<Exit, CliError> {
    let link = context.client()?.create_session_link().await?;
    context.show(&link, show::session_link)?;
    Ok(Exit::Done)
}

fn unreachable_for_others(address: &str) -> String {
    format!(
        "the string names {address}, which only this machine reaches; for others start the supervisor \
         with --listen 0.0.0.0:{} (tessera up, too), or set supervisor_address = \"HOST:PORT\" in supervisor.toml",
        tessera_api::PORT_DEFAULT
    )
}

/// Makes, lists or revokes tokens.
pub(super) async fn token(args: TokenCommand, context: &Context) -> Result<Exit, CliError> {
    let client = context.client()?;
    match args {
        TokenCommand::Create {
            user,
            note,
            expires_days,
            admin,
            metrics,
        } => {
            let request = TokenRequest {
                user,
                note,
                expires_days: Some(expires_days),
                admin,
                metrics,
            };
            context.show(&client.create_token(&request).await?, show::new_token)?;
        }
        TokenCommand::List => {
            let tokens = client.tokens().await?;
            context.show(&tokens, |look, tokens| show::tokens(look, &tokens.tokens))?;
        }
        TokenCommand::Revoke { ids } => {
            let mut revoked = Vec::new();
            for id in ids {
                client.revoke_token(&id).await?;
                if context.json {
                    revoked.push(serde_json::json!({"token": id, "done": "revoked"}));
                } else {
                    context.print(&format!("revoked {}\n", text::safe(&id)))?;
                }
            }
            if context.json {
                context.print_json(&revoked)?;
            }
        }
    }
    Ok(Exit::Done)
}

/// Removes what is old, or says what would go.
pub(super) async fn cleanup(args: CleanupArgs, context: &Context) -> Result<Exit, CliError> {
    let quota = args.logs_quota.as_deref().map(quantity::size).transpose();
    let quota_bytes = quota.map_err(|error| {
        CliError::usage(format!("--logs-quota: {error}")).hint("a size is written 500M or 20G")
    })?;
    let request = CleanupRequest {
        older_than_days: args.older_than_days,
        quota_bytes,
        dry_run: args.dry_run,
    };
    let reply = context.client()?.cleanup(&request).await?;
    context.show(&reply, show::cleanup)?;
    Ok(Exit::Done)
}

/// Says who the farm takes the caller for.
pub(super) async fn whoami(context: &Context) -> Result<Exit, CliError> {
    let info = context.client()?.info().await?;
    context.show(&info, show::info)?;
    Ok(Exit::Done)
}

/// Lists channels, or tries them; exits 1 when a test was not taken.
pub(super) async fn notify(command: NotifyCommand, context: &Context) -> Result<Exit, CliError> {
    let client = context.client()?;
    let channel = match command {
        NotifyCommand::Status => {
            let all = client.channels().await?;
            context.show(&all, show::channels)?;
            return Ok(Exit::Done);
        }
        NotifyCommand::Set { on } => {
            let on = on.into_iter().filter(|word| word != "none").collect();
            let wishes = client.set_wishes(&SetMailWishes { on }).await?;
            context.show(&wishes, show::mail_wishes)?;
            return Ok(Exit::Done);
        }
        NotifyCommand::Show => {
            let wishes = client.wishes().await?;
            context.show(&wishes, show::mail_wishes)?;
            return Ok(Exit::Done);
        }
        NotifyCommand::Reload => {
            let done = client.notify_reload().await?;
            context.show(&done, show::notify_reloaded)?;
            return Ok(Exit::Done);
        }
        NotifyCommand::Test { channel } => channel,
    };
    let tested = client.notify_test(&NotifyTest { channel }).await?;
    context.show(&tested, |look, tested| {
        show::notify_tested(look, &tested.results)
    })?;
    let is_good = tested.results.iter().all(|it| it.is_taken);
    Ok(if is_good { Exit::Done } else { Exit::Failed })
}
