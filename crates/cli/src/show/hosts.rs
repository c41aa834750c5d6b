//! Hosts.

use super::Facts;
use crate::out::table::{Cell, Column, Table};
use crate::out::{Look, Tone, time};
use tessera_api::types::{HostDetail, HostRow, RunningRow};

/// Mebibyte, the unit of `host.memory`.
const MIB: u64 = 1024 * 1024;

/// Prints a list of hosts.
#[must_use]
pub fn hosts(look: &Look, rows: &[HostRow]) -> String {
    if rows.is_empty() {
        return "no hosts; on one of them run: tessera join STRING (from tessera join-string)\n"
            .to_owned();
    }
    let mut table = Table::new(&[
        Column::flexible("HOST"),
        Column::left("STATE"),
        Column::right("SLOTS"),
        Column::flexible("RUNS AS"),
        Column::right("MEMORY"),
        Column::flexible("SYSTEM"),
        Column::left("SEEN"),
    ]);
    for row in rows {
        table.row([
            Cell::from(&row.name),
            Cell::state(state(row)),
            Cell::from(format!("{}/{}", row.used_slots, row.slots)),
            Cell::from(runs_as(row)),
            Cell::from(memory(row).unwrap_or_default()),
            Cell::from(system(row)),
            Cell::toned(Tone::Dim, last_seen(look, row)),
        ]);
    }
    let mut out = table.print(look);
    for row in rows {
        if let Some(reason) = &row.reason {
            let said = look.line(&format!("{}: {reason}", row.name), look.columns());
            out += &format!("{}\n", look.paint(Tone::Bad, &said));
        }
    }
    out
}

fn last_seen(look: &Look, row: &HostRow) -> String {
    let seen = row.last_seen_ms.map(|at| time::ago(look, at));
    seen.unwrap_or_else(|| "never".to_owned())
}

/// Answers the word to show for a host's state: one that is up and locked is `locked`.
fn state(row: &HostRow) -> &str {
    if row.is_locked && row.status == "up" {
        "locked"
    } else {
        &row.status
    }
}

/// Says who its jobs run as.
fn runs_as(row: &HostRow) -> String {
    match (row.mode.as_str(), &row.account) {
        ("user", _) => "their owner".to_owned(),
        (mode, Some(account)) => format!("{account} ({mode})"),
        (mode, None) => mode.to_owned(),
    }
}

/// Says how much memory it has, and before it how much of it is reserved, if some is.
fn memory(row: &HostRow) -> Option<String> {
    let size = |mib: &u64| time::size(mib.saturating_mul(MIB));
    let all = row.resources.get("host.memory").map(size)?;
    let used = row.used_resources.get("host.memory").map(size);
    Some(used.map_or_else(|| all.clone(), |used| format!("{used}/{all}")))
}

fn system(row: &HostRow) -> String {
    let property = |name: &str| row.properties.get(name).map(String::as_str);
    let parts = [property("host.os"), property("host.architecture")];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// Prints everything about a host.
#[must_use]
pub fn host(look: &Look, detail: &HostDetail) -> String {
    let row = &detail.host;
    let word = state(row);
    let mut out = format!(
        "{} {}\n",
        look.paint(
            Tone::Bold,
            &format!("host {}", look.line(&row.name, look.columns()))
        ),
        look.paint(Tone::of_state(word), word)
    );
    let mut facts = Facts::default();
    facts.add_some("reason", row.reason.clone());
    if row.is_locked {
        facts.add(
            "locked",
            "given nothing new; unlock it to give it work again",
        );
    }
    facts.add("id", row.id.clone());
    facts.add(
        "slots",
        format!("{} of {} in use", row.used_slots, row.slots),
    );
    facts.add("jobs run as", runs_as(row));
    facts.add("version", row.version.clone());
    facts.add("last seen", last_seen(look, row));
    out += &facts.print(look);
    out += &details(row);
    let running = running(look, &detail.running);
    if !running.is_empty() {
        out.push('\n');
        out += &running;
    }
    out
}

fn details(row: &HostRow) -> String {
    let properties = row
        .properties
        .iter()
        .map(|(name, value)| (name, value.clone()));
    let resources = row
        .resources
        .iter()
        .map(|(name, value)| match row.used_resources.get(name) {
            Some(used) => (name, format!("{value}, {used} of them reserved")),
            None => (name, value.to_string()),
        });
    let mut all: Vec<_> = properties.chain(resources).collect();
    all.sort();
    let lines = all.iter().map(|(name, value)| {
        let safe = crate::out::text::safe;
        format!("  {} = {}\n", safe(name), safe(value))
    });
    lines.collect()
}

fn running(look: &Look, rows: &[RunningRow]) -> String {
    let mut table = Table::new(&[
        Column::left("RUNNING"),
        Column::flexible("NAME"),
        Column::flexible("OWNER"),
        Column::flexible("AS"),
        Column::left("FRAME"),
        Column::left("SINCE"),
    ]);
    for row in rows {
        let frame = row
            .item_name
            .clone()
            .or_else(|| row.item.map(|item| format!("#{}", item + 1)));
        table.row([
            Cell::from(format!("{}.{}", row.job, row.instance)),
            Cell::from(&row.name),
            Cell::from(&row.user),
            Cell::from(row.account.as_deref().unwrap_or("")),
            Cell::from(frame.unwrap_or_default()),
            Cell::toned(
                Tone::Dim,
                row.since_ms
                    .map(|at| time::ago(look, at))
                    .unwrap_or_default(),
            ),
        ]);
    }
    table.print(look)
}
