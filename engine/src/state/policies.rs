//! The policies of an engine.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aura_policies::agent::Agent;
use aura_policies::filter::FilterPolicy;
use aura_policies::gc::GcPolicy;
use aura_policies::index::IndexPolicy;
use aura_policies::layout::Layout;
use aura_policies::picker::{Asks, Picker};
use aura_policies::placement::Placement;
use aura_policies::self_tuner::SelfTuner;
use aura_policies::separation::Separation;
use aura_policies::stall::StallControl;
use aura_policies::tuner::IndexTuner;
use aura_policies::warming::Warming;
use aura_policies::{PolicyError, PolicySpec};

use crate::config::{EngineConfig, LevelTables, TableConfig};
use crate::error::{Error, Result};
use crate::limiter::SharedControl;

/// The policies of an engine. Clones share them.
#[derive(Clone)]
pub(crate) struct Policies {
    pub(crate) layout: Arc<dyn Layout>,
    pub(crate) picker: Arc<Mutex<Box<dyn Picker>>>,
    /// What `picker` was built from: the settings, unless an agent has replaced it.
    pub(crate) picker_spec: PolicySpec,
    /// What the picker wants to know of tables.
    pub(crate) picker_asks: Asks,
    pub(crate) agent: Arc<tokio::sync::Mutex<Box<dyn Agent>>>,
    pub(crate) agent_is_active: bool,
    pub(crate) self_tuner: Arc<tokio::sync::Mutex<Box<dyn SelfTuner>>>,
    pub(crate) self_tuner_is_active: bool,
    pub(crate) self_tuner_asks_for_ghost: bool,
    tables: Arc<[TablePolicies]>,
    /// Filters that an agent has set for the tables of a level.
    filters: BTreeMap<usize, OwnFilter>,
    pub(crate) tuner: Arc<dyn IndexTuner>,
    pub(crate) separation: Arc<dyn Separation>,
    pub(crate) placement: Arc<dyn Placement>,
    pub(crate) gc: Arc<Mutex<Box<dyn GcPolicy>>>,
    pub(crate) warming: Arc<dyn Warming>,
    pub(crate) stall: Arc<dyn StallControl>,
    pub(crate) limiter: SharedControl,
}

/// A filter that an agent has set.
#[derive(Clone)]
pub(crate) struct OwnFilter {
    /// What it was built from.
    pub(crate) spec: PolicySpec,
    pub(crate) policy: Arc<dyn FilterPolicy>,
}

/// The policies of tables from one level on.
pub(crate) struct TablePolicies {
    from: u32,
    pub(crate) filter: Arc<dyn FilterPolicy>,
    pub(crate) index: Arc<dyn IndexPolicy>,
}

impl TablePolicies {
    /// Builds those of every level at which they change, the shallowest first.
    fn build_all(table: &TableConfig) -> Result<Arc<[Self]>> {
        let own = table.levels.keys().copied().filter(|from| *from > 0);
        std::iter::once(0)
            .chain(own)
            .map(|from| {
                let named = |name| {
                    move |source| Error::Policy {
                        key: match from {
                            0 => format!("table.{name}"),
                            _ => format!("table.levels.{from}.{name}"),
                        },
                        source,
                    }
                };
                let LevelTables { filter, index, .. } = table.at(from as usize);
                let filter = aura_policies::filter::build(filter).map_err(named("filter"))?;
                let index = aura_policies::index::build(index).map_err(named("index"))?;
                Ok(Self {
                    from,
                    filter: filter.into(),
                    index: index.into(),
                })
            })
            .collect()
    }
}

impl Policies {
    /// The policies of the tables of `level`.
    pub(crate) fn tables(&self, level: usize) -> &TablePolicies {
        let after = self.tables.partition_point(|it| it.from as usize <= level);
        // The first ones hold from level 0 on.
        &self.tables[after - 1]
    }

    /// The filter that an agent has set for the tables of `level`.
    pub(crate) fn own_filter(&self, level: usize) -> Option<&OwnFilter> {
        self.filters.get(&level)
    }

    /// Point reads after which the picker looks again which were in vain; None if it does not want
    /// to know.
    pub(super) fn read_window(&self, config: &EngineConfig) -> Option<u64> {
        (self.picker_asks == Asks::Misses).then_some(config.compaction.agent_window)
    }

    /// These policies with another picker.
    ///
    /// # Errors
    /// [`Error::Policy`] if it cannot be built.
    pub(crate) fn with_picker(&self, spec: &PolicySpec) -> Result<Self> {
        let picker = aura_policies::picker::build(spec).map_err(of_agent)?;
        Ok(Self {
            picker_asks: picker.asks(),
            picker: Arc::new(Mutex::new(picker)),
            picker_spec: spec.clone(),
            ..self.clone()
        })
    }

