//! A table's index: which data blocks can hold a key.
//!
//! *Fence pointers* keep the last key of every block in one buffer and search it. A *model* of an index policy (see
//! [`aura_policies::index`]) is asked for a window of ranks instead; then the number of entries before each block is
//! all that is kept beside it, 4 B a block. The table stores the fence keys either way: they serve where the policy
//! makes no model, where its model is refused, and where a stored model cannot be read.
//!
//! The rank of an entry is its number in the table, versions counted one by one. Its *image* is the 8 bytes after the
//! longest prefix that all keys of the table share, as a big-endian number, padded with zeros: a map that keeps the
//! order but not always the difference, so that a window is widened by the longest run of equal images.

use std::ops::Range;

use aura_policies::index::{IndexPolicy, Model, Trained, Window};
use bytes::Bytes;
use serde::Serialize;

use crate::codec::{Fields, put_bytes, put_varint};
use crate::env::Work;
use crate::sst::format::Properties;

/// What searches a table's index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum IndexUse {
    /// Binary search over fence pointers.
    #[default]
    Fence,
    /// A learned model.
    Model,
}

/// What a table's index is and takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct IndexReport {
    /// The index policy the table was built with.
    pub kind: String,
    /// What serves.
    pub used: IndexUse,
    /// Why fence pointers serve although the policy makes models.
    pub refused: Option<String>,
    /// Pieces of the model; 0 with fence pointers.
    pub segments: u64,
    /// Bytes of memory used, block addresses included.
    pub memory_bytes: u64,
    /// The largest distance, in entries, of an end of a window from the rank that was looked for; measured over every
    /// key and every edge of a gap when the table was built. 0 with fence pointers.
    pub error_max: u32,
    /// Entries of the table.
    pub keys: u64,
    /// Bytes of memory that fence pointers take, or would take; block addresses included.
    pub fence_bytes: u64,
}

/// How many bytes two keys share at their start.
fn common_prefix(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

/// The image of a key, given what follows the common prefix.
fn image(suffix: &[u8]) -> u64 {
    match suffix.first_chunk::<8>() {
        Some(head) => u64::from_be_bytes(*head),
        None => {
            suffix.iter().zip([56, 48, 40, 32, 24, 16, 8]).fold(0, |image, (byte, at)| image | u64::from(*byte) << at)
        }
    }
}

/// Collects the images of sorted keys whose common prefix is known only after the last.
///
/// Each image is taken after the prefix shared so far. When that gets shorter, the images before become, in the end,
/// the bytes by which it did, then as much of the old image as fits: all the bytes needed are still there.
#[derive(Default)]
pub(crate) struct Images {
    first: Vec<u8>,
    prefix: usize,
    values: Vec<u64>,
    /// From which entry on which length of the prefix was used.
    epochs: Vec<(usize, usize)>,
}

impl Images {
    /// Adds a key not below those before.
    pub(crate) fn push(&mut self, key: &[u8]) {
        if self.values.is_empty() {
            self.first = key.to_vec();
            self.prefix = key.len();
            self.epochs.push((0, self.prefix));
        }
        let shared = common_prefix(&self.first[..self.prefix], key);
        if shared < self.prefix {
            self.prefix = shared;
            self.epochs.push((self.values.len(), shared));
        }
        self.values.push(image(&key[self.prefix..]));
    }

    /// The images after the prefix that all keys share.
    pub(crate) fn finish(mut self) -> Vec<u64> {
        let mut end = self.values.len();
        for (start, prefix) in self.epochs.into_iter().rev() {
            let bits = 8 * (prefix - self.prefix);
            let lead = image(&self.first[self.prefix..prefix]);
            if bits > 0 {
                for value in &mut self.values[start..end] {
                    *value = lead | value.checked_shr(bits as u32).unwrap_or(0);
                }
            }
            end = start;
        }
        self.values
    }
}

/// What training a table's model gave.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Training {
    /// The encoded model, if there is one and it is right.
    pub model: Option<Vec<u8>>,
    /// Why there is none although the policy makes them; empty otherwise.
    pub refused: String,
    /// The longest run of equal images.
    pub longest_run: u32,
    /// The model's largest error in entries.
    pub error_max: u32,
}

