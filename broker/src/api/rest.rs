//! The REST door: paths become the same methods, errors become problem details (RFC 9457).

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::response::{Html, IntoResponse as _};
use axum::routing::{get, post};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use inkwire_protocol::app::{Problem, ProblemKind, method};
use serde_json::{Map, Value};

use super::table::{self, Context};
use super::{Api, problem_response, sign_in};
use crate::limits::MAX_REST_BODY_BYTES;

type Shared = State<Arc<Api>>;
type Body1 = Result<Bytes, BytesRejection>;

/// All paths. A method without parameters in the path is `list` or `me`; ids stand in the path, the rest in query or body.
pub(crate) fn router(api: Arc<Api>) -> Router {
    Router::new()
        .route("/", get(async || Html(include_str!("pages/index.html"))))
        .route("/sign-in", get(async || Html(include_str!("pages/sign-in.html"))))
        .route("/v1/sign-in", post(post_sign_in))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/v1/me", get(async |s: Shared, h: HeaderMap| plain(s, h, method::ME).await))
        .route("/v1/agents", get(async |s: Shared, h: HeaderMap| plain(s, h, method::AGENTS_LIST).await))
        .route(
            "/v1/agents/{agent}",
            get(async |s: Shared, h: HeaderMap, id: Path<String>| {
                with_id(s, h, method::AGENTS_GET, "agent", id, Map::new()).await
            }),
        )
        .route("/v1/printers", get(async |s: Shared, h: HeaderMap| plain(s, h, method::PRINTERS_LIST).await))
        .route("/v1/jobs", get(list_jobs).post(create_job))
        .route(
            "/v1/jobs/{job}",
            get(async |s: Shared, h: HeaderMap, id: Path<String>| {
                with_id(s, h, method::JOBS_GET, "job", id, Map::new()).await
            }),
        )
        .route("/v1/jobs/{job}/{action}", post(act_on_job))
        .fallback(async || {
            problem_response(&ProblemKind::UnknownMethod.because("there is no such path: see /"))
        })
        .method_not_allowed_fallback(async || {
            let mut problem = ProblemKind::UnknownMethod.because("this path does not take this HTTP method");
            problem.status = StatusCode::METHOD_NOT_ALLOWED.as_u16();
            problem_response(&problem)
        })
        .layer(DefaultBodyLimit::max(MAX_REST_BODY_BYTES))
        .with_state(api)
}

