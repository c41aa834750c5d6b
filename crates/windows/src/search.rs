//! Finding a program by its name: along a given `PATH`, never in the working directory, and never a batch file.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// Endings that a name may leave out, in this order.
const ENDINGS: [&str; 2] = ["exe", "com"];
/// Endings of what `cmd.exe` runs. Its quoting is another than programs': an argument could become a command.
const BATCH: [&str; 2] = ["bat", "cmd"];

/// Why a program can't be run by its name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SearchError {
    /// It is not there.
    #[error("{name}: there is no such program")]
    NotFound {
        /// The name.
        name: String,
    },
    /// It is a batch file.
    #[error(
        "{name} is a batch file, whose arguments cmd.exe would read as commands; run cmd.exe /c with a command line of your own"
    )]
    Batch {
        /// The name.
        name: String,
    },
}

/// Answers the file of a program. `directory` is what a name with a folder in it is relative to; others are looked for in the
/// absolute folders of `path`.
///
/// # Errors
/// When there is none, or none that is run.
pub fn find(
    name: &str,
    directory: &Path,
    path: &str,
    is_file: impl Fn(&Path) -> bool,
) -> Result<PathBuf, SearchError> {
    let not_found = || SearchError::NotFound {
        name: name.to_owned(),
    };
    if name.is_empty() || name.contains('\0') {
        return Err(not_found());
    }
    let found = if name.contains(['/', '\\', ':']) {
        file_of(&directory.join(name), &is_file)
    } else {
        let folders = path.split(';').map(|it| it.trim_matches('"'));
        folders
            .filter(|it| is_absolute(it))
            .find_map(|it| file_of(&PathBuf::from(format!("{it}\\{name}")), &is_file))
    };
    let found = found.ok_or_else(not_found)?;
    if has_ending(&found, &BATCH) {
        let name = name.to_owned();
        return Err(SearchError::Batch { name });
    }
    Ok(found)
}

/// Says whether a folder is named with its drive or its server: another depends on where one is.
fn is_absolute(folder: &str) -> bool {
    let bytes = folder.as_bytes();
    let is_slash = |at: usize| bytes.get(at).is_some_and(|it| b"\\/".contains(it));
    let has_drive = bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && bytes.get(1) == Some(&b':')
        && is_slash(2);
    has_drive || is_slash(0) && is_slash(1)
}

fn file_of(path: &Path, is_file: &impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let known = [ENDINGS, BATCH].concat();
    if has_ending(path, &known) {
        return is_file(path).then(|| path.to_owned());
    }
    let all = known.iter().map(|ending| {
        let mut name = path.as_os_str().to_owned();
        name.push(".");
        name.push(ending);
        PathBuf::from(name)
    });
    let mut all = all.chain([path.to_owned()]);
    all.find(|it| is_file(it))
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    let text = path.to_string_lossy();
    // Windows drops dots and spaces at the end of a name.
    let text = text.trim_end_matches(['.', ' ']);
    let ending = text.rsplit_once('.').map(|(_, it)| it);
    ending.is_some_and(|it| endings.iter().any(|known| it.eq_ignore_ascii_case(known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = r#"C:\bin;.;tools;\bin;"C:\my tools";\\srv\share"#;

    fn found(name: &str, files: &[&str]) -> Result<String, SearchError> {
        let is_file = |path: &Path| files.contains(&path.to_string_lossy().as_ref());
        find(name, Path::new(""), PATH, is_file).map(|it| it.to_string_lossy().into_owned())
    }

    #[test]
    fn programs_are_found_along_the_path_only() {
        let files = [
            r"C:\bin\a.exe",
            r"C:\my tools\a.exe",
            r"C:\my tools\b.com",
            r"\\srv\share\c.EXE",
            r".\here.exe",
            r"tools\here.exe",
            r"\bin\here.exe",
            r"here.exe",
            r"D:\x\d.exe",
        ];
        assert_eq!(found("a", &files).expect("there"), r"C:\bin\a.exe");
        assert_eq!(found("a.exe", &files).expect("there"), r"C:\bin\a.exe");
        assert_eq!(found("b", &files).expect("there"), r"C:\my tools\b.com");
        assert_eq!(found("c.EXE", &files).expect("there"), r"\\srv\share\c.EXE");
        assert_eq!(found(r"D:\x\d", &files).expect("there"), r"D:\x\d.exe");
        for name in ["here", "here.exe", "nothing", "", "a\0"] {
            let error = found(name, &files).expect_err(name);
            assert!(matches!(error, SearchError::NotFound { .. }), "{error}");
        }
    }

    #[test]
    fn batch_files_are_refused() {
        let files = [r"C:\bin\a.bat", r"D:\x\b.CMD", r"D:\x\c.bat. "];
        for name in ["a", "a.bat", r"D:\x\b.CMD", r"D:\x\c.bat. "] {
            let error = found(name, &files).expect_err(name);
            assert!(matches!(error, SearchError::Batch { .. }), "{error}");
        }
    }
}
