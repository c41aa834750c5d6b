//! What every command has: the farm to ask, how output looks, and where it goes.

use crate::args::Global;
use crate::error::{CliError, output};
use crate::local;
use crate::out::{Look, Tone, text};
use serde::Serialize;
use std::io::Write as _;
use tessera_api::discover::{NotFound, Surroundings};
use tessera_api::{Client, discover};

/// What every command has.
#[derive(Debug)]
pub(crate) struct Context {
    global: Global,
    /// Whether data is printed as JSON.
    pub(crate) json: bool,
    /// How stdout looks.
    pub(crate) look: Look,
    /// How stderr looks.
    pub(crate) errors: Look,
}

impl Context {
    pub(crate) fn new(global: Global) -> Self {
        let (look, errors) = (Look::of_stdout(global.color), Look::of_stderr(global.color));
        Self {
            json: global.json,
            look,
            errors,
            global,
        }
    }

    /// Answers a client of the farm that is meant.
    pub(crate) fn client(&self) -> Result<Client, CliError> {
        let found = discover::find(self.global.supervisor.as_deref(), &surroundings());
        found
            .map(|found| found.client())
            .map_err(|error| not_found(&error))
    }

    /// Answers the farm that the person named, on the command line or in the variable.
    pub(crate) fn supervisor(&self) -> Option<String> {
        let given = self.global.supervisor.clone();
        given.or_else(|| surroundings().supervisor)
    }

    /// Runs a command's future, in this thread.
    pub(crate) fn block_on<T>(
        &self,
        command: impl Future<Output = Result<T, CliError>>,
    ) -> Result<T, CliError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| CliError::failed(format!("can't start: {error}")))?;
        runtime.block_on(command)
    }

    /// Prints to stdout.
    pub(crate) fn print(&self, text: &str) -> Result<(), CliError> {
        self.print_bytes(text.as_bytes())
    }

    /// Prints bytes to stdout, at once.
    pub(crate) fn print_bytes(&self, bytes: &[u8]) -> Result<(), CliError> {
        let mut stdout = std::io::stdout().lock();
        stdout
            .write_all(bytes)
            .and_then(|()| stdout.flush())
            .map_err(|error| output(&error))
    }

    /// Prints data as JSON, or as text made for people.
    pub(crate) fn show<T: Serialize>(
        &self,
        data: &T,
        for_people: impl FnOnce(&Look, &T) -> String,
    ) -> Result<(), CliError> {
        if self.json {
            self.print_json(data)
        } else {
            self.print(&for_people(&self.look, data))
        }
    }

    /// Prints data as JSON.
    pub(crate) fn print_json(&self, data: &impl Serialize) -> Result<(), CliError> {
        let text = serde_json::to_string_pretty(data)
            .map_err(|error| CliError::failed(format!("can't print JSON: {error}")))?;
        self.print(&(text + "\n"))
    }

    /// Says something to the person, on stderr. That nobody hears it is no error.
    pub(crate) fn say(&self, text: &str) {
        let mut stderr = std::io::stderr().lock();
        let _ = stderr
            .write_all(text.as_bytes())
            .and_then(|()| stderr.flush());
    }

    /// Prints an error.
    pub(crate) fn complain(&self, error: &CliError) {
        self.say(&printed(error, &self.errors, self.json));
    }

    /// Says something worth knowing that is no error, in a line on stderr; `kind` is for programs.
    pub(crate) fn note(&self, kind: &str, said: &str) {
        let line = if self.json {
            serde_json::json!({"note": kind, "message": said}).to_string()
        } else {
            let mark = self.errors.paint(Tone::Warn, "note:");
            format!("{mark} {}", text::safe(said))
        };
        self.say(&(line + "\n"));
    }
}

/// Prints an error for people or for programs. **Invariant:** every error of a command passes here.
pub(crate) fn printed(error: &CliError, look: &Look, is_json: bool) -> String {
    if is_json {
        error.json()
    } else {
        error.print(look)
    }
}

/// Answers where to look for a farm: also in the state folders that `tessera up` uses.
pub(crate) fn surroundings() -> Surroundings {
    let mut around = Surroundings::of_process();
    for state in [Some(local::system_state()), local::user_state()]
        .into_iter()
        .flatten()
    {
        around.sockets.push(local::socket_below(&state));
    }
    around
}

fn not_found(error: &NotFound) -> CliError {
    let exit = error.exit_code();
    let made = match error {
        NotFound::Nowhere(tried) => {
            let mut made = CliError::new(exit, "no farm found");
            made.details = tried
                .iter()
                .map(|tried| format!("{}: {}", tried.place, tried.why))
                .collect();
            made
        }
        NotFound::Bad { .. } | NotFound::Farms(_) => CliError::new(exit, error.to_string()),
    };
    made.hint(error.hint())
}
