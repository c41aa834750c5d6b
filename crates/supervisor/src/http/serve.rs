//! Listeners: the Unix socket for this host, the one TLS port for everybody else and for workers.

use super::auth::Source;
use super::door::{Doorman, Limits, Visit};
use crate::error::SupervisorError;
use crate::workers::Workers;
use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tessera_wire::link::{Terms, serve_worker};
use tessera_wire::tls::{Accepted, TlsServer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service as _;

/// Connections over the Unix socket, all together and of one uid.
const LOCAL_MAX: Limits = Limits {
    all: 1_024,
    each: 256,
};
/// Connections of clients over TLS, all together and of one address.
const NETWORK_MAX: Limits = Limits {
    all: 2_048,
    each: 256,
};
/// How long the head of a request may take; also how long an HTTP/1 connection may be idle.
const HEAD_TIME_LIMIT: Duration = Duration::from_secs(10);
/// How long a connection that has proven nothing may go without a complete request.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// How often an HTTP/2 client is asked whether it is there, and how long its answer may take.
const PING_EVERY: Duration = Duration::from_secs(30);
const PONG_WITHIN: Duration = Duration::from_secs(10);
/// Streams of one HTTP/2 connection.
const STREAMS_MAX: u32 = 64;
/// Pause after the system refused to give a connection (too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a connection may go on when the supervisor ends.
const FAREWELL: Duration = Duration::from_secs(5);

/// What connections may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    local: Limits,
    network: Limits,
    /// How long the head of a request may take; also how long an HTTP/1 connection may be idle.
    head: Duration,
    /// How long a connection that has proven nothing may go without a complete request.
    silence: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            local: LOCAL_MAX,
            network: NETWORK_MAX,
            head: HEAD_TIME_LIMIT,
            silence: SILENCE_MAX,
        }
    }
}

/// Binds the Unix socket; everybody on the host may connect, the kernel says who it is.
///
/// # Errors
/// When it can't be bound.
pub(crate) fn bind_socket(path: &Path) -> Result<UnixListener, SupervisorError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(SupervisorError::io("make the folder", folder))?;
    }
    // The state's lock is ours: what lies there is left over.
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(SupervisorError::io("replace the socket", path)(error)),
    }
    let listener = UnixListener::bind(path).map_err(SupervisorError::io("listen on", path))?;
    let open = std::fs::Permissions::from_mode(0o666);
    std::fs::set_permissions(path, open).map_err(SupervisorError::io("open to all", path))?;
    Ok(listener)
}

/// What both listeners need.
#[derive(Clone)]
pub(crate) struct Serving {
    /// The API.
    pub(crate) router: Router,
    /// Ends connections.
    pub(crate) ending: CancellationToken,
    /// Their tasks.
    pub(crate) tasks: TaskTracker,
    /// What connections may take.
    pub(crate) bounds: Bounds,
}

/// Serves the Unix socket until the end.
pub(crate) async fn serve_socket(listener: UnixListener, serving: Serving) {
    let doorman = Doorman::new(serving.bounds.local);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = serving.ending.cancelled() => return,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                pause_after(&error).await;
                continue;
            }
        };
        let Ok(uid) = stream.peer_cred().map(|peer| peer.uid()) else {
            continue;
        };
        let Some(place) = doorman.enter(uid) else {
            tracing::warn!(
                uid,
                "too many connections over the socket; one more is closed"
            );
            continue;
        };
        let serving = serving.clone();
        let tasks = serving.tasks.clone();
        tasks.spawn(async move {
            serve(stream, Source::Peer { uid }, false, &place.visit, serving).await;
        });
    }
}

/// What the TLS port needs besides.
pub(crate) struct Port {
    /// Does the handshakes.
    pub(crate) tls: Arc<TlsServer>,
    /// What workers are told.
    pub(crate) terms: Terms,
    /// What becomes of workers.
    pub(crate) workers: Arc<Workers>,
}

/// Serves the TLS port until the end.
pub(crate) async fn serve_port(listener: TcpListener, port: Port, serving: Serving) {
    let doorman = Doorman::new(serving.bounds.network);
    let port = Arc::new(port);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = serving.ending.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let (port, doorman, serving) =
                    (Arc::clone(&port), Arc::clone(&doorman), serving.clone());
                let tasks = serving.tasks.clone();
                tasks.spawn(async move {
                    let ending = serving.ending.clone();
                    tokio::select! {
                        () = welcome(stream, &port, &doorman, serving) => {}
                        () = late(ending) => {}
                    }
                });
            }
            Err(error) => pause_after(&error).await,
        }
    }
}

