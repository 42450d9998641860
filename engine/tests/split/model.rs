//! Random operations on both sides, under random settings of each, against a `BTreeMap`, with
//! reopens in between.

use std::collections::BTreeMap;
use std::ops::Bound;

use aura_engine::env::Env;
use aura_engine::{
    Batch, Direction, Engine, EngineConfig, Range, SplitEngine, SplitScan, SplitSnapshot,
};
use bytesize::ByteSize;

use crate::common::cancel::{Call, poll_at_most};
use crate::common::{Chance, random_config, repeatable, run, seeds, sim, tried};
use crate::recorded::open;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

struct Checked {
    env: Env,
    sides: [EngineConfig; 2],
    engine: SplitEngine,
    model: Model,
    snapshots: Vec<(SplitSnapshot, Model)>,
    chance: Chance,
}

fn range(start: &[u8], end: &[u8]) -> Range {
    Range::between(start, end)
}

/// Reads up to `limit` rows. Each call for a row is dropped once after `dropped_after` polls.
async fn rows(
    scan: SplitScan,
    limit: usize,
    dropped_after: Option<u64>,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut scan = scan.limit(limit);
    let mut rows = Vec::new();
    loop {
        if let Some(polls) = dropped_after {
            let call = Box::pin(scan.next());
            if let Ok(row) = poll_at_most(call, polls).await {
                match row.unwrap() {
                    Some((key, value)) => rows.push((key.to_vec(), value.to_vec())),
                    None => return rows,
                }
                continue;
            }
        }
        match scan.next().await.unwrap() {
            Some((key, value)) => rows.push((key.to_vec(), value.to_vec())),
            None => return rows,
        }
    }
}

impl Checked {
    fn key(&mut self) -> Vec<u8> {
        let number = self.chance.below(200);
        match number % 3 {
            0 => format!("a-long-common-prefix-{number:05}").into_bytes(),
            1 => vec![0xff, number as u8, 0],
            _ => vec![number as u8; 1 + (number % 7) as usize],
        }
    }

    fn bounds(&mut self) -> (Vec<u8>, Vec<u8>) {
        let (a, mut b) = (self.key(), self.key());
        b.push(1);
        if a < b { (a, b) } else { (b, a) }
    }

    /// Draws a batch and applies it to the model as well.
    fn batch(&mut self) -> Batch {
        let mut batch = Batch::new();
        for _ in 0..1 + self.chance.below(7) {
            let key = self.key();
            match self.chance.below(12) {
                0..=2 => {
                    batch.delete(&key).unwrap();
                    self.model.remove(&key);
                }
                3 => {
                    // Mostly a few keys.
                    let mut above = self.model.range(key.clone()..);
                    let end = match above.nth(4) {
                        Some((end, _)) => end.clone(),
                        None => vec![0xff; 4],
                    };
                    batch.delete_range(&range(&key, &end)).unwrap();
                    self.model.retain(|other, _| *other < key || *other >= end);
                }
                _ => {
                    let bytes = self.chance.pick(&[0, 5, 30, 300, 3000]);
                    let value = vec![self.chance.below(256) as u8; bytes];
                    batch.put(&key, &value).unwrap();
                    self.model.insert(key, value);
                }
            }
        }
        batch
    }

    async fn check_scan(&mut self, snapshot: Option<usize>) {
        let (start, end) = self.bounds();
        let direction = self.chance.pick(&[Direction::Forward, Direction::Reverse]);
        let limit = 1 + self.chance.below(60) as usize;
        let dropped_after = self.chance.pick(&[None, Some(0), Some(1), Some(2)]);
        let (scan, model) = match snapshot {
            None => (
                self.engine.scan(range(&start, &end), direction),
                &self.model,
            ),
            Some(at) => {
                let (snapshot, model) = &self.snapshots[at];
                (snapshot.scan(range(&start, &end), direction), model)
            }
        };
        let bounds = (Bound::Included(start), Bound::Excluded(end));
        let inside = model.range::<Vec<u8>, _>((bounds.0.as_ref(), bounds.1.as_ref()));
        let inside = inside.map(|(key, value)| (key.clone(), value.clone()));
        let expected: Vec<_> = match direction {
            Direction::Forward => inside.take(limit).collect(),
            Direction::Reverse => inside.rev().take(limit).collect(),
        };
        assert_eq!(
            rows(scan, limit, dropped_after).await,
            expected,
            "{direction:?}"
        );
    }

