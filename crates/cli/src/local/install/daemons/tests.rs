//! The order of steps, every failure and every way back, with a Mac that is made up.

use super::*;
use crate::args::WorkerPart;
use crate::local::install::agent_tests::{agent, parsed};
use crate::local::install::person::carry_out;
use crate::local::install::switch::{self, Running};
use crate::local::install::system::Answer;
use clap::ValueEnum as _;
use std::collections::{BTreeMap, VecDeque};

/// What an installation may change, and has to put back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Host {
    pub(super) files: BTreeMap<PathBuf, String>,
    /// Users and groups, each with what is known of it.
    records: BTreeMap<String, BTreeMap<String, String>>,
    /// The files as launchd has read them.
    pub(super) loaded: BTreeMap<String, String>,
    pub(super) up: BTreeSet<String>,
    pub(super) is_locked: bool,
}

#[derive(Debug, Default)]
pub(super) struct Fake {
    pub(super) host: Host,
    pub(super) fails_at: Option<usize>,
    pub(super) changes: usize,
    pub(super) launches: VecDeque<usize>,
    pub(super) restarts: usize,
    untrusted: Option<String>,
    pub(super) crashing: Option<&'static str>,
    pid: u32,
    pub(super) said: Vec<String>,
}

pub(super) fn service() -> MacService {
    MacService {
        tessera: USUAL_TESSERA.into(),
        launch: USUAL_LAUNCH.into(),
        state: USUAL_STATE.into(),
        ends: Cell::new(0),
    }
}

fn moved() -> MacService {
    MacService {
        launch: "/opt/tessera/tessera-maclaunch".into(),
        ..service()
    }
}

impl Fake {
    pub(super) fn joined() -> Self {
        let mut fake = Self::default();
        for name in ["launcher/dispatch.pub", "worker/cert.pem"] {
            let path = Path::new(USUAL_STATE).join(name);
            fake.host.files.insert(path, String::new());
        }
        fake
    }

    pub(super) fn installed() -> Self {
        let mut fake = Self::joined();
        assert!(switch::install(&service(), &mut fake, false).expect("installed"));
        fake.said.clear();
        fake.changes = 0;
        fake
    }

    fn is_failing(&mut self) -> bool {
        self.changes += 1;
        self.fails_at == Some(self.changes)
    }

    /// Does a part of a switch as the person whose desktop it is.
    fn as_person(&mut self, words: &[&str]) -> Answer {
        let part = words.iter().skip_while(|word| **word != "part").nth(1);
        let part = part.and_then(|it| WorkerPart::from_str(it, false).ok());
        let said = match carry_out(&agent(), part.expect("a part"), self) {
            Ok(said) => (true, said.trim().to_owned()),
            Err(error) => (false, format!("error: {}", error.message)),
        };
        let (is_good, said) = said;
        Answer { is_good, said }
    }

