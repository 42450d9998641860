//! The clock, the walk that empties the caches, and quantiles.
#![expect(
    clippy::disallowed_methods,
    reason = "nanoseconds of this machine's processor are what is measured here"
)]

use std::time::Instant;

/// Readings from which the clock's own cost is computed.
const READINGS: usize = 10_001;

/// Bytes of a cache line.
const LINE_BYTES: usize = 64;

/// A clock that knows what reading it costs.
pub(super) struct Stopwatch {
    start: Instant,
    /// Nanoseconds of one reading.
    cost: f64,
}

impl Stopwatch {
    pub(super) fn start() -> Self {
        let mut watch = Self {
            start: Instant::now(),
            cost: 0.0,
        };
        let mut costs: Vec<f64> = (0..READINGS).map(|_| watch.net(watch.now())).collect();
        watch.cost = median(&mut costs).unwrap_or(0.0);
        watch
    }

    /// Nanoseconds since the start.
    #[inline]
    pub(super) fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    /// Nanoseconds since a reading.
    pub(super) fn since(&self, begun: u64) -> u64 {
        self.now() - begun
    }

    /// Nanoseconds since a reading, less the cost of reading.
    #[inline]
    pub(super) fn net(&self, begun: u64) -> f64 {
        ((self.now() - begun) as f64 - self.cost).max(0.0)
    }
}

/// Memory that replaces everything else in the caches.
pub(super) struct Walk {
    buffer: Vec<u8>,
}

impl Walk {
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            buffer: vec![1; bytes],
        }
    }

    /// Writes to every cache line.
    pub(super) fn go(&mut self) {
        for byte in self.buffer.iter_mut().step_by(LINE_BYTES) {
            *byte = byte.wrapping_add(1);
        }
        std::hint::black_box(&mut self.buffer);
    }
}

/// The middle value; `None` without samples.
pub(super) fn median(samples: &mut [f64]) -> Option<f64> {
    quantile(samples, 0.5)
}

/// The sample below which a share of the samples lies; `None` without samples.
pub(super) fn quantile(samples: &mut [f64], share: f64) -> Option<f64> {
    let last = samples.len().checked_sub(1)?;
    let place = ((samples.len() as f64 * share) as usize).min(last);
    let (_, quantile, _) = samples.select_nth_unstable_by(place, f64::total_cmp);
    Some(*quantile)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_of_the_samples() {
        let mut samples: Vec<f64> = (0..100).rev().map(f64::from).collect();
        assert_eq!(median(&mut samples), Some(50.0));
        assert_eq!(quantile(&mut samples, 0.99), Some(99.0));
        assert_eq!(quantile(&mut [3.0], 0.99), Some(3.0));
        assert_eq!(median(&mut []), None);
    }
}
