//! Registered passwords: typed, sealed here for the keys that are believed, sent.
//!
//! **Invariant:** a password is in memory between its typing and its sealing only, and never in an argument, a variable, a
//! file or an error.

use super::{Context, surroundings};
use crate::Exit;
use crate::args::{CredentialCommand, CredentialOf, CredentialRegisterArgs};
use crate::error::CliError;
use crate::local::pins::Pins;
use crate::show;
use std::collections::BTreeSet;
use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::time::Duration;
use tessera_api::Client;
use tessera_api::client::{BadOffer, SignedKey};
use tessera_api::types::{Credential, CredentialRef, Credentials, SealOffer};
use tessera_seal::{KeyId, PASSWORD_BYTES_MAX, PasswordProblem, Secret};

/// How long a check is waited for.
const CHECK_WITHIN: Duration = Duration::from_secs(60);
/// Pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Carries out a command about registered passwords.
pub(super) async fn credential(
    args: CredentialCommand,
    context: &Context,
) -> Result<Exit, CliError> {
    let client = context.client()?;
    match args {
        CredentialCommand::Register(args) => register(args, &client, context).await,
        CredentialCommand::Check(of) => {
            let begun = client.check_credential(&named(&of)).await?;
            told(&client, begun, context).await
        }
        CredentialCommand::Revoke(of) => {
            let revoked = client.revoke_credential(&named(&of)).await?;
            context.show(&revoked, show::credential)?;
            Ok(Exit::Done)
        }
        CredentialCommand::List => {
            let all = client.credentials().await?;
            context.show(&all, |look, all| show::credentials(look, &all.credentials))?;
            Ok(Exit::Done)
        }
        CredentialCommand::Keys(of) => {
            let offer = client.seal_offer(&named(&of)).await?;
            offer
                .signed_keys(client.pinned_ca())
                .map_err(|error| not_believed(&error))?;
            let known = pins()?.of(&offer.farm_id);
            context.show(&offer, |look, offer| {
                show::seal_keys(look, &offer.keys, &known)
            })?;
            Ok(Exit::Done)
        }
    }
}

fn named(of: &CredentialOf) -> CredentialRef {
    CredentialRef {
        kind: of.proxy.then(|| "proxy".to_owned()),
        account: of.user.clone(),
        pool: Some(of.pool.clone()),
    }
}

async fn register(
    args: CredentialRegisterArgs,
    client: &Client,
    context: &Context,
) -> Result<Exit, CliError> {
    let offer = client.seal_offer(&named(&args.of)).await?;
    let keys = offer
        .signed_keys(client.pinned_ca())
        .map_err(|error| not_believed(&error))?;
    let mut pins = pins()?;
    let keys = believed(keys, &offer, &pins, &args, context)?;
    let used: BTreeSet<KeyId> = keys.iter().map(|key| key.id).collect();
    context.say(&show::sealed_for(
        &context.errors,
        &offer,
        &args.domain,
        &used,
    ));
    let secret = password(args.stdin)?;
    let days = args.days.unwrap_or(offer.days_max);
    let sealed = offer.seal(&secret, &keys, &args.domain, days);
    let sealed =
        sealed.map_err(|error| CliError::failed(format!("it can't be sealed: {error}")))?;
    drop(secret);
    let begun = client.register_credential(&sealed).await?;
    pins.add(&offer.farm_id, used);
    pins.save().map_err(CliError::failed)?;
    told(client, begun, context).await
}

