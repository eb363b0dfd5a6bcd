//! The filter in the kernel while the collector runs: read by the metrics, rewritten on reload.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use daemon::metrics::Text;
use daemon::repeat::Repeat;
use filter::Compiled;
use std::net::SocketAddr;
use std::time::Duration;

use crate::metrics;
use crate::xdp::{XdpError, XdpFilter};

/// The attached XDP program, shared between threads. It leaves the interfaces with the last clone.
#[derive(Clone)]
pub struct Filter {
    inner: Arc<Mutex<Attached>>,
    unreadable: Arc<Repeat>,
}

struct Attached {
    filter: XdpFilter,
    /// What is in force in it, by listener.
    rules: Vec<Arc<Compiled>>,
}

impl Filter {
    /// Loads the program for `listeners`, with `rules` by their numbers, and attaches it to the configured interfaces.
    pub fn attach(
        settings: &config::Xdp,
        listeners: &[SocketAddr],
        exporters: &config::Exporters,
        rules: &[Arc<Compiled>],
    ) -> Result<Self, XdpError> {
        let mut attached = Attached {
            filter: XdpFilter::load(listeners, exporters)?,
            rules: Vec::new(),
        };
        attached.set_rules(rules)?;
        attached.filter.attach(&settings.interfaces, settings.mode)?;
        tracing::info!(
            "XDP program attached to {} in {:?} mode",
            settings.interfaces.join(", "),
            settings.mode
        );
        Ok(Self {
            inner: Arc::new(Mutex::new(attached)),
            unreadable: Arc::new(Repeat::every(Duration::from_mins(1))),
        })
    }

    /// Puts other exporters in force.
    pub fn reload(&self, exporters: &config::Exporters) -> Result<(), XdpError> {
        self.lock().filter.reload(exporters)
    }

    /// Puts other rules in force, by the listeners' numbers.
    pub fn reload_rules(&self, rules: &[Arc<Compiled>]) -> Result<(), XdpError> {
        self.lock().set_rules(rules)
    }

    /// Writes the counters of the program. Counters that cannot be read are absent, and that is said.
    pub fn render(&self, text: &mut Text) {
        let counts = self.lock().filter.counts();
        match counts {
            Ok(counts) => metrics::render_xdp(&counts, text),
            Err(error) if self.unreadable.due() => tracing::error!("metrics lack the XDP counters: {error}"),
            Err(_) => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Attached> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attached {
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
