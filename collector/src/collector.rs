//! All threads of a collector, started, reloaded and stopped together.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use bus::FrameSender;
use config::{Config, Transport};
use rustix::thread::CpuSet;
use wire::frame::PayloadKind;

use crate::allow_list::{AllowList, ExporterCache, SharedAllowList};
use crate::counters::{Counts, ThreadCounters};
use crate::error::StartError;
use crate::exchange::Exchange;
use crate::framer::Framer;
use crate::producer::{Producer, Undelivered};
use crate::receive::socket::{self, ListenSocket};
use crate::receive::uring::Receiver;
use crate::stream;
use crate::stream::counters::StreamCounters;
use crate::stream::intake::Intake;
use crate::stream::listener::StreamListener;
use crate::stream::tls::{Identity, TlsError};
use crate::stream::worker::StreamWorker;
use crate::worker::{ThreadRooms, Worker};
use crate::xdp::Rooms;

/// Buffers of each thread beyond one for every stream, in octets: what may wait while the bus takes its time, as a disk
/// does.
const WAITING_BYTES: usize = 64 * 1024 * 1024;

/// The sockets of a collector: all that needs privileges. Datagrams wait in them until [`Sockets::start`].
pub struct Sockets {
    by_thread: Vec<Vec<ListenSocket>>,
    streams: Vec<StreamListener>,
    settings: config::Collector,
    /// With an XDP program that drops what the sockets have no room for.
    rooms: Option<Arc<Rooms>>,
}

impl Sockets {
    /// Opens the listeners' sockets, for every core of the plan.
    pub fn open(settings: &config::Collector) -> Result<Self, StartError> {
        for &core in &settings.cores {
            daemon::cpu::check(core).map_err(StartError::Core)?;
        }
        let by_thread = socket::open_all(
            &settings.listeners,
            settings.cores.len(),
            settings.socket_buffer_bytes,
        )?;
        let streams = stream::listener::open_all(&settings.listeners)?;
        Ok(Self {
            by_thread,
            streams,
            settings: settings.clone(),
            rooms: None,
        })
    }

    /// What the sockets have no room for is dropped by the XDP program that `rooms` belong to.
    pub fn shed_through(&mut self, rooms: Rooms) {
        self.rooms = Some(Arc::new(rooms));
    }

    /// What they receive.
    pub fn kinds(&self) -> Vec<PayloadKind> {
        kinds(&self.settings.listeners, |_| true)
    }

    /// Where they listen, in the listeners' order.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let (mut datagrams, mut streams) = (
            self.datagram_addresses().into_iter(),
            self.streams.iter().map(StreamListener::address),
        );
        let address = |listener: &config::Listener| match listener.transport {
            Transport::Udp => datagrams.next(),
            Transport::Tcp | Transport::Tls => streams.next(),
        };
        self.settings.listeners.iter().filter_map(address).collect()
    }

    /// Where those for datagrams listen, in their order.
    pub fn datagram_addresses(&self) -> Vec<SocketAddr> {
        self.by_thread
            .first()
            .into_iter()
            .flatten()
            .map(ListenSocket::address)
            .collect()
    }

    /// Starts all threads. Threads inherit the privileges that the calling one has now.
    pub fn start(
        self,
        exporters: &config::Exporters,
        partitions: u16,
        sender: Arc<dyn FrameSender>,
    ) -> Result<Collector, StartError> {
        let plan = ThreadPlan::new(&self.settings, exporters, partitions);
        let rooms = self.rooms.clone();
        let addresses = self.addresses();
        let streams =
            (self.settings.listeners.iter()).filter(|listener| listener.transport != Transport::Udp);
        let identities = (streams.zip(&self.streams))
            .filter_map(|(configured, opened)| Some((configured.address, Arc::clone(opened.identity()?))))
            .collect();
        let mut threads = Vec::new();
        let mut streams = None;
        if !plan.datagram_kinds.is_empty() {
            plan.say_memory(self.settings.cores.len());
            threads = (self.settings.cores.iter().zip(self.by_thread).enumerate())
                .map(|(number, (&core, sockets))| {
                    let rooms = rooms
                        .clone()
                        .map(|rooms| ThreadRooms::new(rooms, number, &sockets));
                    plan.start_thread(core, sockets, rooms)
                })
                .collect::<Result<Vec<_>, _>>()
                .inspect_err(|_| plan.stop.store(true, Ordering::Release))?;
        }
        if !self.streams.is_empty() {
            let (thread, counters) = plan
                .start_streams(self.streams)
                .inspect_err(|_| plan.stop.store(true, Ordering::Release))?;
            threads.push(thread);
            streams = Some(counters);
        }
        let exchanges = threads
            .iter()
            .map(|thread| Arc::clone(&thread.exchange))
            .collect();
        let producer = Producer::start(Arc::clone(&sender), exchanges)?;
        Ok(Collector {
            threads,
            producer,
            sender,
            allow_list: plan.allow_list,
            stop: plan.stop,
            addresses,
            streams,
            identities,
        })
    }
}

