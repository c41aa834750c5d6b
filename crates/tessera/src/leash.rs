//! Ends this daemon when whoever started it ends: they hold the other end of its standard input.

use nix::sys::signal::{Signal, raise};
use std::io::Read as _;

/// Begins to watch standard input. At its end this process gets SIGTERM, as if somebody had asked it to end.
pub(crate) fn hold() {
    let watch = || {
        let mut stdin = std::io::stdin().lock();
        let mut ignored = [0; 64];
        while stdin.read(&mut ignored).is_ok_and(|bytes| bytes > 0) {}
        // The process itself must end, whichever thread takes the signal.
        let _ = nix::sys::signal::kill(nix::unistd::getpid(), Signal::SIGTERM)
            .or_else(|_| raise(Signal::SIGTERM));
    };
    // Without the thread the daemon lives until it is asked to end, which is the usual way.
    let _ = std::thread::Builder::new()
        .name("leash".into())
        .spawn(watch);
}
