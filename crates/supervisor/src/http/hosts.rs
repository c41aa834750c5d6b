//! Hosts.

use super::auth::Caller;
use super::error::Answer;
use super::extract::{Json, Params, Perhaps, Segments};
use super::{App, Failure, views};
use crate::core::View;
use axum::extract::{Extension, State};
use http::StatusCode;
use std::time::Duration;
use tessera_api::ErrorCode;
use tessera_api::query::RemoveHostQuery;
use tessera_api::types::{
    self, CalendarRequest, HostDetail, HostRow, HostWhy, Hosts, LockRequest, Reason, UnlockRequest,
};
use tessera_engine::supervisor::{Input, LockOrder, LockWish};
use tessera_model::lock::NOTE_CHARS_MAX;
use tessera_model::{
    HostId, HostState, LockCalendar, Principal, Running, SlotSet, Timestamp, WhileActive,
};

/// Hosts of one name that are told.
const NAMESAKES_MAX: usize = 8;

/// Finds a host by its name or id; of several with one name, the one that is connected or was heard of last.
pub(super) fn find(view: &View<'_>, wanted: &str) -> Option<HostId> {
    if let Ok(id) = wanted.parse::<HostId>() {
        let is_known = view.engine.host(id).is_some() || view.enrolled.contains_key(&id);
        return is_known.then_some(id);
    }
    let wanted = wanted.to_ascii_lowercase();
    let met = view.engine.hosts().filter(|host| host.facts.name == wanted);
    let met = met
        .max_by_key(|host| (host.is_connected(), host.seen))
        .map(|host| host.id);
    met.or_else(|| {
        view.enrolled
            .iter()
            .find(|(_, host)| host.name == wanted)
            .map(|(id, _)| *id)
    })
}

/// Answers other hosts of a name, the first ones.
pub(super) fn namesakes(view: &View<'_>, name: &str, but: HostId) -> Vec<HostId> {
    let others = view.enrolled.iter();
    let others = others.filter(|(id, host)| **id != but && host.name == name);
    others.map(|(id, _)| *id).take(NAMESAKES_MAX).collect()
}

/// Says of a host that is not there and whose name others have, too, that it may be none any more, and the way out.
fn note_namesake(row: &mut HostRow) {
    let is_gone = [HostState::Away, HostState::Down].iter();
    if !is_gone.map(HostState::word).any(|word| row.status == word) {
        return;
    }
    // What is to be typed comes first: a narrow terminal cuts the end.
    let note = format!(
        "tessera host remove {} if it never comes again: another host has joined as {}, too",
        row.id, row.name
    );
    row.reason = Some(match row.reason.take() {
        Some(reason) => format!("{note}; {reason}"),
        None => note,
    });
}

pub(super) fn unknown(wanted: &str) -> Failure {
    let shown: String = wanted.chars().take(64).collect();
    Failure::new(
        ErrorCode::NotFound,
        format!("there is no host \"{}\"", shown.escape_debug()),
    )
    .hint("`tessera hosts` lists them")
}

/// `GET /hosts`
pub(crate) async fn list(State(app): State<App>) -> Answer<axum::Json<Hosts>> {
    let hosts = app.core.read(|view| {
        let hosts = view.engine.hosts();
        let met = hosts.map(|host| views::host_row(view.engine, host));
        let unmet = view
            .enrolled
            .iter()
            .filter(|(id, _)| view.engine.host(**id).is_none());
        let unmet = unmet.map(|(id, host)| views::unmet_host(*id, &host.name));
        let mut hosts: Vec<_> = met.chain(unmet).collect();
        hosts.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        let of_one_name = hosts.chunk_by_mut(|a, b| a.name == b.name);
        let of_one_name = of_one_name.filter(|rows| rows.len() > 1);
        of_one_name.flatten().for_each(note_namesake);
        hosts
    });
    let mut hosts = hosts.await?;
    hosts.iter_mut().for_each(|row| add_current(&app, row));
    Ok(axum::Json(Hosts { hosts }))
}