/// What all receive threads are made from.
struct ThreadPlan {
    settings: config::Collector,
    /// Of the listeners for datagrams.
    datagram_kinds: Vec<PayloadKind>,
    partitions: u16,
    allow_list: Arc<SharedAllowList>,
    stop: Arc<AtomicBool>,
}

struct ReceiveThread {
    /// Taken when it has ended.
    handle: Option<JoinHandle<io::Result<()>>>,
    counters: Arc<ThreadCounters>,
    exchange: Arc<Exchange>,
}

/// Kinds of the listeners with such a transport.
fn kinds(listeners: &[config::Listener], with: impl Fn(Transport) -> bool) -> Vec<PayloadKind> {
    let listens = |kind: &PayloadKind| {
        (listeners.iter())
            .any(|listener| with(listener.transport) && socket::payload_kind(listener.kind) == *kind)
    };
    PayloadKind::ALL.into_iter().filter(listens).collect()
}

impl ThreadPlan {
    fn new(settings: &config::Collector, exporters: &config::Exporters, partitions: u16) -> Self {
        Self {
            datagram_kinds: kinds(&settings.listeners, |transport| transport == Transport::Udp),
            settings: settings.clone(),
            partitions,
            allow_list: Arc::new(SharedAllowList::new(AllowList::new(exporters))),
            stop: Arc::default(),
        }
    }

    /// Frame buffers of one thread for so many kinds.
    fn buffers(&self, kinds: usize) -> usize {
        kinds * usize::from(self.partitions) + WAITING_BYTES / self.settings.frame_bytes
    }

    /// Counters, buffers and frames of one thread.
    fn framer(&self, kinds: &[PayloadKind]) -> (Arc<ThreadCounters>, Arc<Exchange>, Framer) {
        let counters = Arc::new(ThreadCounters::default());
        let exchange = Arc::new(Exchange::new(
            self.buffers(kinds.len()),
            self.settings.frame_bytes,
        ));
        let framer = Framer::new(
            kinds,
            self.partitions,
            Duration::from_millis(self.settings.frame_age_ms),
            Arc::clone(&exchange),
            Arc::clone(&counters),
        );
        (counters, exchange, framer)
    }

    fn say_memory(&self, threads: usize) {
        const MIB: usize = 1024 * 1024;
        let buffers = self.buffers(self.datagram_kinds.len());
        let frames = buffers * self.settings.frame_bytes;
        let receive = usize::from(self.settings.ring_buffers) * self.settings.datagram_bytes_max;
        tracing::info!(
            "memory for each of {threads} threads, at most: {} MiB in {} frame buffers, {} MiB in {} receive buffers; \
             {} MiB more in each socket",
            frames.div_ceil(MIB),
            buffers,
            receive.div_ceil(MIB),
            self.settings.ring_buffers,
            self.settings.socket_buffer_bytes.div_ceil(MIB),
        );
    }

