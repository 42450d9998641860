//! Decides which versions of a key a flush or compaction keeps.
//!
//! The snapshots held divide the sequence numbers into stripes. Of the versions of a key inside one
//! stripe, only the newest can ever be seen. A tombstone in the oldest stripe is dropped too if
//! nothing older can lie below it. So is every entry that a range tombstone of its own stripe
//! covers, because every reader that sees the entry sees the tombstone as well.

use std::sync::Arc;

use crate::ranges::RangeSet;
use crate::storage::{EntryKind, EntryRef, Sequence};
use crate::values::{Garbage, discard};

/// Decides which entries of a merge stay, and books the values of the others as garbage. It must
/// see the entries in internal order.
pub(crate) struct VersionFilter {
    /// The snapshots held, in order.
    snapshots: Vec<Sequence>,
    /// The range tombstones in force.
    ranges: Arc<RangeSet>,
    /// The key of the previous entry.
    last_key: Vec<u8>,
    /// The stripe of the previous entry.
    last_stripe: Option<usize>,
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
            last_key: Vec::new(),
            last_stripe: None,
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
    pub(crate) fn keeps<'a>(
        &mut self,
        entry: impl Into<EntryRef<'a>>,
        nothing_below: impl FnOnce(&[u8]) -> bool,
    ) -> bool {
        let entry = entry.into();
        // The versions of a key come newest first.
        let stripe = self.stripe(entry.sequence);
        let cover = self.ranges.next_after(entry.key, entry.sequence);
        let hidden = cover.is_some_and(|it| self.stripe(it) == stripe);
        let shadowed = self.last_stripe == Some(stripe) && self.last_key == entry.key;
        let is_last_trace =
            entry.kind == EntryKind::Delete && stripe == 0 && nothing_below(entry.key);
        let keeps = !shadowed && !hidden && !is_last_trace;
        self.last_key.clear();
        self.last_key.extend_from_slice(entry.key);
        self.last_stripe = Some(stripe);
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
    use crate::golden::{check_golden, number};
    use crate::ranges::RangeTombstone;
    use crate::storage::Entry;

    /// What a case has set so far.
    #[derive(Default)]
    struct Merge {
        /// The versions of one key, the newest first.
        versions: Vec<Entry>,
        ranges: RangeSet,
        /// Whether an older version may lie outside the merge.
        something_below: bool,
    }

    /// Reads `9`, a put, or `9d`, a delete.
    fn read_version(word: &str) -> Result<Entry, String> {
        let delete = word.strip_suffix('d');
        Ok(Entry {
            key: Bytes::from_static(b"k"),
            sequence: number(delete.unwrap_or(word))?,
            kind: delete.map_or(EntryKind::Put, |_| EntryKind::Delete),
            value: Bytes::new(),
        })
    }

    /// A range delete that covers the key.
    fn read_range(word: &&str) -> Result<RangeTombstone, String> {
        Ok(RangeTombstone {
            sequence: number(word)?,
            start: Bytes::from_static(b"a"),
            end: Bytes::from_static(b"k\0"),
        })
    }

    impl Merge {
        /// What stays while `snapshots` are held: each version, or a dash if it is dropped.
        fn filtered(&self, snapshots: &[&str]) -> Result<String, String> {
            let snapshots = snapshots.iter().map(|word| number(word));
            let snapshots = snapshots.collect::<Result<Vec<Sequence>, _>>()?;
            let mut filter = VersionFilter::new(snapshots, Arc::new(self.ranges.clone()));
            let mut drawn = Vec::new();
            let mut dropped = 0;
            for entry in &self.versions {
                if filter.keeps(entry, |_| !self.something_below) {
                    drawn.push(entry.sequence.to_string());
                } else {
                    drawn.push("-".to_owned());
                    dropped += 1;
                }
            }
            assert_eq!(filter.dropped, dropped);
            let swept = filter.swept();
            Ok(format!("{}, swept up to {swept}\n", drawn.join(" ")))
        }

        fn line(&mut self, line: &str) -> Result<String, String> {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["versions", versions @ ..] => {
                    let versions = versions.iter().map(|word| read_version(word));
                    self.versions = versions.collect::<Result<_, _>>()?;
                }
                ["ranges", ranges @ ..] => {
                    let ranges = ranges.iter().map(read_range);
                    let ranges = ranges.collect::<Result<Vec<_>, _>>()?;
                    self.ranges = RangeSet::default().changed(&ranges, &Default::default());
                }
                ["something", "below"] => self.something_below = true,
                ["snapshots", snapshots @ ..] => return self.filtered(snapshots),
                _ => return Err(format!("`{line}`: there is no such line")),
            }
            Ok(String::new())
        }
    }

    /// `versions` and `ranges` set what is merged; each line of `snapshots` prints what stays.
    #[test]
    fn golden_versions_stay_for_those_who_see_them() {
        check_golden("version_filter.txt", |lines| {
            let mut merge = Merge::default();
            lines.iter().map(|line| merge.line(line)).collect()
        });
    }
}
