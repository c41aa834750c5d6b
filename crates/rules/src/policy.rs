//! The host's own word on who may run here: a file of `key = value` lines that only root can write.

use std::collections::BTreeMap;
use std::time::Duration;

use tessera_ticket::{AccountName, Mode, PathMap, ProxyAccount};

/// The most bytes of the policy file.
pub const POLICY_MAX: usize = 64 * 1024;
/// The most names in a list.
const NAMES_MAX: usize = 1_024;
/// The longest time that what a login shell said may be kept.
const LOGIN_KEPT_MAX: Duration = Duration::from_secs(3_600);
/// The longest name of a service of PAM.
const SERVICE_MAX: usize = 64;
/// What is written when there is no policy yet.
pub const DEFAULT_POLICY: &str = "\
# Who jobs may run as on this host. Only root can change this file; the farm can't.
# modes: proxy (the proxy account), user (the user the job belongs to), or both.
modes = proxy, user
# With {slot} in it, such as tessera-job{slot}, each running instance has an account of its own: tessera-job1 and so on.
# Such accounts are for nothing else: what they leave in processes, /tmp and shared memory is removed after each instance.
proxy_account = tessera-job
# The least uid of a user in mode user.
uid_min = 1000
# deny beats allow; an empty allow list allows everybody who is not denied.
allow_users =
deny_users =
allow_groups =
deny_groups = root, sudo, wheel, admin, docker, lxd, disk, shadow, kmem, libvirt, systemd-journal
# What happens to a user in a denied group: strip (runs without that group) or refuse. Group root always refuses.
group_policy = strip
no_new_privs = yes
# yes: before anything of an instance runs, the user's login shell is asked for its environment, as the user, in at most 8 seconds.
# Accounts that nobody can log in to have none.
login_environment = no
# For how long what the shell said holds for the same user's next instances; 0: each instance asks anew.
login_environment_cache_seconds = 60
# The name of a service below /etc/pam.d, such as tessera: each instance gets a PAM session of it, held by a process of root's
# until the instance is gone. Empty: none.
pam_service =
path = /usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games
# Where instances have their private TMPDIR; a directory that only root can write. Empty: `tmp` in the state directory.
tmp_dir =
# Paths of jobs that ask for it (flag convert_path) as they are called here, the first that matches counts; as many lines as
# are needed, such as
#   path_map = P:\\show => /mnt/show
# The daemons' accounts.
worker_account = tessera
shepherd_account = tessera-shepherd
supervisor_account = tessera-supervisor
";

/// What to do with a user in a denied group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupPolicy {
    /// The account is refused.
    Refuse,
    /// The account runs without the group.
    Strip,
}

/// The policy, read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The execution modes that are allowed.
    pub modes: Vec<Mode>,
    /// The account of mode *proxy*, or the pattern of those of slots.
    pub proxy_account: Option<ProxyAccount>,
    /// The least uid of a user.
    pub uid_min: u32,
    /// Users that are allowed; empty with `allow_groups`: all.
    pub allow_users: Vec<String>,
    /// Users that are not.
    pub deny_users: Vec<String>,
    /// Groups whose members are allowed.
    pub allow_groups: Vec<String>,
    /// Groups that nobody runs with.
    pub deny_groups: Vec<String>,
    /// What becomes of a user in such a group.
    pub group_policy: GroupPolicy,
    /// Whether jobs give up new privileges.
    pub no_new_privs: bool,
    /// Whether jobs get the environment of their user's login shell.
    pub login_environment: bool,
    /// For how long what a login shell said is kept.
    pub login_kept_for: Duration,
    /// The service of PAM whose session instances have; empty for none.
    pub pam_service: String,
    /// The `PATH` that jobs begin with.
    pub path: String,
    /// Where private directories are made; `None` for the state directory.
    pub tmp_dir: Option<String>,
    /// How paths of other systems are called here.
    pub paths: PathMap,
    /// The worker's account.
    pub worker_account: AccountName,
    /// The shepherds' account.
    pub shepherd_account: AccountName,
    /// The supervisor's account.
    pub supervisor_account: AccountName,
}

impl Policy {
    /// Reads the file's text. Keys that are not there have the values of [`DEFAULT_POLICY`]; unknown ones are errors.
    ///
    /// # Errors
    /// A sentence that names the line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mut values, _) = read_lines(DEFAULT_POLICY)?;
        let known: Vec<String> = values.keys().cloned().collect();
        let (given, paths) = read_lines(text)?;
        for (key, (line, value)) in given {
            if !known.contains(&key) {
                return Err(format!(
                    "line {line}: unknown key `{key}`; known: {} {PATH_MAP}",
                    known.join(" ")
                ));
            }
            values.insert(key, (line, value));
        }
        Fields(values).policy(paths)
    }

    /// Says whether the policy allows an execution mode.
    pub fn allows(&self, mode: Mode) -> bool {
        self.modes.contains(&mode)
    }
}

