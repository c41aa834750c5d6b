//! The order of steps, every failure and every way back, with a system that is made up.

use super::desktop::OwnDesktop;
use super::half::Half;
use super::person::{DesktopOf, Way};
use super::service::{Daemons, Service};
use super::switch::{self, Running};
use super::system::{Answer, System};
use super::units::{LAUNCH_UNIT, Paths, WORKER_UNIT};
use crate::Exit;
use crate::error::CliError;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

const POLICY: &str = "/var/lib/tessera/launcher/policy";

/// What a switch may change, and has to put back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Host {
    files: BTreeMap<PathBuf, String>,
    active: BTreeSet<String>,
    enabled: BTreeSet<String>,
    /// The desktop of somebody else: installed, running.
    desktop: (bool, bool),
    is_locked: bool,
}

/// A system that is made up.
#[derive(Debug, Default)]
struct Fake {
    host: Host,
    accounts: BTreeSet<String>,
    has_systemd: bool,
    has_manager: bool,
    /// Units that start and end again at once.
    crashing: BTreeSet<String>,
    /// The change with this number fails, half done.
    fails_at: Option<usize>,
    changes: usize,
    /// Commands that begin so fail always.
    fails_on: Vec<String>,
    /// Instances at each look; the last stays.
    launches: VecDeque<usize>,
    ended: usize,
    may_lock: bool,
    holder: Option<i32>,
    untrusted: Option<String>,
    is_desktop_joined: bool,
    starts: usize,
    said: Vec<String>,
}

impl Fake {
    fn booted() -> Self {
        let accounts = ["tessera", "tessera-shepherd", "tessera-job"];
        let mut fake = Self {
            has_systemd: true,
            may_lock: true,
            is_desktop_joined: true,
            accounts: accounts.map(str::to_owned).into(),
            ..Self::default()
        };
        for file in ["worker/cert.pem", "launcher/dispatch.pub"] {
            let path = Path::new("/var/lib/tessera").join(file);
            fake.host.files.insert(path, String::new());
        }
        fake
    }

    /// With a service that runs.
    fn with_service() -> Self {
        let mut fake = Self::booted();
        switch::install(&service(), &mut fake, false).expect("installed");
        fake.said.clear();
        fake.changes = 0;
        fake
    }

    /// Counts a change; answers whether it is the one to fail.
    fn is_failing(&mut self) -> bool {
        self.changes += 1;
        self.fails_at == Some(self.changes)
    }

    fn systemctl(&mut self, words: &[&str]) -> Answer {
        let (user, words) = match words {
            ["--user", rest @ ..] => ("user:", rest),
            rest => ("", rest),
        };
        let unit = format!("{user}{}", words.last().copied().unwrap_or_default());
        let good = |said: &str| Answer {
            is_good: true,
            said: said.to_owned(),
        };
        let has = |set: &BTreeSet<String>, yes: &str, no: &str| {
            good(if set.contains(&unit) { yes } else { no })
        };
        match words.first().copied().unwrap_or_default() {
            "is-active" => has(&self.host.active, "active", "inactive"),
            "is-enabled" => has(&self.host.enabled, "enabled", "disabled"),
            "show" if self.crashing.contains(&unit) => {
                self.starts += 1;
                good(&format!("ActiveState=active\nNRestarts={}", self.starts))
            }
            "show" => has(
                &self.host.active,
                "ActiveState=active\nNRestarts=0",
                "ActiveState=inactive",
            ),
            verb => {
                match verb {
                    "enable" => drop(self.host.enabled.insert(unit)),
                    "disable" => drop(self.host.enabled.remove(&unit)),
                    "start" | "restart" => drop(self.host.active.insert(unit)),
                    "stop" => drop(self.host.active.remove(&unit)),
                    _ => {}
                }
                good("")
            }
        }
    }

    fn part(&mut self, part: &str) -> Answer {
        let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
        let said = match part {
            "joined" => yes(self.is_desktop_joined),
            "installed" => yes(self.host.desktop.0),
            "running" => yes(self.host.desktop.1),
            "count" => self.next_launches().to_string(),
            "end" => {
                self.ended += 1;
                String::new()
            }
            "prepare" => {
                self.host.desktop.0 = true;
                String::new()
            }
            "remove" => {
                self.host.desktop.0 = false;
                String::new()
            }
            "start" | "restore" => {
                self.host.desktop.1 = true;
                String::new()
            }
            "stop" => {
                self.host.desktop.1 = false;
                String::new()
            }
            _ => String::new(),
        };
        if part == "diagnose" && self.crashing.contains("desktop") {
            return Answer {
                is_good: false,
                said: "error: they do not stay up\n  NRestarts=9\nhint: journalctl --user"
                    .to_owned(),
            };
        }
        Answer {
            is_good: true,
            said,
        }
    }

