//! How a running engine is, in a few lines: what [`frame`] makes of two samples of its endpoint.
//!
//! Rates are over the engine's own clock: a simulated engine may be seconds further while a moment
//! has passed here.

mod sample;

use crate::formats::{digits, shown};

pub use sample::{Sample, SampleError};

/// Nothing was there to divide by.
const NOTHING: &str = "-";

/// The operations that are shown, each with its counter.
const OPERATIONS: [(&str, &str); 4] = [
    ("get", "aura_engine_gets_total"),
    ("put", "aura_engine_puts_total"),
    ("delete", "aura_engine_deletes_total"),
    ("scan", "aura_engine_scans_total"),
];

/// Two samples of one engine, and what happened between them.
struct Between<'a> {
    before: &'a Sample,
    after: &'a Sample,
}

impl Between<'_> {
    fn now(&self, name: &str) -> f64 {
        self.after.get(name).unwrap_or(0.0)
    }

    /// What a counter, or a sum of them, rose by.
    fn rise(&self, names: &[&str]) -> f64 {
        let rise = |name: &&str| self.now(name) - self.before.get(name).unwrap_or(0.0);
        // An engine that was opened again counts from 0.
        names.iter().map(rise).sum::<f64>().max(0.0)
    }

    fn seconds(&self) -> f64 {
        self.rise(&["aura_clock_seconds"])
    }

    /// A rise for each second of the engine's clock.
    fn rate(&self, names: &[&str]) -> f64 {
        match self.seconds() {
            seconds if seconds > 0.0 => self.rise(names) / seconds,
            _ => 0.0,
        }
    }

    fn ratio(&self, part: &[&str], whole: &[&str]) -> Option<f64> {
        let whole = self.rise(whole);
        (whole > 0.0).then(|| self.rise(part) / whole)
    }
}

/// Some lines on what an engine did between two samples, and how it is at the second. They begin
/// with its health. If the samples are of two trials, or of an engine that was opened again, the
/// first counts for nothing.
pub fn frame(before: &Sample, after: &Sample) -> String {
    let clock = |sample: &Sample| sample.get("aura_clock_seconds").unwrap_or(0.0);
    let gets = |sample: &Sample| sample.get("aura_engine_gets_total").unwrap_or(0.0);
    let is_same = before.trial() == after.trial()
        && clock(before) <= clock(after)
        && gets(before) <= gets(after);
    let nothing = Sample::default();
    let before = if is_same { before } else { &nothing };
    let between = Between { before, after };
    if after.waits_for_trial() {
        return "no trial is under way".to_owned();
    }
    let mut lines = vec![health(after)];
    lines.extend(
        OPERATIONS
            .map(|it| operation(&between, it))
            .into_iter()
            .flatten(),
    );
    lines.push(cache(&between));
    lines.push(memory(&between));
    lines.push(writes(&between));
    lines.push(background(&between));
    lines.push(tree(after));
    lines.join("\n")
}

/// The health, and what is wrong.
fn health(sample: &Sample) -> String {
    let states = sample.labelled("aura_health", "state");
    let state = states.filter(|it| it.1 == 1.0).map(|it| it.0).next();
    let ailments: Vec<&str> = sample
        .labelled("aura_ailment", "ailment")
        .filter(|it| it.1 == 1.0)
        .map(|it| it.0)
        .collect();
    let state = state.unwrap_or("unknown");
    match ailments.is_empty() {
        true => format!("health      {state}"),
        false => format!("health      {state}: {}", ailments.join(", ")),
    }
}

/// The rate and the times of one kind of operation; `None` if there never was one.
fn operation(between: &Between<'_>, (name, counter): (&str, &str)) -> Option<String> {
    if between.now(counter) == 0.0 {
        return None;
    }
    let rate = digits(between.rate(&[counter]), 3);
    let timed = if name == "scan" { "scan-step" } else { name };
    let quantile = |share| {
        let seconds = between.after.quantile(between.before, timed, share);
        seconds.map_or(NOTHING.to_owned(), |seconds| shown(seconds * 1e6, "us"))
    };
    let times = match between.after.quantile(between.before, timed, 0.5) {
        None => String::new(),
        Some(_) => format!(
            ", half within {}, 99 % within {}",
            quantile(0.5),
            quantile(0.99)
        ),
    };
    Some(format!("{name:<12}{rate} a second{times}"))
}

/// Bytes as people read them.
fn bytes(count: f64) -> String {
    shown(count, "bytes")
}

fn percent(share: Option<f64>) -> String {
    share.map_or(NOTHING.to_owned(), |share| {
        format!("{:.1} %", 100.0 * share)
    })
}

