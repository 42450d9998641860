//! One trial: a new world, a new database, the load, the phases, and what was measured.
//!
//! ```text
//!   load --> settle --> warm-up --> phase --> phase ... --> drain --> space --> close
//!   clients  wait       clients     clients                 flush     every reachable
//!            until idle                                     and wait  value is read
//!                                                           until idle
//!   |------------------------------- whole ---------------------------|
//! ```
//!
//! Trials that share a load begin behind it, from a copy of the loaded database.
//!
//! A phase may be a step: a window without clients, in which the trial waits, flushes, compacts or
//! drops caches. A phase with a duration ends its clients by the clock, and one with roles has
//! clients of several kinds.
//!
//! Each window begins with the state in which the one before ended: nothing that the engine does is
//! in no window. The drain pays what the clients left behind, so that no cost is put off beyond the
//! trial.
//!
//! A read that finds nothing for a key that must be there, a value that was never written for its
//! key, or a value of a key that was never written ends the trial: its numbers would mean nothing.
//!
//! Time is the world's. In a simulation nothing but config and seed influences what is measured.

mod cache_recorder;
mod client;
mod contents;
mod host;
mod live;
mod live_split;
mod machine;
mod operation_recorder;
mod pulse;
mod series;
mod shared_load;
mod split_target;
#[cfg(test)]
mod steady;
mod target;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aura_engine::env::Env;
use aura_engine::env::sim::SimError;
use aura_engine::{EngineConfig, Event, EventKind};
use aura_workloads::keyset::FileKeys;
use aura_workloads::{Acknowledged, Inputs, OpKind, Phase, PhaseKind, Seed, Step, Workload, names};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::agent_files::{self, AgentFileError};
use crate::code;
use crate::compression;
use crate::config::{TrialConfig, UnknownTarget};
use crate::files::{self, FileError};
use crate::key_files::{self, KeyFileError};
use crate::plan::{PlannedTrial, VERSION};
use crate::record::{
    Boundary, CacheTrace, FileIo, KeyFile, Manifest, PhaseMeasure, SpaceMeasure, TraceFile,
    TrialResult, World,
};
use crate::traces::{self, ReplayError, TraceOfWorkload};

pub use host::{host_name, memory_peak_bytes, processor};

use cache_recorder::CacheRecorder;
use client::{ClientReport, Others, PhaseContext, Work};
use contents::Contents;
use machine::Machine;
use operation_recorder::OperationRecorder;
use pulse::{Extent, Meter};
use series::{Sample, Sampler};
use shared_load::SharedLoad;

pub use live::{LiveError, LiveResult, LiveSides, Look, run_live};
pub use live_split::{run_split, split_budgets};
pub use machine::Databases;
pub use pulse::{Advance, Onlooker, Watcher};
pub use shared_load::{forget_loads, layout};
pub use target::{Audit, Opening, Target, TargetDef, Targets};