/// Answers the keys to seal for: those that were sealed for before, and new ones if the person wants so.
fn believed(
    keys: Vec<SignedKey>,
    offer: &SealOffer,
    pins: &Pins,
    args: &CredentialRegisterArgs,
    context: &Context,
) -> Result<Vec<SignedKey>, CliError> {
    let known = pins.of(&offer.farm_id);
    let fresh: BTreeSet<KeyId> = keys
        .iter()
        .map(|key| key.id)
        .filter(|id| !known.contains(id))
        .collect();
    if known.is_empty() {
        let said = "this is the first password that is sealed here for this farm: if you doubt its supervisor, compare the \
                    fingerprints with those in the workers' own logs first (tessera credential keys)";
        context.note("first_use", said);
        return Ok(keys);
    }
    if fresh.is_empty() || args.accept_new_keys {
        return Ok(keys);
    }
    context.say(&show::new_keys(&context.errors, offer, &fresh));
    if !args.stdin && std::io::stdin().is_terminal() && said_yes(context)? {
        return Ok(keys);
    }
    let kept: Vec<SignedKey> = keys
        .into_iter()
        .filter(|key| known.contains(&key.id))
        .collect();
    let is_asked = !args.stdin && std::io::stdin().is_terminal();
    if is_asked && !kept.is_empty() {
        return Ok(kept);
    }
    Err(CliError::new(
        Exit::Denied,
        "there are keys that no password was sealed for here before",
    )
    .hint("compare them with the workers' own logs, then use --accept-new-keys"))
}

fn said_yes(context: &Context) -> Result<bool, CliError> {
    context.say("Seal it for the new keys, too? [y/N] ");
    let mut line = String::new();
    let read = std::io::stdin().lock().take(16).read_line(&mut line);
    read.map_err(|error| CliError::failed(format!("can't read the answer: {error}")))?;
    Ok(["y", "yes"].contains(&line.trim().to_lowercase().as_str()))
}

/// Answers the password: typed twice on the terminal and not shown, or the first line of standard input.
fn password(is_stdin: bool) -> Result<Secret, CliError> {
    if is_stdin {
        return of_stdin();
    }
    let first = typed("Password: ")?;
    let second = typed("Again: ")?;
    if first.is_same(&second) {
        Ok(first)
    } else {
        Err(CliError::usage(
            "the two are not the same; nothing was registered",
        ))
    }
}

fn typed(prompt: &str) -> Result<Secret, CliError> {
    let typed = rpassword::prompt_password(prompt).map_err(|error| {
        CliError::usage(format!("there is no terminal to type it on: {error}")).hint(
            "scripts give it with --stdin; there is no option for it, since others could read that",
        )
    })?;
    Secret::password(typed).map_err(|problem| unusable(&problem))
}

fn of_stdin() -> Result<Secret, CliError> {
    // With room from the start: a text that grows leaves copies behind.
    let mut line = String::with_capacity(PASSWORD_BYTES_MAX + 3);
    let mut stdin = std::io::stdin().lock().take(PASSWORD_BYTES_MAX as u64 + 3);
    let read = stdin.read_line(&mut line);
    read.map_err(|error| CliError::failed(format!("can't read the password: {error}")))?;
    let length = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(length);
    Secret::password(line).map_err(|problem| unusable(&problem))
}

fn unusable(problem: &PasswordProblem) -> CliError {
    CliError::usage(problem.to_string())
}

fn not_believed(error: &BadOffer) -> CliError {
    CliError::new(Exit::Denied, error.to_string())
        .hint("nothing was sealed; tell who runs the farm, and do not type your password here")
}

fn pins() -> Result<Pins, CliError> {
    let farms = surroundings().farms;
    Pins::load(farms.as_deref().and_then(|path| path.parent())).map_err(CliError::failed)
}

/// Waits for what the check says, and says it.
async fn told(client: &Client, begun: Credential, context: &Context) -> Result<Exit, CliError> {
    let mut now = begun;
    let deadline = tokio::time::Instant::now() + CHECK_WITHIN;
    while now.status == "checking" && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(LOOK_EVERY).await;
        let Credentials { credentials } = client.credentials().await?;
        let is_it = |it: &Credential| {
            (&it.kind, &it.account, &it.pool) == (&now.kind, &now.account, &now.pool)
        };
        now = credentials.into_iter().find(is_it).unwrap_or(now);
    }
    context.show(&now, show::credential)?;
    Ok(match now.status.as_str() {
        "valid" | "unchecked" | "checking" | "unavailable" => Exit::Done,
        _ => Exit::Failed,
    })
}
