//! What of a channel is on its way: which message is tried next, which were refused and wait aside, which are given up. Pure:
//! outcomes and the time go in.
//!
//! **Rule:** a receiver that is away holds the channel up, and nothing is lost. A message that is refused for good is set aside, so
//! that what is behind it goes on; it is tried again now and then, since it may be the channel that is at fault (a wrong secret, an
//! address that moved). When one after another is refused, that is so: then the channel is held up, too.

use super::keep::Waiting;
use super::message::Message;
use std::collections::VecDeque;
use std::time::Duration;

/// Messages that are on their way at a time; what happens meanwhile is gathered.
pub(crate) const OUTBOX_MAX: usize = 16;
/// Messages that are aside at a time; with one more the oldest is given up.
pub(crate) const ASIDE_MAX: usize = 16;
/// Messages that are set aside one after another, none taken between; after that it is the channel's fault.
const REFUSED_IN_A_ROW_MAX: u32 = 3;
/// First and longest pause between two tries; it doubles.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(600);
/// How often what is aside is tried again.
const ASIDE_EVERY: Duration = PAUSE_MAX;

/// A message that is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    message: Message,
    /// How long it has been on its way.
    tried: Duration,
    /// Whether it was refused for good before.
    was_refused: bool,
}

/// The messages of a channel that are on their way. Times are elapsed ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outbox {
    ready: VecDeque<Entry>,
    aside: VecDeque<Entry>,
    /// How many were refused for good since one was taken.
    refused: u32,
    pause: Duration,
    /// No try before.
    next_try: Duration,
    /// When what is aside is tried again.
    aside_at: Duration,
}

impl Outbox {
    /// Takes up what was kept. What was refused is tried again, after all else: a restart may have mended it.
    pub(crate) fn restore(kept: Vec<Waiting>, now: Duration) -> Self {
        let mut outbox = Self {
            ready: VecDeque::new(),
            aside: VecDeque::new(),
            refused: 0,
            pause: PAUSE_FIRST,
            next_try: Duration::ZERO,
            aside_at: now,
        };
        for it in kept.into_iter().take(OUTBOX_MAX + ASIDE_MAX) {
            let (side, was_refused) = match it.is_aside {
                true => (&mut outbox.aside, true),
                false => (&mut outbox.ready, false),
            };
            side.push_back(Entry {
                message: it.message,
                tried: Duration::from_millis(it.tried_ms),
                was_refused,
            });
        }
        outbox
    }

    /// Answers what to keep.
    pub(crate) fn kept(&self) -> Vec<Waiting> {
        let all = self.ready.iter().chain(&self.aside);
        let kept = |entry: &Entry| Waiting {
            message: entry.message.clone(),
            tried_ms: u64::try_from(entry.tried.as_millis()).unwrap_or(u64::MAX),
            is_aside: entry.was_refused,
        };
        all.map(kept).collect()
    }

    /// Says whether there is room for new messages.
    pub(crate) fn has_room(&self) -> bool {
        self.ready.is_empty()
    }

    /// Adds a message behind the others.
    pub(crate) fn push(&mut self, message: Message) {
        self.ready.push_back(Entry {
            message,
            tried: Duration::ZERO,
            was_refused: false,
        });
    }

    /// Answers the message to try now, if there is one and it is time.
    pub(crate) fn next(&mut self, now: Duration) -> Option<&Message> {
        if self.next_try > now {
            return None;
        }
        if self.ready.is_empty() && self.aside_at <= now {
            self.ready.append(&mut self.aside);
            self.aside_at = now + ASIDE_EVERY;
        }
        self.ready.front().map(|entry| &entry.message)
    }

    /// Answers when something is to be tried.
    pub(crate) fn next_at(&self) -> Option<Duration> {
        if !self.ready.is_empty() {
            return Some(self.next_try);
        }
        let at = self.aside_at.max(self.next_try);
        (!self.aside.is_empty()).then_some(at)
    }

