//! What every item of a desktop starts from: of this process' own variables those that programs need, and no others.

use std::path::Path;

/// Variables that are handed on if there are any.
const HANDED_ON: [&str; 34] = [
    "ALLUSERSPROFILE",
    "APPDATA",
    "COMPUTERNAME",
    "ComSpec",
    "CommonProgramFiles",
    "CommonProgramFiles(x86)",
    "CommonProgramW6432",
    "DriverData",
    "HOMEDRIVE",
    "HOMEPATH",
    "HOMESHARE",
    "LOCALAPPDATA",
    "LOGONSERVER",
    "NUMBER_OF_PROCESSORS",
    "OS",
    "PATH",
    "PATHEXT",
    "PROCESSOR_ARCHITECTURE",
    "PROCESSOR_IDENTIFIER",
    "PROCESSOR_LEVEL",
    "PROCESSOR_REVISION",
    "PUBLIC",
    "ProgramData",
    "ProgramFiles",
    "ProgramFiles(x86)",
    "ProgramW6432",
    "SESSIONNAME",
    "SystemDrive",
    "SystemRoot",
    "USERDNSDOMAIN",
    "USERDOMAIN",
    "USERNAME",
    "USERPROFILE",
    "windir",
];

/// Answers the variables, with `more` of this process' own, and a private directory for what is temporary.
pub(super) fn environment(tmp: &Path, farm: &[u8; 16], more: &[String]) -> Vec<(String, String)> {
    let own = HANDED_ON
        .into_iter()
        .chain(more.iter().map(String::as_str))
        .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)));
    let mut all: Vec<(String, String)> = own.collect();
    let tmp = tmp.to_string_lossy().into_owned();
    let farm: String = farm.iter().map(|it| format!("{it:02x}")).collect();
    all.extend([
        ("TEMP".to_owned(), tmp.clone()),
        ("TMP".to_owned(), tmp),
        ("TESSERA_FARM".to_owned(), farm),
    ]);
    all
}

/// Answers where jobs work that name no directory.
pub(super) fn home() -> String {
    std::env::var("USERPROFILE").unwrap_or_else(|_| r"C:\".to_owned())
}
