//! The system, as it is.

use std::fs::DirBuilder;
use std::io::{self, PipeReader, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tessera_keeper::{Failed, Note, Tree, Used};
use tessera_macos::{End, Limit, Resource, Start, Tree as Session, end_left, hold};
use tessera_rules::account::{ANSWER_MAX, Account, Found, decode};
use tessera_ticket::{AccountName, Refusal, Resource as Limited, Step, Template};

use crate::order::{FAILED_LEN, Order, told};
use crate::os::Os;

/// How long the user directory may take.
const LOOK_UP_TIME: Duration = Duration::from_secs(5);
/// How long a fresh process may take to be the account and its program.
const BECOME_TIME: Duration = Duration::from_secs(30);
/// How long the removal of a private directory may take.
const REMOVE_TIME: Duration = Duration::from_secs(60);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(5);
/// The system's number for what was not done in time (`ETIMEDOUT`).
const TIMED_OUT: i32 = 60;
/// What removes a directory with all that is in it, and does not go to other file systems.
const REMOVE: [&str; 3] = ["/bin/rm", "-rfx", "--"];
/// The program of this launcher that becomes somebody.
pub const BECOME: &str = "become";
/// The program of this launcher that looks an account up.
pub const LOOK: &str = "look";

/// This Mac.
#[derive(Debug)]
pub struct Real {
    /// This program.
    own: PathBuf,
}

impl Real {
    /// Finds this program.
    ///
    /// # Errors
    /// When the system does not say where it is.
    pub fn new() -> io::Result<Self> {
        let own = std::env::current_exe()?;
        Ok(Self { own })
    }

    fn own(&self) -> String {
        self.own.to_string_lossy().into_owned()
    }

    /// Has a fresh process be the program of an order; it waits until that is so.
    fn become_program(
        &self,
        order: &Order,
        start: Start,
        note: Note<'_>,
    ) -> Result<tessera_macos::Started, Failed> {
        let what = Start {
            argv: vec![self.own(), BECOME.to_owned()],
            env: Vec::new(),
            directory: PathBuf::from("/"),
            ..start
        };
        let held = hold(&what).map_err(|error| Failed::at(Step::Prepare, &error))?;
        let (pid, born) = held.started.tree.main();
        // Dropping what is held ends it.
        note(pid, born).map_err(|error| Failed::at(Step::Prepare, &error))?;
        let said = held.tell(&order.encode(), FAILED_LEN as u64, BECOME_TIME);
        let (started, said) = said.map_err(|error| Failed::at(Step::Prepare, &error))?;
        if said.is_empty() {
            return Ok(started);
        }
        // It ends by itself; nobody else waits for it.
        let _ = started.tree.wait();
        Err(told(&said))
    }
}

/// What a program is limited to.
fn limits_of(template: &Template) -> Vec<Limit> {
    let limits = template.limits.iter().map(|it| Limit {
        resource: match it.resource {
            Limited::Core => Resource::Core,
            Limited::OpenFiles => Resource::OpenFiles,
            Limited::AddressSpace => Resource::AddressSpace,
            Limited::Cpu => Resource::Cpu,
            Limited::FileSize => Resource::FileSize,
            Limited::Processes => Resource::Processes,
            Limited::Stack => Resource::Stack,
            Limited::LockedMemory => Resource::LockedMemory,
            Limited::Data => Resource::Data,
        },
        soft: it.soft,
        hard: it.hard,
    });
    limits.collect()
}

/// The processes of an attempt. The main process is waited for by a thread of its own.
#[derive(Debug)]
pub struct Processes(Arc<Session>);

impl Tree for Processes {
    fn main(&self) -> (u32, u64) {
        self.0.main()
    }

    fn ask_to_end(&self) -> io::Result<()> {
        self.0.ask_to_end().map(drop)
    }

    fn kill(&self) -> io::Result<()> {
        self.0.kill()
    }

    fn alive(&self) -> io::Result<u32> {
        self.0.alive()
    }

    fn set_suspended(&self, is: bool) -> io::Result<()> {
        self.0.set_suspended(is)
    }

    fn used(&self) -> Used {
        let used = self.0.used();
        Used {
            user_us: used.user_us,
            system_us: used.system_us,
            memory_max: used.memory_max,
        }
    }
}

/// What the worker is given of a program.
#[derive(Debug)]
pub struct Given {
    /// Says how the main process ended, see [`ended`].
    end: PipeReader,
    out: OwnedFd,
    err: OwnedFd,
}

impl Given {
    /// Answers the descriptors, in the order in which the worker takes them.
    pub fn fds(&self) -> [BorrowedFd<'_>; 3] {
        [self.end.as_fd(), self.out.as_fd(), self.err.as_fd()]
    }
}

/// Writes how a process ended: a letter and a number.
fn ended(end: &io::Result<End>) -> [u8; 5] {
    let (kind, number) = match end {
        Ok(End::Exited(code)) => (b'e', *code),
        Ok(End::Signalled(signal)) => (b's', *signal),
        Err(_) => (b'?', 0),
    };
    let [a, b, c, d] = number.to_le_bytes();
    [kind, a, b, c, d]
}

impl Os for Real {
    type Tree = Processes;
    type Given = Given;

    fn wall_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
    }

    fn host(&self) -> String {
        tessera_macos::host_name()
    }

    fn look_up(&self, name: &AccountName) -> Result<Found, Refusal> {
        let trouble = |error: &io::Error| Refusal::DirectoryUnavailable {
            errno: error.raw_os_error().unwrap_or(0),
        };
        let mut child = Command::new(&self.own)
            .args([LOOK, name.as_str()])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| trouble(&error))?;
        let out = child.stdout.take();
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            // Half an answer is none.
            let _ = out.map(|it| it.take(ANSWER_MAX as u64).read_to_end(&mut bytes));
            bytes
        });
        let deadline = Instant::now() + LOOK_UP_TIME;
        while !reader.is_finished() {
            if Instant::now() >= deadline {
                // The thread ends with the process, whenever that is.
                let _ = child.kill();
                let _ = child.wait();
                return Err(Refusal::DirectoryUnavailable { errno: TIMED_OUT });
            }
            std::thread::sleep(PAUSE);
        }
        let _ = child.wait();
        decode(&reader.join().unwrap_or_default())
    }

    fn make_private(&self, path: &Path, account: &Account) -> io::Result<()> {
        if let Some(above) = path.parent() {
            if !above.exists() {
                DirBuilder::new().mode(0o711).create(above)?;
            }
            crate::config::is_roots(above).map_err(io::Error::other)?;
        }
        DirBuilder::new().mode(0o700).create(path)?;
        // Nobody but root can exchange it: what is above it is root's.
        let given = chown(path, Some(account.identity.uid), Some(account.identity.gid));
        if given.is_err() {
            std::fs::remove_dir(path)?;
        }
        given
    }

    fn remove_private(&self, path: &Path, account: &Account) -> io::Result<()> {
        let text = path.to_string_lossy().into_owned();
        let argv = REMOVE.into_iter().map(str::to_owned).chain([text]);
        let order = Order {
            name: account.name.clone(),
            uid: account.identity.uid,
            gid: account.identity.gid,
            directory: "/".to_owned(),
            argv: argv.collect(),
            env: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
        };
        let start = Start {
            argv: Vec::new(),
            env: Vec::new(),
            directory: PathBuf::new(),
            nice: 0,
            umask: 0o077,
            limits: Vec::new(),
        };
        let started = self.become_program(&order, start, &|_, _| Ok(()));
        let started = started.map_err(|failed| io::Error::from_raw_os_error(failed.errno))?;
        // It says that it can't remove the directory itself, which is root's to remove.
        let (mut out, mut err) = (started.out, started.err);
        std::thread::spawn(move || io::copy(&mut out, &mut io::sink()));
        std::thread::spawn(move || io::copy(&mut err, &mut io::sink()));
        let tree = Arc::new(started.tree);
        let waiting = Arc::clone(&tree);
        let waiter = std::thread::spawn(move || waiting.wait().map(drop));
        let deadline = Instant::now() + REMOVE_TIME;
        while !waiter.is_finished() {
            if Instant::now() >= deadline {
                tree.kill()?;
            }
            std::thread::sleep(PAUSE);
        }
        std::fs::remove_dir(path)
    }

    fn start(
        &self,
        order: &Order,
        template: &Template,
        nice: u8,
        note: Note<'_>,
    ) -> Result<(Processes, Given), Failed> {
        let start = Start {
            argv: Vec::new(),
            env: Vec::new(),
            directory: PathBuf::new(),
            nice,
            umask: template.umask,
            limits: limits_of(template),
        };
        let (end, mut said) = io::pipe().map_err(|error| Failed::at(Step::Descriptors, &error))?;
        let started = self.become_program(order, start, note)?;
        let tree = Arc::new(started.tree);
        let waiting = Arc::clone(&tree);
        let thread = std::thread::Builder::new().name("waiter".into());
        let begun = thread.spawn(move || {
            // Who does not listen is gone.
            let _ = said.write_all(&ended(&waiting.wait()));
        });
        begun.map_err(|error| Failed::at(Step::Prepare, &error))?;
        let given = Given {
            end,
            out: started.out.into(),
            err: started.err.into(),
        };
        Ok((Processes(tree), given))
    }

    fn end_left(&self, pid: u32, born: u64) -> bool {
        end_left(pid, born)
    }
}
