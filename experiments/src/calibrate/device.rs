//! The device under a folder, and the page cache in front of it: latencies, bandwidth, parallelism.
//!
//! A file is written past the page cache where the file system allows it, and read at random places
//! by one, four and sixteen threads. What is found becomes the numbers of the simulator's model.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aura_engine::env::disk::{self, DiskWorld};
use aura_engine::env::sim::{DeviceModel, Latency};
use aura_engine::env::{Env, File};
use tokio::sync::oneshot;

use super::{CalibrateError, Effort};
use crate::files;

/// Bytes of the reads that are measured.
const READ_BYTES: [u64; 3] = [4 << 10, 16 << 10, 64 << 10];

/// Threads that read at the same time.
const DEPTHS: [usize; 3] = [1, 4, 16];

/// Bytes of an append while the file is written.
const PIECE: usize = 1 << 20;

/// Bytes that the simulated page cache writes back at once.
const WRITE_BACK: u64 = 32 << 10;

/// Bytes that are appended before each measured sync.
const SYNCED: usize = 4 << 10;

/// The most units of the model: more threads were not tried.
const UNITS_MAX: f64 = 64.0;

/// Reads of one size by a number of threads.
#[derive(Clone, Debug, PartialEq)]
pub struct Reads {
    /// Bytes of each.
    pub bytes: u64,
    /// Threads.
    pub depth: usize,
    /// Microseconds of each.
    pub latency: Latency,
    /// The mean of the microseconds.
    pub mean_us: f64,
    /// Reads a second, of all threads.
    pub per_second: f64,
}

/// What was found of a device.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Whether the reads bypassed the page cache; if not, why not.
    pub direct: Result<(), String>,
    /// Reads from the device.
    pub reads: Vec<Reads>,
    /// Reads from the page cache.
    pub cached: Vec<Reads>,
    /// Bytes a second that were written, the sync at the end included.
    pub write_bandwidth: f64,
    /// Microseconds of a sync after an append of 4 KiB.
    pub sync: Latency,
}

/// Measures the device under `folder`; the files are removed afterwards.
pub(super) fn measure(folder: &Path, effort: Effort) -> Result<Measured, CalibrateError> {
    files::create_folder(folder)?;
    let path = folder.join("calibrate.data");
    let direct = disk::check_direct_io(folder).map_err(|error| error.to_string());
    let threads = DEPTHS[DEPTHS.len() - 1];
    let bypasses = match direct {
        Ok(()) => |_: &Path| true,
        Err(_) => |_: &Path| false,
    };
    let world = DiskWorld::with_direct_io(threads, bypasses).map_err(CalibrateError::Threads)?;
    let cached = DiskWorld::new(threads).map_err(CalibrateError::Threads)?;
    let bytes = effort.file_bytes();
    let measured = measure_in(&world, &cached, &path, bytes, effort, direct);
    drop((world, cached));
    files::remove(&path)?;
    files::remove(&log_of(&path))?;
    measured.map_err(|source| CalibrateError::Device {
        folder: folder.to_owned(),
        source,
    })
}

/// The file whose syncs are measured.
fn log_of(path: &Path) -> PathBuf {
    path.with_extension("log")
}

fn measure_in(
    world: &DiskWorld,
    cached: &DiskWorld,
    path: &Path,
    bytes: u64,
    effort: Effort,
    direct: Result<(), String>,
) -> std::io::Result<Measured> {
    let write_bandwidth = world.block_on(write(&world.env(), path, bytes))?;
    let mut reads = Vec::new();
    for bytes_each in READ_BYTES {
        for depth in DEPTHS {
            let env = world.env();
            let file = env.fs.open(path)?;
            reads.push(world.block_on(read(&env, &file, bytes_each, depth, effort))?);
        }
    }
    let mut from_cache = Vec::new();
    let env = cached.env();
    let file = env.fs.open(path)?;
    cached.block_on(async {
        for at in (0..bytes).step_by(PIECE) {
            file.read_at(at, PIECE).await?;
        }
        Ok::<_, std::io::Error>(())
    })?;
    for bytes_each in READ_BYTES {
        from_cache.push(cached.block_on(read(&env, &file, bytes_each, 1, effort))?);
    }
    Ok(Measured {
        direct,
        reads,
        cached: from_cache,
        write_bandwidth,
        sync: cached.block_on(syncs(&env, &log_of(path), effort))?,
    })
}

