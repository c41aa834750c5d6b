//! Changing the mode of a Mac, as root: the order of steps, every failure and every way back, with a Mac that is made up.

use super::tests::{Fake, service};
use super::*;
use crate::local::install::agent_tests::agent;
use crate::local::install::person::{DesktopOf, Way};
use crate::local::install::switch::{self, Running};

fn desktop() -> DesktopOf {
    DesktopOf {
        name: "mia".into(),
        uid: 501,
        home: "/Users/mia".into(),
        tessera: USUAL_TESSERA.into(),
        state: None,
        way: Way::Mac,
        ends: Cell::new(0),
    }
}

/// With daemons that run, and a person who has joined as well.
fn with_daemons() -> Fake {
    let mut fake = Fake::installed();
    let cert = agent().state.join("worker/cert.pem");
    fake.host.files.insert(cert, String::new());
    fake
}

/// With an agent that runs, on a Mac that has joined as well.
fn with_agent() -> Fake {
    let mut fake = with_daemons();
    switch::set_mode(&service(), &desktop(), Running::End, &mut fake, false).expect("changed");
    fake.said.clear();
    fake.changes = 0;
    fake.restarts = 0;
    fake
}

/// Answers what was said, with what is the same in all commands under the person's account left out.
fn told(fake: &Fake) -> String {
    let short = |line: &String| match line.split_once(" worker part ") {
        Some((_, part)) => format!("as mia: {part}"),
        None => line.clone(),
    };
    let lines: Vec<String> = fake.said.iter().map(short).collect();
    lines.join("\n")
}

fn is_up(fake: &Fake) -> Vec<&str> {
    fake.host.up.iter().map(String::as_str).collect()
}

