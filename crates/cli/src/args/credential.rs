//! Arguments of the commands about registered passwords. **Invariant:** none of them takes a password.

use clap::{Args, Subcommand};

/// What can be done with registered passwords.
#[derive(Debug, Subcommand)]
pub enum CredentialCommand {
    /// Register a Windows password: typed twice, sealed here, tried once
    #[command(after_help = "\
Examples:
  tessera credential register --domain STUDIO
  tessera credential register --user render --domain STUDIO --proxy

Windows workers that run jobs as their users need each user's password. It is
sealed on this machine for those workers; the supervisor can't read it. One
worker tries it once. Work that waited for it goes on by itself.")]
    Register(CredentialRegisterArgs),
    /// Have the registered password tried once more
    #[command(after_help = "\
Examples:
  tessera credential check              after an account was unlocked, say
  tessera credential check --user mia   as an administrator")]
    Check(CredentialOf),
    /// Revoke a registered password, here and on every worker
    #[command(after_help = "\
Examples:
  tessera credential revoke
  tessera credential revoke --user mia  as an administrator

What runs goes on; nothing new starts with it.")]
    Revoke(CredentialOf),
    /// List registered passwords: yours, or everybody's for an administrator
    List,
    /// List the keys of workers that a password would be sealed for
    #[command(after_help = "\
Examples:
  tessera credential keys
  tessera credential keys --pool night

Compare them with what each worker writes in its own log at its start.")]
    Keys(CredentialOf),
}

/// Whose password.
#[derive(Debug, Clone, Args)]
pub struct CredentialOf {
    /// Of this account (default: yours); others need an administrator
    #[arg(long, value_name = "ACCOUNT")]
    pub user: Option<String>,
    /// For the workers of this pool
    #[arg(long, value_name = "NAME", default_value = tessera_model::credential::POOL_DEFAULT)]
    pub pool: String,
    /// It is the proxy account of hosts that run all jobs as it
    #[arg(long, requires = "user")]
    pub proxy: bool,
}

/// What to register.
#[derive(Debug, Args)]
pub struct CredentialRegisterArgs {
    /// Whose.
    #[command(flatten)]
    pub of: CredentialOf,
    /// The account's Windows domain (default: an account of the workers themselves)
    #[arg(long, value_name = "NAME", default_value = "")]
    pub domain: String,
    /// Good for so many days (default and most: as the farm says, credential_days)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=366))]
    pub days: Option<u32>,
    /// Read the password from the first line of standard input
    #[arg(long)]
    pub stdin: bool,
    /// Seal for keys that are new since the last time without asking
    #[arg(long)]
    pub accept_new_keys: bool,
}
