//! Independent work on several threads.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::ScopedJoinHandle;

/// How many threads to use by default: one per core.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Does `work` on every item on `jobs` threads, and hands each result with its item's index to
/// `take`, on this thread, as soon as it is ready.
pub(crate) fn for_each<T: Sync, R: Send>(
    items: &[T],
    jobs: usize,
    work: impl Fn(&T) -> R + Sync,
    mut take: impl FnMut(usize, R),
) {
    let next = AtomicUsize::new(0);
    let (sender, results) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, items.len().max(1)) {
            let sender = sender.clone();
            let next = &next;
            let work = &work;
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { break };
                    // The receiver outlives this scope.
                    drop(sender.send((at, work(item))));
                }
            });
        }
        drop(sender);
        for (at, result) in results.iter() {
            take(at, result);
        }
    });
}

/// How many items wait for a worker at most.
const AHEAD: usize = 4;

/// Hands every item that `produce` makes, on this thread, to each of `workers`, on a thread of its
/// own, in order. Returns the workers, and what `produce` returned. The function that `produce`
/// gets waits while a worker is behind.
pub(crate) fn feed<T: Send + Sync, W: Send, R>(
    workers: Vec<W>,
    work: impl Fn(&mut W, &T) + Sync,
    produce: impl FnOnce(&mut dyn FnMut(T)) -> R,
) -> (Vec<W>, R) {
    std::thread::scope(|scope| {
        let mut senders = Vec::new();
        let mut threads = Vec::new();
        for mut worker in workers {
            let (sender, items) = mpsc::sync_channel::<Arc<T>>(AHEAD);
            let work = &work;
            senders.push(sender);
            threads.push(scope.spawn(move || {
                for item in items.iter() {
                    work(&mut worker, &item);
                }
                worker
            }));
        }
        let made = produce(&mut |item| {
            let item = Arc::new(item);
            for sender in &senders {
                // A worker that is gone has panicked: that is found when it is joined.
                drop(sender.send(item.clone()));
            }
        });
        drop(senders);
        let join = |thread: ScopedJoinHandle<W>| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        (threads.into_iter().map(join).collect(), made)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_worker_gets_every_item_in_order() {
        for workers in [0, 1, 3] {
            let workers = vec![Vec::new(); workers];
            let work = |seen: &mut Vec<u32>, item: &u32| seen.push(*item);
            let (workers, made) = feed(workers, work, |hand| {
                (0..50).for_each(hand);
                "made"
            });
            let expected: Vec<u32> = (0..50).collect();
            assert!(workers.iter().all(|seen| *seen == expected));
            assert_eq!(made, "made");
        }
    }

    #[test]
    fn every_item_is_done_once_whatever_the_number_of_threads() {
        for jobs in [0, 1, 3, 100] {
            let mut squares = vec![None; 20];
            let items: Vec<usize> = (0..20).collect();
            for_each(
                &items,
                jobs,
                |item| item * item,
                |at, square| assert_eq!(squares[at].replace(square), None),
            );
            let expected: Vec<_> = items.iter().map(|item| Some(item * item)).collect();
            assert_eq!(squares, expected, "{jobs} jobs");
        }
        for_each(&[0_u8; 0], 2, |_| (), |_, ()| panic!("there is no item"));
    }
}
