//! People are told by mail: over a real SMTP server of the tests' own, with TLS and without.

use crate::notify::{SOON, kill, secret_file};
use crate::world::{Farm, eventually, frames};
use std::path::Path;
use std::sync::{Arc, Mutex};
use tessera_api::types::{ChannelRow, ModifyRequest, NotifyTest, SetMailWishes, SubmitRequest};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// How a server behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// As it should, without TLS.
    Plain,
    /// As it should, with `STARTTLS`.
    StartTls,
    /// As it should, within TLS.
    Tls,
    /// Its login refuses everybody.
    NoLogin,
    /// Nobody is known there.
    NoUsers,
    /// It answers lines with this word in them so.
    Refuses(&'static str, &'static str),
    /// It greets without end.
    Floods,
    /// It says nothing.
    Hangs,
}

/// A mail that a server took.
#[derive(Debug, Clone, Default)]
struct Got {
    from: String,
    to: Vec<String>,
    login: Option<String>,
    is_within_tls: bool,
    text: String,
}

impl Got {
    fn header(&self, name: &str) -> String {
        let (head, _) = self.text.split_once("\r\n\r\n").expect("a head");
        let head = head.replace("\r\n ", " ");
        let lines: Vec<&str> = head.split("\r\n").collect();
        let start = format!("{name}: ");
        let found: Vec<_> = lines
            .iter()
            .filter_map(|line| line.strip_prefix(&start))
            .collect();
        assert_eq!(found.len(), 1, "{name} in {head}");
        found[0].to_owned()
    }
}

