//! Arguments of the commands about the farm's modes of maintenance.

use clap::{Args, Subcommand, ValueEnum};

/// What can be done about modes of maintenance.
#[derive(Debug, Subcommand)]
pub enum FarmCommand {
    /// Say which are set, by whom and why
    Show,
    /// Set one
    Set(ModeSetArgs),
    /// Unset one: the farm goes on at once
    Unset {
        /// Which
        #[arg(value_name = "MODE")]
        mode: FarmMode,
    },
}

/// A mode to set.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tessera farm set stop_activity --note 'file server moves, until noon'
      what runs goes on to the end of its frame, nothing new starts
  tessera farm set reject_submit
  tessera farm unset stop_activity

For administrators. tessera why and tessera jobs tell everybody.")]
pub struct ModeSetArgs {
    /// Which
    #[arg(value_name = "MODE")]
    pub mode: FarmMode,
    /// Why, for others
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub note: String,
}

/// A mode of maintenance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum FarmMode {
    /// Submissions are refused
    RejectSubmit,
    /// Nothing is started on any host
    StopActivity,
}

impl FarmMode {
    /// Answers the API's word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::RejectSubmit => "reject_submit",
            Self::StopActivity => "stop_activity",
        }
    }
}
