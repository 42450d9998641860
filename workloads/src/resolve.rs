//! From what was written to what will run: fills in presets and defaults, and checks every value.

use std::sync::Arc;

use crate::checks::{
    CLIENTS_MAX, COUNT_MAX, ConfigError, PREFIX_BYTES_MAX, check, check_distribution,
    check_duration, check_load, check_mix, check_scan, check_value, require,
};
use crate::config::{
    PhaseConfig, RoleConfig, ScanConfig, TraceConfig, ValueConfig, WorkloadConfig,
};
use crate::distributions::Distribution;
use crate::keys::{KeyOrder, KeySpace, ZERO_PADDING_MAX};
use crate::keyset::FileKeys;
use crate::mix::Mix;
use crate::names;
use crate::op::OpKind;
use crate::pacing::Load;
use crate::phase::{Phase, PhaseKind, Workload};
use crate::preset::Preset;
use crate::preset_parts;
use crate::rates::Rate;
use crate::replay::{Replay, Speed};
use crate::step::Step;
use crate::trace::Operations;

const RECORDS_DEFAULT: u64 = 1000;
const OPERATIONS_DEFAULT: u64 = 1000;
/// YCSB's own, where its files say nothing.
const MIX_DEFAULT: Mix = Mix {
    read: 0.95,
    update: 0.05,
    insert: 0.0,
    scan: 0.0,
    read_modify_write: 0.0,
    delete: 0.0,
    read_absent: 0.0,
};
/// The fastest that a trace may be replayed.
const SPEED_MAX: f64 = 1e6;
/// More than the number of any record if nothing bounds the inserts.
const NUMBERS_MAX: u64 = 1_000_000_000_000_000;

/// What a workload takes from files.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// The keys that `key.file` or `key.generated` names.
    pub keys: Option<Arc<FileKeys>>,
    /// The operations of `trace.file`, ready to be replayed.
    pub trace: Option<Arc<Operations>>,
}

impl From<&Arc<FileKeys>> for Inputs {
    fn from(keys: &Arc<FileKeys>) -> Self {
        Self {
            keys: Some(keys.clone()),
            trace: None,
        }
    }
}

impl WorkloadConfig {
    /// Fills in what this config leaves out.
    ///
    /// ```
    /// use aura_workloads::{Mix, WorkloadConfig};
    ///
    /// let mix = Mix { read: 0.9, update: -0.1, ..Mix::default() };
    /// let config = WorkloadConfig { mix: Some(mix), ..WorkloadConfig::default() };
    /// let error = config.resolve().unwrap_err();
    /// assert_eq!(error.to_string(), "mix.update = -0.1: must be a share of at least 0");
    /// ```
    ///
    /// # Errors
    /// [`ConfigError`] for the first value that is not allowed.
    pub fn resolve(&self) -> Result<Workload, ConfigError> {
        self.resolve_with(&Inputs::default())
    }

    /// Fills in what this config leaves out. `inputs` are what it names.
    ///
    /// # Errors
    /// [`ConfigError`] for the first value that is not allowed, also if the file has too few keys.
    pub fn resolve_with(&self, inputs: &Inputs) -> Result<Workload, ConfigError> {
        if let Some(trace) = &self.trace {
            return self.resolve_trace(trace, inputs.trace.as_ref());
        }
        match self.preset {
            Some(preset) => self.with_parts_of(preset).resolve_own(inputs),
            None => self.resolve_own(inputs),
        }
    }

    /// This config with what its preset sets beside mix and distribution, where it is left out.
    fn with_parts_of(&self, preset: Preset) -> Self {
        let mut config = self.clone();
        config.scan = self.scan.or_else(|| preset_parts::scan(preset));
        if config.value.is_none() {
            config.value = preset_parts::value(preset);
        }
        if preset.is_ordered() && self.key == KeySpace::default() {
            config.key.order = KeyOrder::Ordered;
            config.key.zero_padding = 16;
        }
        let has_own = |phase: &PhaseConfig| !phase.roles.is_empty();
        if let Some(background) = preset_parts::background(preset)
            && self.roles.is_empty()
            && !self.phases.iter().any(has_own)
        {
            let clients = RoleConfig {
                name: "clients".to_owned(),
                clients: config.clients.take(),
                ..RoleConfig::default()
            };
            config.roles = vec![clients, background];
        }
        config
    }

