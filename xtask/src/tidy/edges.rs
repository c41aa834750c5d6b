//! Which of our crates may lean on which, and which packages must stay out of them.

use super::Fault;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Our crates, by folder name, each with those that it may use. `ARCHITECTURE.md` has the same map in words.
const DIRECTION: &[(&str, &[&str])] = &[
    ("model", &["requirements"]),
    ("ticket", &[]),
    ("audit", &["ticket"]),
    ("store", &[]),
    ("spec", &["model"]),
    ("requirements", &[]),
    ("hostconfig", &["model", "requirements", "ticket"]),
    ("engine", &["model"]),
    ("wire", &["model"]),
    ("seal", &[]),
    ("api", &["model", "seal", "spec"]),
    ("sys", &["ticket"]),
    ("rules", &["ticket"]),
    ("shepherd", &["sys", "ticket"]),
    ("pam", &["sys"]),
    ("identity", &["pam", "rules", "shepherd", "sys", "ticket"]),
    ("clear", &["identity", "shepherd", "sys", "ticket"]),
    ("supervise", &["identity", "sys", "ticket"]),
    ("desktop", &["identity", "shepherd", "sys", "ticket"]),
    (
        "launch",
        &[
            "audit",
            "clear",
            "desktop",
            "identity",
            "pam",
            "shepherd",
            "supervise",
            "sys",
            "ticket",
        ],
    ),
    ("macos", &[]),
    ("web", &[]),
    ("keeper", &["audit", "ticket"]),
    ("maclaunch", &["keeper", "macos", "rules", "ticket"]),
    ("windows", &[]),
    ("winlaunch", &["keeper", "ticket", "windows"]),
    ("cli", &["api", "model", "seal", "spec", "windows"]),
    (
        "worker",
        &[
            "engine",
            "hostconfig",
            "macos",
            "model",
            "seal",
            "ticket",
            "windows",
            "wire",
        ],
    ),
    (
        "supervisor",
        &[
            "api",
            "engine",
            "hostconfig",
            "model",
            "spec",
            "store",
            "ticket",
            "web",
            "wire",
        ],
    ),
    (
        "tessera",
        &[
            "api",
            "bench",
            "cli",
            "hostconfig",
            "supervisor",
            "windows",
            "wire",
            "worker",
        ],
    ),
    (
        "bench",
        &[
            "api",
            "engine",
            "model",
            "spec",
            "store",
            "supervisor",
            "wire",
        ],
    ),
    ("sim", &["engine", "model"]),
    ("testkit", &["api", "model", "spec"]),
    ("xtask", &["model"]),
];

/// More that the tests of a crate may use. Only end-to-end tests lean on a daemon.
const DIRECTION_OF_TESTS: &[(&str, &[&str])] = &[("tessera", &["model"])];

/// Packages that must be nowhere below these crates.
const APART: &[(&[&str], &[&str], &str)] = &[
    (
        &[
            "model",
            "spec",
            "requirements",
            "hostconfig",
            "engine",
            "ticket",
            "audit",
            "rules",
            "clear",
            "sys",
            "shepherd",
            "pam",
            "identity",
            "supervise",
            "desktop",
            "launch",
            "keeper",
            "maclaunch",
            "macos",
            "windows",
            "winlaunch",
        ],
        &[
            "tokio", "hyper", "tonic", "axum", "rusqlite", "rustls", "mio",
        ],
        "it decides or is privileged: no runtime, network or SQL below it",
    ),
    (
        &["engine", "model", "requirements", "spec"],
        &["getrandom", "rand"],
        "chance is handed in",
    ),
    (
        &["engine", "model", "requirements", "spec"],
        &["serde", "serde_json"],
        "formats belong to the edges",
    ),
    (
        &["cli", "api"],
        &["rusqlite", "tonic", "axum"],
        "a client knows the API and nothing else",
    ),
    (
        &["worker"],
        &["rusqlite"],
        "a worker keeps files, no database",
    ),
];

/// What a dependency is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Normal,
    Build,
    Dev,
}

/// One of our crates names another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edge {
    from: String,
    to: String,
    kind: Kind,
}

/// Reads the edges between our crates from what `cargo metadata` says.
pub(super) fn edges(metadata: &Value) -> Vec<Edge> {
    let mut edges = Vec::new();
    for package in list(metadata, "packages").filter(|package| package["source"].is_null()) {
        let from = short(package["name"].as_str().unwrap_or_default());
        edges.push(Edge {
            from: from.clone(),
            to: from.clone(),
            kind: Kind::Dev,
        });
        for needed in list(package, "dependencies").filter(|needed| needed["source"].is_null()) {
            let to = short(needed["name"].as_str().unwrap_or_default());
            let kind = match needed["kind"].as_str() {
                Some("dev") => Kind::Dev,
                Some("build") => Kind::Build,
                _ => Kind::Normal,
            };
            edges.push(Edge {
                from: from.clone(),
                to,
                kind,
            });
        }
    }
    edges
}

/// Objects to an edge that the table doesn't have.
pub(super) fn check(edges: &[Edge]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for edge in edges {
        let Some(allowed) = entry(DIRECTION, &edge.from) else {
            let text = "unknown crate: give it a line in DIRECTION (xtask/src/tidy/edges.rs) and in ARCHITECTURE.md";
            faults.push(Fault::new(&edge.from, None, text));
            continue;
        };
        let of_tests = entry(DIRECTION_OF_TESTS, &edge.from).unwrap_or_default();
        let to = edge.to.as_str();
        let is_for_tests = edge.to == edge.from || to == "testkit" || of_tests.contains(&to);
        let is_known = allowed.contains(&to) || (edge.kind == Kind::Dev && is_for_tests);
        if !is_known {
            let text = format!("must not use {to}: see the map of crates in ARCHITECTURE.md");
            faults.push(Fault::new(&edge.from, None, text));
        }
    }
    faults.dedup();
    faults
}

