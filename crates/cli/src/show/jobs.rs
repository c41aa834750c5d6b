//! Jobs.

use super::Facts;
use crate::out::table::{Cell, Column, Table};
use crate::out::{Look, Tone, text, time};
use tessera_api::types::{InstanceRow, ItemCounts, JobDetail, JobSummary, Jobs, SpecView};

/// Answers the word to show for a job's state: *stranded*, *failing* and *retrying* are shown, not stored.
#[must_use]
pub fn job_state(job: &JobSummary) -> &str {
    if job.is_stranded {
        "stranded"
    } else if job.is_failing {
        "failing"
    } else if job.is_retrying {
        "retrying"
    } else {
        &job.status
    }
}

/// Answers how many items have ended.
#[must_use]
pub fn items_ended(counts: &ItemCounts) -> u32 {
    counts
        .complete
        .saturating_add(counts.failed)
        .saturating_add(counts.killed)
}

/// Prints a list of jobs.
#[must_use]
pub fn jobs(look: &Look, page: &Jobs) -> String {
    if page.jobs.is_empty() {
        return "no jobs\n".to_owned();
    }
    let has_failed = page.jobs.iter().any(|job| job.items.failed > 0);
    let columns = [
        Some(Column::right("ID")),
        Some(Column::flexible("NAME")),
        Some(Column::flexible("USER")),
        Some(Column::left("STATE")),
        Some(Column::right("PRI")),
        Some(Column::right("RUN")),
        Some(Column::right("DONE")),
        // Names have its room on a page where nothing has failed.
        has_failed.then(|| Column::right("FAILED")),
        Some(Column::right("TIME")),
        Some(Column::left("SUBMITTED")),
    ];
    let mut table = Table::new(&columns.into_iter().flatten().collect::<Vec<_>>());
    for job in &page.jobs {
        let done = format!("{}/{}", job.items.complete, job.items.total);
        let failed = match job.items.failed {
            0 => String::new(),
            n => n.to_string(),
        };
        let cells = [
            Some(Cell::from(job.id.to_string())),
            Some(Cell::from(&job.name)),
            Some(Cell::from(&job.user)),
            Some(Cell::state(job_state(job))),
            Some(Cell::from(job.priority.to_string())),
            Some(Cell::from(job.items.running.to_string())),
            Some(Cell::from(done)),
            has_failed.then(|| Cell::toned(Tone::Bad, failed)),
            Some(Cell::from(run_time(look, job).unwrap_or_default())),
            Some(Cell::toned(Tone::Dim, time::ago(look, job.submitted_ms))),
        ];
        table.row(cells.into_iter().flatten());
    }
    let mut out = table.print(look);
    if page.next.is_some() && look.is_terminal() {
        out += &look.paint(Tone::Dim, "there are more: --limit N or --all\n");
    }
    out
}

fn run_time(look: &Look, job: &JobSummary) -> Option<String> {
    let start = job.started_ms?;
    let end = job.ended_ms.unwrap_or(look.now_ms);
    Some(time::length(
        u64::try_from(end.saturating_sub(start)).unwrap_or(0),
    ))
}

/// Prints everything about a job but its items.
#[must_use]
pub fn job(look: &Look, detail: &JobDetail) -> String {
    let job = &detail.job;
    let state = job_state(job);
    let name = look.line(&job.name, look.columns().saturating_sub(30));
    let mut out = format!(
        "{} {} {}\n",
        look.paint(Tone::Bold, &format!("job {}", job.id)),
        name,
        look.paint(Tone::of_state(state), state)
    );
    let mut facts = Facts::default();
    facts.add("owner", format!("{} ({})", job.user, detail.proof));
    let command = match detail.spec.command.as_slice() {
        [] => "shown to its owner and the farm's administrators".to_owned(),
        words => text::command(words),
    };
    facts.add("command", command);
    facts.add(
        if job.kind == "cmdrange" {
            "frames"
        } else {
            "items"
        },
        counts_line(&job.items),
    );
    frames_facts(&mut facts, &detail.spec);
    facts.add("priority", job.priority.to_string());
    facts.add("instances", instances_line(job, detail.spec.max_cpus));
    facts.add(
        "submitted",
        format!(
            "{} ({})",
            time::day_and_time(look, job.submitted_ms),
            time::ago(look, job.submitted_ms)
        ),
    );
    facts.add_some(
        "started",
        job.started_ms.map(|at| time::day_and_time(look, at)),
    );
    facts.add_some("ended", job.ended_ms.map(|at| time::day_and_time(look, at)));
    facts.add_some("took", run_time(look, job));
    place_facts(&mut facts, &detail.spec);
    limit_facts(&mut facts, &detail.spec);
    if !detail.hosts.is_empty() {
        facts.add("runs on", detail.hosts.join(", "));
    }
    out += &facts.print(look);
    let instances = instances(look, detail);
    if !instances.is_empty() {
        out.push('\n');
        out += &instances;
    }
    out
}

