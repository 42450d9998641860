//! A trace in memory: requests for objects that are numbered from 0, in the order of their first
//! requests.
//!
//! It takes four bytes a request, four more with sizes, four with costs and eight with times, and
//! eight an object. A sample takes 24 more a request, which say where in the whole trace it was.
//! Nothing is hashed after loading.

use std::collections::BTreeMap;
use std::mem::swap;

use super::numbers::{BATCH, Numbers};
use super::operations::{Action, Gathering, Name, Operation, Operations};
use super::sample::Kept;
use super::{Place, ReadOptions, Result, Sample, TraceError};

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

/// How much of a whole trace comes before a request of its sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Requests.
    pub requests: u64,
    /// Their bytes; 1 each if the trace does not say.
    pub bytes: u64,
    /// Their costs; 1 each if the trace does not say.
    pub cost: u64,
}

impl Position {
    fn pass(&mut self, bytes: u64, cost: u32) {
        self.requests += 1;
        self.bytes = self.bytes.saturating_add(bytes.max(1));
        self.cost = self.cost.saturating_add(u64::from(cost));
    }
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
    /// What a miss of each request costs; empty if no column says so.
    costs: Vec<u32>,
    details: Vec<Detail>,
    /// What came before each request, if keys were sampled.
    positions: Vec<Position>,
    has_sizes: bool,
    /// Before which request which object ends.
    ends: Vec<(usize, u32)>,
    read: Position,
    zero_sizes: u64,
    removals: u64,
    expirations: u64,
    sample_rate: f64,
    sample: Option<Sample>,
    recorded: Kept,
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

    /// Whether the trace says what a miss costs.
    pub fn has_costs(&self) -> bool {
        !self.costs.is_empty() || !self.details.is_empty()
    }

    /// What a miss of a request costs, in the trace's own unit; 1 if it does not say.
    #[inline]
    pub fn cost(&self, request: usize) -> u32 {
        match (self.costs.get(request), self.details.get(request)) {
            (Some(cost), _) => *cost,
            (None, Some(detail)) => detail.cost,
            (None, None) => 1,
        }
    }

    /// How much of the whole trace comes before each request; empty unless keys were sampled.
    pub fn positions(&self) -> &[Position] {
        &self.positions
    }

    /// All that was read, including what sampling left out.
    pub fn whole(&self) -> Position {
        self.read
    }

    /// Requests read, including those left out by sampling.
    pub fn requests_read(&self) -> u64 {
        self.read.requests
    }

    /// Bytes of all requests read, including those left out by sampling.
    pub fn bytes_read(&self) -> u64 {
        self.read.bytes
    }

    /// Lines that describe a removal. They request nothing.
    pub fn removals(&self) -> u64 {
        self.removals
    }

    /// Requests for objects whose time to live had passed.
    pub fn expirations(&self) -> u64 {
        self.expirations
    }

    /// Bytes of memory that the trace takes, about.
    pub fn memory_bytes(&self) -> u64 {
        let bytes = size_of_val(&self.objects[..])
            + size_of_val(&self.keys[..])
            + size_of_val(&self.sizes[..])
            + size_of_val(&self.times[..])
            + size_of_val(&self.costs[..])
            + size_of_val(&self.details[..])
            + size_of_val(&self.positions[..])
            + size_of_val(&self.ends[..]);
        bytes as u64
    }

    /// The share of the keys that was kept when the trace was read.
    pub fn sample_rate(&self) -> f64 {
        self.sample_rate
    }

    /// The share of the keys that was kept when the trace was recorded.
    pub fn recorded_rate(&self) -> f64 {
        self.recorded.rate
    }

    /// Which keys it holds.
    pub(super) fn kept(&self) -> Kept {
        self.recorded.sampled(self.sample)
    }
}

/// Where a trace goes that is not kept.
pub(super) struct Sink<'a> {
    /// The least requests of a block.
    pub(super) requests: usize,
    /// Takes a block; returns whether more are wanted.
    pub(super) take: &'a mut dyn FnMut(Trace) -> bool,
}

/// Builds a trace request by request.
pub(super) struct Builder<'a> {
    trace: Trace,
    numbers: Numbers,
    /// Keys of the last requests, which are not numbered yet.
    pending: Vec<u64>,
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
    /// Takes the requests, block by block; `None` if they are kept.
    sink: Option<Sink<'a>>,
    /// Takes operations in the place of requests, if they are wanted.
    operations_to: Option<Gathering>,
}

/// How long an object lives from a request on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Life {
    /// Its time to live, in nanoseconds; 0 if the request states none.
    pub(super) ttl_ns: u64,
    /// Whether the request wrote it, so that its life begins again.
    pub(super) begins: bool,
}

