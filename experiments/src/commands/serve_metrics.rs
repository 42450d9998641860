//! `aura serve-metrics`: a database's metrics for Prometheus.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aura_engine::env::Env;
use aura_engine::{AuraEngine, Engine};
use clap::Args;

use super::{CommandResult, Failure, Global, database};
use crate::endpoint::{Server, Source, open_metrics};
use crate::formats::{Table, column, print};

/// Answer Prometheus with the metrics of a database.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  aura serve-metrics /mnt/nvme/db
  aura serve-metrics db --listen 127.0.0.1:9464

The database is opened to read, under its own settings, and nothing in it is changed; another engine
may have it open. So the metrics are those of its tree, its files and its debt. They are read again
every --refresh, if somebody asks. An engine in a program of yours serves its own counters and
times (`aura_experiments::endpoint::serve`).

GET /metrics is answered as OpenMetrics text. Who reaches the address may read; by default only
this machine does. A port of 0 is replaced by a free one.

Prints one row with the URL, and runs until it is interrupted.

Exit codes:
  1   the database is damaged
  2   there is no database
  3   files cannot be read, or the address cannot be used")]
pub(super) struct Arguments {
    /// The database's directory.
    directory: PathBuf,
    /// The address to listen at.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// How often the database is read again, if somebody asks.
    #[arg(long, default_value = "15s", value_name = "TIME",
        value_parser = humantime_serde::re::humantime::parse_duration)]
    refresh: Duration,
}

/// A database that is opened again now and then.
struct Reopened {
    env: Env,
    directory: PathBuf,
    /// Held for a few steps.
    engine: Mutex<AuraEngine>,
    /// Whether somebody has asked since it was opened.
    asked: AtomicBool,
}

impl Reopened {
    fn engine(&self) -> MutexGuard<'_, AuraEngine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn text(&self) -> String {
        self.asked.store(true, Ordering::Relaxed);
        let engine = self.engine().clone();
        open_metrics(engine.reading(), engine.health())
    }

    /// Opens the database again after each `nanos` in which somebody asked. One that cannot be
    /// opened stays as it was.
    async fn refresh(&self, nanos: u64) -> Infallible {
        loop {
            self.env.clock.sleep(nanos).await;
            if self.asked.swap(false, Ordering::Relaxed)
                && let Ok(again) = database::open_to_read(&self.env, &self.directory).await
            {
                let old = std::mem::replace(&mut *self.engine(), again);
                // Nothing was written: there is nothing to lose.
                let _ = old.close().await;
            }
        }
    }
}

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let world = database::world()?;
        let env = world.env();
        database::check(&env, &self.directory)?;
        let reopened = Arc::new(Reopened {
            engine: Mutex::new(world.block_on(database::open_to_read(&env, &self.directory))?),
            env: env.clone(),
            directory: self.directory.clone(),
            asked: AtomicBool::new(false),
        });
        let read = reopened.clone();
        let source: Source = Arc::new(move || read.text());
        let nanos = u64::try_from(self.refresh.as_nanos()).unwrap_or(u64::MAX);
        let server = Server::bind(self.listen).map_err(Failure::environment)?;
        let url = server.url().map_err(Failure::environment)?;
        let columns = [column("url", |url: &String| url.clone().into())];
        print(&Table::of(&columns, [&url]).text(global.format))?;
        let answering = server.answer(env, source, reopened.refresh(nanos.max(1)));
        match answering.map_err(Failure::environment)? {}
    }
}
