//! The operations of a key-value trace, to be replayed on a store: what was asked of which key, in
//! order, with the lengths of keys and values and the times.
//!
//! ```text
//!   names: the bytes of every key, by number            before: what the operation finds
//!   rows:  key | action | value bytes | scan length ──▶   the last write of its key, a delete,
//!   times: nanoseconds, if the trace has them              or nothing yet
//! ```
//!
//! A trace has no values, only their lengths. The replay makes each value from the number of its
//! key and of the operation that writes it ([`crate::values`]), so that every read can be checked:
//! the trace says which write it must find. Keys that a reader meets first are put before the first
//! operation, if that is wanted ([`Operations::prepared`]).
//!
//! Memory: 20 bytes an operation, 8 more with times, 16 more if the trace says which values were
//! written; the names once.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::numbers::Numbers;
use super::sample::Kept;
use super::{Place, Result, TraceError};
use crate::distributions::Permutation;
use crate::lengths::Lengths;
use crate::seed::Seed;
use crate::sizes::Sizes;

/// The longest key that a trace may have: reads of a store take no more.
const KEY_BYTES_MAX: usize = 1 << 16;
/// The longest value.
const VALUE_BYTES_MAX: u64 = 256 << 20;
/// The latest time, in nanoseconds: 292 years. Beyond it a time is garbage, and sums overflow.
pub(super) const TIME_MAX: u64 = i64::MAX as u64;
/// Stands for a length that the trace does not state.
const UNKNOWN: u32 = u32::MAX;
/// Before an operation: its key was not written, and must not be found.
const ABSENT: u32 = u32::MAX;

/// What an operation of a trace does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Gets a key.
    Get,
    /// Puts a key.
    Put,
    /// Deletes a key.
    Delete,
    /// Reads records from a key on, to larger keys.
    Scan,
    /// Reads records from a key on, to smaller keys.
    ReverseScan,
    /// Gets a key, and puts it.
    ReadModifyWrite,
}

impl Action {
    /// All actions, by their numbers in files.
    pub(super) const ALL: [Self; 6] = [
        Self::Get,
        Self::Put,
        Self::Delete,
        Self::Scan,
        Self::ReverseScan,
        Self::ReadModifyWrite,
    ];

    /// What the operation `name` of a text does; `None` if the name is not known.
    pub(super) fn of(name: &[u8]) -> Option<Self> {
        let is = |known: &&(&str, Self)| name.eq_ignore_ascii_case(known.0.as_bytes());
        NAMES.iter().find(is).map(|(_, action)| *action)
    }

    /// All names of operations, for an error message.
    pub(super) fn names() -> String {
        NAMES.map(|(name, _)| name).join(", ")
    }

    /// Whether it writes a value.
    pub fn writes(self) -> bool {
        matches!(self, Self::Put | Self::ReadModifyWrite)
    }
}

/// The names of operations in traces, in small letters: all that any reader knows.
const NAMES: [(&str, Action); 37] = [
    ("get", Action::Get),
    ("gets", Action::Get),
    ("get_lease", Action::Get),
    ("read", Action::Get),
    ("lookup", Action::Get),
    ("multiget", Action::Get),
    ("put", Action::Put),
    ("set", Action::Put),
    ("set_lease", Action::Put),
    ("add", Action::Put),
    ("replace", Action::Put),
    ("cas", Action::Put),
    ("write", Action::Put),
    ("insert", Action::Put),
    ("update", Action::Put),
    ("delete", Action::Delete),
    ("del", Action::Delete),
    ("remove", Action::Delete),
    ("rem", Action::Delete),
    ("unlink", Action::Delete),
    ("singledelete", Action::Delete),
    ("single_delete", Action::Delete),
    ("scan", Action::Scan),
    ("seek", Action::Scan),
    ("range", Action::Scan),
    ("iterate", Action::Scan),
    ("reverse_scan", Action::ReverseScan),
    ("seek_for_prev", Action::ReverseScan),
    ("seekforprev", Action::ReverseScan),
    ("append", Action::ReadModifyWrite),
    ("prepend", Action::ReadModifyWrite),
    ("incr", Action::ReadModifyWrite),
    ("decr", Action::ReadModifyWrite),
    ("merge", Action::ReadModifyWrite),
    ("rmw", Action::ReadModifyWrite),
    ("read_modify_write", Action::ReadModifyWrite),
    ("readmodifywrite", Action::ReadModifyWrite),
];

