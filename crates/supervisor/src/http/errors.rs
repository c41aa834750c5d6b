//! What failed, grouped by the line that tells why. Lines are read from the output when somebody asks, so that none is kept
//! longer than the output, and nobody sees one of a job whose output they may not read.

use super::auth::{Caller, may_read};
use super::declared::{self, Declared};
use super::error::Answer;
use super::extract::Params;
use super::{App, Failure, views};
use crate::core::View;
use crate::logs::RunKey;
use crate::logs::cause::normalised;
use axum::extract::{Extension, State};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tessera_api::query::ErrorsQuery;
use tessera_api::types::{ErrorGroup, ErrorJob, Errors};
use tessera_engine::supervisor::{Denied, Job};
use tessera_model::{ItemIndex, ItemStatus, JobId, Principal};
use tessera_store::{AttemptRow, StoreError};
use tokio::sync::Semaphore;

/// Failed items that are looked at, those of the newest jobs.
const ITEMS_MAX: usize = 2_000;
/// Items of any state that are passed over to find them.
const PASSED_MAX: u32 = 200_000;
/// Groups that are answered, the largest.
const GROUPS_MAX: usize = 200;
/// Jobs, and hosts, that are named of a group.
const NAMED_MAX: usize = 20;
/// Runs of items in one target.
const RUNS_MAX: usize = 50;
/// Attempts that are read from the store at once; others read between.
const READ_AT_ONCE: usize = 200;
/// Answers that are made at once; others wait, so that they take neither the core's time nor all threads that read files.
static ANSWERS: Semaphore = Semaphore::const_new(2);

/// A failed item.
#[derive(Debug)]
struct Failed {
    run: RunKey,
    name: Arc<str>,
}

/// A failed item with what is known of its end.
struct Known {
    failed: Failed,
    attempt: Option<AttemptRow>,
    /// Who declared it failed.
    declared: Option<String>,
    line: Option<String>,
}

impl Known {
    /// Answers who declared it failed, else the reason that the farm knows itself (a limit, want of memory), else the line, else how
    /// it ended.
    fn why(&self) -> String {
        if let Some(who) = &self.declared {
            return declared::text(who);
        }
        let end = |row: &AttemptRow| views::attempt_row(row).end.map(|end| end.text);
        let reason = self.attempt.as_ref().and_then(|row| row.reason.clone());
        reason.or_else(|| self.line.clone()).unwrap_or_else(|| {
            let end = self.attempt.as_ref().and_then(end);
            format!(
                "it printed nothing: {}",
                end.as_deref().unwrap_or("nothing is kept of its end")
            )
        })
    }
}

/// `GET /errors`: of jobs whose output the caller may read.
pub(crate) async fn list(
    State(app): State<App>,
    Extension(by): Caller,
    Params(query): Params<ErrorsQuery>,
) -> Answer<axum::Json<Errors>> {
    let turn = ANSWERS.acquire().await;
    let (failed, left_out) = match query.job {
        Some(id) => {
            let found = app.core.read(move |view| {
                let job = view.engine.job(JobId(id)).ok_or(Denied::NoJob(JobId(id)))?;
                super::auth::check_read(&by, job, "read the output of")?;
                Ok::<_, Denied>(failed_of(std::iter::once(job)))
            });
            found.await??
        }
        None => {
            app.core
                .read(move |view| failed_of(readable(view, &by)))
                .await?
        }
    };
    let mut known = Vec::with_capacity(failed.len());
    let mut failed = failed.into_iter().peekable();
    while failed.peek().is_some() {
        known.extend(with_attempts(&app, failed.by_ref().take(READ_AT_ONCE).collect()).await?);
    }
    let logs = Arc::clone(&app.logs);
    let read = tokio::task::spawn_blocking(move || {
        for one in &mut known {
            one.line = logs.cause(one.failed.run);
        }
        // Held until the files are read, also when nobody waits for that any more.
        drop(turn);
        known
    });
    let known = read
        .await
        .map_err(|error| Failure::internal("the output can't be read", &error))?;
    let looked_at = u32::try_from(known.len()).unwrap_or(u32::MAX);
    Ok(axum::Json(Errors {
        groups: groups(known),
        looked_at,
        left_out,
    }))
}

/// Answers the jobs whose output somebody may read, the newest first.
fn readable<'a>(view: &'a View<'_>, by: &Principal) -> impl Iterator<Item = &'a Job> {
    let mut jobs: Vec<&Job> = view.engine.jobs().filter(|job| may_read(by, job)).collect();
    jobs.sort_by_key(|job| std::cmp::Reverse(job.id));
    jobs.into_iter()
}

/// Answers failed items up to the bound, and how many there are besides.
fn failed_of<'a>(jobs: impl Iterator<Item = &'a Job>) -> (Vec<Failed>, u32) {
    let (mut found, mut left_out, mut passed) = (Vec::new(), 0_u32, 0_u32);
    for job in jobs {
        let mut left = job.items().count(ItemStatus::Failed);
        let name: Arc<str> = job.spec.name.as_str().into();
        for item in (0..job.items().len()).map(ItemIndex) {
            if left == 0 || found.len() >= ITEMS_MAX || passed >= PASSED_MAX {
                break;
            }
            passed += 1;
            let core = job.items().get(item);
            if core.status == ItemStatus::Failed {
                left -= 1;
                let run = RunKey {
                    job: job.id,
                    item,
                    attempt: core.attempt,
                };
                let name = Arc::clone(&name);
                found.push(Failed { run, name });
            }
        }
        left_out = left_out.saturating_add(left);
    }
    (found, left_out)
}

