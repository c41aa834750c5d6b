//! Whether a host takes work while somebody may work at it: how long nobody has touched it against the rule that it was given.
//!
//! A pure machine: what was seen is handed in, with elapsed time. It closes at the first sign of somebody, and opens only
//! when both what is seen and the time since the last sign say so. So neither a clock that was set nor a source that jumps
//! opens a host, and one that opens has been closed for as long as the rule says.

use std::time::Duration;
use tessera_model::{Presence, WhileActive};

/// What can't be seen for so long counts as what is told for that; a source that fails once is asked again.
const BLIND_PATIENCE: Duration = Duration::from_secs(30);

/// What a look at the host found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// Nobody has touched it for so long.
    Idle {
        /// For how long.
        time: Duration,
        /// Who is logged in, if it is known.
        who: String,
    },
    /// Nobody is logged in at its screen.
    Nobody,
    /// It can't be told, and why.
    Unknown(String),
}

/// The machine.
#[derive(Debug, Clone)]
pub struct Idle {
    rule: WhileActive,
    /// Whether a host whose person can't be seen takes no work.
    blind_is_active: bool,
    is_closed: bool,
    who: String,
    unknown: Option<String>,
    /// When somebody was seen to be active last.
    last_active: Option<Duration>,
    /// Since when nothing can be seen.
    blind_since: Option<Duration>,
    /// Whether anything was ever seen.
    has_seen: bool,
    idle: Option<Duration>,
}

impl Idle {
    /// Makes a machine that is closed until the first look.
    #[must_use]
    pub fn new(rule: WhileActive, blind_is_active: bool) -> Self {
        Self {
            rule,
            blind_is_active,
            is_closed: true,
            who: String::new(),
            unknown: Some("nobody has looked yet".to_owned()),
            last_active: None,
            blind_since: None,
            has_seen: false,
            idle: None,
        }
    }

    /// Answers the rule.
    #[must_use]
    pub fn rule(&self) -> WhileActive {
        self.rule
    }

    /// Answers what the supervisor is told.
    #[must_use]
    pub fn presence(&self) -> Presence {
        Presence {
            rule: self.rule,
            is_closed: self.is_closed,
            who: self.who.clone(),
            unknown: self.unknown.clone(),
        }
    }

    /// Answers for how long nobody has touched the host, if that was seen.
    #[must_use]
    pub fn idle(&self) -> Option<Duration> {
        self.idle
    }

    /// Takes what a look at `now` found.
    pub fn saw(&mut self, now: Duration, seen: Seen) {
        match seen {
            Seen::Idle { time, who } => {
                self.sees();
                if time < self.rule.idle_after {
                    let at = now.saturating_sub(time);
                    self.last_active = Some(self.last_active.map_or(at, |last| last.max(at)));
                }
                self.who = who;
                self.idle = Some(time);
                self.is_closed = time < self.rule.idle_after || !self.is_long_ago(now);
            }
            Seen::Nobody => {
                self.sees();
                self.who.clear();
                self.idle = None;
                self.last_active = None;
                self.is_closed = false;
            }
            Seen::Unknown(why) => self.saw_nothing(now, why),
        }
        self.has_seen |= self.unknown.is_none();
    }

    fn sees(&mut self) {
        self.blind_since = None;
        self.unknown = None;
    }

    fn saw_nothing(&mut self, now: Duration, why: String) {
        let since = *self.blind_since.get_or_insert(now);
        if self.has_seen && now.saturating_sub(since) < BLIND_PATIENCE {
            return;
        }
        self.idle = None;
        self.is_closed = self.blind_is_active;
        self.unknown = Some(why);
    }

    /// Says whether the last sign of somebody is as long ago as the rule wants, by our own clock.
    fn is_long_ago(&self, now: Duration) -> bool {
        self.last_active
            .is_none_or(|at| now.saturating_sub(at) >= self.rule.idle_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_model::Running;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn rule() -> WhileActive {
        WhileActive {
            idle_after: seconds(600),
            running: Running::Keep,
        }
    }

    fn idle(n: u64) -> Seen {
        Seen::Idle {
            time: seconds(n),
            who: "anna".to_owned(),
        }
    }

    /// Feeds looks and answers after which of them the host was closed.
    fn closed(machine: &mut Idle, looks: &[(u64, Seen)]) -> Vec<bool> {
        let after = |(at, seen): &(u64, Seen)| {
            machine.saw(seconds(*at), seen.clone());
            machine.presence().is_closed
        };
        looks.iter().map(after).collect()
    }

    #[test]
    fn it_closes_at_once_and_opens_when_nobody_was_there_for_long() {
        let mut machine = Idle::new(rule(), true);
        assert!(machine.presence().is_closed, "open before the first look");
        let looks = [
            (0, idle(700)),
            (5, idle(705)),
            (10, idle(2)),
            (15, idle(7)),
            (600, idle(592)),
            (608, idle(600)),
        ];
        assert_eq!(
            closed(&mut machine, &looks),
            [false, false, true, true, true, false]
        );
        let said = machine.presence();
        assert_eq!((said.who.as_str(), said.unknown), ("anna", None));
    }

    #[test]
    fn a_clock_that_jumps_opens_nothing() {
        let mut machine = Idle::new(rule(), true);
        // The wall clock is set an hour ahead: by it nobody has been there for an hour.
        let looks = [
            (10, idle(3)),
            (15, idle(3_605)),
            (606, idle(4_200)),
            (607, idle(4_201)),
        ];
        assert_eq!(closed(&mut machine, &looks), [true, true, true, false]);
    }

    #[test]
    fn what_fails_once_changes_nothing_and_what_stays_unknown_counts_as_told() {
        let blind = || Seen::Unknown("loginctl does not answer".to_owned());
        for is_active in [true, false] {
            let mut machine = Idle::new(rule(), is_active);
            let looks = [
                (0, idle(900)),
                (5, blind()),
                (30, blind()),
                (35, blind()),
                (40, idle(940)),
            ];
            assert_eq!(
                closed(&mut machine, &looks),
                [false, false, false, is_active, false]
            );
        }
        let mut machine = Idle::new(rule(), true);
        machine.saw(seconds(0), blind());
        let said = machine.presence();
        assert!(said.is_closed && said.unknown.is_some(), "{said:?}");
    }

    #[test]
    fn a_host_without_anybody_takes_work() {
        let mut machine = Idle::new(rule(), true);
        assert_eq!(
            closed(
                &mut machine,
                &[(0, idle(1)), (5, Seen::Nobody), (10, idle(0))]
            ),
            [true, false, true]
        );
    }

    /// Whatever is seen: who was seen to be active keeps the host closed for as long as the rule says.
    #[test]
    fn it_never_opens_soon_after_somebody() {
        let mut chance = 0x2545_F491_4F6C_DD1D_u64;
        let mut dice = |sides: u64| {
            chance ^= chance << 13;
            chance ^= chance >> 7;
            chance ^= chance << 17;
            chance % sides
        };
        for _world in 0..200 {
            let mut machine = Idle::new(rule(), true);
            let (mut now, mut last_active) = (5_000, None);
            for _look in 0..200 {
                now += 1 + dice(40);
                let time = dice(2_000);
                machine.saw(seconds(now), idle(time));
                if time < 600 {
                    last_active = last_active.max(Some(now - time));
                }
                let is_near = last_active.is_some_and(|at| now - at < 600);
                assert_eq!(machine.presence().is_closed, is_near || time < 600);
            }
        }
    }
}
