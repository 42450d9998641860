//! Readings as OpenMetrics text.
//!
//! A metric has the name of the engine's registry, with `aura_` before it and its unit at its end:
//! `compaction.write_bytes` becomes `aura_compaction_write_bytes_total`. Times are in seconds, as
//! Prometheus asks. Ratios are left out: they are quotients of counters, over whatever window the
//! reader chooses.

use std::fmt;

use aura_engine::{
    Ailment, Health, Latency, LevelState, METRICS, MetricEntry, MetricSource, Reading,
    TimedOperation,
};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

/// The content type of the text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Exponents of two of the buckets' bounds in nanoseconds: 256 ns to 17 s.
const BUCKETS: std::ops::RangeInclusive<u32> = 8..=34;

/// The states of health, in the order of their gauges.
const STATES: [&str; 3] = ["ok", "degraded", "failed"];

/// A reading as OpenMetrics text, which ends with `# EOF`.
///
/// ```
/// use aura_engine::{Health, Reading};
/// use aura_experiments::endpoint::open_metrics;
///
/// let text = open_metrics(Reading::default(), Health::Ok);
/// assert!(text.contains("aura_compaction_write_bytes_total 0\n"));
/// assert!(text.ends_with("# EOF\n"));
/// ```
pub fn open_metrics(reading: Reading, health: Health) -> String {
    let mut registry = Registry::with_prefix("aura");
    registry.register_collector(Box::new(Collected { reading, health }));
    let mut text = String::new();
    // Only writing to the text could fail, and it cannot.
    let _ = encode(&mut text, &registry);
    text
}

#[derive(Debug)]
struct Collected {
    reading: Reading,
    health: Health,
}

impl Collector for Collected {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.clock(&mut encoder)?;
        for entry in METRICS.iter() {
            self.number(&mut encoder, entry)?;
        }
        self.levels(&mut encoder)?;
        self.latencies(&mut encoder)?;
        self.health(&mut encoder)
    }
}

impl Collected {
    /// The time that rates are to be taken over: of a simulated engine, it is not the reader's.
    fn clock(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "The engine's clock, from a moment of its own";
        let unit = Unit::Seconds;
        let metric = encoder.encode_descriptor("clock", help, Some(&unit), MetricType::Gauge)?;
        ConstGauge::new(self.reading.at_nanos as f64 / 1e9).encode(metric)
    }

    /// Writes a counter or a gauge.
    fn number(&self, encoder: &mut DescriptorEncoder<'_>, entry: &MetricEntry) -> fmt::Result {
        let metrics = &self.reading.metrics;
        let (value, kind) = match entry.source {
            MetricSource::Counter(value) => (value(metrics), MetricType::Counter),
            MetricSource::Gauge(value) => (value(metrics), MetricType::Gauge),
            MetricSource::Ratio(_) | MetricSource::Latency(_) => return Ok(()),
        };
        let (name, unit) = name_and_unit(entry);
        let help = entry.help.trim_end_matches('.');
        let metric = encoder.encode_descriptor(&name, help, unit.as_ref(), kind)?;
        let seconds = (entry.unit == "ns").then_some(value as f64 / 1e9);
        match (kind, seconds) {
            (MetricType::Counter, Some(seconds)) => ConstCounter::new(seconds).encode(metric),
            (MetricType::Counter, None) => ConstCounter::new(value).encode(metric),
            _ => ConstGauge::new(value).encode(metric),
        }
    }