    /// Starts a thread on `core` and waits until it is set up.
    fn start_thread(
        &self,
        core: usize,
        sockets: Vec<ListenSocket>,
        rooms: Option<ThreadRooms>,
    ) -> Result<ReceiveThread, StartError> {
        let (counters, exchange, framer) = self.framer(&self.datagram_kinds);
        let exporters = ExporterCache::new(Arc::clone(&self.allow_list), self.partitions);
        let (ring_buffers, datagram_bytes_max) =
            (self.settings.ring_buffers, self.settings.datagram_bytes_max);
        let stop = Arc::clone(&self.stop);
        let for_thread = Arc::clone(&counters);
        let (ready, is_ready) = mpsc::sync_channel(1);
        let handle = std::thread::Builder::new()
            .name(format!("receive-{core}"))
            .spawn(move || {
                // An io_uring belongs to the thread that makes it, and a pinned thread gets its memory nearby.
                let receiver = daemon::cpu::pin(core)
                    .map_err(StartError::Core)
                    .and_then(|()| Receiver::new(sockets, ring_buffers, datagram_bytes_max));
                let receiver = match receiver {
                    Ok(receiver) => receiver,
                    Err(error) => {
                        let _ = ready.send(Err(error));
                        return Ok(());
                    }
                };
                if !receiver.has_batched_wait() {
                    tracing::warn!(
                        "this kernel cannot batch io_uring's wake-ups (Linux 6.12 can): receiving costs more CPU"
                    );
                }
                let worker = Worker::new(receiver, framer, exporters, for_thread, stop, rooms);
                let _ = ready.send(Ok(()));
                let ended = worker.run();
                if let Err(error) = &ended {
                    tracing::error!("receive thread on CPU {core} ended: the kernel refuses to receive: {error}");
                }
                ended
            })
            .map_err(|source| StartError::Resource { what: "start a receive thread", source })?;
        is_ready.recv().unwrap_or_else(|_| {
            let source = io::Error::other("it ended at once");
            Err(StartError::Resource {
                what: "set up a receive thread",
                source,
            })
        })?;
        Ok(ReceiveThread {
            handle: Some(handle),
            counters,
            exchange,
        })
    }

    /// Starts the thread of all connections. It may run on every core of the plan, and is pinned to none: what it does can
    /// wait, what the others do cannot.
    fn start_streams(
        &self,
        listeners: Vec<StreamListener>,
    ) -> Result<(ReceiveThread, Arc<StreamCounters>), StartError> {
        let (counters, exchange, framer) = self.framer(&[PayloadKind::Syslog]);
        let streams = Arc::new(StreamCounters::default());
        let intake = Intake::new(
            framer,
            ExporterCache::new(Arc::clone(&self.allow_list), self.partitions),
            Arc::clone(&counters),
            Arc::clone(&streams),
        );
        let resource = |what| move |source| StartError::Resource { what, source };
        tracing::info!(
            "memory for TCP and TLS, at most: {} connections and {} MiB in {} frame buffers",
            stream::listener::connections_max(&listeners),
            (self.buffers(1) * self.settings.frame_bytes).div_ceil(1024 * 1024),
            self.buffers(1)
        );
        let worker = StreamWorker::new(listeners, intake, Arc::clone(&self.stop))
            .map_err(resource("set up epoll for TCP connections"))?;
        let mut cores = CpuSet::new();
        for &core in self.settings.cores.iter().filter(|core| **core < CpuSet::MAX_CPU) {
            cores.set(core);
        }
        let handle = std::thread::Builder::new()
            .name("streams".into())
            .spawn(move || {
                rustix::thread::sched_setaffinity(None, &cores)?;
                let ended = worker.run();
                if let Err(error) = &ended {
                    tracing::error!("the thread of the TCP connections ended: {error}");
                }
                ended
            })
            .map_err(resource("start the thread of the TCP connections"))?;
        let thread = ReceiveThread {
            handle: Some(handle),
            counters,
            exchange,
        };
        Ok((thread, streams))
    }
}

