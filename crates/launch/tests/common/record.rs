//! What a launcher has put on record.

use super::{World, wait_until};

impl World {
    /// Both of the launcher's records: what happened, and what was asked for.
    pub fn audit(&self) -> String {
        self.log("audit.log") + &self.log("audit-asked.log")
    }

    /// A file of the launcher's record; while it is put aside there is none for a moment.
    pub fn log(&self, name: &str) -> String {
        let path = self.dir.join("launcher").join(name);
        let mut text = None;
        wait_until("the record is there", || {
            text = std::fs::read_to_string(&path).ok();
            text.is_some()
        });
        text.unwrap()
    }
}
