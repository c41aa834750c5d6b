//! Tells an HTTP server: one POST, in a bounded time, whose answer is hardly read.
//!
//! Redirects are not followed: the address is the administrator's, and no server may choose another one for the farm.

use super::channel::{Fault, Refused};
use super::config::WebhookTarget;
use super::message::{FarmName, Message};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

/// Bytes of a refusal that are shown.
const SHOWN_BYTES_MAX: usize = 200;
/// The least bytes that a part of a path has that may be a secret.
const SECRET_BYTES_MIN: usize = 8;
/// Largest head of an answer, in bytes, and its most lines.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEAD_LINES_MAX: usize = 64;
/// Where systems keep the certificates that they trust.
const SYSTEM_CERTIFICATES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Sends one message. Dropping the future closes the connection; whether the message was taken is not known then.
///
/// # Errors
/// Why it was not taken. A status of 400 to 499 is for good, but for those that say that it is too slow or too much.
pub(crate) async fn deliver(
    target: &WebhookTarget,
    limit: Duration,
    message: &Message,
    farm: &FarmName,
    channel: &str,
) -> Result<String, Refused> {
    let seconds = crate::clock::wall().0.div_euclid(1_000);
    let body = message.json(farm, channel);
    let signature = target.secret.sign(&message.id, seconds, &body);
    let authority = target.url.authority().map_or("", |it| it.as_str());
    let path = target.url.path_and_query().map_or("/", |it| it.as_str());
    let request = Request::post(path)
        .header(HOST, authority)
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, concat!("tessera/", env!("CARGO_PKG_VERSION")))
        .header("webhook-id", &message.id)
        .header("webhook-timestamp", seconds.to_string())
        .header("webhook-signature", signature)
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| Refused::later(format!("no request can be made: {error}")))?;
    match tokio::time::timeout(limit, post(target, request)).await {
        Ok(said) => said.map_err(|refused| Refused {
            why: without_secrets(refused.why, path),
            ..refused
        }),
        Err(_elapsed) => Err(Refused::later(format!(
            "no answer within {} s",
            limit.as_secs()
        ))),
    }
}

/// Says whether a receiver refuses this message, or all for now.
fn fault(status: StatusCode) -> Fault {
    let is_for_now = matches!(
        status,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
    );
    if status.is_client_error() && !is_for_now {
        Fault::Message
    } else {
        Fault::Later
    }
}

/// Takes out of what a server said the parts of the address's path, which may be what lets in who knows them: servers like to repeat
/// it, and what was said is logged and shown.
fn without_secrets(said: String, path: &str) -> String {
    let parts = || {
        let parts = path.split(['/', '?', '&', '=']);
        parts.filter(|part| part.len() >= SECRET_BYTES_MIN)
    };
    let mut said = parts().fold(said, |said, part| said.replace(part, "…"));
    // What was said may have been cut within one.
    let begins = |part: &str| {
        let begins = (SECRET_BYTES_MIN / 2..part.len()).rev();
        let mut begins = begins.filter_map(|end| part.get(..end));
        begins.find(|begin| said.ends_with(begin)).map(str::len)
    };
    if let Some(cut) = parts().filter_map(begins).max() {
        said.truncate(said.len() - cut);
        said.push('…');
    }
    said
}

