//! Registered passwords: who is asked, how often, and what waits for it.

use super::*;
use tessera_model::credential::{
    AccountKind, CredentialChecked, CredentialId, KeyId, NEEDS_CREDENTIAL, PoolKey, PoolKeys,
    SealedCredential, Verdict,
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
        self.sessions += 1;
        let facts = HostFacts {
            name: format!("win{number}"),
            slots,
            identity,
            properties: [(NEEDS_CREDENTIAL.to_owned(), "1".to_owned())].into(),
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

fn wide(cpus: u32) -> JobSpec {
    JobSpec { cpus, ..spec(500) }
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
fn c05_a_wrong_password_with_500_frames_on_50_workers_is_tried_once() {
    let mut w = World::new();
    let all: Vec<u8> = (1..=50).collect();
    for number in &all {
        w.connect_needy(*number, 10, Identity::User);
    }
    w.register(1, &all);
    let job = w.submit(wide(500));
    let (host, _) = w.check();
    assert_eq!((w.in_badlogin(), w.starts()), (0, 0), "all wait for one");
    w.found(host, 1, Verdict::Wrong);
    assert_eq!((w.in_badlogin(), w.starts()), (500, 0));
    assert_eq!(w.code(job), "credential_wrong");
    all.iter().for_each(|number| w.disconnect(*number));
    w.wait_in_silence(4 * 3_600);
    all.iter()
        .for_each(|number| w.connect_needy(*number, 10, Identity::User));
    assert!(w.checks().is_empty(), "nobody tries again by himself");
    w.register(2, &all);
    let (host, again) = w.check();
    assert_eq!((again.sequence, w.in_badlogin()), (2, 0));
    w.found(host, 1, Verdict::Valid);
    assert_eq!(w.starts(), 0, "a word about the older one counts nothing");
    w.found(host, 2, Verdict::Valid);
    assert_eq!(w.starts(), 500);
}

#[test]
fn a_password_that_was_changed_meanwhile_is_tried_once() {
    let mut w = World::new();
    let all: Vec<u8> = (1..=20).collect();
    all.iter()
        .for_each(|number| w.connect_needy(*number, 1, Identity::User));
    w.register(1, &all);
    let (host, _) = w.check();
    w.found(host, 1, Verdict::Valid);
    w.wait(6 * 60);
    let job = w.submit(wide(20));
    let (host, _) = w.check();
    assert_eq!(
        w.starts(),
        0,
        "the last check is too old to start twenty with"
    );
    w.found(host, 1, Verdict::Wrong);
    assert_eq!((w.code(job).as_str(), w.starts()), ("credential_wrong", 0));
    assert!(w.checks().is_empty());
}

#[test]
fn bad_news_from_a_launch_stop_the_others() {
    let mut w = World::new();
    w.connect_needy(1, 1, Identity::User);
    w.connect_needy(2, 1, Identity::User);
    w.register(1, &[1, 2]);
    let (host, _) = w.check();
    w.found(host, 1, Verdict::Valid);
    let job = w.submit(wide(3));
    assert_eq!(w.starts(), 2);
    w.said
        .retain(|(_, said)| matches!(said, ToWorker::Start { .. }));
    let order = w.order();
    w.found(order.0, 1, Verdict::Wrong);
    assert_eq!(w.in_badlogin(), 1, "what had not started");
    let refusal = Refusal {
        code: "credential_wrong".into(),
        text: "wrong".into(),
    };
    w.report(
        order.0,
        Report::Refused {
            key: order.1,
            refusal,
        },
    );
    assert_eq!(w.in_badlogin(), 2);
    assert_eq!(w.code(job), "credential_wrong");
    assert_eq!(
        w.engine
            .host(host_id(order.0))
            .expect("there")
            .refusals()
            .count(),
        0,
        "no fault of the host's"
    );
}

fn host_id(number: u8) -> HostId {
    host(number)
}

#[test]
fn c10_each_reason_shows_and_is_not_tried_again() {
    for (verdict, code) in [
        (Verdict::Expired, "credential_expired"),
        (Verdict::MustChange, "credential_must_change"),
        (Verdict::Locked, "credential_locked"),
        (Verdict::Restricted, "credential_restricted"),
        (Verdict::NoAccount, "credential_no_account"),
        (Verdict::AccountChanged, "credential_account_changed"),
        (Verdict::Stale, "credential_stale"),
    ] {
        let mut w = World::new();
        w.connect_needy(1, 1, Identity::User);
        w.register(1, &[1]);
        w.check();
        let job = w.submit(spec(3));
        w.found(1, 1, verdict);
        assert_eq!(w.code(job), code);
        w.wait(3_600);
        assert!(w.checks().is_empty(), "{code} was tried again");
    }
    let mut w = World::new();
    w.connect_needy(1, 1, Identity::User);
    w.register(1, &[1]);
    w.check();
    w.found(1, 1, Verdict::Valid);
    w.ms += 31 * 24 * 3_600 * 1_000;
    w.say(1, FromWorker::Heartbeat);
    let job = w.submit(spec(3));
    assert_eq!(w.code(job), "credential_over");
    assert!(w.checks().is_empty());
}

#[test]
fn a_check_can_be_asked_for_but_not_in_a_row() {
    let mut w = World::new();
    w.connect_needy(1, 1, Identity::User);
    w.register(1, &[1]);
    let (_, first) = w.check();
    w.found(1, 1, Verdict::Locked);
    let busy = w.wish("mia", CredentialWish::Check(mia()));
    assert!(
        matches!(busy, Err(Denied::CredentialBusy { .. })),
        "{busy:?}"
    );
    w.wait(301);
    assert_eq!(
        w.wish("mia", CredentialWish::Check(mia())),
        Ok(Answer::Done)
    );
    let (_, again) = w.check();
    assert!(again.check > first.check, "another attempt");
    w.found(1, 1, Verdict::Locked);
    w.wait(301);
    let busy = w.wish("mia", CredentialWish::Check(mia()));
    assert!(
        matches!(busy, Err(Denied::CredentialBusy { .. })),
        "the pause doubles: {busy:?}"
    );
    w.wait(300);
    assert_eq!(
        w.wish("mia", CredentialWish::Check(mia())),
        Ok(Answer::Done)
    );
    w.check();
    let job = w.submit(spec(1));
    assert_eq!(
        w.code(job),
        "credential_locked",
        "it stays so until it is good"
    );
    w.found(1, 1, Verdict::Valid);
    assert_eq!(w.starts(), 1);
}

#[test]
fn an_answer_that_is_lost_is_asked_of_the_same_worker() {
    let mut w = World::new();
    w.connect_needy(1, 1, Identity::User);
    w.connect_needy(2, 1, Identity::User);
    w.register(1, &[1, 2]);
    let (asked, first) = w.check();
    w.disconnect(asked);
    assert!(
        w.checks().is_empty(),
        "the other must not try what the first may have tried"
    );
    w.connect_needy(asked, 1, Identity::User);
    let (again, second) = w.check();
    assert_eq!(
        (again, second.check),
        (asked, first.check),
        "the same question"
    );
    w.disconnect(asked);
    w.wait(301);
    let (other, _) = w.check();
    assert_ne!(other, asked, "it was given up for lost");
}

#[test]
fn trouble_of_one_host_is_another_hosts_chance() {
    let mut w = World::new();
    w.connect_needy(1, 1, Identity::User);
    w.connect_needy(2, 1, Identity::User);
    w.register(1, &[1, 2]);
    let (first, _) = w.check();
    w.found(first, 1, Verdict::NoBatchRight);
    let (second, _) = w.check();
    assert_ne!(first, second);
    w.found(second, 1, Verdict::Valid);
    w.submit(wide(2));
    assert_eq!(w.starts(), 1, "the first is avoided for her");
    let mut w = World::new();
    w.connect_needy(1, 1, Identity::User);
    w.register(1, &[1]);
    w.check();
    w.found(1, 1, Verdict::Unavailable);
    assert!(w.checks().is_empty());
    w.wait(61);
    assert_eq!(w.check().0, 1, "nobody's fault is tried again by itself");
    let mut w = World::new();
    w.connect_needy(1, 1, Identity::User);
    w.connect_needy(2, 1, Identity::User);
    w.register(1, &[1, 2]);
    let (silent, _) = w.check();
    w.wait(61 + 61);
    let (other, _) = w.check();
    assert_ne!(
        silent, other,
        "who never answers keeps nobody from being asked"
    );
}

#[test]
fn a_check_again_that_comes_to_nothing_is_tried_again_by_itself() {
    let mut w = World::new();
    w.connect_needy(1, 1, Identity::User);
    w.register(1, &[1]);
    w.check();
    w.found(1, 1, Verdict::Valid);
    // Older than what a start may rely on.
    w.wait(301);
    let job = w.submit(spec(1));
    w.check();
    w.found(1, 1, Verdict::Unavailable);
    assert_eq!((w.checks().len(), w.starts()), (0, 0));
    w.wait(61);
    w.check();
    w.found(1, 1, Verdict::Valid);
    assert_eq!(w.starts(), 1, "{:?}", w.engine.why(job));
}

#[test]
fn good_news_count_from_whom_was_asked_only() {
    let mut w = World::new();
    w.connect_needy(1, 1, Identity::User);
    w.connect_needy(2, 1, Identity::User);
    w.register(1, &[1, 2]);
    let (asked, _) = w.check();
    let other = 3 - asked;
    w.found(other, 1, Verdict::Valid);
    w.submit(spec(1));
    assert_eq!(w.starts(), 0);
    w.found(asked, 1, Verdict::Valid);
    assert_eq!(w.starts(), 1);
}

#[test]
fn a_revocation_is_told_to_all_and_stops_new_starts() {
    let mut w = World::new();
    w.connect_needy(1, 1, Identity::User);
    w.connect_needy(2, 1, Identity::User);
    w.register(1, &[1, 2]);
    let (host, _) = w.check();
    w.found(host, 1, Verdict::Valid);
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

#[test]
fn c04_a_new_key_is_sealed_to_before_the_old_one_goes() {
    let mut w = World::new();
    w.connect_needy(1, 2, Identity::User);
    w.register(1, &[1]);
    w.check();
    w.found(1, 1, Verdict::Valid);
    w.said.clear();
    w.say(1, keys(&[9, 1]));
    let (_, reseal) = w.heard();
    let ToWorker::Reseal { credential, to } = reseal else {
        panic!("{reseal:?}")
    };
    assert_eq!((credential.key, to.id), (KeyId([1; 16]), KeyId([9; 16])));
    let job = w.submit(spec(1));
    assert_eq!(
        (w.starts(), w.code(job)),
        (1, String::new()),
        "it starts with the old key meanwhile"
    );
    w.said.clear();
    w.disconnect(1);
    w.hello_needy(1, 2, Identity::User);
    w.say(1, keys(&[9, 1]));
    w.say(1, FromWorker::Inventory(Vec::new()));
    let again = w
        .said
        .iter()
        .filter(|(_, said)| matches!(said, ToWorker::Reseal { .. }));
    assert_eq!(
        again.count(),
        1,
        "what was interrupted goes on: {:?}",
        w.said
    );
    assert!(
        !w.said
            .iter()
            .any(|(_, said)| matches!(said, ToWorker::RetireKey(_)))
    );
    w.said.clear();
    w.say(
        1,
        FromWorker::Resealed {
            id: mia(),
            sequence: 1,
            to: KeyId([9; 16]),
            sealed: Ok(vec![99]),
        },
    );
    assert!(
        w.said
            .iter()
            .any(|(_, said)| *said == ToWorker::RetireKey(KeyId([1; 16]))),
        "{:?}",
        w.said
    );
    w.say(1, keys(&[9]));
    let kept = w.engine.credentials().get(&mia()).expect("there");
    assert_eq!(
        (kept.sealed_to(), kept.sealed(KeyId([9; 16]))),
        (1, Some(&[99][..]))
    );
    w.wait(301);
    w.said.clear();
    w.submit(spec(1));
    assert_eq!(w.check().1.key, KeyId([9; 16]));
    assert_eq!(w.in_badlogin(), 0, "never by rotation");
}

#[test]
fn a_new_worker_gets_what_another_seals_for_it_and_nothing_unasked() {
    let mut w = World::new();
    w.connect_needy(1, 1, Identity::User);
    w.register(1, &[1]);
    w.check();
    w.found(1, 1, Verdict::Valid);
    w.said.clear();
    w.connect_needy(2, 1, Identity::User);
    let resealed = |sealed| FromWorker::Resealed {
        id: mia(),
        sequence: 1,
        to: KeyId([2; 16]),
        sealed,
    };
    assert!(matches!(w.heard(), (host, ToWorker::Reseal { .. }) if host == host_id(1)));
    w.say(2, resealed(Ok(vec![66])));
    assert_eq!(
        w.engine
            .credentials()
            .get(&mia())
            .expect("there")
            .sealed_to(),
        1,
        "it was not asked"
    );
    w.say(1, resealed(Err("not admitted".into())));
    assert!(
        w.said.is_empty(),
        "a refusal is not asked again: {:?}",
        w.said
    );
    w.submit(wide(2));
    assert_eq!(w.starts(), 1, "the new one is no host for her");
    w.said.clear();
    w.disconnect(1);
    w.connect_needy(1, 1, Identity::User);
    assert!(
        w.said
            .iter()
            .any(|(_, said)| matches!(said, ToWorker::Reseal { .. })),
        "a new connection may have another mind"
    );
    w.say(1, resealed(Ok(vec![22])));
    assert_eq!(
        w.engine
            .credentials()
            .get(&mia())
            .expect("there")
            .sealed(KeyId([2; 16])),
        Some(&[22][..])
    );
}

#[test]
fn a_key_that_is_gone_takes_its_seals_along() {
    let mut w = World::new();
    w.connect_needy(1, 1, Identity::User);
    w.register(1, &[1]);
    w.check();
    w.found(1, 1, Verdict::Valid);
    w.say(1, keys(&[5]));
    let job = w.submit(spec(1));
    assert_eq!(
        w.code(job),
        "credential_not_sealed",
        "a worker that was set up anew"
    );
    let foreign = w.try_register("mia", mia(), 2, &[1]);
    assert!(
        matches!(
            foreign,
            Err(Denied::Invalid {
                field: "sealed",
                ..
            })
        ),
        "{foreign:?}"
    );
    w.register(2, &[5]);
    assert_eq!(w.in_badlogin(), 0);
}

#[test]
fn all_of_it_outlives_the_supervisor_but_the_freshness_of_a_check() {
    let mut w = World::new();
    w.connect_needy(1, 1, Identity::User);
    w.register(1, &[1]);
    w.check();
    w.found(1, 1, Verdict::Valid);
    let image = w.engine.image();
    let now = Now {
        wall: Timestamp(i64::try_from(w.ms).expect("soon")),
        elapsed: Duration::from_millis(w.ms),
    };
    w.engine = Engine::restore(Config::default(), now, image.clone()).expect("fits");
    assert_eq!(w.engine.image(), image);
    w.connect_needy(1, 1, Identity::User);
    w.said.clear();
    w.submit(spec(1));
    assert_eq!((w.check().0, w.starts()), (1, 0));
    let why = w.engine.why(JobId(1)).expect("there");
    assert_eq!(why[0].kind, why::Kind::CredentialCheck, "{why:?}");
}
