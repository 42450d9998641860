//! The command line of `aura`, as data.

use std::path::PathBuf;

use aura_policies::PolicySpec;
use aura_workloads::keyset::KeyFormat;
use bytesize::ByteSize;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::index_bench;
use crate::rows::Format;

/// Experiments on storage policies: from a config to a verdict.
#[derive(Debug, Parser)]
#[command(
    name = "aura",
    version,
    after_help = "\
A first experiment, in under two minutes:
  aura run experiments/configs/quickstart.toml

Then change a setting, and look at what a config may say:
  aura run experiments/configs/quickstart.toml -s engine.cache.size=1MiB -s name=smaller-cache
  aura list policies
  aura compare quickstart smaller-cache

Caches alone, on a trace of yours:
  aura cache-sim requests.csv.zst --policies all --sizes 0.1%,1%,10%

A database: is it whole, a copy of it, what can be saved of it:
  aura verify DIR
  aura checkpoint DIR TARGET
  aura repair DIR --dry-run

Exit codes: 0 done; 1 a trial failed, a re-run differs, or a database is damaged; 2 bad usage or config; 3 the environment is refused;
75 interrupted or busy, try again."
)]
pub struct Cli {
    /// What all verbs share.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What all verbs share.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// The folder of all results.
    #[arg(long, global = true, default_value = "results", value_name = "DIR")]
    pub results: PathBuf,
    /// How rows are written to standard output.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    pub format: Format,
    /// No progress and no remarks on standard error; errors are still told.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// No colours, as with the variable NO_COLOR.
    #[arg(long, global = true)]
    pub no_color: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run an experiment: plan, run, compare, plot and report. The same command resumes one that was cut short.
    #[command(after_help = "\
Examples:
  aura run experiments/configs/quickstart.toml
  aura run quickstart.toml -s workload.records=50000 -s engine.cache.size=512KiB --seeds 3
  aura run quickstart.toml -s 'engine.compaction.layout={ policy = \"leveled\", ratio = 4 }'
  aura run quickstart.toml -s world.kind=real -s world.directory=/mnt/nvme --results /data/results

Everything is checked and frozen in results/<name>/plan.jsonl before the first trial. Finished trials are kept: a
changed config runs only what is new.")]
    Run(RunArgs),
    /// List what configs can name: policies, workloads, devices, metrics.
    #[command(after_help = "\
Examples:
  aura list policies
  aura list policies --format json
  aura list metrics --format csv > metrics.csv")]
    List {
        /// What to list.
        #[arg(value_enum)]
        what: Listing,
    },
    /// Compare the variants of runs: effect, interval and verdict by metric.
    #[command(after_help = "\
Examples:
  aura compare quickstart
  aura compare quickstart --baseline sieve-leveled --metric cache.hit_ratio --metric read.latency_p99_us
  aura compare quickstart smaller-cache --format csv

Of several runs, variants are named run/variant, and the first run's baseline is the baseline.")]
    Compare(CompareArgs),
    /// Draw a run's figures: SVG, PNG, and their data as CSV.
    #[command(after_help = "\
Examples:
  aura plot quickstart
  aura plot quickstart --kind latency --kind forest")]
    Plot {
        /// The run: a folder, or its name below the results.
        run: PathBuf,
        /// Which figures; all of them if none is named.
        #[arg(long, value_name = "KIND")]
        kind: Vec<String>,
    },
    /// Write a run's report: one HTML page that needs nothing else.
    #[command(after_help = "\
Example:
  aura report quickstart && xdg-open results/quickstart/report.html")]
    Report {
        /// The run: a folder, or its name below the results.
        run: PathBuf,
    },
    /// Print the JSON schema of configs, for editors.
    #[command(after_help = "\
Example:
  aura schema > aura.schema.json
With `#:schema ./aura.schema.json` as a config's first line, editors that know TOML schemas complete and check it.")]
    Schema {
        /// Of what.
        #[arg(value_enum, default_value_t)]
        what: Schema,
    },
    /// Run a simulated run's trials again and compare every metric bit for bit; or check a database's directory.
    #[command(after_help = "\
Examples:
  aura verify quickstart
  aura verify quickstart --sample 3
  aura verify /mnt/nvme/aura-0123456789abcdef

A difference ends with exit code 1: then the same config and seed no longer give the same numbers, and no comparison
with older results can be trusted.

Of a database that nobody has open, all of this is checked, and nothing is changed but the lock that is held meanwhile:
  every checksum of tables, value files, logs and manifest;  the order of entries, tables and levels;
  that filters and indexes find every key;  that every pointer leads to its value;
  that the files are those of the manifest, with the lengths recorded;
  that what is pointed at and what is booked as garbage fit into each value file.
What a crash has left to be recovered is read as the next opening would read it. A problem is told with file and offset,
and ends with exit code 1; `aura repair` says what can be saved.

`space_amplification` are the bytes on disk over the bytes of the rows that can be reached, `value_log_amplification` the
same of value files and the rows whose values lie there. `unreadable_bytes` lie in value files where nothing points: the
torn end of a file that was being written, or damage to what nobody reads.")]
    Verify {
        /// The run, or the directory of a database.
        run: PathBuf,
        /// Run only so many trials again, spread evenly over the plan.
        #[arg(long, value_name = "N")]
        sample: Option<usize>,
        /// How many trials run side by side. Default: one a core.
        #[arg(long, short, value_name = "N")]
        jobs: Option<usize>,
    },
    /// Make an openable copy of a database, by hard links where the file system can.
    #[command(after_help = "\
Examples:
  aura checkpoint /mnt/nvme/db /mnt/nvme/db-monday
  aura checkpoint db /backup/db && aura verify /backup/db

The database is opened under its own settings, which recovers what a crash has left; it must not be in use. An engine that
runs takes checkpoints itself, while others write (`Engine::checkpoint`).

The target must be absent or empty, and outside the database's directory. Tables and full value files never change: on
the same file system the copy shares their bytes with the database, takes hardly any space, and keeps them when the
database drops them. On another they are copied. A copy that was cut short is told from a database, and can be removed.")]
    Checkpoint {
        /// The database's directory.
        directory: PathBuf,
        /// Where the copy goes.
        target: PathBuf,
    },
    /// Save what is sound of a damaged database, and tell what is lost.
    #[command(after_help = "\
Examples:
  aura repair db --dry-run
  aura repair db && aura verify db

Rows name what is lost: file, offset, bytes, the number of entries and the keys between which they lay, as far as they are
known. A damaged table is written again from its sound blocks; entries whose values are lost are dropped; of damaged logs
the writes before the damage are kept. An older version of a lost entry, where there is one, is seen again.

Without CURRENT or its manifest, all tables found are merged by the sequence numbers of their entries. Tables that a
compaction had replaced, and that a crash kept from being removed, are among them: keys that were deleted may be there
again. So may keys that were deleted by a range: of range deletes only those are known that are still in the logs.

Nothing is deleted: files that are damaged or no longer needed move to DIR/lost, which is yours to remove. Where nothing is
wrong nothing is changed. A repair that is cut short can be run again.

Exit codes: 0 repaired, or nothing was wrong; with --dry-run, 1 where something is.")]
    Repair {
        /// The database's directory.
        directory: PathBuf,
        /// Say what would be done, and change nothing but the lock that is held meanwhile.
        #[arg(long)]
        dry_run: bool,
    },
    /// Replay cache traces: every eviction and admission policy at every size, with the bounds beside them.
    #[command(
        after_help = "\
Examples:
  aura cache-sim zipf.csv.zst
  aura cache-sim OLTP.lis --policies lru,arc,'clock(bits=2)' --sizes 1000,2000,5000
  aura cache-sim cluster52.sort.zst --sizes 64MiB,256MiB,1GiB --admissions always,doorkeeper --limit 50000000
  aura cache-sim w96.oracleGeneral.bin.zst --sizes 0.1%,1%,10% --sample 0.01
  aura cache-sim blocks.tsv.gz --columns 'key=lbn,size=len,delimiter=tab' --unit --bounds min,min-bypass
  aura cache-sim a.aurat b.aurat --policies all --format csv > rows.csv",
        after_long_help = "\
Examples:
  aura cache-sim zipf.csv.zst
      all policies at 0.1 %, 1 % and 10 % of the trace, with bounds; writes results/cache-sim/zipf/
  aura cache-sim OLTP.lis --policies lru,arc,'clock(bits=2)' --sizes 1000,2000,5000
      a policy's parameters stand in brackets; sizes in objects, for this format says no bytes
  aura cache-sim cluster52.sort.zst --sizes 64MiB,256MiB,1GiB --admissions always,doorkeeper --limit 50000000
      every admission policy with every eviction policy, on the first 50 million requests
  aura cache-sim w96.oracleGeneral.bin.zst --sizes 0.1%,1%,10% --sample 0.01
      one key in a hundred, with all its requests, in caches a hundredth as large; ratios come with their error
  aura cache-sim blocks.tsv.gz --columns 'key=lbn,size=len,delimiter=tab' --unit --bounds min,min-bypass
      any text with columns; objects are charged one each
  aura cache-sim a.aurat b.aurat --policies all --format csv > rows.csv
      rows on standard output, everything else on standard error

What is counted: the cache starts empty and every request counts; a share of the trace is one of its distinct objects, or
of the sum of their first sizes, rounded down; an object keeps the size it entered with; one larger than the cache is
a miss. Deletions in a trace are left out, and told.

A policy that cannot take a trace or a size stands in the table with the reason. The speed is that of the replay alone on
one thread: with --jobs 1 nothing runs beside it. `aura list policies` tells the names and parameters of policies (cache),
admissions (admission) and bounds (bound).

Trace formats: aurat, csv, keys (plain 64-bit), lis (ARC), meta-kv, oracle-general, twitter, vscsi; each plain, or
compressed with zstd, gzip or xz."
    )]
    CacheSim(CacheSimArgs),
    /// Convert cache traces, or tell what they hold.
    #[command(after_help = "\
