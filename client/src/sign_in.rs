//! From a one-time link or a password to an API key of one's own: `POST /v1/sign-in`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use inkwire_protocol::app::{Problem, SignIn};
use inkwire_transport::{BrokerUrl, ClockOffset, Trust, client_config};
use rustls_pki_types::ServerName;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::client::ApiKey;
use crate::error::Error;

/// From the first packet to the last byte of the answer; a password's check is slow on purpose.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// Largest answer: a key, or a problem.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
const METHOD: &str = "sign-in";

#[derive(Deserialize)]
struct SignedIn {
    key: String,
}

/// Signs in by a link's token, or by user and password, and gives an API key that may do what the person may.
///
/// # Errors
/// [`Error::Refused`] where link or password is wrong, or too many were tried; [`Error::Unreachable`] without a broker.
pub async fn sign_in(url: &BrokerUrl, request: &SignIn) -> Result<ApiKey, Error> {
    let unreachable = |detail: String| Error::Unreachable { url: url.origin(), detail };
    let asked = tokio::time::timeout(ANSWER_WITHIN, ask(url, request)).await;
    let (status, body) =
        asked.map_err(|_| Error::Timeout { method: METHOD, within: ANSWER_WITHIN })?.map_err(unreachable)?;
    let not_understood =
        |error: serde_json::Error| Error::NotUnderstood { method: METHOD, detail: error.to_string() };
    if status == StatusCode::OK {
        let signed_in: SignedIn = serde_json::from_slice(&body).map_err(not_understood)?;
        return Ok(ApiKey::from(signed_in.key));
    }
    let problem: Problem = serde_json::from_slice(&body).map_err(not_understood)?;
    Err(Error::Refused(problem))
}

/// One request on a connection of its own. What fails is said in words.
async fn ask(url: &BrokerUrl, request: &SignIn) -> Result<(StatusCode, Bytes), String> {
    let config =
        client_config(Trust::of(url), Arc::new(ClockOffset::new())).map_err(|error| error.to_string())?;
    let host = url.host();
    let bare = host.trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(bare.clone()).map_err(|error| error.to_string())?;
    let tcp = TcpStream::connect((bare.as_str(), url.port())).await.map_err(|error| error.to_string())?;
    let tls = TlsConnector::from(config).connect(name, tcp).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(tls)).await.map_err(|error| error.to_string())?;
    let body = serde_json::to_vec(request).map_err(|error| error.to_string())?;
    let request = Request::post("/v1/sign-in")
        .header(HOST, url.authority())
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| error.to_string())?;
    let answering = async {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
        body.map(|body| (status, body.to_bytes())).map_err(|error| error.to_string())
    };
    tokio::pin!(connection, answering);
    tokio::select! {
        answer = &mut answering => answer,
        ended = &mut connection => match ended {
            Ok(()) => answering.await,
            Err(error) => Err(error.to_string()),
        },
    }
}