    /// The state of each level.
    fn levels(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        type Of = fn(&LevelState) -> u64;
        let families: [(&str, &str, Option<Unit>, Of); 3] = [
            ("level_runs", "Sorted runs of the level", None, |it| it.runs),
            ("level_tables", "Tables of the level", None, |it| it.tables),
            (
                "level",
                "Bytes of the level's tables",
                Some(Unit::Bytes),
                |it| it.bytes,
            ),
        ];
        for (name, help, unit, of) in families {
            let kind = MetricType::Gauge;
            let mut metric = encoder.encode_descriptor(name, help, unit.as_ref(), kind)?;
            for (level, state) in self.reading.metrics.levels.iter().enumerate() {
                let labels = [("level", level.to_string())];
                ConstGauge::new(of(state)).encode(metric.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn latencies(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Time of operations, of those that were timed";
        let unit = Unit::Seconds;
        let kind = MetricType::Histogram;
        let mut metric = encoder.encode_descriptor("operation_latency", help, Some(&unit), kind)?;
        for operation in TimedOperation::ALL {
            let labels = [("operation", operation.name())];
            let latency = self.reading.latencies.of(operation);
            histogram(metric.encode_family(&labels)?, latency)?;
        }
        Ok(())
    }

    fn health(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "The engine's health: 1 for the state it is in";
        let mut metric = encoder.encode_descriptor("health", help, None, MetricType::Gauge)?;
        for state in STATES {
            let is_in = u64::from(self.health.state() == state);
            let labels = [("state", state)];
            ConstGauge::new(is_in).encode(metric.encode_family(&labels)?)?;
        }
        let help = "What is wrong with the engine: 1 for each ailment it has";
        let mut metric = encoder.encode_descriptor("ailment", help, None, MetricType::Gauge)?;
        for ailment in Ailment::ALL {
            let has = match &self.health {
                Health::Degraded { symptoms } => symptoms.iter().any(|it| it.ailment == ailment),
                Health::Ok | Health::Failed { .. } => false,
            };
            let labels = [("ailment", ailment.name())];
            ConstGauge::new(u64::from(has)).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// Writes a histogram with the buckets that every histogram has.
fn histogram(mut metric: MetricEncoder<'_>, latency: &Latency) -> fmt::Result {
    let mut buckets = Vec::new();
    let mut below = 0;
    for exponent in BUCKETS {
        let bound = 1u64 << exponent;
        let at_most = latency.cumulative().take_while(|it| it.0 < bound).last();
        let sum = at_most.map_or(0, |it| it.1);
        buckets.push((bound as f64 / 1e9, sum - below));
        below = sum;
    }
    buckets.push((f64::INFINITY, latency.count() - below));
    let seconds = latency.nanos as f64 / 1e9;
    metric.encode_histogram::<NoLabelSet>(seconds, latency.count(), &buckets, None)
}

/// A name without its unit, and the unit that is put at its end.
fn name_and_unit(entry: &MetricEntry) -> (String, Option<Unit>) {
    let name = entry.name.replace(['.', '-'], "_");
    let (ending, unit) = match entry.unit {
        "bytes" => ("_bytes", Unit::Bytes),
        "ns" => ("_nanos", Unit::Seconds),
        _ => return (name, None),
    };
    let stem = name.strip_suffix(ending).unwrap_or(&name).to_owned();
    (stem, Some(unit))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use aura_engine::{Engine, EngineBuilder, Telemetry, env::memory::MemoryWorld};

    use super::*;

    /// What an engine says that has put and read 100 keys.
    fn said() -> String {
        let world = MemoryWorld::new(1).unwrap();
        world.block_on(async {
            let telemetry = Telemetry {
                timed_every: 1,
                ..Telemetry::default()
            };
            let builder = EngineBuilder::new(world.env(), "/db").telemetry(telemetry);
            let engine = builder.open().await.unwrap();
            for key in 0..100u8 {
                engine.put(&[key], b"value").await.unwrap();
                engine.get(&[key]).await.unwrap();
            }
            engine.flush().await.unwrap();
            let text = open_metrics(engine.reading(), engine.health());
            engine.close().await.unwrap();
            text
        })
    }

    #[test]
    fn the_text_has_every_number_once() {
        let text = said();
        let types = text.lines().filter(|line| line.starts_with("# TYPE "));
        let families: BTreeSet<&str> = types.clone().collect();
        assert_eq!(families.len(), types.count());
        assert!(families.len() > METRICS.len() / 2);
        assert!(text.contains("aura_engine_gets_total 100\n"), "{text}");
        assert!(text.contains("aura_flush_count_total 1\n"), "{text}");
        assert!(text.contains("\naura_memory_memtable_bytes "), "{text}");
        assert!(
            text.contains("\naura_engine_stall_seconds_total 0.0\n"),
            "{text}"
        );
        assert!(text.contains("aura_health{state=\"ok\"} 1\n"), "{text}");
        assert!(
            text.contains("aura_ailment{ailment=\"stalls\"} 0\n"),
            "{text}"
        );
        assert!(text.ends_with("# EOF\n"));
        for line in text.lines() {
            let is_known = line.starts_with("# ") || line.starts_with("aura_");
            assert!(is_known, "{line}");
        }
    }

    #[test]
    fn a_histogram_counts_up_to_all() {
        let text = said();
        let buckets = text
            .lines()
            .filter(|line| line.starts_with("aura_operation_latency_seconds_bucket"))
            .filter(|line| line.contains("operation=\"get\""));
        let counts: Vec<u64> = buckets
            .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
            .collect();
        assert_eq!(counts.len(), BUCKETS.count() + 1);
        assert!(counts.is_sorted(), "{counts:?}");
        assert_eq!(counts.last(), Some(&100));
    }
}
