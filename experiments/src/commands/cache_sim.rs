//! `aura cache-sim`: caches alone on traces.

use std::path::{Path, PathBuf};
use std::time::Instant;

use aura_policies::{Family, PolicyError, PolicySpec, admission, bound, cache};
use aura_workloads::trace::Trace;
use clap::Args;

use super::trace::{TraceInput, TraceReader, ends_of};
use super::{CommandResult, Failure, Global, complain, jobs};
use crate::cache_sim::{self, CacheSize, Mode, Settings, SimRow};
use crate::exit::Exit;
use crate::files;
use crate::formats::parquet::ParquetError;
use crate::formats::{Format, print};
use crate::plan::VERSION;
use crate::plot::{CurveWords, draw_curves};
use crate::specs::{self, SpecError};
use crate::traces::{self, ReadTrace};

/// A capacity that every policy accepts: what is refused there is a bad parameter.
const TRIAL_CAPACITY: u64 = 10_000;

/// With fewer objects a sampled cache says little about the whole one.
const SAMPLED_OBJECTS_MIN: u64 = 100;

/// Replay cache traces: every eviction and admission policy at every size, with the bounds beside
/// them.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "\
Examples:
  aura cache-sim zipf.csv.zst
  aura cache-sim OLTP.lis --policies lru,arc,'clock(bits=2)' --sizes 1000,2000,5000
  aura cache-sim w96.oracleGeneral.bin.zst --sizes 0.1%,1%,10% --sample 0.01

Prints one row per policy and size: miss ratios, speed, and the policy's own memory. --help explains
what is counted, and has more examples.

Exit codes: 0 something was simulated; 2 bad usage, or nothing could run; 3 files cannot be
written.",
    after_long_help = "\
Examples:
  aura cache-sim zipf.csv.zst
      all policies at 0.1 %, 1 % and 10 % of the trace, with bounds; writes results/cache-sim/zipf/
  aura cache-sim OLTP.lis --policies lru,arc,'clock(bits=2)' --sizes 1000,2000,5000
      a policy's parameters are in brackets; sizes are in objects, as this format has no bytes
  aura cache-sim cluster52.sort.zst --sizes 64MiB,1GiB --admissions always,doorkeeper
      every admission policy with every eviction policy
  aura cache-sim w96.oracleGeneral.bin.zst --sizes 0.1%,1%,10% --sample 0.01
      one key in a hundred, with all its requests, in caches a hundredth as large; ratios have their
      standard error
  aura cache-sim blocks.tsv.gz --columns 'key=lbn,size=len,delimiter=tab' --unit --bounds min
      any text with columns; objects are charged one each
  generate-trace | aura cache-sim - --trace-format csv --policies LRU,S3FIFO --bounds belady
      standard input; policies are known as others spell them, too
  aura cache-sim cluster52.sort.zst --operations get,gets --ignore-removals
      reads only, of objects that never end
  aura cache-sim a.aurat b.aurat --policies all --format csv > rows.csv
      rows on standard output, everything else on standard error

What is counted: the cache starts empty and every request counts. A share of the trace is one of its
distinct objects, or of the sum of their first sizes, rounded down. An object keeps the size it
entered with; one larger than the cache is a miss. Deletions are no requests: the object leaves the
cache. A request for an object whose time to live has passed is a miss; a write begins its life
again.

Prints one row per policy and size: miss ratios, speed, and the policy's own memory; bounds come
first, a star marks the best policy. A policy that cannot run on a trace or at a size has a row with
the reason. The speed is that of the replay alone on one thread: with --jobs 1 nothing runs beside
it. Each trace gets a folder with results.csv, results.parquet and miss-ratio curves.

`aura list policies` lists names and parameters of policies (cache), admissions (admission) and
bounds (bound).

Trace formats: aurat, csv, keys (plain 64-bit), lis (ARC), meta-kv, oracle-general, twitter, vscsi;
each plain, or compressed with zstd, gzip or xz.

