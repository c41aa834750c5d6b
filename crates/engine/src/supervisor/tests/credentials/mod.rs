//! Registered passwords: what waits for one, and what people may ask for.

pub(super) mod checks;
mod keys;

use super::*;
use tessera_model::credential::{
    AccountKind, CREDENTIAL_ALWAYS, CREDENTIAL_OPTIONAL, CredentialChecked, CredentialId, KeyId,
    NEEDS_CREDENTIAL, PoolKey, PoolKeys, SealedCredential, Verdict,
};

const DAY_MS: i64 = 24 * 3_600 * 1_000;

fn mia() -> CredentialId {
    of(AccountKind::User, "mia")
}

fn of(kind: AccountKind, account: &str) -> CredentialId {
    CredentialId {
        kind,
        account: name(account),
        pool: "default".parse().expect("a pool"),
    }
}

fn key(number: u8) -> PoolKey {
    PoolKey {
        id: KeyId([number; 16]),
        public: [number; 32],
        created: Timestamp(0),
    }
}

fn keys(of: &[u8]) -> FromWorker {
    FromWorker::PoolKeys(PoolKeys {
        pool: "default".parse().expect("a pool"),
        keys: of.iter().map(|number| key(*number)).collect(),
    })
}

impl World {
    /// Connects a Windows worker in service mode; its key has its number.
    fn connect_needy(&mut self, number: u8, slots: u32, identity: Identity) {
        self.hello_needy(number, slots, identity);
        self.say(number, keys(&[number]));
        self.say(number, FromWorker::Inventory(Vec::new()));
    }

    fn hello_needy(&mut self, number: u8, slots: u32, identity: Identity) {
        self.hello_saying(CREDENTIAL_ALWAYS, number, slots, identity);
    }

    fn hello_saying(&mut self, word: &str, number: u8, slots: u32, identity: Identity) {
        self.sessions += 1;
        let facts = HostFacts {
            name: format!("win{number}"),
            slots,
            identity,
            properties: [(NEEDS_CREDENTIAL.to_owned(), word.to_owned())].into(),
            ..HostFacts::default()
        };
        self.step(Input::Connected {
            host: host(number),
            session: self.sessions,
            facts: Box::new(facts),
        });
    }

    fn try_register(
        &mut self,
        by: &str,
        id: CredentialId,
        sequence: u64,
        to: &[u8],
    ) -> Result<Answer, Denied> {
        let now = Timestamp(i64::try_from(self.ms).expect("soon"));
        let registration = Registration {
            id,
            domain: "STUDIO".into(),
            sid: String::new(),
            sequence,
            created: now,
            expires: now.plus_ms(30 * DAY_MS),
            sealed: to
                .iter()
                .map(|number| (KeyId([*number; 16]), vec![*number]))
                .collect(),
        };
        let wish = CredentialWish::Register(Box::new(registration));
        self.wish(by, wish)
    }

    fn register(&mut self, sequence: u64, to: &[u8]) {
        assert_eq!(
            self.try_register("mia", mia(), sequence, to),
            Ok(Answer::Done)
        );
    }

    fn wish(&mut self, by: &str, wish: CredentialWish) -> Result<Answer, Denied> {
        let by = person(by);
        self.step(Input::Credential { by, wish })
            .expect("an answer")
    }

    /// Takes the one check that is asked for.
    fn check(&mut self) -> (u8, SealedCredential) {
        let mut checks = self.checks();
        assert_eq!(checks.len(), 1, "{checks:?}");
        checks.remove(0)
    }

    fn checks(&mut self) -> Vec<(u8, SealedCredential)> {
        let said = std::mem::take(&mut self.said);
        let mut checks = Vec::new();
        for (host, message) in said {
            match message {
                ToWorker::Credential {
                    credential,
                    is_check: true,
                } => checks.push((host.0[0], *credential)),
                other => self.said.push((host, other)),
            }
        }
        checks
    }

    fn found(&mut self, number: u8, sequence: u64, verdict: Verdict) {
        let checked = CredentialChecked {
            id: mia(),
            sequence,
            verdict,
            sid: "S-1-5-21-7".into(),
            detail: "as told".into(),
        };
        self.say(number, FromWorker::CredentialChecked(checked));
    }

    fn in_badlogin(&self) -> usize {
        self.engine
            .jobs()
            .map(|job| job.instances_in(WorkStatus::Badlogin))
            .sum()
    }

