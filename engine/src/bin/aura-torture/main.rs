//! Writes to a database until it is killed, and prints which writes were acknowledged.
//!
//! ```text
//! aura-torture DIRECTORY SETTINGS.json      the settings of the engine, as in a database's own SETTINGS.json
//! ```
//!
//! Every write is a batch that is a function of its number; the database counts them, so that a
//! second start goes on where the first ended. After each acknowledgement its number is printed as a
//! line. Whoever kills the program knows by these lines which writes must be there: `tests/kill.rs`
//! does.
//!
//! Some calls are given up: their futures are dropped after a number of polls, as a timeout would
//! drop them. Of a write that was dropped the program finds out whether it happened, and goes on
//! from there.

mod workload;

use std::error::Error;
use std::future::Future;
use std::io::Write;
use std::pin::pin;
use std::task::Poll;

use aura_engine::env::disk::DiskWorld;
use aura_engine::{AuraEngine, Batch, Engine, EngineBuilder, EngineConfig, Reconfigure};
use workload::changes;

type Outcome = Result<(), Box<dyn Error>>;

/// What is given up at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GivenUp {
    Nothing,
    Write,
    Flush,
    Compact,
    Verify,
    Reconfigure,
}

/// What is given up when write `number` is tried at step `step`, and after how many polls.
fn given_up(number: u64, step: u64) -> (GivenUp, u64) {
    let chance = workload::mix(number ^ step.rotate_left(32));
    let what = match chance % 64 {
        0..10 => GivenUp::Write,
        10 | 11 => GivenUp::Flush,
        12 => GivenUp::Compact,
        13 => GivenUp::Verify,
        14 => GivenUp::Reconfigure,
        _ => GivenUp::Nothing,
    };
    (what, (chance >> 32) % 4)
}

/// Polls `future` at most `polls` times, then drops it. Returns None if it had no value by then.
async fn poll_at_most<T>(future: impl Future<Output = T>, polls: u64) -> Option<T> {
    let mut future = pin!(future);
    let mut polled = 0;
    std::future::poll_fn(|context| {
        if polled == polls {
            return Poll::Ready(None);
        }
        polled += 1;
        match future.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            // The last poll needs no wake-up.
            Poll::Pending if polled == polls => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// The number of the last write that is there.
async fn last(engine: &AuraEngine) -> Result<u64, Box<dyn Error>> {
    match engine.get(workload::COUNT).await? {
        Some(count) => Ok(u64::from_le_bytes(count[..].try_into()?)),
        None => Ok(0),
    }
}

fn batch(number: u64) -> Result<Batch, aura_engine::Error> {
    let mut batch = Batch::new();
    for (key, value) in changes(number) {
        match value {
            Some(value) => batch.put(&key, &value)?,
            None => batch.delete(&key)?,
        }
    }
    batch.put(workload::COUNT, &number.to_le_bytes())?;
    Ok(batch)
}

/// Begins something beside the writes, and gives it up after some polls.
async fn begin(engine: &AuraEngine, what: GivenUp, polls: u64) -> Outcome {
    match what {
        GivenUp::Nothing | GivenUp::Write => {}
        GivenUp::Flush => {
            poll_at_most(engine.flush(), polls).await.transpose()?;
        }
        GivenUp::Compact => {
            poll_at_most(engine.compact(), polls).await.transpose()?;
        }
        GivenUp::Verify => {
            let report = poll_at_most(engine.verify(), polls).await.transpose()?;
            let problems = report.map(|report| report.problems).unwrap_or_default();
            if !problems.is_empty() {
                return Err(problems.join("\n").into());
            }
        }
        GivenUp::Reconfigure => {
            let change = Reconfigure::default();
            let changing = poll_at_most(engine.reconfigure(&change), polls);
            changing.await.transpose()?;
        }
    }
    Ok(())
}

async fn torture(world: &DiskWorld, directory: &str, config: EngineConfig) -> Outcome {
    let builder = || EngineBuilder::new(world.env(), directory).config(config.clone());
    // Openings are given up, too.
    for polls in 0..3 {
        drop(poll_at_most(builder().open(), polls).await);
    }
    let engine = builder().open().await?;
    let mut number = last(&engine).await? + 1;
    let mut out = std::io::stdout().lock();
    for step in 0u64.. {
        let (what, polls) = given_up(number, step);
        begin(&engine, what, polls).await?;
        let write = engine.write(batch(number)?);
        if what == GivenUp::Write {
            if let Some(written) = poll_at_most(write, polls).await {
                written?;
            }
            // After the next acknowledged write this one has happened or never will.
            engine.put(workload::MARK, &step.to_le_bytes()).await?;
            if last(&engine).await? != number {
                continue;
            }
        } else {
            write.await?;
        }
        writeln!(out, "{number}")?;
        number += 1;
    }
    Ok(())
}

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, settings] = &arguments[..] else {
        return Err("usage: aura-torture DIRECTORY SETTINGS".into());
    };
    let world = DiskWorld::new(2)?;
    world.block_on(torture(&world, directory, serde_json::from_str(settings)?))
}