/// The number of a key and of a version, from which a recorded value was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ValueSource {
    /// The key's number.
    pub number: u64,
    /// The version.
    pub version: u64,
}

/// One operation as it is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation<'a> {
    pub(super) action: Action,
    pub(super) name: Name<'a>,
    /// The length of the key, if the trace states another than that of its name.
    pub(super) key_bytes: Option<u64>,
    pub(super) value_bytes: Option<u64>,
    pub(super) at_ns: u64,
    /// Records of a scan; 0 if the trace does not say.
    pub(super) length: u32,
    pub(super) source: Option<ValueSource>,
    /// Whether it belongs to the load of the recorded database.
    pub(super) loads: bool,
}

impl<'a> Operation<'a> {
    pub(super) fn new(action: Action, name: Name<'a>, at_ns: u64) -> Self {
        Self {
            action,
            name,
            key_bytes: None,
            value_bytes: None,
            at_ns,
            length: 0,
            source: None,
            loads: false,
        }
    }

    /// The hash of the key, by which samples are taken: that of its bytes in whatever format they
    /// are written, so that a converted trace has the sample of the original.
    pub(super) fn hash(&self) -> u64 {
        let bytes = match self.name {
            Name::Number(number) => return xxh3_64(&number.to_be_bytes()),
            Name::Text(bytes, _) | Name::Bytes(bytes) => bytes,
        };
        let stated = self.key_bytes.unwrap_or(0).min(KEY_BYTES_MAX as u64) as usize;
        if stated <= bytes.len() {
            return xxh3_64(bytes);
        }
        let mut padded = bytes.to_vec();
        padded.resize(stated, 0);
        xxh3_64(&padded)
    }
}

/// A key as a trace writes it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Name<'a> {
    /// A number: eight bytes, the highest first.
    Number(u64),
    /// A text, with the number that stands for it in traces of caches.
    Text(&'a [u8], u64),
    /// Bytes.
    Bytes(&'a [u8]),
}

impl Name<'_> {
    /// What stands for the key in traces of caches.
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Number(number) | Self::Text(_, number) => number,
            Self::Bytes(bytes) => xxh3_64(bytes),
        }
    }

    /// The key's length.
    pub(super) fn len(self) -> usize {
        match self {
            Self::Number(_) => 8,
            Self::Text(bytes, _) | Self::Bytes(bytes) => bytes.len(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Row {
    key: u32,
    action: Action,
    /// [`UNKNOWN`] if the trace does not say.
    value_bytes: u32,
    length: u32,
    /// The write that it finds; [`ABSENT`] without one.
    before: u32,
}

/// The operations of a trace.
///
/// ```
/// use aura_workloads::trace::{self, Action, Format, ReadOptions};
///
/// let text = "time,key,op,size\n0,apple,get,7\n1,pear,put,9\n2,pear,get,9\n";
/// let read = trace::read_operations(text.as_bytes(), Format::Csv, &ReadOptions::default())?;
/// assert_eq!((read.len(), read.keys()), (3, 2));
/// assert_eq!(read.at(1).key, b"pear");
/// assert_eq!(read.at(2).action, Action::Get);
/// # Ok::<(), aura_workloads::trace::TraceError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Operations {
    rows: Vec<Row>,
    /// In nanoseconds; empty if the trace has none.
    times: Vec<u64>,
    /// Where values come from; empty if they are made from the numbers of keys and operations.
    sources: Vec<ValueSource>,
    names: Vec<u8>,
    /// Where the name of each key ends.
    ends: Vec<usize>,
    /// Operations at the beginning that load the database.
    loads: usize,
    /// Deletes of ranges, each of which became deletes of keys.
    range_deletes: u64,
    /// Deletes of ranges whose ends the trace does not state, and which are left out.
    open_range_deletes: u64,
    kept: Kept,
}

/// One operation of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traced<'a> {
    /// What it does.
    pub action: Action,
    /// The key's number, from 0, in the order in which keys are met.
    pub number: u64,
    /// The key.
    pub key: &'a [u8],
    /// Bytes of the value that it writes, or of the one that a reader found; `None` if the trace
    /// does not say.
    pub value_bytes: Option<u64>,
    /// Records that a scan reads; 0 if the trace does not say.
    pub length: u32,
    /// Where the value comes from that it writes.
    pub source: ValueSource,
    /// What it finds.
    pub finds: Finds,
}

/// What an operation finds for its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finds {
    /// The database may hold what it likes.
    Anything,
    /// No value.
    Nothing,
    /// The value of this length that comes from there.
    Value {
        /// Where it comes from.
        source: ValueSource,
        /// Its length.
        bytes: u64,
    },
}

