//! Waiting for jobs: a progress bar on a terminal, plain lines elsewhere.

use super::Context;
use crate::Exit;
use crate::args::WaitArgs;
use crate::error::CliError;
use crate::out::{Look, Tone, now_ms, text, time};
use crate::show;
use std::time::Duration;
use tessera_api::Client;
use tessera_api::client::EventStream;
use tessera_api::query::EventsQuery;
use tessera_api::types::JobSummary;
use tessera_spec::quantity;
use tokio::time::Instant;

/// Shortest time between two looks at a job that changes all the time.
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// Longest time without a look: the clock on the bar goes on.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Frames that must have ended before an estimate is given.
const ENDED_FOR_PACE: u32 = 3;
/// Time without anything running after which it is said where the reason is told.
const IDLE_HINT_AFTER: Duration = Duration::from_secs(5);
/// Columns of the bar.
const BAR_COLUMNS: usize = 24;

/// How waiting ended.
#[derive(Debug, Clone)]
pub(crate) enum Ended {
    /// The job has ended.
    Job(Box<JobSummary>),
    /// The time was over; how the job stood.
    TimedOut(Box<JobSummary>),
}

impl Ended {
    /// Answers the job as it was seen last.
    pub(crate) fn job(&self) -> &JobSummary {
        match self {
            Self::Job(job) | Self::TimedOut(job) => job,
        }
    }

    /// Answers the exit code for it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::TimedOut(_) => Exit::TimedOut,
            Self::Job(job) => match job.status.as_str() {
                "complete" => Exit::Done,
                "killed" => Exit::JobKilled,
                _ => Exit::JobFailed,
            },
        }
    }
}

/// A wait for a job.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    client: &'a Client,
    job: u64,
    deadline: Option<Instant>,
    events: EventStream,
}

impl<'a> Watch<'a> {
    /// Begins to watch a job: nothing that happens from now on is missed.
    pub(crate) async fn begin(
        client: &'a Client,
        job: u64,
        deadline: Option<Instant>,
    ) -> Result<Self, CliError> {
        let events = client
            .events(EventsQuery {
                after: None,
                job: Some(job),
            })
            .await?;
        Ok(Self {
            client,
            job,
            deadline,
            events,
        })
    }

    /// Waits until the job has ended or the time is over; shows it to `seen` whenever it has changed.
    pub(crate) async fn until_ended(
        mut self,
        mut seen: impl FnMut(&JobSummary) -> Result<(), CliError>,
    ) -> Result<Ended, CliError> {
        loop {
            let job = Box::new(self.client.job(self.job).await?.job);
            seen(&job)?;
            if is_ended(&job.status) {
                return Ok(Ended::Job(job));
            }
            if self
                .deadline
                .is_some_and(|deadline| Instant::now() >= deadline)
            {
                return Ok(Ended::TimedOut(job));
            }
            self.wait_for_change().await?;
        }
    }

    /// Waits for an event, a moment more for those that follow at once, or for the clock.
    async fn wait_for_change(&mut self) -> Result<(), CliError> {
        let mut until = Instant::now() + LOOK_EVERY;
        until = self.deadline.map_or(until, |deadline| until.min(deadline));
        let mut has_event = false;
        loop {
            match tokio::time::timeout_at(until, self.events.next()).await {
                Err(_) => return Ok(()),
                Ok(Err(error)) => return Err(error.into()),
                Ok(Ok(event)) if tells_end(&event) => return Ok(()),
                Ok(Ok(_)) if !has_event => {
                    has_event = true;
                    until = until.min(Instant::now() + LOOK_PAUSE);
                }
                Ok(Ok(_)) => {}
            }
        }
    }
}

fn tells_end(event: &tessera_api::client::Streamed) -> bool {
    match event {
        tessera_api::client::Streamed::Event(event) => {
            event.item.is_none() && event.status.as_deref().is_some_and(is_ended)
        }
        tessera_api::client::Streamed::Resync => true,
    }
}

fn is_ended(status: &str) -> bool {
    matches!(status, "complete" | "failed" | "killed")
}

