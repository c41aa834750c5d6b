//! A store that keeps nothing: what the supervisor costs without one.

use tessera_store::memory::MemoryStore;
use tessera_store::{Batch, Committed, Epoch, Loaded, Reader, Store, StoreError, Write};

/// Says that everything is durable.
#[derive(Debug, Default)]
pub(crate) struct Nothing {
    epoch: u64,
    last_seq: u64,
}

impl Store for Nothing {
    fn load(&mut self) -> Result<Loaded, StoreError> {
        Ok(Loaded {
            last_seq: self.last_seq,
            ..Loaded::default()
        })
    }

    fn commit(&mut self, batch: &Batch) -> Result<Committed, StoreError> {
        let epoch = batch.epoch.0;
        if epoch != self.epoch {
            return Err(StoreError::StaleEpoch { epoch });
        }
        let first_seq = self.last_seq + 1;
        let is_line = |write: &&Write| matches!(write, Write::Journal(_));
        self.last_seq += batch.writes.iter().filter(is_line).count() as u64;
        Ok(Committed {
            first_seq,
            last_seq: self.last_seq,
        })
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        MemoryStore::new().reader()
    }

    fn lease(&mut self, _holder: &str) -> Result<Epoch, StoreError> {
        self.epoch += 1;
        Ok(Epoch(self.epoch))
    }

    fn tidy(&mut self) -> Result<bool, StoreError> {
        Ok(false)
    }
}
