//! macOS.

use std::time::Duration;

use super::Machine;

pub(crate) use tessera_macos::{awake, boot_id};

/// Bytes of a MiB.
const MIB: u64 = 1 << 20;

/// Answers the number of an account, if there is one.
pub(crate) fn uid_of(account: &str) -> Option<u32> {
    let found = nix::unistd::User::from_name(account).ok().flatten();
    found.map(|it| it.uid.as_raw())
}

/// Nothing is taken over here, so nothing has an age.
pub(crate) fn age_of(_pid: u32) -> Duration {
    Duration::ZERO
}

/// Looks at the machine.
pub(crate) fn machine() -> Machine {
    let found = tessera_macos::machine();
    Machine {
        kernel_version: found.version,
        processor_make: String::new(),
        processor_model: found.processor,
        processor_speed: 0,
        memory: found.memory / MIB,
        swap: found.swap / MIB,
    }
}
