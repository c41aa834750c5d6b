//! The order of steps, every failure and every way back, with a launchd that is made up.

use super::*;
use crate::local::install::launchd::{Seen, seen};
use crate::local::install::switch::{self, Running};
use crate::local::install::system::Answer;
use std::collections::{BTreeMap, VecDeque};
use std::io::Write as _;
use std::process::{Command, Stdio};

const HOME: &str = "/Users/mia";
const PLIST_PATH: &str = "/Users/mia/Library/LaunchAgents/tessera.worker.plist";
const TARGET: &str = "gui/501/tessera.worker";

/// What an installation may change, and has to put back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Host {
    files: BTreeMap<PathBuf, String>,
    /// The file as launchd has read it.
    loaded: Option<String>,
    is_up: bool,
    is_locked: bool,
}

#[derive(Debug, Default)]
struct Fake {
    host: Host,
    has_session: bool,
    is_crashing: bool,
    /// Looks at which a service that was told to go is still there.
    lingers: usize,
    pid: u32,
    fails_at: Option<usize>,
    changes: usize,
    launches: VecDeque<usize>,
    holder: Option<i32>,
    restarts: usize,
    said: Vec<String>,
}

impl Fake {
    /// Somebody who is logged in, and has joined.
    fn new() -> Self {
        let mut fake = Self {
            has_session: true,
            pid: 100,
            ..Self::default()
        };
        let cert = agent().state.join("worker/cert.pem");
        fake.host.files.insert(cert, String::new());
        fake
    }

    fn installed() -> Self {
        let mut fake = Self::new();
        assert!(switch::install(&agent(), &mut fake, false).expect("installed"));
        fake.said.clear();
        fake.changes = 0;
        fake
    }

    fn is_failing(&mut self) -> bool {
        self.changes += 1;
        self.fails_at == Some(self.changes)
    }

    fn start(&mut self) {
        self.host.is_up = true;
        self.pid += 1;
    }

    fn print(&mut self) -> Answer {
        let going = self.host.loaded.is_none() && self.lingers > 0;
        self.lingers -= usize::from(going);
        if self.host.loaded.is_none() && !going {
            let said = "Could not find service \"tessera.worker\" in domain for user gui: 501";
            return answer(false, said);
        }
        if self.is_crashing && self.host.is_up {
            self.start();
        }
        let state = if self.host.is_up {
            format!("\tstate = running\n\n\tprogram = /x\n\tpid = {}", self.pid)
        } else {
            "\tstate = not running".to_owned()
        };
        // A part of it has a state, too.
        let part = "\tspawn = {\n\t\tstate = running\n\t\tpid = 1\n\t}";
        answer(
            true,
            &format!("{TARGET} = {{\n\tactive count = 1\n{part}\n{state}\n}}"),
        )
    }

    fn launchctl(&mut self, words: &[&str]) -> Answer {
        match words {
            ["print", "gui/501"] => answer(self.has_session, ""),
            ["print", TARGET] => self.print(),
            ["enable", TARGET] => answer(true, ""),
            ["bootstrap", "gui/501", PLIST_PATH] => {
                self.host.loaded = self.host.files.get(Path::new(PLIST_PATH)).cloned();
                self.start();
                answer(self.host.loaded.is_some(), "Bootstrap failed: 5")
            }
            ["bootout", TARGET] => {
                let was = self.host.loaded.take().is_some();
                self.host.is_up = false;
                answer(was, "Boot-out failed: 3")
            }
            ["kickstart", TARGET] => {
                self.start();
                answer(true, "")
            }
            ["kickstart", "-k", TARGET] => {
                self.restarts += 1;
                self.start();
                answer(true, "")
            }
            other => panic!("launchctl has no {other:?}"),
        }
    }
}

fn answer(is_good: bool, said: &str) -> Answer {
    let said = said.to_owned();
    Answer { is_good, said }
}

