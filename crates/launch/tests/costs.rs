//! What it costs to become a user. Run by hand, as root, on a quiet machine: `cargo xtask costs`.
//!
//! All contenders take turns within one run, round after round, since the speed of a machine wanders: what counts are the
//! differences within a run. Others that start a program as a user stand beside ours if they are there. Launchers that were
//! built without one of their defences come by `TESSERA_LAUNCH_VARIANTS` (`name=path`, one a line); two states of one launcher are
//! compared the same way, and `TESSERA_COSTS_BRIEF=1` leaves all others out.

mod common;

use std::fmt::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{User, World, can_run, template};
use tessera_ticket::Template;

/// Rounds of which each contender has one turn.
const ROUNDS: usize = 15;
/// Starts in one turn.
const TURN: u32 = 20;
/// Instances that are started at once.
const AT_ONCE: usize = 64;

/// Something that starts a program as a user.
struct Contender<'a> {
    name: String,
    start: Box<dyn FnMut() + 'a>,
    /// Mean time of a start in each round, in microseconds.
    turns: Vec<u64>,
}

impl<'a> Contender<'a> {
    fn new(name: &str, start: impl FnMut() + 'a) -> Self {
        Self {
            name: name.to_owned(),
            start: Box::new(start),
            turns: Vec::new(),
        }
    }

    fn turn(&mut self) {
        let begin = Instant::now();
        for _ in 0..TURN {
            (self.start)();
        }
        self.turns.push(micros(begin.elapsed() / TURN));
    }

    fn median(&self) -> u64 {
        let mut turns = self.turns.clone();
        turns.sort_unstable();
        turns[turns.len() / 2]
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap()
}

fn quiet(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Runs a command to its end; says whether it ended well.
fn works(words: &[&str]) -> bool {
    quiet(words).status().is_ok_and(|it| it.success())
}

/// Others that start a program as this user, those that can here; the rest is named.
fn others(user: &User) -> Vec<Contender<'static>> {
    let name = user.name.as_str();
    let uid = format!("--uid={name}");
    let lines: [(&str, Vec<&str>); 4] = [
        (
            "setpriv",
            vec![
                "setpriv",
                "--reuid",
                name,
                "--regid",
                name,
                "--init-groups",
                "/bin/true",
            ],
        ),
        ("runuser -u", vec!["runuser", "-u", name, "--", "/bin/true"]),
        ("sudo -n -u", vec!["sudo", "-n", "-u", name, "/bin/true"]),
        (
            "systemd-run --uid",
            vec![
                "systemd-run",
                "--quiet",
                "--wait",
                "--collect",
                &uid,
                "/bin/true",
            ],
        ),
    ];
    let mut all = Vec::new();
    for (title, words) in lines {
        if works(&words) {
            let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
            all.push(Contender::new(title, move || {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                assert!(works(&words));
            }));
        } else {
            println!("{title}: can't run here");
        }
    }
    all
}

/// Says whether only launchers are to be compared with each other.
fn is_brief() -> bool {
    std::env::var_os("TESSERA_COSTS_BRIEF").is_some()
}

/// A launcher and what to start by it.
struct Ours {
    name: String,
    world: World,
    user: User,
    what: Template,
}

impl Ours {
    fn new(name: &str, program: Option<PathBuf>) -> Self {
        Self::with(name, program, "")
    }

    fn with(name: &str, program: Option<PathBuf>, policy: &str) -> Self {
        let mut world = World::prepare(policy);
        if let Some(program) = program {
            world.program = program;
        }
        world.start_launcher();
        Self {
            name: name.to_owned(),
            world,
            user: User::new("tsc", &[]),
            what: template(&["/bin/true"]),
        }
    }

    /// One launch: ticket, account, shepherd, starter, a program that ends at once, and all of it gone.
    fn launch(&self) {
        let instance = self.world.start(&self.user.name, &self.what);
        instance.run(0);
        instance.close();
    }
}

/// A service of PAM's that permits everything, with the one module that most have.
struct Service(String);

impl Service {
    fn new() -> Self {
        let it = Self(format!("tessera-costs-{}", std::process::id()));
        let lines =
            ["auth", "account", "session"].map(|kind| format!("{kind} required pam_permit.so\n"));
        let text = lines.concat() + "session required pam_limits.so\n";
        std::fs::write(it.path(), text).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(it.path(), mode).unwrap();
        it
    }

    fn path(&self) -> PathBuf {
        PathBuf::from("/etc/pam.d").join(&self.0)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.path());
    }
}

/// Launchers without one of their defences.
fn variants() -> Vec<Ours> {
    let said = std::env::var("TESSERA_LAUNCH_VARIANTS").unwrap_or_default();
    let pairs = said.lines().filter_map(|line| line.split_once('='));
    pairs
        .map(|(name, path)| Ours::new(&format!("without: {name}"), Some(path.into())))
        .collect()
}

