//! The instances of this worker: which are alive, how one is told something, and that one is gone.

use std::collections::BTreeMap;
use std::future::Future;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tessera_ticket::Refusal;
use tokio::sync::{mpsc, watch};

use super::{Handle, Instance, Order, System};
use crate::chain::owner::refused;
use crate::chain::{ChainError, EndCause, LaunchKey, RunItem, ShepherdEvent, StartError, spool};
use crate::os;

/// How long what is left of a launch may take to end.
const GONE_TIMEOUT: Duration = Duration::from_secs(20);
/// What says in a directory which processes a launch began.
pub(crate) const PROCESSES: &str = "processes";
/// The most bytes of that file.
const PROCESSES_BYTES_MAX: u64 = 1 << 20;

/// Those that are not gone, each with the way to tell it, and to hear that it is; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Living(Arc<Mutex<BTreeMap<LaunchKey, Alive>>>);

#[derive(Debug, Clone)]
struct Alive {
    orders: mpsc::Sender<Order>,
    /// Closed when the instance is gone.
    gone: watch::Receiver<()>,
}

impl Living {
    /// Begins an instance.
    ///
    /// # Errors
    /// When one of this launch was begun before.
    pub(crate) fn begin<S: System>(
        &self,
        key: LaunchKey,
        dir: PathBuf,
        instance: Instance<S>,
    ) -> Result<Shepherd, StartError> {
        let mut alive = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if alive.contains_key(&key) {
            let text = format!("launch {key} was started before");
            return Err(refused(&Refusal::Busy, text));
        }
        let (over, gone) = watch::channel(());
        let Handle { orders, events } = instance.begin(over);
        let known = Alive {
            orders: orders.clone(),
            gone,
        };
        alive.insert(key, known);
        Ok(Shepherd {
            key,
            dir,
            orders,
            events,
        })
    }

    /// Ends an instance of this worker, and returns when it is gone; at once when there is none.
    ///
    /// # Errors
    /// When it takes too long; ask again later.
    pub(crate) async fn end(&self, key: LaunchKey) -> Result<(), ChainError> {
        let known = {
            let alive = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            alive.get(&key).cloned()
        };
        let Some(Alive { orders, mut gone }) = known else {
            return Ok(());
        };
        // It may be closing already.
        let _ = orders.try_send(Order::Close);
        // An error says that nobody holds the other end any more.
        in_time(async { while gone.changed().await.is_ok() {} }).await
    }

    /// Removes what only a living launch needs; output and exit records stay.
    pub(crate) fn forget(&self, key: LaunchKey, dir: &Path) {
        let mut alive = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        alive.remove(&key);
        let _missing_is_fine = std::fs::remove_file(dir.join(PROCESSES));
    }
}

/// Waits for the end of a launch, but not for ever.
pub(crate) async fn in_time<T>(what: impl Future<Output = T>) -> Result<T, ChainError> {
    let timed = tokio::time::timeout(GONE_TIMEOUT, what).await;
    timed.map_err(|_| ChainError::TimedOut {
        what: "the end of a launch",
        seconds: GONE_TIMEOUT.as_secs(),
    })
}

/// Ends what an earlier worker noted in a launch's directory; `end` ends all that comes of a process, named by its number and its
/// birth, and says whether nothing is left.
///
/// # Errors
/// When something is left; ask again later.
pub(crate) async fn end_noted(
    key: LaunchKey,
    dir: &Path,
    end: fn(u32, u64) -> bool,
) -> Result<(), ChainError> {
    let path = dir.join(PROCESSES);
    let ended = tokio::task::spawn_blocking(move || end_all(&path, end));
    if in_time(ended).await?.unwrap_or(false) {
        return Ok(());
    }
    let text = format!("a process of launch {key} does not end");
    Err(ChainError::Refused { text })
}

