//! Errors as they are answered, and what all answers have.

use super::ANSWER_TIME_LIMIT;
use crate::core::Unavailable;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use std::sync::atomic::{AtomicU64, Ordering};
use tessera_api::{ApiError, ErrorCode};
use tessera_engine::supervisor::Denied;
use tessera_model::UserName;
use tessera_spec::FieldError;

/// The header with the name of the request.
const REQUEST_ID: &str = "x-request-id";

/// A refusal on its way out.
#[derive(Debug, Clone)]
pub(crate) struct Failure(pub(crate) ApiError);

/// What handlers answer.
pub(crate) type Answer<T> = Result<T, Failure>;

impl Failure {
    /// Makes a refusal.
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self(ApiError::new(code, message))
    }

    /// Adds what can be done.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self(self.0.hint(hint))
    }

    /// Something that only administrators may.
    pub(crate) fn admins_only(by: &UserName, what: &str) -> Self {
        Self::new(
            ErrorCode::Forbidden,
            format!("{by} may not {what}: only the farm's administrators may"),
        )
        .hint("ask root or a member of the group tessera-admin on the supervisor's host")
    }

    /// Fields that are wrong.
    pub(crate) fn fields(fields: Vec<FieldError>) -> Self {
        Self(ApiError::invalid(fields))
    }

    /// A fault of ours; the cause is in the log.
    pub(crate) fn internal(what: &str, cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "{what}");
        Self::new(ErrorCode::Internal, what.to_owned()).hint("the supervisor's log says more")
    }
}

impl From<Unavailable> for Failure {
    fn from(why: Unavailable) -> Self {
        let failure = Self::new(ErrorCode::Unavailable, why.message);
        match why.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        Self(api_error(&denied))
    }
}

/// Answers what the API says for a refusal of the engine.
pub(crate) fn api_error(denied: &Denied) -> ApiError {
    let message = denied.to_string();
    match denied {
        Denied::NoJob(_) | Denied::NoInstance(..) | Denied::NoItem(..) | Denied::NoHost(_) => {
            ApiError::new(ErrorCode::NotFound, message)
        }
        Denied::Forbidden { .. } => ApiError::new(ErrorCode::Forbidden, message),
        Denied::State { .. } => ApiError::new(ErrorCode::WrongState, message),
        Denied::HostConnected(_) => ApiError::new(ErrorCode::WrongState, message)
            .hint("`tessera host remove --force` sends it away; what it runs is put back and run elsewhere"),
        Denied::Invalid { field, why } => {
            ApiError::invalid(vec![FieldError::new(*field, why.clone())])
        }
        Denied::NoResource(_) => ApiError::new(ErrorCode::NotFound, message)
            .hint("`tessera resource list` lists those that there are"),
        Denied::NoCredential(_) => {
            ApiError::new(ErrorCode::NotFound, message).hint("tessera credential register")
        }
        Denied::CredentialMoved { .. } | Denied::CredentialBusy { .. } => {
            ApiError::new(ErrorCode::WrongState, message)
        }
        Denied::NoPassword { .. } => ApiError::new(ErrorCode::WrongState, message).hint(
            "tessera credential register; this farm takes no jobs without (enforce_password)",
        ),
        Denied::Rejected { .. } => ApiError::new(ErrorCode::WrongState, message).hint(
            "submit again when it is over; `tessera farm show` tells, an administrator ends it with `tessera farm unset reject_submit`",
        ),
        Denied::KeyReused { .. } => {
            ApiError::new(ErrorCode::KeyReused, message).hint("choose another key")
        }
    }
}

impl IntoResponse for Failure {
    /// The body is written by [`finish`], which knows the request's name.
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Answers for a path that does not exist.
pub(crate) async fn no_such_path(request: Request) -> Failure {
    let path: String = request.uri().path().chars().take(100).collect();
    Failure::new(ErrorCode::NotFound, format!("there is nothing at {path}"))
        .hint("the API is described at /api/v1/openapi.json")
}

/// Answers for a method that a path does not have.
pub(crate) async fn no_such_method(request: Request) -> Failure {
    let path: String = request.uri().path().chars().take(100).collect();
    Failure::new(
        ErrorCode::MethodNotAllowed,
        format!("{path} can't be asked to {}", request.method()),
    )
}

/// Names the request, bounds its time and writes the body of a refusal.
pub(crate) async fn finish(request: Request, next: Next) -> Response {
    let id = next_id();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let answered = tokio::time::timeout(ANSWER_TIME_LIMIT, next.run(request)).await;
    let mut response = answered.unwrap_or_else(|_elapsed| {
        Failure::new(
            ErrorCode::Unavailable,
            "the supervisor is too busy to answer in time",
        )
        .hint("send the request again; a submission with the same key exists once")
        .into_response()
    });
    if let Some(Failure(error)) = response.extensions_mut().remove::<Failure>() {
        if error.code.status() >= 500 {
            tracing::warn!(request = id, %method, path, error = %error.message, "request failed");
        }
        let error = error.request_id(&id);
        *response.body_mut() = Body::from(serde_json::to_vec(&error).unwrap_or_default());
        // The router has counted the body that was not there yet.
        response.headers_mut().remove(header::CONTENT_LENGTH);
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        if error.code == ErrorCode::Unauthenticated {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    super::pages::guard(response.headers_mut());
    response
}

/// Answers a name for a request that is like no other of this process.
fn next_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{:x}-{count:x}", std::process::id())
}
