//! The list of families, and the defaults that the engine starts from.

use crate::entry::{FamilyInfo, PolicySpec};
use crate::{
    admission, agent, bound, cache, filter, gc, index, layout, picker, placement, separation,
    tuner, warming,
};

/// The policy that each family uses where a config says nothing.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// Cache eviction.
    pub eviction: PolicySpec,
    /// Cache admission.
    pub admission: PolicySpec,
    /// What the cache keeps when tables are rewritten.
    pub warming: PolicySpec,
    /// Compaction layout.
    pub layout: PolicySpec,
    /// Compaction file picking.
    pub picker: PolicySpec,
    /// Compaction agent.
    pub agent: PolicySpec,
    /// Table index.
    pub index: PolicySpec,
    /// Index tuning.
    pub tuner: PolicySpec,
    /// Table filter.
    pub filter: PolicySpec,
    /// Value separation.
    pub separation: PolicySpec,
    /// Placement in the value log.
    pub placement: PolicySpec,
    /// Garbage collection of the value log.
    pub gc: PolicySpec,
}

/// The defaults of every family; the engine names no policy itself.
pub fn defaults() -> Defaults {
    Defaults {
        eviction: cache::FAMILY.default_spec(),
        admission: admission::FAMILY.default_spec(),
        warming: warming::FAMILY.default_spec(),
        layout: layout::FAMILY.default_spec(),
        picker: picker::FAMILY.default_spec(),
        agent: agent::FAMILY.default_spec(),
        index: index::FAMILY.default_spec(),
        tuner: tuner::FAMILY.default_spec(),
        filter: filter::FAMILY.default_spec(),
        separation: separation::FAMILY.default_spec(),
        placement: placement::FAMILY.default_spec(),
        gc: gc::FAMILY.default_spec(),
    }
}

/// Every family with its policies, for listings.
pub fn families() -> Vec<FamilyInfo> {
    vec![
        cache::FAMILY.info(),
        admission::FAMILY.info(),
        bound::FAMILY.info(),
        warming::FAMILY.info(),
        layout::FAMILY.info(),
        picker::FAMILY.info(),
        agent::FAMILY.info(),
        index::FAMILY.info(),
        tuner::FAMILY.info(),
        filter::FAMILY.info(),
        separation::FAMILY.info(),
        placement::FAMILY.info(),
        gc::FAMILY.info(),
    ]
}