async fn with_attempts(app: &App, failed: Vec<Failed>) -> Answer<Vec<Known>> {
    let found = app.readers.read(move |reader| {
        let mut found = Vec::with_capacity(failed.len());
        for failed in failed {
            let RunKey { job, item, attempt } = failed.run;
            let before = attempt.0.checked_sub(1).map(|before| (item.0, before));
            let rows = match before {
                Some(before) => reader.attempts(job.0, Some(item.0), Some(before), 1)?,
                None => Vec::new(),
            };
            let attempt = rows.into_iter().find(|row| row.attempt == attempt.0);
            found.push((failed, attempt));
        }
        let mut by = Declared::new(reader);
        let known = found.into_iter().map(|(failed, attempt)| {
            let RunKey { job, item, .. } = failed.run;
            let declared = match declared::may_be(attempt.as_ref()) {
                true => by.by(job.0, item.0)?,
                false => None,
            };
            Ok(Known {
                failed,
                attempt,
                declared,
                line: None,
            })
        });
        known.collect::<Result<Vec<_>, StoreError>>()
    });
    Ok(found.await?)
}

/// What is collected of a group.
#[derive(Default)]
struct Gathered {
    group: ErrorGroup,
    jobs: BTreeMap<u64, (Arc<str>, Vec<u32>)>,
    hosts: BTreeSet<String>,
}

fn groups(known: Vec<Known>) -> Vec<ErrorGroup> {
    let mut all: BTreeMap<String, Gathered> = BTreeMap::new();
    for one in known {
        let line = one.why();
        let gathered = all.entry(normalised(&line)).or_default();
        gathered.add(one, line);
    }
    let mut groups: Vec<ErrorGroup> = all
        .into_iter()
        .map(|(text, gathered)| gathered.finish(text))
        .collect();
    groups.sort_by_key(|group| std::cmp::Reverse((group.count, group.last_ms)));
    groups.truncate(GROUPS_MAX);
    groups
}

impl Gathered {
    fn add(&mut self, one: Known, line: String) {
        let RunKey { job, item, .. } = one.failed.run;
        let group = &mut self.group;
        let at = one.attempt.as_ref().map_or(0, |row| row.ended_ms);
        if group.count == 0 || at >= group.last_ms {
            (group.example, group.example_job, group.example_item) = (line, job.0, item.0);
        }
        group.first_ms = if group.count == 0 {
            at
        } else {
            group.first_ms.min(at)
        };
        group.last_ms = group.last_ms.max(at);
        group.count += 1;
        let name = one.failed.name;
        let of_job = self.jobs.entry(job.0).or_insert((name, Vec::new()));
        of_job.1.push(item.0);
        self.hosts.extend(one.attempt.map(|row| row.host_name));
    }

    fn finish(self, text: String) -> ErrorGroup {
        let Self { group, jobs, hosts } = self;
        let amount = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let newest_first = || jobs.iter().rev();
        let named = newest_first()
            .take(NAMED_MAX)
            .map(|(id, (name, items))| ErrorJob {
                id: *id,
                name: name.to_string(),
                count: amount(items.len()),
            });
        let targets = newest_first().flat_map(|(id, (_, items))| targets(*id, items));
        ErrorGroup {
            text,
            jobs: named.collect(),
            job_count: amount(jobs.len()),
            host_count: amount(hosts.len()),
            hosts: hosts.into_iter().take(NAMED_MAX).collect(),
            // All of them: as they are at most as many as the items that were looked at.
            targets: targets.collect(),
            ..group
        }
    }
}

/// Prints items, in their order, as the targets of an action, which count from 1.
fn targets(job: u64, items: &[u32]) -> Vec<String> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for item in items {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *item => *last = *item,
            _ => runs.push((*item, *item)),
        }
    }
    let print = |(first, last): &(u32, u32)| match first == last {
        true => (first + 1).to_string(),
        false => format!("{}-{}", first + 1, last + 1),
    };
    let parts = runs.chunks(RUNS_MAX);
    let texts = parts.map(|part| part.iter().map(print).collect::<Vec<_>>().join(","));
    texts.map(|text| format!("{job}#{text}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_printed_as_targets_that_read_back() {
        assert_eq!(targets(12, &[0, 1, 2, 6]), ["12#1-3,7"]);
        let odd: Vec<u32> = (0..120).map(|n| n * 2).collect();
        let printed = targets(3, &odd);
        assert_eq!(printed.len(), 3);
        for text in printed {
            text.parse::<tessera_spec::Selector>().expect("a selector");
        }
    }

    #[test]
    fn a_group_names_every_item_of_it_as_a_target_however_many_jobs_they_are_of() {
        let known = (1..=u64::try_from(ITEMS_MAX).expect("a count")).map(|job| Known {
            failed: Failed {
                run: RunKey {
                    job: JobId(job),
                    item: ItemIndex(0),
                    attempt: tessera_model::Attempt(1),
                },
                name: "shot".into(),
            },
            attempt: None,
            declared: None,
            line: Some(format!("no license, try {job}")),
        });
        let found = groups(known.collect());
        let [group] = &found[..] else {
            panic!("not one group: {found:?}");
        };
        assert_eq!(group.count as usize, ITEMS_MAX);
        assert_eq!(group.targets.len(), ITEMS_MAX);
        assert!(
            group.targets.len() > tessera_api::TARGETS_MAX,
            "more than one request takes"
        );
        let named: BTreeSet<&str> = group.targets.iter().map(String::as_str).collect();
        assert_eq!(named.len(), ITEMS_MAX, "each once");
    }
}