/// `GET /hosts/{host}`
pub(crate) async fn detail(
    State(app): State<App>,
    Segments(wanted): Segments<String>,
) -> Answer<axum::Json<HostDetail>> {
    let name = wanted.clone();
    let found = app.core.read(move |view| {
        let id = find(view, &name)?;
        let is_one_of_some = |name: &str| !namesakes(view, name, id).is_empty();
        let Some(host) = view.engine.host(id) else {
            let host = view.enrolled.get(&id)?;
            let mut row = views::unmet_host(id, &host.name);
            if is_one_of_some(&host.name) {
                note_namesake(&mut row);
            }
            return Some(HostDetail {
                host: row,
                running: Vec::new(),
            });
        };
        let mut row = views::host_row(view.engine, host);
        if is_one_of_some(&host.facts.name) {
            note_namesake(&mut row);
        }
        let launches = host
            .launches()
            .keys()
            .filter_map(|key| view.engine.launch(*key));
        let running = launches
            .map(|launch| views::running_row(view.engine, launch))
            .collect();
        Some(HostDetail { host: row, running })
    });
    let mut found = found.await?.ok_or_else(|| unknown(&wanted))?;
    add_current(&app, &mut found.host);
    Ok(axum::Json(found))
}

/// Says whether a host has what is set for it now.
fn add_current(app: &App, row: &mut HostRow) {
    let id = row.id.parse::<HostId>().ok();
    if let (Some(settings), Some(id)) = (&mut row.settings, id) {
        settings.is_current = app.settings.is_current(id);
    }
}

/// `GET /hosts/{host}/why`
pub(crate) async fn why(
    State(app): State<App>,
    Segments(wanted): Segments<String>,
) -> Answer<axum::Json<HostWhy>> {
    let name = wanted.clone();
    let found = app.core.read(move |view| {
        let id = find(view, &name)?;
        let Some(host) = view.engine.host(id) else {
            let text = "its worker has never connected".to_owned();
            return Some((
                view.enrolled.get(&id)?.name.clone(),
                Some(("host_away".to_owned(), text)),
                Vec::new(),
            ));
        };
        let idle = view
            .engine
            .why_host_idle(id)
            .map(|(kind, text)| (kind.word().to_owned(), text));
        let refused = host
            .refusals()
            .map(|(account, refusal)| format!("{account}: {refusal}"))
            .collect();
        Some((host.facts.name.clone(), idle, refused))
    });
    let (host, idle, refused): (String, _, Vec<String>) =
        found.await?.ok_or_else(|| unknown(&wanted))?;
    let reason = |kind: &str, text| Reason {
        kind: kind.to_owned(),
        count: 1,
        text,
        ..Reason::default()
    };
    let mut reasons: Vec<Reason> = idle
        .into_iter()
        .map(|(kind, text)| reason(&kind, text))
        .collect();
    reasons.extend(
        refused
            .into_iter()
            .map(|text| reason("account_refused", text)),
    );
    let nothing = || "nothing keeps it from more work".to_owned();
    let summary = reasons
        .first()
        .map_or_else(nothing, |first| first.text.clone());
    Ok(axum::Json(HostWhy {
        host,
        summary,
        reasons,
    }))
}

