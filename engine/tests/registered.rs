//! A picker of another crate is registered at start-up. The engine may ask it any number of times,
//! and reports exactly the tables that it moves.

mod common;

use std::sync::Mutex;

use aura_engine::{Engine, EngineBuilder, EngineConfig};
use aura_policies::entry::{Entry, NoParams, describe, params};
use aura_policies::facts::{TableFacts, TableId};
use aura_policies::picker::{self, Candidates, Picker};
use aura_policies::{PolicySpec, agent};
use bytesize::ByteSize;
use common::{Chance, run, sim};

/// The calls of the engine, in order.
static CALLS: Mutex<Vec<Call>> = Mutex::new(Vec::new());

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Pick(Choice),
    Moved(Choice),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Choice {
    level: usize,
    table: TableId,
}

/// Moves the table with the largest key, and records what the engine asks and reports.
struct Recording;

impl Picker for Recording {
    fn pick(&self, candidates: &Candidates<'_>) -> usize {
        let last = candidates.tables.len() - 1;
        record(Call::Pick(Choice {
            level: candidates.level,
            table: candidates.tables[last].id,
        }));
        last
    }

    fn on_moved(&mut self, level: usize, table: &TableFacts) {
        record(Call::Moved(Choice {
            level,
            table: table.id,
        }));
    }
}

fn record(call: Call) {
    CALLS
        .lock()
        .expect("no test panics with the lock")
        .push(call);
}

static RECORDING: Entry<picker::Build> = Entry {
    name: "recording",
    about: "the table with the largest key",
    params: describe::<NoParams>,
    build: |spec| {
        params::<NoParams>(spec)?;
        Ok(Box::new(Recording))
    },
};

#[test]
fn a_registered_picker_is_used_and_learns_of_each_move_once() {
    picker::FAMILY
        .register(&RECORDING)
        .expect("the name is free");
    let mut config = EngineConfig::default();
    config.memtable = ByteSize::kib(64);
    config.table.size = ByteSize::kib(32);
    config.compaction.base = ByteSize::kib(128);
    config.compaction.picker = PolicySpec::named("recording");
    config.compaction.agent = agent::FAMILY.default_spec();

    let world = sim(1);
    let env = world.env();
    run(&world, async {
        let engine = EngineBuilder::new(env, "/db")
            .config(config)
            .open()
            .await
            .expect("the policy is registered");
        let mut chance = Chance::new(1);
        for _ in 0..4_000 {
            let key = chance.below(100_000).to_be_bytes();
            engine.put(&key, &[7; 200]).await.expect("a put");
        }
        engine.flush().await.expect("a flush");
        engine.wait_idle().await.expect("nothing is left to do");
        engine.close().await.expect("a close");
    });

    let calls = CALLS.lock().expect("no test panics with the lock").clone();
    let mut moved = Vec::new();
    let mut last_pick = None;
    for call in calls.iter().copied() {
        match call {
            Call::Pick(choice) => last_pick = Some(choice),
            Call::Moved(choice) => {
                assert_eq!(Some(choice), last_pick, "what was chosen is moved");
                assert!(!moved.contains(&choice), "{choice:?} is reported once");
                moved.push(choice);
            }
        }
    }
    assert!(
        moved.len() > 5,
        "only {} tables moved: {calls:?}",
        moved.len()
    );
    let picks = calls.len() - moved.len();
    assert!(
        picks >= moved.len(),
        "{picks} choices for {} moves",
        moved.len()
    );
}
