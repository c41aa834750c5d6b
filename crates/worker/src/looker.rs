//! The task that looks after the host's health and tells the supervisor what the host is.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tessera_model::HostFacts;
use tessera_model::credential::NEEDS_CREDENTIAL;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Duration, sleep, timeout};

use crate::daemon::Event;
use crate::desk::Desk;
use crate::diagnose::{self, Findings};
use crate::facts::{Hardware, credential_word, facts};
use crate::options::Settings;
use crate::processes::Processes;
use crate::state::{Spool, StateDir};

/// Between two looks at least: every start that fails asks for one.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// The task that looks after the host's health.
pub(crate) struct Looker<P> {
    pub(crate) settings: Settings,
    hardware: Hardware,
    processes: P,
    spool: Spool,
    identity: PathBuf,
    desk: watch::Receiver<Desk>,
    /// Whether registered passwords can be used here to become an account.
    has_vault: bool,
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
        desk: watch::Receiver<Desk>,
        has_vault: bool,
        recheck: Arc<Notify>,
    ) -> Self {
        Self {
            settings,
            hardware: Hardware::look(),
            processes,
            spool: state.spool(),
            identity: state.identity().to_owned(),
            desk,
            has_vault,
            recheck,
            clock_offset_ms: Arc::default(),
        }
    }

    /// Looks at everything for the first time.
    pub(crate) async fn look(&self) -> Findings {
        let findings = self.look_after(&Findings::default()).await;
        say_warnings(&[], &findings.warnings);
        findings
    }

    /// Looks at everything, knowing what the last look found.
    async fn look_after(&self, known: &Findings) -> Findings {
        let offset = self.clock_offset_ms.load(Ordering::Relaxed);
        diagnose::look(
            &self.settings,
            &self.processes,
            &self.spool,
            &self.identity,
            offset,
            known.panic.is_some(),
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
        let mut facts = facts(
            &self.settings,
            &self.hardware,
            findings,
            &self.desk.borrow(),
        );
        if let Some(word) = credential_word(findings).filter(|_| self.has_vault) {
            let (name, word) = (NEEDS_CREDENTIAL.to_owned(), word.to_owned());
            facts.properties.insert(name, word);
        }
        facts
    }

    /// Looks from time to time, often while something is wrong, and when somebody asks; tells what has changed. What the
    /// person at the host wants is told to the loop, too, which has it done.
    pub(crate) async fn keep_looking(
        self,
        facts: watch::Sender<HostFacts>,
        events: mpsc::Sender<Event>,
        mut known: Findings,
    ) {
        let mut desk = self.desk.clone();
        loop {
            let pause = known.look_again().saturating_sub(LOOK_PAUSE);
            let is_desk_news = {
                let recheck = Arc::clone(&self.recheck);
                let asked_or_time = async {
                    sleep(LOOK_PAUSE).await;
                    let _asked_or_time = timeout(pause, recheck.notified()).await;
                };
                tokio::select! {
                    changed = desk.changed() => match changed {
                        Ok(()) => true,
                        Err(_) => return,
                    },
                    () = asked_or_time => false,
                }
            };
            if is_desk_news {
                let new = self.facts(&known);
                facts.send_replace(new.clone());
                if events.send(Event::Desk(Box::new(new))).await.is_err() {
                    return;
                }
                continue;
            }
            let findings = self.look_after(&known).await;
            if known.is_told_anew(&findings) {
                facts.send_replace(self.facts(&findings));
            }
            say_warnings(&known.warnings, &findings.warnings);
            known = findings;
        }
    }
}

/// Says in the log what was not known before.
fn say_warnings(known: &[String], found: &[String]) {
    for warning in found.iter().filter(|it| !known.contains(it)) {
        tracing::warn!("{warning}");
    }
}
