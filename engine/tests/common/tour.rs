//! One short workload over every path of the engine, and the handle that keeps its history.
//!
//! The sweeps run [`tour`] again and again, stopped at each of its I/O calls in turn. A new
//! operation is proven by one line in the tour, and a method of [`Recorded`] that makes the same
//! change to the model.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::task::Poll;

use aura_engine::env::Env;
use aura_engine::{
    AuraEngine, Batch, Counts, Direction, Engine, EngineBuilder, EngineConfig, Error, Range,
    SyncPolicy, Value,
};
use aura_policies::PolicySpec;
use bytesize::ByteSize;

use super::cancel::{Call, Calls};
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
    /// The calls to the engine, one of which may be given up.
    calls: Arc<Calls>,
}

impl Recorded {
    pub(crate) fn new(env: Env, config: EngineConfig) -> Self {
        Self::with_calls(env, config, Arc::default())
    }

    pub(crate) fn with_calls(env: Env, config: EngineConfig, calls: Arc<Calls>) -> Self {
        Self {
            env,
            config,
            engine: None,
            history: History::new(),
            counts: Vec::new(),
            calls,
        }
    }

    fn engine(&self) -> &AuraEngine {
        self.engine.as_ref().expect("it is open")
    }

    /// Makes a call to the engine. Returns `None` if the caller gave up.
    async fn call<T, F>(&self, call: impl FnOnce(AuraEngine) -> F) -> Option<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let future = Box::pin(call(self.engine().clone()));
        self.calls.clone().call(future).await
    }

    pub(crate) async fn open(&mut self) -> Outcome {
        let env = self.env.clone();
        let config = self.config.clone();
        let opening = Box::pin(async move { open(&env, &config).await });
        let engine = match self.calls.clone().call_alone(opening).await {
            Some(opened) => opened?,
            // An opening that was given up keeps no other out.
            None => open(&self.env, &self.config).await?,
        };
        self.engine = Some(engine);
        Ok(())
    }

    pub(crate) async fn close(&mut self) -> Outcome {
        match self
            .call(|engine| async move { engine.close().await })
            .await
        {
            Some(closed) => closed?,
            // The close goes on, and the next call returns its result.
            None => self.engine().close().await?,
        }
        self.counts.push(self.engine().metrics().counts);
        self.engine = None;
        self.history.all_durable();
        Ok(())
    }

    pub(crate) async fn reopen(&mut self) -> Outcome {
        self.close().await?;
        self.open().await
    }

    /// Commits a batch that changes the last state to `next`. If it fails, that state is possible
    /// too.
    pub(crate) async fn commit(&mut self, batch: Batch, next: Model) -> Outcome {
        self.history.states.push(next);
        let state = self.history.states.len() - 1;
        let write = |engine: AuraEngine| async move { engine.write(batch).await };
        match self.call(write).await {
            Some(answer) => self.answered(state, answer),
            None => self.find_out(&[state - 1, state]).await,
        }
    }

    /// Finds out to which of the states `possible` a write led that was given up. After the next
    /// acknowledged write it has happened or never will.
    async fn find_out(&mut self, possible: &[usize]) -> Outcome {
        let first = self.history.states.len();
        let mark = Value::copy_from_slice(&first.to_le_bytes());
        for state in possible {
            let mut marked = self.history.states[*state].clone();
            marked.insert(b"mark".to_vec(), mark.clone());
            self.history.states.push(marked);
        }
        self.engine().put(b"mark", &mark).await?;
        let found = contents(self.engine(), Direction::Forward).await?;
        let marked = self.history.states.split_off(first);
        let one = marked.into_iter().find(|state| *state == found);
        let one = one.expect("a write that was given up has happened in part, or others are lost");
        self.history.states.push(one);
        self.answered(first, Ok(()))
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
        let start = key(start);
        let end = key(end);
        let mut next = self.history.last().clone();
        next.retain(|key, _| *key < start || *key >= end);
        let mut batch = Batch::new();
        batch.delete_range(&Range::between(&start, &end)).unwrap();
        self.commit(batch, next).await
    }

    /// Sets keys to values of the given bytes, or removes them, in one batch.
    pub(crate) async fn batch(&mut self, changes: &[(u64, Option<usize>)]) -> Outcome {
        let mut next = self.history.last().clone();
        let salt = self.history.states.len() as u64;
        let batch = make_changes(salt, &mut next, changes);
        self.commit(batch, next).await
    }

    /// Runs several writers at the same time. The first leads; the others form its next group, in
    /// this order.
    pub(crate) async fn together(&mut self, puts: &[(u64, usize)]) -> Outcome {
        let before = self.history.states.len() - 1;
        let mut writers: Vec<Call<Option<Outcome>>> = Vec::new();
        for (key, bytes) in puts {
            let mut next = self.history.last().clone();
            let salt = self.history.states.len() as u64;
            let batch = make_changes(salt, &mut next, &[(*key, Some(*bytes))]);
            self.history.states.push(next);
            let engine = self.engine().clone();
            let write = Box::pin(async move { engine.write(batch).await });
            writers.push(Box::pin(self.calls.clone().call(write)));
        }
        let answers = join(writers).await;
        let Some(given_up) = answers.iter().position(Option::is_none) else {
            for (at, answer) in answers.into_iter().flatten().enumerate() {
                self.answered(before + 1 + at, answer)?;
            }
            return Ok(());
        };
        // The others may have got as far as each of these states without the one that was given up.
        let with = self.history.states.len() - 1;
        self.history.acknowledged = before;
        let mut without = self.history.states[before].clone();
        for (at, (number, _)) in puts.iter().enumerate() {
            if at != given_up {
                let key = key(*number);
                let value = self.history.states[before + 1 + at][&key].clone();
                without.insert(key, value);
                self.history.states.push(without.clone());
            }
        }
        let without = self.history.states.len() - 1;
        for answer in answers.into_iter().flatten() {
            answer?;
        }
        self.find_out(&[with, without]).await
    }

    pub(crate) async fn flush(&mut self) -> Outcome {
        match self
            .call(|engine| async move { engine.flush().await })
            .await
        {
            Some(flushed) => flushed?,
            None => return Ok(()),
        }
        self.history.all_durable();
        Ok(())
    }

    pub(crate) async fn compact(&mut self) -> Outcome {
        match self
            .call(|engine| async move { engine.compact().await })
            .await
        {
            Some(compacted) => compacted?,
            None => return Ok(()),
        }
        self.history.all_durable();
        Ok(())
    }

    /// Makes a copy and opens it. It must hold what was acknowledged.
    pub(crate) async fn checkpoint(&mut self) -> Outcome {
        let directory = format!("/copy{}", self.history.states.len());
        let target = directory.clone();
        let copying =
            |engine: AuraEngine| async move { engine.checkpoint(Path::new(&target)).await };
        match self.call(copying).await {
            Some(copied) => {
                copied?;
            }
            None => return Ok(()),
        }
        self.history.all_durable();
        let copy = EngineBuilder::new(self.env.clone(), &directory);
        let copy = copy.config(self.config.clone()).open().await?;
        assert_eq!(
            contents(&copy, Direction::Forward).await?,
            *self.history.visible(),
            "the copy"
        );
        copy.close().await
    }

    pub(crate) async fn wait_idle(&mut self) -> Outcome {
        let waiting = self.call(|engine| async move { engine.wait_idle().await });
        waiting.await.unwrap_or(Ok(()))
    }

    pub(crate) async fn reconfigure(
        &mut self,
        change: impl FnOnce(&mut EngineConfig) + Send + 'static,
    ) -> Outcome {
        let changing = self.call(|engine| async move { engine.reconfigure(change).await });
        changing.await.unwrap_or(Ok(()))
    }

    pub(crate) async fn verify(&mut self) -> Outcome {
        match self
            .call(|engine| async move { engine.verify().await })
            .await
        {
            Some(report) => {
                // A read that failed by an injected fault or a crash is reported as a problem.
                let injected = ["injected fault", "machine has crashed"];
                let mut problems = report?.problems;
                problems.retain(|problem| !injected.iter().any(|it| problem.contains(it)));
                assert_eq!(problems, [] as [String; 0]);
            }
            None => return Ok(()),
        }
        Ok(())
    }

    /// Reads everything, by keys and in both directions. The answers must be the acknowledged ones,
    /// or an error.
    pub(crate) async fn read(&self) -> Outcome {
        let visible = self.history.visible().clone();
        let reading = self.call(|engine| async move { read_all(&engine, &visible).await });
        reading.await.unwrap_or(Ok(()))
    }
}

