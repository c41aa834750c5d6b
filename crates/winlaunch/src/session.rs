//! One logon, from the account's name to everything that its programs need, and all the way back.
//!
//! **Invariant:** each step that fails takes back what was done before it, in reverse, and no program is started.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tessera_keeper::Refused;
use tessera_ticket::{Mode, Refusal, Step};
use tessera_windows::Sid;
use tessera_windows::logon::Password;

use crate::judge::{judge, never, refusal_of};
use crate::name::Name;
use crate::os::Os;
use crate::policy::{Drive, Logon, Policy};

/// What a logon is for.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// Whom to become.
    pub name: Name,
    /// In which mode.
    pub mode: Mode,
    /// The worker's handle of a token, 0 for none.
    pub token: u64,
    /// The private directory to make.
    pub private: PathBuf,
    /// What the window station is called.
    pub station: String,
    /// The rules.
    pub policy: &'a Policy,
}

/// A logon with all that belongs to it.
pub struct Session<O: Os> {
    os: Arc<O>,
    name: Name,
    slot_account: bool,
    token: Option<O::Token>,
    profile: Option<O::Profile>,
    variables: Vec<(String, String)>,
    station: Option<O::Station>,
    drives: Vec<Drive>,
    private: Option<PathBuf>,
}

/// What programs of a logon need.
pub struct Parts<'a, O: Os> {
    /// Whose they are.
    pub token: &'a O::Token,
    /// Where their windows are.
    pub station: &'a O::Station,
    /// What they start from.
    pub variables: &'a [(String, String)],
}

/// Answers how an account is logged on: the first way of the policy for which there is something. What is chosen and fails is a
/// refusal; no second one is tried.
///
/// # Errors
/// When there is no way.
pub fn way_of(policy: &Policy, mode: Mode, has_token: bool) -> Result<Logon, Refusal> {
    let ways = match mode {
        Mode::Proxy => std::slice::from_ref(&policy.proxy_logon),
        Mode::User => policy.user_logon.as_slice(),
        Mode::Desktop => &[],
    };
    let is_there = |way: &&Logon| match way {
        Logon::Password => has_token,
        Logon::Dynamic | Logon::Managed | Logon::S4u => true,
    };
    let found = ways.iter().find(is_there).copied();
    found.ok_or(Refusal::PasswordMissing)
}

impl<O: Os> Session<O> {
    /// Logs on and makes everything ready. Only one at a time does so: `logons` is held meanwhile.
    ///
    /// # Errors
    /// Why not; then nothing is left of it but what is said there.
    pub fn begin(
        os: &Arc<O>,
        peer: &O::Peer,
        wanted: &Wanted<'_>,
        logons: &Mutex<()>,
    ) -> Result<Self, Refused> {
        let mut session = Self {
            os: Arc::clone(os),
            name: wanted.name.clone(),
            slot_account: false,
            token: None,
            profile: None,
            variables: Vec::new(),
            station: None,
            drives: Vec::new(),
            private: None,
        };
        let one = logons.lock().unwrap_or_else(PoisonError::into_inner);
        let done = session.climb(peer, wanted);
        drop(one);
        match done {
            Ok(()) => Ok(session),
            Err(refusal) => {
                let left = session.end(logons);
                Err(Refused { refusal, left })
            }
        }
    }

