//! What waits for the user directory, and what that said lately.
//!
//! It asks nobody and looks at no clock: whoever does says when, and brings the bytes of each answer. Starts of one account wait for
//! one look-up, so that many at once cost the directory no more than one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tessera_ticket::{AccountName, Refusal};

use crate::account::{ANSWER_MAX, Found, decode};

/// The most look-ups at once.
const LOOK_UPS_MAX: usize = 64;
/// How long the user directory may take.
const LOOK_UP_TIME: Duration = Duration::from_secs(5);
/// How long what it said counts.
const CACHE_TIME: Duration = Duration::from_secs(5);
/// The most accounts kept so.
const CACHE_MAX: usize = 1_024;

/// Look-ups under way, each with how it is heard of (`H`) and what waits for it (`S`).
#[derive(Debug)]
pub struct LookUps<H, S> {
    known: BTreeMap<AccountName, (Instant, Found)>,
    under_way: Vec<LookUp<H, S>>,
}

#[derive(Debug)]
struct LookUp<H, S> {
    number: i32,
    handle: H,
    deadline: Instant,
    account: AccountName,
    answer: Vec<u8>,
    waiting: Vec<S>,
}

/// A look-up that is over: what waited for it, and what came of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Over<S> {
    /// Whom it was about.
    pub account: AccountName,
    /// What waited.
    pub waiting: Vec<S>,
    /// What the directory said.
    pub result: Result<Found, Refusal>,
}

impl<H, S> Default for LookUps<H, S> {
    fn default() -> Self {
        Self {
            known: BTreeMap::new(),
            under_way: Vec::new(),
        }
    }
}

impl<H, S> LookUps<H, S> {
    /// Returns what the directory said of an account not long ago.
    pub fn known(&self, account: &AccountName, now: Instant) -> Option<&Found> {
        let (at, found) = self.known.get(account)?;
        (now.saturating_duration_since(*at) < CACHE_TIME).then_some(found)
    }

    /// Lets something wait for the look-up of its account that is under way; gives it back when there is none.
    ///
    /// # Errors
    /// What was to wait.
    pub fn join(&mut self, account: &AccountName, waits: S) -> Result<(), S> {
        match self.under_way.iter_mut().find(|it| it.account == *account) {
            Some(it) => {
                it.waiting.push(waits);
                Ok(())
            }
            None => Err(waits),
        }
    }

    /// Says whether there are as many look-ups as may be.
    pub fn is_full(&self) -> bool {
        self.under_way.len() >= LOOK_UPS_MAX
    }

    /// Says whether a look-up of this account is under way.
    pub fn is_asking(&self, account: &AccountName) -> bool {
        self.under_way.iter().any(|it| it.account == *account)
    }

    /// Notes a look-up that has begun, under a number of its own, and what waits for it, if anything does.
    pub fn begin(
        &mut self,
        number: i32,
        handle: H,
        account: AccountName,
        waits: Option<S>,
        now: Instant,
    ) {
        self.under_way.push(LookUp {
            number,
            handle,
            deadline: now + LOOK_UP_TIME,
            account,
            answer: Vec::new(),
            waiting: waits.into_iter().collect(),
        });
    }

    /// Returns how many wait.
    pub fn waiting(&self) -> usize {
        self.under_way.iter().map(|it| it.waiting.len()).sum()
    }

    /// Returns the look-ups under way by their numbers, and when each is given up.
    pub fn all(&self) -> impl Iterator<Item = (i32, &H, Instant)> {
        self.under_way
            .iter()
            .map(|it| (it.number, &it.handle, it.deadline))
    }

    /// Takes a part of an answer; `false` when that gets too long to be one.
    pub fn hear(&mut self, number: i32, part: &[u8]) -> bool {
        let Some(it) = self.under_way.iter_mut().find(|it| it.number == number) else {
            return false;
        };
        let fits = it.answer.len() + part.len() <= ANSWER_MAX;
        if fits {
            it.answer.extend_from_slice(part);
        }
        fits
    }

    /// Ends a look-up whose answer is whole, or will not be.
    pub fn end(&mut self, number: i32, now: Instant) -> Option<Over<S>> {
        let at = self.under_way.iter().position(|it| it.number == number)?;
        let it = self.under_way.swap_remove(at);
        let result = decode(&it.answer);
        if let Ok(found) = &result {
            if self.known.len() >= CACHE_MAX {
                self.known.clear();
            }
            self.known.insert(it.account.clone(), (now, found.clone()));
        }
        Some(Over {
            account: it.account,
            waiting: it.waiting,
            result,
        })
    }

