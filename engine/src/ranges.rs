//! Range deletes: keys that were removed together, without a word of each.
//!
//! A *range tombstone* hides every older entry of its keys. It is never written into a table. Those of recent writes are
//! kept beside their memtable's sorted map; a flush moves them into the version, where they stay, in memory and in the
//! manifest, until every table that could hold something they hide has been rewritten without it (`table_swept` in
//! [`version::format`](crate::manifest::format)) or dropped.
//!
//! Overlapping tombstones are cut at each other's bounds into *fragments*, which are sorted and disjoint, each with the
//! sequence numbers of all tombstones that cover it. So a look-up is one binary search, however many there are.
//!
//! Cost: a look-up O(log fragments), another tombstone O(fragments), for the set is copied: readers hold the old one. n
//! tombstones make at most 2n - 1 fragments. Weak where: hundreds of thousands are alive at once; and where many of
//! one memtable cover the same keys, as each covered fragment names each of them (a flush keeps the newest only).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::env::CpuWork;
use crate::storage::{Key, Sequence};

/// One range delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RangeTombstone {
    /// Its version: it hides entries with a smaller one.
    pub(crate) sequence: Sequence,
    /// The first key.
    pub(crate) start: Key,
    /// The first key after it; empty where it has no end.
    pub(crate) end: Key,
}

/// Whether `key` lies before `end`, which is empty where there is none.
fn before(key: &[u8], end: &[u8]) -> bool {
    end.is_empty() || key < end
}

/// Keys that the same tombstones cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fragment {
    /// The first key.
    pub(crate) start: Key,
    /// The first key after it; empty where it has no end.
    pub(crate) end: Key,
    /// The versions of those tombstones, rising; one at least.
    sequences: Arc<[Sequence]>,
}

impl Fragment {
    /// Whether `key` lies before its end.
    pub(crate) fn before_end(&self, key: &[u8]) -> bool {
        before(key, &self.end)
    }

