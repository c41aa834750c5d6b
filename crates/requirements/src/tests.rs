//! Whole expressions: what they mean, what is wrong with them, what is said of a host that doesn't meet them.

use crate::fact::Fact;
use crate::fact::tests::Given;
use crate::limits::{DEPTH_MAX, EXPRESSION_BYTES_MAX, TERMS_MAX};
use crate::{Requirement, Truth};

fn requirement(text: &str) -> Requirement {
    Requirement::parse(text).unwrap_or_else(|bad| panic!("{bad}\n{}", bad.pointed(text)))
}

fn host() -> Given {
    Given::default()
        .with("host.name", "rnd042")
        .with("host.os", "linux")
        .with("host.kernel_version", "5.10.0-26-amd64")
        .with("host.memory", 49_152_u64)
        .with("host.memory.avail", 20_480_u64)
        .with("host.processors", 32_u64)
        .with("host.processors.used", 0_u64)
        .with("host.processor_speed", "2400")
        .with("host.groups", Fact::list(["gpu", "linux"]))
        .with("host.duty.kind", Fact::list(["sim", ""]))
        .with("host.duty.id", Fact::list(["12", "0013"]))
        .with("host.flag.dynamic", true)
        .with("host.rack", "b7")
        .with("host.ready", "no")
        .with("host.empty", "")
        .with("host.bits", 6_u64)
        .with("job.id", 13_u64)
        .with("job.kind", "sim")
        .with("job.user", "mia")
}

fn truth(text: &str) -> Truth {
    requirement(text).evaluate(&host())
}

#[test]
fn every_operator_means_the_same_in_both_spellings() {
    for (words, signs, holds) in [
        ("host.os eq linux", "host.os == linux", true),
        ("host.os eq linux", "host.os = linux", true),
        ("host.os ne linux", "host.os != linux", false),
        ("host.os ne linux", "host.os <> linux", false),
        ("host.bits lt 6", "host.bits < 6", false),
        ("host.bits le 6", "host.bits <= 6", true),
        ("host.bits gt 6", "host.bits > 6", false),
        ("host.bits ge 6", "host.bits >= 6", true),
        (
            "host.bits eq 6 and host.os eq irix",
            "host.bits==6&&host.os==irix",
            false,
        ),
        (
            "host.bits eq 6 or host.os eq irix",
            "host.bits==6||host.os==irix",
            true,
        ),
        (
            "host.bits eq 6 xor host.os eq linux",
            "host.bits==6^host.os==linux",
            false,
        ),
        ("not host.bits eq 6", "!host.bits == 6", false),
        ("host.bits add 1 eq 7", "host.bits + 1 == 7", true),
        ("host.bits sub 1 eq 5", "host.bits - 1 == 5", true),
        ("host.bits mul 2 eq 12", "host.bits * 2 == 12", true),
        ("host.bits div 4 eq 1.5", "host.bits / 4 == 1.5", true),
        ("host.bits mod 4 eq 2", "host.bits % 4 == 2", true),
        ("host.bits ls 1 eq 12", "host.bits << 1 == 12", true),
        ("host.bits rs 1 eq 3", "host.bits >> 1 == 3", true),
    ] {
        assert_eq!(requirement(words), requirement(signs), "{words}");
        assert_eq!(truth(words), Truth::from(holds), "{words}");
    }
    for (text, holds) in [
        ("host.bits & 2", true),
        ("host.bits & 1", false),
        ("host.bits | 1 == 7", true),
        ("host.bits min 4 == 4", true),
        ("host.bits max 4 == 6", true),
        (
            "HOST.os == linux OR host.bits == 6"
                .replace("HOST", "host")
                .as_str(),
            true,
        ),
        ("-host.bits == -6", true),
        ("job.kind in host.duty.kind", true),
        ("host.duty.kind has job.kind", true),
        ("not (job.id in host.duty.id)", false),
        ("host.groups has gpu", true),
        ("host.groups has g", false),
        ("host.os in linux,macos", true),
        ("host.os in \"irix, linux\"", true),
        ("host.os in irix, macos", false),
        ("host.processors.used == 0", true),
        ("host.flag.dynamic", true),
        ("host.flag.auto_mount", false),
        ("host.ready", false),
        ("host.empty", false),
        ("host.rack", true),
        ("host.groups", true),
    ] {
        assert_eq!(truth(text), Truth::from(holds), "{text}");
    }
}

