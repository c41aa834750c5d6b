//! A life with a package in a container.

use super::Trial;
use super::container::Container;
use super::farm::{self, PERSON};
use anyhow::{Context as _, Result, ensure};

const UNITS: [&str; 3] = [
    "tessera-supervisor.service",
    "tessera-launch.service",
    "tessera-worker.service",
];
const ACCOUNTS: [&str; 4] = [
    "tessera",
    "tessera-job",
    "tessera-shepherd",
    "tessera-supervisor",
];

/// Which package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Deb,
    Rpm,
}

impl Kind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Deb => "deb",
            Self::Rpm => "rpm",
        }
    }

    /// Answers the command that installs the first or the second version. Debian's rpm knows none of what is installed
    /// here, so it can't judge what a package needs.
    fn install(self, version: u8) -> String {
        match self {
            Self::Deb => format!("dpkg --install /srv/packages/{version}.deb"),
            Self::Rpm => format!("rpm --upgrade --nodeps /srv/packages/{version}.rpm"),
        }
    }

    fn remove(self) -> &'static str {
        match self {
            Self::Deb => "dpkg --remove tessera",
            Self::Rpm => "rpm --erase tessera",
        }
    }

    /// Answers the command that says which of its files are not as they came.
    fn verify(self) -> &'static str {
        match self {
            Self::Deb => "dpkg --verify tessera",
            Self::Rpm => "rpm --verify --nodeps tessera",
        }
    }
}

type Step = fn(Kind, &Container) -> Result<()>;

/// The life under systemd.
pub(super) fn whole(kind: Kind, container: &Container, trial: &mut Trial) {
    let steps: &[(&str, Step)] = &[
        (
            "installing starts nothing and makes what a service needs",
            installs,
        ),
        (
            "files are as they came, pages and completions among them",
            has_all,
        ),
        ("a farm is made with the package's own units", makes_farm),
        (
            "a frame runs as who submitted it, under the package's daemons",
            runs_frame,
        ),
        ("an upgrade ends no frame, and counts it once", upgrades),
        ("a restart of all daemons ends no frame", restarts),
        (
            "to the desktop and back, an upgrade with a frame of the desktop",
            changes_mode,
        ),
        (
            "a removal ends no frame, and it is reported after the next installation",
            removes,
        ),
        (
            "removed while idle: daemons gone, the farm stays",
            removes_idle,
        ),
        (
            "a purge beside a frame leaves it what it needs, and says how to end that",
            purges_beside_frame,
        ),
        ("a purge leaves nothing", purges),
    ];
    walk(kind, container, trial, steps);
}

/// What can be tried without a service manager.
pub(super) fn without_systemd(kind: Kind, container: &Container, trial: &mut Trial) {
    let steps: &[(&str, Step)] = &[
        ("installing makes what a service needs", installs),
        (
            "files are as they came, pages and completions among them",
            has_all,
        ),
        (
            "the units' commands run a frame, and an upgrade leaves it alone",
            by_hand,
        ),
        ("removed: the farm stays", removes_unbooted),
        ("a purge leaves nothing", purges),
    ];
    walk(kind, container, trial, steps);
}

/// Walks the steps; one that fails ends the walk, since the next ones lean on it. Only Debian's packages can be purged.
fn walk(kind: Kind, container: &Container, trial: &mut Trial, steps: &[(&str, Step)]) {
    for (what, step) in steps {
        if kind == Kind::Rpm && what.contains("purge") {
            continue;
        }
        if !trial.check(&format!("{}: {what}", kind.word()), step(kind, container)) {
            return;
        }
    }
}