impl Operations {
    /// The number of operations.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no operation.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The number of distinct keys.
    pub fn keys(&self) -> usize {
        self.ends.len()
    }

    /// Operations at the beginning that load the database.
    pub fn loads(&self) -> usize {
        self.loads
    }

    /// Whether the trace says when operations began.
    pub fn has_times(&self) -> bool {
        !self.times.is_empty()
    }

    /// When an operation began, in nanoseconds; 0 if the trace does not say.
    pub fn time(&self, at: usize) -> u64 {
        self.times.get(at).copied().unwrap_or(0)
    }

    /// Deletes of ranges in the trace. Each is replayed as deletes of the keys in it that were
    /// named before.
    pub fn range_deletes(&self) -> u64 {
        self.range_deletes
    }

    /// Deletes of ranges whose ends the trace does not state. They are left out: nobody knows what
    /// they deleted.
    pub fn open_range_deletes(&self) -> u64 {
        self.open_range_deletes
    }

    /// The share of the keys that is there, of those of the recorded store.
    pub fn recorded_rate(&self) -> f64 {
        self.kept.rate
    }

    /// Which keys there are.
    pub(super) fn kept(&self) -> Kept {
        self.kept
    }

    /// Which of `clients` does the operations of a key: one and the same, so that they keep their
    /// order.
    pub(crate) fn client_of(&self, at: usize, clients: u32) -> u32 {
        let hash = crate::keys::fnv_hash(u64::from(self.rows[at].key));
        (hash % u64::from(clients.max(1))) as u32
    }

