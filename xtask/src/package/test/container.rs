//! A copy of this system in namespaces of its own, with a systemd that boots it: what is installed, started and removed
//! there leaves nothing here.

use anyhow::{Context as _, Result, bail};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What makes the namespaces' first process.
const BOOT: &str = include_str!("boot.sh");
/// How long a container lives at most, whatever becomes of us, in seconds.
const LIFE_SECONDS: u32 = 1_500;
/// How long booting and anything that is waited for may take.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long a command may run, in seconds.
const COMMAND_SECONDS: u32 = 300;
/// How the names of the containers' control groups begin.
const GROUP: &str = "tessera-package-";
const LOOK: Duration = Duration::from_millis(200);

/// Whether a service manager runs the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Boot,
    Idle,
}

/// How a command ended, and what it printed.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) is_well: bool,
    pub(super) out: String,
    pub(super) err: String,
}

/// A container; it ends with this value.
pub(super) struct Container {
    outer: Child,
    /// The first process in it, by its number here.
    init: u32,
    /// Holds what is only of this container.
    folder: PathBuf,
    group: Option<PathBuf>,
}

impl Container {
    /// Makes one, with the packages of a folder in its folder `/srv/packages`.
    ///
    /// # Errors
    /// When this machine doesn't let us, with what was said.
    pub(super) fn start(folder: &Path, packages: &Path, way: Way) -> Result<Self> {
        let place = folder.join("place");
        std::fs::create_dir_all(&place)?;
        let group = match way {
            Way::Boot => Some(make_group()?),
            Way::Idle => None,
        };
        let log = folder.join("container.log");
        let mut command = Command::new("sh");
        let into_group = group.as_ref().map(|it| it.join("cgroup.procs"));
        command
            .args([
                "-c",
                r#"[ -z "$1" ] || echo $$ >"$1"; shift; exec "$@""#,
                "sh",
            ])
            .arg(into_group.unwrap_or_default())
            // Ended with us, if we are ended.
            .args(["setpriv", "--pdeathsig", "TERM"])
            .args(["timeout", "--kill-after=5", &LIFE_SECONDS.to_string()])
            .args([
                "unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup",
            ])
            .args(["--fork", "--kill-child", "--propagation", "private"])
            .args(["sh", "-c", BOOT, "boot.sh"])
            .args([&place, packages])
            .arg(if way == Way::Boot { "boot" } else { "idle" })
            .stdin(Stdio::null())
            .stdout(File::create(&log)?)
            .stderr(File::options().append(true).open(&log)?);
        let outer = command.spawn().context("can't run sh")?;
        let mut container = Self {
            outer,
            init: 0,
            folder: folder.to_owned(),
            group,
        };
        container.wait_for_start(way, &log)?;
        Ok(container)
    }

