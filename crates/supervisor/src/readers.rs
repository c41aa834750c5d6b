//! Connections that read the store beside the core, a few of them.

use crate::core::Unavailable;
use std::sync::{Arc, Mutex, PoisonError};
use tessera_store::{Reader, Store, StoreError};
use tokio::sync::Semaphore;

/// Readers at a time; who comes next waits.
const READERS: usize = 2;

/// A few readers that take turns.
#[derive(Clone)]
pub(crate) struct Readers {
    idle: Arc<Mutex<Vec<Box<dyn Reader>>>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    /// Opens them.
    ///
    /// # Errors
    /// When the store can't be opened.
    pub(crate) fn open(store: &dyn Store) -> Result<Self, StoreError> {
        let readers = (0..READERS)
            .map(|_| store.reader())
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            idle: Arc::new(Mutex::new(readers)),
            permits: Arc::new(Semaphore::new(READERS)),
        })
    }

    /// Reads with one of them, on a thread that may block. Dropping the future leaves the reading to end by itself.
    ///
    /// # Errors
    /// When the store can't be read.
    pub(crate) async fn read<T, F>(&self, look: F) -> Result<T, Unavailable>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Reader) -> Result<T, StoreError> + Send + 'static,
    {
        let gone = || Unavailable {
            message: "the store is being closed".into(),
            hint: None,
        };
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_| gone())?;
        let idle = Arc::clone(&self.idle);
        let task = tokio::task::spawn_blocking(move || {
            let reader = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut reader = reader.ok_or_else(gone)?;
            let found = look(reader.as_mut());
            idle.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(reader);
            drop(permit);
            found.map_err(|error| {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the store can't be read"
                );
                Unavailable {
                    message: format!("the store can't be read: {error}"),
                    hint: None,
                }
            })
        });
        task.await.unwrap_or_else(|_| Err(gone()))
    }
}