fn end_all(path: &Path, end: fn(u32, u64) -> bool) -> bool {
    let read = || -> io::Result<String> {
        let mut text = String::new();
        let file = os::to_read().open(path)?;
        file.take(PROCESSES_BYTES_MAX).read_to_string(&mut text)?;
        Ok(text)
    };
    let text = match read() {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return true,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "which processes there were can't be read");
            return false;
        }
    };
    // Each is tried, also after one that does not end.
    let mut is_clear = true;
    for line in text.lines() {
        let numbers = line.split_once(' ');
        let numbers = numbers.and_then(|(pid, born)| Some((pid.parse().ok()?, born.parse().ok()?)));
        if let Some((pid, born)) = numbers {
            is_clear &= end(pid, born);
        }
    }
    is_clear
}

/// An instance of this worker.
#[derive(Debug)]
pub struct Shepherd {
    key: LaunchKey,
    dir: PathBuf,
    orders: mpsc::Sender<Order>,
    events: mpsc::UnboundedReceiver<ShepherdEvent>,
}

impl Shepherd {
    /// Makes the attempt's files (never existing ones; those of `spare` may be had) and runs the item.
    ///
    /// # Errors
    /// `AlreadyRan` when the attempt's files exist; `Io` when they can't be made.
    pub async fn run_item(
        &self,
        run: RunItem,
        spare: Option<(u32, u32)>,
    ) -> Result<(), ChainError> {
        let files = match spare {
            Some(spare) => spool::reuse_files(&self.dir, run.item, run.attempt, spare)?,
            None => spool::make_files(&self.dir, run.item, run.attempt)?,
        };
        self.tell(Order::Run(run, files)).await
    }

    /// Ends an item: asked first, where programs can be, and after the grace time made to.
    ///
    /// # Errors
    /// When the instance is gone.
    pub async fn end_item(
        &self,
        item: u32,
        attempt: u32,
        grace: Duration,
        cause: EndCause,
    ) -> Result<(), ChainError> {
        self.tell(Order::End {
            item,
            attempt,
            grace,
            cause,
        })
        .await
    }

    /// Stops all processes where they are, or lets them go on.
    ///
    /// # Errors
    /// When the instance is gone.
    pub async fn set_suspended(&self, is: bool) -> Result<(), ChainError> {
        self.tell(Order::SetSuspended(is)).await
    }

    /// Ends everything.
    ///
    /// # Errors
    /// When the instance is gone.
    pub async fn close(&self) -> Result<(), ChainError> {
        self.tell(Order::Close).await
    }

    /// Waits for the next event; `None` when the instance is gone. Safe to cancel.
    pub async fn next_event(&mut self) -> Option<ShepherdEvent> {
        self.events.recv().await
    }

    async fn tell(&self, order: Order) -> Result<(), ChainError> {
        let launch = self.key.to_string();
        let told = self.orders.send(order).await;
        told.map_err(|_| ChainError::NotThere { launch })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tessera_model::{InstanceNo, JobId, LaunchNo};

    const KEY: LaunchKey = LaunchKey {
        job: JobId(7),
        instance: InstanceNo(0),
        launch: LaunchNo(1),
    };

    #[tokio::test]
    async fn each_that_was_noted_is_ended_also_after_one_that_does_not_end() {
        static ASKED: AtomicU32 = AtomicU32::new(0);
        let dir = tempfile::tempdir().expect("a temporary directory");
        let end: fn(u32, u64) -> bool = |pid, born| {
            ASKED.fetch_add(pid, Ordering::SeqCst);
            assert_eq!(born, 77);
            pid != 1
        };
        end_noted(KEY, dir.path(), end)
            .await
            .expect("nothing noted");
        std::fs::write(dir.path().join(PROCESSES), "1 77\nnonsense\n2 77\n").expect("writes");
        let left = end_noted(KEY, dir.path(), end).await;
        assert!(matches!(left, Err(ChainError::Refused { .. })), "{left:?}");
        assert_eq!(ASKED.load(Ordering::SeqCst), 3);
        let living = Living::default();
        living.end(KEY).await.expect("there is none");
        living.forget(KEY, dir.path());
        assert!(!dir.path().join(PROCESSES).exists());
    }
}
