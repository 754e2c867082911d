//! `POST /v1/jobs` with the document itself as the body: what is asked for stands in query and headers, the bytes go to the disk as they
//! come. HTTP cannot resume: a connection that is cut leaves nothing, and the request is made again (the WebSocket can).

use std::sync::LazyLock;
use std::time::Duration;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, request::Parts};
use http_body_util::BodyExt as _;
use inkwire_protocol::app::{JobCreate, JobCreated, Problem, ProblemKind};
use inkwire_protocol::ids::Sha256Digest;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout_at};

use super::query::QueryShape;
use super::table::{self, Context};
use crate::limits::{UPLOAD_IDLE, UPLOAD_MIN_BYTES, UPLOAD_MIN_EVERY};

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Whether the body is the document, and not a JSON object that describes the job.
pub(super) fn is_document(parts: &Parts) -> bool {
    let json = parts.headers.get(CONTENT_TYPE).map(essence).is_none_or(|mime| mime == "application/json");
    let named = parts
        .uri
        .query()
        .is_some_and(|query| url::form_urlencoded::parse(query.as_bytes()).any(|(key, _)| key == "printer"));
    named || !json
}

/// Takes the document and makes the job.
pub(super) async fn submit(context: &Context, parts: &Parts, body: Body) -> Result<JobCreated, Problem> {
    let (api, account) = (&context.api, context.caller.account);
    if api.closing.is_cancelled() {
        return Err(ProblemKind::Draining.because("the broker is restarting: submit again in some seconds"));
    }
    let request = request(parts)?;
    let stated = stated_digest(&parts.headers)?;
    let length = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    api.auth.admit_job(account, length.unwrap_or(0)).await?;
    let Ok(_permit) = api.uploads.try_acquire() else {
        let mut problem = ProblemKind::Busy.because("too many documents are coming in just now: try again");
        problem.retry_after_s = Some(5);
        return Err(problem);
    };
    let mut expected = api.jobs.expect(context.submitter().await?, request, length).await?;
    let mut coming = Coming::new(body);
    while let Some(data) = coming.next().await? {
        expected.write(&data).await?;
    }
    Ok(api.jobs.receive(expected, stated).await?.answer)
}

/// A body, as long as it keeps coming.
struct Coming {
    body: Body,
    bytes: u64,
    /// When the present minute began, and with how much.
    since: Instant,
    before: u64,
}

impl Coming {
    fn new(body: Body) -> Self {
        Self { body, bytes: 0, since: Instant::now(), before: 0 }
    }

    /// The next piece; none at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            let frame = match timeout_at(Instant::now() + UPLOAD_IDLE, self.body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => {
                    let detail = format!("the document was cut off: {error}; nothing of it is kept");
                    return Err(ProblemKind::InvalidRequest.because(detail));
                }
                Err(_) => return Err(too_slow(&format!("nothing came for {} s", UPLOAD_IDLE.as_secs()))),
            };
            // Trailers say nothing to us.
            let Ok(data) = frame.into_data() else { continue };
            self.bytes += data.len() as u64;
            if self.since.elapsed() >= UPLOAD_MIN_EVERY {
                if self.bytes - self.before < UPLOAD_MIN_BYTES {
                    return Err(too_slow(&format!("less than {UPLOAD_MIN_BYTES} bytes came in a minute")));
                }
                (self.since, self.before) = (Instant::now(), self.bytes);
            }
            return Ok(Some(data));
        }
    }
}

fn too_slow(what: &str) -> Problem {
    let detail = format!(
        "{what}; nothing of the document is kept: over a slow or unsteady line use the WebSocket at /v1/app, whose uploads resume"
    );
    ProblemKind::TooSlow.because(detail)
}

