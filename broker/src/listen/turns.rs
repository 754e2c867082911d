//! Who may cost the processor a handshake now: so many at once, each address only a share of them, and nobody for long.
//!
//! A peer that says nothing has no turn, and one that stops in the middle loses it: whatever a stranger does, the next in the
//! line is served soon.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::addresses::subscriber;
use crate::limits::{HANDSHAKE_TURN, HANDSHAKE_TURNS_PER_ADDRESS, MAX_HANDSHAKES};

/// The line of those that want to shake hands.
#[derive(Debug)]
pub(crate) struct Turns {
    all: Arc<Semaphore>,
    by_address: Mutex<HashMap<IpAddr, Arc<Semaphore>>>,
}

/// A place among those that shake hands.
#[derive(Debug)]
pub(super) struct Turn {
    _all: OwnedSemaphorePermit,
    _of_address: Option<OfAddress>,
}

/// A place among those of one address; the address is forgotten with its last one.
#[derive(Debug)]
struct OfAddress {
    turns: Arc<Turns>,
    key: IpAddr,
    permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { all: Arc::new(Semaphore::new(MAX_HANDSHAKES)), by_address: Mutex::default() })
    }

    /// Waits for a turn. `address` is none where it stands for many, behind a proxy.
    pub(super) async fn take(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Turn> {
        let of_address = match address {
            Some(ip) => Some(self.share(subscriber(ip)).await?),
            None => None,
        };
        let all = self.all.clone().acquire_owned().await.ok()?;
        Some(Turn { _all: all, _of_address: of_address })
    }

    async fn share(self: &Arc<Self>, key: IpAddr) -> Option<OfAddress> {
        let share = {
            let mut shares = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(Semaphore::new(HANDSHAKE_TURNS_PER_ADDRESS));
            shares.entry(key).or_insert_with(new).clone()
        };
        let mut place = OfAddress { turns: self.clone(), key, permit: None };
        place.permit = Some(share.acquire_owned().await.ok()?);
        Some(place)
    }
}

impl Drop for OfAddress {
    fn drop(&mut self) {
        drop(self.permit.take());
        let mut shares = self.turns.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        // One count is the table's own; whoever waits or has a permit holds another.
        if shares.get(&self.key).is_some_and(|share| Arc::strong_count(share) == 1) {
            shares.remove(&self.key);
        }
    }
}

/// Does the work while it has its turn, and goes on without when that has lasted too long.
pub(super) async fn within<T>(turn: Turn, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = tokio::time::sleep(HANDSHAKE_TURN) => drop(turn),
    }
    work.await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ip(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_leaves_room_for_others_and_is_forgotten() {
        let turns = Turns::new();
        let mut held = Vec::new();
        for _ in 0..HANDSHAKE_TURNS_PER_ADDRESS {
            held.push(turns.take(Some(ip(1))).await.unwrap());
        }
        let one_more = tokio::time::timeout(Duration::from_secs(60), turns.take(Some(ip(1)))).await;
        assert!(one_more.is_err());
        drop(turns.take(Some(ip(2))).await.unwrap());
        drop(turns.take(None).await.unwrap());
        assert_eq!(turns.by_address.lock().unwrap().len(), 1);
        held.pop();
        drop(turns.take(Some(ip(1))).await.unwrap());
        drop(held);
        assert!(turns.by_address.lock().unwrap().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_stops_in_the_middle_loses_its_turn_and_may_go_on() {
        let turns = Turns::new();
        let mut stopped = tokio::task::JoinSet::new();
        for n in 0..20 {
            for _ in 0..HANDSHAKE_TURNS_PER_ADDRESS {
                let turns = turns.clone();
                stopped.spawn(async move {
                    let turn = turns.take(Some(ip(n))).await.unwrap();
                    within(turn, tokio::time::sleep(Duration::from_secs(600))).await;
                });
            }
        }
        tokio::task::yield_now().await;
        let since = tokio::time::Instant::now();
        drop(turns.take(Some(ip(99))).await.unwrap());
        let rounds = (20 * HANDSHAKE_TURNS_PER_ADDRESS).div_ceil(MAX_HANDSHAKES) as u32;
        assert!(since.elapsed() <= HANDSHAKE_TURN * rounds, "{:?}", since.elapsed());
        while stopped.join_next().await.is_some() {}
    }
}
