//! Range deletes: one tombstone covers many keys.
//!
//! A *range tombstone* hides every older entry of its keys. It is never written into a table.
//! Recent ones are kept beside their memtable's sorted map. A flush moves them into the version,
//! where they stay, in memory and in the manifest, until every table that could hold something they
//! hide was dropped, or rewritten without it (`table_swept` in
//! [`manifest::format`](crate::manifest::format)).
//!
//! Overlapping tombstones are cut at each other's bounds into *fragments*, as in RocksDB and
//! Pebble. Fragments are sorted and disjoint, and each has the sequence numbers of all tombstones
//! that cover it. So a look-up is one binary search, however many tombstones there are.
//!
//! Cost: a look-up takes O(log fragments). Adding a tombstone takes O(fragments), because the set
//! is copied while readers hold the old one. n tombstones make at most 2n - 1 fragments. Weak
//! where: hundreds of thousands are alive at once, or many tombstones of one memtable cover the
//! same keys, because each fragment lists all of them (a flush keeps only the newest).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aura_policies::facts::TableFacts;

use crate::env::CpuWork;
use crate::storage::{Key, Sequence};

/// One range delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RangeTombstone {
    /// Its sequence number. It hides entries with a smaller one.
    pub(crate) sequence: Sequence,
    /// The first key it covers.
    pub(crate) start: Key,
    /// The first key after its keys; empty if it has no end.
    pub(crate) end: Key,
}

/// Returns whether `key` lies before `end`; an empty `end` stands for no end.
fn before(key: &[u8], end: &[u8]) -> bool {
    end.is_empty() || key < end
}

/// A range of keys that all have the same tombstones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fragment {
    /// The first key.
    pub(crate) start: Key,
    /// The first key after its keys; empty if it has no end.
    pub(crate) end: Key,
    /// The sequence numbers of the tombstones, ascending; at least one.
    sequences: Arc<[Sequence]>,
}

impl Fragment {
    /// Returns whether `key` lies before the fragment's end.
    pub(crate) fn before_end(&self, key: &[u8]) -> bool {
        before(key, &self.end)
    }

    /// Returns whether `key` lies in the fragment.
    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        *key >= *self.start && self.before_end(key)
    }

    /// Returns the newest tombstone that `snapshot` sees, or 0.
    fn newest(&self, snapshot: Sequence) -> Sequence {
        let seen = self.sequences.partition_point(|it| *it <= snapshot);
        self.sequences[..seen].last().copied().unwrap_or(0)
    }

    /// Returns a copy of the fragment with `sequence` among its tombstones.
    fn with(&self, sequence: Sequence) -> Self {
        let at = self.sequences.partition_point(|other| *other < sequence);
        let mut sequences = self.sequences.to_vec();
        if sequences.get(at) != Some(&sequence) {
            sequences.insert(at, sequence);
        }
        Self {
            sequences: sequences.into(),
            ..self.clone()
        }
    }
}

/// Range tombstones as sorted, disjoint fragments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RangeSet {
    fragments: Vec<Fragment>,
}

