//! What every backend must do. A backend gives a [`Fixture`] and lists [`conformance_tests!`](crate::conformance_tests)
//! in a test file; the cases open a store, close it, open it again and say with an assertion what is wrong.

mod attempts;
mod credentials;
mod journal;
mod sample;
mod state;

pub use attempts::attempts_are_found_by_host_and_end;
pub use credentials::registered_passwords_come_back;
pub use journal::{
    events_are_told_or_refused, history_is_read_in_pages, jobs_that_ended_are_listed,
    numbers_have_no_gaps, pruning_keeps_what_is_needed,
};
pub use sample::{
    attempt, credential, credential_seal, host, instance, job, join_token, journal, launch,
    pool_key, token,
};
pub use state::{
    a_bad_batch_leaves_nothing, a_key_is_used_once, a_new_store_is_empty,
    a_removed_job_leaves_nothing, a_stale_epoch_is_refused, a_use_brings_no_token_back,
    an_attempt_counts_once, any_text_comes_back, attempts_are_read_in_pages, cells_of_strangers,
    cells_win_in_their_order, every_write_comes_back, large_numbers, many_cells_come_back,
    readers_see_what_is_committed, the_same_batch_again_changes_nothing,
};

use crate::{Batch, Committed, Epoch, Loaded, Reader, Store, StoreError, Write};

/// One database, new when the fixture is.
pub trait Fixture {
    /// Opens the store; called again only after the one before is closed.
    fn open(&self) -> Box<dyn Store>;
}

/// A store with its lease.
pub struct Session {
    /// The store.
    pub store: Box<dyn Store>,
    /// The lease.
    pub epoch: Epoch,
    now_ms: i64,
}

impl Session {
    /// Opens the fixture's store and takes the lease.
    ///
    /// # Panics
    /// When the store refuses.
    #[must_use]
    pub fn open(fixture: &dyn Fixture) -> Self {
        let mut store = fixture.open();
        let epoch = store.lease("conformance").expect("the lease is free");
        Self {
            store,
            epoch,
            now_ms: 1_000,
        }
    }

    /// Commits.
    ///
    /// # Errors
    /// What the store says.
    pub fn try_commit(&mut self, writes: Vec<Write>) -> Result<Committed, StoreError> {
        self.now_ms += 1;
        self.store.commit(&Batch {
            epoch: self.epoch,
            at_ms: self.now_ms,
            writes,
        })
    }

    /// Commits what must be accepted.
    ///
    /// # Panics
    /// When it is refused.
    pub fn commit(&mut self, writes: Vec<Write>) -> Committed {
        self.try_commit(writes).expect("the batch is good")
    }

    /// Reads the picture.
    ///
    /// # Panics
    /// When it can't be read.
    #[must_use]
    pub fn load(&mut self) -> Loaded {
        self.store.load().expect("the store can be read")
    }

    /// Opens a reader.
    ///
    /// # Panics
    /// When it can't be opened.
    #[must_use]
    pub fn reader(&self) -> Box<dyn Reader> {
        self.store.reader().expect("a reader can be opened")
    }

    /// Carries out what was put off.
    ///
    /// # Panics
    /// When that does not end.
    pub fn tidy(&mut self) {
        let done = (0..100_000).any(|_| !self.store.tidy().expect("tidying works"));
        assert!(done, "tidying does not end");
    }

    /// Closes the store and opens it again, with a new lease.
    #[must_use]
    pub fn again(self, fixture: &dyn Fixture) -> Self {
        let now_ms = self.now_ms;
        drop(self.store);
        Self {
            now_ms,
            ..Self::open(fixture)
        }
    }
}

/// Makes a test of each case. `$make` is evaluated for each and gives a [`Fixture`](crate::conformance::Fixture).
#[macro_export]
macro_rules! conformance_tests {
    ($make:expr) => {
        $crate::conformance_tests!(@each $make;
            a_bad_batch_leaves_nothing
            a_key_is_used_once
            a_new_store_is_empty
            a_removed_job_leaves_nothing
            a_stale_epoch_is_refused
            a_use_brings_no_token_back
            an_attempt_counts_once
            any_text_comes_back
            attempts_are_found_by_host_and_end
            attempts_are_read_in_pages
            cells_of_strangers
            cells_win_in_their_order
            events_are_told_or_refused
            every_write_comes_back
            history_is_read_in_pages
            jobs_that_ended_are_listed
            large_numbers
            many_cells_come_back
            numbers_have_no_gaps
            pruning_keeps_what_is_needed
            readers_see_what_is_committed
            registered_passwords_come_back
            the_same_batch_again_changes_nothing
        );
    };
    (@each $make:expr; $($case:ident)*) => {
        $(
            #[test]
            fn $case() {
                $crate::conformance::$case(&$make);
            }
        )*
    };
}