Examples:
  aura trace info cluster52.sort.zst
  aura trace convert OLTP.lis.zst oltp.oracleGeneral.bin.zst")]
    Trace {
        /// What to do.
        #[command(subcommand)]
        verb: TraceVerb,
    },
    /// Build table indexes on a set of keys and measure them side by side: size, build time, look-up time, errors.
    #[command(after_help = INDEX_BENCH_HELP)]
    IndexBench(IndexBenchArgs),
    /// Show the registry of models of a database that nobody has open: each table's index, and what was observed of it.
    #[command(after_help = INDEX_INSPECT_HELP)]
    IndexInspect(IndexInspectArgs),
    /// Runs one trial for `aura run`, in a process of its own.
    #[command(hide = true)]
    Trial {
        /// The trial's id.
        id: String,
        /// The experiment's folder.
        folder: PathBuf,
        /// Leave the database where it is.
        #[arg(long)]
        keep: bool,
    },
}

/// How an experiment is run.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// The experiment: a TOML or JSON file.
    pub config: PathBuf,
    /// Set a key of the config, over everything that the file says; the value is TOML, a bare word is text.
    #[arg(long, short, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// How many simulated trials run side by side. Default: one a core. Real ones run one after the other.
    #[arg(long, short, value_name = "N")]
    pub jobs: Option<usize>,
    /// Short for `--set seeds=N`: the seeds 1 to N.
    #[arg(long, value_name = "N")]
    pub seeds: Option<u32>,
    /// Run finished trials again.
    #[arg(long)]
    pub force: bool,
    /// Real world: leave the databases where they are, for `aura verify`.
    #[arg(long)]
    pub keep: bool,
}

