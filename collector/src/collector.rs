//! All threads of a collector, started, reloaded and stopped together.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bus::{FrameSender, GivenUp};
use config::{Config, ReceivePath, Spread, Transport};
use filter::RulesError;
use rustix::thread::CpuSet;
use wire::frame::PayloadKind;

use crate::allow_list::{AllowList, ExporterCache, Limits};
use crate::counters::{Counts, ThreadCounters};
use crate::error::StartError;
use crate::exchange::Exchange;
use crate::filter::Filter;
use crate::framer::Framer;
use crate::in_force::{self, InForce};
use crate::intake::Intake;
use crate::ledger::{Book, ThreadLedger};
use crate::producer::{Producer, Undelivered};
use crate::receive::socket::{self, ListenSocket};
use crate::receive::uring::Receiver;
use crate::receive::xsk;
use crate::receive::xsk::counters::XskView;
use crate::receive::xsk::datagram::{Reader, Target};
use crate::receive::xsk::open::Opened;
use crate::receive::xsk::receiver::XskReceiver;
use crate::rooms::ThreadRooms;
use crate::rules::RuleSet;
use crate::stream;
use crate::stream::counters::StreamCounters;
use crate::stream::listener::StreamListener;
use crate::stream::tls::{Identity, TlsError};
use crate::stream::worker::StreamWorker;
use crate::worker::Worker;
use crate::xdp::{Redirect, Rooms, XdpError};

/// Buffers of each thread beyond one for every stream, in octets: what may wait while the bus takes its time, as a disk
/// does.
const WAITING_BYTES: usize = 64 * 1024 * 1024;
/// What the kernel charges a socket's buffer for the smallest datagram, at least: it and its bookkeeping.
const QUEUED_BYTES_MIN: usize = 512;

/// The sockets of a collector: all that needs privileges. Datagrams wait in them until [`Sockets::start`].
pub struct Sockets {
    by_thread: Vec<Vec<ListenSocket>>,
    streams: Vec<StreamListener>,
    /// Absent without `receive = "af_xdp"`.
    xsk: Option<Opened>,
    rules: Arc<InForce<RuleSet>>,
    settings: config::Collector,
    /// With an XDP program that drops what the sockets have no room for.
    rooms: Option<Arc<Rooms>>,
}

impl Sockets {
    /// Compiles the listeners' rules and opens their sockets, for every core of the plan.
    pub fn open(settings: &config::Collector) -> Result<Self, StartError> {
        let rules = RuleSet::new(&settings.listeners)?;
        rules.say(&settings.listeners, settings.xdp.is_some());
        for &core in &settings.cores {
            daemon::cpu::check(core).map_err(StartError::Core)?;
        }
        let by_thread = socket::open_all(
            &settings.listeners,
            settings.cores.len(),
            settings.socket_buffer_bytes,
        )?;
        let streams = stream::listener::open_all(&settings.listeners)?;
        let xsk = match settings.receive {
            ReceivePath::AfXdp => Some(xsk::open::open_all(settings)?),
            ReceivePath::Socket => None,
        };
        Ok(Self {
            by_thread,
            streams,
            xsk,
            rules: Arc::new(InForce::new(rules)),
            settings: settings.clone(),
            rooms: None,
        })
    }

    /// What the listeners ask of payloads.
    pub fn rules(&self) -> Arc<RuleSet> {
        self.rules.current()
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
        self.targets().iter().map(|target| target.address).collect()
    }

    /// The listeners for datagrams, in their order.
    fn targets(&self) -> Vec<Target> {
        let target = |(listener, socket): (usize, &ListenSocket)| Target {
            address: socket.address(),
            kind: socket.kind(),
            listener,
        };
        let sockets = self.by_thread.first().into_iter().flatten();
        sockets.enumerate().map(target).collect()
    }

    /// How the datagrams to each port are spread over the threads.
    fn spread(&self) -> Vec<(u16, Spread)> {
        let listeners =
            (self.settings.listeners.iter()).filter(|listener| listener.transport == Transport::Udp);
        (self.targets().iter().zip(listeners))
            .map(|(target, listener)| (target.address.port(), listener.spread()))
            .collect()
    }

