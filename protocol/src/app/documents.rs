//! What was submitted, given back while it is kept.

use serde::{Deserialize, Serialize};

use crate::ids::{JobId, Sha256Digest};

/// Answer to `documents.get` on the WebSocket, for documents up to 64 KiB; REST (`GET /v1/jobs/{job}/document`) streams documents
/// of any size as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Document {
    /// The job that it was submitted with.
    pub job: JobId,
    /// MIME type.
    pub format: String,
    /// Its size.
    pub bytes: u64,
    /// Its digest.
    pub sha256: Sha256Digest,
    /// The document in base64 (standard alphabet).
    pub content: String,
}
