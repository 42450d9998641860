//! Checks of the values in a config. An error names the key as it stands there, its value, and the
//! values allowed.

use std::time::Duration;

use crate::config::{ScanConfig, ValueConfig};
use crate::distributions::{Distribution, Drift, RANGES_MAX, RangeLaw, RankLaw, hot_records};
use crate::lengths::{Length, LengthDistribution};
use crate::mix::Mix;
use crate::op::OpKind;
use crate::pacing::Load;
use crate::rates::Rate;
use crate::sizes::{Sizes, WeightedLength};

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
    /// A key has no meaning beside another one.
    #[error("{key}: {why}")]
    Misplaced {
        /// The path of the key.
        key: String,
        /// What is in the way.
        why: &'static str,
    },
    /// Another phase, or the harness, has this name. Seeds are derived from names, so two phases of
    /// one name would request the same keys.
    #[error(
        "{key} = \"{name}\": the name is already taken; names of phases are unique, and \
             those of the roles of one phase"
    )]
    NameTaken {
        /// The path of the key.
        key: String,
        /// The name.
        name: String,
    },
}

impl ConfigError {
    /// The path of the key that is wrong, relative to the workload's table.
    pub fn key(&self) -> &str {
        match self {
            Self::OutOfRange { key, .. }
            | Self::Misplaced { key, .. }
            | Self::NameTaken { key, .. } => key,
        }
    }
}

/// Beyond any workload, and small enough for exact sums in 64 bits and in `f64`.
pub(crate) const COUNT_MAX: u64 = 1_000_000_000_000;
pub(crate) const CLIENTS_MAX: u32 = 65_536;
/// A month: beyond it a mistake is likelier.
pub(crate) const DURATION_MAX: Duration = Duration::from_secs(31 * 24 * 3600);
pub(crate) const PREFIX_BYTES_MAX: usize = 1024;
pub(crate) const VALUE_BYTES_MAX: u64 = 256 << 20;
pub(crate) const MIXED_LENGTHS_MAX: usize = 64;
const FIELDS_MAX: u32 = 10_000;
pub(crate) const RATE_MAX: f64 = 1e9;
/// The largest median or scale of a law of lengths.
pub(crate) const LENGTH_MAX: f64 = 1e12;

/// Checks how long a phase lasts.
pub(crate) fn check_duration(key: &str, duration: Duration) -> Result<(), ConfigError> {
    let inside = !duration.is_zero() && duration <= DURATION_MAX;
    let value = format!("{duration:?}");
    require(inside, key, value, "above 0 and at most 31 days")
}

pub(crate) fn check_mix(key: &str, mix: &Mix) -> Result<(), ConfigError> {
    for kind in OpKind::ALL {
        check_share(&format!("{key}.{}", kind.name()), mix.share(kind))?;
    }
    check_sum(&format!("{key} (its sum)"), mix.total())
}

pub(crate) fn check_distribution(
    key: &str,
    distribution: Distribution,
    records: u64,
) -> Result<(), ConfigError> {
    match distribution {
        Distribution::Uniform {}
        | Distribution::YcsbZipfian {}
        | Distribution::Sequential {}
        | Distribution::Oldest {} => Ok(()),
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
        Distribution::Mixgraph { .. } => match distribution.mixgraph_laws() {
            Some((ranges, ranks)) => check_mixgraph(key, records, ranges, ranks),
            None => Ok(()),
        },
    }
}

/// Each range must hold a key, one must be requested, and every rank must have a number.
fn check_mixgraph(
    key: &str,
    records: u64,
    ranges: RangeLaw,
    ranks: RankLaw,
) -> Result<(), ConfigError> {
    let within = |name: &str, value: f64, min: f64, max: f64| {
        check(&format!("{key}.{name}"), value, min, max)
    };
    within("key_dist_a", ranks.a, 0.0, 1.0)?;
    within("key_dist_b", ranks.b, 0.0, 10.0)?;
    let last = ranks.rank(1.0);
    let allowed = format!("large enough for fewer than 1e18 ranks: (1 / a)^(1 / b) = {last:.1e}");
    let is_off = ranks.a == 0.0 || ranks.b == 0.0;
    let key_a = format!("{key}.key_dist_a");
    require(is_off || last < 1e18, &key_a, ranks.a, &allowed)?;
    let most = records.min(RANGES_MAX);
    check(&format!("{key}.keyrange_num"), ranges.ranges, 1, most)?;
    within("keyrange_dist_a", ranges.a, -1e6, 1e6)?;
    within("keyrange_dist_b", ranges.b, -100.0, 100.0)?;
    within("keyrange_dist_c", ranges.c, -1e6, 1e6)?;
    within("keyrange_dist_d", ranges.d, -100.0, 100.0)?;
    let allowed = "such that a e^(b i) + c e^(d i) is above 1e-16 for some range i, and all of \
                   them together at most 9e15 times that of the last such range";
    let key_a = format!("{key}.keyrange_dist_a");
    require(ranges.weights().is_some(), &key_a, ranges.a, allowed)
}

pub(crate) fn check_load(key: &str, load: Load) -> Result<(), ConfigError> {
    if let Some(rate) = load.rates() {
        check_rate(&format!("{key}.rate"), rate)?;
    }
    match load {
        Load::Closed {} | Load::Constant { .. } | Load::Poisson { .. } => Ok(()),
        Load::Gamma { shape, .. } => check(&format!("{key}.shape"), shape, 0.01, 1000.0),
        Load::Weibull { shape, .. } => check(&format!("{key}.shape"), shape, 0.1, 1000.0),
        Load::Lognormal { sigma, .. } => check(&format!("{key}.sigma"), sigma, 0.01, 4.0),
        Load::Pareto { shape, .. } => check(&format!("{key}.shape"), shape, 1.01, 1000.0),
    }
}

