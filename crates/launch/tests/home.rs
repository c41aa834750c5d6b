//! A home that its user can enter and root can't, as on a share that squashes root: here a file system in user space, served
//! by this test, which the kernel shows to nobody but the user it is mounted for.

mod common;

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::thread::JoinHandle;

use common::needs::needed;
use common::{User, World, can_run, shell};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tessera_ticket::EndKind;

const GETATTR: u32 = 3;
const FORGET: u32 = 2;
const LOOKUP: u32 = 1;
const INIT: u32 = 26;
const BATCH_FORGET: u32 = 42;
const INTERRUPT: u32 = 36;
const ROOT: u64 = 1;

/// A mounted file system with nothing but its root directory in it.
struct Share {
    at: PathBuf,
    server: Option<JoinHandle<()>>,
}

impl Share {
    /// Mounts it for this user; `None` where the kernel has no such file systems.
    fn mount(at: PathBuf, user: &User) -> Option<Self> {
        let device = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/fuse")
            .ok()?;
        fs::create_dir(&at).unwrap();
        let (uid, gid) = (user.uid, user.gid);
        let options = format!(
            "fd={},rootmode=40700,user_id={uid},group_id={gid}",
            device.as_raw_fd()
        );
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(
            Some("test"),
            &at,
            Some("fuse.test"),
            flags,
            Some(options.as_str()),
        )
        .ok()?;
        let server = std::thread::spawn(move || serve(device, uid, gid));
        Some(Self {
            at,
            server: Some(server),
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let _ = umount2(&self.at, MntFlags::MNT_DETACH);
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}

/// Answers the kernel until the file system is gone.
fn serve(mut device: File, uid: u32, gid: u32) {
    let mut request = vec![0; 1 << 20];
    loop {
        let Ok(len) = device.read(&mut request) else {
            return;
        };
        let word = |at: usize| u32::from_le_bytes(request[at..at + 4].try_into().unwrap());
        assert!(len >= 40, "a header at least");
        let (operation, unique) = (word(4), request[8..16].to_vec());
        let node = u64::from_le_bytes(request[16..24].try_into().unwrap());
        let (error, body) = match operation {
            FORGET | BATCH_FORGET | INTERRUPT => continue,
            INIT => (0, init(word(40), word(44))),
            GETATTR if node == ROOT => (0, attributes(uid, gid)),
            LOOKUP => (-libc::ENOENT, Vec::new()),
            _ => (-libc::ENOSYS, Vec::new()),
        };
        let mut reply = u32::try_from(16 + body.len())
            .unwrap()
            .to_le_bytes()
            .to_vec();
        reply.extend(error.to_le_bytes());
        reply.extend(unique);
        reply.extend(body);
        if device.write_all(&reply).is_err() {
            return;
        }
    }
}

fn init(major: u32, minor: u32) -> Vec<u8> {
    let mut out = Vec::new();
    for value in [major, minor.min(31), 0, 0] {
        out.extend(value.to_le_bytes());
    }
    // How many requests may wait, then the most bytes of a write, then what is left out.
    out.extend([12, 0, 9, 0]);
    out.extend(4_096_u32.to_le_bytes());
    out.resize(64, 0);
    out
}

/// A directory that is its user's alone.
fn attributes(uid: u32, gid: u32) -> Vec<u8> {
    let mut out = vec![0; 16];
    out.extend(ROOT.to_le_bytes());
    out.resize(16 + 60, 0);
    for value in [0o040_700, 2, uid, gid, 0, 4_096, 0] {
        out.extend(u32::to_le_bytes(value));
    }
    assert_eq!(out.len(), 104);
    out
}

#[test]
fn l47_a_home_that_root_cannot_enter_is_entered_as_the_user() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let mia = User::new("tsh", &[]);
    let home = Share::mount(world.dir.join("home"), &mia);
    let Some(home) = needed("a file system in user space (/dev/fuse)", home) else {
        return;
    };
    mia.change(&["-d", home.at.to_str().unwrap()]);
    let error = fs::read_dir(&home.at).unwrap_err();
    assert_eq!(
        error.kind(),
        std::io::ErrorKind::PermissionDenied,
        "root is kept out"
    );
    let mut what = shell("pwd; id -un; test -O . && echo mine");
    what.cwd = String::new();
    let instance = world.start(&mia.name, &what);
    let record = instance.run(0);
    let wanted = format!("{}\n{}\nmine\n", home.at.display(), mia.name);
    assert_eq!(instance.out(0), wanted, "{}", instance.err(0));
    assert_eq!(record.kind, EndKind::Exited { code: 0 });
    instance.close();
    world.assert_nothing_left();
}
