//! Reservations: `host.processors=2,host.memory=8G`, with Qube!'s forms of an amount.
//!
//! The grammar is read whole, so that a text from an old farm is understood; [`honoured`] then refuses what this farm does
//! not do, rather than accept something that has no effect. `N`: so much; `N+`: at least so much, and all that is free;
//! `N*`: at least so much of an idle host, all of it; `all`: all of an idle host; `N-M`: at least N and up to M of what is
//! free. All of them are for slots (`host.processors`), of other things only `N`. Memory is
//! in MiB and takes units (`8G`). Of what the farm itself has (`global.*`, `license.*`, `scoped.*`) only `N` makes sense: it is nobody's
//! to take all of; of what is for a host (`global_host.*`, `license_host.*`) only 1. Case matters, spaces are allowed between the parts.

use crate::field::{FieldError, shown};
use std::fmt;
use tessera_model::limits::{RESERVATIONS_MAX, RESOURCE_NAME_BYTES_MAX, SLOTS_MAX};
use tessera_model::reservation::PROCESSORS;
use tessera_model::resource::{KINDS, SCOPED};
use tessera_model::{GlobalName, More, Reservation};

/// Longest text of reservations, in bytes.
pub const RESERVATIONS_BYTES_MAX: usize = 8 * 1024;
/// The greatest amount.
pub const AMOUNT_MAX: u64 = 1 << 50;
/// Resources whose amounts are MiB and may be written with a unit.
const IN_MEBIBYTES: [&str; 2] = ["host.memory", "host.swap"];

/// How much of a resource is claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// `N`: so much.
    Exactly(u64),
    /// `N+`: at least so much, and all that is free.
    AtLeast(u64),
    /// `N*`: at least so much, of a host that does nothing else, and all of it.
    IdleAtLeast(u64),
    /// `all`: all of a host that does nothing else.
    All,
    /// `N-M`: at least the first, up to the second.
    Between(u64, u64),
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(n) => write!(f, "{n}"),
            Self::AtLeast(n) => write!(f, "{n}+"),
            Self::IdleAtLeast(n) => write!(f, "{n}*"),
            Self::All => f.write_str("all"),
            Self::Between(n, m) => write!(f, "{n}-{m}"),
        }
    }
}

/// A claim on one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Its whole name, `host.memory`.
    pub name: String,
    /// How much.
    pub amount: Amount,
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.amount)
    }
}

/// Why a text is no list of reservations, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {}{}: {problem}", place + 1, near(.found))]
pub struct ReservationError {
    /// The place of the problem, in characters from 0.
    pub place: usize,
    /// The character that stands there; the end when there is none.
    pub found: Option<char>,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a list of reservations.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// No name where one should be.
    #[error("the name of a resource is expected, such as host.memory")]
    NoName,
    /// A name without a kind, or of an unknown kind.
    #[error(
        "a resource is host.NAME, global.NAME, license.NAME, global_host.NAME, license_host.NAME or scoped.NAME"
    )]
    Kind,
    /// A name that is too long.
    #[error("the name of a resource is at most {RESOURCE_NAME_BYTES_MAX} bytes long")]
    NameTooLong,
    /// No `=` behind the name.
    #[error("= and an amount are expected")]
    NoAmount,
    /// No number where one should be.
    #[error("an amount is expected: N, N+, N*, N-M or all")]
    NoNumber,
    /// An amount out of range.
    #[error("amounts go from 1 to {AMOUNT_MAX}")]
    OutOfRange,
    /// A unit that does not exist or that the resource does not have.
    #[error("a unit is M, G or T, for host.memory and host.swap only")]
    Unit,
    /// The second number of `N-M` is below the first.
    #[error("the second number is below the first")]
    Backwards,
    /// Something behind a complete claim.
    #[error("a comma or the end is expected")]
    Trailing,
    /// The same resource twice.
    #[error("it is there twice")]
    Twice,
    /// More claims than a job takes.
    #[error("more than {RESERVATIONS_MAX} resources besides {PROCESSORS}")]
    TooMany,
    /// Too long to be read.
    #[error("reservations are at most {RESERVATIONS_BYTES_MAX} bytes long")]
    TooLong,
}

