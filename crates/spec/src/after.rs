//! Dependencies: `12345`, `12345:frames`, `render:done && (12 || 13.0:failed)`, and Qube!'s `link-complete-job-12345`.
//!
//! ```text
//! any   = all { "||" all }            the word or means ||
//! all   = one { "&&" one }            so do and, and a comma for &&, which binds closer
//! one   = "(" any ")" | term | qube
//! term  = job [ "." instance ] [ ":" part ] [ ":" event ]
//! job   = number | label
//! part  = "frames" | "instances" | range of frames, without commas
//! event = "complete" (when none is named) | "failed" | "killed" | "done"
//! qube  = "link-" event "-" ( "job" | "work" | "subjob" ) "-" job
//! ```

use crate::field::shown;
use crate::range::{self, RangeProblem};
use std::fmt;
use tessera_model::after::{After, Part, Term, Tree, When, Whom};
use tessera_model::limits::{AFTER_BYTES_MAX, AFTER_DEPTH_MAX, WAITFOR_MAX};
use tessera_model::{InstanceNo, JobId};

/// Why a text is no dependency, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AfterError {
    /// The place, in characters from 0.
    pub place: usize,
    /// The piece of the text that stands there; empty at the end.
    pub near: String,
    /// What is wrong there.
    pub problem: AfterProblem,
}

/// What is wrong with a dependency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AfterProblem {
    /// There is nothing where a job should be.
    #[error("a job is expected")]
    NoJob,
    /// Something after a complete part.
    #[error("&&, || or the end is expected")]
    NoSign,
    /// A parenthesis that nothing closes.
    #[error("a closing parenthesis is missing")]
    Unclosed,
    /// Neither a number nor a label.
    #[error("neither the number of a job nor a label")]
    BadJob,
    /// After the dot is no number.
    #[error("a number from 0 is expected after the dot")]
    BadInstance,
    /// Neither frames nor an event.
    #[error("neither frames nor complete, failed, killed or done")]
    BadPart,
    /// Frames that are no range.
    #[error("{0}")]
    BadFrames(RangeProblem),
    /// More than a part and an event.
    #[error("nothing is expected after the event")]
    Surplus,
    /// A comma behind frames could mean more frames or another job.
    #[error("a comma after frames could mean more frames or another job")]
    CommaAfterFrames,
    /// `link-…` is not whole.
    #[error("link-EVENT-KIND-JOB is expected, with job, work or subjob for its kind")]
    BadLink,
    /// `info-…`, which draws and does not wait.
    #[error("info-… only draws in Qube! and waits for nothing")]
    Info,
    /// Too long.
    #[error("a dependency is at most {AFTER_BYTES_MAX} bytes long")]
    TooLong,
    /// Too many parts.
    #[error("a job waits for at most {WAITFOR_MAX} things")]
    TooMany,
    /// Too deep.
    #[error("parentheses lie in each other at most {AFTER_DEPTH_MAX} deep")]
    TooDeep,
}

impl fmt::Display for AfterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {} ", self.place + 1)?;
        if self.near.is_empty() {
            write!(f, "(the end): {}", self.problem)
        } else {
            write!(f, "({}): {}", shown(&self.near), self.problem)
        }
    }
}

impl std::error::Error for AfterError {}

impl AfterError {
    /// Answers how to write it instead.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self.problem {
            AfterProblem::CommaAfterFrames => {
                "write 12:1-5 && 12:9 for more frames, 12:1-5 && 13 for another job"
            }
            AfterProblem::Info => "leave it out; tessera deps draws what waits for what",
            AfterProblem::BadFrames(RangeProblem::Step) => {
                "write the step without a sign, as in 12:1-100x3"
            }
            AfterProblem::TooLong | AfterProblem::TooMany | AfterProblem::TooDeep => {
                "let a job in between wait for some of them"
            }
            _ => {
                "12345 waits for a job to complete, 12345:frames frame by frame, 12345:done however it ends; join with && and ||"
            }
        }
    }
}

/// Reads a dependency.
///
/// # Errors
/// When the text is none, with the place.
pub fn parse(text: &str) -> Result<After, AfterError> {
    let mut reader = Reader {
        text,
        at: 0,
        terms: 0,
    };
    let read = if text.len() > AFTER_BYTES_MAX {
        Err((0, AfterProblem::TooLong))
    } else {
        reader.whole()
    };
    read.map_err(|(at, problem)| {
        let rest = text.get(at..).unwrap_or_default();
        let end = rest.find([' ', ')', ',', '|', '&']).unwrap_or(rest.len());
        let least = rest.chars().next().map_or(0, char::len_utf8);
        AfterError {
            place: text.get(..at).unwrap_or_default().chars().count(),
            near: rest.get(..end.max(least)).unwrap_or_default().to_owned(),
            problem,
        }
    })
}

type Read<T> = Result<T, (usize, AfterProblem)>;

struct Reader<'a> {
    text: &'a str,
    /// Bytes.
    at: usize,
    terms: usize,
}

/// What joins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    And,
    Comma,
    Or,
}

