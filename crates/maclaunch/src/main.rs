//! `tessera-maclaunch`: the launcher of a Mac in service mode. It starts jobs as their accounts, for the worker.
#![forbid(unsafe_code)]

use std::process::ExitCode;

/// What can be asked of it.
#[cfg(target_os = "macos")]
const USAGE: &str = "\
tessera-maclaunch: starts jobs as their accounts, for the worker of a Tessera farm

usage:
  tessera-maclaunch launcher --state DIR [--socket PATH]
      be the launcher (as root); launchd starts it so
  tessera-maclaunch check --state DIR
      say what this host can do and what stands against it
  tessera-maclaunch audit --state DIR
      say whether the record of what was started and refused is whole (as root)
  tessera-maclaunch --version | --help
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|it| it.to_string_lossy().into_owned())
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        #[cfg(any(target_os = "linux", target_os = "macos"))]
        ["become"] => parts::become_program(),
        #[cfg(any(target_os = "linux", target_os = "macos"))]
        ["look", name] => parts::look(name),
        ["--version" | "-V"] => {
            println!("tessera-maclaunch {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        other => whole(other),
    }
}

#[cfg(not(target_os = "macos"))]
fn whole(_words: &[&str]) -> ExitCode {
    eprintln!("tessera-maclaunch is for macOS; here it is tessera-launch, or tessera-winlaunch");
    ExitCode::from(2)
}

#[cfg(target_os = "macos")]
fn whole(words: &[&str]) -> ExitCode {
    use tessera_maclaunch::serve::{self, say, usual_socket};
    let option = |words: &[&str], name: &str| {
        let mut pairs = words.chunks(2);
        let found = pairs.find(|pair| pair.first() == Some(&name));
        found.and_then(|pair| pair.get(1).map(std::path::PathBuf::from))
    };
    let done = match words {
        ["launcher", rest @ ..] if matches!(rest.len(), 2 | 4) => match option(rest, "--state") {
            Some(state) => {
                let socket = option(rest, "--socket").unwrap_or_else(|| usual_socket(&state));
                serve::serve(&state, &socket)
            }
            None => Err("`--state DIR` is missing".to_owned()),
        },
        ["check", "--state", state] => serve::open(std::path::Path::new(state)).map(|(it, _)| {
            let what = it.capabilities();
            let proxy = match what.proxy_problem.as_str() {
                "" => what.proxy_account,
                problem => format!("{} can't be used: {problem}", what.proxy_account),
            };
            let (containment, modes) = (what.containment, what.modes.join(", "));
            println!("containment: {containment}\nmodes: {modes}\nproxy_account: {proxy}");
        }),
        ["audit", "--state", state] => {
            let dir = std::path::Path::new(state).join("launcher");
            tessera_keeper::verify_audit(&dir).map(|text| print!("{text}"))
        }
        ["--help" | "-h" | "help"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => {
            say("unknown arguments; `tessera-maclaunch --help` lists them");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            say(&text);
            ExitCode::FAILURE
        }
    }
}

/// What the launcher starts this program for.
#[cfg(any(target_os = "linux", target_os = "macos"))]
mod parts {
    use std::io::{self, Write as _};
    use std::process::ExitCode;

    use tessera_keeper::Failed;
    use tessera_maclaunch::look_up;
    use tessera_maclaunch::order::{Order, tell};
    use tessera_maclaunch::user::{Own, become_user, execute};
    use tessera_ticket::Step;

    /// Becomes the account of the order on standard input, and its program; returns only where that failed.
    pub(crate) fn become_program() -> ExitCode {
        let Ok(mut status) = tessera_macos::status_pipe() else {
            eprintln!("tessera-maclaunch: only the launcher starts this");
            return ExitCode::from(2);
        };
        let order = Order::read(io::stdin().lock());
        let failed = match order {
            Err(error) => Failed::at(Step::Prepare, &error),
            Ok(order) => match become_user(&Own, &order) {
                Err(failed) => failed,
                Ok(()) => execute(&order),
            },
        };
        // Whoever does not hear it sees that nothing of it runs.
        let _ = status.write_all(&tell(failed));
        ExitCode::FAILURE
    }

    /// Prints what the user directory says of an account.
    pub(crate) fn look(name: &str) -> ExitCode {
        let Ok(name) = name.parse() else {
            return ExitCode::from(2);
        };
        match io::stdout().write_all(&look_up::answer(&name)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        }
    }
}
