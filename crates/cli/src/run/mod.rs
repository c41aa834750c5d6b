//! Carrying commands out.

mod act;
mod chosen;
mod context;
mod credential;
mod explain;
mod farm;
mod list;
mod lock;
mod log;
mod mode;
mod replace;
#[cfg(target_os = "linux")]
mod replay;
mod resource;
mod submit;
mod watch;

pub(crate) use context::{Context, printed, surroundings};
#[cfg(target_os = "linux")]
pub(crate) use list::items;
#[cfg(target_os = "linux")]
pub(crate) use watch::{Ended, Watch};

use crate::Exit;
#[cfg(target_os = "linux")]
use crate::args::{BenchCommand, SupervisorArgs};
use crate::args::{Command, ConfigCommand, DesktopCommand, WorkerArgs};
use crate::daemon::{
    ConfigOptions, ConfigQuestion, DesktopChange, DesktopOptions, JoinOptions, WorkerOptions,
};
#[cfg(target_os = "linux")]
use crate::daemon::{FarmBenchOptions, FarmReplayOptions, SupervisorOptions, WireBenchOptions};
use crate::error::CliError;
use crate::local;

/// What is left to do when the command line has been dealt with.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing: the process ends so.
    Done(Exit),
    /// Run the supervisor.
    #[cfg(target_os = "linux")]
    Supervisor(SupervisorOptions),
    /// Run the worker.
    Worker(WorkerOptions),
    /// Enrol this host.
    Join(JoinOptions),
    /// Run a farm of made-up hosts and measure it.
    #[cfg(target_os = "linux")]
    BenchFarm(Box<FarmBenchOptions>),
    /// Run once more what a real farm ran.
    #[cfg(target_os = "linux")]
    BenchReplay(Box<FarmReplayOptions>),
    /// Put a supervisor under load over its sockets and measure it.
    #[cfg(target_os = "linux")]
    BenchWire(Box<WireBenchOptions>),
    /// Answer a question about the configuration.
    Config(ConfigOptions),
    /// Say or change whom this desktop lets in.
    Desktop(DesktopOptions),
}

/// Carries out a command.
pub(crate) fn command(command: Command, context: &Context) -> Result<Outcome, CliError> {
    let exit = match command {
        #[cfg(target_os = "linux")]
        Command::Supervisor(SupervisorArgs {
            command: Some(command),
            ..
        }) => local::install::supervisor(command, context)?,
        Command::Worker(WorkerArgs {
            command: Some(command),
            ..
        }) => local::install::worker(command, context)?,
        #[cfg(target_os = "linux")]
        Command::Supervisor(args) => return Ok(Outcome::Supervisor(local::supervisor(args))),
        Command::Worker(args) => return Ok(Outcome::Worker(local::worker(args))),
        Command::Join(args) => return local::join(args).map(Outcome::Join),
        Command::Config(ConfigCommand::Explain {
            host: Some(host),
            key,
            state: None,
            file: None,
            platform: _,
        }) => context.block_on(explain::host(&host, key.as_deref(), context))?,
        Command::Config(args) => return config(args, context).map(Outcome::Config),
        Command::Desktop(args) => return Ok(Outcome::Desktop(desktop(args, context))),
        #[cfg(target_os = "linux")]
        Command::Up(args) => local::up(&args, context)?,
        #[cfg(target_os = "linux")]
        Command::Demo(args) => crate::demo::run(&args, context)?,
        #[cfg(target_os = "linux")]
        Command::Bench(BenchCommand::Local(args)) => crate::bench::run(&args, context)?,
        #[cfg(target_os = "linux")]
        Command::Bench(BenchCommand::Farm(args)) => {
            let json = context.json;
            return Ok(Outcome::BenchFarm(Box::new(FarmBenchOptions {
                args,
                json,
            })));
        }
        #[cfg(target_os = "linux")]
        Command::Bench(BenchCommand::Replay(args)) => {
            let options = replay::asked(args, context)?;
            return Ok(Outcome::BenchReplay(Box::new(options)));
        }
        #[cfg(target_os = "linux")]
        Command::Bench(BenchCommand::Wire(args)) => {
            let json = context.json;
            return Ok(Outcome::BenchWire(Box::new(WireBenchOptions {
                args,
                json,
            })));
        }
        #[cfg(target_os = "linux")]
        Command::Uninstall(args) => local::uninstall(&args, context)?,
        #[cfg(target_os = "linux")]
        Command::SetUpHost => local::install::set_up_host(context)?,
        Command::Logout(args) => local::logout(&args, context)?,
        Command::Doctor(args) => crate::doctor::run(args, context)?,
        Command::Completions { shell } => local::completions(shell, context)?,
        Command::OpenApi => local::open_api(context)?,
        Command::RenderDemo(args) => local::render(&args)?,
        Command::ContactSheet(args) => local::contact_sheet(&args)?,
        #[cfg(target_os = "linux")]
        Command::DemoFolder(args) => crate::demo::folder(&args)?,
        asking => context.block_on(ask(asking, context))?,
    };
    Ok(Outcome::Done(exit))
}

