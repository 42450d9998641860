//! One trial: a fresh world, a fresh database, the load, the phases, and what was seen.
//!
//! ```text
//!   load --clients--> settle --> warm-up --> phase --> phase ... --> space (every reachable value is read) --> close
//!    measured                   not measured   measured, each with engine and device state before and after
//! ```
//!
//! Time is the world's. In a simulation nothing else than config and seed has an influence on what is measured.

mod client;
mod recorder;
mod series;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aura_engine::env::Env;
use aura_engine::env::disk::DiskWorld;
use aura_engine::env::sim::{SimConfig, SimError, SimStats, SimWorld};
use aura_engine::{AuraEngine, Engine, EngineBuilder, Event};
use aura_workloads::{Acknowledged, Load, OpKind, Phase, PhaseKind, Seed, Workload};
use tokio::sync::oneshot;

use crate::config::TrialConfig;
use crate::files::{self, FileError};
use crate::plan::{PlannedTrial, VERSION};
use crate::record::{CacheTrace, Manifest, PhaseMeasure, SpaceMeasure, TrialResult, World};
use client::{Seen, Shared};
use recorder::Recorder;
use series::{Sample, Sampler};

/// The directory of the database in a simulated world.
const SIMULATED_DIRECTORY: &str = "db";

/// Why a trial has no result.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] aura_engine::Error),
    /// The engine lost a write, or does not find it.
    #[error("a read of {key} returned nothing, though its write was acknowledged")]
    Lost {
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
    /// A client ended without an answer.
    #[error("a client stopped before its last operation")]
    Client,
    /// The planned settings are not ones of this version.
    #[error("the planned settings cannot be read: {0}")]
    Settings(#[from] serde_json::Error),
    /// A bound cannot be built.
    #[error(transparent)]
    Policy(#[from] aura_policies::PolicyError),
    /// The workload cannot be.
    #[error(transparent)]
    Workload(#[from] aura_workloads::ConfigError),
    /// The system refused threads.
    #[error("cannot start threads: {0}")]
    Threads(io::Error),
    /// The database's directory cannot be made or removed.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Where a real trial has its database: in the config's directory, or else in `databases`.
pub fn directory(planned: &PlannedTrial, config: &TrialConfig, databases: &Path) -> PathBuf {
    config
        .world
        .directory
        .as_deref()
        .unwrap_or(databases)
        .join(format!("aura-{}", planned.id))
}

/// Runs one trial. `databases` is where a real one makes its directory if its config does not say; it is removed
/// afterwards unless it is to `keep`.
///
/// # Errors
/// If the engine fails, or gives a wrong answer.
pub fn run(
    planned: &PlannedTrial,
    experiment: &str,
    databases: &Path,
    keep: bool,
) -> Result<TrialResult, TrialError> {
    let config = planned.settings()?;
    let machine = Machine::new(
        &config,
        planned.seed,
        directory(planned, &config, databases),
    )?;
    let measured = measure(&machine, &config, planned.seed);
    let fingerprint = machine.fingerprint();
    if !keep {
        machine.clean_up()?;
    }
    let (phases, space, cache_trace) = measured?;
    let simulated = config.world.kind == World::Simulated;
    let manifest = Manifest {
        id: planned.id.clone(),
        experiment: experiment.to_owned(),
        variant: planned.variant.clone(),
        point: planned.point.clone(),
        seed: planned.seed,
        world: config.world.kind,
        device: if simulated {
            config.world.device.profile.clone()
        } else {
            String::new()
        },
        version: VERSION.to_owned(),
        fingerprint,
    };
    let bandwidth = config.world.device.model.write_bandwidth;
    let device_write_bytes_per_s = (simulated && bandwidth > 0).then_some(bandwidth);
    Ok(TrialResult {
        manifest,
        phases,
        space,
        device_write_bytes_per_s,
        cache_trace,
    })
}

/// The world of one trial.
enum Machine {
    Simulated(SimWorld),
    Real {
        world: DiskWorld,
        directory: PathBuf,
    },
}

impl Machine {
    fn new(config: &TrialConfig, seed: u64, directory: PathBuf) -> Result<Self, TrialError> {
        let world = &config.world;
        Ok(match world.kind {
            World::Simulated => {
                let (device, cpu, cores) = (world.device.clone(), world.cpu, world.cores);
                Self::Simulated(SimWorld::new(&SimConfig {
                    device,
                    cpu,
                    cores,
                    seed,
                }))
            }
            World::Real => {
                files::remove_folder(&directory)?;
                files::create_folder(&directory)?;
                let world = DiskWorld::new(world.cores as usize).map_err(TrialError::Threads)?;
                Self::Real { world, directory }
            }
        })
    }

    fn env(&self) -> Env {
        match self {
            Self::Simulated(world) => world.env(),
            Self::Real { world, .. } => world.env(),
        }
    }

    fn directory(&self) -> &Path {
        match self {
            Self::Simulated(_) => Path::new(SIMULATED_DIRECTORY),
            Self::Real { directory, .. } => directory,
        }
    }

    fn block_on<T>(
        &self,
        future: impl Future<Output = Result<T, TrialError>>,
    ) -> Result<T, TrialError> {
        match self {
            Self::Simulated(world) => world.block_on(future)?,
            Self::Real { world, .. } => world.block_on(future),
        }
    }

    fn stats(&self) -> Option<SimStats> {
        match self {
            Self::Simulated(world) => Some(world.stats()),
            Self::Real { .. } => None,
        }
    }

    fn fingerprint(&self) -> Option<u64> {
        match self {
            Self::Simulated(world) => Some(world.fingerprint()),
            Self::Real { .. } => None,
        }
    }

    fn clean_up(self) -> Result<(), FileError> {
        match self {
            Self::Simulated(_) => Ok(()),
            Self::Real { world, directory } => {
                drop(world);
                files::remove_folder(&directory)
            }
        }
    }
}

type Measured = (Vec<PhaseMeasure>, SpaceMeasure, Option<CacheTrace>);

fn measure(machine: &Machine, config: &TrialConfig, seed: u64) -> Result<Measured, TrialError> {
    let workload = config.workload.resolve()?;
    let root = Seed(seed);
    let mut settings = config.engine.clone();
    // Policies that draw lots draw others under every seed of the experiment.
    settings.seed = root.child("engine").numbered(settings.seed).0;
    let rate = config.record.cache;
    let recorder = (rate > 0.0).then(|| Arc::new(Recorder::default()));
    let cache_bytes = (settings.cache.size.as_u64() as f64 * rate) as u64;
    let mut builder = EngineBuilder::new(machine.env(), machine.directory()).config(settings);
    if let Some(recorder) = &recorder {
        builder = builder.cache_observer(recorder.clone(), rate);
    }
    let engine = machine.block_on(async { Ok(builder.open().await?) })?;
    let (slices, may_miss) = (config.series_points as usize, may_miss(&workload));
    let stage = Stage {
        machine,
        engine,
        root,
        slices,
        may_miss,
        recorder,
        cache_bytes,
    };

    let loaded = Arc::new(Acknowledged::new(0));
    let mut phases = vec![stage.phase(&workload.load, &loaded)?];
    if config.settle {
        machine.block_on(async { Ok(stage.engine.wait_idle().await?) })?;
    }
    let acknowledged = Arc::new(Acknowledged::new(workload.records));
    for phase in &workload.phases {
        let measure = stage.phase(phase, &acknowledged)?;
        if phase.kind != PhaseKind::WarmUp {
            phases.push(measure);
        }
    }
    let space = machine.block_on(async {
        let report = stage.engine.verify().await?;
        stage.engine.close().await?;
        if !report.problems.is_empty() {
            return Err(TrialError::Damaged {
                problems: report.problems.join("; "),
            });
        }
        Ok(SpaceMeasure {
            reachable_bytes: report.reachable_bytes,
            disk_bytes: report.disk_bytes,
        })
    })?;
    let trace = stage.recorder.map(|recorder| CacheTrace {
        rate,
        records: recorder.take(),
    });
    Ok((phases, space, trace))
}

fn may_miss(workload: &Workload) -> bool {
    workload
        .phases
        .iter()
        .any(|phase| phase.mix.share(OpKind::Delete) > 0.0)
}

/// What all phases of a trial have in common.
struct Stage<'a> {
    machine: &'a Machine,
    engine: AuraEngine,
    root: Seed,
    slices: usize,
    may_miss: bool,
    recorder: Option<Arc<Recorder>>,
    /// Bytes of the cache, or of the recorded share of it.
    cache_bytes: u64,
}

impl Stage<'_> {
    fn phase(
        &self,
        phase: &Phase,
        acknowledged: &Arc<Acknowledged>,
    ) -> Result<PhaseMeasure, TrialError> {
        let env = self.machine.env();
        let engine = &self.engine;
        engine.take_events();
        let (before, device_before) = (engine.metrics(), self.machine.stats());
        let start = env.clock.now();
        let shared = Arc::new(Shared {
            engine: engine.clone(),
            clock: env.clock.clone(),
            acknowledged: acknowledged.clone(),
            sampler: Sampler::new(self.slices, Sample::new(0, &before.counts)),
            start,
            may_miss: self.may_miss,
        });
        let recorded = self
            .recorder
            .as_ref()
            .map(|recorder| (recorder, recorder.len()));
        let seen = self.machine.block_on(self.clients(&env, phase, &shared))?;
        let bound = recorded
            .map(|(recorder, start)| recorder.bound_since(start, self.cache_bytes))
            .transpose()?;
        let (after, device_after) = (engine.metrics(), self.machine.stats());
        let samples = shared.sampler.finish(Sample::new(seen.end, &after.counts));
        let open_loop = !matches!(phase.load, Load::Closed {});
        Ok(PhaseMeasure {
            name: phase.name.clone(),
            nanos: seen.end,
            before,
            after,
            device_before,
            device_after,
            operations: seen
                .latency
                .iter()
                .map(|(class, histogram)| (*class, histogram.len()))
                .collect(),
            overloaded: open_loop && seen.backlog.grows(seen.end),
            open_loop,
            cache_bound: bound,
            series: seen.slices.points(seen.end, &samples),
            latency: seen.latency,
            service: seen.service,
            events: engine
                .take_events()
                .into_iter()
                .map(|event| since(event, start))
                .collect(),
        })
    }

    /// Starts the clients and waits for them, in their order.
    async fn clients(
        &self,
        env: &Env,
        phase: &Phase,
        shared: &Arc<Shared>,
    ) -> Result<Seen, TrialError> {
        let mut answers = Vec::new();
        for number in 0..phase.clients {
            let (stream, schedule) = (
                phase.stream(number, self.root),
                phase.schedule(number, self.root),
            );
            let (send, answer) = oneshot::channel();
            let (shared, slices) = (shared.clone(), self.slices);
            let client = async move {
                // Nobody listens any more when another client has failed.
                drop(send.send(client::run(&shared, stream, schedule, slices).await));
            };
            env.tasks.spawn("client", Box::pin(client));
            answers.push(answer);
        }
        let mut all: Option<Seen> = None;
        for answer in answers {
            let seen = answer.await.map_err(|_| TrialError::Client)??;
            match &mut all {
                Some(all) => all.merge(seen),
                None => all = Some(seen),
            }
        }
        all.ok_or(TrialError::Client)
    }
}

/// The event with its times counted from the phase's start.
fn since(mut event: Event, start: u64) -> Event {
    event.start_nanos = event.start_nanos.saturating_sub(start);
    event.end_nanos = event.end_nanos.saturating_sub(start);
    event
}
