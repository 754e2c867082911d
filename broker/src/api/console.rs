//! The web console's files: built by `cargo xtask console`, embedded in the binary (a debug build reads them from `web-console/dist`).
//!
//! A page may load nothing from elsewhere and run no script but the console's own. Where the console was not built the broker
//! serves everything else, and `/` says how to get it.

use axum::Router;
use axum::body::Body;
use axum::response::{Html, IntoResponse as _};
use axum::routing::get;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, REFERRER_POLICY, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri};
use inkwire_protocol::app::ProblemKind;
use rust_embed::RustEmbed;

use super::problem_response;

/// What a page may do: load and ask only what is the broker's own, show pictures that it made itself, be in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; font-src 'self'; \
     connect-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// Their names change with their content.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// Asked again each time; mostly answered by 304.
const ASK_AGAIN: &str = "no-cache";

#[derive(RustEmbed)]
#[folder = "../web-console/dist"]
#[allow_missing = true]
struct Dist;

/// The console's paths.
pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/", get(async |headers: HeaderMap| page(&headers, include_str!("pages/index.html"))))
        .route("/sign-in", get(async |headers: HeaderMap| page(&headers, include_str!("pages/sign-in.html"))))
        .route("/icon.svg", get(file))
        .route("/assets/{*path}", get(file))
        .route("/pdf/{*path}", get(file))
}

/// The console, or what stands in for it.
fn page(headers: &HeaderMap, otherwise: &'static str) -> Response<Body> {
    answer("index.html", headers).unwrap_or_else(|| Html(otherwise).into_response())
}

async fn file(uri: Uri, headers: HeaderMap) -> Response<Body> {
    answer(uri.path().trim_start_matches('/'), &headers).unwrap_or_else(|| {
        problem_response(&ProblemKind::UnknownMethod.because("there is no such file in the console: see /"))
    })
}

fn answer(path: &str, asked: &HeaderMap) -> Option<Response<Body>> {
    let brotli = takes_brotli(asked);
    let small = brotli.then(|| Dist::get(&format!("{path}.br"))).flatten();
    let encoded = small.is_some();
    let found = small.or_else(|| Dist::get(path))?;
    let tag = etag(&found.metadata.sha256_hash());
    let known = asked.get_all(IF_NONE_MATCH).iter().any(|known| known.as_bytes() == tag.as_bytes());
    let mut response = Response::new(if known { Body::empty() } else { Body::from(found.data.into_owned()) });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(path)));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache(path)));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    );
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    if encoded {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("br"));
    }
    Some(response)
}

/// `br` among the encodings, and not refused by `q=0`.
fn takes_brotli(asked: &HeaderMap) -> bool {
    let lines = asked.get_all(ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|one| {
        let (name, weight) = one.split_once(';').unwrap_or((one, ""));
        let weight = weight.trim().trim_start_matches("q=").parse::<f32>().unwrap_or(1.0);
        name.trim().eq_ignore_ascii_case("br") && weight > 0.0
    })
}

fn etag(digest: &[u8]) -> String {
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

fn cache(path: &str) -> &'static str {
    if path.starts_with("assets/") { FOREVER } else { ASK_AGAIN }
}

/// By the ending; what the console has no use for is only bytes.
fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "json" => "application/json",
        "ttf" => "font/ttf",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(encodings: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(encodings))])
    }

    #[test]
    fn brotli_is_taken_where_it_is_said() {
        assert!(takes_brotli(&asking("gzip, deflate, br, zstd")));
        assert!(takes_brotli(&asking("BR;q=0.5")));
        assert!(!takes_brotli(&asking("gzip, br;q=0")));
        assert!(!takes_brotli(&asking("gzip")));
        assert!(!takes_brotli(&HeaderMap::new()));
    }

    #[test]
    fn only_what_has_its_content_in_its_name_is_kept_forever() {
        assert_eq!(cache("assets/index-abc.js"), FOREVER);
        assert_eq!(cache("index.html"), ASK_AGAIN);
        assert_eq!(cache("pdf/cmaps/H.bcmap"), ASK_AGAIN);
    }

    #[test]
    fn scripts_have_the_type_that_nosniff_demands() {
        assert_eq!(content_type("assets/pdf.worker.min-x.mjs"), "text/javascript; charset=utf-8");
        assert_eq!(content_type("pdf/cmaps/H.bcmap"), "application/octet-stream");
        assert_eq!(content_type("index.html"), "text/html; charset=utf-8");
    }

    #[test]
    fn nothing_outside_the_folder_is_found() {
        assert!(answer("../package.json", &HeaderMap::new()).is_none());
        assert!(answer("/etc/passwd", &HeaderMap::new()).is_none());
    }
}
