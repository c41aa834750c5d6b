//! Jobs: submitting, listing, showing, changing.

use super::auth::{Caller, check_read, may_read};
use super::error::Answer;
use super::extract::{Json, Params, Segments};
use super::{App, Failure, learn, outlook, views};
use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use std::collections::BTreeSet;
use tessera_api::query::{JobsQuery, SubmitQuery, page_size};
use tessera_api::types::{JobDetail, Jobs, ModifyRequest, SubmitReply, SubmitRequest};
use tessera_api::{ErrorCode, PAGE_MAX};
use tessera_engine::supervisor::{
    Answer as Engine, Denied, Engine as Farm, Input, Job, JobPatch, Submission,
};
use tessera_model::limits::INSTANCES_MAX;
use tessera_model::reservation::MEMORY;
use tessera_model::{
    JobId, JobKind, JobMail, JobSpec, JobWebhooks, Principal, UserName, WorkStatus,
};
use tessera_spec::{Change, ChangeDraft, FieldError, SubmissionDraft};

/// Jobs that one page looks through when a filter passes few of them.
const LOOKED_AT_MAX: usize = 20_000;

/// `POST /jobs`
pub(crate) async fn submit(
    State(app): State<App>,
    Extension(caller): Caller,
    Params(query): Params<SubmitQuery>,
    Json(request): Json<SubmitRequest>,
) -> Answer<Response> {
    submit_draft(&app, caller, SubmissionDraft::from(request), query.dry_run).await
}

/// `POST /jobs/{id}/resubmit`
pub(crate) async fn resubmit(
    State(app): State<App>,
    Extension(caller): Caller,
    Segments(id): Segments<u64>,
    Json(over): Json<SubmitRequest>,
) -> Answer<Response> {
    let by = caller.clone();
    let spec = app.core.read(move |view| {
        let job = view.engine.job(JobId(id)).ok_or(Denied::NoJob(JobId(id)))?;
        check_read(&by, job, "resubmit")?;
        Ok::<_, Denied>(job.spec.clone())
    });
    let spec = spec.await??;
    let draft = SubmissionDraft::like(&spec).overlaid(SubmissionDraft::from(over));
    submit_draft(&app, caller, draft, false).await
}

/// Refuses mail that the farm would not write.
fn check_mail(app: &App, mail: Option<&JobMail>) -> Result<(), Failure> {
    let refused = mail.and_then(|mail| app.notify.refusal(mail));
    refused.map_or(Ok(()), |refused| Err(Failure::fields(vec![refused])))
}

/// Refuses webhooks that the farm has not, or does not let jobs ask for.
fn check_webhooks(app: &App, webhooks: Option<&JobWebhooks>) -> Result<(), Failure> {
    let refused = webhooks.and_then(|it| app.notify.refused_webhook(it));
    refused.map_or(Ok(()), |refused| Err(Failure::fields(vec![refused])))
}

async fn submit_draft(
    app: &App,
    by: Principal,
    draft: SubmissionDraft,
    dry_run: bool,
) -> Answer<Response> {
    let mut validated = draft.validate().map_err(Failure::fields)?;
    let template = crate::tickets::check(&validated.spec);
    template
        .map_err(|error| Failure::fields(vec![FieldError::new("command", error.to_string())]))?;
    check_mail(app, validated.spec.mail.as_ref())?;
    check_webhooks(app, Some(&validated.spec.webhooks))?;
    let owner = validated.owner.clone().unwrap_or_else(|| by.name.clone());
    if validated.spec.is_once_a_host() {
        validated.spec.cpus = hosts_for(app, &owner, &validated.spec).await?;
    }
    let mut learnt = None;
    if validated.learns_memory || dry_run {
        learnt = learn::learnt(app, owner.clone(), &validated.spec).await?;
    }
    if let Some(learnt) = learnt.as_ref().filter(|_| validated.learns_memory) {
        let amounts = &mut validated.spec.reservation.amounts;
        amounts.insert(MEMORY.to_owned(), learnt.reserves_mib);
    }
    let (items, instances) = (validated.spec.items(), validated.spec.primaries());
    let mut warnings = outlook::warnings(app, owner, &validated.spec).await;
    if validated.learns_memory && learnt.is_none() {
        warnings.push(learn::NOTHING_KNOWN.to_owned());
    }
    let (kind, command) = (validated.spec.kind.clone(), validated.spec.command.clone());
    let submission = Submission {
        by,
        spec: validated.spec,
        owner: validated.owner,
        key: validated.key,
        is_blocked: validated.is_blocked,
    };
    let reply = |job, existed, warnings| SubmitReply {
        job,
        existed,
        items,
        instances,
        warnings,
        memory: learnt.clone(),
    };
    if dry_run {
        let checked = app.core.read(move |view| {
            let now = view.now.wall;
            view.engine.would_submit(now, submission)
        });
        let existed = checked.await??.is_some();
        let reply = reply(None, existed, warnings);
        return Ok((StatusCode::OK, axum::Json(reply)).into_response());
    }
    match app.core.ask(Input::Submit(Box::new(submission))).await?? {
        Engine::Submitted { job, existed } => {
            if existed {
                warnings = other_than_asked(app, job, kind, command).await;
            }
            let status = if existed {
                StatusCode::OK
            } else {
                StatusCode::CREATED
            };
            Ok((status, axum::Json(reply(Some(job.0), existed, warnings))).into_response())
        }
        Engine::Acted(_) | Engine::Done => Err(Failure::internal(
            "the submission was answered wrongly",
            &"engine",
        )),
    }
}

