//! The configuration of workers over the API.

use crate::world::Farm;
use tessera_api::types::ReconfigureRequest;
use tessera_api::{ClientError, ErrorCode};

fn refused(error: ClientError) -> (ErrorCode, String, Vec<String>) {
    match error {
        ClientError::Api(error) => {
            let fields = error.fields.into_iter().map(|it| it.message);
            (error.code, error.message, fields.collect())
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn administrators_have_it_read_anew_and_a_faulty_one_is_told_with_its_lines() {
    let farm = Farm::start().await;
    let _worker = farm.worker("rnd001", 2).await;
    let all = ReconfigureRequest::default();
    let mia = farm.user("mia").await;
    let (code, ..) = refused(
        mia.reconfigure(&all)
            .await
            .expect_err("she is no administrator"),
    );
    assert_eq!(code, ErrorCode::Forbidden);
    // Who it is that has it, everybody may know.
    let none = mia.host_settings("rnd001").await.expect("told");
    assert_eq!((none.values.len(), none.mistakes.len()), (0, 0));

    let file = farm.dir.path().join("farm/workers.toml");
    std::fs::write(
        &file,
        "[default]\nworker_cpu = 4\nproxy_account = \"root\"\n",
    )
    .expect("writes");
    let (code, message, mistakes) = refused(
        farm.client
            .reconfigure(&all)
            .await
            .expect_err("it is wrong"),
    );
    assert_eq!(code, ErrorCode::Invalid);
    assert!(
        message.ends_with("workers.toml has mistakes; what held before holds on"),
        "{message}"
    );
    assert!(
        mistakes[0].contains("workers.toml:2:1: there is no key `worker_cpu`"),
        "{mistakes:?}"
    );
    assert!(
        mistakes[1].contains("workers.toml:3:1: `proxy_account` can't be set from here"),
        "{mistakes:?}"
    );
    let told = farm.client.host_settings("rnd001").await.expect("told");
    assert_eq!((told.values.len(), told.mistakes), (0, mistakes));

    std::fs::write(
        &file,
        "[host.rnd001]\nworker_cpus = 4\n[host.claimed-name]\nworker_cpus = 9\n",
    )
    .expect("writes");
    let named = ReconfigureRequest {
        hosts: vec!["rnd001".into()],
    };
    let reply = farm.client.reconfigure(&named).await.expect("it is right");
    // The worker of this test is of a release that takes no settings.
    let rows: Vec<_> = reply
        .hosts
        .iter()
        .map(|it| (it.name.as_str(), it.changed.clone(), it.settings.is_none()))
        .collect();
    assert_eq!(rows, [("rnd001", vec!["worker_cpus".to_owned()], true)]);
    let told = farm.client.host_settings("rnd001").await.expect("told");
    let told = &told.values[0];
    assert_eq!(
        (told.value.as_str(), told.from.as_str()),
        ("4", "line 2, [host.rnd001]"),
        "by the name that it joined with"
    );
    let strange = ReconfigureRequest {
        hosts: vec!["nope".into()],
    };
    let (code, ..) = refused(
        farm.client
            .reconfigure(&strange)
            .await
            .expect_err("there is none"),
    );
    assert_eq!(code, ErrorCode::NotFound);
    farm.running.stop().await.expect("stops");
}
