//! Filters and token buckets in the maps of the XDP program.

use std::thread;
use std::time::Duration;

use aya::maps::{Array, MapData};
use aya::{Ebpf, Pod};
use config::Exporters;
use rustix::thread::{MembarrierCommand, membarrier};
use wire::filter::Filter;
use wire::limit::Limit;
use wire::verdict::{
    FILTERS_PER_LISTENER, ListenerNumber, MAP_FILTER_IN_FORCE, MAP_FILTERS, MAP_LIMITS,
    MAX_FILTERED_LISTENERS, NO_FILTER,
};

use super::{Shared, XdpError, XdpFilter, map_error, missing};

/// How long no run of the program takes; for kernels that cannot say that all have ended.
const RUN_MAX: Duration = Duration::from_millis(50);

/// Filters that a program for so many listeners has room for.
pub(super) fn filters(listeners: usize) -> u32 {
    (listeners as u32).clamp(1, MAX_FILTERED_LISTENERS) * FILTERS_PER_LISTENER
}

impl XdpFilter {
    /// Whether a filter of this listener can be in the kernel.
    pub fn has_room_for(&self, listener: ListenerNumber) -> bool {
        (listener as usize) < self.in_force.len()
    }

    /// Puts another filter in force for a listener; `None` lets everything pass. Each packet is judged by the old one or by
    /// the new one. On an error the old one stays.
    ///
    /// # Panics
    /// If there is no room for a filter of this listener.
    pub fn set_filter(&mut self, listener: ListenerNumber, filter: Option<&Filter>) -> Result<(), XdpError> {
        let before = self.in_force[listener as usize];
        let first = 1 + listener * FILTERS_PER_LISTENER;
        let next = match filter {
            None => NO_FILTER,
            Some(_) if before == first => first + 1,
            Some(_) => first,
        };
        if let Some(filter) = filter {
            wait_for_runs();
            // SAFETY: `Shared` is transparent.
            let filter = unsafe { &*std::ptr::from_ref(filter).cast::<Shared<Filter>>() };
            set(&mut self.program, MAP_FILTERS, next - 1, filter)?;
        }
        set(&mut self.program, MAP_FILTER_IN_FORCE, listener, &next)?;
        self.in_force[listener as usize] = next;
        Ok(())
    }

    /// Puts the exporters' rates in force; all of them have numbers.
    pub(super) fn set_limits(&mut self, exporters: &Exporters) -> Result<(), XdpError> {
        for exporter in &exporters.list {
            let Some(present) = self.exporters.present.get_mut(&exporter.address.trunc()) else {
                continue;
            };
            let limit = Limit::new(exporter.rate_max, exporter.burst);
            if present.limit != Some(limit) {
                set(&mut self.program, MAP_LIMITS, present.number, &Shared(limit))?;
                present.limit = Some(limit);
            }
        }
        Ok(())
    }
}

/// Until all runs of the program that have begun are done: one may still use a filter that is not in force any more.
fn wait_for_runs() {
    // Waits for what the kernel calls a grace period, which no packet's handling outlasts.
    if membarrier(MembarrierCommand::Global).is_err() {
        thread::sleep(RUN_MAX);
    }
}

fn set<V: Pod>(program: &mut Ebpf, name: &'static str, index: u32, value: &V) -> Result<(), XdpError> {
    let map = program.map_mut(name).ok_or_else(|| missing(name))?;
    Array::<&mut MapData, V>::try_from(map)
        .and_then(|mut array| array.set(index, value, 0))
        .map_err(|error| map_error("write", name, &error))
}
