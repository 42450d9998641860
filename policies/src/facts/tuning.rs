//! What a self-tuner sees of a running engine beside a window of operations: its memory, its knobs
//! with the operator's ranges, and what became of its last proposal.

use serde::Serialize;

use super::WindowStats;

/// A setting that a self-tuner may turn, where the operator gives it a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Knob {
    /// Bytes of a memtable at which it is sealed.
    #[serde(rename = "memtable")]
    Memtable,
    /// Bytes of the cache.
    #[serde(rename = "cache.size")]
    CacheSize,
    /// Bits a key in the filters of tables that are written from now on.
    #[serde(rename = "filter-bits")]
    FilterBits,
    /// Runs in level 0 that start a merge.
    #[serde(rename = "level0-trigger")]
    Level0Trigger,
    /// Bytes a second that the background may read and write; 0 is no limit.
    #[serde(rename = "io_limit")]
    IoLimit,
}

impl Knob {
    /// Every knob.
    pub const ALL: [Self; 5] = [
        Self::Memtable,
        Self::CacheSize,
        Self::FilterBits,
        Self::Level0Trigger,
        Self::IoLimit,
    ];

    /// Its name in configs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memtable => "memtable",
            Self::CacheSize => "cache.size",
            Self::FilterBits => "filter-bits",
            Self::Level0Trigger => "level0-trigger",
            Self::IoLimit => "io_limit",
        }
    }

    /// Whether its values are bytes of the memory that memtables and cache share.
    pub fn is_memory(self) -> bool {
        matches!(self, Self::Memtable | Self::CacheSize)
    }
}

/// A knob with a range, as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct KnobFacts {
    /// The knob.
    pub knob: Knob,
    /// Its value.
    pub value: f64,
    /// The least value that the operator allows.
    pub least: f64,
    /// The largest value that the operator allows.
    pub most: f64,
}

/// What look-ups would have found in caches of other sizes, as a sample of the objects says.
///
/// The sizes are those of a cache that evicts the object least recently used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct GhostFacts {
    /// The share of objects that is sampled, above 0 and at most 1.
    pub share: f64,
    /// Bytes by which the smaller cache is smaller, and the larger one larger.
    pub step_bytes: u64,
    /// Look-ups of sampled objects in the window.
    pub asked: u64,
    /// Those that the smaller cache would have answered.
    pub hits_smaller: u64,
    /// Those that a cache of the size in force would have answered.
    pub hits: u64,
    /// Those that the larger cache would have answered.
    pub hits_larger: u64,
}

/// What the engine's memory holds at a window's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct MemoryFacts {
    /// The most bytes that memtables and cache may have by their settings, together.
    pub total_bytes: u64,
    /// Memtables that there may be at the same time: each takes the bytes of the setting.
    pub memtables: u64,
    /// Bytes of the memtables.
    pub memtable_bytes: u64,
    /// Bytes that the cache may use: what is pinned is part of it.
    pub cache_size: u64,
    /// Bytes that it uses.
    pub cache_used: u64,
    /// Bytes of the filters of all tables.
    pub filter_bytes: u64,
    /// Entries of all tables, tombstones included.
    pub entries: u64,
    /// Bytes of all tables.
    pub data_bytes: u64,
    /// The ghost cache; None unless the self-tuner asks for it.
    pub ghost: Option<GhostFacts>,
}

/// Whether a proposal can be carried out after this window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Yes.
    #[default]
    Free,
    /// No: it is not known yet what a window costs as things are.
    Estimating,
    /// No: a change is being watched.
    Watching,
    /// No: after too many bad windows the settings at opening stay for a while.
    Resting,
    /// No: the operator holds all knobs.
    Held,
}

/// What became of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It was recorded, and not carried out: the engine only takes proposals.
    Proposed,
    /// It was refused.
    Refused,
    /// It holds already.
    Unchanged,
    /// It was carried out, and stays.
    Kept,
    /// It was carried out, and taken back: it cost more than it may.
    Undone,
    /// It was carried out, and taken back unjudged: the workload or an operator changed meanwhile.
    Abandoned,
}

/// A verdict with the costs of an operation that it rests on, in the referee's currency.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Judgement {
    /// What became of the proposal.
    pub verdict: Verdict,
    /// The cost before the change; 0 if it was not carried out.
    pub before: f64,
    /// The cost with it; 0 if it was not carried out.
    pub after: f64,
}

/// What a self-tuner is shown after a window of operations.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TuningFacts {
    /// What happened in the window.
    pub window: WindowStats,
    /// Nanoseconds that background jobs waited in it for the I/O limit, summed over jobs.
    pub limiter_wait_nanos: u64,
    /// The memory at its end.
    pub memory: MemoryFacts,
    /// The knobs that have a range, in the order of [`Knob::ALL`].
    pub knobs: Vec<KnobFacts>,
    /// Whether a proposal can be carried out now.
    pub standing: Standing,
    /// What became of the last proposal, once it is known: shown once.
    pub judged: Option<Judgement>,
}

impl TuningFacts {
    /// The knob, if it has a range.
    pub fn knob(&self, knob: Knob) -> Option<&KnobFacts> {
        self.knobs.iter().find(|facts| facts.knob == knob)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_knob_is_written_by_its_name() {
        for knob in Knob::ALL {
            let written = serde_json::to_value(knob).expect("plain data");
            assert_eq!(written, knob.name());
        }
    }
}
