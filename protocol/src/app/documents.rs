//! What was submitted, given back while it is kept.

use serde::{Deserialize, Serialize};

use crate::ids::{JobId, Sha256Digest};

/// `documents.get`: a piece of a document. REST (`GET /v1/jobs/{job}/document`) streams the whole of it, or a range, as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DocumentGet {
    /// The job that it was submitted with.
    pub job: JobId,
    /// Where the piece begins; at the first byte unless said.
    #[serde(default)]
    pub offset: u64,
}

/// Answer to `documents.get`: 64 KiB from the offset on, or what is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Document {
    /// The job that it was submitted with.
    pub job: JobId,
    /// MIME type.
    pub format: String,
    /// Size of the whole document.
    pub bytes: u64,
    /// Digest of the whole document.
    pub sha256: Sha256Digest,
    /// Where the piece begins.
    pub offset: u64,
    /// The piece in base64 (standard alphabet).
    pub content: String,
}
