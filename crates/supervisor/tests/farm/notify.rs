//! People are told: over real HTTP servers of the tests' own, good and bad ones, and over restarts.

use crate::world::{DEADLINE, Farm, Worker, eventually, frames, options};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tessera_api::types::{ActionRequest, ChannelRow, NotifyTest};
use tessera_api::{Client, ClientError, ErrorCode};
use tessera_supervisor::{Options, start};
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

const SECRET: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// How a server answers.
#[derive(Debug, Clone)]
pub(crate) enum Manner {
    /// As it should.
    Takes,
    /// With this, as it is.
    Says(&'static str),
    /// As it should, but for messages with this word, which it refuses for good.
    Minds(&'static str),
    /// As it should, but each answer needs a permit.
    Waits(Arc<Semaphore>),
    /// Never.
    Hangs,
    /// With headers or a body without end.
    Floods(&'static str),
}

/// A request that a server got.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    path: String,
    headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub(crate) fn id(&self) -> String {
        self.headers["webhook-id"].clone()
    }

    /// Checks the signature as a receiver does.
    fn is_signed(&self) -> bool {
        let key = STANDARD.decode(SECRET).expect("base64");
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &key);
        let mut signed =
            format!("{}.{}.", self.id(), self.headers["webhook-timestamp"]).into_bytes();
        signed.extend_from_slice(&self.body);
        let signature = self.headers["webhook-signature"].strip_prefix("v1,");
        let signature = signature.and_then(|it| STANDARD.decode(it).ok());
        signature.is_some_and(|it| aws_lc_rs::hmac::verify(&key, &signed, &it).is_ok())
    }
}

/// An HTTP server that remembers what it got.
#[derive(Clone)]
pub(crate) struct Server {
    port: u16,
    got: Arc<Mutex<Vec<Got>>>,
    manner: Arc<Mutex<Manner>>,
}

impl Server {
    pub(crate) async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let server = Self::at(&listener, manner);
        let on = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(on.clone().serve(stream));
            }
        });
        server
    }

    fn at(listener: &TcpListener, manner: Manner) -> Self {
        Self {
            port: listener.local_addr().expect("an address").port(),
            got: Arc::default(),
            manner: Arc::new(Mutex::new(manner)),
        }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut stream = BufReader::new(stream);
        let Some(got) = read_request(&mut stream).await else {
            return;
        };
        let minded = |word: &str| String::from_utf8_lossy(&got.body).contains(word);
        let is_minded =
            matches!(*self.manner.lock().expect("no panic"), Manner::Minds(word) if minded(word));
        self.got.lock().expect("no panic").push(got);
        let manner = self.manner.lock().expect("no panic").clone();
        // Whoever asked may be gone.
        match manner {
            Manner::Minds(_) if is_minded => {
                let answer = b"HTTP/1.1 422 x\r\nContent-Length: 7\r\n\r\ntoo odd";
                let _ = stream.write_all(answer).await;
            }
            Manner::Takes | Manner::Minds(_) => {
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
            }
            Manner::Waits(permits) => {
                permits.acquire().await.expect("open").forget();
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
            }
            Manner::Says(answer) => {
                let _ = stream.write_all(answer.as_bytes()).await;
            }
            Manner::Hangs => std::future::pending().await,
            Manner::Floods(head) => {
                let _ = stream.write_all(head.as_bytes()).await;
                let line = b"x-more: 0123456789012345678901234567890123456789\r\n".repeat(100);
                while stream.write_all(&line).await.is_ok() {}
            }
        }
        let _ = stream.shutdown().await;
    }

    pub(crate) fn becomes(&self, manner: Manner) {
        *self.manner.lock().expect("no panic") = manner;
    }

    pub(crate) fn all(&self) -> Vec<Got> {
        self.got.lock().expect("no panic").clone()
    }

    /// Waits until so many requests are there.
    pub(crate) async fn has(&self, count: usize) -> Vec<Got> {
        let look = || async { Some(self.all()).filter(|all| all.len() >= count) };
        eventually("a message", look).await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook?room=1", self.port)
    }
}