fn installs(kind: Kind, container: &Container) -> Result<()> {
    // The copy of a machine that may know Tessera already is to know nothing of it.
    container.ask(&format!(
        "dpkg --purge tessera; rm -rf /var/lib/tessera; groupdel tessera-admin; for name in {}; do userdel $name; done",
        ACCOUNTS.join(" ")
    ))?;
    farm::add_person(container)?;
    container.run("cp /etc/passwd /etc/group /etc/shadow /srv/")?;
    container.run(&kind.install(1))?;
    for account in ACCOUNTS {
        let line = container.run(&format!("getent passwd {account}"))?;
        ensure!(line.ends_with(":/nonexistent:/usr/sbin/nologin"), "{line}");
        let line = container.run(&format!("getent shadow {account} | cut -d: -f2"))?;
        ensure!(
            line == "!" || line == "!*",
            "{account} has the password {line}"
        );
    }
    let modes = container.run(
        "cd /var/lib/tessera && stat -c '%a %U:%G %n' . run launcher launcher/policy supervisor worker",
    )?;
    let wanted = "755 root:root .\n1775 root:tessera-supervisor run\n700 root:root launcher\n\
                  644 root:root launcher/policy\n700 tessera-supervisor:tessera-supervisor supervisor\n\
                  700 tessera:tessera worker";
    ensure!(modes == wanted, "{modes}");
    let left = container
        .ask("find /etc/systemd -name 'tessera-*'; pgrep -l -r D,R,S,T tessera")?
        .out;
    ensure!(left.is_empty(), "it starts or enables something:\n{left}");
    Ok(())
}

fn has_all(kind: Kind, container: &Container) -> Result<()> {
    let said = container.run(kind.verify())?;
    ensure!(said.is_empty(), "{said}");
    let zsh = match kind {
        Kind::Deb => "vendor-completions",
        Kind::Rpm => "site-functions",
    };
    for file in [
        "/usr/share/man/man1/tessera.1.gz",
        "/usr/share/man/man1/tessera-worker-install.1.gz",
        "/usr/share/man/man8/tessera-launch.8.gz",
        "/usr/share/bash-completion/completions/tessera",
        "/usr/share/fish/vendor_completions.d/tessera.fish",
        &format!("/usr/share/zsh/{zsh}/_tessera"),
        "/usr/share/doc/tessera/install.md",
    ] {
        container.run(&format!(
            "[ -s {file} ] && [ \"$(stat -c %a:%u {file})\" = 644:0 ]"
        ))?;
    }
    container.run("bash -n /usr/share/bash-completion/completions/tessera")?;
    let version = container.run("tessera --version && tessera-launch --version")?;
    ensure!(version.lines().count() == 2, "{version}");
    Ok(())
}

/// Sees that units run, each from the package's file and the program that is there now, and never fell over.
fn units_run(container: &Container) -> Result<()> {
    for unit in UNITS {
        let show = format!("systemctl show --property=FragmentPath,ActiveState,NRestarts {unit}");
        let said = container.run(&show)?;
        // Where /lib is a link to /usr/lib, either of them is named.
        let file = format!("/lib/systemd/system/{unit}");
        let is_packaged = |line: &str| {
            line.starts_with("FragmentPath=") && line.ends_with(&file) && !line.contains("/etc/")
        };
        let is_well = said.lines().any(is_packaged)
            && said.lines().any(|line| line == "ActiveState=active")
            && said.lines().any(|line| line == "NRestarts=0");
        ensure!(is_well, "{unit}: {said}");
        let program = container.run(&format!(
            "readlink /proc/$(systemctl show --property=MainPID --value {unit})/exe"
        ))?;
        ensure!(
            program == "/usr/bin/tessera" || program == "/usr/bin/tessera-launch",
            "{unit} runs {program}"
        );
    }
    Ok(())
}

fn makes_farm(_: Kind, container: &Container) -> Result<()> {
    container.run("tessera supervisor install")?;
    container.run("tessera worker install --mode service")?;
    container.run("tessera join --local")?;
    container.run("tessera worker install --mode service")?;
    let own = container.run("find /etc/systemd/system -maxdepth 1 -name 'tessera-*'")?;
    ensure!(own.is_empty(), "units hide the package's: {own}");
    let status = container.run("tessera worker status")?;
    ensure!(status.contains("installed, runs"), "{status}");
    farm::wait_for_host(container, "user")?;
    units_run(container)
}

fn runs_frame(_: Kind, container: &Container) -> Result<()> {
    let job = farm::begin(container, 0)?;
    job.end(container)
}

