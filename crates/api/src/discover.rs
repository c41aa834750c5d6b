//! Where the farm is, and how a client may trust and enter it.
//!
//! Looked at in this order: the value given on the command line, `TESSERA_SUPERVISOR`, the farms that were logged in to
//! (`farms.toml`: the default one), the sockets of a supervisor on this host, then the only farm that was logged in to. The first
//! that names a farm is taken; if that one can't be reached, nothing else is tried in its place, except for a socket that nobody listens on.

mod farms;

pub use farms::{BadFarms, Farm, Farms};

use crate::client::{Client, Fingerprint};
use crate::exit::Exit;
use std::env;
use std::fmt;
use std::path::{Path, PathBuf};

/// The environment variable that names the supervisor.
pub const SUPERVISOR_VARIABLE: &str = "TESSERA_SUPERVISOR";
/// The environment variable with a token that goes before the one in `farms.toml`.
pub const TOKEN_VARIABLE: &str = "TESSERA_TOKEN";
/// The environment variable with the fingerprint of the farm's CA, for a supervisor that `farms.toml` doesn't know.
pub const CA_VARIABLE: &str = "TESSERA_CA_SHA256";

/// What of the process's surroundings says where the farm is; a value of its own, so that tests need not change them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Surroundings {
    /// `TESSERA_SUPERVISOR`.
    pub supervisor: Option<String>,
    /// `TESSERA_TOKEN`.
    pub token: Option<String>,
    /// `TESSERA_CA_SHA256`.
    pub ca_sha256: Option<String>,
    /// The file with the farms that were logged in to.
    pub farms: Option<PathBuf>,
    /// Sockets of a supervisor on this host, the likeliest first.
    pub sockets: Vec<PathBuf>,
}

impl Surroundings {
    /// Reads them from the process's environment.
    #[must_use]
    pub fn of_process() -> Self {
        let text = |name| env::var(name).ok().filter(|text| !text.is_empty());
        let folder = |name| {
            env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let config =
            folder("XDG_CONFIG_HOME").or_else(|| folder("HOME").map(|home| home.join(".config")));
        let runtime = folder("XDG_RUNTIME_DIR").map(|path| path.join("tessera/supervisor.sock"));
        let system = if cfg!(target_os = "macos") {
            "/var/run"
        } else {
            "/run"
        };
        let system = Path::new(system).join("tessera/supervisor.sock");
        Self {
            supervisor: text(SUPERVISOR_VARIABLE),
            token: text(TOKEN_VARIABLE),
            ca_sha256: text(CA_VARIABLE),
            farms: config.map(|path| path.join("tessera/farms.toml")),
            sockets: runtime.into_iter().chain([system]).collect(),
        }
    }
}

/// A farm that was found.
#[derive(Clone, PartialEq, Eq)]
pub enum Found {
    /// Behind a socket of this host.
    Unix(PathBuf),
    /// At an address.
    Tls {
        /// `host:port`.
        address: String,
        /// The fingerprint of its CA.
        ca: Fingerprint,
        /// Its id, when known.
        farm_id: Option<String>,
        /// The token to enter with.
        token: Option<String>,
    },
}

impl Found {
    /// Makes the client for it.
    #[must_use]
    pub fn client(&self) -> Client {
        match self {
            Self::Unix(path) => Client::unix(path),
            Self::Tls {
                address,
                ca,
                farm_id: Some(id),
                token,
            } => Client::tls_farm(address, *ca, id, token.clone()),
            Self::Tls {
                address,
                ca,
                farm_id: None,
                token,
            } => Client::tls(address, *ca, token.clone()),
        }
    }
}

impl fmt::Debug for Found {
    /// Prints where it is, without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tls { address, ca, .. } => write!(f, "https://{address} ({ca:?})"),
        }
    }
}

/// A place that was looked at in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// Which.
    pub place: String,
    /// Why it was none.
    pub why: String,
}

/// Why no farm was found.
#[derive(Debug, thiserror::Error)]
pub enum NotFound {
    /// None of the places names one.
    #[error("no farm found; looked at{}", listed(.0))]
    Nowhere(Vec<Tried>),
    /// A place names one in words that are none, or that say too little.
    #[error("{place} {value:?}: {why}")]
    Bad {
        /// Which place: `--supervisor` or the variable.
        place: &'static str,
        /// What it says.
        value: String,
        /// What is wrong.
        why: String,
    },
    /// `farms.toml` can't be used.
    #[error(transparent)]
    Farms(#[from] BadFarms),
}

impl NotFound {
    /// Answers what can be done.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Nowhere(_) => {
                "start a farm here with `tessera up`, enter one with `tessera login`, or name one with --supervisor"
            }
            Self::Bad { .. } => {
                "write https://HOST:PORT, unix:/PATH or the name of a farm that you logged in to"
            }
            Self::Farms(bad) => bad.hint(),
        }
    }

    /// Answers the exit code of a command that ends with it.
    #[must_use]
    pub fn exit_code(&self) -> Exit {
        match self {
            Self::Nowhere(_) => Exit::Unreachable,
            Self::Bad { .. } | Self::Farms(_) => Exit::Usage,
        }
    }
}

fn listed(tried: &[Tried]) -> String {
    tried
        .iter()
        .map(|tried| format!("\n  {}: {}", tried.place, tried.why))
        .collect()
}

