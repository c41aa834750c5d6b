//! The shepherd's loop: orders from the worker, words of the starter, ends of children, output, and deadlines.

use std::collections::VecDeque;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use tessera_ticket::shepherd::{
    CHAIN_LEN, Chain, Command, ENDED_MAX, Event, ITEMS_MAX, ItemState, RUN_FDS,
};
use tessera_ticket::{EndCause, EndKind, Step};

use crate::LoginWish;
use crate::contain::{Containment, Member};
use crate::item::{Begun, CHUNK, Ending, Files, Hold, Item, Wish};
use crate::{Setup, StarterEnd};
use tessera_sys::{At as _, Errno, Failed, Sys, entry, file, poll, process, readable, socket};

/// The most events that wait for a worker that does not listen; one more and the connection is dropped.
const EVENTS_MAX: usize = 4_096;
/// How long the starter may take to say whether a program that has ended had begun.
const WORD_TIME: Duration = Duration::from_secs(5);

struct Watch {
    setup: Setup,
    containment: Containment,
    starter: StarterEnd,
    starter_lost: bool,
    signals: OwnedFd,
    worker: Option<OwnedFd>,
    unsent: VecDeque<Vec<u8>>,
    items: Vec<Item>,
    ended: VecDeque<ItemState>,
    suspended: bool,
    closing: bool,
    /// Since when there has been neither a worker nor an item.
    alone_since: Option<Instant>,
    buffer: Vec<u8>,
}

/// What an entry of the poll list stands for.
#[derive(Clone, Copy)]
enum Source {
    Signals,
    Listener,
    Orders,
    Shake,
    Worker,
    Stream { item: usize, stream: usize },
}

/// Serves until the instance is closed; returns the exit code.
pub(crate) fn run(mut setup: Setup, starter: StarterEnd) -> i32 {
    // What only the start needed.
    (setup.run_dir, setup.variables) = (None, None);
    setup.login = LoginWish::None;
    setup.template = Vec::new();
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGPIPE] {
        process::ignore(signal);
    }
    let Ok(signals) = process::signal_fd(&[libc::SIGCHLD]) else {
        return 1;
    };
    let _ = file::set_nonblocking(setup.listener.as_fd());
    let containment = Containment::new(setup.group.take(), setup.groups.memory.take());
    let mut watch = Watch {
        setup,
        containment,
        starter,
        starter_lost: false,
        signals,
        worker: None,
        unsent: VecDeque::new(),
        items: Vec::new(),
        ended: VecDeque::new(),
        suspended: false,
        closing: false,
        alone_since: None,
        buffer: vec![0; CHUNK],
    };
    // What ended before the signals were readable.
    watch.reap();
    while !watch.is_over() {
        if watch.turn().is_err() {
            return 1;
        }
    }
    watch.say(&Event::Closing);
    0
}

impl Watch {
    /// Waits for something and handles everything that is there.
    fn turn(&mut self) -> Sys<()> {
        let (mut fds, sources) = self.sources();
        poll(&mut fds, self.next_deadline())?;
        for (fd, source) in fds.iter().zip(sources) {
            if fd.revents != 0 {
                self.handle(source, fd.revents);
            }
        }
        self.check_deadlines(Instant::now());
        Ok(())
    }

    fn sources(&self) -> (Vec<libc::pollfd>, Vec<Source>) {
        let mut fds = vec![
            readable(self.signals.as_fd()),
            readable(self.setup.listener.as_fd()),
            readable(self.starter.orders.as_fd()),
            readable(self.starter.shake.as_fd()),
        ];
        let mut sources = vec![
            Source::Signals,
            Source::Listener,
            Source::Orders,
            Source::Shake,
        ];
        if self.starter_lost {
            fds[2].fd = -1;
            fds[3].fd = -1;
        }
        for (i, item) in self.items.iter().enumerate() {
            for (k, stream) in item.streams.iter().enumerate() {
                if let Some(pipe) = &stream.pipe {
                    fds.push(readable(pipe.as_fd()));
                    sources.push(Source::Stream { item: i, stream: k });
                }
            }
        }
        // Last, because an order may add an item and so move nothing that comes after it.
        if let Some(worker) = &self.worker {
            let out = if self.unsent.is_empty() {
                0
            } else {
                libc::POLLOUT
            };
            fds.push(entry(worker.as_raw_fd(), libc::POLLIN | out));
            sources.push(Source::Worker);
        }
        (fds, sources)
    }

