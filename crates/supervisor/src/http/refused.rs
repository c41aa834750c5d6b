//! Logins that were refused: in the log and in the farm's history, with where they came from, never with what was presented.
//!
//! Strangers cause them, so their number is bounded: within a while the first few are told one by one, and when it is over
//! how many more there were.

use super::auth::Source;
use super::error::Failure;
use super::{App, AppParts};
use crate::clock::wall;
use crate::persist::rows::{access_row, kind};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tessera_api::ErrorCode;

/// How long refusals are counted together.
const WHILE: Duration = Duration::from_secs(10 * 60);
/// Refusals that are told one by one within [`WHILE`].
const TOLD_MAX: usize = 24;
/// Of these, from one place: another's are told, too.
const TOLD_EACH_MAX: usize = 6;

/// Where somebody asked from; ports are told and not told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Address(IpAddr),
    Uid(u32),
}

impl From<Source> for Place {
    fn from(source: Source) -> Self {
        match source {
            Source::Peer { uid } => Self::Uid(uid),
            Source::Network(address) => Self::Address(address.ip()),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer { uid } => write!(f, "uid {uid} over the socket"),
            Self::Network(address) => address.fmt(f),
        }
    }
}

/// The refusals of this while.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    told: BTreeMap<Place, usize>,
    untold: u64,
}

impl Refusals {
    /// Counts one; says whether it is to be told by itself.
    fn is_told(&self, place: Place) -> bool {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = counted.told.values().sum();
        let own = counted.told.get(&place).copied().unwrap_or(0);
        let is_told = all < TOLD_MAX && own < TOLD_EACH_MAX;
        if is_told {
            counted.told.insert(place, own + 1);
        } else {
            counted.untold += 1;
        }
        is_told
    }

    /// Begins another while; answers how many of the last were not told.
    fn begin_anew(&self) -> u64 {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *counted).untold
    }
}

/// Tells that somebody was refused who presented something; `what` says what, and is never it.
pub(super) fn tell(app: &App, source: Source, what: &str, why: &Failure) {
    let is_refusal = matches!(
        why.0.code,
        ErrorCode::Unauthenticated | ErrorCode::Forbidden | ErrorCode::Busy
    );
    if !is_refusal || !app.refusals.is_told(source.into()) {
        return;
    }
    let why = &why.0.message;
    tracing::warn!(from = %source, what, why, "refused");
    let text = format!("refused {what} from {source}: {why}");
    let app = Arc::clone(app);
    // Who was refused does not wait for it; what is lost when nothing can be written is in the log.
    tokio::spawn(async move { keep(&app, text).await });
}

async fn keep(app: &AppParts, text: String) {
    let row = access_row(wall().0, kind::LOGIN_REFUSED, None, text);
    if let Err(error) = app.core.keep(vec![row]).await {
        tracing::warn!(%error, "a refused login can't be written into the farm's history");
    }
}

/// Tells of each while how many there were besides, for ever.
pub(crate) async fn tell_the_rest(app: App) {
    loop {
        tokio::time::sleep(WHILE).await;
        let untold = app.refusals.begin_anew();
        if untold > 0 {
            let minutes = WHILE.as_secs() / 60;
            tracing::warn!(
                untold,
                minutes,
                "more were refused than are told one by one"
            );
            let text = format!("refused {untold} more within {minutes} minutes");
            keep(&app, text).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_and_all_together_are_told_so_often_and_the_rest_is_counted() {
        let (refusals, one) = (Refusals::default(), Place::Address([10, 0, 0, 1].into()));
        let told = (0..100).filter(|_| refusals.is_told(one)).count();
        assert_eq!(told, TOLD_EACH_MAX);
        assert!(refusals.is_told(Place::Uid(1)), "another is told");
        let others = (2..=255).map(|last| Place::Address([10, 0, 0, last].into()));
        let told = others.filter(|place| refusals.is_told(*place)).count();
        assert_eq!(told, TOLD_MAX - TOLD_EACH_MAX - 1);
        let untold = 100 + 1 + 254 - TOLD_MAX;
        assert_eq!(refusals.begin_anew(), untold as u64);
        assert_eq!(refusals.begin_anew(), 0);
        assert!(refusals.is_told(one), "a new while");
    }
}
