//! The frames: memory that packets are written into, shared by all threads of a queue.

use std::io;

use wire::verdict::STAMP_OCTETS;

use super::super::mapping::Mapping;

/// Frames of equal size. Each belongs to the kernel (in the fill ring or on its way), or to the thread whose rx ring names it.
#[derive(Debug)]
pub struct Umem {
    memory: Mapping,
    frames: u32,
    /// A power of two.
    frame_bytes: u32,
    huge: bool,
}

/// A packet in its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// When the XDP program saw it, in ns of CLOCK_TAI; `None` if the driver leaves no room for that.
    pub stamp: Option<u64>,
    /// From the Ethernet header on.
    pub octets: &'a [u8],
}

/// A descriptor that leads out of the frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadDescriptor;

impl Umem {
    /// `frames` frames of `frame_bytes` octets, in huge pages if so wanted (ENOMEM if there are not enough).
    pub fn new(frames: u32, frame_bytes: u32, huge: bool) -> io::Result<Self> {
        assert!(
            frame_bytes.is_power_of_two(),
            "frames have a power of two of octets"
        );
        let bytes = frames as usize * frame_bytes as usize;
        let memory = if huge {
            Mapping::huge(bytes)
        } else {
            Mapping::anonymous(bytes)
        }?;
        Ok(Self {
            memory,
            frames,
            frame_bytes,
            huge,
        })
    }

    pub fn memory(&self) -> &Mapping {
        &self.memory
    }

    /// Octets of all frames; the mapping may be longer.
    pub fn bytes(&self) -> usize {
        self.frames as usize * self.frame_bytes as usize
    }

    pub fn frame_bytes(&self) -> u32 {
        self.frame_bytes
    }

    pub fn is_huge(&self) -> bool {
        self.huge
    }

    /// Where all frames begin: what the fill ring is filled with first.
    pub fn frames(&self) -> impl Iterator<Item = u64> {
        let frame_bytes = u64::from(self.frame_bytes);
        (0..u64::from(self.frames)).map(move |frame| frame * frame_bytes)
    }

    /// Where the frame of a descriptor begins; `None` if the packet is not inside one frame, with its stamp before it.
    pub fn frame_of(&self, descriptor: &libc::xdp_desc) -> Option<u64> {
        let frame_bytes = u64::from(self.frame_bytes);
        let offset = descriptor.addr & (frame_bytes - 1);
        let begin = descriptor.addr - offset;
        let inside = begin < self.bytes() as u64
            && offset >= STAMP_OCTETS as u64
            && offset + u64::from(descriptor.len) <= frame_bytes;
        inside.then_some(begin)
    }

    /// The packet of a descriptor. Its stamp is gone afterwards, so that it cannot pass for that of the next packet there.
    ///
    /// # Safety
    /// The descriptor must come from an rx ring of these frames and be neither released nor given back. What it names must not
    /// be borrowed already.
    pub unsafe fn packet(&self, descriptor: &libc::xdp_desc) -> Result<Packet<'_>, BadDescriptor> {
        self.frame_of(descriptor).ok_or(BadDescriptor)?;
        // SAFETY: packet and stamp are inside one frame, as checked; the frame is ours and the kernel does not touch it, as
        // the caller promises.
        unsafe {
            let start = self.memory.start().add(descriptor.addr as usize);
            let stamp: *mut u64 = start.sub(STAMP_OCTETS).cast();
            let value = stamp.read_unaligned();
            stamp.write_unaligned(0);
            Ok(Packet {
                stamp: (value != 0).then_some(value),
                octets: std::slice::from_raw_parts(start, descriptor.len as usize),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn descriptor(addr: u64, len: u32) -> libc::xdp_desc {
        libc::xdp_desc {
            addr,
            len,
            options: 0,
        }
    }

    #[test]
    fn a_packet_and_its_stamp_are_read_and_the_stamp_once() {
        let umem = Umem::new(4, 2048, false).expect("memory");
        // SAFETY: inside the memory, which nobody else uses.
        unsafe {
            let frame = umem.memory.start().add(2048 + 256);
            frame.copy_from(b"packet".as_ptr(), 6);
            frame.sub(STAMP_OCTETS).cast::<u64>().write_unaligned(77);
        }
        let descriptor = descriptor(2048 + 256, 6);
        assert_eq!(umem.frame_of(&descriptor), Some(2048));
        for stamp in [Some(77), None] {
            // SAFETY: the test plays the kernel, which does not touch the frame.
            let packet = unsafe { umem.packet(&descriptor) };
            assert_eq!(
                packet,
                Ok(Packet {
                    stamp,
                    octets: b"packet"
                })
            );
        }
        assert_eq!(umem.frames().collect::<Vec<_>>(), [0, 2048, 4096, 6144]);
    }

    #[test]
    fn descriptors_that_lead_out_of_a_frame_are_refused() {
        let umem = Umem::new(3, 2048, false).expect("memory");
        for (addr, len) in [
            (7, 1),
            (256, 2048 - 255),
            (2 * 2048 + 256, 1793),
            (3 * 2048 + 256, 1),
            (u64::MAX, 1),
            (u64::MAX - 2047, u32::MAX),
            (256, u32::MAX),
        ] {
            assert_eq!(umem.frame_of(&descriptor(addr, len)), None, "{addr} {len}");
        }
        assert_eq!(umem.frame_of(&descriptor(2 * 2048 + 256, 1792)), Some(2 * 2048));
    }

    proptest! {
        #[test]
        fn no_descriptor_leads_out_of_the_memory(addr in prop_oneof![0u64..20_000, any::<u64>()], len in prop_oneof![0u32..3000, any::<u32>()]) {
            let umem = Umem::new(4, 2048, false).expect("memory");
            // SAFETY: nobody else uses the memory.
            if let Ok(packet) = unsafe { umem.packet(&descriptor(addr, len)) } {
                let range = packet.octets.as_ptr_range();
                let begin = umem.memory.start() as usize;
                prop_assert!(begin + STAMP_OCTETS <= range.start as usize && range.end as usize <= begin + umem.bytes());
            }
        }
    }
}
