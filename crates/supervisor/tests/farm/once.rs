//! Jobs that each host runs once (`host_list`).

use crate::world::Farm;
use tessera_api::types::SubmitRequest;
use tessera_api::{ClientError, ErrorCode};

fn once(cpus: Option<i64>) -> SubmitRequest {
    SubmitRequest {
        command: vec!["uptime".into()],
        flags: Some(vec!["host_list".into()]),
        cpus,
        ..SubmitRequest::default()
    }
}

#[tokio::test]
async fn each_host_that_is_there_and_may_runs_it_once() {
    let farm = Farm::start().await;
    let refused = async |request: &SubmitRequest| match farm.client.submit(request, false).await {
        Err(ClientError::Api(error)) if error.code == ErrorCode::Invalid => {
            let field = &error.fields[0];
            (field.field.clone(), field.message.clone())
        }
        other => panic!("{other:?}"),
    };
    let (field, why) = refused(&once(None)).await;
    assert_eq!(
        (field.as_str(), why.as_str()),
        ("flags", "host_list: no host is there that may run it")
    );
    let mut workers = Vec::new();
    for (name, slots) in [("rnd001", 8), ("rnd002", 1), ("rnd003", 4)] {
        workers.push(farm.worker(name, slots).await);
    }
    let but_one = SubmitRequest {
        omithosts: Some(vec!["rnd003".into()]),
        ..once(None)
    };
    let reply = farm.client.submit(&but_one, true).await.expect("good");
    assert_eq!((reply.items, reply.instances), (2, 2));
    let id = farm.submit(but_one).await;
    let mut first = None;
    for worker in &mut workers[..2] {
        let start = worker.started().await;
        assert_eq!(start.key.job.0, id);
        assert_ne!(first.replace(start.key.instance), Some(start.key.instance));
    }
    let again = farm.client.resubmit(id, &SubmitRequest::default()).await;
    assert_eq!(again.expect("taken").instances, 2, "counted anew");
    let (field, _) = refused(&once(Some(2))).await;
    assert_eq!(field, "cpus");
    let frames = SubmitRequest {
        range: Some("1-3".into()),
        ..once(None)
    };
    assert_eq!(refused(&frames).await.0, "range");
    farm.running.stop().await.expect("stops");
}
