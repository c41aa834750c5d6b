//! Listeners: the Unix socket for this host, the one TLS port for everybody else and for workers.

use super::auth::Source;
use crate::error::SupervisorError;
use crate::workers::Workers;
use axum::Router;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
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
/// How long the head of a request may take; also how long a connection may be idle.
const HEAD_TIME_LIMIT: Duration = Duration::from_secs(60);
/// Streams of one HTTP/2 connection.
const STREAMS_MAX: u32 = 64;
/// Pause after the system refused to give a connection (too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a connection may go on when the supervisor ends.
const FAREWELL: Duration = Duration::from_secs(5);

/// How many connections there may be.
#[derive(Debug, Clone, Copy)]
struct Limits {
    all: usize,
    each: usize,
}

/// Counts connections by where they come from.
#[derive(Debug)]
struct Doorman<K> {
    limits: Limits,
    inside: Mutex<HashMap<K, usize>>,
}

/// A connection's place; given back when it is dropped.
struct Place<K: Hash + Eq + Clone> {
    doorman: Arc<Doorman<K>>,
    key: K,
}

impl<K: Hash + Eq + Clone> Doorman<K> {
    fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            inside: Mutex::default(),
        })
    }

    fn enter(self: &Arc<Self>, key: K) -> Option<Place<K>> {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if inside.values().sum::<usize>() >= self.limits.all {
            return None;
        }
        let count = inside.entry(key.clone()).or_insert(0);
        if *count >= self.limits.each {
            return None;
        }
        *count += 1;
        Some(Place {
            doorman: Arc::clone(self),
            key,
        })
    }
}

impl<K: Hash + Eq + Clone> Drop for Place<K> {
    fn drop(&mut self) {
        let mut inside = self
            .doorman
            .inside
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = inside.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                inside.remove(&self.key);
            }
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
}

/// Serves the Unix socket until the end.
pub(crate) async fn serve_socket(listener: UnixListener, serving: Serving) {
    let doorman = Doorman::new(LOCAL_MAX);
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
            serve(stream, Source::Peer { uid }, serving).await;
            drop(place);
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
    let doorman = Doorman::new(NETWORK_MAX);
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
            let ended = tokio::select! {
                ended = serve_worker(worker, port.terms.clone(), Arc::clone(&port.workers)) => ended,
                () = serving.ending.cancelled() => Ok(()),
            };
            if let Err(error) = ended {
                tracing::debug!(%host, error = &error as &dyn std::error::Error, "a worker's connection ended");
            }
        }
        Ok(Accepted::Client(client)) => {
            let Some(_place) = doorman.enter(client.address.ip()) else {
                tracing::warn!(address = %client.address, "too many connections; one more is closed");
                return;
            };
            serve(client.stream, Source::Network(client.address), serving).await;
        }
    }
}

/// Too many open files and the like pass; without a pause the loop would spin meanwhile.
async fn pause_after(error: &std::io::Error) {
    tracing::warn!(%error, "a connection can't be accepted");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

/// Serves the API over one connection.
async fn serve<S>(stream: S, source: Source, serving: Serving)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let router = serving.router;
    let service = hyper::service::service_fn(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(source);
        let mut router = router.clone();
        async move { router.call(request).await }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_LIMIT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = serving.ending.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(FAREWELL, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, "a connection ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_by_source_and_given_back() {
        let doorman = Doorman::new(Limits { all: 3, each: 2 });
        let first = doorman.enter(1);
        let second = doorman.enter(1);
        assert!(first.is_some() && second.is_some());
        assert!(doorman.enter(1).is_none(), "one source has enough");
        let other = doorman.enter(2);
        assert!(other.is_some());
        assert!(doorman.enter(3).is_none(), "all places are taken");
        drop(first);
        assert!(doorman.enter(3).is_some());
    }
}
