//! Writes the manual pages of `tessera`, one for each command, into a folder: `cargo xtask package` packs them. It is an
//! example so that what makes pages is in no program that is shipped.

use std::process::ExitCode;

fn main() -> ExitCode {
    let folder = match std::env::args_os().nth(1) {
        Some(folder) => folder,
        None => {
            eprintln!("usage: man DIR");
            return ExitCode::from(2);
        }
    };
    match clap_mangen::generate_to(tessera_cli::args::command(), &folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: can't write {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}
