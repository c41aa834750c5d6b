//! The launcher and its order of steps, with a system that is made up.

mod become_user;
mod talk;
