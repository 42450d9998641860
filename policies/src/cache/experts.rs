//! Two experts, one for recency and one for frequency. Each is blamed when an object that it
//! evicted is requested again.

use crate::splitmix::SplitMix64;

/// The expert that named a victim; as a number, the queue of its ghosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expert {
    Recency = 0,
    Frequency = 1,
}

/// The least trust in an expert, so that it can recover.
const LEAST_TRUST: f64 = 0.01;

/// The trust in each expert; the two sum to 1.
#[derive(Debug)]
pub(super) struct Trust {
    recency: f64,
}

impl Default for Trust {
    fn default() -> Self {
        Self { recency: 0.5 }
    }
}

impl Trust {
    /// Draws the expert that decides now.
    pub(super) fn draw(&self, draws: &mut SplitMix64) -> Expert {
        if draws.fraction() < self.recency {
            Expert::Recency
        } else {
            Expert::Frequency
        }
    }

    /// Multiplies the trust in the expert with ghost queue `of` by exp(-`loss`), then scales both
    /// to a sum of 1.
    pub(super) fn blame(&mut self, of: u8, loss: f64) {
        let mut recency = self.recency;
        let mut frequency = 1.0 - self.recency;
        match of == Expert::Recency as u8 {
            true => recency *= (-loss).exp(),
            false => frequency *= (-loss).exp(),
        }
        self.recency = (recency / (recency + frequency)).clamp(LEAST_TRUST, 1.0 - LEAST_TRUST);
    }

    /// Checks that the trust lies in its range.
    pub(super) fn audit(&self) -> Result<(), String> {
        match (LEAST_TRUST..=1.0 - LEAST_TRUST).contains(&self.recency) {
            true => Ok(()),
            false => Err(format!("the trust in recency is {}", self.recency)),
        }
    }
}

/// How many objects the cache holds when full: its capacity divided by the mean size of those
/// missed so far.
#[derive(Debug)]
pub(super) struct Room {
    capacity: u64,
    missed: u64,
    missed_bytes: u64,
}

impl Room {
    pub(super) fn new(capacity: u64) -> Self {
        Self {
            capacity,
            missed: 0,
            missed_bytes: 0,
        }
    }

    pub(super) fn resize(&mut self, capacity: u64) {
        self.capacity = capacity;
    }

    pub(super) fn note_miss(&mut self, bytes: u64) {
        self.missed += 1;
        self.missed_bytes = self.missed_bytes.saturating_add(bytes);
    }

    /// The number of objects, at least 1. With objects of one byte it is the capacity.
    pub(super) fn objects(&self) -> f64 {
        (self.capacity as f64 * self.missed as f64 / self.missed_bytes.max(1) as f64).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blame_moves_trust_within_its_range() {
        let mut trust = Trust::default();
        trust.blame(Expert::Recency as u8, 0.45);
        assert!(
            (trust.recency - 0.389_360_766_050_778).abs() < 1e-12,
            "{trust:?}"
        );
        trust.blame(Expert::Frequency as u8, 0.0);
        assert!(
            (trust.recency - 0.389_360_766_050_778).abs() < 1e-12,
            "no loss, no change: {trust:?}"
        );
        for _ in 0..100 {
            trust.blame(Expert::Recency as u8, 1.0);
        }
        assert_eq!((trust.recency, trust.audit()), (LEAST_TRUST, Ok(())));
        let mut draws = SplitMix64::new(3);
        let recency = (0..10_000)
            .filter(|_| trust.draw(&mut draws) == Expert::Recency)
            .count();
        assert!(
            (60..140).contains(&recency),
            "{recency} of 10000 draws at 1 %"
        );
    }
}
