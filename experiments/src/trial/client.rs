//! One client of a phase: it does its operations one after the other and notes how long each took.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use aura_engine::env::Clock;
use aura_engine::{Cursor, Direction, Range, Value};
use aura_workloads::trace::Finds;
use aura_workloads::{
    Acknowledged, Ahead, Direction as ScanDirection, KeyRef, Op, OpStream, Phase, Schedule, Until,
};
use hdrhistogram::Histogram;
use tokio::sync::Notify;

use super::contents::{CHECKED_ONE_IN, Contents};
use super::operation_recorder::{Ended, OperationRecorder};
use super::pulse::{COUNTED_EVERY, Meter};
use super::series::{Sampler, Slices};
use super::{Target, TrialError};
use crate::record::OpClass;

/// Parts into which an open loop's operations are divided, to see whether its backlog grows.
const BACKLOG_PARTS: usize = 9;

/// The parts that are the last third.
const LAST_THIRD: usize = BACKLOG_PARTS / 3;

/// What the clients of a phase share.
pub(super) struct PhaseContext<T> {
    pub(super) engine: T,
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
    /// When no operation begins any more, in nanoseconds from the phase's start.
    pub(super) deadline: Option<u64>,
    /// The clients that others wait for.
    pub(super) others: Others,
    /// What records the operations, if they are.
    pub(super) operations: Option<Arc<OperationRecorder>>,
    /// Whether it is the load.
    pub(super) loads: bool,
}

impl<T> PhaseContext<T> {
    /// Nanoseconds since the phase's start.
    fn now(&self) -> u64 {
        self.clock.now() - self.start
    }

    /// The clock at this many nanoseconds from the phase's start.
    fn at(&self, nanos: u64) -> u64 {
        self.start.saturating_add(nanos)
    }

    /// Whether a client may begin an operation that is planned for this time, or at once. If the
    /// deadline comes first, it is waited for; so is the planned time of a client that may be ended
    /// by others meanwhile.
    async fn may_begin(&self, planned: Option<u64>, until: Option<Until>) -> bool {
        let at = planned.unwrap_or(0);
        let deadline = self.deadline.unwrap_or(u64::MAX);
        if until.is_some() {
            let sleep = self.clock.sleep_until(self.at(at.min(deadline)));
            self.others.go_on_after(sleep).await && at < deadline && self.now() < deadline
        } else if at >= deadline {
            self.clock.sleep_until(self.at(deadline)).await;
            false
        } else {
            self.now() < deadline
        }
    }

    /// Records an operation that began at a time, if operations are recorded.
    fn record(&self, op: Op<'_>, ahead: Option<&Ahead>, begun: u64, found: Option<&Value>) {
        if let Some(recorder) = &self.operations {
            recorder.record(&Ended {
                op,
                source: ahead.map(|ahead| ahead.source),
                at_ns: self.start + begun,
                found: found.map(|value| value.len()),
                loads: self.loads,
            });
        }
    }

    /// How much of the phase's duration has passed at a time; nothing without one.
    fn progress(&self, at: u64) -> Share {
        match self.deadline {
            Some(deadline) => Share::new(at, deadline),
            None => Share::new(0, 1),
        }
    }
}

/// The clients of a phase whose end others wait for.
pub(super) struct Others {
    running: AtomicU64,
    all_ended: Notify,
}

impl Others {
    /// All clients of the phase but those that go on until the others end.
    pub(super) fn of(phase: &Phase) -> Self {
        let others = phase.parts().iter().filter(|part| part.until.is_none());
        Self {
            running: AtomicU64::new(others.map(|part| u64::from(part.clients)).sum()),
            all_ended: Notify::new(),
        }
    }

    fn have_ended(&self) -> bool {
        self.running.load(Ordering::Acquire) == 0
    }