/// Answers when a time that a person gave is over.
pub(super) fn deadline(timeout: Option<&str>) -> Result<Option<Instant>, CliError> {
    let Some(text) = timeout else { return Ok(None) };
    let length = quantity::duration(text).map_err(|error| {
        CliError::usage(format!("--timeout: {error}"))
            .hint("a time is written 90, 90s, 5m, 2h or 1d")
    })?;
    Ok(Some(Instant::now() + length))
}

/// Waits for jobs.
pub(super) async fn wait(args: WaitArgs, context: &Context) -> Result<Exit, CliError> {
    let client = context.client()?;
    let deadline = deadline(args.timeout.as_deref())?;
    let mut ended = Vec::new();
    for job in args.ids {
        ended.push(follow(&client, job, deadline, context).await?);
    }
    if context.json {
        let jobs: Vec<&JobSummary> = ended.iter().map(Ended::job).collect();
        context.print_json(&jobs)?;
    }
    Ok(worst(&ended))
}

/// Answers the exit code for several jobs: time over, then failed, then killed, then done.
fn worst(ended: &[Ended]) -> Exit {
    let order = [Exit::TimedOut, Exit::JobFailed, Exit::JobKilled];
    let has = |exit: &Exit| ended.iter().any(|one| one.exit() == *exit);
    order.into_iter().find(has).unwrap_or(Exit::Done)
}

/// Waits for a job and shows how it goes, on stderr.
pub(super) async fn follow(
    client: &Client,
    job: u64,
    deadline: Option<Instant>,
    context: &Context,
) -> Result<Ended, CliError> {
    let watch = Watch::begin(client, job, deadline).await?;
    let mut shown = Shown::new(context, clock_offset(client, context).await);
    let ended = watch.until_ended(|job| {
        shown.update(job);
        Ok(())
    });
    let ended = tokio::select! {
        ended = ended => ended?,
        _ = tokio::signal::ctrl_c() => return Err(interrupted(job, context)),
    };
    shown.finish(&ended);
    Ok(ended)
}

/// Answers by how much the supervisor's clock is ahead of ours, which its times are compared with, in milliseconds.
async fn clock_offset(client: &Client, context: &Context) -> i64 {
    if context.json || !context.errors.is_terminal() {
        return 0;
    }
    let begun = now_ms();
    let info = client.info().await;
    info.map_or(0, |info| info.now_ms - begun.midpoint(now_ms()))
}

/// Says that the job goes on though nobody waits for it any more.
fn interrupted(job: u64, context: &Context) -> CliError {
    let start = if context.errors.is_terminal() {
        "\r\x1b[K"
    } else {
        ""
    };
    context.say(&format!(
        "{start}job {job} goes on; tessera wait {job} waits for it, tessera kill {job} ends it\n"
    ));
    CliError::silent(Exit::Interrupted)
}

/// What of a job's progress was shown.
struct Shown<'a> {
    context: &'a Context,
    last: Option<(String, u32)>,
    is_hinted: bool,
    idle: Idle,
    clock_offset_ms: i64,
    pace: Option<Pace>,
}

/// Since when nothing of a job was seen running.
#[derive(Debug, Clone, Copy, Default)]
struct Idle {
    since: Option<Instant>,
}

impl Idle {
    /// Takes in how the job is now; says whether it is long that nothing has run.
    fn is_long(&mut self, job: &JobSummary, now: Instant) -> bool {
        if job.items.running > 0 || job.running_instances > 0 || is_ended(&job.status) {
            self.since = None;
            return false;
        }
        now.duration_since(*self.since.get_or_insert(now)) >= IDLE_HINT_AFTER
    }
}

/// What an estimate goes by: what ended since the look began, not what happened before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    /// When the first frame ran that was seen running.
    since_ms: i64,
    /// How many had ended then.
    ended: u32,
}

impl Pace {
    /// Answers how long the rest takes at this pace, once enough has ended to tell.
    fn left(self, now_ms: i64, job: &JobSummary) -> Option<u64> {
        let ended = show::items_ended(&job.items).saturating_sub(self.ended);
        let to_come = job.items.total - show::items_ended(&job.items);
        if ended < ENDED_FOR_PACE || to_come == 0 || job.items.running == 0 {
            return None;
        }
        let took = u64::try_from(now_ms.saturating_sub(self.since_ms)).ok()?;
        Some(took * u64::from(to_come) / u64::from(ended))
    }
}

