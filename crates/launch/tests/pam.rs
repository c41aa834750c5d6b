//! PAM sessions: opened and closed once, applied to the user's processes and to nothing else, and what becomes of modules that
//! refuse, ask, hang, crash and litter. Services have names of their own, with the stock modules and a bad one built here.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command as Program;
use std::time::{Duration, Instant};

use common::attack::example;
use common::procs::{alive, processes_of, status_of};
use common::session::{Bench, can_have_sessions};
use common::{User, random, shell, template, wait_until};
use tessera_ticket::Mode;

/// How often a holder is awaited to look whether its instance is gone; closing a session gives way less often.
const LOOKS: u64 = 8;

/// Returns how often a process has waited for something, by the kernel's count; nothing when there is no such process any more.
fn times_given_way(pid: i32) -> Option<u64> {
    status_of(pid, "voluntary_ctxt_switches")?.parse().ok()
}

#[test]
fn a_session_is_opened_and_closed_once_and_holds_for_the_job() {
    if !can_have_sessions() {
        return;
    }
    let bench = Bench::new("");
    let dir = &bench.world.dir;
    let limits = dir.join("limits.conf");
    fs::write(
        &limits,
        "* hard nofile 333\n* soft nofile 222\n* - core 0\n",
    )
    .unwrap();
    let variables = dir.join("variables");
    fs::write(
        &variables,
        "SHOW=mosaic\nPATH=/opt/show:/bin\nTESSERA_JOB=9\nSSH_AUTH_SOCK=/x\nMINE=session\n",
    )
    .unwrap();
    bench.serve(&format!(
        "session required pam_limits.so conf={}\nsession required pam_env.so readenv=1 envfile={}\nsession required {} nice open\n",
        limits.display(),
        variables.display(),
        bench.bad()
    ));
    let mut what = shell(
        "ulimit -Sn; ulimit -Hn; echo \"$SHOW|$PATH|$SSH_AUTH_SOCK|$MINE|$HOME\"; echo $TESSERA_JOB; nice",
    );
    what.env.push(("MINE".into(), "job".into()));
    let instance = bench.world.start(&bench.mia.name, &what);
    assert_eq!(bench.logged(), [bench.opened()]);
    let audit = bench.world.audit();
    assert!(
        audit.contains("\"pam_session\""),
        "told before the job: {audit}"
    );
    instance.run(0);
    let own = instance.key.job;
    let wanted = format!("222\n333\nmosaic|/opt/show:/bin||job|/tmp\n{own}\n5\n");
    assert_eq!((instance.out(0), instance.err(0)), (wanted, String::new()));
    assert_eq!(bench.logged().len(), 1, "still open");
    let record = dir.join(format!("launcher/run/{}.pam", instance.key));
    assert_eq!(
        fs::read_to_string(&record).unwrap(),
        format!("{} {}\nopening\nopen\n", bench.service, bench.mia.name)
    );
    bench.end(&instance);
    // Nothing is gone before the session is closed, and it is closed when nothing of the user is left.
    assert_eq!(bench.logged(), [bench.opened(), bench.closed()]);
    let audit = bench.world.audit();
    assert!(
        audit.contains("pam_session") && audit.contains(&bench.service),
        "{audit}"
    );
    assert!(!audit.contains("pam_session_left"), "{audit}");
    bench.assert_nothing_left();
    // The login shell begins with the session's variables, as `su -` has it.
    let service = &bench.service;
    let policy = format!("pam_service = {service}\nlogin_environment = yes");
    bench.world.set_policy(&policy);
    let instance = bench.world.start(&bench.mia.name, &what);
    instance.run(0);
    assert!(instance.out(0).contains("\nmosaic|"), "{}", instance.out(0));
    bench.end(&instance);
    // Off by default: nothing of it.
    bench.world.set_policy("");
    let instance = bench.world.start(&bench.mia.name, &what);
    instance.run(0);
    assert!(!instance.out(0).contains("mosaic") && !instance.out(0).starts_with("222\n"));
    bench.end(&instance);
    assert_eq!(bench.logged().len(), 4);
    bench.assert_nothing_left();
}