#[test]
fn tight_operators_go_first() {
    for (text, whole) in [
        (
            "host.a or host.b and host.c",
            "host.a or (host.b and host.c)",
        ),
        (
            "host.a or host.b xor host.c and host.d",
            "host.a or (host.b xor (host.c and host.d))",
        ),
        ("not host.a and host.b", "(not host.a) and host.b"),
        ("not host.a == 1", "not (host.a == 1)"),
        ("host.a == 1 + 2 * 3", "host.a == (1 + (2 * 3))"),
        ("host.a - 1 - 2 == 0", "((host.a - 1) - 2) == 0"),
        ("host.a | 1 & 3 == 3", "(host.a | (1 & 3)) == 3"),
        ("host.a & 1 << 2 == 4", "(host.a & (1 << 2)) == 4"),
        ("host.a == - 2", "host.a == -2"),
        (
            "(host.a and host.b) and host.c",
            "host.a and host.b and host.c",
        ),
        (
            "host.a and (host.b and host.c)",
            "host.a and host.b and host.c",
        ),
    ] {
        assert_eq!(requirement(text), requirement(whole), "{text}");
    }
    for (text, printed) in [
        (
            "(host.a or host.b)&&!host.c",
            "(host.a or host.b) and not host.c",
        ),
        ("host.a-(1-2)=0", "host.a - (1 - 2) == 0"),
        (
            "(host.a xor host.b) xor host.c",
            "host.a xor host.b xor host.c",
        ),
        (
            "host.a xor (host.b xor host.c)",
            "host.a xor (host.b xor host.c)",
        ),
        ("!(host.a and host.b)", "not (host.a and host.b)"),
        ("host.memory>=64g", "host.memory >= 64 GiB"),
        ("host.memory >= 1.5 TB", "host.memory >= 1.5 TiB"),
        ("host.name == 'rnd-1'", "host.name == \"rnd-1\""),
        (
            "host.name == \"a\\\"b\\\\c\"",
            "host.name == \"a\\\"b\\\\c\"",
        ),
        ("host.name == \"linux\"", "host.name == linux"),
        ("host.name == \"5\"", "host.name == \"5\""),
        ("host.name == \"and\"", "host.name == \"and\""),
        ("host.name == \"host.os\"", "host.name == \"host.os\""),
        ("job.id in 5, 06,a", "job.id in 5,6,a"),
        ("-(host.a + 1) == 2", "-(host.a + 1) == 2"),
        ("job.prototype == cmdline", "job.type == cmdline"),
        (
            "host.os == winnt or host.os in osx,irix",
            "host.os == windows or host.os in macos,irix",
        ),
    ] {
        assert_eq!(requirement(text).to_string(), printed);
    }
}

#[test]
fn numbers_and_texts_compare_as_their_sides_say() {
    for (text, holds) in [
        ("host.memory >= 48G", true),
        ("host.memory > 48G", false),
        ("host.memory == 49152", true),
        ("host.memory.avail >= 20 GiB", true),
        ("host.memory - host.memory.avail == 28G", true),
        ("host.memory.avail >= host.processors * 512M", true),
        ("host.memory.avail >= host.processors * 1G", false),
        ("host.processor_speed >= 2.4GHz", true),
        ("host.processor_speed > 2400 MHz", false),
        ("host.processor_speed == 2400.0", true),
        // A text in quotes is a text.
        ("host.processor_speed == \"2400.0\"", false),
        ("host.processor_speed == \"2400\"", true),
        // Texts are ordered as people do.
        ("host.kernel_version >= \"5.9\"", true),
        ("host.kernel_version >= \"5.10\"", true),
        ("host.kernel_version >= \"5.11\"", false),
        ("host.kernel_version >= 5", true),
        ("host.kernel_version == 5", false),
        ("host.name < rnd100", true),
        ("host.name == RND042", false),
    ] {
        assert_eq!(truth(text), Truth::from(holds), "{text}");
    }
}

#[test]
fn what_a_host_does_not_have_meets_nothing_and_its_opposite_neither() {
    for text in [
        "host.gpus >= 1",
        "host.gpus == 0",
        "host.gpus != 0",
        "not (host.gpus == 0)",
        "not (host.gpus < 8)",
        "host.gpus + 1 > 0",
        "host.gpus in 1,2",
        "not host.gpus",
        "host.gpus",
        "host.gpus == 1 xor host.os == irix",
        "host.os == linux and host.gpus > 0",
        // It can't be computed.
        "host.bits / 0 == 1",
        "host.os + 1 == 2",
        "host.bits << 99 == 0",
    ] {
        assert_eq!(truth(text), Truth::Unknown, "{text}");
        assert!(!requirement(text).holds(&host()), "{text}");
    }
    for (text, holds) in [
        ("host.gpus > 0 or host.os == linux", true),
        ("host.gpus > 0 and host.os == irix", false),
        ("host.gpus == \"\"", true),
        ("host.gpus != \"\"", false),
        ("\"\" == host.gpus", true),
        ("host.rack == \"\"", false),
        ("host.rack != \"\"", true),
        ("host.jobtypes has maya", false),
        ("not (host.duty.user has mia)", true),
        ("job.label == \"\"", true),
        ("job.label in host.duty.label", false),
    ] {
        assert_eq!(truth(text), Truth::from(holds), "{text}");
    }
}

