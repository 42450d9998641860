//! One client of a phase: it does its operations one after the other and notes how long each took.

use std::collections::BTreeMap;
use std::sync::Arc;

use aura_engine::env::Clock;
use aura_engine::{AuraEngine, Direction, Engine, Range, Value};
use aura_workloads::{Acknowledged, Direction as ScanDirection, KeyRef, Op, OpStream, Schedule};
use hdrhistogram::Histogram;

use super::TrialError;
use super::contents::{CHECKED_ONE_IN, Contents};
use super::pulse::{COUNTED_EVERY, Meter};
use super::series::{Sampler, Slices};
use crate::record::OpClass;

/// Parts into which an open loop's operations are divided, to see whether its backlog grows.
const BACKLOG_PARTS: usize = 9;

/// The parts that are the last third.
const LAST_THIRD: usize = BACKLOG_PARTS / 3;

/// What the clients of a phase share.
pub(super) struct PhaseContext {
    pub(super) engine: AuraEngine,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) acknowledged: Arc<Acknowledged>,
    pub(super) sampler: Sampler,
    /// The clock at the phase's start.
    pub(super) start: u64,
    /// Whether a read may find nothing: some phase deletes.
    pub(super) may_miss: bool,
    /// What a read may find.
    pub(super) contents: Contents,
    /// What counts the operations done.
    pub(super) meter: Arc<Meter>,
}

impl PhaseContext {
    /// Nanoseconds since the phase's start.
    fn now(&self) -> u64 {
        self.clock.now() - self.start
    }
}

/// What a client measured.
pub(super) struct ClientReport {
    pub(super) latency: BTreeMap<OpClass, Histogram<u64>>,
    pub(super) service: BTreeMap<OpClass, Histogram<u64>>,
    pub(super) slices: Slices,
    pub(super) backlog: Backlog,
    /// How late operations began that had to wait for nothing but their time.
    pub(super) pacing: Histogram<u64>,
    /// The end of its last operation, in nanoseconds from the phase's start.
    pub(super) end: u64,
}

impl ClientReport {
    /// Adds the report of another client.
    pub(super) fn merge(&mut self, other: Self) {
        merge_histograms(&mut self.latency, other.latency);
        merge_histograms(&mut self.service, other.service);
        self.slices.merge(other.slices);
        self.backlog.merge(&other.backlog);
        self.pacing += other.pacing;
        self.end = self.end.max(other.end);
    }
}

fn merge_histograms(
    mine: &mut BTreeMap<OpClass, Histogram<u64>>,
    others: BTreeMap<OpClass, Histogram<u64>>,
) {
    for (class, histogram) in others {
        match mine.get_mut(&class) {
            Some(mine) => *mine += histogram,
            None => drop(mine.insert(class, histogram)),
        }
    }
}

/// How far an open loop's clients are behind, over the course of the phase.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Backlog {
    parts: [BacklogPart; BACKLOG_PARTS],
}

/// The backlog over one part of the operations.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct BacklogPart {
    /// Nanoseconds behind, summed over the operations.
    behind: u128,
    operations: u64,
}

impl BacklogPart {
    fn mean(&self) -> f64 {
        self.behind as f64 / self.operations.max(1) as f64
    }
}

impl Backlog {
    /// Notes how far behind the operation after the first `done` of `total` begins.
    fn record(&mut self, done: u64, total: u64, behind: u64) {
        let part = (u128::from(done) * BACKLOG_PARTS as u128 / u128::from(total.max(1))) as usize;
        let part = &mut self.parts[part.min(BACKLOG_PARTS - 1)];
        part.behind += u128::from(behind);
        part.operations += 1;
    }

    fn merge(&mut self, other: &Self) {
        for (mine, others) in self.parts.iter_mut().zip(&other.parts) {
            mine.behind += others.behind;
            mine.operations += others.operations;
        }
    }

    /// Whether the backlog grew over the last third of a phase of `nanos`: from part to part, and
    /// by more than a hundredth of that third, so that the jitter of a loop that keeps up does not
    /// count.
    pub(super) fn grows(&self, nanos: u64) -> bool {
        let third = &self.parts[BACKLOG_PARTS - LAST_THIRD..];
        let rises = third.windows(2).all(|pair| pair[0].mean() < pair[1].mean());
        let growth = third[LAST_THIRD - 1].mean() - third[0].mean();
        rises && growth > nanos as f64 / 300.0
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("three digits are allowed")
}

fn record(histogram: &mut Histogram<u64>, nanos: u64) {
    histogram
        .record(nanos)
        .expect("a growing histogram takes every value");
}

/// Latencies by class, in an array while the client runs; the map is made at the end.
struct Latencies([Histogram<u64>; OpClass::ALL.len()]);

impl Latencies {
    fn new() -> Self {
        Self(std::array::from_fn(|_| histogram()))
    }

    fn record(&mut self, class: OpClass, nanos: u64) {
        record(&mut self.0[class as usize], nanos);
    }

