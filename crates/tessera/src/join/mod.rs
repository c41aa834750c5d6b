//! Enrols this host: gets a certificate for a key that never leaves it, and writes down who the farm is.
//!
//! As a service the worker's files belong to the account `tessera`, and the launcher's, by which it judges tickets, to
//! root: the worker can replace none of them.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use system::{Folder, make_dir};
use tessera_api::Client;
use tessera_api::client::Fingerprint as ApiFingerprint;
use tessera_api::types::{JoinReply, JoinRequest, JoinTokenRequest};
use tessera_cli::daemon::{JoinBy, JoinOptions, WorkerMode};
use tessera_cli::{CliError, Exit};
use tessera_wire::pki::{JoinString, WorkerIdentity};
use tokio::time::{Instant, sleep};

/// The account of the worker daemon.
#[cfg(not(target_os = "macos"))]
const WORKER_ACCOUNT: &str = "tessera";
/// The account of the worker daemon; that of a service begins so on macOS.
#[cfg(target_os = "macos")]
const WORKER_ACCOUNT: &str = "_tessera";
/// Minutes that a token is good for when it is used at once.
const TOKEN_MINUTES: u32 = 5;
/// The worker's configuration.
const CONFIG: &str = "worker.toml";
/// The most bytes of the worker's configuration.
const CONFIG_BYTES_MAX: u64 = 64 * 1024;
/// Pause between attempts to reach a supervisor that is starting.
const PAUSE: Duration = Duration::from_millis(50);

/// Enrols this host.
///
/// # Errors
/// When the supervisor can't be reached or refuses, is another than the join string's, or files can't be written.
pub(crate) async fn join(options: JoinOptions) -> Result<(), CliError> {
    // The worker's files must be its own, and a token is good for one try.
    if cfg!(target_os = "macos")
        && options.mode == WorkerMode::Service
        && system::owner_of(WORKER_ACCOUNT).is_none()
    {
        let said = format!(
            "there is no account {WORKER_ACCOUNT} on this Mac, to which the worker would belong"
        );
        return Err(CliError::new(Exit::State, said)
            .hint("sudo tessera worker install --mode service makes it; then join"));
    }
    let (ticket, client) = match &options.by {
        JoinBy::String(text) => {
            let ticket = read(text)?;
            (ticket.clone(), over_network(&ticket)?)
        }
        JoinBy::Local { socket } => {
            let client = Client::unix(socket);
            (own_ticket(&client, options.patience).await?, client)
        }
    };
    let request =
        WorkerIdentity::generate_csr().map_err(|error| CliError::failed(error.to_string()))?;
    let reply = client
        .join(&JoinRequest {
            token: ticket.token.reveal(),
            csr_pem: request.csr_pem().to_owned(),
            name: options.name.clone().unwrap_or_else(system::host_name),
        })
        .await?;
    let identity = request
        .complete(&reply.certificate_pem, &reply.ca_pem, ticket.ca)
        .map_err(|error| CliError::new(Exit::Denied, error.to_string()))?;
    if options.mode == WorkerMode::Service {
        #[cfg(windows)]
        tessera_cli::prepare_state(&options.state).map_err(CliError::failed)?;
        write_launcher(&options.state, &reply)?;
    }
    write_worker(&options, &identity, &ticket.address)?;
    eprintln!(
        "this host has joined farm {} as {}",
        reply.farm_id,
        identity.host_id()
    );
    for other in &reply.same_name {
        eprintln!("{}", was_here(other));
    }
    if options.mode == WorkerMode::Desktop && matches!(options.by, JoinBy::String(_)) {
        crate::desktop::ask_once(&options.state, None)?;
    }
    if matches!(options.by, JoinBy::String(_)) {
        // Who joins locally is `tessera up`, which goes on by itself.
        eprint!("{}", next(&options));
    }
    Ok(())
}

