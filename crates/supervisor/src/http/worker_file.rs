//! `workers.toml` itself, for administrators: as it stands, what another text would come to, and that text in its place.
//!
//! Others see what is set for a host ([`super::settings`]), which is what hosts are told; the file has notes, too.

use super::auth::Caller;
use super::error::Answer;
use super::extract::Json;
use super::settings::{faulty, reply, told};
use super::{App, Failure};
use crate::persist::rows::kind;
use crate::settings::{Change, NotSet, Shown};
use axum::extract::{Extension, State};
use std::collections::BTreeSet;
use std::sync::Arc;
use tessera_api::ErrorCode;
use tessera_api::types::{
    FileFinding, HostChange, ReconfigureReply, SetWorkerFile, SettingChange, WorkerFile,
    WorkerFileCheck, WorkerFileChecked,
};
use tessera_hostconfig::Finding;
use tessera_model::Principal;
use tessera_spec::FieldError;

/// Hosts that an answer tells of.
const HOSTS_MAX: usize = 1_000;
/// Keys that a line of history names.
const KEYS_TOLD_MAX: usize = 8;
/// Findings of a text that an answer tells; the first ones.
const FINDINGS_MAX: usize = 100;

/// `GET /worker-file`
pub(crate) async fn show(
    State(app): State<App>,
    Extension(by): Caller,
) -> Answer<axum::Json<WorkerFile>> {
    if !by.is_admin {
        return Err(Failure::admins_only(&by.name, "see the file workers.toml"));
    }
    let Shown {
        path,
        draft,
        findings,
        is_in_use,
        closed,
    } = app.settings.shown().await;
    let mut shown = WorkerFile {
        file: path.display().to_string(),
        findings: rows(&findings),
        is_in_use,
        closed,
        ..WorkerFile::default()
    };
    match draft {
        Ok(draft) => (shown.text, shown.version) = (Some(draft.text), Some(draft.version)),
        Err(why) => shown.unreadable = Some(why),
    }
    Ok(axum::Json(shown))
}

/// `POST /worker-file/check`
pub(crate) async fn check(
    State(app): State<App>,
    Extension(by): Caller,
    Json(request): Json<WorkerFileCheck>,
) -> Answer<axum::Json<WorkerFileChecked>> {
    if !by.is_admin {
        let what = "have a configuration checked against the farm's hosts";
        return Err(Failure::admins_only(&by.name, what));
    }
    let preview = app.settings.preview(request.text).await;
    let more = preview.hosts.len().saturating_sub(HOSTS_MAX);
    let hosts = preview.hosts.into_iter().take(HOSTS_MAX);
    let hosts = hosts.map(|(name, changes)| HostChange {
        name,
        changes: changes.into_iter().map(change).collect(),
    });
    Ok(axum::Json(WorkerFileChecked {
        findings: rows(&preview.findings),
        hosts: hosts.collect(),
        more_hosts: more as u64,
    }))
}

/// `PUT /worker-file`
pub(crate) async fn set(
    State(app): State<App>,
    Extension(by): Caller,
    Json(request): Json<SetWorkerFile>,
) -> Answer<axum::Json<ReconfigureReply>> {
    if !by.is_admin {
        return Err(Failure::admins_only(&by.name, "change workers.toml"));
    }
    // Once begun it is done, though whoever asked has gone.
    let done = tokio::spawn(put(app, by, request)).await;
    let done = done.map_err(|error| Failure::internal("the file was not changed", &error))?;
    done.map(axum::Json)
}

