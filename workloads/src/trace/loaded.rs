//! A trace in memory: requests for objects that are numbered from 0, in the order of their first
//! requests.
//!
//! It takes four bytes a request, four more with sizes and eight with times, and eight an object.
//! Nothing is hashed after loading.

use std::collections::BTreeMap;

use hashbrown::HashTable;

use super::{ReadOptions, Result, Sample, TraceError};

/// A size of this or more is stored in [`Trace::large`].
const LARGE: u32 = u32::MAX;

/// What AuraDB's own traces say of a request beyond key, bytes and time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// What was requested: a position in [`super::KINDS`].
    pub kind: u8,
    /// The level of the table, if it belongs to a table.
    pub level: Option<u8>,
    /// The number of the file that holds it; 0 if none does.
    pub file: u64,
    /// The caller, by the recorder's own numbers.
    pub caller: u8,
    /// Device reads that a hit saves.
    pub cost: u32,
    /// The object's position in a scan, from 1; 0 for a point read.
    pub scanned: u32,
    /// Whether the recorded cache held it.
    pub hit: bool,
}

/// A trace in memory.
///
/// ```
/// use aura_workloads::trace::{self, Format, ReadOptions};
///
/// let text = "time,key,size\n0,70,100\n0.5,5,300\n2,70,120\n";
/// let options = ReadOptions { times: true, limit: Some(1000), ..ReadOptions::default() };
/// let trace = trace::read(text.as_bytes(), Format::Csv, &options)?;
///
/// // Which keys are requested, and how large they are then.
/// let mut requests = Vec::new();
/// for (request, object) in trace.objects().iter().enumerate() {
///     requests.push((trace.keys()[*object as usize], trace.bytes(request)));
/// }
/// assert_eq!(requests, [(70, 100), (5, 300), (70, 120)]);
/// assert_eq!(trace.times(), [0, 500_000_000, 2_000_000_000]);
/// # Ok::<(), aura_workloads::trace::TraceError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// The object of each request.
    objects: Vec<u32>,
    /// The key of each object.
    keys: Vec<u64>,
    /// The size of each request; [`LARGE`] if it is in `large`.
    sizes: Vec<u32>,
    /// The sizes that do not fit in 32 bits, by request.
    large: BTreeMap<usize, u64>,
    times: Vec<u64>,
    details: Vec<Detail>,
    has_sizes: bool,
    /// Before which request which object ends.
    ends: Vec<(usize, u32)>,
    read: u64,
    read_bytes: u64,
    zero_sizes: u64,
    removals: u64,
    expirations: u64,
    sample_rate: f64,
    recorded_rate: f64,
}

impl Trace {
    /// The object of each request.
    pub fn objects(&self) -> &[u32] {
        &self.objects
    }

    /// The key of each object.
    pub fn keys(&self) -> &[u64] {
        &self.keys
    }

    /// Whether the format has the sizes of objects.
    pub fn has_sizes(&self) -> bool {
        self.has_sizes
    }

    /// The bytes of a request; 1 if the trace does not say, or says 0.
    #[inline]
    pub fn bytes(&self, request: usize) -> u64 {
        match self.sizes.get(request) {
            Some(&LARGE) => self
                .large
                .get(&request)
                .copied()
                .unwrap_or(u64::from(LARGE)),
            Some(&size) => u64::from(size.max(1)),
            None => 1,
        }
    }

    /// The bytes of a request as the trace states them, which may be 0.
    pub fn stated_bytes(&self, request: usize) -> u64 {
        match self.sizes.get(request) {
            Some(0) => 0,
            _ => self.bytes(request),
        }
    }

    /// Requests whose size is 0. They are charged 1 byte.
    pub fn zero_sizes(&self) -> u64 {
        self.zero_sizes
    }

    /// Where objects end, because they were deleted or their time to live had passed: before which
    /// request, in order, and which object. Empty unless [`ReadOptions::lives`] asks for it.
    pub fn ends(&self) -> &[(usize, u32)] {
        &self.ends
    }

    /// The size of each object at its first request.
    pub fn first_sizes(&self) -> Vec<u64> {
        let mut sizes = vec![0; self.keys.len()];
        for (request, &object) in self.objects.iter().enumerate() {
            let size = &mut sizes[object as usize];
            if *size == 0 {
                *size = self.bytes(request);
            }
        }
        sizes
    }

    /// The times of the requests, in nanoseconds; empty if the format has none or they were not
    /// wanted.
    pub fn times(&self) -> &[u64] {
        &self.times
    }

    /// The details of the requests; empty if the format has none.
    pub fn details(&self) -> &[Detail] {
        &self.details
    }

    /// Requests read, including those left out by sampling.
    pub fn requests_read(&self) -> u64 {
        self.read
    }

    /// Bytes of all requests read, including those left out by sampling.
    pub fn bytes_read(&self) -> u64 {
        self.read_bytes
    }

