//! `notify.toml`: the farm's channels, as its administrator wrote them.
//!
//! **Invariant:** addresses that the farm calls come from this file only, never from a request.

use super::cause::Kind;
use super::digest::{CAUSES_MAX, OWNERS_CAUSES_MAX, Pace};
use super::people::{Allowed, PEOPLE};
use super::sign::Secret;
use super::smtp::{MailTarget, Smtp, SmtpTls};
use crate::config::{ConfigError, Problem};
use http::Uri;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt;
use std::io::Read as _;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tessera_model::ChannelName;
use tessera_spec::quantity;

/// Largest file, and largest file that it names, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Channels of a farm.
const CHANNELS_MAX: usize = 16;
/// Names of users that a channel is limited to.
const USERS_MAX: usize = 1_000;
/// Shortest and longest time in which one cause is told once.
const INTERVAL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(7 * 86_400));
/// Longest time that is gathered before the first summary.
const GATHER_MAX: Duration = Duration::from_secs(3_600);
/// Shortest and longest time that one delivery may take.
const TIME_LIMIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(25));
/// Shortest and longest time after which a message is given up.
const GIVE_UP: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(7 * 86_400));

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default = "ten_minutes")]
    interval: Length,
    #[serde(default = "five_seconds")]
    gather: Length,
    #[serde(default = "five_minutes")]
    farm_after: Length,
    #[serde(default = "a_day")]
    give_up_after: Length,
    #[serde(default)]
    webhook: Vec<WebhookEntry>,
    #[serde(default)]
    mail: Vec<MailEntry>,
    #[serde(default)]
    smtp: Option<SmtpEntry>,
    #[serde(default)]
    people: Option<PeopleEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PeopleEntry {
    domains: Vec<String>,
    #[serde(default)]
    interval: Option<Length>,
    #[serde(default = "twenty_seconds")]
    time_limit: Length,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookEntry {
    name: String,
    url: String,
    secret_file: PathBuf,
    #[serde(default)]
    ca_file: Option<PathBuf>,
    #[serde(default)]
    on: Vec<String>,
    #[serde(default)]
    users: Vec<String>,
    /// Whether jobs may ask to be told of over it, whosever they are.
    #[serde(default)]
    jobs: bool,
    #[serde(default)]
    interval: Option<Length>,
    #[serde(default = "ten_seconds")]
    time_limit: Length,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MailEntry {
    name: String,
    to: Vec<String>,
    on: Vec<String>,
    #[serde(default)]
    users: Vec<String>,
    #[serde(default)]
    interval: Option<Length>,
    #[serde(default = "twenty_seconds")]
    time_limit: Length,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SmtpEntry {
    pub(super) host: String,
    #[serde(default)]
    pub(super) port: Option<u16>,
    #[serde(default)]
    pub(super) tls: SmtpTls,
    pub(super) from: String,
    #[serde(default)]
    pub(super) user: Option<String>,
    #[serde(default)]
    pub(super) password_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) ca_file: Option<PathBuf>,
    /// Owners of jobs have their mail at this domain.
    #[serde(default)]
    pub(super) owner_domain: Option<String>,
}

/// A length of time: `"10m"`, or a number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
struct Length(Duration);

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Written {
    Seconds(u32),
    Text(String),
}

impl TryFrom<Written> for Length {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Seconds(seconds) => Ok(Self(Duration::from_secs(u64::from(seconds)))),
            Written::Text(text) => quantity::duration(&text)
                .map(Self)
                .map_err(|why| format!("a number of seconds or a text like \"5m\" ({why})")),
        }
    }
}

fn ten_minutes() -> Length {
    Length(Duration::from_secs(600))
}

fn five_minutes() -> Length {
    Length(Duration::from_secs(300))
}

fn five_seconds() -> Length {
    Length(Duration::from_secs(5))
}

fn ten_seconds() -> Length {
    Length(Duration::from_secs(10))
}

fn twenty_seconds() -> Length {
    Length(Duration::from_secs(20))
}

fn a_day() -> Length {
    Length(Duration::from_secs(86_400))
}

/// The farm's channels.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NotifyConfig {
    /// How long the farm must be full or idle until that is told.
    pub(crate) farm_after: Duration,
    /// The channels, in their order.
    pub(crate) channels: Vec<ChannelConfig>,
}

