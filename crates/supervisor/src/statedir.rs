//! The folders of the state: made private, refused when they are somebody else's, held by one supervisor at a time.

use crate::error::SupervisorError;
use crate::options::Options;
use nix::unistd::Uid;
use std::fs::{DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

/// What a lock file says about its holder, at most.
const HOLDER_BYTES_MAX: u64 = 200;

/// The state, held for as long as this lives.
#[derive(Debug)]
pub(crate) struct StateDir {
    own: PathBuf,
    _lock: File,
}

impl StateDir {
    /// Makes what is missing, checks the rest and takes the lock.
    ///
    /// # Errors
    /// When a folder is somebody else's or others could write to it, or another supervisor has the lock.
    pub(crate) fn open(options: &Options) -> Result<Self, SupervisorError> {
        make(&options.state, 0o755)?;
        check_root(&options.state)?;
        make(&options.run_dir(), 0o755)?;
        check_root(&options.run_dir())?;
        let own = options.own_dir();
        make(&own, 0o700)?;
        check_own(&own)?;
        for (name, mode) in [("logs", 0o700), ("keys", 0o700), ("store", 0o700)] {
            make(&own.join(name), mode)?;
            check_own(&own.join(name))?;
        }
        let lock = take_lock(&own.join("lock"))?;
        Ok(Self { own, _lock: lock })
    }

    /// Answers the folder of the store.
    pub(crate) fn store(&self) -> PathBuf {
        self.own.join("store")
    }

    /// Answers the folder of keys and certificates.
    pub(crate) fn keys(&self) -> PathBuf {
        self.own.join("keys")
    }

    /// Answers the folder of job output.
    pub(crate) fn logs(&self) -> PathBuf {
        self.own.join("logs")
    }
}

fn make(path: &Path, mode: u32) -> Result<(), SupervisorError> {
    match DirBuilder::new().recursive(true).mode(mode).create(path) {
        Ok(()) => Ok(()),
        Err(error) => Err(SupervisorError::io("make the folder", path)(error)),
    }
}

fn metadata(path: &Path) -> Result<Metadata, SupervisorError> {
    std::fs::metadata(path).map_err(SupervisorError::io("look at", path))
}

/// A folder shared with other parts of the farm: of root or ours, and nobody else may replace what is in it.
fn check_root(path: &Path) -> Result<(), SupervisorError> {
    let meta = metadata(path)?;
    let is_sticky = meta.mode() & 0o1000 != 0;
    let owner = meta.uid();
    if owner != 0 && owner != Uid::effective().as_raw() {
        return Err(stranger(path, owner));
    }
    if meta.mode() & 0o002 != 0 && !is_sticky {
        return Err(open_to_others(path, meta.mode()));
    }
    Ok(())
}

/// A folder with secrets: ours alone.
fn check_own(path: &Path) -> Result<(), SupervisorError> {
    let meta = metadata(path)?;
    if meta.uid() != Uid::effective().as_raw() {
        return Err(stranger(path, meta.uid()));
    }
    if meta.mode() & 0o022 != 0 {
        return Err(open_to_others(path, meta.mode()));
    }
    if meta.mode() & 0o077 != 0 {
        let private = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(path, private)
            .map_err(SupervisorError::io("make private", path))?;
    }
    Ok(())
}

fn stranger(path: &Path, owner: u32) -> SupervisorError {
    SupervisorError::Unsafe {
        path: path.to_owned(),
        why: format!(
            "belongs to uid {owner}, and this runs as uid {}",
            Uid::effective()
        ),
        hint: "run as its owner, chown it, or choose another --state".into(),
    }
}

fn open_to_others(path: &Path, mode: u32) -> SupervisorError {
    SupervisorError::Unsafe {
        path: path.to_owned(),
        why: format!("can be written by others (mode {:o})", mode & 0o7777),
        hint:
            "who could write there could have replaced keys and jobs: check, then `chmod go-w` it"
                .into(),
    }
}

fn take_lock(path: &Path) -> Result<File, SupervisorError> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(SupervisorError::io("open", path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _unreadable = std::io::Read::by_ref(&mut file)
                .take(HOLDER_BYTES_MAX)
                .read_to_string(&mut holder);
            return Err(SupervisorError::AlreadyRunning {
                path: path.to_owned(),
                holder: holder.trim().to_owned(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(SupervisorError::io("lock", path)(error)),
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "process {}", std::process::id())
    };
    // What it says is only for the message above; a full disk must not keep the supervisor from starting.
    let _full_disk = write(&mut file);
    Ok(file)
}

/// Writes a small file whole or not at all.
///
/// # Errors
/// When it can't be written.
pub(crate) fn write_whole(path: &Path, text: &str, mode: u32) -> Result<(), SupervisorError> {
    let temporary = path.with_extension("new");
    let write = || {
        let _left_over = std::fs::remove_file(&temporary);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary)?;
        file.write_all(text.as_bytes())?;
        std::fs::rename(&temporary, path)
    };
    write().map_err(SupervisorError::io("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> (tempfile::TempDir, Options) {
        let dir = tempfile::tempdir().expect("a folder");
        let options = Options::new(dir.path().join("farm"));
        (dir, options)
    }

    #[test]
    fn folders_are_made_private_and_held_once() {
        let (_dir, options) = options();
        let held = StateDir::open(&options).expect("opens");
        let mode = |path: &Path| std::fs::metadata(path).expect("there").mode() & 0o777;
        assert_eq!(mode(&options.own_dir()), 0o700);
        assert_eq!(mode(&held.keys()), 0o700);
        assert_eq!(mode(&held.logs()), 0o700);
        let second = StateDir::open(&options).expect_err("held");
        assert!(
            matches!(&second, SupervisorError::AlreadyRunning { holder, .. } if holder.starts_with("process "))
        );
        drop(held);
        StateDir::open(&options).expect("free again");
    }

    #[test]
    fn a_folder_that_others_may_write_is_refused() {
        let (_dir, options) = options();
        drop(StateDir::open(&options).expect("opens"));
        let wide = std::fs::Permissions::from_mode(0o770);
        std::fs::set_permissions(options.own_dir(), wide).expect("chmod");
        let error = StateDir::open(&options).expect_err("refused");
        assert!(
            error
                .to_string()
                .contains("can be written by others (mode 770)"),
            "{error}"
        );
    }

    #[test]
    fn a_folder_that_others_may_read_is_closed() {
        let (_dir, options) = options();
        drop(StateDir::open(&options).expect("opens"));
        let wide = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(options.own_dir(), wide).expect("chmod");
        drop(StateDir::open(&options).expect("opens"));
        assert_eq!(
            std::fs::metadata(options.own_dir()).expect("there").mode() & 0o777,
            0o700
        );
    }
}
