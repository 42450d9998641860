//! How often a table's index is asked, and what it answers.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// Look-ups of one table, counted as they happen.
#[derive(Default)]
pub(crate) struct Lookups {
    found: AtomicU64,
    absent: AtomicU64,
    /// Blocks beyond the first of each look-up: most touch no counter but one of the two above.
    extra: AtomicU64,
    /// When the table was opened or made, and how long it had lived before.
    opened_at: u64,
    lived_before: AtomicU64,
}

impl Lookups {
    /// Those of a table opened at `now`.
    pub(crate) fn new(now: u64) -> Self {
        Self {
            opened_at: now,
            ..Self::default()
        }
    }

    /// Counts a look-up that examined `probes` blocks.
    #[inline]
    pub(crate) fn count(&self, found: bool, probes: u64) {
        let kind = if found { &self.found } else { &self.absent };
        kind.fetch_add(1, Ordering::Relaxed);
        if probes != 1 {
            self.extra
                .fetch_add(probes.wrapping_sub(1), Ordering::Relaxed);
        }
    }

    /// The counts at `now`.
    pub(crate) fn read(&self, now: u64) -> TableLookups {
        let (found, absent) = (
            self.found.load(Ordering::Relaxed),
            self.absent.load(Ordering::Relaxed),
        );
        TableLookups {
            found,
            absent,
            probes: found
                .wrapping_add(absent)
                .wrapping_add(self.extra.load(Ordering::Relaxed)),
            life_nanos: self
                .lived_before
                .load(Ordering::Relaxed)
                .saturating_add(now.saturating_sub(self.opened_at)),
        }
    }

    /// Goes on from earlier counts.
    pub(crate) fn restore(&self, before: &TableLookups) {
        self.found.fetch_add(before.found, Ordering::Relaxed);
        self.absent.fetch_add(before.absent, Ordering::Relaxed);
        let extra = before
            .probes
            .wrapping_sub(before.found.wrapping_add(before.absent));
        self.extra.fetch_add(extra, Ordering::Relaxed);
        self.lived_before
            .fetch_add(before.life_nanos, Ordering::Relaxed);
    }
}

/// What was observed of one table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableLookups {
    /// Look-ups that found an entry; seeks are counted here.
    pub found: u64,
    /// Point look-ups that found none.
    pub absent: u64,
    /// Data blocks that they examined.
    pub probes: u64,
    /// Nanoseconds of the engine's clock that the table has lived, while the database was open.
    pub life_nanos: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_go_on_where_they_were() {
        let first = Lookups::new(100);
        first.count(true, 1);
        first.count(true, 3);
        first.count(false, 0);
        let read = first.read(150);
        assert_eq!(
            read,
            TableLookups {
                found: 2,
                absent: 1,
                probes: 4,
                life_nanos: 50
            }
        );
        let second = Lookups::new(7);
        second.restore(&read);
        second.count(false, 1);
        assert_eq!(
            second.read(8),
            TableLookups {
                found: 2,
                absent: 2,
                probes: 5,
                life_nanos: 51
            }
        );
    }
}
