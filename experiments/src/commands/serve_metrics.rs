//! `aura serve-metrics`: a database's metrics for Prometheus.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aura_engine::env::Env;
use aura_engine::{AuraEngine, Engine};
use clap::Args;
use tokio::sync::Mutex;

use super::{CommandResult, Failure, Global, database};
use crate::endpoint::{Source, bind, open_metrics, serve};
use crate::formats::{Table, column, print};

/// Answer Prometheus with the metrics of a database.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  aura serve-metrics /mnt/nvme/db
  aura serve-metrics db --listen 127.0.0.1:9464

The database is opened to read, under its own settings, and nothing in it is changed; another engine
may have it open. So the metrics are those of its tree, its files and its debt. They are read again
once they are older than --refresh. An engine in a program of yours serves its own counters and
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
    /// The age from which the database is read again.
    #[arg(long, default_value = "15s", value_name = "TIME",
        value_parser = humantime_serde::re::humantime::parse_duration)]
    refresh: Duration,
}

/// A database that is opened again when what is known of it is old.
struct Reopened {
    env: Env,
    directory: PathBuf,
    refresh_nanos: u64,
    opened: Mutex<(AuraEngine, u64)>,
}

async fn open(env: &Env, directory: &Path) -> aura_engine::Result<(AuraEngine, u64)> {
    let builder = database::builder(env.clone(), directory).await;
    let engine = builder.open_read_only().await?;
    Ok((engine, env.clock.now()))
}

impl Reopened {
    /// The text of the moment. A database that cannot be opened again is as it was.
    async fn text(&self) -> String {
        let mut opened = self.opened.lock().await;
        if self.env.clock.now() - opened.1 >= self.refresh_nanos
            && let Ok(again) = open(&self.env, &self.directory).await
        {
            let (old, _) = std::mem::replace(&mut *opened, again);
            // Nothing was written: there is nothing to lose.
            let _ = old.close().await;
        }
        open_metrics(opened.0.reading(), opened.0.health())
    }
}

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        let world = database::world()?;
        let env = world.env();
        database::check(&env, &self.directory)?;
        let reopened = Arc::new(Reopened {
            opened: Mutex::new(world.block_on(open(&env, &self.directory))?),
            env: env.clone(),
            directory: self.directory.clone(),
            refresh_nanos: u64::try_from(self.refresh.as_nanos()).unwrap_or(u64::MAX),
        });
        let source: Source = Arc::new(move || {
            let reopened = reopened.clone();
            Box::pin(async move { reopened.text().await })
        });
        let io = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let io = io.map_err(Failure::environment)?;
        let serving = io.block_on(async {
            let listener = bind(self.listen).await.map_err(Failure::environment)?;
            let address = listener.local_addr().map_err(Failure::environment)?;
            let url = format!("http://{address}/metrics");
            let columns = [column("url", |url: &String| url.clone().into())];
            print(&Table::of(&columns, [&url]).text(global.format))?;
            Ok::<_, Failure>(serve(env, listener, source).await)
        });
        match serving? {}
    }
}
