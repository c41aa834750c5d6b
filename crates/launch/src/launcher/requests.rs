//! What the worker asks, from the ticket's signature to the shepherd's report.

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tessera_ticket::launcher::{Capabilities, Reply, Request, START_FDS};
use tessera_ticket::{AccountName, LaunchKey, ProxyAccount, Refusal, Step, Ticket};

use super::Launcher;
use super::config::Stamp;
use super::instances::Gone;
use tessera_identity::account::{self, Account, Found};
use tessera_identity::chain::{self, REPORT_MAX, read_report, take_template};
use tessera_identity::host::{self, Asked};
use tessera_identity::look_up;
use tessera_identity::queue::Over;
use tessera_identity::session::Wanted;
use tessera_pam::record;
use tessera_shepherd::{LoginWish, Setup};
use tessera_sys::cgroup;
use tessera_sys::procs;
use tessera_sys::{Errno, Sys, file, process, say, socket, wall_ms};

/// The most starts at once.
const STARTS_MAX: usize = 256;
/// How long a shepherd may take to report.
const REPORT_TIME: Duration = Duration::from_secs(30);

/// A start that passed the checks of its ticket.
pub(super) struct Start {
    connection: u64,
    id: u32,
    ticket: Ticket,
    account: AccountName,
    template: Vec<u8>,
    listener: OwnedFd,
    orphan: Duration,
    nice: u8,
}

/// A shepherd that has not reported yet.
pub(super) struct Starting {
    pub(super) pid: i32,
    handle: OwnedFd,
    pub(super) report: OwnedFd,
    pub(super) deadline: Instant,
    pub(super) key: LaunchKey,
    connection: u64,
    id: u32,
    pub(super) account: Account,
    /// Under which files of the policy it was started.
    pub(super) policy: Stamp,
    /// Where its login shell's words are kept, if they are to be.
    pub(super) login: LoginWish,
}

impl Launcher {
    pub(super) fn answer(&mut self, connection: u64, request: Request, fds: Vec<OwnedFd>) {
        if self.config.refresh() {
            self.audit_policy();
        }
        match request {
            Request::Start {
                id,
                ticket,
                signature,
                orphan_seconds,
                nice,
            } => {
                let orphan = Duration::from_secs(orphan_seconds.into());
                let rules = self.config.rules.as_ref().map_err(Clone::clone);
                let ticket = rules.and_then(|rules| {
                    Ticket::verify(&ticket, &signature, &rules.keys).map_err(|e| Refusal::from(&e))
                });
                let ticket = match ticket {
                    Ok(ticket) => ticket,
                    Err(refusal) => return self.refuse(connection, id, None, &refusal),
                };
                match self.check_ticket(&ticket, fds) {
                    Ok((account, template, listener)) => self.resolve(Start {
                        connection,
                        id,
                        ticket,
                        account,
                        template,
                        listener,
                        orphan,
                        nice,
                    }),
                    Err(refusal) => self.refuse(connection, id, Some(&ticket), &refusal),
                }
            }
            Request::Gone { id, key } => {
                self.say_asked("gone_asked", &[("launch", &key.to_string())]);
                // Made durable before it is answered; see `look_after_instances`.
                if let Err(refusal) = self.nonces.bar(key, wall_ms()) {
                    return self.refuse(connection, id, None, &refusal);
                }
                if let Some(at) = self.starting.iter().position(|it| it.key == key) {
                    self.abandon(at, &Refusal::Busy);
                }
                self.drop_unstarted(key);
                self.instances.clear(key, Some((connection, id)));
            }
            Request::Capabilities { id } => {
                let what = self.capabilities();
                self.reply(connection, &Reply::Capabilities { id, what });
            }
        }
    }

    // ── the ticket ──────────────────────────────────────────────────────────────────────────────────────────────

    /// Checks everything about a start that needs no look-up.
    fn check_ticket(
        &mut self,
        ticket: &Ticket,
        fds: Vec<OwnedFd>,
    ) -> Result<(AccountName, Vec<u8>, OwnedFd), Refusal> {
        let rules = self.config.rules.as_ref().map_err(Clone::clone)?;
        if ticket.farm != self.config.farm {
            return Err(Refusal::TicketNotForThisFarm);
        }
        if ticket.host != self.config.host {
            return Err(Refusal::TicketNotForThisHost);
        }
        ticket.check_times(wall_ms())?;
        self.nonces.check(ticket)?;
        let asked = host::asked(ticket, &rules.policy, self.instances.groups().is_some())?;
        if self.starting.len() + self.ready.len() + self.look_ups.waiting() >= STARTS_MAX {
            return Err(Refusal::Busy);
        }
        let (template, listener) = take_fds(ticket, fds)?;
        if self.instances.has(ticket.key) {
            return Err(Refusal::TicketSuperseded {
                last: ticket.key.launch,
            });
        }
        let account = match asked {
            Asked::Named(account) => account,
            // Last of all, so that nothing is taken for what is refused.
            Asked::Slot(of) => self
                .slots
                .take(of, ticket.key, Instant::now())
                .ok_or(Refusal::NoFreeAccount)?,
        };
        Ok((account, template, listener))
    }