    /// The first was taken.
    pub(crate) fn on_taken(&mut self, now: Duration) {
        self.ready.pop_front();
        self.pause = PAUSE_FIRST;
        if self.refused > REFUSED_IN_A_ROW_MAX {
            // The channel was at fault, and is no more.
            self.aside_at = now;
        }
        self.refused = 0;
    }

    /// The first was not taken, and may be later.
    pub(crate) fn on_not_now(&mut self, now: Duration) {
        self.next_try = now + self.pause;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }

    /// The first was refused for good. Answers one that is given up because there is no room for it.
    pub(crate) fn on_refused(&mut self, now: Duration) -> Option<Message> {
        let mut entry = self.ready.pop_front()?;
        if !entry.was_refused {
            self.refused = self.refused.saturating_add(1);
            if self.refused > REFUSED_IN_A_ROW_MAX {
                // Another one has the next try: one of them may be good.
                self.ready.push_back(entry);
                self.on_not_now(now);
                return None;
            }
            if self.aside.is_empty() {
                self.aside_at = now + ASIDE_EVERY;
            }
        }
        entry.was_refused = true;
        self.aside.push_back(entry);
        let is_too_many = self.aside.len() > ASIDE_MAX;
        let oldest = is_too_many.then(|| self.aside.pop_front()).flatten();
        oldest.map(|entry| entry.message)
    }

    /// Takes out the first: it can never be taken.
    pub(crate) fn give_up_first(&mut self) -> Option<Message> {
        self.ready.pop_front().map(|entry| entry.message)
    }

    /// Lets time pass; answers what has been on its way for longer than `most`, and is given up.
    pub(crate) fn age(&mut self, by: Duration, most: Duration) -> Vec<Message> {
        let mut given_up = Vec::new();
        for side in [&mut self.ready, &mut self.aside] {
            side.iter_mut()
                .for_each(|entry| entry.tried = entry.tried.saturating_add(by));
            let (old, young) = side.drain(..).partition(|entry| entry.tried >= most);
            *side = young;
            let old: VecDeque<Entry> = old;
            given_up.extend(old.into_iter().map(|entry| entry.message));
        }
        given_up
    }

    /// Has all tried again without a pause: something changed that may have mended it.
    pub(crate) fn try_at_once(&mut self, now: Duration) {
        (self.refused, self.pause) = (0, PAUSE_FIRST);
        (self.next_try, self.aside_at) = (now, now);
    }

    /// Answers how long it is until something will have been on its way for as long as `most`.
    pub(crate) fn gives_up_in(&self, most: Duration) -> Option<Duration> {
        let all = self.ready.iter().chain(&self.aside);
        let oldest = all.map(|entry| entry.tried).max();
        oldest.map(|tried| most.saturating_sub(tried))
    }

    /// Answers how many are on their way, and how many of them are aside.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let refused = self.ready.iter().filter(|entry| entry.was_refused).count();
        let all = self.ready.len() + self.aside.len();
        (all, self.aside.len() + refused)
    }
}

#[cfg(test)]
mod tests {
    use super::super::cause::Kind;
    use super::super::digest::{Cause, Summary};
    use super::*;

    fn message(number: usize) -> Message {
        let (kind, user, to) = (Kind::Failed, None, None);
        let summary = Summary::new(Cause { kind, user, to }, 1);
        let id = number.to_string();
        Message { id, summary }
    }

