//! Every byte arrives, whatever breaks on the way, and soon.

use std::time::Duration;

use tessera_wire::convert::LogStream;

use super::farm::Farm;
use super::{Bench, key, limits};
use crate::chain::SpoolFile;

/// Bytes that no piece of which looks like another.
fn noise(len: usize) -> Vec<u8> {
    let mut x = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x.to_le_bytes()[3]
    };
    (0..len).map(|_| next()).collect()
}

/// Waits until so many streams of logs have begun, and no fuse burns; answers how many have.
async fn streams(farm: &Farm, piece: usize, wanted: usize) -> usize {
    let what = format!("at piece {piece}, {wanted} streams");
    farm.wait_for(&what, |state| {
        let is_broken = state.log_fuse.is_none();
        (is_broken && state.log_streams >= wanted).then_some(state.log_streams)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_bytes_arrive_though_streams_and_connections_break() {
    let mut bench = Bench::new().await;
    bench.launch(key(1), limits()).await;
    let all = noise(6 << 20);
    for (n, piece) in all.chunks(700 << 10).enumerate() {
        let so_far = streams(&bench.farm, n, 1).await;
        let more = match n {
            1 => {
                bench.farm.set(|state| state.log_fuse = Some(1));
                1
            }
            3 => {
                bench.farm.disconnect(true);
                1
            }
            5 => {
                bench.farm.disconnect(false);
                0
            }
            6 => {
                bench.farm.set(|state| state.is_up = true);
                1
            }
            // Not with the connection before: a stream of the last one may still take chunks, and the fuse.
            7 => {
                bench.farm.set(|state| state.log_fuse = Some(1));
                1
            }
            _ => 0,
        };
        bench.host.print(key(1), SpoolFile::Out, piece);
        // What was to break has, and another stream goes on, before anything else breaks.
        streams(&bench.farm, n, so_far + more).await;
    }
    bench.host.print(key(1), SpoolFile::Err, b"done\n");
    bench.host.end(key(1), 0);
    bench
        .farm
        .wait_for("the logs", |state| {
            (state.complete.len() == 3).then_some(())
        })
        .await;
    let logs = bench
        .farm
        .wait_for("the logs", |state| Some(state.logs.clone()))
        .await;
    for (key, bytes) in logs {
        match key.stream {
            LogStream::Out => assert!(bytes == all, "stdout differs"),
            LogStream::Err => assert_eq!(bytes, b"done\n"),
            LogStream::Index => assert_eq!(bytes.len() % 16, 0),
        }
    }
    let out = crate::chain::spool_path(&bench.dir(key(1)), 0, 1, SpoolFile::Out);
    bench.until("delivered output goes", || !out.exists()).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_that_prints_a_lot_does_not_delay_another() {
    let mut bench = Bench::new().await;
    bench.launch(key(1), limits()).await;
    bench.launch(key(2), limits()).await;
    // Both wait for the same connection, the long one first.
    bench.farm.disconnect(false);
    bench
        .host
        .print(key(1), SpoolFile::Out, &vec![b'x'; 64 << 20]);
    bench.host.print(key(2), SpoolFile::Out, b"hello");
    tokio::time::sleep(Duration::from_millis(300)).await;
    bench.farm.set(|state| state.is_up = true);
    let before = bench
        .farm
        .wait_for("the short log", |state| {
            let short = state.logs.iter().find(|(it, _)| it.job.0 == 2)?.0;
            state.bytes_before.get(short).copied()
        })
        .await;
    assert!(
        before < 4 << 20,
        "it waited for {before} bytes of the other"
    );
    assert_eq!(
        bench
            .farm
            .shop_logs()
            .iter()
            .filter(|it| it.as_slice() == b"hello")
            .count(),
        1
    );
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_supervisor_gets_the_output_when_it_has_room() {
    let mut bench = Bench::new().await;
    bench.farm.set(|state| state.keeps_logs = false);
    bench.launch(key(1), limits()).await;
    bench.host.print(key(1), SpoolFile::Out, b"hello");
    bench.host.end(key(1), 0);
    let out = crate::chain::spool_path(&bench.dir(key(1)), 0, 1, SpoolFile::Out);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(out.exists(), "kept while nobody has it");
    bench.farm.set(|state| state.keeps_logs = true);
    // Sent again by itself, without a new connection.
    bench.until("delivered", || !out.exists()).await;
    bench.stop().await;
}