/// Answers the farm to talk to; `given` is the value of `--supervisor`.
///
/// # Errors
/// When no place names a farm (with all that was looked at), or one names it in a way that can't be used.
pub fn find(given: Option<&str>, around: &Surroundings) -> Result<Found, NotFound> {
    let named = [
        ("--supervisor", given),
        (SUPERVISOR_VARIABLE, around.supervisor.as_deref()),
    ];
    let mut tried = Vec::new();
    for (place, value) in named {
        match value {
            Some(value) => return read(place, value, around),
            None => tried.push(Tried {
                place: place.to_owned(),
                why: "not set".to_owned(),
            }),
        }
    }
    let farms = load(around)?;
    if let Some((id, farm)) = farms.default_one() {
        return Ok(found(id, farm, around));
    }
    tried.push(Tried {
        place: around.farms.as_deref().map_or_else(
            || "farms.toml".to_owned(),
            |path| path.display().to_string(),
        ),
        why: if farms.is_empty() {
            "no farm in it".to_owned()
        } else {
            "several farms in it, and no default".to_owned()
        },
    });
    if let Some(here) = find_socket(around, &mut tried) {
        return Ok(here);
    }
    let only = farms.chosen().map(|(id, farm)| found(id, farm, around));
    only.ok_or(NotFound::Nowhere(tried))
}

/// Says whether a supervisor listens on a socket of this host, which needs no token.
#[must_use]
pub fn is_here(around: &Surroundings) -> bool {
    find_socket(around, &mut Vec::new()).is_some()
}

/// Reads `https://host:port`, `unix:/path` or the name or id of a known farm.
fn read(place: &'static str, value: &str, around: &Surroundings) -> Result<Found, NotFound> {
    let bad = |why: &str| NotFound::Bad {
        place,
        value: value.to_owned(),
        why: why.to_owned(),
    };
    if let Some(path) = value.strip_prefix("unix:") {
        let path = Path::new(path.strip_prefix("//").unwrap_or(path));
        return if path.is_absolute() {
            Ok(Found::Unix(path.to_owned()))
        } else {
            Err(bad("the path must be absolute"))
        };
    }
    if value.starts_with("http://") {
        return Err(bad("a farm is only ever reached over TLS"));
    }
    let farms = load(around)?;
    if let Some(address) = value.strip_prefix("https://") {
        let address = whole_address(address).ok_or_else(|| bad("that is no HOST:PORT"))?;
        let known = farms
            .by_address(&address)
            .map(|(id, farm)| (id.to_owned(), farm.clone()));
        return pinned(address, known, around).ok_or_else(|| {
            bad("its fingerprint is not known; `tessera login` asks for it once, or set TESSERA_CA_SHA256")
        });
    }
    let (id, farm) = farms
        .named(value)
        .ok_or_else(|| bad("no address, and no farm of that name was logged in to"))?;
    Ok(found(id, farm, around))
}

/// Answers an address with its port.
fn whole_address(text: &str) -> Option<String> {
    let text = text.trim_end_matches('/');
    let is_good = !text.is_empty()
        && !text.contains(['/', '@', '?', '#'])
        && !text.contains(char::is_whitespace);
    let has_port = text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty()
            && port.parse::<u16>().is_ok()
            && (!host.contains(':') || host.ends_with(']'))
    });
    match (
        is_good,
        has_port,
        text.contains(':') && !text.ends_with(']'),
    ) {
        (true, true, _) => Some(text.to_owned()),
        (true, false, false) => Some(format!("{text}:{}", crate::PORT_DEFAULT)),
        _ => None,
    }
}

fn pinned(address: String, known: Option<(String, Farm)>, around: &Surroundings) -> Option<Found> {
    let given = around
        .ca_sha256
        .as_deref()
        .and_then(|text| text.parse().ok());
    let ca = given.or(known.as_ref().map(|(_, farm)| farm.ca))?;
    let same = known.filter(|(_, farm)| farm.ca == ca);
    let token = around
        .token
        .clone()
        .or_else(|| same.as_ref().and_then(|(_, farm)| farm.token.clone()));
    Some(Found::Tls {
        address,
        ca,
        farm_id: same.map(|(id, _)| id),
        token,
    })
}

fn found(id: &str, farm: &Farm, around: &Surroundings) -> Found {
    let token = around.token.clone().or_else(|| farm.token.clone());
    Found::Tls {
        address: farm.address.clone(),
        ca: farm.ca,
        farm_id: Some(id.to_owned()),
        token,
    }
}

fn load(around: &Surroundings) -> Result<Farms, NotFound> {
    around
        .farms
        .as_deref()
        .map_or_else(|| Ok(Farms::default()), |path| Ok(Farms::load(path)?))
}

#[cfg(unix)]
fn find_socket(around: &Surroundings, tried: &mut Vec<Tried>) -> Option<Found> {
    for path in &around.sockets {
        // A socket stays behind when its supervisor was killed, so only one that somebody listens on counts.
        match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => return Some(Found::Unix(path.clone())),
            Err(error) => tried.push(Tried {
                place: path.display().to_string(),
                why: why_not(&error),
            }),
        }
    }
    None
}

#[cfg(not(unix))]
fn find_socket(_around: &Surroundings, _tried: &mut Vec<Tried>) -> Option<Found> {
    None
}

#[cfg(unix)]
fn why_not(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such socket".to_owned(),
        std::io::ErrorKind::ConnectionRefused => "nobody listens".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