    fn handle(&mut self, source: Source, events: libc::c_short) {
        match source {
            Source::Signals => {
                while process::next_signal(self.signals.as_fd()).is_some() {}
                self.reap();
            }
            Source::Listener => self.accept(),
            Source::Orders => self.hear_starter(),
            Source::Shake => self.hear_child(),
            Source::Worker => {
                if events & libc::POLLOUT != 0 {
                    self.send_unsent();
                }
                if events & !libc::POLLOUT != 0 {
                    self.hear_worker();
                }
            }
            Source::Stream { item, stream } => {
                let Some(item) = self.items.get_mut(item) else {
                    return;
                };
                item.copy(stream, &mut self.buffer);
            }
        }
    }

    // ── the worker ──────────────────────────────────────────────────────────────────────────────────────────────

    fn accept(&mut self) {
        while let Some(new) = socket::accept(self.setup.listener.as_fd()) {
            if socket::peer_uid(new.as_fd()) == Ok(self.setup.worker_uid) {
                // The newest wins: a worker that comes back does not wait for the end of its former self.
                self.drop_worker();
                self.worker = Some(new);
            }
        }
    }

    fn say(&mut self, event: &Event) {
        if self.worker.is_none() {
            return;
        }
        if self.unsent.len() >= EVENTS_MAX {
            self.drop_worker();
            return;
        }
        self.unsent.push_back(event.encode());
        self.send_unsent();
    }

    fn send_unsent(&mut self) {
        let Some(worker) = &self.worker else { return };
        let number = worker.as_raw_fd();
        while let Some(bytes) = self.unsent.front() {
            match socket::send(number, bytes, &[]) {
                Ok(()) => {
                    self.unsent.pop_front();
                }
                Err(Errno(libc::EAGAIN)) => return,
                Err(_) => return self.drop_worker(),
            }
        }
    }

    /// What was not said is in the spool; the next worker reads it there. What has not begun never will: that worker does
    /// not know of it.
    fn drop_worker(&mut self) {
        self.worker = None;
        self.unsent.clear();
        for who in self.members_if(|it| it.hold == Hold::Waits) {
            self.end_item(who.item, who.attempt, Duration::ZERO, EndCause::Stale);
        }
    }

    fn hear_worker(&mut self) {
        let mut buffer = [0; 256];
        while let Some(worker) = &self.worker {
            let packet = match socket::receive(worker.as_fd(), &mut buffer, libc::MSG_DONTWAIT) {
                Err(Errno(libc::EAGAIN)) => return,
                Ok(packet) if packet.len > 0 && !packet.is_cut => packet,
                Ok(_) | Err(_) => return self.drop_worker(),
            };
            match Command::decode(&buffer[..packet.len]) {
                Ok(command) => self.obey(command, packet.fds),
                Err(_) => return self.drop_worker(),
            }
        }
    }

    fn obey(&mut self, command: Command, fds: Vec<OwnedFd>) {
        match command {
            Command::Run {
                item,
                attempt,
                output_limit,
                leftover_grace_ms,
                durable,
                next,
            } => {
                let wish = Wish {
                    item,
                    attempt,
                    limit: output_limit,
                    leftover_grace: Duration::from_millis(leftover_grace_ms.into()),
                    durable,
                    next,
                };
                self.run(&wish, fds);
            }
            Command::End {
                item,
                attempt,
                grace_ms,
                cause,
            } => {
                let grace = Duration::from_millis(grace_ms.into());
                self.end_item(item, attempt, grace, cause);
            }
            Command::Suspend => self.suspend(true),
            Command::Resume => self.suspend(false),
            Command::Close => self.close(),
            Command::State => {
                let state = self.state();
                self.say(&state);
            }
        }
    }

