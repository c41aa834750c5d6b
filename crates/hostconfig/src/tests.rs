//! Whole files: what holds for a host, what is wrong, what has no effect, what is imported.

use crate::limits::{DEPTH_MAX, FILE_BYTES_MAX, SECTIONS_MAX};
use crate::qube::{File, import};
use crate::{Finding, Platform, Workers};
use proptest::prelude::*;

const FARM: &str = r#"
[default]
worker_description = "by the door"
worker_groups = ["all"]

[linux]
worker_groups = ["all", "linux"]

[template.gpu]
inherits = "night"
worker_resources = ["host.gpu=2"]
worker_cpus = 4

[template.night]
worker_description = "at night"
proxy_nice_value = 10

[host."render[001-100]"]
inherits = ["gpu"]
worker_cpus = 8

[host.render007]
worker_cpus = 2
"#;

fn good(text: &str) -> Workers {
    let (workers, findings) = Workers::read(text);
    assert_eq!(findings, [], "{text}");
    workers
}

fn said(findings: &[Finding]) -> Vec<String> {
    let line = |it: &Finding| match &it.hint {
        Some(hint) => format!("{it} ({hint})"),
        None => it.to_string(),
    };
    findings.iter().map(line).collect()
}

fn wrong(text: &str) -> Vec<String> {
    said(&Workers::read(text).1)
}

#[test]
fn what_comes_later_overrides_and_says_so() {
    let farm = good(FARM);
    let settings = farm.of_host("render007", Some(Platform::Linux));
    let of = |key: &str| &settings.values[key];
    assert_eq!(
        settings.to_toml(),
        "proxy_nice_value = 10\nworker_cpus = 2\nworker_description = \"at night\"\nworker_groups = [\"all\", \"linux\"]\n\
         worker_resources = [\"host.gpu=2\"]\n"
    );
    assert_eq!(
        of("worker_cpus").from.to_string(),
        "line 23, [host.render007]"
    );
    let over: Vec<String> = of("worker_cpus")
        .over
        .iter()
        .map(|(value, from)| format!("{value} of {from}"))
        .collect();
    assert_eq!(
        over,
        [
            "8 of line 20, [host.\"render[001-100]\"]",
            "4 of line 12, [template.gpu], inherited by [host.\"render[001-100]\"]",
        ]
    );
    assert_eq!(
        of("proxy_nice_value").from.to_string(),
        "line 16, [template.night], inherited by [host.\"render[001-100]\"]"
    );
    assert_eq!(of("worker_groups").from.to_string(), "line 7, [linux]");
    let other = farm.of_host("ws1", Some(Platform::Windows));
    assert_eq!(
        other.to_toml(),
        "worker_description = \"by the door\"\nworker_groups = [\"all\"]\n"
    );
    assert!(farm.names("RENDER100") && !farm.names("ws1") && !farm.names("render101"));
    let unknown = farm.of_host("render008", None);
    assert_eq!(unknown.values["worker_groups"].value, "[\"all\"]");
}

