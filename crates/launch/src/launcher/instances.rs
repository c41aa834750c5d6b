//! The instances of this host: which shepherds live, and the clearing away of what one left.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use tessera_ticket::{AccountName, LaunchKey, Refusal};

use super::tidy::{read_record, slot_of_record};
use tessera_identity::account::Found;
use tessera_identity::look_up::find_now;
use tessera_identity::slots::Whose;
use tessera_pam::record;
use tessera_sys::limits::Trees;
use tessera_sys::{Sys, file, process};
use tessera_sys::{cgroup, procs};

/// The most run records read at the start.
const RECORDS_MAX: usize = 65_536;
/// The first and the longest pause between two looks at an instance that is being cleared away.
const PAUSE: (Duration, Duration) = (Duration::from_millis(2), Duration::from_secs(1));

/// All of them.
#[derive(Debug)]
pub(super) struct Instances {
    groups: Option<OwnedFd>,
    trees: Trees,
    run_dir: OwnedFd,
    farm: String,
    /// Shepherds that live, by a handle that is readable when they end.
    live: BTreeMap<LaunchKey, OwnedFd>,
    clearing: BTreeMap<LaunchKey, Clearing>,
    /// Accounts that are one launch's alone, until everything of it is cleared away.
    slots: BTreeMap<LaunchKey, Slot>,
}

/// The account of a slot.
#[derive(Debug)]
struct Slot {
    /// Uid and gid.
    user: (u32, u32),
    /// Whether it is known that the account still has these.
    is_known: bool,
}

/// An instance being cleared away, and who waits to hear that it is gone.
#[derive(Debug)]
struct Clearing {
    look_at: Instant,
    pause: Duration,
    waiting: Vec<(u64, u32)>,
    was_here: bool,
    /// When what holds the PAM session is ended, since nothing else is left.
    holder_until: Option<Instant>,
}

impl Clearing {
    fn now() -> Self {
        Self {
            look_at: Instant::now(),
            pause: PAUSE.0,
            waiting: Vec::new(),
            was_here: true,
            holder_until: None,
        }
    }
}

/// A launch of which nothing is alive any more.
#[derive(Debug)]
pub(super) struct Gone {
    pub(super) key: LaunchKey,
    /// Whether anything of it was known before somebody asked.
    pub(super) was_here: bool,
    /// Who waits to hear it.
    pub(super) waiting: Vec<(u64, u32)>,
}

impl Instances {
    /// Takes up the shepherds that a former launcher left, and begins to clear up behind those that have ended; returns the
    /// accounts of slots that they have as well.
    pub(super) fn find(
        groups: Option<OwnedFd>,
        trees: Trees,
        run_dir: &OwnedFd,
        farm: &str,
    ) -> Sys<(Self, Vec<(LaunchKey, AccountName)>)> {
        let names = file::names(run_dir.as_fd(), RECORDS_MAX)?;
        let (mut live, mut clearing) = (BTreeMap::new(), BTreeMap::new());
        let boot = procs::boot_id();
        let (mut slots, mut accounts) = (BTreeMap::new(), Vec::new());
        // The record of a PAM session may stand there alone: its chain ended before it had written one of its own.
        let keys = names.iter().map(|it| record::launch_of(it).parse());
        let keys: BTreeSet<LaunchKey> = keys.filter_map(Result::ok).collect();
        for key in keys {
            let record = read_record(run_dir.as_fd(), key).unwrap_or_default();
            if let Some((user, account)) = slot_of_record(&record, &boot) {
                let whose = Whose::of(user, &find_now(&account));
                if whose != Whose::Others {
                    // Nobody's until that can be asked: nothing is cleared up there, and the record is kept.
                    let is_known = whose == Whose::Launchs;
                    slots.insert(key, Slot { user, is_known });
                    accounts.push((key, account));
                }
            }
            match adopt(&record) {
                Some(handle) => {
                    live.insert(key, handle);
                }
                None => {
                    clearing.insert(key, Clearing::now());
                }
            }
        }
        let run_dir = file::open_dir(run_dir.as_fd(), c".")?;
        let farm = farm.to_owned();
        let all = Self {
            groups,
            run_dir,
            farm,
            live,
            clearing,
            slots,
            trees,
        };
        all.trees.sweep(|key| all.has(key));
        Ok((all, accounts))
    }

