//! The farm's own resources and who has them.

use crate::out::table::{Cell, Column, Table};
use crate::out::{Look, Tone, text, time};
use tessera_api::types::{ResourceRow, Resources};

/// Jobs that a line names, at most.
const JOBS_SHOWN: usize = 8;

/// Prints a list of resources, then which clusters have parts of the farm.
#[must_use]
pub fn resources_and_shares(look: &Look, all: &Resources) -> String {
    let mut out = resources(look, &all.resources);
    if all.shares.is_empty() {
        return out;
    }
    let mut table = Table::new(&[
        Column::flexible("CLUSTER"),
        Column::right("WEIGHT"),
        Column::right("SLOTS"),
    ]);
    for it in &all.shares {
        table.row([
            Cell::from(&it.cluster),
            Cell::from(it.weight.to_string()),
            Cell::from(it.slots.to_string()),
        ]);
    }
    out.push('\n');
    out += &table.print(look);
    out
}

/// Prints a list of resources, then what counts no more.
#[must_use]
pub fn resources(look: &Look, all: &[ResourceRow]) -> String {
    if all.is_empty() {
        let none = "no resources; tessera resource set license.NAME --total N makes one\n";
        return none.to_owned();
    }
    let mut table = Table::new(&[
        Column::flexible("RESOURCE"),
        Column::right("HELD"),
        Column::right("TOTAL"),
        Column::right("OTHERS"),
        Column::right("FREE"),
        Column::flexible("HELD BY"),
    ]);
    for it in all {
        let tone = match it.free {
            0 => Tone::Warn,
            _ => Tone::Plain,
        };
        let total = it
            .total
            .map_or_else(|| "?".to_owned(), |total| total.to_string());
        table.row([
            Cell::from(&it.name),
            Cell::from(it.held.to_string()),
            Cell::from(total),
            Cell::from(it.others.to_string()),
            Cell::toned(tone, it.free.to_string()),
            Cell::from(holders(it)),
        ]);
    }
    let mut out = table.print(look);
    for it in all {
        for said in [unknown(it), passing(look, it)].into_iter().flatten() {
            let said = format!("{}: {said}", it.name);
            let said = text::safe(&said).into_owned();
            let lines = if look.is_terminal() {
                text::wrap(&said, look.columns())
            } else {
                vec![said]
            };
            for line in lines {
                out += &line;
                out.push('\n');
            }
        }
    }
    out
}

/// Tells who has it: `job 12 (8 in 4), job 15 (2)`.
fn holders(it: &ResourceRow) -> String {
    let named = it.holders.iter().take(JOBS_SHOWN);
    let mut all: Vec<String> = named
        .map(|holder| match (holder.held, holder.instances) {
            (held, instances) if held == u64::from(instances) => format!("{} ({held})", holder.job),
            (held, instances) => format!("{} ({held} in {instances})", holder.job),
        })
        .collect();
    let more = it.holders.len().saturating_sub(JOBS_SHOWN) as u64 + it.more_holders;
    if more > 0 {
        all.push(format!("{more} more"));
    }
    match (all.len(), it.holders.len()) {
        (0, _) => String::new(),
        (_, 1) => format!("job {}", all.join("")),
        _ => format!("jobs {}", all.join(", ")),
    }
}

fn unknown(it: &ResourceRow) -> Option<String> {
    let is_unknown = it.total.is_none();
    is_unknown.then(|| "nobody has said how many there are; no more is given away".to_owned())
}

/// Tells for how long it counts what was said of others, or that it counts no more.
fn passing(look: &Look, it: &ResourceRow) -> Option<String> {
    let by = it.said_by.as_deref().unwrap_or("somebody");
    if let Some(used) = it.others_expired {
        let ago = it
            .others_said_ms
            .map(|at| time::ago(look, at))
            .unwrap_or_default();
        return Some(format!(
            "others used {used}, {by} said {ago}: that counts no more, since nobody said it anew in time"
        ));
    }
    let until = it.others_until_ms?;
    Some(format!(
        "others use {}, {by} says: that counts until it is said anew, for {} at most",
        it.others,
        time::length(u64::try_from(until.saturating_sub(look.now_ms)).unwrap_or(0))
    ))
}