fn entry<'a>(table: &'a [(&str, &[&'a str])], name: &str) -> Option<&'a [&'a str]> {
    table
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, allowed)| *allowed)
}

/// Objects to a package below a crate that must do without it.
pub(super) fn check_apart(metadata: &Value) -> Vec<Fault> {
    let graph = Graph::new(metadata);
    let mut faults = Vec::new();
    for (crates, banned, why) in APART {
        for name in *crates {
            let below = graph.below(name);
            for package in banned.iter().filter(|package| below.contains(**package)) {
                faults.push(Fault::new(
                    name,
                    None,
                    format!("{package} is below it, but {why}"),
                ));
            }
        }
    }
    faults
}

/// Who uses whom in what is linked, by package id.
struct Graph<'a> {
    names: BTreeMap<&'a str, &'a str>,
    needs: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Graph<'a> {
    fn new(metadata: &'a Value) -> Self {
        let name = |package: &'a Value| Some((package["id"].as_str()?, package["name"].as_str()?));
        let names = list(metadata, "packages").filter_map(name).collect();
        let mut needs: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for node in list(&metadata["resolve"], "nodes") {
            let linked = list(node, "deps")
                .filter(|dep| list(dep, "dep_kinds").any(|kind| kind["kind"].is_null()));
            let linked = linked.filter_map(|dep| dep["pkg"].as_str()).collect();
            needs.insert(node["id"].as_str().unwrap_or_default(), linked);
        }
        Self { names, needs }
    }

    /// Answers the names of all packages that are linked into one of our crates.
    fn below(&self, name: &str) -> BTreeSet<&'a str> {
        let mut ahead: Vec<&str> = self
            .names
            .iter()
            .filter(|(_, known)| short(known) == name)
            .map(|(id, _)| *id)
            .collect();
        let mut seen = BTreeSet::new();
        while let Some(id) = ahead.pop() {
            if seen.insert(id) {
                ahead.extend(self.needs.get(id).into_iter().flatten());
            }
        }
        seen.into_iter()
            .filter_map(|id| self.names.get(id).copied())
            .collect()
    }
}

fn short(name: &str) -> String {
    name.strip_prefix("tessera-").unwrap_or(name).to_owned()
}

pub(super) fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value[key].as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn edge(from: &str, to: &str, kind: Kind) -> Edge {
        Edge {
            from: from.into(),
            to: to.into(),
            kind,
        }
    }

    #[test]
    fn edges_of_the_table_pass() {
        let fine = [
            edge("engine", "model", Kind::Normal),
            edge("engine", "testkit", Kind::Dev),
            edge("store", "store", Kind::Dev),
            edge("tessera", "model", Kind::Dev),
        ];
        assert_eq!(check(&fine), []);
    }

    #[test]
    fn planted_edges_are_found() {
        for bad in [
            edge("engine", "store", Kind::Normal),
            edge("model", "spec", Kind::Normal),
            edge("cli", "wire", Kind::Normal),
            edge("launch", "model", Kind::Build),
            edge("testkit", "supervisor", Kind::Normal),
            edge("store", "model", Kind::Dev),
            edge("newcomer", "model", Kind::Normal),
        ] {
            assert_eq!(check(std::slice::from_ref(&bad)).len(), 1, "{bad:?}");
        }
    }

    #[test]
    fn the_table_has_no_circle() {
        let mut done: BTreeSet<&str> = BTreeSet::new();
        for _ in DIRECTION {
            let ready = |names: &[&str]| names.iter().all(|name| done.contains(name));
            let more: Vec<_> = DIRECTION
                .iter()
                .filter(|(_, uses)| ready(uses))
                .map(|(name, _)| *name)
                .collect();
            done.extend(more);
        }
        assert_eq!(done.len(), DIRECTION.len());
    }

    fn metadata(kind: &Value) -> Value {
        let dep = |id: &str, kind: &Value| json!({"pkg": id, "dep_kinds": [{"kind": kind}]});
        json!({
            "packages": [
                {"id": "e", "name": "tessera-engine", "source": null, "dependencies": [
                    {"name": "tessera-model", "source": null, "kind": null}, {"name": "x", "source": "registry"}]},
                {"id": "x", "name": "x", "source": "registry", "dependencies": []},
                {"id": "t", "name": "tokio", "source": "registry", "dependencies": []},
            ],
            "resolve": {"nodes": [
                {"id": "e", "deps": [dep("x", &Value::Null)]}, {"id": "x", "deps": [dep("t", kind)]}, {"id": "t", "deps": []},
            ]},
        })
    }

    #[test]
    fn a_runtime_below_the_engine_is_found() {
        assert_eq!(check_apart(&metadata(&Value::Null)).len(), 1);
        assert_eq!(check_apart(&metadata(&json!("dev"))), []);
    }

    #[test]
    fn edges_are_read() {
        let found = edges(&metadata(&Value::Null));
        assert!(
            found.contains(&edge("engine", "model", Kind::Normal)),
            "{found:?}"
        );
        assert_eq!(found.len(), 2, "packages of others are left out: {found:?}");
    }
}
