//! The host's own word on who may run here: a file of `key = value` lines that only administrators can write.

use std::collections::BTreeMap;

use tessera_ticket::{Mode, PathMap, ProxyAccount};

use crate::name::{Authority, Name};

/// The most bytes of the policy file.
pub const POLICY_MAX: usize = 64 * 1024;
/// The most names in a list.
const NAMES_MAX: usize = 1_024;
/// The most drives: one for each letter.
const DRIVES_MAX: usize = 26;
/// The most characters of a share.
const SHARE_MAX: usize = 1_024;
/// What is written when there is no policy yet.
pub const DEFAULT_POLICY: &str = r"# Who jobs may run as on this host. Only administrators can change this file; the farm can't.
# modes: proxy (the proxy account), user (the user the job belongs to), or both.
modes = proxy
# Where accounts that a job names are looked for: the name of a domain; empty for accounts of this host.
domain =
# As whom jobs of mode proxy run. With {slot} in it each running instance has an account of its own, made by the launcher.
proxy_account = tessera-job{slot}
# How that account is logged on: dynamic (accounts made here, for {slot}), gmsa (a managed service account of the directory),
# password (registered for this host's pool), s4u (without a password, and without shares).
proxy_logon = dynamic
# How the user of a job of mode user is logged on: password, s4u, or both: the first for which there is something.
user_logon = password
# deny beats allow; an empty allow list allows everybody who is not denied. Members of groups of administrators never run.
allow_users =
deny_users =
allow_groups =
deny_groups =
# How paths of other systems are called here, as /mnt/show => P:\show, with a comma between two.
path_map =
# Drives that each logon has, as X: = \\server\share, with a comma between two.
worker_drive_map =
# The account of the worker service.
worker_account = NT SERVICE\TesseraWorker
# Where instances have their private directories. Empty: `tmp` in the state directory.
tmp_dir =
";

/// How an account is logged on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logon {
    /// An account of this host that the launcher makes, with a password that it forgets.
    Dynamic,
    /// A managed service account, whose password the directory keeps.
    Managed,
    /// With a registered password, by the worker, which hands over the token.
    Password,
    /// Without a password, for this host only.
    S4u,
}

impl Logon {
    /// Answers the word in the policy.
    pub fn word(self) -> &'static str {
        match self {
            Self::Dynamic => "dynamic",
            Self::Managed => "gmsa",
            Self::Password => "password",
            Self::S4u => "s4u",
        }
    }

    fn of(word: &str) -> Option<Self> {
        let all = [Self::Dynamic, Self::Managed, Self::Password, Self::S4u];
        all.into_iter().find(|it| it.word() == word)
    }
}

/// A drive that each logon has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drive {
    /// `X:`.
    pub letter: String,
    /// `\\server\share`.
    pub share: String,
}

/// The policy, read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What is allowed.
    pub modes: Vec<Mode>,
    /// Who says what the names of jobs mean.
    pub domain: Authority,
    /// As whom jobs of mode proxy run, without its authority and in small letters, as tickets name it.
    pub proxy: Option<ProxyAccount>,
    /// The authority of that account.
    pub proxy_domain: Authority,
    /// How it is logged on.
    pub proxy_logon: Logon,
    /// How users are logged on.
    pub user_logon: Vec<Logon>,
    /// Lists, with the authority of each.
    pub allow_users: Vec<Name>,
    /// As above.
    pub deny_users: Vec<Name>,
    /// As above.
    pub allow_groups: Vec<Name>,
    /// As above.
    pub deny_groups: Vec<Name>,
    /// How paths of other systems are called here.
    pub paths: PathMap,
    /// Drives.
    pub drives: Vec<Drive>,
    /// Whom the launcher listens to.
    pub worker_account: String,
    /// Where private directories are made, if not in the state.
    pub tmp_dir: Option<String>,
}

