//! The order of steps: each made to fail, and what is taken back.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use tessera_ticket::{Mode, Refusal};
use tessera_windows::Sid;

use super::fake::Fake;
use crate::name::{Authority, Name};
use crate::policy::{Logon, Policy};
use crate::session::{Session, Wanted, way_of};

fn slots_policy() -> Policy {
    Policy::parse("worker_drive_map = X: = \\\\s\\x, Y: = \\\\s\\y").expect("a policy")
}

/// Answers what no other test has.
fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{count}", std::process::id())
}

fn begin(
    os: &Arc<Fake>,
    policy: &Policy,
    account: &str,
    mode: Mode,
    token: u64,
) -> Result<Session<Fake>, Refusal> {
    let wanted = Wanted {
        name: Name {
            authority: Authority::Local,
            account: account.to_owned(),
        },
        mode,
        token,
        private: std::env::temp_dir().join(format!("tessera-{}", unique())),
        station: "station".to_owned(),
        policy,
    };
    Session::begin(os, &(), &wanted, &Mutex::new(())).map_err(|it| it.refusal)
}

const CLIMB: [&str; 14] = [
    "chance",
    "renew",
    "look_up",
    "logon",
    "who",
    "strip",
    "read back",
    "profile",
    "variables",
    "station",
    "map X:",
    "map Y:",
    "private",
    "admit",
];

/// What takes a step back; nothing for one that leaves nothing.
fn back(step: &str) -> Option<&'static str> {
    match step {
        "renew" => Some("disable"),
        "logon" => Some("close token"),
        "profile" => Some("unload profile"),
        "station" => Some("close station"),
        "map X:" => Some("unmap X:"),
        "map Y:" => Some("unmap Y:"),
        "private" => Some("remove private"),
        _ => None,
    }
}

#[test]
fn each_step_that_fails_takes_back_what_was_before_it_and_nothing_starts() {
    for (at, fails) in CLIMB.into_iter().enumerate() {
        let os = Arc::new(Fake {
            fails,
            ..Fake::default()
        });
        let refused = begin(&os, &slots_policy(), "tessera-job1", Mode::Proxy, 0);
        let refusal = refused.err().unwrap_or_else(|| panic!("{fails} fails"));
        let mut wanted: Vec<&str> = CLIMB[..at].to_vec();
        wanted.extend(CLIMB[..at].iter().rev().filter_map(|step| back(step)));
        assert_eq!(os.said(), wanted, "{fails}");
        let code = match fails {
            "look_up" => "no_such_account",
            "logon" => "password_wrong",
            "who" => "identity_mismatch",
            _ => "becoming_user_failed",
        };
        assert_eq!(refusal.code(), code, "{fails}");
    }
}

#[test]
fn a_logon_is_taken_back_in_reverse() {
    let os = Arc::new(Fake::default());
    let mut session = begin(&os, &slots_policy(), "tessera-job1", Mode::Proxy, 0).expect("logs on");
    assert_eq!(os.said(), CLIMB);
    assert!(session.end(&Mutex::new(())).is_empty());
    let all: Vec<&str> = CLIMB.iter().rev().filter_map(|step| back(step)).collect();
    assert_eq!(os.said(), all);
    assert!(session.parts().is_none());
    // Once is enough.
    assert!(session.end(&Mutex::new(())).is_empty());
    assert!(os.said().is_empty());
}

#[test]
fn what_cant_be_taken_back_is_said_and_the_rest_is() {
    let os = Arc::new(Fake {
        fails: "unload profile",
        ..Fake::default()
    });
    let mut session = begin(&os, &slots_policy(), "tessera-job1", Mode::Proxy, 0).expect("logs on");
    os.said();
    let problems = session.end(&Mutex::new(()));
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("profile: "), "{problems:?}");
    let said = os.said();
    assert!(
        said.ends_with(&[
            "close station".into(),
            "close token".into(),
            "disable".into()
        ]),
        "{said:?}"
    );
}

#[test]
fn the_token_is_compared_with_the_account_before_and_after_it_is_stripped() {
    for (swapped, stripped) in [(true, false), (false, true)] {
        let os = Arc::new(Fake {
            is_swapped: swapped,
            is_swapped_when_stripped: stripped,
            ..Fake::default()
        });
        let refused = begin(&os, &slots_policy(), "tessera-job1", Mode::Proxy, 0).err();
        assert_eq!(refused, Some(Refusal::IdentityMismatch));
        let said = os.said();
        assert!(
            said.contains(&"close token".to_owned()) && !said.contains(&"profile".to_owned()),
            "{said:?}"
        );
    }
}

#[test]
fn administrators_are_refused_also_by_a_group_of_their_token() {
    let os = Arc::new(Fake {
        groups: vec![Sid::administrators()],
        ..Fake::default()
    });
    let refused = begin(&os, &slots_policy(), "tessera-job1", Mode::Proxy, 0).err();
    assert!(matches!(
        refused,
        Some(Refusal::AdministratorRefused { .. })
    ));
    let os = Arc::new(Fake::default());
    let policy = Policy::parse("modes = user\nuser_logon = s4u").expect("a policy");
    let refused = begin(&os, &policy, "root", Mode::User, 0).err();
    assert!(matches!(
        refused,
        Some(Refusal::AdministratorRefused { .. })
    ));
    // It was not even logged on.
    assert_eq!(os.said(), ["look_up"]);
}

#[test]
fn the_first_way_for_which_there_is_something_is_taken() {
    let policy = |text: &str| Policy::parse(text).expect("a policy");
    let both = policy("user_logon = password, s4u");
    assert_eq!(way_of(&both, Mode::User, true), Ok(Logon::Password));
    assert_eq!(way_of(&both, Mode::User, false), Ok(Logon::S4u));
    let only = policy("user_logon = password");
    assert_eq!(
        way_of(&only, Mode::User, false),
        Err(Refusal::PasswordMissing)
    );
    assert_eq!(way_of(&only, Mode::Proxy, false), Ok(Logon::Dynamic));
    let managed = policy("proxy_account = svc$\nproxy_logon = gmsa");
    assert_eq!(way_of(&managed, Mode::Proxy, true), Ok(Logon::Managed));
    assert_eq!(
        way_of(&both, Mode::Desktop, true),
        Err(Refusal::PasswordMissing)
    );
}

#[test]
fn a_way_that_fails_is_not_followed_by_another() {
    let os = Arc::new(Fake {
        fails: "logon",
        ..Fake::default()
    });
    let policy = Policy::parse("modes = user\nuser_logon = password, s4u").expect("a policy");
    let refused = begin(&os, &policy, "mia", Mode::User, 9);
    assert!(refused.is_err());
    assert_eq!(os.said(), ["look_up", "token 9"]);
}
