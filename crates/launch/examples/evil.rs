//! A hostile job for the tests of this crate: each verb is an attack, and says how it went, a line for each try.

use std::ffi::CString;
use std::fs;
use std::io::Error;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let rest = words.get(1..).unwrap_or_default();
    match words.first().map(String::as_str) {
        Some("way-back") => way_back(),
        Some("terminal") => terminal(rest),
        Some("touch") => touch(number(rest)),
        Some("open") => rest.iter().for_each(|path| open(path)),
        Some("raise") => raise(),
        Some("deep") => deep(number(rest)),
        Some("lurk") => lurk(),
        Some("queues") => queues(words[1].parse().expect("how many")),
        Some("reach") => reach(rest),
        Some("bomb") => bomb(),
        Some("newcomer") => newcomer(number(rest)),
        Some("with-key") => with_key(rest),
        other => panic!("no such attack: {other:?}"),
    }
}

fn number(words: &[String]) -> i32 {
    words
        .first()
        .and_then(|it| it.parse().ok())
        .expect("a number")
}

fn say(what: &str, result: i64) {
    let errno = Error::last_os_error().raw_os_error().unwrap_or(0);
    println!("{what} {}", if result < 0 { errno } else { 0 });
}

/// Every way back to root.
fn way_back() {
    let keep = u32::MAX;
    let zero = [0u32];
    // SAFETY: all of these take numbers, or a pointer to memory that lives for the call.
    unsafe {
        say("setuid", libc::setuid(0).into());
        say("setresuid", libc::setresuid(keep, 0, keep).into());
        say("seteuid", libc::seteuid(0).into());
        say("setfsuid", i64::from(libc::setfsuid(0) == 0) - 1);
        say("setgid", libc::setgid(0).into());
        say("setresgid", libc::setresgid(keep, 0, keep).into());
        say("setgroups", libc::setgroups(1, zero.as_ptr()).into());
        say("chroot", libc::chroot(c"/".as_ptr()).into());
    }
}

/// Types a command line into whatever terminal there is, also those named.
fn terminal(paths: &[String]) {
    let type_at = |name: &str, fd: i32| {
        for letter in c"touch /tmp/typed\n".to_bytes() {
            // SAFETY: the pointer is to a byte that lives for the call.
            let result = unsafe { libc::ioctl(fd, libc::TIOCSTI, std::ptr::from_ref(letter)) };
            if result < 0 {
                return say(name, -1);
            }
        }
        say(name, 0);
    };
    for path in ["/dev/tty"]
        .into_iter()
        .chain(paths.iter().map(String::as_str))
    {
        let name = CString::new(path).expect("a path");
        // SAFETY: the path is a C string that lives for the call.
        match unsafe { libc::open(name.as_ptr(), libc::O_RDWR) } {
            -1 => say(path, -1),
            fd => type_at(path, fd),
        }
    }
    for fd in 0..3 {
        type_at(&fd.to_string(), fd);
    }
}

/// Everything that one process can do to another.
fn touch(pid: i32) {
    let none: *mut libc::c_void = std::ptr::null_mut();
    // SAFETY: these take numbers and null pointers only.
    unsafe {
        for (name, signal) in [
            ("kill", libc::SIGKILL),
            ("stop", libc::SIGSTOP),
            ("continue", libc::SIGCONT),
        ] {
            say(name, libc::kill(pid, signal).into());
        }
        say("trace", libc::ptrace(libc::PTRACE_SEIZE, pid, none, none));
        say("pidfd", {
            let handle = libc::syscall(libc::SYS_pidfd_open, pid, 0);
            libc::syscall(libc::SYS_pidfd_send_signal, handle, libc::SIGKILL, none, 0)
        });
        say(
            "priority",
            libc::setpriority(libc::PRIO_PROCESS, pid.cast_unsigned(), 19).into(),
        );
        let limit = libc::rlimit {
            rlim_cur: 1,
            rlim_max: 1,
        };
        say(
            "limit",
            libc::prlimit(
                pid,
                libc::RLIMIT_NOFILE,
                &raw const limit,
                std::ptr::null_mut(),
            )
            .into(),
        );
    }
    for file in ["mem", "environ", "fd", "maps", "cwd", "root"] {
        open(&format!("/proc/{pid}/{file}"));
    }
}

fn open(path: &str) {
    let name = CString::new(path).expect("a path");
    // SAFETY: the path is a C string that lives for the call.
    say(
        path,
        unsafe { libc::open(name.as_ptr(), libc::O_RDONLY | libc::O_NONBLOCK) }.into(),
    );
}

/// More of everything than was given.
fn raise() {
    let more = libc::rlimit {
        rlim_cur: 1,
        rlim_max: libc::RLIM_INFINITY,
    };
    for (name, resource) in [
        ("core", libc::RLIMIT_CORE),
        ("nofile", libc::RLIMIT_NOFILE),
        ("nice", libc::RLIMIT_NICE),
        ("rtprio", libc::RLIMIT_RTPRIO),
    ] {
        // SAFETY: the record lives for the call.
        say(
            name,
            unsafe { libc::setrlimit(resource, &raw const more) }.into(),
        );
    }
    let first = libc::sched_param { sched_priority: 1 };
    // SAFETY: the record lives for the call.
    unsafe {
        say(
            "niceness",
            libc::setpriority(libc::PRIO_PROCESS, 0, -5).into(),
        );
        say("zero", libc::setpriority(libc::PRIO_PROCESS, 0, 0).into());
        say(
            "fifo",
            libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const first).into(),
        );
    }
    for score in ["-1000", "0"] {
        let result = fs::write("/proc/self/oom_score_adj", score);
        let errno = result.err().and_then(|it| it.raw_os_error()).unwrap_or(0);
        println!("oom{score} {errno}");
    }
}

