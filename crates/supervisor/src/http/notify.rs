//! Who is told of what, and whether it arrives. For administrators: addresses and errors are not everybody's; what one wishes to be
//! mailed oneself is one's own.

use super::auth::Caller;
use super::error::Answer;
use super::extract::Json;
use super::{App, Failure};
use crate::notify::{NotReloaded, NotSet};
use axum::extract::{Extension, State};
use std::collections::BTreeSet;
use tessera_api::ErrorCode;
use tessera_api::types::{
    Channels, MailWishes, NotifyReloaded, NotifyTest, NotifyTested, SetMailWishes,
};
use tessera_model::MailWhen;
use tessera_spec::FieldError;

/// Characters that are repeated of a word that is none.
const WORD_CHARS_MAX: usize = 40;

/// `GET /notify`
pub(crate) async fn status(
    State(app): State<App>,
    Extension(by): Caller,
) -> Answer<axum::Json<Channels>> {
    if !by.is_admin {
        return Err(Failure::admins_only(&by.name, "see whom the farm tells"));
    }
    Ok(axum::Json(app.notify.status()))
}

/// `POST /notify/reload`
pub(crate) async fn reload(
    State(app): State<App>,
    Extension(by): Caller,
) -> Answer<axum::Json<NotifyReloaded>> {
    if !by.is_admin {
        return Err(Failure::admins_only(&by.name, "have notify.toml read anew"));
    }
    match app.notify.reload().await {
        Ok(done) => Ok(axum::Json(done)),
        Err(NotReloaded::Faulty(error)) => {
            let text = format!("{error}; the channels go by what it said before");
            let failure = Failure::new(ErrorCode::Invalid, text);
            Err(failure.hint("mend it and reload again; tessera config check FILE reads it, too"))
        }
        Err(NotReloaded::Ending) => Err(Failure::new(
            ErrorCode::Unavailable,
            "the supervisor is about to end",
        )),
    }
}

/// `POST /notify/test`
pub(crate) async fn test(
    State(app): State<App>,
    Extension(by): Caller,
    Json(request): Json<NotifyTest>,
) -> Answer<axum::Json<NotifyTested>> {
    if !by.is_admin {
        return Err(Failure::admins_only(&by.name, "send a test"));
    }
    let wanted = request.channel.as_deref();
    let tested = app.notify.test(wanted, by.name.as_str()).await;
    tested.map(axum::Json).ok_or_else(|| {
        let name = wanted.unwrap_or_default().escape_debug().to_string();
        Failure::new(ErrorCode::NotFound, format!("there is no channel {name}"))
            .hint("tessera notify status lists them; they are written in notify.toml")
    })
}

/// `GET /notify/wishes`
pub(crate) async fn wishes(
    State(app): State<App>,
    Extension(by): Caller,
) -> axum::Json<MailWishes> {
    axum::Json(own(&app, by.name.as_str()))
}

/// `POST /notify/wishes`
pub(crate) async fn wish(
    State(app): State<App>,
    Extension(by): Caller,
    Json(request): Json<SetMailWishes>,
) -> Answer<axum::Json<MailWishes>> {
    let user = by.name.as_str();
    let mut on = BTreeSet::new();
    for word in &request.on {
        on.insert(MailWhen::of_word(word).ok_or_else(|| unknown(word))?);
    }
    if !on.is_empty() && app.notify.address(user).is_none() {
        let text = "this farm writes no mail to people";
        let hint =
            "an administrator allows it by [people], and owner_domain in [smtp], in notify.toml";
        return Err(Failure::new(ErrorCode::WrongState, text).hint(hint));
    }
    let set = app.notify.wishes().set(&app.core, user, on).await;
    set.map_err(|not| match not {
        NotSet::TooMany => Failure::new(ErrorCode::TooLarge, "too many people have wishes already"),
        NotSet::Unavailable(why) => why.into(),
    })?;
    Ok(axum::Json(own(&app, user)))
}

fn own(app: &App, user: &str) -> MailWishes {
    let on = app.notify.wishes().of(user);
    MailWishes {
        user: user.to_owned(),
        on: on.into_iter().map(|it| it.word().to_owned()).collect(),
        to: app.notify.address(user),
    }
}

fn unknown(word: &str) -> Failure {
    let known = MailWhen::ALL.map(MailWhen::word).join(", ");
    let word: String = word.chars().take(WORD_CHARS_MAX).collect();
    let text = format!("no mail is written on {}", word.escape_debug());
    let field = FieldError::new("on", text).hint(format!("known: {known}"));
    Failure::fields(vec![field])
}
