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
    /// The positions of each client's operations.
    lanes: Arc<[Vec<u32>]>,
}

impl Replay {
    /// The operations `from..to` of `trace`, divided among `clients`. O(operations), at 4 bytes
    /// each.
    pub(crate) fn new(
        trace: &Arc<Operations>,
        from: usize,
        to: usize,
        speed: Speed,
        clients: u32,
    ) -> Self {
        let mut lanes = vec![Vec::new(); clients as usize];
        for at in from..to {
            lanes[trace.client_of(at, clients) as usize].push(at as u32);
        }
        Self {
            trace: trace.clone(),
            from,
            to,
            speed,
            lanes: lanes.into(),
        }
    }

    /// The positions of the operations of `client`; none for a client that does not exist.
    pub(crate) fn lane(&self, client: u32) -> &[u32] {
        self.lanes.get(client as usize).map_or(&[], Vec::as_slice)
    }

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
    client: u32,
    done: usize,
}

impl Lane {
    pub(crate) fn new(replay: &Replay, client: u32) -> Self {
        Self {
            replay: replay.clone(),
            client,
            done: 0,
        }
    }

    pub(crate) fn trace(&self) -> &Operations {
        &self.replay.trace
    }

    /// The position of the next operation; `None` at the end.
    pub(crate) fn peek(&self) -> Option<usize> {
        let position = self.replay.lane(self.client).get(self.done)?;
        Some(*position as usize)
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
        self.done += 1;
        Some(at)
    }
}

/// What a trace says beforehand of a stream's next operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ahead {
    /// What it must find for its key.
    pub finds: Finds,
    /// The number that its value is made from.
    pub source: u64,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{self, Format, ReadOptions};

    #[test]
    fn lanes_divide_all_operations_in_order_and_keep_a_key_together() {
        let row = |at: usize| format!("k{},get\n", at * 7 % 83);
        let text: String = (0..1000).map(row).collect();
        let text = format!("key,op\n{text}");
        let options = ReadOptions::default();
        let read = trace::read_operations(text.as_bytes(), Format::Csv, &options);
        let trace = Arc::new(read.expect("a trace"));
        for clients in [1, 3, 64] {
            let replay = Replay::new(&trace, 100, 900, Speed::default(), clients);
            let mut clients_of = vec![None; trace.keys()];
            let mut all = Vec::new();
            for client in 0..clients {
                let lane: Vec<usize> = Lane::new(&replay, client).collect();
                assert_eq!(lane.len(), replay.lane(client).len());
                assert!(lane.is_sorted(), "{clients} clients: {lane:?}");
                for &at in &lane {
                    let of_key = &mut clients_of[trace.at(at).number as usize];
                    assert_eq!(*of_key.get_or_insert(client), client, "{clients} clients");
                }
                all.extend(lane);
            }
            all.sort_unstable();
            assert!(all.into_iter().eq(100..900), "{clients} clients");
            assert!(replay.lane(clients).is_empty(), "no such client");
            let busy = (0..clients).filter(|client| !replay.lane(*client).is_empty());
            assert!(busy.count() as u32 > clients / 2, "{clients} clients");
        }
    }
}