    fn state(&self) -> Event {
        let may_run = self.items.iter().filter(|it| it.hold == Hold::Free);
        let running = may_run.map(|it| ItemState {
            item: it.who.item,
            attempt: it.who.attempt,
            pid: u32::try_from(it.who.pid).unwrap_or(0),
            ended: false,
        });
        Event::State {
            suspended: self.suspended,
            starter_lost: self.starter_lost,
            items: running.chain(self.ended.iter().rev().copied()).collect(),
        }
    }

    // ── starting ────────────────────────────────────────────────────────────────────────────────────────────────

    /// Begins an item, or says why not; also in the exit record, for a worker that does not hear it.
    fn run(&mut self, wish: &Wish, fds: Vec<OwnedFd>) {
        let result = take_files(fds).and_then(|files| match self.may_run(wish) {
            Ok(()) => Item::new(wish, files).at(Step::Prepare),
            Err(failed) => {
                Item::refuse(wish, files, failed);
                Err(failed)
            }
        });
        match result {
            Ok(item) => {
                // Two that can't be told apart are not there at once, so this one waits without a process.
                let begins = !wish.next || self.containment.tells_apart();
                self.items.push(item);
                if begins {
                    self.order(wish.item, wish.attempt);
                }
            }
            Err(Failed { step, errno }) => {
                let (item, attempt) = (wish.item, wish.attempt);
                self.say(&Event::ItemNotStarted {
                    item,
                    attempt,
                    step,
                    errno,
                });
            }
        }
    }

    fn may_run(&self, wish: &Wish) -> Result<(), Failed> {
        let refuse = |step| Err(Failed { step, errno: 0 });
        let allowed = &self.setup.items;
        if !allowed
            .iter()
            .any(|it| (it.first..=it.last).contains(&wish.item))
        {
            return refuse(Step::NotAllowed);
        }
        if self.starter_lost || self.closing {
            return refuse(Step::StarterLost);
        }
        let is_known = self.items.iter().any(|it| it.is(wish.item, wish.attempt));
        if is_known || self.items.len() >= ITEMS_MAX {
            return refuse(Step::Busy);
        }
        Ok(())
    }

    /// Gives an item to the starter; that this fails ends it as any other failure to start does.
    fn order(&mut self, item: u32, attempt: u32) {
        let Some(it) = self.items.iter_mut().find(|it| it.is(item, attempt)) else {
            return;
        };
        let Some(ends) = it.ends.take() else { return };
        let order = Chain::Start { item, attempt };
        let numbers = ends.each_ref().map(std::os::fd::AsRawFd::as_raw_fd);
        let sent = socket::send(self.starter.orders.as_raw_fd(), &order.encode(), &numbers);
        if let Err(Errno(errno)) = sent {
            let step = Step::Prepare;
            self.begun(item, attempt, Begun::Failed(Failed { step, errno }));
        }
    }

    /// Lets the next item begin when nothing is left of those before it; one whose child is not there yet begins when it
    /// is.
    fn begin_next(&mut self) {
        let is_before = |it: &Item| match it.hold {
            Hold::Free => true,
            Hold::Waits => false,
            // Without a process it may itself wait for the starter, and so for the next one.
            Hold::GivenUp => it.who.pid != 0,
        };
        if self.items.iter().any(is_before) {
            return;
        }
        let waits = |it: &&mut Item| it.hold == Hold::Waits;
        let Some(it) = self.items.iter_mut().find(waits) else {
            return;
        };
        it.release();
        let Member { item, attempt, .. } = it.who;
        if it.ends.is_some() {
            self.order(item, attempt);
        } else if it.begun == Begun::Contained {
            self.answer_child(&Chain::Go { item, attempt });
        }
    }

    fn answer_child(&self, word: &Chain) {
        let _ = socket::send(self.starter.shake.as_raw_fd(), &word.encode(), &[]);
    }

    /// A child says that it is there: the kernel names it, and it must be a child of this process.
    fn hear_child(&mut self) {
        let mut buffer = [0; CHAIN_LEN];
        loop {
            let shake = self.starter.shake.as_fd();
            let Ok(packet) = socket::receive(shake, &mut buffer, libc::MSG_DONTWAIT) else {
                return;
            };
            if packet.len == 0 {
                return;
            }
            if let Ok(Chain::Here { item, attempt }) = Chain::decode(&buffer[..packet.len]) {
                self.admit(item, attempt, packet.pid);
            }
        }
    }