#[test]
fn a_session_is_closed_once_whoever_dies() {
    if !can_have_sessions() {
        return;
    }
    let mut bench = Bench::new("");
    let instance = bench
        .world
        .start(&bench.mia.name, &shell("sleep 300 & setsid sleep 300"));
    instance.order(0, 1);
    instance.started();
    bench.world.kill_launcher();
    let holder = nix::unistd::Pid::from_raw(bench.holder_of(instance.key));
    nix::sys::signal::kill(holder, nix::sys::signal::SIGTERM).unwrap();
    wait_until("the job's processes run", || {
        processes_of(bench.mia.uid).len() >= 3
    });
    let looks = || times_given_way(holder.as_raw());
    let before = looks().unwrap();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(instance.shepherd.try_into().unwrap()),
        nix::sys::signal::SIGKILL,
    )
    .unwrap();
    wait_until("the shepherd is gone", || !alive(instance.shepherd));
    // A holder that wouldn't wait has closed the session and ended before another has looked so often.
    wait_until("the holder looks what is left", || {
        looks().is_none_or(|now| now >= before + LOOKS)
    });
    assert_eq!(
        bench.logged(),
        [bench.opened()],
        "what the shepherd left still runs"
    );
    bench.world.start_launcher();
    bench.world.gone(instance.key);
    assert_eq!(bench.logged(), [bench.opened(), bench.closed()]);
    bench.assert_nothing_left();
}

#[test]
fn a_holder_that_dies_ends_nothing_and_is_told() {
    if !can_have_sessions() {
        return;
    }
    let bench = Bench::new("");
    let instance = bench
        .world
        .start(&bench.mia.name, &shell("read x < /dev/null; echo $0"));
    let holder = bench.holder_of(instance.key);
    assert_eq!(status_of(holder, "Uid").as_deref(), Some("0 0 0 0"));
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(holder),
        nix::sys::signal::SIGKILL,
    )
    .unwrap();
    wait_until("the holder is gone", || !alive(holder.try_into().unwrap()));
    instance.run(0);
    assert_eq!(instance.out(0), "/bin/sh\n");
    bench.end(&instance);
    bench.wait_until_told();
    assert_eq!(bench.logged(), [bench.opened()]);
    bench.assert_nothing_left();
}

#[test]
fn an_account_that_pam_refuses_runs_nothing() {
    if !can_have_sessions() {
        return;
    }
    let bench = Bench::new("");
    bench.describe("auth required pam_permit.so\naccount required pam_deny.so\nsession required pam_permit.so\n");
    let (code, text) = bench.refused();
    assert_eq!(code, "pam_account_refused", "{text}");
    let bad = bench.bad();
    bench.serve(&format!("account required {bad} refuse account\n"));
    let (code, text) = bench.refused();
    assert_eq!(code, "pam_account_refused", "{text}");
    assert!(
        text.contains("come back on Monday; User account has expired"),
        "{text}"
    );
    assert!(text.contains(&bench.mia.name), "{text}");
    assert!(bench.logged().is_empty(), "no session was opened");
    bench.assert_nothing_left();
}

