//! The machine.
#![expect(unsafe_code, reason = "calls of the system")]

use std::ffi::{CStr, CString};
use std::time::Duration;

use super::check;
use crate::Machine;

/// The most bytes of a text that the system says.
const TEXT_MAX: usize = 1_024;

/// Looks at the machine.
#[must_use]
pub fn machine() -> Machine {
    Machine {
        version: text("kern.osproductversion"),
        processor: text("machdep.cpu.brand_string"),
        memory: memory(),
        swap: swap(),
    }
}

/// Answers what no two starts of the host have in common.
#[must_use]
pub fn boot_id() -> String {
    text("kern.bootsessionuuid")
}

/// Answers the time since the host was started, sleep not included.
#[must_use]
pub fn awake() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the structure lives through the call.
    let answer = unsafe { libc::clock_gettime(libc::CLOCK_UPTIME_RAW, &raw mut time) };
    let parts = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    match (answer, parts) {
        (0, (Ok(seconds), Ok(nanos))) => Duration::new(seconds, nanos),
        _ => Duration::ZERO,
    }
}

fn text(name: &str) -> String {
    let mut bytes = [0_u8; TEXT_MAX];
    let Some(len) = ask(name, bytes.as_mut_ptr().cast(), bytes.len()) else {
        return String::new();
    };
    let said = CStr::from_bytes_until_nul(bytes.get(..len).unwrap_or_default());
    said.map(|it| it.to_string_lossy().trim().to_owned())
        .unwrap_or_default()
}

fn memory() -> u64 {
    let mut bytes = 0_u64;
    let len = ask("hw.memsize", (&raw mut bytes).cast(), size_of::<u64>());
    if len == Some(size_of::<u64>()) {
        bytes
    } else {
        0
    }
}

fn swap() -> u64 {
    // SAFETY: the structure is numbers only, for which zero is a value.
    let mut found: libc::xsw_usage = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::xsw_usage>();
    let len = ask("vm.swapusage", (&raw mut found).cast(), size);
    if len == Some(size) {
        found.xsu_total
    } else {
        0
    }
}

/// Asks the system by name; answers how many bytes it wrote.
fn ask(name: &str, into: *mut libc::c_void, room: usize) -> Option<usize> {
    let name = CString::new(name).ok()?;
    let mut len = room;
    // SAFETY: every caller hands a buffer of `room` bytes that lives through the call, and any bytes are one of its values.
    let answer =
        unsafe { libc::sysctlbyname(name.as_ptr(), into, &raw mut len, std::ptr::null_mut(), 0) };
    check(answer).ok().map(|_| len.min(room))
}
