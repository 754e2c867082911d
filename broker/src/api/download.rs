//! `GET /v1/jobs/{job}/document`: what was submitted, streamed from the disk, whole or a part of it (RFC 9110 section 14).

use std::sync::Arc;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream;
use http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    ETAG, IF_NONE_MATCH, IF_RANGE, RANGE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::documents::{Source, SourceError};
use crate::jobs::Kept;

const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");
/// Read and sent at once.
const PART_BYTES: u64 = 64 * 1024;

/// The answer to a request with these headers.
pub(super) fn answer(kept: &Kept, headers: &HeaderMap) -> Response<Body> {
    let etag = format!("\"{}\"", kept.sha256);
    let matches = |name: HeaderName| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|tag| tag.trim() == etag)
    };
    if matches(IF_NONE_MATCH) {
        return dressed(kept, &etag, StatusCode::NOT_MODIFIED, Body::empty());
    }
    let fresh = headers.get(IF_RANGE).is_none() || matches(IF_RANGE);
    let range = headers.get(RANGE).filter(|_| fresh).and_then(|value| value.to_str().ok());
    match range.map_or(Wanted::All, |range| wanted(range, kept.bytes)) {
        Wanted::All => {
            let body = body(Arc::clone(&kept.source), 0, kept.bytes, true);
            let mut response = dressed(kept, &etag, StatusCode::OK, body);
            response.headers_mut().insert(CONTENT_LENGTH, kept.bytes.into());
            response
        }
        Wanted::Part { first, end } => {
            let body = body(Arc::clone(&kept.source), first, end, false);
            let mut response = dressed(kept, &etag, StatusCode::PARTIAL_CONTENT, body);
            response.headers_mut().insert(CONTENT_LENGTH, (end - first).into());
            put(&mut response, CONTENT_RANGE, &format!("bytes {first}-{}/{}", end - 1, kept.bytes));
            response
        }
        Wanted::Outside => {
            let mut response = dressed(kept, &etag, StatusCode::RANGE_NOT_SATISFIABLE, Body::empty());
            put(&mut response, CONTENT_RANGE, &format!("bytes */{}", kept.bytes));
            response
        }
    }
}

/// The bytes from `at` to `end`. The last ones of a whole document come only if all of it is what was accepted.
fn body(source: Arc<Source>, at: u64, end: u64, whole: bool) -> Body {
    Body::from_stream(stream::try_unfold(at, move |at| {
        let source = Arc::clone(&source);
        async move {
            if at >= end {
                return Ok::<Option<(Bytes, u64)>, SourceError>(None);
            }
            let len = u32::try_from((end - at).min(PART_BYTES)).unwrap_or(u32::MAX);
            let read = if whole { source.read(at, len).await } else { source.part(at, len).await };
            let part =
                read.inspect_err(|error| tracing::error!(%error, "a document cannot be given back"))?;
            Ok(Some((part, at + u64::from(len))))
        }
    }))
}

/// What a document says of itself must not make a browser run it: a foreign file on the console's own origin.
fn dressed(kept: &Kept, etag: &str, status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    put(&mut response, CONTENT_TYPE, &kept.format);
    put(&mut response, ETAG, etag);
    put(&mut response, ACCEPT_RANGES, "bytes");
    put(&mut response, CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'");
    put(&mut response, CONTENT_DISPOSITION, &disposition(&kept.title, kept.number));
    let digest = STANDARD.encode(kept.sha256.as_bytes());
    put(&mut response, REPR_DIGEST, &format!("sha-256=:{digest}:"));
    response
}

fn put(response: &mut Response<Body>, name: HeaderName, value: &str) {
    let value = HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    response.headers_mut().insert(name, value);
}

/// The title as a file's name (RFC 6266, RFC 8187), without anything that is a path.
fn disposition(title: &str, number: u64) -> String {
    let plain = title.rsplit(['/', '\\']).next().unwrap_or_default().trim_matches(['.', ' ']);
    let name = if plain.is_empty() { format!("job-{number}") } else { plain.to_owned() };
    let mut encoded = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    format!("attachment; filename=\"job-{number}\"; filename*=UTF-8''{encoded}")
}

/// What of the document is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    All,
    /// From `first` up to, and without, `end`.
    Part {
        first: u64,
        end: u64,
    },
    Outside,
}

/// Reads a `Range`. What is not one range of bytes is answered with the whole document, as the standard allows.
fn wanted(range: &str, bytes: u64) -> Wanted {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Wanted::All;
    };
    let (first, end) = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.saturating_add(1).min(bytes)),
        (Ok(first), Err(_)) if last.trim().is_empty() => (first, bytes),
        (Err(_), Ok(count)) if first.trim().is_empty() => (bytes.saturating_sub(count), bytes),
        (Ok(_) | Err(_), Ok(_) | Err(_)) => return Wanted::All,
    };
    if first < end { Wanted::Part { first, end } } else { Wanted::Outside }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        let part = |first, end| Wanted::Part { first, end };
        for (range, expected) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=10-", part(10, 100)),
            ("bytes=-5", part(95, 100)),
            ("bytes=-500", part(0, 100)),
            ("bytes=90-500", part(90, 100)),
            ("bytes=100-", Wanted::Outside),
            ("bytes=-0", Wanted::Outside),
            ("bytes=5-4", Wanted::All),
            ("bytes=0-1,5-6", Wanted::All),
            ("lines=0-1", Wanted::All),
            ("bytes=x-", Wanted::All),
        ] {
            assert_eq!(wanted(range, 100), expected, "{range}");
        }
        assert_eq!(wanted("bytes=0-", 0), Wanted::Outside);
    }

    #[test]
    fn a_title_is_a_name_and_no_path_and_no_header() {
        assert_eq!(
            disposition("Rechnung \u{20ac}5.pdf", 7),
            "attachment; filename=\"job-7\"; filename*=UTF-8''Rechnung%20%E2%82%AC5.pdf"
        );
        assert!(disposition("../../etc/passwd", 1).ends_with("''passwd"));
        assert!(disposition("..", 9).ends_with("''job-9"));
        let sly = disposition("a\"\r\nSet-Cookie: x=1", 1);
        assert!(!sly.contains('\n') && HeaderValue::from_str(&sly).is_ok(), "{sly}");
    }
}
