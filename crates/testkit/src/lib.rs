//! Things that tests of the whole farm share: a farm of real daemons in a folder of its own, its processes as /proc shows
//! them, waits with a deadline. Used by tests only.
#![forbid(unsafe_code)]

pub mod farm;
pub mod processes;
pub mod user;
pub mod wait;

/// Ends a program of tests: what went wrong is told, and counted as the others are.
pub fn end(result: anyhow::Result<()>) -> std::process::ExitCode {
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("FAILED {error:#}");
            println!("0 passed, 1 failed");
            std::process::ExitCode::FAILURE
        }
    }
}
