//! What the launcher is judged by: files that only root can write, below the launcher's directory.

use std::ffi::CStr;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use tessera_ticket::{
    AccountName, Mode, Refusal, VerifyingKey, parse_dispatch_keys, parse_id, sha256_of,
};

use tessera_identity::account::{Account, Found, judge};
use tessera_identity::look_up::find_now;
use tessera_identity::paths::{open_trusted_dir, read_trusted};
use tessera_identity::policy::{POLICY_MAX, Policy};
use tessera_identity::session::{self, Wanted};
use tessera_identity::tmpdir::Parent;
use tessera_sys::ids::Identity;
use tessera_sys::{Errno, Sys, file};

const SMALL: usize = 4_096;
const POLICY: &CStr = c"policy";
const KEYS: &CStr = c"dispatch.pub";

/// The launcher's directory and what stands in it.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) state: PathBuf,
    pub(crate) dir: OwnedFd,
    pub(crate) farm: [u8; 16],
    pub(crate) host: [u8; 16],
    pub(crate) farm_text: String,
    pub(crate) host_text: String,
    /// Who may connect; the last that a good policy named.
    pub(crate) worker_uid: u32,
    /// Read anew when the files change.
    pub(crate) rules: Result<Rules, Refusal>,
    pub(super) stamp: Stamp,
}

/// The part that may change while the launcher runs.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) policy: Policy,
    pub(crate) keys: Vec<VerifyingKey>,
    pub(crate) worker_uid: u32,
    pub(crate) shepherd: Identity,
    /// The uids that no job may have.
    pub(crate) daemons: Vec<u32>,
    /// What the directory said of the proxy account when the policy was read.
    pub(crate) proxy: Result<Found, Refusal>,
    /// Where instances have their private directories.
    pub(crate) tmp: Rc<Parent>,
    /// Digests of the files that all of this was read from: policy and keys.
    pub(super) files: [String; 2],
}

/// Inode, size and time of the files that may change.
pub(super) type Stamp = [(u64, i64, i64, i64); 2];

impl Config {
    /// Reads everything below `state`, refusing what others than root could have written.
    ///
    /// # Errors
    /// A sentence that names the file or the component of its path.
    pub(crate) fn load(state: &Path) -> Result<Self, String> {
        let (real, dir) = open_trusted_dir(&state.join("launcher"))?;
        let (farm_text, farm) = id(&dir, c"farm_id")?;
        let (host_text, host) = id(&dir, c"host_id")?;
        let stamp = stamp(&dir);
        let state = real.parent().unwrap_or(state).to_owned();
        let rules = Rules::read(&dir, &state, &farm_text, &host_text)?;
        let worker_uid = rules.worker_uid;
        Ok(Self {
            state,
            dir,
            farm,
            host,
            farm_text,
            host_text,
            worker_uid,
            rules: Ok(rules),
            stamp,
        })
    }

    /// Returns the path of the launcher's directory by its descriptor: nothing that is renamed leads elsewhere.
    pub(crate) fn dir_path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.dir.as_raw_fd()).into()
    }

    /// Reads policy and keys again if they have changed; trouble is kept and refuses every start until it is mended.
    pub(crate) fn refresh(&mut self) -> bool {
        let now = stamp(&self.dir);
        if now == self.stamp {
            return false;
        }
        self.stamp = now;
        let rules = Rules::read(&self.dir, &self.state, &self.farm_text, &self.host_text);
        self.rules = rules.map_err(|reason| Refusal::PolicyInvalid { reason });
        if let Ok(rules) = &self.rules {
            self.worker_uid = rules.worker_uid;
        }
        true
    }
}