    fn admit(&mut self, number: u32, attempt: u32, pid: i32) {
        let is_taken = pid == self.starter.pid || self.items.iter().any(|it| it.who.pid == pid);
        if is_taken || !process::is_own_child(pid) {
            return;
        }
        let others = self.members();
        let Some(item) = self.items.iter_mut().find(|it| it.is(number, attempt)) else {
            return;
        };
        if item.begun != Begun::Ordered || item.who.pid != 0 {
            return;
        }
        item.who.pid = pid;
        let entered = self.containment.enter(item.who);
        let is_welcome = entered.is_ok() && item.ending.is_none();
        if self.suspended && is_welcome {
            self.containment
                .freeze(item.who, self.starter.pid, &others, true);
        }
        let is_held = item.hold == Hold::Waits;
        let failed = |step, errno| Begun::Failed(Failed { step, errno });
        item.begun = match entered {
            Ok(()) if is_welcome => Begun::Contained,
            // It never gets the word, however it ends.
            Ok(()) => failed(Step::Cancelled, 0),
            Err(errno) => failed(Step::Cgroup, errno.0),
        };
        let item = number;
        if !is_welcome {
            self.answer_child(&Chain::Stop { item, attempt });
        } else if !is_held {
            self.answer_child(&Chain::Go { item, attempt });
        }
    }

    fn hear_starter(&mut self) {
        let mut buffer = [0; CHAIN_LEN];
        loop {
            let orders = self.starter.orders.as_fd();
            match socket::receive(orders, &mut buffer, libc::MSG_DONTWAIT) {
                Err(Errno(libc::EAGAIN)) => return,
                Ok(packet) if packet.len > 0 => match Chain::decode(&buffer[..packet.len]) {
                    Ok(Chain::Running { item, attempt }) => {
                        self.begun(item, attempt, Begun::Running);
                    }
                    Ok(Chain::Failed {
                        item,
                        attempt,
                        step,
                        errno,
                    }) => {
                        self.begun(item, attempt, Begun::Failed(Failed { step, errno }));
                    }
                    Ok(_) | Err(_) => {}
                },
                Ok(_) | Err(_) => return self.lose_starter(),
            }
        }
    }

    fn begun(&mut self, number: u32, attempt: u32, begun: Begun) {
        let Some(item) = self.items.iter_mut().find(|it| it.is(number, attempt)) else {
            return;
        };
        // The first failure counts: "cancelled" after a failed containment tells nothing new.
        if matches!(item.begun, Begun::Failed(_) | Begun::Running) {
            return;
        }
        item.begun = begun;
        item.look_again = None;
        let pid = u32::try_from(item.who.pid).unwrap_or(0);
        if begun == Begun::Running && pid != 0 {
            self.say(&Event::ItemStarted {
                item: number,
                attempt,
                pid,
            });
        }
    }

    fn lose_starter(&mut self) {
        if self.starter_lost {
            return;
        }
        self.starter_lost = true;
        let _ = process::kill(self.starter.pid, libc::SIGKILL);
        let lost = Failed {
            step: Step::StarterLost,
            errno: 0,
        };
        for item in &mut self.items {
            item.look_again = None;
            if item.who.pid == 0 {
                item.begun = Begun::Failed(lost);
            }
        }
        if !self.closing {
            self.say(&Event::StarterLost);
        }
    }

    // ── ending ──────────────────────────────────────────────────────────────────────────────────────────────────

    fn reap(&mut self) {
        while let Some(ended) = process::reap() {
            if ended.pid == self.starter.pid {
                // What it said last is still to be heard.
                self.hear_starter();
                self.lose_starter();
            } else if let Some(item) = self
                .items
                .iter_mut()
                .find(|it| it.who.pid == ended.pid && it.ended.is_none())
            {
                item.ended = Some(ended);
                item.ended_at = Some(Instant::now());
                item.look_again = None;
            }
        }
    }

