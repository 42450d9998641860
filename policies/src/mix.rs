//! The mix of operations, and how long it will last.
//!
//! A mix is expected to last as long again as it has lasted: what is known of the life of anything
//! that was met at a random moment (Gott, "Implications of the Copernican principle", Nature 1993).

use crate::facts::WindowStats;

/// Shares of the four kinds of operations that cost models know; their sum is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mix {
    /// Point reads that found nothing.
    pub empty: f64,
    /// Point reads that found a value.
    pub hits: f64,
    /// Scans.
    pub scans: f64,
    /// Puts and deletes.
    pub writes: f64,
}

impl Mix {
    /// The mix of `window`; `None` if it holds no operation.
    pub fn of(window: &WindowStats) -> Option<Self> {
        let found = window.gets_found.min(window.gets);
        let counts = [window.gets - found, found, window.scans, window.writes];
        let [empty, hits, scans, writes] = counts.map(|count| count as f64);
        let all = empty + hits + scans + writes;
        (all > 0.0).then(|| Self {
            empty: empty / all,
            hits: hits / all,
            scans: scans / all,
            writes: writes / all,
        })
    }

    /// The shares in the order of the fields.
    pub fn shares(&self) -> [f64; 4] {
        [self.empty, self.hits, self.scans, self.writes]
    }

    fn map2(&self, other: &Self, f: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            empty: f(self.empty, other.empty),
            hits: f(self.hits, other.hits),
            scans: f(self.scans, other.scans),
            writes: f(self.writes, other.writes),
        }
    }

    /// The largest difference of a share.
    pub fn distance(&self, other: &Self) -> f64 {
        let differences = self.map2(other, |a, b| (a - b).abs()).shares();
        differences.into_iter().fold(0.0, f64::max)
    }
}

/// Kinds of mixes that learners with tables keep apart.
pub(crate) const BUCKETS: usize = 5;

impl Mix {
    /// The mix's number below [`BUCKETS`], by its share of writes.
    pub(crate) fn bucket(&self) -> usize {
        ((self.writes * BUCKETS as f64) as usize).min(BUCKETS - 1)
    }
}

/// A share's change beyond which a mix is another one.
pub const SHARE_OF_ANOTHER: f64 = 0.1;

/// Follows the mix from window to window.
#[derive(Debug, Default)]
pub struct Watch {
    mix: Option<Mix>,
    /// Operations since the mix began.
    lasted: f64,
}

impl Watch {
    /// Takes `window` in. Returns whether another mix begins with it.
    pub fn see(&mut self, window: &WindowStats) -> bool {
        let Some(now) = Mix::of(window) else {
            return false;
        };
        let operations = window.operations() as f64;
        match &mut self.mix {
            Some(mix) if mix.distance(&now) <= SHARE_OF_ANOTHER => {
                *mix = mix.map2(&now, |mean, share| mean + 0.25 * (share - mean));
                self.lasted += operations;
                false
            }
            mix => {
                let is_change = mix.is_some();
                *mix = Some(now);
                self.lasted = operations;
                is_change
            }
        }
    }

    /// The smoothed mix.
    pub fn mix(&self) -> Mix {
        self.mix.unwrap_or_default()
    }

    /// How many windows like `window` the mix will still last.
    pub fn windows_left(&self, window: &WindowStats) -> f64 {
        self.lasted / (window.operations() as f64).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(gets: u64, gets_found: u64, writes: u64) -> WindowStats {
        WindowStats {
            gets,
            gets_found,
            writes,
            ..WindowStats::default()
        }
    }

    #[test]
    fn a_mix_lasts_as_long_again() {
        let mut watch = Watch::default();
        assert!(!watch.see(&window(10, 5, 90)));
        assert_eq!(watch.windows_left(&window(10, 5, 90)), 1.0);
        assert!(!watch.see(&window(14, 7, 86)), "a small change");
        assert_eq!(watch.windows_left(&window(20, 10, 180)), 1.0);
        assert!(!watch.see(&WindowStats::default()), "nothing is no mix");
        assert!(watch.see(&window(90, 45, 10)));
        assert_eq!(watch.windows_left(&window(90, 45, 10)), 1.0);
        assert_eq!(watch.mix().shares(), [0.45, 0.45, 0.0, 0.1]);
    }

    #[test]
    fn a_count_of_found_keys_that_is_too_large_is_no_panic() {
        assert_eq!(Mix::of(&window(1, 5, 0)).map(|mix| mix.hits), Some(1.0));
    }
}
