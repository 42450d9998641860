//! `aura index-bench`: table indexes side by side on sets of keys.

use std::io::{self, IsTerminal};
use std::path::Path;

use aura_policies::index::FAMILY;
use aura_workloads::keyset::{GENERATED, GeneratedError, GeneratedSet, KeyFormat, KeySet};
use indicatif::{ProgressBar, ProgressStyle};
use miette::miette;

use super::{Answer, EXIT_CLAIM_FAILED, EXIT_DONE, Failure, remark};
use crate::cli::{Global, IndexBenchArgs};
use crate::config::hint;
use crate::files;
use crate::index_bench::{self, BenchError, Candidate, Row, Settings, Ties, WHOLE_ARRAY};
use crate::packed;
use crate::plan::VERSION;
use crate::plot::{ParetoInput, ParetoLine, ParetoPoint, pareto};
use crate::rows::{self, Format};
use crate::store;

/// The policy that knows all ranks and counts no memory: a bound, which has no place among sizes.
const BOUND: &str = "oracle";

impl From<BenchError> for Failure {
    fn from(error: BenchError) -> Self {
        match error {
            BenchError::Policy(error) => Self::usage(
                error,
                "`aura list policies` has the models and their parameters",
            ),
            wrong => Self {
                code: EXIT_CLAIM_FAILED,
                report: miette!("{wrong}"),
            },
        }
    }
}

pub(super) fn index_bench(global: &Global, arguments: &IndexBenchArgs) -> Answer {
    let candidates = index_bench::candidates(&arguments.models, &arguments.epsilon)
        .map_err(|error| Failure::from(BenchError::from(error)))?;
    let sources = arguments
        .keys
        .iter()
        .map(|keys| Source::of(keys, arguments))
        .collect::<Result<Vec<_>, _>>()?;
    let out = arguments
        .out
        .clone()
        .unwrap_or_else(|| global.results.join("index-bench"));
    let mut all = Vec::new();
    for source in sources {
        let name = source.name();
        let set = source.read(arguments)?;
        introduce(global, &name, &set, matches!(source, Source::File(..)));
        let folder = out.join(&name);
        store::create_folder(&folder)?;
        let rows = measure(global, arguments, &name, set, &candidates)?;
        index_bench::write(&folder, &rows)?;
        draw(arguments, &name, &rows, &folder)?;
        remark(global, &format!("wrote {}", folder.display()));
        all.extend(rows);
    }
    let text = match global.format {
        Format::Table => index_bench::table(&all).text(global.format),
        Format::Json | Format::Csv => index_bench::data(&all).text(global.format),
    };
    rows::print(&text)?;
    Ok(EXIT_DONE)
}

/// Where keys come from.
enum Source<'a> {
    File(&'a Path, KeyFormat),
    Generated(GeneratedSet),
}