/// Says how many instances are on hosts, and of a job that may have more than its `cpus` how many of them are secondary.
fn instances_line(job: &JobSummary, most: u32) -> String {
    let own = job
        .running_instances
        .saturating_sub(job.secondary_instances);
    let mut said = format!("{own} of {} on a host", job.cpus);
    if most > job.cpus {
        let more = most - job.cpus;
        said += &format!(", and {} of {more} secondary", job.secondary_instances);
    }
    said
}

fn frames_facts(facts: &mut Facts, spec: &SpecView) {
    let Some(range) = &spec.range else { return };
    let mut said = range.clone();
    match (spec.chunk, spec.partitions) {
        (Some(chunk), _) if chunk > 1 => said += &format!(", {chunk} a process"),
        (_, Some(parts)) => said += &format!(", in {parts} parts"),
        _ => {}
    }
    if let Some(order) = spec.order.as_deref().filter(|order| *order != "ascend") {
        said += &format!(", {order} order");
    }
    if let Some(padding) = spec.padding.filter(|padding| *padding > 0) {
        said += &format!(", {padding} digits");
    }
    facts.add("range", said);
}

fn place_facts(facts: &mut Facts, spec: &SpecView) {
    facts.add(
        "directory",
        spec.cwd
            .clone()
            .unwrap_or_else(|| "the account's home".to_owned()),
    );
    facts.add("umask", spec.umask.clone());
    if !spec.flags.is_empty() {
        facts.add("flags", spec.flags.join(", "));
    }
    if !spec.env.is_empty() {
        let shown: Vec<String> = spec
            .env
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        facts.add("env", shown.join(" "));
    }
    if !matches!(spec.reservations.as_str(), "" | "host.processors=1") {
        facts.add("reservations", spec.reservations.clone());
    }
    if !spec.hosts.is_empty() {
        facts.add("hosts", spec.hosts.join(", "));
    }
    if !spec.omithosts.is_empty() {
        facts.add("omithosts", spec.omithosts.join(", "));
    }
    if !matches!(spec.cluster.as_str(), "" | "/") {
        facts.add("cluster", spec.cluster.clone());
    }
    if !spec.restrictions.is_empty() {
        facts.add("restrictions", spec.restrictions.clone());
    }
    if !spec.requirements.is_empty() {
        facts.add("requirements", spec.requirements.clone());
    }
    if !spec.host_order.is_empty() {
        facts.add("host order", spec.host_order.clone());
    }
    if !spec.groups.is_empty() {
        facts.add("groups", spec.groups.join(", "));
    }
    if !spec.omitgroups.is_empty() {
        facts.add("omitgroups", spec.omitgroups.join(", "));
    }
    match &spec.after {
        Some(after) => facts.add("after", after.clone()),
        // What an older supervisor says of it.
        None if spec.waitfor.is_empty() => {}
        None => {
            let ids: Vec<String> = spec.waitfor.iter().map(u64::to_string).collect();
            facts.add("after", ids.join(" && "));
        }
    }
    facts.add_some("label", spec.label.clone());
    facts.add_some("pgrp", spec.pgrp.map(|job| job.to_string()));
    if !spec.mail.is_empty() {
        let to = spec.mail_to.as_deref().unwrap_or("its owner");
        facts.add("mail", format!("{} to {to}", spec.mail.join(", ")));
    }
    if !spec.notes.is_empty() {
        facts.add("notes", spec.notes.clone());
    }
}