/// Carries out a command that asks the supervisor.
async fn ask(command: Command, context: &Context) -> Result<Exit, CliError> {
    match command {
        Command::Submit(args) => submit::submit(*args, context).await,
        Command::Resubmit(args) => submit::resubmit(*args, context).await,
        Command::Jobs(args) => list::jobs(args, context).await,
        Command::Job(args) => list::job(args, context).await,
        Command::Frames(args) => list::frames(args, context).await,
        Command::Hist(args) => list::hist(args, context).await,
        Command::Errors(args) => list::errors(&args, context).await,
        Command::Log(args) => log::log(args, context).await,
        Command::Why(args) => list::why(args, context).await,
        Command::Deps(args) => list::deps(args, context).await,
        Command::Wait(args) => watch::wait(args, context).await,
        Command::Modify(args) => act::modify(*args, context).await,
        Command::Hosts(args) => farm::hosts(args, context).await,
        Command::Host(args) => farm::host(args, context).await,
        Command::Lock(args) => lock::lock(args, context).await,
        Command::Unlock(args) => lock::unlock(args, context).await,
        Command::Drain(args) => lock::drain(args, context).await,
        Command::Farm(command) => mode::farm(command, context).await,
        Command::Reconfigure(args) => farm::reconfigure(args, context).await,
        Command::Site(command) => farm::site(command, context).await,
        Command::Audit(args) => list::audit(args, context).await,
        Command::JoinString(args) => farm::join_string(args, context).await,
        Command::Token(args) => farm::token(args, context).await,
        Command::Credential(args) => credential::credential(args, context).await,
        Command::Resource(command) => resource::resource(command, context).await,
        Command::Notify(command) => farm::notify(command, context).await,
        Command::Cleanup(args) => farm::cleanup(args, context).await,
        Command::Login(args) => local::login(args, context).await,
        Command::Open => farm::open(context).await,
        Command::Whoami => farm::whoami(context).await,
        verb => act::act(verb, context).await,
    }
}

fn desktop(args: DesktopCommand, context: &Context) -> DesktopOptions {
    let (what, state) = match args {
        DesktopCommand::Allow(it) => (DesktopChange::Allow(it.names), it.state),
        DesktopCommand::Deny(it) => (DesktopChange::Deny(it.names), it.state),
        DesktopCommand::List { state } => (DesktopChange::List, state),
    };
    let usual = || local::user_state().unwrap_or_else(local::system_state);
    DesktopOptions {
        what,
        state: state.unwrap_or_else(usual),
        json: context.json,
    }
}

fn config(args: ConfigCommand, context: &Context) -> Result<ConfigOptions, CliError> {
    use ConfigCommand as C;
    let (what, state) = match args {
        C::Check { files, state } => (ConfigQuestion::Check(files), state),
        C::Show { state } => (ConfigQuestion::Show, state),
        C::Import { files, out } => (ConfigQuestion::Import { files, out }, None),
        C::Explain {
            host: Some(host),
            file: Some(file),
            platform,
            key,
            state: None,
        } => {
            let host = ConfigQuestion::ExplainHost {
                host,
                file,
                platform,
                key,
            };
            (host, None)
        }
        C::Explain {
            host: None,
            key,
            state,
            ..
        } => (ConfigQuestion::Explain(key), state),
        C::Explain { host: Some(_), .. } => {
            return Err(
                CliError::usage("--state is about this host, and another was named")
                    .hint("leave one of them out"),
            );
        }
    };
    Ok(ConfigOptions {
        what,
        state: state.unwrap_or_else(local::default_state),
        json: context.json,
    })
}
