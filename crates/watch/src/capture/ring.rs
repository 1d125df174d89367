//! The file, and the one before it.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::{DataLink, PcapError};

use super::Limits;
use crate::require_no_special_file;

/// One packet as it stands in the file.
pub(super) struct Packet<'a> {
    pub(super) interface: Interface<'a>,
    /// Since 1970.
    pub(super) at: Duration,
    pub(super) bytes: &'a [u8],
    pub(super) options: Vec<EnhancedPacketOption<'a>>,
}

/// Where a packet passed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Interface<'a> {
    /// IP packets, on an interface of this machine.
    Network(&'a str),
    /// No packets, but what became of sockets.
    Sockets,
}

impl Interface<'_> {
    fn name(&self) -> &str {
        match self {
            Interface::Network(name) => name,
            Interface::Sockets => "sockets",
        }
    }

    fn linktype(self) -> DataLink {
        match self {
            Interface::Network(_) => DataLink::RAW,
            Interface::Sockets => DataLink::WIRESHARK_UPPER_PDU,
        }
    }
}

/// Two files that hold the newest packets: when `path` is full it becomes
/// `path.1`, in the place of the one that was there.
pub(super) struct Ring {
    path: PathBuf,
    limits: Limits,
    writer: PcapNgWriter<BufWriter<File>>,
    /// Names of the interfaces that this file describes, and of what link type.
    interfaces: Vec<(String, DataLink)>,
    written: u64,
}

impl Ring {
    pub(super) fn create(path: &Path, limits: Limits) -> io::Result<Ring> {
        let (writer, written) = open(path)?;
        Ok(Ring {
            path: path.to_owned(),
            limits,
            writer,
            interfaces: Vec::new(),
            written,
        })
    }

    pub(super) fn write(&mut self, packet: Packet<'_>) -> io::Result<()> {
        let len = packet.bytes.len();
        let kept = len.min(self.limits.snaplen as usize);
        // Blocks and options around the packet take less than this.
        const AROUND: u64 = 512;
        let more = kept as u64 + AROUND;
        // The first packet of a file is in it, however long.
        if self.written + more > self.limits.max_bytes / 2 && !self.interfaces.is_empty() {
            self.rotate()?;
        }
        let interface = self.interface(packet.interface)?;
        let block = EnhancedPacketBlock {
            interface_id: interface,
            timestamp: packet.at,
            original_len: u32::try_from(len).unwrap_or(u32::MAX),
            data: Cow::Borrowed(&packet.bytes[..kept]),
            options: packet.options,
        };
        self.written += self.writer.write_pcapng_block(block).map_err(cause)? as u64;
        Ok(())
    }

    /// Everything written so far is in the file after this.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.writer.get_mut().flush()
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.flush()?;
        let mut before = OsString::from(&self.path);
        before.push(".1");
        fs::rename(&self.path, before)?;
        (self.writer, self.written) = open(&self.path)?;
        self.interfaces.clear();
        Ok(())
    }

    /// Its number in the file, which describes it first.
    fn interface(&mut self, interface: Interface<'_>) -> io::Result<u32> {
        let (name, linktype) = (interface.name(), interface.linktype());
        let known = self
            .interfaces
            .iter()
            .position(|(other, of)| other == name && *of == linktype);
        let index = match known {
            Some(index) => index,
            None => {
                // Ten to the minus nine: nanoseconds.
                const NANOSECONDS: u8 = 9;
                let block = InterfaceDescriptionBlock {
                    linktype,
                    snaplen: self.limits.snaplen,
                    options: vec![
                        InterfaceDescriptionOption::IfName(name.to_owned().into()),
                        InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
                    ],
                };
                self.written += self.writer.write_pcapng_block(block).map_err(cause)? as u64;
                self.interfaces.push((name.to_owned(), linktype));
                self.interfaces.len() - 1
            }
        };
        Ok(u32::try_from(index).unwrap_or(u32::MAX))
    }
}

/// A new file with its header, and how long that is.
fn open(path: &Path) -> io::Result<(PcapNgWriter<BufWriter<File>>, u64)> {
    require_no_special_file(path)?;
    // What was said is nobody else's business.
    const OWNER_ONLY: u32 = 0o600;
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(OWNER_ONLY)
        .open(path)?;
    const HEADER: u64 = 28;
    let mut writer = PcapNgWriter::new(BufWriter::new(file)).map_err(cause)?;
    writer.get_mut().flush()?;
    Ok((writer, HEADER))
}

fn cause(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        other => io::Error::other(other),
    }
}