/// How reservations are written.
pub const HINT: &str =
    "write reservations like host.processors=1,host.memory=8192 (MiB; 8G is the same)";

fn near(found: &Option<char>) -> String {
    match found {
        Some(found) => format!(" ('{}')", found.escape_debug()),
        None => " (the end)".to_owned(),
    }
}

/// Reads a list of reservations; an empty text is an empty list.
///
/// # Errors
/// When it is none, with the place.
pub fn parse(text: &str) -> Result<Vec<Claim>, ReservationError> {
    let mut reader = Reader { text, at: 0 };
    if text.len() > RESERVATIONS_BYTES_MAX {
        return Err(reader.error(Problem::TooLong));
    }
    let mut claims: Vec<Claim> = Vec::new();
    reader.skip_spaces();
    if reader.peek().is_none() {
        return Ok(claims);
    }
    loop {
        let begin = reader.at;
        let claim = reader.claim()?;
        if claims.iter().any(|known| known.name == claim.name) {
            return Err(reader.error_at(begin, Problem::Twice));
        }
        // Slots are reserved by every job, also where they are not named.
        let others = claims.iter().filter(|known| known.name != PROCESSORS);
        if claim.name != PROCESSORS && others.count() == RESERVATIONS_MAX {
            return Err(reader.error_at(begin, Problem::TooMany));
        }
        claims.push(claim);
        match reader.peek() {
            None => return Ok(claims),
            Some(',') => reader.bump(),
            Some(_) => return Err(reader.error(Problem::Trailing)),
        }
        reader.skip_spaces();
    }
}

/// Prints claims so that [`parse`] reads them back.
#[must_use]
pub fn print(claims: &[Claim]) -> String {
    let claims: Vec<String> = claims.iter().map(ToString::to_string).collect();
    claims.join(",")
}

/// Prints what a job reserves, all of it.
#[must_use]
pub fn print_reservation(reservation: &Reservation) -> String {
    let first = Claim {
        name: PROCESSORS.to_owned(),
        amount: slots_of(reservation),
    };
    // What is scoped stands among those of the farm, too.
    let others = reservation.amounts.iter();
    let others = others.filter(|(name, _)| !name.starts_with(SCOPED));
    let others = others.map(|(name, amount)| Claim {
        name: name.clone(),
        amount: Amount::Exactly(*amount),
    });
    let global = reservation.global.iter().map(|(name, amount)| Claim {
        name: name.to_string(),
        amount: Amount::Exactly(*amount),
    });
    let all = std::iter::once(first).chain(others).chain(global);
    print(&all.collect::<Vec<_>>())
}

/// Answers the slots that a job reserves. An idle host with one slot or more is any idle host.
fn slots_of(reservation: &Reservation) -> Amount {
    let slots = u64::from(reservation.slots);
    match reservation.more {
        More::Nothing => Amount::Exactly(slots),
        More::Free => Amount::AtLeast(slots),
        More::UpTo(most) => Amount::Between(slots, u64::from(most)),
        More::WholeHost if slots <= 1 => Amount::All,
        More::WholeHost => Amount::IdleAtLeast(slots),
    }
}

/// Reads the slots of a claim: the least, and what is taken beside. Nothing when no host has so many.
fn read_slots(amount: Amount) -> Option<(u32, More)> {
    let slots = |n: u64| u32::try_from(n).ok().filter(|n| *n <= SLOTS_MAX);
    Some(match amount {
        Amount::Exactly(n) => (slots(n)?, More::Nothing),
        Amount::AtLeast(n) => (slots(n)?, More::Free),
        Amount::Between(n, m) if n == m => (slots(n)?, More::Nothing),
        Amount::Between(n, m) => (slots(n)?, More::UpTo(slots(m)?)),
        Amount::IdleAtLeast(n) => (slots(n)?, More::WholeHost),
        Amount::All => (1, More::WholeHost),
    })
}

