//! A live comparison on a split database: A and B at the same time, each with half of the keys. See
//! [`crate::live::split`] for the design.

use std::sync::Arc;

use aura_engine::EngineConfig;
use aura_workloads::{Acknowledged, Inputs, Phase, PhaseKind, Seed, Workload};
use bytesize::ByteSize;

use super::live::{
    LiveError, LiveResult, LiveSides, Look, check_sides, empty_trial, rows_of, sides_settings,
    template,
};
use super::pulse::Meter;
use super::split_target::SplitTarget;
use super::{Databases, Machine, Stage, TrialError, extents, key_files, space};
use crate::config::TrialConfig;
use crate::live::{Design, Side, Stop, Switchback, split};
use crate::metrics;
use crate::record::{Boundary, PhaseMeasure, TrialResult};
use crate::store::TidyRow;

/// Half of every budget of `settings`: of the cache, of the memtable, and of the I/O limit if there
/// is one.
fn halved(mut settings: EngineConfig) -> EngineConfig {
    let half = |size: ByteSize| ByteSize(size.as_u64() / 2);
    settings.cache.size = half(settings.cache.size);
    settings.memtable = half(settings.memtable);
    settings.io_limit = half(settings.io_limit);
    settings
}

/// The budgets of a side with half of those of `settings`, in words.
pub fn split_budgets(settings: &EngineConfig) -> String {
    let half = halved(settings.clone());
    let limit = match half.io_limit.as_u64() {
        0 => String::new(),
        _ => format!(", an I/O limit of {} a second", half.io_limit),
    };
    format!(
        "a cache of {}, memtables of {}{limit}",
        half.cache.size, half.memtable
    )
}

/// Runs a live comparison on a split database. `go_on` is asked after each window.
///
/// # Errors
/// [`LiveError`] if the engine fails or refuses settings, if the workload cannot be repeated, or if
/// nothing can be compared.
pub fn run_split(
    sides: &LiveSides<'_>,
    new: impl Fn() -> Switchback,
    design: &Design,
    databases: &Databases,
    go_on: &mut dyn FnMut(&Look<'_>) -> bool,
) -> Result<LiveResult, LiveError> {
    let config = sides.a.settings().map_err(TrialError::from)?;
    let other = sides.b.settings().map_err(TrialError::from)?;
    check_sides(&config, &other)?;
    let keys = key_files::of_workload(&config.workload.key).map_err(TrialError::from)?;
    let inputs = Inputs { keys, trace: None };
    let workload = config
        .workload
        .resolve_with(&inputs)
        .map_err(TrialError::from)?;
    let root = Seed(sides.a.seed);
    let run = SplitRun {
        sides,
        root,
        template: template(&workload, sides.phase)?,
        workload: &workload,
        config: &config,
        settings: sides_settings(&config, &other, root)?.map(halved),
        half_of_b: (root.child("half of B").0 % 2) as usize,
        window: design.window,
    };
    let mut aa = new();
    let mut before = Vec::new();
    let mut asked = false;
    run.windows(databases, [Side::A, Side::A], design.blocks_max, |rows| {
        before.push(rows.clone());
        aa.close(rows)?;
        let look = Look {
            is_aa: true,
            so_far: &aa,
        };
        asked = !go_on(&look);
        Ok(!asked)
    })?;
    let mut ab = new();
    let mut stop = asked.then_some(Stop::Asked);
    let most = if asked { 0 } else { before.len() };
    if most > 0 {
        run.windows(databases, [Side::A, Side::B], most, |rows| {
            stop = ab.close(split::corrected(&rows, &before[ab.blocks()]))?;
            let look = Look {
                is_aa: false,
                so_far: &ab,
            };
            if !go_on(&look) {
                stop = stop.take().or(Some(Stop::Asked));
            }
            Ok(stop.is_none())
        })?;
    }
    Ok(LiveResult {
        aa,
        ab,
        stop: stop.unwrap_or(Stop::Longest),
        recovery: [None; 2],
        washout: 0,
    })
}

/// What the two loads of a comparison have in common.
struct SplitRun<'a> {
    sides: &'a LiveSides<'a>,
    root: Seed,
    template: Phase,
    workload: &'a Workload,
    config: &'a TrialConfig,
    /// Those of A and of B, for half of the keys.
    settings: [EngineConfig; 2],
    /// The side of the database that is B's.
    half_of_b: usize,
    /// Operations of a window.
    window: u64,
}