    fn resolve_own(&self, inputs: &Inputs) -> Result<Workload, ConfigError> {
        let keys = inputs.keys.as_ref();
        check_key_file(&self.key, keys)?;
        let available = keys.map(|keys| keys.len());
        let records = self.records.unwrap_or(available.unwrap_or(RECORDS_DEFAULT));
        check("records", records, 1, COUNT_MAX)?;
        if let Some(available) = available {
            let allowed = format!("at most {available}, the distinct keys of the set");
            require(records <= available, "records", records, &allowed)?;
        }
        let clients = self.clients()?;
        check(
            "key.prefix (its length in bytes)",
            self.key.prefix.len(),
            0,
            PREFIX_BYTES_MAX,
        )?;
        check(
            "key.zero_padding",
            self.key.zero_padding,
            0,
            ZERO_PADDING_MAX,
        )?;
        check("key.start", self.key.start, 0, COUNT_MAX)?;
        check("warm_up_operations", self.warm_up_operations, 0, COUNT_MAX)?;
        check("operations", self.operations.unwrap_or(0), 0, COUNT_MAX)?;

        let mut base = self.base(records, clients)?;
        base.keys = keys.cloned();
        let mut phases = self.phases(&base)?;
        if self.warm_up_operations > 0 {
            warm_up(&mut phases, self.warm_up_operations);
        }
        if let Some(available) = available {
            check_keys_last(records, available, &phases)?;
        }
        let counts = KeyCounts::of(records, &phases);
        for phase in &mut phases {
            phase.change_all(|part| {
                part.key_range = counts.range;
                part.numbers = counts.numbers;
            });
        }
        let load = Phase {
            name: names::LOAD.to_owned(),
            kind: PhaseKind::Load,
            operations: records,
            duration: None,
            mix: Mix {
                insert: 1.0,
                ..Mix::default()
            },
            distribution: Distribution::Sequential {},
            load: Load::Closed {},
            key_range: counts.range,
            numbers: counts.numbers,
            ..base
        };
        Ok(Workload {
            preset: self.preset,
            records,
            clients,
            load,
            phases,
        })
    }

    /// The replay of a trace: its load, the warm-up, and all that follows as one phase.
    fn resolve_trace(
        &self,
        config: &TraceConfig,
        trace: Option<&Arc<Operations>>,
    ) -> Result<Workload, ConfigError> {
        self.check_beside_trace()?;
        let refused = |key: &str, why| {
            Err(ConfigError::Misplaced {
                key: format!("trace.{key}"),
                why,
            })
        };
        let Some(trace) = trace else {
            return refused("file", "its operations are given to `resolve_with`");
        };
        if let Speed::Times(speed) = config.speed {
            let inside = speed > 0.0 && speed <= SPEED_MAX;
            require(inside, "trace.speed", speed, "above 0 and at most 1e6")?;
            if !trace.has_times() {
                return refused("speed", "the trace has no times: it can be \"closed\" only");
            }
        }
        let operations = (trace.len() - trace.loads()) as u64;
        if operations == 0 {
            return refused("file", "it holds no operation to replay");
        }
        let warm_up = self.warm_up_operations;
        check("warm_up_operations", warm_up, 0, operations - 1)?;
        let clients = self.clients()?;
        let base = self.base(trace.loads() as u64, clients)?;
        let part = |name: &str, kind, from: usize, to: usize, speed| {
            let replay = Replay::new(trace, from, to, speed, clients);
            Phase {
                name: name.to_owned(),
                kind,
                operations: (to - from) as u64,
                mix: replay.mix(),
                replay: Some(replay),
                ..base.clone()
            }
        };
        let endless = |phase| Phase {
            duration: None,
            ..phase
        };
        let (speed, loads) = (config.speed, trace.loads());
        let measured = loads + warm_up as usize;
        let load = part(names::LOAD, PhaseKind::Load, 0, loads, Speed::default());
        let load = endless(load);
        let mut phases = Vec::new();
        if warm_up > 0 {
            let warm_up = part(names::WARM_UP, PhaseKind::WarmUp, loads, measured, speed);
            phases.push(endless(warm_up));
        }
        phases.push(part(
            names::RUN,
            PhaseKind::Run,
            measured,
            trace.len(),
            speed,
        ));
        Ok(Workload {
            preset: None,
            records: loads as u64,
            clients,
            load,
            phases,
        })
    }

