//! `aura cache-sim`: caches alone on traces.

use std::path::{Path, PathBuf};
use std::time::Instant;

use aura_policies::{Family, PolicySpec, admission, bound, cache};
use aura_workloads::trace::Trace;

use super::trace::TraceReader;
use super::{Answer, EXIT_DONE, EXIT_USAGE, Failure, jobs, remark, tell};
use crate::cache_sim::{self, CacheSize, Mode, Settings, SimRow, SpecError};
use crate::cli::{CacheSimArgs, Global};
use crate::plan::VERSION;
use crate::plot::{CurveWords, draw_curves};
use crate::rows::{self, Format};
use crate::store;
use crate::traces;

/// A cache of so many objects is large enough for every policy: what is refused there is a bad parameter.
const TRIAL_CAPACITY: u64 = 10_000;
/// Below so many objects a sampled cache says little of the whole one.
const SAMPLED_OBJECTS_MIN: u64 = 100;

pub(super) fn cache_sim(global: &Global, arguments: &CacheSimArgs) -> Answer {
    let asked = Asked::new(arguments)?;
    let folders = folders(global, arguments)?;
    let reader = TraceReader::new(&arguments.input, false)?;
    let mut rows = Vec::new();
    for (path, folder) in arguments.traces.iter().zip(&folders) {
        let name = traces::name_of(path);
        let trace = read(global, &reader, path)?;
        let settings = asked.settings(global, arguments, &trace)?;
        let found = cache_sim::run(&name, &trace, &settings);
        if global.format == Format::Table {
            rows::print(&format!(
                "{}{}",
                heading(&name, &trace, settings.mode),
                cache_sim::table(&found)
            ))?;
        }
        warn(global, &trace, &found);
        for path in write(folder, &name, &trace, &found)? {
            remark(global, &format!("wrote {}", path.display()));
        }
        rows.extend(found);
    }
    match global.format {
        Format::Table => {}
        Format::Json => rows::print(&cache_sim::json(&rows))?,
        Format::Csv => rows::print(&cache_sim::to_csv(&rows))?,
    }
    let ran = rows.iter().any(|row| row.outcome.is_ok());
    if !ran {
        tell("nothing ran: every policy refused every size, with the reasons above");
    }
    Ok(if ran { EXIT_DONE } else { EXIT_USAGE })
}

/// What the command line asks for, checked before a trace is read.
struct Asked {
    policies: Vec<PolicySpec>,
    admissions: Vec<PolicySpec>,
    /// None: by the mode.
    bounds: Option<Vec<PolicySpec>>,
    sizes: Vec<CacheSize>,
}

impl Asked {
    fn new(arguments: &CacheSimArgs) -> Result<Self, Failure> {
        let refused = |error: aura_policies::PolicyError| {
            Failure::usage(error, "`aura list policies` tells parameters")
        };
        let policies = named(&cache::FAMILY, &arguments.policies)?;
        let admissions = named(&admission::FAMILY, &arguments.admissions)?;
        let bounds = match arguments.bounds.as_deref() {
            None => None,
            Some("none") => Some(Vec::new()),
            Some(list) => Some(named(&bound::FAMILY, list)?),
        };
        for spec in &policies {
            cache::build(spec, TRIAL_CAPACITY, arguments.input.seed)
                .map(drop)
                .map_err(refused)?;
        }
        for spec in &admissions {
            admission::build(spec, TRIAL_CAPACITY, arguments.input.seed)
                .map(drop)
                .map_err(refused)?;
        }
        for spec in bounds.iter().flatten() {
            bound::build(spec).map(drop).map_err(refused)?;
        }
        let sizes = cache_sim::sizes(&arguments.sizes).map_err(|error| {
            Failure::usage(
                format_args!("--sizes: {error}"),
                "such as --sizes 0.1%,1%,10%",
            )
        })?;
        Ok(Self {
            policies,
            admissions,
            bounds,
            sizes,
        })
    }

    fn settings(
        &self,
        global: &Global,
        arguments: &CacheSimArgs,
        trace: &Trace,
    ) -> Result<Settings, Failure> {
        let mode = match (arguments.unit, arguments.bytes, trace.has_sizes()) {
            (true, ..) | (false, false, false) => Mode::Unit,
            (false, _, true) => Mode::Bytes,
            (false, true, false) => {
                return Err(Failure::usage(
                    "--bytes: the trace has no sizes",
                    "try --unit",
                ));
            }
        };
        // MIN and its kin are bounds for objects of one size only.
        let usual: &[&str] = if mode == Mode::Unit {
            &["min", "min-bypass"]
        } else {
            &["pfoo-l"]
        };
        Ok(Settings {
            mode,
            policies: self.policies.clone(),
            admissions: self.admissions.clone(),
            bounds: self
                .bounds
                .clone()
                .unwrap_or_else(|| usual.iter().map(|name| PolicySpec::named(name)).collect()),
            sizes: self.sizes.clone(),
            seed: arguments.input.seed,
            jobs: jobs(arguments.jobs),
            quiet: global.quiet,
        })
    }
}

fn named<B>(family: &Family<B>, list: &str) -> Result<Vec<PolicySpec>, Failure> {
    cache_sim::specs(family, list).map_err(|error| match error {
        SpecError::Policy(error) => {
            Failure::usage(error, "`aura list policies` tells names and parameters")
        }
        other => Failure::usage(
            other,
            &format!(
                "known {} policies: {}",
                family.name,
                cache_sim::known(family)
            ),
        ),
    })
}

