//! The model of a device, in whole nanoseconds.
//!
//! ```text
//! read:    admission -> base -> unit (waits its turn; read) -> link (waits its turn) -> done
//! append:  page cache: done, unless more bytes than the dirty limit wait for write-back
//! behind:  piece -> admission -> link -> unit (program; next in turn) -> room for another piece
//!                                    \-> acknowledged: written back
//! sync:    the file's pieces go first; all acknowledged -> sync -> done
//! ```
//!
//! - A unit and the link are servers that take requests in the order of their arrival. A read is
//!   divided into stripes. The stripes of a file go round the units, from a place that its number
//!   determines. Written pieces go to the units in turn, as a flash translation layer places them.
//! - A disk with heads is one unit that also transfers: seek by distance, half a rotation,
//!   transfer. File `n` starts at `n` x 64 MiB. Continuing where the heads are costs no seek and
//!   no rotation.
//! - A volume admits a number of requests and of bytes a second (token buckets).
//! - Reads bypass the page cache, like direct I/O, except for bytes not yet written back, which are
//!   in memory.
//!
//! Not modelled: garbage collection and wear, merging of neighbouring requests, metadata.

use std::collections::VecDeque;
use std::sync::Arc;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::agenda::{Agenda, What};
use super::fs::{Body, WaitingSync};
use super::profile::{DeviceModel, Latency, UNITS_MAX};
use super::slab::Slab;
use crate::env::lock;

/// Distance between the starts of two files on a disk with heads.
const FILE_DISTANCE: u64 = 64 << 20;

/// Next step of a request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// A part of a read leaves its unit for the link, with this many bytes.
    ReadAtLink { read: u32, bytes: u64 },
    /// A part of a read has arrived.
    ReadDone { read: u32 },
    /// A piece was admitted and goes over the link.
    WriteAtLink { piece: u32 },
    /// A piece arrives at a unit.
    WriteAtUnit { piece: u32 },
    /// A piece is acknowledged.
    Written { piece: u32 },
    /// A piece has left the device's queue.
    Programmed { piece: u32 },
}

/// A read under way.
struct Read {
    parts_left: u32,
    ticket: u32,
}

/// Bytes of a file that are to be written back.
struct Piece {
    body: Arc<Body>,
    start: u64,
    end: u64,
}

impl Piece {
    fn bytes(&self) -> u64 {
        self.end - self.start
    }

    fn address(&self) -> u64 {
        address(self.body.number, self.start)
    }
}

fn address(file: u32, offset: u64) -> u64 {
    (u64::from(file) * FILE_DISTANCE).saturating_add(offset)
}

/// Work of the device so far.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) reads: u64,
    pub(super) read_bytes: u64,
    pub(super) writes: u64,
    pub(super) write_bytes: u64,
    pub(super) syncs: u64,
    pub(super) busy_nanos: u64,
    pub(super) wait_nanos: u64,
}

/// The device and the page cache in front of it.
pub(super) struct Device {
    timing: Timing,
    random: Xoshiro256PlusPlus,
    /// When each unit has finished its work.
    units: Vec<u64>,
    next_unit: usize,
    link_free_at: u64,
    heads_at: u64,
    requests: Bucket,
    throughput: Bucket,
    reads: Slab<Read>,
    pieces: Slab<Piece>,
    /// Pieces that a sync waits for, in the order of their appends.
    urgent: VecDeque<Piece>,
    /// All other pieces, in the order of their appends.
    behind: VecDeque<Piece>,
    in_flight: u32,
    dirty_bytes: u64,
    /// Tickets of appends that wait until fewer bytes are dirty.
    throttled: VecDeque<u32>,
    pub(super) counts: Counts,
}

impl Device {
    pub(super) fn new(model: &DeviceModel, seed: u64) -> Self {
        let timing = Timing::new(model);
        Self {
            random: Xoshiro256PlusPlus::seed_from_u64(seed),
            units: vec![0; model.units.clamp(1, UNITS_MAX) as usize],
            next_unit: 0,
            link_free_at: 0,
            heads_at: 0,
            requests: Bucket::new(u64::from(model.iops), timing.burst),
            throughput: Bucket::new(model.throughput, timing.burst),
            reads: Slab::default(),
            pieces: Slab::default(),
            urgent: VecDeque::new(),
            behind: VecDeque::new(),
            in_flight: 0,
            dirty_bytes: 0,
            throttled: VecDeque::new(),
            counts: Counts::default(),
            timing,
        }
    }

    /// Returns whether every request is done at once.
    pub(super) fn is_instant(&self) -> bool {
        self.timing.instant
    }