fn error(text: &str) -> String {
    let bad = Requirement::parse(text).expect_err(text);
    assert!(!bad.hint().is_empty());
    format!("{bad}\n{}", bad.pointed(text))
}

#[test]
fn errors_point_at_the_character() {
    for (text, said) in [
        (
            "host.os == ",
            "at character 12 (the end): a value is expected: host.NAME, job.NAME, a number or a text\n\
             host.os == \n           ^",
        ),
        (
            "host.os == linux host.name",
            "at character 18 ('h'): an operator is expected, such as and, or, ==\n\
             host.os == linux host.name\n                 ^",
        ),
        (
            "(host.os == linux",
            "at character 18 (the end): a closing parenthesis is missing\n(host.os == linux\n                 ^",
        ),
        (
            "host.os == linux)",
            "at character 17 (')'): an operator is expected, such as and, or, ==\nhost.os == linux)\n                ^",
        ),
        (
            "host.name == rnd-042",
            "at character 14 ('r'): - is for numbers, and this is a text\nhost.name == rnd-042\n             ^",
        ),
        (
            "host.name == \"é\" & job.kindd",
            "at character 20 ('j'): there is no job.kindd; did you mean job.kind?\nhost.name == \"é\" & job.kindd\n                   ^",
        ),
        (
            "1 < host.bits < 7",
            "at character 15 ('<'): a comparison can't be compared: join two comparisons with and\n\
             1 < host.bits < 7\n              ^",
        ),
        (
            "os == linux",
            "at character 1 ('o'): this is the same for every host and job; did you mean host.os?\nos == linux\n^",
        ),
        (
            "host.processors >= 4G",
            "at character 1 ('h'): host.processors is not measured in GiB\nhost.processors >= 4G\n^",
        ),
        (
            "host.memroy >= 64G",
            "at character 1 ('h'): host.memroy is not measured in GiB; did you mean host.memory?\nhost.memroy >= 64G\n^",
        ),
        (
            "host.memory > host.processor_speed",
            "at character 1 ('h'): memory and a clock speed can't be compared or added\n\
             host.memory > host.processor_speed\n^",
        ),
        (
            "host.os .eq. linux",
            "at character 9 ('.'): operators have no dots around them: write eq or ==\nhost.os .eq. linux\n        ^",
        ),
        (
            "host.os == \"linux",
            "at character 12 (\"): the text that begins here has no end; it needs the same quotation mark behind it\n\
             host.os == \"linux\n           ^",
        ),
        (
            "host.cluster == /show",
            "at character 17 ('/'): a value is expected: host.NAME, job.NAME, a number or a text\n\
             host.cluster == /show\n                ^",
        ),
        (
            "host.os == linux,macos",
            "at character 1 ('h'): a list can only stand behind in, or before has\nhost.os == linux,macos\n^",
        ),
        (
            "host.memory in 4G,5",
            "at character 16 ('4'): a list has no units\nhost.memory in 4G,5\n               ^",
        ),
        (
            "host.os == linux and 5",
            "at character 22 ('5'): this neither holds nor doesn't; a comparison is expected\n\
             host.os == linux and 5\n                     ^",
        ),
        (
            "(host.os == linux) == 1",
            "at character 1 ('('): this holds or doesn't; a number or a text is expected\n(host.os == linux) == 1\n^",
        ),
        (
            "host.os ; 1",
            "at character 9 (';'): this character means nothing here\nhost.os ; 1\n        ^",
        ),
        (
            "host.os ==\u{7} 1",
            "at character 11 ('\\u{7}'): there is a control character\nhost.os ==  1\n          ^",
        ),
        (
            "",
            "at character 1 (the end): a value is expected: host.NAME, job.NAME, a number or a text\n\n^",
        ),
    ] {
        assert_eq!(error(text), said, "{text}");
    }
}

