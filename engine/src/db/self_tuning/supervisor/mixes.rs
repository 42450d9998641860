//! Mixes of operations that were met, and the settings that are known to suit them.

use aura_policies::mix::{Mix, SHARE_OF_ANOTHER};

use super::super::rules::Values;
use super::level::Level;

/// Mixes that are remembered. The one that was met longest ago makes room.
const MIXES: usize = 8;

/// The anchor of a mix: the cheapest settings that are known for it, and what a window costs with
/// them.
#[derive(Clone, Debug)]
pub(super) struct Anchor {
    /// The mix, as its last windows were.
    pub(super) mix: Mix,
    pub(super) at: Values,
    pub(super) level: Level,
    /// Times that these settings came back since the mix began.
    pub(super) fell_back: u32,
}

impl Anchor {
    /// The anchor `at` of a mix that is not known yet.
    pub(super) fn new(at: Values) -> Self {
        Self {
            mix: Mix::default(),
            at,
            level: Level::default(),
            fell_back: 0,
        }
    }
}

/// The anchors of other mixes than the one that lasts, the last that was met at the end.
#[derive(Debug, Default)]
pub(super) struct Mixes(Vec<Anchor>);

impl Mixes {
    /// Remembers an anchor whose mix has ended.
    pub(super) fn put(&mut self, anchor: Anchor) {
        if self.0.len() == MIXES {
            self.0.remove(0);
        }
        self.0.push(anchor);
    }

    /// Takes the anchor of the nearest mix that counts as `mix`, if there is one.
    pub(super) fn take(&mut self, mix: &Mix) -> Option<Anchor> {
        let distances = self.0.iter().map(|anchor| anchor.mix.distance(mix));
        let nearest = distances
            .enumerate()
            .min_by(|one, other| one.1.total_cmp(&other.1));
        let (at, distance) = nearest?;
        (distance <= SHARE_OF_ANOTHER).then(|| self.0.remove(at))
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mix(writes: f64) -> Mix {
        Mix {
            writes,
            hits: 1.0 - writes,
            ..Mix::default()
        }
    }

    fn anchor(writes: f64) -> Anchor {
        let mut anchor = Anchor::new(Values::new());
        anchor.mix = mix(writes);
        anchor
    }

    #[test]
    fn a_mix_is_found_again_and_the_oldest_is_forgotten() {
        let mut mixes = Mixes::default();
        assert!(mixes.take(&mix(0.5)).is_none());
        for tenth in 0..10 {
            mixes.put(anchor(f64::from(tenth) / 10.0));
        }
        let found = mixes.take(&mix(0.52)).expect("it was met");
        assert!((found.mix.writes - 0.5).abs() < 1e-9, "the nearest");
        assert!(mixes.take(&mix(0.0)).is_none(), "two were forgotten");
        assert!(mixes.take(&mix(0.95)).is_some());
    }
}
