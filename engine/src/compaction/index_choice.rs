//! The question which index the next table gets.

use aura_policies::tuner::{IndexFacts, IndexReason, KindFacts};

use crate::error::{Error, Result};
use crate::index::IndexBuild;
use crate::metrics::{Event, EventKind, add};
use crate::state::Inner;

impl Inner {
    /// How the index of the next table of `level` is to be made.
    pub(crate) fn index_for(&self, level: usize, deepest: usize) -> Result<IndexBuild> {
        let configured = &self.config().table.index;
        let settings = |policy, spec| IndexBuild {
            policy,
            spec,
            gate: self.config().table.index_gate,
            clock: self.env.clock.clone(),
        };
        if !self.policies().tuner.is_active() {
            return Ok(settings(self.policies().index.clone(), configured.clone()));
        }
        let now = self.env.clock.now();
        let levels = self.index_book.levels(&self.view.load().version, now);
        let kinds: Vec<KindFacts> = levels
            .into_iter()
            .filter(|it| it.level == level)
            .map(|it| it.kind)
            .collect();
        let choice = self.policies().tuner.choose(&IndexFacts {
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
        add(
            &self.counters.mine().index_tuned,
            u64::from(choice.index != *configured),
        );
        if choice.reason != IndexReason::Configured {
            let kind = EventKind::Index {
                level,
                index: choice.index.to_string(),
                reason: choice.reason,
            };
            self.counters.event(Event {
                start_nanos: now,
                end_nanos: now,
                kind,
            });
        }
        Ok(settings(policy.into(), choice.index))
    }
}