async fn put(app: App, by: Principal, request: SetWorkerFile) -> Answer<ReconfigureReply> {
    let settings = Arc::clone(&app.settings);
    let file = settings.place().path.display().to_string();
    let edit = settings.edit(request.text.clone(), &request.version).await;
    let edit = edit.map_err(|why| refused(&file, why))?;
    let changes = settings.preview(request.text).await.hosts;
    let keys = changes.values().flatten().map(|it| it.key.as_str());
    let text = format!("set {file}: {}", summary(changes.len(), keys));
    // Before it is done: nothing is changed of which no record is kept.
    let record = told(&by, kind::WORKERS_SET, text);
    app.core.keep(vec![record]).await?;
    if let Err(why) = edit.write().await {
        let failure = refused(&file, why);
        let text = format!("not done: {}", failure.0.message);
        let record = told(&by, kind::WORKERS_SET, text);
        app.core.keep(vec![record]).await?;
        return Err(failure);
    }
    tracing::info!(by = %by.name, file, "the configuration of workers was changed over the API");
    let done = settings.reconfigure(None).await;
    let (warnings, outcomes) = done.map_err(|mistakes| faulty(&file, mistakes))?;
    Ok(reply(file, warnings, outcomes, Vec::new()))
}

/// Says in few words what a change comes to.
fn summary<'a>(hosts: usize, keys: impl Iterator<Item = &'a str>) -> String {
    if hosts == 0 {
        return "nothing changes for connected hosts".to_owned();
    }
    let keys: BTreeSet<&str> = keys.collect();
    let more = match keys.len().saturating_sub(KEYS_TOLD_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let named: Vec<&str> = keys.into_iter().take(KEYS_TOLD_MAX).collect();
    let plural = if hosts == 1 { "" } else { "s" };
    format!(
        "{}{more} of {hosts} connected host{plural}",
        named.join(", ")
    )
}

fn refused(file: &str, why: NotSet) -> Failure {
    let elsewhere = format!("change {file} on the supervisor's host, then run tessera reconfigure");
    match why {
        NotSet::Closed(whose) => {
            let text = format!("{file} can't be changed from here: {whose}");
            Failure::new(ErrorCode::Forbidden, text).hint(elsewhere)
        }
        NotSet::FileOnly(key) => {
            let text = format!(
                "{key} is not changed over the API: it decides which programs people's desktops run"
            );
            Failure::new(ErrorCode::Forbidden, text).hint(elsewhere)
        }
        NotSet::Moved => {
            let text = format!("{file} was changed since it was read");
            Failure::new(ErrorCode::WrongState, text)
                .hint("read it again, and make the change in what stands there now")
        }
        NotSet::Faulty(findings) => {
            let errors = findings.iter().filter(|it| it.is_error).take(FINDINGS_MAX);
            let fields = errors.map(|it| FieldError::new("text", it.to_string()));
            let mut failure = Failure::fields(fields.collect());
            failure.0.message = "the text has mistakes; nothing was changed".to_owned();
            failure
        }
        NotSet::Unwritten(why) => {
            Failure::new(ErrorCode::Unavailable, why).hint("nothing was changed")
        }
        NotSet::Unreadable(why) => Failure::new(ErrorCode::Unavailable, why)
            .hint("the supervisor must be able to read it; nothing was changed"),
    }
}

fn rows(findings: &[Finding]) -> Vec<FileFinding> {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let row = |it: &Finding| FileFinding {
        line: number(it.place.line),
        column: number(it.place.column),
        is_error: it.is_error,
        text: it.text.clone(),
        hint: it.hint.clone(),
    };
    findings.iter().take(FINDINGS_MAX).map(row).collect()
}

fn change(it: Change) -> SettingChange {
    let (after, from) = it.after.unzip();
    SettingChange {
        key: it.key,
        before: it.before,
        after,
        from,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_summed_up_in_bounded_words() {
        let few = summary(1, ["b", "a", "b"].into_iter());
        assert_eq!(few, "a, b of 1 connected host");
        let many: Vec<String> = (0..12).map(|n| format!("k{n:02}")).collect();
        let said = summary(3, many.iter().map(String::as_str));
        let end = "k07 and 4 more of 3 connected hosts";
        assert!(said.ends_with(end), "{said}");
    }
}
