//! How long nobody has touched this session of Windows.

use std::future::{Future, ready};
use std::pin::Pin;

use tessera_engine::worker::idle::Seen;

use super::Look;

/// The system's own count.
pub(crate) struct Eyes {
    person: Option<String>,
}

impl Eyes {
    /// Makes the eyes of a worker.
    pub(crate) fn new(person: Option<String>) -> Self {
        Self { person }
    }
}

impl Look for Eyes {
    fn look(&self) -> Pin<Box<dyn Future<Output = Seen> + Send + '_>> {
        let seen = match (&self.person, tessera_windows::idle()) {
            (Some(person), Ok(time)) => Seen::Idle {
                time,
                who: person.clone(),
            },
            (Some(_), Err(error)) => Seen::Unknown(format!("GetLastInputInfo: {error}")),
            (None, _) => Seen::Unknown("a service does not see the sessions of people".to_owned()),
        };
        Box::pin(ready(seen))
    }
}