    /// Notes that the account of this launch is a slot's.
    pub(super) fn add_slot(&mut self, key: LaunchKey, user: (u32, u32)) {
        let is_known = true;
        self.slots.insert(key, Slot { user, is_known });
    }

    /// Returns uid and gid of a launch's account if it is a slot's.
    pub(super) fn slot_user(&self, key: LaunchKey) -> Option<(u32, u32)> {
        let slot = self.slots.get(&key).filter(|it| it.is_known);
        slot.map(|it| it.user)
    }

    /// Returns the launches of which it is not known whose their accounts are.
    pub(super) fn unasked(&self) -> Vec<LaunchKey> {
        let unasked = self.slots.iter().filter(|(_, it)| !it.is_known);
        unasked.map(|(key, _)| *key).collect()
    }

    /// Takes what the user directory says of a launch's account; if that is still the launch's, what is left there is cleared up.
    pub(super) fn on_asked(&mut self, key: LaunchKey, found: &Result<Found, Refusal>) -> Whose {
        let Some(slot) = self.slots.get_mut(&key) else {
            return Whose::Unknown;
        };
        let whose = Whose::of(slot.user, found);
        match whose {
            Whose::Launchs => {
                slot.is_known = true;
                if !self.has(key) {
                    self.clear(key, None);
                }
            }
            Whose::Others => self.forget_slot(key),
            Whose::Unknown => {}
        }
        whose
    }

    /// Forgets a launch whose slot is free again.
    pub(super) fn forget_slot(&mut self, key: LaunchKey) {
        if self.slots.remove(&key).is_some() && !self.has(key) {
            forget(self.run_dir.as_fd(), key);
        }
    }

