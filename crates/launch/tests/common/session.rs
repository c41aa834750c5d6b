//! What tests of PAM sessions need: a host whose policy names a service of its own, and the module that behaves badly.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::procs::processes_of;
use super::{Instance, User, World, can_run, random, run, template, wait_until};
use tessera_ticket::{LaunchKey, Mode};

const PERMIT: &str = "auth required pam_permit.so\naccount required pam_permit.so\n";

/// A host whose policy names a service of its own, and a user.
pub struct Bench {
    pub world: World,
    pub mia: User,
    pub service: String,
    /// Where `logged` writes.
    pub log: PathBuf,
}

impl Bench {
    pub fn new(more: &str) -> Self {
        let service = format!("tessera-test-{:08x}", random() & 0xffff_ffff);
        let world = World::new(&format!("pam_service = {service}\n{more}"));
        let log = world.dir.join("sessions");
        let bench = Self {
            world,
            mia: User::new("tsm", &[]),
            service,
            log,
        };
        bench.serve("");
        bench
    }

    pub fn path(&self) -> PathBuf {
        Path::new("/etc/pam.d").join(&self.service)
    }

    /// Describes the service: everything permitted, openings and closings logged, then these lines.
    pub fn serve(&self, lines: &str) {
        let script = self.world.dir.join("log.sh");
        let uid = self.mia.uid;
        // At the close there must be nothing left of the user.
        let text = format!(
            "#!/bin/sh\nleft=$(cat /proc/[0-9]*/status 2>/dev/null | awk '/^State:/{{z=/Z/}} /^Uid:/&&$2=={uid}&&!z{{n++}} END{{print n+0}}')\n\
             echo \"$PAM_TYPE $PAM_USER $PAM_SERVICE $PAM_TTY $left $(readlink /proc/self/fd/* | grep -c -e socket -e /run)\" >> {}\n",
            self.log.display()
        );
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let logged = format!("session required pam_exec.so {}\n", script.display());
        self.describe(&format!("{PERMIT}{logged}{lines}"));
    }

    pub fn describe(&self, text: &str) {
        let _ = fs::remove_file(self.path());
        fs::write(self.path(), text).unwrap();
        fs::set_permissions(self.path(), fs::Permissions::from_mode(0o644)).unwrap();
    }

    /// Builds the module that behaves badly.
    pub fn bad(&self) -> String {
        let module = self.world.dir.join("bad.so");
        if !module.exists() {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/preload/session.c");
            let (module, source) = (module.to_str().unwrap(), source.to_str().unwrap());
            let words = [
                "-shared",
                "-fPIC",
                "-o",
                module,
                source,
                "-l:libpam.so.0",
                "-lpthread",
            ];
            run("cc", &words);
        }
        module.display().to_string()
    }

    /// What was logged: the kind of each, and how many processes of the user there were.
    pub fn logged(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub fn opened(&self) -> String {
        format!(
            "open_session {} {} tessera 0 0",
            self.mia.name, self.service
        )
    }

    pub fn closed(&self) -> String {
        format!(
            "close_session {} {} tessera 0 0",
            self.mia.name, self.service
        )
    }

    /// Tries to start; returns the refusal's code and text.
    pub fn refused(&self) -> (String, String) {
        let what = template(&["true"]);
        let ticket = self.world.ticket(&self.mia.name, Mode::User, &what);
        let refused = self.world.start_ticket(&ticket, &what).err();
        let refused = refused.expect("the service stands against it");
        self.world.gone(ticket.key);
        refused
    }

    pub fn end(&self, instance: &Instance) {
        instance.close();
        self.world.gone(instance.key);
    }

    /// The audit tells of a session that nobody closed.
    pub fn wait_until_told(&self) {
        let is_told = || self.world.audit().contains("pam_session_left");
        wait_until("the session that was left is told", is_told);
    }

    pub fn holder_of(&self, key: LaunchKey) -> i32 {
        let path = self
            .world
            .group()
            .unwrap()
            .join(key.to_string())
            .join("holder/cgroup.procs");
        fs::read_to_string(path).unwrap().trim().parse().unwrap()
    }

    pub fn assert_nothing_left(&self) {
        wait_until("nothing of the user is left", || {
            processes_of(self.mia.uid).is_empty()
        });
        self.world.assert_nothing_left();
        let run = fs::read_dir(self.world.dir.join("launcher/run"))
            .unwrap()
            .flatten();
        let left: Vec<_> = run.map(|it| it.file_name()).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.path());
    }
}

/// Sessions need control groups of version 2, as the refusal without them says.
pub fn can_have_sessions() -> bool {
    can_run() && {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        mounts.contains(" - cgroup2 ")
    }
}
