//! The operations of a trace as a phase: which client does which, and when.
//!
//! All operations of a key are done by one client, in the order of the trace. So with any number of
//! clients each key has the same history, and each read must find the same value. Operations on
//! different keys may overtake one another if there are several clients.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::mix::Mix;
use crate::trace::{Action, Finds, Operations};
use crate::values;

/// When the operations of a trace begin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "\"closed\", or how many times as fast as recorded, such as 1.0"
)]
pub enum Speed {
    /// Not by the trace's times.
    Named(Untimed),
    /// At the recorded times, this many times as fast (above 0, at most 1e6). Operations of one
    /// tick of the trace's clock are spread evenly over it.
    Times(f64),
}

/// An order of operations without times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Untimed {
    /// Closed loop: each client does its next operation when the last has ended.
    Closed,
}

impl Default for Speed {
    fn default() -> Self {
        Self::Named(Untimed::Closed)
    }
}

/// A part of a trace that a phase replays.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// The operations, ready to be replayed.
    pub trace: Arc<Operations>,
    /// The first of the part.
    pub from: usize,
    /// The end of the part.
    pub to: usize,
    /// When operations begin.
    pub speed: Speed,
}

impl Replay {
    /// The shares of operations in the part. O(operations).
    pub(crate) fn mix(&self) -> Mix {
        let mut mix = Mix::default();
        for at in self.from..self.to {
            let share = match self.trace.at(at).action {
                Action::Get => &mut mix.read,
                Action::Put => &mut mix.update,
                Action::Delete => &mut mix.delete,
                Action::Scan | Action::ReverseScan => &mut mix.scan,
                Action::ReadModifyWrite => &mut mix.read_modify_write,
            };
            *share += 1.0;
        }
        if self.from == self.to {
            mix.read = 1.0;
        }
        mix
    }
}

/// The positions of one client's operations in a part of a trace.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    replay: Replay,
    at: usize,
    client: u32,
    clients: u32,
}

impl Lane {
    pub(crate) fn new(replay: &Replay, client: u32, clients: u32) -> Self {
        let mut lane = Self {
            replay: replay.clone(),
            at: replay.from,
            client,
            clients,
        };
        lane.skip_others();
        lane
    }

    fn skip_others(&mut self) {
        let Self {
            replay,
            at,
            client,
            clients,
        } = self;
        while *at < replay.to && *clients > 1 && replay.trace.client_of(*at, *clients) != *client {
            *at += 1;
        }
    }

    pub(crate) fn trace(&self) -> &Operations {
        &self.replay.trace
    }

    /// The position of the next operation; `None` at the end.
    pub(crate) fn peek(&self) -> Option<usize> {
        (self.at < self.replay.to).then_some(self.at)
    }

    /// When the operation at a position begins, in nanoseconds from the part's start.
    pub(crate) fn time(&self, at: usize) -> u64 {
        let trace = self.trace();
        let recorded = trace.time(at).saturating_sub(trace.time(self.replay.from));
        match self.replay.speed {
            Speed::Named(Untimed::Closed) => 0,
            Speed::Times(speed) => (recorded as f64 / speed) as u64,
        }
    }
}

impl Iterator for Lane {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let at = self.peek()?;
        self.at += 1;
        self.skip_others();
        Some(at)
    }
}

/// What is known beforehand of a stream's next operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ahead {
    /// What it must find for its key.
    pub finds: Finds,
    /// The number that its value is made from, if that is not its key's.
    pub source: Option<u64>,
    /// The share of values that a compressor can remove.
    pub compressibility: f64,
}

impl Ahead {
    /// Whether `value` is the one that the operation must find. Only a thorough check looks at its
    /// bytes.
    pub fn accepts(&self, value: &[u8], is_thorough: bool) -> bool {
        match self.finds {
            Finds::Anything => true,
            Finds::Nothing => false,
            Finds::Value { source, bytes } => {
                let version = if value.len() < values::CHECKED_MIN {
                    0
                } else {
                    source.version
                };
                let found = || values::version_of(value, source.number, self.compressibility);
                value.len() as u64 == bytes && (!is_thorough || found() == Some(version))
            }
        }
    }
}
