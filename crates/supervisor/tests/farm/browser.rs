//! What a browser is given and may do: the page's files, sessions by links and tokens, and what other sites try with them.

use crate::world::{DEADLINE, Farm, frames};
use tessera_api::query::{ItemsQuery, JobsQuery};
use tessera_api::types::TokenRequest;
use tessera_wire::pki::Fingerprint;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// What our own page adds to every change.
pub(crate) const PAGE: &str = "X-Tessera-Web: 1\r\n";

/// An answer as a browser sees it.
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// Answers what a browser would send back of the cookie, with its end of line.
    fn cookie(&self) -> String {
        let set = self.header("set-cookie").expect("a cookie is set");
        let pair = set.split(';').next().expect("a pair");
        format!("Cookie: {pair}\r\n")
    }
}

/// Sends a request over TLS as it is.
pub(crate) async fn ask(farm: &Farm, what: &str, headers: &str, body: &str) -> Answer {
    let (address, ca) = (farm.running.address().to_string(), pin(farm).await);
    let stream = tessera_wire::tls::connect_pinned(&address, ca).await;
    let mut stream = stream.expect("connects");
    let length = body.len();
    let text = format!(
        "{what} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await.expect("sent");
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut bytes)).await;
    let _closed_without_goodbye = read.expect("in time");
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    Answer {
        status: head[9..12].parse().expect("a status"),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

async fn pin(farm: &Farm) -> Fingerprint {
    let info = farm.client.info().await.expect("info");
    let ca: tessera_api::client::Fingerprint = info.ca_sha256.parse().expect("a fingerprint");
    Fingerprint(ca.0)
}

/// Logs in by a link; answers the answer.
async fn by_link(farm: &Farm) -> Answer {
    let link = farm.client.create_session_link().await.expect("a link");
    let secret = link.url.split_once('#').expect("behind the #").1.to_owned();
    let body = format!(r#"{{"link":"{secret}"}}"#);
    ask(farm, "POST /api/v1/session", PAGE, &body).await
}

pub(crate) fn token_body(token: &str) -> String {
    format!(r#"{{"token":"{token}"}}"#)
}

#[tokio::test]
async fn the_page_is_for_strangers_and_guarded() {
    let farm = Farm::start().await;
    for path in [
        "/",
        "/login",
        "/jobs",
        "/jobs/12",
        "/jobs/12/items/3",
        "/errors",
        "/hosts/a",
    ] {
        let page = ask(&farm, &format!("GET {path}"), "", "").await;
        assert_eq!(page.status, 200, "{path}");
        assert_eq!(
            page.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        let policy = page.header("content-security-policy").expect("a policy");
        for word in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.contains(word), "{policy}");
        }
        assert!(
            !policy.contains("unsafe") && !policy.contains('*'),
            "{policy}"
        );
        assert_eq!(page.header("cache-control"), Some("no-cache"));
        let tag = page.header("etag").expect("a tag").to_owned();
        let again = ask(
            &farm,
            &format!("GET {path}"),
            &format!("If-None-Match: {tag}\r\n"),
            "",
        )
        .await;
        assert_eq!((again.status, again.body.as_str()), (304, ""));
    }
    assert_eq!(ask(&farm, "POST /jobs", "", "").await.status, 405);
    for path in [
        "/assets/none.js",
        "/assets/..%2f..%2fsecret",
        "/nothing",
        "/jobs/1/2/3/4",
    ] {
        let gone = ask(&farm, &format!("GET {path}"), "", "").await;
        assert!([401, 404].contains(&gone.status), "{path}: {}", gone.status);
    }
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn answers_of_the_api_can_be_neither_kept_nor_run_nor_framed() {
    let farm = Farm::start().await;
    let cookie = by_link(&farm).await.cookie();
    for path in [
        "/api/v1/info",
        "/api/v1/jobs",
        "/api/v1/jobs/1",
        "/api/v1/health",
    ] {
        let answer = ask(&farm, &format!("GET {path}"), &cookie, "").await;
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        let policy = answer.header("content-security-policy");
        assert!(
            policy.is_some_and(|policy| policy.contains("sandbox")),
            "{path}"
        );
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_link_logs_in_once_and_its_session_is_the_person() {
    let farm = Farm::start().await;
    let link = farm.client.create_session_link().await.expect("a link");
    let (place, secret) = link.url.split_once('#').expect("a secret");
    assert!(
        place.starts_with("https://") && place.ends_with("/login"),
        "{place}"
    );
    let body = format!(r#"{{"link":"{secret}"}}"#);
    let first = ask(&farm, "POST /api/v1/session", PAGE, &body).await;
    assert_eq!(first.status, 201, "{}", first.body);
    let set = first.header("set-cookie").expect("a cookie").to_owned();
    assert!(set.starts_with("__Host-tessera-"), "{set}");
    for word in [
        "Secure",
        "HttpOnly",
        "SameSite=Strict",
        "Path=/",
        "Max-Age=",
    ] {
        assert!(set.contains(word), "{set}");
    }
    assert!(!first.body.contains("tessera_"), "scripts never see it");
    let again = ask(&farm, "POST /api/v1/session", PAGE, &body).await;
    assert_eq!(again.status, 401, "it was used");
    let info = ask(&farm, "GET /api/v1/info", &first.cookie(), "").await;
    let me = farm.client.info().await.expect("info").caller.name;
    assert!(
        info.status == 200 && info.body.contains(&format!(r#""name":"{me}""#)),
        "{}",
        info.body
    );
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn w02_other_sites_do_nothing_with_a_session() {
    let farm = Farm::start().await;
    let id = farm.submit(frames("1-3")).await;
    let cookie = by_link(&farm).await.cookie();
    let own = format!("Origin: https://{}\r\n", farm.running.address());
    let kill = format!(r#"{{"action":"kill","targets":["{id}"]}}"#);
    let evil = "Origin: https://evil.example\r\n";
    let port = "Origin: https://127.0.0.1:1\r\n";
    for (what, headers) in [
        ("a form", evil.to_owned()),
        (
            "a form that hides where it comes from",
            "Origin: null\r\n".to_owned(),
        ),
        ("our origin without our header", own.clone()),
        ("another origin with our header", format!("{PAGE}{evil}")),
        ("another port with our header", format!("{PAGE}{port}")),
        (
            "a sibling site",
            format!("{PAGE}Sec-Fetch-Site: same-site\r\n"),
        ),
        (
            "another site",
            format!("{PAGE}{own}Sec-Fetch-Site: cross-site\r\n"),
        ),
    ] {
        let headers = format!("{cookie}{headers}");
        let answer = ask(&farm, "POST /api/v1/actions", &headers, &kill).await;
        assert_eq!(answer.status, 403, "{what}: {}", answer.body);
        for change in ["DELETE /api/v1/session", "POST /api/v1/session/links"] {
            let answer = ask(&farm, change, &headers, "").await;
            assert_eq!(answer.status, 403, "{what}: {change}");
        }
    }
    let read = format!("{cookie}Sec-Fetch-Site: cross-site\r\n");
    assert_eq!(ask(&farm, "GET /api/v1/jobs", &read, "").await.status, 403);
    let asks_first = format!("{cookie}{evil}Access-Control-Request-Method: POST\r\n");
    let first = ask(&farm, "OPTIONS /api/v1/actions", &asks_first, "").await;
    assert_eq!(first.header("access-control-allow-origin"), None);
    let job = farm.client.job(id).await.expect("the job").job;
    assert_eq!(job.status, "pending", "nothing was done");
    // Our own page may.
    let ours = format!("{cookie}{PAGE}{own}Sec-Fetch-Site: same-origin\r\n");
    let answer = ask(&farm, "POST /api/v1/actions", &ours, &kill).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(
        farm.client.job(id).await.expect("the job").job.status,
        "killed"
    );
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn w03_nobody_is_logged_in_from_elsewhere() {
    let farm = Farm::start().await;
    let link = farm.client.create_session_link().await.expect("a link");
    let secret = link.url.split_once('#').expect("a secret").1;
    let body = format!(r#"{{"link":"{secret}"}}"#);
    let evil = "Origin: https://evil.example\r\n";
    for headers in ["", evil, &format!("{PAGE}{evil}")] {
        let answer = ask(&farm, "POST /api/v1/session", headers, &body).await;
        assert_eq!(answer.status, 403, "{headers}");
    }
    let answer = ask(&farm, "POST /api/v1/session", PAGE, &body).await;
    assert_eq!(answer.status, 201, "the link was not used up by it");
    for body in ["{}", r#"{"link":"a","token":"b"}"#, r#"{"who":"root"}"#] {
        let answer = ask(&farm, "POST /api/v1/session", PAGE, body).await;
        assert_eq!(answer.status, 400, "{body}");
    }
    for body in [r#"{"link":""}"#, r#"{"token":"tessera_x_y"}"#] {
        let answer = ask(&farm, "POST /api/v1/session", PAGE, body).await;
        assert_eq!(answer.status, 401, "{body}");
    }
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn w04_a_session_is_no_token_makes_no_way_in_and_ends_with_what_it_began_with() {
    let farm = Farm::start().await;
    let request = TokenRequest {
        user: Some("mia".into()),
        ..TokenRequest::default()
    };
    let token = farm.client.create_token(&request).await.expect("a token");
    let begun = ask(
        &farm,
        "POST /api/v1/session",
        PAGE,
        &token_body(&token.token),
    )
    .await;
    assert_eq!(begun.status, 201, "{}", begun.body);
    let cookie = begun.cookie();
    let secret = cookie.trim().split_once('=').expect("a pair").1.to_owned();
    // Not as a token, and a token not as a session.
    let bearer = format!("Authorization: Bearer {secret}\r\n");
    assert_eq!(
        ask(&farm, "GET /api/v1/info", &bearer, "").await.status,
        401
    );
    let name = cookie.split_once('=').expect("a pair").0.to_owned();
    let crossed = format!("{name}={}\r\n", token.token);
    assert_eq!(
        ask(&farm, "GET /api/v1/info", &crossed, "").await.status,
        401
    );
    // It opens no other way in.
    let ours = format!("{cookie}{PAGE}");
    for way in [
        "POST /api/v1/session/links",
        "POST /api/v1/tokens",
        "POST /api/v1/join-tokens",
    ] {
        assert_eq!(ask(&farm, way, &ours, "{}").await.status, 403, "{way}");
    }
    // An administrator's neither, but that it may let a host in.
    let request = TokenRequest {
        admin: true,
        ..TokenRequest::default()
    };
    let admin = farm.client.create_token(&request).await.expect("a token");
    let body = token_body(&admin.token);
    let begun = ask(&farm, "POST /api/v1/session", PAGE, &body).await;
    let theirs = format!("{}{PAGE}", begun.cookie());
    for (way, status) in [
        ("POST /api/v1/session/links", 403),
        ("POST /api/v1/tokens", 403),
        ("POST /api/v1/join-tokens", 201),
    ] {
        let answer = ask(&farm, way, &theirs, "{}").await;
        assert_eq!(answer.status, status, "{way}: {}", answer.body);
    }
    farm.client.revoke_token(&admin.id).await.expect("revoked");
    let nested = ask(&farm, "POST /api/v1/session", PAGE, &token_body(&secret)).await;
    assert_eq!(nested.status, 401, "a session begins none");
    assert_eq!(
        ask(&farm, "GET /api/v1/info", &cookie, "").await.status,
        200
    );
    // It goes with its token, also from the list.
    farm.client.revoke_token(&token.id).await.expect("revoked");
    assert_eq!(
        ask(&farm, "GET /api/v1/info", &cookie, "").await.status,
        401
    );
    assert!(
        farm.client
            .tokens()
            .await
            .expect("a list")
            .tokens
            .is_empty()
    );
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_session_outlives_a_restart_and_ends_when_it_is_told_to() {
    let farm = Farm::start().await;
    let (kept, ended) = (by_link(&farm).await.cookie(), by_link(&farm).await.cookie());
    let link = farm.client.create_session_link().await.expect("a link");
    let out = ask(
        &farm,
        "DELETE /api/v1/session",
        &format!("{ended}{PAGE}"),
        "",
    )
    .await;
    assert_eq!(out.status, 204, "{}", out.body);
    assert!(
        out.header("set-cookie")
            .is_some_and(|set| set.contains("Max-Age=0"))
    );
    assert_eq!(ask(&farm, "GET /api/v1/info", &ended, "").await.status, 401);
    let farm = farm.restart().await;
    assert_eq!(ask(&farm, "GET /api/v1/info", &kept, "").await.status, 200);
    let body = format!(
        r#"{{"link":"{}"}}"#,
        link.url.split_once('#').expect("a secret").1
    );
    let late = ask(&farm, "POST /api/v1/session", PAGE, &body).await;
    assert_eq!(late.status, 401, "links are not kept");
    let tokens = farm.client.tokens().await.expect("a list").tokens;
    assert_eq!(tokens.len(), 1);
    farm.client
        .revoke_token(&tokens[0].id)
        .await
        .expect("revoked");
    assert_eq!(ask(&farm, "GET /api/v1/info", &kept, "").await.status, 401);
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn sessions_of_a_person_are_bounded() {
    let farm = Farm::start().await;
    let first = by_link(&farm).await.cookie();
    for _ in 0..16 {
        assert_eq!(by_link(&farm).await.status, 201);
    }
    assert_eq!(farm.client.tokens().await.expect("a list").tokens.len(), 16);
    assert_eq!(ask(&farm, "GET /api/v1/info", &first, "").await.status, 401);
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn states_places_and_named_jobs_are_answered() {
    let farm = Farm::start().await;
    let (one, two) = (
        farm.submit(frames("1-5")).await,
        farm.submit(frames("1")).await,
    );
    let found = farm.client.item_states(one).await.expect("states");
    assert_eq!(found.states, "ppppp");
    let request = tessera_api::types::ActionRequest {
        action: "block".into(),
        targets: vec![format!("{one}#2-3")],
    };
    farm.client.act(&request).await.expect("blocked");
    let found = farm.client.item_states(one).await.expect("states");
    assert_eq!(found.states, "pbbpp");
    assert!(farm.client.item_states(99).await.is_err());
    let from = ItemsQuery {
        first: Some(3),
        limit: Some(1),
        ..ItemsQuery::default()
    };
    let page = farm.client.items(one, &from).await.expect("a page");
    assert_eq!((page.items[0].index, page.items[0].name.as_str()), (3, "4"));
    let named = |ids: &str| JobsQuery {
        ids: Some(ids.into()),
        ..JobsQuery::default()
    };
    let page = farm
        .client
        .jobs(&named(&format!("{one}, 77,{two}")))
        .await
        .expect("a page");
    let ids: Vec<u64> = page.jobs.iter().map(|job| job.id).collect();
    assert_eq!(
        ids,
        [two, one],
        "the newest first; who is not there is left out"
    );
    let many: Vec<String> = (1..=1_001).map(|id| id.to_string()).collect();
    for bad in ["x", "-1", &many.join(",")] {
        assert!(farm.client.jobs(&named(bad)).await.is_err(), "{bad:.20}");
    }
    farm.running.stop().await.expect("stops");
}