    /// Whether `key` is one of its keys.
    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        *key >= *self.start && self.before_end(key)
    }

    /// The newest tombstone that `snapshot` sees; 0 where it sees none.
    fn newest(&self, snapshot: Sequence) -> Sequence {
        let seen = self
            .sequences
            .partition_point(|sequence| *sequence <= snapshot);
        self.sequences[..seen].last().copied().unwrap_or(0)
    }

    /// The same keys, covered by `sequence`, too.
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
    /// This set, changed: with `added` and without those of `removed`.
    pub(crate) fn changed<'a>(
        &self,
        added: impl IntoIterator<Item = &'a RangeTombstone>,
        removed: &BTreeSet<Sequence>,
    ) -> Self {
        let mut set = self.clone();
        // In the order of their starts most go to the end.
        let mut added: Vec<_> = added.into_iter().collect();
        added.sort_by(|a, b| a.start.cmp(&b.start));
        added.into_iter().for_each(|tombstone| set.add(tombstone));
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
        let from = self
            .fragments
            .partition_point(|fragment| fragment.start < *start);
        let to = self
            .fragments
            .partition_point(|fragment| before(&fragment.start, end));
        let fresh = |start: &Key, end: &Key| {
            let (start, end) = (start.clone(), end.clone());
            Fragment {
                start,
                end,
                sequences: [*sequence].into(),
            }
        };
        let mut pieces = Vec::with_capacity(to - from + 1);
        // Where the keys begin that no piece has yet; None past the last key of all.
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

    /// Makes `key` the bound of two fragments where it lies inside one.
    fn cut(&mut self, key: &Key) {
        let after = self
            .fragments
            .partition_point(|fragment| fragment.start < *key);
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
            let left: Vec<_> = fragment
                .sequences
                .iter()
                .copied()
                .filter(|it| !removed.contains(it))
                .collect();
            match kept.last_mut() {
                // A bound that was the removed one's alone is none any more.
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

    /// Whether it holds none.
    pub(crate) fn is_empty(&self) -> bool {
        self.fragments.is_empty()
    }

    /// Bytes of memory it takes.
    pub(crate) fn bytes(&self) -> u64 {
        let bytes = |it: &Fragment| {
            size_of::<Fragment>() + it.start.len() + it.end.len() + 16 + 8 * it.sequences.len()
        };
        self.fragments.iter().map(|it| bytes(it) as u64).sum()
    }

    /// The fragment that `key` lies in.
    fn fragment(&self, key: &[u8]) -> Option<&Fragment> {
        let after = self
            .fragments
            .partition_point(|fragment| *fragment.start <= *key);
        self.fragments[..after]
            .last()
            .filter(|fragment| fragment.before_end(key))
    }

    /// The fragments that hold keys from `smallest` to `largest`, both included.
    fn overlapping(&self, smallest: &[u8], largest: &[u8]) -> &[Fragment] {
        let from = self
            .fragments
            .partition_point(|it| !it.before_end(smallest));
        let to = self.fragments.partition_point(|it| *it.start <= *largest);
        &self.fragments[from..to.max(from)]
    }

    /// Whether any tombstone covers `key`.
    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.fragment(key).is_some()
    }

    /// The oldest tombstone over `key` that is newer than `sequence`.
    pub(crate) fn next_after(&self, key: &[u8], sequence: Sequence) -> Option<Sequence> {
        let sequences = &self.fragment(key)?.sequences;
        sequences
            .get(sequences.partition_point(|other| *other <= sequence))
            .copied()
    }

    /// The version up to which tombstones that `snapshot` sees hide every key from `smallest` to `largest`, both included;
    /// 0 where one is not covered.
    pub(crate) fn covering(&self, smallest: &[u8], largest: &[u8], snapshot: Sequence) -> Sequence {
        let fragments = self.overlapping(smallest, largest);
        let (Some(first), Some(last)) = (fragments.first(), fragments.last()) else {
            return 0;
        };
        let whole = *first.start <= *smallest
            && last.before_end(largest)
            && fragments
                .windows(2)
                .all(|pair| pair[0].end == pair[1].start);
        if whole {
            fragments
                .iter()
                .map(|it| it.newest(snapshot))
                .min()
                .unwrap_or(0)
        } else {
            0
        }
    }

    /// The sequence numbers of the tombstones.
    pub(crate) fn sequences(&self) -> BTreeSet<Sequence> {
        self.fragments
            .iter()
            .flat_map(|fragment| fragment.sequences.iter().copied())
            .collect()
    }

    /// The newest tombstone; 0 where there is none.
    pub(crate) fn newest(&self) -> Sequence {
        self.fragments
            .iter()
            .filter_map(|fragment| fragment.sequences.last().copied())
            .max()
            .unwrap_or(0)
    }

    /// The tombstones, put together again.
    pub(crate) fn tombstones(&self) -> Vec<RangeTombstone> {
        let mut whole: BTreeMap<Sequence, (&Key, &Key)> = BTreeMap::new();
        for fragment in &self.fragments {
            for sequence in fragment.sequences.iter() {
                // The fragments of a tombstone leave no gap.
                whole
                    .entry(*sequence)
                    .or_insert((&fragment.start, &fragment.end))
                    .1 = &fragment.end;
            }
        }
        let tombstone = |(sequence, (start, end)): (Sequence, (&Key, &Key))| RangeTombstone {
            sequence,
            start: start.clone(),
            end: end.clone(),
        };
        whole.into_iter().map(tombstone).collect()
    }

    /// The tombstones that nobody can need beside the newer ones: wherever one hides something, a newer one hides it from
    /// the same of `snapshots` (in order) and from readers of the newest state.
    fn shadowed(&self, snapshots: &[Sequence]) -> BTreeSet<Sequence> {
        let stripe =
            |sequence: Sequence| snapshots.partition_point(|snapshot| *snapshot < sequence);
        let mut needed = BTreeSet::new();
        for fragment in &self.fragments {
            let newer = fragment
                .sequences
                .iter()
                .skip(1)
                .map(|it| stripe(*it))
                .chain([usize::MAX]);
            let pairs = fragment.sequences.iter().zip(newer);
            needed.extend(
                pairs
                    .filter(|(sequence, newer)| stripe(**sequence) != *newer)
                    .map(|(sequence, _)| *sequence),
            );
        }
        self.sequences().difference(&needed).copied().collect()
    }

    /// The tombstones that can leave: those that newer ones make needless, and those that no table needs. Of a table are
    /// given its smallest and largest key, and the version up to which no tombstone hides anything in it.
    pub(crate) fn spent<'a>(
        &self,
        tables: impl IntoIterator<Item = (&'a Key, &'a Key, Sequence)>,
        snapshots: &[Sequence],
    ) -> BTreeSet<Sequence> {
        let mut needed = BTreeSet::new();
        for (smallest, largest, applied) in tables {
            let sequences = self
                .overlapping(smallest, largest)
                .iter()
                .flat_map(|it| it.sequences.iter().copied());
            needed.extend(sequences.filter(|sequence| *sequence > applied));
        }
        let shadowed = self.shadowed(snapshots);
        self.sequences()
            .into_iter()
            .filter(|it| !needed.contains(it) || shadowed.contains(it))
            .collect()
    }
}