#[test]
fn a_module_that_asks_fails_crashes_or_goes_elsewhere_starts_nothing() {
    if !can_have_sessions() {
        return;
    }
    let bench = Bench::new("");
    let bad = bench.bad();
    let elsewhere = bench.world.group().unwrap();
    let move_words = format!("move open {}", elsewhere.display());
    for (words, reason, is_closed) in [
        ("ask open", "opening the session: ", false),
        ("fail open", "opening the session: ", false),
        ("fail credentials", "giving credentials: ", false),
        (
            "crash open",
            "the process that was to hold the session ended",
            false,
        ),
        ("flood open", "bytes of variables", true),
        (&move_words, "another control group", true),
        ("namespace open", "another mount namespace", true),
    ] {
        bench.serve(&format!(
            "session required {bad} {words}\nauth required {bad} {words}\n"
        ));
        let _ = fs::remove_file(&bench.log);
        let (code, text) = bench.refused();
        assert_eq!(code, "pam_failed", "{words}: {text}");
        assert!(text.contains(reason), "{words}: {text}");
        let closings = bench
            .logged()
            .iter()
            .filter(|it| **it == bench.closed())
            .count();
        assert_eq!(
            closings,
            usize::from(is_closed),
            "{words}: {:?}",
            bench.logged()
        );
    }
    // That a module is missing or wants an answer is no verdict on the account.
    for line in [
        "/nonexistent/module.so".to_owned(),
        format!("{bad} ask account"),
    ] {
        bench.serve(&format!("account required {line}\n"));
        let (code, text) = bench.refused();
        assert_eq!(code, "pam_failed", "{text}");
        assert!(text.contains("asking about the account: "), "{text}");
    }
    let (_, text) = {
        fs::remove_file(bench.path()).unwrap();
        bench.refused()
    };
    assert!(
        text.contains(&format!("no /etc/pam.d/{}", bench.service)),
        "{text}"
    );
    bench.serve("");
    fs::set_permissions(bench.path(), fs::Permissions::from_mode(0o666)).unwrap();
    assert!(bench.refused().1.contains("can be written by others"));
    bench.assert_nothing_left();
}

#[test]
fn a_module_that_hangs_is_bounded() {
    if !can_have_sessions() {
        return;
    }
    let bench = Bench::new("");
    bench.serve("session required pam_exec.so /bin/sleep 300\n");
    let before = Instant::now();
    let (code, text) = bench.refused();
    assert_eq!(code, "pam_failed", "{text}");
    assert!(text.contains("did not answer within 10 seconds"), "{text}");
    assert!(
        before.elapsed() < Duration::from_secs(25),
        "a bound with a name"
    );
    // At the end: the instance is gone all the same, and it is told.
    bench.serve(&format!("session required {} hang close\n", bench.bad()));
    let instance = bench.world.start(&bench.mia.name, &template(&["true"]));
    instance.run(0);
    instance.close();
    bench.world.gone(instance.key);
    bench.wait_until_told();
    bench.assert_nothing_left();
}

#[test]
fn what_a_module_leaves_in_its_process_reaches_no_job() {
    if !can_have_sessions() {
        return;
    }
    let bench = Bench::new("");
    let probe = example(&bench.world, "probe");
    let what = template(&[probe.to_str().unwrap()]);
    let state = |service: &str| {
        bench.world.set_policy(&format!("pam_service = {service}"));
        let instance = bench.world.start(&bench.mia.name, &what);
        instance.run(0);
        bench.end(&instance);
        assert_eq!(instance.err(0), "");
        instance.out(0).replace(&instance.key.to_string(), "KEY")
    };
    let without = state("");
    assert!(without.contains("\"descriptors\""), "{without}");
    bench.serve(&format!("session required {} litter open\n", bench.bad()));
    assert_eq!(state(&bench.service), without);
    assert_eq!(bench.logged(), [bench.opened(), bench.closed()]);
    bench.assert_nothing_left();
}

#[test]
fn groups_of_the_credentials_are_judged() {
    if !can_have_sessions() {
        return;
    }
    let (mut eve, mut bob) = (User::new("tse", &[]), User::new("tsb", &[]));
    let (good, denied) = (eve.add_group("tsg"), bob.add_group("tsd"));
    let gid = |name: &str| {
        nix::unistd::Group::from_name(name)
            .unwrap()
            .unwrap()
            .gid
            .as_raw()
    };
    let bench = Bench::new(&format!("deny_groups = {denied}"));
    let bad = bench.bad();
    let line = |gids: &str| format!("auth required {bad} groups credentials {gids}\n");
    bench.serve(&line(&format!("{} {}", gid(&good), gid(&denied))));
    let instance = bench.world.start(&bench.mia.name, &shell("id -G"));
    instance.run(0);
    let said = instance.out(0);
    let mut found: Vec<u32> = said
        .split_whitespace()
        .map(|it| it.parse().unwrap())
        .collect();
    found.sort_unstable();
    let mut wanted = vec![bench.mia.gid, gid(&good)];
    wanted.sort_unstable();
    assert_eq!(found, wanted);
    bench.end(&instance);
    assert!(bench.world.audit().contains(&format!("without [{denied}]")));
    bench.serve(&line("0"));
    let (code, text) = bench.refused();
    assert_eq!(code, "pam_failed");
    assert!(text.contains("gave a group: it is in group root"), "{text}");
    bench.assert_nothing_left();
}