impl System for Fake {
    fn say(&mut self, line: &str) {
        self.said.push(line.to_owned());
    }
    fn has_systemd(&mut self) -> bool {
        false
    }
    fn has_user_manager(&mut self) -> bool {
        false
    }
    fn ask(&mut self, words: &[&str]) -> Result<Answer, String> {
        match words {
            ["launchctl", rest @ ..] => Ok(self.launchctl(rest)),
            other => panic!("{other:?}"),
        }
    }
    fn run(&mut self, words: &[&str]) -> Result<(), String> {
        let fails = self.is_failing();
        let answer = match words {
            ["launchctl", rest @ ..] => self.launchctl(rest),
            ["kill", pid] if self.holder.take().is_some_and(|it| it.to_string() == **pid) => {
                answer(true, "")
            }
            other => panic!("{other:?}"),
        };
        if fails || !answer.is_good {
            return Err(format!("{}: {}", words.join(" "), answer.said));
        }
        Ok(())
    }
    fn read(&mut self, path: &Path) -> Result<Option<String>, String> {
        Ok(self.host.files.get(path).cloned())
    }
    fn write(&mut self, path: &Path, text: &str, mode: u32) -> Result<(), String> {
        assert_eq!(mode, 0o644);
        let text = if self.is_failing() { "half" } else { text };
        self.host.files.insert(path.to_owned(), text.to_owned());
        if text == "half" {
            return Err(format!("can't write {}: disk full", path.display()));
        }
        Ok(())
    }
    fn remove(&mut self, path: &Path) -> Result<(), String> {
        if self.is_failing() {
            return Err(format!("can't remove {}: busy", path.display()));
        }
        self.host.files.remove(path);
        Ok(())
    }
    fn exists(&mut self, path: &Path) -> bool {
        self.host.files.contains_key(path)
    }
    fn has_account(&mut self, _name: &str) -> bool {
        false
    }
    fn program_problem(&mut self, _path: &Path) -> Option<String> {
        None
    }
    fn lock_holder(&mut self, _path: &Path) -> Option<i32> {
        let pid = i32::try_from(self.pid).expect("fits");
        self.holder.or(self.host.is_up.then_some(pid))
    }
    fn launches(&mut self, _state: &Path) -> Result<usize, String> {
        let last = self.launches.front().copied().unwrap_or_default();
        if self.launches.len() > 1 {
            self.launches.pop_front();
        }
        Ok(last)
    }
    fn end_launches(&mut self, _state: &Path) -> Result<(), String> {
        panic!("nothing but the worker has them")
    }
    fn lock_host(&mut self, is_desktop: bool) -> Result<(), String> {
        assert!(is_desktop);
        self.host.is_locked = true;
        Ok(())
    }
    fn unlock_host(&mut self) -> Result<(), String> {
        self.host.is_locked = false;
        Ok(())
    }
    fn pause(&mut self) {}
}

pub(in crate::local::install) fn agent() -> Agent {
    let usual_state = Path::new(HOME).join("Library/Application Support/Tessera");
    Agent {
        tessera: "/usr/local/bin/tessera".into(),
        home: HOME.into(),
        state: usual_state.clone(),
        usual_state,
        uid: 501,
        ends: Cell::new(0),
    }
}

/// An agent whose file says something else.
fn moved() -> Agent {
    Agent {
        tessera: "/opt/tessera/bin/tessera".into(),
        ..agent()
    }
}