/// Reads what a job reserves and refuses what this farm does not honour.
///
/// # Errors
/// Of the field `reservations`.
pub fn honoured(text: &str) -> Result<Reservation, FieldError> {
    let error = |why: String| FieldError::new("reservations", why);
    let claims = parse(text).map_err(|bad| error(bad.to_string()).hint(HINT))?;
    let mut reservation = Reservation::default();
    for claim in claims {
        let not_yet = |what: &str| {
            error(format!("{claim}: {what} can't be reserved yet"))
                .hint("write a number; N+, N-M, N* and all are for host.processors")
        };
        if let Ok(name) = claim.name.parse::<GlobalName>() {
            let Amount::Exactly(n) = claim.amount else {
                let why = format!(
                    "{claim}: of what the farm itself has, each instance reserves a number"
                );
                let hint = format!("write {name}=N; N+, N*, N-M and all are for host.processors");
                return Err(error(why).hint(hint));
            };
            if name.is_per_host() && n != 1 {
                let why = format!("{claim}: one is for all that runs on a host");
                return Err(error(why).hint(format!("write {name}=1")));
            }
            if name.is_scoped() {
                reservation.amounts.insert(name.to_string(), n);
            }
            reservation.global.insert(name, n);
            continue;
        }
        if claim.name == PROCESSORS {
            let slots = read_slots(claim.amount);
            (reservation.slots, reservation.more) = slots.ok_or_else(|| {
                error(format!("{claim}: no host has more than {SLOTS_MAX} slots"))
            })?;
            continue;
        }
        match claim.amount {
            Amount::Exactly(n) => _ = reservation.amounts.insert(claim.name, n),
            Amount::AtLeast(_) => return Err(not_yet("all that is free of anything but slots")),
            Amount::IdleAtLeast(_) | Amount::All => {
                return Err(not_yet("an idle host by anything but its slots"));
            }
            Amount::Between(..) => return Err(not_yet("a range of anything but slots")),
        }
    }
    Ok(reservation)
}

/// Says whether a name begins as those of the farm do.
fn is_farms(name: &str) -> bool {
    KINDS.iter().any(|kind| name.starts_with(kind))
}

/// Where reading stands, in bytes.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn error(&self, problem: Problem) -> ReservationError {
        self.error_at(self.at, problem)
    }

    fn error_at(&self, at: usize, problem: Problem) -> ReservationError {
        ReservationError {
            place: self.text[..at].chars().count(),
            found: self.text[at..].chars().next(),
            problem,
        }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn bump(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }

    fn skip_spaces(&mut self) {
        while self.peek() == Some(' ') {
            self.bump();
        }
    }

    fn eat(&mut self, wanted: char) -> bool {
        let is_there = self.peek() == Some(wanted);
        if is_there {
            self.bump();
        }
        is_there
    }

    /// Reads `host.memory=8G` and the spaces behind it.
    fn claim(&mut self) -> Result<Claim, ReservationError> {
        let name = self.name()?;
        self.skip_spaces();
        if !self.eat('=') {
            return Err(self.error(Problem::NoAmount));
        }
        self.skip_spaces();
        let amount = self.amount(IN_MEBIBYTES.contains(&name.as_str()))?;
        self.skip_spaces();
        Ok(Claim { name, amount })
    }

    fn name(&mut self) -> Result<String, ReservationError> {
        let begin = self.at;
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        while self.peek().is_some_and(is_of_name) {
            self.bump();
        }
        let name = &self.text[begin..self.at];
        if name.is_empty() {
            return Err(self.error(Problem::NoName));
        }
        if name.len() > RESOURCE_NAME_BYTES_MAX {
            return Err(self.error_at(begin, Problem::NameTooLong));
        }
        match name.split_once('.') {
            Some(("host", rest)) if !rest.is_empty() => Ok(name.to_owned()),
            Some((_, rest)) if !rest.is_empty() && is_farms(name) => Ok(name.to_owned()),
            _ => Err(self.error_at(begin, Problem::Kind)),
        }
    }

    fn amount(&mut self, in_mebibytes: bool) -> Result<Amount, ReservationError> {
        if self.text[self.at..].starts_with("all") {
            self.at += "all".len();
            return Ok(Amount::All);
        }
        let begin = self.at;
        let number = self.number(in_mebibytes)?;
        if self.eat('+') {
            return Ok(Amount::AtLeast(number));
        }
        if self.eat('*') {
            return Ok(Amount::IdleAtLeast(number));
        }
        if !self.eat('-') {
            return Ok(Amount::Exactly(number));
        }
        let most = self.number(in_mebibytes)?;
        if most < number {
            return Err(self.error_at(begin, Problem::Backwards));
        }
        Ok(Amount::Between(number, most))
    }

    fn number(&mut self, in_mebibytes: bool) -> Result<u64, ReservationError> {
        let begin = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.bump();
        }
        if begin == self.at {
            return Err(self.error(Problem::NoNumber));
        }
        let number: Option<u64> = self.text[begin..self.at].parse().ok();
        let unit_at = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_alphabetic()) {
            self.bump();
        }
        let shift = match self.text[unit_at..self.at].to_ascii_lowercase().as_str() {
            "" => 0,
            "m" | "mb" | "mib" if in_mebibytes => 0,
            "g" | "gb" | "gib" if in_mebibytes => 10,
            "t" | "tb" | "tib" if in_mebibytes => 20,
            _ => return Err(self.error_at(unit_at, Problem::Unit)),
        };
        number
            .and_then(|number| number.checked_mul(1 << shift))
            .filter(|number| (1..=AMOUNT_MAX).contains(number))
            .ok_or_else(|| self.error_at(begin, Problem::OutOfRange))
    }
}

