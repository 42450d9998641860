//! The laboratory: one config is one question, answered with numbers, intervals and figures.
//!
//! ```text
//!   config ----> plan ----> run ----> trial ----> record      one trial: workload x engine x world
//!   (what)      (frozen)   (each      (the only      |
//!                           once)      measuring)    v
//!                                                metrics -> store -> stats -> compare -> report
//!                                                (names)   (files)          (verdicts)  and plot
//! ```
//!
//! [`record`] is the seam: what a trial leaves behind, as plain data. Everything before it makes
//! numbers; everything after it reads them, and cannot change them.
//!
//! # Where to start
//!
//! - [`config`]: what a user writes; [`config::parse`] checks it.
//! - [`trial::run`]: one trial, from an empty database to a [`record::TrialResult`].
//! - [`metrics`]: every metric, one entry each.
//! - [`stats`] and [`compare`]: from metrics to a verdict.
//! - [`commands`]: the command `aura`, one file per command.
//!
//! [`cache_sim`] and [`index_bench`] run one family of policies alone, without an engine.
//!
//! # Example
//!
//! Two caches on a small workload, in simulation: two trials, and what their metrics say.
//!
//! ```
//! use aura_experiments::plan::Plan;
//! use aura_experiments::trial::{self, Databases};
//! use aura_experiments::{code, compare, config, metrics, store};
//!
//! let text = r#"
//! baseline = "lru"
//! seeds = 1
//! workload = { preset = "ycsb-c", records = 2_000, operations = 2_000, value = { bytes = 100 } }
//! engine = { memtable = "64KiB", cache = { size = "32KiB", shards = 1 } }
//!
//! [[variant]]
//! name = "lru"
//! engine.cache.eviction = "lru"
//!
//! [[variant]]
//! name = "sieve"
//! engine.cache.eviction = "sieve"
//!
//! [compare]
//! primary = ["cache.hit_ratio"]
//! "#;
//! let experiment = config::parse("two-caches.toml".as_ref(), text.to_owned(), &[])?;
//! let plan = Plan::new(&experiment, code::digest()?);
//! assert_eq!(plan.trials.len(), 2);
//!
//! let mut rows = Vec::new();
//! for planned in &plan.trials {
//!     // A simulated trial touches no file.
//!     let result = trial::run(planned, &experiment.name, &Databases::default())?;
//!     let metrics = metrics::derive(&result);
//!     let hit_ratio = metrics
//!         .iter()
//!         .find(|row| row.phase == "run" && row.metric == "cache.hit_ratio")
//!         .expect("the workload reads");
//!     assert!(hit_ratio.value > 0.0 && hit_ratio.value < 1.0);
//!     rows.extend(store::tidy(&result.manifest, &metrics));
//! }
//!
//! let settings = experiment.compare.against(&experiment.baseline);
//! let comparison = compare::compare(&rows, &settings)?;
//! let answer = compare::answer(&comparison, compare::Context::default());
//! assert!(answer.starts_with("On cache.hit_ratio, sieve is at "), "{answer}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod names;
mod nearest;
pub mod point;

pub mod files;
pub mod folders;
pub mod formats;

pub mod code;
pub mod config;
pub mod plan;
pub mod plan_file;
pub mod slice;

pub mod ab;
pub mod attempts;
pub mod launch;
pub mod live;
pub mod price;
pub mod run;
pub mod status;
pub mod trial;

pub mod record;

pub mod metrics;
pub mod store;

pub mod compare;
pub mod diff;
pub mod provenance;
pub mod regret;
pub mod stats;

pub mod papers;
pub mod plot;
pub mod report;
pub mod results;

pub mod cache_sim;
pub mod index_bench;
pub mod index_inspect;

pub mod agent_files;
pub mod compression;
pub mod key_files;
pub mod machine_profile;
pub mod optimise;
pub mod specs;
pub mod traces;
pub mod train;
pub mod tune;

pub mod endpoint;
pub mod top;

pub mod calibrate;
pub mod doctor;
pub mod fidelity;
pub mod ycsb;

pub mod commands;
pub mod exit;
mod parallel;
mod progress;

#[cfg(test)]
mod testing;
