//! Tokens, sealed secrets, what starts at a log-on, window stations: on Windows or under Wine.
#![cfg(windows)]

use std::io::Read as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tessera_windows::limits::Limits;
use tessera_windows::{
    As, Bounds, Priority, Sid, Start, Station, Token, autostart, command_line, environment,
    open_sealed, seal, service_sid, service_state, set_autostart, start_as, variables,
};

fn probe() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let debug = own.parent().unwrap().parent().unwrap();
    debug.join("examples/probe.exe")
}

#[test]
fn the_sid_of_a_service_is_that_of_its_name() {
    let known = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464";
    assert_eq!(service_sid("TrustedInstaller").unwrap().to_string(), known);
    assert!(service_sid("TesseraWorker").unwrap().is_service());
}

#[test]
fn a_secret_is_opened_for_its_purpose_only() {
    let sealed = seal(b"canary", b"pool 7").unwrap();
    assert!(!sealed.windows(6).any(|it| it == b"canary"));
    assert_eq!(*open_sealed(&sealed, b"pool 7").unwrap(), b"canary");
    assert!(open_sealed(&sealed, b"pool 8").is_err());
}

#[test]
fn what_starts_at_a_log_on_is_kept() {
    let name = format!("tessera test {}", std::process::id());
    assert_eq!(autostart(&name).unwrap(), None);
    set_autostart(&name, Some(r#""C:\a b\x.exe" worker"#)).unwrap();
    assert_eq!(
        autostart(&name).unwrap().as_deref(),
        Some(r#""C:\a b\x.exe" worker"#)
    );
    set_autostart(&name, None).unwrap();
    set_autostart(&name, None).unwrap();
    assert_eq!(autostart(&name).unwrap(), None);
}

#[test]
fn a_service_that_is_not_there_is_none() {
    assert_eq!(service_state("no such service").unwrap(), None);
}

/// The calls, with this process' own token: whether another account is really another one can't be shown so.
#[test]
fn w04_a_program_starts_with_a_token_on_a_desktop_of_its_own_and_is_noted_first() {
    let token = Token::own().unwrap().stripped().unwrap();
    assert_eq!(token.user().unwrap(), Token::own().unwrap().user().unwrap());
    let logon = token
        .logon()
        .unwrap()
        .unwrap_or_else(|| token.user().unwrap());
    let station = Station::new(&format!("tessera-test-{}", std::process::id()), &logon).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let what = Start {
        program: probe(),
        command_line: command_line::of(&["probe", "args", "a b"]).unwrap(),
        environment: environment::block(&variables(&token).unwrap()).unwrap(),
        directory: dir.path().to_owned(),
        priority: Priority::Normal,
    };
    let desktop = station.path();
    let who = As {
        token: &token,
        desktop: &desktop,
        bounds: None,
    };
    let mut noted = None;
    let mut started = start_as(&what, who, |it| {
        noted = Some(it.tree.main());
        Ok(())
    })
    .unwrap();
    assert_eq!(noted, Some(started.tree.main()));
    let mut out = String::new();
    started.out.read_to_string(&mut out).unwrap();
    assert_eq!((out.trim(), started.tree.wait().unwrap()), ("\"a b\"", 0));
    // One that can't be noted never runs.
    let file = dir.path().join("file");
    let line = ["probe", "tree", "0", file.to_str().unwrap()];
    let what = Start {
        command_line: command_line::of(&line).unwrap(),
        ..what
    };
    let failed = start_as(&what, who, |_| Err(std::io::ErrorKind::StorageFull.into()));
    assert_eq!(failed.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    assert!(!file.exists());
    // Within bounds it is in both job objects: with the outer one all of it ends. (Wine keeps nobody to the figures.)
    let bounds = Bounds::new(&Limits {
        memory: 1 << 30,
        processes: 20,
        weight: 100,
    })
    .unwrap();
    let who = As {
        bounds: Some(&bounds),
        ..who
    };
    let within = start_as(&what, who, |_| Ok(())).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !file.exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(file.exists() && within.tree.alive().unwrap() > 0);
    assert_eq!(bounds.refused(), 0);
    drop(bounds);
    within.tree.wait().unwrap();
    while within.tree.alive().unwrap() > 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(within.tree.alive().unwrap(), 0);
}

#[test]
fn groups_are_read_without_the_logons_own() {
    let token = Token::own().unwrap();
    let groups = token.groups().unwrap();
    assert!(!groups.is_empty());
    if let Some(logon) = token.logon().unwrap() {
        assert!(!groups.contains(&logon));
    }
    assert!(groups.iter().all(|it| *it != Sid::system()));
}