/// Checks a field of a submission.
pub(crate) fn field(given: Option<&str>) -> Result<Reservation, FieldError> {
    given.map_or_else(|| Ok(Reservation::default()), honoured)
}

/// Checks the tries after attempts that ran out of memory.
pub(crate) fn retry_oom(given: Option<i64>) -> Result<u32, FieldError> {
    use tessera_model::limits::{RETRY_OOM_DEFAULT, RETRY_OOM_MAX};
    match given {
        None => Ok(RETRY_OOM_DEFAULT),
        Some(n) => u32::try_from(n)
            .ok()
            .filter(|n| *n <= RETRY_OOM_MAX)
            .ok_or_else(|| {
                FieldError::new(
                    "retry_oom",
                    format!("{} is out of range", shown(&n.to_string())),
                )
                .hint(format!("write a number from 0 to {RETRY_OOM_MAX}"))
            }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str) -> Amount {
        let claims = parse(text).unwrap_or_else(|bad| panic!("{text}: {bad}"));
        assert_eq!(claims.len(), 1, "{text}");
        claims[0].amount
    }

    #[test]
    fn every_form_of_an_amount_is_read() {
        for (text, amount) in [
            ("host.processors=1", Amount::Exactly(1)),
            ("host.processors=1+", Amount::AtLeast(1)),
            ("host.processors=2*", Amount::IdleAtLeast(2)),
            ("host.processors=all", Amount::All),
            (" host.processors = 2-4 ", Amount::Between(2, 4)),
            ("host.memory=8192", Amount::Exactly(8192)),
            ("host.memory=8G", Amount::Exactly(8192)),
            ("host.memory=512MiB", Amount::Exactly(512)),
            ("host.memory=1G-2G", Amount::Between(1024, 2048)),
            ("host.swap=1T+", Amount::AtLeast(1 << 20)),
            ("global.nuke-x_1=3", Amount::Exactly(3)),
            ("license.maya.batch=1", Amount::Exactly(1)),
        ] {
            assert_eq!(one(text), amount, "{text}");
        }
        assert_eq!(parse(""), Ok(Vec::new()));
        assert_eq!(parse("  "), Ok(Vec::new()));
    }

    #[test]
    fn errors_point_at_the_character() {
        for (text, place, found, problem) in [
            ("host.memory", 11, None, Problem::NoAmount),
            ("host.memory=", 12, None, Problem::NoNumber),
            ("host.memory=x", 12, Some('x'), Problem::NoNumber),
            ("host.memory=8X", 13, Some('X'), Problem::Unit),
            ("host.memory=64K", 14, Some('K'), Problem::Unit),
            ("host.processors=1G", 17, Some('G'), Problem::Unit),
            ("host.memory=0", 12, Some('0'), Problem::OutOfRange),
            (
                "host.memory=99999999999999999999",
                12,
                Some('9'),
                Problem::OutOfRange,
            ),
            ("host.memory=4-2", 12, Some('4'), Problem::Backwards),
            ("host.memory=4 5", 14, Some('5'), Problem::Trailing),
            ("host.a=1,host.a=2", 9, Some('h'), Problem::Twice),
            ("host.a=1,", 9, None, Problem::NoName),
            (",host.a=1", 0, Some(','), Problem::NoName),
            ("memory=1", 0, Some('m'), Problem::Kind),
            ("hosts.a=1", 0, Some('h'), Problem::Kind),
            ("host.=1", 0, Some('h'), Problem::Kind),
            ("host.ä=1", 0, Some('h'), Problem::Kind),
            ("host.a=1,ä", 9, Some('ä'), Problem::NoName),
        ] {
            let expected = ReservationError {
                place,
                found,
                problem,
            };
            assert_eq!(parse(text), Err(expected), "{text}");
        }
        let bad = parse("host.memory=8X").expect_err("a unit");
        let text = "at character 14 ('X'): a unit is M, G or T, for host.memory and host.swap only";
        assert_eq!(bad.to_string(), text);
        let many: Vec<String> = (0..=RESERVATIONS_MAX)
            .map(|n| format!("host.r{n}=1"))
            .collect();
        let bad = parse(&many.join(",")).expect_err("too many");
        assert_eq!(bad.problem, Problem::TooMany);
    }

    #[test]
    fn slots_are_named_beside_as_many_resources_as_there_may_be() {
        let most: Vec<String> = (0..RESERVATIONS_MAX)
            .map(|n| format!("host.r{n}=1"))
            .collect();
        let read = honoured(&most.join(",")).expect("honoured");
        assert_eq!(honoured(&print_reservation(&read)), Ok(read));
    }

    #[test]
    fn what_is_not_honoured_is_refused_by_name() {
        for (text, why) in [
            ("host.memory=2G*", "host.memory=2048*: an idle host"),
            ("host.gpus=all", "host.gpus=all: an idle host"),
            ("host.memory=1-2", "host.memory=1-2: a range"),
            ("host.memory=1+", "host.memory=1+: all that is free"),
        ] {
            let error = honoured(text).expect_err(text);
            assert_eq!(error.field, "reservations");
            assert!(error.message.starts_with(why), "{text}: {}", error.message);
            assert!(
                error.message.ends_with("can't be reserved yet"),
                "{}",
                error.message
            );
        }
        assert!(honoured("host.processors=5000").is_err());
        let good = honoured("host.memory=8G,host.processors=2+,host.gpus=1").expect("honoured");
        assert_eq!(
            (good.slots, good.more, good.memory()),
            (2, More::Free, Some(8192))
        );
        let text = "host.processors=2+,host.gpus=1,host.memory=8192";
        assert_eq!(print_reservation(&good), text);
        assert_eq!(honoured(text), Ok(good));
        assert_eq!(honoured(""), Ok(Reservation::default()));
    }

    #[test]
    fn every_form_of_slots_is_honoured_and_prints_so_that_it_reads_back() {
        for (text, slots, more, printed) in [
            ("3", 3, More::Nothing, "3"),
            ("3+", 3, More::Free, "3+"),
            ("2-8", 2, More::UpTo(8), "2-8"),
            ("2-2", 2, More::Nothing, "2"),
            ("4*", 4, More::WholeHost, "4*"),
            ("all", 1, More::WholeHost, "all"),
            // Any host has one slot.
            ("1*", 1, More::WholeHost, "all"),
        ] {
            let read = honoured(&format!("host.processors={text}")).expect(text);
            assert_eq!((read.slots, read.more), (slots, more), "{text}");
            let form = format!("host.processors={printed}");
            assert_eq!(print_reservation(&read), form);
            assert_eq!(
                format!("host.processors={}", read.slots_form()),
                form,
                "the engine says the same"
            );
            assert_eq!(honoured(&form), Ok(read));
        }
        for text in ["1-5000", "5000-6000", "5000*", "5000+"] {
            let text = format!("host.processors={text}");
            let why = format!("{text}: no host has more than {SLOTS_MAX} slots");
            assert_eq!(honoured(&text).expect_err(&text).message, why);
        }
    }

    #[test]
    fn of_the_farm_a_number_is_reserved_and_nothing_else() {
        let text = "host.processors=1,global.rig=2,license.nuke=1";
        let good = honoured("license.nuke=1, global.rig=2").expect("honoured");
        assert_eq!(
            (good.slots, good.amounts.len(), good.global.len()),
            (1, 0, 2)
        );
        assert_eq!(print_reservation(&good), text);
        assert_eq!(honoured(text), Ok(good));
        for (form, hint) in [
            ("license.nuke=1+", "write license.nuke=N;"),
            ("license.nuke=1*", "write license.nuke=N;"),
            ("global.x=all", "write global.x=N;"),
            ("global.x=1-2", "write global.x=N;"),
        ] {
            let error = honoured(form).expect_err(form);
            let why =
                format!("{form}: of what the farm itself has, each instance reserves a number");
            assert_eq!((error.field.as_str(), error.message), ("reservations", why));
            assert!(error.hint.is_some_and(|it| it.starts_with(hint)), "{form}");
        }
        for wrong in ["scope.x=1", "host_global.x=1", "global.=1", "nuke=1"] {
            let error = honoured(wrong).expect_err(wrong);
            assert!(
                error
                    .message
                    .ends_with("global_host.NAME, license_host.NAME or scoped.NAME")
            );
        }
    }

    #[test]
    fn one_is_for_a_host_and_what_is_scoped_is_taken_of_both() {
        let good = honoured("scoped.io=2,license_host.shake=1,host.gpus=1").expect("honoured");
        assert_eq!(
            good.amounts,
            [("host.gpus".to_owned(), 1), ("scoped.io".to_owned(), 2)].into()
        );
        let of_farm: Vec<_> = good
            .global
            .iter()
            .map(|(name, n)| (name.as_str(), *n))
            .collect();
        assert_eq!(of_farm, [("license_host.shake", 1), ("scoped.io", 2)]);
        let text = "host.processors=1,host.gpus=1,license_host.shake=1,scoped.io=2";
        assert_eq!(print_reservation(&good), text);
        assert_eq!(honoured(text), Ok(good));
        let error = honoured("global_host.x=2").expect_err("two");
        assert_eq!(
            error.message,
            "global_host.x=2: one is for all that runs on a host"
        );
        assert_eq!(error.hint.as_deref(), Some("write global_host.x=1"));
    }

    fn amount() -> impl Strategy<Value = Amount> {
        let n = 1..=AMOUNT_MAX;
        prop_oneof![
            n.clone().prop_map(Amount::Exactly),
            n.clone().prop_map(Amount::AtLeast),
            n.clone().prop_map(Amount::IdleAtLeast),
            Just(Amount::All),
            (n.clone(), n).prop_map(|(a, b)| Amount::Between(a.min(b), a.max(b))),
        ]
    }

    proptest! {
        #[test]
        fn printed_claims_read_back(
            claims in proptest::collection::btree_map("(host|global|license|global_host|license_host|scoped)\\.[a-z_.-]{1,20}", amount(), 0..RESERVATIONS_MAX)
        ) {
            let claims: Vec<Claim> = claims.into_iter().map(|(name, amount)| Claim { name, amount }).collect();
            prop_assert_eq!(parse(&print(&claims)), Ok(claims));
        }

        #[test]
        fn any_text_is_read_or_refused_at_a_place_in_it(text in "(host|global|license_host|scoped|[ -~ä])\\.?[a-z]{0,4}[=,+*0-9 -]{0,6}\\PC{0,9}") {
            match parse(&text) {
                Ok(claims) => prop_assert_eq!(parse(&print(&claims)), Ok(claims)),
                Err(bad) => {
                    prop_assert_eq!(text.chars().nth(bad.place), bad.found);
                    prop_assert!(bad.place <= text.chars().count());
                }
            }
            if let Ok(reservation) = honoured(&text) {
                prop_assert_eq!(honoured(&print_reservation(&reservation)), Ok(reservation));
            }
        }
    }
}
