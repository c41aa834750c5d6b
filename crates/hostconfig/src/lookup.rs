//! `worker_lookup`: whose values a worker takes, its own file's or the supervisor's, and which win.

use crate::keys::is_local_only;
use std::collections::BTreeMap;
use tessera_model::Lookup;

/// Whose a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// The host's own file's.
    Local,
    /// The supervisor's.
    Central,
}

/// A value that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// As TOML.
    pub value: String,
    /// Whose it is.
    pub layer: Layer,
    /// Whether the other has one as well, which this overrides.
    pub is_over_other: bool,
}

/// Puts a host's own values and those of the supervisor together. What is local only is its own, always.
#[must_use]
pub fn merge(
    lookup: Lookup,
    local: &BTreeMap<String, String>,
    central: &BTreeMap<String, String>,
) -> BTreeMap<String, Merged> {
    let mut merged = BTreeMap::new();
    for key in local.keys().chain(central.keys()) {
        let own = local
            .get(key)
            .filter(|_| lookup != Lookup::Supervisor || is_local_only(key));
        let theirs = central
            .get(key)
            .filter(|_| lookup.asks_supervisor() && !is_local_only(key));
        let chosen = match (own, theirs) {
            (Some(own), Some(_)) if lookup == Lookup::LocalWins => (own, Layer::Local, true),
            (Some(_), Some(theirs)) => (theirs, Layer::Central, true),
            (Some(own), None) => (own, Layer::Local, false),
            (None, Some(theirs)) => (theirs, Layer::Central, false),
            (None, None) => continue,
        };
        let (value, layer, is_over_other) = chosen;
        let value = value.clone();
        merged.insert(
            key.clone(),
            Merged {
                value,
                layer,
                is_over_other,
            },
        );
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn each_lookup_does_what_its_name_says() {
        let local = layer(&[
            ("worker_cpus", "1"),
            ("worker_groups", "2"),
            ("qb_supervisor", "3"),
        ]);
        let central = layer(&[
            ("worker_cpus", "4"),
            ("worker_description", "5"),
            ("qb_supervisor", "6"),
        ]);
        for (text, cpus, groups, description) in [
            ("local", Some("1"), Some("2"), None),
            ("supervisor", Some("4"), None, Some("5")),
            ("supervisor,local", Some("1"), Some("2"), Some("5")),
            ("local,supervisor", Some("4"), Some("2"), Some("5")),
        ] {
            let lookup: Lookup = text.parse().expect(text);
            assert_eq!(lookup.to_string(), text);
            let merged = merge(lookup, &local, &central);
            let of = |key: &str| merged.get(key).map(|it| it.value.as_str());
            assert_eq!(of("worker_cpus"), cpus, "{text}");
            assert_eq!(of("worker_groups"), groups, "{text}");
            assert_eq!(of("worker_description"), description, "{text}");
            assert_eq!(
                of("qb_supervisor"),
                Some("3"),
                "{text}: it is the host's own"
            );
        }
        assert_eq!(Lookup::default().to_string(), "local,supervisor");
        assert!(!Lookup::Local.asks_supervisor());
    }

    #[test]
    fn the_supervisor_loosens_nothing_that_a_host_keeps_to_itself() {
        let central = layer(&[
            ("desktop_allowed_submitters", "\"*\""),
            ("worker_credential_admit", "[]"),
        ]);
        for lookup in [
            Lookup::Supervisor,
            Lookup::LocalWins,
            Lookup::SupervisorWins,
        ] {
            assert_eq!(
                merge(lookup, &BTreeMap::new(), &central),
                BTreeMap::new(),
                "{lookup}"
            );
        }
    }
}
