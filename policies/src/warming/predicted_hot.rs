//! Predicted hot: a compaction's output block enters if the input blocks that its key range
//! overlaps were held and hit.
//!
//! Source: in the spirit of Leaper (Yang et al., VLDB 2020). Leaper splits the keys into ranges,
//! keeps read and write rates of each, predicts with gradient-boosted trees which ranges are hot in
//! the next interval, and prefetches the output blocks that overlap a hot range and were held. Here
//! the prediction is persistence: what the cache holds and the workload has hit is hot, and stays
//! hot. There are no key ranges to tune, no training and no clock; the overlap is exact, block by
//! block. Flushed blocks have no input blocks and never enter.
//! State: none.
//! Cost: one cache look-up for each input block, and one comparison for each output block.
//! Invariants: a block that overlaps no held input block does not enter; a larger share only
//! refuses more blocks. A dry run makes the same decisions but lets no block enter: it is the
//! control that separates the cost of predicting from its gain.
//! Weak where: the hot set moves faster than compactions come; a scan has just filled the cache
//! (`hits` guards against that, since a scanned block is held but was not hit).

use std::ops::Bound::{Excluded, Included};

use serde::{Deserialize, Serialize};

use super::{Asks, Build, OutputBlock, Warming};
use crate::entry::{Entry, describe, in_range, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "predicted-hot",
    about: "an output block enters if what it replaces was held and hit (after Leaper, VLDB 2020)",
    params: describe::<Params>,
    build: |spec| {
        let params: Params = params(spec)?;
        in_range(spec, "share", params.share, (Excluded(0.0), Included(1.0)))?;
        Ok(Box::new(PredictedHot { params }))
    },
};

#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// The part of the overlapped input bytes that must be held (above 0, at most 1).
    share: f64,
    /// Hits that the held blocks must have had together.
    hits: u64,
    /// Predict, but let no block enter.
    dry_run: bool,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            share: 0.5,
            hits: 1,
            dry_run: false,
        }
    }
}

struct PredictedHot {
    params: Params,
}

impl Warming for PredictedHot {
    fn asks(&self) -> Asks {
        Asks::Overlaps
    }

    fn warms(&self, block: &OutputBlock) -> bool {
        let held = block.resident_bytes as f64 >= self.params.share * block.overlapped_bytes as f64;
        let hot = block.resident_bytes > 0 && held && block.hits >= self.params.hits;
        hot && !self.params.dry_run
    }
}
