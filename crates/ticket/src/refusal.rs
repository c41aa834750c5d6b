//! Why a host refuses to start something, with a sentence and a hint for the person who must act.

use crate::step::Step;

/// What a refusal means for the work that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalClass {
    /// The account or the host's policy stands against it: the work waits in `badlogin` and other hosts are tried.
    Identity,
    /// Passing trouble on the host: the work stays pending and is tried again.
    Passing,
    /// The request itself is wrong or too late: a new ticket is needed.
    Request,
    /// The host can't do its job: it needs an administrator.
    Host,
}

/// A reason for refusing a launch. [`Refusal::code`] is stable; the sentence is for people.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are named for what they hold")]
pub enum Refusal {
    /// The account's name can't be a name.
    NameInvalid,
    /// No such account on this host.
    NoSuchAccount,
    /// The account is uid 0.
    RootRefused,
    /// The account belongs to a daemon of the farm or is no account at all (65534, 65535, 2³²-1).
    ReservedAccount { uid: u32 },
    /// The uid's name is another one.
    NameAmbiguous { other: String },
    /// The uid is a system account's.
    UidBelowMin { uid: u32, min: u32 },
    /// The policy denies the account by name.
    AccountDenied,
    /// The account is to be a slot's, but looks like somebody's own.
    AccountNotForSlots { reason: String },
    /// The policy has a list of allowed accounts or groups and this is not on it.
    AccountNotAllowed,
    /// The person at a desktop did not let the owner of the job in.
    SubmitterNotAllowed,
    /// A group of the account is denied.
    GroupDenied { group: String },
    /// The primary group is group 0.
    PrimaryGroupRoot,
    /// The account is locked.
    AccountLocked,
    /// The account has expired.
    AccountExpired,
    /// The account's shell does not let anybody in.
    NologinShell { shell: String },
    /// The directory (NSS, LDAP) did not answer or answered with an error.
    DirectoryUnavailable { errno: i32 },
    /// The policy does not allow this execution mode.
    ModeNotAllowed { mode: &'static str },
    /// A proxy ticket names another account than the policy.
    ProxyMismatch { proxy: String },
    /// The ticket can't be read.
    TicketMalformed { reason: String },
    /// The ticket's time is over.
    TicketExpired { late_seconds: u64 },
    /// The ticket's time has not come, or it is valid for too long.
    TicketTimes,
    /// The ticket was used before.
    TicketReplayed,
    /// A newer launch of the instance was seen.
    TicketSuperseded { last: u32 },
    /// No known dispatch key made the signature.
    TicketSignature,
    /// The ticket is for another host.
    TicketNotForThisHost,
    /// The ticket is of another farm.
    TicketNotForThisFarm,
    /// What is to run is not what was signed.
    DigestMismatch,
    /// What is to run can't be read.
    TemplateInvalid { reason: String },
    /// The policy file can't be used.
    PolicyInvalid { reason: String },
    /// The control group could not be made.
    ContainmentFailed { errno: i32 },
    /// Accounts of slots are wanted where no control groups are.
    SlotsWithoutGroups,
    /// A step of becoming the user failed.
    BecomingUserFailed { step: Step, errno: i32 },
    /// The account has as many processes as it may have.
    ProcessLimit,
    /// The account's login shell did not say its environment, which the host's policy wants; below 0 it is the shell's status.
    LoginEnvironment { errno: i32 },
    /// PAM does not let the account be used, which the host's policy asks.
    PamAccount { reason: String },
    /// The PAM session that the host's policy wants could not be opened.
    PamFailed { reason: String },
    /// The launcher's own state can't be written.
    StateUnwritable { errno: i32 },
    /// The account is the system's own, a service's or the launcher's (Windows).
    ServiceAccount,
    /// The account has an administrator's rights (Windows).
    AdministratorRefused { group: String },
    /// A logon gave another account than the one that was asked for (Windows).
    IdentityMismatch,
    /// Nobody has registered the account's password for this host (Windows).
    PasswordMissing,
    /// The registered password is not the account's (Windows).
    PasswordWrong,
    /// The account's password has expired, or must be changed before a logon (Windows).
    PasswordExpired,
    /// The account is disabled (Windows).
    AccountDisabled,
    /// The account may not log on as a batch job here (Windows).
    NoBatchRight,
    /// The system refused the logon for another reason (Windows).
    LogonRefused { code: u32 },
    /// Each account of a slot is in use, or being cleared up.
    NoFreeAccount,
    /// Too much at once.
    Busy,
}

impl Refusal {
    /// Returns the stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NameInvalid => "name_invalid",
            Self::NoSuchAccount => "no_such_account",
            Self::RootRefused => "root_refused",
            Self::ReservedAccount { .. } => "reserved_account",
            Self::NameAmbiguous { .. } => "name_ambiguous",
            Self::UidBelowMin { .. } => "uid_below_min",
            Self::AccountDenied | Self::AccountNotForSlots { .. } => "account_denied",
            Self::AccountNotAllowed => "account_not_allowed",
            Self::SubmitterNotAllowed => "submitter_not_allowed",
            Self::GroupDenied { .. } => "group_denied",
            Self::PrimaryGroupRoot => "primary_group_root",
            Self::AccountLocked => "account_locked",
            Self::AccountExpired => "account_expired",
            Self::NologinShell { .. } => "nologin_shell",
            Self::DirectoryUnavailable { .. } => "directory_unavailable",
            Self::ModeNotAllowed { .. } => "mode_not_allowed",
            Self::ProxyMismatch { .. } => "proxy_mismatch",
            Self::TicketMalformed { .. } => "ticket_malformed",
            Self::TicketExpired { .. } => "ticket_expired",
            Self::TicketTimes => "ticket_times",
            Self::TicketReplayed => "ticket_replayed",
            Self::TicketSuperseded { .. } => "ticket_superseded",
            Self::TicketSignature => "ticket_signature",
            Self::TicketNotForThisHost => "ticket_not_for_this_host",
            Self::TicketNotForThisFarm => "ticket_not_for_this_farm",
            Self::DigestMismatch => "digest_mismatch",
            Self::TemplateInvalid { .. } => "template_invalid",
            Self::PolicyInvalid { .. } => "policy_invalid",
            Self::ContainmentFailed { .. } | Self::SlotsWithoutGroups => "containment_failed",
            Self::BecomingUserFailed { .. } => "becoming_user_failed",
            Self::ProcessLimit => "process_limit",
            Self::LoginEnvironment { .. } => "login_environment_failed",
            Self::PamAccount { .. } => "pam_account_refused",
            Self::PamFailed { .. } => "pam_failed",
            Self::StateUnwritable { .. } => "state_unwritable",
            Self::ServiceAccount => "service_account",
            Self::AdministratorRefused { .. } => "administrator_refused",
            Self::IdentityMismatch => "identity_mismatch",
            Self::PasswordMissing => "password_missing",
            Self::PasswordWrong => "password_wrong",
            Self::PasswordExpired => "password_expired",
            Self::AccountDisabled => "account_disabled",
            Self::NoBatchRight => "no_batch_right",
            Self::LogonRefused { .. } => "logon_refused",
            // Passes by itself, as the other does; the sentence tells them apart.
            Self::NoFreeAccount | Self::Busy => "busy",
        }
    }

    /// Returns what a refusal of this code means for the work; a code that is not known is passing trouble.
    pub fn class_of(code: &str) -> RefusalClass {
        match code {
            "name_invalid"
            | "no_such_account"
            | "root_refused"
            | "reserved_account"
            | "name_ambiguous"
            | "uid_below_min"
            | "account_denied"
            | "account_not_allowed"
            | "group_denied"
            | "primary_group_root"
            | "account_locked"
            | "account_expired"
            | "nologin_shell"
            | "login_environment_failed"
            | "pam_account_refused"
            | "mode_not_allowed"
            | "proxy_mismatch"
            | "service_account"
            | "administrator_refused"
            | "identity_mismatch"
            | "password_missing"
            | "password_wrong"
            | "password_expired"
            | "account_disabled"
            | "no_batch_right"
            | "logon_refused" => RefusalClass::Identity,
            "ticket_malformed"
            | "ticket_expired"
            | "ticket_times"
            | "ticket_replayed"
            | "ticket_superseded"
            | "ticket_signature"
            | "ticket_not_for_this_host"
            | "ticket_not_for_this_farm"
            | "digest_mismatch"
            | "template_invalid" => RefusalClass::Request,
            "policy_invalid"
            | "containment_failed"
            | "becoming_user_failed"
            | "pam_failed"
            | "state_unwritable" => RefusalClass::Host,
            _ => RefusalClass::Passing,
        }
    }

    /// Returns one sentence that names the host, the launch and the account.
    pub fn sentence(&self, host: &str, what: &str, account: &str) -> String {
        format!(
            "{host} can't start {what} as user {account}: {}",
            self.reason()
        )
    }

    /// Returns why, and what can be done about it, where no launch is to be named.
    pub fn reason_and_hint(&self) -> String {
        format!("{}; {}", self.reason(), self.hint())
    }

    fn reason(&self) -> String {
        match self {
            Self::NameInvalid => "this can't be the name of an account".into(),
            Self::NoSuchAccount => "no such account on this host".into(),
            Self::RootRefused => "it is root (uid 0), and jobs never run as root".into(),
            Self::ReservedAccount { uid } => {
                format!("uid {uid} belongs to the farm's daemons or to nobody")
            }
            Self::NameAmbiguous { other } => format!("its uid is also known as {other}"),
            Self::UidBelowMin { uid, min } => {
                format!("uid {uid} is below the host's uid_min of {min}")
            }
            Self::AccountDenied => "the host's policy denies this account".into(),
            Self::AccountNotForSlots { reason } => {
                format!("accounts of slots are nobody's own, and {reason}")
            }
            Self::AccountNotAllowed => "the host's policy does not list it as allowed".into(),
            Self::SubmitterNotAllowed => {
                "the person at this desktop did not let the owner of the job in".into()
            }
            Self::GroupDenied { group } => format!("it is in group {group}, which the host denies"),
            Self::PrimaryGroupRoot => "its primary group is root (gid 0)".into(),
            Self::AccountLocked => "the account is locked".into(),
            Self::AccountExpired => "the account has expired".into(),
            Self::NologinShell { shell } => format!("its shell {shell} lets nobody log in"),
            Self::DirectoryUnavailable { errno } => {
                format!("the user directory did not answer (errno {errno})")
            }
            Self::ModeNotAllowed { mode } => {
                format!("the host's policy does not allow execution mode {mode}")
            }
            Self::ProxyMismatch { proxy } => {
                format!("the host's proxy account is {proxy}")
            }
            Self::TicketMalformed { reason } => format!("the ticket can't be read: {reason}"),
            Self::TicketExpired { late_seconds } => {
                format!("the ticket expired {late_seconds} s ago")
            }
            Self::TicketTimes => "the ticket is not valid yet, or for too long".into(),
            Self::TicketReplayed => "the ticket was used before".into(),
            Self::TicketSuperseded { last } => {
                format!("launch {last} of this instance was already seen")
            }
            Self::TicketSignature => "no dispatch key known here signed the ticket".into(),
            Self::TicketNotForThisHost => "the ticket is for another host".into(),
            Self::TicketNotForThisFarm => "the ticket is of another farm".into(),
            Self::DigestMismatch => "what is to run is not what was signed".into(),
            Self::TemplateInvalid { reason } => format!("what is to run can't be read: {reason}"),
            Self::PolicyInvalid { reason } => format!("the host's policy can't be used: {reason}"),
            Self::ContainmentFailed { errno } => {
                format!("its control group could not be made (errno {errno})")
            }
            Self::SlotsWithoutGroups => {
                "accounts of slots (`{slot}` in proxy_account) need control groups, since nothing else finds all that a job \
                 left running"
                    .into()
            }
            Self::BecomingUserFailed { step, errno } => {
                format!(
                    "becoming the user failed at step {} (errno {errno})",
                    step.name()
                )
            }
            Self::ProcessLimit => {
                "the account has as many processes as its limit (RLIMIT_NPROC) allows".into()
            }
            Self::LoginEnvironment { errno } => login_reason(*errno),
            Self::PamAccount { reason } => format!("PAM refuses the account: {reason}"),
            Self::PamFailed { reason } => format!("its PAM session: {reason}"),
            Self::StateUnwritable { errno } => {
                format!("the launcher can't write its state (errno {errno})")
            }
            Self::ServiceAccount => {
                "it is an account of the system or of a service, and jobs never run as those".into()
            }
            Self::AdministratorRefused { group } => {
                format!("it has an administrator's rights (by {group}), and jobs never have those")
            }
            Self::IdentityMismatch => {
                "the logon gave another account than this one, or none that can be looked at".into()
            }
            Self::PasswordMissing => "no password of it is registered for this host".into(),
            Self::PasswordWrong => "its registered password is not the right one".into(),
            Self::PasswordExpired => "its password has expired or must be changed".into(),
            Self::AccountDisabled => "the account is disabled".into(),
            Self::NoBatchRight => {
                "it has no right to log on as a batch job on this host (SeBatchLogonRight)".into()
            }
            Self::LogonRefused { code } => {
                format!("the system refused the logon (error {code})")
            }
            Self::NoFreeAccount => {
                "each account of a slot is in use, or what its last job left is being removed"
                    .into()
            }
            Self::Busy => "too many launches at once".into(),
        }
    }

    /// Returns what can be done about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NameInvalid => "submit with the name of an existing account",
            Self::NoSuchAccount => "create the account on this host, or submit in proxy mode",
            Self::RootRefused
            | Self::ReservedAccount { .. }
            | Self::PrimaryGroupRoot
            | Self::ServiceAccount
            | Self::AdministratorRefused { .. } => "submit as an ordinary user, or in proxy mode",
            Self::NameAmbiguous { .. } => "give each name a uid of its own",
            Self::UidBelowMin { .. } => "use an ordinary account, or lower uid_min in the policy",
            Self::AccountDenied | Self::AccountNotAllowed | Self::GroupDenied { .. } => {
                "ask the host's administrator to change the launcher's policy file"
            }
            Self::SubmitterNotAllowed => "that person can: tessera desktop allow NAME",
            Self::AccountNotForSlots { .. } => {
                "give it the shell /usr/sbin/nologin and the home /nonexistent, or name others in proxy_account"
            }
            Self::AccountLocked | Self::AccountExpired => {
                "unlock or renew the account on this host"
            }
            Self::NologinShell { .. } => "give the account a login shell, or use proxy mode",
            Self::DirectoryUnavailable { .. } => "check the host's name service (sssd, LDAP)",
            Self::ModeNotAllowed { .. } | Self::ProxyMismatch { .. } => {
                "submit in a mode that this host allows, or change modes in its policy file"
            }
            Self::TicketMalformed { .. } | Self::TemplateInvalid { .. } => {
                "use the same release on supervisor and worker"
            }
            Self::TicketExpired { .. } | Self::TicketTimes => {
                "compare the clocks of supervisor and host"
            }
            Self::TicketReplayed | Self::TicketSuperseded { .. } | Self::DigestMismatch => {
                "nothing to do: the supervisor sends a new ticket"
            }
            Self::TicketSignature | Self::TicketNotForThisHost | Self::TicketNotForThisFarm => {
                "join this host to the farm again"
            }
            Self::PolicyInvalid { .. } => "mend the launcher's policy file",
            Self::SlotsWithoutGroups => {
                "mount cgroup v2 on the host, or name one proxy_account without {slot}"
            }
            Self::ContainmentFailed { .. } => "check that cgroup v2 is mounted and delegated",
            Self::BecomingUserFailed { .. } => {
                "check the launcher's capabilities and the account's limits"
            }
            Self::ProcessLimit => {
                "end processes of the account on this host, or raise its limit; it is tried again"
            }
            Self::LoginEnvironment { .. } => {
                "mend what the account's login shell reads (.profile and such); `login_environment = no` in the policy does without"
            }
            Self::PamAccount { .. } => {
                "mend the account, or the account lines of the service in /etc/pam.d that `pam_service` in the policy names"
            }
            Self::PamFailed { .. } => {
                "mend the service in /etc/pam.d (`journalctl -t tessera-launch` has the modules' words); `pam_service =` in the policy does without"
            }
            Self::StateUnwritable { .. } => "make room in the state directory",
            Self::IdentityMismatch => {
                "see in the host's security log as whom the launcher logged on; nothing was started"
            }
            Self::PasswordMissing | Self::PasswordWrong => {
                "register the account's password; the job goes on by itself then"
            }
            Self::PasswordExpired => "change the account's password, then register the new one",
            Self::AccountDisabled => "enable the account, or submit in proxy mode",
            Self::NoBatchRight => {
                "give the account the right \"Log on as a batch job\" on this host (secpol.msc, or by group policy)"
            }
            Self::LogonRefused { .. } => "look the error up with: net helpmsg NUMBER",
            Self::NoFreeAccount => {
                "it is tried again; twice as many such accounts as slots make that rare"
            }
            Self::Busy => "nothing to do: it is tried again",
        }
    }
}

