//! Measures the SQLite backend on this machine's disk: `cargo run --example store_bench -- [DIR]`.
//!
//! A *frame* here is what the supervisor writes when one ends and the next is assigned: two journal rows with the
//! items' new cells, and an attempt. Figures depend on the disk's flush; see the first line.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tessera_store::sqlite::{SqliteStore, backup};
use tessera_store::{
    AttemptRow, Batch, Epoch, JobRow, JobStateRow, JournalRow, SEGMENT_ITEMS, StateCounts, Store,
    Write,
};

const JOBS: u64 = 10_000;
const ITEMS: u32 = 1_000;
/// Frames that end before the start is measured.
const FINISHED: u64 = 1_000_000;

type Done<T = ()> = Result<T, Box<dyn Error>>;

struct Farm {
    store: SqliteStore,
    file: PathBuf,
    epoch: Epoch,
    frames: u64,
}

fn main() -> Done {
    let dir = std::env::args_os().nth(1).map(PathBuf::from);
    let place = match &dir {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir()?,
    };
    println!(
        "flush of 4 KiB appended: {}",
        spread(&mut flushes(&place.path().join("flush"))?)
    );
    let file = place.path().join("store.db");
    let mut store = SqliteStore::open(&file)?;
    let epoch = store.lease("store_bench")?;
    let mut farm = Farm {
        store,
        file,
        epoch,
        frames: 0,
    };
    farm.submit_all()?;
    for (base, at_once) in [(1, 1), (501, 20), (1501, 200)] {
        let mut lane = Lane {
            base,
            at_once,
            frames: 0,
        };
        for batch in [1, 16, 256] {
            farm.commits(&mut lane, batch, Duration::from_secs(2))?;
        }
    }
    let mut lane = Lane {
        base: 4001,
        at_once: 200,
        frames: 0,
    };
    farm.finish_the_rest(&mut lane)?;
    farm.commits(
        &mut Lane {
            base: 8001,
            at_once: 1,
            frames: 0,
        },
        256,
        Duration::from_secs(2),
    )?;
    let farm = farm.start_again()?;
    farm.questions()
}

fn flushes(path: &Path) -> Done<Vec<Duration>> {
    let mut file = File::create(path)?;
    (0..200)
        .map(|_| {
            let begin = Instant::now();
            file.write_all(&[1; 4096])?;
            file.sync_data()?;
            Ok(begin.elapsed())
        })
        .collect()
}

fn spread(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |share: usize| {
        times
            .get(times.len() * share / 100)
            .copied()
            .unwrap_or_default()
            .as_secs_f64()
            * 1e3
    };
    format!("p50 {:.2} ms, p99 {:.2} ms", at(50), at(99))
}

