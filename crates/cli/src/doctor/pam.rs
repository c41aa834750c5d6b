//! The PAM service that the host's policy wants a session of: whether it can be used, and whether it lets an account in.

use super::{Finding, Level};
use std::path::Path;

/// What the packages bring, by family.
const OF_DEBIAN: &str = include_str!("../../../../contrib/pam.d/tessera.debian");
const OF_RPM: &str = include_str!("../../../../contrib/pam.d/tessera.rpm");
/// The kinds of lines that a service needs; PAM takes one that is missing from `other`.
const KINDS: [&str; 3] = ["auth", "account", "session"];
/// How the launcher's line about it begins.
const HEAD: &str = "pam_service: ";

/// The lines of a service for this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Debian,
    Rpm,
    Other,
}

impl Family {
    fn of_host() -> Self {
        let has = |name: &str| Path::new("/etc/pam.d").join(name).exists();
        match (has("common-account"), has("system-auth")) {
            (true, _) => Self::Debian,
            (false, true) => Self::Rpm,
            (false, false) => Self::Other,
        }
    }

    /// Returns a command that writes the service.
    fn write(self, path: &str) -> String {
        let text = if self == Self::Debian {
            OF_DEBIAN
        } else {
            OF_RPM
        };
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let lines = lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        let lines = lines.filter(|line| !line.is_empty()).map(|line| {
            let is_shared = self == Self::Other && line.starts_with("account");
            let line = if is_shared {
                "account required pam_unix.so"
            } else {
                &line
            };
            format!("'{line}'")
        });
        let lines: Vec<String> = lines.collect();
        format!("printf '%s\\n' {} | sudo tee {path}", lines.join(" "))
    }

    fn install(self) -> &'static str {
        match self {
            Self::Debian => "sudo apt install libpam0g libpam-modules",
            Self::Rpm => "sudo dnf install pam",
            Self::Other => "install Linux-PAM (libpam.so.0 with its modules)",
        }
    }
}

/// Returns what the launcher says of the service, if this line does.
pub(super) fn said(line: &str) -> Option<&str> {
    line.strip_prefix(HEAD)
}

/// Judges what the launcher says of the service: its name, `none`, or why it can't be used.
pub(super) fn service(said: &str) -> Vec<Finding> {
    let found = judge_service(said, Family::of_host());
    let path = format!("/etc/pam.d/{said}");
    let text = std::fs::read_to_string(&path).ok();
    let lacks = text.filter(|_| found.level == Level::Good);
    let lacks = lacks.and_then(|text| missing_kind(&text, &path));
    [Some(found), lacks].into_iter().flatten().collect()
}

fn judge_service(said: &str, family: Family) -> Finding {
    if said == "none" {
        return Finding::good(
            "pam",
            "no session is asked for (pam_service = in the policy)",
        );
    }
    let Some((service, why)) = said.split_once(" can't be used: ") else {
        return Finding::good(
            "pam",
            format!("each instance has a session of service {said}"),
        );
    };
    let path = format!("/etc/pam.d/{service}");
    let finding = Finding::bad("pam", format!("service {service} can't be used: {why}"));
    if why.starts_with("there is no ") {
        return finding.mend(family.write(&path));
    }
    if why.starts_with("the library ") {
        return finding.mend(family.install());
    }
    // The launcher names the file that it looked at first.
    let first = why.split([' ', ':']).next();
    let path = first.filter(|it| it.starts_with('/')).unwrap_or(&path);
    if why.contains("belongs to somebody else") {
        return finding.mend(format!(
            "sudo chown root:root {path} && sudo chmod 644 {path}"
        ));
    }
    finding.mend(format!(
        "sudo ls -l {path}; write it anew: {}",
        family.write(path)
    ))
}

/// Looks for a kind of line that a service lacks; what it includes is not followed.
fn missing_kind(text: &str, path: &str) -> Option<Finding> {
    let lines = || {
        text.lines()
            .map(str::trim_start)
            .filter(|line| !line.starts_with('#'))
    };
    if lines().any(|line| line.starts_with("@include")) {
        return None;
    }
    let has = |kind: &str| {
        let mut words = lines().filter_map(|line| line.split_whitespace().next());
        words.any(|word| word.trim_start_matches('-') == kind)
    };
    let kind = KINDS.into_iter().find(|kind| !has(kind))?;
    let said = format!(
        "{path} has no line of the kind `{kind}`: PAM takes those of `other`, which deny as a rule"
    );
    let line = if kind == "auth" {
        "pam_permit.so"
    } else {
        "pam_unix.so"
    };
    let mend = format!("echo '{kind} required {line}' | sudo tee -a {path}");
    Some(Finding::new(Level::Warning, "pam", said).mend(mend))
}

/// Says how to mend what PAM has against an account, by the launcher's verdict (`CODE: words`), if it is about that.
pub(super) fn mend(verdict: &str, account: &str, service: Option<&str>) -> Option<String> {
    mend_in(
        verdict,
        account,
        service.unwrap_or("SERVICE"),
        Family::of_host(),
    )
}