/// Says what went wrong with the login shell.
fn login_reason(errno: i32) -> String {
    let what = match errno {
        ..0 => {
            let status = errno.unsigned_abs();
            return format!(
                "its login shell ended with status {status} instead of saying its environment"
            );
        }
        ETIMEDOUT => "did not say its environment in time",
        EFBIG => "said an environment that is too large",
        EBUSY => "left something that can't be ended",
        EPROTO => "ended without saying its environment",
        _ => {
            return format!(
                "its login shell could not be asked for its environment (errno {errno})"
            );
        }
    };
    format!("its login shell {what}")
}

/// Error numbers of Linux, where alone this happens.
const EBUSY: i32 = 16;
const EFBIG: i32 = 27;
const EPROTO: i32 = 71;
const ETIMEDOUT: i32 = 110;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentence_names_host_launch_and_account() {
        let text = Refusal::NoSuchAccount.sentence("rnd042", "12345.0", "mia");
        assert_eq!(
            text,
            "rnd042 can't start 12345.0 as user mia: no such account on this host"
        );
        assert_eq!(
            Refusal::class_of(Refusal::NoSuchAccount.code()),
            RefusalClass::Identity
        );
        assert_eq!(Refusal::class_of("never heard"), RefusalClass::Passing);
        for refusal in [
            Refusal::ServiceAccount,
            Refusal::IdentityMismatch,
            Refusal::PasswordMissing,
            Refusal::PasswordWrong,
            Refusal::PasswordExpired,
            Refusal::AccountDisabled,
            Refusal::NoBatchRight,
            Refusal::LogonRefused { code: 5 },
        ] {
            let class = Refusal::class_of(refusal.code());
            assert_eq!(class, RefusalClass::Identity, "{refusal:?}");
        }
        assert_eq!(
            Refusal::class_of(Refusal::DirectoryUnavailable { errno: 5 }.code()),
            RefusalClass::Passing
        );
    }
}
