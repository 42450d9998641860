//! Records the operations of a trial's clients: the trace that `workload.trace` replays.
//!
//! A key is recorded with all its operations or not at all, as its hash decides. Operations stand
//! in the order in which they ended; times are when they began.

use std::io;
use std::sync::{Mutex, PoisonError};

use aura_workloads::trace::{Action, OperationRecord, Sample, TraceWriter, ValueSource};
use aura_workloads::{Direction, Op, values};
use xxhash_rust::xxh3::xxh3_64;

type Writer = TraceWriter<zstd::Encoder<'static, Vec<u8>>>;

/// Writes operations as they end, compressed, in memory.
pub(super) struct OperationRecorder {
    sample: Sample,
    /// `None` after an error, which is kept beside it.
    state: Mutex<State>,
}

enum State {
    Writing(Box<Writer>),
    Failed(io::Error),
    Taken,
}

/// An operation that has ended.
pub(super) struct Ended<'a> {
    pub(super) op: Op<'a>,
    /// The number that its value is made from, if that is not its key's.
    pub(super) source: Option<u64>,
    /// When it began, on the world's clock.
    pub(super) at_ns: u64,
    /// Bytes of the value that it found.
    pub(super) found: Option<usize>,
    /// Whether it belongs to the load.
    pub(super) loads: bool,
}

impl OperationRecorder {
    /// Records the share `rate` of the keys; `None` if that is 0.
    pub(super) fn of(rate: f64) -> Option<Self> {
        let sample = Sample::new(rate, Sample::SEED)?;
        let begun = zstd::Encoder::new(Vec::new(), zstd::DEFAULT_COMPRESSION_LEVEL)
            .and_then(|output| TraceWriter::of_operations(output, rate, true));
        Some(Self {
            sample,
            state: Mutex::new(match begun {
                Ok(writer) => State::Writing(Box::new(writer)),
                Err(error) => State::Failed(error),
            }),
        })
    }

    /// Records an operation, if its key is one of those.
    pub(super) fn record(&self, ended: &Ended<'_>) {
        let op = &ended.op;
        let key = op.key();
        if !self.sample.keeps(xxh3_64(key.bytes)) {
            return;
        }
        let mut length = 0;
        let action = match *op {
            Op::Read { .. } | Op::ReadAbsent { .. } => Action::Get,
            Op::Update { .. } | Op::Insert { .. } => Action::Put,
            Op::ReadModifyWrite { .. } => Action::ReadModifyWrite,
            Op::Delete { .. } => Action::Delete,
            Op::Scan {
                length: asked,
                direction,
                ..
            } => {
                length = asked;
                match direction {
                    Direction::Forward => Action::Scan,
                    Direction::Reverse => Action::ReverseScan,
                }
            }
        };
        let written = op.value();
        let bytes = written.map(<[u8]>::len).or(ended.found);
        let record = OperationRecord {
            at_ns: ended.at_ns,
            action,
            key: key.bytes,
            value_bytes: bytes.map(|bytes| bytes as u64),
            length,
            source: written.map(|value| ValueSource {
                number: ended.source.unwrap_or(key.number),
                version: values::stated_version(value),
            }),
            loads: ended.loads,
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Writing(writer) = &mut *state
            && let Err(error) = writer.push_operation(&record)
        {
            *state = State::Failed(error);
        }
    }

    /// Ends the trace and returns its compressed bytes.
    pub(super) fn take(&self) -> io::Result<Vec<u8>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *state, State::Taken) {
            State::Writing(writer) => writer.finish()?.finish(),
            State::Failed(error) => Err(error),
            State::Taken => Ok(Vec::new()),
        }
    }
}