/// A folder for each trace.
fn folders(global: &Global, arguments: &CacheSimArgs) -> Result<Vec<PathBuf>, Failure> {
    let names: Vec<String> = arguments
        .traces
        .iter()
        .map(|path| traces::name_of(path))
        .collect();
    for (at, name) in names.iter().enumerate() {
        if names[..at].contains(name) {
            let message =
                format!("two traces are called {name}, and would write to the same folder");
            return Err(Failure::usage(
                message,
                "simulate them one after the other, with an --out each",
            ));
        }
    }
    Ok(match &arguments.out {
        Some(out) if names.len() == 1 => vec![out.clone()],
        out => {
            let below = out
                .clone()
                .unwrap_or_else(|| global.results.join("cache-sim"));
            names.iter().map(|name| below.join(name)).collect()
        }
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "what is told is how long a person has waited"
)]
fn read(global: &Global, reader: &TraceReader, path: &Path) -> Result<Trace, Failure> {
    let start = Instant::now();
    let (trace, format) = reader.read(path)?;
    let (requests, objects) = (trace.objects().len(), trace.keys().len());
    let time = start.elapsed().as_secs_f64();
    remark(
        global,
        &format!(
            "read {} as {format}: {requests} requests for {objects} objects in {time:.2} s",
            path.display()
        ),
    );
    if requests == 0 {
        return Err(Failure::usage(
            format_args!("{}: no request is left", path.display()),
            "a larger --sample or --limit",
        ));
    }
    Ok(trace)
}

fn heading(name: &str, trace: &Trace, mode: Mode) -> String {
    format!("{name}: {}\n", what(trace, mode))
}

fn what(trace: &Trace, mode: Mode) -> String {
    let charged = if mode == Mode::Unit {
        "objects charged one each"
    } else {
        "objects charged with their bytes"
    };
    let (requests, objects) = (trace.objects().len(), trace.keys().len());
    let sampled = match trace.sample_rate() {
        rate if rate < 1.0 => format!(", {rate} of the keys of {} requests", trace.requests_read()),
        _ => String::new(),
    };
    format!("{requests} requests, {objects} objects{sampled}, {charged}")
}

/// What one should know before quoting the numbers.
fn warn(global: &Global, trace: &Trace, rows: &[SimRow]) {
    if trace.removals() > 0 {
        remark(
            global,
            &format!("{} deletions in the trace were left out", trace.removals()),
        );
    }
    if trace.recorded_rate() < 1.0 {
        let rate = trace.recorded_rate();
        remark(
            global,
            &format!(
                "the trace was recorded with {rate} of its keys: absolute sizes are scaled by that"
            ),
        );
    }
    let rate = trace.sample_rate() * trace.recorded_rate();
    let small = |row: &&SimRow| {
        row.mode == Mode::Unit && row.capacity as f64 * rate < SAMPLED_OBJECTS_MIN as f64
    };
    if rate < 1.0
        && let Some(row) = rows.iter().find(small)
    {
        remark(
            global,
            &format!(
                "warning: at {} a sampled cache holds fewer than {SAMPLED_OBJECTS_MIN} objects and says little of a whole one",
                row.size
            ),
        );
    }
}

fn x_label(mode: Mode, rows: &[SimRow]) -> &'static str {
    match (mode, rows.iter().all(|row| row.size.ends_with('%'))) {
        (Mode::Unit, true) => "cache size, share of the trace's objects (logarithmic)",
        (Mode::Unit, false) => "cache size in objects (logarithmic)",
        (Mode::Bytes, true) => {
            "cache size, share of the bytes of the trace's objects (logarithmic)"
        }
        (Mode::Bytes, false) => "cache size in bytes (logarithmic)",
    }
}

/// Writes tables and curves; what was written.
fn write(
    folder: &Path,
    name: &str,
    trace: &Trace,
    found: &[SimRow],
) -> Result<Vec<PathBuf>, Failure> {
    store::create_folder(folder)?;
    let mut written = vec![folder.join("results.csv"), folder.join("results.parquet")];
    store::replace(&written[0], cache_sim::to_csv(found).as_bytes())?;
    store::replace(&written[1], &cache_sim::frame_bytes(found)?)?;
    let mode = found.first().map_or(Mode::Unit, |row| row.mode);
    let provenance = format!("aura cache-sim, AuraDB {VERSION}");
    let subtitle = what(trace, mode);
    let baseline = cache::FAMILY.default;
    for (file, title, of_bytes) in [
        ("miss-ratio", "Miss ratio", false),
        ("byte-miss-ratio", "Byte miss ratio", true),
    ] {
        let words = CurveWords {
            name: file,
            title: &format!("{title} over cache size, {name}"),
            subtitle: &subtitle,
            provenance: &provenance,
            x_label: x_label(mode, found),
            y_label: if of_bytes {
                "bytes missed (%)"
            } else {
                "requests missed (%)"
            },
            baseline,
        };
        if let Some(figure) = draw_curves(&words, &cache_sim::curves(found, of_bytes))? {
            figure.save(folder)?;
            written.push(folder.join(format!("{file}.svg")));
            written.push(folder.join(format!("{file}.png")));
        }
    }
    Ok(written)
}
