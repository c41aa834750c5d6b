//! Registered passwords from the command line to the logon: a real supervisor, the program as people run it, and workers
//! with the real vault in front of a made-up Windows domain.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tessera_api::Client;
use tessera_api::client::Fingerprint;
use tessera_api::types::{JoinRequest, JoinTokenRequest, SubmitRequest, TokenRequest};
use tessera_model::credential::{AccountKind, NEEDS_CREDENTIAL, Verdict};
use tessera_model::host::Refusal;
use tessera_model::msg::{AttemptEnd, FromWorker, GoneCause, LaunchKey, Report, Run, ToWorker};
use tessera_model::state::End;
use tessera_model::{HostFacts, Identity, Timestamp};
use tessera_supervisor::{Options, Running};
use tessera_wire::link::{Attached, WorkerLink};
use tessera_wire::pki::{JoinString, WorkerIdentity};
use tessera_wire::tls::WorkerTls;
use tessera_worker::credential::{
    Account, Accounts, FileSecrets, LoggedOn, LogonFailed, Secret, Settings, Vault,
};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::task::JoinHandle;

/// How long a test waits for what must come.
const DEADLINE: Duration = Duration::from_secs(60);
const PASSWORD: &str = "cAnArY-pa55word-of-mia";

/// A Windows domain: accounts with passwords, and how often each was tried.
#[derive(Clone, Default)]
struct Domain(Arc<Mutex<Directory>>);

#[derive(Default)]
struct Directory {
    passwords: BTreeMap<String, String>,
    attempts: BTreeMap<String, u32>,
}

impl Domain {
    fn set(&self, account: &str, password: &str) {
        let mut directory = self.0.lock().unwrap();
        directory
            .passwords
            .insert(account.to_owned(), password.to_owned());
    }

    fn attempts(&self, account: &str) -> u32 {
        self.0
            .lock()
            .unwrap()
            .attempts
            .get(account)
            .copied()
            .unwrap_or(0)
    }
}

impl Accounts for Domain {
    fn sid_of(&self, account: Account<'_>) -> Result<String, LogonFailed> {
        let directory = self.0.lock().unwrap();
        let place = directory
            .passwords
            .keys()
            .position(|name| name == account.name);
        let place = place.ok_or_else(|| LogonFailed::new(Verdict::NoAccount, "error 1332"))?;
        Ok(format!("S-1-5-21-7-{place}"))
    }

    fn log_on(&self, account: Account<'_>, password: &Secret) -> Result<LoggedOn, LogonFailed> {
        let sid = self.sid_of(account)?;
        let mut directory = self.0.lock().unwrap();
        *directory
            .attempts
            .entry(account.name.to_owned())
            .or_default() += 1;
        let is_it = password.with_text(|text| directory.passwords[account.name] == text);
        if account.domain == "STUDIO" && is_it {
            let token = Arc::new(account.name.to_owned());
            return Ok(LoggedOn { sid, token });
        }
        Err(LogonFailed::new(Verdict::Wrong, "error 1326"))
    }
}

/// A farm whose people have homes of their own.
struct Farm {
    running: Running,
    client: Client,
    dir: TempDir,
    domain: Domain,
    workers: Vec<JoinHandle<()>>,
}

impl Farm {
    async fn start(config: &str) -> Self {
        tessera_wire::install_crypto_provider();
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("supervisor.toml");
        std::fs::write(&file, config).expect("writes");
        let options = Options {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            config: Some(file),
            ..Options::new(dir.path().join("farm"))
        };
        let running = tessera_supervisor::start(options).await.expect("starts");
        let domain = Domain::default();
        domain.set("mia", PASSWORD);
        Self {
            client: Client::unix(running.socket()),
            running,
            dir,
            domain,
            workers: Vec::new(),
        }
    }

