//! `aura index-bench`: table indexes side by side on sets of keys.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use aura_policies::PolicySpec;
use aura_policies::index::FAMILY;
use aura_workloads::keyset::{GENERATED, GeneratedError, GeneratedSet, KeyFormat, KeySet};
use bytesize::ByteSize;
use clap::Args;

use super::{CommandResult, Failure, Global};
use crate::compression;
use crate::exit::Exit;
use crate::files;
use crate::formats::{Format, print};
use crate::index_bench::{self, BenchError, Candidate, Row, Settings, Ties, WHOLE_ARRAY};
use crate::nearest::hint;
use crate::plan::VERSION;
use crate::plot::{Nanos, ParetoInput, ParetoLine, ParetoPoint, Weightless, pareto};
use crate::progress::Percent;

/// Extensions of key files that say a format, and are left out of a set's name.
const EXTENSIONS: [&str; 6] = [".u64d", ".u64", ".sosd", ".txt", ".keys", ".lst"];

/// Build table indexes on a set of keys and measure them side by side: size, build time, look-up
/// time, errors.
#[derive(Clone, Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct Arguments {
    /// Key sets: files, or generated ones such as `uniform:1M`.
    #[arg(required = true)]
    keys: Vec<String>,
    /// The models: `all`, or a list such as `fence,pgm,rmi(leaves=256)`; `aura list policies` has
    /// their parameters.
    #[arg(
        long,
        value_name = "LIST",
        default_value = "all",
        value_parser = index_bench::parse_models
    )]
    models: std::vec::Vec<PolicySpec>,
    /// The error bounds of models that have one: `4..256` are the powers of two between, or a list
    /// such as `8,32,128`.
    #[arg(
        long,
        value_name = "LIST",
        default_value = "4..256",
        value_parser = index_bench::parse_epsilons
    )]
    epsilon: std::vec::Vec<u64>,
    /// How the files are written, unless their names say so: u64, u64d, sosd-u64, sosd-u32, lines
    /// or numbers.
    #[arg(long, value_name = "FORMAT", value_parser = key_format)]
    key_format: Option<KeyFormat>,
    /// Short for `--key-format numbers`: the lines of a text file are decimal numbers, not strings.
    #[arg(long, conflicts_with = "key_format")]
    numbers: bool,
    /// Read only the first N keys of each file.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Keys of a data block, for fence pointers and for models that point at blocks.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 32,
        value_parser = clap::value_parser!(u32).range(1..=65536)
    )]
    block_keys: u32,
    /// Warm look-ups of each index.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 100_000,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    lookups: u32,
    /// Cold look-ups of each index; 0 for none.
    #[arg(long, value_name = "N", default_value_t = 1024)]
    cold_lookups: u32,
    /// Memory written to before each four cold look-ups: more than the processor's last cache
    /// holds.
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    cold_buffer: ByteSize,
    /// The seed of look-ups and of generated keys.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Where a folder is made for each key set. Default: index-bench below the results.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

const HELP: &str = "\
Examples:
  aura index-bench uniform:1M
  aura index-bench uniform:1M lognormal:1M seq-gaps:1M --models pgm,greedy-plr --epsilon 8..128
  aura index-bench books_200M_uint64.zst --limit 10000000 --format csv > books.csv
  aura index-bench /usr/share/dict/words --key-format lines
  aura index-bench ids.txt.gz --numbers --models 'fence,radix-spline(radix_bits=12)'

Key files, plain or compressed (.zst, .gz, .xz):
  *.u64      little-endian 64-bit numbers
  *.u64d     the smallest key, then the difference of each key to the one before
  *_uint64, *_uint32, *.sosd
             SOSD's: a 64-bit count, then the numbers
  *.txt, *.keys, *.lst
             one string a line; decimal numbers with --numbers
Unsorted keys are sorted and duplicates left out; a remark says so.

Generated sets, with a count such as 5000, 100k or 10M after a colon (1M without one):
  uniform    64-bit numbers drawn uniformly         uniform44   44-bit numbers drawn uniformly
  lognormal  dense at first, then ever sparser      gaps        random gaps of 1 to 1,000
  seq-gaps   consecutive, 1 % of the steps skip     clusters    1,000 consecutive, at random places
  square     the squares                            linear      every seventh number
  ycsb       YCSB's hashed key numbers              user-names  YCSB's key names: strings

A look-up is the whole of it: the model's window, then the search within it in the sorted array, to
the first key not below the query. Half the queries are stored keys, half lie in the gap after one.
Every model is first checked against every key and every gap, and every query's answer against a
search of the whole array. Models of blocks are trained on the last key of every --block-keys keys.
Two baselines always run along: a search of the whole array, and fence pointers; `x fence` is the
time of these over the index's own. Numbers are searched in eight parts a round, whose loads
overlap. Fence pointers of strings are as in the engine: an array of images, then the bytes after
them.

