//! An ordinary account that a test makes and removes.

use anyhow::{Context, Result, ensure};
use std::process::Command;

/// An account; it is removed when this is dropped.
pub struct TempUser {
    name: String,
}

impl TempUser {
    /// Makes an account whose name begins with `prefix`.
    ///
    /// # Errors
    /// When `useradd` fails (it needs root).
    pub fn create(prefix: &str) -> Result<Self> {
        let name = format!("{prefix}{}", std::process::id());
        let status = Command::new("useradd")
            .args(["--no-create-home", "--shell", "/bin/sh", &name])
            .status();
        ensure!(
            status.context("useradd")?.success(),
            "useradd {name} failed"
        );
        Ok(Self { name })
    }

    /// Answers its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for TempUser {
    fn drop(&mut self) {
        _ = Command::new("userdel").arg(&self.name).status();
    }
}