    fn by_class(self) -> BTreeMap<OpClass, Histogram<u64>> {
        OpClass::ALL
            .into_iter()
            .zip(self.0)
            .filter(|(_, histogram)| !histogram.is_empty())
            .collect()
    }
}

/// Does all operations of `stream`, each at its time in `schedule`, or without one as soon as the
/// last has ended.
pub(super) async fn run(
    context: &PhaseContext,
    mut stream: OpStream,
    mut schedule: Option<Schedule>,
    slices: usize,
) -> Result<ClientReport, TrialError> {
    let total = stream.remaining();
    let mut latency = Latencies::new();
    let mut service = Latencies::new();
    let mut slices = Slices::new(slices);
    let mut backlog = Backlog::default();
    let mut pacing = histogram();
    let mut end = 0;
    let mut done = 0;
    while let Some(op) = stream.next(&context.acknowledged) {
        let mut begun = context.now();
        let mut intended = begun;
        if let Some(time) = schedule.as_mut().and_then(Iterator::next) {
            intended = time;
            if intended > begun {
                context.clock.sleep_until(context.start + intended).await;
                begun = context.now();
                record(&mut pacing, begun.saturating_sub(intended));
            }
            backlog.record(done, total, begun.saturating_sub(intended));
        }
        let Done { class, found } = perform(context, op).await?;
        context.clock.wait_for_cpu().await;
        end = context.now();
        done += 1;
        if done % COUNTED_EVERY == 0 {
            context.meter.add(COUNTED_EVERY);
        }
        latency.record(class, end.saturating_sub(intended));
        if schedule.is_some() {
            service.record(class, end - begun);
        }
        slices.record(end, end.saturating_sub(intended));
        let counts = || context.engine.metrics().counts;
        context.sampler.tick(end, counts);
        if let Some(value) = found.filter(|_| done % CHECKED_ONE_IN == 0) {
            check(context, op.key(), &value)?;
        }
    }
    context.meter.add(done % COUNTED_EVERY);
    Ok(ClientReport {
        latency: latency.by_class(),
        service: service.by_class(),
        slices,
        backlog,
        pacing,
        end,
    })
}

/// An operation that was done.
struct Done {
    class: OpClass,
    /// The value of the operation's key, if it was read or began a scan.
    found: Option<Value>,
}

async fn perform(context: &PhaseContext, op: Op<'_>) -> Result<Done, TrialError> {
    let engine = &context.engine;
    let mut found = None;
    let class = match op {
        Op::Read { key } => {
            found = read(context, key).await?;
            OpClass::Read
        }
        Op::ReadAbsent { key } => {
            if engine.get(key.bytes).await?.is_some() {
                return Err(TrialError::Phantom { key: shown(key) });
            }
            OpClass::ReadAbsent
        }
        Op::Update { key, value } => {
            engine.put(key.bytes, value).await?;
            OpClass::Write
        }
        Op::Insert { key, value } => {
            engine.put(key.bytes, value).await?;
            context.acknowledged.acknowledge(key.number);
            OpClass::Write
        }
        Op::Scan {
            key,
            length,
            direction,
        } => {
            found = scan(engine, key, length, direction).await?;
            OpClass::Scan
        }
        Op::ReadModifyWrite { key, value } => {
            found = read(context, key).await?;
            engine.put(key.bytes, value).await?;
            OpClass::ReadModifyWrite
        }
        Op::Delete { key } => {
            engine.delete(key.bytes).await?;
            OpClass::Delete
        }
    };
    Ok(Done { class, found })
}

/// A key for an error message.
fn shown(key: KeyRef<'_>) -> String {
    String::from_utf8_lossy(key.bytes).into_owned()
}

/// Checks that a value that was read is one that was written for its key.
fn check(context: &PhaseContext, key: KeyRef<'_>, value: &[u8]) -> Result<(), TrialError> {
    if context.contents.may_hold(key.number, value) {
        return Ok(());
    }
    Err(TrialError::Wrong {
        key: shown(key),
        bytes: value.len(),
    })
}

/// Does a point read. Streams read only keys whose writes were acknowledged, so finding nothing is
/// a wrong answer.
async fn read(context: &PhaseContext, key: KeyRef<'_>) -> Result<Option<Value>, TrialError> {
    let found = context.engine.get(key.bytes).await?;
    if found.is_none() && !context.may_miss {
        return Err(TrialError::Lost { key: shown(key) });
    }
    Ok(found)
}

/// Does a scan. Returns the value of `key`, if the scan found it.
async fn scan(
    engine: &AuraEngine,
    key: KeyRef<'_>,
    length: u32,
    direction: ScanDirection,
) -> Result<Option<Value>, TrialError> {
    let rows = match direction {
        ScanDirection::Forward => engine.scan(Range::from(key.bytes), Direction::Forward),
        ScanDirection::Reverse => engine.scan(Range::to_inclusive(key.bytes), Direction::Reverse),
    };
    let mut rows = rows.limit(length as usize);
    let first = rows.next().await?;
    if first.is_some() {
        while rows.next().await?.is_some() {}
    }
    Ok(first
        .filter(|(found, _)| *found == key.bytes)
        .map(|(_, value)| value))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The backlog of 900 operations, a microsecond apart.
    fn backlog(behind: impl Fn(u64) -> u64) -> Backlog {
        let mut backlog = Backlog::default();
        for number in 0..900 {
            backlog.record(number, 900, behind(number));
        }
        backlog
    }

    #[test]
    fn a_backlog_that_grows_to_the_end_is_an_overload() {
        // Each operation takes 3 % longer than the pause to the next one.
        assert!(backlog(|number| number * 30).grows(900_000));
    }

    #[test]
    fn a_backlog_that_is_worked_off_or_small_is_no_overload() {
        assert!(!backlog(|_| 0).grows(900_000));
        assert!(!backlog(|number| 5 + number % 7).grows(900_000));
        let rises_and_falls = |number: u64| number.min(900 - number) * 1000;
        assert!(!backlog(rises_and_falls).grows(900_000));
    }
}
