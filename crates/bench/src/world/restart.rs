//! A supervisor that is killed, and its successor on the same store.

use super::stage::Event;
use super::{AGAIN_MS, World};
use crate::options::StoreKind;
use crate::plan::RESTART_MS;
use crate::report::Restart;
use crate::{BenchError, chance};
use std::path::{Path, PathBuf};
use std::time::Instant;
use tessera_engine::supervisor::Engine;
use tessera_model::ItemStatus;

/// What SQLite has beside the file of the database.
const LOG_SUFFIX: &str = "-wal";
const SHARED_SUFFIX: &str = "-shm";

impl World {
    /// Kills the supervisor: what it had in memory is gone, and what was under way to and from it.
    pub(super) fn kill(&mut self) -> Result<(), BenchError> {
        let Some(driven) = self.driven.take() else {
            return Ok(());
        };
        self.looked_before += driven.engine().asked();
        let [complete_before, running_before] = counts(driven.engine());
        // Who is killed tidies nothing up; closing the store in order would.
        let kept = self.keep_aside()?;
        drop(driven);
        let store_bytes = self.put_back(&kept)?;
        self.restart = Some(Restart {
            complete_before,
            lost: 0,
            running_before,
            started_twice: self.stage.overlaps,
            store_bytes,
            serving_seconds: 0.0,
            dispatching_seconds: 0.0,
        });
        for index in 0..self.options.hosts {
            self.with(index, |host, stage| host.cut(stage));
            let after = chance::between(AGAIN_MS, self.options.seed, &[21, index.into()]);
            self.stage.after(RESTART_MS + after, Event::Connect(index));
        }
        self.talking.clear();
        self.stage.after(RESTART_MS, Event::Revive);
        Ok(())
    }

    /// Starts the next one.
    pub(super) fn revive(&mut self) -> Result<(), BenchError> {
        let began = Instant::now();
        let driven = self.open()?;
        let serving_seconds = began.elapsed().as_secs_f64();
        let [complete, _] = counts(driven.engine());
        self.driven = Some(driven);
        self.dispatching_from = Some(self.spent.busy());
        if let Some(restart) = &mut self.restart {
            restart.serving_seconds = serving_seconds;
            restart.lost = restart.complete_before.saturating_sub(complete);
        }
        Ok(())
    }

    /// Copies the files of the store as they are; answers the copies with their places.
    fn keep_aside(&self) -> Result<Vec<(PathBuf, PathBuf)>, BenchError> {
        let mut kept = Vec::new();
        if self.options.store != StoreKind::Sqlite {
            return Ok(kept);
        }
        for suffix in ["", LOG_SUFFIX] {
            let place = with_suffix(&self.store_path(), suffix);
            let copy = self.folder.path().join(format!("kept{suffix}"));
            copy_file(&place, &copy)?;
            kept.push((copy, place));
        }
        Ok(kept)
    }

    /// Puts them back; answers how many bytes they are.
    fn put_back(&self, kept: &[(PathBuf, PathBuf)]) -> Result<u64, BenchError> {
        let _there_may_be_none =
            std::fs::remove_file(with_suffix(&self.store_path(), SHARED_SUFFIX));
        let mut bytes = 0;
        for (copy, place) in kept {
            bytes += copy_file(copy, place)?;
        }
        Ok(bytes)
    }
}

/// Counts the frames that are complete, and those that run.
fn counts(engine: &Engine) -> [u64; 2] {
    [ItemStatus::Complete, ItemStatus::Running].map(|status| {
        let of_each = engine
            .jobs()
            .map(|job| u64::from(job.items().count(status)));
        of_each.sum()
    })
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn copy_file(from: &Path, to: &Path) -> Result<u64, BenchError> {
    std::fs::copy(from, to).map_err(|source| BenchError::Io {
        doing: "copy",
        path: from.to_owned(),
        source,
    })
}
