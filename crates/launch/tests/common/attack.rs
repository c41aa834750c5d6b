//! What the attacks need: the programs of the attackers, and ways to start a launcher that inherits something.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{Instance, World, template};
use tessera_ticket::shepherd::Command;
use tessera_ticket::{EndKind, Template};

/// Copies an example of this crate to where every user can run it.
pub fn example(world: &World, name: &str) -> PathBuf {
    let copy = world.dir.join(name);
    if !copy.exists() {
        fs::copy(built(name), &copy).unwrap();
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    }
    copy
}

/// Finds an example; builds it where only some tests were asked for, since cargo leaves the examples out then.
fn built(name: &str) -> PathBuf {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = Path::new(env!("CARGO_BIN_EXE_tessera-launch"));
    let built = program.with_file_name("examples").join(name);
    let changed = |path: &Path| fs::metadata(path).and_then(|it| it.modified());
    let source = crate_dir.join(format!("examples/{name}.rs"));
    let is_fresh = changed(&built).is_ok_and(|it| it >= changed(&source).unwrap());
    if !is_fresh {
        let target = program.ancestors().nth(2).unwrap();
        let manifest = crate_dir.join("Cargo.toml");
        let words = ["build", "--quiet", "--offline", "--example", name];
        let mut cargo = std::process::Command::new(env!("CARGO"));
        cargo.args(words).arg("--manifest-path").arg(manifest);
        cargo.arg("--target-dir").arg(target);
        assert!(cargo.status().unwrap().success(), "building {name}");
    }
    built
}

/// A template that carries out an attack.
pub fn evil(world: &World, words: &[&str]) -> Template {
    let program = example(world, "evil");
    let mut all = vec![program.to_str().unwrap()];
    all.extend(words);
    template(&all)
}

/// Runs an attack as an account and returns what it said of each try: 0 or an errno.
pub fn attack(world: &World, account: &str, words: &[&str]) -> BTreeMap<String, i32> {
    let instance = world.start(account, &evil(world, words));
    let said = attack_in(&instance);
    instance.close();
    said
}

/// The same in an instance that was started.
pub fn attack_in(instance: &Instance) -> BTreeMap<String, i32> {
    let record = instance.run(0);
    let text = instance.out(0);
    let said = format!("{text}{}", instance.err(0));
    assert_eq!(record.kind, EndKind::Exited { code: 0 }, "{said}");
    let pair = |line: &str| {
        let (name, errno) = line.rsplit_once(' ')?;
        Some((name.to_owned(), errno.parse().ok()?))
    };
    text.lines().filter_map(pair).collect()
}

impl World {
    /// Lets the launcher be started by a command that goes before it.
    pub fn start_through(&mut self, before: &str) {
        let script = self.dir.join("through.sh");
        let text = format!(
            "#!/bin/bash\nexec {before} '{}' \"$@\"\n",
            self.program.display()
        );
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        self.program = script;
        self.start_launcher();
    }

    /// Removes what remembers an instance, as if this were long ago.
    pub fn gone_by_hand(&self, instance: &Instance) {
        super::run("kill", &["-9", &instance.shepherd.to_string()]);
        super::wait_until("the shepherd is gone", || {
            !super::procs::alive(instance.shepherd)
        });
        fs::remove_file(self.dir.join(format!("launcher/run/{}", instance.key))).unwrap();
        if let Some(group) = self.group() {
            let group = group.join(instance.key.to_string());
            let _ = fs::write(group.join("cgroup.kill"), "1");
            super::wait_until("its group is gone", || {
                for leaf in fs::read_dir(&group).into_iter().flatten().flatten() {
                    let _ = fs::remove_dir(leaf.path());
                }
                fs::remove_dir(&group).is_ok() || !group.exists()
            });
        }
    }

    /// The private directories that are there.
    pub fn private_dirs(&self) -> Vec<PathBuf> {
        let list = fs::read_dir(self.dir.join("tmp")).unwrap().flatten();
        list.map(|it| it.path()).collect()
    }
}

impl Instance {
    /// Orders the first attempt of an item with this as the file of its output.
    pub fn order_into(&self, item: u32, out: &fs::File) {
        let others = ["err", "idx", "exit"]
            .map(|it| fs::File::create(self.dir.join(format!("{item}.1.{it}"))).unwrap());
        let mut fds = vec![out.as_fd()];
        fds.extend(others.iter().map(|it| it.as_fd()));
        let order = Command::Run {
            item,
            attempt: 1,
            output_limit: 1 << 20,
            leftover_grace_ms: 0,
            durable: false,
            next: false,
        };
        self.link.send(&order.encode(), &fds);
    }
}

/// A process of a user that has nothing to do with the farm; ends with the test.
pub struct Stranger(std::process::Child);

impl Stranger {
    pub fn of(uid: u32) -> Self {
        let uid_text = uid.to_string();
        let words = ["--reuid", &uid_text, "--clear-groups", "sleep", "300"];
        let mut sleep = std::process::Command::new("setpriv");
        let child = sleep.args(words).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        super::wait_until("it is the user's", || {
            super::procs::processes_of(uid).contains(&pid)
        });
        Self(child)
    }

    pub fn is_alive(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
