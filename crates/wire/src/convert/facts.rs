//! What a host is.

use super::parts::{at_most, nanos, read_name, read_text, text};
use super::{ConvertError, PROPERTIES_MAX, settings};
use crate::proto;
use std::collections::HashMap;
use std::time::Duration;
use tessera_model::desk::ALLOWED_MAX;
use tessera_model::limits::SLOTS_MAX;
use tessera_model::{Consent, HostFacts, Identity, Presence, Running, WhileActive};

pub(super) fn write(facts: HostFacts) -> proto::HostFacts {
    proto::HostFacts {
        name: facts.name,
        slots: facts.slots,
        properties: facts
            .properties
            .into_iter()
            .map(|(name, value)| (name, text(value)))
            .collect(),
        resources: facts.resources.into_iter().collect(),
        identity: Some(write_identity(facts.identity)),
        panic: facts.panic.map(text),
        version: facts.version,
        allows: facts.allows.names(),
        presence: facts.presence.map(write_presence),
        settings: facts.settings.map(settings::write_in_use),
    }
}

pub(super) fn read(facts: proto::HostFacts) -> Result<HostFacts, ConvertError> {
    at_most(facts.properties.len(), PROPERTIES_MAX, "facts.properties")?;
    at_most(facts.resources.len(), PROPERTIES_MAX, "facts.resources")?;
    if facts.slots > SLOTS_MAX {
        let (got, max) = (facts.slots.into(), SLOTS_MAX.into());
        return Err(ConvertError::Range {
            field: "facts.slots",
            got,
            max,
        });
    }
    Ok(HostFacts {
        name: read_name(facts.name, "facts.name")?,
        slots: facts.slots,
        properties: read_map(facts.properties, "facts.properties", |value| {
            read_text(value, "facts.properties")
        })?,
        resources: read_map(facts.resources, "facts.resources", Ok)?,
        identity: read_identity(facts.identity)?,
        panic: facts
            .panic
            .map(|why| read_text(why, "facts.panic"))
            .transpose()?,
        version: read_name(facts.version, "facts.version")?,
        allows: read_allows(facts.allows)?,
        presence: facts.presence.map(read_presence).transpose()?,
        settings: facts.settings.map(settings::read_in_use).transpose()?,
    })
}

fn read_allows(names: Vec<String>) -> Result<Consent, ConvertError> {
    const FIELD: &str = "facts.allows";
    at_most(names.len(), ALLOWED_MAX, FIELD)?;
    let names = names.into_iter().map(|name| read_name(name, FIELD));
    Ok(Consent::of(names.collect::<Result<Vec<_>, _>>()?))
}

fn write_presence(presence: Presence) -> proto::Presence {
    proto::Presence {
        rule: Some(write_rule(presence.rule)),
        is_closed: presence.is_closed,
        who: presence.who,
        unknown: presence.unknown.map(text),
    }
}

fn read_presence(presence: proto::Presence) -> Result<Presence, ConvertError> {
    Ok(Presence {
        rule: read_rule(presence.rule, "facts.presence.rule")?,
        is_closed: presence.is_closed,
        who: read_name(presence.who, "facts.presence.who")?,
        unknown: presence
            .unknown
            .map(|why| read_text(why, "facts.presence.unknown"))
            .transpose()?,
    })
}

pub(super) fn write_rule(rule: WhileActive) -> proto::WhileActive {
    let running = match rule.running {
        Running::Keep => proto::Running::Keep,
        Running::Suspend => proto::Running::Suspend,
        Running::Requeue => proto::Running::Requeue,
    };
    proto::WhileActive {
        idle_after_ns: nanos(rule.idle_after),
        running: running.into(),
    }
}

pub(super) fn read_rule(
    rule: Option<proto::WhileActive>,
    field: &'static str,
) -> Result<WhileActive, ConvertError> {
    let rule = rule.ok_or(ConvertError::Missing { field })?;
    let running = match proto::Running::try_from(rule.running) {
        Ok(proto::Running::Suspend) => Running::Suspend,
        Ok(proto::Running::Requeue) => Running::Requeue,
        // The one that ends nothing, for a word of a later release, too.
        Ok(proto::Running::Keep) | Err(_) => Running::Keep,
    };
    Ok(WhileActive {
        idle_after: Duration::from_nanos(rule.idle_after_ns),
        running,
    })
}

/// Reads a map, its names bounded.
fn read_map<V>(
    map: HashMap<String, V>,
    field: &'static str,
    value: impl Fn(V) -> Result<V, ConvertError>,
) -> Result<std::collections::BTreeMap<String, V>, ConvertError> {
    map.into_iter()
        .map(|(name, v)| Ok((read_name(name, field)?, value(v)?)))
        .collect()
}

fn write_identity(identity: Identity) -> proto::Identity {
    use proto::identity::Kind;
    let kind = match identity {
        Identity::Proxy(account) => Kind::Proxy(account),
        Identity::User => Kind::User(proto::Empty {}),
        Identity::Desktop(user) => Kind::Desktop(user),
    };
    proto::Identity { kind: Some(kind) }
}

/// Reads who jobs run as. A kind that is not known is an error, never a guess.
fn read_identity(identity: Option<proto::Identity>) -> Result<Identity, ConvertError> {
    use proto::identity::Kind;
    const FIELD: &str = "facts.identity";
    let identity = identity.ok_or(ConvertError::Missing { field: FIELD })?;
    match identity.kind {
        Some(Kind::Proxy(account)) => Ok(Identity::Proxy(read_name(account, FIELD)?)),
        Some(Kind::User(_)) => Ok(Identity::User),
        Some(Kind::Desktop(user)) => Ok(Identity::Desktop(read_name(user, FIELD)?)),
        None => Err(ConvertError::Unknown { field: FIELD }),
    }
}
