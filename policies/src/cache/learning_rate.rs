//! The learning rate of CACHEUS: a walk that keeps its direction while the hit ratio follows it.

use crate::splitmix::SplitMix64;

/// The lowest rate.
const LEAST: f64 = 0.001;

/// Windows in a row without a rise of the hit ratio after which the rate starts again.
const PATIENCE: u32 = 10;

#[derive(Debug)]
pub(super) struct LearningRate {
    rate: f64,
    start: f64,
    /// The rates after the last window and after the one before it.
    last: [f64; 2],
    hit_ratio: f64,
    flat: u32,
    falling: u32,
    requests: u64,
    hits: u64,
}

/// Rounds to three decimals: smaller changes do not count.
fn rounded(x: f64) -> f64 {
    (x * 1000.0).round() / 1000.0
}

impl LearningRate {
    /// The learning rate for a cache that holds `objects` objects.
    pub(super) fn new(objects: f64) -> Self {
        let rate = (2.0 * std::f64::consts::LN_2 / objects).sqrt();
        let start = rate.clamp(LEAST, 1.0);
        Self {
            rate,
            start,
            last: [rate, 0.0],
            hit_ratio: 0.0,
            flat: 0,
            falling: 0,
            requests: 0,
            hits: 0,
        }
    }

    pub(super) fn rate(&self) -> f64 {
        self.rate
    }

    pub(super) fn note_hit(&mut self) {
        self.hits += 1;
    }

    /// A request begins. The one that completes a window of `objects` requests moves the rate.
    pub(super) fn tick(&mut self, objects: f64, draws: &mut SplitMix64) {
        self.requests += 1;
        if self.requests as f64 >= objects {
            let hit_ratio = rounded(self.hits as f64 / self.requests as f64);
            self.learn(hit_ratio, draws);
            self.requests = 0;
            self.hits = 0;
        }
    }

    fn learn(&mut self, hit_ratio: f64, draws: &mut SplitMix64) {
        let rise = rounded(hit_ratio - self.hit_ratio);
        let step = rounded(self.last[0]) - rounded(self.last[1]);
        let agreement = step * rise;
        if agreement != 0.0 {
            let change = (self.rate * step).abs();
            self.rate = if agreement > 0.0 {
                (self.rate + change).min(1.0)
            } else {
                (self.rate - change).max(LEAST)
            };
            self.flat = 0;
            self.falling = 0;
        } else if rise <= 0.0 {
            self.flat += u32::from(rise < 0.0 || hit_ratio <= 0.0);
            self.falling += u32::from(rise < 0.0);
            if self.flat >= PATIENCE {
                self.rate = self.start;
                self.flat = 0;
            } else if self.falling >= PATIENCE && rise < 0.0 {
                self.rate = self.start;
                self.falling = 0;
            } else if rise < 0.0 {
                self.wander(draws);
            }
        }
        self.last = [self.rate, self.last[0]];
        self.hit_ratio = hit_ratio;
    }

    fn wander(&mut self, draws: &mut SplitMix64) {
        self.rate = match self.rate {
            rate if rate >= 1.0 => 0.9,
            rate if rate <= LEAST => 0.005,
            rate if draws.below(2) == 0 => (rate * 1.25).min(1.0),
            rate => (rate * 0.75).max(LEAST),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_follows_the_hit_ratio_and_starts_again_when_nothing_helps() {
        let mut draws = SplitMix64::new(1);
        let mut learning = LearningRate::new(100.0);
        let start = learning.rate();
        assert!((start - 0.117_741_002_251_547_47).abs() < 1e-12, "{start}");
        // The first step is the rate itself: up, by a share of the step, with a hit ratio that
        // rises.
        learning.learn(0.5, &mut draws);
        let higher = learning.rate();
        assert!((higher - start * 1.118).abs() < 1e-12, "{higher}");
        learning.learn(0.4, &mut draws);
        assert!(learning.rate() < higher, "down when it falls: {learning:?}");
        for _ in 0..40 {
            learning.learn(0.0, &mut draws);
        }
        assert_eq!(learning.rate(), learning.start);
    }
}