    /// These policies with another filter for the tables of `level`.
    ///
    /// # Errors
    /// [`Error::Policy`] if it cannot be built.
    pub(crate) fn with_filter(&self, level: usize, spec: PolicySpec) -> Result<Self> {
        let policy = aura_policies::filter::build(&spec)
            .map_err(of_agent)?
            .into();
        let mut policies = self.clone();
        policies.filters.insert(level, OwnFilter { spec, policy });
        Ok(policies)
    }

    /// Builds every policy that `config` names.
    pub(crate) fn build(config: &EngineConfig) -> Result<Self> {
        use aura_policies as p;
        let named = |key: &'static str| {
            move |source| Error::Policy {
                key: key.to_owned(),
                source,
            }
        };
        let compaction = &config.compaction;
        let table = &config.table;
        let value_log = &config.value_log;
        let agent =
            p::agent::build(&compaction.agent, config.seed).map_err(named("compaction.agent"))?;
        let tuning = config.self_tuning.as_ref();
        let self_tuner = tuning.map_or_else(|| p::defaults().self_tuner, |it| it.policy.clone());
        let self_tuner =
            p::self_tuner::build(&self_tuner, config.seed).map_err(named("self_tuning.policy"))?;
        let stall = compaction.stall.clone();
        let stall = stall.unwrap_or_else(|| p::defaults().stall);
        let limiter = config.io_limiter.clone();
        let limiter = limiter.unwrap_or_else(|| p::defaults().limiter);
        let limiter = p::limiter::build(&limiter).map_err(named("io_limiter"))?;
        let picker = p::picker::build(&compaction.picker).map_err(named("compaction.picker"))?;
        let gc = p::gc::build(&value_log.gc).map_err(named("value_log.gc"))?;
        Ok(Self {
            layout: p::layout::build(&compaction.layout)
                .map_err(named("compaction.layout"))?
                .into(),
            picker_asks: picker.asks(),
            picker: Arc::new(Mutex::new(picker)),
            picker_spec: compaction.picker.clone(),
            agent_is_active: agent.is_active(),
            agent: Arc::new(tokio::sync::Mutex::new(agent)),
            self_tuner_is_active: self_tuner.is_active(),
            self_tuner_asks_for_ghost: self_tuner.asks_for_ghost(),
            self_tuner: Arc::new(tokio::sync::Mutex::new(self_tuner)),
            tables: TablePolicies::build_all(table)?,
            filters: BTreeMap::new(),
            tuner: p::tuner::build(&table.index_tuner)
                .map_err(named("table.index_tuner"))?
                .into(),
            separation: p::separation::build(&value_log.separation)
                .map_err(named("value_log.separation"))?
                .into(),
            placement: p::placement::build(&value_log.placement)
                .map_err(named("value_log.placement"))?
                .into(),
            gc: Arc::new(Mutex::new(gc)),
            warming: p::warming::build(&config.cache.warming)
                .map_err(named("cache.warming"))?
                .into(),
            stall: p::stall::build(&stall)
                .map_err(named("compaction.stall"))?
                .into(),
            limiter: Arc::new(Mutex::new(limiter)),
        })
    }

    /// The policies of `next`, where these are those of `config`: a policy that both name alike
    /// stays, with what it has learned.
    pub(super) fn changed(&self, config: &EngineConfig, next: &EngineConfig) -> Result<Self> {
        let mut policies = Self::build(next)?;
        policies.agent = self.agent.clone();
        policies.self_tuner = self.self_tuner.clone();
        policies.tuner = self.tuner.clone();
        policies.filters = self.filters.clone();
        if config.compaction.picker == next.compaction.picker {
            policies.picker = self.picker.clone();
            policies.picker_spec = self.picker_spec.clone();
            policies.picker_asks = self.picker_asks;
        }
        if config.value_log.placement == next.value_log.placement {
            policies.placement = self.placement.clone();
        }
        if config.value_log.gc == next.value_log.gc {
            policies.gc = self.gc.clone();
        }
        if config.cache.warming == next.cache.warming {
            policies.warming = self.warming.clone();
        }
        if config.compaction.stall == next.compaction.stall {
            policies.stall = self.stall.clone();
        }
        if config.io_limiter == next.io_limiter {
            policies.limiter = self.limiter.clone();
        }
        Ok(policies)
    }
}

/// The error of a policy that an agent asks for.
fn of_agent(source: PolicyError) -> Error {
    Error::Policy {
        key: "compaction.agent".to_owned(),
        source,
    }
}
