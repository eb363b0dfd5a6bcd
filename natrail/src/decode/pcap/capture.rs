//! Captures, pcap and pcapng, packet by packet, in a bounded buffer.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, bail};
use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{Block, Linktype, PcapBlockOwned, PcapError, create_reader};

use super::link::{Link, View};

/// Room for the longest packet, or block of pcapng, with what stands around it.
const BLOCK_OCTETS_MAX: usize = 4 << 20;
/// One fills the buffer, one more finds the end of the file.
const REFILLS_MAX: u32 = 4;
/// Interfaces of a section of pcapng. Real captures have as many as the machine.
const INTERFACES_MAX: usize = 4096;
const NS_PER_S: u64 = 1_000_000_000;

/// A packet of UDP, perhaps.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    pub view: View<'a>,
    /// ns since 1970; `None` if the capture does not tell.
    pub received_ns: Option<i64>,
    /// Octets in the capture, and on the wire.
    pub octets_held: usize,
    pub octets_sent: usize,
}

/// An open capture.
pub struct Capture {
    blocks: Box<dyn PcapReaderIterator + Send>,
    interfaces: Vec<Interface>,
    /// Octets of the block that was given last: they are needed until the next one is asked for.
    used: usize,
}

/// Where a packet was captured.
#[derive(Clone, Copy, Debug)]
struct Interface {
    /// The link type is not looked at before there is a packet.
    link_type: Linktype,
    units_per_s: u64,
    offset_s: i64,
}

impl Interface {
    fn ns(&self, units: u64) -> Option<i64> {
        let ns = u128::from(units) * u128::from(NS_PER_S) / u128::from(self.units_per_s.max(1));
        i64::try_from(ns)
            .ok()?
            .checked_add(self.offset_s.checked_mul(NS_PER_S as i64)?)
    }
}

impl Capture {
    /// Opens a file, or standard input for `-`.
    pub fn open(file: &Path) -> anyhow::Result<Self> {
        let name = file.display();
        let input: Box<dyn Read + Send> = if file == Path::new("-") {
            Box::new(io::stdin())
        } else {
            let input = File::open(file).with_context(|| format!("cannot open {name}"))?;
            if input.metadata().is_ok_and(|metadata| metadata.is_dir()) {
                bail!("cannot read {name}: it is a directory; name a capture");
            }
            Box::new(input)
        };
        let blocks = create_reader(BLOCK_OCTETS_MAX, Full(input)).map_err(|error| match error {
            PcapError::Eof => anyhow::anyhow!("cannot read {name}: it is empty"),
            PcapError::ReadError => anyhow::anyhow!("cannot read {name}"),
            _ => anyhow::anyhow!(
                "cannot read {name}: it is neither pcap nor pcapng, or ends within its header"
            ),
        })?;
        Ok(Self {
            blocks,
            interfaces: Vec::new(),
            used: 0,
        })
    }

    /// The next packet that could hold a datagram; `None` at the end.
    ///
    /// # Errors
    /// In words, if the capture ends within a packet, is damaged, or has packets of a link type that is not read.
    pub fn next(&mut self) -> anyhow::Result<Option<Packet<'_>>> {
        let mut refills = 0;
        loop {
            self.blocks.consume(std::mem::take(&mut self.used));
            let is_packet = match self.blocks.next() {
                Ok((octets, block)) => {
                    self.used = octets;
                    refills = 0;
                    take_note(&mut self.interfaces, &block)?
                }
                Err(PcapError::Eof) => return Ok(None),
                Err(PcapError::Incomplete(_)) => {
                    let refilled = self.blocks.refill();
                    if refilled.is_err() {
                        bail!("the file cannot be read");
                    }
                    refills += 1;
                    if refills > REFILLS_MAX {
                        bail!("a block of the capture does not end: it is damaged");
                    }
                    continue;
                }
                Err(PcapError::UnexpectedEof) => bail!("the capture ends within a packet: it was cut off"),
                Err(PcapError::BufferTooSmall) => {
                    bail!("a block of the capture claims more than {BLOCK_OCTETS_MAX} octets: it is damaged")
                }
                Err(_) => bail!("what follows is no packet: the capture is damaged"),
            };
            if is_packet {
                break;
            }
        }
        // The same block again: what was found is borrowed from it now.
        let Ok((_, block)) = self.blocks.next() else {
            return Ok(None);
        };
        packet(&self.interfaces, block).map(Some)
    }
}

