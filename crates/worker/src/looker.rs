//! The task that looks after the host's health and tells the supervisor what the host is.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tessera_model::credential::NEEDS_CREDENTIAL;
use tessera_model::week::UTC_OFFSET_PROPERTY;
use tessera_model::{HostFacts, ServedSettings};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Duration, sleep, timeout};

use crate::config::OfferedGpus;
use crate::daemon::Event;
use crate::desk::Desk;
use crate::diagnose::{self, Findings};
use crate::facts::{Hardware, credential_word, facts};
use crate::gpus;
use crate::options::Settings;
use crate::processes::Processes;
use crate::served;
use crate::state::{Spool, StateDir};
use crate::zone;

/// Between two looks at least: every start that fails asks for one.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// What the supervisor of a farm served over a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Served {
    pub(crate) connection: u64,
    pub(crate) farm: String,
    pub(crate) settings: Arc<ServedSettings>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) connection: u64,
    pub(crate) facts: HostFacts,
    pub(crate) spool_max: u64,
    pub(crate) is_durable: bool,
}

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
    /// What was served and is kept on the disk.
    kept: Option<Arc<ServedSettings>>,
    /// Asks for a look.
    recheck: Arc<Notify>,
    /// When more is asked of its GPUs.
    asking: gpus::Asking,
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
            kept: None,
            recheck,
            asking: gpus::Asking::default(),
            clock_offset_ms: Arc::default(),
        }
    }

    /// Looks at everything for the first time.
    pub(crate) async fn look(&mut self) -> Findings {
        let findings = self.look_after(&Findings::default()).await;
        say_warnings(&[], &findings.warnings);
        findings
    }

    /// Looks at everything, knowing what the last look found.
    async fn look_after(&mut self, known: &Findings) -> Findings {
        let offset = self.clock_offset_ms.load(Ordering::Relaxed);
        let mut findings = diagnose::look(
            &self.settings,
            &self.processes,
            &self.spool,
            &self.identity,
            offset,
            known.panic.is_some(),
        )
        .await;
        if self.settings.config.worker_gpus == OfferedGpus::Found {
            findings.gpus = gpus::look(&known.gpus, &mut self.asking).await;
        }
        findings
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
        mut self,
        facts: watch::Sender<HostFacts>,
        events: mpsc::Sender<Event>,
        mut served: watch::Receiver<Option<Served>>,
        mut known: Findings,
    ) {
        let mut desk = self.desk.clone();
        loop {
            let pause = known.look_again().saturating_sub(LOOK_PAUSE);
            let news = {
                let recheck = Arc::clone(&self.recheck);
                let asked_or_time = async {
                    sleep(LOOK_PAUSE).await;
                    let _asked_or_time = timeout(pause, recheck.notified()).await;
                };
                tokio::select! {
                    changed = desk.changed() => match changed {
                        Ok(()) => News::Desk,
                        Err(_) => return,
                    },
                    changed = served.changed() => match changed {
                        Ok(()) => News::Served,
                        Err(_) => return,
                    },
                    () = asked_or_time => News::Time,
                }
            };
            let told = match news {
                News::Time => None,
                News::Desk => {
                    let new = self.facts(&known);
                    facts.send_replace(new.clone());
                    Some(Event::Desk(Box::new(new)))
                }
                News::Served => {
                    let new = served.borrow_and_update().clone();
                    let Some(new) = new else { continue };
                    let settled = self.settle(new, &known).await;
                    facts.send_replace(settled.facts.clone());
                    Some(Event::Settled(Box::new(settled)))
                }
            };
            if let Some(told) = told {
                if events.send(told).await.is_err() {
                    return;
                }
                continue;
            }
            let findings = self.look_after(&known).await;
            let told = facts.borrow().properties.get(UTC_OFFSET_PROPERTY).cloned();
            // Its clock goes by another time from today on, or somebody set its zone.
            let is_other_zone = told.unwrap_or_default() != zone::utc_offset();
            if known.is_told_anew(&findings) || is_other_zone {
                facts.send_replace(self.facts(&findings));
            }
            say_warnings(&known.warnings, &findings.warnings);
            known = findings;
        }
    }
}

/// Why it looks.
enum News {
    Time,
    Desk,
    Served,
}

impl<P: Processes> Looker<P> {
    /// Takes what the supervisor serves: kept first, so that what is said to be taken holds at the next start, too.
    async fn settle(&mut self, new: Served, known: &Findings) -> Settled {
        let Served {
            connection,
            farm,
            settings,
        } = new;
        let asks = self.settings.own.lookup().asks_supervisor();
        let kept = self.kept.as_ref() == Some(&settings);
        if asks && !kept {
            let (dir, to_keep) = (self.identity.clone(), Arc::clone(&settings));
            let kept = spawn_blocking(move || served::keep(&dir, &farm, &to_keep)).await;
            match kept.map_err(std::io::Error::other).flatten() {
                Ok(()) => self.kept = Some(Arc::clone(&settings)),
                Err(error) => {
                    tracing::warn!(%error, "what the supervisor sets for this host holds, but can't be kept for the next start");
                }
            }
        }
        self.settings.take(&settings);
        let in_use = &self.settings.in_use;
        for (key, why) in &in_use.refused {
            tracing::warn!(key, why, "the supervisor's value is not taken");
        }
        let restart = in_use
            .restart
            .iter()
            .cloned()
            .collect::<Vec<_>>()
            .join(", ");
        tracing::info!(hash = %settings.hash, values = settings.values.len(), restart, "took what the supervisor sets for this host");
        Settled {
            connection,
            facts: self.facts(known),
            spool_max: self.settings.config.worker_spool_max,
            is_durable: self.settings.config.worker_spool_durable,
        }
    }
}

/// Says in the log what was not known before.
fn say_warnings(known: &[String], found: &[String]) {
    for warning in found.iter().filter(|it| !known.contains(it)) {
        tracing::warn!("{warning}");
    }
}
