//! The web page's files, and the headers that keep a browser from doing what nobody meant.
//!
//! Everybody may have them: they hold nothing of the farm. What they show comes from the API, to who has proven a name.

use super::error::{no_such_method, no_such_path};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tessera_web::Asset;

/// What the page may do: run and look like its own files say, speak to its own origin, be in nobody's frame. No text can
/// become a script: the browser itself refuses it, but for the templates that Svelte made when it was built.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types svelte-trusted-html";
/// What any other answer may do: nothing, whatever a job has written into it.
const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";
/// What no page of ours uses.
const NO_PERMISSIONS: &str = "camera=(), microphone=(), geolocation=(), payment=(), usb=()";
/// Names change with what is in the file.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// May be kept, and is asked for each time.
const ASK_EACH_TIME: &str = "no-cache";

/// Addresses of the application; the page itself knows what each shows.
const VIEWS: [&str; 16] = [
    "/",
    "/login",
    "/jobs",
    "/jobs/{job}",
    "/jobs/{job}/items/{item}",
    "/errors",
    "/hosts",
    "/hosts/{host}",
    "/timeline",
    "/trends",
    "/submit",
    "/access",
    "/admin",
    "/admin/resources",
    "/admin/workers",
    "/admin/audit",
];

/// Makes the routes of the page; no state, no caller.
pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let views = VIEWS
        .into_iter()
        .fold(Router::new(), |router, view| router.route(view, get(page)));
    views
        .route("/assets/{name}", get(file))
        .route("/favicon.svg", get(file))
        .route("/favicon.ico", any(no_such_path))
        .method_not_allowed_fallback(no_such_method)
}

async fn page(headers: HeaderMap) -> Response {
    send(tessera_web::index(), &headers)
}

async fn file(request: Request) -> Response {
    match tessera_web::asset(request.uri().path().trim_start_matches('/')) {
        Some(asset) => send(asset, request.headers()),
        None => no_such_path(request).await.into_response(),
    }
}

fn send(asset: &Asset, asked: &HeaderMap) -> Response {
    let mut response = Response::new(Body::empty());
    let is_known = asked
        .get_all(IF_NONE_MATCH)
        .iter()
        .any(|tags| names(tags, asset.tag));
    let is_small = !asset.brotli.is_empty() && takes_brotli(asked);
    let headers = response.headers_mut();
    let keep = if asset.is_hashed() {
        FOR_EVER
    } else {
        ASK_EACH_TIME
    };
    for (name, value) in [
        (CONTENT_TYPE, asset.media_type()),
        (CACHE_CONTROL, keep),
        (CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (VARY, "accept-encoding"),
        (ETAG, asset.tag),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else if is_small {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("br"));
        *response.body_mut() = Body::from(asset.brotli);
    } else {
        *response.body_mut() = Body::from(asset.plain);
    }
    response
}

/// Says whether a list of entity tags has this one, weak or not.
fn names(tags: &HeaderValue, tag: &str) -> bool {
    let Ok(tags) = tags.to_str() else {
        return false;
    };
    let mut tags = tags.split(',').map(str::trim);
    tags.any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}

/// Says whether who asks can read Brotli.
fn takes_brotli(asked: &HeaderMap) -> bool {
    let lists = asked.get_all(ACCEPT_ENCODING).iter();
    let mut words = lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','));
    words.any(|word| {
        let mut parts = word.split(';').map(str::trim);
        parts.next() == Some("br") && !parts.any(|part| matches!(part, "q=0" | "q=0.0"))
    })
}

/// Adds to an answer what keeps a browser from guessing, framing, keeping or running it; what the answer has said itself stays.
pub(crate) fn guard(headers: &mut HeaderMap) {
    const CROSS_ORIGIN_RESOURCE: HeaderName =
        HeaderName::from_static("cross-origin-resource-policy");
    const CROSS_ORIGIN_OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
    const PERMISSIONS: HeaderName = HeaderName::from_static("permissions-policy");
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, DATA_POLICY),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CROSS_ORIGIN_RESOURCE, "same-origin"),
        (CROSS_ORIGIN_OPENER, "same-origin"),
        (PERMISSIONS, NO_PERMISSIONS),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn brotli_goes_to_who_reads_it() {
        for (value, takes) in [
            ("gzip, deflate, br, zstd", true),
            ("br;q=1.0", true),
            ("br;q=0, gzip", false),
            ("gzip", false),
            ("", false),
        ] {
            assert_eq!(
                takes_brotli(&asked(ACCEPT_ENCODING, value)),
                takes,
                "{value}"
            );
        }
    }

    #[test]
    fn what_the_browser_has_is_not_sent_again() {
        static ASSET: Asset = Asset {
            path: "assets/x-1.js",
            tag: "\"1\"",
            plain: b"1;",
            brotli: b"compressed",
        };
        let status = |value| send(&ASSET, &asked(IF_NONE_MATCH, value)).status();
        assert_eq!(status("\"0\", W/\"1\""), StatusCode::NOT_MODIFIED);
        assert_eq!(status("\"0\""), StatusCode::OK);
        let sent = send(&ASSET, &asked(ACCEPT_ENCODING, "br"));
        assert_eq!(sent.headers()[CONTENT_ENCODING], "br");
        assert_eq!(sent.headers()[CACHE_CONTROL], FOR_EVER);
        let plain = send(&ASSET, &HeaderMap::new());
        assert!(!plain.headers().contains_key(CONTENT_ENCODING));
    }

    #[test]
    fn an_answer_is_guarded_and_keeps_what_it_said() {
        let mut headers = asked(CACHE_CONTROL, "no-cache");
        guard(&mut headers);
        assert_eq!(headers[CACHE_CONTROL], "no-cache");
        assert_eq!(headers[CONTENT_SECURITY_POLICY], DATA_POLICY);
        assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
    }
}
