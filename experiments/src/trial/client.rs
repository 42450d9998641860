//! One client of a phase: it does its operations one after the other and notes how long each took.

use std::collections::BTreeMap;
use std::sync::Arc;

use aura_engine::env::Clock;
use aura_engine::{AuraEngine, Direction, Engine, Range};
use aura_workloads::{Acknowledged, KeyRef, Op, OpStream, Schedule};
use hdrhistogram::Histogram;

use super::TrialError;
use super::series::{Sampler, Slices};
use crate::record::OpClass;

/// Into how many parts an open loop's operations are cut to see whether its backlog grows: the last three are its last
/// third.
const BACKLOG_PARTS: usize = 9;

/// What the clients of a phase share.
pub(super) struct Shared {
    pub(super) engine: AuraEngine,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) acknowledged: Arc<Acknowledged>,
    pub(super) sampler: Sampler,
    /// When the phase began, by the clock.
    pub(super) start: u64,
    /// Whether a read may find nothing: some phase deletes.
    pub(super) may_miss: bool,
}

/// What a client has seen.
pub(super) struct Seen {
    pub(super) latency: BTreeMap<OpClass, Histogram<u64>>,
    pub(super) service: BTreeMap<OpClass, Histogram<u64>>,
    pub(super) slices: Slices,
    pub(super) backlog: Backlog,
    /// When its last operation ended, in nanoseconds since the phase began.
    pub(super) end: u64,
}

impl Seen {
    /// Adds another client's.
    pub(super) fn merge(&mut self, other: Self) {
        for (mine, others) in [
            (&mut self.latency, other.latency),
            (&mut self.service, other.service),
        ] {
            for (class, histogram) in others {
                match mine.get_mut(&class) {
                    Some(mine) => *mine += histogram,
                    None => drop(mine.insert(class, histogram)),
                }
            }
        }
        self.slices.merge(other.slices);
        self.backlog.merge(&other.backlog);
        self.end = self.end.max(other.end);
    }
}

/// How far an open loop's clients are behind, over the course of the phase.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Backlog {
    /// For each part of the operations: nanoseconds behind, summed, and how many operations.
    parts: [(u128, u64); BACKLOG_PARTS],
}

impl Backlog {
    fn record(&mut self, done: u64, total: u64, behind: u64) {
        let part = (u128::from(done) * BACKLOG_PARTS as u128 / u128::from(total.max(1))) as usize;
        let (sum, operations) = &mut self.parts[part.min(BACKLOG_PARTS - 1)];
        *sum += u128::from(behind);
        *operations += 1;
    }

    fn merge(&mut self, other: &Self) {
        for (mine, others) in self.parts.iter_mut().zip(&other.parts) {
            *mine = (mine.0 + others.0, mine.1 + others.1);
        }
    }

    /// Whether it grew over the last third of a phase of `nanos`: from part to part, and by more than a hundredth of
    /// that third, so that the jitter of a loop that keeps up does not count.
    pub(super) fn grows(&self, nanos: u64) -> bool {
        let means: Vec<f64> = self
            .parts
            .iter()
            .map(|(sum, operations)| *sum as f64 / (*operations).max(1) as f64)
            .collect();
        let third = &means[BACKLOG_PARTS - 3..];
        let rises = third.windows(2).all(|pair| pair[0] < pair[1]);
        rises && third[2] - third[0] > nanos as f64 / 300.0
    }
}

/// Latencies by class, in an array while the client runs: the map is made at the end.
struct Recorder {
    latency: [Histogram<u64>; OpClass::ALL.len()],
    service: [Histogram<u64>; OpClass::ALL.len()],
}

impl Recorder {
    fn new() -> Self {
        let empty =
            || std::array::from_fn(|_| Histogram::new(3).expect("three digits are allowed"));
        Self {
            latency: empty(),
            service: empty(),
        }
    }
}

fn record(histograms: &mut [Histogram<u64>], class: OpClass, nanos: u64) {
    histograms[class as usize]
        .record(nanos)
        .expect("a growing histogram takes every value");
}

fn by_class(histograms: [Histogram<u64>; OpClass::ALL.len()]) -> BTreeMap<OpClass, Histogram<u64>> {
    OpClass::ALL
        .into_iter()
        .zip(histograms)
        .filter(|(_, histogram)| !histogram.is_empty())
        .collect()
}

