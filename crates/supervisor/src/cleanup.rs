//! Retention: ended jobs, their output and old history go by age and by quota; what is unfinished never does.
//!
//! A reconciler: it looks at what there is and makes it what it should be, each hour and when asked.

use crate::clock::wall;
use crate::config::Config;
use crate::core::{CoreHandle, Unavailable};
use crate::logs::SharedLogs;
use crate::readers::Readers;
use nix::sys::statvfs::statvfs;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tessera_api::types::{CleanedJob, CleanupReply, CleanupRequest};
use tessera_engine::supervisor::{Input, Job};
use tessera_model::JobId;
use tessera_store::Write;
use tokio::sync::{Mutex, mpsc};

/// How often retention is looked at.
const EVERY: Duration = Duration::from_secs(3_600);
/// Pause after the start before it is looked at first.
const FIRST: Duration = Duration::from_secs(60);
/// Jobs that are removed in one turn of the core.
const JOBS_A_TURN: usize = 200;
/// Jobs that an answer lists.
const LISTED_MAX: usize = 1_000;
/// Portions of the store's own upkeep that one run asks for at most.
const TIDY_MAX: usize = 10_000;
const DAY_MS: i64 = 24 * 3_600 * 1_000;

/// What is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Jobs that ended so long ago, in milliseconds.
    jobs_older_ms: Option<i64>,
    /// The longest ended jobs, until output takes no more than this.
    quota_bytes: Option<u64>,
    /// History older than this, in milliseconds.
    journal_older_ms: Option<i64>,
    dry_run: bool,
}

impl Wanted {
    /// What the farm's own configuration says.
    pub(crate) fn usual(config: &Config) -> Self {
        let ms = |days: u64| {
            i64::try_from(days)
                .unwrap_or(i64::MAX / DAY_MS)
                .saturating_mul(DAY_MS)
        };
        Self {
            jobs_older_ms: Some(ms(config.cleanup_jobs_days)),
            quota_bytes: Some(config.cleanup_logs_quota),
            journal_older_ms: Some(ms(config.cleanup_journal_days)),
            dry_run: false,
        }
    }

    /// What somebody asks for; what the configuration says when they name neither age nor quota.
    pub(crate) fn of(request: &CleanupRequest, config: &Config) -> Self {
        let usual = Self {
            dry_run: request.dry_run,
            ..Self::usual(config)
        };
        if request.older_than_days.is_none() && request.quota_bytes.is_none() {
            return usual;
        }
        Self {
            jobs_older_ms: request.older_than_days.map(|days| i64::from(days) * DAY_MS),
            quota_bytes: request.quota_bytes,
            journal_older_ms: None,
            dry_run: request.dry_run,
        }
    }
}

/// A job that has ended.
#[derive(Debug, Clone)]
struct Ended {
    id: JobId,
    at_ms: i64,
    name: String,
    user: String,
}

/// Carries retention out.
#[derive(Clone)]
pub(crate) struct Cleaner {
    core: CoreHandle,
    readers: Readers,
    logs: SharedLogs,
    state: PathBuf,
    one_at_a_time: Arc<Mutex<()>>,
}

impl Cleaner {
    /// Takes what it needs.
    pub(crate) fn new(
        core: CoreHandle,
        readers: Readers,
        logs: SharedLogs,
        state: PathBuf,
    ) -> Self {
        Self {
            core,
            readers,
            logs,
            state,
            one_at_a_time: Arc::default(),
        }
    }

