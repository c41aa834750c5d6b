//! Looking an account up, in a process of its own: the user directory may be slow, or hostile.

#[cfg(any(target_os = "linux", target_os = "macos"))]
use std::os::unix::fs::MetadataExt as _;

use tessera_rules::account::{Found, encode};
use tessera_ticket::AccountName;

/// Answers what the user directory says of an account, as [`tessera_rules::account::decode`] reads it.
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub fn answer(name: &AccountName) -> Vec<u8> {
    encode(find(name))
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
fn find(name: &AccountName) -> Result<Option<Found>, i32> {
    let Ok(c_name) = std::ffi::CString::new(name.as_str()) else {
        return Ok(None);
    };
    let Some(entry) = tessera_macos::by_name(&c_name)? else {
        return Ok(None);
    };
    let by_uid = tessera_macos::by_uid(entry.uid)?;
    let home = std::fs::metadata(&entry.home);
    Ok(Some(Found {
        owns_home: home.is_ok_and(|it| it.uid() == entry.uid),
        name: entry.name,
        uid: entry.uid,
        gid: entry.gid,
        home: entry.home,
        shell: entry.shell,
        name_of_uid: by_uid.map(|it| it.name).unwrap_or_default(),
        groups: tessera_macos::groups_of(&c_name, entry.gid)?,
        // What locks an account on macOS is its password's business, which nobody here asks for.
        is_locked: false,
        expires: None,
    }))
}

#[cfg(all(test, any(target_os = "linux", target_os = "macos")))]
mod tests {
    use super::*;
    use tessera_rules::account::decode;
    use tessera_ticket::Refusal;

    #[test]
    fn accounts_are_found_and_strangers_are_not() {
        let name = |it: &str| it.parse::<AccountName>().expect("a name");
        let root = decode(&answer(&name("root"))).expect("is there");
        assert_eq!(
            (root.uid, root.gid, root.name_of_uid.as_str()),
            (0, 0, "root")
        );
        assert!(root.groups.iter().any(|(gid, _)| *gid == 0));
        let none = decode(&answer(&name("no-such-account")));
        assert_eq!(none, Err(Refusal::NoSuchAccount));
    }
}
