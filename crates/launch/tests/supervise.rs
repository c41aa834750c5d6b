//! `supervise` with a stand-in for `tessera`: accounts and directories are made, daemons run as who they should be, come
//! back when they die, and all end together.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::procs::{alive, status_of};
use common::{User, can_run, random, wait_until};

/// A farm's folder with a policy that names accounts of its own; both go away with the test.
struct Farm {
    dir: PathBuf,
    names: Vec<String>,
    child: Option<Child>,
}

impl Farm {
    fn start(flags: &[&str]) -> Self {
        Self::start_with(flags, |_| ())
    }

    /// The same after something was done with the names of its accounts.
    fn start_with(flags: &[&str], before: impl FnOnce(&[String])) -> Self {
        let dir = PathBuf::from(format!("/tmp/tessera-supervise-{:016x}", random()));
        fs::create_dir(&dir).unwrap();
        fs::create_dir(dir.join("launcher")).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
        let random = || random() & 0xf_ffff;
        let [v, w, s, p] = ["v", "w", "s", "p"].map(|it| format!("ts{it}{:05x}", random()));
        let policy = format!(
            "supervisor_account = {v}\nworker_account = {w}\nshepherd_account = {s}\nproxy_account = {p}x{{slot}}\n"
        );
        // Two accounts for each of the three slots.
        let slots = (1..=6).map(|slot| format!("{p}x{slot}"));
        let names: Vec<String> = [v, w, s].into_iter().chain(slots).collect();
        fs::write(dir.join("launcher/policy"), policy).unwrap();
        before(&names);
        let launch = env!("CARGO_BIN_EXE_tessera-launch");
        let child = Command::new(launch)
            .args(["supervise", "--slots", "3", "--listen", "127.0.0.1:0"])
            .arg("--state")
            .arg(&dir)
            .arg("--tessera")
            .arg(Path::new(launch).with_file_name("examples/stand_in"))
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.with_extension("log")).unwrap())
            .spawn()
            .unwrap();
        Self {
            dir,
            names,
            child: Some(child),
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.with_extension("log")).unwrap()
    }

    /// Who a daemon is: uid, process and its arguments, as it wrote them itself.
    fn ran(&self, name: &str) -> Option<(u32, u32, String)> {
        let text = fs::read_to_string(self.dir.join(name).join("ran")).ok()?;
        let mut words = text.splitn(3, ' ');
        let uid = words.next()?.parse().ok()?;
        Some((uid, words.next()?.parse().ok()?, words.next()?.to_owned()))
    }

    fn uid(&self, i: usize) -> u32 {
        nix::unistd::User::from_name(&self.names[i])
            .unwrap()
            .unwrap()
            .uid
            .as_raw()
    }

    fn stop(&mut self) -> bool {
        let mut child = self.child.take().unwrap();
        common::run("kill", &["-TERM", &child.id().to_string()]);
        child.wait().unwrap().success()
    }
}

impl Drop for Farm {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        for name in &self.names {
            let _ = Command::new("userdel").arg(name).output();
        }
        let _ = fs::remove_dir_all(&self.dir);
        let _ = fs::remove_file(self.dir.with_extension("log"));
    }
}