/// Counts the hosts that are each to run a job once.
async fn hosts_for(app: &App, owner: &UserName, spec: &JobSpec) -> Result<u32, Failure> {
    let (owner, spec) = (owner.clone(), spec.clone());
    let count = app
        .core
        .read(move |view| view.engine.hosts_for(&spec, &owner));
    let count = count.await?;
    let refused = |why: String, hint: &str| {
        Err(Failure::fields(vec![
            FieldError::new("flags", why).hint(hint),
        ]))
    };
    match u32::try_from(count) {
        Ok(0) => refused(
            "host_list: no host is there that may run it".to_owned(),
            "tessera hosts shows which are there; see whether hosts, groups, clusters and requirements leave one of them",
        ),
        Ok(count) if count <= INSTANCES_MAX => Ok(count),
        Ok(_) | Err(_) => refused(
            format!(
                "host_list: {count} hosts may run it, and a job has at most {INSTANCES_MAX} instances"
            ),
            "submit it for some of them at a time: --hosts, --groups or --cluster",
        ),
    }
}

/// Says, of a job that has the key of a submission already, that it is another one.
async fn other_than_asked(
    app: &App,
    id: JobId,
    kind: JobKind,
    command: Vec<String>,
) -> Vec<String> {
    let differs = app.core.read(move |view| {
        let job = view.engine.job(id);
        job.is_some_and(|job| job.spec.command != command || job.spec.kind != kind)
    });
    if !differs.await.unwrap_or_default() {
        return Vec::new();
    }
    vec![format!(
        "job {id} has this key and another command or other frames; nothing was submitted: give another key, or modify that job"
    )]
}

/// `GET /jobs`
pub(crate) async fn list(
    State(app): State<App>,
    Params(query): Params<JobsQuery>,
) -> Answer<axum::Json<Jobs>> {
    let filter = Filter::of(&query)?;
    let limit = page_size(query.limit);
    let before = match &query.cursor {
        None => u64::MAX,
        Some(cursor) => cursor.parse().map_err(|_| bad_cursor())?,
    };
    let page = app
        .core
        .read(move |view| match &filter.ids {
            None => page_of(
                view.engine,
                view.engine.jobs().rev(),
                &filter,
                before,
                limit,
            ),
            Some(ids) => {
                let named = ids.iter().rev().filter_map(|id| view.engine.job(*id));
                page_of(view.engine, named, &filter, before, limit)
            }
        })
        .await?;
    Ok(axum::Json(page))
}

/// What a cursor that was not ours is answered with.
pub(crate) fn bad_cursor() -> Failure {
    Failure::new(ErrorCode::BadRequest, "the cursor is not one of ours")
        .hint("take `next` of the page before as it is")
}

fn page_of<'a>(
    engine: &Farm,
    jobs: impl Iterator<Item = &'a Job>,
    filter: &Filter,
    before: u64,
    limit: usize,
) -> Jobs {
    let mut page = Jobs {
        notices: engine.notices(),
        ..Jobs::default()
    };
    let (mut looked_at, mut last) = (0, None);
    for job in jobs.skip_while(|job| job.id.0 >= before) {
        if page.jobs.len() == limit || looked_at == LOOKED_AT_MAX {
            page.next = last.map(|id: JobId| id.to_string());
            break;
        }
        looked_at += 1;
        last = Some(job.id);
        if filter.passes(engine, job) {
            page.jobs.push(views::summary(engine, job));
        }
    }
    page
}

/// Which jobs are wanted.
struct Filter {
    user: Option<String>,
    states: Option<Vec<WorkStatus>>,
    /// Those that wait in vain, beside the states.
    stranded: bool,
    name: Option<String>,
    ids: Option<BTreeSet<JobId>>,
}

impl Filter {
    fn of(query: &JobsQuery) -> Answer<Self> {
        let words = query.state.as_deref();
        let (shown, stored): (Vec<&str>, Vec<&str>) = words
            .into_iter()
            .flat_map(|words| words.split(','))
            .partition(|word| word.trim() == STRANDED);
        let states = words.map(|_| {
            states(
                &stored.join(","),
                &WorkStatus::ALL,
                WorkStatus::word,
                WorkStatus::is_ended,
                &[STRANDED],
            )
        });
        Ok(Self {
            user: query.user.clone(),
            states: states.transpose()?,
            stranded: !shown.is_empty(),
            name: query.name.as_ref().map(|name| name.to_lowercase()),
            ids: query.ids.as_deref().map(named).transpose()?,
        })
    }

