//! Tells people by mail, over one SMTP server of the administrator's.
//!
//! Addresses and texts become headers and lines through `lettre`'s types, which know what must be encoded; what is told holds
//! no control characters besides. Without TLS mail goes to this host's own server only.

use super::channel::{Fault, Refused, Taken};
use super::message::{FarmName, Message};
use super::reply::{self, Stage};
use super::smtp::{MailTarget, Smtp, SmtpTls};
use super::webhook;
use lettre::Address;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message as Mail};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;

/// Bytes that a server may say in one delivery.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Says that no person wrote it, so that nobody's absence is answered.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// Sends one mail. Dropping the future closes the connection; whether the mail was taken is not known then.
///
/// # Errors
/// Why it was not taken, and whether that is about whom it is for, the mail, or the channel ([`reply`]).
pub(crate) async fn deliver(
    target: &MailTarget,
    limit: Duration,
    message: &Message,
    farm: &FarmName,
    channel: &str,
) -> Result<Taken, Refused> {
    let smtp = &target.smtp;
    let refused = |fault: Fault| move |why: String| Refused { why, fault };
    let to = target
        .recipients(&message.summary.cause)
        .map_err(refused(Fault::Addressee))?;
    let user = message.summary.cause.user.as_deref().unwrap_or("somebody");
    let told = match target.asked() {
        Some(_) => {
            format!("because {user} asked for it (tessera submit --mail, tessera notify set)")
        }
        None => format!("over the channel {channel}"),
    };
    let mail = compose(&smtp.from, &to, message, farm, &told);
    let mail = mail.map_err(refused(Fault::Message))?;
    let sent = async {
        let mut connection = connect(smtp).await.map_err(Refused::later)?;
        let mail = mail.formatted();
        let said = hand_over(&mut connection, smtp, &to, &mail, target.is_to_one()).await?;
        // It has the mail; how it takes leave is all the same.
        let _ = connection.quit().await;
        Ok(said)
    };
    match tokio::time::timeout(limit, sent).await {
        Ok(said) => said,
        Err(_elapsed) => Err(Refused::later(format!(
            "no answer within {} s",
            limit.as_secs()
        ))),
    }
}

/// Writes the mail.
fn compose(
    from: &Mailbox,
    to: &[Address],
    message: &Message,
    farm: &FarmName,
    told: &str,
) -> Result<Mail, String> {
    let subject = format!("[{}] {}", farm.name, message.headline());
    let subject = super::cause::clean(&subject, 200);
    let mut builder = Mail::builder()
        .from(from.clone())
        .subject(subject)
        // The same at every try: whoever gets it twice can tell.
        .message_id(Some(format!("<{}@{}>", message.id, from.email.domain())))
        .header(AutoSubmitted)
        .header(ContentType::TEXT_PLAIN);
    for address in to {
        builder = builder.to(Mailbox::new(None, address.clone()));
    }
    let farm = super::cause::clean(&farm.name, 200);
    let lines = message.lines().join("\n");
    let told = super::cause::clean(told, 200);
    let body = format!("{lines}\n\n-- \nTold by the farm {farm} {told}.\n");
    builder
        .body(body)
        .map_err(|error| format!("no mail can be made: {error}"))
}

/// Connects, and proves who both are.
async fn connect(smtp: &Smtp) -> Result<AsyncSmtpConnection, String> {
    let stream = TcpStream::connect((smtp.host.as_str(), smtp.port))
        .await
        .map_err(|error| format!("no connection: {error}"))?;
    let mut stream = Bounded::new(stream);
    if smtp.tls == SmtpTls::StartTls {
        begin_tls(&mut stream, &smtp.hello).await?;
    }
    let stream: Box<dyn AsyncTokioStream> = match smtp.tls {
        SmtpTls::None => Box::new(stream),
        SmtpTls::Tls | SmtpTls::StartTls => Box::new(secure(smtp, stream).await?),
    };
    let hello = ClientId::Domain(smtp.hello.clone());
    let connected = AsyncSmtpConnection::connect_with_transport(stream, &hello).await;
    let mut connection = connected.map_err(|error| in_words(&error))?;
    if let Some((user, password)) = &smtp.login {
        let credentials = Credentials::new(user.clone(), password.reveal());
        let mechanisms = [Mechanism::Plain, Mechanism::Login];
        connection
            .auth(&mechanisms, &credentials)
            .await
            .map_err(|error| format!("the login was refused: {}", in_words(&error)))?;
    }
    Ok(connection)
}

