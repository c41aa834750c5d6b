//! The task that looks after the host's health and tells the supervisor what the host is.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tessera_model::HostFacts;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use crate::diagnose::{self, Findings};
use crate::facts::{Hardware, facts};
use crate::options::Settings;
use crate::processes::Processes;
use crate::state::{Spool, StateDir};

/// Between two looks at least.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// The task that looks after the host's health.
pub(crate) struct Looker<P> {
    pub(crate) settings: Settings,
    hardware: Hardware,
    processes: P,
    spool: Spool,
    identity: PathBuf,
    /// Asks for a look.
    recheck: Arc<Notify>,
    /// The supervisor's clock minus ours, in milliseconds, at the last welcome.
    pub(crate) clock_offset_ms: Arc<AtomicI64>,
}

impl<P: Processes> Looker<P> {
    pub(crate) fn new(
        settings: Settings,
        processes: P,
        state: &StateDir,
        recheck: Arc<Notify>,
    ) -> Self {
        Self {
            settings,
            hardware: Hardware::look(),
            processes,
            spool: state.spool(),
            identity: state.identity().to_owned(),
            recheck,
            clock_offset_ms: Arc::default(),
        }
    }

    /// Looks at everything.
    pub(crate) async fn look(&self) -> Findings {
        let offset = self.clock_offset_ms.load(Ordering::Relaxed);
        diagnose::look(
            &self.settings,
            &self.processes,
            &self.spool,
            &self.identity,
            offset,
        )
        .await
    }

    /// Answers what the supervisor is told, and says it in the log.
    pub(crate) fn facts(&self, findings: &Findings) -> HostFacts {
        match &findings.panic {
            Some(reason) => tracing::error!(%reason, "this host can't take work"),
            None => tracing::info!(
                identity = findings.identity.word(),
                "this host can take work"
            ),
        }
        facts(&self.settings, &self.hardware, findings)
    }

    /// Looks from time to time, and when somebody asks; tells what has changed.
    pub(crate) async fn keep_looking(self, facts: watch::Sender<HostFacts>, mut known: Findings) {
        loop {
            sleep(LOOK_PAUSE).await;
            let _asked_or_time = timeout(diagnose::EVERY, self.recheck.notified()).await;
            let findings = self.look().await;
            if findings != known {
                facts.send_replace(self.facts(&findings));
                known = findings;
            }
        }
    }
}