    /// Refuses what a trace decides.
    fn check_beside_trace(&self) -> Result<(), ConfigError> {
        let decided = [
            ("preset", self.preset.is_some()),
            ("records", self.records.is_some()),
            ("operations", self.operations.is_some()),
            ("roles", !self.roles.is_empty()),
            ("key", self.key != KeySpace::default()),
            ("mix", self.mix.is_some()),
            ("distribution", self.distribution.is_some()),
            ("load", self.load.is_some()),
            ("phases", !self.phases.is_empty()),
        ];
        match decided.into_iter().find(|(_, is_given)| *is_given) {
            Some((key, _)) => Err(ConfigError::Misplaced {
                key: key.to_owned(),
                why: "`trace` decides it: leave it out (`trace.limit` bounds the operations, \
                      `trace.speed` the times)",
            }),
            None => Ok(()),
        }
    }

    /// The clients of the load: those of all roles, if there are roles.
    fn clients(&self) -> Result<u32, ConfigError> {
        if self.roles.is_empty() {
            let clients = self.clients.unwrap_or(1);
            check("clients", clients, 1, CLIENTS_MAX)?;
            return Ok(clients);
        }
        if self.clients.is_some() {
            return Err(ConfigError::Misplaced {
                key: "clients".to_owned(),
                why: "roles have clients of their own: leave it out",
            });
        }
        let mut all = 0;
        for (at, role) in self.roles.iter().enumerate() {
            let clients = role.clients.unwrap_or(1);
            check(&format!("roles[{at}].clients"), clients, 1, CLIENTS_MAX)?;
            all += u64::from(clients);
        }
        check("roles (their clients)", all, 1, u64::from(CLIENTS_MAX))?;
        Ok(all as u32)
    }

    /// The phase that all others are variations of.
    fn base(&self, records: u64, clients: u32) -> Result<Phase, ConfigError> {
        let operations = match self.duration {
            Some(_) => Phase::ENDLESS,
            None => OPERATIONS_DEFAULT,
        };
        let defaults = Phase {
            name: names::RUN.to_owned(),
            kind: PhaseKind::Run,
            role: None,
            operations: self.operations.unwrap_or(operations),
            duration: None,
            until: None,
            clients,
            mix: self.preset.map_or(MIX_DEFAULT, Preset::mix),
            distribution: self
                .preset
                .map_or(Distribution::Uniform {}, Preset::distribution),
            scan: ScanConfig::default(),
            value: ValueConfig::default(),
            load: Load::Closed {},
            key: self.key.clone(),
            keys: None,
            replay: None,
            records,
            key_range: records,
            numbers: 0,
            roles: Vec::new(),
        };
        let given = PhaseConfig {
            name: names::RUN.to_owned(),
            step: None,
            operations: None,
            duration: self.duration,
            roles: Vec::new(),
            value: self.value.clone(),
            mix: self.mix,
            distribution: self.distribution,
            scan: self.scan,
            load: self.load,
        };
        varied(&defaults, &given, "")
    }

    fn phases(&self, base: &Phase) -> Result<Vec<Phase>, ConfigError> {
        if self.phases.is_empty() {
            let mut run = base.clone();
            run.roles = roles(&run, &self.roles, "")?;
            return Ok(if run.operations == 0 {
                Vec::new()
            } else {
                vec![run]
            });
        }
        let mut phases: Vec<Phase> = Vec::with_capacity(self.phases.len());
        for (at, config) in self.phases.iter().enumerate() {
            let path = format!("phases[{at}].");
            let phase = match config.step {
                Some(step) => step_phase(base, config, step, &path)?,
                None => self.phase(base, config, &path)?,
            };
            let reserved = names::RESERVED.contains(&phase.name.as_str());
            if reserved || phases.iter().any(|other| other.name == phase.name) {
                return Err(ConfigError::NameTaken {
                    key: format!("{path}name"),
                    name: phase.name,
                });
            }
            check(&format!("{path}name (its length)"), phase.name.len(), 1, 64)?;
            phases.push(phase);
        }
        Ok(phases)
    }

    /// A phase of operations.
    fn phase(&self, base: &Phase, config: &PhaseConfig, path: &str) -> Result<Phase, ConfigError> {
        let mut phase = varied(base, config, path)?;
        let counted = config.operations.or(self.operations).is_some();
        if phase.duration.is_some() && !counted {
            phase.operations = Phase::ENDLESS;
        }
        if !phase.is_endless() {
            check(&format!("{path}operations"), phase.operations, 1, COUNT_MAX)?;
        }
        phase.roles = if config.roles.is_empty() {
            roles(&phase, &self.roles, "")?
        } else {
            roles(&phase, &config.roles, path)?
        };
        Ok(phase)
    }
}