    fn next_launches(&mut self) -> usize {
        if self.launches.len() > 1 {
            self.launches.pop_front().unwrap_or_default()
        } else {
            self.launches.front().copied().unwrap_or_default()
        }
    }

    fn carry_out(&mut self, words: &[&str]) -> Answer {
        match words {
            ["systemctl", rest @ ..] => self.systemctl(rest),
            ["runuser", ..] => {
                let part = words.iter().skip_while(|word| **word != "part").nth(1);
                self.part(part.copied().unwrap_or_default())
            }
            ["useradd", .., name] => {
                self.accounts.insert((*name).to_owned());
                Answer {
                    is_good: true,
                    said: String::new(),
                }
            }
            _ => Answer {
                is_good: true,
                said: String::new(),
            },
        }
    }
}

impl System for Fake {
    fn say(&mut self, line: &str) {
        self.said.push(line.to_owned());
    }
    fn has_systemd(&mut self) -> bool {
        self.has_systemd
    }
    fn no_manager(&mut self) -> Option<CliError> {
        (!self.has_systemd).then(super::systemd::is_missing)
    }
    fn has_user_manager(&mut self) -> bool {
        self.has_manager
    }
    fn ask(&mut self, words: &[&str]) -> Result<Answer, String> {
        Ok(self.carry_out(words))
    }
    fn run(&mut self, words: &[&str]) -> Result<(), String> {
        let fails = self.is_failing();
        let line = words.join(" ");
        let answer = self.carry_out(words);
        if fails || !answer.is_good || self.fails_on.iter().any(|it| line.starts_with(it)) {
            return Err(format!("{line}: it does not work"));
        }
        Ok(())
    }
    fn read(&mut self, path: &Path) -> Result<Option<String>, String> {
        Ok(self.host.files.get(path).cloned())
    }
    fn write(&mut self, path: &Path, text: &str, _mode: u32) -> Result<(), String> {
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
        self.accounts.contains(name)
    }
    fn program_problem(&mut self, _path: &Path) -> Option<String> {
        self.untrusted.clone()
    }
    fn lock_holder(&mut self, _path: &Path) -> Option<i32> {
        self.holder
    }
    fn launches(&mut self, _state: &Path) -> Result<usize, String> {
        Ok(self.next_launches())
    }
    fn end_launches(&mut self, _state: &Path) -> Result<(), String> {
        self.ended += 1;
        Ok(())
    }
    fn lock_host(&mut self, _is_desktop: bool) -> Result<(), String> {
        if !self.may_lock {
            return Err("no farm found".to_owned());
        }
        self.host.is_locked = true;
        Ok(())
    }
    fn unlock_host(&mut self) -> Result<(), String> {
        self.host.is_locked = false;
        Ok(())
    }
    fn pause(&mut self) {}
}

fn paths() -> Paths {
    let path = Path::new;
    let launch = path("/usr/bin/tessera-launch");
    Paths::new(path("/usr/bin/tessera"), launch, path("/var/lib/tessera")).expect("plain")
}

fn service() -> Service {
    Service {
        paths: paths(),
        daemons: Daemons::Worker,
    }
}

fn desktop() -> DesktopOf {
    DesktopOf {
        name: "mia".into(),
        uid: 1_001,
        home: "/h/mia".into(),
        tessera: "/usr/bin/tessera".into(),
        state: None,
        way: Way::Linux,
        ends: std::cell::Cell::new(0),
    }
}

fn own_desktop() -> OwnDesktop {
    let state = Path::new("/h/mia/.local/state/tessera");
    let path = Path::new;
    OwnDesktop {
        paths: Paths::new(
            path("/usr/bin/tessera"),
            path("/usr/bin/tessera-launch"),
            state,
        )
        .expect("plain"),
        usual_state: state.to_owned(),
        config: "/h/mia/.config".into(),
        is_root: false,
    }
}

