//! The filter in the kernel while the collector runs: read by the metrics, rewritten on reload.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use daemon::metrics::Text;
use daemon::repeat::Repeat;
use filter::Compiled;
use std::net::SocketAddr;
use std::time::Duration;

use crate::ledger::interface::{self, InterfaceCounts};
use crate::metrics;
use crate::xdp::{Count, Redirect, Rooms, XdpError, XdpFilter};

/// The attached XDP program, shared between threads. It leaves the interfaces with the last clone.
#[derive(Clone)]
pub struct Filter {
    inner: Arc<Mutex<Program>>,
    unreadable: Arc<Repeat>,
    interfaces: Arc<Attached>,
}

/// The interfaces that the program is on.
#[derive(Debug)]
pub struct Attached {
    pub interfaces: Vec<String>,
    /// Their counts when the program had seen nothing yet …
    pub start: InterfaceCounts,
    /// … up to so many packets, as interfaces and program are not asked at one moment.
    pub skew: u64,
}

/// How often the two are asked until nothing comes between.
const START_LOOKS: u32 = 5;

impl Attached {
    /// Looks at interfaces that `filter` was just attached to.
    fn new(interfaces: &[String], filter: &XdpFilter) -> Result<Self, XdpError> {
        let mut looks = 0;
        loop {
            let first = interface::read(interfaces);
            let seen: u64 = filter.counts()?.iter().map(|count| count.packets).sum();
            let skew = interface::read(interfaces)
                .received
                .saturating_sub(first.received);
            looks += 1;
            if skew == 0 || looks == START_LOOKS {
                return Ok(Self {
                    interfaces: interfaces.to_vec(),
                    start: InterfaceCounts {
                        received: first.received.saturating_sub(seen),
                        ..first
                    },
                    skew,
                });
            }
        }
    }
}

struct Program {
    filter: XdpFilter,
    /// What is in force in it, by listener.
    rules: Vec<Arc<Compiled>>,
}

impl Filter {
    /// Loads the program for `listeners`, with `rules` by their numbers, and attaches it to the configured interfaces; what it
    /// accepts goes to AF_XDP sockets if there are such.
    pub fn attach(
        settings: &config::Xdp,
        listeners: &[SocketAddr],
        exporters: &config::Exporters,
        rules: &[Arc<Compiled>],
        redirect: Option<&Redirect<'_>>,
    ) -> Result<Self, XdpError> {
        let mut program = Program {
            filter: XdpFilter::load(listeners, exporters)?,
            rules: Vec::new(),
        };
        program.set_rules(rules)?;
        if let Some(redirect) = redirect {
            program.filter.redirect_to(redirect)?;
        }
        program.filter.attach(&settings.interfaces, settings.mode)?;
        let attached = Attached::new(&settings.interfaces, &program.filter)?;
        tracing::info!(
            "XDP program attached to {} in {:?} mode",
            settings.interfaces.join(", "),
            settings.mode
        );
        Ok(Self {
            inner: Arc::new(Mutex::new(program)),
            unreadable: Arc::new(Repeat::every(Duration::from_mins(1))),
            interfaces: Arc::new(attached),
        })
    }

    /// The gates of the listeners' ports, for so many receive threads.
    pub fn rooms(&self, threads: usize) -> Result<Rooms, XdpError> {
        self.lock().filter.rooms(threads)
    }

    /// Puts other exporters in force.
    pub fn reload(&self, exporters: &config::Exporters) -> Result<(), XdpError> {
        self.lock().filter.reload(exporters)
    }

    /// Puts other rules in force, by the listeners' numbers.
    pub fn reload_rules(&self, rules: &[Arc<Compiled>]) -> Result<(), XdpError> {
        self.lock().set_rules(rules)
    }

    /// Sends nothing to AF_XDP sockets any more, so that what is in them can be taken to its end.
    pub fn end_redirect(&self) {
        let ended = self.lock().filter.end_redirect();
        if let Err(error) = ended {
            tracing::error!(
                "datagrams still go to the AF_XDP sockets, and the last of them may be lost: {error}"
            );
        }
    }

    pub fn attached(&self) -> &Attached {
        &self.interfaces
    }

    /// What the program has counted.
    pub fn counts(&self) -> Result<Vec<Count>, XdpError> {
        self.lock().filter.counts()
    }

    /// Writes the counters of the program. Counters that cannot be read are absent, and that is said.
    pub fn render(&self, text: &mut Text) {
        match self.counts() {
            Ok(counts) => metrics::render_xdp(&counts, text),
            Err(error) if self.unreadable.due() => tracing::error!("metrics lack the XDP counters: {error}"),
            Err(_) => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Program> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Program {
    /// What is in force already is not written again. On an error, those before it are in force.
    fn set_rules(&mut self, rules: &[Arc<Compiled>]) -> Result<(), XdpError> {
        for (place, compiled) in rules.iter().enumerate() {
            let number = place as u32;
            let same = self
                .rules
                .get(place)
                .is_some_and(|now| Arc::ptr_eq(now, compiled));
            if same || !self.filter.has_room_for(number) {
                continue;
            }
            self.filter.set_filter(number, compiled.kernel())?;
            match self.rules.get_mut(place) {
                Some(now) => *now = Arc::clone(compiled),
                None => self.rules.push(Arc::clone(compiled)),
            }
        }
        Ok(())
    }
}
