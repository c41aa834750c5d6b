//! Readers of values; nothing where a value is none of its kind. What each takes is said in the table of keys.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use tessera_model::credential::{KEYS_OF_POOL_MAX, KeyId};
use tessera_model::desk::ALLOWED_MAX;
use tessera_model::limits::{GROUPS_MAX, PROPERTY_BYTES_MAX, SLOTS_MAX};
use tessera_model::resource::SCOPED;
use tessera_model::{Consent, Gpus, GroupName, LockCalendar, Restriction, Running, WhileActive};
use tessera_ticket::PathMap;
use toml::Spanned;
use toml::de::DeValue;

use super::config::{OfferedGpus, ProxyMode, Unknown};

/// The least spool, in bytes: less would cut the output of ordinary frames.
pub const SPOOL_MAX_LEAST: u64 = 1 << 20;
/// Properties, or resources, that one worker may add.
const PAIRS_MAX: usize = 256;
/// Longest life of a key in days.
const KEY_DAYS_MAX: u32 = 3_660;
/// Keys of other workers that one may be told to admit.
const ADMITTED_MAX: usize = KEYS_OF_POOL_MAX;
/// The greatest niceness.
const NICE_MAX: u8 = 19;
/// Variables of a desktop's own session that jobs may be given.
const VARIABLES_MAX: usize = 64;
/// Bytes of the name of a user or of a variable.
const NAME_BYTES_MAX: usize = 256;
/// Bytes of the name of a property or an amount, and of what a host goes by: the supervisor reads no longer ones.
const PROPERTY_NAME_BYTES_MAX: usize = tessera_model::limits::NAME_BYTES_MAX;

/// Reads a text that is told as a property.
pub(super) fn text(value: &DeValue<'_>) -> Option<String> {
    value.as_str().map(str::to_owned).filter(|it| is_told(it))
}

/// Says whether the supervisor reads a property that long. With a longer one it would turn the worker away altogether.
fn is_told(text: &str) -> bool {
    text.len() <= PROPERTY_BYTES_MAX
}

pub(super) fn word(value: &DeValue<'_>) -> Option<String> {
    let is_no_letter = |c: char| c.is_whitespace() || c.is_control();
    let is_word = |it: &String| !it.is_empty() && it.len() <= PROPERTY_NAME_BYTES_MAX;
    text(value).filter(|word| is_word(word) && !word.contains(is_no_letter))
}

/// Reads a text that is a value of a type of its own.
pub(super) fn parsed<T: FromStr>(value: &DeValue<'_>) -> Option<T> {
    value.as_str()?.parse().ok()
}