async fn read_all(engine: &AuraEngine, visible: &Model) -> Outcome {
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

/// Creates a batch of changes and makes them to `model` as well. Values depend on `salt`.
fn make_changes(salt: u64, model: &mut Model, changes: &[(u64, Option<usize>)]) -> Batch {
    let mut batch = Batch::new();
    for (number, bytes) in changes {
        let key = key(*number);
        match bytes {
            None => {
                batch.delete(&key).unwrap();
                model.remove(&key);
            }
            Some(bytes) => {
                let value = value(salt * 1000 + number, *bytes);
                batch.put(&key, &value).unwrap();
                model.insert(key, value);
            }
        }
    }
    batch
}

async fn join<T>(mut futures: Vec<Call<T>>) -> Vec<T> {
    let mut done: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in futures.iter_mut().zip(&mut done) {
            if done.is_none()
                && let Poll::Ready(value) = future.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        match done.iter().all(Option::is_some) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// Number of the tour's keys.
pub(crate) const KEYS: u64 = 24;

/// Bytes of a value that goes to the value log.
const LARGE: usize = 700;

fn key(number: u64) -> Vec<u8> {
    format!("key{number:03}").into_bytes()
}

/// Returns bytes that no codec makes smaller, different for each `seed`.
fn value(seed: u64, bytes: usize) -> Value {
    let mut chance = Chance::new(seed);
    (0..bytes).map(|_| chance.below(256) as u8).collect()
}

/// Returns settings under which the tour reaches every path: the sizes are the smallest allowed,
/// the rest is drawn.
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
    // All garbage is collected, so that every tour runs a collection.
    config.value_log.gc = PolicySpec::named("greedy").with("garbage", 0.01);
    config.value_log.gc_low = 0.0;
    config.value_log.gc_high = 0.0;
    config.value_log.gc_stop = 0.9;
    config
}

/// Takes every path of the engine once or twice, in about two hundred I/O calls.
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
    // These fill memtables, so that flushes and compactions run while writes go on.
    for key in 4..KEYS {
        db.put(key, 450).await?;
    }
    db.wait_idle().await?;
    let smaller = db.reconfigure(|config| config.cache.size = ByteSize::kib(8));
    smaller.await?;
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
    // Some values of a full file become garbage, and others stay: it is collected.
    db.batch(&[(13, None), (15, Some(10))]).await?;
    db.compact().await?;
    db.wait_idle().await?;
    db.verify().await?;
    db.delete_range(3, 6).await?;
    db.put(4, 10).await?;
    db.put(21, LARGE).await?;
    db.put(22, 0).await?;
    db.checkpoint().await?;
    db.put(23, LARGE).await?;
    db.read().await?;
    // The next engine replays what is only in the log.
    db.reopen().await?;
    db.delete(12).await?;
    db.delete_range(14, 16).await?;
    db.read().await?;
    db.close().await
}

/// Checks that the tour went everywhere: no sweep proves a path that the tour does not take.
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