Exit codes:
  0  something was simulated
  2  bad usage, a trace that cannot be read, or every policy refused every size
  3  files cannot be written"
)]
pub(super) struct Arguments {
    /// The traces; - is standard input.
    #[arg(required = true, value_name = "TRACE")]
    traces: Vec<PathBuf>,
    /// Eviction policies: all, or names with parameters, such as lru,clock(bits=2).
    #[arg(long, default_value = "all", value_name = "LIST")]
    policies: String,
    /// Admission policies, each with each eviction policy: all, or names with parameters.
    #[arg(long, default_value = "always", value_name = "LIST")]
    admissions: String,
    /// Bounds: all, none, or names. Default: min,min-bypass if objects are charged one each, pfoo-l
    /// if their bytes are.
    #[arg(long, value_name = "LIST")]
    bounds: Option<String>,
    /// Sizes of the cache: shares of the trace (1%), numbers of objects (10000), or bytes (64MiB).
    #[arg(long, default_value = "0.1%,1%,10%", value_name = "LIST")]
    sizes: String,
    /// Charge objects one each. Default if the trace has no sizes.
    #[arg(long, conflicts_with = "bytes")]
    unit: bool,
    /// Charge objects with their bytes. Default if the trace has sizes.
    #[arg(long)]
    bytes: bool,
    #[command(flatten)]
    input: TraceInput,
    /// How many caches run in parallel, on a thread each. Default: one per core.
    #[arg(long, short, value_name = "N")]
    jobs: Option<usize>,
    /// Where tables and figures go; with several traces, a folder each below it. Default:
    /// `cache-sim/<trace>` below the results.
    #[arg(long, short, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl From<ParquetError> for Failure {
    fn from(error: ParquetError) -> Self {
        Self::environment(error)
    }
}

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let asked = Asked::new(self)?;
        let folders = self.folders(global)?;
        let reader = TraceReader::new(&self.input, false)?;
        let mut rows = Vec::new();
        for (path, folder) in self.traces.iter().zip(&folders) {
            let name = traces::name_of(path);
            let trace = read(global, &reader, path)?;
            let settings = asked.settings(global, self, &trace)?;
            let found = cache_sim::run(&name, &trace, &settings);
            let output = Output {
                name: &name,
                about: about(&trace, settings.mode),
                mode: settings.mode,
                rows: &found,
            };
            if global.format == Format::Table {
                let heading = format!("{name}: {}\n", output.about);
                print(&(heading + &cache_sim::table(&found)))?;
            }
            warn(global, &trace, &found);
            for path in output.write(folder)? {
                global.remark(&format!("wrote {}", path.display()));
            }
            rows.extend(found);
        }
        match global.format {
            Format::Table => {}
            Format::Json => print(&cache_sim::json(&rows))?,
            Format::Csv => print(&cache_sim::to_csv(&rows))?,
        }
        if rows.iter().any(|row| row.outcome.is_ok()) {
            return Ok(Exit::Done);
        }
        complain("nothing ran: every policy refused every size, with the reasons above");
        Ok(Exit::Usage)
    }

    /// The folder of each trace's results.
    fn folders(&self, global: &Global) -> Result<Vec<PathBuf>, Failure> {
        let mut names: Vec<String> = Vec::new();
        for path in &self.traces {
            let name = traces::name_of(path);
            if names.contains(&name) {
                return Err(Failure::usage(
                    format_args!(
                        "two traces are called {name}, and would write to the same folder"
                    ),
                    "simulate them one after the other, with an --out each",
                ));
            }
            names.push(name);
        }
        Ok(match &self.out {
            Some(out) if names.len() == 1 => vec![out.clone()],
            Some(out) => names.iter().map(|name| out.join(name)).collect(),
            None => {
                let below = global.results.join("cache-sim");
                names.iter().map(|name| below.join(name)).collect()
            }
        })
    }

    fn mode(&self, trace: &Trace) -> Result<Mode, Failure> {
        if self.bytes && !trace.has_sizes() {
            return Err(Failure::usage(
                "--bytes: the trace has no sizes",
                "try --unit",
            ));
        }
        if self.unit || !trace.has_sizes() {
            Ok(Mode::Unit)
        } else {
            Ok(Mode::Bytes)
        }
    }
}

/// What the command line asks for, checked before a trace is read.
struct Asked {
    policies: Vec<PolicySpec>,
    admissions: Vec<PolicySpec>,
    /// `None`: those that fit the mode.
    bounds: Option<Vec<PolicySpec>>,
    sizes: Vec<CacheSize>,
}