/// Puts a warm-up before the first phase with operations. Each role does as many.
fn warm_up(phases: &mut Vec<Phase>, operations: u64) {
    let Some(at) = phases.iter().position(|phase| phase.step().is_none()) else {
        return;
    };
    let mut warm_up = phases[at].clone();
    warm_up.change_all(|part| {
        names::WARM_UP.clone_into(&mut part.name);
        part.kind = PhaseKind::WarmUp;
        part.operations = operations;
        part.duration = None;
        part.until = None;
    });
    phases.insert(at, warm_up);
}

/// A phase that is a step: it has no other key but a duration, and that only if it waits.
fn step_phase(
    base: &Phase,
    config: &PhaseConfig,
    step: Step,
    path: &str,
) -> Result<Phase, ConfigError> {
    let refused = |key: &str, why| {
        Err(ConfigError::Misplaced {
            key: format!("{path}{key}"),
            why,
        })
    };
    let given = [
        ("operations", config.operations.is_some()),
        ("roles", !config.roles.is_empty()),
        ("value", config.value.is_some()),
        ("mix", config.mix.is_some()),
        ("distribution", config.distribution.is_some()),
        ("scan", config.scan.is_some()),
        ("load", config.load.is_some()),
    ];
    if let Some((key, _)) = given.into_iter().find(|(_, is_given)| *is_given) {
        return refused(key, "a step does no operations: leave it out");
    }
    match (step, config.duration) {
        (Step::Wait, None) => {
            return refused("step", "\"wait\" needs a `duration`, such as \"10s\"");
        }
        (Step::Wait, Some(duration)) => check_duration(&format!("{path}duration"), duration)?,
        (_, Some(_)) => return refused("duration", "of the steps only \"wait\" takes it"),
        (_, None) => {}
    }
    Ok(Phase {
        name: config.name.clone(),
        kind: PhaseKind::Step(step),
        operations: 0,
        duration: config.duration,
        ..base.clone()
    })
}

/// The roles of `phase`; `configs` stand in the table at `path`.
fn roles(phase: &Phase, configs: &[RoleConfig], path: &str) -> Result<Vec<Phase>, ConfigError> {
    let mut roles: Vec<Phase> = Vec::with_capacity(configs.len());
    for (at, config) in configs.iter().enumerate() {
        let path = format!("{path}roles[{at}].");
        let name = Some(config.name.clone());
        if roles.iter().any(|other| other.role == name) {
            return Err(ConfigError::NameTaken {
                key: format!("{path}name"),
                name: config.name.clone(),
            });
        }
        roles.push(role(phase, config, &path)?);
    }
    let ends = |role: &Phase| role.until.is_none() || !role.is_endless();
    if !roles.is_empty() && phase.duration.is_none() && !roles.iter().any(ends) {
        return Err(ConfigError::Misplaced {
            key: format!("{path}roles"),
            why: "every role goes on until the others end: one must end by itself, or the phase \
                  needs a `duration`",
        });
    }
    Ok(roles)
}

fn role(phase: &Phase, config: &RoleConfig, path: &str) -> Result<Phase, ConfigError> {
    check(
        &format!("{path}name (its length)"),
        config.name.len(),
        1,
        64,
    )?;
    let clients = config.clients.unwrap_or(1);
    check(&format!("{path}clients"), clients, 1, CLIENTS_MAX)?;
    let given = PhaseConfig {
        name: phase.name.clone(),
        operations: config.operations,
        value: config.value.clone(),
        mix: config.mix,
        distribution: config.distribution,
        scan: config.scan,
        load: config.load,
        ..PhaseConfig::default()
    };
    let mut role = varied(phase, &given, path)?;
    if let Some(operations) = config.operations {
        check(&format!("{path}operations"), operations, 1, COUNT_MAX)?;
    } else if config.until.is_some() {
        role.operations = Phase::ENDLESS;
    }
    role.role = Some(config.name.clone());
    role.clients = clients;
    role.until = config.until;
    Ok(role)
}

