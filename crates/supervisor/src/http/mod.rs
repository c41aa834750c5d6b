//! The HTTP API, as `api` promises it: routes, who callers are, errors.
//!
//! Handlers turn a request into the engine's words and its answer into the API's; they decide nothing. Everything that
//! changes the farm goes through the core; history and attempts are read beside it.

mod access;
mod actions;
mod audit;
pub(crate) mod auth;
mod credentials;
mod declared;
mod deps;
mod door;
mod error;
mod errors;
mod events;
mod extract;
mod farm;
mod hosts;
mod items;
mod jobs;
mod learn;
mod logs;
mod metrics;
mod modes;
mod notify;
mod of_many;
mod outlook;
mod pages;
mod refused;
mod resources;
pub(crate) mod serve;
mod session;
mod settings;
mod site;
mod timeline;
mod together;
mod views;
mod why;
mod worker_file;

pub(crate) use error::Failure;
pub(crate) use events::wake_followers;
pub(crate) use refused::{Refusals, tell_the_rest};

use crate::accounts::Accounts;
use crate::cleanup::Cleaner;
use crate::config::Config;
use crate::core::{CoreHandle, Health};
use crate::events::Hub;
use crate::logs::SharedLogs;
use crate::metrics::Metrics;
use crate::notify::Notify;
use crate::readers::Readers;
use crate::sessions::Links;
use crate::settings::WorkerSettings;
use crate::site::Site;
use crate::tokens::Tokens;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{any, delete, get, post, put};
use std::sync::Arc;
use std::time::Duration;
use tessera_wire::pki::FarmCa;
use tokio_util::sync::CancellationToken;

/// Longest time that a request may take until its answer begins.
const ANSWER_TIME_LIMIT: Duration = Duration::from_secs(30);

/// What handlers use; cheap to clone.
pub(crate) type App = Arc<AppParts>;

/// What handlers use.
pub(crate) struct AppParts {
    /// Decides.
    pub(crate) core: CoreHandle,
    /// Events.
    pub(crate) hub: Arc<Hub>,
    /// Whether all is well.
    pub(crate) health: Arc<Health>,
    /// History and attempts.
    pub(crate) readers: Readers,
    /// Output.
    pub(crate) logs: SharedLogs,
    /// Tokens of clients.
    pub(crate) tokens: Tokens,
    /// Links that log browsers in.
    pub(crate) links: Links,
    /// Logins that were refused.
    pub(crate) refusals: Refusals,
    /// Names of local callers.
    pub(crate) accounts: Accounts,
    /// Retention.
    pub(crate) cleaner: Cleaner,
    /// The configuration.
    pub(crate) config: Config,
    /// The configuration of all workers.
    pub(crate) settings: Arc<WorkerSettings>,
    /// The certificate of the site's own.
    pub(crate) site: Site,
    /// The farm's certificate authority.
    pub(crate) ca: FarmCa,
    /// Public keys that sign tickets.
    pub(crate) dispatch_keys: Vec<[u8; 32]>,
    /// `host:port` that others reach us at.
    pub(crate) address: String,
    /// Ends open streams.
    pub(crate) ending: CancellationToken,
    /// Who is told of what.
    pub(crate) notify: Arc<Notify>,
    /// The farm in numbers.
    pub(crate) metrics: Arc<Metrics>,
}

/// Makes the router.
pub(crate) fn router(app: App) -> Router {
    let asked = Router::new()
        .route("/audit", get(audit::list))
        .route("/errors", get(errors::list))
        .route("/events", get(events::events))
        .route("/hosts/{host}", delete(hosts::remove))
        .route("/jobs", get(jobs::list).post(jobs::submit))
        .route("/jobs/{id}/history", get(items::history))
        .route("/jobs/{id}/items", get(items::list))
        .route("/jobs/{id}/items/{item}/log", get(logs::log))
        .route("/timeline", get(timeline::timeline))
        .route("/trends", get(metrics::trends));
    let routes = asked
        .merge(without_query())
        .fallback(any(error::no_such_path))
        .method_not_allowed_fallback(error::no_such_method);
    Router::new()
        .nest(tessera_api::PREFIX, routes)
        .route(metrics::METRICS, get(metrics::scrape))
        .fallback(any(error::no_such_path))
        .method_not_allowed_fallback(error::no_such_method)
        // Around the fallbacks, too: strangers are not told what exists.
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(&app),
            auth::authenticate,
        ))
        // Beside it: the page is for strangers, too, and holds nothing of the farm.
        .merge(pages::router())
        .layer(DefaultBodyLimit::max(tessera_api::REQUEST_BYTES_MAX))
        .layer(axum::middleware::from_fn(error::finish))
        .with_state(app)
}

/// The paths that take no query, and refuse one.
fn without_query() -> Router<App> {
    Router::new()
        .route(auth::HEALTH, get(farm::health))
        .route(auth::JOIN, post(access::join))
        .route("/openapi.json", get(farm::openapi))
        .route("/info", get(farm::info))
        .route("/usage", get(farm::usage))
        .route("/cleanup", post(farm::cleanup))
        .route("/notify", get(notify::status))
        .route("/notify/wishes", get(notify::wishes).post(notify::wish))
        .route("/notify/reload", post(notify::reload))
        .route("/notify/test", post(notify::test))
        .route("/modes", get(modes::list))
        .route("/modes/{mode}", put(modes::set).delete(modes::unset))
        .route("/site", get(site::status))
        .route("/site/reload", post(site::reload))
        .route("/resources", get(resources::list))
        .route(
            "/resources/{name}",
            put(resources::set).delete(resources::remove),
        )
        .route("/jobs/{id}", get(jobs::detail).patch(jobs::modify))
        .route("/jobs/{id}/resubmit", post(jobs::resubmit))
        .route("/jobs/{id}/why", get(why::job))
        .route("/jobs/{id}/deps", get(deps::job))
        .route("/jobs/{id}/states", get(items::states_of))
        .route("/jobs/{id}/items/{item}/attempts", get(items::attempts))
        .route("/jobs/{id}/items/{item}/why", get(why::item))
        .route("/actions", post(actions::act))
        .route("/hosts", get(hosts::list))
        .route("/hosts/{host}", get(hosts::detail))
        .route("/hosts/{host}/lock", post(hosts::lock))
        .route("/hosts/{host}/lock-calendar", post(hosts::lock_calendar))
        .route(
            "/hosts/{host}/lock-while-active",
            post(hosts::lock_while_active),
        )
        .route("/hosts/{host}/unlock", post(hosts::unlock))
        .route("/hosts/{host}/settings", get(settings::of_host))
        .route("/hosts/{host}/why", get(hosts::why))
        .route("/reconfigure", post(settings::reconfigure))
        .route("/worker-file", get(worker_file::show).put(worker_file::set))
        .route("/worker-file/check", post(worker_file::check))
        .route("/tokens", get(access::tokens).post(access::create_token))
        .route("/tokens/{id}", delete(access::revoke_token))
        .route(
            "/credentials",
            get(credentials::list).post(credentials::register),
        )
        .route("/credentials/offer", post(credentials::offer))
        .route("/credentials/check", post(credentials::check))
        .route("/credentials/revoke", post(credentials::revoke))
        .route(session::SESSION, post(session::begin).delete(session::end))
        .route("/session/links", post(session::create_link))
        .route("/join-tokens", post(access::create_join_token))
        .route_layer(axum::middleware::from_fn(extract::no_query))
}