/// A channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChannelConfig {
    /// What people call it; its place in the store.
    pub(crate) name: String,
    /// What is told.
    pub(crate) on: BTreeSet<Kind>,
    /// Whose jobs; everybody's when empty.
    pub(crate) users: BTreeSet<String>,
    /// Whether jobs may ask to be told of over it, beside what it tells anyway.
    pub(crate) is_for_jobs: bool,
    /// How often.
    pub(crate) pace: Pace,
    /// After how long a message is given up; what happened longer ago is not told.
    pub(crate) give_up_after: Duration,
    /// How long one try may take.
    pub(crate) time_limit: Duration,
    /// Where to.
    pub(crate) target: Target,
}

/// Where a channel leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// An HTTP server.
    Webhook(WebhookTarget),
    /// People with an address.
    Mail(MailTarget),
}

/// An HTTP server that is told.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct WebhookTarget {
    /// Its address; may itself be a secret.
    pub(crate) url: Uri,
    /// What messages are signed with.
    pub(crate) secret: Secret,
    /// Certificates that are trusted for it instead of the system's.
    pub(crate) ca_file: Option<PathBuf>,
}

impl WebhookTarget {
    /// Answers scheme, host and port: what may be shown.
    pub(crate) fn shown(&self) -> String {
        let scheme = self.url.scheme_str().unwrap_or_default();
        let authority = self.url.authority();
        format!(
            "{scheme}://{}",
            authority.map_or("", http::uri::Authority::as_str)
        )
    }
}

impl fmt::Debug for WebhookTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl ChannelConfig {
    /// Says whether something of this kind can be told over it.
    pub(crate) fn listens_to(&self, kind: Kind) -> bool {
        self.on.contains(&kind) || (self.is_for_jobs && kind.is_of_a_job())
    }
}

impl NotifyConfig {
    /// Reads a file, or answers no channels when there is none. Files that it names lie beside it unless their paths are
    /// absolute.
    ///
    /// # Errors
    /// With file, line and reason.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let wrong = |line: usize, problem: Problem| ConfigError {
            path: path.to_owned(),
            line,
            problem,
        };
        let text = match read_bounded(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(wrong(0, Problem::Unreadable(error.to_string()))),
        };
        let base = path.parent().unwrap_or(Path::new("."));
        let file = toml::from_str::<File>(&text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(0, |before| before.matches('\n').count() + 1);
            wrong(line, Problem::Notify(error.message().trim().to_owned()))
        })?;
        Self::of(&file, base).map_err(|why| wrong(0, Problem::Notify(why)))
    }

    fn of(file: &File, base: &Path) -> Result<Self, String> {
        let mut channels = Vec::new();
        within("farm_after", file.farm_after, (Duration::ZERO, INTERVAL.1))?;
        for entry in &file.webhook {
            let channel = webhook(entry, file, base)
                .map_err(|why| format!("webhook {:?}: {why}", entry.name))?;
            channels.push(channel);
        }
        let smtp = file.smtp.as_ref().map(|entry| Smtp::of(entry, base));
        let smtp = smtp.transpose().map_err(|why| format!("smtp: {why}"))?;
        let smtp = smtp.map(Arc::new);
        for entry in &file.mail {
            let channel = mail(entry, file, smtp.as_ref())
                .map_err(|why| format!("mail {:?}: {why}", entry.name))?;
            channels.push(channel);
        }
        if let Some(entry) = &file.people {
            let channel = people(entry, file, smtp.as_ref());
            channels.push(channel.map_err(|why| format!("people: {why}"))?);
        }
        if channels.len() > CHANNELS_MAX {
            return Err(format!("at most {CHANNELS_MAX} channels are allowed"));
        }
        let names: BTreeSet<&str> = channels.iter().map(|it| it.name.as_str()).collect();
        if names.len() < channels.len() {
            return Err("two channels have the same name".to_owned());
        }
        Ok(Self {
            farm_after: file.farm_after.0,
            channels,
        })
    }
}

