//! The task that keeps one launch: starts it or takes it over, hands on what it is told, says what becomes of it.
//!
//! A keeper decides nothing. Each start is answered by exactly one of `Started` and `Refused`, and each launch that was
//! started or taken over by exactly one `Gone`, unless the worker ends before. What a keeper leaves behind then is found
//! in the spool by the next worker.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tessera_engine::worker::Input;
use tessera_model::msg::{AttemptEnd, LaunchKey, Run, RunLimits};
use tessera_model::state::End;
use tessera_model::{Attempt, ItemIndex, Refusal};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, sleep_until};

use crate::chain::{
    ChainError, EndCause, ExitRecord, RunItem, ShepherdEvent, SpoolFile, StartError, StartRequest,
    read_exit, spool_path,
};
use crate::daemon::Event;
use crate::diagnose::causes;
use crate::launch_file;
use crate::os;
use crate::output::Spares;
use crate::pauses;
use crate::processes::{Processes, ShepherdLink};
use crate::record;

/// Orders that may wait for a keeper.
pub(crate) const ORDERS_MAX: usize = 64;
/// A shepherd that was told to close and doesn't is ended by the launcher after so long.
const CLOSE_WITHIN: Duration = Duration::from_secs(20);
/// Pause before a failure to run an item is told, so that a broken host does not spin.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);
/// Pauses between attempts to prove that nothing is left: the first, and the longest.
const PROOF_PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// Directories above that others may remove while ours is made.
const MAKE_TRIES: usize = 5;

/// What a keeper is told.
#[derive(Debug)]
pub(crate) enum Order {
    /// Run an item, at once or when those before it are over.
    Run {
        run: Run,
        output_limit: u64,
        next: bool,
    },
    /// End an item.
    End {
        run: Run,
        grace: Duration,
        cause: EndCause,
    },
    /// Stop the processes, or let them go on.
    SetSuspended(bool),
    /// End everything.
    Close,
    /// See to it that nothing is left.
    ProveGone,
}

/// What an instance is started with.
pub(crate) struct Start {
    pub(crate) ticket: Vec<u8>,
    pub(crate) signature: [u8; 64],
    pub(crate) template: Vec<u8>,
    pub(crate) limits: RunLimits,
    /// Whose job it is of.
    pub(crate) owner: Option<String>,
}

/// Keeps one launch.
pub(crate) struct Keeper<P> {
    pub(crate) key: LaunchKey,
    pub(crate) dir: Arc<PathBuf>,
    pub(crate) processes: P,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) orders: mpsc::Receiver<Order>,
    /// Told when the host may be broken.
    pub(crate) recheck: Arc<Notify>,
    /// Whether records of ended attempts are synchronised to the disk.
    pub(crate) is_durable: bool,
    /// Files that can be had again.
    pub(crate) spares: Spares,
    /// What runs or is to run next, as far as is known.
    pub(crate) runs: VecDeque<Run>,
}

/// What follows on an order or event.
enum Next {
    GoOn,
    /// The shepherd was told to close.
    Closing,
    /// Nothing is left.
    Gone,
    /// There is no shepherd any more, or no use in it.
    Lost,
}

impl<P: Processes> Keeper<P> {
    /// Starts the instance and keeps it.
    pub(crate) async fn start(mut self, what: Start) {
        let Start {
            ticket,
            signature,
            template,
            limits,
            owner,
        } = what;
        if let Err(e) = self.prepare(&limits, owner.as_deref()) {
            self.recheck.notify_one();
            return self
                .refuse("spool_unwritable", spool_text(&self.dir, &e))
                .await;
        }
        let dir = self.dir.as_ref().clone();
        let request = StartRequest {
            key: self.key,
            ticket,
            signature,
            template,
            dir,
        };
        match self.processes.start(request).await {
            Ok((started, shepherd)) => {
                let (account, uid) = (started.account, started.uid);
                let (key, containment) = (self.key, started.containment);
                self.say(Input::Started {
                    key,
                    account,
                    uid,
                    containment,
                })
                .await;
                self.serve(shepherd).await;
            }
            Err(StartError::Refused { code, text, hint }) => {
                let text = if hint.is_empty() {
                    text
                } else {
                    format!("{text}; {hint}")
                };
                self.refuse(&code, text).await;
            }
            Err(StartError::Unavailable(e)) => {
                tracing::warn!(launch = %self.key, error = %causes(&e), "an instance was not started");
                self.recheck.notify_one();
                let text = format!("the instance could not be started: {}", causes(&e));
                self.prove_gone().await;
                self.refuse("launcher_unavailable", text).await;
            }
        }
    }

