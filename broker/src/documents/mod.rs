//! Documents on the broker's disk: `documents/<account>/<document>`, while they come in with `.part` and `.crc` beside.
//!
//! A document of up to 64 KiB lives in its row instead ([`crate::store`]), so that a label costs one commit.

mod folder;
mod intake;
mod source;
mod space;
#[cfg(test)]
mod tmpfs;
mod upload;

pub(crate) use folder::Documents;
pub(crate) use intake::{Came, Intake};
pub(crate) use source::{Source, SourceError};
pub(crate) use space::{Disk, Space, StorageFull};
pub(crate) use upload::{Upload, UploadError, Whole};
