//! What a test needs of the machine besides root.

/// Passes on what a test needs; without it the test is skipped on a laptop and fails in CI.
pub fn needed<T>(what: &str, found: Option<T>) -> Option<T> {
    if found.is_none() {
        let is_ci = std::env::var("CI").as_deref() == Ok("true");
        assert!(!is_ci, "this test needs {what} in CI");
        eprintln!("skipped: needs {what}");
    }
    found
}