impl Policy {
    /// Reads the file's text. Keys that are not there have the values of [`DEFAULT_POLICY`]; unknown ones are errors.
    ///
    /// # Errors
    /// A sentence that names the line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut values = read_lines(DEFAULT_POLICY)?;
        let known: Vec<String> = values.keys().cloned().collect();
        for (key, (line, value)) in read_lines(text)? {
            if !known.contains(&key) {
                let known = known.join(" ");
                return Err(format!("line {line}: unknown key `{key}`; known: {known}"));
            }
            values.insert(key, (line, value));
        }
        Fields(values).policy()
    }

    /// Says how accounts of each mode that is allowed are logged on, as the worker is told.
    pub fn logons(&self) -> Vec<String> {
        let words = |ways: &[Logon]| {
            ways.iter()
                .map(|it| it.word())
                .collect::<Vec<_>>()
                .join(",")
        };
        let proxy = std::slice::from_ref(&self.proxy_logon);
        let all = [(Mode::Proxy, proxy), (Mode::User, &self.user_logon)];
        let allowed = all.into_iter().filter(|(mode, _)| self.allows(*mode));
        allowed
            .map(|(mode, ways)| format!("{}={}", mode.name(), words(ways)))
            .collect()
    }

    /// Says whether the policy allows an execution mode.
    pub fn allows(&self, mode: Mode) -> bool {
        self.modes.contains(&mode)
    }
}

type Values = BTreeMap<String, (usize, String)>;

fn read_lines(text: &str) -> Result<Values, String> {
    let mut values = Values::new();
    // What Notepad puts before the first line.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let pair = line.split_once('=');
        let (key, value) = pair.ok_or(format!("line {number}: there is no `key = value`"))?;
        let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
        if values.insert(key.clone(), (number, value)).is_some() {
            return Err(format!("line {number}: `{key}` is there twice"));
        }
    }
    Ok(values)
}

struct Fields(Values);

impl Fields {
    fn policy(&self) -> Result<Policy, String> {
        let domain = match self.get("domain").1 {
            "" | "." => Authority::Local,
            name => self.authority(name)?,
        };
        let (proxy_domain, proxy) = self.proxy(&domain)?;
        let policy = Policy {
            modes: self.modes()?,
            proxy,
            proxy_domain,
            proxy_logon: self.logon("proxy_logon")?,
            user_logon: self.user_logon()?,
            allow_users: self.names("allow_users", &domain)?,
            deny_users: self.names("deny_users", &domain)?,
            allow_groups: self.names("allow_groups", &domain)?,
            deny_groups: self.names("deny_groups", &domain)?,
            paths: self.paths()?,
            drives: self.drives()?,
            worker_account: self.get("worker_account").1.to_owned(),
            tmp_dir: self.tmp_dir()?,
            domain,
        };
        self.check(&policy)?;
        Ok(policy)
    }

    /// Objects to what can't be together.
    fn check(&self, policy: &Policy) -> Result<(), String> {
        let (line, _) = self.get("proxy_logon");
        let has_slots = matches!(policy.proxy, Some(ProxyAccount::PerSlot { .. }));
        let is_dynamic = policy.proxy_logon == Logon::Dynamic;
        if policy.proxy.is_some() && has_slots != is_dynamic {
            return Err(format!(
                "line {line}: `proxy_logon = dynamic` goes with {{slot}} in `proxy_account`, and only with that"
            ));
        }
        if is_dynamic && policy.proxy_domain != Authority::Local && policy.proxy.is_some() {
            return Err(format!(
                "line {line}: accounts that are made here are of this host"
            ));
        }
        if policy.worker_account.is_empty() {
            return Err("`worker_account` is empty".into());
        }
        Ok(())
    }

    fn get(&self, key: &str) -> (usize, &str) {
        let found = self.0.get(key);
        found.map_or((0, ""), |(line, value)| (*line, value))
    }

    fn authority(&self, name: &str) -> Result<Authority, String> {
        let (line, _) = self.get("domain");
        let probe = Name::parse(&format!("{name}\\x"), &Authority::Local);
        let authority = probe.map(|it| it.authority);
        authority
            .map_err(|_| format!("line {line}: `domain` is not the name of a domain: `{name}`"))
    }

