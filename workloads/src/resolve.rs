//! From what was written to what will run: fills in presets and defaults, and checks every value.
//!
//! An error names the key as it stands in the config, its value, and the values allowed.

use crate::config::{PhaseConfig, ScanConfig, ValueConfig, WorkloadConfig};
use crate::distributions::{Distribution, Drift, hot_records};
use crate::keys::ZERO_PADDING_MAX;
use crate::lengths::{Length, LengthDistribution};
use crate::mix::Mix;
use crate::names;
use crate::op::OpKind;
use crate::pacing::Load;
use crate::phase::{Phase, PhaseKind, Workload};
use crate::preset::Preset;

/// Why a workload config cannot be run. Keys are relative to the workload's table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A value lies outside its range.
    #[error("{key} = {value}: must be {allowed}")]
    OutOfRange {
        /// The path of the key, for example `phases[1].distribution.theta`.
        key: String,
        /// Its value.
        value: String,
        /// The values allowed.
        allowed: String,
    },
    /// Another phase, or the harness, has this name. Seeds are derived from names, so two phases of
    /// one name would request the same keys.
    #[error("{key} = \"{name}\": the name is already taken; names of phases are unique")]
    NameTaken {
        /// The path of the key.
        key: String,
        /// The name.
        name: String,
    },
}

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
/// Beyond any workload, and small enough for exact sums in 64 bits and in `f64`.
const COUNT_MAX: u64 = 1_000_000_000_000;
const CLIENTS_MAX: u32 = 65_536;
const PREFIX_BYTES_MAX: usize = 1024;
const VALUE_BYTES_MAX: u64 = 256 << 20;
const RATE_MAX: f64 = 1e9;
/// The largest median or scale of a law of lengths.
const LENGTH_MAX: f64 = 1e12;
const RUN_NAME: &str = "run";

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
        let records = self.records.unwrap_or(RECORDS_DEFAULT);
        let clients = self.clients.unwrap_or(1);
        check("records", records, 1, COUNT_MAX)?;
        check("clients", clients, 1, CLIENTS_MAX)?;
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
        check("warm_up_operations", self.warm_up_operations, 0, COUNT_MAX)?;
        check("operations", self.operations.unwrap_or(0), 0, COUNT_MAX)?;

        let base = self.base(records, clients)?;
        let mut phases = self.phases(&base)?;
        if let Some(first) = phases.first().filter(|_| self.warm_up_operations > 0) {
            let warm_up = Phase {
                name: names::WARM_UP.to_owned(),
                kind: PhaseKind::WarmUp,
                operations: self.warm_up_operations,
                ..first.clone()
            };
            phases.insert(0, warm_up);
        }
        let key_range = records + phases.iter().map(room_for_inserts).sum::<u64>();
        for phase in &mut phases {
            phase.key_range = key_range;
        }
        let load = Phase {
            name: names::LOAD.to_owned(),
            kind: PhaseKind::Load,
            operations: records,
            mix: Mix {
                insert: 1.0,
                ..Mix::default()
            },
            distribution: Distribution::Sequential {},
            load: Load::Closed {},
            key_range,
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

    /// The phase that all others are variations of.
    fn base(&self, records: u64, clients: u32) -> Result<Phase, ConfigError> {
        let defaults = Phase {
            name: RUN_NAME.to_owned(),
            kind: PhaseKind::Run,
            operations: self.operations.unwrap_or(OPERATIONS_DEFAULT),
            clients,
            mix: self.preset.map_or(MIX_DEFAULT, Preset::mix),
            distribution: self
                .preset
                .map_or(Distribution::Uniform {}, Preset::distribution),
            scan: ScanConfig::default(),
            value: ValueConfig::default(),
            load: Load::Closed {},
            key: self.key.clone(),
            records,
            key_range: records,
        };
        let given = PhaseConfig {
            name: RUN_NAME.to_owned(),
            operations: None,
            value: self.value,
            mix: self.mix,
            distribution: self.distribution,
            scan: self.scan,
            load: self.load,
        };
        varied(&defaults, &given, "")
    }

    fn phases(&self, base: &Phase) -> Result<Vec<Phase>, ConfigError> {
        if self.phases.is_empty() {
            return Ok(if base.operations == 0 {
                Vec::new()
            } else {
                vec![base.clone()]
            });
        }
        let mut phases: Vec<Phase> = Vec::with_capacity(self.phases.len());
        for (at, config) in self.phases.iter().enumerate() {
            let path = format!("phases[{at}].");
            let phase = varied(base, config, &path)?;
            check(&format!("{path}operations"), phase.operations, 1, COUNT_MAX)?;
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
}

/// YCSB's room for new keys in the zipfian range: twice the inserts expected.
fn room_for_inserts(phase: &Phase) -> u64 {
    (phase.operations as f64 * phase.mix.probability(OpKind::Insert) * 2.0) as u64
}

/// `base` with the settings of `config`, which stands at `path`.
fn varied(base: &Phase, config: &PhaseConfig, path: &str) -> Result<Phase, ConfigError> {
    let phase = Phase {
        name: config.name.clone(),
        operations: config.operations.unwrap_or(base.operations),
        value: config.value.unwrap_or(base.value),
        mix: config.mix.unwrap_or(base.mix),
        distribution: config.distribution.unwrap_or(base.distribution),
        scan: config.scan.unwrap_or(base.scan),
        load: config.load.unwrap_or(base.load),
        ..base.clone()
    };
    check_mix(&format!("{path}mix"), &phase.mix)?;
    check_distribution(
        &format!("{path}distribution"),
        phase.distribution,
        phase.records,
    )?;
    check_scan(&format!("{path}scan"), phase.scan)?;
    check_value(&format!("{path}value"), phase.value)?;
    check_load(&format!("{path}load"), phase.load)?;
    Ok(phase)
}

fn check_mix(key: &str, mix: &Mix) -> Result<(), ConfigError> {
    for kind in OpKind::ALL {
        let share = mix.share(kind);
        let key = format!("{key}.{}", kind.name());
        require(
            (0.0..=1e9).contains(&share),
            &key,
            share,
            "a share of at least 0",
        )?;
    }
    require(
        mix.total() > 1e-9,
        &format!("{key} (its sum)"),
        mix.total(),
        "above 0",
    )
}

fn check_distribution(
    key: &str,
    distribution: Distribution,
    records: u64,
) -> Result<(), ConfigError> {
    match distribution {
        Distribution::Uniform {} | Distribution::YcsbZipfian {} | Distribution::Sequential {} => {
            Ok(())
        }
        Distribution::Latest {} => {
            let allowed = "at least 2 when distribution.kind = \"latest\"";
            require(records >= 2, "records", records, allowed)
        }
        Distribution::Zipfian { theta, .. } => {
            let inside = theta > 0.0 && theta < 2.0;
            require(
                inside,
                &format!("{key}.theta"),
                theta,
                "between 0 and 2, both excluded",
            )
        }
        Distribution::Hotspot {
            data_fraction,
            operation_fraction,
            drift,
        } => {
            check_hotspot(key, records, data_fraction, operation_fraction)?;
            drift.map_or(Ok(()), |drift| check_drift(&format!("{key}.drift"), drift))
        }
        Distribution::Exponential {
            percentile,
            fraction,
        } => {
            let inside = (1.0..100.0).contains(&percentile);
            require(
                inside,
                &format!("{key}.percentile"),
                percentile,
                "in [1, 100)",
            )?;
            let inside = fraction > 0.0 && fraction <= 1.0;
            require(
                inside,
                &format!("{key}.fraction"),
                fraction,
                "above 0 and at most 1",
            )
        }
    }
}

fn check_load(key: &str, load: Load) -> Result<(), ConfigError> {
    if let Some(rate) = load.rate() {
        let inside = rate > 0.0 && rate <= RATE_MAX;
        require(
            inside,
            &format!("{key}.rate"),
            rate,
            "above 0 and at most 1e9",
        )?;
    }
    match load {
        Load::Closed {} | Load::Constant { .. } | Load::Poisson { .. } => Ok(()),
        Load::Gamma { shape, .. } => check(&format!("{key}.shape"), shape, 0.01, 1000.0),
        Load::Weibull { shape, .. } => check(&format!("{key}.shape"), shape, 0.1, 1000.0),
        Load::Lognormal { sigma, .. } => check(&format!("{key}.sigma"), sigma, 0.01, 4.0),
        Load::Pareto { shape, .. } => check(&format!("{key}.shape"), shape, 1.01, 1000.0),
    }
}

/// Checks the parameters of a law of lengths.
fn check_lengths(key: &str, distribution: LengthDistribution) -> Result<(), ConfigError> {
    let positive = |name: &str, value: f64, max: f64| {
        let inside = value > 0.0 && value <= max;
        let allowed = format!("above 0 and at most {max}");
        require(inside, &format!("{key}.{name}"), value, &allowed)
    };
    match distribution {
        LengthDistribution::Uniform | LengthDistribution::Zipfian => Ok(()),
        LengthDistribution::Zipf { theta } => positive("zipf.theta", theta, 10.0),
        LengthDistribution::Lognormal { median, sigma } => {
            positive("lognormal.median", median, LENGTH_MAX)?;
            positive("lognormal.sigma", sigma, 10.0)
        }
        LengthDistribution::Pareto { scale, shape } => {
            positive("pareto.scale", scale, LENGTH_MAX)?;
            positive("pareto.shape", shape, 1000.0)
        }
        LengthDistribution::Gamma { shape, scale } => {
            positive("gamma.shape", shape, 1000.0)?;
            positive("gamma.scale", scale, LENGTH_MAX)
        }
        LengthDistribution::Weibull { shape, scale } => {
            positive("weibull.shape", shape, 1000.0)?;
            positive("weibull.scale", scale, LENGTH_MAX)
        }
    }
}

/// Both parts must hold a record if operations go there. YCSB divides by zero here.
fn check_hotspot(
    key: &str,
    records: u64,
    data_fraction: f64,
    operation_fraction: f64,
) -> Result<(), ConfigError> {
    let data_key = format!("{key}.data_fraction");
    check(&data_key, data_fraction, 0.0, 1.0)?;
    check(
        &format!("{key}.operation_fraction"),
        operation_fraction,
        0.0,
        1.0,
    )?;
    let hot = hot_records(records, data_fraction);
    let allowed = format!("large enough for one hot record of {records}");
    require(
        hot > 0 || operation_fraction <= 0.0,
        &data_key,
        data_fraction,
        &allowed,
    )?;
    let allowed = format!("small enough for one cold record of {records}");
    require(
        hot < records || operation_fraction >= 1.0,
        &data_key,
        data_fraction,
        &allowed,
    )
}

fn check_drift(key: &str, drift: Drift) -> Result<(), ConfigError> {
    check(&format!("{key}.fraction"), drift.fraction, 0.0, 1.0)?;
    check(
        &format!("{key}.every_operations"),
        drift.every_operations,
        1,
        COUNT_MAX,
    )
}

fn check_scan(key: &str, scan: ScanConfig) -> Result<(), ConfigError> {
    check(&format!("{key}.min_length"), scan.min_length, 1, u32::MAX)?;
    let allowed = format!("at least min_length = {}", scan.min_length);
    let ordered = scan.max_length >= scan.min_length;
    let max_key = format!("{key}.max_length");
    require(ordered, &max_key, scan.max_length, &allowed)?;
    check_lengths(
        &format!("{key}.length_distribution"),
        scan.length_distribution,
    )
}

fn check_value(key: &str, value: ValueConfig) -> Result<(), ConfigError> {
    check(
        &format!("{key}.compressibility"),
        value.compressibility,
        0.0,
        1.0,
    )?;
    match value.bytes {
        Length::Constant(bytes) => check(&format!("{key}.bytes"), bytes, 0, VALUE_BYTES_MAX),
        Length::Range(range) => {
            check(&format!("{key}.bytes.max"), range.max, 0, VALUE_BYTES_MAX)?;
            check(&format!("{key}.bytes.min"), range.min, 0, range.max)?;
            check_lengths(&format!("{key}.bytes.distribution"), range.distribution)
        }
    }
}

fn check<T: PartialOrd + std::fmt::Display + Copy>(
    key: &str,
    value: T,
    min: T,
    max: T,
) -> Result<(), ConfigError> {
    require(
        value >= min && value <= max,
        key,
        value,
        &format!("{min} to {max}"),
    )
}

fn require(
    holds: bool,
    key: &str,
    value: impl std::fmt::Display,
    allowed: &str,
) -> Result<(), ConfigError> {
    if holds {
        return Ok(());
    }
    let key = key.to_owned();
    let value = value.to_string();
    let allowed = allowed.to_owned();
    Err(ConfigError::OutOfRange {
        key,
        value,
        allowed,
    })
}
