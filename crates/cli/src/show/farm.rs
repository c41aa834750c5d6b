//! What came of actions, tokens, cleanup, and who you are.

use super::Facts;
use crate::out::table::{Cell, Column, Table};
use crate::out::{Look, Tone, text, time};
use tessera_api::types::{
    ActionReply, Changed, CleanupReply, Info, JoinToken, NewToken, SessionLink, SiteCertificate,
    TargetResult, Token,
};

/// Jobs that a clean-up lists.
const CLEANED_SHOWN_MAX: usize = 20;

/// Prints what was done to which target; refusals are printed as errors elsewhere.
#[must_use]
pub fn actions(look: &Look, done: &str, reply: &ActionReply) -> String {
    let line = |result: &TargetResult| {
        let changed = result.ok.as_ref()?;
        let target = text::safe(&result.target).into_owned();
        Some(format!(
            "{} {target}{}\n",
            look.paint(Tone::Good, done),
            amount(*changed)
        ))
    };
    reply.results.iter().filter_map(line).collect()
}

fn amount(changed: Changed) -> String {
    let items = (changed.items > 0).then(|| time::count(u64::from(changed.items), "frame"));
    let instances =
        (changed.instances > 0).then(|| time::count(u64::from(changed.instances), "instance"));
    match (items, instances) {
        (Some(items), Some(instances)) => format!(" ({items}, {instances})"),
        (Some(one), None) | (None, Some(one)) => format!(" ({one})"),
        (None, None) => String::new(),
    }
}

/// Prints who the farm takes the caller for.
#[must_use]
pub fn info(look: &Look, info: &Info) -> String {
    let mut facts = Facts::default();
    facts.add(
        "you are",
        format!("{} ({})", info.caller.name, info.caller.proof),
    );
    if info.caller.is_admin {
        facts.add("you are", "an administrator: you may do everything");
    } else {
        facts.add("you may", "act on your own jobs");
    }
    facts.add("farm", format!("{} ({})", info.farm_name, info.farm_id));
    facts.add(
        "supervisor",
        format!("version {}, API {}", info.version, info.api),
    );
    facts.add_some("address", info.address.clone());
    facts.add("CA SHA-256", info.ca_sha256.clone());
    facts.print(look)
}

/// Prints a token that was made: the only time that it is shown.
#[must_use]
pub fn new_token(look: &Look, token: &NewToken) -> String {
    let mut facts = Facts::default();
    facts.add("token", token.token.clone());
    facts.add("id", token.id.clone());
    facts.add("of", token.user.clone());
    facts.add_some(
        "good until",
        token.expires_ms.map(|at| time::day_and_time(look, at)),
    );
    let once = "It is shown this once; what is kept of it is a hash.\n";
    facts.print(look) + &look.paint(Tone::Dim, once)
}

/// Says what a token is good for; its id tells of a session or a scraper.
fn rights(token: &Token) -> &'static str {
    match token.id.as_bytes().first() {
        Some(b'm') => "metrics",
        _ if token.admin => "admin",
        _ => "own",
    }
}

/// Prints a list of tokens.
#[must_use]
pub fn tokens(look: &Look, tokens: &[Token]) -> String {
    if tokens.is_empty() {
        return "no tokens\n".to_owned();
    }
    let mut table = Table::new(&[
        Column::left("ID"),
        Column::flexible("USER"),
        Column::left("RIGHTS"),
        Column::left("MADE"),
        Column::left("USED"),
        Column::left("GOOD UNTIL"),
        Column::flexible("NOTE"),
    ]);
    for token in tokens {
        let is_over = token.expires_ms.is_some_and(|at| at <= look.now_ms);
        let until = token
            .expires_ms
            .map(|at| time::day_and_time(look, at))
            .unwrap_or_default();
        table.row([
            Cell::from(&token.id),
            Cell::from(&token.user),
            Cell::from(rights(token)),
            Cell::from(time::ago(look, token.created_ms)),
            Cell::from(
                token
                    .last_used_ms
                    .map_or_else(|| "never".to_owned(), |at| time::ago(look, at)),
            ),
            Cell::toned(if is_over { Tone::Bad } else { Tone::Plain }, until),
            Cell::from(&token.note),
        ]);
    }
    table.print(look)
}

