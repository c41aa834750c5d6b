//! Emptying a directory of a job's. Whoever calls is the job's account then; what is in it is the job's, and may be anything.

use std::io;
use std::path::{Path, PathBuf};

/// The most that is named of what is left.
const NAMED_MAX: usize = 4;
/// The most characters of one that is named.
const NAME_MAX: usize = 120;

/// Removes all that is in a directory; goes on after what can't be removed, and follows no link.
///
/// # Errors
/// What is left, and why.
pub fn empty(path: &Path) -> io::Result<()> {
    empty_with(path, &|path| std::fs::remove_file(path))
}

fn empty_with(top: &Path, remove_file: &dyn Fn(&Path) -> io::Result<()>) -> io::Result<()> {
    let mut left = Left::default();
    // Those above before those in them. No recursion: a job says how deep it goes.
    let mut all = vec![top.to_owned()];
    let mut at = 0;
    while let Some(directory) = all.get(at).cloned() {
        at += 1;
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) => {
                left.add(top, &directory, &error);
                continue;
            }
        };
        for entry in entries {
            match entry.and_then(|it| Ok((it.file_type()?.is_dir(), it.path()))) {
                Ok((true, path)) => all.push(path),
                Ok((false, path)) => {
                    // A link to a directory is one itself on Windows.
                    let removed = remove_file(&path).or_else(|error| {
                        let is_gone = std::fs::remove_dir(&path).is_ok();
                        if is_gone { Ok(()) } else { Err(error) }
                    });
                    removed.unwrap_or_else(|error| left.add(top, &path, &error));
                }
                Err(error) => left.add(top, &directory, &error),
            }
        }
    }
    for directory in all.iter().skip(1).rev() {
        match std::fs::remove_dir(directory) {
            // What is in it has been named.
            Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => {
                left.add(top, directory, &error);
            }
            Ok(()) | Err(_) => {}
        }
    }
    left.told()
}

/// What could not be removed.
#[derive(Default)]
struct Left {
    named: Vec<String>,
    count: usize,
}

impl Left {
    fn add(&mut self, top: &Path, path: &Path, error: &io::Error) {
        self.count += 1;
        if self.named.len() < NAMED_MAX {
            let path: PathBuf = path.strip_prefix(top).unwrap_or(path).into();
            let name: String = path.to_string_lossy().chars().take(NAME_MAX).collect();
            self.named.push(format!("`{name}`: {error}"));
        }
    }

    fn told(self) -> io::Result<()> {
        let Self { named, count } = self;
        let more = count - named.len();
        match (count, more) {
            (0, _) => Ok(()),
            (_, 0) => Err(io::Error::other(named.join(", "))),
            (_, more) => {
                let text = format!("{}, and {more} more", named.join(", "));
                Err(io::Error::other(text))
            }
        }
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
