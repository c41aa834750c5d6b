//! Emptying a directory of a job's. Whoever calls is the job's account then; what is in it is the job's, and may be anything.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// The most that is named of what is left.
const NAMED_MAX: usize = 4;
/// The most characters of one that is named.
const NAME_MAX: usize = 120;
/// Things that can't be removed after which it stops: each is remembered, so that it is tried once.
const LEFT_MAX: usize = 256;

/// Removes all that is in a directory; goes on after what can't be removed, and follows no link. It remembers the path to where it
/// is and what it could not remove, however many directories there are and however deep they go.
///
/// # Errors
/// What is left, and why.
pub fn empty(path: &Path) -> io::Result<()> {
    empty_with(path, &|path| std::fs::remove_file(path))
}

fn empty_with(top: &Path, remove_file: &dyn Fn(&Path) -> io::Result<()>) -> io::Result<()> {
    let mut left = Left::default();
    let mut at = top.to_owned();
    // No recursion: a job says how deep it goes.
    while left.paths.len() < LEFT_MAX {
        if let Some(inner) = remove_files(&at, top, remove_file, &mut left) {
            at.push(inner);
        } else if at == top {
            break;
        } else {
            match remove_directory(&at) {
                Ok(()) => {}
                // What is in it has been named.
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                    left.paths.insert(at.clone());
                }
                Err(error) => left.add(top, &at, &error),
            }
            at.pop();
        }
    }
    left.told()
}

/// Removes files of a directory up to the first directory in it, and answers that one's name.
fn remove_files(
    directory: &Path,
    top: &Path,
    remove_file: &dyn Fn(&Path) -> io::Result<()>,
    left: &mut Left,
) -> Option<OsString> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            left.add(top, directory, &error);
            return None;
        }
    };
    for entry in entries {
        let found = entry.and_then(|it| Ok((it.file_type()?.is_dir(), it)));
        let (is_directory, path) = match &found {
            Ok((is_directory, entry)) => (*is_directory, entry.path()),
            Err(error) => {
                left.add(top, directory, error);
                return None;
            }
        };
        if left.paths.contains(&path) {
            continue;
        }
        if is_directory {
            return found.ok().map(|(_, entry)| entry.file_name());
        }
        // A link to a directory is one itself on Windows.
        let removed = remove_file(&path).or_else(|error| {
            let is_gone = std::fs::remove_dir(&path).is_ok();
            if is_gone { Ok(()) } else { Err(error) }
        });
        removed.unwrap_or_else(|error| left.add(top, &path, &error));
        if left.paths.len() >= LEFT_MAX {
            return None;
        }
    }
    None
}

/// Removes an empty directory, also one that is marked as not to be written, which Windows refuses.
fn remove_directory(path: &Path) -> io::Result<()> {
    let removed = std::fs::remove_dir(path);
    #[cfg(windows)]
    if removed.is_err() {
        let mut permissions = std::fs::metadata(path)?.permissions();
        if permissions.readonly() {
            #[expect(clippy::permissions_set_readonly_false, reason = "this is Windows")]
            permissions.set_readonly(false);
            std::fs::set_permissions(path, permissions)?;
            return std::fs::remove_dir(path);
        }
    }
    removed
}

/// What could not be removed.
#[derive(Default)]
struct Left {
    paths: BTreeSet<PathBuf>,
    named: Vec<String>,
    count: usize,
}

impl Left {
    /// Adds one, once.
    fn add(&mut self, top: &Path, path: &Path, error: &io::Error) {
        if !self.paths.insert(path.to_owned()) {
            return;
        }
        self.count += 1;
        if self.named.len() < NAMED_MAX {
            let path: PathBuf = path.strip_prefix(top).unwrap_or(path).into();
            let name: String = path.to_string_lossy().chars().take(NAME_MAX).collect();
            self.named.push(format!("`{name}`: {error}"));
        }
    }