impl<'a> Shown<'a> {
    fn new(context: &'a Context, clock_offset_ms: i64) -> Self {
        Self {
            context,
            last: None,
            is_hinted: false,
            idle: Idle::default(),
            clock_offset_ms,
            pace: None,
        }
    }

    fn update(&mut self, job: &JobSummary) {
        if self.context.json {
            return;
        }
        let mut look = self.context.errors.clone();
        look.now_ms = now_ms() + self.clock_offset_ms;
        self.hint_once(&look, job);
        if look.is_terminal() {
            if self.pace.is_none() && job.items.running > 0 {
                self.pace = Some(Pace {
                    since_ms: look.now_ms,
                    ended: show::items_ended(&job.items),
                });
            }
            let line = progress_line(&look, job, self.pace);
            self.context.say(&format!("\r{line}\x1b[K"));
            return;
        }
        let tenth = show::items_ended(&job.items) * 10 / job.items.total.max(1);
        let now = (show::job_state(job).to_owned(), tenth);
        if self.last.as_ref() != Some(&now) && !is_ended(&job.status) {
            self.context.say(&format!(
                "job {} {}: {}\n",
                job.id,
                now.0,
                show::counts_line(&job.items)
            ));
        }
        self.last = Some(now);
    }

    /// Says, once, where to look when the job waits for somebody, or when nothing of it has run for long.
    fn hint_once(&mut self, look: &Look, job: &JobSummary) {
        let is_long = self.idle.is_long(job, Instant::now());
        let waits_for_somebody = matches!(job.status.as_str(), "blocked" | "badlogin");
        if self.is_hinted || !(waits_for_somebody || is_long) {
            return;
        }
        self.is_hinted = true;
        self.context
            .say(&waiting_hint(look, job, waits_for_somebody));
    }

    fn finish(&self, ended: &Ended) {
        if self.context.json {
            return;
        }
        let look = &self.context.errors;
        let clear = if look.is_terminal() { "\r\x1b[K" } else { "" };
        self.context.say(&format!("{clear}{}", ending(look, ended)));
    }
}

/// Prints where it is told why a job waits; with its state when that is the reason.
fn waiting_hint(look: &Look, job: &JobSummary, with_state: bool) -> String {
    let clear = if look.is_terminal() { "\r\x1b[K" } else { "" };
    let hint = look.paint(Tone::Warn, "hint:");
    let state = if with_state {
        let word = look.paint(Tone::of_state(&job.status), &job.status);
        format!("job {} is {word}\n", job.id)
    } else {
        String::new()
    };
    format!("{clear}{state}{hint} tessera why {}\n", job.id)
}

/// Prints one line of progress that fits the terminal.
pub(crate) fn progress_line(look: &Look, job: &JobSummary, pace: Option<Pace>) -> String {
    let done = show::items_ended(&job.items);
    let mut tail = format!(" {done}/{}", job.items.total);
    if job.items.running > 0 {
        tail += &format!(", {} running", job.items.running);
    }
    if job.items.failed > 0 {
        tail += &format!(", {} failed", job.items.failed);
    }
    if job.items.running == 0 {
        tail += &format!("  {}", show::job_state(job));
    } else if let Some(started) = job.started_ms {
        tail += &format!("  {}", whole(time::since(look, started)));
    }
    if let Some(left) = pace.and_then(|pace| pace.left(look.now_ms, job)) {
        tail += &format!(", about {} left", roughly(left));
    }
    let head = format!("job {} ", job.id);
    let room = look
        .columns()
        .saturating_sub(text::width(&head) + BAR_COLUMNS + 1);
    let bar = show::bar(look, &job.items, BAR_COLUMNS);
    format!("{head}{bar}{}", text::fit(&tail, room))
}

/// Prints a length of time that is looked at once a second: in whole seconds.
fn whole(ms: u64) -> String {
    match ms / 1_000 {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds => time::length(seconds * 1_000),
    }
}