#[test]
fn a_hint_names_the_way_out() {
    let hint = |text: &str| Requirement::parse(text).expect_err(text).hint();
    for text in [
        "host.cluster == /show",
        "host.cluster == show{}",
        "host.name == rnd-042",
    ] {
        assert!(hint(text).contains("in quotes"), "{text}: {}", hint(text));
    }
    assert!(hint("host.processors > 4G").contains("write the bare number"));
    assert!(hint("linux").contains("host.os == linux"));
}

#[test]
fn a_place_far_inside_is_shown_with_what_is_around_it() {
    let text = format!(
        "{}host.os = = linux{}",
        "host.a == 1 and ".repeat(10),
        " or host.b".repeat(10)
    );
    let shown = Requirement::parse(&text)
        .expect_err("is wrong")
        .pointed(&text);
    let lines: Vec<&str> = shown.lines().collect();
    assert!(
        lines[0].starts_with("… ") && lines[0].ends_with(" …"),
        "{shown}"
    );
    let caret = lines[1].chars().count() - 1;
    assert_eq!(lines[0].chars().nth(caret), Some('='), "{shown}");
    assert_eq!(lines[0].chars().nth(caret - 2), Some('='), "{shown}");
}

#[test]
fn bounds_are_kept() {
    let long = format!("host.name == \"{}\"", "x".repeat(EXPRESSION_BYTES_MAX));
    assert!(error(&long).contains("at most 4096 bytes"));
    // It would fit, but not as it is printed.
    let grows = format!("host.name == '{}'", "\"".repeat(EXPRESSION_BYTES_MAX / 2));
    assert!(grows.len() <= EXPRESSION_BYTES_MAX);
    assert!(error(&grows).contains("at most 4096 bytes"));
    let nested = |n: usize| format!("{}host.a{}", "(".repeat(n), ")".repeat(n));
    assert!(Requirement::parse(&nested(DEPTH_MAX)).is_ok());
    assert!(error(&nested(DEPTH_MAX + 1)).contains("more than 32 parentheses"));
    assert!(error(&format!("{}host.a", "!".repeat(DEPTH_MAX + 1))).contains("more than 32"));
    assert!(error(&format!("host.a == {}1", "- ".repeat(DEPTH_MAX + 1))).contains("more than 32"));
    let sum = |n: usize| format!("host.a == {}", vec!["1"; n].join("+"));
    assert!(Requirement::parse(&sum(TERMS_MAX - 1)).is_ok());
    assert!(error(&sum(TERMS_MAX)).contains("more than 128 operands"));
    let list = |n: usize| format!("host.a in {}", vec!["1"; n].join(","));
    assert!(Requirement::parse(&list(TERMS_MAX - 1)).is_ok());
    assert!(error(&list(TERMS_MAX)).contains("more than 128 operands"));
}

fn why(text: &str) -> String {
    requirement(text)
        .explain(&host())
        .map_or_else(|| "it holds".to_owned(), |why| why.to_string())
}