    fn with(count: usize) -> Outbox {
        let mut outbox = Outbox::restore(Vec::new(), Duration::ZERO);
        (0..count).for_each(|number| outbox.push(message(number)));
        outbox
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn next(outbox: &mut Outbox, now: Duration) -> Option<String> {
        outbox.next(now).map(|message| message.id.clone())
    }

    /// Tries what is to be tried up to a time, as a receiver that refuses these would have it; answers what was tried.
    fn play(outbox: &mut Outbox, bad: &[&str], from: u64, upto: u64) -> Vec<String> {
        let mut tried = Vec::new();
        for second in from..=upto {
            let now = at(second);
            while let Some(id) = next(outbox, now) {
                if bad.contains(&id.as_str()) || bad == ["*"] {
                    assert_eq!(outbox.on_refused(now), None);
                } else {
                    outbox.on_taken(now);
                }
                tried.push(id);
            }
        }
        tried
    }

    #[test]
    fn what_is_behind_a_refused_message_goes_on() {
        let mut outbox = with(3);
        assert_eq!(play(&mut outbox, &["0"], 0, 0), ["0", "1", "2"]);
        assert_eq!((outbox.counts(), outbox.has_room()), ((1, 1), true));
        // And is tried again after a while, behind what is new.
        assert_eq!(outbox.next_at(), Some(ASIDE_EVERY));
        outbox.push(message(9));
        assert_eq!(play(&mut outbox, &["0"], 1, 599), ["9"]);
        assert_eq!(play(&mut outbox, &["0"], 600, 1199), ["0"]);
        assert_eq!(play(&mut outbox, &[], 1200, 1200), ["0"]);
        assert_eq!((outbox.counts(), outbox.next_at()), ((0, 0), None));
    }

    #[test]
    fn a_channel_that_refuses_one_after_another_is_held_up() {
        let mut outbox = with(6);
        assert_eq!(play(&mut outbox, &["*"], 0, 0), ["0", "1", "2", "3"]);
        assert_eq!(outbox.counts(), (6, 3));
        // Less and less often, and never the same one again and again.
        assert_eq!(play(&mut outbox, &["*"], 1, 7), ["4", "5", "3"]);
        assert_eq!(outbox.counts(), (6, 3), "nothing more is set aside");
        // It is mended: all of it is told at once.
        assert_eq!(
            play(&mut outbox, &[], 8, 15),
            ["4", "5", "3", "0", "1", "2"]
        );
        assert_eq!(outbox.counts(), (0, 0));
    }

    #[test]
    fn what_may_be_taken_later_stays_first() {
        let mut outbox = with(2);
        for (now, pause) in [(0, 1), (1, 2), (3, 4)] {
            assert_eq!(next(&mut outbox, at(now)).as_deref(), Some("0"));
            outbox.on_not_now(at(now));
            assert_eq!(outbox.next_at(), Some(at(now + pause)));
            assert_eq!(next(&mut outbox, at(now)), None);
        }
        for _ in 0..20 {
            outbox.on_not_now(at(7));
        }
        assert_eq!(outbox.next_at(), Some(at(7) + PAUSE_MAX));
    }

    #[test]
    fn no_more_is_aside_than_there_is_room_for() {
        let mut outbox = with(0);
        let mut given_up = Vec::new();
        for number in 0..ASIDE_MAX + 2 {
            outbox.push(message(number));
            assert!(outbox.next(at(0)).is_some());
            given_up.extend(outbox.on_refused(at(0)));
            // One that is taken shows that the channel is well.
            outbox.push(message(99));
            outbox.on_taken(at(0));
        }
        let given_up: Vec<_> = given_up.into_iter().map(|it| it.id).collect();
        assert_eq!(given_up, ["0", "1"]);
        assert_eq!(outbox.counts(), (ASIDE_MAX, ASIDE_MAX));
    }

    #[test]
    fn what_is_too_old_is_given_up_wherever_it_waits() {
        let mut outbox = with(2);
        assert!(outbox.next(at(0)).is_some());
        outbox.on_refused(at(0));
        assert_eq!(outbox.age(at(5), at(10)), []);
        assert_eq!(outbox.gives_up_in(at(10)), Some(at(5)));
        outbox.push(message(2));
        assert_eq!(outbox.age(at(5), at(10)), [message(1), message(0)]);
        assert_eq!(next(&mut outbox, at(10)).as_deref(), Some("2"));
    }

    #[test]
    fn a_restart_tries_all_again() {
        let mut outbox = with(2);
        assert!(outbox.next(at(0)).is_some());
        outbox.on_refused(at(0));
        let mut outbox = Outbox::restore(outbox.kept(), at(1));
        assert_eq!(outbox.counts(), (2, 1));
        assert_eq!(play(&mut outbox, &["0"], 1, 1), ["1", "0"]);
        outbox.try_at_once(at(2));
        assert_eq!(play(&mut outbox, &[], 2, 2), ["0"]);
    }
}
