//! Independent work on several threads.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

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

#[cfg(test)]
mod tests {
    use super::*;

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
