//! The capture file, and the one before it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::packet::PACKET_MAX;
use super::pcapng::{self, Frame, LinkType, Name};
use super::{Limits, TEXT_MAX};
use anjay_net_socket::Result;

use crate::replace::{Replacement, require_replaceable};

/// So much is written at once, or less when no report waits.
const WRITE: usize = 8 * 1024;

const BLOCK_MAX: usize = pcapng::packet_len(PACKET_MAX, TEXT_MAX);

/// Two files that hold the newest packets: when `path` is full it becomes
/// `path.1`, in the place of the one that was there.
pub(super) struct Ring {
    path: PathBuf,
    previous: PathBuf,
    limits: Limits,
    file: File,
    buffer: Vec<u8>,
    /// The interfaces that the file describes.
    interfaces: Vec<(Name, LinkType)>,
    /// Length of the file with what is in the buffer.
    len: u64,
}

impl Ring {
    /// # Errors
    /// `ELOOP`, `EISDIR`, `EINVAL` and `EPERM` for what must not be replaced;
    /// `ENOMEM`; those of the file system.
    pub(super) fn create(path: &Path, limits: Limits) -> Result<Ring> {
        let previous = concatenate(path, ".1")?;
        require_replaceable(&previous)?;
        let mut buffer = Vec::new();
        buffer.try_reserve_exact(WRITE + BLOCK_MAX)?;
        Ok(Ring {
            path: concatenate(path, "")?,
            file: create(path, None, &mut buffer)?,
            previous,
            limits,
            buffer,
            interfaces: Vec::new(),
            len: pcapng::SECTION_LEN as u64,
        })
    }

    pub(super) fn write(&mut self, frame: &Frame<'_>) -> Result<()> {
        let kept = frame.data.len().min(self.limits.snaplen as usize);
        let mut needed = pcapng::packet_len(kept, frame.comment.len());
        if self.index_of(frame).is_none() {
            needed += pcapng::interface_len(frame.interface.len());
        }
        if needed > self.room() && !self.interfaces.is_empty() {
            self.rotate()?;
        }
        let interface = match self.index_of(frame) {
            Some(index) => index,
            None => self.describe(frame)?,
        };
        // A new file always has room for a packet without data: see
        // `Limits::are_valid`.
        let around = pcapng::packet_len(0, frame.comment.len());
        let rest = self.room().saturating_sub(around) & !3;
        let kept = kept.min(rest);
        self.append(|out| pcapng::packet(out, interface, kept, frame))
    }

    /// Everything written so far is in the file after this.
    pub(super) fn flush(&mut self) -> Result<()> {
        let written = self.file.write_all(&self.buffer);
        self.buffer.clear();
        Ok(written?)
    }

    /// What is left of the half that each file may take.
    fn room(&self) -> usize {
        let room = (self.limits.max_bytes / 2).saturating_sub(self.len);
        usize::try_from(room).unwrap_or(usize::MAX)
    }

    fn index_of(&self, frame: &Frame<'_>) -> Option<usize> {
        self.interfaces
            .iter()
            .position(|(name, link)| **name == *frame.interface && *link == frame.link)
    }

    fn describe(&mut self, frame: &Frame<'_>) -> Result<usize> {
        self.interfaces.try_reserve(1)?;
        self.interfaces.push((frame.interface, frame.link));
        let snaplen = self.limits.snaplen;
        self.append(|out| pcapng::interface(out, frame.link, snaplen, &frame.interface))?;
        Ok(self.interfaces.len() - 1)
    }

    fn append(&mut self, block: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let before = self.buffer.len();
        block(&mut self.buffer);
        self.len += (self.buffer.len() - before) as u64;
        if self.buffer.len() > WRITE {
            self.flush()?;
        }
        Ok(())
    }

    fn rotate(&mut self) -> Result<()> {
        self.flush()?;
        self.file = create(&self.path, Some(&self.previous), &mut self.buffer)?;
        self.interfaces.clear();
        self.len = pcapng::SECTION_LEN as u64;
        Ok(())
    }
}

/// A new file at `path` with the header of a section; the one that was there
/// becomes `previous`.
fn create(path: &Path, previous: Option<&Path>, buffer: &mut Vec<u8>) -> Result<File> {
    // The payload is private to the user of the client.
    const OWNER_ONLY: u32 = 0o600;
    let mut replacement = Replacement::create(path, OWNER_ONLY)?;
    pcapng::section(buffer);
    let written = replacement.file.write_all(buffer);
    buffer.clear();
    written?;
    if let Some(previous) = previous {
        match fs::rename(path, previous) {
            // The file was moved away by hand.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            renamed => renamed?,
        }
    }
    replacement.commit()
}

fn concatenate(path: &Path, suffix: &str) -> Result<PathBuf> {
    let mut whole = std::ffi::OsString::new();
    whole.try_reserve_exact(path.as_os_str().len() + suffix.len())?;
    whole.push(path);
    whole.push(suffix);
    Ok(whole.into())
}