fn webhook(entry: &WebhookEntry, file: &File, base: &Path) -> Result<ChannelConfig, String> {
    let interval = entry.interval.unwrap_or(file.interval);
    Ok(ChannelConfig {
        name: name(&entry.name)?,
        on: match entry.on.is_empty() && entry.jobs {
            true => BTreeSet::new(),
            false => on(&entry.on)?,
        },
        users: users(&entry.users)?,
        is_for_jobs: entry.jobs,
        pace: pace(file, interval, CAUSES_MAX)?,
        give_up_after: within("give_up_after", file.give_up_after, GIVE_UP)?,
        time_limit: within("time_limit", entry.time_limit, TIME_LIMIT)?,
        target: Target::Webhook(WebhookTarget {
            url: url(&entry.url)?,
            secret: secret(&base.join(&entry.secret_file))?,
            ca_file: entry.ca_file.as_ref().map(|file| base.join(file)),
        }),
    })
}

fn mail(entry: &MailEntry, file: &File, smtp: Option<&Arc<Smtp>>) -> Result<ChannelConfig, String> {
    let interval = entry.interval.unwrap_or(file.interval);
    let on = on(&entry.on)?;
    let smtp =
        smtp.ok_or_else(|| "there is no [smtp] with the server to send it over".to_owned())?;
    let target = MailTarget::of(&entry.to, &on, smtp)?;
    let causes_max = if target.is_to_one() {
        OWNERS_CAUSES_MAX
    } else {
        CAUSES_MAX
    };
    Ok(ChannelConfig {
        name: name(&entry.name)?,
        users: users(&entry.users)?,
        is_for_jobs: false,
        pace: pace(file, interval, causes_max)?,
        give_up_after: within("give_up_after", file.give_up_after, GIVE_UP)?,
        time_limit: within("time_limit", entry.time_limit, TIME_LIMIT)?,
        target: Target::Mail(target),
        on,
    })
}

fn people(
    entry: &PeopleEntry,
    file: &File,
    smtp: Option<&Arc<Smtp>>,
) -> Result<ChannelConfig, String> {
    let smtp =
        smtp.ok_or_else(|| "there is no [smtp] with the server to send it over".to_owned())?;
    let allowed = Allowed::of(&entry.domains)?;
    let of_jobs = Kind::CHOICES.into_iter().filter(|it| it.is_of_a_job());
    Ok(ChannelConfig {
        name: PEOPLE.to_owned(),
        on: of_jobs.collect(),
        users: BTreeSet::new(),
        is_for_jobs: false,
        pace: pace(
            file,
            entry.interval.unwrap_or(file.interval),
            OWNERS_CAUSES_MAX,
        )?,
        give_up_after: within("give_up_after", file.give_up_after, GIVE_UP)?,
        time_limit: within("time_limit", entry.time_limit, TIME_LIMIT)?,
        target: Target::Mail(MailTarget::of_asked(allowed, smtp)),
    })
}

fn pace(file: &File, interval: Length, causes_max: usize) -> Result<Pace, String> {
    Ok(Pace {
        gather: within("gather", file.gather, (Duration::ZERO, GATHER_MAX))?,
        interval: within("interval", interval, INTERVAL)?,
        causes_max,
    })
}

fn within(
    key: &str,
    length: Length,
    (least, most): (Duration, Duration),
) -> Result<Duration, String> {
    if (least..=most).contains(&length.0) {
        return Ok(length.0);
    }
    let (least, most) = (least.as_secs(), most.as_secs());
    Err(format!("{key} must be from {least}s to {most}s"))
}

fn name(name: &str) -> Result<String, String> {
    let read = name.parse::<ChannelName>();
    read.map(|name| name.to_string())
        .map_err(|bad| format!("name must be {bad}"))
}

fn on(on: &[String]) -> Result<BTreeSet<Kind>, String> {
    let kind = |word: &String| Kind::CHOICES.into_iter().find(|it| it.word() == word);
    let kinds: Option<BTreeSet<Kind>> = on.iter().map(kind).collect();
    let choices = Kind::CHOICES.map(Kind::word).join(", ");
    kinds
        .filter(|kinds| !kinds.is_empty())
        .ok_or_else(|| format!("on must be one or more of {choices}"))
}

fn users(users: &[String]) -> Result<BTreeSet<String>, String> {
    if users.len() > USERS_MAX {
        return Err(format!("at most {USERS_MAX} users can be named"));
    }
    Ok(users.iter().cloned().collect())
}

