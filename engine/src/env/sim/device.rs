//! The model of a device, in whole nanoseconds.
//!
//! ```text
//! read:    admission -> base -> unit (waits its turn; read) -> link (waits its turn; transfer) -> done
//! append:  page cache: done, unless more than the dirty limit waits to be written back
//! behind:  piece -> admission -> link -> unit (program; the next in turn) -> the device takes another piece
//!                                    \-> acknowledged: written back
//! sync:    the file's pieces go first; all acknowledged -> sync -> done
//! ```
//!
//! - A unit and the link are servers that take requests in the order in which they arrive. A read is divided into
//!   stripes, and the stripes of a file go round the units from a place that its number gives. Written pieces go to
//!   the units in turn, as a flash translation layer places them.
//! - A disk with heads is one unit that also transfers: seek by distance, half a rotation, transfer. File `n` starts
//!   at `n` x 64 MiB; going on where the heads are costs neither seek nor rotation.
//! - A volume admits so many requests and bytes a second (token buckets).
//! - Reads pass the page cache by, as direct I/O does, except for bytes not yet written back, which are in memory.
//!
//! Not modelled: garbage collection and wear, merging of neighbouring requests, metadata.

use std::collections::VecDeque;
use std::sync::Arc;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::agenda::{Agenda, What};
use super::fs::Body;
use super::profile::{DeviceModel, Latency, UNITS_MAX};
use super::slab::Slab;
use crate::env::lock;

/// Where on a disk with heads the next file starts.
const FILE_DISTANCE: u64 = 64 << 20;

/// What a request does next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// A part of a read leaves its unit for the link, with this many bytes.
    ReadAtLink { read: u32, bytes: u64 },
    /// A part of a read is there.
    ReadDone { read: u32 },
    /// A piece was admitted and goes over the link.
    WriteAtLink { piece: u32 },
    /// A piece goes to a unit.
    WriteAtUnit { piece: u32 },
    /// A piece is acknowledged.
    Written { piece: u32 },
    /// A piece has left the device's queue.
    Programmed { piece: u32 },
}

/// A read on its way.
struct Read {
    parts_left: u32,
    ticket: u32,
}

/// Bytes of a file to be written back.
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

