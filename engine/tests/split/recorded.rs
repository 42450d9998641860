//! A split database that remembers what was done to it, and the short workload that is stopped
//! everywhere.

use std::sync::Arc;
use std::time::Duration;

use aura_engine::env::Env;
use aura_engine::env::sim::SimWorld;
use aura_engine::{
    Batch, Direction, Engine, EngineConfig, Error, Range, SplitBuilder, SplitEngine, SyncPolicy,
    Value,
};
use aura_policies::PolicySpec;
use bytesize::ByteSize;

use crate::common::cancel::{Call, Calls};
use crate::common::history::{History, Model, contents};
use crate::common::{Chance, run};

pub(crate) type Outcome = Result<(), Error>;

pub(crate) const POLICIES: [SyncPolicy; 4] = [
    SyncPolicy::Always,
    SyncPolicy::Never,
    SyncPolicy::Interval(Duration::from_micros(300)),
    SyncPolicy::Bytes(ByteSize(2000)),
];

/// Small settings, in which a few hundred writes flush, compact and close logs.
pub(crate) fn small(sync: SyncPolicy) -> [EngineConfig; 2] {
    let mut zero = EngineConfig::default();
    zero.memtable = ByteSize::kib(4);
    zero.table.size = ByteSize::kib(4);
    zero.table.block = ByteSize(512);
    zero.cache.size = ByteSize::kib(16);
    zero.compaction.base = ByteSize::kib(16);
    zero.compaction.level0_trigger = 2;
    zero.wal.sync = sync;
    let mut one = zero.clone();
    one.memtable = ByteSize::kib(6);
    one.value_log.separation = PolicySpec::named("threshold").with("bytes", 400);
    one.value_log.file = ByteSize::kib(8);
    [zero, one]
}

pub(crate) async fn open(env: &Env, sides: &[EngineConfig; 2]) -> Result<SplitEngine, Error> {
    let builder = SplitBuilder::new(env.clone(), "/db").sides(sides.clone());
    builder.hash_seed(11).open().await
}

/// A split database with its history.
pub(crate) struct Recorded {
    env: Env,
    sides: [EngineConfig; 2],
    pub(crate) engine: Option<SplitEngine>,
    pub(crate) history: History,
    /// The calls to the engine, one of which may be given up.
    calls: Arc<Calls>,
    /// Log files closed and removed, of the engines that were closed.
    pub(crate) logs: [u64; 2],
}

impl Recorded {
    pub(crate) fn new(env: Env, sides: [EngineConfig; 2], calls: Arc<Calls>) -> Self {
        Self {
            env,
            sides,
            engine: None,
            history: History::new(),
            calls,
            logs: [0; 2],
        }
    }

    fn engine(&self) -> SplitEngine {
        self.engine.clone().expect("it is open")
    }

    async fn open(&mut self) -> Outcome {
        let (env, sides) = (self.env.clone(), self.sides.clone());
        let opening = Box::pin(async move { open(&env, &sides).await });
        let opened = match self.calls.clone().call_alone(opening).await {
            Some(opened) => opened?,
            // An opening that was given up keeps no other out.
            None => open(&self.env, &self.sides).await?,
        };
        self.engine = Some(opened);
        Ok(())
    }

    /// Opens the database and makes random writes.
    pub(crate) async fn begin(&mut self, seed: u64, writes: u64) -> Outcome {
        self.open().await?;
        let mut chance = Chance::new(seed);
        for _ in 0..writes {
            self.write(&mut chance, 60).await?;
        }
        Ok(())
    }

    async fn close(&mut self) -> Outcome {
        let engine = self.engine();
        let closing = Box::pin({
            let engine = engine.clone();
            async move { engine.close().await }
        });
        match self.calls.clone().call(closing).await {
            Some(closed) => closed?,
            // The close goes on, and the next call returns its result.
            None => engine.close().await?,
        }
        let counts = engine.counts();
        self.logs[0] += counts.logs_closed;
        self.logs[1] += counts.logs_removed;
        self.engine = None;
        self.history.all_durable();
        Ok(())
    }

    async fn flush(&mut self) -> Outcome {
        let engine = self.engine();
        let flushing: Call<Outcome> = Box::pin(async move { engine.flush().await });
        match self.calls.clone().call(flushing).await {
            Some(flushed) => flushed?,
            None => return Ok(()),
        }
        self.history.all_durable();
        Ok(())
    }

    async fn compact(&mut self) -> Outcome {
        let engine = self.engine();
        let compacting: Call<Outcome> = Box::pin(async move { engine.compact().await });
        let compacted = self.calls.clone().call(compacting).await;
        compacted.unwrap_or(Ok(()))
    }

