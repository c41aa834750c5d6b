//! What is missing or wrong in the launcher's directory.

use tessera_keeper::config::Rules;
use tessera_keeper::{Config, POLICY, System as _};
use tessera_ticket::Refusal;

use super::fake::Fake;
use crate::host::Host;
use crate::policy::Policy;

#[test]
fn what_is_missing_or_wrong_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let launcher = dir.path().join("launcher");
    std::fs::create_dir(&launcher).expect("made");
    let write =
        |name: &str, text: &str| std::fs::write(launcher.join(name), text).expect("written");
    let error = Config::load(dir.path(), |_| Ok(())).expect_err("no farm");
    assert!(error.contains("farm_id: is not there"), "{error}");
    write("farm_id", "01234567-0123-0123-0123-0123456789ab\n");
    write("host_id", "zz");
    let error = Config::load(dir.path(), |_| Ok(())).expect_err("no host");
    assert!(error.contains("host_id: is not an id"), "{error}");
    write("host_id", &"0".repeat(32));
    let config = Config::load(dir.path(), |_| Ok(())).expect("good");
    let reason = |what: Result<Rules<Policy>, Refusal>| match what {
        Err(Refusal::PolicyInvalid { reason }) => reason,
        other => panic!("{other:?}"),
    };
    assert!(reason(config.rules::<Host<Fake>>()).contains("policy: is not there"));
    write(POLICY, "modes = user");
    assert!(reason(config.rules::<Host<Fake>>()).contains("dispatch.pub: is not there"));
    write("dispatch.pub", "01");
    assert!(reason(config.rules::<Host<Fake>>()).contains("dispatch.pub: holds no list"));
    let key = tessera_ticket::SigningKey::from_bytes(&[7; 32]).verifying_key();
    let key: String = key
        .as_bytes()
        .iter()
        .map(|it| format!("{it:02x}"))
        .collect();
    write("dispatch.pub", &format!("# keys\n{key}\n"));
    assert_eq!(config.rules::<Host<Fake>>().expect("good").keys.len(), 1);
    write(POLICY, "nonsense = 1");
    assert!(reason(config.rules::<Host<Fake>>()).contains("policy: line 1"));
    assert_eq!(
        Host::<Fake>::tmp(&Policy::parse("").expect("reads"), dir.path()),
        dir.path().join("tmp")
    );
}
