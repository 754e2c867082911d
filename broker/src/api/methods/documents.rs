//! `documents.get`: what was submitted, piece by piece. REST streams it ([`crate::api::download`]): a WebSocket carries other answers too,
//! which must not wait behind a whole document.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use inkwire_protocol::app::{Document, DocumentGet, Problem, ProblemKind};
use inkwire_protocol::limits::INLINE_DOCUMENT_BYTES;

use crate::api::table::Context;

pub(in crate::api) async fn get(context: Context, params: DocumentGet) -> Result<Document, Problem> {
    let DocumentGet { job, offset } = params;
    let kept = context.api.jobs.document(context.caller.account, job).await?;
    if offset > kept.bytes {
        let detail = format!("offset is {offset}, the document has {} bytes", kept.bytes);
        return Err(ProblemKind::InvalidParams.because(detail).at("/offset"));
    }
    let piece = (kept.bytes - offset).min(INLINE_DOCUMENT_BYTES);
    let read = kept.source.part(offset, u32::try_from(piece).unwrap_or(u32::MAX)).await;
    let content = read.map_err(|error| {
        tracing::error!(%job, %error, "a document cannot be read");
        ProblemKind::Internal.because("the document cannot be read: see the broker's log")
    })?;
    Ok(Document {
        job,
        format: kept.format,
        bytes: kept.bytes,
        sha256: kept.sha256,
        offset,
        content: STANDARD.encode(content),
    })
}
