//! The ticket: the supervisor's signed word that one instance may be started on one host, as one account, once.

use std::fmt;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use thiserror::Error;

use crate::codec::{DecodeError, Reader, Writer};
use crate::names::{AccountName, LaunchKey, ProxyAccount};
use crate::refusal::Refusal;
use crate::template::Template;

/// The longest time between a ticket's not-before and its end, milliseconds.
pub const TICKET_LIFETIME_MAX_MS: u64 = 120_000;
/// How far a host's clock may be behind the supervisor's, milliseconds.
pub const SKEW_MAX_MS: u64 = 60_000;
/// The most bytes of an encoded ticket.
pub const TICKET_BYTES_MAX: usize = 16 * 1024;
/// The most ranges of items in a ticket.
pub const ITEM_RANGES_MAX: usize = 1_024;
/// The most bytes of a principal's name.
const PRINCIPAL_MAX: usize = 256;
/// The most bytes of the word that says how the principal was proven.
const PROVEN_MAX: usize = 64;
/// The version of a ticket without limits of the kernel's, which launchers that know none of these read, too.
const VERSION: u8 = 1;
/// The version of one with them.
const VERSION_LIMITS: u8 = 2;
const DOMAIN: &[u8] = b"tessera launch ticket v1\0";

/// A SHA-256 digest; prints in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// How the account of a job is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The host's proxy account.
    Proxy,
    /// The user the job belongs to.
    User,
    /// The person at the desktop whose worker this is.
    Desktop,
}

impl Mode {
    /// Returns the word used in policies and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::User => "user",
            Self::Desktop => "desktop",
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::Proxy => 1,
            Self::User => 2,
            Self::Desktop => 3,
        }
    }

    fn from_number(number: u8) -> Result<Self, DecodeError> {
        match number {
            1 => Ok(Self::Proxy),
            2 => Ok(Self::User),
            3 => Ok(Self::Desktop),
            _ => Err(DecodeError::Invalid { field: "mode" }),
        }
    }
}

/// A range of agenda items, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemRange {
    /// The first item.
    pub first: u32,
    /// The last item.
    pub last: u32,
}

/// What the kernel keeps an instance to, all its items together; 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KernelLimits {
    /// Memory, bytes.
    pub memory: u64,
    /// Processes and threads.
    pub pids: u32,
    /// Its weight when the processors are wanted by more than there are: hundredths of a slot, 1 to 10000.
    pub cpu_weight: u16,
}

/// The greatest weight that the kernel takes.
pub const CPU_WEIGHT_MAX: u16 = 10_000;

impl KernelLimits {
    /// Says whether nothing is limited.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    fn write(self, out: &mut Writer) {
        out.u64(self.memory);
        out.u32(self.pids);
        out.u16(self.cpu_weight);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let limits = Self {
            memory: input.u64("memory")?,
            pids: input.u32("pids")?,
            cpu_weight: input.u16("cpu_weight")?,
        };
        // Without limits it would have the other version: there is one way to write a ticket.
        if limits.is_none() || limits.cpu_weight > CPU_WEIGHT_MAX {
            return Err(DecodeError::Invalid { field: "limits" });
        }
        Ok(limits)
    }
}

/// Why a ticket does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TicketError {
    /// No key made the signature.
    #[error("no known key made the signature")]
    Signature,
    /// The bytes are no ticket.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
}

/// The supervisor's word. Times are milliseconds since 1970 (UTC).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The farm.
    pub farm: [u8; 16],
    /// The host that may use it.
    pub host: [u8; 16],
    /// Job, instance and launch number.
    pub key: LaunchKey,
    /// Who asked, as the supervisor authenticated them.
    pub principal: String,
    /// How they were proven, for the audit.
    pub proven: String,
    /// How the account is chosen.
    pub mode: Mode,
    /// The account to become; checked by [`Ticket::decode`]. May be empty in desktop mode only.
    pub account: String,
    /// The items that may run.
    pub items: Vec<ItemRange>,
    /// The digest of the template.
    pub template: Digest,
    /// Not valid before.
    pub not_before_ms: u64,
    /// Not valid from then on.
    pub expires_ms: u64,
    /// Makes the ticket one of a kind.
    pub nonce: [u8; 16],
    /// What the kernel keeps the instance to.
    pub limits: KernelLimits,
}

