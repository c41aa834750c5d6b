//! `tessera login` remembers a farm elsewhere, its fingerprint and a token; `tessera logout` forgets it.

use crate::Exit;
use crate::args::{LoginArgs, LogoutArgs};
use crate::error::CliError;
use crate::out::text;
use crate::run::{Context, surroundings};
use std::io::{BufRead as _, IsTerminal as _};
use tessera_api::client::{Fingerprint, roots};
use tessera_api::discover::{self, BadFarms, Farm, Farms, TOKEN_VARIABLE};
use tessera_api::{Client, ClientError, PORT_DEFAULT};

/// Longest token that is read, in bytes.
const TOKEN_BYTES_MAX: usize = 4_096;

/// Checks the farm and the token, then writes them down.
pub(crate) async fn login(args: LoginArgs, context: &Context) -> Result<Exit, CliError> {
    let around = surroundings();
    let Some(path) = around.farms.clone() else {
        return Err(CliError::failed("there is no folder for configuration")
            .hint("set HOME or XDG_CONFIG_HOME"));
    };
    let said = args.ca.as_deref().map(fingerprint).transpose()?;
    let roots = match said {
        Some(_) => None,
        None => Some(roots(args.ca_file.as_deref()).map_err(|error| {
            CliError::failed(error.to_string()).hint("name one with --ca-file, or use --ca")
        })?),
    };
    let address = address(&args.address);
    let is_here = discover::is_here(&around);
    let token = token(around.token, context)?;
    let ca = match (said, roots) {
        (None, Some(roots)) => {
            let client = Client::site(&address, roots, Some(token.clone()));
            let info = client.info().await.map_err(not_the_sites)?;
            let ca = fingerprint(&info.ca_sha256)?;
            context.note(
                "ca",
                &format!("the farm's CA is {ca}; it is pinned from now on"),
            );
            ca
        }
        (Some(ca), _) => ca,
        (None, None) => return Err(CliError::usage("give --ca or --site")),
    };
    // Also after the site's certificate was believed: what is kept must be what later calls insist on.
    let info = Client::tls(&address, ca, Some(token.clone()))
        .info()
        .await?;
    let mut farms = Farms::load(&path).map_err(|error| bad_farms(&error))?;
    let name = args.name.unwrap_or_else(|| info.farm_name.clone());
    farms.farms.insert(
        info.farm_id.clone(),
        Farm {
            name: name.clone(),
            address,
            ca,
            token: Some(token),
        },
    );
    // Without any other that commands would ask, it is the one.
    if args.default || (farms.default.is_none() && !is_here) {
        farms.default = Some(info.farm_id.clone());
    }
    let is_default = farms.default.as_deref() == Some(info.farm_id.as_str());
    farms.save(&path).map_err(|error| bad_farms(&error))?;
    let said = format!(
        "you are {} on farm {}\n",
        text::safe(&info.caller.name),
        text::safe(&name)
    );
    context.show(&info, |_, _| said)?;
    context.note("default", &whom_commands_ask(&name, is_default, is_here));
    Ok(Exit::Done)
}

fn fingerprint(text: &str) -> Result<Fingerprint, CliError> {
    text.parse().map_err(|_| {
        CliError::usage("--ca: a fingerprint has 64 hexadecimal digits")
            .hint("on the supervisor's host, tessera whoami prints it as CA SHA-256")
    })
}

/// Says what to do when the site's certificate does not convince.
fn not_the_sites(error: ClientError) -> CliError {
    let is_unreachable = matches!(error, ClientError::Unreachable { .. });
    let made = CliError::from(error);
    if is_unreachable {
        made.hint("the certificate must be good for that host name and signed by whom this system (or --ca-file) trusts; else use --ca")
    } else {
        made
    }
}

/// Says which farm commands ask from now on.
fn whom_commands_ask(name: &str, is_default: bool, is_here: bool) -> String {
    match (is_default, is_here) {
        (true, false) => "commands ask it when no farm is named".to_owned(),
        (true, true) => format!(
            "commands ask it when no farm is named, with the rights of its token, and no longer the supervisor of this host; tessera logout {name} takes that back"
        ),
        (false, true) => format!(
            "commands go on asking the supervisor of this host; name this farm with --supervisor {name}, or log in with --default"
        ),
        (false, false) => format!(
            "commands go on asking the farm that was the default before; name this one with --supervisor {name}, or log in with --default"
        ),
    }
}

