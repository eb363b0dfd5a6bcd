//! Tables in user space, for tests.

extern crate std;

use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use core::sync::atomic::AtomicU64;
use std::sync::Arc;
use std::vec::Vec;

use super::{EXPORTERS, LISTENERS};
use crate::filter::{Filter, Rules};
use crate::limit::{self, Limit};
use crate::packet::Tables;
use crate::verdict::{BoundListener, ExporterId, Listener, ListenerNumber};

/// Tables in user space, searched from front to back.
#[derive(Clone, Debug)]
pub struct Plain {
    pub listeners: Vec<SocketAddr>,
    /// Address and prefix length; the number of each is its place, from 1.
    pub exporters: Vec<(IpAddr, u8)>,
    pub allow_all: bool,
    /// By listener; those beyond have none.
    pub filters: Vec<Option<Arc<Filter>>>,
    /// Limit and bucket by exporter number; those beyond have none.
    pub limits: Vec<(Limit, Arc<AtomicU64>)>,
    /// The time for the buckets.
    pub now_ns: u64,
    /// No socket has room.
    pub full: bool,
}

/// [`LISTENERS`] and [`EXPORTERS`], nobody else allowed.
impl Default for Plain {
    fn default() -> Self {
        let prefix = |text: &str| {
            let (address, length) = text.split_once('/')?;
            Some((address.parse().ok()?, length.parse().ok()?))
        };
        Self {
            listeners: LISTENERS.iter().filter_map(|text| text.parse().ok()).collect(),
            exporters: EXPORTERS.iter().filter_map(|text| prefix(text)).collect(),
            allow_all: false,
            filters: Vec::new(),
            limits: Vec::new(),
            now_ns: 0,
            full: false,
        }
    }
}

impl Plain {
    /// Exporter with the longest prefix that holds `address`.
    pub fn exporter(&self, address: IpAddr) -> Option<ExporterId> {
        let holds = |prefix: IpAddr, length: u8| match (prefix, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros() >= length.into(),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros() >= length.into(),
            _ => false,
        };
        (1..)
            .zip(&self.exporters)
            .filter(|(_, (prefix, length))| holds(*prefix, *length))
            .max_by_key(|(_, (_, length))| *length)
            .map(|(number, _)| number)
    }
}

impl Tables for Plain {
    fn listener(&self, port: u16) -> Option<Listener> {
        let mut found = None;
        for (number, listener) in (0..).zip(&self.listeners) {
            if listener.port() != port {
                continue;
            }
            let found = found.get_or_insert(Listener::default());
            match (listener.ip(), listener.ip().is_unspecified()) {
                (IpAddr::V4(_), true) => {
                    found.bits |= Listener::ANY_V4;
                    found.any_v4 = number;
                }
                (IpAddr::V6(_), true) => {
                    found.bits |= Listener::ANY_V6;
                    found.any_v6 = number;
                }
                (IpAddr::V4(_), false) => found.bits |= Listener::BOUND_V4,
                (IpAddr::V6(_), false) => found.bits |= Listener::BOUND_V6,
            }
        }
        found
    }

    fn bound(&self, listener: &BoundListener) -> Option<ListenerNumber> {
        let address = Ipv6Addr::from(listener.address).to_canonical();
        let address = SocketAddr::new(address, listener.port);
        let place = self.listeners.iter().position(|listener| *listener == address);
        place.map(|place| place as ListenerNumber)
    }

    fn exporter_v4(&self, address: [u8; 4]) -> Option<ExporterId> {
        self.exporter(address.into())
    }

    fn exporter_v6(&self, address: [u8; 16]) -> Option<ExporterId> {
        self.exporter(address.into())
    }

    fn allow_all(&self) -> bool {
        self.allow_all
    }

    fn admits(&self, exporter: ExporterId) -> bool {
        let limited = self.limits.get(exporter as usize);
        limited.is_none_or(|(limit, bucket)| limit.is_none() || limit::take(&**bucket, *limit, self.now_ns))
    }

    fn has_room(&self, _: u16) -> bool {
        !self.full
    }

    fn rules(&self, listener: ListenerNumber) -> Option<impl Rules> {
        self.filters.get(listener as usize)?.as_deref()
    }
}