    fn passes(&self, engine: &Farm, job: &Job) -> bool {
        self.user
            .as_ref()
            .is_none_or(|user| job.owner.as_str() == user)
            && self.states.as_ref().is_none_or(|states| {
                states.contains(&job.status()) || self.finds_stranded(engine, job)
            })
            && self
                .name
                .as_ref()
                .is_none_or(|name| job.spec.name.to_lowercase().contains(name.as_str()))
    }

    fn finds_stranded(&self, engine: &Farm, job: &Job) -> bool {
        self.stranded && engine.is_stranded(job.id)
    }
}

/// The word for a job that waits in vain: it is shown, not stored.
const STRANDED: &str = "stranded";

/// Reads a comma list of job numbers.
fn named(ids: &str) -> Answer<BTreeSet<JobId>> {
    let wrong = |message: String| Failure::new(ErrorCode::BadRequest, message);
    let mut found = BTreeSet::new();
    for word in ids
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
    {
        let id = word.parse().map_err(|_| {
            let shown: String = word.chars().take(40).collect();
            wrong(format!(
                "ids: \"{}\" is no job's number",
                shown.escape_debug()
            ))
        })?;
        found.insert(JobId(id));
        if found.len() > PAGE_MAX as usize {
            return Err(wrong(format!("ids: name at most {PAGE_MAX} jobs at once")));
        }
    }
    Ok(found)
}

/// Reads a comma list of states, with `active` and `ended` for all of a kind.
pub(crate) fn states<S: Copy>(
    words: &str,
    all: &[S],
    word: fn(S) -> &'static str,
    is_ended: fn(S) -> bool,
    more: &[&'static str],
) -> Answer<Vec<S>> {
    let mut found = Vec::new();
    for wanted in words
        .split(',')
        .map(str::trim)
        .filter(|wanted| !wanted.is_empty())
    {
        let before = found.len();
        found.extend(all.iter().copied().filter(|state| match wanted {
            "active" => !is_ended(*state),
            "ended" => is_ended(*state),
            other => word(*state) == other,
        }));
        if found.len() == before {
            let known: Vec<&str> = all
                .iter()
                .map(|state| word(*state))
                .chain(more.iter().copied())
                .chain(["active", "ended"])
                .collect();
            let shown: String = wanted.chars().take(40).collect();
            let message = format!("state: \"{}\" is no state", shown.escape_debug());
            return Err(Failure::new(ErrorCode::BadRequest, message)
                .hint(format!("states are {}", known.join(", "))));
        }
    }
    Ok(found)
}

/// `GET /jobs/{id}`
pub(crate) async fn detail(
    State(app): State<App>,
    Extension(by): Caller,
    Segments(id): Segments<u64>,
) -> Answer<axum::Json<JobDetail>> {
    let found = app
        .core
        .read(move |view| {
            view.engine
                .job(JobId(id))
                .map(|job| views::detail(view, job, may_read(&by, job)))
        })
        .await?;
    Ok(axum::Json(found.ok_or(Denied::NoJob(JobId(id)))?))
}

/// `PATCH /jobs/{id}`
pub(crate) async fn modify(
    State(app): State<App>,
    Extension(by): Caller,
    Segments(id): Segments<u64>,
    Json(request): Json<ModifyRequest>,
) -> Answer<StatusCode> {
    let change = ChangeDraft::from(request)
        .validate()
        .map_err(Failure::fields)?;
    check_mail(&app, change.mail.as_ref().and_then(Option::as_ref))?;
    check_webhooks(&app, change.webhooks.as_ref())?;
    let patch = Box::new(patch(change));
    app.core
        .ask(Input::Modify {
            by,
            job: JobId(id),
            patch,
        })
        .await??;
    Ok(StatusCode::NO_CONTENT)
}

fn patch(change: Change) -> JobPatch {
    JobPatch {
        name: change.name,
        priority: change.priority,
        cpus: change.cpus,
        max_cpus: change.max_cpus,
        reservation: change.reservation,
        hosts: change.hosts,
        omithosts: change.omithosts,
        cluster: change.cluster,
        restrictions: change.restrictions,
        requirements: change.requirements,
        host_order: change.host_order,
        groups: change.groups,
        omitgroups: change.omitgroups,
        retrywork: change.retrywork,
        retrywork_delay: change.retrywork_delay,
        retrysubjob: change.retrysubjob,
        retry_oom: change.retry_oom,
        pgrp_limit: change.pgrp_limit,
        per_host: change.per_host,
        start_rate: change.start_rate,
        timelimit: change.timelimit,
        agendatimelimit: change.agendatimelimit,
        silence_limit: change.silence_limit,
        after: change.after,
        mail: change.mail,
        webhooks: change.webhooks,
        max_failures: change.max_failures,
        notes: change.notes,
    }
}