impl RangeSet {
    /// Returns a copy of the set with `added` and without `removed`.
    pub(crate) fn changed<'a>(
        &self,
        added: impl IntoIterator<Item = &'a RangeTombstone>,
        removed: &BTreeSet<Sequence>,
    ) -> Self {
        let mut set = self.clone();
        // In the order of their starts, most are appended at the end.
        let mut added: Vec<_> = added.into_iter().collect();
        added.sort_by(|a, b| a.start.cmp(&b.start));
        for tombstone in added {
            set.add(tombstone);
        }
        if !removed.is_empty() {
            set.remove(removed);
        }
        set
    }

    fn add(&mut self, tombstone: &RangeTombstone) {
        let RangeTombstone {
            sequence,
            start,
            end,
        } = tombstone;
        self.cut(start);
        self.cut(end);
        let fragments = &self.fragments;
        let from = fragments.partition_point(|it| it.start < *start);
        let to = fragments.partition_point(|it| before(&it.start, end));
        let fresh = |start: &Key, end: &Key| Fragment {
            start: start.clone(),
            end: end.clone(),
            sequences: [*sequence].into(),
        };
        let mut pieces = Vec::with_capacity(to - from + 1);
        // Start of the keys that no piece covers yet; `None` past the last possible key.
        let mut rest = Some(start);
        for fragment in &self.fragments[from..to] {
            if let Some(gap) = rest.filter(|gap| **gap < fragment.start) {
                pieces.push(fresh(gap, &fragment.start));
            }
            pieces.push(fragment.with(*sequence));
            rest = Some(&fragment.end).filter(|end| !end.is_empty());
        }
        if let Some(gap) = rest.filter(|gap| before(gap, end)) {
            pieces.push(fresh(gap, end));
        }
        self.fragments.splice(from..to, pieces);
    }

    /// Makes `key` a bound between two fragments if it lies inside one.
    fn cut(&mut self, key: &Key) {
        let after = self.fragments.partition_point(|it| it.start < *key);
        let Some(at) = after.checked_sub(1) else {
            return;
        };
        let fragment = &self.fragments[at];
        if fragment.before_end(key) {
            let right = Fragment {
                start: key.clone(),
                ..fragment.clone()
            };
            self.fragments[at].end = key.clone();
            self.fragments.insert(after, right);
        }
    }

    fn remove(&mut self, removed: &BTreeSet<Sequence>) {
        let mut kept: Vec<Fragment> = Vec::with_capacity(self.fragments.len());
        for fragment in self.fragments.drain(..) {
            let mut left = fragment.sequences.to_vec();
            left.retain(|it| !removed.contains(it));
            match kept.last_mut() {
                // A bound that only removed tombstones had is no longer needed.
                Some(last) if *last.sequences == *left && last.end == fragment.start => {
                    last.end = fragment.end
                }
                _ if left.is_empty() => {}
                _ => kept.push(Fragment {
                    sequences: left.into(),
                    ..fragment
                }),
            }
        }
        self.fragments = kept;
    }

    /// Returns whether the set holds no tombstone.
    pub(crate) fn is_empty(&self) -> bool {
        self.fragments.is_empty()
    }

    /// Returns the bytes of memory it takes.
    pub(crate) fn bytes(&self) -> u64 {
        let mut bytes = 0;
        for it in &self.fragments {
            bytes += size_of::<Fragment>() + it.start.len() + it.end.len();
            bytes += 16 + 8 * it.sequences.len();
        }
        bytes as u64
    }

    /// Returns the fragment in which `key` lies.
    fn fragment(&self, key: &[u8]) -> Option<&Fragment> {
        let after = self.fragments.partition_point(|it| *it.start <= *key);
        let fragment = self.fragments[..after].last()?;
        fragment.before_end(key).then_some(fragment)
    }

    /// Returns the fragments that overlap `smallest..=largest`.
    fn overlapping(&self, smallest: &[u8], largest: &[u8]) -> &[Fragment] {
        let fragments = &self.fragments;
        let from = fragments.partition_point(|it| !it.before_end(smallest));
        let to = fragments.partition_point(|it| *it.start <= *largest);
        &self.fragments[from..to.max(from)]
    }

    /// Returns whether any tombstone covers `key`.
    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.fragment(key).is_some()
    }

    /// Returns the oldest tombstone over `key` that is newer than `sequence`.
    pub(crate) fn next_after(&self, key: &[u8], sequence: Sequence) -> Option<Sequence> {
        let sequences = &self.fragment(key)?.sequences;
        let at = sequences.partition_point(|other| *other <= sequence);
        sequences.get(at).copied()
    }

    /// Returns the sequence number below which tombstones that `snapshot` sees hide every key of
    /// `smallest..=largest`, or 0 if some key is not covered.
    pub(crate) fn covering(&self, smallest: &[u8], largest: &[u8], snapshot: Sequence) -> Sequence {
        let fragments = self.overlapping(smallest, largest);
        let (Some(first), Some(last)) = (fragments.first(), fragments.last()) else {
            return 0;
        };
        let pairs = fragments.windows(2);
        let has_gap = pairs.into_iter().any(|pair| pair[0].end != pair[1].start);
        if *first.start > *smallest || !last.before_end(largest) || has_gap {
            return 0;
        }
        let newest = fragments.iter().map(|it| it.newest(snapshot));
        newest.min().unwrap_or(0)
    }

    /// Returns the sequence numbers of the tombstones.
    pub(crate) fn sequences(&self) -> BTreeSet<Sequence> {
        let mut sequences = BTreeSet::new();
        for fragment in &self.fragments {
            sequences.extend(fragment.sequences.iter().copied());
        }
        sequences
    }

    /// Returns the newest tombstone, or 0 if there are no tombstones.
    pub(crate) fn newest(&self) -> Sequence {
        let fragments = self.fragments.iter();
        let newest = fragments.filter_map(|it| it.sequences.last().copied());
        newest.max().unwrap_or(0)
    }

    /// Returns the tombstones, reassembled from their fragments.
    pub(crate) fn tombstones(&self) -> Vec<RangeTombstone> {
        let mut whole: BTreeMap<Sequence, (&Key, &Key)> = BTreeMap::new();
        for fragment in &self.fragments {
            for sequence in fragment.sequences.iter() {
                // The fragments of a tombstone leave no gap.
                let bounds = whole.entry(*sequence);
                let bounds = bounds.or_insert((&fragment.start, &fragment.end));
                bounds.1 = &fragment.end;
            }
        }
        let mut tombstones = Vec::with_capacity(whole.len());
        for (sequence, (start, end)) in whole {
            tombstones.push(RangeTombstone {
                sequence,
                start: start.clone(),
                end: end.clone(),
            });
        }
        tombstones
    }

    /// Returns the tombstones that newer ones make unnecessary. Wherever such a tombstone hides
    /// something, a newer one hides it from the same of `snapshots` (in order) and from readers of
    /// the newest state.
    fn shadowed(&self, snapshots: &[Sequence]) -> BTreeSet<Sequence> {
        let stripe = |sequence: Sequence| snapshots.partition_point(|it| *it < sequence);
        let mut needed = BTreeSet::new();
        for fragment in &self.fragments {
            for (at, sequence) in fragment.sequences.iter().enumerate() {
                let newer = fragment.sequences.get(at + 1);
                if newer.is_none_or(|newer| stripe(*newer) != stripe(*sequence)) {
                    needed.insert(*sequence);
                }
            }
        }
        self.sequences().difference(&needed).copied().collect()
    }

    /// Returns the tombstones that can leave: those that newer ones make unnecessary, and those
    /// that no table needs.
    pub(crate) fn spent(
        &self,
        tables: &[SweptSpan<'_>],
        snapshots: &[Sequence],
    ) -> BTreeSet<Sequence> {
        let mut needed = BTreeSet::new();
        for table in tables {
            for fragment in self.overlapping(table.smallest, table.largest) {
                let sequences = fragment.sequences.iter().copied();
                needed.extend(sequences.filter(|it| *it > table.swept));
            }
        }
        let shadowed = self.shadowed(snapshots);
        let mut spent = self.sequences();
        spent.retain(|it| !needed.contains(it) || shadowed.contains(it));
        spent
    }
}

