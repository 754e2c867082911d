//! TLS records in a stream of bytes, by their headers (RFC 8446 section 5.1): type, version, length.

/// The bytes before a record's content.
const HEADER_BYTES: usize = 5;

/// The type of records that carry data (and, in TLS 1.3, everything after the first flight).
const APPLICATION_DATA: u8 = 23;

/// Where one direction of a TLS connection stands.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// The header so far.
    header: Vec<u8>,
    /// Bytes of the current record that are still to come.
    left: usize,
}

impl Records {
    /// The content length of the largest record with data that begins in these bytes; 0 where none does.
    pub(super) fn largest(&mut self, mut data: &[u8]) -> usize {
        let mut largest = 0;
        while !data.is_empty() {
            if self.left > 0 {
                let skipped = self.left.min(data.len());
                self.left -= skipped;
                data = data.get(skipped..).unwrap_or_default();
                continue;
            }
            let wanted = (HEADER_BYTES - self.header.len()).min(data.len());
            let (head, rest) = data.split_at(wanted);
            self.header.extend_from_slice(head);
            data = rest;
            if let [kind, _, _, high, low] = self.header[..] {
                self.left = usize::from(u16::from_be_bytes([high, low]));
                self.header.clear();
                if kind == APPLICATION_DATA {
                    largest = largest.max(self.left);
                }
            }
        }
        largest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_found_however_the_bytes_are_cut() {
        let mut stream = Vec::new();
        for len in [3_u16, 700, 0, 16_401, 20] {
            stream.extend_from_slice(&[23, 3, 3]);
            stream.extend_from_slice(&len.to_be_bytes());
            stream.resize(stream.len() + usize::from(len), 0xAA);
        }
        assert_eq!(Records::default().largest(&stream), 16_401);
        for step in [1, 2, 3, 7, 100] {
            let mut records = Records::default();
            let found: Vec<_> = stream.chunks(step).map(|part| records.largest(part)).collect();
            assert_eq!(found.iter().copied().max(), Some(16_401), "step {step}");
            let before: usize = found.iter().take_while(|&&len| len < 16_401).count() * step;
            assert!(before <= 3 + 700 + 4 * 5 && before + step >= 703 + 4 * 5, "step {step}: {before}");
        }
    }
}