    fn end_item(&mut self, number: u32, attempt: u32, grace: Duration, cause: EndCause) {
        let others = self.members();
        let starter = self.starter.pid;
        let Some(item) = self.items.iter_mut().find(|it| it.is(number, attempt)) else {
            return;
        };
        let waits = item.hold == Hold::Waits;
        // What has not begun needs no time to tidy up.
        let grace = if waits { Duration::ZERO } else { grace };
        let deadline = Instant::now() + grace;
        let ending = item.ending.get_or_insert(Ending { cause, deadline });
        ending.deadline = ending.deadline.min(deadline);
        if waits {
            if self.suspended {
                // A stopped child would not hear that it is given up.
                self.containment.freeze(item.who, starter, &others, false);
            }
            return self.cancel(number, attempt);
        }
        if grace.is_zero() || item.who.pid == 0 {
            return;
        }
        if item.ended.is_none() {
            let _ = process::kill_group(item.who.pid, libc::SIGTERM);
        }
        if self.suspended {
            // A stopped process hears no TERM; the grace time is for it to tidy up.
            self.containment.freeze(item.who, starter, &others, false);
        }
    }

    /// Gives up a held item: nothing of its program has run, whatever becomes of its child.
    fn cancel(&mut self, item: u32, attempt: u32) {
        let Some(it) = self.items.iter_mut().find(|it| it.is(item, attempt)) else {
            return;
        };
        let has_child = it.begun == Begun::Contained;
        let has_order = it.ends.take().is_none();
        it.hold = Hold::GivenUp;
        // A child that has yet to say that it is there is told then.
        if has_child || !has_order {
            let step = Step::Cancelled;
            it.begun = Begun::Failed(Failed { step, errno: 0 });
        }
        if has_child {
            self.answer_child(&Chain::Stop { item, attempt });
        }
    }

    fn suspend(&mut self, on: bool) {
        let others = self.members();
        for &who in others.iter().filter(|it| it.pid != 0) {
            self.containment.freeze(who, self.starter.pid, &others, on);
        }
        self.suspended = on;
        self.say(if on {
            &Event::Suspended
        } else {
            &Event::Resumed
        });
    }

    fn close(&mut self) {
        self.closing = true;
        for who in self.members() {
            self.end_item(who.item, who.attempt, Duration::ZERO, EndCause::Close);
        }
    }

    fn members(&self) -> Vec<Member> {
        self.members_if(|_| true)
    }

    fn members_if(&self, is_wanted: impl Fn(&Item) -> bool) -> Vec<Member> {
        let wanted = self.items.iter().filter(|it| is_wanted(it));
        wanted.map(|it| it.who).collect()
    }