    /// Loads the XDP program if the configuration wants it, and attaches it; with AF_XDP, its packets come to these sockets.
    pub fn attach_filter(&mut self, exporters: &config::Exporters) -> Result<Option<Filter>, XdpError> {
        let Some(xdp) = &self.settings.xdp else {
            return Ok(None);
        };
        let redirect = self.xsk.as_ref().map(|opened| Redirect {
            queues: opened.descriptors(),
            packet_octets_max: opened.packet_octets_max,
            spread: self.spread(),
        });
        let rules = self.rules();
        let listeners = self.datagram_addresses();
        let filter = Filter::attach(xdp, &listeners, exporters, &rules.datagrams, redirect.as_ref())?;
        self.shed_through(filter.rooms(self.settings.cores.len())?);
        Ok(Some(filter))
    }

    /// Most datagrams that can wait in them: a datagram takes at least [`QUEUED_BYTES_MIN`] of a socket's buffer.
    pub fn hold_max(&self) -> u64 {
        let octets = |socket: &ListenSocket| socket.buffer_bytes().unwrap_or(0);
        let octets: usize = self.by_thread.iter().flatten().map(octets).sum();
        let rings = self.xsk.as_ref().map_or(0, |opened| {
            opened
                .by_thread
                .iter()
                .flatten()
                .map(xsk::socket::XskSocket::take_max)
                .sum()
        });
        (octets / QUEUED_BYTES_MIN + rings) as u64
    }