/// Trains the policy called `name` on `images` and checks what it says. O(entries).
pub(crate) fn train(policy: &dyn IndexPolicy, name: &str, images: &[u64], work: &mut Work) -> Training {
    let longest_run = images.chunk_by(|a, b| a == b).map(<[u64]>::len).max().unwrap_or(0);
    let mut training = Training { longest_run: u32::try_from(longest_run).unwrap_or(u32::MAX), ..Training::default() };
    if u32::try_from(images.len()).is_err() {
        training.refused = "ranks have 32 bits, and the table has more entries".to_owned();
        return training;
    }
    match policy.train(images) {
        Trained::Fence => {}
        Trained::Refused(why) => training.refused = why.to_owned(),
        Trained::Model(encoded) => match aura_policies::index::decode(name, Bytes::from(encoded.clone())) {
            None => training.refused = "the encoded model does not read back".to_owned(),
            Some(model) => match check(&*model, images, work) {
                Ok(error_max) => (training.model, training.error_max) = (Some(encoded), error_max),
                Err(wrong) => training.refused = wrong,
            },
        },
    }
    training
}

/// Asks a model for every stored image and both edges of every gap. The largest error, or the first broken promise.
fn check(model: &dyn Model, images: &[u64], work: &mut Work) -> Result<u32, String> {
    let count = images.len() as u32;
    let mut error_max = 0;
    let mut ask = |image: u64, rank: u32| {
        work.model_evaluations += 1;
        let Window { lo, hi } = model.locate(image);
        if lo > rank || rank > hi || hi > count {
            return Err(format!("the model says {lo}..={hi} for image {image:#x}, whose rank of {count} is {rank}"));
        }
        error_max = error_max.max(rank - lo).max(hi - rank);
        Ok(())
    };
    let mut rank = 0;
    let mut gap_start = Some(0);
    for run in images.chunk_by(|a, b| a == b) {
        let image = run[0];
        if let Some(start) = gap_start.filter(|start| *start < image) {
            ask(start, rank)?;
            ask(image - 1, rank)?;
        }
        ask(image, rank)?;
        rank += run.len() as u32;
        gap_start = image.checked_add(1);
    }
    if let Some(start) = gap_start {
        ask(start, count)?;
        ask(u64::MAX, count)?;
    }
    Ok(error_max)
}

/// Writes the index block, drawn in [`crate::sst::format`].
#[derive(Default)]
pub(crate) struct IndexWriter {
    blocks: u32,
    body: Vec<u8>,
}

impl IndexWriter {
    /// Adds the next data block: its bytes in the file, its entries, its last key.
    pub(crate) fn add(&mut self, file_bytes: usize, entries: usize, last_key: &[u8]) {
        self.blocks += 1;
        put_varint(&mut self.body, file_bytes as u64);
        put_varint(&mut self.body, entries as u64);
        put_bytes(&mut self.body, last_key);
    }

    /// Bytes of the block if it ended here.
    pub(crate) fn bytes(&self) -> usize {
        self.body.len() + 4
    }

    /// The block's bytes.
    pub(crate) fn finish(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.body.len() + 4);
        out.extend_from_slice(&self.blocks.to_le_bytes());
        out.extend_from_slice(&self.body);
        out
    }
}

/// The last key of every block, end to end.
#[derive(Default)]
struct Fences {
    keys: Vec<u8>,
    ends: Vec<u32>,
}

impl Fences {
    fn key(&self, block: usize) -> &[u8] {
        let start = if block == 0 { 0 } else { self.ends[block - 1] };
        &self.keys[start as usize..self.ends[block] as usize]
    }

    /// The first block whose last key is not below `key`; the number of blocks if there is none.
    fn search(&self, key: &[u8], work: &mut Work) -> usize {
        let (mut lo, mut hi) = (0, self.ends.len());
        while lo < hi {
            let middle = lo + (hi - lo) / 2;
            work.comparisons += 1;
            if self.key(middle) < key {
                lo = middle + 1;
            } else {
                hi = middle;
            }
        }
        lo
    }

    fn memory_bytes(&self) -> u64 {
        (self.keys.len() + self.ends.len() * size_of::<u32>()) as u64
    }
}

enum Search {
    Fence(Fences),
    Model {
        model: Box<dyn Model>,
        /// The rank of each block's first entry.
        starts: Vec<u32>,
        longest_run: u32,
    },
}

/// The index of an open table.
pub(crate) struct TableIndex {
    /// What all keys of the table start with.
    prefix: Bytes,
    /// Where each data block starts, and where the last one ends.
    offsets: Vec<u64>,
    search: Search,
    report: IndexReport,
}