    fn carry_out(&mut self, words: &[&str]) -> Answer {
        let answer = |is_good, said: String| Answer { is_good, said };
        let label = |target: &str| {
            let (_, label) = target.rsplit_once('/').unwrap_or_default();
            label.to_owned()
        };
        let done = match words {
            ["launchctl", "print", "gui/501"] => true,
            ["launchctl", "print", target] => {
                let label = label(target);
                if self.crashing == Some(label.as_str()) {
                    self.pid += 1;
                }
                let state = if self.host.up.contains(&label) {
                    format!("\tstate = running\n\tpid = {}", self.pid)
                } else {
                    "\tstate = not running".to_owned()
                };
                return answer(
                    self.host.loaded.contains_key(&label),
                    format!("{{\n{state}\n}}"),
                );
            }
            ["launchctl", "enable", _] | ["install", "-d", ..] => true,
            ["launchctl", "bootstrap", "system" | "gui/501", path] => {
                let text = self.host.files.get(Path::new(path)).cloned();
                let name = Path::new(path).file_stem().unwrap_or_default();
                let label = name.to_string_lossy().into_owned();
                self.host.up.insert(label.clone());
                text.is_some_and(|text| self.host.loaded.insert(label, text).is_none())
            }
            ["launchctl", "bootout", target] => {
                self.host.up.remove(&label(target));
                self.host.loaded.remove(&label(target)).is_some()
            }
            ["launchctl", "kickstart", "-k", target] => {
                assert_ne!(*target, "system/tessera.launch", "never the launcher");
                self.restarts += 1;
                true
            }
            ["dscl", ".", "-list", folder, name] => {
                let records = self.host.records.iter();
                let own = records.filter(|(path, _)| path.starts_with(&format!("{folder}/")));
                let lines =
                    own.filter_map(|(path, it)| Some(format!("{path}   {}", it.get(*name)?)));
                let known = "_www  70\ndaemon   1\n_tester\t300".to_owned();
                return answer(true, lines.fold(known, |text, line| text + "\n" + &line));
            }
            ["dscl", ".", "-create", path] => {
                let records = &mut self.host.records;
                records
                    .insert((*path).to_owned(), BTreeMap::new())
                    .is_none()
            }
            ["dscl", ".", "-create", path, name, value] => {
                let record = self.host.records.get_mut(*path).expect("is there");
                record
                    .insert((*name).to_owned(), (*value).to_owned())
                    .is_none()
            }
            ["/bin/launchctl", "asuser", "501", ..] => return self.as_person(words),
            ["dscl", ".", "-delete", path] => self.host.records.remove(*path).is_some(),
            other => panic!("{other:?}"),
        };
        answer(done, String::new())
    }
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
        Ok(self.carry_out(words))
    }
    fn run(&mut self, words: &[&str]) -> Result<(), String> {
        let fails = self.is_failing();
        let answer = self.carry_out(words);
        if fails || !answer.is_good {
            return Err(format!("{}: it does not work", words.join(" ")));
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
    fn has_account(&mut self, name: &str) -> bool {
        self.host.records.contains_key(&format!("/Users/{name}"))
    }
    fn program_problem(&mut self, _path: &Path) -> Option<String> {
        self.untrusted.clone()
    }
    fn lock_holder(&mut self, _path: &Path) -> Option<i32> {
        None
    }
    fn launches(&mut self, _state: &Path) -> Result<usize, String> {
        let last = self.launches.front().copied().unwrap_or_default();
        if self.launches.len() > 1 {
            self.launches.pop_front();
        }
        Ok(last)
    }
    fn end_launches(&mut self, _state: &Path) -> Result<(), String> {
        panic!("the worker ends them")
    }
    fn lock_host(&mut self, _is_desktop: bool) -> Result<(), String> {
        self.host.is_locked = true;
        Ok(())
    }
    fn unlock_host(&mut self) -> Result<(), String> {
        self.host.is_locked = false;
        Ok(())
    }
    fn pause(&mut self) {}
}

#[test]
fn a_first_installation_makes_accounts_and_starts_the_launcher_first() {
    let mut fake = Fake::joined();
    assert!(switch::install(&service(), &mut fake, false).expect("installed"));
    let said = fake.said.join("\n");
    insta::assert_snapshot!(said, @r"
    dscl . -create /Groups/_tessera
    dscl . -create /Groups/_tessera PrimaryGroupID 301
    dscl . -create /Users/_tessera
    dscl . -create /Users/_tessera UniqueID 301
    dscl . -create /Users/_tessera PrimaryGroupID 301
    dscl . -create /Users/_tessera UserShell /usr/bin/false
    dscl . -create /Users/_tessera NFSHomeDirectory /var/empty
    dscl . -create /Users/_tessera RealName Tessera
    dscl . -create /Users/_tessera Password *
    dscl . -create /Users/_tessera IsHidden 1
    dscl . -create /Groups/_tessera-job
    dscl . -create /Groups/_tessera-job PrimaryGroupID 302
    dscl . -create /Users/_tessera-job
    dscl . -create /Users/_tessera-job UniqueID 302
    dscl . -create /Users/_tessera-job PrimaryGroupID 302
    dscl . -create /Users/_tessera-job UserShell /usr/bin/false
    dscl . -create /Users/_tessera-job NFSHomeDirectory /var/empty
    dscl . -create /Users/_tessera-job RealName Tessera
    dscl . -create /Users/_tessera-job Password *
    dscl . -create /Users/_tessera-job IsHidden 1
    install -d -o root -g wheel -m 0755 /Library/Application Support/Tessera
    install -d -o root -g wheel -m 0755 /Library/Application Support/Tessera/run
    install -d -o root -g wheel -m 0700 /Library/Application Support/Tessera/launcher
    install -d -o _tessera -g _tessera -m 0700 /Library/Application Support/Tessera/worker
    write /Library/LaunchDaemons/tessera.launch.plist
    write /Library/LaunchDaemons/tessera.worker.daemon.plist
    launchctl enable system/tessera.launch
    launchctl bootstrap system /Library/LaunchDaemons/tessera.launch.plist
    launchctl enable system/tessera.worker.daemon
    launchctl bootstrap system /Library/LaunchDaemons/tessera.worker.daemon.plist
    ");
}

#[test]
fn each_change_that_fails_leaves_everything_as_it_was() {
    for (start, half) in [
        (Fake::joined as fn() -> Fake, service()),
        (Fake::installed, moved()),
    ] {
        let mut fails_at = 1;
        loop {
            let mut fake = start();
            fake.fails_at = Some(fails_at);
            let before = fake.host.clone();
            match switch::install(&half, &mut fake, false) {
                Ok(_) if fake.changes < fails_at => break,
                Ok(_) => assert!(fake.said.iter().any(|it| it.contains("bootout"))),
                Err(error) => assert_eq!(fake.host, before, "change {fails_at}: {error:?}"),
            }
            fails_at += 1;
        }
        assert!(fails_at > 8, "there were changes to fail");
    }
}

#[test]
fn nothing_that_runs_is_ended_by_installing_again() {
    let mut fake = Fake::installed();
    fake.launches = [3].into();
    let before = fake.host.clone();
    assert!(switch::install(&service(), &mut fake, false).expect("nothing to do"));
    assert_eq!((&fake.host, fake.restarts), (&before, 0));
    let error = switch::install(&moved(), &mut fake, false).expect_err("would end them");
    assert_eq!((error.exit, &fake.host), (Exit::State, &before));
}

#[test]
fn who_has_joined_nothing_gets_accounts_and_is_told_how() {
    let mut fake = Fake::default();
    assert!(!switch::install(&service(), &mut fake, false).expect("prepared"));
    assert!(fake.host.loaded.is_empty() && fake.has_account("_tessera"));
    let is_told = |it: &String| it.contains("sudo tessera join STRING");
    assert!(fake.said.iter().any(is_told), "{:?}", fake.said);
}

#[test]
fn programs_that_others_can_change_are_no_services() {
    let mut fake = Fake::joined();
    fake.untrusted = Some("/opt belongs to uid 501, not to root".into());
    let error = switch::install(&service(), &mut fake, false).expect_err("refused");
    assert_eq!((error.exit, fake.changes), (Exit::Denied, 0));
}

#[test]
fn a_daemon_that_does_not_stay_up_is_named() {
    for crashing in ["tessera.launch", "tessera.worker.daemon"] {
        let mut fake = Fake::joined();
        fake.crashing = Some(crashing);
        let error = switch::install(&service(), &mut fake, false).expect_err("it crashes");
        assert!(error.message.starts_with(crashing), "{error:?}");
    }
}

#[test]
fn uninstalling_has_work_put_back_and_leaves_accounts() {
    let mut fake = Fake::installed();
    fake.launches = [2, 2, 2, 0].into();
    switch::uninstall(&service(), Running::End, &mut fake, false).expect("removed");
    assert_eq!(fake.restarts, 1);
    assert!(fake.host.loaded.is_empty() && !fake.host.is_locked);
    assert!(!fake.exists(&job("tessera.launch").plist));
    assert!(fake.has_account("_tessera"));
}

#[test]
fn without_a_free_number_no_account_is_made() {
    let mut fake = Fake::default();
    for id in IDS {
        let record = BTreeMap::from([("UniqueID".to_owned(), id.to_string())]);
        fake.host.records.insert(format!("/Users/u{id}"), record);
    }
    let before = fake.host.clone();
    switch::install(&service(), &mut fake, false).expect_err("no number");
    assert_eq!(fake.host, before);
}

#[test]
fn the_files_are_property_lists_that_say_what_is_meant() {
    let half = MacService {
        tessera: "/opt/a&b/tessera".into(),
        launch: "/opt/a&b/tessera-maclaunch".into(),
        state: "/Volumes/farm".into(),
        ..service()
    };
    let [(_, launch), (_, worker)] = half.files().expect("good paths");
    let (Some(launch), Some(worker)) = (parsed(&launch), parsed(&worker)) else {
        return;
    };
    let words = [
        "/opt/a&b/tessera-maclaunch",
        "launcher",
        "--state",
        "/Volumes/farm",
    ];
    assert_eq!(launch["ProgramArguments"], serde_json::json!(words));
    assert_eq!(launch["Label"], "tessera.launch");
    // Root's, which is what there is when nobody is named.
    assert!(launch.get("UserName").is_none());
    let words = ["/opt/a&b/tessera", "worker", "--state", "/Volumes/farm"];
    assert_eq!(worker["ProgramArguments"], serde_json::json!(words));
    assert_eq!(worker["UserName"], "_tessera");
    assert_eq!(
        worker["StandardErrorPath"],
        "/Volumes/farm/worker/worker.log"
    );
    for file in [launch, worker] {
        assert_eq!(
            (&file["RunAtLoad"], &file["KeepAlive"]),
            (&true.into(), &true.into())
        );
    }
}
