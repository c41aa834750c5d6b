//! Channels over which people are told, and what came of tests.

use crate::out::table::{Cell, Column, Table};
use crate::out::{Look, Tone, text, time};
use tessera_api::types::{ChannelTried, Channels, MailWishes, NotifyReloaded};

/// Prints a list of channels, then what does not arrive and why.
#[must_use]
pub fn channels(look: &Look, all: &Channels) -> String {
    let mistake = all.mistake.as_ref();
    let mistake = mistake.map(|why| said(look, &format!("not taken up: {why}")));
    let (mistake, all) = (mistake.unwrap_or_default(), &all.channels);
    if all.is_empty() {
        return mistake + "nobody is told of anything: there are no channels in notify.toml\n";
    }
    let mut table = Table::new(&[
        Column::flexible("CHANNEL"),
        Column::flexible("TO"),
        Column::left("STATE"),
        Column::right("TOLD"),
        Column::left("LAST"),
        Column::right("WAITING"),
        Column::right("GIVEN UP"),
        Column::flexible("ON"),
    ]);
    for it in all {
        let (tone, state) = match (it.failing_since_ms, &it.last_refused) {
            (Some(_), _) => (Tone::Bad, "failing"),
            (None, Some(_)) => (Tone::Warn, "refused"),
            (None, None) => (Tone::Good, "good"),
        };
        let last = it.last_told_ms.map(|at| time::ago(look, at));
        table.row([
            Cell::from(&it.name),
            Cell::from(&it.target),
            Cell::toned(tone, state),
            Cell::from(it.told.to_string()),
            Cell::from(last.unwrap_or_default()),
            Cell::from((it.waiting + it.gathering).to_string()),
            Cell::from(it.given_up.to_string()),
            Cell::from(it.on.join(",")),
        ]);
    }
    let mut out = table.print(look) + &mistake;
    for it in all {
        if let (Some(since), Some(why)) = (it.failing_since_ms, &it.last_error) {
            let since = time::ago(look, since);
            out += &said(look, &format!("{}: failing, first {since}: {why}", it.name));
        }
        if let Some(what) = &it.last_refused {
            let aside = match it.aside {
                0 => String::new(),
                aside => format!(" ({aside} set aside, tried again every 10 min)"),
            };
            let line = format!("{}: refused{aside}, the last: {what}", it.name);
            out += &said(look, &line);
        }
    }
    out
}

fn said(look: &Look, line: &str) -> String {
    let line = text::safe(line).into_owned();
    let lines = if look.is_terminal() {
        text::wrap(&line, look.columns())
    } else {
        vec![line]
    };
    lines.into_iter().map(|line| line + "\n").collect()
}

/// Prints what somebody wishes to be mailed.
#[must_use]
pub fn mail_wishes(look: &Look, wishes: &MailWishes) -> String {
    let user = &wishes.user;
    let line = match (&wishes.to, wishes.on.is_empty()) {
        (Some(to), true) => format!("{user} wishes no mail; it would go to {to}"),
        (Some(to), false) => format!("{user} is mailed on {} to {to}", wishes.on.join(", ")),
        (None, true) => format!("{user} wishes no mail; this farm writes none to people"),
        (None, false) => {
            let on = wishes.on.join(", ");
            format!("{user} wishes mail on {on}, but this farm writes none to people now")
        }
    };
    said(look, &line)
}

/// Prints what a reload changed.
#[must_use]
pub fn notify_reloaded(look: &Look, done: &NotifyReloaded) -> String {
    let lists = [
        ("added", &done.added),
        ("changed", &done.changed),
        ("removed", &done.removed),
        ("unchanged", &done.unchanged),
    ];
    let filled = lists.into_iter().filter(|(_, names)| !names.is_empty());
    let lines = filled.map(|(word, names)| said(look, &format!("{word}: {}", names.join(", "))));
    let lines: String = lines.collect();
    if lines.is_empty() {
        return "notify.toml names no channels\n".to_owned();
    }
    lines
}

/// Prints what came of tests.
#[must_use]
pub fn notify_tested(look: &Look, all: &[ChannelTried]) -> String {
    if all.is_empty() {
        return "nothing was sent: there are no channels in notify.toml\n".to_owned();
    }
    let line = |it: &ChannelTried| {
        let (tone, word) = if it.is_taken {
            (Tone::Good, "taken")
        } else {
            (Tone::Bad, "not taken")
        };
        let word = look.paint(tone, word);
        format!(
            "{}: {word}: {}\n",
            text::safe(&it.channel),
            text::safe(&it.said)
        )
    };
    all.iter().map(line).collect()
}