/// What only some formats say of a request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extra {
    /// All that AuraDB's own traces say.
    pub(super) detail: Option<Detail>,
    /// How long the object lives.
    pub(super) life: Option<Life>,
    /// What a miss costs.
    pub(super) cost: Option<u32>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(options: &ReadOptions, sink: Option<Sink<'a>>) -> Self {
        let sample_rate = options.sample.map_or(1.0, |sample| sample.rate());
        Self {
            trace: Trace {
                sample_rate,
                sample: options.sample,
                ..Trace::default()
            },
            numbers: Numbers::new(),
            pending: Vec::with_capacity(BATCH),
            limit: options.limit.unwrap_or(u64::MAX),
            sample: options.sample,
            times_wanted: options.times,
            times: false,
            lives: options.lives,
            operations: options.operations.clone(),
            expiries: Vec::new(),
            sink,
            operations_to: None,
        }
    }

    /// Builds the operations of a trace instead.
    pub(super) fn of_operations(options: &ReadOptions) -> Self {
        Self {
            operations_to: Some(Gathering::new()),
            ..Self::new(options, None)
        }
    }

    /// Whether operations are wanted, and not requests to a cache.
    pub(super) fn takes_operations(&self) -> bool {
        self.operations_to.is_some()
    }

    /// Adds an operation that stands at `place`: as such, or as the request to a cache that it is.
    /// Returns false when no more are wanted.
    pub(super) fn push_operation(&mut self, operation: &Operation, place: Place) -> Result<bool> {
        let key = operation.name.number();
        let Some(operations) = &mut self.operations_to else {
            if operation.action == Action::Delete {
                self.removal(key)?;
                return Ok(true);
            }
            let value_bytes = operation.value_bytes.unwrap_or(0);
            let bytes = value_bytes.checked_add(operation.name.len() as u64);
            let bytes = bytes.ok_or_else(|| {
                TraceError::malformed(place, format!("a value of {value_bytes} bytes"))
            })?;
            return self.push(key, bytes, operation.at_ns);
        };
        if self.trace.read.requests >= self.limit {
            return Ok(false);
        }
        self.trace.read.requests += 1;
        if self
            .sample
            .is_none_or(|sample| sample.keeps(operation.hash()))
        {
            operations.push(operation, place)?;
        }
        Ok(self.trace.read.requests < self.limit)
    }

    /// Adds a delete of the keys from `start` to before `end`. To a cache it is nothing.
    pub(super) fn delete_range(
        &mut self,
        start: &[u8],
        end: &[u8],
        at_ns: u64,
        place: Place,
    ) -> Result<()> {
        match &mut self.operations_to {
            Some(operations) => operations.delete_range(start, end, at_ns, place),
            None => Ok(()),
        }
    }

    /// Counts a delete of a range whose end the trace does not state. To a cache it is nothing.
    pub(super) fn delete_open_range(&mut self) {
        if let Some(operations) = &mut self.operations_to {
            operations.delete_open_range();
        }
    }

    /// The operations.
    pub(super) fn finish_operations(self) -> Operations {
        let kept = self.trace.kept();
        self.operations_to
            .map_or_else(Operations::default, |gathering| gathering.finish(kept))
    }

    /// The following requests have times.
    pub(super) fn has_times(&mut self) {
        self.times = self.times_wanted;
        if let Some(operations) = &mut self.operations_to {
            operations.has_times();
        }
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
    pub(super) fn recorded_as(&mut self, kept: Kept) {
        self.trace.recorded = kept;
        self.sample = self.sample.map(|sample| sample.within(kept));
    }

    /// A line described the removal of `key`.
    pub(super) fn removal(&mut self, key: u64) -> Result<()> {
        self.trace.removals += 1;
        if self.lives {
            self.number_pending()?;
            if let Some(object) = self.numbers.find(key) {
                self.trace.ends.push((self.trace.objects.len(), object));
                self.set_expiry(object, 0);
            }
        }
        Ok(())
    }

    /// Ends the object requested last if its time to live had passed at `at_ns`, the time of that
    /// request, and notes how long it lives after that.
    fn live(&mut self, at_ns: u64, life: Life) {
        let Some((&object, before)) = self.trace.objects.split_last() else {
            return;
        };
        let expiry = self.expiries.get(object as usize).copied().unwrap_or(0);
        let is_over = expiry > 0 && expiry <= at_ns;
        if is_over {
            self.trace.ends.push((before.len(), object));
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

    /// Adds a request. Returns false when no more requests are wanted.
    #[inline]
    pub(super) fn push(&mut self, key: u64, bytes: u64, at_ns: u64) -> Result<bool> {
        self.push_with(key, bytes, at_ns, &Extra::default())
    }

    /// Adds a request with what only some formats say of it. Returns false when no more requests
    /// are wanted.
    #[inline]
    pub(super) fn push_with(
        &mut self,
        key: u64,
        bytes: u64,
        at_ns: u64,
        extra: &Extra,
    ) -> Result<bool> {
        if self.operations_to.is_some() {
            // A format without operations: all are gets.
            let place = Place::Record(self.trace.read.requests);
            let operation = Operation {
                value_bytes: self.trace.has_sizes.then_some(bytes),
                ..Operation::new(Action::Get, Name::Number(key), at_ns)
            };
            return self.push_operation(&operation, place);
        }
        let before = self.trace.read;
        if before.requests >= self.limit {
            return Ok(false);
        }
        let cost = extra.cost.or(extra.detail.map(|detail| detail.cost));
        self.trace.read.pass(bytes, cost.unwrap_or(1));
        let more = self.trace.read.requests < self.limit;
        if let Some(sample) = self.sample {
            if !sample.keeps(key) {
                return Ok(more);
            }
            self.trace.positions.push(before);
        }
        self.pending.push(key);
        if let Some(life) = extra.life.filter(|_| self.lives) {
            self.number_pending()?;
            self.live(at_ns, life);
        } else if self.pending.len() == BATCH {
            self.number_pending()?;
        }
        if self.trace.has_sizes {
            self.trace.zero_sizes += u64::from(bytes == 0);
            if bytes >= u64::from(LARGE) {
                self.trace.large.insert(self.trace.sizes.len(), bytes);
            }
            self.trace.sizes.push(bytes.min(u64::from(LARGE)) as u32);
        }
        if self.times {
            self.trace.times.push(at_ns);
        }
        self.trace.costs.extend(extra.cost);
        self.trace.details.extend(extra.detail);
        if let Some(sink) = &self.sink
            && self.trace.objects.len() + self.pending.len() >= sink.requests
        {
            self.number_pending()?;
            return Ok(self.hand_out() && more);
        }
        Ok(more)
    }

    /// Hands out the requests since the last time. Returns whether more are wanted.
    fn hand_out(&mut self) -> bool {
        let Some(sink) = &mut self.sink else {
            return true;
        };
        if self.trace.objects.is_empty() && self.trace.ends.is_empty() {
            return true;
        }
        let requests = sink.requests + BATCH;
        let from = &mut self.trace;
        let mut block = Trace {
            has_sizes: from.has_sizes,
            sample_rate: from.sample_rate,
            sample: from.sample,
            recorded: from.recorded,
            objects: Vec::with_capacity(requests),
            ..Trace::default()
        };
        if from.has_sizes {
            block.sizes.reserve(requests);
        }
        swap(&mut from.objects, &mut block.objects);
        swap(&mut from.sizes, &mut block.sizes);
        swap(&mut from.large, &mut block.large);
        swap(&mut from.times, &mut block.times);
        swap(&mut from.costs, &mut block.costs);
        swap(&mut from.details, &mut block.details);
        swap(&mut from.positions, &mut block.positions);
        swap(&mut from.ends, &mut block.ends);
        (sink.take)(block)
    }

    /// Numbers the keys that wait for it.
    fn number_pending(&mut self) -> Result<()> {
        let objects = &mut self.trace.objects;
        self.numbers.number_all(&self.pending, objects)?;
        self.pending.clear();
        Ok(())
    }

    /// The trace.
    pub(super) fn finish(mut self) -> Result<Trace> {
        self.number_pending()?;
        self.hand_out();
        let mut trace = self.trace;
        trace.keys = self.numbers.into_keys();
        trace.objects.shrink_to_fit();
        trace.keys.shrink_to_fit();
        trace.sizes.shrink_to_fit();
        trace.times.shrink_to_fit();
        trace.costs.shrink_to_fit();
        Ok(trace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(options: &ReadOptions, requests: &[(u64, u64)]) -> Trace {
        let mut builder = Builder::new(options, None);
        builder.has_sizes();
        for &(key, bytes) in requests {
            if !builder.push(key, bytes, 0).expect("few objects") {
                break;
            }
        }
        builder.finish().expect("few objects")
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
        assert_eq!((trace.has_costs(), trace.cost(0)), (false, 1));
        assert!(trace.positions().is_empty());
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
        // Each key is its own number here: a request stands where its key says.
        for (request, position) in trace.positions().iter().enumerate() {
            let key = trace.keys()[trace.objects()[request] as usize];
            assert_eq!((position.requests, position.bytes), (key, key));
        }
        assert_eq!(trace.positions().len(), kept);
    }
}
