//! The operations of one client in one phase.
//!
//! The stream owns the buffers of keys and values and uses them again, so that an operation
//! allocates nothing once the buffers have grown. Cost: 50 to 150 ns by distribution, and a fifth
//! of a nanosecond for each byte of a value.

use crate::acknowledged::Acknowledged;
use crate::distributions::KeyChooser;
use crate::key_names::KeyNames;
use crate::lengths::Lengths;
use crate::mix::Mix;
use crate::op::{Direction, KeyRef, Op, OpKind};
use crate::phase::{Phase, PhaseKind};
use crate::replay::{Ahead, Lane};
use crate::seed::{Generator, Seed};
use crate::sizes::SizeChooser;
use crate::trace::{Action, Finds};
use crate::values;

/// Lends one operation after the other; [`Phase::stream`] makes it.
#[derive(Clone, Debug)]
pub struct OpStream {
    remaining: u64,
    /// The operations of a trace, in the place of those that are drawn.
    replayed: Option<Lane>,
    keys: KeySource,
    kinds: Generator,
    names: KeyNames,
    /// Whether it ended because the file of keys has no further one.
    is_out_of_keys: bool,
    value_bytes: SizeChooser,
    compressibility: f64,
    value_generator: Generator,
    scan_lengths: Lengths,
    scan_generator: Generator,
    direction: Direction,
    key: Vec<u8>,
    value: Vec<u8>,
}

/// Where kinds and key numbers come from.
#[derive(Clone, Debug)]
enum KeySource {
    /// The load phase: inserts of this number, the next, and so on.
    Load { next: u64 },
    /// Any other phase: kinds by probability, key numbers from the distribution or the shared
    /// counter.
    Mixed {
        bounds: [f64; OpKind::ALL.len()],
        chooser: Box<KeyChooser>,
        generator: Generator,
    },
}

impl Phase {
    /// The operations of `client`, counted from 0. The same root seed gives the same operations, as
    /// long as inserts are acknowledged in the same order.
    ///
    /// ```
    /// use aura_workloads::{Acknowledged, OpKind, Preset, Seed, WorkloadConfig};
    ///
    /// let config = WorkloadConfig {
    ///     preset: Some(Preset::YcsbB),
    ///     records: Some(1000),
    ///     operations: Some(500),
    ///     ..Default::default()
    /// };
    /// let workload = config.resolve()?;
    /// let acknowledged = Acknowledged::new(workload.records);
    /// let mut stream = workload.phases[0].stream(0, Seed(7));
    /// let mut reads = 0;
    /// while let Some(op) = stream.next(&acknowledged) {
    ///     assert!(op.key().bytes.starts_with(b"user"));
    ///     if op.kind() == OpKind::Read {
    ///         reads += 1;
    ///     }
    /// }
    /// assert!((450..500).contains(&reads), "95 % of 500");
    /// # Ok::<(), aura_workloads::ConfigError>(())
    /// ```
    pub fn stream(&self, client: u32, root: Seed) -> OpStream {
        OpStream::new(self, client, root)
    }
}

impl OpStream {
    fn new(phase: &Phase, client: u32, root: Seed) -> Self {
        let seed = phase.client_seed(client, root);
        let keys = match phase.kind {
            PhaseKind::Load => KeySource::Load {
                next: phase.load_start(client),
            },
            PhaseKind::WarmUp | PhaseKind::Run | PhaseKind::Step(_) => KeySource::Mixed {
                bounds: bounds(&phase.mix),
                chooser: Box::new(phase.key_chooser(client, root)),
                generator: seed.child("key").generator(),
            },
        };
        let scan = phase.scan;
        Self {
            remaining: phase.operations_of(client),
            replayed: (phase.replay.as_ref()).map(|it| Lane::new(it, client)),
            keys,
            kinds: seed.child("kind").generator(),
            names: KeyNames::new(&phase.key, phase.numbers, phase.keys.as_ref()),
            is_out_of_keys: false,
            value_bytes: phase.value.bytes.chooser(),
            compressibility: phase.value.compressibility,
            value_generator: seed.child("value").generator(),
            scan_lengths: Lengths::new(
                u64::from(scan.min_length),
                u64::from(scan.max_length),
                scan.length_distribution,
            ),
            scan_generator: seed.child("scan").generator(),
            direction: scan.direction,
            key: Vec::new(),
            value: Vec::new(),
        }
    }

    /// Operations that are left.
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Whether it has ended early because there is no key left to insert in the file of keys.
    pub fn is_out_of_keys(&self) -> bool {
        self.is_out_of_keys
    }