/// What the device has done.
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
    /// When each unit has nothing left to do.
    units: Vec<u64>,
    next_unit: usize,
    link_free_at: u64,
    heads_at: u64,
    requests: Bucket,
    throughput: Bucket,
    reads: Slab<Read>,
    pieces: Slab<Piece>,
    /// Pieces that a sync waits for, and the others; each in the order in which they were appended.
    urgent: VecDeque<Piece>,
    behind: VecDeque<Piece>,
    in_flight: u32,
    dirty_bytes: u64,
    /// Tickets of appends that wait for the dirty bytes to shrink.
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

    /// Whether nothing ever has to be waited for.
    pub(super) fn is_instant(&self) -> bool {
        self.timing.instant
    }

    /// Starts a read; the answer is the ticket it completes.
    pub(super) fn read(
        &mut self,
        agenda: &mut Agenda,
        now: u64,
        file: u32,
        offset: u64,
        bytes: u64,
    ) -> u32 {
        self.counts.reads += 1;
        self.counts.read_bytes += bytes;
        let ticket = agenda.open_ticket();
        let (first, last) = (
            offset / self.timing.stripe,
            (offset + bytes - 1) / self.timing.stripe,
        );
        let read = self.reads.insert(Read {
            parts_left: (last - first + 1) as u32,
            ticket,
        });
        for stripe in first..=last {
            let start = offset.max(stripe * self.timing.stripe);
            let end =
                (offset + bytes).min(stripe.saturating_add(1).saturating_mul(self.timing.stripe));
            let arrival = self.admit(now, end - start) + self.timing.base;
            let unit = (scatter(file).wrapping_add(stripe) % self.units.len() as u64) as usize;
            let busy = self.timing.read.draw(&mut self.random)
                + self.heads(address(file, start), end - start, false);
            let done = self.serve(unit, arrival, busy);
            self.counts.wait_nanos += arrival - now - self.timing.base;
            agenda.schedule(
                done,
                What::Device(Stage::ReadAtLink {
                    read,
                    bytes: end - start,
                }),
            );
        }
        ticket
    }

    /// Takes note of bytes appended to `body`: whole pieces of them start on their way to the device.
    pub(super) fn append(&mut self, agenda: &mut Agenda, now: u64, body: &Arc<Body>) {
        let mut state = lock(&body.state);
        let end = state.blob.bytes();
        if self.timing.instant {
            (state.queued, state.issued, state.written) = (end, end, end);
            return;
        }
        loop {
            let piece_end = (state.queued / self.timing.write_bytes + 1)
                .saturating_mul(self.timing.write_bytes);
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

    /// The ticket an append has to wait for, if there is too much to be written back.
    pub(super) fn throttle(&mut self, agenda: &mut Agenda) -> Option<u32> {
        if self.dirty_bytes <= self.timing.dirty_limit {
            return None;
        }
        let ticket = agenda.open_ticket();
        self.throttled.push_back(ticket);
        Some(ticket)
    }

    /// Starts a sync of `body`; the answer is the ticket it completes.
    pub(super) fn sync(&mut self, agenda: &mut Agenda, now: u64, body: &Arc<Body>) -> u32 {
        self.counts.syncs += 1;
        let mut state = lock(&body.state);
        let end = state.blob.bytes();
        if state.issued < state.queued {
            // What stands in the long queue would be overtaken by the tail otherwise, and the sync wait for others.
            let of_body = |piece: &Piece| Arc::ptr_eq(&piece.body, body);
            let (own, others): (VecDeque<_>, VecDeque<_>) =
                self.behind.drain(..).partition(of_body);
            self.behind = others;
            self.urgent.extend(own);
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
            state.waiting.push((end, ticket));
        }
        drop(state);
        self.issue(agenda, now);
        ticket
    }

    /// A sync of names only.
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

    /// Moves a request on.
    pub(super) fn advance(&mut self, agenda: &mut Agenda, now: u64, stage: Stage) {
        match stage {
            Stage::ReadAtLink { read, bytes } => {
                match self.transfer(now, bytes, self.timing.read_bandwidth) {
                    done if done > now => {
                        agenda.schedule(done, What::Device(Stage::ReadDone { read }))
                    }
                    _ => self.finish_part(agenda, read),
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

    /// Gives the device as many pieces as it takes.
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

    /// A piece has reached the device: finds its unit, and when it is acknowledged.
    fn program(&mut self, agenda: &mut Agenda, now: u64, number: u32) {
        let unit = self.next_unit;
        self.next_unit = (unit + 1) % self.units.len();
        let (address, bytes) = (self.piece(number).address(), self.piece(number).bytes());
        let busy = self.timing.program + self.heads(address, bytes, true);
        let programmed = self.serve(unit, now, busy);
        let acknowledged = if self.timing.write_cache {
            now
        } else {
            programmed
        };
        let acknowledged = acknowledged + self.timing.write.draw(&mut self.random);
        // In the order of the file, so that "written back so far" is one number.
        let body = self.piece(number).body.clone();
        let mut state = lock(&body.state);
        state.written_at = state.written_at.max(acknowledged);
        agenda.schedule(
            state.written_at,
            What::Device(Stage::Written { piece: number }),
        );
        agenda.schedule(
            programmed.max(state.written_at),
            What::Device(Stage::Programmed { piece: number }),
        );
    }

    fn acknowledge(&mut self, agenda: &mut Agenda, now: u64, number: u32) {
        let piece = self.piece(number);
        let (body, end, bytes) = (piece.body.clone(), piece.end, piece.bytes());
        let mut state = lock(&body.state);
        state.written = end;
        state.waiting.retain(|&(up_to, ticket)| {
            if up_to <= end {
                self.flush(agenda, now, ticket);
            }
            up_to > end
        });
        self.dirty_bytes -= bytes;
        if self.dirty_bytes <= self.timing.dirty_limit {
            self.throttled
                .drain(..)
                .for_each(|ticket| agenda.complete(ticket));
        }
    }

    /// When a volume lets a request of `bytes` begin.
    fn admit(&mut self, now: u64, bytes: u64) -> u64 {
        self.requests
            .take(now, 1)
            .max(self.throughput.take(now, bytes))
    }

    /// Keeps a unit busy for `nanos` once it is free; answers when it is done.
    fn serve(&mut self, unit: usize, arrival: u64, nanos: u64) -> u64 {
        let begin = arrival.max(self.units[unit]);
        self.units[unit] = begin + nanos;
        self.counts.wait_nanos += begin - arrival;
        self.counts.busy_nanos += nanos;
        begin + nanos
    }

    /// Sends bytes over the link once it is free; answers when they are there.
    fn transfer(&mut self, now: u64, bytes: u64, bandwidth: u64) -> u64 {
        let nanos = nanos_at(bytes, bandwidth);
        if self.timing.seek_capacity > 0 || nanos == 0 {
            return now;
        }
        let begin = now.max(self.link_free_at);
        self.link_free_at = begin + nanos;
        self.link_free_at
    }

    /// What a disk with heads needs to get to a place and to move bytes there.
    fn heads(&mut self, address: u64, bytes: u64, write: bool) -> u64 {
        let timing = &self.timing;
        if timing.seek_capacity == 0 {
            return 0;
        }
        let distance = self.heads_at.abs_diff(address);
        self.heads_at = address.saturating_add(bytes);
        let bandwidth = if write {
            timing.write_bandwidth
        } else {
            timing.read_bandwidth
        };
        let way = if distance == 0 {
            0
        } else {
            timing.seek(distance) + timing.rotation / 2
        };
        way + nanos_at(bytes, bandwidth)
    }
}

/// Spreads file numbers over the units (Knuth's multiplicative hashing, 2^64 / golden ratio).
fn scatter(file: u32) -> u64 {
    u64::from(file).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

/// Nanoseconds that `bytes` take at so many bytes a second; 0 is unlimited.
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
}

impl Timing {
    fn new(model: &DeviceModel) -> Self {
        // What is taken over says how work is divided, and takes no time by itself.
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
            stripe: if model.stripe == 0 {
                u64::MAX
            } else {
                model.stripe
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
        }
    }

    /// A seek grows with the root of its distance, from the shortest to the longest.
    fn seek(&self, distance: u64) -> u64 {
        let share =
            ((u128::from(distance) << 32) / u128::from(self.seek_capacity)).min(1 << 32) as u64;
        self.seek_min + ((self.seek_max.saturating_sub(self.seek_min) * share.isqrt()) >> 16)
    }
}

/// Draws a latency in nanoseconds by its quantiles, in integers, so that every machine draws the same.
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

    /// The latency below which lies a share of `probability` x 2^-32, which is below one.
    fn at(&self, probability: u64) -> u64 {
        let above = PROBABILITIES[1..5]
            .iter()
            .position(|&next| probability < next)
            .map_or(5, |index| index + 1);
        let (low, high) = (self.quantiles[above - 1], self.quantiles[above]);
        let width = PROBABILITIES[above] - PROBABILITIES[above - 1];
        let share = ((probability - PROBABILITIES[above - 1]) << 32) / width;
        low + ((u128::from(high.saturating_sub(low)) * u128::from(share)) >> 32) as u64
    }
}

/// A token bucket, as the time at which the tokens taken so far will have come in at an even rate.
struct Bucket {
    /// Tokens a second; 0 is unlimited.
    rate: u64,
    /// Nanoseconds' worth of tokens that may pile up.
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

    /// Takes `tokens`; answers when they may be used.
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
        assert_eq!(
            [draw.at(0), draw.at(1 << 30), draw.at(1 << 31)],
            [10_000, 15_000, 20_000]
        );
        assert_eq!(
            [draw.at(PROBABILITIES[2]), draw.at(PROBABILITIES[3])],
            [60_000, 100_000]
        );
        assert!(draw.at((1 << 32) - 1) <= 1_000_000);
        let mut random = Xoshiro256PlusPlus::seed_from_u64(7);
        let mut drawn: Vec<u64> = (0..100_000).map(|_| draw.draw(&mut random)).collect();
        drawn.sort_unstable();
        // Three standard errors of the median: 3 x 0.5 / sqrt(100,000) of the share, over a slope of 80 us a share.
        assert!(drawn[50_000].abs_diff(20_000) < 400, "{}", drawn[50_000]);
        assert!(
            drawn[99_000].abs_diff(100_000) < 10_000,
            "{}",
            drawn[99_000]
        );
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