fn limit_facts(facts: &mut Facts, spec: &SpecView) {
    if !spec.webhooks.is_empty() {
        facts.add("webhooks", spec.webhooks.join(" "));
    }
    if spec.retrywork > 0 {
        let pause = match spec.retryworkdelay_ms {
            0 => String::new(),
            ms => format!(", {} apart", time::length(ms)),
        };
        facts.add("retrywork", format!("{}{pause}", spec.retrywork));
    }
    if spec.retrysubjob > 0 {
        facts.add("retrysubjob", spec.retrysubjob.to_string());
    }
    if spec.max_failures > 0 {
        facts.add("max-failures", spec.max_failures.to_string());
    }
    if spec.reservations.contains("host.memory") {
        facts.add("retry-oom", spec.retry_oom.to_string());
    }
    let instances = [
        ("its process group", spec.pgrp_limit),
        ("one host", spec.per_host),
    ];
    for (of, most) in instances {
        facts.add_some(
            "at once",
            most.map(|most| format!("{most} instances of {of}")),
        );
    }
    facts.add_some("start rate", spec.start_rate.clone());
    let limits = [
        ("timelimit", "an instance", spec.timelimit_ms),
        ("timelimit", "a frame", spec.agendatimelimit_ms),
        ("timelimit", "of silence", spec.silence_limit_ms),
    ];
    for (label, of, ms) in limits {
        facts.add_some(label, ms.map(|ms| format!("{} {of}", time::length(ms))));
    }
    facts.add_some("progress", spec.progress.clone());
}

/// Prints how many items are in which state: `57 complete, 2 running, 41 pending of 100`.
#[must_use]
pub fn counts_line(counts: &ItemCounts) -> String {
    let each = [
        (counts.complete, "complete"),
        (counts.failed, "failed"),
        (counts.killed, "killed"),
        (counts.running, "running"),
        (counts.suspended, "suspended"),
        (counts.waiting, "waiting"),
        (counts.blocked, "blocked"),
        (counts.pending, "pending"),
    ];
    let some: Vec<String> = each
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| format!("{n} {word}"))
        .collect();
    if some.len() == 1 {
        return some.join("");
    }
    format!("{} of {}", some.join(", "), counts.total)
}

fn instances(look: &Look, detail: &JobDetail) -> String {
    let job = detail.job.id;
    // Those that only wait for room that nobody wants say nothing.
    let mut missing = detail.job.cpus.saturating_sub(detail.job.running_instances);
    let says = |row: &&InstanceRow| {
        if row.status != "pending" || detail.spec.max_cpus <= detail.job.cpus {
            return true;
        }
        let is_missing = missing > 0;
        missing = missing.saturating_sub(1);
        is_missing
    };
    let rows = detail.instances.iter().filter(says);
    let mut table = Table::new(&[
        Column::left("INSTANCE"),
        Column::left("STATE"),
        Column::flexible("HOST"),
        Column::left("AS"),
        Column::right("ITEM"),
        Column::left("SINCE"),
        Column::flexible("REASON"),
    ]);
    for row in rows {
        table.row([
            Cell::from(format!("{job}.{}", row.instance)),
            Cell::state(&row.status),
            Cell::from(row.host.as_deref().unwrap_or("")),
            Cell::from(row.account.as_deref().unwrap_or("")),
            Cell::from(
                row.item
                    .map(|item| format!("#{}", item + 1))
                    .unwrap_or_default(),
            ),
            Cell::toned(
                Tone::Dim,
                row.since_ms
                    .map(|at| time::ago(look, at))
                    .unwrap_or_default(),
            ),
            Cell::from(match (row.reason.as_deref(), row.is_secondary) {
                (Some(reason), _) => reason,
                (None, true) => "secondary",
                (None, false) => "",
            }),
        ]);
    }
    table.print(look)
}

/// Prints a bar of the items of a job for so many columns: done, failed, running, to come.
#[must_use]
pub fn bar(look: &Look, counts: &ItemCounts, columns: usize) -> String {
    let total = u64::from(counts.total).max(1);
    let room = u64::try_from(columns).unwrap_or(u64::MAX);
    let upto = |items: u32| {
        usize::try_from(u64::from(items) * room / total)
            .unwrap_or(columns)
            .min(columns)
    };
    let bad = upto(counts.failed.saturating_add(counts.killed));
    let ended = upto(items_ended(counts));
    let active = upto(
        items_ended(counts)
            .saturating_add(counts.running)
            .saturating_add(counts.suspended),
    );
    let good = ended.saturating_sub(bad);
    let mut out = look.paint(Tone::Good, &"█".repeat(good));
    out += &look.paint(Tone::Bad, &"▓".repeat(ended - good));
    out += &look.paint(Tone::Active, &"▒".repeat(active - ended));
    out += &look.paint(Tone::Dim, &"░".repeat(columns - active));
    out
}
