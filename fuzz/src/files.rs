//! Files that people, or a host that lost power, leave to be read.

use crate::borrowed::{launch_file, supervisor_config};
use std::path::Path;
use std::sync::OnceLock;
use tempfile::TempDir;
use tessera_rules::policy;

/// `worker.toml`, `supervisor.toml` and the launcher's policy: read, or refused with a line that the file has.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let path = Path::new("worker.toml");
    if let Err(error) = tessera_hostconfig::worker::Config::parse(path, text) {
        assert!(error.to_string().starts_with("worker.toml:"), "{error}");
    }
    let lines = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
    if let Err((line, problem)) = supervisor_config::Config::parse(text) {
        assert!(
            (1..=lines).contains(&line),
            "line {line} of {lines}: {problem}"
        );
    }
    match policy::Policy::parse(text) {
        Ok(policy) => assert!(policy.path.split(':').all(|it| it.starts_with('/'))),
        Err(problem) => assert!(problem.starts_with("line "), "{problem}"),
    }
}

/// The file that a worker keeps of a launch: a torn one has the limits that there are without any.
pub fn launch(bytes: &[u8]) {
    static DIR: OnceLock<TempDir> = OnceLock::new();
    let dir = DIR.get_or_init(|| tempfile::tempdir().expect("a temporary directory"));
    std::fs::write(launch_file::path(dir.path()), bytes).expect("writes");
    let kept = || {
        launch_file::read(dir.path())
            .expect("reads")
            .expect("is there")
    };
    let first = kept();
    launch_file::write(dir.path(), &first.limits, first.owner.as_deref()).expect("writes");
    let again = kept();
    assert_eq!((again.limits, again.owner), (first.limits, first.owner));
}