fn upgrades(kind: Kind, container: &Container) -> Result<()> {
    let job = farm::begin(container, 3)?;
    let before = pids(container)?;
    container.run(&kind.install(2))?;
    let after = pids(container)?;
    ensure!(
        before.iter().zip(&after).all(|(old, new)| old != new),
        "not every daemon is a new one: {before:?} {after:?}"
    );
    farm::wait_for_host(container, "user")?;
    units_run(container)?;
    let said = container.run(kind.verify())?;
    ensure!(said.is_empty(), "{said}");
    job.end(container)
}

fn pids(container: &Container) -> Result<Vec<String>> {
    let one = |unit| container.run(&format!("systemctl show --property=MainPID --value {unit}"));
    UNITS.into_iter().map(one).collect()
}

/// Restarts, and ends without a word, what runs; systemd starts it again.
fn restarts(_: Kind, container: &Container) -> Result<()> {
    let job = farm::begin(container, 0)?;
    container.run(&format!("systemctl restart {}", UNITS.join(" ")))?;
    job.runs(container)?;
    for unit in ["tessera-launch.service", "tessera-worker.service"] {
        let pid = format!("systemctl show --property=MainPID --value {unit}");
        let old = container.run(&pid)?;
        container.run(&format!("kill -KILL {old}"))?;
        let is_new = format!("systemctl is-active {unit} && [ \"$({pid})\" != {old} ]");
        container.wait_until("systemd starts it again", &is_new)?;
    }
    farm::wait_for_host(container, "user")?;
    job.end(container)?;
    container.run(&format!("systemctl restart {}", UNITS.join(" ")))?;
    farm::wait_for_host(container, "user")
}

/// Has the person's own service manager run, as if they were logged in; answers the command that speaks to it.
fn person_manager(container: &Container) -> Result<String> {
    container.run(&format!("loginctl enable-linger {PERSON}"))?;
    let manager = format!("systemctl --user --machine={PERSON}@.host");
    let is_up = format!("{manager} is-system-running | grep -E 'running|degraded'");
    container.wait_until("the person's service manager is up", &is_up)?;
    Ok(manager)
}

fn changes_mode(kind: Kind, container: &Container) -> Result<()> {
    let manager = person_manager(container)?;
    let string = container.run("tessera join-string | grep -o 'tessera-join:[^ ]*' | head -n 1")?;
    container.run_as(
        PERSON,
        &format!("tessera join --desktop --name $(hostname)-desktop {string}"),
    )?;
    container.run(&format!(
        "tessera worker set-mode desktop --wait --user {PERSON}"
    ))?;
    farm::wait_for_host(container, "desktop")?;
    let job = farm::begin(container, 0)?;
    let pid = format!("{manager} show --property=MainPID --value tessera-worker.service");
    let before = container.run(&pid)?;
    // The same version once more: the daemons are new ones, as with every upgrade.
    let again = match kind {
        Kind::Deb => kind.install(2),
        Kind::Rpm => format!("{} --replacepkgs", kind.install(2)),
    };
    container.run(&again)?;
    let after = container.run(&pid)?;
    ensure!(before != after, "the desktop worker is still the old one");
    farm::wait_for_host(container, "desktop")?;
    job.end(container)?;
    container.run(&format!(
        "tessera worker set-mode service --wait --user {PERSON}"
    ))?;
    container.run(&format!("loginctl disable-linger {PERSON}"))?;
    farm::wait_for_host(container, "user")?;
    units_run(container)
}

fn removes(kind: Kind, container: &Container) -> Result<()> {
    let job = farm::begin(container, 3)?;
    let said = container.run(kind.remove())?;
    ensure!(
        said.contains("jobs go on"),
        "it does not say what goes on: {said}"
    );
    no_daemons(container)?;
    job.runs(container)?;
    job.let_end(container)?;
    job.has_ended(container)?;
    container.run(&kind.install(1))?;
    container.run("tessera supervisor install && tessera worker install --mode service")?;
    farm::wait_for_host(container, "user")?;
    job.is_reported(container)
}

