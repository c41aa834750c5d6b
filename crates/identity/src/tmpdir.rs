//! The private directory of an instance, its `TMPDIR`: made by root where only root can make something, given to the user
//! through its descriptor, emptied as the user when nothing of the instance is alive any more.

use std::ffi::CString;
use std::fmt::Write as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use tessera_ticket::LaunchKey;

use crate::paths::{open_socket_dir, open_trusted_dir};
use tessera_sys::{Errno, Sys, file};

/// The most names looked at when an instance's is wanted.
const NAMES_MAX: usize = 65_536;
/// Bytes of chance in a name, which nobody can list.
const CHANCE: usize = 12;

/// Where private directories are made.
#[derive(Debug)]
pub struct Parent {
    dir: OwnedFd,
    path: String,
    /// What the names of this farm's host begin with.
    prefix: String,
}

impl Parent {
    /// Opens the directory, making it when only that is missing: everybody can pass, nobody can look.
    ///
    /// # Errors
    /// A sentence that names the component of the path that somebody else than root could change.
    pub fn open(path: &Path, farm: &str, host: &str) -> Result<Self, String> {
        if !path.exists() {
            let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
                return Err(format!("{}: is no directory", path.display()));
            };
            // Somebody else's of that name, where everybody can make names, is found out below.
            let (_, above) = open_socket_dir(above)?;
            let made = file::c_string(&name.to_string_lossy()).and_then(|name| {
                file::make_dir(above.as_fd(), &name, 0o711)?;
                // The mask of this process would keep everybody out.
                file::chmod(file::open_dir(above.as_fd(), &name)?, 0o711)
            });
            made.map_err(|e| format!("{}: {e}", path.display()))?;
        }
        let (path, dir) = open_trusted_dir(path)?;
        let mode = file::stat(&dir).map_err(|e| e.to_string())?.st_mode & 0o7777;
        if mode & 0o001 == 0 {
            let path = path.display();
            return Err(format!(
                "{path}: users can't pass (mode {mode:04o}); `chmod o+x` it"
            ));
        }
        Self::in_dir(dir, &path, farm, host)
    }

    /// Takes a directory that is open already.
    ///
    /// # Errors
    /// When its path is not UTF-8.
    pub fn in_dir(dir: OwnedFd, path: &Path, farm: &str, host: &str) -> Result<Self, String> {
        let path = path
            .to_str()
            .ok_or(format!("{}: the path is not UTF-8", path.display()))?
            .to_owned();
        let short = |id: &str| id.chars().take(8).collect::<String>();
        Ok(Self {
            dir,
            path,
            prefix: format!("{}{}.", short(farm), short(host)),
        })
    }

    /// Makes the directory of a launch and returns its name.
    pub fn make(&self, key: LaunchKey, owner: Option<(u32, u32)>) -> Sys<String> {
        let mut chance = [0; CHANCE];
        file::random(&mut chance)?;
        let mut name = format!("{}{key}.", self.prefix);
        for byte in chance {
            let _ = write!(name, "{byte:02x}");
        }
        let c_name = file::c_string(&name)?;
        file::make_dir(self.dir.as_fd(), &c_name, 0o700)?;
        if let Some((uid, gid)) = owner {
            let given =
                file::open_dir(self.dir.as_fd(), &c_name).and_then(|it| file::chown(it, uid, gid));
            if let Err(errno) = given {
                let _ = file::remove_dir(self.dir.as_fd(), &c_name);
                return Err(errno);
            }
        }
        Ok(name)
    }

    /// Returns the path of a directory made here.
    pub fn path_of(&self, name: &str) -> PathBuf {
        Path::new(&self.path).join(name)
    }

    /// Returns the names of this farm's host that are here, with the launch of each.
    pub fn all(&self) -> Vec<(LaunchKey, String)> {
        let names = file::names(self.dir.as_fd(), NAMES_MAX).unwrap_or_default();
        let of = |name: String| Some((self.key_of(&name)?, name));
        names.into_iter().filter_map(of).collect()
    }

    fn key_of(&self, name: &str) -> Option<LaunchKey> {
        let (key, _) = name.strip_prefix(&self.prefix)?.rsplit_once('.')?;
        key.parse().ok()
    }

    /// Removes a directory if nothing is in it; that it is gone already is fine.
    pub fn remove_empty(&self, name: &str) -> Sys<()> {
        match file::remove_dir(self.dir.as_fd(), &c_name(name)?) {
            Err(Errno(libc::ENOENT)) => Ok(()),
            other => other,
        }
    }

    /// Returns uid and gid of a directory's owner: root gave it away, and the owner can't. What somebody has mounted on it is
    /// not asked: that is `EXDEV`.
    pub fn owner(&self, name: &str) -> Sys<(u32, u32)> {
        let found = file::stat(self.place(name)?)?;
        Ok((found.st_uid, found.st_gid))
    }

    /// Opens a directory for nothing but its place: who removes what is in it needs no name.
    pub fn place(&self, name: &str) -> Sys<OwnedFd> {
        file::open_place(self.dir.as_fd(), &c_name(name)?)
    }
}

fn c_name(name: &str) -> Sys<CString> {
    file::c_string(name)
}
