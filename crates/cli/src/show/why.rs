//! Answers to *why*.

use crate::out::{Look, Tone, text};
use tessera_api::types::{HostWhy, ItemWhy, Reason, Why};

/// The kind of the reason that is about frames which failed.
const FAILED_KIND: &str = "failed";
/// Host names shown for a reason.
const NAMES_MAX: usize = 8;

/// Prints why a job does not run, or not more of it.
#[must_use]
pub fn why(look: &Look, why: &Why) -> String {
    let tone = Tone::of_state(&why.status);
    let head = format!(
        "job {} is {}",
        why.job,
        look.paint(tone, &text::safe(&why.status))
    );
    answer(look, &head, &why.summary, &why.reasons)
}

/// Prints why a frame does not run, or how it stands with it.
#[must_use]
pub fn item_why(look: &Look, why: &ItemWhy) -> String {
    let tone = Tone::of_state(&why.status);
    let head = format!(
        "frame {} of job {} is {}",
        text::safe(&why.name),
        why.job,
        look.paint(tone, &text::safe(&why.status))
    );
    answer(look, &head, &why.summary, &why.reasons)
}

/// Prints why a host does not run more.
#[must_use]
pub fn host_why(look: &Look, why: &HostWhy) -> String {
    answer(
        look,
        &format!("host {}", text::safe(&why.host)),
        &why.summary,
        &why.reasons,
    )
}

fn answer(look: &Look, head: &str, summary: &str, reasons: &[Reason]) -> String {
    let mut out = format!("{head}\n");
    // The summary is the first reason's text unless there is more to say.
    if reasons.first().is_none_or(|first| first.text != summary) {
        out += &paragraph(look, "", summary);
    }
    for reason in reasons {
        // Of frames the text itself tells the number.
        let counts_hosts = reason.count > 0 && !reason.hosts.is_empty();
        let count = if counts_hosts && reason.kind != FAILED_KIND {
            format!("{:>5} × ", reason.count)
        } else {
            "        ".to_owned()
        };
        out += &paragraph(look, &count, &reason.text);
        if !reason.hosts.is_empty() {
            let mut names = reason
                .hosts
                .iter()
                .take(NAMES_MAX)
                .cloned()
                .collect::<Vec<_>>()
                .join(", ");
            if reason.hosts.len() > NAMES_MAX {
                names += &format!(" and {} more", reason.hosts.len() - NAMES_MAX);
            }
            out += &look.paint(Tone::Dim, &paragraph(look, "        ", &names));
        }
        if let Some(hint) = &reason.hint {
            out += &paragraph(look, "        ", &format!("→ {hint}"));
        }
    }
    out
}

/// Wraps a text behind a mark of its first line.
fn paragraph(look: &Look, mark: &str, said: &str) -> String {
    let indent = text::width(mark);
    let safe = text::safe(said);
    let lines = text::wrap(&safe, look.columns().saturating_sub(indent).max(20));
    let print = |(n, line): (usize, &String)| {
        let before = if n == 0 {
            mark.to_owned()
        } else {
            " ".repeat(indent)
        };
        format!("{before}{line}\n")
    };
    lines.iter().enumerate().map(print).collect()
}
