//! Decides which versions of a key a flush or compaction keeps.
//!
//! The snapshots held divide the sequence numbers into stripes. Of the versions of a key inside one
//! stripe, only the newest can ever be seen. A tombstone in the oldest stripe is dropped too if
//! nothing older can lie below it. So is every entry that a range tombstone of its own stripe
//! covers, because every reader that sees the entry sees the tombstone as well.

use std::sync::Arc;

use crate::ranges::RangeSet;
use crate::storage::{Entry, EntryKind, Key, Sequence};
use crate::values::{Garbage, discard};

/// Decides which entries of a merge stay, and books the values of the others as garbage. It must
/// see the entries in internal order.
pub(crate) struct VersionFilter {
    /// The snapshots held, in order.
    snapshots: Vec<Sequence>,
    /// The range tombstones in force.
    ranges: Arc<RangeSet>,
    /// The key and stripe of the previous entry.
    last: Option<(Key, usize)>,
    /// Entries that were dropped.
    pub(crate) dropped: u64,
    /// Frames that became garbage.
    pub(crate) garbage: Garbage,
}

impl VersionFilter {
    /// Keeps what `snapshots` (in order) and readers of the newest state can see past `ranges`. The
    /// ranges must be read before the snapshots, so that a later snapshot sees them all.
    pub(crate) fn new(snapshots: Vec<Sequence>, ranges: Arc<RangeSet>) -> Self {
        Self {
            snapshots,
            ranges,
            last: None,
            dropped: 0,
            garbage: Garbage::new(),
        }
    }

    /// Returns the stripe of a sequence number; 0 is older than every snapshot.
    fn stripe(&self, sequence: Sequence) -> usize {
        self.snapshots.partition_point(|it| *it < sequence)
    }

    /// Returns the sequence number up to which every range tombstone has dropped all that it
    /// covers. A tombstone newer than the oldest snapshot may have had to leave something for it.
    pub(crate) fn swept(&self) -> Sequence {
        let oldest = self.snapshots.first().copied();
        self.ranges.newest().min(oldest.unwrap_or(Sequence::MAX))
    }

    /// Returns whether `entry` stays. `nothing_below` says whether no older version of its key can
    /// lie outside the merge.
    pub(crate) fn keeps(
        &mut self,
        entry: &Entry,
        nothing_below: impl FnOnce(&[u8]) -> bool,
    ) -> bool {
        // The versions of a key come newest first.
        let stripe = self.stripe(entry.sequence);
        let cover = self.ranges.next_after(&entry.key, entry.sequence);
        let hidden = cover.is_some_and(|it| self.stripe(it) == stripe);
        let same_key = self.last.as_ref().filter(|(key, _)| *key == entry.key);
        let shadowed = same_key.is_some_and(|(_, newer)| *newer == stripe);
        let is_last_trace =
            entry.kind == EntryKind::Delete && stripe == 0 && nothing_below(&entry.key);
        let keeps = !shadowed && !hidden && !is_last_trace;
        self.last = Some((entry.key.clone(), stripe));
        if !keeps {
            self.dropped += 1;
            discard(&mut self.garbage, entry);
        }
        keeps
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::ranges::RangeTombstone;

    fn kept(snapshots: &[u64], bottom: bool, versions: &[(u64, EntryKind)]) -> Vec<u64> {
        kept_under(&[], snapshots, bottom, versions)
    }

    /// Returns the versions that stay under range tombstones with the sequence numbers `ranges`.
    fn kept_under(
        ranges: &[u64],
        snapshots: &[u64],
        bottom: bool,
        versions: &[(u64, EntryKind)],
    ) -> Vec<u64> {
        let tombstone = |sequence: &u64| RangeTombstone {
            sequence: *sequence,
            start: Bytes::from_static(b"a"),
            end: Bytes::from_static(b"k\0"),
        };
        let ranges: Vec<_> = ranges.iter().map(tombstone).collect();
        let ranges = RangeSet::default().changed(&ranges, &Default::default());
        let mut retain = VersionFilter::new(snapshots.to_vec(), Arc::new(ranges));
        let entry = |(sequence, kind): &(u64, EntryKind)| Entry {
            key: Bytes::from_static(b"k"),
            sequence: *sequence,
            kind: *kind,
            value: Bytes::new(),
        };
        let mut kept = Vec::new();
        for entry in versions.iter().map(entry) {
            if retain.keeps(&entry, |_| bottom) {
                kept.push(entry.sequence);
            }
        }
        assert_eq!(retain.dropped as usize, versions.len() - kept.len());
        kept
    }

    #[test]
    fn one_version_stays_in_each_stripe() {
        let puts = [
            (9, EntryKind::Put),
            (7, EntryKind::Put),
            (5, EntryKind::Put),
            (3, EntryKind::Put),
            (1, EntryKind::Put),
        ];
        assert_eq!(kept(&[], true, &puts), [9]);
        assert_eq!(kept(&[5], true, &puts), [9, 5]);
        assert_eq!(kept(&[6], true, &puts), [9, 5]);
        assert_eq!(kept(&[2, 8], true, &puts), [9, 7, 1]);
        assert_eq!(kept(&[9], true, &puts), [9]);
    }

    #[test]
    fn entries_that_a_range_tombstone_hides_from_all_readers_are_dropped() {
        let puts = [
            (9, EntryKind::Put),
            (7, EntryKind::Put),
            (5, EntryKind::Put),
            (3, EntryKind::Delete),
        ];
        assert_eq!(kept_under(&[10], &[], false, &puts), [] as [u64; 0]);
        assert_eq!(kept_under(&[8], &[], false, &puts), [9]);
        assert_eq!(kept_under(&[2], &[], false, &puts), [9]);
        assert_eq!(
            kept_under(&[8], &[7], false, &puts),
            [9, 7],
            "a snapshot sees the entry, but not the tombstone"
        );
        assert_eq!(kept_under(&[8], &[6], false, &puts), [9, 5]);
        assert_eq!(
            kept_under(&[8], &[8], false, &puts),
            [9],
            "a snapshot sees both"
        );
        assert_eq!(kept_under(&[4, 8], &[3, 6], false, &puts), [9, 5, 3]);
        assert_eq!(
            kept_under(&[6, 8], &[7], false, &puts),
            [9, 7],
            "the older tombstone hides what the newer one may not"
        );
    }

    #[test]
    fn tables_are_swept_up_to_the_oldest_snapshot() {
        let tombstone = RangeTombstone {
            sequence: 8,
            start: Bytes::new(),
            end: Bytes::new(),
        };
        let ranges = Arc::new(RangeSet::default().changed([&tombstone], &Default::default()));
        let swept =
            |snapshots: &[u64]| VersionFilter::new(snapshots.to_vec(), ranges.clone()).swept();
        assert_eq!(swept(&[]), 8);
        assert_eq!(swept(&[9]), 8);
        assert_eq!(swept(&[7, 9]), 7);
        assert_eq!(swept(&[8]), 8);
        let without = VersionFilter::new(Vec::new(), Default::default());
        assert_eq!(without.swept(), 0);
    }

    #[test]
    fn a_tombstone_stays_while_it_may_hide_something() {
        let deleted = [(9, EntryKind::Delete), (7, EntryKind::Put)];
        assert_eq!(kept(&[], true, &deleted), [] as [u64; 0]);
        assert_eq!(kept(&[], false, &deleted), [9]);
        assert_eq!(kept(&[8], true, &deleted), [9, 7]);
        assert_eq!(kept(&[9], true, &deleted), [] as [u64; 0]);
    }
}