    /// Returns whether a read is done at once, whatever else the device does.
    pub(super) fn reads_at_once(&self) -> bool {
        self.timing.reads_at_once
    }

    /// Counts a read that is done at once.
    pub(super) fn count_read(&mut self, bytes: u64) {
        self.counts.reads += 1;
        self.counts.read_bytes += bytes;
    }

    /// Starts a read. Returns the ticket that it completes.
    pub(super) fn read(
        &mut self,
        agenda: &mut Agenda,
        now: u64,
        file: u32,
        offset: u64,
        bytes: u64,
    ) -> u32 {
        self.count_read(bytes);
        let ticket = agenda.open_ticket();
        let first = offset / self.timing.stripe;
        let last = (offset + bytes - 1) / self.timing.stripe;
        let read = self.reads.insert(Read {
            parts_left: (last - first + 1) as u32,
            ticket,
        });
        for stripe in first..=last {
            let stripe_end = stripe.saturating_add(1).saturating_mul(self.timing.stripe);
            let start = offset.max(stripe * self.timing.stripe);
            let end = (offset + bytes).min(stripe_end);
            let arrival = self.admit(now, end - start) + self.timing.base;
            let unit = (scatter(file).wrapping_add(stripe) % self.units.len() as u64) as usize;
            let latency = self.timing.read.draw(&mut self.random);
            let busy = latency + self.heads(address(file, start), end - start, false);
            let done = self.serve(unit, arrival, busy);
            self.counts.wait_nanos += arrival - now - self.timing.base;
            let bytes = end - start;
            agenda.schedule(done, What::Device(Stage::ReadAtLink { read, bytes }));
        }
        ticket
    }

    /// Registers bytes appended to `body`. Whole pieces of them start on their way to the device.
    pub(super) fn append(&mut self, agenda: &mut Agenda, now: u64, body: &Arc<Body>) {
        let mut state = lock(&body.state);
        let end = state.blob.bytes();
        if self.timing.instant {
            state.queued = end;
            state.issued = end;
            state.written = end;
            return;
        }
        loop {
            let pieces_queued = state.queued / self.timing.write_bytes;
            let piece_end = (pieces_queued + 1).saturating_mul(self.timing.write_bytes);
            if piece_end > end {
                break;
            }
            self.behind.push_back(Piece {
                body: body.clone(),
                start: state.queued,
                end: piece_end,
            });
            self.dirty_bytes += piece_end - state.queued;
            state.queued = piece_end;
        }
        drop(state);
        self.issue(agenda, now);
    }

    /// Returns the ticket that an append has to wait for, if too many bytes are dirty.
    pub(super) fn throttle(&mut self, agenda: &mut Agenda) -> Option<u32> {
        if self.dirty_bytes <= self.timing.dirty_limit {
            return None;
        }
        let ticket = agenda.open_ticket();
        self.throttled.push_back(ticket);
        Some(ticket)
    }

    /// Starts a sync of `body`. Returns the ticket that it completes.
    pub(super) fn sync(&mut self, agenda: &mut Agenda, now: u64, body: &Arc<Body>) -> u32 {
        self.counts.syncs += 1;
        let mut state = lock(&body.state);
        let end = state.blob.bytes();
        if state.issued < state.queued {
            // Otherwise the tail would overtake the file's pieces in the long queue, and the sync
            // would wait for other files.
            let mut others = VecDeque::new();
            for piece in self.behind.drain(..) {
                match Arc::ptr_eq(&piece.body, body) {
                    true => self.urgent.push_back(piece),
                    false => others.push_back(piece),
                }
            }
            self.behind = others;
        }
        if state.queued < end {
            self.urgent.push_back(Piece {
                body: body.clone(),
                start: state.queued,
                end,
            });
            self.dirty_bytes += end - state.queued;
            state.queued = end;
        }
        let ticket = agenda.open_ticket();
        if state.written >= end {
            self.flush(agenda, now, ticket);
        } else {
            state.waiting.push(WaitingSync { up_to: end, ticket });
        }
        drop(state);
        self.issue(agenda, now);
        ticket
    }

    /// Starts a sync of names only. Returns the ticket that it completes.
    pub(super) fn sync_names(&mut self, agenda: &mut Agenda, now: u64) -> u32 {
        self.counts.syncs += 1;
        let ticket = agenda.open_ticket();
        self.flush(agenda, now, ticket);
        ticket
    }

    fn flush(&mut self, agenda: &mut Agenda, now: u64, ticket: u32) {
        let nanos = self.timing.sync.draw(&mut self.random);
        agenda.schedule(now + nanos, What::Ticket(ticket));
    }