fn mend_in(verdict: &str, account: &str, service: &str, family: Family) -> Option<String> {
    let path = format!("/etc/pam.d/{service}");
    let has = |words: &str| verdict.contains(words);
    if verdict.starts_with("pam_account_refused: ") {
        return Some(if has("account has expired") {
            format!("sudo chage -E -1 {account}")
        } else if has("new one required") || has("password has expired") {
            format!("sudo passwd {account}, or: sudo chage -d \"$(date +%F)\" {account}")
        } else {
            format!(
                "what the account lines of {path} ask is against {account}: sudo chage -l {account}; sudoedit {path}"
            )
        });
    }
    verdict.starts_with("pam_failed: ").then(|| {
        if has("there is no /etc/pam.d/") {
            family.write(&path)
        } else if has("the library ") {
            family.install().to_owned()
        } else if has("did not answer") {
            format!("a module of {path} hangs; look at what it asks: systemctl status sssd nslcd; journalctl -t tessera-launch")
        } else {
            format!("sudoedit {path}: the modules' words are in journalctl -t tessera-launch; a new file: {}", family.write(&path))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &str = "printf '%s\\n' 'auth required pam_permit.so' '@include common-account' 'session required pam_limits.so' \
        'session optional pam_loginuid.so' 'session optional pam_env.so' 'session required pam_unix.so' | sudo tee /etc/pam.d/show";

    fn mend_of(said: &str, family: Family) -> Option<String> {
        let found = judge_service(said, family);
        assert_eq!(
            found.mend.is_none(),
            found.level == Level::Good,
            "{found:?}"
        );
        found.mend
    }

    #[test]
    fn a_service_that_is_missing_is_written_by_the_mend() {
        let said = "show can't be used: there is no /etc/pam.d/show on this host";
        assert_eq!(mend_of(said, Family::Debian).as_deref(), Some(DEBIAN));
        for (family, line) in [
            (Family::Rpm, "'account include system-auth'"),
            (Family::Other, "'account required pam_unix.so'"),
        ] {
            let mend = mend_of(said, family).expect("one");
            assert!(
                mend.contains(line) && mend.ends_with("| sudo tee /etc/pam.d/show"),
                "{mend}"
            );
        }
    }

    #[test]
    fn each_way_a_service_fails_has_its_command() {
        assert_eq!(mend_of("none", Family::Debian), None);
        assert_eq!(mend_of("show", Family::Debian), None);
        for (why, mend) in [
            (
                "/usr/lib/pam.d/show belongs to somebody else than root, or can be written by others",
                "sudo chown root:root /usr/lib/pam.d/show && sudo chmod 644 /usr/lib/pam.d/show",
            ),
            (
                "the library libpam.so.0 can't be loaded on this host",
                "sudo apt install libpam0g libpam-modules",
            ),
            (
                "/etc/pam.d/show: Permission denied",
                "sudo ls -l /etc/pam.d/show; write it anew: ",
            ),
        ] {
            let said = format!("show can't be used: {why}");
            let found = mend_of(&said, Family::Debian).expect("one");
            assert!(found.starts_with(mend), "{found}");
        }
    }

    #[test]
    fn a_kind_that_is_missing_is_told() {
        let lacks = |text: &str| missing_kind(text, "/p").and_then(|it| it.mend);
        assert_eq!(lacks(OF_DEBIAN), None);
        assert_eq!(lacks(OF_RPM), None);
        let text = "# session x\n-auth optional pam_x.so\naccount required pam_unix.so\n";
        let mend = lacks(text).expect("no session");
        assert_eq!(mend, "echo 'session required pam_unix.so' | sudo tee -a /p");
        let mend = lacks("account a\nsession b\n").expect("no auth");
        assert!(mend.contains("'auth required pam_permit.so'"), "{mend}");
    }

    #[test]
    fn what_pam_has_against_an_account_has_its_command() {
        let mend = |verdict: &str| mend_in(verdict, "mia", "show", Family::Debian);
        for (verdict, command) in [
            (
                "pam_account_refused: PAM refuses the account: User account has expired; x",
                "sudo chage -E -1 mia",
            ),
            (
                "pam_account_refused: PAM refuses the account: Authentication token is no longer valid; new one required",
                "sudo passwd mia, or: sudo chage -d",
            ),
            (
                "pam_account_refused: PAM refuses the account: Permission denied",
                "what the account lines of /etc/pam.d/show",
            ),
            (
                "pam_failed: its PAM session: there is no /etc/pam.d/show on this host",
                DEBIAN,
            ),
            (
                "pam_failed: its PAM session: the library libpam.so.0 can't",
                "sudo apt install",
            ),
            (
                "pam_failed: its PAM session: service show did not answer within 10 seconds",
                "a module of /etc/pam.d/show hangs",
            ),
            (
                "pam_failed: its PAM session: asking about the account: Module is unknown",
                "sudoedit /etc/pam.d/show",
            ),
        ] {
            let found = mend(verdict).expect(verdict);
            assert!(found.starts_with(command), "{found}");
        }
        assert_eq!(mend("account_locked: the account is locked"), None);
    }
}
