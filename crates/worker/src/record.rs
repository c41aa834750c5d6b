//! What a shepherd recorded of an attempt, in the farm's words.

use std::io;
use std::time::Duration;

use tessera_model::msg::{AttemptEnd, Run};
use tessera_model::state::{End, Limit};
use tessera_model::{Attempt, ItemIndex, Timestamp};

use crate::chain::{EndCause, EndKind, ExitRecord, Step};

/// Converts a record.
pub(crate) fn attempt_end(record: &ExitRecord) -> (Run, AttemptEnd) {
    let run = Run {
        item: ItemIndex(record.item),
        attempt: Attempt(record.attempt),
    };
    let cpu = record.user_us.saturating_add(record.system_us);
    let end = AttemptEnd {
        end: match (record.out_of_memory, record.cause) {
            // What was ended by somebody ended for that reason, whatever else befell it.
            (Some(limit), EndCause::Itself) => End::OutOfMemory {
                peak: record.memory_max,
                limit,
            },
            _ => end(record.kind, record.cause),
        },
        started: Timestamp(i64::try_from(record.started_ms).unwrap_or(i64::MAX)),
        elapsed: Duration::from_millis(record.elapsed_ms),
        cpu: Duration::from_micros(cpu),
        peak_memory: record.memory_max,
        printed: record.produced,
        kept: record.kept,
        leftovers: record.leftovers,
    };
    (run, end)
}

fn end(kind: EndKind, cause: EndCause) -> End {
    match (kind, cause) {
        (EndKind::NotStarted { step, errno }, _) => not_started(step, errno),
        (EndKind::Exited { code }, EndCause::Itself) => End::Exit(code),
        (EndKind::Signalled { signal }, EndCause::Itself) => End::Signal(i32::from(signal)),
        (_, EndCause::TimeLimit) => End::Limit(Limit::ItemTime),
        (_, EndCause::SilenceLimit) => End::Limit(Limit::Silence),
        (
            _,
            EndCause::Kill
            | EndCause::Requeue
            | EndCause::Stale
            | EndCause::Close
            | EndCause::Other,
        ) => End::Asked,
    }
}

/// What the job can't help is no failure of the job's.
pub(crate) fn not_started(step: Step, errno: i32) -> End {
    match step {
        Step::Cancelled => End::Asked,
        Step::StarterLost | Step::Busy => End::Lost,
        _ if errno == 0 => End::NotStarted(step.name().to_owned()),
        _ => End::NotStarted(format!(
            "{}: {}",
            step.name(),
            io::Error::from_raw_os_error(errno)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_for_want_of_memory_is_one_of_its_own_unless_somebody_asked() {
        let mut record = ExitRecord {
            item: 1,
            attempt: 2,
            kind: EndKind::Exited { code: 0 },
            cause: EndCause::Itself,
            leftovers: 0,
            started_ms: 0,
            ended_ms: 0,
            elapsed_ms: 0,
            user_us: 0,
            system_us: 0,
            memory_max: 7,
            kept: [0; 2],
            produced: [0; 2],
            cut_by_limit: false,
            cut_by_disk: false,
            out_of_memory: Some(8),
        };
        let end = End::OutOfMemory { peak: 7, limit: 8 };
        assert_eq!(attempt_end(&record).1.end, end);
        record.cause = EndCause::Kill;
        assert_eq!(attempt_end(&record).1.end, End::Asked);
        record.cause = EndCause::TimeLimit;
        assert_eq!(attempt_end(&record).1.end, End::Limit(Limit::ItemTime));
    }

    #[test]
    fn the_cause_decides_what_an_end_means() {
        let exit = EndKind::Exited { code: 3 };
        let killed = EndKind::Signalled { signal: 9 };
        let not = EndKind::NotStarted {
            step: Step::Exec,
            errno: 2,
        };
        assert_eq!(end(exit, EndCause::Itself), End::Exit(3));
        assert_eq!(end(killed, EndCause::Itself), End::Signal(9));
        assert_eq!(end(killed, EndCause::Kill), End::Asked);
        assert_eq!(end(exit, EndCause::TimeLimit), End::Limit(Limit::ItemTime));
        assert_eq!(
            end(killed, EndCause::SilenceLimit),
            End::Limit(Limit::Silence)
        );
        let End::NotStarted(why) = end(not, EndCause::Itself) else {
            panic!("did not start")
        };
        assert!(why.starts_with("exec: No such file"), "{why}");
        let cancelled = EndKind::NotStarted {
            step: Step::Cancelled,
            errno: 0,
        };
        assert_eq!(end(cancelled, EndCause::Kill), End::Asked);
    }
}