/// Hands the mail over, word by word: what was asked when a server refused says whom that is about. Addresses that are refused for
/// good keep it from nobody else.
async fn hand_over(
    connection: &mut AsyncSmtpConnection,
    smtp: &Smtp,
    to: &[Address],
    mail: &[u8],
    is_to_owner: bool,
) -> Result<Taken, Refused> {
    let judge = |stage: Stage, error: &lettre::transport::smtp::Error| Refused {
        why: in_words(error),
        fault: judged(stage, error, is_to_owner),
    };
    let options = options(connection, to)?;
    let from = MailFrom::new(Some(smtp.from.email.clone()), options);
    let said = connection.command(from).await;
    said.map_err(|error| judge(Stage::Sender, &error))?;
    let mut refused = Vec::new();
    for address in to {
        let said = connection
            .command(Rcpt::new(address.clone(), Vec::new()))
            .await;
        let Err(error) = said else { continue };
        let Refused { why, fault } = judge(Stage::Addressee, &error);
        let why = format!("{address}: {why}");
        if fault == Fault::Later || refused.len() + 1 == to.len() {
            return Err(Refused { why, fault });
        }
        refused.push(why);
    }
    let said = connection.command(Data).await;
    said.map_err(|error| judge(Stage::Content, &error))?;
    let said = connection.message(mail).await;
    let said = said.map_err(|error| judge(Stage::Content, &error))?;
    let words: Vec<&str> = said.message().collect();
    let words = format!("{} {}", said.code(), words.join(" "));
    Ok(Taken {
        said: super::cause::clean(&words, 200),
        but: (!refused.is_empty()).then(|| format!("not for {}", refused.join("; "))),
    })
}

/// Answers what goes with the sender: that an address has letters beyond ASCII, in which case its header has them, too. (All else
/// of a mail is written without such.)
fn options(
    connection: &AsyncSmtpConnection,
    to: &[Address],
) -> Result<Vec<MailParameter>, Refused> {
    let is_plain = |address: &Address| AsRef::<str>::as_ref(address).is_ascii();
    if to.iter().all(is_plain) {
        return Ok(Vec::new());
    }
    let server = connection.server_info();
    if server.supports_feature(Extension::SmtpUtfEight) {
        let body = MailParameter::Body(MailBodyParameter::EightBitMime);
        return Ok(vec![MailParameter::SmtpUtfEight, body]);
    }
    Err(Refused {
        why: "an address has letters beyond ASCII, and the server takes no such (SMTPUTF8)"
            .to_owned(),
        fault: Fault::Message,
    })
}

/// Judges what a server said; who says nothing, or what is no answer, is asked again later.
fn judged(stage: Stage, error: &lettre::transport::smtp::Error, is_to_owner: bool) -> Fault {
    let Some(code) = error.status() else {
        return Fault::Later;
    };
    let text = std::error::Error::source(error).map(ToString::to_string);
    reply::fault(stage, code.into(), &text.unwrap_or_default(), is_to_owner)
}

/// Says what a server answered, without what could steer a terminal.
fn in_words(error: &lettre::transport::smtp::Error) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let said = inner.to_string();
        if !words.contains(&said) {
            words = format!("{words}: {said}");
        }
        cause = inner.source();
    }
    super::cause::clean(&words, 300)
}

/// Speaks as far as `STARTTLS`. Never without: a server, or somebody between, that leaves the word out hears no more. Nothing
/// beyond the answer is read, so that what stands there can't pass for something said within TLS.
async fn begin_tls(stream: &mut Bounded, hello: &str) -> Result<(), String> {
    expect(stream, "220").await?;
    say(stream, &format!("EHLO {hello}")).await?;
    let offers = expect(stream, "250").await?;
    let is_it = |line: &String| {
        line.get(4..)
            .is_some_and(|word| word.eq_ignore_ascii_case("STARTTLS"))
    };
    if !offers.iter().any(is_it) {
        return Err("the server offers no STARTTLS; it was told nothing".to_owned());
    }
    say(stream, "STARTTLS").await?;
    expect(stream, "220").await.map(drop)
}

async fn say(stream: &mut Bounded, line: &str) -> Result<(), String> {
    let sent = stream.write_all(format!("{line}\r\n").as_bytes()).await;
    sent.map_err(|error| format!("the connection broke: {error}"))
}

