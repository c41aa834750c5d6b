//! The supervisor that is measured.

use super::{At, WireError, WireOptions};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tessera_api::Client;
use tessera_supervisor::{Options, Running};
use tokio::process::{Child, Command};

/// How long it may take to answer.
const START_TIME_LIMIT: Duration = Duration::from_secs(60);
/// How long it may take to end when it is asked to.
const STOP_TIME_LIMIT: Duration = Duration::from_secs(30);
/// Ticks of the processors' clock a second, as the kernel shows them (`USER_HZ`).
const TICKS_A_SECOND: f64 = 100.0;

/// A supervisor on a folder of its own.
pub(super) struct Supervisor {
    runs: Runs,
    pub(super) address: SocketAddr,
    socket: PathBuf,
    // Removed when it has ended.
    _folder: tempfile::TempDir,
}

enum Runs {
    Here(Running),
    Process(Child),
}

impl Supervisor {
    pub(super) async fn start(options: &WireOptions) -> Result<Self, WireError> {
        let folder = tempfile::Builder::new()
            .prefix("tessera-wire-")
            .tempdir_in(&options.folder);
        let folder =
            folder.map_err(io(format!("make a folder in {}", options.folder.display())))?;
        let state = folder.path().join("farm");
        let Some(program) = &options.program else {
            let started = tessera_supervisor::start(Options {
                listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
                ..Options::new(state)
            });
            let running = started.await?;
            return Ok(Self {
                address: running.address(),
                socket: running.socket().to_owned(),
                runs: Runs::Here(running),
                _folder: folder,
            });
        };
        let address = free_address()?;
        let socket = folder.path().join("s");
        let log = folder.path().join("log");
        let mut child = spawn(program, &state, address, &socket, &log)?;
        let client = Client::unix(&socket);
        let end = tokio::time::Instant::now() + START_TIME_LIMIT;
        while let Err(error) = client.health().await {
            let ended = child.try_wait().map_err(io("look at the supervisor"))?;
            if ended.is_some() || tokio::time::Instant::now() > end {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                let said = said.lines().last().unwrap_or_default();
                return Err(WireError::Ended(format!("{error}; {said}")));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Self {
            runs: Runs::Process(child),
            address,
            socket,
            _folder: folder,
        })
    }

    pub(super) fn client(&self) -> Client {
        Client::unix(&self.socket)
    }

    /// Answers its memory, where it has a process of its own.
    pub(super) fn memory(&self, when: &'static str) -> Option<At> {
        let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid()?)).ok()?;
        let kib = |name: &str| {
            let mut lines = rollup.lines().filter_map(|line| line.strip_prefix(name));
            let figure = lines
                .next()?
                .trim_start_matches(':')
                .trim()
                .strip_suffix("kB")?;
            figure.trim().parse::<f64>().ok()
        };
        Some(At {
            when,
            private_mib: (kib("Private_Clean")? + kib("Private_Dirty")?) / 1_024.0,
            resident_mib: kib("Rss")? / 1_024.0,
        })
    }

    /// Answers how much processor time it took so far in seconds, where it has a process of its own.
    pub(super) fn processor_seconds(&self) -> Option<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()?)).ok()?;
        // Its name is in brackets and may hold anything; user and system time are the 12th and 13th field after it.
        let (_, after) = stat.rsplit_once(')')?;
        let mut fields = after.split_ascii_whitespace().skip(11);
        let user: f64 = fields.next()?.parse().ok()?;
        let system: f64 = fields.next()?.parse().ok()?;
        Some((user + system) / TICKS_A_SECOND)
    }

    fn pid(&self) -> Option<u32> {
        match &self.runs {
            Runs::Here(_) => None,
            Runs::Process(child) => child.id(),
        }
    }

    pub(super) async fn stop(self) -> Result<(), WireError> {
        match self.runs {
            Runs::Here(running) => Ok(running.stop().await?),
            Runs::Process(mut child) => {
                // That is its sign to end.
                drop(child.stdin.take());
                let ended = tokio::time::timeout(STOP_TIME_LIMIT, child.wait()).await;
                let ended =
                    ended.map_err(|_late| WireError::Ended("not when asked to".to_owned()))?;
                let ended = ended.map_err(io("wait for the supervisor"))?;
                match ended.success() {
                    true => Ok(()),
                    false => Err(WireError::Ended(ended.to_string())),
                }
            }
        }
    }
}

/// Answers an address that nobody uses now.
fn free_address() -> Result<SocketAddr, WireError> {
    let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|it| it.local_addr());
    address.map_err(io("find a free port"))
}

fn spawn(
    program: &Path,
    state: &Path,
    address: SocketAddr,
    socket: &Path,
    log: &Path,
) -> Result<Child, WireError> {
    let file = std::fs::File::create(log).map_err(io(format!("make {}", log.display())))?;
    let spawned = Command::new(program)
        .arg("supervisor")
        .arg("--state")
        .arg(state)
        .args([
            "--listen",
            &address.to_string(),
            "--ends-with-parent",
            "--socket",
        ])
        .arg(socket)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(file)
        .kill_on_drop(true)
        .spawn();
    spawned.map_err(io(format!("run {}", program.display())))
}

/// Says what was tried.
pub(super) fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> WireError {
    let doing = doing.into();
    move |source| WireError::Io { doing, source }
}
