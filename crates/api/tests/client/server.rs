//! Servers for tests, on Unix sockets that go with them.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tessera_api::Client;
use tessera_api::client::TimeLimits;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// Which connection it came over, from 0.
    pub(crate) connection: usize,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

type Log = Arc<Mutex<Vec<Seen>>>;

/// A server that lives as long as this value.
pub(crate) struct Server {
    folder: TempDir,
    seen: Log,
    tasks: JoinSet<()>,
}

/// Short limits, so that tests of them end soon.
pub(crate) fn short() -> TimeLimits {
    TimeLimits {
        connect: Duration::from_secs(5),
        answer: Duration::from_secs(5),
        silence: Duration::from_secs(5),
        patience: Duration::from_secs(5),
    }
}

impl Server {
    fn new() -> (Self, UnixListener) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let listener = UnixListener::bind(folder.path().join("s")).expect("a socket");
        (
            Self {
                folder,
                seen: Log::default(),
                tasks: JoinSet::new(),
            },
            listener,
        )
    }

    /// Serves HTTP with a function from request to status and body.
    pub(crate) fn http(answer: impl Fn(&Seen) -> (u16, String) + Send + Sync + 'static) -> Self {
        let (mut server, listener) = Self::new();
        let (seen, answer) = (server.seen.clone(), Arc::new(answer));
        server.tasks.spawn(async move {
            let mut connections = JoinSet::new();
            for number in 0.. {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                connections.spawn(serve(stream, number, seen.clone(), answer.clone()));
            }
        });
        server
    }

    /// Serves each connection one script: reads a request, writes these bytes, waits for the client to close when told to,
    /// closes.
    pub(crate) fn scripted(scripts: impl IntoIterator<Item = Script>) -> Self {
        let (mut server, listener) = Self::new();
        let seen = server.seen.clone();
        let mut scripts: VecDeque<Script> = scripts.into_iter().collect();
        server.tasks.spawn(async move {
            let mut number = 0;
            while let Some(script) = scripts.pop_front() {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                script.play(stream, number, &seen).await;
                number += 1;
            }
        });
        server
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    pub(crate) fn client(&self) -> Client {
        Client::unix(self.path()).with_time_limits(short())
    }

    pub(crate) fn client_with(&self, limits: TimeLimits) -> Client {
        Client::unix(self.path()).with_time_limits(limits)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no test panicked here").clone()
    }
}

/// Serves one connection.
pub(crate) async fn serve<F>(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    connection: usize,
    seen: Log,
    answer: Arc<F>,
) where
    F: Fn(&Seen) -> (u16, String) + Send + Sync + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let (seen, answer) = (seen.clone(), answer.clone());
        async move {
            let request = read(request, connection).await;
            let (status, body) = answer(&request);
            seen.lock().expect("no test panicked here").push(request);
            let response = Response::builder()
                .status(status)
                .body(Full::new(Bytes::from(body)));
            Ok::<_, Infallible>(response.expect("a good response"))
        }
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn read(request: Request<Incoming>, connection: usize) -> Seen {
    let (head, body) = request.into_parts();
    let text = |value: &http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let body = body.collect().await.expect("a whole body").to_bytes();
    Seen {
        method: head.method.to_string(),
        target: head.uri.to_string(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
        connection,
    }
}

/// What a connection is answered with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    bytes: Vec<u8>,
    is_kept_open: bool,
    takes_another: bool,
}

impl Script {
    /// An answer that is cut off after these bytes.
    pub(crate) fn cut(head: &str, chunks: &[&[u8]]) -> Self {
        Self {
            bytes: stream(head, chunks),
            is_kept_open: false,
            takes_another: false,
        }
    }

    /// An answer after which nothing comes, over a line that stays.
    pub(crate) fn silent(head: &str, chunks: &[&[u8]]) -> Self {
        Self {
            bytes: stream(head, chunks),
            is_kept_open: true,
            takes_another: false,
        }
    }

    /// A complete streamed answer.
    pub(crate) fn whole(head: &str, chunks: &[&[u8]]) -> Self {
        let mut bytes = stream(head, chunks);
        bytes.extend_from_slice(b"0\r\n\r\n");
        Self {
            bytes,
            is_kept_open: false,
            takes_another: false,
        }
    }

    /// An answer with a body.
    pub(crate) fn fixed(status: &str, body: &str) -> Self {
        let text = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        Self {
            bytes: text.into_bytes(),
            is_kept_open: false,
            takes_another: false,
        }
    }

    /// The same, after which another request is taken over the same connection and never answered.
    pub(crate) fn then_hangs_up(self) -> Self {
        Self {
            takes_another: true,
            ..self
        }
    }

    async fn play(self, mut stream: UnixStream, connection: usize, seen: &Log) {
        let Some(request) = read_head(&mut stream, connection).await else {
            return;
        };
        seen.lock().expect("no test panicked here").push(request);
        let _ = stream.write_all(&self.bytes).await;
        if self.takes_another
            && let Some(request) = read_head(&mut stream, connection).await
        {
            seen.lock().expect("no test panicked here").push(request);
        }
        if self.is_kept_open {
            // Ends when the client gives up.
            let _ = stream.read(&mut [0]).await;
        }
    }
}

fn stream(head: &str, chunks: &[&[u8]]) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n{head}\r\n").into_bytes();
    for chunk in chunks {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Reads a request without a body.
async fn read_head(stream: &mut UnixStream, connection: usize) -> Option<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ').map(str::to_owned);
    let headers = lines.filter_map(|line| line.split_once(": "));
    Some(Seen {
        method: first.next()?,
        target: first.next()?,
        headers: headers
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect(),
        body: String::new(),
        connection,
    })
}

/// A path where nobody listens.
pub(crate) fn nowhere(folder: &Path) -> PathBuf {
    folder.join("nobody")
}