    /// The operation at a position; the caller knows that there is one.
    pub fn at(&self, at: usize) -> Traced<'_> {
        let row = &self.rows[at];
        let number = row.key as usize;
        let finds = match row.before {
            ABSENT => Finds::Nothing,
            write => Finds::Value {
                source: self.source(write as usize),
                bytes: u64::from(self.rows[write as usize].value_bytes),
            },
        };
        Traced {
            action: row.action,
            number: u64::from(row.key),
            key: self.name(number),
            value_bytes: (row.value_bytes != UNKNOWN).then_some(u64::from(row.value_bytes)),
            length: row.length,
            source: self.source(at),
            finds,
        }
    }

    /// The name of a key.
    fn name(&self, number: usize) -> &[u8] {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.names[start..self.ends[number]]
    }

    fn source(&self, at: usize) -> ValueSource {
        self.sources.get(at).copied().unwrap_or(ValueSource {
            number: u64::from(self.rows[at].key),
            version: at as u64 + 1,
        })
    }

    /// Where the value of an operation comes from, if the trace says so.
    pub(super) fn stated_source(&self, at: usize) -> Option<ValueSource> {
        let writes = self.rows[at].action.writes();
        self.sources.get(at).copied().filter(|_| writes)
    }

    /// A digest of everything that the trace says.
    pub fn digest(&self) -> u128 {
        let mut hash = Xxh3::new();
        hash.update(&self.names);
        for end in &self.ends {
            hash.update(&(*end as u64).to_le_bytes());
        }
        for row in &self.rows {
            hash.update(&row.key.to_le_bytes());
            hash.update(&[row.action as u8]);
            hash.update(&row.value_bytes.to_le_bytes());
            hash.update(&row.length.to_le_bytes());
        }
        for time in &self.times {
            hash.update(&time.to_le_bytes());
        }
        for source in &self.sources {
            hash.update(&source.number.to_le_bytes());
            hash.update(&source.version.to_le_bytes());
        }
        hash.update(&(self.loads as u64).to_le_bytes());
        hash.digest128()
    }

    /// Makes the operations ready to be replayed: lengths that the trace does not state are drawn
    /// from `sizes` and `scans`, the same under every seed, and it is worked out what each one
    /// finds. With `preload` the keys whose first operation reads them are put before all others,
    /// in a scattered order, unless the trace holds its load.
    #[must_use]
    pub fn prepared(mut self, preload: bool, sizes: &Sizes, scans: Lengths) -> Self {
        self.spread();
        // A trace that holds its load has all that was there.
        if preload && self.loads == 0 {
            self.preload();
        }
        self.fill_in(sizes, scans);
        let mut last = vec![ABSENT; self.keys()];
        for (at, row) in self.rows.iter_mut().enumerate() {
            let last = &mut last[row.key as usize];
            row.before = *last;
            if row.action.writes() {
                *last = at as u32;
            } else if row.action == Action::Delete {
                *last = ABSENT;
            }
        }
        self
    }

    /// Puts the keys whose first operation reads them.
    fn preload(&mut self) {
        let mut is_met = vec![false; self.keys()];
        let mut bytes = vec![UNKNOWN; self.keys()];
        let mut wanted = Vec::new();
        for row in &self.rows {
            let key = row.key as usize;
            let reads = !matches!(row.action, Action::Put | Action::Delete);
            if !is_met[key] && reads {
                wanted.push(row.key);
            }
            is_met[key] = true;
            // A reader that found nothing states no length, or 0.
            if bytes[key] == UNKNOWN && row.value_bytes > 0 {
                bytes[key] = row.value_bytes;
            }
        }
        if wanted.is_empty() {
            return;
        }
        let scattered = Permutation::new(wanted.len() as u64, Seed(0).child("preload"));
        let mut rows = Vec::with_capacity(wanted.len() + self.rows.len());
        for at in 0..wanted.len() as u64 {
            let key = wanted[scattered.apply(at) as usize];
            rows.push(Row {
                key,
                action: Action::Put,
                value_bytes: bytes[key as usize],
                length: 0,
                before: ABSENT,
            });
        }
        let added = rows.len();
        rows.append(&mut self.rows);
        self.rows = rows;
        self.loads += added;
        if self.has_times() {
            self.times.splice(0..0, std::iter::repeat_n(0, added));
        }
        if !self.sources.is_empty() {
            let sources: Vec<ValueSource> = (0..added)
                .map(|at| ValueSource {
                    number: u64::from(self.rows[at].key),
                    version: 0,
                })
                .collect();
            self.sources.splice(0..0, sources);
        }
    }

    /// Makes times follow one another, and spreads the operations of one tick of the trace's clock
    /// over it: a trace in whole seconds does not mean that all of a second came at once.
    fn spread(&mut self) {
        let times = &mut self.times;
        let mut latest = 0;
        for time in times.iter_mut() {
            latest = latest.max(*time);
            *time = latest;
        }
        let is_tick = |tick: &u64| times.iter().all(|time| time.is_multiple_of(*tick));
        let Some(tick) = [1_000_000_000, 1_000_000, 1_000].into_iter().find(is_tick) else {
            return;
        };
        for equal in times.chunk_by_mut(|one, other| one == other) {
            let count = equal.len() as u128;
            for (at, time) in equal.iter_mut().enumerate() {
                *time += (u128::from(tick) * at as u128 / count) as u64;
            }
        }
    }

    /// Draws what the trace does not state.
    fn fill_in(&mut self, sizes: &Sizes, mut lengths: Lengths) {
        let mut sizes = sizes.chooser();
        let mut of_values = Seed(0).child("trace-value").generator();
        let mut of_scans = Seed(0).child("trace-scan").generator();
        for row in &mut self.rows {
            if row.action.writes() && row.value_bytes == UNKNOWN {
                row.value_bytes = sizes.draw(&mut of_values) as u32;
            }
            let scans = matches!(row.action, Action::Scan | Action::ReverseScan);
            if scans && row.length == 0 {
                row.length = lengths.draw(&mut of_scans) as u32;
            }
        }
    }
}

