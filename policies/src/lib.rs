//! Every decision AuraDB makes: facts in, a decision out.
//!
//! A *family* is a question and a folder. A *policy* is one answer and one file. Policies are pure:
//! no file, clock, thread or unseeded randomness is within reach, so a decision can be replayed,
//! printed, tested and learned from. The engine checks each decision and carries it out. A wrong
//! decision may cost time or space, but never an answer.
//!
//! | family | question | how often it is asked |
//! |---|---|---|
//! | [`cache`] | who leaves the cache? | every cache access |
//! | [`admission`] | who enters the cache? | every cache miss |
//! | [`bound`] | what could the best cache have done? | once a trace, offline |
//! | [`warming`] | what does the cache keep when tables are rewritten? | once a block written |
//! | [`layout`] | how many runs may a level hold, which merge is due? | after each compaction |
//! | [`picker`] | which table of a full level moves down? | once a partial compaction |
//! | [`agent`] | should the layout change? | once a window of operations |
//! | [`index`] | where in this table is the key? | trained once a table, then every look-up |
//! | [`tuner`] | which index does the next table get? | when a table is begun |
//! | [`filter`] | can this table hold the key? | built once a table, then every look-up |
//! | [`separation`] | does this value go to the value log? | every write |
//! | [`placement`] | which queue of the value log does a value go to? | once a separated value |
//! | [`gc`] | which value file is collected next? | once a collection of the value log |
//! | [`stall`] | how fast may writers go while the background is behind? | once a group of writes |
//! | [`limiter`] | how many bytes a second may the background move? | some times a second |
//! | [`self_tuner`] | which setting changes next? | once a window of operations |
//!
//! # What to read first
//!
//! 1. `cache/mod.rs`: how a family looks. A trait with the contract, the type of its builders, the
//!    list of its policies, and `build`.
//! 2. `cache/sieve.rs`: how a policy looks. A module doc with source, state, cost, invariants and
//!    weaknesses; an [`Entry`]; the state; the trait's implementation; unit tests.
//! 3. [`Family`]: how a name in a config becomes a policy.
//! 4. `facts/mod.rs`: what the engine shows of its tree. `layout/planner.rs`: the one planner
//!    behind all layouts.
//! 5. `tests/laws/`: what every policy of a family must obey. A registered policy is tested by
//!    being registered.
//!
//! # Using policies
//!
//! ```
//! use aura_policies::PolicySpec;
//! use aura_policies::cache::{self, Access};
//! use aura_policies::replay::Replay;
//!
//! // A config names a policy and the parameters that differ from their defaults.
//! let spec = PolicySpec::named("s3-fifo").with("small", 0.2);
//! let capacity_bytes = 1000;
//! let policy = cache::build(&spec, capacity_bytes, 7)?;
//!
//! // Replay a trace of 300 objects of 10 bytes, in a cache that holds 100 of them.
//! let mut cache = Replay::new(policy, None, capacity_bytes, 300);
//! let trace = (0..10_000_u32).map(|i| if i % 2 == 0 { i % 80 } else { i % 300 });
//! let mut hits = 0;
//! for object in trace {
//!     if cache.request(object, &Access::sized(u64::from(object), 10)) {
//!         hits += 1;
//!     }
//! }
//! assert!(hits > 5000);
//! # Ok::<(), aura_policies::PolicyError>(())
//! ```
//!
//! # Adding a policy
//!
//! To this crate: write one file in the family's folder, with a module doc that says *Source*,
//! *State*, *Cost*, *Invariants* and *Weak where*. In the family's `mod.rs`, add `mod my_policy;`
//! and one line to the list; in the README, its name to the table of policies. `aura list
//! policies`, the config parser, its error messages, the family's laws and the engine's tests with
//! random settings then have it.
//!
//! From another crate: implement the family's trait, and pass an [`Entry`] to [`Family::register`]
//! before configs are read. Its documentation has a whole policy as an example. [`entry`] reads and
//! documents parameters; [`slot_list`], [`cache::check_held`] and [`splitmix`] are what most cache
//! policies need.
//!
//! # Adding a family
//!
//! Write a folder with a trait, a `Build` type, `FAMILY` and `build`, and laws in `tests/laws/`.
//! List the family in [`FAMILIES`] and, if the engine uses it, its default in [`Defaults`].
//! Listings and the registry's laws follow from [`FAMILIES`].

pub mod entry;
pub mod facts;
pub mod mix;
pub mod referee;
pub mod slot_list;
pub mod splitmix;

mod blocked_bloom;
mod recursive;
mod sketch;

pub mod admission;
pub mod bound;
pub mod cache;
pub mod replay;
pub mod warming;

pub mod agent;
pub mod layout;
pub mod picker;

pub mod filter;
pub mod index;
pub mod tuner;

pub mod gc;
pub mod placement;
pub mod separation;

pub mod limiter;
pub mod stall;

pub mod self_tuner;

mod error;
mod families;
mod family;
mod spec;

pub use entry::{Entry, ParamDoc};
pub use error::{PolicyError, RegisterError};
pub use families::{Defaults, FAMILIES, defaults, families};
pub use family::{AnyFamily, Family, FamilyInfo, PolicyInfo};
pub use spec::PolicySpec;
