//! What of a channel is on its way: which message is tried next, which were refused and wait aside, which are given up. Pure:
//! outcomes and the time go in.
//!
//! **Rule:** a receiver that is away holds the channel up, and nothing is lost. A message that is refused for good is set aside, so
//! that what is behind it goes on; it is tried again now and then, since it may be the channel that is at fault (a wrong secret, an
//! address that moved). When one after another is refused, that is so: then the channel is held up, too. What is new then still comes
//! in, one at a time, and is tried first: should messages of one user be at fault, others' show that the channel is well.

use super::keep::Waiting;
use super::message::Message;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Messages that are on their way at a time; what happens meanwhile is gathered.
pub(crate) const OUTBOX_MAX: usize = 16;
/// Messages that are aside at a time; with one more the oldest of whom most are about is given up.
pub(crate) const ASIDE_MAX: usize = 16;
/// Messages that are set aside one after another, none taken between; after that it is the channel's fault.
const REFUSED_IN_A_ROW_MAX: u32 = 3;
/// First and longest pause between two tries; it doubles.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(600);
/// How often what is aside is tried again.
const ASIDE_EVERY: Duration = PAUSE_MAX;

/// Whether a message was refused for good before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// It was not.
    New,
    /// It was, by a channel that was held up: others have their turn first.
    Held,
    /// It was, and set aside.
    Aside,
}

/// A message that is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    message: Message,
    /// How long it has been on its way.
    tried: Duration,
    before: Before,
}

/// What leaves the outbox untaken, since there is no room for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Left {
    /// It is given up: the channel is well, and takes others.
    GivenUp(Message),
    /// It was refused by a channel that is held up: it is to be gathered again, and told with what follows.
    Back(Message),
}