fn check_rate(key: &str, rate: Rate) -> Result<(), ConfigError> {
    let within = |name: &str, value: f64, min: f64, max: f64| {
        check(&format!("{key}.{name}"), value, min, max)
    };
    match rate {
        Rate::Constant(rate) => {
            let inside = rate > 0.0 && rate <= RATE_MAX;
            require(inside, key, rate, "above 0 and at most 1e9")
        }
        Rate::Ramp(ramp) => {
            within("from", ramp.from, 0.0, RATE_MAX)?;
            let inside = ramp.to > 0.0 && ramp.to <= RATE_MAX;
            require(
                inside,
                &format!("{key}.to"),
                ramp.to,
                "above 0 and at most 1e9",
            )?;
            let over = ramp.over.unwrap_or(DURATION_MAX);
            check_duration(&format!("{key}.over"), over)
        }
        Rate::Wave(wave) => {
            let inside = wave.mean > 0.0 && wave.mean <= RATE_MAX;
            require(
                inside,
                &format!("{key}.mean"),
                wave.mean,
                "above 0 and at most 1e9",
            )?;
            within("amplitude", wave.amplitude, 0.0, wave.mean)?;
            within("phase", wave.phase, -100.0, 100.0)?;
            check_duration(&format!("{key}.period"), wave.period)
        }
        Rate::Bursts(bursts) => {
            within("base", bursts.base, 0.0, RATE_MAX)?;
            let inside = bursts.burst > 0.0 && bursts.burst <= RATE_MAX;
            require(
                inside,
                &format!("{key}.burst"),
                bursts.burst,
                "above 0 and at most 1e9",
            )?;
            check_duration(&format!("{key}.every"), bursts.every)?;
            let inside = !bursts.length.is_zero() && bursts.length < bursts.every;
            let length = format!("{:?}", bursts.length);
            require(
                inside,
                &format!("{key}.length"),
                length,
                "above 0 and below `every`",
            )
        }
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
        LengthDistribution::GeneralizedPareto { k, sigma, theta } => {
            let name = |name: &str| format!("{key}.generalized-pareto.{name}");
            check(&name("k"), k, 0.0, 100.0)?;
            check(&name("theta"), theta, 0.0, LENGTH_MAX)?;
            positive("generalized-pareto.sigma", sigma, LENGTH_MAX)
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

pub(crate) fn check_scan(key: &str, scan: ScanConfig) -> Result<(), ConfigError> {
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

pub(crate) fn check_value(key: &str, value: &ValueConfig) -> Result<(), ConfigError> {
    check(
        &format!("{key}.compressibility"),
        value.compressibility,
        0.0,
        1.0,
    )?;
    check_sizes(&format!("{key}.bytes"), &value.bytes)
}

fn check_sizes(key: &str, sizes: &Sizes) -> Result<(), ConfigError> {
    match sizes {
        Sizes::One(length) => check_length(key, *length),
        Sizes::Mixed(parts) => check_mixed_lengths(key, parts),
        Sizes::Fields(record) => {
            check(&format!("{key}.fields"), record.fields, 1, FIELDS_MAX)?;
            let is_record = matches!(*record.bytes, Sizes::Fields(_));
            let allowed = "the length of a field, which has no fields of its own";
            require(
                !is_record,
                &format!("{key}.bytes.fields"),
                record.fields,
                allowed,
            )?;
            check_sizes(&format!("{key}.bytes"), &record.bytes)?;
            let most = *sizes.range().end();
            let allowed =
                format!("small enough for a value of {VALUE_BYTES_MAX} bytes, not {most}");
            require(
                most <= VALUE_BYTES_MAX,
                &format!("{key}.fields"),
                record.fields,
                &allowed,
            )
        }
    }
}

fn check_length(key: &str, length: Length) -> Result<(), ConfigError> {
    match length {
        Length::Constant(bytes) => check(key, bytes, 0, VALUE_BYTES_MAX),
        Length::Range(range) => {
            check(&format!("{key}.max"), range.max, 0, VALUE_BYTES_MAX)?;
            check(&format!("{key}.min"), range.min, 0, range.max)?;
            check_lengths(&format!("{key}.distribution"), range.distribution)
        }
    }
}

pub(crate) fn check_mixed_lengths(key: &str, parts: &[WeightedLength]) -> Result<(), ConfigError> {
    check(
        &format!("{key} (its entries)"),
        parts.len(),
        1,
        MIXED_LENGTHS_MAX,
    )?;
    for (at, part) in parts.iter().enumerate() {
        check_share(&format!("{key}[{at}].share"), part.share)?;
        check_length(&format!("{key}[{at}].bytes"), part.bytes)?;
    }
    let total = parts.iter().map(|part| part.share).sum();
    check_sum(&format!("{key} (the sum of its shares)"), total)
}

/// Checks one of several shares.
fn check_share(key: &str, share: f64) -> Result<(), ConfigError> {
    let inside = (0.0..=1e9).contains(&share);
    require(inside, key, share, "a share of at least 0")
}

/// Checks the sum of shares.
fn check_sum(key: &str, total: f64) -> Result<(), ConfigError> {
    require(total > 1e-9, key, total, "above 0")
}

pub(crate) fn check<T: PartialOrd + std::fmt::Display + Copy>(
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

pub(crate) fn require(
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
