//! Connections to the supervisor and calls over them.

use super::{ANSWER_BYTES_MAX, ClientError, Fingerprint, TimeLimits};
use crate::error::{ApiError, ErrorCode};
use bytes::{Bytes, BytesMut};
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Idle connections that are kept.
const IDLE_MAX: usize = 4;
/// Bytes of an answer's body that are quoted when it is no JSON of ours.
const QUOTED_BYTES_MAX: usize = 200;

/// Where the supervisor is.
#[derive(Debug, Clone)]
pub(super) enum Endpoint {
    /// Behind a Unix socket.
    Unix(PathBuf),
    /// At `host:port`.
    Tls {
        address: String,
        config: Arc<rustls::ClientConfig>,
        /// The fingerprint of the CA that is insisted on; nothing where a certificate of the site's own is.
        ca: Option<Fingerprint>,
    },
}

impl Endpoint {
    /// Answers the fingerprint of the CA that is insisted on.
    pub(super) fn pinned(&self) -> Option<Fingerprint> {
        match self {
            Self::Unix(_) => None,
            Self::Tls { ca, .. } => *ca,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tls { address, .. } => write!(f, "https://{address}"),
        }
    }
}

/// A byte stream to the supervisor.
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// One connection. Its task ends with it.
pub(super) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    task: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An answer whose body is still to be read, with the connection that carries it.
pub(super) struct Answer {
    pub(super) headers: HeaderMap,
    pub(super) body: Incoming,
    pub(super) connection: Connection,
}

/// Carries calls.
pub(super) struct Transport {
    pub(super) endpoint: Endpoint,
    pub(super) token: Option<String>,
    pub(super) limits: TimeLimits,
    idle: Mutex<Vec<Connection>>,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("endpoint", &self.endpoint.to_string())
            .finish_non_exhaustive()
    }
}

impl Transport {
    pub(super) fn new(endpoint: Endpoint, token: Option<String>, limits: TimeLimits) -> Self {
        Self {
            endpoint,
            token,
            limits,
            idle: Mutex::default(),
        }
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let (_, body) = self.call(Method::GET, path, Bytes::new()).await?;
        self.read_json(&body)
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let (_, body) = self.call(Method::POST, path, self.json(body)?).await?;
        self.read_json(&body)
    }