impl Rules {
    fn read(dir: &OwnedFd, state: &Path, farm: &str, host: &str) -> Result<Self, String> {
        let text = read_trusted(dir.as_fd(), POLICY, POLICY_MAX)?
            .ok_or("policy: is not there; `tessera-launch supervise` writes one")?;
        let policy = Policy::parse(&text).map_err(|what| format!("policy: {what}"))?;
        let (keys, keys_text) = keys(dir)?;
        let files = [text, keys_text].map(|it| sha256_of(&it));
        let find = |name: &tessera_ticket::AccountName| {
            find_now(name).map_err(|e| format!("account {name}: {}", e.code()))
        };
        let worker = find(&policy.worker_account)?;
        let shepherd = find(&policy.shepherd_account)?;
        let mut daemons = vec![worker.uid, shepherd.uid];
        // On a host that is only a worker the supervisor's account does not exist.
        daemons.extend(find(&policy.supervisor_account).map(|it| it.uid));
        if worker.uid == 0 || shepherd.uid == 0 || shepherd.gid == 0 || worker.uid == shepherd.uid {
            return Err("policy: worker and shepherd need accounts of their own, not root".into());
        }
        let identity = Identity {
            uid: shepherd.uid,
            gid: shepherd.gid,
            groups: vec![shepherd.gid],
        };
        let proxy = policy
            .proxy_account
            .as_ref()
            .and_then(|it| it.of_slot(1))
            .map_or(Err(Refusal::NoSuchAccount), |it| find_now(&it));
        let tmp = policy.tmp_dir.as_ref().map(PathBuf::from);
        let tmp = Parent::open(&tmp.unwrap_or_else(|| state.join("tmp")), farm, host)
            .map_err(|what| format!("private directories (tmp_dir): {what}"))?;
        Ok(Self {
            policy,
            keys,
            worker_uid: worker.uid,
            shepherd: identity,
            daemons,
            proxy,
            tmp: Rc::new(tmp),
            files,
        })
    }
}

impl Rules {
    /// Says what becomes of an account, without starting anything: in mode *proxy* if it is the proxy account, else in mode
    /// *user*.
    pub(crate) fn verdict(&self, name: &str, wall_ms: u64) -> Result<Account, Refusal> {
        let name: AccountName = name.parse().map_err(|_| Refusal::NameInvalid)?;
        let proxy = self.policy.proxy_account.as_ref();
        let is_proxy = proxy.is_some_and(|it| it.is(&name));
        let mode = if is_proxy { Mode::Proxy } else { Mode::User };
        if !self.policy.allows(mode) {
            return Err(Refusal::ModeNotAllowed { mode: mode.name() });
        }
        let found = find_now(&name)?;
        let account = judge(&found, &name, mode, &self.policy, &self.daemons, wall_ms)?;
        let wanted = Wanted {
            account: &account,
            policy: &self.policy,
        };
        if !self.policy.pam_service.is_empty() {
            let program = file::open(c"/proc/self/exe", libc::O_RDONLY);
            let failed = |e: Errno| Refusal::PamFailed {
                reason: format!("this program can't be opened: {e}"),
            };
            session::check(&wanted, &program.map_err(failed)?)?;
        }
        Ok(account)
    }
}

fn stamp(dir: &OwnedFd) -> Stamp {
    [POLICY, KEYS].map(|name| {
        let found: Sys<libc::stat> = file::stat_at(dir.as_fd(), name);
        found.map_or((0, 0, 0, 0), |it| {
            (it.st_ino, it.st_size, it.st_mtime, it.st_mtime_nsec)
        })
    })
}

fn id(dir: &OwnedFd, name: &CStr) -> Result<(String, [u8; 16]), String> {
    let shown = name.to_string_lossy();
    let text = read_trusted(dir.as_fd(), name, SMALL)?.ok_or(format!(
        "{shown}: is not there; join this host to a farm first"
    ))?;
    parse_id(&text).ok_or(format!("{shown}: is not an id of 32 hexadecimal digits"))
}

fn keys(dir: &OwnedFd) -> Result<(Vec<VerifyingKey>, String), String> {
    let text = read_trusted(dir.as_fd(), KEYS, SMALL)?
        .ok_or("dispatch.pub: is not there; join this host to a farm first")?;
    let keys = parse_dispatch_keys(&text)
        .ok_or("dispatch.pub: holds no list of keys, each a line of 64 hexadecimal digits")?;
    Ok((keys, text))
}