#[test]
fn to_the_desktop_in_this_order() {
    let mut fake = with_daemons();
    fake.launches = [2, 2, 1, 0].into();
    let done = switch::set_mode(&service(), &desktop(), Running::Wait, &mut fake, false);
    done.expect("changed");
    insta::assert_snapshot!(told(&fake), @r"
    this host is locked at the farm until this is done; if you interrupt it: tessera unlock HOST
    waiting for 2 instances of jobs
    waiting for 1 instance of a job
    as mia: prepare
    write /Users/mia/Library/LaunchAgents/tessera.worker.plist
    launchctl bootout system/tessera.worker.daemon
    launchctl bootout system/tessera.launch
    remove /Library/LaunchDaemons/tessera.worker.daemon.plist
    remove /Library/LaunchDaemons/tessera.launch.plist
    as mia: start
    launchctl enable gui/501/tessera.worker
    launchctl bootstrap gui/501 /Users/mia/Library/LaunchAgents/tessera.worker.plist
    this host is no longer locked for this
    the worker is in mode desktop
    ");
    assert_eq!(is_up(&fake), ["tessera.worker"]);
    assert_eq!((fake.host.is_locked, fake.restarts), (false, 0));
    // What is not there is not started at the next boot.
    assert!(!fake.host.files.keys().any(|it| it.starts_with(FOLDER)));
}

#[test]
fn to_the_service_in_this_order() {
    let mut fake = with_agent();
    fake.launches = [1, 1, 1, 0].into();
    let done = switch::set_mode(&desktop(), &service(), Running::End, &mut fake, false);
    done.expect("changed");
    insta::assert_snapshot!(told(&fake), @r"
    this host is locked at the farm until this is done; if you interrupt it: tessera unlock HOST
    end 1 instance of a job
    install -d -o root -g wheel -m 0755 /Library/Application Support/Tessera
    install -d -o root -g wheel -m 0755 /Library/Application Support/Tessera/run
    install -d -o root -g wheel -m 0700 /Library/Application Support/Tessera/launcher
    install -d -o _tessera -g _tessera -m 0700 /Library/Application Support/Tessera/worker
    write /Library/LaunchDaemons/tessera.launch.plist
    write /Library/LaunchDaemons/tessera.worker.daemon.plist
    as mia: stop
    launchctl bootout gui/501/tessera.worker
    remove /Users/mia/Library/LaunchAgents/tessera.worker.plist
    launchctl enable system/tessera.launch
    launchctl bootstrap system /Library/LaunchDaemons/tessera.launch.plist
    launchctl enable system/tessera.worker.daemon
    launchctl bootstrap system /Library/LaunchDaemons/tessera.worker.daemon.plist
    this host is no longer locked for this
    the worker is in mode service
    ");
    assert_eq!(is_up(&fake), ["tessera.launch", "tessera.worker.daemon"]);
    assert_eq!(fake.restarts, 1, "the agent has the farm put it back");
    let plist = Path::new("/Users/mia/Library/LaunchAgents/tessera.worker.plist");
    assert!(!fake.host.files.contains_key(plist));
}

#[test]
fn each_change_that_fails_leaves_the_old_mode() {
    type Start = fn() -> Fake;
    let (desktop, service) = (desktop(), service());
    let ways: [(Start, &dyn Half, &dyn Half); 2] = [
        (with_daemons, &service, &desktop),
        (with_agent, &desktop, &service),
    ];
    for (start, from, to) in ways {
        let mut fails_at = 1;
        loop {
            let mut fake = start();
            fake.fails_at = Some(fails_at);
            let before = fake.host.clone();
            match switch::set_mode(from, to, Running::Refuse, &mut fake, false) {
                Ok(()) if fake.changes < fails_at => break,
                // What launchd answers with an error and does all the same.
                Ok(()) => assert_eq!(is_up(&fake).len(), fake.host.loaded.len()),
                Err(error) => assert_eq!(fake.host, before, "change {fails_at}: {error:?}"),
            }
            fails_at += 1;
        }
        assert!(fails_at > 6, "there were changes to fail");
    }
}

#[test]
fn a_new_mode_that_does_not_stay_up_is_taken_back() {
    let mut fake = with_daemons();
    fake.crashing = Some("tessera.worker");
    let before = fake.host.clone();
    let done = switch::set_mode(&service(), &desktop(), Running::Refuse, &mut fake, false);
    let error = done.expect_err("it crashes");
    assert!(error.message.contains("desktop worker of mia"), "{error:?}");
    assert_eq!(fake.host, before);
    let mut fake = with_agent();
    fake.crashing = Some("tessera.launch");
    let before = fake.host.clone();
    let done = switch::set_mode(&desktop(), &service(), Running::Refuse, &mut fake, false);
    assert!(done.is_err());
    assert_eq!(fake.host, before);
}

#[test]
fn nobody_is_changed_who_runs_something_or_has_not_joined() {
    let mut fake = with_daemons();
    fake.launches = [1].into();
    let before = fake.host.clone();
    let done = switch::set_mode(&service(), &desktop(), Running::Refuse, &mut fake, false);
    assert_eq!(done.expect_err("it runs something").exit, Exit::State);
    let mut fake = Fake::installed();
    let done = switch::set_mode(&service(), &desktop(), Running::End, &mut fake, false);
    let error = done.expect_err("mia has not joined");
    assert!(
        error.hints[0].contains("as mia: tessera join --desktop"),
        "{error:?}"
    );
    assert_eq!(fake.changes, 0);
    let mut fake = with_daemons();
    let done = switch::set_mode(&service(), &desktop(), Running::End, &mut fake, true);
    done.expect("said");
    assert_eq!((fake.changes, &fake.host), (0, &before));
    let done = switch::set_mode(&desktop(), &service(), Running::End, &mut fake, false);
    done.expect("it is so");
    assert!(
        fake.said
            .iter()
            .any(|it| it.contains("in mode service already"))
    );
}

#[test]
fn what_is_done_as_a_person_has_nothing_of_roots() {
    let words = desktop().words("start").join(" ");
    assert_eq!(
        words,
        "/bin/launchctl asuser 501 /usr/bin/sudo -n -u mia -- /usr/bin/env -i HOME=/Users/mia USER=mia LOGNAME=mia \
         PATH=/usr/bin:/bin:/usr/sbin:/sbin /usr/local/bin/tessera worker part start"
    );
}