    fn climb(&mut self, peer: &O::Peer, wanted: &Wanted<'_>) -> Result<(), Refusal> {
        let os = Arc::clone(&self.os);
        let policy = wanted.policy;
        let failed = |step| {
            move |error: std::io::Error| Refusal::BecomingUserFailed {
                step,
                errno: error.raw_os_error().unwrap_or(0),
            }
        };
        let own = os.own().map_err(failed(Step::Logon))?;
        let way = way_of(policy, wanted.mode, wanted.token != 0)?;
        let password = match way {
            Logon::Dynamic => Some(self.renew().map_err(failed(Step::Logon))?),
            Logon::Managed | Logon::Password | Logon::S4u => None,
        };
        let sid = os.look_up(&self.name).map_err(refusal_of)?;
        // Also before anything is done with it: nobody tries a password of an administrator for us.
        never(&sid, &[], &own)?;
        let token = match (way, password) {
            (Logon::Password, _) => os
                .take_token(peer, wanted.token)
                .map_err(failed(Step::Logon))?,
            (Logon::Managed, _) => os.logon_managed(&self.name).map_err(refusal_of)?,
            (Logon::Dynamic, Some(password)) => os
                .logon_password(&self.name, &password)
                .map_err(refusal_of)?,
            (Logon::S4u | Logon::Dynamic, _) => os.logon_s4u(&self.name).map_err(refusal_of)?,
        };
        // A token that can't be looked at is as good as somebody else's.
        let who = os.who(&token).map_err(|_| Refusal::IdentityMismatch)?;
        let look_up = |name: &Name| os.look_up(name);
        judge(&who, &sid, &own, wanted.mode, policy, &look_up)?;
        let token = os.strip(token).map_err(failed(Step::Privileges))?;
        let again = os.who(&token).map_err(failed(Step::ReadBack))?;
        if again.user != sid {
            return Err(Refusal::IdentityMismatch);
        }
        self.furnish(token, &sid, wanted, failed)
    }

    /// Makes what the programs of a token need.
    fn furnish<F: Fn(std::io::Error) -> Refusal>(
        &mut self,
        token: O::Token,
        sid: &Sid,
        wanted: &Wanted<'_>,
        failed: impl Fn(Step) -> F,
    ) -> Result<(), Refusal> {
        let os = Arc::clone(&self.os);
        let token = self.token.insert(token);
        let profile = os.load_profile(token, &self.name);
        self.profile = Some(profile.map_err(failed(Step::Profile))?);
        self.variables = os.variables(token).map_err(failed(Step::Environment))?;
        let station = os.make_station(token, &wanted.station);
        self.station = Some(station.map_err(failed(Step::WindowStation))?);
        for drive in &wanted.policy.drives {
            os.map_drive(token, drive).map_err(failed(Step::Drives))?;
            self.drives.push(drive.clone());
        }
        let made = os.make_private(&wanted.private);
        made.map_err(failed(Step::PrivateDirectory))?;
        // From here on it is there to be removed, whether or not the account gets into it.
        let private = self.private.insert(wanted.private.clone());
        let admitted = os.admit(private, sid);
        admitted.map_err(failed(Step::PrivateDirectory))
    }

    /// Makes the account of a slot anew; answers the password that nobody else knows.
    fn renew(&mut self) -> std::io::Result<Password> {
        let password = Password::of_chance(self.os.chance()?);
        self.os.renew(&self.name.account, &password)?;
        self.slot_account = true;
        Ok(password)
    }

    /// Answers what programs of it need; nothing when it has ended.
    pub fn parts(&self) -> Option<Parts<'_, O>> {
        Some(Parts {
            token: self.token.as_ref()?,
            station: self.station.as_ref()?,
            variables: &self.variables,
        })
    }

    /// Answers the private directory.
    pub fn private(&self) -> Option<&PathBuf> {
        self.private.as_ref()
    }

    /// Answers whom it is of.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Takes everything back, in reverse; nothing of it may run any more. Answers what could not be, for people.
    pub fn end(&mut self, logons: &Mutex<()>) -> Vec<String> {
        let _one = logons.lock().unwrap_or_else(PoisonError::into_inner);
        let os = Arc::clone(&self.os);
        let mut problems = Vec::new();
        let mut note = |what: &str, done: std::io::Result<()>| {
            if let Err(error) = done {
                problems.push(format!("{what}: {error}"));
            }
        };
        if let Some(token) = &self.token {
            if let Some(path) = self.private.take() {
                note("private directory", os.remove_private(token, &path));
            }
            for drive in std::mem::take(&mut self.drives).iter().rev() {
                note("drive", os.unmap_drive(token, drive));
            }
            drop(self.station.take());
            if let Some(profile) = self.profile.take() {
                note("profile", os.unload_profile(token, profile));
            }
        }
        drop(self.token.take());
        if std::mem::take(&mut self.slot_account) {
            note("account", os.disable(&self.name.account));
        }
        problems
    }
}
