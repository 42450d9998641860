//! Every decision AuraDB makes, as data in and a decision out.
//!
//! A *family* is a folder and a question; a *policy* is one file that answers it. Policies are pure: no file, clock,
//! thread or unseeded randomness is within reach, so a decision can be replayed, printed, tested and learned from.
//! The engine checks each decision and carries it out; a wrong one may cost time or space, never an answer.
//!
//! | family | question | how often it is asked |
//! |---|---|---|
//! | [`cache`] | who leaves the cache? | every cache access |
//! | [`admission`] | who enters the cache? | every cache miss |
//! | [`bound`] | what could the best cache have done? | once a whole trace, offline |
//! | [`warming`] | what does the cache keep when tables are rewritten? | once a block that is written |
//! | [`layout`] | how many runs may a level hold, and which merge is due? | after each flush and compaction |
//! | [`picker`] | which table of a full level moves down? | once a partial compaction |
//! | [`agent`] | should the layout change? | once a window of operations |
//! | [`index`] | where in this table is the key? | trained once a table, asked once a look-up |
//! | [`tuner`] | which index does the next table get? | when a table is begun |
//! | [`filter`] | can this table hold the key? | built once a table, asked once a look-up |
//! | [`separation`] | does this value go to the value log? | every write |
//! | [`placement`] | which queue of the value log does a value go to? | once a separated value |
//! | [`gc`] | which value file is collected next? | once a collection of the value log |

pub mod entry;
pub mod facts;
pub mod slot_list;

mod blocked_bloom;
mod sketch;
mod splitmix;

pub mod admission;
pub mod bound;
pub mod cache;
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

mod error;
mod families;
mod family;
mod spec;

pub use entry::{Entry, ParamDoc};
pub use error::{PolicyError, RegisterError};
pub use families::{Defaults, FAMILIES, defaults, families};
pub use family::{AnyFamily, Family, FamilyInfo, PolicyInfo};
pub use spec::PolicySpec;