async fn read_request(stream: &mut (impl AsyncBufReadExt + Unpin)) -> Option<Got> {
    let (mut line, mut headers) = (String::new(), BTreeMap::new());
    stream.read_line(&mut line).await.ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    loop {
        line.clear();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Got {
        path,
        headers,
        body,
    })
}

/// Writes `notify.toml` with channels, by their names, addresses and further lines.
pub(crate) fn configure(dir: &Path, farm: &str, channels: &[(&str, &str, &str)]) {
    let state = dir.join("farm");
    secret_file(&state, &format!("whsec_{SECRET}"));
    let mut text = format!("{farm}\n");
    for (name, url, lines) in channels {
        text.push_str(&format!(
            "[[webhook]]\nname = \"{name}\"\nurl = \"{url}\"\nsecret_file = \"secret\"\n{lines}\n"
        ));
    }
    std::fs::write(state.join("notify.toml"), text).expect("writes");
}

/// Makes the file `secret` of a state folder anew, for its owner alone.
pub(crate) fn secret_file(state: &Path, content: &str) {
    std::fs::create_dir_all(state).expect("a folder");
    let path = state.join("secret");
    let _none_yet = std::fs::remove_file(&path);
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .expect("a file");
    std::io::Write::write_all(&mut file, format!("{content}\n").as_bytes()).expect("writes");
}

pub(crate) async fn farm_with(farm: &str, channels: &[(&str, &str, &str)]) -> Farm {
    let dir = tempfile::tempdir().expect("a folder");
    configure(dir.path(), farm, channels);
    Farm::start_in(dir).await
}

pub(crate) async fn channel(client: &Client, name: &str) -> ChannelRow {
    let channels = client.channels().await.expect("channels").channels;
    let found = channels.into_iter().find(|it| it.name == name);
    found.expect("the channel")
}

async fn failing(client: &Client, name: &str) -> ChannelRow {
    eventually("a failure", || async {
        let row = channel(client, name).await;
        row.last_error.is_some().then_some(row)
    })
    .await
}

/// Runs a job of one frame, which ends with this status.
async fn run_one(farm: &Farm, worker: &mut Worker, name: &str, status: i32) -> u64 {
    let request = tessera_api::types::SubmitRequest {
        name: Some(name.into()),
        ..frames("7")
    };
    let id = farm.submit(request).await;
    let start = worker.started().await;
    assert_eq!(start.key.job.0, id);
    worker.is_up(start.key).await;
    let seq = worker.ended(start.key, start.run, status).await;
    worker.acknowledged(seq).await;
    worker.gone(start.key).await;
    id
}

/// The kill of a job, which needs no worker.
pub(crate) async fn kill(farm: &Farm, id: u64) {
    let request = ActionRequest {
        action: "kill".into(),
        targets: vec![id.to_string()],
    };
    let done = farm.client.act(&request).await.expect("acts");
    assert!(done.results.iter().all(|it| it.error.is_none()), "{done:?}");
}

pub(crate) const SOON: &str = "gather = 0\ninterval = \"1s\"";

