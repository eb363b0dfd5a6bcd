//! A TCP relay out of a network namespace.
//!
//! A collector in a namespace reaches Kafka on the machine's loopback at the address that Kafka itself advertises: the
//! relay listens on the same address inside. It can cut every connection, as a failing network would.

use std::io::{ErrorKind, copy};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::netns::Namespace;

const POLL: Duration = Duration::from_millis(5);

/// Listens until it is dropped.
pub struct Relay {
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    to: SocketAddr,
    stopping: AtomicBool,
    paused: AtomicBool,
    accepted: AtomicU64,
    /// Both ends of each connection, so that they can be shut from outside.
    open: Mutex<Vec<(TcpStream, TcpStream)>>,
}

impl Relay {
    /// Listens on `listen` inside the namespace; connects to `to` from the caller's.
    pub fn new(inside: &Namespace, listen: SocketAddr, to: SocketAddr) -> Result<Self> {
        let listener = inside
            .run(|| TcpListener::bind(listen))?
            .with_context(|| format!("cannot listen on {listen} in {}", inside.name()))?;
        listener.set_nonblocking(true)?;
        let shared = Arc::new(Shared {
            to,
            stopping: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            accepted: AtomicU64::new(0),
            open: Mutex::default(),
        });
        let acceptor = spawn({
            let shared = Arc::clone(&shared);
            move || shared.accept(&listener)
        });
        Ok(Self {
            shared,
            acceptor: Some(acceptor),
        })
    }

    /// Ends every connection at once, and says how many there were. New ones are accepted.
    pub fn cut(&self) -> usize {
        let open = std::mem::take(&mut *self.shared.open.lock().unwrap_or_else(PoisonError::into_inner));
        open.iter()
            .filter(|(near, far)| {
                // One that has ended already is not counted.
                let near = near.shutdown(Shutdown::Both).is_ok();
                far.shutdown(Shutdown::Both).is_ok() || near
            })
            .count()
    }

    /// From now on, closes new connections as they come. Those that exist stay: see [`Relay::cut`].
    pub fn pause(&self) {
        self.shared.paused.store(true, Ordering::SeqCst);
    }

    /// Relays new connections again.
    pub fn resume(&self) {
        self.shared.paused.store(false, Ordering::SeqCst);
    }

    /// Connections relayed since the start.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        self.cut();
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        while !self.stopping.load(Ordering::SeqCst) {
            match listener.accept() {
                Ok((near, _)) if !self.paused.load(Ordering::SeqCst) => {
                    // A failure shows to the client as a closed connection, which is what it is.
                    let _ = self.connect(near);
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => sleep(POLL),
                Err(_) => sleep(POLL),
            }
        }
    }

    fn connect(&self, near: TcpStream) -> std::io::Result<()> {
        near.set_nonblocking(false)?;
        let far = TcpStream::connect(self.to)?;
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        for (from, to) in [
            (near.try_clone()?, far.try_clone()?),
            (far.try_clone()?, near.try_clone()?),
        ] {
            spawn(move || {
                let _ = copy(&mut &from, &mut &to);
                let _ = to.shutdown(Shutdown::Write);
            });
        }
        self.accepted.fetch_add(1, Ordering::SeqCst);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(near, _)| near.peer_addr().is_ok());
        open.push((near, far));
        Ok(())
    }
}
