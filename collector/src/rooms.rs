//! What room a receive thread's sockets have, told to the gates of the XDP program.

use std::sync::Arc;

use crate::receive::socket::ListenSocket;
use crate::xdp::Rooms;

/// One thread's part of the gates before its sockets.
pub struct ThreadRooms {
    rooms: Arc<Rooms>,
    thread: usize,
    /// Of each socket, the place of its gate.
    places: Vec<Option<usize>>,
}

impl ThreadRooms {
    /// For thread number `thread` with these sockets.
    pub fn new(rooms: Arc<Rooms>, thread: usize, sockets: &[ListenSocket]) -> Self {
        let places = (sockets.iter()).map(|socket| rooms.place(socket.address().port()));
        Self {
            places: places.collect(),
            rooms,
            thread,
        }
    }

    /// Says anew what room the sockets have. Sockets on one port share a gate; the fullest of them counts.
    pub fn publish(&self, sockets: &[ListenSocket]) {
        for (number, place) in self.places.iter().enumerate() {
            let Some(place) = *place else {
                continue;
            };
            let same_gate = |other: &usize| self.places[*other] == Some(place);
            if (0..number).any(|other| same_gate(&other)) {
                continue;
            }
            let of_port = (number..self.places.len()).filter(same_gate);
            // A socket that says nothing has room, as far as is known.
            let rooms = of_port.map(|other| sockets[other].room().unwrap_or(u64::from(u32::MAX)));
            self.rooms.publish(place, self.thread, rooms.min().unwrap_or(0));
        }
    }
}

impl Drop for ThreadRooms {
    /// A thread that has ended empties no socket: nothing must wait for it.
    fn drop(&mut self) {
        self.rooms.open();
    }
}
