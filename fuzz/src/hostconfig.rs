//! The configuration of all workers, and Qube!'s files that are made into one.

use tessera_hostconfig::qube::{File, import};
use tessera_hostconfig::{Finding, Platform, Workers};

fn errors(text: &str) -> Vec<Finding> {
    let (_, findings) = Workers::read(text);
    findings.into_iter().filter(|it| it.is_error).collect()
}

/// What holds for a host reads back as the same; what is imported has no mistakes; nothing is pointed at outside of the text.
pub fn hostconfig(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (workers, findings) = Workers::read(text);
    let lines = text.split('\n').count();
    assert!(
        findings
            .iter()
            .all(|it| (1..=lines).contains(&it.place.line)),
        "{findings:?}"
    );
    if findings.iter().all(|it| !it.is_error) {
        let settings = workers.of_host("a1", Some(Platform::Linux)).to_toml();
        let again = format!("[host.a1]\n{settings}");
        assert_eq!(errors(&again), []);
        let (again, _) = Workers::read(&again);
        assert_eq!(again.of_host("a1", None).to_toml(), settings);
    }
    let file = File { name: "f", text };
    let made = import(&[file]).expect("short enough");
    assert_eq!(
        made.is_right(),
        errors(&made.toml).is_empty(),
        "{}",
        made.toml
    );
    let is_deep = made.left.iter().any(|it| it.why.contains("more than"));
    assert!(made.is_right() || is_deep, "{:?}\n{}", made.left, made.toml);
}
