//! The table of all families, and what follows from it: listings, and the engine's defaults.

use crate::family::{AnyFamily, FamilyInfo};
use crate::spec::PolicySpec;
use crate::{
    admission, agent, bound, cache, filter, gc, index, layout, limiter, picker, placement,
    self_tuner, separation, stall, tuner, warming,
};

/// Every policy family.
///
/// ```
/// use aura_policies::{FAMILIES, PolicySpec};
///
/// let cache = FAMILIES.iter().find(|family| family.name() == "cache").expect("the family");
/// assert_eq!(cache.default_spec(), PolicySpec::named("lru"));
/// for family in FAMILIES {
///     assert_eq!(family.check(&family.default_spec()), Ok(()));
/// }
/// ```
pub static FAMILIES: &[&dyn AnyFamily] = &[
    &cache::FAMILY,
    &admission::FAMILY,
    &bound::FAMILY,
    &warming::FAMILY,
    &layout::FAMILY,
    &picker::FAMILY,
    &agent::FAMILY,
    &index::FAMILY,
    &tuner::FAMILY,
    &filter::FAMILY,
    &separation::FAMILY,
    &placement::FAMILY,
    &gc::FAMILY,
    &stall::FAMILY,
    &limiter::FAMILY,
    &self_tuner::FAMILY,
];

/// Every family with its policies, for listings.
///
/// ```
/// for family in aura_policies::families() {
///     println!("{}: {}", family.name, family.question);
///     for policy in family.policies {
///         println!("    {:16} {}", policy.name, policy.about);
///     }
/// }
/// ```
pub fn families() -> Vec<FamilyInfo> {
    FAMILIES.iter().map(|family| family.info()).collect()
}

/// The default policy of each family that the engine uses.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// Cache eviction.
    pub eviction: PolicySpec,
    /// Cache admission.
    pub admission: PolicySpec,
    /// Cache warming.
    pub warming: PolicySpec,
    /// Compaction layout.
    pub layout: PolicySpec,
    /// Compaction picking.
    pub picker: PolicySpec,
    /// Compaction agent.
    pub agent: PolicySpec,
    /// Table index.
    pub index: PolicySpec,
    /// Index tuning.
    pub tuner: PolicySpec,
    /// Table filter.
    pub filter: PolicySpec,
    /// Key-value separation.
    pub separation: PolicySpec,
    /// Placement in the value log.
    pub placement: PolicySpec,
    /// Garbage collection of the value log.
    pub gc: PolicySpec,
    /// Stall control.
    pub stall: PolicySpec,
    /// Limit of the background's I/O.
    pub limiter: PolicySpec,
    /// Self-tuning of the running engine.
    pub self_tuner: PolicySpec,
}

/// The engine's default policies; the engine itself names none.
///
/// ```
/// let defaults = aura_policies::defaults();
/// assert_eq!(defaults.layout.policy, "leveled");
/// assert_eq!(defaults.layout, aura_policies::layout::FAMILY.default_spec());
/// ```
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
        stall: stall::FAMILY.default_spec(),
        limiter: limiter::FAMILY.default_spec(),
        self_tuner: self_tuner::FAMILY.default_spec(),
    }
}
