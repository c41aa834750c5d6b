//! `tessera config explain HOST`: what the supervisor knows of another host's configuration.

use super::Context;
use crate::Exit;
use crate::error::CliError;
use crate::out::{Look, text, time};
use crate::show;
use serde::Serialize;
use tessera_api::types::{FarmSetting, FarmSettings, HostRow};

/// Properties that are a key's value.
const OF_KEYS: [(&str, &str); 4] = [
    ("host.description", "worker_description"),
    ("host.cluster", "worker_cluster"),
    ("host.groups", "worker_groups"),
    ("host.restrictions", "worker_restrictions"),
];

/// A value of a host as the supervisor knows it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Known {
    key: String,
    value: String,
    source: String,
}

/// Shows what the supervisor knows of a host's configuration.
pub(super) async fn host(
    name: &str,
    key: Option<&str>,
    context: &Context,
) -> Result<Exit, CliError> {
    let client = context.client()?;
    let row = client.host(name).await?.host;
    let farm = client.host_settings(name).await?;
    let mistakes = farm.mistakes.clone();
    let said = known(&context.look, &row);
    if said.is_none() && farm.values.is_empty() {
        let said = format!(
            "nothing is known of {}: its worker has never connected",
            row.name
        );
        return Err(
            CliError::new(Exit::State, said).hint("there: tessera config explain, tessera doctor")
        );
    }
    let is_met = said.is_some();
    let mut known = said.unwrap_or_default();
    add_farms(&mut known, farm, is_met);
    known.retain(|one| key.is_none_or(|key| key == one.key));
    if let (Some(key), true) = (key, known.is_empty()) {
        let said = format!("the supervisor knows no {key} of {}", row.name);
        return Err(CliError::new(Exit::NotFound, said).hint(format!(
            "on {}: tessera config explain --key {key}",
            row.name
        )));
    }
    context.show(&known, |look, known| print(look, known, &row, &mistakes))?;
    Ok(Exit::Done)
}

/// Answers what a worker has said of itself; nothing when it was never there.
fn known(look: &Look, row: &HostRow) -> Option<Vec<Known>> {
    let seen = row.last_seen_ms?;
    let said = if row.status == "up" {
        "said by its worker".to_owned()
    } else {
        format!("said by its worker, last seen {}", time::ago(look, seen))
    };
    let one = |key: &str, value: String, source: &str| Known {
        key: key.to_owned(),
        value,
        source: source.to_owned(),
    };
    let mut known = vec![
        one("worker_name", row.name.clone(), "given when it joined"),
        one("worker_cpus", row.slots.to_string(), &said),
    ];
    let policy = format!("{said}, allowed by its launcher");
    match row.mode.as_str() {
        "desktop" => known.push(one("mode", row.mode.clone(), &said)),
        mode => known.push(one("proxy_execution_mode", mode.to_owned(), &policy)),
    }
    if let Some(account) = &row.account {
        let key = if row.mode == "proxy" {
            "proxy_account"
        } else {
            "account"
        };
        known.push(one(key, account.clone(), &said));
    }
    for (name, value) in &row.properties {
        let key = OF_KEYS.iter().find(|(property, _)| property == name);
        known.push(one(key.map_or(name, |(_, key)| key), value.clone(), &said));
    }
    let amounts = row.resources.iter();
    known.extend(amounts.map(|(name, value)| one(name, value.to_string(), &said)));
    Some(known)
}

/// Adds what the farm's configuration of workers sets for the host, and what became of it there.
fn add_farms(known: &mut Vec<Known>, farm: FarmSettings, is_met: bool) {
    let FarmSettings {
        file,
        values,
        settings,
        ..
    } = farm;
    let settings = settings.unwrap_or_default();
    for FarmSetting {
        key,
        value,
        from,
        over,
    } in values
    {
        let over = over.iter().map(|it| format!("{} ({})", it.value, it.from));
        let over: Vec<String> = over.collect();
        let over = match over.join(", over ") {
            said if said.is_empty() => said,
            said => format!(", over {said}"),
        };
        let then = match settings.refused.get(&key) {
            _ if !is_met => "; sent when it connects".to_owned(),
            _ if settings.lookup.is_empty() || settings.lookup == "local" => {
                "; not asked for".to_owned()
            }
            Some(why) => format!("; not taken: {why}"),
            None if settings.is_current == Some(false) => "; not taken yet".to_owned(),
            None if settings.restart.contains(&key) => "; from its worker's next start".to_owned(),
            None if settings.lookup == "supervisor,local" => {
                "; its own file's holds where it has one".to_owned()
            }
            None => String::new(),
        };
        let source = format!("set to {value} by {file}, {from}{over}{then}");
        match known.iter_mut().find(|one| one.key == key) {
            Some(one) => one.source = format!("{}; {source}", one.source),
            None => known.push(Known { key, value, source }),
        }
    }
}

