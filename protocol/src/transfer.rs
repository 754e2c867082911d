//! One document on its way over one leg: app to broker, or broker to agent.
//!
//! [`Sender`] and [`Receiver`] know nothing of sockets, files or jobs. The sender keeps only its place; the
//! receiver grants the window and says what is durable. A shell drives them:
//!
//! ```text
//! sender shell                              receiver shell
//!   next() -> Plan ── read, checksum, send ──▶ on_packet() -> write at offset
//!   on_ack()       ◀──────── Ack ───────────── on_synced() after fdatasync
//! ```

mod channels;
mod layout;
mod prefix;
mod receiver;
mod sender;
mod window;

pub use channels::Channels;
pub use layout::{Layout, LayoutError, Slice};
pub use prefix::{CRC_ENTRY_BYTES, Prefix, crc_entry, crc_offset};
pub use receiver::{PacketVerdict, Receiver};
pub use sender::{AckEffect, Plan, Sender};
pub use window::{Window, fair_share};

use crate::close::CloseCode;
use crate::ids::TransferId;

/// What a peer did that the transfer's rules forbid. It costs the peer its connection, and no document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A packet that is not the next one.
    #[error("packet {got} came where {expected} was due")]
    OutOfOrder {
        /// The packet that came.
        got: u32,
        /// The packet that was due.
        expected: u32,
    },
    /// A packet beyond what was granted.
    #[error("packet {got} is outside the window, which ends before {limit}")]
    OutOfWindow {
        /// The packet that came.
        got: u32,
        /// The first packet not granted.
        limit: u32,
    },
    /// A packet whose size or flag does not fit the document.
    #[error("packet {seq} has {got} bytes (last: {last}), the document wants {expected}")]
    WrongSize {
        /// The packet.
        seq: u32,
        /// Its data bytes.
        got: usize,
        /// What the layout says.
        expected: u32,
        /// Whether it was flagged last.
        last: bool,
    },
    /// A packet for another printer than `open` said.
    #[error("packet {seq} names another printer than its transfer")]
    WrongPrinter {
        /// The packet.
        seq: u32,
    },
    /// An ack of something that was never sent.
    #[error("ack of packet {next_seq}, but only {sent} were sent")]
    AckBeyondSent {
        /// The ack's `next_seq`.
        next_seq: u32,
        /// Packets sent so far.
        sent: u32,
    },
    /// An `open` whose channel number is not larger than every one before.
    #[error("open of transfer {transfer}, but {highest} was opened before it")]
    NotNewer {
        /// The number that came.
        transfer: TransferId,
        /// The largest so far.
        highest: TransferId,
    },
    /// More transfers at once than allowed.
    #[error("open of transfer {transfer}, but {most} are open already")]
    TooManyOpen {
        /// The number that came.
        transfer: TransferId,
        /// The bound.
        most: usize,
    },
    /// A packet or ack of a transfer that was never opened.
    #[error("transfer {transfer} was never opened on this connection")]
    NeverOpened {
        /// The number that came.
        transfer: TransferId,
    },
}

impl Violation {
    /// What the peer is told.
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::OutOfOrder { .. } | Self::OutOfWindow { .. } => CloseCode::PacketOutOfWindow,
            Self::WrongSize { .. }
            | Self::WrongPrinter { .. }
            | Self::AckBeyondSent { .. }
            | Self::NotNewer { .. }
            | Self::TooManyOpen { .. }
            | Self::NeverOpened { .. } => CloseCode::ProtocolViolation,
        }
    }
}
