//! Writers and readers at the same time: a batch over both sides is seen whole or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aura_engine::env::memory::MemoryWorld;
use aura_engine::env::{Clock, Env};
use aura_engine::{Batch, Cursor, Direction, Engine, Error, Range, SplitEngine};
use tokio::sync::oneshot;

use crate::common::{Chance, repeatable, run, seeds, sim, tried};
use crate::recorded::{POLICIES, open, small};

/// Keys that every batch sets to the same number; some lie on either side.
const KEYS: u64 = 12;

fn key(number: u64) -> Vec<u8> {
    format!("key{number}").into_bytes()
}

fn number(value: &[u8]) -> u64 {
    u64::from_le_bytes(value[..8].try_into().unwrap())
}

/// Sets all keys to `round`, with values that fill the memtables.
fn batch(round: u64) -> Batch {
    let mut batch = Batch::new();
    let mut value = round.to_le_bytes().to_vec();
    value.resize(60 + (round % 7) as usize * 30, 0);
    if round.is_multiple_of(5) {
        batch.delete_range(&Range::all()).unwrap();
    }
    for at in 0..KEYS {
        batch.put(&key(at), &value).unwrap();
    }
    batch
}

/// Checks that every row has the same number, and returns it.
async fn one_round(mut scan: impl Cursor) -> Result<u64, Error> {
    let mut rounds = Vec::new();
    while let Some((_, value)) = scan.next().await? {
        rounds.push(number(&value));
    }
    assert_eq!(rounds.len() as u64, KEYS, "{rounds:?}");
    assert!(
        rounds.iter().all(|round| *round == rounds[0]),
        "half a batch: {rounds:?}"
    );
    Ok(rounds[0])
}

/// Reads until `stop` is set, with naps of up to `nap_nanos` between.
async fn read(
    engine: SplitEngine,
    clock: Arc<dyn Clock>,
    stop: Arc<AtomicBool>,
    (nap_nanos, seed): (u64, u64),
) -> Result<u64, Error> {
    let mut chance = Chance::new(seed);
    let mut last = 0;
    let mut reads = 0;
    while !stop.load(Ordering::Relaxed) {
        let direction = chance.pick(&[Direction::Forward, Direction::Reverse]);
        let round = match chance.below(3) {
            0 => one_round(engine.scan(Range::all(), direction)).await?,
            1 => {
                let snapshot = engine.snapshot();
                let round = one_round(snapshot.scan(Range::all(), direction)).await?;
                let value = snapshot.get(&key(chance.below(KEYS))).await?;
                assert_eq!(number(&value.unwrap()), round, "a snapshot of two moments");
                round
            }
            _ => {
                let value = engine.get(&key(chance.below(KEYS))).await?;
                number(&value.expect("a range delete without its puts"))
            }
        };
        assert!(round >= last, "{round} after {last} was seen: half a batch");
        last = round;
        reads += 1;
        match nap_nanos {
            0 => clock.wait_for_cpu().await,
            nanos => clock.sleep(chance.below(nanos)).await,
        }
    }
    Ok(reads)
}

async fn write_and_read(env: Env, rounds: u64, nap_nanos: u64, seed: u64) {
    let sides = small(POLICIES[seed as usize % 4]);
    let engine = open(&env, &sides).await.unwrap();
    let of_one = (0..KEYS).filter(|at| engine.side_of(&key(*at)) == 1);
    assert!((1..KEYS as usize).contains(&of_one.count()));
    engine.write(batch(0)).await.unwrap();
    let stop = Arc::<AtomicBool>::default();
    let mut readers = Vec::new();
    for reader in 0..4 {
        let (tx, rx) = oneshot::channel();
        let lots = (nap_nanos, seed << 8 | reader);
        let reading = read(engine.clone(), env.clock.clone(), stop.clone(), lots);
        let task = Box::pin(async move { drop(tx.send(reading.await)) });
        env.tasks.spawn("reader", task);
        readers.push(rx);
    }
    for round in 1..rounds {
        engine.write(batch(round)).await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    let mut reads = 0;
    for reader in readers {
        reads += reader.await.expect("a reader panicked").unwrap();
    }
    assert!(reads > 0, "nobody read");
    tried("reads", reads);
    engine.close().await.unwrap();
}

#[test]
fn readers_see_whole_batches_while_writers_write() {
    for seed in seeds(12) {
        repeatable(seed, || {
            let world = sim(seed);
            run(&world, write_and_read(world.env(), 300, 2000, seed));
        });
    }
}

#[test]
fn readers_on_other_threads_see_whole_batches() {
    for seed in seeds(4) {
        repeatable(seed, || {
            let world = MemoryWorld::new(4).unwrap();
            world.block_on(write_and_read(world.env(), 2000, 0, seed));
        });
    }
}

#[test]
fn writers_that_wait_are_committed_in_one_append_and_one_sync() {
    let world = sim(1);
    let env = world.env();
    run(&world, async {
        let engine = open(&env, &small(POLICIES[0])).await.unwrap();
        let mut writers = Vec::new();
        for round in 0..20_u64 {
            let (tx, rx) = oneshot::channel();
            let engine = engine.clone();
            let write = async move { drop(tx.send(engine.write(batch(round)).await)) };
            env.tasks.spawn("writer", Box::pin(write));
            writers.push(rx);
        }
        for writer in writers {
            writer.await.unwrap().unwrap();
        }
        let counts = engine.counts();
        assert_eq!(counts.batches, 20);
        assert!(counts.groups < 10, "{} groups", counts.groups);
        // One for each group, and one for each seal or closed log at most.
        let seals: u64 = engine
            .sides()
            .iter()
            .map(|side| side.metrics().counts.flushes)
            .sum();
        assert!(counts.log_syncs <= counts.groups + seals + counts.logs_closed + 2);
        for side in engine.sides() {
            let side = side.metrics().counts;
            assert_eq!((side.wal_bytes, side.wal_syncs), (0, 0));
        }
        engine.close().await.unwrap();
    });
}