Warm: rounds through all indexes in turn. The median is that of batches of 16 look-ups, each waiting
for the last; the p99 is that of look-ups timed one by one, less the cost of reading the clock.
Cold: a buffer is written to, which empties the caches, then each index does four look-ups timed one
by one; another index begins each time.

The image of a string, which is all that a model sees, is the 8 bytes after the prefix that all keys
share. Keys with equal images are distinguished by a search of the strings themselves; a remark says
how many there are.

Prints one row per index and key set. `probes` are comparisons of keys in a look-up (fence pointers'
included, a model's own steps not); `err` is the distance of a rank from the farther end of its
window, in keys: the largest over all keys and gaps, and the mean over all keys. `/ optimal` are
segments over the fewest that any piecewise linear model with this epsilon can have. A model that
was refused has the reason. `oracle`, which knows all ranks, is charged the 8 bytes a key that it
stores; in an engine it is a bound that costs nothing.

Each key set gets a folder with index-bench.csv, index-bench.parquet (all columns) and pareto.svg,
.png and .csv.

Exit codes:
  0  measured
  1  an index returned a wrong answer
  2  bad usage, or keys that cannot be read
  3  files cannot be written";

fn key_format(name: &str) -> Result<KeyFormat, String> {
    let known = KeyFormat::ALL.map(KeyFormat::name);
    KeyFormat::find(name).ok_or_else(|| format!("the formats are {}", known.join(", ")))
}

impl From<BenchError> for Failure {
    fn from(error: BenchError) -> Self {
        match error {
            BenchError::Policy(error) => Self::usage(
                error,
                "`aura list policies` has the models and their parameters",
            ),
            wrong => Self::new(Exit::ClaimFailed, wrong),
        }
    }
}

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let candidates = index_bench::candidates(&self.models, &self.epsilon)
            .map_err(|error| Failure::from(BenchError::from(error)))?;
        let mut sources = Vec::new();
        for keys in &self.keys {
            sources.push(Source::of(keys, self)?);
        }
        let out = match &self.out {
            Some(out) => out.clone(),
            None => global.results.join("index-bench"),
        };
        let mut all = Vec::new();
        for source in sources {
            let name = source.name();
            let set = source.read(self)?;
            introduce(global, &name, &set, &source);
            let folder = out.join(&name);
            files::create_folder(&folder)?;
            let rows = self.measure(global, &name, set, &candidates)?;
            index_bench::write(&folder, &rows)?;
            self.draw(&name, &rows, &folder)?;
            global.remark(&format!("wrote {}", folder.display()));
            all.extend(rows);
        }
        let table = match global.format {
            Format::Table => index_bench::table(&all),
            Format::Json | Format::Csv => index_bench::data(&all),
        };
        print(&table.text(global.format))?;
        Ok(Exit::Done)
    }

    fn measure(
        &self,
        global: &Global,
        name: &str,
        set: KeySet,
        candidates: &[Candidate],
    ) -> Result<Vec<Row>, Failure> {
        let settings = Settings {
            block_keys: self.block_keys as usize,
            lookups: self.lookups as usize,
            cold_lookups: self.cold_lookups as usize,
            cold_bytes: self.cold_buffer.as_u64() as usize,
            seed: self.seed,
        };
        let steps = index_bench::steps(candidates.len(), &settings);
        let progress = Percent::new(steps, name, global.quiet);
        let report = index_bench::bench(name, set, candidates, &settings, &|| progress.step());
        progress.finish();
        let report = report?;
        if let Some(ties) = report.ties {
            say_ties(global, name, ties);
        }
        Ok(report.rows)
    }

    fn draw(&self, name: &str, rows: &[Row], folder: &Path) -> Result<(), Failure> {
        let keys = rows.first().map_or(0, |row| row.keys);
        let lookups = self.lookups;
        let seed = self.seed;
        let input = ParetoInput {
            set: name,
            subtitle: &format!("{keys} keys, {lookups} look-ups, half of them of absent keys"),
            provenance: &format!("aura index-bench, seed {seed}, AuraDB {VERSION}"),
            baseline: FAMILY.default,
            lines: &pareto_lines(rows),
            weightless: weightless(rows),
        };
        pareto(&input).save(folder)?;
        Ok(())
    }
}

/// Where keys come from.
enum Source<'a> {
    File { path: &'a Path, format: KeyFormat },
    Generated(GeneratedSet),
}

impl<'a> Source<'a> {
    /// A file of that name, or else a generated set.
    fn of(text: &'a str, arguments: &Arguments) -> Result<Self, Failure> {
        let path = Path::new(text);
        if !path.is_file() {
            return GeneratedSet::parse(text)
                .map(Self::Generated)
                .map_err(|error| unknown(text, &error));
        }
        let asked = if arguments.numbers {
            Some(KeyFormat::Numbers)
        } else {
            arguments.key_format
        };
        let by_name = || KeyFormat::of_file_name(&compression::plain_name(path));
        match asked.or_else(by_name) {
            Some(format) => Ok(Self::File { path, format }),
            None => Err(Failure::usage(
                format_args!("{text}: the name does not say how its keys are written"),
                &format!(
                    "say so with --key-format: {}",
                    KeyFormat::ALL.map(KeyFormat::name).join(", ")
                ),
            )),
        }
    }

