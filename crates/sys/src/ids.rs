//! Users, groups and capabilities of this process. One thread, so the calls hold for the whole process.

use super::{Errno, Sys, check};

pub use tessera_ticket::Identity;

/// The number of `CAP_KILL`.
pub const CAP_KILL: u32 = 5;
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;
/// Capability numbers are tried up to here when the bounding set is emptied.
const CAP_LIMIT: libc::c_ulong = 64;
const KEEP: u32 = u32::MAX;

#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// The capability sets of this process as bit masks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// What counts now.
    pub effective: u64,
    /// What can be made to count.
    pub permitted: u64,
    /// What programs that are executed may get.
    pub inheritable: u64,
}

/// Sets the supplementary groups.
pub fn set_groups(groups: &[u32]) -> Sys<()> {
    // SAFETY: the pointer and the length are those of a slice that is borrowed for the call.
    check(unsafe { libc::setgroups(groups.len(), groups.as_ptr()) }).map(drop)
}

/// Sets all three gids.
pub fn set_gid(gid: u32) -> Sys<()> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::setresgid(gid, gid, gid) }).map(drop)
}

/// Sets all three uids.
pub fn set_uid(uid: u32) -> Sys<()> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::setresuid(uid, uid, uid) }).map(drop)
}

/// Returns real, effective and saved uid.
pub fn uids() -> Sys<[u32; 3]> {
    let (mut r, mut e, mut s) = (KEEP, KEEP, KEEP);
    // SAFETY: the three places live for the call.
    check(unsafe { libc::getresuid(&raw mut r, &raw mut e, &raw mut s) })?;
    Ok([r, e, s])
}

/// Returns real, effective and saved gid.
pub fn gids() -> Sys<[u32; 3]> {
    let (mut r, mut e, mut s) = (KEEP, KEEP, KEEP);
    // SAFETY: the three places live for the call.
    check(unsafe { libc::getresgid(&raw mut r, &raw mut e, &raw mut s) })?;
    Ok([r, e, s])
}

/// Reads the group list into `room` and returns how many there are; does not allocate.
pub fn groups_into(room: &mut [u32]) -> Sys<usize> {
    let len = libc::c_int::try_from(room.len()).unwrap_or(libc::c_int::MAX);
    // SAFETY: the pointer and the length are those of a slice that is borrowed mutably for the call.
    let found = check(unsafe { libc::getgroups(len, room.as_mut_ptr()) })?;
    usize::try_from(found).map_err(|_| Errno(libc::EIO))
}

/// Says whether both ways back to root are refused.
pub fn has_no_way_back() -> bool {
    let eperm = Err(Errno(libc::EPERM));
    // SAFETY: takes numbers only.
    let uid = check(unsafe { libc::setresuid(KEEP, 0, KEEP) });
    // SAFETY: takes numbers only.
    let gid = check(unsafe { libc::setresgid(KEEP, 0, KEEP) });
    uid == eperm && gid == eperm
}

/// Sets permitted and effective capabilities to `mask` and the inheritable ones to none.
pub fn set_caps(mask: u64) -> Sys<()> {
    let header = CapHeader {
        version: CAPABILITY_VERSION_3,
        pid: 0,
    };
    let half = |bits: u64| {
        let bits = u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
        CapData {
            effective: bits,
            permitted: bits,
            inheritable: 0,
        }
    };
    let data = [half(mask), half(mask >> 32)];
    // SAFETY: header and data have the kernel's layout for version 3, which takes two data records.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) };
    if result < 0 {
        Err(Errno::last())
    } else {
        Ok(())
    }
}

/// Returns the capabilities of this process.
pub fn caps() -> Sys<Caps> {
    let mut header = CapHeader {
        version: CAPABILITY_VERSION_3,
        pid: 0,
    };
    let mut data = [CapData::default(); 2];
    // SAFETY: header and data have the kernel's layout for version 3, which fills two data records.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) };
    if result < 0 {
        return Err(Errno::last());
    }
    let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    Ok(Caps {
        effective: join(data[0].effective, data[1].effective),
        permitted: join(data[0].permitted, data[1].permitted),
        inheritable: join(data[0].inheritable, data[1].inheritable),
    })
}