    /// Starts all threads. Threads inherit the privileges that the calling one has now.
    pub fn start(
        self,
        exporters: &config::Exporters,
        partitions: u16,
        sender: Arc<dyn FrameSender>,
    ) -> Result<Collector, StartError> {
        let plan = ThreadPlan::new(&self.settings, exporters, partitions, Arc::clone(&self.rules));
        let (addresses, targets) = (self.addresses(), self.targets());
        let rooms = self.rooms.clone();
        let streams =
            (self.settings.listeners.iter()).filter(|listener| listener.transport != Transport::Udp);
        let identities = (streams.zip(&self.streams))
            .filter_map(|(configured, opened)| Some((configured.address, Arc::clone(opened.identity()?))))
            .collect();
        let mut threads = Vec::new();
        let mut streams = None;
        let (mut receivers, af_xdp) = match self.xsk {
            Some(opened) => {
                let verify = self.settings.af_xdp().verify_checksums;
                let reader = Reader::new(targets, verify, self.settings.datagram_bytes_max);
                let (receivers, view) = opened.into_receivers(&reader);
                (receivers.into_iter(), Some(Arc::new(view)))
            }
            None => (Vec::new().into_iter(), None),
        };
        if !plan.datagram_kinds.is_empty() {
            plan.say_memory(self.settings.cores.len());
            threads = (self.settings.cores.iter().zip(self.by_thread).enumerate())
                .map(|(number, (&core, sockets))| {
                    let rooms = rooms
                        .clone()
                        .map(|rooms| ThreadRooms::new(rooms, number, &sockets));
                    plan.start_thread(core, sockets, receivers.next(), rooms)
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
            limits: limits(&self.settings),
            rules: plan.rules,
            listeners: self.settings.listeners,
            stop: plan.stop,
            addresses,
            streams,
            af_xdp,
            identities,
            book: plan.book,
        })
    }
}

/// What all receive threads are made from.
struct ThreadPlan {
    settings: config::Collector,
    /// Of the listeners for datagrams.
    datagram_kinds: Vec<PayloadKind>,
    partitions: u16,
    allow_list: Arc<InForce<AllowList>>,
    rules: Arc<InForce<RuleSet>>,
    /// What the time of the token buckets counts from, for all threads.
    epoch: Instant,
    stop: Arc<AtomicBool>,
    book: Arc<Book>,
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

/// A datagram takes out of one bucket: in the kernel if there is a program.
fn limits(settings: &config::Collector) -> Limits {
    match settings.xdp {
        Some(_) => Limits::Kernel,
        None => Limits::UserSpace,
    }
}

impl ThreadPlan {
    fn new(
        settings: &config::Collector,
        exporters: &config::Exporters,
        partitions: u16,
        rules: Arc<InForce<RuleSet>>,
    ) -> Self {
        Self {
            datagram_kinds: kinds(&settings.listeners, |transport| transport == Transport::Udp),
            settings: settings.clone(),
            partitions,
            allow_list: Arc::new(InForce::new(AllowList::new(exporters, limits(settings)))),
            rules,
            epoch: Instant::now(),
            stop: Arc::default(),
            book: Arc::default(),
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
        xsk: Option<XskReceiver>,
        rooms: Option<ThreadRooms>,
    ) -> Result<ReceiveThread, StartError> {
        let (counters, exchange, framer) = self.framer(&self.datagram_kinds);
        let exporters = ExporterCache::new(Arc::clone(&self.allow_list), self.partitions);
        let ledger = ThreadLedger::new(Arc::clone(&self.book));
        let (rules, epoch) = (in_force::Reader::new(Arc::clone(&self.rules)), self.epoch);
        let (ring_buffers, datagram_bytes_max) =
            (self.settings.ring_buffers, self.settings.datagram_bytes_max);
        let watched = xsk.as_ref().map(XskReceiver::descriptors).unwrap_or_default();
        let stop = Arc::clone(&self.stop);
        let for_thread = Arc::clone(&counters);
        let (ready, is_ready) = mpsc::sync_channel(1);
        let handle = std::thread::Builder::new()
            .name(format!("receive-{core}"))
            .spawn(move || {
                // An io_uring belongs to the thread that makes it, and a pinned thread gets its memory nearby.
                let receiver = daemon::cpu::pin(core)
                    .map_err(StartError::Core)
                    .and_then(|()| Receiver::new(sockets, watched, ring_buffers, datagram_bytes_max));
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
                let intake = Intake::new(framer, exporters, ledger, rules, epoch, receiver.sockets().len(), for_thread);
                let worker = Worker::new(receiver, xsk, intake, rooms, stop);
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
        let intake = stream::intake::Intake::new(
            framer,
            ExporterCache::new(Arc::clone(&self.allow_list), self.partitions),
            ThreadLedger::new(Arc::clone(&self.book)),
            in_force::Reader::new(Arc::clone(&self.rules)),
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
    allow_list: Arc<InForce<AllowList>>,
    limits: Limits,
    rules: Arc<InForce<RuleSet>>,
    listeners: Vec<config::Listener>,
    stop: Arc<AtomicBool>,
    addresses: Vec<SocketAddr>,
    /// Absent without a TCP or TLS listener.
    streams: Option<Arc<StreamCounters>>,
    /// Absent without AF_XDP.
    af_xdp: Option<Arc<XskView>>,
    /// Of the TLS listeners, by their address as it is configured.
    identities: Vec<(SocketAddr, Arc<Identity>)>,
    book: Arc<Book>,
}

/// How a collector ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub counts: Counts,
    pub undelivered: Undelivered,
    /// The datagrams that the bus never took, for the ledger.
    pub given_up: GivenUp,
    /// A receive thread had ended by itself.
    pub thread_failed: bool,
}

/// What metrics show of a running collector.
#[derive(Clone)]
pub struct View {
    /// The one for connections, if there is one, at the end.
    pub threads: Vec<Arc<ThreadCounters>>,
    pub sender: Arc<dyn FrameSender>,
    pub stalls: Arc<crate::counters::Cell>,
    /// Absent without a TCP or TLS listener.
    pub streams: Option<Arc<StreamCounters>>,
    /// Absent without AF_XDP.
    pub af_xdp: Option<Arc<XskView>>,
}

impl View {
    /// Sum over all threads.
    pub fn counts(&self) -> Counts {
        Counts::sum(self.threads.iter().map(AsRef::as_ref))
    }

    /// Sum over the threads that have sockets for datagrams.
    pub fn datagram_counts(&self) -> Counts {
        let threads = self.threads.len() - usize::from(self.streams.is_some());
        Counts::sum(self.threads[..threads].iter().map(AsRef::as_ref))
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
            af_xdp: self.af_xdp.clone(),
        }
    }

    /// What the threads count for the ledger.
    pub fn book(&self) -> Arc<Book> {
        Arc::clone(&self.book)
    }

    /// Sum over all threads.
    pub fn counts(&self) -> Counts {
        Counts::sum(self.threads.iter().map(|thread| thread.counters.as_ref()))
    }

    /// Puts another allow-list in force, within milliseconds.
    pub fn reload(&self, exporters: &config::Exporters) {
        self.allow_list.replace(AllowList::new(exporters, self.limits));
    }

    /// Puts the rules that `listeners` have now in force, for the listeners that run, and gives back all that are. On an error
    /// the old ones stay.
    pub fn reload_rules(&self, listeners: &[config::Listener]) -> Result<Arc<RuleSet>, RulesError> {
        let rules = self.rules.current().changed(&self.listeners, listeners)?;
        rules.say(&self.listeners, self.limits == Limits::Kernel);
        self.rules.replace(rules);
        Ok(self.rules.current())
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
            given_up: self.producer.take_given_up(),
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