fn print(look: &Look, known: &[Known], row: &HostRow, mistakes: &[String]) -> String {
    let lines = known
        .iter()
        .map(|one| (one.key.as_str(), one.value.as_str(), one.source.as_str()));
    let name = look.line(&row.name, 30);
    let mut out = show::explained(look, lines)
        + &format!("files and lines are known there: tessera config explain on {name}\n");
    if !mistakes.is_empty() {
        out += "what the farm sets is of the last good file; the one that is there has mistakes:\n";
        for mistake in mistakes {
            out += &format!("  {}\n", text::safe(mistake));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look() -> Look {
        Look {
            width: Some(80),
            colour: false,
            now_ms: 100_000,
            zone: jiff::tz::TimeZone::UTC,
        }
    }

    #[test]
    fn what_a_worker_said_is_told_with_its_source() {
        let row = HostRow {
            name: "rnd001".into(),
            status: "down".into(),
            slots: 8,
            mode: "proxy".into(),
            account: Some("tessera-job".into()),
            properties: [
                ("host.description".into(), "by the door".into()),
                ("host.os".into(), "linux".into()),
            ]
            .into(),
            resources: [("host.cpus".into(), 16)].into(),
            last_seen_ms: Some(40_000),
            ..HostRow::default()
        };
        let known = known(&look(), &row).expect("it was there");
        insta::assert_snapshot!(print(&look(), &known, &row, &[]));
    }

    #[test]
    fn what_the_farm_sets_is_told_with_what_became_of_it() {
        let one = |key: &str| Known {
            key: key.to_owned(),
            value: "8".to_owned(),
            source: "said by its worker".to_owned(),
        };
        let value = |key: &str| FarmSetting {
            key: key.into(),
            value: "2".into(),
            from: "line 3, [linux]".into(),
            over: vec![],
        };
        let farm = FarmSettings {
            file: "w.toml".into(),
            values: vec![value("worker_cpus"), value("proxy_nice_value")],
            settings: Some(tessera_api::types::HostSettings {
                lookup: "local,supervisor".into(),
                refused: [("worker_cpus".into(), "it was started with --slots 8".into())].into(),
                restart: vec!["proxy_nice_value".into()],
                is_current: Some(true),
                ..Default::default()
            }),
            ..FarmSettings::default()
        };
        let mut known = vec![one("worker_cpus")];
        add_farms(&mut known, farm, true);
        let sources: Vec<&str> = known.iter().map(|it| it.source.as_str()).collect();
        assert_eq!(
            sources,
            [
                "said by its worker; set to 2 by w.toml, line 3, [linux]; not taken: it was started with --slots 8",
                "set to 2 by w.toml, line 3, [linux]; from its worker's next start",
            ]
        );
    }

    #[test]
    fn what_is_set_is_told_of_a_host_that_was_never_there_and_of_one_whose_own_file_wins() {
        let farm = |lookup: Option<&str>| FarmSettings {
            file: "w.toml".into(),
            values: vec![FarmSetting {
                key: "worker_cpus".into(),
                value: "2".into(),
                from: "line 3, [linux]".into(),
                over: vec![],
            }],
            settings: lookup.map(|lookup| tessera_api::types::HostSettings {
                lookup: lookup.into(),
                is_current: Some(true),
                ..Default::default()
            }),
            ..FarmSettings::default()
        };
        for (lookup, is_met, then) in [
            (None, false, "; sent when it connects"),
            (None, true, "; not asked for"),
            (Some("local"), true, "; not asked for"),
            (
                Some("supervisor,local"),
                true,
                "; its own file's holds where it has one",
            ),
            (Some("supervisor"), true, ""),
        ] {
            let mut known = Vec::new();
            add_farms(&mut known, farm(lookup), is_met);
            let wanted = format!("set to 2 by w.toml, line 3, [linux]{then}");
            assert_eq!(known[0].source, wanted, "{lookup:?}");
        }
        let mistakes = ["w.toml:5:1: there is no key `a`".to_owned()];
        let told = print(&look(), &[], &HostRow::default(), &mistakes);
        assert!(told.ends_with(
            "of the last good file; the one that is there has mistakes:\n  w.toml:5:1: there is no key `a`\n"
        ), "{told}");
    }

    #[test]
    fn of_a_host_that_was_never_there_nothing_is_known() {
        assert_eq!(known(&look(), &HostRow::default()), None);
    }
}