/// The keys of a table, and how far it was swept.
pub(crate) struct SweptSpan<'a> {
    smallest: &'a Key,
    largest: &'a Key,
    /// Range tombstones up to this sequence number hide nothing in the table.
    swept: Sequence,
}

impl<'a> SweptSpan<'a> {
    /// Describes a table that was swept up to `swept`. Tombstones older than all its entries hide
    /// nothing in it either.
    pub(crate) fn new(facts: &'a TableFacts, swept: Sequence) -> Self {
        Self {
            smallest: &facts.smallest,
            largest: &facts.largest,
            swept: swept.max(facts.sequence_min),
        }
    }
}

/// The range tombstones of a reader's state, at the moment when the reader took it. Some may be
/// newer than what the reader sees. Without tombstones it is empty and allocates nothing.
pub(crate) struct RangeView {
    sets: Vec<Arc<RangeSet>>,
}

impl RangeView {
    /// Creates a view of `sets`.
    pub(crate) fn new(sets: impl Iterator<Item = Arc<RangeSet>>) -> Self {
        Self {
            sets: sets.collect(),
        }
    }

    /// Returns whether a tombstone covers `key`, seen or not.
    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.sets.iter().any(|set| set.contains(key))
    }

    /// Returns how many tombstones it holds.
    pub(crate) fn tombstones(&self) -> u64 {
        let counts = self.sets.iter().map(|set| set.sequences().len() as u64);
        counts.sum()
    }

    /// Returns the newest tombstone over `key` that `snapshot` sees, with a fragment that it
    /// covers.
    pub(crate) fn newest(
        &self,
        key: &[u8],
        snapshot: Sequence,
        work: &mut CpuWork,
    ) -> Option<(Sequence, &Fragment)> {
        let mut newest: Option<(Sequence, &Fragment)> = None;
        for set in &self.sets {
            work.comparisons += u64::from(set.fragments.len().max(1).ilog2()) + 1;
            let Some(fragment) = set.fragment(key) else {
                continue;
            };
            let found = fragment.newest(snapshot);
            if found > newest.map_or(0, |(sequence, _)| sequence) {
                newest = Some((found, fragment));
            }
        }
        newest
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    fn tombstone(sequence: Sequence, start: &str, end: &str) -> RangeTombstone {
        let key = |text: &str| Key::copy_from_slice(text.as_bytes());
        RangeTombstone {
            sequence,
            start: key(start),
            end: key(end),
        }
    }

    fn set(tombstones: &[RangeTombstone]) -> RangeSet {
        RangeSet::default().changed(tombstones, &BTreeSet::new())
    }

    fn show(set: &RangeSet) -> String {
        let text = |key: &Key| String::from_utf8_lossy(key).into_owned();
        let mut shown = Vec::new();
        for it in &set.fragments {
            let start = text(&it.start);
            let end = text(&it.end);
            shown.push(format!("{start}-{end}{:?}", it.sequences));
        }
        shown.join(" ")
    }

    #[test]
    fn overlapping_tombstones_are_cut_at_each_others_bounds() {
        let all = [
            tombstone(3, "b", "e"),
            tombstone(5, "d", "h"),
            tombstone(4, "k", ""),
            tombstone(7, "", "c"),
        ];
        assert_eq!(
            show(&set(&all)),
            "-b[7] b-c[3, 7] c-d[3] d-e[3, 5] e-h[5] k-[4]"
        );
        let by_sequence = [&all[0], &all[2], &all[1], &all[3]].map(Clone::clone);
        assert_eq!(set(&all).tombstones(), by_sequence);
        let without = set(&all).changed([], &[5, 7].into());
        assert_eq!(show(&without), "b-e[3] k-[4]", "unneeded bounds are gone");
    }

    #[test]
    fn a_span_is_covered_if_each_of_its_keys_is() {
        let set = set(&[
            tombstone(3, "b", "e"),
            tombstone(5, "e", "h"),
            tombstone(9, "i", ""),
        ]);
        let covering = |smallest: &str, largest: &str, snapshot| {
            set.covering(smallest.as_bytes(), largest.as_bytes(), snapshot)
        };
        assert_eq!(covering("b", "d", 100), 3);
        assert_eq!(covering("c", "g", 100), 3, "the older of the two");
        assert_eq!(covering("e", "g", 4), 0, "not seen");
        assert_eq!(covering("a", "c", 100), 0);
        assert_eq!(covering("g", "h", 100), 0, "the end is outside");
        assert_eq!(covering("g", "j", 100), 0, "a gap");
        assert_eq!(covering("i", "zz", 100), 9);
    }

    #[test]
    fn a_tombstone_leaves_once_no_table_needs_it() {
        let set = set(&[tombstone(10, "b", "f"), tombstone(20, "m", "p")]);
        let span = |smallest: &'static str, largest: &'static str, swept| {
            let keys = [smallest, largest].map(Key::from);
            (keys, swept)
        };
        let spent = |tables: &[([Key; 2], Sequence)]| {
            let spans = tables.iter().map(|(keys, swept)| SweptSpan {
                smallest: &keys[0],
                largest: &keys[1],
                swept: *swept,
            });
            set.spent(&spans.collect::<Vec<_>>(), &[])
        };
        assert_eq!(spent(&[]), [10, 20].into());
        assert_eq!(spent(&[span("c", "e", 9)]), [20].into());
        assert_eq!(
            spent(&[span("c", "e", 10), span("n", "n", 19)]),
            [10].into()
        );
        assert_eq!(spent(&[span("a", "z", 10)]), [10].into());
        assert_eq!(
            spent(&[span("z", "z", 0), span("a", "a", 0)]),
            [10, 20].into()
        );
    }

    /// Returns whether `tombstone` covers `key`, by its definition.
    fn covers(tombstone: &RangeTombstone, key: &[u8]) -> bool {
        tombstone.start <= key && (tombstone.end.is_empty() || *key < *tombstone.end)
    }

    fn random_tombstone(chance: &mut Xoshiro256PlusPlus, sequence: Sequence) -> RangeTombstone {
        let mut bound = || {
            let mut key = vec![b'a'; chance.random_range(0..2)];
            key.push(chance.random_range(97..110));
            Key::from(key)
        };
        let one = bound();
        let other = bound();
        let mut start = one.clone().min(other.clone());
        let mut end = one.max(other);
        if start == end || chance.random_ratio(1, 8) {
            end = Key::new();
        }
        if chance.random_ratio(1, 8) {
            start = Key::new();
        }
        RangeTombstone {
            sequence,
            start,
            end,
        }
    }

    #[test]
    fn a_set_answers_like_the_list_of_its_tombstones() {
        for seed in 0..60 {
            let mut chance = Xoshiro256PlusPlus::seed_from_u64(seed);
            let mut list: Vec<RangeTombstone> = Vec::new();
            let mut set = RangeSet::default();
            for sequence in 1..=40 {
                let fresh = random_tombstone(&mut chance, sequence);
                let mut removed = BTreeSet::new();
                if chance.random_range(0..4) == 0 {
                    let sequences = list.iter().map(|it| it.sequence);
                    removed.extend(sequences.filter(|_| chance.random_ratio(1, 8)));
                }
                set = set.changed([&fresh], &removed);
                list.retain(|it| !removed.contains(&it.sequence));
                list.push(fresh);
                check(&set, &list, sequence + 1, &format!("seed {seed}, {list:?}"));
                let mut snapshots: Vec<Sequence> = (0..chance.random_range(0..3))
                    .map(|_| chance.random_range(0..=sequence))
                    .collect();
                snapshots.sort_unstable();
                check_shadowed(&set, &snapshots, &format!("seed {seed}, {list:?}"));
            }
        }
    }

    /// Checks that tombstones shadowed by newer ones change nothing that `snapshots` and later
    /// readers see.
    fn check_shadowed(set: &RangeSet, snapshots: &[Sequence], what: &str) {
        let less = set.changed([], &set.shadowed(snapshots));
        for key in keys() {
            for snapshot in snapshots.iter().copied().chain([Sequence::MAX]) {
                let hides = |set: &RangeSet| set.fragment(&key).map_or(0, |it| it.newest(snapshot));
                assert_eq!(
                    hides(&less),
                    hides(set),
                    "{what}: {key:?} at {snapshot} of {snapshots:?}"
                );
            }
        }
    }

    fn keys() -> impl Iterator<Item = Vec<u8>> {
        (96..=111u8).flat_map(|last| {
            [
                vec![last],
                vec![b'a', last],
                vec![b'a', last, 0],
                vec![last, 0],
            ]
        })
    }

    fn check(set: &RangeSet, list: &[RangeTombstone], next: Sequence, what: &str) {
        let mut pairs = set.fragments.windows(2);
        let are_sorted = pairs.all(|it| !it[0].end.is_empty() && it[0].end <= it[1].start);
        assert!(are_sorted, "{what}: {set:?}");
        assert_eq!(set.tombstones(), list, "{what}");
        let last = list.last().map_or(0, |it| it.sequence);
        assert_eq!(set.newest(), last, "{what}");
        let view = RangeView::new([Arc::new(set.clone())].into_iter());
        for key in keys() {
            let over = list.iter().filter(|it| covers(it, &key));
            let over: Vec<Sequence> = over.map(|it| it.sequence).collect();
            assert_eq!(view.contains(&key), !over.is_empty(), "{what}: {key:?}");
            for at in 0..next {
                let newest = view.newest(&key, at, &mut CpuWork::default());
                let newest = newest.map(|(sequence, _)| sequence);
                let expected = over.iter().copied().filter(|it| *it <= at).max();
                assert_eq!(newest, expected, "{what}: {key:?} at {at}");
                let next = set.next_after(&key, at);
                let expected = over.iter().copied().find(|it| *it > at);
                assert_eq!(next, expected, "{what}: {key:?} after {at}");
            }
        }
    }
}