/// Checks that `key` names a file and says how it is written, or neither.
fn check_key_file(key: &KeySpace, keys: Option<&Arc<FileKeys>>) -> Result<(), ConfigError> {
    let refused = |key: &str, why| {
        Err(ConfigError::Misplaced {
            key: format!("key.{key}"),
            why,
        })
    };
    let spelt = KeySpace::default();
    match (&key.file, key.format, &key.digest) {
        (Some(_), ..) if key.generated.is_some() => {
            return refused(
                "generated",
                "keys come from `key.file`: leave one of them out",
            );
        }
        (Some(_), None, _) => {
            return refused(
                "file",
                "its `key.format` is missing: sosd-u64, sosd-u32 or lines",
            );
        }
        (None, Some(_), _) => {
            return refused("format", "it is that of `key.file`, which is missing");
        }
        (None, _, Some(_)) => {
            return refused("digest", "it is that of `key.file`, which is missing");
        }
        (None, None, None) if key.generated.is_none() => return Ok(()),
        _ => {}
    }
    if key.prefix != spelt.prefix {
        return refused(
            "prefix",
            "keys of a set are taken as they are: leave it out",
        );
    }
    if key.zero_padding != spelt.zero_padding {
        return refused(
            "zero_padding",
            "keys of a set are taken as they are: leave it out",
        );
    }
    if key.start != 0 {
        return refused("start", "keys of a set are taken as they are: leave it out");
    }
    if keys.is_none() {
        return refused("file", "the keys of a file are given to `resolve_with`");
    }
    Ok(())
}

/// Checks that the file has a key for every insert that is expected: it is certain that they do not
/// suffice if all operations are inserts, and likely otherwise. What time ends is not known.
fn check_keys_last(records: u64, available: u64, phases: &[Phase]) -> Result<(), ConfigError> {
    let mut last = records as f64;
    for phase in phases {
        for part in phase.parts() {
            if part.does(OpKind::Insert) && !part.is_endless() && part.duration.is_none() {
                last += part.operations as f64 * part.mix.probability(OpKind::Insert);
            }
        }
    }
    let allowed = format!(
        "small enough for {} inserts: the file has {available} distinct keys",
        last - records as f64
    );
    require(last <= available as f64, "records", records, &allowed)
}

/// How many key numbers there are.
struct KeyCounts {
    /// Those that the zipfian distributions draw from.
    range: u64,
    /// More than any record's.
    numbers: u64,
}

impl KeyCounts {
    fn of(records: u64, phases: &[Phase]) -> Self {
        let parts = || phases.iter().flat_map(Phase::parts);
        let range = records + parts().map(room_for_inserts).sum::<u64>();
        let unbounded = |part: &Phase| part.is_endless() && part.does(OpKind::Insert);
        Self {
            range,
            numbers: if parts().any(unbounded) {
                NUMBERS_MAX
            } else {
                2 * range + 1000
            },
        }
    }
}

/// YCSB's room for new keys in the zipfian range: twice the inserts expected. Without an end of the
/// operations they follow from the rate, and in a closed loop nothing is known of them.
fn room_for_inserts(phase: &Phase) -> u64 {
    let by_time = |rate: Rate| match phase.duration {
        Some(duration) => {
            let rate = rate.in_phase(phase.duration, None);
            rate.operations_until(duration.as_secs_f64())
        }
        None => f64::INFINITY,
    };
    let counted = if phase.is_endless() {
        f64::INFINITY
    } else {
        phase.operations as f64
    };
    let operations = counted.min(phase.load.rates().map_or(f64::INFINITY, by_time));
    if operations.is_infinite() {
        return 0;
    }
    let room = operations * phase.mix.probability(OpKind::Insert) * 2.0;
    (room as u64).min(COUNT_MAX)
}

/// `base` with the settings of `config`, which stands at `path`.
fn varied(base: &Phase, config: &PhaseConfig, path: &str) -> Result<Phase, ConfigError> {
    let phase = Phase {
        name: config.name.clone(),
        operations: config.operations.unwrap_or(base.operations),
        duration: config.duration.or(base.duration),
        value: config.value.clone().unwrap_or_else(|| base.value.clone()),
        mix: config.mix.unwrap_or(base.mix),
        distribution: config.distribution.unwrap_or(base.distribution),
        scan: config.scan.unwrap_or(base.scan),
        load: config.load.unwrap_or(base.load),
        ..base.clone()
    };
    if let Some(duration) = phase.duration {
        check_duration(&format!("{path}duration"), duration)?;
    }
    check_mix(&format!("{path}mix"), &phase.mix)?;
    check_distribution(
        &format!("{path}distribution"),
        phase.distribution,
        phase.records,
    )?;
    check_scan(&format!("{path}scan"), phase.scan)?;
    check_value(&format!("{path}value"), &phase.value)?;
    check_load(&format!("{path}load"), phase.load)?;
    Ok(phase)
}
