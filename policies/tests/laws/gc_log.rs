//! A value log of numbers only: values of one byte, each the newest of its key or garbage, in files
//! that a victim policy collects.

use std::collections::BTreeMap;

use aura_policies::gc::{GcPolicy, ValueFileFacts, ValueLogFacts};

#[derive(Default)]
struct File {
    /// The key of each value.
    keys: Vec<u32>,
    live: u64,
    /// Bytes that users had appended when its youngest value was written.
    born: u64,
    collections: u32,
}

/// A log after a bulk load, and what was done to it since [`Log::measure`].
pub(crate) struct Log {
    file_bytes: u64,
    /// The file of each key's newest value, and its position there.
    newest: Vec<(u64, u32)>,
    sealed: BTreeMap<u64, File>,
    active: (u64, File),
    next_id: u64,
    appended: u64,
    bytes: u64,
    pub(crate) done: Done,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    pub(crate) written: u64,
    pub(crate) copied: u64,
    /// Bytes of the victims.
    pub(crate) collected: u64,
    /// The log's bytes, summed over writes.
    space: u64,
}

impl Done {
    pub(crate) fn write_amplification(&self) -> f64 {
        (self.written + self.copied) as f64 / self.written as f64
    }

    /// The mean live share of the victims.
    pub(crate) fn victims_live(&self) -> f64 {
        self.copied as f64 / self.collected as f64
    }

    /// The log's mean bytes, divided by those of `keys` values.
    pub(crate) fn space_amplification(&self, keys: u32) -> f64 {
        self.space as f64 / self.written as f64 / f64::from(keys)
    }
}

impl Log {
    pub(crate) fn loaded(keys: u32, file_bytes: u64) -> Self {
        let mut log = Self {
            file_bytes,
            newest: vec![(u64::MAX, 0); keys as usize],
            sealed: BTreeMap::new(),
            active: (0, File::default()),
            next_id: 1,
            appended: 0,
            bytes: 0,
            done: Done::default(),
        };
        for key in 0..keys {
            log.append(key);
        }
        log.measure();
        log
    }

    /// Forgets what was done so far.
    pub(crate) fn measure(&mut self) {
        self.done = Done::default();
    }

    fn append(&mut self, key: u32) {
        let (file, place) = self.newest[key as usize];
        let (active_id, active) = &mut self.active;
        if file == *active_id {
            assert_eq!(active.keys[place as usize], key);
            active.live -= 1;
        } else if let Some(old) = self.sealed.get_mut(&file) {
            assert_eq!(old.keys[place as usize], key);
            old.live -= 1;
        }
        self.newest[key as usize] = (*active_id, active.keys.len() as u32);
        active.keys.push(key);
        active.live += 1;
        self.appended += 1;
        self.bytes += 1;
        active.born = self.appended;
        if active.keys.len() as u64 == self.file_bytes {
            let (id, full) = std::mem::replace(&mut self.active, (self.next_id, File::default()));
            self.next_id += 1;
            self.sealed.insert(id, full);
        }
        self.done.written += 1;
        self.done.space += self.bytes;
    }

    pub(crate) fn facts(&self, urgent: bool) -> ValueLogFacts {
        let fact = |(id, file): (&u64, &File)| ValueFileFacts {
            id: *id,
            bytes: file.keys.len() as u64,
            garbage_bytes: file.keys.len() as u64 - file.live,
            age_bytes: self.appended - file.born,
            collections: file.collections,
        };
        ValueLogFacts {
            files: self.sealed.iter().map(fact).collect(),
            file_bytes: self.file_bytes,
            urgent,
        }
    }

    fn collect(&mut self, victims: &[u64]) {
        let mut output = File::default();
        for id in victims {
            let file = self.sealed.remove(id).expect("a victim is a sealed file");
            self.done.collected += file.keys.len() as u64;
            self.bytes -= file.keys.len() as u64;
            output.born = output.born.max(file.born);
            output.collections = output.collections.max(file.collections + 1);
            for (place, key) in file.keys.iter().enumerate() {
                let newest = &mut self.newest[*key as usize];
                if *newest == (*id, place as u32) {
                    *newest = (self.next_id, output.keys.len() as u32);
                    output.keys.push(*key);
                }
            }
        }
        output.live = output.keys.len() as u64;
        self.done.copied += output.live;
        self.bytes += output.live;
        if output.live > 0 {
            self.sealed.insert(self.next_id, output);
            self.next_id += 1;
        }
    }

    /// Deletes files in which everything is dead, without a collection.
    fn drop_dead(&mut self) {
        let dead: u64 = self
            .sealed
            .values()
            .filter(|file| file.live == 0)
            .map(|file| file.keys.len() as u64)
            .sum();
        self.bytes -= dead;
        self.done.collected += dead;
        self.sealed.retain(|_, file| file.live > 0);
    }

    /// Overwrites `key`. After each sealed file the policy is asked until it names no victim.
    pub(crate) fn write(&mut self, key: u32, policy: &mut dyn GcPolicy) {
        let sealed = self.active.0;
        self.append(key);
        if self.active.0 == sealed {
            return;
        }
        self.drop_dead();
        loop {
            let victims = policy.victims(&self.facts(false));
            if victims.is_empty() {
                return;
            }
            self.collect(&victims);
        }
    }

    /// Overwrites `key`. While the log is larger than `space_max` the policy is asked, with
    /// `urgent` set.
    pub(crate) fn write_within(&mut self, space_max: u64, key: u32, policy: &mut dyn GcPolicy) {
        let sealed = self.active.0;
        self.append(key);
        if self.active.0 == sealed {
            return;
        }
        self.drop_dead();
        while self.bytes > space_max {
            let victims = policy.victims(&self.facts(true));
            assert!(
                !victims.is_empty(),
                "{} bytes of {space_max}, and nothing is worth it",
                self.bytes
            );
            self.collect(&victims);
        }
    }

    /// Checks that each key's newest value is where the log says, and that the books are right.
    pub(crate) fn audit(&self) {
        let files = || self.sealed.iter().chain([(&self.active.0, &self.active.1)]);
        for (key, (id, place)) in self.newest.iter().enumerate() {
            let file = files()
                .find(|(other, _)| *other == id)
                .expect("its file is there")
                .1;
            assert_eq!(file.keys[*place as usize] as usize, key);
        }
        assert_eq!(
            files().map(|(_, file)| file.live).sum::<u64>(),
            self.newest.len() as u64
        );
        assert_eq!(
            files().map(|(_, file)| file.keys.len() as u64).sum::<u64>(),
            self.bytes
        );
    }
}
