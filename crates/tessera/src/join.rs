//! Enrols this host: gets a certificate for a key that never leaves it, and writes down who the farm is.
//!
//! As a service the worker's files belong to the account `tessera`, and the launcher's, by which it judges tickets, to
//! root: the worker can replace none of them.

use nix::fcntl::OFlag;
use nix::unistd::{Gid, Uid};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};
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
/// The account of shepherds.
const SHEPHERD_ACCOUNT: &str = "tessera-shepherd";
/// The account of jobs in mode proxy.
const JOB_ACCOUNT: &str = "tessera-job";
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
    if matches!(options.by, JoinBy::String(_)) {
        // Who joins locally is `tessera up`, which goes on by itself.
        eprint!("{}", next(&options));
    }
    Ok(())
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
        WorkerMode::Service => {
            let path = options.state.display().to_string();
            let path = tessera_cli::out::text::command(&[path]);
            let account = match nix::unistd::User::from_name(WORKER_ACCOUNT) {
                Ok(Some(_)) => String::new(),
                Ok(None) | Err(_) => format!(
                    "first make the system accounts {WORKER_ACCOUNT}, {SHEPHERD_ACCOUNT} and {JOB_ACCOUNT}, \
                     then join again\n"
                ),
            };
            format!(
                "{account}next, as root, and at every boot: tessera-launch launcher --state {path}\n\
                 and beside it: runuser -u {WORKER_ACCOUNT} -- tessera worker{state}\n"
            )
        }
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
        WorkerMode::Service => nix::unistd::User::from_name(WORKER_ACCOUNT).ok().flatten(),
        WorkerMode::Desktop => None,
    };
    let folder = Folder::open(&dir, owner.map(|it| (it.uid, it.gid)))?;
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

/// A folder that may belong to another account, which may put anything there at any moment: nothing in it is followed,
/// waited for, or believed to be what it was.
struct Folder {
    path: PathBuf,
    fd: File,
    /// Whom it and what is in it belong to; `None` for this process's own account.
    owner: Option<(Uid, Gid)>,
}