    /// Commits a batch that changes the last state to `next`. If it fails, that state is possible
    /// too.
    pub(crate) async fn commit(&mut self, batch: Batch, next: Model) -> Outcome {
        self.history.states.push(next);
        let state = self.history.states.len() - 1;
        let engine = self.engine();
        let write: Call<Outcome> = Box::pin(async move { engine.write(batch).await });
        match self.calls.clone().call(write).await {
            Some(answer) => self.answered(state, answer),
            None => self.find_out(&[state - 1, state]).await,
        }
    }

    fn answered(&mut self, state: usize, answer: Outcome) -> Outcome {
        answer?;
        self.history.acknowledged = state;
        if self.sides[0].wal.sync == SyncPolicy::Always {
            self.history.durable = state;
        }
        Ok(())
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
        let found = contents(&self.engine(), Direction::Forward).await?;
        let marked = self.history.states.split_off(first);
        let one = marked.into_iter().find(|state| *state == found);
        let one = one.expect("a write that was given up has happened in part, or others are lost");
        self.history.states.push(one);
        self.answered(first, Ok(()))
    }

    /// Writes a random batch, mostly over both sides, with range deletes, small and large values.
    async fn write(&mut self, chance: &mut Chance, keys: u64) -> Outcome {
        let mut model = self.history.last().clone();
        let mut batch = Batch::new();
        for _ in 0..1 + chance.below(4) {
            let number = chance.below(keys);
            let key = format!("key{number:03}").into_bytes();
            match chance.below(16) {
                0..=1 => {
                    batch.delete(&key).unwrap();
                    model.remove(&key);
                }
                2 => {
                    let end = number + chance.pick(&[2, 5, 20]);
                    let end = format!("key{end:03}").into_bytes();
                    batch.delete_range(&Range::between(&key, &end)).unwrap();
                    model.retain(|other, _| *other < key || *other >= end);
                }
                _ => {
                    let bytes = chance.pick(&[3, 40, 200, 700]);
                    let fill = chance.below(256) as u8;
                    let value = vec![fill; bytes];
                    batch.put(&key, &value).unwrap();
                    model.insert(key, value.into());
                }
            }
        }
        self.commit(batch, model).await
    }
}

/// Writes, flushes one side more than the other, compacts and reopens, until an error.
pub(crate) async fn tour(db: &mut Recorded, seed: u64, writes: u64) -> Outcome {
    let mut chance = Chance::new(seed ^ 0x51de);
    db.open().await?;
    for step in 1..=writes {
        db.write(&mut chance, 60).await?;
        if step == writes / 4 || step == writes * 9 / 10 {
            db.flush().await?;
        }
        if step == writes / 2 {
            db.close().await?;
            db.open().await?;
        }
        if step == writes * 2 / 3 {
            db.compact().await?;
        }
    }
    db.close().await
}

/// Opens what is left, twice, and compares it with the history: it must be one of its states,
/// `required` or a later one.
pub(crate) fn check_recovery(
    world: &SimWorld,
    sides: &[EngineConfig; 2],
    history: &History,
    required: usize,
    what: &dyn Fn() -> String,
) {
    let env = world.env();
    let found = run(world, async {
        let opened = open(&env, sides).await;
        let engine = opened.unwrap_or_else(|error| panic!("{}: {error}", what()));
        let found = contents(&engine, Direction::Forward).await.unwrap();
        let backwards = contents(&engine, Direction::Reverse).await.unwrap();
        assert_eq!(backwards, found, "{}: backwards", what());
        for key in history.last().keys().chain(found.keys()) {
            let value = engine.get(key).await.unwrap();
            assert_eq!(value.as_ref(), found.get(key), "{}: {key:?}", what());
        }
        for side in engine.sides() {
            let report = side.verify().await.unwrap();
            assert_eq!(report.problems, [] as [String; 0], "{}", what());
        }
        engine.put(b"after", b"the crash").await.unwrap();
        engine.delete(b"after").await.unwrap();
        engine.close().await.unwrap();
        let opened = open(&env, sides).await;
        let engine = opened.unwrap_or_else(|error| panic!("{}, again: {error}", what()));
        let again = contents(&engine, Direction::Forward).await.unwrap();
        assert_eq!(again, found, "{}: another state at the second", what());
        engine.close().await.unwrap();
        found
    });
    let at = history.position(&found);
    let at =
        at.unwrap_or_else(|| panic!("{}: {} keys, a state that never was", what(), found.len()));
    assert!(
        at >= required,
        "{}: recovered state {at}, but {required} was promised",
        what()
    );
}