    /// Moves a request to its next step.
    pub(super) fn advance(&mut self, agenda: &mut Agenda, now: u64, stage: Stage) {
        match stage {
            Stage::ReadAtLink { read, bytes } => {
                let done = self.transfer(now, bytes, self.timing.read_bandwidth);
                if done > now {
                    agenda.schedule(done, What::Device(Stage::ReadDone { read }));
                } else {
                    self.finish_part(agenda, read);
                }
            }
            Stage::ReadDone { read } => self.finish_part(agenda, read),
            Stage::WriteAtLink { piece } => {
                let bytes = self.piece(piece).bytes();
                let done = self.transfer(now, bytes, self.timing.write_bandwidth);
                agenda.schedule(done, What::Device(Stage::WriteAtUnit { piece }));
            }
            Stage::WriteAtUnit { piece } => self.program(agenda, now, piece),
            Stage::Written { piece } => self.acknowledge(agenda, now, piece),
            Stage::Programmed { piece } => {
                self.pieces.remove(piece);
                self.in_flight -= 1;
                self.issue(agenda, now);
            }
        }
    }

    fn piece(&mut self, number: u32) -> &mut Piece {
        self.pieces
            .get_mut(number)
            .expect("a piece is kept until it has left the queue")
    }

    fn finish_part(&mut self, agenda: &mut Agenda, number: u32) {
        let read = self
            .reads
            .get_mut(number)
            .expect("a read is kept until its last part is there");
        read.parts_left -= 1;
        if read.parts_left == 0 {
            agenda.complete(read.ticket);
            self.reads.remove(number);
        }
    }

    /// Gives pieces to the device until it accepts no more.
    fn issue(&mut self, agenda: &mut Agenda, now: u64) {
        while self.in_flight < self.timing.write_depth {
            let Some(piece) = self.urgent.pop_front().or_else(|| self.behind.pop_front()) else {
                return;
            };
            lock(&piece.body.state).issued = piece.end;
            self.in_flight += 1;
            self.counts.writes += 1;
            self.counts.write_bytes += piece.bytes();
            let admitted = self.admit(now, piece.bytes());
            self.counts.wait_nanos += admitted - now;
            let piece = self.pieces.insert(piece);
            agenda.schedule(admitted, What::Device(Stage::WriteAtLink { piece }));
        }
    }

    /// Chooses the unit of a piece that has reached the device, and when it is acknowledged.
    fn program(&mut self, agenda: &mut Agenda, now: u64, number: u32) {
        let unit = self.next_unit;
        self.next_unit = (unit + 1) % self.units.len();
        let piece = self.piece(number);
        let address = piece.address();
        let bytes = piece.bytes();
        let body = piece.body.clone();
        let busy = self.timing.program + self.heads(address, bytes, true);
        let programmed = self.serve(unit, now, busy);
        let reached = match self.timing.write_cache {
            true => now,
            false => programmed,
        };
        let acknowledged = reached + self.timing.write.draw(&mut self.random);
        // Pieces are acknowledged in the order of the file, so that one number says what is written
        // back.
        let mut state = lock(&body.state);
        state.written_at = state.written_at.max(acknowledged);
        let written_at = state.written_at;
        agenda.schedule(written_at, What::Device(Stage::Written { piece: number }));
        let left = programmed.max(written_at);
        agenda.schedule(left, What::Device(Stage::Programmed { piece: number }));
    }

    fn acknowledge(&mut self, agenda: &mut Agenda, now: u64, number: u32) {
        let piece = self.piece(number);
        let body = piece.body.clone();
        let end = piece.end;
        let bytes = piece.bytes();
        let mut state = lock(&body.state);
        state.written = end;
        state.waiting.retain(|waiting| {
            if waiting.up_to <= end {
                self.flush(agenda, now, waiting.ticket);
            }
            waiting.up_to > end
        });
        self.dirty_bytes -= bytes;
        if self.dirty_bytes <= self.timing.dirty_limit {
            for ticket in self.throttled.drain(..) {
                agenda.complete(ticket);
            }
        }
    }

    /// Returns when a volume lets a request of `bytes` start.
    fn admit(&mut self, now: u64, bytes: u64) -> u64 {
        let request = self.requests.take(now, 1);
        let bytes = self.throughput.take(now, bytes);
        request.max(bytes)
    }

    /// Keeps a unit busy for `nanos` once it is free. Returns when it is done.
    fn serve(&mut self, unit: usize, arrival: u64, nanos: u64) -> u64 {
        let begin = arrival.max(self.units[unit]);
        self.units[unit] = begin + nanos;
        self.counts.wait_nanos += begin - arrival;
        self.counts.busy_nanos += nanos;
        begin + nanos
    }