/// Why a trial has no result.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] aura_engine::Error),
    /// The engine lost an acknowledged write, or does not find it.
    #[error("a read of {key} returned nothing, though its write was acknowledged")]
    Lost {
        /// The key.
        key: String,
    },
    /// A key has a value that was not written for it.
    #[error("a read of {key} returned {bytes} bytes that were never written for it")]
    Wrong {
        /// The key.
        key: String,
        /// The length of the value found.
        bytes: usize,
    },
    /// A key that was never written has a value.
    #[error("a read of {key} returned a value, though it was never written")]
    Phantom {
        /// The key.
        key: String,
    },
    /// The simulation cannot go on.
    #[error(transparent)]
    Simulation(#[from] SimError),
    /// The database is damaged at the end.
    #[error("the database is not sound: {problems}")]
    Damaged {
        /// What the engine's verification found.
        problems: String,
    },
    /// A client ended without a report.
    #[error("a client stopped before its last operation")]
    Client,
    /// The command lacks what the trial is to run on.
    #[error(transparent)]
    Target(#[from] UnknownTarget),
    /// The planned settings are not ones of this version.
    #[error("the planned settings cannot be read: {0}")]
    Settings(#[from] serde_json::Error),
    /// The bound on the cache's hits cannot be built.
    #[error(transparent)]
    Policy(#[from] aura_policies::PolicyError),
    /// The workload cannot be built.
    #[error(transparent)]
    Workload(#[from] aura_workloads::ConfigError),
    /// The keys of the workload's file cannot be read.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// The file of an agent cannot be used.
    #[error(transparent)]
    Agent(#[from] AgentFileError),
    /// The workload's trace cannot be replayed.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The workload inserts more keys than its file has.
    #[error("an insert needs a key, and all of the set in `workload.key` are inserted")]
    OutOfKeys,
    /// The operations cannot be recorded.
    #[error("cannot record operations: {0}")]
    Recording(io::Error),
    /// The system refused threads.
    #[error("cannot start threads: {0}")]
    Threads(io::Error),
    /// The database's files cannot bypass the page cache.
    #[error(
        "`world.io` = \"direct\" is impossible in {}: {why}; name a directory on a disk with \
         `world.directory`, or take \"page-cache\"",
        directory.display()
    )]
    DirectIo {
        /// Where the database would be.
        directory: PathBuf,
        /// What is in the way.
        why: String,
    },
    /// The system's page cache cannot be emptied.
    #[error("cannot drop what the page cache holds of {}: {source}", directory.display())]
    PageCache {
        /// Where the database is.
        directory: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The database's directory cannot be created or removed.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Runs one trial of an experiment on AuraDB.
///
/// `databases` matters in the real world only: a simulated trial touches no file. A real trial's
/// database is removed afterwards unless it is to be kept.
///
/// # Errors
/// [`TrialError`] if the engine fails, or returns a wrong answer.
pub fn run(
    planned: &PlannedTrial,
    experiment: &str,
    databases: &Databases,
) -> Result<TrialResult, TrialError> {
    run_among(Targets::default(), planned, experiment, databases, None)
}

/// Runs one trial of an experiment on the target that its settings name, one of `targets`, and
/// reports to `onlooker` how far it has come.
///
/// # Errors
/// [`TrialError`] if the engine fails, or returns a wrong answer.
pub fn run_among(
    targets: Targets,
    planned: &PlannedTrial,
    experiment: &str,
    databases: &Databases,
    onlooker: Option<Onlooker>,
) -> Result<TrialResult, TrialError> {
    let config = planned.settings()?;
    let target = targets.find(&config.target)?;
    let directory = databases.directory(&planned.id, &config);
    let machine = Machine::new(&config, planned.seed, directory)?;
    let arrival = machine.is_real().then(|| host::arrive(machine.directory()));
    let keys = key_files::of_workload(&config.workload.key)?;
    let trace = traces::of_workload(&config.workload)?;
    let inputs = Inputs {
        keys: keys.clone(),
        trace: trace.as_ref().map(|trace| trace.operations.clone()),
    };
    let start = Start {
        inputs: &inputs,
        shared: SharedLoad::of(&config, planned.seed, databases),
        root: Seed(planned.seed),
        onlooker,
    };
    let measured = target.run(&machine, &config, start);
    let fingerprint = machine.fingerprint();
    if !databases.keep {
        machine.clean_up()?;
    }
    let measured = measured?;
    let manifest = Manifest {
        keys: keys.map(|keys| key_file(&config, &keys)),
        trace: trace.map(|trace| trace_file(&config, &trace)),
        fingerprint,
        host: arrival.map(host::leave),
        ..manifest(planned, experiment, &config)?
    };
    let simulated = config.world.kind == World::Simulated;
    let bandwidth = config.world.device.model.write_bandwidth;
    Ok(TrialResult {
        manifest,
        phases: measured.phases,
        space: measured.space,
        device_write_bytes_per_s: (simulated && bandwidth > 0).then_some(bandwidth),
        cache_trace: measured.cache_trace,
        operations: measured.operations,
        learned: measured.learned,
        measures: target.measures,
    })
}

/// What a trial is, before it was run.
fn manifest(
    planned: &PlannedTrial,
    experiment: &str,
    config: &TrialConfig,
) -> Result<Manifest, TrialError> {
    let simulated = config.world.kind == World::Simulated;
    let device = &config.world.device;
    Ok(Manifest {
        id: planned.id.clone(),
        case: planned.case.clone(),
        code: code::digest()?.to_owned(),
        commit: code::COMMIT.to_owned(),
        experiment: experiment.to_owned(),
        variant: planned.variant.clone(),
        point: planned.point.clone(),
        seed: planned.seed,
        world: config.world.kind,
        device: if simulated {
            device.profile.clone()
        } else {
            String::new()
        },
        version: VERSION.to_owned(),
        keys: None,
        trace: None,
        fingerprint: None,
        host: None,
    })
}

/// Checks that a trial's database can be where it is to be, before any trial is run.
///
/// # Errors
/// [`TrialError`] if it needs direct I/O and the file system refuses it.
pub fn check_place(planned: &PlannedTrial, databases: &Databases) -> Result<(), TrialError> {
    let world = planned.settings()?.world;
    if world.kind != World::Real || world.io != Some(FileIo::Direct) {
        return Ok(());
    }
    let folder = world.directory.as_deref().unwrap_or(&databases.folder);
    files::create_folder(folder)?;
    host::check_direct_io(folder)
}

/// The file of a trial's keys, for its manifest.
fn key_file(config: &TrialConfig, keys: &FileKeys) -> KeyFile {
    let key = &config.workload.key;
    let path = key.file.as_deref();
    let generated = key.generated.clone().unwrap_or_default();
    KeyFile {
        name: path.map_or(generated, compression::file_name),
        digest: key_files::digest(keys),
        keys: keys.len(),
        duplicates: keys.duplicates(),
    }
}

/// The trace that a trial replays, for its manifest.
fn trace_file(config: &TrialConfig, trace: &TraceOfWorkload) -> TraceFile {
    let path = config.workload.trace.as_ref().map(|trace| &trace.file);
    let operations = &trace.operations;
    TraceFile {
        name: path
            .map(|path| compression::file_name(path))
            .unwrap_or_default(),
        digest: trace.digest.clone(),
        operations: (operations.len() - operations.loads()) as u64,
        loads: operations.loads() as u64,
        keys: operations.keys() as u64,
        range_deletes: operations.range_deletes(),
        open_range_deletes: operations.open_range_deletes(),
    }
}

/// What was measured in a trial.
struct Measured {
    phases: Vec<PhaseMeasure>,
    space: SpaceMeasure,
    cache_trace: Option<CacheTrace>,
    operations: Option<Vec<u8>>,
    learned: Option<Value>,
}

/// What a trial begins with, beside its world and its settings.
struct Start<'a> {
    inputs: &'a Inputs,
    /// The load that it shares with others.
    shared: Option<SharedLoad>,
    root: Seed,
    onlooker: Option<Onlooker>,
}

/// Reports to `onlooker` how far the trial has come.
fn watch(machine: &Machine, meter: &Arc<Meter>, onlooker: Onlooker) {
    let env = machine.env();
    // A task of a simulation would be one of its events.
    meter.watch(onlooker, env.clock.clone(), !machine.is_real());
    if machine.is_real() {
        let report = pulse::report(Arc::downgrade(meter), env.clock);
        env.tasks.spawn("progress", Box::pin(report));
    }
}

/// Loads the database that others share, unless it is there, and copies it to where the trial has
/// its own.
fn share<T: Target>(
    shared: &SharedLoad,
    machine: &Machine,
    config: &TrialConfig,
    workload: &Workload,
    start: (Seed, &Arc<Meter>),
) -> Result<(), TrialError> {
    if !shared.is_there() {
        let mut stage = Stage::<T>::open(machine, config, workload, start)?;
        stage.load(config.settle)?;
        machine.block_on(async { Ok(stage.engine.close().await?) })?;
        drop(stage);
        shared.keep(machine.directory())?;
    }
    Ok(shared.copy_to(machine.directory())?)
}

fn measure<T: Target>(
    machine: &Machine,
    config: &TrialConfig,
    start: Start<'_>,
) -> Result<Measured, TrialError> {
    let workload = config.workload.resolve_with(start.inputs)?;
    let meter = Arc::new(Meter::new(extents(&workload)));
    if let Some(onlooker) = start.onlooker {
        watch(machine, &meter, onlooker);
    }
    let opened = (start.root, &meter);
    if let Some(shared) = &start.shared {
        share::<T>(shared, machine, config, &workload, opened)?;
    }
    let mut stage = Stage::<T>::open(machine, config, &workload, opened)?;
    let mut windows = match start.shared {
        Some(_) => Vec::new(),
        None => stage.load(config.settle)?,
    };
    let acknowledged = Arc::new(Acknowledged::new(workload.records));
    for phase in &workload.phases {
        windows.push(match phase.step() {
            Some(step) => stage.step(phase, step)?,
            None => stage.phase(phase, &acknowledged)?,
        });
    }
    windows.push(stage.drain()?);
    windows.extend(PhaseMeasure::whole(&windows, stage.elapsed()));
    stage.meter.enter("verify", &Extent::default());
    let (space, learned) = machine.block_on(space(&stage.engine))?;
    let operations = stage.operations.take().map(|it| it.take()).transpose();
    let operations = operations.map_err(TrialError::Recording)?;
    let cache_trace = stage.recorder.take().map(|recorder| CacheTrace {
        rate: config.record.cache,
        records: recorder.take(),
    });
    Ok(Measured {
        phases: windows,
        space,
        cache_trace,
        operations,
        learned,
    })
}

/// Takes what the agent has learned, reads every reachable value, and closes the database.
async fn space(engine: &impl Target) -> Result<(SpaceMeasure, Option<Value>), TrialError> {
    let learned = engine.learned().await;
    let report = engine.audit().await?;
    engine.close().await?;
    if !report.problems.is_empty() {
        return Err(TrialError::Damaged {
            problems: report.problems.join("; "),
        });
    }
    let space = SpaceMeasure {
        reachable_bytes: report.reachable_bytes,
        disk_bytes: report.disk_bytes,
    };
    Ok((space, learned))
}

/// The engine's settings in a trial: policies that draw lots draw others under every seed, and a
/// saved agent stands in place of its file.
fn engine_settings(config: &TrialConfig, root: Seed) -> Result<EngineConfig, TrialError> {
    let mut settings = config.engine.clone();
    settings.seed = root.child("engine").numbered(settings.seed).0;
    agent_files::open_all(&mut settings)?;
    Ok(settings)
}

/// Whether a read may find nothing: some phase deletes, or a trace says what each read finds.
fn may_miss(workload: &Workload) -> bool {
    let deletes = |phase: &Phase| phase.does(OpKind::Delete) || phase.replay.is_some();
    workload.phases.iter().any(deletes)
}

/// The extents of all phases, the load included.
fn extents(workload: &Workload) -> impl Iterator<Item = Extent> {
    let phases = std::iter::once(&workload.load).chain(&workload.phases);
    phases.map(extent)
}

/// What there is to do in a phase. Operations without end do not count.
fn extent(phase: &Phase) -> Extent {
    let counted = phase.parts().iter().filter(|part| !part.is_endless());
    Extent {
        operations: counted.map(|part| part.operations).sum(),
        nanos: phase.duration.map(nanos),
    }
}

/// A duration in nanoseconds.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The open database, and what else all phases of a trial share.
struct Stage<'a, T> {
    machine: &'a Machine,
    engine: T,
    /// Bytes of its cache.
    cache_bytes: u64,
    root: Seed,
    /// The most slices of a series.
    slices: usize,
    may_miss: bool,
    workload: &'a Workload,
    recorder: Option<Arc<CacheRecorder>>,
    /// What records the clients' operations.
    operations: Option<Arc<OperationRecorder>>,
    meter: Arc<Meter>,
    /// The share of the cached objects that is recorded.
    recorded: f64,
    /// The clock when the database was opened.
    opened: u64,
    /// Where the last window ended.
    boundary: Boundary,
}

impl<'a, T: Target> Stage<'a, T> {
    fn open(
        machine: &'a Machine,
        config: &TrialConfig,
        workload: &'a Workload,
        start: (Seed, &Arc<Meter>),
    ) -> Result<Self, TrialError> {
        Self::open_sides(machine, config, workload, start, None)
    }

    /// Opens a database; one with two sides with the settings of each.
    fn open_sides(
        machine: &'a Machine,
        config: &TrialConfig,
        workload: &'a Workload,
        (root, meter): (Seed, &Arc<Meter>),
        sides: Option<[EngineConfig; 2]>,
    ) -> Result<Self, TrialError> {
        let rate = config.record.cache;
        let recorder = (rate > 0.0).then(|| Arc::new(CacheRecorder::default()));
        let opening = Opening {
            env: machine.env(),
            directory: machine.directory(),
            config,
            settings: engine_settings(config, root)?,
            sides,
            observer: recorder.clone().map(|recorder| recorder as _),
            watched: meter.shows_metrics(),
        };
        let boundary = Boundary {
            device: machine.stats(),
            process: machine.process_use(),
            ..Boundary::default()
        };
        let opened = machine.env().clock.now();
        let engine = machine.block_on(async { Ok(T::open(opening).await?) })?;
        if meter.shows_metrics() {
            let shown = engine.clone();
            meter.show(Some(Box::new(move || shown.vitals())));
        }
        Ok(Self {
            machine,
            engine,
            cache_bytes: config.engine.cache.size.as_u64(),
            root,
            slices: config.series_points as usize,
            may_miss: may_miss(workload),
            workload,
            recorder,
            operations: OperationRecorder::of(config.record.operations).map(Arc::new),
            meter: meter.clone(),
            recorded: rate,
            opened,
            boundary,
        })
    }

    /// The recorded share of the room that `pinned` bytes leave in the cache.
    fn cache_room(&self, pinned: u64) -> u64 {
        (self.cache_bytes.saturating_sub(pinned) as f64 * self.recorded) as u64
    }

    /// Nanoseconds since the database was opened.
    fn elapsed(&self) -> u64 {
        self.machine.env().clock.now() - self.opened
    }

    /// Ends a window: returns where it began and where it ended.
    fn end_window(&mut self) -> (Boundary, Boundary) {
        let end = Boundary {
            metrics: self.engine.metrics(),
            device: self.machine.stats(),
            process: self.machine.process_use(),
        };
        let start = std::mem::replace(&mut self.boundary, end.clone());
        (start, end)
    }

    /// Loads the records, and with `settle` waits for what that left to do.
    fn load(&mut self, settle: bool) -> Result<Vec<PhaseMeasure>, TrialError> {
        let workload = self.workload;
        let mut windows = vec![self.phase(&workload.load, &Arc::new(Acknowledged::new(0)))?];
        if settle {
            windows.push(self.settle()?);
        }
        Ok(windows)
    }

    /// Waits until no background work is left.
    fn settle(&mut self) -> Result<PhaseMeasure, TrialError> {
        self.meter.enter(names::SETTLE, &Extent::default());
        self.quiet(names::SETTLE, |engine| async move {
            Ok(engine.wait_idle().await?)
        })
    }

    /// Flushes what writers left in memory, and waits until no background work is left.
    fn drain(&mut self) -> Result<PhaseMeasure, TrialError> {
        self.meter.enter(names::DRAIN, &Extent::default());
        self.quiet(names::DRAIN, |engine| async move {
            engine.flush().await?;
            Ok(engine.wait_idle().await?)
        })
    }

    /// Carries out a step of the workload.
    fn step(&mut self, phase: &Phase, step: Step) -> Result<PhaseMeasure, TrialError> {
        let window = names::of_step(&phase.name, step);
        self.meter.enter(&window, &extent(phase));
        let machine = self.machine;
        let clock = machine.env().clock;
        let wait = phase.duration.map_or(0, nanos);
        self.quiet(&window, |engine| async move {
            match step {
                Step::Settle => engine.wait_idle().await?,
                Step::Flush => engine.flush().await?,
                Step::Compact => engine.compact().await?,
                Step::DropCaches => {
                    engine.drop_cache();
                    machine.drop_page_cache()?;
                }
                Step::Wait => clock.sleep(wait).await,
            }
            Ok(())
        })
    }

    /// A window without clients, as long as `work` takes.
    fn quiet<F>(
        &mut self,
        name: &str,
        work: impl FnOnce(T) -> F,
    ) -> Result<PhaseMeasure, TrialError>
    where
        F: Future<Output = Result<(), TrialError>>,
    {
        self.engine.take_events();
        let clock = self.machine.env().clock;
        let start = clock.now();
        self.machine.block_on(work(self.engine.clone()))?;
        let (from, to) = self.end_window();
        let mut measure = PhaseMeasure::quiet(name, clock.now() - start, from, to);
        measure.events = self.events(start);
        Ok(measure)
    }

    /// What happened in the background since `start`.
    fn events(&self, start: u64) -> Vec<Event> {
        let events = self.engine.take_events().into_iter();
        // Health is judged when somebody looks, and no part of what was measured.
        let events = events.filter(|event| !matches!(event.kind, EventKind::Health { .. }));
        events.map(|event| since(event, start)).collect()
    }

    /// Runs one phase and measures it.
    fn phase(
        &mut self,
        phase: &Phase,
        acknowledged: &Arc<Acknowledged>,
    ) -> Result<PhaseMeasure, TrialError> {
        let env = self.machine.env();
        self.engine.take_events();
        self.meter.enter(&phase.name, &extent(phase));
        let start = env.clock.now();
        let counts = &self.boundary.metrics.counts;
        let context = Arc::new(PhaseContext {
            engine: self.engine.clone(),
            clock: env.clock.clone(),
            acknowledged: acknowledged.clone(),
            sampler: Sampler::new(self.slices, Sample::new(0, counts)),
            start,
            may_miss: self.may_miss,
            contents: Contents::of(self.workload),
            meter: self.meter.clone(),
            deadline: phase.duration.map(nanos),
            others: Others::of(phase),
            operations: self.operations.clone(),
            loads: phase.kind == PhaseKind::Load,
        });
        let recorded_before = self.recorder.as_ref().map_or(0, |recorder| recorder.len());
        let report = self.machine.block_on(self.clients(&env, phase, &context))?;
        let (from, to) = self.end_window();
        let cache_bound = match &self.recorder {
            Some(recorder) => {
                // What is pinned changes when tables are replaced. The larger room leaves a bound.
                let pinned = from
                    .metrics
                    .cache
                    .pinned_bytes
                    .min(to.metrics.cache.pinned_bytes);
                Some(recorder.bound_since(recorded_before, self.cache_room(pinned))?)
            }
            None => None,
        };
        let last = Sample::new(report.end, &to.metrics.counts);
        let samples = context.sampler.finish(last);
        let open_loop = phase.parts().iter().any(Phase::is_open_loop);
        let operations = report.latency.iter();
        Ok(PhaseMeasure {
            operations: operations
                .map(|(class, histogram)| (*class, histogram.len()))
                .collect(),
            overloaded: open_loop && report.backlog.grows(report.end),
            open_loop,
            cache_bound,
            series: report.slices.points(report.end, &samples),
            latency: report.latency,
            service: report.service,
            pacing: Some(report.pacing).filter(|late| !late.is_empty()),
            events: self.events(start),
            ..PhaseMeasure::quiet(&phase.name, report.end, from, to)
        })
    }

    /// Starts the phase's clients, role by role, and merges their reports in that order.
    async fn clients(
        &self,
        env: &Env,
        phase: &Phase,
        context: &Arc<PhaseContext<T>>,
    ) -> Result<ClientReport, TrialError> {
        let mut reports = Vec::new();
        for part in phase.parts() {
            for number in 0..part.clients {
                let work = Work {
                    stream: part.stream(number, self.root),
                    schedule: part.schedule(number, self.root),
                    until: part.until,
                    slices: self.slices,
                };
                let context = context.clone();
                let (tx, rx) = oneshot::channel();
                let client = async move {
                    // The receiver is gone when another client has failed.
                    drop(tx.send(client::run(&context, work).await));
                };
                env.tasks.spawn("client", Box::pin(client));
                reports.push(rx);
            }
        }
        let mut all: Option<ClientReport> = None;
        for report in reports {
            let report = report.await.map_err(|_| TrialError::Client)??;
            match &mut all {
                Some(all) => all.merge(report),
                None => all = Some(report),
            }
        }
        all.ok_or(TrialError::Client)
    }
}

impl<T> Drop for Stage<'_, T> {
    fn drop(&mut self) {
        // What is shown would keep the engine open.
        self.meter.show(None);
    }
}

/// Counts an event's times from the phase's start.
fn since(mut event: Event, start: u64) -> Event {
    event.start_nanos = event.start_nanos.saturating_sub(start);
    event.end_nanos = event.end_nanos.saturating_sub(start);
    event
}