/// Says that another host joined under this one's name. It may have been this machine, and then it never comes again.
fn was_here(other: &str) -> String {
    let other = tessera_cli::out::text::safe(other);
    format!(
        "note: host {other} joined under this name, too, and is not connected; if that was this machine, an administrator \
         removes it: tessera host remove {other}"
    )
}

/// Says what to run now, so that the host takes work.
fn next(options: &JoinOptions) -> String {
    let state = if options.has_usual_state {
        String::new()
    } else {
        let path = options.state.display().to_string();
        format!(" --state {}", tessera_cli::out::text::command(&[path]))
    };
    match options.mode {
        WorkerMode::Desktop => {
            format!("next, to run jobs here as you: tessera worker --desktop{state}\n")
        }
        WorkerMode::Service => system::service_next(&options.state, &state),
    }
}

fn read(text: &str) -> Result<JoinString, CliError> {
    text.parse().map_err(|error| {
        CliError::usage(format!("{error}")).hint("tessera join-string on the farm makes a new one")
    })
}

/// Answers a client that trusts the farm's CA by the fingerprint in the join string.
fn over_network(ticket: &JoinString) -> Result<Client, CliError> {
    let hex: String = ticket
        .ca
        .0
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let ca: ApiFingerprint = hex
        .parse()
        .map_err(|_| CliError::failed("the join string's fingerprint can't be used"))?;
    Ok(Client::tls(&ticket.address, ca, None))
}

