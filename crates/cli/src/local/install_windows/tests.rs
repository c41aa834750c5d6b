//! Installing on a Windows that is made up.

use super::host::{Host, Service, State};
use super::steps::{
    LAUNCH, Places, WORKER, install_desktop, install_service, services, set_mode,
    uninstall_desktop, uninstall_service,
};
use super::{Standing, standings};
use crate::Exit;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

#[derive(Default)]
struct Fake {
    is_user: bool,
    is_in_downloads: bool,
    /// What fails, and with which service.
    fails: Option<(&'static str, &'static str)>,
    services: BTreeMap<String, State>,
    autostart: Option<String>,
    files: BTreeSet<PathBuf>,
    running: usize,
    did: Vec<String>,
}

impl Fake {
    fn act(&mut self, what: &'static str, name: &str) -> Result<(), String> {
        if self.fails == Some((what, if name == WORKER { WORKER } else { LAUNCH })) {
            return Err("broken".to_owned());
        }
        self.did.push(format!("{what} {name}"));
        Ok(())
    }

    fn joined(mut self, places: &Places) -> Self {
        self.files = [
            places.service.join("launcher").join("dispatch.pub"),
            places.service.join("worker").join("cert.pem"),
            places.desktop.join("worker").join("cert.pem"),
        ]
        .into();
        self
    }
}

impl Host for Fake {
    fn say(&mut self, _line: &str) {}
    fn is_administrator(&mut self) -> bool {
        !self.is_user
    }
    fn programs(&mut self) -> Result<(PathBuf, PathBuf), String> {
        let at = |name: &str| PathBuf::from(format!(r"C:\Program Files\Tessera\{name}.exe"));
        Ok((at("tessera"), at("tessera-winlaunch")))
    }
    fn program_problem(&mut self, _path: &Path) -> Option<String> {
        self.is_in_downloads
            .then(|| "anybody may write there".to_owned())
    }
    fn exists(&mut self, path: &Path) -> bool {
        self.files.contains(path)
    }
    fn count(&mut self, _path: &Path) -> Result<usize, String> {
        Ok(self.running)
    }
    fn service(&mut self, name: &str) -> Result<Option<State>, String> {
        Ok(self.services.get(name).copied())
    }
    fn install(&mut self, service: &Service) -> Result<Vec<String>, String> {
        self.act("install", service.name)?;
        self.services
            .insert(service.name.to_owned(), State::Stopped);
        Ok(Vec::new())
    }
    fn start(&mut self, name: &str) -> Result<(), String> {
        self.act("start", name)?;
        self.services.insert(name.to_owned(), State::Running);
        Ok(())
    }
    fn stop(&mut self, name: &str) -> Result<(), String> {
        self.act("stop", name)?;
        self.services.insert(name.to_owned(), State::Between);
        Ok(())
    }
    fn delete(&mut self, name: &str) -> Result<(), String> {
        self.act("delete", name)?;
        self.services.remove(name);
        Ok(())
    }
    fn protect(&mut self, _state: &Path) -> Result<(), String> {
        self.act("protect", "")
    }
    fn autostart(&mut self) -> Result<Option<String>, String> {
        Ok(self.autostart.clone())
    }
    fn set_autostart(&mut self, command: Option<&str>) -> Result<(), String> {
        self.autostart = command.map(str::to_owned);
        Ok(())
    }
    fn pause(&mut self) {
        for state in self.services.values_mut() {
            if *state == State::Between {
                *state = State::Stopped;
            }
        }
    }
}

fn places() -> Places {
    Places {
        service: PathBuf::from(r"C:\ProgramData\Tessera"),
        desktop: PathBuf::from(r"C:\Users\mia\AppData\Local\Tessera"),
        is_usual_desktop: true,
    }
}

#[test]
fn w06_programs_stand_in_quotes_and_the_worker_has_no_rights() {
    let [launch, worker] = services(
        Path::new(r"C:\Program Files\x y\tessera.exe"),
        Path::new(r"C:\Program Files\x y\tessera-winlaunch.exe"),
        Path::new(r"C:\Program Data\T"),
    );
    assert_eq!(
        launch.command,
        r#""C:\Program Files\x y\tessera-winlaunch.exe" service --state "C:\Program Data\T""#
    );
    assert_eq!(
        worker.command,
        r#""C:\Program Files\x y\tessera.exe" worker --as-service --state "C:\Program Data\T""#
    );
    assert_eq!(
        (launch.account, worker.account),
        (None, Some(r"NT SERVICE\TesseraWorker"))
    );
    assert_eq!(worker.privileges, ["SeChangeNotifyPrivilege"]);
    assert!(!launch.privileges.contains(&"SeDebugPrivilege"));
    assert_eq!(worker.needs, Some(LAUNCH));
}

