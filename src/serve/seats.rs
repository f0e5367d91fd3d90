//! Places for connections. Who comes when all are taken gets the place of whoever has idled longest, so that ten thousand
//! that only sit there keep nobody out.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// So many, and no more.
pub(super) struct Seats {
    places: Arc<Semaphore>,
    idle: Mutex<Idle>,
}

/// Who waits for a request, by since when.
#[derive(Default)]
struct Idle {
    turn: u64,
    waiting: BTreeMap<u64, CancellationToken>,
}

impl Seats {
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { places: Arc::new(Semaphore::new(most)), idle: Mutex::default() })
    }

    /// A place; nothing only when there are none any more. Where all are taken by somebody who is being answered, it waits.
    pub async fn take(self: &Arc<Self>) -> Option<Arc<Seat>> {
        let place = match self.places.clone().try_acquire_owned() {
            Ok(place) => place,
            Err(_) => {
                if let Some((_, leave)) = self.idle.lock().waiting.pop_first() {
                    leave.cancel();
                }
                self.places.clone().acquire_owned().await.ok()?
            }
        };
        let seat = Seat { seats: self.clone(), leave: CancellationToken::new(), turn: Mutex::new(0), _place: place };
        seat.rest();
        Some(Arc::new(seat))
    }
}

/// One place. It is free again when this is dropped.
pub(super) struct Seat {
    seats: Arc<Seats>,
    /// Somebody else is to sit here.
    pub leave: CancellationToken,
    turn: Mutex<u64>,
    _place: OwnedSemaphorePermit,
}

impl Seat {
    /// Until what is given is dropped, nobody else gets the place.
    pub fn busy(self: &Arc<Self>) -> Busy {
        self.seats.idle.lock().waiting.remove(&self.turn.lock());
        Busy(self.clone())
    }

    fn rest(&self) {
        let mut idle = self.seats.idle.lock();
        idle.turn += 1;
        let turn = idle.turn;
        idle.waiting.insert(turn, self.leave.clone());
        *self.turn.lock() = turn;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.idle.lock().waiting.remove(self.turn.get_mut());
    }
}

/// A request is being answered.
pub(super) struct Busy(Arc<Seat>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.rest();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_idles_longest_makes_room_and_whoever_is_answered_does_not() {
        let seats = Seats::new(2);
        let (first, second) = (seats.take().await.expect("free"), seats.take().await.expect("free"));
        let answered = first.busy();
        let (third, ()) = tokio::join!(seats.take(), async {
            second.leave.cancelled().await;
            drop(second);
        });
        let third = third.expect("freed");
        assert!(!first.leave.is_cancelled());
        drop(answered);
        let (fourth, ()) = tokio::join!(seats.take(), async {
            third.leave.cancelled().await;
            drop(third);
        });
        assert!(fourth.is_some() && !first.leave.is_cancelled(), "it has rested for the shortest time");
    }
}
