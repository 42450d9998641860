//! `aura cache-sim`: caches alone on traces.

use std::path::{Path, PathBuf};
use std::time::Instant;

use aura_policies::{Family, PolicyError, PolicySpec, admission, bound, cache};
use aura_workloads::trace::Trace;
use clap::Args;

use super::trace::{TraceInput, TraceReader, ends_of};
use super::{CommandResult, Failure, Global, complain, jobs};
use crate::cache_sim::{
    self, CacheSize, CurveError, LruCurve, Mode, Settings, SimRow, SizeUnit, Warmup, WindowError,
    Windows,
};
use crate::exit::Exit;
use crate::files;
use crate::formats::parquet::ParquetError;
use crate::formats::{Format, print};
use crate::plan::VERSION;
use crate::plot::{Course, CourseWords, CurveWords, Figure, draw_courses, draw_curves};
use crate::specs::{self, SpecError};
use crate::traces::{self, ReadTrace};

/// A capacity that every policy accepts: what is refused there is a bad parameter.
const TRIAL_CAPACITY: u64 = 10_000;

/// With fewer objects a sampled cache says little about the whole one.
const SAMPLED_OBJECTS_MIN: u64 = 100;

/// With fewer objects a few popular ones decide a sample's ratio, and its error.
const SAMPLED_KEYS_MIN: usize = 1000;

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
      95 % interval
  aura cache-sim blocks.tsv.gz --columns 'key=lbn,size=len,delimiter=tab' --unit --bounds min
      any text with columns; objects are charged one each
  generate-trace | aura cache-sim - --trace-format csv --policies LRU,S3FIFO --bounds belady
      standard input; policies are known as others spell them, too
  aura cache-sim cluster52.sort.zst --operations get,gets --ignore-removals
      reads only, of objects that never end
  aura cache-sim w96.oracleGeneral.bin.zst --warmup 20% --over-time 1h --seeds 1..5
      the first fifth fills the caches, the rest is counted hour by hour; five seeds for policies
      that draw lots
  aura cache-sim requests.csv --columns cost=latency_us --policies lru,gdsf
      a column says what a miss costs: the cost miss ratio is the share that misses have of the
      costs of all requests
  zstdcat huge.zst | aura cache-sim - --trace-format oracle-general --stream --sizes 1GiB,16GiB
      a trace larger than memory: it is replayed while it is read
  aura cache-sim a.aurat b.aurat --policies all --format csv > rows.csv
      rows on standard output, everything else on standard error

What is counted: the cache starts empty and every request counts. A share of the trace is one of its
distinct objects, or of the sum of their first sizes, rounded down. An object keeps the size it
entered with; one larger than the cache is a miss. Deletions are no requests: the object leaves the
cache. A request for an object whose time to live has passed is a miss; a write begins its life
again. With --warmup the first requests are replayed and not counted; bounds are left out then.

Prints one row per policy and size: miss ratios, speed, and the policy's own memory; bounds come
first, a star marks the best policy. A policy that cannot run on a trace or at a size has a row with
the reason. The speed is requests a second of the replay's own CPU time on one thread; the time to
read the trace is stated apart, on standard error.

Each trace gets a folder with results.csv, results.parquet and miss-ratio curves, and with
--over-time also over-time.csv and a figure for each size. --curve adds lru-curve.csv and a figure:
exact for objects charged one each; in bytes from the largest object's size on, if no object changes
its size.

A ratio of a sample, or of several seeds, is followed by half the width of its 95 % interval. That
of a sample comes from replaying its keys in up to 8 parts, each in a cache of its own.

`aura list policies` lists names and parameters of policies (cache), admissions (admission) and
bounds (bound).