impl<'a> Source<'a> {
    /// A file of that name, else a generated set.
    fn of(text: &'a str, arguments: &IndexBenchArgs) -> Result<Self, Failure> {
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
        match asked.or_else(|| KeyFormat::of_file_name(&packed::plain_name(path))) {
            Some(format) => Ok(Self::File(path, format)),
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
        match self {
            Self::Generated(set) => set.name(),
            Self::File(path, _) => {
                let name = packed::plain_name(path);
                let endings = [".u64d", ".u64", ".sosd", ".txt", ".keys", ".lst"];
                let stem = endings
                    .iter()
                    .find_map(|ending| name.strip_suffix(ending))
                    .filter(|stem| !stem.is_empty());
                stem.map_or_else(|| name.clone(), str::to_owned)
            }
        }
    }

    fn read(&self, arguments: &IndexBenchArgs) -> Result<KeySet, Failure> {
        match self {
            Self::Generated(set) => Ok(set.keys(arguments.seed)),
            Self::File(path, format) => {
                let usage = |error: &dyn std::fmt::Display| {
                    Failure::usage(
                        error,
                        "another format of key files is named with --key-format",
                    )
                };
                let file = files::open(path).map_err(|error| usage(&error))?;
                let file =
                    packed::open(file, &packed::file_name(path)).map_err(|error| usage(&error))?;
                let set = format.read(file, arguments.limit);
                set.map_err(|error| {
                    usage(&format_args!(
                        "{}, read as {}: {error}",
                        path.display(),
                        format.name()
                    ))
                })
            }
        }
    }
}

fn unknown(text: &str, error: &GeneratedError) -> Failure {
    let names = GENERATED.iter().map(|kind| kind.name);
    let known = names.clone().collect::<Vec<_>>().join(", ");
    match error {
        GeneratedError::Unknown(name) => Failure::usage(
            format_args!(
                "`{text}` is neither a file nor a generated key set{}",
                hint(name, names)
            ),
            &format!("generated sets: {known}; with a count: uniform:100k"),
        ),
        GeneratedError::Count(_) => Failure::usage(error, "such as uniform:100k"),
    }
}

/// Says how many keys there are, and what was not as an index wants it. Of generated keys nobody expects an order.
fn introduce(global: &Global, name: &str, set: &KeySet, from_file: bool) {
    let order = if set.sorted || !from_file {
        ""
    } else {
        "; they were not in order"
    };
    let twice = match set.duplicates {
        0 => String::new(),
        count => format!("; {count} duplicates left out"),
    };
    remark(
        global,
        &format!("{name}: {} keys{order}{twice}", set.keys.len()),
    );
}

fn measure(
    global: &Global,
    arguments: &IndexBenchArgs,
    name: &str,
    set: KeySet,
    candidates: &[Candidate],
) -> Result<Vec<Row>, Failure> {
    let settings = Settings {
        block_keys: arguments.block_keys as usize,
        lookups: arguments.lookups as usize,
        cold_lookups: arguments.cold_lookups as usize,
        cold_bytes: arguments.cold_buffer.as_u64() as usize,
        seed: arguments.seed,
    };
    let steps = index_bench::steps(candidates.len(), &settings);
    let hidden = global.quiet || !io::stderr().is_terminal();
    let bar = if hidden {
        ProgressBar::hidden()
    } else {
        ProgressBar::new(steps)
    };
    let style = ProgressStyle::with_template("{bar:30} {percent} %  {eta} left  {msg}");
    bar.set_style(style.expect("the template is a constant"));
    bar.set_message(name.to_owned());
    let answer = index_bench::bench(name, set, candidates, &settings, &|| bar.inc(1));
    bar.finish_and_clear();
    let answer = answer?;
    if let Some(Ties {
        keys,
        longest_run,
        prefix,
    }) = answer.ties
    {
        let tied = match keys {
            0 => "all keys differ in the 8 bytes after it".to_owned(),
            keys => format!(
                "{keys} keys share the 8 bytes after it with others, at most {longest_run} the same"
            ),
        };
        remark(
            global,
            &format!("{name}: strings with a common prefix of {prefix} bytes; {tied}"),
        );
    }
    Ok(answer.rows)
}

fn draw(
    arguments: &IndexBenchArgs,
    name: &str,
    rows: &[Row],
    folder: &Path,
) -> Result<(), Failure> {
    let mut lines: Vec<ParetoLine> = Vec::new();
    let mut weightless = None;
    for row in rows.iter().filter(|row| row.model != BOUND) {
        let Some(measured) = &row.measured else {
            continue;
        };
        let nanos =
            [measured.warm, measured.cold].map(|latency| latency.map(|latency| latency.median));
        if row.model == WHOLE_ARRAY {
            weightless = Some((WHOLE_ARRAY, nanos));
            continue;
        }
        // Models with an epsilon are joined over it; of others, those with unlike parameters.
        let (line, label) = match row.epsilon {
            Some(epsilon) => (row.name(), epsilon.to_string()),
            None => (row.model.clone(), row.params.clone()),
        };
        let point = ParetoPoint {
            label,
            bytes_per_key: measured.bytes_per_key,
            nanos,
        };
        match lines.iter_mut().find(|known| known.name == line) {
            Some(known) => known.points.push(point),
            None => lines.push(ParetoLine {
                name: line,
                points: vec![point],
            }),
        }
    }
    for line in &mut lines {
        line.points
            .sort_by(|one, other| one.bytes_per_key.total_cmp(&other.bytes_per_key));
    }
    // Lines first: they take the colours that are told apart best.
    lines.sort_by_key(|line| (line.name != FAMILY.default, line.points.len() == 1));
    let keys = rows.first().map_or(0, |row| row.keys);
    let subtitle = format!(
        "{keys} keys, {} look-ups, half of them of absent keys",
        arguments.lookups
    );
    let provenance = format!(
        "aura index-bench, seed {}, AuraDB {VERSION}",
        arguments.seed
    );
    let input = ParetoInput {
        set: name,
        subtitle: &subtitle,
        provenance: &provenance,
        baseline: FAMILY.default,
        lines: &lines,
        weightless,
    };
    pareto(&input)?.save(folder)?;
    Ok(())
}