    /// Waits for `sleep`, or until all others have ended. Returns whether they have not.
    async fn go_on_after(&self, sleep: impl Future<Output = ()>) -> bool {
        let mut sleep = std::pin::pin!(sleep);
        let mut ended = std::pin::pin!(self.all_ended.notified());
        ended.as_mut().enable();
        if self.have_ended() {
            return false;
        }
        let waited = std::future::poll_fn(|context| {
            let is_over = ended.as_mut().poll(context).is_ready();
            let is_time = sleep.as_mut().poll(context).is_ready();
            if is_over || is_time {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        waited.await;
        !self.have_ended()
    }
}

/// A client whose end others wait for. It ends when this is dropped, also with an error.
struct Running<'a>(&'a Others);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.all_ended.notify_waiters();
        }
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

/// How much of a phase is done, in parts for the backlog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Share(usize);

impl Share {
    fn new(done: u64, total: u64) -> Self {
        let part = u128::from(done) * BACKLOG_PARTS as u128 / u128::from(total.max(1));
        Self((part as usize).min(BACKLOG_PARTS - 1))
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
    /// Notes how far behind the operation begins before which this share of the phase was done.
    fn record(&mut self, done: Share, behind: u64) {
        let part = &mut self.parts[done.0];
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

/// An empty histogram of times, which grows.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("three digits are allowed")
}

/// Records a time in a histogram that grows.
pub(super) fn record(histogram: &mut Histogram<u64>, nanos: u64) {
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

/// What a client is to do.
pub(super) struct Work {
    pub(super) stream: OpStream,
    /// When operations begin; `None` in a closed loop.
    pub(super) schedule: Option<Schedule>,
    /// What ends it beside its operations and the phase's deadline.
    pub(super) until: Option<Until>,
    /// The most slices of its series.
    pub(super) slices: usize,
}

/// Does the operations of a stream, each at its time in the schedule, or without one as soon as the
/// last has ended; until there are no more, or the phase's deadline, or the end of other roles.
pub(super) async fn run<T: Target>(
    context: &PhaseContext<T>,
    work: Work,
) -> Result<ClientReport, TrialError> {
    let Work {
        mut stream,
        mut schedule,
        until,
        slices,
    } = work;
    let _ends = until.is_none().then(|| Running(&context.others));
    let total = stream.remaining();
    let is_counted = total != Phase::ENDLESS;
    let mut latency = Latencies::new();
    let mut service = Latencies::new();
    let mut slices = Slices::new(slices);
    let mut backlog = Backlog::default();
    let mut pacing = histogram();
    let mut end = 0;
    let mut done = 0;
    while stream.remaining() > 0 {
        let planned = schedule.as_mut().and_then(Iterator::next);
        if !context.may_begin(planned, until).await {
            end = end.max(context.now());
            break;
        }
        let ahead = stream.ahead();
        let Some(op) = stream.next(&context.acknowledged) else {
            return Err(TrialError::OutOfKeys);
        };
        let mut begun = context.now();
        let mut intended = begun;
        if let Some(time) = planned {
            intended = time;
            if intended > begun {
                context.clock.sleep_until(context.at(intended)).await;
                begun = context.now();
                record(&mut pacing, begun.saturating_sub(intended));
            }
            let part = context.progress(begun).max(Share::new(done, total));
            backlog.record(part, begun.saturating_sub(intended));
        }
        let Done { class, found } = perform(context, op).await?;
        context.clock.wait_for_cpu().await;
        end = context.now();
        done += 1;
        if is_counted && done % COUNTED_EVERY == 0 {
            context.meter.add(COUNTED_EVERY);
        }
        latency.record(class, end.saturating_sub(intended));
        if schedule.is_some() {
            service.record(class, end - begun);
        }
        slices.record(end, end.saturating_sub(intended));
        let counts = || context.engine.counts();
        context.sampler.tick(end, counts);
        context.record(op, ahead.as_ref(), begun, found.as_ref());
        check(context, done, op.key(), found.as_deref(), ahead.as_ref())?;
    }
    if is_counted {
        context.meter.add(done % COUNTED_EVERY);
    }
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

async fn perform<T: Target>(context: &PhaseContext<T>, op: Op<'_>) -> Result<Done, TrialError> {
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

/// Checks what operation number `done` found for its key. Of a trace it is known; otherwise it is a
/// value that was written for the key, which is looked at once in [`CHECKED_ONE_IN`] operations.
fn check<T>(
    context: &PhaseContext<T>,
    done: u64,
    key: KeyRef<'_>,
    found: Option<&[u8]>,
    ahead: Option<&Ahead>,
) -> Result<(), TrialError> {
    let is_thorough = done.is_multiple_of(CHECKED_ONE_IN);
    match (ahead, found) {
        (Some(ahead), _) => check_replayed(key, found, ahead, is_thorough),
        (None, Some(value)) if is_thorough && !context.contents.may_hold(key.number, value) => {
            Err(wrong(key, value))
        }
        _ => Ok(()),
    }
}

/// Checks what a replayed operation found for its key: the one value that the trace says, or
/// nothing. Bytes are looked at in a thorough check only.
fn check_replayed(
    key: KeyRef<'_>,
    found: Option<&[u8]>,
    ahead: &Ahead,
    is_thorough: bool,
) -> Result<(), TrialError> {
    match (ahead.finds, found) {
        (Finds::Nothing, Some(_)) => Err(TrialError::Phantom { key: shown(key) }),
        (Finds::Value { .. }, None) => Err(TrialError::Lost { key: shown(key) }),
        (_, Some(value)) if !ahead.accepts(value, is_thorough) => Err(wrong(key, value)),
        _ => Ok(()),
    }
}

fn wrong(key: KeyRef<'_>, value: &[u8]) -> TrialError {
    TrialError::Wrong {
        key: shown(key),
        bytes: value.len(),
    }
}

/// Does a point read. Streams read only keys whose writes were acknowledged, so finding nothing is
/// a wrong answer.
async fn read<T: Target>(
    context: &PhaseContext<T>,
    key: KeyRef<'_>,
) -> Result<Option<Value>, TrialError> {
    let found = context.engine.get(key.bytes).await?;
    if found.is_none() && !context.may_miss {
        return Err(TrialError::Lost { key: shown(key) });
    }
    Ok(found)
}

/// Does a scan. Returns the value of `key`, if the scan found it.
async fn scan<T: Target>(
    engine: &T,
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
    use aura_workloads::trace::ValueSource;
    use aura_workloads::values;

    use super::*;

    /// The backlog of 900 operations, a microsecond apart.
    fn backlog(behind: impl Fn(u64) -> u64) -> Backlog {
        let mut backlog = Backlog::default();
        for number in 0..900 {
            backlog.record(Share::new(number, 900), behind(number));
        }
        backlog
    }

    /// What a check says of a replayed read that must find `finds`, and found `found`.
    fn checked(finds: Finds, found: Option<&[u8]>, is_thorough: bool) -> Result<(), TrialError> {
        let key = KeyRef {
            number: 5,
            bytes: b"key5",
        };
        let ahead = Ahead {
            finds,
            source: 5,
            compressibility: 0.0,
        };
        check_replayed(key, found, &ahead, is_thorough)
    }

    #[test]
    fn a_replayed_read_is_refused_if_it_finds_what_is_not_there_or_not_what_is() {
        let mut value = Vec::new();
        values::fill(&mut value, 200, 5, 77, 0.0);
        let source = |version| ValueSource { number: 5, version };
        let finds = |version, bytes| Finds::Value {
            source: source(version),
            bytes,
        };
        for is_thorough in [false, true] {
            let check = |finds, found: Option<&[u8]>| checked(finds, found, is_thorough);
            let found = Some(value.as_slice());
            assert!(check(finds(77, 200), found).is_ok());
            assert!(check(Finds::Nothing, None).is_ok());
            assert!(check(Finds::Anything, found).is_ok() && check(Finds::Anything, None).is_ok());
            for (wrong, kind) in [
                (check(Finds::Nothing, found), "phantom"),
                (check(finds(77, 200), None), "lost"),
                (check(finds(77, 199), found), "wrong"),
                (check(finds(77, 200), Some(&value[..199])), "wrong"),
            ] {
                let is_kind = match &wrong {
                    Err(TrialError::Phantom { key }) => kind == "phantom" && key == "key5",
                    Err(TrialError::Lost { key }) => kind == "lost" && key == "key5",
                    Err(TrialError::Wrong { key, .. }) => kind == "wrong" && key == "key5",
                    _ => false,
                };
                assert!(is_kind, "{kind}: {wrong:?}");
            }
        }
        // Only a thorough check sees another version, another key's value, or a flipped bit.
        let mut damaged = value.clone();
        damaged[120] ^= 1;
        let mut others = Vec::new();
        values::fill(&mut others, 200, 6, 77, 0.0);
        for (version, found) in [(76, &value), (77, &damaged), (77, &others)] {
            assert!(checked(finds(version, 200), Some(found), false).is_ok());
            let wrong = checked(finds(version, 200), Some(found), true);
            assert!(
                matches!(wrong, Err(TrialError::Wrong { bytes: 200, .. })),
                "{wrong:?}"
            );
        }
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