fn no_daemons(container: &Container) -> Result<()> {
    let active = container.ask(&format!("systemctl is-active {}", UNITS.join(" ")))?;
    ensure!(
        !active.out.lines().any(|it| it == "active"),
        "{}",
        active.out
    );
    let left = container.run("find /etc/systemd /usr/lib/systemd /usr/bin -name 'tessera*'")?;
    ensure!(left.is_empty(), "{left}");
    Ok(())
}

/// The desktop's worker runs, too: a removal stops whatever has lost its program.
fn removes_idle(kind: Kind, container: &Container) -> Result<()> {
    let manager = person_manager(container)?;
    container.run(&format!("{manager} start tessera-worker.service"))?;
    farm::wait_for_host(container, "desktop")?;
    let said = container.run(kind.remove())?;
    ensure!(!said.contains("jobs go on"), "{said}");
    no_daemons(container)?;
    let left = container.ask("pgrep -l -r D,R,S,T tessera")?.out;
    ensure!(left.is_empty(), "{left}");
    container.run(&format!("loginctl disable-linger {PERSON}"))?;
    container.run("[ -s /var/lib/tessera/worker/cert.pem ] && getent passwd tessera")?;
    Ok(())
}

fn purges_beside_frame(kind: Kind, container: &Container) -> Result<()> {
    container.run(&kind.install(1))?;
    container.run("tessera supervisor install && tessera worker install --mode service")?;
    farm::wait_for_host(container, "user")?;
    let job = farm::begin(container, 0)?;
    let said = container.run("dpkg --purge tessera")?;
    ensure!(
        said.contains("/var/lib/tessera and the accounts stay"),
        "{said}"
    );
    job.runs(container)?;
    container.run("[ -s /var/lib/tessera/worker/cert.pem ] && getent passwd tessera-shepherd")?;
    job.let_end(container)?;
    job.has_ended(container)?;
    let way_out = said.lines().find(|line| line.starts_with("  kill -KILL "));
    container.run(way_out.context("it names no way out")?)?;
    leaves_nothing(container)
}

fn purges(kind: Kind, container: &Container) -> Result<()> {
    container.run(&kind.install(1))?;
    container.run("dpkg --purge tessera")?;
    leaves_nothing(container)
}

/// Looks for accounts, groups, files and processes.
fn leaves_nothing(container: &Container) -> Result<()> {
    for file in ["passwd", "group", "shadow"] {
        container.run(&format!("diff /srv/{file} /etc/{file}"))?;
    }
    let left = container.run(
        "find /etc /usr /var /run /opt -xdev -name '*tessera*' -newer /srv/passwd; \
         dpkg --list tessera 2>/dev/null | grep '^[a-z]i'; pgrep -l -r D,R,S,T tessera || true",
    )?;
    ensure!(left.is_empty(), "{left}");
    Ok(())
}

/// What the units run, by hand and under the same accounts.
fn by_hand(kind: Kind, container: &Container) -> Result<()> {
    let unit = "/usr/lib/systemd/system";
    let start = |name: &str, account: &str| {
        container.run(&format!(
            "words=$(sed -n 's/^ExecStart=//p' {unit}/{name}.service); \
             setsid --fork setpriv --reuid={account} --regid={account} --init-groups $words >/srv/{name}.log 2>&1 </dev/null"
        ))
    };
    start("tessera-supervisor", "tessera-supervisor")?;
    container.wait_until("the supervisor answers", "tessera hosts")?;
    container.run("tessera join --local")?;
    start("tessera-launch", "root")?;
    container.wait_until(
        "the launcher is up",
        "[ -S /var/lib/tessera/run/launcher.sock ]",
    )?;
    start("tessera-worker", "tessera")?;
    farm::wait_for_host(container, "user")?;
    let job = farm::begin(container, 3)?;
    container.run(&kind.install(2))?;
    job.end(container)
}

fn removes_unbooted(kind: Kind, container: &Container) -> Result<()> {
    container.run(kind.remove())?;
    container.run("[ -s /var/lib/tessera/worker/cert.pem ] && getent passwd tessera")?;
    container.run("pkill -x tessera; pkill -x tessera-launch; true")?;
    container.wait_until(
        "they have ended",
        "! pgrep -x -r D,R,S,T 'tessera|tessera-launch'",
    )
}
