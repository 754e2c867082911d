//! Whether a request for a job can be taken: pure checks, each with the parameter at fault.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use inkwire_protocol::app::{Content, JobCreate, Problem, ProblemKind};
use inkwire_protocol::ids::{DocumentId, JobId, Sha256Digest};
use inkwire_protocol::limits::{
    DEFAULT_EXPIRY, DEFAULT_PACKET_BYTES, INLINE_DOCUMENT_BYTES, MAX_IDEMPOTENCY_KEY_BYTES, MAX_NAME_CHARS,
    MAX_QTY, MAX_TAGS, OUTCOME_KEPT,
};
use inkwire_protocol::printer::{Backend, Delivery, PrinterInfo};
use inkwire_protocol::transfer::Layout;

/// The document of a checked request.
#[derive(Debug, Clone)]
pub(super) enum Document {
    Inline(Bytes),
    Transfer {
        layout: Layout,
        sha256: Option<Sha256Digest>,
    },
    /// To be fetched by the broker itself.
    Url {
        url: String,
        sha256: Option<Sha256Digest>,
    },
    /// In its file, under its final name and synced.
    Stored {
        id: DocumentId,
        bytes: u64,
        sha256: Sha256Digest,
    },
}

impl Document {
    /// Its size; of one that is to be fetched nothing is known yet.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Transfer { layout, .. } => layout.bytes(),
            Self::Stored { bytes, .. } => *bytes,
            Self::Url { .. } => 0,
        }
    }
}

/// Everything about a request that does not depend on the printer.
pub(super) fn check(request: &JobCreate, max_bytes: u64) -> Result<Document, Problem> {
    check_fields(request)?;
    document(&request.content, max_bytes)
}

/// Everything about a request that depends neither on the printer nor on the document.
pub(super) fn check_fields(request: &JobCreate) -> Result<(), Problem> {
    let wrong = |pointer: &str, detail: String| Err(ProblemKind::InvalidParams.because(detail).at(pointer));
    let long = |text: &str| text.chars().count() > MAX_NAME_CHARS;
    if long(&request.title) {
        return wrong("/title", format!("the title is longer than {MAX_NAME_CHARS} characters"));
    }
    if !request.format.contains('/') || long(&request.format) {
        return wrong("/format", "the format must be a MIME type such as application/pdf".into());
    }
    if !(1..=MAX_QTY).contains(&request.qty) {
        return wrong("/qty", format!("qty must be 1 to {MAX_QTY}"));
    }
    check_priority(request.priority)?;
    if request.tags.len() > MAX_TAGS || request.tags.iter().any(|tag| long(tag)) {
        return wrong("/tags", format!("at most {MAX_TAGS} tags of at most {MAX_NAME_CHARS} characters"));
    }
    let key = request.idempotency_key.as_deref();
    let plain = |key: &str| key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if key.is_some_and(|key| key.is_empty() || key.len() > MAX_IDEMPOTENCY_KEY_BYTES || !plain(key)) {
        let detail = format!("an idempotency key has 1 to {MAX_IDEMPOTENCY_KEY_BYTES} characters of ASCII");
        return wrong("/idempotency_key", detail);
    }
    // An agent forgets outcomes after this; a job must not wait longer than it remembers.
    let longest = OUTCOME_KEPT.as_secs() / 2;
    if request.expires_in_s.is_some_and(|seconds| !(1..=longest).contains(&seconds)) {
        return wrong("/expires_in_s", format!("a job expires after 1 to {longest} seconds"));
    }
    Ok(())
}

pub(super) fn check_priority(priority: u8) -> Result<(), Problem> {
    if (1..=100).contains(&priority) {
        return Ok(());
    }
    Err(ProblemKind::InvalidParams.because("the priority must be 1 to 100").at("/priority"))
}

/// A document of this size is not taken.
pub(super) fn too_large(bytes: u64, limit: u64) -> Problem {
    let detail = format!("the document has {bytes} bytes or more, at most {limit} are taken here");
    ProblemKind::TooLarge.because(detail).at("/content")
}

fn document(content: &Content, max_bytes: u64) -> Result<Document, Problem> {
    match content {
        Content::Inline(text) => {
            let bytes = STANDARD.decode(text).map_err(|error| {
                ProblemKind::InvalidParams.because(error.to_string()).at("/content/inline")
            })?;
            let limit = INLINE_DOCUMENT_BYTES.min(max_bytes);
            if bytes.len() as u64 > limit {
                return Err(too_large(bytes.len() as u64, limit));
            }
            Ok(Document::Inline(bytes.into()))
        }
        Content::Transfer { bytes, .. } if *bytes > max_bytes => Err(too_large(*bytes, max_bytes)),
        Content::Transfer { bytes, sha256, packet_bytes } => {
            let layout =
                Layout::new(*bytes, packet_bytes.unwrap_or(DEFAULT_PACKET_BYTES)).map_err(|error| {
                    ProblemKind::InvalidParams.because(error.to_string()).at("/content/transfer/packet_bytes")
                })?;
            Ok(Document::Transfer { layout, sha256: *sha256 })
        }
        // Where it leads is for the outbound guard to say.
        Content::Url { url, sha256 } => Ok(Document::Url { url: url.clone(), sha256: *sha256 }),
    }
}

