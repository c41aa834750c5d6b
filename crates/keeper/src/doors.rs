//! Taking connections: a thread for each, so many at once, and on after what can't be taken.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::patience::{OF_A_LISTENER, is_worth_saying};

/// The most connections at once: one for each instance, and some that only ask.
const CONNECTIONS_MAX: usize = 4_096 + 64;

/// Takes connections until the process ends. `admit` says who may speak on one, or why nobody may; `converse` speaks; `say` is told what
/// went wrong.
pub fn serve<C: Send + 'static, P: Send + 'static>(
    mut accept: impl FnMut() -> io::Result<C>,
    admit: impl Fn(&C) -> Result<P, String>,
    converse: impl Fn(C, P) + Send + Sync + 'static,
    say: impl Fn(&str),
) -> ! {
    let mut doors = Doors::new(converse);
    loop {
        if let Some(pause) = doors.turn(&mut accept, &admit, &say) {
            std::thread::sleep(pause);
        }
    }
}

struct Doors<F> {
    converse: Arc<F>,
    count: Arc<AtomicUsize>,
    failures: u32,
}

impl<F> Doors<F> {
    fn new(converse: F) -> Self {
        Self {
            converse: Arc::new(converse),
            count: Arc::default(),
            failures: 0,
        }
    }

    /// Takes one connection; answers how long to wait before the next.
    fn turn<C: Send + 'static, P: Send + 'static>(
        &mut self,
        accept: &mut impl FnMut() -> io::Result<C>,
        admit: &impl Fn(&C) -> Result<P, String>,
        say: &impl Fn(&str),
    ) -> Option<std::time::Duration>
    where
        F: Fn(C, P) + Send + Sync + 'static,
    {
        let connection = match accept() {
            Ok(connection) => connection,
            Err(error) => {
                // The name is still this launcher's, and what runs is not the fault of whoever connected.
                self.failures += 1;
                let count = self.failures;
                if is_worth_saying(count) {
                    say(&format!(
                        "a connection could not be taken ({count} in a row): {error}"
                    ));
                }
                return Some(OF_A_LISTENER.after(count));
            }
        };
        self.failures = 0;
        match admit(&connection) {
            Err(why) => say(&why),
            Ok(_) if self.count.load(Ordering::Relaxed) >= CONNECTIONS_MAX => {
                say("too many connections at once");
            }
            Ok(peer) => self.converse(connection, peer, say),
        }
        None
    }

    fn converse<C: Send + 'static, P: Send + 'static>(
        &self,
        connection: C,
        peer: P,
        say: &impl Fn(&str),
    ) where
        F: Fn(C, P) + Send + Sync + 'static,
    {
        self.count.fetch_add(1, Ordering::Relaxed);
        let (converse, ended) = (Arc::clone(&self.converse), Arc::clone(&self.count));
        let thread = std::thread::Builder::new().name("connection".into());
        let begun = thread.spawn(move || {
            converse(connection, peer);
            ended.fetch_sub(1, Ordering::Relaxed);
        });
        if let Err(error) = begun {
            self.count.fetch_sub(1, Ordering::Relaxed);
            say(&format!("no thread for a connection: {error}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::sync::mpsc;

    #[test]
    fn it_goes_on_after_what_can_not_be_taken_and_speaks_with_whom_it_may() {
        let (heard, hear) = mpsc::channel();
        let mut doors = Doors::new(move |connection: u32, peer: &'static str| {
            // The test has ended when nobody hears it.
            let _ = heard.send((connection, peer));
        });
        let said = RefCell::new(Vec::new());
        let say = |text: &str| said.borrow_mut().push(text.to_owned());
        let admit = |it: &u32| match it {
            1 => Err("a stranger".to_owned()),
            _ => Ok("the worker"),
        };
        let mut next = 0;
        let mut accept = || {
            next += 1;
            match next {
                1..=3 => Err(io::Error::other("gone")),
                it => Ok(it - 3),
            }
        };
        let mut pauses = Vec::new();
        for _ in 0..5 {
            pauses.push(doors.turn(&mut accept, &admit, &say));
        }
        assert!(pauses[0] < pauses[2] && pauses[3].is_none(), "{pauses:?}");
        assert_eq!(hear.recv(), Ok((2, "the worker")));
        let said = said.borrow();
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[1].contains("2 in a row") && said[2] == "a stranger");
    }
}
