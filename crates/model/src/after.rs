//! What a job waits for before its items start: other jobs, or parts of them, joined by *and* and *or*.
//!
//! Owns the values, how they are printed, and how a whole is judged from its parts. Leaves to others: how people write it
//! (`spec::after`), what is known of the jobs named (the engine).

use crate::agenda::FrameRun;
use crate::ids::{InstanceNo, JobId};
use std::fmt;
use std::str::FromStr;

/// The name of a job within its process group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(String);

/// Why a text is no label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{}\" is no label (a letter, then letters, digits, - and _, at most {}; not a word of dependencies)",
    text.escape_debug(), Label::BYTES_MAX
)]
pub struct BadLabel {
    /// What was given, cut to 64 characters.
    pub text: String,
}

impl Label {
    /// Longest label in bytes.
    pub const BYTES_MAX: usize = 63;
    /// Words that mean something else where a label may stand.
    const WORDS: [&str; 4] = ["and", "or", "none", "not"];
    /// What Qube!'s own forms begin with.
    const PREFIXES: [&str; 2] = ["link-", "info-"];

    /// Answers it as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Label {
    type Err = BadLabel;
    fn from_str(text: &str) -> Result<Self, BadLabel> {
        let is_good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        let lower = text.to_ascii_lowercase();
        let is_taken = Self::WORDS.contains(&lower.as_str())
            || Self::PREFIXES.iter().any(|it| lower.starts_with(it));
        let begins = text.starts_with(|c: char| c.is_ascii_alphabetic());
        if begins && !is_taken && text.len() <= Self::BYTES_MAX && text.bytes().all(is_good) {
            Ok(Self(text.to_owned()))
        } else {
            let text = text.chars().take(64).collect();
            Err(BadLabel { text })
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which job is waited for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Whom {
    /// This one.
    Job(JobId),
    /// The one with that label in the process group of who waits.
    Label(Label),
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Job(id) => id.fmt(f),
            Self::Label(label) => label.fmt(f),
        }
    }
}

/// What of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// All of it.
    Whole,
    /// One of its instances.
    Instance(InstanceNo),
    /// The items that cover these frames, all of them.
    Frames(FrameRun),
    /// For each item, those that cover its frames.
    EachFrame,
    /// For each instance, the one of its number.
    EachInstance,
}

impl Part {
    /// Says whether each item of who waits has an answer of its own.
    #[must_use]
    pub fn is_each(self) -> bool {
        matches!(self, Self::EachFrame | Self::EachInstance)
    }
}

/// How it must have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the words of the states; done is any of them")]
pub enum When {
    Complete,
    Failed,
    Killed,
    Done,
}

impl When {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Complete, Self::Failed, Self::Killed, Self::Done];

    /// Answers the word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::Killed => "killed",
            Self::Done => "done",
        }
    }

    /// Answers what a word stands for.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.word() == word)
    }
}

/// One thing that is waited for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term {
    /// Of which job.
    pub whom: Whom,
    /// What of it.
    pub part: Part,
    /// How it must have ended.
    pub when: When,
}

impl Term {
    /// Waits for a whole job to complete.
    #[must_use]
    pub fn job(job: JobId) -> Self {
        Self {
            whom: Whom::Job(job),
            part: Part::Whole,
            when: When::Complete,
        }
    }
}

impl fmt::Display for Term {
    /// Prints `12`, `12.0:done`, `render:frames`, `12:1-10:failed`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.whom.fmt(f)?;
        match self.part {
            Part::Whole => {}
            Part::Instance(no) => write!(f, ".{no}")?,
            Part::Frames(run) => write!(f, ":{run}")?,
            Part::EachFrame => f.write_str(":frames")?,
            Part::EachInstance => f.write_str(":instances")?,
        }
        match self.when {
            When::Complete => Ok(()),
            other => write!(f, ":{}", other.word()),
        }
    }
}

/// What is known of something that is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It is so.
    Met,
    /// It may still come.
    Open,
    /// It ended otherwise: it can't come unless somebody does something.
    Vain,
}

/// Things joined by *and* and *or*; neither is in one of its own kind, and none has fewer than two.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Tree<T> {
    One(T),
    All(Vec<Tree<T>>),
    Any(Vec<Tree<T>>),
}

/// What a job waits for.
pub type After = Tree<Term>;

impl<T> Tree<T> {
    /// Joins by *and*.
    ///
    /// # Panics
    /// Never: nothing joined is an empty *and*, which is met.
    #[must_use]
    pub fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Self::All(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        if flat.len() == 1 {
            flat.remove(0)
        } else {
            Self::All(flat)
        }
    }

