//! AF_XDP sockets as the place where the XDP program sends what it accepts.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;

use aya::Pod;
use aya::maps::{Array, HashMap, MapData, MapError, XskMap};
use config::Spread;
use wire::verdict::{AfXdp, Listener, MAP_AF_XDP, MAP_LISTENERS, MAP_XSK_QUEUES, MAP_XSK_SOCKETS, XskQueue};

use super::error::{map_error, missing};
use super::{Shared, XdpError, XdpFilter};

/// Where accepted packets go.
#[derive(Clone, Debug)]
pub struct Redirect<'a> {
    /// The sockets of every queue: one for each thread, in the threads' order.
    pub queues: Vec<(XskQueue, Vec<BorrowedFd<'a>>)>,
    /// Larger packets pass to the kernel.
    pub packet_octets_max: u32,
    /// How the datagrams to each port are spread over the threads.
    pub spread: Vec<(u16, Spread)>,
}

// SAFETY: `repr(C)`, integers only, no padding.
unsafe impl Pod for Shared<AfXdp> {}
// SAFETY: as above.
unsafe impl Pod for Shared<XskQueue> {}

impl XdpFilter {
    /// Sends what is accepted to these sockets from now on, packet by packet as long as a socket is there. To be called
    /// before the program is attached.
    pub fn redirect_to(&mut self, redirect: &Redirect<'_>) -> Result<(), XdpError> {
        self.spread(redirect)?;
        let mut place = 0;
        for (queue, sockets) in &redirect.queues {
            let error = |error: MapError| map_error("write", MAP_XSK_QUEUES, &error);
            let map = self
                .program
                .map_mut(MAP_XSK_QUEUES)
                .ok_or_else(|| missing(MAP_XSK_QUEUES))?;
            let mut map: HashMap<_, Shared<XskQueue>, u32> = HashMap::try_from(map).map_err(error)?;
            map.insert(Shared(*queue), place, 0).map_err(error)?;
            for socket in sockets {
                self.sockets()?
                    .set(place, *socket, 0)
                    .map_err(|error| map_error("write", MAP_XSK_SOCKETS, &error))?;
                place += 1;
            }
        }
        self.redirected_sockets = place;
        let threads = redirect.queues.first().map_or(0, |(_, sockets)| sockets.len());
        self.set_af_xdp(AfXdp {
            threads: threads as u32,
            packet_octets_max: redirect.packet_octets_max,
        })
    }

    /// Sends what is accepted to the kernel's sockets again. What was sent before waits in the rings. Needs no privileges.
    pub fn end_redirect(&mut self) -> Result<(), XdpError> {
        if self.redirected_sockets == 0 {
            return Ok(());
        }
        self.set_af_xdp(AfXdp::default())?;
        for place in 0..self.redirected_sockets {
            match self.sockets()?.unset(place) {
                // A socket that was closed has left by itself.
                Ok(()) | Err(MapError::KeyNotFound) => {}
                Err(error) => return Err(map_error("delete from", MAP_XSK_SOCKETS, &error)),
            }
        }
        self.redirected_sockets = 0;
        Ok(())
    }

    fn sockets(&mut self) -> Result<XskMap<&mut MapData>, XdpError> {
        let map = self
            .program
            .map_mut(MAP_XSK_SOCKETS)
            .ok_or_else(|| missing(MAP_XSK_SOCKETS))?;
        XskMap::try_from(map).map_err(|error| map_error("open", MAP_XSK_SOCKETS, &error))
    }

    fn set_af_xdp(&mut self, af_xdp: AfXdp) -> Result<(), XdpError> {
        let map = self
            .program
            .map_mut(MAP_AF_XDP)
            .ok_or_else(|| missing(MAP_AF_XDP))?;
        Array::<&mut MapData, Shared<AfXdp>>::try_from(map)
            .and_then(|mut array| array.set(0, Shared(af_xdp), 0))
            .map_err(|error| map_error("write", MAP_AF_XDP, &error))
    }

    /// Marks the ports whose datagrams are not spread by exporter. A port of several listeners is spread as the one that
    /// keeps most together.
    fn spread(&mut self, redirect: &Redirect<'_>) -> Result<(), XdpError> {
        let mut ports: BTreeMap<u16, u32> = BTreeMap::new();
        for &(port, spread) in &redirect.spread {
            let mark = match spread {
                Spread::Datagram => Listener::SPREAD_IN_TURNS | Listener::SPREAD_BY_FLOW,
                Spread::Off => Listener::SPREAD_BY_FLOW,
                Spread::Exporter => 0,
            };
            *ports.entry(port).or_insert(mark) &= mark;
        }
        let error = |error: MapError| map_error("write", MAP_LISTENERS, &error);
        let map = self
            .program
            .map_mut(MAP_LISTENERS)
            .ok_or_else(|| missing(MAP_LISTENERS))?;
        let mut map: HashMap<_, u16, Shared<Listener>> = HashMap::try_from(map).map_err(error)?;
        for (port, mark) in ports {
            let Shared(mut listener) = map.get(&port, 0).map_err(error)?;
            listener.bits |= mark;
            map.insert(port, Shared(listener), 0).map_err(error)?;
        }
        Ok(())
    }
}
