//! Ending what an earlier process began: nobody here is the parent of it, so the system is asked to tell of each end.

use std::io;
use std::time::Duration;

use crate::walk::{Known, Process, members};

/// The most walks: what a process starts between two of them is found by the next.
const WALKS_MAX: usize = 16;
/// How long an end is waited for before the next walk.
const END_TIME: Duration = Duration::from_millis(250);

/// What is asked of the system.
pub trait Others {
    /// Lists all processes.
    ///
    /// # Errors
    /// When the system does not say which there are.
    fn all(&mut self) -> io::Result<Vec<Process>>;
    /// Has the system tell of a process' end; says whether it is there.
    ///
    /// # Errors
    /// When that can't be told.
    fn watch(&mut self, pid: u32) -> io::Result<bool>;
    /// Ends a process now. Who has just ended minds nothing.
    fn kill(&mut self, pid: u32);
    /// Waits until one that is watched has ended, but no longer than that.
    ///
    /// # Errors
    /// When the system does not tell.
    fn wait(&mut self, at_most: Duration) -> io::Result<()>;
}

/// Ends all that is left of the session that `leader` began, and says whether nothing is.
///
/// Each is watched first and killed after the next walk: so its end can't be missed, and who is killed was just seen with the birth that
/// is meant.
///
/// # Errors
/// When the system does not say who there is, or how it goes on.
pub fn end(leader: (u32, u64), others: &mut impl Others) -> io::Result<bool> {
    let (mut known, mut watched) = (Known::new(), Known::new());
    for _ in 0..WALKS_MAX {
        let found = members(leader, &known, &others.all()?);
        if found.is_empty() {
            return Ok(true);
        }
        let mut is_new = false;
        for (pid, born) in &found {
            if watched.get(pid) == Some(born) {
                others.kill(*pid);
            } else if others.watch(*pid)? {
                watched.insert(*pid, *born);
                is_new = true;
            }
        }
        known.extend(found);
        if !is_new {
            others.wait(END_TIME)?;
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const LEADER: (u32, u64) = (100, 1_000);

    /// A system in which who is killed ends when somebody waits.
    #[derive(Default)]
    struct Fake {
        all: Vec<Process>,
        watched: BTreeSet<u32>,
        killed: Vec<u32>,
        waits: usize,
        /// Starts another of the session when it is killed, so often.
        forks: u32,
        /// Ends by itself, and its number is another's, after it was watched.
        replaced: Option<u32>,
        is_stubborn: bool,
    }

    fn process(pid: u32, session: u32, born: u64) -> Process {
        Process {
            pid,
            parent: 1,
            group: session,
            session,
            born,
        }
    }

    impl Others for Fake {
        fn all(&mut self) -> io::Result<Vec<Process>> {
            Ok(self.all.clone())
        }
        fn watch(&mut self, pid: u32) -> io::Result<bool> {
            self.watched.insert(pid);
            if self.replaced == Some(pid) {
                self.all.retain(|it| it.pid != pid);
                self.all.push(process(pid, 7, 9_000));
            }
            Ok(self.all.iter().any(|it| it.pid == pid))
        }
        fn kill(&mut self, pid: u32) {
            assert!(self.watched.contains(&pid), "its end could be missed");
            self.killed.push(pid);
            if self.forks > 0 {
                self.forks -= 1;
                let next = 200 + self.forks;
                self.all.push(process(next, 100, 2_000));
            }
        }
        fn wait(&mut self, at_most: Duration) -> io::Result<()> {
            assert!(!at_most.is_zero());
            self.waits += 1;
            if !self.is_stubborn {
                let killed = &self.killed;
                self.all.retain(|it| !killed.contains(&it.pid));
            }
            Ok(())
        }
    }

    #[test]
    fn all_of_a_session_end_and_nobody_else() {
        let mut fake = Fake {
            all: vec![
                process(100, 100, 1_000),
                process(101, 100, 1_001),
                process(102, 102, 1_002),
            ],
            ..Fake::default()
        };
        assert!(end(LEADER, &mut fake).expect("walks"));
        assert_eq!(fake.killed, [100, 101]);
        assert_eq!((fake.all.len(), fake.waits), (1, 1));
        // When nothing is left nobody is waited for.
        assert!(end(LEADER, &mut fake).expect("walks"));
        assert_eq!(fake.waits, 1);
    }

    #[test]
    fn what_starts_meanwhile_ends_too() {
        let mut fake = Fake {
            all: vec![process(100, 100, 1_000)],
            forks: 2,
            ..Fake::default()
        };
        assert!(end(LEADER, &mut fake).expect("walks"));
        assert!(fake.all.is_empty());
        assert!(fake.killed.contains(&200) && fake.killed.contains(&201));
    }

    #[test]
    fn a_number_that_became_anothers_is_not_killed() {
        let mut fake = Fake {
            all: vec![process(100, 100, 1_000), process(101, 100, 1_001)],
            replaced: Some(101),
            ..Fake::default()
        };
        assert!(end(LEADER, &mut fake).expect("walks"));
        assert_eq!(fake.killed, [100]);
        assert_eq!(fake.all.len(), 1, "the other one is there");
    }

    #[test]
    fn what_does_not_end_is_said_in_the_end() {
        let mut fake = Fake {
            all: vec![process(100, 100, 1_000)],
            is_stubborn: true,
            ..Fake::default()
        };
        assert!(!end(LEADER, &mut fake).expect("walks"));
        assert!(fake.waits < WALKS_MAX);
    }
}
