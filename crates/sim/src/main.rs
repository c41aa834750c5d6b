//! `tessera-sim --seed N | --seeds N [--first N] [--bug NAME] [--trace]`: runs seeds and says what it saw.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use tessera_engine::supervisor::PreemptPolicy;
use tessera_sim::{Bug, Plan, Tally, run};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let place = words.iter().position(|word| word == name)?;
        words.get(place + 1)
    };
    let number = |name: &str| value(name).and_then(|text| text.parse::<u64>().ok());
    let bug = match value("--bug").map(String::as_str) {
        None => None,
        Some("effects-before-commit") => Some(Bug::EffectsBeforeCommit),
        Some("spool-forgotten") => Some(Bug::SpoolForgotten),
        Some("loss-is-proof") => Some(Bug::LossIsProof),
        Some("closing-unsaid") => Some(Bug::ClosingUnsaid),
        Some(other) => {
            eprintln!(
                "error: no bug is called {other}\nhint: effects-before-commit, spool-forgotten, loss-is-proof, closing-unsaid"
            );
            return ExitCode::from(2);
        }
    };
    let (first, count) = match (number("--seed"), number("--seeds")) {
        (Some(seed), _) => (seed, 1),
        (None, Some(count)) => (number("--first").unwrap_or(1), count),
        (None, None) => {
            eprintln!("usage: tessera-sim --seed N | --seeds N [--first N] [--bug NAME]");
            return ExitCode::from(2);
        }
    };
    let trace = words.iter().any(|word| word == "--trace");
    run_all(
        first,
        count,
        &Plan {
            bug,
            trace,
            ..Plan::default()
        },
    )
}

fn run_all(first: u64, count: u64, plan: &Plan) -> ExitCode {
    let mut sum = Tally::default();
    let mut failed = 0;
    for seed in first..first + count {
        // Every other seed has jobs that wait for each other, or want of the farm's own resources; those that once failed stay what they were.
        let plan = Plan {
            waits: seed % 2 == 1 || plan.waits,
            // One in four has a limit, from one instance to three; where hosts are emptied none, for whose own small jobs keep them
            // at their limit is made no room (docs/where.md).
            user_limit: (seed % 4 == 2 && !is_wide(seed, plan))
                .then(|| u32::try_from(1 + seed / 4 % 3).unwrap_or(1)),
            shares: seed % 4 >= 2 || plan.shares,
            limits: seed % 5 == 3 || plan.limits,
            preempt: PreemptPolicy::ALL[usize::try_from(seed % 3).unwrap_or(0)],
            wide: is_wide(seed, plan),
            // Where hosts are emptied none is bad: a wide job that keeps off it would start late.
            wrangle: (seed % 5 == 2 || plan.wrangle) && !is_wide(seed, plan),
            // Not where limits or rates let fewer start at once.
            grid: (seed % 7 == 4 && seed % 5 != 3 && (seed % 4 != 2 || is_wide(seed, plan)))
                || plan.grid,
            grow: seed % 7 == 6 || plan.grow,
            gpu_slots: seed % 6 == 5 || plan.gpu_slots,
            weights: seed % 11 == 5 || plan.weights,
            ..plan.clone()
        };
        match run(seed, &plan) {
            Ok(tally) => sum.merge(&tally),
            Err(fault) => {
                failed += 1;
                eprintln!("FAILED {fault}\n  again: cargo xtask sim --seed {seed}");
                if failed >= 10 {
                    break;
                }
            }
        }
    }
    for (what, n) in &sum.0 {
        println!("{n:>9}  {what}");
    }
    let missing = if count >= 100 {
        sum.missing()
    } else {
        Vec::new()
    };
    for what in &missing {
        println!("        0  {what}  <- never happened");
    }
    println!("{} passed, {failed} failed", count - failed.min(count));
    if failed > 0 || !missing.is_empty() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Says whether hosts are emptied for wide jobs in a world: in one of six beside preemption, so that a host is emptied for one and another
/// would have somebody leave there.
fn is_wide(seed: u64, plan: &Plan) -> bool {
    seed.is_multiple_of(3) || matches!(seed % 12, 1 | 8) || plan.wide
}