    /// Lines that describe a removal. They request nothing.
    pub fn removals(&self) -> u64 {
        self.removals
    }

    /// Requests for objects whose time to live had passed.
    pub fn expirations(&self) -> u64 {
        self.expirations
    }

    /// The share of the keys that was kept when the trace was read.
    pub fn sample_rate(&self) -> f64 {
        self.sample_rate
    }

    /// The share of the keys that was kept when the trace was recorded.
    pub fn recorded_rate(&self) -> f64 {
        self.recorded_rate
    }
}

/// Builds a trace request by request.
pub(super) struct Builder {
    trace: Trace,
    numbers: HashTable<(u64, u32)>,
    limit: u64,
    sample: Option<Sample>,
    /// Whether times are wanted, and whether the format has them.
    times_wanted: bool,
    times: bool,
    /// Whether the ends of objects are wanted.
    lives: bool,
    /// The operations that are wanted; all if empty.
    operations: Vec<String>,
    /// When the time to live of each object has passed, in nanoseconds; 0 if it has none. Objects
    /// beyond its end have none.
    expiries: Vec<u64>,
}

/// How long an object lives from a request on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Life {
    /// Its time to live, in nanoseconds; 0 if the request states none.
    pub(super) ttl_ns: u64,
    /// Whether the request wrote it, so that its life begins again.
    pub(super) begins: bool,
}

impl Builder {
    pub(super) fn new(options: &ReadOptions) -> Self {
        let sample_rate = options.sample.map_or(1.0, |sample| sample.rate());
        Self {
            trace: Trace {
                sample_rate,
                recorded_rate: 1.0,
                ..Trace::default()
            },
            numbers: HashTable::new(),
            limit: options.limit.unwrap_or(u64::MAX),
            sample: options.sample,
            times_wanted: options.times,
            times: false,
            lives: options.lives,
            operations: options.operations.clone(),
            expiries: Vec::new(),
        }
    }

    /// The following requests have times.
    pub(super) fn has_times(&mut self) {
        self.times = self.times_wanted;
    }

    /// Whether only some operations are wanted.
    pub(super) fn chooses_operations(&self) -> bool {
        !self.operations.is_empty()
    }

    /// Whether rows of the operation `name` are wanted.
    pub(super) fn wants_operation(&self, name: &[u8]) -> bool {
        let is = |wanted: &String| name.eq_ignore_ascii_case(wanted.as_bytes());
        self.operations.is_empty() || self.operations.iter().any(is)
    }

    /// The following requests have sizes.
    pub(super) fn has_sizes(&mut self) {
        self.trace.has_sizes = true;
    }

    /// The recorder kept only this share of the keys.
    pub(super) fn recorded_at(&mut self, rate: f64) {
        self.trace.recorded_rate = rate;
    }

    /// A line described the removal of `key`.
    pub(super) fn removal(&mut self, key: u64) {
        self.trace.removals += 1;
        if self.lives
            && let Some(object) = self.known(key)
        {
            self.trace.ends.push((self.trace.objects.len(), object));
            self.set_expiry(object, 0);
        }
    }

    /// Adds a request like [`push`](Self::push), for an object of limited life.
    pub(super) fn push_living(
        &mut self,
        key: u64,
        bytes: u64,
        at_ns: u64,
        life: Life,
    ) -> Result<bool> {
        self.push_whole(key, bytes, at_ns, None, Some(life))
    }

    /// Ends `object` if its time to live has passed by its next request, which is at `at_ns`, and
    /// notes how long it lives after that.
    fn live(&mut self, object: u32, at_ns: u64, life: Life) {
        let place = object as usize;
        let expiry = self.expiries.get(place).copied().unwrap_or(0);
        let is_over = expiry > 0 && expiry <= at_ns;
        if is_over {
            self.trace.ends.push((self.trace.objects.len(), object));
            self.trace.expirations += 1;
        }
        if life.begins || expiry == 0 || is_over {
            let ends = |ttl_ns| at_ns.saturating_add(ttl_ns);
            let ttl_ns = (life.ttl_ns > 0).then_some(life.ttl_ns);
            self.set_expiry(object, ttl_ns.map_or(0, ends));
        }
    }

    fn set_expiry(&mut self, object: u32, expiry: u64) {
        let place = object as usize;
        if expiry > 0 && self.expiries.len() <= place {
            self.expiries.resize(place + 1, 0);
        }
        if let Some(known) = self.expiries.get_mut(place) {
            *known = expiry;
        }
    }

    /// The number of the object with this key, if it was requested and is kept.
    fn known(&self, key: u64) -> Option<u32> {
        let found = self.numbers.find(mixed(key), |(known, _)| *known == key);
        found.map(|(_, object)| *object)
    }

