//! Desktop mode: the same chain as one ordinary user, without a launcher, by sessions where there are no groups.

mod common;

use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command as Program, Stdio};

use common::procs::{alive, processes_of};
use common::{Instance, Link, User, World, can_run, shell, wait_until};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socketpair,
};
use tessera_ticket::launcher::{Reply, Request};
use tessera_ticket::shepherd::Event;
use tessera_ticket::{EndKind, Mode, PathMap, Template, Ticket};

/// A person's desktop: the program where they can reach it, and a folder of theirs.
struct Desktop {
    world: World,
    mia: User,
    program: PathBuf,
    folder: PathBuf,
}

impl Desktop {
    fn new() -> Self {
        let world = World::prepare("");
        let mia = User::new("tsm", &[]);
        let program = world.dir.join("tessera-launch");
        fs::copy(env!("CARGO_BIN_EXE_tessera-launch"), &program).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let folder = world.dir.join("mia");
        fs::create_dir(&folder).unwrap();
        chown(&folder, Some(mia.uid), Some(mia.gid)).unwrap();
        Self {
            world,
            mia,
            program,
            folder,
        }
    }

    fn program(&self, uid: u32) -> Program {
        let mut program = Program::new(&self.program);
        program
            .uid(uid)
            .gid(if uid == 0 { 0 } else { self.mia.gid });
        program.env_clear().env("DISPLAY", ":7").env("SECRET", "1");
        program
    }

    fn lock(&self) -> File {
        let path = self.folder.join("lock");
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .unwrap()
    }

