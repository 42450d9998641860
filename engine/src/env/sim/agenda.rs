//! Events by (time, sequence), and the tickets on which futures wait for them.
//!
//! Two events of the same nanosecond happen in the order in which they were scheduled, so a run has
//! only one order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::task::Waker;

use super::device::Stage;
use super::slab::Slab;

/// Effect of an event.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// Completes a ticket.
    Ticket(u32),
    /// Moves a request of the device on.
    Device(Stage),
}

/// An event at a time. Events are ordered by their fields; no two share a sequence number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    time: u64,
    sequence: u64,
    what: What,
}

/// State of a ticket, which a future waits for.
enum Ticket {
    Waiting(Option<Waker>),
    Done,
    /// The future was dropped. The number is free once the event has happened.
    Abandoned,
}

/// The events to come and the tickets in use.
#[derive(Default)]
pub(super) struct Agenda {
    events: BinaryHeap<Reverse<Event>>,
    tickets: Slab<Ticket>,
    scheduled: u64,
    happened: u64,
    fingerprint: u64,
    /// Wakers to call, in order, once no lock is held.
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

    /// Returns the time of the next event.
    pub(super) fn next_time(&self) -> Option<u64> {
        self.events.peek().map(|Reverse(event)| event.time)
    }

    /// Removes the next event, which has then happened, and returns its time and effect.
    pub(super) fn next(&mut self) -> Option<(u64, What)> {
        let Reverse(event) = self.events.pop()?;
        self.record(event.time, event.sequence);
        Some((event.time, event.what))
    }

    /// Records an event that nobody waited for.
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

    /// Opens a ticket that is completed at `time`.
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

    /// Returns true once the ticket is completed, and frees it. Otherwise `waker` is called later.
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

    /// States that nobody waits for this ticket any more.
    pub(super) fn abandon_ticket(&mut self, number: u32) {
        match self.tickets.get_mut(number) {
            Some(Ticket::Done) => drop(self.tickets.remove(number)),
            Some(ticket) => *ticket = Ticket::Abandoned,
            None => {}
        }
    }
}
