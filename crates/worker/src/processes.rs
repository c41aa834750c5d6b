//! What the daemon needs of [`crate::chain`], as a trait, so that tests run without processes.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use tessera_model::msg::{LaunchKey, Run};

use crate::chain::{
    Capabilities, Chain, ChainError, EndCause, RunItem, Shepherd, ShepherdEvent, ShepherdState,
    StartError, StartRequest, Started,
};

/// The way to start instances.
pub(crate) trait Processes: Clone + Send + Sync + 'static {
    /// The connection to one shepherd.
    type Shepherd: ShepherdLink;

    fn capabilities(&self) -> impl Future<Output = Result<Capabilities, ChainError>> + Send;

    fn start(
        &self,
        request: StartRequest,
    ) -> impl Future<Output = Result<(Started, Self::Shepherd), StartError>> + Send;

    fn adopt(
        &self,
        key: LaunchKey,
        dir: &Path,
    ) -> impl Future<Output = Result<(Self::Shepherd, ShepherdState), ChainError>> + Send;

    fn prove_gone(
        &self,
        key: LaunchKey,
        dir: &Path,
    ) -> impl Future<Output = Result<(), ChainError>> + Send;

    /// Removes what only a living launch needs of its directory.
    fn forget(&self, key: LaunchKey, dir: &Path);
}

/// The connection to a shepherd. `next_event` may be cancelled without loss.
pub(crate) trait ShepherdLink: Send + Sync + 'static {
    /// Runs an item; `spare` is an attempt of the same launch whose files may be had.
    fn run_item(
        &self,
        run: RunItem,
        spare: Option<Run>,
    ) -> impl Future<Output = Result<(), ChainError>> + Send;

    fn end_item(
        &self,
        item: u32,
        attempt: u32,
        grace: Duration,
        cause: EndCause,
    ) -> impl Future<Output = Result<(), ChainError>> + Send;

    fn set_suspended(&self, is: bool) -> impl Future<Output = Result<(), ChainError>> + Send;

    fn close(&self) -> impl Future<Output = Result<(), ChainError>> + Send;

    fn next_event(&mut self) -> impl Future<Output = Option<ShepherdEvent>> + Send;
}

impl Processes for Chain {
    type Shepherd = Shepherd;

    async fn capabilities(&self) -> Result<Capabilities, ChainError> {
        Chain::capabilities(self).await
    }

    async fn start(&self, request: StartRequest) -> Result<(Started, Shepherd), StartError> {
        Chain::start(self, request).await
    }

    async fn adopt(
        &self,
        key: LaunchKey,
        dir: &Path,
    ) -> Result<(Shepherd, ShepherdState), ChainError> {
        Chain::adopt(self, key, dir).await
    }

    async fn prove_gone(&self, key: LaunchKey, dir: &Path) -> Result<(), ChainError> {
        Chain::prove_gone(self, key, dir).await
    }

    fn forget(&self, key: LaunchKey, dir: &Path) {
        Chain::forget(self, key, dir);
    }
}

#[cfg(target_os = "linux")]
impl ShepherdLink for Shepherd {
    async fn run_item(&self, run: RunItem, spare: Option<Run>) -> Result<(), ChainError> {
        match spare {
            Some(it) => {
                self.control()
                    .run_item_reusing(run, (it.item.0, it.attempt.0))
                    .await
            }
            None => Shepherd::run_item(self, run).await,
        }
    }

    async fn end_item(
        &self,
        item: u32,
        attempt: u32,
        grace: Duration,
        cause: EndCause,
    ) -> Result<(), ChainError> {
        self.control().end_item(item, attempt, grace, cause).await
    }

    async fn set_suspended(&self, is: bool) -> Result<(), ChainError> {
        if is {
            self.control().suspend().await
        } else {
            self.control().resume().await
        }
    }

    async fn close(&self) -> Result<(), ChainError> {
        self.control().close().await
    }

    async fn next_event(&mut self) -> Option<ShepherdEvent> {
        Shepherd::next_event(self).await
    }
}

#[cfg(not(target_os = "linux"))]
impl ShepherdLink for Shepherd {
    async fn run_item(&self, run: RunItem, spare: Option<Run>) -> Result<(), ChainError> {
        let spare = spare.map(|it| (it.item.0, it.attempt.0));
        Shepherd::run_item(self, run, spare).await
    }

    async fn end_item(
        &self,
        item: u32,
        attempt: u32,
        grace: Duration,
        cause: EndCause,
    ) -> Result<(), ChainError> {
        Shepherd::end_item(self, item, attempt, grace, cause).await
    }

    async fn set_suspended(&self, is: bool) -> Result<(), ChainError> {
        Shepherd::set_suspended(self, is).await
    }

    async fn close(&self) -> Result<(), ChainError> {
        Shepherd::close(self).await
    }

    async fn next_event(&mut self) -> Option<ShepherdEvent> {
        Shepherd::next_event(self).await
    }
}