    fn start(&self, uid: u32, mode: Mode, what: &Template) -> Result<Instance, String> {
        let ticket = Ticket {
            account: String::new(),
            ..self.world.ticket("mia", Mode::Desktop, what)
        };
        let ticket = Ticket {
            mode,
            account: if mode == Mode::Desktop {
                String::new()
            } else {
                "mia".into()
            },
            ..ticket
        };
        let path = self.folder.join("ctl");
        let _ = fs::remove_file(&path);
        let listener = common::seqpacket();
        bind(listener.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        listen(&listener, Backlog::new(8).unwrap()).unwrap();
        let (ours, theirs) = pair();
        let mut child = self
            .program(uid)
            .arg("desktop-shepherd")
            .arg("--tmp")
            .arg(&self.folder)
            .stdin(Stdio::from(theirs))
            .spawn()
            .unwrap();
        let link = Link { fd: ours };
        let (memory, lock) = (common::memory(&what.encode()), self.lock());
        let request = Request::Start {
            id: 1,
            ticket: ticket.encode(),
            signature: [0; 64],
            orphan_seconds: 600,
            nice: 0,
        };
        let paths = PathMap::new([(r"P:\".to_owned(), "/mnt/p".to_owned())]).unwrap();
        let paths = common::memory(&paths.encode());
        let mut fds = vec![memory.as_fd(), listener.as_fd(), lock.as_fd()];
        if what.convert_path {
            fds.push(paths.as_fd());
        }
        link.send(&request.encode(), &fds);
        drop((listener, lock));
        let reply = Reply::decode(&link.receive().unwrap()).unwrap();
        child.wait().unwrap();
        match reply {
            Reply::Started {
                shepherd,
                account,
                uid,
                gid,
                containment,
                ..
            } => {
                let link = Link::connect(&path, uid).unwrap();
                let dir = self.folder.clone();
                Ok(Instance {
                    key: ticket.key,
                    dir,
                    link,
                    shepherd,
                    account,
                    uid,
                    gid,
                    containment,
                })
            }
            Reply::Refused { code, .. } => Err(code),
            other => panic!("{other:?}"),
        }
    }

    fn gone(&self, instance: &Instance) -> bool {
        let mut program = self.program(self.mia.uid);
        program
            .arg("desktop-gone")
            .arg(instance.key.to_string())
            .arg("--tmp")
            .arg(&self.folder)
            .stdin(Stdio::from(self.lock()));
        program.status().unwrap().success()
    }
}

fn pair() -> (OwnedFd, OwnedFd) {
    socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )
    .unwrap()
}

#[test]
fn a_desktop_runs_jobs_as_its_person() {
    if !can_run() {
        return;
    }
    let desk = Desktop::new();
    let script =
        "id -u; echo $DISPLAY$SECRET; (setsid sh -c 'trap \"\" TERM HUP; sleep 300' &) ; exit 3";
    let instance = desk
        .start(desk.mia.uid, Mode::Desktop, &shell(script))
        .unwrap();
    assert_eq!(
        (&instance.account, instance.uid),
        (&desk.mia.name, desk.mia.uid)
    );
    let record = instance.run(0);
    assert_eq!(record.kind, EndKind::Exited { code: 3 });
    assert_eq!(instance.out(0), format!("{}\n:7\n", desk.mia.uid));
    assert!(
        record.leftovers >= 1,
        "what went off on its own was found and ended"
    );
    wait_until("shepherd and starter are alone", || {
        processes_of(desk.mia.uid).len() == 2
    });
    instance.close();
    assert!(desk.gone(&instance));
    assert!(processes_of(desk.mia.uid).is_empty());
}

#[test]
fn a_desktop_converts_paths_by_its_own_table() {
    if !can_run() {
        return;
    }
    let desk = Desktop::new();
    let mut what = shell(r"echo 'P:\a\b'; echo 'QB_CONVERT_PATH(D:\x)'");
    what.convert_path = true;
    let instance = desk.start(desk.mia.uid, Mode::Desktop, &what).unwrap();
    instance.run(0);
    assert_eq!(instance.out(0), "/mnt/p/a/b\nD:\\x\n");
    instance.close();
    assert!(desk.gone(&instance));
}

#[test]
fn a_desktop_stops_and_ends_what_runs() {
    if !can_run() {
        return;
    }
    let desk = Desktop::new();
    let script = "(setsid sh -c 'while :; do echo x; sleep 0.01; done' &); while :; do echo y; sleep 0.01; done";
    let instance = desk
        .start(desk.mia.uid, Mode::Desktop, &shell(script))
        .unwrap();
    instance.order(0, 1);
    instance.started();
    let size = || fs::metadata(instance.dir.join("0.1.out")).unwrap().len();
    wait_until("output grows", || size() > 20);
    instance.tell(&tessera_ticket::shepherd::Command::Suspend);
    assert_eq!(instance.event(), Event::Suspended);
    std::thread::sleep(std::time::Duration::from_millis(100));
    let stopped = size();
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(size(), stopped);
    instance.tell(&tessera_ticket::shepherd::Command::Resume);
    assert_eq!(instance.event(), Event::Resumed);
    wait_until("output grows again", || size() > stopped + 20);
    instance.end(0, 1, 50);
    instance.ended();
    wait_until("shepherd and starter are alone", || {
        processes_of(desk.mia.uid).len() == 2
    });
    // Killed without a word: what it ran is found by its mark.
    instance.order(1, 1);
    let pid = instance.started();
    wait_until("both loops run", || processes_of(desk.mia.uid).len() >= 4);
    common::run("kill", &["-9", &instance.shepherd.to_string()]);
    assert!(desk.gone(&instance));
    assert!(!alive(pid) && processes_of(desk.mia.uid).is_empty());
}

#[test]
fn a_desktop_refuses_root_and_tickets_of_other_modes() {
    if !can_run() {
        return;
    }
    let desk = Desktop::new();
    let what = shell("true");
    assert_eq!(
        desk.start(0, Mode::Desktop, &what).err().unwrap(),
        "root_refused"
    );
    assert_eq!(
        desk.start(desk.mia.uid, Mode::User, &what).err().unwrap(),
        "mode_not_allowed"
    );
    assert!(processes_of(desk.mia.uid).is_empty());
}

#[test]
fn a_desktops_private_directories_go_with_their_instances() {
    if !can_run() {
        return;
    }
    let desk = Desktop::new();
    let script = "cd $TMPDIR && pwd && mkdir -p a/b && ln -s /etc a/etc && chmod 0 a; test $TESSERA_ITEM = 0 || exec sleep 300";
    let left = || {
        let all = fs::read_dir(&desk.folder).unwrap().flatten();
        all.filter(|it| it.file_type().unwrap().is_dir()).count()
    };
    for is_killed in [false, true] {
        for name in ["0.1", "1.1"] {
            for ending in ["out", "err", "idx", "exit"] {
                let _ = fs::remove_file(desk.folder.join(format!("{name}.{ending}")));
            }
        }
        let instance = desk
            .start(desk.mia.uid, Mode::Desktop, &shell(script))
            .unwrap();
        instance.run(0);
        assert!(instance.out(0).starts_with(desk.folder.to_str().unwrap()));
        assert_eq!(left(), 1);
        if is_killed {
            instance.order(1, 1);
            instance.started();
            common::run("kill", &["-9", &instance.shepherd.to_string()]);
        } else {
            instance.close();
        }
        assert!(desk.gone(&instance));
        assert_eq!(left(), 0);
    }
}