/// Whether the printer takes the format.
pub(super) fn check_format(request: &JobCreate, printer: &PrinterInfo) -> Result<(), Problem> {
    if printer.takes(&request.format) {
        return Ok(());
    }
    let detail = format!(
        "printer {} does not take {}; it takes {}",
        printer.name,
        request.format,
        printer.formats.join(", ")
    );
    Err(ProblemKind::UnsupportedFormat.because(detail).at("/format"))
}

/// How the document will be delivered, and a warning where that is not what was asked for.
pub(super) fn delivery(request: &JobCreate, printer: &PrinterInfo) -> (Delivery, Vec<String>) {
    match (request.delivery, printer.backend) {
        (Delivery::Stream, Backend::Directory) => {
            (Delivery::Spool, vec!["a directory takes whole files only: delivered as spool".to_owned()])
        }
        (Delivery::Stream, Backend::Ipp) if !printer.streams => {
            let why =
                "this printer is reached by a queue that takes whole documents only: delivered as spool";
            (Delivery::Spool, vec![why.to_owned()])
        }
        (asked, _) => (asked, Vec::new()),
    }
}

/// When a job that is made now expires.
pub(super) fn expires_ms(request: &JobCreate, now_ms: u64) -> u64 {
    now_ms + request.expires_in_s.unwrap_or(DEFAULT_EXPIRY.as_secs()) * 1000
}

/// What makes two requests the same one: everything asked for, and the document's digest (or, before it has come, its size).
pub(super) fn fingerprint(
    request: &JobCreate,
    document: &Document,
    reprint_of: Option<JobId>,
) -> Result<Sha256Digest, Problem> {
    let mut content = match document {
        Document::Inline(bytes) => Sha256Digest::of(bytes).to_string(),
        Document::Transfer { layout, sha256 } => format!("{} {sha256:?}", layout.bytes()),
        Document::Url { url, sha256 } => format!("{url} {sha256:?}"),
        Document::Stored { sha256, .. } => sha256.to_string(),
    };
    if let Some(job) = reprint_of {
        content.push_str(&format!(" again {job}"));
    }
    let bare = JobCreate { content: Content::Inline(content), ..request.clone() };
    let text = serde_json::to_vec(&bare).map_err(|error| ProblemKind::Internal.because(error.to_string()))?;
    Ok(Sha256Digest::of(&text))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn request(change: &Value) -> JobCreate {
        let mut value =
            json!({ "printer": "p", "content": { "inline": "YWJj" }, "format": "application/pdf" });
        for (key, new) in change.as_object().unwrap() {
            value[key] = new.clone();
        }
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_wrong_parameter_is_named() {
        let at = |change| check(&request(&change), 1 << 20).unwrap_err().pointer.unwrap();
        assert_eq!(at(json!({ "title": "x".repeat(256) })), "/title");
        assert_eq!(at(json!({ "format": "pdf" })), "/format");
        assert_eq!(at(json!({ "qty": 0 })), "/qty");
        assert_eq!(at(json!({ "qty": 1001 })), "/qty");
        assert_eq!(at(json!({ "priority": 101 })), "/priority");
        assert_eq!(at(json!({ "tags": vec!["t"; 17] })), "/tags");
        assert_eq!(at(json!({ "idempotency_key": "" })), "/idempotency_key");
        assert_eq!(at(json!({ "expires_in_s": 0 })), "/expires_in_s");
        assert_eq!(at(json!({ "content": { "inline": "?" } })), "/content/inline");
        assert_eq!(at(json!({ "content": { "transfer": { "bytes": 1 << 21 } } })), "/content");
        let packet = json!({ "content": { "transfer": { "bytes": 5, "packet_bytes": 1 } } });
        assert_eq!(at(packet), "/content/transfer/packet_bytes");
        let large = STANDARD.encode(vec![0; INLINE_DOCUMENT_BYTES as usize + 1]);
        let problem = check(&request(&json!({ "content": { "inline": large } })), 1 << 20).unwrap_err();
        assert_eq!(problem.kind(), Some(ProblemKind::TooLarge));
    }

    #[test]
    fn the_same_request_has_the_same_fingerprint_and_others_have_not() {
        let print = |change| {
            let request = request(&change);
            fingerprint(&request, &check(&request, 1 << 20).unwrap(), None).unwrap()
        };
        assert_eq!(print(json!({})), print(json!({})));
        assert_ne!(print(json!({})), print(json!({ "content": { "inline": "YWJk" } })));
        assert_ne!(print(json!({})), print(json!({ "qty": 2 })));
    }
}