/// Prints a join string; alone on stdout when that is no terminal.
#[must_use]
pub fn join_token(look: &Look, token: &JoinToken) -> String {
    let string = text::safe(&token.join_string);
    if !look.is_terminal() {
        return format!("{string}\n");
    }
    format!(
        "on the new host, as root:\n\n  tessera join '{string}'\n\ngood once, until {}\n",
        time::day_and_time(look, token.expires_ms)
    )
}

/// Prints a link that logs a browser in; alone on stdout when that is no terminal.
#[must_use]
pub fn session_link(look: &Look, link: &SessionLink) -> String {
    let url = text::safe(&link.url);
    if !look.is_terminal() {
        return format!("{url}\n");
    }
    let mut out = format!(
        "open this in a browser, once, until {}; it is then {}:\n\n  {url}\n\n",
        time::day_and_time(look, link.expires_ms),
        text::safe(&link.user),
    );
    if let Some(ca) = &link.unknown_ca {
        out += &format!(
            "The first time the browser warns, rightly: it doesn't know the farm's own CA, and can't tell this\n\
             supervisor from somebody in between. Before you go on, look at the certificates that it shows: the\n\
             SHA-256 of the CA, the upper one, must be\n\n  {}\n\nIf it is not, don't go on.\n",
            text::safe(ca)
        );
    }
    out
}

/// Says which certificate of the site's own browsers are shown, and what is wrong with it.
#[must_use]
pub fn site(look: &Look, it: &SiteCertificate) -> String {
    let Some(certificate) = &it.certificate else {
        return "no certificate of the site's own is set: browsers are shown the farm's, and warn\n\
                set site_certificate and site_key in supervisor.toml (docs/web.md)\n"
            .to_owned();
    };
    let mut facts = Facts::default();
    facts.add("Certificate", certificate);
    facts.add_some("Key", it.key.as_ref());
    let shown = if it.is_shown {
        "to browsers that ask for one of its names"
    } else {
        "no: browsers are shown the farm's own"
    };
    facts.add("Shown", shown);
    if !it.names.is_empty() {
        facts.add("Names", it.names.join(", "));
    }
    let until = it.expires_ms.map(|at| time::day_and_time(look, at));
    facts.add_some("Good until", until);
    facts.add_some("SHA-256", it.sha256.as_ref());
    if it.is_shown && !it.is_of_links {
        let text = format!(
            "tessera open names {}, which the certificate is not good for: set supervisor_address",
            it.address
        );
        facts.add("Links", text);
    }
    facts.add_some("Wrong", it.problem.as_ref());
    facts.print(look)
}

/// Answers the address that a join string names when it is one that only this machine reaches.
#[must_use]
pub fn loopback_of(join_string: &str) -> Option<&str> {
    // tessera-join:VERSION:HOST:PORT:SECRET:FINGERPRINT, and a host may have colons itself.
    let (_, rest) = join_string.split_once(':')?.1.split_once(':')?;
    let address = rest.rsplitn(3, ':').nth(2)?;
    let host = address.rsplit_once(':')?.0;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let ip = bare.parse::<std::net::IpAddr>();
    (bare == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())).then_some(address)
}

/// Prints what a clean-up removed, or would.
#[must_use]
pub fn cleanup(look: &Look, reply: &CleanupReply) -> String {
    let mut table = Table::new(&[
        Column::right("JOB"),
        Column::flexible("NAME"),
        Column::flexible("USER"),
        Column::left("ENDED"),
        Column::right("LOGS"),
    ]);
    for job in reply.jobs.iter().take(CLEANED_SHOWN_MAX) {
        table.row([
            Cell::from(job.id.to_string()),
            Cell::from(&job.name),
            Cell::from(&job.user),
            Cell::from(time::ago(look, job.ended_ms)),
            Cell::from(time::size(job.log_bytes)),
        ]);
    }
    let more = reply.jobs_removed.saturating_sub(CLEANED_SHOWN_MAX as u64);
    let mut out = table.print(look);
    if more > 0 {
        out += &format!("… and {}\n", time::count(more, "more job"));
    }
    let verb = if reply.dry_run {
        "would remove"
    } else {
        "removed"
    };
    out + &format!(
        "{verb} {}, {} of logs, {} of history\n",
        time::count(reply.jobs_removed, "job"),
        time::size(reply.log_bytes),
        time::count(reply.events_removed, "line")
    )
}
