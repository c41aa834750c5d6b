//! Fields about mail: when it is written, and to whom.

use super::lists::entries;
use crate::field::{Errors, FieldError, shown};
use std::collections::BTreeSet;
use tessera_model::limits::WEBHOOKS_MAX;
use tessera_model::mail::{BadAddress, BadChannelName};
use tessera_model::{ChannelName, JobMail, JobWebhooks, MailWhen};

/// What is said of a word that stands for nothing.
const NOTHING_ON: &str = "no mail is written on";
/// The word for no mail.
const NONE: &str = "none";

/// Checks when mail is asked for, and the address.
pub(crate) fn check(
    on: Option<&[String]>,
    to: Option<&str>,
    errors: &mut Errors,
) -> Option<JobMail> {
    let on = whens("mail", on.unwrap_or_default(), errors);
    let to = to.filter(|text| !text.is_empty()).map(|text| {
        text.parse().map_err(|bad: BadAddress| {
            FieldError::new("mail_to", format!("{} is {bad}", shown(text)))
                .hint("name one address; who else is to be told can read a list's")
        })
    });
    let to = to.and_then(|read| errors.take(read));
    if on.is_empty() {
        if to.is_some() {
            let hint = format!("say when, too: mail, one or more of {}", known());
            errors.push(FieldError::new("mail_to", "nothing is to be mailed").hint(hint));
        }
        return None;
    }
    Some(JobMail { on, to })
}

/// Checks webhooks, each `CHANNEL=WHEN[,WHEN…]`; `none` is none.
pub(crate) fn webhooks(list: Option<&[String]>, errors: &mut Errors) -> JobWebhooks {
    let mut asked = JobWebhooks::new();
    let said = list.unwrap_or_default().iter().map(|it| it.trim());
    for text in said.filter(|it| !it.is_empty() && *it != NONE) {
        let (name, on) = text.split_once('=').unwrap_or((text, ""));
        let name = name.parse().map_err(|bad: BadChannelName| {
            FieldError::new(
                "webhooks",
                format!("{} is no channel's name: {bad}", shown(name)),
            )
            .hint("write CHANNEL=WHEN, for instance chat=done,failed")
        });
        let name: Option<ChannelName> = errors.take(name);
        let on = whens("webhooks", &[on.to_owned()], errors);
        if on.is_empty() {
            let said = format!("{} says not when", shown(text));
            let hint = format!("write CHANNEL=WHEN, of {}", known());
            errors.push(FieldError::new("webhooks", said).hint(hint));
        }
        if let Some(name) = name {
            asked.entry(name).or_default().extend(on);
        }
    }
    if asked.len() > WEBHOOKS_MAX {
        let said = format!("a job asks for at most {WEBHOOKS_MAX} webhooks");
        errors.push(FieldError::new("webhooks", said));
    }
    asked
}

/// Answers the texts that webhooks are written with.
pub(crate) fn webhook_words(webhooks: &JobWebhooks) -> Vec<String> {
    let words = |on: &BTreeSet<MailWhen>| {
        let words: Vec<&str> = on.iter().map(|it| it.word()).collect();
        words.join(",")
    };
    let each = webhooks.iter();
    each.map(|(name, on)| format!("{name}={}", words(on)))
        .collect()
}

/// Reads a list of what is written about; `none` is nothing.
fn whens(field: &'static str, words: &[String], errors: &mut Errors) -> BTreeSet<MailWhen> {
    let words = entries(words).filter(|word| *word != NONE);
    let read = words.filter_map(|word| {
        let when = MailWhen::of_word(word).ok_or_else(|| {
            FieldError::new(field, format!("{NOTHING_ON} {}", shown(word)))
                .hint(format!("known: {}", known()))
        });
        errors.take(when)
    });
    read.collect()
}

/// Says whether a list asks for no mail.
pub(crate) fn is_none(words: &[String]) -> bool {
    entries(words).all(|word| word == NONE)
}

/// Answers the words that a wish is written with.
pub(crate) fn words(mail: &JobMail) -> Vec<String> {
    mail.on.iter().map(|it| it.word().to_owned()).collect()
}

fn known() -> String {
    MailWhen::ALL.map(MailWhen::word).join(", ")
}
