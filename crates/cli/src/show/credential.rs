//! Registered passwords and the keys that they are sealed for.

use super::Facts;
use crate::out::table::{Cell, Column, Table};
use crate::out::{Look, Tone, text, time};
use std::collections::BTreeSet;
use tessera_api::types::{Credential, SealKey, SealOffer};
use tessera_seal::KeyId;

/// Keys that are named one by one.
const KEYS_SHOWN_MAX: usize = 8;

fn account(domain: &str, name: &str, kind: &str) -> String {
    let mut shown = if domain.is_empty() {
        name.to_owned()
    } else {
        format!("{domain}\\{name}")
    };
    if kind == "proxy" {
        shown += " (proxy)";
    }
    shown
}

fn tone(status: &str) -> Tone {
    match status {
        "valid" => Tone::Good,
        "unchecked" | "checking" | "unavailable" => Tone::Warn,
        _ => Tone::Bad,
    }
}

/// Prints one registered password with what its check said.
#[must_use]
pub fn credential(look: &Look, it: &Credential) -> String {
    let mut facts = Facts::default();
    facts.add("account", account(&it.domain, &it.account, &it.kind));
    facts.add("pool", it.pool.clone());
    facts.add("status", it.status.clone());
    facts.add("that is", it.text.clone());
    facts.add_some("checked on", it.checked_on.clone());
    facts.add_some("it said", it.checked_detail.clone());
    facts.add_some("SID", it.sid.clone());
    if it.status != "revoked" {
        facts.add("sealed to", time::count(u64::from(it.sealed_to), "key"));
        facts.add("good until", time::day_and_time(look, it.expires_ms));
    }
    facts.print(look)
}

/// Prints a list of registered passwords.
#[must_use]
pub fn credentials(look: &Look, all: &[Credential]) -> String {
    if all.is_empty() {
        return "no registered passwords\n".to_owned();
    }
    let mut table = Table::new(&[
        Column::flexible("ACCOUNT"),
        Column::flexible("POOL"),
        Column::left("STATUS"),
        Column::left("CHECKED"),
        Column::right("KEYS"),
        Column::left("GOOD UNTIL"),
    ]);
    for it in all {
        let is_revoked = it.status == "revoked";
        let until = if is_revoked {
            String::new()
        } else {
            time::day_and_time(look, it.expires_ms)
        };
        table.row([
            Cell::from(account(&it.domain, &it.account, &it.kind)),
            Cell::from(&it.pool),
            Cell::toned(tone(&it.status), it.status.clone()),
            Cell::from(
                it.checked_ms
                    .map_or_else(String::new, |at| time::ago(look, at)),
            ),
            Cell::from(it.sealed_to.to_string()),
            Cell::from(until),
        ]);
    }
    table.print(look)
}

/// Prints keys of workers, with a word for those that nothing was sealed for here before.
#[must_use]
pub fn seal_keys(look: &Look, keys: &[SealKey], known: &BTreeSet<KeyId>) -> String {
    let mut table = Table::new(&[
        Column::flexible("HOST"),
        Column::left("FINGERPRINT"),
        Column::left("MADE"),
        Column::left("HERE"),
    ]);
    for key in keys {
        let is_known = key.id.parse().is_ok_and(|id| known.contains(&id));
        let (tone, word) = if is_known {
            (Tone::Plain, "known")
        } else {
            (Tone::Warn, "new")
        };
        table.row([
            Cell::from(&key.host),
            Cell::from(&key.id),
            Cell::from(time::ago(look, key.created_ms)),
            Cell::toned(tone, word),
        ]);
    }
    table.print(look)
}

/// Says what a password is about to be sealed for.
#[must_use]
pub fn sealed_for(look: &Look, offer: &SealOffer, domain: &str, used: &BTreeSet<KeyId>) -> String {
    let whose = account(domain, &offer.account, &offer.kind);
    let count = time::count(used.len() as u64, "worker");
    let first = format!(
        "The password of {} is sealed here for {count} of pool {}:\n",
        text::safe(&whose),
        text::safe(&offer.pool)
    );
    first + &lines(look, offer, used)
}

/// Says which keys are new.
#[must_use]
pub fn new_keys(look: &Look, offer: &SealOffer, fresh: &BTreeSet<KeyId>) -> String {
    let mark = look.paint(Tone::Warn, "New since the last time:");
    format!("{mark}\n{}", lines(look, offer, fresh))
}

fn lines(look: &Look, offer: &SealOffer, of: &BTreeSet<KeyId>) -> String {
    let named = offer
        .keys
        .iter()
        .filter(|key| key.id.parse().is_ok_and(|id| of.contains(&id)));
    let line = |key: &SealKey| {
        let id = look.paint(Tone::Dim, &text::safe(&key.id));
        format!("  {id}  {}\n", text::safe(&key.host))
    };
    let mut out: String = named.take(KEYS_SHOWN_MAX).map(line).collect();
    if of.len() > KEYS_SHOWN_MAX {
        let more = time::count((of.len() - KEYS_SHOWN_MAX) as u64, "more");
        out += &format!("  … and {more} (tessera credential keys lists them)\n");
    }
    out
}