    /// Joins by *or*.
    #[must_use]
    pub fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Self::Any(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        if flat.len() == 1 {
            flat.remove(0)
        } else {
            Self::Any(flat)
        }
    }

    /// Answers the things joined, from left to right.
    #[must_use]
    pub fn leaves(&self) -> Vec<&T> {
        match self {
            Self::One(leaf) => vec![leaf],
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::leaves).collect(),
        }
    }

    /// Answers the same with other leaves.
    pub fn map<U>(&self, to: &mut impl FnMut(&T) -> U) -> Tree<U> {
        match self {
            Self::One(leaf) => Tree::One(to(leaf)),
            Self::All(parts) => Tree::All(parts.iter().map(|part| part.map(to)).collect()),
            Self::Any(parts) => Tree::Any(parts.iter().map(|part| part.map(to)).collect()),
        }
    }

    /// Judges the whole: *and* is met when all are and in vain as soon as one is, *or* the other way round.
    pub fn judge(&self, found: &impl Fn(&T) -> Found) -> Found {
        let (parts, end, rest) = match self {
            Self::One(leaf) => return found(leaf),
            Self::All(parts) => (parts, Found::Vain, Found::Met),
            Self::Any(parts) => (parts, Found::Met, Found::Vain),
        };
        let mut whole = rest;
        for part in parts {
            match part.judge(found) {
                it if it == end => return end,
                Found::Open => whole = Found::Open,
                Found::Met | Found::Vain => {}
            }
        }
        whole
    }
}

impl<T: fmt::Display> fmt::Display for Tree<T> {
    /// Prints it so that `spec::after` reads it back: `12 && (render:frames || 7:failed)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (parts, sign) = match self {
            Self::One(leaf) => return leaf.fmt(f),
            Self::All(parts) => (parts, " && "),
            Self::Any(parts) => (parts, " || "),
        };
        for (place, part) in parts.iter().enumerate() {
            if place > 0 {
                f.write_str(sign)?;
            }
            match (self, part) {
                (Self::All(_), Self::Any(_)) => write!(f, "({part})")?,
                _ => part.fmt(f)?,
            }
        }
        Ok(())
    }
}

impl After {
    /// Answers the jobs that must be complete, when that and nothing else is waited for.
    #[must_use]
    pub fn plain_jobs(&self) -> Option<Vec<JobId>> {
        let plain = |part: &Self| match part {
            Self::One(term) => match term {
                Term {
                    whom: Whom::Job(job),
                    part: Part::Whole,
                    when: When::Complete,
                } => Some(*job),
                Term { .. } => None,
            },
            Self::All(_) | Self::Any(_) => None,
        };
        match self {
            Self::All(parts) => parts.iter().map(plain).collect(),
            one => plain(one).map(|job| vec![job]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(found: Found) -> Tree<Found> {
        Tree::One(found)
    }

    #[test]
    fn a_whole_is_judged_from_its_parts() {
        use Found::{Met, Open, Vain};
        let all = [Met, Open, Vain];
        for a in all {
            for b in all {
                let both = Tree::all([one(a), one(b)]).judge(&|it| *it);
                let either = Tree::any([one(a), one(b)]).judge(&|it| *it);
                let want_both = match (a, b) {
                    (Vain, _) | (_, Vain) => Vain,
                    (Met, Met) => Met,
                    _ => Open,
                };
                let want_either = match (a, b) {
                    (Met, _) | (_, Met) => Met,
                    (Vain, Vain) => Vain,
                    _ => Open,
                };
                assert_eq!((both, either), (want_both, want_either), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn what_is_joined_twice_is_joined_once() {
        let inner = Tree::all([one(Found::Met), one(Found::Open)]);
        let outer = Tree::all([inner, one(Found::Vain)]);
        assert_eq!(outer.leaves().len(), 3);
        assert!(matches!(outer, Tree::All(parts) if parts.len() == 3));
    }

    #[test]
    fn labels_are_words_of_their_own() {
        for good in ["render", "Comp-2", "a_b", "frames"] {
            assert_eq!(
                good.parse::<Label>().map(|it| it.to_string()),
                Ok(good.into())
            );
        }
        for bad in [
            "",
            "1a",
            "a.b",
            "a:b",
            "a b",
            "and",
            "OR",
            "link-x",
            "Info-x",
            "ä",
            &"a".repeat(64),
        ] {
            assert!(bad.parse::<Label>().is_err(), "{bad:?} was accepted");
        }
    }
}
