//! A model of one CGN: blocks of outside ports given to subscribers, sessions that open and close in them.
//!
//! Everything that happens follows from the seed; time goes in and only stamps what happens. Lifetimes are counted
//! in events: each step closes a random session or opens one, so that lifetimes are exponential and the number of
//! live sessions stays about the same, whatever the rate is.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};

use event::{Action, Event, Kind, Text};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::pool::{Destination, Destinations, ICMP, OutsidePool, Subscriber, TCP, UDP};

/// What kind of CGN is modelled.
#[derive(Clone, Copy, Debug)]
pub struct Traits {
    /// Addresses that the CGNs translate to.
    pub outside: OutsidePool,
    /// Outside ports of a block.
    pub block_ports: u16,
    /// The device logs VRFs.
    pub vrf: bool,
    /// The device logs user names.
    pub usernames: bool,
    /// The device logs blocks again while they are in use.
    pub interim: bool,
    /// The device has endpoint-independent port mappings.
    pub port_mappings: bool,
    /// The device has one-to-one address mappings.
    pub address_mappings: bool,
}

/// Size of the model. All numbers are of this one exporter.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// This exporter's number, and how many there are: they share subscribers and the outside pool among them.
    pub exporter: u32,
    pub exporters: u32,
    /// Subscribers of all exporters.
    pub subscribers: u32,
    /// Events that will be asked for; short runs have fewer live sessions, so that they too see sessions close.
    pub events: u64,
}

/// What is known about an event beyond its fields; some formats write it.
#[derive(Clone, Copy, Debug)]
pub struct Detail {
    /// Number of the session on the device.
    pub session: u32,
    /// When the mapping began, in ns since 1970.
    pub began_ns: i64,
    /// Blocks that the subscriber holds after this event.
    pub blocks_used: u8,
    pub service: &'static str,
}

/// Most blocks that one subscriber holds at a time.
pub const BLOCKS_PER_SUBSCRIBER_MAX: u8 = 4;

const FIRST_PORT: u16 = 1024;
const BLOCK_PORTS_MAX: usize = 512;
/// Most sessions that are alive at a time, over all exporters (32 octets each).
const LIVE_MAX: u64 = 4_000_000;
/// Sessions alive per subscriber, as measured on a campus network.
const LIVE_PER_SUBSCRIBER: u64 = 38;

/// A live session or port mapping in a block.
#[derive(Clone, Copy, Debug)]
struct Flow {
    began_ns: i64,
    session: u32,
    destination: Destination,
    x_port: u16,
    src_port: u16,
    protocol: u8,
    kind: Kind,
}

#[derive(Clone, Debug)]
struct Block {
    address: Ipv4Addr,
    first_port: u16,
    /// Subscriber who holds it, or held it last.
    owner: u32,
    allocated_ns: i64,
    ports_used: [u64; BLOCK_PORTS_MAX / 64],
    flows: Vec<Flow>,
}

/// A subscriber with an address of his own.
#[derive(Clone, Copy, Debug)]
struct Static {
    owner: u32,
    outside: Ipv4Addr,
    bound: bool,
    began_ns: i64,
}

/// One CGN.
#[derive(Debug)]
pub struct Cgn {
    traits: Traits,
    rng: SmallRng,
    subscribers: Vec<Subscriber>,
    blocks_held: Vec<u8>,
    blocks: Vec<Block>,
    /// Blocks that nobody holds, the longest unused first.
    free: VecDeque<u32>,
    held: Vec<u32>,
    /// A block that is being given back: its flows close first.
    draining: Option<u32>,
    statics: Vec<Static>,
    destinations: Destinations,
    held_target: usize,
    live: u64,
    live_target: u64,
    sessions: u32,
}

