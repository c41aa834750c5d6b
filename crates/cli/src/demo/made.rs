//! What there is while the demo runs, and how it goes away.

use super::account::FrameAccount;
use crate::error::CliError;
use crate::local::farm::Farm;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tessera_api::Client;
use tessera_api::query::JobsQuery;
use tessera_api::types::ActionRequest;
use tokio::time::{Instant, sleep, timeout_at};

/// Longest wait for the frames that run to end when the demo is broken off.
const KILL_PATIENCE: Duration = Duration::from_secs(5);
/// Pause between looks at what ends.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// What there is while the demo runs, and must be gone when it is broken off.
#[derive(Default)]
pub(super) struct Made {
    /// The farm's folder.
    pub(super) folder: Option<TempDir>,
    /// The farm.
    pub(super) farm: Option<Farm>,
    /// The folder of the images, and who owns it.
    pub(super) images: Option<(PathBuf, FrameAccount)>,
}

impl Made {
    /// Ends the farm and removes its folder; the images, too, unless all went well.
    pub(super) async fn clean_up(mut self, keeps_images: bool) -> Result<(), CliError> {
        if let Some(mut farm) = self.farm.take() {
            if !keeps_images {
                end_jobs(&farm.client()).await;
            }
            farm.stop().await;
        }
        if let Some((images, account)) = self.images.take().filter(|_| !keeps_images) {
            account.remove_folder(&images)?;
        }
        let Some(folder) = self.folder.take() else {
            return Ok(());
        };
        let path = folder.path().to_owned();
        folder.close().map_err(|error| {
            CliError::failed(format!("can't remove {}: {error}", path.display()))
                .hint("remove it by hand")
        })
    }
}

/// Kills the jobs and waits until nothing of them runs. That this fails is found when the farm is stopped.
async fn end_jobs(client: &Client) {
    let deadline = Instant::now() + KILL_PATIENCE;
    let end = async {
        let jobs = client.jobs(&JobsQuery::default()).await?.jobs;
        let targets = jobs.iter().map(|job| job.id.to_string()).collect();
        client
            .act(&ActionRequest {
                action: "kill".to_owned(),
                targets,
            })
            .await?;
        while client
            .hosts()
            .await?
            .hosts
            .iter()
            .any(|host| host.used_slots > 0)
        {
            sleep(LOOK_PAUSE).await;
        }
        Ok::<(), tessera_api::ClientError>(())
    };
    let _ = timeout_at(deadline, end).await;
}
