//! The question which index the next table gets.

use aura_policies::tuner::{IndexFacts, IndexReason, KindFacts};

use crate::error::{Error, Result};
use crate::index::IndexBuild;
use crate::metrics::{Event, EventKind, add};
use crate::state::{Core, Tree};

/// How the index of the next table of `level` is made, in a tree whose deepest level is `deepest`.
/// An active tuner chooses the index; otherwise it is the one that is configured.
///
/// # Errors
/// [`Error::Policy`] if the tuner names an index that cannot be built.
pub(super) fn index_for(
    core: &Core,
    tree: &Tree,
    level: usize,
    deepest: usize,
) -> Result<IndexBuild> {
    let config = core.config();
    let configured = config.table.at(level).index;
    let build = |policy, spec| IndexBuild {
        policy,
        spec,
        gate: config.table.index_gate,
        clock: core.env().clock.clone(),
    };
    let policies = core.policies();
    if !policies.tuner.is_active() {
        return Ok(build(
            policies.tables(level).index.clone(),
            configured.clone(),
        ));
    }
    let now = core.env().clock.now();
    let levels = core.index_book().levels(&tree.load().version, now);
    let kinds: Vec<KindFacts> = levels
        .into_iter()
        .filter(|it| it.level == level)
        .map(|it| it.kind)
        .collect();
    let choice = policies.tuner.choose(&IndexFacts {
        level,
        deepest,
        configured,
        kinds: &kinds,
    });
    let named = |source| Error::Policy {
        key: "table.index_tuner".to_owned(),
        source,
    };
    let policy = aura_policies::index::build(&choice.index).map_err(named)?;
    let is_tuned = choice.index != *configured;
    add(&core.counters().mine().index_tuned, u64::from(is_tuned));
    if choice.reason != IndexReason::Configured {
        core.counters().event(Event {
            start_nanos: now,
            end_nanos: now,
            kind: EventKind::Index {
                level,
                index: choice.index.to_string(),
                reason: choice.reason,
            },
        });
    }
    Ok(build(policy.into(), choice.index))
}
