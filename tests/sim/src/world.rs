//! Broker, PCs, apps and what befalls them. Everything here happens between tasks, at one instant of virtual time.

mod broker;
mod judge;
mod pc;
mod play;

pub(crate) use pc::agent_of;
pub(crate) use play::play;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use inkwire_protocol::ids::{AccountId, EventOffset, JobId};
use uuid::Uuid;

use self::broker::Broker;
use self::pc::Pc;
use crate::broker::jobs::Wanted;
use crate::disk::Disk;
use crate::watch::Breach;

/// What a run came to.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    pub(crate) breaches: Vec<Breach>,
    /// What happened, where it was asked for.
    pub lines: Vec<String>,
    pub steps: u64,
    pub packets: u64,
    pub facts: u64,
    pub jobs: u64,
    /// Virtual.
    pub seconds: f64,
    /// Of everything that was said: the same story comes to the same number.
    pub trace: u64,
}

impl Verdict {
    /// The first thing that must never be.
    pub fn broken(&self) -> Option<(&'static str, &str)> {
        self.breaches.first().map(|breach| (breach.rule, breach.what.as_str()))
    }
}

/// A job that an app was told is accepted.
#[derive(Debug, Clone)]
struct Accepted {
    id: JobId,
    account: AccountId,
    agent: usize,
    qty: u32,
    document: Bytes,
    /// In the order of acceptance.
    turn: u64,
}

struct World {
    broker_disk: Arc<Disk>,
    broker: Option<Broker>,
    pcs: Vec<Pc>,
    wanted: Vec<(usize, Wanted)>,
    accepted: BTreeMap<usize, Accepted>,
    /// Jobs of which a copied disk may know: two PCs may print them.
    doubtful: BTreeSet<JobId>,
    store_copy: Option<(Arc<Disk>, u64)>,
    /// A backup of the store was put back with the file beside it: only the agents' ledgers can tell.
    unsaid_restore: bool,
    /// How far the log of each account was read.
    read: BTreeMap<AccountId, EventOffset>,
    turn: u64,
    steps: u64,
}

fn account(number: usize) -> AccountId {
    AccountId::from_uuid(Uuid::from_u128(1 + number as u128 % 2))
}