/// What is asked for.
fn request(parts: &Parts) -> Result<JobCreate, Problem> {
    static SHAPE: LazyLock<QueryShape> = LazyLock::new(|| {
        let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
        QueryShape::of(&settings.into_generator().into_root_schema_for::<JobCreate>())
    });
    let headers = &parts.headers;
    if headers.get(CONTENT_ENCODING).is_some_and(|value| value != "identity") {
        let detail = "the document is taken as it is: send it without Content-Encoding";
        return Err(ProblemKind::InvalidRequest.because(detail));
    }
    let mut params = SHAPE.read(parts.uri.query().unwrap_or_default());
    if params.contains_key("content") {
        let detail = "the body is the document: leave `content` out of the query";
        return Err(ProblemKind::InvalidParams.because(detail).at("/content"));
    }
    params.insert("content".to_owned(), json!({ "inline": "" }));
    if !params.contains_key("format") {
        params.insert("format".to_owned(), format(headers)?.into());
    }
    put_key(&mut params, headers)?;
    table::read(Value::Object(params))
}

fn format(headers: &HeaderMap) -> Result<String, Problem> {
    let missing = "state the document's format: `Content-Type: application/pdf`, or `format=` in the query";
    let value = headers.get(CONTENT_TYPE).ok_or(missing);
    let refused = |detail: &str| ProblemKind::InvalidParams.because(detail).at("/format");
    let value = value.map_err(refused)?;
    match essence(value).as_str() {
        // What curl and browsers say on their own.
        "application/x-www-form-urlencoded" => Err(refused(missing)),
        "multipart/form-data" => Err(refused(
            "forms are not taken: send the document itself as the body (curl --data-binary @FILE)",
        )),
        _ => value.to_str().map(str::to_owned).map_err(|_| refused(missing)),
    }
}

fn put_key(params: &mut Map<String, Value>, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(()) };
    let refused = |detail: &str| ProblemKind::InvalidParams.because(detail).at("/idempotency_key");
    let text = value.to_str().map_err(|_| refused("Idempotency-Key must be ASCII"))?.trim();
    // A structured string, or the bare key as most send it.
    let key = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    match params.insert("idempotency_key".to_owned(), key.into()) {
        Some(other) if other != key => Err(refused("header and query name different keys: leave one out")),
        Some(_) | None => Ok(()),
    }
}

/// The document's SHA-256 by `Content-Digest` (RFC 9530); other algorithms say nothing to us.
fn stated_digest(headers: &HeaderMap) -> Result<Option<Sha256Digest>, Problem> {
    for value in headers.get_all(CONTENT_DIGEST) {
        let members = value.to_str().unwrap_or_default().split(',').map(str::trim);
        let Some(digest) = members.filter_map(|member| member.strip_prefix("sha-256=")).next() else {
            continue;
        };
        let bytes = digest.strip_prefix(':').and_then(|rest| rest.strip_suffix(':'));
        let bytes = bytes.and_then(|text| STANDARD.decode(text).ok()).and_then(|bytes| bytes.try_into().ok());
        let Some(bytes) = bytes else {
            let detail = "Content-Digest must be as `sha-256=:` base64 of 32 bytes `:` (RFC 9530)";
            return Err(ProblemKind::InvalidRequest.because(detail));
        };
        return Ok(Some(Sha256Digest::from_bytes(bytes)));
    }
    Ok(None)
}

