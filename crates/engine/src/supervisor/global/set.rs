//! What administrators and pollers of licence servers say of the farm's own resources, and how long it counts.

use super::super::io::{Answer, Change, Denied, kind};
use super::super::time::Timer;
use super::super::{About, Engine, Turn};
use super::{GlobalRecord, Others};
use crate::Now;
use std::collections::BTreeSet;
use std::time::Duration;
use tessera_model::limits::GLOBALS_MAX;
use tessera_model::{GlobalName, Principal};

/// What is wanted with one of the farm's own resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GlobalWish {
    /// Say how many there are, how many others use; what is `None` stays as it is.
    Set {
        /// How many there are.
        total: Option<u64>,
        /// How many are used.
        used: Option<Outside>,
        /// For how long it counts what was said of their use; nothing: until it is said anew.
        ttl: Option<Duration>,
    },
    /// Forget what was said while the farm runs.
    Remove,
}

/// How the use by others is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    /// All that are in use, the farm's among them: what a licence server counts.
    InAll(u64),
    /// What others use.
    Others(u64),
}

impl Engine {
    pub(in super::super) fn global_wish(
        &mut self,
        t: &mut Turn<'_>,
        by: &Principal,
        name: &GlobalName,
        wish: &GlobalWish,
    ) -> Result<Answer, Denied> {
        if !by.is_admin {
            return Err(Denied::Forbidden {
                by: by.name.clone(),
                what: format!("set or remove {name}"),
                why: "only the farm's administrators may (root and the group tessera-admin on the supervisor's host)".into(),
            });
        }
        match wish {
            GlobalWish::Set { total, used, ttl } => {
                self.set_global(t, by, name, (*total, *used, *ttl))
            }
            GlobalWish::Remove => self.remove_global(t, by, name),
        }
    }

    fn set_global(
        &mut self,
        t: &mut Turn<'_>,
        by: &Principal,
        name: &GlobalName,
        (total, used, ttl): (Option<u64>, Option<Outside>, Option<Duration>),
    ) -> Result<Answer, Denied> {
        let globals = &self.globals;
        if total.is_none() && globals.total(name).is_none() {
            let why = format!("nobody has said how many of {name} there are; say the total, too");
            return Err(Denied::Invalid {
                field: "total",
                why,
            });
        }
        let known = globals.configured.keys().chain(globals.set.keys());
        let known: BTreeSet<&GlobalName> = known.collect();
        if globals.total(name).is_none() && known.len() >= GLOBALS_MAX {
            let why = format!("the farm has {GLOBALS_MAX} resources already; remove one first");
            return Err(Denied::Invalid { field: "name", why });
        }
        let before = globals.set.get(name).cloned();
        let used = used.map(|used| match used {
            Outside::InAll(all) => all.saturating_sub(globals.held(name)),
            Outside::Others(others) => others,
        });
        let until = ttl.map(|ttl| {
            t.now
                .wall
                .plus_ms(i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX))
        });
        let others = used.map(|used| Others {
            used,
            at: t.now.wall,
            until,
            is_over: false,
        });
        let record = GlobalRecord {
            total: total.or(before.as_ref().and_then(|it| it.total)),
            others: others.or(before.as_ref().and_then(|it| it.others)),
            at: t.now.wall,
            by: by.name.clone(),
            name: name.clone(),
        };
        // A poller says the same again and again: that is no news.
        let counts = |record: &GlobalRecord| {
            (
                record.total,
                record.others.filter(|it| !it.is_over).map(|it| it.used),
            )
        };
        if before.as_ref().map(counts) != Some(counts(&record)) {
            t.event(
                kind::RESOURCE_SET,
                About::default().by(&by.name),
                in_words(&record),
            );
        }
        self.globals.set.insert(name.clone(), record);
        self.watch_others(t.now, name);
        t.change(Change::Globals);
        self.tell_free(name);
        Ok(Answer::Done)
    }

    fn remove_global(
        &mut self,
        t: &mut Turn<'_>,
        by: &Principal,
        name: &GlobalName,
    ) -> Result<Answer, Denied> {
        if self.globals.set.remove(name).is_none() {
            return Err(match self.globals.configured(name) {
                Some(_) => Denied::Invalid {
                    field: "name",
                    why: format!(
                        "{name} is the configuration's (supervisor_global_resources); take it out there"
                    ),
                },
                None => Denied::NoResource(name.clone()),
            });
        }
        self.forget_due(name);
        t.change(Change::Globals);
        let text = match self.globals.configured(name) {
            Some(n) => {
                format!("what was said of {name} is forgotten; the configuration's {n} count")
            }
            None => format!("{name} was removed"),
        };
        t.event(kind::RESOURCE_REMOVED, About::default().by(&by.name), text);
        self.tell_free(name);
        Ok(Answer::Done)
    }

    /// Nobody needs to look any more.
    fn forget_due(&mut self, name: &GlobalName) {
        if let Some(due) = self.globals.due.remove(name) {
            self.timers.cancel(due, Timer::Others(name.clone()));
        }
    }

    /// Has somebody look when what was said of others counts no more.
    pub(in super::super) fn watch_others(&mut self, now: Now, name: &GlobalName) {
        self.forget_due(name);
        let others = self.globals.set.get(name).and_then(|record| record.others);
        let Some(others) = others.filter(|it| !it.is_over) else {
            return;
        };
        if let Some(until) = others.until {
            // Whatever happens to the wall clock, it counts no longer than was said.
            let left = until.since_ms(now.wall).min(until.since_ms(others.at));
            let due = now.elapsed + Duration::from_millis(left);
            self.globals.due.insert(name.clone(), due);
            self.timers.set(due, Timer::Others(name.clone()));
        }
    }

    /// What was said of others may be over.
    pub(in super::super) fn others_over(&mut self, t: &mut Turn<'_>, name: &GlobalName) {
        let due = self.globals.due.get(name);
        if due.is_none_or(|due| *due > t.now.elapsed) {
            // It was said anew, or forgotten.
            return;
        }
        self.globals.due.remove(name);
        let record = self.globals.set.get_mut(name);
        let Some(others) = record.and_then(|record| record.others.as_mut()) else {
            return;
        };
        others.is_over = true;
        let (used, ago) = (others.used, t.now.wall.since_ms(others.at) / 1000);
        let text = format!(
            "nobody has said for {ago}s how many of {name} others use: the {used} of then count no more; see to who tells (tessera resource set)"
        );
        t.change(Change::Globals);
        t.event(kind::RESOURCE_EXPIRED, About::default(), text);
        self.tell_free(name);
    }

    /// Takes in what was kept.
    pub(in super::super) fn restore_globals(&mut self, now: Now, records: Vec<GlobalRecord>) {
        for record in records {
            let name = record.name.clone();
            self.globals.set.insert(name.clone(), record);
            self.watch_others(now, &name);
        }
        let hosts: Vec<_> = self.hosts.keys().copied().collect();
        hosts.into_iter().for_each(|host| self.note_globals(host));
        self.tell_all_free();
    }

    pub(in super::super) fn tell_all_free(&mut self) {
        let names: Vec<_> = self.globals.names().into_iter().cloned().collect();
        names.iter().for_each(|name| self.tell_free(name));
    }
}

fn in_words(record: &GlobalRecord) -> String {
    let name = &record.name;
    let total = record.total.map(|total| format!("{total} in all"));
    let others = record
        .others
        .map(|others| format!("{} used by others", others.used));
    let said: Vec<String> = total.into_iter().chain(others).collect();
    format!("{name}: {}", said.join(", "))
}
