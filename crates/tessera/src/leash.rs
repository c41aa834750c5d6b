//! Ends this daemon when whoever started it ends: they hold the other end of its standard input.

use std::io::Read as _;

/// Begins to watch standard input. At its end this process ends, as if somebody had asked it to.
pub(crate) fn hold() {
    let watch = || {
        let mut stdin = std::io::stdin().lock();
        let mut ignored = [0; 64];
        while stdin.read(&mut ignored).is_ok_and(|bytes| bytes > 0) {}
        end();
    };
    // Without the thread the daemon lives until it is asked to end, which is the usual way.
    let _ = std::thread::Builder::new()
        .name("leash".into())
        .spawn(watch);
}

#[cfg(unix)]
fn end() {
    use nix::sys::signal::{Signal, kill, raise};
    // The process itself must end, whichever thread takes the signal.
    let _ = kill(nix::unistd::getpid(), Signal::SIGTERM).or_else(|_| raise(Signal::SIGTERM));
}

/// What runs is ended with this process by the system, and all that a worker keeps is on the disk.
#[cfg(windows)]
fn end() {
    std::process::exit(0);
}
