//! How quickly instances may start, as it is written: `supervisor_start_rate`, `supervisor_resource_start_rates`.

use std::collections::BTreeMap;
use tessera_model::limits::GLOBALS_MAX;
use tessera_model::rate::BadRate;
use tessera_model::{GlobalName, StartRate};
use toml::de::DeValue;

/// The word for no rate.
const NONE: &str = "none";

/// Reads that of the whole farm.
pub(super) fn one(value: &DeValue<'_>) -> Result<Option<StartRate>, String> {
    let wants = "a text like \"20/s\" or \"100/min\", or \"none\"";
    match value.as_str().map(str::trim) {
        None => Err(wants.to_owned()),
        Some("" | NONE) => Ok(None),
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|bad: BadRate| format!("{wants} ({bad})")),
    }
}

/// Reads `["license.nuke=2/s", …]`, or the same in one text.
pub(super) fn of_resources(value: &DeValue<'_>) -> Result<BTreeMap<GlobalName, StartRate>, String> {
    let wants = format!(
        "a list of at most {GLOBALS_MAX} like \"license.nuke=2/s\": global.NAME, license.NAME or scoped.NAME, each name once"
    );
    let texts = match value {
        DeValue::String(text) => vec![text.to_string()],
        other => super::texts(other).map_err(|_| wants.clone())?,
    };
    let mut all = BTreeMap::new();
    let pairs = texts.iter().flat_map(|text| text.split(','));
    for pair in pairs.map(str::trim).filter(|pair| !pair.is_empty()) {
        let read = pair.split_once('=').and_then(|(name, rate)| {
            let name: GlobalName = name.trim().parse().ok()?;
            // What is shared on a host is not taken again by each instance that starts there.
            let is_taken = !name.is_per_host();
            is_taken.then_some((name, rate.parse().ok()?))
        });
        let (name, rate) = read.ok_or_else(|| format!("{wants}; {pair:?} is none"))?;
        if all.insert(name, rate).is_some() || all.len() > GLOBALS_MAX {
            return Err(wants);
        }
    }
    Ok(all)
}

/// Prints that of the whole farm as it is read.
pub(super) fn shown(rate: Option<StartRate>) -> String {
    rate.map_or_else(|| NONE.to_owned(), |rate| rate.to_string())
}

/// Prints those of resources as they are read.
pub(super) fn of_resources_shown(rates: &BTreeMap<GlobalName, StartRate>) -> String {
    let all = rates.iter().map(|(name, rate)| format!("{name}={rate}"));
    format!("{:?}", all.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    fn read(text: &str) -> Result<Config, String> {
        Config::parse(text).map_err(|bad| format!("{bad:?}"))
    }

    #[test]
    fn rates_are_read_or_the_entry_is_named() {
        let config = read(
            "supervisor_start_rate = \"20/s\"\nsupervisor_resource_start_rates = [\"license.nuke=2/s\", \"global.fs = 10/min\"]",
        );
        let rates = config.expect("good").engine.start_rates;
        assert_eq!(super::shown(rates.farm), "20/s");
        assert_eq!(
            super::of_resources_shown(&rates.resources),
            "[\"global.fs=10/min\", \"license.nuke=2/s\"]"
        );
        let none = read("supervisor_start_rate = \"none\"").expect("good");
        assert_eq!(super::shown(none.engine.start_rates.farm), "none");
        for (bad, said) in [
            ("supervisor_start_rate = 20", "\\\"20/s\\\""),
            ("supervisor_start_rate = \"20\"", "is no rate"),
            ("supervisor_start_rate = \"0/s\"", "1 to 1000 starts"),
            ("supervisor_resource_start_rates = 2", "license.nuke=2/s"),
            ("supervisor_resource_start_rates = \"nuke=2/s\"", "nuke=2/s"),
            (
                "supervisor_resource_start_rates = \"license.nuke\"",
                "is none",
            ),
            (
                "supervisor_resource_start_rates = \"license_host.a=1/s\"",
                "is none",
            ),
            (
                "supervisor_resource_start_rates = \"license.a=1/s,license.a=2/s\"",
                "each name once",
            ),
        ] {
            let error = read(bad).expect_err(bad);
            assert!(error.contains(said), "{bad}: {error}");
        }
    }
}
