//! Bounds of what comes from outside; each error names the one it met.

/// Frames of one agenda.
pub const FRAMES_MAX: u64 = 10_000_000;
/// Largest frame number, positive or negative.
pub const FRAME_NUMBER_MAX: i64 = 1_000_000_000;
/// Runs (`1-10x2` is one) of one agenda.
pub const RUNS_MAX: usize = 10_000;
/// Instances of one job.
pub const INSTANCES_MAX: u32 = 10_000;
/// Arguments of a command.
pub const ARGUMENTS_MAX: usize = 4_096;
/// Bytes of a command, all arguments together.
pub const COMMAND_BYTES_MAX: usize = 128 * 1024;
/// Environment variables of a job.
pub const VARIABLES_MAX: usize = 4_096;
/// Bytes of a job's environment, names and values together.
pub const ENVIRONMENT_BYTES_MAX: usize = 256 * 1024;
/// Bytes of a job's name.
pub const NAME_BYTES_MAX: usize = 255;
/// Bytes of a job's notes.
pub const NOTES_BYTES_MAX: usize = 16 * 1024;
/// Host names in `hosts` or `omithosts`.
pub const HOST_NAMES_MAX: usize = 1_000;
/// Groups that a host is in, or in `groups` or `omitgroups` of a job.
pub const GROUPS_MAX: usize = 100;
/// The best priority and the worst (Qube!'s scale: 1 is served first).
pub const PRIORITY_RANGE: std::ops::RangeInclusive<u32> = 1..=9_999;
/// Retries of an item or instance.
pub const RETRIES_MAX: u32 = 1_000;
/// Longest time that a limit or delay may name, in seconds (a year).
pub const SECONDS_MAX: u64 = 366 * 24 * 3600;
/// Things that one job may wait for.
pub const WAITFOR_MAX: usize = 1_000;
/// Bytes of a dependency as it is written.
pub const AFTER_BYTES_MAX: usize = 64 * 1024;
/// Parentheses of a dependency that may lie in each other.
pub const AFTER_DEPTH_MAX: usize = 32;
/// Pairs of jobs of which one waits for the other, on the whole farm.
pub const AFTER_EDGES_MAX: usize = 1_000_000;
/// Pieces of a range that reach into each other, of a job that waits frame by frame or is waited for so.
pub const AFTER_RUNS_MAX: usize = 256;
/// Items that wait one by one for those of other jobs and have not ended, on the whole farm; about 4 bytes of memory each.
pub const AFTER_ITEMS_MAX: u64 = 50_000_000;
/// Frames and items that are looked at to judge one dependency as a whole: those that it names, those of the jobs waited for, its own for
/// each thing that it names. Twice [`FRAMES_MAX`] and some: two jobs of the largest size, frame by frame.
pub const AFTER_WORK_MAX: u64 = 30_000_000;
/// Slots that one host may offer.
pub const SLOTS_MAX: u32 = 4_096;
/// Bytes of one property of a host.
pub const PROPERTY_BYTES_MAX: usize = 4 * 1024;
/// Values that a supervisor may serve to one worker.
pub const SETTINGS_MAX: usize = 256;
/// Bytes of them, keys and values together.
pub const SETTINGS_BYTES_MAX: usize = 256 * 1024;
/// Default time between the polite signal and the kill, in seconds (Qube!'s default too).
pub const GRACE_SECONDS_DEFAULT: u64 = 30;
/// Default limit of what an attempt may print per stream, in bytes.
pub const OUTPUT_BYTES_DEFAULT: u64 = 256 * 1024 * 1024;
/// Bytes of an idempotency key.
pub const KEY_BYTES_MAX: usize = 128;
/// Bytes of a progress pattern.
pub const PATTERN_BYTES_MAX: usize = 1_024;
/// Resources that one job may reserve.
pub const RESERVATIONS_MAX: usize = 32;
/// Different resources of a farm's hosts that its jobs may reserve together.
pub const RESOURCES_MAX: usize = 256;
/// Different things that the requirements of a farm's jobs may read of hosts and that make hosts alike or not; what is read beyond
/// that is asked host by host.
pub const OPERANDS_MAX: usize = 256;
/// Resources of the farm itself (`global.NAME`, `license.NAME` and kin) that its configuration and its administrators may set together.
pub const GLOBALS_MAX: usize = 256;
/// The greatest amount of one of them.
pub const GLOBAL_AMOUNT_MAX: u64 = 1 << 50;
/// Bytes of a resource's name, `host.` included.
pub const RESOURCE_NAME_BYTES_MAX: usize = 64;
/// Default number of tries with more memory, of an item that ran out of it.
pub const RETRY_OOM_DEFAULT: u32 = 3;
/// Largest number of them.
pub const RETRY_OOM_MAX: u32 = 15;
/// Longest mail address, in bytes.
pub const MAIL_ADDRESS_BYTES_MAX: usize = 254;
/// Webhooks that one job may ask for.
pub const WEBHOOKS_MAX: usize = 8;
/// Longest name of a channel over which people are told.
pub const CHANNEL_NAME_BYTES_MAX: usize = 32;
