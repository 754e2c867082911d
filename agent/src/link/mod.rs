//! The connection: one socket to the broker, dialled from here again and again, with the rules of liveness.
//!
//! ```text
//!  dialling ──▶ greeting (hello, welcome) ──▶ session ──LinkEvent──▶ desk
//!     ▲                                         │ ▲──LinkCommand── desk, report, print
//!     └───────────── how it was lost ───────────┘
//! ```

mod dialling;
mod greeting;
mod looks;
mod network;
mod session;
mod token;

use std::net::SocketAddr;

use bytes::Bytes;
use inkwire_protocol::close::CloseCode;
use inkwire_protocol::ids::{AckReceipt, Attempt, FactSeq, JobId, StoreEpoch, TransferId};
use inkwire_protocol::job::Request;
use inkwire_protocol::message::{Ack, FactMessage, Open, Refuse, Welcome};
use inkwire_protocol::packet::Header;

use serde::{Deserialize, Serialize};

pub(crate) use dialling::Link;

use crate::spool::JobKey;

/// Where the connection stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Connection {
    /// A session is live.
    Connected {
        /// Since when, in the broker's time as far as it is known.
        since_ms: u64,
        /// Where the broker sees this agent.
        observed_endpoint: SocketAddr,
        /// How many sessions it has begun.
        epoch: u64,
    },
    /// There is none; it is tried again.
    Trying {
        /// Since when, in the broker's time as far as it is known.
        since_ms: u64,
        /// What hinders, where something answered.
        trouble: Option<String>,
    },
}

/// Counts the sessions of this process: what is said in one that is over is not sent in the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct SessionNumber(pub(crate) u64);

/// What the connection says.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// A session has begun.
    Online(SessionNumber, Box<Welcome>),
    /// A transfer begins.
    Open(Box<Open>),
    /// A packet, whose checksum is right.
    Packet(Header, Bytes),
    /// A sender has credit but nothing to send (`true`), or goes on.
    Blocked(TransferId, bool),
    /// An attempt is to be thrown away.
    Drop(JobKey, String),
    /// Something is asked of a job.
    Request(JobKey, Request),
    /// The broker has committed a fact.
    FactAck { key: JobKey, fact_seq: FactSeq, facts_acked: u64, receipt: Option<AckReceipt> },
    /// The session is over.
    Offline,
}

/// What is to be said in a session.
#[derive(Debug)]
pub(crate) struct LinkCommand {
    pub(crate) session: SessionNumber,
    pub(crate) what: Say,
}

/// What is to be said.
#[derive(Debug)]
pub(crate) enum Say {
    Ack(Ack),
    Refuse(Box<Refuse>),
    Fact(Box<FactMessage>),
    Reconciled(StoreEpoch),
    Progress {
        job: JobId,
        attempt: Attempt,
        delivered_bytes: u64,
    },
    /// The broker broke the protocol: say so and begin anew.
    Close {
        code: CloseCode,
        detail: String,
    },
}
