//! The REST door: paths become the same methods, errors become problem details (RFC 9457).
//!
//! Every method that has a place in the table is served by one general handler: ids stand in the path, the rest in query
//! or body. What HTTP does differently (a created job's `Location`, streams, cookies) has a handler of its own.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, RawPathParams, RawQuery, State};
use axum::response::IntoResponse as _;
use axum::routing::{MethodFilter, MethodRouter, get, on, post};
use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderName, LOCATION, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderValue, Method as HttpMethod, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use inkwire_protocol::app::{JobRef, Problem, ProblemKind, Scope, method};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::query::QueryShape;
use super::table::{self, METHODS, Method, Place, Verb};
use super::{Api, Asked, console, download, openapi, problem_response, sign_in, stream, upload};
use crate::limits::{MAX_REST_BODY_BYTES, REQUEST_WITHIN};

/// Browsers ask again after this.
const CORS_AGE: Duration = Duration::from_secs(600);

type Shared = State<Arc<Api>>;
type Body1 = Result<Bytes, BytesRejection>;

/// All paths.
pub(crate) fn router(api: Arc<Api>) -> Router {
    let mut router = Router::new()
        .merge(console::router())
        .route("/v1/sign-in", post(sign_in_for_a_key))
        .route("/v1/session", get(sign_in::look).delete(sign_in::end).post(begin_session))
        .route("/.well-known/jwks.json", get(jwks))
        .route("/v1/openapi.json", get(async || json(StatusCode::OK, openapi::document())))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/v1/jobs", post(create_job))
        .route("/v1/jobs/{job}/document", get(get_document))
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
        .layer(cors(&api))
        .with_state(api)
}

/// Pages of the origins in the configuration may ask with a token, and read the answer. Never with a cookie.
fn cors(api: &Api) -> CorsLayer {
    let origins = api.auth.origins.others().filter_map(|origin| HeaderValue::from_str(origin).ok());
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([HttpMethod::GET, HttpMethod::POST, HttpMethod::PATCH, HttpMethod::DELETE])
        .allow_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("content-digest"),
            HeaderName::from_static("last-event-id"),
        ])
        .expose_headers([LOCATION, RETRY_AFTER])
        .max_age(CORS_AGE)
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

pub(super) fn respond(answered: Result<Value, Problem>) -> Response<Body> {
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

/// With a deadline of its own, for a document may take its time.
async fn create_job(asked: Asked, request: Request<Body>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let created = if upload::is_document(&parts) {
        submit(asked, &parts, body).await
    } else {
        let described = async {
            let limited = Limited::new(body, MAX_REST_BODY_BYTES).collect().await;
            let params = read_json(&limited.map_err(|error| unread(&*error))?.to_bytes())?;
            asked.call(method::JOBS_CREATE, params).await
        };
        Box::pin(upload::within(REQUEST_WITHIN, described)).await.and_then(|created| created)
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

/// A document as the body. What is refused is counted as by any other door.
async fn submit(asked: Asked, parts: &Parts, body: Body) -> Result<Value, Problem> {
    let context = asked.context().await?;
    let submitted = async {
        context.caller.must(Scope::Submit)?;
        upload::submit(&context, parts, body).await
    };
    let created = submitted.await.inspect_err(|problem| context.refused(method::JOBS_CREATE, problem))?;
    serde_json::to_value(created).map_err(|error| ProblemKind::Internal.because(error.to_string()))
}

/// A piece of it is asked for by `Range`, not by the method's `offset`.
async fn get_document(asked: Asked, Path(job): Path<String>, RawQuery(query): RawQuery) -> Response<Body> {
    let headers = asked.headers.clone();
    let found = async {
        let context = asked.context().await?;
        let found = async {
            context.caller.must(Scope::Read)?;
            let query = query.unwrap_or_default();
            let asked = url::form_urlencoded::parse(query.as_bytes());
            let mut params: Map<String, Value> =
                asked.map(|(name, value)| (name.into(), value.into())).collect();
            params.insert("job".into(), job.into());
            let JobRef { job } = table::read(Value::Object(params))?;
            context.api.jobs.document(context.caller.account, job).await
        };
        found.await.inspect_err(|problem| context.refused(method::DOCUMENTS_GET, problem))
    };
    match found.await {
        Ok(kept) => download::answer(&kept, &headers),
        Err(problem) => problem_response(&problem),
    }
}

async fn sign_in_for_a_key(asked: Asked, body: Body1) -> Response<Body> {
    match read_body(body) {
        Ok(params) => sign_in::key(asked, params).await,
        Err(problem) => problem_response(&problem),
    }
}

async fn begin_session(asked: Asked, body: Body1) -> Response<Body> {
    match read_body(body) {
        Ok(params) => sign_in::begin(asked, params).await,
        Err(problem) => problem_response(&problem),
    }
}

/// The public keys of access tokens (RFC 7517).
async fn jwks(State(api): Shared) -> Response<Body> {
    json(StatusCode::OK, &api.auth.tokens.published())
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
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        _ => ProblemKind::InvalidRequest.because(rejection.body_text()),
    })?;
    read_json(&bytes)
}

fn unread(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Problem {
    if error.is::<LengthLimitError>() {
        return too_large();
    }
    ProblemKind::InvalidRequest.because(error.to_string())
}

fn too_large() -> Problem {
    ProblemKind::TooLarge.because(format!(
        "the request is larger than {MAX_REST_BODY_BYTES} bytes: send a larger document itself as the body, with what is asked for in \
         the query, or by the WebSocket at /v1/app, whose uploads resume"
    ))
}

fn read_json(bytes: &[u8]) -> Result<Map<String, Value>, Problem> {
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(params)) => Ok(params),
        Ok(_) => Err(ProblemKind::InvalidParams.because("the body must be a JSON object")),
        Err(error) => Err(ProblemKind::Parse.because(error.to_string())),
    }
}