/// Gathers operations as they are read.
pub(super) struct Gathering {
    operations: Operations,
    numbers: Numbers,
    /// Which keys may hold a value, by name; made by the first delete of a range. A delete takes
    /// its key out, so that each operation of the trace causes at most one delete of those of
    /// ranges.
    held: Option<BTreeMap<Vec<u8>, u32>>,
    /// Whether each key may hold a value.
    may_hold: Vec<bool>,
    is_timed: bool,
    numbered: Vec<u32>,
}

impl Gathering {
    pub(super) fn new() -> Self {
        Self {
            operations: Operations::default(),
            numbers: Numbers::new(),
            held: None,
            may_hold: Vec::new(),
            is_timed: false,
            numbered: Vec::new(),
        }
    }

    pub(super) fn has_times(&mut self) {
        self.is_timed = true;
    }

    /// The operations, which are those of the keys `kept`.
    pub(super) fn finish(mut self, kept: Kept) -> Operations {
        self.operations.kept = kept;
        self.operations
    }

    /// Adds an operation that stands at `place`.
    ///
    /// # Errors
    /// [`TraceError`] for a key, a value or a time beyond what a store takes.
    pub(super) fn push(&mut self, operation: &Operation<'_>, place: Place) -> Result<()> {
        let known = self.operations.keys();
        let key = self.number(operation, place)?;
        self.note(key, operation.action, self.operations.keys() > known);
        let value_bytes = match operation.value_bytes {
            Some(bytes) if bytes > VALUE_BYTES_MAX => {
                let message = format!("a value of {bytes} bytes; a store takes 256 MiB");
                return Err(TraceError::malformed(place, message));
            }
            Some(bytes) => bytes as u32,
            None => UNKNOWN,
        };
        self.row(
            Row {
                key,
                action: operation.action,
                value_bytes,
                length: operation.length,
                before: ABSENT,
            },
            operation.at_ns,
            place,
        )?;
        if let Some(source) = operation.source {
            let missing = self.operations.rows.len() - self.operations.sources.len();
            let fill = ValueSource {
                number: u64::from(key),
                version: 0,
            };
            let sources = &mut self.operations.sources;
            sources.extend(std::iter::repeat_n(fill, missing - 1));
            sources.push(source);
        } else if !self.operations.sources.is_empty() {
            self.operations.sources.push(ValueSource::default());
        }
        if operation.loads {
            if self.operations.loads + 1 != self.operations.rows.len() {
                let message = "an operation of the load follows one that is not of it";
                return Err(TraceError::malformed(place, message));
            }
            self.operations.loads += 1;
        }
        Ok(())
    }