impl Asked {
    fn new(arguments: &Arguments) -> Result<Self, Failure> {
        let seed = arguments.input.seed;
        let asked = Self {
            policies: named(&cache::FAMILY, &arguments.policies)?,
            admissions: named(&admission::FAMILY, &arguments.admissions)?,
            bounds: match arguments.bounds.as_deref() {
                None => None,
                Some("none") => Some(Vec::new()),
                Some(list) => Some(named(&bound::FAMILY, list)?),
            },
            sizes: cache_sim::sizes(&arguments.sizes).map_err(|error| {
                Failure::usage(
                    format_args!("--sizes: {error}"),
                    "such as --sizes 0.1%,1%,10%",
                )
            })?,
        };
        asked
            .check_parameters(seed)
            .map_err(|error| Failure::usage(error, "`aura list policies` lists the parameters"))?;
        Ok(asked)
    }

    /// Builds every policy once.
    fn check_parameters(&self, seed: u64) -> Result<(), PolicyError> {
        for spec in &self.policies {
            cache::build(spec, TRIAL_CAPACITY, seed)?;
        }
        for spec in &self.admissions {
            admission::build(spec, TRIAL_CAPACITY, seed)?;
        }
        for spec in self.bounds.iter().flatten() {
            bound::build(spec)?;
        }
        Ok(())
    }

    fn settings(
        &self,
        global: &Global,
        arguments: &Arguments,
        trace: &Trace,
    ) -> Result<Settings, Failure> {
        let mode = arguments.mode(trace)?;
        // MIN and its relatives are bounds for objects of one size only.
        let fitting: &[&str] = match mode {
            Mode::Unit => &["min", "min-bypass"],
            Mode::Bytes => &["pfoo-l"],
        };
        let bounds = match &self.bounds {
            Some(bounds) => bounds.clone(),
            None => fitting.iter().map(|name| PolicySpec::named(name)).collect(),
        };
        Ok(Settings {
            mode,
            policies: self.policies.clone(),
            admissions: self.admissions.clone(),
            bounds,
            sizes: self.sizes.clone(),
            seed: arguments.input.seed,
            jobs: jobs(arguments.jobs),
            quiet: global.quiet,
        })
    }
}