    fn starts(&self) -> usize {
        self.said
            .iter()
            .filter(|(_, said)| matches!(said, ToWorker::Start { .. }))
            .count()
    }

    fn code(&self, job: JobId) -> String {
        let job = self.engine.job(job).expect("there");
        let code = job
            .instances()
            .iter()
            .find_map(|instance| match &instance.status {
                tessera_model::InstanceStatus::Badlogin(refusal) => Some(refusal.code.clone()),
                _ => None,
            });
        code.unwrap_or_default()
    }
}

/// A farm of so many Windows workers, of one slot each, and a password of mia's that is sealed for all of them and that
/// one of them is asked to try.
fn registered(hosts: u8) -> World {
    let mut w = World::new();
    let all: Vec<u8> = (1..=hosts).collect();
    for number in &all {
        w.connect_needy(*number, 1, Identity::User);
    }
    w.register(1, &all);
    w
}

/// The same, and the password is good.
fn good(hosts: u8) -> World {
    let mut w = registered(hosts);
    let (host, _) = w.check();
    w.found(host, 1, Verdict::Valid);
    w
}

fn wide(cpus: u32) -> JobSpec {
    JobSpec { cpus, ..spec(500) }
}

fn host_id(number: u8) -> HostId {
    host(number)
}

#[test]
fn a_farm_without_needy_hosts_asks_for_nothing() {
    let mut w = World::new();
    w.connect(1, 1);
    let job = w.submit(spec(1));
    assert_eq!((w.starts(), w.said.len()), (1, 1));
    assert_eq!(w.status(job), WorkStatus::Running);
    let refused = w.try_register("mia", mia(), 1, &[1]);
    assert!(
        matches!(
            refused,
            Err(Denied::Invalid {
                field: "sealed",
                ..
            })
        ),
        "{refused:?}"
    );
}

#[test]
fn where_there_is_another_way_a_password_is_used_only_if_there_is_one() {
    let mut w = World::new();
    w.hello_saying(CREDENTIAL_OPTIONAL, 1, 4, Identity::User);
    w.say(1, keys(&[1]));
    w.say(1, FromWorker::Inventory(Vec::new()));
    // Without one it starts, the other way.
    w.submit(spec(1));
    assert_eq!((w.starts(), w.in_badlogin()), (1, 0));
    w.said.clear();
    // One that is there is tried, sent, and never passed over when it is bad.
    w.register(1, &[1]);
    w.check();
    w.found(1, 1, Verdict::Wrong);
    let job = w.submit(spec(1));
    assert_eq!(w.code(job), "credential_wrong");
    w.register(2, &[1]);
    w.check();
    w.found(1, 2, Verdict::Valid);
    let said = std::mem::take(&mut w.said);
    let place = |is_it: &dyn Fn(&ToWorker) -> bool| said.iter().position(|(_, it)| is_it(it));
    let sent = place(&|it| matches!(it, ToWorker::Credential { .. }));
    let started = place(&|it| matches!(it, ToWorker::Start { .. }));
    assert!(sent.expect("sent") < started.expect("started"));
}

#[test]
fn work_without_a_password_waits_and_registering_lets_it_go() {
    let mut w = World::new();
    w.connect_needy(1, 4, Identity::User);
    let job = w.submit(wide(4));
    assert_eq!((w.in_badlogin(), w.starts()), (4, 0));
    assert_eq!(w.code(job), "credential_missing");
    assert_eq!(w.status(job), WorkStatus::Badlogin);
    w.register(1, &[1]);
    assert_eq!(
        (w.in_badlogin(), w.starts()),
        (0, 0),
        "let go at once, started when it was checked"
    );
    let (host, credential) = w.check();
    assert_eq!(
        (host, credential.sequence, credential.key),
        (1, 1, KeyId([1; 16]))
    );
    w.found(1, 1, Verdict::Valid);
    assert_eq!(w.starts(), 4);
    let first = w
        .said
        .iter()
        .position(|(_, said)| matches!(said, ToWorker::Start { .. }));
    assert!(
        matches!(&w.said[first.expect("one") - 1].1, ToWorker::Credential { is_check: false, credential }
            if credential.sid_found == "S-1-5-21-7"),
        "it goes before the start: {:?}",
        w.said
    );
}