/// Writes the file; returns bytes a second.
async fn write(env: &Env, path: &Path, bytes: u64) -> std::io::Result<f64> {
    let noise = |at: usize| ((at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8;
    let piece: Vec<u8> = (0..PIECE).map(noise).collect();
    let file = env.fs.create(path)?;
    let begun = env.clock.now();
    for _ in 0..bytes / PIECE as u64 {
        file.append(&piece).await?;
    }
    file.sync().await?;
    let seconds = (env.clock.now() - begun) as f64 / 1e9;
    file.finish();
    Ok(bytes as f64 / seconds)
}

/// Reads at random places with `depth` threads.
async fn read(
    env: &Env,
    file: &Arc<dyn File>,
    bytes: u64,
    depth: usize,
    effort: Effort,
) -> std::io::Result<Reads> {
    let places = file.bytes()? / bytes;
    let begun = env.clock.now();
    let mut readers = Vec::new();
    for reader in 0..depth {
        let (sender, receiver) = oneshot::channel();
        let (file, clock) = (file.clone(), env.clock.clone());
        let end = begun + effort.read_nanos();
        let task = async move {
            let mut nanos = Vec::new();
            // A generator of its own: the places repeat from run to run.
            let mut state = (reader as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ bytes;
            let mut failed = None;
            while clock.now() < end && nanos.len() < effort.reads() {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                let place = (state >> 33) % places;
                let start = clock.now();
                if let Err(error) = file.read_at(place * bytes, bytes as usize).await {
                    failed = Some(error);
                    break;
                }
                nanos.push(clock.now() - start);
            }
            // The receiver waits below.
            drop(sender.send(failed.map_or(Ok(nanos), Err)));
        };
        env.tasks.spawn("read", Box::pin(task));
        readers.push(receiver);
    }
    let mut nanos = Vec::new();
    for reader in readers {
        nanos.extend(reader.await.map_err(std::io::Error::other)??);
    }
    let seconds = (env.clock.now() - begun) as f64 / 1e9;
    let count = nanos.len() as f64;
    Ok(Reads {
        bytes,
        depth,
        mean_us: nanos.iter().sum::<u64>() as f64 / count.max(1.0) / 1e3,
        per_second: count / seconds,
        latency: latency(nanos),
    })
}

/// Appends and syncs, on a thread that waits for the device itself.
async fn syncs(env: &Env, path: &Path, effort: Effort) -> std::io::Result<Latency> {
    let file = env.fs.create(path)?;
    let (sender, receiver) = oneshot::channel();
    let clock = env.clock.clone();
    let task = async move {
        let mut nanos = Vec::new();
        let mut failed = None;
        for _ in 0..effort.syncs() {
            let start = clock.now();
            let synced = match file.append(&[7; SYNCED]).await {
                Ok(()) => file.sync().await,
                Err(error) => Err(error),
            };
            if let Err(error) = synced {
                failed = Some(error);
                break;
            }
            nanos.push(clock.now() - start);
        }
        drop(sender.send(failed.map_or(Ok(nanos), Err)));
    };
    env.tasks.spawn_on_thread("sync", Box::pin(task));
    let nanos = receiver.await.map_err(std::io::Error::other)??;
    Ok(latency(nanos))
}

/// The quantiles of times, in microseconds, with a tenth of one as the last digit.
fn latency(mut nanos: Vec<u64>) -> Latency {
    nanos.sort_unstable();
    let at = |share: f64| {
        let last = nanos.len().saturating_sub(1);
        let place = (nanos.len() as f64 * share) as usize;
        let nanos = nanos.get(place.min(last)).copied().unwrap_or(0);
        (nanos as f64 / 100.0).round() / 10.0
    };
    Latency {
        min: at(0.0),
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p999: at(0.999),
        max: at(1.0),
    }
}

impl Measured {
    fn reads_of(&self, bytes: u64, depth: usize) -> Option<&Reads> {
        let mut reads = self.reads.iter();
        reads.find(|it| it.bytes == bytes && it.depth == depth)
    }

    /// The numbers of the model for the device: alone, a read of 4 KiB takes as long as measured,
    /// many take as long together as sixteen threads measured, and bytes flow at the highest
    /// measured bandwidth.
    pub fn device(&self) -> DeviceModel {
        let smallest = READ_BYTES[0];
        let bandwidth = self.reads.iter().map(|it| it.per_second * it.bytes as f64);
        let bandwidth = bandwidth.fold(1.0, f64::max);
        let transfer_us = smallest as f64 / bandwidth * 1e6;
        let alone = self.reads_of(smallest, 1);
        let most = self.reads.iter().filter(|it| it.bytes == smallest);
        let most = most.map(|it| it.per_second).fold(0.0, f64::max);
        let mean_us = alone.map_or(1.0, |it| it.mean_us);
        let units = (most * mean_us / 1e6).round().clamp(1.0, UNITS_MAX);
        let written = self.write_bandwidth.max(1.0);
        DeviceModel {
            units: units as u32,
            stripe: READ_BYTES[READ_BYTES.len() - 1],
            read_us: alone.map_or_else(Latency::default, |it| less(it.latency, transfer_us)),
            read_bandwidth: bandwidth as u64,
            ..self.writes(units, written)
        }
    }

    /// The numbers of the model for the page cache: a read takes no time of the device. It costs a
    /// call of the system, whose price is found from such reads.
    pub fn page_cache(&self) -> DeviceModel {
        DeviceModel {
            base_us: 0.0,
            read_us: Latency::constant(0.0),
            read_bandwidth: 0,
            ..self.device()
        }
    }

    /// The numbers of writes and syncs.
    fn writes(&self, units: f64, bandwidth: f64) -> DeviceModel {
        DeviceModel {
            write_us: Latency::constant(0.0),
            program_us: (units * WRITE_BACK as f64 / bandwidth * 1e6).round(),
            write_bytes: WRITE_BACK,
            write_depth: 32,
            write_cache: true,
            sync_us: self.sync,
            write_bandwidth: bandwidth as u64,
            ..DeviceModel::NULL
        }
    }
}

/// A latency with `us` taken from each quantile.
fn less(latency: Latency, us: f64) -> Latency {
    let less = |it: f64| ((it - us).max(0.0) * 10.0).round() / 10.0;
    Latency {
        min: less(latency.min),
        p50: less(latency.p50),
        p90: less(latency.p90),
        p99: less(latency.p99),
        p999: less(latency.p999),
        max: less(latency.max),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(bytes: u64, depth: usize, us: f64, per_second: f64) -> Reads {
        Reads {
            bytes,
            depth,
            latency: Latency::constant(us),
            mean_us: us,
            per_second,
        }
    }

    #[test]
    fn the_model_repeats_what_was_measured_of_a_drive() {
        let measured = Measured {
            direct: Ok(()),
            reads: vec![
                reads(4096, 1, 100.0, 10_000.0),
                reads(4096, 16, 200.0, 80_000.0),
                reads(65_536, 16, 1_000.0, 16_000.0),
            ],
            cached: vec![reads(4096, 1, 1.5, 600_000.0), reads(65_536, 1, 13.5, 1e5)],
            write_bandwidth: 500e6,
            sync: Latency::constant(700.0),
        };
        let device = measured.device();
        // Eight reads of 100 us at a time are 80,000 a second.
        assert_eq!(device.units, 8);
        assert_eq!(device.read_bandwidth, 16_000 * 65_536);
        // 4 KiB of that bandwidth are 3.9 us, and the rest of 100 us is the unit's.
        assert_eq!(device.read_us, Latency::constant(96.1));
        assert_eq!(device.sync_us, Latency::constant(700.0));
        // Eight units program 32 KiB each: 500 MB a second together.
        assert_eq!(device.program_us, 524.0);

        let cached = measured.page_cache();
        assert_eq!(cached.read_us, Latency::constant(0.0));
        assert_eq!((cached.read_bandwidth, cached.units), (0, device.units));
        assert_eq!(cached.sync_us, device.sync_us);
    }

    #[test]
    fn quantiles_of_times_are_in_microseconds() {
        let times = latency((1..=1000).map(|it| it * 1000).collect());
        let expected = [1.0, 501.0, 901.0, 991.0, 1000.0, 1000.0];
        let found = [
            times.min, times.p50, times.p90, times.p99, times.p999, times.max,
        ];
        assert_eq!(found, expected);
    }
}
