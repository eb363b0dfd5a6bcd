//! The filter in the kernel while the collector runs: read by the metrics, rewritten on reload.

use std::sync::{Arc, Mutex, PoisonError};

use daemon::metrics::Text;
use daemon::repeat::Repeat;
use std::net::SocketAddr;
use std::time::Duration;

use crate::ledger::interface::{self, InterfaceCounts};
use crate::metrics;
use crate::xdp::{Count, XdpError, XdpFilter};

/// The attached XDP program, shared between threads. It leaves the interfaces with the last clone.
#[derive(Clone)]
pub struct Filter {
    inner: Arc<Mutex<XdpFilter>>,
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

impl Filter {
    /// Loads the program for `listeners` and attaches it to the configured interfaces.
    pub fn attach(
        settings: &config::Xdp,
        listeners: &[SocketAddr],
        exporters: &config::Exporters,
    ) -> Result<Self, XdpError> {
        let mut filter = XdpFilter::load(listeners, exporters)?;
        filter.attach(&settings.interfaces, settings.mode)?;
        let attached = Attached::new(&settings.interfaces, &filter)?;
        tracing::info!(
            "XDP program attached to {} in {:?} mode",
            settings.interfaces.join(", "),
            settings.mode
        );
        Ok(Self {
            inner: Arc::new(Mutex::new(filter)),
            unreadable: Arc::new(Repeat::every(Duration::from_mins(1))),
            interfaces: Arc::new(attached),
        })
    }

    /// Puts other exporters in force.
    pub fn reload(&self, exporters: &config::Exporters) -> Result<(), XdpError> {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .reload(exporters)
    }

    pub fn attached(&self) -> &Attached {
        &self.interfaces
    }

    /// What the program has counted.
    pub fn counts(&self) -> Result<Vec<Count>, XdpError> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).counts()
    }

    /// Writes the counters of the program. Counters that cannot be read are absent, and that is said.
    pub fn render(&self, text: &mut Text) {
        match self.counts() {
            Ok(counts) => metrics::render_xdp(&counts, text),
            Err(error) if self.unreadable.due() => tracing::error!("metrics lack the XDP counters: {error}"),
            Err(_) => {}
        }
    }
}