/// Private memory of a process, in KiB.
fn private_memory(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let lines = text.lines().filter(|line| line.starts_with("Private_"));
    lines
        .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .sum()
}

fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace()
        .filter_map(|it| it.parse().ok())
        .collect()
}

/// All rounds; answers the table.
fn rounds(ours: &[Ours], user: &User) -> String {
    let standing: Vec<_> = ours
        .iter()
        .map(|it| (it, it.world.start(&it.user.name, &it.what)))
        .collect();
    let mut all = vec![
        Contender::new("plain fork and exec", || assert!(works(&["/bin/true"]))),
        Contender::new("fork, setgid, setuid, exec", || {
            let mut command = quiet(&["/bin/true"]);
            command.gid(user.gid).uid(user.uid);
            assert!(command.status().unwrap().success());
        }),
    ];
    if !is_brief() {
        all.extend(others(user));
    }
    for (it, instance) in &standing {
        let mut next = 0;
        all.push(Contender::new(
            &format!("{}, a frame more", it.name),
            move || {
                instance.run(next);
                next += 1;
            },
        ));
        all.push(Contender::new(&format!("{}, a launch", it.name), || {
            it.launch();
        }));
    }
    for _ in 0..ROUNDS {
        all.iter_mut().for_each(Contender::turn);
    }
    let plain = all[0].median();
    let mut table = String::new();
    for it in &all {
        let (median, least, most) = (it.median(), it.turns.iter().min(), it.turns.iter().max());
        writeln!(
            table,
            "{:<52} {median:>7} µs ({} to {}), {:+} µs to plain",
            it.name,
            least.unwrap(),
            most.unwrap(),
            i64::try_from(median).unwrap() - i64::try_from(plain).unwrap(),
        )
        .unwrap();
    }
    drop(all);
    standing.iter().for_each(|(_, instance)| instance.close());
    table
}

/// Times of many starts at once, sorted, in microseconds, and of all together.
fn at_once(start: impl Fn() + Sync) -> (Vec<u64>, Duration) {
    let begin = Instant::now();
    let mut times: Vec<u64> = std::thread::scope(|scope| {
        let each = || {
            let begin = Instant::now();
            start();
            micros(begin.elapsed())
        };
        let all: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(each)).collect();
        all.into_iter().map(|it| it.join().unwrap()).collect()
    });
    times.sort_unstable();
    (times, begin.elapsed())
}

fn say_at_once(name: &str, (times, all): &(Vec<u64>, Duration)) {
    println!(
        "{AT_ONCE} at once, {name}: all {} µs, each p50 {} µs, most {} µs",
        micros(*all),
        times[times.len() / 2],
        times[times.len() - 1]
    );
}

#[test]
#[ignore = "benchmark"]
fn what_a_launch_costs() {
    if !can_run() {
        return;
    }
    let user = User::new("tsc", &[]);
    let asked = "login_environment = yes\nlogin_environment_cache_seconds = 0";
    let kept = "login_environment = yes\nlogin_environment_cache_seconds = 3600";
    let service = Service::new();
    let session = format!("pam_service = {}", service.0);
    let mut all = vec![Ours::new("tessera", None)];
    if !is_brief() {
        all.push(Ours::with("PAM session", None, &session));
        all.push(Ours::with("login environment asked", None, asked));
        all.push(Ours::with("login environment kept", None, kept));
    }
    all.extend(variants());
    let table = rounds(&all, &user);
    print!("{table}");
    if is_brief() {
        return;
    }
    let ours = &all[0];
    say_at_once("plain", &at_once(|| assert!(works(&["/bin/true"]))));
    say_at_once("a launch", &at_once(|| ours.launch()));
    let instance = ours.world.start(&ours.user.name, &ours.what);
    instance.run(0);
    let launcher = ours.world.launcher.as_ref().unwrap().id();
    println!("private memory: launcher {} KiB", private_memory(launcher));
    println!(
        "private memory: shepherd {} KiB",
        private_memory(instance.shepherd)
    );
    for starter in children(instance.shepherd) {
        println!("private memory: starter {} KiB", private_memory(starter));
    }
    assert!(table.lines().count() >= 4, "{table}");
    instance.close();
    let instance = all[1].world.start(&all[1].user.name, &all[1].what);
    let is_holder = |pid: &u32| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.windows(10).any(|it| it == b"pam-holder")
    };
    let holder = children(instance.shepherd).into_iter().find(is_holder);
    let memory = private_memory(holder.expect("a session is held"));
    println!("private memory: holder of a PAM session {memory} KiB");
    instance.close();
}