Trace formats: aurat, csv, keys (plain 64-bit), lcs (libCacheSim), lis (ARC), meta-kv,
oracle-general, rocksdb, rocksdb-text, twitter, vscsi; each plain, or compressed with zstd, gzip or
xz.

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
    /// Requests that fill the cache before any is counted: a number, or a share of the trace (10%).
    #[arg(long, default_value = "0", value_name = "N")]
    warmup: String,
    /// Seeds of policies that draw lots, such as 1..5: rows state the mean with its 95 % interval.
    /// Other policies run once. Default: --seed.
    #[arg(long, value_name = "LIST")]
    seeds: Option<String>,
    /// Miss ratios over time: a number of windows, or the length of each (10s, 5min, 1h).
    #[arg(long, value_name = "WINDOWS")]
    over_time: Option<String>,
    /// Also write LRU's miss ratios at every size, from one pass over the trace.
    #[arg(long)]
    curve: bool,
    /// Never hold the trace: replay it while it is read, for traces larger than memory. Sizes are
    /// numbers of objects or bytes, and there are no bounds.
    #[arg(long, conflicts_with_all = ["over_time", "curve", "sample"])]
    stream: bool,
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
        let times = matches!(asked.windows, Some(Windows::Span(_)));
        let reader = TraceReader::new(&self.input, times)?;
        let mut rows = Vec::new();
        for (path, folder) in self.traces.iter().zip(&folders) {
            let name = traces::name_of(path);
            let simulated = match self.stream {
                true => self.stream(global, &asked, &reader, path, &name)?,
                false => self.simulate(global, &asked, &reader, path, &name)?,
            };
            let Simulated {
                trace, rows: found, ..
            } = &simulated;
            let mode = found.first().map_or(Mode::Unit, |row| row.mode);
            let output = Output {
                name: &name,
                about: about(trace, mode),
                mode,
                rows: found,
            };
            if global.format == Format::Table {
                let heading = format!("{name}: {}\n", output.about);
                print(&(heading + &cache_sim::table(found)))?;
            }
            warn(global, &simulated);
            let mut written = output.write(folder)?;
            if let Some(curve) = &simulated.curve {
                written.extend(output.write_curve(folder, curve)?);
            }
            for path in written {
                global.remark(&format!("wrote {}", path.display()));
            }
            rows.extend(simulated.rows);
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

    /// Reads a trace, and simulates what is asked for.
    fn simulate(
        &self,
        global: &Global,
        asked: &Asked,
        reader: &TraceReader,
        path: &Path,
        name: &str,
    ) -> Result<Simulated, Failure> {
        let trace = read(global, || reader.read(path), path)?;
        let mode = self.mode(&trace)?;
        let settings = asked.settings(global, self, mode);
        let curve = match self.curve {
            true => Some(curve(global, path, &trace, &settings)?),
            false => None,
        };
        let rows = cache_sim::run(name, &trace, &settings).map_err(|error| misfit(path, &error))?;
        Ok(Simulated {
            objects_end: !trace.ends().is_empty(),
            trace,
            rows,
            curve,
        })
    }

    /// Simulates what is asked for while a trace is read.
    fn stream(
        &self,
        global: &Global,
        asked: &Asked,
        reader: &TraceReader,
        path: &Path,
        name: &str,
    ) -> Result<Simulated, Failure> {
        asked.check_stream()?;
        let settings = asked.settings(global, self, Mode::Bytes);
        let mode = match (self.unit, self.bytes) {
            (true, _) => Some(Mode::Unit),
            (_, true) => Some(Mode::Bytes),
            _ => None,
        };
        let mut rows = Vec::new();
        let read_all = || -> Result<ReadTrace, Failure> {
            let stream = |take: &mut dyn FnMut(Trace)| reader.stream(path, take);
            let (found, read) = cache_sim::run_streamed(name, &settings, mode, stream)?;
            rows = found;
            Ok(read)
        };
        let trace = read(global, read_all, path)?;
        if self.bytes {
            self.mode(&trace)?;
        }
        let ends = trace.removals() + trace.expirations();
        Ok(Simulated {
            objects_end: ends > 0 && !self.input.ignore_removals,
            trace,
            rows,
            curve: None,
        })
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

/// What became of a trace.
struct Simulated {
    /// The trace; without its requests if it was streamed.
    trace: Trace,
    rows: Vec<SimRow>,
    curve: Option<LruCurve>,
    /// Whether objects end because the trace says so.
    objects_end: bool,
}

/// What the command line asks for, checked before a trace is read.
struct Asked {
    policies: Vec<PolicySpec>,
    admissions: Vec<PolicySpec>,
    /// `None`: those that fit the mode.
    bounds: Option<Vec<PolicySpec>>,
    sizes: Vec<CacheSize>,
    seeds: Vec<u64>,
    warmup: Warmup,
    windows: Option<Windows>,
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
            seeds: match &arguments.seeds {
                None => vec![seed],
                Some(list) => cache_sim::seeds(list).map_err(|error| {
                    Failure::usage(format_args!("--seeds: {error}"), "such as --seeds 1..5")
                })?,
            },
            warmup: Warmup::parse(&arguments.warmup).ok_or_else(|| {
                let warmup = &arguments.warmup;
                Failure::usage(
                    format_args!(
                        "--warmup {warmup}: neither a number of requests nor a share below 100%"
                    ),
                    "such as --warmup 1000000 or --warmup 10%",
                )
            })?,
            windows: match &arguments.over_time {
                None => None,
                Some(text) => Some(windows(text)?),
            },
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

    /// Refuses what cannot be known before a trace has gone by.
    fn check_stream(&self) -> Result<(), Failure> {
        if let Some(size) = self.sizes.iter().find(|size| size.is_share()) {
            return Err(Failure::usage(
                format_args!("--stream: {size} is a share of a trace that is not known yet"),
                "--sizes 10000 or --sizes 64MiB",
            ));
        }
        if self
            .bounds
            .as_ref()
            .is_some_and(|bounds| !bounds.is_empty())
        {
            return Err(Failure::usage(
                "--stream: a bound needs the whole trace at once",
                "--bounds none",
            ));
        }
        match self.warmup {
            Warmup::Requests(_) => Ok(()),
            Warmup::Share(_) => Err(Failure::usage(
                "--stream: --warmup is a share of a trace that is not known yet",
                "--warmup 1000000",
            )),
        }
    }

    fn settings(&self, global: &Global, arguments: &Arguments, mode: Mode) -> Settings {
        // MIN and its relatives are bounds for objects of one size only.
        let fitting: &[&str] = match mode {
            Mode::Unit => &["min", "min-bypass"],
            Mode::Bytes => &["pfoo-l"],
        };
        let bounds = match &self.bounds {
            Some(bounds) => bounds.clone(),
            None if self.warmup != Warmup::default() => Vec::new(),
            None => fitting.iter().map(|name| PolicySpec::named(name)).collect(),
        };
        Settings {
            mode,
            policies: self.policies.clone(),
            admissions: self.admissions.clone(),
            bounds,
            sizes: self.sizes.clone(),
            seeds: self.seeds.clone(),
            warmup: self.warmup,
            windows: self.windows,
            jobs: jobs(arguments.jobs),
            quiet: global.quiet,
        }
    }
}

fn windows(text: &str) -> Result<Windows, Failure> {
    Windows::parse(text).ok_or_else(|| {
        Failure::usage(
            format_args!("--over-time {text}: neither a number of windows nor a length of time"),
            "such as --over-time 100 or --over-time 5min; units are ms, s, min, h and d",
        )
    })
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

/// Reads a trace, and says how long that took.
#[expect(
    clippy::disallowed_methods,
    reason = "the remark says how long a person has waited"
)]
fn read(
    global: &Global,
    read: impl FnOnce() -> Result<ReadTrace, Failure>,
    path: &Path,
) -> Result<Trace, Failure> {
    let start = Instant::now();
    let ReadTrace { trace, format } = read()?;
    let time = start.elapsed().as_secs_f64();
    let requests = requests_of(&trace);
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

/// The failure of a warm-up or of windows that do not fit a trace.
fn misfit(path: &Path, error: &WindowError) -> Failure {
    let hint = match error {
        WindowError::AllWarm { .. } => "a smaller --warmup",
        WindowError::NoTimes => "--over-time 100 makes windows of requests",
        WindowError::TooMany => "longer or fewer windows",
    };
    Failure::usage(format_args!("{}: {error}", path.display()), hint)
}

/// Makes LRU's curve, and says how far it is exact.
fn curve(
    global: &Global,
    path: &Path,
    trace: &Trace,
    settings: &Settings,
) -> Result<LruCurve, Failure> {
    let curve = cache_sim::lru_curve(trace, settings).map_err(|error| match error {
        CurveError::Window(error) => misfit(path, &error),
        CurveError::Ends => Failure::usage(
            format_args!("{}: --curve: {error}", path.display()),
            "--unit charges objects one each; --ignore-removals lets none end",
        ),
    })?;
    match curve.exact_from() {
        Some(1) => {}
        Some(size) => global.remark(&format!(
            "LRU's curve is exact from {size} bytes on, the size of the largest object; below, it \
             is approximate"
        )),
        None => global.remark("LRU's curve is approximate: objects change their sizes"),
    }
    Ok(curve)
}

/// Saves a figure, if there is one. Returns the files to be named.
fn save(figure: Option<Figure>, folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let Some(figure) = figure else {
        return Ok(Vec::new());
    };
    figure.save(folder)?;
    let file = |extension| folder.join(format!("{}.{extension}", figure.name));
    Ok(["svg", "png"].map(file).into())
}

/// The requests of a trace, which may have gone by.
fn requests_of(trace: &Trace) -> u64 {
    if trace.sample_rate() < 1.0 {
        trace.objects().len() as u64
    } else {
        trace.requests_read()
    }
}

/// Says how large a trace is, and what is charged.
fn about(trace: &Trace, mode: Mode) -> String {
    let charged = match mode {
        Mode::Unit => "objects charged one each",
        Mode::Bytes => "objects charged with their bytes",
    };
    let requests = requests_of(trace);
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
fn warn(global: &Global, simulated: &Simulated) {
    let Simulated { trace, rows, .. } = simulated;
    if simulated.objects_end {
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
    let held = |row: &SimRow| row.outcome.as_ref().ok().and_then(|outcome| outcome.held);
    let small = |row: &&SimRow| held(row).is_some_and(|held| held < SAMPLED_OBJECTS_MIN);
    if let Some(row) = rows.iter().find(small) {
        global.remark(&format!(
            "warning: at {} a sampled cache holds fewer than {SAMPLED_OBJECTS_MIN} objects, and \
             says little about a whole one: a larger --sample",
            row.size
        ));
    }
    let drawn = trace.keys().len();
    if drawn < SAMPLED_KEYS_MIN {
        global.remark(&format!(
            "warning: the sample has only {drawn} objects: its intervals are themselves uncertain"
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
        let courses = cache_sim::courses(self.rows);
        if !courses.is_empty() {
            let windows = folder.join("over-time.csv");
            files::replace(&windows, cache_sim::windows_csv(self.rows).as_bytes())?;
            written.push(windows);
            for courses in courses.chunk_by(|one, other| one.size == other.size) {
                written.extend(self.draw_over_time(folder, courses)?);
            }
        }
        Ok(written)
    }

    /// Writes LRU's curve, and returns what was written.
    fn write_curve(&self, folder: &Path, curve: &LruCurve) -> Result<Vec<PathBuf>, Failure> {
        let words = CourseWords {
            name: "lru-curve",
            title: &format!("LRU's miss ratio over cache size, {}", self.name),
            subtitle: &self.about,
            provenance: &format!("aura cache-sim, AuraDB {VERSION}"),
            caption: "From one pass over the trace (Mattson's stack distances).",
            x_label: match self.mode {
                Mode::Unit => "cache size, % of the trace's objects (logarithmic)",
                Mode::Bytes => "cache size, % of the bytes of the trace's objects (logarithmic)",
            },
            logarithmic: true,
            baseline: cache::FAMILY.default,
        };
        let figure = draw_courses(&words, &[curve.course()]);
        let mut written = save(figure, folder)?;
        // The figure's own numbers are in percent; these have the sizes.
        let table = folder.join("lru-curve.csv");
        files::replace(&table, curve.to_csv().as_bytes())?;
        written.push(table);
        Ok(written)
    }

    /// Draws the miss ratios over time at one size.
    fn draw_over_time(&self, folder: &Path, courses: &[Course]) -> Result<Vec<PathBuf>, Failure> {
        let Some(Course { size, .. }) = courses.first() else {
            return Ok(Vec::new());
        };
        let name = format!("over-time-{}", size.replace('%', "-percent"));
        let words = CourseWords {
            name: &name,
            title: &format!("Miss ratio over time, cache of {size}, {}", self.name),
            subtitle: &self.about,
            provenance: &format!("aura cache-sim, AuraDB {VERSION}"),
            caption: "Each point is the middle of a window.",
            logarithmic: false,
            x_label: if self.is_by_time() {
                "time of the trace (hours)"
            } else {
                "requests"
            },
            baseline: cache::FAMILY.default,
        };
        save(draw_courses(&words, courses), folder)
    }

    /// Whether windows are lengths of time.
    fn is_by_time(&self) -> bool {
        let ran = self.rows.iter().filter_map(|row| row.outcome.as_ref().ok());
        let mut windows = ran.flat_map(|outcome| &outcome.windows);
        windows.any(|window| window.seconds.is_some())
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
            x_label: &self.x_label(),
            y_label: if of_bytes {
                "bytes missed (%)"
            } else {
                "requests missed (%)"
            },
            baseline: cache::FAMILY.default,
        };
        let curves = cache_sim::curves(self.rows, of_bytes);
        save(draw_curves(&words, &curves), folder)
    }

    fn x_label(&self) -> String {
        let unit = match (SizeUnit::of(self.rows), self.mode) {
            (SizeUnit::Percent, Mode::Unit) => "% of the trace's objects",
            (SizeUnit::Percent, Mode::Bytes) => "% of the bytes of the trace's objects",
            (SizeUnit::Objects, _) => "objects",
            (SizeUnit::Bytes(_, name), _) => name,
        };
        format!("cache size, {unit} (logarithmic)")
    }
}