#[test]
fn services_are_made_protected_and_started_in_order() {
    let mut host = Fake::default().joined(&places());
    assert!(install_service(&mut host, &places(), false).expect("installs"));
    let did = [
        "install TesseraLaunch",
        "install TesseraWorker",
        "protect ",
        "start TesseraLaunch",
        "start TesseraWorker",
    ];
    assert_eq!(host.did, did);
    uninstall_service(&mut host, &places(), false, false).expect("uninstalls");
    let did = [
        "stop TesseraWorker",
        "delete TesseraWorker",
        "stop TesseraLaunch",
        "delete TesseraLaunch",
    ];
    assert_eq!(host.did[5..], did);
    assert!(host.services.is_empty());
}

#[test]
fn without_a_farm_nothing_is_started_and_a_dry_run_does_nothing() {
    let mut host = Fake::default();
    assert!(!install_service(&mut host, &places(), false).expect("installs"));
    assert!(
        !host.did.iter().any(|it| it.starts_with("start")),
        "{:?}",
        host.did
    );
    let mut host = Fake {
        is_user: true,
        ..Fake::default()
    }
    .joined(&places());
    install_service(&mut host, &places(), true).expect("says");
    install_desktop(&mut host, &places(), true).expect("says");
    set_mode(&mut host, &places(), true, true, true).expect("says");
    assert!(host.did.is_empty() && host.autostart.is_none());
}

#[test]
fn what_fails_is_taken_back() {
    for fails in [
        ("install", LAUNCH),
        ("install", WORKER),
        ("protect", LAUNCH),
    ] {
        let mut host = Fake {
            fails: Some(fails),
            ..Fake::default()
        }
        .joined(&places());
        install_service(&mut host, &places(), false).expect_err("fails");
        assert!(host.services.is_empty(), "{fails:?}");
        assert!(
            !host.did.iter().any(|it| it.starts_with("start")),
            "{:?}",
            host.did
        );
    }
}

#[test]
fn who_is_no_administrator_or_runs_from_anywhere_is_refused() {
    let mut host = Fake {
        is_user: true,
        ..Fake::default()
    };
    let error = install_service(&mut host, &places(), false).expect_err("refused");
    assert_eq!(error.exit, Exit::Denied);
    let mut host = Fake {
        is_in_downloads: true,
        ..Fake::default()
    };
    let error = install_service(&mut host, &places(), false).expect_err("refused");
    assert!(
        error.message.contains("anybody may write there"),
        "{}",
        error.message
    );
    let mut odd = places();
    odd.service = PathBuf::from("C:\\x\" & evil");
    install_service(&mut Fake::default(), &odd, false).expect_err("refused");
    assert!(host.did.is_empty());
}

#[test]
fn work_that_runs_is_not_ended_unasked() {
    let mut host = Fake::default().joined(&places());
    install_service(&mut host, &places(), false).expect("installs");
    host.running = 2;
    let error = uninstall_service(&mut host, &places(), false, false).expect_err("refused");
    assert_eq!(error.exit, Exit::State);
    assert_eq!(host.services.len(), 2);
    // A change of the mode that fails leaves no second worker.
    set_mode(&mut host, &places(), false, false, false).expect_err("refused");
    assert!(host.autostart.is_none() && host.services.len() == 2);
    set_mode(&mut host, &places(), false, true, false).expect("changes");
    assert!(host.autostart.is_some() && host.services.is_empty());
}

#[test]
fn the_mode_changes_back_and_forth_and_is_told() {
    let mut host = Fake::default().joined(&places());
    install_desktop(&mut host, &places(), false).expect("installs");
    assert_eq!(
        host.autostart.as_deref(),
        Some(r#""C:\Program Files\Tessera\tessera.exe" worker --desktop"#)
    );
    set_mode(&mut host, &places(), true, true, false).expect("changes");
    assert!(host.autostart.is_none());
    let standing = |mode, installed, running| Standing {
        mode,
        installed,
        running,
        joined: true,
    };
    let told = standings(&mut host, &places()).expect("looks");
    assert_eq!(
        told,
        [
            standing("service", true, Some(true)),
            standing("desktop", false, None)
        ]
    );
    uninstall_desktop(&mut host, false).expect("nothing to do");
    let mut alone = Fake::default();
    let error = set_mode(&mut alone, &places(), true, true, false).expect_err("no farm");
    assert_eq!(error.exit, Exit::State);
}