/// Does all operations of `stream`, each at its time in `schedule` or as soon as the one before has ended.
pub(super) async fn run(
    shared: &Shared,
    mut stream: OpStream,
    mut schedule: Option<Schedule>,
    slices: usize,
) -> Result<Seen, TrialError> {
    let Shared {
        engine,
        clock,
        acknowledged,
        sampler,
        start,
        ..
    } = shared;
    let total = stream.remaining();
    let mut recorder = Recorder::new();
    let (mut slices, mut backlog, mut end, mut done) =
        (Slices::new(slices), Backlog::default(), 0, 0);
    while let Some(op) = stream.next(acknowledged) {
        let mut begun = clock.now() - start;
        let mut intended = begun;
        if let Some(time) = schedule.as_mut().and_then(Iterator::next) {
            intended = time;
            if intended > begun {
                clock.sleep(intended - begun).await;
                begun = clock.now() - start;
            }
            backlog.record(done, total, begun.saturating_sub(intended));
        }
        let class = perform(shared, op).await?;
        clock.settle().await;
        end = clock.now() - start;
        done += 1;
        record(&mut recorder.latency, class, end.saturating_sub(intended));
        if schedule.is_some() {
            record(&mut recorder.service, class, end - begun);
        }
        slices.record(end, end.saturating_sub(intended));
        sampler.tick(end, || engine.metrics().counts);
    }
    let (latency, service) = (by_class(recorder.latency), by_class(recorder.service));
    Ok(Seen {
        latency,
        service,
        slices,
        backlog,
        end,
    })
}

async fn perform(shared: &Shared, op: Op<'_>) -> Result<OpClass, TrialError> {
    let engine = &shared.engine;
    match op {
        Op::Read { key } => {
            read(shared, key).await?;
            Ok(OpClass::Read)
        }
        Op::Update { key, value } => {
            engine.put(key.bytes, value).await?;
            Ok(OpClass::Write)
        }
        Op::Insert { key, value } => {
            engine.put(key.bytes, value).await?;
            shared.acknowledged.acknowledge(key.number);
            Ok(OpClass::Write)
        }
        Op::Scan {
            key,
            length,
            direction,
        } => {
            scan(engine, key, length, direction).await?;
            Ok(OpClass::Scan)
        }
        Op::ReadModifyWrite { key, value } => {
            read(shared, key).await?;
            engine.put(key.bytes, value).await?;
            Ok(OpClass::ReadModifyWrite)
        }
        Op::Delete { key } => {
            engine.delete(key.bytes).await?;
            Ok(OpClass::Delete)
        }
    }
}

/// A point read. Streams ask only for keys whose writes were acknowledged, so nothing is a wrong answer.
async fn read(shared: &Shared, key: KeyRef<'_>) -> Result<(), TrialError> {
    match shared.engine.get(key.bytes).await? {
        None if !shared.may_miss => Err(TrialError::Lost {
            key: String::from_utf8_lossy(key.bytes).into_owned(),
        }),
        _ => Ok(()),
    }
}

async fn scan(
    engine: &AuraEngine,
    key: KeyRef<'_>,
    length: u32,
    direction: aura_workloads::Direction,
) -> Result<(), TrialError> {
    let rows = match direction {
        aura_workloads::Direction::Forward => {
            engine.scan(Range::from(key.bytes), Direction::Forward)
        }
        aura_workloads::Direction::Reverse => {
            engine.scan(Range::to_inclusive(key.bytes), Direction::Reverse)
        }
    };
    let mut rows = rows.limit(length as usize);
    while rows.next().await?.is_some() {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backlog(behind: impl Fn(u64) -> u64) -> Backlog {
        let mut backlog = Backlog::default();
        (0..900).for_each(|number| backlog.record(number, 900, behind(number)));
        backlog
    }

    #[test]
    fn a_backlog_that_grows_to_the_end_is_an_overload() {
        // 900 operations a microsecond apart, each of which takes 3 % longer than that.
        assert!(backlog(|number| number * 30).grows(900_000));
    }

    #[test]
    fn a_backlog_that_is_worked_off_or_small_is_none() {
        assert!(!backlog(|_| 0).grows(900_000));
        assert!(!backlog(|number| 5 + number % 7).grows(900_000));
        assert!(
            !backlog(|number| if number < 500 {
                number * 1000
            } else {
                (900 - number) * 1000
            })
            .grows(900_000)
        );
    }
}
