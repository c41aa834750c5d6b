//! `tessera login`: remembers a farm elsewhere, its fingerprint and a token.

use crate::Exit;
use crate::args::LoginArgs;
use crate::error::CliError;
use crate::out::text;
use crate::run::{Context, surroundings};
use std::io::{BufRead as _, IsTerminal as _};
use tessera_api::client::Fingerprint;
use tessera_api::discover::{BadFarms, Farm, Farms, TOKEN_VARIABLE};
use tessera_api::{Client, PORT_DEFAULT};

/// Longest token that is read, in bytes.
const TOKEN_BYTES_MAX: usize = 4_096;

/// Checks the farm and the token, then writes them down.
pub(crate) async fn login(args: LoginArgs, context: &Context) -> Result<Exit, CliError> {
    let around = surroundings();
    let Some(path) = around.farms else {
        return Err(CliError::failed("there is no folder for configuration")
            .hint("set HOME or XDG_CONFIG_HOME"));
    };
    let ca: Fingerprint = args.ca.parse().map_err(|_| {
        CliError::usage("--ca: a fingerprint has 64 hexadecimal digits")
            .hint("on the supervisor's host, tessera whoami prints it as CA SHA-256")
    })?;
    let address = address(&args.address);
    let token = token(around.token, context)?;
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
    if args.default || farms.farms.len() == 1 {
        farms.default = Some(info.farm_id.clone());
    }
    farms.save(&path).map_err(|error| bad_farms(&error))?;
    let said = format!(
        "you are {} on farm {}\n",
        text::safe(&info.caller.name),
        text::safe(&name)
    );
    context.show(&info, |_, _| said)?;
    Ok(Exit::Done)
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