/// Remembers sections and interfaces; `true` if the block is a packet that can be looked at.
fn take_note(interfaces: &mut Vec<Interface>, block: &PcapBlockOwned<'_>) -> anyhow::Result<bool> {
    match block {
        PcapBlockOwned::LegacyHeader(header) => {
            let units_per_s = if header.is_nanosecond_precision() {
                NS_PER_S
            } else {
                1_000_000
            };
            interfaces.push(Interface {
                // Above are flags of the frame check sequence.
                link_type: Linktype(header.network.0 & 0xffff),
                units_per_s,
                offset_s: 0,
            });
            Ok(false)
        }
        PcapBlockOwned::NG(Block::SectionHeader(_)) => {
            interfaces.clear();
            Ok(false)
        }
        PcapBlockOwned::NG(Block::InterfaceDescription(description)) => {
            if interfaces.len() == INTERFACES_MAX {
                bail!("a section has more than {INTERFACES_MAX} interfaces: the capture is damaged");
            }
            interfaces.push(Interface {
                link_type: description.linktype,
                units_per_s: description.ts_resolution().unwrap_or(1_000_000),
                offset_s: description.ts_offset(),
            });
            Ok(false)
        }
        block => match parts(interfaces, block)? {
            Some(parts) => Ok(parts.link.view(parts.octets).is_some()),
            None => Ok(false),
        },
    }
}

fn packet<'a>(interfaces: &[Interface], block: PcapBlockOwned<'a>) -> anyhow::Result<Packet<'a>> {
    let parts = parts(interfaces, &block)?.context("no packet")?;
    let view = parts.link.view(parts.octets).context("no packet")?;
    Ok(Packet {
        view,
        received_ns: parts.received_ns,
        octets_held: parts.octets.len(),
        octets_sent: parts.octets_sent,
    })
}

struct Parts<'a> {
    link: Link,
    octets: &'a [u8],
    octets_sent: usize,
    received_ns: Option<i64>,
}

/// What a block says of a packet; `None` if it holds none.
fn parts<'a>(interfaces: &[Interface], block: &PcapBlockOwned<'a>) -> anyhow::Result<Option<Parts<'a>>> {
    let (interface, octets, octets_sent, units) = match block {
        PcapBlockOwned::Legacy(packet) => {
            let units_per_s = interfaces.first().map_or(0, |interface| interface.units_per_s);
            let units = u64::from(packet.ts_sec) * units_per_s + u64::from(packet.ts_usec);
            (0, packet.data, packet.origlen, Some(units))
        }
        PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
            let held = (packet.caplen as usize).min(packet.data.len());
            let units = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
            (
                packet.if_id as usize,
                &packet.data[..held],
                packet.origlen,
                Some(units),
            )
        }
        PcapBlockOwned::NG(Block::SimplePacket(packet)) => {
            let held = (packet.orig_len() as usize).min(packet.data.len());
            (0, &packet.data[..held], packet.origlen, None)
        }
        _ => return Ok(None),
    };
    let interface = interfaces.get(interface).with_context(|| {
        format!("a packet of interface {interface}, which was not described: the capture is damaged")
    })?;
    Ok(Some(Parts {
        link: Link::new(interface.link_type)?,
        octets,
        octets_sent: octets_sent as usize,
        received_ns: units.and_then(|units| interface.ns(units)),
    }))
}

/// Reads until the buffer is full or the input ends: a pipe gives less, and the parser takes that for the end.
struct Full<R>(R);

impl<R: Read> Read for Full<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.0.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(octets) => filled += octets,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}
