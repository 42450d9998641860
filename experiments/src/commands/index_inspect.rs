//! `aura index-inspect`: the indexes of a database.

use std::path::{Path, PathBuf};

use aura_engine::{IndexRegistry, inspect_indexes};
use clap::{Args, ValueEnum};

use super::{CommandResult, Failure, Global, database};
use crate::exit::Exit;
use crate::files;
use crate::formats::{Format, print};
use crate::index_inspect::{PLAIN_FENCE, levels, panels, tables};
use crate::plan::VERSION;
use crate::plot::{LevelWords, draw_levels};

/// Show the indexes of a database: each table's index, and what was observed of it.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  aura run experiments/configs/learned-index.toml -s world.kind=real --seeds 1 --keep
  aura index-inspect results/learned-index/databases/0123456789abcdef
  aura index-inspect /mnt/nvme/db --by level
  aura index-inspect /mnt/nvme/db --format json | jq 'select(.refused)'

Nothing is written: the directory may be read-only, and an engine may have it open. The counts of
look-ups, and everything about tables that compactions have replaced, are as of the last time the
database was closed: a crash loses what came after.

Prints one row per table, and one for the tables of a level that share an index. `index` is what a
table was built under, `used` what serves: fence pointers if the policy makes no model or its model
was refused, with the reason at the end. `percent_of_fence` is the index's memory over that of plain
fence pointers: the last key of each block in full, and its address. Errors were measured over every
key and 64 gaps when the table was built, in entries or blocks as `error_in` says. Seeks count as
look-ups that found an entry. `gone` are the tables that compactions have replaced.

The folder gets tables.csv, levels.csv and, unless the database is empty, index-inspect.svg, .png
and .csv.

Exit codes:
  0   done
  1   the database is damaged
  2   there is no database, or a newer `aura` wrote it
  3   files cannot be read or written")]
pub(super) struct Arguments {
    /// The database's directory.
    directory: PathBuf,
    /// What a row is. Default: both in a table, tables in JSON and CSV.
    #[arg(long, value_enum, value_name = "WHAT")]
    by: Option<InspectBy>,
    /// Where rows and figure go. Default: `index-inspect/<name of the directory>` below the
    /// results.
    #[arg(long, short, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum InspectBy {
    /// The tables of a level that were built under one index.
    Level,
    /// A table.
    Table,
}

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let registry = read(&self.directory)?;
        let format = global.format;
        let rows = match (self.by, format) {
            (None, Format::Table) => {
                levels(&registry).text(format) + &tables(&registry).text(format)
            }
            (Some(InspectBy::Level), _) => levels(&registry).text(format),
            (Some(InspectBy::Table) | None, _) => tables(&registry).text(format),
        };
        print(&rows)?;
        let name = self.name();
        let out = match &self.out {
            Some(out) => out.clone(),
            None => global.results.join("index-inspect").join(&name),
        };
        write(&out, &name, &registry)?;
        global.remark(&format!("wrote {}", out.display()));
        Ok(Exit::Done)
    }

    /// The directory's name.
    fn name(&self) -> String {
        let path = std::path::absolute(&self.directory).ok();
        let name = path.as_deref().and_then(Path::file_name);
        name.map_or_else(
            || "database".to_owned(),
            |name| name.to_string_lossy().into_owned(),
        )
    }
}

fn read(directory: &Path) -> Result<IndexRegistry, Failure> {
    let world = database::world()?;
    database::check(&world.env(), directory)?;
    Ok(world.block_on(inspect_indexes(&world.env(), directory))?)
}

/// Writes rows and figure.
fn write(folder: &Path, name: &str, registry: &IndexRegistry) -> Result<(), Failure> {
    files::create_folder(folder)?;
    let save = |file: &str, text: String| files::replace(&folder.join(file), text.as_bytes());
    save("tables.csv", tables(registry).text(Format::Csv))?;
    save("levels.csv", levels(registry).text(Format::Csv))?;
    let models: u64 = registry
        .levels
        .iter()
        .map(|level| level.kind.live.models)
        .sum();
    let count = registry.tables.len();
    let words = LevelWords {
        name: "index-inspect",
        title: &format!("Table indexes, {name}"),
        subtitle: &format!("{count} tables, {models} of them with a model"),
        provenance: &format!("aura index-inspect, AuraDB {VERSION}"),
        baseline: PLAIN_FENCE,
    };
    if let Some(figure) = draw_levels(&words, &panels(registry)) {
        figure.save(folder)?;
    }
    Ok(())
}