/// The one key that may stand in several lines.
const PATH_MAP: &str = "path_map";

type Values = BTreeMap<String, (usize, String)>;

fn read_lines(text: &str) -> Result<(Values, PathMap), String> {
    let (mut values, mut paths) = (Values::new(), Vec::new());
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line
            .split_once('=')
            .ok_or(format!("line {number}: there is no `key = value`"))?;
        let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
        if key == PATH_MAP {
            let pair = PathMap::parse_line(&value);
            paths.push(pair.map_err(|e| format!("line {number}: `{PATH_MAP}`: {e}"))?);
            continue;
        }
        if values.insert(key.clone(), (number, value)).is_some() {
            return Err(format!("line {number}: `{key}` is there twice"));
        }
    }
    let paths = PathMap::new(paths).map_err(|e| format!("`{PATH_MAP}`: {e}"))?;
    Ok((values, paths))
}

struct Fields(Values);

impl Fields {
    fn policy(&self, paths: PathMap) -> Result<Policy, String> {
        let proxy = self.get("proxy_account").1;
        Ok(Policy {
            modes: self.modes()?,
            proxy_account: if proxy.is_empty() {
                None
            } else {
                Some(self.proxy_account()?)
            },
            uid_min: self.parse("uid_min", "a number")?,
            allow_users: self.names("allow_users")?,
            deny_users: self.names("deny_users")?,
            allow_groups: self.names("allow_groups")?,
            deny_groups: self.names("deny_groups")?,
            group_policy: self.choice(
                "group_policy",
                [
                    ("refuse", GroupPolicy::Refuse),
                    ("strip", GroupPolicy::Strip),
                ],
            )?,
            no_new_privs: self.choice("no_new_privs", [("yes", true), ("no", false)])?,
            login_environment: self.choice("login_environment", [("yes", true), ("no", false)])?,
            login_kept_for: self.login_kept_for()?,
            pam_service: self.pam_service()?,
            path: self.path()?,
            tmp_dir: self.tmp_dir()?,
            paths,
            worker_account: self.account("worker_account")?,
            shepherd_account: self.account("shepherd_account")?,
            supervisor_account: self.account("supervisor_account")?,
        })
    }

    fn get(&self, key: &str) -> (usize, &str) {
        self.0
            .get(key)
            .map_or((0, ""), |(line, value)| (*line, value))
    }

    fn parse<T: std::str::FromStr>(&self, key: &str, what: &str) -> Result<T, String> {
        let (line, value) = self.get(key);
        value
            .parse()
            .map_err(|_| format!("line {line}: `{key}` is not {what}: `{value}`"))
    }

    fn account(&self, key: &str) -> Result<AccountName, String> {
        self.parse(key, "the name of an account")
    }

    fn proxy_account(&self) -> Result<ProxyAccount, String> {
        self.parse(
            "proxy_account",
            "the name of an account, with {slot} once at most",
        )
    }

    fn login_kept_for(&self) -> Result<Duration, String> {
        let key = "login_environment_cache_seconds";
        let seconds: u64 = self.parse(key, "a number of seconds")?;
        let (line, _) = self.get(key);
        let time = Duration::from_secs(seconds);
        let is_good = time <= LOGIN_KEPT_MAX;
        let most = LOGIN_KEPT_MAX.as_secs();
        is_good
            .then_some(time)
            .ok_or(format!("line {line}: `{key}` is more than {most}"))
    }

