//! A live comparison: one engine, which is switched between two settings.

use std::sync::Arc;

use aura_engine::{AuraEngine, EngineConfig};
use aura_workloads::{Acknowledged, Inputs, OpKind, Phase, PhaseKind, Seed, Workload};

use super::pulse::Meter;
use super::{
    Databases, Machine, Stage, TrialError, engine_settings, extents, key_files, manifest, space,
};
use crate::compare::CompareError;
use crate::config::TrialConfig;
use crate::live::{Design, Side, Stop, Switchback, recovery};
use crate::metrics;
use crate::plan::PlannedTrial;
use crate::record::{Measures, MetricRow, SpaceMeasure, TrialResult, World};
use crate::store::{TidyRow, tidy};

/// Why a live comparison has no result.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The engine failed, or gave a wrong answer.
    #[error(transparent)]
    Trial(#[from] TrialError),
    /// Nothing can be compared.
    #[error(transparent)]
    Compare(#[from] CompareError),
    /// The sides cannot be switched between.
    #[error("{0}")]
    Sides(&'static str),
    /// The workload has no phase that can be repeated.
    #[error("{0}")]
    Workload(&'static str),
}

/// The two sides of a live comparison, and what is asked of them.
pub struct LiveSides<'a> {
    /// The trial of A.
    pub a: &'a PlannedTrial,
    /// The trial of B, whose engine settings alone are used.
    pub b: &'a PlannedTrial,
    /// The phase that is repeated. Default: the first with operations.
    pub phase: Option<&'a str>,
}

/// What a live comparison measured.
#[derive(Debug)]
pub struct LiveResult {
    /// A against A: variants are sides, and seeds are blocks.
    pub aa: Switchback,
    /// A against B.
    pub ab: Switchback,
    /// Why it ended.
    pub stop: Stop,
    /// Operations that each switch took, to B and back; `None` if it was not seen to end.
    pub recovery: [Option<u64>; 2],
    /// Operations of a washout.
    pub washout: u64,
}

/// What a caller learns after each block, and may end the comparison for.
#[derive(Debug)]
pub struct Look<'a> {
    /// Whether both sides are A.
    pub is_aa: bool,
    /// The blocks so far.
    pub so_far: &'a Switchback,
}

/// Runs a live comparison. `go_on` is asked after each block.
///
/// # Errors
/// [`LiveError`] if the engine fails or refuses B's settings, if the workload cannot be repeated,
/// or if nothing can be compared.
pub fn run_live(
    sides: &LiveSides<'_>,
    new: impl Fn() -> Switchback,
    design: &Design,
    databases: &Databases,
    go_on: &mut dyn FnMut(&Look<'_>) -> bool,
) -> Result<LiveResult, LiveError> {
    let config = sides.a.settings().map_err(TrialError::from)?;
    let other = sides.b.settings().map_err(TrialError::from)?;
    check_sides(&config, &other)?;
    let directory = databases.directory(&sides.a.id, &config);
    let machine = Machine::new(&config, sides.a.seed, directory)?;
    let keys = key_files::of_workload(&config.workload.key).map_err(TrialError::from)?;
    let inputs = Inputs { keys, trace: None };
    let workload = config
        .workload
        .resolve_with(&inputs)
        .map_err(TrialError::from)?;
    let template = template(&workload, sides.phase)?;
    let root = Seed(sides.a.seed);
    let meter = Arc::new(Meter::new(extents(&workload)));
    let mut stage = Stage::<AuraEngine>::open(&machine, &config, &workload, (root, &meter))?;
    stage.load(config.settle)?;
    let settings = sides_settings(&config, &other, root)?;
    let mut live = Live {
        acknowledged: Arc::new(Acknowledged::new(workload.records)),
        settings,
        trial: empty_trial(sides.a, &config)?,
        stage,
        template,
    };
    live.warm_up(&workload)?;
    let result = live.compare(&new, design, go_on);
    let measured = live.end();
    if !databases.keep {
        machine.clean_up().map_err(TrialError::from)?;
    }
    let result = result?;
    measured?;
    Ok(result)
}

/// Refuses sides that one running engine cannot be switched between.
pub(super) fn check_sides(a: &TrialConfig, b: &TrialConfig) -> Result<(), LiveError> {
    if a.target != "aura" || b.target != "aura" {
        return Err(LiveError::Sides(
            "only AuraDB's settings can be switched while it runs",
        ));
    }
    if a.workload != b.workload || a.world != b.world {
        return Err(LiveError::Sides(
            "one engine has one workload and one world: A and B may differ in `engine` alone",
        ));
    }
    Ok(())
}

/// The engine's settings on each side.
pub(super) fn sides_settings(
    a: &TrialConfig,
    b: &TrialConfig,
    root: Seed,
) -> Result<[EngineConfig; 2], TrialError> {
    Ok([engine_settings(a, root)?, engine_settings(b, root)?])
}

/// The phase that windows repeat.
pub(super) fn template(workload: &Workload, named: Option<&str>) -> Result<Phase, LiveError> {
    let mut phases = workload.phases.iter();
    let is_it = |phase: &&Phase| match named {
        Some(name) => phase.name == name,
        None => phase.kind == PhaseKind::Run,
    };
    let phase = phases.find(is_it).ok_or(LiveError::Workload(
        "the workload has no such phase with operations",
    ))?;
    if phase.kind != PhaseKind::Run || phase.replay.is_some() {
        return Err(LiveError::Workload(
            "a window repeats a phase of operations: steps and traces cannot be repeated",
        ));
    }
    if phase.does(OpKind::Insert) || phase.does(OpKind::Delete) {
        return Err(LiveError::Workload(
            "a window repeats a phase that leaves as many records as there were: this one inserts \
             or deletes",
        ));
    }
    if !phase.roles.is_empty() {
        return Err(LiveError::Workload(
            "a window has clients of one kind: this phase has roles",
        ));
    }
    Ok(phase.clone())
}

/// A trial without windows yet.
pub(super) fn empty_trial(
    planned: &PlannedTrial,
    config: &TrialConfig,
) -> Result<TrialResult, TrialError> {
    let bandwidth = config.world.device.model.write_bandwidth;
    let simulated = config.world.kind == World::Simulated;
    Ok(TrialResult {
        manifest: manifest(planned, "live", config)?,
        phases: Vec::new(),
        space: SpaceMeasure::default(),
        device_write_bytes_per_s: (simulated && bandwidth > 0).then_some(bandwidth),
        cache_trace: None,
        operations: None,
        learned: None,
        measures: Measures::default(),
    })
}

/// A live comparison under way.
struct Live<'a> {
    stage: Stage<'a, AuraEngine>,
    acknowledged: Arc<Acknowledged>,
    settings: [EngineConfig; 2],
    /// The windows of the block under way, washouts included, and the one before them: where their
    /// debt begins.
    trial: TrialResult,
    template: Phase,
}

impl Live<'_> {
    fn warm_up(&mut self, workload: &Workload) -> Result<(), TrialError> {
        let first = workload.phases.first();
        if let Some(phase) = first.filter(|phase| phase.kind == PhaseKind::WarmUp) {
            let window = self.stage.phase(phase, &self.acknowledged)?;
            self.trial.phases.push(window);
        }
        Ok(())
    }

    fn compare(
        &mut self,
        new: &impl Fn() -> Switchback,
        design: &Design,
        go_on: &mut dyn FnMut(&Look<'_>) -> bool,
    ) -> Result<LiveResult, LiveError> {
        let recovery = self.probe(design)?;
        let washout = design
            .washout
            .unwrap_or_else(|| washout_of(recovery, design));
        let mut aa = new();
        let mut ab = new();
        let mut stop = None;
        for is_aa in [true, false] {
            let most = if is_aa {
                design.blocks_of_aa
            } else {
                design.blocks_max
            };
            for number in 0..most {
                if stop.is_some() {
                    break;
                }
                let so_far = if is_aa { &mut aa } else { &mut ab };
                let order = so_far.order(number);
                let rows = self.block(number, order, is_aa, (design.window, washout))?;
                let ended = so_far.close(rows)?;
                if !is_aa {
                    stop = ended;
                }
                let look = Look { is_aa, so_far };
                if !go_on(&look) {
                    stop = stop.or(Some(Stop::Asked));
                }
            }
        }
        Ok(LiveResult {
            aa,
            ab,
            stop: stop.unwrap_or(Stop::Longest),
            recovery,
            washout,
        })
    }

    /// Switches to B and back, a window each, and sees how long each switch takes. The first window
    /// is A's own, so that a cache that is still cold is not taken for the effect of a switch.
    fn probe(&mut self, design: &Design) -> Result<[Option<u64>; 2], TrialError> {
        if design.washout.is_some() {
            return Ok([None; 2]);
        }
        self.window("probe-0", design.window)?;
        let mut took = [None; 2];
        for (at, side) in [Side::B, Side::A].into_iter().enumerate() {
            self.switch(side)?;
            self.window(&format!("probe-{}", at + 1), design.window)?;
            took[at] = self.trial.phases.last().and_then(|it| recovery(&it.series));
        }
        Ok(took)
    }

    /// Runs one block, and returns the rows of its two windows.
    fn block(
        &mut self,
        number: usize,
        order: [Side; 2],
        is_aa: bool,
        (window, washout): (u64, u64),
    ) -> Result<Vec<TidyRow>, TrialError> {
        let finished = self.trial.phases.len().saturating_sub(1);
        self.trial.phases.drain(..finished);
        let kind = if is_aa { "aa" } else { "ab" };
        let mut names = Vec::new();
        for side in order {
            let name = format!("{kind}-{}-{}", number + 1, side.name());
            self.switch(if is_aa { Side::A } else { side })?;
            if washout > 0 {
                self.window(&format!("{name}-washout"), washout)?;
            }
            self.window(&name, window)?;
            names.push((name, side));
        }
        let measured = metrics::derive(&self.trial);
        let mut rows = Vec::new();
        for (name, side) in names {
            let of_window = measured.iter().filter(|row| row.phase == name);
            let place = (side, number as u64 + 1);
            rows.extend(rows_of(&self.trial, of_window, place, &self.template));
        }
        Ok(rows)
    }

    /// Sets the engine to a side.
    fn switch(&mut self, side: Side) -> Result<(), TrialError> {
        let settings = self.settings[side as usize].clone();
        let engine = self.stage.engine.clone();
        let change = move |config: &mut EngineConfig| *config = settings;
        let changed = async move { Ok(engine.reconfigure(change).await?) };
        self.stage.machine.block_on(changed)
    }

    /// Runs the phase for some operations.
    fn window(&mut self, name: &str, operations: u64) -> Result<(), TrialError> {
        let mut phase = self.template.clone();
        name.clone_into(&mut phase.name);
        phase.operations = operations;
        phase.duration = None;
        let window = self.stage.phase(&phase, &self.acknowledged)?;
        self.trial.phases.push(window);
        Ok(())
    }

    /// Pays what is left to do, reads everything, and closes the database.
    fn end(mut self) -> Result<(), TrialError> {
        self.stage.drain()?;
        self.stage.machine.block_on(space(&self.stage.engine))?;
        Ok(())
    }
}

/// The rows of a window: their variant is the side, their seed is the block, and their phase is the
/// one that windows repeat.
pub(super) fn rows_of<'a>(
    trial: &TrialResult,
    measured: impl Iterator<Item = &'a MetricRow>,
    (side, block): (Side, u64),
    template: &Phase,
) -> Vec<TidyRow> {
    let mut manifest = trial.manifest.clone();
    side.name().clone_into(&mut manifest.variant);
    manifest.seed = block;
    let of_phase = |row: &MetricRow| {
        let mut row = row.clone();
        row.phase.clone_from(&template.name);
        row
    };
    let rows: Vec<_> = measured.map(of_phase).collect();
    tidy(&manifest, &rows)
}

/// Half as long again as the longer switch took, and at least a twentieth of a window; a whole
/// window if a switch was not seen to end.
fn washout_of(recovery: [Option<u64>; 2], design: &Design) -> u64 {
    let longest = |[to_b, to_a]: [Option<u64>; 2]| Some(to_b?.max(to_a?));
    match longest(recovery) {
        None => design.window,
        Some(longest) => (longest * 3 / 2).clamp(design.window / 20, design.window),
    }
}