async fn change(
    app: &App,
    by: Principal,
    wanted: String,
    what: &str,
    make: impl FnOnce(Principal, HostId) -> Input,
) -> Answer<StatusCode> {
    if !by.is_admin {
        return Err(Failure::admins_only(&by.name, what));
    }
    let name = wanted.clone();
    let id = app
        .core
        .read(move |view| find(view, &name))
        .await?
        .ok_or_else(|| unknown(&wanted))?;
    app.core.ask(make(by, id)).await??;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /hosts/{host}/lock`
pub(crate) async fn lock(
    State(app): State<App>,
    Extension(by): Caller,
    Segments(wanted): Segments<String>,
    Perhaps(request): Perhaps<LockRequest>,
) -> Answer<StatusCode> {
    let wish = LockWish::Lock(LockOrder {
        slots: read_slots(request.slots.as_deref())?,
        until: request.until_ms.map(Timestamp),
        note: read_note(request.note)?,
        purges: request.purge,
        drains: request.drain,
    });
    wish_lock(&app, by, wanted, "lock hosts", wish).await
}

/// `POST /hosts/{host}/lock-calendar`
pub(crate) async fn lock_calendar(
    State(app): State<App>,
    Extension(by): Caller,
    Segments(wanted): Segments<String>,
    Json(request): Json<CalendarRequest>,
) -> Answer<StatusCode> {
    let calendar = match request.calendar.trim() {
        "" => None,
        text => Some(
            text.parse::<LockCalendar>()
                .map_err(|bad| Failure::new(ErrorCode::BadRequest, format!("calendar: {bad}")))?,
        ),
    };
    let wish = LockWish::Calendar(calendar);
    wish_lock(&app, by, wanted, "lock hosts", wish).await
}

async fn wish_lock(
    app: &App,
    by: Principal,
    wanted: String,
    what: &str,
    wish: LockWish,
) -> Answer<StatusCode> {
    let wish = Box::new(wish);
    change(app, by, wanted, what, |by, host| Input::LockWish {
        by,
        host,
        wish,
    })
    .await
}

fn read_slots(said: Option<&str>) -> Result<SlotSet, Failure> {
    let slots = said.map_or(Ok(SlotSet::all()), str::parse);
    slots.map_err(|bad| Failure::new(ErrorCode::BadRequest, format!("slots: {bad}")))
}

/// Reads what somebody says of why.
pub(super) fn read_note(note: String) -> Result<String, Failure> {
    if note.chars().count() <= NOTE_CHARS_MAX {
        return Ok(note);
    }
    let text = format!("note: it is longer than {NOTE_CHARS_MAX} characters");
    Err(Failure::new(ErrorCode::BadRequest, text))
}

/// `POST /hosts/{host}/lock-while-active`
pub(crate) async fn lock_while_active(
    State(app): State<App>,
    Extension(by): Caller,
    Segments(wanted): Segments<String>,
    Json(rule): Json<types::WhileActive>,
) -> Answer<StatusCode> {
    let rule = read_rule(&rule)?;
    change(&app, by, wanted, "lock hosts", |by, host| {
        Input::LockWhileActive { by, host, rule }
    })
    .await
}

fn read_rule(rule: &types::WhileActive) -> Result<WhileActive, Failure> {
    let wrong = |text: &str| Failure::new(ErrorCode::BadRequest, text);
    let usual = WhileActive::default();
    let running = match rule.running.as_deref() {
        None => usual.running,
        Some(word) => Running::of_word(word)
            .ok_or_else(|| wrong("running is one of keep, suspend and requeue"))?,
    };
    let idle_after = rule.idle_seconds.map(Duration::from_secs);
    let read = WhileActive {
        idle_after: idle_after.unwrap_or(usual.idle_after),
        running,
    };
    if read.is_sound() {
        Ok(read)
    } else {
        Err(wrong("idle_seconds is a number from 60 to 86400"))
    }
}

/// `POST /hosts/{host}/unlock`
pub(crate) async fn unlock(
    State(app): State<App>,
    Extension(by): Caller,
    Segments(wanted): Segments<String>,
    Perhaps(request): Perhaps<UnlockRequest>,
) -> Answer<StatusCode> {
    let wish = LockWish::Unlock(read_slots(request.slots.as_deref())?);
    wish_lock(&app, by, wanted, "unlock hosts", wish).await
}

/// Refuses a name that several hosts have: which of them is removed must be said.
async fn is_one(app: &App, wanted: &str) -> Answer<()> {
    let name = wanted.to_ascii_lowercase();
    let found = app.core.read(move |view| {
        let id = find(view, &name)?;
        Some((id, namesakes(view, &name, id)))
    });
    let Some((id, others)) = found.await?.filter(|(_, others)| !others.is_empty()) else {
        return Ok(());
    };
    let ids = others.iter().chain([&id]).map(ToString::to_string);
    let ids: Vec<String> = ids.collect();
    let text = format!("{} hosts are named {wanted}: {}", ids.len(), ids.join(", "));
    let hint = "name the one to remove by its id; tessera hosts says which of them never come";
    Err(Failure::new(ErrorCode::WrongState, text).hint(hint))
}

/// `DELETE /hosts/{host}`
pub(crate) async fn remove(
    State(app): State<App>,
    Extension(by): Caller,
    Segments(wanted): Segments<String>,
    Params(query): Params<RemoveHostQuery>,
) -> Answer<StatusCode> {
    if by.is_admin {
        is_one(&app, &wanted).await?;
    }
    change(&app, by, wanted, "remove hosts", |by, host| {
        Input::RemoveHost {
            by,
            host,
            is_forced: query.force,
        }
    })
    .await
}
