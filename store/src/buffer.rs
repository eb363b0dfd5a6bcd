//! Recycled buffers for COPY data.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Buf;

/// A buffer is handed over when it has this many bytes: large enough that a message's cost does not count,
/// small enough to stay in the cache until the connection copies it.
pub const BUFFER_BYTES: usize = 256 << 10;
/// Room for the row that crosses the limit.
const SPARE_BYTES: usize = 4 << 10;
/// Free buffers that a pool keeps; more are given back to the allocator.
const FREE_MAX: usize = 256;

/// Buffers that nobody uses. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    free: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Pool {
    /// An empty buffer that returns here when it is dropped.
    pub fn take(&self) -> PooledBytes {
        let recycled = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let bytes = recycled.unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES + SPARE_BYTES));
        PooledBytes {
            bytes,
            pool: self.clone(),
        }
    }

    /// Buffers that wait to be used again.
    pub fn free(&self) -> usize {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Bytes whose memory goes back to its pool.
#[derive(Debug)]
pub struct PooledBytes {
    pub bytes: Vec<u8>,
    pool: Pool,
}

impl Drop for PooledBytes {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        // A row with very long texts grows its buffer; such a one is not kept.
        if bytes.capacity() > 2 * BUFFER_BYTES {
            return;
        }
        bytes.clear();
        let mut free = self.pool.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < FREE_MAX {
            free.push(bytes);
        }
    }
}

/// A full buffer on its way to the server. The batch keeps its share, so that it can be sent again.
#[derive(Clone, Debug)]
pub struct Segment {
    buffer: Arc<PooledBytes>,
    sent: usize,
}

impl Segment {
    pub fn new(buffer: PooledBytes) -> Self {
        Self {
            buffer: Arc::new(buffer),
            sent: 0,
        }
    }
}

impl Buf for Segment {
    fn remaining(&self) -> usize {
        self.buffer.bytes.len() - self.sent
    }

    fn chunk(&self) -> &[u8] {
        &self.buffer.bytes[self.sent..]
    }

    fn advance(&mut self, count: usize) {
        assert!(count <= self.remaining(), "advance past the end of a segment");
        self.sent += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_its_last_reader_is_done() {
        let pool = Pool::default();
        let mut buffer = pool.take();
        buffer.bytes.extend_from_slice(b"rows");
        let kept = Segment::new(buffer);
        let mut sent = kept.clone();
        sent.advance(4);
        assert_eq!((sent.remaining(), kept.remaining()), (0, 4));
        drop(sent);
        assert_eq!(pool.free(), 0);
        drop(kept);
        assert_eq!(pool.free(), 1);
        assert!(pool.take().bytes.is_empty());
        assert_eq!(pool.free(), 1);
    }

    #[test]
    fn an_oversized_buffer_is_not_kept() {
        let pool = Pool::default();
        pool.take().bytes.resize(3 * BUFFER_BYTES, 0);
        assert_eq!(pool.free(), 0);
    }
}