#[test]
fn work_that_may_run_where_no_password_is_needed_waits_for_none() {
    let mut w = World::new();
    w.connect_needy(1, 4, Identity::User);
    w.connect(2, 4);
    let job = w.submit(JobSpec {
        hosts: ["win1".to_owned()].into(),
        ..wide(4)
    });
    assert_eq!((w.in_badlogin(), w.starts()), (4, 0));
    let patch = JobPatch {
        hosts: Some(Default::default()),
        ..JobPatch::default()
    };
    let (by, patch) = (person("mia"), Box::new(patch));
    w.step(Input::Modify { by, job, patch });
    assert_eq!((w.in_badlogin(), w.starts()), (0, 4));
}

#[test]
fn a_revocation_is_told_to_all_and_stops_new_starts() {
    let mut w = good(2);
    w.disconnect(2);
    let job = w.submit(wide(3));
    assert_eq!(w.starts(), 1);
    w.said.clear();
    assert_eq!(
        w.wish("mia", CredentialWish::Revoke(mia())),
        Ok(Answer::Done)
    );
    let revoked = ToWorker::CredentialRevoked {
        id: mia(),
        sequence: 2,
    };
    assert_eq!(w.said, [(host_id(1), revoked.clone())]);
    assert_eq!(
        (w.code(job).as_str(), w.status(job)),
        ("credential_revoked", WorkStatus::Running)
    );
    w.said.clear();
    w.connect_needy(2, 1, Identity::User);
    assert_eq!(
        w.said,
        [(host_id(2), revoked)],
        "who was away hears of it when it comes"
    );
    let gone = w.wish("mia", CredentialWish::Revoke(mia()));
    assert_eq!(gone, Err(Denied::NoCredential(mia())));
    let old = w.try_register("mia", mia(), 2, &[1]);
    assert_eq!(old, Err(Denied::CredentialMoved { id: mia(), next: 3 }));
    w.register(3, &[1, 2]);
    assert_eq!(w.in_badlogin(), 0);
}

#[test]
fn others_register_for_themselves_only() {
    let mut w = World::new();
    w.connect_needy(1, 1, Identity::User);
    let denied = |it: &Result<Answer, Denied>| matches!(it, Err(Denied::Forbidden { .. }));
    assert!(denied(&w.try_register("eve", mia(), 1, &[1])));
    assert!(denied(&w.try_register(
        "eve",
        of(AccountKind::Proxy, "eve"),
        1,
        &[1]
    )));
    w.try_register("root", mia(), 1, &[1])
        .expect("an administrator may");
    assert!(denied(&w.wish("eve", CredentialWish::Check(mia()))));
    assert!(denied(&w.wish("eve", CredentialWish::Revoke(mia()))));
    w.wish("root", CredentialWish::Revoke(mia()))
        .expect("an administrator may");
}

#[test]
fn proxy_accounts_have_passwords_too() {
    let mut w = World::new();
    w.connect_needy(1, 1, Identity::Proxy("render".into()));
    let job = w.submit(spec(1));
    assert_eq!(w.code(job), "credential_missing");
    w.try_register("mia", mia(), 1, &[1])
        .expect("she may, though it serves nothing here");
    assert_eq!((w.in_badlogin(), w.checks().len()), (1, 0));
    let render = of(AccountKind::Proxy, "render");
    w.try_register("root", render.clone(), 1, &[1])
        .expect("an administrator");
    assert_eq!(w.check().1.id, render);
    let checked = CredentialChecked {
        id: render,
        sequence: 1,
        verdict: Verdict::Valid,
        sid: "S-1-5-21-8".into(),
        detail: String::new(),
    };
    w.say(1, FromWorker::CredentialChecked(checked));
    assert_eq!(w.starts(), 1);
}

#[test]
fn enforce_password_refuses_at_submission() {
    let mut w = World::new();
    w.engine.config.enforce_password = true;
    let no_needy_host = w.try_submit("mia", spec(1), None);
    assert!(no_needy_host.is_ok(), "{no_needy_host:?}");
    w.connect_needy(1, 1, Identity::User);
    let refused = w.try_submit("mia", spec(1), None);
    assert!(
        matches!(refused, Err(Denied::NoPassword { .. })),
        "{refused:?}"
    );
    w.register(1, &[1]);
    w.check();
    w.found(1, 1, Verdict::Wrong);
    let refused = w.try_submit("mia", spec(1), None);
    assert!(
        matches!(refused, Err(Denied::NoPassword { .. })),
        "{refused:?}"
    );
    w.register(2, &[1]);
    w.try_submit("mia", spec(1), None)
        .expect("it is there, and not known to be bad");
}
