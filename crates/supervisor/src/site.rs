//! The site's own certificate, which browsers know: read at the start, when somebody says so, and each day.
//!
//! A faulty one is told with the reason, and never keeps the farm from serving: what was shown before is shown on, at first the
//! farm's own. Which handshake is shown which is `wire`'s.

use crate::config::Config;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tessera_wire::pki::{PkiError, SiteCertificate};
use tessera_wire::tls::TlsServer;

/// Days before its end from which a certificate that was not renewed is told each day.
const WARN_DAYS: i64 = 14;
const DAY_SECONDS: i64 = 24 * 3_600;

/// Where the certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Files {
    /// The chain, the server's own first.
    pub(crate) certificate: PathBuf,
    /// The key.
    pub(crate) key: PathBuf,
}

/// The site's own certificate.
pub(crate) struct Site {
    files: Option<Files>,
    tls: Arc<TlsServer>,
    state: Mutex<State>,
}

/// What is shown, and what is wrong with the files as they were read last.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// What is shown to who asks for one of its names.
    pub(crate) shown: Option<SiteCertificate>,
    /// Why the files can't be used, when they can't.
    pub(crate) problem: Option<String>,
}

/// Why nothing was read anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotRead {
    /// The configuration names none.
    NotSet,
    /// The files can't be used.
    Faulty(String),
}

impl Site {
    /// Reads the files that the configuration names, if it does.
    pub(crate) fn open(config: &Config, tls: Arc<TlsServer>) -> Self {
        let files = config.site_certificate.clone().zip(config.site_key.clone());
        let site = Self {
            files: files.map(|(certificate, key)| Files { certificate, key }),
            tls,
            state: Mutex::default(),
        };
        if let Err(NotRead::Faulty(why)) = site.read() {
            tracing::error!(
                why,
                "the site's certificate is not shown; people are shown the farm's own. Mend it, then run tessera site reload"
            );
        }
        site
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers where the certificate and its key are, when the configuration says so.
    pub(crate) fn files(&self) -> Option<&Files> {
        self.files.as_ref()
    }

    /// Answers what is shown, and what is wrong.
    pub(crate) fn state(&self) -> State {
        self.lock().clone()
    }

    /// Says whether a browser that asks for a host name is shown the site's own certificate.
    pub(crate) fn covers(&self, host: &str) -> bool {
        let now = crate::clock::wall().0 / 1_000;
        let state = self.lock();
        let shown = state.shown.as_ref();
        shown.is_some_and(|it| it.covers(host) && it.not_after() > now)
    }

    /// Reads the files anew. Blocks.
    ///
    /// # Errors
    /// Why they can't be used; what was shown before is shown on.
    pub(crate) fn read(&self) -> Result<(), NotRead> {
        let files = self.files.as_ref().ok_or(NotRead::NotSet)?;
        let read = SiteCertificate::load(&files.certificate, &files.key);
        let read = read.and_then(|it| self.tls.set_site(Some(it.clone())).map(|()| it));
        let mut state = self.lock();
        match read {
            Ok(site) => {
                tracing::info!(
                    names = site.names().join(", "),
                    "the site's certificate is shown to who asks for one of its names"
                );
                *state = State {
                    shown: Some(site),
                    problem: None,
                };
                Ok(())
            }
            Err(error) => {
                let why = told(files, &error);
                state.problem = Some(why.clone());
                Err(NotRead::Faulty(why))
            }
        }
    }

    /// Reads the files anew, as whoever renews them may have done, and tells what soon ends.
    pub(crate) fn look(&self) {
        if let Err(NotRead::Faulty(why)) = self.read() {
            tracing::error!(why, "the site's certificate can't be read anew");
        }
        let now = crate::clock::wall().0 / 1_000;
        let state = self.lock();
        let left = state
            .shown
            .as_ref()
            .map(|it| (it.not_after() - now) / DAY_SECONDS);
        if let Some(days) = left.filter(|days| *days < WARN_DAYS) {
            tracing::warn!(
                days,
                "the site's certificate ends soon; then people are shown the farm's own"
            );
        }
    }
}

/// Says what is wrong with which file, and the way out where there is one.
fn told(files: &Files, error: &PkiError) -> String {
    let said = match error {
        // It names the file itself.
        PkiError::File { source, .. } => return format!("{error}: {source}"),
        PkiError::OpenToOthers { .. } => return error.to_string(),
        other => other.to_string(),
    };
    format!("{}: {said}", files.certificate.display())
}
