//! Another store implements [`Engine`]: the trait asks for nothing that only AuraDB can give.

use std::collections::BTreeMap;
use std::sync::Mutex;

use aura_engine::env::memory::MemoryWorld;
use aura_engine::{
    Batch, Cursor, Direction, Engine, EngineBuilder, EngineConfig, Key, Range, Result, Value, Write,
};
use aura_policies::PolicySpec;

/// A map in memory.
#[derive(Default)]
struct MapEngine {
    rows: Mutex<BTreeMap<Key, Value>>,
}

/// Rows that were copied when the scan began.
struct MapScan {
    rows: std::vec::IntoIter<(Key, Value)>,
    left: usize,
}

impl Cursor for MapScan {
    async fn next(&mut self) -> Result<Option<(Key, Value)>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        Ok(self.rows.next())
    }

    fn limit(mut self, rows: usize) -> Self {
        self.left = rows;
        self
    }
}

fn contains(range: &Range, key: &[u8]) -> bool {
    range.after_start(key) && range.before_end(key)
}

impl Engine for MapEngine {
    type Scan = MapScan;

    async fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        Ok(self.rows.lock().unwrap().get(key).cloned())
    }

    async fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        let mut batch = Batch::new();
        batch.put(key, value)?;
        self.write(batch).await
    }

    async fn delete(&self, key: &[u8]) -> Result<()> {
        let mut batch = Batch::new();
        batch.delete(key)?;
        self.write(batch).await
    }

    async fn delete_range(&self, range: Range) -> Result<()> {
        let mut batch = Batch::new();
        batch.delete_range(&range)?;
        self.write(batch).await
    }

    async fn write(&self, batch: Batch) -> Result<()> {
        let mut rows = self.rows.lock().unwrap();
        for write in batch.into_writes() {
            match write {
                Write::Put { key, value } => drop(rows.insert(key, value)),
                Write::Delete { key } => drop(rows.remove(&key)),
                Write::DeleteRange(range) => rows.retain(|key, _| !contains(&range, key)),
            }
        }
        Ok(())
    }

    fn scan(&self, range: Range, direction: Direction) -> MapScan {
        let rows = self.rows.lock().unwrap();
        let inside = rows.iter().filter(|(key, _)| contains(&range, key));
        let mut rows: Vec<(Key, Value)> = inside
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        if direction == Direction::Reverse {
            rows.reverse();
        }
        MapScan {
            rows: rows.into_iter(),
            left: usize::MAX,
        }
    }

    async fn flush(&self) -> Result<()> {
        Ok(())
    }

    async fn compact(&self) -> Result<()> {
        Ok(())
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

/// Does the same calls on any engine, and returns the rows it read.
async fn walk<E: Engine>(engine: &E) -> Result<Vec<(Key, Value)>> {
    for number in 0..20_u8 {
        engine.put(&[number], &[number; 30]).await?;
    }
    engine.delete(&[3]).await?;
    engine.delete_range(Range::between(&[5], &[8])).await?;
    let mut batch = Batch::new();
    batch.put(&[6], b"back")?;
    batch.delete(&[0])?;
    batch.delete_range(&Range::from(&[17]))?;
    batch.put(&[18], b"after the range delete")?;
    engine.write(batch).await?;
    engine.flush().await?;
    engine.compact().await?;
    let mut rows = Vec::new();
    for direction in [Direction::Forward, Direction::Reverse] {
        let mut scan = engine.scan(Range::all(), direction).limit(11);
        while let Some(row) = scan.next().await? {
            rows.push(row);
        }
        // A scan that has begun may be cut short.
        let mut scan = engine.scan(Range::all(), direction);
        for _ in 0..4 {
            rows.extend(scan.next().await?);
        }
        let mut scan = scan.limit(2);
        while let Some(row) = scan.next().await? {
            rows.push(row);
        }
    }
    for key in [6, 7, 18] {
        let value = engine.get(&[key]).await?;
        rows.extend(value.map(|value| (Key::copy_from_slice(&[key]), value)));
    }
    engine.close().await?;
    Ok(rows)
}

#[test]
fn another_store_implements_the_trait_and_gives_the_same_rows() {
    let world = MemoryWorld::new(2).unwrap();
    world.block_on(async {
        let rows = walk(&MapEngine::default()).await.unwrap();
        assert_eq!(rows.len(), 36);
        let engine = EngineBuilder::new(world.env(), "/db").open().await.unwrap();
        assert_eq!(walk(&engine).await.unwrap(), rows);
        let mut config = EngineConfig::default();
        config.value_log.separation = PolicySpec::named("threshold").with("bytes", 16);
        let separated = EngineBuilder::new(world.env(), "/separated").config(config);
        let engine = separated.open().await.unwrap();
        assert_eq!(walk(&engine).await.unwrap(), rows);
    });
}
