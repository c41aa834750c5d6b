//! Keys of workers, and who seals for them.

use super::*;

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
    let mut w = good(1);
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
    let mut w = good(1);
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
    let mut w = good(1);
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

/// Registers passwords of people besides mia, all sealed to these keys.
fn register_others(w: &mut World, people: std::ops::Range<usize>, to: &[u8]) -> Vec<CredentialId> {
    let all: Vec<CredentialId> = people
        .map(|n| of(AccountKind::User, &format!("user{n:02}")))
        .collect();
    for id in &all {
        w.try_register("root", id.clone(), 1, to)
            .expect("an administrator may");
    }
    w.checks();
    all
}

fn asked_to_seal(w: &mut World) -> Vec<(u8, CredentialId)> {
    let said = std::mem::take(&mut w.said).into_iter();
    let asked = said.filter_map(|(host, said)| match said {
        ToWorker::Reseal { credential, .. } => Some((host.0[0], credential.id)),
        _ => None,
    });
    asked.collect()
}

fn refuses(id: CredentialId) -> FromWorker {
    FromWorker::Resealed {
        id,
        sequence: 1,
        to: KeyId([9; 16]),
        sealed: Err("it can't be opened".into()),
    }
}

/// Whether a worker was told that the key its passwords were sealed to first is needed no more.
fn retired(w: &World) -> bool {
    let retires = |said: &ToWorker| *said == ToWorker::RetireKey(KeyId([1; 16]));
    w.said.iter().any(|(_, said)| retires(said))
}

#[test]
fn one_password_that_cant_be_opened_keeps_no_other_from_a_new_key() {
    let mut w = good(1);
    let others = register_others(&mut w, 0..1, &[1]);
    w.said.clear();
    w.say(1, keys(&[9, 1]));
    assert_eq!(asked_to_seal(&mut w), [(1, mia()), (1, others[0].clone())]);
    w.say(1, refuses(mia()));
    let later = register_others(&mut w, 1..2, &[1]);
    assert_eq!(asked_to_seal(&mut w), [(1, later[0].clone())]);
    for id in others.into_iter().chain(later) {
        let (sequence, to, sealed) = (1, KeyId([9; 16]), Ok(vec![1]));
        w.say(
            1,
            FromWorker::Resealed {
                id,
                sequence,
                to,
                sealed,
            },
        );
    }
    assert!(retired(&w), "what is lost anyway keeps no old key");
}

#[test]
fn however_many_are_refused_the_key_of_the_others_stays() {
    let mut w = good(1);
    register_others(&mut w, 0..20, &[1]);
    w.said.clear();
    w.say(1, keys(&[9, 1]));
    for (_, id) in asked_to_seal(&mut w).into_iter().take(16) {
        w.say(1, refuses(id));
    }
    assert!(!retired(&w), "five can be read with the old key only");
}

#[test]
fn a_worker_that_refuses_many_is_asked_for_no_more() {
    let mut w = good(1);
    register_others(&mut w, 0..40, &[1]);
    w.said.clear();
    w.connect_needy(9, 1, Identity::User);
    let asked = asked_to_seal(&mut w);
    assert_eq!(asked.len(), 41);
    for (_, id) in asked.into_iter().take(16) {
        w.say(1, refuses(id));
    }
    assert!(asked_to_seal(&mut w).is_empty());
    let another = of(AccountKind::User, "zoe");
    w.try_register("root", another, 1, &[1]).expect("may");
    assert!(asked_to_seal(&mut w).is_empty(), "it is of another mind");
}
