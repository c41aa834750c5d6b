//! Stands in for `tessera` in the tests of `supervise`: daemons that only wait, and an enrolment with a key of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let at = words
        .iter()
        .position(|it| it == "--state")
        .expect("--state");
    let state = Path::new(&words[at + 1]);
    // SAFETY: takes nothing and can't fail.
    let uid = unsafe { libc::getuid() };
    let pid = std::process::id();
    match words[0].as_str() {
        "supervisor" if words.iter().any(|it| it == "--fails") => std::process::exit(3),
        "supervisor" => {
            fs::write(
                state.join("supervisor/ran"),
                format!("{uid} {pid} {}", words.join(" ")),
            )
            .unwrap();
            let _socket = UnixListener::bind(state.join("run/supervisor.sock")).unwrap();
            wait();
        }
        "worker" => {
            fs::write(
                state.join("worker/ran"),
                format!("{uid} {pid} {}", words.join(" ")),
            )
            .unwrap();
            wait();
        }
        "join" => {
            assert_eq!(uid, 0);
            let key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
            let unique = format!("{:032x}", u128::from(pid) << 96 | 0x51);
            for (name, text) in [
                ("dispatch.pub", key),
                ("farm_id", &unique),
                ("host_id", &unique),
            ] {
                let path = state.join("launcher").join(name);
                fs::write(&path, text).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            }
        }
        other => panic!("{other}"),
    }
}

fn wait() {
    loop {
        std::thread::park();
    }
}