    /// Lets a Windows host join and connects its worker.
    async fn windows(&mut self, name: &str, slots: u32, identity: Identity) {
        let token = self
            .client
            .create_join_token(&JoinTokenRequest::default())
            .await;
        let join: JoinString = token
            .expect("a token")
            .join_string
            .parse()
            .expect("a string");
        let request = WorkerIdentity::generate_csr().expect("a request");
        let body = JoinRequest {
            token: join.token.reveal(),
            csr_pem: request.csr_pem().to_owned(),
            name: name.to_owned(),
        };
        let reply = self.client.join(&body).await.expect("joins");
        let own = request
            .complete(&reply.certificate_pem, &reply.ca_pem, join.ca)
            .expect("ours");
        let tls = WorkerTls::new(&own).expect("an identity");
        let stream = tls
            .connect(&self.running.address().to_string())
            .await
            .expect("connects");
        let link = WorkerLink::open(stream, tls.farm_id())
            .await
            .expect("opens");
        let facts = HostFacts {
            slots,
            identity: identity.clone(),
            properties: [(NEEDS_CREDENTIAL.to_owned(), "1".to_owned())].into(),
            ..HostFacts::default()
        };
        let attached = link.attach(facts, Vec::new()).await.expect("attaches");
        let dir = self.dir.path().join(name);
        let secrets = FileSecrets::open(&dir).expect("opens");
        let accounts = Box::new(self.domain.clone());
        let vault = Vault::open(&dir, Settings::default(), Box::new(secrets), accounts);
        let worker = Windows {
            vault: vault.expect("opens"),
            identity,
            attached,
            seq: 0,
            _link: link,
        };
        self.workers.push(tokio::spawn(worker.run(reply.farm_id)));
        let up = async || {
            self.client
                .host(name)
                .await
                .is_ok_and(|host| host.host.status == "up")
        };
        eventually("the host is up", up).await;
    }

    /// Gives somebody a home with a token for this farm.
    async fn person(&self, name: &str) -> Person {
        let request = TokenRequest {
            user: Some(name.to_owned()),
            ..TokenRequest::default()
        };
        let token = self
            .client
            .create_token(&request)
            .await
            .expect("a token")
            .token;
        let home = self.dir.path().join(format!("home-{name}"));
        std::fs::create_dir(&home).expect("a home");
        let ca = self.client.info().await.expect("info").ca_sha256;
        let address = self.running.address().to_string();
        let fingerprint: Fingerprint = ca.parse().expect("a fingerprint");
        let person = Person {
            client: Client::tls(address.clone(), fingerprint, Some(token.clone())),
            home,
        };
        let words = ["login", &address, "--ca", &ca];
        let (code, said) = person.run(&words, &format!("{token}\n")).await;
        assert_eq!(code, 0, "{said}");
        person
    }

    async fn status(&self, job: u64) -> String {
        self.client.job(job).await.expect("there").job.status
    }

    async fn becomes(&self, job: u64, status: &str) {
        eventually(status, async || self.status(job).await == status).await;
    }

    async fn stop(self) -> TempDir {
        self.workers.iter().for_each(JoinHandle::abort);
        self.running.stop().await.expect("stops in order");
        self.dir
    }
}

/// Somebody at a machine of their own.
struct Person {
    client: Client,
    home: PathBuf,
}

impl Person {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tessera"));
        command.args(words).env_clear().env("HOME", &self.home);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a command with this on standard input; answers its exit code and all that it said.
    async fn run(&self, words: &[&str], input: &str) -> (i32, String) {
        let mut child = self.command(words).spawn().expect("it starts");
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(input.as_bytes()).await.expect("taken");
        drop(stdin);
        let ended = tokio::time::timeout(DEADLINE, child.wait_with_output()).await;
        words_of(&ended.expect("in time").expect("it ends"))
    }

    async fn register(&self, more: &[&str], password: &str) -> (i32, String) {
        let words = [
            &["credential", "register", "--stdin", "--domain", "STUDIO"],
            more,
        ]
        .concat();
        self.run(&words, &format!("{password}\n")).await
    }

    async fn submit(&self, range: &str, cpus: u32) -> u64 {
        let request = SubmitRequest {
            command: vec!["render".into(), "QB_FRAME_NUMBER".into()],
            range: Some(range.to_owned()),
            cpus: Some(i64::from(cpus)),
            ..SubmitRequest::default()
        };
        let reply = self
            .client
            .submit(&request, false)
            .await
            .expect("submitted");
        reply.job.expect("has a number")
    }
}

