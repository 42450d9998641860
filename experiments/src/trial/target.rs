//! What trials run on: AuraDB, or another engine behind the same trait.
//!
//! To add one, implement [`Target`] in a crate of its own, list its [`TargetDef`] in [`Targets`],
//! and hand these to [`crate::commands::main_with`]: the result is the command `aura` with one
//! target more. Clients are compiled for each target, so that no operation goes through a pointer.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aura_engine::env::Env;
use aura_engine::{
    AuraEngine, CacheObserver, Counts, Engine, EngineBuilder, EngineConfig, Event, Health, Metrics,
    Reading, Result, Telemetry,
};
use serde_json::Value;

use super::machine::Machine;
use super::{Measured, Start, TrialError, measure};
use crate::config::{KnownTargets, TargetRules, TrialConfig, UnknownTarget};
use crate::record::{Measures, World};

/// An engine that trials can run on, with what a trial asks it beside its data.
///
/// Its calls may block: each client of a trial has a thread then.
pub trait Target: Engine + Clone {
    /// Opens a database: an empty one, or one that was closed.
    ///
    /// # Errors
    /// Those of the engine.
    fn open(opening: Opening<'_>) -> impl Future<Output = Result<Self>> + Send;

    /// A copy of its counters and of its state. What it does not know is zero here, and not among
    /// its [`Measures`].
    fn metrics(&self) -> Metrics;

    /// Its counters alone: clients ask for them several times for each point of a series.
    fn counts(&self) -> Counts {
        self.metrics().counts
    }

    /// Waits until no background work is left. What is in memory only is not flushed.
    ///
    /// # Errors
    /// The failure that stopped background work.
    fn wait_idle(&self) -> impl Future<Output = Result<()>> + Send;

    /// Empties its caches: what is read next comes from files.
    fn drop_cache(&self);

    /// Takes the events since the last call.
    fn take_events(&self) -> Vec<Event> {
        Vec::new()
    }

    /// What it says of itself, for who looks on; `None` if it says nothing.
    fn vitals(&self) -> Option<(Reading, Health)> {
        None
    }

    /// What its compaction agent has learned; `None` if nothing that lasts.
    fn learned(&self) -> impl Future<Output = Option<Value>> + Send {
        std::future::ready(None)
    }

    /// Reads everything that can be reached. The database is at rest meanwhile.
    ///
    /// # Errors
    /// Those of the engine. Damage is in the report.
    fn audit(&self) -> impl Future<Output = Result<Audit>> + Send;
}

/// Where and how a target is opened.
pub struct Opening<'a> {
    /// Files, clock and tasks of the trial's world.
    pub env: Env,
    /// The directory of the database, which is empty.
    pub directory: &'a Path,
    /// The trial's settings.
    pub config: &'a TrialConfig,
    /// The engine's settings, with the trial's seed in them.
    pub settings: EngineConfig,
    /// The settings of each side, if it is a split database with two sets of them.
    pub sides: Option<[EngineConfig; 2]>,
    /// What is notified of look-ups in the cache, if they are recorded.
    pub observer: Option<Arc<dyn CacheObserver>>,
    /// Whether somebody looks at the engine's metrics while the trial runs.
    pub watched: bool,
}

/// One of this number of operations of a kind is timed while somebody looks on.
const TIMED_EVERY: u32 = 61;

/// The least length of a window that the health of a simulated engine is judged by. Most of its
/// trials take seconds of its time, and the usual windows would judge nothing.
const HEALTH_WINDOW: Duration = Duration::from_millis(100);

/// What reading a whole database found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Bytes of keys and values that can be reached.
    pub reachable_bytes: u64,
    /// Bytes of its files on disk.
    pub disk_bytes: u64,
    /// What is damaged.
    pub problems: Vec<String>,
}

impl Target for AuraEngine {
    async fn open(opening: Opening<'_>) -> Result<Self> {
        // Every event of a phase is recorded, whatever their number.
        let mut telemetry = Telemetry {
            events: usize::MAX,
            timed_every: if opening.watched { TIMED_EVERY } else { 0 },
            ..Telemetry::default()
        };
        if opening.config.world.kind == World::Simulated {
            telemetry.health_window = HEALTH_WINDOW;
        }
        let builder = EngineBuilder::new(opening.env, opening.directory)
            .config(opening.settings)
            .telemetry(telemetry);
        let builder = match opening.observer {
            Some(observer) => builder.cache_observer(observer, opening.config.record.cache),
            None => builder,
        };
        builder.open().await
    }

    fn metrics(&self) -> Metrics {
        Self::metrics(self)
    }

    async fn wait_idle(&self) -> Result<()> {
        Self::wait_idle(self).await
    }

    fn drop_cache(&self) {
        Self::drop_cache(self);
    }

    fn take_events(&self) -> Vec<Event> {
        Self::take_events(self)
    }

    fn vitals(&self) -> Option<(Reading, Health)> {
        Some((self.reading(), self.health()))
    }

    async fn learned(&self) -> Option<Value> {
        Self::learned(self).await
    }

    async fn audit(&self) -> Result<Audit> {
        let report = self.verify().await?;
        Ok(Audit {
            reachable_bytes: report.reachable_bytes,
            disk_bytes: report.disk_bytes,
            problems: report.problems,
        })
    }
}

/// Runs a trial on a target.
type Run = fn(&Machine, &TrialConfig, Start<'_>) -> Result<Measured, TrialError>;

/// A target by its name in configs, with what runs trials on it.
#[derive(Clone, Copy, Debug)]
pub struct TargetDef {
    /// What configs can say of it.
    pub rules: TargetRules,
    /// What its counters give.
    pub measures: Measures,
    run: Run,
}

impl TargetDef {
    /// The target `T`.
    pub const fn of<T: Target>(rules: TargetRules, measures: Measures) -> Self {
        Self {
            rules,
            measures,
            run: measure::<T>,
        }
    }

    pub(super) fn run(
        &self,
        machine: &Machine,
        config: &TrialConfig,
        start: Start<'_>,
    ) -> Result<Measured, TrialError> {
        (self.run)(machine, config, start)
    }
}

static AURA: TargetDef = TargetDef::of::<AuraEngine>(
    TargetRules::AURA,
    Measures {
        metrics: None,
        writes_of_process: false,
    },
);

/// The targets of a command: AuraDB, and those that it adds.
#[derive(Clone, Copy, Debug)]
pub struct Targets {
    /// The name of the command.
    program: &'static str,
    further: &'static [TargetDef],
}

impl Default for Targets {
    /// AuraDB alone.
    fn default() -> Self {
        Self {
            program: "aura",
            further: &[],
        }
    }
}

impl Targets {
    /// The targets of the command `program`: AuraDB and `further` ones.
    pub const fn new(program: &'static str, further: &'static [TargetDef]) -> Self {
        Self { program, further }
    }

    /// Iterates over all of them, AuraDB first.
    pub fn all(&self) -> impl Iterator<Item = &'static TargetDef> + use<> {
        std::iter::once(&AURA).chain(self.further)
    }

    /// What configs can say of them.
    pub fn known(&self) -> KnownTargets {
        let rules = self.all().map(|target| &target.rules);
        KnownTargets::new(self.program, rules.collect())
    }

    /// Finds a target by its name.
    ///
    /// # Errors
    /// [`UnknownTarget`] with the targets that there are.
    pub fn find(&self, name: &str) -> Result<&'static TargetDef, UnknownTarget> {
        let found = self.all().find(|target| target.rules.name == name);
        found.ok_or_else(|| self.known().unknown(name))
    }
}
