//! Fields about mail: when it is written, and to whom.

use super::lists::entries;
use crate::field::{Errors, FieldError, shown};
use std::collections::BTreeSet;
use tessera_model::mail::BadAddress;
use tessera_model::{JobMail, MailWhen};

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

/// Reads a list of what is written about; `none` is nothing.
fn whens(field: &'static str, words: &[String], errors: &mut Errors) -> BTreeSet<MailWhen> {
    let words = entries(words).filter(|word| *word != NONE);
    let read = words.filter_map(|word| {
        let when = MailWhen::of_word(word).ok_or_else(|| {
            FieldError::new(field, format!("no mail is written on {}", shown(word)))
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
