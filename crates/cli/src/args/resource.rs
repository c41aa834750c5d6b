//! Arguments of the commands about the farm's own resources.

use clap::{Args, Subcommand};

/// What can be done about the farm's own resources.
#[derive(Debug, Subcommand)]
pub enum ResourceCommand {
    /// List what there is, what is taken and who has it
    #[command(after_help = "\
Examples:
  tessera resource list
  tessera --json resource list    with every job that has some, and how many")]
    List,
    /// Say how many there are, or how many others use
    Set(ResourceSetArgs),
    /// Forget what was said of resources; what is configured stays
    #[command(after_help = "\
Examples:
  tessera resource remove license.nuke")]
    Remove {
        /// Their names
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
}

/// What is said of a resource.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tessera resource set license.nuke --total 10
  tessera resource set license.nuke --total 10 --used 7 --ttl 10m
      from a script that asks the licence server: 7 are in use, the farm's
      among them; if nobody says it again in ten minutes it counts no more
  tessera resource set license.nuke --others 3     used outside of the farm

For administrators. Jobs reserve with --reservations license.nuke=1.")]
#[group(required = true, multiple = true, id = "said", args = ["total", "used", "others"])]
pub struct ResourceSetArgs {
    /// global.NAME, license.NAME, global_host.NAME, license_host.NAME or scoped.NAME
    #[arg(value_name = "NAME")]
    pub name: String,
    /// How many there are
    #[arg(long, value_name = "N")]
    pub total: Option<u64>,
    /// How many are in use, the farm's among them
    #[arg(long, value_name = "N", conflicts_with = "others")]
    pub used: Option<u64>,
    /// How many others use, outside of the farm
    #[arg(long, value_name = "N")]
    pub others: Option<u64>,
    /// For how long --used or --others counts: 90s, 10m (default: until it is said anew)
    #[arg(long, value_name = "TIME")]
    pub ttl: Option<String>,
}