    /// What the trace says of the next operation; `None` of a stream that draws its operations, and
    /// at the end.
    #[inline]
    pub fn ahead(&self) -> Option<Ahead> {
        let lane = self.replayed.as_ref()?;
        let traced = lane.trace().at(lane.peek()?);
        Some(Ahead {
            finds: match traced.action {
                Action::Put | Action::Delete => Finds::Anything,
                _ => traced.finds,
            },
            source: traced.source.number,
            compressibility: self.compressibility,
        })
    }

    /// The next operation of the trace.
    fn next_replayed(&mut self) -> Option<Op<'_>> {
        let lane = self.replayed.as_mut()?;
        let at = lane.next()?;
        let traced = lane.trace().at(at);
        self.key.clear();
        self.key.extend(traced.key);
        if traced.action.writes() {
            let length = traced.value_bytes.unwrap_or(0) as usize;
            let source = traced.source;
            let share = self.compressibility;
            values::fill(
                &mut self.value,
                length,
                source.number,
                source.version,
                share,
            );
        }
        let (action, length) = (traced.action, traced.length.max(1));
        let key = KeyRef {
            number: traced.number,
            bytes: &self.key,
        };
        let value = self.value.as_slice();
        let scan = |direction| Op::Scan {
            key,
            length,
            direction,
        };
        Some(match action {
            Action::Get => Op::Read { key },
            Action::Put => Op::Update { key, value },
            Action::Delete => Op::Delete { key },
            Action::Scan => scan(Direction::Forward),
            Action::ReverseScan => scan(Direction::Reverse),
            Action::ReadModifyWrite => Op::ReadModifyWrite { key, value },
        })
    }

    /// The next operation; `None` if all are done. `acknowledged` is the one counter of the trial,
    /// shared by all clients and phases. The caller acknowledges each [`Op::Insert`] there.
    pub fn next(&mut self, acknowledged: &Acknowledged) -> Option<Op<'_>> {
        self.remaining = self.remaining.checked_sub(1)?;
        if self.replayed.is_some() {
            return self.next_replayed();
        }
        let (kind, number) = self.keys.draw(&mut self.kinds, acknowledged);
        let has_key = if kind == OpKind::ReadAbsent {
            self.names.render_absent(number, &mut self.key)
        } else {
            self.names.render(number, &mut self.key)
        };
        if !has_key {
            self.remaining = 0;
            self.is_out_of_keys = true;
            return None;
        }
        if matches!(
            kind,
            OpKind::Update | OpKind::Insert | OpKind::ReadModifyWrite
        ) {
            let version = self.value_generator.bits();
            let length = self.value_bytes.draw(&mut self.value_generator) as usize;
            values::fill(
                &mut self.value,
                length,
                number,
                version,
                self.compressibility,
            );
        }
        let key = KeyRef {
            number,
            bytes: &self.key,
        };
        let value = self.value.as_slice();
        Some(match kind {
            OpKind::Read => Op::Read { key },
            OpKind::Update => Op::Update { key, value },
            OpKind::Insert => Op::Insert { key, value },
            OpKind::Scan => Op::Scan {
                key,
                length: self.scan_lengths.draw(&mut self.scan_generator) as u32,
                direction: self.direction,
            },
            OpKind::ReadModifyWrite => Op::ReadModifyWrite { key, value },
            OpKind::Delete => Op::Delete { key },
            OpKind::ReadAbsent => Op::ReadAbsent { key },
        })
    }
}

impl KeySource {
    fn draw(&mut self, kinds: &mut Generator, acknowledged: &Acknowledged) -> (OpKind, u64) {
        match self {
            Self::Load { next } => {
                *next += 1;
                (OpKind::Insert, *next - 1)
            }
            Self::Mixed {
                bounds,
                chooser,
                generator,
            } => {
                let u = kinds.unit();
                let below = bounds.iter().filter(|&&bound| bound <= u).count();
                let number = match OpKind::ALL[below] {
                    OpKind::Insert => acknowledged.take(),
                    _ => chooser.draw(generator, acknowledged),
                };
                (OpKind::ALL[below], number)
            }
        }
    }
}

/// The upper ends of the kinds' parts of [0, 1). From the last kind with a share on they are
/// infinite, so that rounding can never choose a kind without one.
fn bounds(mix: &Mix) -> [f64; OpKind::ALL.len()] {
    let last = OpKind::ALL
        .iter()
        .rposition(|&kind| mix.share(kind) > 0.0)
        .unwrap_or(0);
    let mut end = 0.0;
    std::array::from_fn(|at| {
        end += mix.probability(OpKind::ALL[at]);
        if at < last { end } else { f64::INFINITY }
    })
}
