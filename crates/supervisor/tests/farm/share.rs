//! Secondary instances, from a request to the workers, over a restart.

use crate::world::{Farm, frames};
use tessera_api::types::{JobDetail, ModifyRequest, SubmitRequest};

fn secondary(detail: &JobDetail) -> Vec<u32> {
    let rows = detail.instances.iter().filter(|it| it.is_secondary);
    rows.map(|it| it.instance).collect()
}

#[tokio::test]
async fn a_job_grows_and_says_so_and_gives_it_back_after_a_restart_too() {
    let farm = Farm::start().await;
    let mut worker = farm.worker("rnd001", 4).await;
    let grows = SubmitRequest {
        cpus: Some(1),
        max_cpus: Some(-1),
        ..frames("1-20")
    };
    let grows = farm.submit(grows).await;
    for _ in 0..4 {
        assert_eq!(worker.started().await.key.job.0, grows);
    }
    let detail = farm.client.job(grows).await.expect("there");
    assert_eq!((detail.spec.cpus, detail.spec.max_cpus), (1, 100));
    assert_eq!(detail.job.secondary_instances, 3);
    assert_eq!(secondary(&detail), [1, 2, 3]);
    let farm = farm.restart().await;
    let detail = farm.client.job(grows).await.expect("there");
    assert_eq!(detail.spec.max_cpus, 100);
    assert_eq!(secondary(&detail), [1, 2, 3]);
    let reasons = farm.client.why(grows).await.expect("there").reasons;
    let told = reasons.iter().find(|it| it.kind == "secondary");
    let text = &told.unwrap_or_else(|| panic!("{reasons:?}")).text;
    assert!(
        text.starts_with("it has its 1 instances and 3 secondary ones"),
        "{text}"
    );
    let own = ModifyRequest {
        max_cpus: Some(0),
        ..ModifyRequest::default()
    };
    farm.client.modify(grows, &own).await.expect("changed");
    let detail = farm.client.job(grows).await.expect("there");
    assert_eq!(detail.spec.max_cpus, 0);
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn who_asks_for_more_than_may_be_is_told() {
    let farm = Farm::start().await;
    let many = SubmitRequest {
        cpus: Some(1),
        max_cpus: Some(500),
        ..frames("1-20")
    };
    let reply = farm.client.submit(&many, false).await.expect("taken");
    let said = reply.warnings.join("; ");
    assert!(
        said.contains("max-cpus 500: the farm lets a job have 100 (supervisor_max_cpus_limit)"),
        "{said}"
    );
    let command = SubmitRequest {
        max_cpus: Some(2),
        command: vec!["render".into()],
        range: None,
        ..frames("1")
    };
    let refused = farm
        .client
        .submit(&command, false)
        .await
        .expect_err("refused");
    let said = format!("{refused:?}");
    assert!(
        said.contains("max_cpus") && said.contains("no secondary instances"),
        "{said}"
    );
    let bad = SubmitRequest {
        max_cpus: Some(-2),
        ..frames("1-2")
    };
    let refused = farm.client.submit(&bad, false).await.expect_err("refused");
    assert!(format!("{refused:?}").contains("-1 is as many as the farm allows"));
    farm.running.stop().await.expect("stops");
}
