//! The steps between "run this" and the program running, as they are named in failures.

macro_rules! steps {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// A step of becoming the user or of starting an item; travels upwards with an errno when it fails.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Step { $($(#[$doc])* $name = $number,)* }

        impl Step {
            /// Every step, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the stable name, for messages and records.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Returns the step of a number.
            pub fn from_u8(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }
        }
    };
}

steps! {
    /// Making the pipes, sockets or the process itself.
    Prepare = 1, "prepare";
    /// Entering the control group.
    Cgroup = 2, "cgroup";
    /// Setting default signal dispositions and an empty mask.
    Signals = 3, "signals";
    /// Starting a new session without a terminal.
    Session = 4, "setsid";
    /// Putting descriptors 0, 1 and 2 in place.
    Descriptors = 5, "descriptors";
    /// Setting resource limits.
    Limits = 6, "limits";
    /// Joining a new session keyring.
    Keyring = 7, "keyring";
    /// Setting the group list.
    SetGroups = 8, "setgroups";
    /// Setting the group ids.
    SetGid = 9, "setresgid";
    /// Setting the user ids.
    SetUid = 10, "setresuid";
    /// Reading back user ids, group ids, groups and capabilities.
    ReadBack = 11, "read_back";
    /// Proving that there is no way back to root.
    NoWayBack = 12, "no_way_back";
    /// Giving up new privileges.
    NoNewPrivileges = 13, "no_new_privs";
    /// Setting the parent-death signal.
    DeathSignal = 14, "death_signal";
    /// Entering the working directory.
    Directory = 15, "chdir";
    /// Closing or marking other descriptors.
    CloseOthers = 16, "close_range";
    /// Finding and executing the program.
    Exec = 17, "exec";
    /// Building the command from the template.
    Command = 18, "command";
    /// The item is not among those that the ticket allows.
    NotAllowed = 19, "not_allowed";
    /// The process that starts items is gone.
    StarterLost = 20, "starter_lost";
    /// The item is already there, or there are too many at once.
    Busy = 21, "busy";
    /// The item was ended before its program began.
    Cancelled = 22, "cancelled";
    /// Setting capabilities of the shepherd.
    Capabilities = 23, "capabilities";
    /// The account has as many processes as it may have.
    ProcessLimit = 24, "process_limit";
    /// Asking the user's login shell for its environment; an errno below 0 is the shell's own status.
    Login = 25, "login_environment";
    /// Opening the PAM session.
    Pam = 26, "pam";
    /// Asking PAM whether the account may be used.
    PamAccount = 27, "pam_account";
    /// Logging the account on (Windows, as all that follow).
    Logon = 40, "logon";
    /// Taking privileges out of the token.
    Privileges = 41, "privileges";
    /// Loading the account's profile.
    Profile = 42, "profile";
    /// Having the account's variables.
    Environment = 43, "environment";
    /// Making a window station and a desktop.
    WindowStation = 44, "window_station";
    /// Mapping drives.
    Drives = 45, "drives";
    /// Making the job object.
    JobObject = 46, "job_object";
    /// Making the private directory.
    PrivateDirectory = 47, "private_directory";
}
