//! All threads of a collector, started, reloaded and stopped together.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use bus::FrameSender;
use config::Config;
use wire::frame::PayloadKind;

use crate::allow_list::{AllowList, ExporterCache, SharedAllowList};
use crate::counters::{Counts, ThreadCounters};
use crate::error::StartError;
use crate::exchange::Exchange;
use crate::framer::Framer;
use crate::producer::{Producer, Undelivered};
use crate::receive::socket::{self, ListenSocket};
use crate::receive::uring::Receiver;
use crate::worker::Worker;

/// Buffers of each thread beyond one for every stream, in octets: what may wait while the bus takes its time, as a disk
/// does. Memory is taken from the machine only when they are used.
const WAITING_BYTES: usize = 64 * 1024 * 1024;

/// The sockets of a collector: all that needs privileges. Datagrams wait in them until [`Sockets::start`].
pub struct Sockets {
    by_thread: Vec<Vec<ListenSocket>>,
    settings: config::Collector,
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
        Ok(Self {
            by_thread,
            settings: settings.clone(),
        })
    }

    /// What datagrams they receive.
    pub fn kinds(&self) -> Vec<PayloadKind> {
        kinds(&self.settings)
    }

    /// Where they listen, in the listeners' order.
    pub fn addresses(&self) -> Vec<SocketAddr> {
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
        plan.say_memory(self.settings.cores.len());
        let addresses = self.addresses();
        let threads = (self.settings.cores.iter().zip(self.by_thread))
            .map(|(&core, sockets)| plan.start_thread(core, sockets))
            .collect::<Result<Vec<_>, _>>()
            .inspect_err(|_| plan.stop.store(true, Ordering::Release))?;
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
        })
    }
}

/// What all receive threads are made from.
struct ThreadPlan {
    settings: config::Collector,
    kinds: Vec<PayloadKind>,
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

/// Kinds of the listeners.
fn kinds(settings: &config::Collector) -> Vec<PayloadKind> {
    let listens = |kind: &PayloadKind| {
        let mut listeners = settings.listeners.iter();
        listeners.any(|listener| socket::payload_kind(listener.kind) == *kind)
    };
    PayloadKind::ALL.into_iter().filter(listens).collect()
}

impl ThreadPlan {
    fn new(settings: &config::Collector, exporters: &config::Exporters, partitions: u16) -> Self {
        Self {
            kinds: kinds(settings),
            settings: settings.clone(),
            partitions,
            allow_list: Arc::new(SharedAllowList::new(AllowList::new(exporters))),
            stop: Arc::default(),
        }
    }

    /// Frame buffers of one thread.
    fn buffers(&self) -> usize {
        self.kinds.len() * usize::from(self.partitions) + WAITING_BYTES / self.settings.frame_bytes
    }

    fn say_memory(&self, threads: usize) {
        const MIB: usize = 1024 * 1024;
        let frames = self.buffers() * self.settings.frame_bytes;
        let receive = usize::from(self.settings.ring_buffers) * self.settings.datagram_bytes_max;
        tracing::info!(
            "memory for each of {threads} threads, at most: {} MiB in {} frame buffers, {} MiB in {} receive buffers; \
             {} MiB more in each socket",
            frames.div_ceil(MIB),
            self.buffers(),
            receive.div_ceil(MIB),
            self.settings.ring_buffers,
            self.settings.socket_buffer_bytes.div_ceil(MIB),
        );
    }

    /// Starts a thread on `core` and waits until it is set up.
    fn start_thread(&self, core: usize, sockets: Vec<ListenSocket>) -> Result<ReceiveThread, StartError> {
        let counters = Arc::new(ThreadCounters::default());
        let exchange = Arc::new(Exchange::new(self.buffers(), self.settings.frame_bytes));
        let framer = Framer::new(
            &self.kinds,
            self.partitions,
            Duration::from_millis(self.settings.frame_age_ms),
            Arc::clone(&exchange),
            Arc::clone(&counters),
        );
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
                let worker = Worker::new(receiver, framer, exporters, for_thread, stop);
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
}

/// A running collector.
pub struct Collector {
    threads: Vec<ReceiveThread>,
    producer: Producer,
    sender: Arc<dyn FrameSender>,
    allow_list: Arc<SharedAllowList>,
    stop: Arc<AtomicBool>,
    addresses: Vec<SocketAddr>,
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