#[test]
fn a_first_installation_writes_and_starts_it() {
    let mut fake = Fake::new();
    assert!(switch::install(&agent(), &mut fake, false).expect("installed"));
    insta::assert_snapshot!(fake.said.join("\n"), @r"
    write /Users/mia/Library/LaunchAgents/tessera.worker.plist
    launchctl enable gui/501/tessera.worker
    launchctl bootstrap gui/501 /Users/mia/Library/LaunchAgents/tessera.worker.plist
    ");
    assert!(fake.host.is_up);
}

#[test]
fn nothing_that_runs_is_ended_by_installing_again() {
    let mut fake = Fake::installed();
    fake.launches = [3].into();
    let before = fake.host.clone();
    assert!(switch::install(&agent(), &mut fake, false).expect("nothing to do"));
    assert_eq!((&fake.host, fake.restarts, fake.changes), (&before, 0, 0));
    // With another program it would have to be.
    let error = switch::install(&moved(), &mut fake, false).expect_err("would end them");
    assert_eq!((error.exit, fake.changes), (Exit::State, 0));
    fake.launches.clear();
    fake.lingers = 3;
    switch::install(&moved(), &mut fake, false).expect("installed");
    let loaded = fake.host.loaded.as_deref().unwrap_or_default();
    assert!(loaded.contains("<string>/opt/tessera/bin/tessera</string>"));
}

#[test]
fn each_change_that_fails_leaves_everything_as_it_was() {
    for (start, half) in [
        (Fake::new as fn() -> Fake, agent()),
        (Fake::installed, moved()),
    ] {
        let mut fails_at = 1;
        loop {
            let mut fake = start();
            fake.fails_at = Some(fails_at);
            let before = fake.host.clone();
            match switch::install(&half, &mut fake, false) {
                Ok(_) if fake.changes < fails_at => break,
                Ok(_) => {
                    // Told to go, and gone, whatever launchd answered.
                    assert!(fake.said.iter().any(|it| it.contains("bootout")));
                }
                Err(error) => {
                    assert_eq!(fake.host, before, "change {fails_at}: {error:?}");
                    let is_told = error
                        .details
                        .iter()
                        .any(|it| it.contains("as it was before"));
                    assert!(is_told, "change {fails_at}: {error:?}");
                }
            }
            fails_at += 1;
        }
        assert!(fails_at > 3, "there were changes to fail");
    }
}

#[test]
fn a_worker_that_does_not_stay_up_is_taken_back_where_one_ran() {
    let mut fake = Fake::installed();
    let before = fake.host.clone();
    fake.is_crashing = true;
    let error = switch::install(&moved(), &mut fake, false).expect_err("it crashes");
    assert!(error.hints[0].contains("Library/Logs/tessera.worker.log"));
    assert_eq!(fake.host, before);
    // The first one stays, to be mended.
    let mut fake = Fake::new();
    fake.is_crashing = true;
    switch::install(&agent(), &mut fake, false).expect_err("it crashes");
    assert!(fake.host.files.contains_key(Path::new(PLIST_PATH)));
}

#[test]
fn without_a_session_at_the_screen_it_starts_at_the_next_log_in() {
    let mut fake = Fake::new();
    fake.has_session = false;
    assert!(!switch::install(&agent(), &mut fake, false).expect("written"));
    assert!(fake.host.loaded.is_none());
    assert!(fake.said.iter().any(|it| it.contains("next log-in")));
}

#[test]
fn who_has_joined_nothing_is_told_how() {
    let mut fake = Fake::new();
    fake.host.files.clear();
    assert!(!switch::install(&agent(), &mut fake, false).expect("written"));
    let is_told = |it: &String| it.contains("tessera join --desktop STRING");
    assert!(fake.said.iter().any(is_told), "{:?}", fake.said);
    let other = Agent {
        state: "/Volumes/a b".into(),
        ..agent()
    };
    assert_eq!(
        other.join_command(),
        "tessera join --desktop --state '/Volumes/a b' STRING"
    );
}

#[test]
fn root_and_workers_of_other_hands_are_refused() {
    let mut fake = Fake::new();
    let root = Agent { uid: 0, ..agent() };
    let error = switch::install(&root, &mut fake, false).expect_err("never as root");
    assert_eq!((error.exit, fake.changes), (Exit::Usage, 0));
    fake.holder = Some(4_242);
    let error = switch::install(&agent(), &mut fake, false).expect_err("in the way");
    assert_eq!((error.exit, fake.changes), (Exit::State, 0));
    assert!(error.message.contains("4242"), "{error:?}");
}

#[test]
fn uninstalling_waits_for_what_runs_or_has_it_put_back() {
    let mut fake = Fake::installed();
    fake.launches = [2].into();
    let error = switch::uninstall(&agent(), Running::Refuse, &mut fake, false).expect_err("work");
    assert_eq!((error.exit, fake.changes), (Exit::State, 0));

    fake.launches = [2, 2, 1, 0].into();
    switch::uninstall(&agent(), Running::Wait, &mut fake, false).expect("removed");
    assert_eq!(fake.restarts, 0);
    assert!(!fake.host.files.contains_key(Path::new(PLIST_PATH)));
    assert!(fake.host.loaded.is_none() && !fake.host.is_locked);

    // The worker ends with what it runs; the next one has it put back. It is not restarted at each look.
    let mut fake = Fake::installed();
    fake.launches = [2, 2, 2, 2, 2, 0].into();
    switch::uninstall(&agent(), Running::End, &mut fake, false).expect("removed");
    assert_eq!((fake.restarts, fake.host.loaded), (1, None));

    // One that a hand started ends, too, when nothing runs.
    let mut fake = Fake::installed();
    fake.host.is_up = false;
    fake.holder = Some(4_242);
    switch::uninstall(&agent(), Running::Refuse, &mut fake, false).expect("removed");
    assert_eq!(fake.holder, None);
}

#[test]
fn nothing_is_done_when_it_is_only_to_be_said() {
    let mut fake = Fake::new();
    switch::install(&agent(), &mut fake, true).expect("said");
    assert_eq!(fake.changes, 0);
    assert!(
        fake.said.iter().all(|it| it.starts_with("would: ")),
        "{:?}",
        fake.said
    );
    let mut fake = Fake::installed();
    switch::uninstall(&agent(), Running::End, &mut fake, true).expect("said");
    assert_eq!((fake.changes, fake.restarts), (0, 0));
}

#[test]
fn only_the_agents_own_state_is_read() {
    let said = "gui/501/x = {\n\tpart = {\n\t\tstate = running\n\t\tpid = 7\n\t}\n\tstate = spawn scheduled\n}";
    let scheduled = Seen {
        is_loaded: true,
        process: None,
    };
    assert_eq!(seen(true, said), scheduled);
    let said = "gui/501/x = {\n\tstate = running\n\tpid = 8\n}";
    assert_eq!(seen(true, said).process.as_deref(), Some("8"));
    assert!(!seen(false, said).is_loaded && seen(false, said).process.is_none());
}

#[test]
fn paths_mean_only_themselves() {
    for bad in ["tessera", "/a\nb", "/a\u{0}", ""] {
        assert!(value(Path::new(bad)).is_err(), "{bad:?}");
    }
    assert_eq!(
        value(Path::new("/a&<b>/")).expect("good"),
        "/a&amp;&lt;b&gt;"
    );
}

/// Reads a property list with Python's library, the one of this kind that build machines have.
pub(in crate::local::install) fn parsed(text: &str) -> Option<serde_json::Value> {
    const READ: &str = "import sys, json, plistlib; json.dump(plistlib.loads(sys.stdin.buffer.read()), sys.stdout)";
    let mut child = match Command::new("python3")
        .args(["-c", READ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
    {
        Ok(child) => child,
        Err(error) => {
            assert!(
                std::env::var_os("CI").is_none(),
                "python3 is missing: {error}"
            );
            eprintln!("skipped: python3 is missing");
            return None;
        }
    };
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(text.as_bytes()).expect("written");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "it is no property list:\n{text}");
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}

#[test]
fn the_file_is_a_property_list_that_says_what_is_meant() {
    let other = Agent {
        tessera: "/opt/a & b/<tessera>".into(),
        state: "/Volumes/farm & more".into(),
        ..agent()
    };
    let expected = |words: &[&str]| {
        serde_json::json!({
            "Label": "tessera.worker",
            "ProgramArguments": words,
            "RunAtLoad": true,
            "KeepAlive": { "SuccessfulExit": false },
            "LimitLoadToSessionType": "Aqua",
            "ProcessType": "Interactive",
            "ExitTimeOut": 20,
            "Umask": 0o077,
            "StandardOutPath": "/dev/null",
            "StandardErrorPath": "/Users/mia/Library/Logs/tessera.worker.log",
        })
    };
    for (half, words) in [
        (
            agent(),
            &["/usr/local/bin/tessera", "worker", "--desktop"][..],
        ),
        (
            other,
            &[
                "/opt/a & b/<tessera>",
                "worker",
                "--desktop",
                "--state",
                "/Volumes/farm & more",
            ],
        ),
    ] {
        let text = half.plist().expect("good paths");
        if let Some(found) = parsed(&text) {
            assert_eq!(found, expected(words));
        }
    }
    assert!(PLIST.contains(USUAL_TESSERA) && PLIST.contains(LAST_WORD) && PLIST.contains(NO_LOG));
}
