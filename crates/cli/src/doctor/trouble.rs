//! What keeps a launcher from starting, by its own sentence: the command that mends it.

use std::path::Path;

/// Returns the mend of what `tessera-launch check` says; files of its own are named there by their last part.
pub(super) fn mend(said: &str, state: &Path) -> String {
    let said = said.strip_prefix("tessera-launch: ").unwrap_or(said);
    let own = state.join("launcher");
    let (name, what) = said.split_once(": ").unwrap_or((said, ""));
    let path = if name.starts_with('/') {
        name.to_owned()
    } else {
        own.join(name).display().to_string()
    };
    if let Some(rest) = said.strip_prefix("private directories (tmp_dir): ") {
        return private(rest, &own);
    }
    if let Some(account) = name.strip_prefix("account ") {
        return format!(
            "sudo useradd --system --no-create-home --shell /usr/sbin/nologin {account}, or name another: sudoedit {}",
            own.join("policy").display()
        );
    }
    if what.starts_with("is owned by uid ") {
        return format!("sudo chown root:root {path}");
    }
    if what.starts_with("can be written by others") {
        return format!("sudo chmod go-w {path}");
    }
    match name {
        "policy" if what.starts_with("is not there") => {
            "sudo tessera worker install --mode service writes one".to_owned()
        }
        "policy" => format!("sudoedit {path}"),
        "farm_id" | "host_id" | "dispatch.pub" => {
            "sudo tessera join STRING, with a string of: tessera host add".to_owned()
        }
        _ if what.contains("No such file") => {
            "sudo tessera worker install --mode service, then sudo tessera join STRING".to_owned()
        }
        _ => "mend what it names; nothing runs here until then".to_owned(),
    }
}

fn private(rest: &str, own: &Path) -> String {
    let (path, what) = rest.split_once(": ").unwrap_or((rest, ""));
    let path = path.trim();
    if what.starts_with("users can't pass") {
        return format!("sudo chmod o+x {path}");
    }
    if what.starts_with("is owned by uid ") {
        return format!("sudo chown root:root {path}");
    }
    if what.starts_with("can be written by others") {
        return format!("sudo chmod go-w {path}");
    }
    format!(
        "sudo install -d -o root -g root -m 711 {path}, or another tmp_dir: sudoedit {}",
        own.join("policy").display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trouble_has_a_command() {
        let state = Path::new("/s");
        for (said, command) in [
            (
                "tessera-launch: /srv: is owned by uid 5, not by root",
                "sudo chown root:root /srv",
            ),
            (
                "policy: can be written by others than root (mode 0664)",
                "sudo chmod go-w /s/launcher/policy",
            ),
            (
                "policy: line 3: `what` is no key",
                "sudoedit /s/launcher/policy",
            ),
            (
                "policy: worker and shepherd need accounts of their own, not root",
                "sudoedit /s/launcher/policy",
            ),
            (
                "policy: is not there; `tessera-launch supervise` writes one",
                "sudo tessera worker install --mode service writes one",
            ),
            (
                "farm_id: is not there; join this host to a farm first",
                "sudo tessera join STRING",
            ),
            (
                "dispatch.pub: holds no list of keys, each a line of 64 hexadecimal digits",
                "sudo tessera join STRING",
            ),
            (
                "account tessera: no_such_account",
                "sudo useradd --system --no-create-home --shell /usr/sbin/nologin tessera",
            ),
            (
                "private directories (tmp_dir): /s/tmp: users can't pass (mode 0700); `chmod o+x` it",
                "sudo chmod o+x /s/tmp",
            ),
            (
                "private directories (tmp_dir): /x: is owned by uid 5, not by root",
                "sudo chown root:root /x",
            ),
            (
                "private directories (tmp_dir): /x/y: No such file or directory",
                "sudo install -d -o root -g root -m 711 /x/y",
            ),
            (
                "/s/launcher: No such file or directory (os error 2)",
                "sudo tessera worker install",
            ),
        ] {
            let found = mend(said, state);
            assert!(found.starts_with(command), "{said}: {found}");
        }
        assert!(mend("anything else", state).starts_with("mend what it names"));
    }
}