async fn post(target: &WebhookTarget, request: Request<Full<Bytes>>) -> Result<String, Refused> {
    let is_tls = target.url.scheme_str() == Some("https");
    let host = target.url.host().unwrap_or_default();
    let host = host.trim_matches(['[', ']']);
    let port = target.url.port_u16();
    let port = port.unwrap_or(if is_tls { 443 } else { 80 });
    let stream = TcpStream::connect((host, port))
        .await
        .map_err(|error| Refused::later(format!("no connection: {error}")))?;
    if !is_tls {
        return exchange(stream, request).await;
    }
    let config = trust(target.ca_file.clone(), &[b"http/1.1"]).await;
    let config = config.map_err(Refused::later)?;
    let name = ServerName::try_from(host.to_owned()).map_err(|_| {
        Refused::later("the address names no host that a certificate could be of".to_owned())
    })?;
    let connected = tokio_rustls::TlsConnector::from(config)
        .connect(name, stream)
        .await;
    exchange(
        connected.map_err(|error| Refused::later(format!("no TLS: {error}")))?,
        request,
    )
    .await
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<String, Refused> {
    let broken = |error: hyper::Error| Refused::later(format!("the connection broke: {error}"));
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEAD_LINES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    // Ends with this function, whatever the server goes on saying.
    let _driven = AbortOnDropHandle::new(tokio::spawn(connection));
    let answer = sender.send_request(request).await.map_err(broken)?;
    let status = answer.status();
    if status.is_success() {
        return Ok(in_words(status));
    }
    if status.is_redirection() {
        let status = in_words(status);
        return Err(Refused::later(format!(
            "answered {status}: redirects are not followed; write the new address into notify.toml if it is good"
        )));
    }
    let said = begin_of(answer.into_body()).await;
    Err(Refused {
        why: format!("answered {}{said}", in_words(status)),
        fault: fault(status),
    })
}

/// Reads the first bytes of a refusal.
async fn begin_of(mut body: Incoming) -> String {
    let mut begin = Vec::new();
    while begin.len() < SHOWN_BYTES_MAX {
        match body.frame().await {
            Some(Ok(frame)) => {
                let data = frame.into_data().unwrap_or_default();
                let room = SHOWN_BYTES_MAX - begin.len();
                begin.extend_from_slice(&data[..data.len().min(room)]);
            }
            Some(Err(_)) | None => break,
        }
    }
    let text = String::from_utf8_lossy(&begin);
    let text = super::cause::clean(text.trim(), SHOWN_BYTES_MAX);
    if text.is_empty() {
        String::new()
    } else {
        format!(": {text}")
    }
}

fn in_words(status: StatusCode) -> String {
    // Only the reasons that we know: the server's own words are not repeated.
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

/// Makes the TLS configuration that trusts these certificates, or the system's. Read at each delivery, so that renewed ones
/// hold without a restart; that is seldom.
///
/// # Errors
/// Why there are none, in words.
pub(crate) async fn trust(
    ca_file: Option<PathBuf>,
    protocols: &[&[u8]],
) -> Result<Arc<rustls::ClientConfig>, String> {
    let mut roots = rustls::RootCertStore::empty();
    // Systems have some that are no use to us; one is enough.
    let (good, _) = roots.add_parsable_certificates(certificates(ca_file).await?);
    if good == 0 {
        return Err("none of the certificates that are trusted can be used".to_owned());
    }
    let mut config = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
    Ok(Arc::new(config))
}

/// Reads the certificates of a file, or those that the system trusts.
async fn certificates(ca_file: Option<PathBuf>) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = tokio::task::spawn_blocking(move || match ca_file {
        Some(file) => certificates_of(&file),
        None => {
            let found = SYSTEM_CERTIFICATES.iter().find(|it| Path::new(it).exists());
            let file = found.ok_or_else(|| {
                "this system has no file with certificates that it trusts (package ca-certificates); or set ca_file"
                    .to_owned()
            })?;
            certificates_of(Path::new(file))
        }
    });
    read.await.map_err(|error| error.to_string())?
}

fn certificates_of(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let named = |why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
    let found = CertificateDer::pem_file_iter(file).map_err(|error| named(&error))?;
    let found: Vec<_> = found.filter_map(Result::ok).collect();
    if found.is_empty() {
        return Err(named(&"has no certificate in PEM"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_repeats_of_the_address_is_not_kept() {
        let path = "/services/T0/B0/abcdefghijkl?token=0123456789";
        let hidden = |said: &str| without_secrets(said.to_owned(), path);
        assert_eq!(
            hidden("answered 404: Cannot POST /services/T0/B0/abcdefghijkl?token=0123456789"),
            "answered 404: Cannot POST /…/T0/B0/…?token=…"
        );
        assert_eq!(
            hidden(r#"{"path":"\/B0\/abcdefghijkl"}"#),
            r#"{"path":"\/B0\/…"}"#
        );
        assert_eq!(hidden("cut: /B0/abcdefg"), "cut: /B0/…");
        assert_eq!(hidden("invalid_payload"), "invalid_payload");
    }

    #[test]
    fn what_is_refused_for_good_is_told_from_what_is_not_now() {
        let judged = |code| fault(StatusCode::from_u16(code).expect("a status"));
        for code in [400, 401, 403, 404, 410, 413, 415, 422, 451] {
            assert_eq!(judged(code), Fault::Message, "{code}");
        }
        for code in [302, 408, 425, 429, 500, 502, 503, 504, 600] {
            assert_eq!(judged(code), Fault::Later, "{code}");
        }
    }
}
