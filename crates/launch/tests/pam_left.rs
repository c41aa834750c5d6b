//! PAM sessions that nobody is there for: no launcher runs, the holder dies in the middle, only a record is left; and what a session
//! must not have to wait for, or be kept to, before it is closed.

mod common;

use std::fs;

use common::procs::{alive, may_raise_limits};
use common::session::{Bench, can_have_sessions};
use common::{World, can_run, shell, template, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tessera_ticket::Mode;

#[test]
fn a_session_is_closed_while_no_launcher_runs() {
    if !can_have_sessions() {
        return;
    }
    let mut bench = Bench::new("");
    let instance = bench.world.start(&bench.mia.name, &shell("echo here"));
    instance.run(0);
    bench.world.kill_launcher();
    assert_eq!(bench.logged(), [bench.opened()], "the instance lives on");
    instance.close();
    wait_until("it is closed", || bench.logged().len() == 2);
    assert_eq!(bench.logged(), [bench.opened(), bench.closed()]);
    let run = bench.world.dir.join("launcher/run");
    let record = run.join(format!("{}.pam", instance.key));
    wait_until("nothing tells of it any more", || !record.exists());
    bench.world.start_launcher();
    bench.world.gone(instance.key);
    assert_eq!(bench.logged().len(), 2, "once");
    assert!(!bench.world.audit().contains("pam_session_left"));
    bench.assert_nothing_left();
}

#[test]
fn a_holder_that_dies_while_it_opens_is_told() {
    if !can_have_sessions() {
        return;
    }
    let bench = Bench::new("");
    // Behind the module that logs: that one's part of the session is open.
    bench.serve("session required pam_exec.so /bin/sleep 300\n");
    let what = template(&["true"]);
    let ticket = bench.world.ticket(&bench.mia.name, Mode::User, &what);
    std::thread::scope(|scope| {
        let start = scope.spawn(|| bench.world.start_ticket(&ticket, &what).err());
        wait_until("the session is being opened", || bench.logged().len() == 1);
        let group = bench.world.group().unwrap().join(ticket.key.to_string());
        let pids = fs::read_to_string(group.join("holder/cgroup.procs")).unwrap();
        // The module's helper and what it waits for go with it.
        for pid in pids.lines() {
            let _ = kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL);
        }
        let (code, text) = start.join().unwrap().expect("refused");
        assert_eq!(code, "pam_failed", "{text}");
        assert!(text.contains("the session ended"), "{text}");
    });
    bench.world.gone(ticket.key);
    bench.wait_until_told();
    let words = format!(
        "service {}, account {}, opening",
        bench.service, bench.mia.name
    );
    assert!(bench.world.audit().contains(&words), "{words}");
    bench.assert_nothing_left();
}

#[test]
fn a_record_that_stands_alone_is_told_and_cleared_away() {
    if !can_run() {
        return;
    }
    let mut world = World::prepare("");
    let run = world.dir.join("launcher/run");
    fs::create_dir_all(&run).unwrap();
    world.write("launcher/run/7.0.1.pam", "show mia\nopening\nopen\n");
    world.write("launcher/run/7.0.2.pam", "show mia\nopening\n");
    world.start_launcher();
    wait_until("both are gone", || {
        fs::read_dir(&run).unwrap().next().is_none()
    });
    let audit = world.audit();
    for (launch, state) in [("7.0.1", "open"), ("7.0.2", "opening")] {
        let mut lines = audit.lines().filter(|it| it.contains("pam_session_left"));
        let line = lines.find(|it| it.contains(launch)).expect(launch);
        let words = format!("\"service show, account mia, {state}\"");
        assert!(line.contains(&words), "{line}");
    }
}

#[test]
fn too_many_groups_are_refused_in_words() {
    if !can_have_sessions() {
        return;
    }
    let bench = Bench::new("");
    let bad = bench.bad();
    bench.serve(&format!("auth required {bad} many credentials 1500\n"));
    let (code, text) = bench.refused();
    assert_eq!(code, "pam_failed", "{text}");
    assert!(
        text.contains("1500 groups") && text.contains("1024"),
        "{text}"
    );
    assert_eq!(bench.logged(), [bench.opened(), bench.closed()]);
    bench.assert_nothing_left();
}

#[test]
fn a_module_that_speaks_for_its_holder_gets_no_session_and_it_is_closed() {
    if !can_have_sessions() {
        return;
    }
    let bench = Bench::new("");
    bench.serve(&format!("session required {} speak open\n", bench.bad()));
    let (code, text) = bench.refused();
    assert_eq!(code, "pam_failed", "{text}");
    assert!(text.contains("is no session (5 bytes)"), "{text}");
    // By itself: a holder that nobody lets go is killed after ten seconds, and closes nothing.
    assert_eq!(bench.logged(), [bench.opened(), bench.closed()]);
    assert!(!bench.world.audit().contains("pam_session_left"));
    bench.assert_nothing_left();
}

#[test]
fn a_session_is_closed_without_its_own_limits() {
    if !can_have_sessions() {
        return;
    }
    let bench = Bench::new("");
    let (bad, said) = (bench.bad(), bench.world.dir.join("limits"));
    bench.serve(&format!(
        "session required {bad} limit open 400\nsession required {bad} limits close {}\n",
        said.display()
    ));
    let instance = bench.world.start(&bench.mia.name, &shell("ulimit -Hn"));
    let holder = u32::try_from(bench.holder_of(instance.key)).unwrap();
    instance.run(0);
    assert_eq!(instance.out(0), "400\n", "the job keeps it");
    bench.end(&instance);
    assert!(!alive(holder));
    let said = fs::read_to_string(&said).unwrap();
    let (soft, hard) = said.split_once(' ').unwrap();
    if !may_raise_limits() {
        // Nobody here can raise a hard limit again; the soft one goes as far as that lets it.
        assert_eq!((soft, hard), ("400", "400"));
    } else {
        let before = fs::read_to_string("/proc/self/limits").unwrap();
        let line = before.lines().find(|it| it.starts_with("Max open files"));
        assert_eq!(Some(hard), line.unwrap().split_whitespace().nth(4));
    }
    bench.assert_nothing_left();
}