fn integer(value: &DeValue<'_>) -> Option<u64> {
    let number = value.as_integer()?;
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn at_most<T: TryFrom<u64> + PartialOrd + Copy>(value: &DeValue<'_>, most: T) -> Option<T> {
    let number = T::try_from(integer(value)?).ok()?;
    (number <= most).then_some(number)
}

pub(super) fn slots(value: &DeValue<'_>) -> Option<u32> {
    at_most(value, SLOTS_MAX)
}

pub(super) fn key_days(value: &DeValue<'_>) -> Option<u32> {
    at_most(value, KEY_DAYS_MAX)
}

pub(super) fn nice(value: &DeValue<'_>) -> Option<u8> {
    at_most(value, NICE_MAX)
}

pub(super) fn keys(value: &DeValue<'_>) -> Option<Vec<KeyId>> {
    let words = list(value).filter(|it| it.len() <= ADMITTED_MAX)?;
    words.iter().map(|word| word.parse().ok()).collect()
}

pub(super) fn mode(value: &DeValue<'_>) -> Option<ProxyMode> {
    match value.as_str() {
        Some("proxy") => Some(ProxyMode::Proxy),
        Some("user") => Some(ProxyMode::User),
        _ => None,
    }
}

/// Reads names of owners, or `"*"`.
pub(super) fn consent(value: &DeValue<'_>) -> Option<Consent> {
    let names = list(value)?;
    let is_name = |it: &String| {
        it.len() <= NAME_BYTES_MAX && !it.contains(|c: char| c.is_whitespace() || c.is_control())
    };
    let is_good = names.len() <= ALLOWED_MAX && names.iter().all(is_name);
    is_good.then(|| Consent::of(names))
}

pub(super) fn variables(value: &DeValue<'_>) -> Option<Vec<String>> {
    let names = list(value)?;
    let is_name = |it: &String| {
        let is_word = it.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        is_word && it.len() <= NAME_BYTES_MAX && !it.starts_with(|c: char| c.is_ascii_digit())
    };
    (names.len() <= VARIABLES_MAX && names.iter().all(is_name)).then_some(names)
}

pub(super) fn idle_after(value: &DeValue<'_>) -> Option<Duration> {
    let rule = WhileActive {
        idle_after: Duration::from_secs(integer(value)?),
        ..WhileActive::default()
    };
    rule.is_sound().then_some(rule.idle_after)
}

pub(super) fn running(value: &DeValue<'_>) -> Option<Running> {
    value.as_str().and_then(Running::of_word)
}

pub(super) fn unknown(value: &DeValue<'_>) -> Option<Unknown> {
    match value.as_str() {
        Some("active") => Some(Unknown::Active),
        Some("idle") => Some(Unknown::Idle),
        _ => None,
    }
}

/// Reads `["a", "b"]` or `"a,b"`.
fn list(value: &DeValue<'_>) -> Option<Vec<String>> {
    let parts: Vec<String> = match (value.as_array(), value.as_str()) {
        (Some(array), _) => array
            .iter()
            .map(|it| it.get_ref().as_str().map(str::to_owned))
            .collect::<Option<_>>()?,
        (None, Some(text)) => text.split(',').map(|it| it.trim().to_owned()).collect(),
        (None, None) => return None,
    };
    Some(parts.into_iter().filter(|it| !it.is_empty()).collect())
}

/// Reads an expression; an empty one is none.
pub(super) fn restrictions(value: &DeValue<'_>) -> Option<Option<Restriction>> {
    match value.as_str()?.trim() {
        "" => Some(None),
        text => {
            let restriction: Restriction = text.parse().ok()?;
            is_told(&restriction.to_string()).then_some(Some(restriction))
        }
    }
}

/// Reads a calendar, or a list of its parts; an empty one is none.
pub(super) fn schedule(value: &DeValue<'_>) -> Option<Option<LockCalendar>> {
    let text = match (value.as_array(), value.as_str()) {
        (Some(array), _) => {
            let parts = array.iter().map(|it| it.get_ref().as_str());
            parts.collect::<Option<Vec<&str>>>()?.join(";")
        }
        (None, text) => text?.to_owned(),
    };
    if text.trim().is_empty() {
        return Some(None);
    }
    let calendar: LockCalendar = text.parse().ok()?;
    is_told(&calendar.to_string()).then_some(Some(calendar))
}

/// Reads names of groups, as jobs write them.
pub(super) fn groups(value: &DeValue<'_>) -> Option<Vec<String>> {
    let all = list(value)?;
    let all: Option<Vec<String>> = all
        .iter()
        .map(|name| Some(name.parse::<GroupName>().ok()?.to_string()))
        .collect();
    all.filter(|all| all.len() <= GROUPS_MAX && is_told(&all.join(",")))
}

/// Reads `"host.a=b,host.c=d"`, or a list of `"host.a=b"`.
pub(super) fn pairs(value: &DeValue<'_>) -> Option<BTreeMap<String, String>> {
    pairs_of(value, &["host."])
}

fn pairs_of(value: &DeValue<'_>, kinds: &[&str]) -> Option<BTreeMap<String, String>> {
    let all = list(value).filter(|all| all.len() <= PAIRS_MAX)?;
    let pair = |pair: &String| {
        let (name, value) = pair.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        let mut rests = kinds.iter().filter_map(|kind| name.strip_prefix(kind));
        let is_hosts = rests.any(|rest| !rest.is_empty());
        let is_read = name.len() <= PROPERTY_NAME_BYTES_MAX && is_told(value);
        (is_hosts && is_read).then(|| (name.to_owned(), value.to_owned()))
    };
    all.iter().map(pair).collect()
}

/// Reads `"auto"`, `"none"`, or a list of `"nvidia/RTX A6000:49140"`.
pub(super) fn gpus(value: &DeValue<'_>) -> Option<OfferedGpus> {
    match value.as_str().map(str::trim) {
        Some("auto") => return Some(OfferedGpus::Found),
        Some("none") => return Some(OfferedGpus::These(Gpus::default())),
        _ => {}
    }
    let all = list(value)?;
    let is_one = |it: &String| !it.contains(',');
    all.iter().all(is_one).then_some(())?;
    let gpus = Gpus::read(&all.join(","))?;
    is_told(&gpus.to_string()).then_some(OfferedGpus::These(gpus))
}

pub(super) fn amounts(value: &DeValue<'_>) -> Option<BTreeMap<String, u64>> {
    let all = pairs_of(value, &["host.", SCOPED])?.into_iter();
    all.map(|(name, amount)| Some((name, amount.parse().ok()?)))
        .collect()
}

/// Reads `[["P:\\", "/mnt/p"], …]` or tables with the keys `from` and `to`.
pub(super) fn paths(value: &DeValue<'_>) -> Option<PathMap> {
    let text = |it: &DeValue<'_>| it.as_str().map(str::to_owned);
    let pair = |it: &Spanned<DeValue<'_>>| match it.get_ref() {
        DeValue::Array(pair) if pair.len() == 2 => {
            Some((text(pair[0].get_ref())?, text(pair[1].get_ref())?))
        }
        DeValue::Table(table) if table.len() == 2 => Some((
            text(table.get("from")?.get_ref())?,
            text(table.get("to")?.get_ref())?,
        )),
        _ => None,
    };
    let pairs: Option<Vec<_>> = value.as_array()?.iter().map(pair).collect();
    PathMap::new(pairs?).ok()
}

/// Reads bytes: a number, or a text such as `"4 GiB"`.
pub(super) fn size(value: &DeValue<'_>) -> Option<u64> {
    let bytes = match value.as_str() {
        Some(text) => sized(text),
        None => integer(value),
    };
    bytes.filter(|it| *it >= SPOOL_MAX_LEAST)
}

fn sized(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim() {
        "" | "B" => 0,
        "K" | "KiB" => 10,
        "M" | "MiB" => 20,
        "G" | "GiB" => 30,
        "T" | "TiB" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}