/// Ends a while after the end was announced.
async fn late(ending: CancellationToken) {
    ending.cancelled().await;
    tokio::time::sleep(FAREWELL).await;
}

async fn welcome(stream: TcpStream, port: &Port, doorman: &Arc<Doorman<IpAddr>>, serving: Serving) {
    match port.tls.accept(stream).await {
        Err(error) => tracing::debug!(
            error = &error as &dyn std::error::Error,
            "a connection came to nothing"
        ),
        Ok(Accepted::Worker(worker)) => {
            let host = worker.peer.host;
            let terms = Terms {
                features: port.workers.features(),
                ..port.terms.clone()
            };
            let ended = tokio::select! {
                ended = serve_worker(worker, terms, Arc::clone(&port.workers)) => ended,
                () = serving.ending.cancelled() => Ok(()),
            };
            if let Err(error) = ended {
                tracing::debug!(%host, error = &error as &dyn std::error::Error, "a worker's connection ended");
            }
        }
        Ok(Accepted::Client(client)) => {
            let Some(place) = doorman.enter(client.address.ip()) else {
                tracing::warn!(address = %client.address, "too many connections; one more is closed");
                return;
            };
            let source = Source::Network(client.address);
            serve(
                client.stream,
                source,
                client.is_http2,
                &place.visit,
                serving,
            )
            .await;
        }
    }
}

/// Too many open files and the like pass; without a pause the loop would spin meanwhile.
async fn pause_after(error: &std::io::Error) {
    tracing::warn!(%error, "a connection can't be accepted");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

/// Serves the API over one connection. What is spoken was agreed on in the handshake; over the socket it is HTTP/1.
async fn serve<S>(stream: S, source: Source, is_http2: bool, visit: &Visit, serving: Serving)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (router, seen) = (serving.router, visit.clone());
    let service = hyper::service::service_fn(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(source);
        request.extensions_mut().insert(seen.clone());
        let (mut router, seen) = (router.clone(), seen.clone());
        async move {
            let answer = router.call(request).await;
            seen.answered();
            answer
        }
    });
    let (io, ending) = (TokioIo::new(stream), &serving.ending);
    let ended = async {
        if is_http2 {
            let connection = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_concurrent_streams(STREAMS_MAX)
                .keep_alive_interval(PING_EVERY)
                .keep_alive_timeout(PONG_WITHIN)
                .serve_connection(io, service);
            drive(connection, http2::Connection::graceful_shutdown, ending).await
        } else {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(serving.bounds.head)
                .serve_connection(io, service);
            drive(connection, http1::Connection::graceful_shutdown, ending).await
        }
    };
    tokio::select! {
        ended = ended => {
            if let Err(error) = ended {
                tracing::debug!(error = &error as &dyn std::error::Error, "a connection ended");
            }
        }
        () = visit.over(serving.bounds.silence) => tracing::debug!("a connection that has proven nothing is closed"),
    }
}

