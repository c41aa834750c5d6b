//! The launcher with a system that is made up: every step made to fail, every refusal, and whole conversations.

mod config;
mod fake;
mod left;
mod order;
mod talk;