/// A running collector.
pub struct Collector {
    threads: Vec<ReceiveThread>,
    producer: Producer,
    sender: Arc<dyn FrameSender>,
    allow_list: Arc<SharedAllowList>,
    stop: Arc<AtomicBool>,
    addresses: Vec<SocketAddr>,
    /// Absent without a TCP or TLS listener.
    streams: Option<Arc<StreamCounters>>,
    /// Of the TLS listeners, by their address as it is configured.
    identities: Vec<(SocketAddr, Arc<Identity>)>,
}

/// How a collector ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub counts: Counts,
    pub undelivered: Undelivered,
    /// A receive thread had ended by itself.
    pub thread_failed: bool,
}

/// What metrics show of a running collector.
#[derive(Clone)]
pub struct View {
    pub threads: Vec<Arc<ThreadCounters>>,
    pub sender: Arc<dyn FrameSender>,
    pub stalls: Arc<crate::counters::Cell>,
    /// Absent without a TCP or TLS listener.
    pub streams: Option<Arc<StreamCounters>>,
}

impl View {
    /// Sum over all threads.
    pub fn counts(&self) -> Counts {
        Counts::sum(self.threads.iter().map(AsRef::as_ref))
    }
}

impl Collector {
    /// Opens sockets and starts all threads.
    pub fn start(config: &Config, sender: Arc<dyn FrameSender>) -> Result<Self, StartError> {
        let settings = config.collector.as_ref().ok_or(StartError::NotConfigured)?;
        Sockets::open(settings)?.start(&config.exporters, config.bus.partitions, sender)
    }

    /// Where it listens, in the listeners' order; with the real port where the configuration says 0.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What metrics need; outlives the collector.
    pub fn view(&self) -> View {
        View {
            threads: self
                .threads
                .iter()
                .map(|thread| Arc::clone(&thread.counters))
                .collect(),
            sender: Arc::clone(&self.sender),
            stalls: self.producer.stalls(),
            streams: self.streams.clone(),
        }
    }

    /// Sum over all threads.
    pub fn counts(&self) -> Counts {
        Counts::sum(self.threads.iter().map(|thread| thread.counters.as_ref()))
    }

    /// Puts another allow-list in force, within milliseconds.
    pub fn reload(&self, exporters: &config::Exporters) {
        self.allow_list.replace(AllowList::new(exporters));
    }

    /// Reads the certificates of the TLS listeners again, for new connections, from the files that `listeners` name now.
    /// Gives back the addresses of the listeners that have new ones, and why others keep what they had.
    pub fn reload_certificates(
        &self,
        listeners: &[config::Listener],
    ) -> Vec<(SocketAddr, Result<(), TlsError>)> {
        let reload = |(address, identity): &(SocketAddr, Arc<Identity>)| {
            let files = listeners
                .iter()
                .find(|listener| listener.address == *address)?
                .tls_files()?;
            Some((*address, identity.reload(files)))
        };
        self.identities.iter().filter_map(reload).collect()
    }

    /// Whether a receive thread has ended by itself: what comes to its sockets is lost.
    pub fn has_failed(&self) -> bool {
        let ended = |thread: &ReceiveThread| thread.handle.as_ref().is_none_or(JoinHandle::is_finished);
        self.threads.iter().any(ended)
    }

    /// Takes what is in the sockets, closes all frames and waits until the bus has them, at most `limit`.
    pub fn stop(mut self, limit: Duration) -> Outcome {
        let thread_failed = self.has_failed();
        self.end_threads();
        let undelivered = self.producer.finish(limit);
        Outcome {
            counts: self.counts(),
            undelivered,
            thread_failed,
        }
    }

    fn end_threads(&mut self) {
        self.stop.store(true, Ordering::Release);
        for thread in &mut self.threads {
            if thread.handle.take().is_some_and(|handle| handle.join().is_err()) {
                tracing::error!("a receive thread panicked; its open frames are lost");
            }
        }
    }
}

impl Drop for Collector {
    /// Without [`Collector::stop`], threads end as soon as they can.
    fn drop(&mut self) {
        self.end_threads();
    }
}
