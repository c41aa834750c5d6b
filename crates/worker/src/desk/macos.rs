//! How long nobody has touched a Mac: what `ioreg`, a program of the system, says of its input devices.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tessera_engine::worker::idle::Seen;

use super::{Look, TOOL_TIMEOUT};
use crate::tool::ask;

/// The program, where the system has it.
const IOREG: &str = "/usr/sbin/ioreg";

/// The system's own count.
pub(crate) struct Eyes {
    person: String,
}

impl Eyes {
    /// Makes the eyes of a worker.
    pub(crate) fn new(person: Option<String>) -> Self {
        Self {
            person: person.unwrap_or_default(),
        }
    }

    async fn see(&self) -> Seen {
        let args = ["-c", "IOHIDSystem", "-d", "4", "-r", "-w", "0"];
        let said = ask(IOREG, &args, TOOL_TIMEOUT).await;
        match said.and_then(|it| idle(&it)) {
            Ok(time) => Seen::Idle {
                time,
                who: self.person.clone(),
            },
            Err(why) => Seen::Unknown(format!("ioreg: {why}")),
        }
    }
}

impl Look for Eyes {
    fn look(&self) -> Pin<Box<dyn Future<Output = Seen> + Send + '_>> {
        Box::pin(self.see())
    }
}

/// Reads the least `"HIDIdleTime" = N`, nanoseconds.
fn idle(text: &str) -> Result<Duration, String> {
    let times = text.lines().filter_map(|line| {
        let (_, value) = line.split_once("\"HIDIdleTime\" = ")?;
        value.trim().parse::<u64>().ok()
    });
    let least = times.min();
    least
        .map(Duration::from_nanos)
        .ok_or_else(|| "it names no HIDIdleTime".to_owned())
}
