//! The REST door: paths become the same methods, errors become problem details (RFC 9457).
//!
//! Every method that has a place in the table is served by one general handler: ids stand in the path, the rest in query
//! or body. What HTTP does differently (a created job's `Location`, streams, cookies) has a handler of its own.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, RawPathParams, RawQuery, State};
use axum::response::IntoResponse as _;
use axum::routing::{MethodFilter, MethodRouter, get, on, post};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response, StatusCode};
use inkwire_protocol::app::{Problem, ProblemKind, method};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::query::QueryShape;
use super::table::{self, METHODS, Method, Place, Verb};
use super::{Api, Asked, console, openapi, problem_response, sign_in, stream};
use crate::limits::MAX_REST_BODY_BYTES;

type Shared = State<Arc<Api>>;
type Body1 = Result<Bytes, BytesRejection>;

/// All paths.
pub(crate) fn router(api: Arc<Api>) -> Router {
    let mut router = Router::new()
        .merge(console::router())
        .route("/v1/sign-in", post(post_sign_in))
        .route("/v1/openapi.json", get(async || json(StatusCode::OK, openapi::document())))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/v1/jobs", post(create_job))
        .route(stream::PATH, get(stream::serve));
    for method in METHODS {
        if let Some(place) = method.rest.filter(|place| !place.special) {
            router = router.route(place.path, general(method, place));
        }
    }
    router
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

/// Serves a method as its entry in the table says.
fn general(method: &'static Method, place: Place) -> MethodRouter<Arc<Api>> {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let shape = QueryShape::of(&(method.params)(&mut settings.into_generator()));
    let verb = match place.verb {
        Verb::Get => MethodFilter::GET,
        Verb::Post => MethodFilter::POST,
        Verb::Patch => MethodFilter::PATCH,
        Verb::Delete => MethodFilter::DELETE,
    };
    let handler = async move |asked: Asked, path: RawPathParams, RawQuery(query): RawQuery, body: Body1| {
        let query = query.unwrap_or_default();
        let read = match place.verb {
            Verb::Get => Ok(shape.read(&query)),
            Verb::Post | Verb::Patch | Verb::Delete => read_body(body),
        };
        let answered = match read {
            Ok(mut params) => {
                params.extend(path.iter().map(|(name, value)| (name.to_owned(), Value::from(value))));
                asked.call(method.name, params).await
            }
            Err(problem) => Err(problem),
        };
        respond(answered)
    };
    on(verb, handler)
}

/// An answer with what every answer carries: unless it says otherwise nothing of it is to be cached, and nothing is guessed at.
pub(crate) fn dressed(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
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

async fn create_job(asked: Asked, body: Body1) -> Response<Body> {
    let created = match read_body(body) {
        Ok(params) => asked.call(method::JOBS_CREATE, params).await,
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
