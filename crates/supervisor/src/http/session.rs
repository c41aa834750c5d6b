//! Sessions of browsers: how one begins and ends, and what a request must show to act in one.
//!
//! A cookie is sent whether its owner means it or not, so it alone is never enough. What changes something must carry a
//! header that no other origin can add without asking first, which nobody here allows; and when the browser says where a
//! request comes from, it must come from our own page.

use super::auth::{self, Caller, Source};
use super::error::Answer;
use super::extract::Json;
use super::{App, Failure, refused, site};
use crate::clock::wall;
use crate::persist::rows::{access_row, kind};
use crate::sessions::{Guest, LINK_LIFE, SESSION_LIFE, is_session, make_room, session_id};
use crate::tokens::{Fresh, Held, hex};
use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use http::header::{COOKIE, HOST, ORIGIN, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use std::time::{Duration, Instant};
use tessera_api::ErrorCode;
use tessera_api::types::{Session, SessionLink, SessionRequest};
use tessera_model::{Principal, Proof};
use tessera_store::{TokenRow, Write};

/// Where sessions begin; open to all, for the link or the token is the proof there.
pub(crate) const SESSION: &str = "/session";
/// The header that only our own page sends.
const PAGE_HEADER: HeaderName = HeaderName::from_static("x-tessera-web");
/// Where the browser says that a request comes from.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Characters of the farm's id in the cookie's name: cookies of one host are shared by its ports, and so by its farms.
const FARM_CHARS: usize = 8;

/// Answers the cookie's name. Its beginning has browsers take it over TLS only, and from this host only.
fn cookie_name(app: &App) -> String {
    let farm = app.ca.farm_id().to_string();
    format!("__Host-tessera-{}", &farm[..FARM_CHARS])
}

/// Answers the session's secret that a request carries.
pub(crate) fn cookie(app: &App, headers: &HeaderMap) -> Option<String> {
    let name = cookie_name(app);
    let lines = headers.get_all(COOKIE).iter();
    let mut pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let found = pairs.find(|(key, _)| *key == name);
    found.map(|(_, secret)| secret.to_owned())
}

/// Refuses what a browser may have been led to send: a change without our page's header, or anything from another place.
///
/// # Errors
/// When it does not come from our own page.
pub(crate) fn check_page(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Failure> {
    let reads = method.is_safe();
    let is_marked = headers.get(&PAGE_HEADER).is_some_and(|mark| mark == "1");
    if !(reads || is_marked) {
        return Err(elsewhere("it lacks the header X-Tessera-Web"));
    }
    let site = headers.get(&FETCH_SITE);
    if site.is_some_and(|site| !(site == "same-origin" || (reads && site == "none"))) {
        return Err(elsewhere("the browser says that another site sent it"));
    }
    let own = uri
        .authority()
        .map(|authority| authority.as_str())
        .or_else(|| headers.get(HOST)?.to_str().ok());
    let is_own = |origin: &HeaderValue| {
        let place = origin
            .to_str()
            .ok()
            .and_then(|text| text.strip_prefix("https://"));
        place.is_some() && place == own
    };
    if headers.get(ORIGIN).is_some_and(|origin| !is_own(origin)) {
        return Err(elsewhere("its origin is another"));
    }
    Ok(())
}

fn elsewhere(why: &str) -> Failure {
    let message =
        format!("a request of a browser's session must come from the farm's own page: {why}");
    Failure::new(ErrorCode::Forbidden, message)
        .hint("programs present a token instead: Authorization: Bearer TOKEN")
}

/// `POST /session`: the link or the token is the only proof.
pub(crate) async fn begin(
    State(app): State<App>,
    Extension(source): Extension<Source>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    Json(request): Json<SessionRequest>,
) -> Answer<Response> {
    let (link, token) = (request.link.as_deref(), request.token.as_deref());
    let (how, what) = match (link, token) {
        (Some(_), _) => ("by a link", "a login by a link"),
        (None, _) => ("by a token", "a login by a token"),
    };
    // Else a stranger's page could log its visitor in as somebody of the stranger's choice.
    let begun = match check_page(&method, &uri, &headers) {
        Ok(()) => log_in(&app, link, token, how).await,
        Err(elsewhere) => Err(elsewhere),
    };
    let (row, secret) = begun.inspect_err(|why| refused::tell(&app, source, what, why))?;
    let expires_ms = row.expires_ms.unwrap_or_default();
    let life = Duration::from_millis(u64::try_from(expires_ms - wall().0).unwrap_or(0));
    let session = Session {
        id: row.id,
        user: row.user,
        expires_ms,
    };
    let mut response = (StatusCode::CREATED, axum::Json(session)).into_response();
    set_cookie(&app, &mut response, &secret, life);
    Ok(response)
}

/// Begins a session with what somebody presents; answers its row and secret.
async fn log_in(
    app: &App,
    link: Option<&str>,
    token: Option<&str>,
    how: &str,
) -> Answer<(TokenRow, String)> {
    let (guest, used) = match (link, token) {
        (Some(link), None) => (by_link(app, link)?, None),
        (None, Some(token)) => by_token(app, token)?,
        _ => {
            let message = "name either the secret of a link or a token";
            return Err(Failure::new(ErrorCode::BadRequest, message));
        }
    };
    keep(app, guest, used, how).await
}

fn by_link(app: &App, link: &str) -> Answer<Guest> {
    let guest = app.links.take(link.trim(), Instant::now());
    let is_over = |guest: &Guest| {
        let parent = guest.parent.as_ref();
        parent.is_some_and(|parent| !app.tokens.is_good(parent, wall()))
    };
    guest.filter(|guest| !is_over(guest)).ok_or_else(|| {
        Failure::new(
            ErrorCode::Unauthenticated,
            "the link is not good: unknown, used or over",
        )
        .hint("`tessera open` makes another; each works once, within ten minutes")
    })
}

/// Answers whom a token stands for, and its use to be kept, when that is due.
fn by_token(app: &App, token: &str) -> Answer<(Guest, Option<Write>)> {
    let proven = app.tokens.prove(token.trim(), wall());
    let proven = proven.ok_or_else(auth::bad_token)?;
    let guest = Guest {
        parent: token_of(&proven.principal),
        user: proven.principal.name,
        is_admin: proven.principal.is_admin,
    };
    Ok((guest, proven.used))
}

fn token_of(principal: &Principal) -> Option<String> {
    match &principal.proof {
        Proof::Token(id) => Some(id.clone()),
        Proof::Peer { .. } => None,
    }
}

/// Makes a session durable, with the use of its token; answers its row and secret.
async fn keep(
    app: &App,
    guest: Guest,
    used: Option<Write>,
    how: &str,
) -> Answer<(TokenRow, String)> {
    let fresh =
        Fresh::make().map_err(|error| Failure::internal("no session can be made", &error))?;
    let now = wall().0;
    let row = session_row(app, &guest, &fresh, how, now);
    let id = row.id.clone();
    let room = |held: &Held| make_room(held, guest.user.as_str(), now);
    let (place, forgotten) = match app.tokens.reserve(row.clone(), room) {
        Ok(reserved) => reserved,
        Err(why) => {
            auth::note(app, used);
            let failure = Failure::new(ErrorCode::Busy, why.to_string());
            return Err(failure.hint("revoke some: `tessera token list`"));
        }
    };
    let text = format!("session {id} of {} began {how}", guest.user);
    let mut writes = vec![
        Write::Token(row.clone()),
        access_row(now, kind::TOKEN_CREATED, Some(&guest.user), text),
    ];
    writes.extend(forgotten.iter().cloned().map(Write::TokenRemove));
    writes.extend(used);
    if let Err(why) = app.core.keep(writes).await {
        place.give_up();
        return Err(why.into());
    }
    forgotten.iter().for_each(|id| app.tokens.remove(id));
    place.arrive();
    tracing::info!(session = id, user = %guest.user, how, "session began");
    Ok((row, fresh.text_for(&id)))
}

fn session_row(app: &App, guest: &Guest, fresh: &Fresh, how: &str, now: i64) -> TokenRow {
    let end = now + i64::try_from(SESSION_LIFE.as_millis()).unwrap_or(0);
    let parent = guest
        .parent
        .as_ref()
        .and_then(|id| app.tokens.get(id)?.expires_ms);
    TokenRow {
        id: session_id(fresh, guest.parent.as_deref()),
        sha256: fresh.sha256,
        user: guest.user.to_string(),
        is_admin: guest.is_admin,
        note: format!("browser, {how}"),
        created_ms: now,
        expires_ms: Some(parent.map_or(end, |parent| parent.min(end))),
        last_used_ms: None,
    }
}

fn set_cookie(app: &App, response: &mut Response, secret: &str, life: Duration) {
    let text = format!(
        "{}={secret}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={}",
        cookie_name(app),
        life.as_secs()
    );
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().insert(SET_COOKIE, value);
    }
}

/// `DELETE /session`
pub(crate) async fn end(State(app): State<App>, Extension(by): Caller) -> Answer<Response> {
    let Some(id) = token_of(&by).filter(|id| is_session(id)) else {
        let message = "this is no browser's session: there is nothing to end";
        return Err(Failure::new(ErrorCode::WrongState, message));
    };
    super::access::revoke(&app, &by, &id).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    set_cookie(&app, &mut response, "", Duration::ZERO);
    Ok(response)
}

/// `POST /session/links`
pub(crate) async fn create_link(
    State(app): State<App>,
    Extension(by): Caller,
) -> Answer<(StatusCode, axum::Json<SessionLink>)> {
    let parent = token_of(&by);
    if parent.as_deref().is_some_and(is_session) {
        // Else who has found an open browser could stay for ever.
        let message = "a browser's session can't make links for others";
        return Err(Failure::new(ErrorCode::Forbidden, message).hint("run `tessera open`"));
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)
        .map_err(|error| Failure::internal("no link can be made", &error))?;
    let secret = hex(&secret);
    let guest = Guest {
        user: by.name.clone(),
        is_admin: by.is_admin,
        parent,
    };
    app.links.add(&secret, guest, Instant::now()).map_err(|_| {
        Failure::new(
            ErrorCode::Busy,
            "there are too many links that nobody has used",
        )
        .hint("they end within ten minutes; try again then")
    })?;
    let life = i64::try_from(LINK_LIFE.as_millis()).unwrap_or(0);
    let link = SessionLink {
        // Behind the # it is in no request, no log and no referrer, and who previews the address does not use it up.
        url: format!("https://{}/login#{secret}", app.address),
        user: by.name.to_string(),
        expires_ms: wall().0 + life,
        unknown_ca: (!app.site.covers(site::host_of(&app.address)))
            .then(|| app.ca.fingerprint().to_string()),
    };
    Ok((StatusCode::CREATED, axum::Json(link)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &str, headers: &[(&'static str, &'static str)]) -> bool {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect();
        let method = method.parse().expect("a method");
        check_page(&method, &Uri::from_static("/api/v1/jobs"), &headers).is_ok()
    }

    #[test]
    fn only_our_own_page_acts_in_a_session() {
        const HOST: (&str, &str) = ("host", "farm:7433");
        const MARK: (&str, &str) = ("x-tessera-web", "1");
        const OWN: (&str, &str) = ("origin", "https://farm:7433");
        assert!(check(
            "POST",
            &[HOST, MARK, OWN, ("sec-fetch-site", "same-origin")]
        ));
        assert!(
            check("GET", &[HOST, ("sec-fetch-site", "none")]),
            "typed in"
        );
        assert!(check("GET", &[HOST]), "an older browser");
        for (what, headers) in [
            ("a form of another site", &[HOST, OWN][..]),
            (
                "another origin",
                &[HOST, MARK, ("origin", "https://evil.example")],
            ),
            (
                "another port",
                &[HOST, MARK, ("origin", "https://farm:8443")],
            ),
            ("no TLS", &[HOST, MARK, ("origin", "http://farm:7433")]),
            ("nobody's origin", &[HOST, MARK, ("origin", "null")]),
            (
                "another site",
                &[HOST, MARK, OWN, ("sec-fetch-site", "same-site")],
            ),
            ("typed in", &[HOST, MARK, ("sec-fetch-site", "none")]),
        ] {
            assert!(!check("POST", headers), "{what}");
        }
        assert!(!check("GET", &[HOST, ("sec-fetch-site", "cross-site")]));
        assert!(!check("GET", &[HOST, ("origin", "https://evil.example")]));
    }
}