impl SplitRun<'_> {
    /// The side of the database that is A's or B's.
    fn half_of(&self, side: Side) -> usize {
        match side {
            Side::A => 1 - self.half_of_b,
            Side::B => self.half_of_b,
        }
    }

    /// Loads a database in a new world, with the settings `of_halves` on A's half and on B's, and
    /// runs up to `most` windows. `take` gets the rows of each, and says whether there is another.
    fn windows(
        &self,
        databases: &Databases,
        of_halves: [Side; 2],
        most: usize,
        mut take: impl FnMut(Vec<TidyRow>) -> Result<bool, LiveError>,
    ) -> Result<(), LiveError> {
        let directory = databases.directory(&self.sides.a.id, self.config);
        let machine = Machine::new(self.config, self.sides.a.seed, directory)?;
        let mut ran = self.run_on(&machine, of_halves, most, &mut take);
        if !databases.keep {
            let cleaned = machine.clean_up().map_err(TrialError::from);
            ran = ran.and(cleaned.map_err(LiveError::from));
        }
        ran
    }

    fn run_on(
        &self,
        machine: &Machine,
        of_halves: [Side; 2],
        most: usize,
        take: &mut dyn FnMut(Vec<TidyRow>) -> Result<bool, LiveError>,
    ) -> Result<(), LiveError> {
        let meter = Arc::new(Meter::new(extents(self.workload)));
        let [of_a, of_b] = of_halves.map(|side| self.settings[side as usize].clone());
        let settings = match self.half_of_b {
            0 => [of_b, of_a],
            _ => [of_a, of_b],
        };
        let start = (self.root, &meter);
        let opened = Stage::<SplitTarget>::open_sides(
            machine,
            self.config,
            self.workload,
            start,
            Some(settings),
        );
        let mut stage = opened?;
        stage.load(self.config.settle)?;
        let acknowledged = Arc::new(Acknowledged::new(self.workload.records));
        let first = self.workload.phases.first();
        if let Some(phase) = first.filter(|phase| phase.kind == PhaseKind::WarmUp) {
            stage.phase(phase, &acknowledged)?;
        }
        let mut halves = Vec::new();
        for side in [Side::A, Side::B] {
            let half = self.half_of(side);
            halves.push(Half {
                side,
                half,
                trial: empty_trial(self.sides.a, self.config)?,
                from: boundary(&stage.engine, half),
            });
        }
        for number in 0..most {
            for half in &halves {
                stage.engine.take_latencies(half.half);
            }
            let window = self.window(number, &mut stage, &acknowledged)?;
            let mut rows = Vec::new();
            for half in &mut halves {
                rows.extend(half.take(&stage.engine, &window, (number, &self.template)));
            }
            if !take(rows)? {
                break;
            }
        }
        stage.drain()?;
        machine.block_on(space(&stage.engine))?;
        Ok(())
    }

    /// Runs window `number`. One of that number has the same operations on every database.
    fn window(
        &self,
        number: usize,
        stage: &mut Stage<'_, SplitTarget>,
        acknowledged: &Arc<Acknowledged>,
    ) -> Result<PhaseMeasure, TrialError> {
        let mut phase = self.template.clone();
        phase.name = format!("window-{}", number + 1);
        phase.operations = self.window;
        phase.duration = None;
        stage.phase(&phase, acknowledged)
    }
}

/// Where a side stands between two windows.
fn boundary(engine: &SplitTarget, half: usize) -> Boundary {
    Boundary {
        metrics: engine.side_metrics(half),
        ..Boundary::default()
    }
}

/// A half of the keys, as a trial of its own.
struct Half {
    side: Side,
    /// The side of the database.
    half: usize,
    /// Its last two windows: the debt of one begins where that of the one before ends.
    trial: TrialResult,
    /// Where it stood when the last window ended.
    from: Boundary,
}

impl Half {
    /// Takes what the half did in a window of the whole that has ended. Returns its rows.
    fn take(
        &mut self,
        engine: &SplitTarget,
        whole: &PhaseMeasure,
        (number, template): (usize, &Phase),
    ) -> Vec<TidyRow> {
        let to = boundary(engine, self.half);
        let from = std::mem::replace(&mut self.from, to.clone());
        let mut window = PhaseMeasure::quiet(&whole.name, whole.nanos, from, to);
        for (class, latency) in engine.take_latencies(self.half) {
            window.operations.insert(class, latency.len());
            window.latency.insert(class, latency);
        }
        let finished = self.trial.phases.len().saturating_sub(1);
        self.trial.phases.drain(..finished);
        self.trial.phases.push(window);
        let measured = metrics::derive(&self.trial);
        let of_side = measured
            .iter()
            .filter(|row| row.phase == whole.name && split::has(&row.metric));
        let place = (self.side, number as u64 + 1);
        rows_of(&self.trial, of_side, place, template)
    }
}
