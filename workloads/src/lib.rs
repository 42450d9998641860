//! Streams of storage operations from a seed, and traces of cache requests.
//!
//! ```text
//!   WorkloadConfig --resolve()--> Workload --> load phase: inserts every record, split between the clients
//!   (what a user writes)          |
//!                                 +----------> phases: warm-up, then one or more with a mix and a distribution each
//!                                                |
//!                       phase.stream(client, seed)      phase.schedule(client, seed)
//!                                |                                |
//!                            OpStream                         Schedule
//!                        next(&acknowledged)            intended start times (open loop)
//!                                |
//!            Op { key and value borrowed from the stream's buffers }
//! ```
//!
//! An operation of a stream is made by asking, in this order: the [`Mix`] (which kind?), the
//! [`Distribution`] (which key number?), the [`KeySpace`] (how is it spelt?), and for writes the
//! value size and [`values`] (which bytes?). Each question draws from a generator of its own, whose
//! seed is derived by name from the root seed, so that no answer shifts another.
//!
//! What clients share is one [`Acknowledged`] counter: it hands out numbers of new keys and says up
//! to which number every insert has been acknowledged. Nothing here reads a file or a clock, or
//! starts a thread.
//!
//! Recorded requests to caches, in this and other projects' formats, are [`trace`].
//!
//! ```
//! use aura_workloads::{Acknowledged, Op, Preset, Seed, WorkloadConfig};
//!
//! let workload = WorkloadConfig { preset: Some(Preset::YcsbD), ..Default::default() }.resolve()?;
//! let acknowledged = Acknowledged::new(workload.records);
//! for phase in &workload.phases {
//!     let mut stream = phase.stream(0, Seed(7));
//!     while let Some(op) = stream.next(&acknowledged) {
//!         if let Op::Insert { key, .. } = op {
//!             acknowledged.acknowledge(key.number);
//!         }
//!     }
//! }
//! # Ok::<(), aura_workloads::ConfigError>(())
//! ```

mod config;
mod preset;
mod registry;
mod resolve;

mod phase;
mod stream;

mod mix;
mod op;

mod acknowledged;
mod distributions;
mod keys;
mod laws;
mod lengths;
mod pacing;
mod seed;

pub mod values;

pub mod keyset;
pub mod trace;

pub use acknowledged::Acknowledged;
pub use config::{PhaseConfig, ScanConfig, ValueConfig, WorkloadConfig};
pub use distributions::{
    Distribution, Drift, GrayZipfian, KeyChooser, KeyNumbers, Permutation, TrueZipf,
};
pub use keys::{KeyOrder, KeySpace, fnv_hash};
pub use lengths::{Length, LengthDistribution, LengthRange, Lengths};
pub use mix::Mix;
pub use op::{Direction, KeyRef, Op, OpKind};
pub use pacing::{Load, Schedule};
pub use phase::{Phase, PhaseKind, Workload};
pub use preset::Preset;
pub use registry::{Listed, Parameter, REQUIRED, arrivals, distributions, lengths, presets};
pub use resolve::ConfigError;
pub use seed::{Generator, Seed};
pub use stream::OpStream;
