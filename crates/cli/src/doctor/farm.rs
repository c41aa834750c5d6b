//! The farm as this host sees it.

use super::{Finding, Level};
use crate::out::{now_ms, text, time};
use crate::run::Context;
use tessera_api::types::{HostRow, Info, Usage};

/// Offset of clocks above which the farm warns, in milliseconds.
const CLOCK_WARN_MS: u64 = 30_000;
/// Offset above which it gives a host no work, in milliseconds.
const CLOCK_BAD_MS: u64 = 60_000;
/// Free space below which a supervisor is soon unable to write, in bytes.
const FREE_MIN: u64 = 1 << 30;

/// Looks at the farm.
pub(super) async fn look(context: &Context) -> Vec<Finding> {
    let client = match context.client() {
        Ok(client) => client,
        Err(error) => {
            let mut finding =
                Finding::bad("farm", format!("{error} ({})", error.details.join("; ")));
            finding.mend = error.hints.first().cloned();
            return vec![finding];
        }
    };
    let begun = now_ms();
    let info = match client.info().await {
        Ok(info) => info,
        Err(error) => {
            let mut finding = Finding::bad("farm", error.to_string());
            finding.mend = error.hint().map(str::to_owned);
            return vec![finding];
        }
    };
    let mut findings = vec![
        Finding::good(
            "farm",
            format!("{} at {}", text::safe(&info.farm_name), client.endpoint()),
        ),
        Finding::good(
            "you",
            format!("{} ({})", info.caller.name, info.caller.proof),
        ),
        version(&info),
        clock(&info, begun.midpoint(now_ms())),
    ];
    match client.health().await {
        Ok(health) if health.status == "ok" => findings.push(Finding::good("supervisor", "serves")),
        Ok(health) => findings.push(
            Finding::bad("supervisor", health.status)
                .mend("look at its log; free space or mend its state folder"),
        ),
        Err(error) => findings.push(Finding::bad("supervisor", error.to_string())),
    }
    if let Ok(usage) = client.usage().await {
        findings.push(space(&usage));
    }
    match client.hosts().await {
        Ok(hosts) => findings.extend(judge_hosts(&hosts.hosts)),
        Err(error) => findings.push(Finding::bad("hosts", error.to_string())),
    }
    findings
}

fn version(info: &Info) -> Finding {
    let own = env!("CARGO_PKG_VERSION");
    if info.version == own {
        return Finding::good("version", format!("{own}, here and on the supervisor"));
    }
    Finding::new(
        Level::Warning,
        "version",
        format!("{own} here, {} on the supervisor", info.version),
    )
    .mend("upgrade the older one; the supervisor first")
}

fn clock(info: &Info, here_ms: i64) -> Finding {
    let offset = here_ms.abs_diff(info.now_ms);
    let which = if here_ms > info.now_ms {
        "ahead of"
    } else {
        "behind"
    };
    let said = format!("{} {which} the supervisor's", time::length(offset));
    let level = match offset {
        0..=CLOCK_WARN_MS => return Finding::good("clock", said),
        _ if offset <= CLOCK_BAD_MS => Level::Warning,
        _ => Level::Bad,
    };
    Finding::new(level, "clock", said)
        .mend("run a time service (chrony, systemd-timesyncd) on both hosts")
}

fn space(usage: &Usage) -> Finding {
    let used = format!(
        "{} of records, {} of logs",
        time::size(usage.store_bytes),
        time::size(usage.log_bytes)
    );
    match usage.free_bytes {
        Some(free) if free < FREE_MIN => Finding::new(
            Level::Warning,
            "space",
            format!("{used}; only {} free", time::size(free)),
        )
        .mend("tessera cleanup --older-than-days 7, or give the supervisor's disk more room"),
        Some(free) => Finding::good("space", format!("{used}; {} free", time::size(free))),
        None => Finding::good("space", used),
    }
}

fn judge_hosts(hosts: &[HostRow]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let up = hosts
        .iter()
        .filter(|host| host.status == "up" && !host.is_locked && host.active.is_none())
        .count();
    let said = format!("{up} of {} take work", hosts.len());
    if up > 0 {
        findings.push(Finding::good("hosts", said));
    } else {
        findings.push(Finding::bad("hosts", said).mend("start a worker, or tessera unlock HOST"));
    }
    for host in hosts {
        let name = text::safe(&host.name);
        findings.extend(desktop(&name, host));
        if let Some(reason) = &host.reason {
            findings.push(
                Finding::bad("host", format!("{name} is in {}: {reason}", host.status))
                    .mend(format!("run tessera doctor on {name}")),
            );
        } else if host.status != "up" {
            findings.push(
                Finding::new(Level::Warning, "host", format!("{name} is {}", host.status))
                    .mend("start its worker, or forget it: tessera host remove"),
            );
        }
    }
    findings
}

/// Says whom a desktop lets in, and that it rests for who works at it.
fn desktop(name: &str, host: &HostRow) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let (false, Some(person)) = (host.allows.is_empty(), &host.account) {
        let person = text::safe(person).into_owned();
        let others: Vec<String> = host
            .allows
            .iter()
            .map(|it| text::safe(it).into_owned())
            .collect();
        let said = match others.as_slice() {
            [one] if one == "*" => format!("{name} runs everybody's jobs as {person}"),
            some => format!("{name} runs jobs of {} as {person}", some.join(", ")),
        };
        let mend = "if that is more than was meant, there: tessera desktop deny NAME";
        findings.push(Finding::note("desktop", said).mend(mend));
    }
    if let Some(active) = host.active.as_ref().filter(|_| host.status == "up") {
        findings.push(Finding::note(
            "desktop",
            format!("{name}: {}", text::safe(active)),
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_desktop_lets_in_is_told() {
        let host = HostRow {
            name: "ws17".into(),
            status: "up".into(),
            mode: "desktop".into(),
            account: Some("anna".into()),
            allows: vec!["bob".into(), "eve".into()],
            active: Some("locked: anna is active (idle 2 s of 600 s)".into()),
            ..HostRow::default()
        };
        let told = judge_hosts(&[host]);
        let texts: Vec<&str> = told.iter().map(|it| it.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "0 of 1 take work",
                "ws17 runs jobs of bob, eve as anna",
                "ws17: locked: anna is active (idle 2 s of 600 s)"
            ]
        );
    }

    #[test]
    fn clocks_are_judged_as_the_farm_does() {
        let info = Info {
            now_ms: 1_000_000,
            ..Info::default()
        };
        assert_eq!(clock(&info, 1_000_500).level, Level::Good);
        assert_eq!(clock(&info, 1_000_000 - 40_000).level, Level::Warning);
        assert_eq!(clock(&info, 1_000_000 + 61_000).level, Level::Bad);
    }

    #[test]
    fn a_farm_without_hosts_is_no_farm() {
        assert_eq!(judge_hosts(&[])[0].level, Level::Bad);
        let panic = HostRow {
            name: "a".into(),
            status: "panic".into(),
            reason: Some("spool".into()),
            ..HostRow::default()
        };
        let up = HostRow {
            name: "b".into(),
            status: "up".into(),
            ..HostRow::default()
        };
        let levels: Vec<Level> = judge_hosts(&[panic, up])
            .iter()
            .map(|finding| finding.level)
            .collect();
        assert_eq!(levels, [Level::Good, Level::Bad]);
    }
}