/// Gets a ticket from the supervisor of this host, which may just be starting.
async fn own_ticket(client: &Client, patience: Duration) -> Result<JoinString, CliError> {
    let deadline = Instant::now() + patience;
    let request = JoinTokenRequest {
        note: "this host, enrolled locally".into(),
        minutes: Some(TOKEN_MINUTES),
    };
    loop {
        match client.create_join_token(&request).await {
            Ok(token) => return read(&token.join_string),
            Err(tessera_api::ClientError::Unreachable { .. }) if Instant::now() < deadline => {
                sleep(PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Writes what the launcher judges tickets by; only root can change it.
fn write_launcher(state: &Path, reply: &JoinReply) -> Result<(), CliError> {
    let dir = state.join("launcher");
    make_dir(&dir, 0o700)?;
    let keys: String = reply
        .dispatch_keys
        .iter()
        .map(|key| format!("{key}\n"))
        .collect();
    let dir = Folder::open(&dir, None)?;
    dir.replace("farm_id", 0o644, &format!("{}\n", reply.farm_id))?;
    dir.replace("host_id", 0o644, &format!("{}\n", reply.host_id))?;
    // The last of them: it says that the host has joined.
    dir.replace("dispatch.pub", 0o644, &keys)
}

/// Writes the worker's key, certificate and where its supervisor is.
fn write_worker(
    options: &JoinOptions,
    identity: &WorkerIdentity,
    address: &str,
) -> Result<(), CliError> {
    let dir = options.state.join("worker");
    make_dir(
        &options.state,
        if options.mode == WorkerMode::Service {
            0o755
        } else {
            0o700
        },
    )?;
    make_dir(&dir, 0o700)?;
    let owner = match options.mode {
        WorkerMode::Service => system::owner_of(WORKER_ACCOUNT),
        WorkerMode::Desktop => None,
    };
    let folder = Folder::open(&dir, owner)?;
    write_address(&folder, address)?;
    write_identity(&folder, identity)?;
    folder.give_away()
}

/// Writes the worker's key and certificates. They are made in a folder of this process's own, which nobody else can
/// write to, and go from there.
fn write_identity(folder: &Folder, identity: &WorkerIdentity) -> Result<(), CliError> {
    let own = OwnFolder::new(&folder.path)?;
    identity
        .save(&own.0)
        .map_err(|error| CliError::failed(error.to_string()))?;
    for name in ["key.pem", "ca.pem", "cert.pem"] {
        let path = own.0.join(name);
        let text = fs::read_to_string(&path).map_err(|error| read_error(&path, &error))?;
        folder.replace(name, 0o600, &text)?;
    }
    Ok(())
}

/// Reads the worker's configuration of this user, makes it anew with `change`, and writes that in its place.
///
/// # Errors
/// When it can't be read or written, or `change` refuses.
pub(crate) fn change_config(
    state: &Path,
    change: impl FnOnce(&str) -> Result<String, CliError>,
) -> Result<(), CliError> {
    let dir = state.join("worker");
    make_dir(state, 0o700)?;
    make_dir(&dir, 0o700)?;
    let folder = Folder::open(&dir, None)?;
    let old = folder.read(CONFIG)?.unwrap_or_default();
    folder.replace(CONFIG, 0o644, &change(&old)?)
}

/// Writes the supervisor's address into the configuration: the one line of it, the others stay.
fn write_address(folder: &Folder, address: &str) -> Result<(), CliError> {
    let old = folder.read(CONFIG)?.unwrap_or_default();
    let kept = old
        .lines()
        .filter(|line| !line.trim_start().starts_with("qb_supervisor"));
    let quoted = toml::Value::String(address.to_owned());
    let mut text = format!("qb_supervisor = {quoted}\n");
    for line in kept {
        text += line;
        text.push('\n');
    }
    folder.replace(CONFIG, 0o644, &text)
}

/// A new folder beside another, private, removed with all that is in it.
struct OwnFolder(PathBuf);

impl OwnFolder {
    fn new(beside: &Path) -> Result<Self, CliError> {
        let path = beside.with_extension(format!("new{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        system::new_dir()
            .create(&path)
            .map_err(|error| file_error(&path, &error))?;
        Ok(Self(path))
    }
}

impl Drop for OwnFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn read_error(path: &Path, error: &io::Error) -> CliError {
    CliError::failed(format!("can't read {}: {error}", path.display()))
        .hint("move the file away and join again")
}

fn file_error(path: &Path, error: &std::io::Error) -> CliError {
    CliError::failed(format!("can't write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_replaces_the_old_one_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("worker.toml");
        let folder = Folder::open(dir.path(), None).expect("opens");
        write_address(&folder, "farm:7433").expect("written");
        assert_eq!(
            fs::read_to_string(&path).expect("read"),
            "qb_supervisor = \"farm:7433\"\n"
        );
        fs::write(
            &path,
            "# mine\nqb_supervisor = \"old:1\"\nworker_cpus = 3\n",
        )
        .expect("written");
        write_address(&folder, "[::1]:9").expect("written");
        let text = fs::read_to_string(&path).expect("read");
        assert_eq!(
            text,
            "qb_supervisor = \"[::1]:9\"\n# mine\nworker_cpus = 3\n"
        );
    }

    #[test]
    fn what_to_run_next_is_said() {
        let mut options = JoinOptions {
            by: JoinBy::String("x".into()),
            state: "/s/my farm".into(),
            has_usual_state: true,
            name: None,
            mode: WorkerMode::Desktop,
            patience: Duration::ZERO,
        };
        assert_eq!(
            next(&options),
            "next, to run jobs here as you: tessera worker --desktop\n"
        );
        options.has_usual_state = false;
        assert!(next(&options).ends_with("tessera worker --desktop --state '/s/my farm'\n"));
        if cfg!(target_os = "linux") {
            options.mode = WorkerMode::Service;
            let said = next(&options);
            let launcher = "tessera-launch launcher --state '/s/my farm'\n";
            let worker = "runuser -u tessera -- tessera worker --state '/s/my farm'\n";
            assert!(said.contains(launcher) && said.ends_with(worker), "{said}");
        }
    }

    #[test]
    fn join_strings_are_checked_before_anything_is_asked() {
        let error = read("tessera-join:2:x").expect_err("no join string");
        assert_eq!(error.exit, Exit::Usage);
        assert!(!error.hints.is_empty());
    }
}
