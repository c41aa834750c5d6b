//! How long nobody has touched a host with logind or X11.
//!
//! Two tools are asked: `xprintidle` for the X server of the session that a desktop worker is in, which knows each key and
//! movement; else `loginctl`, which knows of each session whether its own desktop calls it idle, and since when.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use tessera_engine::worker::idle::Seen;

use super::{Look, TOOL_TIMEOUT};
use crate::tool::ask;

/// Sessions that are asked about.
const SESSIONS_MAX: usize = 64;
/// What is asked of each session.
const PROPERTIES: &str = "Name,Seat,Type,Class,State,IdleHint,IdleSinceHintMonotonic";

/// The tools of this host.
pub(crate) struct Eyes {
    /// The person of a desktop worker.
    person: Option<String>,
    /// Whether this process is in the session of an X server.
    has_x11: bool,
}

impl Eyes {
    /// Makes the eyes of a worker; of a service there is no session of its own.
    pub(crate) fn new(person: Option<String>) -> Self {
        let is_set = |name| std::env::var_os(name).is_some_and(|it| !it.is_empty());
        let is_wayland = std::env::var("XDG_SESSION_TYPE").is_ok_and(|it| it == "wayland")
            || is_set("WAYLAND_DISPLAY");
        Self {
            has_x11: person.is_some() && is_set("DISPLAY") && !is_wayland,
            person,
        }
    }

    async fn see(&self) -> Seen {
        let mut troubles = Vec::new();
        if self.has_x11 {
            match ask("xprintidle", &[], TOOL_TIMEOUT)
                .await
                .and_then(|it| x11(&it))
            {
                Ok(time) => {
                    let who = self.person.clone().unwrap_or_default();
                    return Seen::Idle { time, who };
                }
                Err(why) => troubles.push(format!("xprintidle: {why}")),
            }
        }
        match logind().await {
            // Somebody is logged in here, or this worker would not run: logind does not know that session.
            Ok(Seen::Nobody) if self.person.is_some() => {
                troubles.push("loginctl: it knows no session with a screen".to_owned());
            }
            Ok(seen) => return seen,
            Err(why) => troubles.push(format!("loginctl: {why}")),
        }
        Seen::Unknown(troubles.join("; "))
    }
}

impl Look for Eyes {
    fn look(&self) -> Pin<Box<dyn Future<Output = Seen> + Send + '_>> {
        Box::pin(self.see())
    }
}

/// Reads the milliseconds that `xprintidle` prints.
fn x11(text: &str) -> Result<Duration, String> {
    let millis = text.trim().parse::<u64>();
    millis
        .map(Duration::from_millis)
        .map_err(|_| "its answer is no number".to_owned())
}

async fn logind() -> Result<Seen, String> {
    let args = ["list-sessions", "--no-legend", "--no-pager"];
    let list = ask("loginctl", &args, TOOL_TIMEOUT).await?;
    let ids: Vec<&str> = session_ids(&list);
    if ids.is_empty() {
        return Ok(Seen::Nobody);
    }
    let mut args = vec!["show-session", "--no-pager", "--property", PROPERTIES];
    args.extend(ids);
    let text = ask("loginctl", &args, TOOL_TIMEOUT).await?;
    let clock = clock_gettime(ClockId::CLOCK_MONOTONIC).map_err(|errno| errno.to_string())?;
    Ok(sessions(&text, Duration::from(clock)))
}

/// Answers the first word of each line that can be the name of a session.
fn session_ids(list: &str) -> Vec<&str> {
    let first = list.lines().filter_map(|it| it.split_whitespace().next());
    first
        .filter(|it| it.bytes().all(|b| b.is_ascii_alphanumeric()))
        .take(SESSIONS_MAX)
        .collect()
}

/// Makes one of all sessions that somebody sits at: the one that was touched last. A session whose desktop does not call it
/// idle counts as touched just now.
fn sessions(text: &str, now: Duration) -> Seen {
    let all = text.split("\n\n").filter_map(|block| session(block, now));
    let touched_last = all.min_by_key(|(time, _)| *time);
    touched_last.map_or(Seen::Nobody, |(time, who)| Seen::Idle { time, who })
}

/// Reads a session: for how long nobody has touched it, and whose it is. Nothing of one that nobody sits at: of a service, a
/// greeter, or without a screen (ssh).
fn session(block: &str, now: Duration) -> Option<(Duration, String)> {
    let value = |name: &str| {
        let mut pairs = block.lines().filter_map(|line| line.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let has_screen = value("Seat").is_some_and(|it| !it.is_empty())
        || value("Type").is_some_and(|it| matches!(it, "x11" | "wayland" | "mir"));
    let is_user = value("Class") == Some("user") && value("State") != Some("closing");
    if !has_screen || !is_user {
        return None;
    }
    let since = value("IdleSinceHintMonotonic").and_then(|it| it.parse::<u64>().ok());
    let time = match (value("IdleHint"), since) {
        (Some("yes"), Some(since)) => now.saturating_sub(Duration::from_micros(since)),
        _ => Duration::ZERO,
    };
    Some((time, value("Name").unwrap_or_default().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNA: &str = "Name=anna\nSeat=seat0\nType=x11\nClass=user\nState=active\nIdleHint=yes\n\
                        IdleSinceHintMonotonic=400000000\n";
    const SSH: &str = "Name=bob\nSeat=\nType=tty\nClass=user\nState=active\nIdleHint=no\n\
                       IdleSinceHintMonotonic=0\n";
    const GREETER: &str =
        "Name=gdm\nSeat=seat0\nType=wayland\nClass=greeter\nState=online\nIdleHint=no\n";

    fn at(now: u64, blocks: &[&str]) -> Seen {
        sessions(&blocks.join("\n"), Duration::from_secs(now))
    }

    fn idle(seconds: u64, who: &str) -> Seen {
        Seen::Idle {
            time: Duration::from_secs(seconds),
            who: who.to_owned(),
        }
    }

    #[test]
    fn whom_logind_knows_at_a_screen_counts() {
        assert_eq!(at(1_000, &[SSH, ANNA, GREETER]), idle(600, "anna"));
        assert_eq!(at(1_000, &[SSH, GREETER]), Seen::Nobody);
        assert_eq!(at(1_000, &[]), Seen::Nobody);
        let active = ANNA.replace("IdleHint=yes", "IdleHint=no");
        assert_eq!(at(1_000, &[&active]), idle(0, "anna"));
        // Of two the one who was there last; without a seat, but with a screen, is remote desktop.
        let remote = "Name=bob\nSeat=\nType=x11\nClass=user\nState=active\nIdleHint=yes\nIdleSinceHintMonotonic=990000000\n";
        assert_eq!(at(1_000, &[ANNA, remote]), idle(10, "bob"));
        // Nonsense is somebody.
        let odd = "Name=x\nSeat=seat0\nClass=user\nIdleHint=yes\nIdleSinceHintMonotonic=soon\n";
        assert_eq!(at(1_000, &[odd]), idle(0, "x"));
        // A time that has not come is now.
        assert_eq!(at(3, &[ANNA]), idle(0, "anna"));
    }

    #[test]
    fn answers_of_tools_are_read() {
        assert_eq!(x11("12345\n"), Ok(Duration::from_millis(12_345)));
        assert!(x11("").is_err() && x11("-1").is_err());
        let list = "  c1 1000 anna seat0 tty2\n 12 0 root  -\n--help x\n";
        assert_eq!(session_ids(list), ["c1", "12"]);
    }
}
