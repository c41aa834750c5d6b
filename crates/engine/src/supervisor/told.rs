//! How history tells what was acted on, and lines of it about many items at once: which action, and the places of the items in runs.
//!
//! People read those, and [`names`] does for who asks what became of one of the items: none has a line of its own.

use super::io::Target;
use std::fmt::Write as _;
use tessera_model::{Action, ItemIndex};

/// Runs of places that a line names; of more there are more lines.
const RUNS_TOLD_MAX: usize = 256;

/// Says what was acted on.
pub(super) fn describe(target: &Target) -> String {
    match target {
        Target::Job(id) => format!("job {id}"),
        Target::Instance(id, no) => format!("instance {id}.{no}"),
        Target::Items(id, items) => match items.as_slice() {
            [one] => format!("item {id}#{}", u64::from(one.0) + 1),
            many => format!("{} items of job {id}", many.len()),
        },
    }
}

/// Writes lines of items that became something by an action: `fail #1-300,305`, places from 1.
pub(super) fn lines(action: Action, items: &[ItemIndex]) -> Vec<String> {
    let mut places: Vec<u64> = items.iter().map(|item| u64::from(item.0) + 1).collect();
    places.sort_unstable();
    places.dedup();
    let runs: Vec<&[u64]> = places.chunk_by(|a, b| a + 1 == *b).collect();
    let line = |runs: &[&[u64]]| {
        let mut text = format!("{action} ");
        for (no, run) in runs.iter().enumerate() {
            let sign = if no == 0 { '#' } else { ',' };
            _ = match run {
                [first, .., last] => write!(text, "{sign}{first}-{last}"),
                [one] => write!(text, "{sign}{one}"),
                [] => Ok(()),
            };
        }
        text
    };
    runs.chunks(RUNS_TOLD_MAX).map(line).collect()
}

/// Answers the word of the action, when a line names an item.
#[must_use]
pub fn names(text: &str, item: ItemIndex) -> Option<&str> {
    let (action, runs) = text.split_once(" #")?;
    let place = u64::from(item.0) + 1;
    let is_in = |run: &str| {
        let (first, last) = run.split_once('-').unwrap_or((run, run));
        let ends = (first.parse::<u64>().ok(), last.parse::<u64>().ok());
        matches!(ends, (Some(first), Some(last)) if (first..=last).contains(&place))
    };
    runs.split(',').any(is_in).then_some(action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_of_a_line_is_found_in_it_and_no_other() {
        let items: Vec<ItemIndex> = [4, 0, 1, 2, 9, 2].map(ItemIndex).into();
        let said = lines(Action::Fail, &items);
        assert_eq!(said, ["fail #1-3,5,10"]);
        for item in 0..12 {
            let is_told = [0, 1, 2, 4, 9].contains(&item);
            assert_eq!(
                names(&said[0], ItemIndex(item)),
                is_told.then_some("fail"),
                "{item}"
            );
        }
        let last = lines(Action::Retry, &[ItemIndex(u32::MAX)]);
        assert_eq!(names(&last[0], ItemIndex(u32::MAX)), Some("retry"));
        assert_eq!(lines(Action::Fail, &[]), [""; 0]);
        for other in ["", "fail", "fail #", "fail #x-y,", "moved to the top"] {
            assert_eq!(names(other, ItemIndex(0)), None, "{other:?}");
        }
    }

    #[test]
    fn items_that_lie_apart_take_more_lines() {
        let items: Vec<ItemIndex> = (0..600).map(|n| ItemIndex(n * 2)).collect();
        let said = lines(Action::Kill, &items);
        assert_eq!(said.len(), 3);
        let found = |item: ItemIndex| said.iter().any(|line| names(line, item).is_some());
        assert!(items.iter().all(|item| found(*item)));
        assert!(!found(ItemIndex(1)));
    }
}