impl Reader<'_> {
    fn whole(&mut self) -> Read<After> {
        let read = self.any(0)?;
        match self.peek() {
            None => Ok(read),
            Some(_) => Err((self.at, AfterProblem::NoSign)),
        }
    }

    /// Answers the next character that is no space.
    fn peek(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        self.text[self.at..].chars().next()
    }

    fn word(&self) -> &str {
        let rest = &self.text[self.at..];
        let is_end = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | '|' | '&');
        &rest[..rest.find(is_end).unwrap_or(rest.len())]
    }

    /// Answers the sign that comes next and its length.
    fn sign(&mut self) -> Option<(Sign, usize)> {
        self.peek()?;
        let rest = &self.text[self.at..];
        let signs = [("||", Sign::Or), ("&&", Sign::And), (",", Sign::Comma)];
        let written = signs.into_iter().find(|(sign, _)| rest.starts_with(sign));
        let word = self.word();
        let words = [("or", Sign::Or), ("and", Sign::And)];
        let spelt = words
            .into_iter()
            .find(|(it, _)| word.eq_ignore_ascii_case(it));
        written.or(spelt).map(|(text, sign)| (sign, text.len()))
    }

    fn any(&mut self, depth: usize) -> Read<After> {
        let mut parts = vec![self.all(depth)?];
        while let Some((Sign::Or, length)) = self.sign() {
            self.at += length;
            parts.push(self.all(depth)?);
        }
        Ok(Tree::any(parts))
    }

    fn all(&mut self, depth: usize) -> Read<After> {
        let mut parts = vec![self.one(depth)?];
        while let Some((sign, length)) = self.sign().filter(|(sign, _)| *sign != Sign::Or) {
            if sign == Sign::Comma && is_of_frames(parts.last()) {
                return Err((self.at, AfterProblem::CommaAfterFrames));
            }
            self.at += length;
            parts.push(self.one(depth)?);
        }
        Ok(Tree::all(parts))
    }

    fn one(&mut self, depth: usize) -> Read<After> {
        match self.peek() {
            Some('(') if depth == AFTER_DEPTH_MAX => Err((self.at, AfterProblem::TooDeep)),
            Some('(') => {
                self.at += 1;
                let inner = self.any(depth + 1)?;
                match self.peek() {
                    Some(')') => {
                        self.at += 1;
                        Ok(inner)
                    }
                    Some(_) => Err((self.at, AfterProblem::NoSign)),
                    None => Err((self.at, AfterProblem::Unclosed)),
                }
            }
            _ if self.terms == WAITFOR_MAX => Err((self.at, AfterProblem::TooMany)),
            _ => {
                let (at, word) = (self.at, self.word().to_owned());
                self.terms += 1;
                let read = term(&word).map_err(|(inner, problem)| (at + inner, problem))?;
                self.at += word.len();
                Ok(Tree::One(read))
            }
        }
    }
}

fn is_of_frames(part: Option<&After>) -> bool {
    matches!(part, Some(Tree::One(term)) if matches!(term.part, Part::Frames(_)) && term.when == When::Complete)
}

/// Reads one thing; places are in bytes from its beginning.
fn term(word: &str) -> Read<Term> {
    if word.is_empty() {
        return Err((0, AfterProblem::NoJob));
    }
    let lower = word.to_ascii_lowercase();
    if lower.starts_with("link-") {
        return link(word);
    }
    if lower.starts_with("info-") {
        return Err((0, AfterProblem::Info));
    }
    let end = word.find(['.', ':']).unwrap_or(word.len());
    let whom = whom(&word[..end]).ok_or((0, AfterProblem::BadJob))?;
    let (mut part, mut when) = (Part::Whole, When::Complete);
    let mut at = end;
    if let Some(rest) = word[at..].strip_prefix('.') {
        let digits = &rest[..rest.find(':').unwrap_or(rest.len())];
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let no = digits.parse().ok().filter(|_| is_number);
        part = Part::Instance(InstanceNo(no.ok_or((at + 1, AfterProblem::BadInstance))?));
        at += 1 + digits.len();
    }
    let mut has_event = false;
    while at < word.len() {
        // At a colon: the dot was taken, and nothing else ends a piece.
        let piece = &word[at + 1..];
        let piece = &piece[..piece.find(':').unwrap_or(piece.len())];
        at += 1;
        match When::of_word(piece) {
            _ if has_event => return Err((at, AfterProblem::Surplus)),
            Some(event) => {
                when = event;
                has_event = true;
            }
            None if part != Part::Whole => return Err((at, AfterProblem::BadPart)),
            None => part = part_of(piece).map_err(|problem| (at, problem))?,
        }
        at += piece.len();
    }
    Ok(Term { whom, part, when })
}

fn part_of(piece: &str) -> Result<Part, AfterProblem> {
    match piece {
        "frames" => Ok(Part::EachFrame),
        "instances" => Ok(Part::EachInstance),
        _ if piece.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => {
            let runs = range::parse(piece).map_err(|bad| AfterProblem::BadFrames(bad.problem))?;
            match runs.as_slice() {
                [run] => Ok(Part::Frames(*run)),
                _ => Err(AfterProblem::BadPart),
            }
        }
        _ => Err(AfterProblem::BadPart),
    }
}

fn whom(text: &str) -> Option<Whom> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let id = text.parse().ok().filter(|id| *id > 0);
        return id.map(|id| Whom::Job(JobId(id)));
    }
    text.parse().ok().map(Whom::Label)
}

/// Reads `link-complete-work-12`: the parts for each frame and each instance, as Qube! links them.
fn link(word: &str) -> Read<Term> {
    let bad = (0, AfterProblem::BadLink);
    let mut pieces = word.splitn(4, '-').skip(1);
    let (Some(event), Some(kind), Some(job)) = (pieces.next(), pieces.next(), pieces.next()) else {
        return Err(bad);
    };
    let part = match kind.to_ascii_lowercase().as_str() {
        "job" => Part::Whole,
        "work" => Part::EachFrame,
        "subjob" => Part::EachInstance,
        _ => return Err(bad),
    };
    let when = When::of_word(&event.to_ascii_lowercase()).ok_or(bad)?;
    let at = word.len() - job.len();
    let whom = whom(job).ok_or((at, AfterProblem::BadJob))?;
    Ok(Term { whom, part, when })
}

#[cfg(test)]
mod tests;