/// An answer with what every answer carries: nothing of it is to be cached or guessed at.
pub(crate) fn dressed(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Signs the caller in, calls the method, and answers.
async fn call(
    api: Arc<Api>,
    headers: &HeaderMap,
    name: &str,
    params: Map<String, Value>,
) -> Result<Value, Problem> {
    let no_key = || ProblemKind::Unauthenticated.because("send `Authorization: Bearer` and an API key");
    let caller = api.caller_of(headers).await.and_then(|caller| caller.ok_or_else(no_key));
    let caller = caller.map_err(|problem| api.turned_away("rest", problem))?;
    table::call(Context { api, caller, connection: None }, name, Value::Object(params)).await
}

fn respond(answered: Result<Value, Problem>) -> Response<Body> {
    match answered {
        Ok(value) => json(StatusCode::OK, &value),
        Err(problem) => problem_response(&problem),
    }
}

fn json(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

async fn plain(State(api): Shared, headers: HeaderMap, name: &'static str) -> Response<Body> {
    respond(call(api, &headers, name, Map::new()).await)
}

async fn with_id(
    State(api): Shared,
    headers: HeaderMap,
    name: &'static str,
    key: &'static str,
    Path(id): Path<String>,
    mut params: Map<String, Value>,
) -> Response<Body> {
    params.insert(key.to_owned(), Value::String(id));
    respond(call(api, &headers, name, params).await)
}

async fn list_jobs(State(api): Shared, headers: HeaderMap, RawQuery(query): RawQuery) -> Response<Body> {
    respond(call(api, &headers, method::JOBS_LIST, job_filter(&query.unwrap_or_default())).await)
}

async fn create_job(State(api): Shared, headers: HeaderMap, body: Body1) -> Response<Body> {
    let created = match read_body(body) {
        Ok(params) => call(api, &headers, method::JOBS_CREATE, params).await,
        Err(problem) => Err(problem),
    };
    let Ok(value) = created else { return respond(created) };
    let duplicate = value.get("duplicate").and_then(Value::as_bool).unwrap_or(false);
    let mut response = json(if duplicate { StatusCode::OK } else { StatusCode::CREATED }, &value);
    let id = value.pointer("/job/id").and_then(Value::as_str).unwrap_or_default();
    if let Ok(location) = HeaderValue::from_str(&format!("/v1/jobs/{id}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

async fn act_on_job(
    State(api): Shared,
    headers: HeaderMap,
    Path((job, action)): Path<(String, String)>,
    body: Body1,
) -> Response<Body> {
    let name = match action.as_str() {
        "cancel" => method::JOBS_CANCEL,
        "hold" => method::JOBS_HOLD,
        "release" => method::JOBS_RELEASE,
        "decide" => method::JOBS_DECIDE,
        _ => {
            let detail = format!("there is no action `{action}` on a job: cancel, hold, release or decide");
            return problem_response(&ProblemKind::UnknownMethod.because(detail));
        }
    };
    match read_body(body) {
        Ok(params) => with_id(State(api), headers, name, "job", Path(job), params).await,
        Err(problem) => problem_response(&problem),
    }
}

async fn post_sign_in(State(api): Shared, body: Body1) -> Response<Body> {
    let signed_in = async {
        let request = table::read(Value::Object(read_body(body)?))?;
        let signed_in = sign_in::redeem(&api, &request).await?;
        serde_json::to_value(signed_in).map_err(|error| ProblemKind::Internal.because(error.to_string()))
    };
    respond(signed_in.await)
}

/// Ready means: new work is taken, and the store answers.
async fn ready(State(api): Shared) -> Response<Body> {
    if api.closing.is_cancelled() {
        return problem_response(&ProblemKind::Draining.because("the broker is restarting"));
    }
    match api.store.accounts().await {
        Ok(_) => "ready\n".into_response(),
        Err(error) => problem_response(&crate::auth::internal(error)),
    }
}

fn read_body(body: Body1) -> Result<Map<String, Value>, Problem> {
    let bytes = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ProblemKind::TooLarge.because(format!(
            "the request is larger than {MAX_REST_BODY_BYTES} bytes: send larger documents by the WebSocket at /v1/app"
        )),
        _ => ProblemKind::InvalidRequest.because(rejection.body_text()),
    })?;
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(params)) => Ok(params),
        Ok(_) => Err(ProblemKind::InvalidParams.because("the body must be a JSON object")),
        Err(error) => Err(ProblemKind::Parse.because(error.to_string())),
    }
}

/// A query string as the parameters of `jobs.list`; `states` is a list with commas. Anything else is left for the method
/// to name.
fn job_filter(query: &str) -> Map<String, Value> {
    let mut params = Map::new();
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let value = match key.as_ref() {
            "states" => value.split(',').filter(|state| !state.is_empty()).map(Value::from).collect(),
            "before" | "limit" => {
                value.parse::<u64>().map_or_else(|_| Value::from(value.as_ref()), Value::from)
            }
            _ => Value::from(value.as_ref()),
        };
        params.insert(key.into_owned(), value);
    }
    params
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkwire_protocol::app::JobList;
    use inkwire_protocol::job::State as JobState;

    #[test]
    fn a_query_is_read_like_parameters() {
        let read = |query| table::read::<JobList>(Value::Object(job_filter(query)));
        let list = read("states=pending,held&limit=5&before=77").unwrap();
        assert_eq!(list.states, [JobState::Pending, JobState::Held]);
        assert_eq!((list.limit, list.before), (Some(5), Some(77)));
        assert_eq!(read("").unwrap(), JobList::default());
        assert_eq!(read("colour=red").unwrap_err().pointer.as_deref(), Some("/colour"));
        assert!(read("limit=many").is_err() && read("states=lost").is_err());
    }
}