    /// Returns how long nothing is due.
    fn next_deadline(&self) -> Option<Duration> {
        let of_items = self.items.iter().flat_map(|it| {
            let ending = it
                .ending
                .map(|it| it.deadline)
                .filter(|_| it.look_again.is_none() && it.who.pid != 0);
            [ending, it.look_again]
        });
        let orphan = self.alone_since.map(|since| since + self.setup.orphan);
        let next = of_items
            .chain([orphan, self.starter_due()])
            .flatten()
            .min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    /// Answers when the starter counts as lost: it was to start something that is to be over by now, and nothing holds it
    /// up but itself. A job may have stopped it.
    fn starter_due(&self) -> Option<Instant> {
        let holds = |it: &Item| it.hold == Hold::Waits && it.begun == Begun::Contained;
        if self.starter_lost || self.items.iter().any(holds) {
            return None;
        }
        let ordered = self.items.iter().filter(|it| it.begun == Begun::Ordered);
        let endings = ordered.filter_map(|it| it.ending.filter(|_| it.ends.is_none()));
        endings.map(|it| it.deadline + WORD_TIME).min()
    }

    fn check_deadlines(&mut self, now: Instant) {
        if self.starter_due().is_some_and(|due| now >= due) {
            self.lose_starter();
        }
        let mut i = 0;
        while i < self.items.len() {
            if self.is_item_over(i, now) {
                let item = self.items.remove(i);
                self.finish(item);
            } else {
                i += 1;
            }
        }
        self.begin_next();
        let is_alone = self.worker.is_none() && self.items.is_empty();
        self.alone_since = if is_alone {
            self.alone_since.or(Some(now))
        } else {
            None
        };
        if self
            .alone_since
            .is_some_and(|since| now >= since + self.setup.orphan)
        {
            self.closing = true;
        }
    }

    /// Looks at one item: kills what is due, and says whether nothing of it is alive any more.
    fn is_item_over(&mut self, i: usize, now: Instant) -> bool {
        let others = self.members();
        let starter = self.starter.pid;
        let starter_lost = self.starter_lost;
        let containment = &mut self.containment;
        let Some(item) = self.items.get_mut(i) else {
            return false;
        };
        if item.who.pid == 0 {
            // Never there: over when the starter has said so.
            return matches!(item.begun, Begun::Failed(_));
        }
        let is_due = item.ending.is_some_and(|it| now >= it.deadline);
        if item.look_again.is_some_and(|at| now < at) {
            return false;
        }
        let Some(ended_at) = item.ended_at else {
            if is_due {
                containment.kill(item.who, starter, &others);
                let _ = process::kill(item.who.pid, libc::SIGKILL);
                item.look_later(now);
            }
            return false;
        };
        let has_word = starter_lost || matches!(item.begun, Begun::Running | Begun::Failed(_));
        if !has_word && now < ended_at + WORD_TIME {
            item.look_again = Some(ended_at + WORD_TIME);
            return false;
        }
        if let Some(used) = containment.leave(item.who, starter, &others) {
            item.used = used;
            return true;
        }
        let grace_over = now >= ended_at + item.leftover_grace;
        if is_due || (grace_over && item.ending.is_none()) {
            let killed = containment.kill(item.who, starter, &others);
            item.leftovers = item.leftovers.max(killed);
        }
        item.look_later(now);
        false
    }

    fn finish(&mut self, item: Item) {
        let who = item.who;
        let failed = match (item.begun, item.ended) {
            (Begun::Failed(failed), _) => Some(failed),
            (_, Some(_)) => None,
            (_, None) => Some(Failed {
                step: Step::StarterLost,
                errno: 0,
            }),
        };
        let kind = match (failed, item.ended) {
            (Some(Failed { step, errno }), _) => EndKind::NotStarted { step, errno },
            (None, ended) => kind_of(ended.map_or(0, |it| it.status)),
        };
        let record = item.finish(kind, &mut self.buffer);
        if self.ended.len() >= ENDED_MAX {
            self.ended.pop_front();
        }
        let state = ItemState {
            item: who.item,
            attempt: who.attempt,
            pid: 0,
            ended: true,
        };
        self.ended.push_back(state);
        let event = match kind {
            EndKind::NotStarted { step, errno } => Event::ItemNotStarted {
                item: who.item,
                attempt: who.attempt,
                step,
                errno,
            },
            EndKind::Exited { .. } | EndKind::Signalled { .. } => Event::ItemEnded(record),
        };
        self.say(&event);
    }

    /// Says whether the instance is closed and nothing of it is left; ends the starter at last.
    fn is_over(&mut self) -> bool {
        if !self.closing || !self.items.is_empty() {
            return false;
        }
        self.lose_starter();
        let strays = match &mut self.containment {
            Containment::Cgroup(_) => 0,
            session @ Containment::Session => session.kill(
                Member {
                    item: 0,
                    attempt: 0,
                    pid: 0,
                },
                0,
                &[],
            ),
        };
        self.containment.clear();
        strays == 0
    }
}

fn take_files(fds: Vec<OwnedFd>) -> Result<Files, Failed> {
    let wrong = Failed {
        step: Step::Descriptors,
        errno: libc::EINVAL,
    };
    let [out, err, index, exit]: [OwnedFd; RUN_FDS] = fds.try_into().map_err(|_| wrong)?;
    if [&out, &err, &index, &exit]
        .into_iter()
        .all(file::is_regular)
    {
        Ok(Files {
            out,
            err,
            index,
            exit,
        })
    } else {
        Err(wrong)
    }
}

fn kind_of(status: i32) -> EndKind {
    let byte = |value: i32| u8::try_from(value & 0xff).unwrap_or(0);
    if libc::WIFSIGNALED(status) {
        EndKind::Signalled {
            signal: byte(libc::WTERMSIG(status)),
        }
    } else {
        EndKind::Exited {
            code: libc::WEXITSTATUS(status),
        }
    }
}
