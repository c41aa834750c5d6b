//! Bodies, queries and path segments, with errors in the API's words.

use super::Failure;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use http::request::Parts;
use serde::de::DeserializeOwned;
use tessera_api::ErrorCode;

/// A JSON body.
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| unread(&rejection))?;
        let mut reader = serde_json::Deserializer::from_slice(&bytes);
        let read = serde_path_to_error::deserialize(&mut reader);
        let read = read.map_err(|error| match error.path().to_string().as_str() {
            "." => not_expected(error.inner()),
            field => not_expected(&format!("{field}: {}", error.inner())),
        })?;
        reader.end().map_err(|error| not_expected(&error))?;
        Ok(Self(read))
    }
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

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Query(found) = Query::from_request_parts(parts, state)
            .await
            .map_err(|rejection| Failure::new(ErrorCode::BadRequest, rejection.body_text()))?;
        Ok(Self(found))
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