/// What is told crosses no network in plaintext, and names and passwords in an address would be in its log.
fn url(text: &str) -> Result<Uri, String> {
    let url: Uri = text.parse().map_err(|error| format!("url: {error}"))?;
    let host = url.host().unwrap_or_default();
    let is_here = is_this_host(host);
    if host.is_empty() || url.authority().is_some_and(|it| it.as_str().contains('@')) {
        return Err("url must be https://HOST[:PORT]/PATH, without a user's name".to_owned());
    }
    match url.scheme_str() {
        Some("https") => Ok(url),
        Some("http") if is_here => Ok(url),
        _ => Err("url must begin with https:// (http:// only for this host itself)".to_owned()),
    }
}

/// Says whether a name can be of nobody but this host.
pub(super) fn is_this_host(host: &str) -> bool {
    let bare = host.trim_matches(['[', ']']);
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn secret(path: &Path) -> Result<Secret, String> {
    let text = read_secret(path)?;
    Secret::parse(text.trim()).map_err(|why| format!("secret_file {}: {why}", path.display()))
}

/// Reads a file with a secret, which must be ours or root's, and which others may not read.
pub(super) fn read_secret(path: &Path) -> Result<String, String> {
    let named = |why: &dyn fmt::Display| format!("{}: {why}", path.display());
    let file = std::fs::File::open(path).map_err(|error| named(&error))?;
    let meta = file.metadata().map_err(|error| named(&error))?;
    if !meta.is_file() {
        return Err(named(&"is no file"));
    }
    let (owner, us) = (meta.uid(), nix::unistd::Uid::effective().as_raw());
    // Root only checks the file for the account that will run it.
    if owner != 0 && owner != us && us != 0 {
        return Err(named(&format!(
            "belongs to uid {owner}; it must be root's, or of the account that runs the supervisor (uid {us})"
        )));
    }
    if meta.mode() & 0o037 != 0 {
        return Err(named(&format!(
            "can be read by others or written by its group (mode {:o}); `chmod 640` or `600` it, and make a new secret",
            meta.mode() & 0o7777
        )));
    }
    let mut text = String::new();
    let mut bounded = file.take(FILE_BYTES_MAX);
    bounded
        .read_to_string(&mut text)
        .map_err(|error| named(&error))?;
    Ok(text)
}

fn read_bounded(path: &Path) -> std::io::Result<String> {
    let file = std::fs::File::open(path)?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        let why = format!("it is larger than {FILE_BYTES_MAX} bytes");
        return Err(std::io::Error::other(why));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n";

    fn load(text: &str) -> Result<NotifyConfig, String> {
        load_with_mode(text, 0o600)
    }

    fn load_with_mode(text: &str, mode: u32) -> Result<NotifyConfig, String> {
        let dir = tempfile::tempdir().expect("a folder");
        let secret = dir.path().join("chat.secret");
        std::fs::write(&secret, SECRET).expect("writes");
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(mode)).expect("its own");
        let path = dir.path().join("notify.toml");
        std::fs::write(&path, text).expect("writes");
        NotifyConfig::load(&path).map_err(|error| {
            let shown = error.to_string();
            shown.replace(&dir.path().display().to_string(), "")
        })
    }

    fn with(lines: &str) -> String {
        format!(
            "[[webhook]]\nname = \"chat\"\nurl = \"https://chat.example/hook/s3cret\"\nsecret_file = \"chat.secret\"\n{lines}"
        )
    }

    #[test]
    fn owners_are_written_to_by_a_channel_of_their_own() {
        let text = |to: &str| {
            let smtp = "[smtp]\nhost = \"mail.example\"\nfrom = \"farm@studio.example\"\nowner_domain = \"studio.example\"\n";
            format!("{smtp}[[mail]]\nname = \"artists\"\nto = [{to}]\non = [\"failed\"]\n")
        };
        let config = load(&text("\"owner\"")).expect("valid");
        assert_eq!(config.channels[0].pace.causes_max, OWNERS_CAUSES_MAX);
        let config = load(&text("\"td@studio.example\"")).expect("valid");
        assert_eq!(config.channels[0].pace.causes_max, CAUSES_MAX);
        let error = load(&text("\"td@studio.example\", \"owner\"")).expect_err("both");
        assert!(error.contains("write a second [[mail]]"), "{error}");
    }

    #[test]
    fn a_channel_is_read_with_its_defaults() {
        let config = load(&with("on = [\"failed\", \"host_lost\"]\n")).expect("valid");
        let channel = &config.channels[0];
        assert_eq!(channel.name, "chat");
        assert_eq!(channel.on, [Kind::Failed, Kind::HostLost].into());
        assert_eq!(channel.pace.interval, Duration::from_secs(600));
        assert_eq!(channel.pace.gather, Duration::from_secs(5));
        assert_eq!(channel.give_up_after, Duration::from_secs(86_400));
        assert_eq!(channel.time_limit, Duration::from_secs(10));
        let shown = format!("{channel:?}");
        assert!(shown.contains("https://chat.example"), "{shown}");
        assert!(
            !shown.contains("s3cret") && !shown.contains("MfKQ"),
            "{shown}"
        );
    }

    #[test]
    fn a_webhook_can_be_for_jobs_that_ask_for_it_only() {
        let config = load(&with("jobs = true\n")).expect("valid");
        let channel = &config.channels[0];
        assert!(channel.is_for_jobs && channel.on.is_empty());
        assert!(channel.listens_to(Kind::Failed) && !channel.listens_to(Kind::HostLost));
        let config = load(&with("jobs = true\non = [\"host_lost\"]\n")).expect("valid");
        assert!(config.channels[0].listens_to(Kind::HostLost));
        let config = load(&with("on = [\"host_lost\"]\n")).expect("valid");
        assert!(!config.channels[0].listens_to(Kind::Failed));
        let error = load(&with("jobs = false\n")).expect_err("of nothing");
        assert!(error.contains("on must be one or more of"), "{error}");
    }

    #[test]
    fn without_a_file_nobody_is_told() {
        let nowhere = NotifyConfig::load(Path::new("/nonexistent/notify.toml"));
        assert_eq!(nowhere, Ok(NotifyConfig::default()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let on = "on = [\"failed\"]\n";
        for (text, expected) in [
            (with("on = []\n"), "on must be one or more of done, failed"),
            (
                with("on = [\"missed\"]\n"),
                "on must be one or more of done",
            ),
            (
                with("on = [\"finished\"]\n"),
                "webhook \"chat\": on must be one or more of done",
            ),
            (
                with(&format!("{on}colour = 1\n")),
                "notify.toml:6: unknown field `colour`",
            ),
            (
                with(&format!("{on}interval = \"0s\"\n")),
                "interval must be from 1s to",
            ),
            (
                with(&format!("{on}time_limit = 26\n")),
                "time_limit must be from 1s to 25s",
            ),
            (
                with(on).replace("\"chat\"", "\"Chat\""),
                "name must be 1 to 32 small letters",
            ),
            (
                with(on).replace("https", "http"),
                "url must begin with https://",
            ),
            (
                with(on).replace("https", "ftp"),
                "url must begin with https://",
            ),
            (
                with(on).replace("chat.example", "mia:x@chat.example"),
                "without a user's name",
            ),
            (
                with(on).replace("chat.secret", "none"),
                "none: No such file",
            ),
            (with(on) + &with(on), "two channels have the same name"),
            (
                "interval = \"soon\"".into(),
                "notify.toml:1: a number of seconds",
            ),
        ] {
            let said = load(&text).expect_err(&text);
            assert!(said.contains(expected), "{text}\n{said}");
        }
    }

    #[test]
    fn plaintext_goes_to_this_host_only() {
        let on = with("on = [\"failed\"]\n");
        for (url, is_good) in [
            ("http://127.0.0.1:8080/x", true),
            ("http://[::1]:8080/", true),
            ("http://localhost/x", true),
            ("http://localhost.example/x", false),
            ("http://farm.example/x", false),
            ("https://farm.example/x", true),
            ("/x", false),
        ] {
            let text = on.replace("https://chat.example/hook/s3cret", url);
            assert_eq!(load(&text).is_ok(), is_good, "{url}");
        }
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        let text = with("on = [\"failed\"]\n");
        for (mode, is_good) in [
            (0o600, true),
            (0o640, true),
            (0o400, true),
            (0o644, false),
            (0o660, false),
            (0o604, false),
            (0o620, false),
        ] {
            let said = load_with_mode(&text, mode);
            assert_eq!(said.is_ok(), is_good, "{mode:o}: {said:?}");
        }
    }
}
