//! Bodies, queries and path segments, with errors in the API's words.

use super::Failure;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::Uri;
use http::request::Parts;
use serde::de::DeserializeOwned;
use tessera_api::ErrorCode;
use tessera_api::query::Keys;

/// Characters of a caller's word that an answer repeats.
const SHOWN_CHARS_MAX: usize = 64;

/// A JSON body.
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| unread(&rejection))?;
        read(&bytes).map(Self)
    }
}

/// A JSON body that may be left out.
pub(crate) struct Perhaps<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for Perhaps<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| unread(&rejection))?;
        match bytes.is_empty() {
            true => Ok(Self(T::default())),
            false => read(&bytes).map(Self),
        }
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = serde_path_to_error::deserialize(&mut reader);
    let read = read.map_err(|error| match error.path().to_string().as_str() {
        "." => not_expected(error.inner()),
        field => not_expected(&format!("{field}: {}", error.inner())),
    })?;
    reader.end().map_err(|error| not_expected(&error))?;
    Ok(read)
}

/// Names the field where there is one.
fn not_expected(why: &dyn std::fmt::Display) -> Failure {
    Failure::new(
        ErrorCode::BadRequest,
        format!("the body is not what is expected here: {why}"),
    )
}

fn unread(rejection: &BytesRejection) -> Failure {
    if rejection.status() == http::StatusCode::PAYLOAD_TOO_LARGE {
        let most = tessera_api::REQUEST_BYTES_MAX;
        return Failure::new(
            ErrorCode::TooLarge,
            format!("the body is larger than {most} bytes"),
        );
    }
    Failure::new(
        ErrorCode::BadRequest,
        format!("the body can't be read: {rejection}"),
    )
}

/// What stands behind the `?`.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Keys> FromRequestParts<S> for Params<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        check_keys(&parts.uri, &T::keys())?;
        let Query(found) = Query::try_from_uri(&parts.uri).map_err(|rejection| {
            let said = rejection.body_text();
            let why = said.split_once(": ").map_or(&*said, |(_, why)| why);
            let message = format!("the query is not what is expected here: {why}");
            Failure::new(ErrorCode::BadRequest, message)
        })?;
        Ok(Self(found))
    }
}

/// Refuses a query whose first unknown key would be passed over in silence.
fn check_keys(uri: &Uri, known: &[String]) -> Result<(), Failure> {
    let Ok(Query(said)) = Query::<Vec<(String, String)>>::try_from_uri(uri) else {
        let message = "the query is no list of key=value";
        return Err(Failure::new(ErrorCode::BadRequest, message));
    };
    let Some((key, _)) = said.iter().find(|(key, _)| !known.contains(key)) else {
        return Ok(());
    };
    let shown: String = key.chars().take(SHOWN_CHARS_MAX).collect();
    let hint = match known {
        [] => "this path takes no query".to_owned(),
        known => format!("known keys are {}", known.join(", ")),
    };
    let message = format!("unknown query key \"{}\"", shown.escape_debug());
    Err(Failure::new(ErrorCode::BadRequest, message).hint(hint))
}

/// Refuses every query: for the paths that take none.
pub(crate) async fn no_query(request: Request, next: Next) -> Response {
    match check_keys(request.uri(), &[]) {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    }
}

/// Segments of the path.
pub(crate) struct Segments<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segments<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Path(found) = Path::from_request_parts(parts, state)
            .await
            .map_err(|rejection| Failure::new(ErrorCode::BadRequest, rejection.body_text()))?;
        Ok(Self(found))
    }
}