impl TableIndex {
    /// Reads the index block. `model` holds the stored model if the table has one; an error there, or bytes that are no
    /// model, make fence pointers serve. None where the index block is not what [`IndexWriter`] wrote.
    pub(crate) fn open(block: &[u8], properties: &Properties, model: Option<Result<Bytes, String>>) -> Option<Self> {
        let mut fields = Fields::new(block);
        let blocks = fields.u32()?;
        let (mut offsets, mut starts, mut fences) = (vec![0], Vec::new(), Fences::default());
        let (mut end, mut entries) = (0u64, 0u64);
        for _ in 0..blocks {
            starts.push(u32::try_from(entries).unwrap_or(u32::MAX));
            end = end.checked_add(fields.varint()?)?;
            offsets.push(end);
            entries = entries.checked_add(fields.varint()?)?;
            fences.keys.extend_from_slice(fields.bytes()?);
            fences.ends.push(u32::try_from(fences.keys.len()).ok()?);
        }
        (fields.is_empty() && entries == properties.entries && blocks > 0).then_some(())?;
        fences.keys.shrink_to_fit();

        let decode = |bytes| {
            let model = aura_policies::index::decode(&properties.index, bytes);
            model.ok_or_else(|| format!("the stored model is none of the kind {}", properties.index))
        };
        let (model, refused) = match model.map(|model| model.and_then(decode)) {
            None => (None, properties.refused.clone()),
            Some(Ok(model)) => (Some(model), String::new()),
            Some(Err(unreadable)) => (None, unreadable),
        };
        let address_bytes = size_of_val(&offsets[..]) as u64;
        let mut report = IndexReport {
            kind: properties.index.clone(),
            refused: Some(refused).filter(|why| !why.is_empty()),
            keys: properties.entries,
            fence_bytes: address_bytes + fences.memory_bytes(),
            ..IndexReport::default()
        };
        let search = match model {
            None => {
                report.memory_bytes = report.fence_bytes;
                Search::Fence(fences)
            }
            Some(model) => {
                report.used = IndexUse::Model;
                report.segments = model.segments();
                report.error_max = properties.error_max;
                report.memory_bytes = address_bytes + size_of_val(&starts[..]) as u64 + model.memory_bytes();
                Search::Model { model, starts, longest_run: properties.longest_run }
            }
        };
        let prefix = properties.smallest.slice(..common_prefix(&properties.smallest, &properties.largest));
        Some(Self { prefix, offsets, search, report })
    }

    /// What it is and takes.
    pub(crate) fn report(&self) -> &IndexReport {
        &self.report
    }

    /// Data blocks.
    pub(crate) fn blocks(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Where the data blocks end.
    pub(crate) fn end(&self) -> u64 {
        self.offsets[self.blocks()]
    }

    /// Where the bytes of data block `block` lie; None if there is no such block.
    pub(crate) fn span(&self, block: usize) -> Option<Range<u64>> {
        Some(*self.offsets.get(block)?..*self.offsets.get(block + 1)?)
    }

    /// Where `block` and as many blocks after it lie as `bytes` bytes hold, `block` in any case.
    pub(crate) fn stretch(&self, block: usize, bytes: u64) -> Range<u64> {
        let start = self.offsets[block];
        let whole = self.offsets.partition_point(|offset| *offset <= start.saturating_add(bytes));
        start..self.offsets[(block + 1).max(whole - 1)]
    }

    /// The blocks that can hold the first entry not before `key`; where they are none, or all that they hold is before,
    /// it is the first entry after them. For a `point` look-up, which wants `key` itself, they may be fewer: those
    /// that can hold it.
    pub(crate) fn candidates(&self, key: &[u8], point: bool, work: &mut Work) -> Candidates {
        let (model, starts, longest_run) = match &self.search {
            Search::Fence(fences) => {
                let block = fences.search(key, work);
                return Candidates { span: block..(block + 1).min(self.blocks()), likely: block };
            }
            Search::Model { model, starts, longest_run } => (model, starts, *longest_run),
        };
        let Some(suffix) = key.strip_prefix(&self.prefix[..]) else {
            work.comparisons += 1;
            let block = if key < &self.prefix[..] { 0 } else { self.blocks() };
            return Candidates { span: block..block, likely: block };
        };
        work.model_evaluations += 1;
        let Window { lo, hi } = model.locate(image(suffix));
        let block_of = |rank: u32| starts.partition_point(|start| *start <= rank).saturating_sub(1);
        // The first rank with this image or a larger one is in the window. The entry itself may lie anywhere in the
        // run of its image, and the first after that run is one further.
        let run = if point { longest_run.saturating_sub(1) } else { longest_run };
        Candidates {
            span: block_of(lo)..block_of(hi.saturating_add(run)) + 1,
            likely: block_of(lo + hi.saturating_sub(lo) / 2),
        }
    }
}

/// Where a look-up should look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidates {
    /// The blocks to look in.
    pub span: Range<usize>,
    /// The block to begin with.
    pub likely: usize,
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    #[test]
    fn images_are_those_after_the_final_prefix_however_it_shrank() {
        let seed = 5;
        let mut chance = Xoshiro256PlusPlus::seed_from_u64(seed);
        for round in 0..2_000 {
            let mut keys: Vec<Vec<u8>> = (0..chance.random_range(1..40))
                .map(|_| (0..chance.random_range(1..30)).map(|_| chance.random_range(0..2u8) * 0xff).collect())
                .collect();
            keys.sort();
            let mut images = Images::default();
            keys.iter().for_each(|key| images.push(key));
            let prefix = common_prefix(&keys[0], &keys[keys.len() - 1]);
            let expected: Vec<u64> = keys.iter().map(|key| image(&key[prefix..])).collect();
            assert!(expected.is_sorted(), "seed {seed}, round {round}");
            assert_eq!(images.finish(), expected, "seed {seed}, round {round}: {keys:?}");
        }
    }