    /// Answers how many bytes are free where the state lies.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        statvfs(&self.state)
            .ok()
            .map(|disk| disk.blocks_available() * disk.fragment_size())
    }

    /// Removes what is to go, or says what it would be. Dropping the future leaves the rest for the next time.
    ///
    /// # Errors
    /// When nothing can be read or written.
    pub(crate) async fn run(&self, wanted: Wanted) -> Result<CleanupReply, Unavailable> {
        let _one = self.one_at_a_time.lock().await;
        let sizes = self.sizes().await?;
        let (going, log_bytes) = self.choose(wanted, &sizes).await?;
        let mut reply = CleanupReply {
            dry_run: wanted.dry_run,
            jobs_removed: going.len() as u64,
            log_bytes,
            jobs: going
                .iter()
                .take(LISTED_MAX)
                .map(|job| listed(job, &sizes))
                .collect(),
            events_removed: 0,
        };
        if wanted.dry_run {
            return Ok(reply);
        }
        let ids: Vec<JobId> = going.iter().map(|job| job.id).collect();
        for some in ids.chunks(JOBS_A_TURN) {
            // The only answers are that it is done, or that it can't be done now.
            let _done = self
                .core
                .ask(Input::Clean {
                    jobs: some.to_vec(),
                })
                .await?;
            self.remove_logs(some.to_vec()).await?;
        }
        self.remove_strays(&sizes).await?;
        if let Some(older_ms) = wanted.journal_older_ms {
            reply.events_removed = self.prune_journal(older_ms).await?;
        }
        self.tidy().await?;
        if reply.jobs_removed + reply.events_removed > 0 {
            tracing::info!(
                jobs = reply.jobs_removed,
                log_bytes,
                events = reply.events_removed,
                "cleaned up"
            );
        }
        Ok(reply)
    }

    async fn sizes(&self) -> Result<BTreeMap<JobId, u64>, Unavailable> {
        let logs = Arc::clone(&self.logs);
        tokio::task::spawn_blocking(move || logs.jobs())
            .await
            .map_err(|error| failed(&error))
    }

    /// Chooses the jobs that go, the longest ended first; answers also how much output that is.
    async fn choose(
        &self,
        wanted: Wanted,
        sizes: &BTreeMap<JobId, u64>,
    ) -> Result<(Vec<Ended>, u64), Unavailable> {
        let ended = self.core.read(|view| {
            // One whose last processes are still ending has not ended yet.
            let is_over = |job: &&Job| {
                job.status().is_ended() && view.engine.launches_of(job.id).next().is_none()
            };
            let jobs = view.engine.jobs().filter(is_over);
            let ended = jobs.filter_map(|job| {
                Some(Ended {
                    id: job.id,
                    at_ms: job.ended?.0,
                    name: job.spec.name.clone(),
                    user: job.owner.to_string(),
                })
            });
            ended.collect::<Vec<_>>()
        });
        let mut ended = ended.await?;
        ended.sort_by_key(|job| (job.at_ms, job.id));
        let size = |job: &Ended| sizes.get(&job.id).copied().unwrap_or(0);
        let before = wanted
            .jobs_older_ms
            .map(|older| wall().0.saturating_sub(older));
        let mut left: u64 = sizes.values().sum();
        let (mut going, mut bytes) = (Vec::new(), 0);
        for job in ended {
            let is_old = before.is_some_and(|before| job.at_ms < before);
            let is_over = wanted.quota_bytes.is_some_and(|quota| left > quota) && size(&job) > 0;
            if is_old || is_over {
                left = left.saturating_sub(size(&job));
                bytes += size(&job);
                going.push(job);
            }
        }
        Ok((going, bytes))
    }

    async fn remove_logs(&self, jobs: Vec<JobId>) -> Result<(), Unavailable> {
        let logs = Arc::clone(&self.logs);
        let remove = move || jobs.into_iter().for_each(|job| remove_logs_of(&logs, job));
        tokio::task::spawn_blocking(remove)
            .await
            .map_err(|error| failed(&error))
    }

    /// Removes output whose job is gone: the supervisor ended between the two.
    async fn remove_strays(&self, sizes: &BTreeMap<JobId, u64>) -> Result<(), Unavailable> {
        let found: BTreeSet<JobId> = sizes.keys().copied().collect();
        let strays = self.core.read(move |view| {
            let is_stray =
                |id: &JobId| id.0 < view.engine.next_job() && view.engine.job(*id).is_none();
            found.into_iter().filter(is_stray).collect::<Vec<_>>()
        });
        self.remove_logs(strays.await?).await
    }

    async fn prune_journal(&self, older_ms: i64) -> Result<u64, Unavailable> {
        let before_ms = wall().0.saturating_sub(older_ms);
        let Some(before_seq) = self
            .readers
            .read(move |reader| reader.journal_prunable(before_ms))
            .await?
        else {
            return Ok(0);
        };
        let rows = |readers: Readers| async move {
            let usage = readers.read(|reader| reader.usage()).await?;
            let journal = usage.tables.iter().find(|table| table.table == "journal");
            Ok::<_, Unavailable>(journal.map_or(0, |table| table.rows))
        };
        let had = rows(self.readers.clone()).await?;
        self.core
            .keep(vec![Write::PruneJournal { before_seq }])
            .await?;
        self.tidy().await?;
        Ok(had.saturating_sub(rows(self.readers.clone()).await?))
    }

    async fn tidy(&self) -> Result<(), Unavailable> {
        for _ in 0..TIDY_MAX {
            if !self.core.tidy().await? {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn failed(error: &tokio::task::JoinError) -> Unavailable {
    Unavailable {
        message: format!("the output can't be looked through: {error}"),
        hint: None,
    }
}

fn listed(job: &Ended, sizes: &BTreeMap<JobId, u64>) -> CleanedJob {
    CleanedJob {
        id: job.id.0,
        name: job.name.clone(),
        user: job.user.clone(),
        ended_ms: job.at_ms,
        log_bytes: sizes.get(&job.id).copied().unwrap_or(0),
    }
}

fn remove_logs_of(logs: &crate::logs::LogStore, job: JobId) {
    if let Err(error) = logs.remove_job(job) {
        tracing::warn!(%job, %error, "the output of a removed job can't be removed; the next clean-up tries again");
    }
}

/// Carries retention out now and then, for ever.
pub(crate) async fn run_regularly(cleaner: Cleaner, config: Config) {
    tokio::time::sleep(FIRST).await;
    loop {
        if let Err(why) = cleaner.run(Wanted::usual(&config)).await {
            tracing::warn!(%why, "could not clean up; it is tried again in an hour");
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Removes the output of jobs that were removed, as they are.
pub(crate) async fn remove_as_told(logs: SharedLogs, mut jobs: mpsc::UnboundedReceiver<JobId>) {
    while let Some(job) = jobs.recv().await {
        let logs = Arc::clone(&logs);
        // It ends by itself if we do not wait for it; the next clean-up finds what it left.
        let _ended = tokio::task::spawn_blocking(move || remove_logs_of(&logs, job)).await;
    }
}
