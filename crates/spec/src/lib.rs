//! What people write, turned into what the farm understands: frame ranges, selectors, dependencies, submissions.
//!
//! Owns the syntax and its error messages, each with the place and a hint. Leaves to others: what the farm knows
//! (whether a job exists, who may submit as whom), files, JSON.
#![forbid(unsafe_code)]

pub mod after;
pub mod change;
pub mod field;
pub mod memory;
pub mod quantity;
pub mod range;
pub mod reservation;
pub mod selector;
pub mod submit;

pub use after::AfterError;
pub use change::{Change, ChangeDraft};
pub use field::FieldError;
pub use range::RangeError;
pub use selector::{Selector, SelectorError, What};
pub use submit::{SubmissionDraft, Validated};
