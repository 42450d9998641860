//! SILK: the background gets what users leave of the device's bandwidth.
//!
//! Source: SILK (Balmau et al., ATC 2019): bandwidth for internal work is the device's less what
//! users take, less a reserve; flushes come first, compactions of level 0 next, and deeper ones
//! wait for a time of low load. In SILK they are paused; here they keep one slice of `turn`, so
//! that none starves.
//! State: none.
//! Cost: O(1) a window.
//! Invariants: the rate is a share `least` of the limit or more, and the limit at most.
//! Weak where: the limit is not what the device can do, or load stays high: deep compactions fall
//! behind, and the tree grows under level 0. What users will do in the next window is taken to be
//! what they did in the last one.

use super::{Build, LimiterFacts, RateControl, Watch};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "silk",
    about: "what users leave of the limit, flushes and level 0 first (SILK)",
    params: describe::<Params>,
    build: |spec: &PolicySpec| {
        let params: Params = params(spec)?;
        in_range(spec, "window_ms", params.window_ms, 1..=10_000)?;
        in_range(spec, "least", params.least, 0.0..=1.0)?;
        in_range(spec, "reserve", params.reserve, 0.0..=1.0)?;
        in_range(spec, "turn", params.turn, 2..=1_000_000)?;
        Ok(Box::new(Silk { params }))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// Milliseconds over which users' bandwidth is measured (1 to 10000).
    window_ms: u64,
    /// The share of the limit that the background always has (0 to 1).
    least: f64,
    /// The share of the limit that is kept for users beyond what they took (0 to 1).
    reserve: f64,
    /// Of this many slices, a deep compaction that waits gets one (2 to 1000000).
    turn: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            window_ms: 50,
            least: 0.1,
            reserve: 0.05,
            turn: 100,
        }
    }
}

struct Silk {
    params: Params,
}

impl RateControl for Silk {
    fn watch(&self) -> Option<Watch> {
        Some(Watch {
            period_nanos: self.params.window_ms * 1_000_000,
            periods: 1,
        })
    }

    fn rate(&mut self, facts: &LimiterFacts) -> u64 {
        let limit = facts.limit as f64;
        let users = facts.user_bytes as f64 * 1e9 / facts.nanos.max(1) as f64;
        let left = limit - users - limit * self.params.reserve;
        // A float that is negative becomes 0, one that is too large the largest number.
        (left.max(limit * self.params.least) as u64).min(facts.limit)
    }

    fn turn(&self) -> u32 {
        self.params.turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_background_gets_what_users_leave() {
        let params = Params {
            reserve: 0.0,
            ..Params::default()
        };
        let mut silk = Silk { params };
        for (user_bytes, expected) in [(0, 1000), (2, 960), (40, 200), (45, 100), (1000, 100)] {
            let facts = LimiterFacts {
                limit: 1000,
                rate: 1000,
                nanos: 50_000_000,
                periods: 1,
                user_bytes,
                ..LimiterFacts::default()
            };
            assert_eq!(silk.rate(&facts), expected, "{user_bytes} in a twentieth");
        }
        assert_eq!(silk.start(1000), 1000);
    }
}
