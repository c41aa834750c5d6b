//! `tessera doctor`: what is wrong on this host and with its farm, and the mend.

mod farm;
#[cfg(target_os = "linux")]
mod host;
#[cfg(windows)]
#[path = "host_windows.rs"]
mod host;
#[cfg(target_os = "macos")]
#[path = "host_macos.rs"]
mod host;
#[cfg(target_os = "linux")]
mod identity;
#[cfg(target_os = "linux")]
mod pam;
#[cfg(target_os = "linux")]
mod policy;
mod state;
#[cfg(target_os = "linux")]
mod trouble;

use crate::Exit;
use crate::args::DoctorArgs;
#[cfg(target_os = "linux")]
use crate::args::DoctorCommand;
use crate::error::CliError;
use crate::local;
use crate::out::{Look, Tone, text};
use crate::run::Context;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// As it should be.
    Good,
    /// Worth knowing.
    Note,
    /// Works, and will not for ever.
    Warning,
    /// Does not work.
    Bad,
}

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    level: Level,
    /// What was looked at.
    what: &'static str,
    /// How it is.
    text: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

impl Finding {
    fn new(level: Level, what: &'static str, text: impl Into<String>) -> Self {
        Self {
            level,
            what,
            text: text.into(),
            mend: None,
        }
    }

    fn good(what: &'static str, text: impl Into<String>) -> Self {
        Self::new(Level::Good, what, text)
    }

    fn note(what: &'static str, text: impl Into<String>) -> Self {
        Self::new(Level::Note, what, text)
    }

    fn bad(what: &'static str, text: impl Into<String>) -> Self {
        Self::new(Level::Bad, what, text)
    }

    fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }
}

/// Where to look on this host.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    state: PathBuf,
    #[cfg(target_os = "linux")]
    launch: Option<PathBuf>,
}

/// Looks, prints what was found, and ends with 1 when something does not work.
pub(crate) fn run(args: DoctorArgs, context: &Context) -> Result<Exit, CliError> {
    #[cfg(target_os = "linux")]
    if let Some(DoctorCommand::Identity {
        account,
        state,
        launch,
    }) = args.command
    {
        let place = Place {
            state: state.or(args.state).unwrap_or_else(local::default_state),
            launch: launch.or(args.launch),
        };
        return tell(&identity::look(&account, &place), context);
    }
    let named = || context.supervisor().and_then(|it| state_of(&it));
    let place = Place {
        state: args
            .state
            .or_else(named)
            .unwrap_or_else(local::default_state),
        #[cfg(target_os = "linux")]
        launch: args.launch,
    };
    #[cfg(target_os = "macos")]
    let mut findings = host::look(&place, context);
    #[cfg(not(target_os = "macos"))]
    let mut findings = host::look(&place);
    findings.extend(context.block_on(async { Ok(farm::look(context).await) })?);
    tell(&findings, context)
}

/// Answers the folder of a farm that was named by the socket in it.
fn state_of(supervisor: &str) -> Option<PathBuf> {
    let socket = supervisor.strip_prefix("unix:")?;
    let socket = Path::new(socket.strip_prefix("//").unwrap_or(socket));
    let state = socket.parent()?.parent()?;
    (local::socket_below(state) == socket).then(|| state.to_owned())
}

fn tell(findings: &[Finding], context: &Context) -> Result<Exit, CliError> {
    context.show(&findings, |look, findings| print(look, findings))?;
    let is_bad = findings.iter().any(|finding| finding.level == Level::Bad);
    Ok(if is_bad { Exit::Failed } else { Exit::Done })
}

fn print(look: &Look, findings: &[Finding]) -> String {
    let mut out = String::new();
    for finding in findings {
        let (tone, mark) = match finding.level {
            Level::Good => (Tone::Good, "good"),
            Level::Note => (Tone::Dim, "note"),
            Level::Warning => (Tone::Warn, "warn"),
            Level::Bad => (Tone::Bad, "bad "),
        };
        let said = text::safe(&finding.text);
        let lines = text::wrap(&said, look.columns().saturating_sub(18).max(20));
        for (n, line) in lines.iter().enumerate() {
            let head = if n == 0 {
                format!("{} {:12}", look.paint(tone, mark), finding.what)
            } else {
                " ".repeat(17)
            };
            out += &format!("{head} {line}\n");
        }
        let mend = finding.mend.iter().flat_map(|mend| {
            text::wrap(&text::safe(mend), look.columns().saturating_sub(20).max(20))
        });
        for (n, line) in mend.enumerate() {
            out += &format!(
                "{} {} {line}\n",
                " ".repeat(17),
                if n == 0 { "→" } else { " " }
            );
        }
    }
    let count = |level| {
        findings
            .iter()
            .filter(|finding| finding.level == level)
            .count()
    };
    let (bad, warnings) = (count(Level::Bad), count(Level::Warning));
    out + &match (bad, warnings) {
        (0, 0) => "nothing is wrong\n".to_owned(),
        (0, n) => format!("{}\n", crate::out::time::count(n as u64, "warning")),
        (n, _) => format!("{} to mend\n", crate::out::time::count(n as u64, "thing")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_farm_that_is_named_is_looked_at_in_its_own_folder() {
        let found = state_of("unix:/srv/f/run/supervisor.sock");
        assert_eq!(found, Some(PathBuf::from("/srv/f")));
        for other in ["https://farm", "unix:/run/tessera/supervisor.sock", "north"] {
            assert_eq!(state_of(other), None, "{other}");
        }
    }

    #[test]
    fn findings_are_told_with_the_mend() {
        let findings = [
            Finding::good("farm", "version 0.1.0"),
            Finding::bad("clock", "this host is 90 s ahead of the supervisor")
                .mend("run a time service (chrony, systemd-timesyncd) on both"),
        ];
        let look = Look {
            width: Some(60),
            colour: false,
            now_ms: 0,
            zone: jiff::tz::TimeZone::UTC,
        };
        insta::assert_snapshot!(print(&look, &findings), @r"
        good farm         version 0.1.0
        bad  clock        this host is 90 s ahead of the supervisor
                          → run a time service (chrony,
                            systemd-timesyncd) on both
        1 thing to mend
        ");
    }
}
