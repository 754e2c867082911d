//! A packet: one slice of a document with its address, as one binary WebSocket message.
//!
//! ```text
//!  0      1      2        4          8        12        16
//!  ├ kind ┼ flags┼ printer ┼ transfer ┼  seq   ┼ crc-32c ┼ data ... ┤
//!    u8     u8      u16       u32        u32       u32       big-endian
//! ```
//!
//! The checksum is CRC-32C (Castagnoli, RFC 3720 appendix B.4) of the data. An empty document is one
//! empty packet that is flagged last.

use crate::close::CloseCode;
use crate::ids::{PrinterNumber, TransferId};
use crate::limits::{MAX_PACKET_BYTES, PACKET_HEADER_BYTES};

/// The only kind of binary message so far.
pub const KIND_DATA: u8 = 1;
const FLAG_LAST: u8 = 0b0000_0001;

/// Everything of a packet but its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The channel that `open` bound to a (job, attempt).
    pub transfer: TransferId,
    /// The printer on the agent that the data is meant for.
    pub printer: PrinterNumber,
    /// Counts packets of the transfer from 0; the data begins at byte `seq * packet_bytes`.
    pub seq: u32,
    /// Whether this is the last packet of the document.
    pub last: bool,
    /// CRC-32C of the data.
    pub crc32c: u32,
}

/// Bytes that are no packet. The peer that sent them is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// Shorter than a header.
    #[error("packet of {0} bytes is shorter than its {PACKET_HEADER_BYTES}-byte header")]
    Short(usize),
    /// More data than a packet may carry.
    #[error("packet carries {0} bytes, at most {MAX_PACKET_BYTES} are allowed")]
    Long(usize),
    /// Another kind of binary message than this version knows.
    #[error("binary message of unknown kind {0}")]
    Kind(u8),
    /// Flags that this version does not know.
    #[error("packet with unknown flags {0:#010b}")]
    Flags(u8),
    /// The data is not what was sent.
    #[error("packet {seq} has checksum {actual:#010x}, its header says {stated:#010x}")]
    Checksum {
        /// The packet's number.
        seq: u32,
        /// What the header says.
        stated: u32,
        /// What the data gives.
        actual: u32,
    },
}

impl PacketError {
    /// What the peer is told.
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::Long(_) => CloseCode::TooLarge,
            Self::Checksum { .. } => CloseCode::PacketDamaged,
            Self::Short(_) | Self::Kind(_) | Self::Flags(_) => CloseCode::ProtocolViolation,
        }
    }
}

impl Header {
    /// The header of `data`, with its checksum computed.
    pub fn over(transfer: TransferId, printer: PrinterNumber, seq: u32, last: bool, data: &[u8]) -> Self {
        Self { transfer, printer, seq, last, crc32c: crc32c::crc32c(data) }
    }

    /// The 16 bytes that go before the data.
    pub fn encode(&self) -> [u8; PACKET_HEADER_BYTES] {
        let mut out = [0; PACKET_HEADER_BYTES];
        out[0] = KIND_DATA;
        out[1] = if self.last { FLAG_LAST } else { 0 };
        out[2..4].copy_from_slice(&self.printer.0.to_be_bytes());
        out[4..8].copy_from_slice(&self.transfer.0.to_be_bytes());
        out[8..12].copy_from_slice(&self.seq.to_be_bytes());
        out[12..16].copy_from_slice(&self.crc32c.to_be_bytes());
        out
    }

    /// Splits a binary message into header and data, and checks the data against its checksum.
    pub fn decode(message: &[u8]) -> Result<(Self, &[u8]), PacketError> {
        let Some((head, data)) = message.split_first_chunk::<PACKET_HEADER_BYTES>() else {
            return Err(PacketError::Short(message.len()));
        };
        let [kind, flags, p0, p1, t0, t1, t2, t3, s0, s1, s2, s3, c0, c1, c2, c3] = *head;
        if kind != KIND_DATA {
            return Err(PacketError::Kind(kind));
        }
        if flags & !FLAG_LAST != 0 {
            return Err(PacketError::Flags(flags));
        }
        if data.len() > MAX_PACKET_BYTES as usize {
            return Err(PacketError::Long(data.len()));
        }
        let header = Self {
            printer: PrinterNumber(u16::from_be_bytes([p0, p1])),
            transfer: TransferId(u32::from_be_bytes([t0, t1, t2, t3])),
            seq: u32::from_be_bytes([s0, s1, s2, s3]),
            last: flags & FLAG_LAST != 0,
            crc32c: u32::from_be_bytes([c0, c1, c2, c3]),
        };
        let actual = crc32c::crc32c(data);
        if actual != header.crc32c {
            return Err(PacketError::Checksum { seq: header.seq, stated: header.crc32c, actual });
        }
        Ok((header, data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_survives_the_wire() {
        let header = Header::over(TransferId(7), PrinterNumber(2), 40, true, b"^XA^XZ");
        let mut message = header.encode().to_vec();
        message.extend_from_slice(b"^XA^XZ");
        assert_eq!(Header::decode(&message), Ok((header, &b"^XA^XZ"[..])));
    }

    #[test]
    fn each_kind_of_damage_has_its_own_error() {
        let header = Header::over(TransferId(7), PrinterNumber(2), 40, false, b"abc");
        let mut good = header.encode().to_vec();
        good.extend_from_slice(b"abc");
        let changed = |at: usize, to: u8| {
            let mut bytes = good.clone();
            bytes[at] = to;
            bytes
        };
        assert_eq!(Header::decode(&good[..15]), Err(PacketError::Short(15)));
        assert_eq!(Header::decode(&changed(0, 9)), Err(PacketError::Kind(9)));
        assert_eq!(Header::decode(&changed(1, 2)), Err(PacketError::Flags(2)));
        assert!(matches!(Header::decode(&changed(16, b'z')), Err(PacketError::Checksum { seq: 40, .. })));
        let mut long = header.encode().to_vec();
        long.resize(PACKET_HEADER_BYTES + MAX_PACKET_BYTES as usize + 1, 0);
        assert_eq!(Header::decode(&long), Err(PacketError::Long(MAX_PACKET_BYTES as usize + 1)));
    }
}