    fn wait_for_start(&mut self, way: Way, log: &Path) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        let said = || std::fs::read_to_string(log).unwrap_or_default();
        while Instant::now() < until {
            if let Some(status) = self.outer.try_wait()? {
                bail!("the container ended ({status}): {}", said().trim());
            }
            if let Some(init) = self.find_init() {
                self.init = init;
                if self.is_up(way) {
                    return Ok(());
                }
            }
            std::thread::sleep(LOOK);
        }
        let seconds = PATIENCE.as_secs();
        bail!("it is not up after {seconds} s: {}", said().trim())
    }

    /// Answers the first process in the container, once it is what it is to be.
    fn find_init(&self) -> Option<u32> {
        // sh became timeout; below it are unshare and the first process.
        let unshare = only_child(self.outer.id())?;
        let init = only_child(unshare)?;
        let name = std::fs::read_to_string(format!("/proc/{init}/comm")).ok()?;
        matches!(name.trim(), "systemd" | "sleep").then_some(init)
    }

    fn is_up(&self, way: Way) -> bool {
        let words = match way {
            Way::Boot => "systemctl is-system-running",
            Way::Idle => "echo running",
        };
        let said = self.ask(words);
        said.is_ok_and(|it| matches!(it.out.trim(), "running" | "degraded"))
    }

    /// Runs a line of shell in it as its root.
    pub(super) fn ask(&self, script: &str) -> Result<Said> {
        let output = Command::new("timeout")
            .args(["--kill-after=5", &COMMAND_SECONDS.to_string()])
            .args(["nsenter", "--target", &self.init.to_string(), "--all", "--"])
            .args([
                "env",
                "-i",
                "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            ])
            .args([
                "LANG=C.UTF-8",
                "HOME=/srv",
                "DEBIAN_FRONTEND=noninteractive",
            ])
            .args(["sh", "-c", script])
            .stdin(Stdio::null())
            .output()
            .context("can't run nsenter")?;
        Ok(Said {
            is_well: output.status.success(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs a line of shell that must end well; answers what it printed, without blanks around.
    pub(super) fn run(&self, script: &str) -> Result<String> {
        let said = self.ask(script)?;
        if !said.is_well {
            bail!("{script}\n{}{}", said.out, said.err);
        }
        Ok(said.out.trim().to_owned())
    }

    /// Runs a line of shell as somebody.
    pub(super) fn run_as(&self, name: &str, script: &str) -> Result<String> {
        let quoted = script.replace('\'', r"'\''");
        self.run(&format!("runuser -l {name} -c '{quoted}'"))
    }

    /// Waits until a line of shell ends well.
    pub(super) fn wait_until(&self, what: &str, script: &str) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        let mut last = self.ask(script)?;
        while !last.is_well {
            if Instant::now() >= until {
                let seconds = PATIENCE.as_secs();
                bail!(
                    "{what}: not after {seconds} s: {script}\n{}{}",
                    last.out,
                    last.err
                );
            }
            std::thread::sleep(LOOK);
            last = self.ask(script)?;
        }
        Ok(())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Its first process takes all others and every mount with it.
        if self.init != 0 {
            let init = self.init.to_string();
            _ = Command::new("kill").args(["-KILL", &init]).status();
        }
        let outer = self.outer.id().to_string();
        _ = Command::new("kill")
            .args(["-TERM", &outer])
            .stderr(Stdio::null())
            .status();
        _ = self.outer.wait();
        if let Some(group) = &self.group {
            let until = Instant::now() + Duration::from_secs(20);
            while group.exists() && Instant::now() < until {
                remove_groups(group);
                std::thread::sleep(LOOK);
            }
        }
        _ = std::fs::remove_dir_all(self.folder.join("place"));
    }
}

/// Makes a control group for a container.
fn make_group() -> Result<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts")?;
    let group = mounts.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let place = words.next()?;
        (words.next()? == "cgroup2").then(|| PathBuf::from(place))
    });
    let top = group.context("no control groups of version 2 are mounted")?;
    for entry in std::fs::read_dir(&top)?.flatten() {
        // Of one whose maker was ended before it could clear up.
        let name = entry.file_name().to_string_lossy().into_owned();
        let maker = name
            .strip_prefix(GROUP)
            .map(|pid| Path::new("/proc").join(pid));
        if maker.is_some_and(|it| !it.exists()) {
            remove_groups(&entry.path());
        }
    }
    let group = top.join(format!("{GROUP}{}", std::process::id()));
    std::fs::create_dir(&group).with_context(|| format!("can't make {}", group.display()))?;
    Ok(group)
}

/// Removes control groups from the deepest up; those with processes stay.
fn remove_groups(top: &Path) {
    for entry in std::fs::read_dir(top).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|it| it.is_dir()) {
            remove_groups(&entry.path());
        }
    }
    _ = std::fs::remove_dir(top);
}

fn only_child(pid: u32) -> Option<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(path).ok()?;
    text.split_whitespace().next()?.parse().ok()
}
