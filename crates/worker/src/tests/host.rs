//! A host without processes: shepherds that do what the test says, with real files in a real spool.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tessera_model::msg::{LaunchKey, Run};
use tessera_ticket::{IndexRecord, Stream};
use tokio::sync::mpsc;

use crate::chain::{
    Capabilities, ChainError, EndCause, EndKind, ExitRecord, ItemState, RunItem, ShepherdEvent,
    ShepherdState, SpoolFile, StartError, StartRequest, Started, Step, spool_path,
};
use crate::processes::{Processes, ShepherdLink};

/// A host; all clones are the same. It outlives the workers on it.
#[derive(Clone, Default)]
pub(super) struct Host(Arc<Mutex<State>>);

#[derive(Default)]
pub(super) struct State {
    shepherds: BTreeMap<LaunchKey, FakeShepherd>,
    /// Nobody answers instead of the launcher.
    pub(super) is_launcher_away: bool,
    /// The launcher refuses with this code.
    pub(super) refuses: Option<&'static str>,
    /// Processes that don't mind signals.
    pub(super) ignores_end: bool,
    /// Items end as soon as they are started.
    pub(super) ends_at_once: bool,
    /// What was asked of shepherds, in order.
    pub(super) runs: Vec<(LaunchKey, RunItem)>,
    pub(super) ends: Vec<(LaunchKey, u32, EndCause)>,
    pub(super) suspended: Vec<(LaunchKey, bool)>,
    pub(super) proofs: Vec<LaunchKey>,
}

struct FakeShepherd {
    dir: PathBuf,
    current: Option<Run>,
    held: Option<Run>,
    is_suspended: bool,
    connection: Option<mpsc::UnboundedSender<ShepherdEvent>>,
}

impl Host {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The item that runs in a launch prints.
    pub(super) fn print(&self, key: LaunchKey, file: SpoolFile, bytes: &[u8]) {
        let state = self.lock();
        let shepherd = &state.shepherds[&key];
        let run = shepherd.current.expect("something runs");
        let append = |file, bytes: &[u8]| {
            let path = spool_path(&shepherd.dir, run.item.0, run.attempt.0, file);
            let mut file = OpenOptions::new().append(true).open(path).expect("opens");
            file.write_all(bytes).expect("writes");
        };
        append(file, bytes);
        let stream = if file == SpoolFile::Out {
            Stream::Out
        } else {
            Stream::Err
        };
        let len = u32::try_from(bytes.len()).expect("is short");
        append(
            SpoolFile::Index,
            &IndexRecord {
                stream,
                len,
                at_ms: 0,
            }
            .encode(),
        );
    }

    /// The item that runs in a launch ends.
    pub(super) fn end(&self, key: LaunchKey, code: u8) {
        self.lock()
            .finish(key, EndKind::Exited { code: code.into() }, EndCause::Itself);
    }

    /// A shepherd dies with all it had.
    pub(super) fn kill_shepherd(&self, key: LaunchKey) {
        self.lock().shepherds.remove(&key);
    }

    /// A shepherd writes what `does` and dies before it can say so.
    pub(super) fn die_after(&self, key: LaunchKey, does: impl FnOnce(&Self)) {
        let connection = {
            let mut state = self.lock();
            state
                .shepherds
                .get_mut(&key)
                .and_then(|it| it.connection.take())
        };
        does(self);
        self.kill_shepherd(key);
        drop(connection);
    }

    /// The worker is gone; nobody listens.
    pub(super) fn hang_up(&self) {
        for shepherd in self.lock().shepherds.values_mut() {
            shepherd.connection = None;
        }
    }