    fn told(self) -> io::Result<()> {
        let Self {
            named,
            count,
            paths,
        } = self;
        if count == 0 && paths.is_empty() {
            return Ok(());
        }
        let mut text = named.join(", ");
        let more = count - named.len();
        if more > 0 {
            text += &format!(", and {more} more");
        }
        if paths.len() >= LEFT_MAX {
            text += "; the rest was not tried";
        }
        Err(io::Error::other(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a folder");
        for name in ["a/b", "c", "d/e/f"] {
            std::fs::create_dir_all(dir.path().join(name)).expect("made");
        }
        for name in ["1", "a/2", "a/b/3", "d/e/f/4"] {
            std::fs::write(dir.path().join(name), "x").expect("written");
        }
        dir
    }

    fn names(of: &Path) -> Vec<String> {
        let all = std::fs::read_dir(of).expect("reads");
        let name = |it: io::Result<std::fs::DirEntry>| it.expect("reads").file_name();
        let mut all: Vec<String> = all
            .map(|it| name(it).to_string_lossy().into_owned())
            .collect();
        all.sort();
        all
    }

    #[test]
    fn all_that_is_in_it_goes_and_it_stays() {
        let dir = full();
        empty(dir.path()).expect("emptied");
        assert!(names(dir.path()).is_empty());
        // Once more is fine, too.
        empty(dir.path()).expect("is empty");
    }

    #[test]
    fn it_goes_on_after_what_can_not_be_removed_and_names_it() {
        let dir = full();
        let is_open = |path: &Path| path.ends_with("a/2") || path.ends_with("1");
        let remove = |path: &Path| match is_open(path) {
            true => Err(io::Error::other("it is open")),
            false => std::fs::remove_file(path),
        };
        let error = empty_with(dir.path(), &remove).expect_err("two are left");
        let said = error.to_string();
        assert_eq!(said.matches("it is open").count(), 2, "{said}");
        let two = Path::new("a").join("2");
        assert!(said.contains(&format!("`{}`", two.display())), "{said}");
        assert_eq!(names(dir.path()), ["1", "a"]);
        assert_eq!(names(&dir.path().join("a")), ["2"]);
    }

    #[test]
    fn however_much_is_left_little_is_said() {
        let dir = tempfile::tempdir().expect("a folder");
        for n in 0..50 {
            let name = format!("{n}{}", "n".repeat(200));
            std::fs::write(dir.path().join(name), "").expect("written");
        }
        let remove = |_: &Path| Err(io::Error::other("no"));
        let said = empty_with(dir.path(), &remove).expect_err("all are left");
        let said = said.to_string();
        assert!(said.ends_with("and 46 more"), "{said}");
        assert!(said.len() < 1_000, "{said}");
    }

    #[test]
    fn many_and_deep_directories_go() {
        let dir = tempfile::tempdir().expect("a folder");
        let deep: PathBuf = std::iter::repeat_n("d", 500).collect();
        std::fs::create_dir_all(dir.path().join(deep)).expect("made");
        for n in 0..2_000 {
            std::fs::create_dir(dir.path().join(n.to_string())).expect("made");
        }
        empty(dir.path()).expect("emptied");
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn it_stops_after_too_many_that_stay() {
        let dir = tempfile::tempdir().expect("a folder");
        for n in 0..2 * LEFT_MAX {
            std::fs::create_dir(dir.path().join(n.to_string())).expect("made");
            std::fs::write(dir.path().join(format!("{n}/x")), "").expect("written");
        }
        let tried = std::cell::Cell::new(0);
        let remove = |_: &Path| {
            tried.set(tried.get() + 1);
            Err(io::Error::other("no"))
        };
        let said = empty_with(dir.path(), &remove).expect_err("all are left");
        assert!(
            said.to_string().ends_with("the rest was not tried"),
            "{said}"
        );
        assert!(tried.get() <= LEFT_MAX, "{} were tried", tried.get());
    }

    #[cfg(unix)]
    #[test]
    fn what_a_link_leads_to_stays() {
        let other = full();
        let dir = tempfile::tempdir().expect("a folder");
        for (name, to) in [("file", "1"), ("dir", "a")] {
            let to = other.path().join(to);
            std::os::unix::fs::symlink(to, dir.path().join(name)).expect("linked");
        }
        empty(dir.path()).expect("emptied");
        assert!(names(dir.path()).is_empty());
        assert_eq!(names(other.path()), ["1", "a", "c", "d"]);
    }

    #[test]
    fn a_directory_that_is_not_there_is_told() {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(empty(&dir.path().join("none")).is_err());
    }
}
