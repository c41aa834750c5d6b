//! What an instance begins with besides its template: variables, what its user's login shell says or said, a PAM session.

use std::ffi::CString;
use std::os::fd::AsFd as _;

use tessera_identity::account::{self, Account};
use tessera_shepherd::{LoginWish, login};
use tessera_sys::{Sys, file};

use super::Launcher;
use super::config::Stamp;
use super::requests::Starting;

/// What the words of a login shell hold for: the account as it was judged, and the files of the policy.
pub(super) type Said = (Account, Stamp);

fn said_of(account: &Account, policy: Stamp) -> Said {
    (account.clone(), policy)
}

impl Launcher {
    /// Says where an instance's login environment comes from. Without room for what is kept the shell is asked.
    pub(super) fn login_wish(&mut self, account: &Account) -> LoginWish {
        let Ok(rules) = &self.config.rules else {
            return LoginWish::None;
        };
        if !(rules.policy.login_environment && account.has_login_shell()) {
            return LoginWish::None;
        }
        let time = rules.policy.login_kept_for;
        let key = said_of(account, self.config.stamp);
        let kept = self.environments.get(&key, time);
        let memory = |bytes| file::memory_file(c"environment", bytes).ok();
        match kept.and_then(memory) {
            Some(kept) => LoginWish::Kept(kept),
            None => LoginWish::Ask(memory(&[]).filter(|_| !time.is_zero())),
        }
    }

    /// Keeps what the login shell of an instance that has begun well said.
    pub(super) fn keep_login(&mut self, it: &Starting) {
        if let LoginWish::Ask(Some(memory)) = &it.login {
            let said = file::read_memory_file(memory.as_fd(), login::BYTES_MAX);
            let key = said_of(&it.account, it.policy);
            self.environments.put(key, said.unwrap_or_default());
        }
    }

    /// Returns the variables that an instance starts from.
    pub(super) fn environment(&self, account: &Account, path: &str, tmp: &str) -> Vec<CString> {
        let mut env = account::base_env(account, path, Some(tmp));
        env.extend(file::c_string(&format!(
            "TESSERA_FARM={}",
            self.config.farm_text
        )));
        env
    }

    /// Makes durable what a PAM session gave, before anything of the job runs.
    pub(super) fn audit_session(&mut self, at: usize, words: &str) -> Sys<()> {
        if words.is_empty() {
            return Ok(());
        }
        let key = self.starting[at].key.to_string();
        self.say_happens("pam_session", &[("launch", &key), ("session", words)]);
        self.flush_audit()
    }
}