    /// Refuses a start that had passed the checks of its ticket, and gives back what it had taken.
    fn refuse_start(&mut self, start: &Start, refusal: &Refusal) {
        let key = start.ticket.key;
        // What may have begun is cleared up behind first.
        let has_begun = self.instances.slot_user(key).is_some();
        if self.slots.of(key) == Some(&start.account) && !has_begun {
            self.slots.give_back(key);
        }
        self.refuse(start.connection, start.id, Some(&start.ticket), refusal);
    }

    fn refuse(&mut self, connection: u64, id: u32, ticket: Option<&Ticket>, refusal: &Refusal) {
        let what = ticket.map_or_else(
            || "an instance".to_owned(),
            |it| format!("{}.{}", it.key.job, it.key.instance),
        );
        let account = ticket.map_or("unknown", |it| it.account.as_str());
        let text = refusal.sentence(&self.host, &what, account);
        let principal = ticket.map_or("", |it| it.principal.as_str());
        let fields = [
            ("launch", what.as_str()),
            ("principal", principal),
            ("account", account),
            ("code", refusal.code()),
            ("text", &text),
        ];
        self.say_asked("refused", &fields);
        self.reply_refused(connection, id, refusal, text);
    }

    fn reply_refused(&mut self, connection: u64, id: u32, refusal: &Refusal, text: String) {
        let (code, hint) = (refusal.code().to_owned(), refusal.hint().to_owned());
        let reply = Reply::Refused {
            id,
            code,
            text,
            hint,
        };
        self.reply(connection, &reply);
    }

    // ── the account ─────────────────────────────────────────────────────────────────────────────────────────────

    fn resolve(&mut self, start: Start) {
        let now = Instant::now();
        let account = start.account.clone();
        if let Some(found) = self.look_ups.known(&account, now).cloned() {
            return self.judge(start, &found);
        }
        let Err(start) = self.look_ups.join(&account, start) else {
            return;
        };
        if self.look_ups.is_full() {
            return self.refuse_start(&start, &Refusal::Busy);
        }
        match look_up::look_up(&account) {
            Ok(it) => self
                .look_ups
                .begin(it.pid, it.answer, account, Some(start), now),
            Err(Errno(errno)) => {
                self.refuse_start(&start, &Refusal::DirectoryUnavailable { errno });
            }
        }
    }

    pub(super) fn hear_look_up(&mut self, pid: i32) {
        let mut part = [0; 4_096];
        loop {
            let Some((_, answer, _)) = self.look_ups.all().find(|it| it.0 == pid) else {
                return;
            };
            match file::read(answer, &mut part) {
                Err(Errno(libc::EAGAIN)) => return,
                Ok(len) if len > 0 && self.look_ups.hear(pid, &part[..len]) => {}
                Ok(_) | Err(_) => break,
            }
        }
        let Some(over) = self.look_ups.end(pid, Instant::now()) else {
            return;
        };
        let Over {
            account,
            waiting,
            result,
        } = over;
        self.settle_slot(&account, &result);
        for start in waiting {
            match &result {
                Ok(found) => self.judge(start, found),
                // The account of a slot beyond the last that exists, because others are just being cleared up.
                Err(Refusal::NoSuchAccount) if self.slots.is_any_free_soon(start.ticket.key) => {
                    self.refuse_start(&start, &Refusal::NoFreeAccount);
                }
                Err(refusal) => {
                    self.refuse_start(&start, refusal);
                }
            }
        }
    }

    pub(super) fn give_up_slow_look_ups(&mut self, now: Instant) {
        while let Some((pid, waiting)) = self.look_ups.give_up(now) {
            let _ = process::kill(pid, libc::SIGKILL);
            let refusal = Refusal::DirectoryUnavailable {
                errno: libc::ETIMEDOUT,
            };
            for start in waiting {
                self.refuse_start(&start, &refusal);
            }
        }
    }

