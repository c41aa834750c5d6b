//! The first words of both sides.

use super::parts::{at_most, read_name, read_text, text};
use super::{ConvertError, FEATURES_MAX, facts};
use crate::pki::FarmId;
use crate::{PROTO_MAX, PROTO_MIN, proto};
use std::time::Duration;
use tessera_model::{HostFacts, Timestamp};

/// A worker's first words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Oldest version of the protocol that it speaks.
    pub proto_min: u32,
    /// Newest.
    pub proto_max: u32,
    /// Words for what it can do beyond the version.
    pub features: Vec<String>,
    /// Its clock when it said this.
    pub wall: Timestamp,
    /// What its host is.
    pub facts: HostFacts,
}

/// A supervisor's first words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The version that is spoken.
    pub proto: u32,
    /// The farm.
    pub farm: FarmId,
    /// Its clock when it said this.
    pub wall: Timestamp,
    /// The worker says something at least this often.
    pub heartbeat: Duration,
    /// Words for what the supervisor can do beyond the version.
    pub features: Vec<String>,
}

/// Why a supervisor does not take a worker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text} ({code})")]
pub struct AttachRefused {
    /// Stable word: `version`, `unknown_host` …
    pub code: String,
    /// A sentence that names the thing, the reason and the way out.
    pub text: String,
}

/// Answers the newest version that both sides speak.
pub(crate) fn common_version(hello: &Hello) -> Result<u32, AttachRefused> {
    let newest = hello.proto_max.min(PROTO_MAX);
    if newest >= hello.proto_min.max(PROTO_MIN) {
        return Ok(newest);
    }
    let (min, max) = (hello.proto_min, hello.proto_max);
    let older = if max < PROTO_MIN {
        "worker"
    } else {
        "supervisor"
    };
    let text = format!(
        "the worker speaks versions {min} to {max} of the protocol, the supervisor {PROTO_MIN} to {PROTO_MAX}: upgrade the \
         {older}"
    );
    Err(AttachRefused {
        code: "version".to_owned(),
        text,
    })
}

pub(super) fn write_hello(hello: Hello) -> proto::Hello {
    proto::Hello {
        proto_min: hello.proto_min,
        proto_max: hello.proto_max,
        features: hello.features,
        wall_ms: hello.wall.0,
        facts: Some(facts::write(hello.facts)),
    }
}

pub(super) fn read_hello(hello: proto::Hello) -> Result<Hello, ConvertError> {
    Ok(Hello {
        proto_min: hello.proto_min,
        proto_max: hello.proto_max,
        features: read_features(hello.features, "hello.features")?,
        wall: Timestamp(hello.wall_ms),
        facts: read_facts(hello.facts)?,
    })
}

/// Reads the facts of a hello.
pub(super) fn read_facts(facts: Option<proto::HostFacts>) -> Result<HostFacts, ConvertError> {
    facts::read(facts.ok_or(ConvertError::Missing {
        field: "hello.facts",
    })?)
}

pub(super) fn write_welcome(welcome: Welcome) -> proto::Welcome {
    proto::Welcome {
        proto: welcome.proto,
        farm_id: welcome.farm.0.to_vec().into(),
        wall_ms: welcome.wall.0,
        heartbeat_seconds: u32::try_from(welcome.heartbeat.as_secs()).unwrap_or(u32::MAX),
        features: welcome.features,
    }
}

pub(super) fn read_welcome(welcome: proto::Welcome) -> Result<Welcome, ConvertError> {
    let (got, wanted) = (welcome.farm_id.len(), 16);
    let farm = <[u8; 16]>::try_from(&*welcome.farm_id).map_err(|_| ConvertError::Length {
        field: "welcome.farm_id",
        got,
        wanted,
    })?;
    if welcome.heartbeat_seconds == 0 {
        return Err(ConvertError::Missing {
            field: "welcome.heartbeat_seconds",
        });
    }
    Ok(Welcome {
        proto: welcome.proto,
        farm: FarmId(farm),
        wall: Timestamp(welcome.wall_ms),
        heartbeat: Duration::from_secs(welcome.heartbeat_seconds.into()),
        features: read_features(welcome.features, "welcome.features")?,
    })
}

pub(super) fn write_refused(refused: AttachRefused) -> proto::Refused {
    proto::Refused {
        code: refused.code,
        text: text(refused.text),
    }
}

pub(super) fn read_refused(refused: proto::Refused) -> Result<AttachRefused, ConvertError> {
    Ok(AttachRefused {
        code: read_name(refused.code, "refused.code")?,
        text: read_text(refused.text, "refused.text")?,
    })
}

fn read_features(features: Vec<String>, field: &'static str) -> Result<Vec<String>, ConvertError> {
    at_most(features.len(), FEATURES_MAX, field)?;
    features
        .into_iter()
        .map(|feature| read_name(feature, field))
        .collect()
}
