//! One short workload over every path of the engine, and the handle that keeps its history.
//!
//! The sweeps run [`tour`] again and again, stopped at each of its I/O calls in turn: a new operation is proven by one
//! line there, and a method of [`Recorded`] that says what it does to the model.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::task::Poll;

use aura_engine::env::Env;
use aura_engine::{
    AuraEngine, Batch, Counts, Direction, Engine, EngineBuilder, EngineConfig, Error, Range,
    Reconfigure, SyncPolicy, Value,
};
use aura_policies::PolicySpec;
use bytesize::ByteSize;

use super::history::{History, Model, contents, open};
use super::{Chance, random_config};

type Outcome = Result<(), Error>;

/// A database that remembers what was done to it.
pub(crate) struct Recorded {
    env: Env,
    config: EngineConfig,
    pub(crate) engine: Option<AuraEngine>,
    pub(crate) history: History,
    /// The counters of the engines that were closed.
    pub(crate) counts: Vec<Counts>,
}

impl Recorded {
    pub(crate) fn new(env: Env, config: EngineConfig) -> Self {
        Self {
            env,
            config,
            engine: None,
            history: History::new(),
            counts: Vec::new(),
        }
    }

    fn engine(&self) -> &AuraEngine {
        self.engine.as_ref().expect("it is open")
    }

    pub(crate) async fn open(&mut self) -> Outcome {
        self.engine = Some(open(&self.env, &self.config).await?);
        Ok(())
    }

    pub(crate) async fn close(&mut self) -> Outcome {
        self.engine().close().await?;
        self.counts.push(self.engine().metrics().counts);
        self.engine = None;
        self.history.all_durable();
        Ok(())
    }

    pub(crate) async fn reopen(&mut self) -> Outcome {
        self.close().await?;
        self.open().await
    }

    /// Commits a batch that makes `next` of the last state. Where it fails, that is a possible state, too.
    pub(crate) async fn commit(&mut self, batch: Batch, next: Model) -> Outcome {
        self.history.states.push(next);
        let answer = self.engine().write(batch).await;
        self.answered(self.history.states.len() - 1, answer)
    }

    fn answered(&mut self, state: usize, answer: Outcome) -> Outcome {
        answer?;
        self.history.acknowledged = state;
        if self.config.wal.sync == SyncPolicy::Always {
            self.history.durable = state;
        }
        Ok(())
    }

    pub(crate) async fn put(&mut self, key: u64, bytes: usize) -> Outcome {
        self.batch(&[(key, Some(bytes))]).await
    }

    pub(crate) async fn delete(&mut self, key: u64) -> Outcome {
        self.batch(&[(key, None)]).await
    }

    /// Removes the keys from `start` to `end`, `end` excluded.
    pub(crate) async fn delete_range(&mut self, start: u64, end: u64) -> Outcome {
        let (start, end) = (key(start), key(end));
        let mut next = self.history.last().clone();
        next.retain(|key, _| *key < start || *key >= end);
        let mut batch = Batch::new();
        batch.delete_range(&Range::between(&start, &end)).unwrap();
        self.commit(batch, next).await
    }

    /// Sets keys to values of so many bytes, or removes them, together.
    pub(crate) async fn batch(&mut self, changes: &[(u64, Option<usize>)]) -> Outcome {
        let mut next = self.history.last().clone();
        let batch = self.changes(&mut next, changes);
        self.commit(batch, next).await
    }

    fn changes(&self, model: &mut Model, changes: &[(u64, Option<usize>)]) -> Batch {
        let mut batch = Batch::new();
        for (number, bytes) in changes {
            let key = key(*number);
            match bytes {
                None => {
                    batch.delete(&key).unwrap();
                    model.remove(&key);
                }
                Some(bytes) => {
                    let value = value(self.history.states.len() as u64 * 1000 + number, *bytes);
                    batch.put(&key, &value).unwrap();
                    model.insert(key, value);
                }
            }
        }
        batch
    }

    /// Writers at the same time: the first leads, the others form its next group, in this order.
    pub(crate) async fn together(&mut self, puts: &[(u64, usize)]) -> Outcome {
        let engine = self.engine().clone();
        let mut writers: Vec<Pin<Box<dyn Future<Output = Outcome> + Send>>> = Vec::new();
        let first = self.history.states.len();
        for (key, bytes) in puts {
            let mut next = self.history.last().clone();
            let batch = self.changes(&mut next, &[(*key, Some(*bytes))]);
            self.history.states.push(next);
            let engine = engine.clone();
            writers.push(Box::pin(async move { engine.write(batch).await }));
        }
        for (at, answer) in join(writers).await.into_iter().enumerate() {
            self.answered(first + at, answer)?;
        }
        Ok(())
    }

    pub(crate) async fn flush(&mut self) -> Outcome {
        self.engine().flush().await?;
        self.history.all_durable();
        Ok(())
    }

    pub(crate) async fn compact(&mut self) -> Outcome {
        self.engine().compact().await?;
        self.history.all_durable();
        Ok(())
    }

    /// Makes a copy and opens it: it holds what was acknowledged.
    pub(crate) async fn checkpoint(&mut self) -> Outcome {
        let directory = format!("/copy{}", self.history.states.len());
        self.engine().checkpoint(Path::new(&directory)).await?;
        self.history.all_durable();
        let copy = EngineBuilder::new(self.env.clone(), &directory)
            .config(self.config.clone())
            .open()
            .await?;
        assert_eq!(
            contents(&copy, Direction::Forward).await?,
            *self.history.visible(),
            "the copy"
        );
        copy.close().await
    }

