//! Settings found by search.
//!
//! ```text
//!   config --> space, goal --> search: ask a batch --> trials --> outcomes --> ask ...
//!                                                        (run, each once, same seeds)
//!   best point and baseline --> trials under fresh seeds --> compare --> verdict
//! ```
//!
//! Every point is an ordinary planned trial under every seed of the search, stored as other trials
//! are: an interrupted search goes on where it ended, and a second search of another method finds
//! the trials of the first. The best of many measured points looks better than it is, so the winner
//! is measured once more under seeds that it was not chosen by.
//!
//! This room is the one above [`optimise`](crate::optimise) that runs trials. It takes what
//! [`Tuning`](crate::config::Tuning) says of a config, makes experiments of points
//! ([`experiments`]), and has them planned, run and compared like any other. `config` knows nothing
//! of it, and only `aura tune` calls it.

pub mod experiments;
pub mod figures;
pub mod importance;
pub mod outputs;
mod price;
pub mod session;
pub mod verdict;