fn words_of(output: &Output) -> (i32, String) {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    (output.status.code().unwrap_or(-1), text)
}

/// A worker that starts nothing, but becomes people as a Windows worker does.
struct Windows {
    vault: Vault,
    identity: Identity,
    attached: Attached,
    seq: u64,
    _link: WorkerLink,
}

impl Windows {
    async fn run(mut self, farm: String) {
        let keys = self.vault.keys(&farm, wall()).expect("keys");
        self.say(vec![
            FromWorker::PoolKeys(keys),
            FromWorker::Inventory(Vec::new()),
        ])
        .await;
        while let Some(turn) = self.attached.incoming.recv().await {
            for message in turn {
                let answers = self.answers(message).await;
                self.say(answers).await;
            }
        }
    }

    async fn say(&self, messages: Vec<FromWorker>) {
        if !messages.is_empty() {
            let _ended = self.attached.outgoing.send(messages).await;
        }
    }

    async fn answers(&mut self, message: ToWorker) -> Vec<FromWorker> {
        match message {
            ToWorker::Start { key, run, .. } => self.start(key, run).await,
            ToWorker::Run { key, run } => vec![self.report(ended(key, run))],
            ToWorker::Close { key, .. } => {
                let cause = GoneCause::Closed;
                vec![self.report(Report::Gone { key, cause })]
            }
            other => {
                let vault = self.vault.clone();
                tokio::task::spawn_blocking(move || vault.take(other))
                    .await
                    .expect("no panic")
            }
        }
    }

    async fn start(&mut self, key: LaunchKey, run: Run) -> Vec<FromWorker> {
        let (kind, account) = match &self.identity {
            Identity::Proxy(account) => (AccountKind::Proxy, account.parse().expect("a name")),
            Identity::User | Identity::Desktop(_) => {
                (AccountKind::User, "mia".parse().expect("a name"))
            }
        };
        let vault = self.vault.clone();
        let token = tokio::task::spawn_blocking(move || vault.token(kind, &account)).await;
        match token.expect("no panic") {
            Ok(token) => {
                let account = token.downcast_ref::<String>().expect("ours").clone();
                let containment = "job".to_owned();
                let started = Report::Started {
                    key,
                    account,
                    uid: 0,
                    containment,
                };
                vec![self.report(started), self.report(ended(key, run))]
            }
            Err(failed) => {
                let (code, text) = (failed.code(), failed.to_string());
                let refusal = Refusal { code, text };
                vec![self.report(Report::Refused { key, refusal })]
            }
        }
    }

    fn report(&mut self, report: Report) -> FromWorker {
        self.seq += 1;
        FromWorker::Report {
            seq: self.seq,
            report,
        }
    }
}

fn ended(key: LaunchKey, run: Run) -> Report {
    let end = AttemptEnd::nothing_ran(End::Exit(0), wall());
    Report::ItemEnded { key, run, end }
}

fn wall() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(i64::try_from(since.expect("after 1970").as_millis()).expect("soon"))
}

