//! What every item of a desktop starts from: the person's own name and home, and what of this process' variables they want
//! handed on.

use std::path::Path;

/// Variables that are handed on if there are any: what it takes to speak the person's language.
const HANDED_ON: [&str; 3] = ["LANG", "TZ", "SHELL"];
/// Where programs are looked for.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin:/opt/homebrew/bin";

/// Answers the variables, with `more` of this process' own, and a private directory for what is temporary.
pub(super) fn environment(
    user: &str,
    tmp: &Path,
    farm: &[u8; 16],
    more: &[String],
) -> Vec<(String, String)> {
    let own = HANDED_ON
        .into_iter()
        .chain(more.iter().map(String::as_str))
        .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)));
    let tmp = tmp.to_string_lossy().into_owned();
    let farm: String = farm.iter().map(|it| format!("{it:02x}")).collect();
    let mut all = vec![
        ("HOME".to_owned(), home()),
        ("USER".to_owned(), user.to_owned()),
        ("LOGNAME".to_owned(), user.to_owned()),
        ("PATH".to_owned(), PATH.to_owned()),
        ("TMPDIR".to_owned(), tmp.clone()),
        ("TMP".to_owned(), tmp.clone()),
        ("TEMP".to_owned(), tmp),
        ("TESSERA_FARM".to_owned(), farm),
    ];
    all.extend(own);
    all
}

/// Answers where jobs work that name no directory.
pub(super) fn home() -> String {
    std::env::var("HOME").unwrap_or_else(|_| "/".to_owned())
}