fn essence(value: &HeaderValue) -> String {
    let text = value.to_str().unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A JSON body must be here by then; a document has its own pace.
pub(super) async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, Problem> {
    let late = |_| ProblemKind::Busy.because("the request took too long: try again");
    tokio::time::timeout(limit, work).await.map_err(late)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt as _;

    fn parts(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::post(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    /// A body of pieces of this size, each after a pause.
    fn trickle(bytes: usize, pause: Duration, pieces: usize) -> Coming {
        let pieces = futures_util::stream::iter(0..pieces).then(move |_| async move {
            tokio::time::sleep(pause).await;
            Ok::<_, std::io::Error>(Bytes::from(vec![0; bytes]))
        });
        Coming::new(Body::from_stream(pieces))
    }

    /// How it ends: all of it came, or how much before it was given up and why.
    async fn ends(mut coming: Coming) -> Result<u64, (u64, Option<ProblemKind>)> {
        loop {
            match coming.next().await {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(coming.bytes),
                Err(problem) => return Err((coming.bytes, problem.kind())),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_keep_coming_is_given_up() {
        const S: Duration = Duration::from_secs(1);
        let too_slow = Some(ProblemKind::TooSlow);
        assert_eq!(ends(trickle(100_000, 29 * S, 10)).await, Ok(1_000_000));
        assert_eq!(ends(trickle(100_000, 31 * S, 10)).await, Err((0, too_slow)));
        // 1000 bytes every ten seconds: after the first minute it is over.
        assert_eq!(ends(trickle(1000, 10 * S, 100)).await, Err((6000, too_slow)));
        // 64 KiB a minute are just enough.
        assert_eq!(ends(trickle(11_000, 10 * S, 30)).await, Ok(330_000));
    }

    #[test]
    fn the_body_is_the_document_unless_it_is_json_about_a_job() {
        let is = |uri, headers: &[_]| is_document(&parts(uri, headers));
        assert!(!is("/v1/jobs", &[]));
        assert!(!is("/v1/jobs", &[("content-type", "application/json; charset=utf-8")]));
        assert!(is("/v1/jobs?printer=p", &[("content-type", "application/pdf")]));
        assert!(is("/v1/jobs", &[("content-type", "application/pdf")]));
        assert!(is("/v1/jobs?printer=p&format=application/json", &[("content-type", "application/json")]));
    }

    #[test]
    fn query_and_headers_make_the_request() {
        let uri = "/v1/jobs?printer=office&title=a%20b&qty=2&hold=true&tags=x,y&options=%7B%22copies%22:2%7D";
        let headers = [("content-type", "text/plain; charset=utf-8"), ("idempotency-key", "\"k 1\"")];
        let job = request(&parts(uri, &headers)).unwrap();
        assert_eq!((job.printer.as_str(), job.title.as_str(), job.qty, job.hold), ("office", "a b", 2, true));
        assert_eq!((job.format.as_str(), job.tags.len()), ("text/plain; charset=utf-8", 2));
        assert_eq!((job.idempotency_key.as_deref(), job.options.copies), (Some("k 1"), Some(2)));
        let by_query = request(&parts("/v1/jobs?printer=p&format=image/urf", &[])).unwrap();
        assert_eq!(by_query.format, "image/urf");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let at =
            |uri: &str, headers: &[_]| request(&parts(uri, headers)).unwrap_err().pointer.unwrap_or_default();
        let form = ("content-type", "application/x-www-form-urlencoded");
        assert_eq!(at("/v1/jobs?printer=p", &[]), "/format");
        assert_eq!(at("/v1/jobs?printer=p", &[form]), "/format");
        assert_eq!(
            at("/v1/jobs?printer=p", &[("content-type", "multipart/form-data; boundary=x")]),
            "/format"
        );
        let pdf = ("content-type", "application/pdf");
        assert_eq!(at("/v1/jobs", &[pdf]), "/printer");
        assert_eq!(at("/v1/jobs?printer=p&colour=1", &[pdf]), "/colour");
        assert_eq!(at("/v1/jobs?printer=p&content=x", &[pdf]), "/content");
        let keys = "/v1/jobs?printer=p&idempotency_key=a";
        assert_eq!(at(keys, &[pdf, ("idempotency-key", "b")]), "/idempotency_key");
        assert_eq!(at("/v1/jobs?printer=p", &[pdf, ("content-encoding", "gzip")]), "");
    }

    #[test]
    fn a_digest_is_read_where_it_is_one_of_ours() {
        let digest = |value: &str| stated_digest(&parts("/", &[("content-digest", value)]).headers);
        let of = Sha256Digest::of(b"abc");
        let text = STANDARD.encode(of.as_bytes());
        assert_eq!(digest(&format!("sha-256=:{text}:")).unwrap(), Some(of));
        assert_eq!(digest(&format!("sha-512=:AAAA:, sha-256=:{text}:")).unwrap(), Some(of));
        assert_eq!(digest("md5=:AAAA:").unwrap(), None);
        assert!(digest("sha-256=:AAAA:").is_err() && digest(&format!("sha-256={text}")).is_err());
        assert_eq!(stated_digest(&HeaderMap::new()).unwrap(), None);
    }
}
