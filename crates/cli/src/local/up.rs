//! `tessera up`: a farm of this machine in the foreground.

use super::farm::{Farm, FarmOptions};
use super::{default_state, group, is_root, programs, socket_below, system_state};
use crate::Exit;
use crate::args::UpArgs;
use crate::error::CliError;
use crate::out::{Tone, time};
use crate::run::{Context, surroundings};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use tessera_api::discover::{self, Found};
use tessera_api::types::HostRow;
use tokio::signal::unix::{SignalKind, signal};

/// Runs a farm until Ctrl-C.
pub(crate) fn up(args: &UpArgs, context: &Context) -> Result<Exit, CliError> {
    let options = FarmOptions {
        state: state(args)?,
        listen: args.listen,
        socket: if is_root() { None } else { runtime_socket() },
        slots: args.slots,
        launch: programs::launch(args.launch.as_deref())?,
        is_ephemeral: false,
        is_quiet: true,
    };
    if is_root() {
        if let Some(said) = group::make_if_missing(&options.state) {
            context.say(&said);
        }
        context.say(&how_to_reach(&options.state));
        return Err(become_supervise(&options));
    }
    context.block_on(run(options, context))
}

/// Says how people reach the farm that root starts, once it is up.
fn how_to_reach(state: &std::path::Path) -> String {
    let export = if state == system_state() {
        String::new()
    } else {
        let socket = socket_below(state);
        format!(
            "in another terminal: export TESSERA_SUPERVISOR=unix:{}\n",
            socket.display()
        )
    };
    format!(
        "{export}once it is up, `tessera open` (as yourself) prints a link to its page in a browser\n"
    )
}

fn state(args: &UpArgs) -> Result<PathBuf, CliError> {
    let state = args.state.clone().unwrap_or_else(default_state);
    std::path::absolute(&state).map_err(|error| CliError::usage(format!("--state: {error}")))
}

/// Answers the socket where clients of this user look first, when the system gives a folder for that.
fn runtime_socket() -> Option<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from)?;
    (runtime.is_absolute() && runtime.is_dir()).then(|| runtime.join("tessera/supervisor.sock"))
}

/// Becomes `tessera-launch supervise`, which runs the daemons under their own accounts; answers why not.
fn become_supervise(options: &FarmOptions) -> CliError {
    let mut command = std::process::Command::new(&options.launch);
    command.arg("supervise").arg("--state").arg(&options.state);
    command.arg("--listen").arg(options.listen.to_string());
    match programs::own() {
        Ok(own) => command.arg("--tessera").arg(own),
        Err(error) => return error,
    };
    if let Some(slots) = options.slots {
        command.arg("--slots").arg(slots.to_string());
    }
    let error = command.exec();
    CliError::failed(format!("can't start {}: {error}", options.launch.display()))
}

async fn run(options: FarmOptions, context: &Context) -> Result<Exit, CliError> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| no_signals(&error))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| no_signals(&error))?;
    let state = options.state.clone();
    let mut farm = tokio::select! {
        farm = Farm::start(options) => farm?,
        _ = interrupt.recv() => return Ok(Exit::Interrupted),
        _ = terminate.recv() => return Ok(Exit::Interrupted),
    };
    let ended = tokio::select! {
        ended = serve(&mut farm, &state, context) => Some(ended),
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
    };
    if let Some(error) = ended {
        farm.stop().await;
        return Err(error);
    }
    context.say(&farewell(&farm).await);
    tokio::select! {
        () = farm.stop() => {}
        _ = interrupt.recv() => farm.kill().await,
    }
    Ok(Exit::Done)
}

/// Says that the farm is up, and watches its daemons; answers what went wrong.
async fn serve(farm: &mut Farm, state: &std::path::Path, context: &Context) -> CliError {
    match farm.until_up().await {
        Ok(host) => context.say(&welcome(farm, &host, state, context).await),
        Err(error) => return error,
    }
    farm.until_ended().await
}

async fn welcome(
    farm: &Farm,
    host: &HostRow,
    state: &std::path::Path,
    context: &Context,
) -> String {
    let look = &context.errors;
    let account = host.account.as_deref().unwrap_or("their owner");
    let address = farm.address().unwrap_or_else(|_| "?".to_owned());
    let find = if is_found(&farm.socket()) {
        String::new()
    } else {
        format!(
            "  export TESSERA_SUPERVISOR=unix:{}\n",
            farm.socket().display()
        )
    };
    // Without a link the farm is as good; `tessera open` says why there is none.
    let page = farm.client().create_session_link().await;
    let page = page.map_or_else(
        |_| "tessera open".to_owned(),
        |link| match link.unknown_ca {
            Some(ca) => format!("{}\n  it warns the first time: the SHA-256 of the CA that it shows must be\n  {ca}", link.url),
            None => link.url,
        },
    );
    format!(
        "{} supervisor at {address}, worker {} with {}; jobs run as {account}\n\
         state and logs: {}\n\
         in a browser, once, within ten minutes (later: tessera open):\n\
         \x20 {page}\n\
         in another terminal:\n{find}\
         \x20 tessera submit --range 1-10 -- sh -c 'echo frame QB_FRAME_NUMBER; sleep 1'\n\
         \x20 tessera jobs\n\
         Ctrl-C ends the daemons; what runs goes on and is picked up at the next start.\n",
        look.paint(Tone::Good, "the farm is up:"),
        host.name,
        time::count(u64::from(host.slots), "slot"),
        state.display(),
    )
}

/// Says whether clients of this user find that socket by themselves.
fn is_found(socket: &std::path::Path) -> bool {
    matches!(discover::find(None, &surroundings()), Ok(Found::Unix(path)) if path == socket)
}

/// Says what goes on without the daemons.
async fn farewell(farm: &Farm) -> String {
    let used = match farm.client().hosts().await {
        Ok(hosts) => hosts
            .hosts
            .iter()
            .map(|host| u64::from(host.used_slots))
            .sum(),
        Err(_) => 0,
    };
    match used {
        0 => "\nending the daemons\n".to_owned(),
        n => format!(
            "\nending the daemons; {} on, reported at the next start (Ctrl-C again: don't wait)\n",
            if n == 1 {
                "1 process goes".to_owned()
            } else {
                format!("{n} processes go")
            }
        ),
    }
}

fn no_signals(error: &std::io::Error) -> CliError {
    CliError::failed(format!("can't listen for Ctrl-C: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_its_own_is_told_with_its_socket() {
        let usual = how_to_reach(&system_state());
        assert!(!usual.contains("export"), "{usual}");
        let own = how_to_reach(std::path::Path::new("/srv/f"));
        let line = "export TESSERA_SUPERVISOR=unix:/srv/f/run/supervisor.sock\n";
        assert!(own.contains(line), "{own}");
    }
}
