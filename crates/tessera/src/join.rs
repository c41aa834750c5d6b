//! Enrols this host: gets a certificate for a key that never leaves it, and writes down who the farm is.
//!
//! As a service the worker's files belong to the account `tessera`, and the launcher's, by which it judges tickets, to
//! root: the worker can replace none of them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;
use tessera_api::Client;
use tessera_api::client::Fingerprint as ApiFingerprint;
use tessera_api::types::{JoinReply, JoinRequest, JoinTokenRequest};
use tessera_cli::daemon::{JoinBy, JoinOptions, WorkerMode};
use tessera_cli::{CliError, Exit};
use tessera_wire::pki::{JoinString, WorkerIdentity};
use tokio::time::{Instant, sleep};

/// The account of the worker daemon.
const WORKER_ACCOUNT: &str = "tessera";
/// Minutes that a token is good for when it is used at once.
const TOKEN_MINUTES: u32 = 5;
/// Pause between attempts to reach a supervisor that is starting.
const PAUSE: Duration = Duration::from_millis(50);

/// Enrols this host.
///
/// # Errors
/// When the supervisor can't be reached or refuses, is another than the join string's, or files can't be written.
pub(crate) async fn join(options: JoinOptions) -> Result<(), CliError> {
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
            name: options.name.clone().unwrap_or_else(host_name),
        })
        .await?;
    let identity = request
        .complete(&reply.certificate_pem, &reply.ca_pem, ticket.ca)
        .map_err(|error| CliError::new(Exit::Denied, error.to_string()))?;
    if options.mode == WorkerMode::Service {
        write_launcher(&options.state, &reply)?;
    }
    write_worker(&options, &identity, &ticket.address)?;
    eprintln!(
        "this host has joined farm {} as {}",
        reply.farm_id,
        identity.host_id()
    );
    Ok(())
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

fn host_name() -> String {
    let name = nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
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
    replace(&dir.join("farm_id"), 0o644, &format!("{}\n", reply.farm_id))?;
    replace(&dir.join("host_id"), 0o644, &format!("{}\n", reply.host_id))?;
    // The last of them: it says that the host has joined.
    replace(&dir.join("dispatch.pub"), 0o644, &keys)
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
        WorkerMode::Service => nix::unistd::User::from_name(WORKER_ACCOUNT).ok().flatten(),
        WorkerMode::Desktop => None,
    };
    write_address(&dir.join("worker.toml"), address)?;
    identity
        .save(&dir)
        .map_err(|error| CliError::failed(error.to_string()))?;
    let Some(owner) = owner else { return Ok(()) };
    let files = ["worker.toml", "key.pem", "ca.pem", "cert.pem"].map(|name| dir.join(name));
    for path in files.iter().chain([&dir]) {
        std::os::unix::fs::lchown(path, Some(owner.uid.as_raw()), Some(owner.gid.as_raw()))
            .map_err(|error| file_error(path, &error))?;
    }
    Ok(())
}

/// Writes the supervisor's address into the configuration: the one line of it, the others stay.
fn write_address(path: &Path, address: &str) -> Result<(), CliError> {
    let old = fs::read_to_string(path).unwrap_or_default();
    let kept = old
        .lines()
        .filter(|line| !line.trim_start().starts_with("qb_supervisor"));
    let quoted = toml::Value::String(address.to_owned());
    let mut text = format!("qb_supervisor = {quoted}\n");
    for line in kept {
        text += line;
        text.push('\n');
    }
    replace(path, 0o644, &text)
}

fn make_dir(path: &Path, mode: u32) -> Result<(), CliError> {
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(|error| file_error(path, &error))
}

/// Writes a file in the place of the old one, at once and durably.
fn replace(path: &Path, mode: u32, text: &str) -> Result<(), CliError> {
    let partial = path.with_extension(format!("new{}", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&partial)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&partial, path)?;
        path.parent()
            .map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&partial);
        file_error(path, &error)
    })
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
        write_address(&path, "farm:7433").expect("written");
        assert_eq!(
            fs::read_to_string(&path).expect("read"),
            "qb_supervisor = \"farm:7433\"\n"
        );
        fs::write(
            &path,
            "# mine\nqb_supervisor = \"old:1\"\nworker_cpus = 3\n",
        )
        .expect("written");
        write_address(&path, "[::1]:9").expect("written");
        let text = fs::read_to_string(&path).expect("read");
        assert_eq!(
            text,
            "qb_supervisor = \"[::1]:9\"\n# mine\nworker_cpus = 3\n"
        );
    }

    #[test]
    fn join_strings_are_checked_before_anything_is_asked() {
        let error = read("tessera-join:2:x").expect_err("no join string");
        assert_eq!(error.exit, Exit::Usage);
        assert!(!error.hints.is_empty());
    }
}
