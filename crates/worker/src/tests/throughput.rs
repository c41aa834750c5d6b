//! How much the worker itself costs, without processes: measured by hand, never gated.

use std::time::Instant;

use super::{Bench, key, limits, start};

const ITEMS: u32 = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a benchmark, for people: cargo test -p tessera-worker throughput -- --ignored --nocapture"]
async fn items_through_two_launches() {
    let mut bench = Bench::new().await;
    bench.host.lock().ends_at_once = true;
    bench.farm.set(|state| state.items = ITEMS);
    let began = Instant::now();
    for job in 1..=2 {
        bench.farm.order(start(key(job), limits())).await;
    }
    // Two starts, and all the ends.
    let all = 2 * ITEMS as usize + 2;
    let reports =
        |state: &mut super::farm::State| state.reports.iter().map(Vec::len).sum::<usize>();
    bench
        .farm
        .wait_for("all items", |state| (reports(state) >= all).then_some(()))
        .await;
    let rate = f64::from(2 * ITEMS) / began.elapsed().as_secs_f64();
    println!("{rate:.0} items/s, worker and test supervisor in one process");
    bench.stop().await;
}