/// An SMTP server that remembers what it took, and every line that it heard.
#[derive(Clone)]
struct Server {
    port: u16,
    manner: Manner,
    got: Arc<Mutex<Vec<Got>>>,
    heard: Arc<Mutex<Vec<String>>>,
    certificate: String,
    acceptor: TlsAcceptor,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Server {
    async fn start(manner: Manner) -> Self {
        tessera_wire::install_crypto_provider();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("made");
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der());
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.expect("a key"))
            .expect("a configuration");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let server = Self {
            port: listener.local_addr().expect("an address").port(),
            manner,
            got: Arc::default(),
            heard: Arc::default(),
            certificate: made.cert.pem(),
            acceptor: TlsAcceptor::from(Arc::new(config)),
        };
        let on = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let on = on.clone();
                // Whoever asked may be gone at any line.
                tokio::spawn(async move { on.serve(stream).await });
            }
        });
        server
    }

    async fn serve(self, stream: TcpStream) -> Option<()> {
        let is_tls = self.manner == Manner::Tls;
        let mut stream: BufReader<Box<dyn Stream>> = BufReader::new(if is_tls {
            Box::new(self.acceptor.accept(stream).await.ok()?)
        } else {
            Box::new(stream)
        });
        match self.manner {
            Manner::Hangs => std::future::pending().await,
            Manner::Floods => {
                while stream
                    .write_all(b"220-0123456789012345678901234567890123456\r\n")
                    .await
                    .is_ok()
                {}
                return None;
            }
            _ => say(&mut stream, "220 mail.example ESMTP").await?,
        }
        let mut got = Got {
            is_within_tls: is_tls,
            ..Got::default()
        };
        loop {
            let line = self.line(&mut stream).await?;
            let word = line
                .split([' ', ':'])
                .next()
                .unwrap_or_default()
                .to_ascii_uppercase();
            match word.as_str() {
                _ if let Manner::Refuses(begin, reply) = self.manner
                    && line.contains(begin) =>
                {
                    say(&mut stream, reply).await?;
                }
                "EHLO" => {
                    say(&mut stream, "250-mail.example").await?;
                    if self.manner == Manner::StartTls && !got.is_within_tls {
                        say(&mut stream, "250-STARTTLS").await?;
                    }
                    say(&mut stream, "250 AUTH PLAIN").await?;
                }
                "STARTTLS" => {
                    say(&mut stream, "220 go").await?;
                    let inner = stream.into_inner();
                    stream = BufReader::new(Box::new(self.acceptor.accept(inner).await.ok()?));
                    got.is_within_tls = true;
                }
                "AUTH" if self.manner == Manner::NoLogin => {
                    say(&mut stream, "535 no \u{1b}[2J").await?;
                }
                "AUTH" => {
                    got.login = line.split(' ').nth(2).map(ToOwned::to_owned);
                    say(&mut stream, "235 welcome").await?;
                }
                "MAIL" => {
                    got.from = within(&line);
                    say(&mut stream, "250 ok").await?;
                }
                "RCPT" if self.manner == Manner::NoUsers => {
                    say(&mut stream, "550 no such user").await?;
                }
                "RCPT" => {
                    got.to.push(within(&line));
                    say(&mut stream, "250 ok").await?;
                }
                "DATA" => {
                    say(&mut stream, "354 go on").await?;
                    got.text = self.text(&mut stream).await?;
                    self.got.lock().expect("no panic").push(got.clone());
                    got.to.clear();
                    say(&mut stream, "250 queued as 42").await?;
                }
                "QUIT" => return say(&mut stream, "221 bye").await,
                _ => say(&mut stream, "500 what?").await?,
            }
        }
    }

    async fn line(&self, stream: &mut BufReader<Box<dyn Stream>>) -> Option<String> {
        let mut line = String::new();
        let read = stream.read_line(&mut line).await.ok()?;
        self.heard.lock().expect("no panic").push(line.clone());
        (read > 0).then(|| line.trim_end().to_owned())
    }

    async fn text(&self, stream: &mut BufReader<Box<dyn Stream>>) -> Option<String> {
        let mut text = String::new();
        loop {
            let line = self.line(stream).await?;
            if line == "." {
                return Some(text);
            }
            text.push_str(line.strip_prefix('.').unwrap_or(&line));
            text.push_str("\r\n");
        }
    }

    fn all(&self) -> Vec<Got> {
        self.got.lock().expect("no panic").clone()
    }

    async fn has(&self, count: usize) -> Vec<Got> {
        let look = || async { Some(self.all()).filter(|all| all.len() >= count) };
        eventually("a mail", look).await
    }

    /// Starts a farm that sends mail over it.
    async fn farm(&self, smtp: &str, mail: &str) -> Farm {
        let dir = tempfile::tempdir().expect("a folder");
        self.configure(dir.path(), smtp, mail);
        Farm::start_in(dir).await
    }

    fn configure(&self, dir: &Path, smtp: &str, mail: &str) {
        let state = dir.join("farm");
        secret_file(&state, "hunter2");
        std::fs::write(state.join("ca.pem"), &self.certificate).expect("writes");
        let tls = match self.manner {
            Manner::StartTls => "starttls",
            Manner::Tls => "tls",
            _ => "none",
        };
        let tls = if smtp.contains("tls = ") {
            String::new()
        } else {
            format!("tls = \"{tls}\"\n")
        };
        let text = format!(
            "{SOON}\n[smtp]\nhost = \"localhost\"\nport = {}\nfrom = \"Farm <farm@studio.example>\"\nca_file = \"ca.pem\"\n\
             {tls}{smtp}\n[[mail]]\nname = \"people\"\n{mail}\n",
            self.port
        );
        std::fs::write(state.join("notify.toml"), text).expect("writes");
    }
}

async fn say(stream: &mut BufReader<Box<dyn Stream>>, line: &str) -> Option<()> {
    let line = format!("{line}\r\n");
    stream.write_all(line.as_bytes()).await.ok()?;
    stream.flush().await.ok()
}

fn within(line: &str) -> String {
    let address = line.split(['<', '>']).nth(1);
    address.unwrap_or_default().to_owned()
}

async fn people(farm: &Farm) -> ChannelRow {
    let mut all = farm.client.channels().await.expect("channels").channels;
    all.pop().expect("a channel")
}

async fn killed(farm: &Farm, name: &str) -> u64 {
    let request = SubmitRequest {
        name: Some(name.into()),
        ..frames("1")
    };
    let id = farm.submit(request).await;
    kill(farm, id).await;
    id
}

const LOGIN: &str = "user = \"farm\"\npassword_file = \"secret\"";
const TO: &str = "to = [\"wranglers@studio.example\", \"td@studio.example\"]\non = [\"killed\"]";

