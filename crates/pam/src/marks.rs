//! What of a process a session may change without a way to hand it over: then the instance would not be what the session says,
//! or not where it is kept, so such a session is refused.

use std::ffi::CStr;

use tessera_sys::file;

/// The most bytes of a file of `/proc` that is compared.
const BYTES_MAX: usize = 64 * 1024;
/// The kernel's word, and what says that it changed.
const MARKS: [(&CStr, &str); 2] = [
    (
        c"/proc/self/cgroup",
        "moved the process to another control group (pam_systemd does): what runs there is not contained by the farm",
    ),
    (
        c"/proc/self/attr/exec",
        "set a security context for the next program (pam_selinux does), which is not handed over",
    ),
];
const NAMESPACE: &str = "/proc/self/ns/mnt";
const NAMESPACE_WORDS: &str =
    "went to another mount namespace (pam_namespace does), which is not handed over";

/// The state of this process before modules ran.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    files: [Option<Vec<u8>>; 2],
    namespace: Option<std::path::PathBuf>,
}

impl Marks {
    /// Looks.
    pub(crate) fn now() -> Self {
        Self {
            files: MARKS.map(|(path, _)| file::read_path(path, BYTES_MAX).ok()),
            namespace: std::fs::read_link(NAMESPACE).ok(),
        }
    }

    /// Says in words what is another thing now, if something is.
    pub(crate) fn changed_to(&self, now: &Self) -> Option<&'static str> {
        let mut files = MARKS.iter().zip(self.files.iter().zip(&now.files));
        let changed = files.find(|(_, (before, now))| before != now);
        let of_file = changed.map(|((_, words), _)| *words);
        of_file.or((self.namespace != now.namespace).then_some(NAMESPACE_WORDS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_named() {
        let before = Marks::now();
        assert_eq!(before.changed_to(&Marks::now()), None);
        let mut moved = Marks::now();
        moved.files[0] = Some(b"0::/user.slice/session-1.scope\n".to_vec());
        let said = before.changed_to(&moved).expect("another group");
        assert!(said.contains("pam_systemd"), "{said}");
        let mut elsewhere = Marks::now();
        elsewhere.namespace = Some("mnt:[1]".into());
        let said = before.changed_to(&elsewhere).expect("another namespace");
        assert!(said.contains("pam_namespace"), "{said}");
    }
}