/// Drives a connection to its end, hurrying it when the supervisor ends.
async fn drive<C>(
    connection: C,
    farewell: fn(Pin<&mut C>),
    ending: &CancellationToken,
) -> Result<(), hyper::Error>
where
    C: Future<Output = Result<(), hyper::Error>>,
{
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => ended,
        () = ending.cancelled() => {
            farewell(connection.as_mut());
            tokio::time::timeout(FAREWELL, connection).await.unwrap_or(Ok(()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::extract::Extension;
    use axum::routing::get;
    use hyper::client::conn::http2 as http2_client;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
    use tokio::net::UnixStream;

    /// How long a test waits for what must come.
    const DEADLINE: Duration = Duration::from_secs(10);
    const LONG: Duration = Duration::from_secs(3_600);

    fn serving(bounds: Bounds) -> Serving {
        let prove = |Extension(visit): Extension<Visit>| async move {
            visit.prove();
            "proven"
        };
        Serving {
            router: Router::new()
                .route("/open", get(|| async { "open" }))
                .route("/prove", get(prove)),
            ending: CancellationToken::new(),
            tasks: TaskTracker::new(),
            bounds,
        }
    }

    fn two_places(silence: Duration) -> Bounds {
        Bounds {
            local: Limits { all: 2, each: 2 },
            head: LONG,
            silence,
            ..Bounds::default()
        }
    }

    async fn ask<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        while !answer.ends_with("open") && !answer.ends_with("proven") {
            let mut part = [0; 1_024];
            let read = tokio::time::timeout(DEADLINE, stream.read(&mut part));
            let count = read.await.expect("in time").expect("an answer");
            assert_ne!(count, 0, "closed after {answer}");
            answer.push_str(&String::from_utf8_lossy(&part[..count]));
        }
        answer
    }

    async fn is_closed<S: AsyncRead + Unpin>(stream: &mut S) {
        let mut rest = Vec::new();
        let end = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut rest));
        // A reset is as good an end as a close.
        let _reset = end.await.expect("closed in time");
    }

    #[tokio::test]
    async fn silent_connections_keep_nobody_out() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("socket");
        let serving = serving(two_places(LONG));
        let ending = serving.ending.clone();
        let server = tokio::spawn(serve_socket(bind_socket(&path).expect("bound"), serving));
        let mut silent = Vec::new();
        for _ in 0..6 {
            silent.push(UnixStream::connect(&path).await.expect("connects"));
        }
        let mut proven = UnixStream::connect(&path).await.expect("connects");
        assert!(ask(&mut proven, "/prove").await.starts_with("HTTP/1.1 200"));
        for stream in &mut silent[..5] {
            is_closed(stream).await;
        }
        for _ in 0..3 {
            let mut newcomer = UnixStream::connect(&path).await.expect("connects");
            ask(&mut newcomer, "/open").await;
        }
        ask(&mut proven, "/open").await;
        ending.cancel();
        server.await.expect("ends");
    }

    fn visitor(is_http2: bool, bounds: Bounds) -> (DuplexStream, tokio::task::JoinHandle<()>) {
        let (near, far) = tokio::io::duplex(4_096);
        let serving = serving(bounds);
        let served = tokio::spawn(async move {
            let source = Source::Peer { uid: 0 };
            serve(far, source, is_http2, &Visit::new(), serving).await;
        });
        (near, served)
    }

    #[tokio::test]
    async fn who_says_nothing_is_closed_in_either_version() {
        for is_http2 in [false, true] {
            let (mut silent, served) = visitor(is_http2, two_places(Duration::from_millis(50)));
            is_closed(&mut silent).await;
            served.await.expect("ends");
        }
    }

    #[tokio::test]
    async fn a_proven_http2_connection_goes_on() {
        let (near, _served) = visitor(true, two_places(Duration::from_millis(50)));
        let shaken = http2_client::handshake(TokioExecutor::new(), TokioIo::new(near)).await;
        let (mut client, connection) = shaken.expect("HTTP/2");
        let _driven = tokio::spawn(connection);
        for path in ["/prove", "/open"] {
            let request = http::Request::get(format!("http://x{path}")).body(String::new());
            let answer = client.send_request(request.expect("a request"));
            let answer = tokio::time::timeout(DEADLINE, answer).await;
            let answer = answer.expect("in time").expect("an answer");
            assert_eq!(
                (answer.status().as_u16(), answer.version()),
                (200, http::Version::HTTP_2)
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    #[tokio::test]
    async fn half_a_request_is_closed_and_a_proven_one_goes_on_until_it_is_idle() {
        let bounds = two_places(Duration::from_millis(50));
        let (mut half, served) = visitor(false, bounds);
        half.write_all(b"GET /open HTTP/1.1\r\nHost:")
            .await
            .expect("sent");
        is_closed(&mut half).await;
        served.await.expect("ends");
        let (mut proven, _served) = visitor(false, bounds);
        ask(&mut proven, "/prove").await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        ask(&mut proven, "/open").await;
        let idle = Bounds {
            head: Duration::from_millis(50),
            silence: LONG,
            ..bounds
        };
        let (mut proven, served) = visitor(false, idle);
        ask(&mut proven, "/prove").await;
        is_closed(&mut proven).await;
        served.await.expect("ends");
    }
}