/// What is compared.
#[derive(Clone, Debug, Args)]
pub struct CompareArgs {
    /// The runs: folders, or their names below the results.
    #[arg(required = true)]
    pub runs: Vec<PathBuf>,
    /// The variant that others are compared with. Default: the config's.
    #[arg(long, value_name = "VARIANT")]
    pub baseline: Option<String>,
    /// The metrics to look at, in place of the config's.
    #[arg(long, value_name = "METRIC")]
    pub metric: Vec<String>,
    /// The relative difference that does not matter. Default: the config's.
    #[arg(long, value_name = "SHARE")]
    pub margin: Option<f64>,
}

/// How a trace is read.
#[derive(Clone, Debug, Args)]
pub struct TraceInput {
    /// The traces' format; told by name and contents where it is left out.
    #[arg(long, value_name = "FORMAT")]
    pub trace_format: Option<String>,
    /// Where a CSV file has what: time=1,key=2,size=bytes,header=yes,delimiter=tab. Columns by number or name.
    #[arg(long, value_name = "MAP")]
    pub columns: Option<String>,
    /// Read the first N requests only.
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Keep this share of the keys, by their hash, with all their requests (SHARDS).
    #[arg(long, value_name = "RATE")]
    pub sample: Option<f64>,
    /// What sampling, and policies that draw lots, draw them from.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
}

