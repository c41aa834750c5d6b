//! The files: where they may lie, who may read them, and that only one process writes.

use crate::error::StoreError;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

/// Longest text about the holder that is read from a lock file, in bytes.
const HOLDER_MAX: u64 = 256;

/// File systems that are another machine's. SQLite's write-ahead log needs memory shared by all who have it open, and
/// locks that hold.
const NETWORK: &[&str] = &[
    "nfs",
    "nfs4",
    "cifs",
    "smb",
    "smbfs",
    "smb2",
    "smb3",
    "9p",
    "afs",
    "coda",
    "ceph",
    "ncpfs",
    "lustre",
    "gpfs",
    "beegfs",
    "glusterfs",
    "gfs",
    "orangefs",
    "pvfs2",
    "davfs",
];
/// Programs behind `fuse.NAME` that bring in another machine's files.
const NETWORK_FUSE: &[&str] = &[
    "sshfs",
    "s3fs",
    "glusterfs",
    "rclone",
    "gcsfuse",
    "ceph",
    "ceph-fuse",
    "cephfs",
    "lustre",
    "juicefs",
    "smbnetfs",
    "davfs",
    "davfs2",
    "curlftpfs",
    "gvfsd-fuse",
    "mount-s3",
    "goofys",
    "seaweedfs",
    "moosefs",
    "mfs",
    "blobfuse2",
];

/// Makes the directory of `file` if there is none, and refuses one that is not safe.
pub(super) fn prepare_dir(file: &Path) -> Result<(), StoreError> {
    let dir = parent(file);
    make_private(dir).map_err(|error| of_io(error, dir))?;
    let dir = dir.canonicalize().map_err(|error| of_io(error, dir))?;
    refuse_exposed(&dir)?;
    refuse_network(&dir)
}

/// Answers the directory of a file; the current one when it has none.
pub(super) fn parent(file: &Path) -> &Path {
    match file.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

fn make_private(dir: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

#[cfg(unix)]
fn refuse_exposed(dir: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::MetadataExt as _;
    let mode = dir.metadata().map_err(|error| of_io(error, dir))?.mode() & 0o7777;
    if mode & 0o022 == 0 {
        Ok(())
    } else {
        Err(StoreError::Exposed {
            dir: dir.into(),
            mode,
        })
    }
}

#[cfg(not(unix))]
fn refuse_exposed(_dir: &Path) -> Result<(), StoreError> {
    Ok(())
}

/// Opens a file for reading and writing that only its owner may read; tightens the mode of one that is there.
pub(super) fn open_private(file: &Path) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let handle = options.open(file).map_err(|error| of_io(error, file))?;
    tighten(&handle).map_err(|error| of_io(error, file))?;
    Ok(handle)
}

#[cfg(unix)]
fn tighten(handle: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut permissions = handle.metadata()?.permissions();
    if permissions.mode() & 0o077 != 0 {
        permissions.set_mode(0o600);
        handle.set_permissions(permissions)?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn tighten(_handle: &File) -> io::Result<()> {
    Ok(())
}

/// The proof that this process is the one that writes; given back when it is dropped or the process ends.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    handle: File,
}

impl Lock {
    /// Takes the lock beside `file`.
    pub(super) fn take(file: &Path) -> Result<Self, StoreError> {
        let mut path = file.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let mut handle = open_private(&path)?;
        match handle.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Held {
                    holder: read_holder(&mut handle),
                    file: path,
                });
            }
            Err(TryLockError::Error(error)) => return Err(of_io(error, &path)),
        }
        let mut lock = Self { path, handle };
        lock.say("a supervisor")?;
        Ok(lock)
    }

    /// Writes into the file who has it, for whoever is refused.
    pub(super) fn say(&mut self, holder: &str) -> Result<(), StoreError> {
        let line: String = holder
            .chars()
            .filter(|c| !c.is_control())
            .take(100)
            .collect();
        self.write(&format!("{line}, process {}\n", std::process::id()))
            .map_err(|error| of_io(error, &self.path))
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.handle.rewind()?;
        self.handle.set_len(0)?;
        self.handle.write_all(text.as_bytes())
    }
}

