//! The transfers of one connection, by channel number.
//!
//! Numbers only grow, so that a packet or ack that crossed a `drop`, a `refuse` or the last ack is told from one that was never
//! allowed: at or below the highest number and not open is late, and dropped without a word; above it is a violation.

use std::collections::BTreeMap;

use super::Violation;
use crate::ids::TransferId;
use crate::limits::MAX_OPEN_TRANSFERS;

/// The open transfers of one connection; `T` is what the shell keeps of each.
#[derive(Debug, Clone)]
pub struct Channels<T> {
    open: BTreeMap<TransferId, T>,
    highest: TransferId,
}

impl<T> Default for Channels<T> {
    fn default() -> Self {
        Self { open: BTreeMap::new(), highest: TransferId(0) }
    }
}

impl<T> Channels<T> {
    /// The number for the next `open` of the side that opens; none when they are used up and the connection must be renewed.
    pub fn next_id(&self) -> Option<TransferId> {
        self.highest.0.checked_add(1).map(TransferId)
    }

    /// Binds a number. It must be larger than every one before, the first at least 1.
    pub fn open(&mut self, transfer: TransferId, value: T) -> Result<(), Violation> {
        if transfer <= self.highest {
            return Err(Violation::NotNewer { transfer, highest: self.highest });
        }
        if self.open.len() >= MAX_OPEN_TRANSFERS {
            return Err(Violation::TooManyOpen { transfer, most: MAX_OPEN_TRANSFERS });
        }
        self.highest = transfer;
        self.open.insert(transfer, value);
        Ok(())
    }

    /// What a packet or ack with this number is for: none where it is late.
    pub fn find(&mut self, transfer: TransferId) -> Result<Option<&mut T>, Violation> {
        if transfer.0 == 0 || transfer > self.highest {
            return Err(Violation::NeverOpened { transfer });
        }
        Ok(self.open.get_mut(&transfer))
    }

    /// Ends a transfer: what still comes for it is late.
    pub fn close(&mut self, transfer: TransferId) -> Option<T> {
        self.open.remove(&transfer)
    }

    /// The open transfers, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (TransferId, &T)> {
        self.open.iter().map(|(&transfer, value)| (transfer, value))
    }

    /// The open transfers, oldest first.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (TransferId, &mut T)> {
        self.open.iter_mut().map(|(&transfer, value)| (transfer, value))
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_is_not_wrong_and_wrong_is_not_late() {
        let mut channels = Channels::default();
        assert_eq!(channels.next_id(), Some(TransferId(1)));
        assert_eq!(channels.open(TransferId(3), "a"), Ok(()));
        assert_eq!(channels.find(TransferId(3)), Ok(Some(&mut "a")));
        assert_eq!(channels.find(TransferId(2)), Ok(None), "skipped numbers count as late");
        assert_eq!(channels.find(TransferId(4)), Err(Violation::NeverOpened { transfer: TransferId(4) }));
        assert_eq!(channels.find(TransferId(0)), Err(Violation::NeverOpened { transfer: TransferId(0) }));
        assert_eq!(channels.close(TransferId(3)), Some("a"));
        assert_eq!(channels.find(TransferId(3)), Ok(None));
        assert!(matches!(channels.open(TransferId(3), "b"), Err(Violation::NotNewer { .. })));
        assert_eq!(channels.next_id(), Some(TransferId(4)));
    }

    #[test]
    fn the_number_of_open_transfers_is_bounded() {
        let mut channels = Channels::default();
        for _ in 0..MAX_OPEN_TRANSFERS {
            let id = channels.next_id().unwrap();
            channels.open(id, ()).unwrap();
        }
        let id = channels.next_id().unwrap();
        assert!(matches!(channels.open(id, ()), Err(Violation::TooManyOpen { .. })));
        assert!(channels.close(TransferId(1)).is_some() && channels.open(id, ()).is_ok());
        channels.highest = TransferId(u32::MAX);
        assert_eq!(channels.next_id(), None);
    }
}