#[test]
fn the_smallest_part_that_fails_is_told() {
    for (text, said) in [
        (
            "host.memory >= 64G",
            "host.memory is 48 GiB, asked for >= 64 GiB",
        ),
        (
            "64G <= host.memory",
            "host.memory is 48 GiB, asked for >= 64 GiB",
        ),
        (
            "host.os == linux and host.memory >= 64G and host.groups has gpu",
            "host.memory is 48 GiB, asked for >= 64 GiB",
        ),
        (
            "not (host.os == linux)",
            "host.os is linux, asked for != linux",
        ),
        (
            "not (job.kind in host.duty.kind)",
            "job.kind is sim and host.duty.kind is sim, asked for not job.kind in host.duty.kind",
        ),
        (
            "host.groups has farm",
            "host.groups is gpu,linux, asked for farm in it",
        ),
        (
            "not (host.groups has gpu)",
            "host.groups is gpu,linux, asked for not gpu in it",
        ),
        (
            "host.os in irix,macos",
            "host.os is linux, asked for in irix,macos",
        ),
        (
            "host.gpus >= 1",
            "this host has no host.gpus, asked for >= 1",
        ),
        (
            "host.gpus != \"\"",
            "this host has no host.gpus, asked for something",
        ),
        (
            "host.ready",
            "host.ready is no, asked for something other than 0 or nothing",
        ),
        ("not host.rack", "host.rack is b7, asked for 0 or nothing"),
        (
            "host.flag.auto_mount",
            "host.flag.auto_mount is 0, asked for something other than 0 or nothing",
        ),
        ("host.empty == x", "host.empty is empty, asked for == x"),
        (
            "host.jobtypes has maya",
            "host.jobtypes is empty, asked for maya in it",
        ),
        (
            "host.os == irix or host.memory > 1T",
            "host.os is linux, asked for == irix; or host.memory is 48 GiB, asked for > 1 TiB",
        ),
        (
            "(host.os == irix or host.memory > 1T) and host.rack == b8",
            "host.rack is b7, asked for == b8",
        ),
        // What fails is told before what can't be known.
        (
            "host.gpus > 0 and host.rack == b8",
            "host.rack is b7, asked for == b8",
        ),
        (
            "not (host.os == linux or host.gpus == 1)",
            "host.os is linux, asked for != linux",
        ),
        (
            "not (host.os == linux and host.rack == b7)",
            "host.os is linux, asked for != linux; or host.rack is b7, asked for != b7",
        ),
        (
            "host.memory.avail >= host.processors * 1G",
            "host.memory.avail is 20 GiB and host.processors is 32, asked for host.memory.avail >= host.processors * 1 GiB",
        ),
        (
            "host.processor_speed > 3GHz",
            "host.processor_speed is 2400 MHz, asked for > 3 GHz",
        ),
        ("host.os == linux", "it holds"),
    ] {
        assert_eq!(why(text), said, "{text}");
    }
    let hostile = Given::default().with("host.rack", "a\u{1b}[2Jb\n");
    let said = requirement("host.rack == x")
        .explain(&hostile)
        .expect("fails")
        .to_string();
    assert_eq!(said, "host.rack is a?[2Jb?, asked for == x");
}

#[test]
fn what_is_read_is_known_beforehand() {
    let it = requirement(
        "host.memory.avail > 1G and host.os == linux and not (job.kind in host.duty.kind)",
    );
    let read: Vec<String> = it.operands().iter().map(ToString::to_string).collect();
    assert_eq!(
        read,
        ["host.os", "host.memory.avail", "host.duty.kind", "job.kind"]
    );
    let depends = it.depends();
    assert!(depends.host && depends.host_now && depends.job);
    let still = requirement("host.os == linux and host.groups has gpu").depends();
    assert!(still.host && !still.host_now && !still.job);
}

#[test]
fn a_misspelt_operand_is_guessed() {
    let it = requirement(
        "host.memroy > 1 and host.rack == b7 and host.procesors.avail > 2 and host.os == linux",
    );
    let guesses = it.unknown_operands(|name| name == "host.rack");
    let said: Vec<(String, Option<&str>)> = guesses
        .iter()
        .map(|guess| (guess.operand.to_string(), guess.nearest.as_deref()))
        .collect();
    assert_eq!(
        said,
        [
            ("host.memroy".to_owned(), Some("host.memory")),
            ("host.procesors.avail".to_owned(), Some("host.processors")),
        ]
    );
}

#[test]
fn a_text_is_not_compared_with_an_amount() {
    let said = |text: &str| {
        let bad = Requirement::written(text).expect_err(text);
        (bad.place, bad.problem.to_string())
    };
    for (text, place, unit) in [
        ("host.memory > 64X", 14, "X"),
        ("host.memory > 640X", 14, "X"),
        ("host.memory > 4P", 14, "P"),
        ("host.memory >= 64GX", 15, "GX"),
        ("64X <= host.memory", 0, "X"),
        ("host.memory.avail in 64X", 21, "X"),
    ] {
        let what = text
            .split(' ')
            .find(|it| it.starts_with("host."))
            .expect("one");
        let problem = format!("\"{unit}\" is no unit, and {what} is a number");
        assert_eq!(said(text), (place, problem), "{text}");
    }
    for (text, place) in [
        ("host.memory >= \"64G\"", 15),
        ("host.cpus == many", 13),
        ("host.licences.avail > some", 22),
        ("host.memory in 1,x", 15),
    ] {
        let (at, problem) = said(text);
        assert_eq!(at, place, "{text}");
        assert!(
            problem.starts_with("this is a text, and host."),
            "{text}: {problem}"
        );
    }
    for good in [
        "host.memory >= 64G",
        "host.memory == \"\"",
        "host.gpu == 4090Ti",
        "host.kernel_version >= 5.10.2",
        "host.cpus in 8,16",
    ] {
        assert!(Requirement::written(good).is_ok(), "{good}");
    }
    // What an older version accepted, and a farm has kept, still reads.
    assert!(Requirement::parse("host.memory > 64X").is_ok());
}