    /// Keeps what an earlier worker started; without a shepherd it waits to be told to prove that nothing is left.
    pub(crate) async fn take_over(mut self, shepherd: Option<P::Shepherd>) {
        match shepherd {
            Some(shepherd) => self.serve(shepherd).await,
            None => self.wait_for_proof().await,
        }
    }

    /// Makes the directory and the file that says that there is a launch.
    fn prepare(&self, limits: &RunLimits, owner: Option<&str>) -> io::Result<()> {
        let mut result = Ok(());
        for _ in 0..MAKE_TRIES {
            result = os::dirs().create(&*self.dir);
            // The job's directory may just have been removed with the job's last launch.
            match &result {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Ok(()) | Err(_) => break,
            }
        }
        result?;
        launch_file::write(&self.dir, limits, owner)
    }

    async fn serve(&mut self, mut shepherd: P::Shepherd) {
        let mut deadline = None;
        loop {
            let next = tokio::select! {
                order = self.orders.recv() => match order {
                    Some(order) => self.obey(&shepherd, order).await,
                    None => return,
                },
                event = shepherd.next_event() => match event {
                    Some(event) => self.hear(event).await,
                    None => Next::Lost,
                },
                () = until(deadline) => {
                    tracing::warn!(launch = %self.key, "a shepherd does not close; it is ended");
                    Next::Lost
                }
            };
            match next {
                Next::GoOn => {}
                Next::Closing => deadline = Some(Instant::now() + CLOSE_WITHIN),
                Next::Gone => {
                    self.processes.forget(self.key, &self.dir);
                    return self.say_gone().await;
                }
                Next::Lost => break,
            }
        }
        drop(shepherd);
        self.say(Input::ShepherdLost(self.key)).await;
        self.wait_for_proof().await;
    }

    async fn obey(&mut self, shepherd: &P::Shepherd, order: Order) -> Next {
        let result = match order {
            Order::Run {
                run,
                output_limit,
                next,
            } => {
                self.run_item(shepherd, run, output_limit, next).await;
                Ok(())
            }
            Order::End { run, grace, cause } => {
                shepherd
                    .end_item(run.item.0, run.attempt.0, grace, cause)
                    .await
            }
            Order::SetSuspended(is) => {
                self.note_pause(is);
                shepherd.set_suspended(is).await
            }
            // A shepherd that can't be told is lost; the end of its connection says so.
            Order::Close => {
                let told = shepherd.close().await;
                self.warn(told);
                return Next::Closing;
            }
            Order::ProveGone => return Next::Lost,
        };
        self.warn(result);
        Next::GoOn
    }

    /// Notes for the next worker what does not count towards limits.
    fn note_pause(&self, is_suspended: bool) {
        if let Err(error) = pauses::note(&self.dir, is_suspended) {
            tracing::warn!(launch = %self.key, %error,
                "can't note in the spool that it is suspended; after a restart of the worker this time counts towards its limits");
        }
    }

    fn warn(&self, result: Result<(), ChainError>) {
        if let Err(e) = result {
            tracing::warn!(launch = %self.key, error = %causes(&e), "a shepherd can't be told");
        }
    }

    async fn run_item(&mut self, shepherd: &P::Shepherd, run: Run, output_limit: u64, next: bool) {
        self.runs.push_back(run);
        let request = RunItem {
            item: run.item.0,
            attempt: run.attempt.0,
            output_limit,
            leftover_grace: Duration::ZERO,
            durable: self.is_durable,
            next,
        };
        let spare = self.spares.take(self.key);
        let Err(e) = shepherd.run_item(request, spare).await else {
            return;
        };
        tracing::warn!(launch = %self.key, item = %run.item, attempt = %run.attempt, error = %causes(&e),
            "an item could not be run");
        let recorded = match e {
            ChainError::AlreadyRan { .. } => self.record(run),
            _ => {
                self.remove_files(run);
                spare.into_iter().for_each(|it| self.remove_files(it));
                None
            }
        };
        self.recheck.notify_one();
        sleep(FAILURE_PAUSE).await;
        // No fault of the job's: nothing of it ran.
        let end = recorded.unwrap_or_else(|| AttemptEnd::nothing_ran(End::Lost, os::wall()));
        self.say_ended(run, end).await;
    }

