//! How a document is cut into packets.

use crate::limits::{MAX_PACKET_BYTES, MAX_PACKETS, MIN_PACKET_BYTES};

/// A document's size and its packet size: fixed by the sender in `open`, stored by the receiver with the partial document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Layout {
    bytes: u64,
    packet_bytes: u32,
}

/// A layout that the protocol does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// Packets too small or too large.
    #[error("packet_bytes is {0}; it must be {MIN_PACKET_BYTES} to {MAX_PACKET_BYTES}")]
    PacketBytes(u32),
    /// More packets than can be counted.
    #[error("{0} bytes make more packets than can be counted; use larger packets")]
    TooManyPackets(u64),
}

/// The part of the document that a packet carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// The packet.
    pub seq: u32,
    /// Where its data begins in the document.
    pub offset: u64,
    /// Its data bytes.
    pub len: u32,
    /// Whether it is the last.
    pub last: bool,
}

impl Layout {
    /// Checks the two numbers.
    pub const fn new(bytes: u64, packet_bytes: u32) -> Result<Self, LayoutError> {
        if packet_bytes < MIN_PACKET_BYTES || packet_bytes > MAX_PACKET_BYTES {
            return Err(LayoutError::PacketBytes(packet_bytes));
        }
        if bytes.div_ceil(packet_bytes as u64) > MAX_PACKETS {
            return Err(LayoutError::TooManyPackets(bytes));
        }
        Ok(Self { bytes, packet_bytes })
    }

    /// Size of the document.
    pub const fn bytes(self) -> u64 {
        self.bytes
    }

    /// Data bytes of every packet but the last.
    pub const fn packet_bytes(self) -> u32 {
        self.packet_bytes
    }

    /// How many packets there are: at least one, for an empty document is one empty packet.
    pub const fn packets(self) -> u32 {
        let count = self.bytes.div_ceil(self.packet_bytes as u64);
        if count == 0 { 1 } else { count as u32 }
    }

    /// The slice of packet `seq`, which must be below [`Layout::packets`].
    pub const fn slice(self, seq: u32) -> Option<Slice> {
        if seq >= self.packets() {
            return None;
        }
        let offset = seq as u64 * self.packet_bytes as u64;
        let left = self.bytes - offset;
        let len = if left < self.packet_bytes as u64 { left as u32 } else { self.packet_bytes };
        Some(Slice { seq, offset, len, last: seq + 1 == self.packets() })
    }

    /// How many bytes the packets below `seq` hold together.
    pub const fn bytes_below(self, seq: u32) -> u64 {
        let bytes = seq as u64 * self.packet_bytes as u64;
        if bytes < self.bytes { bytes } else { self.bytes }
    }

    /// How many packets make up `bytes`, at least one.
    pub const fn packets_in(self, bytes: u64) -> u32 {
        let count = bytes / self.packet_bytes as u64;
        if count == 0 {
            1
        } else if count > u32::MAX as u64 {
            u32::MAX
        } else {
            count as u32
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_in_exactly_one_packet() {
        for bytes in [0, 1, 1023, 1024, 1025, 2048, 10_000] {
            let layout = Layout::new(bytes, 1024).unwrap();
            let mut at = 0;
            for seq in 0..layout.packets() {
                let slice = layout.slice(seq).unwrap();
                assert_eq!((slice.offset, slice.last), (at, seq + 1 == layout.packets()));
                assert_eq!(layout.bytes_below(seq), at);
                at += u64::from(slice.len);
            }
            assert_eq!(at, bytes);
            assert_eq!(layout.slice(layout.packets()), None);
            assert_eq!(layout.bytes_below(layout.packets()), bytes);
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        assert_eq!(Layout::new(1, 1023), Err(LayoutError::PacketBytes(1023)));
        assert_eq!(Layout::new(1, 16_321), Err(LayoutError::PacketBytes(16_321)));
        assert!(Layout::new(u64::MAX, 1024).is_err());
    }
}
