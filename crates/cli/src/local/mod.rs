//! Commands that work on this machine, without asking a farm: the daemons' options, `up`, pictures, completions.

#[cfg(target_os = "linux")]
pub(crate) mod farm;
#[cfg(target_os = "linux")]
pub(crate) mod group;
#[cfg(unix)]
pub(crate) mod install;
#[cfg(windows)]
#[path = "install_windows/mod.rs"]
pub(crate) mod install;
#[cfg(all(test, unix))]
mod install_windows;
mod login;
pub(crate) mod pins;
mod place;
#[cfg(target_os = "linux")]
pub(crate) mod processes;
#[cfg(unix)]
pub(crate) mod programs;
#[cfg(target_os = "linux")]
mod uninstall;
#[cfg(target_os = "linux")]
mod up;

pub(crate) use login::{login, logout};
#[cfg(windows)]
pub(crate) use place::is_administrator;
#[cfg(unix)]
pub(crate) use place::is_root;
pub(crate) use place::{default_state, system_state, user_state};
#[cfg(target_os = "linux")]
pub(crate) use uninstall::{missing_accounts, uninstall};
#[cfg(target_os = "linux")]
pub(crate) use up::up;

use crate::Exit;
#[cfg(target_os = "linux")]
use crate::args::SupervisorArgs;
use crate::args::{JoinArgs, RenderArgs, SheetArgs, Shell, WorkerArgs};
#[cfg(target_os = "linux")]
use crate::daemon::SupervisorOptions;
use crate::daemon::{JoinBy, JoinOptions, WorkerMode, WorkerOptions};
use crate::error::CliError;
use crate::picture::{self, Camera, PictureError};
use crate::run::Context;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long `join` waits for a supervisor that is just starting.
const JOIN_PATIENCE: Duration = Duration::from_secs(20);

/// Answers the Unix socket of the farm with that folder.
pub(crate) fn socket_below(state: &Path) -> PathBuf {
    state.join("run/supervisor.sock")
}

#[cfg(target_os = "linux")]
pub(crate) fn supervisor(args: SupervisorArgs) -> SupervisorOptions {
    SupervisorOptions {
        state: args.state.unwrap_or_else(default_state),
        listen: args.listen,
        socket: args.socket,
        config: args.config,
        ends_with_parent: args.ends_with_parent,
    }
}

pub(crate) fn worker(args: WorkerArgs) -> WorkerOptions {
    let usual = if args.desktop { user_state() } else { None };
    WorkerOptions {
        state: args.state.or(usual).unwrap_or_else(system_state),
        mode: if args.desktop {
            WorkerMode::Desktop
        } else {
            WorkerMode::Service
        },
        supervisor: args.connect,
        slots: args.slots,
        name: args.name,
        launch: args.launch,
        launcher_socket: args.launcher_socket,
        config: args.config,
        ends_with_parent: args.ends_with_parent,
        #[cfg(windows)]
        as_service: args.as_service,
        #[cfg(not(windows))]
        as_service: false,
    }
}

pub(crate) fn join(args: JoinArgs) -> Result<JoinOptions, CliError> {
    let mode = if args.desktop {
        WorkerMode::Desktop
    } else {
        WorkerMode::Service
    };
    if mode == WorkerMode::Service {
        place::may_enrol_service()?;
    }
    let usual = if args.desktop { user_state() } else { None };
    let usual = usual.unwrap_or_else(system_state);
    let state = args.state.unwrap_or_else(|| usual.clone());
    let by = match args.string {
        Some(string) => JoinBy::String(string),
        None => JoinBy::Local {
            socket: args.socket.unwrap_or_else(|| socket_below(&state)),
        },
    };
    Ok(JoinOptions {
        by,
        has_usual_state: state == usual,
        state,
        name: args.name,
        mode,
        patience: JOIN_PATIENCE,
    })
}

/// Prints completions for a shell.
pub(crate) fn completions(shell: Shell, context: &Context) -> Result<Exit, CliError> {
    use clap_complete::Shell as S;
    let shell = match shell {
        Shell::Bash => S::Bash,
        Shell::Elvish => S::Elvish,
        Shell::Fish => S::Fish,
        Shell::PowerShell => S::PowerShell,
        Shell::Zsh => S::Zsh,
    };
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut crate::args::command(), "tessera", &mut text);
    context.print_bytes(&text)?;
    Ok(Exit::Done)
}

/// Prints the OpenAPI document of this version.
pub(crate) fn open_api(context: &Context) -> Result<Exit, CliError> {
    context.print(&tessera_api::openapi::generate())?;
    Ok(Exit::Done)
}

/// Renders a frame of the demo.
pub(crate) fn render(args: &RenderArgs) -> Result<Exit, CliError> {
    let camera = Camera {
        frame: args.frame,
        frames: args.frames,
        width: args.width as usize,
        height: args.height as usize,
    };
    picture::write(&args.out, &picture::render(camera)).map_err(picture_error)?;
    Ok(Exit::Done)
}

/// Lays images out on a sheet.
pub(crate) fn contact_sheet(args: &SheetArgs) -> Result<Exit, CliError> {
    let paths = picture::images(&args.dir, &args.out).map_err(picture_error)?;
    let columns = args.columns.map(|columns| columns as usize);
    let sheet =
        picture::contact_sheet(&paths, columns, args.width as usize).map_err(picture_error)?;
    picture::write(&args.out, &sheet).map_err(picture_error)?;
    Ok(Exit::Done)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn picture_error(error: PictureError) -> CliError {
    CliError::failed(error.to_string())
}
