//! Commands about the farm's own resources.

use super::Context;
use crate::Exit;
use crate::args::{ResourceCommand, ResourceSetArgs};
use crate::error::CliError;
use crate::out::text;
use crate::show;
use tessera_api::types::{ResourceRequest, Resources};
use tessera_spec::quantity;

/// Lists, sets or removes resources.
pub(super) async fn resource(
    command: ResourceCommand,
    context: &Context,
) -> Result<Exit, CliError> {
    match command {
        ResourceCommand::List => {
            let all = context.client()?.resources().await?;
            context.show(&all, show::resources_and_shares)?;
        }
        ResourceCommand::Set(args) => set(args, context).await?,
        ResourceCommand::Remove { names } => {
            let client = context.client()?;
            let mut removed = Vec::new();
            for name in names {
                client.remove_resource(&name).await?;
                if context.json {
                    removed.push(serde_json::json!({"resource": name, "done": "removed"}));
                } else {
                    context.print(&format!("removed {}\n", text::safe(&name)))?;
                }
            }
            if context.json {
                context.print_json(&removed)?;
            }
        }
    }
    Ok(Exit::Done)
}

async fn set(args: ResourceSetArgs, context: &Context) -> Result<(), CliError> {
    let ttl = args.ttl.as_deref().map(quantity::duration).transpose();
    let ttl = ttl.map_err(|error| {
        CliError::usage(format!("--ttl: {error}")).hint("a time is written 90s, 10m or 2h")
    })?;
    let request = ResourceRequest {
        total: args.total,
        used: args.used,
        others: args.others,
        ttl_seconds: ttl.map(|ttl| ttl.as_secs()),
    };
    let row = context.client()?.set_resource(&args.name, &request).await?;
    let all = Resources {
        resources: vec![row],
        shares: Vec::new(),
    };
    context.show(&all, |look, all| show::resources(look, &all.resources))
}
