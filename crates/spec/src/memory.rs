//! The memory that a job asks for by itself: an amount (`8G`), or what earlier jobs with its command took (`learnt`), which the farm
//! looks up when the job is submitted.

use crate::field::{FieldError, shown};
use crate::reservation::{self, Amount, Claim};
use tessera_model::Reservation;
use tessera_model::reservation::MEMORY;

/// The word for what earlier jobs took.
const LEARNT: &str = "learnt";
/// How it is written.
const HINT: &str =
    "write 8G, 8192 (MiB) or learnt: what earlier jobs of yours with this command took";

/// Reserves an amount of memory; says whether it is to be learnt instead.
///
/// # Errors
/// Of the field `memory`.
pub(crate) fn field(
    given: Option<&str>,
    reservation: &mut Reservation,
) -> Result<bool, FieldError> {
    let Some(text) = given.map(str::trim) else {
        return Ok(false);
    };
    let error = |why: String| Err(FieldError::new("memory", why).hint(HINT));
    if reservation.amounts.contains_key(MEMORY) {
        return error("reservations say how much memory already".to_owned());
    }
    if text == LEARNT {
        return Ok(true);
    }
    let claims = reservation::parse(&format!("{MEMORY}={text}"));
    match claims.as_deref() {
        Ok(
            [
                Claim {
                    amount: Amount::Exactly(amount),
                    ..
                },
            ],
        ) => {
            reservation.amounts.insert(MEMORY.to_owned(), *amount);
            Ok(false)
        }
        Ok(_) => error(format!("{} is no amount of memory", shown(text))),
        Err(bad) => error(format!("{}: {}", shown(text), bad.problem)),
    }
}

/// Answers reservations without that of memory; a text that is none stays as it is.
pub(crate) fn taken_out(reservations: String) -> String {
    match reservation::parse(&reservations) {
        Ok(mut claims) => {
            claims.retain(|claim| claim.name != MEMORY);
            reservation::print(&claims)
        }
        Err(_) => reservations,
    }
}

/// Says whether two commands are the same but for versions: the digits behind a `v` that follows a `.`, `_`, `-`, `/` or `\` or
/// begins a word, `shot_v012.blend` for `shot_v013.blend`.
#[must_use]
pub fn is_alike(one: &[String], other: &[String]) -> bool {
    let same =
        |(one, other): (&String, &String)| one == other || versionless(one) == versionless(other);
    one.len() == other.len() && one.iter().zip(other).all(same)
}

/// Answers a word with each version as `v0`.
fn versionless(word: &str) -> String {
    let mut said = String::with_capacity(word.len());
    let (mut is_start, mut is_version) = (true, false);
    for (at, c) in word.char_indices() {
        if is_version && c.is_ascii_digit() {
            continue;
        }
        let behind = &word[at + c.len_utf8()..];
        is_version = is_start
            && matches!(c, 'v' | 'V')
            && behind.starts_with(|it: char| it.is_ascii_digit());
        said.push(c);
        if is_version {
            said.push('0');
        }
        is_start = matches!(c, '.' | '_' | '-' | '/' | '\\');
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn memory_is_an_amount_or_learnt_and_said_once() {
        let mut none = Reservation::default();
        assert_eq!(field(None, &mut none), Ok(false));
        assert_eq!(field(Some("learnt"), &mut none), Ok(true));
        assert_eq!(none, Reservation::default());
        for (text, amount) in [("8G", 8192), (" 512 ", 512), ("1T", 1 << 20)] {
            let mut reservation = Reservation::default();
            assert_eq!(field(Some(text), &mut reservation), Ok(false));
            assert_eq!(reservation.amounts, [(MEMORY.to_owned(), amount)].into());
            let twice = field(Some(text), &mut reservation).expect_err("twice");
            assert_eq!(
                twice.to_string(),
                format!("memory: reservations say how much memory already ({HINT})")
            );
            assert!(field(Some("learnt"), &mut reservation).is_err());
        }
        for (bad, why) in [
            ("", "\"\": an amount is expected: N, N+, N*, N-M or all"),
            (
                "8X",
                "\"8X\": a unit is M, G or T, for host.memory and host.swap only",
            ),
            ("0", "\"0\": amounts go from 1 to 1125899906842624"),
            (
                "1G,license.x=1",
                "\"1G,license.x=1\" is no amount of memory",
            ),
            ("1G+", "\"1G+\" is no amount of memory"),
        ] {
            let mut reservation = Reservation::default();
            let error = field(Some(bad), &mut reservation).expect_err(bad);
            assert_eq!(
                (error.field.as_str(), error.message.as_str()),
                ("memory", why)
            );
            assert_eq!(reservation, Reservation::default());
        }
    }

    #[test]
    fn memory_is_taken_out_of_reservations() {
        for (before, after) in [
            (
                "host.processors=2,host.memory=8G,license.a=1",
                "host.processors=2,license.a=1",
            ),
            ("host.memory=8", ""),
            ("what", "what"),
        ] {
            assert_eq!(taken_out(before.to_owned()), after);
        }
    }

    #[test]
    fn commands_are_alike_but_for_versions() {
        for (one, other, is) in [
            (
                "blender -b s_v012.blend -f 1",
                "blender -b s_v013.blend -f 1",
                true,
            ),
            ("blender -b s_v9.blend", "blender -b s_v0010.blend", true),
            ("x v1/v2", "x v3/v44", true),
            ("x a.v1.b-V2", "x a.v9.b-V10", true),
            ("x s_v012.blend", "x s_V012.blend", false),
            ("x s_v.blend", "x s_v1.blend", false),
            ("x dev1", "x dev2", false),
            ("x shot010", "x shot020", false),
            ("x a b", "x a", false),
            ("x v1é", "x v2é", true),
        ] {
            assert_eq!(
                is_alike(&words(one), &words(other)),
                is,
                "{one} and {other}"
            );
        }
    }
}
