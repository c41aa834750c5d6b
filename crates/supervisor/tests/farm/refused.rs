//! What channels do when all is not well: a message that nobody takes, a store of yesterday, history that is gone, a file that changed.

use crate::notify::{Manner, SOON, Server, channel, configure, farm_with, kill};
use crate::world::{Farm, eventually, frames};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tessera_api::types::{CleanupRequest, SubmitRequest};
use tessera_api::{ClientError, ErrorCode};
use tokio::sync::Semaphore;

async fn killed(farm: &Farm, name: &str) -> u64 {
    let request = SubmitRequest {
        name: Some(name.into()),
        ..frames("1")
    };
    let id = farm.submit(request).await;
    kill(farm, id).await;
    id
}

#[tokio::test]
async fn what_is_behind_a_refused_message_is_told() {
    let server = Server::start(Manner::Minds("poison")).await;
    let farm = farm_with(SOON, &[("chat", &server.url(), "on = [\"killed\"]")]).await;
    killed(&farm, "poison").await;
    let refused = server.has(1).await.remove(0);
    let row = eventually("the refusal", || async {
        let row = channel(&farm.client, "chat").await;
        (row.aside == 1).then_some(row)
    })
    .await;
    assert_eq!((row.told, row.waiting, row.given_up), (0, 1, 0));
    assert!(row.failing_since_ms.is_some(), "nothing was taken yet");
    let good = killed(&farm, "good").await;
    let row = eventually("the next", || async {
        let row = channel(&farm.client, "chat").await;
        (row.told == 1).then_some(row)
    })
    .await;
    assert_eq!(server.all()[1].json()["about"][0]["job"], good);
    // The channel is well, and says what it could not tell.
    assert_eq!(
        (row.aside, row.failing_since_ms, row.last_error),
        (1, None, None)
    );
    let said = row.last_refused.expect("what and why");
    assert!(
        said.starts_with("a job of ")
            && said.ends_with(": answered 422 Unprocessable Entity: too odd"),
        "{said}"
    );
    // It is kept, and comes when its receiver takes it.
    server.becomes(Manner::Takes);
    let farm = farm.restart().await;
    let again = server.has(3).await.remove(2);
    assert_eq!((again.id(), again.body), (refused.id(), refused.body));
    let gone = || async { (channel(&farm.client, "chat").await.aside == 0).then_some(()) };
    eventually("nothing aside", gone).await;
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_restored_store_does_not_repeat_ids() {
    let server = Server::start(Manner::Takes).await;
    let farm = farm_with(SOON, &[("chat", &server.url(), "on = [\"killed\"]")]).await;
    let Farm { running, dir, .. } = farm;
    running.stop().await.expect("stops");
    let (state, backup) = (dir.path().join("farm"), dir.path().join("backup"));
    let copy = |from: &Path, to: &Path| {
        let copied = std::process::Command::new("cp")
            .arg("-a")
            .args([from, to])
            .status();
        assert!(copied.expect("runs").success());
    };
    copy(&state, &backup);
    let farm = Farm::start_in(dir).await;
    let first = killed(&farm, "before").await;
    server.has(1).await;
    let Farm { running, dir, .. } = farm;
    running.stop().await.expect("stops");
    std::fs::remove_dir_all(&state).expect("goes");
    copy(&backup, &state);
    let farm = Farm::start_in(dir).await;
    let second = killed(&farm, "after").await;
    let got = server.has(2).await;
    assert_eq!(first, second, "the store is the old one");
    assert_ne!(got[0].id(), got[1].id(), "another message");
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn what_is_left_of_cleaned_up_history_is_told() {
    let server = Server::start(Manner::Takes).await;
    let channels = [("chat", &*server.url(), "on = [\"killed\"]")];
    let farm = farm_with(SOON, &channels).await;
    killed(&farm, "first").await;
    server.has(1).await;
    // Nobody reads for a while, in which history goes and more comes.
    let state = farm.dir.path().join("farm");
    std::fs::remove_file(state.join("notify.toml")).expect("is there");
    let forgetful = "cleanup_journal_days = 0\n";
    std::fs::write(state.join("supervisor.toml"), forgetful).expect("writes");
    let farm = farm.restart().await;
    killed(&farm, "gone").await;
    let request = CleanupRequest {
        older_than_days: None,
        quota_bytes: None,
        dry_run: false,
    };
    eventually("no history", || async {
        let done = farm.client.cleanup(&request).await.ok()?;
        (done.events_removed == 0).then_some(())
    })
    .await;
    let kept = killed(&farm, "kept").await;
    std::fs::remove_file(state.join("supervisor.toml")).expect("is there");
    configure(farm.dir.path(), SOON, &channels);
    let farm = farm.restart().await;
    let got = server.has(3).await;
    let told: BTreeMap<String, Value> = got[1..]
        .iter()
        .map(|it| (it.json()["kind"].to_string(), it.json()["about"].clone()))
        .collect();
    assert_eq!(told["\"killed\""][0]["job"], kept, "{told:?}");
    assert_eq!(
        told["\"killed\""].as_array().map(Vec::len),
        Some(1),
        "{told:?}"
    );
    let missed = &told["\"missed\""][0]["text"];
    assert_eq!(missed, "history was cleaned up before it was read");
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn the_file_is_read_anew_without_a_restart() {
    let server = Server::start(Manner::Says("HTTP/1.1 401 x\r\nContent-Length: 0\r\n\r\n")).await;
    let on = "on = [\"killed\"]";
    let gone = Server::start(Manner::Takes).await;
    let channels = [("chat", &*server.url(), on), ("gone", &*gone.url(), on)];
    let farm = farm_with(SOON, &channels).await;
    killed(&farm, "first").await;
    gone.has(1).await;
    let refused = server.has(1).await.remove(0);
    // A faulty file changes nothing, and is told of.
    configure(
        farm.dir.path(),
        SOON,
        &[("chat", "http://chat.example/", on)],
    );
    let said = farm
        .client
        .notify_reload()
        .await
        .expect_err("faulty")
        .to_string();
    assert!(
        said.contains("notify.toml") && said.contains("what it said before"),
        "{said}"
    );
    let status = farm.client.channels().await.expect("channels");
    assert_eq!(status.channels.len(), 2);
    assert!(status.mistake.is_some_and(|why| why.contains("https://")));
    killed(&farm, "second").await;
    gone.has(2).await;
    // A good one leads elsewhere; what was refused goes there at once, under its id.
    let new = Server::start(Manner::Takes).await;
    let more = Server::start(Manner::Takes).await;
    let channels = [("more", &*more.url(), on), ("chat", &*new.url(), on)];
    configure(farm.dir.path(), SOON, &channels);
    let done = farm.client.notify_reload().await.expect("good");
    assert_eq!(
        (&*done.added, &*done.changed),
        (&["more".to_owned()][..], &["chat".to_owned()][..])
    );
    assert_eq!(
        (&*done.removed, done.unchanged.len()),
        (&["gone".to_owned()][..], 0)
    );
    let got = new.has(2).await;
    assert!(got.iter().any(|it| it.id() == refused.id()), "{got:?}");
    let status = farm.client.channels().await.expect("channels");
    let names: Vec<_> = status.channels.iter().map(|it| it.name.as_str()).collect();
    assert_eq!((names, status.mistake), (vec!["more", "chat"], None));
    let third = killed(&farm, "third").await;
    assert_eq!(
        more.has(1).await[0].json()["about"][0]["job"],
        third,
        "nothing of the past"
    );
    // One that comes back goes on where it was.
    configure(
        farm.dir.path(),
        SOON,
        &[("gone", &*gone.url(), on), ("chat", &*new.url(), on)],
    );
    let done = farm.client.notify_reload().await.expect("good");
    assert_eq!(done.unchanged, ["chat"]);
    let about = gone.has(3).await[2].json()["about"].clone();
    assert_eq!(
        (about[0]["job"].as_u64(), about.as_array().map(Vec::len)),
        (Some(third), Some(1))
    );
    let mia = farm.user("mia").await;
    assert!(mia.notify_reload().await.is_err_and(
        |error| matches!(error, ClientError::Api(error) if error.code == ErrorCode::Forbidden)
    ));
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn many_refused_messages_silence_nobody() {
    let server = Server::start(Manner::Minds("poison")).await;
    let farm = farm_with(SOON, &[("chat", &server.url(), "on = [\"killed\"]")]).await;
    for user in ["ann", "bob", "cat", "dan"] {
        let request = SubmitRequest {
            name: Some("poison".into()),
            user: Some(user.into()),
            ..frames("1")
        };
        let id = farm.submit(request).await;
        kill(&farm, id).await;
    }
    // More than the channel sets aside one after another: it passes for broken.
    server.has(4).await;
    let good = killed(&farm, "good").await;
    let row = eventually("the good one", || async {
        let row = channel(&farm.client, "chat").await;
        (row.told == 1).then_some(row)
    })
    .await;
    // Whether it passes for broken again depends on how soon the bad ones are tried once more.
    assert_eq!(row.given_up, 0);
    let told = |got: &&crate::notify::Got| got.json()["about"][0]["job"] == good;
    assert_eq!(server.all().iter().filter(told).count(), 1);
    farm.running.stop().await.expect("stops");
}

#[tokio::test]
async fn a_channel_that_is_taken_out_tells_nothing_more() {
    let permits = Arc::new(Semaphore::new(0));
    let server = Server::start(Manner::Waits(Arc::clone(&permits))).await;
    let lines = "on = [\"killed\"]\ntime_limit = \"25s\"";
    let farm = farm_with(SOON, &[("chat", &server.url(), lines)]).await;
    killed(&farm, "first").await;
    server.has(1).await;
    // Three of a batch, the first of which is on its way when the channel goes.
    for user in ["ann", "bob", "cat"] {
        let request = SubmitRequest {
            user: Some(user.into()),
            ..frames("1")
        };
        let id = farm.submit(request).await;
        kill(&farm, id).await;
    }
    permits.add_permits(1);
    server.has(2).await;
    configure(farm.dir.path(), SOON, &[]);
    let done = farm.client.notify_reload().await.expect("good");
    assert_eq!(done.removed, ["chat"]);
    permits.add_permits(9);
    // The farm keeps more than the end of what was on its way.
    for _ in 0..5 {
        killed(&farm, "later").await;
    }
    // It keeps the others: they go where it leads when it is there again.
    let new = Server::start(Manner::Takes).await;
    configure(farm.dir.path(), SOON, &[("chat", &new.url(), lines)]);
    let done = farm.client.notify_reload().await.expect("good");
    assert_eq!(done.added, ["chat"]);
    let users = new.has(2).await;
    let users: Vec<_> = users.iter().map(|it| it.json()["user"].clone()).collect();
    assert_eq!(users[..2], ["bob", "cat"]);
    assert_eq!(server.all().len(), 2);
    farm.running.stop().await.expect("stops");
}