/// Forgets a farm and its token.
pub(crate) fn logout(args: &LogoutArgs, context: &Context) -> Result<Exit, CliError> {
    let Some(path) = surroundings().farms else {
        return Err(no_farm(args.farm.as_deref(), &Farms::default()));
    };
    let mut farms = Farms::load(&path).map_err(|error| bad_farms(&error))?;
    let name = forget(&mut farms, args.farm.as_deref())?;
    farms.save(&path).map_err(|error| bad_farms(&error))?;
    let said = format!("farm {} is forgotten on this account\n", text::safe(&name));
    context.show(&serde_json::json!({"forgotten": name}), |_, _| said)?;
    Ok(Exit::Done)
}

/// Takes a farm out, and answers its name.
fn forget(farms: &mut Farms, wanted: Option<&str>) -> Result<String, CliError> {
    let found = match wanted {
        Some(wanted) => farms.named(wanted),
        None => farms.chosen(),
    };
    let Some(id) = found.map(|(id, _)| id.to_owned()) else {
        return Err(no_farm(wanted, farms));
    };
    if farms.default.as_ref() == Some(&id) {
        farms.default = None;
    }
    let gone = farms.farms.remove(&id);
    Ok(gone.map_or(id, |farm| farm.name))
}

fn no_farm(wanted: Option<&str>, farms: &Farms) -> CliError {
    let said = match wanted {
        Some(wanted) => format!("no farm {wanted} was logged in to"),
        None if farms.is_empty() => "no farm was logged in to".to_owned(),
        None => "several farms were logged in to, and none is the default: name one".to_owned(),
    };
    let made = CliError::new(Exit::NotFound, said);
    let known: Vec<&str> = farms.farms.values().map(|it| it.name.as_str()).collect();
    if known.is_empty() {
        made
    } else {
        made.hint(format!("there are {}", known.join(", ")))
    }
}

fn address(said: &str) -> String {
    let bare = said
        .strip_prefix("https://")
        .unwrap_or(said)
        .trim_end_matches('/');
    let has_port = bare
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if has_port {
        bare.to_owned()
    } else {
        format!("{bare}:{PORT_DEFAULT}")
    }
}

/// Answers the token: from the variable, else a line of standard input. Never an argument, which others could see.
fn token(set: Option<String>, context: &Context) -> Result<String, CliError> {
    if let Some(token) = set {
        return Ok(token);
    }
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        context.say("token (from tessera token create): ");
    }
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    read.map_err(|error| CliError::failed(format!("can't read the token: {error}")))?;
    let token = line.trim();
    if token.is_empty() || token.len() > TOKEN_BYTES_MAX {
        return Err(CliError::usage("no token was given").hint(format!(
            "paste it, or set {TOKEN_VARIABLE}; tessera token create makes one on the farm"
        )));
    }
    Ok(token.to_owned())
}

fn bad_farms(error: &BadFarms) -> CliError {
    CliError::failed(error.to_string()).hint(error.hint())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn farms() -> Farms {
        let farm = |name: &str| Farm {
            name: name.to_owned(),
            address: "farm:1".to_owned(),
            ca: "0".repeat(64).parse().expect("a fingerprint"),
            token: Some("t".to_owned()),
        };
        Farms {
            default: Some("1".to_owned()),
            farms: [
                ("1".to_owned(), farm("north")),
                ("2".to_owned(), farm("south")),
            ]
            .into(),
        }
    }

    #[test]
    fn a_farm_is_forgotten_with_its_token_and_is_the_default_no_more() {
        let mut known = farms();
        assert_eq!(forget(&mut known, None).expect("there"), "north");
        assert_eq!((known.default.clone(), known.farms.len()), (None, 1));
        let error = forget(&mut known, Some("north")).expect_err("gone");
        assert_eq!(error.exit, Exit::NotFound);
        assert_eq!(error.hints, ["there are south"]);
        assert_eq!(forget(&mut known, None).expect("the only one"), "south");
        assert!(forget(&mut known, None).is_err());
        let mut known = Farms {
            default: None,
            ..farms()
        };
        assert!(forget(&mut known, None).is_err(), "which?");
        assert_eq!(forget(&mut known, Some("2")).expect("by its id"), "south");
    }

    #[test]
    fn login_says_whom_commands_ask() {
        assert!(whom_commands_ask("n", true, true).contains("no longer the supervisor"));
        assert!(whom_commands_ask("n", false, true).contains("go on asking the supervisor"));
    }
}