    #[test]
    fn short_suffixes_are_padded() {
        assert_eq!(image(b""), 0);
        assert_eq!(image(&[1, 2]), 0x0102_0000_0000_0000);
        assert_eq!(image(&[1, 2, 3, 4, 5, 6, 7]), 0x0102_0304_0506_0700);
        assert_eq!(image(&[1, 2, 3, 4, 5, 6, 7, 8, 9]), 0x0102_0304_0506_0708);
    }

    /// Says the true rank, give or take what it is told to, and is wrong at one image.
    struct Scripted {
        images: Vec<u64>,
        slack: u32,
        wrong_at: Option<u64>,
    }

    impl Model for Scripted {
        fn locate(&self, image: u64) -> Window {
            let rank = self.images.partition_point(|stored| *stored < image) as u32;
            if self.wrong_at == Some(image) {
                return Window { lo: rank + 1, hi: rank + 1 };
            }
            Window { lo: rank.saturating_sub(self.slack), hi: (rank + self.slack).min(self.images.len() as u32) }
        }

        fn memory_bytes(&self) -> u64 {
            0
        }

        fn segments(&self) -> u64 {
            1
        }
    }

    #[test]
    fn a_model_is_asked_at_every_key_and_gap_and_its_error_is_measured() {
        let images = vec![3, 3, 3, 8, 9, 40];
        let check_with = |slack, wrong_at| {
            check(&Scripted { images: images.clone(), slack, wrong_at }, &images, &mut Work::default())
        };
        assert_eq!(check_with(0, None), Ok(0));
        assert_eq!(check_with(2, None), Ok(2));
        for edge in [0, 2, 3, 4, 7, 8, 9, 10, 39, 40, 41, u64::MAX] {
            assert!(check_with(1, Some(edge)).is_err(), "a model that is wrong at {edge} passed");
        }
        assert_eq!(check_with(1, Some(20)), Ok(1), "the inside of a gap is not asked");
    }

    /// A policy that encodes nothing readable.
    struct Garbage;

    impl IndexPolicy for Garbage {
        fn train(&self, _images: &[u64]) -> Trained {
            Trained::Model(vec![0xff; 7])
        }
    }

    #[test]
    fn a_model_that_does_not_read_back_is_refused() {
        for entry in aura_policies::index::FAMILY.entries {
            let training = train(&Garbage, entry.name, &[1, 2, 2, 3], &mut Work::default());
            assert_eq!((training.model, training.longest_run), (None, 2), "{}", entry.name);
            assert!(!training.refused.is_empty(), "{}", entry.name);
        }
    }

    #[test]
    fn fences_find_the_first_block_that_reaches_a_key() {
        let mut fences = Fences::default();
        for key in ["b", "d", "d", "ff"] {
            fences.keys.extend_from_slice(key.as_bytes());
            fences.ends.push(fences.keys.len() as u32);
        }
        let cases = [("a", 0), ("b", 0), ("c", 1), ("d", 1), ("e", 3), ("ff", 3), ("g", 4)];
        for (key, block) in cases {
            assert_eq!(fences.search(key.as_bytes(), &mut Work::default()), block, "{key}");
        }
    }
}
