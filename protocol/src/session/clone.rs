//! One identity on two PCs. Each start of an agent's process has a random instance: A, then B is a restart, but A, B and A
//! again is a clone, for the process A was alive all the time.

use serde::{Deserialize, Serialize};

use crate::ids::InstanceId;
use crate::limits::INSTANCES_KEPT;

/// The last instances of one agent, as the broker's store keeps them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Instances(Vec<InstanceId>);

/// What a `hello` says about the agent's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Seen {
    /// The first that is known of.
    First,
    /// The same process, on another connection.
    Same,
    /// The agent was started again.
    Restarted,
    /// Two processes alternate: close both with `clone` and tell an operator. Nothing was recorded.
    Clone {
        /// The other process.
        other: InstanceId,
    },
}

impl Instances {
    /// Takes the instance of a `hello`, after its dial token was found good.
    pub fn see(&mut self, instance: InstanceId) -> Seen {
        match self.0.last() {
            Some(&last) if last == instance => return Seen::Same,
            Some(&last) if self.0.contains(&instance) => return Seen::Clone { other: last },
            Some(_) | None => {}
        }
        if self.0.len() >= INSTANCES_KEPT {
            self.0.drain(..=self.0.len() - INSTANCES_KEPT);
        }
        self.0.push(instance);
        if self.0.len() == 1 { Seen::First } else { Seen::Restarted }
    }

    /// An operator released the agent after a clone: whoever comes first is taken for the right one, and the next alternation
    /// is found again.
    pub fn release(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn instance(number: u128) -> InstanceId {
        InstanceId::from_uuid(Uuid::from_u128(number))
    }

    #[test]
    fn only_alternation_is_a_clone() {
        let mut seen = Instances::default();
        assert_eq!(seen.see(instance(1)), Seen::First);
        assert_eq!(seen.see(instance(1)), Seen::Same);
        assert_eq!(seen.see(instance(2)), Seen::Restarted);
        assert_eq!(seen.see(instance(2)), Seen::Same);
        assert_eq!(seen.see(instance(1)), Seen::Clone { other: instance(2) });
        assert_eq!(seen.see(instance(2)), Seen::Same, "a clone's hello is not recorded");
        seen.release();
        assert_eq!(seen.see(instance(1)), Seen::First);
    }

    #[test]
    fn the_memory_is_bounded_and_survives_the_store() {
        let mut seen = Instances::default();
        for number in 0..100 {
            assert!(matches!(seen.see(instance(number)), Seen::First | Seen::Restarted));
        }
        assert_eq!(seen.0.len(), INSTANCES_KEPT);
        let text = serde_json::to_string(&seen).unwrap();
        let mut again: Instances = serde_json::from_str(&text).unwrap();
        assert_eq!(again, seen);
        assert_eq!(again.see(instance(95)), Seen::Clone { other: instance(99) });
        assert_eq!(again.see(instance(3)), Seen::Restarted, "long forgotten");
    }
}