    /// A name for the folder of its results.
    fn name(&self) -> String {
        let name = match self {
            Self::Generated(set) => return set.name(),
            Self::File { path, .. } => compression::plain_name(path),
        };
        let mut extensions = EXTENSIONS.iter();
        match extensions.find_map(|extension| name.strip_suffix(extension)) {
            Some(stem) if !stem.is_empty() => stem.to_owned(),
            _ => name,
        }
    }

    fn read(&self, arguments: &Arguments) -> Result<KeySet, Failure> {
        match self {
            Self::Generated(set) => Ok(set.keys(arguments.seed)),
            Self::File { path, format } => read_file(path, *format, arguments.limit),
        }
    }
}

fn read_file(path: &Path, format: KeyFormat, limit: Option<u64>) -> Result<KeySet, Failure> {
    let unreadable = |error: &dyn Display| {
        Failure::usage(error, "--key-format names another format of key files")
    };
    let file = files::open(path).map_err(|error| unreadable(&error))?;
    let name = compression::file_name(path);
    let file = compression::open(file, &name)
        .map_err(|error| unreadable(&format_args!("{}: {error}", path.display())))?;
    format.read(file, limit).map_err(|error| {
        let path = path.display();
        let format = format.name();
        unreadable(&format_args!("{path}, read as {format}: {error}"))
    })
}

fn unknown(text: &str, error: &GeneratedError) -> Failure {
    let names = GENERATED.iter().map(|kind| kind.name);
    let known = names.clone().collect::<Vec<_>>().join(", ");
    match error {
        GeneratedError::Unknown(name) => {
            let hint = hint(name, names);
            Failure::usage(
                format_args!("`{text}` is neither a file nor a generated key set{hint}"),
                &format!("generated sets: {known}; with a count: uniform:100k"),
            )
        }
        GeneratedError::Count(_) => Failure::usage(error, "such as uniform:100k"),
    }
}

/// Says how many keys there are, and what had to be mended. Nobody expects an order of generated
/// keys.
fn introduce(global: &Global, name: &str, set: &KeySet, source: &Source) {
    let mut remark = format!("{name}: {} keys", set.keys.len());
    if !set.sorted && matches!(source, Source::File { .. }) {
        remark += "; they were not in order";
    }
    if set.duplicates > 0 {
        remark += &format!("; {} duplicates left out", set.duplicates);
    }
    global.remark(&remark);
}

/// Says how many strings a model cannot distinguish.
fn say_ties(global: &Global, name: &str, ties: Ties) {
    let Ties {
        keys,
        largest,
        prefix,
    } = ties;
    let tied = if keys == 0 {
        "all keys differ in the 8 bytes after it".to_owned()
    } else {
        format!("{keys} keys share the 8 bytes after it with others, at most {largest} the same")
    };
    global.remark(&format!(
        "{name}: strings with a common prefix of {prefix} bytes; {tied}"
    ));
}

/// A row's median look-ups, if it was measured.
fn nanos(row: &Row) -> Option<Nanos> {
    let measured = row.measured.as_ref()?;
    Some(Nanos {
        warm: measured.warm.map(|latency| latency.median),
        cold: measured.cold.map(|latency| latency.median),
    })
}

/// The search of the whole array, which takes no memory.
fn weightless(rows: &[Row]) -> Option<Weightless<'static>> {
    let row = rows.iter().find(|row| row.model == WHOLE_ARRAY)?;
    Some(Weightless {
        name: WHOLE_ARRAY,
        nanos: nanos(row)?,
    })
}

/// One line per model, its points ordered by size.
fn pareto_lines(rows: &[Row]) -> Vec<ParetoLine> {
    let mut lines: Vec<ParetoLine> = Vec::new();
    for row in rows {
        if row.model == WHOLE_ARRAY {
            continue;
        }
        let (Some(measured), Some(nanos)) = (&row.measured, nanos(row)) else {
            continue;
        };
        // Models with an epsilon are joined over it; others over their parameters.
        let (name, label) = match row.epsilon {
            Some(epsilon) => (row.name(), epsilon.to_string()),
            None => (row.model.clone(), row.params.clone()),
        };
        let point = ParetoPoint {
            label,
            bytes_per_key: measured.bytes_per_key,
            nanos,
        };
        match lines.iter_mut().find(|line| line.name == name) {
            Some(line) => line.points.push(point),
            None => lines.push(ParetoLine {
                name,
                points: vec![point],
            }),
        }
    }
    for line in &mut lines {
        let size = |point: &ParetoPoint| point.bytes_per_key;
        line.points.sort_by(|a, b| size(a).total_cmp(&size(b)));
    }
    // Lines come before single points: they take the colours that are easiest to distinguish.
    lines.sort_by_key(|line| (line.name != FAMILY.default, line.points.len() == 1));
    lines
}
