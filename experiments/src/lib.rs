//! The laboratory: one config is one question, and its answer comes with numbers, intervals and figures.
//!
//! ```text
//!   config ----> plan ----> run ----> trial ----> record        one trial: workload x engine x world
//!   (what)      (frozen)   (each      (the only      |
//!                           once)      measuring)    v
//!                                                metrics -> store -> compare -> plot, report
//!                                                (names)   (files)  (verdicts)
//! ```
//!
//! [`record`] is the seam: what a trial leaves behind, as plain data. All before it makes numbers, all after it reads
//! them, and nothing after it can change them.

pub mod config;
pub mod plan;

pub mod run;
pub mod trial;

pub mod record;

pub mod metrics;
pub mod recovery;
pub mod store;

pub mod compare;
pub mod stats;

pub mod plot;
pub mod report;

pub mod cache_sim;
pub mod index_bench;
pub mod index_inspect;
pub mod traces;

pub mod cli;
pub mod commands;
pub mod rows;

pub mod files;
mod metered;
pub mod packed;
mod progress;