    fn judge(&mut self, start: Start, found: &Found) {
        let result = self
            .config
            .rules
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|rules| {
                let mode = start.ticket.mode;
                account::judge(
                    found,
                    &start.account,
                    mode,
                    &rules.policy,
                    &rules.daemons,
                    wall_ms(),
                )
            });
        match result {
            Ok(account) => self.ready.push((start, account)),
            Err(refusal) => self.refuse_start(&start, &refusal),
        }
    }

    // ── the start ───────────────────────────────────────────────────────────────────────────────────────────────

    /// Starts what is ready: first the tickets and the intents of all of them are made durable, in one go each.
    pub(super) fn start_ready(&mut self) {
        let ready = std::mem::take(&mut self.ready);
        if ready.is_empty() {
            return;
        }
        let mut fresh = Vec::new();
        for (start, account) in ready {
            // Two copies of one ticket may have arrived in the same turn.
            match self.nonces.check(&start.ticket) {
                Ok(()) => {
                    self.nonces.add(&start.ticket);
                    self.audit_intent(&start, &account);
                    fresh.push((start, account));
                }
                Err(refusal) => self.refuse_start(&start, &refusal),
            }
        }
        // Both are written before the first is made durable, which takes most of the other along.
        let durable = self.write_audit().and_then(|()| self.nonces.flush());
        let durable = durable.and_then(|()| self.flush_audit());
        for (start, account) in fresh {
            let result = match durable {
                Ok(()) => self.start_in_place(&start, &account),
                Err(Errno(errno)) => Err(Refusal::StateUnwritable { errno }),
            };
            if let Err(refusal) = result {
                // The record says that it starts.
                let key = start.ticket.key.to_string();
                self.say_happens("failed", &[("launch", &key), ("code", refusal.code())]);
                self.refuse_start(&start, &refusal);
            }
        }
    }

    fn audit_intent(&mut self, start: &Start, account: &Account) {
        let ticket = &start.ticket;
        let groups: Vec<String> = account.identity.groups.iter().map(u32::to_string).collect();
        let nnp = self
            .config
            .rules
            .as_ref()
            .is_ok_and(|it| it.policy.no_new_privs);
        let fields = [
            ("launch", ticket.key.to_string()),
            ("principal", ticket.principal.clone()),
            ("proven", ticket.proven.clone()),
            ("mode", ticket.mode.name().to_owned()),
            ("account", account.name.clone()),
            ("uid", account.identity.uid.to_string()),
            ("gid", account.identity.gid.to_string()),
            ("groups", groups.join(" ")),
            ("stripped", account.stripped.join(" ")),
            ("template", ticket.template.to_string()),
            ("containment", self.instances.word().to_owned()),
            ("no_new_privs", nnp.to_string()),
        ];
        let fields: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
        self.say_happens("launch", &fields);
    }

    /// Makes the instance's private directory and starts its shepherd.
    fn start_in_place(&mut self, start: &Start, account: &Account) -> Result<(), Refusal> {
        let key = start.ticket.key;
        let (uid, gid) = (account.identity.uid, account.identity.gid);
        let is_of_slot = self.slots.of(key) == Some(&start.account);
        if is_of_slot && !procs::of_uid(uid).is_empty() {
            // Not ours: what a launch of ours left is killed before its account is free.
            self.slots.avoid(key, Instant::now());
            return Err(Refusal::NoFreeAccount);
        }
        let rules = self.config.rules.as_ref().map_err(Clone::clone)?;
        let tmp = Rc::clone(&rules.tmp);
        let name = tmp
            .make(key, Some((uid, gid)))
            .map_err(|Errno(errno)| Refusal::StateUnwritable { errno })?;
        if is_of_slot {
            self.instances.add_slot(key, (uid, gid));
        }
        let result = self.fork_shepherd(start, account, &tmp.path_of(&name).to_string_lossy());
        if result.is_err() && !self.instances.has(key) {
            self.instances.forget_slot(key);
            let _ = tmp.remove_empty(&name);
        } else {
            self.places.insert(key, (tmp, name));
        }
        result
    }

    /// Makes the instance's group and forks its shepherd.
    fn fork_shepherd(
        &mut self,
        start: &Start,
        account: &Account,
        tmp: &str,
    ) -> Result<(), Refusal> {
        let key = start.ticket.key;
        let login = self.login_wish(account);
        let contained = |e: Errno| Refusal::ContainmentFailed { errno: e.0 };
        let failed = |e: Errno| Refusal::BecomingUserFailed {
            step: Step::Prepare,
            errno: e.0,
        };
        let rules = self.config.rules.as_ref().map_err(Clone::clone)?;
        let owner = Some((rules.shepherd.uid, rules.shepherd.gid));
        let groups = self.instances.groups();
        let group = groups
            .map(|it| cgroup::make_instance(it, key, owner))
            .transpose()
            .map_err(contained)?;
        let (trees, limits) = (self.instances.trees(), &start.ticket.limits);
        let borrowed = group.as_ref().map(OwnedFd::as_fd);
        let shepherd = (rules.shepherd.uid, rules.shepherd.gid);
        let in_trees = trees.make(key, borrowed, limits, shepherd);
        let in_trees = in_trees.map_err(contained)?;
        let (report, report_end) = file::pipe().map_err(failed)?;
        let pid = process::fork().map_err(failed)?;
        if pid.is_none() {
            let wanted = Wanted {
                account,
                policy: &rules.policy,
            };
            let wanted = (!rules.policy.pam_service.is_empty()).then_some(wanted);
            let setup = (|| -> Sys<Setup> {
                Ok(Setup {
                    key,
                    items: start.ticket.items.clone(),
                    template: start.template.clone(),
                    paths: rules.policy.paths.encode(),
                    login,
                    user: Some(account.identity.clone()),
                    env: self.environment(account, &rules.policy.path, tmp),
                    no_new_privs: rules.policy.no_new_privs,
                    shepherd: Some(rules.shepherd.clone()),
                    worker_uid: rules.worker_uid,
                    listener: clone_fd(&start.listener)?,
                    program: self.program.as_raw_fd(),
                    group,
                    groups: in_trees,
                    report: report_end,
                    orphan: start.orphan,
                    run_dir: Some(clone_fd(&self.run_dir)?),
                    lock: None,
                    boot: self.boot.clone(),
                    slot: self.instances.slot_user(key).map(|_| account.name.clone()),
                    session: None,
                    variables: None,
                    nice: start.nice,
                    tmp: None,
                })
            })();
            match setup {
                Ok(setup) => chain::run(setup, wanted.as_ref()),
                Err(_) => process::exit_now(1),
            }
        }
        let pid = pid.unwrap_or(0);
        // Before anybody can wait for the child, so the number is certainly its own.
        let handle = match process::pidfd(pid) {
            Ok(handle) => handle,
            Err(errno) => {
                // Nobody would hear of it again: it and what it may have made must go now.
                let _ = process::kill(pid, libc::SIGKILL);
                let _ = process::wait_for(pid);
                self.instances.clear(key, None);
                return Err(failed(errno));
            }
        };
        self.starting.push(Starting {
            pid,
            handle,
            report,
            deadline: Instant::now() + REPORT_TIME,
            key,
            connection: start.connection,
            id: start.id,
            account: account.clone(),
            policy: self.config.stamp,
            login,
        });
        Ok(())
    }

    pub(super) fn hear_shepherd(&mut self, pid: i32) {
        let Some(at) = self.starting.iter().position(|it| it.pid == pid) else {
            return;
        };
        let mut bytes = [0; REPORT_MAX];
        let len = match file::read(&self.starting[at].report, &mut bytes) {
            Err(Errno(libc::EAGAIN)) => return,
            other => other.unwrap_or(0),
        };
        match read_report(&bytes[..len]) {
            Ok(words) => match self.audit_session(at, &words) {
                Ok(()) => self.take_up(at),
                Err(Errno(errno)) => self.abandon(at, &Refusal::StateUnwritable { errno }),
            },
            Err(refusal) => self.abandon(at, &refusal),
        }
    }

    /// Answers for a shepherd that has reported success.
    fn take_up(&mut self, at: usize) {
        let it = self.starting.swap_remove(at);
        self.keep_login(&it);
        self.instances.add(it.key, it.handle);
        let reply = Reply::Started {
            id: it.id,
            shepherd: u32::try_from(it.pid).unwrap_or(0),
            account: it.account.name,
            uid: it.account.identity.uid,
            gid: it.account.identity.gid,
            containment: self.instances.word().to_owned(),
        };
        self.reply(it.connection, &reply);
    }

    /// Ends a start that did not succeed; what it may have left is cleared away.
    fn abandon(&mut self, at: usize, refusal: &Refusal) {
        let it = self.starting.swap_remove(at);
        let _ = process::pidfd_kill(it.handle.as_fd(), libc::SIGKILL);
        self.instances.add(it.key, it.handle);
        self.instances.clear(it.key, None);
        // What was kept may be the reason.
        self.environments.forget(|(of, _)| *of == it.account);
        let what = format!("{}.{}", it.key.job, it.key.instance);
        let text = refusal.sentence(&self.host, &what, &it.account.name);
        let key = it.key.to_string();
        self.say_happens("failed", &[("launch", &key), ("code", refusal.code())]);
        self.reply_refused(it.connection, it.id, refusal, text);
    }

    pub(super) fn give_up_slow_shepherds(&mut self, now: Instant) {
        while let Some(at) = self.starting.iter().position(|it| now >= it.deadline) {
            let refusal = Refusal::BecomingUserFailed {
                step: Step::Prepare,
                errno: libc::ETIMEDOUT,
            };
            self.abandon(at, &refusal);
        }
    }

    /// Forgets starts of a launch that wait for the directory or for their turn: it is being asked whether the launch is
    /// gone.
    fn drop_unstarted(&mut self, key: LaunchKey) {
        let mut dropped = self.look_ups.take(|start| start.ticket.key == key);
        let ready = self
            .ready
            .extract_if(.., |(start, _)| start.ticket.key == key);
        dropped.extend(ready.map(|(start, _)| start));
        for start in dropped {
            self.refuse_start(&start, &Refusal::Busy);
        }
    }

    // ── afterwards ──────────────────────────────────────────────────────────────────────────────────────────────

    pub(super) fn on_shepherd_ended(&mut self, key: LaunchKey) {
        self.instances.on_ended(key);
    }

    /// Answers what is gone, once it is durable that it will not start any more.
    pub(super) fn look_after_instances(&mut self, now: Instant) {
        if self.nonces.flush().is_err() {
            return self.instances.postpone(now);
        }
        for Gone {
            key,
            was_here,
            waiting,
        } in self.instances.look(now, |key| self.tidy.has(key))
        {
            let name = key.to_string();
            // Of what was never here everybody can ask, as often as they like.
            if was_here {
                self.say_happens("gone", &[("launch", &name)]);
            } else {
                self.say_asked("gone", &[("launch", &name)]);
            }
            self.tell_session_left(key);
            for (connection, id) in waiting {
                self.reply(connection, &Reply::Gone { id });
            }
            self.tidy_up(key);
        }
    }

    /// Tells of a PAM session that nobody has closed, and forgets it when that is durable.
    fn tell_session_left(&mut self, key: LaunchKey) {
        let key = key.to_string();
        let Some(session) = record::find(self.run_dir.as_fd(), &key) else {
            return;
        };
        say(&format!(
            "nobody closed the PAM session of {key} ({session}): its holder ended before, or did not get it done in time"
        ));
        let fields = [("launch", key.as_str()), ("session", &session)];
        self.say_happens("pam_session_left", &fields);
        if self.flush_audit().is_ok() {
            let _ = record::remove(self.run_dir.as_fd(), &key);
        }
    }

    fn capabilities(&mut self) -> Capabilities {
        let mut what = capabilities_of(&self.config.rules, wall_ms());
        what.containment = self.instances.word().to_owned();
        what.limits = self.instances.trees().words();
        let proxy = self
            .config
            .rules
            .as_ref()
            .map(|it| &it.policy.proxy_account);
        let has_slots = matches!(proxy, Ok(Some(ProxyAccount::PerSlot { .. })));
        if has_slots && self.instances.groups().is_none() {
            what.proxy_uid = None;
            what.proxy_problem = Refusal::SlotsWithoutGroups.code().to_owned();
        }
        what
    }
}

