//! Fixed: the rate is the limit.
//!
//! Source: the token bucket of RocksDB's rate limiter without auto-tuning.
//! State: none.
//! Cost: none; nothing is measured for it.
//! Invariants: the rate is the limit of the settings.
//! Weak where: load changes. A limit that leaves bursts room keeps the background back between
//! them, too.

use super::{Build, LimiterFacts, RateControl};
use crate::entry::{Entry, NoParams, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "fixed",
    about: "the rate is the limit of the settings",
    params: describe::<NoParams>,
    build: |spec| params::<NoParams>(spec).map(|NoParams {}| Box::new(Fixed) as _),
};

struct Fixed;

impl RateControl for Fixed {
    fn rate(&mut self, facts: &LimiterFacts) -> u64 {
        facts.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_the_limit_and_nothing_is_watched() {
        let facts = LimiterFacts {
            limit: 1000,
            rate: 10,
            drained: 5,
            ..LimiterFacts::default()
        };
        assert_eq!((Fixed.start(1000), Fixed.rate(&facts)), (1000, 1000));
        assert_eq!(Fixed.watch(), None);
    }
}
