//! The private directory of an instance: whose it is, and what becomes of it whatever the job did to it.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use common::attack::{attack_in, evil};
use common::{User, World, can_run, shell, wait_until};
use tessera_ticket::Mode;

#[test]
fn the_directory_is_private_and_goes_with_its_instance() {
    if !can_run() {
        return;
    }
    let mut world = World::new("");
    let alice = User::new("tsa", &[]);
    let what = shell(
        "echo $TMPDIR $TMP $TEMP; echo x >$TMPDIR/x; mkdir -p $TMPDIR/a/b; ln -s /etc $TMPDIR/a/etc",
    );
    let instance = world.start(&alice.name, &what);
    instance.run(0);
    let text = instance.out(0);
    let paths: Vec<&str> = text.split_whitespace().collect();
    assert!(
        paths.len() == 3 && paths.iter().all(|it| *it == paths[0]),
        "{text}"
    );
    let found = fs::metadata(paths[0]).unwrap();
    assert_eq!(
        (found.uid(), found.gid(), found.mode() & 0o7777),
        (alice.uid, alice.gid, 0o700)
    );
    let parent = fs::metadata(Path::new(paths[0]).parent().unwrap()).unwrap();
    assert_eq!((parent.uid(), parent.mode() & 0o7777), (0, 0o711));
    let second = world.start(&alice.name, &what);
    second.run(0);
    assert_eq!(world.private_dirs().len(), 2, "each instance has its own");
    second.close();
    wait_until("the directory of the one that is closed goes", || {
        world.private_dirs().len() == 1
    });
    // A new launcher knows whose it is.
    world.kill_launcher();
    world.start_launcher();
    assert_eq!(world.private_dirs().len(), 1);
    instance.run(1);
    world.kill_launcher();
    instance.close();
    world.start_launcher();
    wait_until("what ended without a launcher is cleared up", || {
        world.private_dirs().is_empty()
    });
    world.assert_nothing_left();
}

#[test]
fn a_directory_without_a_launch_is_swept() {
    if !can_run() {
        return;
    }
    let mut world = World::new("");
    let alice = User::new("tsa", &[]);
    let instance = world.start(&alice.name, &shell("mkdir -p $TMPDIR/a/b"));
    instance.run(0);
    let name = world.private_dirs()[0].clone();
    world.kill_launcher();
    world.gone_by_hand(&instance);
    // Names that are not the farm's own are left alone.
    let other = world.dir.join("tmp/0000000000000000.1.2.3.abc");
    fs::create_dir(&other).unwrap();
    world.start_launcher();
    wait_until("swept", || !name.exists());
    assert!(other.exists());
}

#[test]
fn the_policy_says_where() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let place = world.dir.join("elsewhere");
    world.set_policy(&format!("tmp_dir = {}", place.display()));
    let alice = User::new("tsa", &[]);
    let what = shell("echo $TMPDIR");
    let instance = world.start(&alice.name, &what);
    instance.run(0);
    assert!(
        instance.out(0).starts_with(place.to_str().unwrap()),
        "{}",
        instance.out(0)
    );
    instance.close();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o700)).unwrap();
    world.set_policy(&format!("tmp_dir = {}\n# again", place.display()));
    let ticket = world.ticket(&alice.name, Mode::User, &what);
    let (code, text) = world.start_ticket(&ticket, &what).err().unwrap();
    assert_eq!(code, "policy_invalid");
    assert!(text.contains("users can't pass (mode 0700)"), "{text}");
    // What others can write to is no such place.
    for (path, owner) in [
        ("/tmp", None),
        (world.dir.to_str().unwrap(), Some(alice.uid)),
    ] {
        std::os::unix::fs::chown(&world.dir, owner.or(Some(0)), None).unwrap();
        world.set_policy(&format!("tmp_dir = {path}"));
        let ticket = world.ticket(&alice.name, Mode::User, &what);
        let (code, text) = world.start_ticket(&ticket, &what).err().unwrap();
        assert_eq!(code, "policy_invalid");
        assert!(text.contains("tmp_dir") && text.contains(path), "{text}");
    }
    std::os::unix::fs::chown(&world.dir, Some(0), None).unwrap();
}

/// What must stay as it is: outside of the directory, the job's user can change all of it.
struct Canaries {
    dir: std::path::PathBuf,
}

impl Canaries {
    fn new(world: &World, owner: &User) -> Self {
        let dir = world.dir.join("canaries");
        fs::create_dir_all(dir.join("deep/er")).unwrap();
        fs::write(dir.join("deep/er/file"), "x").unwrap();
        let all = ["", "deep", "deep/er", "deep/er/file"];
        all.iter().for_each(|it| {
            std::os::unix::fs::chown(dir.join(it), Some(owner.uid), Some(owner.gid)).unwrap();
        });
        Self { dir }
    }

    fn assert_there(&self) {
        assert_eq!(
            fs::read_to_string(self.dir.join("deep/er/file")).unwrap(),
            "x"
        );
    }
}

