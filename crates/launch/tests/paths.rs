//! Paths of another system: the launcher's policy says what they are called here, the job says whether it wants that.

mod common;

use common::{User, World, can_run, template};
use tessera_ticket::{Mode, Template};

/// Prints its arguments and where it is, a line each.
fn print(arguments: &[&str]) -> Template {
    let mut argv = vec!["/bin/sh", "-c", r#"pwd; printf '%s\n' "$@""#, "sh"];
    argv.extend(arguments);
    template(&argv)
}

#[test]
fn a_windows_path_is_found_under_its_name_here() {
    if !can_run() {
        return;
    }
    let world = World::new(
        r"path_map = P:\show => /usr/share
path_map = \\FS1\my lib => /usr/lib
path_map = P: => /mnt/p",
    );
    let alice = User::new("tsa", &[]);
    let arguments = [
        r"p:\SHOW\a b\c.exr",
        r"--out=P:\showreel\x",
        r"\\fs1\My Lib\t",
        r"C:\other\x",
        r"-f=QB_CONVERT_PATH(P:/show/x)",
    ];
    let mut what = print(&arguments);
    what.cwd = r"P:\show".into();
    what.convert_path = true;
    let instance = world.start(&alice.name, &what);
    instance.run(0);
    let wanted = "/usr/share\n/usr/share/a b/c.exr\n--out=/mnt/p/showreel/x\n/usr/lib/t\nC:\\other\\x\n-f=/usr/share/x\n";
    assert_eq!(instance.out(0), wanted);
    instance.close();
    // Without the flag only what is wrapped.
    let what = print(&arguments);
    let instance = world.start(&alice.name, &what);
    instance.run(0);
    let mut lines = vec!["/"];
    lines.extend(&arguments[..4]);
    lines.push("-f=/usr/share/x");
    assert_eq!(instance.out(0), lines.join("\n") + "\n");
}

#[test]
fn a_path_here_gets_its_name_on_windows() {
    if !can_run() {
        return;
    }
    let world = World::new(
        r"path_map = /mnt/p => P:\
path_map = /srv/lib => \\fs1\lib",
    );
    let alice = User::new("tsa", &[]);
    let mut what = print(&[
        "/mnt/p/a/b.exr",
        "/mnt/P/a",
        "/srv/lib/x y/z",
        "load('/mnt/p/c')",
    ]);
    what.convert_path = true;
    let instance = world.start(&alice.name, &what);
    instance.run(0);
    let wanted = "/\nP:\\a\\b.exr\n/mnt/P/a\n\\\\fs1\\lib\\x y\\z\nload('P:\\c')\n";
    assert_eq!(instance.out(0), wanted);
}

#[test]
fn a_changed_table_counts_from_the_next_start_and_a_wrong_one_starts_nothing() {
    if !can_run() {
        return;
    }
    let world = World::new(r"path_map = P: => /mnt/p");
    let alice = User::new("tsa", &[]);
    let mut what = print(&["P:/x"]);
    what.convert_path = true;
    let before = world.start(&alice.name, &what);
    world.set_policy("path_map = P: => /mnt/q");
    let after = world.start(&alice.name, &what);
    before.run(0);
    after.run(0);
    assert_eq!(before.out(0), "/\n/mnt/p/x\n");
    assert_eq!(after.out(0), "/\n/mnt/q/x\n");
    world.set_policy("path_map = show => /mnt/q");
    let ticket = world.ticket(&alice.name, Mode::User, &what);
    let (code, text) = world.start_ticket(&ticket, &what).err().unwrap();
    assert_eq!(code, "policy_invalid");
    assert!(
        text.contains("`path_map`: `show` is not an absolute path"),
        "{text}"
    );
}
