//! What people see: data of the API in, text out. Everything here is a pure function of the data and the [`Look`].

mod audit;
mod credential;
mod deps;
mod errors;
mod explain;
mod farm;
mod hosts;
mod items;
mod jobs;
mod mode;
mod notify;
mod resource;
#[cfg(test)]
mod site_tests;
#[cfg(test)]
mod tests;
mod why;

pub use audit::audit;
pub use credential::{credential, credentials, new_keys, seal_keys, sealed_for};
pub use deps::{deps, deps_dot};
pub use errors::errors;
pub use explain::explained;
pub use farm::{
    actions, cleanup, info, join_token, loopback_of, new_token, session_link, site, tokens,
};
pub use hosts::{host, hosts, reconfigured, state as host_state};
pub use items::{attempts, history, items, not_kept};
pub use jobs::{bar, counts_line, items_ended, job, job_state, jobs};
pub use mode::modes;
pub use notify::{channels, mail_wishes, notify_reloaded, notify_tested};
pub use resource::{resources, resources_and_shares};
pub use why::{host_why, item_why, why};

use crate::out::{Look, text};

/// Columns of the labels of a description.
const LABEL_COLUMNS: usize = 12;

/// A description: labels and values, one a line, long values wrapped beside their label.
#[derive(Debug, Default)]
struct Facts {
    lines: Vec<(&'static str, String)>,
}

impl Facts {
    fn add(&mut self, label: &'static str, value: impl Into<String>) {
        self.lines.push((label, value.into()));
    }

    fn add_some(&mut self, label: &'static str, value: Option<impl Into<String>>) {
        if let Some(value) = value {
            self.add(label, value);
        }
    }

    fn print(&self, look: &Look) -> String {
        let room = look.columns().saturating_sub(LABEL_COLUMNS + 1).max(20);
        let mut out = String::new();
        for (label, value) in &self.lines {
            let value = text::safe(value);
            let lines = if look.is_terminal() {
                text::wrap(&value, room)
            } else {
                vec![value.into_owned()]
            };
            for (n, line) in lines.iter().enumerate() {
                let label = if n == 0 { *label } else { "" };
                let line = format!("{label:LABEL_COLUMNS$} {line}");
                out += line.trim_end();
                out.push('\n');
            }
        }
        out
    }
}
