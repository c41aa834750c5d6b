//! Licences and banned packages, by the lists of `deny.toml`, without a network or another program.

use super::Fault;
use super::edges::list;
use serde_json::Value;
use toml::Table;

/// Objects to packages whose licence is not on the list, and to those that are banned.
pub(super) fn check(metadata: &Value, lists: &Table) -> Vec<Fault> {
    let allowed = strings(&lists["licenses"]["allow"]);
    let banned: Vec<String> = lists["bans"]["deny"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.get("crate")?.as_str()?.to_owned()))
        .collect();
    let used: Vec<&str> = list(&metadata["resolve"], "nodes")
        .filter_map(|node| node["id"].as_str())
        .collect();
    let mut faults = Vec::new();
    for package in list(metadata, "packages") {
        let name = package["name"].as_str().unwrap_or_default();
        if !package["id"].as_str().is_some_and(|id| used.contains(&id)) {
            continue;
        }
        if banned.iter().any(|banned| banned == name) {
            faults.push(Fault::new(name, None, "banned; deny.toml says why"));
        }
        match package["license"].as_str() {
            Some(licence) if is_allowed(licence, &allowed) => {}
            licence => {
                let text = format!("licence {licence:?} is not on the list in deny.toml");
                faults.push(Fault::new(name, None, text));
            }
        }
    }
    faults
}

fn strings(value: &toml::Value) -> Vec<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| Some(one.as_str()?.to_owned()))
        .collect()
}

/// Says whether one of the choices that an SPDX expression gives is made of allowed licences only.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let mut words: Vec<&str> = spaced.split_whitespace().rev().collect();
    let result = either(&mut words, allowed);
    result && words.is_empty()
}

fn either(words: &mut Vec<&str>, allowed: &[String]) -> bool {
    let mut result = all(words, allowed);
    while words.pop_if(|word| *word == "OR").is_some() {
        result |= all(words, allowed);
    }
    result
}

fn all(words: &mut Vec<&str>, allowed: &[String]) -> bool {
    let mut result = one(words, allowed);
    while words.pop_if(|word| *word == "AND").is_some() {
        result &= one(words, allowed);
    }
    result
}

fn one(words: &mut Vec<&str>, allowed: &[String]) -> bool {
    match words.pop() {
        None => false,
        Some("(") => {
            let result = either(words, allowed);
            words.pop_if(|word| *word == ")").is_some() && result
        }
        Some(name) => {
            let with = words
                .pop_if(|word| *word == "WITH")
                .and_then(|_| words.pop());
            let name = with.map_or(name.to_owned(), |exception| {
                format!("{name} WITH {exception}")
            });
            allowed.contains(&name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn expressions_are_understood() {
        let allowed = ["MIT", "Apache-2.0", "ISC"].map(str::to_owned);
        for fine in [
            "MIT",
            "MIT/GPL-3.0",
            "GPL-3.0 OR MIT",
            "MIT AND (ISC OR GPL-2.0)",
            "(MIT OR X) AND Apache-2.0",
        ] {
            assert!(is_allowed(fine, &allowed), "{fine}");
        }
        for bad in [
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT",
            "",
            "MIT WITH x",
            "ISC AND (X OR Y)",
            "MIT OR ISC)",
        ] {
            assert!(!is_allowed(bad, &allowed), "{bad}");
        }
    }

    #[test]
    fn planted_packages_are_found() {
        let lists: Table = "[licenses]\nallow = [\"MIT\"]\n[bans]\ndeny = [{ crate = \"bad\" }]"
            .parse()
            .expect("TOML");
        let package =
            |name: &str, licence: &str| json!({"id": name, "name": name, "license": licence});
        let metadata = json!({
            "packages": [package("a", "MIT"), package("bad", "MIT"), package("b", "AGPL-3.0"), package("unused", "X")],
            "resolve": {"nodes": [{"id": "a"}, {"id": "bad"}, {"id": "b"}]},
        });
        let found: Vec<String> = check(&metadata, &lists)
            .into_iter()
            .map(|fault| fault.place)
            .collect();
        assert_eq!(found, ["bad", "b"]);
    }
}