    /// Adds a request. Returns false when no more requests are wanted.
    #[inline]
    pub(super) fn push(&mut self, key: u64, bytes: u64, at_ns: u64) -> Result<bool> {
        self.push_detailed(key, bytes, at_ns, None)
    }

    /// Adds a request with all that AuraDB's own traces say of it. Returns false when no more
    /// requests are wanted.
    #[inline]
    pub(super) fn push_detailed(
        &mut self,
        key: u64,
        bytes: u64,
        at_ns: u64,
        detail: Option<Detail>,
    ) -> Result<bool> {
        self.push_whole(key, bytes, at_ns, detail, None)
    }

    #[inline]
    fn push_whole(
        &mut self,
        key: u64,
        bytes: u64,
        at_ns: u64,
        detail: Option<Detail>,
        life: Option<Life>,
    ) -> Result<bool> {
        if self.trace.read >= self.limit {
            return Ok(false);
        }
        self.trace.read += 1;
        self.trace.read_bytes = self.trace.read_bytes.saturating_add(bytes.max(1));
        if self.sample.is_some_and(|sample| !sample.keeps(key)) {
            return Ok(self.trace.read < self.limit);
        }
        let object = self.number(key)?;
        if let Some(life) = life.filter(|_| self.lives) {
            self.live(object, at_ns, life);
        }
        if self.trace.has_sizes {
            self.trace.zero_sizes += u64::from(bytes == 0);
            if bytes >= u64::from(LARGE) {
                self.trace.large.insert(self.trace.objects.len(), bytes);
            }
            self.trace.sizes.push(bytes.min(u64::from(LARGE)) as u32);
        }
        self.trace.objects.push(object);
        if self.times {
            self.trace.times.push(at_ns);
        }
        self.trace.details.extend(detail);
        Ok(self.trace.read < self.limit)
    }

    /// The number of the object with this key.
    #[inline]
    fn number(&mut self, key: u64) -> Result<u32> {
        let hash = mixed(key);
        if let Some((_, object)) = self.numbers.find(hash, |(known, _)| *known == key) {
            return Ok(*object);
        }
        let object = self.trace.keys.len();
        // The last number stands for no object wherever objects are counted.
        if object >= u32::MAX as usize {
            return Err(TraceError::TooManyObjects);
        }
        self.trace.keys.push(key);
        self.numbers
            .insert_unique(hash, (key, object as u32), |(known, _)| mixed(*known));
        Ok(object as u32)
    }

    pub(super) fn finish(self) -> Trace {
        let mut trace = self.trace;
        trace.objects.shrink_to_fit();
        trace.keys.shrink_to_fit();
        trace.sizes.shrink_to_fit();
        trace.times.shrink_to_fit();
        trace
    }
}

/// A hash good enough for a table that is never iterated: both halves of a product with an odd
/// constant.
#[inline]
fn mixed(key: u64) -> u64 {
    let product = u128::from(key ^ 0x9E37_79B9_7F4A_7C15) * 0xD6E8_FEB8_6659_FD93;
    (product >> 64) as u64 ^ product as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(options: &ReadOptions, requests: &[(u64, u64)]) -> Trace {
        let mut builder = Builder::new(options);
        builder.has_sizes();
        for &(key, bytes) in requests {
            if !builder.push(key, bytes, 0).expect("few objects") {
                break;
            }
        }
        builder.finish()
    }

    #[test]
    fn objects_are_numbered_by_their_first_request() {
        let trace = built(
            &ReadOptions::default(),
            &[(70, 3), (5, 0), (70, 9), (u64::MAX, 1 << 40), (5, 7)],
        );
        assert_eq!(trace.objects(), [0, 1, 0, 2, 1]);
        assert_eq!(trace.keys(), [70, 5, u64::MAX]);
        let bytes: Vec<u64> = (0..5).map(|request| trace.bytes(request)).collect();
        assert_eq!(bytes, [3, 1, 9, 1 << 40, 7]);
        assert_eq!(trace.first_sizes(), [3, 1, 1 << 40]);
        assert_eq!(trace.requests_read(), 5);
        assert_eq!(trace.bytes_read(), 20 + (1 << 40));
    }

    #[test]
    fn a_limit_counts_requests_before_sampling() {
        let requests: Vec<(u64, u64)> = (0..1000).map(|key| (key, 1)).collect();
        let sample = Sample::new(0.25, 1).expect("a rate");
        let options = |limit| ReadOptions {
            limit: Some(limit),
            sample: Some(sample),
            ..ReadOptions::default()
        };
        let trace = built(&options(400), &requests);
        assert_eq!(trace.requests_read(), 400);
        let kept = trace.objects().len();
        assert!((60..140).contains(&kept), "{kept}");
        assert!(trace.keys().iter().all(|key| sample.keeps(*key)));
        assert_eq!(built(&options(0), &requests).requests_read(), 0);
    }
}
