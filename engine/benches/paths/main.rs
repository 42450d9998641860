//! Times an operation on each path: what the engine itself costs.
//!
//! ```text
//! cargo bench -p aura-engine --bench paths -- get/cached
//! ```
//!
//! Files are in memory unless a name says `page-cache` or `disk`; those are in the folder for
//! temporary files, which `TMPDIR` names. A benchmark's data is made when it first runs: a filter
//! saves the rest.

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

mod background;
mod memtables;
mod reads;
mod scans;
mod split;
mod store;
mod telemetry;
mod writes;

/// Short enough to run all of them now and then.
fn short() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(500))
}

criterion_group! {
    name = benches;
    config = short();
    targets =
        memtables::memtables,
        reads::by_eviction,
        reads::by_rows,
        reads::absent,
        reads::page_cache,
        reads::simulated,
        scans::scans,
        writes::puts,
        writes::batches,
        background::flushes,
        background::compactions,
        split::beside_one_tree,
        telemetry::timed,
        telemetry::reading
}
criterion_main!(benches);