#[tokio::test]
async fn mail_is_written_within_tls_only() {
    for manner in [Manner::StartTls, Manner::Tls] {
        let server = Server::start(manner).await;
        let farm = server.farm(LOGIN, TO).await;
        let id = killed(&farm, "comp").await;
        let got = server.has(1).await.remove(0);
        assert!(got.is_within_tls, "{got:?}");
        assert_eq!(got.from, "farm@studio.example");
        assert_eq!(got.to, ["wranglers@studio.example", "td@studio.example"]);
        // NUL farm NUL hunter2
        assert_eq!(got.login.as_deref(), Some("AGZhcm0AaHVudGVyMg=="));
        assert!(got.text.contains(&format!("{id} comp")), "{}", got.text);
        assert_eq!(got.header("Auto-Submitted"), "auto-generated");
        assert!(got.header("Message-ID").contains("_people_1-"));
        farm.running.stop().await.expect("stops");
    }
}

#[tokio::test]
async fn a_server_without_starttls_gets_neither_password_nor_mail() {
    let server = Server::start(Manner::Plain).await;
    let farm = server
        .farm(&format!("tls = \"starttls\"\n{LOGIN}"), TO)
        .await;
    let tested = farm
        .client
        .notify_test(&NotifyTest::default())
        .await
        .expect("tested");
    let said = &tested.results[0].said;
    assert!(said.contains("offers no STARTTLS"), "{said}");
    let heard = server.heard.lock().expect("no panic").concat();
    assert!(
        heard.starts_with("EHLO ") && !heard.contains("AUTH"),
        "{heard}"
    );
    assert!(!heard.contains("MAIL"), "{heard}");
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_name_stays_within_its_line() {
    let server = Server::start(Manner::Plain).await;
    let farm = server.farm("", TO).await;
    // A line of its own would be a header or an end of the mail; what looks like it is text.
    let hostile = "x\u{2028}Bcc: all@studio.example =?utf-8?q?=0ABcc:_x?= ö";
    let id = killed(&farm, hostile).await;
    let got = server.has(1).await.remove(0);
    assert_eq!(got.to, ["wranglers@studio.example", "td@studio.example"]);
    let (head, body) = got.text.split_once("\r\n\r\n").expect("a head");
    for line in head.lines() {
        assert!(!line.to_lowercase().starts_with("bcc"), "{head}");
    }
    assert!(got.text.is_ascii(), "{}", got.text);
    assert!(body.contains(&id.to_string()) || body.contains("base64") || !body.is_empty());
    let subject = got.header("Subject");
    assert!(subject.contains("a job of"), "{subject}");
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn each_owner_is_written_to_and_nobody_waits_for_another() {
    let server = Server::start(Manner::Plain).await;
    let farm = server
        .farm(
            "owner_domain = \"studio.example\"",
            "to = [\"owner\"]\non = [\"killed\"]",
        )
        .await;
    let me = farm.client.info().await.expect("info").caller.name;
    killed(&farm, "comp").await;
    let got = server.has(1).await.remove(0);
    assert_eq!(got.to, [format!("{me}@studio.example")]);
    farm.running.stop().await.expect("stops");
    let server = Server::start(Manner::NoUsers).await;
    let farm = server
        .farm(
            "owner_domain = \"studio.example\"",
            "to = [\"owner\"]\non = [\"killed\"]",
        )
        .await;
    killed(&farm, "comp").await;
    eventually("the refusal", || async {
        let row = people(&farm).await;
        (row.given_up == 1 && row.waiting == 0).then_some(())
    })
    .await;
    farm.running.stop().await.expect("stops");
}

const TO_OWNER: &str = "to = [\"owner\"]\non = [\"killed\"]";
const OWNERS: &str = "owner_domain = \"studio.example\"";

#[tokio::test]
async fn a_channel_to_owners_tells_no_mailbox_from_no_right_to_send() {
    for (reply, is_of_the_mailbox) in [
        ("550 5.1.1 no such user", true),
        ("552 5.2.2 full", true),
        ("550 no such user", true),
        ("550 5.7.1 relaying denied", false),
        ("554 policy", false),
    ] {
        let server = Server::start(Manner::Refuses("RCPT", reply)).await;
        let farm = server.farm(OWNERS, TO_OWNER).await;
        killed(&farm, "comp").await;
        let row = eventually("the refusal", || async {
            let row = people(&farm).await;
            (row.given_up + row.aside == 1).then_some(row)
        })
        .await;
        let is_given_up = row.given_up == 1;
        assert_eq!(is_given_up, is_of_the_mailbox, "{reply}: {row:?}");
        assert_eq!(
            row.failing_since_ms.is_none(),
            is_of_the_mailbox,
            "{reply}: {row:?}"
        );
        let said = row.last_refused.expect("what and why");
        assert!(
            said.contains(&reply[4..]) && said.contains("@studio.example: "),
            "{said}"
        );
        farm.running.stop().await.expect("stops");
    }
}

#[tokio::test]
async fn an_address_that_is_refused_keeps_mail_from_nobody_else() {
    let server = Server::start(Manner::Refuses("RCPT TO:<td@", "550 5.1.1 gone")).await;
    let farm = server.farm("", TO).await;
    killed(&farm, "comp").await;
    assert_eq!(server.has(1).await[0].to, ["wranglers@studio.example"]);
    let row = eventually("the end", || async {
        let row = people(&farm).await;
        (row.told == 1).then_some(row)
    })
    .await;
    assert_eq!((row.waiting, row.failing_since_ms), (0, None));
    let said = row.last_refused.expect("whom not");
    assert!(
        said.starts_with("not for td@studio.example: ") && said.contains("gone"),
        "{said}"
    );
    let tested = farm
        .client
        .notify_test(&NotifyTest::default())
        .await
        .expect("tested");
    let said = &tested.results[0].said;
    assert!(
        said.starts_with("250 queued as 42; but not for td@"),
        "{said}"
    );
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn mail_that_is_refused_for_good_lets_the_next_go_on() {
    let server = Server::start(Manner::Refuses("MAIL", "550 5.7.1 not you")).await;
    let farm = server.farm("", TO).await;
    killed(&farm, "comp").await;
    let row = eventually("the refusal", || async {
        let row = people(&farm).await;
        row.last_error.is_some().then_some(row)
    })
    .await;
    assert_eq!(
        (row.waiting, row.aside),
        (1, 0),
        "the sender is refused: no other would be taken"
    );
    farm.running.stop().await.expect("stops");
    let server = Server::start(Manner::Refuses("DATA", "554 5.6.0 not such")).await;
    let farm = server.farm("", TO).await;
    killed(&farm, "comp").await;
    eventually("the refusal", || async {
        (people(&farm).await.aside == 1).then_some(())
    })
    .await;
    killed(&farm, "next").await;
    eventually("the next", || async {
        (people(&farm).await.aside == 2).then_some(())
    })
    .await;
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_bad_server_is_told_of_and_tried_again() {
    for (manner, smtp, expected) in [
        (Manner::NoLogin, "", "535"),
        (Manner::NoUsers, "", "no such user"),
        (Manner::Floods, "", ""),
        (Manner::Hangs, "", "no answer within 1 s"),
    ] {
        let server = Server::start(manner).await;
        let smtp = if manner == Manner::NoLogin {
            LOGIN
        } else {
            smtp
        };
        if manner == Manner::NoLogin {
            // A password goes nowhere without TLS.
            let dir = tempfile::tempdir().expect("a folder");
            server.configure(dir.path(), smtp, TO);
            let refused = tessera_supervisor::start(crate::world::options(dir.path())).await;
            let said = refused.err().expect("refused").to_string();
            assert!(
                said.contains("a password is not sent without TLS"),
                "{said}"
            );
            continue;
        }
        let farm = server.farm(smtp, &format!("{TO}\ntime_limit = 1")).await;
        killed(&farm, "comp").await;
        let why = eventually("the refusal", || async { people(&farm).await.last_error }).await;
        assert!(why.contains(expected), "{manner:?}: {why}");
        assert_eq!(
            (people(&farm).await.told, people(&farm).await.waiting),
            (0, 1),
            "{manner:?}"
        );
        farm.running.stop().await.expect("stops");
    }
}

const FARM_FULL: &str = "to = [\"wranglers@studio.example\"]\non = [\"farm_full\"]";

/// Lets people ask for mail to these domains, over a channel behind the one that is there.
fn allow(dir: &Path, domains: &str) {
    let path = dir.join("farm/notify.toml");
    let text = std::fs::read_to_string(&path).expect("reads");
    let (text, _) = text.split_once("[people]").unwrap_or((text.as_str(), ""));
    let text = text.replace("name = \"people\"", "name = \"wranglers\"");
    std::fs::write(&path, format!("{text}[people]\ndomains = [{domains}]\n")).expect("writes");
}

async fn asking(farm: &Farm, name: &str, on: &[&str], to: Option<&str>) -> Result<u64, String> {
    let request = SubmitRequest {
        name: Some(name.into()),
        mail: Some(on.iter().map(|it| (*it).to_owned()).collect()),
        mail_to: to.map(ToOwned::to_owned),
        ..frames("1")
    };
    let reply = farm.client.submit(&request, false).await;
    let reply = reply.map_err(|error| format!("{error:?}"))?;
    Ok(reply.job.expect("has a number"))
}

#[tokio::test]
async fn a_job_asks_for_mail_within_what_is_allowed() {
    let server = Server::start(Manner::Plain).await;
    let dir = tempfile::tempdir().expect("a folder");
    server.configure(dir.path(), OWNERS, FARM_FULL);
    allow(dir.path(), "\"studio.example\", \"lab.example\"");
    let farm = Farm::start_in(dir).await;
    let me = farm.client.info().await.expect("info").caller.name;
    // To whom it names, once; to nobody about what it did not ask for.
    let first = asking(&farm, "one", &["killed", "done"], Some("td@lab.example"))
        .await
        .expect("allowed");
    let quiet = asking(&farm, "two", &["done"], None)
        .await
        .expect("allowed");
    kill(&farm, quiet).await;
    kill(&farm, first).await;
    let got = server.has(1).await.remove(0);
    assert_eq!(got.to, ["td@lab.example"]);
    assert!(
        got.text.contains(&format!("{first} one")) && !got.text.contains("two"),
        "{}",
        got.text
    );
    assert!(
        got.text.contains(&format!("because {me} asked for it")),
        "{}",
        got.text
    );
    // To its owner when it names nobody, also over a restart.
    let own = asking(&farm, "three", &["killed"], None)
        .await
        .expect("allowed");
    let farm = farm.restart().await;
    kill(&farm, own).await;
    let got = server.has(2).await.remove(1);
    assert_eq!(got.to, [format!("{me}@studio.example")]);
    // Nobody has the farm write to the world.
    for (to, expected) in [
        ("boss@evil.example", "writes no mail to evil.example"),
        (
            "boss@mail.lab.example",
            "writes no mail to mail.lab.example",
        ),
        ("boss@lab.example,x@evil.example", "no plain mail address"),
        ("boss%evil.example@lab.example", "no plain mail address"),
        ("evil.example!boss@lab.example", "no plain mail address"),
        ("boss=evil.example@lab.example", "no plain mail address"),
        (
            "boss@lab.example\r\nBcc: x@evil.example",
            "no plain mail address",
        ),
    ] {
        let said = asking(&farm, "no", &["killed"], Some(to))
            .await
            .expect_err(to);
        assert!(said.contains(expected), "{to}: {said}");
    }
    // What was allowed when it was asked for, and is not any more.
    let late = asking(&farm, "late", &["killed"], Some("td@lab.example"))
        .await
        .expect("allowed");
    allow(farm.dir.path(), "\"studio.example\"");
    farm.client.notify_reload().await.expect("good");
    kill(&farm, late).await;
    let row = eventually("the refusal", || async {
        let row = people(&farm).await;
        (row.given_up == 1).then_some(row)
    })
    .await;
    let said = row.last_refused.expect("why");
    assert!(
        said.contains("td@lab.example: the farm writes no mail to lab.example"),
        "{said}"
    );
    assert_eq!(server.all().len(), 2);
    let heard = server.heard.lock().expect("no panic").concat();
    assert_eq!(
        heard.matches("td@lab.example").count(),
        2,
        "told the server of nobody else: {heard}"
    );
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn what_mail_a_job_asks_for_is_changed_while_it_is_there() {
    let server = Server::start(Manner::Plain).await;
    let dir = tempfile::tempdir().expect("a folder");
    server.configure(dir.path(), OWNERS, FARM_FULL);
    allow(dir.path(), "\"studio.example\", \"lab.example\"");
    let farm = Farm::start_in(dir).await;
    let asks = |on: &str, to: Option<&str>| ModifyRequest {
        mail: Some(vec![on.to_owned()]),
        mail_to: to.map(ToOwned::to_owned),
        ..ModifyRequest::default()
    };
    let quiet = asking(&farm, "quiet", &["killed"], None)
        .await
        .expect("allowed");
    let none = farm.client.modify(quiet, &asks("none", None)).await;
    none.expect("allowed");
    let told = asking(&farm, "told", &["done"], None)
        .await
        .expect("allowed");
    let killed = asks("killed", Some("td@lab.example"));
    farm.client.modify(told, &killed).await.expect("allowed");
    let evil = asks("killed", Some("boss@evil.example"));
    let refused = farm.client.modify(told, &evil).await.expect_err("refused");
    let said = format!("{refused:?}");
    assert!(said.contains("writes no mail to evil.example"), "{said}");
    let spec = farm.client.job(told).await.expect("there").spec;
    assert_eq!(spec.mail, ["killed"]);
    assert_eq!(spec.mail_to.as_deref(), Some("td@lab.example"), "as it was");
    // It is kept.
    let farm = farm.restart().await;
    kill(&farm, quiet).await;
    kill(&farm, told).await;
    let got = server.has(1).await.remove(0);
    assert_eq!(got.to, ["td@lab.example"]);
    assert!(got.text.contains(&format!("{told} told")), "{}", got.text);
    assert!(!got.text.contains("quiet"), "{}", got.text);
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn people_wish_to_be_mailed_of_their_own_jobs() {
    let server = Server::start(Manner::Plain).await;
    let farm = server.farm(OWNERS, FARM_FULL).await;
    let wish = |on: &[&str]| SetMailWishes {
        on: on.iter().map(|it| (*it).to_owned()).collect(),
    };
    let none = farm.client.set_wishes(&wish(&["killed"])).await;
    let said = format!("{:?}", none.expect_err("nobody is written to"));
    assert!(said.contains("writes no mail to people"), "{said}");
    let said = asking(&farm, "x", &["killed"], None)
        .await
        .expect_err("likewise");
    assert!(said.contains("this farm writes no mail for jobs"), "{said}");
    allow(farm.dir.path(), "");
    farm.client.notify_reload().await.expect("good");
    let me = farm.client.info().await.expect("info").caller.name;
    let said = format!(
        "{:?}",
        farm.client
            .set_wishes(&wish(&["host_lost"]))
            .await
            .expect_err("unknown")
    );
    assert!(said.contains("no mail is written on host_lost"), "{said}");
    let set = farm
        .client
        .set_wishes(&wish(&["killed"]))
        .await
        .expect("set");
    assert_eq!(
        (&*set.user, set.to),
        (&*me, Some(format!("{me}@studio.example")))
    );
    // They are hers who is logged in, and nobody else's.
    let mia = farm.user("mia").await;
    assert_eq!(mia.wishes().await.expect("none").on, [] as [&str; 0]);
    mia.set_wishes(&wish(&["done"])).await.expect("set");
    let farm = farm.restart().await;
    assert_eq!(farm.client.wishes().await.expect("kept").on, ["killed"]);
    // One mail, though the job asks for it, too; none about mia's, who asked for others.
    let both = asking(&farm, "mine", &["killed"], None)
        .await
        .expect("allowed");
    kill(&farm, both).await;
    let hers = SubmitRequest {
        user: Some("mia".into()),
        ..frames("1")
    };
    let hers = farm.submit(hers).await;
    kill(&farm, hers).await;
    farm.client.set_wishes(&wish(&[])).await.expect("set");
    let quiet = killed(&farm, "quiet").await;
    let last = asking(&farm, "last", &["killed"], Some("x@studio.example")).await;
    assert!(last.is_err(), "no domain is allowed");
    let got = server.has(1).await.remove(0);
    assert_eq!(got.to, [format!("{me}@studio.example")]);
    assert!(got.text.contains(&format!("{both} mine")), "{}", got.text);
    let end = asking(&farm, "end", &["killed"], None)
        .await
        .expect("allowed");
    kill(&farm, end).await;
    let got = server.has(2).await;
    assert!(
        got[1].text.contains(&format!("{end} end")),
        "{}",
        got[1].text
    );
    for it in got {
        assert!(!it.text.contains(&format!("{quiet} quiet")), "{}", it.text);
        assert!(!it.text.contains(&format!("  {hers}")), "{}", it.text);
    }
    farm.running.stop().await.expect("stops");
}