    async fn give_up(&mut self) {
        let engine = self.engine.clone();
        let before = self.model.clone();
        let polls = self.chance.below(6);
        let call: Call<()> = match self.chance.below(4) {
            0 => Box::pin(async move { engine.flush().await.unwrap() }),
            1 => Box::pin(async move { engine.compact().await.unwrap() }),
            _ => {
                let batch = self.batch();
                Box::pin(async move { engine.write(batch).await.unwrap() })
            }
        };
        if poll_at_most(call, polls).await.is_ok() {
            return;
        }
        // After the next acknowledged write, it has happened or never will.
        self.engine.put(b"mark", b"").await.unwrap();
        let scan = self.engine.scan(Range::all(), Direction::Forward);
        let found: Model = rows(scan, usize::MAX, None).await.into_iter().collect();
        let mark = |mut model: Model| {
            model.insert(b"mark".to_vec(), Vec::new());
            model
        };
        let possible = [mark(before), mark(self.model.clone())];
        assert!(possible.contains(&found), "neither with nor without it");
        self.model = found;
    }

    async fn step(&mut self) {
        match self.chance.below(100) {
            0..=44 => {
                let batch = self.batch();
                self.engine.write(batch).await.unwrap();
            }
            45..=70 => {
                let key = self.key();
                let found = self.engine.get(&key).await.unwrap();
                let expected = self.model.get(&key).map(|value| &value[..]);
                assert_eq!(found.as_deref(), expected, "get {key:?}");
            }
            71..=80 => self.check_scan(None).await,
            81..=83 if self.snapshots.len() < 3 => {
                let now = (self.engine.snapshot(), self.model.clone());
                self.snapshots.push(now);
            }
            81..=88 if !self.snapshots.is_empty() => {
                let at = self.chance.below(self.snapshots.len() as u64) as usize;
                let key = self.key();
                let (snapshot, model) = &self.snapshots[at];
                let found = snapshot.get(&key).await.unwrap();
                assert_eq!(found.as_deref(), model.get(&key).map(|value| &value[..]));
                self.check_scan(Some(at)).await;
                if self.chance.below(3) == 0 {
                    self.snapshots.swap_remove(at);
                }
            }
            89..=90 => self.engine.flush().await.unwrap(),
            91 => self.engine.compact().await.unwrap(),
            92 => self.engine.wait_idle().await.unwrap(),
            93 => {
                let side = self.chance.below(2) as usize;
                let size = ByteSize(self.chance.pick(&[0, 4 << 10, 1 << 20]));
                let change = move |config: &mut EngineConfig| config.cache.size = size;
                self.engine.sides()[side].reconfigure(change).await.unwrap();
                self.sides[side].cache.size = size;
            }
            94 => self.reopen().await,
            _ => self.give_up().await,
        }
    }

    async fn reopen(&mut self) {
        for side in self.engine.sides() {
            let report = side.verify().await.unwrap();
            assert_eq!(report.problems, [] as [String; 0]);
        }
        self.snapshots.clear();
        self.engine.close().await.unwrap();
        self.engine = open(&self.env, &self.sides).await.unwrap();
    }
}

fn check(seed: u64) {
    let world = sim(seed);
    let mut chance = Chance::new(seed);
    let mut sides = [random_config(&mut chance), random_config(&mut chance)];
    sides[1].wal.sync = sides[0].wal.sync;
    run(&world, async {
        let env = world.env();
        let engine = open(&env, &sides).await.unwrap();
        let mut checked = Checked {
            env,
            sides,
            engine,
            model: Model::new(),
            snapshots: Vec::new(),
            chance,
        };
        for _ in 0..1200 {
            checked.step().await;
        }
        checked.reopen().await;
        for direction in [Direction::Forward, Direction::Reverse] {
            let scan = checked.engine.scan(Range::all(), direction);
            let found = rows(scan, usize::MAX, None).await;
            assert_eq!(found.into_iter().collect::<Model>(), checked.model);
        }
        checked.engine.close().await.unwrap();
    });
    tried("operations", 1200);
}

#[test]
fn a_split_database_answers_as_a_map_does() {
    for seed in seeds(12) {
        repeatable(seed, || check(seed));
    }
}