/// CPU time of this thread so far, where the kernel tells it; on a busy machine it says more than the clock.
fn cpu_time() -> Duration {
    let line = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = line.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

fn new_job(id: u64, items: u32) -> JobRow {
    JobRow {
        id,
        name: format!("shot {id}"),
        kind: "cmdrange".into(),
        owner: "mia".into(),
        state: "running".into(),
        priority: 100,
        counts: StateCounts {
            pending: items,
            ..StateCounts::default()
        },
        key: Some(format!("key {id}")),
        spec: format!("{{\"command\":[\"render\",\"{}\"]}}", "x".repeat(400)),
        spec_format: 1,
        cpus: 4,
        items,
        ..JobRow::default()
    }
}

fn whole(id: u64, items: u32) -> Vec<Write> {
    let mut writes = vec![Write::Job(new_job(id, items))];
    for segment in 0..items.div_ceil(SEGMENT_ITEMS) {
        let cells = SEGMENT_ITEMS.min(items - segment * SEGMENT_ITEMS) as usize;
        writes.push(Write::Items {
            job: id,
            segment,
            cells: vec![0; cells],
        });
    }
    writes
}

/// Jobs that are worked on at the same time, each from its first item on.
struct Lane {
    /// The first of its jobs.
    base: u64,
    /// How many at a time.
    at_once: u64,
    /// Frames that ended.
    frames: u64,
}

impl Lane {
    fn next_frame(&mut self) -> (u64, u32) {
        let group = self.at_once * u64::from(ITEMS);
        let (group, within) = (self.frames / group, self.frames % group);
        self.frames += 1;
        let job = self.base + group * self.at_once + within % self.at_once;
        (job, u32::try_from(within / self.at_once).unwrap_or(0))
    }
}

fn frame(n: u64, (job, item): (u64, u32)) -> [Write; 3] {
    let at_ms = 1_700_000_000_000 + i64::try_from(n).unwrap_or(0);
    let line = |kind: &str, cell: u64, text: &str| {
        Write::Journal(JournalRow {
            at_ms,
            kind: kind.into(),
            job: Some(job),
            instance: Some(0),
            item: Some(item),
            attempt: Some(1),
            host: Some([7; 16]),
            actor: None,
            cell: Some(cell),
            text: text.into(),
        })
    };
    let attempt = AttemptRow {
        job,
        item,
        attempt: 1,
        host: [7; 16],
        host_name: "rnd007".into(),
        account: "mia".into(),
        assigned_ms: at_ms,
        started_ms: Some(at_ms),
        ended_ms: at_ms,
        outcome: "complete".into(),
        exit_code: Some(0),
        elapsed_ms: 100,
        counted: true,
        ..AttemptRow::default()
    };
    [
        line("item.ended", n << 8 | 5, "complete, exit status 0, 0.1 s"),
        Write::Attempt(attempt),
        line("item.assigned", n << 8 | 3, "assigned to rnd007"),
    ]
}

impl Farm {
    fn commit(&mut self, writes: Vec<Write>) -> Done<Duration> {
        let batch = Batch {
            epoch: self.epoch,
            at_ms: 1,
            writes,
        };
        let begin = Instant::now();
        self.store.commit(&batch)?;
        Ok(begin.elapsed())
    }

    fn submit_all(&mut self) -> Done {
        let begin = Instant::now();
        for first in (1..=JOBS).step_by(100) {
            let writes = (first..first + 100)
                .flat_map(|id| whole(id, ITEMS))
                .collect();
            self.commit(writes)?;
        }
        let seconds = begin.elapsed().as_secs_f64();
        println!(
            "submit {JOBS} jobs of {ITEMS}, 100 a batch: {seconds:.2} s, {:.0} jobs/s",
            JOBS as f64 / seconds
        );
        let took = self.commit(whole(JOBS + 1, 1_000_000))?;
        println!(
            "submit one job of a million: {:.1} ms",
            took.as_secs_f64() * 1e3
        );
        Ok(())
    }

    fn batch_of_frames(&mut self, lane: &mut Lane, batch: u64) -> Vec<Write> {
        let mut writes = Vec::new();
        let mut jobs = BTreeSet::new();
        for _ in 0..batch {
            let place = lane.next_frame();
            writes.extend(frame(self.frames, place));
            jobs.insert(place.0);
            self.frames += 1;
        }
        // Each changed job's counts, once a batch.
        writes.extend(jobs.into_iter().map(|job| {
            Write::JobState(JobStateRow {
                started_ms: Some(1),
                ..new_job(job, ITEMS).state_row()
            })
        }));
        writes
    }

    fn commits(&mut self, lane: &mut Lane, batch: u64, wanted: Duration) -> Done {
        let begin = Instant::now();
        let mut times = Vec::new();
        let mut cpu = Duration::ZERO;
        while begin.elapsed() < wanted {
            let writes = self.batch_of_frames(lane, batch);
            let before = cpu_time();
            times.push(self.commit(writes)?);
            cpu += cpu_time() - before;
        }
        let total: Duration = times.iter().sum();
        let frames = batch as f64 * times.len() as f64 / total.as_secs_f64();
        let cpu = cpu.as_secs_f64() * 1e3 / times.len() as f64;
        println!(
            "batch of {batch}, {} jobs at once: {frames:.0} frames/s ({:.0} rows/s), commit {}, cpu {cpu:.2} ms",
            lane.at_once,
            frames * 3.0,
            spread(&mut times),
        );
        Ok(())
    }

    fn finish_the_rest(&mut self, lane: &mut Lane) -> Done {
        while self.frames < FINISHED {
            let writes = self.batch_of_frames(lane, 256);
            self.commit(writes)?;
        }
        Ok(())
    }

    fn start_again(self) -> Done<Self> {
        let Self {
            store,
            file,
            frames,
            ..
        } = self;
        let usage = store.reader()?.usage()?;
        let rows = |table: &str| {
            usage
                .tables
                .iter()
                .find(|row| row.table == table)
                .map_or(0, |row| row.rows)
        };
        println!(
            "{} MB; {} journal rows, {} attempts",
            usage.bytes >> 20,
            rows("journal"),
            rows("attempts")
        );
        drop(store);
        let begin = Instant::now();
        let mut store = SqliteStore::open(&file)?;
        let epoch = store.lease("store_bench")?;
        let opened = begin.elapsed();
        let loaded = store.load()?;
        let items: usize = loaded.items.iter().map(|row| row.cells.len()).sum();
        println!(
            "start: open and lease {:.0} ms, load {:.0} ms ({} jobs, {items} items)",
            opened.as_secs_f64() * 1e3,
            (begin.elapsed() - opened).as_secs_f64() * 1e3,
            loaded.jobs.len()
        );
        Ok(Self {
            store,
            file,
            epoch,
            frames,
        })
    }

    fn questions(mut self) -> Done {
        let mut reader = self.store.reader()?;
        let ask = |name: &str, question: &mut dyn FnMut(u64) -> Done| -> Done {
            let mut times = Vec::new();
            for n in 0..300 {
                let begin = Instant::now();
                question(n * 13 % 900 + 1)?;
                times.push(begin.elapsed());
            }
            println!("{name}: {}", spread(&mut times));
            Ok(())
        };
        ask("100 latest attempts of a job", &mut |job| {
            Ok(reader.attempts_latest(job, 400, 100).map(drop)?)
        })?;
        ask("history of an item", &mut |job| {
            Ok(reader.history(job, Some(7), 0, 100).map(drop)?)
        })?;
        ask("100 rows of a job's history", &mut |job| {
            Ok(reader.history(job, None, 0, 100).map(drop)?)
        })?;
        ask("100 events", &mut |seq| {
            Ok(reader.events_after(seq * 1000, 100).map(drop)?)
        })?;
        let mut times: Vec<Duration> = (1..=100)
            .map(|job| self.commit(vec![Write::JobRemove(job)]))
            .collect::<Done<_>>()?;
        println!("remove a job: {}", spread(&mut times));
        let took = self.commit(vec![Write::JobRemove(JOBS + 1)])?;
        println!(
            "remove the job of a million: {:.1} ms",
            took.as_secs_f64() * 1e3
        );
        let mut times = Vec::new();
        let mut more = true;
        while more {
            let begin = Instant::now();
            more = self.store.tidy()?;
            times.push(begin.elapsed());
        }
        println!("tidy {} portions: {}", times.len(), spread(&mut times));
        let begin = Instant::now();
        backup(&self.file, &self.file.with_extension("copy"))?;
        println!("backup: {:.1} s", begin.elapsed().as_secs_f64());
        Ok(())
    }
}