/// Prints a length of time as an estimate deserves: in whole seconds.
fn roughly(ms: u64) -> String {
    match ms.div_ceil(1_000) {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds => time::length(seconds * 1_000),
    }
}

/// Says how waiting ended, and what to look at.
pub(crate) fn ending(look: &Look, ended: &Ended) -> String {
    let job = ended.job();
    let name = look.line(&job.name, 30);
    let status = look.paint(Tone::of_state(&job.status), &job.status);
    let mut out = format!(
        "job {} ({name}) {status}: {}",
        job.id,
        show::counts_line(&job.items)
    );
    if let (Some(start), Some(end)) = (job.started_ms, job.ended_ms) {
        let took = u64::try_from(end.saturating_sub(start)).unwrap_or(0);
        out += &format!(", in {}", time::length(took));
    }
    out.push('\n');
    let hint = look.paint(Tone::Warn, "hint:");
    match ended.exit() {
        Exit::JobFailed => {
            out += &format!(
                "{hint} tessera why {} says what failed; tessera frames {} --state failed lists it\n",
                job.id, job.id
            );
        }
        Exit::TimedOut => {
            out += &format!(
                "{hint} the time is over and the job goes on; tessera why {}\n",
                job.id
            );
        }
        _ => {}
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_api::types::ItemCounts;

    fn look(now_ms: i64) -> Look {
        Look {
            width: Some(80),
            colour: false,
            now_ms,
            zone: jiff::tz::TimeZone::UTC,
        }
    }

    fn job(complete: u32, running: u32) -> JobSummary {
        JobSummary {
            id: 7,
            status: "running".into(),
            items: ItemCounts {
                total: 20,
                complete,
                running,
                pending: 20 - complete - running,
                ..ItemCounts::default()
            },
            started_ms: Some(1_000),
            ..JobSummary::default()
        }
    }

    #[test]
    fn the_bar_tells_time_by_what_it_saw() {
        // Ten frames took an hour; since somebody looks, five ended in ten seconds.
        let pace = Some(Pace {
            since_ms: 3_601_000,
            ended: 10,
        });
        let lines = [
            progress_line(&look(3_611_000), &job(15, 2), pace),
            progress_line(&look(3_611_000), &job(12, 2), pace),
            progress_line(&look(3_611_400), &job(15, 0), pace),
            progress_line(&look(13_400), &job(0, 2), None),
        ];
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn a_clock_behind_the_supervisors_shows_no_nonsense() {
        let line = progress_line(&look(0), &job(0, 1), None);
        assert!(line.ends_with("0/20, 1 running  0s"), "{line}");
    }

    #[test]
    fn a_job_of_which_nothing_runs_for_long_is_hinted_at() {
        let waiting = JobSummary {
            status: "pending".into(),
            ..job(0, 0)
        };
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        let mut idle = Idle::default();
        assert!(!idle.is_long(&waiting, begun));
        assert!(!idle.is_long(&waiting, after(4)));
        assert!(idle.is_long(&waiting, after(5)));
        // What runs, or begins to, starts the time anew.
        assert!(!idle.is_long(&job(0, 1), after(6)));
        assert!(!idle.is_long(&waiting, after(7)));
        assert!(!idle.is_long(&waiting, after(11)));
        assert!(idle.is_long(&waiting, after(12)));
        let begins = JobSummary {
            running_instances: 1,
            ..waiting.clone()
        };
        assert!(!idle.is_long(&begins, after(20)));
        let ended = JobSummary {
            status: "killed".into(),
            ..waiting.clone()
        };
        assert!(!idle.is_long(&waiting, after(30)));
        assert!(!idle.is_long(&ended, after(40)));
        let plain = Look {
            width: None,
            ..look(0)
        };
        assert_eq!(
            waiting_hint(&plain, &waiting, false),
            "hint: tessera why 7\n"
        );
        let blocked = JobSummary {
            status: "blocked".into(),
            ..waiting
        };
        assert_eq!(
            waiting_hint(&plain, &blocked, true),
            "job 7 is blocked\nhint: tessera why 7\n"
        );
    }
}
