//! What earlier jobs took of memory: looked up when a job with the same command is submitted, of the owner's own jobs only.
//!
//! What a frame took is what the kernel counted of its largest process; the reservation is a fifth more. Jobs that were cleaned up are
//! forgotten.

use super::App;
use super::error::Failure;
use crate::persist::rows::DONE;
use tessera_api::types::LearntMemory;
use tessera_model::reservation::MEMORY_UNIT;
use tessera_model::{JobId, JobSpec, UserName};
use tessera_spec::memory::is_alike;
use tessera_store::{AttemptRow, Reader, StoreError};

/// Jobs that are looked at, the newest.
const JOBS_MAX: usize = 10;
/// Attempts that are looked at of each of them.
const ATTEMPTS_MAX: u32 = 1_000;
/// Percent of the most that was taken that are reserved.
const MARGIN_PERCENT: u64 = 120;
/// What is reserved is a multiple of this, in MiB.
const STEP_MIB: u64 = 64;

/// What is said when there is nothing to learn from.
pub(super) const NOTHING_KNOWN: &str = "no memory is reserved: no earlier job of this owner with this command has a completed frame (versions like v012 may differ); \
     the next one knows more";

/// Answers what the owner's earlier jobs with a job's command took, if there were any.
pub(super) async fn learnt(
    app: &App,
    owner: UserName,
    spec: &JobSpec,
) -> Result<Option<LearntMemory>, Failure> {
    let command = spec.command.clone();
    let alike = app.core.read(move |view| {
        let jobs = view.engine.jobs().filter(|job| job.owner == owner);
        let alike = jobs.filter(|job| is_alike(&job.spec.command, &command));
        let mut ids: Vec<JobId> = alike.map(|job| job.id).collect();
        ids.sort_unstable_by_key(|id| std::cmp::Reverse(*id));
        ids
    });
    let alike: Vec<JobId> = alike.await?;
    if alike.is_empty() {
        return Ok(None);
    }
    Ok(app.readers.read(move |reader| look(reader, &alike)).await?)
}

/// Looks at the newest of some jobs of which frames were completed.
fn look(reader: &mut dyn Reader, jobs: &[JobId]) -> Result<Option<LearntMemory>, StoreError> {
    let mut found = LearntMemory {
        jobs: 0,
        frames: 0,
        peak_bytes: 0,
        reserves_mib: 0,
    };
    for job in jobs.iter().take(JOBS_MAX) {
        let rows = reader.attempts(job.0, None, None, ATTEMPTS_MAX)?;
        let peaks = rows.iter().filter_map(peak);
        let before = found.frames;
        for peak in peaks {
            found.frames += 1;
            found.peak_bytes = found.peak_bytes.max(peak);
        }
        found.jobs += u32::from(found.frames > before);
    }
    found.reserves_mib = reserved(found.peak_bytes);
    Ok((found.frames > 0).then_some(found))
}

/// Answers the most that an attempt had, if it shows what the work needs.
fn peak(row: &AttemptRow) -> Option<u64> {
    let is_whole = row.outcome == DONE && row.counted && row.peak_memory > 0;
    is_whole.then_some(row.peak_memory)
}

/// Answers what is reserved for so many bytes, in MiB.
fn reserved(peak: u64) -> u64 {
    let with_margin = u128::from(peak) * u128::from(MARGIN_PERCENT) / 100;
    let step = u128::from(STEP_MIB * MEMORY_UNIT);
    let steps = with_margin.div_ceil(step).max(1);
    u64::try_from(steps)
        .unwrap_or(u64::MAX)
        .saturating_mul(STEP_MIB)
        .min(tessera_spec::reservation::AMOUNT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_more_is_reserved_in_whole_steps() {
        const GIB: u64 = 1 << 30;
        for (peak, mib) in [
            (1, 64),
            (50 << 20, 64),
            (54 << 20, 128),
            (10 * GIB, 12 * 1024),
            (u64::MAX, 21_110_623_253_312),
        ] {
            assert_eq!(reserved(peak), mib, "{peak}");
        }
    }
}