    pub(crate) async fn wait_idle(&mut self) -> Outcome {
        self.engine().wait_idle().await
    }

    pub(crate) async fn reconfigure(&mut self, change: &Reconfigure) -> Outcome {
        self.engine().reconfigure(change).await
    }

    /// Reads everything, by keys and both ways: the answers are the acknowledged ones, or the error is told.
    pub(crate) async fn read(&self) -> Outcome {
        let (engine, visible) = (self.engine(), self.history.visible());
        for number in 0..KEYS {
            let key = key(number);
            assert_eq!(
                engine.get(&key).await?.as_ref(),
                visible.get(&key),
                "get {number}"
            );
        }
        for direction in [Direction::Forward, Direction::Reverse] {
            assert_eq!(
                contents(engine, direction).await?,
                *visible,
                "{direction:?}"
            );
        }
        Ok(())
    }
}

async fn join<T>(mut futures: Vec<Pin<Box<dyn Future<Output = T> + Send>>>) -> Vec<T> {
    let mut done: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in futures.iter_mut().zip(&mut done) {
            if done.is_none()
                && let Poll::Ready(value) = future.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        if done.iter().all(Option::is_some) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// Keys of the tour: numbers below this.
pub(crate) const KEYS: u64 = 24;

/// Bytes of a value that goes to the value log.
const LARGE: usize = 700;

fn key(number: u64) -> Vec<u8> {
    format!("key{number:03}").into_bytes()
}

/// Bytes that no codec makes smaller, another for each `seed`.
fn value(seed: u64, bytes: usize) -> Value {
    let mut chance = Chance::new(seed);
    (0..bytes).map(|_| chance.below(256) as u8).collect()
}

/// Settings under which the tour comes everywhere: the sizes are the smallest there are, the rest is drawn.
pub(crate) fn tour_config(seed: u64) -> EngineConfig {
    let mut config = random_config(&mut Chance::new(seed));
    let nanos = std::time::Duration::from_micros(200);
    let policies = [
        SyncPolicy::Never,
        SyncPolicy::Always,
        SyncPolicy::Bytes(ByteSize(2000)),
        SyncPolicy::Interval(nanos),
    ];
    config.wal.sync = policies[seed as usize % policies.len()];
    config.memtable = ByteSize::kib(4);
    config.table.size = ByteSize::kib(4);
    config.table.block = ByteSize(512);
    config.compaction.base = ByteSize::kib(8);
    config.compaction.level0_trigger = 2;
    config.compaction.level0_slowdown = 4;
    config.compaction.level0_stop = 6;
    config.compaction.agent_window = 10;
    config.value_log.separation =
        PolicySpec::named("threshold").with("bytes", serde_json::json!(500));
    config.value_log.file = ByteSize::kib(4);
    // Whatever is garbage is collected, so that every tour comes by a collection.
    config.value_log.gc = PolicySpec::named("greedy").with("garbage", 0.01);
    (
        config.value_log.gc_low,
        config.value_log.gc_high,
        config.value_log.gc_stop,
    ) = (0.0, 0.0, 0.9);
    config
}

/// Comes through every path of the engine once or twice, in some two hundred I/O calls.
pub(crate) async fn tour(db: &mut Recorded) -> Outcome {
    db.open().await?;
    for key in 0..6 {
        db.put(key, 20).await?;
    }
    db.put(6, LARGE).await?;
    db.batch(&[
        (7, Some(LARGE)),
        (0, None),
        (1, Some(300)),
        (8, Some(2 * LARGE)),
    ])
    .await?;
    db.flush().await?;
    db.together(&[(9, 100), (10, LARGE), (2, 30), (11, 400)])
        .await?;
    db.delete(6).await?;
    db.delete(3).await?;
    db.read().await?;
    // These fill memtables, so that flushes and compactions run beside the writes.
    for key in 4..KEYS {
        db.put(key, 450).await?;
    }
    db.wait_idle().await?;
    db.reconfigure(&Reconfigure {
        cache_size: Some(ByteSize::kib(8)),
        ..Reconfigure::default()
    })
    .await?;
    db.reopen().await?;
    db.together(&[
        (12, LARGE),
        (13, LARGE),
        (14, LARGE),
        (15, LARGE),
        (16, LARGE),
        (17, LARGE),
    ])
    .await?;
    db.batch(&[(18, None), (19, None), (20, Some(10))]).await?;
    db.compact().await?;
    db.wait_idle().await?;
    db.delete_range(3, 6).await?;
    db.put(4, 10).await?;
    db.put(21, LARGE).await?;
    db.put(22, 0).await?;
    db.checkpoint().await?;
    db.put(23, LARGE).await?;
    db.read().await?;
    // The next engine replays what lies in the log only.
    db.reopen().await?;
    db.delete(12).await?;
    db.delete_range(14, 16).await?;
    db.read().await?;
    db.close().await
}

/// That the tour went everywhere: a path it does not come to is a path that no sweep proves.
pub(crate) fn check_coverage(counts: &[Counts]) {
    let sum = |count: fn(&Counts) -> u64| counts.iter().map(count).sum::<u64>();
    assert!(sum(|it| it.flushes) >= 4, "flushes");
    assert!(sum(|it| it.compactions) >= 2, "compactions");
    assert!(
        sum(|it| it.value_log_bytes) > 8 << 10,
        "value files were rotated"
    );
    assert!(
        sum(|it| it.gc_runs + it.values_relocated) > 0,
        "collections"
    );
    assert!(sum(|it| it.range_deletes) > 0, "range deletes");
    assert!(
        sum(|it| it.batches) > sum(|it| it.groups),
        "commit groups of several writers"
    );
}