    /// Sends bytes over the link once it is free. Returns when they have arrived.
    fn transfer(&mut self, now: u64, bytes: u64, bandwidth: u64) -> u64 {
        let nanos = nanos_at(bytes, bandwidth);
        if self.timing.seek_capacity > 0 || nanos == 0 {
            return now;
        }
        let begin = now.max(self.link_free_at);
        self.link_free_at = begin + nanos;
        self.link_free_at
    }

    /// Returns the time that a disk with heads needs to reach a place and to transfer bytes there.
    fn heads(&mut self, address: u64, bytes: u64, write: bool) -> u64 {
        let timing = &self.timing;
        if timing.seek_capacity == 0 {
            return 0;
        }
        let distance = self.heads_at.abs_diff(address);
        self.heads_at = address.saturating_add(bytes);
        let bandwidth = match write {
            true => timing.write_bandwidth,
            false => timing.read_bandwidth,
        };
        let way = match distance {
            0 => 0,
            _ => timing.seek(distance) + timing.rotation / 2,
        };
        way + nanos_at(bytes, bandwidth)
    }
}

/// Whether a read of a device takes no time and waits for nothing.
fn reads_take_no_time(model: &DeviceModel) -> bool {
    let times = [model.base_us, model.rotation_us, model.seek_max_us];
    let limits = [
        model.read_bandwidth,
        model.throughput,
        u64::from(model.iops),
    ];
    model.read_us == Latency::constant(0.0)
        && times.iter().all(|time| *time == 0.0)
        && limits.iter().all(|limit| *limit == 0)
}