fn read_holder(handle: &mut File) -> String {
    let mut bytes = Vec::new();
    // A holder that can't be read is still a holder.
    let _ = handle.take(HOLDER_MAX).read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    if text.is_empty() {
        "it did not say who it is".to_owned()
    } else {
        text
    }
}

/// Sorts an error of the file system by what the caller can do.
pub(super) fn of_io(error: io::Error, file: &Path) -> StoreError {
    let file = file.into();
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            StoreError::ReadOnly {
                file,
                source: error.into(),
            }
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            StoreError::NoSpace {
                file,
                source: error.into(),
            }
        }
        _ => StoreError::Backend {
            file,
            source: error.into(),
        },
    }
}

/// Refuses what the kernel's table of mounts says is on the network. Where there is no such table, nothing is refused.
fn refuse_network(dir: &Path) -> Result<(), StoreError> {
    let Ok(mounts) = std::fs::read_to_string("/proc/self/mountinfo") else {
        return Ok(());
    };
    match mount_kind(&mounts, dir) {
        Some(kind) if is_network(kind) => Err(StoreError::Network {
            dir: dir.into(),
            kind: kind.to_owned(),
        }),
        _ => Ok(()),
    }
}

fn is_network(kind: &str) -> bool {
    match kind.strip_prefix("fuse.") {
        Some(program) => NETWORK_FUSE.contains(&program),
        None => NETWORK.contains(&kind),
    }
}

/// Answers the type of the file system that holds `dir`: the mount with the longest path above it, the last of several.
fn mount_kind<'a>(mounts: &'a str, dir: &Path) -> Option<&'a str> {
    let mut best: Option<(usize, &str)> = None;
    for line in mounts.lines() {
        let Some((left, right)) = line.split_once(" - ") else {
            continue;
        };
        let (Some(point), Some(kind)) = (left.split(' ').nth(4), right.split(' ').next()) else {
            continue;
        };
        let point = unescape(point);
        let length = point.len();
        if dir.starts_with(Path::new(&point)) && best.is_none_or(|(longest, _)| length >= longest) {
            best = Some((length, kind));
        }
    }
    best.map(|(_, kind)| kind)
}

/// Undoes the kernel's octal escapes (blank, tab, newline, backslash).
fn unescape(point: &str) -> String {
    [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ]
    .iter()
    .fold(point.to_owned(), |text, (escape, plain)| {
        text.replace(escape, plain)
    })
}

#[cfg(test)]
mod tests {
    use super::{is_network, mount_kind};
    use std::path::Path;

    const MOUNTS: &str = "\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /mnt/farm\\040one rw shared:2 - nfs4 server:/x rw
31 22 0:27 / /home rw - fuse.sshfs someone@else: rw
32 31 0:28 / /home/mia/local rw - tmpfs tmpfs rw
33 22 0:29 / /data rw - cifs //server/share rw
34 22 0:30 / /data rw - xfs /dev/vdb rw
a line that is none
";

    #[test]
    fn the_innermost_and_latest_mount_counts() {
        let kind = |dir: &str| mount_kind(MOUNTS, Path::new(dir));
        assert_eq!(kind("/var/lib"), Some("ext4"));
        assert_eq!(kind("/mnt/farm one/state"), Some("nfs4"));
        assert_eq!(kind("/mnt/farm oneself"), Some("ext4"));
        assert_eq!(kind("/home/mia"), Some("fuse.sshfs"));
        assert_eq!(kind("/home/mia/local"), Some("tmpfs"));
        assert_eq!(kind("/data/x"), Some("xfs"));
        assert_eq!(mount_kind("", Path::new("/")), None);
    }

    #[test]
    fn local_kinds_are_let_through() {
        for kind in [
            "ext4",
            "xfs",
            "btrfs",
            "tmpfs",
            "overlay",
            "zfs",
            "fuseblk",
            "fuse.fuse-overlayfs",
        ] {
            assert!(!is_network(kind), "{kind}");
        }
        for kind in [
            "nfs",
            "nfs4",
            "cifs",
            "smb3",
            "9p",
            "fuse.sshfs",
            "fuse.glusterfs",
            "ceph",
        ] {
            assert!(is_network(kind), "{kind}");
        }
    }
}
