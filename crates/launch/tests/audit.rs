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