/// With the account's environment cut out: it is the same everywhere.
fn told(fake: &Fake) -> String {
    let short = |line: &String| match (line.find("-- env -i"), line.find("/usr/bin/tessera worker"))
    {
        (Some(from), Some(to)) => format!("{}… {}", &line[..from], &line[to..]),
        _ => line.clone(),
    };
    let lines: Vec<String> = fake.said.iter().map(short).collect();
    lines.join("\n")
}

#[test]
fn a_first_installation_makes_everything_and_starts() {
    let mut fake = Fake::booted();
    fake.accounts.clear();
    assert!(switch::install(&service(), &mut fake, false).expect("installed"));
    insta::assert_snapshot!(told(&fake), @r"
    useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /bin/false tessera
    useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /bin/false tessera-shepherd
    useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /bin/false tessera-job
    install -d -o root -g root -m 0755 /var/lib/tessera
    install -d -o root -g root -m 1775 /var/lib/tessera/run
    install -d -o root -g root -m 0700 /var/lib/tessera/launcher
    install -d -o tessera -g tessera -m 0700 /var/lib/tessera/worker
    write /var/lib/tessera/launcher/policy
    write /etc/systemd/system/tessera-launch.service
    write /etc/systemd/system/tessera-worker.service
    systemctl daemon-reload
    systemctl enable tessera-launch.service
    systemctl enable tessera-worker.service
    systemctl restart tessera-launch.service
    systemctl restart tessera-worker.service
    ");
    assert_eq!(fake.host.active.len(), 2);
    let policy = &fake.host.files[Path::new(POLICY)];
    assert!(policy.contains("\nmodes = proxy, user\n"));
}

/// Puts the units of a package there, as `contrib` has them.
fn add_package(fake: &mut Fake) {
    for (unit, text) in [
        (LAUNCH_UNIT, paths().launch_unit()),
        (WORKER_UNIT, paths().worker_unit()),
    ] {
        let path = Path::new("/usr/lib/systemd/system").join(unit);
        fake.host.files.insert(path, text);
    }
}

fn own_units(fake: &Fake) -> Vec<&PathBuf> {
    let files = fake.host.files.keys();
    files.filter(|path| path.starts_with("/etc")).collect()
}

#[test]
fn units_of_a_package_are_used_and_not_hidden() {
    let mut fake = Fake::booted();
    add_package(&mut fake);
    assert!(!service().is_installed(&mut fake).expect("told"));
    assert!(switch::install(&service(), &mut fake, false).expect("installed"));
    assert_eq!(own_units(&fake), Vec::<&PathBuf>::new());
    assert!(service().is_installed(&mut fake).expect("told"));
    switch::uninstall(&service(), Running::Refuse, &mut fake, false).expect("removed");
    assert!(fake.host.active.is_empty() && fake.host.enabled.is_empty());
    assert!(!service().is_installed(&mut fake).expect("told"));
    assert_eq!(fake.host.files.len(), 5, "the package's files stay");
}

#[test]
fn units_from_before_a_package_give_way_to_it() {
    let mut fake = Fake::with_service();
    add_package(&mut fake);
    switch::install(&service(), &mut fake, false).expect("installed");
    assert_eq!(own_units(&fake), Vec::<&PathBuf>::new());
    assert_eq!(fake.host.active.len(), 2);
}

#[test]
fn a_package_of_other_paths_is_no_unit_of_ours() {
    let mut fake = Fake::booted();
    add_package(&mut fake);
    let path = Path::new;
    let own = Service {
        paths: Paths::new(
            path("/usr/local/bin/tessera"),
            path("/usr/local/bin/tessera-launch"),
            path("/var/lib/tessera"),
        )
        .expect("plain"),
        daemons: Daemons::Worker,
    };
    switch::install(&own, &mut fake, false).expect("installed");
    assert_eq!(own_units(&fake).len(), 2);
}

#[test]
fn a_policy_that_is_there_stays() {
    let mut fake = Fake::booted();
    let own = "modes = proxy\n".to_owned();
    fake.host.files.insert(POLICY.into(), own.clone());
    switch::install(&service(), &mut fake, false).expect("installed");
    assert_eq!(fake.host.files[Path::new(POLICY)], own);
}

#[test]
fn without_systemd_files_are_written_and_nothing_is_started() {
    let mut fake = Fake::booted();
    fake.has_systemd = false;
    assert!(!switch::install(&service(), &mut fake, false).expect("written"));
    assert!(fake.host.active.is_empty());
    assert_eq!(fake.host.enabled.len(), 2);
}

#[test]
fn a_host_that_has_not_joined_is_told_how() {
    let mut fake = Fake::booted();
    fake.host
        .files
        .retain(|path, _| !path.ends_with("cert.pem"));
    assert!(!switch::install(&service(), &mut fake, false).expect("written"));
    let said = fake.said.last().expect("something");
    assert!(said.contains("sudo tessera join STRING"), "{said}");
}

#[test]
fn a_dry_run_changes_nothing() {
    for to_desktop in [false, true] {
        let mut fake = Fake::with_service();
        fake.launches = [3].into();
        let before = fake.host.clone();
        let (service, desktop) = (service(), desktop());
        if to_desktop {
            let done = switch::set_mode(&service, &desktop, Running::End, &mut fake, true);
            done.expect("said");
        } else {
            switch::install(&service, &mut fake, true).expect("said");
        }
        assert_eq!((fake.changes, fake.ended), (0, 0));
        assert_eq!(fake.host, before);
    }
}

#[test]
fn to_the_desktop_in_this_order() {
    let mut fake = Fake::with_service();
    fake.launches = [2, 2, 1, 0].into();
    let done = switch::set_mode(&service(), &desktop(), Running::Wait, &mut fake, false);
    done.expect("changed");
    insta::assert_snapshot!(told(&fake), @r"
    this host is locked at the farm until this is done; if you interrupt it: tessera unlock HOST
    waiting for 2 instances of jobs
    waiting for 1 instance of a job
    runuser -u mia … /usr/bin/tessera worker part prepare
    systemctl stop tessera-worker.service
    systemctl disable tessera-worker.service
    systemctl stop tessera-launch.service
    systemctl disable tessera-launch.service
    runuser -u mia … /usr/bin/tessera worker part start
    this host is no longer locked for this
    the worker is in mode desktop
    ");
    assert!(fake.host.active.is_empty() && fake.host.enabled.is_empty());
    assert_eq!(
        (fake.host.desktop, fake.host.is_locked),
        ((true, true), false)
    );
    assert_eq!(fake.ended, 0);
}

#[test]
fn to_the_service_in_this_order() {
    let mut fake = Fake::booted();
    fake.host.desktop = (true, true);
    fake.launches = [1, 1, 0].into();
    let done = switch::set_mode(&desktop(), &service(), Running::End, &mut fake, false);
    done.expect("changed");
    insta::assert_snapshot!(told(&fake), @r"
    this host is locked at the farm until this is done; if you interrupt it: tessera unlock HOST
    end 1 instance of a job
    install -d -o root -g root -m 0755 /var/lib/tessera
    install -d -o root -g root -m 1775 /var/lib/tessera/run
    install -d -o root -g root -m 0700 /var/lib/tessera/launcher
    install -d -o tessera -g tessera -m 0700 /var/lib/tessera/worker
    write /var/lib/tessera/launcher/policy
    write /etc/systemd/system/tessera-launch.service
    write /etc/systemd/system/tessera-worker.service
    systemctl daemon-reload
    runuser -u mia … /usr/bin/tessera worker part stop
    systemctl enable tessera-launch.service
    systemctl enable tessera-worker.service
    systemctl restart tessera-launch.service
    systemctl restart tessera-worker.service
    this host is no longer locked for this
    the worker is in mode service
    ");
    assert_eq!(fake.host.desktop, (true, false));
    assert!(fake.host.active.contains(LAUNCH_UNIT) && fake.host.active.contains(WORKER_UNIT));
    assert!(fake.ended >= 1);
}

/// Carries a switch out with each of its changes failing in turn; the host must be as before each time.
fn fails_everywhere(
    make: impl Fn() -> Fake,
    go: impl Fn(&mut Fake) -> Result<(), crate::CliError>,
) {
    let mut fake = make();
    go(&mut fake).expect("it works");
    let changes = fake.changes;
    assert!(changes >= 4, "{changes}");
    for step in 1..=changes {
        let mut fake = make();
        let mut before = fake.host.clone();
        fake.fails_at = Some(step);
        let error = go(&mut fake).expect_err("a step fails");
        // Accounts and folders stay, and are no part of the picture.
        before.is_locked = false;
        assert_eq!(fake.host, before, "step {step}: {error:?}\n{}", told(&fake));
    }
}

#[test]
fn whatever_fails_the_old_mode_is_back() {
    fails_everywhere(Fake::with_service, |fake| {
        switch::set_mode(&service(), &desktop(), Running::Wait, fake, false)
    });
    let with_desktop = || {
        let mut fake = Fake::booted();
        fake.host.desktop = (true, true);
        fake
    };
    fails_everywhere(with_desktop, |fake| {
        switch::set_mode(&desktop(), &service(), Running::End, fake, false)
    });
}

#[test]
fn whatever_fails_nothing_is_half_installed() {
    fails_everywhere(Fake::booted, |fake| {
        switch::install(&service(), fake, false).map(drop)
    });
    fails_everywhere(Fake::with_service, |fake| {
        switch::uninstall(&service(), Running::Refuse, fake, false)
    });
    let desktop = || Fake {
        has_manager: true,
        ..Fake::booted()
    };
    fails_everywhere(desktop, |fake| {
        switch::install(&own_desktop(), fake, false).map(drop)
    });
    let with_package = || {
        let mut fake = Fake::with_service();
        add_package(&mut fake);
        fake
    };
    fails_everywhere(with_package, |fake| {
        switch::install(&service(), fake, false).map(drop)
    });
}

#[test]
fn a_mode_that_does_not_stay_up_is_undone() {
    let mut fake = Fake::booted();
    fake.host.desktop = (true, true);
    fake.crashing.insert(WORKER_UNIT.to_owned());
    let before = fake.host.clone();
    let done = switch::set_mode(&desktop(), &service(), Running::Wait, &mut fake, false);
    let error = done.expect_err("it crashes");
    assert!(error.message.contains("do not stay up"), "{error:?}");
    assert!(error.details.iter().any(|it| it.contains("as it was")));
    assert!(error.hints.iter().any(|it| it.contains("journalctl")));
    assert_eq!(fake.host, before);

    let mut fake = Fake::with_service();
    fake.crashing.insert("desktop".to_owned());
    let before = fake.host.clone();
    let done = switch::set_mode(&service(), &desktop(), Running::Wait, &mut fake, false);
    let error = done.expect_err("it crashes");
    assert_eq!(
        error.message,
        "the desktop worker of mia (diagnose): they do not stay up"
    );
    assert_eq!(error.hints, ["as mia: journalctl --user"]);
    assert_eq!(fake.host, before);
}

#[test]
fn an_update_that_does_not_stay_up_is_undone() {
    let mut fake = Fake::with_service();
    let unit = Path::new("/etc/systemd/system").join(WORKER_UNIT);
    fake.host.files.insert(unit.clone(), "an older one".into());
    fake.crashing.insert(WORKER_UNIT.to_owned());
    switch::install(&service(), &mut fake, false).expect_err("it crashes");
    assert_eq!(fake.host.files[&unit], "an older one");
    let restart = format!("undo: systemctl restart {WORKER_UNIT}");
    assert!(fake.said.contains(&restart), "{}", told(&fake));
}

#[test]
fn what_can_not_be_undone_is_told() {
    let mut fake = Fake::with_service();
    fake.crashing.insert("desktop".to_owned());
    fake.fails_on = vec![format!("systemctl start {WORKER_UNIT}")];
    let done = switch::set_mode(&service(), &desktop(), Running::Wait, &mut fake, false);
    let error = done.expect_err("it crashes");
    let told = |it: &String| it.contains("could not be undone: systemctl start");
    assert!(error.details.iter().any(told), "{error:?}");
    assert!(fake.host.active.contains(LAUNCH_UNIT), "the rest is undone");
}

#[test]
fn work_is_never_left_behind() {
    // Late work, which comes between the last look and the stop.
    let mut fake = Fake::with_service();
    fake.launches = [0, 0, 1].into();
    let before = fake.host.clone();
    let done = switch::set_mode(&service(), &desktop(), Running::Wait, &mut fake, false);
    assert_eq!(done.expect_err("work").exit, Exit::State);
    assert_eq!(fake.host, before);

    // Work that is not to be waited for or ended.
    fake.launches = [1].into();
    let done = switch::uninstall(&service(), Running::Refuse, &mut fake, false);
    let error = done.expect_err("work");
    assert!(error.hints[0].contains("--wait"), "{error:?}");

    // A worker that is down can't report.
    fake.host.active.clear();
    let done = switch::uninstall(&service(), Running::End, &mut fake, false);
    assert_eq!(done.expect_err("work").exit, Exit::State);

    // A supervisor that does not acknowledge.
    let mut fake = Fake::with_service();
    fake.launches = [1].into();
    let before = fake.host.clone();
    let done = switch::set_mode(&service(), &desktop(), Running::End, &mut fake, false);
    done.expect_err("not acknowledged");
    assert_eq!(fake.host, before, "and not locked");
}

#[test]
fn a_host_that_can_not_be_locked_is_waited_for_all_the_same() {
    let mut fake = Fake::with_service();
    fake.may_lock = false;
    let done = switch::set_mode(&service(), &desktop(), Running::Wait, &mut fake, false);
    done.expect("changed");
    assert!(told(&fake).contains("an administrator locks it"));
}

#[test]
fn without_a_lock_work_is_ended_once_and_not_each_time_it_comes_back() {
    let mut fake = Fake::with_service();
    fake.may_lock = false;
    fake.launches = [1].into();
    let before = fake.host.clone();
    let done = switch::set_mode(&service(), &desktop(), Running::End, &mut fake, false);
    let error = done.expect_err("it comes back");
    assert!(error.hints[0].contains("tessera lock"), "{error:?}");
    assert_eq!((fake.ended, fake.host), (1, before));
}

#[test]
fn a_mode_without_enrolment_is_refused_before_anything_is_done() {
    let mut fake = Fake::with_service();
    fake.is_desktop_joined = false;
    let done = switch::set_mode(&service(), &desktop(), Running::End, &mut fake, false);
    let error = done.expect_err("not joined");
    assert!(error.hints[0].contains("join --desktop"), "{error:?}");
    assert_eq!((fake.changes, fake.ended), (0, 0));
}

#[test]
fn without_systemd_there_is_nothing_to_change() {
    let mut fake = Fake::with_service();
    fake.has_systemd = false;
    let done = switch::set_mode(&service(), &desktop(), Running::End, &mut fake, false);
    assert_eq!(done.expect_err("refused").exit, Exit::State);
    assert_eq!((fake.changes, fake.ended), (0, 0));
}

#[test]
fn the_mode_that_is_there_is_kept() {
    let mut fake = Fake::with_service();
    let done = switch::set_mode(&desktop(), &service(), Running::End, &mut fake, false);
    done.expect("nothing to do");
    assert_eq!((fake.changes, fake.ended), (0, 0));
}

#[test]
fn daemons_of_somebody_else_are_in_the_way() {
    let mut fake = Fake::booted();
    fake.holder = Some(4_242);
    for half in [&service() as &dyn Half, &own_desktop()] {
        let error = switch::install(half, &mut fake, false).expect_err("in the way");
        assert!(error.message.contains("4242"), "{error:?}");
        assert_eq!((error.exit, fake.changes), (Exit::State, 0));
    }
}

#[test]
fn programs_that_others_can_change_are_no_services() {
    let mut fake = Fake::booted();
    fake.untrusted = Some("/opt can be written by others than root".into());
    let error = switch::install(&service(), &mut fake, false).expect_err("refused");
    assert_eq!((error.exit, fake.changes), (Exit::Denied, 0));
}

#[test]
fn a_desktop_without_a_service_manager_starts_at_login() {
    let mut fake = Fake::booted();
    let own = own_desktop();
    assert!(!switch::install(&own, &mut fake, false).expect("written"));
    let entry = Path::new("/h/mia/.config/autostart/tessera-worker.desktop");
    assert!(fake.host.files[entry].contains("\nExec=/usr/bin/tessera worker --desktop\n"));
    switch::uninstall(&own, Running::Refuse, &mut fake, false).expect("removed");
    assert!(!fake.host.files.contains_key(entry));
    let root = OwnDesktop {
        is_root: true,
        ..own
    };
    let error = switch::install(&root, &mut fake, false).expect_err("never as root");
    assert_eq!(error.exit, Exit::Usage);
}

#[test]
fn a_desktop_with_one_has_a_unit() {
    let mut fake = Fake::booted();
    fake.has_manager = true;
    let own = own_desktop();
    let cert = "/h/mia/.local/state/tessera/worker/cert.pem";
    fake.host.files.insert(cert.into(), String::new());
    assert!(switch::install(&own, &mut fake, false).expect("installed"));
    insta::assert_snapshot!(told(&fake), @r"
    write /h/mia/.config/systemd/user/tessera-worker.service
    systemctl --user daemon-reload
    systemctl --user enable tessera-worker.service
    systemctl --user restart tessera-worker.service
    ");
}