/// The messages of a channel that are on their way. Times are elapsed ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outbox {
    ready: VecDeque<Entry>,
    aside: VecDeque<Entry>,
    /// How many were refused for good since one was taken.
    refused: u32,
    /// Whose, where each message is for one user; no more than [`REFUSED_IN_A_ROW_MAX`] and one.
    refused_of: BTreeSet<Option<String>>,
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
            refused_of: BTreeSet::new(),
            pause: PAUSE_FIRST,
            next_try: Duration::ZERO,
            aside_at: now,
        };
        for it in kept.into_iter().take(OUTBOX_MAX + ASIDE_MAX) {
            let (side, before) = match it.is_aside {
                true => (&mut outbox.aside, Before::Aside),
                false => (&mut outbox.ready, Before::New),
            };
            side.push_back(Entry {
                message: it.message,
                tried: Duration::from_millis(it.tried_ms),
                before,
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
            is_aside: entry.before == Before::Aside,
        };
        all.map(kept).collect()
    }

    /// Answers for how many new messages there is room. While it is held up by refusals that is one, unless there is one that was
    /// never refused.
    pub(crate) fn room(&self) -> usize {
        let is_new = |entry: &Entry| entry.before == Before::New;
        if self.ready.is_empty() {
            OUTBOX_MAX
        } else if self.is_held() && self.ready.len() < OUTBOX_MAX {
            usize::from(!self.ready.iter().any(is_new))
        } else {
            0
        }
    }

    /// Says whether so many were refused one after another that the channel must be at fault.
    fn is_held(&self) -> bool {
        self.refused > REFUSED_IN_A_ROW_MAX
    }

    /// Adds a message behind those that were not refused before, and ahead of those that were.
    pub(crate) fn push(&mut self, message: Message) {
        let is_new = |entry: &&Entry| entry.before == Before::New;
        let at = self.ready.iter().take_while(is_new).count();
        let entry = Entry {
            message,
            tried: Duration::ZERO,
            before: Before::New,
        };
        self.ready.insert(at, entry);
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
        if self.is_held() {
            // The channel was at fault, and is no more.
            self.aside_at = now;
        }
        self.forget_refusals();
    }

    /// The first was not taken, and may be later.
    pub(crate) fn on_not_now(&mut self, now: Duration) {
        self.next_try = now + self.pause;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }

    fn forget_refusals(&mut self) {
        self.refused = 0;
        self.refused_of.clear();
    }

    /// The first was refused for good. With `is_to_one` each message is for one user, and only refusals of different ones say something
    /// of the channel. Answers what there is no room for.
    pub(crate) fn on_refused(&mut self, now: Duration, is_to_one: bool) -> Option<Left> {
        let mut entry = self.ready.pop_front()?;
        if entry.before == Before::New {
            self.count(&entry.message, is_to_one);
        }
        if entry.before != Before::Aside {
            if self.is_held() {
                self.on_not_now(now);
                if self.ready.len() + 1 >= OUTBOX_MAX {
                    // The last place is for one that was never refused.
                    return Some(Left::Back(entry.message));
                }
                // Another one has the next try: one of them may be good.
                entry.before = Before::Held;
                self.ready.push_back(entry);
                return None;
            }
            if self.aside.is_empty() {
                self.aside_at = now + ASIDE_EVERY;
            }
        }
        entry.before = Before::Aside;
        self.aside.push_back(entry);
        let is_too_many = self.aside.len() > ASIDE_MAX;
        let given_up = is_too_many
            .then(|| self.aside.remove(self.of_most()))
            .flatten();
        given_up.map(|entry| Left::GivenUp(entry.message))
    }

    /// Answers the place of the oldest that is aside of whom most are about: nobody's push out those of others.
    fn of_most(&self) -> usize {
        let user = |entry: &Entry| entry.message.summary.cause.user.clone();
        let mut counts = BTreeMap::new();
        for entry in &self.aside {
            *counts.entry(user(entry)).or_insert(0) += 1;
        }
        let most = counts.values().copied().max().unwrap_or(0);
        let is_it = |entry: &Entry| counts.get(&user(entry)) == Some(&most);
        self.aside.iter().position(is_it).unwrap_or(0)
    }

    fn count(&mut self, message: &Message, is_to_one: bool) {
        let user = &message.summary.cause.user;
        if self.is_held() || (is_to_one && !self.refused_of.insert(user.clone())) {
            return;
        }
        self.refused += 1;
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
        self.forget_refusals();
        for entry in &mut self.ready {
            if entry.before == Before::Held {
                entry.before = Before::New;
            }
        }
        self.pause = PAUSE_FIRST;
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
        let is_aside = |entry: &&Entry| entry.before == Before::Aside;
        let refused = self.ready.iter().filter(is_aside).count();
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
        of(number, None)
    }

    fn of(number: usize, user: Option<&str>) -> Message {
        let (kind, user, to) = (Kind::Failed, user.map(ToOwned::to_owned), None);
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
                    assert_eq!(outbox.on_refused(now, false), None);
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
        assert_eq!((outbox.counts(), outbox.room()), ((1, 1), OUTBOX_MAX));
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
    fn a_good_message_shows_that_a_held_channel_is_well() {
        let bad = ["0", "1", "2", "3"];
        let mut outbox = with(4);
        assert_eq!(play(&mut outbox, &bad, 0, 0), bad);
        assert_eq!((outbox.counts(), outbox.room()), ((4, 3), 1), "held");
        outbox.push(message(9));
        assert_eq!(outbox.room(), 0, "one at a time");
        // It is told after one pause; the rest is set aside, tried once more, and nobody waits for it.
        let tried = play(&mut outbox, &bad, 1, 1);
        assert_eq!(tried, ["9", "3", "0", "1", "2", "3"]);
        assert_eq!((outbox.counts(), outbox.room()), ((4, 4), OUTBOX_MAX));
    }

    #[test]
    fn ever_more_bad_messages_leave_a_place_for_a_good_one() {
        let mut outbox = with(4);
        play(&mut outbox, &["*"], 0, 0);
        let (mut now, mut back) = (0, Vec::new());
        for number in 100..140 {
            now += PAUSE_MAX.as_secs();
            assert_eq!(outbox.room(), 1, "{number}");
            outbox.push(message(number));
            assert_eq!(
                next(&mut outbox, at(now)).as_deref(),
                Some(&*number.to_string())
            );
            back.extend(outbox.on_refused(at(now), false));
        }
        // What there is no room for is gathered again: the channel may be at fault after all.
        let upto: Vec<Left> = (114..140).map(|it| Left::Back(message(it))).collect();
        assert_eq!(back, upto);
        assert_eq!(outbox.counts(), (OUTBOX_MAX + 2, 3));
        outbox.push(message(9));
        now += PAUSE_MAX.as_secs();
        assert_eq!(next(&mut outbox, at(now)).as_deref(), Some("9"));
    }

    #[test]
    fn one_user_holds_up_no_channel_to_users() {
        let mut outbox = with(0);
        for number in 0..8 {
            outbox.push(of(number, Some("mia")));
            assert!(next(&mut outbox, at(0)).is_some(), "{number}: no pause");
            assert_eq!(outbox.on_refused(at(0), true), None);
        }
        assert_eq!(outbox.counts(), (8, 8));
        // Different ones: that is the channel.
        for (number, user) in ["ann", "bob", "tom"].into_iter().enumerate() {
            outbox.push(of(20 + number, Some(user)));
            assert!(next(&mut outbox, at(0)).is_some(), "{user}");
            assert_eq!(outbox.on_refused(at(0), true), None);
        }
        assert_eq!((outbox.counts(), outbox.room()), ((11, 10), 1));
        assert_eq!(next(&mut outbox, at(0)), None, "a pause");
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
            given_up.extend(outbox.on_refused(at(0), false));
            // One that is taken shows that the channel is well.
            outbox.push(message(99));
            outbox.on_taken(at(0));
        }
        assert_eq!(
            given_up,
            [Left::GivenUp(message(0)), Left::GivenUp(message(1))]
        );
        assert_eq!(outbox.counts(), (ASIDE_MAX, ASIDE_MAX));
    }

    #[test]
    fn nobodys_bad_messages_push_out_those_of_others() {
        let mut outbox = with(0);
        let mut refuse = |number: usize, user: &str| {
            outbox.push(of(number, Some(user)));
            assert!(outbox.next(at(0)).is_some(), "{number}");
            outbox.on_refused(at(0), true)
        };
        assert_eq!(refuse(0, "tom"), None);
        for number in 1..ASIDE_MAX {
            assert_eq!(refuse(number, "mia"), None);
        }
        for number in 0..ASIDE_MAX {
            let oldest = of(number + 1, Some("mia"));
            let given_up = refuse(number + ASIDE_MAX, "mia");
            assert_eq!(given_up, Some(Left::GivenUp(oldest)));
        }
    }

    #[test]
    fn what_is_too_old_is_given_up_wherever_it_waits() {
        let mut outbox = with(2);
        assert!(outbox.next(at(0)).is_some());
        outbox.on_refused(at(0), false);
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
        outbox.on_refused(at(0), false);
        let mut outbox = Outbox::restore(outbox.kept(), at(1));
        assert_eq!(outbox.counts(), (2, 1));
        assert_eq!(play(&mut outbox, &["0"], 1, 1), ["1", "0"]);
        outbox.try_at_once(at(2));
        assert_eq!(play(&mut outbox, &[], 2, 2), ["0"]);
    }
}