impl Cgn {
    /// # Errors
    /// In words for the operator, when subscribers or outside addresses do not suffice.
    pub fn new(traits: Traits, size: Size, seed: u64) -> Result<Self, String> {
        debug_assert!(usize::from(traits.block_ports) <= BLOCK_PORTS_MAX && size.exporter < size.exporters);
        let numbers = (size.exporter..size.subscribers).step_by(size.exporters as usize);
        let subscribers: Vec<_> = numbers.map(Subscriber::new).collect();
        if subscribers.is_empty() {
            return Err(format!(
                "{} subscribers are too few for {} exporters",
                size.subscribers, size.exporters
            ));
        }
        let count = subscribers.len();
        // 1.08 blocks a subscriber are in use on average; twice as many exist, so that a block rests between holders.
        let held_target = (count + count / 12).max(1);
        let blocks_per_address = usize::from((u16::MAX - FIRST_PORT) / traits.block_ports);
        let addresses = (2 * held_target + 16).div_ceil(blocks_per_address);
        let static_count = if traits.address_mappings {
            count.div_ceil(100)
        } else {
            0
        };
        let outside: Option<Vec<_>> = (0..(addresses + static_count) as u32)
            .map(|index| traits.outside.address(index * size.exporters + size.exporter))
            .collect();
        let outside =
            outside.ok_or("too many subscribers for the outside addresses; take fewer with --subscribers")?;
        let (for_blocks, for_statics) = outside.split_at(addresses);

        let mut rng =
            SmallRng::seed_from_u64(seed ^ u64::from(size.exporter).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let block = |address, number: usize, owner| Block {
            address,
            first_port: FIRST_PORT + number as u16 * traits.block_ports,
            owner,
            allocated_ns: 0,
            ports_used: [0; BLOCK_PORTS_MAX / 64],
            flows: Vec::new(),
        };
        // Over all addresses first: neighbouring subscribers are not on one address.
        let blocks: Vec<_> = (0..blocks_per_address)
            .flat_map(|number| for_blocks.iter().map(move |&address| (address, number)))
            .map(|(address, number)| block(address, number, rng.random_range(0..count as u32)))
            .collect();
        // Static addresses are of IPv4 lines: one-to-one NAT does not cross families.
        let v4_lines = (0..count as u32).filter(|&owner| subscribers[owner as usize].inside.is_ipv4());
        let statics = v4_lines
            .step_by(if count > 100 { 97 } else { 1 })
            .zip(for_statics)
            .map(|(owner, &outside)| Static {
                owner,
                outside,
                bound: false,
                began_ns: 0,
            })
            .collect();
        let live_max = LIVE_MAX.min(size.events / 8) / u64::from(size.exporters);
        Ok(Self {
            traits,
            destinations: Destinations::new(&mut rng),
            rng,
            blocks_held: vec![0; count],
            subscribers,
            free: (0..blocks.len() as u32).collect(),
            blocks,
            held: Vec::with_capacity(held_target),
            draining: None,
            statics,
            held_target,
            live: 0,
            live_target: (held_target as u64 * LIVE_PER_SUBSCRIBER).min(live_max).max(1),
            sessions: 0,
        })
    }

    /// The next thing that happens, at `now_ns` (since 1970).
    pub fn step(&mut self, now_ns: i64) -> (Event<'_>, Detail) {
        if let Some(block) = self.draining {
            return match self.blocks[block as usize].flows.len() {
                0 => self.release(block),
                flows => self.close(block, flows - 1),
            };
        }
        let draw = self.rng.random_range(0..1000u32);
        match draw {
            0..6 if !self.statics.is_empty() => self.toggle_static(now_ns),
            6..16 if self.traits.interim && !self.held.is_empty() => self.interim(),
            16..26 if self.held.len() > 1 && self.held.len() * 2 > self.held_target => {
                self.start_release(now_ns)
            }
            26..46 if self.held.len() < self.held_target => self.allocate(now_ns),
            46..100 if self.traits.port_mappings => self.flow(Kind::Port, now_ns),
            _ => self.flow(Kind::Session, now_ns),
        }
    }

    /// Opens or closes a session or port mapping, so that about the wanted number lives.
    fn flow(&mut self, kind: Kind, now_ns: i64) -> (Event<'_>, Detail) {
        // Opening is certain with none alive, an even chance at the target, impossible at twice the target.
        let opens = self.rng.random_range(0..2 * self.live_target) >= self.live;
        if self.held.is_empty() {
            return self.allocate(now_ns);
        }
        for _ in 0..8 {
            let block = self.held[self.rng.random_range(0..self.held.len())];
            let flows = self.blocks[block as usize].flows.len();
            if opens && flows < usize::from(self.traits.block_ports) {
                return self.open(block, kind, now_ns);
            }
            if !opens && flows > 0 {
                let flow = self.rng.random_range(0..flows);
                return self.close(block, flow);
            }
        }
        if opens {
            self.start_release(now_ns)
        } else {
            self.allocate(now_ns)
        }
    }

    fn open(&mut self, block: u32, kind: Kind, now_ns: i64) -> (Event<'_>, Detail) {
        let destination = self.destinations.draw(&mut self.rng);
        let ports = usize::from(self.traits.block_ports);
        let start = self.rng.random_range(0..ports);
        let src_port = self.rng.random_range(1024..=u16::MAX);
        let rng_protocol = self.rng.random_range(0..2);
        let this = &mut self.blocks[block as usize];
        // A port serves one flow at a time, whatever the protocol: no two live flows have the same outside end.
        let offset = (start..ports)
            .chain(0..start)
            .find(|offset| this.ports_used[offset / 64] >> (offset % 64) & 1 == 0)
            .unwrap_or(start);
        this.ports_used[offset / 64] |= 1 << (offset % 64);
        let protocol = match kind {
            Kind::Port if rng_protocol == 0 => TCP,
            Kind::Port => UDP,
            _ => destination.protocol,
        };
        self.sessions = self.sessions.wrapping_add(1);
        let flow = Flow {
            began_ns: now_ns,
            session: self.sessions,
            destination,
            x_port: this.first_port + offset as u16,
            src_port,
            protocol,
            kind,
        };
        this.flows.push(flow);
        self.live += 1;
        self.flow_event(block, flow, Action::Created)
    }

    fn close(&mut self, block: u32, flow: usize) -> (Event<'_>, Detail) {
        let this = &mut self.blocks[block as usize];
        let flow = this.flows.swap_remove(flow);
        let offset = usize::from(flow.x_port - this.first_port);
        debug_assert!(
            this.ports_used[offset / 64] >> (offset % 64) & 1 == 1,
            "only open flows close"
        );
        this.ports_used[offset / 64] &= !(1 << (offset % 64));
        self.live -= 1;
        self.flow_event(block, flow, Action::Deleted)
    }

    fn flow_event(&self, block: u32, flow: Flow, action: Action) -> (Event<'_>, Detail) {
        let this = &self.blocks[block as usize];
        let mut event = self.event(flow.kind, action, this.owner, this.address);
        event.protocol = Some(flow.protocol);
        event.src_port = Some(flow.src_port);
        event.x_port = Some(flow.x_port);
        if flow.kind == Kind::Session {
            event.dst_ip = Some(IpAddr::V4(flow.destination.address));
            // The query identifier is the same on both ends.
            event.dst_port = Some(if flow.protocol == ICMP {
                flow.x_port
            } else {
                flow.destination.port
            });
            event.subscriber = if self.traits.usernames {
                self.subscribers[this.owner as usize].name()
            } else {
                None
            };
        }
        let detail = Detail {
            session: flow.session,
            began_ns: flow.began_ns,
            blocks_used: 0,
            service: flow.destination.service,
        };
        (event, detail)
    }

    /// Gives the block that rested longest to a subscriber.
    fn allocate(&mut self, now_ns: i64) -> (Event<'_>, Detail) {
        let count = self.subscribers.len() as u32;
        // Owners come in turns, so that a block does not return to the same subscriber before it was with all others:
        // two allocations in one second (as fine as some formats tell) are never the same event.
        let stride = if count.is_multiple_of(7919) { 1 } else { 7919 };
        let Some(number) = self.free.pop_front() else {
            return self.start_release(now_ns);
        };
        let block = &mut self.blocks[number as usize];
        for _ in 0..64 {
            block.owner = (block.owner + stride % count) % count;
            if self.blocks_held[block.owner as usize] < BLOCKS_PER_SUBSCRIBER_MAX {
                break;
            }
        }
        block.allocated_ns = now_ns;
        let held = &mut self.blocks_held[block.owner as usize];
        *held = held.saturating_add(1);
        self.held.push(number);
        self.block_event(number, Action::Created)
    }

    fn interim(&mut self) -> (Event<'_>, Detail) {
        let block = self.held[self.rng.random_range(0..self.held.len())];
        self.block_event(block, Action::Updated)
    }

    /// A subscriber goes: his sessions close, then the block is given back.
    fn start_release(&mut self, now_ns: i64) -> (Event<'_>, Detail) {
        let index = self.rng.random_range(0..self.held.len());
        let block = self.held.swap_remove(index);
        self.draining = Some(block);
        self.step(now_ns)
    }

    fn release(&mut self, number: u32) -> (Event<'_>, Detail) {
        let block = &self.blocks[number as usize];
        debug_assert!(
            block.ports_used.iter().all(|&ports| ports == 0),
            "closed flows give their ports back"
        );
        let held = &mut self.blocks_held[block.owner as usize];
        *held = held.saturating_sub(1);
        self.free.push_back(number);
        self.draining = None;
        self.block_event(number, Action::Deleted)
    }

    fn block_event(&self, number: u32, action: Action) -> (Event<'_>, Detail) {
        let block = &self.blocks[number as usize];
        let mut event = self.event(Kind::Block, action, block.owner, block.address);
        event.start_port = Some(block.first_port);
        event.end_port = Some(block.first_port + self.traits.block_ports - 1);
        let detail = Detail {
            session: 0,
            began_ns: block.allocated_ns,
            blocks_used: self.blocks_held[block.owner as usize],
            service: "",
        };
        (event, detail)
    }

    fn toggle_static(&mut self, now_ns: i64) -> (Event<'_>, Detail) {
        let index = self.rng.random_range(0..self.statics.len());
        let line = &mut self.statics[index];
        line.bound = !line.bound;
        if line.bound {
            line.began_ns = now_ns;
        }
        let line = *line;
        let action = if line.bound {
            Action::Created
        } else {
            Action::Deleted
        };
        let detail = Detail {
            session: 0,
            began_ns: line.began_ns,
            blocks_used: 0,
            service: "",
        };
        (
            self.event(Kind::Address, action, line.owner, line.outside),
            detail,
        )
    }

    fn event(&self, kind: Kind, action: Action, owner: u32, outside: Ipv4Addr) -> Event<'_> {
        let owner = &self.subscribers[owner as usize];
        let mut event = Event::new(kind, action, owner.inside, Some(IpAddr::V4(outside)));
        event.vrf = self.traits.vrf.then_some(Text::plain(owner.vrf));
        event
    }
}