#[test]
fn mistakes_have_a_place_and_a_way_out() {
    for (text, expected) in [
        (
            "[default]\nworker_cpu = 4\n",
            "2:1: there is no key `worker_cpu` in [default] (did you mean `worker_cpus`?)",
        ),
        (
            "[host.a]\n  worker_cpus = 5000\n",
            "2:3: `worker_cpus` must be a number from 0 (one slot per core) to 4096",
        ),
        (
            "[default]\nqb_supervisor = \"farm\"\n",
            "2:1: `qb_supervisor` can't be set from here (only the host's own worker.toml sets it)",
        ),
        (
            "[default]\ndesktop_allowed_submitters = \"*\"\n",
            "2:1: `desktop_allowed_submitters` can't be set from here (only the host's own worker.toml sets it)",
        ),
        (
            "worker_cpus = 4\n",
            "1:1: `worker_cpus` stands outside of all sections (put it below [default] if it is for every host)",
        ),
        (
            "linux = 4\n",
            "1:1: linux is a section, not a value (write [default], [linux], [template.NAME] or [host.NAME])",
        ),
        (
            "[linx]\n",
            "1:2: there is no section [linx] (did you mean [linux]? A host's is [host.linx])",
        ),
        (
            "[render001]\n",
            "1:2: there is no section [render001] (a host's is [host.render001], a template's [template.render001])",
        ),
        (
            "[host]\nworker_cpus = 1\n",
            "2:1: `worker_cpus` stands in [host], which has sections only (write [host.NAME], and the key below it)",
        ),
        (
            "[host.\"a b\"]\n",
            "1:7: [host.a b]: ' ' can't be in the name of a host: letters, digits, - _ and dots can (write [host.\"NAME\"])",
        ),
        (
            "[host.\"a[9-1]\"]\n",
            "1:7: [host.a[9-1]]: the range is empty: 1 comes before 9 (write [host.\"NAME\"])",
        ),
        (
            "[host.rnd1.lan]\nworker_cpus = 1\n",
            "1:12: there is no key `lan` in [host.rnd1] (a name with a dot in it needs quotes: [host.\"rnd1.lan\"])",
        ),
        (
            "[template.gpu]\nworker_cpus = 1\n[host.a]\ninherits = [\"gpo\"]\nworker_cpus = 1\n",
            "4:13: there is no [template.gpo] (did you mean \"gpu\"?)",
        ),
        (
            "[host.a]\ninherits = [\"linux\"]\nworker_cpus = 1\n",
            "2:13: there is no [template.linux] (every host has [default] and its platform's section already)",
        ),
        (
            "[linux]\ninherits = [\"gpu\"]\n",
            "2:1: [linux] inherits nothing (hosts and templates do)",
        ),
        (
            "[host.a]\ninherits = 5\n",
            "2:1: `inherits` must be a list of at most 32 names of templates (write inherits = [\"gpu\", \"night\"])",
        ),
        (
            "[default]\nworker_cpus = 0o\n",
            "2:1: `worker_cpus` has a number in it that is none, or is too large",
        ),
        (
            "[default]\nworker_groups = [99999999999999999999]\n",
            "2:1: `worker_groups` has a number in it that is none, or is too large",
        ),
        (
            "[default]\nworker_cpus = \n",
            "2:15: string values must be quoted, expected literal string",
        ),
    ] {
        let found = wrong(text);
        assert!(found.iter().any(|it| it == expected), "{text}\n{found:#?}");
        assert!(Workers::read(text).1.iter().any(|it| it.is_error), "{text}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_in_order() {
    let found = wrong("[default]\nworker_cpus = -1\nworker_cpu = 1\n[host.b]\nnice = 1\n");
    let lines: Vec<&str> = found.iter().map(|it| &it[..3]).collect();
    assert_eq!(lines, ["2:1", "3:1", "5:1"]);
}

#[test]
fn circles_are_told_with_their_way() {
    let text = "[template.a]\ninherits = \"b\"\n[template.b]\ninherits = \"c\"\n[template.c]\ninherits = \"a\"\n[host.h]\ninherits = \"a\"\n";
    let found = wrong(text);
    assert!(
        found.contains(&"7:7: [host.h] inherits in a circle: a from b from c from a".to_owned()),
        "{found:#?}"
    );
    assert!(
        found.contains(
            &"1:11: [template.a] inherits in a circle: a from b from c from a".to_owned()
        ),
        "{found:#?}"
    );
    let (workers, _) = Workers::read(text);
    assert_eq!(workers.of_host("h", None).to_toml(), "");
    let itself = wrong("[template.a]\ninherits = \"a\"\nworker_cpus = 1\n");
    assert_eq!(
        itself,
        ["1:11: [template.a] inherits in a circle: a from a"]
    );
}

#[test]
fn what_has_no_effect_is_found() {
    for (text, expected) in [
        (
            "[template.a]\nworker_cpus = 1\n",
            &["1:11: warning: nobody inherits [template.a]"][..],
        ),
        ("[host.a]\n", &["1:7: warning: [host.a] sets nothing"]),
        (
            "[host.r007]\nworker_cpus = 1\n[host.\"r[001-100]\"]\nworker_cpus = 2\nworker_groups = []\n",
            &[
                "1:7: warning: [host.r007] has no effect: [host.\"r[001-100]\"] in line 3 sets all of it for all of its hosts \
               (later sections go before earlier ones: put the special ones last)",
            ],
        ),
        (
            "[host.\"r[001-100]\"]\nworker_cpus = 2\n[host.r007]\nworker_cpus = 1\n",
            &[],
        ),
        (
            "[host.r007]\nworker_cpus = 1\nworker_description = \"x\"\n[host.\"r[001-100]\"]\nworker_cpus = 2\n",
            &[],
        ),
        (
            "[host.r007]\nworker_cpus = 1\n[template.t]\nworker_cpus = 3\n[host.\"r[001-100]\"]\ninherits = \"t\"\n",
            &[
                "1:7: warning: [host.r007] has no effect: [host.\"r[001-100]\"] in line 5 sets all of it for all of its hosts \
               (later sections go before earlier ones: put the special ones last)",
            ],
        ),
        (
            "[default]\nworker_cpus = 1\n[linux]\nworker_cpus = 1\n[windows]\nworker_cpus = 1\n[macos]\nworker_cpus = 1\n",
            &["2:1: warning: `worker_cpus` of [default] has no effect: all platforms set it"],
        ),
    ] {
        assert_eq!(wrong(text), expected, "{text}");
    }
}

#[test]
fn bounds_are_kept() {
    assert!(wrong(&"#".repeat(FILE_BYTES_MAX + 1))[0].contains("longer than 1048576 bytes"));
    let many: String = (0..=SECTIONS_MAX)
        .map(|n| format!("[host.a{n}]\nworker_cpus = {}\n", n % 9))
        .collect();
    assert!(
        wrong(&many)
            .iter()
            .any(|it| it.contains("more than 2048 sections"))
    );
    let deep = |n: usize| {
        let templates = (0..n).map(|n| format!("[template.t{n}]\ninherits = \"t{}\"\n", n + 1));
        templates.collect::<String>()
            + &format!("[template.t{n}]\nworker_cpus = 1\n[host.h]\ninherits = \"t0\"\n")
    };
    assert_eq!(wrong(&deep(DEPTH_MAX - 1)), [""; 0]);
    assert!(
        wrong(&deep(DEPTH_MAX))
            .iter()
            .any(|it| it.contains("more than 16 templates in a row"))
    );
    let pair = |n: usize| format!("\"host.p{n}={}\"", "x".repeat(4_000));
    let pairs: Vec<String> = (0..70).map(pair).collect();
    let long = format!("[default]\nworker_properties = [{}]\n", pairs.join(", "));
    let said = &wrong(&long)[0];
    assert!(
        said.starts_with("1:2: a host could be set 28") && said.contains("at most 262144"),
        "{said}"
    );
    // Each template inherits the next one twice: 2^12 ways, none of which is walked to the end.
    let wide: String = (0..12)
        .map(|n| format!("[template.t{n}]\ninherits = [\"t{0}\", \"t{0}\"]\n", n + 1))
        .collect();
    let wide = wide + "[template.t12]\nworker_cpus = 1\n[host.h]\ninherits = \"t0\"\n";
    assert!(
        wrong(&wide)
            .iter()
            .any(|it| it.contains("more than 256 templates"))
    );
}

const QBWRK: &str = r#"
# the farm
[global_config]
templates = gpu
non_existent = render[071-100]

[default]
worker_cpus = 0
proxy_password = 0548f621b9ee
worker_flags = load_profile,auto_mount

[winnt] : default
worker_drive_map = {X:|mia:secret@\\S\SHARE
}
worker_path_map = {
"/mnt/show" = "X:\\show"
"\\" = "/"
}

[gpu]
worker_groups = "gpu,fast"
worker_resources = host.gpu=2,scoped.nuke=1,license.nuke=1

[render[001-100]] : gpu
worker_cpus = 8
worker_description = "node of ${default.worker_cpus} in $gpu.worker_groups"

[render007] : gpu missing
worker_clsuter = /fx
worker_description = "this is ${_}"
proxy_nice_value = -5
worker_logfile = "/log/$_"

[render007]
worker_cpus = 2
proxy_execution_mode = user
"#;

#[test]
fn qube_files_become_ours_and_the_rest_is_listed() {
    let conf = "# qb.conf\nqb_supervisor = farm\nworker_cpus = 4\nworker_groups = all\nsupervisor_port = 1\nproxy_account = qubeproxy\nhello\n";
    let files = [
        File {
            name: "qb.conf",
            text: conf,
        },
        File {
            name: "qbwrk.conf",
            text: QBWRK,
        },
    ];
    let made = import(&files).expect("short enough");
    assert_eq!(
        made.toml,
        r#"# Imported from qb.conf and qbwrk.conf.

[default] # qbwrk.conf:7
worker_cpus = 0
worker_groups = ["all"]

[windows] # qbwrk.conf:12
worker_path_map = [["/mnt/show", "X:\\show"]]

[template.gpu] # qbwrk.conf:20
worker_groups = ["gpu", "fast"]
worker_resources = ["host.gpu=2", "scoped.nuke=1"]

[host."render[001-100]"] # qbwrk.conf:24
inherits = ["gpu"]
worker_cpus = 8
worker_description = "node of 0 in gpu,fast"

[host.render007] # qbwrk.conf:34
inherits = ["gpu"]
worker_cpus = 2
worker_description = "this is render007"
"#
    );
    let left: Vec<String> = made
        .left
        .iter()
        .map(|it| format!("{}: {}", it.what, it.why))
        .collect();
    for expected in [
        "qb_supervisor: it is for one host: write it into that host's own worker.toml",
        "supervisor_port: it is the supervisor's, whose own file is supervisor.toml",
        "proxy_account: whom jobs become on a host only that host says: its launcher's policy, and its own worker.toml within that",
        "proxy_execution_mode: whom jobs become on a host only that host says: its launcher's policy, and its own worker.toml within that",
        "this line: it is neither a section nor key = value",
        "proxy_password: passwords are in no file: tessera credential register keeps them sealed (docs/credentials.md)",
        "worker_flags: it has no counterpart here",
        "worker_drive_map: drives are in the launcher's policy of each Windows host (docs/windows.md)",
        "worker_path_map: \"\\\\\" = \"/\" is left out: it is no pair of absolute paths",
        "worker_resources: license.nuke is left out: here it must be a list of at most 256 \"host.name=NUMBER\" or \"scoped.name=NUMBER\", names of at most 255 bytes",
        "worker_clsuter: it has no counterpart here; did you mean worker_cluster?",
        "proxy_nice_value: here it must be a number from 0 to 19: jobs may have less priority than others on the host, never more",
        "[render007]: it inherits missing, which is not defined before it",
        "[render007]: joined with the section in line 28 of qbwrk.conf, at the place of this one",
        "non_existent: not needed: no name is looked up",
    ] {
        assert!(
            left.iter().any(|it| it == expected),
            "{expected}\n{left:#?}"
        );
    }
    let place = |what: &str| {
        let left = made.left.iter().find(|it| it.what == what).expect(what);
        (left.file.as_str(), left.line)
    };
    assert_eq!(place("qb_supervisor"), ("qb.conf", 2));
    assert_eq!(place("proxy_password"), ("qbwrk.conf", 9));
    let everything = format!("{made:?}");
    assert!(!everything.contains("0548f621b9ee") && !everything.contains("secret"));
    good(&made.toml);
}

#[test]
fn a_name_that_others_inherit_is_a_template() {
    let text = "[a]\nworker_cpus = 1\n[b[1-2]] : a\n[osx] : a\n[c d]\n[irix]\nworker_cpus = 1\n";
    let made = import(&[File { name: "q", text }]).expect("short enough");
    assert_eq!(
        made.toml,
        "# Imported from q.\n\n[macos] # q:4\nworker_cpus = 1\n\n[template.a] # q:1\nworker_cpus = 1\n\n\
         [host.\"b[1-2]\"] # q:3\ninherits = [\"a\"]\n"
    );
    let left: Vec<String> = made.left.iter().map(ToString::to_string).collect();
    assert_eq!(
        left,
        [
            "q:1: [a]: taken for a template, since others inherit it; if it is a host as well, add a [host.…] that inherits it",
            "q:5: [c d]: ' ' can't be in the name of a host: letters, digits, - _ and dots can",
            "q:6: [irix]: no worker runs on that system",
        ]
    );
    assert_eq!(
        import(&[File {
            name: "long",
            text: &"#".repeat(FILE_BYTES_MAX + 1)
        }],),
        Err("long")
    );
}

#[test]
fn the_same_host_in_other_letters_is_the_same_host() {
    let text = "[t]\nworker_cpus = 1\n[Ws1] : t\nworker_cpus = 2\nworker_description = a\n[ws1]\nworker_cpus = 3\n";
    let made = import(&[File { name: "q", text }]).expect("short enough");
    assert!(
        made.toml.ends_with(
            "[host.ws1] # q:6\ninherits = [\"t\"]\nworker_cpus = 3\nworker_description = \"a\"\n"
        ),
        "{}",
        made.toml
    );
    assert!(
        made.left
            .iter()
            .any(|it| it.why.starts_with("joined with the section in line 3"))
    );
}

#[test]
fn what_sets_a_key_everywhere_is_told_in_the_order_in_which_it_holds() {
    let set = |text: &str| {
        let (workers, findings) = Workers::read(text);
        assert!(findings.iter().all(|it| !it.is_error), "{findings:?}");
        workers.everywhere("worker_cpus")
    };
    let file =
        "[host.b]\ninherits = [\"t\"]\n[host.a]\nworker_cpus = 4\n[linux]\nworker_cpus = 2\n";
    let template = "[template.t]\nworker_cpus = 3\n";
    let said = set(&format!("{file}{template}"));
    let said: Vec<(&str, &str)> = said.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    assert_eq!(
        said,
        [("[linux]", "2"), ("[host.b]", "3"), ("[host.a]", "4")]
    );
    // A template that nobody inherits sets nothing; where it stands is no matter.
    assert_eq!(
        set(&format!("{template}{file}")),
        set(&format!("{file}{template}"))
    );
    assert_eq!(set(template), []);
    // Which of two sections of hosts comes later is one.
    let other =
        "[host.a]\nworker_cpus = 4\n[host.b]\ninherits = [\"t\"]\n[linux]\nworker_cpus = 2\n";
    assert_ne!(
        set(&format!("{other}{template}")),
        set(&format!("{file}{template}"))
    );
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\[(default|winnt|osx|linux|irix|global_config|[a-cA-C]{1,2}|r\\[0{0,2}[1-9]-[0-9]{1,2}\\])\\]( : ([a-c]{1,2} ?){1,3})?",
        "(worker_cpus|proxy_nice_value) = -?[0-9]{1,4}",
        "(worker_description|proxy_account|templates|nonsense|proxy_password) = \"?[a-z\\$\\{\\}_\\\\ .#,]{0,8}\"?",
        "worker_(groups|resources|properties) = (host\\.)?[a-c=,]{0,9}",
        "worker_path_map = \\{",
        "\"[/a-c:\\\\]{1,4}\" [=:] \"[/a-c]{1,4}\",?",
        "\\}",
        "[ -~]{0,12}",
    ]
}

proptest! {
    #[test]
    fn what_is_imported_has_no_mistakes(lines in prop::collection::vec(line(), 0..24)) {
        let text = lines.join("\n");
        let made = import(&[File { name: "f", text: &text }]).expect("short enough");
        let (_, findings) = Workers::read(&made.toml);
        let errors: Vec<Finding> = findings.into_iter().filter(|it| it.is_error).collect();
        prop_assert_eq!(errors, [], "{}\nbecame\n{}", text, made.toml);
    }

    #[test]
    fn what_a_host_gets_reads_back_the_same(number in 0..9_i64, text in "\\PC{0,12}", host in "render00[1-9]") {
        let file = format!(
            "{FARM}\n[host.\"render00[1-5]\"]\nworker_cpus = {number}\nworker_description = {}\n",
            crate::value::quoted(&text)
        );
        let (workers, findings) = Workers::read(&file);
        prop_assert!(findings.iter().all(|it| !it.is_error), "{:?}", findings);
        let settings = workers.of_host(&host, None);
        let again = format!("[host.{host}]\n{}", settings.to_toml());
        let (again, _) = Workers::read(&again);
        prop_assert_eq!(again.of_host(&host, None).to_toml(), settings.to_toml());
    }

    #[test]
    fn any_text_is_read_or_pointed_at(text in "(\\[|\\]|host\\.|\"|=|\n|[a-c]|template|inherits|\\{|worker_cpus ?= ?1){0,16}") {
        let (workers, findings) = Workers::read(&text);
        for finding in &findings {
            prop_assert!(finding.place.line <= text.split('\n').count().max(1), "{:?}", finding);
        }
        let _settings = workers.of_host("a", None);
    }
}
