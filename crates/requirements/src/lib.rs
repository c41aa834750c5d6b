//! Where a job may run and where it would rather: requirement expressions, host order, clusters, restrictions.
//!
//! Owns the grammars (Qube!'s), their bounds, their errors, and what they mean. Leaves to others: what a host and a job are. The engine
//! answers that through [`Facts`], one value for one [`Operand`]. How it is asked (engine's `plan::asks`):
//!
//! - [`Requirement::written`] once, when a job is submitted, [`Requirement::parse`] when it is read from the store (keep the printed
//!   form: it reads back the same);
//! - [`Requirement::depends`] says whether an answer can be kept for a class of hosts ([`Depends::host_now`] is false: only what stays
//!   the same while a worker is connected is read) and whether it can be shared by jobs ([`Depends::job`] is false);
//!   [`Requirement::operands`] names all that is read, so that a change of anything else makes nothing dirty;
//! - [`Requirement::may_hold`] says whether a host may ever meet it, given within which bounds what moves stays ([`Facts::ever`]);
//! - [`Requirement::holds`] for each class, [`Requirement::explain`] for `why`: the smallest part that does not hold, with the host's values;
//! - [`HostOrder::compare`] when the first host of a job is picked;
//! - [`ClusterChoice::distance`] (1 is best) sorts the jobs for a host of a [`ClusterPath`], before priority and id;
//!   [`Restriction::admits`] a host's cluster for a job, [`Restriction::admits_choice`] a job's clusters for a host.
#![forbid(unsafe_code)]

pub mod cluster;
mod error;
mod evaluate;
mod ever;
mod explain;
mod fact;
mod lexer;
pub mod limits;
mod near;
mod number;
mod operand;
mod order;
mod parser;
mod print;
#[cfg(test)]
mod properties;
mod requirement;
pub mod restriction;
#[cfg(test)]
mod tests;
mod tree;

pub use cluster::{ClusterChoice, ClusterError, ClusterPath};
pub use error::{Problem, RequirementError};
pub use evaluate::Truth;
pub use ever::Ever;
pub use explain::{Cause, Reading, Why};
pub use fact::{Fact, Facts};
pub use near::{distance, nearest};
pub use number::{Number, Unit};
pub use operand::{Depends, HostOperand, JobField, Operand, OperandError, Part};
pub use order::{HostOrder, OrderError, Rank};
pub use requirement::{Guess, Requirement};
pub use restriction::{Restriction, RestrictionError};
pub use tree::{Arithmetic, Comparison, Condition, Quantity, Value};