    fn pam_service(&self) -> Result<String, String> {
        let (line, value) = self.get("pam_service");
        let is_good =
            |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'_');
        if value.len() <= SERVICE_MAX && value.bytes().all(is_good) {
            Ok(value.to_owned())
        } else {
            Err(format!(
                "line {line}: `pam_service` is not the name of a service (small letters, digits, - and _, at most {SERVICE_MAX})"
            ))
        }
    }

    fn tmp_dir(&self) -> Result<Option<String>, String> {
        let (line, value) = self.get("tmp_dir");
        match value {
            "" => Ok(None),
            path if path.starts_with('/') && !path.contains('\0') => Ok(Some(path.to_owned())),
            _ => Err(format!("line {line}: `tmp_dir` is not an absolute path")),
        }
    }

    fn names(&self, key: &str) -> Result<Vec<String>, String> {
        let (line, value) = self.get(key);
        let list = value.split(',').map(str::trim).filter(|it| !it.is_empty());
        let list: Vec<String> = list.map(str::to_owned).collect();
        if list.len() > NAMES_MAX {
            return Err(format!(
                "line {line}: `{key}` has more than {NAMES_MAX} names"
            ));
        }
        Ok(list)
    }

    fn modes(&self) -> Result<Vec<Mode>, String> {
        let (line, _) = self.get("modes");
        let one = |name: &String| match name.as_str() {
            "proxy" => Ok(Mode::Proxy),
            "user" => Ok(Mode::User),
            _ => Err(format!(
                "line {line}: mode `{name}` is neither proxy nor user"
            )),
        };
        self.names("modes")?.iter().map(one).collect()
    }

    fn choice<T: Copy>(&self, key: &str, of: [(&str, T); 2]) -> Result<T, String> {
        let (line, value) = self.get(key);
        let hit = of.iter().find(|(name, _)| *name == value);
        hit.map(|(_, it)| *it).ok_or(format!(
            "line {line}: `{key}` is neither {} nor {}",
            of[0].0, of[1].0
        ))
    }

    fn path(&self) -> Result<String, String> {
        let (line, value) = self.get("path");
        if value.split(':').all(|it| it.starts_with('/')) && !value.contains('\0') {
            Ok(value.to_owned())
        } else {
            Err(format!(
                "line {line}: `path` holds something that is not absolute"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_policy_reads() {
        let policy = Policy::parse("").unwrap();
        assert_eq!(policy.modes, [Mode::Proxy, Mode::User]);
        assert_eq!(policy.uid_min, 1000);
        assert!(policy.deny_groups.contains(&"docker".to_owned()));
        assert_eq!(policy.group_policy, GroupPolicy::Strip);
        assert!(policy.no_new_privs && policy.allow_users.is_empty());
    }

    #[test]
    fn errors_name_the_line() {
        for (text, part) in [
            ("modes = proxy\nuid_mn = 5", "line 2: unknown key `uid_mn`"),
            ("modes = all", "line 1: mode `all`"),
            ("uid_min = -1", "line 1: `uid_min` is not a number"),
            (
                "uid_min = 1\nuid_min = 2",
                "line 2: `uid_min` is there twice",
            ),
            (
                "proxy_account = 0",
                "line 1: `proxy_account` is not the name",
            ),
            (
                "proxy_account = job{slot}{slot}",
                "line 1: `proxy_account` is not the name",
            ),
            (
                "proxy_account = job1{slot}",
                "line 1: `proxy_account` is not the name",
            ),
            (
                "proxy_account = {slot}",
                "line 1: `proxy_account` is not the name",
            ),
            ("tmp_dir = tmp", "line 1: `tmp_dir`"),
            (
                "login_environment_cache_seconds = 3601",
                "line 1: `login_environment_cache_seconds` is more than 3600",
            ),
            ("pam_service = ../x", "line 1: `pam_service` is not"),
            ("pam_service = su.d", "line 1: `pam_service` is not"),
            (
                "path_map = P: => /p\npath_map = show => /s",
                "line 2: `path_map`: `show` is not an absolute path",
            ),
            (
                "path_map = /a",
                "line 1: `path_map`: `/a` is not `FROM => TO`",
            ),
            ("path = bin", "line 1: `path`"),
            ("\n\nnonsense", "line 3: there is no"),
            ("no_new_privs = maybe", "line 1: `no_new_privs` is neither"),
        ] {
            let error = Policy::parse(text).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn paths_are_kept_in_order_and_may_hold_blanks() {
        let policy =
            Policy::parse("path_map = P:\\my show => /mnt/my show\nuid_min=5\npath_map=P:=>/mnt/p");
        let paths = policy.unwrap().paths;
        let pairs: Vec<_> = paths.pairs().collect();
        assert_eq!(pairs, [("P:\\my show", "/mnt/my show"), ("P:", "/mnt/p")]);
        assert!(Policy::parse("").unwrap().paths.is_empty());
    }

    #[test]
    fn lists_are_split_and_may_be_empty() {
        let policy = Policy::parse("deny_users = eve , mallory,\nmodes = proxy\n").unwrap();
        assert_eq!(policy.deny_users, ["eve", "mallory"]);
        assert!(!policy.allows(Mode::User) && !policy.allows(Mode::Desktop));
    }
}
