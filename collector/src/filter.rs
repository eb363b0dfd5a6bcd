//! The filter in the kernel while the collector runs: read by the metrics, rewritten on reload.

use std::sync::{Arc, Mutex, PoisonError};

use daemon::metrics::Text;
use daemon::repeat::Repeat;
use std::net::SocketAddr;
use std::time::Duration;

use crate::ledger::interface::{self, InterfaceCounts};
use crate::metrics;
use crate::xdp::{Count, Redirect, XdpError, XdpFilter};

/// The attached XDP program, shared between threads. It leaves the interfaces with the last clone.
#[derive(Clone)]
pub struct Filter {
    inner: Arc<Mutex<XdpFilter>>,
    unreadable: Arc<Repeat>,
    interfaces: Arc<Attached>,
}

/// The interfaces that the program is on, and their counts around the moment when it came there.
#[derive(Debug)]
pub struct Attached {
    pub interfaces: Vec<String>,
    pub before: InterfaceCounts,
    pub after: InterfaceCounts,
}

impl Filter {
    /// Loads the program for `listeners` and attaches it to the configured interfaces; what it accepts goes to AF_XDP
    /// sockets if there are such.
    pub fn attach(
        settings: &config::Xdp,
        listeners: &[SocketAddr],
        exporters: &config::Exporters,
        redirect: Option<&Redirect<'_>>,
    ) -> Result<Self, XdpError> {
        let mut filter = XdpFilter::load(listeners, exporters)?;
        if let Some(redirect) = redirect {
            filter.redirect_to(redirect)?;
        }
        let before = interface::read(&settings.interfaces);
        filter.attach(&settings.interfaces, settings.mode)?;
        let attached = Attached {
            interfaces: settings.interfaces.clone(),
            before,
            after: interface::read(&settings.interfaces),
        };
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

    /// Sends nothing to AF_XDP sockets any more, so that what is in them can be taken to its end.
    pub fn end_redirect(&self) {
        let ended = self
            .inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .end_redirect();
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