/// Every range tombstone that a reader's view holds, as it was when the reader looked: some may be newer than what it
/// sees. Empty, and without an allocation, where there is none.
pub(crate) struct RangeView {
    sets: Vec<Arc<RangeSet>>,
}

impl RangeView {
    /// A view of `sets`.
    pub(crate) fn new(sets: impl Iterator<Item = Arc<RangeSet>>) -> Self {
        Self {
            sets: sets.collect(),
        }
    }

    /// Whether a tombstone covers `key`, seen or not.
    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.sets.iter().any(|set| set.contains(key))
    }

    /// How many tombstones it holds.
    pub(crate) fn tombstones(&self) -> u64 {
        self.sets
            .iter()
            .map(|set| set.sequences().len() as u64)
            .sum()
    }

    /// The newest tombstone over `key` that `snapshot` sees, and a fragment that it covers.
    pub(crate) fn newest(
        &self,
        key: &[u8],
        snapshot: Sequence,
        work: &mut CpuWork,
    ) -> Option<(Sequence, &Fragment)> {
        let mut newest = None;
        for set in &self.sets {
            work.comparisons += u64::from(set.fragments.len().max(1).ilog2()) + 1;
            let found = set
                .fragment(key)
                .map(|fragment| (fragment.newest(snapshot), fragment));
            newest = found
                .filter(|(sequence, _)| *sequence > newest.map_or(0, |(other, _)| other))
                .or(newest);
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
        let fragment =
            |it: &Fragment| format!("{}-{}{:?}", text(&it.start), text(&it.end), it.sequences);
        set.fragments
            .iter()
            .map(fragment)
            .collect::<Vec<_>>()
            .join(" ")
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
        assert_eq!(
            set(&all).tombstones(),
            [
                all[0].clone(),
                all[2].clone(),
                all[1].clone(),
                all[3].clone()
            ]
        );
        let without = set(&all).changed([], &[5, 7].into());
        assert_eq!(
            show(&without),
            "b-e[3] k-[4]",
            "bounds that nobody needs are gone"
        );
    }

    #[test]
    fn a_span_is_covered_where_no_key_of_it_is_left_out() {
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
    fn a_tombstone_leaves_when_every_table_has_been_swept_or_is_newer() {
        let set = set(&[tombstone(10, "b", "f"), tombstone(20, "m", "p")]);
        let (a, c, e, n, z) = (
            Key::from("a"),
            Key::from("c"),
            Key::from("e"),
            Key::from("n"),
            Key::from("z"),
        );
        let spent = |tables: &[(&Key, &Key, Sequence)]| set.spent(tables.iter().copied(), &[]);
        assert_eq!(spent(&[]), [10, 20].into());
        assert_eq!(spent(&[(&c, &e, 9)]), [20].into());
        assert_eq!(spent(&[(&c, &e, 10), (&n, &n, 19)]), [10].into());
        assert_eq!(spent(&[(&a, &z, 10)]), [10].into());
        assert_eq!(spent(&[(&z, &z, 0), (&a, &a, 0)]), [10, 20].into());
    }

    /// Whether `tombstone` covers `key`, by its definition.
    fn covers(tombstone: &RangeTombstone, key: &[u8]) -> bool {
        tombstone.start <= key && (tombstone.end.is_empty() || *key < *tombstone.end)
    }

    fn random_tombstone(chance: &mut Xoshiro256PlusPlus, sequence: Sequence) -> RangeTombstone {
        let mut bound = || {
            Key::from(
                vec![b'a'; chance.random_range(0..2)]
                    .into_iter()
                    .chain([chance.random_range(97..110)])
                    .collect::<Vec<u8>>(),
            )
        };
        let (one, other) = (bound(), bound());
        let (mut start, mut end) = (one.clone().min(other.clone()), one.max(other));
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
    fn a_set_answers_as_the_list_of_its_tombstones() {
        for seed in 0..60 {
            let mut chance = Xoshiro256PlusPlus::seed_from_u64(seed);
            let (mut list, mut set): (Vec<RangeTombstone>, RangeSet) = Default::default();
            for sequence in 1..=40 {
                let fresh = random_tombstone(&mut chance, sequence);
                let removed: BTreeSet<_> = match chance.random_range(0..4) {
                    0 => list
                        .iter()
                        .map(|it| it.sequence)
                        .filter(|_| chance.random_ratio(1, 8))
                        .collect(),
                    _ => BTreeSet::new(),
                };
                set = set.changed([&fresh], &removed);
                list.retain(|it| !removed.contains(&it.sequence));
                list.push(fresh);
                check(&set, &list, sequence + 1, &format!("seed {seed}, {list:?}"));
                // What newer ones shadow changes nothing that a snapshot held or a later reader sees.
                let mut snapshots: Vec<Sequence> = (0..chance.random_range(0..3))
                    .map(|_| chance.random_range(0..=sequence))
                    .collect();
                snapshots.sort_unstable();
                let less = set.changed([], &set.shadowed(&snapshots));
                for (key, snapshot) in keys().flat_map(|key| {
                    snapshots
                        .iter()
                        .copied()
                        .chain([Sequence::MAX])
                        .map(move |it| (key.clone(), it))
                }) {
                    let hides =
                        |set: &RangeSet| set.fragment(&key).map_or(0, |it| it.newest(snapshot));
                    assert_eq!(
                        hides(&less),
                        hides(&set),
                        "seed {seed}, {list:?}: {key:?} at {snapshot} of {snapshots:?}"
                    );
                }
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
        assert!(
            set.fragments
                .windows(2)
                .all(|it| !it[0].end.is_empty() && it[0].end <= it[1].start),
            "{what}: {set:?}"
        );
        assert_eq!(set.tombstones(), list, "{what}");
        assert_eq!(
            set.newest(),
            list.last().map_or(0, |it| it.sequence),
            "{what}"
        );
        let view = RangeView::new([Arc::new(set.clone())].into_iter());
        for key in keys() {
            let over: Vec<Sequence> = list
                .iter()
                .filter(|it| covers(it, &key))
                .map(|it| it.sequence)
                .collect();
            assert_eq!(view.contains(&key), !over.is_empty(), "{what}: {key:?}");
            for at in 0..next {
                let newest = view
                    .newest(&key, at, &mut CpuWork::default())
                    .map(|(sequence, _)| sequence);
                assert_eq!(
                    newest,
                    over.iter().copied().filter(|it| *it <= at).max(),
                    "{what}: {key:?} at {at}"
                );
                assert_eq!(
                    set.next_after(&key, at),
                    over.iter().copied().find(|it| *it > at),
                    "{what}: {key:?} after {at}"
                );
            }
        }
    }
}