    fn proxy(&self, usual: &Authority) -> Result<(Authority, Option<ProxyAccount>), String> {
        let (line, value) = self.get("proxy_account");
        let wrong = || {
            format!(
                "line {line}: `proxy_account` is not the name of an account, with {{slot}} once at most: `{value}`"
            )
        };
        if value.is_empty() {
            return Ok((Authority::Local, None));
        }
        // An account of slots is made here, so it is of this host.
        let usual = if value.contains("{slot}") {
            &Authority::Local
        } else {
            usual
        };
        let name = Name::parse(value, usual).map_err(|_| wrong())?;
        let account = name.account.to_lowercase().parse().map_err(|_| wrong())?;
        Ok((name.authority, Some(account)))
    }

    fn list<'a>(&'a self, key: &str, max: usize) -> Result<(usize, Vec<&'a str>), String> {
        let (line, value) = self.get(key);
        let all = value.split(',').map(str::trim).filter(|it| !it.is_empty());
        let all: Vec<&str> = all.collect();
        if all.len() > max {
            return Err(format!("line {line}: `{key}` has more than {max} entries"));
        }
        Ok((line, all))
    }

    fn names(&self, key: &str, usual: &Authority) -> Result<Vec<Name>, String> {
        let (line, all) = self.list(key, NAMES_MAX)?;
        let one = |text: &&str| {
            Name::parse(text, usual).map_err(|what| format!("line {line}: `{key}`: {what}"))
        };
        all.iter().map(one).collect()
    }

    fn modes(&self) -> Result<Vec<Mode>, String> {
        let (line, all) = self.list("modes", NAMES_MAX)?;
        let one = |name: &&str| match *name {
            "proxy" => Ok(Mode::Proxy),
            "user" => Ok(Mode::User),
            _ => Err(format!(
                "line {line}: mode `{name}` is neither proxy nor user"
            )),
        };
        all.iter().map(one).collect()
    }

    fn logon(&self, key: &str) -> Result<Logon, String> {
        let (line, value) = self.get(key);
        let wrong = || format!("line {line}: `{key}` is none of dynamic, gmsa, password, s4u");
        Logon::of(value).ok_or_else(wrong)
    }

    fn user_logon(&self) -> Result<Vec<Logon>, String> {
        let (line, all) = self.list("user_logon", NAMES_MAX)?;
        let wrong = || format!("line {line}: `user_logon` is password, s4u, or both");
        let one = |word: &&str| {
            Logon::of(word)
                .filter(|it| [Logon::Password, Logon::S4u].contains(it))
                .ok_or_else(wrong)
        };
        all.iter().map(one).collect()
    }

    fn paths(&self) -> Result<PathMap, String> {
        let (line, all) = self.list("path_map", NAMES_MAX)?;
        let wrong = |what: &dyn std::fmt::Display| format!("line {line}: `path_map`: {what}");
        let pairs: Result<Vec<_>, _> = all.iter().map(|it| PathMap::parse_line(it)).collect();
        let pairs = pairs.map_err(|error| wrong(&error))?;
        PathMap::new(pairs).map_err(|error| wrong(&error))
    }

    fn drives(&self) -> Result<Vec<Drive>, String> {
        let (line, all) = self.list("worker_drive_map", DRIVES_MAX)?;
        let mut drives: Vec<Drive> = Vec::new();
        for text in all {
            let drive = drive(text).ok_or_else(|| {
                format!(r"line {line}: `worker_drive_map` has something that is not X: = \\server\share: `{text}`")
            })?;
            if drives.iter().any(|it| it.letter == drive.letter) {
                return Err(format!(
                    "line {line}: drive {} is there twice",
                    drive.letter
                ));
            }
            drives.push(drive);
        }
        Ok(drives)
    }

    fn tmp_dir(&self) -> Result<Option<String>, String> {
        let (line, value) = self.get("tmp_dir");
        let has_drive = value.as_bytes().get(1..3) == Some(br":\");
        match value {
            "" => Ok(None),
            path if has_drive && !path.contains('\0') => Ok(Some(path.to_owned())),
            _ => Err(format!("line {line}: `tmp_dir` is no path with its drive")),
        }
    }
}

