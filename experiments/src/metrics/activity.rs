//! How one sees that a policy did something: for each family, the metrics that count its acting.
//!
//! A variant differs from the baseline by its policies. If none of what these count happened on
//! either side, the comparison is one of nothing with nothing, and says so.

/// A family of policies, and what its acting is counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activity {
    /// The family's name.
    pub family: &'static str,
    /// The metrics; any of them above zero is acting. None: the family has no part in an engine.
    pub counted_by: &'static [&'static str],
    /// Without it, what did not happen.
    pub idle: &'static str,
}

const fn activity(
    family: &'static str,
    counted_by: &'static [&'static str],
    idle: &'static str,
) -> Activity {
    Activity {
        family,
        counted_by,
        idle,
    }
}

/// Every family.
pub const ACTIVITIES: &[Activity] = &[
    activity("cache", &["cache.evictions"], "nothing was evicted"),
    activity(
        "admission",
        &["cache.rejected"],
        "nothing was kept out of the cache",
    ),
    activity("bound", &[], "it is no policy of an engine"),
    activity(
        "warming",
        &["cache.warmed_blocks", "cache.dead_blocks"],
        "no block was warmed, and none of a dead table was dropped",
    ),
    activity(
        "layout",
        &["compaction.count", "compaction.moves"],
        "nothing was compacted",
    ),
    activity("picker", &["compaction.picks"], "no table was picked"),
    activity("agent", &["agent.actions"], "no action was carried out"),
    activity(
        "index",
        &["index.model_tables"],
        "every table is served by fence pointers",
    ),
    activity("tuner", &["index.tuned"], "no table got another index"),
    activity("filter", &["filter.probes"], "no filter was asked"),
    activity(
        "separation",
        &["value_log.write_bytes"],
        "no value was separated",
    ),
    activity(
        "placement",
        &["value_log.write_bytes"],
        "no value was separated",
    ),
    activity("gc", &["gc.count"], "nothing was collected"),
    activity("stall", &["stall.count"], "no writer waited"),
    activity(
        "limiter",
        &["limiter.wait_ratio"],
        "no background work waited for the limit",
    ),
    activity(
        "self-tuner",
        &["self_tuning.applied"],
        "no change of settings was carried out",
    ),
];

/// Finds how a family's acting is counted.
pub fn of_family(family: &str) -> Option<&'static Activity> {
    ACTIVITIES.iter().find(|activity| activity.family == family)
}
