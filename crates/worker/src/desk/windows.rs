//! How long nobody has touched this session of Windows.

use std::future::{Future, ready};
use std::pin::Pin;

use tessera_engine::worker::idle::Seen;

use super::Look;

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
}

impl Look for Eyes {
    fn look(&self) -> Pin<Box<dyn Future<Output = Seen> + Send + '_>> {
        let seen = match tessera_windows::idle() {
            Ok(time) => Seen::Idle {
                time,
                who: self.person.clone(),
            },
            Err(error) => Seen::Unknown(format!("GetLastInputInfo: {error}")),
        };
        Box::pin(ready(seen))
    }
}
