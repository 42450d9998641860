//! `aura top`: how a running engine is, in the terminal.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aura_engine::Engine;
use aura_engine::env::Env;
use aura_engine::env::disk::DiskWorld;
use clap::Args;

use super::{CommandResult, Failure, Global, database, pause, run_folder};
use crate::endpoint::open_metrics;
use crate::exit::Exit;
use crate::files;
use crate::formats::{Cell, Format, Table, column, print};
use crate::progress::Live;
use crate::top::{Sample, frame};

/// How long an endpoint may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Watch a running engine in the terminal: its health, rates, times, cache, memory, debt and tree.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  aura run quickstart.toml --serve-metrics     and in another terminal:
  aura top quickstart
  aura top http://127.0.0.1:9464/metrics
  aura top /mnt/nvme/db
  aura top quickstart --once --format json

What is watched is a run that serves metrics, by its name or folder; an address at which metrics of
AuraDB are, such as that of `aura serve-metrics` or of a program of yours; or a database, which is
opened to read at each look: then it is the tree and the files that are seen, not the rates.

Rates are over the engine's own clock, between two looks. Of a run, the first trial under way is
shown. The view ends with the run, or when it is interrupted.

Prints the lines of each look; on a terminal they are drawn in place. With --once it prints a row
for each number, with its rise for each second between two looks, and ends.

Exit codes:
  2   it is no run that serves metrics, no address and no database
  3   nobody answers there, or the database cannot be read")]
pub(super) struct Arguments {
    /// A run that serves metrics, an address, or a database's directory.
    target: PathBuf,
    /// How often to look.
    #[arg(long, default_value = "1s", value_name = "TIME",
        value_parser = humantime_serde::re::humantime::parse_duration)]
    every: Duration,
    /// Look twice, print every number, and end.
    #[arg(long)]
    once: bool,
}

/// Where samples come from.
enum Watched {
    Endpoint(String),
    Database {
        world: DiskWorld,
        directory: PathBuf,
    },
}

impl Watched {
    fn find(global: &Global, target: &Path) -> Result<Self, Failure> {
        if let Some(url) = target.to_str().and_then(url_of) {
            return Ok(Self::Endpoint(url));
        }
        let endpoint = run_folder(global, target).endpoint();
        if let Ok(url) = files::read_to_string(&endpoint) {
            return Ok(Self::Endpoint(url));
        }
        let world = database::world()?;
        if database::is_database(&world.env(), target) {
            let directory = target.to_owned();
            return Ok(Self::Database { world, directory });
        }
        Err(Failure::usage(
            format_args!("{} serves no metrics", target.display()),
            "`aura run CONFIG --serve-metrics` does; a database or http://ADDRESS/metrics can be \
             watched, too",
        ))
    }

    fn look(&self) -> Result<Sample, Failure> {
        let text = match self {
            Self::Endpoint(url) => ask(url).map_err(|error| {
                let what = format_args!("nobody answers at {url}: {error}");
                Failure::refused(what, "the run may have ended")
            })?,
            Self::Database { world, directory } => {
                let env = world.env();
                world.block_on(text_of(&env, directory))?
            }
        };
        Sample::parse(&text).map_err(Failure::environment)
    }
}

/// The URL that a target names, if it names one.
fn url_of(target: &str) -> Option<String> {
    if target.starts_with("http://") {
        return Some(target.to_owned());
    }
    let address: std::net::SocketAddr = target.parse().ok()?;
    Some(format!("http://{address}/metrics"))
}

fn ask(url: &str) -> Result<String, ureq::Error> {
    let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE));
    let agent = config.build().new_agent();
    agent.get(url).call()?.body_mut().read_to_string()
}

async fn text_of(env: &Env, directory: &Path) -> aura_engine::Result<String> {
    let engine = database::open_to_read(env, directory).await?;
    let text = open_metrics(engine.reading(), engine.health());
    engine.close().await?;
    Ok(text)
}

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let watched = Watched::find(global, &self.target)?;
        let first = watched.look()?;
        if self.once {
            pause(self.every);
            print(&numbers(&first, &watched.look()?).text(global.format))?;
            return Ok(Exit::Done);
        }
        if global.format != Format::Table {
            return Err(Failure::usage(
                "lines of a view have no other format",
                "--once prints rows, in any format",
            ));
        }
        self.watch(&watched, first)
    }

    /// Looks until the run has ended.
    fn watch(&self, watched: &Watched, first: Sample) -> CommandResult {
        let live = Live::lines();
        let on_terminal = io::stderr().is_terminal();
        let mut before = first;
        loop {
            pause(self.every);
            let Ok(after) = watched.look() else {
                live.finish();
                super::complain("nobody answers any more: the run has ended");
                return Ok(Exit::Done);
            };
            let mut lines = frame(&before, &after);
            if let Some(trial) = after.trial() {
                lines = format!("trial       {trial}\n{lines}");
            }
            match on_terminal {
                true => live.show(0, &lines),
                false => print(&format!("{lines}\n"))?,
            }
            before = after;
        }
    }
}

/// A number of an engine, and how fast it rises.
struct Number<'a> {
    name: &'a str,
    value: f64,
    per_second: Option<f64>,
}

fn numbers(first: &Sample, second: &Sample) -> Table {
    let clock = |sample: &Sample| sample.get("aura_clock_seconds").unwrap_or(0.0);
    let seconds = clock(second) - clock(first);
    let rise = |name, value: f64| {
        let before = first.get(name).filter(|_| seconds > 0.0)?;
        Some((value - before) / seconds)
    };
    let rows = second.iter().map(|(name, value)| Number {
        name,
        value,
        per_second: rise(name, value),
    });
    let rows: Vec<Number<'_>> = rows.collect();
    let columns = [
        column("metric", |row: &Number<'_>| row.name.into()),
        column("value", |row| Cell::number(row.value)),
        column("per_second", |row| Cell::number(row.per_second)),
    ];
    Table::of(&columns, &rows)
}
