//! A value that is replaced on reload while threads use it.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The value in force.
#[derive(Debug)]
pub struct InForce<T> {
    value: Mutex<Arc<T>>,
    generation: AtomicU64,
}

impl<T> InForce<T> {
    pub fn new(value: T) -> Self {
        Self {
            value: Mutex::new(Arc::new(value)),
            generation: AtomicU64::new(0),
        }
    }

    pub fn replace(&self, value: T) {
        *self.value.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
        self.generation.fetch_add(1, Ordering::Release);
    }

    pub fn current(&self) -> Arc<T> {
        Arc::clone(&self.value.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What one thread has of it.
#[derive(Debug)]
pub struct Reader<T> {
    shared: Arc<InForce<T>>,
    value: Arc<T>,
    generation: u64,
}

impl<T> Reader<T> {
    pub fn new(shared: Arc<InForce<T>>) -> Self {
        let generation = shared.generation.load(Ordering::Acquire);
        let value = shared.current();
        Self {
            shared,
            value,
            generation,
        }
    }

    /// Takes the newest value, and says whether it is another one. Cheap if not: call it for every batch.
    pub fn refresh(&mut self) -> bool {
        let generation = self.shared.generation.load(Ordering::Acquire);
        let is_new = generation != self.generation;
        if is_new {
            self.generation = generation;
            self.value = self.shared.current();
        }
        is_new
    }
}

impl<T> Deref for Reader<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
