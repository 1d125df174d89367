//! Files that replace others without following a link or waiting for a reader.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use anjay_net_socket::{Errno, Result, Text};

/// A new file that takes the place of another when it is complete.
///
/// It is created in the same directory under an unused name, and renamed. Neither
/// step opens or follows what another user put there. If it is dropped before it
/// is committed, everything is left as it was.
pub(crate) struct Replacement<'a> {
    path: &'a Path,
    temporary: Temporary,
    pub(crate) file: File,
}

/// A file that is removed unless it was renamed.
struct Temporary {
    path: PathBuf,
    is_renamed: bool,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.is_renamed {
            // The error that led here is the one to report.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl<'a> Replacement<'a> {
    /// A new, empty file with these permissions.
    ///
    /// # Errors
    /// Those of [`require_replaceable`]; `EPERM` when `path` is a file of another
    /// user; `ENOMEM`; those of the file system.
    pub(crate) fn create(path: &'a Path, mode: u32) -> Result<Replacement<'a>> {
        let owner = require_replaceable(path)?;
        let (file, beside) = create_beside(path, mode)?;
        let temporary = Temporary {
            path: beside,
            is_renamed: false,
        };
        // A new file belongs to the effective user of the process.
        let own = file.metadata()?.uid();
        if owner.is_some_and(|other| other != own) {
            return Err(Errno(libc::EPERM));
        }
        Ok(Replacement {
            path,
            temporary,
            file,
        })
    }

    /// Renames the file to its path.
    ///
    /// # Errors
    /// Those of rename(2).
    pub(crate) fn commit(mut self) -> Result<File> {
        fs::rename(&self.temporary.path, self.path)?;
        self.temporary.is_renamed = true;
        Ok(self.file)
    }
}

/// Refuses to replace anything but a regular file, which rename(2) would do with
/// a device as well. Returns the owner of the file if there is one.
///
/// # Errors
/// `ELOOP` for a symbolic link, `EISDIR` for a directory, `EINVAL` for a pipe, a
/// socket or a device; those of lstat(2).
pub(crate) fn require_replaceable(path: &Path) -> Result<Option<u32>> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match found.file_type() {
        kind if kind.is_file() => Ok(Some(found.uid())),
        kind if kind.is_symlink() => Err(Errno(libc::ELOOP)),
        kind if kind.is_dir() => Err(Errno(libc::EISDIR)),
        _ => Err(Errno(libc::EINVAL)),
    }
}

/// A new file in the same directory, under a name that collectors of `*.prom`
/// ignore.
fn create_beside(path: &Path, mode: u32) -> Result<(File, PathBuf)> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // A name is only taken if a process with the same id ended in between.
    const TRIES: usize = 100;
    let directory = match path.parent() {
        Some(parent) if path.file_name().is_some() => parent,
        _ => return Err(Errno(libc::EISDIR)),
    };
    for _ in 0..TRIES {
        let number = NEXT.fetch_add(1, Relaxed);
        let process = std::process::id();
        let name = Text::<48>::of(format_args!(".anjay-net.{process}.{number}.tmp"));
        let mut beside = PathBuf::new();
        beside.try_reserve_exact(directory.as_os_str().len() + 1 + name.len())?;
        beside.push(directory);
        beside.push(&*name);
        // O_CREAT and O_EXCL: never follows a link, never opens a pipe
        // (open(2)). The standard library adds O_CLOEXEC.
        let created = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&beside);
        match created {
            Ok(file) => return Ok((file, beside)),
            Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => {}
            Err(other) => return Err(other.into()),
        }
    }
    Err(Errno(libc::EEXIST))
}