/// Reads an answer, which must begin with this code.
async fn expect(stream: &mut Bounded, code: &str) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    loop {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let byte = stream.read_u8().await;
            line.push(byte.map_err(|error| format!("the connection broke: {error}"))?);
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        if !line.starts_with(code) {
            let said = super::cause::clean(&line, 200);
            return Err(format!("the server said {said} where {code} was to come"));
        }
        let is_last = line.as_bytes().get(3) != Some(&b'-');
        lines.push(line);
        if is_last {
            return Ok(lines);
        }
    }
}

/// Goes on within TLS, with whom the certificate names.
async fn secure(smtp: &Smtp, stream: Bounded) -> Result<Secured, String> {
    let name = ServerName::try_from(smtp.host.clone())
        .map_err(|_| "smtp.host names no host that a certificate could be of".to_owned())?;
    let config = webhook::trust(smtp.ca_file.clone(), &[]).await?;
    let connected = tokio_rustls::TlsConnector::from(config)
        .connect(name, stream)
        .await;
    Ok(Secured {
        stream: connected.map_err(|error| format!("no TLS: {error}"))?,
        // The server greeted before TLS began, and does not do so again; who speaks from here on waits for it.
        greeting: match smtp.tls {
            SmtpTls::StartTls => b"220 again\r\n",
            SmtpTls::Tls | SmtpTls::None => b"",
        },
    })
}

/// A stream that gives no more than [`ANSWER_BYTES_MAX`].
#[derive(Debug)]
struct Bounded {
    inner: TcpStream,
    left: usize,
}

impl Bounded {
    fn new(inner: TcpStream) -> Self {
        Self {
            inner,
            left: ANSWER_BYTES_MAX,
        }
    }
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            let why = format!("the server said more than {ANSWER_BYTES_MAX} bytes");
            return Poll::Ready(Err(io::Error::other(why)));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(context, buffer);
        let more = buffer.filled().len() - before;
        self.left = self.left.saturating_sub(more);
        read
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

impl AsyncTokioStream for Bounded {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.peer_addr()
    }
}

/// A stream within TLS.
#[derive(Debug)]
struct Secured {
    stream: tokio_rustls::client::TlsStream<Bounded>,
    /// What is read first.
    greeting: &'static [u8],
}

impl AsyncRead for Secured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.greeting.is_empty() {
            let (now, later) = self
                .greeting
                .split_at(self.greeting.len().min(buffer.remaining()));
            buffer.put_slice(now);
            self.greeting = later;
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl AsyncTokioStream for Secured {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.get_ref().0.peer_addr()
    }
}

#[cfg(test)]
mod tests {
    use super::super::cause::{Fact, Kind};
    use super::super::digest::{Cause, Summary};
    use super::*;

    #[test]
    fn no_text_becomes_a_header_or_ends_the_mail() {
        let cause = Cause {
            kind: Kind::Failed,
            user: Some("mia\r\nBcc: all@studio.example".into()),
            to: None,
        };
        let mut summary = Summary::new(cause, 1);
        summary.add(Fact {
            job: Some(7),
            name: "x\r\n.\r\nRCPT TO:<all@studio.example>\r\nBcc: y".into(),
            ..Fact::of_farm(Kind::Failed, 1, "\r\n\r\nBcc: z".into())
        });
        let message = Message {
            id: "msg_1".into(),
            summary,
        };
        let farm = FarmName {
            id: "f".into(),
            name: "north\r\nBcc: all@studio.example\r\n\r\nhello".into(),
        };
        let from = "Farm <farm@studio.example>".parse().expect("an address");
        let to = ["td@studio.example".parse().expect("an address")];
        let mail = compose(&from, &to, &message, &farm, "people").expect("a mail");
        let text = String::from_utf8(mail.formatted()).expect("ASCII");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let named: Vec<&str> = head
            .split("\r\n")
            .filter(|line| !line.starts_with(' '))
            .filter_map(|line| line.split_once(": ").map(|(name, _)| name))
            .collect();
        let expected = [
            "Auto-Submitted",
            "Content-Transfer-Encoding",
            "Content-Type",
            "Date",
            "From",
            "MIME-Version",
            "Message-ID",
            "Subject",
            "To",
        ];
        assert!(named.iter().all(|name| expected.contains(name)), "{head}");
        assert_eq!(
            named.iter().filter(|name| **name == "Subject").count(),
            1,
            "{head}"
        );
        assert!(
            !body
                .split("\r\n")
                .any(|line| line == "." || line.starts_with("Bcc")),
            "{body}"
        );
    }
}
