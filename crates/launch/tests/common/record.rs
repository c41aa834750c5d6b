//! What a launcher has put on record.

use super::World;

impl World {
    /// Both of the launcher's records: what happened, and what was asked for.
    pub fn audit(&self) -> String {
        self.log("audit.log") + &self.log("audit-asked.log")
    }

    /// A file of the launcher's record.
    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.join("launcher").join(name)).unwrap()
    }
}