/// Reads `X: = \\server\share`.
fn drive(text: &str) -> Option<Drive> {
    let (letter, share) = text.split_once('=')?;
    let (letter, share) = (letter.trim().to_uppercase(), share.trim());
    let is_letter = letter.len() == 2
        && letter.starts_with(|c: char| c.is_ascii_uppercase())
        && letter.ends_with(':');
    let mut parts = share.strip_prefix(r"\\")?.split('\\');
    let is_part = |it: &str| {
        !it.is_empty()
            && it != "."
            && it != ".."
            && !it.contains(|c: char| c.is_control() || "\"/:*?<>|".contains(c))
    };
    let has_two = parts.clone().count() >= 2;
    let is_share = has_two && parts.all(is_part) && share.len() <= SHARE_MAX;
    (is_letter && is_share).then(|| Drive {
        letter,
        share: share.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_reads() {
        let policy = Policy::parse("").expect("reads");
        assert_eq!(policy.modes, [Mode::Proxy]);
        assert_eq!(policy.proxy_logon, Logon::Dynamic);
        assert_eq!(policy.user_logon, [Logon::Password]);
        assert_eq!(policy.domain, Authority::Local);
        let proxy = policy.proxy.expect("an account");
        assert_eq!(proxy.to_string(), "tessera-job{slot}");
        // As Notepad writes it.
        assert!(
            Policy::parse("\u{feff}modes = user\r\n")
                .expect("reads")
                .allows(Mode::User)
        );
    }

    #[test]
    fn accounts_have_their_authority() {
        let text = "domain = STUDIO\nproxy_account = svc-render$\nproxy_logon = gmsa\ndeny_users = bob, .\\eve, x@y\n";
        let policy = Policy::parse(text).expect("reads");
        let studio = Authority::Domain("STUDIO".into());
        assert_eq!((&policy.domain, &policy.proxy_domain), (&studio, &studio));
        let denied: Vec<String> = policy.deny_users.iter().map(|it| it.asked("H")).collect();
        assert_eq!(denied, [r"STUDIO\bob", r"H\eve", "x@y"]);
        let other =
            Policy::parse("proxy_account = OTHER\\Render\nproxy_logon = password").expect("reads");
        assert_eq!(other.proxy_domain, Authority::Domain("OTHER".into()));
        assert_eq!(other.proxy.map(|it| it.to_string()), Some("render".into()));
    }

    #[test]
    fn drives_are_letters_and_shares() {
        let text = r"worker_drive_map = x: = \\srv\show, Y:=\\srv\lib\a b";
        let drives = Policy::parse(text).expect("reads").drives;
        let drives: Vec<String> = drives
            .iter()
            .map(|it| format!("{}{}", it.letter, it.share))
            .collect();
        assert_eq!(drives, [r"X:\\srv\show", r"Y:\\srv\lib\a b"]);
        for bad in [
            r"X = \\s\t",
            r"X: = C:\x",
            r"X: = \\s",
            r"XY: = \\s\t",
            r"1: = \\s\t",
            r"X: = \\s\..\t",
            r"X:=\\s\t,x:=\\s\u",
            r"X: = \\s\",
        ] {
            let error = Policy::parse(&format!("worker_drive_map = {bad}")).expect_err(bad);
            assert!(error.starts_with("line 1: "), "{error}");
        }
    }

    #[test]
    fn errors_name_the_line() {
        for (text, part) in [
            (
                "modes = proxy\nuid_min = 5",
                "line 2: unknown key `uid_min`",
            ),
            ("modes = desktop", "line 1: mode `desktop`"),
            ("modes", "line 1: there is no"),
            (
                "modes = user\nmodes = user",
                "line 2: `modes` is there twice",
            ),
            (
                "proxy_logon = gmsa",
                "line 1: `proxy_logon = dynamic` goes with",
            ),
            (
                "proxy_account = render",
                "`proxy_logon = dynamic` goes with",
            ),
            ("proxy_account = A\\x{slot}", "accounts that are made here"),
            ("proxy_account = a b", "line 1: `proxy_account` is not"),
            ("user_logon = gmsa", "line 1: `user_logon` is"),
            ("deny_users = a;b", "line 1: `deny_users`"),
            ("domain = a\\b", "line 1: `domain`"),
            ("tmp_dir = tmp", "line 1: `tmp_dir`"),
            ("worker_account =", "`worker_account` is empty"),
        ] {
            let error = Policy::parse(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