    async fn hear(&mut self, event: ShepherdEvent) -> Next {
        match event {
            ShepherdEvent::ItemStarted { item, attempt, .. } => {
                let run = Run {
                    item: ItemIndex(item),
                    attempt: Attempt(attempt),
                };
                self.say(Input::ItemStarted { key: self.key, run }).await;
            }
            ShepherdEvent::ItemNotStarted {
                item,
                attempt,
                step,
                errno,
            } => {
                let run = Run {
                    item: ItemIndex(item),
                    attempt: Attempt(attempt),
                };
                let end = self.record(run).unwrap_or_else(|| {
                    AttemptEnd::nothing_ran(record::not_started(step, errno), os::wall())
                });
                self.say_ended(run, end).await;
            }
            // The shepherd has written the record to the spool before it says so.
            ShepherdEvent::ItemEnded(record) => {
                self.warn_of_lost_output(&record);
                let (run, end) = record::attempt_end(&record);
                self.say_ended(run, end).await;
            }
            ShepherdEvent::StarterLost => self.say(Input::StarterLost(self.key)).await,
            ShepherdEvent::Closing => return Next::Gone,
            ShepherdEvent::Suspended | ShepherdEvent::Resumed | ShepherdEvent::State { .. } => {}
        }
        Next::GoOn
    }

    fn warn_of_lost_output(&self, record: &ExitRecord) {
        if record.cut_by_disk {
            tracing::warn!(launch = %self.key, item = record.item, attempt = record.attempt,
                "output was lost because the spool could not be written; free some space there");
            self.recheck.notify_one();
        }
    }

    /// Without a shepherd there is only one thing left to do.
    async fn wait_for_proof(&mut self) {
        while let Some(order) = self.orders.recv().await {
            match order {
                Order::ProveGone | Order::Close => {
                    self.prove_gone().await;
                    return self.say_gone().await;
                }
                Order::Run { .. } | Order::End { .. } | Order::SetSuspended(_) => {}
            }
        }
    }

    /// Returns when nothing is left, however long that takes: until then nothing may start again.
    async fn prove_gone(&mut self) {
        let (mut pause, longest) = PROOF_PAUSES;
        while let Err(e) = self.processes.prove_gone(self.key, &self.dir).await {
            tracing::warn!(launch = %self.key, error = %causes(&e),
                "can't prove yet that nothing of a launch is left");
            self.recheck.notify_one();
            sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }

    /// Nothing is alive; what a shepherd recorded and had no time to say is said first.
    async fn say_gone(&mut self) {
        for run in std::mem::take(&mut self.runs) {
            if let Some(end) = self.record(run) {
                self.say_ended(run, end).await;
            }
        }
        self.say(Input::Gone(self.key)).await;
    }

    async fn say_ended(&mut self, run: Run, end: AttemptEnd) {
        self.runs.retain(|it| *it != run);
        self.say(Input::ItemEnded {
            key: self.key,
            run,
            end,
        })
        .await;
    }

    async fn refuse(&self, code: &str, text: String) {
        let refusal = Refusal {
            code: code.to_owned(),
            text,
        };
        self.say(Input::Refused {
            key: self.key,
            refusal,
        })
        .await;
    }

    async fn say(&self, input: Input) {
        // Fails only while the worker ends; the spool tells the next one.
        let _ = self.events.send(Event::Input(input)).await;
    }

    fn record(&self, run: Run) -> Option<AttemptEnd> {
        match read_exit(&self.dir, run.item.0, run.attempt.0) {
            Ok(record) => record.map(|it| record::attempt_end(&it).1),
            Err(error) => {
                tracing::warn!(launch = %self.key, %error, "the record of an attempt can't be read");
                None
            }
        }
    }

    /// Removes what was made for an attempt that did not begin, so that it can be tried again.
    fn remove_files(&self, run: Run) {
        for file in [
            SpoolFile::Out,
            SpoolFile::Err,
            SpoolFile::Index,
            SpoolFile::Exit,
        ] {
            let _missing_is_fine =
                std::fs::remove_file(spool_path(&self.dir, run.item.0, run.attempt.0, file));
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn spool_text(dir: &std::path::Path, error: &io::Error) -> String {
    format!(
        "the spool directory {} can't be made ({error}); free space there or mend its permissions",
        dir.display()
    )
}