    /// Gives up one look-up that takes too long; returns its number and what waited.
    pub fn give_up(&mut self, now: Instant) -> Option<(i32, Vec<S>)> {
        let at = self.under_way.iter().position(|it| now >= it.deadline)?;
        let it = self.under_way.swap_remove(at);
        Some((it.number, it.waiting))
    }

    /// Takes out what is not to wait any longer.
    pub fn take(&mut self, is_one: impl Fn(&S) -> bool) -> Vec<S> {
        let all = self.under_way.iter_mut();
        all.flat_map(|it| {
            it.waiting
                .extract_if(.., |it| is_one(it))
                .collect::<Vec<S>>()
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::encode;

    fn name(number: usize) -> AccountName {
        format!("user{number}").parse().expect("a name")
    }

    fn found(number: usize) -> Found {
        Found {
            name: name(number).to_string(),
            uid: 1_000,
            gid: 1_000,
            ..Found::default()
        }
    }

    fn queue(now: Instant) -> LookUps<(), u32> {
        let mut queue = LookUps::default();
        assert_eq!(queue.join(&name(1), 1), Err(1));
        queue.begin(7, (), name(1), Some(1), now);
        assert_eq!(queue.join(&name(1), 2), Ok(()));
        assert_eq!(queue.join(&name(2), 3), Err(3));
        queue.begin(8, (), name(2), Some(3), now);
        assert!(queue.is_asking(&name(2)) && !queue.is_asking(&name(3)));
        queue
    }

    #[test]
    fn what_waits_for_one_account_hears_the_same_and_it_counts_for_a_while() {
        let now = Instant::now();
        let mut queue = queue(now);
        assert_eq!(queue.waiting(), 3);
        let answer = encode(Ok(Some(found(1))));
        let (first, rest) = answer.split_at(9);
        assert!(queue.hear(7, first) && queue.hear(7, rest) && !queue.hear(9, b"x"));
        assert_eq!(queue.known(&name(1), now), None);
        let over = queue.end(7, now).expect("is there");
        assert_eq!((over.waiting, over.result), (vec![1, 2], Ok(found(1))));
        assert!(queue.end(7, now).is_none());
        assert_eq!(queue.known(&name(1), now), Some(&found(1)));
        assert_eq!(queue.known(&name(1), now + CACHE_TIME), None);
        // Half an answer is none, and is not kept.
        assert!(queue.hear(8, first));
        let over = queue.end(8, now).expect("is there");
        assert_eq!(
            over.result.expect_err("half").code(),
            "directory_unavailable"
        );
        assert_eq!(queue.known(&name(2), now), None);
    }

    #[test]
    fn what_takes_too_long_is_given_up_and_what_is_not_wanted_taken_out() {
        let now = Instant::now();
        let mut queue = queue(now);
        assert_eq!(queue.take(|it| *it != 2), [1, 3]);
        assert_eq!(queue.waiting(), 1);
        assert_eq!(queue.give_up(now), None);
        let late = now + LOOK_UP_TIME;
        assert!(queue.all().all(|(_, (), deadline)| deadline == late));
        assert_eq!(queue.give_up(late), Some((7, vec![2])));
        assert_eq!(queue.give_up(late), Some((8, vec![])));
        assert_eq!(queue.give_up(late), None);
    }

    #[test]
    fn it_has_bounds() {
        let now = Instant::now();
        let mut queue = LookUps::default();
        for number in 0..LOOK_UPS_MAX {
            assert!(!queue.is_full());
            let number_of_it = i32::try_from(number).expect("small");
            queue.begin(number_of_it, (), name(number), Some(()), now);
        }
        assert!(queue.is_full());
        assert!(queue.hear(3, &vec![b'x'; ANSWER_MAX]) && !queue.hear(3, b"x"));
        let mut queue = LookUps::default();
        for number in 0..=CACHE_MAX {
            queue.begin(1, (), name(number), None::<()>, now);
            queue.hear(1, &encode(Ok(Some(found(number)))));
            queue.end(1, now);
        }
        assert_eq!(queue.known.len(), 1);
    }
}