fn named<B>(family: &Family<B>, list: &str) -> Result<Vec<PolicySpec>, Failure> {
    specs::parse_list(family, list).map_err(|error| match error {
        SpecError::Policy(PolicyError::UnknownPolicy { ref policy, .. })
            if family.name == cache::FAMILY.name
                && specs::parse_list(&bound::FAMILY, policy).is_ok() =>
        {
            let hint = format!("it is a bound: --bounds {policy}");
            Failure::usage(error, &hint)
        }
        SpecError::Policy(error) => {
            Failure::usage(error, "`aura list policies` lists names and parameters")
        }
        other => {
            let known = specs::known(family);
            Failure::usage(other, &format!("known {} policies: {known}", family.name))
        }
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the remark says how long a person has waited"
)]
fn read(global: &Global, reader: &TraceReader, path: &Path) -> Result<Trace, Failure> {
    let start = Instant::now();
    let ReadTrace { trace, format } = reader.read(path)?;
    let time = start.elapsed().as_secs_f64();
    let requests = trace.objects().len();
    let objects = trace.keys().len();
    global.remark(&format!(
        "read {} as {format}: {requests} requests for {objects} objects in {time:.2} s",
        path.display()
    ));
    if trace.requests_read() == 0 {
        return Err(Failure::usage(
            format_args!("{}: holds no request", path.display()),
            "name a trace file with requests",
        ));
    }
    if requests == 0 {
        return Err(Failure::usage(
            format_args!("{}: no request is left of the sample", path.display()),
            "a larger --sample or --limit",
        ));
    }
    Ok(trace)
}

/// Says how large a trace is, and what is charged.
fn about(trace: &Trace, mode: Mode) -> String {
    let charged = match mode {
        Mode::Unit => "objects charged one each",
        Mode::Bytes => "objects charged with their bytes",
    };
    let requests = trace.objects().len();
    let objects = trace.keys().len();
    let rate = trace.sample_rate();
    let sampled = if rate < 1.0 {
        format!(", {rate} of the keys of {} requests", trace.requests_read())
    } else {
        String::new()
    };
    format!("{requests} requests, {objects} objects{sampled}, {charged}")
}

/// Says what one should know before quoting the numbers.
fn warn(global: &Global, trace: &Trace, rows: &[SimRow]) {
    if !trace.ends().is_empty() {
        global.remark(&format!(
            "objects end as the trace says: {} (--ignore-removals leaves that out)",
            ends_of(trace)
        ));
    } else if trace.removals() > 0 {
        let removals = trace.removals();
        global.remark(&format!(
            "{removals} deletions in the trace ended no object"
        ));
    }
    let zero_sizes = trace.zero_sizes();
    if zero_sizes > 0 && rows.iter().any(|row| row.mode == Mode::Bytes) {
        global.remark(&format!(
            "{zero_sizes} requests are of size 0: each is charged 1 byte"
        ));
    }
    let recorded = trace.recorded_rate();
    if recorded < 1.0 {
        global.remark(&format!(
            "the trace was recorded with {recorded} of its keys: absolute sizes are scaled by that"
        ));
    }
    let rate = trace.sample_rate() * recorded;
    if rate >= 1.0 {
        return;
    }
    let small = |row: &&SimRow| {
        row.mode == Mode::Unit && row.capacity as f64 * rate < SAMPLED_OBJECTS_MIN as f64
    };
    if let Some(row) = rows.iter().find(small) {
        global.remark(&format!(
            "warning: at {} a sampled cache holds fewer than {SAMPLED_OBJECTS_MIN} objects and \
             says little about a whole one",
            row.size
        ));
    }
}

/// What is written for one trace.
struct Output<'a> {
    name: &'a str,
    about: String,
    mode: Mode,
    rows: &'a [SimRow],
}

impl Output<'_> {
    /// Writes tables and curves, and returns what was written.
    fn write(&self, folder: &Path) -> Result<Vec<PathBuf>, Failure> {
        files::create_folder(folder)?;
        let table = folder.join("results.csv");
        files::replace(&table, cache_sim::to_csv(self.rows).as_bytes())?;
        let data = folder.join("results.parquet");
        files::replace(&data, &cache_sim::frame_bytes(self.rows)?)?;
        let mut written = vec![table, data];
        written.extend(self.draw(folder, false)?);
        written.extend(self.draw(folder, true)?);
        Ok(written)
    }

    /// Draws the curves of miss ratios, or of byte miss ratios if there are any.
    fn draw(&self, folder: &Path, of_bytes: bool) -> Result<Vec<PathBuf>, Failure> {
        let name = if of_bytes {
            "byte-miss-ratio"
        } else {
            "miss-ratio"
        };
        let title = if of_bytes {
            "Byte miss ratio"
        } else {
            "Miss ratio"
        };
        let words = CurveWords {
            name,
            title: &format!("{title} over cache size, {}", self.name),
            subtitle: &self.about,
            provenance: &format!("aura cache-sim, AuraDB {VERSION}"),
            x_label: self.x_label(),
            y_label: if of_bytes {
                "bytes missed (%)"
            } else {
                "requests missed (%)"
            },
            baseline: cache::FAMILY.default,
        };
        let curves = cache_sim::curves(self.rows, of_bytes);
        let Some(figure) = draw_curves(&words, &curves) else {
            return Ok(Vec::new());
        };
        figure.save(folder)?;
        Ok(vec![
            folder.join(format!("{name}.svg")),
            folder.join(format!("{name}.png")),
        ])
    }

    fn x_label(&self) -> &'static str {
        let shares = self.rows.iter().all(|row| row.size.ends_with('%'));
        match (self.mode, shares) {
            (Mode::Unit, true) => "cache size, share of the trace's objects (logarithmic)",
            (Mode::Unit, false) => "cache size in objects (logarithmic)",
            (Mode::Bytes, true) => {
                "cache size, share of the bytes of the trace's objects (logarithmic)"
            }
            (Mode::Bytes, false) => "cache size in bytes (logarithmic)",
        }
    }
}
