//! Who may speak to the launcher and to a shepherd, and what becomes of those who speak nonsense.

mod common;

use std::time::{Duration, Instant};

use common::{Link, User, World, can_run, template};
use tessera_ticket::launcher::{Reply, Request};

fn capabilities(world: &World) -> tessera_ticket::launcher::Capabilities {
    let link = world.connect();
    link.send(&Request::Capabilities { id: 3 }.encode(), &[]);
    match Reply::decode(&link.receive().unwrap()).unwrap() {
        Reply::Capabilities { id: 3, what } => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn l44_strangers_and_nonsense_cost_the_others_nothing() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let eve = User::new("tse", &[]);
    let socket = world.dir.join("run/launcher.sock");
    assert_eq!(
        Link::connect(&socket, eve.uid).err(),
        Some(nix::errno::Errno::EACCES)
    );
    // Root passes the file's mode, and is closed by the launcher itself.
    let root = Link::connect(&socket, 0).unwrap();
    assert_eq!(root.receive(), None);
    for bytes in [
        &[9u8, 1, 0][..],
        &[1],
        &[1, 1, 0, 0],
        &[1, 77, 0, 0, 0, 0],
        &vec![1; 17_000],
    ] {
        let link = world.connect();
        link.send(bytes, &[]);
        assert_eq!(
            link.receive(),
            None,
            "closed for {} bytes of nonsense",
            bytes.len()
        );
    }
    let idle: Vec<Link> = (0..100).map(|_| world.connect()).collect();
    let before = Instant::now();
    assert_eq!(capabilities(&world).uid_min, 1000);
    assert!(before.elapsed() < Duration::from_secs(5));
    drop(idle);
    let what = template(&["true"]);
    let instance = world.start(&eve.name, &what);
    let control = instance.dir.join("ctl");
    let stranger = Link::connect(&control, eve.uid).unwrap();
    assert_eq!(stranger.receive(), None, "a shepherd hears its worker only");
    instance.run(0);
    instance.close();
    assert!(world.audit().contains("connection_refused"));
    world.assert_nothing_left();
}

#[test]
fn l44_ten_thousand_connections_hold_up_nobody_who_has_one() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let socket = world.dir.join("run/launcher.sock");
    let alice = User::new("tsa", &[]);
    let ask = |link: &Link| {
        link.send(&Request::Capabilities { id: 3 }.encode(), &[]);
        Reply::decode(&link.receive().unwrap()).unwrap()
    };
    let first = world.connect();
    assert!(matches!(ask(&first), Reply::Capabilities { id: 3, .. }));
    // Only the worker's account can: the others are closed at once, whatever they hold.
    let mut held = Vec::new();
    let (mut refused, before) = (0, Instant::now());
    for _ in 0..10_000 {
        match Link::connect_now(&socket, world.worker.uid) {
            Ok(link) => held.push(link),
            Err(nix::errno::Errno::EAGAIN) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(held.len() + refused, 10_000);
    // What the launcher takes, and what waits in the socket's queue; the rest is told at once that there is no room.
    assert!(
        (100..=300).contains(&held.len()),
        "{} connections",
        held.len()
    );
    assert!(matches!(ask(&first), Reply::Capabilities { id: 3, .. }));
    assert!(before.elapsed() < Duration::from_secs(20));
    let launcher = world.launcher.as_ref().unwrap().id();
    let open = std::fs::read_dir(format!("/proc/{launcher}/fd"))
        .unwrap()
        .count();
    assert!(open < 200, "{open} descriptors");
    drop(held);
    // Strangers who get through the file's mode, one after another.
    for _ in 0..10_000 {
        drop(Link::connect_now(&socket, 0));
    }
    let instance = world.start(&alice.name, &template(&["true"]));
    instance.run(0);
    instance.close();
    drop(first);
    world.assert_nothing_left();
}

#[test]
fn a_host_says_what_it_can_do() {
    if !can_run() {
        return;
    }
    let world = World::new("modes = user\nuid_min = 1234\nno_new_privs = no");
    let what = capabilities(&world);
    assert_eq!(what.modes, ["user"]);
    assert_eq!((what.uid_min, what.no_new_privs), (1234, false));
    assert_eq!(
        (what.proxy_account.as_str(), what.proxy_uid),
        (&*world.proxy.name, Some(world.proxy.uid))
    );
    let expected = if world.group().is_some() {
        "cgroup"
    } else {
        "session"
    };
    assert_eq!(what.containment, expected);
    let out = std::process::Command::new(env!("CARGO_BIN_EXE_tessera-launch"))
        .args(["check", "--state"])
        .arg(&world.dir)
        .output()
        .unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(
        text.contains("modes: user\n") && text.contains(&format!("containment: {expected}\n")),
        "{text}"
    );
}