/// Spreads file numbers over the units (Knuth's multiplicative hashing, 2^64 / golden ratio).
fn scatter(file: u32) -> u64 {
    u64::from(file).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

/// Returns the nanoseconds that `bytes` take at `bandwidth` bytes a second; 0 is unlimited.
fn nanos_at(bytes: u64, bandwidth: u64) -> u64 {
    bytes
        .saturating_mul(1_000_000_000)
        .checked_div(bandwidth)
        .unwrap_or(0)
}

fn nanos(us: f64) -> u64 {
    (us * 1e3).round() as u64
}

/// The model's numbers in nanoseconds and bytes.
struct Timing {
    stripe: u64,
    base: u64,
    read: Draw,
    write: Draw,
    sync: Draw,
    program: u64,
    write_bytes: u64,
    write_depth: u32,
    write_cache: bool,
    read_bandwidth: u64,
    write_bandwidth: u64,
    seek_capacity: u64,
    seek_min: u64,
    seek_max: u64,
    rotation: u64,
    burst: u64,
    dirty_limit: u64,
    instant: bool,
    reads_at_once: bool,
}

impl Timing {
    fn new(model: &DeviceModel) -> Self {
        // These numbers say how work is divided; they take no time by themselves.
        let timeless = DeviceModel {
            units: model.units,
            stripe: model.stripe,
            write_bytes: model.write_bytes,
            write_depth: model.write_depth,
            write_cache: model.write_cache,
            burst_ms: model.burst_ms,
            dirty_limit: model.dirty_limit,
            ..DeviceModel::NULL
        };
        Self {
            stripe: match model.stripe {
                0 => u64::MAX,
                bytes => bytes,
            },
            base: nanos(model.base_us),
            read: Draw::new(&model.read_us),
            write: Draw::new(&model.write_us),
            sync: Draw::new(&model.sync_us),
            program: nanos(model.program_us),
            write_bytes: model.write_bytes.max(1),
            write_depth: model.write_depth.max(1),
            write_cache: model.write_cache,
            read_bandwidth: model.read_bandwidth,
            write_bandwidth: model.write_bandwidth,
            seek_capacity: model.seek_capacity,
            seek_min: nanos(model.seek_min_us),
            seek_max: nanos(model.seek_max_us),
            rotation: nanos(model.rotation_us),
            burst: nanos(model.burst_ms * 1e3),
            dirty_limit: model.dirty_limit,
            instant: *model == timeless,
            reads_at_once: reads_take_no_time(model),
        }
    }

    /// Returns the time of a seek. It grows with the root of the distance, from the shortest to the
    /// longest.
    fn seek(&self, distance: u64) -> u64 {
        let share = (u128::from(distance) << 32) / u128::from(self.seek_capacity);
        let share = share.min(1 << 32) as u64;
        self.seek_min + ((self.seek_max.saturating_sub(self.seek_min) * share.isqrt()) >> 16)
    }
}

/// Draws a latency in nanoseconds from its quantiles. It uses integers only, so that every machine
/// draws the same.
struct Draw {
    quantiles: [u64; 6],
}

/// The probabilities of the quantiles, in 2^-32.
const PROBABILITIES: [u64; 6] = [
    0,
    1 << 31,
    3_865_470_566,
    4_252_017_623,
    4_290_672_329,
    1 << 32,
];

impl Draw {
    fn new(latency: &Latency) -> Self {
        Self {
            quantiles: latency.quantiles().map(nanos),
        }
    }

    fn draw(&self, random: &mut Xoshiro256PlusPlus) -> u64 {
        if self.quantiles[0] == self.quantiles[5] {
            return self.quantiles[0];
        }
        self.at(random.next_u64() >> 32)
    }

    /// Returns the latency that a share of `probability` x 2^-32 (less than one) stays below.
    fn at(&self, probability: u64) -> u64 {
        let inner = &PROBABILITIES[1..5];
        let above = inner.iter().position(|&next| probability < next);
        let above = above.map_or(5, |index| index + 1);
        let low = self.quantiles[above - 1];
        let high = self.quantiles[above];
        let width = PROBABILITIES[above] - PROBABILITIES[above - 1];
        let share = ((probability - PROBABILITIES[above - 1]) << 32) / width;
        low + ((u128::from(high.saturating_sub(low)) * u128::from(share)) >> 32) as u64
    }
}

/// A token bucket, kept as the time at which the tokens taken so far will have arrived at an even
/// rate.
struct Bucket {
    /// Tokens a second; 0 is unlimited.
    rate: u64,
    /// Nanoseconds' worth of tokens that may accumulate.
    burst: u64,
    paid_until: u64,
}

impl Bucket {
    fn new(rate: u64, burst: u64) -> Self {
        Self {
            rate,
            burst,
            paid_until: 0,
        }
    }

    /// Takes `tokens`. Returns when they may be used.
    fn take(&mut self, now: u64, tokens: u64) -> u64 {
        if self.rate == 0 {
            return now;
        }
        let paid_until = self.paid_until.max(now);
        self.paid_until = paid_until + tokens.saturating_mul(1_000_000_000).div_ceil(self.rate);
        now.max(paid_until.saturating_sub(self.burst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_drawn_between_their_quantiles() {
        let latency = Latency {
            min: 10.0,
            p50: 20.0,
            p90: 60.0,
            p99: 100.0,
            p999: 200.0,
            max: 1000.0,
        };
        let draw = Draw::new(&latency);
        assert_eq!(draw.at(0), 10_000);
        assert_eq!(draw.at(1 << 30), 15_000);
        assert_eq!(draw.at(1 << 31), 20_000);
        assert_eq!(draw.at(PROBABILITIES[2]), 60_000);
        assert_eq!(draw.at(PROBABILITIES[3]), 100_000);
        assert!(draw.at((1 << 32) - 1) <= 1_000_000);
        let mut random = Xoshiro256PlusPlus::seed_from_u64(7);
        let mut drawn: Vec<u64> = (0..100_000).map(|_| draw.draw(&mut random)).collect();
        drawn.sort_unstable();
        // Three standard errors of the median: 3 x 0.5 / sqrt(100,000) of the share, over a slope
        // of 80 us a share.
        let median = drawn[50_000];
        let p99 = drawn[99_000];
        assert!(median.abs_diff(20_000) < 400, "{median}");
        assert!(p99.abs_diff(100_000) < 10_000, "{p99}");
    }

    #[test]
    fn a_seek_grows_with_the_root_of_its_distance() {
        let timing = Timing::new(&DeviceModel {
            seek_capacity: 1_000_000,
            seek_min_us: 500.0,
            seek_max_us: 8500.0,
            ..DeviceModel::NULL
        });
        assert_eq!(timing.seek(1_000_000), 8_500_000);
        assert_eq!(timing.seek(5_000_000), 8_500_000);
        assert_eq!(timing.seek(250_000), 4_500_000);
        assert_eq!(timing.seek(62_500), 2_500_000);
    }

    #[test]
    fn a_bucket_lets_a_burst_through_and_then_its_rate() {
        let mut bucket = Bucket::new(1000, 2_000_000);
        let taken: Vec<u64> = (0..5).map(|_| bucket.take(0, 1)).collect();
        assert_eq!(taken, [0, 0, 0, 1_000_000, 2_000_000]);
        assert_eq!(bucket.take(10_000_000, 3), 10_000_000);
        assert_eq!(bucket.take(10_000_000, 1), 11_000_000);
        assert_eq!(Bucket::new(0, 0).take(5, u64::MAX), 5);
    }
}