#[test]
fn a_farm_comes_up_under_its_accounts_and_ends_as_one() {
    if !can_run() {
        return;
    }
    let mut farm = Farm::start(&["--ephemeral", "--", "--flag"]);
    wait_until("the farm is up", || {
        let log = farm.log();
        assert!(
            farm.child.as_mut().unwrap().try_wait().unwrap().is_none(),
            "{log}"
        );
        log.contains("the farm is up") && farm.ran("worker").is_some()
    });
    for name in &farm.names {
        assert!(
            farm.log()
                .contains(&format!("created account {name} (no password"))
        );
    }
    let (uid, supervisor, words) = farm.ran("supervisor").unwrap();
    assert_eq!(uid, farm.uid(0));
    let state = farm.dir.display().to_string();
    assert_eq!(
        words,
        format!("supervisor --state {state} --listen 127.0.0.1:0 --flag")
    );
    let (uid, worker, words) = farm.ran("worker").unwrap();
    assert_eq!(
        (uid, words),
        (farm.uid(1), format!("worker --state {state} --slots 3"))
    );
    for (name, owner, mode) in [
        ("launcher", 0, 0o700),
        ("supervisor", farm.uid(0), 0o700),
        ("worker", farm.uid(1), 0o700),
        ("run", 0, 0o1775),
    ] {
        let found = fs::metadata(farm.dir.join(name)).unwrap();
        assert_eq!(
            (found.uid(), found.mode() & 0o7777),
            (owner, mode),
            "{name}"
        );
    }
    let status = |field: &str| status_of(worker, field).unwrap();
    assert_eq!(
        (status("CapEff"), status("NoNewPrivs")),
        ("0000000000000000".to_owned(), "1".to_owned())
    );

    common::run("kill", &["-9", &worker.to_string()]);
    wait_until("the worker is back", || {
        farm.ran("worker")
            .is_some_and(|it| it.1 != worker && alive(it.1))
    });
    assert!(
        farm.log()
            .contains("the worker was ended by signal 9; it starts again in")
    );
    assert!(alive(supervisor), "the others are left alone");

    let launch = env!("CARGO_BIN_EXE_tessera-launch");
    let second = Command::new(launch)
        .args(["supervise", "--listen", "127.0.0.1:0", "--state", &state])
        .arg("--tessera")
        .arg(Path::new(launch).with_file_name("examples/stand_in"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(
        !second.status.success() && said.contains("a farm runs already"),
        "{said}"
    );
    assert!(farm.dir.join("run/supervisor.sock").exists() && alive(supervisor));

    let worker = farm.ran("worker").unwrap().1;
    let id = fs::read_to_string(farm.dir.join("launcher/farm_id")).unwrap();
    let group = format!("tessera-{}-{}", &id[..8], &id[..8]);
    let has_group = || {
        ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
            .iter()
            .any(|it| Path::new(it).join(&group).exists())
    };
    assert!(
        has_group()
            || !fs::read_to_string("/proc/self/mountinfo")
                .unwrap()
                .contains(" cgroup2 ")
    );
    assert!(farm.stop(), "{}", farm.log());
    assert!(!has_group(), "nothing is left of an ephemeral farm");
    assert!(!alive(worker) && !alive(supervisor));
}

#[test]
fn a_state_directory_that_nobody_can_reach_is_named() {
    if !can_run() {
        return;
    }
    let outer = PathBuf::from(format!("/tmp/tessera-supervise-{:016x}", random()));
    fs::create_dir(&outer).unwrap();
    fs::set_permissions(&outer, fs::Permissions::from_mode(0o700)).unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_tessera-launch"))
        .args(["supervise", "--state"])
        .arg(outer.join("farm"))
        .output()
        .unwrap();
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(!out.status.success());
    assert!(
        said.contains(&format!(
            "{}: the daemons' accounts can't enter it",
            outer.display()
        )),
        "{said}"
    );
    fs::remove_dir_all(outer).unwrap();
}

#[test]
fn a_supervisor_that_cannot_run_is_given_up() {
    if !can_run() {
        return;
    }
    let mut farm = Farm::start(&["--ephemeral", "--", "--fails"]);
    let mut child = farm.child.take().unwrap();
    wait_until("the farm gives up", || child.try_wait().unwrap().is_some());
    let log = farm.log();
    assert!(log.contains("supervisor.sock did not appear"), "{log}");
    assert!(!child.wait().unwrap().success());
}

#[test]
fn a_persons_account_is_made_no_slots() {
    if !can_run() {
        return;
    }
    let mut person = None;
    let mut farm = Farm::start_with(&[], |names| {
        person = Some(User::named(names[4].clone(), &[]));
    });
    let person = person.unwrap();
    let mut status = None;
    wait_until("it refuses", || {
        status = farm.child.as_mut().unwrap().try_wait().unwrap();
        status.is_some()
    });
    assert!(!status.unwrap().success());
    let log = farm.log();
    let wanted = format!(
        "account {}: accounts of slots are nobody's own, and its shell /bin/sh lets somebody log in",
        person.name
    );
    assert!(log.contains(&wanted), "{log}");
}