#[tokio::test]
async fn what_happens_is_told_once_and_signed() {
    let server = Server::start(Manner::Takes).await;
    let on = "on = [\"failed\", \"done\", \"frame_failed\"]";
    let farm = farm_with("gather = 0", &[("chat", &server.url(), on)]).await;
    let mut worker = farm.worker("rnd001", 1).await;
    let id = run_one(&farm, &mut worker, "comp \u{202e}\u{2028}x", 3).await;
    let got = server.has(2).await;
    for it in &got {
        assert!(it.is_signed(), "{it:?}");
        assert_eq!(it.path, "/hook?room=1");
        assert_eq!(it.headers["content-type"], "application/json");
    }
    let mut kinds: Vec<Value> = got.iter().map(Got::json).collect();
    kinds.sort_by_key(|it| it["kind"].to_string());
    let info = farm.client.info().await.expect("info");
    let me = info.caller.name;
    assert_eq!(kinds[0]["kind"], "failed");
    assert_eq!(kinds[0]["farm"]["id"], info.farm_id);
    assert_eq!(kinds[0]["user"], me);
    assert_eq!(kinds[0]["about"][0]["job"], id);
    assert_eq!(
        kinds[1]["text"],
        format!(
            "a frame of {me} failed: {id} comp \u{fffd}\u{fffd}x (frame 7 on rnd001: {})",
            kinds[1]["about"][0]["text"].as_str().expect("a text")
        )
    );
    assert!(
        kinds[1]["about"][0]["text"]
            .as_str()
            .expect("a text")
            .contains("exit 3")
    );
    assert_ne!(got[0].id(), got[1].id());
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_bad_receiver_stops_neither_the_farm_nor_other_channels() {
    let good = Server::start(Manner::Takes).await;
    let elsewhere = Server::start(Manner::Takes).await;
    let redirect: &'static str = format!(
        "HTTP/1.1 307 Go\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
        elsewhere.url()
    )
    .leak();
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let nobody = format!("http://{}/", closed.local_addr().expect("an address"));
    drop(closed);
    let manners = [
        ("hangs", Manner::Hangs, "no answer within 1 s"),
        (
            "redirects",
            Manner::Says(redirect),
            "answered 307 Temporary Redirect: redirects are not followed",
        ),
        (
            "fails",
            Manner::Says("HTTP/1.1 500 <b>\r\nContent-Length: 9\r\n\r\nno \u{1b}[2Jway"),
            "answered 500 Internal Server Error: no \u{fffd}[2Jwa",
        ),
        (
            "no-http",
            Manner::Says("220 smtp.example ESMTP\r\n"),
            "the connection broke",
        ),
        (
            "heads",
            Manner::Floods("HTTP/1.1 200 OK\r\n"),
            "the connection broke",
        ),
        (
            "bodies",
            Manner::Floods("HTTP/1.1 418 x\r\n\r\n"),
            "answered 418 I'm a teapot: x-more: 01234",
        ),
        ("leaves", Manner::Says(""), "the connection broke"),
    ];
    let mut servers = Vec::new();
    for (name, manner, expected) in manners {
        servers.push((name, Server::start(manner).await, expected));
    }
    let on = "on = [\"done\"]\ntime_limit = 1";
    let urls: Vec<_> = servers
        .iter()
        .map(|(name, server, _)| (*name, server.url()))
        .collect();
    let mut channels: Vec<_> = urls
        .iter()
        .map(|(name, url)| (*name, url.as_str(), on))
        .collect();
    let good_url = good.url();
    channels.push(("nobody", &nobody, on));
    channels.push(("good", &good_url, on));
    let farm = farm_with(SOON, &channels).await;
    let mut worker = farm.worker("rnd001", 1).await;
    run_one(&farm, &mut worker, "first", 0).await;
    good.has(1).await;
    for (name, _, expected) in &servers {
        let row = failing(&farm.client, name).await;
        let why = row.last_error.expect("a reason");
        assert!(why.starts_with(expected), "{name}: {why}");
        assert_eq!((row.told, row.waiting), (0, 1), "{name}");
    }
    let row = failing(&farm.client, "nobody").await;
    assert!(
        row.last_error
            .is_some_and(|why| why.starts_with("no connection: "))
    );
    // All the while work goes on, and is told where somebody listens.
    for n in 0..5 {
        run_one(&farm, &mut worker, &format!("job {n}"), 0).await;
    }
    good.has(2).await;
    assert!(elsewhere.all().is_empty(), "a redirect was followed");
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn what_was_not_taken_is_told_later_under_the_same_id() {
    let server = Server::start(Manner::Says("HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n")).await;
    let farm = farm_with(SOON, &[("chat", &server.url(), "on = [\"killed\"]")]).await;
    let first = farm.submit(frames("1")).await;
    kill(&farm, first).await;
    let ids: Vec<_> = server.has(2).await.iter().map(Got::id).collect();
    assert_eq!(ids[0], ids[1]);
    // What happens meanwhile is gathered, also over a restart.
    let second = farm.submit(frames("1")).await;
    kill(&farm, second).await;
    let farm = farm.restart().await;
    failing(&farm.client, "chat").await;
    let third = farm.submit(frames("1")).await;
    kill(&farm, third).await;
    server.becomes(Manner::Takes);
    let row = eventually("the end", || async {
        let row = channel(&farm.client, "chat").await;
        (row.told == 2).then_some(row)
    })
    .await;
    assert_eq!(
        (row.waiting, row.last_error, row.failing_since_ms),
        (0, None, None)
    );
    let mut told: Vec<(String, Vec<Option<u64>>)> = Vec::new();
    for got in server.all() {
        if told.iter().any(|(id, _)| *id == got.id()) {
            continue;
        }
        let json = got.json();
        let about = json["about"].as_array().expect("a list");
        told.push((
            got.id(),
            about.iter().map(|it| it["job"].as_u64()).collect(),
        ));
    }
    let jobs: Vec<_> = told.iter().map(|(_, jobs)| jobs.as_slice()).collect();
    assert_eq!(told[0].0, ids[0]);
    assert_eq!(jobs, [&[Some(first)][..], &[Some(second), Some(third)][..]]);
    let before = server.all().len();
    // And not again after another restart.
    let farm = farm.restart().await;
    let fourth = farm.submit(frames("1")).await;
    kill(&farm, fourth).await;
    let got = server.has(before + 1).await;
    assert_eq!(got[before].json()["about"][0]["job"], fourth);
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn what_happened_while_nobody_read_is_told_at_the_next_start() {
    let server = Server::start(Manner::Takes).await;
    let channels = [("chat", &*server.url(), "on = [\"killed\"]")];
    let farm = farm_with(SOON, &channels).await;
    let first = farm.submit(frames("1")).await;
    kill(&farm, first).await;
    server.has(1).await;
    // Nobody reads for a while.
    std::fs::remove_file(farm.dir.path().join("farm/notify.toml")).expect("is there");
    let farm = farm.restart().await;
    let second = farm.submit(frames("1")).await;
    kill(&farm, second).await;
    configure(farm.dir.path(), SOON, &channels);
    let farm = farm.restart().await;
    let got = server.has(2).await;
    assert_eq!(got[1].json()["about"][0]["job"], second);
    assert_eq!(got[1].json()["count"], 1);
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_new_channel_is_not_told_of_the_past() {
    let farm = Farm::start().await;
    let old = farm.submit(frames("1")).await;
    kill(&farm, old).await;
    let server = Server::start(Manner::Takes).await;
    configure(
        farm.dir.path(),
        SOON,
        &[("chat", &server.url(), "on = [\"killed\"]")],
    );
    let farm = farm.restart().await;
    let new = farm.submit(frames("1")).await;
    kill(&farm, new).await;
    let got = server.has(1).await;
    assert_eq!(got[0].json()["about"].as_array().map(Vec::len), Some(1));
    assert_eq!(got[0].json()["about"][0]["job"], new);
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn what_is_not_taken_for_too_long_is_given_up() {
    let server = Server::start(Manner::Says("HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n")).await;
    let farm = farm_with(
        &format!("{SOON}\ngive_up_after = 2"),
        &[("chat", &server.url(), "on = [\"killed\"]")],
    )
    .await;
    let id = farm.submit(frames("1")).await;
    kill(&farm, id).await;
    eventually("giving up", || async {
        let row = channel(&farm.client, "chat").await;
        (row.given_up == 1 && row.waiting == 0).then_some(())
    })
    .await;
    // The next one is tried all the same.
    server.becomes(Manner::Takes);
    let before = server.all().len();
    let next = farm.submit(frames("1")).await;
    kill(&farm, next).await;
    let got = server.has(before + 1).await;
    assert_eq!(got[before].json()["about"][0]["job"], next);
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn over_tls_only_to_whom_the_certificate_names() {
    let made =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der())
        .expect("a key");
    tessera_wire::install_crypto_provider();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a configuration");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let server = Server::at(&listener, Manner::Takes);
    let on = server.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (on, acceptor) = (on.clone(), acceptor.clone());
            tokio::spawn(async move {
                // Those who don't trust us go away.
                if let Ok(stream) = acceptor.accept(stream).await {
                    on.serve(stream).await;
                }
            });
        }
    });
    let dir = tempfile::tempdir().expect("a folder");
    let pem = dir.path().join("ca.pem");
    std::fs::write(&pem, made.cert.pem()).expect("writes");
    let trusting = format!("on = [\"killed\"]\nca_file = \"{}\"", pem.display());
    let named = format!("https://localhost:{}/", server.port);
    let unnamed = format!("https://127.0.0.1:{}/", server.port);
    let channels = [
        ("named", &*named, &*trusting),
        ("unnamed", &*unnamed, &*trusting),
        ("untrusted", &*named, "on = [\"killed\"]"),
    ];
    configure(dir.path(), SOON, &channels);
    let farm = Farm::start_in(dir).await;
    let tested = farm
        .client
        .notify_test(&NotifyTest::default())
        .await
        .expect("tested");
    let said: Vec<_> = tested
        .results
        .iter()
        .map(|it| (it.channel.as_str(), it.is_taken))
        .collect();
    assert_eq!(
        said,
        [("named", true), ("unnamed", false), ("untrusted", false)],
        "{tested:?}"
    );
    assert!(tested.results[1].said.starts_with("no TLS: "), "{tested:?}");
    let got = server.all();
    assert_eq!(got.len(), 1, "nothing was said to whom nobody trusts");
    assert!(got[0].is_signed() && got[0].json()["kind"] == "test");
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn an_idle_farm_is_told_once() {
    let server = Server::start(Manner::Takes).await;
    let farm = farm_with(
        &format!("{SOON}\nfarm_after = 0"),
        &[("chat", &server.url(), "on = [\"farm_idle\"]")],
    )
    .await;
    let _worker = farm.worker("rnd001", 4).await;
    let got = server.has(1).await;
    assert_eq!(got[0].json()["text"], "the farm is idle: 4 slots");
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn tests_and_the_list_are_for_administrators() {
    let server = Server::start(Manner::Takes).await;
    let farm = farm_with("", &[("chat", &server.url(), "on = [\"failed\"]")]).await;
    let mia = farm.user("mia").await;
    let denied = |error: ClientError| matches!(error, ClientError::Api(error) if error.code == ErrorCode::Forbidden);
    assert!(mia.channels().await.is_err_and(denied));
    assert!(
        mia.notify_test(&NotifyTest::default())
            .await
            .is_err_and(denied)
    );
    let nobody = farm.over_tls(None).await;
    assert!(nobody.channels().await.is_err());
    let other = NotifyTest {
        channel: Some("chats".into()),
    };
    let unknown = farm.client.notify_test(&other).await.expect_err("none");
    assert!(
        unknown.to_string().contains("there is no channel chats"),
        "{unknown}"
    );
    assert!(server.all().is_empty());
    let tested = farm
        .client
        .notify_test(&NotifyTest::default())
        .await
        .expect("tested");
    assert_eq!(
        (tested.results[0].is_taken, &*tested.results[0].said),
        (true, "204 No Content")
    );
    let row = channel(&farm.client, "chat").await;
    assert_eq!(row.target, format!("http://127.0.0.1:{}", server.port));
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_at_the_start() {
    let dir = tempfile::tempdir().expect("a folder");
    configure(
        dir.path(),
        "",
        &[("chat", "http://chat.example/", "on = [\"failed\"]")],
    );
    let options: Options = options(dir.path());
    let started = tokio::time::timeout(DEADLINE, start(options))
        .await
        .expect("in time");
    let said = started.err().expect("refused").to_string();
    assert!(
        said.contains("notify.toml") && said.contains("https://"),
        "{said}"
    );
}
