//! Tests of split databases: two engines under one log.
//!
//! A failure prints the seed; `AURA_SEED=<seed> cargo test -p aura-engine --test split` repeats it.

#[path = "../common/mod.rs"]
mod common;

mod atomicity;
mod crashes;
mod model;
mod recorded;
mod shape;
mod tales;