    /// Counts a delete of a range whose end is not known.
    pub(super) fn delete_open_range(&mut self) {
        self.operations.open_range_deletes += 1;
    }

    /// Adds deletes of the keys from `start` to before `end` that were named before and may hold a
    /// value. O(log keys) and the deletes, after O(keys log keys) once.
    pub(super) fn delete_range(
        &mut self,
        start: &[u8],
        end: &[u8],
        at_ns: u64,
        place: Place,
    ) -> Result<()> {
        self.operations.range_deletes += 1;
        if start >= end {
            return Ok(());
        }
        let (operations, may_hold) = (&self.operations, &self.may_hold);
        let held = self.held.get_or_insert_with(|| {
            let holding = (0..operations.ends.len()).filter(|number| may_hold[*number]);
            let named = |number: usize| (operations.name(number).to_vec(), number as u32);
            holding.map(named).collect()
        });
        let inside = held.range(start.to_vec()..end.to_vec());
        let keys: Vec<u32> = inside.map(|(_, key)| *key).collect();
        for key in keys {
            let row = Row {
                key,
                action: Action::Delete,
                value_bytes: UNKNOWN,
                length: 0,
                before: ABSENT,
            };
            self.row(row, at_ns, place)?;
            self.note(key, Action::Delete, false);
        }
        Ok(())
    }

    /// Notes what an operation leaves of its key, which it is the first to name or not. A key whose
    /// first operation reads it was there before, or is put before.
    fn note(&mut self, key: u32, action: Action, is_first: bool) {
        let holds = match action {
            Action::Delete => false,
            Action::Put | Action::ReadModifyWrite => true,
            Action::Get | Action::Scan | Action::ReverseScan if is_first => true,
            Action::Get | Action::Scan | Action::ReverseScan => return,
        };
        let number = key as usize;
        if self.may_hold.len() <= number {
            self.may_hold.resize(number + 1, false);
        }
        if std::mem::replace(&mut self.may_hold[number], holds) == holds {
            return;
        }
        if let Some(held) = &mut self.held {
            let name = self.operations.name(number);
            if holds {
                held.insert(name.to_vec(), key);
            } else {
                held.remove(name);
            }
        }
    }

    fn row(&mut self, row: Row, at_ns: u64, place: Place) -> Result<()> {
        if self.operations.rows.len() >= (u32::MAX - 1) as usize / 2 {
            let message = "more operations than can be numbered: use `limit`";
            return Err(TraceError::malformed(place, message));
        }
        if at_ns > TIME_MAX {
            return Err(TraceError::malformed(
                place,
                "the time is more than 292 years",
            ));
        }
        self.operations.rows.push(row);
        if self.is_timed {
            self.operations.times.push(at_ns);
        }
        Ok(())
    }

    /// The number of an operation's key; a new key gets the next.
    fn number(&mut self, operation: &Operation<'_>, place: Place) -> Result<u32> {
        self.numbered.clear();
        self.numbers
            .number_all(&[operation.name.number()], &mut self.numbered)?;
        let number = self.numbered[0];
        let operations = &mut self.operations;
        if (number as usize) < operations.ends.len() {
            return Ok(number);
        }
        let start = operations.names.len();
        match operation.name {
            Name::Number(number) => operations.names.extend(number.to_be_bytes()),
            Name::Text(bytes, _) | Name::Bytes(bytes) => operations.names.extend(bytes),
        }
        let stated = operation.key_bytes.unwrap_or(0).min(KEY_BYTES_MAX as u64) as usize;
        let written = operations.names.len() - start;
        operations.names.resize(start + written.max(stated), 0);
        let bytes = operations.names.len() - start;
        if !(1..KEY_BYTES_MAX).contains(&bytes) {
            let message = format!("a key of {bytes} bytes; a store takes 1 to {KEY_BYTES_MAX}");
            return Err(TraceError::malformed(place, message));
        }
        operations.ends.push(operations.names.len());
        Ok(number)
    }
}
