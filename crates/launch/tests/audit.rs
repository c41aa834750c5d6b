//! What the launcher's own record tells beside starts and refusals: by which files it judges.

mod common;

use std::process::Command;

use common::{User, World, can_run, template, wait_until};
use tessera_ticket::Mode;

/// The lines of this event.
fn lines(world: &World, event: &str) -> Vec<String> {
    let event = format!("\"event\":\"{event}\"");
    let audit = world.audit();
    let found = audit.lines().filter(|it| it.contains(&event));
    found.map(str::to_owned).collect()
}

/// The digest of a file in the launcher's directory, by another program.
fn sum(world: &World, name: &str) -> String {
    let path = world.dir.join("launcher").join(name);
    let out = Command::new("sha256sum").arg(path).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    text.split(' ').next().unwrap().to_owned()
}

#[test]
fn a_change_of_the_policy_is_told_before_anything_is_judged_by_it() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let alice = User::new("tsa", &[]);
    let what = template(&["true"]);
    let told = |line: &str| {
        let (policy, keys) = (sum(&world, "policy"), sum(&world, "dispatch.pub"));
        let words = format!("\"policy\":\"{policy}\",\"keys\":\"{keys}\",\"problem\":\"\"");
        assert!(line.contains(&words), "{line}");
    };
    // At the start, and each time it is another one.
    world.start(&alice.name, &what).close();
    let found = lines(&world, "policy");
    assert_eq!(found.len(), 1);
    told(&found[0]);
    world.set_policy("no_new_privs = no");
    world.start(&alice.name, &what).close();
    let found = lines(&world, "policy");
    assert_eq!(found.len(), 2);
    told(&found[1]);
    let audit = world.audit();
    let last = |event: &str| audit.rfind(event).unwrap();
    assert!(last("\"event\":\"policy\"") < last("\"event\":\"launch\""));
    // One that can't be read is told with the reason, and nothing starts.
    world.set_policy("what = ever");
    let ticket = world.ticket(&alice.name, Mode::User, &what);
    assert_eq!(world.refusal(&ticket, &what), "policy_invalid");
    // Nothing has happened by it, so the refusal did not wait for the disk.
    wait_until("it is told", || lines(&world, "policy").len() == 3);
    let found = lines(&world, "policy");
    assert!(found[2].contains("`what`"), "{found:?}");
    assert!(found[2].contains("\"policy\":\"\""));
}

/// What the program says of the record, and whether it is whole.
fn verified(world: &World) -> (bool, String) {
    let mut program = Command::new(&world.program);
    let out = program.args(["audit", "--state"]).arg(&world.dir).output();
    let out = out.unwrap();
    let text = String::from_utf8([out.stdout, out.stderr].concat()).unwrap();
    (out.status.success(), text)
}

#[test]
fn what_is_refused_pushes_no_start_out_of_the_record() {
    if !can_run() {
        return;
    }
    let mut world = World::prepare("");
    let (alice, eve) = (User::new("tsa", &[]), User::new("tse", &[]));
    world.set_policy(&format!("deny_users = {}", eve.name));
    world.start_launcher();
    let what = template(&["true"]);
    let first = world.start(&alice.name, &what);
    first.close();
    world.gone(first.key);
    let refuse = |world: &World| {
        let ticket = world.ticket(&eve.name, Mode::User, &what);
        assert_eq!(world.refusal(&ticket, &what), "account_denied");
    };
    refuse(&world);
    // Of a launch that never was.
    world.gone(world.next_key());
    wait_until("it is told", || lines(&world, "gone_asked").len() == 2);
    assert!(verified(&world).0, "{}", verified(&world).1);
    let asked = world.dir.join("launcher/audit-asked.log");
    // As if it had gone on so for long: full twice, and put aside each time.
    for round in 1..=2 {
        world.kill_launcher();
        let last = world.log("audit-asked.log");
        let file = std::fs::File::create(&asked).unwrap();
        file.set_len(65 << 20).unwrap();
        let line = format!("\n{}\n", last.lines().last().unwrap());
        std::os::unix::fs::FileExt::write_all_at(&file, line.as_bytes(), 65 << 20).unwrap();
        world.start_launcher();
        refuse(&world);
        wait_until("it is put aside", || {
            lines(&world, "put_aside").len() == round
        });
    }
    let happened = world.log("audit.log");
    let events = ["refused", "gone_asked", "connection_refused"];
    for event in events.map(|it| format!("\"event\":\"{it}\"")) {
        assert!(!happened.contains(&event), "{happened}");
    }
    let of_first = format!("\"launch\":\"{}\"", first.key);
    for event in ["launch", "gone"] {
        let start = format!("\"event\":\"{event}\",{of_first}");
        assert_eq!(happened.matches(&start).count(), 1, "{happened}");
    }
    assert!(std::fs::metadata(&asked).unwrap().len() < 1 << 20);
    assert!(world.log("audit-asked.log").contains("account_denied"));
}

#[test]
fn a_line_that_is_missing_is_found() {
    if !can_run() {
        return;
    }
    let mut world = World::new("");
    let alice = User::new("tsa", &[]);
    let what = template(&["true"]);
    for _ in 0..2 {
        let it = world.start(&alice.name, &what);
        it.close();
        world.gone(it.key);
    }
    world.kill_launcher();
    let (is_whole, text) = verified(&world);
    assert!(is_whole && text.contains("audit.log: "), "{text}");
    let happened = world.log("audit.log");
    let mut without: Vec<&str> = happened.lines().collect();
    let at = without.iter().position(|it| it.contains("\"launch\""));
    without.remove(at.unwrap());
    world.write("launcher/audit.log", &(without.join("\n") + "\n"));
    let (is_whole, text) = verified(&world);
    assert!(!is_whole && text.contains("audit.log, line 2"), "{text}");
}
