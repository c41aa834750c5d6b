//! Commands about the farm's modes of maintenance.

use super::Context;
use crate::Exit;
use crate::args::{FarmCommand, FarmMode, ModeSetArgs};
use crate::error::CliError;
use crate::show;
use tessera_api::types::ModeRequest;

/// Shows, sets or unsets modes.
pub(super) async fn farm(command: FarmCommand, context: &Context) -> Result<Exit, CliError> {
    let client = context.client()?;
    match command {
        FarmCommand::Show => {
            let modes = client.modes().await?;
            context.show(&modes, show::modes)?;
        }
        FarmCommand::Set(ModeSetArgs { mode, note }) => {
            client.set_mode(mode.word(), &ModeRequest { note }).await?;
            done(mode, "set", context)?;
        }
        FarmCommand::Unset { mode } => {
            client.unset_mode(mode.word()).await?;
            done(mode, "unset", context)?;
        }
    }
    Ok(Exit::Done)
}

fn done(mode: FarmMode, done: &'static str, context: &Context) -> Result<(), CliError> {
    let result = serde_json::json!({"mode": mode.word(), "done": done});
    context.show(&result, |_, _| format!("{done} {}\n", mode.word()))
}