    fn connect(&self, key: LaunchKey) -> Result<(FakeLink, ShepherdState), ChainError> {
        let mut state = self.lock();
        let Some(shepherd) = state.shepherds.get_mut(&key) else {
            return Err(ChainError::NotThere {
                launch: key.to_string(),
            });
        };
        let (sender, events) = mpsc::unbounded_channel();
        shepherd.connection = Some(sender);
        let current = shepherd.current.map(|run| ItemState {
            item: run.item.0,
            attempt: run.attempt.0,
            pid: std::process::id(),
            ended: false,
        });
        let found = ShepherdState {
            suspended: shepherd.is_suspended,
            starter_lost: false,
            items: current.into_iter().collect(),
        };
        Ok((
            FakeLink {
                host: self.clone(),
                key,
                events,
            },
            found,
        ))
    }
}

impl State {
    fn begin(&mut self, key: LaunchKey, run: Run) {
        let shepherd = self.shepherds.get_mut(&key).expect("is there");
        shepherd.current = Some(run);
        if let Some(connection) = &shepherd.connection {
            let _ = connection.send(ShepherdEvent::ItemStarted {
                item: run.item.0,
                attempt: run.attempt.0,
                pid: 1,
            });
        }
        if self.ends_at_once {
            self.finish(key, EndKind::Exited { code: 0 }, EndCause::Itself);
        }
    }

    fn finish(&mut self, key: LaunchKey, kind: EndKind, cause: EndCause) {
        let shepherd = self.shepherds.get_mut(&key).expect("is there");
        let run = shepherd.current.take().expect("something runs");
        let (item, attempt) = (run.item.0, run.attempt.0);
        let path = |file| spool_path(&shepherd.dir, item, attempt, file);
        let size = |file| path(file).metadata().map_or(0, |it| it.len());
        let kept = [size(SpoolFile::Out), size(SpoolFile::Err)];
        let record = ExitRecord {
            item,
            attempt,
            kind,
            cause,
            leftovers: 0,
            started_ms: 1,
            ended_ms: 2,
            elapsed_ms: 1,
            user_us: 3,
            system_us: 4,
            memory_max: 5,
            kept,
            produced: kept,
            cut_by_limit: false,
            cut_by_disk: false,
            out_of_memory: None,
        };
        let exit = OpenOptions::new().write(true).open(path(SpoolFile::Exit));
        exit.expect("opens")
            .write_all(&record.encode())
            .expect("writes");
        if let Some(connection) = &shepherd.connection {
            let _ = connection.send(ShepherdEvent::ItemEnded(record));
        }
        if let Some(next) = self.shepherds.get_mut(&key).and_then(|it| it.held.take()) {
            self.begin(key, next);
        }
    }
}

/// The connection to a shepherd that is not there.
pub(super) struct FakeLink {
    host: Host,
    key: LaunchKey,
    events: mpsc::UnboundedReceiver<ShepherdEvent>,
}

fn run_of(item: u32, attempt: u32) -> Run {
    Run {
        item: tessera_model::ItemIndex(item),
        attempt: tessera_model::Attempt(attempt),
    }
}

fn broken() -> ChainError {
    ChainError::Io {
        what: "telling the shepherd",
        source: io::ErrorKind::BrokenPipe.into(),
    }
}

fn no_launcher() -> ChainError {
    ChainError::Io {
        what: "connecting to the launcher",
        source: io::ErrorKind::NotFound.into(),
    }
}

impl Processes for Host {
    type Shepherd = FakeLink;

    async fn capabilities(&self) -> Result<Capabilities, ChainError> {
        if self.lock().is_launcher_away {
            return Err(no_launcher());
        }
        let modes = vec!["proxy".to_owned(), "user".to_owned()];
        let containment = "cgroup".to_owned();
        Ok(Capabilities {
            modes,
            containment,
            uid_min: 1000,
            logons: vec!["user=password".to_owned()],
            ..Capabilities::default()
        })
    }

