//! Streams of storage operations from a seed, traces of cache requests, and sets of keys.
//!
//! ```text
//!   WorkloadConfig --resolve()--> Workload --> load phase: inserts every record, split by client
//!   (what a user writes)          |
//!                                 +----------> phases: warm-up, then one or more, each with a mix
//!                                                |     and a distribution
//!                       phase.stream(client, seed)      phase.schedule(client, seed)
//!                                |                                |
//!                            OpStream                         Schedule
//!                        next(&acknowledged)            intended start times (open loop)
//!                                |
//!            Op { key and value borrowed from the stream's buffers }
//! ```
//!
//! To make an operation, a stream asks in this order: the [`Mix`] (which kind?), the
//! [`Distribution`] (which key number?), the [`KeySpace`] (how is it spelt?), and for writes the
//! value size and [`values`] (which bytes?). Each question draws from a generator of its own, whose
//! seed is derived by name from the root seed, so that no answer changes another.
//!
//! Clients share one [`Acknowledged`] counter. It hands out the numbers of new keys, and says up to
//! which number every insert has been acknowledged. Nothing here reads a file or a clock, or starts
//! a thread.
//!
//! # What to read first
//!
//! 1. `config.rs`: what a user may write. `resolve.rs`: defaults;
//!    `checks.rs`: what is refused.
//! 2. `stream.rs`: how an operation is made. `distributions/`: which key; `lengths.rs` and
//!    `sizes.rs`: which size; `pacing.rs`: when.
//! 3. `seed.rs`: why the same seed gives the same operations everywhere.
//! 4. [`trace`]: recorded requests to caches, in this and other projects' formats, one file a
//!    format. [`keyset`]: sets of keys to build an index on.
//!
//! # A YCSB stream
//!
//! ```
//! use aura_workloads::{Acknowledged, Op, Preset, Seed, WorkloadConfig};
//!
//! let config = WorkloadConfig { preset: Some(Preset::YcsbD), ..Default::default() };
//! let workload = config.resolve()?;
//! let acknowledged = Acknowledged::new(workload.records);
//! for phase in &workload.phases {
//!     let mut stream = phase.stream(0, Seed(7));
//!     while let Some(op) = stream.next(&acknowledged) {
//!         // Carry out the operation here. An insert that is done must be acknowledged.
//!         if let Op::Insert { key, .. } = op {
//!             acknowledged.acknowledge(key.number);
//!         }
//!     }
//! }
//! # Ok::<(), aura_workloads::ConfigError>(())
//! ```
//!
//! # Adding a distribution
//!
//! Of keys: a variant of [`Distribution`], its check in `checks.rs`, its draw in
//! `distributions/mod.rs`, and an entry in `registry.rs`. Of lengths or arrivals: a variant of
//! [`LengthDistribution`] or [`Load`], its law in `laws.rs` if rand_distr has it, its check, its
//! entry, and golden draws in `tests/laws.rs`. The registry's tests fail until the listing is
//! complete.

mod checks;
mod config;
mod preset;
mod preset_parts;
mod registry;
mod resolve;

mod phase;
mod replay;
mod step;
mod stream;

mod mix;
mod op;

mod acknowledged;
mod bytes;
mod distributions;
mod key_names;
mod keys;
mod laws;
mod lengths;
mod pacing;
mod rates;
mod seed;
mod sizes;

pub mod names;
pub mod values;

pub mod keyset;
pub mod trace;

pub use acknowledged::Acknowledged;
pub use checks::ConfigError;
pub use config::{
    PhaseConfig, RoleConfig, ScanConfig, TraceConfig, Until, ValueConfig, WorkloadConfig,
};
pub use distributions::{
    Distribution, Drift, GrayZipfian, KeyChooser, KeyNumbers, Permutation, TrueZipf,
};
pub use keys::{KeyFileFormat, KeyOrder, KeySpace, fnv_hash};
pub use lengths::{Length, LengthDistribution, LengthRange, Lengths};
pub use mix::Mix;
pub use op::{Direction, KeyRef, Op, OpKind};
pub use pacing::{Load, Schedule};
pub use phase::{Phase, PhaseKind, Workload};
pub use preset::Preset;
pub use rates::{Bursts, Ramp, Rate, Wave};
pub use registry::{
    Listed, Parameter, REQUIRED, arrivals, distributions, lengths, presets, steps, tables,
};
pub use replay::{Ahead, Replay, Speed, Untimed};
pub use resolve::Inputs;
pub use seed::{Generator, Seed};
pub use sizes::{FieldSizes, Sizes, WeightedLength};
pub use step::Step;
pub use stream::OpStream;