/// What is replayed, and how.
#[derive(Clone, Debug, Args)]
pub struct CacheSimArgs {
    /// The traces.
    #[arg(required = true, value_name = "TRACE")]
    pub traces: Vec<PathBuf>,
    /// Eviction policies: all, or names with parameters, such as lru,clock(bits=2).
    #[arg(long, default_value = "all", value_name = "LIST")]
    pub policies: String,
    /// Admission policies, each with each eviction policy: all, or names with parameters.
    #[arg(long, default_value = "always", value_name = "LIST")]
    pub admissions: String,
    /// Bounds: all, none, or names. Default: min,min-bypass where objects are charged one each, pfoo-l where bytes are.
    #[arg(long, value_name = "LIST")]
    pub bounds: Option<String>,
    /// Sizes of the cache: shares of the trace (1%), numbers of objects (10000), or bytes (64MiB).
    #[arg(long, default_value = "0.1%,1%,10%", value_name = "LIST")]
    pub sizes: String,
    /// Charge objects one each. Default where the trace has no sizes.
    #[arg(long, conflicts_with = "bytes")]
    pub unit: bool,
    /// Charge objects with their bytes. Default where the trace has sizes.
    #[arg(long)]
    pub bytes: bool,
    /// How the traces are read.
    #[command(flatten)]
    pub input: TraceInput,
    /// How many caches run side by side, on a thread each. Default: one a core.
    #[arg(long, short, value_name = "N")]
    pub jobs: Option<usize>,
    /// Where tables and figures go; of several traces, a folder each below it. Default: `cache-sim/<trace>` below the results.
    #[arg(long, short, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// What to do with a trace.
#[derive(Debug, Subcommand)]
pub enum TraceVerb {
    /// Write a trace in another format, compressed as the output's name ends.
    #[command(after_help = "\
Examples:
  aura trace convert OLTP.lis oltp.aurat.zst
  aura trace convert requests.csv requests.oracleGeneral.bin.zst --columns time=ts,key=url,size=bytes
  aura trace convert big.oracleGeneral.zst small.csv --sample 0.01 --limit 1000000000

Formats that can be written: aurat, csv, oracle-general (with each request's next access computed).")]
    Convert {
        /// The trace.
        input: PathBuf,
        /// The file to be written.
        output: PathBuf,
        /// The output's format; told by its name where it is left out.
        #[arg(long, value_name = "FORMAT")]
        to: Option<String>,
        /// How the trace is read.
        #[command(flatten)]
        how: TraceInput,
    },
    /// Tell what traces hold: requests, objects, bytes, sizes, popularity, time, kinds.
    #[command(after_help = "\
Examples:
  aura trace info cluster52.sort.zst
  aura trace info a.lis b.oracleGeneral.zst --format json")]
    Info {
        /// The traces.
        #[arg(required = true, value_name = "TRACE")]
        traces: Vec<PathBuf>,
        /// How they are read.
        #[command(flatten)]
        how: TraceInput,
    },
}

/// Which indexes are measured, on which keys.
#[derive(Clone, Debug, Args)]
pub struct IndexBenchArgs {
    /// Key sets: files, or generated ones such as `uniform:1M`.
    #[arg(required = true)]
    pub keys: Vec<String>,
    /// The models: `all`, or a list such as `fence,pgm,rmi(leaves=256)`; `aura list policies` has their parameters.
    #[arg(long, value_name = "LIST", default_value = "all", value_parser = index_bench::parse_models)]
    pub models: std::vec::Vec<PolicySpec>,
    /// The error bounds of models that have one: `4..256` are the powers of two between, or a list such as `8,32,128`.
    #[arg(long, value_name = "LIST", default_value = "4..256", value_parser = index_bench::parse_epsilons)]
    pub epsilon: std::vec::Vec<u64>,
    /// How the files are written, where their names do not say so: u64, u64d, sosd-u64, sosd-u32, lines or numbers.
    #[arg(long, value_name = "FORMAT", value_parser = key_format)]
    pub key_format: Option<KeyFormat>,
    /// Short for `--key-format numbers`: the lines of a text file are decimal numbers, not strings.
    #[arg(long, conflicts_with = "key_format")]
    pub numbers: bool,
    /// Read only the first N keys of each file.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Keys of a data block, for fence pointers and for models that point at blocks.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub block_keys: u32,
    /// Warm look-ups of each index.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub lookups: u32,
    /// Cold look-ups of each index; 0 for none.
    #[arg(long, value_name = "N", default_value_t = 1024)]
    pub cold_lookups: u32,
    /// Memory written to before each four cold look-ups: more than the processor's last cache holds.
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    pub cold_buffer: ByteSize,
    /// The seed of look-ups and of generated keys.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Where a folder is made for each key set. Default: index-bench below the results.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Which database is inspected.
#[derive(Clone, Debug, Args)]
pub struct IndexInspectArgs {
    /// The database's directory.
    pub directory: PathBuf,
    /// What a row is. Default: both in a table to read, tables in JSON and CSV.
    #[arg(long, value_enum, value_name = "WHAT")]
    pub by: Option<InspectBy>,
    /// Where rows and figure go. Default: `index-inspect/<name of the directory>` below the results.
    #[arg(long, short, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// What a row of `index-inspect` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum InspectBy {
    /// The tables of a level that were built under one index.
    Level,
    /// A table.
    Table,
}

fn key_format(name: &str) -> Result<KeyFormat, String> {
    let known = KeyFormat::ALL.map(KeyFormat::name);
    KeyFormat::find(name).ok_or_else(|| format!("the formats are {}", known.join(", ")))
}

const INDEX_BENCH_HELP: &str = "\
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
Unsorted keys are sorted, duplicates left out and told.

Generated sets, with a count such as 5000, 100k or 10M behind a colon (1M without one):
  uniform    64-bit numbers drawn uniformly         uniform44   the same of 44 bits
  lognormal  dense at first, then ever sparser      gaps        random gaps of 1 to 1,000
  seq-gaps   consecutive, 1 % of the steps skip     clusters    1,000 consecutive numbers at random places
  square     the squares                            linear      every seventh number
  ycsb       YCSB's hashed key numbers              user-names  YCSB's key names: strings

A look-up is the whole of it: the model's window, then the search within it in the sorted array, to the first key not
below the query. Half the queries are stored keys, half lie in the gap after one. Every model is first checked against
every key and every gap, and every query's answer against a search of the whole array: a wrong one ends the command.
Models of blocks are trained on the last key of every --block-keys keys. Two baselines always run along: a branch-free
binary search of the whole array, and fence pointers; `x fence` is their time over the index's own.

Warm: rounds through all indexes in turn; the median is that of batches of 16 look-ups, each waiting for the last, the
p99 that of look-ups timed one by one, less the cost of reading the clock. Cold: a buffer is written to, which empties
the caches, then each index does four look-ups timed one by one; who begins changes each time.

Of strings, the image that a model sees is the 8 bytes after the prefix that all keys share; keys with the same image
are told apart by a search of the strings themselves. How many there are is told.

Columns: `probes` are comparisons of keys in a look-up (fence pointers' included, a model's own steps not); `err` is the
distance of a key's rank from the middle of its window, in keys; `/ optimal` are segments over the fewest that any
piecewise linear model with this epsilon can have.

Each key set gets a folder with index-bench.csv, index-bench.parquet (all columns) and pareto.svg, .png and .csv.";

const INDEX_INSPECT_HELP: &str = "\
Examples:
  aura run experiments/configs/learned-index.toml -s world.kind=real --seeds 1 --keep
  aura index-inspect results/learned-index/databases/0123456789abcdef
  aura index-inspect /mnt/nvme/db --by level
  aura index-inspect /mnt/nvme/db --format json | jq 'select(.refused)'

Nothing is changed, but for the lock that is held meanwhile. The counts of look-ups, and all that is said of tables that
compactions have replaced, are those up to the last time the database was closed: a crash loses what came after.

Columns: `index` is what a table was built under, `used` what serves: fence pointers where the policy makes no model or
its model was refused, with the reason at the end. `percent_of_fence` are the index's bytes in memory over those of plain
fence pointers: the last key of each block in full, and its address. Errors were measured over every key and every gap
when the table was built, in entries or blocks as `error_in` says. Seeks count as look-ups that found an entry. `gone` are
the tables that compactions have replaced.

The folder gets tables.csv, levels.csv and, unless the database is empty, index-inspect.svg, .png and .csv.";

/// What can be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Listing {
    /// The families of policies.
    Policies,
    /// Presets and key distributions.
    Workloads,
    /// Simulated devices.
    Devices,
    /// What is measured.
    Metrics,
}

/// What has a schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Schema {
    /// Experiment configs.
    #[default]
    Config,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_every_verb_has_an_example() {
        let command = Cli::command();
        command.clone().debug_assert();
        for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let help = verb
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                help.contains(&format!("aura {}", verb.get_name())),
                "{}",
                verb.get_name()
            );
        }
    }
}