    /// Returns the word that capabilities use.
    pub(super) fn word(&self) -> &'static str {
        if self.groups.is_some() {
            "cgroup"
        } else {
            "session"
        }
    }

    /// Returns what instances are kept to, and where.
    pub(super) fn trees(&self) -> &Trees {
        &self.trees
    }

    /// Returns where groups are made.
    pub(super) fn groups(&self) -> Option<BorrowedFd<'_>> {
        self.groups.as_ref().map(OwnedFd::as_fd)
    }

    /// Returns the handles of the shepherds that live.
    pub(super) fn handles(&self) -> impl Iterator<Item = (LaunchKey, BorrowedFd<'_>)> {
        self.live.iter().map(|(key, handle)| (*key, handle.as_fd()))
    }

    /// Says whether anything of this launch is known.
    pub(super) fn has(&self, key: LaunchKey) -> bool {
        self.live.contains_key(&key) || self.clearing.contains_key(&key)
    }

    /// Takes up a shepherd that was just started.
    pub(super) fn add(&mut self, key: LaunchKey, handle: OwnedFd) {
        self.live.insert(key, handle);
    }

    /// Begins to clear a launch away: its shepherd first, then all that is in its group.
    pub(super) fn clear(&mut self, key: LaunchKey, waiting: Option<(u64, u32)>) {
        if let Some(handle) = self.live.get(&key) {
            let _ = process::pidfd_kill(handle.as_fd(), libc::SIGKILL);
        }
        let is_known = waiting.is_none() || self.live.contains_key(&key);
        let it = self.clearing.entry(key).or_insert_with(|| Clearing {
            was_here: is_known,
            ..Clearing::now()
        });
        it.look_at = Instant::now();
        it.waiting.extend(waiting);
    }

    /// Forgets the handle of a shepherd that has ended and clears up behind it.
    pub(super) fn on_ended(&mut self, key: LaunchKey) {
        self.live.remove(&key);
        self.clear(key, None);
    }

    /// Looks for groups that have no shepherd.
    pub(super) fn sweep_orphans(&mut self, starting: &[LaunchKey]) {
        let Some(groups) = &self.groups else { return };
        for key in cgroup::launches(groups.as_fd()) {
            if !self.has(key) && !starting.contains(&key) {
                self.clear(key, None);
            }
        }
    }

    /// Returns when the next look is due.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.clearing.values().map(|it| it.look_at).min()
    }

    /// Puts off the looks that are due, because nothing can be answered now.
    pub(super) fn postpone(&mut self, now: Instant) {
        for it in self.clearing.values_mut() {
            it.look_at = it.look_at.max(now + PAUSE.1);
        }
    }

    /// Looks at what is being cleared away; returns what is gone, with those who wait for it. Of a launch that is being
    /// cleared up behind nothing was alive before that began, and what runs as its slot's account now is the launcher's own.
    pub(super) fn look(
        &mut self,
        now: Instant,
        is_tidied: impl Fn(LaunchKey) -> bool,
    ) -> Vec<Gone> {
        let due: Vec<LaunchKey> = self
            .clearing
            .iter()
            .filter(|(_, it)| it.look_at <= now)
            .map(|(key, _)| *key)
            .collect();
        let mut gone = Vec::new();
        for key in due {
            // A shepherd that was killed is still there until its handle says otherwise.
            let is_gone =
                !self.live.contains_key(&key) && self.destroy(key, is_tidied(key)).unwrap_or(false);
            if is_gone {
                // What remembers a slot's account goes when that is free again.
                if !self.slots.contains_key(&key) {
                    forget(self.run_dir.as_fd(), key);
                }
                if let Some(it) = self.clearing.remove(&key) {
                    let (was_here, waiting) = (it.was_here, it.waiting);
                    gone.push(Gone {
                        key,
                        was_here,
                        waiting,
                    });
                }
            } else if let Some(it) = self.clearing.get_mut(&key) {
                look_at_holder(self.groups.as_ref(), key, it, now);
                it.look_at = now + it.pause;
                it.pause = (it.pause * 2).min(PAUSE.1);
            }
        }
        gone
    }

    /// Kills what is left of a launch; says whether nothing is.
    fn destroy(&self, key: LaunchKey, is_tidied: bool) -> Sys<bool> {
        let is_gone = self.destroy_group(key)?;
        if is_tidied {
            return Ok(is_gone);
        }
        // An account of a slot is nobody else's, so whatever runs as it is this launch's: started by cron, say.
        let uid = self.slot_user(key).map(|(uid, _)| uid);
        let left = uid.map_or(0, procs::kill_all_of);
        Ok(is_gone && left == 0)
    }

    fn destroy_group(&self, key: LaunchKey) -> Sys<bool> {
        match &self.groups {
            Some(groups) => {
                let is_gone = cgroup::destroy_instance(groups.as_fd(), key)?;
                Ok(is_gone && self.trees.destroy(key)?)
            }
            None => {
                let left = procs::marked(&self.farm, key);
                for &pid in &left {
                    let _ = process::kill(pid, libc::SIGKILL);
                }
                Ok(left.is_empty())
            }
        }
    }
}

/// Opens a handle to the shepherd that a record names, if it is still the same process.
fn adopt(record: &str) -> Option<OwnedFd> {
    let pid: i32 = record.split_whitespace().next()?.parse().ok()?;
    let handle = process::pidfd(pid).ok()?;
    // Compared after the handle was opened: now the number can't pass to somebody else unnoticed.
    procs::of_record(record).map(|_| handle)
}

/// Ends what holds the PAM session of a launch when it has had its time to close that.
fn look_at_holder(groups: Option<&OwnedFd>, key: LaunchKey, it: &mut Clearing, now: Instant) {
    let group = groups.and_then(|it| cgroup::open_instance(it.as_fd(), key).ok());
    let Some(group) = group.filter(|it| cgroup::is_only_holder(it.as_fd())) else {
        return;
    };
    if now >= *it.holder_until.get_or_insert(now + tessera_pam::CLOSE_TIME) {
        cgroup::kill_holder(group.as_fd());
    }
}

fn forget(run_dir: BorrowedFd<'_>, key: LaunchKey) {
    if let Ok(name) = file::c_string(&key.to_string()) {
        let _ = file::remove_file(run_dir, &name);
    }
}