impl Ticket {
    /// Writes the fixed layout that is signed.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        let has_limits = !self.limits.is_none();
        out.u8(if has_limits { VERSION_LIMITS } else { VERSION });
        out.raw(&self.farm);
        out.raw(&self.host);
        self.key.write(&mut out);
        out.text(&self.principal);
        out.text(&self.proven);
        out.u8(self.mode.number());
        out.text(&self.account);
        out.count(self.items.len());
        for range in &self.items {
            out.u32(range.first);
            out.u32(range.last);
        }
        out.raw(&self.template.0);
        out.u64(self.not_before_ms);
        out.u64(self.expires_ms);
        out.raw(&self.nonce);
        if has_limits {
            self.limits.write(&mut out);
        }
        out.finish()
    }

    /// Reads a ticket. The account's name is checked here, before anybody could look it up.
    ///
    /// # Errors
    /// Bytes that are no ticket; `Invalid` or `TooLong` of `account` for a name that can't be one.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > TICKET_BYTES_MAX {
            return Err(DecodeError::TooLong {
                field: "ticket",
                max: TICKET_BYTES_MAX,
            });
        }
        let mut input = Reader::new(bytes);
        let version = input.u8("version")?;
        if !matches!(version, VERSION | VERSION_LIMITS) {
            return Err(DecodeError::Version { found: version });
        }
        let (farm, host) = (input.array("farm")?, input.array("host")?);
        let key = LaunchKey::read(&mut input)?;
        let principal = input.text("principal", PRINCIPAL_MAX)?;
        let proven = input.text("proven", PROVEN_MAX)?;
        let mode = Mode::from_number(input.u8("mode")?)?;
        let account = read_account(&mut input, mode)?;
        let items = read_items(&mut input)?;
        let template = Digest(input.array("template")?);
        let (not_before_ms, expires_ms) = (input.u64("not_before")?, input.u64("expires")?);
        let nonce = input.array("nonce")?;
        let limits = match version {
            VERSION_LIMITS => KernelLimits::read(&mut input)?,
            _ => KernelLimits::default(),
        };
        input.end()?;
        let ticket = Self {
            farm,
            host,
            key,
            principal,
            proven,
            mode,
            account,
            items,
            template,
            not_before_ms,
            expires_ms,
            nonce,
            limits,
        };
        Ok(ticket)
    }

    /// Signs the encoded bytes of a ticket.
    pub fn sign(bytes: &[u8], key: &SigningKey) -> [u8; 64] {
        key.sign(&signed(bytes)).to_bytes()
    }

    /// Checks the signature with each key, strictly, and only then reads the ticket.
    ///
    /// # Errors
    /// `Signature` when no key made it, `Malformed` when the signed bytes are no ticket.
    pub fn verify(
        bytes: &[u8],
        signature: &[u8; 64],
        keys: &[VerifyingKey],
    ) -> Result<Self, TicketError> {
        if bytes.len() > TICKET_BYTES_MAX {
            return Err(TicketError::Signature);
        }
        let message = signed(bytes);
        let signature = Signature::from_bytes(signature);
        if !keys
            .iter()
            .any(|key| key.verify_strict(&message, &signature).is_ok())
        {
            return Err(TicketError::Signature);
        }
        Ok(Self::decode(bytes)?)
    }

    /// Checks that the ticket is good now, milliseconds since 1970, and for no longer than tickets may be.
    ///
    /// # Errors
    /// `TicketTimes` when it is not valid yet or for too long, `TicketExpired` when its time is over.
    pub fn check_times(&self, now: u64) -> Result<(), Refusal> {
        let lifetime = self.expires_ms.saturating_sub(self.not_before_ms);
        let is_early = self.not_before_ms > now.saturating_add(SKEW_MAX_MS);
        if lifetime == 0 || lifetime > TICKET_LIFETIME_MAX_MS || is_early {
            return Err(Refusal::TicketTimes);
        }
        if now >= self.expires_ms {
            return Err(Refusal::TicketExpired {
                late_seconds: (now - self.expires_ms) / 1_000,
            });
        }
        Ok(())
    }

    /// Reads the template that came along, if it is the one that the ticket is for.
    ///
    /// # Errors
    /// `DigestMismatch` when it is another, `TemplateInvalid` when it is none.
    pub fn check_template(&self, bytes: &[u8]) -> Result<Template, Refusal> {
        if Template::digest_of(bytes) != self.template {
            return Err(Refusal::DigestMismatch);
        }
        Template::decode(bytes).map_err(|error| Refusal::TemplateInvalid {
            reason: error.to_string(),
        })
    }

    /// Says whether the ticket lets this item run.
    pub fn allows(&self, item: u32) -> bool {
        self.items
            .iter()
            .any(|range| (range.first..=range.last).contains(&item))
    }
}

/// The message that is signed: a prefix that no other signature of the farm has, then the ticket.
fn signed(bytes: &[u8]) -> Vec<u8> {
    [DOMAIN, bytes].concat()
}

fn read_account(input: &mut Reader<'_>, mode: Mode) -> Result<String, DecodeError> {
    let account = input.text("account", crate::names::ACCOUNT_NAME_MAX)?;
    let is_nameless_desktop = mode == Mode::Desktop && account.is_empty();
    let is_name = match mode {
        // May leave the number of the account to the launcher.
        Mode::Proxy => account.parse::<ProxyAccount>().is_ok(),
        Mode::User | Mode::Desktop => account.parse::<AccountName>().is_ok(),
    };
    if !is_nameless_desktop && !is_name {
        return Err(DecodeError::Invalid { field: "account" });
    }
    Ok(account)
}

fn read_items(input: &mut Reader<'_>) -> Result<Vec<ItemRange>, DecodeError> {
    let mut items = Vec::new();
    for _ in 0..input.count("items", ITEM_RANGES_MAX)? {
        let range = ItemRange {
            first: input.u32("items")?,
            last: input.u32("items")?,
        };
        if range.first > range.last {
            return Err(DecodeError::Invalid { field: "items" });
        }
        items.push(range);
    }
    Ok(items)
}

impl From<&TicketError> for Refusal {
    fn from(error: &TicketError) -> Self {
        match error {
            TicketError::Signature => Self::TicketSignature,
            TicketError::Malformed(
                DecodeError::Invalid { field: "account" }
                | DecodeError::TooLong {
                    field: "account", ..
                },
            ) => Self::NameInvalid,
            TicketError::Malformed(error) => Self::TicketMalformed {
                reason: error.to_string(),
            },
        }
    }
}
