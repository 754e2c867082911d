//! `GET /v1/events/stream`: the event log as Server-Sent Events (WHATWG HTML, section 9.2).
//!
//! An event's `id` is `EPOCH:OFFSET`, its name the kind. A browser that comes back sends the last `id` by itself. Where the log does not
//! reach back to it, the first event is `cannot_resume`. What waits for a slow reader is one piece and hyper's buffer.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::RawQuery;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Response};
use inkwire_protocol::app::{EventPosition, Problem, ProblemKind, Scope, Subscribe};
use inkwire_protocol::ids::EventOffset;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::query::QueryShape;
use super::table::{self, Context};
use super::{Asked, problem_response};
use crate::auth::internal;
use crate::feed::{Filter, Joined, Piece, Reader};
use crate::limits::{STREAM_COMMENT_EVERY, THROUGH_EVERY};

/// The path.
pub(super) const PATH: &str = "/v1/events/stream";

/// Sent by a browser that comes back.
static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// A browser that lost the stream comes back after this many milliseconds.
const RETRY_MS: u32 = 2000;

struct Stream {
    closing: CancellationToken,
    /// Ends with the reason when the caller may go on no more.
    invalid: BoxFuture<'static, String>,
    name: String,
    reader: Reader,
    /// What is said before the first event.
    preface: Option<String>,
    hidden: Option<Piece>,
    told: Instant,
}

/// Answers with the stream.
pub(super) async fn serve(asked: Asked, RawQuery(query): RawQuery) -> Response<Body> {
    match begin(asked, query.as_deref().unwrap_or_default()).await {
        Ok(stream) => {
            let body = stream::unfold(stream, |mut stream| async move {
                let bytes = stream.next().await?;
                Some((Ok::<_, Infallible>(bytes), stream))
            });
            let mut response = Response::new(Body::from_stream(body));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
            // nginx and its like would keep events back.
            response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
            response
        }
        Err(problem) => problem_response(&problem),
    }
}

async fn begin(asked: Asked, query: &str) -> Result<Stream, Problem> {
    let headers = asked.headers.clone();
    let Context { api, caller, .. } = asked.context().await?;
    caller.must(Scope::Read)?;
    if api.closing.is_cancelled() {
        return Err(ProblemKind::Draining.because("the broker is restarting: come back in some seconds"));
    }
    let (after, filter) = wish(&headers, query)?;
    let joined = api.feeds.join(caller.account, after, filter).await.map_err(internal)?;
    let Joined { reader, resumed, bounds } = joined;
    let preface = preface(resumed, bounds.oldest, reader.at());
    let (closing, name) = (api.closing.clone(), caller.principal.name().to_owned());
    let invalid = Box::pin(async move { api.until_invalid(caller, Scope::Read).await });
    let (preface, told) = (Some(preface), Instant::now());
    Ok(Stream { closing, invalid, name, reader, preface, hidden: None, told })
}

/// The query is read like the parameters of `events.subscribe`; `after` is `EPOCH:OFFSET`, and the header outranks it, for a browser
/// repeats the query as it was.
fn wish(headers: &HeaderMap, query: &str) -> Result<(Option<EventPosition>, Filter), Problem> {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let shape = QueryShape::of(&settings.into_generator().into_root_schema_for::<Subscribe>());
    let mut params = shape.read(query);
    let read = |text: &str| {
        text.parse::<EventPosition>()
            .map_err(|error| ProblemKind::InvalidParams.because(error.to_string()).at("/after"))
    };
    let asked = match params.remove("after") {
        Some(Value::String(text)) => Some(read(&text)?),
        // Something else in JSON.
        Some(other) => Some(read(&other.to_string())?),
        None => None,
    };
    let last = headers.get(&LAST_EVENT_ID).map(|value| value.to_str().unwrap_or_default());
    let last = last.filter(|text| !text.is_empty()).map(read).transpose()?;
    if params.contains_key("progress") {
        let detail = "progress is pushed on the WebSocket only: subscribe there";
        return Err(ProblemKind::InvalidParams.because(detail).at("/progress"));
    }
    let wish: Subscribe = table::read(Value::Object(params))?;
    Ok((last.or(asked), Filter::from(&wish).check()?))
}

fn preface(resumed: bool, oldest: EventOffset, at: EventPosition) -> String {
    let cannot = if resumed {
        String::new()
    } else {
        let oldest = format!("{}:{oldest}", at.epoch);
        format!("event: cannot_resume\ndata: {}\n", json!({"oldest": oldest, "from": at.to_string()}))
    };
    format!("retry: {RETRY_MS}\nid: {at}\n{cannot}\n")
}

impl Stream {
    /// What is sent next; none at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(preface) = self.preface.take() {
            return Some(preface.into());
        }
        loop {
            let quiet = if self.hidden.is_some() { THROUGH_EVERY } else { STREAM_COMMENT_EVERY };
            tokio::select! {
                biased;
                () = self.closing.cancelled() => return None,
                why = &mut self.invalid => {
                    tracing::info!(name = self.name, why, "event stream ended");
                    return None;
                }
                piece = self.reader.next() => match piece {
                    Ok(piece) if piece.is_hidden() => self.hidden = Some(piece),
                    Ok(piece) => {
                        (self.hidden, self.told) = (None, Instant::now());
                        return Some(piece.stream());
                    }
                    Err(error) => {
                        tracing::error!(%error, "the event log could not be read");
                        return None;
                    }
                },
                () = tokio::time::sleep_until(self.told + quiet) => {
                    self.told = Instant::now();
                    // An `id` without data moves the browser's place and dispatches nothing.
                    let through = self.hidden.take().map(|piece| format!("id: {}\n\n", piece.through()));
                    return Some(through.unwrap_or_else(|| ":\n\n".to_owned()).into());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    #[test]
    fn the_header_outranks_the_query() {
        let mut headers = HeaderMap::new();
        let query = format!("after={EPOCH}:5&kinds=job.,agent.");
        let (after, filter) = wish(&headers, &query).unwrap();
        assert_eq!((after.unwrap().offset, filter.kinds.len()), (EventOffset(5), 2));
        headers.insert(&LAST_EVENT_ID, HeaderValue::from_str(&format!("{EPOCH}:9")).unwrap());
        assert_eq!(wish(&headers, &query).unwrap().0.unwrap().offset, EventOffset(9));
        headers.insert(&LAST_EVENT_ID, HeaderValue::from_static(""));
        assert_eq!(wish(&headers, "").unwrap().0, None);
        for wrong in ["after=5", "after=:1", "colour=red", "progress=true", "job=x"] {
            assert_eq!(wish(&HeaderMap::new(), wrong).unwrap_err().status, 400, "{wrong}");
        }
    }

    #[test]
    fn who_cannot_resume_is_told_and_goes_on_from_now() {
        let at: EventPosition = format!("{EPOCH}:9").parse().unwrap();
        assert_eq!(preface(true, EventOffset(3), at), format!("retry: 2000\nid: {EPOCH}:9\n\n"));
        let told = preface(false, EventOffset(3), at);
        assert!(told.contains("event: cannot_resume\n") && told.contains(&format!("{EPOCH}:3")), "{told}");
        assert!(told.contains(&format!("id: {EPOCH}:9\n")) && told.ends_with("\n\n"), "{told}");
    }
}
