//! The jobs of the demo: the frames, the contact sheet, and what is said when one fails.

use super::SHEET;
use super::account::FrameAccount;
use super::renderer::Scene;
use crate::error::CliError;
use crate::out::time;
use std::path::Path;
use tessera_api::Client;
use tessera_api::frames::LogPiece;
use tessera_api::query::{LogQuery, LogStream};
use tessera_api::types::{ItemRow, Quantity, SubmitRequest};

/// Bytes of a failed frame's output that are shown.
const LOG_SHOWN_BYTES: u64 = 2_000;

/// What the jobs of the demo are made of.
pub(super) struct Jobs<'a> {
    pub(super) client: &'a Client,
    pub(super) scene: &'a Scene,
    pub(super) program: &'a Path,
    pub(super) share: &'a Path,
    pub(super) images: &'a Path,
    pub(super) account: &'a FrameAccount,
}

impl Jobs<'_> {
    fn request(&self, name: &str, command: Vec<String>) -> SubmitRequest {
        SubmitRequest {
            command,
            name: Some(name.to_owned()),
            user: self.account.other_than_own(),
            cwd: Some(self.images.display().to_string()),
            grace: Some(Quantity("1s".to_owned())),
            key: Some(uuid::Uuid::new_v4().to_string()),
            ..SubmitRequest::default()
        }
    }

    /// Submits the frames: as many at once as there are slots.
    pub(super) async fn submit_frames(&self, frames: u32, slots: u32) -> Result<u64, CliError> {
        let command = self
            .scene
            .command(self.program, self.share, self.images, frames);
        let request = SubmitRequest {
            range: Some(format!("1-{frames}")),
            padding: Some(4),
            cpus: Some(i64::from(slots.max(1))),
            ..self.request("turning mosaic", command)
        };
        submitted(self.client, &request).await
    }

    /// Submits the sheet: it waits until all frames are there.
    pub(super) async fn submit_sheet(&self, render: u64) -> Result<u64, CliError> {
        let words = [
            self.program.display().to_string(),
            "contact-sheet".to_owned(),
            self.images.display().to_string(),
            "--out".to_owned(),
            self.images.join(SHEET).display().to_string(),
        ];
        let request = SubmitRequest {
            waitfor: Some(vec![render]),
            ..self.request("contact sheet", words.to_vec())
        };
        submitted(self.client, &request).await
    }
}

async fn submitted(client: &Client, request: &SubmitRequest) -> Result<u64, CliError> {
    let reply = client.submit(request, false).await?;
    reply
        .job
        .ok_or_else(|| CliError::failed("the supervisor gave the job no number"))
}

/// Makes the error for a job that failed: with the last words of the first frame that did.
pub(super) async fn failed(client: &Client, job: u64, rows: &[ItemRow], scene: &Scene) -> CliError {
    let bad = rows.iter().filter(|row| row.status != "complete");
    let count = bad.clone().count();
    let mut error = CliError::failed(format!(
        "{} of job {job} failed",
        time::count(count as u64, "frame")
    ));
    let Some(row) = bad.clone().next() else {
        return error;
    };
    if let Some(end) = &row.end {
        error
            .details
            .push(format!("frame {}: {}", row.name, end.text));
    }
    let query = LogQuery {
        stream: LogStream::Both,
        ..LogQuery::default()
    };
    if let Ok(part) = client.log(job, row.index, &query).await {
        let start = LogQuery {
            offset: part.size.saturating_sub(LOG_SHOWN_BYTES),
            ..query
        };
        let last = client
            .log(job, row.index, &start)
            .await
            .map(|part| part.pieces)
            .unwrap_or_default();
        let bytes: Vec<u8> = last
            .iter()
            .flat_map(|piece| piece_bytes(piece).to_vec())
            .collect();
        error
            .details
            .extend(String::from_utf8_lossy(&bytes).lines().map(str::to_owned));
    }
    if scene.is_own() {
        error
    } else {
        error.hint("tessera demo --renderer own needs nothing installed")
    }
}

fn piece_bytes(piece: &LogPiece) -> &[u8] {
    match piece {
        LogPiece::Out(bytes) | LogPiece::Err(bytes) => bytes,
        LogPiece::Idle | LogPiece::End => &[],
    }
}