impl Folder {
    fn open(path: &Path, owner: Option<(Uid, Gid)>) -> Result<Self, CliError> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        let open = || -> io::Result<File> {
            let fd = OpenOptions::new()
                .read(true)
                .custom_flags(flags.bits())
                .open(path)?;
            check_owner(fd.metadata()?.uid(), owner)?;
            Ok(fd)
        };
        let fd = open().map_err(|error| file_error(path, &error))?;
        let path = path.to_owned();
        Ok(Self { path, fd, owner })
    }

    /// Names a file through the open folder, so that the folder can't be exchanged.
    fn inside(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.fd.as_raw_fd()))
    }

    /// Reads a small file of the owner's own; `None` if there is none.
    fn read(&self, name: &str) -> Result<Option<String>, CliError> {
        self.try_read(name)
            .map_err(|error| read_error(&self.path.join(name), &error))
    }

    fn try_read(&self, name: &str) -> io::Result<Option<String>> {
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let mut options = OpenOptions::new();
        let opened = options.read(true).custom_flags(flags.bits());
        let file = match opened.open(self.inside(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let found = file.metadata()?;
        if !found.is_file() || found.nlink() != 1 {
            return Err(io::Error::other("is not a plain file with one name"));
        }
        check_owner(found.uid(), self.owner)?;
        let mut text = String::new();
        file.take(CONFIG_BYTES_MAX + 1).read_to_string(&mut text)?;
        if text.len() as u64 > CONFIG_BYTES_MAX {
            return Err(ErrorKind::FileTooLarge.into());
        }
        Ok(Some(text))
    }

    /// Writes a file in the place of the old one, at once and durably; it is the owner's before it has its name.
    fn replace(&self, name: &str, mode: u32, text: &str) -> Result<(), CliError> {
        let partial = self.inside(&format!(".{name}.new{}", std::process::id()));
        let write = || -> io::Result<()> {
            // One that an earlier process of this number left.
            match fs::remove_file(&partial) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(mode)
                .custom_flags(OFlag::O_NOFOLLOW.bits())
                .open(&partial)?;
            file.write_all(text.as_bytes())?;
            if let Some((uid, gid)) = self.owner {
                fchown(&file, Some(uid.as_raw()), Some(gid.as_raw()))?;
            }
            file.sync_all()?;
            fs::rename(&partial, self.inside(name))?;
            self.fd.sync_all()
        };
        write().map_err(|error| {
            let _ = fs::remove_file(&partial);
            file_error(&self.path.join(name), &error)
        })
    }

    /// Gives the folder itself to its owner.
    fn give_away(&self) -> Result<(), CliError> {
        let Some((uid, gid)) = self.owner else {
            return Ok(());
        };
        fchown(&self.fd, Some(uid.as_raw()), Some(gid.as_raw()))
            .map_err(|error| file_error(&self.path, &error))
    }
}

/// A new folder beside another, private, removed with all that is in it.
struct OwnFolder(PathBuf);

impl OwnFolder {
    fn new(beside: &Path) -> Result<Self, CliError> {
        let path = beside.with_extension(format!("new{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        DirBuilder::new()
            .mode(0o700)
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

/// Refuses what belongs to neither the owner, nor this process's account, nor root.
fn check_owner(uid: u32, owner: Option<(Uid, Gid)>) -> io::Result<()> {
    let uid = Uid::from_raw(uid);
    let is_owners = owner.is_some_and(|it| it.0 == uid);
    if is_owners || uid == Uid::effective() || uid.is_root() {
        return Ok(());
    }
    let text = format!("belongs to uid {uid}, which is neither the worker's nor this account's");
    Err(io::Error::new(ErrorKind::PermissionDenied, text))
}

fn make_dir(path: &Path, mode: u32) -> Result<(), CliError> {
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(|error| file_error(path, &error))
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
        options.mode = WorkerMode::Service;
        let said = next(&options);
        assert!(
            said.contains("tessera-launch launcher --state '/s/my farm'\n")
                && said.ends_with("runuser -u tessera -- tessera worker --state '/s/my farm'\n"),
            "{said}"
        );
    }

    #[test]
    fn join_strings_are_checked_before_anything_is_asked() {
        let error = read("tessera-join:2:x").expect_err("no join string");
        assert_eq!(error.exit, Exit::Usage);
        assert!(!error.hints.is_empty());
    }

    #[test]
    fn nothing_but_a_plain_file_of_the_workers_is_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let secret = dir.path().join("secret");
        fs::write(&secret, "password\n").expect("written");
        let worker = dir.path().join("worker");
        fs::create_dir(&worker).expect("made");
        let path = worker.join(CONFIG);
        let folder = Folder::open(&worker, None).expect("opens");
        let refused = |what: &str| {
            assert!(write_address(&folder, "farm:1").is_err(), "{what}");
            let left = fs::read_dir(&worker).expect("reads").count();
            assert_eq!(left, 1, "{what}: nothing was written");
            fs::remove_file(&path).expect("removed");
        };
        std::os::unix::fs::symlink(&secret, &path).expect("linked");
        refused("a link");
        fs::hard_link(&secret, &path).expect("linked");
        refused("another's second name");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("made");
        refused("a pipe");
        let big = vec![b'#'; usize::try_from(CONFIG_BYTES_MAX).expect("is small") + 1];
        fs::write(&path, big).expect("written");
        refused("too much");
        fs::write(&path, [0xff]).expect("written");
        refused("not text");
        assert_eq!(fs::read_to_string(&secret).expect("read"), "password\n");
        std::os::unix::fs::symlink(&worker, dir.path().join("other")).expect("linked");
        assert!(Folder::open(&dir.path().join("other"), None).is_err());
    }

    #[test]
    fn files_are_the_owners_before_they_have_their_names() {
        if !Uid::effective().is_root() {
            return eprintln!("skipped: needs root");
        }
        let dir = tempfile::tempdir().expect("a folder");
        let owner = (Uid::from_raw(4_711), Gid::from_raw(4_712));
        let folder = Folder::open(dir.path(), Some(owner)).expect("opens");
        let path = dir.path().join(CONFIG);
        let secret = dir.path().join("secret");
        fs::write(&secret, "password\n").expect("written");
        // What is in the way of the new file is neither followed nor changed.
        let partial = format!(".{CONFIG}.new{}", std::process::id());
        std::os::unix::fs::symlink(&secret, dir.path().join(partial)).expect("linked");
        write_address(&folder, "farm:1").expect("written");
        folder.give_away().expect("given");
        for path in [&path, dir.path()] {
            let found = fs::symlink_metadata(path).expect("is there");
            assert_eq!((found.uid(), found.gid()), (4_711, 4_712));
        }
        let found = fs::metadata(&secret).expect("is there");
        assert_eq!((found.uid(), found.len()), (0, 9));
        write_address(&folder, "farm:2").expect("the owner's is read");
        fchown(File::open(&path).expect("opens"), Some(4_713), Some(4_712)).expect("given");
        assert!(write_address(&folder, "farm:3").is_err(), "a stranger's");
    }
}
