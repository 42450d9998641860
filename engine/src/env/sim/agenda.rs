//! What happens when: events by (time, sequence), and the tickets on which futures wait for them.
//!
//! Two events of the same nanosecond happen in the order in which they were scheduled, so a run has one order only.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::task::Waker;

use super::device::Stage;
use super::slab::Slab;

/// What an event does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// Completes a ticket.
    Ticket(u32),
    /// Moves a request of the device on.
    Device(Stage),
}

/// Something that happens at a time. The order is that of the fields; no two events share a sequence number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    time: u64,
    sequence: u64,
    what: What,
}

/// What a future waits for.
enum Ticket {
    Waiting(Option<Waker>),
    Done,
    /// The future is gone; the number is free once the event has come.
    Abandoned,
}

/// The events to come and the tickets that are out.
#[derive(Default)]
pub(super) struct Agenda {
    events: BinaryHeap<Reverse<Event>>,
    tickets: Slab<Ticket>,
    scheduled: u64,
    happened: u64,
    fingerprint: u64,
    /// Those to be woken, in order, once nothing is locked any more.
    pub(super) woken: Vec<Waker>,
}

impl Agenda {
    pub(super) fn schedule(&mut self, time: u64, what: What) {
        self.scheduled += 1;
        self.events.push(Reverse(Event {
            time,
            sequence: self.scheduled,
            what,
        }));
    }

    /// When the next event happens.
    pub(super) fn next_time(&self) -> Option<u64> {
        self.events.peek().map(|Reverse(event)| event.time)
    }

    /// The next event, which has happened with this.
    pub(super) fn next(&mut self) -> Option<(u64, What)> {
        let Reverse(event) = self.events.pop()?;
        self.record(event.time, event.sequence);
        Some((event.time, event.what))
    }

    /// Records an event that nobody had to wait for.
    pub(super) fn happen(&mut self, time: u64) {
        self.scheduled += 1;
        self.record(time, self.scheduled);
    }

    fn record(&mut self, time: u64, sequence: u64) {
        self.happened += 1;
        for word in [time, sequence] {
            // FxHash's step: a rotation, an exclusive or, and the multiplier 2^64 / pi.
            self.fingerprint =
                (self.fingerprint.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
    }

    pub(super) fn happened(&self) -> u64 {
        self.happened
    }

    pub(super) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    pub(super) fn open_ticket(&mut self) -> u32 {
        self.tickets.insert(Ticket::Waiting(None))
    }

    /// A ticket that is completed at `time`.
    pub(super) fn timer(&mut self, time: u64) -> u32 {
        let ticket = self.open_ticket();
        self.schedule(time, What::Ticket(ticket));
        ticket
    }

    pub(super) fn complete(&mut self, number: u32) {
        match self.tickets.get_mut(number) {
            Some(Ticket::Abandoned) => drop(self.tickets.remove(number)),
            Some(ticket) => {
                if let Ticket::Waiting(Some(waker)) = std::mem::replace(ticket, Ticket::Done) {
                    self.woken.push(waker);
                }
            }
            None => {}
        }
    }

    /// True once the ticket is completed, which gives it back; else `waker` is called when it is.
    pub(super) fn poll_ticket(&mut self, number: u32, waker: &Waker) -> bool {
        match self.tickets.get_mut(number) {
            Some(Ticket::Waiting(Some(known))) => known.clone_from(waker),
            Some(Ticket::Waiting(none)) => *none = Some(waker.clone()),
            _ => {
                self.tickets.remove(number);
                return true;
            }
        }
        false
    }

    /// Nobody waits for this ticket any more.
    pub(super) fn abandon_ticket(&mut self, number: u32) {
        match self.tickets.get_mut(number) {
            Some(Ticket::Done) => drop(self.tickets.remove(number)),
            Some(ticket) => *ticket = Ticket::Abandoned,
            None => {}
        }
    }
}
