//! Where programs are.

use crate::error::CliError;
#[cfg(target_os = "linux")]
use std::os::unix::fs::PermissionsExt as _;
#[cfg(target_os = "linux")]
use std::path::Path;
use std::path::PathBuf;

/// The privileged program.
#[cfg(target_os = "linux")]
const LAUNCH: &str = "tessera-launch";

/// Answers this program's file.
pub(crate) fn own() -> Result<PathBuf, CliError> {
    std::env::current_exe()
        .map_err(|error| CliError::failed(format!("can't find this program's own file: {error}")))
}

/// Answers `tessera-launch`: the one that was named, beside this program, or in `PATH`.
#[cfg(target_os = "linux")]
pub(crate) fn launch(named: Option<&Path>) -> Result<PathBuf, CliError> {
    if let Some(path) = named {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        return if is_program(&path) {
            Ok(path)
        } else {
            Err(CliError::usage(format!(
                "--launch {}: that is no program",
                path.display()
            )))
        };
    }
    let beside = own()?
        .parent()
        .map(|folder| folder.join(LAUNCH))
        .filter(|path| is_program(path));
    beside.or_else(|| in_path(LAUNCH)).ok_or_else(|| {
        CliError::failed("tessera-launch was not found beside this program or in PATH")
            .hint("build or install both programs (cargo build builds both), or name it with --launch FILE")
    })
}

/// Looks for a program in `PATH`; relative entries are not looked at.
#[cfg(target_os = "linux")]
pub(crate) fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
    found
        .map(|folder| folder.join(name))
        .find(|file| is_program(file))
}

#[cfg(target_os = "linux")]
fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}