    async fn start(&self, request: StartRequest) -> Result<(Started, FakeLink), StartError> {
        {
            let mut state = self.lock();
            if state.is_launcher_away {
                return Err(StartError::Unavailable(no_launcher()));
            }
            if let Some(code) = state.refuses {
                let (code, text) = (code.to_owned(), "no".to_owned());
                return Err(StartError::Refused {
                    code,
                    text,
                    hint: "ask".to_owned(),
                });
            }
            let dir = request.dir;
            assert!(
                dir.join("limits").exists(),
                "limits are written before the start"
            );
            let shepherd = FakeShepherd {
                dir,
                current: None,
                held: None,
                is_suspended: false,
                connection: None,
            };
            state.shepherds.insert(request.key, shepherd);
        }
        let (link, _) = self.connect(request.key).map_err(StartError::Unavailable)?;
        let started = Started {
            account: "mia".to_owned(),
            uid: 1001,
            containment: "cgroup".to_owned(),
            shepherd_pid: 1,
        };
        Ok((started, link))
    }

    async fn adopt(
        &self,
        key: LaunchKey,
        _dir: &Path,
    ) -> Result<(FakeLink, ShepherdState), ChainError> {
        self.connect(key)
    }

    async fn prove_gone(&self, key: LaunchKey, _dir: &Path) -> Result<(), ChainError> {
        let mut state = self.lock();
        state.shepherds.remove(&key);
        state.proofs.push(key);
        Ok(())
    }

    fn forget(&self, _key: LaunchKey, _dir: &Path) {}
}

impl ShepherdLink for FakeLink {
    async fn run_item(&self, run: RunItem, spare: Option<Run>) -> Result<(), ChainError> {
        let mut state = self.host.lock();
        state.runs.push((self.key, run));
        let shepherd = state.shepherds.get_mut(&self.key).ok_or_else(broken)?;
        for file in [
            SpoolFile::Out,
            SpoolFile::Err,
            SpoolFile::Index,
            SpoolFile::Exit,
        ] {
            let path = spool_path(&shepherd.dir, run.item, run.attempt, file);
            if let Some(spare) = spare {
                let old = spool_path(&shepherd.dir, spare.item.0, spare.attempt.0, file);
                std::fs::rename(old, path).expect("spare files are there");
                continue;
            }
            match OpenOptions::new().write(true).create_new(true).open(path) {
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(ChainError::AlreadyRan {
                        item: run.item,
                        attempt: run.attempt,
                    });
                }
                Err(source) => {
                    return Err(ChainError::Io {
                        what: "making files",
                        source,
                    });
                }
            }
        }
        let it = run_of(run.item, run.attempt);
        if run.next && shepherd.current.is_some() {
            shepherd.held = Some(it);
        } else {
            state.begin(self.key, it);
        }
        Ok(())
    }

    async fn end_item(
        &self,
        item: u32,
        attempt: u32,
        _grace: Duration,
        cause: EndCause,
    ) -> Result<(), ChainError> {
        let mut state = self.host.lock();
        state.ends.push((self.key, item, cause));
        let shepherd = state.shepherds.get_mut(&self.key).ok_or_else(broken)?;
        let is_it = |held: &mut Run| *held == run_of(item, attempt);
        if shepherd.held.take_if(is_it).is_some() {
            if let Some(connection) = &shepherd.connection {
                let _ = connection.send(ShepherdEvent::ItemNotStarted {
                    item,
                    attempt,
                    step: Step::Cancelled,
                    errno: 0,
                });
            }
            return Ok(());
        }
        if !state.ignores_end {
            state.finish(self.key, EndKind::Signalled { signal: 15 }, cause);
        }
        Ok(())
    }

    async fn set_suspended(&self, is: bool) -> Result<(), ChainError> {
        let mut state = self.host.lock();
        state.suspended.push((self.key, is));
        let shepherd = state.shepherds.get_mut(&self.key).ok_or_else(broken)?;
        shepherd.is_suspended = is;
        Ok(())
    }

    async fn close(&self) -> Result<(), ChainError> {
        let shepherd = self
            .host
            .lock()
            .shepherds
            .remove(&self.key)
            .ok_or_else(broken)?;
        if let Some(connection) = shepherd.connection {
            let _ = connection.send(ShepherdEvent::Closing);
        }
        Ok(())
    }

    async fn next_event(&mut self) -> Option<ShepherdEvent> {
        self.events.recv().await
    }
}