    pub(super) async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let (_, body) = self.call(Method::PUT, path, self.json(body)?).await?;
        self.read_json(&body)
    }

    /// Sends JSON and expects no content.
    pub(super) async fn send_json(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<(), ClientError> {
        self.call(method, path, self.json(body)?).await.map(|_| ())
    }

    /// Sends nothing and expects no content.
    pub(super) async fn send(&self, method: Method, path: &str) -> Result<(), ClientError> {
        self.call(method, path, Bytes::new()).await.map(|_| ())
    }

    /// Makes a call whose answer is read whole within the time limit.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(HeaderMap, Bytes), ClientError> {
        let whole = async {
            let request = self.request(method, path, body)?;
            let answer = self.exchange(request, true).await?;
            let Answer {
                headers,
                body,
                connection,
            } = answer;
            let body = self.read_whole(body).await?;
            self.keep(connection);
            Ok((headers, body))
        };
        self.within(self.limits.answer, "no answer", whole).await
    }

    /// Makes a call whose answer is a stream, on a connection of its own.
    pub(super) async fn open(
        &self,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
    ) -> Result<Answer, ClientError> {
        let open = async {
            let mut request = self.request(Method::GET, path, Bytes::new())?;
            request.headers_mut().extend(headers.iter().cloned());
            self.exchange(request, false).await
        };
        self.within(self.limits.answer, "no answer", open).await
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, ClientError> {
        let host = match &self.endpoint {
            Endpoint::Unix(_) => "localhost",
            Endpoint::Tls { address, .. } => address,
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, host)
            .header(ACCEPT, "*/*")
            .header(USER_AGENT, concat!("tessera/", env!("CARGO_PKG_VERSION")));
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::new(body));
        request
            .map_err(|error| self.unreachable(io::Error::new(io::ErrorKind::InvalidInput, error)))
    }

    /// Sends a request, over a kept connection if there is one and that is allowed, and answers what came if its status is
    /// good. A kept connection may have been closed at the other end meanwhile: a request that did not go out, or that
    /// changes nothing, is sent again over another one.
    async fn exchange(
        &self,
        mut request: Request<Full<Bytes>>,
        may_reuse: bool,
    ) -> Result<Answer, ClientError> {
        while let Some(connection) = may_reuse.then(|| self.kept()).flatten() {
            let again = (request.method() == Method::GET).then(|| request.clone());
            match (Self::send_on(connection, request).await, again) {
                (Sent::Answered(answer), _) => return self.accept(*answer).await,
                (Sent::Unsent(unsent, _), _) => request = *unsent,
                (Sent::Broken(_), Some(again)) => request = again,
                (Sent::Broken(error), None) => return Err(self.unreachable(broken(&error))),
            }
        }
        let connection = self.connect().await?;
        match Self::send_on(connection, request).await {
            Sent::Answered(answer) => self.accept(*answer).await,
            Sent::Unsent(_, error) | Sent::Broken(error) => Err(self.unreachable(broken(&error))),
        }
    }

    async fn send_on(mut connection: Connection, request: Request<Full<Bytes>>) -> Sent {
        if let Err(error) = connection.sender.ready().await {
            return Sent::Unsent(Box::new(request), error);
        }
        match connection.sender.try_send_request(request).await {
            Ok(response) => Sent::Answered(Box::new((response, connection))),
            Err(mut error) => match error.take_message() {
                Some(request) => Sent::Unsent(Box::new(request), error.into_error()),
                None => Sent::Broken(error.into_error()),
            },
        }
    }

    /// Turns an answer with a bad status into its error.
    async fn accept(
        &self,
        (response, connection): (Response<Incoming>, Connection),
    ) -> Result<Answer, ClientError> {
        let (head, body) = response.into_parts();
        if head.status.is_success() {
            return Ok(Answer {
                headers: head.headers,
                body,
                connection,
            });
        }
        let body = self.read_whole(body).await?;
        self.keep(connection);
        Err(self.refusal(head.status, &body))
    }

    fn refusal(&self, status: StatusCode, body: &[u8]) -> ClientError {
        if let Ok(error) = serde_json::from_slice::<ApiError>(body) {
            return ClientError::Api(error);
        }
        let quoted = String::from_utf8_lossy(&body[..body.len().min(QUOTED_BYTES_MAX)]);
        let message = format!(
            "{} answered {status}: {}",
            self.endpoint,
            quoted.trim().escape_debug()
        );
        ClientError::Api(ApiError::new(
            ErrorCode::from_status(status.as_u16()),
            message,
        ))
    }

    async fn read_whole(&self, mut body: Incoming) -> Result<Bytes, ClientError> {
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| self.unreachable(broken(&error)))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if whole.len() + data.len() > ANSWER_BYTES_MAX {
                return Err(self.protocol(format!(
                    "the answer is longer than {ANSWER_BYTES_MAX} bytes"
                )));
            }
            whole.extend_from_slice(&data);
        }
        Ok(whole.freeze())
    }

    fn json(&self, body: &impl Serialize) -> Result<Bytes, ClientError> {
        serde_json::to_vec(body)
            .map(Bytes::from)
            .map_err(|error| self.protocol(format!("request: {error}")))
    }

    fn read_json<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, ClientError> {
        serde_json::from_slice(body).map_err(|error| self.protocol(error.to_string()))
    }

    async fn connect(&self) -> Result<Connection, ClientError> {
        let open = async {
            match &self.endpoint {
                Endpoint::Unix(path) => {
                    self.start(unix(path).await.map_err(|e| self.unreachable(e))?)
                        .await
                }
                Endpoint::Tls {
                    address, config, ..
                } => {
                    let stream = tls(address, config)
                        .await
                        .map_err(|e| self.unreachable(e))?;
                    self.start(stream).await
                }
            }
        };
        self.within(self.limits.connect, "no connection", open)
            .await
    }

    async fn start(&self, io: impl Io + 'static) -> Result<Connection, ClientError> {
        let handshake = http1::handshake(TokioIo::new(io)).await;
        let (sender, connection) = handshake.map_err(|error| self.unreachable(broken(&error)))?;
        let task = tokio::spawn(async move {
            // Whoever uses the connection meets its errors.
            let _ = connection.await;
        });
        Ok(Connection { sender, task })
    }

    fn kept(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| idle.pop()).find(|connection| !connection.sender.is_closed())
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX && !connection.sender.is_closed() {
            idle.push(connection);
        }
    }

    async fn within<T>(
        &self,
        limit: Duration,
        what: &str,
        work: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        match tokio::time::timeout(limit, work).await {
            Ok(result) => result,
            Err(_) => {
                let text = format!("{what} within {} s", limit.as_secs_f32());
                Err(self.unreachable(io::Error::new(io::ErrorKind::TimedOut, text)))
            }
        }
    }

    pub(super) fn unreachable(&self, cause: io::Error) -> ClientError {
        ClientError::Unreachable {
            endpoint: self.endpoint.to_string(),
            cause,
        }
    }

    pub(super) fn protocol(&self, what: String) -> ClientError {
        ClientError::Protocol {
            endpoint: self.endpoint.to_string(),
            what,
        }
    }
}

/// What became of a request.
enum Sent {
    /// The head of an answer has arrived.
    Answered(Box<(Response<Incoming>, Connection)>),
    /// Nothing of it went out.
    Unsent(Box<Request<Full<Bytes>>>, hyper::Error),
    /// Whether it arrived is not known.
    Broken(hyper::Error),
}

/// Makes the error of a connection that broke.
pub(super) fn broken(error: &hyper::Error) -> io::Error {
    io::Error::new(
        io::ErrorKind::ConnectionAborted,
        format!("the connection broke ({error})"),
    )
}

#[cfg(unix)]
async fn unix(path: &std::path::Path) -> io::Result<tokio::net::UnixStream> {
    tokio::net::UnixStream::connect(path).await
}

#[cfg(not(unix))]
async fn unix(_path: &std::path::Path) -> io::Result<TcpStream> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "there are no Unix sockets here",
    ))
}

async fn tls(
    address: &str,
    config: &Arc<rustls::ClientConfig>,
) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let host = address
        .rsplit_once(':')
        .map_or(address, |(host, _)| host)
        .trim_matches(['[', ']']);
    let name = rustls::pki_types::ServerName::try_from(host.to_owned())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let connector = tokio_rustls::TlsConnector::from(config.clone());
    connector
        .connect(name, stream)
        .await
        .map_err(in_plain_words)
}

/// Takes what our own verifier says out of the words that rustls puts before it.
fn in_plain_words(error: io::Error) -> io::Error {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::General(text)) => io::Error::new(error.kind(), text.clone()),
        _ => error,
    }
}