/// Empties the ambient set.
pub fn clear_ambient() -> Sys<()> {
    prctl(
        libc::PR_CAP_AMBIENT,
        libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong,
    )
    .map(drop)
}

/// Empties the bounding set, so that no program of anybody gives capabilities back.
pub fn drop_bounding() -> Sys<()> {
    for cap in 0..CAP_LIMIT {
        match prctl(libc::PR_CAPBSET_DROP, cap) {
            Ok(_) => {}
            Err(Errno(libc::EINVAL)) => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Keeps permitted capabilities over the next change of uid, or no longer.
pub fn keep_caps(on: bool) -> Sys<()> {
    prctl(libc::PR_SET_KEEPCAPS, libc::c_ulong::from(on)).map(drop)
}

/// Gives up what set-user-id programs could give, for this process and its children.
pub fn no_new_privileges() -> Sys<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1).map(drop)
}

/// Asks for a signal when the parent dies; any change of uid clears this.
pub fn death_signal(signal: libc::c_int) -> Sys<()> {
    prctl(
        libc::PR_SET_PDEATHSIG,
        libc::c_ulong::try_from(signal).unwrap_or(0),
    )
    .map(drop)
}

/// Becomes the parent of orphans among the descendants.
pub fn become_subreaper() -> Sys<()> {
    prctl(libc::PR_SET_CHILD_SUBREAPER, 1).map(drop)
}

fn prctl(what: libc::c_int, value: libc::c_ulong) -> Sys<libc::c_int> {
    // SAFETY: the options used here take numbers only.
    check(unsafe {
        libc::prctl(
            what,
            value,
            0 as libc::c_ulong,
            0 as libc::c_ulong,
            0 as libc::c_ulong,
        )
    })
}

/// Starts an empty session keyring, so that the daemon's keys are out of reach.
pub fn new_session_keyring() -> Sys<()> {
    const JOIN_SESSION_KEYRING: libc::c_long = 1;
    let name: *const libc::c_char = std::ptr::null();
    // SAFETY: a null name asks for an anonymous keyring.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, name) };
    // A kernel or container without keyrings has none to leave behind.
    match if result < 0 {
        Err(Errno::last())
    } else {
        Ok(())
    } {
        Err(Errno(libc::ENOSYS | libc::EPERM)) => Ok(()),
        other => other,
    }
}

/// Empties the keyrings that the kernel keeps for this user from one of its processes to the next: its own, that of its
/// sessions, and the one that outlives them.
pub fn clear_own_keyrings() -> Sys<()> {
    const CLEAR: libc::c_long = 7;
    const GET_PERSISTENT: libc::c_long = 22;
    const PROCESS: libc::c_long = -2;
    const USER: libc::c_long = -4;
    const USER_SESSION: libc::c_long = -5;
    const OWN: libc::c_long = -1;
    let call = |what: libc::c_long, first: libc::c_long, second: libc::c_long| {
        // SAFETY: these operations take numbers only.
        let result = unsafe { libc::syscall(libc::SYS_keyctl, what, first, second) };
        if result < 0 {
            Err(Errno::last())
        } else {
            Ok(result)
        }
    };
    // The user's own one is linked from its sessions', so the order does not matter.
    for ring in [USER, USER_SESSION] {
        match call(CLEAR, ring, 0) {
            // A kernel without keyrings, or a container that may not use them: nor could the job.
            Err(Errno(libc::ENOSYS | libc::EPERM)) => return Ok(()),
            Ok(_) | Err(Errno(libc::ENOKEY)) => {}
            Err(errno) => return Err(errno),
        }
    }
    match call(GET_PERSISTENT, OWN, PROCESS) {
        Ok(ring) => call(CLEAR, ring, 0).map(drop),
        // Built without them.
        Err(Errno(libc::EOPNOTSUPP)) => Ok(()),
        Err(errno) => Err(errno),
    }
}
