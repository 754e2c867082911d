//! How much disk documents may take: outcomes must still commit when uploads no longer fit.

/// When documents are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Space {
    /// So many bytes stay free ...
    pub(crate) min_free_bytes: u64,
    /// ... and so many hundredths of the file system.
    pub(crate) min_free_percent: u8,
}

impl Default for Space {
    fn default() -> Self {
        Self { min_free_bytes: 512 * 1024 * 1024, min_free_percent: 5 }
    }
}

/// The file system of the documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Disk {
    /// Bytes that the broker may still write.
    pub(crate) free_bytes: u64,
    /// Its size.
    pub(crate) total_bytes: u64,
    /// Bytes that documents must leave free.
    pub(crate) reserved_bytes: u64,
}

/// The disk is too full for another document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{free} bytes are free for documents where {wanted} must stay free; remove old jobs or add space")]
pub(crate) struct StorageFull {
    /// Bytes that would be free afterwards.
    pub(crate) free: u64,
    /// Bytes that must be.
    pub(crate) wanted: u64,
}

impl Space {
    /// Bytes that must stay free on a file system of this size.
    pub(crate) const fn reserved(self, total: u64) -> u64 {
        let percent = total / 100 * self.min_free_percent as u64;
        if self.min_free_bytes > percent { self.min_free_bytes } else { percent }
    }

    /// Whether a document of `bytes` may come in while `free` of `total` bytes are free.
    pub(crate) const fn admits(self, bytes: u64, free: u64, total: u64) -> Result<(), StorageFull> {
        let wanted = self.reserved(total);
        let after = free.saturating_sub(bytes);
        if after < wanted { Err(StorageFull { free: after, wanted }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_of_bytes_and_share_must_stay_free() {
        let space = Space { min_free_bytes: 1000, min_free_percent: 5 };
        assert_eq!(space.admits(500, 1500, 10_000), Ok(()));
        assert_eq!(space.admits(501, 1500, 10_000), Err(StorageFull { free: 999, wanted: 1000 }));
        assert_eq!(space.admits(1, 5000, 100_000), Err(StorageFull { free: 4999, wanted: 5000 }));
        assert_eq!(space.admits(u64::MAX, 5000, 100), Err(StorageFull { free: 0, wanted: 1000 }));
    }
}