/// Says what a host with these rules can do, but for its containment.
pub(crate) fn capabilities_of(
    rules: &Result<super::config::Rules, Refusal>,
    wall_ms: u64,
) -> Capabilities {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let what = match rules {
        Ok(rules) => {
            let proxy = rules.proxy.as_ref();
            host::capabilities(&rules.policy, &rules.daemons, proxy, wall_ms)
        }
        Err(refusal) => Capabilities {
            proxy_problem: format!("{}: {refusal:?}", refusal.code()),
            ..Capabilities::default()
        },
    };
    Capabilities { version, ..what }
}

fn take_fds(ticket: &Ticket, fds: Vec<OwnedFd>) -> Result<(Vec<u8>, OwnedFd), Refusal> {
    let wrong = |reason: &str| Refusal::TemplateInvalid {
        reason: reason.to_owned(),
    };
    let [template, listener]: [OwnedFd; START_FDS] = fds
        .try_into()
        .map_err(|_| wrong("the descriptors are not those of a start"))?;
    if !socket::is_listening(listener.as_fd()) {
        return Err(wrong("the control socket does not listen"));
    }
    Ok((take_template(ticket, &template)?, listener))
}

fn clone_fd(fd: &OwnedFd) -> Sys<OwnedFd> {
    fd.try_clone()
        .map_err(|e| Errno(e.raw_os_error().unwrap_or(libc::EMFILE)))
}