fn cache(between: &Between<'_>) -> String {
    let hits = ["aura_engine_block_hits_total"];
    let all = [hits[0], "aura_engine_block_misses_total"];
    let reads = between.ratio(&["aura_engine_get_device_reads_total"], &[OPERATIONS[0].1]);
    format!(
        "cache       {} of {} used, {} of blocks hit; {} device reads a get",
        bytes(between.now("aura_cache_used_bytes")),
        bytes(between.now("aura_cache_capacity_bytes")),
        percent(between.ratio(&hits, &all)),
        reads.map_or(NOTHING.to_owned(), |reads| format!("{reads:.3}")),
    )
}

fn memory(between: &Between<'_>) -> String {
    format!(
        "memory      {}: memtables {}, filters {}, indexes {}",
        bytes(between.now("aura_memory_total_bytes")),
        bytes(between.now("aura_memory_memtable_bytes")),
        bytes(between.now("aura_memory_filter_bytes")),
        bytes(between.now("aura_memory_index_bytes")),
    )
}

fn writes(between: &Between<'_>) -> String {
    let user = ["aura_engine_user_write_bytes_total"];
    let device = [
        "aura_engine_wal_bytes_total",
        "aura_value_log_write_bytes_total",
        "aura_engine_flush_bytes_total",
        "aura_compaction_write_bytes_total",
        "aura_gc_write_bytes_total",
        "aura_engine_manifest_bytes_total",
    ];
    let amplification = between.ratio(&device, &user);
    format!(
        "writes      {} a second from users, {} a second to files ({} times)",
        bytes(between.rate(&user)),
        bytes(between.rate(&device)),
        amplification.map_or(NOTHING.to_owned(), |times| format!("{times:.1}")),
    )
}

fn background(between: &Between<'_>) -> String {
    let stalled = between.rate(&["aura_engine_stall_seconds_total"]);
    let count = |name| between.rise(&[name]);
    format!(
        "background  debt {}, {} flushes, {} compactions; writers waited {} of the time",
        bytes(between.now("aura_engine_debt_bytes")),
        count("aura_flush_count_total"),
        count("aura_compaction_count_total"),
        percent(Some(stalled)),
    )
}

/// The levels, each with its runs and bytes.
fn tree(sample: &Sample) -> String {
    let runs = sample.labelled("aura_level_runs", "level");
    let mut levels: Vec<(u32, String)> = runs
        .filter_map(|(level, runs)| {
            let size = sample.get(&format!("aura_level_bytes{{level=\"{level}\"}}"))?;
            let level: u32 = level.parse().ok()?;
            let runs = match runs {
                1.0 => "1 run".to_owned(),
                runs => format!("{runs} runs"),
            };
            Some((level, format!("L{level} {runs} {}", bytes(size))))
        })
        .collect();
    levels.sort_by_key(|it| it.0);
    let levels: Vec<String> = levels.into_iter().map(|it| it.1).collect();
    match levels.is_empty() {
        true => "tree        empty".to_owned(),
        false => format!("tree        {}", levels.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use aura_engine::env::memory::MemoryWorld;
    use aura_engine::{Engine, EngineBuilder, Telemetry};

    use super::*;
    use crate::endpoint::open_metrics;

    #[test]
    fn a_frame_says_what_an_engine_did_and_how_it_is() {
        let world = MemoryWorld::new(1).expect("threads");
        let telemetry = Telemetry {
            timed_every: 1,
            ..Telemetry::default()
        };
        let (before, after) = world.block_on(async {
            let builder = EngineBuilder::new(world.env(), "/db").telemetry(telemetry);
            let engine = builder.open().await.expect("it opens");
            let say = || {
                let text = open_metrics(engine.reading(), engine.health());
                Sample::parse(&text).expect("it is ours")
            };
            let before = say();
            for key in 0..100u8 {
                engine.put(&[key], &[0; 1000]).await.expect("it is put");
                engine.get(&[key]).await.expect("it is read");
            }
            engine.flush().await.expect("it is flushed");
            let after = say();
            engine.close().await.expect("it closes");
            (before, after)
        });
        let lines = frame(&before, &after);
        for part in [
            "health      ok\n",
            "get         ",
            " a second, half within ",
            "memory      ",
            "1 flushes, 0 compactions",
            "tree        L0 1 run ",
        ] {
            assert!(lines.contains(part), "{part:?} is missing in:\n{lines}");
        }
        assert!(!lines.contains("delete"), "there was none:\n{lines}");
        // Another engine: nothing is subtracted.
        let again = frame(&after, &before);
        assert!(again.contains("0 flushes"), "{again}");
        assert!(again.contains("tree        empty"), "{again}");
    }
}
