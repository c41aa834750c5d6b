//! The reader of `worker.toml`, its table, and what is taken of what a supervisor serves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use tessera_model::limits::{NAME_BYTES_MAX, PROPERTY_BYTES_MAX};
use tessera_model::{Consent, Running, WhileActive};

use super::*;
use crate::is_local_only;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(Path::new("w.toml"), text).map_err(|e| e.to_string())
}

#[test]
fn all_keys_are_read() {
    let config = parse(
        "qb_supervisor = \"farm:7433\"\nworker_cpus = 4\nworker_groups = \"gpu, linux\"\n\
         worker_cluster = \"/show/a\"\nworker_restrictions = \"/show or /show/+\"\n\
         worker_resources = [\"host.gpu=2\"]\nworker_properties = \"host.rack=b7\"\n\
         proxy_execution_mode = \"proxy\"\nproxy_account = \"render\"\n\
         worker_spool_max = \"2 GiB\"\nworker_description = \"by the door\"\n\
         worker_name = \"rnd1\"\nworker_spool_durable = true\nproxy_nice_value = 19\n",
    )
    .expect("is right");
    assert_eq!(config.qb_supervisor.as_deref(), Some("farm:7433"));
    assert_eq!(config.worker_cpus, 4);
    assert_eq!(config.worker_cluster.to_string(), "/show/a");
    let restrictions = config.worker_restrictions.map(|it| it.to_string());
    assert_eq!(restrictions.as_deref(), Some("/show || /show/+"));
    assert_eq!(config.worker_groups, ["gpu", "linux"]);
    assert_eq!(config.worker_resources["host.gpu"], 2);
    assert_eq!(config.worker_properties["host.rack"], "b7");
    assert_eq!(config.proxy_execution_mode, Some(ProxyMode::Proxy));
    assert_eq!(config.proxy_account.as_deref(), Some("render"));
    assert_eq!(config.worker_spool_max, 2 << 30);
    assert!(config.worker_spool_durable);
    assert_eq!(config.proxy_nice_value, 19);
}

#[test]
fn paths_are_pairs_or_tables_in_order() {
    let pairs = "worker_path_map = [['P:\\my show', '/mnt/s'], ['P:', '/mnt/p']]\n";
    let tables = "[[worker_path_map]]\nfrom = 'P:\\my show'\nto = '/mnt/s'\n\
                  [[worker_path_map]]\nfrom = 'P:'\nto = '/mnt/p'\n";
    for text in [pairs, tables] {
        let config = parse(text).expect("is right");
        let found: Vec<_> = config.worker_path_map.pairs().collect();
        assert_eq!(found, [("P:\\my show", "/mnt/s"), ("P:", "/mnt/p")]);
    }
    for wrong in [
        "'P:'",
        "[['P:']]",
        "[['P:', 'p']]",
        "[['P:', '/p', '/q']]",
        "[{from = 'P:', too = '/p'}]",
        "[['P:', 1]]",
    ] {
        let error = parse(&format!("worker_cpus = 1\nworker_path_map = {wrong}\n"));
        let error = error.expect_err("is wrong");
        assert!(
            error.starts_with("w.toml:2: `worker_path_map` must be a list of"),
            "{error}"
        );
    }
}

