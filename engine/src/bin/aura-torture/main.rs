//! Writes to a database until it is killed, and prints which writes were acknowledged.
//!
//! ```text
//! aura-torture DIRECTORY SETTINGS      the engine's settings as JSON, as in SETTINGS.json
//! ```
//!
//! Every write is a batch that is a function of its number. The database counts them, so that a
//! second start continues where the first ended. After each acknowledgement its number is printed
//! as a line. By these lines, the program that kills this one (`tests/kill.rs`) knows which writes
//! must be in the database.
//!
//! Some calls are given up: their futures are dropped after a number of polls, as a timeout would
//! drop them. After a dropped write, the program finds out whether the write happened, and
//! continues accordingly.

mod workload;

use std::error::Error;
use std::future::Future;
use std::io::Write;
use std::pin::pin;
use std::task::Poll;

use aura_engine::env::disk::DiskWorld;
use aura_engine::{AuraEngine, Batch, Engine, EngineBuilder, EngineConfig};
use workload::changes;

type Outcome = Result<(), Box<dyn Error>>;

/// The call that is given up at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GivenUp {
    Nothing,
    Write,
    Flush,
    Compact,
    Verify,
    Reconfigure,
}

/// A call to give up, and after how many polls.
struct Chosen {
    what: GivenUp,
    polls: u64,
}

/// Chooses the call that is given up when write `number` is tried at step `step`.
fn given_up(number: u64, step: u64) -> Chosen {
    let chance = workload::mix(number ^ step.rotate_left(32));
    let what = match chance % 64 {
        0..10 => GivenUp::Write,
        10 | 11 => GivenUp::Flush,
        12 => GivenUp::Compact,
        13 => GivenUp::Verify,
        14 => GivenUp::Reconfigure,
        _ => GivenUp::Nothing,
    };
    let polls = (chance >> 32) % 4;
    Chosen { what, polls }
}

/// Polls `future` at most `polls` times, then drops it. Returns `None` if it was not ready by then.
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

/// Returns the number of the last write in the database.
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

/// Starts a call besides the writes, and gives it up after some polls.
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
            let changing = poll_at_most(engine.reconfigure(|_| {}), polls);
            changing.await.transpose()?;
        }
    }
    Ok(())
}

async fn torture(world: &DiskWorld, directory: &str, config: EngineConfig) -> Outcome {
    let builder = || EngineBuilder::new(world.env(), directory).config(config.clone());
    // Openings are given up too.
    for polls in 0..3 {
        drop(poll_at_most(builder().open(), polls).await);
    }
    let engine = builder().open().await?;
    let mut number = last(&engine).await? + 1;
    let mut out = std::io::stdout().lock();
    for step in 0u64.. {
        let Chosen { what, polls } = given_up(number, step);
        begin(&engine, what, polls).await?;
        let write = engine.write(batch(number)?);
        if what == GivenUp::Write {
            if let Some(written) = poll_at_most(write, polls).await {
                written?;
            }
            // After the next acknowledged write, this one has happened or never will.
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
