//! The environment of the user's login shell: that it arrives, and what becomes of one that doesn't come.

mod common;

use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use common::procs::processes_of;
use common::{User, World, can_run, shell, template, wait_until};
use tessera_ticket::Mode;

/// A host whose policy wants login environments, and a user with a home.
struct Bench {
    world: World,
    mia: User,
    home: PathBuf,
}

impl Bench {
    fn new(policy: &str, profile: &str) -> Self {
        let world = World::new(policy);
        let mia = User::new("tsl", &[]);
        let home = world.dir.join("mia");
        fs::create_dir(&home).unwrap();
        chown(&home, Some(mia.uid), Some(mia.gid)).unwrap();
        mia.change(&["-d", home.to_str().unwrap()]);
        let bench = Self { world, mia, home };
        bench.set_profile(profile);
        bench
    }

    fn set_profile(&self, text: &str) {
        let path = self.home.join(".profile");
        fs::write(&path, text).unwrap();
        chown(&path, Some(self.mia.uid), Some(self.mia.gid)).unwrap();
    }

    /// Tries to start; returns the refusal's code and text.
    fn refused(&self) -> (String, String) {
        let what = template(&["true"]);
        let ticket = self.world.ticket(&self.mia.name, Mode::User, &what);
        let refused = self.world.start_ticket(&ticket, &what).err();
        refused.expect("the profile stands against it")
    }

    fn assert_nothing_of_mia_runs(&self) {
        wait_until("nothing of the login shell is left", || {
            processes_of(self.mia.uid).is_empty()
        });
    }
}

#[test]
fn l29_the_environment_of_the_login_shell_arrives() {
    if !can_run() {
        return;
    }
    let profile = "echo noise; echo noise >&2; export SHOW='a
b=c' PATH=/opt/show:$PATH SSH_AUTH_SOCK=/x TMPDIR=/evil TESSERA_JOB=7 JOBS=profile\nseen=only-here\ncd /\n";
    let bench = Bench::new(
        "login_environment = yes\nlogin_environment_cache_seconds = 0",
        profile,
    );
    let script = "echo \"$SHOW|$PATH|$SSH_AUTH_SOCK|$seen|$JOBS|$HOME|$PWD\"; echo $TESSERA_JOB; [ $TMPDIR != /evil ] && echo private";
    let mut what = shell(script);
    what.env.push(("JOBS".into(), "own".into()));
    let instance = bench.world.start(&bench.mia.name, &what);
    instance.run(0);
    let path = "/opt/show:/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games";
    let home = bench.home.display();
    let wanted = format!(
        "a\nb=c|{path}|||own|{home}|/\n{}\nprivate\n",
        instance.key.job
    );
    assert_eq!(instance.out(0), wanted);
    assert_eq!(instance.err(0), "");
    instance.close();
    // An account that nobody can log in to has none, and needs none.
    let what = shell("echo $SHOW.");
    let proxy = &bench.world.proxy.name;
    let ticket = bench.world.ticket(proxy, Mode::Proxy, &what);
    let instance = bench.world.start_ticket(&ticket, &what).unwrap();
    instance.run(0);
    assert_eq!(instance.out(0), ".\n");
    instance.close();
    // Without the key the profile is not even read.
    bench.world.set_policy("login_environment = no");
    bench.set_profile("touch $HOME/was-read; exit 3");
    let instance = bench.world.start(&bench.mia.name, &what);
    instance.run(0);
    assert_eq!(instance.out(0), ".\n");
    assert!(!bench.home.join("was-read").exists());
    instance.close();
    bench.world.assert_nothing_left();
}

#[test]
fn l29_a_profile_that_fails_or_floods_starts_nothing_and_says_why() {
    if !can_run() {
        return;
    }
    let bench = Bench::new(
        "login_environment = yes\nlogin_environment_cache_seconds = 0",
        "exit 3",
    );
    for (profile, reason) in [
        ("exit 3", "its login shell ended with status 3 instead of"),
        ("kill -9 $$", "its login shell ended with status 255"),
        ("exec true", "ended without saying its environment"),
        ("exec 3>&-", "its login shell ended with status 1"),
        (
            "head -c 1000000000 /dev/zero >&3",
            "said an environment that is too large",
        ),
        (
            "export A=$(head -c 100000 /dev/zero | tr '\\0' x); export B=$A C=$A",
            "said an environment that is too large",
        ),
    ] {
        bench.set_profile(profile);
        let (code, text) = bench.refused();
        assert_eq!(code, "login_environment_failed", "{profile}");
        assert!(text.contains(reason), "{profile}: {text}");
        assert!(text.contains(&bench.mia.name), "{text}");
    }
    // What goes to standard output, however much, is nobody's concern.
    bench.set_profile("head -c 1000000000 /dev/zero; export A=b");
    let instance = bench.world.start(&bench.mia.name, &shell("echo $A"));
    instance.run(0);
    assert_eq!(instance.out(0), "b\n");
    instance.close();
    bench.assert_nothing_of_mia_runs();
    bench.world.assert_nothing_left();
}

#[test]
fn l29_a_profile_that_hangs_or_forks_holds_nobody_up() {
    if !can_run() {
        return;
    }
    let bench = Bench::new(
        "login_environment = yes\nlogin_environment_cache_seconds = 0",
        "",
    );
    let daemon = "(trap '' TERM HUP; exec setsid sleep 300) & export A=b\n";
    bench.set_profile(daemon);
    let instance = bench
        .world
        .start(&bench.mia.name, &shell("echo $A; cat /proc/self/cgroup"));
    wait_until(
        "the daemon of the profile is gone, the starter is not",
        || processes_of(bench.mia.uid).len() == 1,
    );
    instance.run(0);
    assert!(instance.out(0).starts_with("b\n"), "{}", instance.out(0));
    instance.close();
    bench.set_profile(&format!("{daemon} trap '' TERM; while :; do sleep 1; done"));
    let before = Instant::now();
    let (code, text) = bench.refused();
    assert_eq!(code, "login_environment_failed");
    assert!(
        text.contains("did not say its environment in time"),
        "{text}"
    );
    assert!(
        before.elapsed() < Duration::from_secs(30),
        "a bound with a name"
    );
    bench.assert_nothing_of_mia_runs();
    bench.world.assert_nothing_left();
}