#[test]
fn what_a_desktop_allows_is_read() {
    let config = parse(
        "desktop_allowed_submitters = [\"anna\", \"bob\"]\ndesktop_environment = \"SSH_AUTH_SOCK\"\n\
         desktop_lock_while_active = true\ndesktop_idle_seconds = 60\ndesktop_idle_running = \"requeue\"\n\
         desktop_idle_unknown = \"idle\"\n",
    )
    .expect("is right");
    assert_eq!(config.consent().names(), ["anna", "bob"]);
    assert_eq!(config.desktop_environment, ["SSH_AUTH_SOCK"]);
    let rule = WhileActive {
        idle_after: Duration::from_secs(60),
        running: Running::Requeue,
    };
    assert_eq!(config.while_active(), Some(rule));
    assert_eq!(config.desktop_idle_unknown, Unknown::Idle);
    let all = parse("desktop_allowed_submitters = \"*\"\n").expect("is right");
    assert_eq!(all.consent(), Consent::Everybody);
    let none = parse("").expect("is right");
    assert_eq!(none.consent(), Consent::default());
    assert_eq!(none.while_active(), None);
    for bad in [
        "desktop_allowed_submitters = [\"a b\"]",
        "desktop_allowed_submitters = true",
        "desktop_environment = [\"A=B\"]",
        "desktop_environment = [\"1A\"]",
        "desktop_idle_seconds = 59",
        "desktop_idle_running = \"kill\"",
        "desktop_idle_unknown = \"maybe\"",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn mistakes_name_file_line_and_the_nearest_key() {
    assert_eq!(
        parse("worker_cpus = 1\n\nworker_cpu = 2\n"),
        Err("w.toml:3: there is no key `worker_cpu`; did you mean `worker_cpus`?".to_owned())
    );
    assert_eq!(
        parse("colour = 1\n"),
        Err("w.toml:1: there is no key `colour`".to_owned())
    );
    assert_eq!(
        parse("\nproxy_execution_mode = \"root\"\n"),
        Err("w.toml:2: `proxy_execution_mode` must be \"proxy\" or \"user\"".to_owned())
    );
    assert_eq!(
        parse("proxy_nice_value = -5\n"),
        Err(
            "w.toml:1: `proxy_nice_value` must be a number from 0 to 19: jobs may have less priority than others on \
             the host, never more"
                .to_owned()
        )
    );
    assert!(
        parse("a = \n")
            .expect_err("is wrong")
            .starts_with("w.toml:1: ")
    );
    for bad in [
        "worker_cpus = -1",
        "worker_cpus = 100000",
        "proxy_nice_value = -1",
        "proxy_nice_value = 20",
        "worker_spool_max = \"12\"",
        "worker_spool_max = \"9999999999 TiB\"",
        "worker_resources = [\"gpu=2\"]",
        "worker_groups = \"gpu, a b\"",
        "worker_cluster = \"show\"",
        "worker_cluster = [\"/show\"]",
        "worker_restrictions = \"/a && /b\"",
        "worker_groups = [\"gpu,linux\"]",
        "worker_resources = [\"host.gpu=x\"]",
        "worker_groups = 3",
        "worker_gpus = 2",
        "worker_gpus = \"A6000\"",
        "worker_gpus = [\"nvidia/A:8,nvidia/A:8\"]",
        "qb_supervisor = \"\"",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_missing_file_is_no_mistake_but_an_asked_for_one_is() {
    let path = Path::new("/nonexistent/w.toml");
    assert!(matches!(Config::read_if_there(path), Ok(None)));
    assert!(matches!(Config::read(path), Err(ConfigError::Read { .. })));
}

#[test]
fn a_file_that_is_too_long_is_refused_and_not_cut() {
    // Cut at its bound it would say otherwise: its last line narrows what the host lets itself be used for.
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("w.toml");
    let last = "proxy_execution_mode = \"proxy\"\n";
    let comment = "#".repeat(crate::limits::FILE_BYTES_MAX - last.len() - 1);
    std::fs::write(&path, format!("{comment}\n{last}")).expect("writes");
    let read = Own::read(&path).expect("it fits");
    assert_eq!(read.config().proxy_execution_mode, Some(ProxyMode::Proxy));
    std::fs::write(&path, format!("{comment}#\n{last}")).expect("writes");
    assert!(matches!(Own::read(&path), Err(ConfigError::Read { .. })));
    assert!(matches!(
        Config::read_if_there(&path),
        Err(ConfigError::Read { .. })
    ));
}

#[test]
fn what_the_supervisor_would_not_read_is_no_value() {
    let (most, name) = (
        PROPERTY_BYTES_MAX,
        "n".repeat(NAME_BYTES_MAX - "host.".len()),
    );
    let group = "g".repeat(63);
    let groups = |n: usize| vec![group.as_str(); n].join(",");
    let clusters = |n: usize| vec![format!("/{}", "c".repeat(250)); n].join(" || ");
    for (key, good, bad) in [
        ("worker_description", "d".repeat(most), "d".repeat(most + 1)),
        ("worker_groups", groups(64), groups(65)),
        ("worker_restrictions", clusters(16), clusters(17)),
        ("worker_name", "n".repeat(255), "n".repeat(256)),
        (
            "worker_properties",
            format!("host.{name}={}", "v".repeat(most)),
            format!("host.{name}={}", "v".repeat(most + 1)),
        ),
        (
            "worker_properties",
            format!("host.{name}=v"),
            format!("host.{name}n=v"),
        ),
        (
            "worker_resources",
            format!("host.{name}=1"),
            format!("host.{name}n=1"),
        ),
    ] {
        assert!(parse(&format!("{key} = \"{good}\"")).is_ok(), "{key}");
        let error = parse(&format!("{key} = \"{bad}\"")).expect_err(key);
        assert!(error.contains("must be"), "{error}");
    }
}

#[test]
fn the_table_knows_every_key_once_in_order_and_shows_what_it_reads() {
    // Every field by name: a new one does not compile until it is thought of here, and in the table.
    let Config {
        qb_supervisor: _,
        worker_lookup: _,
        worker_cpus: _,
        worker_name: _,
        worker_description: _,
        worker_groups: _,
        worker_cluster: _,
        worker_restrictions: _,
        worker_lock_schedule: _,
        worker_gpus: _,
        worker_gpu_slots: _,
        worker_properties: _,
        worker_resources: _,
        proxy_execution_mode: _,
        proxy_account: _,
        proxy_nice_value: _,
        worker_spool_max: _,
        credentials: _,
        worker_spool_durable: _,
        worker_path_map: _,
        desktop_allowed_submitters: _,
        desktop_environment: _,
        desktop_lock_while_active: _,
        desktop_idle_after: _,
        desktop_idle_running: _,
        desktop_idle_unknown: _,
    } = Config::default();
    let others = [
        ("desktop_allowed_submitters", r#"["anna"]"#),
        ("desktop_environment", r#"["SSH_AUTH_SOCK"]"#),
        ("desktop_idle_running", r#""requeue""#),
        ("desktop_idle_seconds", "61"),
        ("desktop_idle_unknown", r#""idle""#),
        ("desktop_lock_while_active", "true"),
        ("proxy_account", r#""render""#),
        ("proxy_execution_mode", r#""user""#),
        ("proxy_nice_value", "19"),
        ("qb_supervisor", r#""farm:7433""#),
        ("worker_cluster", r#""/show/a""#),
        ("worker_cpus", "4096"),
        (
            "worker_credential_admit",
            r#"["0011-2233-4455-6677-8899-aabb-ccdd-eeff"]"#,
        ),
        ("worker_credential_key_days", "3660"),
        ("worker_credential_pool", r#""night""#),
        ("worker_description", r#""by \"the\" door""#),
        ("worker_gpu_slots", "4096"),
        (
            "worker_gpus",
            r#"["nvidia/RTX A6000:49140", "amd/W7900:46080"]"#,
        ),
        ("worker_groups", r#"["gpu", "linux"]"#),
        ("worker_lock_schedule", r#""sat,sun 10:00-14:00 purge""#),
        ("worker_lookup", r#""supervisor,local""#),
        ("worker_name", r#""rnd1""#),
        ("worker_path_map", r#"[["P:\\", "/mnt/p"]]"#),
        ("worker_properties", r#"["host.rack=b7"]"#),
        ("worker_resources", r#"["host.gpu=2"]"#),
        ("worker_restrictions", r#""/show || /show/+""#),
        ("worker_spool_durable", "true"),
        ("worker_spool_max", "1048576"),
    ];
    let names: Vec<&str> = KEYS.iter().map(|it| it.name).collect();
    assert_eq!(names, others.map(|(name, _)| name));
    for (key, (name, value)) in KEYS.iter().zip(others) {
        let config = parse(&format!("{name} = {value}\n")).expect(name);
        assert_eq!(key.show(&config).as_deref(), Some(value), "{name}");
        assert_ne!(
            key.show(&Config::default()).as_deref(),
            Some(value),
            "{name}"
        );
        // What no key takes at all is refused with what it takes.
        let wrong = parse(&format!("{name} = {{ a = 1.5 }}\n")).expect_err(name);
        assert_eq!(wrong, format!("w.toml:1: `{name}` must be {}", key.wanted));
    }
}

#[test]
fn a_calendar_is_one_text_or_a_list_of_its_parts() {
    let read = |text: &str| {
        let config = parse(&format!("worker_lock_schedule = {text}\n")).expect(text);
        config.worker_lock_schedule.map(|it| it.to_string())
    };
    let both = Some("mon 09:00-18:00; sun slots 1-2".to_owned());
    assert_eq!(read("\"mon 9-18; sun slots 1-2\""), both);
    assert_eq!(read("[\"mon 9-18\", \"sun slots 1,2\"]"), both);
    assert_eq!(read("\"\""), None);
    for wrong in ["\"monday\"", "[\"mon\", 3]", "true"] {
        let error = parse(&format!("worker_lock_schedule = {wrong}\n")).expect_err(wrong);
        assert!(error.contains("must be times of the week"), "{error}");
    }
}

#[test]
fn what_decides_whom_jobs_become_is_the_hosts_own() {
    for key in [
        "qb_supervisor",
        "worker_name",
        "worker_lookup",
        "proxy_account",
        "proxy_execution_mode",
        "desktop_allowed_submitters",
        "desktop_of_a_later_release",
        "worker_credential_admit",
        "worker_credential_of_a_later_release",
        "qb_directory",
    ] {
        assert!(is_local_only(key), "{key}");
    }
    let farms: Vec<&str> = KEYS
        .iter()
        .map(|it| it.name)
        .filter(|it| !is_local_only(it))
        .collect();
    assert_eq!(
        farms,
        [
            "proxy_nice_value",
            "worker_cluster",
            "worker_cpus",
            "worker_description",
            "worker_gpu_slots",
            "worker_gpus",
            "worker_groups",
            "worker_lock_schedule",
            "worker_path_map",
            "worker_properties",
            "worker_resources",
            "worker_restrictions",
            "worker_spool_durable",
            "worker_spool_max",
        ],
        "a new key that a supervisor may set wants a thought: could one that was taken over do harm with it?"
    );
}

fn served(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(own).collect()
}

fn own(text: &str) -> Own {
    Own::parse(Path::new("w.toml"), text).expect("is right")
}

#[test]
fn nothing_that_is_served_is_believed() {
    let host = own("qb_supervisor = \"a\"\nworker_cpus = 4\nproxy_execution_mode = \"proxy\"\n");
    let evil = served(&[
        ("proxy_account", r#""root""#),
        ("proxy_execution_mode", r#""user""#),
        ("qb_supervisor", r#""evil:1""#),
        ("desktop_allowed_submitters", r#""*""#),
        ("worker_lookup", r#""supervisor""#),
        ("worker_cpus", "4097"),
        ("worker_groups", "[\"a\"]\nproxy_account = \"root\""),
        ("worker_shell", r#""sh""#),
        ("worker_description", r#""theirs""#),
    ]);
    let together = host.with(&evil);
    let wanted = Config {
        worker_description: "theirs".to_owned(),
        ..host.config().clone()
    };
    assert_eq!(together.config, wanted);
    assert_eq!(
        together.central,
        BTreeSet::from(["worker_description".to_owned()])
    );
    let why = |key: &str| together.refused[key].as_str();
    for key in [
        "proxy_account",
        "proxy_execution_mode",
        "qb_supervisor",
        "desktop_allowed_submitters",
        "worker_lookup",
    ] {
        assert_eq!(why(key), "only the host's own worker.toml sets it", "{key}");
    }
    assert_eq!(
        why("worker_cpus"),
        "it must be a number from 0 (one slot per core) to 4096"
    );
    assert!(
        why("worker_groups").starts_with("it must be at most 100 names"),
        "{together:?}"
    );
    assert_eq!(
        why("worker_shell"),
        "this worker doesn't know it; upgrade the worker"
    );
    assert_eq!(together.refused.len(), 8);
}

#[test]
fn the_lookup_says_whose_values_hold() {
    let theirs = served(&[("worker_cpus", "8"), ("worker_description", r#""theirs""#)]);
    for (lookup, cpus, groups, description) in [
        ("local", 4, 1, ""),
        ("supervisor", 8, 0, "theirs"),
        ("supervisor,local", 4, 1, "theirs"),
        ("local,supervisor", 8, 1, "theirs"),
    ] {
        let host = own(&format!(
            "worker_lookup = \"{lookup}\"\nworker_cpus = 4\nworker_groups = \"gpu\"\nworker_name = \"n\"\n"
        ));
        let it = host.with(&theirs).config;
        assert_eq!(
            (
                it.worker_cpus,
                it.worker_groups.len(),
                it.worker_description.as_str()
            ),
            (cpus, groups, description),
            "{lookup}"
        );
        assert_eq!(it.worker_name.as_deref(), Some("n"), "{lookup}");
        assert_eq!(
            host.with(&BTreeMap::new()).config.worker_name.as_deref(),
            Some("n")
        );
    }
}

#[test]
fn what_can_wait_for_a_restart_is_told() {
    let host = own("");
    let it = host.with(&served(&[("proxy_nice_value", "5"), ("worker_cpus", "2")]));
    assert_eq!(
        it.restart(host.config()),
        BTreeSet::from(["proxy_nice_value".to_owned()])
    );
    assert_eq!(it.restart(&it.config), BTreeSet::new());
}

#[test]
fn the_documented_table_is_this_one() {
    const BEGIN: &str = "the_documented_table -->\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/worker-configuration.md");
    let text = std::fs::read_to_string(&path).expect("the document");
    let (before, rest) = text.split_once(BEGIN).expect("the beginning of the table");
    let (_, after) = rest.split_once("<!-- end -->").expect("its end");
    let row = |key: &Key| {
        let setter = match key.setter {
            Setter::Host => "host",
            Setter::Farm => "host, farm",
        };
        let when = match key.when {
            When::Now => "at once",
            When::Restart => "next start",
        };
        let default = key.show(&Config::default());
        let default = default.map_or_else(String::new, |it| format!("`{it}`"));
        let (name, about) = (key.name, key.about);
        let wanted = key.wanted.replace('|', "\\|");
        format!("| `{name}` | {about} | {wanted} | {default} | {setter} | {when} |\n")
    };
    let head = "| key | what for | takes | default | set by | a change holds |\n|---|---|---|---|---|---|\n";
    let rows: String = KEYS.iter().map(row).collect();
    let made = format!("{before}{BEGIN}{head}{rows}<!-- end -->{after}");
    if std::env::var_os("TESSERA_UPDATE").is_some() {
        std::fs::write(&path, &made).expect("writes");
    }
    assert!(
        made == text || std::env::var_os("TESSERA_UPDATE").is_some(),
        "docs/worker-configuration.md is stale: run this test with TESSERA_UPDATE=1"
    );
}