#[test]
fn the_check_says_what_pam_says() {
    if !can_have_sessions() {
        return;
    }
    let bench = Bench::new("");
    let ask = || {
        let out = Program::new(&bench.world.program)
            .args([
                "check",
                "--state",
                bench.world.dir.to_str().unwrap(),
                "--as",
                &bench.mia.name,
            ])
            .output()
            .unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    let said = ask();
    assert!(
        said.starts_with("yes: uid ")
            && said.contains(&format!("PAM service {} lets it in", bench.service)),
        "{said}"
    );
    bench.serve(&format!(
        "account required {} refuse account\n",
        bench.bad()
    ));
    let said = ask();
    assert!(
        said.starts_with("no: pam_account_refused: PAM refuses the account: come back"),
        "{said}"
    );
    let host = || {
        let mut check = Program::new(&bench.world.program);
        let out = check.args(["check", "--state"]).arg(&bench.world.dir);
        String::from_utf8_lossy(&out.output().unwrap().stdout).into_owned()
    };
    let service = &bench.service;
    assert!(
        host().contains(&format!("\npam_service: {service}\n")),
        "{}",
        host()
    );
    fs::remove_file(bench.path()).unwrap();
    assert!(
        host().contains(&format!(
            "pam_service: {service} can't be used: there is no /etc/pam.d/"
        )),
        "{}",
        host()
    );
    let said = ask();
    assert!(
        said.starts_with("no: pam_failed: ") && said.contains("there is no /etc/pam.d/"),
        "{said}"
    );
    assert!(bench.logged().is_empty(), "a check opens no session");
    assert!(processes_of(bench.mia.uid).is_empty());
}

#[test]
fn the_service_of_the_package_runs_a_job() {
    if !can_have_sessions() || !Path::new("/etc/pam.d/common-account").exists() {
        return;
    }
    let bench = Bench::new("");
    bench.describe(include_str!("../../../contrib/pam.d/tessera.debian"));
    let instance = bench.world.start(&bench.mia.name, &shell("id -un"));
    instance.run(0);
    assert_eq!(instance.out(0), format!("{}\n", bench.mia.name));
    bench.end(&instance);
    // The proxy account, to which nobody can log in, has one, too.
    let what = shell("id -un");
    let proxy = &bench.world.proxy.name;
    let ticket = bench.world.ticket(proxy, Mode::Proxy, &what);
    let instance = bench.world.start_ticket(&ticket, &what).unwrap();
    instance.run(0);
    assert_eq!(instance.out(0), format!("{proxy}\n"));
    bench.end(&instance);
    // It knows what the launcher's own rules don't: a password that must be changed first.
    common::run("chage", &["-d", "0", &bench.mia.name]);
    let (code, text) = bench.refused();
    assert_eq!(code, "pam_account_refused", "{text}");
    assert!(text.contains("new one required"), "{text}");
    bench.assert_nothing_left();
}

#[test]
fn a_launcher_that_dies_while_a_session_opens_leaves_none_open() {
    if !can_have_sessions() {
        return;
    }
    let mut bench = Bench::new("");
    let (slow, over) = (bench.world.dir.join("slow"), bench.world.dir.join("over"));
    let script = format!(
        "[ $PAM_TYPE = open_session ] || exit 0; sleep 6; touch {}\n",
        over.display()
    );
    fs::write(&slow, script).unwrap();
    bench.serve(&format!(
        "session required pam_exec.so /bin/sh {}\n",
        slow.display()
    ));
    let ran = bench.world.dir.join("ran");
    let what = shell(&format!("touch {}", ran.display()));
    let ticket = bench.world.ticket(&bench.mia.name, Mode::User, &what);
    std::thread::scope(|scope| {
        let start = scope.spawn(|| bench.world.start_ticket(&ticket, &what).is_ok());
        wait_until("the session is being opened", || bench.logged().len() == 1);
        let launcher = bench.world.launcher.as_ref().unwrap().id();
        let launcher = nix::unistd::Pid::from_raw(launcher.try_into().unwrap());
        nix::sys::signal::kill(launcher, nix::sys::signal::SIGKILL).unwrap();
        assert!(start.join().is_err(), "nobody answers");
    });
    bench.world.kill_launcher();
    bench.world.start_launcher();
    assert!(!over.exists(), "the next one waits for no module");
    bench.world.gone(ticket.key);
    assert_eq!(bench.logged(), [bench.opened(), bench.closed()]);
    assert!(!ran.exists());
    bench.assert_nothing_left();
}

#[test]
fn many_sessions_at_once_are_each_opened_and_closed_once() {
    if !can_have_sessions() {
        return;
    }
    const MANY: usize = 12;
    let bench = Bench::new("");
    let one = || {
        let instance = bench.world.start(&bench.mia.name, &shell("echo here"));
        instance.run(0);
        assert_eq!(instance.out(0), "here\n");
        bench.end(&instance);
    };
    std::thread::scope(|scope| {
        for _ in 0..MANY {
            scope.spawn(one);
        }
    });
    let logged = bench.logged();
    let count = |kind: &str| logged.iter().filter(|it| it.starts_with(kind)).count();
    let counts = (count("open_session"), count("close_session"), logged.len());
    assert_eq!(counts, (MANY, MANY, 2 * MANY));
    bench.assert_nothing_left();
}

#[test]
fn what_modules_start_ends_with_the_session_also_on_the_account_of_a_slot() {
    if !can_have_sessions() {
        return;
    }
    let mut bench = Bench::new("");
    let stem = format!("tsq{:05x}x", random() & 0xf_ffff);
    let slot = User::named(format!("{stem}1"), &["-s", "/usr/sbin/nologin"]);
    bench.world.proxy_account = format!("{stem}{{slot}}");
    bench
        .world
        .set_policy(&format!("pam_service = {}", bench.service));
    let helper = bench.world.dir.join("helper.sh");
    let seconds = 100_000 + random() % 100_000;
    let text = format!(
        "#!/bin/sh\n[ $PAM_TYPE = open_session ] && setsid sleep {seconds} >/dev/null 2>&1 &\n"
    );
    fs::write(&helper, text).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    bench.serve(&format!(
        "session required pam_exec.so {}\n",
        helper.display()
    ));
    let helpers = || {
        let sleep = format!("sleep\0{seconds}\0");
        let all = fs::read_dir("/proc").unwrap().flatten();
        all.filter(|it| fs::read_to_string(it.path().join("cmdline")).is_ok_and(|it| it == sleep))
            .count()
    };
    let what = shell("id -un");
    for _ in 0..2 {
        let mut started = None;
        wait_until("the account is free", || {
            let ticket = bench
                .world
                .ticket(&bench.world.proxy_account, Mode::Proxy, &what);
            started = bench.world.start_ticket(&ticket, &what).ok();
            started.is_some()
        });
        let instance = started.unwrap();
        wait_until("the helper runs", || helpers() == 1);
        instance.run(0);
        assert_eq!(instance.out(0), format!("{}\n", slot.name));
        bench.end(&instance);
        assert_eq!(helpers(), 0);
    }
    assert_eq!(bench.logged().len(), 4, "{:?}", bench.logged());
    wait_until("the account is free again", || {
        processes_of(slot.uid).is_empty()
    });
    bench.world.assert_nothing_left();
}
