//! What a database went through, and what of it must be found after a crash, a failure or damage.

use std::collections::BTreeMap;

use aura_engine::env::Env;
use aura_engine::env::sim::SimWorld;
use aura_engine::{
    AuraEngine, Cursor, Direction, Engine, EngineBuilder, EngineConfig, Error, Range, Value,
};

use super::run;

pub(crate) type Model = BTreeMap<Vec<u8>, Value>;

/// Every state that the database went through, in order, and how far each promise reaches.
pub(crate) struct History {
    /// The first state is the empty one. The last may have been asked for and refused.
    pub(crate) states: Vec<Model>,
    /// States up to this one were acknowledged: the end of the process loses none of them.
    pub(crate) acknowledged: usize,
    /// States up to this one were acknowledged as durable: no crash of the machine loses them.
    pub(crate) durable: usize,
}

impl History {
    pub(crate) fn new() -> Self {
        Self {
            states: vec![Model::new()],
            acknowledged: 0,
            durable: 0,
        }
    }

    /// Returns the state after every write so far.
    pub(crate) fn last(&self) -> &Model {
        self.states.last().expect("one at least")
    }

    /// Returns the state that readers must see.
    pub(crate) fn visible(&self) -> &Model {
        &self.states[self.acknowledged]
    }

    /// Registers that everything acknowledged is durable from now on.
    pub(crate) fn all_durable(&mut self) {
        self.durable = self.acknowledged;
    }

    /// Returns the position of the newest state that equals `found`.
    pub(crate) fn position(&self, found: &Model) -> Option<usize> {
        self.states.iter().rposition(|state| state == found)
    }
}

pub(crate) async fn open(env: &Env, config: &EngineConfig) -> Result<AuraEngine, Error> {
    EngineBuilder::new(env.clone(), "/db")
        .config(config.clone())
        .open()
        .await
}

/// Reads every row of a scan.
pub(crate) async fn contents<E: Engine>(engine: &E, direction: Direction) -> Result<Model, Error> {
    let mut model = Model::new();
    let mut scan = engine.scan(Range::all(), direction);
    while let Some((key, value)) = scan.next().await? {
        assert_eq!(
            model.insert(key.to_vec(), value),
            None,
            "a key came twice: {key:?}"
        );
    }
    Ok(model)
}

/// Opens what is left, twice, and compares it with the history: it must be one of its states,
/// `required` or a later one.
pub(crate) fn check_recovery(
    world: &SimWorld,
    config: &EngineConfig,
    history: &History,
    required: usize,
    what: &dyn Fn() -> String,
) {
    let env = world.env();
    let found = run(world, async {
        let engine = open(&env, config)
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", what()));
        let found = contents(&engine, Direction::Forward).await.unwrap();
        assert_eq!(
            contents(&engine, Direction::Reverse).await.unwrap(),
            found,
            "{}: backwards",
            what()
        );
        for key in history.last().keys().chain(found.keys()) {
            let value = engine.get(key).await.unwrap();
            assert_eq!(
                value.as_ref(),
                found.get(key),
                "{}: get and scan differ at {key:?}",
                what()
            );
        }
        let report = engine.verify().await.unwrap();
        assert_eq!(report.problems, [] as [String; 0], "{}", what());
        engine.put(b"after", b"the crash").await.unwrap();
        engine.delete(b"after").await.unwrap();
        engine.close().await.unwrap();
        let engine = open(&env, config)
            .await
            .unwrap_or_else(|error| panic!("{}, again: {error}", what()));
        let again = contents(&engine, Direction::Forward).await.unwrap();
        assert_eq!(
            again,
            found,
            "{}: the second open found another state",
            what()
        );
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