/// Makes a tree that is deeper than any path may be long.
fn deep(depth: i32) {
    for level in 0..depth {
        let made = fs::create_dir("d").and_then(|()| fs::write("f", "x"));
        made.and_then(|()| std::env::set_current_dir("d"))
            .unwrap_or_else(|e| panic!("at {level}: {e}"));
    }
    println!("deep 0");
}

/// Leaves what outlives a job: memory, files, and what would start something later.
fn lurk() {
    // SAFETY: takes nothing and can't fail.
    let key = key_of(unsafe { libc::getuid() });
    // SAFETY: these take numbers only.
    unsafe {
        say(
            "shm",
            libc::shmget(key, 4096, libc::IPC_CREAT | 0o666).into(),
        );
        say("sem", libc::semget(key, 1, libc::IPC_CREAT | 0o666).into());
        say("msg", libc::msgget(key, libc::IPC_CREAT | 0o666).into());
    }
    // SAFETY: the texts are C strings and the value is a slice that live for the call.
    unsafe {
        let (kind, name, value) = (c"user".as_ptr(), KEY.as_ptr(), b"x".as_ptr());
        let key = libc::syscall(libc::SYS_add_key, kind, name, value, 1, USER_KEYRING);
        say("key", key.min(0));
    }
    let name = std::env::var("USER").unwrap_or_default();
    for dir in SHARED {
        let place = format!("{dir}/lurk-{name}");
        let made = fs::create_dir(&place)
            .and_then(|()| fs::create_dir(format!("{place}/inner")))
            .and_then(|()| fs::write(format!("{place}/inner/trap"), "x"))
            .and_then(|()| fs::write(format!("{place}-file"), "x"));
        println!(
            "{dir} {}",
            made.err().and_then(|it| it.raw_os_error()).unwrap_or(0)
        );
    }
    println!("crontab: {}", run("crontab", &["/dev/null"]));
    println!("at: {}", run("at", &["-f", "/dev/null", "now"]));
}

const KEY: &std::ffi::CStr = c"tessera-lurk";
const USER_KEYRING: libc::c_long = -4;
const SHARED: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];

/// Makes message queues that nobody uses.
fn queues(count: usize) {
    // SAFETY: takes numbers only.
    let made = (0..count).take_while(|_| unsafe { libc::msgget(libc::IPC_PRIVATE, 0o600) } >= 0);
    println!("made: {}", made.count());
}

/// A key for objects of System V that each user has for itself.
fn key_of(uid: u32) -> i32 {
    0x7e55_0000 | i32::from(u16::try_from(uid & 0xffff).unwrap_or(0))
}

fn run(program: &str, words: &[&str]) -> String {
    let result = Command::new(program).args(words).output();
    result.map_or_else(|e| e.kind().to_string(), |it| it.status.to_string())
}

/// Looks for what a lurker of this name and uid left.
fn reach(words: &[String]) {
    let [name, uid] = words else {
        panic!("a name and a uid");
    };
    let key = key_of(uid.parse().expect("a uid"));
    // SAFETY: these take numbers only.
    unsafe {
        say("shm", libc::shmget(key, 4096, 0).into());
        say("sem", libc::semget(key, 1, 0).into());
        say("msg", libc::msgget(key, 0).into());
    }
    const SEARCH: libc::c_long = 10;
    let (kind, name_of_key) = (c"user".as_ptr(), KEY.as_ptr());
    // SAFETY: the texts are C strings that live for the call.
    let key =
        unsafe { libc::syscall(libc::SYS_keyctl, SEARCH, USER_KEYRING, kind, name_of_key, 0) };
    say("key", key.min(0));
    for dir in SHARED {
        open(&format!("{dir}/lurk-{name}"));
        open(&format!("{dir}/lurk-{name}-file"));
    }
}

/// Forks until there is no process to be had, and goes on trying.
fn bomb() {
    println!("bomb");
    loop {
        // SAFETY: nothing of this program is half-done here, and the child does the same.
        unsafe { libc::fork() };
    }
}

/// Makes a process with a chosen number, which root may do, and says so; the process waits to be killed.
fn newcomer(pid: i32) {
    // SAFETY: a zeroed record is valid; the list of one number lives for the call; the child only waits.
    unsafe {
        let mut how: libc::clone_args = std::mem::zeroed();
        let wanted = [pid];
        how.exit_signal = u64::try_from(libc::SIGCHLD).unwrap_or(17);
        how.set_tid = u64::try_from(wanted.as_ptr().addr()).unwrap_or(0);
        how.set_tid_size = 1;
        let size = size_of::<libc::clone_args>();
        let made = libc::syscall(libc::SYS_clone3, &raw const how, size);
        if made == 0 {
            // Whoever waits for the output is not to wait for this process.
            libc::close(1);
            libc::close(2);
            loop {
                libc::pause();
            }
        }
        say("newcomer", made);
    }
}

/// Runs a command in a session whose keyring holds a key that no job may find.
fn with_key(words: &[String]) {
    const JOIN: libc::c_long = 1;
    const SESSION: libc::c_long = -3;
    // SAFETY: the texts are C strings that live for the call; a null name asks for an anonymous keyring.
    unsafe {
        libc::syscall(libc::SYS_keyctl, JOIN, std::ptr::null::<libc::c_char>());
        let (kind, name) = (c"user".as_ptr(), c"tessera-canary".as_ptr());
        let value = b"secret";
        let added = libc::syscall(
            libc::SYS_add_key,
            kind,
            name,
            value.as_ptr(),
            value.len(),
            SESSION,
        );
        assert!(added > 0, "adding a key: {}", Error::last_os_error());
    }
    let error = Command::new(&words[0]).args(&words[1..]).exec();
    panic!("{error}");
}
