//! What of a partial document survived: its longest prefix of packets whose checksums match.
//!
//! Beside the data (`.part`) lies a list of checksums (`.crc`): 4 bytes a packet, CRC-32C, big-endian, packet 0 first.
//! Neither file is trusted beyond the other: after a crash each may be shorter, longer or torn.

use super::{Layout, Slice};

/// Bytes of one entry in the list of checksums.
pub const CRC_ENTRY_BYTES: usize = 4;

/// The entry of a packet whose data has this checksum.
pub const fn crc_entry(crc32c: u32) -> [u8; CRC_ENTRY_BYTES] {
    crc32c.to_be_bytes()
}

/// Where the entry of packet `seq` begins.
pub const fn crc_offset(seq: u32) -> u64 {
    seq as u64 * CRC_ENTRY_BYTES as u64
}

/// Walks a partial document packet by packet. A shell reads [`Prefix::due`] from the data file and gives it in.
///
/// ```
/// use inkwire_protocol::transfer::{Layout, Prefix, crc_entry};
///
/// let layout = Layout::new(2000, 1024).unwrap();
/// let data = [7; 2000];
/// let mut crcs = crc_entry(crc32c::crc32c(&data[..1024])).to_vec();
/// crcs.extend_from_slice(&crc_entry(1)); // torn
/// let mut prefix = Prefix::new(layout, &crcs);
/// while let Some(slice) = prefix.due() {
///     let start = slice.offset as usize;
///     if !prefix.take(&data[start..start + slice.len as usize]) {
///         break;
///     }
/// }
/// assert_eq!(prefix.next_seq(), 1);
/// ```
#[derive(Debug, Clone)]
pub struct Prefix<'a> {
    layout: Layout,
    crcs: &'a [u8],
    next: u32,
    broken: bool,
}

impl<'a> Prefix<'a> {
    /// Begins at packet 0 with the whole list of checksums; what is left of a torn entry at its end is ignored.
    pub const fn new(layout: Layout, crcs: &'a [u8]) -> Self {
        Self { layout, crcs, next: 0, broken: false }
    }

    /// The packet to look at next; none where the prefix ends.
    pub fn due(&self) -> Option<Slice> {
        if self.broken {
            return None;
        }
        self.stated()?;
        self.layout.slice(self.next)
    }

    /// Takes the data of the packet that is due; false where it is not what was received, or too short: the prefix ends before it.
    pub fn take(&mut self, data: &[u8]) -> bool {
        let whole = self.due().is_some_and(|slice| slice.len as usize == data.len());
        if whole && self.stated() == Some(crc32c::crc32c(data)) {
            self.next += 1;
            return true;
        }
        self.broken = true;
        false
    }

    /// Every packet below is what was received.
    pub const fn next_seq(&self) -> u32 {
        self.next
    }

    fn stated(&self) -> Option<u32> {
        let start = usize::try_from(crc_offset(self.next)).ok()?;
        let entry = self.crcs.get(start..start.checked_add(CRC_ENTRY_BYTES)?)?;
        Some(u32::from_be_bytes(entry.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(layout: Layout, data: &[u8], crcs: &[u8]) -> u32 {
        let mut prefix = Prefix::new(layout, crcs);
        while let Some(slice) = prefix.due() {
            let start = (slice.offset as usize).min(data.len());
            let end = (start + slice.len as usize).min(data.len());
            if !prefix.take(&data[start..end]) {
                break;
            }
        }
        prefix.next_seq()
    }

    fn whole() -> (Layout, Vec<u8>, Vec<u8>) {
        let layout = Layout::new(5000, 1024).unwrap();
        let data: Vec<u8> = (0..5000_u32).map(|i| (i * 7 % 251) as u8).collect();
        let crcs = data.chunks(1024).flat_map(|packet| crc_entry(crc32c::crc32c(packet))).collect();
        (layout, data, crcs)
    }

    #[test]
    fn whatever_is_torn_off_either_file_the_prefix_holds_only_whole_packets() {
        let (layout, data, crcs) = whole();
        assert_eq!(walk(layout, &data, &crcs), 5);
        for cut in 0..data.len() {
            assert_eq!(walk(layout, &data[..cut], &crcs), (cut / 1024) as u32, "data cut at {cut}");
        }
        for cut in 0..crcs.len() {
            assert_eq!(walk(layout, &data, &crcs[..cut]), (cut / 4) as u32, "checksums cut at {cut}");
        }
    }

    #[test]
    fn a_changed_byte_ends_the_prefix_before_its_packet() {
        let (layout, data, crcs) = whole();
        for at in [0, 1023, 1024, 3000, 4999] {
            let mut damaged = data.clone();
            damaged[at] ^= 1;
            assert_eq!(walk(layout, &damaged, &crcs), (at / 1024) as u32);
        }
        let mut list = crcs;
        list[9] ^= 1;
        assert_eq!(walk(layout, &data, &list), 2);
    }

    #[test]
    fn an_empty_document_is_one_empty_packet() {
        let layout = Layout::new(0, 1024).unwrap();
        assert_eq!(walk(layout, &[], &[]), 0);
        assert_eq!(walk(layout, &[], &crc_entry(crc32c::crc32c(b""))), 1);
    }
}
