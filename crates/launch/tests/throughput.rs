//! How many items one or two instances start in a second. Run by hand:
//! `cargo test -p tessera-launch --release --test throughput -- --ignored --nocapture`.

mod common;

use std::time::Instant;

use common::{Instance, User, World, can_run, template};
use tessera_ticket::shepherd::Event;

const ITEMS: u32 = 2_000;

fn measure(instance: &Instance, first: u32, count: u32) {
    for item in first..first + count {
        instance.order(item, 1);
        loop {
            match instance.event() {
                Event::ItemEnded(_) => break,
                Event::ItemStarted { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
#[ignore = "benchmark"]
fn items_a_second() {
    if !can_run() {
        return;
    }
    let world = World::new("");
    let alice = User::new("tsa", &[]);
    let what = template(&["/bin/true"]);
    let (first, second) = (
        world.start(&alice.name, &what),
        world.start(&alice.name, &what),
    );
    measure(&first, 0, 100);
    let begin = Instant::now();
    measure(&first, 100, ITEMS);
    let one = f64::from(ITEMS) / begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| measure(&first, 10_000, ITEMS));
        scope.spawn(|| measure(&second, 10_000, ITEMS));
    });
    let two = f64::from(2 * ITEMS) / begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    let starts = 200;
    for _ in 0..starts {
        let instance = world.start(&alice.name, &what);
        measure(&instance, 0, 1);
        instance.close();
    }
    let launches = f64::from(starts) / begin.elapsed().as_secs_f64();
    println!("items/s: {one:.0} with one instance, {two:.0} with two; launches/s: {launches:.0}");
    assert!(one > 100.0 && two > 100.0, "far from what it should be");
    first.close();
    second.close();
}