#[test]
fn l22_removal_leaves_everything_outside_alone() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let alice = User::new("tsa", &[]);
    let canaries = Canaries::new(&world, &alice);
    let outside = canaries.dir.display();
    let script = format!(
        "cd $TMPDIR; ln -s {outside} link; mkdir real; mv real gone; ln -s {outside} real; ln -s / root\n\
         mkdir -p a/b; ln -s ../../.. a/b/up; ln -s {outside}/deep a/b/deep; touch 'a/-rf' 'a/ b'\n\
         touch \"$(printf 'a/\\377\\n')\"; mkfifo a/fifo; ln {outside}/deep/er/file a/hard\n\
         mkdir -p shut/in/side; touch shut/in/side/x; chmod 0 shut/in/side shut/in shut\n\
         mkdir mount; unshare -Urm sh -c 'mount --bind {outside} mount && touch mount/was-here' 2>/dev/null\n\
         (unshare -Urm sh -c 'mount --bind {outside} mount; sleep 300' &) ; sleep 0.1; chmod 0 .; exit 0"
    );
    let instance = world.start(&alice.name, &shell(&script));
    instance.order_with(0, 1, 1 << 20, 0);
    instance.started();
    instance.ended();
    assert_eq!(world.private_dirs().len(), 1);
    instance.close();
    wait_until("the directory is gone", || world.private_dirs().is_empty());
    canaries.assert_there();
    world.assert_nothing_left();
}

#[test]
fn l22_a_tree_deeper_than_any_path_is_removed_in_time() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    // In memory: some disks take milliseconds for each directory, which is not what this is about.
    let place = Path::new("/dev/shm").join(world.dir.file_name().unwrap());
    world.set_policy(&format!("tmp_dir = {}", place.display()));
    let alice = User::new("tsa", &[]);
    let mut what = evil(&world, &["deep", "50000"]);
    let attack = what.argv.join(" ");
    what.argv = vec![
        "/bin/sh".into(),
        "-c".into(),
        format!("cd $TMPDIR && exec {attack}"),
    ];
    let instance = world.start(&alice.name, &what);
    assert_eq!(attack_in(&instance)["deep"], 0);
    instance.close();
    let before = Instant::now();
    wait_until("the tree is gone", || {
        fs::read_dir(&place).unwrap().next().is_none()
    });
    assert!(before.elapsed() < Duration::from_secs(15));
    fs::remove_dir(&place).unwrap();
}

#[test]
fn l22_what_cannot_be_removed_is_left_and_told() {
    if !can_run() {
        return;
    }
    let mut world = World::new("");
    let alice = User::new("tsa", &[]);
    let instance = world.start(
        &alice.name,
        &shell("echo $TMPDIR; mkdir $TMPDIR/theirs; touch $TMPDIR/own"),
    );
    instance.run(0);
    let place = instance.out(0).trim().to_owned();
    // Somebody else's file in a directory that is not alice's: with only her rights it stays.
    fs::write(format!("{place}/theirs/file"), "x").unwrap();
    std::os::unix::fs::chown(format!("{place}/theirs"), Some(0), None).unwrap();
    fs::set_permissions(format!("{place}/theirs"), fs::Permissions::from_mode(0o755)).unwrap();
    instance.close();
    wait_until("it is told", || world.audit().contains("directory_left"));
    assert!(!Path::new(&place).join("own").exists(), "the rest is gone");
    assert_eq!(
        fs::read_to_string(format!("{place}/theirs/file")).unwrap(),
        "x"
    );
    let log = fs::read_to_string(world.dir.join("launcher.log")).unwrap();
    assert!(log.contains("can't be removed yet"), "{log}");
    // Others are not kept waiting, and the next launcher tries again.
    fs::remove_dir_all(format!("{place}/theirs")).unwrap();
    world.kill_launcher();
    world.start_launcher();
    wait_until("swept", || world.private_dirs().is_empty());
}

#[test]
fn l22_what_somebody_mounted_on_it_does_not_stop_the_launcher() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let alice = User::new("tsa", &[]);
    let instance = world.start(&alice.name, &shell("echo $TMPDIR"));
    instance.run(0);
    let place = instance.out(0).trim().to_owned();
    // A file system of a program that never answers, where the machine has such; else another that must not be looked at.
    let script = format!(
        "exec 3<>/dev/fuse && mount -i -t fuse -o fd=3,rootmode=40000,user_id={0},group_id={1} evil {place} \\\n\
         || mount -t tmpfs evil {place}; echo; exec sleep 60",
        alice.uid, alice.gid
    );
    let mut server = std::process::Command::new("bash")
        .args(["-c", &script])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = [0];
    let out = server.stdout.as_mut().unwrap();
    std::io::Read::read_exact(out, &mut line).unwrap();
    instance.close();
    wait_until("it is told", || world.audit().contains("directory_left"));
    let other = world.start(&alice.name, &shell("true"));
    other.run(0);
    other.close();
    server.kill().unwrap();
    server.wait().unwrap();
    common::run("umount", &["-l", &place]);
}