async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let end = tokio::time::Instant::now() + DEADLINE;
    while !is_so().await {
        assert!(tokio::time::Instant::now() < end, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Answers the files below a folder that have the text in them.
fn files_with(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if path.is_file() {
            let bytes = std::fs::read(&path).expect("reads");
            if bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
            {
                found.push(path);
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn c05_a_wrong_password_is_one_attempt_and_the_right_one_lets_the_work_go() {
    let mut farm = Farm::start("").await;
    for number in 0..5 {
        farm.windows(&format!("win{number}"), 10, Identity::User)
            .await;
    }
    let mia = farm.person("mia").await;
    let job = mia.submit("1-100", 50).await;
    farm.becomes(job, "badlogin").await;
    assert_eq!(farm.domain.attempts("mia"), 0);
    let (code, said) = mia.register(&[], "a guess").await;
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("wrong") && said.contains("sealed here for 5 workers"),
        "{said}"
    );
    farm.becomes(job, "badlogin").await;
    assert_eq!(
        farm.domain.attempts("mia"),
        1,
        "one attempt for 100 frames on 50 slots"
    );
    let (code, said) = mia.run(&["credential", "check"], "").await;
    assert_eq!(code, 6, "{said}");
    assert!(
        said.contains("locked out") && farm.domain.attempts("mia") == 1,
        "{said}"
    );
    let (code, said) = mia.register(&[], PASSWORD).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("valid"), "{said}");
    farm.becomes(job, "complete").await;
    assert!(
        farm.domain.attempts("mia") <= 2 + 5,
        "one to check it, one on each worker"
    );
    let (code, listed) = mia.run(&["credential", "list", "--json"], "").await;
    assert_eq!(code, 0, "{listed}");
    assert!(
        listed.contains("\"status\": \"valid\"") && listed.contains("STUDIO"),
        "{listed}"
    );
    farm.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c02_nothing_that_is_kept_has_the_password_in_it() {
    let mut farm = Farm::start("").await;
    farm.windows("win1", 2, Identity::User).await;
    let mia = farm.person("mia").await;
    let (code, said) = mia.register(&[], PASSWORD).await;
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains(PASSWORD));
    let job = mia.submit("1-4", 2).await;
    farm.becomes(job, "complete").await;
    let history = farm
        .client
        .history(job, &Default::default())
        .await
        .expect("history");
    assert!(!format!("{history:?}").contains(PASSWORD));
    let dir = farm.stop().await;
    let names: Vec<PathBuf> = files_with(dir.path(), "STUDIO");
    // In the database or still in its log beside it.
    let is_store = |path: &PathBuf| path.to_string_lossy().contains("tessera.db");
    assert!(
        names.iter().any(is_store),
        "the search finds what is there: {names:?}"
    );
    assert_eq!(files_with(dir.path(), PASSWORD), Vec::<PathBuf>::new());
    let wide: Vec<u8> = PASSWORD.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let wide = String::from_utf8(wide).expect("ASCII");
    assert_eq!(files_with(dir.path(), &wide), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn c01_what_is_moved_in_the_database_opens_nowhere() {
    let mut farm = Farm::start("").await;
    farm.windows("win1", 2, Identity::User).await;
    farm.domain.set("eve", "eves-own");
    let (mia, eve) = (farm.person("mia").await, farm.person("eve").await);
    for (person, password) in [(&mia, PASSWORD), (&eve, "eves-own")] {
        let (code, said) = person.register(&[], password).await;
        assert_eq!(code, 0, "{said}");
    }
    let attempts = farm.domain.attempts("mia") + farm.domain.attempts("eve");
    let reference = tessera_api::types::CredentialRef::default();
    // What somebody finds in the database of hers, Eve says is her own.
    let hers = mia.client.seal_offer(&reference).await.expect("an offer");
    let keys = hers.signed_keys(mia.client.pinned_ca()).expect("signed");
    let secret = Secret::password(PASSWORD.to_owned()).expect("a password");
    let found = hers.seal(&secret, &keys, "STUDIO", 30).expect("sealed");
    let offer = eve.client.seal_offer(&reference).await.expect("an offer");
    let stolen = tessera_api::types::CredentialRequest {
        kind: "user".into(),
        account: "eve".into(),
        domain: "STUDIO".into(),
        pool: "default".into(),
        sid: String::new(),
        sequence: offer.sequence,
        created_ms: offer.now_ms,
        expires_ms: offer.now_ms + 1_000_000,
        sealed: found.sealed,
    };
    eve.client
        .register_credential(&stolen)
        .await
        .expect("it can't be told from outside");
    let status = async || {
        let all = eve.client.credentials().await.expect("listed").credentials;
        assert_eq!(all.len(), 1, "her own only");
        all[0].status == "unreadable"
    };
    eventually("unreadable", status).await;
    assert_eq!(
        farm.domain.attempts("mia") + farm.domain.attempts("eve"),
        attempts,
        "nothing was tried"
    );
    let hers = tessera_api::types::CredentialRef {
        account: Some("mia".into()),
        ..reference
    };
    let refused = eve.client.seal_offer(&hers).await.expect_err("not hers");
    assert_eq!(refused.exit_code(), tessera_api::Exit::Denied);
    farm.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c07_a_password_is_no_argument_and_shows_nowhere() {
    let mut farm = Farm::start("").await;
    farm.windows("win1", 1, Identity::User).await;
    let mia = farm.person("mia").await;
    for word in ["--password", "--passwd", "-p"] {
        let (code, said) = mia
            .run(&["credential", "register", word, PASSWORD], "")
            .await;
        assert_eq!(code, 2, "{word}: {said}");
    }
    let (code, said) = mia.run(&["credential", "register", PASSWORD], "").await;
    assert_eq!(code, 2, "{said}");
    let words = ["credential", "register", "--stdin", "--domain", "STUDIO"];
    let mut child = mia.command(&words).spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(PASSWORD.as_bytes()).await.expect("taken");
    let proc = PathBuf::from(format!("/proc/{}", child.id().expect("runs")));
    // Without the end of the line it waits with what it has read.
    for file in ["cmdline", "environ"] {
        let bytes = std::fs::read(proc.join(file)).expect("readable");
        assert!(
            !String::from_utf8_lossy(&bytes).contains(PASSWORD),
            "{file}"
        );
    }
    stdin.write_all(b"\n").await.expect("taken");
    drop(stdin);
    let (code, said) = words_of(&child.wait_with_output().await.expect("ends"));
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains(PASSWORD), "{said}");
    farm.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_typed_twice_and_not_shown() {
    if !Path::new("/usr/bin/script").exists() {
        assert!(
            std::env::var_os("CI").is_none(),
            "script (bsdutils) is missing"
        );
        eprintln!("skipped: no script here");
        return;
    }
    let mut farm = Farm::start("").await;
    farm.windows("win1", 1, Identity::User).await;
    let mia = farm.person("mia").await;
    let program = env!("CARGO_BIN_EXE_tessera");
    for (typed, code) in [([PASSWORD, PASSWORD], 0), ([PASSWORD, "another"], 2)] {
        let mut command = Command::new("/usr/bin/script");
        let words = format!("{program} credential register --domain STUDIO");
        command
            .args(["-qec", &words, "/dev/null"])
            .env_clear()
            .env("HOME", &mia.home);
        command.env("PATH", "/usr/bin:/bin");
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let script = child.id().expect("runs");
        let (mut stdin, mut stdout) = (
            child.stdin.take().expect("piped"),
            child.stdout.take().expect("piped"),
        );
        let mut all = String::new();
        for (prompt, answer) in ["Password: ", "Again: "].into_iter().zip(typed) {
            until_said(&mut stdout, &mut all, prompt).await;
            eventually("a hidden prompt", async || is_hidden(script)).await;
            stdin
                .write_all(format!("{answer}\n").as_bytes())
                .await
                .expect("taken");
        }
        until_end(&mut stdout, &mut all).await;
        let status = child.wait().await.expect("ends");
        assert_eq!(status.code(), Some(code), "{all}");
        assert!(!all.contains(PASSWORD) && !all.contains("another"), "{all}");
    }
    assert_eq!(
        farm.domain.attempts("mia"),
        1,
        "the second was not even sent"
    );
    farm.stop().await;
}

/// Says whether the terminal that `script` made shows nothing of what is typed: it is hidden just after the prompt.
fn is_hidden(script: u32) -> bool {
    let children = std::fs::read_to_string(format!("/proc/{script}/task/{script}/children"));
    let children = children.unwrap_or_default();
    let terminal = children
        .split(' ')
        .find_map(|child| std::fs::read_link(format!("/proc/{child}/fd/0")).ok());
    let Some(terminal) = terminal else {
        return false;
    };
    let asked = std::process::Command::new("stty")
        .arg("-F")
        .arg(terminal)
        .arg("-a")
        .output();
    asked.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).contains(" -echo "))
}

async fn until_said(from: &mut tokio::process::ChildStdout, all: &mut String, what: &str) {
    while !all.contains(what) {
        assert!(more(from, all).await, "ended before {what:?}: {all}");
    }
}

async fn until_end(from: &mut tokio::process::ChildStdout, all: &mut String) {
    while more(from, all).await {}
}

async fn more(from: &mut tokio::process::ChildStdout, all: &mut String) -> bool {
    use tokio::io::AsyncReadExt as _;
    let mut part = [0; 1_024];
    let read = tokio::time::timeout(DEADLINE, from.read(&mut part)).await;
    let count = read
        .unwrap_or_else(|_| panic!("nothing more after: {all}"))
        .unwrap_or(0);
    all.push_str(&String::from_utf8_lossy(&part[..count]));
    count > 0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_stops_what_has_not_started() {
    let mut farm = Farm::start("").await;
    farm.windows("win1", 1, Identity::User).await;
    let mia = farm.person("mia").await;
    let (code, said) = mia.register(&[], PASSWORD).await;
    assert_eq!(code, 0, "{said}");
    let (code, said) = mia.run(&["credential", "revoke"], "").await;
    assert_eq!(code, 0, "{said}");
    let attempts = farm.domain.attempts("mia");
    let job = mia.submit("1-3", 1).await;
    farm.becomes(job, "badlogin").await;
    assert_eq!(farm.domain.attempts("mia"), attempts);
    let (code, said) = mia.run(&["credential", "revoke"], "").await;
    assert_eq!(code, 5, "{said}");
    let (code, said) = mia.register(&[], PASSWORD).await;
    assert_eq!(code, 0, "{said}");
    farm.becomes(job, "complete").await;
    farm.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_new_is_not_sealed_for_unasked() {
    let mut farm = Farm::start("").await;
    farm.windows("win1", 1, Identity::User).await;
    let mia = farm.person("mia").await;
    let (code, said) = mia.register(&[], PASSWORD).await;
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("first password that is sealed here"),
        "{said}"
    );
    farm.windows("win2", 1, Identity::User).await;
    let (code, said) = mia.register(&[], PASSWORD).await;
    assert_eq!(code, 4, "{said}");
    assert!(
        said.contains("New since the last time") && said.contains("win2"),
        "{said}"
    );
    let (code, said) = mia.register(&["--accept-new-keys"], PASSWORD).await;
    assert_eq!(code, 0, "{said}");
    let (code, said) = mia.run(&["credential", "keys"], "").await;
    assert_eq!(
        (
            code,
            said.matches("known").count(),
            said.matches("new").count()
        ),
        (0, 2, 0),
        "{said}"
    );
    farm.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_registers_the_proxy_account() {
    let mut farm = Farm::start("").await;
    farm.domain.set("render", "of-the-farm");
    farm.windows("win1", 2, Identity::Proxy("render".into()))
        .await;
    let mia = farm.person("mia").await;
    let job = mia.submit("1-3", 1).await;
    farm.becomes(job, "badlogin").await;
    let words = ["--proxy", "--user", "render"];
    let (code, said) = mia.register(&words, "of-the-farm").await;
    assert_eq!(code, 4, "{said}");
    let root = Person {
        client: farm.client.clone(),
        home: farm.dir.path().to_owned(),
    };
    let socket = format!("unix:{}", farm.running.socket().display());
    let (code, said) = root
        .register(
            &[&words[..], &["--supervisor", &socket]].concat(),
            "of-the-farm",
        )
        .await;
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: root alone is an administrator here");
        return;
    }
    assert_eq!(code, 0, "{said}");
    farm.becomes(job, "complete").await;
    farm.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn enforce_password_refuses_submissions_instead() {
    let mut farm = Farm::start("enforce_password = true\n").await;
    farm.windows("win1", 1, Identity::User).await;
    let mia = farm.person("mia").await;
    let (code, said) = mia.run(&["submit", "--", "render"], "").await;
    assert_eq!(code, 6, "{said}");
    assert!(said.contains("tessera credential register"), "{said}");
    let (code, said) = mia.register(&[], PASSWORD).await;
    assert_eq!(code, 0, "{said}");
    let (code, said) = mia.run(&["submit", "--", "render"], "").await;
    assert_eq!(code, 0, "{said}");
    farm.stop().await;
}
