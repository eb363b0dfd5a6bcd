//! The filter in the kernel while the collector runs: read by the metrics, rewritten on reload.

use std::sync::{Arc, Mutex, PoisonError};

use daemon::metrics::Text;
use daemon::repeat::Repeat;
use std::net::SocketAddr;
use std::time::Duration;

use crate::metrics;
use crate::xdp::{Rooms, XdpError, XdpFilter};

/// The attached XDP program, shared between threads. It leaves the interfaces with the last clone.
#[derive(Clone)]
pub struct Filter {
    inner: Arc<Mutex<XdpFilter>>,
    unreadable: Arc<Repeat>,
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
        tracing::info!(
            "XDP program attached to {} in {:?} mode",
            settings.interfaces.join(", "),
            settings.mode
        );
        Ok(Self {
            inner: Arc::new(Mutex::new(filter)),
            unreadable: Arc::new(Repeat::every(Duration::from_mins(1))),
        })
    }

    /// The gates of the listeners' ports, for so many receive threads.
    pub fn rooms(&self, threads: usize) -> Result<Rooms, XdpError> {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .rooms(threads)
    }

    /// Puts other exporters in force.
    pub fn reload(&self, exporters: &config::Exporters) -> Result<(), XdpError> {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .reload(exporters)
    }

    /// Writes the counters of the program. Counters that cannot be read are absent, and that is said.
    pub fn render(&self, text: &mut Text) {
        let counts = self.inner.lock().unwrap_or_else(PoisonError::into_inner).counts();
        match counts {
            Ok(counts) => metrics::render_xdp(&counts, text),
            Err(error) if self.unreadable.due() => tracing::error!("metrics lack the XDP counters: {error}"),
            Err(_) => {}
        }
    }
}
