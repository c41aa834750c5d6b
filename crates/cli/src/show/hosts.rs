//! Hosts.

use super::Facts;
use crate::out::table::{Cell, Column, Table};
use crate::out::{Look, Tone, text, time};
use tessera_api::types::{
    HostDetail, HostReserved, HostRow, HostSettings, ReconfigureReply, RunningRow,
};

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
            Cell::from(slots(row)),
            Cell::from(runs_as(row)),
            Cell::from(memory(row).unwrap_or_default()),
            Cell::from(system(row)),
            Cell::toned(Tone::Dim, last_seen(look, row)),
        ]);
    }
    let mut out = table.print(look);
    for row in rows {
        if let Some(locked) = row.locked.as_ref().filter(|_| row.status == "up") {
            let said = look.line(&format!("{}: {locked}", row.name), look.columns());
            out += &format!("{said}\n");
        }
        if let Some(active) = row.active.as_ref().filter(|_| row.status == "up") {
            let said = look.line(&format!("{}: {active}", row.name), look.columns());
            out += &format!("{said}\n");
        }
        if let Some(reserved) = &row.reserved {
            let said = format!("{}: {}", row.name, reserved_for(look, reserved));
            out += &format!("{}\n", look.line(&said, look.columns()));
        }
        if let Some(trouble) = row.settings.as_ref().and_then(settings_trouble) {
            let said = look.line(&format!("{}: {trouble}", row.name), look.columns());
            out += &format!("{}\n", look.paint(Tone::Dim, &said));
        }
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

/// Says for which job a host is being emptied, and until when.
fn reserved_for(look: &Look, reserved: &HostReserved) -> String {
    let at = time::minute(look, reserved.until_ms);
    let guess = if reserved.is_known { "" } else { ", a guess" };
    let job = reserved.job;
    format!("reserved for job {job} until about {at}{guess}; takes what is over by then")
}

/// Answers the word to show for a host's state: one that is up and locked is `locked`.
#[must_use]
pub fn state(row: &HostRow) -> &str {
    if (row.is_locked || row.active.is_some()) && row.status == "up" {
        "locked"
    } else {
        &row.status
    }
}

/// Says how many of its slots are in use, and how many there are; of those that are given work when others are locked.
fn slots(row: &HostRow) -> String {
    let (used, all) = (row.used_slots, row.slots);
    match row.open_slots.filter(|_| !row.is_locked) {
        Some(open) => format!("{used}/{open} of {all}"),
        None => format!("{used}/{all}"),
    }
}

/// Says who its jobs run as.
fn runs_as(row: &HostRow) -> String {
    match (row.mode.as_str(), &row.account) {
        ("user", _) => "their owner".to_owned(),
        ("desktop", Some(account)) if !row.allows.is_empty() => {
            format!("{account} (desktop; also jobs of {})", allowed(row))
        }
        (mode, Some(account)) => format!("{account} ({mode})"),
        (mode, None) => mode.to_owned(),
    }
}

/// Names that a line says at most.
const NAMES_SAID: usize = 5;

/// Digits of a hash that are shown.
const HASH_SHOWN: usize = 8;

/// Says what of the farm's configuration a host did not take, or not yet; nothing when all is well.
fn settings_trouble(settings: &HostSettings) -> Option<String> {
    let mut parts = Vec::new();
    if settings.is_current == Some(false) {
        parts.push(
            "has not taken what workers.toml sets for it now (tessera reconfigure)".to_owned(),
        );
    }
    let refused = settings.refused.iter().take(NAMES_SAID);
    parts.extend(refused.map(|(key, why)| format!("{key} is not taken: {why}")));
    if !settings.restart.is_empty() {
        let keys = settings.restart.join(", ");
        parts.push(format!("from its worker's next start: {keys}"));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// Says which values a host has.
fn settings_line(settings: &HostSettings) -> String {
    let shown: Option<String> = settings
        .taken
        .as_ref()
        .map(|it| it.chars().take(HASH_SHOWN).collect());
    let has = match (settings.lookup.as_str(), shown) {
        ("local", _) => "its own file's only (worker_lookup)".to_owned(),
        (lookup, Some(hash)) => format!("{hash} of the farm, by lookup {lookup}"),
        (_, None) => "none of the farm yet".to_owned(),
    };
    match settings_trouble(settings) {
        Some(trouble) => format!("{has}; {trouble}"),
        None => has,
    }
}

/// Prints what came of a reconfiguration.
#[must_use]
pub fn reconfigured(look: &Look, reply: &ReconfigureReply) -> String {
    let mut table = Table::new(&[
        Column::flexible("HOST"),
        Column::flexible("CHANGED"),
        Column::flexible("NOW"),
    ]);
    for host in &reply.hosts {
        let (tone, now) = match &host.settings {
            None => (
                Tone::Dim,
                "its worker takes no settings (an older release)".to_owned(),
            ),
            Some(it) if it.lookup == "local" => (Tone::Dim, "takes its own file only".to_owned()),
            Some(it) => match settings_trouble(it) {
                None => (Tone::Good, "taken".to_owned()),
                Some(trouble) => (Tone::Bad, trouble),
            },
        };
        table.row([
            Cell::from(&host.name),
            Cell::from(host.changed.join(", ")),
            Cell::toned(tone, now),
        ]);
    }
    let mut out = table.print(look);
    if reply.hosts.is_empty() {
        out += "no host that is meant is connected; each gets it when it connects\n";
    }
    for name in &reply.away {
        let said = look.line(
            &format!("{name} is not connected; it gets it when it connects"),
            look.columns(),
        );
        out += &format!("{said}\n");
    }
    for warning in &reply.warnings {
        // Never cut: what is wrong stands at the end.
        out += &format!("{}\n", text::safe(warning));
    }
    out
}

/// Says whom a desktop lets in.
fn allowed(row: &HostRow) -> String {
    if row.allows.iter().any(|it| it == "*") {
        return "everybody".to_owned();
    }
    let first: Vec<&str> = row
        .allows
        .iter()
        .take(NAMES_SAID)
        .map(String::as_str)
        .collect();
    match row.allows.len().saturating_sub(NAMES_SAID) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
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
    match (&row.locked, row.is_locked) {
        (Some(locked), _) => facts.add("locked", locked.clone()),
        (None, true) => facts.add(
            "locked",
            "given nothing new; unlock it to give it work again",
        ),
        (None, false) => {}
    }
    facts.add_some("locked weekly", row.lock_calendar.clone());
    facts.add_some("lock schedule", row.lock_schedule.clone());
    facts.add_some("active", row.active.clone());
    let reserved = row.reserved.as_ref();
    facts.add_some("reserved", reserved.map(|it| reserved_for(look, it)));
    if let Some(rule) = &row.while_active {
        let seconds = rule.idle_seconds.unwrap_or_default();
        let running = rule.running.as_deref().unwrap_or("keep");
        facts.add(
            "locks itself",
            format!(
                "while somebody is active, until idle for {seconds} s; what runs then: {running}"
            ),
        );
    }
    if row.mode == "desktop" {
        let nobody = "its own person only".to_owned();
        let others = if row.allows.is_empty() {
            nobody
        } else {
            format!("its own person and {}", allowed(row))
        };
        facts.add("runs jobs of", others);
    }
    facts.add("id", row.id.clone());
    facts.add(
        "slots",
        format!("{} of {} in use", row.used_slots, row.slots),
    );
    facts.add("jobs run as", runs_as(row));
    if let Some(settings) = &row.settings {
        facts.add("settings", settings_line(settings));
    }
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
